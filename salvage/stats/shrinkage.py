"""Rates of groups that borrow strength from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from salvage.stats._arrays import Bools, Floats, as_vector, same_length
from salvage.stats.intervals import Interval

#: Above this many events in a group there is nothing to shrink, and the quadrature is untested.
SHRINKAGE_LIMIT = 2_000

#: Gauss-Legendre nodes per axis, and how far below its peak the log posterior still counts.
_NODES, _HALF_NODES, _DEPTH = 64, 28, 45.0

_CROWDING, _NEGLIGIBLE, _END = 4, 1e-14, 1e-9

#: So many factors are multiplied out: the product of numbers below 1e15 does not overflow.
_FACTORS = 20

Box = tuple[Interval, Interval]

Grid = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Rates that borrow strength from each other: posterior means and central 95% intervals.

    One place per group, in the order given; None for a group without events to count.
    `population` is the posterior mean of the mean rate of groups. `moved` is the largest difference
    that another prior makes to any mean: one uniform in 1/(1+(a+b)^(-1/2)), which draws the rates
    together more.
    """

    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    population: float
    moved: float


def shrink(events: Sequence[float], n: Sequence[float]) -> Shrinkage | None:
    """Shrunken rates of k groups by a hierarchical beta-binomial model.

    Parameters
    ----------
    events, n
        Responses and sizes of k groups, which need not be whole: effective numbers allow for
        events that are not independent (Chen, Wakefield and Lumley 2014). A group may be empty.

    Returns
    -------
    Posterior means and central 95% limits, right to 1e-6. None with fewer than two groups, where
    every group has all or no responses, since the posterior is then improper, or above
    `SHRINKAGE_LIMIT` events in a group.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n in every group.

    Method: rates come from Beta(a, b) with prior density proportional to (a+b)^(-5/2) (Gelman et
    al., Bayesian Data Analysis, section 5.3); quadrature, no sampler.

    >>> rates = shrink([5, 1, 4], [6, 8, 10])
    >>> [round(mean, 2) for mean in rates.mean]
    [0.7, 0.22, 0.41]
    """
    seen, sizes = as_vector(events, "events"), as_vector(n, "n")
    same_length(events=seen, n=sizes)
    if ((seen < 0) | (seen > sizes)).any():
        raise ValueError("events must lie between 0 and n")
    used = sizes > 0
    y, size = seen[used], sizes[used]
    if len(y) < 2 or not ((y > 0) & (y < size)).any() or size.max() > SHRINKAGE_LIMIT:
        return None
    box = _posterior_box(y, size)
    mean_, fold, weight = _square(box, _NODES)
    a, b = _beta(mean_, fold)
    log_density = _log_posterior(mean_, fold, y, size)
    peak = float(log_density.max())
    weight = weight * np.exp(log_density - peak)
    total = float(weight.sum())
    other = weight * (1 - fold) ** 2
    moved = 0.0
    groups: list[tuple[float | None, float | None, float | None]] = []
    for responders, number in zip(seen.tolist(), sizes.tolist(), strict=True):
        if number == 0:
            groups.append((None, None, None))
            continue
        expected = (a + responders) / (a + b + number)
        rate = float(np.sum(weight * expected)) / total
        moved = max(moved, abs(rate - float(np.sum(other * expected) / other.sum())))
        squared = (
            float(np.sum(weight * expected * (a + responders + 1) / (a + b + number + 1))) / total
        )

        @cache
        def below(q: float, responders: float = responders, number: float = number) -> float:
            return _rate_below(q, responders, number, y, size, box, peak)

        low, high = (
            _solve(below, target, _beta_quantile(rate, squared - rate**2, target))
            for target in (0.025, 0.975)
        )
        groups.append((rate, low, high))
    means, lows, highs = zip(*groups, strict=True)
    return Shrinkage(means, lows, highs, float(np.sum(weight * mean_)) / total, moved)


@cache
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    roots, weights = np.polynomial.legendre.leggauss(nodes)
    return roots, weights


def _rule(low: float, high: float, nodes: int) -> tuple[Floats, ...]:
    roots, weights = _legendre(nodes)
    return low + (high - low) * (roots + 1) / 2, weights * (high - low) / 2


def _square(box: Box, nodes: int) -> Grid:
    """Nodes and weights of the product rule; the flat prior lives on this square.

    The prior is flat in the mean u = a/(a+b) and in s = (a+b)^(-1/2); s is mapped to
    w = s/(1+s), which the weights allow for. The likelihood is smooth on the whole square of u
    and w, edges included.
    """
    u, u_weight = _rule(*box[0], nodes)
    w, w_weight = _rule(*box[1], nodes)
    mean, fold = (grid.ravel() for grid in np.meshgrid(u, w, indexing="ij"))
    return mean, fold, np.outer(u_weight, w_weight / (1 - w) ** 2).ravel()


def _beta(mean: Floats, fold: Floats) -> tuple[Floats, Floats]:
    total = ((1 - fold) / fold) ** 2
    return mean * total, (1 - mean) * total


