"""Salvage categories side by side: shrunken rates, tests across categories, odds ratios, power.

Nobody was randomised and patients repeat, so nothing here ranks the categories. Everything is
computed for the objective and the complete response rate.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from salvage import words
from salvage.analysis import least, response
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.stats import clustered, exact, shrinkage
from salvage.stats.clustered import RaoScott
from salvage.stats.exact import ExactP, Fisher
from salvage.stats.shrinkage import Shrinkage

MEASURES: Final = ("orr", "cr")
LARGEST_GROUP: Final = shrinkage.SHRINKAGE_LIMIT

RAO_SCOTT: Final = "Rao-Scott test, second order, patients as clusters"
EXACT: Final = "exact k x 2 test (Freeman-Halton), lines taken as independent"
FISHER: Final = (
    "conditional maximum likelihood estimate with Fisher's exact interval, lines taken as "
    "independent"
)
SHRUNKEN: Final = (
    "hierarchical beta-binomial on the effective n of each category, prior (a+b)^(-5/2), quadrature"
)
ARCSINE: Final = "arcsine transformation, two-sided 5%, lines taken as independent"

NO_CONTRAST: Final = "fewer than two categories have lines"
ALL_ALIKE: Final = "every line has the same result"
TOO_LARGE: Final = (
    f"one category has more than {LARGEST_GROUP:,} lines, where shrinkage takes long and tells "
    "nothing that the raw rates do not"
)
NO_VARIANCE: Final = "the responses do not vary between patients, so the variance is zero"


# --- what is compared ---------------------------------------------------------------------------


@dataclass(frozen=True)
class CategoryCounts:
    """Responding lines (``events``) and lines (``n``) of the six categories, in their fixed order.

    >>> CategoryCounts((1, 0, 0, 0, 0, 0), (2, 0, 0, 0, 0, 0)).no_contrast
    'fewer than two categories have lines'
    """

    events: tuple[int, ...]
    n: tuple[int, ...]

    @property
    def present(self) -> list[str]:
        """Categories with at least one line."""
        return [key for key, size in zip(CATEGORY_KEYS, self.n, strict=True) if size]

    @property
    def alike(self) -> bool:
        """Whether all lines responded or none did."""
        return sum(self.events) in (0, sum(self.n))

    @property
    def no_contrast(self) -> str:
        """Why nothing can be compared; empty where something can."""
        if len(self.present) < 2:
            return NO_CONTRAST
        return ALL_ALIKE if self.alike else ""


def counts(cohort: Cohort, measure: str) -> CategoryCounts:
    """Responses and lines of each category.

    Parameters
    ----------
    cohort
        Whose lines are counted.
    measure
        ``orr`` or ``cr``.

    Returns
    -------
    The counts of the six categories.
    """
    table = response.by_category(cohort)
    events = table[list(response.RESPONDING[measure])].sum(axis=1)
    return CategoryCounts(tuple(events.tolist()), tuple(table["lines"].tolist()))


def reference(cohort: Cohort) -> str:
    """The category with most lines, the first of them in the fixed order where they tie."""
    sizes = counts(cohort, "orr").n
    return CATEGORY_KEYS[int(np.argmax(sizes))]


# --- shrinkage ----------------------------------------------------------------------------------


@once
def shrink(cohort: Cohort, measure: str) -> Shrinkage | None:
    """Shrunken rates of the six categories, each with the weight of its effective lines.

    Parameters
    ----------
    cohort
        Whose lines are counted.
    measure
        ``orr`` or ``cr``.

    Returns
    -------
    Proportions from 0 to 1; ``None``: see :func:`no_shrinkage`.

    Method: :func:`salvage.stats.shrinkage.shrink` on :func:`response.effective_lines`. That a
    patient can stand in several categories is not allowed for.
    """
    if no_shrinkage(counts(cohort, measure)):
        return None
    lines = {key: cohort.category(key) for key in CATEGORY_KEYS}
    size = {
        key: response.effective_lines(cohort, measure, of) for key, of in lines.items() if len(of)
    }
    rate = {key: response.responded(lines[key], measure).mean() for key in size}
    events = [rate[key] * size[key] if key in size else 0.0 for key in lines]
    return shrinkage.shrink(events, [size.get(key, 0.0) for key in lines])


def no_shrinkage(counted: CategoryCounts) -> str:
    """Why rates are not shrunken.

    Parameters
    ----------
    counted
        Of :func:`counts`.

    Returns
    -------
    The reason; empty where they are.
    """
    if len(counted.present) < 2:
        return NO_CONTRAST
    if max(counted.n) > LARGEST_GROUP:
        return TOO_LARGE
    large = sum(n >= least.SHRUNKEN_LINES for n in counted.n)
    if large < least.SHRUNKEN_GROUPS:
        return (
            f"fewer than {least.SHRUNKEN_GROUPS} categories have {least.SHRUNKEN_LINES} lines or "
            "more"
        )
    if all(e in (0, n) for e, n in zip(counted.events, counted.n, strict=True)):
        return "in every category all or none of the lines responded"
    return ""


def shrunken(cohort: Cohort, measure: str) -> list[Estimate]:
    """Shrunken rate of each category.

    Parameters
    ----------
    cohort, measure
        As :func:`shrink`.

    Returns
    -------
    Six proportions with 95% intervals, ids ``measure.key.shrunken``; one that is absent has no
    value and its method says why.

    Method: of :func:`shrink`.
    """
    rates, counted = shrink(cohort, measure), counts(cohort, measure)
    why = no_shrinkage(counted)
    return [
        estimate(
            cohort.study,
            f"{measure}.{key}.shrunken",
            f"{words.MEASURES[measure]}, {words.category(key, cohort.study.labels)}, shrunken",
            rates.mean[i] if rates else None,
            (rates.low[i], rates.high[i]) if rates else (None, None),
            n=counted.n[i],
            events=counted.events[i],
            unit="proportion",
            method=f"{SHRUNKEN}; {why}" if why else SHRUNKEN,
        )
        for i, key in enumerate(CATEGORY_KEYS)
    ]


# --- across categories --------------------------------------------------------------------------


@once
def rao_scott(cohort: Cohort, measure: str) -> RaoScott | None:
    """The test of equal rates that allows for patients who repeat.

    Parameters
    ----------
    cohort
        Whose lines are compared, patients as clusters.
    measure
        ``orr`` or ``cr``.

    Returns
    -------
    ``None`` without a contrast: see :func:`no_rao_scott`.

    Method: :func:`salvage.stats.clustered.rao_scott`.
    """
    if _too_few(counts(cohort, measure)):
        return None
    lines = cohort.salvage
    return clustered.rao_scott(
        response.responded(lines, measure),
        lines["category"].to_numpy(),
        lines["patient_id"].to_numpy(),
    )


def _too_few(counted: CategoryCounts) -> str:
    """Why a large-sample test cannot be trusted with these counts; empty where it can."""
    events, n = sum(counted.events), sum(counted.n)
    which = "with a response" if events <= n - events else "without a response"
    smallest = min((size for size in counted.n if size), default=0)
    return least.below(min(events, n - events), least.EVENTS, "line", which) or least.below(
        smallest, least.GROUP, "line", "in the smallest category"
    )


@cache
def exact_p(counted: CategoryCounts) -> ExactP | None:
    """P of the exact test of equal rates, which ignores that patients repeat.

    Parameters
    ----------
    counted
        Of :func:`counts`.

    Returns
    -------
    A probability, with its error where it was simulated; ``None`` without a contrast.

    Method: Freeman and Halton 1951, :func:`salvage.stats.exact.exact_kx2`.

    >>> round(exact_p(CategoryCounts((3, 0, 2, 0, 0, 0), (4, 5, 3, 0, 0, 0))).p, 4)
    0.0467
    """
    return None if counted.no_contrast else exact.exact_kx2(counted.events, counted.n)


def no_rao_scott(cohort: Cohort, measure: str) -> str:
    """Why there is no Rao-Scott test.

    Parameters
    ----------
    cohort, measure
        As :func:`rao_scott`.

    Returns
    -------
    The reason; empty where there is one.
    """
    if rao_scott(cohort, measure) is not None:
        return ""
    counted = counts(cohort, measure)
    return counted.no_contrast or _too_few(counted) or NO_VARIANCE


def exact_test(study: Study, measure: str, counted: CategoryCounts) -> Estimate:
    """The exact test of equal rates as an estimate.

    Parameters
    ----------
    study, measure, counted
        As :func:`shrunken`.

    Returns
    -------
    The P of :func:`exact_p`, id ``compare.measure.exact.p``.
    """
    p = exact_p(counted)
    if p is None:
        return _p_estimate(study, f"{measure}.exact", counted, EXACT, None, counted.no_contrast)
    drawn = "" if p.error is None else f"{exact.DRAWS:,} tables drawn, standard error {p.error:.2g}"
    return _p_estimate(study, f"{measure}.exact", counted, EXACT, p.p, drawn)


def rao_scott_test(cohort: Cohort, measure: str) -> Estimate:
    """The test that allows for patients who repeat, as an estimate.

    Parameters
    ----------
    cohort, measure
        As :func:`rao_scott`.

    Returns
    -------
    Its P, id ``compare.measure.rao_scott.p``.
    """
    test = rao_scott(cohort, measure)
    return _p_estimate(
        cohort.study,
        f"{measure}.rao_scott",
        counts(cohort, measure),
        RAO_SCOTT,
        None if test is None else test.p,
        no_rao_scott(cohort, measure),
    )


def _p_estimate(
    study: Study, test: str, counted: CategoryCounts, method: str, p: float | None, note: str
) -> Estimate:
    return estimate(
        study,
        f"compare.{test}.p",
        f"{words.MEASURES[test.split('.')[0]]} across categories: P that the rates are equal",
        p,
        n=sum(counted.n),
        events=sum(counted.events),
        unit="probability",
        method=f"{method}; {note}" if note else method,
        p=p,
    )


# --- pairs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Odds ratios against a reference category, and Holm's adjusted P, by category.

    Both are empty where ``reason`` says why.
    """

    reference: str
    ratios: dict[str, Fisher]
    holm: dict[str, float | None]
    reason: str = ""


