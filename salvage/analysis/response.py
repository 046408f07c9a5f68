"""Best responses of salvage lines: rates with their intervals, by category, line and target."""

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from salvage import words
from salvage.analysis.estimate import Estimate, proportion
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.stats import clustered

RESPONDING: Final = {"orr": ("CR", "PR"), "cr": ("CR",), "pr": ("PR",)}
ALL: Final = "all"
#: Which lines of a patient: the beginning of the key of their estimates, and their label.
LINES: Final = {
    "all": ("", ""),
    "first": ("first_line.", "first salvage line"),
    "later": ("later_line.", "later salvage lines"),
}
OWNER: Final = "owner"
WILSON_EFFECTIVE: Final = "Wilson on the effective n"
BASE_RATE: Final = (
    1 / 3
)  # of the lower group, where the smallest difference that could be shown is stated
POWER: Final = 0.8


def responded(lines: pd.DataFrame, measure: str) -> np.ndarray:
    """0/1 per line. A line that is not evaluable counts as no response (Lugano 2014)."""
    return lines["best_response"].isin(RESPONDING[measure]).to_numpy(dtype=int)


def rate(study: Study, measure: str, events: int, n: int, key: str, label: str = "") -> Estimate:
    """Response rate of ``events`` in ``n`` lines with its exact interval; id ``measure.key``."""
    return proportion(
        study, f"{measure}.{key}", f"{words.MEASURES[measure]}, {label or key}", events, n
    )


def rate_of(study: Study, measure: str, lines: pd.DataFrame, key: str, label: str = "") -> Estimate:
    """The response rate of ``lines``; see :func:`rate`."""
    y = responded(lines, measure)
    return rate(study, measure, int(y.sum()), len(y), key, label)


def rate_wilson(
    cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = ""
) -> Estimate:
    """The same rate with Wilson's interval on the effective n; id ``measure.key.wilson``.

    The effective n allows for patients with several lines (design effect; formula in
    :func:`salvage.stats.clustered.effective_n`).
    """
    y = responded(lines, measure)
    wilson = (
        clustered.wilson_effective(y, _patients(lines), len(cohort.patients)) if len(y) else None
    )
    return proportion(
        cohort.study,
        f"{measure}.{key}.wilson",
        f"{words.MEASURES[measure]}, {label or key}",
        int(y.sum()),
        len(y),
        method=WILSON_EFFECTIVE,
        interval=wilson,
    )


def _patients(lines: pd.DataFrame) -> np.ndarray:
    """Whose each line is: the row of the patient where it is known, which is faster than the id."""
    return lines[OWNER if OWNER in lines.columns else "patient_id"].to_numpy()


def both(
    cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = ""
) -> tuple[Estimate, Estimate]:
    """The rate with each of its two intervals."""
    return rate_of(cohort.study, measure, lines, key, label), rate_wilson(
        cohort, measure, lines, key, label
    )


def group(study: Study, category: str, line: str) -> tuple[str, str]:
    """Key and label of the lines of a category (or ``all``): ``all``, ``first`` or ``later`` lines.

    >>> group(Study(), "radiotherapy", "first")
    ('first_line.radiotherapy', 'Radiotherapy, first salvage line')
    """
    beginning, when = LINES[line]
    if category == ALL:
        return f"{beginning}all", when or "all salvage lines"
    label = words.category(category, study.labels)
    return f"{beginning}{category}", f"{label}, {when}" if when else label


def groups(cohort: Cohort) -> dict[str, tuple[pd.DataFrame, str]]:
    """The sets of lines whose rates the book states: all, the six categories, each at first line,
    targets.

    The key of each set is the last part of its estimates' ids.
    """
    lines = cohort.salvage.assign(**{OWNER: cohort.owners})
    first = lines[lines["line"] == 1]
    second = lines[lines["category"] == "second_cart"]
    by_line = {"all": lines, "first": first, "later": lines[lines["line"] > 1]}
    found = {}
    for key in (ALL, *CATEGORY_KEYS):
        for line, part in by_line.items():
            if (key, line) != (ALL, "later"):
                suffix, label = group(cohort.study, key, line)
                found[suffix] = (part if key == ALL else part[part["category"] == key], label)
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
