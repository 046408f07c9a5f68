"""Files of REDCap, ADaM and OMOP, end to end: drafted, the questions answered, imported.

The patients are the same in each, so that each must give the same cohort. All are invented.
"""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastparquet
import pandas as pd
import pyreadstat
import pytest

from salvage.__main__ import main
from salvage.cohort import Cohort, load
from salvage.cohort.cells import months

#: Infusion, relapse, death or last contact, and whether it was death.
COURSES = {
    "1": ("2023-01-10", "2023-04-10", "2023-12-01", True),
    "2": ("2023-02-01", "2023-05-20", "2024-02-01", False),
    "3": ("2023-03-15", "2023-09-15", "2024-01-15", False),
}
#: Patient, drugs that begin on one day, that day, the last one, response, day of progression.
LINES: list[tuple[str, list[str], str, str, str, str]] = [
    ("1", ["polatuzumab vedotin", "bendamustine"], "2023-04-15", "2023-06-30", "PR", "2023-07-01"),
    ("1", ["glofitamab"], "2023-07-10", "2023-09-30", "CR", ""),
    ("2", ["radiotherapy"], "2023-06-01", "2023-06-20", "NE", ""),
    ("3", ["nivolumab"], "2023-09-20", "2023-10-20", "PD", "2023-11-01"),
]
CATEGORIES = ["polatuzumab", "bispecific", "radiotherapy", "checkpoint"]


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def month(patient: str, text: str) -> float:
    return months((day(text) - day(COURSES[patient][0])).days)


def answered(mapping: Path, answers: dict[str, str] | None = None) -> int:
    """Answer the questions of a draft: nothing is typed but what stands before a mark.

    ``answers`` are by a piece of the line. Returns how many questions there were.
    """
    lines, asked = [], 0
    for line in mapping.read_text(encoding="utf-8").splitlines():
        head, mark, _ = line.partition("  # ?")
        if mark:
            asked += 1
            for piece, answer in (answers or {}).items():
                if piece in line:
                    head = re.sub(r'""$|(?<=: )[^:]*$', answer, head)
        lines.append(head if mark else line)
    mapping.write_text("\n".join(lines), encoding="utf-8")
    return asked


def imported(folder: Path, tmp_path: Path, answers: dict[str, str] | None = None) -> Cohort:
    """The cohort of a folder of files by a draft whose questions are answered."""
    mapping, out = tmp_path / "mapping.yaml", tmp_path / "cohort"
    assert main(["map", str(folder), "--out", str(mapping)]) == 0
    assert answered(mapping, answers) > 0
    assert main(["import", str(folder), "--mapping", str(mapping), "--out", str(out)]) == 0
    return load(out)


def same(cohort: Cohort, ids: Callable[[str], str] = str) -> None:
    """The cohort is that of COURSES and LINES."""
    patients, salvage = cohort.patients, cohort.salvage
    assert patients["patient_id"].tolist() == [ids(patient) for patient in COURSES]
    for column, part in (("relapse_month", 1), ("os_month", 2)):
        expected = [month(patient, str(course[part])) for patient, course in COURSES.items()]
        assert patients[column].tolist() == expected
    assert patients["died"].tolist() == [course[3] for course in COURSES.values()]
    assert salvage["patient_id"].tolist() == [ids(line[0]) for line in LINES]
    assert salvage["line"].tolist() == [1, 2, 1, 1]
    assert salvage["category"].tolist() == CATEGORIES
    assert salvage["start_month"].tolist() == [month(line[0], line[2]) for line in LINES]
    assert salvage["best_response"].tolist() == [line[4] for line in LINES]
    progressed = [month(line[0], line[5]) if line[5] else None for line in LINES]
    assert [None if pd.isna(m) else m for m in salvage["progression_month"]] == progressed


# --- ADaM -----------------------------------------------------------------------------------------


