"""Times to events by the definitions of the book, on small cases that can be worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from salvage.analysis import survival
from salvage.analysis.survival import Times
from salvage.cohort import Cohort, load
from salvage.paths import DATA
from salvage.stats.survival import kaplan_meier
from tests.cohorts import EDGES, Recipe, Tables, generate, recipes


def cohort(lines: list[dict[str, Any]], *, os_month: float = 12.0, died: int = 0) -> Cohort:
    """One patient with relapse at month 1 and the given salvage lines."""
    patients = pd.DataFrame(
        {"patient_id": ["A"], "relapse_month": [1.0], "os_month": [os_month], "died": [died]}
    )
    rows = [
        {"patient_id": "A", "line": i, "category": "other", "best_response": "PR", **line}
        for i, line in enumerate(lines, 1)
    ]
    return Tables(patients, pd.DataFrame(rows)).cohort()


def response(lines: list[dict[str, Any]], *, event: bool = False, **of: Any) -> tuple[float, bool]:
    """Duration of the first line's response, and whether it ended."""
    times = survival.response_duration(survival.with_outcome(cohort(lines, **of)), event)
    return float(times.time[0]), bool(times.event[0])


FIRST = {"start_month": 2.0, "response_month": 3.0}
NEXT = {"start_month": 6.0, "best_response": "PD"}


@pytest.mark.parametrize(
    ("first", "died", "expected"),
    [
        ({"response_end_month": 5.0, "response_end_reason": "progression"}, 0, (2.0, True)),
        ({"response_end_month": 5.0, "response_end_reason": "death"}, 1, (2.0, True)),
        ({"response_end_month": 5.0, "response_end_reason": "new_treatment"}, 0, (2.0, False)),
        ({"response_end_month": 5.0, "response_end_reason": "ongoing"}, 0, (2.0, False)),
        # Without a reason: what else is recorded in that month, else progression.
        ({"response_end_month": 5.0}, 0, (2.0, True)),
        ({"response_end_month": 5.0, "progression_month": 5.0}, 0, (2.0, True)),
        ({"response_end_month": 12.0}, 0, (9.0, False)),
        ({"response_end_month": 12.0}, 1, (9.0, True)),
        # Without an end: progression, else death or last contact.
        ({"progression_month": 4.5}, 0, (1.5, True)),
        ({}, 0, (9.0, False)),
        ({}, 1, (9.0, True)),
        # Progression before the response did not end it.
        ({"progression_month": 2.5}, 0, (9.0, False)),
    ],
)
def test_duration_of_response(
    first: dict[str, Any], died: int, expected: tuple[float, bool]
) -> None:
    assert response([FIRST | first], died=died) == expected


@pytest.mark.parametrize(
    ("first", "censors", "is_event"),
    [
        ({}, (3.0, False), (3.0, True)),
        ({"progression_month": 7.0}, (3.0, False), (3.0, True)),
        # Progression in the month of the next line counts as progression.
        ({"progression_month": 6.0}, (3.0, True), (3.0, True)),
        ({"progression_month": 5.0}, (2.0, True), (2.0, True)),
        ({"response_end_month": 6.0}, (3.0, False), (3.0, True)),
        # First seen after the next line began: censored at once.
        ({"response_month": 8.0}, (0.0, False), (0.0, True)),
    ],
)
def test_a_new_treatment_censors_a_response_or_ends_it(
    first: dict[str, Any], censors: tuple[float, bool], is_event: tuple[float, bool]
) -> None:
    lines = [FIRST | first, NEXT]
    assert response(lines) == censors
    assert response(lines, event=True) == is_event


def test_a_line_without_response_or_without_its_month_has_no_duration() -> None:
    lines = survival.with_outcome(cohort([{"start_month": 2.0, "best_response": "SD"}, NEXT]))
    assert survival.response_duration(lines).n == 0
    assert survival.response_duration(survival.with_outcome(cohort([{"start_month": 2.0}]))).n == 0


def _first(times: Times) -> tuple[float, bool]:
    return float(times.time[0]), bool(times.event[0])


