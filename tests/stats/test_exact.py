"""Exact tests against R and against enumeration."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import contingency

from salvage.stats import exact
from tests.reference import CLOSED, answers

ASSUMED = ([5, 4, 3, 6, 1, 5], [12, 10, 8, 9, 6, 13])


@pytest.mark.parametrize("row", answers("exact"), ids=lambda r: str(r["events"]))
def test_exact_k_by_2_agrees_with_r(row: dict) -> None:
    found = exact.exact_kx2(row["events"], row["n"])
    assert found is not None
    assert found.error is None
    assert found.p == pytest.approx(row["p"], **CLOSED)


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
    assert exact.exact_kx2(events, n).p == pytest.approx(p, rel=1e-12)
    assert exact.exact_kx2([*events, 0], [*n, 0]).p == pytest.approx(p, rel=1e-12)


def test_exact_k_by_2_at_the_edges() -> None:
    assert exact.exact_kx2([0, 0], [4, 5]) == (1, None)
    assert exact.exact_kx2([4, 5], [4, 5]) == (1, None)
    assert exact.exact_kx2([3], [4]) is None
    assert exact.exact_kx2([3, 0], [4, 0]) is None


def test_tables_are_drawn_where_there_are_too_many() -> None:
    """710 lines in six groups, which R's network algorithm still counts."""
    events, n = [70, 60, 50, 80, 40, 30], [150, 140, 130, 170, 120, 100]
    found = exact.exact_kx2(events, n)
    # R: fisher.test(cbind(events, n - events), workspace = 2e8)$p.value
    p = 0.02245778
    assert found.error == pytest.approx(math.sqrt(p * (1 - p) / exact.DRAWS), rel=0.05)
    assert abs(found.p - p) < 4 * found.error
    assert exact.exact_kx2(events[::-1], n[::-1]) == found


def test_drawn_tables_agree_with_counted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = exact.exact_kx2(*ASSUMED)
    monkeypatch.setattr(exact, "EXACT_TABLES", 100)
    drawn = exact.exact_kx2(*ASSUMED)
    assert counted.error is None
    assert abs(drawn.p - counted.p) < 4 * drawn.error


@pytest.mark.parametrize("row", answers("fisher"), ids=lambda r: str(r["table"]))
def test_fisher_agrees_with_r(row: dict) -> None:
    found = exact.fisher_2x2(*row["table"])
    assert found.p == pytest.approx(row["p"], **CLOSED)
    for field in ("odds_ratio", "low", "high"):
        ours, theirs = getattr(found, field), row[field]
        assert (ours is None) == (theirs is None), field
        if ours is not None:
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9), field


def test_fisher_of_many_lines_is_that_of_scipy() -> None:
    found = exact.fisher_2x2(333, 1000, 250, 1000)
    result = contingency.odds_ratio([[333, 667], [250, 750]], kind="conditional")
    limits = result.confidence_interval(0.95)
    assert found.odds_ratio == pytest.approx(result.statistic, rel=1e-8)
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high), rel=1e-8)
    assert exact.fisher_2x2(33_333, 100_000, 25_000, 100_000).p == 0


def test_fisher_where_nobody_or_everybody_responds() -> None:
    assert exact.fisher_2x2(0, 4, 0, 9) == exact.Fisher(1.0, None, None, None)
    assert exact.fisher_2x2(4, 4, 9, 9) == exact.Fisher(1.0, None, None, None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: exact.exact_kx2([1, 2], [3]),
        lambda: exact.exact_kx2([4, 2], [3, 3]),
        lambda: exact.fisher_2x2(1, 0, 1, 2),
    ],
)
def test_impossible_counts_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()


def test_convolution_counts_every_sum_within_the_totals() -> None:
    rng = np.random.default_rng(5)
    counts, mask = rng.integers(0, 4, (3, 4, 2)), rng.integers(0, 2, (3, 4, 2))
    wanted = np.zeros_like(counts)
    for one in np.argwhere(counts):
        for other in np.argwhere(mask):
            if ((one + other) < counts.shape).all():
                wanted[tuple(one + other)] += counts[tuple(one)]
    assert (exact.convolve(counts, mask) == wanted).all()
