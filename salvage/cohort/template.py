"""What a data manager fills in: an Excel workbook, or a REDCap data dictionary with its mapping.

Both are made from :mod:`salvage.cohort.schema` and :mod:`salvage.cohort.study`, so that they cannot
disagree with the checks: a new column or setting appears in them without a change here.
"""

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import openpyxl
import yaml
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from salvage import words
from salvage.cohort import schema, study
from salvage.cohort.cells import DATE_EXPECTED, csv_text, months
from salvage.cohort.dates import INFUSION_DATE, date_column, date_columns
from salvage.cohort.importing.mapping import TIME_ZERO
from salvage.cohort.readers import (
    DICTIONARY_SHEET,
    EXAMPLE_PREFIX,
    LABEL_PREFIX,
    SETTINGS_SHEET,
)
from salvage.cohort.schema import Column, TableSchema
from salvage.problems import InputError, Problem

#: Fixed, so that the same schema makes the same file.
MADE: Final = dt.datetime(2026, 1, 1)
#: Points that a line of the dictionary takes.
LINE_HEIGHT: Final = 15
#: Rows that have drop-downs and checks.
LAST_ROW: Final = 20_000
#: A drop-down of more numbers than these is slower than typing one.
MOST_SCORES: Final = 6
#: Excel refuses longer lists typed into a validation rule, and shows no more of a message.
LONGEST_LIST: Final = 255
#: The invented course of the schema's examples stands twice: as months and as dates.
MONTHS_ID: Final = f"{EXAMPLE_PREFIX}-1"
DATES_ID: Final = f"{EXAMPLE_PREFIX}-2"
EXAMPLE_INFUSION: Final = dt.date(2024, 1, 15)


def _new(path: Path) -> None:
    """Refuse to write over a file that someone may have filled in."""
    if path.exists():
        problem = Problem(str(path), expected="a new file name; this file exists already")
        raise InputError("Nothing was written", [problem])


# --- the workbook ---------------------------------------------------------------------------------


def write_workbook(path: Path) -> Path:
    """Write the empty workbook to ``path``; :class:`InputError` if there is such a file."""
    _new(path)
    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.created = book.properties.modified = MADE
    for table in schema.TABLES:
        _table_sheet(book.create_sheet(table.name), table)
    _settings_sheet(book.create_sheet(SETTINGS_SHEET))
    _dictionary_sheet(book.create_sheet(DICTIONARY_SHEET))
    book.save(path)
    return path


def sheet_columns(table: TableSchema) -> list[Column]:
    """The columns of a table's sheet: beside each month column, one for a date instead."""
    columns: list[Column] = []
    for column in table.columns:
        columns.append(column)
        if column.kind == "id" and table is schema.PATIENTS:
            meaning = "Date of the first CAR-T infusion, if dates are given"
            columns.append(Column(INFUSION_DATE, "text", meaning))
        if column.kind == "month":
            meaning = f"{column.meaning}: the date, instead of {column.name}"
            columns.append(Column(date_column(column.name), "text", meaning))
    return columns


def is_date(column: Column) -> bool:
    """Whether a column of the workbook holds a date, which becomes months when it is read."""
    return column.name.endswith("_date")


def expects(column: Column) -> str:
    """What a cell of the workbook must hold, with the meaning of its codes."""
    if column.codes:
        return "; ".join(c if c == text else f"{c} ({text})" for c, text in column.codes.items())
    return DATE_EXPECTED if is_date(column) else column.expects


def needed(column: Column) -> str:
    """Whether a cell must be filled in."""
    if not column.required:
        return "may be blank"
    if column.kind == "month":
        return f"required, here or as {date_column(column.name)}"
    return "required"


def _write(cell: Any, value: object) -> None:
    """Put a value into a cell; text is text, whatever it begins with."""
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"


def _table_sheet(sheet: Any, table: TableSchema) -> None:
    for position, column in enumerate(sheet_columns(table), 1):
        head = sheet.cell(1, position)
        _write(head, column.name)
        head.font = Font(bold=True)
        head.fill = PatternFill("solid", fgColor="F4D58D" if column.required else "E3E7EB")
        unit = f" ({column.unit})" if column.unit and column.kind != "month" else ""
        note = f"{column.meaning}{unit}.\n\nExpected: {expects(column)}.\n{needed(column)}."
        head.comment = Comment(note, "salvage", width=320, height=160)
        letter = get_column_letter(position)
        sheet.column_dimensions[letter].width = max(12, len(column.name) + 3)
        if is_date(column):
            for row in range(2, 4):
                sheet.cell(row, position).number_format = "yyyy-mm-dd"
            sheet.column_dimensions[letter].number_format = "yyyy-mm-dd"
        if rule := _rule(column):
            message = f"Expected {DATE_EXPECTED if is_date(column) else column.expects}."
            _restrict(
                sheet,
                f"{letter}2:{letter}{LAST_ROW}",
                rule,
                allow_blank=True,
                errorTitle=column.name,
                error=message[:LONGEST_LIST],
            )
        for row, cells in enumerate(_example_rows(table), 2):
            if column.name in cells:
                _write(sheet.cell(row, position), cells[column.name])
                sheet.cell(row, position).font = Font(italic=True, color="808080")
    _lay_out(sheet, "B2")


