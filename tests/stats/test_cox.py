"""Cox models against R, and Firth's against its print and an independent maximum."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from salvage.stats import cox as cx
from tests.reference import ITERATED, REFERENCE, answers, cox_rows

COX = answers("cox")


@pytest.mark.parametrize("name", COX)
def test_estimates_agree_with_r(name: str) -> None:
    theirs = COX[name]["answers"]
    ours = cx.cox(**cox_rows(name))
    assert (ours.converged, ours.monotone, ours.reason) == (True, False, None)
    for field in ("coef", "se", "low", "high", "p"):
        assert getattr(ours, field) == pytest.approx(theirs[field], **ITERATED), field
    assert ours.hr == pytest.approx(np.exp(theirs["coef"]), **ITERATED)
    assert (ours.n, ours.events) == (theirs["n"], theirs["events"])


@pytest.mark.parametrize("name", COX)
def test_tests_of_the_whole_model_agree_with_r(name: str) -> None:
    theirs = COX[name]["answers"]
    ours = cx.cox(**cox_rows(name))
    assert ours.loglik == pytest.approx(theirs["loglik"], **ITERATED)
    assert ours.lr.chi2 == pytest.approx(theirs["lr"], **ITERATED)
    assert ours.lr.p == pytest.approx(theirs["lr_p"], **ITERATED)
    assert ours.wald.chi2 == pytest.approx(theirs["wald"], **ITERATED)
    assert ours.score.chi2 == pytest.approx(theirs["score"], **ITERATED)
    assert {ours.lr.df, ours.wald.df, ours.score.df} == {len(theirs["coef"])}


@pytest.mark.parametrize("name", COX)
def test_proportional_hazards_test_agrees_with_r(name: str) -> None:
    theirs = COX[name]["answers"]
    ours = cx.zph(**cox_rows(name))
    rows = [*ours.terms, ours.overall]
    if len(ours.terms) == 1:
        # R prints one covariate's row and the global row, which are the same.
        assert ours.terms[0].chi2 == pytest.approx(ours.overall.chi2, **ITERATED)
    assert [r.chi2 for r in rows] == pytest.approx(theirs["zph_chi2"], **ITERATED)
    assert [r.df for r in rows] == theirs["zph_df"]
    assert [r.p for r in rows] == pytest.approx(theirs["zph_p"], **ITERATED)


def test_lung_figures_in_print() -> None:
    ours = cx.cox(**cox_rows("lung"))
    assert ours.coef == pytest.approx((0.011067, -0.552612, 0.463728), abs=5e-7)
    assert ours.se == pytest.approx((0.009267, 0.167739, 0.113577), abs=5e-7)
    zph = cx.zph(**cox_rows("lung"))
    assert [t.chi2 for t in zph.terms] == pytest.approx([0.18799, 2.30544, 2.05425], abs=5e-6)
    assert zph.overall.chi2 == pytest.approx(4.46366, abs=5e-6)


def test_heart_figures_in_print() -> None:
    ours = cx.cox(**cox_rows("heart"))
    assert ours.coef == pytest.approx((0.027167, -0.146346, -0.637210, -0.010251), abs=5e-7)


def ovarian() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = pd.read_csv(REFERENCE / "ovarian.csv")
    return data[["rx", "age"]].to_numpy(float), data["futime"].to_numpy(), data["fustat"] == 1


def test_firth_figures_in_print() -> None:
    """R coxphf, ovarian data.

    The print has 0.128896 for the first lower limit. The profile, which the test below follows
    without firthmodels, is at 0.12889546 there: coxphf stops its search before the last digit.
    """
    ours = cx.firth_cox(*ovarian(), names=["rx", "age"])
    assert ours.coef == pytest.approx((-0.832891, 0.136831), abs=5e-7)
    assert ours.low[0] == pytest.approx(0.12889546, abs=5e-9)
    assert ours.low[0] == pytest.approx(0.128896, abs=1e-6)
    assert ours.low[1] == pytest.approx(1.063022, abs=5e-7)
    assert ours.high == pytest.approx((1.442994, 1.265422), abs=5e-7)


def penalised(beta: np.ndarray, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    """Firth's penalised Breslow log likelihood, written out row by row."""
    value, information = 0.0, np.zeros((x.shape[1], x.shape[1]))
    for row in np.flatnonzero(event):
        risk = x[time >= time[row]]
        weight = np.exp(risk @ beta)
        mean = weight @ risk / weight.sum()
        value += float(x[row] @ beta - math.log(weight.sum()))
        information += (risk * weight[:, None]).T @ risk / weight.sum() - np.outer(mean, mean)
    return value + 0.5 * float(np.linalg.slogdet(information)[1])


def best(function: Any, start: np.ndarray) -> tuple[np.ndarray, float]:
    """The maximum, by a search that uses no derivative of ours."""
    found = minimize(lambda b: -function(b), start, method="BFGS", options={"gtol": 1e-9})
    found = minimize(
        lambda b: -function(b),
        found.x,
        method="Nelder-Mead",
        options={"xatol": 1e-11, "fatol": 1e-14, "maxiter": 4000, "maxfev": 4000},
    )
    return found.x, -float(found.fun)


