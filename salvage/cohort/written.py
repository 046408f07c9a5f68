"""What people write where the schema expects a code, a flag or a number, in English and Chinese.

The words stand in ``written.yaml``. Each has one meaning in its column, so that it may stand for
its code; a cell is still refused, and :func:`meant` says what must stand in it.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from salvage.cohort.cells import DAYS_PER_MONTH, months, plain_text, text_of
from salvage.cohort.schema import Column
from salvage.records import Kind, Reader

_FILE: Final = Path(__file__).with_name("written.yaml")
_Lists = dict[str, tuple[str, ...]]
#: Missing, or the number 0: what has two meanings.
NONE: Final = ("none", "无")
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
_WHOLE: Final = re.compile(
    r"(?:stage|grade|g|gr|ecog|ps|ipi|ann arbor|line|第)*\s*"
    r"(?:(\d+)|(iv|v|i{1,3}))\s*[abesx]*\s*(?:期|级|度|分|线|个|处|次|岁|points?|sites?|lines?)?"
)
_UNIT_DAYS: Final = {
    r"(?:m|mo|mos|mth|mths|months?|个?月)": DAYS_PER_MONTH,
    r"(?:d|days?|天|日)": 1.0,
    r"(?:w|wks?|weeks?|周)": 7.0,
    r"(?:y|yrs?|years?|年)": 365.25,
}
_YEARS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:岁|周岁|y|yo|y/?o|yrs?|years?(?: old)?)?")


@dataclass(frozen=True)
class Written:
    """The words of ``written.yaml``, whose head says what each of its keys holds."""

    missing: tuple[Annotated[str, Kind(str, "text", blank=True)], ...]
    codes: dict[str, _Lists]
    names: dict[str, _Lists]
    drugs: _Lists
    supportive: tuple[str, ...]


@cache
def written() -> Written:
    """What people write, from the file beside this module."""
    reader = Reader(_FILE.name)
    words = reader.record(Written, reader.load(_FILE))
    reader.check()
    return words


def codes_of(column: Column) -> dict[str, str]:
    """The code of each text, in small letters, that means one in this column."""
    texts = {plain_text(code): code for code in column.codes}
    texts |= {plain_text(meaning): code for code, meaning in column.codes.items()}
    for key in (column.kind, column.name.removeprefix("cart_")):
        for code, words in written().codes.get(key, {}).items():
            texts |= {plain_text(word): code for word in words}
    return texts


def meant(text: str, column: Column) -> str | None:
    """The text that a cell of a column must hold instead, if ``text`` can mean one thing only."""
    plain = plain_text(text)
    code = codes_of(column).get(plain)
    if code is not None or (column.kind == "flag" and plain in ("0", "1")):
        return code or plain
    if plain in written().missing:
        if column.required:
            return "NE" if "NE" in column.codes else None
        return None if plain in NONE and column.kind in ("integer", "number") else ""
    if column.kind == "integer" and (whole := _WHOLE.fullmatch(plain)):
        return whole[1] or str(_ROMAN[whole[2]])
    if column.kind == "number" and (years := _YEARS.fullmatch(plain)):
        return years[1]
    if column.kind == "month":
        for unit, days in _UNIT_DAYS.items():
            if time := re.fullmatch(rf"(\d+(?:\.\d+)?)\s*{unit}?", plain):
                return time[1] if days == DAYS_PER_MONTH else text_of(months(float(time[1]) * days))
    return None
