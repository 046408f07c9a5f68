"""Files of REDCap, ADaM and OMOP, end to end: drafted, the questions answered, imported.

The patients are the same in each, so that each must give the same cohort. All are invented.
"""

import csv
import datetime as dt
import io
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastparquet
import pandas as pd
import pyreadstat
import pytest

from salvage.__main__ import main
from salvage.cohort import Cohort, load
from salvage.cohort.cells import months
from salvage.paths import ROOT

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


# --- REDCap, a hospital's own project -------------------------------------------------------------

DRUGS = {
    "1": "Polatuzumab vedotin", "2": "Bendamustine", "3": "Glofitamab", "4": "Radiotherapy",
    "5": "Nivolumab", "6": "Trial drug",
}  # fmt: skip
RESPONSES = {"1": "Complete response", "2": "Partial response", "3": "Stable disease",
             "4": "Progressive disease", "5": "Not done"}  # fmt: skip
#: Form, field, type, label, choices. Dates are date_dmy on the screen, year first in an export.
FIELDS: list[tuple[str, str, str, str, dict[str, str]]] = [
    ("baseline", "record_id", "text", "Record ID", {}),
    ("baseline", "dob", "date", "Date of birth", {}),
    ("baseline", "sex", "radio", "Sex", {"1": "Male", "2": "Female"}),
    ("baseline", "dx", "dropdown", "Lymphoma diagnosis",
     {"1": "DLBCL NOS", "2": "HGBL", "-99": "Unknown"}),
    ("baseline", "aa_stage", "radio", "Ann Arbor stage",
     {"1": "I", "2": "II", "3": "III", "4": "IV", "-99": "Unknown"}),
    ("baseline", "ecog", "text", "ECOG performance status", {}),
    ("baseline", "ldh", "yesno", "LDH above normal", {}),
    ("cart", "cart_date", "date", "Date of <b>CAR-T infusion</b>", {}),
    ("cart", "cart_resp", "radio", "Best response to CAR-T", RESPONSES),
    ("course", "relapse_dt", "date", "Date of relapse after CAR-T", {}),
    ("course", "vital", "radio", "Vital status",
     {"1": "Alive", "2": "Dead", "3": "Lost to follow-up"}),
    ("course", "death_dt", "date", "Date of death", {}),
    ("course", "lfu_dt", "date", "Date of last contact", {}),
    ("course", "remarks", "notes", "Remarks", {}),
    ("salvage_therapy", "salv_start", "date", "Start of salvage treatment", {}),
    ("salvage_therapy", "salv_drugs", "checkbox", "Drugs given", DRUGS),
    ("salvage_therapy", "salv_end", "date", "End of treatment", {}),
    ("salvage_therapy", "salv_resp", "radio", "Best response", RESPONSES),
    ("salvage_therapy", "salv_pd", "date", "Date of progression", {}),
    ("toxicity", "ae_term", "text", "Adverse event term", {}),
    ("toxicity", "ae_grade", "radio", "Grade", {str(g): f"Grade {g}" for g in range(1, 6)}),
    ("toxicity", "ae_onset", "date", "Date of onset", {}),
]  # fmt: skip
FORMS = list(dict.fromkeys(form for form, *_ in FIELDS))
YES_NO = {"1": "Yes", "0": "No"}
BASELINE = {
    "1": {"dob": "1960-03-02", "sex": "1", "dx": "1", "aa_stage": "3", "ecog": "1", "ldh": "1"},
    "2": {"dob": "1971-06-30", "sex": "2", "dx": "-99", "aa_stage": "-99", "ecog": "-99",
          "ldh": "0"},
    "3": {"dob": "1955-01-01", "sex": "2", "dx": "2", "aa_stage": "4", "ecog": "2", "ldh": "1"},
}  # fmt: skip


