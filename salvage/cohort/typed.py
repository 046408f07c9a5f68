"""One table: its texts as numbers, codes and flags, and a problem for each that cannot be read.

A kind of column is read in :func:`read_column`; :mod:`salvage.cohort.schema` says which there are.
"""

import difflib
import math
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort.cells import parse_date, plain_text, stored_date
from salvage.cohort.dates import INFUSION_DATE, date_column
from salvage.cohort.headers import in_another_unit, misspelt, repeated
from salvage.cohort.schema import Column, TableSchema
from salvage.cohort.written import NONE, codes_of, meant
from salvage.problems import Problem

_NUMERIC: Final = ("integer", "number", "month", "flag")
_MONTH_DECIMALS: Final = 9
#: Column that numbers the patients while a cohort is checked.
NUMBER: Final = "number"
_PARTS_OF_AN_ID: Final = re.compile(r"\d+|[^\W\d_]+")


@dataclass(frozen=True)
class TypedTable:
    """A table with the columns and types of the schema, and the name of its file.

    The index holds each row's number in the file. Every number is float64, missing ones NaN; ids,
    texts and codes are str or None.
    """

    frame: pd.DataFrame
    file: str

    def problems(
        self, wrong: "pd.Series[bool]", column: str, expected: "str | pd.Series[str]"
    ) -> list[Problem]:
        """A problem of ``column`` for each row in which ``wrong`` holds, in the order of the rows.

        ``expected`` is one text, or one for each of these rows.
        """
        cells = self.frame.loc[wrong, column]
        reasons = [expected] * len(cells) if isinstance(expected, str) else expected
        return [
            Problem(self.file, int(row), column, _shown(value), reason)
            for row, value, reason in zip(cells.index, cells, reasons, strict=True)
        ]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return "" if value is None else str(value)


