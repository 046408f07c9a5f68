"""Read and check a cohort. Whoever holds a :class:`Cohort` knows that it passed every check.

A rule between cells, rows or tables that makes a cohort unusable is one more problem in
:func:`_relations`; one that is only worth a second look belongs to :mod:`salvage.cohort.unusual`.
What a single cell may hold stands in the schema.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from salvage import words
from salvage.cohort import schema
from salvage.cohort.cells import DAYS_PER_MONTH
from salvage.cohort.model import Cohort
from salvage.cohort.readers import Source, read
from salvage.cohort.study import Study
from salvage.cohort.typed import NUMBER, TypedTable, in_order, plain_id, read_table, unused_columns
from salvage.cohort.unusual import unusual
from salvage.problems import InputError, Problem, printable

Tables = dict[str, TypedTable]

_WITHIN_LINE: Final = ("response_month", "response_end_month", "progression_month", "end_month")
#: Columns that are not used are named up to this number.
NAMED_COLUMNS: Final = 20
#: What the rows of a patient are sorted by.
_SORT_KEYS: Final = {
    "patients": (),
    "salvage": ("line",),
    "adverse_events": ("line", "onset_month", "term"),
}


class CohortError(InputError):
    """A cohort that cannot be used; ``problems`` lists every reason at once."""


# --- reading and checking -------------------------------------------------------------------------


def load(path: Path) -> Cohort:
    """The cohort in a folder or workbook. Raises :class:`CohortError` that lists all its errors."""
    return _sound(f"The cohort {Path(path).name} cannot be used", *check(path))


def from_tables(study: Study, tables: Mapping[str, pd.DataFrame]) -> Cohort:
    """A cohort made of text tables by their names. Raises :class:`CohortError` as :func:`load`."""
    source = Source(study, {name: (frame, name) for name, frame in tables.items()})
    return _sound("The cohort cannot be used", *check_source(source))


def _sound(subject: str, cohort: Cohort | None, problems: list[Problem]) -> Cohort:
    if cohort is None:
        raise CohortError(subject, problems)
    return cohort


def check(path: Path) -> tuple[Cohort | None, list[Problem]]:
    """The cohort at ``path`` and its warnings, or ``None`` and every error."""
    return check_source(read(Path(path)))


def check_source(source: Source) -> tuple[Cohort | None, list[Problem]]:
    """The cohort made of text tables and its warnings, or ``None`` and every error."""
    problems: list[Problem] = []
    tables: Tables = {}
    left_out = list(source.left_out)
    for table in schema.TABLES:
        blank = pd.DataFrame(columns=list(table.names), dtype=str)
        text, file = source.tables.get(table.name, (blank, table.name))
        tables[table.name], wrong = read_table(text, table, file)
        if table.name in source.tables:
            problems += [p for p in wrong if (p.file, p.row, p.column) not in source.reported]
            unused = unused_columns(text, table)
            left_out += [f"{file}: not used, {_named(unused)}"] if unused else []
    tables = _numbered(tables)
    if all(table.name in source.tables for table in schema.TABLES if table.required):
        problems += _relations(tables)
    # A problem of the source names its own cell already.
    problems = [*source.problems, *(_as_typed(p, source) for p in problems)]
    if problems:
        return None, sorted(problems, key=lambda p: (p.file, p.row or 0, p.column))
    warnings = unusual(tables)  # the book prints them: in months, without a date
    patients, salvage, adverse_events = (
        _sorted(tables[name].frame, keys) for name, keys in _SORT_KEYS.items()
    )
    cohort = Cohort(
        source.study,
        patients.astype({"died": bool}),
        salvage.astype({"line": int}),
        adverse_events,
        tuple(warnings),
        tuple(left_out),
    )
    return cohort, warnings


def summary_lines(cohort: Cohort, name: str) -> Iterator[str]:
    """What ``check`` prints of the cohort ``name``, which has no errors, line by line.

    Its size; every warning, if there are any; and what was there and is no part of it.
    """
    sizes = [
        words.count(len(cohort.patients), "patient"),
        words.count(len(cohort.salvage), "salvage line"),
        words.count(len(cohort.adverse_events), "adverse event"),
    ]
    yield f"{name}: {words.listing(sizes)}; no errors."
    if cohort.warnings:
        yield f"{words.count(len(cohort.warnings), 'warning')}, worth a second look:"
        yield from (f"  {warning}" for warning in cohort.warnings)
    if cohort.left_out:
        yield "Left out:"
        yield from (f"  {line}" for line in cohort.left_out)


def _named(columns: list[str]) -> str:
    """How many columns there are, and the names of the first few."""
    shown = [printable(name) for name in columns[:NAMED_COLUMNS]]
    more = [f"{len(columns) - len(shown)} more"] if len(columns) > len(shown) else []
    return f"{words.count(len(columns), 'column')}: {words.listing(shown + more)}"


def _numbered(tables: Tables) -> Tables:
    """Tables with a ``NUMBER`` for each patient, in the order of their ids; -1 for a missing id.

    Whole numbers are compared, joined and sorted many times as fast as text.
    """
    ids = pd.concat([table.frame["patient_id"] for table in tables.values()])
    codes, _ = pd.factorize(ids, sort=True)
    ends = np.cumsum([len(table.frame) for table in tables.values()])[:-1]
    return {
        name: replace(table, frame=table.frame.assign(**{NUMBER: numbers}))
        for (name, table), numbers in zip(tables.items(), np.split(codes, ends), strict=True)
    }


def _as_typed(problem: Problem, source: Source) -> Problem:
    """A problem of a month, named at the cell of the date from which the month was computed.

    For the terminal alone: no date enters the book.
    """
    typed = source.dated.get((problem.file, problem.column))
    if typed is None or problem.row is None or problem.row not in typed.index:
        return problem
    return replace(problem, column=str(typed.name), value=str(typed[problem.row]))


def _sorted(frame: pd.DataFrame, keys: tuple[str, ...]) -> pd.DataFrame:
    """Rows by patient and ``keys``, missing values last; without the patients' numbers."""
    order = np.lexsort([_ranks(frame[key]) for key in (*reversed(keys), NUMBER)])
    return frame.iloc[order].reset_index(drop=True).drop(columns=NUMBER)


