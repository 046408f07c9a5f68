"""Files of any shape become a cohort as a mapping says, and every row is accounted for.

All files are invented. The mapping of the mesothelioma patients is tried on three small files in
the shape of that data, which is no part of this project.
"""

import csv
import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastparquet
import openpyxl
import pandas as pd
import pyreadstat
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salvage.__main__ import main
from salvage.cohort import Cohort, importing
from salvage.cohort.cells import months
from salvage.cohort.importing import Imported
from salvage.cohort.importing.mapping import MappingError, read_mapping
from salvage.paths import ROOT
from salvage.problems import InputError

MESOTHELIOMA = Path(__file__).parent.parent / "mappings" / "tcga_meso.yaml"

#: One row for a patient with one line: enough to fill both tables from one file.
ONE = {
    "id": ["A", "B"],
    "age": [60.5, 71.0],
    "female": [1.0, 0.0],
    "relapse": [30.0, 0.0],
    "last": [300.0, 200.0],
    "dead": [0.0, 1.0],
    "drug": ["Pola-BR", "nivolumab"],
    "start": [31.0, 0.0],
    "answer": ["cr", "pd"],
}
PATIENT_COLUMNS: dict[str, Any] = {
    "patient_id": "id",
    "age": "age",
    "sex": {"column": "female", "values": {"1": "F", "0": "M"}},
    "relapse_month": {"column": "relapse", "unit": "days"},
    "os_month": {"column": "last", "unit": "days"},
    "died": "dead",
}
SALVAGE_COLUMNS: dict[str, Any] = {
    "patient_id": "id",
    "category": {
        "column": "drug",
        "patterns": {"polatuzumab": ["pola"], "checkpoint": ["nivo*"]},
    },
    "regimen": "drug",
    "start_month": {"column": "start", "unit": "days"},
    "best_response": {"column": "answer", "values": {"cr": "CR", "pd": "PD"}},
}


def mapping_of(
    patients: Mapping[str, Any] | None = None,
    salvage: Mapping[str, Any] | None = None,
    **entry: Any,
) -> dict[str, Any]:
    """The mapping of one file, with some columns of it otherwise."""
    return {
        "sources": {"all": {}},
        "tables": {
            "patients": [{"source": "all", "columns": {**PATIENT_COLUMNS, **(patients or {})}}],
            "salvage": [
                {"source": "all", "columns": {**SALVAGE_COLUMNS, **(salvage or {})}, **entry}
            ],
        },
    }


def run(folder: Path, mapping: object, data: Mapping[str, list[Any]] | Path = ONE) -> Imported:
    """Import a table, or a file, by a mapping."""
    if isinstance(data, Path):
        source = data
    else:
        source = folder / "all.csv"
        pd.DataFrame(data).to_csv(source, index=False)
    file = folder / "mapping.yaml"
    file.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    return importing.run(source, file, folder / "out")


def cohort_of(imported: Imported) -> Cohort:
    assert imported.cohort is not None, imported.problems
    return imported.cohort


def unmapped(imported: Imported) -> list[tuple[int, str, str, str]]:
    return [(u.row, u.column, u.value, u.outcome) for u in imported.mapped.unmapped]


# --- formats --------------------------------------------------------------------------------------


def write_as(folder: Path, suffix: str) -> Path:
    frame, path = pd.DataFrame(ONE), folder / f"all{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif suffix == ".parquet":
        fastparquet.write(str(path), frame)
    else:
        kinds = {".sav": "sav", ".dta": "dta", ".xpt": "xport", ".por": "por"}
        getattr(pyreadstat, f"write_{kinds[suffix]}")(frame, str(path))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".sav", ".dta", ".xpt"])
def test_every_format_gives_the_same_cohort(tmp_path: Path, suffix: str) -> None:
    """Zeros too, which a SAS transport file stores in a way that pandas reads wrong."""
    cohort = cohort_of(run(tmp_path, mapping_of(), write_as(tmp_path, suffix)))
    assert cohort.patients["died"].tolist() == [False, True]
    assert cohort.patients["sex"].tolist() == ["F", "M"]
    assert cohort.patients["age"].tolist() == [60.5, 71.0]
    assert cohort.patients["relapse_month"].tolist() == [months(30), 0.0]
    assert cohort.salvage["category"].tolist() == ["polatuzumab", "checkpoint"]
    assert cohort.salvage["start_month"].tolist() == [months(31), 0.0]
    assert cohort.salvage["line"].tolist() == [1, 1]


def test_labels_of_spss(tmp_path: Path) -> None:
    path = tmp_path / "all.sav"
    labels = {"female": {1.0: "woman", 0.0: "man"}}
    pyreadstat.write_sav(pd.DataFrame(ONE), str(path), variable_value_labels=labels)
    given = mapping_of({"sex": {"column": "female", "values": {"woman": "F", "man": "M"}}})
    given["sources"] = {"all": {"labels": "true"}}
    assert cohort_of(run(tmp_path, given, path)).patients["sex"].tolist() == ["F", "M"]


