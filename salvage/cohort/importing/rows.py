"""A mapping applied to tables of text: every row of a source ends in a table or in the list.

What a key of a mapping means for one cell stands in :class:`EntryRows`; a new key is a field of
:class:`salvage.cohort.importing.mapping.MappedCell` and its meaning here.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from salvage import words
from salvage.cohort import schema
from salvage.cohort.cells import months, parse_date, text_of
from salvage.cohort.dates import day_numbers
from salvage.cohort.importing import lines
from salvage.cohort.importing.identifiers import reconciled
from salvage.cohort.importing.look_ups import (
    LookUp,
    candidates,
    coalesced,
    during_lines,
    ranked,
    taken,
)
from salvage.cohort.importing.mapping import (
    AGE,
    BY_TIME,
    TIME_ZERO,
    ZERO_COLUMN,
    Condition,
    Entry,
    MappedCell,
    Mapping,
    Time,
    is_mapped_name,
)
from salvage.cohort.importing.matching import fitting, key_of
from salvage.cohort.importing.times import DatesRead, dates_read, days, expects, numbers, since
from salvage.cohort.schema import Column
from salvage.cohort.typed import read_column
from salvage.cohort.unusual import unlikely_days
from salvage.problems import Problem

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
class Recoded:
    """The texts of a source against what a column of the cohort says, and in how many rows."""

    source: str
    table: str
    column: str
    rows: AbstractMapping[tuple[str, str], int]


@dataclass
class Mapped:
    """Tables of text in the schema's columns, with where each row came from.

    ``origins`` holds, for each row of a table, the name of the source and the row in it.
    ``ambiguous`` lists texts that more than one pattern fits, with the code that was taken,
    ``negated`` texts in which a pattern stands beside a negation alone. ``not_kept`` are ids of
    patients whom the mapping's rules leave out, ``lost_lines`` ids of patients of whom a salvage
    row was left out. ``numbered`` says that no source numbers the lines, ``merged`` what became of
    rows of single drugs. ``same_ids`` holds by source the ids that the patients table writes
    otherwise. With any of ``errors`` the mapping does not fit the files.
    """

    tables: dict[str, pd.DataFrame]
    origins: dict[str, list[tuple[str, int]]]
    unmapped: list[Unmapped] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    ambiguous: dict[str, str] = field(default_factory=dict)
    negated: set[str] = field(default_factory=set)
    not_kept: set[str] = field(default_factory=set)
    look_ups: list[LookUp] = field(default_factory=list)
    recoded: list[Recoded] = field(default_factory=list)
    dates: list[DatesRead] = field(default_factory=list)
    lost_lines: set[str] = field(default_factory=set)
    numbered: bool = False
    merged: lines.Merged | None = None
    same_ids: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


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


def apply(mapping: Mapping, sources: AbstractMapping[str, pd.DataFrame]) -> Mapped:
    """Every table of the cohort from the sources; nothing is dropped without being listed."""
    mapped = Mapped({}, {})
    zero: pd.Series[float] | None = None
    cut_off = parse_date(mapping.study.data_cut_off)
    for table in schema.TABLES:
        entries = [entry for entry in mapping.entries if entry.table is table]
        if not entries:
            continue
        parts = [_EntryRows(entry, sources, mapped, zero, cut_off) for entry in entries]
        frames = [part.in_columns() for part in parts]
        rows = pd.concat(frames, ignore_index=True)
        part_of = np.repeat(range(len(parts)), [len(frame) for frame in frames])
        row_of = np.concatenate([frame.index for frame in frames])
        line_of = pd.Series(rows.index, index=rows.index)
        if table is schema.SALVAGE and mapping.lines is not None:
            mapped.merged = merged = lines.merge(rows, mapping.lines)
            rows, line_of = merged.lines, merged.line_of
            for number, part in enumerate(parts):
                part.note_unmerged(merged, row_of, np.flatnonzero(part_of == number))
        rows = _by_part(_EntryRows.kept, parts, rows, part_of, row_of)
        if table is schema.PATIENTS:
            zeros = [part.zero for part in parts if part.zero is not None]
            zero = pd.concat(zeros) if zeros else None
            zero = None if zero is None else zero[~zero.index.duplicated()]
        if table is schema.SALVAGE:
            mapped.numbered = not any("line" in entry.columns for entry in entries)
            rows = rows.assign(**{lines.NEXT: lines.next_starts(rows)})
            rows = _by_part(_EntryRows.filled, parts, rows, part_of, row_of)
            rows = lines.in_order(rows, mapped.tables["patients"]["patient_id"])
        is_written = line_of.isin(rows.index)
        lost = line_of[~is_written & (line_of != line_of.index)]
        for row, first in zip(lost.index.to_numpy(), lost, strict=True):
            # Of a line that is not written, only the first row is listed so far.
            reason = parts[part_of[first]].reason(row_of[first])
            parts[part_of[row]].note(row_of[row], *reason)
        for number, part in enumerate(parts):
            part.close(row_of[line_of.index[is_written & (part_of[line_of.index] == number)]])
        mapped.tables[table.name] = rows[list(table.names)].reset_index(drop=True)
        mapped.origins[table.name] = [
            (entries[part_of[row]].source, int(row_of[row])) for row in rows.index
        ]
    return mapped


def _by_part(
    step: "Callable[[_EntryRows, pd.DataFrame], pd.DataFrame]",
    parts: "Sequence[_EntryRows]",
    rows: pd.DataFrame,
    part_of: np.ndarray,
    row_of: np.ndarray,
) -> pd.DataFrame:
    """Rows after a step of each entry, which sees its own under their numbers in the source."""
    done = []
    for number, part in enumerate(parts):
        own = rows[part_of[rows.index] == number]
        by_row = pd.Series(own.index, index=row_of[own.index])
        left = step(part, own.set_axis(by_row.index))
        done.append(left.set_axis(by_row[left.index]))
    return pd.concat(done)


class _EntryRows:
    """The rows of one entry of a mapping, on their way from its source into a table of the cohort.

    frame     the rows of the source that are still there, indexed by their row in it
    ids       the patient of each of them, as the patients table writes the id
    mapped    the cohort so far; counts and unmapped rows are added to it
    zero      day of time zero by patient, if months are not counted from day 0
    listed    rows and cells of this entry that do not reach the table
    failures  cells that could not be mapped, as long as it is open whether their row is left out
    """

    def __init__(
        self,
        entry: Entry,
        sources: AbstractMapping[str, pd.DataFrame],
        mapped: Mapped,
        zero: "pd.Series[float] | None",
        cut_off: dt.date | None,
    ) -> None:
        self.entry, self.sources, self.mapped = entry, sources, mapped
        self.zero, self.cut_off = zero, cut_off
        self.table, self.is_patients = entry.table, entry.table is schema.PATIENTS
        self.frame = sources[entry.source]
        self.ids = self._first(self.frame, "patient_id")
        self.listed: list[Unmapped] = []
        self.failures: list[_Failure] = []
        # Of patients too whom a rule leaves out: one of them may have the other spelling of an id.
        self._known = set(self.ids)
        if not self.is_patients:
            self._known = set(mapped.tables["patients"]["patient_id"]) | mapped.not_kept
        self._origin: _TimeZero | None = None
        self._coded: dict[str, pd.DataFrame] = {}
        self._unlikely: list[Problem] = []

    # --- the steps ---

    def in_columns(self) -> pd.DataFrame:
        """The rows in the schema's columns, apart from those that are looked up by the line."""
        self.frame = self._keep(self.frame, [r for r in self.entry.keep if not r.mapped])
        self.ids = self.ids[self.frame.index]
        if TIME_ZERO in self.entry.columns:
            self._origin = self._time_zero()
        self.ids = self._column(self.table.column("patient_id"))
        if not self.is_patients:
            self._of_known_patients()
            if self.zero is not None:
                self._origin = _TimeZero(self.ids.map(self.zero).astype(float), self.ids == "")
        blank = pd.Series("", index=self.ids.index, dtype=object)
        cells = {column.name: blank for column in self.table.columns} | {"patient_id": self.ids}
        for column in self.table.columns:
            cell = self.entry.columns.get(column.name)
            if cell is not None and column.kind != "id" and cell.in_line is None:
                cells[column.name] = self._column(column)
        return self._without_failures(pd.DataFrame(cells, dtype=object))

    def note_unmerged(self, merged: lines.Merged, row_of: np.ndarray, own: np.ndarray) -> None:
        """List rows that are part of no line, and lines whose category is not decided."""
        supportive = merged.supportive[merged.supportive.index.isin(own)]
        for row, drug in zip(row_of[supportive.index], supportive, strict=True):
            self.note(row, "regimen", drug, "a supportive drug", NOT_KEPT)
        undecided = merged.undecided[merged.undecided.index.isin(own)]
        for row, found in zip(row_of[undecided.index], undecided, strict=True):
            expected = "lines.precedence to say which of these categories names the line"
            self._error(self.entry.source, "category", found, expected, int(row))

    def kept(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows, or lines, that meet the rules about columns of the cohort."""
        if rules := [rule for rule in self.entry.keep if rule.mapped]:
            frame = frame.loc[self._keep(self._with_mapped_names(frame), rules).index]
        if self.is_patients and self._origin is not None:
            self.zero = self._origin.day[frame.index].set_axis(frame["patient_id"])
        return frame

    def filled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Lines with what is looked up by the start of each and that of the patient's next one."""
        during = [
            column
            for column in self.table.columns
            if column.name in self.entry.columns and self.entry.columns[column.name].in_line
        ]
        if not during:
            return frame
        self.frame, self.ids = self.frame.loc[frame.index], self.ids[frame.index]
        if self._origin is not None:
            day, excused = self._origin
            self._origin = _TimeZero(day[frame.index], excused[frame.index])
        self._spans = frame[["patient_id", "start_month", lines.NEXT]]
        cells = {column.name: self._column(column) for column in during}
        return self._without_failures(frame.assign(**cells))

    def close(self, written: np.ndarray) -> None:
        """Add the list, the counts and the codes of this entry to the cohort's."""
        mapped, rows = self.mapped, self.sources[self.entry.source]
        if self.is_patients:
            dropped = [item.row for item in self.listed if item.outcome == NOT_KEPT]
            mapped.not_kept |= set(self._first(rows.loc[dropped], "patient_id"))
        gone = {item.row for item in self.listed if item.outcome != LEFT_BLANK}
        listed = [u for u in self.listed if u.outcome != LEFT_BLANK or u.row not in gone]
        mapped.unmapped += sorted(listed, key=lambda item: item.row)
        mapped.warnings += [p for p in self._unlikely if p.row in set(written)]
        mapped.counts.append(
            Count(
                self.entry.source,
                self.table.name,
                len(rows),
                len(written),
                sum(item.outcome == NOT_KEPT for item in listed),
                len({item.row for item in listed if item.outcome == LEFT_OUT}),
                len({(item.row, item.column) for item in listed if item.outcome == LEFT_BLANK}),
            )
        )
        for name, cells in self._coded.items():
            of_column = (u for u in listed if u.column == name and u.outcome != NOT_KEPT)
            failed = {item.row: item.outcome for item in of_column}
            shown = cells[cells.index.isin(written) | cells.index.isin(list(failed))]
            cohort = pd.Series(shown.index, index=shown.index).map(failed).fillna(shown["cohort"])
            counts = Counter(zip(shown["source"], cohort, strict=True))
            source = self.entry.columns[name].source or self.entry.source
            mapped.recoded.append(Recoded(source, self.table.name, name, counts))

    # --- rows that are not mapped ---

    def note(
        self, row: Any, column: str, value: str, reason: str, outcome: str, found_in: str = ""
    ) -> None:
        """List a row, or a cell of it, with what became of it."""
        place = (self.entry.source, int(row), self.table.name, column)
        self.listed.append(Unmapped(*place, value, reason, outcome, found_in))

    def reason(self, row: int) -> tuple[str, str, str, str]:
        """Column, value, reason and outcome with which a row is listed that went nowhere."""
        of_row = (u for u in self.listed if u.row == row and u.outcome != LEFT_BLANK)
        item = next(of_row)
        place = f"{item.reason}; its line begins in {item.source}, row {item.row}"
        return item.column, item.value, place, item.outcome

    def _error(
        self, source: str, column: str, value: str, expected: str, row: int | None = None
    ) -> None:
        """Note that the mapping does not fit the files."""
        problem = Problem(source, row, column, value, expected)
        if problem not in self.mapped.errors:
            self.mapped.errors.append(problem)

    def _keep(self, frame: pd.DataFrame, rules: Iterable[Condition]) -> pd.DataFrame:
        """The rows that meet every rule; the others are listed."""
        for rule in rules:
            met = self._meets(frame, rule)
            for row, value in frame.loc[~met, rule.column].items():
                self.note(row, rule.column, str(value), f"rule: {rule}", NOT_KEPT)
            frame = frame[met]
        return frame

    def _meets(self, frame: pd.DataFrame, rule: Condition) -> "pd.Series[bool]":
        if rule.test == "contains":
            texts = frame[rule.column].unique()
            self.mapped.negated |= {t for t in texts if fitting(rule.operands, t) is None}
        return meets(frame, rule)

    def _of_known_patients(self) -> None:
        """Keep the rows of patients of the cohort, and those with a blank id; list the others."""
        name = " or ".join(self.entry.columns["patient_id"].column)
        self.ids = self._as_known(self.ids, self.entry.source, name)
        known = self.mapped.tables["patients"]["patient_id"]
        unknown = (self.ids != "") & ~self.ids.isin(known)
        for row, patient in self.ids[unknown].items():
            if patient in self.mapped.not_kept:
                reason, outcome = "its patient was not kept by the mapping's rules", NOT_KEPT
            else:
                reason = "its patient is not in the patients table of this cohort"
                outcome = LEFT_OUT
            self.note(row, "patient_id", patient, reason, outcome)
        strangers = self.ids[unknown & ~self.ids.isin(self.mapped.not_kept)]
        if len(known) and len(strangers) and len(strangers) == len(self.ids):
            self._nobody(self.entry.source, name, strangers.iloc[0])
        self.frame, self.ids = self.frame[~unknown], self.ids[~unknown]

    def _nobody(self, source: str, column: str, example: str) -> None:
        """Note that no id of a source is one of the patients'."""
        like = next(iter(sorted(self._known - {""})), "")
        self._error(source, column, example, f"ids of the patients table, such as {like}")

    def _as_known(self, ids: pd.Series, source: str, column: str) -> pd.Series:
        """Ids of a source in the spelling of the patients table."""
        found = reconciled(ids, self._known - {""})
        if found.pairs:
            self.mapped.same_ids.setdefault(source, {}).update(found.pairs)
        for text, patients in found.refused.items():
            expected = f"an id as in the patients table, where {patients} may be meant"
            self._error(source, column, text, expected)
        return found.ids

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
                self.note(row, failure.column, value, failure.reason, outcome, place)
            if failure.column in frame:
                frame.loc[failure.texts.index, failure.column] = ""
        self.failures = []
        if self.table is schema.SALVAGE:
            self.mapped.lost_lines |= set(self.ids[self.ids.index.isin(gone)]) - {""}
        return frame.loc[~frame.index.isin(gone)]

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
        return coalesced(frame, cell.column)

    def _source_text(self, column: Column) -> pd.Series:
        """What the entry's source, or the one that is looked up, says of a column in each row.

        A row is blank, and a failure, if its value depends on a time that cannot be read.
        """
        cell = self.entry.columns[column.name]
        if not cell.take:
            return self._first(self.frame, column.name)
        keys = pd.Series(self.frame.index, index=self.frame.index)
        if cell.source is None:
            cells = self._ranked(candidates(self.frame, cell, keys), cell, column)
        else:
            if cell.in_line is None:
                keys = self.frame[cell.match].map(key_of) if cell.match else self.ids
            cells = self._looked_up(cell, cell.source, column)
        readable = cells["readable"].astype(bool)
        raw = keys.map(taken(cells[readable], cell, column))
        raw = raw.fillna("0" if cell.take == "count" else "")
        if readable.all():
            return raw
        failure = self._unread(cells[~readable], keys, cell, column)
        self.failures.append(failure)
        return raw.where(~raw.index.isin(failure.texts.index), "")

    def _looked_up(self, cell: MappedCell, name: str, column: Column) -> pd.DataFrame:
        """What may be taken for a column from the source ``name``; the look-up is counted."""
        source = self.sources[name]
        if cell.match:
            wanted, by = self.frame[cell.match].map(key_of), source[cell.by].map(key_of)
        else:
            wanted, by = self.ids, self._as_known(source[cell.by], name, cell.by)
        met = source
        for rule in cell.where:
            met = met[self._meets(met, rule)]
        own = met[by[met.index].isin(wanted) & (by[met.index] != "")]
        cells = candidates(own, cell, by)
        if cell.in_line is not None:
            cells = during_lines(cells, self._times(own, by, cell), self._spans, cell, column)
        if cells.empty and (wanted != "").any():
            self._nothing(cell, name, column, met, own)
        placed = cells["row"].nunique()
        cells = self._ranked(cells, cell, column)
        usable = cells["row"].nunique()
        self.mapped.look_ups.append(
            LookUp(
                name,
                self.table.name,
                column.name,
                len(source),
                len(source) - len(met),
                len(met) - len(own),
                len(own) - placed,
                placed - usable,
                usable,
            )
        )
        return cells

    def _nothing(
        self, cell: MappedCell, name: str, column: Column, met: pd.DataFrame, own: pd.DataFrame
    ) -> None:
        """Note that no row of a source can be used: nobody would have what is looked up."""
        place = f"{self.table.name}.{column.name}"
        if met.empty:
            expected = f"a row for {place} that `where` keeps; none is meant by `value` alone"
            self._error(name, "", "", expected)
        elif own.empty and not cell.match:
            self._nobody(name, cell.by, met[cell.by].iloc[0])
        elif own.empty:
            self._error(name, cell.by, met[cell.by].iloc[0], f"a value of {cell.match} for {place}")
        else:
            self._error(name, "", "", f"a row for {place} whose time is in a salvage line")

    def _times(self, rows: pd.DataFrame, by: pd.Series, cell: MappedCell) -> pd.DataFrame:
        """The month of each row of a source, and whether it can be read; a blank one is in no
        line."""
        assert cell.in_line is not None
        text = coalesced(rows, cell.in_line.column)
        name = f"{cell.source}.{cell.in_line.column[0]}"
        found = self._days(text, cell.in_line, name, cell.source)
        is_read = found.notna()
        if self.zero is not None:
            found = since(found, by[rows.index].map(self.zero).astype(float), cell.in_line)
        month = found.map(months, na_action="ignore")
        return pd.DataFrame({"month": month, "readable": is_read | (text == "")})

    def _ranked(self, cells: pd.DataFrame, cell: MappedCell, column: Column) -> pd.DataFrame:
        """What may be taken, in the order in which it is; texts that become blank are left out."""
        cells = cells[cells["text"] != ""]
        if cell.take not in (*BY_TIME, "best"):
            return cells
        meant = self._recoded(cells["text"], column)
        cells, meant = cells[meant != ""], meant[meant != ""]
        if cell.take == "best":
            rank = meant.map({code: float(i) for i, code in enumerate(column.codes)})
        elif cell.in_line is not None and column.kind != "month":
            rank = cells["day"]
        else:
            rank = self._days(
                meant.where(meant.notna(), cells["text"]), cell, column.name, cell.source
            )
        if cell.from_zero and self._origin is not None:
            zero = self._origin.day.groupby(self.ids[self._origin.day.index]).first()
            early = since(rank, cells["key"].map(zero).astype(float), cell) < 0
            cells, rank, meant = cells[~early], rank[~early], meant[~early]
        return ranked(cells, rank, meant == "PD")

    def _unread(
        self, cells: pd.DataFrame, keys: pd.Series, cell: MappedCell, column: Column
    ) -> _Failure:
        """The rows of whom a text cannot be read: it may be the one to take."""
        rows = pd.DataFrame({"key": keys, "own": keys.index}).merge(cells, on="key")
        expected = column.expects if column.codes else expects(cell, column)
        if cell.in_line is not None:
            expected = f"{expected}, on {expects(cell.in_line, ZERO_COLUMN)}"
        reason = f"expected {expected}; without it the {cell.take} is not known"
        places = [f"{cell.source or self.entry.source}, row {row}" for row in rows["row"]]
        return _Failure(column.name, rows.set_index("own")["text"], reason, places)

    def _days(
        self, text: pd.Series, time: Time, name: str, source: str | None = None, told: bool = False
    ) -> "pd.Series[float]":
        """Texts of a source as days; unless it is ``told`` already, the report says of the dates
        among them what they are."""
        if not time.date:
            return days(text, time)
        frame = self.sources[source or self.entry.source]
        beside = {text for column in time.column for text in frame[column].unique()}
        present = text[text != ""]
        if len(present) and not told:
            place = f"{self.table.name}.{name}"
            read = dates_read(present, time, source or self.entry.source, place, beside)
            self.mapped.dates.append(read)
            if read.contradicts:
                expected = (
                    f"dates written as {read.better}, which reads {read.by_pattern[read.better]} "
                    f"of {read.cells} cells; {read.written} reads {read.read}, as other days"
                )
                self._error(read.source, read.column, "", expected)
        return days(text, time, beside)

    # --- one column ---

    def _time_zero(self) -> _TimeZero:
        """Each patient's time zero."""
        cell = self.entry.columns[TIME_ZERO]
        raw = self._source_text(ZERO_COLUMN)
        found = self._days(raw, cell, TIME_ZERO, cell.source, cell.take in BY_TIME)
        self._note_unlikely(TIME_ZERO, raw, found, cell)
        missing = found.isna() & ~found.index.isin(_rows_of(self.failures))
        reason = f"expected {expects(cell, ZERO_COLUMN)}"
        self.failures.append(_Failure(TIME_ZERO, raw[missing], reason))
        return _TimeZero(found, found.isna())

    def _column(self, column: Column) -> pd.Series:
        """Texts of one column as the schema wants them; those that cannot be are failures."""
        cell = self.entry.columns[column.name]
        before = len(self.failures)
        raw = self._source_text(column)
        text = raw if cell.value is not None else self._recoded(raw, column)
        unknown = text.isna()
        if unknown.any():
            self._note_unlisted(raw[unknown], column)
            text = text.where(~unknown, "")
        present = text != ""
        if column.kind == "month" and (
            cell.date or cell.unit_of_months != "months" or self._origin is not None
        ):
            text = self._as_months(text, column)
        elif column.name == AGE and cell.date:
            text = self._as_age(text, column)
        failed = _rows_of(self.failures[before:]) | set(text.index[present & (text == "")])
        if cell.blank is not None:
            text = text.where((text != "") | unknown, cell.blank)
        _, problems = read_column(text, column, "")
        for problem in problems:
            if problem.row not in failed and problem.row is not None:
                value = pd.Series({problem.row: str(raw[problem.row])})
                self.failures.append(_Failure(column.name, value, f"expected {problem.expected}"))
        if column.kind in ("code", "flag") or (cell.recodes and column.kind != "month"):
            self._coded[column.name] = pd.DataFrame({"source": raw, "cohort": text})
        return text

    def _recoded(self, raw: pd.Series, column: Column) -> pd.Series:
        """Texts after values and patterns; missing where the mapping has no answer."""
        return raw.map({text: self._answer(text, column) for text in raw.unique()})

    def _answer(self, text: str, column: Column) -> str | None:
        cell = self.entry.columns[column.name]
        if text == "" or not cell.recodes:
            return text
        listed = cell.values_ or {}
        if key_of(text) in listed:
            return listed[key_of(text)]
        found = {code: fitting(patterns, text) for code, patterns in cell.patterns.items()}
        fits_in = [code for code, whether in found.items() if whether]
        if len(fits_in) > 1:
            self.mapped.ambiguous[text] = fits_in[0]
        if fits_in:
            return fits_in[0]
        if None in found.values():
            # "Not dead" is neither dead nor whatever all else would be.
            self.mapped.negated.add(text)
            return None
        if cell.otherwise is not None:
            return cell.otherwise
        return text if cell.lets_pass(text, column.kind) else None

    def _note_unlisted(self, raw: pd.Series, column: Column) -> None:
        """List cells for whose texts the mapping has no answer."""
        negated = raw.isin(self.mapped.negated)
        for texts, why in (
            (raw[~negated], "no value or pattern of the mapping fits it"),
            (raw[negated], "a negation stands beside what a pattern fits; values can list it"),
        ):
            if len(texts):
                self.failures.append(_Failure(column.name, texts, why))
        if column.required and column.kind == "flag":
            for text, number in Counter(raw).items():
                expected = (
                    f"a value that the mapping lists, in {words.count(number, 'row')}: patients "
                    "who are left out by their outcome make every estimate wrong"
                )
                self._error(self.entry.source, column.name, text, expected)

    def _as_months(self, text: pd.Series, column: Column) -> pd.Series:
        """Dates or numbers in a unit as months since time zero; others are failures, and blank."""
        cell, zero = self.entry.columns[column.name], self._origin
        # The dates among which one is taken have been told of already.
        told = cell.take in BY_TIME
        found = self._days(text, cell, column.name, cell.source, told)
        self._note_unlikely(column.name, text, found, cell)
        bad = (text != "") & found.isna()
        failures = {f"expected {expects(cell, column)}": bad}
        if zero is not None:
            lost = (text != "") & ~bad & zero.day.isna() & ~zero.excused
            failures["its patient has no time zero"] = lost
            found = since(found, zero.day, cell)
        failures["it lies before time zero"] = found < 0
        self.failures += [_Failure(column.name, text[w], why) for why, w in failures.items()]
        return found.where(found >= 0).map(months, na_action="ignore").map(text_of)

    def _as_age(self, text: pd.Series, column: Column) -> pd.Series:
        """Dates of birth as completed years at time zero; others are failures, and blank."""
        cell, zero = self.entry.columns[column.name], self._origin
        born = self._days(text, cell, column.name, cell.source)
        at = pd.Series(np.nan, index=text.index) if zero is None else zero.day
        years = [_years(*pair) for pair in zip(born, at, strict=True)]
        ages = pd.Series(years, index=text.index, dtype=object)
        failed = text[(text != "") & (ages == "")]
        reason = f"expected {expects(cell, column)}, and a time zero that is a date"
        self.failures.append(_Failure(column.name, failed, reason))
        return ages

    def _note_unlikely(self, name: str, text: pd.Series, found: pd.Series, time: Time) -> None:
        """Keep what is unlikely of the dates that are used."""
        if not time.date:
            return
        for expected, wrong in unlikely_days(found, name == TIME_ZERO, self.cut_off):
            self._unlikely += [
                Problem(self.entry.source, row, name, value, expected)
                for row, value in zip(text.index[wrong].tolist(), text[wrong], strict=True)
            ]


def _rows_of(failures: Iterable[_Failure]) -> set[int]:
    return {row for failure in failures for row in failure.texts.index}


def _years(born: float, at: float) -> str:
    """Completed years from one day number to another; blank if one is missing or they turn."""
    if not born <= at:
        return ""
    first, last = dt.date.fromordinal(int(born)), dt.date.fromordinal(int(at))
    return str(last.year - first.year - ((last.month, last.day) < (first.month, first.day)))


# --- rules ----------------------------------------------------------------------------------------


def meets(frame: pd.DataFrame, rule: Condition) -> "pd.Series[bool]":
    """Which rows meet a rule; a blank cell meets only rules about blanks and ``not_in``."""
    text = frame[rule.column]
    if rule.test == "blank":
        return (text == "") == (rule.operands[0] == "true")
    if rule.test == "contains":
        return text.map(lambda cell: fitting(rule.operands, cell) is True).astype(bool)
    keys = text.map(key_of)
    wanted = [key_of(operand) for operand in rule.operands]
    if rule.test in ("equals", "in"):
        return keys.isin(wanted)
    if rule.test == "not_in":
        return ~keys.isin(wanted)
    left, right = _compared(frame, text, rule.operands[0])
    compare = {"at_least": left.ge, "at_most": left.le, "above": left.gt, "below": left.lt}
    return compare[rule.test](right)


def _compared(
    frame: pd.DataFrame, text: pd.Series, operand: str
) -> "tuple[pd.Series[float], pd.Series[float] | float]":
    """Both sides of a comparison: with another column, with a number, or with a date."""
    if is_mapped_name(operand):
        return numbers(text), numbers(frame[operand])
    try:
        return numbers(text), float(operand)
    except ValueError:
        return day_numbers(text), day_numbers(pd.Series([operand]))[0]
