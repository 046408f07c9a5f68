"""A mapping applied to tables of text: every row of a source ends in a table or in the list."""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AbstractMapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort import schema
from salvage.cohort.cells import DATE_EXPECTED, parse_date, text_of
from salvage.cohort.cells import months as months_of
from salvage.cohort.check import read_column
from salvage.cohort.importing.mapping import (
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
from salvage.cohort.schema import Column, Table

LEFT_OUT: Final = "row left out"
LEFT_BLANK: Final = "cell left blank"
NOT_KEPT: Final = "row not kept"


@dataclass(frozen=True)
class Unmapped:
    """A row that went nowhere, or a cell that was left blank, and why.

    ``found_in`` is the place of the value where it stands in another source that is looked up.
    """

    source: str
    row: int
    table: str
    column: str
    value: str
    reason: str
    outcome: str
    found_in: str = ""


@dataclass(frozen=True)
class Count:
    """How many rows of a source went where, and how many cells were left blank."""

    source: str
    table: str
    read: int
    written: int
    not_kept: int
    left_out: int
    left_blank: int


@dataclass(frozen=True)
class LookUp:
    """How many rows of a source one column could take its value from, and what the others are."""

    source: str
    table: str
    column: str
    read: int
    not_kept: int
    of_others: int
    blank: int
    usable: int


@dataclass
class Mapped:
    """Tables of text in the schema's columns, with where each row came from.

    ``origins`` holds, for each row of a table, the name of the source and the row in it.
    ``ambiguous`` lists texts that more than one pattern fits, with the code that was taken.
    ``not_kept`` are ids of patients whom the mapping's rules leave out, ``lost_lines`` ids of
    patients of whom a salvage row was left out. ``numbered`` says that no source numbers the lines.
    """

    tables: dict[str, pd.DataFrame]
    origins: dict[str, list[tuple[str, int]]]
    unmapped: list[Unmapped] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    ambiguous: dict[str, str] = field(default_factory=dict)
    not_kept: set[str] = field(default_factory=set)
    look_ups: list[LookUp] = field(default_factory=list)
    lost_lines: set[str] = field(default_factory=set)
    numbered: bool = False


@dataclass(frozen=True)
class _Failure:
    """Cells of one column that could not be mapped: their rows and values, and why.

    A row occurs twice if two values stand in its way; ``found_in`` has one place for each value.
    """

    column: str
    value: "pd.Series[str]"
    reason: str
    found_in: Sequence[str] = ()


class _Days:
    """Texts as days: dates as day numbers, or numbers in a unit."""

    @staticmethod
    def read(text: pd.Series, cell: Cell) -> "pd.Series[float]":
        if cell.date is not None:
            form = None if cell.date == AUTO_DATE else cell.date
            parsed = {value: parse_date(value, form) for value in text.unique()}
            days = {v: np.nan if d is None else float(d.toordinal()) for v, d in parsed.items()}
            return text.map(days).astype(float)
        return numbers(text) * UNIT_DAYS[cell.unit_of_months]


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
            made.numbered = not any("line" in entry.columns for entry in entries)
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
        kept = _of_known_patients(kept, entry, made, listed)
    ids = _raw(kept, entry.columns["patient_id"])
    cells: dict[str, pd.Series] = {}
    failures: list[_Failure] = []
    own_zero = zero
    if entry.table is schema.PATIENTS:
        own_zero = _time_zero(entry, kept, sources, ids, made, failures)
    for column in entry.table.columns:
        if column.name in entry.columns:
            cell = entry.columns[column.name]
            raw, unread = _given(kept, entry, column, sources, ids, made)
            origin = None if own_zero is None else _zero_of(cells, ids, entry, own_zero)
            cells[column.name], found = _column(
                raw, cell, column, origin, made, unread, _without_patient(cells, entry, own_zero)
            )
            failures += found
        else:
            cells[column.name] = pd.Series("", index=kept.index, dtype=object)
    whole = pd.DataFrame(cells, index=kept.index, dtype=object)
    mapped = _without_failures(whole, failures, entry, listed)
    if entry.table is schema.SALVAGE:
        lost = whole.loc[~whole.index.isin(mapped.index), "patient_id"]
        made.lost_lines |= set(lost[lost != ""])
    for rule in (rule for rule in entry.keep if rule.mapped):
        view = _with_mapped_names(kept.loc[mapped.index], mapped, entry.table, made)
        mapped = _keep(mapped, meets(view, rule), rule, entry, view, listed)
    if entry.table is schema.PATIENTS:
        rows = [one.row for one in listed if one.outcome == NOT_KEPT]
        made.not_kept |= set(_raw(frame.loc[rows], entry.columns["patient_id"]))
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
            len({one.row for one in listed if one.outcome == LEFT_OUT}),
            len({(one.row, one.column) for one in listed if one.outcome == LEFT_BLANK}),
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
    made: Mapped,
    listed: list[Unmapped],
) -> pd.DataFrame:
    """The rows of patients of the cohort, or of none; those of other patients are listed."""
    cell, column = entry.columns["patient_id"], entry.table.column("patient_id")
    ids, _ = _column(_raw(frame, cell), cell, column, None, made)
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