def adam(folder: Path, with_adcm: bool = True) -> Path:
    """Transport files of SAS: a CAR-T study, or one of salvage whose subjects had a CAR-T before.

    CNSR is 0 for a death, 1 for a subject who is alive and 2 for one who is lost. ADRS has each
    assessment, and the best response to the study's treatment.
    """
    folder.mkdir()
    subjects = list(COURSES)
    first = {line[0]: line for line in reversed(LINES)}
    adsl: dict[str, list[Any]] = {
        "USUBJID": subjects,
        "AGE": [62.0, 51.0, 68.0],
        "SEX": ["M", "F", "U"],
        "TRT01A": ["axicabtagene ciloleucel"] * 3,
        "TRTSDT": [day(COURSES[s][0]) for s in subjects],
    }
    if not with_adcm:
        adsl |= {
            "CARTDT": adsl["TRTSDT"],
            "RELAPSDT": [day(COURSES[s][1]) for s in subjects],
            "TRT01A": [first[s][1][0] for s in subjects],
            "TRTSDT": [day(first[s][2]) for s in subjects],
            "TRTEDT": [day(first[s][3]) for s in subjects],
        }
    ends = [day(COURSES[s][2]) for s in subjects]
    adtte = {
        "USUBJID": subjects * 2,
        "PARAMCD": ["PFS"] * 3 + ["OS"] * 3,
        "CNSR": [0.0, 0.0, 0.0, 0.0, 1.0, 2.0],
        "ADT": [day(COURSES[s][1]) for s in subjects] + ends,
        "AVAL": [90.0, 108.0, 184.0, 325.0, 365.0, 306.0],
    }
    rows = [(s, "OVRLRESP", day(COURSES[s][1]), "PD") for s in subjects] if with_adcm else []
    rows += [(s, "BOR", day(COURSES[s][1]), "PR") for s in subjects]
    for patient, _, start, _, response, progressed in LINES:
        assessed = day(start) + dt.timedelta(20)
        rows += [(patient, "OVRLRESP", assessed, response)] if response != "PD" else []
        rows += [(patient, "OVRLRESP", day(progressed), "PD")] if progressed else []
    adrs = dict(
        zip(("USUBJID", "PARAMCD", "ADT", "AVALC"), map(list, zip(*rows, strict=True)), strict=True)
    )
    adcm_rows = [
        (patient, "SUBSEQUENT ANTICANCER THERAPY", drug, day(start), day(end))
        for patient, drugs, start, end, _, _ in LINES
        for drug in [*drugs, "mesna"]
    ]
    # A drug before the relapse is no salvage line, nor is another kind of medication.
    adcm_rows += [
        ("1", "SUBSEQUENT ANTICANCER THERAPY", "tafasitamab", day("2023-02-01"), day("2023-02-02"))
    ]
    adcm_rows += [("2", "CONCOMITANT", "nivolumab", day("2023-06-01"), day("2023-06-02"))]
    names = ("USUBJID", "CMCAT", "CMDECOD", "ASTDT", "AENDT")
    adcm = dict(zip(names, map(list, zip(*adcm_rows, strict=True)), strict=True))
    adae = {"USUBJID": ["1"], "AEDECOD": ["Cytokine release syndrome"], "AETOXGR": ["2"],
            "ASTDT": [day("2023-07-12")]}  # fmt: skip
    tables = {"adsl": adsl, "adtte": adtte, "adrs": adrs, "adae": adae} | (
        {"adcm": adcm} if with_adcm else {}
    )
    for name, table in tables.items():
        pyreadstat.write_xport(pd.DataFrame(table), str(folder / f"{name}.xpt"), table_name=name)
    return folder


def test_adam_of_a_cart_study(tmp_path: Path) -> None:
    cohort = imported(adam(tmp_path / "adam"), tmp_path)
    same(cohort)
    assert cohort.patients["cart_best_response"].tolist() == ["PR"] * 3
    assert cohort.patients["sex"].tolist() == ["M", "F", None]
    assert cohort.salvage["regimen"].tolist()[0] == "bendamustine + polatuzumab vedotin"
    assert cohort.adverse_events["grade"].tolist() == [2]
    assert cohort.adverse_events["onset_month"].tolist() == [month("1", "2023-07-12")]


def test_adam_of_a_salvage_study(tmp_path: Path) -> None:
    """The study's treatment is the line; what came after it is not known."""
    cohort = imported(adam(tmp_path / "adam", with_adcm=False), tmp_path)
    assert cohort.patients["died"].tolist() == [True, False, False]
    assert cohort.salvage["category"].tolist() == ["polatuzumab", "radiotherapy", "checkpoint"]
    assert cohort.salvage["best_response"].tolist() == ["PR", "NE", "PD"]
    assert cohort.salvage["start_month"].tolist() == [
        month(line[0], line[2]) for line in LINES if line[1] != ["glofitamab"]
    ]


