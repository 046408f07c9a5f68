"""Files into tables of text: whatever the format, every cell is a string, blank for missing.

A cohort is a folder of CSV or Parquet files with a study.yaml, or one Excel workbook with a sheet
for each table and one of settings. Nothing in a file is run: a formula of a workbook counts as the
value that Excel stored for it.
"""

import csv
import difflib
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from salvage import words
from salvage.cohort import dates, schema
from salvage.cohort.cells import NotPlain, text_of, unguarded
from salvage.cohort.decoding import decode
from salvage.cohort.schema import Table
from salvage.cohort.study import Study, from_settings, read_study
from salvage.problems import Problem

Read = tuple[pd.DataFrame, list[Problem]]
Cells = npt.NDArray[np.object_]

#: A header is looked for in as many rows below the first.
MOST_TITLE_ROWS: Final = 20
#: What an import lists beside the cohort that it writes.
UNMAPPED_FILE: Final = "unmapped.csv"
#: How an Excel workbook begins, new and old.
BINARY_MARKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
WORKBOOKS: Final = (".xlsx", ".xlsm")
#: What a table may be in, whether it can be read or not.
TABLE_FILES: Final = (".csv", ".tsv", ".txt", ".parquet", ".xls", *WORKBOOKS)
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
    listed again; ``dated`` holds the dates that months were computed from.
    """

    study: Study = field(default_factory=Study)
    tables: dict[str, tuple[pd.DataFrame, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    reported: set[tuple[str, int | None, str]] = field(default_factory=set)
    dated: dates.Dated = field(default_factory=dict)


def read(path: Path) -> Source:
    """The tables of the cohort at ``path``: dates turned into months, example rows left out."""
    if path.suffix.lower() in WORKBOOKS and not path.is_dir():
        source = _workbook(path)
    elif path.is_dir():
        source = _folder(path)
    else:
        expected = "a folder with patients.csv, salvage.csv and study.yaml, or an Excel workbook"
        return Source(problems=[Problem(str(path), None, "", "", expected)])
    for table in schema.TABLES:
        if table.name in source.tables:
            _tidy(source, table)
    made = dates.to_months(source.tables)
    source.tables, source.reported, source.dated = made.tables, made.reported, made.dated
    source.problems += made.problems
    return source


def _folder(path: Path) -> Source:
    source = Source()
    files = {file.name.lower(): file for file in sorted(path.iterdir()) if file.is_file()}
    if SETTINGS_FILE in files:
        source.study, source.problems = read_study(files[SETTINGS_FILE])
    else:
        expected = "this file; it may be empty, every setting has a default"
        source.problems.append(Problem(SETTINGS_FILE, None, "", "", expected))
    named = {table.name: _named(table, files.values()) for table in schema.TABLES}
    for table in schema.TABLES:
        found = named[table.name]
        if len(found) > 1:
            names = " and ".join(file.name for file in found)
            source.problems.append(Problem(table.name, None, "", names, "one file for each table"))
        elif found:
            frame, problems = READERS[found[0].suffix.lower()](found[0])
            source.problems += problems
            if len(frame.columns) or not problems:
                source.tables[table.name] = (frame, found[0].name)
        elif table.required:
            near = difflib.get_close_matches(f"{table.name}.csv", files, n=1)
            hint = f"{files[near[0]].name} renamed?" if near else _workbook_hint(files.values())
            source.problems.append(
                Problem(f"{table.name}.csv", None, "", "", f"this file: {table.row}", hint)
            )
    source.left_out += _not_read(files.values(), named)
    return source


def _named(table: Table, files: Iterable[Path]) -> list[Path]:
    """The files that hold a table, by their names: ``Adverse events.csv`` is adverse_events."""
    return [f for f in files if f.suffix.lower() in READERS and _sheet_key(f.stem) == table.name]


def _workbook_hint(files: Iterable[Path]) -> str:
    books = [f.name for f in files if f.suffix.lower() in WORKBOOKS]
    return f"the workbook {books[0]} itself, instead of its folder?" if len(books) == 1 else ""


def _not_read(files: Iterable[Path], named: Mapping[str, Sequence[Path]]) -> list[str]:
    """Files that may be a table that is missing, or one whose name is nearly theirs.

    Not each further file: a folder may hold what it likes.
    """
    missing = [name for name, found in named.items() if not found]
    read = {file for found in named.values() for file in found}
    tables = [
        f
        for f in files
        if f not in read and f.suffix.lower() in TABLE_FILES and f.name != UNMAPPED_FILE
    ]
    return [
        f"{file.name} was not read: it is none of {', '.join(f'{name}.csv' for name in named)}"
        for file in tables
        if missing or difflib.get_close_matches(_sheet_key(file.stem), named, n=1, cutoff=0.8)
    ]


def _tidy(source: Source, table: Table) -> None:
    """Names of columns as the schema has them; no example rows; a header that is not on top."""
    frame, file = source.tables[table.name]
    frame = frame.rename(columns=_names(list(frame.columns), table))
    if "patient_id" not in frame.columns:
        top = frame.head(MOST_TITLE_ROWS).map(_plain_name)
        lower = top.index[(top == "patient_id").any(axis=1)]
        if len(lower):
            # Whatever else is said of this table follows from that.
            source.problems = [p for p in source.problems if p.file != file]
            expected = "the names of the columns in the first row, and nothing above them"
            source.problems.append(Problem(file, int(lower[0]), "", "", expected))
            del source.tables[table.name]
            return
    kept, examples = _without_examples(frame)
    source.tables[table.name] = (kept, file)
    if examples:
        rows = "1 example row" if examples == 1 else f"{examples} example rows"
        source.left_out.append(f"{file}: {rows} of the template")


def _names(given: Sequence[str], table: Table) -> dict[str, str]:
    """The schema's name of each column that is only written otherwise: ``Patient ID``, ``Age (y)``.

    Not where the name is taken, two columns claim it, or a column of months says another unit.
    """
    known = {*table.names, *dates.date_columns(table), dates.INFUSION_DATE}
    meant = {
        name: _plain_name(name)
        for name in given
        if name not in known and not in_another_unit(name, table)
    }
    claimed = [*given, *meant.values()]
    return {n: plain for n, plain in meant.items() if plain in known and claimed.count(plain) == 1}


def _plain_name(name: str) -> str:
    """A column's name in small letters, with underscores, without a unit in brackets behind it."""
    return "_".join(re.sub(r"[(\[（].*", "", name).lower().replace("-", " ").split())


