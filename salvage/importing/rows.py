"""A mapping applied to tables of text: every row of a source ends in a table or in the list."""

import re
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from salvage import schema
from salvage.cells import DATE_EXPECTED, parse_date, text_of
from salvage.cells import months as months_of
from salvage.cohort import read_column
from salvage.importing.mapping import (
    AUTO_DATE,
    COMPARISONS,
    TIME_ZERO,
    UNIT_DAYS,
    ZERO_COLUMN,
    Cell,
    Condition,
    Entry,
    Mapping,
    is_mapped_name,
    key_of,
)
from salvage.schema import Column, Table

LEFT_OUT: Final = "row left out"
LEFT_BLANK: Final = "cell left blank"
NOT_KEPT: Final = "row not kept"


@dataclass(frozen=True)
class Unmapped:
    """A row that went nowhere, or a cell that was left blank, and why."""

    source: str
    row: int
    table: str
    column: str
    value: str
    reason: str
    outcome: str


@dataclass(frozen=True)
class Count:
    """How many rows of a source went where."""

    source: str
    table: str
    read: int
    written: int
    not_kept: int
    left_out: int


@dataclass
class Mapped:
    """Tables of text in the schema's columns, with where each row came from.

    ``origins`` holds, for each row of a table, the name of the source and the row in it.
    ``ambiguous`` lists texts that more than one pattern fits, with the code that was taken.
    ``not_kept`` are ids of patients whom the mapping's rules leave out.
    """

    tables: dict[str, pd.DataFrame]
    origins: dict[str, list[tuple[str, int]]]
    unmapped: list[Unmapped] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    ambiguous: dict[str, str] = field(default_factory=dict)
    not_kept: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Failure:
    """Cells of one column that could not be mapped: their rows and values, and why."""

    column: str
    value: "pd.Series[str]"
    reason: str


class _Days:
    """Texts as days: dates as day numbers, or numbers in a unit."""

    @staticmethod
    def read(text: pd.Series, cell: Cell) -> "pd.Series[float]":
        if cell.date is not None:
            form = None if cell.date == AUTO_DATE else cell.date
            parsed = {value: parse_date(value, form) for value in text.unique()}
            days = {v: np.nan if d is None else float(d.toordinal()) for v, d in parsed.items()}
            return text.map(days).astype(float)
        return numbers(text) * UNIT_DAYS[cell.unit]


def numbers(text: pd.Series) -> "pd.Series[float]":
    """Numbers of a text column, missing where there is none; a decimal comma is read."""
    values, _ = read_column(text, Column("", "number", ""), "")
    return values.astype(float)


def apply(mapping: Mapping, sources: AbstractMapping[str, pd.DataFrame]) -> Mapped:
    """Every table of the cohort from the sources; nothing is dropped without being listed."""
    made = Mapped({}, {})
    zero: pd.Series[float] | None = None
    for table in schema.TABLES:
        entries = [entry for entry in mapping.entries if entry.table is table]
        frames, origins = [], []
        for entry in entries:
            frame, zeros = _entry(entry, sources, made, zero)
            frames.append(frame)
            origins += [(entry.source, int(row)) for row in frame.index]
            if zeros is not None:
                zero = zeros if zero is None else pd.concat([zero, zeros])
        if not entries:
            continue
        whole = pd.concat(frames, ignore_index=True)
        if table is schema.SALVAGE:
            whole, origins = _in_order(whole, origins, made.tables["patients"]["patient_id"])
        made.tables[table.name], made.origins[table.name] = whole, origins
    return made


