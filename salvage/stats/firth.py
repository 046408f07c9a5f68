"""Firth's penalised Cox likelihood, by the firthmodels package."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from salvage.stats._arrays import Bools, Floats, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

#: Full Newton steps reach the last digits; step halving is safer, but stalls where the likelihood
#: no longer changes in double precision. The second is tried where the first does not arrive.
_SEARCHES: tuple[dict[str, Any], ...] = (
    {"max_step": 1.0, "max_iter": 100, "max_halfstep": 0, "gtol": 1e-8, "xtol": 1e-9},
    {"max_step": 1.0, "max_iter": 1000, "max_halfstep": 25, "gtol": 1e-4, "xtol": 1e-6},
)
#: Where neither finds a maximum, as with one death at a flat one, shorter steps do; the last is
#: content with five digits.
_RESCUES: tuple[dict[str, Any], ...] = (
    {"max_step": 0.3, "max_iter": 300, "max_halfstep": 25, "gtol": 1e-8, "xtol": 1e-9},
    {"max_step": 0.1, "max_iter": 300, "max_halfstep": 25, "gtol": 1e-8, "xtol": 1e-9},
    {"max_step": 1.0, "max_iter": 100, "max_halfstep": 25, "gtol": 1e-4, "xtol": 1e-5},
)


@dataclass(frozen=True, slots=True)
class Penalised:
    """Coefficients on the scale of the covariates; NaN where a limit or P was not found."""

    coef: Floats
    se: Floats
    low: Floats
    high: Floats
    p: Floats
    loglik: float


def fit_cox(x: Floats, time: Floats, event: Bools) -> Penalised | None:
    """Penalised Cox model with Breslow's ties.

    Parameters
    ----------
    x
        Covariates, shape (n, k).
    time, event
        Shape (n,): durations in any one unit, and whether each ended in the event.

    Returns
    -------
    The fit; None without a maximum.

    Method: Heinze and Schemper 2001, by the firthmodels package.
    """
    from firthmodels import FirthCoxPH

    # Sums in another order differ in their last digit, and so may whether the search arrives.
    order = np.lexsort((*x.T, event, time))
    x, time, event = x[order], time[order], event[order]
    return _first_converged(lambda search: FirthCoxPH(backend="numpy", **search), x, (event, time))


def _first_converged(
    make: Callable[[dict[str, Any]], Any], x: Floats, y: object
) -> Penalised | None:
    """The first search that finds everything, else the first that finds the maximum."""
    # The penalty does not change under a change of units, but the search is safer in one.
    scale = x.std(axis=0)
    scale[scale == 0] = 1.0
    standard = (x - x.mean(axis=0)) / scale

    def attempt(search: dict[str, Any]) -> Penalised | None:
        # What did not converge comes back as NaN or as a flag, which is read below.
        with quiet():
            return _fit(make(search), standard, y, scale)

    best: Penalised | None = None
    for fitted in map(attempt, _SEARCHES):
        if fitted is not None and np.isfinite([fitted.low, fitted.high, fitted.p]).all():
            return fitted
        best = best or fitted
    return best or next(filter(None, map(attempt, _RESCUES)), None)


def _fit(model: Any, x: Floats, y: object, scale: Floats) -> Penalised | None:
    try:
        model.fit(x, y)
    except (ValueError, np.linalg.LinAlgError):
        return None
    if not (model.converged_ and math.isfinite(model.loglik_)):
        return None
    k = x.shape[1]
    limits = np.full((k, 2), np.nan)
    p = np.full(k, np.nan)
    for term in range(k):
        with contextlib.suppress(np.linalg.LinAlgError):
            p[term] = model.lrt(term).lrt_pvalues_[term]
        with contextlib.suppress(np.linalg.LinAlgError):
            interval = model.conf_int(method="pl", features=term, max_iter=200, tol=1e-8)
            limits[term] = interval[term]
    return Penalised(
        coef=model.coef_ / scale,
        se=model.bse_[:k] / scale,
        low=limits[:, 0] / scale,
        high=limits[:, 1] / scale,
        p=p,
        loglik=float(model.loglik_),
    )
