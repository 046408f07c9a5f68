"""A mapping applied to tables of text: every row of a source ends in a table or in the list.

What a key of a mapping means for one cell stands in :class:`_EntryRows`; a new key is a field of
:class:`salvage.cohort.importing.mapping.Cell` and its meaning here.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pandas as pd

from salvage.cohort import schema
from salvage.cohort.cells import DATE_EXPECTED, months, text_of
from salvage.cohort.dates import day_numbers
from salvage.cohort.importing.mapping import (
    AUTO_DATE,
    TIME_ZERO,
    UNIT_DAYS,
    ZERO_COLUMN,
    Condition,
    Entry,
    MappedCell,
    Mapping,
    is_mapped_name,
    key_of,
)
from salvage.cohort.schema import Column
from salvage.cohort.typed import read_column

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
    """Of the rows of a source that is looked up: how many one column can use, and why no more."""

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
    """Cells of one column that could not be mapped: their rows and texts, and why.

    A row occurs twice if two values stand in its way; ``found_in`` has one place for each text.
    """

    column: str
    texts: "pd.Series[str]"
    reason: str
    found_in: Sequence[str] = ()


class _TimeZero(NamedTuple):
    """Day of time zero of each row of an entry.

    ``excused`` are rows that are left out for want of it, or of their patient: a time in them is
    blank, but no failure of its own.
    """

    day: "pd.Series[float]"
    excused: "pd.Series[bool]"


def numbers(text: pd.Series) -> "pd.Series[float]":
    """Numbers of a text column, missing where there is none; a decimal comma is read."""
    values, _ = read_column(text, Column("", "number", ""), "")
    return values.astype(float)


def apply(mapping: Mapping, sources: AbstractMapping[str, pd.DataFrame]) -> Mapped:
    """Every table of the cohort from the sources; nothing is dropped without being listed."""
    mapped = Mapped({}, {})
    zero: pd.Series[float] | None = None
    for table in schema.TABLES:
        entries = [entry for entry in mapping.entries if entry.table is table]
        if not entries:
            continue
        frames, origins, zeros = [], [], []
        for entry in entries:
            rows = _EntryRows(entry, sources, mapped)
            frames.append(rows.in_columns(zero))
            origins += [(entry.source, int(row)) for row in frames[-1].index]
            if rows.zero is not None:
                zeros.append(rows.zero)
        if zeros:
            zero = pd.concat(zeros)
            zero = zero[~zero.index.duplicated()]
        frame = pd.concat(frames, ignore_index=True)
        if table is schema.SALVAGE:
            mapped.numbered = not any("line" in entry.columns for entry in entries)
            frame, origins = _in_order(frame, origins, mapped.tables["patients"]["patient_id"])
        mapped.tables[table.name], mapped.origins[table.name] = frame, origins
    return mapped


class _EntryRows:
    """The rows of one entry of a mapping, on their way from its source into a table of the cohort.

    frame      the rows of the source that are still there, indexed by their row in it
    mapped     the cohort so far; counts and unmapped rows are added to it
    listed     rows and cells of this entry that do not reach the table
    failures   cells that could not be mapped, as long as it is open whether their row is left out
    zero       of patients: day of time zero by their id, if months are not counted from day 0
    """

    def __init__(
        self, entry: Entry, sources: AbstractMapping[str, pd.DataFrame], mapped: Mapped
    ) -> None:
        self.entry, self.sources, self.mapped = entry, sources, mapped
        self.table, self.is_patients = entry.table, entry.table is schema.PATIENTS
        self.frame = sources[entry.source]
        self.listed: list[Unmapped] = []
        self.failures: list[_Failure] = []
        self.zero: pd.Series[float] | None = None

    def in_columns(self, zero: "pd.Series[float] | None") -> pd.DataFrame:
        """The rows in the schema's columns; ``zero`` is the day of time zero by patient."""
        self.frame = self._keep(self.frame, [r for r in self.entry.keep if not r.mapped])
        origin = self._time_zero() if self.is_patients else None
        ids = self._column(self.table.column("patient_id"))
        if not self.is_patients:
            ids = self._of_known_patients(ids)
            origin = None if zero is None else _TimeZero(ids.map(zero).astype(float), ids == "")
        blank = pd.Series("", index=ids.index, dtype=object)
        cells = {column.name: blank for column in self.table.columns} | {"patient_id": ids}
        for column in self.table.columns:
            if column.name in self.entry.columns and column.kind != "id":
                cells[column.name] = self._column(column, origin)
        frame = self._without_failures(pd.DataFrame(cells, dtype=object))
        if self.table is schema.SALVAGE:
            self.mapped.lost_lines |= set(ids[~ids.index.isin(frame.index) & (ids != "")])
        if rules := [rule for rule in self.entry.keep if rule.mapped]:
            frame = frame.loc[self._keep(self._with_mapped_names(frame), rules).index]
        if origin is not None and self.is_patients:
            self.zero = origin.day.loc[frame.index].set_axis(frame["patient_id"])
        self._account(frame)
        return frame

    # --- rows that are not mapped ---

    def _note(
        self, row: Any, column: str, value: str, reason: str, outcome: str, found_in: str = ""
    ) -> None:
        place = (self.entry.source, int(row), self.table.name, column)
        self.listed.append(Unmapped(*place, value, reason, outcome, found_in))

    def _keep(self, frame: pd.DataFrame, rules: Iterable[Condition]) -> pd.DataFrame:
        """The rows that meet every rule; the others are listed."""
        for rule in rules:
            met = meets(frame, rule)
            for row, value in frame.loc[~met, rule.column].items():
                self._note(row, rule.column, str(value), f"rule: {rule}", NOT_KEPT)
            frame = frame[met]
        return frame

    def _of_known_patients(self, ids: pd.Series) -> pd.Series:
        """The ids of patients of the cohort, and blank ones; rows of other patients are listed."""
        unknown = (ids != "") & ~ids.isin(self.mapped.tables["patients"]["patient_id"])
        for row, patient in ids[unknown].items():
            if patient in self.mapped.not_kept:
                reason, outcome = "its patient was not kept by the mapping's rules", NOT_KEPT
            else:
                reason = "its patient is not in the patients table of this cohort"
                outcome = LEFT_OUT
            self._note(row, "patient_id", patient, reason, outcome)
        self.frame = self.frame[~unknown]
        return ids[~unknown]

    def _without_failures(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Cells that could not be mapped become blank; rows without a required cell are left out.

        Every failure of a row is listed, so that all of them can be mended at once.
        """
        required = {c.name for c in self.table.columns if c.required} | {TIME_ZERO}
        gone = _rows_of(failure for failure in self.failures if failure.column in required)
        for failure in self.failures:
            places = failure.found_in or [""] * len(failure.texts)
            for (row, value), place in zip(failure.texts.items(), places, strict=True):
                outcome = LEFT_OUT if row in gone else LEFT_BLANK
                self._note(row, failure.column, value, failure.reason, outcome, place)
            if failure.column in frame:
                frame.loc[failure.texts.index, failure.column] = ""
        return frame.loc[~frame.index.isin(gone)]

    def _account(self, frame: pd.DataFrame) -> None:
        """Add the list and the counts of this entry to the cohort's."""
        read = self.sources[self.entry.source]
        if self.is_patients:
            rows = [item.row for item in self.listed if item.outcome == NOT_KEPT]
            self.mapped.not_kept |= set(self._first(read.loc[rows], "patient_id"))
        gone = {item.row for item in self.listed if item.outcome != LEFT_BLANK}
        listed = [u for u in self.listed if u.outcome != LEFT_BLANK or u.row not in gone]
        self.mapped.unmapped += sorted(listed, key=lambda item: item.row)
        self.mapped.counts.append(
            Count(
                self.entry.source,
                self.table.name,
                len(read),
                len(frame),
                sum(item.outcome == NOT_KEPT for item in listed),
                len({item.row for item in listed if item.outcome == LEFT_OUT}),
                len({(item.row, item.column) for item in listed if item.outcome == LEFT_BLANK}),
            )
        )

    def _with_mapped_names(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The source's columns, and those of the cohort under names such as
        ``patients.os_month``."""
        parts = [self.frame.loc[frame.index], frame.add_prefix(f"{self.table.name}.")]
        if not self.is_patients:
            patients = self.mapped.tables["patients"].drop_duplicates("patient_id")
            looked_up = patients.set_index("patient_id").add_prefix("patients.")
            parts.append(looked_up.reindex(frame["patient_id"]).set_axis(frame.index))
        return pd.concat(parts, axis=1)

    # --- what the source says ---

    def _first(self, frame: pd.DataFrame, name: str) -> pd.Series:
        """The first of a column's source columns that is not blank, or the value of the mapping."""
        cell = self.entry.columns[name]
        if cell.value is not None:
            return pd.Series(cell.value, index=frame.index, dtype=object)
        return _coalesced(frame, cell.column)

    def _source_text(self, column: Column) -> pd.Series:
        """What the entry's source, or the one that is looked up, says of a column in each row.

        A row is blank, and a failure, if its value depends on a time that cannot be read.
        """
        cell = self.entry.columns[column.name]
        if cell.source is None:
            return self._first(self.frame, column.name)
        ids = self._first(self.frame, "patient_id")
        source = met = self.sources[cell.source]
        for rule in cell.where:
            met = met[meets(met, rule)]
        own = met[met[cell.by].isin(ids) & (met[cell.by] != "")]
        by = own[cell.by]
        text = by if cell.take == "count" else _coalesced(own, cell.column)
        text = text[text != ""]
        unread = text.iloc[:0]
        if cell.take in ("earliest", "latest"):
            text, unread = self._by_time(text, column)
        usable = len(text) + len(unread)
        self.mapped.look_ups.append(
            LookUp(
                cell.source,
                self.table.name,
                column.name,
                len(source),
                len(source) - len(met),
                len(met) - len(own),
                len(own) - usable,
                usable,
            )
        )
        raw = ids.map(_taken(text, by.loc[text.index], cell.take))
        raw = raw.fillna("0" if cell.take == "count" else "")
        if unread.empty:
            return raw
        failure = _unread(unread, by, ids, cell, column)
        self.failures.append(failure)
        return raw.where(~raw.index.isin(failure.texts.index), "")

    def _by_time(
        self, text: "pd.Series[str]", column: Column
    ) -> "tuple[pd.Series[str], pd.Series[str]]":
        """Texts in the order of their times, and those whose time cannot be read.

        A text that the mapping's values make blank is neither.
        """
        meant = self._recoded(text, column)
        meant = meant.where(meant.notna(), text)
        days = _days(meant[meant != ""], self.entry.columns[column.name])
        ordered = days.dropna().sort_values(kind="stable")
        return text.loc[ordered.index], text.loc[days.index[days.isna()]]

    # --- one column ---

    def _time_zero(self) -> _TimeZero | None:
        """Each patient's time zero; None where months are counted from day 0."""
        cell = self.entry.columns.get(TIME_ZERO)
        if cell is None:
            return None
        raw = self._source_text(ZERO_COLUMN)
        days = _days(raw, cell)
        missing = days.isna() & ~days.index.isin(_rows_of(self.failures))
        reason = f"expected {_expects(cell, ZERO_COLUMN)}"
        self.failures.append(_Failure(TIME_ZERO, raw[missing], reason))
        return _TimeZero(days, days.isna())

    def _column(self, column: Column, zero: _TimeZero | None = None) -> pd.Series:
        """Texts of one column as the schema wants them; those that cannot be are failures."""
        cell = self.entry.columns[column.name]
        before = len(self.failures)
        raw = self._source_text(column)
        text = raw if cell.value is not None else self._recoded(raw, column)
        unknown = text.isna()
        if unknown.any():
            reason = "no value or pattern of the mapping fits it"
            self.failures.append(_Failure(column.name, raw[unknown], reason))
            text = text.where(~unknown, "")
        present = text != ""
        if column.kind == "month" and (
            cell.date is not None or cell.unit_of_months != "months" or zero is not None
        ):
            text = self._as_months(text, column, zero)
        failed = _rows_of(self.failures[before:]) | set(text.index[present & (text == "")])
        if cell.blank is not None:
            text = text.where((text != "") | unknown, cell.blank)
        _, problems = read_column(text, column, "")
        for problem in problems:
            if problem.row not in failed and problem.row is not None:
                value = pd.Series({problem.row: str(raw[problem.row])})
                self.failures.append(_Failure(column.name, value, f"expected {problem.expected}"))
        return text

    def _recoded(self, raw: pd.Series, column: Column) -> pd.Series:
        """Texts after values and patterns; missing where the mapping has no answer."""
        return raw.map({text: self._answer(text, column) for text in raw.unique()})

    def _answer(self, text: str, column: Column) -> str | None:
        cell, key = self.entry.columns[column.name], key_of(text)
        if text == "":
            return ""
        if cell.values_ is not None and key in cell.values_:
            return cell.values_[key]
        fitting = [
            code for code, patterns in cell.patterns.items() if any(_fits(p, key) for p in patterns)
        ]
        if fitting:
            if len(fitting) > 1:
                self.mapped.ambiguous[text] = fitting[0]
            return fitting[0]
        if cell.values_ is None and not cell.patterns:
            return text
        allowed = {"code": tuple(column.codes), "flag": ("0", "1")}.get(column.kind)
        if allowed is not None and text in allowed:
            return text
        # Without an answer, text and numbers stay as they are; a code or a flag has none.
        return cell.otherwise if cell.otherwise is not None else None if allowed else text

    def _as_months(self, text: pd.Series, column: Column, zero: _TimeZero | None) -> pd.Series:
        """Dates or numbers in a unit as months since time zero; others are failures, and blank."""
        cell = self.entry.columns[column.name]
        days = _days(text, cell)
        bad = (text != "") & days.isna()
        failures = {f"expected {_expects(cell, column)}": bad}
        if zero is not None:
            days = days - zero.day
            lost = (text != "") & ~bad & days.isna() & ~zero.excused
            failures["its patient has no time zero"] = lost
        failures["it lies before time zero"] = days < 0
        self.failures += [_Failure(column.name, text[w], why) for why, w in failures.items()]
        return days.where(days >= 0).map(months, na_action="ignore").map(text_of)


def _rows_of(failures: Iterable[_Failure]) -> set[int]:
    return {row for failure in failures for row in failure.texts.index}


def _coalesced(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    first = frame[columns[0]]
    for name in columns[1:]:
        first = first.where(first != "", frame[name])
    return first


def _taken(text: "pd.Series[str]", by: "pd.Series[str]", take: str) -> "pd.Series[str]":
    """One text for each patient out of several; their number for ``count``."""
    groups = text.groupby(by)
    if take == "count":
        return groups.size().astype(str)
    return groups.last() if take in ("latest", "last") else groups.first()


def _unread(
    text: "pd.Series[str]", by: "pd.Series[str]", ids: pd.Series, cell: MappedCell, column: Column
) -> _Failure:
    """The rows of patients of whom a time cannot be read: it may be the one to take."""
    wrong = pd.DataFrame({"id": by.loc[text.index], "value": text})
    wrong["place"] = [f"{cell.source}, row {row}" for row in text.index]
    rows = pd.DataFrame({"id": ids, "row": ids.index}).merge(wrong, on="id")
    reason = f"expected {_expects(cell, column)}; without it the {cell.take} is not known"
    return _Failure(column.name, rows.set_index("row")["value"], reason, rows["place"].tolist())


def _expects(cell: MappedCell, column: Column) -> str:
    """What a text must be so that a time can be read from it."""
    if cell.date is not None:
        return DATE_EXPECTED if cell.date == AUTO_DATE else f"a date written as {cell.date}"
    return f"a number of {cell.unit_of_months}" if column.kind == "month" else "a number"


def _days(text: pd.Series, cell: MappedCell) -> "pd.Series[float]":
    """Texts as days: dates as day numbers, or numbers in a unit."""
    if cell.date is None:
        return numbers(text) * UNIT_DAYS[cell.unit_of_months]
    return day_numbers(text, None if cell.date == AUTO_DATE else cell.date)


def _fits(pattern: str, key: str) -> bool:
    """Whether a pattern occurs in a text, both without case; ``*`` stands for any letters."""
    parts = [re.escape(part) for part in key_of(pattern).split("*")]
    return re.search(".*".join(parts), key) is not None


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
        return keys.map(lambda key: any(_fits(pattern, key) for pattern in wanted)).astype(bool)
    left, operand = numbers(text), rule.operands[0]
    right = numbers(frame[operand]) if is_mapped_name(operand) else float(operand)
    compare = {"at_least": left.ge, "at_most": left.le, "above": left.gt, "below": left.lt}
    return compare[rule.test](right)


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
