"""Texts of a source against the values and patterns of a mapping: whole words, and no negation."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

#: Characters of scripts that part no words by blanks.
_UNPARTED: Final = "\u3040-\u30ff\u3400-\u9fff"
_WORD: Final = rf"[^\W_{_UNPARTED}]"
_LETTER: Final = rf"[^\W\d_{_UNPARTED}]"
#: What turns round a text beside it: English, German, French, Spanish, Italian and Chinese.
_NEGATION: Final = re.compile(
    rf"(?<!{_WORD})(?:no|not|non(?!-| hodgkin)|none|never|neither|nor|without|w/o|cannot|denie[sd]"
    r"|refused|declined|cancelled|excluded|ruled out|failed to|failure to|less than|unlikely"
    r"|kein\w*|nicht|ohne|pas|sans|aucune?|sin|ningun\w*|senza|nessun\w*)"
    rf"(?!{_WORD})|n't(?!{_WORD})|<|[无無未否没沒不]|非(?!霍奇金|格司亭)|除外|排除|拒绝"
)
_PREFIX: Final = re.compile(rf"(?<!{_WORD})non[- ]?$")
_CLAUSES: Final = re.compile(r"[;\n。]|\. ")


def key_of(text: str) -> str:
    """Text as values and patterns compare it: without case, width and double spaces; 1 for 1.0."""
    key = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    # A whole number gets a .0 where a column with blanks was written by pandas, R or Excel.
    return key.partition(".")[0] if re.fullmatch(r"[+-]?\d+\.0+", key) else key


def fitting(patterns: Iterable[str], text: str) -> bool | None:
    """Whether a pattern stands in a text as whole words; None if only beside a negation.

    ``*`` stands for any characters but blanks. A negation counts in its clause, which a semicolon,
    a full stop or a line break ends; a comma does not, since "no CR, PR" denies both.
    """
    negated = False
    for clause in _CLAUSES.split(text):
        for pattern in patterns:
            for match in _expression(key_of(pattern)).finditer(key_of(clause)):
                before, after = match.string[: match.start()], match.string[match.end() :]
                # A pattern may hold a negation itself, such as non-GCB.
                if not _PREFIX.search(before) and not _NEGATION.search(f"{before}\0{after}"):
                    return True
                negated = True
    return None if negated else False


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern between the borders of words: Gy is one in 36Gy, PR none in progression."""
    body = r"\S*".join(map(re.escape, pattern.split("*")))
    before = after = ""
    if re.match(_LETTER, pattern):
        before = rf"(?<!{_LETTER})"
    elif re.match(r"\d", pattern):
        before = rf"(?<!{_WORD})(?<!\d[.,])"
    if re.match(_WORD, pattern[-1:]):
        after = rf"(?!{_WORD}|[.,]\d)"
        # Two letters before a hyphen are another word: PD is not PD-1, RT is not RT-PCR.
        after += rf"(?!-{_WORD})" if len(pattern) <= 2 else ""
    return re.compile(before + body + after)
