"""Adverse events: exposure and rates over it, events without a grade, and names, by hand."""

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from salvage import words
from salvage.analysis import safety
from salvage.cohort import Cohort
from salvage.display import figures
from salvage.display.show import Absent, Table
from salvage.report import safety as report
from salvage.stats.intervals import clopper_pearson
from tests.cohorts import EDGES, Recipe, Tables, generate, recipes

DAYS = 30.4375


def tables(
    lines: list[dict[str, Any]], events: list[dict[str, Any]] = (), os_month: float = 12.0
) -> Tables:
    """Patients with relapse at month 1, each row with the patient's letter; lines are numbered."""
    rows = pd.DataFrame([{"category": "other", "best_response": "PD", **line} for line in lines])
    rows["line"] = rows.groupby("patient_id").cumcount() + 1
    ids = rows["patient_id"].unique()
    patients = pd.DataFrame(
        {"patient_id": ids, "relapse_month": 1.0, "os_month": os_month, "died": 1}
    )
    adverse = pd.DataFrame([{"line": 1, "term": "rash", "grade": 2, **event} for event in events])
    return Tables(patients, rows, adverse if events else None)


# --- exposure -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # To 30 days after the end.
        ([{"start_month": 2.0, "end_month": 4.0}], [2 + 30 / DAYS]),
        # Given once: at least 90 days, and longer where the end lies later.
        ([{"start_month": 2.0, "end_month": 2.0, "category": "second_cart"}], [90 / DAYS]),
        ([{"start_month": 2.0, "end_month": 2.5, "category": "radiotherapy"}], [90 / DAYS]),
        (
            [{"start_month": 2.0, "end_month": 4.5, "category": "radiotherapy"}],
            [2.5 + 30 / DAYS],
        ),
        # Another drug that was given for a day is not.
        ([{"start_month": 2.0, "end_month": 2.0, "category": "checkpoint"}], [30 / DAYS]),
        # Without an end: to the next line, or to last contact, given once or not.
        ([{"start_month": 2.0}], [10.0]),
        ([{"start_month": 2.0, "category": "second_cart"}], [10.0]),
        ([{"start_month": 2.0}, {"start_month": 5.0}], [3.0, 7.0]),
        # Cut at the next line, also where the end lies after its start, and at last contact.
        ([{"start_month": 2.0, "end_month": 6.0}, {"start_month": 5.0}], [3.0, 7.0]),
        ([{"start_month": 2.0, "end_month": 2.0, "category": "second_cart"},
          {"start_month": 3.0, "end_month": 11.9}], [1.0, 9.0]),
        # Two lines of one month: the time counts for the second alone.
        ([{"start_month": 2.0, "end_month": 4.0}, {"start_month": 2.0}], [0.0, 10.0]),
    ],
)  # fmt: skip
def test_exposure_of_a_line(lines: list[dict[str, Any]], expected: list[float]) -> None:
    found = safety.exposed(tables([{"patient_id": "A", **line} for line in lines]).cohort())
    months = found["until"] - found["start_month"]
    assert months.tolist() == pytest.approx(expected, rel=1e-12)


def infused_and_infected(onset: float | None) -> Cohort:
    """Ten second CAR-T that end on the day of infusion, ten comparators, an infection in each."""
    ids = [f"{group}{i}" for group in "AB" for i in range(10)]
    once = {"category": "second_cart", "end_month": 2.03}
    lines = [
        {"patient_id": id, "start_month": 2.0, **(once if id[0] == "A" else {"end_month": 8.0})}
        for id in ids
    ]
    events = [
        {"patient_id": id, "term": "infection", "onset_month": onset if id[0] == "A" else 5.0}
        for id in ids
    ]
    return tables(lines, events, os_month=9.0).cohort()


