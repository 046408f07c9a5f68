"""Cohorts in which the timing of relapse has no effect, and what a Cox model says of them.

The published late-against-early hazard ratio counts overall survival from the CAR-T infusion,
although nobody can relapse late without living that long. This module measures how much of such
a ratio arises from that guarantee alone: relapse times and survival after relapse are drawn
independently, so every hazard ratio that departs from 1 does so by design of the analysis.

Arrays in, arrays out: nothing here reads a cohort. The default settings are those of the published
study.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

#: Analyses of one simulated cohort, in the order in which chapter 13 shows them.
ANALYSES = ("infusion", "relapse", "delayed_entry", "landmark")

#: Beyond this absolute log hazard ratio (HR above 400 or below 1/400) the partial likelihood of a
#: cohort of this size has no maximum in practice: the cohort shows no usable contrast.
LARGEST_LOG_HR = 6.0

# Newton steps are held to one unit, so that the search from 0 cannot overshoot; the bound lies
# outside LARGEST_LOG_HR, so that a likelihood without a maximum ends there and is recognised.
_STEP = 1.0
_BOUND = LARGEST_LOG_HR + 2.0
_ITERATIONS = 30
# A cohort whose step is this small has converged: Newton's method squares the error each time.
_STILL = 1e-9


@dataclass(frozen=True)
class NullSetting:
    """One world without an effect of relapse timing. Times in months.

    patients          patients in a cohort
    median_relapse    median of the log-normal time from infusion to relapse
    sigma_relapse     its standard deviation on the log scale
    median_survival   median of the Weibull survival after relapse
    shape             its shape: 1 is a constant hazard, below 1 a falling one, above 1 a rising one
    cutoff            relapse after this month is late, at it or before it is early
    censored          probability that a patient is lost to follow-up, at a uniformly distributed
                      moment between relapse and death: nobody enters such a cohort before relapse
    cohorts           simulated cohorts
    seed              of the random numbers

    Raises
    ------
    ValueError
        Where a time is not above 0, there are fewer than 2 patients or no cohort, or ``censored``
        lies outside [0, 1).
    """

    patients: int = 29
    median_relapse: float = 2.5
    sigma_relapse: float = 0.8
    median_survival: float = 3.3
    shape: float = 1.0
    cutoff: float = 3.0
    censored: float = 0.014
    cohorts: int = 4000
    seed: int = 20260218

    def __post_init__(self) -> None:
        positive = ("median_relapse", "sigma_relapse", "median_survival", "shape", "cutoff")
        wrong = [f"{name} must be above 0" for name in positive if not getattr(self, name) > 0]
        wrong += [] if self.patients >= 2 else ["patients must be at least 2"]
        wrong += [] if self.cohorts >= 1 else ["cohorts must be at least 1"]
        wrong += [] if 0 <= self.censored < 1 else ["censored must lie in [0, 1)"]
        if wrong:
            raise ValueError("; ".join(wrong))


#: The worlds that chapter 13 shows: three with a constant hazard after relapse, one in which it
#: falls and one in which it rises.
SETTINGS: dict[str, NullSetting] = {
    "default": NullSetting(),
    "equal_medians": NullSetting(median_relapse=3.0, median_survival=3.0),
    "late_cutoff": NullSetting(median_relapse=3.0, median_survival=3.0, cutoff=6.0),
    "falling_hazard": NullSetting(median_relapse=3.0, median_survival=3.0, shape=0.7),
    "rising_hazard": NullSetting(median_relapse=3.0, median_survival=3.0, shape=1.5),
}


@dataclass(frozen=True)
class NullCohorts:
    """Simulated cohorts: arrays of shape (cohorts, patients), times in months.

    relapse   from infusion to relapse
    after     from relapse to death or last contact
    died      whether `after` ends with death
    """

    relapse: FloatArray
    after: FloatArray
    died: BoolArray

    @property
    def survival(self) -> FloatArray:
        """Months from infusion to death or last contact, shape (cohorts, patients)."""
        return self.relapse + self.after

    def take(self, which: BoolArray) -> NullCohorts:
        """Some of the cohorts.

        Parameters
        ----------
        which
            Shape (cohorts,), marks them.

        Returns
        -------
        Only those, in their order.
        """
        return NullCohorts(self.relapse[which], self.after[which], self.died[which])


@dataclass(frozen=True)
class HazardRatios:
    """One Cox model per cohort: arrays of shape (cohorts,).

    A cohort without a contrast (one group is empty, or the likelihood has no maximum within
    LARGEST_LOG_HR) is NaN in every array.
    """

    log_hr: FloatArray
    se: FloatArray
    p: FloatArray

    @property
    def left_out(self) -> int:
        """Number of cohorts without a contrast."""
        return int(np.isnan(self.log_hr).sum())


@dataclass(frozen=True)
class NearPrinted:
    """Which simulated cohorts come near a printed median and range of survival.

    Each pair holds the lowest and the highest accepted value in months: of the median of the
    observed times from infusion, of the longest and of the shortest of them.
    """

    median: tuple[float, float] = (6.0, 8.0)
    longest: tuple[float, float] = (12.0, 18.0)
    shortest: tuple[float, float] = (0.5, 1.5)


def simulate(setting: NullSetting) -> NullCohorts:
    """Draw cohorts in which relapse time and later survival are independent.

    Parameters
    ----------
    setting
        Their number and size, the distributions, and the seed.

    Returns
    -------
    Times in months, shape (cohorts, patients).

    Method: log-normal times to relapse, Weibull survival after it.

    >>> simulate(NullSetting(patients=5, cohorts=3)).relapse.shape
    (3, 5)
    """
    rng = np.random.default_rng(setting.seed)
    shape = (setting.cohorts, setting.patients)
    relapse = setting.median_relapse * np.exp(setting.sigma_relapse * rng.standard_normal(shape))
    # A Weibull time with median s is s * (E / log 2) ** (1 / shape), E standard exponential.
    scaled = rng.standard_exponential(shape) / np.log(2)
    after = setting.median_survival * scaled ** (1 / setting.shape)
    lost = rng.random(shape) < setting.censored
    after = np.where(lost, after * rng.random(shape), after)
    return NullCohorts(relapse=relapse, after=after, died=~lost)


def permuted(
    relapse: FloatArray, after: FloatArray, died: BoolArray, draws: int, seed: int
) -> NullCohorts:
    """Cohorts in which each pair of survival after relapse and death is dealt to another patient.

    Parameters
    ----------
    relapse, after, died
        Shape (patients,), as :class:`NullCohorts`: months to relapse and from it, and whether they
        end with death.
    draws
        Number of cohorts.
    seed
        Of the permutations.

    Returns
    -------
    Shape (draws, patients). The order of the patients does not matter: both parts are sorted
    before they are dealt.

    >>> permuted(np.ones(4), np.arange(4.0), np.ones(4) > 0, 2, seed=1).after.sum(axis=1)
    array([6., 6.])
    """
    order = np.lexsort((died, after))
    rows = np.tile(order, (draws, 1))
    dealt = np.random.default_rng(seed).permuted(rows, axis=1)
    return NullCohorts(np.tile(np.sort(relapse), (draws, 1)), after[dealt], died[dealt])


def batched_cox(
    time: FloatArray,
    died: BoolArray,
    group: BoolArray,
    entry: FloatArray | None = None,
    included: BoolArray | None = None,
) -> HazardRatios:
    """Fit a Cox model with one yes/no covariate to every row at once.

    Parameters
    ----------
    time, died
        Shape (cohorts, patients): months, and whether they end with death. Times that are meant to
        be equal must be so to the last digit.
    group
        The covariate, of the same shape.
    entry
        When a patient comes under observation (left truncation; at risk where entry < t <= time).
    included
        Which patients belong to the analysis; all if left out.

    Returns
    -------
    One model per cohort with Efron's ties and the P of the two-sided Wald test.

    Method: the partial likelihood of a binary covariate needs only the numbers at risk in either
    group at each death, so Newton's method runs on (cohorts, patients) arrays of these counts.
    """
    from scipy.special import ndtr

    event = died if included is None else died & included
    weight = np.ones(time.shape) if included is None else included.astype(np.float64)
    exposed, unexposed, late = _at_risk(time, event, group, weight, entry)
    # Only deaths with both groups at risk carry information.
    informative = (exposed > 0) & (unexposed > 0)
    deaths = (informative & late).sum(axis=1)
    log_odds = np.zeros(exposed.shape)
    log_odds[informative] = np.log(exposed[informative] / unexposed[informative])

    def expected(which: IntArray) -> tuple[FloatArray, FloatArray]:
        share = 1 / (1 + np.exp(-(log_odds[which] + log_hr[which, None])))
        share = np.where(informative[which], share, 0.0)
        return share.sum(axis=1), (share * (1 - share)).sum(axis=1)

    contrast = informative.any(axis=1)
    log_hr = np.zeros(len(time))
    moving = np.flatnonzero(contrast)
    for _ in range(_ITERATIONS):
        mean, information = expected(moving)
        before = log_hr[moving]
        step = np.clip((deaths[moving] - mean) / information, -_STEP, _STEP)
        log_hr[moving] = np.clip(before + step, -_BOUND, _BOUND)
        moving = moving[np.abs(log_hr[moving] - before) > _STILL]
    usable = contrast & (np.abs(log_hr) <= LARGEST_LOG_HR)
    information = np.where(usable, expected(np.arange(len(time)))[1], np.nan)
    log_hr = np.where(usable, log_hr, np.nan)
    se = 1 / np.sqrt(information)
    return HazardRatios(log_hr=log_hr, se=se, p=2 * ndtr(-np.abs(log_hr / se)))


def _at_risk(
    time: FloatArray,
    event: BoolArray,
    group: BoolArray,
    weight: FloatArray,
    entry: FloatArray | None,
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """The exposed and the unexposed at risk at each death, and whether the exposed one died.

    Rows are ordered by time; both numbers are 0 where nobody died. Of d who die at one time, the
    j-th leaves j parts in d of them out, counted from 0 (Efron 1977). Who enters at a time or
    later is taken off those who are followed up to it.
    """
    if entry is not None:
        time, weight = np.hstack((time, entry)), np.hstack((weight, -weight))
        event, group = np.hstack((event, np.zeros_like(event))), np.hstack((group, group))
    order = np.argsort(time, axis=1)
    time, weight = (
        np.take_along_axis(time, order, axis=1),
        np.take_along_axis(weight, order, axis=1),
    )
    event, group = (
        np.take_along_axis(event, order, axis=1),
        np.take_along_axis(group, order, axis=1),
    )
    place = np.arange(time.shape[1])
    starts = np.diff(time, axis=1, prepend=-np.inf) > 0
    ends = np.diff(time, axis=1, append=np.inf) > 0
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, len(place))[:, ::-1], axis=1)[:, ::-1]

    def from_first_on(of: FloatArray) -> FloatArray:
        return np.take_along_axis(np.cumsum(of[:, ::-1], axis=1)[:, ::-1], first, axis=1)

    def before(of: BoolArray) -> tuple[IntArray, IntArray]:
        """How many of a tie stand before each place, and how many there are."""
        counted: IntArray = np.cumsum(of, axis=1)
        earlier: IntArray = np.take_along_axis(counted - of, first, axis=1)
        return counted - of - earlier, np.take_along_axis(counted, last, axis=1) - earlier

    rank, dead = before(event)
    exposed_dead = before(event & group)[1]
    left = np.where(event, rank / np.maximum(dead, 1), 0.0)
    exposed = from_first_on(weight * group) - left * exposed_dead
    unexposed = from_first_on(weight * ~group) - left * (dead - exposed_dead)
    return np.where(event, exposed, 0.0), np.where(event, unexposed, 0.0), event & group


def analyse(cohorts: NullCohorts, cutoff: float) -> dict[str, HazardRatios]:
    """Late against early relapse in every cohort, by each of ANALYSES.

    Parameters
    ----------
    cohorts
        Of `simulate`.
    cutoff
        Relapse after this month is late.

    Returns
    -------
    infusion        survival from infusion, as published
    relapse         survival from relapse
    delayed_entry   survival from infusion, at risk only from relapse on
    landmark        survival from infusion of the patients still under observation at the cut-off

    Method: Cox models of `batched_cox`; landmark of Anderson 1983.
    """
    late = cohorts.relapse > cutoff
    survival = cohorts.survival
    died = cohorts.died
    return {
        "infusion": batched_cox(survival, died, late),
        "relapse": batched_cox(cohorts.after, died, late),
        "delayed_entry": batched_cox(survival, died, late, entry=cohorts.relapse),
        "landmark": batched_cox(survival, died, late, included=survival > cutoff),
    }


def null_hazard_ratios(setting: NullSetting) -> dict[str, HazardRatios]:
    """Simulate one setting and analyse it in every way.

    Parameters
    ----------
    setting
        Of the simulation; its `cutoff` parts late from early.

    Returns
    -------
    Hazard ratios by analysis, shape (cohorts,).

    Method: `simulate`, then `analyse`.

    >>> sorted(null_hazard_ratios(NullSetting(cohorts=3)))
    ['delayed_entry', 'infusion', 'landmark', 'relapse']
    """
    return analyse(simulate(setting), setting.cutoff)


def summarise(results: dict[str, HazardRatios], at_most: float) -> pd.DataFrame:
    """One row per analysis; shares are of the cohorts with a contrast.

    Parameters
    ----------
    results
        Hazard ratios by analysis.
    at_most
        The hazard ratio that share_hr compares with.

    Returns
    -------
    Columns: cohorts (simulated), left_out (without a contrast), hr (geometric mean), low and high
    (5th and 95th percentile), hr_se (Monte Carlo standard error of log hr), share_p (P below
    0.05), share_hr (hazard ratio of `at_most` or less). Where no cohort has a contrast, every
    figure but the counts is NaN.
    """
    rows = {name: _summary(result, at_most) for name, result in results.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("analysis")


def _summary(result: HazardRatios, at_most: float) -> dict[str, float]:
    usable = ~np.isnan(result.log_hr)
    log_hr, p = result.log_hr[usable], result.p[usable]
    row: dict[str, float] = {"cohorts": len(usable), "left_out": result.left_out}
    if not len(log_hr):
        return row | dict.fromkeys(("hr", "low", "high", "hr_se", "share_p", "share_hr"), np.nan)
    low, high = np.exp(np.quantile(log_hr, [0.05, 0.95]))
    spread = float(log_hr.std(ddof=1)) if len(log_hr) > 1 else np.nan
    return row | {
        "hr": float(np.exp(log_hr.mean())),
        "low": float(low),
        "high": float(high),
        "hr_se": spread / np.sqrt(len(log_hr)),
        "share_p": float((p < 0.05).mean()),
        "share_hr": float((log_hr <= np.log(at_most)).mean()),
    }


def near_printed(cohorts: NullCohorts, near: NearPrinted) -> BoolArray:
    """Which cohorts come near a printed median and range.

    Parameters
    ----------
    cohorts
        Of `simulate`.
    near
        The accepted values in months.

    Returns
    -------
    One flag per cohort, shape (cohorts,).
    """
    times = cohorts.survival

    def within(values: FloatArray, limits: tuple[float, float]) -> BoolArray:
        return (values >= limits[0]) & (values <= limits[1])

    return (
        within(np.median(times, axis=1), near.median)
        & within(times.max(axis=1), near.longest)
        & within(times.min(axis=1), near.shortest)
    )


def null_hazard_ratios_near(
    setting: NullSetting, near: NearPrinted | None = None
) -> dict[str, HazardRatios]:
    """As null_hazard_ratios, only over the simulated cohorts that come near what was printed.

    Parameters
    ----------
    setting
        Of the simulation. A few in a hundred cohorts are kept, so ask for ten times as many as
        would otherwise do; only those kept are analysed.
    near
        The accepted values in months; those of `NearPrinted` if left out.

    Returns
    -------
    Hazard ratios by analysis, one entry per cohort kept, perhaps none.
    """
    cohorts = simulate(setting)
    return analyse(cohorts.take(near_printed(cohorts, near or NearPrinted())), setting.cutoff)
