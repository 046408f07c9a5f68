"""R's rules where lifelines has others, each with the R call that the tests hold it to.

lifelines computes the curves, the log-rank test and the Cox models; here stands all in which a
reader of R's survival package (3.5-3, Therneau) would see another number, or none. Arrays are
checked by the caller: `stop`, `dead` and `start` have one place per row, `start` is None where
every row is at risk from the beginning.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from salvage.stats._arrays import Bools, Floats, Ints, quiet

#: R's aeqSurv: two times closer than this are one time (R survival, vignette "tiedtimes").
TIME_TOLERANCE = math.sqrt(np.finfo(float).eps)
#: R's coxph.control(toler.chol): information of a death below this is rounding.
_ROUNDING = np.finfo(float).eps ** 0.75
#: Smallest sum of scaled contrasts that counts as a strict ranking, above the solver's 1e-7.
_STRICT = 1e-5


def equal_times(stop: Floats, start: Floats | None) -> tuple[Floats, Floats | None]:
    """Times that differ by rounding made one: `aeqSurv(Surv(time, event))`.

    Subtraction leaves 2.9999999999999996 where 3 is meant, and lifelines takes the two for two
    times. Each run of near-equal times takes its smallest value.
    """
    pooled = stop if start is None else np.concatenate([stop, start])
    distinct = np.unique(pooled)
    if len(distinct) < 2:
        return stop, start
    gaps = np.diff(distinct)
    apart = (gaps > TIME_TOLERANCE) & (gaps > TIME_TOLERANCE * np.abs(distinct).mean())
    cuts = distinct[np.concatenate([[True], apart])]

    def snap(times: Floats) -> Floats:
        return np.asarray(cuts[np.searchsorted(cuts, times, side="right") - 1], dtype=np.float64)

    return snap(stop), None if start is None else snap(start)


def at_risk(times: Floats, stop: Floats, start: Floats | None) -> Ints:
    """Rows at risk just before each time: `summary(survfit(Surv(...) ~ 1), times)$n.risk`.

    Who enters at a time is not at risk there yet, except at time 0; lifelines counts him.
    """
    gone = np.sort(stop).searchsorted(times - TIME_TOLERANCE, side="left")
    if start is None:
        return np.asarray(len(stop) - gone, dtype=np.int64)
    begin = np.sort(start)
    entered = begin.searchsorted(times - TIME_TOLERANCE, side="left")
    entered = np.where(times == 0, begin.searchsorted(0.0, side="right"), entered)
    return np.asarray(entered - gone, dtype=np.int64)


def product_limit(n_risk: Ints, n_event: Ints) -> tuple[Floats, Floats, Floats]:
    """Kaplan-Meier with 95% limits over a gap: `survfit(Surv(entry, time, event) ~ 1,
    conf.type = "log-log")`.

    Where all who have entered have left before others enter, R carries the curve on; lifelines
    refuses the cohort. Returns the curve and its limits, which are NaN where it is 1 or 0.
    """
    with quiet():
        curve: Floats = np.cumprod((n_risk - n_event) / n_risk, dtype=np.float64)
        greenwood = np.cumsum(n_event / (n_risk * (n_risk - n_event).astype(float)))
        log_curve = np.log(curve)
        width = special.ndtri(0.975) * np.sqrt(greenwood) / log_curve
        low, high = (np.exp(log_curve * np.exp(side * width)) for side in (-1, 1))
    return curve, low, high


def limits(curve: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Limits of a curve: 1 before the first event, none where it is 0, as `survfit` gives them.

    lifelines gives 0 there, as if it were known that nobody can live longer. NaN is none.
    """
    ends = np.where(curve == 0, np.nan, 1.0)
    inside = (curve > 0) & (curve < 1)
    return np.where(inside, low, ends), np.where(inside, high, ends)


def first_below(times: Floats, curve: Floats, height: float) -> float | None:
    """First time at which a curve is below a height: minmin in `survival:::survmean`.

    NaN is passed over. Where the curve runs flat at exactly that height, the middle of the flat
    part; lifelines takes its beginning.
    """
    with np.errstate(invalid="ignore"):
        below = np.flatnonzero(curve < height + TIME_TOLERANCE)
    if len(below) == 0:
        return None
    first = below[0]
    if abs(curve[first] - height) < TIME_TOLERANCE:
        lower = below[curve[below] < curve[first]]
        if len(lower):
            return float((times[first] + times[lower[0]]) / 2)
    return float(times[first])


def restricted_mean(
    times: Floats, curve: Floats, n_risk: Ints, n_event: Ints, tau: float
) -> tuple[float, float]:
    """Area under a curve up to `tau` and its standard error: `survival:::survmean(fit, rmean)`.

    The error is Greenwood's, of the estimate; the variance in lifelines is that of a patient's
    restricted time. Steps are those up to `tau`.
    """
    edges = np.concatenate([[0.0], np.minimum(times, tau), [tau]])
    areas = np.diff(edges) * np.concatenate([[1.0], curve])
    survivors = (n_risk - n_event).astype(float)
    step = np.divide(n_event, n_risk * survivors, out=np.zeros(len(survivors)), where=survivors > 0)
    beyond = np.cumsum(areas[:0:-1])[::-1]
    return float(areas.sum()), math.sqrt(float(np.sum(beyond**2 * step)))


