"""Read and check a cohort. Whoever holds a :class:`Cohort` knows that it passed every check."""

import difflib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from salvage import schema
from salvage.problems import InputError, Problem
from salvage.readers import READERS
from salvage.schema import Column, Table
from salvage.study import Study, read_study

LONG_GAP_MONTHS = 24.0
ADULT_YEARS = 18
_INTEGERS = ("integer",)
_NUMERIC = ("integer", "number", "month", "flag")
SORT_KEYS = {
    "patients": ["patient_id"],
    "salvage": ["patient_id", "line"],
    "adverse_events": ["patient_id", "line", "onset_month", "term"],
}


@dataclass(frozen=True)
class Cohort:
    """A checked cohort. Times are months since the first CAR-T infusion; no calendar date enters.

    ``patients``, ``salvage`` and ``adverse_events`` hold every column of :mod:`salvage.schema`, in
    its order; what was not given is missing. ``warnings`` are allowed but unusual.
    """

    study: Study
    patients: pd.DataFrame
    salvage: pd.DataFrame
    adverse_events: pd.DataFrame
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def late(self) -> "pd.Series[bool]":
        """Late relapse of each patient: ``relapse_month`` above the cut-off (equal is early)."""
        return self.patients["relapse_month"] > self.study.early_relapse_months

    @property
    def treated(self) -> pd.DataFrame:
        """Patients with at least one salvage line."""
        return self.patients[self.patients["patient_id"].isin(self.salvage["patient_id"])]

    def category(self, key: str) -> pd.DataFrame:
        """The salvage lines of one category."""
        return self.salvage[self.salvage["category"] == key]

    def has(self, table: str, column: str) -> bool:
        """Whether any row of ``table`` has a value in ``column``."""
        frame: pd.DataFrame = getattr(self, table)
        return bool(frame[column].notna().any())


class CohortError(InputError):
    """A cohort that cannot be used; ``problems`` lists every reason at once."""


def load(path: Path) -> Cohort:
    """Read and check the cohort at ``path``; :class:`CohortError` lists everything that is wrong."""
    cohort, problems = check(path)
    if cohort is None:
        raise CohortError(f"The cohort {Path(path).name} cannot be used", problems)
    return cohort


def check(path: Path) -> tuple[Cohort | None, list[Problem]]:
    """The cohort at ``path`` and its warnings, or ``None`` and every error."""
    path = Path(path)
    study, raw, problems = _read(path)
    frames: dict[str, pd.DataFrame] = {}
    for table in schema.TABLES:
        if table.name in raw:
            frame, found = _typed(raw[table.name][0], table, raw[table.name][1])
            problems += found
        else:
            frame = _typed(pd.DataFrame(columns=list(table.names), dtype=str), table, table.name)[0]
        frames[table.name] = frame
    files = {name: source for name, (_, source) in raw.items()}
    if all(table.name in raw for table in schema.TABLES if table.required):
        problems += _relations(frames, files)
    if problems:
        return None, sorted(problems, key=lambda p: (p.file, p.row or 0, p.column))
    warnings = _unusual(frames, files)
    for name, keys in SORT_KEYS.items():
        frames[name] = frames[name].sort_values(keys, kind="stable", ignore_index=True)
    patients = frames["patients"].astype({"died": bool})
    salvage = frames["salvage"].astype({"line": int})
    return Cohort(study, patients, salvage, frames["adverse_events"], tuple(warnings)), warnings


def _read(path: Path) -> tuple[Study, dict[str, tuple[pd.DataFrame, str]], list[Problem]]:
    """Settings, text tables with the file of each, and what could not be read."""
    if not path.is_dir():
        return Study(), {}, [Problem(str(path), None, "", "", "a folder with patients.csv, salvage.csv and study.yaml")]
    problems: list[Problem] = []
    study = Study()
    settings = path / "study.yaml"
    if settings.is_file():
        study, problems = read_study(settings)
    else:
        problems.append(Problem("study.yaml", None, "", "", "this file; it may be empty, every setting has a default"))
    raw: dict[str, tuple[pd.DataFrame, str]] = {}
    for table in schema.TABLES:
        files = [path / f"{table.name}{suffix}" for suffix in READERS if (path / f"{table.name}{suffix}").is_file()]
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            problems.append(Problem(table.name, None, "", names, "one file for each table"))
        elif files:
            frame, found = READERS[files[0].suffix](files[0])
            problems += found
            if len(frame.columns) or not found:
                raw[table.name] = (frame, files[0].name)
        elif table.required:
            problems.append(Problem(f"{table.name}.csv", None, "", "", f"this file: {table.row}"))
    return study, raw, problems


# --- one table ----------------------------------------------------------------------------------------