def in_another_unit(name: str, table: Table) -> str:
    """The column of months that a name with another unit in brackets is meant to be, if any."""
    plain = _plain_name(name)
    unit = name[len(re.sub(r"[(\[（].*", "", name)) :].strip("()[]（） ").lower()
    months = {column.name for column in table.columns if column.kind == "month"}
    other = unit and not (unit.startswith(("mo", "mth")) or unit.endswith("月"))
    return plain if other and plain in months else ""


def _without_examples(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """A table without the example rows of the template, and how many there were."""
    if "patient_id" not in frame.columns:
        return frame, 0
    ids = frame["patient_id"].unique()
    examples = [i for i in ids if i[:1] in "Ee" and i.upper().startswith(EXAMPLE_PREFIX)]
    if not examples:
        return frame, 0
    example = frame["patient_id"].isin(examples)
    return frame[~example], int(example.sum())


# --- CSV ------------------------------------------------------------------------------------------


def read_csv(path: Path, encoding: str | None = None, header: int = 1) -> Read:
    """A CSV file as text; comma, semicolon or tab. ``header`` is the number of the header's row.

    Its encoding is UTF-8 with or without BOM, UTF-16 or GB18030, unless one is given.
    """
    data = path.read_bytes()
    text = decode(data, encoding)
    if text is None:
        expected = f"text in {encoding or 'UTF-8 or GB18030'}"
        if data.startswith(BINARY_MARKS):
            expected += "; this is an Excel workbook or another file that only its program can read"
        hint = 'to save it in Excel as "CSV UTF-8"?'
        return pd.DataFrame(), [Problem(path.name, None, "", "", expected, hint)]
    if not text.strip():
        return pd.DataFrame(), [_empty(path.name)]
    delimiter = _delimiter(text, header)
    columns = _plain_columns(text, delimiter) if header == 1 else None
    if columns is not None:
        names = [str(column[0]) for column in columns]
        return _table(names, [column[1:] for column in columns], 2, path.name)
    lines = csv.reader(
        io.StringIO(text, newline=None), delimiter=delimiter, quotechar='"', strict=True
    )
    rows: list[list[str]] = []
    try:
        rows.extend([unguarded(cell.strip()) for cell in row] for row in lines)
    except csv.Error as error:
        expected = f"CSV with balanced quotes ({error})"
        return pd.DataFrame(), [Problem(path.name, len(rows) + 1, "", "", expected)]
    rows[: header - 1] = [[]] * (header - 1)
    problems = _ragged(rows, path.name)
    if problems:
        return pd.DataFrame(), problems
    return headed(rows, path.name)


def _plain_columns(text: str, delimiter: str) -> list[Cells] | None:
    """The columns of a text without quotes whose lines all have as many cells as the first.

    Such a file is read in a fraction of the time and memory: pandas keeps each distinct cell once.
    ``None`` for any other text, which the csv module reads and whose problems it tells.
    """
    if '"' in text or "\r" in text.replace("\r\n", "\n"):
        return None
    data = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if data[-1] != ord("\n"):
        ends = np.append(ends, len(data))
    cuts = np.flatnonzero(data == ord(delimiter)).searchsorted(ends)
    width = int(cuts[0])
    if not width or (np.diff(cuts, prepend=0) != width).any():
        return None
    frame = pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        dtype=str,
        na_filter=False,
        quoting=csv.QUOTE_NONE,
        skip_blank_lines=False,
        low_memory=False,
    )
    columns = [_cleaned(frame[name].to_numpy(dtype=object)) for name in frame]
    return columns if any(column[0] for column in columns) else None


