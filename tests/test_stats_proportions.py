"""Intervals and comparisons of categories against R and against independent calculations."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from salvage.stats import proportions as pr
from salvage.stats import rates

REFERENCE = Path(__file__).parent / "reference"
CLOSED = {"rel": 1e-8, "abs": 1e-12}


def answers(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_text())


INTERVALS = answers("intervals")
CATEGORIES = answers("categories")
ASSUMED = ([5, 4, 3, 6, 1, 5], [12, 10, 8, 9, 6, 13])


@pytest.mark.parametrize("row", INTERVALS, ids=lambda r: f"{r['events']} of {r['n']}")
def test_intervals_agree_with_r(row: dict) -> None:
    events, n = row["events"], row["n"]
    assert pr.clopper_pearson(events, n) == pytest.approx(row["exact"], **CLOSED)
    assert pr.wilson(events / n, n) == pytest.approx(row["wilson"], **CLOSED)
    assert pr.jeffreys(events, n) == pytest.approx(row["jeffreys"], **CLOSED)
    assert rates.poisson(events, n) == pytest.approx(row["poisson"], **CLOSED)


def test_figures_in_print() -> None:
    assert pr.clopper_pearson(10, 15) == pytest.approx((0.383804, 0.881759), abs=5e-7)
    assert pr.wilson(10 / 15, 15) == pytest.approx((0.417135, 0.848237), abs=5e-7)
    assert pr.jeffreys(10, 15) == pytest.approx((0.415836, 0.859747), abs=5e-7)


@pytest.mark.parametrize(
    ("events", "n", "percent"),
    [(24, 58, (28.6, 55.1)), (7, 58, (5.0, 23.3)), (3, 10, (6.7, 65.2)), (3, 5, (14.7, 94.7))],
)
def test_exact_percentages_in_print(events: int, n: int, percent: tuple) -> None:
    found = [100 * limit for limit in pr.clopper_pearson(events, n)]
    assert found == pytest.approx(percent, abs=0.05)


@pytest.mark.parametrize("name", CATEGORIES)
def test_effective_number_agrees_with_survey(name: str) -> None:
    """Korn and Graubard's effective number within the whole study's design."""
    data = {k: np.array(v) for k, v in CATEGORIES[name]["data"].items()}
    everyone = len(set(data["patient"]))
    for row in CATEGORIES[name]["answers"]["effective"]:
        mine = data["category"] == row["category"]
        found = pr.effective_n(data["y"][mine], data["patient"][mine], everyone)
        assert found == pytest.approx(row["n_eff"], **CLOSED)


def test_effective_number_by_hand() -> None:
    """Three patients of five: 2 of 2, 0 of 2 and 1 of 2 respond."""
    y, patient = [1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"]
    v = 5 / 4 * (2 * (2 * 0.5 / 6) ** 2)
    t = stats.t.ppf(0.025, 5) / stats.t.ppf(0.025, 2)
    assert pr.effective_n(y, patient, 5) == pytest.approx(0.25 / v * t**2, rel=1e-12)
    assert pr.wilson_effective(y, patient, 5) == pr.wilson(0.5, pr.effective_n(y, patient, 5))


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
    assert pr.effective_n(y, patient, study) == pytest.approx(n_eff, rel=1e-12)


@pytest.mark.parametrize("name", CATEGORIES)
def test_rao_scott_agrees_with_survey(name: str) -> None:
    entry = CATEGORIES[name]
    theirs = entry["answers"]["rao_scott"]
    ours = pr.rao_scott(entry["data"]["y"], entry["data"]["category"], entry["data"]["patient"])
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
    assert pr.rao_scott(y, category, patient) is None


WITH_GEE = [name for name in CATEGORIES if "gee" in CATEGORIES[name]["answers"]]


def test_gee_is_compared_with_something() -> None:
    assert len(WITH_GEE) >= 2


@pytest.mark.parametrize("name", WITH_GEE)
def test_gee_agrees_with_r(name: str) -> None:
    data, theirs = CATEGORIES[name]["data"], CATEGORIES[name]["answers"]["gee"]
    ours = pr.gee_independence(data["y"], data["category"], data["patient"], theirs["reference"])
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
    ours = pr.gee_independence(data["y"], data["category"], data["patient"], "a")
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
    found = {o.category: o for o in pr.gee_independence(y, category, patient, "a")}
    assert list(found) == ["b", "c", "d", "e"]
    assert found["b"].reason == found["e"].reason == "a cell is 0"
    assert found["c"].reason == "one patient has all events of a category"
    assert found["d"].reason is None
    assert found["d"].p is not None
    for key in "bce":
        assert found[key].p is found[key].se is found[key].odds_ratio is None
    everywhere = pr.gee_independence(y, category, patient, "b")
    assert {o.reason for o in everywhere} == {"a cell is 0"}
    still = pr.gee_independence([1, 0] * 4, list("aabbaabb"), [1, 1, 1, 1, 2, 2, 2, 2], "a")
    assert still[0].reason == "the responses of patients do not vary"


@pytest.mark.parametrize("function", [pr.gee_independence, pr.firth_odds_ratio])
def test_the_reference_must_occur(function: Any) -> None:
    extra = {"seed": 1} if function is pr.firth_odds_ratio else {}
    with pytest.raises(ValueError, match="no event has the reference"):
        function([1, 0], ["a", "b"], [1, 2], "z", **extra)


def test_firth_odds_ratio_is_the_penalised_maximum() -> None:
    """Adding 1/2 to each cell is what Firth's logistic model gives for categories alone."""
    data = {k: np.array(v) for k, v in CATEGORIES["rare"]["data"].items()}
    others = sorted(set(data["category"]))[1:]
    model = pr.firth_logistic(
        np.column_stack([data["category"] == c for c in others]), data["y"], names=others
    )
    found = pr.firth_odds_ratio(
        data["y"], data["category"], data["patient"], "a", seed=7, draws=200
    )
    assert [o.log_odds_ratio for o in found] == pytest.approx(model.coef, rel=1e-6, abs=1e-8)
    for o in found:
        assert 0 < o.low <= o.odds_ratio <= o.high < math.inf
        assert o.p is o.se is None
        assert "approximate" in o.reason


