"""Each format is read right, from files that the real libraries write."""

import datetime as dt
import zipfile
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastparquet
import numpy as np
import openpyxl
import pandas as pd
import pytest
import xlwt
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from salvage.cohort import Cohort, check, load, schema
from salvage.cohort.cells import guarded, months, parse_date, read_dates, text_of, unguarded
from salvage.cohort.check import summary_lines
from salvage.cohort.decoding import decode
from salvage.cohort.files import SourceFile, read_csv, read_parquet
from salvage.cohort.readers import read
from salvage.paths import DATA

SHIPPED = load(DATA)
INFUSION = dt.date(2023, 1, 10)
REFERENCE = Path(__file__).parent.parent / "reference"

Sheets = Mapping[str, list[list[object]]]
PATIENTS = [
    ["patient_id", "age", "relapse_month", "os_month", "died"],
    ["P1", 61, 2.5, 7.0, 1],
    ["P2", 55, 4.0, 9.5, 0],
]
SALVAGE = [
    ["patient_id", "line", "category", "start_month", "best_response"],
    ["P1", 1, "other", 3.0, "PD"],
    ["P2", 1, "bispecific", 4.5, "CR"],
]


def workbook(path: Path, sheets: Sheets, settings: bool = True) -> Path:
    """A workbook as openpyxl writes it."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if settings and "settings" not in sheets:
        book.create_sheet("settings")
    book.save(path)
    return path


def write_shipped(folder: Path, suffix: str) -> Path:
    """The shipped cohort as Parquet, CSV or a workbook."""
    tables = {t.name: getattr(SHIPPED, t.name) for t in schema.TABLES}
    if suffix == ".xlsx":
        sheets = {
            name: [list(frame.columns), *(_blank(row) for row in frame.itertuples(index=False))]
            for name, frame in tables.items()
        }
        return workbook(folder / "cohort.xlsx", sheets)
    (folder / "study.yaml").write_text("")
    for name, frame in tables.items():
        if suffix == ".parquet":
            fastparquet.write(str(folder / f"{name}.parquet"), frame)
        else:
            flags = frame.astype({"died": int}) if name == "patients" else frame
            flags.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _blank(row: tuple[Any, ...]) -> list[object]:
    return [None if pd.isna(cell) else cell for cell in row]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_every_format_gives_the_same_cohort(tmp_path: Path, suffix: str) -> None:
    cohort = load(write_shipped(tmp_path, suffix))
    for table in schema.TABLES:
        pd.testing.assert_frame_equal(getattr(cohort, table.name), getattr(SHIPPED, table.name))


def problems_of(path: Path) -> list[str]:
    cohort, problems = check(path)
    assert cohort is None
    return [str(problem) for problem in problems]


# --- CSV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_csv_in_every_encoding(tmp_path: Path, encoding: str, end: str, delimiter: str) -> None:
    rows = [["patient_id", "regimen"], ["病人1", "维泊妥珠单抗"], ["病人2", "格菲妥单抗"]]
    file = tmp_path / "salvage.csv"
    file.write_bytes(end.join(delimiter.join(row) for row in rows).encode(encoding))
    frame, problems = read_csv(file)
    assert not problems
    assert [list(frame.columns), *frame.to_numpy().tolist()] == rows
    assert frame.index.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a,b\ncafé,Pédiatrie\n".encode("cp1252"), "text in UTF-8 or GB18030"),
        (b"a,b\n\xff\xff\xff,1\n", "text in UTF-8 or GB18030"),
        (b"a,b\n1\x00,2\n", "text in UTF-8 or GB18030"),
        (b"", "a header and rows; it is empty"),
        (b" \n\n", "a header and rows; it is empty"),
        (b'a,b\n1,"2\n3,4\n', "row 2; expected CSV with balanced quotes"),
        (b"a,b\n1,2\n\n3\n", 'row 4: found "1 cells"; expected 2 cells'),
        (b"a,b\n1,2,5\n", 'row 2: found "3 cells"; expected 2 cells'),
        (b"a,\n1,2\n", 'row 2, column number 2: found "2"; expected a name in the header'),
    ],
)
def test_csv_that_cannot_be_read_is_refused_at_its_place(
    tmp_path: Path, data: bytes, expected: str
) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(data)
    _, problems = read_csv(file)
    assert expected in str(problems[0])
    assert problems[0].file == "x.csv"


def test_csv_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('\na,b\n1,"two\nlines"\n,\n\n3,4\n', encoding="utf-8")
    frame, problems = read_csv(file)
    assert not problems
    assert frame.index.tolist() == [3, 6]
    assert frame["b"].tolist() == ["two\nlines", "4"]


def test_an_encoding_and_a_header_row_can_be_given(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes("Bericht 2024\n\nid;Zentrum\n1;München\n".encode("cp1252"))
    frame, problems = read_csv(file, SourceFile(encoding="cp1252", header=3))
    assert not problems
    assert frame.to_dict("list") == {"id": ["1"], "Zentrum": ["München"]}


# --- Parquet --------------------------------------------------------------------------------------


def test_parquet_as_arrow_writes_it() -> None:
    """The file is made by tests/reference/arrow.py."""
    frame, problems = read_parquet(REFERENCE / "arrow.parquet")
    assert not problems
    assert frame.to_dict("list") == {
        "patient_id": ["P1", "P2", "病人3"],
        "age": ["61", "", "70"],
        "sex": ["F", "M", ""],
        "cart_product": ["=cmd()", "", "axi-cel"],
        "bulky": ["1", "", "0"],
        "infusion_date": ["2023-01-10", "", "2023-05-06"],
        "relapse_month": ["2.5", "3", "4.1"],
        "os_month": ["7.1", "9", "12.25"],
        "died": ["1", "0", "1"],
    }
    assert frame.index.tolist() == [1, 2, 3]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1xxxxPAR1", b"a,b\n1,2\n"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "patients.parquet"
    file.write_bytes(data)
    frame, problems = read_parquet(file)
    assert frame.empty
    assert [problem.file for problem in problems] == ["patients.parquet"]


def test_two_files_for_one_table_are_refused(tmp_path: Path) -> None:
    write_shipped(tmp_path, ".csv")
    fastparquet.write(str(tmp_path / "patients.parquet"), SHIPPED.patients)
    assert problems_of(tmp_path) == [
        'patients: found "patients.csv and patients.parquet"; expected one file for each table'
    ]


# --- Excel ----------------------------------------------------------------------------------------


def test_workbook_settings(tmp_path: Path) -> None:
    settings = [
        ["setting", "value", "meaning"],
        ["title", "同仁医院 CAR-T", ""],
        ["early_relapse_months", 2.5, ""],
        ["suppress_below", "7", ""],
        ["suppress_zero", True, ""],
        ["audience", None, ""],
        ["label of other", "Chemotherapy", ""],
    ]
    path = workbook(
        tmp_path / "c.xlsx", {"patients": PATIENTS, "Salvage ": SALVAGE, "settings": settings}
    )
    study = load(path).study
    assert study.title == "同仁医院 CAR-T"
    assert (study.early_relapse_months, study.suppress_below, study.suppress_zero) == (2.5, 7, True)
    assert (study.audience, study.labels) == ("internal", {"other": "Chemotherapy"})


def test_workbook_settings_are_refused_at_their_row(tmp_path: Path) -> None:
    settings = [["setting", "value"], ["audiense", "public"], ["suppress_below", "few"]]
    path = workbook(
        tmp_path / "c.xlsx", {"patients": PATIENTS, "salvage": SALVAGE, "settings": settings}
    )
    first, second = problems_of(path)
    assert first.startswith(
        "c.xlsx, sheet settings, row 2, column audiense; expected one of the keys"
    )
    assert first.endswith("(did you mean audience?)")
    assert second == (
        'c.xlsx, sheet settings, row 3, column suppress_below: found "few"; '
        "expected a whole number from 1 to 1000"
    )


def test_workbook_places_name_the_sheet(tmp_path: Path) -> None:
    patients = [*PATIENTS, [None], ["P3", "old", 1, 2, "#DIV/0!"]]
    patients[4][3] = "=1+1"
    path = workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": SALVAGE})
    found = problems_of(path)
    assert [line.split(";")[0] for line in found] == [
        'c.xlsx, sheet patients, row 5, column age: found "old"',
        'c.xlsx, sheet patients, row 5, column died: found "#DIV/0!"',
        "c.xlsx, sheet patients, row 5, column died",
        "c.xlsx, sheet patients, row 5, column os_month",
        "c.xlsx, sheet patients, row 5, column os_month",
    ]
    assert "the formula's value; open the file in Excel and save it" in "\n".join(found)


def test_a_sheet_that_is_not_read_is_told(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "c.xlsx", {"patients": PATIENTS, "salvage": SALVAGE, "salvage (2)": SALVAGE}
    )
    assert load(path).left_out == (
        "c.xlsx, sheet salvage (2) was not read: it is no sheet of the template",
    )


def test_two_sheets_for_one_table_are_refused(tmp_path: Path) -> None:
    sheets = {"patients": PATIENTS, "salvage": SALVAGE, "Patients ": [[""]]}
    assert len(load(workbook(tmp_path / "c.xlsx", sheets)).patients)  # the second is blank
    sheets["Patients "] = PATIENTS
    assert problems_of(workbook(tmp_path / "d.xlsx", sheets)) == [
        "d.xlsx, sheet Patients ; expected one sheet for patients"
    ]


def test_a_cell_that_holds_no_plain_value_is_refused_at_its_place(tmp_path: Path) -> None:
    patients = [list(row) for row in PATIENTS]
    patients[1][1] = dt.timedelta(hours=30)
    found = problems_of(workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": SALVAGE}))
    assert found == [
        "c.xlsx, sheet patients, row 2, column age; expected one value in a cell, not timedelta"
    ]


def test_files_that_may_be_a_table_are_told(tmp_path: Path) -> None:
    write_shipped(tmp_path, ".csv")
    events = tmp_path / "adverse_events.csv"
    assert load(tmp_path).left_out == ()
    (tmp_path / "notes.csv").write_text("a,b\n")
    assert load(tmp_path).left_out == ()  # nothing is missing
    events.rename(tmp_path / "Adverse events.csv")
    assert len(load(tmp_path).adverse_events)
    for name in ("adverse_event.csv", "adverse_event.txt", "adverse_events.xlsx"):
        (tmp_path / "Adverse events.csv").rename(tmp_path / name)
        left_out = load(tmp_path).left_out
        assert [line.partition(" was not read")[0] for line in left_out] == [name, "notes.csv"]
        shown = list(summary_lines(load(tmp_path), "cohort"))
        assert shown[-3:] == ["Left out:", *(f"  {line}" for line in left_out)]
        (tmp_path / name).rename(tmp_path / "Adverse events.csv")


def test_a_folder_that_holds_a_workbook_alone_says_so(tmp_path: Path) -> None:
    workbook(tmp_path / "cohort.xlsx", {"patients": PATIENTS, "salvage": SALVAGE})
    assert "did you mean the workbook cohort.xlsx itself" in "\n".join(problems_of(tmp_path))


@pytest.mark.parametrize(("unit", "read"), [("months", True), ("月", True), ("days", False)])
def test_a_column_of_months_that_says_another_unit_is_not_read(
    tmp_path: Path, unit: str, read: bool
) -> None:
    patients = [[name if name != "os_month" else f"os_month ({unit})" for name in PATIENTS[0]]]
    path = workbook(
        tmp_path / "c.xlsx", {"patients": [*patients, *PATIENTS[1:]], "salvage": SALVAGE}
    )
    cohort, found = check(path)
    assert (cohort is not None) == read
    assert read or f"os_month ({unit})" in str(found)


def test_a_date_of_the_infusion_stands_in_the_patients_table_alone(tmp_path: Path) -> None:
    salvage = [[*SALVAGE[0], "infusion_date"], *([*row, "2023-01-01"] for row in SALVAGE[1:])]
    path = workbook(tmp_path / "c.xlsx", {"patients": PATIENTS, "salvage": salvage})
    assert load(path).left_out == ("c.xlsx, sheet salvage: not used, 1 column: infusion_date",)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0 old or locked", b"a,b"])
def test_what_is_no_workbook_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.xlsx"
    path.write_bytes(data)
    assert problems_of(path) == ["c.xlsx; expected an Excel workbook (.xlsx) without a password"]


def test_missing_sheets_are_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "c.xlsx", {"patients": PATIENTS, "salvge": SALVAGE}, settings=False)
    text = "\n".join(problems_of(path))
    assert "sheet salvage; expected this sheet" in text
    assert "(did you mean salvge renamed to salvage?)" in text
    assert "sheet settings; expected a sheet of this name" in text


# --- dates ----------------------------------------------------------------------------------------


def dated(change: Callable[[list[list[object]], list[list[object]]], None] | None = None) -> Sheets:
    patients: list[list[object]] = [
        ["patient_id", "infusion_date", "relapse_date", "relapse_month", "os_date", "died"],
        ["P1", INFUSION, dt.date(2023, 4, 10), None, "2023-12-01", 1],
        ["P2", dt.datetime(2023, 1, 10), None, 3.5, "2023年12月1日", 0],
    ]
    salvage: list[list[object]] = [
        ["patient_id", "line", "category", "start_date", "best_response"],
        ["P1", 1, "other", "2023/5/1", "PD"],
        ["P2", 1, "other", dt.datetime(2023, 5, 1, 14, 30), "CR"],
    ]
    if change is not None:
        change(patients, salvage)
    return {"patients": patients, "salvage": salvage}


def test_dates_become_months_and_go_no_further(tmp_path: Path) -> None:
    cohort = load(workbook(tmp_path / "c.xlsx", dated()))
    assert list(cohort.patients.columns) == list(schema.PATIENTS.names)
    assert cohort.patients["relapse_month"].tolist() == [round(90 / 30.4375, 4), 3.5]
    assert cohort.patients["os_month"].tolist() == [round(325 / 30.4375, 4)] * 2
    assert cohort.salvage["start_month"].tolist() == [round(111 / 30.4375, 4)] * 2
    assert not any("2023" in str(frame.to_dict()) for frame in frames(cohort))


def frames(cohort: Cohort) -> list[pd.DataFrame]:
    return [cohort.patients, cohort.salvage, cohort.adverse_events]


def _set(table: int, row: int, column: int, value: object) -> Callable[..., None]:
    def change(*tables: list[list[object]]) -> None:
        tables[table][row][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "place", "expected"),
    [
        (_set(0, 1, 2, "10/04/2023"), "row 2, column relapse_date", "a date as year-month-day"),
        (_set(0, 1, 2, "2023-02-30"), "row 2, column relapse_date", "a date as year-month-day"),
        (_set(0, 1, 2, 45026), "row 2, column relapse_date", "a date as year-month-day"),
        (_set(0, 1, 2, dt.date(2022, 4, 10)), "row 2, column relapse_date", "no earlier than the"),
        (_set(0, 1, 3, 2.8), "row 2, column relapse_date", "month 2.8 (the date is month 2.9569)"),
        (_set(0, 1, 3, "soon"), "row 2, column relapse_date", "as relapse_month soon"),
        (_set(0, 1, 1, None), "row 2, column relapse_date", "an infusion_date of this"),
        (_set(0, 1, 1, "soon"), "row 2, column infusion_date", "a date as year-month-day"),
        (_set(0, 2, 3, INFUSION), "row 3, column relapse_month", "relapse_date as the column of"),
        (_set(1, 1, 3, "2203-05-01"), "row 2, column start_date", "a date as year-month-day"),
        (_set(0, 0, 1, "infused"), "row 2, column relapse_date", "an infusion_date of this"),
    ],
)  # fmt: skip
def test_dates_that_cannot_be_are_refused_at_their_place(
    tmp_path: Path, change: Callable[..., None], place: str, expected: str
) -> None:
    found = problems_of(workbook(tmp_path / "c.xlsx", dated(change)))
    assert any(place in line and expected in line for line in found), found


def test_a_bad_date_is_reported_once(tmp_path: Path) -> None:
    found = problems_of(workbook(tmp_path / "c.xlsx", dated(_set(0, 1, 2, "soon"))))
    assert len(found) == 1


def test_months_that_agree_with_the_date_are_taken_from_the_date(tmp_path: Path) -> None:
    cohort = load(workbook(tmp_path / "c.xlsx", dated(_set(0, 1, 3, "2,96"))))
    assert cohort.patients["relapse_month"].tolist() == [2.9569, 3.5]


@given(st.integers(0, 40_000), st.integers(0, 40_000))
def test_months_keep_days_apart(first: int, second: int) -> None:
    assert (months(first) == months(second)) == (first == second)
    assert (months(first) < months(second)) == (first < second)


@given(st.dates(dt.date(1950, 1, 1), dt.date(2100, 12, 31)))
def test_every_way_of_writing_a_date_is_read(day: dt.date) -> None:
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y-%m-%d 13:45:00"):
        assert parse_date(day.strftime(form)) == day
    for form in (
        "%d-%b-%Y",
        "%d%b%Y",
        "%B %d, %Y",
        "%d. %B %Y",
        "%Y%m%d",
        "%Y-%m-%dT%H:%M:%S+08:00",
    ):
        assert parse_date(day.strftime(form)) == day
    full_width = str.maketrans("0123456789-", "０１２３４５６７８９－")
    assert parse_date(day.isoformat().translate(full_width)) == day
    assert parse_date(day.strftime("%d.%m.%Y"), "%d.%m.%Y") == day
    certain = day.day > 12 or day.day == day.month
    assert parse_date(day.strftime("%d.%m.%Y")) == (day if certain else None)
    assert parse_date(day.strftime("%m/%d/%Y")) == (day if certain else None)


@pytest.mark.parametrize(
    "text",
    ["5-Apr-23", "5 avril 2023", "5. April 2023", "5 de abril de 2023", "5-四月-23", "1023-04-05",
     "Wednesday, 5 April 2023", "April 5th, 2023", "5-Apr-2023 3:04 PM", "05APR2023:10:00:00"],
)  # fmt: skip
def test_dates_with_the_name_of_their_month(text: str) -> None:
    expected = None if text == "1023-04-05" else dt.date(2023, 4, 5)
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    "text",
    ["05/04/2023", "05/04/23", "13/04/23", "2023-04", "Apr 2023", "2023", "45382", "2023-04-05?",
     "<2023-04-05", "about 2023-04-05", "2023-04-05 or 06", "31/02/2023", "2023-13-01", "5.IV.2023",
     "2023/4-5", "5 listopad 2023", "April 5 23", "20231305", "2023-W14-3", "6 months"],
)  # fmt: skip
def test_what_may_be_two_dates_or_none_is_not_read(text: str) -> None:
    """The fifth of listopad is one of October in Croatian, of November in Polish."""
    assert parse_date(text) is None


def test_one_date_tells_the_order_of_its_column_and_of_its_file() -> None:
    assert read_dates(["05/04/2023", "13/04/2023"])["05/04/2023"] == dt.date(2023, 4, 5)
    assert read_dates(["05/04/2023", "04/13/2023"])["05/04/2023"] == dt.date(2023, 5, 4)
    assert read_dates(["05/04/2023"], ["13/04/2023"])["05/04/2023"] == dt.date(2023, 4, 5)
    # The column itself comes first; another mark says nothing; a contradiction leaves both open.
    column = ["05/04/2023", "04/13/2023"]
    assert read_dates(column, ["13/04/2023"])["05/04/2023"] == dt.date(2023, 5, 4)
    assert "05/04/2023" not in read_dates(["05/04/2023"], ["13.04.2023"])
    assert "05/04/2023" not in read_dates(["05/04/2023", "04/13/2023", "13/04/2023"])


def test_a_file_tells_day_from_month(tmp_path: Path) -> None:
    def change(patients: list[list[object]], salvage: list[list[object]]) -> None:
        patients[1][1:3] = ["10.01.2023", "10.04.2023"]
        salvage[1][3], salvage[2][3] = "01.05.2023", "31.05.2023"

    cohort = load(workbook(tmp_path / "c.xlsx", dated(change)))
    assert cohort.patients["relapse_month"].tolist() == [round(90 / 30.4375, 4), 3.5]
    assert cohort.salvage["start_month"].tolist() == [months(111), months(141)]


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (float("nan"), ""), (pd.NA, ""), (pd.NaT, ""), (np.float64("nan"), ""),
        (True, "1"), (np.bool_(False), "0"), (3, "3"), (np.int64(7), "7"), (3.0, "3"),
        (0.1, "0.1"), (1e300, "1e+300"), (Decimal("1.50"), "1.50"),
        ("  x", "  x"), (b"x", "x"), (pd.Timestamp("2024-03-31"), "2024-03-31"),
        (dt.datetime(2024, 3, 31, 12, 5), "2024-03-31 12:05:00"),
        (dt.date(2024, 3, 31), "2024-03-31"),
    ],
)  # fmt: skip
def test_a_value_as_text(value: object, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, b"\xff", np.array([1, 2]), object()])
def test_what_is_no_single_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        text_of(value)


@given(st.text(st.sampled_from("=+-@\t'1.,ab 病"), max_size=6))
def test_a_guarded_cell_is_no_formula_and_comes_back(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    if cell[:1] in ("=", "@", "\t"):
        pytest.fail(f"{cell!r} can run in a spreadsheet")
    if cell[:1] in ("+", "-"):
        float(cell.replace(",", "."))


def test_a_formula_in_a_file_is_text(tmp_path: Path) -> None:
    for index, regimen in enumerate(["=cmd()", "'=cmd()", "@SUM(A1)", "<script>", "{glue}"]):
        folder = tmp_path / str(index)
        folder.mkdir()
        write_shipped(folder, ".csv")
        salvage = SHIPPED.salvage.assign(regimen=regimen)
        salvage.to_csv(folder / "salvage.csv", index=False)
        assert set(load(folder).salvage["regimen"]) == {regimen.removeprefix("'")}


def test_example_rows_of_the_template_are_left_out_and_named(tmp_path: Path) -> None:
    patients = [*PATIENTS, ["EXAMPLE-1", 50, 1, 2, 1]]
    cohort = load(workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": SALVAGE}))
    assert cohort.patients["patient_id"].tolist() == ["P1", "P2"]
    assert cohort.left_out == ("c.xlsx, sheet patients: 1 example row of the template",)
    assert not any("EXAMPLE" in str(warning) for warning in cohort.warnings)


def test_a_path_that_is_no_cohort_is_refused(tmp_path: Path) -> None:
    for name in ("nothing", "nothing.xlsx"):
        assert name in str(read(tmp_path / name).problems[0])


def test_a_wrong_date_is_named_as_it_was_typed(tmp_path: Path) -> None:
    """The month that it was turned into stands in no cell of the sheet."""
    path = workbook(tmp_path / "c.xlsx", dated(_set(1, 1, 3, "2031-07-01")))
    cohort, found = check(path)
    assert cohort is None
    assert {(p.column, p.value) for p in found} == {("start_date", "2031-07-01")}


def test_dates_that_cannot_be_counted_are_not_called_blank(tmp_path: Path) -> None:
    found = problems_of(workbook(tmp_path / "c.xlsx", dated(_set(0, 1, 1, "soon"))))
    assert len(found) == 1
    assert "infusion_date" in found[0]


# --- what else a workbook may be ------------------------------------------------------------------

#: The tables as OpenDocument writes them: a number has a type, a run of blank cells is one element.
ODS_CELL = (
    '<table:table-cell office:value-type="{kind}"{value}><text:p>{text}</text:p></table:table-cell>'
)

ODS_MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
)


def ods(path: Path, sheets: Sheets) -> Path:
    """An OpenDocument spreadsheet, made by hand."""
    spaces = {
        name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"
        for name in ("office", "table", "text")
    }
    tables = ""
    for title, rows in sheets.items():
        body = ""
        for row in rows:
            cells = ""
            for cell in row:
                number = isinstance(cell, int | float)
                value = f' office:value="{cell}"' if number else ""
                kind = "float" if number else "string"
                cells += ODS_CELL.format(kind=kind, value=value, text=cell)
            body += f"<table:table-row>{cells}</table:table-row>"
        tables += f'<table:table table:name="{title}">{body}</table:table>'
    declared = " ".join(f'xmlns:{name}="{address}"' for name, address in spaces.items())
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {declared}><office:body>'
        f"<office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", ODS_MANIFEST)
        archive.writestr("content.xml", content)
    return path


def xls(path: Path, sheets: Sheets, merged: Sequence[tuple[str, int, int, int]] = ()) -> Path:
    """An old Excel workbook; ``merged`` are sheet, first and last row, and column of a value."""
    book = xlwt.Workbook()
    style = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for title, rows in sheets.items():
        sheet = book.add_sheet(title)
        spans = {(top, column): bottom for name, top, bottom, column in merged if name == title}
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                shape = (style,) if isinstance(cell, dt.date) else ()
                if (i, j) in spans:
                    sheet.write_merge(i, spans[i, j], j, j, cell)
                elif cell is not None:
                    sheet.write(i, j, cell, *shape)
    book.save(str(path))
    return path


@pytest.mark.parametrize("suffix", [".xls", ".ods"])
def test_old_and_open_workbooks_are_read(tmp_path: Path, suffix: str) -> None:
    sheets = {"patients": PATIENTS, "salvage": SALVAGE, "settings": [["title", "Ours"]]}
    expected = load(workbook(tmp_path / "c.xlsx", sheets))
    cohort = load((xls if suffix == ".xls" else ods)(tmp_path / f"c{suffix}", sheets))
    assert cohort.study == expected.study
    for one, other in zip(frames(cohort), frames(expected), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_dates_of_an_old_workbook_are_dates(tmp_path: Path) -> None:
    sheets = {**dated(), "settings": [["title", "Ours"]]}
    cohort = load(xls(tmp_path / "c.xls", sheets))
    assert cohort.salvage["start_month"].tolist() == [months(111)] * 2


@pytest.mark.parametrize("suffix", [".xls", ".xlsb", ".ods"])
@pytest.mark.parametrize(
    "data", [b"", b"<html><table><tr><td>patient_id</td></tr></table></html>", b"patient_id\tage\n"]
)
def test_what_only_its_program_opens_is_to_be_saved_as_xlsx(
    tmp_path: Path, suffix: str, data: bytes
) -> None:
    """Many programs call a web page or a text file .xls, since Excel opens both."""
    path = tmp_path / f"c{suffix}"
    path.write_bytes(data)
    (problem,) = problems_of(path)
    assert "open it and save it as .xlsx" in problem


def test_a_value_in_merged_cells_is_read_in_each_row(tmp_path: Path) -> None:
    salvage = [*SALVAGE[:2], [None, 2, "other", 4.0, "PD"], SALVAGE[2]]
    path = workbook(tmp_path / "c.xlsx", {"patients": PATIENTS, "salvage": salvage})
    assert any("column patient_id" in line and "blank" in line for line in problems_of(path))
    book = openpyxl.load_workbook(path)
    book["salvage"].merge_cells("A2:A3")
    book.save(path)
    sheets = {"patients": PATIENTS, "salvage": salvage, "settings": [["title", ""]]}
    old = xls(tmp_path / "d.xls", sheets, [("salvage", 1, 2, 0)])
    for file in (path, old):
        cohort = load(file)
        assert cohort.salvage["patient_id"].tolist() == ["P1", "P1", "P2"]
        name = f"{file.name}, sheet salvage"
        assert cohort.left_out == (f'{name}: "P1" in merged cells is read in rows 2 to 3',)


def test_numbers_of_days_are_counted_as_the_workbook_counts_them(tmp_path: Path) -> None:
    """Workbooks of old Macs begin in 1904: what they store as 43564 is 45026 elsewhere."""
    for name, epoch, number in (("a", 1900, 45026), ("b", 1904, 43564)):
        path = workbook(tmp_path / f"{name}.xlsx", dated(_set(0, 1, 2, number)))
        book = openpyxl.load_workbook(path)
        if epoch == 1904:
            book.epoch = CALENDAR_MAC_1904
        book.save(path)
        found = [line for line in problems_of(path) if "relapse_date" in line]
        assert "did you mean 2023-04-10, which Excel stores as this number?" in found[0]


def test_a_formula_without_a_value_is_named_where_it_stands(tmp_path: Path) -> None:
    """Not at the date beside it, which is filled in."""
    patients = [[*PATIENTS[0], "infusion_date", "os_date"]]
    patients += [[*row, "2023-01-10", ""] for row in PATIENTS[1:]]
    patients[1][3], patients[1][6] = "=1+1", "2023-08-20"
    (problem,) = problems_of(
        workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": SALVAGE})
    )
    assert "row 2, column os_month; expected the formula's value" in problem


# --- one cause, said once -------------------------------------------------------------------------


def test_what_stands_round_a_table_is_named(tmp_path: Path) -> None:
    patients = [
        ["Our patients"], [None], PATIENTS[0], ["编号", "岁", "月", "月", "死亡"], *PATIENTS[1:],
        [None], ["合计", 58, None, None, 1], ["数据截至2024年5月"],
    ]  # fmt: skip
    cohort = load(workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": SALVAGE}))
    assert cohort.patients["patient_id"].tolist() == ["P1", "P2"]
    assert cohort.left_out == (
        "c.xlsx, sheet patients: row 4, a second header",
        "c.xlsx, sheet patients: rows 8 and 9, totals or notes under the table",
    )


@pytest.mark.parametrize(
    "row",
    [["P3"], ["P 3", None, None, None, None], ["P3", "unknown", "?", None, None]],
)
def test_a_patient_of_whom_little_is_known_is_no_note(tmp_path: Path, row: list[object]) -> None:
    for patients in ([*PATIENTS, row], [PATIENTS[0], row, *PATIENTS[1:]]):
        path = workbook(tmp_path / "c.xlsx", {"patients": patients, "salvage": SALVAGE})
        assert any("column died" in line and "blank" in line for line in problems_of(path))


def test_a_column_twice_is_refused_if_it_is_one_of_the_cohort(tmp_path: Path) -> None:
    twice = [[*row, row[1]] for row in PATIENTS]
    path = workbook(tmp_path / "c.xlsx", {"patients": twice, "salvage": SALVAGE})
    assert problems_of(path) == [
        "c.xlsx, sheet patients, row 1, column age; expected each column once"
    ]
    notes = [[*row, note, note] for row, note in zip(PATIENTS, ["note", "a", "b"], strict=True)]
    cohort = load(workbook(tmp_path / "d.xlsx", {"patients": notes, "salvage": SALVAGE}))
    assert cohort.left_out == ("d.xlsx, sheet patients: not used, 2 columns: note #1 and note #2",)


def test_a_table_alone_is_asked_for_its_folder(tmp_path: Path) -> None:
    write_shipped(tmp_path, ".csv")
    (problem,) = read(tmp_path / "patients.csv").problems
    assert problem.hint == f"{tmp_path.name}, the folder of this file?"


@pytest.mark.parametrize(
    ("text", "certain"),
    [("β2", False), ("Σ", False), ("β2 é", True), ("кашель", True), ("β–", True)],
)
def test_two_bytes_that_are_greek_or_chinese_are_not_guessed(text: str, certain: bool) -> None:
    """The bytes of a beta in UTF-8 are those of a Chinese character in GB18030."""
    assert decode(f"a,{text}".encode()) == (f"a,{text}" if certain else None)
    assert decode(f"a,{text}".encode("utf-8-sig")) == f"a,{text}"
    assert decode(f"a,{text}".encode(), "utf-8") == f"a,{text}"


def test_a_character_of_gb18030_that_is_greek_in_utf8_is_not_read_as_greek() -> None:
    data = "patient_id,histology\nP1,危\n".encode("gb18030")
    assert data.decode("utf-8").endswith("Σ\n")
    assert decode(data) is None
    assert decode(data, "gb18030") == "patient_id,histology\nP1,危\n"