@once
def pairs(cohort: Cohort, measure: str) -> Pairs:
    """Odds ratio of each category with lines against the one with most lines.

    Parameters
    ----------
    cohort
        Whose lines are compared, as if they were independent.
    measure
        ``orr`` or ``cr``.

    Returns
    -------
    The ratios in the fixed order of categories, or the reason why there are none. A pair in which
    all or none responded has no P.

    Method: :func:`salvage.stats.exact.fisher_2x2`, and Holm's adjustment.
    """
    counted, base = counts(cohort, measure), reference(cohort)
    if counted.no_contrast:
        return Pairs(base, {}, {}, counted.no_contrast)
    cells = dict(zip(CATEGORY_KEYS, zip(counted.events, counted.n, strict=True), strict=True))
    ratios = {
        key: exact.fisher_2x2(*cells[key], *cells[base]) for key in counted.present if key != base
    }
    adjusted = exact.holm([None if r.low is None else r.p for r in ratios.values()])
    return Pairs(base, ratios, dict(zip(ratios, adjusted, strict=True)))


def no_point(ratio: Fisher | None) -> str:
    """Why a category has no odds ratio.

    Parameters
    ----------
    ratio
        Of the category; ``None`` where it has no line.

    Returns
    -------
    The reason; empty where it has one.

    >>> no_point(None)
    'no line of this category'
    """
    if ratio is None:
        return "no line of this category"
    if ratio.low is None:
        return "in both categories all or none of the lines responded"
    if ratio.odds_ratio:
        return ""
    return f"the estimate is {'infinite' if ratio.odds_ratio is None else '0'}"


