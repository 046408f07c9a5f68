"""Calendar dates into months since the first CAR-T infusion. No date enters a cohort or a book:
they are kept only so that a message can name a wrong one as it was typed.

Beside each column ``x_month`` a file may hold a column ``x_date``; patients then need an
``infusion_date``. A month is 30.4375 days.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort import schema
from salvage.cohort.cells import (
    DATE_EXPECTED,
    EXCEL_ZERO,
    date_meanings,
    months,
    parse_date,
    read_dates,
    stored_date,
    text_of,
)
from salvage.cohort.schema import TableSchema
from salvage.problems import Problem

INFUSION_DATE: Final = "infusion_date"
#: A table of text and the name of its file, by the table's name.
Tables = dict[str, tuple[pd.DataFrame, str]]
#: What parts a workbook's name from a sheet's in messages.
SHEET: Final = ", sheet "
#: File, row and column of a cell.
Place = tuple[str, int | None, str]
#: By file and column of months, the dates as typed, under the name of their column.
Dated = dict[tuple[str, str], "pd.Series[str]"]


def date_column(month_column: str) -> str:
    """The name of the date column that may stand for a month column."""
    return month_column.removesuffix("_month") + "_date"


def date_columns(table: TableSchema) -> dict[str, str]:
    """The month column that each date column of ``table`` stands for."""
    return {date_column(c.name): c.name for c in table.columns if c.kind == "month"}


def columns_of_dates(tables: Tables) -> "Iterator[tuple[str, str, pd.Series[str]]]":
    """Table, file and texts of each column of dates; the infusion is one of the patients table."""
    for table in schema.TABLES:
        frame, file = tables.get(table.name, (pd.DataFrame(), ""))
        infusion = [INFUSION_DATE] if table is schema.PATIENTS else []
        for name in (*infusion, *date_columns(table)):
            if name in frame.columns:
                yield table.name, file, frame[name]


def beside(tables: Tables, file: str) -> set[str]:
    """Every text in a column of dates of a file; the sheets of a workbook are one file."""
    book = file.partition(SHEET)[0]
    columns = [text for _, f, text in columns_of_dates(tables) if f.partition(SHEET)[0] == book]
    return {text for column in columns for text in column.unique()}


def to_months(
    tables: Tables, problems: list[Problem], zero: dt.date = EXCEL_ZERO
) -> tuple[set[Place], Dated]:
    """Turn every date column of text tables into its month column, in ``tables`` itself.

    What is wrong is added to ``problems``. ``zero`` is the day from which Excel counted the days
    that it stored. Returns the cells of months that are blank or doubtful because of a problem that
    is listed, and the dates that months were computed from.
    """
    reported: set[Place] = set()
    dated: Dated = {}
    days = {}
    for name, file, text in columns_of_dates(tables):
        days[name, str(text.name)] = day_numbers(text, others=beside(tables, file))
        problems += _unreadable(file, text[(text != "") & days[name, str(text.name)].isna()], zero)
    infusion, bad = _infusion(tables, days)
    for table in schema.TABLES:
        if table.name not in tables:
            continue
        frame, file = tables[table.name]
        present = {d: m for d, m in date_columns(table).items() if d in frame.columns}
        turned = frame.copy() if present else frame
        for date_name, month_name in present.items():
            day = days[table.name, date_name]
            wrong, lost = _turn(turned, date_name, month_name, file, day, infusion, bad)
            problems += wrong
            rows = (*(p.row for p in wrong), *lost)
            reported |= {(file, row, month_name) for row in rows}
            dated[file, month_name] = frame.loc[frame[date_name] != "", date_name]
        gone = [*present, INFUSION_DATE] if table is schema.PATIENTS else list(present)
        tables[table.name] = (turned.drop(columns=gone, errors="ignore"), file)
    return reported, dated


def _infusion(
    tables: Tables, days: "dict[tuple[str, str], pd.Series[float]]"
) -> tuple["pd.Series[float]", set[str]]:
    """Day of each patient's infusion by id, missing where none is given; and ids with a bad one."""
    frame, _ = tables.get("patients", (pd.DataFrame(), ""))
    if "patient_id" not in frame.columns:
        return pd.Series(dtype=float), set()
    nothing = pd.Series(np.nan, index=frame.index)
    day = days.get(("patients", INFUSION_DATE), nothing)
    text = frame.get(INFUSION_DATE, pd.Series("", index=frame.index, dtype=object))
    by_id = pd.Series(day.to_numpy(), index=pd.Index(frame["patient_id"]))
    bad = set(frame.loc[day.isna() & (text != ""), "patient_id"])
    return by_id[~by_id.index.duplicated()], bad


