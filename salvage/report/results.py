"""Every estimate of the book under its stable id, as records, JSON or CSV."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from salvage.analysis import bias, comparison, counts, prognosis, response, safety, survival
from salvage.analysis.estimate import Estimate, by_id
from salvage.cohort import Cohort, once
from salvage.cohort.cells import guarded
from salvage.disclosure.estimates import screened
from salvage.evidence import audit
from salvage.synthetic import spread

COLUMNS = tuple(f.name for f in fields(Estimate))


@once
def headline(cohort: Cohort) -> dict[str, Estimate]:
    """The estimates that describe the cohort itself, by id: all that the summary shows."""
    return by_id(
        [
            *counts.estimates(cohort).values(),
            *survival.estimates(cohort).values(),
            *response.estimates(cohort).values(),
            *survival.line_estimates(cohort).values(),
            *survival.competing_estimates(cohort).values(),
            *prognosis.estimates(cohort).values(),
            *safety.estimates(cohort).values(),
        ]
    )


def collect(cohort: Cohort) -> list[Estimate]:
    """Every estimate of the book, those of a public study after disclosure control.

    Raises ``ValueError`` where two of them have the same id.
    """
    every = by_id(
        [
            *headline(cohort).values(),
            *comparison.estimates(cohort).values(),
            *bias.estimates(cohort).values(),
            *audit.estimates().values(),
            *spread.estimates(cohort.study).values(),
        ]
    )
    return screened(cohort, list(every.values()))


def to_json(estimates: Iterable[Estimate]) -> str:
    """One JSON array of objects; ``null`` where not reached or not estimable."""
    return (
        json.dumps([e.record() for e in estimates], ensure_ascii=False, indent=1, allow_nan=False)
        + "\n"
    )


def to_csv(estimates: Iterable[Estimate]) -> str:
    """CSV with one row per estimate; blank where not reached or not estimable.

    No label is a formula to a spreadsheet.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: guarded(v) if isinstance(v, str) else v for k, v in e.record().items()}
        for e in estimates
    )
    return stream.getvalue()


def write(cohort: Cohort, path: Path) -> None:
    """Write the estimates of a cohort to ``path`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json(collect(cohort)), encoding="utf-8")
