"""The workbook and the REDCap dictionary say what the schema says, and can be filled in."""

import csv
import io
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml

from salvage import words
from salvage.__main__ import main
from salvage.cohort import Cohort, check, load, schema, study
from salvage.cohort.cells import months
from salvage.cohort.dates import INFUSION_DATE, date_columns
from salvage.cohort.importing import run
from salvage.cohort.schema import Column, TableSchema
from salvage.cohort.template import (
    REDCAP_FORM,
    redcap_code,
    redcap_columns,
    redcap_name,
    sheet_columns,
    write_redcap,
    write_workbook,
)
from salvage.problems import InputError

EVERY_COLUMN = [(table, column) for table in schema.TABLES for column in sheet_columns(table)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "cohort.xlsx"
    assert main(["template", str(file)]) == 0
    return file


@pytest.fixture(scope="module")
def book(path: Path) -> Any:
    return openpyxl.load_workbook(path)


def test_sheets_and_headers(book: Any) -> None:
    names = [table.name for table in schema.TABLES]
    assert book.sheetnames == [*names, "settings", "dictionary"]
    for table in schema.TABLES:
        header = [cell.value for cell in book[table.name][1]]
        months_left_out = [name for name in header if name not in date_columns(table)]
        assert [name for name in months_left_out if name != INFUSION_DATE] == list(table.names)
        assert set(date_columns(table)) <= set(header)
        assert (INFUSION_DATE in header) == (table is schema.PATIENTS)


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN, ids=lambda x: x.name)
def test_each_header_says_what_is_expected(book: Any, table: TableSchema, column: Column) -> None:
    note = header(book, table, column).comment.text
    assert column.meaning in note
    for code in column.codes:
        assert code in note
    if column.required:
        assert "required" in note


def header(book: Any, table: TableSchema, column: Column) -> Any:
    return next(cell for cell in book[table.name][1] if cell.value == column.name)


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN, ids=lambda x: x.name)
def test_excel_checks_what_the_schema_checks(book: Any, table: TableSchema, column: Column) -> None:
    letter = header(book, table, column).column_letter
    rules = [
        rule
        for rule in book[table.name].data_validations.dataValidation
        if f"{letter}2" in rule.sqref and f"{letter}20000" in rule.sqref
    ]
    if column.kind == "code":
        assert [rule.formula1 for rule in rules] == [f'"{",".join(column.codes)}"']
    elif column.kind == "flag":
        assert [rule.formula1 for rule in rules] == ['"0,1"']
    elif column.name in ("stage", "ipi", "ecog", "grade"):
        scores = range(int(column.low or 0), int(column.high or 0) + 1)
        assert [rule.formula1 for rule in rules] == [f'"{",".join(map(str, scores))}"']
    elif column.kind in ("integer", "number", "month"):
        assert [rule.formula1 for rule in rules] == [f"{column.low:g}"]
        assert rules[0].formula2 == (None if column.high is None else f"{column.high:g}")
    elif column.name.endswith("_date"):
        assert [rule.type for rule in rules] == ["date"]
    else:
        assert rules == []
    assert all(rule.showErrorMessage for rule in rules)


def test_the_dictionary_holds_every_column_and_setting(book: Any) -> None:
    rows = [[cell.value for cell in row] for row in book["dictionary"].iter_rows(min_row=2)]
    expected = [(table.name, column.name) for table, column in EVERY_COLUMN]
    expected += [("settings", key) for key in study.MEANINGS]
    assert [(row[0], row[1]) for row in rows] == expected
    assert all(row[2] for row in rows)


def test_the_empty_template_is_refused_for_want_of_patients(path: Path) -> None:
    cohort, problems = check(path)
    assert cohort is None
    assert [str(problem) for problem in problems] == [
        "cohort.xlsx, sheet patients; expected at least one row",
        "cohort.xlsx, sheet salvage; expected at least one row",
    ]


def test_the_example_rows_are_a_valid_cohort_once_they_have_ids(path: Path, tmp_path: Path) -> None:
    """One patient in months and one in dates, of the same course: both are read alike."""
    filled = openpyxl.load_workbook(path)
    for table in schema.TABLES:
        for row in (2, 3):
            filled[table.name].cell(row, 1).value = f"P{row}"
    filled["settings"]["B2"] = "Our own book"
    target = tmp_path / "filled.xlsx"
    filled.save(target)
    cohort = load(target)
    assert cohort.warnings == ()
    assert cohort.study.title == "Our own book"
    for frame in (cohort.patients, cohort.salvage, cohort.adverse_events):
        first, second = (
            frame[frame["patient_id"] == p].drop(columns="patient_id")
            for p in cohort.patients["patient_id"]
        )
        pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))


