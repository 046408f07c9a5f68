"""A corrected copy holds what can have been meant, lists each change, and leaves the rest."""

import csv
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import xlwt

from salvage.__main__ import main
from salvage.cohort import check, load, schema
from salvage.cohort.fixing import fix
from salvage.cohort.schema import Column
from salvage.cohort.written import codes_of, meant
from salvage.problems import InputError
from tests.cohort.test_readers import workbook

PATIENTS: list[list[object]] = [
    ["patient_id", "infusion_date", "age", "sex", "stage", "ecog", "bulky", "relapse_date",
     "os_month", "died", "ward"],
    ["P1", "5-Jan-23", "61岁", "男", "III期", "ECOG 1", "有", "05.04.2023", "9.5 mo", "是", "A"],
    ["P2", "13.02.2023", "５８", "Female", "IVB", 0, "×", "20.05.2023", "300 days", "存活", "B"],
    ["P3", 44986, 70, "f", 2, "2分", "无", "01/06/2023", "2023-12-01", "N", ""],
]  # fmt: skip
SALVAGE: list[list[object]] = [
    ["patient_id", "line", "category", "start_date", "best_response", "intent"],
    ["p1", 1, "Glofitamab", "10.04.2023", "ＣＲ", None],
    ["P1", 2, "放疗", "21.07.2023", "未评估", "姑息"],
    ["P2", 1, "polatuzmab", "20230601", "stable disease", "n/a"],
    ["P 3", 1, "CAR-T", "2023-06-10", "完全缓解", None],
]
#: What each cell that is corrected becomes.
EXPECTED = {
    ("patients", 2): {"infusion_date": "2023-01-05", "age": "61", "sex": "M", "stage": "3",
                      "ecog": "1", "bulky": "1", "relapse_date": "2023-04-05", "os_month": "9.5",
                      "died": "1"},
    ("patients", 3): {"infusion_date": "2023-02-13", "age": "58", "sex": "F", "stage": "4",
                      "bulky": "0", "relapse_date": "2023-05-20", "os_month": "9.8563",
                      "died": "0"},
    ("patients", 4): {"infusion_date": "2023-03-01", "sex": "F", "ecog": "2", "bulky": "0",
                      "os_month": "", "os_date": "2023-12-01", "died": "0"},
    ("salvage", 2): {"patient_id": "P1", "category": "bispecific", "start_date": "2023-04-10",
                     "best_response": "CR"},
    ("salvage", 3): {"category": "radiotherapy", "start_date": "2023-07-21",
                     "best_response": "NE", "intent": "palliative"},
    ("salvage", 4): {"start_date": "2023-06-01", "best_response": "SD", "intent": ""},
    ("salvage", 5): {"patient_id": "P3", "category": "second_cart", "best_response": "CR"},
}  # fmt: skip


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def corrected(rows: list[dict[str, str]]) -> dict[tuple[str, int], dict[str, str]]:
    found: dict[tuple[str, int], dict[str, str]] = {}
    for row in rows:
        if not row["expected"]:
            table = row["file"].rpartition(" ")[2].removesuffix(".csv")
            found.setdefault((table, int(row["row"])), {})[row["column"]] = row["after"]
    return found


def write_csv(folder: Path) -> Path:
    folder.mkdir()
    (folder / "study.yaml").write_text("title: Ours\n")
    for name, rows in (("patients", PATIENTS), ("salvage", SALVAGE)):
        pd.DataFrame(rows[1:], columns=rows[0]).to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.parametrize("kind", ["workbook", "folder"])
def test_what_has_one_meaning_is_corrected_and_the_rest_stays(tmp_path: Path, kind: str) -> None:
    if kind == "workbook":
        source = workbook(tmp_path / "c.xlsx", {"patients": PATIENTS, "salvage": SALVAGE})
        out = tmp_path / "fixed.xlsx"
        before = source.read_bytes()
    else:
        source, out = write_csv(tmp_path / "c"), tmp_path / "fixed"
        before = (source / "patients.csv").read_bytes()
    fixed = fix(source, out)
    rows = listed(fixed.listed)
    assert corrected(rows) == EXPECTED
    assert {row["before"] for row in rows if row["after"] == "2023-04-05"} == {"05.04.2023"}
    # A date with another mark may be of either order; a misspelt code is a guess.
    left = [(row["column"], row["before"]) for row in rows if row["expected"]]
    assert left == [("relapse_date", "01/06/2023"), ("category", "polatuzmab")]
    assert [(p.column, p.value) for p in fixed.problems] == left
    cohort, problems = check(out)
    assert cohort is None
    assert [(p.row, p.column, p.value) for p in problems] == [
        (4, "relapse_date", "01/06/2023"), (4, "category", "polatuzmab"),
    ]  # fmt: skip
    assert before == (source if kind == "workbook" else source / "patients.csv").read_bytes()