def test_firth_odds_ratio_draws_whole_patients() -> None:
    """The same draws made one patient at a time."""
    y, category = np.array([1, 0, 0, 1, 0, 0]), np.array(list("ababab"))
    patient = np.array([0, 0, 1, 1, 2, 2])
    found = pr.firth_odds_ratio(y, category, patient, "a", seed=3, draws=50)[0]
    drawn = np.random.default_rng(3).multinomial(3, np.full(3, 1 / 3), size=50)
    ratios = []
    for counts in drawn:
        weight = counts[patient]
        cells = [weight[(category == c) & (y == r)].sum() + 0.5 for c, r in product("ab", (1, 0))]
        ratios.append(math.log(cells[2] * cells[1] / cells[3] / cells[0]))
    assert math.log(found.low) == pytest.approx(np.quantile(ratios, 0.025))
    assert math.log(found.high) == pytest.approx(np.quantile(ratios, 0.975))


def logistic_penalised(beta: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    design = np.column_stack([x, np.ones(len(y))])
    mu = special.expit(design @ beta)
    value = float(np.sum(special.xlogy(y, mu) + special.xlog1py(1 - y, -mu)))
    information = (design * (mu * (1 - mu))[:, None]).T @ design
    return value + 0.5 * float(np.linalg.slogdet(information)[1])


@pytest.mark.parametrize("separated", [False, True])
def test_firth_logistic_is_the_maximum_of_the_penalised_likelihood(separated: bool) -> None:
    rng = np.random.default_rng(8)
    x = np.column_stack([rng.integers(0, 2, 30), rng.normal(size=30)]).astype(float)
    y = x[:, 0] if separated else (rng.random(30) < special.expit(x[:, 1])).astype(float)
    ours = pr.firth_logistic(x, y)

    def best(free: Any, start: np.ndarray) -> optimize.OptimizeResult:
        first = optimize.minimize(free, start, method="BFGS", options={"gtol": 1e-9})
        return optimize.minimize(
            free, first.x, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14}
        )

    top = best(lambda b: -logistic_penalised(b, x, y), np.zeros(3))
    assert ours.coef == pytest.approx(top.x[:2], rel=1e-6, abs=1e-8)

    def drop(term: int, value: float) -> float:
        found = best(
            lambda b: -logistic_penalised(np.insert(b, term, value), x, y),
            np.delete(top.x, term),
        )
        return 2 * (found.fun - top.fun)

    for term in range(2):
        critical = stats.chi2.ppf(0.95, 1)
        assert drop(term, math.log(ours.low[term])) == pytest.approx(critical, rel=1e-6)
        assert drop(term, math.log(ours.high[term])) == pytest.approx(critical, rel=1e-6)
        assert ours.p[term] == pytest.approx(stats.chi2.sf(drop(term, 0.0), 1), rel=1e-6)
    assert (ours.n, ours.events, ours.converged, ours.reason) == (30, int(y.sum()), True, None)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([0, 1, 0], [1, 1, 1], "all responses are alike"),
        ([0, 1, 0], [0, 0, 0], "all responses are alike"),
        ([1, 1, 1], [0, 1, 0], "does not vary"),
        ([[0, 1], [1, 0], [0, 1], [1, 0]], [0, 1, 0, 0], "determine one another"),
    ],
)
def test_firth_logistic_says_why_it_has_no_estimate(x: list, y: list, reason: str) -> None:
    found = pr.firth_logistic(np.array(x, dtype=float), y)
    assert not found.converged
    assert reason in found.reason
    assert set(found.coef) == set(found.low) == set(found.p) == {None}