def _pair_estimates(cohort: Cohort, measure: str) -> list[Estimate]:
    counted, compared = counts(cohort, measure), pairs(cohort, measure)
    base = words.category(compared.reference, cohort.study.labels)
    pair_estimates = []
    for i, key in enumerate(CATEGORY_KEYS):
        if key == compared.reference:
            continue
        ratio = compared.ratios.get(key)
        why = compared.reason or no_point(ratio)
        pair_estimates.append(
            estimate(
                cohort.study,
                f"compare.{measure}.{key}.or",
                f"Odds ratio of {words.MEASURES_SHORT[measure]}, "
                f"{words.category(key, cohort.study.labels)} against {base}",
                ratio.odds_ratio if ratio and not why else None,
                (ratio.low, ratio.high) if ratio else (None, None),
                n=counted.n[i],
                events=counted.events[i],
                unit="ratio",
                method=f"{FISHER}; no point: {why}" if why else FISHER,
                p=ratio.p if ratio and ratio.low is not None else None,
            )
        )
    return pair_estimates


# --- power --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Detectable:
    """Two categories, their lines, and the smallest difference in proportions that they could have
    shown.
    """

    first: str
    second: str
    n_first: int
    n_second: int
    difference: float | None


def detectable(cohort: Cohort) -> dict[str, Detectable]:
    """What the two categories with most lines (``largest``) and with fewest (``smallest``) could
    have shown; empty where fewer than two have lines.

    Method: :func:`salvage.analysis.response.smallest_difference`.
    """
    sizes = dict(zip(CATEGORY_KEYS, counts(cohort, "orr").n, strict=True))
    order = sorted((key for key in sizes if sizes[key]), key=lambda key: -sizes[key])
    if len(order) < 2:
        return {}
    chosen = {"largest": order[:2], "smallest": order[-2:]}
    return {
        name: Detectable(
            first,
            second,
            sizes[first],
            sizes[second],
            response.smallest_difference(sizes[first], sizes[second]),
        )
        for name, (first, second) in chosen.items()
    }


def _power_estimates(cohort: Cohort) -> list[Estimate]:
    pairs_of_categories = detectable(cohort)
    power = []
    for name in ("largest", "smallest"):
        pair = pairs_of_categories.get(name)
        power.append(
            estimate(
                cohort.study,
                f"compare.detectable.{name}",
                f"Smallest difference in response rate that the two {name} categories could show",
                pair.difference if pair else None,
                n=pair.n_first + pair.n_second if pair else None,
                unit="proportion",
                method=ARCSINE if pair else f"{ARCSINE}; {NO_CONTRAST}",
            )
        )
    return power


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """Shrunken rates, tests across categories, odds ratios, what could have been shown, by id."""
    compared = []
    for measure in MEASURES:
        counted = counts(cohort, measure)
        compared += [
            *shrunken(cohort, measure),
            rao_scott_test(cohort, measure),
            exact_test(cohort.study, measure, counted),
            *_pair_estimates(cohort, measure),
        ]
    return by_id([*compared, *_power_estimates(cohort)])
