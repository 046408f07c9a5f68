"""The mapping: how a hospital's own files become the tables of a cohort.

It is data and not a program: names of columns, values and patterns. Everything in it is read as
text, so that ``no`` is the word and not false, and ``01`` is not the number 1. See book/import.md.
A new key is a field of :class:`MappedCell`, of :class:`Condition` or of
:class:`salvage.cohort.files.SourceFile`, and what it does stands in ``rows`` or in ``files``.
"""

from collections.abc import Collection, Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from salvage.cohort import schema
from salvage.cohort.cells import DAYS_PER_MONTH, parse_date
from salvage.cohort.files import SourceFile
from salvage.cohort.importing.matching import key_of
from salvage.cohort.schema import Column, TableSchema
from salvage.cohort.study import Study
from salvage.problems import InputError
from salvage.records import Kind, Reader, one_of

UNIT_DAYS: Final = {"days": 1.0, "weeks": 7.0, "months": DAYS_PER_MONTH, "years": 365.25}
TAKES: Final = ("earliest", "latest", "first", "last", "best", "count")
#: What is taken by a time, which several columns of one row can hold as well.
BY_TIME: Final = ("earliest", "latest")
AUTO_DATE: Final = "auto"
TIME_ZERO: Final = "time_zero"
#: Column that a date of birth may fill.
AGE: Final = "age"
#: Columns that say which line a row is: nothing can be looked up by the line before they are known.
_OF_A_LINE: Final = ("patient_id", "line", "start_month")
#: The day from which months are counted, if it is not day 0: written like a month column.
ZERO_COLUMN: Final = Column(TIME_ZERO, "month", "Time zero of the patient")


class MappingError(InputError):
    """A mapping that cannot be used; ``problems`` lists every reason."""


def is_mapped_name(name: str) -> bool:
    """Whether ``name`` is ``table.column`` of the cohort."""
    table, _, column = name.partition(".")
    return any(table == t.name and column in t.names for t in schema.TABLES)


# --- what a mapping may hold ----------------------------------------------------------------------


def _operand(text: str) -> str:
    """What a number or a date is compared with. Raises ValueError for nothing of that kind."""
    if not is_mapped_name(text) and parse_date(text) is None:
        float(text)
    return text


def _date(text: str) -> str:
    """How dates are written. Raises ValueError for no pattern."""
    if text != AUTO_DATE and "%" not in text:
        raise ValueError(text)
    return text


#: Text of the source: a blank is one.
_Text = Annotated[str, Kind(str, "text", blank=True)]
_Key = Annotated[str, Kind(key_of, "text", blank=True)]
_Operand = Annotated[
    str, Kind(_operand, "a number, a date as 2024-03-31 or a name such as patients.relapse_month")
]
_Date = Annotated[str, Kind(_date, "auto (year first), or a pattern such as %d/%m/%Y")]


@dataclass(frozen=True)
class Condition:
    """One rule that a row must meet to be kept: a column and one test, with its operands.

    Operands are texts, numbers or names of columns.
    """

    column: str = ""
    equals: tuple[_Text, ...] = ()
    in_: tuple[_Text, ...] = ()
    not_in: tuple[_Text, ...] = ()
    contains: tuple[_Text, ...] = ()
    blank: tuple[Literal["true", "false"], ...] = ()
    at_least: tuple[_Operand, ...] = ()
    at_most: tuple[_Operand, ...] = ()
    above: tuple[_Operand, ...] = ()
    below: tuple[_Operand, ...] = ()

    def __str__(self) -> str:
        return f"{self.column} {self.test} {', '.join(self.operands)}"

    def contradictions(self) -> Iterator[tuple[str, object, str]]:
        """A rule without a column, or without exactly one test."""
        if not self.column or len(self._tests()) != 1:
            tests = ", ".join(test.name.rstrip("_") for test in fields(self)[1:])
            yield "", "", f"column and one of {tests}"

    def _tests(self) -> dict[str, tuple[str, ...]]:
        tests = {test.name.rstrip("_"): getattr(self, test.name) for test in fields(self)[1:]}
        return {test: operands for test, operands in tests.items() if operands}

    @property
    def test(self) -> str:
        """Key of the test."""
        return next(iter(self._tests()), "")

    @property
    def operands(self) -> tuple[str, ...]:
        """What the column is tested against."""
        return self._tests().get(self.test, ())

    @property
    def mapped(self) -> bool:
        """Whether it speaks of a column of the cohort, such as ``patients.relapse_month``."""
        return any(is_mapped_name(name) for name in (self.column, *self.operands))