def separated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everyone in the group dies before anybody outside it."""
    time = np.array([1, 2, 2, 3, 4, 5, 6, 6, 8, 9.5])
    return (time <= 4).astype(float)[:, None], time, np.array([1, 1, 1, 1, 1, 1, 0, 1, 1, 0])


FIRTH_CASES = {
    "ovarian": ovarian(),
    "separated": separated(),
    "small": (
        np.column_stack([COX["small"]["data"]["x1"], COX["small"]["data"]["x2"]]),
        np.array(COX["small"]["data"]["time"]),
        np.array(COX["small"]["data"]["event"]),
    ),
}


@pytest.mark.parametrize("name", FIRTH_CASES)
def test_firth_is_the_maximum_of_the_penalised_likelihood(name: str) -> None:
    x, time, event = FIRTH_CASES[name]
    # The same model in units that a search without derivatives can handle.
    scale = x.std(axis=0)
    z = (x - x.mean(axis=0)) / scale
    ours = cx.firth_cox(x, time, event)

    def likelihood(beta: np.ndarray) -> float:
        return penalised(beta, z, time, np.asarray(event, dtype=bool))

    top, height = best(likelihood, np.zeros(x.shape[1]))
    assert ours.coef == pytest.approx(top / scale, rel=1e-6, abs=1e-8)
    # A standardised covariate changes the penalty by a constant only.
    assert ours.loglik == pytest.approx(height, rel=1e-8)

    def profile(term: int, value: float) -> float:
        others = np.delete(top, term)
        if not len(others):
            return likelihood(np.array([value]))
        return best(lambda b: likelihood(np.insert(b, term, value)), others)[1]

    for term in range(x.shape[1]):
        drop = height - chi2.ppf(0.95, 1) / 2
        width = 6 * ours.se[term] * scale[term]
        for limit, side in ((ours.low, -1), (ours.high, 1)):
            bound = brentq(
                lambda v, term=term, drop=drop: profile(term, v) - drop,
                top[term],
                top[term] + side * width,
                xtol=1e-9,
            )
            assert limit[term] == pytest.approx(math.exp(bound / scale[term]), rel=1e-7)
        p = chi2.sf(2 * (height - profile(term, 0.0)), 1)
        assert ours.p[term] == pytest.approx(p, rel=1e-6, abs=1e-10)


def test_a_separated_group_is_fitted_by_firth_and_says_so() -> None:
    plain = cx.cox(*separated())
    assert (plain.monotone, plain.converged) == (True, False)
    assert plain.hr == plain.low == plain.high == plain.p == (None,)
    assert plain.wald is None
    assert plain.score.p < 0.05
    assert "no maximum" in plain.reason
    found = cx.cox_or_firth(*separated())
    assert found.monotone
    assert found.converged
    assert found.method.endswith("because the Cox model does not converge")
    assert 1 < found.low[0] < found.hr[0] < found.high[0] < math.inf


def test_an_ordinary_model_stays_a_cox_model() -> None:
    found = cx.cox_or_firth(**cox_rows("small"))
    assert found == cx.cox(**cox_rows("small"))
    assert found.method == cx.COX


def test_with_late_entry_a_monotone_model_has_no_substitute() -> None:
    x, time, event = separated()
    found = cx.cox_or_firth(x, time + 1, event, entry=np.ones(len(time)))
    assert found.monotone
    assert found.hr == (None,)


def test_monotone_in_one_direction_of_two_covariates() -> None:
    x, time, event = separated()
    two = np.column_stack([x, time % 3])
    assert cx.cox(two, time, event).monotone
    assert cx.cox(np.column_stack([x[:, 0] - two[:, 1], two[:, 1]]), time, event).monotone


def test_nearly_separated_is_not_monotone() -> None:
    """One death against the order is enough for a maximum, however far out it lies."""
    time = np.arange(1.0, 61)
    x = (time <= 30).astype(float)
    x[30] = 1.0
    x[31] = 0.0
    x[29] = 0.0
    found = cx.cox(x, time, np.ones(60))
    assert found.converged
    assert not found.monotone
    assert found.hr[0] > 10


@pytest.mark.parametrize("seed", range(6))
def test_monotone_is_found_with_entry(seed: int) -> None:
    """A covariate that orders the events has no maximum, with late entry or without."""
    rng = np.random.default_rng(seed)
    time = rng.permutation(12) + 2.0
    entry = rng.uniform(0, 1.5, 12)
    assert cx.cox(-time, time, np.ones(12)).monotone
    assert cx.cox(-time, time, np.ones(12), entry=entry).monotone
    # Whoever leaves first is not there when the one below him in order dies.
    entry[time == 3] = 2.5
    swapped = np.where(time == 3, -1.0, np.where(time == 2, -2.5, -time))
    assert not cx.cox(swapped, time, np.ones(12)).monotone


def test_a_large_monotone_model_is_recognised_by_its_flatness() -> None:
    time = np.arange(1.0, 3001)
    found = cx.cox((time <= 1500).astype(float), time, np.ones(3000))
    assert found.monotone
    assert cx.cox_or_firth((time <= 1500).astype(float), time, np.ones(3000)).hr[0] > 1


def test_a_large_strong_effect_is_not_monotone() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=3000)
    time = rng.exponential(np.exp(-3.0 * x))
    found = cx.cox(x, time, np.ones(3000))
    assert found.converged
    assert found.coef[0] == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("fit", [cx.cox, cx.firth_cox, cx.cox_or_firth])
@pytest.mark.parametrize(
    ("x", "time", "event", "reason"),
    [
        ([0, 1, 0], [1, 2, 3], [0, 0, 0], "no event"),
        ([1, 1, 1], [1, 2, 3], [1, 0, 1], "no covariate varies"),
        ([1], [1], [1], "no covariate varies"),
        ([], [], [], "no event"),
        ([[0, 0], [1, 2], [0, 0], [1, 2]], [1, 2, 3, 4], [1, 1, 1, 1], "determine one another"),
        ([0, 0, 1], [1, 2, 5], [0, 0, 1], "no event has a contrast"),
    ],
)
def test_what_cannot_be_estimated_says_why(
    fit: Any, x: Any, time: Any, event: Any, reason: str
) -> None:
    found = fit(np.array(x, dtype=float), time, event)
    assert not found.converged
    assert set(found.coef) == set(found.hr) == set(found.p) == {None}
    assert reason in found.reason
    assert cx.zph(np.array(x, dtype=float), time, event) is None


@pytest.mark.parametrize("fit", [cx.cox, cx.firth_cox])
def test_a_covariate_that_does_not_vary_is_left_out(fit: Any) -> None:
    data = cox_rows("small")
    alone = fit(data["X"][["x1"]], data["time"], data["event"])
    constant = np.column_stack([np.ones(29), data["X"]["x1"]])
    found = fit(constant, data["time"], data["event"], names=["one", "x1"])
    assert found.coef == (None, pytest.approx(alone.coef[0], rel=1e-9))
    assert found.reason == "a covariate does not vary"


def test_all_dead_at_once_shows_no_effect_as_in_r() -> None:
    found = cx.cox([0, 1, 0, 1], [3, 3, 3, 3], [1, 1, 1, 1])
    assert found.hr == pytest.approx((1.0,))
    assert found.converged
    assert cx.zph([0, 1, 0, 1], [3, 3, 3, 3], [1, 1, 1, 1]) is None


def test_many_rows_need_no_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the named size the Cox model stands in, unless it has no maximum."""
    rng = np.random.default_rng(6)
    x, time = rng.normal(size=4000), rng.exponential(size=4000)
    penalised = cx.firth_cox(x, time, np.ones(4000))
    monkeypatch.setattr(cx, "FIRTH_ROWS", 9)
    plain = cx.firth_cox(x, time, np.ones(4000))
    assert plain.method == cx.COX_FOR_MANY
    assert plain.hr == cx.cox(x, time, np.ones(4000)).hr
    # Within a hundredth of a standard error.
    assert plain.coef[0] == pytest.approx(penalised.coef[0], abs=plain.se[0] / 100)
    assert cx.firth_cox(*separated()).method == cx.FIRTH