def _ranks(values: pd.Series) -> np.ndarray:
    """Whole numbers in the order of ``values``; missing values come last."""
    codes, distinct = pd.factorize(values.to_numpy(), sort=True)
    return np.where(codes < 0, len(distinct), codes)


# --- rows against rows ----------------------------------------------------------------------------


def _relations(tables: Tables) -> list[Problem]:
    """Errors that show only between cells, rows or tables."""
    patients, salvage, adverse_events = (tables[table.name] for table in schema.TABLES)
    problems = _repeated(patients, [NUMBER], "patient_id", "each patient once")
    problems += _order(patients, "relapse_month", "os_month", "no later than os_month")
    known = patients.frame[patients.frame[NUMBER] >= 0].drop_duplicates(NUMBER)
    known = known.set_index(NUMBER)[["relapse_month", "os_month"]]
    for table in (salvage, adverse_events):
        # Where no patient has an id, that is said once, in the patients table.
        numbers = table.frame[NUMBER]
        unknown = (numbers >= 0) & ~numbers.isin(known.index) & (len(known) > 0)
        strangers = table.problems(unknown, "patient_id", "an id of the patients table")
        problems += _with_near_ids(strangers, patients.frame["patient_id"])
    problems += _line_problems(replace(salvage, frame=salvage.frame.join(known, on=NUMBER)))
    adverse_events = replace(adverse_events, frame=adverse_events.frame.join(known, on=NUMBER))
    expected = "no later than death or last contact"
    problems += _order(adverse_events, "onset_month", "os_month", expected)
    events = adverse_events.frame
    absent = events["line"].notna() & ~_line_keys(events).isin(_line_keys(salvage.frame))
    expected = "a line of this patient in the salvage table"
    return problems + adverse_events.problems(
        absent & events[NUMBER].isin(known.index), "line", expected
    )


