"""An import that cannot lie: inputs that were once misread in silence, each with the right value.

All files are invented. A case names its files as they stand in a hospital's folder; what is said of
it was worked out by hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from salvage.cohort import Cohort, importing
from salvage.cohort.cells import months
from salvage.cohort.importing import Imported
from salvage.problems import InputError

PEOPLE = "id,relapse,last,status\n001,1,20,1\n002,1,20,2\n003,1,20,1\n"
DRUGS = "id,drug,start,answer\n001,glofitamab,2,PR\n002,nivolumab,2,SD\n003,lenalidomide,2,PD\n"
PATIENTS: dict[str, Any] = {
    "patient_id": "id",
    "relapse_month": "relapse",
    "os_month": "last",
    "died": {"column": "status", "values": {"1": "0", "2": "1"}},
}
SALVAGE: dict[str, Any] = {
    "patient_id": "id",
    "category": {
        "column": "drug",
        "patterns": {"bispecific": ["glofitamab"], "checkpoint": ["nivolumab"]},
        "otherwise": "other",
    },
    "regimen": "drug",
    "start_month": "start",
    "best_response": "answer",
}


def brought(
    folder: Path,
    files: Mapping[str, str] | None = None,
    patients: Mapping[str, Any] | None = None,
    salvage: Mapping[str, Any] | None = None,
    **more: Any,
) -> Imported:
    """Import people.csv and drugs.csv, or others of that name, by a mapping with these columns."""
    held = {"people.csv": PEOPLE, "drugs.csv": DRUGS, **(files or {})}
    source = folder / "source"
    source.mkdir()
    for name, text in held.items():
        (source / name).write_text(text, encoding="utf-8")
    entries = {
        "patients": {"source": "people", "columns": {**PATIENTS, **(patients or {})}},
        "salvage": {"source": "drugs", "columns": {**SALVAGE, **(salvage or {})}},
    }
    mapping = {
        "sources": {Path(name).stem: name for name in held},
        "tables": {table: [entry] for table, entry in entries.items()},
        **more,
    }
    file = folder / "mapping.yaml"
    file.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    return importing.run(source, file, folder / "out")


def cohort_of(imported: Imported) -> Cohort:
    assert imported.cohort is not None, imported.problems
    return imported.cohort


def refused(folder: Path, *args: Any, **more: Any) -> str:
    """What is said of an import that writes nothing."""
    with pytest.raises(InputError) as caught:
        brought(folder, *args, **more)
    assert not (folder / "out").exists()
    return str(caught.value)


def dead(imported: Imported) -> list[bool]:
    return list(cohort_of(imported).patients["died"])


# --- codes ----------------------------------------------------------------------------------------

STATUS = {"people.csv": "id,relapse,last,status\n001,1,20,0\n002,1,20,1\n003,1,20,1\n"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        # CNSR of ADaM: 0 is the event.
        ({"values": {"0": "1"}, "otherwise": "0"}, [True, False, False]),
        ({"values": {"0": "1", "1": "0"}}, [True, False, False]),
        # The column says who is alive.
        ({"values": {"1": "0"}, "otherwise": "1"}, [True, False, False]),
        # 1 is alive, 0 unknown to the mapping, so it says what becomes of it.
        ({"values": {"0": "0"}, "keep_unlisted": "true"}, [False, True, True]),
        ({"patterns": {"1": ["0"]}, "otherwise": "0"}, [True, False, False]),
        # Without any recoding the column is what it says.
        ({}, [False, True, True]),
    ],
)
def test_a_0_or_1_passes_only_if_the_mapping_says_so(
    tmp_path: Path, spec: dict[str, Any], expected: list[bool]
) -> None:
    imported = brought(tmp_path, STATUS, {"died": {"column": "status", **spec}})
    assert dead(imported) == expected


@pytest.mark.parametrize(
    ("spec", "text", "rows"),
    [
        ({"values": {"1": "0"}}, '"0"', "1 row"),
        ({"values": {"0": "1"}}, '"1"', "2 rows"),
        ({"values": {"9": ""}}, '"0"', "1 row"),
        ({"patterns": {"1": ["dead"]}}, '"1"', "2 rows"),
    ],
)
def test_patients_are_never_left_out_by_their_outcome(
    tmp_path: Path, spec: dict[str, Any], text: str, rows: str
) -> None:
    message = refused(tmp_path, STATUS, {"died": {"column": "status", **spec}})
    assert f"people, column died: found {text}; expected a value that the mapping lists" in message
    assert f"lists, in {rows}: patients who are left out by their outcome" in message


def test_1_alive_2_dead(tmp_path: Path) -> None:
    spec = {"column": "status", "values": {"2": "1"}, "otherwise": "0"}
    imported = brought(tmp_path, patients={"died": spec})
    assert dead(imported) == [False, True, False]
    assert "patients.died from people: source, cohort, rows" in imported.report()
    assert '  "1", 0, 2\n  "2", 1, 1\n' in imported.report()


def test_a_number_passes_beside_listed_words_and_not_beside_listed_numbers(tmp_path: Path) -> None:
    people = {"people.csv": PEOPLE.replace("status", "status,stage,ecog")
              .replace("20,1", "20,1,3,7").replace("20,2", "20,2,IV,9")}  # fmt: skip
    cells = {
        "stage": {"column": "stage", "values": {"IV": "4"}},
        # Coded from 1 in the source, and 7 is not said to be anything.
        "ecog": {"column": "ecog", "values": {"1": "0", "9": ""}},
    }
    imported = brought(tmp_path, people, cells)
    assert list(cohort_of(imported).patients["stage"]) == [3, 4, 3]
    assert cohort_of(imported).patients["ecog"].isna().all()
    assert [(u.row, u.column, u.value) for u in imported.mapped.unmapped] == [
        (2, "ecog", "7"), (4, "ecog", "7"),
    ]  # fmt: skip


# --- patterns -------------------------------------------------------------------------------------

RESPONSES = {"CR": ["CR", "complete"], "PR": ["PR", "partial"], "SD": ["SD"], "PD": ["PD"]}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CR", "CR"),
        ("metabolic CR (PET 3)", "CR"),
        ("PET-CR", "CR"),
        ("ＣＲ", "CR"),
        ("达到CR后复发", "CR"),
        ("CR; no toxicity", "CR"),
        ("1. PR", "PR"),
        ("partial\nremission", "PR"),
        ("no CR; SD", "SD"),
        # words that only hold the letters
        ("progression", None),
        ("Progressive disease", None),
        ("CRu", None),
        ("PDX", None),
        ("PD-1 inhibitor", None),
        ("incomplete", None),
        # what is denied is not so, and not whatever all else is
        ("no CR", None),
        ("not PR", None),
        ("CR not reached", None),
        ("no CR, PR or SD", None),
        ("neither CR nor PR", None),
        ("non-CR", None),
        ("keine CR", None),
        ("未达CR", None),
        ("less than PR", None),
        ("CR: no", None),
        ("CR nicht erreicht", None),
    ],
)
def test_a_pattern_is_whole_words_that_nothing_denies(
    tmp_path: Path, text: str, code: str | None
) -> None:
    quoted = f'id,drug,start,answer\n001,x,2,"{text}"\n002,x,2,SD\n'
    spec = {"best_response": {"column": "answer", "patterns": RESPONSES}}
    imported = brought(tmp_path, {"drugs.csv": quoted}, salvage=spec)
    lines = cohort_of(imported).salvage
    assert list(lines["best_response"]) == ([code, "SD"] if code else ["SD"])
    assert [u.row for u in imported.mapped.unmapped] == ([] if code else [2])


@pytest.mark.parametrize(
    ("text", "patterns", "fits"),
    [
        ("36Gy", ["RT", "Gy"], True),
        ("bortezomib", ["RT", "Gy"], False),
        ("RT-PCR", ["RT"], False),
        ("R-CHOP-14", ["R-CHOP"], True),
        ("Pola-BR", ["pola"], True),
        ("polatuzumab", ["pola"], False),
        ("polatuzumab", ["pola*"], True),
        ("CD20xCD3", ["CD2"], False),
        ("维泊妥珠单抗联合BR", ["维泊妥珠"], True),
        ("non-GCB", ["GCB"], False),
        ("non-GCB", ["non-GCB"], True),
        ("DLBCL (non-Hodgkin lymphoma)", ["DLBCL"], True),
        ("弥漫大B细胞非霍奇金淋巴瘤", ["弥漫大B"], True),
        ("12.5 mg", ["5"], False),
    ],
)
def test_the_borders_of_words(tmp_path: Path, text: str, patterns: list[str], fits: bool) -> None:
    drugs = DRUGS.replace("glofitamab", text)
    spec = {"regimen": "drug", "category": {"column": "drug", "patterns": {"other": patterns}}}
    imported = brought(tmp_path, {"drugs.csv": drugs}, salvage=spec)
    assert list(imported.mapped.tables["salvage"]["patient_id"]) == (["001"] if fits else [])


def test_a_negation_is_reported_and_does_not_become_all_else(tmp_path: Path) -> None:
    drugs = DRUGS.replace("glofitamab", "no glofitamab given")
    imported = brought(tmp_path, {"drugs.csv": drugs})
    assert list(cohort_of(imported).salvage["category"]) == ["checkpoint", "other"]
    report = imported.report()
    assert 'A negation stands in "no glofitamab given": no pattern fits it.' in report
    assert "a negation stands beside what a pattern fits; values can list it" in report


def test_a_rule_is_not_met_by_what_is_denied(tmp_path: Path) -> None:
    drugs = "id,drug,start,answer,why\n001,x,2,PR,relapse\n002,x,2,SD,no relapse\n003,x,2,SD,re\n"
    rule = {"column": "why", "contains": ["relapse"]}
    entry = {"source": "drugs", "keep": [rule], "columns": SALVAGE}
    patients = {"source": "people", "columns": PATIENTS}
    imported = brought(
        tmp_path,
        {"drugs.csv": drugs},
        tables={"patients": [patients], "salvage": [entry]},
    )
    assert list(cohort_of(imported).salvage["patient_id"]) == ["001"]
    assert 'A negation stands in "no relapse"' in imported.report()


def test_every_text_that_a_pattern_fits_is_listed_with_its_code_and_rows(tmp_path: Path) -> None:
    drugs = "id,drug,start,answer\n001,Glofitamab 30 mg,2,PR\n002,glofitamab,2,SD\n" \
            "003,glofitamab,2,SD\n003,R-GemOx,5,PD\n"  # fmt: skip
    report = brought(tmp_path, {"drugs.csv": drugs}).report()
    table = report[report.index("salvage.category from drugs") :].splitlines()[1:4]
    assert table == [
        '  "glofitamab", bispecific, 2',
        '  "Glofitamab 30 mg", bispecific, 1',
        '  "R-GemOx", other, 1',
    ]


# --- look-ups and ids -----------------------------------------------------------------------------

DIED: dict[str, Any] = {"died": {"source": "deaths", "by": "who", "take": "count"}}


@pytest.mark.parametrize(
    ("written", "count"), [("2", 1), ("2.0", 1), ("002", 1), ("0002", 1), (" 2 ", 1), ("2\n2", 1)]
)
def test_a_death_list_with_ids_written_otherwise(tmp_path: Path, written: str, count: int) -> None:
    imported = brought(tmp_path, {"deaths.csv": f"who\n{written}\n9\n"}, DIED)
    assert dead(imported) == [False, True, False]
    assert cohort_of(imported).patients["died"].sum() == count
    if written != "002":
        assert "is 002." in imported.report()


@pytest.mark.parametrize(
    ("people", "deaths"),
    [("P-007", "p7"), ("AB 12", "ab-12"), ("2023/015", "2023-15"), ("ｐ１", "P1"), ("x1", "X1")],
)
def test_capitals_marks_and_zeros_make_no_other_patient(
    tmp_path: Path, people: str, deaths: str
) -> None:
    files = {
        "people.csv": PEOPLE.replace("002", people),
        "drugs.csv": DRUGS.replace("002", people),
        "deaths.csv": f"who\n{deaths}\n",
    }
    imported = brought(tmp_path, files, DIED)
    assert dict(zip(cohort_of(imported).patients["patient_id"], dead(imported), strict=True)) == {
        "001": False, people: True, "003": False,
    }  # fmt: skip


def test_a_look_up_that_matches_nobody_is_an_error(tmp_path: Path) -> None:
    message = refused(tmp_path, {"deaths.csv": "who\nX9\nX8\n"}, DIED)
    assert (
        'deaths, column who: found "X9"; expected ids of the patients table, such as 001' in message
    )


def test_a_look_up_of_which_no_row_is_kept_is_an_error(tmp_path: Path) -> None:
    where = [{"column": "state", "equals": "dead"}]
    message = refused(
        tmp_path,
        {"deaths.csv": "who,state\n001,deceased\n"},
        {"died": {**DIED["died"], "where": where}},
    )
    assert "deaths; expected a row for patients.died that `where` keeps" in message


def test_ids_that_two_patients_may_have_are_refused_with_the_pair(tmp_path: Path) -> None:
    people = PEOPLE.replace("001", "1").replace("002", "01")
    drugs = DRUGS.replace("001", "1").replace("002", "01")
    files = {"people.csv": people, "drugs.csv": drugs, "deaths.csv": "who\n0001\n003\n"}
    message = refused(tmp_path, files, DIED)
    assert 'deaths, column who: found "0001"; expected an id as in the patients table' in message
    assert "where 01 or 1 may be meant" in message


def test_two_ids_of_a_list_that_may_be_one_patient_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, {"deaths.csv": "who\n2\n02\n003\n"}, DIED)
    assert message.count("where 002 may be meant") == 2


def test_parts_of_an_id_that_run_together_are_refused(tmp_path: Path) -> None:
    people, drugs = PEOPLE.replace("002", "12-3"), DRUGS.replace("002", "12-3")
    files = {"people.csv": people, "drugs.csv": drugs, "deaths.csv": "who\n123\n003\n"}
    message = refused(tmp_path, files, DIED)
    assert "where 12-3 may be meant" in message


def test_other_orders_of_the_same_digits_are_strangers(tmp_path: Path) -> None:
    people, drugs = PEOPLE.replace("002", "12-3"), DRUGS.replace("002", "12-3")
    files = {"people.csv": people, "drugs.csv": drugs, "deaths.csv": "who\n1-23-4\n3\n"}
    assert dead(brought(tmp_path, files, DIED)) == [False, True, False]


def test_a_patient_whom_a_rule_leaves_out_keeps_his_own_spelling(tmp_path: Path) -> None:
    """The dead 1 is no patient of this cohort, and 001 lives."""
    people = "id,relapse,last,status,kind\n001,1,20,1,DLBCL\n1,1,20,1,FL\n"
    keep = [{"column": "kind", "equals": "DLBCL"}]
    columns = {**PATIENTS, **DIED}
    entries = {
        "patients": [{"source": "people", "keep": keep, "columns": columns}],
        "salvage": [{"source": "drugs", "columns": SALVAGE}],
    }
    drugs = "id,drug,start,answer\n001,x,2,PR\n1,x,2,PR\n"
    files = {"people.csv": people, "drugs.csv": drugs, "deaths.csv": "who\n1\n"}
    message = refused(tmp_path, files, tables=entries)
    assert "expected ids of the patients table" in message


def test_lines_of_ids_written_otherwise_are_lines_of_their_patients(tmp_path: Path) -> None:
    drugs = DRUGS.replace("001", "1").replace("002", "2.0")
    imported = brought(tmp_path, {"drugs.csv": drugs})
    assert list(cohort_of(imported).salvage["patient_id"]) == ["001", "002", "003"]
    assert "drugs writes 2 ids otherwise than the patients table" in imported.report()
    assert ": 1 is 001 and 2.0 is 002." in imported.report()


def test_lines_of_nobody_are_an_error(tmp_path: Path) -> None:
    drugs = DRUGS.replace("00", "Z")
    assert "such as 001" in refused(tmp_path, {"drugs.csv": drugs})


# --- times, and what happens during a line --------------------------------------------------------

TWO_LINES = "id,drug,start\n001,glofitamab,2\n001,nivolumab,6\n002,x,3\n"
ASSESSED = (
    "who,month,resp\n001,2,PD\n001,3,SD\n001,4,PR\n001,6,PD\n001,7,CR\n001,9,PD\n001,10,CR\n"
    "002,2,CR\n003,4,CR\n"
)
IN_LINE: dict[str, Any] = {"source": "seen", "by": "who", "in_line": {"column": "month"}}
BEST: dict[str, Any] = {**IN_LINE, "column": "resp", "take": "best", "blank": "NE"}
RESPONDED = [{"column": "resp", "in": ["CR", "PR"]}]
PROGRESSED = [{"column": "resp", "equals": "PD"}]


def seen(folder: Path, text: str = ASSESSED, **columns: Any) -> Imported:
    """Import lines whose responses stand in a table of assessments."""
    files = {"drugs.csv": TWO_LINES, "seen.csv": text}
    return brought(folder, files, salvage={"best_response": BEST, **columns})


def test_each_line_has_the_response_of_its_own_dates(tmp_path: Path) -> None:
    """The day of the start is the baseline; that of the next start still belongs to the line."""
    imported = seen(tmp_path)
    lines = cohort_of(imported).salvage
    assert lines["best_response"].tolist() == ["PR", "CR", "NE"]
    assert (
        "seen, looked up for salvage.best_response: 9 rows read, 0 not kept by where, 1 of other "
        "patients, 2 in no line, 0 blank, 6 to take from." in imported.report()
    )


def test_progression_response_and_end_of_a_line(tmp_path: Path) -> None:
    month = {**IN_LINE, "column": "month", "take": "earliest"}
    stops = "id,begun,stopped\n001,2,2.5\n001,4,5\n001,6,6\n001,6.5,8\n002,3,3\n"
    files = {"drugs.csv": TWO_LINES, "seen.csv": ASSESSED, "stops.csv": stops}
    end = {"source": "stops", "by": "id", "column": "stopped", "take": "latest",
           "in_line": {"column": "begun"}}  # fmt: skip
    columns = {
        "best_response": BEST,
        "response_month": {**month, "where": RESPONDED},
        "progression_month": {**month, "where": PROGRESSED},
        "end_month": end,
    }
    lines = cohort_of(brought(tmp_path, files, salvage=columns)).salvage
    assert lines["response_month"].tolist()[:2] == [4, 7]
    assert lines["progression_month"].tolist()[:2] == [6, 9]
    assert lines["end_month"].tolist() == [5, 8, 3]
    assert lines[["response_month", "progression_month"]].iloc[2].isna().all()


@pytest.mark.parametrize(
    ("take", "expected"),
    [("earliest", ["SD", "CR"]), ("latest", ["PD", "CR"]), ("first", ["SD", "CR"]),
     ("last", ["PD", "CR"])],
)  # fmt: skip
def test_codes_of_a_line_are_in_the_order_of_its_times(
    tmp_path: Path, take: str, expected: list[str]
) -> None:
    lines = cohort_of(seen(tmp_path, best_response={**BEST, "take": take})).salvage
    assert lines["best_response"].tolist()[:2] == expected


def test_assessments_by_date(tmp_path: Path) -> None:
    files = {
        "people.csv": "id,car_t,last,relapse,status\n"
        "001,2022-01-10,2023-01-10,2022-02-01,1\n002,2022-06-01,2023-06-01,2022-07-01,1\n",
        "drugs.csv": "id,drug,start\n001,x,2022-02-10\n001,y,2022-05-10\n002,x,2022-08-01\n",
        "seen.csv": "who,day,resp\n1,2022-02-10,CR\n1,2022-05-10,PR\n1,2022-05-11,SD\n"
        "2,2022-08-30,CR\n2,?,PD\n",
    }
    day = {"column": "day", "date": "auto"}
    columns = {
        "start_month": {"column": "start", "date": "auto"},
        "best_response": {**BEST, "in_line": day},
    }
    dated = {name: {"column": column, "date": "auto"} for name, column in (
        ("time_zero", "car_t"), ("relapse_month", "relapse"), ("os_month", "last"))}  # fmt: skip
    imported = brought(tmp_path, files, dated, columns)
    # The undated assessment of 002 may be of any line of hers, and the one that counts.
    assert cohort_of(imported).salvage["best_response"].tolist() == ["PR", "SD"]
    assert imported.mapped.unmapped[0].found_in == "seen, row 6"
    assert cohort_of(imported).salvage["start_month"].tolist() == [months(31), months(120)]


def test_an_assessment_that_is_not_listed_may_be_the_best(tmp_path: Path) -> None:
    text = ASSESSED.replace("001,4,PR", "001,4,VGPR")
    values = {code: code for code in ("CR", "PR", "SD", "PD")}
    imported = seen(tmp_path, text, best_response={**BEST, "values": values})
    assert cohort_of(imported).salvage["best_response"].tolist() == ["CR", "NE"]
    assert "without it the best is not known" in imported.report()


def test_no_assessment_in_any_line_is_an_error(tmp_path: Path) -> None:
    files = {"drugs.csv": TWO_LINES, "seen.csv": "who,month,resp\n001,1,CR\n"}
    message = refused(tmp_path, files, salvage={"best_response": BEST})
    assert (
        "seen; expected a row for salvage.best_response whose time is in a salvage line" in message
    )


VISITS = "who,v1,v2\n001,2,11\n001,3,\n002,9,8\n003,,7\n"


@pytest.mark.parametrize(("take", "expected"), [("latest", [11, 9, 7]), ("earliest", [2, 8, 7])])
def test_the_latest_of_several_columns(tmp_path: Path, take: str, expected: list[float]) -> None:
    spec = {"source": "visits", "by": "who", "column": ["v1", "v2"], "take": take}
    imported = brought(tmp_path, {"visits.csv": VISITS}, {"os_month": spec})
    assert list(cohort_of(imported).patients["os_month"]) == expected


def test_the_latest_of_several_columns_of_one_row(tmp_path: Path) -> None:
    people = "id,relapse,v1,v2,status\n001,1,3,12,1\n002,1,20,,1\n003,1,2,5,2\n"
    spec = {"column": ["v1", "v2"], "take": "latest"}
    imported = brought(tmp_path, {"people.csv": people}, {"os_month": spec})
    assert list(cohort_of(imported).patients["os_month"]) == [12, 20, 5]


def test_of_several_columns_an_unreadable_one_may_be_the_latest(tmp_path: Path) -> None:
    people = "id,relapse,v1,v2,status\n001,1,3,spring,1\n002,1,20,,1\n003,1,2,5,2\n"
    spec = {"column": ["v1", "v2"], "take": "latest"}
    imported = brought(tmp_path, {"people.csv": people}, {"os_month": spec})
    assert list(cohort_of(imported).patients["patient_id"]) == ["002", "003"]


def test_a_name_from_a_table_of_concepts(tmp_path: Path) -> None:
    files = {
        "drugs.csv": "id,concept,start,answer\n001,11.0,2,PR\n002,12,2,SD\n003,13,2,PD\n",
        "concepts.csv": "concept_id,name\n11,glofitamab\n12,nivolumab\n",
    }
    name = {"source": "concepts", "by": "concept_id", "match": "concept", "column": "name",
            "take": "first"}  # fmt: skip
    columns = {"regimen": name, "category": {**SALVAGE["category"], **name, "blank": "other"}}
    lines = cohort_of(brought(tmp_path, files, salvage=columns)).salvage
    assert lines["regimen"].tolist() == ["glofitamab", "nivolumab", None]
    assert lines["category"].tolist() == ["bispecific", "checkpoint", "other"]


# --- dates ----------------------------------------------------------------------------------------

DATED = "id,zero,relapse,last,status,born\n001,01/02/2023,{},01/12/2023,1,02/03/1960\n" \
        "002,03/02/2023,05/03/2023,02/12/2023,2,03/02/1960\n"  # fmt: skip


def dated(folder: Path, date: Any, relapse: str = "15/04/2023", **patients: Any) -> Any:
    cells = {"time_zero": "zero", "relapse_month": "relapse", "os_month": "last"}
    columns = {name: {"column": column, "date": date} for name, column in cells.items()}
    files = {"people.csv": DATED.format(relapse), "drugs.csv": DRUGS.replace(",2,", ",3,")}
    return folder, files, {**columns, **patients}


def test_a_pattern_that_turns_day_and_month_round_is_refused(tmp_path: Path) -> None:
    message = refused(*dated(tmp_path, "%m/%d/%Y"))
    assert (
        "column patients.relapse_month; expected dates written as %d/%m/%Y, which reads 2 of 2 "
        "cells; %m/%d/%Y reads 1, as other days" in message
    )


def test_the_right_pattern_reads_the_right_days(tmp_path: Path) -> None:
    imported = brought(*dated(tmp_path, "%d/%m/%Y"))
    patients = cohort_of(imported).patients
    assert list(patients["relapse_month"]) == [months(73), months(30)]
    assert (
        "patients.relapse_month from people: 2 of 2 dates read as %d/%m/%Y, from 2023-03-05 to "
        "2023-04-15.\n  Other patterns would read: %m/%d/%Y 1, auto 2." in imported.report()
    )


def test_a_date_that_the_rest_of_its_column_explains_is_read_where_it_is_taken(
    tmp_path: Path,
) -> None:
    seen_on = "who,day\n001,05/03/2023\n001,15/04/2023\n002,06/03/2023\n"
    first = {"source": "seen", "by": "who", "column": "day", "take": "earliest", "date": "auto"}
    folder, files, patients = dated(tmp_path, "%d/%m/%Y", relapse_month=first)
    imported = brought(folder, {**files, "seen.csv": seen_on}, patients)
    assert list(cohort_of(imported).patients["relapse_month"]) == [months(32), months(31)]


def test_several_patterns_in_one_column(tmp_path: Path) -> None:
    imported = brought(*dated(tmp_path, ["%d/%m/%Y", "%d-%b-%Y"], "15-Apr-2023"))
    assert list(cohort_of(imported).patients["relapse_month"]) == [months(73), months(30)]


def test_what_two_patterns_read_as_two_days_is_not_read(tmp_path: Path) -> None:
    args = dated(tmp_path, "%d/%m/%Y")
    args[2]["relapse_month"] = {"column": "relapse", "date": ["%d/%m/%Y", "%m/%d/%Y"]}
    imported = brought(*args)
    assert list(cohort_of(imported).patients["patient_id"]) == ["001"]


def test_age_from_a_date_of_birth(tmp_path: Path) -> None:
    born = {"column": "born", "date": "%d/%m/%Y"}
    imported = brought(*dated(tmp_path, "%d/%m/%Y", age=born))
    # One birthday is a month after the infusion, the other on its day.
    assert list(cohort_of(imported).patients["age"]) == [62, 63]


def test_rows_by_a_calendar_date(tmp_path: Path) -> None:
    args = dated(tmp_path, "%d/%m/%Y")
    args[1]["people.csv"] = args[1]["people.csv"].replace("03/02/2023", "2023-02-03")
    args[2]["time_zero"]["date"] = ["%d/%m/%Y", "auto"]
    entries = {
        "patients": [{"source": "people", "columns": {**PATIENTS, **args[2]},
                      "keep": [{"column": "zero", "at_least": "2023-02-01"}]}],
        "salvage": [{"source": "drugs", "columns": SALVAGE}],
    }  # fmt: skip
    imported = brought(args[0], args[1], tables=entries)
    assert list(cohort_of(imported).patients["patient_id"]) == ["002"]


def test_days_that_cannot_be_are_warned_of(tmp_path: Path) -> None:
    people = (
        "id,zero,relapse,last,status\n001,2013-05-01,2013-06-01,2023-05-01,1\n"
        "002,2022-05-01,2022-06-01,2999-05-01,1\n003,2022-05-01,2022-06-01,2024-04-01,1\n"
    ).replace("2999", "2062")
    dates = {name: {"column": column, "date": "auto"} for name, column in (
        ("time_zero", "zero"), ("relapse_month", "relapse"), ("os_month", "last"))}  # fmt: skip
    imported = brought(
        tmp_path, {"people.csv": people}, dates, study={"data_cut_off": "2024-03-31"}
    )
    report = imported.report()
    assert "4 dates worth a second look:" in report
    assert '  people, row 2, column time_zero: found "2013-05-01"; expected usually 2014' in report
    assert (
        '  people, row 3, column os_month: found "2062-05-01"; expected usually no date in'
        in report
    )
    assert 'row 3, column os_month: found "2062-05-01"; expected usually no later than' in report
    assert 'row 4, column os_month: found "2024-04-01"; expected usually no later than' in report


# --- lines from rows of drugs ---------------------------------------------------------------------


def lines_of(
    folder: Path, rows: str, lines: Mapping[str, Any] | None = None, **columns: Any
) -> tuple[list[Any], Imported]:
    """Patient, line, regimen, category, start in days and response of lines made from rows.

    Each row is patient, drug, first day, last day and response.
    """
    text = "id,drug,day,stop,answer\n" + "\n".join(rows.split())
    spec = {
        "start_month": {"column": "day", "unit": "days"},
        "end_month": {"column": "stop", "unit": "days"},
        "best_response": {"column": "answer", "blank": "NE"},
        "category": {
            "column": "drug",
            "patterns": {
                "bispecific": ["glofitamab"],
                "polatuzumab": ["pola"],
                "second_cart": ["CAR-T"],
                "radiotherapy": ["RT"],
            },
            "otherwise": "other",
        },
    }
    more = {} if lines is None else {"lines": dict(lines)}
    imported = brought(folder, {"drugs.csv": text}, salvage={**spec, **columns}, **more)
    made = cohort_of(imported).salvage
    days = (made["start_month"] * 30.4375).round().astype(int)
    columns_of = ["patient_id", "line", "regimen", "category"]
    return made[columns_of].assign(
        day=days, best=made["best_response"]
    ).to_numpy().tolist(), imported


def test_rows_of_one_combination_are_one_line(tmp_path: Path) -> None:
    rows = "001,pola,61,,PR 001,bendamustine,61,,PR 001,rituximab,61,,PR"
    lines, imported = lines_of(tmp_path, rows, {})
    assert lines == [["001", 1, "bendamustine + pola + rituximab", "polatuzumab", 61, "PR"]]
    assert "3 rows became 1 salvage line of 1 patient." in imported.report()
    assert not cohort_of(imported).warnings


def test_rows_of_one_day_are_warned_of_without_lines(tmp_path: Path) -> None:
    rows = "001,pola,61,,PR 001,bendamustine,61,,PR 001,glofitamab,90,,PR 001,glofitamab,97,,PR"
    lines, imported = lines_of(tmp_path, rows)
    assert [line[1] for line in lines] == [1, 2, 3, 4]
    assert [(w.row, w.column) for w in cohort_of(imported).warnings] == [
        (3, "start_month"), (5, "regimen"),
    ]  # fmt: skip
    assert "usually one line for all drugs that start on one day" in imported.report()
    assert "usually another regimen than the line before it" in imported.report()


@pytest.mark.parametrize(
    ("rows", "rule", "expected"),
    [
        # weekly doses go on, with and without the day that each ends
        ("001,glofitamab,40,,PR 001,glofitamab,47,,PR 001,glofitamab,54,,PR", {}, [40]),
        ("001,x,40,40,SD 001,x,100,100,SD 001,x,160,160,SD", {}, [40]),
        # ... until a gap of more than 60 days from the last day
        ("001,x,40,,SD 001,x,101,,SD", {}, [40, 101]),
        ("001,x,40,41,SD 001,x,101,,SD", {}, [40]),
        ("001,x,40,,SD 001,x,101,,SD", {"same_regimen_gap_days": 61}, [40]),
        # a further drug within 14 days is part of the line, later the next one
        ("001,x,40,,SD 001,y,54,,SD", {}, [40]),
        ("001,x,40,,SD 001,y,55,,SD", {}, [40, 55]),
        ("001,x,40,,SD 001,y,55,,SD", {"within_days": 15}, [40]),
        ("001,x,40,,SD 001,y,40,,SD 001,z,41,,SD", {"within_days": 0}, [40, 41]),
        # one drug of a combination goes on
        ("001,x,40,,SD 001,y,41,,SD 001,y,80,,SD 001,x,120,,SD", {}, [40]),
        # another drug between two doses of the first
        ("001,x,40,,SD 001,y,60,,SD 001,x,70,,SD", {}, [40, 60]),
        ("001,x,40,,SD 001,y,60,,SD 001,x,80,,SD", {}, [40, 60, 80]),
        # order and spelling of the file do not matter
        ("001,X,54,,SD 001,glofitamab,47,,SD 001,x,47,,SD", {}, [47]),
        # each patient has lines of her own
        ("001,x,40,,SD 002,x,41,,SD 001,y,42,,SD", {}, [40, 41]),
        # what supports starts no line, and does not carry one on
        ("001,mesna,31,,SD 001,x,40,,SD", {"supportive": ["mesna"]}, [40]),
        ("001,x,40,,SD 001,mesna,80,,SD 001,x,110,,SD", {"supportive": ["mesna"]}, [40, 110]),
        ("001,G-CSF+mesna,40,,SD", {"supportive": ["mesna"]}, [40]),
    ],
)
def test_which_rows_are_one_line(
    tmp_path: Path, rows: str, rule: dict[str, Any], expected: list[int]
) -> None:
    lines, imported = lines_of(tmp_path, rows, rule)
    assert sorted(line[4] for line in lines) == expected
    for count in imported.mapped.counts:
        assert count.read == count.written + count.not_kept + count.left_out


def test_supportive_drugs_are_named_and_no_part_of_a_regimen(tmp_path: Path) -> None:
    rows = "001,ifosfamide,40,45,PR 001,Mesna,40,45, 002,x,40,, 002,mesna,41,, 002,mesna,42,,"
    lines, imported = lines_of(tmp_path, rows, {"supportive": ["mesna"]})
    assert [line[2] for line in lines] == ["ifosfamide", "x"]
    report = imported.report()
    assert "2 rows became 2 salvage lines of 2 patients." in report
    assert "supportive drugs alone: mesna (2) and Mesna (1)." in report
    assert [(u.row, u.outcome) for u in imported.mapped.unmapped] == [
        (3, "row not kept"), (5, "row not kept"), (6, "row not kept"),
    ]  # fmt: skip


def test_a_regimen_has_one_name_whatever_the_order(tmp_path: Path) -> None:
    rows = (
        "001,Rituximab,40,, 001,pola,41,, 002,pola,40,, 002,rituximab,40,, 003,pola+rituximab,40,,"
    )
    lines, _ = lines_of(tmp_path, rows, {})
    assert [line[2] for line in lines] == ["pola + Rituximab"] * 3


def test_precedence_names_a_line_of_two_categories(tmp_path: Path) -> None:
    rows = "001,glofitamab,40,,PR 001,pola,41,,PR 002,RT,40,, 002,CAR-T,45,,CR 002,x,44,,"
    order = ["second_cart", "polatuzumab", "bispecific"]
    lines, _ = lines_of(tmp_path, rows, {"precedence": order})
    assert [line[3] for line in lines] == ["polatuzumab", "second_cart"]


def test_two_categories_without_precedence_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        lines_of(tmp_path, "001,x,40,, 001,glofitamab,40,,PR 001,pola,41,,PR", {})
    assert (
        'drugs, row 2, column category: found "bispecific, other, polatuzumab"; expected '
        "lines.precedence to say which" in str(caught.value)
    )


def test_what_a_line_of_several_rows_holds(tmp_path: Path) -> None:
    rows = "001,x,40,50,SD 001,y,42,90,PR 001,z,41,80, 002,x,40,50,NE 002,y,41,,NE"
    lines, imported = lines_of(tmp_path, rows, {})
    assert [line[5] for line in lines] == ["PR", "NE"]
    made = cohort_of(imported).salvage
    # The end is known only if every drug has one.
    assert made["end_month"].tolist()[:1] == [months(90)]
    assert made["end_month"].isna().tolist() == [False, True]
    assert "The rows of 1 line hold different responses; the best of them is taken." in (
        imported.report()
    )


def test_rows_with_the_number_of_their_line(tmp_path: Path) -> None:
    rows = "001,x,40,,PR 001,y,70,,SD 001,x,80,,SD"
    number = {"line": {"column": "stop", "blank": "1"}}
    lines, _ = lines_of(
        tmp_path, rows.replace("80,", "80,2"), {}, end_month={"value": ""}, **number
    )
    assert [line[1:3] for line in lines] == [[1, "x + y"], [2, "x"]]


def test_a_line_that_began_before_the_relapse_is_none_of_salvage(tmp_path: Path) -> None:
    """Its later doses make no line of their own, and every row of it is listed."""
    drugs = "id,drug,day,stop,answer\n001,x,20,,SD\n001,x,40,,SD\n001,y,60,,PR\n"
    columns = {
        **SALVAGE,
        "start_month": {"column": "day", "unit": "days"},
    }
    keep = [{"column": "salvage.start_month", "at_least": "patients.relapse_month"}]
    entries = {
        "patients": [{"source": "people", "columns": PATIENTS}],
        "salvage": [{"source": "drugs", "columns": columns, "keep": keep}],
    }
    imported = brought(tmp_path, {"drugs.csv": drugs}, tables=entries, lines={})
    assert cohort_of(imported).salvage["regimen"].tolist() == ["y"]
    assert [(u.row, u.outcome) for u in imported.mapped.unmapped] == [
        (2, "row not kept"), (3, "row not kept"),
    ]  # fmt: skip
    assert imported.mapped.counts[1].not_kept == 2


def test_drugs_of_two_files_are_one_line(tmp_path: Path) -> None:
    rays = "id,field,day\n001,RT,44\n002,RT,40\n"
    drugs = "id,drug,day,answer\n001,x,40,PR\n"
    day = {"column": "day", "unit": "days"}
    irradiated = {
        "patient_id": "id",
        "category": {"value": "radiotherapy"},
        "regimen": "field",
        "start_month": day,
        "best_response": {"value": "NE"},
    }
    entries = {
        "patients": [{"source": "people", "columns": PATIENTS}],
        "salvage": [
            {"source": "drugs", "columns": {**SALVAGE, "start_month": day}},
            {"source": "rays", "columns": irradiated},
        ],
    }
    imported = brought(tmp_path, {"drugs.csv": drugs, "rays.csv": rays}, tables=entries, lines={})
    made = cohort_of(imported).salvage
    assert made[["patient_id", "regimen", "category", "best_response"]].to_numpy().tolist() == [
        ["001", "RT + x", "radiotherapy", "PR"], ["002", "RT", "radiotherapy", "NE"],
    ]  # fmt: skip
    assert "3 rows became 2 salvage lines of 2 patients." in imported.report()


def test_responses_of_made_lines_from_assessments(tmp_path: Path) -> None:
    rows = "001,x,61,, 001,y,61,, 001,z,183,,"
    text = "id,drug,day,stop,answer\n" + "\n".join(rows.split())
    imported = brought(
        tmp_path,
        {"drugs.csv": text, "seen.csv": ASSESSED},
        salvage={
            "start_month": {"column": "day", "unit": "days"},
            "best_response": BEST,
        },
        lines={},
    )
    made = cohort_of(imported).salvage
    # Lines of days 61 and 183, months 2.004 and 6.012: the PD of month 6 ends the first.
    assert made["best_response"].tolist() == ["PR", "CR"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"within_day": "14"}, "did you mean within_days?"),
        ({"within_days": "two weeks"}, "a whole number"),
        ({"precedence": ["pola"]}, "one of bispecific"),
    ],
)
def test_what_is_wrong_with_lines_is_said(
    tmp_path: Path, lines: dict[str, Any], expected: str
) -> None:
    assert expected in refused(tmp_path, lines=lines)


def test_lines_need_the_drug_of_each_row(tmp_path: Path) -> None:
    columns = {name: cell for name, cell in SALVAGE.items() if name != "regimen"}
    entries = {
        "patients": [{"source": "people", "columns": PATIENTS}],
        "salvage": [{"source": "drugs", "columns": columns}],
    }
    message = refused(tmp_path, tables=entries, lines={})
    assert "tables.salvage[1]; expected regimen: with lines, the drug of each row" in message