def test_progression_free_survival_ends_with_progression_or_death() -> None:
    progressed = [FIRST | {"progression_month": 4.0}]
    free = survival.progression_free
    assert _first(free(survival.with_outcome(cohort(progressed)))) == (2.0, True)
    assert _first(free(survival.with_outcome(cohort([FIRST])))) == (10.0, False)
    assert _first(free(survival.with_outcome(cohort([FIRST], died=1)))) == (10.0, True)
    # A next line does not end it.
    assert _first(free(survival.with_outcome(cohort([FIRST, NEXT])))) == (10.0, False)


def test_time_to_next_treatment_ends_with_the_next_line_or_death() -> None:
    later = survival.to_next_treatment
    assert _first(later(survival.with_outcome(cohort([FIRST, NEXT])))) == (4.0, True)
    assert _first(later(survival.with_outcome(cohort([FIRST])))) == (10.0, False)
    assert _first(later(survival.with_outcome(cohort([FIRST], died=1)))) == (10.0, True)


def test_the_three_origins() -> None:
    one = cohort([FIRST, NEXT], died=1)
    assert _first(survival.from_infusion(one)) == (12.0, True)
    assert _first(survival.from_relapse(one)) == (11.0, True)
    assert _first(survival.from_first_salvage(one)) == (10.0, True)
    lines = survival.from_line_start(survival.with_outcome(one))
    assert lines.time.tolist() == [10.0, 6.0]
    assert (lines.n, lines.patients) == (2, 1)


def test_what_the_cohort_does_not_record_has_no_times() -> None:
    one = cohort([{"start_month": 2.0}])
    lines = survival.with_outcome(one)
    assert survival.line_times(one, lines, "dor") is None
    assert survival.line_times(one, lines, "pfs") is None
    made = survival.median(one.study, "pfs.other.median", None)
    assert (made.value, made.n, made.method) == (None, 0, "not recorded in this cohort")


# --- estimates ------------------------------------------------------------------------------------


def four(died: list[int]) -> Cohort:
    """Patients who leave at months 1, 2, 3 and 4, all with relapse and salvage at infusion."""
    ids = list("ABCD")
    patients = pd.DataFrame(
        {"patient_id": ids, "relapse_month": 0.0, "os_month": [1.0, 2.0, 3.0, 4.0], "died": died}
    )
    salvage = pd.DataFrame(
        {
            "patient_id": ids,
            "line": 1,
            "category": "other",
            "start_month": 0.0,
            "best_response": "PD",
        }
    )
    return Tables(patients, salvage).cohort()


def test_median_as_r_prints_it_where_the_curve_meets_one_half() -> None:
    e = survival.median(
        four([1, 1, 1, 1]).study, "os.median", survival.from_infusion(four([1, 1, 1, 1]))
    )
    # R: survfit(Surv(1:4, rep(1, 4)) ~ 1, conf.type = "log-log") prints 2.5, 1, NA.
    assert (e.value, e.low, e.high) == (2.5, 1.0, None)


def test_a_median_that_is_not_reached_is_none() -> None:
    made = four([1, 0, 0, 0])
    e = survival.median(made.study, "os.median", survival.from_infusion(made))
    assert (e.value, e.n, e.events) == (None, 4, 1)


def test_survival_at_a_month() -> None:
    made = four([1, 1, 1, 1])
    times = survival.from_infusion(made)

    def at(month: float) -> tuple[float | None, float | None, float | None, bool]:
        e = survival.at_month(made.study, "os.at", times, month)
        return e.value, e.low, e.high, e.method.endswith(survival.BEYOND)

    assert at(0.5) == (1.0, 1.0, 1.0, False)
    assert at(4) == (0.0, None, None, False)
    assert at(12) == (0.0, None, None, True)
    value, low, high, beyond = at(2)
    assert value == 0.5
    # log-log limits by hand: log(-log S) +- 1.96 sqrt(sum d/(n(n-d))) / -log S
    width = 1.959963984540054 * math.sqrt(1 / 12 + 1 / 6) / math.log(2)
    assert low == pytest.approx(0.5 ** math.exp(width), rel=1e-12)
    assert high == pytest.approx(0.5 ** math.exp(-width), rel=1e-12)
    assert not beyond


