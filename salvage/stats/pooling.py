"""Random-effects mean of proportions of several studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from salvage.stats._arrays import Floats

#: Fewest studies that are pooled.
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pooled proportion.

    low, high               95% confidence interval of the mean
    predicted_low, _high    95% prediction interval: the rate of a further study of this kind
    tau2                    variance of the log odds between studies; 0 is the edge of the possible
                            and no sign that the studies agree
    studies, events, n      what was pooled
    """

    value: float
    low: float
    high: float
    predicted_low: float
    predicted_high: float
    tau2: float
    studies: int
    events: int
    n: int
    method: str


METHOD = "binomial-normal model, maximum likelihood, t intervals"


def pool(events: Sequence[int], n: Sequence[int]) -> Pooled:
    """Random-effects mean of proportions.

    Parameters
    ----------
    events, n
        Responses and sizes of k studies, k at least `FEWEST`.

    Returns
    -------
    The mean, its interval, and the interval of a further study of this kind.

    Raises
    ------
    ValueError
        Below `FEWEST` studies, or where nobody or everybody responded: the mean has no maximum.

    Model: counts are binomial; the log odds of the studies are normal with mean mu and variance
    tau2 (the generalised linear mixed model of Stijnen, Hamza and Ozdemir). With few patients per
    study it is preferred to averages of observed log odds, which need a correction where a count
    is 0 and treat the standard errors as known. Fitted by maximum likelihood, the log odds
    integrated over a fine grid; R's `lme4::glmer` and `metafor::rma.glmm` fit the same. Intervals:
    t with k - 1 degrees of freedom for the mean, t with k - 2 and the variance tau2 + se^2 for
    prediction (Higgins, Thompson and Spiegelhalter), since k is small.

    >>> pooled = pool([8, 25, 7, 3], [27, 57, 13, 12])
    >>> f"{pooled.value:.3f} ({pooled.low:.3f} to {pooled.high:.3f})"
    '0.394 (0.259 to 0.549)'
    """
    x, m = np.asarray(events, dtype=float), np.asarray(n, dtype=float)
    if len(x) < FEWEST:
        raise ValueError(f"{len(x)} studies are fewer than {FEWEST}")
    if not 0 < x.sum() < m.sum():
        raise ValueError("nobody or everybody responded")
    from scipy.optimize import minimize

    start = float(special.logit(x.sum() / m.sum()))

    def negative(parameters: Floats) -> float:
        return -_log_likelihood(x, m, float(parameters[0]), abs(float(parameters[1])))

    fit = minimize(
        negative,
        np.array([start, 0.5]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000},
    )
    mean, tau = float(fit.x[0]), abs(float(fit.x[1]))
    # At the edge the likelihood is flat in tau; the ordinary pooled log odds are the maximum.
    if negative(np.array([start, 0.0])) <= fit.fun + 1e-9:
        mean, tau = start, 0.0
    se = _standard_error(x, m, mean, tau)
    k = len(x)
    half = float(special.stdtrit(k - 1, 0.975)) * se
    ahead = float(special.stdtrit(k - 2, 0.975)) * math.hypot(tau, se)
    ends = special.expit(np.array([mean, mean - half, mean + half, mean - ahead, mean + ahead]))
    value, low, high, predicted_low, predicted_high = ends.tolist()
    return Pooled(
        value=value,
        low=low,
        high=high,
        predicted_low=predicted_low,
        predicted_high=predicted_high,
        tau2=tau**2,
        studies=k,
        events=int(x.sum()),
        n=int(m.sum()),
        method=METHOD,
    )


#: Grid of the standard normal deviate of a study: so fine that the sum is the integral.
_DEVIATE = np.linspace(-9, 9, 2001)


def _log_likelihood(x: Floats, m: Floats, mean: float, tau: float) -> float:
    """Marginal log-likelihood, but for a constant."""
    log_odds = mean + tau * _DEVIATE[:, None]
    terms = x * log_odds - m * np.logaddexp(0, log_odds) - _DEVIATE[:, None] ** 2 / 2
    largest = terms.max(axis=0)
    return float((largest + np.log(np.exp(terms - largest).sum(axis=0))).sum())


def _standard_error(x: Floats, m: Floats, mean: float, tau: float) -> float:
    """Of the mean, from the observed information; at tau = 0 of the mean alone."""
    step = 1e-3

    def at(i: int, j: int) -> float:
        return _log_likelihood(x, m, mean + i * step, tau + j * step)

    here = at(0, 0)
    mean_mean = (at(1, 0) - 2 * here + at(-1, 0)) / step**2
    if tau == 0:
        return float((-mean_mean) ** -0.5)
    tau_tau = (at(0, 1) - 2 * here + at(0, -1)) / step**2
    mixed = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * step**2)
    return float((-mean_mean + mixed**2 / tau_tau) ** -0.5)
