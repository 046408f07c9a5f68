"""One cell: whatever a file holds becomes plain text, a date, or months, and is never run.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break can act as a formula in a
spreadsheet. :func:`guarded` puts an apostrophe before it in every CSV file that is written, and
:func:`unguarded` takes it away again when such a file is read.
"""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import pandas as pd

DAYS_PER_MONTH: Final = 30.4375
MONTH_DECIMALS: Final = 4
"""A day is 0.0329 months: four decimals keep every two days apart and equal days equal."""
EXCEL_ZERO: Final = dt.date(1899, 12, 30)
EARLIEST: Final = dt.date(1950, 1, 1)
LATEST: Final = dt.date(2100, 12, 31)
DATE_EXPECTED: Final = "a date as year-month-day, such as 2024-03-31"

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_DATE: Final = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|年(\d{1,2})月(\d{1,2})日?)"
    r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?"
)
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


def parse_date(text: str, form: str | None = None) -> dt.date | None:
    """A date written year first (2024-3-31, 2024/3/31, 2024年3月31日), or as ``form`` says.

    ``form`` is a pattern of :meth:`datetime.datetime.strptime`. Times of day are dropped. ``None``
    where the text is no such date, or lies outside 1950 to 2100.
    """
    try:
        if form is not None:
            day = dt.datetime.strptime(text.strip(), form).date()
        else:
            match = _DATE.fullmatch(text.strip())
            if match is None:
                return None
            month, number = match[3] or match[5], match[4] or match[6]
            day = dt.date(int(match[1]), int(month), int(number))
    except ValueError:
        return None
    return day if EARLIEST <= day <= LATEST else None


def stored_date(text: str) -> dt.date | None:
    """The date that Excel stores as this number of days, such as 45382; ``None`` for other text."""
    if not re.fullmatch(r"\d{5}", text):
        return None
    day = EXCEL_ZERO + dt.timedelta(int(text))
    return day if EARLIEST <= day <= LATEST else None


def months(days: float) -> float:
    """Days as months of 30.4375 days, to four decimals."""
    return round(days / DAYS_PER_MONTH, MONTH_DECIMALS)
