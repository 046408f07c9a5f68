"""Best responses of salvage lines: rates with their intervals, by category, line and target."""

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from salvage import words
from salvage.cohort import Cohort, once
from salvage.estimate import Estimate, estimate
from salvage.schema import CATEGORY_KEYS
from salvage.stats import clustered, intervals

RESPONDING: Final = {"orr": ("CR", "PR"), "cr": ("CR",), "pr": ("PR",)}
OWNER: Final = "owner"
CLOPPER_PEARSON: Final = "Clopper-Pearson"
WILSON_EFFECTIVE: Final = "Wilson on the effective n"
BASE_RATE: Final = (
    1 / 3
)  # of the lower group, where the smallest difference that could be shown is stated
POWER: Final = 0.8


def responded(lines: pd.DataFrame, measure: str) -> np.ndarray:
    """0/1 per line. A line that is not evaluable counts as no response (Lugano 2014)."""
    return lines["best_response"].isin(RESPONDING[measure]).to_numpy(dtype=int)


def rate(cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = "") -> Estimate:
    """Response rate over ``lines`` with the exact interval of Clopper and Pearson; id
    ``measure.key``."""
    y = responded(lines, measure)
    n, events = len(y), int(y.sum())
    return estimate(
        cohort.study,
        f"{measure}.{key}",
        f"{words.MEASURES[measure]}, {label or key}",
        events / n if n else None,
        intervals.clopper_pearson(events, n) if n else (None, None),
        n=n,
        events=events,
        unit="proportion",
        method=CLOPPER_PEARSON,
    )


def rate_wilson(
    cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = ""
) -> Estimate:
    """The same rate with Wilson's interval on the effective n; id ``measure.key.wilson``.

    The effective n allows for patients with several lines (design effect; formula in
    :func:`salvage.stats.clustered.effective_n`).
    """
    y = responded(lines, measure)
    n, events = len(y), int(y.sum())
    interval = (
        clustered.wilson_effective(y, _patients(lines), len(cohort.patients)) if n else (None, None)
    )
    return estimate(
        cohort.study,
        f"{measure}.{key}.wilson",
        f"{words.MEASURES[measure]}, {label or key}",
        events / n if n else None,
        interval,
        n=n,
        events=events,
        unit="proportion",
        method=WILSON_EFFECTIVE,
    )


def _patients(lines: pd.DataFrame) -> np.ndarray:
    """Whose each line is: the row of the patient where it is known, which is faster than the id."""
    return lines[OWNER if OWNER in lines.columns else "patient_id"].to_numpy()


def both(
    cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = ""
) -> tuple[Estimate, Estimate]:
    """The rate with each of its two intervals."""
    return rate(cohort, measure, lines, key, label), rate_wilson(cohort, measure, lines, key, label)


def groups(cohort: Cohort) -> dict[str, tuple[pd.DataFrame, str]]:
    """The sets of lines whose rates the book states: all, the six categories, each at first line,
    targets.

    The key of each set is the last part of its estimates' ids.
    """
    lines = cohort.salvage.assign(**{OWNER: cohort.owners})
    first = lines[lines["line"] == 1]
    second = lines[lines["category"] == "second_cart"]
    found = {
        "all": (lines, "all salvage lines"),
        "first_line.all": (first, "first salvage line"),
    }
    for key in CATEGORY_KEYS:
        label = words.category(key, cohort.study.labels)
        found[key] = (lines[lines["category"] == key], label)
        found[f"first_line.{key}"] = (
            first[first["category"] == key],
            f"{label}, first salvage line",
        )
        later = lines[(lines["category"] == key) & (lines["line"] > 1)]
        found[f"later_line.{key}"] = (later, f"{label}, later salvage lines")
    found["second_cart.switched"] = (
        second[second["target_switched"] == 1],
        "second CAR-T, switched target",
    )
    found["second_cart.same"] = (
        second[second["target_switched"] == 0],
        "second CAR-T, same target",
    )
    return found


def all_rates(cohort: Cohort) -> list[Estimate]:
    """ORR, CR and PR of every group, each with both intervals."""
    return [
        made
        for key, (lines, label) in groups(cohort).items()
        for measure in RESPONDING
        for made in both(cohort, measure, lines, key, label)
    ]


def counts(lines: pd.DataFrame, by: str = "category") -> pd.DataFrame:
    """Number of lines by group and best response; columns CR, PR, SD, PD, NE in that order."""
    table = pd.crosstab(lines[by], lines["best_response"])
    return table.reindex(columns=list(words.RESPONSES), fill_value=0)


@once
def by_category(cohort: Cohort) -> pd.DataFrame:
    """One row for each of the six categories, in fixed order: lines, patients and response
    counts."""
    table = counts(cohort.salvage).reindex(list(CATEGORY_KEYS), fill_value=0)
    groups_ = cohort.salvage.groupby("category")
    table.insert(0, "lines", groups_.size().reindex(table.index, fill_value=0))
    table.insert(1, "patients", groups_["patient_id"].nunique().reindex(table.index, fill_value=0))
    return table.rename_axis("category")


def smallest_difference(
    n_first: int, n_second: int, power: float = POWER, level: float = 0.05
) -> float | None:
    """The smallest difference from :data:`BASE_RATE` that two groups of these sizes could show.

    Power of the two-sided comparison of two independent proportions by the arcsine transformation
    (Cohen 1988); ``None`` where even a rate of 100% would not be enough. Patients with several
    lines would make the true difference larger.
    """
    if min(n_first, n_second) < 1:
        return None
    effect = (ndtri(1 - level / 2) + ndtri(power)) * np.sqrt(1 / n_first + 1 / n_second)
    angle = 2 * np.arcsin(np.sqrt(BASE_RATE)) + effect
    return float(np.sin(angle / 2) ** 2 - BASE_RATE) if angle < np.pi else None