def plain_id(text: str) -> str:
    """The letters and numbers of an id, without capitals, leading zeros and the .0 of a number.

    Ids that are alike in it may be one patient's: P-007 and p7, but not 1-23 and 12-3.
    """
    plain = re.sub(r"^(\d+)\.0+$", r"\1", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(part.lstrip("0") or "0" for part in _PARTS_OF_AN_ID.findall(plain))


def in_order(lines: pd.DataFrame) -> pd.DataFrame:
    """The times of lines, by patient and number of the line."""
    order = np.lexsort((lines["line"], lines[NUMBER]))
    return lines[[NUMBER, "line", "start_month"]].iloc[order]


def read_table(
    text: pd.DataFrame, table: TableSchema, file: str
) -> tuple[TypedTable, list[Problem]]:
    """A table of text by the schema, and every problem of its header and of its cells.

    A cell that cannot be read, and a column that is not there, is missing.
    """
    problems = _header_problems(text, table, file)
    columns: dict[str, pd.Series] = {}
    for column in table.columns:
        cells = text.get(column.name)
        if cells is None:
            # That a required column is absent is said once, of the header.
            blank = pd.Series("", index=text.index, dtype=object)
            columns[column.name], _ = read_column(blank, replace(column, required=False), file)
        else:
            columns[column.name], wrong = read_column(cells, column, file)
            problems += wrong
    return TypedTable(pd.DataFrame(columns, index=text.index), file), problems


def _header_problems(text: pd.DataFrame, table: TableSchema, file: str) -> list[Problem]:
    problems = []
    names = list(text.columns)
    unknown = [name for name in names if name not in table.names]
    counted = {name: month for name in unknown if (month := in_another_unit(name, table))}
    twice = dict.fromkeys(filter(None, (repeated(name, table) for name in unknown)))
    for column in table.columns:
        if column.required and column.name not in (*names, *counted.values(), *twice):
            near = difflib.get_close_matches(column.name, unknown, n=1)
            hint = f"{near[0]} renamed to {column.name}?" if near else ""
            expected = f"this column: {column.meaning[:1].lower()}{column.meaning[1:]}"
            problems.append(Problem(file, 1, column.name, "", expected, hint))
    problems += [Problem(file, 1, name, "", "each column once") for name in twice]
    for name in unknown:
        if name in counted:
            expected, hint = f"{counted[name]}, in months: the name says another unit", ""
        elif not repeated(name, table) and (near_name := misspelt(name, names, table)):
            expected, hint = "a column of the data dictionary, or another name", f"{near_name}?"
        else:
            continue
        problems.append(Problem(file, 1, name, "", expected, hint))
    if table.required and names and text.empty:
        problems.append(Problem(file, expected="at least one row"))
    return problems


def unused_columns(text: pd.DataFrame, table: TableSchema) -> list[str]:
    """Columns that the schema does not know, and that are no known one misspelt."""
    names = list(text.columns)
    return [
        name
        for name in names
        if name not in table.names
        and not in_another_unit(name, table)
        and not repeated(name, table)
        and not misspelt(name, names, table)
    ]


def is_second_header(row: "pd.Series[str]", table: TableSchema) -> bool:
    """Whether the first row under the names says them again in other words, or gives their units.

    So it is where no cell of a number, a code or a flag can be read, several hold text that has no
    meaning there, and the id has no digit.
    """
    typed = {
        c.name: c for c in table.columns if c.name in row.index and c.kind not in ("id", "text")
    }
    filled = {name: column for name, column in typed.items() if row[name]}
    readable = [name for name, column in filled.items() if _reads(row[name], column)]
    strange = [name for name, column in filled.items() if meant(row[name], column) is None]
    digits = any(ch.isdigit() for ch in row.get("patient_id", ""))
    return len(strange) > 1 and not readable and not digits


# --- one column -----------------------------------------------------------------------------------


def read_column(text: pd.Series, column: Column, file: str) -> tuple[pd.Series, list[Problem]]:
    """The cells of one column as values, and every problem; each distinct text is read once."""
    codes, distinct = pd.factorize(text)
    cells = np.asarray(distinct, dtype=object)
    blank = cells == ""
    if column.kind in _NUMERIC:
        values, wrong = _numbers(pd.Series(cells, dtype=str), column)
    else:
        values = cells.copy()
        values[blank] = None
        wrong = np.full(len(cells), False)
        if column.kind == "code":
            wrong = ~np.isin(cells.astype(str), list(column.codes))
    wrong &= ~blank
    problems: list[Problem] = []
    for code in np.flatnonzero(wrong | (blank & column.required)):
        value, expected, hint, cure = str(cells[code]), column.expects, "", None
        if value:
            hint, cure = _suggestion(value, column)
        else:
            expected = f"a value ({column.expects}); the cell is blank"
        problems += [
            Problem(file, int(row), column.name, value, expected, hint, cure)
            for row in text.index[codes == code]
        ]
    return pd.Series(values[codes], index=text.index, dtype=values.dtype), problems


def _numbers(text: pd.Series, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a text column, and which cells are not what the column expects.

    A decimal comma is read, except before exactly three digits, where it might part thousands.
    Months keep nine decimals, so that 4.1000000000000005 from a spreadsheet is 4.1.
    """
    comma = text.str.fullmatch(r"[+-]?[0-9]+,([0-9]{1,2}|[0-9]{4,})")
    plain = text.where(~comma, text.str.replace(",", ".", regex=False))
    shaped = plain.str.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
    values = pd.to_numeric(plain.where(shaped), errors="coerce").astype(float)
    if column.kind == "month":
        values = values.round(_MONTH_DECIMALS)
    wrong = values.isna() | ~np.isfinite(values)
    if column.kind == "flag":
        wrong |= ~values.isin([0, 1])
    if column.kind == "integer":
        wrong |= values != np.floor(values)
    if column.low is not None and column.high is not None:
        wrong |= ~values.between(column.low, column.high)
    return values.where(~wrong).to_numpy(dtype=float), wrong.to_numpy(dtype=bool)


def _suggestion(value: str, column: Column) -> tuple[str, str | None]:
    """What was probably meant by a cell, and its cure if nothing else can have been meant."""
    cure = meant(value, column)
    if cure not in (None, value) and (cure == "" or _reads(cure, column)):
        return f"{cure}?" if cure else "a blank cell, which means missing?", cure
    if column.kind == "month" and (parse_date(value) or stored_date(value)):
        return f"{date_column(column.name)} as the column of dates, with {INFUSION_DATE}?", None
    if censored := re.fullmatch(r"([0-9.]+)\s*\+", value):
        return (f"{censored[1]}, with died 0?" if column.name == "os_month" else ""), None
    if plain_text(value) in NONE and column.kind in ("integer", "number"):
        return "0, or a blank cell, which means missing?", None
    near = difflib.get_close_matches(plain_text(value), codes_of(column), n=1)
    return f"{codes_of(column)[near[0]]}?" if near else "", None


def _reads(text: str, column: Column) -> bool:
    return not read_column(pd.Series([text]), column, "")[1]
