"""Calendar dates into months since the first CAR-T infusion. No date enters a cohort or a book:
they go on only to name a wrong one as it was typed.

Beside each column ``x_month`` a file may hold a column ``x_date``; patients then need an
``infusion_date``. A month is 30.4375 days.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort import schema
from salvage.cohort.cells import DATE_EXPECTED, months, parse_date, stored_date, text_of
from salvage.cohort.schema import Table
from salvage.problems import Problem

INFUSION_DATE: Final = "infusion_date"
Tables = dict[str, tuple[pd.DataFrame, str]]
Place = tuple[str, int | None, str]
Dated = dict[tuple[str, str], "pd.Series[str]"]


@dataclass
class Converted:
    """Tables without dates, and every problem.

    ``reported``: cells of months that are blank or doubtful because of a problem that is listed.
    ``dated``: by file and column of months, the dates as typed, under the name of their column.
    """

    tables: Tables = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: set[Place] = field(default_factory=set)
    dated: Dated = field(default_factory=dict)


def date_column(month_column: str) -> str:
    """The name of the date column that may stand for a month column."""
    return month_column.removesuffix("_month") + "_date"


def date_columns(table: Table) -> dict[str, str]:
    """The month column that each date column of ``table`` stands for."""
    return {date_column(c.name): c.name for c in table.columns if c.kind == "month"}


def to_months(tables: Tables) -> Converted:
    """Text tables with every date column turned into its month column and dropped."""
    made = Converted()
    infusion, bad = _infusion(tables, made.problems)
    for table in schema.TABLES:
        if table.name not in tables:
            continue
        frame, file = tables[table.name]
        if any(name in frame.columns for name in date_columns(table)):
            frame = frame.copy()
        for date_name, month_name in date_columns(table).items():
            if date_name in frame.columns:
                given = frame.loc[frame[date_name] != "", date_name]
                frame, found, lost = _one_column(frame, date_name, month_name, file, infusion, bad)
                made.problems += found
                rows = [*(problem.row for problem in found), *lost]
                made.reported |= {(file, row, month_name) for row in rows}
                made.dated[file, month_name] = given
        if table is schema.PATIENTS:
            frame = frame.drop(columns=INFUSION_DATE, errors="ignore")
        made.tables[table.name] = (frame, file)
    return made


def _infusion(tables: Tables, problems: list[Problem]) -> tuple["pd.Series[float]", set[str]]:
    """Day of each patient's infusion by id, missing where none is given; and ids with a bad one."""
    frame, file = tables.get("patients", (pd.DataFrame(columns=["patient_id"]), ""))
    if "patient_id" not in frame.columns:
        return pd.Series(dtype=float), set()
    if INFUSION_DATE not in frame.columns:
        ids = frame["patient_id"].drop_duplicates()
        return pd.Series(np.nan, index=pd.Index(ids), dtype=float), set()
    days = _days(frame[INFUSION_DATE])
    wrong = days.isna() & (frame[INFUSION_DATE] != "")
    problems += [
        _unreadable(file, int(row), INFUSION_DATE, str(frame.loc[row, INFUSION_DATE]))
        for row in frame.index[wrong]
    ]
    by_id = pd.Series(days.to_numpy(), index=pd.Index(frame["patient_id"]))
    return by_id[~by_id.index.duplicated()], set(frame.loc[wrong, "patient_id"])


def _unreadable(file: str, row: int, column: str, value: str) -> Problem:
    """A cell that should be a date; Excel stores one as a number where its cell is no date's."""
    stored = stored_date(value)
    hint = f"{stored}, which Excel stores as this number?" if stored else ""
    return Problem(file, row, column, value, DATE_EXPECTED, hint)


def _days(text: pd.Series) -> "pd.Series[float]":
    """Day number of each text; missing where it is no date."""
    known = {value: parse_date(value) for value in text.unique()}
    return text.map({v: np.nan if d is None else float(d.toordinal()) for v, d in known.items()})


def _one_column(
    frame: pd.DataFrame,
    date_name: str,
    month_name: str,
    file: str,
    infusion: "pd.Series[float]",
    bad: set[str],
) -> tuple[pd.DataFrame, list[Problem], list[int]]:
    """``frame`` with the column ``date_name`` turned into ``month_name``; its problems; and the
    rows whose date cannot be counted, since the infusion of the patient is not known.
    """
    dates = frame[date_name]
    given = dates != ""
    day = _days(dates).astype(float)
    ids = frame.get("patient_id", pd.Series("", index=frame.index))
    origin = ids.map(infusion).astype(float)
    typed = frame.get(month_name, pd.Series("", index=frame.index))
    unreadable = given & day.isna()
    no_origin = given & ids.isin(infusion.index) & ~ids.isin(bad) & origin.isna()
    early = given & (day < origin)
    turned = (day - origin).where(given & ~early).map(months, na_action="ignore")
    both = turned.notna() & (typed != "")
    differ = both & ~pd.Series(
        [bool(b) and _same(t, m) for b, t, m in zip(both, typed, turned, strict=True)],
        index=frame.index,
        dtype=bool,
    )
    expected = pd.Series("", index=frame.index, dtype=object)
    expected[no_origin] = f"an {INFUSION_DATE} of this patient in the patients table"
    expected[early] = "a date no earlier than the first CAR-T infusion"
    for row in frame.index[differ]:
        expected[row] = (
            f"the same time as {month_name} {typed[row]} "
            f"(the date is month {text_of(turned[row])}); give one of the two"
        )
    expected[unreadable] = ""
    problems = [
        _unreadable(file, int(r), date_name, str(dates[r])) for r in frame.index[unreadable]
    ]
    problems += [
        Problem(file, int(row), date_name, str(dates[row]), expected[row])
        for row in frame.index[expected != ""]
    ]
    frame[month_name] = typed.where(turned.isna() | differ, turned.map(text_of))
    return frame.drop(columns=date_name), problems, list(frame.index[given & origin.isna()])


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
