"""A cohort is read and checked: what is wrong is listed at once, what is unusual is kept."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salvage.cohort import Cohort, check, load, once, schema
from salvage.cohort.check import CohortError
from salvage.cohort.files import read_csv
from salvage.problems import Problem
from tests.cohorts import EDGES, Recipe, Tables, generate, recipes

PATIENTS = """patient_id,age,sex,relapse_month,os_month,died
A,61,M,2.0,9.0,1
B,48,F,4.5,12.0,0
C,,,1.0,1.0,1
"""
SALVAGE = """patient_id,line,category,target_switched,start_month,best_response,response_month,\
response_end_month,response_end_reason,progression_month,end_month
A,1,bispecific,,2.0,PR,3.0,5.0,progression,5.0,4.0
A,2,second_cart,1,5.0,PD,,,,6.0,
B,1,polatuzumab,,4.5,CR,6.0,12.0,ongoing,,
"""
ADVERSE = """patient_id,line,term,grade,scale,onset_month
A,1,Fever,2,CTCAE 5.0,2.5
B,1,CRS,1,ASTCT,4.5
"""
FILES = {
    "patients.csv": PATIENTS,
    "salvage.csv": SALVAGE,
    "adverse_events.csv": ADVERSE,
    "study.yaml": "",
}


def write(folder: Path, changes: dict[str, tuple[str, str]] | None = None) -> Path:
    """The sound cohort with one text of a file replaced by another."""
    for name, text in FILES.items():
        old, new = (changes or {}).get(name, ("", ""))
        assert old in text, f"{old!r} is not in {name}"
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def problems(folder: Path, file: str, old: str, new: str) -> list[Problem]:
    cohort, found = check(write(folder, {file: (old, new)}))
    assert cohort is None
    return found


def test_the_sound_cohort_is_read(tmp_path: Path) -> None:
    cohort, warnings = check(write(tmp_path))
    assert cohort is not None
    assert warnings == []
    for table, frame in (
        (schema.PATIENTS, cohort.patients),
        (schema.SALVAGE, cohort.salvage),
        (schema.ADVERSE_EVENTS, cohort.adverse_events),
    ):
        assert tuple(frame.columns) == table.names
        assert isinstance(frame.index, pd.RangeIndex)
    assert cohort.patients["died"].tolist() == [True, False, True]
    assert cohort.patients["died"].dtype == bool
    assert cohort.salvage["line"].tolist() == [1, 2, 1]
    assert cohort.patients["age"].tolist()[:2] == [61.0, 48.0]
    assert np.isnan(cohort.patients["age"][2])
    assert cohort.patients["sex"][2] is None
    assert cohort.late.tolist() == [False, True, False]
    assert cohort.treated["patient_id"].tolist() == ["A", "B"]
    assert cohort.has("salvage", "response_month")
    assert not cohort.has("salvage", "intent")


# What is replaced in which file, and where the one problem is: row, column, value, expectation.
WRONG = {
    "unknown category": (
        "salvage.csv", "polatuzumab", "Polatuzumab-based",
        (4, "category", "Polatuzumab-based", "one of bispecific"),
    ),
    "unknown response": (
        "salvage.csv", "4.5,CR", "4.5,complete", (4, "best_response", "complete", "one of CR"),
    ),
    "unknown id in salvage": (
        "salvage.csv", "B,1,pola", "X,1,pola", (4, "patient_id", "X", "an id of the patients"),
    ),
    "unknown id in adverse events": (
        "adverse_events.csv", "B,1,CRS", "X,1,CRS",
        (3, "patient_id", "X", "an id of the patients table"),
    ),
    "unknown line in adverse events": (
        "adverse_events.csv", "B,1,CRS", "B,2,CRS", (3, "line", "2", "a line of this patient"),
    ),
    "unknown sex": ("patients.csv", "61,M", "61,male", (2, "sex", "male", "one of F, M")),
    "died is not 0 or 1": ("patients.csv", "12.0,0", "12.0,no", (3, "died", "no", "0 (no) or 1")),
    "salvage before relapse": (
        "salvage.csv", "4.5,CR", "4,CR",
        (4, "start_month", "4", "no earlier than 14 days before the relapse (relapse_month 4.5)"),
    ),
    "salvage after last contact": (
        "salvage.csv", "4.5,CR,6.0,12.0,ongoing", "12.5,CR,,,",
        (4, "start_month", "12.5", "no later than death or last contact (os_month 12)"),
    ),
    "relapse after last contact": (
        "patients.csv", "1.0,1.0,1", "1.5,1.0,1",
        (4, "relapse_month", "1.5", "no later than os_month"),
    ),
    "negative month": (
        "patients.csv", "1.0,1.0,1", "-1,1.0,1", (4, "relapse_month", "-1", "from 0 to 600"),
    ),
    "not a number": ("patients.csv", "1.0,1.0,1", "1.0,one,1", (4, "os_month", "one", "months")),
    "infinite": ("patients.csv", "12.0,0", "1e999,0", (3, "os_month", "1e999", "months")),
    "a gap in the lines": (
        "salvage.csv", "A,2,second", "A,3,second", (3, "line", "3", "without gaps (here 2)"),
    ),
    "lines that do not begin at 1": (
        "salvage.csv", "B,1,pola", "B,2,pola", (4, "line", "2", "without gaps (here 1)"),
    ),
    "a line twice": (
        "salvage.csv", "A,2,second", "A,1,second", (3, "line", "1", "each line of a patient once"),
    ),
    "a later line that starts earlier": (
        "salvage.csv", "2.0,PR,3.0,5.0,progression,5.0,4.0", "5.5,PR,,,,,",
        (3, "start_month", "5", "no earlier than the line before it (5.5)"),
    ),
    "a patient twice": (
        "patients.csv", "C,,", "A,,", (4, "patient_id", "A", "each patient once"),
    ),
    "a blank id": ("patients.csv", "C,,", ",,", (4, "patient_id", "", "the cell is blank")),
    "a blank required cell": ("salvage.csv", "4.5,CR", ",CR", (4, "start_month", "", "is blank")),
    "a response before the start": (
        "salvage.csv", "CR,6.0", "CR,4.0",
        (4, "response_month", "4", "no earlier than the start of the line"),
    ),
    "a response that ends before it begins": (
        "salvage.csv", "6.0,12.0", "6.0,5.0",
        (4, "response_end_month", "5", "no earlier than the response"),
    ),
    "an adverse event after death": (
        "adverse_events.csv", "CTCAE 5.0,2.5", "CTCAE 5.0,9.5",
        (2, "onset_month", "9.5", "no later than death or last contact"),
    ),
    "a grade of 6": ("adverse_events.csv", "CRS,1", "CRS,6", (3, "grade", "6", "from 1 to 5")),
    "a column of no table": (
        "patients.csv", "age,sex", "age,sexx", (1, "sexx", "", "a column of the data dictionary"),
    ),
    "an unknown setting": (
        "study.yaml", "", "titel: x", (None, "titel", "", "one of the keys title"),
    ),
    "a setting of the wrong kind": (
        "study.yaml", "", "early_relapse_months: soon",
        (None, "early_relapse_months", "soon", "a number of months above 0"),
    ),
    "a label of no category": (
        "study.yaml", "", "labels: {bispecifics: x}",
        (None, "labels.bispecifics", "", "one of the keys bispecific, "),
    ),
    "settings that are not YAML": ("study.yaml", "", "title: [", (None, "", "", "a YAML file")),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_one_fault_is_one_problem_at_its_place(case: str, tmp_path: Path) -> None:
    file, old, new, place = WRONG[case]
    row, column, value, expected = place
    listed = problems(tmp_path, file, old, new)
    found = [p for p in listed if p.file == file and p.column == column]
    assert len(found) == 1, found
    assert expected in found[0].expected
    assert value in found[0].value
    if row is not None:
        assert found[0].row == row


def test_a_fault_that_needs_no_other_row_is_the_only_problem(tmp_path: Path) -> None:
    for case in (
        "unknown category",
        "salvage before relapse",
        "a gap in the lines",
        "a grade of 6",
    ):
        file, old, new, _ = WRONG[case]
        assert len(problems(tmp_path, file, old, new)) == 1


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "patients.csv", PATIENTS.partition("\n")[2], "")
    assert any(p.file == "patients.csv" and p.expected == "at least one row" for p in found)


def test_a_column_twice_is_named(tmp_path: Path) -> None:
    found = problems(tmp_path, "patients.csv", "patient_id,age,sex", "patient_id,age,age")
    assert [(p.row, p.column, p.expected) for p in found] == [(1, "age", "each column once")]


def test_the_nearest_code_is_suggested(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "salvage.csv", "4.5,CR", "4.5,Complete response")
    assert str(problem).endswith("(did you mean CR?)")


def test_a_stage_must_be_whole_and_within_its_limits(tmp_path: Path) -> None:
    found = problems(tmp_path, "patients.csv", "patient_id,age", "patient_id,stage")
    assert [(p.row, p.column, p.value) for p in found] == [(2, "stage", "61"), (3, "stage", "48")]
    assert found[0].expected == "a whole number from 1 to 4"


@pytest.mark.parametrize("name", ["patients.csv", "salvage.csv", "study.yaml"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    _, found = check(tmp_path)
    assert [p.file for p in found] == [name]


def test_a_missing_required_column_is_named_with_its_likely_misspelling(tmp_path: Path) -> None:
    found = problems(tmp_path, "patients.csv", "os_month", "os_months")
    named = {(p.column, p.hint) for p in found}
    assert named == {("os_month", "os_months renamed to os_month?"), ("os_months", "os_month?")}


def test_all_problems_are_listed_at_once_by_file_row_column_and_value(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "patients.csv": ("12.0,0", "12.0,2"),
            "salvage.csv": ("4.5,CR", "4.0,XR"),
            "adverse_events.csv": ("CRS,1", "CRS,7"),
            "study.yaml": ("", "audience: everyone"),
        },
    )
    with pytest.raises(CohortError) as raised:
        load(folder)
    message = str(raised.value).splitlines()
    assert message[0].endswith("cannot be used: 5 problems")
    assert message[1:] == [
        '  adverse_events.csv, row 3, column grade: found "7"; expected a whole number from 1 to 5',
        '  patients.csv, row 3, column died: found "2"; expected 0 (no) or 1 (yes)',
        '  salvage.csv, row 4, column best_response: found "XR"; '
        "expected one of CR, PR, SD, PD, NE",
        '  salvage.csv, row 4, column start_month: found "4"; '
        "expected no earlier than 14 days before the relapse (relapse_month 4.5)",
        '  study.yaml, column audience: found "everyone"; expected one of internal, public',
    ]


def test_a_value_cannot_break_the_message(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "salvage.csv", "polatuzumab", "\x1b[31mred" + "x" * 500)
    assert "\x1b" not in str(problem)
    assert len(str(problem)) < 400


# --- allowed --------------------------------------------------------------------------------------

ALLOWED: dict[str, Callable[[Path], Path]] = {
    "salvage on the day of relapse and of death": lambda f: write(
        f, {"salvage.csv": ("B,1,pola", "C,1,other,,1.0,NE,,,,,\nB,1,pola")}
    ),
    "a patient without salvage": write,
    "a decimal comma": lambda f: write(f, {"patients.csv": ("9.0", '"9,0"')}),
    "spaces around a cell": lambda f: write(f, {"patients.csv": ("61,M", " 61 , M ")}),
    "a blank line": lambda f: write(f, {"patients.csv": ("B,48", "\nB,48")}),
    "whole numbers with a decimal": lambda f: write(f, {"salvage.csv": ("A,2,", "A,2.0,")}),
    "a blank scale": lambda f: write(f, {"adverse_events.csv": ("ASTCT", "")}),
    "lines in any order": lambda f: write(
        f, {"salvage.csv": (SALVAGE, "\n".join([SALVAGE.split("\n")[i] for i in (0, 3, 2, 1)]))}
    ),
    "a rounding error of a spreadsheet": lambda f: write(
        f, {"salvage.csv": ("4.5,CR,6.0,12.0", "4.5,CR,6.0,12.000000000000002")}
    ),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed_gives_no_problem(case: str, tmp_path: Path) -> None:
    cohort, found = check(ALLOWED[case](tmp_path))
    assert cohort is not None, found
    assert found == []


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("1,5.0,PD", "1,2.0,PD", "start_month"),
        ("target_switched", "regimen", "regimen"),
    ],
)
def test_rows_of_drugs_typed_as_lines_are_warned_of(
    tmp_path: Path, old: str, new: str, column: str
) -> None:
    """One day, or one drug again: both lines of A are then of the regimen 1."""
    write(tmp_path)
    text = SALVAGE.replace(old, new).replace("bispecific,,", "bispecific,1,")
    (tmp_path / "salvage.csv").write_text(text)
    cohort, found = check(tmp_path)
    assert cohort is not None, found
    assert (3, column) in [(problem.row, problem.column) for problem in found]


def test_a_decimal_comma_is_read_unless_it_may_part_thousands(tmp_path: Path) -> None:
    assert (
        load(write(tmp_path, {"patients.csv": ("9.0", '"9,25"')})).patients["os_month"][0] == 9.25
    )
    (problem,) = [
        p for p in problems(tmp_path, "patients.csv", "9.0", '"9,250"') if p.column == "os_month"
    ]
    assert problem.value == "9,250"


def test_a_rounding_error_makes_no_second_time(tmp_path: Path) -> None:
    cohort = load(write(tmp_path, {"patients.csv": ("2.0,9.0", "2.0000000000000004,9.0")}))
    assert cohort.patients["relapse_month"][0] == 2.0


def test_a_relapse_at_the_cut_off_is_early(tmp_path: Path) -> None:
    cohort = load(write(tmp_path, {"study.yaml": ("", "early_relapse_months: 2")}))
    assert cohort.late.tolist() == [False, True, False]


UNUSUAL = {
    "a second CAR-T twice": (
        "salvage.csv", "B,1,pola", "A,3,second_cart,0,6.0,NE,,,,,\nB,1,pola", (4, "category"),
    ),
    "an age under 18": ("patients.csv", "B,48", "B,17", (3, "age")),
    "a target switched outside a second CAR-T": (
        "salvage.csv", "polatuzumab,", "polatuzumab,1", (4, "target_switched"),
    ),
    "a start on clinical suspicion": ("salvage.csv", "4.5,CR", "4.1,CR", (4, "start_month")),
    "days for months": ("patients.csv", "12.0,0", "273,0", (3, "os_month")),
    "ids that differ by capitals": (
        "patients.csv", "C,,,1.0,1.0,1", "C,,,1.0,1.0,1\nb,,,1.0,1.0,1", (5, "patient_id"),
    ),
    "a response that ends by the death of a patient who is alive": (
        "salvage.csv", "ongoing", "death", (4, "response_end_reason"),
    ),
    "a progression without its month": (
        "salvage.csv", ",,,,6.0,\nB,1,polatuzumab,,4.5,CR", ",,,,,\nB,1,polatuzumab,,4.5,CR",
        (3, "progression_month"),
    ),
    "a month of response without one": (
        "salvage.csv", "PD,,,,6.0", "PD,5.5,,,6.0", (3, "response_month"),
    ),
    "a fatal event of a patient who is alive": (
        "adverse_events.csv", "CRS,1", "CRS,5", (3, "grade"),
    ),
    "an event of a patient without a line": (
        "adverse_events.csv", "A,1,Fever,2,CTCAE 5.0,2.5", "C,,Fever,2,CTCAE 5.0,",
        (2, "patient_id"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_unusual_is_a_warning_and_kept(case: str, tmp_path: Path) -> None:
    file, old, new, place = UNUSUAL[case]
    cohort, found = check(write(tmp_path, {file: (old, new)}))
    assert cohort is not None, found
    assert [(p.row, p.column) for p in found] == [place]
    assert cohort.warnings == tuple(found)


def test_progressions_of_which_none_has_its_month_are_one_warning() -> None:
    made = generate(Recipe(patients=20, response=0.0))
    bare = replace(made, salvage=made.salvage.drop(columns="progression_month"))
    found = [w for w in bare.cohort().warnings if w.column == "progression_month"]
    assert [w.value for w in found] == [""]


def test_a_long_gap_between_lines_is_a_warning(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "patients.csv": ("2.0,9.0", "2.0,40.0"),
            "salvage.csv": ("1,5.0,PD,,,,6.0", "1,26.5,SD,,,,"),
        },
    )
    _, found = check(folder)
    assert [(p.row, p.column, p.value) for p in found] == [(3, "start_month", "26.5")]


COURSE = {
    "patients.csv": """patient_id,relapse_month,os_month,died,cause_of_death
