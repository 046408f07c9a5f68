"""Effective numbers and comparisons of categories against R and statsmodels."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from firthmodels import FirthLogisticRegression
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
        ([1, 0, 1], ["a", "a", "a"], 9, 3),  # one patient
        ([1, 1, 1], ["a", "b", "b"], 9, 3),  # all respond
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


WITH_GEE = [name for name in CATEGORIES if "gee" in CATEGORIES[name]["answers"]]


def test_gee_is_compared_with_something() -> None:
    assert len(WITH_GEE) >= 2


@pytest.mark.parametrize("name", WITH_GEE)
def test_gee_agrees_with_r(name: str) -> None:
    data, theirs = CATEGORIES[name]["data"], CATEGORIES[name]["answers"]["gee"]
    ours = clustered.gee_independence(
        data["y"], data["category"], data["patient"], theirs["reference"]
    )
    assert [o.category for o in ours] == theirs["category"]
    assert [o.log_odds_ratio for o in ours] == pytest.approx(theirs["coef"], rel=1e-6)
    assert [o.se for o in ours] == pytest.approx(theirs["se"], rel=1e-6)


@pytest.mark.parametrize("name", WITH_GEE)
def test_gee_agrees_with_statsmodels(name: str) -> None:
    import statsmodels.api as sm

    data = {k: np.array(v) for k, v in CATEGORIES[name]["data"].items()}
    others = sorted(set(data["category"]))[1:]
    x = np.column_stack([np.ones(len(data["y"])), *(data["category"] == c for c in others)])
    theirs = sm.GEE(
        data["y"],
        x.astype(float),
        groups=data["patient"],
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Independence(),
    ).fit(cov_type="bias_reduced", ctol=1e-12, maxiter=200)
    ours = clustered.gee_independence(data["y"], data["category"], data["patient"], "a")
    assert [o.se for o in ours] == pytest.approx(theirs.bse[1:], rel=1e-6)
    assert [o.p for o in ours] == pytest.approx(theirs.pvalues[1:], rel=1e-6)
    limits = np.exp(theirs.conf_int()[1:])
    assert [o.low for o in ours] == pytest.approx(limits[:, 0], rel=1e-6)
    assert [o.high for o in ours] == pytest.approx(limits[:, 1], rel=1e-6)
    assert [o.odds_ratio for o in ours] == pytest.approx(np.exp(theirs.params[1:]), rel=1e-6)


def test_gee_says_why_an_odds_ratio_is_missing() -> None:
    y = [1, 0, 0, 0, 1, 0, 1, 0, 1, 1]
    category = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"]
    patient = [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    found = {o.category: o for o in clustered.gee_independence(y, category, patient, "a")}
    assert list(found) == ["b", "c", "d", "e"]
    assert found["b"].reason == found["e"].reason == "a cell is 0"
    assert found["c"].reason == "one patient has all events of a category"
    assert found["d"].reason is None
    assert found["d"].p is not None
    for key in "bce":
        assert found[key].p is found[key].se is found[key].odds_ratio is None
    everywhere = clustered.gee_independence(y, category, patient, "b")
    assert {o.reason for o in everywhere} == {"a cell is 0"}
    still = clustered.gee_independence([1, 0] * 4, list("aabbaabb"), [1, 1, 1, 1, 2, 2, 2, 2], "a")
    assert still[0].reason == "the responses of patients do not vary"


@pytest.mark.parametrize("function", [clustered.gee_independence, clustered.firth_odds_ratio])
def test_the_reference_must_occur(function: Any) -> None:
    extra = {"seed": 1} if function is clustered.firth_odds_ratio else {}
    with pytest.raises(ValueError, match="no event has the reference"):
        function([1, 0], ["a", "b"], [1, 2], "z", **extra)


def test_firth_odds_ratio_is_the_penalised_maximum() -> None:
    """Adding 1/2 to each cell is what Firth's logistic model gives for categories alone."""
    data = {k: np.array(v) for k, v in CATEGORIES["rare"]["data"].items()}
    others = sorted(set(data["category"]))[1:]
    x = np.column_stack([data["category"] == c for c in others]).astype(float)
    model = FirthLogisticRegression(backend="numpy", gtol=1e-10).fit(x, data["y"])
    found = clustered.firth_odds_ratio(
        data["y"], data["category"], data["patient"], "a", seed=7, draws=200
    )
    assert [o.log_odds_ratio for o in found] == pytest.approx(model.coef_, rel=1e-6, abs=1e-8)
    for o in found:
        assert 0 < o.low <= o.odds_ratio <= o.high < math.inf
        assert o.p is o.se is None
        assert "approximate" in o.reason


def test_firth_odds_ratio_draws_whole_patients() -> None:
    """The same draws made one patient at a time."""
    y, category = np.array([1, 0, 0, 1, 0, 0]), np.array(list("ababab"))
    patient = np.array([0, 0, 1, 1, 2, 2])
    found = clustered.firth_odds_ratio(y, category, patient, "a", seed=3, draws=50)[0]
    drawn = np.random.default_rng(3).multinomial(3, np.full(3, 1 / 3), size=50)
    ratios = []
    for counts in drawn:
        weight = counts[patient]
        cells = [weight[(category == c) & (y == r)].sum() + 0.5 for c, r in product("ab", (1, 0))]
        ratios.append(math.log(cells[2] * cells[1] / cells[3] / cells[0]))
    assert math.log(found.low) == pytest.approx(np.quantile(ratios, 0.025))
    assert math.log(found.high) == pytest.approx(np.quantile(ratios, 0.975))


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
