"""Read and check a cohort. Whoever holds a :class:`Cohort` knows that it passed every check."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salvage import words
from salvage.cohort import schema
from salvage.cohort.cells import parse_date, stored_date
from salvage.cohort.dates import INFUSION_DATE, date_column
from salvage.cohort.model import Cohort
from salvage.cohort.readers import Source, in_another_unit, read
from salvage.cohort.schema import Column, Table
from salvage.cohort.study import Study
from salvage.problems import InputError, Problem

MANY_MONTHS = 240.0
FATAL_GRADE = 5
LONG_GAP_MONTHS = 24.0
ADULT_YEARS = 18
_MONTH_DECIMALS = 9
_INTEGERS = ("integer",)
_NUMERIC = ("integer", "number", "month", "flag")
_WITHIN_LINE = ("response_month", "response_end_month", "progression_month", "end_month")
#: Column that numbers the patients while a cohort is checked.
NUMBER = "number"
_NOT_OF_AN_ID = re.compile(r"[\W_]+")
#: What the rows of a patient are sorted by.
SORT_KEYS: dict[str, list[str]] = {
    "patients": [],
    "salvage": ["line"],
    "adverse_events": ["line", "onset_month", "term"],
}


class CohortError(InputError):
    """A cohort that cannot be used; ``problems`` lists every reason at once."""


def load(path: Path) -> Cohort:
    """Read and check the cohort at ``path``; :class:`CohortError` lists all that is wrong."""
    cohort, problems = check(path)
    if cohort is None:
        raise CohortError(f"The cohort {Path(path).name} cannot be used", problems)
    return cohort


def check(path: Path) -> tuple[Cohort | None, list[Problem]]:
    """The cohort at ``path`` and its warnings, or ``None`` and every error."""
    return check_source(read(Path(path)))


def from_tables(study: Study, tables: Mapping[str, pd.DataFrame]) -> Cohort:
    """A cohort made of text tables by their names; :class:`CohortError` as in :func:`load`."""
    source = Source(study, {name: (frame, name) for name, frame in tables.items()})
    cohort, problems = check_source(source)
    if cohort is None:
        raise CohortError("The cohort cannot be used", problems)
    return cohort


def told(cohort: Cohort, name: str) -> Iterator[str]:
    """What a check that found no error tells of a cohort, line by line."""
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


def check_source(source: Source) -> tuple[Cohort | None, list[Problem]]:
    """The cohort made of text tables and its warnings, or ``None`` and every error."""
    raw, problems = source.tables, list(source.problems)
    frames: dict[str, pd.DataFrame] = {}
    for table in schema.TABLES:
        if table.name in raw:
            frame, found = _typed(raw[table.name][0], table, raw[table.name][1])
            problems += [p for p in found if (p.file, p.row, p.column) not in source.reported]
        else:
            frame = _typed(pd.DataFrame(columns=list(table.names), dtype=str), table, table.name)[0]
        frames[table.name] = frame
    files = {name: file for name, (_, file) in raw.items()}
    frames = _numbered(frames)
    if all(table.name in raw for table in schema.TABLES if table.required):
        problems += _relations(frames, files)
    if problems:
        problems = [_as_typed(p, source) for p in problems]
        return None, sorted(problems, key=lambda p: (p.file, p.row or 0, p.column))
    warnings = _unusual(frames, files)  # the book prints them: in months, without a date
    for name, keys in SORT_KEYS.items():
        frames[name] = _sorted(frames[name], keys).drop(columns=NUMBER)
    patients = frames["patients"].astype({"died": bool})
    salvage = frames["salvage"].astype({"line": int})
    events = frames["adverse_events"]
    made = Cohort(source.study, patients, salvage, events, tuple(warnings), tuple(source.left_out))
    return made, warnings


def _as_typed(problem: Problem, source: Source) -> Problem:
    """A problem of a month at the cell that it was typed in, if that holds a date.

    For the terminal alone.
    """
    typed = source.dated.get((problem.file, problem.column))
    if typed is None or problem.row is None or problem.row not in typed.index:
        return problem
    return replace(problem, column=str(typed.name), value=str(typed[problem.row]))


def _typed(text: pd.DataFrame, table: Table, file: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Text cells as the schema's types; unreadable cells become missing and are listed."""
    problems = _header_problems(text, table, file)
    columns: dict[str, pd.Series] = {}
    for column in table.columns:
        if column.name in text.columns:
            values, found = read_column(text[column.name], column, file)
            problems += found
        else:
            values = _missing(column, text.index)
        columns[column.name] = values
    return pd.DataFrame(columns, index=text.index), problems


