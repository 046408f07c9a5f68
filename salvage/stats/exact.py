"""Exact tests of proportions, Holm's adjustment, and exact counts of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from salvage.stats._arrays import Floats, Ints, as_counts, finite
from salvage.stats.intervals import check_counts

#: Above this many partial tables the exact test would take more than a few seconds.
EXACT_TABLES = 5_000_000


def exact_kx2(events: Sequence[int], n: Sequence[int]) -> float | None:
    """Exact P that k proportions are equal, given all margins.

    Parameters
    ----------
    events, n
        Responses and sizes of k groups; groups of size 0 are left out.

    Returns
    -------
    The probability of all tables that are no more likely than the one seen; tables within a
    relative 1e-7 of it count as equally likely, as in R `fisher.test`. 1 where all or none
    respond. None with fewer than two groups, or when more than `EXACT_TABLES` partial tables
    would have to be held.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n in every group.

    Method: Freeman and Halton 1951, by enumeration.

    >>> round(exact_kx2([3, 0, 2], [4, 5, 3]), 4)
    0.0467
    """
    seen, sizes = as_counts(events, n)
    used = sizes > 0
    seen, sizes = seen[used], sizes[used]
    total, everyone = int(seen.sum()), int(sizes.sum())
    if len(sizes) < 2:
        return None
    tables = _log_weights(sizes, total)
    if tables is None:
        return None
    observed = float(_log_choose(sizes, seen).sum())
    extreme = tables[tables <= observed + math.log1p(1e-7)]
    all_tables = float(_log_choose(np.array([everyone]), np.array([total]))[0])
    return min(1.0, float(np.sort(np.exp(extreme - all_tables)).sum()))


@dataclass(frozen=True, slots=True)
class Fisher:
    """Fisher's exact test of two proportions with the conditional odds ratio.

    `odds_ratio` and `high` are None where they are infinite. Where all or none respond there is
    no odds ratio and no limit, and `p` is 1.
    """

    p: float | None
    odds_ratio: float | None
    low: float | None
    high: float | None


def fisher_2x2(events: int, n: int, other_events: int, other_n: int) -> Fisher:
    """The first proportion against the second.

    Parameters
    ----------
    events, n, other_events, other_n
        Responses and size of either group.

    Returns
    -------
    P, the conditional maximum likelihood estimate of the odds ratio, and its exact 95% limits.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n and n >= 1 in both.

    Method: R `fisher.test`, two-sided P by the probability of tables.

    >>> test = fisher_2x2(8, 14, 1, 15)
    >>> round(test.p, 4), round(test.odds_ratio, 1)
    (0.0052, 16.7)
    """
    from scipy.stats import contingency

    check_counts(events, n)
    check_counts(other_events, other_n)
    if events + other_events in (0, n + other_n):
        return Fisher(1.0, None, None, None)
    p = exact_kx2((events, other_events), (n, other_n))
    table = [[events, n - events], [other_events, other_n - other_events]]
    conditional = contingency.odds_ratio(table, kind="conditional")
    interval = conditional.confidence_interval(0.95)
    return Fisher(
        p, finite(float(conditional.statistic)), float(interval.low), finite(float(interval.high))
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of the P-values that exist.

    Parameters
    ----------
    p_values
        P-values; None stays None and is not counted.

    Returns
    -------
    The adjusted values in the order given, at most 1.

    Method: Holm, Scand J Statist 1979;6:65.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[i] = running
    return adjusted


def _log_choose(n: Ints, k: Ints) -> Floats:
    return np.asarray(
        special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1),
        dtype=np.float64,
    )


def _log_weights(sizes: Ints, total: int) -> Floats | None:
    """Log of the product of binomial coefficients of every table with this total.

    Groups are added one by one, smallest first; the last one is then determined.
    """
    order = np.sort(sizes)
    room = order.sum() - np.cumsum(order)
    sums = np.zeros(1, dtype=np.int64)
    weights = np.zeros(1)
    for size, left in zip(order[:-1], room[:-1], strict=True):
        if len(sums) * (int(size) + 1) > EXACT_TABLES:
            return None
        counts = np.arange(size + 1)
        sums = np.add.outer(sums, counts).ravel()
        weights = np.add.outer(weights, _log_choose(size, counts)).ravel()
        possible = (sums <= total) & (total - sums <= left)
        sums, weights = sums[possible], weights[possible]
    return np.asarray(weights + _log_choose(order[-1], total - sums), dtype=np.float64)


def convolve(counts: Ints, mask: Ints) -> Ints:
    """Sum of a counted part and one more category, cut at the totals.

    What a category may have comes in runs. The part is summed along the runs once; then only the
    ends of the runs are walked through, where the mask differs from the cell before.
    """
    summed, ends = counts, mask
    for axis in range(counts.ndim):
        summed, ends = summed.cumsum(axis), np.diff(ends, axis=axis, prepend=0)
    total = np.zeros_like(counts)
    a, b, c = counts.shape
    for n, r, k in np.argwhere(ends):
        total[n:, r:, k:] += ends[n, r, k] * summed[: a - n, : b - r, : c - k]
    return total
