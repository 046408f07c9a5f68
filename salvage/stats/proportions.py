"""Proportions of treatment events, and comparisons between categories.

A patient can have several treatment events, so they are not independent. Intervals: Clopper and
Pearson, and Wilson on the effective number of events. Between categories: Rao-Scott, or GEE with
an independence working correlation. Functions take plain arrays, one row per event, and return
None where something cannot be estimated, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

from salvage.stats import firth
from salvage.stats._arrays import (
    as_binary,
    as_codes,
    as_matrix,
    collinear,
    exp,
    finite,
    numbers,
    same_length,
)

Interval = tuple[float, float]


def clopper_pearson(events: int, n: int, level: float = 0.95) -> Interval:
    """Exact binomial interval; ValueError unless 0 <= events <= n and n >= 1.

    Method: Clopper and Pearson 1934, as R `binom.test`.
    """
    _check_counts(events, n)
    tail = (1 - level) / 2
    low = 0.0 if events == 0 else float(special.betaincinv(events, n - events + 1, tail))
    high = 1.0 if events == n else float(special.betaincinv(events + 1, n - events, 1 - tail))
    return low, high


def jeffreys(events: int, n: int, level: float = 0.95) -> Interval:
    """Equal-tailed interval of Beta(events + 1/2, n - events + 1/2).

    The limit is 0 without events and 1 without non-events (Brown, Cai and DasGupta 2001).
    """
    _check_counts(events, n)
    tail = (1 - level) / 2
    a, b = events + 0.5, n - events + 0.5
    low = 0.0 if events == 0 else float(special.betaincinv(a, b, tail))
    high = 1.0 if events == n else float(special.betaincinv(a, b, 1 - tail))
    return low, high


def wilson(p: float, n: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion `p` out of `n`, which need not be whole.

    ValueError unless 0 <= p <= 1 and n > 0. Method: Wilson 1927, as R
    `prop.test(correct = FALSE)`.
    """
    if not (0 <= p <= 1 and n > 0):
        raise ValueError(f"a proportion and a positive number are needed, not {p} and {n}")
    z2 = float(special.ndtri(0.5 + level / 2)) ** 2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At 0 and 1 one limit is the proportion itself; rounding must not move it past.
    low = 0.0 if p == 0 else max(0.0, min(p, centre - half))
    high = 1.0 if p == 1 else min(1.0, max(p, centre + half))
    return low, high


def effective_n(y: npt.ArrayLike, patient: npt.ArrayLike, patients_in_study: int) -> float:
    """Number of independent events that would tell as much as these.

    `y` is 0/1 per event, `patient` says whose event it is, `patients_in_study` counts all
    patients, also those without an event here. n_eff = min(n, p(1-p)/v * (t(n-1)/t(k-1))^2),
    with t the upper 2.5% points, k the patients here, and v the variance of p when patients are
    drawn; n where v is 0 or k is 1. Method: Korn and Graubard 1998. ValueError without events or
    with more patients than in the study.
    """
    success, codes, k = _events_of_patients(y, patient)
    n = len(success)
    if n == 0:
        raise ValueError("an effective number needs at least one event")
    if k > patients_in_study:
        raise ValueError(f"{k} patients here, but {patients_in_study} in the study")
    if k == 1:
        return float(n)
    total = int(success.sum())
    # Whole numbers, so that a variance of exactly zero is recognised; sorted below, so that the
    # sum does not depend on the order of rows.
    sizes = np.bincount(codes, minlength=k)
    sums = np.bincount(codes, weights=success, minlength=k).astype(np.int64)
    deviations = (n * sums - sizes * total).astype(float)
    if not deviations.any():
        return float(n)
    p = total / n
    m = patients_in_study
    v = m / (m - 1) * float(np.sort((deviations / n**2) ** 2).sum())
    ratio = float(special.stdtrit(n - 1, 0.025) / special.stdtrit(k - 1, 0.025))
    return min(float(n), p * (1 - p) / v * ratio**2)


def wilson_effective(
    y: npt.ArrayLike, patient: npt.ArrayLike, patients_in_study: int, level: float = 0.95
) -> Interval:
    """Wilson interval on the effective number of events; arguments as `effective_n`."""
    n = effective_n(y, patient, patients_in_study)
    return wilson(float(as_binary(y, "y").mean()), n, level)


@dataclass(frozen=True, slots=True)
class RaoScott:
    """Test that a response does not depend on the category, allowing for clustering."""

    f: float
    df1: float
    df2: float
    p: float