def _example_rows(table: TableSchema) -> list[dict[str, object]]:
    """Two example rows of a table: one with months, one with dates."""
    in_months: dict[str, object] = {"patient_id": MONTHS_ID}
    in_dates: dict[str, object] = {"patient_id": DATES_ID, INFUSION_DATE: EXAMPLE_INFUSION}
    for column in table.columns:
        if isinstance(column.example, int) and column.kind == "month":
            day = EXAMPLE_INFUSION + dt.timedelta(column.example)
            in_months[column.name] = months(column.example)
            in_dates[date_column(column.name)] = day
        elif column.example is not None:
            in_months[column.name] = in_dates[column.name] = column.example
    return [in_months, in_dates]


def _rule(column: Column) -> dict[str, str]:
    """What Excel checks of a cell of a column, as options of openpyxl's validation; {} for none."""
    if choices := _choices(column):
        return _one_of(choices, column.name)
    if is_date(column):
        return {"type": "date", "operator": "greaterThan", "formula1": "DATE(1950,1,1)"}
    if column.kind in ("integer", "number", "month"):
        limits = {"formula1": f"{column.low:g}", "formula2": f"{column.high:g}"}
        kind = "whole" if column.kind == "integer" else "decimal"
        return {"type": kind, "operator": "between", **limits}
    return {}


def _one_of(choices: Sequence[str], name: str) -> dict[str, str]:
    """A drop-down of ``choices``. Raises ValueError where Excel cannot hold it."""
    text = f'"{",".join(choices)}"'
    if len(text) > LONGEST_LIST or any("," in choice for choice in choices):
        raise ValueError(f"{name}: Excel cannot hold this list of codes")
    return {"type": "list", "formula1": text}


def _choices(column: Column) -> list[str]:
    """What the drop-down of a column offers: its codes, or the few numbers of a score."""
    if column.kind == "flag":
        return ["0", "1"]
    if column.kind == "integer" and column.low is not None and column.high is not None:
        scores = range(int(column.low), int(column.high) + 1)
        return [str(score) for score in scores] if len(scores) <= MOST_SCORES else []
    return list(column.codes)


def _restrict(sheet: Any, cells: str, rule: dict[str, str], **options: Any) -> None:
    """Have Excel check what is typed into ``cells``."""
    validation = DataValidation(**rule, showErrorMessage=True, **options)
    validation.add(cells)
    sheet.add_data_validation(validation)


def _settings_sheet(sheet: Any) -> None:
    rows: list[Sequence[object]] = [("setting", "value", "meaning")]
    hints = get_type_hints(study.Study)
    for setting in fields(study.Study):
        name = setting.name
        if name == "labels":
            rows += [
                (LABEL_PREFIX + key, "", f'own name of "{label}"; blank keeps it')
                for key, label in words.CATEGORIES.items()
            ]
            continue
        value = getattr(study.Study(), name)
        shown = str(value).lower() if isinstance(value, bool) else value
        rows.append((name, shown, study.MEANINGS[name]))
        if choices := ("false", "true") if hints[name] is bool else get_args(hints[name]):
            _restrict(sheet, f"B{len(rows)}", _one_of(choices, name))
    _text_sheet(sheet, rows, (26, 48, 70))


def _dictionary_sheet(sheet: Any) -> None:
    rows: list[Sequence[str]] = [("table", "column", "meaning", "expected", "needed", "unit")]
    for table in schema.TABLES:
        rows += [
            (table.name, c.name, c.meaning, expects(c), needed(c), c.unit)
            for c in sheet_columns(table)
        ]
    rows += [
        (SETTINGS_SHEET, key, meaning, "", "may be blank", "")
        for key, meaning in study.MEANINGS.items()
    ]
    widths = (16, 24, 50, 60, 36, 24)
    _text_sheet(sheet, rows, widths)
    for number, row in enumerate(rows, 1):
        for cell in sheet[number]:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        # A height of its own: not every program finds the one that wrapped text needs.
        lines = max(math.ceil(len(cell) / width) for cell, width in zip(row, widths, strict=True))
        sheet.row_dimensions[number].height = LINE_HEIGHT * max(1, lines)


def _text_sheet(sheet: Any, rows: Sequence[Sequence[object]], widths: Sequence[int]) -> None:
    """Write rows into a sheet, the first of them in bold, with the widths of its columns."""
    for number, row in enumerate(rows, 1):
        for position, value in enumerate(row, 1):
            _write(sheet.cell(number, position), value)
            sheet.cell(number, position).font = Font(bold=number == 1)
    for position, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(position)].width = width
    _lay_out(sheet, "A2")


