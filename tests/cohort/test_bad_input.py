"""A valid cohort corrupted in many ways: each is read right, or refused with a message that names
the place.

Each case changes one thing. ``Right`` says that the cohort must come out equal to the valid one,
apart from what ``change`` does to it; ``Refused`` holds what the messages must name.
"""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salvage.__main__ import main
from salvage.cohort import Cohort, check, load, schema

PATIENTS = """\
patient_id,age,sex,stage,ecog,refractory,cart_product,cart_best_response,relapse_month,os_month,died
P1,61,F,3,1,1,axi-cel,PR,2.5,7,1
P2,55,M,4,0,0,张氏产品,CR,4,9.5,0
P3,70,,2,2,1,"relma-cel, batch 2",,1,3.2,1
P4,48,F,1,1,0,,SD,6.1,6.1,0
"""
SALVAGE = """\
patient_id,line,category,regimen,target_switched,start_month,best_response,response_month,response_end_month,response_end_reason,progression_month,end_month,intent
P1,1,bispecific,glofitamab,,3,PR,3.5,5,progression,5,5,
P1,2,second_cart,CD22,1,5.5,PD,,,,6,5.5,
P2,1,radiotherapy,36 Gy,,4,CR,5,9.5,ongoing,,4.5,definitive
P3,1,other,R-GemOx,,1,NE,,,,,2,
"""
ADVERSE = """\
patient_id,line,term,grade,scale,onset_month
P1,1,fever,1,CTCAE 5.0,3.1
P1,2,CRS,2,ASTCT,5.6
P3,,anaemia,3,CTCAE 6.0,
"""
VALID = {
    "patients.csv": PATIENTS.encode(),
    "salvage.csv": SALVAGE.encode(),
    "adverse_events.csv": ADVERSE.encode(),
    "study.yaml": b"title: Test\nearly_relapse_months: 3\n",
}
Files = dict[str, bytes]