def rao_scott(y: npt.ArrayLike, category: npt.ArrayLike, patient: npt.ArrayLike) -> RaoScott | None:
    """Second-order Rao-Scott test of 0/1 responses across categories, patients as clusters.

    One row per event. None with one category, one patient, responses that are all alike, or
    where the design effects are not defined. Method: R survey `svychisq(statistic = "F")`.
    """
    success, patients, m = _events_of_patients(y, patient)
    codes, labels = as_codes(category, "category")
    same_length(y=success, category=codes)
    k, n = len(labels), len(success)
    if k < 2 or m < 2 or success.all() or not success.any():
        return None
    cell = codes + k * success
    share = np.bincount(cell, minlength=2 * k) / n
    totals = np.column_stack(
        [np.bincount(patients, weights=cell == c, minlength=m) for c in range(2 * k)]
    )
    influence = (totals - totals.sum(axis=1, keepdims=True) * share) / n
    variance = m / (m - 1) * influence.T @ influence
    contrast = _interaction_contrasts(k)
    inverse = np.diag(np.divide(1.0, share, out=np.zeros(2 * k), where=share > 0))
    simple = contrast.T @ (inverse / n) @ contrast
    clustered = contrast.T @ inverse @ variance @ inverse @ contrast
    effects = np.linalg.solve(simple, clustered)
    trace, squares = float(np.trace(effects)), float(np.trace(effects @ effects))
    if not trace > _NO_VARIANCE:
        return None
    df1 = trace**2 / squares
    df2 = df1 * (m - 1)
    f = _pearson(share, k, n) / trace
    return RaoScott(f, df1, df2, float(special.fdtrc(df1, df2, f)))


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """One category against the reference; None where it cannot be estimated, with the reason.

    `log_odds_ratio` is on the log scale, `se` its standard error; `low` and `high` are 95%
    limits of `odds_ratio`.
    """

    category: str
    log_odds_ratio: float | None
    se: float | None
    odds_ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str | None = None


def gee_independence(
    y: npt.ArrayLike, category: npt.ArrayLike, patient: npt.ArrayLike, reference: str
) -> tuple[OddsRatio, ...]:
    """Odds of a response in each category against `reference`, patients as clusters.

    Logistic GEE with independence, standard errors of Mancl and DeRouen 2001, normal intervals.
    One entry for each other category, sorted; None with the reason where a cell is 0, or where
    one patient has all events of a category. ValueError if no event has the reference. Method:
    the same numbers as statsmodels `GEE` with cov_type "bias_reduced", in closed form, since with
    categories as the only covariate the leverage of a patient is his share of each category.
    """
    success, patients, _ = _events_of_patients(y, patient)
    codes, labels = as_codes(category, "category")
    same_length(y=success, category=codes)
    if reference not in labels:
        raise ValueError(f"no event has the reference category {reference!r}")
    k, base = len(labels), labels.index(reference)
    sizes = np.bincount(codes, minlength=k)
    responders = np.bincount(codes, weights=success, minlength=k)
    usable = (responders > 0) & (responders < sizes)
    covariance, whole = _mancl_derouen(success, codes, patients, k)
    found = []
    for c in range(k):
        if c == base:
            continue
        if not (usable[c] and usable[base]):
            found.append(_no_odds_ratio(labels[c], "a cell is 0"))
        elif whole[c] or whole[base]:
            found.append(_no_odds_ratio(labels[c], "one patient has all events of a category"))
        else:
            variance = covariance[c, c] + covariance[base, base] - 2 * covariance[c, base]
            rates = responders[[c, base]] / sizes[[c, base]]
            log_odds = np.log(rates / (1 - rates))
            found.append(_odds_ratio(labels[c], float(log_odds[0] - log_odds[1]), float(variance)))
    return tuple(found)