def _header_problems(text: pd.DataFrame, table: Table, file: str) -> list[Problem]:
    problems = []
    given = list(text.columns)
    unknown = [name for name in given if name not in table.names]
    counted = {name: month for name in unknown if (month := in_another_unit(name, table))}
    for column in table.columns:
        if column.required and column.name not in (*given, *counted.values()):
            near = difflib.get_close_matches(column.name, unknown, n=1)
            hint = f"{near[0]} renamed to {column.name}?" if near else ""
            expected = f"this column: {column.meaning[:1].lower()}{column.meaning[1:]}"
            problems.append(Problem(file, 1, column.name, "", expected, hint))
    for name, month in counted.items():
        expected = f"{month}, in months: the name says another unit"
        problems.append(Problem(file, 1, name, "", expected))
    for name in unknown:
        if name in counted:
            continue
        near = difflib.get_close_matches(name, table.names, n=1)
        hint = f"{near[0]}?" if near else ""
        problems.append(Problem(file, 1, name, "", "a column of the data dictionary", hint))
    if table.required and not len(text) and len(given):
        problems.append(Problem(file, None, "", "", "at least one row"))
    return problems


def _missing(column: Column, index: pd.Index) -> pd.Series:
    dtype = float if column.kind in _NUMERIC else object
    return pd.Series(np.nan if dtype is float else None, index=index, dtype=dtype)


def read_column(text: pd.Series, column: Column, file: str) -> tuple[pd.Series, list[Problem]]:
    """The cells of one column as values, and every problem; each distinct text is read once."""
    codes, distinct = pd.factorize(text)
    cells = np.asarray(distinct, dtype=object)
    blank = cells == ""
    if column.kind in _NUMERIC:
        values, wrong = _numbers(pd.Series(cells, dtype=str), column)
    else:
        values = cells.copy()
        values[blank] = None
        wrong = np.zeros(len(cells), dtype=bool)
        if column.kind == "code":
            wrong = ~np.isin(cells.astype(str), list(column.codes))
    wrong &= ~blank
    problems: list[Problem] = []
    for code in np.flatnonzero(wrong):
        value = str(cells[code])
        hint = _suggest(value, column)
        rows = text.index[codes == code]
        problems += [_problem(file, row, column.name, value, column.expects, hint) for row in rows]
    if column.required and blank.any():
        rows = text.index[blank[codes]]
        expected = f"a value ({column.expects}); the cell is blank"
        problems += [_problem(file, row, column.name, "", expected) for row in rows]
    return pd.Series(values[codes], index=text.index, dtype=values.dtype), problems


