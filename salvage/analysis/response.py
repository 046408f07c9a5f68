"""Best responses of salvage lines: rates with their intervals, by category, line and target."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from salvage import words
from salvage.analysis.estimate import Estimate, by_id, proportion
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS, RESPONSE
from salvage.cohort.study import Study
from salvage.stats import clustered

RESPONDING: Final = {"orr": RESPONSE, "cr": ("CR",), "pr": ("PR",)}
ALL: Final = "all"
#: Which lines of a patient: the beginning of the key of their estimates, and their label.
LINES: Final = {
    "all": ("", ""),
    "first": ("first_line.", "first salvage line"),
    "later": ("later_line.", "later salvage lines"),
}
#: Whether the target of a second CAR-T was switched, by the end of the key of its estimates.
TARGETS: Final = {"switched": 1, "same": 0}
OWNER: Final = "owner"
WILSON_EFFECTIVE: Final = "Wilson on the effective n"
#: Rate of the lower group, where the smallest difference that could be shown is stated.
BASE_RATE: Final = 1 / 3
POWER: Final = 0.8
LEVEL: Final = 0.05


def responded(lines: pd.DataFrame, measure: str) -> NDArray[np.int_]:
    """Whether each line responded, as 0 and 1.

    Parameters
    ----------
    lines
        Salvage lines, of which ``best_response`` is read.
    measure
        ``orr`` (CR or PR), ``cr`` or ``pr``.

    Returns
    -------
    Array of shape (lines,). A line that is not evaluable counts as no response (Lugano 2014).
    """
    return lines["best_response"].isin(RESPONDING[measure]).to_numpy().astype(np.int_)


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

    Parameters
    ----------
    cohort
        Whose number of patients corrects the variance between patients.
    measure, lines
        As :func:`responded` takes them; ``lines`` say whose each line is.
    key, label
        The last part of the id, and what the label says after the measure.

    Returns
    -------
    A proportion from 0 to 1, without value and interval where there is no line.
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


def effective_lines(cohort: Cohort, measure: str, lines: pd.DataFrame) -> float:
    """Number of independent lines that would tell as much as ``lines``, at most ``len(lines)``."""
    return clustered.effective_n(responded(lines, measure), _patients(lines), len(cohort.patients))


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
    """The sets of lines whose rates the book states, each with its label.

    They are all lines, those of each category, each of these at first line, those of each category
    at later lines, and second infusions by target. The key of a set is the last part of its
    estimates' ids.
    """
    lines = cohort.salvage.assign(**{OWNER: cohort.owners})
    by_line = {
        "all": lines,
        "first": lines[lines["line"] == 1],
        "later": lines[lines["line"] > 1],
    }
    sets = {}
    for category in (ALL, *CATEGORY_KEYS):
        for when, part in by_line.items():
            if (category, when) != (ALL, "later"):
                key, label = group(cohort.study, category, when)
                sets[key] = (part if category == ALL else part[part["category"] == category], label)
    second = lines[lines["category"] == "second_cart"]
    for target, switched in TARGETS.items():
        sets[f"second_cart.{target}"] = (
            second[second["target_switched"] == switched],
            f"second CAR-T, {target} target",
        )
    return sets


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """ORR, CR and PR of every group by id, each with the exact interval and with Wilson's."""
    return by_id(
        e
        for key, (lines, label) in groups(cohort).items()
        for measure in RESPONDING
        for e in both(cohort, measure, lines, key, label)
    )


def counts(lines: pd.DataFrame, by: str = "category") -> pd.DataFrame:
    """Number of lines by group and best response; columns CR, PR, SD, PD, NE in that order."""
    table = pd.crosstab(lines[by], lines["best_response"])
    return table.reindex(columns=list(words.RESPONSES), fill_value=0)


@once
def by_category(cohort: Cohort) -> pd.DataFrame:
    """One row for each of the six categories, in fixed order: lines, patients and response
    counts."""
    table = counts(cohort.salvage).reindex(list(CATEGORY_KEYS), fill_value=0)
    of_category = cohort.salvage.groupby("category")
    patients = of_category["patient_id"].nunique()
    table.insert(0, "lines", of_category.size().reindex(table.index, fill_value=0))
    table.insert(1, "patients", patients.reindex(table.index, fill_value=0))
    return table.rename_axis("category")


def at_least(events: int, n: int, chance: float) -> float:
    """Probability of ``events`` or more responses in ``n`` lines that each respond by ``chance``.

    >>> at_least(1, 2, 0.5)
    0.75
    """
    return float(binom.sf(events - 1, n, chance))


def smallest_difference(n_first: int, n_second: int) -> float | None:
    """The smallest difference from :data:`BASE_RATE` that two groups of these sizes could show.

    Two-sided comparison of two independent proportions at :data:`LEVEL` with :data:`POWER`, by the
    arcsine transformation (Cohen 1988). ``None`` where even a rate of 100% would not be enough.
    Patients with several lines would make the true difference larger.
    """
    if min(n_first, n_second) < 1:
        return None
    effect = (ndtri(1 - LEVEL / 2) + ndtri(POWER)) * np.sqrt(1 / n_first + 1 / n_second)
    angle = 2 * np.arcsin(np.sqrt(BASE_RATE)) + effect
    return float(np.sin(angle / 2) ** 2 - BASE_RATE) if angle < np.pi else None