@pytest.mark.parametrize("suffix", [".sav", ".dta", ".xpt", ".parquet", ".xlsx"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"all{suffix}"
    path.write_bytes(b"id,age\n1,2\n")
    with pytest.raises(MappingError, match=rf"all\{suffix}.*expected"):
        run(tmp_path, mapping_of(), path)
    assert not (tmp_path / "out").exists()


# --- the worked example of the book ---------------------------------------------------------------


def example_mapping() -> str:
    page = (ROOT / "book" / "import.md").read_text(encoding="utf-8")
    found = re.search(
        r"```\{code-block\} yaml\n:name: example-mapping\n\n(.*?)```", page, re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_example_of_the_book_works(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Baseline")
    infused = dt.datetime(2022, 5, 1)
    for row in (
        ["Pat-No", "CAR-T date", "Age", "Gender", "Diagnosis", "Date of death", "Last contact",
         "Status"],
        [1, infused, 60, "Female", "DLBCL", "01/12/2022", None, "dead"],
        [2, infused, 44, "unknown", "HGBL", None, "15/12/2022", "Alive "],
        [3, infused, 51, "male", "FL", None, "15/12/2022", "alive"],
    ):  # fmt: skip
        sheet.append(row)
    book.save(source / "patients.xlsx")
    (source / "treatments.csv").write_bytes(
        "patient;drug;start;response\n"
        "1;Béndamustine + Pola-R;01/08/2022;Partial remission\n"
        "1;Glofitamab (Étude);01/10/2022;stable\n"
        "1;bridging RT 4 Gy;02/05/2022;\n"
        "2;Polatuzumab + glofitamab;20/08/2022;complete remission\n"
        "3;nivolumab;20/08/2022;progression\n".encode("cp1252")
    )
    visits = pd.DataFrame(
        {
            "patno": [1.0, 1.0, 1.0, 2.0],
            "visit_date": pd.to_datetime(["2022-09-01", "2022-07-01", "2022-06-01", "2022-08-20"]),
            "status": ["progression", "relapse", "response", "progression"],
        }
    )
    pyreadstat.write_sav(visits, str(source / "visits.sav"))
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(example_mapping(), encoding="utf-8")
    imported = importing.run(source, mapping, tmp_path / "out")
    cohort = cohort_of(imported)
    assert cohort.study.centre == "Our centre"
    patients = cohort.patients
    assert patients["patient_id"].tolist() == ["1", "2"]
    assert patients["sex"].tolist() == ["F", None]
    assert patients["relapse_month"].tolist() == [months(61), months(111)]
    assert patients["os_month"].tolist() == [months(214), months(228)]
    assert patients["died"].tolist() == [True, False]
    lines = cohort.salvage
    assert lines["patient_id"].tolist() == ["1", "1", "2"]
    assert lines["line"].tolist() == [1, 2, 1]
    assert lines["category"].tolist() == ["polatuzumab", "bispecific", "polatuzumab"]
    assert lines["regimen"].tolist()[0] == "Béndamustine + Pola-R"
    assert lines["best_response"].tolist() == ["PR", "SD", "CR"]
    assert imported.mapped.ambiguous == {"Polatuzumab + glofitamab": "polatuzumab"}
    assert unmapped(imported) == [
        (4, "Diagnosis", "FL", "row not kept"),
        (4, "salvage.start_month", months_text(1), "row not kept"),
        (6, "patient_id", "3", "row not kept"),
    ]


def months_text(days: int) -> str:
    return str(months(days))


# --- the mapping of the mesothelioma patients -----------------------------------------------------


def test_the_mapping_of_the_mesothelioma_patients(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "patients.csv").write_text(
        "patient_id,age,sex,histology,grade,stage,kps,ecog,year_of_diagnosis,"
        "days_to_first_new_tumor_event,dead,days_to_death,days_to_last_followup,os_days\n"
        "X1,64.6,male,,,stage ii,,,,300.0,1,500.0,,500.0\n"
        "X2,60.2,female,,,stage ia,,1.0,,100.0,0,,400.0,400.0\n"
        "X3,53.4,female,,,stage iii,,1.0,,,1,885.0,,885.0\n"
        "X4,58.7,male,,,stage iii,,1.0,,20.0,0,,-8.0,-8.0\n"
        "X5,58.7,male,,,stage x,,1.0,,-30.0,0,,90.0,90.0\n"
    )
    (source / "drug_episodes.csv").write_text(
        "patient_id,episode,drug_name,therapy_type,start_day,end_day,best_response\n"
        "X1,1,dasatinib,targeted,52,71,partial response\n"
        "X1,2,cisplatinum,chemotherapy,310,,clinical progressive disease\n"
        "X1,3,,chemotherapy,300,305,\n"
        "X1,4,alimta,chemotherapy,501,502,stable disease\n"
        "X2,1,pembrolizumab (keytruda),,120,120,complete response\n"
        "X2,2,gemcitabine,chemotherapy,,130,complete response\n"
        "X3,1,gemcitabine,chemotherapy,50,60,complete response\n"
    )
    (source / "radiation_episodes.csv").write_text(
        "patient_id,episode,radiation_type,dose,start_day,end_day,best_response\n"
        "X1,1,external,45,310,330,radiographic progressive disease\n"
    )
    imported = importing.run(source, MESOTHELIOMA, tmp_path / "out")
    cohort = cohort_of(imported)
    assert cohort.patients["patient_id"].tolist() == ["X1", "X2"]
    assert cohort.patients["stage"].tolist() == [2, 1]
    lines = cohort.salvage
    assert lines[["patient_id", "line"]].to_numpy().tolist() == [
        ["X1", 1], ["X1", 2], ["X1", 3], ["X2", 1],
    ]  # fmt: skip
    assert lines["category"].tolist() == ["other", "other", "radiotherapy", "checkpoint"]
    assert lines["best_response"].tolist() == ["NE", "PD", "PD", "CR"]
    assert lines["start_month"].tolist() == [months(d) for d in (300, 310, 310, 120)]
    assert unmapped(imported) == [
        (4, "days_to_first_new_tumor_event", "", "row not kept"),
        (5, "os_days", "-8.0", "row not kept"),
        (6, "stage", "stage x", "row left out"),
        (6, "relapse_month", "-30.0", "row left out"),
        (2, "salvage.start_month", months_text(52), "row not kept"),
        (5, "salvage.start_month", months_text(501), "row not kept"),
        (7, "start_day", "", "row not kept"),
        (8, "patient_id", "X3", "row not kept"),
    ]


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "days"), [("days", 1), ("weeks", 7), ("months", 30.4375), ("years", 365.25)]
)
def test_units_and_a_time_zero_in_days(tmp_path: Path, unit: str, days: float) -> None:
    zero = {"column": "zero", "unit": "days"}
    given = mapping_of(
        {"time_zero": zero, "os_month": {"column": "last", "unit": unit}},
        {"start_month": {"column": "start", "unit": "days"}},
    )
    data = {**ONE, "zero": [10, 0], "relapse": [30, 0], "last": [40, 20]}
    cohort = cohort_of(run(tmp_path, given, data))
    assert cohort.patients["os_month"].tolist() == [months(40 * days - 10), months(20 * days)]
    assert cohort.patients["relapse_month"].tolist() == [months(20), 0.0]
    assert cohort.salvage["start_month"].tolist() == [months(21), 0.0]


def test_months_without_a_unit_stay_as_they_are(tmp_path: Path) -> None:
    given = mapping_of({"os_month": "last"})
    assert cohort_of(run(tmp_path, given)).patients["os_month"].tolist() == [300.0, 200.0]


def test_a_patient_without_time_zero_is_left_out_with_his_lines(tmp_path: Path) -> None:
    given = mapping_of({"time_zero": {"column": "zero", "date": "auto"}})
    for table in given["tables"].values():
        for name in ("relapse_month", "os_month", "start_month"):
            if name in table[0]["columns"]:
                table[0]["columns"][name] = {"column": name, "date": "auto"}
    data = {
        **ONE,
        "zero": ["2024-01-01", "next week"],
        "relapse_month": ["2024-02-01", "2024-02-01"],
        "os_month": ["2024-06-01", "2024-06-01"],
        "start_month": ["2024-03-01", "2024-03-01"],
    }
    imported = run(tmp_path, given, data)
    assert cohort_of(imported).salvage["start_month"].tolist() == [months(60)]
    assert unmapped(imported) == [
        (3, "time_zero", "next week", "row left out"),
        (3, "patient_id", "B", "row left out"),
    ]


def test_times_of_a_patient_whose_source_gives_no_time_zero_are_listed(tmp_path: Path) -> None:
    """One source of patients has time zero and another counts from it already."""
    late = {"column": "late", "date": "auto"}
    given = mapping_of(
        {"relapse_month": late, "os_month": late},
        {"start_month": late, "response_month": late, "best_response": {"value": "CR"}},
    )
    first = given["tables"]["patients"][0]
    second = {"source": "all", "columns": dict(first["columns"])}
    first["columns"]["time_zero"] = {"column": "zero", "date": "auto"}
    second["columns"] |= {"relapse_month": {"value": "1"}, "os_month": {"value": "9"}}
    first["keep"] = [{"column": "id", "equals": "A"}]
    second["keep"] = [{"column": "id", "equals": "B"}]
    given["tables"]["patients"].append(second)
    data = {key: [*values, values[0]] for key, values in ONE.items()}
    data |= {"id": ["A", "B", ""], "zero": ["2022-01-01"] * 3, "late": ["2023-01-01"] * 3}
    imported = run(tmp_path, given, data)
    assert [
        (u.row, u.column, u.reason) for u in imported.mapped.unmapped if u.table == "salvage"
    ] == [
        (3, "start_month", "its patient has no time zero"),
        (3, "response_month", "its patient has no time zero"),
        (4, "patient_id", "expected a value (an identifier); the cell is blank"),
    ]


def test_an_optional_cell_that_cannot_be_mapped_is_left_blank_and_listed(tmp_path: Path) -> None:
    given = mapping_of({"age": "drug", "sex": {"column": "drug", "values": {"nivolumab": "F"}}})
    imported = run(tmp_path, given)
    assert cohort_of(imported).patients["sex"].tolist() == [None, "F"]
    assert cohort_of(imported).patients["age"].isna().all()
    assert unmapped(imported) == [
        (2, "age", "Pola-BR", "cell left blank"),
        (2, "sex", "Pola-BR", "cell left blank"),
        (3, "age", "nivolumab", "cell left blank"),
    ]
    assert "3 cells could not be mapped and left blank" in imported.report()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"values": {"POLA-br": "CR", "nivolumab": "PD"}}, ["CR", "PD"]),
        ({"values": {"pola-br": "CR"}, "otherwise": "NE"}, ["CR", "NE"]),
        ({"values": {"pola-br": ""}, "otherwise": "SD", "blank": "NE"}, ["NE", "SD"]),
        ({"patterns": {"PR": ["p*br"], "SD": ["*MAB"]}}, ["PR", "SD"]),
        ({"patterns": {"PR": ["*a*"], "SD": ["*mab"]}}, ["PR", "PR"]),
        ({"patterns": {"PR": ["."]}, "otherwise": "NE"}, ["NE", "NE"]),
        ({"values": {"nivolumab": "PD"}, "patterns": {"PR": ["*"]}}, ["PR", "PD"]),
    ],
)
def test_recoding(tmp_path: Path, spec: dict[str, Any], expected: list[str]) -> None:
    given = mapping_of(salvage={"best_response": {"column": "drug", **spec}})
    assert cohort_of(run(tmp_path, given)).salvage["best_response"].tolist() == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [({"otherwise": "NE"}, ["NE", "PD"]), ({}, ["PD"]), ({"keep_unlisted": "true"}, ["SD", "PD"])],
)
def test_a_code_that_is_right_already_stays_only_if_the_mapping_says_so(
    tmp_path: Path, more: dict[str, str], expected: list[str]
) -> None:
    spec = {"column": "answer", "values": {"pd": "PD"}, **more}
    data = {**ONE, "answer": ["SD", "pd"]}
    imported = run(tmp_path, mapping_of(salvage={"best_response": spec}), data)
    assert cohort_of(imported).salvage["best_response"].tolist() == expected