def write(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return load(write(tmp_path_factory.mktemp("valid"), VALID))


# --- corruptions ----------------------------------------------------------------------------------


def replaced(file: str, old: str, new: str) -> Callable[[Files], None]:
    """``old`` once becomes ``new``; a case whose ``old`` is not there is a wrong test."""

    def change(files: Files) -> None:
        text = files[file].decode()
        assert old in text
        files[file] = text.replace(old, new, 1).encode()

    return change


def cell(file: str, row: int, column: str, value: str) -> Callable[[Files], None]:
    """The cell of a row, counted as a spreadsheet does, becomes ``value``."""

    def change(files: Files) -> None:
        rows = _rows(files, file)
        rows[row - 1][rows[0].index(column)] = value
        _put(files, file, rows)

    return change


def columns(file: str, edit: Callable[[list[str]], list[str]]) -> Callable[[Files], None]:
    """Every row after ``edit`` of its cells."""

    def change(files: Files) -> None:
        _put(files, file, [edit(row) for row in _rows(files, file)])

    return change


def _rows(files: Files, file: str) -> list[list[str]]:
    return list(csv.reader(files[file].decode().splitlines()))


def _put(files: Files, file: str, rows: list[list[str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    files[file] = stream.getvalue().encode()


def swapped(file: str, first: str, second: str) -> Callable[[Files], None]:
    """The values of two columns change places under their headers."""

    def change(files: Files) -> None:
        rows = _rows(files, file)
        i, j = rows[0].index(first), rows[0].index(second)
        for row in rows[1:]:
            row[i], row[j] = row[j], row[i]
        _put(files, file, rows)

    return change


def renamed(file: str, old: str, new: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        rows = _rows(files, file)
        rows[0][rows[0].index(old)] = new
        _put(files, file, rows)

    return change


def without(file: str, column: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        rows = _rows(files, file)
        i = rows[0].index(column)
        _put(files, file, [[*row[:i], *row[i + 1 :]] for row in rows])

    return change


def encoded(file: str, encoding: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[file] = files[file].decode().encode(encoding)

    return change


def raw(file: str, data: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[file] = data

    return change


def removed(file: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        del files[file]

    return change


def both(*changes: Callable[[Files], None]) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for one in changes:
            one(files)

    return change


def semicolons(file: str) -> Callable[[Files], None]:
    """As a spreadsheet with a decimal comma exports it."""

    def change(files: Files) -> None:
        rows = [
            [c.replace(".", ",") if _is_number(c) else c for c in r] for r in _rows(files, file)
        ]
        files[file] = "\r\n".join(";".join(row) for row in rows).encode("utf-8-sig")

    return change


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


@dataclass(frozen=True)
class Refused:
    """``parts`` must stand together in one line of the message."""

    change: Callable[[Files], None]
    parts: tuple[str, ...]


P, S, A, Y = "patients.csv", "salvage.csv", "adverse_events.csv", "study.yaml"

REFUSED = {
    # files
    "no patients": Refused(removed(P), (P, "this file: one row per patient")),
    "no salvage": Refused(removed(S), (S, "this file: one row per salvage")),
    "no settings": Refused(removed(Y), (Y, "this file")),
    "salvage file misnamed": Refused(
        both(lambda f: f.update({"salvge.csv": f[S]}), removed(S)), (S, "did you mean salvge.csv")
    ),
    "empty patients": Refused(raw(P, b""), (P, "it is empty")),
    "blank adverse events": Refused(raw(A, b"\n\n"), (A, "it is empty")),
    "header only": Refused(raw(P, PATIENTS.split("\n")[0].encode()), (P, "at least one row")),
    "no lines at all": Refused(raw(S, SALVAGE.split("\n")[0].encode()), (S, "at least one row")),
    "a workbook named CSV": Refused(
        raw(P, b"PK\x03\x04\x00\x00\xff"), (P, "text in UTF-8", "Excel workbook", "to save it")
    ),
    "Western encoding": Refused(
        both(replaced(S, "glofitamab", "Bénédicte Pédro"), encoded(S, "cp1252")),
        (S, "text in UTF-8 or GB18030", "CSV UTF-8"),
    ),
    # shape
    "column missing": Refused(
        without(P, "os_month"), (P, "row 1, column os_month", "death or last")
    ),
    "column misspelt": Refused(
        renamed(P, "os_month", "os_months"),
        (P, "row 1, column os_month", "did you mean os_months renamed to os_month?"),
    ),
    "optional column misspelt": Refused(
        renamed(P, "refractory", "refractry"), (P, "row 1, column refractry", "refractory?")
    ),
    "column twice": Refused(renamed(P, "stage", "ecog"), (P, "row 1, column ecog", "once")),
    "column without a name": Refused(
        renamed(P, "stage", ""), (P, "row 2, column number 4", "name")
    ),
    "a title of several cells above the header": Refused(
        lambda f: f.update({P: b"Our patients,2024,,,,,,,,,\n" + f[P]}), (P, "row 2", "first row")
    ),
    "header missing": Refused(
        columns(P, lambda r: [] if r[0] == "patient_id" else r), (P, "column patient_id")
    ),
    "row too short": Refused(replaced(P, ",SD,6.1,6.1,0", ""), (P, "row 5", "7 cells", "11 cells")),
    "row too long": Refused(replaced(P, "2.5,7,1", "2,5,7,1"), (P, "row 2", "12 cells", "comma")),
    "quote not closed": Refused(replaced(P, "axi-cel", '"axi-cel'), (P, "quotes")),
    "other delimiter": Refused(
        lambda f: f.update({P: f[P].replace(b",", b"~")}), (P, "row 1, column patient_id")
    ),
    "sex and best response swapped": Refused(
        swapped(P, "sex", "cart_best_response"), (P, "row 2, column sex", '"PR"', "one of F, M")
    ),
    "relapse and survival swapped": Refused(
        swapped(P, "relapse_month", "os_month"),
        (P, "row 2, column relapse_month", "no later than os_month"),
    ),
    "line and category swapped": Refused(swapped(S, "line", "category"), (S, "row 2, column line")),
    "start and end swapped": Refused(
        swapped(S, "start_month", "end_month"), (S, "row 2, column end_month", "start of the line")
    ),
    "term and grade swapped": Refused(swapped(A, "term", "grade"), (A, "row 2, column grade")),
    "ids and terms swapped": Refused(swapped(A, "patient_id", "term"), (A, "row 2", '"fever"')),
    # cells
    "negative month": Refused(cell(P, 2, "os_month", "-7"), (P, "row 2, column os_month", '"-7"')),
    "text in a number": Refused(
        cell(P, 3, "age", "fifty-five"), (P, "row 3, column age", "a number from 0 to 120")
    ),
    "unit in a number": Refused(cell(P, 3, "os_month", "9.5 mo"), (P, "row 3, column os_month")),
    "comparison in a number": Refused(cell(P, 3, "os_month", ">9.5"), (P, "row 3", '">9.5"')),
    "two numbers in a cell": Refused(cell(P, 3, "os_month", "9.5 / 10"), (P, "row 3, column os")),
    "comma that might part thousands": Refused(
        cell(P, 3, "os_month", "9,500"), (P, "row 3, column os_month", '"9,500"')
    ),
    "both separators": Refused(cell(P, 3, "os_month", "1.009,5"), (P, "row 3, column os_month")),
    "not a number": Refused(cell(P, 3, "os_month", "NaN"), (P, "row 3, column os_month")),
    "infinite": Refused(cell(P, 3, "os_month", "inf"), (P, "row 3, column os_month")),
    "huge number": Refused(cell(P, 3, "os_month", "1e999"), (P, "row 3, column os_month")),
    "unknown word for missing": Refused(
        cell(P, 3, "age", "n/a"), (P, "row 3, column age", '"n/a"', "did you mean a blank cell")
    ),
    "age out of range": Refused(cell(P, 2, "age", "610"), (P, "row 2, column age", '"610"')),
    "half a stage": Refused(cell(P, 2, "stage", "2.5"), (P, "row 2, column stage", "whole number")),
    "roman stage": Refused(
        cell(P, 2, "stage", "IIIb"), (P, "row 2, column stage", "whole number", "did you mean 3?")
    ),
    "unknown response": Refused(
        cell(S, 2, "best_response", "unknown"), (S, "row 2, column best_resp", "did you mean NE?")
    ),
    "vital status in words": Refused(
        cell(P, 2, "died", "deceased"), (P, "row 2, column died", "did you mean 1?")
    ),
    "sex in Chinese": Refused(cell(P, 2, "sex", "女"), (P, "row 2, column sex", "did you mean F?")),
    "a drug as category": Refused(
        cell(S, 2, "category", "Glofitamab"), (S, "row 2, column category", "mean bispecific?")
    ),
    "flag in words": Refused(
        cell(P, 2, "died", "yes"), (P, "row 2, column died", "0 (no) or 1 (yes) (did you mean 1?)")
    ),
    "flag of two": Refused(cell(P, 2, "died", "2"), (P, "row 2, column died")),
    "unknown code": Refused(cell(S, 2, "category", "CAR-NK"), (S, "row 2, column category")),
    "misspelt code": Refused(
        cell(S, 4, "best_response", "cmoplete"),
        (S, "row 4, column best_response", '"cmoplete"', "did you mean CR?"),
    ),
    "code in other case": Refused(
        cell(S, 2, "best_response", "pr"), (S, "row 2, column best_response", "did you mean PR?")
    ),
    "full-width letters": Refused(cell(S, 2, "best_response", "ＰＲ"), (S, "row 2, column best")),
    "Excel date in a month": Refused(
        cell(P, 2, "relapse_month", "2023-05-02"),
        (P, "row 2, column relapse_month", "relapse_date"),
    ),
    "Excel serial in a month": Refused(
        cell(P, 2, "os_month", "45123"), (P, "row 2, column os_month", "0 to 600", "mean os_date")
    ),
    "days as months": Refused(
        cell(P, 2, "os_month", "840"), (P, "row 2, column os_month", "months", "from 0 to 600")
    ),
    "Excel serial as infusion": Refused(
        columns(P, lambda r: [*r, "infusion_date" if r[0] == "patient_id" else "45123"]),
        (P, "row 2, column infusion_date", "did you mean 2023-07-16"),
    ),
    "a date of either order": Refused(
        columns(P, lambda r: [*r, "infusion_date" if r[0] == "patient_id" else "05.07.2023"]),
        (P, "row 2, column infusion_date", "year-month-day", "mean 2023-05-07 or 2023-07-05?"),
    ),
    "a date with two figures for the year": Refused(
        columns(P, lambda r: [*r, "infusion_date" if r[0] == "patient_id" else "16/07/23"]),
        (P, "row 2, column infusion_date", "year-month-day"),
    ),
    "Excel serial in a date": Refused(
        both(renamed(P, "stage", "infusion_date"), renamed(P, "relapse_month", "relapse_date")),
        (P, "row 2, column infusion_date", '"3"', "a date as year-month-day"),
    ),
    "grade that Excel made a date": Refused(
        cell(A, 2, "grade", "2023-01-02"), (A, "row 2, column grade")
    ),
    "Excel error": Refused(cell(P, 2, "os_month", "#VALUE!"), (P, "row 2, column os_month")),
    "required cell blank": Refused(
        cell(S, 3, "category", ""), (S, "row 3, column category", "the cell is blank")
    ),
    "id blank": Refused(cell(P, 3, "patient_id", " "), (P, "row 3, column patient_id", "blank")),
    "control character in an id": Refused(
        cell(S, 2, "patient_id", "P1\u200b"), (S, "row 2, column patient_id", "P1\ufffd")
    ),
    # rows against rows
    "patient twice": Refused(
        cell(P, 3, "patient_id", "P1"), (P, "row 3, column patient_id", "once")
    ),
    "unknown patient": Refused(
        cell(S, 5, "patient_id", "P9"), (S, "row 5", '"P9"', "patients table")
    ),
    "id with a blank in it": Refused(
        cell(S, 5, "patient_id", "p 3"), (S, "row 5", '"p 3"', "did you mean P3?")
    ),
    "unknown patient of an event": Refused(cell(A, 4, "patient_id", "p3"), (A, "row 4", '"p3"')),
    "line twice": Refused(cell(S, 3, "line", "1"), (S, "row 3, column line", "once")),
    "line skipped": Refused(cell(S, 3, "line", "3"), (S, "row 3, column line", "without gaps")),
    "line zero": Refused(cell(S, 2, "line", "0"), (S, "row 2, column line", "1 to 99")),
    "lines out of order": Refused(
        both(cell(S, 2, "line", "2"), cell(S, 3, "line", "1")),
        (S, "column start_month", "no earlier than the line before it"),
    ),
    "event of no line": Refused(
        cell(A, 2, "line", "4"), (A, "row 2, column line", "salvage table")
    ),
    "salvage before relapse": Refused(
        cell(S, 4, "start_month", "3.5"),
        (S, "row 4, column start_month", "no earlier than 14 days before the rel"),
    ),
    "salvage after death": Refused(
        both(cell(S, 5, "start_month", "3.3"), cell(S, 5, "end_month", "")),
        (S, "row 5, column start_month", "death or last contact"),
    ),
    "relapse after last contact": Refused(
        cell(P, 5, "relapse_month", "6.2"), (P, "row 5, column relapse_month", "os_month 6.1")
    ),
    "response before its line": Refused(
        cell(S, 2, "response_month", "2.9"), (S, "row 2, column response_month")
    ),
    "response ends before it begins": Refused(
        cell(S, 2, "response_end_month", "3.2"), (S, "row 2, column response_end_month")
    ),
    "event after death": Refused(cell(A, 2, "onset_month", "70"), (A, "row 2, column onset_month")),
    # settings
    "settings are no YAML": Refused(raw(Y, b"title: [1"), (Y, "a YAML file")),
    "settings are a list": Refused(raw(Y, b"- a\n- b"), (Y, "key: value")),
    "unknown setting": Refused(raw(Y, b"titel: x"), (Y, "column titel", "did you mean title?")),
    "setting out of range": Refused(
        raw(Y, b"early_relapse_months: -3"), (Y, "early_relapse_months")
    ),
    "settings that would run": Refused(
        raw(Y, b"title: !!python/object/apply:os.system ['exit 1']"), (Y, "a YAML file")
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_at_its_place(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = dict(VALID)
    REFUSED[name].change(files)
    code = main(["check", str(write(tmp_path, files))])
    message = capsys.readouterr().err
    assert code == 1
    lines = message.splitlines()
    assert any(all(part in line for part in REFUSED[name].parts) for line in lines), message
    assert "Traceback" not in message


RIGHT: dict[str, Callable[[Files], None]] = {
    "GB18030": encoded(P, "gb18030"),
    "UTF-8 with BOM": encoded(P, "utf-8-sig"),
    "UTF-16": encoded(P, "utf-16"),
    "line ends of Windows": lambda f: f.update({P: f[P].replace(b"\n", b"\r\n")}),
    "line ends of old Macs": lambda f: f.update({P: f[P].replace(b"\n", b"\r")}),
    "no line end at the end": lambda f: f.update({P: f[P].rstrip()}),
    "blank lines": lambda f: f.update({P: b"\n" + f[P].replace(b"\n", b"\n\n") + b",,,,,,,,,,\n"}),
    "spaces around cells": lambda f: f.update({S: f[S].replace(b",", b" ,\t ")}),
    "no-break spaces": lambda f: f.update({S: f[S].replace(b",PD", ",\u00a0PD\u3000".encode())}),
    "tabs": lambda f: f.update({S: f[S].replace(b",", b"\t")}),
    "semicolons and decimal commas": semicolons(S),
    "decimal commas in quotes": replaced(P, "4,9.5,0", '4,"9,5",0'),
    "decimal commas in some rows only": both(
        replaced(P, "4,9.5,0", '"4,0","9,5",0'), replaced(P, "2.5,7,1", "2.50,7.0,1")
    ),
    "numbers written as decimals": replaced(P, "P1,61,F,3,1,1", "P1,61.0,F,3.0,1.00,1."),
    "numbers written with exponents": replaced(P, "2.5,7,1", "25e-1,0.7E1,+1"),
    "columns in another order": columns(P, lambda r: [*r[5:], *r[:5]]),
    "rows in another order": lambda f: f.update(
        {S: b"\n".join([(r := f[S].splitlines())[0], *reversed(r[1:])])}
    ),
    "file names in capitals": both(lambda f: f.update({"SALVAGE.CSV": f[S]}), removed(S)),
    "other files beside them": lambda f: f.update({"notes.txt": b"x", "patients.csv~": b"y"}),
    "blank column without a name": columns(P, lambda r: [*r, ""]),
    "names of columns in capitals": renamed(P, "patient_id", "PATIENT_ID"),
    "names of columns with units": both(
        renamed(P, "age", "Age (years)"),
        renamed(P, "os_month", "OS month"),
        renamed(P, "sex", "Sex"),
    ),
    "settings in GB18030": both(
        replaced(Y, "title: Test", "title: Test # 标题"), encoded(Y, "gb18030")
    ),
    "columns of the hospital's own": columns(
        P, lambda r: [*r, *(["ward", "notes"] if r[0] == "patient_id" else ["3", "seen twice"])]
    ),
    "pipes": lambda f: f.update({S: f[S].replace(b",", b"|")}),
    "carets": lambda f: f.update({S: f[S].replace(b",", b"^")}),
    "a line that tells Excel the delimiter": lambda f: f.update(
        {S: b"sep=;\r\n" + f[S].replace(b",", b";")}
    ),
    "a title of one cell": lambda f: f.update({S: b"Salvage lines\n\n" + f[S]}),
    "a title as Excel exports it": lambda f: f.update({P: b"Our patients,,,,,,,,,,\n" + f[P]}),
    "comments above": lambda f: f.update({S: b"# exported on 2024-05-01, by us\n" + f[S]}),
    "totals under the table": lambda f: f.update({P: f[P] + "合计,58.5,,,,,,,,,3\n".encode()}),
    "notes under the table": lambda f: f.update(
        {P: f[P] + b"\n* data as of May 2024\nSource: chart review of all infusions\n"}
    ),
    "a second header": lambda f: f.update(
        {
            P: f[P].replace(
                b"died\n", "died\n编号,岁,性别,分期,体能,难治,产品,疗效,月,月,是否死亡\n".encode()
            )
        }
    ),
    "names of columns without marks": both(
        renamed(P, "patient_id", "PatientID"), renamed(P, "os_month", "OS-Month")
    ),
    "tables as text files": lambda f: f.update({"salvage.txt": f.pop(S).replace(b",", b"\t")}),
    "months as text": replaced(P, "2.5,7,1", '"2.5","7","1"'),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_only_written_otherwise_is_read_right(
    name: str, tmp_path: Path, valid: Cohort
) -> None:
    files = dict(VALID)
    RIGHT[name](files)
    assert files != VALID
    cohort = load(write(tmp_path, files))
    assert cohort.study == valid.study
    for table in schema.TABLES:
        pd.testing.assert_frame_equal(getattr(cohort, table.name), getattr(valid, table.name))


def test_a_table_without_ids_is_said_once(tmp_path: Path) -> None:
    files = dict(VALID)
    without(P, "patient_id")(files)
    _, problems = check(write(tmp_path, files))
    assert [(p.file, p.row, p.column) for p in problems] == [(P, 1, "patient_id")]


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    names = ["text in a number", "misspelt code", "event of no line", "unknown setting"]
    files = dict(VALID)
    for name in names:
        REFUSED[name].change(files)
    cohort, problems = check(write(tmp_path, files))
    assert cohort is None
    assert sorted(problem.file for problem in problems) == sorted([P, S, A, Y])


def test_there_are_enough_corruptions() -> None:
    assert len(REFUSED) + len(RIGHT) >= 40


# --- corruptions that nobody thought of -----------------------------------------------------------


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage_never_crashes(seed: int, tmp_path: Path) -> None:
    """Bytes deleted, doubled or changed: the cohort is read, or refused with files that exist."""
    rng = random.Random(seed)
    files = dict(VALID)
    for _ in range(rng.randint(1, 4)):
        name = rng.choice(list(files))
        data = bytearray(files[name])
        if not data:
            continue
        at = rng.randrange(len(data))
        damage = rng.randrange(4)
        if damage == 0:
            del data[at : at + rng.randint(1, 40)]
        elif damage == 1:
            data[at:at] = data[at : at + rng.randint(1, 60)]
        elif damage == 2:
            data[at] = rng.randrange(256)
        else:
            data[at:at] = rng.choice(
                [b",", b'"', b"\n", b"\x00", b"\xff", b"-", b"e5", b"=", b"{}"]
            )
        files[name] = bytes(data)
    cohort, problems = check(write(tmp_path, files))
    if cohort is None:
        assert problems
        assert all(problem.file in VALID for problem in problems)
    else:
        assert (cohort.patients["relapse_month"] <= cohort.patients["os_month"]).all()
        assert cohort.salvage["patient_id"].isin(cohort.patients["patient_id"]).all()