def _entry(
    entry: Entry,
    sources: AbstractMapping[str, pd.DataFrame],
    made: Mapped,
    zero: "pd.Series[float] | None",
) -> tuple[pd.DataFrame, "pd.Series[float] | None"]:
    """The rows of one entry in the schema's columns, indexed by their row in the source."""
    frame = sources[entry.source]
    listed: list[Unmapped] = []
    kept = frame
    for rule in (rule for rule in entry.keep if not rule.mapped):
        kept = _keep(kept, meets(kept, rule), rule, entry, kept, listed)
    if entry.table is not schema.PATIENTS:
        kept = _of_known_patients(kept, entry, sources, made, listed)
    ids = _raw(kept, entry.columns["patient_id"], sources, "")
    cells: dict[str, pd.Series] = {}
    failures: list[_Failure] = []
    own_zero = zero
    if entry.table is schema.PATIENTS:
        own_zero = _time_zero(entry, kept, sources, ids, failures)
    for column in entry.table.columns:
        if column.name in entry.columns:
            cell = entry.columns[column.name]
            raw = _raw(kept, cell, sources, ids)
            origin = None if own_zero is None else _zero_of(cells, ids, entry, own_zero)
            cells[column.name], found = _column(raw, cell, column, origin, made)
            failures += found
        else:
            cells[column.name] = pd.Series("", index=kept.index, dtype=object)
    mapped = pd.DataFrame(cells, index=kept.index, dtype=object)
    mapped = _without_failures(mapped, failures, entry, listed)
    for rule in (rule for rule in entry.keep if rule.mapped):
        view = _with_mapped_names(kept.loc[mapped.index], mapped, entry.table, made)
        mapped = _keep(mapped, meets(view, rule), rule, entry, view, listed)
    if entry.table is schema.PATIENTS:
        rows = [one.row for one in listed if one.outcome == NOT_KEPT]
        made.not_kept |= set(_raw(frame.loc[rows], entry.columns["patient_id"], sources, ""))
    gone = {one.row for one in listed if one.outcome in (LEFT_OUT, NOT_KEPT)}
    listed = [one for one in listed if one.outcome != LEFT_BLANK or one.row not in gone]
    made.unmapped += sorted(listed, key=lambda one: one.row)
    made.counts.append(
        Count(
            entry.source,
            entry.table.name,
            len(frame),
            len(mapped),
            sum(one.outcome == NOT_KEPT for one in listed),
            sum(one.outcome == LEFT_OUT for one in listed),
        )
    )
    zeros = None
    if entry.table is schema.PATIENTS and own_zero is not None:
        zeros = pd.Series(
            own_zero.loc[mapped.index].to_numpy(), index=pd.Index(mapped["patient_id"])
        )
    return mapped, zeros


def _of_known_patients(
    frame: pd.DataFrame,
    entry: Entry,
    sources: AbstractMapping[str, pd.DataFrame],
    made: Mapped,
    listed: list[Unmapped],
) -> pd.DataFrame:
    """The rows of patients of the cohort, or of none; those of other patients are listed."""
    cell, column = entry.columns["patient_id"], entry.table.column("patient_id")
    ids, _ = _column(_raw(frame, cell, sources, ""), cell, column, None, made)
    unknown = (ids != "") & ~ids.isin(made.tables["patients"]["patient_id"])
    for row in frame.index[unknown]:
        patient = str(ids[row])
        why = (
            ("its patient was not kept by the mapping's rules", NOT_KEPT)
            if patient in made.not_kept
            else ("its patient is not in the patients table of this cohort", LEFT_OUT)
        )
        listed.append(_unmapped(entry, int(row), "patient_id", patient, *why))
    return frame[~unknown]


def _zero_of(
    cells: AbstractMapping[str, pd.Series],
    ids: pd.Series,
    entry: Entry,
    zero: "pd.Series[float]",
) -> "pd.Series[float]":
    """Day of time zero of each row."""
    if entry.table is schema.PATIENTS:
        return zero
    first = zero[~zero.index.duplicated()]
    return cells.get("patient_id", ids).map(first).astype(float)


def _time_zero(
    entry: Entry,
    kept: pd.DataFrame,
    sources: AbstractMapping[str, pd.DataFrame],
    ids: pd.Series,
    failures: list[_Failure],
) -> "pd.Series[float] | None":
    """Day of each patient's time zero, by row; ``None`` where months are counted from day 0."""
    cell = entry.columns.get(TIME_ZERO)
    if cell is None:
        return None
    raw = _raw(kept, cell, sources, ids)
    days = _Days.read(raw, cell)
    expected = DATE_EXPECTED if cell.date is not None else f"a number of {cell.unit}"
    failures.append(_Failure(ZERO_COLUMN.name, raw[days.isna()], f"expected {expected}"))
    return days


def _unmapped(
    entry: Entry, row: int, column: str, value: str, reason: str, outcome: str
) -> Unmapped:
    return Unmapped(entry.source, row, entry.table.name, column, value, reason, outcome)


