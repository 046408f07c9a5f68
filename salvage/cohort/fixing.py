"""A corrected copy of a cohort: every cell that can mean one thing only holds that thing.

What is corrected is what :func:`salvage.cohort.check.check` finds a cure for, and the dates that it
reads in another form than year-month-day. What may mean two things stays. The source is only read.
"""

import datetime as dt
import re
import shutil
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final

import openpyxl
from openpyxl.cell import MergedCell

from salvage import words
from salvage.cohort.cells import csv_text, parse_date, read_dates, stored_date
from salvage.cohort.check import check_source
from salvage.cohort.dates import SHEET, beside, columns_of_dates, date_column, date_columns
from salvage.cohort.files import NEW_EXCEL, sheets
from salvage.cohort.headers import schema_names
from salvage.cohort.model import Cohort
from salvage.cohort.readers import SETTINGS_FILE, Source, as_written, in_months
from salvage.cohort.schema import TABLES, TableSchema
from salvage.problems import InputError, Problem

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?")


@dataclass(frozen=True)
class Change:
    """One cell that was corrected: its place in the source, and its text before and after."""

    file: str
    row: int
    column: str
    before: str
    after: str


@dataclass(frozen=True)
class Fixed:
    """A corrected copy at ``path``, with its changes, their list, and what is still wrong."""

    path: Path
    listed: Path
    changes: tuple[Change, ...]
    cohort: Cohort | None
    problems: tuple[Problem, ...]


def fix(path: Path, out: Path) -> Fixed:
    """Write a corrected copy of the cohort at ``path``: a workbook of a workbook, else a folder.

    Beside it, or in the folder, stands a list of the changes and of what is still wrong. Raises
    :class:`InputError` where ``out`` exists, has another kind, or the source holds no table.
    """
    source = as_written(path)
    is_book = path.is_file() and bool(source.tables)
    listed = out.with_suffix(".changes.csv") if is_book else out / "changes.csv"
    subject = "Nothing was written"
    if not source.tables:
        raise InputError(subject, source.problems)
    if is_book and out.suffix.lower() != ".xlsx":
        raise InputError(subject, [Problem(str(out), expected="the name of an .xlsx workbook")])
    for target in (out, listed):
        if target.exists():
            raise InputError(subject, [Problem(str(target), expected="a name that is not taken")])
    source.tables = {name: (frame.copy(), file) for name, (frame, file) in source.tables.items()}
    changes = _dates(source)
    while True:
        cohort, problems = check_source(in_months(source))
        made = [] if cohort else _cures(source, problems)
        if not made:
            break
        changes += made
    if is_book:
        _write_book(path, out, source, changes)
    else:
        _write_folder(path, out, source)
    head = ("file", "row", "column", "before", "after", "expected")
    rows: list[tuple[object, ...]] = [(*astuple(change), "") for change in changes]
    if cohort is None:
        rows += [(p.file, p.row or "", p.column, p.value, "", p.wanted) for p in problems]
    listed.write_text(csv_text([head, *rows]), encoding="utf-8-sig", newline="")
    return Fixed(out, listed, tuple(changes), cohort, () if cohort else tuple(problems))


def summary(fixed: Fixed) -> str:
    """What was written, in one line."""
    cells = words.count(len(fixed.changes), "cell")
    return f"{fixed.path}: {cells} corrected; each of them is listed in {fixed.listed}."


# --- what is corrected ----------------------------------------------------------------------------


def _dates(source: Source) -> list[Change]:
    """Write every date that can be read, and is written in another form, as year-month-day."""
    # All are read before one is changed, since one may tell day from month in the others.
    read = [
        (name, texts, read_dates(list(texts.unique()), beside(source.tables, file)))
        for name, file, texts in columns_of_dates(source.tables)
    ]
    return [
        _put(source, name, row, str(texts.name), days[text].isoformat())
        for name, texts, days in read
        for row, text in texts.copy().items()
        if text in days and text != days[text].isoformat()
    ]


def _cures(source: Source, problems: list[Problem]) -> list[Change]:
    """Write the cure of every problem that has one."""
    names = {file: name for name, (_, file) in source.tables.items()}
    changes = []
    for problem in problems:
        name, row, column = names.get(problem.file), problem.row, problem.column
        if name is None or row is None or row not in source.tables[name][0].index:
            continue
        if problem.cure is not None:
            changes.append(_put(source, name, row, column, problem.cure))
        elif column in date_columns(_schema(name)).values():
            changes += _moved(source, name, row, column)
    return changes


def _moved(source: Source, name: str, row: int, column: str) -> list[Change]:
    """Move a date that stands in a column of months to the column of dates, if that is blank."""
    frame, file = source.tables[name]
    target, text = date_column(column), str(frame.loc[row, column])
    day = parse_date(text) or stored_date(text, source.zero)
    if day is None or (target in frame and frame.loc[row, target]):
        return []
    if target not in frame:
        source.tables[name] = (frame.assign(**{target: ""}), file)
    return [
        _put(source, name, row, column, ""),
        _put(source, name, row, target, day.isoformat()),
    ]


def _put(source: Source, name: str, row: Any, column: str, text: str) -> Change:
    frame, file = source.tables[name]
    before = str(frame.loc[row, column])
    frame.loc[row, column] = text
    return Change(file, int(row), column, before, text)


def _schema(name: str) -> TableSchema:
    return next(table for table in TABLES if table.name == name)


# --- the copy -------------------------------------------------------------------------------------


def _write_folder(path: Path, out: Path, source: Source) -> None:
    """Each table as a CSV file, and the settings as they are."""
    out.mkdir(parents=True)
    for name, (frame, _) in source.tables.items():
        rows = frame.itertuples(index=False, name=None)
        text = csv_text([frame.columns, *rows])
        (out / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    if (path / SETTINGS_FILE).is_file():
        shutil.copyfile(path / SETTINGS_FILE, out / SETTINGS_FILE)


def _write_book(path: Path, out: Path, source: Source, changes: list[Change]) -> None:
    """The workbook with the cells that were corrected, and the value of each formula."""
    if path.suffix.lower() in NEW_EXCEL:
        book = openpyxl.load_workbook(path, data_only=True)
    else:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets(path).rows.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append([_value(text) for text in row])
    for name, (_, file) in source.tables.items():
        sheet = book[file.partition(SHEET)[2]]
        header, positions = _header(sheet, _schema(name))
        for change in (change for change in changes if change.file == file):
            if change.column not in positions:
                positions[change.column] = sheet.max_column + 1
                sheet.cell(header, positions[change.column]).value = change.column
            cell = sheet.cell(change.row, positions[change.column])
            # Of merged cells the first holds the value of all.
            if not isinstance(cell, MergedCell):
                cell.value = _value(change.after)
    book.save(out)


def _header(sheet: Any, table: TableSchema) -> tuple[int, dict[str, int]]:
    """Number of the header's row, and the position of each column by its name in the schema."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        names = ["" if cell is None else str(cell).strip() for cell in row]
        meant = schema_names(names, table)
        positions = {meant.get(name, name): i for i, name in enumerate(names, 1) if name}
        if "patient_id" in positions:
            return number, positions
    raise ValueError(table.name)  # it was read: it has this column


def _value(text: str) -> object:
    """What a cell holds so that it is read as ``text``."""
    if day := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text):
        return dt.date(int(day[1]), int(day[2]), int(day[3]))
    if not _NUMBER.fullmatch(text):
        return text or None
    return float(text) if "." in text else int(text)
