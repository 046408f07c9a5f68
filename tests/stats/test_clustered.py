"""Effective numbers and comparisons of categories against R."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from salvage.stats import clustered, intervals
from tests.reference import CLOSED, answers

CATEGORIES = answers("categories")


@pytest.mark.parametrize("name", CATEGORIES)
def test_effective_number_agrees_with_survey(name: str) -> None:
    """Korn and Graubard's effective number within the whole study's design."""
    data = {k: np.array(v) for k, v in CATEGORIES[name]["data"].items()}
    everyone = len(set(data["patient"]))
    for row in CATEGORIES[name]["answers"]["effective"]:
        mine = data["category"] == row["category"]
        found = clustered.effective_n(data["y"][mine], data["patient"][mine], everyone)
        assert found == pytest.approx(row["n_eff"], **CLOSED)


def test_effective_number_by_hand() -> None:
    """Three patients of five: 2 of 2, 0 of 2 and 1 of 2 respond."""
    y, patient = [1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"]
    v = 5 / 4 * (2 * (2 * 0.5 / 6) ** 2)
    t = stats.t.ppf(0.025, 5) / stats.t.ppf(0.025, 2)
    n_eff = clustered.effective_n(y, patient, 5)
    assert n_eff == pytest.approx(0.25 / v * t**2, rel=1e-12)
    assert clustered.wilson_effective(y, patient, 5) == intervals.wilson(0.5, n_eff)


@pytest.mark.parametrize(
    ("y", "patient", "study", "n_eff"),
    [
        ([1, 0, 1], ["a", "a", "a"], 9, 1),  # one patient
        ([1, 1, 1], ["a", "b", "b"], 9, 2),  # all respond: as many as there are patients
        ([0] * 15, list("abcde") * 3, 9, 5),  # nobody responds
        ([0, 0], ["a", "b"], 2, 2),  # nobody responds
        ([1, 0, 1, 0], ["a", "a", "b", "b"], 9, 4),  # every patient alike
        ([1], ["a"], 1, 1),
        ([1, 0, 1, 0, 1], list("abcde"), 5, 4),  # one event each: n(m-1)/m
        ([1, 0, 1, 0, 1], list("abcde"), 10, 4.5),
        ([1, 0, 1, 0, 1], ["a", "a", "b", "b", "c"], 99, 5),  # alike by nature: never above n
    ],
)
def test_effective_number_at_the_edges(y: list, patient: list, study: int, n_eff: float) -> None:
    assert clustered.effective_n(y, patient, study) == pytest.approx(n_eff, rel=1e-12)


@pytest.mark.parametrize("name", CATEGORIES)
def test_rao_scott_agrees_with_survey(name: str) -> None:
    entry = CATEGORIES[name]
    theirs = entry["answers"]["rao_scott"]
    ours = clustered.rao_scott(
        entry["data"]["y"], entry["data"]["category"], entry["data"]["patient"]
    )
    assert ours is not None
    for field in ("f", "df1", "df2", "p"):
        assert getattr(ours, field) == pytest.approx(theirs[field], **CLOSED), field


@pytest.mark.parametrize(
    ("y", "category", "patient"),
    [
        ([1, 0, 1], ["a", "a", "a"], [1, 2, 3]),
        ([1, 1, 1], ["a", "b", "a"], [1, 2, 3]),
        ([0, 0, 0], ["a", "b", "a"], [1, 2, 3]),
        ([1, 0, 1], ["a", "b", "a"], [1, 1, 1]),
        ([1, 0, 1, 0], ["a", "a", "b", "b"], [1, 1, 2, 2]),
        ([], [], []),
    ],
)
def test_rao_scott_without_information(y: list, category: list, patient: list) -> None:
    assert clustered.rao_scott(y, category, patient) is None


def test_the_interval_of_patients_who_all_respond_counts_each_once() -> None:
    """15 lines of 5 patients: the limit is Wilson's at n = 5, and not the 80% of 15 lines."""
    low, high = clustered.wilson_effective([1] * 15, list("abcde") * 3, 20)
    # R: prop.test(5, 5, correct = FALSE)$conf.int
    assert (low, high) == pytest.approx((0.5655175, 1), abs=1e-7)


def test_rao_scott_is_not_to_be_trusted_with_two_responses() -> None:
    """40 patients, 2 responses, both among 7: a tenth of the exact P, which is 0.027."""
    found = clustered.rao_scott([1, 1] + [0] * 38, ["a"] * 7 + ["b"] * 33, range(40))
    assert found is not None
    assert found.p == pytest.approx(0.0030018500504, rel=1e-8)  # R: survey::svychisq


def test_coverage_of_the_two_printed_intervals() -> None:
    """One category of a study of 29 patients with 58 events, 600 times.

    Patients differ in how likely they respond, and repeat a category. Both intervals should
    hold the true rate about 95 times in 100; the simulation's own error is about 1 in 100.
    """
    rng = np.random.default_rng(12)
    rate, studies, covered, used = 0.4, 600, np.zeros(2), 0
    for _ in range(studies):
        patient = np.concatenate([np.arange(29), rng.integers(0, 29, 29)])
        tendency = rng.beta(rate * 3, (1 - rate) * 3, 29)
        mine = patient[rng.random(58) < 0.2]
        if not len(mine):
            continue
        y = rng.random(len(mine)) < tendency[mine]
        used += 1
        limits = [
            intervals.clopper_pearson(int(y.sum()), len(y)),
            clustered.wilson_effective(y, mine, 29),
        ]
        covered += [low <= rate <= high for low, high in limits]
    error = 3 * math.sqrt(0.95 * 0.05 / used)
    assert covered[0] / used > 0.95 - error
    assert covered[1] / used == pytest.approx(0.95, abs=error)


@pytest.mark.parametrize(
    "call",
    [
        lambda: clustered.effective_n([], [], 3),
        lambda: clustered.effective_n([1, 0], ["a", "b"], 1),
        lambda: clustered.effective_n([1, 0], ["a"], 1),
        lambda: clustered.effective_n([1, 0.5], ["a", "b"], 2),
    ],
)
def test_impossible_events_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()
