"""The mapping: how a hospital's own files become the tables of a cohort.

It is data and not a program: names of columns, values and patterns. Everything in it is read as
text, so that ``no`` is the word and not false, and ``01`` is not the number 1. See book/import.md.
"""

import codecs
import difflib
import re
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from salvage.cohort import schema
from salvage.cohort.cells import DAYS_PER_MONTH
from salvage.cohort.readers import setting
from salvage.cohort.schema import Column, Table
from salvage.cohort.study import Study, from_settings
from salvage.problems import InputError, Problem

UNIT_DAYS: Final = {"days": 1.0, "weeks": 7.0, "months": DAYS_PER_MONTH, "years": 365.25}
TAKES: Final = ("earliest", "latest", "first", "last", "count")
COMPARISONS: Final = ("at_least", "at_most", "above", "below")
TESTS: Final = ("equals", "in", "not_in", "contains", "blank", *COMPARISONS)
AUTO_DATE: Final = "auto"
TIME_ZERO: Final = "time_zero"
_CELL_KEYS: Final = (
    "column",
    "value",
    "values",
    "patterns",
    "otherwise",
    "blank",
    "unit",
    "date",
    "source",
    "by",
    "take",
    "where",
)
_SOURCE_KEYS: Final = ("file", "sheet", "header", "encoding", "labels")
_ENTRY_KEYS: Final = ("source", "keep", "columns")
_WHOLE: Final = re.compile(r"[+-]?\d+\.0+")
_TOP_KEYS: Final = ("study", "sources", "tables")
#: The day from which months are counted, if it is not day 0: written like a month column.
ZERO_COLUMN: Final = Column(TIME_ZERO, "month", "Time zero of the patient")


class MappingError(InputError):
    """A mapping that cannot be used; ``problems`` lists every reason."""


@dataclass(frozen=True)
class Condition:
    """One rule that a row must meet to be kept. ``operands`` are texts, numbers or column names."""

    column: str
    test: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.column} {self.test} {', '.join(self.operands)}"

    @property
    def mapped(self) -> bool:
        """Whether it speaks of a column of the cohort, such as ``patients.relapse_month``."""
        return any(is_mapped_name(name) for name in (self.column, *self.operands))


