"""Times of a source as days, and what is said of the dates that were read."""

import datetime as dt
from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from salvage.cohort.cells import DATE_EXPECTED, EARLIEST
from salvage.cohort.dates import day_numbers
from salvage.cohort.importing.mapping import AUTO_DATE, UNIT_DAYS, Time
from salvage.cohort.schema import Column
from salvage.cohort.typed import read_column

#: Ways to write a date that are tried beside those of the mapping.
USUAL: Final = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y",
                 "%d%b%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%Y%m%d", AUTO_DATE)  # fmt: skip


def numbers(text: pd.Series) -> "pd.Series[float]":
    """Numbers of a text column, missing where there is none; a decimal comma is read."""
    values, _ = read_column(text, Column("", "number", ""), "")
    return values.astype(float)


def days(text: pd.Series, time: Time, beside: Iterable[str] = ()) -> "pd.Series[float]":
    """Texts as days: numbers in a unit, or dates as day numbers.

    A date that two of the patterns read as different days is missing. Texts ``beside`` these may
    tell day from month, where no pattern does.
    """
    if not time.date:
        return numbers(text) * UNIT_DAYS[time.unit_of_months]
    readings = pd.concat([_read(text, form, beside) for form in time.date], axis=1)
    first = readings.min(axis=1)
    return first.where(first == readings.max(axis=1))


def since(found: "pd.Series[float]", zero: "pd.Series[float]", time: Time) -> "pd.Series[float]":
    """Days since time zero. Beside a time zero that is a date, a number counts from it already."""
    is_calendar = zero >= EARLIEST.toordinal()
    return found - zero.mask(is_calendar, 0.0) if not time.date else found - zero


def _read(text: pd.Series, form: str, beside: Iterable[str]) -> "pd.Series[float]":
    return day_numbers(text, None if form == AUTO_DATE else form, beside)


def expects(time: Time, column: Column) -> str:
    """What a text must be so that a time can be read from it."""
    if time.date == (AUTO_DATE,):
        return DATE_EXPECTED
    if time.date:
        return f"a date written as {' or '.join(time.date)}"
    return f"a number of {time.unit_of_months}" if column.kind == "month" else "a number"


@dataclass(frozen=True)
class DatesRead:
    """The dates that one column is made from, and how many of the cells each pattern would read.

    ``better`` is a pattern that reads more of them than the mapping's, if there is one, and
    ``contradicts`` says that it reads another day in some cell that both read.
    """

    source: str
    column: str
    written: str
    cells: int
    read: int
    earliest: dt.date | None
    latest: dt.date | None
    by_pattern: AbstractMapping[str, int]
    better: str
    contradicts: bool


def dates_read(
    text: pd.Series, time: Time, source: str, column: str, beside: Iterable[str]
) -> DatesRead:
    """What is said of the dates in ``text``, in which no cell is blank."""
    counts = text.value_counts()
    distinct = pd.Series(counts.index, index=counts.index)
    day = days(distinct, time, beside)
    read = int(counts[day.notna()].sum())
    # Of a pattern with another order of day and month, or with a time, no usual one may be a twin.
    swapped = [
        form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
        for form in time.date
        if form != AUTO_DATE
    ]
    readings = {form: _read(distinct, form, beside) for form in dict.fromkeys((*USUAL, *swapped))}
    by_pattern = {form: int(counts[found.notna()].sum()) for form, found in readings.items()}
    most = max(by_pattern, key=by_pattern.__getitem__)
    better = most if by_pattern[most] > read else ""
    contradicts = bool(((readings[most] != day) & readings[most].notna() & day.notna()).any())
    return DatesRead(
        source,
        column,
        " or ".join(time.date),
        len(text),
        read,
        _date(day.min()),
        _date(day.max()),
        {form: number for form, number in by_pattern.items() if number},
        better,
        bool(better) and contradicts,
    )


def _date(day: float) -> dt.date | None:
    return None if pd.isna(day) else dt.date.fromordinal(int(day))