def test_follow_up_observed_and_reverse() -> None:
    made = four([1, 1, 0, 0])
    assert survival.follow_up_observed(made).value == 2.5
    reverse = survival.follow_up_reverse(made)
    # The first censoring leaves 1 of 2: the curve meets one half at 3 and falls at 4.
    assert (reverse.value, reverse.n, reverse.events) == (3.5, 4, 2)


def test_restricted_mean_is_the_area_under_the_curve() -> None:
    made = four([1, 1, 1, 1])
    assert survival.horizon(made) == 4
    e = survival.restricted_mean(made.study, "os.rmst", survival.from_infusion(made), 4)
    assert e.value == pytest.approx(1 + 0.75 + 0.5 + 0.25, rel=1e-12)


@pytest.mark.parametrize("edge", EDGES)
def test_the_horizon_is_within_every_curve(edge: str) -> None:
    made = EDGES[edge]().cohort()
    month = survival.horizon(made)
    lasts = [times.time.max() for times in survival.origins(made).values()]
    if month is None:
        assert min(lasts) == 0
    else:
        assert 0 < month <= min(lasts) + 1e-9
        assert month == min(lasts) or month > min(lasts) - 1


def test_guarantee_time_is_what_nobody_could_die_in() -> None:
    made = cohort([FIRST])
    assert survival.guarantee_time(made).tolist() == [2.0]
    assert survival.guarantee_share(made).value == pytest.approx(2 / 12, rel=1e-12)
    # An untreated patient has no such time: 8 further months change nothing.
    untreated = made.patients.assign(patient_id="B", os_month=8.0)
    more = replace(made, patients=pd.concat([made.patients, untreated], ignore_index=True))
    assert survival.guarantee_share(more).value == pytest.approx(2 / 12, rel=1e-12)
    assert survival.guarantee_share(more).n == 1


def test_untreated_patients_have_no_guarantee_time() -> None:
    made = EDGES["patients_without_salvage"]().cohort()
    assert len(survival.guarantee_time(made)) == len(made.treated) < len(made.patients)
    assert survival.from_first_salvage(made).n == len(made.treated)
    assert survival.from_relapse(made).n == len(made.patients)


def test_shipped_cohort_prints_the_published_survival() -> None:
    found = {id: e.value for id, e in survival.estimates(load(DATA)).items()}
    assert f"{found['os.median']:.1f}" == "7.0"
    assert f"{found['followup.observed.median']:.1f}" == "7.0"
    assert (found["os.range.min"], found["os.range.max"]) == (1.0, 15.0)


@given(recipes())
@settings(max_examples=40, deadline=None)
def test_durations_of_any_cohort(recipe: Recipe) -> None:
    made = generate(recipe).cohort()
    lines = survival.with_outcome(made)
    every = {
        **survival.origins(made),
        "dor": survival.response_duration(lines),
        "dor, event": survival.response_duration(lines, new_treatment_is_event=True),
        "pfs": survival.progression_free(lines),
        "ttnt": survival.to_next_treatment(lines),
        "start": survival.from_line_start(lines),
    }
    for times in every.values():
        assert (times.time >= 0).all()
        assert np.isfinite(times.time).all()
        assert len(times.time) == len(times.event) == len(times.patient)
    assert (every["pfs"].time <= every["start"].time).all()
    assert (every["ttnt"].time <= every["start"].time).all()
    assert every["dor"].events <= every["dor, event"].events
    assert (every["dor"].time == every["dor, event"].time).all()
    assert every["ttnt"].events == (len(lines) - len(made.treated)) + int(
        made.treated["died"].sum()
    )


@given(recipes(max_patients=20))
@settings(max_examples=25, deadline=None)
def test_curves_do_not_depend_on_the_unit(recipe: Recipe) -> None:
    times = survival.from_infusion(generate(recipe).cohort())
    months, days = (kaplan_meier(times.time * unit, times.event) for unit in (1.0, 30.4375))
    np.testing.assert_array_equal(months.n_risk, days.n_risk)
    np.testing.assert_array_equal(months.survival, days.survival)


def test_times_of_lines_are_those_of_their_category() -> None:
    made = generate(Recipe(patients=30, seed=2, lines=3)).cohort()
    lines = survival.with_outcome(made)
    parts = [
        survival.from_line_start(lines[lines["category"] == key]).n
        for key in set(lines["category"])
    ]
    assert sum(parts) == len(made.salvage)