def _with_near_ids(problems: list[Problem], ids: pd.Series) -> list[Problem]:
    """Unknown ids with the one that differs by capitals, marks or zeros alone."""
    alike: dict[str, list[str]] = {}
    for known in ids.dropna().unique() if problems else ():
        alike.setdefault(plain_id(known), []).append(known)
    found = []
    for problem in problems:
        near = alike.get(plain_id(problem.value), [])
        hint = f"{' or '.join(near)}?" if near else ""
        found.append(replace(problem, hint=hint, cure=near[0] if len(near) == 1 else None))
    return found


def _line_keys(frame: pd.DataFrame) -> "pd.Series[float]":
    """One number for each patient and line, the same in every table."""
    most = schema.SALVAGE.column("line").high or 0
    return frame[NUMBER] * (most + 1) + frame["line"]


def _line_problems(salvage: TypedTable) -> list[Problem]:
    """Errors of salvage lines; the table has each patient's relapse and last contact too."""
    problems = _repeated(salvage, [NUMBER, "line"], "line", "each line of a patient once")
    start, end = "start_month", "response_end_month"
    frame = salvage.frame
    days = ((frame["relapse_month"] - frame[start]) * DAYS_PER_MONTH).round()
    early = days > schema.EARLY_START_DAYS
    limits = frame.loc[early, "relapse_month"]
    expected = f"no earlier than {schema.EARLY_START_DAYS} days before the relapse"
    reasons = limits.map(lambda month: f"{expected} (relapse_month {month:g})")
    problems += salvage.problems(early, start, reasons)
    expected = "no later than death or last contact"
    for column in (start, *_WITHIN_LINE):
        problems += _order(salvage, column, "os_month", expected)
    expected = "no earlier than the start of the line"
    for column in _WITHIN_LINE:
        problems += _order(salvage, start, column, expected, column=column)
    expected = "no earlier than the response"
    problems += _order(salvage, "response_month", end, expected, column=end)
    return problems + _sequence(salvage)


def _repeated(table: TypedTable, keys: list[str], column: str, expected: str) -> list[Problem]:
    frame = table.frame
    again = frame.duplicated(keys) & (frame[NUMBER] >= 0) & frame[keys].notna().all(axis=1)
    return table.problems(again, column, expected)


def _order(
    table: TypedTable, first: str, second: str, expected: str, column: str = ""
) -> list[Problem]:
    """Rows in which ``first`` is later than ``second``; equal months are allowed.

    The problem is one of ``column``, which is one of the two; of ``first`` if it is not named.
    """
    wrong = table.frame[first] > table.frame[second]
    limit = first if column == second else second
    limits = table.frame.loc[wrong, limit]
    reasons = limits.map(lambda month: f"{expected} ({limit} {month:g})")
    return table.problems(wrong, column or first, reasons)


def _sequence(salvage: TypedTable) -> list[Problem]:
    """Line numbers with gaps, and a later line that starts earlier."""
    frame = salvage.frame
    lines = in_order(frame[(frame[NUMBER] >= 0) & frame["line"].notna()])
    lines = lines.drop_duplicates([NUMBER, "line"])
    rank = lines.groupby(NUMBER).cumcount() + 1
    before = lines.groupby(NUMBER)["start_month"].shift()
    gap, early = lines["line"] != rank, lines["start_month"] < before
    ordered = replace(salvage, frame=lines)
    expected = rank[gap].map(lambda number: f"line numbers 1, 2, 3 without gaps (here {number})")
    problems = ordered.problems(gap, "line", expected)
    expected = before[early].map(lambda month: f"no earlier than the line before it ({month:g})")
    return problems + ordered.problems(early, "start_month", expected)