A,1,20,1,lymphoma
""",
    "salvage.csv": """patient_id,line,category,start_month,best_response,response_month,\
response_end_month,response_end_reason,progression_month,intent
A,1,bispecific,2,CR,3,5,progression,5,
A,2,second_cart,5,CR,6,8,progression,8,
A,3,other,9,PR,10,12,progression,12,
""",
    "adverse_events.csv": "patient_id,line,term,grade\nA,3,sepsis,4\n",
    "study.yaml": "",
}
FIRST, SECOND, THIRD = "CR,3,5,progression,5", "A,2,second_cart,5,CR", "PR,10,12,progression,12"
AGAINST_THE_COURSE: dict[str, tuple[dict[str, str], list[tuple[int, str]]]] = {
    "a sound course": ({}, []),
    "a second CAR-T in a response": (
        {FIRST: "CR,3,5,new_treatment,"}, [(3, "start_month")],
    ),
    "a second CAR-T in a response that ends later": (
        {FIRST: "PR,3,7,progression,7"}, [(3, "start_month")],
    ),
    "a second CAR-T in a response that is called ongoing": (
        {FIRST: "PR,3,5,ongoing,"}, [(2, "response_end_reason"), (3, "start_month")],
    ),
    "a second CAR-T after progression, which the reason forgets": (
        {FIRST: "CR,3,5,new_treatment,5"}, [],
    ),
    "a second CAR-T whose course before is not recorded": ({FIRST: "CR,,,,"}, []),
    "a second CAR-T that consolidates": (
        {FIRST: "CR,3,5,new_treatment,", "progression,8,": "progression,8,consolidation"}, [],
    ),
    "another line in a response": (
        {FIRST: "PR,3,5,new_treatment,", "second_cart": "polatuzumab"}, [],
    ),
    "a line from CR to SD": (
        {FIRST: "CR,3,5,new_treatment,", f"{SECOND},6,8,progression,8": "A,2,other,5,SD,,,,8"},
        [(3, "best_response")],
    ),
    "a line from CR to PD": (
        {FIRST: "CR,3,5,new_treatment,", f"{SECOND},6,8,progression,8": "A,2,other,5,PD,,,,8"}, [],
    ),
    "an ongoing response of a patient who died then": (
        {THIRD: "PR,10,20,ongoing,"}, [(4, "response_end_reason")],
    ),
    "a death of lymphoma in response": (
        {THIRD: "CR,10,20,death,"}, [(4, "response_end_reason")],
    ),
    "a death of infection in response": (
        {THIRD: "CR,10,20,death,", "lymphoma": "infection", "sepsis,4": "sepsis,5"}, [],
    ),
    "a death of lymphoma and of an event": ({"sepsis,4": "sepsis,5"}, [(2, "grade")]),
    "a cause of death of a patient who is alive": ({"20,1,": "20,0,"}, [(2, "cause_of_death")]),
}  # fmt: skip


@pytest.mark.parametrize("case", AGAINST_THE_COURSE)
def test_what_contradicts_the_course_is_a_warning(case: str, tmp_path: Path) -> None:
    changes, places = AGAINST_THE_COURSE[case]
    assert all(sum(text.count(old) for text in COURSE.values()) == 1 for old in changes)
    for name, text in COURSE.items():
        for old, new in changes.items():
            text = text.replace(old, new)
        (tmp_path / name).write_text(text, encoding="utf-8")
    cohort, found = check(tmp_path)
    assert cohort is not None, found
    assert sorted((p.row, p.column) for p in found) == places


# --- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_encodings_and_line_ends(encoding: str, ends: str, tmp_path: Path) -> None:
    write(tmp_path)
    text = PATIENTS.replace("age,sex", "histology,sex").replace("A,61", "A,弥漫大B细胞淋巴瘤")
    (tmp_path / "patients.csv").write_bytes(text.replace("\n", ends).encode(encoding))
    assert load(tmp_path).patients["histology"][0] == "弥漫大B细胞淋巴瘤"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(delimiter: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "patients.csv").write_text(PATIENTS.replace(",", delimiter), encoding="utf-8")
    assert load(tmp_path).patients["os_month"].tolist() == [9.0, 12.0, 1.0]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "patients.csv").write_bytes(b"\x00\xff\xfe\x00" * 40)
    _, found = check(tmp_path)
    assert any(p.file == "patients.csv" and "text in" in p.expected for p in found)


# --- random cohorts -------------------------------------------------------------------------------


@given(recipes())
@settings(max_examples=60, deadline=None)
def test_a_generated_cohort_passes_every_check(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    assert len(cohort.patients) == recipe.patients
    assert cohort.patients["patient_id"].is_monotonic_increasing
    ordered = cohort.salvage.sort_values(["patient_id", "line"], ignore_index=True)
    pd.testing.assert_frame_equal(ordered, cohort.salvage)


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_cohort_is_what_its_name_says(edge: str) -> None:
    cohort = EDGES[edge]().cohort()
    assert NAMED[edge](cohort)


def _responding(cohort: Cohort) -> "pd.Series[bool]":
    return cohort.salvage["best_response"].isin(["CR", "PR"])


def _all_late_outlive_early(cohort: Cohort) -> bool:
    after = cohort.patients["os_month"] - cohort.patients["relapse_month"]
    return bool(after[cohort.late].min() > after[~cohort.late].max())


NAMED: dict[str, Callable[[Cohort], bool]] = {
    "one_patient": lambda c: len(c.patients) == 1 and bool(c.patients["died"].all()),
    "one_patient_alive": lambda c: len(c.patients) == 1 and not c.patients["died"].any(),
    "no_deaths": lambda c: not c.patients["died"].any(),
    "all_dead_at_once": lambda c: (
        bool(c.patients["died"].all()) and bool((c.patients["os_month"] == 6).all())
    ),
    "no_responder": lambda c: not _responding(c).any(),
    "all_responders": lambda c: bool(_responding(c).all()),
    "a_category_without_events": lambda c: c.salvage["category"].nunique() < 6,
    "everyone_early": lambda c: not c.late.any(),
    "everyone_late": lambda c: bool(c.late.all()),
    "ties_everywhere": lambda c: c.patients["os_month"].nunique() < len(c.patients) / 2,
    "a_separated_group": lambda c: c.late.any() and _all_late_outlive_early(c),
    "no_adverse_events_file": lambda c: c.adverse_events.empty,
    "only_required_columns": lambda c: not c.has("patients", "age"),
    "zero_intervals": lambda c: bool((c.patients["os_month"] == 0).all()),
    "patients_without_salvage": lambda c: 0 < len(c.treated) < len(c.patients),
    "another_hospital": lambda c: c.study.early_relapse_months == 2.5,
    "a_synthetic_cohort": lambda c: c.study.synthetic,
}


def test_a_big_cohort_is_the_same_each_time() -> None:
    def tables(patients: int) -> Tables:
        return generate(Recipe(patients=patients, seed=9, exactly=True))

    first, second = tables(5_000), tables(5_000)
    pd.testing.assert_frame_equal(first.salvage, second.salvage)
    assert len(first.salvage) == 10_000


# --- two ways through a file ----------------------------------------------------------------------

CELL = st.text("ab'= \t0é例,;", max_size=4).map(lambda cell: cell.replace(",", "").replace(";", ""))


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6), st.sampled_from(["\n", "\r\n"])
)
@settings(max_examples=150, deadline=None)
def test_a_plain_file_is_read_as_the_csv_module_reads_it(rows: list[list[str]], ends: str) -> None:
    """A quote anywhere sends a file through the csv module; without one, pandas reads it."""
    head = ["patient_id", "b", "c"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patients.csv"

        def read(first: str) -> tuple[pd.DataFrame, list[Problem]]:
            lines = [",".join(row) for row in [[first, *head[1:]], *rows]]
            path.write_bytes(ends.join([*lines, ""]).encode())
            return read_csv(path)

        plain, quoted = read("patient_id"), read('"patient_id"')
    assert plain[1] == quoted[1]
    assert plain[0].index.tolist() == quoted[0].index.tolist()
    assert plain[0].to_dict("list") == quoted[0].to_dict("list")


def test_what_is_computed_once_is_kept_with_its_cohort() -> None:
    calls: list[int] = []

    @once
    def size(cohort: Cohort) -> int:
        calls.append(1)
        return len(cohort.patients)

    first, second = (generate(Recipe(patients=n)).cohort() for n in (3, 4))
    assert [size(first), size(second), size(first)] == [3, 4, 3]
    assert len(calls) == 2
    assert size(replace(first, patients=first.patients.head(2))) == 2


@pytest.mark.parametrize(("value", "sound"), [("12.616", True), ("3.0001", False), ("1200", False)])
def test_a_cut_off_is_a_number_of_months_that_a_label_can_show(
    tmp_path: Path, value: str, sound: bool
) -> None:
    cohort, found = check(write(tmp_path, {"study.yaml": ("", f"early_relapse_months: {value}")}))
    assert (cohort is not None) == sound
    assert sound or "up to 600, with at most three decimals" in str(found[0])
