"""Every estimate of the book under its stable id, as records, JSON or CSV."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from salvage import (
    audit,
    bias,
    comparison,
    disclosure,
    prognosis,
    response,
    safety,
    spread,
    survival,
)
from salvage.cohort import Cohort
from salvage.estimate import Estimate, Unit, estimate

COLUMNS = tuple(f.name for f in fields(Estimate))


def count(
    cohort: Cohort, id: str, label: str, value: int, n: int | None = None, unit: Unit = "count"
) -> Estimate:
    """A plain count as an estimate."""
    return estimate(cohort.study, id, label, value, n=n, unit=unit, method="count")


def counts(cohort: Cohort) -> list[Estimate]:
    """Patients, treated patients, events and deaths."""
    patients = len(cohort.patients)
    return [
        count(cohort, "n.patients", "Patients", patients),
        count(cohort, "n.treated", "Patients with salvage therapy", len(cohort.treated), patients),
        count(
            cohort,
            "n.untreated",
            "Patients without salvage therapy",
            patients - len(cohort.treated),
            patients,
        ),
        count(
            cohort, "n.events", "Salvage treatment events", len(cohort.salvage), len(cohort.treated)
        ),
        count(cohort, "deaths", "Deaths", int(cohort.patients["died"].sum()), patients),
        count(cohort, "n.late", "Patients with late relapse", int(cohort.late.sum()), patients),
    ]


def headline(cohort: Cohort) -> list[Estimate]:
    """The estimates that describe the cohort itself: all that the summary shows, at once."""
    return [
        *counts(cohort),
        *survival.patient_estimates(cohort),
        *response.all_rates(cohort),
        *survival.line_estimates(cohort),
        *prognosis.prognosis_estimates(cohort),
        *safety.safety_estimates(cohort),
    ]


def collect(cohort: Cohort) -> list[Estimate]:
    """Every estimate of the book, those of a public study after disclosure control; ids are
    unique."""
    found = [
        *headline(cohort),
        *comparison.comparison_estimates(cohort),
        *bias.bias_estimates(cohort),
        *audit.estimates(),
        *spread.spread_estimates(cohort),
    ]
    ids = [e.id for e in found]
    repeated = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    if repeated:
        raise ValueError(f"ids of estimates must be unique: {', '.join(repeated)}")
    return disclosure.screened(cohort, found)


def to_json(estimates: Iterable[Estimate]) -> str:
    """One JSON array of objects; ``null`` where not reached or not estimable."""
    return (
        json.dumps([e.record() for e in estimates], ensure_ascii=False, indent=1, allow_nan=False)
        + "\n"
    )


def to_csv(estimates: Iterable[Estimate]) -> str:
    """CSV with one row per estimate; blank where not reached or not estimable."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(e.record() for e in estimates)
    return stream.getvalue()


def write(cohort: Cohort, path: Path) -> None:
    """Write the estimates of a cohort to ``path`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json(collect(cohort)), encoding="utf-8")
