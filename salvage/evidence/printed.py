"""What a printed figure implies, excludes and leaves open: checks that fit any abstract."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from salvage.evidence.risk_sets import CELL, MOST_PATIENTS, Fit, RiskSetCell, Ties, possible_splits
from salvage.evidence.rounding import (
    Printed,
    PrintedP,
    Region,
    normal_quantile,
    ratio_region,
    wald_p,
)

LEVEL: Final = 0.95
#: Both usual treatments of tied deaths: a statement holds whichever was used.
TIES: Final[tuple[Ties, ...]] = ("efron", "breslow")
#: Most risk sets, censorings and cells of hazard ratios together over which the sharp bound on the
#: deaths of any abstract is computed: about two seconds.
MOST_WORK: Final = 60_000


# --- a printed ratio ------------------------------------------------------------------------------


@dataclass(frozen=True)
class RatioFact:
    """A printed hazard ratio of two groups with its interval; the rest where it is printed."""

    hr: Printed
    low: Printed
    high: Printed
    p: PrintedP | None = None
    n: int | None = None
    deaths: int | None = None
    level: float = LEVEL

    def prints(self, fit: Fit) -> bool:
        """Whether a model prints the ratio, the Wald interval and, if given, the Wald P."""
        z = normal_quantile(self.level)
        b, se = fit.log_hr, fit.se
        p = float(wald_p(b, se))
        return (
            self.hr.prints(math.exp(b))
            and self.low.prints(math.exp(b - z * se))
            and self.high.prints(math.exp(b + z * se))
            and (self.p is None or self.p.low <= p <= self.p.high)
        )


@dataclass(frozen=True)
class DeathBound:
    """Fewest deaths that a printed Cox model of two groups allows.

    simple   from se >= 2 / sqrt(deaths): each death adds at most 1/4 to the information
    groups   deaths -> sizes that the group in the numerator of the ratio may have, over every
             sequence of risk sets; both groups' sizes add up to n. Only numbers of deaths that are
             possible. None where the number of patients is not given or would take too long.
    """

    simple: int
    groups: dict[int, tuple[int, ...]] | None

    @property
    def sharp(self) -> int | None:
        """Fewest deaths over every sequence of risk sets, where that is known."""
        return min(self.groups or {}, default=None)


@dataclass(frozen=True)
class RatioCheck:
    """What a ratio with its interval leaves open.

    region       every (log HR, se) that prints ratio and interval; empty if none does
    with_p       the parts of it that print P too
    p_share      their share of its area: small where the P just fits. Not a probability.
    deaths       None where the region is empty
    """

    fact: RatioFact
    region: Region
    with_p: tuple[Region, ...]
    deaths: DeathBound | None

    @property
    def p_share(self) -> float | None:
        """Area of the parts that print P over the area of the region."""
        if self.fact.p is None or self.region.empty or self.region.area == 0:
            return None
        return sum(part.area for part in self.with_p) / self.region.area

    @property
    def p_consistent(self) -> bool:
        """Whether a Wald P of this model can print as P does; true where no P is printed."""
        return self.fact.p is None or bool(self.with_p)

    @property
    def deaths_consistent(self) -> bool:
        """Whether the printed numbers of deaths and patients allow such a model."""
        if self.deaths is None:
            return False
        too_few = self.fact.n is not None and self.fact.n < self.deaths.simple
        if too_few or (self.fact.deaths is not None and self.fact.deaths < self.deaths.simple):
            return False
        if self.deaths.groups is None:
            return True
        if self.fact.deaths is None:
            return bool(self.deaths.groups)
        return self.fact.deaths in self.deaths.groups

    @property
    def consistent(self) -> bool:
        """Whether interval, P and numbers of deaths agree with one Cox model."""
        return not self.region.empty and self.p_consistent and self.deaths_consistent


@cache
def check_ratio(fact: RatioFact) -> RatioCheck:
    """What a printed ratio implies. Raises ValueError where a figure has no logarithm."""
    region = ratio_region(fact.hr, fact.low, fact.high, fact.level)
    if region.empty:
        return RatioCheck(fact, region, (), None)
    with_p = () if fact.p is None else region.with_p(fact.p)
    return RatioCheck(fact, region, with_p, death_bound(region, fact.n))


def death_bound(region: Region, patients: int | None) -> DeathBound:
    """Fewest deaths behind a printed model; ties as Efron or Breslow treat them."""
    # A standard error of 0 bounds nothing that is finite.
    simple = math.ceil(4 / max(region.se[1], 1e-6) ** 2)
    if patients is None or patients > MOST_PATIENTS or patients < simple:
        return DeathBound(simple, None)
    cells = _cells(region)
    if patients**2 * (patients - simple + 1) * len(cells) > MOST_WORK:
        return DeathBound(simple, None)
    splits: dict[int, set[int]] = {}
    for ties in TIES:
        for deaths, sizes in possible_splits(patients, simple, cells, ties).items():
            if sizes:
                splits.setdefault(deaths, set()).update(sizes)
    return DeathBound(simple, {deaths: tuple(sorted(splits[deaths])) for deaths in sorted(splits)})


def _cells(region: Region) -> list[RiskSetCell]:
    low, high = region.log_ratio
    edges = np.linspace(low, high, math.ceil((high - low) / CELL) + 1)
    parts = [(a, b, region.between(a, b)) for a, b in pairwise(edges.tolist())]
    return [RiskSetCell(a, b, part.se[1]) for a, b, part in parts if not part.empty]


# --- median follow-up -----------------------------------------------------------------------------


@dataclass(frozen=True)
class FollowUp:
    """Whether the median survival can also be the reverse Kaplan-Meier median follow-up.

    at_risk   fewest patients still under observation just before the median survival
    lowest    lowest value that the reverse Kaplan-Meier curve can have there
    """

    patients: int
    censored: int
    at_risk: int
    lowest: float

    @property
    def possible(self) -> bool:
        """Whether the curve can have reached one half, times being no finer than printed."""
        return self.lowest <= 0.5


def follow_up(patients: int, censored: int) -> FollowUp:
    """The argument for a median follow-up equal to the median survival, with few censored.

    Kaplan-Meier spreads a censored patient's weight over those still at risk, so just before the
    median S <= (at risk + censored) / patients, and S >= 1/2 gives at risk >= patients / 2 -
    censored. The reverse curve falls only at censorings. With at least r at risk at each of c
    censorings, tied or not, it stays at or above 1 - c / r. So it can be at one half only where
    at most 2 c patients are at risk.
    """
    at_risk = max(1, math.ceil(patients / 2 - censored))
    return FollowUp(patients, censored, at_risk, max(0.0, 1 - censored / at_risk))