def test_firth_logistic_needs_one_name_per_covariate() -> None:
    with pytest.raises(ValueError, match="2 names for 1 covariates"):
        pr.firth_logistic([0, 1, 0], [0, 1, 1], names=["a", "b"])


@pytest.mark.parametrize("row", answers("exact"), ids=lambda r: str(r["events"]))
def test_exact_k_by_2_agrees_with_r(row: dict) -> None:
    assert pr.exact_kx2(row["events"], row["n"]) == pytest.approx(row["p"], **CLOSED)


def test_exact_k_by_2_by_enumeration() -> None:
    """Every table of three groups, one by one."""
    events, n = [3, 0, 2], [4, 5, 3]
    weights = {
        t: math.prod(map(math.comb, n, t))
        for t in product(*(range(size + 1) for size in n))
        if sum(t) == 5
    }
    seen = weights[tuple(events)]
    p = sum(w for w in weights.values() if w <= seen) / sum(weights.values())
    assert pr.exact_kx2(events, n) == pytest.approx(p, rel=1e-12)
    assert pr.exact_kx2([*events, 0], [*n, 0]) == pytest.approx(p, rel=1e-12)


def test_exact_k_by_2_at_the_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pr.exact_kx2([0, 0], [4, 5]) == 1
    assert pr.exact_kx2([4, 5], [4, 5]) == 1
    assert pr.exact_kx2([3], [4]) is None
    assert pr.exact_kx2([3, 0], [4, 0]) is None
    monkeypatch.setattr(pr, "EXACT_TABLES", 100)
    assert pr.exact_kx2(*ASSUMED) is None


@pytest.mark.parametrize("row", answers("fisher"), ids=lambda r: str(r["table"]))
def test_fisher_agrees_with_r(row: dict) -> None:
    found = pr.fisher_2x2(*row["table"])
    assert found.p == pytest.approx(row["p"], **CLOSED)
    for field in ("odds_ratio", "low", "high"):
        ours, theirs = getattr(found, field), row[field]
        assert (ours is None) == (theirs is None), field
        if ours is not None:
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9), field


def test_fisher_where_nobody_or_everybody_responds() -> None:
    assert pr.fisher_2x2(0, 4, 0, 9) == pr.Fisher(1.0, None, None, None)
    assert pr.fisher_2x2(4, 4, 9, 9) == pr.Fisher(1.0, None, None, None)


def shrinkage_by_dblquad(y: list, n: list, group: int, cut: float | None) -> float:
    """Posterior mean of one group's rate, or the probability that it is below `cut`."""

    def log_kernel(u: float, s: float) -> float:
        a, b = u / s**2, (1 - u) / s**2
        return sum(
            special.betaln(a + r, b + m - r) - special.betaln(a, b)
            for r, m in zip(y, n, strict=True)
        )

    peak = log_kernel(sum(y) / sum(n), 0.3)

    def integral(what: Any) -> float:
        def kernel(w: float, u: float) -> float:
            s = w / (1 - w)
            return math.exp(log_kernel(u, s) - peak) / (1 - w) ** 2 * what(u, s)

        # Below w of 0.002 the beta distribution is so narrow that the kernel no longer changes,
        # and differences of log gammas lose their digits; that strip is taken at its edge.
        body = integrate.dblquad(kernel, 0, 1, 0.002, 1, epsabs=1e-9, epsrel=1e-7)[0]
        strip = integrate.quad(lambda u: 0.002 * kernel(0.002, u), 0, 1, epsrel=1e-7)[0]
        return body + strip

    def answer(u: float, s: float) -> float:
        a, b = u / s**2 + y[group], (1 - u) / s**2 + n[group] - y[group]
        return a / (a + b) if cut is None else float(special.betainc(a, b, cut))

    return integral(answer) / integral(lambda u, s: 1.0)


@pytest.mark.parametrize(("y", "n"), [([3, 1], [5, 9]), ([1, 0, 4], [4, 5, 6])])
def test_shrinkage_agrees_with_another_quadrature(y: list, n: list) -> None:
    found = pr.shrink(y, n)
    assert found is not None
    for group in range(len(y)):
        assert found.mean[group] == pytest.approx(shrinkage_by_dblquad(y, n, group, None), abs=1e-5)
    below = shrinkage_by_dblquad(y, n, 0, found.low[0])
    assert below == pytest.approx(0.025, abs=1e-4)
    assert shrinkage_by_dblquad(y, n, 0, found.high[0]) == pytest.approx(0.975, abs=1e-4)