def _without_patient(
    cells: AbstractMapping[str, pd.Series], entry: Entry, zero: "pd.Series[float] | None"
) -> set[int]:
    """Rows whose time zero, or patient, is listed as missing: it is not said of each time again."""
    if entry.table is schema.PATIENTS:
        return set() if zero is None else set(zero.index[zero.isna()])
    ids = cells.get("patient_id")
    return set() if ids is None else set(ids.index[ids == ""])


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
    made: Mapped,
    failures: list[_Failure],
) -> "pd.Series[float] | None":
    """Day of each patient's time zero, by row; ``None`` where months are counted from day 0."""
    cell = entry.columns.get(TIME_ZERO)
    if cell is None:
        return None
    raw, unread = _given(kept, entry, ZERO_COLUMN, sources, ids, made)
    days = _Days.read(raw, cell)
    missing = days.isna() & ~days.index.isin(_rows_of(unread))
    reason = f"expected {_expects(cell, ZERO_COLUMN)}"
    failures += [*unread, _Failure(ZERO_COLUMN.name, raw[missing], reason)]
    return days


def _unmapped(
    entry: Entry, row: int, column: str, value: str, reason: str, outcome: str, found_in: str = ""
) -> Unmapped:
    return Unmapped(entry.source, row, entry.table.name, column, value, reason, outcome, found_in)


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
    """Cells that could not be mapped become blank; rows without a required cell are left out.

    Every failure of a row is listed, so that all of them can be mended at once.
    """
    required = {c.name for c in entry.table.columns if c.required} | {TIME_ZERO}
    gone = _rows_of(failure for failure in failures if failure.column in required)
    for failure in failures:
        rows = failure.value.index.tolist()
        places = failure.found_in or [""] * len(rows)
        for row, value, place in zip(rows, failure.value, places, strict=True):
            outcome = LEFT_OUT if row in gone else LEFT_BLANK
            listed.append(
                _unmapped(entry, int(row), failure.column, value, failure.reason, outcome, place)
            )
        blank = [row for row in rows if row not in gone]
        if blank:
            mapped.loc[blank, failure.column] = ""
    return mapped.loc[~mapped.index.isin(gone)]


def _rows_of(failures: Iterable[_Failure]) -> set[int]:
    return {row for failure in failures for row in failure.value.index}


# --- one column -----------------------------------------------------------------------------------


def _raw(frame: pd.DataFrame, cell: Cell) -> pd.Series:
    """What the source says, before any recoding: the first named column that is not blank."""
    if cell.value is not None:
        return pd.Series(cell.value, index=frame.index, dtype=object)
    return _coalesced(frame, cell.column)


