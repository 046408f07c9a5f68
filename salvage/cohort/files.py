"""One file as a table of text: whatever the format, every cell is a string, blank for missing.

A new format is a function and its suffix in :data:`FORMATS`; one of several sheets is one more
suffix of :data:`WORKBOOKS` and its rows in :func:`sheets`. Which formats a cohort folder may hold
stands in :mod:`salvage.cohort.readers`; an import reads all of them. Nothing in a file is run: a
formula of a workbook counts as the value that Excel stored for it.
"""

import codecs
import csv
import datetime as dt
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook

from salvage.cohort.cells import (
    EXCEL_ZERO,
    EXCEL_ZERO_1904,
    NotPlain,
    parse_date,
    text_of,
    unguarded,
)
from salvage.cohort.dates import SHEET
from salvage.cohort.decoding import decode
from salvage.cohort.headers import is_note
from salvage.problems import Problem, printable
from salvage.records import Kind, whole_number

#: A table, whose index holds each row's number in the file, and every problem of it.
Read = tuple[pd.DataFrame, list[Problem]]
Cells = npt.NDArray[np.object_]
#: The first and the last cell of a part of a sheet, each by its row and column, counted from 0.
_Range = tuple[tuple[int, int], tuple[int, int]]

#: How an Excel workbook begins, new and old.
BINARY_MARKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
NEW_EXCEL: Final = (".xlsx", ".xlsm")
WORKBOOKS: Final = (*NEW_EXCEL, ".xls", ".xlsb", ".ods")
_MERGED: Final = re.compile(rb'<mergeCell ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
_EMPTY: Final = "a header and rows; it is empty"


def _file_inside(text: str) -> str:
    """A relative path. Raises ValueError where it leads elsewhere."""
    if Path(text).is_absolute() or ".." in Path(text).parts:
        raise ValueError(text)
    return text


def _encoding(text: str) -> str:
    """An encoding that Python knows. Raises LookupError for another."""
    codecs.lookup(text)
    return text


@dataclass(frozen=True)
class Join:
    """Columns of another source beside those of this one, in rows in which ``on``, a column of this
    one, equals ``by``, one of the other; the same name without it."""

    SHORT: ClassVar = "source"

    source: str = ""
    on: str = ""
    by: str = ""


@dataclass(frozen=True)
class SourceFile:
    """One file, or one sheet of it, and how to read it where its format leaves that open.

    ``file`` is blank where an import is given a single file. ``header`` is the number of the
    header's row, ``labels`` says that values of SPSS, Stata or SAS are read as their labels.
    Columns
    that are joined have the name of their source before them, such as ``concept.concept_name``.
    """

    SHORT: ClassVar = "file"

    file: Annotated[str, Kind(_file_inside, "a file inside the folder that is imported")] = ""
    sheet: str = ""
    header: Annotated[int, whole_number(1)] = 1
    encoding: Annotated[str, Kind(_encoding, "an encoding such as utf-8 or cp1252")] | None = None
    labels: bool = False
    join: tuple[Join, ...] = ()


AS_IT_IS: Final = SourceFile()
#: A header is looked for in as many rows.
MOST_TITLE_ROWS: Final = 20
#: Characters that a delimiter is looked for in.
DELIMITED: Final = 100_000
#: What a CSV file may begin with, so that Excel knows its delimiter.
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?[,;\t]*\r?\n', re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def _unreadable(name: str, expected: str, hint: str = "") -> Read:
    return pd.DataFrame(), [Problem(name, expected=expected, hint=hint)]


# --- rows of text ---------------------------------------------------------------------------------


def headed(rows: Sequence[Sequence[str]], name: str, header: int = 1) -> Read:
    """Rows of text as a table, whose header is the first row from ``header`` on that is not blank.

    A title or comments above it are passed over. Blank rows and columns without a name and without
    values are left out; a column without a name that holds values is a problem.
    """
    start = _header_row(rows, header)
    if start is None:
        return _unreadable(name, _EMPTY)
    names = [cell.strip() for cell in rows[start]]
    body = [row or [""] * len(names) for row in rows[start + 1 :]]
    cells = np.array(body, dtype=object).reshape(len(body), len(names))
    return _table(names, list(cells.T), start + 2, name)


def _header_row(rows: Sequence[Sequence[str]], header: int = 1) -> int | None:
    """Position of the header: under a title, which is alone in its row, and under comments.

    A row of names holds several, and no number or date. ``None`` where every row is blank.
    """
    filled = {
        i: cells
        for i, row in enumerate(rows[: header + MOST_TITLE_ROWS])
        if i >= header - 1 and (cells := [cell for cell in row if cell])
    }
    for i, cells in filled.items():
        comment = cells[0].startswith("#") and len(cells) < max(map(len, filled.values()))
        numbers = any(_NUMBER.fullmatch(cell) or parse_date(cell) for cell in cells)
        if len(cells) > 1 and not comment:
            return min(filled) if numbers else i
    return min(filled) if filled else next((i for i, row in enumerate(rows) if any(row)), None)


def _table(names: Sequence[str], columns: Sequence[Cells], first: int, file: str) -> Read:
    """Columns of text under their names; ``first`` is the number of their first row in the file.

    Of columns with one name each is numbered, such as ``Complete? #2``.
    """
    names = [
        f"{name} #{names[: i + 1].count(name)}" if name and names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]
    problems = []
    for position, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        held = np.flatnonzero(column != "")
        if len(held) and not name:
            expected = "a name in the header for each column that holds values"
            value, row = str(column[held[0]]), int(held[0]) + first
            problems.append(Problem(file, row, f"number {position}", value, expected))
    blank = np.full(len(columns[0]), True)
    for column in columns:
        blank[blank] = column[blank] == ""
    by_name = {name: column for name, column in zip(names, columns, strict=True) if name}
    index = pd.RangeIndex(first, first + len(blank))
    frame = pd.DataFrame(by_name, index=index, dtype=object)
    frame.columns = frame.columns.astype(object)
    return frame[~blank] if blank.any() else frame, problems


def from_frame(frame: pd.DataFrame, file: str) -> Read:
    """A table of values as text; rows are counted from 1, since there is no header row."""
    index = pd.RangeIndex(1, len(frame) + 1)
    problems: list[Problem] = []
    columns: dict[str, list[str]] = {}
    for position, name in enumerate(map(str, frame.columns)):
        values = frame.iloc[:, position]
        if values.dtype == np.float32:
            # The shortest text of a 32-bit number: 4.1, not 4.099999904632568.
            values = values.astype(str).astype(float)
        cells: list[str] = []
        for row, value in enumerate(values, 1):
            try:
                cells.append(text_of(value).strip())
            except NotPlain as error:
                cells.append("")
                problems.append(Problem(file, row, name, "", f"one value in a cell, not {error}"))
        if name.strip() in columns:
            problems.append(Problem(file, None, name, "", "each column once"))
        columns[name.strip()] = cells
    text = pd.DataFrame(columns, index=index, dtype=object)
    return text[(text != "").any(axis=1)], problems


# --- CSV ------------------------------------------------------------------------------------------


def read_csv(path: Path, source: SourceFile = AS_IT_IS) -> Read:
    """A CSV file as text; comma, semicolon or tab.

    Its encoding is UTF-8 with or without BOM, UTF-16 or GB18030, unless the source names one.
    """
    data = path.read_bytes()
    text = decode(data, source.encoding)
    if text is None:
        expected = f"text in {source.encoding or 'UTF-8 or GB18030'}"
        if data.startswith(BINARY_MARKS):
            expected += "; this is an Excel workbook or another file that only its program can read"
        return _unreadable(path.name, expected, 'to save it in Excel as "CSV UTF-8"?')
    if not text.strip():
        return _unreadable(path.name, _EMPTY)
    declared = _SEPARATOR_LINE.match(text)
    # Excel hides this line, so it is no row.
    text = text[declared.end() :] if declared else text
    delimiter = declared[1] if declared else _delimiter(text, source.header)
    columns = _plain_columns(text, delimiter)
    if columns is not None:
        top = np.column_stack([c[: source.header + MOST_TITLE_ROWS] for c in columns]).tolist()
        start = _header_row(top, source.header)
        if start is not None:
            names = [str(column[start]) for column in columns]
            return _table(names, [c[start + 1 :] for c in columns], start + 2, path.name)
    lines = csv.reader(
        io.StringIO(text, newline=None), delimiter=delimiter, quotechar='"', strict=True
    )
    rows: list[list[str]] = []
    try:
        rows.extend([unguarded(cell.strip()) for cell in row] for row in lines)
    except csv.Error as error:
        expected = f"CSV with balanced quotes ({error})"
        return pd.DataFrame(), [Problem(path.name, len(rows) + 1, expected=expected)]
    above = _header_row(rows, source.header) or 0
    rows[:above] = [[]] * above
    width = len(next((row for row in rows if row), []))
    for row in reversed(rows):
        if row and not (len(row) == 1 and is_note(row[0])):
            break
        row += [""] * (width - len(row)) if row else []
    problems = _ragged(rows, path.name)
    return (pd.DataFrame(), problems) if problems else headed(rows, path.name)


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


def _delimiter(text: str, header: int) -> str:
    """The delimiter that splits most lines into equally many cells; a comma when nothing does."""
    top = re.sub(r'"[^"]*"', "", text[:DELIMITED]).replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in top.split("\n")[header - 1 :] if line][:MOST_TITLE_ROWS]

    def fit(delimiter: str) -> tuple[int, int]:
        counts = Counter(count for line in lines if (count := line.count(delimiter)))
        count, alike = max(counts.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        return alike, count

    return max(",;\t|^", key=fit)


def _ragged(rows: Sequence[Sequence[str]], file: str) -> list[Problem]:
    """Rows with more or fewer cells than the header; an empty line is no row."""
    width = len(next((row for row in rows if row), []))
    expected = f"{width} cells, as in the header"
    hint = "quotes around a number or a text with a comma?"
    return [
        Problem(file, number, "", f"{len(row)} cells", expected, hint if len(row) > width else "")
        for number, row in enumerate(rows, 1)
        if row and len(row) != width
    ]


# --- files of other programs ----------------------------------------------------------------------


def read_parquet(path: Path, source: SourceFile = AS_IT_IS) -> Read:
    """A Parquet file as text."""
    import fastparquet

    if not path.stat().st_size:
        return _unreadable(path.name, _EMPTY)
    try:
        frame = fastparquet.ParquetFile(str(path)).to_pandas(index=False)
    # The library raises whatever its decoders meet.
    except Exception as error:
        return _unreadable(
            path.name,
            f"a flat Parquet file that can be read ({type(error).__name__}); write it again with"
            " Snappy compression and data page 1.0, or as CSV",
        )
    return from_frame(frame, path.name)


def _pyreadstat(name: str) -> Callable[[Path, SourceFile], Read]:
    """A reader of pyreadstat by its name; values that SPSS calls missing are blank."""

    def read(path: Path, source: SourceFile) -> Read:
        import pyreadstat

        options: dict[str, Any] = {}
        if name != "read_xport":  # a transport file of SAS holds no labels
            options |= {"apply_value_formats": source.labels, "formats_as_category": False}
        if source.encoding is not None:
            options["encoding"] = source.encoding
        try:
            frame, _ = getattr(pyreadstat, name)(str(path), **options)
        except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError) as error:
            return _unreadable(path.name, f"a file that can be read as {path.suffix} ({error})")
        return from_frame(frame, path.name)

    return read


