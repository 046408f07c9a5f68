"""A cohort as its files hold it: settings, and tables of text.

A cohort is a folder of CSV or Parquet files with a study.yaml, or one workbook with a sheet for
each table and one of settings. Another format of a folder's tables is one more suffix of
:data:`COHORT_FILES`; how it is read stands in :mod:`salvage.cohort.files`.
"""

import datetime as dt
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from salvage import words
from salvage.cohort import dates, schema
from salvage.cohort.cells import EXCEL_ZERO
from salvage.cohort.files import (
    AS_IT_IS,
    FORMATS,
    MOST_TITLE_ROWS,
    WORKBOOKS,
    Read,
    headed,
    sheet_name,
    sheets,
)
from salvage.cohort.headers import plain_name, rows_below, schema_names, table_key
from salvage.cohort.schema import TableSchema
from salvage.cohort.study import Study, from_settings, read_study
from salvage.cohort.typed import is_second_header
from salvage.problems import Problem

#: What an import lists beside the cohort that it writes.
UNMAPPED_FILE: Final = "unmapped.csv"
#: What a table of a cohort folder may be in.
COHORT_FILES: Final = (".csv", ".tsv", ".txt", ".parquet")
#: What may be meant as a table, whether a cohort folder may hold it or not.
TABLE_FILES: Final = (*COHORT_FILES, *WORKBOOKS)
SETTINGS_FILE: Final = "study.yaml"
SETTINGS_SHEET: Final = "settings"
DICTIONARY_SHEET: Final = "dictionary"
#: A settings row ``label of bispecific`` is the key ``bispecific`` of ``labels`` in study.yaml.
LABEL_PREFIX: Final = "label of "
#: Rows with such an id are examples of the template: they are never read as patients.
EXAMPLE_PREFIX: Final = "EXAMPLE"


@dataclass
class Source:
    """What was read: settings, a text table and the name of its file for each table.

    ``left_out`` says what was there and is no part of the cohort. ``reported`` names cells (file,
    row, column) whose problem is already listed under another column, so that they need not be
    listed again; ``dated`` holds the dates that months were computed from. ``zero`` is the day from
    which Excel counts the days of a date.
    """

    study: Study = field(default_factory=Study)
    tables: dates.Tables = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    reported: set[dates.Place] = field(default_factory=set)
    dated: dates.Dated = field(default_factory=dict)
    zero: dt.date = EXCEL_ZERO


def read(path: Path) -> Source:
    """The tables of the cohort at ``path``, with dates turned into months.

    Nothing is raised: whatever is wrong is among the problems.
    """
    return in_months(as_written(path))


def as_written(path: Path) -> Source:
    """The tables of the cohort at ``path`` with dates as they are written, without example rows."""
    if path.is_dir():
        source = _folder(path)
    elif path.suffix.lower() in WORKBOOKS:
        source = _workbook(path)
    else:
        expected = "a folder with patients.csv, salvage.csv and study.yaml, or an Excel workbook"
        near = path.suffix.lower() in FORMATS
        hint = f"{path.parent.name or 'its folder'}, the folder of this file?" if near else ""
        return Source(problems=[Problem(str(path), expected=expected, hint=hint)])
    for table in schema.TABLES:
        if table.name in source.tables:
            _tidy(source, table)
    return source


def in_months(written: Source) -> Source:
    """A cohort's tables with every date turned into months; ``written`` stays as it is."""
    source = replace(written, tables=dict(written.tables), problems=list(written.problems))
    source.reported, source.dated = dates.to_months(source.tables, source.problems, source.zero)
    return source


def _take(source: Source, table: TableSchema, name: str, part: Read) -> None:
    """Add what was read of a table; ``name`` is that of its file or sheet in messages."""
    frame, problems = part
    source.problems += problems
    if len(frame.columns) or not problems:
        source.tables[table.name] = (frame, name)


# --- a folder -------------------------------------------------------------------------------------


def _folder(path: Path) -> Source:
    source = Source()
    files = {file.name.lower(): file for file in sorted(path.iterdir()) if file.is_file()}
    if SETTINGS_FILE in files:
        source.study, source.problems = read_study(files[SETTINGS_FILE])
    else:
        expected = "this file; it may be empty, every setting has a default"
        source.problems.append(Problem(SETTINGS_FILE, expected=expected))
    by_table: dict[str, list[Path]] = {table.name: [] for table in schema.TABLES}
    for file in files.values():
        if file.suffix.lower() in COHORT_FILES and table_key(file.stem) in by_table:
            by_table[table_key(file.stem)].append(file)
    for table in schema.TABLES:
        held = by_table[table.name]
        if len(held) > 1:
            names = " and ".join(file.name for file in held)
            source.problems.append(Problem(table.name, None, "", names, "one file for each table"))
        elif held:
            part = FORMATS[held[0].suffix.lower()](held[0], AS_IT_IS)
            _take(source, table, held[0].name, part)
        elif table.required:
            name = f"{table.name}.csv"
            hint = _meant_file(name, files)
            source.problems.append(Problem(name, expected=f"this file: {table.row}", hint=hint))
    source.left_out += _not_read(files.values(), by_table)
    return source


def _meant_file(name: str, files: dict[str, Path]) -> str:
    """What is probably meant as a file that is not there; ``files`` by their names in small
    letters."""
    near = difflib.get_close_matches(name, files, n=1)
    if near:
        return f"{files[near[0]].name} renamed?"
    books = [file.name for file in files.values() if file.suffix.lower() in WORKBOOKS]
    return f"the workbook {books[0]} itself, instead of its folder?" if len(books) == 1 else ""


