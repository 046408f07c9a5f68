"""Curves and tests for time to an event: arrays in, numbers out.

Every function follows R's survival package (3.5-3), which the tests hold it to. Times are in
any one unit, zero or more; events are 0/1. Times that differ only by rounding are one time, as
in R. With `entry`, a row is at risk after `entry` up to and including `time`; a row whose entry
is not before its time is never at risk and is left out, as in R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special
from survival import surv_analysis

from salvage.stats._arrays import (
    TIME_TOLERANCE,
    Floats,
    Ints,
    as_binary,
    as_codes,
    as_vector,
    finite,
    intervals_with_length,
    same_length,
    survival_arrays,
)

#: The package binds its functions at run time, where a type checker cannot see them.
_ENGINE: Any = surv_analysis
#: A sum of incidences this near to 1 is 1: limits there have no meaning and no bound.
_ROUNDING = 1e-12


class Quantile(NamedTuple):
    """A time and its limits, in the unit of the data; None means not reached."""

    value: float | None
    low: float | None
    high: float | None


class At(NamedTuple):
    """A probability at a time; `beyond_last` marks a time after the last observation."""

    value: float | None
    low: float | None
    high: float | None
    beyond_last: bool


class Rmst(NamedTuple):
    """Restricted mean time up to `tau`, with R's standard error.

    `beyond_last` says that the curve had to be carried on past the last observation.
    """

    value: float | None
    se: float | None
    low: float | None
    high: float | None
    beyond_last: bool


class Test(NamedTuple):
    """A chi-squared test."""

    chi2: float
    df: int
    p: float


@dataclass(frozen=True, slots=True)
class RiskTable:
    """Numbers under a curve, one per tick: at risk just before it, and totals up to it."""

    ticks: Floats
    at_risk: Ints
    censored: Ints
    events: Ints


@dataclass(frozen=True, slots=True)
class KM:
    """A Kaplan-Meier curve at its distinct times.

    `low` and `high` are log-log limits. They are 1 before the first event and NaN, the array
    form of None, where the curve is 0, since R defines no limits there; `at` and `median` never
    return NaN.
    """

    n: int
    events: int
    level: float
    time: Floats
    n_risk: Ints
    n_event: Ints
    n_censor: Ints
    survival: Floats
    low: Floats
    high: Floats

    @property
    def median(self) -> Quantile:
        """Median time with limits, as R prints them."""
        return self.quantile(0.5)

    def quantile(self, survival: float) -> Quantile:
        """First time at which the curve is below `survival`.

        Where the curve runs flat at exactly that height, the middle of the flat part. The limits
        read the two limit curves by the same rule. Method: R survival:::survmean.
        """
        return Quantile(
            _first_below(self.time, self.survival, survival),
            _first_below(self.time, self.low, survival),
            _first_below(self.time, self.high, survival),
        )

    def at(self, time: float) -> At:
        """Survival at a time: 1 (1-1) before the first event, 0 without limits where it is 0.

        Beyond the last observation the last value is carried on and flagged, as R does with
        `extend = TRUE`. Without any row the value is None.
        """
        if self.n == 0:
            return At(None, None, None, True)
        index = int(np.searchsorted(self.time, _reach(time), side="right")) - 1
        beyond = _reach(float(self.time[-1])) < time
        if index < 0:
            return At(1.0, 1.0, 1.0, False)
        return At(
            float(self.survival[index]),
            finite(float(self.low[index])),
            finite(float(self.high[index])),
            beyond,
        )


def kaplan_meier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> KM:
    """Kaplan-Meier estimate with log-log limits.

    Arrays of n rows; n may be 0. ValueError for negative or missing times, events other than
    0/1, or unequal lengths. Method: R `survfit(Surv(...) ~ 1, conf.type = "log-log")`.
    """
    stop, dead, start = survival_arrays(time, event, entry)
    kept = intervals_with_length(stop, start)
    stop, dead = stop[kept], dead[kept]
    times, position = np.unique(stop, return_inverse=True)
    events = np.bincount(position, weights=dead, minlength=len(times)).astype(np.int64)
    leaving = np.bincount(position, minlength=len(times)).astype(np.int64)
    at_risk = _at_risk(times, leaving, None if start is None else start[kept])
    survival: Floats = np.cumprod((at_risk - events) / at_risk, dtype=np.float64)
    low, high = _log_log_limits(survival, _greenwood(at_risk, events), level)
    return KM(
        n=len(stop),
        events=int(dead.sum()),
        level=level,
        time=times,
        n_risk=at_risk,
        n_event=events,
        n_censor=leaving - events,
        survival=survival,
        low=low,
        high=high,
    )


def reverse_kaplan_meier(
    time: npt.ArrayLike, event: npt.ArrayLike, entry: npt.ArrayLike | None = None
) -> KM:
    """Kaplan-Meier of follow-up: censoring is the event, an event censors (Schemper 1996)."""
    return kaplan_meier(time, ~as_binary(event, "event"), entry)


def risk_table(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    ticks: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
) -> RiskTable:
    """At risk just before each tick; censored and events up to and including it.

    Whoever leaves at a tick is still at risk there, as in R's `summary(survfit(...), times)`.
    With `entry`, whoever enters at a tick is not at risk there yet, except at time 0.
    """
    stop, dead, start = survival_arrays(time, event, entry)
    marks = as_vector(ticks, "ticks")
    kept = intervals_with_length(stop, start)
    stop, dead = stop[kept], dead[kept]
    before = np.sort(stop).searchsorted(marks - TIME_TOLERANCE, side="left")
    if start is None:
        entered = np.full(len(marks), len(stop))
    else:
        begin = np.sort(start[kept])
        entered = begin.searchsorted(marks - TIME_TOLERANCE, side="left")
        entered = np.where(marks == 0, begin.searchsorted(0.0, side="right"), entered)

    def up_to(times: Floats) -> Ints:
        return np.sort(times).searchsorted(marks + TIME_TOLERANCE, side="right").astype(np.int64)

    return RiskTable(
        ticks=marks,
        at_risk=(entered - before).astype(np.int64),
        censored=up_to(stop[~dead]),
        events=up_to(stop[dead]),
    )


def logrank(time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike) -> Test | None:
    """Log-rank test of two or more groups; None with one group or without information.

    Method: R `survdiff`, rho = 0.
    """
    stop, dead, _ = survival_arrays(time, event, None)
    codes, labels = as_codes(group, "group")
    same_length(time=stop, group=codes)
    if len(labels) < 2 or not dead.any():
        return None
    try:
        found = _ENGINE.survdiff(stop, dead.astype(np.int64), codes)
    except RuntimeError:
        # The engine's word for a singular variance, where R stops too.
        return None
    # A group that has left before the first event says nothing and takes no degree of freedom.
    informed = int((np.asarray(found.exp, dtype=np.float64) > 0).sum())
    return chi2_test(float(found.chisq), informed - 1)


def rmst(
    time: npt.ArrayLike, event: npt.ArrayLike, tau: float, entry: npt.ArrayLike | None = None
) -> Rmst:
    """Mean time to the event within `tau`: the area under the curve up to it.

    The interval is the estimate plus or minus 1.96 standard errors, kept within 0 and `tau`.
    Without any row, None. ValueError unless `tau` is positive. Method: R survival:::survmean.
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"tau must be positive, it is {tau}")
    curve = kaplan_meier(time, event, entry)
    if curve.n == 0:
        return Rmst(None, None, None, None, True)
    used = curve.time <= _reach(tau)
    edges = np.concatenate([[0.0], np.minimum(curve.time[used], tau), [tau]])
    areas = np.diff(edges) * np.concatenate([[1.0], curve.survival[used]])
    survivors = curve.n_risk[used] - curve.n_event[used]
    weight = np.divide(
        curve.n_event[used],
        curve.n_risk[used] * survivors.astype(float),
        out=np.zeros(len(survivors)),
        where=survivors > 0,
    )
    beyond_area = np.cumsum(areas[:0:-1])[::-1]
    se = math.sqrt(float(np.sum(beyond_area**2 * weight)))
    value = float(areas.sum())
    margin = _z(0.95) * se
    return Rmst(
        value,
        se,
        max(0.0, value - margin),
        min(tau, value + margin),
        curve.at(tau).beyond_last and float(curve.survival[-1]) > 0,
    )