# --- Excel ----------------------------------------------------------------------------------------


def sheet_name(path: Path, sheet: str) -> str:
    """A sheet as messages name it."""
    return f"{path.name}{SHEET}{sheet}"


@dataclass
class Book:
    """Every sheet of a workbook as rows of text, by the sheet's name.

    ``zero`` is the day from which it counts the days of a date; ``notes`` say what was read in
    another way than it stands.
    """

    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    zero: dt.date = EXCEL_ZERO


def sheets(path: Path) -> Book:
    """A workbook of Excel, old Excel or OpenDocument."""
    is_new = path.suffix.lower() in NEW_EXCEL
    try:
        book = _new_excel(path) if is_new else _old_excel(path)
    except (CalamineError, OSError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile):
        expected = "an Excel workbook (.xlsx) without a password"
        if not is_new:
            expected = f"a {path.suffix} workbook without a password; open it and save it as .xlsx"
        return Book(problems=[Problem(path.name, expected=expected)])
    if not book.rows:
        expected = (
            'a sheet; in Excel, save it as "Excel Workbook (.xlsx)", not as "Strict Open XML"'
        )
        book.problems.append(Problem(path.name, expected=expected))
    return book


def _old_excel(path: Path) -> Book:
    book = Book()
    with CalamineWorkbook.from_path(path) as workbook:
        for title in workbook.sheet_names:
            sheet, name = workbook.get_sheet_by_name(title), sheet_name(path, title)
            rows = book.rows[title] = []
            for number, cells in enumerate(sheet.to_python(skip_empty_area=False), 1):
                rows.append([])
                for position, cell in enumerate(cells):
                    try:
                        rows[-1].append(text_of(cell).strip())
                    except NotPlain as error:
                        expected = f"one value in a cell, not {error}"
                        column = rows[0][position] if number > 1 else ""
                        book.problems.append(Problem(name, number, column, "", expected))
                        rows[-1].append("")
            _spread(book, title, name, sheet.merged_cell_ranges or [])
    return book


