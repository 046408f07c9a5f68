"""Bytes into text: UTF-8 with or without BOM, UTF-16, and GB18030, as a Chinese Windows writes."""

import codecs
from typing import Final

ENCODINGS: Final = ("utf-8-sig", "gb18030")
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def decode(data: bytes, encoding: str | None = None) -> str | None:
    """The text of a file, or ``None`` where no encoding is certain.

    An ``encoding`` that is named is the only one that is tried.
    """
    guesses = ("utf-16",) if data[:2] in UTF16_MARKS else ENCODINGS
    for guess in (encoding,) if encoding else guesses:
        try:
            text = data.decode(guess)
        except UnicodeDecodeError:
            continue
        misread = guess == "gb18030" and not _chinese(text)
        uncertain = not encoding and (misread or (guess == "utf-8-sig" and _either(text, data)))
        return None if "\x00" in text or uncertain else text
    return None


def _either(text: str, data: bytes) -> bool:
    """Whether a text of UTF-8 may as well be Chinese: two bytes are beta, or a character of GB2312.

    So it is where there are few letters beyond Latin, and no byte order mark.
    """
    beyond = {ch for ch in text if ord(ch) > 127}
    if not beyond or data.startswith(codecs.BOM_UTF8):
        return False
    if not all("\u0370" <= ch <= "\u07ff" for ch in beyond):
        return False
    return all(len(ch.encode().decode("gb2312", "ignore")) == 1 for ch in beyond)


def _chinese(text: str) -> bool:
    """Whether text decoded as GB18030 is likely to be that, and not another encoding misread.

    A Western accented letter and the letter after it decode as one rare character outside GB2312,
    the set that nearly all Chinese text is written with.
    """
    characters = [ch for ch in text if ord(ch) > 127]
    common = sum(bool(ch.encode("gb2312", "ignore")) for ch in characters)
    return 2 * common > len(characters)