@dataclass(frozen=True)
class Time:
    """A time of the source: the first of some columns that is not blank, as a date or a number."""

    SHORT: ClassVar = "column"

    column: tuple[str, ...] = ()
    unit: Annotated[str, one_of(UNIT_DAYS)] | None = None
    date: tuple[_Date, ...] = ()

    @property
    def unit_of_months(self) -> str:
        """Unit of the source's number."""
        return self.unit or "months"


@dataclass(frozen=True)
class MappedCell(Time):
    """How one column of the cohort is filled: from the first of some columns that is not blank, or
    with a value; ``unit`` and ``date`` are those of a month, ``in_line`` the time by which a row of
    another source belongs to a salvage line. With ``from_zero`` only times from time zero on count:
    an earlier relapse, such as one before the CAR-T, is another."""

    value: _Text | None = None
    values_: dict[_Key, _Text] | None = None
    patterns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    otherwise: _Text | None = None
    keep_unlisted: bool = False
    blank: _Text | None = None
    source: str | None = None
    by: str = ""
    match: str = ""
    take: Annotated[str, one_of(TAKES)] = ""
    where: tuple[Condition, ...] = ()
    in_line: Time | None = None
    from_zero: bool = False

    @property
    def recodes(self) -> bool:
        """Whether it says what some texts of the source become."""
        return bool(self.values_ is not None or self.patterns)

    def lets_pass(self, text: str, kind: str) -> bool:
        """Whether a text that no value or pattern fits stays as it is.

        Free text does, and a number unless the mapping lists numbers; no code and no 0 or 1 does.
        """
        if self.keep_unlisted or kind in ("text", "id"):
            return True
        listed = (key for key, result in (self.values_ or {}).items() if result)
        return kind not in ("code", "flag") and not any(map(str.isdigit, listed))

    @property
    def results(self) -> set[str]:
        """What the mapping itself writes into cells, apart from a blank."""
        fixed = (self.value, self.otherwise, self.blank)
        return {text for text in (*fixed, *(self.values_ or {}).values(), *self.patterns) if text}

    def contradictions(self) -> Iterator[tuple[str, object, str]]:
        """Keys that do not go together."""
        if bool(self.column) == (self.value is not None) and self.take != "count":
            yield "", "", "either column or value"
        within = self.take in BY_TIME and len(self.column) > 1
        if self.source is None and (self.by or self.match or self.where or self.in_line):
            yield "", "", "source, with by, take and where"
        elif self.source is None and self.take and not within:
            yield "take", self.take, "source; without it, earliest or latest of several columns"
        if self.source is not None and not (self.by and self.take):
            yield "", "", "with source: by (its column of patient ids) and take"
        if self.keep_unlisted and (self.otherwise is not None or not self.recodes):
            yield "keep_unlisted", "true", "values or patterns beside it, and no otherwise"
        if self.from_zero and self.take not in BY_TIME:
            yield "from_zero", "true", "earliest or latest to take"
        if self.in_line is not None and (self.match or not self.in_line.column):
            yield "in_line", "", "the column of a time, and no match"
        if self.source is not None and self.value is not None:
            yield "", self.value, "with source: column, and no value"
        for rule in self.where:
            if rule.mapped:
                expected = "a column of the source that is looked up, not one of the cohort"
                yield "where", str(rule), expected


@dataclass(frozen=True)
class Lines:
    """How rows of single drugs become salvage lines; see :mod:`salvage.cohort.importing.lines`.

    within_days             after the start of a line, in which a further drug is part of it
    same_regimen_gap_days   longest gap after which a drug of the line still continues it
    supportive              drugs that are no treatment of the lymphoma, written as patterns
    precedence              which category names a line of several, the first one before the others
    """

    within_days: int = 14
    same_regimen_gap_days: int = 60
    supportive: tuple[str, ...] = ()
    precedence: tuple[Annotated[str, one_of(schema.CATEGORY_KEYS)], ...] = ()


@dataclass(frozen=True)
class _Entry:
    source: str = ""
    keep: tuple[Condition, ...] = ()
    columns: dict[str, MappedCell] = field(default_factory=dict)