def _new_excel(path: Path) -> Book:
    """An .xlsx workbook, with a problem for each formula whose value is not stored."""
    import openpyxl
    from openpyxl.utils import range_boundaries

    values = openpyxl.load_workbook(path, read_only=True, data_only=True)
    formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
    book = Book(zero=EXCEL_ZERO_1904 if values.epoch.year == 1904 else EXCEL_ZERO)
    with closing(values), closing(formulas), zipfile.ZipFile(path) as archive:
        for sheet in values.worksheets:
            title, name = sheet.title, sheet_name(path, sheet.title)
            book.rows[title], wrong = _sheet_rows(sheet, formulas[title], name)
            book.problems += wrong
            merged = _MERGED.findall(archive.read(sheet._worksheet_path))
            bounds = (range_boundaries(cells.decode()) for cells in merged)
            places = [((r1 - 1, c1 - 1), (r2 - 1, c2 - 1)) for c1, r1, c2, r2 in bounds]
            _spread(book, title, name, places)
    return book


def _spread(book: Book, title: str, name: str, merged: Iterable[_Range]) -> None:
    """Read the value of a cell that is merged over several rows in each of them, and note it."""
    for (top, left), (bottom, right) in merged:
        cells = book.rows[title][top : bottom + 1]
        value = cells[0][left] if cells and left == right and left < len(cells[0]) else ""
        if len(cells) > 1 and value:
            for row in cells:
                row[left] = value
            rows = f"rows {top + 1} to {bottom + 1}"
            book.notes.append(f'{name}: "{printable(value)}" in merged cells is read in {rows}')