def _cleaned(cells: Cells) -> Cells:
    """Cells without blanks around them and without guards; each distinct one is looked at once."""
    codes, distinct = pd.factorize(cells)
    clean = np.array([unguarded(cell.strip()) for cell in distinct], dtype=object)
    return cells if (clean == distinct).all() else np.asarray(clean[codes], dtype=object)


def _empty(source: str) -> Problem:
    return Problem(source, None, "", "", "a header and rows; it is empty")


def _delimiter(text: str, header: int) -> str:
    """The delimiter that splits the header into most cells; a comma when nothing does."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[header - 1 :]
    first = next((line for line in lines if line), "")
    return max(",;\t", key=first.count)


def _ragged(rows: Sequence[Sequence[str]], source: str) -> list[Problem]:
    """Rows with more or fewer cells than the header; an empty line is no row."""
    width = len(next((row for row in rows if row), []))
    hint = "quotes around a number or a text with a comma?"
    return [
        Problem(
            source,
            number,
            "",
            f"{len(row)} cells",
            f"{width} cells, as in the header",
            hint if len(row) > width else "",
        )
        for number, row in enumerate(rows, 1)
        if row and len(row) != width
    ]


def headed(rows: Sequence[Sequence[str]], source: str, header: int = 1) -> Read:
    """Rows of text as a table: the first row from ``header`` on that is not blank is the header.

    The index holds each row's number in the file. Blank rows and columns without a name and without
    values are left out; a column without a name that holds values is a problem.
    """
    start = next((i for i, row in enumerate(rows) if i >= header - 1 and any(row)), None)
    if start is None:
        return pd.DataFrame(), [_empty(source)]
    names = [name.strip() for name in rows[start]]
    body = [row or [""] * len(names) for row in rows[start + 1 :]]
    table = np.array(body, dtype=object).reshape(len(body), len(names))
    columns = [table[:, position] for position in range(len(names))]
    return _table(names, columns, start + 2, source)


def _table(names: Sequence[str], columns: Sequence[Cells], first: int, source: str) -> Read:
    """Columns of text under their names; ``first`` is the number of their first row in the file."""
    problems = [
        Problem(source, first - 1, name, "", "each column once")
        for name in sorted({n for n in names if n and names.count(n) > 1})
    ]
    for position, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        if name:
            continue
        held = np.flatnonzero(column != "")
        if len(held):
            expected = "a name in the header for each column that holds values"
            value, row = str(column[held[0]]), int(held[0]) + first
            problems.append(Problem(source, row, f"number {position}", value, expected))
    blank = np.ones(len(columns[0]), dtype=bool)
    for column in columns:
        blank[blank] = column[blank] == ""
    kept = {name: i for i, name in reversed(list(enumerate(names))) if name}
    index = pd.RangeIndex(first, first + len(blank))
    frame = pd.DataFrame(
        {name: columns[kept[name]] for name in names if name}, index=index, dtype=object
    )
    frame.columns = frame.columns.astype(object)
    return frame[~blank] if blank.any() else frame, problems


# --- Parquet --------------------------------------------------------------------------------------


def read_parquet(path: Path) -> Read:
    """A Parquet file as text; rows are counted from 1, since there is no header row."""
    import fastparquet

    if not path.stat().st_size:
        return pd.DataFrame(), [_empty(path.name)]
    try:
        frame = fastparquet.ParquetFile(str(path)).to_pandas(index=False)
    # The library raises whatever its decoders meet.
    except Exception as error:
        expected = (
            "a flat Parquet file that can be read "
            f"({type(error).__name__}); write it again with Snappy compression and data page 1.0, "
            "or as CSV"
        )
        return pd.DataFrame(), [Problem(path.name, None, "", "", expected)]
    return from_frame(frame, path.name)


def from_frame(frame: pd.DataFrame, source: str) -> Read:
    """A table of values as text; rows are counted from 1."""
    frame = frame.reset_index(drop=True)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    problems: list[Problem] = []
    columns: dict[str, list[str]] = {}
    for position, name in enumerate(frame.columns):
        cells: list[str] = []
        values = frame.iloc[:, position]
        if values.dtype == np.float32:
            # The shortest text of a 32-bit number: 4.1, not 4.099999904632568.
            values = values.astype(str).astype(float)
        for row, value in zip(frame.index, values, strict=True):
            try:
                cells.append(text_of(value).strip())
            except NotPlain as error:
                cells.append("")
                expected = f"one value in a cell, not {error}"
                problems.append(Problem(source, int(row), str(name), "", expected))
        if str(name).strip() in columns:
            problems.append(Problem(source, None, str(name), "", "each column once"))
        columns[str(name).strip()] = cells
    text = pd.DataFrame(columns, index=frame.index, dtype=object)
    return text[(text != "").any(axis=1)], problems


# --- Excel ----------------------------------------------------------------------------------------


def sheets(path: Path) -> tuple[dict[str, list[list[str]]], list[Problem]]:
    """Every sheet of a workbook as rows of text, by the sheet's name."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        values = openpyxl.load_workbook(path, read_only=True, data_only=True)
        formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, SyntaxError):
        expected = "an Excel workbook (.xlsx) without a password"
        return {}, [Problem(path.name, None, "", "", expected)]
    found: dict[str, list[list[str]]] = {}
    problems: list[Problem] = []
    try:
        for sheet in values.worksheets:
            rows, wrong = _sheet_rows(sheet, formulas[sheet.title], sheet_name(path, sheet.title))
            found[sheet.title] = rows
            problems += wrong
    finally:
        values.close()
        formulas.close()
    if not found:
        expected = (
            'a sheet; in Excel, save it as "Excel Workbook (.xlsx)", not as "Strict Open XML"'
        )
        problems.append(Problem(path.name, None, "", "", expected))
    return found, problems


