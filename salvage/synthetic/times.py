"""Random relapse and death times of 29 patients, and whether they print the published figures.

Everything here works on a batch: arrays of shape (cohorts, patients). Times are whole tenths of a
month, so that no float noise enters a stored value. The search draws cohorts from a model of
relapse and of survival after it, and keeps those that print every published survival figure. The
hazard ratio from relapse is not among them and is never aimed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PATIENTS = 29
SHORTEST, MEDIAN, LONGEST = 10, 70, 150
"""Observed time in tenths of a month: range 1.0-15.0 and median 7.0, as printed."""
EARLIEST_RELAPSE = 5
"""Tenths of a month. Progression is not documented in the first two weeks after an infusion."""
SHORTEST_AFTER_RELAPSE = 3
"""Tenths of a month between relapse and death, so that a salvage line can start between them."""

# What prints as the published HR, limits and P: half a step of the last digit either way.
HR_WINDOW = (0.435, 0.445)
LOW_WINDOW = (0.205, 0.215)
HIGH_WINDOW = (0.945, 0.955)
P_WINDOW = (0.0375, 0.0385)
HEAT, COLD = 2.0, 0.3
NORMAL_975 = 1.959963984540054


@dataclass(frozen=True)
class CohortTimes:
    """A batch of cohorts: relapse and observed time in tenths of a month, and deaths.

    All arrays have the shape (cohorts, patients); ``cutoff`` has the shape (cohorts,).
    """

    relapse: Ints
    observed: Ints
    died: Bools
    cutoff: Ints

    def __len__(self) -> int:
        return len(self.cutoff)

    def take(self, which: Bools | Ints) -> CohortTimes:
        """The cohorts that ``which`` selects (a mask or indices)."""
        return CohortTimes(
            self.relapse[which], self.observed[which], self.died[which], self.cutoff[which]
        )

    @property
    def late(self) -> Bools:
        """Relapse after the cut-off; equal is early."""
        return self.relapse > self.cutoff[:, None]


@dataclass(frozen=True)
class Model:
    """What a batch is drawn from; every array has the shape (cohorts,).

    relapse_median: months; relapse_sigma: SD of log months to relapse (log-normal); effect: power
    of months to relapse that multiplies survival after relapse (0: no effect); shape: Weibull shape
    of survival after relapse; censored: patients alive at last contact; cutoff: tenths of a month.
    """

    relapse_median: Floats
    relapse_sigma: Floats
    effect: Floats
    shape: Floats
    censored: Ints
    cutoff: Ints


def draw(rng: np.random.Generator, model: Model) -> CohortTimes:
    """Cohorts with the printed range and median of observed time, otherwise as ``model`` says.

    Survival after relapse is scaled so that the fifteenth patient is observed for 7.0 months; then
    times below and above the median are stretched to end at 1.0 and 15.0 months. Relapse moves with
    the observed time of its patient, so that it stays inside it. Order is kept throughout.
    """
    size = (len(model.cutoff), PATIENTS)
    relative = np.exp(model.relapse_sigma[:, None] * rng.standard_normal(size))
    relapse = 10 * model.relapse_median[:, None] * relative
    after = rng.standard_exponential(size) ** (1 / model.shape[:, None])
    after *= relative ** model.effect[:, None]
    # A patient is observed for more than 7.0 months if the scale is above this patient's own value.
    scale = np.maximum(np.median((MEDIAN - relapse) / after, axis=1), 1e-3)
    observed = relapse + scale[:, None] * after
    lowest = observed.min(axis=1, keepdims=True)
    highest = observed.max(axis=1, keepdims=True)
    stretch = np.where(
        observed < MEDIAN,
        (MEDIAN - SHORTEST) / np.maximum(MEDIAN - lowest, 1e-9),
        (LONGEST - MEDIAN) / np.maximum(highest - MEDIAN, 1e-9),
    )
    fitted = np.rint(MEDIAN + stretch * (observed - MEDIAN)).astype(np.int64)
    moved = np.rint(relapse * fitted / observed).astype(np.int64)
    moved = np.clip(moved, EARLIEST_RELAPSE, fitted - SHORTEST_AFTER_RELAPSE)
    alive = np.argsort(np.argsort(rng.random(size), axis=1), axis=1) < model.censored[:, None]
    return CohortTimes(moved, fitted, ~alive, model.cutoff)


def _efron_risk(time: Ints, died: Bools, late: Bools) -> tuple[Floats, Floats, Ints]:
    """Weight of early and late patients in each death's risk set, and the late deaths per cohort.

    Efron (1977): the k-th of d tied deaths sees the tied deaths with the weight 1 - k/d.
    """
    order = np.argsort(time, axis=1, kind="stable")
    time = np.take_along_axis(time, order, axis=1)
    died = np.take_along_axis(died, order, axis=1)
    late = np.take_along_axis(late, order, axis=1)
    n = time.shape[1]
    index = np.broadcast_to(np.arange(n), time.shape)
    changes = time[:, 1:] != time[:, :-1]
    edge = np.ones((len(time), 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, changes]), index, 0), axis=1)
    after = np.where(np.hstack([changes, edge]), index, n)[:, ::-1]
    last = np.minimum.accumulate(after, axis=1)[:, ::-1]

    def before(flag: Bools) -> Ints:
        return np.hstack([np.zeros((len(flag), 1), dtype=np.int64), np.cumsum(flag, axis=1)])

    def pick(counts: Ints, where: Ints) -> Ints:
        picked: Ints = np.take_along_axis(counts, where, axis=1)
        return picked

    deaths, late_deaths, late_before = before(died), before(died & late), before(late)
    tied = pick(deaths, last + 1) - pick(deaths, first)
    tied_late = pick(late_deaths, last + 1) - pick(late_deaths, first)
    share = (deaths[:, :-1] - pick(deaths, first)) / np.maximum(tied, 1)
    late_risk = late_before[:, -1:] - pick(late_before, first) - share * tied_late
    all_risk = n - first - share * tied
    # A row without a death adds nothing: no late patient in its risk set.
    late_risk = np.where(died, late_risk, 0.0)
    return np.where(died, all_risk - late_risk, 1.0), late_risk, (died & late).sum(axis=1)


def log_hazard_ratio(times: CohortTimes) -> tuple[Floats, Floats]:
    """Late against early on observed time from infusion: log hazard ratio and its standard error.

    One binary covariate, Efron ties, Newton's method on all cohorts at once. A cohort without a
    finite estimate gets infinity as standard error.
    """
    early, late, late_deaths = _efron_risk(times.observed, times.died, times.late)
    beta = np.zeros(len(times))
    information = np.zeros(len(times))
    for _ in range(12):
        weighted = late * np.exp(beta)[:, None]
        share = weighted / (early + weighted)
        information = (share * (1 - share)).sum(axis=1)
        step = (late_deaths - share.sum(axis=1)) / np.maximum(information, 1e-9)
        beta = np.clip(beta + np.clip(step, -1, 1), -6, 6)
    finite = np.abs(beta) < 5.5
    error = np.where(finite, 1 / np.sqrt(np.maximum(information, 1e-9)), np.inf)
    return beta, error


def _outside(value: Floats, window: tuple[float, float]) -> Floats:
    """Distance of a logarithm from a window, in half-widths of the window; 0 strictly inside."""
    low, high = np.log(window[0]), np.log(window[1])
    away: Floats = np.maximum(np.abs(value - (low + high) / 2) * 2 / (high - low) - 0.999, 0)
    return away


def distance(times: CohortTimes) -> Floats:
    """How far each cohort is from the printed hazard ratio, interval and P; 0 if it prints all."""
    from scipy.special import log_ndtr

    beta, error = log_hazard_ratio(times)
    error = np.minimum(error, 1e3)
    log_p = np.log(2) + log_ndtr(-np.abs(beta / error))
    parts = (
        _outside(beta, HR_WINDOW),
        _outside(beta - NORMAL_975 * error, LOW_WINDOW),
        _outside(beta + NORMAL_975 * error, HIGH_WINDOW),
        _outside(log_p, P_WINDOW),
    )
    total: Floats = np.sum(parts, axis=0)
    return total


def prints_median(times: CohortTimes) -> Bools:
    """Whether the Kaplan-Meier median, by R's rule, and the median observed time are both 7.0.

    R: the first time at which survival is at most one half, and if it is exactly one half, the
    middle between that time and the next death.
    """
    order = np.argsort(2 * times.observed + ~times.died, axis=1, kind="stable")
    time = np.take_along_axis(times.observed, order, axis=1)
    died = np.take_along_axis(times.died, order, axis=1)
    survival = np.cumprod(1 - died / (PATIENTS - np.arange(PATIENTS)), axis=1)

    def first_death(reached: Bools) -> Ints:
        hit = reached & died
        picked = np.take_along_axis(time, hit.argmax(axis=1)[:, None], axis=1)[:, 0]
        return np.where(hit.any(axis=1), picked, -1)

    at_most = first_death(survival <= 0.5 + 1e-9)
    below = first_death(survival < 0.5 - 1e-9)
    observed = np.sort(time, axis=1)[:, PATIENTS // 2]
    exact: Bools = (at_most == MEDIAN) & (below == MEDIAN) & (observed == MEDIAN)
    return exact


def agrees(times: CohortTimes) -> Bools:
    """Cohorts that print every published survival figure."""
    agreeing: Bools = prints_median(times) & (distance(times) == 0)
    return agreeing


def possible(times: CohortTimes) -> Bools:
    """Per patient: relapse is not too soon after infusion, nor too close to the end."""
    late_enough = times.relapse >= EARLIEST_RELAPSE
    room: Bools = late_enough & (times.observed - times.relapse >= SHORTEST_AFTER_RELAPSE)
    return room


def _frame(times: CohortTimes) -> Bools:
    """Cohorts whose observed times have the printed range and median."""
    ordered = np.sort(times.observed, axis=1)
    ends = (ordered[:, 0] == SHORTEST) & (ordered[:, -1] == LONGEST)
    framed: Bools = ends & (ordered[:, PATIENTS // 2] == MEDIAN)
    return framed


def _swap(rng: np.random.Generator, times: CohortTimes) -> CohortTimes:
    """In each cohort, change one thing about two patients.

    They exchange relapse months, or observed times with vital status, or vital status; or the first
    of them dies up to 0.5 months sooner or later.
    """
    count = len(times)
    rows, move = np.arange(count), rng.integers(4, size=count)
    first, second = rng.integers(PATIENTS, size=(2, count))
    relapse, observed, died = times.relapse.copy(), times.observed.copy(), times.died.copy()

    def exchange(array: NDArray[Any], wanted: Bools) -> None:
        at, i, j = rows[wanted], first[wanted], second[wanted]
        array[at, i], array[at, j] = array[at, j], array[at, i]

    exchange(relapse, move == 0)
    exchange(observed, move == 1)
    exchange(died, (move == 1) | (move == 2))
    observed[rows, first] += np.where(move == 3, rng.integers(-5, 6, size=count), 0)
    return CohortTimes(relapse, observed, died, times.cutoff)


def approach(rng: np.random.Generator, times: CohortTimes, steps: int) -> CohortTimes:
    """Walk each cohort towards the printed figures by simulated annealing.

    Each step is a small change to one or two patients. It is kept if every history stays possible,
    the range and both medians stay as printed, and the cohort comes no further from the printed
    hazard ratio; a step away is kept at random, ever less often. A cohort that prints everything
    stays as it is. ``times`` must print the medians already.
    """
    now = distance(times)
    for step in range(steps):
        moved = _swap(rng, times)
        fresh = distance(moved)
        heat = HEAT * (1 - step / steps) ** 2 + COLD
        keep = fresh - now < heat * rng.standard_exponential(len(times))
        keep &= possible(moved).all(axis=1) & _frame(moved) & prints_median(moved) & (now > 0)
        times = CohortTimes(
            np.where(keep[:, None], moved.relapse, times.relapse),
            np.where(keep[:, None], moved.observed, times.observed),
            np.where(keep[:, None], moved.died, times.died),
            times.cutoff,
        )
        now = np.where(keep, fresh, now)
    return times