@pytest.mark.parametrize(
    ("take", "expected"),
    [("earliest", 2.0), ("latest", 8.0), ("first", 5.0), ("last", 2.0), ("count", 4.0)],
)
def test_one_value_for_each_patient_from_another_source(
    tmp_path: Path, take: str, expected: float
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pd.DataFrame(ONE).to_csv(source / "all.csv", index=False)
    events = {"who": list("AAAAAB"), "month": ["", 5, 8, 2, 1, 0], "kind": list("eeeexe")}
    pd.DataFrame(events).to_csv(source / "events.csv", index=False)
    where = [{"column": "kind", "equals": "E"}]
    spec = {"source": "events", "by": "who", "column": "month", "take": take, "where": where}
    given = mapping_of({"relapse_month": spec, "os_month": "last"}, {"start_month": "last"})
    given["sources"] = {"all": "all.csv", "events": "events.csv"}
    cohort = cohort_of(run(tmp_path, given, source))
    assert cohort.patients["relapse_month"].tolist() == [expected, 1.0 if take == "count" else 0.0]


def with_visits(
    folder: Path, visits: Mapping[str, list[Any]], column: str = "relapse_month", **more: Any
) -> Imported:
    """Import dates, one column of the patients being the earliest day of their visits."""
    source = folder / "source"
    source.mkdir()
    data = {**ONE, "zero": ["2022-01-01"] * 2, "late": ["2023-01-01"] * 2}
    pd.DataFrame(data).to_csv(source / "all.csv", index=False)
    pd.DataFrame(visits).to_csv(source / "visits.csv", index=False)
    zero, late = ({"column": name, "date": "auto"} for name in ("zero", "late"))
    spec = {"source": "visits", "by": "who", "column": "day", "take": "earliest", "date": "auto"}
    asked = {key: value for key, value in (spec | more).items() if value is not None}
    days = {"time_zero": zero, "relapse_month": late, "os_month": late}
    given = mapping_of({**days, column: asked}, {"start_month": late})
    given["sources"] = {"all": "all.csv", "visits": "visits.csv"}
    return run(folder, given, source)


def looked_up(imported: Imported) -> list[tuple[int, str, str, str, str]]:
    """What stands in the way of the patients' cells, without the lines that follow them."""
    return [
        (u.row, u.column, u.value, u.found_in, u.outcome)
        for u in imported.mapped.unmapped
        if u.table == "patients"
    ]


UNREADABLE = {"who": ["A", "A", "B", "B"], "day": ["2022-05-01", "01.03.2022", "2022-06-01", ""]}


@pytest.mark.parametrize("take", ["earliest", "latest"])
def test_a_date_that_cannot_be_read_may_be_the_one_to_take(tmp_path: Path, take: str) -> None:
    imported = with_visits(tmp_path, UNREADABLE, take=take)
    assert cohort_of(imported).patients["patient_id"].tolist() == ["B"]
    assert cohort_of(imported).patients["relapse_month"].tolist() == [months(151)]
    assert looked_up(imported) == [
        (2, "relapse_month", "01.03.2022", "visits, row 3", "row left out")
    ]
    text = imported.report()
    assert 'all, row 2, relapse_month "01.03.2022" (visits, row 3): expected a date as' in text
    assert f"without it the {take} is not known; row left out" in text
    with (tmp_path / "out" / "unmapped.csv").open(newline="", encoding="utf-8") as stream:
        first = next(iter(csv.DictReader(stream)))
    assert (first["value"], first["found_in"]) == ("01.03.2022", "visits, row 3")


def test_every_date_that_cannot_be_read_is_listed(tmp_path: Path) -> None:
    visits = {"who": ["A", "A", "A"], "day": ["soon", "2022-05-01", "later"]}
    imported = with_visits(tmp_path, visits)
    assert looked_up(imported)[:2] == [
        (2, "relapse_month", "soon", "visits, row 2", "row left out"),
        (2, "relapse_month", "later", "visits, row 4", "row left out"),
    ]
    assert imported.mapped.counts[0].left_out == 2


def test_a_time_zero_that_cannot_be_read_leaves_the_patient_out(tmp_path: Path) -> None:
    imported = with_visits(tmp_path, UNREADABLE, column="time_zero")
    assert looked_up(imported) == [(2, "time_zero", "01.03.2022", "visits, row 3", "row left out")]


def test_an_optional_time_that_cannot_be_read_is_left_blank(tmp_path: Path) -> None:
    imported = with_visits(tmp_path, UNREADABLE, column="age", date=None, blank="50", take="latest")
    assert cohort_of(imported).patients["age"].isna().all()
    assert {one[-1] for one in looked_up(imported)} == {"cell left blank"}
    assert "2 cells could not be mapped and left blank" in imported.report()
    assert "expected a number; without it the latest is not known" in imported.report()


@pytest.mark.parametrize(
    "more",
    [
        {"values": {"01.03.2022": ""}},
        {"where": [{"column": "day", "not_in": ["01.03.2022"]}]},
        {"take": "first"},
    ],
)
def test_a_text_that_the_mapping_leaves_aside_is_in_no_ones_way(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    imported = with_visits(tmp_path, UNREADABLE, **more)
    assert cohort_of(imported).patients["relapse_month"].tolist() == [months(120), months(151)]


def test_a_source_that_is_only_looked_up_is_counted(tmp_path: Path) -> None:
    visits = {
        "who": ["A", "A", "B", "B", "C", ""],
        "day": ["2022-05-01", "", "2022-06-01", "2022-07-01", "soon", "soon"],
        "kind": list("rrrxrr"),
    }
    where = [{"column": "kind", "equals": "r"}]
    imported = with_visits(tmp_path, visits, where=where)
    assert (
        "visits, looked up for patients.relapse_month: 6 rows read, 1 not kept by where, "
        "2 of other patients, 1 blank, 2 to take from." in imported.report()
    )
    assert not imported.mapped.unmapped


def test_a_source_from_which_nothing_is_taken_is_named(tmp_path: Path) -> None:
    given = mapping_of()
    given["sources"] = {"all": {}, "spare": {}}
    assert "Read, but nothing is taken from it: spare." in run(tmp_path, given).report()


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"column": "drug", "equals": "POLA-br"}, ["A"]),
        ({"column": "drug", "in": ["nivolumab", "x"]}, ["B"]),
        ({"column": "drug", "not_in": ["nivolumab"]}, ["A"]),
        ({"column": "drug", "contains": "*ola-*r"}, ["A"]),
        ({"column": "empty", "blank": "true"}, ["A", "B"]),
        ({"column": "drug", "blank": "false"}, ["A", "B"]),
        ({"column": "start", "at_least": "31"}, ["A"]),
        ({"column": "start", "above": "31"}, []),
        ({"column": "start", "at_most": "0"}, ["B"]),
        ({"column": "start", "below": "31"}, ["B"]),
        ({"column": "empty", "below": "31"}, []),
        ({"column": "salvage.start_month", "above": "patients.relapse_month"}, ["A"]),
        ({"column": "patients.age", "above": "70"}, ["B"]),
        ({"column": "start", "at_most": "patients.os_month"}, ["B"]),
    ],
)
def test_rules(tmp_path: Path, rule: dict[str, Any], kept: list[str]) -> None:
    imported = run(tmp_path, mapping_of(keep=[rule]), {**ONE, "empty": ["", ""]})
    assert imported.mapped.tables["salvage"]["patient_id"].tolist() == kept
    listed = {row for row, *_, outcome in unmapped(imported) if outcome == "row not kept"}
    assert listed == {2 + "AB".index(p) for p in "AB" if p not in kept}