@dataclass(frozen=True)
class _Content:
    study: Study = field(default_factory=Study)
    sources: dict[str, SourceFile] = field(default_factory=dict)
    tables: dict[Annotated[str, one_of(t.name for t in schema.TABLES)], tuple[_Entry, ...]] = field(
        default_factory=dict
    )
    lines: Lines | None = None


# --- what it means for the cohort -----------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One source that gives rows to one table; ``place`` is where the mapping says so."""

    table: TableSchema
    source: str
    keep: tuple[Condition, ...]
    columns: AbstractMapping[str, MappedCell]
    place: str


@dataclass(frozen=True)
class Mapping:
    """A mapping that passed every check that needs no data."""

    name: str
    study: Study
    sources: AbstractMapping[str, SourceFile]
    entries: tuple[Entry, ...]
    lines: Lines | None = None


def read_mapping(path: Path) -> Mapping:
    """The mapping at ``path``. Raises :class:`MappingError` that lists every problem of it."""
    reader = Reader(path.name, f"The mapping {path.name} cannot be used", MappingError)
    content = reader.record(_Content, reader.load(path))
    if not content.sources:
        reader.wrong("sources", "", "at least one source: a name and its file")
    entries = _entries(content, reader)
    reader.check()
    return Mapping(path.name, content.study, content.sources, tuple(entries), content.lines)


def _entries(content: _Content, reader: Reader) -> list[Entry]:
    entries = []
    for table in schema.TABLES:
        place = f"tables.{table.name}"
        if table.required and table.name not in content.tables:
            reader.wrong(place, "", f"a list of sources: {table.row}")
        of_table = [
            _entry(entry, table, content.sources, f"{place}[{number}]", reader)
            for number, entry in enumerate(content.tables.get(table.name, ()), 1)
        ]
        numbered = ["line" in entry.columns for entry in of_table]
        if table is schema.SALVAGE and any(numbered) and not all(numbered):
            reader.wrong(place, "", "line from every source or from none")
        if table is schema.SALVAGE and content.lines is not None:
            for entry in of_table:
                if "regimen" not in entry.columns:
                    reader.wrong(entry.place, "", "regimen: with lines, the drug of each row")
        entries += of_table
    return entries


def _entry(
    entry: _Entry, table: TableSchema, sources: Collection[str], place: str, reader: Reader
) -> Entry:
    reader.one_of(entry.source, sources, f"{place}.source")
    targets = {column.name: column for column in table.columns}
    if table is schema.PATIENTS:
        targets[TIME_ZERO] = ZERO_COLUMN
    reader.known(entry.columns, targets, f"{place}.columns")
    columns: dict[str, MappedCell] = {}
    for name, column in targets.items():
        if name in entry.columns:
            columns[name] = entry.columns[name]
            _check_cell(columns[name], column, table, sources, f"{place}.columns.{name}", reader)
        elif column.required and name != "line":
            reader.wrong(f"{place}.columns", "", f"{name}: {column.meaning.lower()}")
    if "patient_id" in columns and columns["patient_id"].source is not None:
        expected = "a column of this source: other sources are looked up by it"
        reader.wrong(f"{place}.columns.patient_id", "", expected)
    late = {f"{table.name}.{name}" for name, cell in columns.items() if cell.in_line is not None}
    for number, rule in enumerate(entry.keep, 1):
        for name in late & {rule.column, *rule.operands}:
            expected = "no column with in_line, which is filled after the rules are applied"
            reader.wrong(f"{place}.keep[{number}]", name, expected)
    return Entry(table, entry.source, entry.keep, columns, place)


def _check_cell(
    cell: MappedCell,
    column: Column,
    table: TableSchema,
    sources: Collection[str],
    place: str,
    reader: Reader,
) -> None:
    """Note a source that is not there, and what the column cannot hold."""
    reader.one_of(cell.source, sources, f"{place}.source")
    if column.kind != "month" and (cell.unit or (cell.date and column.name != AGE)):
        reader.wrong(place, "", "unit only for months, and date only for months and age")
    if cell.take == "best" and not column.codes:
        reader.wrong(place, "best", "another take: only codes have a best one")
    if cell.in_line is not None and (table is not schema.SALVAGE or column.name in _OF_A_LINE):
        reader.wrong(place, "in_line", "this key only for what happens during a salvage line")
    if column.kind in ("code", "flag"):
        for result in sorted(cell.results):
            reader.one_of(result, tuple(column.codes) or ("0", "1"), place)