def test_settings_of_the_template_are_the_defaults(path: Path, tmp_path: Path) -> None:
    filled = openpyxl.load_workbook(path)
    for table in schema.TABLES:
        filled[table.name].cell(2, 1).value = "P1"
    target = tmp_path / "filled.xlsx"
    filled.save(target)
    assert load(target).study == study.Study()


def test_no_text_of_the_workbook_is_a_formula(book: Any) -> None:
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            assert all(cell.data_type != "f" for cell in row)


def test_a_label_that_looks_like_a_formula_stays_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(study.MEANINGS, "title", "=cmd()")
    sheet = openpyxl.load_workbook(write_workbook(tmp_path / "c.xlsx"))["settings"]
    assert (sheet["C2"].value, sheet["C2"].data_type) == ("=cmd()", "s")


def test_a_list_that_excel_cannot_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Column("coo", "code", "x", codes={f"code {i}": "" for i in range(60)})
    table = TableSchema("patients", "", (long,))
    monkeypatch.setattr(schema, "TABLES", (table,))
    with pytest.raises(ValueError, match=r"coo: Excel cannot hold this list of codes"):
        write_workbook(tmp_path / "c.xlsx")


@pytest.mark.parametrize("option", [[], ["--redcap"]])
def test_nothing_is_written_over(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("filled in")
    assert main(["template", *option, str(file)]) == 1
    assert "this file exists already" in capsys.readouterr().err
    assert file.read_text() == "filled in"
    assert [one.name for one in tmp_path.iterdir()] == ["mine.csv"]


def test_the_template_wants_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template"]) == 1
    assert "a file name" in capsys.readouterr().err


def test_the_workbook_is_the_same_each_time(tmp_path: Path) -> None:
    def contents(name: str) -> list[list[list[object]]]:
        made = openpyxl.load_workbook(write_workbook(tmp_path / name))
        return [[[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in made]

    assert contents("a.xlsx") == contents("b.xlsx")


# --- REDCap ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redcap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("redcap") / "redcap.csv"
    assert main(["template", "--redcap", str(file)]) == 0
    return file


def dictionary(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def test_redcap_fields(redcap: Path) -> None:
    rows = dictionary(redcap)
    names = [row["Variable / Field Name"] for row in rows]
    assert len(set(names)) == len(names)
    assert names[0] == "patient_id"
    assert all(name.isidentifier() and name == name.lower() for name in names)
    fields = {(row["Form Name"], row["Variable / Field Name"]): row for row in rows}
    for table in schema.TABLES:
        for column in redcap_columns(table):
            if column.kind == "id" and table is not schema.PATIENTS:
                continue
            row = fields[table.name, redcap_name(table, column)]
            assert row["Field Label"] == column.meaning
            assert (row["Required Field?"] == "y") == column.required
            choices = [
                c.split(", ")[0]
                for c in row["Choices, Calculations, OR Slider Labels"].split(" | ")
                if c
            ]
            assert choices == [redcap_code(code) for code in column.codes]
            if column.kind in ("integer", "number"):
                assert row["Text Validation Min"] == f"{column.low:g}"
    # Dates stand for every month, so that nobody works months out by hand.
    dates = [row for row in rows if row["Text Validation Type OR Show Slider Number"] == "date_ymd"]
    months = [c for table in schema.TABLES for c in table.columns if c.kind == "month"]
    assert len(dates) == len(months) + 1
    assert {"infusion_date", "relapse_date", "os_date"} <= {
        r["Variable / Field Name"] for r in dates
    }


#: Rows of an export: one for a patient, and one for each instance of a repeating form.
ROWS = [
    {"patient_id": "1", "infusion_date": "2023-01-10", "relapse_date": "2023-04-10",
     "os_date": "2023-12-01", "died": "1", "sex": "F", "refractory": "0"},
    {"patient_id": "1", REDCAP_FORM: "salvage", "line": "1", "category": "second_cart",
     "start_date": "2023-05-01", "best_response": "PR"},
    {"patient_id": "1", REDCAP_FORM: "adverse_events", "adverse_events_line": "1",
     "term": "CRS", "grade": "2", "scale": "CTCAE_5_0", "onset_date": "2023-05-03"},
]  # fmt: skip


def export_of(redcap: Path, labels: bool = False, delimiter: str = ",") -> str:
    """The export of a project made from the dictionary, as REDCap writes it."""
    fields = dictionary(redcap)
    names = [row["Variable / Field Name"] for row in fields]
    label = {row["Variable / Field Name"]: row["Field Label"] for row in fields}
    label |= {REDCAP_FORM: "Repeat Instrument", "redcap_repeat_instance": "Repeat Instance"}
    choices = {
        row["Variable / Field Name"]: dict(
            one.split(", ", 1)
            for one in row["Choices, Calculations, OR Slider Labels"].split(" | ")
        )
        for row in fields
        if row["Choices, Calculations, OR Slider Labels"]
    }
    choices |= {REDCAP_FORM: {t.name: t.name.replace("_", " ").title() for t in schema.TABLES}}
    yes_no = {r["Variable / Field Name"] for r in fields if r["Field Type"] == "yesno"}
    choices |= {name: {"1": "Yes", "0": "No"} for name in yes_no}
    head = ["patient_id", REDCAP_FORM, "redcap_repeat_instance", *names[1:]]
    done = [f"{table.name}_complete" for table in schema.TABLES]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow([label[n] for n in head] + ["Complete?"] * 3 if labels else [*head, *done])
    for row in ROWS:
        cells = [row.get(name, "") for name in head]
        if labels:
            cells = [choices.get(n, {}).get(c, c) for n, c in zip(head, cells, strict=True)]
        writer.writerow([*cells, "2", "", ""])
    return stream.getvalue()


def same_cohort(cohort: Cohort | None) -> None:
    assert cohort is not None
    assert cohort.patients["sex"].tolist() == ["F"]
    assert cohort.patients["refractory"].tolist() == [0]
    assert cohort.patients["os_month"].tolist() == [months(325)]
    assert cohort.salvage["category"].tolist() == ["second_cart"]
    assert cohort.salvage["start_month"].tolist() == [months(111)]
    assert cohort.adverse_events["scale"].tolist() == ["CTCAE 5.0"]
    assert cohort.adverse_events["line"].tolist() == [1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_an_export_of_redcap_is_imported_by_its_mapping(
    redcap: Path, tmp_path: Path, delimiter: str
) -> None:
    export = tmp_path / "export.csv"
    export.write_text(export_of(redcap, delimiter=delimiter), encoding="utf-8")
    same_cohort(run(export, redcap.with_suffix(".mapping.yaml"), tmp_path / "out").cohort)


@pytest.mark.parametrize("labels", [False, True])
def test_an_export_of_redcap_needs_no_question_answered(
    redcap: Path, tmp_path: Path, labels: bool
) -> None:
    """With its labels too, of which three are the same."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dictionary.csv").write_bytes(redcap.read_bytes())
    (folder / "export.csv").write_text(export_of(redcap, labels), encoding="utf-8")
    mapping = tmp_path / "mapping.yaml"
    assert main(["map", str(folder), "--out", str(mapping)]) == 0
    asked = [line for line in mapping.read_text(encoding="utf-8").splitlines() if "  # ?" in line]
    assert [line.split(":")[0].strip() for line in asked] == ["title"]
    same_cohort(run(folder, mapping, tmp_path / "out").cohort)


def test_the_redcap_mapping_is_not_written_over(tmp_path: Path) -> None:
    mapping = tmp_path / "redcap.mapping.yaml"
    mapping.write_text("mine: true")
    with pytest.raises(InputError, match=r"redcap\.mapping\.yaml"):
        write_redcap(tmp_path / "redcap.csv")
    assert yaml.safe_load(mapping.read_text()) == {"mine": True}
    assert not (tmp_path / "redcap.csv").exists()


def test_every_label_of_a_category_has_a_row(book: Any) -> None:
    keys = [cell.value for cell in book["settings"]["A"]]
    assert [key for key in keys if key.startswith("label of ")] == [
        f"label of {key}" for key in words.CATEGORIES
    ]
