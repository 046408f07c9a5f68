"""Times to events by the definitions of the book, on small cases that can be worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from salvage.analysis import survival
from salvage.analysis.survival import Rule, Times
from salvage.cohort import Cohort, load
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.paths import DATA
from salvage.report import survival as report_survival
from salvage.report.shared import median
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


FIRST = {"start_month": 2.0, "response_month": 3.0}
NEXT = {"start_month": 6.0, "best_response": "SD"}
CONVENTIONS: tuple[Rule, ...] = ("main", "censored_at_next_line", "next_line_event")


def first(times: Times) -> tuple[float, bool]:
    """The duration of the first line, and whether it ended."""
    return float(times.time[0]), bool(times.event[0])


def lasted(lines: list[dict[str, Any]], rule: Rule = "main", **of: Any) -> tuple[float, bool]:
    """Duration of the first line's response."""
    return first(survival.response_duration(survival.with_outcome(cohort(lines, **of)), rule))


def free(lines: list[dict[str, Any]], rule: Rule = "main", **of: Any) -> list[tuple[float, bool]]:
    """PFS of every line."""
    times = survival.progression_free(survival.with_outcome(cohort(lines, **of)), rule)
    return list(zip(times.time.tolist(), times.event.tolist(), strict=True))


@pytest.mark.parametrize(
    ("line", "died", "expected"),
    [
        ({"response_end_month": 5.0, "response_end_reason": "progression"}, 0, (2.0, True)),
        # Without progression it ends at death, or not at all, whatever else is recorded.
        ({"response_end_month": 5.0, "response_end_reason": "death"}, 1, (9.0, True)),
        ({"response_end_month": 5.0, "response_end_reason": "new_treatment"}, 0, (9.0, False)),
        ({"response_end_month": 5.0, "response_end_reason": "ongoing"}, 0, (9.0, False)),
        ({"response_end_month": 5.0, "response_end_reason": "ongoing"}, 1, (9.0, True)),
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
    line: dict[str, Any], died: int, expected: tuple[float, bool]
) -> None:
    assert lasted([FIRST | line], died=died) == expected
    # The same end, counted from the start.
    assert free([FIRST | line], died=died) == [(expected[0] + 1, expected[1])]


@pytest.mark.parametrize(
    ("line", "main", "censored", "event"),
    [
        ({}, (9.0, False), (3.0, False), (3.0, True)),
        ({"progression_month": 7.0}, (4.0, True), (3.0, False), (3.0, True)),
        # Progression in the month of the next line counts as progression.
        ({"progression_month": 6.0}, (3.0, True), (3.0, True), (3.0, True)),
        ({"progression_month": 5.0}, (2.0, True), (2.0, True), (2.0, True)),
        ({"response_end_month": 6.0}, (9.0, False), (3.0, False), (3.0, True)),
        # First seen after the next line began.
        ({"response_month": 8.0}, (4.0, False), (0.0, False), (0.0, True)),
    ],
)
def test_the_next_line_by_each_rule(
    line: dict[str, Any],
    main: tuple[float, bool],
    censored: tuple[float, bool],
    event: tuple[float, bool],
) -> None:
    lines = [FIRST | line, NEXT]
    assert [lasted(lines, rule) for rule in CONVENTIONS] == [main, censored, event]


def test_a_next_line_at_last_contact_is_an_event_by_that_rule() -> None:
    lines = [FIRST, NEXT | {"start_month": 12.0}]
    assert [free(lines, rule)[0] for rule in CONVENTIONS] == [
        (10.0, False),
        (10.0, False),
        (10.0, True),
    ]


def test_a_line_without_response_or_without_its_month_has_no_duration() -> None:
    lines = survival.with_outcome(cohort([{"start_month": 2.0, "best_response": "SD"}, NEXT]))
    assert survival.response_duration(lines).n == 0
    assert survival.response_duration(survival.with_outcome(cohort([{"start_month": 2.0}]))).n == 0


def test_progression_on_any_line_ends_a_line() -> None:
    stable = {"start_month": 2.0, "best_response": "SD"}
    assert free([stable | {"progression_month": 4.0}]) == [(2.0, True)]
    assert free([stable]) == [(10.0, False)]
    assert free([stable], died=1) == [(10.0, True)]
    # A next line does not end it; the progression on that line does, and so does a lost response.
    assert free([stable, NEXT]) == [(10.0, False), (6.0, False)]
    assert free([stable, NEXT | {"progression_month": 7.0}]) == [(5.0, True), (1.0, True)]
    lost = {"best_response": "CR", "response_month": 7.0, "response_end_month": 9.0}
    assert free([stable, NEXT | lost | {"response_end_reason": "progression"}]) == [
        (7.0, True),
        (3.0, True),
    ]
    # In the month of the next line the progression is the reason for it, later it ends it too.
    assert free([stable | {"progression_month": 6.0}, NEXT]) == [(4.0, True), (6.0, False)]
    assert free([stable | {"progression_month": 8.0}, NEXT]) == [(6.0, True), (2.0, True)]
    assert free([stable | {"progression_month": 2.0}]) == [(0.0, True)]


@pytest.mark.parametrize(
    ("line", "died", "late"),
    [
        ({}, 0, 10.0),
        ({}, 1, 10.0),
        ({"end_month": 5.0}, 0, 3.0),
        # A treatment of one day says nothing of the progression after it.
        ({"end_month": 2.0}, 0, 10.0),
    ],
)
def test_progressive_disease_without_a_month_is_as_late_and_as_early_as_it_can_be(
    line: dict[str, Any], died: int, late: float
) -> None:
    lines = [{"start_month": 2.0, "best_response": "PD"} | line]
    assert free(lines, died=died) == [(late, True)]
    assert free(lines, "earliest", died=died) == [(0.0, True)]
    times = survival.progression_free(survival.with_outcome(cohort(lines, died=died)))
    assert times.undated == 1


def test_progressive_disease_without_a_month_ends_the_lines_before_it_too() -> None:
    stable = {"start_month": 2.0, "best_response": "SD"}
    lines = [stable, NEXT | {"best_response": "PD"}]
    assert free(lines) == [(10.0, True), (6.0, True)]
    assert free(lines, "earliest") == [(4.0, True), (0.0, True)]
    # No later than the next line; a recorded progression comes first where it is earlier.
    assert free([stable | {"best_response": "PD"}, NEXT])[0] == (4.0, True)
    assert free([stable | {"best_response": "PD"}, NEXT | {"progression_month": 7.0}]) == [
        (4.0, True),
        (1.0, True),
    ]


def ended(lines: pd.DataFrame, earliest: bool = False) -> list[tuple[float, bool]]:
    """The end of each line and whether it is an event, line by line as the rule is worded."""
    ends = []
    for row in lines.itertuples():
        responded = row.best_response in ("CR", "PR")
        timed = responded and row.response_month == row.response_month
        origin = row.response_month if timed else row.start_month
        months = []
        for other in lines[lines["patient_id"] == row.patient_id].itertuples():
            found = [(other.progression_month, other.progression_month)]
            lost = other.response_end_reason == "progression" or (
                other.response_end_reason is None
                and other.response_end_month not in (other.next_start, other.os_month)
            )
            if other.best_response in ("CR", "PR") and lost:
                found.append((other.response_end_month, other.response_end_month))
            if other.best_response == "PD" and np.isnan(other.progression_month):
                after = (other.next_start, other.end_month, other.os_month)
                late = min((m for m in after if m > other.start_month), default=other.start_month)
                found.append((late, other.start_month))
            for late, early in found:
                if late > origin or (late == origin and other.line >= row.line):
                    months.append(max(early, origin) if earliest else late)
        ends.append((min(months), True) if months else (row.os_month, bool(row.died)))
    return ends


@given(recipes())
@settings(max_examples=40, deadline=None)
def test_the_end_of_a_line_is_the_rule_as_it_is_worded(recipe: Recipe) -> None:
    lines = survival.with_outcome(generate(recipe).cohort())
    for rule in ("main", "earliest"):
        end, event = survival.end_of_line(lines, rule)
        assert list(zip(end, event, strict=True)) == ended(lines, rule == "earliest")


@given(recipes())
@settings(max_examples=40, deadline=None)
def test_the_durations_of_a_line_agree_with_each_other(recipe: Recipe) -> None:
    made = generate(recipe).cohort()
    lines = survival.with_outcome(made)
    timed = lines["best_response"].isin(["CR", "PR"]) & lines["response_month"].notna()
    for rule in CONVENTIONS:
        dor, pfs = survival.response_duration(lines, rule), survival.progression_free(lines, rule)
        progressed = dor.event & lines.loc[timed, "progressed"].notna().to_numpy()
        begun = lines.loc[timed, "response_month"] - lines.loc[timed, "start_month"]
        # By progression or not, a response ends where its line ends, unless a next line came first.
        same = progressed & (dor.time > 0)
        np.testing.assert_allclose((dor.time + begun)[same], pfs.time[timed][same], atol=1e-9)
        assert (pfs.event[timed][same]).all()
    ttnt = survival.to_next_treatment(lines)
    assert (survival.progression_free(lines, "next_line_event").time <= ttnt.time).all()
    main, early = (survival.progression_free(lines, rule) for rule in ("main", "earliest"))
    assert (early.time <= main.time).all()
    assert (early.event == main.event).all()


def test_time_to_next_treatment_ends_with_the_next_line_or_death() -> None:
    later = survival.to_next_treatment
    assert first(later(survival.with_outcome(cohort([FIRST, NEXT])))) == (4.0, True)
    assert first(later(survival.with_outcome(cohort([FIRST])))) == (10.0, False)
    assert first(later(survival.with_outcome(cohort([FIRST], died=1)))) == (10.0, True)


def test_the_three_origins() -> None:
    one = cohort([FIRST, NEXT], died=1)
    assert first(survival.from_infusion(one)) == (12.0, True)
    assert first(survival.from_relapse(one)) == (11.0, True)
    assert first(survival.from_first_salvage(one)) == (10.0, True)
    lines = survival.from_line_start(survival.with_outcome(one))
    assert lines.time.tolist() == [10.0, 6.0]
    assert (lines.n, lines.patients) == (2, 1)


def test_what_the_cohort_does_not_record_has_no_times() -> None:
    one = cohort([{"start_month": 2.0}])
    assert survival.line_times(one, "dor") is None
    assert survival.line_times(one, "pfs") is None
    made = survival.median(one.study, "pfs.other.median", None)
    assert (made.value, made.n, made.method) == (None, 0, "not recorded in this cohort")


# --- estimates ------------------------------------------------------------------------------------


def leaving(died: list[int], months: list[float] | None = None) -> Cohort:
    """Patients who leave at months 1, 2, 3 and so on, all with relapse and salvage at infusion."""
    ids = [f"P{i:02}" for i in range(len(died))]
    os_month = months or [float(i) for i in range(1, len(died) + 1)]
    patients = pd.DataFrame(
        {"patient_id": ids, "relapse_month": 0.0, "os_month": os_month, "died": died}
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


def os_median(died: list[int]) -> Any:
    made = leaving(died)
    return survival.median(made.study, "os.median", survival.from_infusion(made))


def test_median_as_r_prints_it_where_the_curve_meets_one_half() -> None:
    e = os_median([1] * 6)
    # R: survfit(Surv(1:6, rep(1, 6)) ~ 1, conf.type = "log-log") prints 3.5, 1, NA.
    assert (e.value, e.low, e.high, e.method) == (3.5, 1.0, None, survival.LOG_LOG)


@pytest.mark.parametrize(
    ("died", "why"),
    [
        ([1, 1, 1, 1], "4 patients, fewer than 5"),
        ([0, 0, 0, 1, 1], "2 events, fewer than 3"),
    ],
)
def test_a_median_of_too_few_is_not_given(died: list[int], why: str) -> None:
    e = os_median(died)
    assert (e.value, e.low, e.high, e.method) == (None, None, None, f"not estimable: {why}")
    assert (e.n, e.events) == (len(died), sum(died))
    assert median(e, "patient") == f"not estimable ({why})"


def test_a_median_that_is_not_reached_says_so_and_keeps_a_limit_only_where_it_has_events() -> None:
    few = os_median([1, 0, 0, 0, 0, 0])
    assert (few.value, few.low, few.method[-11:]) == (None, None, "not reached")
    assert median(few, "patient") == "not reached (1 event in 6 patients)"
    enough = os_median([1, 1, 1, 0, 0, 0, 0, 0])
    # R: survfit(Surv(1:8, c(1, 1, 1, 0, 0, 0, 0, 0)) ~ 1, conf.type = "log-log") prints NA, 1, NA.
    assert (enough.value, enough.low, enough.high) == (None, 1.0, None)


def test_survival_at_a_month() -> None:
    made = leaving([1, 1, 1, 1])
    times = survival.from_infusion(made)

    def at(month: float) -> tuple[float | None, float | None, float | None]:
        e = survival.at_month(made.study, "os.at", times, month)
        return e.value, e.low, e.high

    assert at(0.5) == (1.0, None, None)
    assert at(4) == at(12) == (0.0, None, None)
    value, low, high = at(2)
    assert value == 0.5
    # log-log limits by hand: log(-log S) +- 1.96 sqrt(sum d/(n(n-d))) / -log S
    width = 1.959963984540054 * math.sqrt(1 / 12 + 1 / 6) / math.log(2)
    assert low == pytest.approx(0.5 ** math.exp(width), rel=1e-12)
    assert high == pytest.approx(0.5 ** math.exp(-width), rel=1e-12)


def test_nothing_is_said_of_survival_beyond_follow_up() -> None:
    """3 of 21 die and nobody is followed beyond month 5: R refuses month 6 without `extend`."""
    made = leaving([1, 1, 1] + [0] * 18, [2.0, 2.5, 3.0] + [3.5] * 17 + [5.0])
    found = survival.estimates(made)
    assert found["os.at.3"].value == pytest.approx(18 / 21)
    for id in ("os.at.6", "os.at.12", "os.from_salvage.at.12"):
        e = found[id]
        assert (e.value, e.low, e.high) == (None, None, None)
        assert e.method == f"not estimable: {survival.BEYOND}"
    row = report_survival.by_origin(made).rows[0]
    assert row[3:] == ("86 (62 to 95)", "–", "–")


def test_follow_up_observed_and_reverse() -> None:
    made = leaving([1, 1, 0, 0, 0, 1])
    assert survival.follow_up_observed(made).value == 3.5
    reverse = survival.follow_up_reverse(made)
    # Censored at 3, 4 and 5 of 4, 3 and 2 at risk: 3/4, 1/2 and 1/4, so the middle of 4 and 5.
    assert (reverse.value, reverse.n, reverse.events) == (4.5, 6, 3)
    assert survival.follow_up_reverse(leaving([1, 1, 1, 1, 0, 0])).value is None


def test_restricted_mean_is_the_area_under_the_curve() -> None:
    made = leaving([1] * 8)
    assert survival.horizon(made) == 4  # five of the eight are at risk at month 4, four at month 5
    e = survival.restricted_mean(made.study, "os.rmst", survival.from_infusion(made), 4)
    assert e.value == pytest.approx(1 + 7 / 8 + 6 / 8 + 5 / 8, rel=1e-12)
    assert e.low is not None


def test_a_restricted_mean_in_which_nobody_dies_has_no_interval() -> None:
    made = leaving([0] * 6 + [1], [16.0] * 6 + [20.0])
    e = survival.estimates(made)["os.rmst"]
    assert (e.value, e.low, e.high) == (16.0, None, None)
    assert "no limits" in e.method


@pytest.mark.parametrize(
    ("n", "late", "month"),
    [
        (4, 0, None),  # fewer than five patients
        (21, 1, 16),  # a patient with a short follow-up does not set the horizon
        (60, 55, 2),  # a tenth are at risk until month 2: six, not five
    ],
)
def test_the_horizon_is_where_a_tenth_and_five_are_at_risk(
    n: int, late: int, month: float | None
) -> None:
    months = [0.5] * late + [16.0] * (n - late)
    if late == 55:
        months = [0.5] * 54 + [2.9] + [16.0] * 5
    assert survival.horizon(leaving([1] * n, months)) == month


@pytest.mark.parametrize("edge", EDGES)
def test_the_horizon_is_within_every_curve(edge: str) -> None:
    made = EDGES[edge]().cohort()

    def enough(month: float) -> bool:
        """Whether a tenth and five are at risk from every origin."""
        return all(
            (times.time >= month - 1e-9).sum() >= max(5, times.n / 10)
            for times in survival.origins(made).values()
        )

    month = survival.horizon(made)
    if month is None:
        assert not enough(1)
    else:
        assert month == int(month)
        assert enough(month)
        assert not enough(month + 1)


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
        "dor, event": survival.response_duration(lines, "next_line_event"),
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
    assert (every["dor"].time >= every["dor, event"].time).all()
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
    for line, total in (("all", len(made.salvage)), ("first", len(made.treated))):
        parts = [survival.line_times(made, "ttnt", key, line) for key in CATEGORY_KEYS]
        assert sum(times.n for times in parts if times is not None) == total
