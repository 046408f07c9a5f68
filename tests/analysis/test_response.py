"""Response rates: numerators, denominators and both intervals of every group of lines."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from scipy import stats

from salvage.analysis import response
from salvage.cohort import load
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.paths import DATA
from salvage.report import categories as report_categories
from tests.cohorts import EDGES, Recipe, generate, recipes


def test_shipped_cohort_has_the_published_and_the_assumed_rates() -> None:
    found = response.estimates(load(DATA))
    counts = {key: (found[f"orr.{key}"].n, found[f"orr.{key}"].events) for key in CATEGORY_KEYS}
    assert counts == {
        "bispecific": (12, 5),
        "second_cart": (10, 4),
        "radiotherapy": (8, 3),
        "polatuzumab": (9, 6),
        "checkpoint": (6, 1),
        "other": (13, 5),
    }
    assert (found["orr.all"].events, found["orr.all"].n) == (24, 58)
    assert (found["cr.all"].events, found["cr.all"].n) == (7, 58)
    assert (found["cr.second_cart.switched"].events, found["cr.second_cart.switched"].n) == (3, 5)
    assert (found["cr.second_cart.same"].events, found["cr.second_cart.same"].n) == (0, 5)


def test_intervals_are_those_printed_in_reference_tables() -> None:
    found = response.estimates(load(DATA))
    printed = {"orr.all": "28.6-55.1", "cr.all": "5.0-23.3", "cr.second_cart": "6.7-65.2"}
    for id, text in printed.items():
        low, high = found[id].low, found[id].high
        assert low is not None
        assert high is not None
        assert f"{100 * low:.1f}-{100 * high:.1f}" == text
    switched = found["cr.second_cart.switched"]
    exact = stats.binomtest(3, 5).proportion_ci(method="exact")
    assert (switched.low, switched.high) == pytest.approx((exact.low, exact.high), rel=1e-8)


def test_a_line_that_is_not_evaluable_stays_in_the_denominator() -> None:
    lines = pd.DataFrame({"best_response": ["CR", "PR", "SD", "PD", "NE"]})
    assert response.responded(lines, "orr").tolist() == [1, 1, 0, 0, 0]
    assert response.responded(lines, "cr").tolist() == [1, 0, 0, 0, 0]
    assert response.responded(lines, "pr").tolist() == [0, 1, 0, 0, 0]
    assert response.counts(lines.assign(category="x")).loc["x"].tolist() == [1, 1, 1, 1, 1]


def test_a_group_without_lines_has_no_rate() -> None:
    found = response.estimates(EDGES["a_category_without_events"]().cohort())
    for id in ("orr.checkpoint", "orr.checkpoint.wilson", "cr.first_line.checkpoint"):
        e = found[id]
        assert (e.value, e.low, e.high, e.n, e.events) == (None, None, None, 0, 0)


@pytest.mark.parametrize(("edge", "value"), [("no_responder", 0.0), ("all_responders", 1.0)])
def test_extreme_rates_have_one_sided_limits(edge: str, value: float) -> None:
    found = response.estimates(EDGES[edge]().cohort())
    for id in ("orr.all", "orr.all.wilson"):
        e = found[id]
        assert e.value == value
        assert e.low is not None
        assert e.high is not None
        assert (e.low if value == 0 else 1 - e.high) == 0
        assert 0 < e.high - e.low < 1


def test_patients_who_repeat_widen_the_second_interval() -> None:
    """All lines of a patient respond or none does: the lines tell no more than the patients."""
    patients, lines = 20, 5
    y = np.repeat(np.arange(patients) % 2, lines)
    frame = pd.DataFrame(
        {
            "best_response": np.where(y == 1, "PR", "PD"),
            "patient_id": np.repeat([f"P{i}" for i in range(patients)], lines),
        }
    )
    made = generate(Recipe(patients=patients, seed=1)).cohort()
    exact, wilson = response.both(made, "orr", frame, "x")
    assert (exact.value, wilson.value) == (0.5, 0.5)
    assert exact.low is not None
    assert wilson.low is not None
    alone = stats.binomtest(10, 20).proportion_ci(method="wilson")
    assert wilson.low < exact.low
    assert wilson.low == pytest.approx(alone.low, abs=0.02)


@given(recipes())
@settings(max_examples=40, deadline=None)
def test_counts_add_up(recipe: Recipe) -> None:
    made = generate(recipe).cohort()
    found = response.estimates(made)

    def total(id: str, keys: tuple[str, ...] = CATEGORY_KEYS) -> tuple[int, int]:
        parts = [found[id.format(key)] for key in keys]
        return sum(e.events or 0 for e in parts), sum(e.n or 0 for e in parts)

    for measure in ("orr", "cr", "pr"):
        every = found[f"{measure}.all"]
        assert total(f"{measure}.{{}}") == (every.events, every.n)
        first = found[f"{measure}.first_line.all"]
        assert total(f"{measure}.first_line.{{}}") == (first.events, first.n)
        for key in CATEGORY_KEYS:
            parts = (f"first_line.{key}", f"later_line.{key}")
            whole = found[f"{measure}.{key}"]
            assert total(f"{measure}.{{}}", parts) == (whole.events, whole.n)
    for key in ("all", *CATEGORY_KEYS):
        assert found[f"orr.{key}"].events == (found[f"cr.{key}"].events or 0) + (
            found[f"pr.{key}"].events or 0
        )
    table = response.by_category(made)
    assert table["lines"].sum() == len(made.salvage)
    assert (table[["CR", "PR", "SD", "PD", "NE"]].sum(axis=1) == table["lines"]).all()
    assert found["orr.all"].n == len(made.salvage)
    assert found["orr.first_line.all"].n == len(made.treated)


@pytest.mark.parametrize(("first", "second"), [(9, 12), (50, 50), (1000, 1000)])
def test_the_smallest_difference_has_the_stated_power(first: int, second: int) -> None:
    difference = response.smallest_difference(first, second)
    assert difference is not None
    low, high = response.BASE_RATE, response.BASE_RATE + difference
    effect = abs(2 * np.arcsin(np.sqrt(high)) - 2 * np.arcsin(np.sqrt(low)))
    power = stats.norm.cdf(effect / np.sqrt(1 / first + 1 / second) - stats.norm.ppf(0.975))
    assert power == pytest.approx(response.POWER, rel=1e-9)


def test_the_chance_of_as_many_responses_is_the_sum_of_its_cases() -> None:
    cases = [math.comb(5, k) * 0.3**k * 0.7 ** (5 - k) for k in (3, 4, 5)]
    assert response.at_least(3, 5, 0.3) == pytest.approx(sum(cases), rel=1e-12)
    assert response.at_least(0, 5, 0.3) == 1


def test_groups_that_are_too_small_can_show_no_difference() -> None:
    assert response.smallest_difference(2, 2) is None
    assert response.smallest_difference(0, 50) is None


def test_the_other_splits_of_the_target_switch_are_told_with_their_p() -> None:
    said = report_categories.targets_compared(load(DATA)).plain()
    for a, n, b, m in ((3, 5, 3, 15), (6, 10, 0, 10)):
        p = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
        assert f"{a}/{n} against {b}/{m} (P = {p:.{2 if p > 0.05 else 3}f})" in said
    others = replace(load(DATA), study=replace(load(DATA).study, synthetic=False))
    assert "against" not in report_categories.targets_compared(others).plain()
