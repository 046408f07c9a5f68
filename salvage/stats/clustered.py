"""Proportions of treatment events whose patients repeat, and comparisons between categories.

A patient can have several treatment events, so they are not independent. Intervals: Wilson's on
the effective number of events. Between categories: Rao-Scott, or GEE with an independence working
correlation. Functions take plain arrays, one row per event, and return None where something
cannot be estimated, never NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from salvage.stats._arrays import Bools, Floats, Ints, as_binary, as_codes, same_length
from salvage.stats.intervals import Interval, wilson

_NO_VARIANCE = 1e-12


def effective_n(y: npt.ArrayLike, patient: npt.ArrayLike, patients_in_study: int) -> float:
    """Number of independent events that would tell as much as these.

    Parameters
    ----------
    y
        n responses, 0 or 1, one per event.
    patient
        n names: whose event it is.
    patients_in_study
        All patients, also those without an event here.

    Returns
    -------
    n_eff = min(n, p(1-p)/v * (t(n-1)/t(k-1))^2), with t the upper 2.5% points, k the patients here,
    and v the variance of p when patients are drawn; n where v is 0 or k is 1.

    Raises
    ------
    ValueError
        Without events, or with more patients than in the study.

    Method: Korn and Graubard 1998, as R survey `svyciprop(method = "beta")`.

    >>> round(effective_n([1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"], 5), 2)
    1.28
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
    """Wilson interval on the effective number of events.

    Parameters
    ----------
    y, patient, patients_in_study
        As `effective_n`.
    level
        Confidence level.

    Returns
    -------
    The limits, as proportions.

    Raises
    ------
    ValueError
        As `effective_n`.

    Method: `intervals.wilson` on `effective_n`.
    """
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
    """Second-order Rao-Scott test of responses across categories, patients as clusters.

    Parameters
    ----------
    y, category, patient
        n responses (0 or 1), categories and names of patients, one per event.

    Returns
    -------
    F, its degrees of freedom and P. None with one category, one patient, responses that are all
    alike, or where the design effects are not defined.

    Raises
    ------
    ValueError
        For missing values or unequal lengths.

    Method: R survey `svychisq(statistic = "F")`.

    >>> y, category = [1, 1, 0, 1, 1, 0, 0, 0], list("aabbaabb")
    >>> round(rao_scott(y, category, [1, 2, 1, 3, 4, 4, 5, 6]).p, 3)
    0.216
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
    """Odds of a response in each category against a reference, patients as clusters.

    Parameters
    ----------
    y, category, patient
        n responses (0 or 1), categories and names of patients, one per event.
    reference
        The category that the others are compared with.

    Returns
    -------
    One entry for each other category, sorted, with standard errors of Mancl and DeRouen 2001 and
    normal 95% limits; None with the reason where a cell is 0, or where one patient has all events
    of a category.

    Raises
    ------
    ValueError
        If no event has the reference.

    Method: logistic GEE with independence, the same numbers as statsmodels `GEE` with cov_type
    "bias_reduced", in closed form, since with categories as the only covariate the leverage of a
    patient is his share of each category.
    """
    labels, base, yes, no = _tables(y, category, patient, reference)
    responders = yes.sum(axis=0)
    sizes = responders + no.sum(axis=0)
    usable = (responders > 0) & (responders < sizes)
    covariance, one_patient = _mancl_derouen(yes, no)
    ratios = []
    for c, label in enumerate(labels):
        if c == base:
            continue
        if not (usable[c] and usable[base]):
            ratios.append(_no_odds_ratio(label, "a cell is 0"))
        elif one_patient[c] or one_patient[base]:
            ratios.append(_no_odds_ratio(label, "one patient has all events of a category"))
        else:
            variance = covariance[c, c] + covariance[base, base] - 2 * covariance[c, base]
            rates = responders[[c, base]] / sizes[[c, base]]
            log_odds = np.log(rates / (1 - rates))
            ratios.append(_odds_ratio(label, float(log_odds[0] - log_odds[1]), float(variance)))
    return tuple(ratios)


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

    Parameters
    ----------
    y, category, patient
        n responses (0 or 1), categories and names of patients, one per event.
    reference
        The category that the others are compared with.
    seed, draws
        Of the samples of patients.

    Returns
    -------
    One entry for each other category, sorted. The interval holds the middle 95% of the samples in
    which both categories occur. No P is given.

    Raises
    ------
    ValueError
        If no event has the reference.

    Method: Firth's estimate. With categories as the only covariate it adds 1/2 to every cell (Firth
    1993), which needs no search.
    """
    labels, base, yes, no = _tables(y, category, patient, reference)
    m = len(yes)
    weights = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=draws)
    point = _half_log_odds(yes.sum(axis=0), no.sum(axis=0))
    sampled_yes, sampled_no = weights @ yes, weights @ no
    sampled = _half_log_odds(sampled_yes, sampled_no)
    present = sampled_yes + sampled_no > 0
    ratios = []
    for c, label in enumerate(labels):
        if c == base:
            continue
        both = present[:, c] & present[:, base]
        differences = sampled[both, c] - sampled[both, base]
        low, high = np.quantile(differences, [0.025, 0.975]) if both.any() else (np.nan, np.nan)
        difference = float(point[c] - point[base])
        # With few patients the middle of the samples can miss the estimate.
        low, high = np.fmin(low, difference), np.fmax(high, difference)
        ratios.append(
            OddsRatio(
                label,
                difference,
                None,
                math.exp(difference),
                math.exp(low),
                math.exp(high),
                None,
                "approximate: Firth's estimate, patients resampled",
            )
        )
    return tuple(ratios)


def _events_of_patients(y: npt.ArrayLike, patient: npt.ArrayLike) -> tuple[Bools, Ints, int]:
    success = as_binary(y, "y")
    codes, labels = as_codes(patient, "patient", sort=False)
    same_length(y=success, patient=codes)
    return success, codes, len(labels)


def _interaction_contrasts(k: int) -> Floats:
    """What the interaction of two levels with k categories adds to their main effects."""
    level = np.repeat([0.0, 1.0], k)
    groups = np.tile(np.eye(k), (2, 1))[:, 1:]
    main = np.column_stack([np.ones(2 * k), level, groups])
    product = groups * level[:, None]
    fitted = main @ np.linalg.lstsq(main, product, rcond=None)[0]
    return np.asarray(product - fitted, dtype=np.float64)


def _pearson(share: Floats, k: int, n: int) -> float:
    table = share.reshape(2, k)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    return float(n * ((table - expected) ** 2 / expected).sum())


def _mancl_derouen(yes: Floats, no: Floats) -> tuple[Floats, Bools]:
    """Covariance of the k log odds, and which categories have one patient only.

    Rows of a covariance without a meaning (a cell is 0, one patient only) are 0.
    """
    counts = yes + no
    sizes = counts.sum(axis=0)
    rate = yes.sum(axis=0) / sizes
    leverage = counts / sizes
    one_patient = (leverage == 1).any(axis=0)
    residual = yes - counts * rate
    corrected = np.divide(residual, 1 - leverage, out=np.zeros_like(residual), where=leverage < 1)
    information = sizes * rate * (1 - rate)
    inverse = np.divide(1.0, information, out=np.zeros_like(rate), where=information > 0)
    return inverse[:, None] * (corrected.T @ corrected) * inverse, np.asarray(one_patient)


def _tables(
    y: npt.ArrayLike, category: npt.ArrayLike, patient: npt.ArrayLike, reference: str
) -> tuple[list[str], int, Floats, Floats]:
    """The categories, the place of the reference among them, responses and non-responses.

    The last two have one row per patient and one column per category.
    """
    success, patients, m = _events_of_patients(y, patient)
    codes, labels = as_codes(category, "category")
    same_length(y=success, category=codes)
    if reference not in labels:
        raise ValueError(f"no event has the reference category {reference!r}")
    k = len(labels)
    cell = patients * k + codes
    yes = np.bincount(cell[success], minlength=m * k).reshape(m, k).astype(float)
    no = np.bincount(cell[~success], minlength=m * k).reshape(m, k).astype(float)
    return labels, labels.index(reference), yes, no


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


def _half_log_odds(yes: Floats, no: Floats) -> Floats:
    return np.asarray(np.log(yes + 0.5) - np.log(no + 0.5), dtype=np.float64)