def sheet_name(path: Path, sheet: str) -> str:
    """A sheet as messages name it."""
    return f"{path.name}, sheet {sheet}"


def _sheet_rows(values: Any, formulas: Any, source: str) -> tuple[list[list[str]], list[Problem]]:
    """Rows of one sheet, all of the same width; Excel's errors and empty formulas are problems."""
    # A workbook written by other programs can state a wrong size; without one, every cell is read.
    values.reset_dimensions()
    formulas.reset_dimensions()
    rows: list[list[str]] = []
    problems = []
    pairs = zip(values.iter_rows(), formulas.iter_rows(), strict=True)
    for number, (cells, origins) in enumerate(pairs, 1):
        row = []
        for position, (cell, origin) in enumerate(zip(cells, origins, strict=True)):
            expected = ""
            try:
                text = text_of(cell.value).strip()
            except NotPlain as error:
                text, expected, shown = "", f"one value in a cell, not {error}", ""
            if cell.data_type == "e":
                expected, shown = "a value; this is an error of Excel", text
            elif not text and cell.data_type == "n" and origin.data_type == "f":
                expected, shown = "the formula's value; open the file in Excel and save it", ""
            if expected:
                column = rows[0][position] if rows and position < len(rows[0]) else ""
                problems.append(Problem(source, number, column, shown, expected))
                text = ""
            row.append(text)
        rows.append(row)
    width = max((len(row) for row in rows), default=0)
    return [row + [""] * (width - len(row)) for row in rows], problems


