"""What a data manager fills in: an Excel workbook, or a REDCap data dictionary with its mapping.

Both are made from :mod:`salvage.cohort.schema` and :mod:`salvage.cohort.study`, so that they cannot
disagree with the checks.
"""

import csv
import datetime as dt
import io
import math
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import yaml

from salvage import words
from salvage.cohort import schema, study
from salvage.cohort.cells import DATE_EXPECTED, guarded, months
from salvage.cohort.dates import INFUSION_DATE, date_column
from salvage.cohort.readers import (
    DICTIONARY_SHEET,
    EXAMPLE_PREFIX,
    LABEL_PREFIX,
    SETTINGS_SHEET,
)
from salvage.cohort.schema import Column, Table
from salvage.problems import InputError, Problem

#: Fixed, so that the same schema makes the same file.
MADE: Final = dt.datetime(2026, 1, 1)
#: Points that a line of the dictionary takes.
LINE_HEIGHT: Final = 15
#: Rows that have drop-downs and checks.
LAST_ROW: Final = 20_000
#: A drop-down of more numbers than these is slower than typing one.
MOST_SCORES: Final = 6
#: Excel refuses longer lists typed into a validation rule.
LONGEST_LIST: Final = 255
MONTHS_ID: Final = f"{EXAMPLE_PREFIX}-1"
DATES_ID: Final = f"{EXAMPLE_PREFIX}-2"

#: The same invented course twice: as months for one example, as dates for the other.
EXAMPLE_INFUSION: Final = dt.date(2024, 1, 15)
EXAMPLE_DAYS: Final[dict[str, dict[str, int]]] = {
    "patients": {"relapse_month": 90, "os_month": 400},
    "salvage": {
        "start_month": 100,
        "response_month": 140,
        "response_end_month": 300,
        "progression_month": 300,
        "end_month": 250,
    },
    "adverse_events": {"onset_month": 103},
}
EXAMPLE_CELLS: Final[dict[str, dict[str, object]]] = {
    "patients": {
        "age": 58,
        "sex": "F",
        "histology": "DLBCL NOS",
        "coo": "GCB",
        "stage": 3,
        "ipi": 3,
        "ecog": 1,
        "ldh_elevated": 1,
        "extranodal_sites": 1,
        "bulky": 0,
        "prior_lines": 2,
        "refractory": 1,
        "cart_target": "CD19",
        "cart_product": "axicabtagene ciloleucel",
        "cart_best_response": "PR",
        "died": 1,
    },
    "salvage": {
        "line": 1,
        "category": "bispecific",
        "regimen": "glofitamab",
        "best_response": "PR",
        "response_end_reason": "progression",
    },
    "adverse_events": {"line": 1, "term": "fever", "grade": 1, "scale": "CTCAE 5.0"},
}


def _new(path: Path) -> None:
    """Refuse to write over a file that someone may have filled in."""
    if path.exists():
        problem = Problem(str(path), None, "", "", "a new file name; this file exists already")
        raise InputError("Nothing was written", [problem])


# --- the workbook ---------------------------------------------------------------------------------


def write_workbook(path: Path) -> Path:
    """Write the empty workbook to ``path``; :class:`InputError` if there is such a file."""
    import openpyxl

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


def sheet_columns(table: Table) -> list[Column]:
    """The columns of a table's sheet: beside each month column, one for a date instead."""
    columns: list[Column] = []
    for column in table.columns:
        columns.append(column)
        if column.kind == "id" and table is schema.PATIENTS:
            columns.append(
                Column(
                    INFUSION_DATE, "text", "Date of the first CAR-T infusion, if dates are given"
                )
            )
        if column.kind == "month":
            meaning = f"{column.meaning}: the date, instead of {column.name}"
            columns.append(Column(date_column(column.name), "text", meaning))
    return columns


def is_date(column: Column) -> bool:
    """Whether a column of the workbook holds a date, which becomes months when it is read."""
    return column.name.endswith("_date")


def expects(column: Column) -> str:
    """What a cell of the workbook must hold, with the meaning of its codes."""
    if is_date(column):
        return DATE_EXPECTED
    if column.codes:
        return "; ".join(c if c == text else f"{c} ({text})" for c, text in column.codes.items())
    return column.expects


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