def _sheet_rows(values: Any, formulas: Any, name: str) -> tuple[list[list[str]], list[Problem]]:
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
            text, expected = _cell_text(cell, origin)
            if expected:
                column = rows[0][position] if rows and position < len(rows[0]) else ""
                problems.append(Problem(name, number, column, text, expected))
                text = ""
            row.append(text)
        rows.append(row)
    width = max((len(row) for row in rows), default=0)
    return [row + [""] * (width - len(row)) for row in rows], problems


def _cell_text(cell: Any, origin: Any) -> tuple[str, str]:
    """A cell as text, and what was expected if it is no value; ``origin`` holds its formula."""
    try:
        text = text_of(cell.value).strip()
    except NotPlain as error:
        return "", f"one value in a cell, not {error}"
    if cell.data_type == "e":
        return text, "a value; this is an error of Excel"
    if not text and cell.data_type == "n" and origin.data_type == "f":
        return "", "the formula's value; open the file in Excel and save it"
    return text, ""


def _sheet(path: Path, source: SourceFile) -> Read:
    book = sheets(path)
    if not book.rows:
        return pd.DataFrame(), book.problems
    title = source.sheet or next(iter(book.rows))
    name = sheet_name(path, title)
    if title not in book.rows:
        return _unreadable(name, f"one of the sheets {', '.join(book.rows)}")
    frame, wrong = headed(book.rows[title], name, source.header)
    return frame, [p for p in book.problems if p.file == name] + wrong


FORMATS: Final[dict[str, Callable[[Path, SourceFile], Read]]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), read_csv),
    **dict.fromkeys(WORKBOOKS, _sheet),
    ".parquet": read_parquet,
    ".sav": _pyreadstat("read_sav"),
    ".zsav": _pyreadstat("read_sav"),
    ".por": _pyreadstat("read_por"),
    ".dta": _pyreadstat("read_dta"),
    ".xpt": _pyreadstat("read_xport"),
    ".sas7bdat": _pyreadstat("read_sas7bdat"),
}