def has_maximum(contrasts: Floats) -> bool:
    """Whether a partial likelihood has a finite maximum: where not, `coxph` warns that a
    coefficient may be infinite; lifelines stops somewhere on the way.

    `contrasts` are differences in covariates, each event minus each row at risk with it. There is
    no maximum where one direction ranks every event at or above all others, some strictly. The
    directions that do form a cone, so that the best one within a box is either zero or at the
    box's wall: nothing lies between, and rounding cannot blur the answer.
    """
    if not contrasts.any():
        return True
    if contrasts.shape[1] == 1:
        return not ((contrasts >= 0).all() or (contrasts <= 0).all())
    from scipy import optimize

    size = np.abs(contrasts).max()
    answer = optimize.linprog(
        -contrasts.sum(axis=0) / size,
        A_ub=-contrasts / size,
        b_ub=np.zeros(len(contrasts)),
        bounds=(-1, 1),
        method="highs",
    )
    rises_forever = answer.status == 0 and -answer.fun > _STRICT and np.abs(answer.x).max() > 0.5
    return not rises_forever


def score_test(x: Floats, stop: Floats, dead: Bools, start: Floats | None) -> float | None:
    """Score statistic of all covariates together: `coxph(...)$score`. lifelines has none.

    `x` has covariates in units of their standard deviation, which leaves the statistic as it is.
    None where the covariates have no contrast in the risk sets of the events.
    """
    residual, variance = _risk_sets(x, stop, dead, start, np.zeros(x.shape[1]))
    score, information = residual.sum(axis=0), variance.sum(axis=0)
    if _singular(information, len(residual)):
        return None
    return float(score @ np.linalg.solve(information, score))


def zph(
    x: Floats, stop: Floats, dead: Bools, start: Floats | None, coef: Floats
) -> tuple[list[float], float] | None:
    """Score statistics of proportional hazards: `cox.zph(fit, transform = "km", terms = FALSE)`.

    Of each covariate and of all together, in a model with the estimates `coef`; `x` has covariates
    in units of their standard deviation. R tests since version 3 of survival whether a coefficient
    that grows with 1 minus the Kaplan-Meier curve before each death would fit better; lifelines
    correlates residuals, as R did before. None where too few events tell the covariates apart.
    """
    residual, variance = _risk_sets(x, stop, dead, start, coef)
    times, deaths = np.unique(stop[dead], return_counts=True)
    curve = np.cumprod(1 - deaths / at_risk(times, stop, start))
    scale = np.repeat(1 - np.concatenate([[1.0], curve[:-1]]), deaths)
    score = scale @ residual
    plain, once, twice = (np.tensordot(scale**k, variance, axes=1) for k in range(3))
    information = np.block([[plain, once], [once, twice]])
    k = len(score)
    if _singular(information, len(residual)):
        return None

    def statistic(terms: list[int]) -> float:
        used = [*range(k), *(k + term for term in terms)]
        # At the maximum the score of the coefficients themselves is 0.
        u = np.concatenate([np.zeros(k), score[terms]])
        return float(u @ np.linalg.solve(information[np.ix_(used, used)], u))

    return [statistic([term]) for term in range(k)], statistic([*range(k)])


def _singular(information: Floats, deaths: int) -> bool:
    """Whether some direction of the coefficients is without information."""
    return not bool(np.linalg.eigvalsh(information)[0] > _ROUNDING * deaths)


def _risk_sets(
    x: Floats, stop: Floats, dead: Bools, start: Floats | None, coef: Floats
) -> tuple[Floats, Floats]:
    """Each death's covariates less their mean in its risk set, and their variance there.

    One place per death in order of time, with Efron's weights: of d that die at one time, the
    j-th has left to j parts in d.
    """
    n, k = x.shape
    centred = x - x.mean(axis=0)
    predictor = centred @ coef
    weight = np.exp(predictor - predictor.max())[:, None]
    squares = (centred[:, :, None] * centred[:, None, :]).reshape(n, k * k)
    moments = weight * np.column_stack([np.ones(n), centred, squares])
    times, tie, count = np.unique(stop[dead], return_inverse=True, return_counts=True)

    def from_each_time_on(when: Floats) -> Floats:
        order = np.argsort(when)
        sums = np.zeros((n + 1, moments.shape[1]))
        sums[:n] = np.cumsum(moments[order][::-1], axis=0)[::-1]
        return np.asarray(sums[when[order].searchsorted(times, side="left")], dtype=np.float64)

    everyone = from_each_time_on(stop)
    if start is not None:
        everyone -= from_each_time_on(start)
    tied = np.zeros_like(everyone)
    np.add.at(tied, tie, moments[dead])
    order = np.argsort(tie, kind="stable")
    tie = tie[order]
    part = (np.arange(len(tie)) - (np.cumsum(count) - count)[tie]) / count[tie]
    sums = everyone[tie] - part[:, None] * tied[tie]
    mean = sums[:, 1 : k + 1] / sums[:, :1]
    second = (sums[:, k + 1 :] / sums[:, :1]).reshape(-1, k, k)
    variance = second - mean[:, :, None] * mean[:, None, :]
    return centred[dead][order] - mean, variance