def _table_sheet(sheet: Any, table: Table) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

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
        rule = _validation(column)
        if rule is not None:
            rule.add(f"{letter}2:{letter}{LAST_ROW}")
            sheet.add_data_validation(rule)
        for row, cells in enumerate(example_rows(table), 2):
            if column.name in cells:
                _write(sheet.cell(row, position), cells[column.name])
                sheet.cell(row, position).font = Font(italic=True, color="808080")
    sheet.freeze_panes = "B2"
    _on_paper(sheet)


def example_rows(table: Table) -> list[dict[str, object]]:
    """Two example rows of a table: one with months, one with dates."""
    cells, days = EXAMPLE_CELLS[table.name], EXAMPLE_DAYS[table.name]
    in_months = {name: months(day) for name, day in days.items()}
    in_dates = {
        date_column(name): EXAMPLE_INFUSION + dt.timedelta(day) for name, day in days.items()
    }
    infusion = {INFUSION_DATE: EXAMPLE_INFUSION} if table is schema.PATIENTS else {}
    return [
        {"patient_id": MONTHS_ID, **cells, **in_months},
        {"patient_id": DATES_ID, **infusion, **cells, **in_dates},
    ]


def _validation(column: Column) -> Any:
    """The rule by which Excel checks what is typed into a column, or ``None``."""
    from openpyxl.worksheet.datavalidation import DataValidation

    if choices := _choices(column):
        text = f'"{",".join(choices)}"'
        if len(text) > LONGEST_LIST or any("," in choice for choice in choices):
            raise ValueError(f"{column.name}: Excel cannot hold this list of codes")
        rule = DataValidation(type="list", formula1=text, allow_blank=True)
    elif is_date(column):
        rule = DataValidation(
            type="date", operator="greaterThan", formula1="DATE(1950,1,1)", allow_blank=True
        )
    elif column.kind in ("integer", "number", "month"):
        kind = "whole" if column.kind == "integer" else "decimal"
        low = f"{column.low or 0:g}"
        if column.high is None:
            rule = DataValidation(type=kind, operator="greaterThanOrEqual", formula1=low)
        else:
            rule = DataValidation(
                type=kind, operator="between", formula1=low, formula2=f"{column.high:g}"
            )
        rule.allow_blank = True
    else:
        return None
    rule.showErrorMessage = True
    rule.errorTitle = column.name
    # Excel shows no more than this of a message.
    rule.error = f"Expected {column.expects if not is_date(column) else DATE_EXPECTED}."[
        :LONGEST_LIST
    ]
    return rule


def _choices(column: Column) -> list[str]:
    """What the drop-down of a column offers: its codes, or the few numbers of a score."""
    if column.kind == "flag":
        return ["0", "1"]
    if column.kind == "integer" and column.low is not None and column.high is not None:
        scores = range(int(column.low), int(column.high) + 1)
        return [str(score) for score in scores] if len(scores) <= MOST_SCORES else []
    return list(column.codes)


#: Drop-downs of the settings.
_CHOICES: Final = {
    "audience": ("internal", "public"),
    "suppress_zero": ("false", "true"),
    "synthetic": ("false", "true"),
}