def _not_read(files: Iterable[Path], by_table: dict[str, list[Path]]) -> list[str]:
    """Files that may be a table that is missing, or one whose name is nearly theirs.

    Other files are not named: a folder may hold whatever it likes.
    """
    names = ", ".join(f"{name}.csv" for name in by_table)
    return [
        f"{file.name} was not read: it is none of {names}"
        for file in files
        if file.suffix.lower() in TABLE_FILES
        and file.name != UNMAPPED_FILE
        and not any(file in held for held in by_table.values())
        and (
            not all(by_table.values())
            or difflib.get_close_matches(table_key(file.stem), by_table, n=1, cutoff=0.8)
        )
    ]


# --- a workbook -----------------------------------------------------------------------------------


def _workbook(path: Path) -> Source:
    if not path.is_file():
        return Source(problems=[Problem(str(path), expected="this file")])
    book = sheets(path)
    rows = book.rows
    source = Source(problems=book.problems, left_out=book.notes, zero=book.zero)
    if not rows:
        return source
    filled = [title for title in rows if any(map(any, rows[title]))]
    # Of two sheets with one key the first is read.
    titles = {table_key(title): title for title in reversed(rows)}
    for title in filled:
        if titles[table_key(title)] != title:
            expected = f"one sheet for {table_key(title)}"
            source.problems.append(Problem(sheet_name(path, title), expected=expected))
    title = titles.get(SETTINGS_SHEET, SETTINGS_SHEET)
    name = sheet_name(path, title)
    if title in rows:
        source.study, wrong = _settings(rows[title], name)
        source.problems += wrong
    else:
        expected = "a sheet of this name; it may be empty, every setting has a default"
        source.problems.append(Problem(name, expected=expected))
    for table in schema.TABLES:
        title = titles.get(table.name, table.name)
        name = sheet_name(path, title)
        if title in filled or (title in rows and table.required):
            _take(source, table, name, headed(rows[title], name))
        elif table.required:
            near = difflib.get_close_matches(table.name, titles, n=1)
            hint = f"{titles[near[0]]} renamed to {table.name}?" if near else ""
            source.problems.append(Problem(name, expected=f"this sheet: {table.row}", hint=hint))
    known = {SETTINGS_SHEET, DICTIONARY_SHEET, *(table.name for table in schema.TABLES)}
    source.left_out += [
        f"{sheet_name(path, title)} was not read: it is no sheet of the template"
        for title in filled
        if table_key(title) not in known
    ]
    return source


def _settings(rows: Iterable[Sequence[str]], file: str) -> tuple[Study, list[Problem]]:
    """Settings in two columns, a key and its value; further columns are comments."""
    settings: dict[str, Any] = {}
    labels: dict[str, str] = {}
    row_of: dict[str, int] = {}
    problems = []
    for number, row in enumerate(rows, 1):
        key, value = ([*row, "", ""])[:2]
        if not key or (number == 1 and key.lower() == "setting"):
            continue
        if key in row_of:
            problems.append(Problem(file, number, key, value, "each setting once"))
        row_of[key] = number
        category = key.removeprefix(LABEL_PREFIX)
        if category == key:
            settings[key] = value
        elif category not in words.CATEGORIES:
            expected = f"{LABEL_PREFIX}one of {', '.join(words.CATEGORIES)}"
            problems.append(Problem(file, number, key, value, expected))
        elif value:
            labels[category] = value
    if labels:
        settings["labels"] = labels
    study, wrong = from_settings(settings, file)
    return study, problems + [replace(p, row=row_of.get(p.column)) for p in wrong]


# --- what is not as the schema has it -------------------------------------------------------------


def _tidy(source: Source, table: TableSchema) -> None:
    """Names of columns as the schema has them; no example rows, and no row that is none of the
    table's: a header that is not on top, a second one, totals and notes."""
    frame, file = source.tables[table.name]
    frame = frame.rename(columns=schema_names(list(frame.columns), table))
    source.tables[table.name] = (frame, file)
    if "patient_id" not in frame.columns:
        top = frame.head(MOST_TITLE_ROWS).map(plain_name)
        lower = top.index[(top == "patient_id").any(axis=1)]
        if len(lower):
            # Whatever else is said of this table follows from that.
            source.problems = [p for p in source.problems if p.file != file]
            expected = "the names of the columns in the first row, and nothing above them"
            source.problems.append(Problem(file, int(lower[0]), expected=expected))
            del source.tables[table.name]
        return
    if len(frame) and is_second_header(frame.iloc[0], table):
        source.left_out.append(f"{file}: row {frame.index[0]}, a second header")
        frame = frame.iloc[1:]
    below = rows_below(frame)
    if len(below):
        rows = words.listing([str(row) for row in below])
        name = "row" if len(below) == 1 else "rows"
        source.left_out.append(f"{file}: {name} {rows}, totals or notes under the table")
        frame = frame.drop(index=below)
    # Each distinct id is looked at once.
    ids = [i for i in frame["patient_id"].unique() if i.upper().startswith(EXAMPLE_PREFIX)]
    example = frame["patient_id"].isin(ids)
    if ids:
        count = int(example.sum())
        rows = "1 example row" if count == 1 else f"{count} example rows"
        source.left_out.append(f"{file}: {rows} of the template")
    source.tables[table.name] = (frame[~example], file)
