"""Medians of lines and competing risks on small cohorts, with values by hand or from R."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from salvage.analysis import survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.disclosure.estimates import HIDDEN
from salvage.report import results
from salvage.stats.survival import cumulative_incidence, kaplan_meier
from tests.cohorts import EDGES, Recipe, Tables, generate, recipes


def tables(
    n: int, lines: list[dict[str, Any]], *, os_month: float, died: int = 0, **settings: Any
) -> Tables:
    """So many patients with relapse at month 1 and the same salvage lines."""
    ids = [f"A{i}" for i in range(n)]
    patients = pd.DataFrame(
        {"patient_id": ids, "relapse_month": 1.0, "os_month": os_month, "died": died}
    )
    rows = [
        {"patient_id": id, "line": number, "category": "bispecific", **line}
        for id in ids
        for number, line in enumerate(lines, 1)
    ]
    return Tables(patients, pd.DataFrame(rows), settings=settings)


def later_progression() -> Tables:
    """Ten patients whose second line begins at month 4; they progress on it at month 5."""
    second = {"start_month": 4, "category": "other", "best_response": "PD", "progression_month": 5}
    return tables(10, [{"start_month": 2, "best_response": "SD"}, second], os_month=30)


def progression_without_month(dated: int) -> Tables:
    """Ten patients with PD at once, of whom so many have the month of it, month 3."""
    made = tables(10, [{"start_month": 2, "best_response": "PD", "end_month": 6}], os_month=30)
    month = np.where(np.arange(10) < dated, 3.0, np.nan)
    return replace(made, salvage=made.salvage.assign(progression_month=month))


def lost_response() -> Tables:
    """Eight responses that ended by progression; one line has a progression of its own, later."""
    line = {"start_month": 2, "best_response": "CR", "response_month": 3, "response_end_month": 5}
    made = tables(8, [line | {"response_end_reason": "progression"}], os_month=40)
    month = np.where(np.arange(8) == 0, 6.0, np.nan)
    return replace(made, salvage=made.salvage.assign(progression_month=month))


def ongoing_at_death() -> Tables:
    """Eight responses that were ongoing at month 10, in which the patients died."""
    line = {"start_month": 2, "best_response": "CR", "response_month": 3, "response_end_month": 10}
    return tables(8, [line | {"response_end_reason": "ongoing"}], os_month=10, died=1)


def of(e: Estimate) -> tuple[float | None, int | None, int | None]:
    return e.value, e.events, e.n


def medians(made: Tables) -> dict[str, Estimate]:
    return survival.line_estimates(made.cohort())


def test_progression_on_a_later_line_by_each_rule() -> None:
    found = medians(later_progression())
    for key in ("bispecific", "first_line.all", "first_line.bispecific"):
        assert of(found[f"pfs.{key}.median"]) == (3.0, 10, 10)
        assert of(found[f"pfs.{key}.censored_at_next_line.median"]) == (None, 0, 10)
        assert of(found[f"pfs.{key}.next_line_event.median"]) == (2.0, 10, 10)
        assert of(found[f"ttnt.{key}.median"]) == (2.0, 10, 10)
        assert of(found[f"os_from_start.{key}.median"]) == (None, 0, 10)
    assert of(found["pfs.all.median"]) == (2.0, 20, 20)
    assert of(found["pfs.first_line.other.median"]) == (None, 0, 0)


def test_a_lost_response_is_the_same_progression_for_pfs_and_dor() -> None:
    found = medians(lost_response())
    assert of(found["pfs.all.median"]) == (3.0, 8, 8)
    assert of(found["dor.all.median"]) == (2.0, 8, 8)


def test_a_response_ongoing_at_death_ends_at_death() -> None:
    found = medians(ongoing_at_death())
    for rule in ("", "censored_at_next_line.", "next_line_event.", "new_treatment_event."):
        assert of(found[f"dor.all.{rule}median"]) == (7.0, 8, 8)
    # No progression of this cohort is recorded.
    assert found["pfs.all.median"].method == "not recorded in this cohort"


@pytest.mark.parametrize("dated", [8, 9, 10])
def test_few_progressions_without_a_month_leave_a_median_late_and_early(dated: int) -> None:
    found = medians(progression_without_month(dated))
    # All but two of ten at 1 month; the others at the end of treatment, or at the start.
    late, early = found["pfs.all.median"], found["pfs.all.earliest.median"]
    assert (of(late), of(early)) == ((1.0, 10, 10), (1.0, 10, 10))
    assert ("as late as it can be" in late.method) == (dated < 10)
    assert ("at the start of the line" in early.method) == (dated < 10)


def test_late_and_early_bound_the_median() -> None:
    made = progression_without_month(8)
    month = [3.0, 3.0, 3.0, 3.0, 5.0, 5.0, 5.0, 5.0, None, None]
    found = medians(replace(made, salvage=made.salvage.assign(progression_month=month)))
    assert found["pfs.all.median"].value == 3.0
    assert found["pfs.all.earliest.median"].value == 1.0


def test_too_many_progressions_without_a_month_give_no_median() -> None:
    found = medians(progression_without_month(7))
    for rule in survival.RULES_OF["pfs"]:
        e = found[f"pfs.all.{'' if rule == 'main' else f'{rule}.'}median"]
        assert (e.value, e.low, e.high) == (None, None, None)
        assert e.method == (
            "not estimable: 3 of 10 lines end in a progression whose month is not recorded"
        )
    # A line before such a progression lacks its month as well.
    second = {"start_month": 4, "category": "other", "best_response": "PD"}
    made = tables(10, [{"start_month": 2, "best_response": "SD"}, second], os_month=30)
    other = tables(
        1, [{"start_month": 2, "best_response": "PD", "progression_month": 3}], os_month=9
    )
    both = Tables(
        pd.concat([made.patients, other.patients.assign(patient_id="B")]),
        pd.concat([made.salvage, other.salvage.assign(patient_id="B")]),
    )
    found = medians(both)
    assert "10 of 11 lines" in found["pfs.first_line.all.median"].method
    assert found["pfs.first_line.all.median"].value is None


def test_every_duration_has_its_ids_whatever_is_recorded() -> None:
    expected = set(medians(later_progression()))
    for edge in ("one_patient", "only_required_columns", "no_responder"):
        assert set(medians(EDGES[edge]())) == expected
    assert len(expected) == 7 * (3 + 4 + 1 + 1) + 7 * (4 + 1 + 1) + 1


# --- competing risks ------------------------------------------------------------------------------

TIMES = [1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0]
STATUS = [1, 2, 0, 1, 2, 1, 0, 1]
#: R: t and s as above; f <- survfit(Surv(t, factor(s, 0:2)) ~ 1, conf.type = "log-log");
#: summary(f, times = c(3, 6)): pstate, lower and upper of the states 1 and 2.
FROM_R = {
    (1, 3): (0.275, 0.038868712304459214, 0.5985790072435253),
    (1, 6): (0.725, 0.2697525683188144, 0.9241060323055869),
    (2, 3): (0.125, 0.006593325017326464, 0.42270583252396876),
    (2, 6): (0.275, 0.038868712304459214, 0.5985790072435253),
}


def competing(treated: list[bool] | None = None) -> Cohort:
    """Patients whose first line is followed by the next line (1), death (2) or neither (0); or
    whose relapse is followed by salvage where they were ``treated``."""
    ids = [f"P{i}" for i in range(len(TIMES))]
    died = [int(code == 2) for code in STATUS]
    patients = pd.DataFrame(
        {"patient_id": ids, "relapse_month": 0.0, "os_month": TIMES, "died": died}
    )
    lines = [
        {"patient_id": id, "line": number, "start_month": start}
        for id, time, code in zip(ids, TIMES, STATUS, strict=True)
        for number, start in enumerate(
            ([time] if code == 1 else []) if treated else [0.0, *([time] if code == 1 else [])], 1
        )
    ]
    salvage = pd.DataFrame(lines).assign(category="other", best_response="SD")
    return Tables(patients, salvage).cohort()


@pytest.mark.parametrize(
    ("untreated", "causes", "group"),
    [
        (False, ("next_line", "death_before_next_line"), "first_line."),
        (True, ("first_salvage", "death_before_first_salvage"), ""),
    ],
)
def test_cumulative_incidences_agree_with_r(
    untreated: bool, causes: tuple[str, str], group: str
) -> None:
    made = competing([True] if untreated else None)
    found = survival.competing_estimates(made)
    for (code, month), (value, low, high) in FROM_R.items():
        e = found[f"cif.{causes[code - 1]}.{group}at.{month}"]
        assert (e.value, e.low, e.high) == pytest.approx((value, low, high), rel=1e-9)
        assert (e.n, e.events) == (8, STATUS.count(code))
    # Nobody is left without an event at month 6: the incidence stays what it is.
    assert found[f"cif.{causes[0]}.{group}at.12"].value == pytest.approx(0.725, rel=1e-12)


def test_no_incidence_beyond_the_last_observation() -> None:
    found = survival.competing_estimates(later_progression().cohort())
    assert found["cif.next_line.at.12"].value == 0.5
    made = tables(6, [{"start_month": 2, "best_response": "SD"}], os_month=7)
    found = survival.competing_estimates(made.cohort())
    at_three, at_six = (found[f"cif.next_line.at.{month}"] for month in (3, 6))
    # Nothing happened: a value without limits, and beyond month 5 none.
    assert (at_three.value, at_three.low, at_three.high) == (0.0, None, None)
    assert at_six.value is None
    assert at_six.method == "not estimable: beyond the last observation"


def test_first_salvage_needs_patients_without_it() -> None:
    found = survival.competing_estimates(later_progression().cohort())
    for cause in ("first_salvage", "death_before_first_salvage"):
        assert found[f"cif.{cause}.at.6"].value is None
        assert "no untreated patient is recorded" in found[f"cif.{cause}.at.6"].method


def deaths(causes: list[str | None]) -> dict[str, Estimate]:
    """Incidences of causes of death, where those who leave with one of the causes died of it."""
    patients = pd.DataFrame(
        {
            "patient_id": [f"P{i}" for i in range(len(TIMES))],
            "relapse_month": 1.0,
            "os_month": [time + 1 for time in TIMES],
            "died": [int(code > 0) for code in STATUS],
            "cause_of_death": causes,
        }
    )
    salvage = tables(1, [{"start_month": 1, "best_response": "SD"}], os_month=3).salvage
    made = Tables(patients, salvage.assign(patient_id="P0")).cohort()
    return survival.competing_estimates(made)


def test_deaths_of_lymphoma_compete_with_non_relapse_mortality() -> None:
    found = deaths(["infection", "lymphoma", None, "other", "lymphoma", "treatment", None, "other"])
    names = ("nrm", "death_from_lymphoma")
    for (code, month), values in FROM_R.items():
        e = found[f"cif.{names[code - 1]}.at.{month}"]
        assert (e.value, e.low, e.high) == pytest.approx(values, rel=1e-9)
    # One death of six without a cause, the last, is a third cause: R with status 3 for it.
    found = deaths(["infection", "lymphoma", None, "other", "lymphoma", "treatment", None, None])
    e = found["cif.nrm.at.6"]
    assert (e.value, e.low, e.high) == pytest.approx(
        (0.425, 0.0956647035084908, 0.732003404810925), rel=1e-9
    )
    assert (e.n, e.events) == (8, 3)


def test_without_causes_of_death_there_is_no_non_relapse_mortality() -> None:
    for causes, reason in (
        (
            ["infection", "lymphoma", None, "other", "lymphoma", None, None, None],
            "of 2 of 6 deaths",
        ),
        ([None] * 8, "no cause of death is recorded"),
    ):
        e = deaths(causes)["cif.nrm.at.3"]
        assert e.value is None
        assert reason in e.method


@given(recipes())
@settings(max_examples=40, deadline=None)
def test_next_line_and_death_without_it_add_up_to_ttnt(recipe: Recipe) -> None:
    made = generate(recipe).cohort()
    found = survival.competing_estimates(made)
    for line, group in (("all", ""), ("first", "first_line.")):
        ttnt = survival.line_times(made, "ttnt", "all", line)
        assert ttnt is not None
        if not ttnt.n:
            continue
        next_start = survival.with_outcome(made)["next_start"]
        if line == "first":
            next_start = next_start[made.salvage["line"] == 1]
        status = np.where(next_start.notna(), 1, 2 * ttnt.event)
        parts = [cumulative_incidence(ttnt.time, status, code) for code in (1, 2)]
        curve = kaplan_meier(ttnt.time, ttnt.event)
        for at in (*np.unique(ttnt.time), 100.0):
            total = sum(part.at(at).value or 0 for part in parts)
            assert total == pytest.approx(1 - (curve.at(at).value or 0), abs=1e-9)
        for month in survival.FIXED_MONTHS:
            pair = [found[f"cif.{cause}.{group}at.{month}"] for cause in survival.NEXT_LINE]
            known = [e.value for e in pair if e.value is not None]
            at = curve.at(month)
            assert len(known) == (0 if at.beyond_last and at.value else 2)
            if known:
                assert sum(known) == pytest.approx(1 - (at.value or 0), abs=1e-9)


def test_a_public_study_keeps_the_ids_alone() -> None:
    made = replace(generate(Recipe(patients=60)), settings={"audience": "public"}).cohort()
    withheld = [
        e
        for e in results.collect(made)
        if e.id.startswith(("cif.", "pfs.", "dor.", "ttnt.", "os_from_start."))
    ]
    own = [*survival.line_estimates(made), *survival.competing_estimates(made)]
    assert [e.id for e in withheld] == own
    assert all((e.value, e.n, e.events, e.method) == (None, None, None, HIDDEN) for e in withheld)
