"""Curves and tests for time to an event: arrays in, numbers out.

lifelines computes them; where R has another rule, `r_rules` gives R's, which the tests hold both
to. Times are in any one unit, zero or more; events are 0/1. Times that differ only by rounding
are one time, as in R. With `entry`, a row is at risk after `entry` up to and including `time`; a
row whose entry is not before its time is never at risk and is left out, as in R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from lifelines import KaplanMeierFitter
from lifelines.exceptions import StatError
from lifelines.statistics import multivariate_logrank_test
from scipy import special

from salvage.stats import r_rules
from salvage.stats._arrays import (
    Bools,
    Floats,
    Ints,
    as_binary,
    as_codes,
    as_vector,
    finite,
    quiet,
    same_length,
)
from salvage.stats.r_rules import TIME_TOLERANCE

#: Of 95% limits.
_Z = float(special.ndtri(0.975))
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


class ChiSquare(NamedTuple):
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
    time: Floats
    n_risk: Ints
    n_event: Ints
    n_censor: Ints
    survival: Floats
    low: Floats
    high: Floats

    @property
    def median(self) -> Quantile:
        """Median time with limits, as R prints them: both limit curves are read by one rule."""
        low, value, high = (
            r_rules.first_below(self.time, curve, 0.5)
            for curve in (self.low, self.survival, self.high)
        )
        return Quantile(value, low, high)

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


def survival_arrays(
    time: npt.ArrayLike, event: npt.ArrayLike, entry: npt.ArrayLike | None = None
) -> tuple[Floats, Bools, Floats | None, Bools]:
    """Checked times, events and entries of the rows that are at risk at all, and which these are.

    Values stay in the unit given; times that differ by rounding are made equal. A row that leaves
    when it enters is left out, as R's `Surv` gives NA for it. ValueError for negative or missing
    times, events other than 0/1, or unequal lengths.
    """
    stop = as_vector(time, "time")
    dead = as_binary(event, "event")
    start = None if entry is None else as_vector(entry, "entry")
    same_length(time=stop, event=dead, entry=start)
    if (stop < 0).any() or (start is not None and (start < 0).any()):
        raise ValueError("times must not be negative")
    stop, start = r_rules.equal_times(stop, start)
    if start is None:
        return stop, dead, None, np.ones(len(stop), dtype=bool)
    at_risk = start < stop
    return stop[at_risk], dead[at_risk], start[at_risk], at_risk


def kaplan_meier(
    time: npt.ArrayLike, event: npt.ArrayLike, entry: npt.ArrayLike | None = None
) -> KM:
    """Kaplan-Meier estimate with log-log 95% limits.

    Parameters
    ----------
    time, event
        n durations in any one unit, zero or more, and whether each ended in the event; n may be 0.
    entry
        When each row came under observation, in the same unit; from 0 on if left out.

    Returns
    -------
    The curve at its distinct times.

    Raises
    ------
    ValueError
        For negative or missing times, events other than 0/1, or unequal lengths.

    Method: lifelines `KaplanMeierFitter` with the rules of `r_rules`, as R
    `survfit(Surv(...) ~ 1, conf.type = "log-log")`.

    >>> curve = kaplan_meier([1, 2, 3, 4], [1, 1, 0, 1])
    >>> curve.median, curve.at(2.5).value
    (Quantile(value=3.0, low=1.0, high=None), 0.5)
    """
    stop, dead, start, _ = survival_arrays(time, event, entry)
    times, position = np.unique(stop, return_inverse=True)
    n_event = np.bincount(position, weights=dead, minlength=len(times)).astype(np.int64)
    leaving = np.bincount(position, minlength=len(times)).astype(np.int64)
    n_risk = r_rules.at_risk(times, stop, start)
    curve, low, high = _curve(stop, dead, start, times) or r_rules.product_limit(n_risk, n_event)
    low, high = r_rules.limits(curve, low, high)
    return KM(
        n=len(stop),
        events=int(dead.sum()),
        time=times,
        n_risk=n_risk,
        n_event=n_event,
        n_censor=leaving - n_event,
        survival=curve,
        low=low,
        high=high,
    )


def _curve(
    stop: Floats, dead: Bools, start: Floats | None, times: Floats
) -> tuple[Floats, Floats, Floats] | None:
    """lifelines' curve and limits at the times; None where it takes no such cohort."""
    if not len(stop):
        return None
    fitter = KaplanMeierFitter()
    try:
        with quiet():
            fitter.fit(stop, dead, entry=start)
    except StatError:
        return None
    low, high = fitter.confidence_interval_.loc[times].to_numpy(dtype=np.float64).T
    curve = fitter.survival_function_.loc[times].to_numpy(dtype=np.float64)[:, 0]
    return curve, low, high


def reverse_kaplan_meier(
    time: npt.ArrayLike, event: npt.ArrayLike, entry: npt.ArrayLike | None = None
) -> KM:
    """Kaplan-Meier of follow-up: censoring is the event, an event censors.

    Parameters
    ----------
    time, event, entry
        As `kaplan_meier`.

    Returns
    -------
    The curve of those still followed, at its distinct times.

    Raises
    ------
    ValueError
        As `kaplan_meier`.

    Method: Schemper and Smith 1996.

    >>> reverse_kaplan_meier([1, 2, 3, 4], [1, 1, 0, 1]).events
    1
    """
    return kaplan_meier(time, ~as_binary(event, "event"), entry)