# --- OMOP -----------------------------------------------------------------------------------------

CONCEPTS = {
    "polatuzumab vedotin": 1, "bendamustine": 2, "glofitamab": 3, "radiotherapy": 4, "nivolumab": 5,
    "axicabtagene ciloleucel": 6, "mesna": 7, "Treatment Regimen": 8, "Disease Progression": 9,
    "Complete Remission": 10, "Partial Remission": 11, "Stable Disease": 12, "rituximab": 13,
}  # fmt: skip


def omop(folder: Path, suffix: str) -> Path:
    """Tables of the Common Data Model with the columns that are used, and some that are not."""
    folder.mkdir()
    dead = [p for p, course in COURSES.items() if course[3]]
    exposures = [
        (p, "axicabtagene ciloleucel", course[0], course[0]) for p, course in COURSES.items()
    ]
    exposures += [("1", "rituximab", "2021-01-01", "2021-06-01")]
    exposures += [(p, drug, s, e) for p, drugs, s, e, _, _ in LINES for drug in [*drugs, "mesna"]]
    # The lymphoma had progressed before the CAR-T too.
    episodes = [("1", "Disease Progression", "2022-11-01")]
    episodes += [(p, "Disease Progression", course[1]) for p, course in COURSES.items()]
    status = {"CR": "Complete Remission", "PR": "Partial Remission", "SD": "Stable Disease"}
    for patient, _, start, _, response, progressed in LINES:
        if response in status:
            seen = (day(start) + dt.timedelta(20)).isoformat()
            episodes.append((patient, status[response], seen))
        episodes += [(patient, "Disease Progression", progressed)] if progressed else []
        episodes.append((patient, "Treatment Regimen", start))
    tables = {
        "person": {
            "person_id": [int(p) for p in COURSES],
            "gender_concept_id": [8507, 8532, 0],
            "year_of_birth": [1960, 1971, 1955],
            "race_concept_id": [0, 0, 0],
        },
        "death": {"person_id": [int(p) for p in dead], "death_date": [COURSES[p][2] for p in dead]},
        "observation_period": {
            "person_id": [1, 2, 2, 3],
            "observation_period_start_date": ["2020-01-01"] * 2 + ["2023-01-01", "2022-01-01"],
            "observation_period_end_date": ["2023-12-20", "2022-12-01", "2024-02-01", "2024-01-15"],
        },
        "drug_exposure": {
            "drug_exposure_id": list(range(len(exposures))),
            "person_id": [int(row[0]) for row in exposures],
            "drug_concept_id": [CONCEPTS[row[1]] for row in exposures],
            "drug_exposure_start_date": [row[2] for row in exposures],
            "drug_exposure_end_date": [row[3] for row in exposures],
        },
        "episode": {
            "episode_id": list(range(len(episodes))),
            "person_id": [int(row[0]) for row in episodes],
            "episode_concept_id": [CONCEPTS[row[1]] for row in episodes],
            "episode_start_date": [row[2] for row in episodes],
        },
        "concept": {"concept_id": list(CONCEPTS.values()), "concept_name": list(CONCEPTS)},
    }  # fmt: skip
    for name, table in tables.items():
        frame = pd.DataFrame(table)
        if suffix == ".csv":
            frame.to_csv(folder / f"{name}.csv", index=False)
        else:
            dates = {c: pd.to_datetime(frame[c]) for c in frame if str(c).endswith("_date")}
            fastparquet.write(str(folder / f"{name}.parquet"), frame.assign(**dates))
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_omop(tmp_path: Path, suffix: str) -> None:
    cohort = imported(omop(tmp_path / "cdm", suffix), tmp_path)
    same(cohort)
    assert cohort.patients["sex"].tolist() == ["M", "F", None]
    assert cohort.patients["age"].tolist() == [63, 52, 68]
    assert cohort.salvage["regimen"].tolist()[0] == "bendamustine + polatuzumab vedotin"