def _typed(text: pd.DataFrame, table: Table, file: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Text cells as the schema's types; unreadable cells become missing and are listed."""
    problems = _header_problems(text, table, file)
    columns: dict[str, pd.Series] = {}
    for column in table.columns:
        if column.name in text.columns:
            values, found = _column(text[column.name], column, file)
            problems += found
        else:
            values = _missing(column, text.index)
        columns[column.name] = values
    return pd.DataFrame(columns, index=text.index), problems


def _header_problems(text: pd.DataFrame, table: Table, file: str) -> list[Problem]:
    problems = []
    given = list(text.columns)
    for column in table.columns:
        if column.required and column.name not in given:
            near = difflib.get_close_matches(column.name, [g for g in given if g not in table.names], n=1)
            hint = f"{near[0]} renamed to {column.name}?" if near else ""
            problems.append(Problem(file, 1, column.name, "", f"this column: {column.meaning.lower()}", hint))
    for name in given:
        if name not in table.names:
            near = difflib.get_close_matches(name, table.names, n=1)
            hint = f"{near[0]}?" if near else ""
            problems.append(Problem(file, 1, name, "", "a column of the data dictionary", hint))
    if table.required and not len(text) and len(given):
        problems.append(Problem(file, None, "", "", "at least one row"))
    return problems


def _missing(column: Column, index: pd.Index) -> pd.Series:
    dtype = float if column.kind in _NUMERIC else object
    return pd.Series(np.nan if dtype is float else None, index=index, dtype=dtype)


def _column(text: pd.Series, column: Column, file: str) -> tuple[pd.Series, list[Problem]]:
    blank = text == ""
    if column.kind in _NUMERIC:
        values, wrong = _numbers(text, column)
    else:
        values = text.astype(object).where(~blank, None)
        wrong = pd.Series(False, index=text.index)
        if column.kind == "code":
            wrong = ~blank & ~text.isin(list(column.codes))
    problems = [
        Problem(file, int(row), column.name, str(text[row]), column.expects, _suggest(str(text[row]), column))
        for row in text.index[wrong & ~blank]
    ]
    if column.required:
        problems += [
            Problem(file, int(row), column.name, "", f"a value ({column.expects}); the cell is blank")
            for row in text.index[blank]
        ]
    return values, problems


def _numbers(text: pd.Series, column: Column) -> tuple[pd.Series, pd.Series]:
    """Numbers of a text column, and which cells are not what the column expects.

    A decimal comma is read, except before exactly three digits, where it might part thousands.
    """
    comma = text.str.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})")
    plain = text.where(~comma, text.str.replace(",", ".", regex=False))
    shaped = plain.str.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
    values = pd.to_numeric(plain.where(shaped), errors="coerce").astype(float)
    wrong = values.isna() | ~np.isfinite(values)
    if column.kind == "flag":
        wrong |= ~values.isin([0, 1])
    if column.kind in _INTEGERS:
        wrong |= values != np.floor(values)
    if column.low is not None:
        wrong |= values < column.low
    if column.high is not None:
        wrong |= values > column.high
    return values.where(~wrong), wrong


def _suggest(value: str, column: Column) -> str:
    """The code whose key or meaning is nearest to ``value``, as ``CR?``."""
    if column.kind == "flag":
        return {"yes": "1?", "y": "1?", "true": "1?", "no": "0?", "n": "0?", "false": "0?"}.get(value.lower(), "")
    if column.kind != "code":
        return ""
    by_text = {code.lower(): code for code in column.codes}
    for code, meaning in column.codes.items():
        by_text.setdefault(meaning.lower(), code)
        by_text.setdefault(meaning.lower().split()[0], code)
    near = difflib.get_close_matches(value.lower(), list(by_text), n=1)
    return f"{by_text[near[0]]}?" if near else ""


# --- rows against rows --------------------------------------------------------------------------------