def test_shrinkage_agrees_with_a_fine_grid() -> None:
    """The six assumed categories on the axes of Gelman et al.: log(a/b) and log(a+b)."""
    y, n = (np.array(v, dtype=float) for v in ASSUMED)
    x, t = np.meshgrid(np.linspace(-9, 9, 301), np.linspace(-9, 16, 401), indexing="ij")
    total = np.exp(t)
    a, b = total * special.expit(x), total * special.expit(-x)
    # d(a) d(b) = a b d(x) d(t); the prior is (a+b)^(-5/2).
    log_density = np.log(a) + np.log(b) - 2.5 * t
    for r, m in zip(y, n, strict=True):
        log_density += special.betaln(a + r, b + m - r) - special.betaln(a, b)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    found = pr.shrink(*ASSUMED)
    assert found is not None
    for group in range(6):
        mean = np.sum(weight * (a + y[group]) / (total + n[group]))
        # The prior's tail beyond the grid, of weight exp(-16/2), is what the tolerance is for.
        assert found.mean[group] == pytest.approx(mean, abs=1e-4)
        for limit, p in ((found.low[group], 0.025), (found.high[group], 0.975)):
            below = special.betainc(a + y[group], b + n[group] - y[group], limit)
            assert np.sum(weight * below) == pytest.approx(p, abs=1e-4)
    assert found.population == pytest.approx(np.sum(weight * a / total), abs=1e-4)


def test_shrinkage_pulls_towards_the_middle() -> None:
    found = pr.shrink(*ASSUMED)
    raw = np.divide(*ASSUMED)
    order = np.argsort(raw)
    assert found.mean[order[0]] > raw[order[0]]
    assert found.mean[order[-1]] < raw[order[-1]]
    for low, mean, high in zip(found.low, found.mean, found.high, strict=True):
        assert 0 <= low < mean < high <= 1


def test_shrinkage_where_it_has_nothing_to_say() -> None:
    assert pr.shrink([0, 0], [5, 3]) is None
    assert pr.shrink([5, 3], [5, 3]) is None
    assert pr.shrink([5, 0], [5, 3]) is None
    assert pr.shrink([2], [5]) is None
    assert pr.shrink([2, 0], [5, 0]) is None
    assert pr.shrink([5, 1], [pr.SHRINKAGE_LIMIT + 1, 3]) is None
    with_empty = pr.shrink([2, 0, 3], [5, 0, 4])
    assert with_empty.mean[1] is with_empty.low[1] is with_empty.high[1] is None
    assert with_empty.mean[0] == pr.shrink([2, 3], [5, 4]).mean[0]


def test_shrinkage_can_end_at_a_limit() -> None:
    low = pr.shrink([1, 0], [2, 2])
    assert low.low[1] == 0
    assert low.high[0] < 1
    high = pr.shrink([1, 2], [2, 2])
    assert high.high[1] == 1
    assert [high.mean[0], high.mean[1]] == pytest.approx([1 - low.mean[0], 1 - low.mean[1]])


def test_shrinkage_of_large_groups_keeps_the_raw_rates() -> None:
    found = pr.shrink([500, 400], [1000, 1200])
    assert found.mean == pytest.approx((0.5, 1 / 3), abs=1.5e-3)
    exact = [pr.clopper_pearson(500, 1000), pr.clopper_pearson(400, 1200)]
    assert (found.low[0], found.high[0]) == pytest.approx(exact[0], abs=3e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pr.clopper_pearson(0, 0),
        lambda: pr.clopper_pearson(3, 2),
        lambda: pr.jeffreys(-1, 2),
        lambda: pr.wilson(1.2, 3),
        lambda: pr.wilson(0.5, 0),
        lambda: pr.effective_n([], [], 3),
        lambda: pr.effective_n([1, 0], ["a", "b"], 1),
        lambda: pr.effective_n([1, 0], ["a"], 1),
        lambda: pr.effective_n([1, 0.5], ["a", "b"], 2),
        lambda: pr.exact_kx2([1, 2], [3]),
        lambda: pr.exact_kx2([4, 2], [3, 3]),
        lambda: pr.fisher_2x2(1, 0, 1, 2),
        lambda: rates.poisson(1, 0),
    ],
)
def test_impossible_counts_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()


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
            pr.clopper_pearson(int(y.sum()), len(y)),
            pr.wilson_effective(y, mine, 29),
        ]
        covered += [low <= rate <= high for low, high in limits]
    error = 3 * math.sqrt(0.95 * 0.05 / used)
    assert covered[0] / used > 0.95 - error
    assert covered[1] / used == pytest.approx(0.95, abs=error)