def _workbook(path: Path) -> Source:
    if not path.is_file():
        return Source(problems=[Problem(str(path), None, "", "", "this file")])
    found, problems = sheets(path)
    source = Source(problems=problems)
    if not found:
        return source
    by_key = {_sheet_key(title): title for title in reversed(found)}
    source.problems += [
        Problem(sheet_name(path, title), None, "", "", f"one sheet for {_sheet_key(title)}")
        for title in found
        if by_key[_sheet_key(title)] != title and any(map(any, found[title]))
    ]
    read_sheets = {SETTINGS_SHEET, DICTIONARY_SHEET}
    if SETTINGS_SHEET in by_key:
        title = by_key[SETTINGS_SHEET]
        source.study, wrong = _settings(found[title], sheet_name(path, title))
        source.problems += wrong
    else:
        expected = "a sheet of this name; it may be empty, every setting has a default"
        source.problems.append(Problem(sheet_name(path, SETTINGS_SHEET), None, "", "", expected))
    for table in schema.TABLES:
        read_sheets.add(table.name)
        title = by_key.get(table.name, table.name)
        name = sheet_name(path, title)
        if table.name in by_key:
            frame, wrong = headed(found[title], name)
            if wrong and not len(frame.columns) and not table.required:
                continue
            source.problems += wrong
            if len(frame.columns) or not wrong:
                source.tables[table.name] = (frame, name)
        elif table.required:
            near = difflib.get_close_matches(table.name, by_key, n=1)
            hint = f"{by_key[near[0]]} renamed to {table.name}?" if near else ""
            source.problems.append(Problem(name, None, "", "", f"this sheet: {table.row}", hint))
    source.left_out += [
        f"{sheet_name(path, title)} was not read: it is no sheet of the template"
        for title in found
        if _sheet_key(title) not in read_sheets and any(map(any, found[title]))
    ]
    return source


def _sheet_key(title: str) -> str:
    return "_".join(title.lower().replace("-", " ").replace("_", " ").split())


def _settings(rows: Iterable[Sequence[str]], source: str) -> tuple[Study, list[Problem]]:
    """Settings in two columns, a key and its value; further columns are comments."""
    raw: dict[Any, Any] = {}
    labels: dict[str, str] = {}
    place: dict[str, int] = {}
    problems = []
    for number, row in enumerate(rows, 1):
        key, value = ([*row, "", ""])[:2]
        if not key or (number == 1 and key.lower() == "setting"):
            continue
        if key in place:
            problems.append(Problem(source, number, key, value, "each setting once"))
        place[key] = number
        if key.startswith(LABEL_PREFIX):
            if key.removeprefix(LABEL_PREFIX) not in words.CATEGORIES:
                expected = f"{LABEL_PREFIX}one of {', '.join(words.CATEGORIES)}"
                problems.append(Problem(source, number, key, value, expected))
            elif value:
                labels[key.removeprefix(LABEL_PREFIX)] = value
        else:
            raw[key] = value
    if labels:
        raw["labels"] = labels
    study, found = from_settings(raw, source)
    return study, problems + [replace(p, row=place.get(p.column)) for p in found]


READERS: Final[dict[str, Callable[[Path], Read]]] = {".csv": read_csv, ".parquet": read_parquet}