def test_no_onset_inside_the_exposure_gives_no_rate() -> None:
    """An infection at month 5 lies after the 90 days that follow an infusion at month 2."""
    cohort = infused_and_infected(5.0)
    row = safety.by_category(cohort).loc["second_cart"]
    assert (row["events"], row["outside"], row["undated"]) == (0, 10, 0)
    e = safety.estimates(cohort)["ae.rate.second_cart"]
    assert (e.value, e.low, e.high, e.n, e.events) == (None, None, None, 10, 0)
    assert e.method == "not estimable: no onset lies inside the exposure of its line"
    # The comparators: ten events in ten times 6 months and 30 days.
    other = safety.estimates(cohort)["ae.rate.other"]
    assert other.value == pytest.approx(10 / (10 * (6 + 30 / DAYS) / 12), rel=1e-12)
    said = report.exposure(cohort).plain()
    assert "Onset outside the exposure, and not counted: Second CAR-T infusion, 10 events." in said


def test_onsets_inside_the_exposure_all_count() -> None:
    cohort = infused_and_infected(4.0)
    row = safety.by_category(cohort).loc["second_cart"]
    assert (row["events"], row["outside"], row["undated"]) == (10, 0, 0)
    e = safety.estimates(cohort)["ae.rate.second_cart"]
    years = 10 * 90 / DAYS / 12
    assert e.value == pytest.approx(10 / years, rel=1e-12)
    # R: poisson.test(10)$conf.int is 4.795389 to 18.390356.
    assert (e.low, e.high) == pytest.approx((4.795389 / years, 18.390356 / years), rel=1e-6)
    assert "not counted" not in report.exposure(cohort).plain()


def test_an_onset_that_is_not_recorded_is_not_inside() -> None:
    cohort = infused_and_infected(None)
    row = safety.by_category(cohort).loc["second_cart"]
    assert (row["events"], row["outside"], row["undated"]) == (0, 0, 10)
    said = report.exposure(cohort).plain()
    assert "No onset, and not counted: Second CAR-T infusion, 10 events." in said


@pytest.mark.parametrize(
    ("onset", "inside"),
    [
        (2.0, True), (1.9, False), (4.0, True), (round(4 + 30 / DAYS, 4), True),
        (round(4 + 31 / DAYS, 4), False),
    ],
)  # fmt: skip
def test_the_first_and_the_last_day_lie_inside(onset: float, inside: bool) -> None:
    line = {"patient_id": "A", "start_month": 2.0, "end_month": 4.0}
    cohort = tables([line], [{"patient_id": "A", "onset_month": onset}]).cohort()
    (found,) = safety.events_of_lines(cohort)["inside"]
    assert found == inside


def test_a_line_that_the_next_one_follows_at_once_has_no_events_inside() -> None:
    lines = [{"patient_id": "A", "start_month": 2.0} for _ in range(2)]
    cohort = tables(lines, [{"patient_id": "A", "onset_month": 2.0}]).cohort()
    assert safety.events_of_lines(cohort)["inside"].tolist() == [False]