def _coalesced(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    first = frame[columns[0]]
    for name in columns[1:]:
        first = first.where(first != "", frame[name])
    return first


def _given(
    frame: pd.DataFrame,
    entry: Entry,
    column: Column,
    sources: AbstractMapping[str, pd.DataFrame],
    ids: pd.Series,
    made: Mapped,
) -> tuple[pd.Series, list[_Failure]]:
    """What the entry's source, or the one that is looked up, says of a column in each row.

    A row is blank, and listed, if its value depends on a time that cannot be read.
    """
    cell = entry.columns[column.name]
    if cell.source is None:
        return _raw(frame, cell), []
    source = sources[cell.source]
    met = source
    for rule in cell.where:
        met = met[meets(met, rule)]
    own = met[met[cell.by].isin(ids) & (met[cell.by] != "")]
    text = own[cell.by] if cell.take == "count" else _coalesced(own, cell.column)
    text = text[text != ""]
    unread = text.iloc[:0]
    if cell.take in ("earliest", "latest"):
        text, unread = _by_time(text, cell, column, made)
    usable = len(text) + len(unread)
    made.look_ups.append(
        LookUp(
            cell.source,
            entry.table.name,
            column.name,
            len(source),
            len(source) - len(met),
            len(met) - len(own),
            len(own) - usable,
            usable,
        )
    )
    by = own[cell.by]
    raw = ids.map(_taken(text, by.loc[text.index], cell.take))
    raw = raw.fillna("0" if cell.take == "count" else "")
    if unread.empty:
        return raw, []
    failure = _unread(unread, by, ids, cell, column)
    return raw.where(~raw.index.isin(failure.value.index), ""), [failure]


def _by_time(
    text: "pd.Series[str]", cell: Cell, column: Column, made: Mapped
) -> "tuple[pd.Series[str], pd.Series[str]]":
    """Texts in the order of their times, and those whose time cannot be read.

    A text that the mapping's values make blank is neither.
    """
    meant = _recoded(text, cell, column, made)
    meant = meant.where(meant.notna(), text)
    days = _Days.read(meant[meant != ""], cell)
    ordered = days.dropna().sort_values(kind="stable")
    return text.loc[ordered.index], text.loc[days.index[days.isna()]]


def _taken(text: "pd.Series[str]", by: "pd.Series[str]", take: str) -> "pd.Series[str]":
    """One text for each patient out of several; their number for ``count``."""
    groups = text.groupby(by)
    if take == "count":
        return groups.size().astype(str)
    return groups.last() if take in ("latest", "last") else groups.first()


def _unread(
    text: "pd.Series[str]", by: "pd.Series[str]", ids: pd.Series, cell: Cell, column: Column
) -> _Failure:
    """The rows of patients of whom a time cannot be read: it may be the one to take."""
    wrong = pd.DataFrame({"id": by.loc[text.index], "value": text})
    wrong["place"] = [f"{cell.source}, row {row}" for row in text.index]
    rows = pd.DataFrame({"id": ids, "row": ids.index}).merge(wrong, on="id")
    reason = f"expected {_expects(cell, column)}; without it the {cell.take} is not known"
    value = pd.Series(rows["value"].to_numpy(), index=pd.Index(rows["row"]), dtype=object)
    return _Failure(column.name, value, reason, rows["place"].tolist())


def _expects(cell: Cell, column: Column) -> str:
    """What a text must be so that a time can be read from it."""
    if cell.date is not None:
        return DATE_EXPECTED if cell.date == AUTO_DATE else f"a date written as {cell.date}"
    return f"a number of {cell.unit_of_months}" if column.kind == "month" else "a number"


def _column(
    raw: pd.Series,
    cell: Cell,
    column: Column,
    zero: "pd.Series[float] | None",
    made: Mapped,
    unread: Sequence[_Failure] = (),
    excused: AbstractSet[int] = frozenset(),
) -> tuple[pd.Series, list[_Failure]]:
    """Texts of one column as the schema wants them, and the cells that could not be mapped.

    ``unread`` are those that are known already. ``excused`` are rows that are left out for want of
    a time zero: a time in them is blank, but no failure of its own.
    """
    failures = list(unread)
    text = raw if cell.value is not None else _recoded(raw, cell, column, made)
    unknown = text.isna()
    if unknown.any():
        reason = "no value or pattern of the mapping fits it"
        failures.append(_Failure(column.name, raw[unknown], reason))
        text = text.where(~unknown, "")
    given = text != ""
    if column.kind == "month" and (
        cell.date is not None or cell.unit_of_months != "months" or zero is not None
    ):
        text, found = _as_months(text, cell, column, zero, excused)
        failures += found
    known = _rows_of(failures) | set(text.index[given & (text == "")])
    if cell.blank is not None:
        text = text.where((text != "") | unknown, cell.blank)
    _, problems = read_column(text, column, "")
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
    if cell.values_ is not None and key in cell.values_:
        return cell.values_[key]
    fitting = [
        code for code, patterns in cell.patterns.items() if any(_fits(p, key) for p in patterns)
    ]
    if fitting:
        if len(set(fitting)) > 1:
            made.ambiguous[text] = fitting[0]
        return fitting[0]
    if cell.values_ is None and not cell.patterns:
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
    text: pd.Series,
    cell: Cell,
    column: Column,
    zero: "pd.Series[float] | None",
    excused: AbstractSet[int],
) -> tuple[pd.Series, list[_Failure]]:
    """Dates or numbers in a unit as months since time zero."""
    given = text != ""
    days = _Days.read(text, cell)
    failures = []
    bad = given & days.isna()
    failures.append(_Failure(column.name, text[bad], f"expected {_expects(cell, column)}"))
    if zero is not None:
        days = days - zero
        lost = given & ~bad & days.isna() & ~text.index.isin(list(excused))
        failures.append(_Failure(column.name, text[lost], "its patient has no time zero"))
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
