"""Salvage categories side by side: shrunken rates, tests across categories, odds ratios, power.

Nobody was randomised and patients repeat, so nothing here ranks the categories. Everything is
computed for the objective and the complete response rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import response
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.stats import clustered, exact, shrinkage
from salvage.stats.clustered import OddsRatio, RaoScott
from salvage.stats.shrinkage import Shrinkage

MEASURES: Final = ("orr", "cr")
LARGEST_GROUP: Final = shrinkage.SHRINKAGE_LIMIT
MOST_RESAMPLED: Final = 2_000
MOST_MODELLED: Final = 20_000
SEED: Final = 20_260_203

RAO_SCOTT: Final = "Rao-Scott test, second order, patients as clusters"
EXACT: Final = "exact k x 2 test (Freeman-Halton), lines taken as independent"
GEE: Final = "GEE with independence, Mancl-DeRouen standard error"
FIRTH: Final = "Firth's estimate with a patient bootstrap, approximate"
SHRUNKEN: Final = "hierarchical beta-binomial, prior (a+b)^(-5/2), quadrature"
ARCSINE: Final = "arcsine transformation, two-sided 5%, lines taken as independent"

NO_CONTRAST: Final = "fewer than two categories have lines"
ALL_ALIKE: Final = "every line has the same result"
TOO_LARGE: Final = (
    f"one category has more than {LARGEST_GROUP:,} lines, where shrinkage takes long and tells "
    "nothing that the raw rates do not"
)
NO_MODEL: Final = (
    f"above {MOST_MODELLED:,} patients a correction for few patients has no weight, and the odds "
    "ratios tell nothing that the raw rates do not"
)
TOO_MANY: Final = (
    f"with groups of this size it has more than {exact.EXACT_TABLES:,} partial tables, "
    "and tells nothing that the Rao-Scott test does not"
)


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
    def zero_cell(self) -> bool:
        """Whether in some category with lines none or all of them responded."""
        return any(e in (0, n) for e, n in zip(self.events, self.n, strict=True) if n)

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


@cache
def shrink(events: tuple[int, ...], n: tuple[int, ...]) -> Shrinkage | None:
    """Shrunken rates, computed once for the same counts: a page asks for them twice.

    Parameters
    ----------
    events, n
        Responding lines and lines of each category.

    Returns
    -------
    Proportions from 0 to 1; ``None``: see :func:`no_shrinkage`.

    Method: :func:`salvage.stats.shrinkage.shrink`.
    """
    return shrinkage.shrink(events, n)


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
    if all(e in (0, n) for e, n in zip(counted.events, counted.n, strict=True)):
        return "in every category all or none of the lines responded"
    return ""


def shrunken(study: Study, measure: str, counted: CategoryCounts) -> list[Estimate]:
    """Shrunken rate of each category.

    Parameters
    ----------
    study
        Whose names of categories and marks of provenance the estimates take.
    measure
        ``orr`` or ``cr``.
    counted
        Of :func:`counts` by this measure.

    Returns
    -------
    Six proportions with 95% intervals, ids ``measure.key.shrunken``; one that is absent has no
    value and its method says why.

    Method: hierarchical beta-binomial model, :func:`salvage.stats.shrinkage.shrink`.
    """
    rates = shrink(counted.events, counted.n)
    why = no_shrinkage(counted)
    return [
        estimate(
            study,
            f"{measure}.{key}.shrunken",
            f"{words.MEASURES[measure]}, {words.category(key, study.labels)}, shrunken",
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
    lines = cohort.salvage
    return clustered.rao_scott(
        response.responded(lines, measure),
        lines["category"].to_numpy(),
        lines["patient_id"].to_numpy(),
    )


def exact_p(counted: CategoryCounts) -> float | None:
    """P of the exact test of equal rates, which ignores that patients repeat.

    Parameters
    ----------
    counted
        Of :func:`counts`.

    Returns
    -------
    A probability; ``None``: see :func:`no_exact`.

    Method: Freeman and Halton 1951, :func:`salvage.stats.exact.exact_kx2`.

    >>> round(exact_p(CategoryCounts((3, 0, 2, 0, 0, 0), (4, 5, 3, 0, 0, 0))), 4)
    0.0467
    """
    return None if no_exact(counted) else _exact(counted.events, counted.n)


@cache
def _exact(events: tuple[int, ...], n: tuple[int, ...]) -> float | None:
    return exact.exact_kx2(events, n)


def no_exact(counted: CategoryCounts) -> str:
    """Why there is no exact test.

    Parameters
    ----------
    counted
        Of :func:`counts`.

    Returns
    -------
    The reason; empty where there is one.
    """
    if counted.no_contrast:
        return counted.no_contrast
    return TOO_MANY if _exact(counted.events, counted.n) is None else ""


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
    return counts(cohort, measure).no_contrast or "too few patients"


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
    p, why = exact_p(counted), no_exact(counted)
    return _p_estimate(study, f"{measure}.exact", counted, EXACT, p, why)


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
    study: Study, test: str, counted: CategoryCounts, method: str, p: float | None, why: str
) -> Estimate:
    return estimate(
        study,
        f"compare.{test}.p",
        f"{words.MEASURES[test.split('.')[0]]} across categories: P that the rates are equal",
        p,
        n=sum(counted.n),
        events=sum(counted.events),
        unit="probability",
        method=f"{method}; {why}" if why else method,
        p=p,
    )


# --- pairs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Odds ratios against a reference category.

    ``ratios`` is empty where ``reason`` says why. ``method`` is GEE, with ``p`` and Holm's ``holm``
    by category; or Firth's estimate where a cell is 0, without any P.
    """

    reference: str
    method: str
    ratios: tuple[OddsRatio, ...]
    holm: dict[str, float]
    reason: str = ""


