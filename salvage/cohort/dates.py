"""Calendar dates into months since the first CAR-T infusion. No date enters a cohort or a book:
they are kept only so that a message can name a wrong one as it was typed.

Beside each column ``x_month`` a file may hold a column ``x_date``; patients then need an
``infusion_date``. A month is 30.4375 days.
"""

from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort import schema
from salvage.cohort.cells import DATE_EXPECTED, months, parse_date, stored_date, text_of
from salvage.cohort.schema import TableSchema
from salvage.problems import Problem

INFUSION_DATE: Final = "infusion_date"
#: A table of text and the name of its file, by the table's name.
Tables = dict[str, tuple[pd.DataFrame, str]]
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


def to_months(tables: Tables, problems: list[Problem]) -> tuple[set[Place], Dated]:
    """Turn every date column of text tables into its month column, in ``tables`` itself.

    What is wrong is added to ``problems``. Returns the cells of months that are blank or doubtful
    because of a problem that is listed, and the dates that months were computed from.
    """
    reported: set[Place] = set()
    dated: Dated = {}
    infusion, bad = _infusion(tables, problems)
    for table in schema.TABLES:
        if table.name not in tables:
            continue
        frame, file = tables[table.name]
        present = {d: m for d, m in date_columns(table).items() if d in frame.columns}
        turned = frame.copy() if present else frame
        for date_name, month_name in present.items():
            wrong, lost = _turn(turned, date_name, month_name, file, infusion, bad)
            problems += wrong
            reported |= {(file, row, month_name) for row in (*(p.row for p in wrong), *lost)}
            dated[file, month_name] = frame.loc[frame[date_name] != "", date_name]
        gone = [*present, INFUSION_DATE] if table is schema.PATIENTS else list(present)
        tables[table.name] = (turned.drop(columns=gone, errors="ignore"), file)
    return reported, dated


def _infusion(tables: Tables, problems: list[Problem]) -> tuple["pd.Series[float]", set[str]]:
    """Day of each patient's infusion by id, missing where none is given; and ids with a bad one."""
    frame, file = tables.get("patients", (pd.DataFrame(), ""))
    if "patient_id" not in frame.columns:
        return pd.Series(dtype=float), set()
    text = frame.get(INFUSION_DATE, pd.Series("", index=frame.index, dtype=object))
    days = day_numbers(text)
    wrong = days.isna() & (text != "")
    problems += _unreadable(file, text[wrong])
    by_id = pd.Series(days.to_numpy(), index=pd.Index(frame["patient_id"]))
    return by_id[~by_id.index.duplicated()], set(frame.loc[wrong, "patient_id"])


def _unreadable(file: str, text: "pd.Series[str]") -> list[Problem]:
    """Cells that should be dates; Excel stores one as a number where its cell is no date's."""
    problems = []
    for row, value in zip(text.index, text, strict=True):
        stored = stored_date(value)
        hint = f"{stored}, which Excel stores as this number?" if stored else ""
        problems.append(Problem(file, int(row), str(text.name), value, DATE_EXPECTED, hint))
    return problems


def day_numbers(text: pd.Series, form: str | None = None) -> "pd.Series[float]":
    """Day number of each text, missing where :func:`parse_date` finds no date in it."""
    known = {value: parse_date(value, form) for value in text.unique()}
    days = {v: np.nan if d is None else float(d.toordinal()) for v, d in known.items()}
    return text.map(days).astype(float)


def _turn(
    frame: pd.DataFrame,
    date_name: str,
    month_name: str,
    file: str,
    infusion: "pd.Series[float]",
    bad: set[str],
) -> tuple[list[Problem], list[int]]:
    """Fill the column ``month_name`` of ``frame`` from ``date_name``.

    Returns the problems, and the rows whose date cannot be counted, since the infusion of the
    patient is not known.
    """
    dates = frame[date_name]
    present = dates != ""
    day = day_numbers(dates)
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
    problems = _unreadable(file, dates[unreadable])
    problems += [
        Problem(file, int(row), date_name, dates[row], expected[row])
        for row in frame.index[expected != ""]
    ]
    frame[month_name] = typed.where(months_since.isna() | differ, months_since.map(text_of))
    return problems, list(frame.index[present & origin.isna()])


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