@dataclass(frozen=True, slots=True)
class Incidence:
    """Cumulative incidence of one cause in the presence of others, at its event times."""

    n: int
    events: int
    last: float | None
    time: Floats
    incidence: Floats
    variance: Floats

    def at(self, time: float) -> At:
        """Incidence at a time with log-log limits; 0 without limits before the first event.

        At an incidence of 1 no limits are defined. Past the last observation, flagged.
        """
        if self.last is None:
            return At(None, None, None, True)
        beyond = _reach(self.last) < time
        index = int(np.searchsorted(self.time, _reach(time), side="right")) - 1
        if index < 0:
            return At(0.0, None, None, beyond)
        value, variance = float(self.incidence[index]), float(self.variance[index])
        if value <= 0 or value > 1 - _ROUNDING:
            return At(float(value > 0), None, None, beyond)
        width = _z(0.95) * math.sqrt(max(variance, 0.0)) / (value * math.log(value))
        return At(value, value ** math.exp(-width), value ** math.exp(width), beyond)

    def se(self, time: float) -> float | None:
        """Standard error at a time; None before the first event of the cause."""
        index = int(np.searchsorted(self.time, _reach(time), side="right")) - 1
        return None if index < 0 else math.sqrt(max(float(self.variance[index]), 0.0))


