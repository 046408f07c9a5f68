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
#: Why the effective n cannot be worked out, and what stands in its place.
ALIKE: Final = (
    "the lines do not show how alike those of one patient are, so each patient counts as one line"
)
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
    """Response rate from counts.

    Parameters
    ----------
    study
        Whose marks of provenance the estimate takes.
    measure
        ``orr``, ``cr`` or ``pr``.
    events, n
        Responding lines, and all lines.
    key, label
        The last part of the id ``measure.key``, and what the label says after the measure.

    Returns
    -------
    A proportion from 0 to 1 with its exact interval, without value where ``n`` is 0.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n.

    Method: Clopper and Pearson 1934.

    >>> rate(Study(), "orr", 1, 4, "all").value
    0.25
    """
    return proportion(
        study, f"{measure}.{key}", f"{words.MEASURES[measure]}, {label or key}", events, n
    )


def rate_of(study: Study, measure: str, lines: pd.DataFrame, key: str, label: str = "") -> Estimate:
    """Response rate of some lines.

    Parameters
    ----------
    study, measure, key, label
        As :func:`rate`.
    lines
        Salvage lines, of which ``best_response`` is read.

    Returns
    -------
    As :func:`rate`; a line that is not evaluable counts as no response.
    """
    y = responded(lines, measure)
    return rate(study, measure, int(y.sum()), len(y), key, label)


def rate_wilson(
    cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = ""
) -> Estimate:
    """The rate of :func:`rate_of` with an interval that allows for patients with several lines.

    Parameters
    ----------
    cohort
        Whose number of patients corrects the variance between patients.
    measure, lines
        As :func:`responded` takes them; ``lines`` say whose each line is.
    key, label
        The middle of the id ``measure.key.wilson``, and what the label says after the measure.

    Returns
    -------
    A proportion from 0 to 1, without value and interval where there is no line.

    Method: Wilson's interval on :func:`salvage.stats.clustered.effective_n`.
    """
    y, patients = responded(lines, measure), _patients(lines)
    wilson = clustered.wilson_effective(y, patients, len(cohort.patients)) if len(y) else None
    owners = len(pd.unique(patients))
    alike = owners < len(y) and (owners == 1 or y.min() == y.max())
    return proportion(
        cohort.study,
        f"{measure}.{key}.wilson",
        f"{words.MEASURES[measure]}, {label or key}",
        int(y.sum()),
        len(y),
        method=f"{WILSON_EFFECTIVE}; {ALIKE}" if alike else WILSON_EFFECTIVE,
        interval=wilson,
    )


def effective_lines(cohort: Cohort, measure: str, lines: pd.DataFrame) -> float:
    """Number of independent lines that would tell as much as these.

    Parameters
    ----------
    cohort, measure, lines
        As :func:`rate_wilson`; at least one line.

    Returns
    -------
    At most the number of lines.

    Raises
    ------
    ValueError
        Without lines.

    Method: :func:`salvage.stats.clustered.effective_n`.
    """
    return clustered.effective_n(responded(lines, measure), _patients(lines), len(cohort.patients))


def _patients(lines: pd.DataFrame) -> np.ndarray:
    """Whose each line is: the row of the patient where it is known, which is faster than the id."""
    return lines[OWNER if OWNER in lines.columns else "patient_id"].to_numpy()


def both(
    cohort: Cohort, measure: str, lines: pd.DataFrame, key: str, label: str = ""
) -> tuple[Estimate, Estimate]:
    """The rate with each of its two intervals.

    Parameters
    ----------
    cohort, measure, lines, key, label
        As :func:`rate_wilson`.

    Returns
    -------
    The estimates of :func:`rate_of` and :func:`rate_wilson`.
    """
    return rate_of(cohort.study, measure, lines, key, label), rate_wilson(
        cohort, measure, lines, key, label
    )


def group(study: Study, category: str, line: str) -> tuple[str, str]:
    """Key and label of a set of lines.

    Parameters
    ----------
    study
        Whose own names of categories are used.
    category
        One of the six, or ``all``.
    line
        ``all``, ``first`` or ``later`` lines of a patient.

    Returns
    -------
    The key, with which ids of estimates end, and the label.

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


def leading(cohort: Cohort) -> Estimate:
    """The objective response rate that stands first in a book.

    Over all lines where a source prints it so, with the interval on the effective n; else of the
    first salvage line of each patient.
    """
    over_all, first = (estimates(cohort)[id] for id in ("orr.all.wilson", "orr.first_line.all"))
    return over_all if over_all.provenance == "published" else first


def counts(lines: pd.DataFrame, by: str = "category") -> pd.DataFrame:
    """Number of lines by group and best response.

    Parameters
    ----------
    lines
        Salvage lines.
    by
        The column whose values are the groups.

    Returns
    -------
    One row per group that occurs, columns CR, PR, SD, PD, NE in that order.
    """
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
    """Probability of so many responses or more.

    Parameters
    ----------
    events, n
        Responses, and the independent lines that could respond.
    chance
        Probability from 0 to 1 that a line responds.

    Returns
    -------
    The upper tail of the binomial distribution, ``events`` included.

    >>> at_least(1, 2, 0.5)
    0.75
    """
    return float(binom.sf(events - 1, n, chance))


def smallest_difference(n_first: int, n_second: int) -> float | None:
    """The smallest difference from :data:`BASE_RATE` that two groups of these sizes could show.

    Parameters
    ----------
    n_first, n_second
        Lines of either group, taken as independent: patients with several lines would make the true
        difference larger.

    Returns
    -------
    A difference of proportions; ``None`` where a group is empty, or where even a rate of 100% would
    not be enough.

    Method: two-sided comparison at :data:`LEVEL` with :data:`POWER` by the arcsine transformation
    (Cohen 1988).

    >>> round(smallest_difference(30, 30), 2)
    0.35
    """
    if min(n_first, n_second) < 1:
        return None
    effect = (ndtri(1 - LEVEL / 2) + ndtri(POWER)) * np.sqrt(1 / n_first + 1 / n_second)
    angle = 2 * np.arcsin(np.sqrt(BASE_RATE)) + effect
    return float(np.sin(angle / 2) ** 2 - BASE_RATE) if angle < np.pi else None