@once
def pairs(cohort: Cohort, measure: str) -> Pairs:
    """Odds ratio of each category against the one with most lines.

    Parameters
    ----------
    cohort
        Whose lines are compared, patients as clusters.
    measure
        ``orr`` or ``cr``.

    Returns
    -------
    The ratios in the fixed order of categories, or the reason why there are none. Where a cell is
    0, no pair of this measure has a P.

    Method: GEE with independence (Mancl and DeRouen 2001) and Holm's adjustment; where a cell is 0,
    Firth's estimate (Firth 1993) with patients resampled.
    """
    counted = counts(cohort, measure)
    base = reference(cohort)
    if counted.no_contrast:
        return Pairs(base, GEE, (), {}, counted.no_contrast)
    if len(cohort.treated) > MOST_MODELLED:
        return Pairs(base, GEE, (), {}, NO_MODEL)
    if not counted.zero_cell:
        ratios = clustered.gee_independence(*_arrays(cohort.salvage, measure), base)
        return Pairs(base, GEE, _ordered(ratios), _holm(ratios))
    if len(cohort.treated) > MOST_RESAMPLED:
        why = f"a cell is 0, and above {MOST_RESAMPLED:,} patients the bootstrap is left out"
        return Pairs(base, FIRTH, (), {}, why)
    if len(cohort.treated) < 2:
        return Pairs(base, FIRTH, (), {}, "a bootstrap needs at least two patients")
    lines = _by_content(cohort.salvage, measure)
    ratios = clustered.firth_odds_ratio(*_arrays(lines, measure), base, seed=SEED)
    return Pairs(base, FIRTH, _ordered(ratios), {})


def _arrays(
    lines: pd.DataFrame, measure: str
) -> tuple[NDArray[np.int_], NDArray[np.object_], NDArray[np.object_]]:
    return (
        response.responded(lines, measure),
        lines["category"].to_numpy(),
        lines["patient_id"].to_numpy(),
    )


def _by_content(lines: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Lines with the patients in an order that does not depend on their ids.

    Which patients a seeded bootstrap draws depends on their order.
    """
    y = response.responded(lines, measure)
    table = pd.crosstab(lines["patient_id"], [lines["category"], y]).sort_index(axis=1)
    order = table.sort_values(list(table.columns), kind="stable").index
    rank = pd.Series(np.arange(len(order)), index=order)
    return lines.iloc[np.argsort(lines["patient_id"].map(rank).to_numpy(), kind="stable")]


def _ordered(ratios: Sequence[OddsRatio]) -> tuple[OddsRatio, ...]:
    return tuple(sorted(ratios, key=lambda r: CATEGORY_KEYS.index(r.category)))


def _holm(ratios: Sequence[OddsRatio]) -> dict[str, float]:
    """Holm's adjusted P of each pair that has one."""
    adjusted = exact.holm([ratio.p for ratio in ratios])
    return {r.category: p for r, p in zip(ratios, adjusted, strict=True) if p is not None}


def unknown(ratio: OddsRatio | None) -> str:
    """Why a category has no odds ratio.

    Parameters
    ----------
    ratio
        Of the category; ``None`` where it has no line.

    Returns
    -------
    The reason; empty where it has one.

    >>> unknown(None)
    'no line of this category'
    """
    if ratio is None:
        return "no line of this category"
    return (ratio.reason or "") if ratio.odds_ratio is None else ""


def _pair_estimates(cohort: Cohort, measure: str) -> list[Estimate]:
    counted = counts(cohort, measure)
    compared = pairs(cohort, measure)
    base = words.category(compared.reference, cohort.study.labels)
    ratios = {r.category: r for r in compared.ratios}
    pair_estimates = []
    for i, key in enumerate(CATEGORY_KEYS):
        if key == compared.reference:
            continue
        ratio = ratios.get(key)
        why = compared.reason or unknown(ratio)
        pair_estimates.append(
            estimate(
                cohort.study,
                f"compare.{measure}.{key}.or",
                f"Odds ratio of {words.MEASURES_SHORT[measure]}, "
                f"{words.category(key, cohort.study.labels)} against {base}",
                ratio.odds_ratio if ratio else None,
                (ratio.low, ratio.high) if ratio else (None, None),
                n=counted.n[i],
                events=counted.events[i],
                unit="ratio",
                method=f"{compared.method}; {why}" if why else compared.method,
                p=ratio.p if ratio else None,
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
            *shrunken(cohort.study, measure, counted),
            rao_scott_test(cohort, measure),
            exact_test(cohort.study, measure, counted),
            *_pair_estimates(cohort, measure),
        ]
    return by_id([*compared, *_power_estimates(cohort)])