def test_rows_at_risk_without_contrast_in_two_covariates() -> None:
    """Whoever differs has left before the only death."""
    x = np.array([[0, 1], [1, 0], [0, 0], [0, 0]], dtype=float)
    found = cx.cox(x, [1, 1, 2, 3], [0, 0, 1, 0])
    assert (found.converged, found.monotone) == (False, False)
    assert "contrast" in found.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": [[1.0, np.nan]] * 3}, "X must not hold missing"),
        ({"X": np.zeros((3, 0))}, "at least one column"),
        ({"X": np.zeros((2, 1))}, "differ in length"),
        ({"names": ["a", "b"]}, "2 names for 1 covariates"),
    ],
)
def test_wrong_arguments_are_refused(change: dict, message: str) -> None:
    good = {"X": [0.0, 1.0, 0.0], "time": [1, 2, 3], "event": [1, 1, 0]}
    with pytest.raises(ValueError, match=message):
        cx.cox(**(good | change))


@pytest.mark.parametrize("turned", [False, True])
def test_firth_finds_a_flat_maximum_whatever_the_order_of_the_rows(turned: bool) -> None:
    """One death among ten patients at one time: full steps swing past the maximum and back."""
    group = np.array([0.0, 0, 0, 1, 1, 1, 0, 1, 0, 0])
    x = 1 - group if turned else group
    time, event = np.zeros(10), np.arange(10) == 6
    found = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(10)
        found.append(cx.firth_cox(x[order], time[order], event[order]).hr)
    assert len(set(found)) == 1
    assert found[0] == (pytest.approx(2.0 if turned else 0.5, rel=1e-8),)