def _relations(frames: dict[str, pd.DataFrame], files: dict[str, str]) -> list[Problem]:
    """Errors that show only between cells, rows or tables."""
    patients, salvage = frames["patients"], frames["salvage"]
    adverse = frames["adverse_events"]
    problems = _duplicates(patients, ["patient_id"], files["patients"], "each patient once")
    problems += _order(patients, "relapse_month", "os_month", files["patients"], "no later than os_month")
    known = patients.drop_duplicates("patient_id").set_index("patient_id")[["relapse_month", "os_month"]]
    problems += _duplicates(salvage, ["patient_id", "line"], files["salvage"], "each line of a patient once", "line")
    for name in ("salvage", "adverse_events"):
        frame = frames[name]
        unknown = frame["patient_id"].notna() & ~frame["patient_id"].isin(known.index)
        problems += [
            Problem(files[name], int(row), "patient_id", str(frame.at[row, "patient_id"]), "an id of the patients table")
            for row in frame.index[unknown]
        ]
    lines = salvage.join(known, on="patient_id")
    file = files["salvage"]
    problems += _order(lines, "relapse_month", "start_month", file, "no earlier than the relapse", at="start_month")
    within = ("start_month", "response_month", "response_end_month", "progression_month", "end_month")
    for column in within:
        problems += _order(lines, column, "os_month", file, "no later than death or last contact")
    for column in within[1:]:
        problems += _order(lines, "start_month", column, file, "no earlier than the start of the line", at=column)
    problems += _order(
        lines, "response_month", "response_end_month", file, "no earlier than the response", at="response_end_month"
    )
    problems += _sequence(salvage, file)
    if len(adverse):
        events = adverse.join(known, on="patient_id")
        file = files["adverse_events"]
        problems += _order(events, "onset_month", "os_month", file, "no later than death or last contact")
        pairs = pd.MultiIndex.from_frame(salvage[["patient_id", "line"]])
        given = adverse["line"].notna() & adverse["patient_id"].isin(known.index)
        absent = given & ~pd.MultiIndex.from_frame(adverse[["patient_id", "line"]]).isin(pairs)
        problems += [
            Problem(file, int(row), "line", f"{adverse.at[row, 'line']:g}", "a line of this patient in the salvage table")
            for row in adverse.index[absent]
        ]
    return problems


def _duplicates(frame: pd.DataFrame, keys: list[str], file: str, expected: str, at: str = "") -> list[Problem]:
    repeated = frame.duplicated(keys) & frame[keys].notna().all(axis=1)
    column = at or keys[0]
    return [Problem(file, int(row), column, _cell(frame.at[row, column]), expected) for row in frame.index[repeated]]


def _order(frame: pd.DataFrame, first: str, second: str, file: str, expected: str, at: str = "") -> list[Problem]:
    """Rows in which ``first`` is later than ``second``; equal months are allowed."""
    wrong = frame[first] > frame[second]
    column = at or first
    other = second if column == first else first
    return [
        Problem(file, int(row), column, _cell(frame.at[row, column]), f"{expected} ({other} {_cell(frame.at[row, other])})")
        for row in frame.index[wrong]
    ]


def _sequence(salvage: pd.DataFrame, file: str) -> list[Problem]:
    """Line numbers with gaps, and a later line that starts earlier."""
    lines = salvage.dropna(subset=["patient_id", "line"]).drop_duplicates(["patient_id", "line"])
    lines = lines.sort_values(["patient_id", "line"], kind="stable")
    rank = lines.groupby("patient_id").cumcount() + 1
    gaps = lines.index[lines["line"] != rank]
    problems = [
        Problem(file, int(row), "line", _cell(lines.at[row, "line"]), f"line numbers 1, 2, 3 without gaps (here {rank[row]})")
        for row in gaps
    ]
    before = lines.groupby("patient_id")["start_month"].shift()
    problems += [
        Problem(
            file, int(row), "start_month", _cell(lines.at[row, "start_month"]),
            f"no earlier than the line before it ({_cell(before[row])})",
        )
        for row in lines.index[lines["start_month"] < before]
    ]
    return problems


def _unusual(frames: dict[str, pd.DataFrame], files: dict[str, str]) -> list[Problem]:
    """What is allowed but worth a second look."""
    patients, salvage = frames["patients"], frames["salvage"]
    young = patients.index[patients["age"] < ADULT_YEARS]
    found = [
        Problem(files["patients"], int(row), "age", _cell(patients.at[row, "age"]), f"usually {ADULT_YEARS} or more")
        for row in young
    ]
    second = salvage[salvage["category"] == "second_cart"]
    for row in second.index[second.duplicated("patient_id")]:
        found.append(Problem(files["salvage"], int(row), "category", "second_cart", "usually once for a patient"))
    wrong_switch = salvage.index[salvage["target_switched"].notna() & (salvage["category"] != "second_cart")]
    for row in wrong_switch:
        found.append(
            Problem(files["salvage"], int(row), "target_switched", _cell(salvage.at[row, "target_switched"]),
                    "usually blank except for a second CAR-T infusion")
        )
    lines = salvage.sort_values(["patient_id", "line"], kind="stable")
    gap = lines["start_month"] - lines.groupby("patient_id")["start_month"].shift()
    for row in lines.index[gap > LONG_GAP_MONTHS]:
        found.append(
            Problem(files["salvage"], int(row), "start_month", _cell(lines.at[row, "start_month"]),
                    f"usually within {LONG_GAP_MONTHS:g} months of the line before it")
        )
    return found


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
