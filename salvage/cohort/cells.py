"""One cell: whatever a file holds becomes plain text, a date, or months, and is never run.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break can act as a formula in a
spreadsheet. :func:`guarded` puts an apostrophe before it in every CSV file that is written, and
:func:`unguarded` takes it away again when such a file is read.
"""

import csv
import datetime as dt
import io
import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Any, Final

import pandas as pd
from babel import Locale

DAYS_PER_MONTH: Final = 30.4375
MONTH_DECIMALS: Final = 4
"""A day is 0.0329 months: four decimals keep every two days apart and equal days equal."""
#: The day before the first, and that of workbooks from an old Excel of a Mac.
EXCEL_ZERO: Final = dt.date(1899, 12, 30)
EXCEL_ZERO_1904: Final = dt.date(1904, 1, 1)
#: Dates of birth are dates too.
EARLIEST: Final = dt.date(1900, 1, 1)
#: No day of a cohort is earlier: numbers of days below it are other numbers.
EARLIEST_STORED: Final = dt.date(1950, 1, 1)
LATEST: Final = dt.date(2100, 12, 31)
DATE_EXPECTED: Final = "a date as year-month-day, such as 2024-03-31"

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_TIME_OF_DAY: Final = re.compile(
    r"[t:,\s]\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s*[ap]\.?m\.?)?\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?$"
)
_FILLER: Final = re.compile(r"(?<=\d)(st|nd|rd|th|er)\b|\b(of|de)\b|^[^\W\d_]+,")
_LANGUAGES: Final = (
    "en en_AU zh zh_Hant de fr es it pt nl sv da nb fi pl cs sk hu ro hr sl tr el ru"
)
_CENTURY: Final = 50
_LARGEST_WHOLE: Final = 1e15


class NotPlain(ValueError):
    """A cell that holds more than one value, or bytes that are not text."""


def text_of(value: Any) -> str:
    """A cell as text: blank for missing, 1 and 0 for true and false, ISO for dates, 3 for 3.0.

    Raises :class:`NotPlain` for lists, records and bytes that are not UTF-8.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotPlain("bytes") from error
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", 0) == 0:
        return text_of(item())
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) < _LARGEST_WHOLE
        return str(int(value)) if is_whole else repr(value)
    raise NotPlain(type(value).__name__)


def plain_text(text: str) -> str:
    """Text as words are compared: small letters, one blank between words, no full-width forms."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def guarded(text: str) -> str:
    """Text for a cell of a CSV file, which no spreadsheet will take for a formula."""
    risky = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if risky or _GUARDED.match(text) else text