@dataclass(frozen=True)
class Cell:
    """How one column of the cohort is filled."""

    columns: tuple[str, ...] = ()
    value: str | None = None
    recode: AbstractMapping[str, str] | None = None
    patterns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    otherwise: str | None = None
    blank: str | None = None
    unit: str = "months"
    date: str | None = None
    source: str | None = None
    by: str = ""
    take: str = ""
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One source that gives rows to one table."""

    table: Table
    source: str
    keep: tuple[Condition, ...]
    columns: AbstractMapping[str, Cell]
    place: str


@dataclass(frozen=True)
class SourceFile:
    """One file, or one sheet of it; ``file`` is blank where the import is given a single file."""

    file: str = ""
    sheet: str = ""
    header: int = 1
    encoding: str | None = None
    labels: bool = False


@dataclass(frozen=True)
class Mapping:
    """A mapping that passed every check that needs no data."""

    name: str
    study: Study
    sources: AbstractMapping[str, SourceFile]
    entries: tuple[Entry, ...]


def is_mapped_name(name: str) -> bool:
    """Whether ``name`` is ``table.column`` of the cohort."""
    table, _, column = name.partition(".")
    return any(table == t.name and column in t.names for t in schema.TABLES)


def key_of(text: str) -> str:
    """Text as values and patterns compare it: without case and double spaces, and 1 for 1.0."""
    key = " ".join(text.casefold().split())
    # A whole number gets a .0 where a column with blanks was written by pandas, R or Excel.
    return key.partition(".")[0] if _WHOLE.fullmatch(key) else key


class _TextLoader(yaml.SafeLoader):
    """YAML in which every scalar is text, and a key given twice is an error."""

    # Only "<<", which takes over the keys of an anchor, keeps its meaning.
    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("<<"))]}  # noqa: RUF012

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value} is given twice", key_node.start_mark
                )
            if isinstance(key_node.value, str):
                seen.add(key_node.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read_mapping(path: Path) -> Mapping:
    """The mapping at ``path``; :class:`MappingError` lists everything that is wrong with it."""
    subject = f"The mapping {path.name} cannot be used"
    try:
        # _TextLoader is a SafeLoader: it makes texts, lists and mappings, and nothing else.
        raw = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_TextLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "not UTF-8"
        row = None if mark is None else mark.line + 1
        problem = Problem(path.name, row, "", "", f"a YAML file in UTF-8 ({reason})")
        raise MappingError(subject, [problem]) from error
    parser = _Parser(path.name)
    mapping = parser.mapping(raw)
    if parser.problems:
        raise MappingError(subject, parser.problems)
    return mapping


class _Parser:
    """Turns what the YAML holds into a :class:`Mapping`, collecting problems on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.sources: dict[str, SourceFile] = {}

    def wrong(self, place: str, value: object, expected: str, hint: str = "") -> None:
        self.problems.append(Problem(self.name, None, place, str(value), expected, hint))

    def known(self, raw: dict[Any, Any], keys: Sequence[str], place: str) -> None:
        for key in raw:
            if key not in keys:
                near = difflib.get_close_matches(str(key), keys, n=1)
                hint = f"{near[0]}?" if near else ""
                self.wrong(place, key, f"one of {', '.join(keys)}", hint)

    def record(self, raw: Any, place: str) -> dict[Any, Any]:
        if isinstance(raw, dict):
            return raw
        if raw not in (None, ""):
            self.wrong(place, raw, "key: value lines")
        return {}

    def items(self, raw: Any, place: str) -> list[Any]:
        if raw in (None, ""):
            return []
        if isinstance(raw, list):
            return raw
        self.wrong(place, raw, "a list, each item after a dash")
        return []

    def text(self, raw: Any, place: str) -> str:
        if isinstance(raw, str):
            return raw.strip()
        self.wrong(place, raw, "text")
        return ""

    def one_of(self, raw: Any, allowed: Sequence[str], place: str) -> str:
        text = self.text(raw, place)
        if text and text not in allowed:
            near = difflib.get_close_matches(text, allowed, n=1)
            self.wrong(place, text, f"one of {', '.join(allowed)}", f"{near[0]}?" if near else "")
        return text

    def mapping(self, raw: Any) -> Mapping:
        top = self.record(raw, "")
        self.known(top, _TOP_KEYS, "")
        settings = {
            key: setting(key, value) if isinstance(value, str) else value
            for key, value in self.record(top.get("study"), "study").items()
        }
        study, problems = from_settings(settings, f"{self.name}, study")
        self.problems += problems
        for name, source in self.record(top.get("sources"), "sources").items():
            self.sources[str(name)] = self.source(source, f"sources.{name}")
        if not self.sources:
            self.wrong("sources", "", "at least one source: a name and its file")
        entries = self.entries(self.record(top.get("tables"), "tables"))
        return Mapping(self.name, study, self.sources, tuple(entries))

    def source(self, raw: Any, place: str) -> SourceFile:
        if isinstance(raw, str):
            raw = {"file": raw}
        raw = self.record(raw, place)
        self.known(raw, _SOURCE_KEYS, place)
        texts = {key: self.text(raw[key], f"{place}.{key}") for key in _SOURCE_KEYS if key in raw}
        header = texts.get("header", "1")
        if not header.isdecimal() or int(header) < 1:
            self.wrong(f"{place}.header", header, "the number of the header's row, 1 or more")
            header = "1"
        file = texts.get("file", "")
        if Path(file).is_absolute() or ".." in Path(file).parts:
            self.wrong(f"{place}.file", file, "a file inside the folder that is imported")
        encoding = texts.get("encoding")
        if encoding is not None and not _known_encoding(encoding):
            self.wrong(f"{place}.encoding", encoding, "an encoding such as utf-8 or cp1252")
        labels = self.one_of(texts.get("labels", "false"), ("true", "false"), f"{place}.labels")
        return SourceFile(file, texts.get("sheet", ""), int(header), encoding, labels == "true")

    def entries(self, raw: dict[Any, Any]) -> list[Entry]:
        tables = {table.name: table for table in schema.TABLES}
        self.known(raw, tuple(tables), "tables")
        entries = []
        for name, table in tables.items():
            if name not in raw:
                if table.required:
                    self.wrong(f"tables.{name}", "", f"a list of sources: {table.row}")
                continue
            given = self.items(raw[name], f"tables.{name}")
            found = [
                self.entry(one, table, f"tables.{name}, source {number}")
                for number, one in enumerate(given, 1)
            ]
            numbered = ["line" in entry.columns for entry in found]
            if table is schema.SALVAGE and any(numbered) and not all(numbered):
                self.wrong(f"tables.{name}", "", "line from every source or from none")
            entries += found
        return entries

    def entry(self, raw: Any, table: Table, place: str) -> Entry:
        raw = self.record(raw, place)
        self.known(raw, _ENTRY_KEYS, place)
        source = self.one_of(raw.get("source", ""), tuple(self.sources), f"{place}.source")
        if not source:
            self.wrong(f"{place}.source", "", f"one of {', '.join(self.sources)}")
        keep = self.conditions(raw.get("keep"), f"{place}.keep")
        columns: dict[str, Cell] = {}
        targets = {column.name: column for column in table.columns}
        if table is schema.PATIENTS:
            targets[TIME_ZERO] = ZERO_COLUMN
        given = self.record(raw.get("columns"), f"{place}.columns")
        self.known(given, tuple(targets), f"{place}.columns")
        for name, column in targets.items():
            if name in given:
                columns[name] = self.cell(given[name], column, f"{place}.columns.{name}")
            elif column.required and name != "line":
                self.wrong(f"{place}.columns", "", f"{name}: {column.meaning.lower()}")
        if "patient_id" in columns and columns["patient_id"].source is not None:
            expected = "a column of this source: other sources are looked up by it"
            self.wrong(f"{place}.columns.patient_id", "", expected)
        return Entry(table, source, keep, columns, place)

    def conditions(self, raw: Any, place: str) -> tuple[Condition, ...]:
        found = []
        for number, one in enumerate(self.items(raw, place), 1):
            here = f"{place}, rule {number}"
            one = self.record(one, here)
            tests = [test for test in TESTS if test in one]
            self.known(one, ("column", *TESTS), here)
            if len(tests) != 1 or "column" not in one:
                self.wrong(here, one, f"column and one of {', '.join(TESTS)}")
                continue
            operands = one[tests[0]]
            listed = operands if isinstance(operands, list) else [operands]
            texts = tuple(self.text(operand, here) for operand in listed)
            if tests[0] in COMPARISONS and len(texts) == 1 and not _comparable(texts[0]):
                self.wrong(here, texts[0], "a number or a name such as patients.relapse_month")
            if tests[0] == "blank":
                self.one_of(texts[0], ("true", "false"), here)
            found.append(Condition(self.text(one["column"], here), tests[0], texts))
        return tuple(found)

    def cell(self, raw: Any, column: Column, place: str) -> Cell:
        if isinstance(raw, str | list):
            raw = {"column": raw}
        raw = self.record(raw, place)
        self.known(raw, _CELL_KEYS, place)
        if ("column" in raw) + ("value" in raw) != 1 and raw.get("take") != "count":
            self.wrong(place, "", "either column or value")
        named = raw.get("column", [])
        columns = tuple(
            self.text(one, place) for one in (named if isinstance(named, list) else [named])
        )
        texts = {
            key: self.text(raw[key], f"{place}.{key}")
            for key in ("value", "otherwise", "blank", "date", "by")
            if key in raw
        }
        values = None
        if "values" in raw:
            values = {
                key_of(str(key)): self.text(value, f"{place}.values")
                for key, value in self.record(raw["values"], f"{place}.values").items()
            }
        patterns = tuple(
            (
                str(key),
                tuple(self.text(one, f"{place}.patterns") for one in self.items(given, place)),
            )
            for key, given in self.record(raw.get("patterns"), f"{place}.patterns").items()
        )
        results = [*(values or {}).values(), *(key for key, _ in patterns), *texts_of(texts)]
        self.codes(results, column, place)
        unit = self.one_of(raw.get("unit", "months"), tuple(UNIT_DAYS), f"{place}.unit")
        if column.kind != "month" and ("unit" in raw or "date" in raw):
            self.wrong(place, "", "unit and date only for months")
        if "date" in raw and texts["date"] != AUTO_DATE and "%" not in texts["date"]:
            expected = "auto (year first), or a pattern such as %d/%m/%Y"
            self.wrong(f"{place}.date", texts["date"], expected)
        source = raw.get("source")
        if source is not None:
            source = self.one_of(source, tuple(self.sources), f"{place}.source")
            self.one_of(raw.get("take", ""), TAKES, f"{place}.take")
            if "by" not in raw or "take" not in raw:
                self.wrong(place, "", "with source: by (its column of patient ids) and take")
            if "value" in raw:
                self.wrong(place, texts["value"], "with source: column, and no value")
        elif any(key in raw for key in ("by", "take", "where")):
            self.wrong(place, "", "source, with by, take and where")
        where = self.conditions(raw.get("where"), f"{place}.where")
        for rule in (rule for rule in where if rule.mapped):
            expected = "a column of the source that is looked up, not one of the cohort"
            self.wrong(f"{place}.where", rule, expected)
        return Cell(
            columns,
            texts.get("value"),
            values,
            patterns,
            texts.get("otherwise"),
            texts.get("blank"),
            unit,
            texts.get("date"),
            source,
            texts.get("by", ""),
            str(raw.get("take", "")),
            where,
        )

    def codes(self, results: Sequence[str], column: Column, place: str) -> None:
        """Results that the column cannot hold."""
        allowed = tuple(column.codes) if column.kind == "code" else ("0", "1")
        if column.kind not in ("code", "flag"):
            return
        for result in sorted({r for r in results if r and r not in allowed}):
            near = difflib.get_close_matches(result, allowed, n=1)
            self.wrong(place, result, f"one of {', '.join(allowed)}", f"{near[0]}?" if near else "")


def texts_of(texts: AbstractMapping[str, str]) -> list[str]:
    """What a cell holds whatever the source says."""
    return [texts[key] for key in ("value", "otherwise", "blank") if key in texts]


def _comparable(operand: str) -> bool:
    if is_mapped_name(operand):
        return True
    try:
        float(operand)
    except ValueError:
        return False
    return True


def _known_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True