def cumulative_incidence(time: npt.ArrayLike, status: npt.ArrayLike, cause: int = 1) -> Incidence:
    """Aalen-Johansen incidence of `cause`; status 0 is censored, other codes are other causes.

    Arrays of n rows. Method: estimate and infinitesimal jackknife variance of R survival
    `survfit(Surv(time, factor(status)) ~ 1)`.
    """
    code = as_vector(status, "status")
    stop, failed, _ = survival_arrays(time, code != 0, None)
    times, position = np.unique(stop, return_inverse=True)
    size = len(times)
    mine = np.bincount(position, weights=code == cause, minlength=size).astype(np.float64)
    others = np.bincount(position, weights=failed & (code != cause), minlength=size).astype(
        np.float64
    )
    leaving = np.bincount(position, minlength=size).astype(np.float64)
    if size:
        incidence, variance = _incidence_variance(mine, others, leaving)
    else:
        incidence, variance = np.zeros(0), np.zeros(0)
    shown = mine > 0
    return Incidence(
        n=len(stop),
        events=int(mine.sum()),
        last=float(times[-1]) if size else None,
        time=times[shown],
        incidence=incidence[shown],
        variance=variance[shown],
    )


def chi2_test(chi2: float, df: int) -> Test | None:
    """The upper tail of a chi-squared statistic; None where it is not defined."""
    if df < 1 or not math.isfinite(chi2):
        return None
    statistic = max(chi2, 0.0)
    return Test(statistic, df, float(special.chdtrc(df, statistic)))


def _incidence_variance(mine: Floats, others: Floats, leaving: Floats) -> tuple[Floats, Floats]:
    """Incidence at each distinct time and the sum of squares of what each row changes in it.

    A row that has left by time t changes the incidence F(t) by p + q F(t), with p and q fixed
    when it leaves; all rows still there change it alike. The squares are therefore running sums.
    """
    left = np.cumsum(leaving)
    at_risk = left[-1] - left + leaving
    hazard = (mine + others) / at_risk
    after = np.cumprod(1 - hazard)
    before = np.concatenate([[1.0], after[:-1]])
    step = before * mine / at_risk
    incidence = np.cumsum(step)
    # At a time that leaves nobody, nothing can follow that it would change.
    odds = np.divide(1.0, at_risk * (1 - hazard), out=np.zeros(len(step)), where=after > 0)
    waning = np.cumsum(hazard * odds)
    own = np.cumsum(step / at_risk)
    carried = np.cumsum(step * np.concatenate([[0.0], waning[:-1]]))
    staying = carried - own
    squares = np.zeros((3, len(step)))
    for number, jump, gone in (
        (mine, before / at_risk, odds),
        (others, 0.0, odds),
        (leaving - mine - others, 0.0, 0.0),
    ):
        q = waning - gone
        p = jump + staying - incidence * q
        squares += number * np.stack([p * p, p * q, q * q])
    one, two, three = np.cumsum(squares, axis=1)
    spread = one + 2 * incidence * two + incidence**2 * three
    variance = spread + (left[-1] - left) * staying**2
    return incidence, np.asarray(np.maximum(variance, 0.0), dtype=np.float64)


def _at_risk(times: Floats, leaving: Ints, start: Floats | None) -> Ints:
    """Rows at risk at each distinct time: entered before it and not yet left."""
    gone = np.cumsum(leaving) - leaving
    if start is None:
        return np.asarray(leaving.sum() - gone, dtype=np.int64)
    entered = np.sort(start).searchsorted(times, side="left")
    return np.asarray(entered - gone, dtype=np.int64)


def _greenwood(at_risk: Ints, events: Ints) -> Floats:
    """Greenwood's sum; infinite from the time on at which nobody is left."""
    left = (at_risk - events).astype(float)
    terms = np.divide(events, at_risk * left, out=np.full(len(left), np.inf), where=left > 0)
    return np.cumsum(terms)


def _log_log_limits(survival: Floats, log_variance: Floats, level: float) -> tuple[Floats, Floats]:
    """Limits from the normal distribution of log(-log S); see KM for S of 1 and 0."""
    low, high = np.ones_like(survival), np.ones_like(survival)
    inside = (survival > 0) & (survival < 1)
    log_s = np.log(survival[inside])
    width = _z(level) * np.sqrt(log_variance[inside]) / log_s
    low[inside] = np.exp(log_s * np.exp(-width))
    high[inside] = np.exp(log_s * np.exp(width))
    low[survival == 0] = np.nan
    high[survival == 0] = np.nan
    return low, high


def _first_below(times: Floats, curve: Floats, height: float) -> float | None:
    """R's minmin: NaN is passed over, and a flat part at the height gives its middle."""
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


def _reach(time: float) -> float:
    """A time plus the rounding that still counts as the same time."""
    return time + TIME_TOLERANCE * max(1.0, abs(time))


def _z(level: float) -> float:
    return float(special.ndtri(0.5 + level / 2))