def risk_table(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    ticks: npt.ArrayLike,
    entry: npt.ArrayLike | None = None,
) -> RiskTable:
    """Numbers under a curve: at risk, censored, events.

    Parameters
    ----------
    time, event, entry
        As `kaplan_meier`.
    ticks
        Times at which to count.

    Returns
    -------
    At risk just before each tick; censored and events up to and including it. Whoever leaves at a
    tick is still at risk there; whoever enters at a tick is not yet, except at time 0.

    Raises
    ------
    ValueError
        As `kaplan_meier`.

    Method: R `summary(survfit(...), times)`.

    >>> risk_table([1, 2, 3, 4], [1, 1, 0, 1], [0, 2]).at_risk.tolist()
    [4, 3]
    """
    stop, dead, start, _ = survival_arrays(time, event, entry)
    marks = as_vector(ticks, "ticks")

    def up_to(times: Floats) -> Ints:
        return np.sort(times).searchsorted(marks + TIME_TOLERANCE, side="right").astype(np.int64)

    return RiskTable(
        ticks=marks,
        at_risk=r_rules.at_risk(marks, stop, start),
        censored=up_to(stop[~dead]),
        events=up_to(stop[dead]),
    )


def logrank(time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike) -> ChiSquare | None:
    """Log-rank test of two or more groups.

    Parameters
    ----------
    time, event, group
        n durations, events (0 or 1) and names of groups.

    Returns
    -------
    The test; None with one group or without information.

    Raises
    ------
    ValueError
        As `kaplan_meier`, and for missing groups.

    Method: lifelines `multivariate_logrank_test`, as R `survdiff`, rho = 0.

    >>> round(logrank([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1], list("aababb")).p, 3)
    0.11
    """
    stop, dead, _, _ = survival_arrays(time, event)
    codes, _ = as_codes(group, "group")
    same_length(time=stop, group=codes)
    if not dead.any():
        return None
    # A group that has left before the first event says nothing and takes no degree of freedom.
    first = stop[dead].min()
    informed = stop >= first
    stop, dead, codes = stop[informed], dead[informed], codes[informed]
    groups = len(np.unique(codes))
    # Where all die at once nobody could have died in another order: the variance is 0.
    if groups < 2 or (dead & (stop == first)).all():
        return None
    with quiet():
        test = multivariate_logrank_test(stop, codes, dead)
    return chi_square(float(test.test_statistic), groups - 1)


def rmst(
    time: npt.ArrayLike, event: npt.ArrayLike, tau: float, entry: npt.ArrayLike | None = None
) -> Rmst:
    """Mean time to the event within a horizon: the area under the curve up to it.

    Parameters
    ----------
    time, event, entry
        As `kaplan_meier`.
    tau
        The horizon, in the unit of the times.

    Returns
    -------
    The mean, its standard error, and the mean plus or minus 1.96 of them, within 0 and `tau`; None
    without any row.

    Raises
    ------
    ValueError
        Unless `tau` is positive, and as `kaplan_meier`.

    Method: R `survival:::survmean`.

    >>> round(rmst([1, 2, 3, 4], [1, 1, 0, 1], 3).value, 2)
    2.25
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"tau must be positive, it is {tau}")
    curve = kaplan_meier(time, event, entry)
    if curve.n == 0:
        return Rmst(None, None, None, None, True)
    used = curve.time <= _reach(tau)
    value, se = r_rules.restricted_mean(
        curve.time[used], curve.survival[used], curve.n_risk[used], curve.n_event[used], tau
    )
    margin = _Z * se
    return Rmst(
        value,
        se,
        max(0.0, value - margin),
        min(tau, value + margin),
        curve.at(tau).beyond_last and float(curve.survival[-1]) > 0,
    )


@dataclass(frozen=True, slots=True)
class Incidence:
    """Cumulative incidence of one cause in the presence of others, at its event times.

    `last` is the last observation; `complete` says that nobody was left without an event there, so
    that the incidence stays what it is.
    """

    n: int
    events: int
    last: float | None
    complete: bool
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
        width = _Z * math.sqrt(max(variance, 0.0)) / (value * math.log(value))
        return At(value, value ** math.exp(-width), value ** math.exp(width), beyond)

    def se(self, time: float) -> float | None:
        """Standard error at a time; None before the first event of the cause."""
        index = int(np.searchsorted(self.time, _reach(time), side="right")) - 1
        return None if index < 0 else math.sqrt(max(float(self.variance[index]), 0.0))


def cumulative_incidence(time: npt.ArrayLike, status: npt.ArrayLike, cause: int = 1) -> Incidence:
    """Aalen-Johansen incidence of one cause in the presence of others.

    Parameters
    ----------
    time
        n durations in any one unit.
    status
        0 is censored, other codes are causes.
    cause
        The code of the cause.

    Returns
    -------
    The incidence at the event times of the cause.

    Raises
    ------
    ValueError
        As `kaplan_meier`.

    Method: estimate and infinitesimal jackknife variance of R survival
    `survfit(Surv(time, factor(status)) ~ 1)`.

    >>> cumulative_incidence([1, 2, 3, 4], [1, 2, 0, 1]).at(3).value
    0.25
    """
    code = as_vector(status, "status")
    stop, failed, _, _ = survival_arrays(time, code != 0)
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
        complete=bool(size and leaving[-1] == mine[-1] + others[-1]),
        time=times[shown],
        incidence=incidence[shown],
        variance=variance[shown],
    )


def chi_square(chi2: float, df: int) -> ChiSquare | None:
    """The upper tail of a chi-squared statistic; None where it is not defined."""
    if df < 1 or not math.isfinite(chi2):
        return None
    statistic = max(chi2, 0.0)
    return ChiSquare(statistic, df, float(special.chdtrc(df, statistic)))


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


def _reach(time: float) -> float:
    """A time plus the rounding that still counts as the same time."""
    return time + TIME_TOLERANCE * max(1.0, abs(time))
