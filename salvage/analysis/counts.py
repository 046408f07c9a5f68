"""How many patients, salvage lines and deaths a cohort holds."""

from collections.abc import Mapping
from typing import Final

from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.cohort import Cohort, once
from salvage.cohort.study import Study

#: By id: what is counted, and the id of what it is counted among.
COUNTS: Final = {
    "n.patients": ("Patients", None),
    "n.treated": ("Patients with salvage therapy", "n.patients"),
    "n.untreated": ("Patients without salvage therapy", "n.patients"),
    "n.events": ("Salvage treatment events", "n.treated"),
    "deaths": ("Deaths", "n.patients"),
    "n.late": ("Patients with late relapse", "n.patients"),
}


def estimates_of(study: Study, values: Mapping[str, int | None]) -> list[Estimate]:
    """Counts as estimates.

    Parameters
    ----------
    study
        Whose marks of provenance the estimates take.
    values
        Numbers of patients or lines by every id of :data:`COUNTS`, ``None`` where unknown.

    Returns
    -------
    An estimate for each known count, in the order of :data:`COUNTS`, with the count that it is out
    of.

    Raises
    ------
    KeyError
        Where an id is missing.
    """
    return [
        estimate(
            study,
            id,
            label,
            values[id],
            n=values[among] if among else None,
            unit="count",
            method="count",
        )
        for id, (label, among) in COUNTS.items()
        if values[id] is not None
    ]


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """Every count of :data:`COUNTS` of a cohort, by id."""
    patients, treated = len(cohort.patients), len(cohort.treated)
    values = {
        "n.patients": patients,
        "n.treated": treated,
        "n.untreated": patients - treated,
        "n.events": len(cohort.salvage),
        "deaths": int(cohort.patients["died"].sum()),
        "n.late": int(cohort.late.sum()),
    }
    return by_id(estimates_of(cohort.study, values))