def test_a_corrected_copy_is_a_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patients = [*PATIENTS[:3], [*PATIENTS[3][:7], "1-Jun-23", *PATIENTS[3][8:]]]
    salvage = [*SALVAGE[:3], ["P2", 1, "pola", "20230601", "SD", ""], SALVAGE[4]]
    source = workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": salvage})
    assert main(["check", str(source)]) == 1
    out = tmp_path / "fixed.xlsx"
    capsys.readouterr()
    assert main(["check", str(source), "--fix", str(out)]) == 0
    said = capsys.readouterr().out
    assert "fixed.xlsx: 38 cells corrected; each of them is listed in" in said
    assert "fixed.xlsx: 3 patients, 4 salvage lines and 0 adverse events; no errors." in said
    assert "not used, 1 column: ward" in said
    cohort = load(out)
    assert cohort.patients["age"].tolist() == [61, 58, 70]
    assert cohort.patients["os_month"].tolist() == [9.5, 9.8563, round(275 / 30.4375, 4)]
    assert cohort.salvage["best_response"].tolist() == ["CR", "NE", "SD", "CR"]
    # Nothing is left to correct.
    again = fix(out, tmp_path / "again.xlsx")
    assert again.changes == ()


def test_a_workbook_keeps_its_drop_downs_and_the_values_of_formulas(tmp_path: Path) -> None:
    template = tmp_path / "c.xlsx"
    assert main(["template", str(template)]) == 0
    book = openpyxl.load_workbook(template)
    header = {cell.value: cell.column for cell in book["patients"][1]}
    book["patients"].cell(2, 1).value, book["salvage"].cell(2, 1).value = "P1", "P1"
    book["patients"].cell(2, header["sex"]).value = "女"
    book.save(template)
    fix(template, tmp_path / "fixed.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "fixed.xlsx")["patients"]
    assert sheet.cell(2, header["sex"]).value == "F"
    assert sheet.data_validations.dataValidation
    assert sheet["A1"].comment is not None
    assert len(load(tmp_path / "fixed.xlsx").patients) == 1


def test_an_old_workbook_becomes_a_new_one(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    for name, rows in (("patients", PATIENTS[:3]), ("salvage", SALVAGE[:3]), ("settings", [[""]])):
        sheet = book.add_sheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                sheet.write(i, j, cell)
    book.save(str(tmp_path / "c.xls"))
    fixed = fix(tmp_path / "c.xls", tmp_path / "fixed.xlsx")
    assert fixed.cohort is not None
    assert len(load(tmp_path / "fixed.xlsx").salvage) == 2


def test_nothing_is_written_over(tmp_path: Path) -> None:
    source = workbook(tmp_path / "c.xlsx", {"patients": PATIENTS, "salvage": SALVAGE})
    before = source.read_bytes()
    (tmp_path / "list.changes.csv").write_text("mine")
    for out in ("c.xlsx", "list.xlsx", "folder"):
        with pytest.raises(InputError, match=r"Nothing was written"):
            fix(source, tmp_path / out)
    with pytest.raises(InputError, match=r"this file"):
        fix(tmp_path / "none.xlsx", tmp_path / "new.xlsx")
    assert source.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.xlsx", "list.changes.csv"]


# --- what cells mean ------------------------------------------------------------------------------


def column(name: str) -> Column:
    return next(table.column(name) for table in schema.TABLES if name in table.names)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("died", "yes", "1"), ("died", "否", "0"), ("died", "已故", "1"), ("died", "√", "1"),
        ("bulky", "无", "0"), ("bulky", "dead", None), ("ldh_elevated", "正常", "0"),
        ("stage", "IIIB", "3"), ("stage", "3期", "3"), ("stage", "Stage IV", "4"),
        ("stage", "II-III", None), ("stage", "5", "5"), ("ecog", "1分", "1"), ("ecog", "0-1", None),
        ("extranodal_sites", "none", None), ("extranodal_sites", "2处", "2"),
        ("age", "61 years", "61"), ("age", "61+", None), ("age", "~61", None), ("age", "n/a", ""),
        ("os_month", "12+", None), ("os_month", ">12", None), ("os_month", "9个月", "9"),
        ("os_month", "1 year", "12"), ("os_month", "14 天", "0.46"), ("os_month", "n/a", None),
        ("best_response", "cmr", "CR"), ("best_response", "no response", None),
        ("best_response", "进展", "PD"), ("response_end_reason", "进展", "progression"),
        ("best_response", "CR/PR", None), ("best_response", "NA", "NE"), ("sex", "w", None),
        ("category", "chemo", "other"), ("cause_of_death", "chemo", None),
        ("scale", "CTCAE v5.0", "CTCAE 5.0"), ("scale", "CTCAE", None), ("grade", "G3", "3"),
    ],
)  # fmt: skip
def test_what_a_cell_means(name: str, text: str, expected: str | None) -> None:
    assert meant(text, column(name)) == expected


def test_no_text_stands_for_two_codes_of_a_column() -> None:
    """Neither a synonym for another code, nor a code or its meaning for another."""
    for table in schema.TABLES:
        for one in table.columns:
            for code, label in one.codes.items():
                assert codes_of(one)[code.casefold()] == code
                assert codes_of(one)[label.casefold()] == code
