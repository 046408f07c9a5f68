"""Proportions of treatment events whose patients repeat, and comparisons between categories.

A patient can have several treatment events, so they are not independent. Intervals: Wilson's on
the effective number of events. Between categories: Rao-Scott. Functions take plain arrays, one row
per event, and return None where something cannot be estimated, never NaN.
"""

from __future__ import annotations

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
    and v the variance of p when patients are drawn. Where the events do not show how alike those of
    one patient are, since they are one patient's or all or none respond, each patient counts once:
    it is k.

    Raises
    ------
    ValueError
        Without events, or with more patients than in the study.

    Method: Korn and Graubard 1998, as R survey `svyciprop(method = "beta")`, but for k.

    >>> round(effective_n([1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"], 5), 2)
    1.28
    """
    success, codes, k = _events_of_patients(y, patient)
    n = len(success)
    if n == 0:
        raise ValueError("an effective number needs at least one event")
    if k > patients_in_study:
        raise ValueError(f"{k} patients here, but {patients_in_study} in the study")
    total = int(success.sum())
    if k == 1 or total in (0, n):
        return float(k)
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