def _keep(
    frame: pd.DataFrame,
    met: "pd.Series[bool]",
    rule: Condition,
    entry: Entry,
    view: pd.DataFrame,
    listed: list[Unmapped],
) -> pd.DataFrame:
    """The rows that meet a rule; the others are listed."""
    listed += [
        _unmapped(
            entry, int(row), rule.column, str(view.loc[row, rule.column]), f"rule: {rule}", NOT_KEPT
        )
        for row in frame.index[~met]
    ]
    return frame[met]


def _without_failures(
    mapped: pd.DataFrame, failures: Sequence[_Failure], entry: Entry, listed: list[Unmapped]
) -> pd.DataFrame:
    """Cells that could not be mapped become blank; rows without a required cell are left out."""
    required = {c.name for c in entry.table.columns if c.required} | {TIME_ZERO}
    gone: set[int] = set()
    for failure in failures:
        outcome = LEFT_OUT if failure.column in required else LEFT_BLANK
        for row, value in zip(failure.value.index.tolist(), failure.value, strict=True):
            if row in gone:
                continue
            if outcome == LEFT_OUT:
                gone.add(row)
            else:
                mapped.loc[row, failure.column] = ""
            listed.append(
                _unmapped(entry, int(row), failure.column, value, failure.reason, outcome)
            )
    return mapped.loc[~mapped.index.isin(gone)]


# --- one column -----------------------------------------------------------------------------------


def _raw(
    frame: pd.DataFrame,
    cell: Cell,
    sources: AbstractMapping[str, pd.DataFrame],
    ids: "pd.Series | str",
) -> pd.Series:
    """What the source says, before any recoding: the first named column that is not blank."""
    if cell.source is not None:
        taken = _taken(sources[cell.source], cell)
        return (
            pd.Series(ids, index=frame.index, dtype=object)
            .map(taken)
            .fillna("0" if cell.take == "count" else "")
        )
    if cell.value is not None:
        return pd.Series(cell.value, index=frame.index, dtype=object)
    return _coalesced(frame, cell.columns)