def _lay_out(sheet: Any, first: str) -> None:
    """Keep what is above and before the cell ``first`` in view; print as wide as one page."""
    sheet.freeze_panes = first
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = "1:1"


# --- REDCap ---------------------------------------------------------------------------------------

#: REDCap's column that says which repeating form a row of an export belongs to.
REDCAP_FORM: Final = "redcap_repeat_instrument"


def write_redcap(path: Path) -> list[Path]:
    """Write the REDCap data dictionary to ``path``, and beside it the mapping of its export.

    The forms salvage and adverse_events are to be made repeating in REDCap. :class:`InputError` if
    one of the two files exists.
    """
    mapping = path.with_suffix(".mapping.yaml")
    _new(path)
    _new(mapping)
    path.write_text(redcap_dictionary(), encoding="utf-8", newline="")
    mapping.write_text(redcap_mapping(), encoding="utf-8")
    return [path, mapping]


def redcap_columns(table: TableSchema) -> list[Column]:
    """What a project records of a table: dates, which the import turns into months."""
    months_of = date_columns(table)
    columns = []
    for column in sheet_columns(table):
        month = months_of.get(column.name)
        if month is not None:
            of_month = table.column(month)
            column = replace(column, meaning=of_month.meaning, required=of_month.required)
        if column.kind != "month":
            columns.append(
                replace(column, required=column.required or column.name == INFUSION_DATE)
            )
    return columns


def redcap_dictionary() -> str:
    """The data dictionary in REDCap's CSV format."""
    rows = [
        _redcap_row(table, column)
        for table in schema.TABLES
        for column in redcap_columns(table)
        if column.kind != "id" or table is schema.PATIENTS
    ]
    return csv_text([rows[0], *(row.values() for row in rows)], "\r\n")


def redcap_name(table: TableSchema, column: Column) -> str:
    """A field's name: REDCap wants each once in a project."""
    names = {t.name: [c.name for c in redcap_columns(t)] for t in schema.TABLES if t is not table}
    others = [name for name, columns in names.items() if column.name in columns]
    first = column.kind == "id" or not others or table is schema.SALVAGE
    return column.name if first else f"{table.name}_{column.name}"


def redcap_code(code: str) -> str:
    """A code as REDCap wants it: letters, digits and underscores."""
    return re.sub(r"\W+", "_", code)


def _redcap_row(table: TableSchema, column: Column) -> dict[str, str]:
    """A field of the dictionary: every cell that REDCap knows, by its name in the header."""
    kinds = {"code": "dropdown", "flag": "yesno"}
    number = column.kind if column.kind in ("integer", "number") else ""
    choices = (f"{redcap_code(code)}, {label}" for code, label in column.codes.items())
    return {
        "Variable / Field Name": redcap_name(table, column),
        "Form Name": table.name,
        "Section Header": "",
        "Field Type": kinds.get(column.kind, "text"),
        "Field Label": column.meaning,
        "Choices, Calculations, OR Slider Labels": " | ".join(choices),
        "Field Note": column.unit,
        "Text Validation Type OR Show Slider Number": "date_ymd" if is_date(column) else number,
        "Text Validation Min": f"{column.low:g}" if number else "",
        "Text Validation Max": f"{column.high:g}" if number else "",
        "Identifier?": "y" if is_date(column) else "",
        "Branching Logic (Show field only if...)": "",
        "Required Field?": "y" if column.required else "",
        "Custom Alignment": "",
        "Question Number (surveys only)": "",
        "Matrix Group Name": "",
        "Matrix Ranking?": "",
        "Field Annotation": "",
    }


def redcap_mapping() -> str:
    """The mapping with which ``import`` reads an export (raw data, CSV) of that project."""
    tables: dict[str, Any] = {}
    for table in schema.TABLES:
        columns: dict[str, Any] = {}
        targets = {**date_columns(table), INFUSION_DATE: TIME_ZERO}
        for column in redcap_columns(table):
            name = redcap_name(table, column)
            recoded = {redcap_code(code): code for code in column.codes}
            differs = any(code != own for code, own in recoded.items())
            cell: dict[str, Any] = {"column": name}
            cell |= {"date": "auto"} if is_date(column) else {}
            cell |= {"values": recoded} if differs else {}
            columns[targets.get(column.name, column.name)] = cell if len(cell) > 1 else name
        form = {"blank": True} if table is schema.PATIENTS else {"equals": table.name}
        keep = [{"column": REDCAP_FORM, **form}]
        tables[table.name] = [{"source": "export", "keep": keep, "columns": columns}]
    head = (
        "# Reads an export of the REDCap project made from the data dictionary beside it:\n"
        '# "All data", CSV, raw values. The forms salvage and adverse_events are repeating.\n'
        "# For an export with labels, `python -m salvage map` drafts another.\n"
    )
    mapping = {"sources": {"export": {}}, "tables": tables}
    return head + yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)