def firth_odds_ratio(
    y: npt.ArrayLike,
    category: npt.ArrayLike,
    patient: npt.ArrayLike,
    reference: str,
    *,
    seed: int,
    draws: int = 2000,
) -> tuple[OddsRatio, ...]:
    """Approximate odds ratios that exist also where a cell is 0.

    The point estimate is Firth's. With categories as the only covariate it adds 1/2 to every
    cell (Firth 1993), which needs no search. The interval holds the middle 95% of `draws`
    samples of patients, drawn with `seed`, in which both categories occur. No P is given.
    ValueError if no event has the reference.
    """
    success, patients, m = _events_of_patients(y, patient)
    codes, labels = as_codes(category, "category")
    same_length(y=success, category=codes)
    if reference not in labels:
        raise ValueError(f"no event has the reference category {reference!r}")
    k, base = len(labels), labels.index(reference)
    yes, no = _patient_tables(success, codes, patients, m, k)
    weights = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=draws)
    point = _half_log_odds(yes.sum(axis=0), no.sum(axis=0))
    sampled_yes, sampled_no = weights @ yes, weights @ no
    sampled = _half_log_odds(sampled_yes, sampled_no)
    present = sampled_yes + sampled_no > 0
    found = []
    for c in range(k):
        if c == base:
            continue
        both = present[:, c] & present[:, base]
        ratios = sampled[both, c] - sampled[both, base]
        low, high = np.quantile(ratios, [0.025, 0.975]) if both.any() else (np.nan, np.nan)
        difference = float(point[c] - point[base])
        # With few patients the middle of the samples can miss the estimate.
        low, high = np.fmin(low, difference), np.fmax(high, difference)
        found.append(
            OddsRatio(
                labels[c],
                difference,
                None,
                math.exp(difference),
                math.exp(low),
                math.exp(high),
                None,
                "approximate: Firth's estimate, patients resampled",
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class FirthLogistic:
    """A penalised logistic model; tuples have one place per covariate, None where not estimable.

    `coef` is the log odds ratio; `low` and `high` are 95% profile limits of `odds_ratio`; `p` is
    the penalised likelihood-ratio P.
    """

    names: tuple[str, ...]
    coef: tuple[float | None, ...]
    se: tuple[float | None, ...]
    odds_ratio: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    p: tuple[float | None, ...]
    n: int
    events: int
    converged: bool
    reason: str | None = None


def firth_logistic(
    X: npt.ArrayLike, y: npt.ArrayLike, names: Sequence[str] | None = None
) -> FirthLogistic:
    """Logistic regression with Firth's penalty and profile intervals; rows are independent.

    `X` has n rows and one column per covariate; the intercept is added. Estimates are None,
    with the reason, where responses are all alike or covariates determine one another. ValueError
    for missing values or unequal lengths. Method: Heinze and Schemper 2002, by firthmodels.
    """
    success = as_binary(y, "y")
    x = as_matrix(X)
    same_length(X=x, y=success)
    labels = tuple(names) if names is not None else tuple(f"x{i}" for i in range(x.shape[1]))
    if len(labels) != x.shape[1]:
        raise ValueError(f"{len(labels)} names for {x.shape[1]} covariates")
    n, events = len(success), int(success.sum())
    found = None
    if events in (0, n):
        reason: str | None = "all responses are alike"
    elif collinear(x):
        reason = "a covariate does not vary, or the covariates determine one another"
    else:
        found = firth.fit_logistic(x, success)
        reason = "the fit did not converge" if found is None else None
    if found is None:
        none = (None,) * x.shape[1]
        return FirthLogistic(labels, none, none, none, none, none, none, n, events, False, reason)
    return FirthLogistic(
        names=labels,
        coef=numbers(found.coef),
        se=numbers(found.se),
        odds_ratio=numbers(exp(found.coef)),
        low=numbers(exp(found.low)),
        high=numbers(exp(found.high)),
        p=numbers(found.p),
        n=n,
        events=events,
        converged=True,
    )


def exact_kx2(events: Sequence[int], n: Sequence[int]) -> float | None:
    """Exact P that k proportions are equal, given all margins.

    The probability of all tables that are no more likely than the one seen; tables within a
    relative 1e-7 of it count as equally likely, as in R `fisher.test`. 1 where all or none
    respond. None with fewer than two groups that have events, or when more than `EXACT_TABLES`
    partial tables would have to be held. Method: Freeman and Halton 1951, by enumeration.
    """
    seen, sizes = _counts(events, n)
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
    whole = float(_log_choose(np.array([everyone]), np.array([total]))[0])
    return min(1.0, float(np.sort(np.exp(extreme - whole)).sum()))


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

    ValueError unless 0 <= events <= n and n >= 1 in both. Method: R `fisher.test`, two-sided P by
    the probability of tables, conditional maximum likelihood and its exact 95% interval.
    """
    from scipy.stats import contingency

    _check_counts(events, n)
    _check_counts(other_events, other_n)
    if events + other_events in (0, n + other_n):
        return Fisher(1.0, None, None, None)
    p = exact_kx2((events, other_events), (n, other_n))
    table = [[events, n - events], [other_events, other_n - other_events]]
    found = contingency.odds_ratio(table, kind="conditional")
    interval = found.confidence_interval(0.95)
    return Fisher(
        p, finite(float(found.statistic)), float(interval.low), finite(float(interval.high))
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of the P-values that exist (Scand J Statist 1979;6:65)."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[i] = running
    return adjusted


def _check_counts(events: int, n: int) -> None:
    if not (n >= 1 and 0 <= events <= n):
        raise ValueError(f"{events} of {n} is not a proportion")


def _events_of_patients(
    y: npt.ArrayLike, patient: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], int]:
    success = as_binary(y, "y")
    codes, labels = as_codes(patient, "patient", sort=False)
    same_length(y=success, patient=codes)
    return success, codes, len(labels)


#: Above this many partial tables the exact test would take more than a few seconds.
EXACT_TABLES = 5_000_000
#: Above this many events in a group there is nothing to shrink, and the quadrature is untested.
SHRINKAGE_LIMIT = 2_000
_NO_VARIANCE = 1e-12


def _interaction_contrasts(k: int) -> npt.NDArray[np.float64]:
    """What the interaction of two levels with k categories adds to their main effects."""
    level = np.repeat([0.0, 1.0], k)
    groups = np.tile(np.eye(k), (2, 1))[:, 1:]
    main = np.column_stack([np.ones(2 * k), level, groups])
    product = groups * level[:, None]
    fitted = main @ np.linalg.lstsq(main, product, rcond=None)[0]
    return np.asarray(product - fitted, dtype=np.float64)


def _pearson(share: npt.NDArray[np.float64], k: int, n: int) -> float:
    table = share.reshape(2, k)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    return float(n * ((table - expected) ** 2 / expected).sum())


def _mancl_derouen(
    success: npt.NDArray[np.bool_],
    codes: npt.NDArray[np.int64],
    patients: npt.NDArray[np.int64],
    k: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Covariance of the k log odds, and which categories have one patient only.

    Rows of a covariance without a meaning (a cell is 0, one patient only) are 0.
    """
    m = int(patients.max()) + 1 if len(patients) else 0
    yes, no = _patient_tables(success, codes, patients, m, k)
    counts = yes + no
    sizes = counts.sum(axis=0)
    rate = yes.sum(axis=0) / sizes
    leverage = counts / sizes
    whole = (leverage == 1).any(axis=0)
    residual = yes - counts * rate
    corrected = np.divide(residual, 1 - leverage, out=np.zeros_like(residual), where=leverage < 1)
    information = sizes * rate * (1 - rate)
    inverse = np.divide(1.0, information, out=np.zeros(k), where=information > 0)
    return inverse[:, None] * (corrected.T @ corrected) * inverse, np.asarray(whole)


def _patient_tables(
    success: npt.NDArray[np.bool_],
    codes: npt.NDArray[np.int64],
    patients: npt.NDArray[np.int64],
    m: int,
    k: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Responses and non-responses, one row per patient, one column per category."""
    cell = patients * k + codes
    yes = np.bincount(cell[success], minlength=m * k).reshape(m, k).astype(float)
    no = np.bincount(cell[~success], minlength=m * k).reshape(m, k).astype(float)
    return yes, no


def _odds_ratio(category: str, log_ratio: float, variance: float) -> OddsRatio:
    if not variance > _NO_VARIANCE:
        return _no_odds_ratio(category, "the responses of patients do not vary")
    se = math.sqrt(variance)
    margin = float(special.ndtri(0.975)) * se
    return OddsRatio(
        category,
        log_ratio,
        se,
        math.exp(log_ratio),
        math.exp(log_ratio - margin),
        math.exp(log_ratio + margin),
        float(2 * special.ndtr(-abs(log_ratio) / se)),
    )


def _no_odds_ratio(category: str, reason: str) -> OddsRatio:
    return OddsRatio(category, None, None, None, None, None, None, reason)


def _half_log_odds(
    yes: npt.NDArray[np.float64], no: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.asarray(np.log(yes + 0.5) - np.log(no + 0.5), dtype=np.float64)


def _counts(
    events: Sequence[int], n: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    seen, sizes = np.asarray(events, dtype=np.int64), np.asarray(n, dtype=np.int64)
    if seen.shape != sizes.shape or seen.ndim != 1:
        raise ValueError("events and n must be two lists of the same length")
    if ((seen < 0) | (seen > sizes)).any():
        raise ValueError("events must lie between 0 and n")
    return seen, sizes


def _log_choose(n: npt.NDArray[np.int64], k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(
        special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1),
        dtype=np.float64,
    )


def _log_weights(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.float64] | None:
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


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Rates that borrow strength from each other: posterior means and central 95% intervals.

    One place per group, in the order given; None for a group without events to count.
    `population` is the posterior mean of the mean rate of groups.
    """

    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    population: float


def shrink(events: Sequence[int], n: Sequence[int]) -> Shrinkage | None:
    """Shrunken rates of k groups by a hierarchical beta-binomial model.

    Rates come from Beta(a, b) with prior density proportional to (a+b)^(-5/2). None with fewer
    than two groups, where every group has all or no responses, since the posterior is then
    improper, or above `SHRINKAGE_LIMIT` events in a group. Limits are right to 1e-6. Method:
    Gelman et al., Bayesian Data Analysis, section 5.3; quadrature, no sampler.
    """
    seen, sizes = _counts(events, n)
    used = sizes > 0
    y, size = seen[used].astype(np.float64), sizes[used].astype(np.float64)
    if len(y) < 2 or not ((y > 0) & (y < size)).any() or size.max() > SHRINKAGE_LIMIT:
        return None
    box = _posterior_box(y, size)
    mean_, fold, weight = _square(box, _NODES)
    a, b = _beta(mean_, fold)
    log_density = _log_posterior(mean_, fold, y, size)
    peak = float(log_density.max())
    weight = weight * np.exp(log_density - peak)
    total = float(weight.sum())
    groups: list[tuple[float | None, float | None, float | None]] = []
    for responders, number in zip(seen.astype(float), sizes.astype(float), strict=True):
        if number == 0:
            groups.append((None, None, None))
            continue
        given = (a + responders) / (a + b + number)
        rate = float(np.sum(weight * given)) / total
        squared = (
            float(np.sum(weight * given * (a + responders + 1) / (a + b + number + 1))) / total
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
    return Shrinkage(means, lows, highs, float(np.sum(weight * mean_)) / total)


#: Gauss-Legendre nodes per axis, and how far below its peak the log posterior still counts.
_NODES, _HALF_NODES, _DEPTH = 64, 28, 45.0

Box = tuple[Interval, Interval]
Grid = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


@cache
def _legendre(nodes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    roots, weights = np.polynomial.legendre.leggauss(nodes)
    return roots, weights


def _rule(low: float, high: float, nodes: int) -> tuple[npt.NDArray[np.float64], ...]:
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


def _beta(
    mean: npt.NDArray[np.float64], fold: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    total = ((1 - fold) / fold) ** 2
    return mean * total, (1 - mean) * total


def _log_posterior(
    mean: npt.NDArray[np.float64],
    fold: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    n: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Log likelihood of a and b; equal groups and equal counts are computed once."""
    a, b = _beta(mean, fold)
    log_density = np.zeros_like(a)
    for sign, base, rises in ((1, a, y), (1, b, n - y), (-1, a + b, n)):
        values, times = np.unique(rises, return_counts=True)
        for count, repeats in zip(values, times, strict=True):
            if count > 0:
                log_density += sign * repeats * _log_rising(base, count)
    return np.asarray(log_density, dtype=np.float64)


def _posterior_box(y: npt.NDArray[np.float64], n: npt.NDArray[np.float64]) -> Box:
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
    y: npt.NDArray[np.float64],
    n: npt.NDArray[np.float64],
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
    kept = weights > _NEGLIGIBLE * weights.max()
    a, b = _beta(mean[kept], fold[kept])
    inside = special.betainc(a + responders, b + number - responders, q)
    return float(np.sum(weights[kept] * inside) / weights.sum())


_CROWDING, _NEGLIGIBLE, _END = 4, 1e-14, 1e-9


def _beta_quantile(mean: float, variance: float, target: float) -> float:
    """Quantile of the beta distribution with this mean and variance; its mean if there is none."""
    total = mean * (1 - mean) / variance - 1 if variance > 0 else 0.0
    found = float(special.betaincinv(mean * total, (1 - mean) * total, target))
    return found if 0 < found < 1 else mean


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


def _narrowed(
    nodes: npt.NDArray[np.float64], near: npt.NDArray[np.bool_], limits: Interval
) -> Interval:
    """The range of the nodes that count, and one node more on either side."""
    padded = np.concatenate([[limits[0]], nodes, [limits[1]]])
    index = np.flatnonzero(near)
    return float(padded[index[0]]), float(padded[index[-1] + 2])


#: So many factors are multiplied out: the product of numbers below 1e15 does not overflow.
_FACTORS = 20


def _log_rising(a: npt.NDArray[np.float64], count: float) -> npt.NDArray[np.float64]:
    """Log of a (a+1) ... (a+count-1), without the cancellation of two large log gammas."""
    if count <= _FACTORS:
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


def _stirling_tail(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What Stirling's formula leaves out of log gamma; below 1e-17 off for x > 30."""
    i = 1 / x**2
    return np.asarray((1 / 12 - i * (1 / 360 - i * (1 / 1260 - i / 1680))) / x, dtype=np.float64)
