"""Every estimate of the book under its stable id, as records, JSON or CSV."""

import csv
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Final

from salvage.analysis import bias, comparison, counts, prognosis, response, safety, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort, once
from salvage.cohort.cells import guarded
from salvage.cores import usable_cores
from salvage.disclosure import estimates
from salvage.evidence import audit
from salvage.synthetic import spread

COLUMNS = tuple(f.name for f in fields(Estimate))
Part = Callable[[Cohort], list[Estimate]]
#: From so many patients on, starting processes takes less time than it saves.
PARALLEL_FROM: Final = 100_000


@once
def headline(cohort: Cohort) -> list[Estimate]:
    """The estimates that describe the cohort itself: all that the summary shows, at once."""
    return _made(cohort, HEADLINE)


HEADLINE: Final[tuple[Part, ...]] = (
    lambda cohort: counts.estimates(cohort),
    lambda cohort: survival.patient_estimates(cohort),
    lambda cohort: response.all_rates(cohort),
    lambda cohort: survival.line_estimates(cohort),
    lambda cohort: [*prognosis.estimates(cohort).values()],
    lambda cohort: safety.safety_estimates(cohort),
)
FURTHER: Final[tuple[Part, ...]] = (
    lambda cohort: comparison.comparison_estimates(cohort),
    lambda cohort: [*bias.estimates(cohort).values()],
    lambda _: [*audit.estimates().values()],
    lambda cohort: [*spread.estimates(cohort.study).values()],
)


def _made(cohort: Cohort, parts: Sequence[Part]) -> list[Estimate]:
    """The estimates of each part in turn; those of a large cohort on all processors, unless this
    process is itself one of several that share them.
    """
    workers = min(len(parts), usable_cores())
    alone = not multiprocessing.current_process().daemon
    large = len(cohort.patients) >= PARALLEL_FROM
    if not (large and alone and workers > 1 and hasattr(os, "fork")):
        return [e for part in parts for e in part(cohort)]
    # A forked process sees the cohort as it is: what all parts need is computed before.
    survival.with_outcome(cohort)
    jobs = [partial(part, cohort) for part in parts]
    with multiprocessing.get_context("fork").Pool(workers, _share, (jobs,)) as pool:
        return [e for made in pool.imap(_run, range(len(parts))) for e in made]


_jobs: list[Callable[[], list[Estimate]]] = []


def _share(jobs: list[Callable[[], list[Estimate]]]) -> None:
    _jobs[:] = jobs


def _run(number: int) -> list[Estimate]:
    return _jobs[number]()


def collect(cohort: Cohort) -> list[Estimate]:
    """Every estimate of the book, those of a public study after disclosure control; ids are
    unique."""
    found = [*headline(cohort), *_made(cohort, FURTHER)]
    ids = [e.id for e in found]
    repeated = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    if repeated:
        raise ValueError(f"ids of estimates must be unique: {', '.join(repeated)}")
    return estimates.screened(cohort, found)


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
