"""Proportions of treatment events, and comparisons between categories.

A patient can have several treatment events, so they are not independent. Intervals: Clopper and
Pearson, and Wilson on the effective number of events. Between categories: Rao-Scott, or GEE with
an independence working correlation. Functions take plain arrays, one row per event, and return
None where something cannot be estimated, never NaN.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from salvage.stats._arrays import as_binary, as_codes, same_length

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