def dictionary() -> str:
    """The project's data dictionary as REDCap writes it, with the columns that matter here."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(
        ["Variable / Field Name", "Form Name", "Field Type", "Field Label",
         "Choices, Calculations, OR Slider Labels", "Text Validation Type OR Show Slider Number"]
    )  # fmt: skip
    for form, name, kind, label, choices in FIELDS:
        listed = " | ".join(f"{code}, {text}" for code, text in choices.items())
        is_date = kind == "date"
        writer.writerow(
            [name, form, "text" if is_date else kind, label, listed, "date_dmy" if is_date else ""]
        )
    return stream.getvalue()


@dataclass(frozen=True)
class Project:
    """What is recorded: the baseline, course and lines of each patient, and adverse events."""

    baseline: dict[str, dict[str, str]]
    courses: dict[str, tuple[str, str, str, bool]]
    lines: list[tuple[str, list[str], str, str, str, str]]
    events: list[tuple[str, str, str, str]]


EVENTS = [("1", "CRS", "2", "2023-07-12"), ("3", "Fever", "1", "-99")]
OWN = Project(BASELINE, COURSES, LINES, EVENTS)


def records(
    longitudinal: bool, project: Project = OWN
) -> list[tuple[str, str, str, str, dict[str, str]]]:
    """Record, event, repeating form, its instance, and values: one for each row of an export."""
    rows = []
    later = "followup_arm_1" if longitudinal else ""
    for patient, (infused, relapsed, last, died) in project.courses.items():
        known = project.baseline[patient] | {"cart_date": infused, "cart_resp": "2"}
        course = {"relapse_dt": relapsed, "vital": "2" if died else "1", "lfu_dt": last}
        course |= {"death_dt": last} if died else {"remarks": "seen, twice"}
        if longitudinal:
            rows.append((patient, "baseline_arm_1", "", "", known))
            rows.append((patient, later, "", "", course))
        else:
            rows.append((patient, "", "", "", known | course))
        own = [line for line in project.lines if line[0] == patient]
        for number, (_, drugs, start, end, response, progressed) in enumerate(own, 1):
            ticked = {code for code, drug in DRUGS.items() if drug.lower() in drugs}
            answer = {"CR": "1", "PR": "2", "NE": "5", "PD": "4"}[response]
            values = {
                "salv_start": start,
                "salv_end": end,
                "salv_resp": answer,
                "salv_pd": progressed,
            }
            values |= {f"salv_drugs___{c}": str(int(c in ticked)) for c in DRUGS}
            rows.append((patient, later, "salvage_therapy", str(number), values))
    for patient, term, grade, onset in project.events:
        toxicity = {"ae_term": term, "ae_grade": grade, "ae_onset": onset}
        rows.append((patient, later, "toxicity", "1", toxicity))
    return rows


def export(labels: bool, longitudinal: bool, delimiter: str = ",", project: Project = OWN) -> str:
    """An export of all data, raw or with labels in the header and the cells."""
    names: dict[str, tuple[str, dict[str, str]]] = {}
    for form in FORMS:
        for own, name, kind, label, choices in FIELDS:
            label = re.sub("<.*?>", "", label)
            if own == form and kind == "checkbox":
                ticks = {"1": "Checked", "0": "Unchecked"}
                for code, text in choices.items():
                    names[f"{name}___{code}"] = (f"{label} (choice={text})", ticks)
            elif own == form:
                names[name] = (label, YES_NO if kind == "yesno" else choices)
        names[f"{form}_complete"] = ("Complete?", {"2": "Complete"})
    structure = {"redcap_event_name": "Event Name"} if longitudinal else {}
    structure |= {
        "redcap_repeat_instrument": "Repeat Instrument",
        "redcap_repeat_instance": "Repeat Instance",
    }
    head = ["record_id", *structure, *list(names)[1:]]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow([structure.get(n) or names[n][0] for n in head] if labels else head)
    for record, event, form, instance, values in records(longitudinal, project):
        values |= {"record_id": record, "redcap_event_name": event}
        values |= {"redcap_repeat_instrument": form, "redcap_repeat_instance": instance}
        values[f"{form or 'baseline'}_complete"] = "2"
        if labels:
            for n, (_, choices) in names.items():
                values[n] = choices.get(values.get(n, ""), values.get(n, ""))
            values["redcap_event_name"] = event.removesuffix("_arm_1").title()
            values["redcap_repeat_instrument"] = form.replace("_", " ").title()
        writer.writerow([values.get(name, "") for name in head])
    return stream.getvalue()


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("longitudinal", [False, True])
@pytest.mark.parametrize("delimiter", [",", "|"])
def test_a_hospitals_own_redcap_project(
    tmp_path: Path, labels: bool, longitudinal: bool, delimiter: str
) -> None:
    """Not a line of the mapping is typed: its questions are answered as the draft guessed."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Own_DataDictionary_2024-05-01.csv").write_text(dictionary(), encoding="utf-8")
    text = export(labels, longitudinal, delimiter)
    (folder / "Own_DATA_2024-05-01_1200.csv").write_text(text, encoding="utf-8")
    cohort = imported(folder, tmp_path)
    same(cohort)
    patients = cohort.patients
    assert patients["age"].tolist() == [62, 51, 68]
    assert patients["sex"].tolist() == ["M", "F", "F"]
    assert patients["histology"].tolist() == ["DLBCL NOS", None, "HGBL"]
    for name, values in (
        ("stage", [3, None, 4]),
        ("ecog", [1, None, 2]),
        ("ldh_elevated", [1, 0, 1]),
    ):
        assert [None if pd.isna(x) else x for x in patients[name]] == values
    assert patients["cart_best_response"].tolist() == ["PR"] * 3
    assert cohort.salvage["regimen"].tolist()[0] == "Bendamustine + Polatuzumab vedotin"
    assert cohort.adverse_events["grade"].tolist() == [2, 1]
    assert cohort.adverse_events["onset_month"].isna().tolist() == [False, True]