def _unreadable(file: str, text: "pd.Series[str]", zero: dt.date) -> Iterator[Problem]:
    """Cells that should be dates; Excel stores one as a number where its cell is no date's."""
    for row, value in zip(text.index, text, strict=True):
        stored = stored_date(value, zero)
        meant = sorted({day.isoformat() for day in date_meanings(value).values()})
        hint, cure = f"{' or '.join(meant)}?" if meant else "", None
        if stored:
            hint, cure = f"{stored}, which Excel stores as this number?", stored.isoformat()
        column = str(text.name)
        yield Problem(file, int(row), column, value, DATE_EXPECTED, hint, cure)


def day_numbers(
    text: pd.Series, form: str | None = None, others: Iterable[str] = ()
) -> "pd.Series[float]":
    """Day number of each text, missing where :func:`parse_date` finds no date in it.

    Without a ``form`` the column itself, or ``others`` of its file, may tell day from month.
    """
    texts = list(text.unique())
    known = read_dates(texts, others) if form is None else {t: parse_date(t, form) for t in texts}
    days = {t: float(d.toordinal()) for t, d in known.items() if d is not None}
    return text.map(days).astype(float)


def _turn(
    frame: pd.DataFrame,
    date_name: str,
    month_name: str,
    file: str,
    day: "pd.Series[float]",
    infusion: "pd.Series[float]",
    bad: set[str],
) -> tuple[list[Problem], list[int]]:
    """Fill the column ``month_name`` of ``frame`` from the ``day`` numbers of ``date_name``.

    Returns the problems, and the rows whose date cannot be counted, since the infusion of the
    patient is not known.
    """
    dates = frame[date_name]
    present = dates != ""
    blank = pd.Series("", index=frame.index, dtype=object)
    ids, typed = frame.get("patient_id", blank), frame.get(month_name, blank)
    origin = ids.map(infusion).astype(float)
    early = present & (day < origin)
    months_since = (day - origin).where(present & ~early).map(months, na_action="ignore")
    both = months_since.notna() & (typed != "")
    same = [not b or _same(t, m) for b, t, m in zip(both, typed, months_since, strict=True)]
    differ = both & ~pd.Series(same, index=frame.index, dtype=bool)
    expected = blank.copy()
    no_origin = present & ids.isin(infusion.index) & ~ids.isin(bad) & origin.isna()
    expected[no_origin] = f"an {INFUSION_DATE} of this patient in the patients table"
    expected[early] = "a date no earlier than the first CAR-T infusion"
    for row in frame.index[differ]:
        expected[row] = (
            f"the same time as {month_name} {typed[row]} "
            f"(the date is month {text_of(months_since[row])}); give one of the two"
        )
    unreadable = present & day.isna()
    expected[unreadable] = ""
    problems = [
        Problem(file, int(row), date_name, dates[row], expected[row])
        for row in frame.index[expected != ""]
    ]
    frame[month_name] = typed.where(months_since.isna() | differ, months_since.map(text_of))
    return problems, list(frame.index[unreadable | (present & origin.isna())])


def _same(typed: str, exact: float) -> bool:
    """Whether ``exact`` rounds to ``typed`` at the decimals that it was typed with."""
    try:
        value = float(typed.replace(",", "."))
    except ValueError:
        return False
    decimals = len(typed.replace(",", ".").partition(".")[2])
    half = 0.5 * 10.0**-decimals
    # A value half way between two decimals may have been rounded either way.
    return abs(value - exact) <= half * (1 + 1e-6)
