"""Shrunken rates against other quadratures."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special

from salvage.stats import intervals, shrinkage

ASSUMED = ([5, 4, 3, 6, 1, 5], [12, 10, 8, 9, 6, 13])


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
    found = shrinkage.shrink(y, n)
    assert found is not None
    for group in range(len(y)):
        assert found.mean[group] == pytest.approx(shrinkage_by_dblquad(y, n, group, None), abs=1e-5)
    below = shrinkage_by_dblquad(y, n, 0, found.low[0])
    assert below == pytest.approx(0.025, abs=1e-4)
    assert shrinkage_by_dblquad(y, n, 0, found.high[0]) == pytest.approx(0.975, abs=1e-4)


@pytest.mark.parametrize(
    "counts", [ASSUMED, ([4.5, 3.2, 3, 5.5, 0.9, 4.4], [10.8, 8.1, 8, 8.25, 5.4, 11.5])]
)
def test_shrinkage_agrees_with_a_fine_grid(counts: tuple[list[float], list[float]]) -> None:
    """Six categories on the axes of Gelman et al., log(a/b) and log(a+b): whole and effective
    numbers."""
    y, n = (np.array(v, dtype=float) for v in counts)
    x, t = np.meshgrid(np.linspace(-9, 9, 301), np.linspace(-9, 16, 401), indexing="ij")
    total = np.exp(t)
    a, b = total * special.expit(x), total * special.expit(-x)
    # d(a) d(b) = a b d(x) d(t); the prior is (a+b)^(-5/2).
    log_density = np.log(a) + np.log(b) - 2.5 * t
    for r, m in zip(y, n, strict=True):
        log_density += special.betaln(a + r, b + m - r) - special.betaln(a, b)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    found = shrinkage.shrink(*counts)
    assert found is not None
    # Another prior, uniform in 1/(1 + (a+b)^(-1/2)), is this one times the square of that.
    other = weight / (1 + total**-0.5) ** 2
    moved = 0.0
    for group in range(6):
        mean = np.sum(weight * (a + y[group]) / (total + n[group]))
        again = np.sum(other * (a + y[group]) / (total + n[group])) / other.sum()
        moved = max(moved, abs(again - mean))
        # The prior's tail beyond the grid, of weight exp(-16/2), is what the tolerance is for.
        assert found.mean[group] == pytest.approx(mean, abs=1e-4)
        for limit, p in ((found.low[group], 0.025), (found.high[group], 0.975)):
            below = special.betainc(a + y[group], b + n[group] - y[group], limit)
            assert np.sum(weight * below) == pytest.approx(p, abs=1e-4)
    assert found.population == pytest.approx(np.sum(weight * a / total), abs=1e-4)
    assert found.moved == pytest.approx(moved, abs=1e-4)
    assert 0.005 < found.moved < 0.05


def test_shrinkage_pulls_towards_the_middle() -> None:
    found = shrinkage.shrink(*ASSUMED)
    raw = np.divide(*ASSUMED)
    order = np.argsort(raw)
    assert found.mean[order[0]] > raw[order[0]]
    assert found.mean[order[-1]] < raw[order[-1]]
    for low, mean, high in zip(found.low, found.mean, found.high, strict=True):
        assert 0 <= low < mean < high <= 1


def test_shrinkage_where_it_has_nothing_to_say() -> None:
    assert shrinkage.shrink([0, 0], [5, 3]) is None
    assert shrinkage.shrink([5, 3], [5, 3]) is None
    assert shrinkage.shrink([5, 0], [5, 3]) is None
    assert shrinkage.shrink([2], [5]) is None
    assert shrinkage.shrink([2, 0], [5, 0]) is None
    assert shrinkage.shrink([5, 1], [shrinkage.SHRINKAGE_LIMIT + 1, 3]) is None
    with_empty = shrinkage.shrink([2, 0, 3], [5, 0, 4])
    assert with_empty.mean[1] is with_empty.low[1] is with_empty.high[1] is None
    assert with_empty.mean[0] == shrinkage.shrink([2, 3], [5, 4]).mean[0]


def test_shrinkage_can_end_at_a_limit() -> None:
    low = shrinkage.shrink([1, 0], [2, 2])
    assert low.low[1] == 0
    assert low.high[0] < 1
    high = shrinkage.shrink([1, 2], [2, 2])
    assert high.high[1] == 1
    assert [high.mean[0], high.mean[1]] == pytest.approx([1 - low.mean[0], 1 - low.mean[1]])


def test_shrinkage_of_large_groups_keeps_the_raw_rates() -> None:
    found = shrinkage.shrink([500, 400], [1000, 1200])
    assert found.mean == pytest.approx((0.5, 1 / 3), abs=1.5e-3)
    exact = [intervals.clopper_pearson(500, 1000), intervals.clopper_pearson(400, 1200)]
    assert (found.low[0], found.high[0]) == pytest.approx(exact[0], abs=3e-3)