def test_a_dictionary_alone_drafts_for_the_export_to_come(tmp_path: Path) -> None:
    (tmp_path / "dictionary.csv").write_text(dictionary(), encoding="utf-8")
    mapping = tmp_path / "mapping.yaml"
    assert main(["map", str(tmp_path / "dictionary.csv"), "--out", str(mapping)]) == 0
    assert "if the form does not repeat" in mapping.read_text(encoding="utf-8")
    answered(mapping)
    source = tmp_path / "export.csv"
    source.write_text(export(labels=False, longitudinal=False), encoding="utf-8")
    out = tmp_path / "cohort"
    assert main(["import", str(source), "--mapping", str(mapping), "--out", str(out)]) == 0
    same(load(out))


def test_an_export_with_labels_is_told_from_a_raw_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mapping of a raw export says what to do with one that has labels."""
    assert main(["template", "--redcap", str(tmp_path / "p.csv")]) == 0
    source = tmp_path / "export.csv"
    source.write_text(export(labels=True, longitudinal=False), encoding="utf-8")
    mapping, out = tmp_path / "p.mapping.yaml", tmp_path / "cohort"
    assert main(["import", str(source), "--mapping", str(mapping), "--out", str(out)]) == 1
    assert "this export of REDCap has labels" in capsys.readouterr().err


def test_unanswered_a_draft_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A vital status in codes that no dictionary explains is asked for, never guessed."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "patients.csv").write_text(
        "patient,infused,relapsed,last contact,vital status\n"
        "1,2023-01-10,2023-04-10,2023-12-01,1\n2,2023-02-01,2023-05-20,2024-02-01,2\n"
    )
    (folder / "lines.csv").write_text(
        "patient,drug,start,response\n1,glofitamab,2023-05-01,CR\n2,pola-BR,2023-06-01,PR\n"
    )
    mapping, out = tmp_path / "mapping.yaml", tmp_path / "cohort"
    assert main(["map", str(folder), "--out", str(mapping)]) == 0
    assert main(["import", str(folder), "--mapping", str(mapping), "--out", str(out)]) == 1
    text = mapping.read_text(encoding="utf-8")
    assert text.count("row: one of 0, 1") == 2
    text = text.replace("'1': \"\"", "'1': 0").replace("'2': \"\"", "'2': 1")
    mapping.write_text(text, encoding="utf-8")
    capsys.readouterr()
    shutil.rmtree(out, ignore_errors=True)
    assert main(["import", str(folder), "--mapping", str(mapping), "--out", str(out)]) == 0
    assert load(out).patients["died"].tolist() == [False, True]


# --- the log of the book --------------------------------------------------------------------------


def invented() -> Project:
    """24 patients with up to three lines; two are never treated again."""
    rng = random.Random(7)
    project = Project({}, {}, [], [])
    regimens = [["polatuzumab vedotin", "bendamustine"], ["glofitamab"], ["radiotherapy"],
                ["nivolumab"], ["trial drug"], ["bendamustine"]]  # fmt: skip
    for number in range(1, 25):
        patient = str(number)
        infused = dt.date(2022, 1, 10) + dt.timedelta(rng.randrange(500))
        relapsed = infused + dt.timedelta(20 + rng.randrange(200))
        last = relapsed + dt.timedelta(25 + rng.randrange(300))
        course = (infused.isoformat(), relapsed.isoformat(), last.isoformat())
        project.courses[patient] = (*course, rng.random() < 0.65)
        born = dt.date(1945 + rng.randrange(40), 1 + rng.randrange(12), 1 + rng.randrange(28))
        project.baseline[patient] = {
            "dob": born.isoformat(), "sex": rng.choice("12"), "ldh": rng.choice("01"),
            "dx": rng.choice(["1", "1", "2", "-99"]), "ecog": rng.choice(["0", "1", "2", "-99"]),
            "aa_stage": rng.choice(["2", "3", "4", "4", "-99"]),
        }  # fmt: skip
        start = relapsed + dt.timedelta(rng.randrange(1, 20))
        for _ in range(0 if number in (5, 17) else 3):
            if start >= last:
                break
            end = min(start + dt.timedelta(rng.randrange(7, 80)), last)
            response = rng.choice(["CR", "PR", "PD", "PD", "NE"])
            progressed = min(end + dt.timedelta(rng.randrange(5, 60)), last)
            is_known = response != "CR" or rng.random() < 0.5
            day = progressed.isoformat() if is_known else ""
            line = (start.isoformat(), end.isoformat(), response, day)
            project.lines.append((patient, rng.choice(regimens), *line))
            start = progressed + dt.timedelta(rng.randrange(5, 30))
    first = {line[0]: line for line in reversed(project.lines)}
    for patient, line in first.items():
        if rng.random() < 0.4:
            project.events.append((patient, "CRS", rng.choice("1123"), line[2]))
    return project


def test_the_log_of_the_book_is_true(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line that a console of the page shows is printed, in this order."""
    folder = tmp_path / "redcap"
    folder.mkdir()
    name = "Salvage_{}_2024-05-01{}.csv"
    (folder / name.format("DataDictionary", "")).write_text(dictionary(), encoding="utf-8")
    text = export(labels=False, longitudinal=True, project=invented())
    (folder / name.format("DATA", "_0915")).write_text(text, encoding="utf-8")
    mapping = tmp_path / "mapping.yaml"
    assert main(["map", str(folder), "--out", str(mapping)]) == 0
    asked = [line for line in mapping.read_text(encoding="utf-8").splitlines() if "  # ?" in line]
    assert answered(mapping) == 5
    capsys.readouterr()
    out = str(tmp_path / "cohort")
    assert main(["import", str(folder), "--mapping", str(mapping), "--out", out]) == 0
    report = capsys.readouterr().out.replace(f"{out}:", "cohort:").splitlines()
    page = (ROOT / "book" / "import.md").read_text(encoding="utf-8")
    log = page[page.index("(log)=") : page.index("(mapping)=")]
    shown = [line for block in re.findall(r"```console\n(.*?)```", log, re.DOTALL)[:2]
             for line in block.splitlines() if line not in ("...", "mapping.yaml")]  # fmt: skip
    said = iter([sorted(f.name for f in folder.iterdir()), *asked, *report])
    for line in shown:
        if not line.startswith("$"):
            parts = line.split("...")
            assert any(
                all(part in (one if isinstance(one, str) else "  ".join(one)) for part in parts)
                for one in said
            ), line