def _coalesced(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    first = frame[columns[0]]
    for name in columns[1:]:
        first = first.where(first != "", frame[name])
    return first


def _taken(source: pd.DataFrame, cell: Cell) -> "pd.Series[str]":
    """One text for each patient of another source."""
    for rule in cell.where:
        source = source[meets(source, rule)]
    by = source[cell.by]
    if cell.take == "count":
        return by.groupby(by).size().astype(str)
    text = _coalesced(source, cell.columns)
    text = text[text != ""]
    if cell.take in ("earliest", "latest"):
        days = _Days.read(text, cell)
        text = text.loc[days.sort_values(kind="stable").index]
    groups = text.groupby(by.loc[text.index])
    return groups.last() if cell.take in ("latest", "last") else groups.first()


def _column(
    raw: pd.Series,
    cell: Cell,
    column: Column,
    zero: "pd.Series[float] | None",
    made: Mapped,
) -> tuple[pd.Series, list[_Failure]]:
    """Texts of one column as the schema wants them, and the cells that could not be mapped."""
    failures: list[_Failure] = []
    text = raw if cell.value is not None else _recoded(raw, cell, column, made)
    unknown = text.isna()
    if unknown.any():
        reason = "no value or pattern of the mapping fits it"
        failures.append(_Failure(column.name, raw[unknown], reason))
        text = text.where(~unknown, "")
    if column.kind == "month" and (
        cell.date is not None or cell.unit != "months" or zero is not None
    ):
        text, found = _as_months(text, cell, column, zero)
        failures += found
    if cell.blank is not None:
        text = text.where((text != "") | unknown, cell.blank)
    _, problems = read_column(text, column, "")
    known = {row for failure in failures for row in failure.value.index}
    for problem in problems:
        if problem.row not in known and problem.row is not None:
            value = pd.Series({problem.row: str(raw[problem.row])})
            failures.append(_Failure(column.name, value, f"expected {problem.expected}"))
    return text, failures


def _recoded(raw: pd.Series, cell: Cell, column: Column, made: Mapped) -> pd.Series:
    """Texts after values and patterns; missing where the mapping has no answer."""
    answers = {text: _answer(text, cell, column, made) for text in raw.unique()}
    return raw.map(answers)


def _answer(text: str, cell: Cell, column: Column, made: Mapped) -> str | None:
    if text == "":
        return ""
    key = key_of(text)
    if cell.recode is not None and key in cell.recode:
        return cell.recode[key]
    fitting = [code for code, patterns in cell.patterns if any(_fits(p, key) for p in patterns)]
    if fitting:
        if len(set(fitting)) > 1:
            made.ambiguous[text] = fitting[0]
        return fitting[0]
    if cell.recode is None and not cell.patterns:
        return text
    allowed = {"code": tuple(column.codes), "flag": ("0", "1")}.get(column.kind)
    if allowed is not None and text in allowed:
        return text
    # Without an answer, text and numbers stay as they are; a code or a flag has none.
    return cell.otherwise if cell.otherwise is not None else None if allowed else text


def _fits(pattern: str, key: str) -> bool:
    """Whether a pattern occurs in a text, both without case; ``*`` stands for any letters."""
    parts = [re.escape(part) for part in key_of(pattern).split("*")]
    return re.search(".*".join(parts), key) is not None


def _as_months(
    text: pd.Series, cell: Cell, column: Column, zero: "pd.Series[float] | None"
) -> tuple[pd.Series, list[_Failure]]:
    """Dates or numbers in a unit as months since time zero."""
    given = text != ""
    days = _Days.read(text, cell)
    failures = []
    expected = "a date" if cell.date is not None else f"a number of {cell.unit}"
    if cell.date == AUTO_DATE:
        expected = DATE_EXPECTED
    elif cell.date is not None:
        expected = f"a date written as {cell.date}"
    bad = given & days.isna()
    failures.append(_Failure(column.name, text[bad], f"expected {expected}"))
    if zero is not None:
        days = days - zero
    early = days < 0
    failures.append(_Failure(column.name, text[early], "it lies before time zero"))
    fine = given & ~bad & ~early & days.notna()
    return days.map(months_of, na_action="ignore").map(text_of).where(fine, ""), failures


# --- rules ----------------------------------------------------------------------------------------


def meets(frame: pd.DataFrame, rule: Condition) -> "pd.Series[bool]":
    """Which rows meet a rule; a blank cell meets only rules about blanks and ``not_in``."""
    text = frame[rule.column]
    if rule.test == "blank":
        return (text == "") == (rule.operands[0] == "true")
    keys = text.map(key_of)
    wanted = [key_of(operand) for operand in rule.operands]
    if rule.test in ("equals", "in"):
        return keys.isin(wanted)
    if rule.test == "not_in":
        return ~keys.isin(wanted)
    if rule.test == "contains":
        return keys.map(lambda key: any(_fits(one, key) for one in wanted)).astype(bool)
    if rule.test not in COMPARISONS:
        raise ValueError(f"unknown test {rule.test}")
    left, operand = numbers(text), rule.operands[0]
    right = (
        numbers(frame[operand])
        if is_mapped_name(operand)
        else pd.Series(float(operand), index=frame.index)
    )
    compare = {"at_least": left.ge, "at_most": left.le, "above": left.gt, "below": left.lt}
    return compare[rule.test](right)


def _with_mapped_names(
    kept: pd.DataFrame, mapped: pd.DataFrame, table: Table, made: Mapped
) -> pd.DataFrame:
    """The source's columns, with those of the cohort under names such as ``patients.os_month``."""
    view = pd.concat([kept, mapped.add_prefix(f"{table.name}.")], axis=1)
    if table is not schema.PATIENTS:
        patients = made.tables["patients"].drop_duplicates("patient_id").set_index("patient_id")
        looked_up = patients.add_prefix("patients.").reindex(mapped["patient_id"])
        looked_up.index = mapped.index
        view = pd.concat([view, looked_up], axis=1)
    return view


# --- order ----------------------------------------------------------------------------------------


def _in_order(
    salvage: pd.DataFrame, origins: list[tuple[str, int]], patients: pd.Series
) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Lines by patient and start; numbered so where no source gives a number.

    Lines that start on one day keep the order of the mapping and of the file.
    """
    position = {patient: i for i, patient in enumerate(patients)}
    order = pd.DataFrame(
        {
            "patient": salvage["patient_id"].map(position),
            "line": numbers(salvage["line"]),
            "start": numbers(salvage["start_month"]),
        }
    ).sort_values(["patient", "line", "start"], kind="stable")
    sorted_lines = salvage.loc[order.index].reset_index(drop=True)
    if (sorted_lines["line"] == "").all():
        sorted_lines["line"] = (sorted_lines.groupby("patient_id").cumcount() + 1).astype(str)
    return sorted_lines, [origins[i] for i in order.index]
