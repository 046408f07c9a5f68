"""Exact tests of proportions, Holm's adjustment, and exact counts of tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special
from scipy.optimize import brentq
from scipy.stats import random_table

from salvage.stats._arrays import Bools, Floats, Ints, as_counts
from salvage.stats.intervals import check_counts

#: Above this many partial tables they are drawn, not enumerated: it would take seconds.
EXACT_TABLES = 5_000_000
#: How many tables are drawn, and from which seed.
DRAWS, SEED = 100_000, 20_260_203
#: Tables whose probabilities differ by less, relatively, count as equally likely, as in R.
_EQUAL = math.log1p(1e-7)
#: Log odds ratios are looked for between these; e^60 is beyond any count.
_FARTHEST = 60.0


class ExactP(NamedTuple):
    """An exact P; where tables were drawn, `error` is its standard error, else None."""

    p: float
    error: float | None


def exact_kx2(events: Sequence[int], n: Sequence[int]) -> ExactP | None:
    """Exact P that k proportions are equal, given all margins.

    Parameters
    ----------
    events, n
        Responses and sizes of k groups; groups of size 0 are left out.

    Returns
    -------
    The probability of all tables that are no more likely than the one seen; tables within a
    relative 1e-7 of it count as equally likely. 1 where all or none respond. Where more than
    `EXACT_TABLES` partial tables would have to be held, the share among `DRAWS` drawn tables and
    the one seen. None with fewer than two groups.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n in every group.

    Method: Freeman and Halton 1951, by enumeration; tables are drawn by scipy's `random_table`
    from a fixed seed, as R `fisher.test(simulate.p.value = TRUE)`.

    >>> round(exact_kx2([3, 0, 2], [4, 5, 3]).p, 4)
    0.0467
    """
    seen, sizes = as_counts(events, n)
    used = sizes > 0
    # Sorted, so that the tables drawn do not depend on the order of groups.
    order = np.lexsort((seen[used], sizes[used]))
    seen, sizes = seen[used][order], sizes[used][order]
    total, everyone = int(seen.sum()), int(sizes.sum())
    if len(sizes) < 2:
        return None
    if total in (0, everyone):
        return ExactP(1.0, None)
    observed = float(_log_choose(sizes, seen).sum()) + _EQUAL
    tables = _log_weights(sizes, total)
    if tables is None:
        drawn = random_table(sizes, [total, everyone - total]).rvs(DRAWS, random_state=SEED)
        weights = _log_choose(sizes, drawn[:, :, 0].astype(np.int64)).sum(axis=1)
        p = (1 + int((weights <= observed).sum())) / (1 + DRAWS)
        return ExactP(p, math.sqrt(p * (1 - p) / DRAWS))
    all_tables = float(_log_choose(np.array([everyone]), np.array([total]))[0])
    extreme = np.exp(tables[tables <= observed] - all_tables)
    return ExactP(min(1.0, float(np.sort(extreme).sum())), None)


@dataclass(frozen=True, slots=True)
class Fisher:
    """Fisher's exact test of two proportions with the conditional odds ratio.

    `odds_ratio` and `high` are None where they are infinite. Where all or none respond there is
    no odds ratio and no limit, and `p` is 1.
    """

    p: float
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
    check_counts(events, n)
    check_counts(other_events, other_n)
    total = events + other_events
    if total in (0, n + other_n):
        return Fisher(1.0, None, None, None)
    cell = np.arange(max(0, total - other_n), min(n, total) + 1)
    sizes = np.full(len(cell), n), np.full(len(cell), other_n)
    log_weight = _log_choose(sizes[0], cell) + _log_choose(sizes[1], total - cell)

    def likely(log_odds: float) -> Floats:
        log_density = log_weight + log_odds * cell
        density = np.exp(log_density - log_density.max())
        return np.asarray(density / density.sum(), dtype=np.float64)

    def tail(cells: Bools) -> float:
        """Where the log odds make these cells as likely as an interval leaves out on one side."""
        return _root(lambda x: float(likely(x)[cells].sum()) - 0.025)

    extreme = log_weight <= log_weight[cell == events] + _EQUAL
    lowest, highest = events == cell[0], events == cell[-1]
    return Fisher(
        min(1.0, float(np.sort(likely(0)[extreme]).sum())),
        0.0 if lowest else None if highest else _root(lambda x: float(likely(x) @ cell) - events),
        0.0 if lowest else tail(cell >= events),
        None if highest else tail(cell <= events),
    )


def _root(of: Callable[[float], float]) -> float:
    """The odds ratio at whose logarithm a monotone function is 0."""
    return math.exp(float(brentq(of, -_FARTHEST, _FARTHEST, xtol=1e-12)))


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
