"""One file as a table of text: whatever the format, every cell is a string, blank for missing.

A new format is a function and its suffix in :data:`FORMATS`; one of several sheets is one more
suffix of :data:`WORKBOOKS` and its rows in :func:`sheets`. Which formats a cohort folder may hold
stands in :mod:`salvage.cohort.readers`; an import reads all of them. Nothing in a file is run: a
formula of a workbook counts as the value that Excel stored for it.
"""

import codecs
import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from salvage.cohort.cells import NotPlain, text_of, unguarded
from salvage.cohort.decoding import decode
from salvage.problems import Problem
from salvage.records import Kind, whole_number

#: A table, whose index holds each row's number in the file, and every problem of it.
Read = tuple[pd.DataFrame, list[Problem]]
Cells = npt.NDArray[np.object_]

#: How an Excel workbook begins, new and old.
BINARY_MARKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
WORKBOOKS: Final = (".xlsx", ".xlsm")
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
class SourceFile:
    """One file, or one sheet of it, and how to read it where its format leaves that open.

    ``file`` is blank where an import is given a single file. ``header`` is the number of the
    header's row, ``labels`` says that values of SPSS, Stata or SAS are read as their labels.
    """

    SHORT: ClassVar = "file"

    file: Annotated[str, Kind(_file_inside, "a file inside the folder that is imported")] = ""
    sheet: str = ""
    header: Annotated[int, whole_number(1)] = 1
    encoding: Annotated[str, Kind(_encoding, "an encoding such as utf-8 or cp1252")] | None = None
    labels: bool = False


AS_IT_IS: Final = SourceFile()


def _unreadable(name: str, expected: str, hint: str = "") -> Read:
    return pd.DataFrame(), [Problem(name, expected=expected, hint=hint)]


# --- rows of text ---------------------------------------------------------------------------------


def headed(rows: Sequence[Sequence[str]], name: str, header: int = 1) -> Read:
    """Rows of text as a table: the first row from ``header`` on that is not blank is the header.

    Blank rows and columns without a name and without values are left out; a column without a name
    that holds values is a problem.
    """
    start = next((i for i, row in enumerate(rows) if i >= header - 1 and any(row)), None)
    if start is None:
        return _unreadable(name, _EMPTY)
    names = [cell.strip() for cell in rows[start]]
    body = [row or [""] * len(names) for row in rows[start + 1 :]]
    cells = np.array(body, dtype=object).reshape(len(body), len(names))
    return _table(names, list(cells.T), start + 2, name)


def _table(names: Sequence[str], columns: Sequence[Cells], first: int, file: str) -> Read:
    """Columns of text under their names; ``first`` is the number of their first row in the file."""
    problems = [
        Problem(file, first - 1, name, "", "each column once")
        for name in sorted({n for n in names if n and names.count(n) > 1})
    ]
    for position, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        held = np.flatnonzero(column != "")
        if len(held) and not name:
            expected = "a name in the header for each column that holds values"
            value, row = str(column[held[0]]), int(held[0]) + first
            problems.append(Problem(file, row, f"number {position}", value, expected))
    blank = np.full(len(columns[0]), True)
    for column in columns:
        blank[blank] = column[blank] == ""
    # Of columns with one name the first is taken.
    by_name = {name: columns[names.index(name)] for name in names if name}
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
    delimiter = _delimiter(text, source.header)
    columns = _plain_columns(text, delimiter) if source.header == 1 else None
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
        return pd.DataFrame(), [Problem(path.name, len(rows) + 1, expected=expected)]
    above = source.header - 1
    rows[:above] = [[]] * above
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
    """The delimiter that splits the header into most cells; a comma when nothing does."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[header - 1 :]
    first = next((line for line in lines if line), "")
    return max(",;\t", key=first.count)


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
    return f"{path.name}, sheet {sheet}"


def sheets(path: Path) -> tuple[dict[str, list[list[str]]], list[Problem]]:
    """Every sheet of a workbook as rows of text, by the sheet's name."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        values = openpyxl.load_workbook(path, read_only=True, data_only=True)
        formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, SyntaxError):
        expected = "an Excel workbook (.xlsx) without a password"
        return {}, [Problem(path.name, expected=expected)]
    by_title: dict[str, list[list[str]]] = {}
    problems: list[Problem] = []
    with closing(values), closing(formulas):
        for sheet in values.worksheets:
            name = sheet_name(path, sheet.title)
            by_title[sheet.title], wrong = _sheet_rows(sheet, formulas[sheet.title], name)
            problems += wrong
    if not by_title:
        expected = (
            'a sheet; in Excel, save it as "Excel Workbook (.xlsx)", not as "Strict Open XML"'
        )
        problems.append(Problem(path.name, expected=expected))
    return by_title, problems


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
    by_title, problems = sheets(path)
    if not by_title:
        return pd.DataFrame(), problems
    title = source.sheet or next(iter(by_title))
    name = sheet_name(path, title)
    if title not in by_title:
        return _unreadable(name, f"one of the sheets {', '.join(by_title)}")
    frame, wrong = headed(by_title[title], name, source.header)
    return frame, [p for p in problems if p.file == name] + wrong


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