def csv_text(rows: Iterable[Iterable[object]], line_end: str = "\n") -> str:
    """Rows as the text of a CSV file, each cell :func:`guarded`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=line_end)
    writer.writerows([guarded(str(cell)) for cell in row] for row in rows)
    return stream.getvalue()


def unguarded(text: str) -> str:
    """The text that :func:`guarded` was given."""
    return text[1:] if text[:1] == "'" and _GUARDED.match(text) else text


@cache
def _month_names() -> dict[str, int]:
    """Months by their names and abbreviations; not those that mean two months, as listopad does."""
    meant: dict[str, set[int]] = {}
    for language in _LANGUAGES.split():
        for forms in Locale.parse(language).months.values():
            for month, name in (*forms["wide"].items(), *forms["abbreviated"].items()):
                meant.setdefault(name.casefold().rstrip("."), set()).add(month)
    return {name: months.pop() for name, months in meant.items() if len(months) == 1}


def date_meanings(text: str) -> dict[str, dt.date]:
    """Every date that a text may mean, by the order of its parts.

    ``05/04/2023`` has two, under ``day/`` and ``month/``; a date that is written year first or with
    the name of its month has one. A time of day is dropped. Empty for what is no date, lies outside
    1900 to 2100, or has a year of two digits among numbers alone.
    """
    day = _FILLER.sub(" ", _TIME_OF_DAY.sub("", plain_text(text))).strip()
    parts = re.findall(r"\d+|[^\W\d_]+", day)
    gaps = [gap.strip() for gap in re.split(r"\d+|[^\W\d_]+", day)]
    if re.fullmatch(r"\d{4}\s*年\s*\d+\s*月\s*\d+\s*[日号]?", day):
        parts, gaps = parts[:5:2], [""] * 4
    if re.fullmatch(r"\d{8}", day):
        parts, gaps = [day[:4], day[4:6], day[6:]], [""] * 4
    if len(parts) != 3 or gaps[0] or gaps[3] or gaps[1:3] not in _gaps_of(parts):
        return {}
    readings = {}
    for name, year, month, number in _orders(parts, gaps[1]):
        with suppress(ValueError):
            date = dt.date(_year(year), _month_names().get(month) or int(month), int(number))
            if EARLIEST <= date <= LATEST:
                readings[name] = date
    return readings


def _gaps_of(parts: Sequence[str]) -> list[list[str]]:
    """What may stand between the parts of a date: one mark twice, or any marks around a name."""
    if all(part.isdigit() for part in parts):
        return [[mark] * 2 for mark in ("-", "/", ".", "")]
    return [list(pair) for pair in itertools.product(("", "-", "/", ".", ",", ".-"), repeat=2)]


def _orders(parts: Sequence[str], gap: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, year, month and day of each order that three parts of a date may have."""
    first, second, third = parts
    if _is_year(first):
        yield "", first, second, third
    elif second in _month_names():
        yield "", third, second, first
    elif first in _month_names() and _is_year(third):
        yield "", third, first, second
    elif _is_year(third):
        yield f"day{gap}", third, second, first
        yield f"month{gap}", third, first, second


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdigit()


def _year(text: str) -> int:
    """A year of four digits; of two, beside the name of a month, one from 1950 to 2049."""
    century = 0 if _is_year(text) else 2000 if int(text) < _CENTURY else 1900
    return century + int(text)


def read_dates(texts: Collection[str], beside: Iterable[str] = ()) -> dict[str, dt.date]:
    """The date of each text that can mean one only, given the others of its column.

    Where one date of a column can only be day first, so are all that are parted by the same mark.
    If none of them tells, the texts ``beside`` it do, which are those of the same file.
    """
    meanings = {text: date_meanings(text) for text in texts}
    orders = _orders_shown(meanings.values())
    others = _orders_shown(map(date_meanings, beside))
    dates = {}
    for text, meant in meanings.items():
        told = [meant[order] for order in meant if order in orders]
        told = told or [meant[order] for order in meant if order in others]
        days = set(told or meant.values())
        if len(days) == 1:
            dates[text] = days.pop()
    return dates


def _orders_shown(meanings: Iterable[dict[str, dt.date]]) -> set[str]:
    return {order for meant in meanings if len(meant) == 1 for order in meant}


def parse_date(text: str, form: str | None = None) -> dt.date | None:
    """A date in any form that has one meaning (2024-3-31, 2024年3月31日, 31-Mar-24, 31/03/2024), or
    as ``form`` says, a pattern of :meth:`datetime.datetime.strptime`.

    ``None`` where the text is no such date, or lies outside 1900 to 2100.
    """
    if form is None:
        return read_dates([text]).get(text)
    try:
        day = dt.datetime.strptime(text.strip(), form).date()
    except ValueError:
        return None
    return day if EARLIEST <= day <= LATEST else None


def stored_date(text: str, zero: dt.date = EXCEL_ZERO) -> dt.date | None:
    """The date that Excel stores as this number of days, such as 45382; ``None`` for other text."""
    if not re.fullmatch(r"\d{5}", text):
        return None
    day = zero + dt.timedelta(int(text))
    return day if EARLIEST_STORED <= day <= LATEST else None


def months(days: float) -> float:
    """Days as months of 30.4375 days, to four decimals."""
    return round(days / DAYS_PER_MONTH, MONTH_DECIMALS)