def _settings_sheet(sheet: Any) -> None:
    from openpyxl.styles import Font
    from openpyxl.worksheet.datavalidation import DataValidation

    rows: list[tuple[str, str, str]] = []
    default = study.Study()
    for one in fields(study.Study):
        if one.name == "labels":
            rows += [
                (LABEL_PREFIX + key, "", f'own name of "{label}"; blank keeps it')
                for key, label in words.CATEGORIES.items()
            ]
        else:
            value = getattr(default, one.name)
            shown = str(value).lower() if isinstance(value, bool) else value
            rows.append((one.name, shown, study.MEANINGS[one.name]))
    for number, row in enumerate([("setting", "value", "meaning"), *rows], 1):
        for position, value in enumerate(row, 1):
            _write(sheet.cell(number, position), value)
            sheet.cell(number, position).font = Font(bold=number == 1)
        if row[0] in _CHOICES:
            rule = DataValidation(type="list", formula1=f'"{",".join(_CHOICES[row[0]])}"')
            rule.showErrorMessage = True
            rule.add(f"B{number}")
            sheet.add_data_validation(rule)
    for letter, width in zip("ABC", (26, 48, 70), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    _on_paper(sheet)


def _dictionary_sheet(sheet: Any) -> None:
    from openpyxl.styles import Alignment, Font

    widths = (16, 24, 50, 60, 36, 24)
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
    for number, row in enumerate(rows, 1):
        for position, value in enumerate(row, 1):
            cell = sheet.cell(number, position)
            _write(cell, value)
            cell.font = Font(bold=number == 1)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        # A height of its own: not every program finds the one that wrapped text needs.
        lines = max(math.ceil(len(cell) / width) for cell, width in zip(row, widths, strict=True))
        sheet.row_dimensions[number].height = LINE_HEIGHT * max(1, lines)
    for letter, width in zip("ABCDEF", widths, strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    _on_paper(sheet)


def _on_paper(sheet: Any) -> None:
    """Print across the page: as wide as one sheet, its first row on each."""
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = "1:1"


# --- REDCap ---------------------------------------------------------------------------------------

REDCAP_HEAD: Final = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
#: REDCap's column that says which repeating form a row of an export belongs to.
REDCAP_FORM: Final = "redcap_repeat_instrument"
_REDCAP_NUMBERS: Final = {"integer": "integer", "number": "number", "month": "number"}


def write_redcap(path: Path) -> list[Path]:
    """Write the REDCap data dictionary to ``path``, and beside it the mapping of its export.

    The forms salvage and adverse_events are to be made repeating in REDCap. :class:`InputError` if
    one of the two files exists.
    """
    mapping = path.with_suffix(".mapping.yaml")
    for one in (path, mapping):
        _new(one)
    path.write_text(redcap_dictionary(), encoding="utf-8", newline="")
    mapping.write_text(redcap_mapping(), encoding="utf-8")
    return [path, mapping]


def redcap_dictionary() -> str:
    """The data dictionary in REDCap's CSV format."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(REDCAP_HEAD)
    for table in schema.TABLES:
        for column in table.columns:
            if column.kind == "id" and table is not schema.PATIENTS:
                continue
            writer.writerow([guarded(cell) for cell in _redcap_row(table, column)])
    return stream.getvalue()


def redcap_name(table: Table, column: Column) -> str:
    """A field's name: REDCap wants each once in a project."""
    others = [t for t in schema.TABLES if t is not table and column.name in t.names]
    first = column.kind == "id" or not others or table is schema.SALVAGE
    return column.name if first else f"{table.name}_{column.name}"


def redcap_code(code: str) -> str:
    """A code as REDCap wants it: letters, digits and underscores."""
    return re.sub(r"\W+", "_", code)


def _redcap_row(table: Table, column: Column) -> list[str]:
    number = _REDCAP_NUMBERS.get(column.kind, "")
    kinds = {"code": "dropdown", "flag": "yesno"}
    cells = {
        "Variable / Field Name": redcap_name(table, column),
        "Form Name": table.name,
        "Field Type": kinds.get(column.kind, "text"),
        "Field Label": column.meaning,
        "Choices, Calculations, OR Slider Labels": " | ".join(
            f"{redcap_code(code)}, {label}" for code, label in column.codes.items()
        ),
        "Field Note": column.unit,
        "Text Validation Type OR Show Slider Number": number,
        "Text Validation Min": f"{column.low:g}" if number and column.low is not None else "",
        "Text Validation Max": f"{column.high:g}" if number and column.high is not None else "",
        "Required Field?": "y" if column.required else "",
    }
    return [cells.get(head, "") for head in REDCAP_HEAD]


def redcap_mapping() -> str:
    """The mapping with which ``import`` reads an export (raw data, CSV) of that project."""
    tables: dict[str, Any] = {}
    for table in schema.TABLES:
        form = "" if table is schema.PATIENTS else table.name
        columns: dict[str, Any] = {}
        for column in table.columns:
            name = redcap_name(table, column)
            recoded = {redcap_code(c): c for c in column.codes if redcap_code(c) != c}
            columns[column.name] = {"column": name, "values": recoded} if recoded else name
        keep = (
            {"column": REDCAP_FORM, "equals": form}
            if form
            else {"column": REDCAP_FORM, "blank": True}
        )
        tables[table.name] = [{"source": "export", "keep": [keep], "columns": columns}]
    head = (
        "# Reads an export of the REDCap project made from the data dictionary beside it:\n"
        '# "All data", CSV, raw values. The forms salvage and adverse_events are repeating.\n'
    )
    mapping = {"sources": {"export": {}}, "tables": tables}
    return head + yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)