def _log_posterior(
    mean: Floats,
    fold: Floats,
    y: Floats,
    n: Floats,
) -> Floats:
    """Log likelihood of a and b; equal groups and equal counts are computed once."""
    a, b = _beta(mean, fold)
    log_density = np.zeros_like(a)
    for sign, base, rises in ((1, a, y), (1, b, n - y), (-1, a + b, n)):
        values, times = np.unique(rises, return_counts=True)
        for count, repeats in zip(values, times, strict=True):
            if count > 0:
                log_density += sign * repeats * _log_rising(base, count)
    return np.asarray(log_density, dtype=np.float64)


def _posterior_box(y: Floats, n: Floats) -> Box:
    """The square narrowed to where the posterior lives, so that large groups are no harder."""
    box: Box = ((0.0, 1.0), (0.0, 1.0))
    for _ in range(3):
        mean, fold, _weight = _square(box, _NODES)
        density = _log_posterior(mean, fold, y, n) - 2 * np.log1p(-fold)
        near = (density > density.max() - _DEPTH).reshape(_NODES, _NODES)
        u, w = mean.reshape(_NODES, _NODES)[:, 0], fold[:_NODES]
        box = (_narrowed(u, near.any(axis=1), box[0]), _narrowed(w, near.any(axis=0), box[1]))
    return box


def _rate_below(
    q: float,
    responders: float,
    number: float,
    y: Floats,
    n: Floats,
    box: Box,
    peak: float,
) -> float:
    """Posterior probability that one group's rate is below q.

    Where a + b is large, that probability jumps as u passes q; the rule in u is therefore split
    at q, with nodes that crowd there.
    """
    (u0, u1), limits = box
    split = min(max(q, u0), u1)
    power, weight = _rule(0.0, 1.0, _HALF_NODES)
    crowd, slope = power**_CROWDING, _CROWDING * power ** (_CROWDING - 1) * weight
    u = np.concatenate([split - (split - u0) * crowd, split + (u1 - split) * crowd])
    u_weight = np.concatenate([(split - u0) * slope, (u1 - split) * slope])
    w, w_weight = _rule(*limits, 2 * _HALF_NODES)
    mean, fold = (grid.ravel() for grid in np.meshgrid(u, w, indexing="ij"))
    weights = np.outer(u_weight, w_weight / (1 - w) ** 2).ravel()
    weights *= np.exp(_log_posterior(mean, fold, y, n) - peak)
    relevant = weights > _NEGLIGIBLE * weights.max()
    a, b = _beta(mean[relevant], fold[relevant])
    inside = special.betainc(a + responders, b + number - responders, q)
    return float(np.sum(weights[relevant] * inside) / weights.sum())


def _beta_quantile(mean: float, variance: float, target: float) -> float:
    """Quantile of the beta distribution with this mean and variance; its mean if there is none."""
    total = mean * (1 - mean) / variance - 1 if variance > 0 else 0.0
    quantile = float(special.betaincinv(mean * total, (1 - mean) * total, target))
    return quantile if 0 < quantile < 1 else mean


def _solve(probability: Callable[[float], float], target: float, near: float) -> float:
    """Where a rising probability is the target, looked for around ``near`` in growing steps."""
    from scipy.optimize import brentq

    at = min(max(near, _END), 1 - _END)
    rising = probability(at) < target
    step = 0.05 * min(at, 1 - at) + _END
    while (probability(at) < target) == rising:
        before, at = at, min(max(at + (step if rising else -step), _END), 1 - _END)
        # A posterior can pile up at an end: the limit is then that end.
        if at == before:
            return 1.0 if rising else 0.0
        step *= 4
    return float(brentq(lambda q: probability(q) - target, before, at, xtol=1e-9))


def _narrowed(nodes: Floats, near: Bools, limits: Interval) -> Interval:
    """The range of the nodes that count, and one node more on either side."""
    padded = np.concatenate([[limits[0]], nodes, [limits[1]]])
    index = np.flatnonzero(near)
    return float(padded[index[0]]), float(padded[index[-1] + 2])


def _log_rising(a: Floats, count: float) -> Floats:
    """Log of a (a+1) ... (a+count-1), without the cancellation of two large log gammas."""
    if count <= _FACTORS and count == int(count):
        product = a.copy()
        for more in range(1, int(count)):
            product *= a + more
        return np.asarray(np.log(product), dtype=np.float64)
    large = a > 30
    base = np.where(large, a, 31.0)
    stirling = (
        (base - 0.5) * np.log1p(count / base)
        + count * (np.log(base + count) - 1)
        + _stirling_tail(base + count)
        - _stirling_tail(base)
    )
    small = np.where(large, 1.0, a)
    return np.asarray(
        np.where(large, stirling, special.gammaln(small + count) - special.gammaln(small)),
        dtype=np.float64,
    )


def _stirling_tail(x: Floats) -> Floats:
    """What Stirling's formula leaves out of log gamma; below 1e-17 off for x > 30."""
    i = 1 / x**2
    return np.asarray((1 / 12 - i * (1 / 360 - i * (1 / 1260 - i / 1680))) / x, dtype=np.float64)
