"""What a printed figure implies, excludes and leaves open: checks that fit any abstract."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from salvage.evidence.risk_sets import CELL, MOST_PATIENTS, Fit, RiskSetCell, Ties, possible_splits
from salvage.evidence.rounding import (
    Printed,
    PrintedP,
    Region,
    denominators,
    normal_quantile,
    numerators,
    ratio_region,
    wald_p,
)

LEVEL: Final = 0.95
#: Both usual treatments of tied deaths: a statement holds whichever was used.
TIES: Final[tuple[Ties, ...]] = ("efron", "breslow")
#: Denominators tried for a percentage whose own is not printed.
LARGEST_DENOMINATOR: Final = 100


# --- a printed percentage -------------------------------------------------------------------------


@dataclass(frozen=True)
class RateFact:
    """A printed percentage; `events` and `n` where they are printed too."""

    label: str
    printed: Printed
    text: str
    events: int | None = None
    n: int | None = None


@dataclass(frozen=True)
class RateCheck:
    """A percentage against the counts that can print it.

    possible     every (events, n) up to the largest denominator looked at
    consistent   whether the printed counts, or any counts out of the printed n, print it
    """

    fact: RateFact
    largest: int
    possible: tuple[tuple[int, int], ...]
    consistent: bool

    @property
    def counts(self) -> tuple[int, ...]:
        """Counts out of the printed n that print this percentage; empty where n is not printed."""
        return tuple(count for count, n in self.possible if n == self.fact.n)


def check_rate(fact: RateFact, largest: int = LARGEST_DENOMINATOR) -> RateCheck:
    """Which counts print this percentage, up to denominator `largest` or the printed one."""
    largest = max(largest, fact.n or 0)
    possible = tuple(denominators(fact.printed, largest))
    if fact.n is None:
        consistent = any(fact.events in (None, count) for count, _ in possible)
    else:
        counts = numerators(fact.printed, fact.n)
        consistent = bool(counts) if fact.events is None else fact.events in counts
    return RateCheck(fact, largest, possible, consistent)


# --- a printed ratio ------------------------------------------------------------------------------


@dataclass(frozen=True)
class RatioFact:
    """A printed hazard ratio of two groups with its 95% interval; the rest where it is printed."""

    label: str
    hr: Printed
    low: Printed
    high: Printed
    text: str
    p: PrintedP | None = None
    n: int | None = None
    deaths: int | None = None

    def prints(self, fit: Fit) -> bool:
        """Whether a model prints the ratio, the Wald interval and, if given, the Wald P."""
        z = normal_quantile(LEVEL)
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
    sharp    over every sequence of risk sets; None where the number of patients
             is not given or too large, or where no number of deaths is possible
    groups   deaths -> sizes that the group in the numerator of the ratio may have; both groups'
             sizes add up to n. Only numbers of deaths that are possible.
    """

    simple: int
    sharp: int | None
    groups: dict[int, tuple[int, ...]]


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
        if not self.deaths_bounded_sharply or self.fact.n is None:
            return True
        if self.fact.deaths is None:
            return bool(self.deaths.groups)
        return self.fact.deaths in self.deaths.groups

    @property
    def deaths_bounded_sharply(self) -> bool:
        """Whether the sharp bound was computed."""
        return self.fact.n is not None and self.fact.n <= MOST_PATIENTS

    @property
    def consistent(self) -> bool:
        """Whether interval, P and numbers of deaths agree with one Cox model."""
        return not self.region.empty and self.p_consistent and self.deaths_consistent


def check_ratio(fact: RatioFact) -> RatioCheck:
    """What a printed ratio implies. Raises ValueError where a figure has no logarithm."""
    region = ratio_region(fact.hr, fact.low, fact.high, LEVEL)
    if region.empty:
        return RatioCheck(fact, region, (), None)
    with_p = () if fact.p is None else region.with_p(fact.p)
    return RatioCheck(fact, region, with_p, death_bound(region, fact.n))


def death_bound(region: Region, patients: int | None) -> DeathBound:
    """Fewest deaths behind a printed model; ties as Efron or Breslow treat them."""
    simple = math.ceil(4 / region.se[1] ** 2)
    if patients is None or patients > MOST_PATIENTS or patients < simple:
        return DeathBound(simple, None, {})
    cells = _cells(region)
    splits: dict[int, set[int]] = {}
    for ties in TIES:
        for deaths, sizes in possible_splits(patients, simple, cells, ties).items():
            if sizes:
                splits.setdefault(deaths, set()).update(sizes)
    groups = {deaths: tuple(sorted(splits[deaths])) for deaths in sorted(splits)}
    return DeathBound(simple, min(groups, default=None), groups)


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
