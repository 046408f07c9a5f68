"""What chance alone would print of a ratio whose groups were formed after time zero.

Whoever joins a group later (responds, relapses late, receives a transplant) has lived until then.
Here the time of joining says nothing of survival, and every ratio that departs from 1 does so by
design. Two worlds, both with the printed sizes: a parametric one, whose times are drawn anew for
each cohort, and a permutation, whose times are the same in each and only paired at random.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from salvage.analysis.simulate import NullCohorts, NullSetting, batched_cox, simulate
from salvage.evidence.verdicts import Figure

FloatArray = NDArray[np.float64]

COHORTS: Final = 1000
#: Groups of more patients are drawn in this number, at the same proportion.
MOST_PATIENTS: Final = 300
_SEED: Final = 20260218
_SIGMA: Final = NullSetting().sigma_relapse
#: Risk sets times patients of the cohorts that are fitted at once.
_AT_ONCE: Final = 2e7


def without_effect(f: Figure) -> str:
    """The flag's sentence: what no effect would print for a figure's sizes and times."""
    if f.ratio is None:
        return "A figure of such a group holds for those who lived to join it."
    if len(f.sizes) != 2:
        return (
            "What no effect at all would print depends on the sizes of both groups, and where a"
            " month parts them on that month and the median survival: they are not given."
        )
    times = (f.cutoff, f.survival) if f.cutoff and f.survival else (None, None)
    worlds = null_ratios(f.sizes, *(None if time is None else float(time.value) for time in times))
    if not worlds:
        return "The printed sizes and times leave no world without an effect to compare with."
    drawn, paired = (f"{hr:.2f} ({low:.2f} to {high:.2f})" for hr, low, high in worlds)
    return (
        f"No effect at all would print {drawn} for groups of {f.sizes[0]} and {f.sizes[1]} with"
        f" times drawn anew, and {paired} with the same times paired at random: geometric means,"
        f" 5% to 95% of {COHORTS:,} simulated cohorts in which all die."
    )


@cache
def null_ratios(
    sizes: tuple[int, ...], cutoff: float | None = None, survival: float | None = None
) -> tuple[tuple[float, float, float], ...]:
    """Hazard ratios under no effect: geometric mean, 5% and 95%, drawn anew and paired at random.

    sizes      of the group that is joined, and of the other
    cutoff     where all have the event (relapse) and the group are those who have it later: the
               month that parts them, with the median `survival` of all from time zero. Without it
               the group are those who join before they die, and no time is needed

    Times to relapse are log-normal, others exponential. Empty where no such world exists.
    """
    n = min(sum(sizes), MOST_PATIENTS)
    share = sizes[0] / sum(sizes)
    rng = np.random.default_rng(_SEED)
    even = (np.arange(n) + 0.5) / n
    if cutoff is None or survival is None:
        odds = share / (1 - share)
        drawn = rng.standard_exponential((2, COHORTS, n))
        fixed = np.broadcast_to(-np.log(1 - even), (2, COHORTS, n))
        return tuple(
            _summary(died_at, times < died_at)
            for times, died_at in (
                (drawn[0] / odds, drawn[1]),
                (rng.permuted(fixed[0], axis=1) / odds, fixed[1]),
            )
        )
    relapse = cutoff * math.exp(_SIGMA * ndtri(share))
    after = _median_after(relapse, survival)
    if after is None:
        return ()
    world = NullSetting(
        n, relapse, _SIGMA, after, cutoff=cutoff, censored=0, cohorts=COHORTS, seed=_SEED
    )
    fixed_relapse = relapse * np.exp(_SIGMA * ndtri(even))
    fixed_after = -after / math.log(2) * np.log(1 - even)
    paired = NullCohorts(
        np.tile(fixed_relapse, (COHORTS, 1)),
        rng.permuted(np.tile(fixed_after, (COHORTS, 1)), axis=1),
        np.ones((COHORTS, n), dtype=bool),
    )
    return tuple(
        _summary(cohorts.survival, cohorts.relapse > cutoff)
        for cohorts in (simulate(world), paired)
    )


def _summary(survival: FloatArray, group: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Geometric mean, 5% and 95% of the hazard ratio of a group, over cohorts with a contrast."""
    step = max(1, int(_AT_ONCE / survival.shape[1] ** 2))
    died = np.ones(survival.shape, dtype=bool)
    fits = [
        batched_cox(survival[i : i + step], died[i : i + step], group[i : i + step]).log_hr
        for i in range(0, len(survival), step)
    ]
    log_hr = np.concatenate(fits)
    low, high = np.nanquantile(log_hr, [0.05, 0.95])
    return math.exp(np.nanmean(log_hr)), math.exp(low), math.exp(high)


def _median_after(relapse: float, survival: float) -> float | None:
    """The median survival after relapse with which that from time zero has this median."""
    world = NullSetting(
        patients=10_001, median_relapse=relapse, sigma_relapse=_SIGMA, median_survival=1.0,
        censored=0, cohorts=1, seed=_SEED,
    )  # fmt: skip
    cohort = simulate(world)
    low, high = 0.0, 2 * survival
    if np.median(cohort.relapse) >= survival:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        median = float(np.median(cohort.relapse + middle * cohort.after))
        low, high = (middle, high) if median < survival else (low, middle)
    return middle