# --- lines ----------------------------------------------------------------------------------------


def test_lines_are_numbered_by_start_then_by_the_order_of_the_mapping(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pd.DataFrame(ONE).to_csv(source / "all.csv", index=False)
    pd.DataFrame({"id": ["B", "A", "A"], "start": [5, 31, 30], "drug": ["x", "y", "z"]}).to_csv(
        source / "more.csv", index=False
    )
    given = mapping_of()
    given["sources"] = {"all": "all.csv", "more": "more.csv"}
    fixed = {"category": {"value": "radiotherapy"}, "best_response": {"value": "NE"}}
    given["tables"]["salvage"].append({"source": "more", "columns": {**SALVAGE_COLUMNS, **fixed}})
    imported = run(tmp_path, given, source)
    lines = cohort_of(imported).salvage
    assert lines[["patient_id", "line", "regimen"]].to_numpy().tolist() == [
        ["A", 1, "z"], ["A", 2, "Pola-BR"], ["A", 3, "y"], ["B", 1, "nivolumab"], ["B", 2, "x"],
    ]  # fmt: skip
    assert imported.mapped.origins["salvage"][0] == ("more", 4)


def test_lines_keep_the_numbers_of_the_source(tmp_path: Path) -> None:
    data = {key: [*values, values[0]] for key, values in ONE.items()} | {"no": [2, 1, 1]}
    data["start"] = [40, 0, 31]
    given = mapping_of(salvage={"line": "no"})
    given["sources"] = {"all": "all.csv"}
    (tmp_path / "source").mkdir()
    pd.DataFrame(data).to_csv(tmp_path / "source" / "all.csv", index=False)
    given["tables"]["patients"][0]["keep"] = [{"column": "no", "equals": "1"}]
    lines = cohort_of(run(tmp_path, given, tmp_path / "source")).salvage
    assert lines["start_month"].tolist() == [months(31), months(40), 0.0]


TWICE = {key: [*values, *values] for key, values in ONE.items()}


def with_lines(
    folder: Path, lines: Mapping[str, list[Any]], salvage: Mapping[str, Any] | None = None
) -> Imported:
    """Import the two patients with lines from a file of their own."""
    source = folder / "source"
    source.mkdir()
    pd.DataFrame(ONE).to_csv(source / "all.csv", index=False)
    pd.DataFrame(lines).to_csv(source / "lines.csv", index=False)
    given = mapping_of(salvage=salvage)
    given["sources"] = {"all": "all.csv", "lines": "lines.csv"}
    given["tables"]["salvage"][0]["source"] = "lines"
    return run(folder, given, source)


def test_line_numbers_that_skip_a_row_are_said(tmp_path: Path) -> None:
    lines = {**TWICE, "start": [31, 0, 60, 20], "drug": ["?", "nivo", "pola", "nivo"]}
    imported = with_lines(tmp_path, lines)
    made = cohort_of(imported).salvage
    assert made[["patient_id", "line"]].to_numpy().tolist() == [["A", 1], ["B", 1], ["B", 2]]
    text = imported.report()
    assert "The line numbers of 1 patient skip a row that was left out: A. A later line" in text
    assert "results of first lines, and adverse events that name a line, depend on it" in text
    assert "without any salvage line" not in text


def test_a_patient_all_of_whose_lines_were_left_out_is_named(tmp_path: Path) -> None:
    imported = with_lines(tmp_path, {**ONE, "drug": ["?", "nivo"]})
    text = imported.report()
    assert "1 patient without any salvage line, since every row was left out: A." in text
    assert "skip a row" not in text


def test_line_numbers_of_the_source_skip_nothing_in_silence(tmp_path: Path) -> None:
    lines = {**TWICE, "drug": ["?", "nivo", "pola", "nivo"], "no": [1, 1, 2, 2]}
    imported = with_lines(tmp_path, lines, {"line": "no"})
    assert imported.cohort is None
    assert "without gaps" in imported.problems[0].expected
    assert "skip a row" not in imported.report()


def test_rows_that_a_rule_leaves_out_are_no_lines(tmp_path: Path) -> None:
    keep = [{"column": "drug", "not_in": ["nivolumab"]}]
    text = run(tmp_path, mapping_of(keep=keep)).report()
    assert "skip a row" not in text
    assert "without any salvage line" not in text


def test_only_the_first_patients_are_named(tmp_path: Path) -> None:
    data = {key: [values[0]] * 7 for key, values in ONE.items()}
    data |= {"id": [f"P{n}" for n in range(7)], "drug": ["?"] * 6 + ["pola"]}
    text = run(tmp_path, mapping_of(), data).report()
    assert "6 patients without any salvage line" in text
    assert "left out: P0, P1, P2, P3, P4 and 1 more." in text


def test_every_failure_of_a_row_is_listed_at_once(tmp_path: Path) -> None:
    data = {**ONE, "age": ["old", 50], "relapse": ["soon", 0], "last": ["", 200]}
    imported = run(tmp_path, mapping_of(), data)
    assert unmapped(imported)[:3] == [
        (2, "age", "old", "row left out"),
        (2, "relapse_month", "soon", "row left out"),
        (2, "os_month", "", "row left out"),
    ]
    assert "1 written, 0 not kept by the mapping's rules, 1 left out" in imported.report()


# --- what comes out -------------------------------------------------------------------------------


def test_rows_that_contradict_each_other_are_named_with_their_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping, source = tmp_path / "mapping.yaml", tmp_path / "all.csv"
    mapping.write_text(yaml.safe_dump(mapping_of()))
    pd.DataFrame({**ONE, "start": [400, 0]}).to_csv(source, index=False)
    out = tmp_path / "out"
    assert main(["import", str(source), "--mapping", str(mapping), "--out", str(out)]) == 1
    message = capsys.readouterr()
    assert "all to salvage: 2 rows read, 2 written" in message.out
    assert "out was written but cannot be used yet: 1 problem" in message.err
    assert "salvage.csv, row 2, column start_month" in message.err
    assert "it comes from all, row 2" in message.err


def test_the_report_and_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping, source = tmp_path / "mapping.yaml", tmp_path / "source"
    source.mkdir()
    given = mapping_of(keep=[{"column": "drug", "not_in": ["nivolumab"]}])
    given["sources"] = {"all": "all.csv"}
    mapping.write_text(yaml.safe_dump(given))
    data = {key: [*values, values[0]] for key, values in ONE.items()}
    data["id"] = ["A", "B", "=cmd()"]
    data["dead"] = [0, 1, "\x1b[31m?"]
    pd.DataFrame(data).to_csv(source / "all.csv", index=False)
    (source / "notes.txt").write_text("x")
    out = tmp_path / "out"
    assert main(["import", str(source), "--mapping", str(mapping), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert (
        "all to patients: 3 rows read, 2 written, 0 not kept by the mapping's rules, 1 left" in text
    )
    assert (
        "all to salvage: 3 rows read, 1 written, 1 not kept by the mapping's rules, 1 left" in text
    )
    assert "Not named in the mapping: notes.txt." in text
    assert "2 patients, 1 salvage line and 0 adverse events; no errors." in text
    assert "\x1b" not in text
    with (out / "unmapped.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["table"], r["row"], r["column"], r["value"]) for r in rows] == [
        ("patients", "4", "died", "\x1b[31m?"),
        ("salvage", "3", "drug", "nivolumab"),
        ("salvage", "4", "patient_id", "'=cmd()"),
    ]


def test_texts_that_look_like_formulas_are_written_as_text_and_come_back(tmp_path: Path) -> None:
    drugs = ['=HYPERLINK("x")', "@pola"]
    given = mapping_of(salvage={"category": {"value": "other"}})
    cohort = cohort_of(run(tmp_path, given, {**ONE, "drug": drugs}))
    assert cohort.salvage["regimen"].tolist() == drugs
    with (tmp_path / "out" / "salvage.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["regimen"] for row in csv.DictReader(stream)] == [f"'{drug}" for drug in drugs]


def test_no_date_is_left_in_the_cohort(tmp_path: Path) -> None:
    date = {"column": "day", "date": "auto"}
    given = mapping_of(
        {"time_zero": {"column": "zero", "date": "auto"}, "relapse_month": date, "os_month": date},
        {"start_month": date},
    )
    run(tmp_path, given, {**ONE, "zero": ["2023-01-01"] * 2, "day": ["2023-07-01"] * 2})
    for file in ("patients.csv", "salvage.csv", "study.yaml"):
        assert "2023" not in (tmp_path / "out" / file).read_text()


# --- a folder that is there already ---------------------------------------------------------------


def with_events() -> dict[str, Any]:
    """The mapping with a table of adverse events beside the other two."""
    made = mapping_of()
    fever = {"patient_id": "id", "term": {"value": "fever"}, "grade": {"value": "1"}}
    made["tables"]["adverse_events"] = [{"source": "all", "columns": fever}]
    return made


def test_importing_again_replaces_the_tables(tmp_path: Path) -> None:
    run(tmp_path, mapping_of())
    again = cohort_of(run(tmp_path, mapping_of(), {**ONE, "age": [50, 51]}))
    assert again.patients["age"].tolist() == [50.0, 51.0]
    assert "earlier import" not in run(tmp_path, mapping_of()).report()


def test_a_table_that_the_mapping_has_no_longer_is_removed_and_named(tmp_path: Path) -> None:
    assert len(cohort_of(run(tmp_path, with_events())).adverse_events) == 2
    again = run(tmp_path, mapping_of())
    assert cohort_of(again).adverse_events.empty
    assert again.removed == ("adverse_events.csv",)
    assert "adverse_events.csv of an earlier import was removed" in again.report()


@pytest.mark.parametrize(
    "names",
    [
        ["adverse_events.csv"],
        ["patients.parquet"],
        ["Salvage.CSV"],
        ["study.yaml"],
        ["patients.csv", "salvage.csv", "study.yaml"],
    ],
)
def test_a_cohort_that_no_import_made_is_never_written_over(
    tmp_path: Path, names: list[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (*names, "notes.txt"):
        (out / name).write_text(f"by hand: {name}")
    with pytest.raises(InputError, match="Nothing was written") as caught:
        run(tmp_path, mapping_of())
    assert [problem.file for problem in caught.value.problems] == [str(out / n) for n in names]
    assert {f.name: f.read_text() for f in out.iterdir()} == {
        name: f"by hand: {name}" for name in (*names, "notes.txt")
    }


def test_the_command_refuses_a_cohort_that_no_import_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping, source, out = tmp_path / "mapping.yaml", tmp_path / "all.csv", tmp_path / "out"
    mapping.write_text(yaml.safe_dump(mapping_of()))
    pd.DataFrame(ONE).to_csv(source, index=False)
    out.mkdir()
    (out / "patients.csv").write_text("patient_id\nOLD\n")
    assert main(["import", str(source), "--mapping", str(mapping), "--out", str(out)]) == 1
    message = capsys.readouterr()
    assert not message.out
    assert "Nothing was written, so that no cohort is lost: 1 problem" in message.err
    assert "patients.csv; expected a folder without this file" in message.err


def test_other_files_of_a_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("by hand")
    cohort_of(run(tmp_path, mapping_of()))
    assert (tmp_path / "out" / "notes.txt").read_text() == "by hand"


def test_settings_that_were_edited_stay_and_what_differs_is_said(tmp_path: Path) -> None:
    settings = tmp_path / "out" / "study.yaml"
    run(tmp_path, mapping_of())
    edited = settings.read_text().replace("audience: internal", "audience: public # by hand")
    settings.write_text(edited.replace("centre: ''", "centre: Ours"))
    before = settings.read_bytes()
    again = run(tmp_path, mapping_of())
    assert settings.read_bytes() == before
    assert cohort_of(again).study.public
    assert again.settings == ("centre", "audience")
    text = again.report()
    assert "study.yaml was kept as it was. It differs from the mapping's study in centre" in text
    assert "centre and audience. To take the mapping's settings, remove study.yaml" in text
    settings.unlink()
    fresh = run(tmp_path, mapping_of())
    assert not cohort_of(fresh).study.public
    assert fresh.settings == ()


def test_settings_that_are_the_same_are_not_mentioned(tmp_path: Path) -> None:
    given = {**mapping_of(), "study": {"early_relapse_months": "6", "labels": {"other": "Drugs"}}}
    run(tmp_path, given)
    assert "study.yaml" not in run(tmp_path, given).report()


def test_kept_settings_that_cannot_be_read_are_a_problem_of_the_cohort(tmp_path: Path) -> None:
    run(tmp_path, mapping_of())
    (tmp_path / "out" / "study.yaml").write_text("audience: everyone\n")
    again = run(tmp_path, mapping_of())
    assert again.cohort is None
    assert [problem.file for problem in again.problems] == ["study.yaml"]


def test_the_source_is_never_written_over(tmp_path: Path) -> None:
    pd.DataFrame(ONE).to_csv(tmp_path / "patients.csv", index=False)
    before = (tmp_path / "patients.csv").read_bytes()
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(mapping_of()))
    for source in (tmp_path, tmp_path / "patients.csv"):
        with pytest.raises(InputError, match="another folder"):
            importing.run(source, mapping, tmp_path / "x" / "..")
    assert (tmp_path / "patients.csv").read_bytes() == before


texts = st.sampled_from(
    ["", "A", "B", "5", "-3", "2,5", "abc", "CR", "pd", "=1", "2024-01-01", "病"]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.fixed_dictionaries(dict.fromkeys(ONE, texts)), min_size=1, max_size=8),
    st.booleans(),
)
def test_every_row_goes_somewhere(tmp_path: Path, rows: list[dict[str, str]], rule: bool) -> None:
    """Rows read are rows written, not kept and left out; each of the latter is listed."""
    keep = [{"column": "drug", "not_in": ["B"]}] if rule else []
    with (tmp_path / "all.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(ONE))
        writer.writeheader()
        writer.writerows(rows)
    filled = sum(any(row.values()) for row in rows)
    mapped = run(tmp_path, mapping_of(keep=keep), tmp_path / "all.csv").mapped
    for count in mapped.counts:
        assert count.read == filled
        assert count.read == count.written + count.not_kept + count.left_out
        listed = [
            (one.row, one.column, one.outcome)
            for one in mapped.unmapped
            if one.table == count.table
        ]
        assert len(listed) == len(set(listed))
        gone = {row for row, _, outcome in listed if outcome != "cell left blank"}
        blank = [row for row, _, outcome in listed if outcome == "cell left blank"]
        assert len(gone) == count.not_kept + count.left_out
        assert len(blank) == count.left_blank
        assert not gone & set(blank)
        assert len(mapped.tables[count.table]) == count.written


# --- mappings that cannot be used -----------------------------------------------------------------


def _wrong(path: str, value: object) -> dict[str, Any]:
    """The valid mapping with one place of it changed."""
    made: Any = yaml.safe_load(yaml.safe_dump(mapping_of()))
    *way, last = path.split("/")
    place = made
    for step in way:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return dict(made)


P, S = "tables/patients/0/", "tables/salvage/0/"


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (_wrong("tablez", {}), "column tablez; expected one of the keys study"),
        (_wrong("sources", {}), "column sources; expected at least one source"),
        (_wrong("sources/all/shet", "x"), "(did you mean sheet?)"),
        (_wrong("sources/all/header", "0"), "a whole number, 1 or more"),
        (_wrong("sources/all/encoding", "utf-99"), "an encoding such as"),
        (_wrong("sources/all/file", "../secret.csv"), "a file inside the folder"),
        (_wrong("sources/all/labels", "maybe"), "expected true or false"),
        (_wrong("tables/salvage", None), "tables.salvage; expected a list of sources"),
        (_wrong("tables/patients", "people"), "expected a list, each item after a dash"),
        (_wrong(P + "source", "al"), 'found "al"; expected one of all (did you mean all?)'),
        (_wrong(P + "columns/os_month", None), "expected os_month: death or last contact"),
        (_wrong(P + "columns/os_mont", "last"), "(did you mean os_month?)"),
        (_wrong(P + "columns/sex", {"column": "female", "values": {"1": "W"}}), 'found "W"'),
        (_wrong(P + "columns/sex", {"values": {"1": "F"}}), "expected either column or value"),
        (_wrong(P + "columns/age", {"column": "age", "unit": "years"}), "date only for"),
        (_wrong(P + "columns/os_month", {"column": "last", "unit": "day"}), "(did you mean days?)"),
        (_wrong(P + "columns/os_month", {"column": "last", "date": "dmy"}), "a pattern such as"),
        (_wrong(P + "columns/age", {"source": "all", "column": "age"}), "with source: by"),
        (_wrong(P + "columns/age", {"column": "age", "take": "first"}), "source; without it,"),
        (_wrong(P + "columns/age", {"column": ["age", {}]}), "expected text"),
        (_wrong(S + "columns/category", {"column": "drug", "patterns": {"polatuzumb": ["p"]}}),
         "(did you mean polatuzumab?)"),
        (_wrong(S + "columns/best_response", {"column": "answer", "otherwise": "?"}), 'found "?"'),
        (_wrong(S + "keep", [{"column": "drug"}]), "salvage[1].keep[1]; expected column and"),
        (_wrong(S + "keep", [{"column": "start", "at_least": "soon"}]), "a number, a date as"),
        (_wrong(S + "keep", [{"column": "start", "blank": "no"}]), "one of true, false"),
        (_wrong(P + "columns/patient_id", {"source": "all", "by": "id", "take": "first",
                                           "column": "id"}), "a column of this source"),
        (_wrong(P + "columns/age", {"source": "all", "by": "id", "take": "first", "value": "5"}),
         'found "5"; expected with source: column, and no value'),
        (_wrong(P + "columns/age", {"source": "all", "by": "id", "take": "first", "column": "age",
                                    "where": [{"column": "age", "above": "patients.os_month"}]}),
         'found "age above patients.os_month"; expected a column of the source that is looked up'),
        (_wrong("study/audience", "everyone"), "mapping.yaml, column study.audience"),
        (_wrong(S + "columns/regimen", "drugs"), 'found "drugs"; expected a column of all: id'),
        (_wrong(S + "keep", [{"column": "stert", "blank": "true"}]), "(did you mean start?)"),
        (_wrong("sources/all/file", "none.csv"), "none.csv; expected a file in"),
        ([1], "key: value lines"),
        ("", "at least one source"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mapping_is_said(
    tmp_path: Path, mapping: object, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path, mapping)
    assert expected in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    given = _wrong("sources/all/shet", "x")
    given["tables"]["patients"][0]["columns"]["sexx"] = "female"
    given["tables"]["salvage"][0]["keep"] = [{"column": "drug"}]
    with pytest.raises(MappingError) as caught:
        run(tmp_path, given)
    assert len(caught.value.problems) == 3


def test_line_from_some_sources_only_is_refused(tmp_path: Path) -> None:
    given = mapping_of(salvage={"line": "start"})
    given["tables"]["salvage"].append({"source": "all", "columns": SALVAGE_COLUMNS})
    with pytest.raises(MappingError, match="line from every source or from none"):
        run(tmp_path, given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sources: [", "row 1; expected a YAML file"),
        ("a: 1\na: 2\n", "a is given twice"),
        ("a: !!python/object/apply:os.system ['exit 1']", "a YAML file"),
        (b"\xff\xfe", "a YAML file in UTF-8"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str | bytes, expected: str) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MappingError, match=re.escape(expected)):
        read_mapping(file)


def test_words_of_a_mapping_stay_words(tmp_path: Path) -> None:
    """In YAML, ``no`` would be false and ``01`` one; in a mapping they are what they look like."""
    mapping = yaml.safe_dump(mapping_of({"died": {"column": "dead", "values": {}}}))
    mapping = mapping.replace("values: {}", "values: {no: 0, yes: 1, 01: 1}")
    (tmp_path / "mapping.yaml").write_text(mapping)
    pd.DataFrame({**ONE, "dead": ["no", "01"]}).to_csv(tmp_path / "all.csv", index=False)
    imported = importing.run(tmp_path / "all.csv", tmp_path / "mapping.yaml", tmp_path / "out")
    assert cohort_of(imported).patients["died"].tolist() == [False, True]


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(mapping_of()))
    with pytest.raises(InputError, match="expected this file or folder"):
        importing.run(tmp_path / "nothing", tmp_path / "mapping.yaml", tmp_path / "out")


def test_a_list_of_values_can_be_shared_by_a_merge_key(tmp_path: Path) -> None:
    given = yaml.safe_dump(mapping_of(salvage={"best_response": "ANSWER"}))
    merged = "{column: answer, values: {<<: &shared {cr: CR}, pd: PD}}"
    (tmp_path / "mapping.yaml").write_text(given.replace("ANSWER", merged))
    pd.DataFrame(ONE).to_csv(tmp_path / "all.csv", index=False)
    imported = importing.run(tmp_path / "all.csv", tmp_path / "mapping.yaml", tmp_path / "out")
    assert cohort_of(imported).salvage["best_response"].tolist() == ["CR", "PD"]