def _numbers(text: pd.Series, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a text column, and which cells are not what the column expects.

    A decimal comma is read, except before exactly three digits, where it might part thousands.
    Months keep nine decimals, so that 4.1000000000000005 from a spreadsheet is 4.1.
    """
    comma = text.str.fullmatch(r"[+-]?[0-9]+,([0-9]{1,2}|[0-9]{4,})")
    plain = text.where(~comma, text.str.replace(",", ".", regex=False))
    shaped = plain.str.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
    values = pd.to_numeric(plain.where(shaped), errors="coerce").astype(float)
    if column.kind == "month":
        values = values.round(_MONTH_DECIMALS)
    wrong = values.isna() | ~np.isfinite(values)
    if column.kind == "flag":
        wrong |= ~values.isin([0, 1])
    if column.kind in _INTEGERS:
        wrong |= values != np.floor(values)
    if column.low is not None:
        wrong |= values < column.low
    if column.high is not None:
        wrong |= values > column.high
    return values.where(~wrong).to_numpy(dtype=float), wrong.to_numpy(dtype=bool)


def _suggest(value: str, column: Column) -> str:
    """The code whose key or meaning is nearest to ``value``, as ``CR?``."""
    plain = value.lower()
    if plain in words.WRITTEN_MISSING and column.required:
        return "NE?" if "NE" in column.codes else ""
    if plain in words.WRITTEN_MISSING:
        return "a blank cell, which means missing?"
    if column.kind == "flag":
        return words.WRITTEN_FLAGS.get(plain, "")
    if column.kind == "month" and (parse_date(value) or stored_date(value)):
        return f"{date_column(column.name)} as the column of dates, with {INFUSION_DATE}?"
    if column.kind in _INTEGERS and plain.rstrip("ab") in words.ROMAN:
        return f"{words.ROMAN.index(plain.rstrip('ab')) + 1}?"
    if column.kind != "code":
        return ""
    if words.WRITTEN_CODES.get(plain) in column.codes:
        return f"{words.WRITTEN_CODES[plain]}?"
    by_text = {code.lower(): code for code in column.codes}
    for code, meaning in column.codes.items():
        by_text.setdefault(meaning.lower(), code)
        by_text.setdefault(meaning.lower().split()[0], code)
    near = difflib.get_close_matches(value.lower(), list(by_text), n=1)
    return f"{by_text[near[0]]}?" if near else ""


def _numbered(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables with a ``NUMBER`` for each patient, in the order of their ids; -1 for a missing id.

    Whole numbers are compared, joined and sorted many times as fast as text.
    """
    ids = pd.concat([frame["patient_id"] for frame in frames.values()])
    codes, _ = pd.factorize(ids, sort=True)
    ends = np.cumsum([len(frame) for frame in frames.values()])[:-1]
    numbers = np.split(codes, ends)
    return {
        name: frame.assign(**{NUMBER: number})
        for (name, frame), number in zip(frames.items(), numbers, strict=True)
    }


def _relations(frames: dict[str, pd.DataFrame], files: dict[str, str]) -> list[Problem]:
    """Errors that show only between cells, rows or tables."""
    patients, salvage, adverse = (frames[table.name] for table in schema.TABLES)
    file = files["patients"]
    problems = _repeated(patients, [NUMBER], file, "patient_id", "each patient once")
    problems += _order(patients, "relapse_month", "os_month", file, "no later than os_month")
    known = patients[patients[NUMBER] >= 0].drop_duplicates(NUMBER)
    known = known.set_index(NUMBER)[["relapse_month", "os_month"]]
    for name in ("salvage", "adverse_events"):
        frame = frames[name]
        # Where no patient has an id, that is said once, in the patients table.
        unknown = (frame[NUMBER] >= 0) & ~frame[NUMBER].isin(known.index) & (len(known) > 0)
        expected = "an id of the patients table"
        found = _cells(frame, unknown, files.get(name, name), "patient_id", expected)
        problems += _with_near_ids(found, patients["patient_id"])
    problems += _lines(salvage, salvage.join(known, on=NUMBER), files["salvage"])
    if len(adverse):
        file = files["adverse_events"]
        events = adverse.join(known, on=NUMBER)
        expected = "no later than death or last contact"
        problems += _order(events, "onset_month", "os_month", file, expected)
        given = adverse["line"].notna() & adverse[NUMBER].isin(known.index)
        absent = given & ~_pairs(adverse).isin(_pairs(salvage))
        expected = "a line of this patient in the salvage table"
        problems += _cells(adverse, absent, file, "line", expected)
    return problems


def _with_near_ids(problems: list[Problem], ids: pd.Series) -> list[Problem]:
    """Unknown ids with the one that differs by capitals or blanks alone."""
    plain = {_plain_id(i): i for i in ids.dropna()} if problems else {}
    near = {p.value: plain.get(_plain_id(p.value)) for p in problems}
    return [replace(p, hint=f"{near[p.value]}?") if near[p.value] else p for p in problems]


def _plain_id(text: str) -> str:
    return _NOT_OF_AN_ID.sub("", text.casefold())


def _pairs(frame: pd.DataFrame) -> "pd.Series[float]":
    """One number for each patient and line, the same in every table."""
    most = schema.SALVAGE.column("line").high or 0
    return frame[NUMBER] * (most + 1) + frame["line"]


def _lines(salvage: pd.DataFrame, lines: pd.DataFrame, file: str) -> list[Problem]:
    """Problems of salvage lines; ``lines`` adds each patient's relapse and last contact."""
    expected = "each line of a patient once"
    problems = _repeated(salvage, [NUMBER, "line"], file, "line", expected)
    expected = "no earlier than the relapse"
    problems += _order(lines, "relapse_month", "start_month", file, expected, at="start_month")
    expected = "no later than death or last contact"
    for column in ("start_month", *_WITHIN_LINE):
        problems += _order(lines, column, "os_month", file, expected)
    expected = "no earlier than the start of the line"
    for column in _WITHIN_LINE:
        problems += _order(lines, "start_month", column, file, expected, at=column)
    end, expected = "response_end_month", "no earlier than the response"
    problems += _order(lines, "response_month", end, file, expected, at=end)
    return problems + _sequence(salvage, file)


def _problem(
    file: str, row: Any, column: str, value: object, expected: str, hint: str = ""
) -> Problem:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return Problem(file, int(row), column, text, expected, hint)


def _cells(
    frame: pd.DataFrame, wrong: "pd.Series[bool]", file: str, column: str, expected: str
) -> list[Problem]:
    """One problem for each row in which ``wrong`` holds."""
    found = frame.loc[wrong, column]
    return [_problem(file, row, column, value, expected) for row, value in found.items()]


def _repeated(
    frame: pd.DataFrame, keys: list[str], file: str, column: str, expected: str
) -> list[Problem]:
    again = frame.duplicated(keys) & (frame[NUMBER] >= 0) & frame[keys].notna().all(axis=1)
    return _cells(frame, again, file, column, expected)


def _order(
    frame: pd.DataFrame, first: str, second: str, file: str, expected: str, at: str = ""
) -> list[Problem]:
    """Rows in which ``first`` is later than ``second``; equal months are allowed."""
    column = at or first
    other = second if column == first else first
    found = frame.loc[frame[first] > frame[second], [column, other]]
    return [
        _problem(file, row, column, value, f"{expected} ({other} {limit:g})")
        for row, value, limit in found.itertuples()
    ]


def _sequence(salvage: pd.DataFrame, file: str) -> list[Problem]:
    """Line numbers with gaps, and a later line that starts earlier."""
    lines = _in_order(salvage[(salvage[NUMBER] >= 0) & salvage["line"].notna()])
    lines = lines.drop_duplicates([NUMBER, "line"])
    patient = lines[NUMBER]
    # Rows of a patient stand together, so a group is a run.
    first = (patient != patient.shift()).to_numpy(dtype=bool)
    place = np.arange(len(lines))
    rank = place - np.maximum.accumulate(np.where(first, place, 0)) + 1
    gaps = lines.index[lines["line"].to_numpy() != rank]
    expected = dict(zip(lines.index, rank, strict=True)) if len(gaps) else {}
    problems = [
        _problem(
            file,
            row,
            "line",
            float(lines["line"][row]),
            f"line numbers 1, 2, 3 without gaps (here {expected[row]})",
        )
        for row in gaps
    ]
    before = lines["start_month"].shift().mask(first)
    wrong = lines["start_month"] < before
    problems += [
        _problem(file, row, "start_month", value, f"no earlier than the line before it ({limit:g})")
        for row, value, limit in zip(
            lines.index[wrong], lines.loc[wrong, "start_month"], before[wrong], strict=True
        )
    ]
    return problems


def _in_order(lines: pd.DataFrame) -> pd.DataFrame:
    """The times of lines, by patient and number of the line."""
    order = np.lexsort((lines["line"], lines[NUMBER]))
    return lines[[NUMBER, "line", "start_month"]].iloc[order]


def _unusual(frames: dict[str, pd.DataFrame], files: dict[str, str]) -> list[Problem]:
    """What is allowed but worth a second look."""
    patients, salvage = frames["patients"], frames["salvage"]
    young = patients["age"] < ADULT_YEARS
    found = _cells(patients, young, files["patients"], "age", f"usually {ADULT_YEARS} or more")
    second = salvage["category"] == "second_cart"
    again = second & salvage[second].duplicated(NUMBER).reindex(salvage.index, fill_value=False)
    file = files["salvage"]
    found += _cells(salvage, again, file, "category", "usually once for a patient")
    switched = salvage["target_switched"].notna() & ~second
    expected = "usually blank except for a second CAR-T infusion"
    found += _cells(salvage, switched, file, "target_switched", expected)
    lines = _in_order(salvage)
    same = lines[NUMBER] == lines[NUMBER].shift()
    long = same & (lines["start_month"].diff() > LONG_GAP_MONTHS)
    expected = f"usually within {LONG_GAP_MONTHS:g} months of the line before it"
    found += _cells(lines, long, file, "start_month", expected)
    return found + _contradictions(frames, files) + _unlikely_months(frames, files)


def _contradictions(frames: dict[str, pd.DataFrame], files: dict[str, str]) -> list[Problem]:
    """What one cell says against another, and what is left out of the counts for that reason."""
    patients, salvage = frames["patients"], frames["salvage"]
    twice = patients["patient_id"].map(_plain_id)
    alike = twice.duplicated() & (twice != "")
    expected = "usually no id that differs from another by capitals or marks alone"
    found = _cells(patients, alike, files["patients"], "patient_id", expected)
    alive = patients.set_index(NUMBER)["died"] == 0
    file = files["salvage"]
    late = salvage[NUMBER].map(alive).eq(True) & (salvage["response_end_reason"] == "death")
    expected = "no death of a patient who is alive at last contact"
    found += _cells(salvage, late, file, "response_end_reason", expected)
    silent = ~salvage["best_response"].isin(schema.RESPONSE)
    expected = "usually blank unless the best response is CR or PR; it is not counted"
    for column in ("response_month", "response_end_month", "response_end_reason"):
        found += _cells(salvage, silent & salvage[column].notna(), file, column, expected)
    adverse = frames["adverse_events"]
    if not len(adverse):
        return found
    file = files["adverse_events"]
    fatal = adverse[NUMBER].map(alive).eq(True) & (adverse["grade"] == FATAL_GRADE)
    expected = "no fatal event of a patient who is alive at last contact"
    found += _cells(adverse, fatal, file, "grade", expected)
    untreated = ~adverse[NUMBER].isin(salvage[NUMBER])
    expected = "usually a patient with a salvage line; the event is not counted"
    return found + _cells(adverse, untreated, file, "patient_id", expected)


def _unlikely_months(frames: dict[str, pd.DataFrame], files: dict[str, str]) -> list[Problem]:
    """Months that are days, or a date in the future."""
    expected = f"usually no more than {MANY_MONTHS:g} months; days or a wrong date give more"
    found = []
    for table in schema.TABLES:
        frame = frames[table.name]
        for column in table.columns:
            if column.kind == "month" and len(frame):
                many = frame[column.name] > MANY_MONTHS
                found += _cells(frame, many, files[table.name], column.name, expected)
    return found


def _sorted(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows by patient and ``keys``."""
    ranks = [frame[NUMBER].to_numpy(), *(_ranks(frame[key]) for key in keys)]
    return frame.iloc[np.lexsort(ranks[::-1])].reset_index(drop=True)


def _ranks(values: Any) -> np.ndarray:
    """Whole numbers in the order of ``values``; missing values come last."""
    codes, distinct = pd.factorize(np.asarray(values), sort=True)
    return np.where(codes < 0, len(distinct), codes)