@given(recipes(max_patients=25))
@settings(max_examples=25, deadline=None)
def test_no_time_counts_twice_and_every_linked_event_counts_once(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    lines = safety.exposed(cohort)
    assert (lines["until"] >= lines["start_month"]).all()
    assert not (lines["until"] > lines["next_start"]).any()
    months = (lines["until"] - lines["start_month"]).groupby(lines["patient_id"]).sum()
    first = lines.groupby("patient_id")["start_month"].min()
    last = lines.groupby("patient_id")["os_month"].first()
    assert (months <= last - first + 1e-9).all()
    table = safety.by_category(cohort)
    counted = table[["events", "outside", "undated"]].to_numpy().sum()
    assert counted == len(safety.events_of_lines(cohort))
    assert (table["rate"].isna() == (table["events"] == 0)).all()


# --- events without a grade -----------------------------------------------------------------------


def grades(*of_patients: list[int | None]) -> Cohort:
    """One patient for each list of grades of fever; an empty list is a patient without an event."""
    lines = [{"patient_id": f"P{i}", "start_month": 2.0} for i in range(len(of_patients))]
    events = [
        {"patient_id": f"P{i}", "term": "fever", "grade": grade, "onset_month": 2.5}
        for i, listed in enumerate(of_patients)
        for grade in listed
    ]
    return tables(lines, events).cohort()


def test_an_event_without_a_grade_is_not_known_to_be_mild() -> None:
    """Nine of ten ungraded: of one patient it is known that there was no severe event."""
    cohort = grades([2], *[[None]] * 9)
    e = safety.estimates(cohort)["ae.severe.patients"]
    assert (e.events, e.n, e.value) == (0, 1, 0.0)
    assert (e.low, e.high) == pytest.approx(clopper_pearson(0, 1))
    assert e.method.endswith("; without 9 patients whose event has no grade")
    (row,) = safety.by_term(cohort).to_dict("records")
    assert (row["patients"], row["patients_ungraded"], row["ungraded"]) == (10, 9, 9)
    told = report.grading(cohort).plain()
    assert told.startswith("9 events of 10 have no grade. They count at any grade; for 9 patients")


def test_what_is_known_of_each_patient() -> None:
    # Severe whatever else; only mild; a mild one and one without a grade; nothing.
    cohort = grades([3, None], [4], [1, 2], [1, None], [None], [], [])
    made = safety.estimates(cohort)
    for id in ("ae.severe.patients", "ae.fever.severe.patients"):
        assert (made[id].events, made[id].n) == (2, 5), id
    assert (made["ae.any.patients"].events, made["ae.any.patients"].n) == (5, 7)
    assert (made["ae.crs.severe.patients"].events, made["ae.crs.severe.patients"].n) == (0, 7)
    shown = report.by_term(cohort)
    assert isinstance(shown, Table)
    assert shown.rows[0][2:] == ("5 (71%)", "2 (40%) of 5", "8", "2 of 5 graded", "3")
    overall = report.overall(cohort)
    assert isinstance(overall, Table)
    assert [row[1] for row in overall.rows[:2]] == ["5 / 7", "2 / 5"]
    assert overall.rows[1][-1] == "2 of 5 graded"
    assert any("not known to be mild" in note for note in overall.notes)
    by_category = report.by_category(cohort)
    assert isinstance(by_category, Table)
    assert by_category.rows[0][3] == "2 (40%) of 5"
    assert "2/5 (40%; 95% CI" in report.answer(cohort).plain()
    assert "of treated patients of whom that is known" in report.answer(cohort).plain()


def test_figures_leave_patients_without_a_grade_out_of_the_shares_of_severe_events() -> None:
    cohort = grades([3], [None], [None], [None], [1])
    butterfly = figures.ae_butterfly(cohort)
    assert not isinstance(butterfly, Absent)
    left, right = butterfly.figure.axes[:2]
    assert left.patches[0].get_width() == pytest.approx(1.0)
    assert right.patches[0].get_width() == pytest.approx(1 / 2)
    assert "without a grade: 3 events" in butterfly.caption
    maps = figures.ae_by_category(cohort)
    assert not isinstance(maps, Absent)
    any_grade, severe = (axes.collections[0].get_array() for axes in maps.figure.axes[:2])
    assert any_grade.compressed().tolist() == pytest.approx([1.0])
    assert severe.compressed().tolist() == pytest.approx([1 / 2])


def test_where_no_event_has_a_grade_severity_is_unknown() -> None:
    cohort = grades([None], [None], [])
    made = safety.estimates(cohort)
    assert made["ae.severe.patients"].value is None
    assert made["ae.fever.severe.patients"].value is None
    # Without any ICANS there is no severe one.
    assert (made["ae.icans.severe.patients"].events, made["ae.icans.severe.patients"].n) == (0, 3)
    assert "nothing is known of severity" in report.answer(cohort).plain()
    shown = report.by_term(cohort)
    assert isinstance(shown, Table)
    assert shown.rows[0][3] == "–"


@pytest.mark.parametrize("edge", EDGES)
def test_graded_denominators_of_edge_cohorts(edge: str) -> None:
    cohort = EDGES[edge]().cohort()
    treated = set(cohort.salvage["patient_id"])
    events = cohort.adverse_events[cohort.adverse_events["patient_id"].isin(treated)]
    worst = {id: grades["grade"].max() for id, grades in events.groupby("patient_id")}
    missing = set(events.loc[events["grade"].isna(), "patient_id"])
    unknown = {id for id in missing if not worst[id] >= 3}
    e = safety.estimates(cohort)["ae.severe.patients"]
    assert e.n == len(treated) - len(unknown)
    if e.value is not None:
        assert e.events == sum(grade >= 3 for grade in worst.values())


# --- names ----------------------------------------------------------------------------------------

FEVER, CRS, ICANS = safety.FEVER, safety.CRS, safety.ICANS
SPELLED = {
    FEVER: [
        "Febrile", "Fever (non-CRS)", "PYREXIA", "Fever, grade 2", "fever G1", "Fever-2",
        "发热 2级", "Fever (CTCAE grade 1)", "Pyrexia/fever", "发热（非CRS）", "non-CRS fever",
        "Fever. ",
    ],
    CRS: [
        "CRS grade 1", "CRS Gr.3", "Grade 2 CRS", "CRS (ASTCT grade 2)", "CRS grade 1-2",
        "1级CRS", "Cytokine-Release Syndrome (CRS), Grade III", "CRS（2级）", "CRS Ⅱ级",
        "CRS, any grade", "CRS (ASTCT)", "CRS (grade unknown)", "CRS grade ≥3",
    ],
    ICANS: [
        "ICANS/neurotoxicity", "Neurotoxicity / ICANS", "ICANS (neurologic toxicity) grade 3",
        "Immune effector cell-associated neurotoxicity syndrome", "ICANS（神经毒性）", "icans-1",
    ],
    "iec-hs": ["IEC-HS", "IEC-HS (HLH-like)", "IEC HS/HLH",
               "Immune effector cell-associated HLH-like syndrome"],
    "prolonged cytopenia": ["Prolonged cytopenias", "Persistent cytopenia", "late ICAHT",
                            "Prolonged cytopenia (ICAHT)"],
    "hypogammaglobulinaemia": ["Hypogammaglobulinemia", "低丙种球蛋白血症"],
}  # fmt: skip
NOT_A_NAME = [
    "febrile neutropenia", "Neutropenic fever", "Fever, neutropenic", "Fever and chills",
    "afebrile", "No fever", "Fever (infection)", "Infection/fever", "yellow fever", "CRS/ICANS",
    "CRS (ICANS)", "Fever (CRS)", "CRS grade 0", "CRS grade 6", "suspected CRS", "no CRS",
    "CRS?", "non-CRS", "Neurotoxicity", "peripheral neurotoxicity", "HLH", "HLH-like syndrome",
    "Cytopenia", "early ICAHT", "Grade 2", "发热性中性粒细胞减少", "grade " + "i" * 400,
]  # fmt: skip


@pytest.mark.parametrize("event", SPELLED)
def test_names_of_one_event(event: str) -> None:
    found = safety.normal_term(pd.Series(SPELLED[event]))
    assert dict(zip(SPELLED[event], found, strict=True)) == dict.fromkeys(SPELLED[event], event)


def test_what_is_no_name_stands_as_the_hospital_writes_it() -> None:
    assert safety.normal_term(pd.Series(NOT_A_NAME)).tolist() == NOT_A_NAME


def test_every_name_of_the_list_means_one_event_and_has_a_source() -> None:
    for known in safety.KNOWN_TERMS:
        names = [name for listed in known.names.values() for name in listed]
        assert set(safety.normal_term(pd.Series(names))) == {known.term}
        assert all(source.strip() for source in known.names)
        assert any("Chinese" in source for source in known.names), known.term
        assert any(re.search("[\u4e00-\u9fff]", name) for name in names), known.term
    assert {*safety.TERMS} == {FEVER, CRS, ICANS}
    assert not {*safety.TERMS} & {*words.CATEGORIES}


def test_spellings_of_one_event_are_one_row() -> None:
    cohort = grades([1], [2], [3], [1])
    spelled = ["ICANS/neurotoxicity", "ICANS grade 2", "icans", "Immune effector cell-associated "
               "neurotoxicity syndrome"]  # fmt: skip
    cohort = replace(cohort, adverse_events=cohort.adverse_events.assign(term=spelled))
    e = safety.estimates(cohort)["ae.icans.patients"]
    assert (e.events, e.n) == (4, 4)
    shown = report.by_term(cohort)
    assert isinstance(shown, Table)
    assert [row[0] for row in shown.rows] == ["ICANS"]
