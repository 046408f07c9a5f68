"""The shipped cohort: 29 synthetic patients, their 58 salvage events and the adverse events.

Whatever the abstract does not print is assumed here, and listed with its reason in
``data/assumptions.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort.schema import TABLES
from salvage.synthetic import times
from salvage.synthetic.frames import as_csv, as_frames
from salvage.synthetic.lines import (
    AssumedCounts,
    Limits,
    NoHistory,
    SalvageLine,
    assign_courses,
    assign_others,
    assign_switch,
    place_lines,
    spread_lines,
)
from salvage.synthetic.records import (
    MANUFACTURE,
    Row,
    adverse_event_rows,
    baseline,
    causes_of_death,
    intents_of,
    line_rows,
    shortest_with_response,
)

SEED: Final = 20260218
TABLE: Final[Mapping[str, AssumedCounts]] = {
    "bispecific": AssumedCounts(12, 5, 1),
    "second_cart": AssumedCounts(10, 4, 3),
    "radiotherapy": AssumedCounts(8, 3, 1),
    "polatuzumab": AssumedCounts(9, 6, 1),
    "checkpoint": AssumedCounts(6, 1, 0),
    "other": AssumedCounts(13, 5, 1),
}
SWITCHED, SWITCHED_COMPLETE = 5, 3
LINES_PER_PATIENT: Final = (1,) * 10 + (2,) * 11 + (3,) * 6 + (4,) * 2
CENSORED = 1
EARLY_RELAPSE = 30
"""Tenths of a month: late means a relapse after it."""

# The model that relapse and survival are drawn from. The effect of months to relapse on survival
# after relapse is 0: the shipped cohort is not steered towards a hazard ratio from relapse.
RELAPSE_MEDIAN, RELAPSE_SIGMA, EFFECT, SHAPE = 3.0, 0.8, 0.0, 1.0
BATCH = 10_000
TRIES_PER_COHORT = 500
LIMITS: Final = Limits(
    once=frozenset({"bispecific", "second_cart", "polatuzumab", "checkpoint"}),
    apart=frozenset({"radiotherapy"}),
    manufacture=MANUFACTURE,
    assessed=10,
)
MOST_NOT_EVALUABLE = 6


def calibrate(seed: int = SEED) -> dict[str, pd.DataFrame]:
    """The tables of the first random cohort that prints every published figure.

    Returns the tables of the schema by name, with every column, typed as in a Cohort.
    Relapse and survival are drawn until a cohort agrees with the abstract. Histories are drawn
    around them until one can be believed; only if none is found, the next cohort is drawn. The same
    seed gives the same tables.
    """
    rng = np.random.default_rng(seed)
    while True:
        cohorts = _agreeing(rng)
        for k in range(len(cohorts)):
            cohort = cohorts.take(np.array([k]))
            relapse, observed, died = cohort.relapse[0], cohort.observed[0], cohort.died[0]
            patients = baseline(rng, relapse, observed)
            for _ in range(TRIES_PER_COHORT):
                with suppress(NoHistory):
                    return _records(rng, relapse, observed, died, patients)


def _agreeing(rng: np.random.Generator) -> times.CohortTimes:
    """Those of one batch of cohorts that print every published survival figure."""
    model = times.Model(
        relapse_median=np.full(BATCH, RELAPSE_MEDIAN),
        relapse_sigma=np.full(BATCH, RELAPSE_SIGMA),
        effect=np.full(BATCH, EFFECT),
        shape=np.full(BATCH, SHAPE),
        censored=np.full(BATCH, CENSORED),
        cutoff=np.full(BATCH, EARLY_RELAPSE),
    )
    drawn = times.draw(rng, model)
    return drawn.take(times.agrees(drawn))


def _lines(
    rng: np.random.Generator, relapse: times.Ints, observed: times.Ints
) -> tuple[list[SalvageLine], list[str], list[str], dict[int, int]]:
    """Lines with category, best response and target switch."""
    numbers = spread_lines(rng, observed - relapse, observed, LINES_PER_PATIENT, noise=0.6)
    lines = place_lines(rng, relapse, observed, numbers)
    categories, best = assign_courses(rng, lines, TABLE, LIMITS, shortest_with_response)
    codes = assign_others(rng, lines, best, MOST_NOT_EVALUABLE)
    intents_of(lines, categories, codes)  # raises at once, before anything slow is drawn
    switched = assign_switch(rng, categories, codes, SWITCHED, SWITCHED_COMPLETE)
    return lines, categories, codes, switched


def _records(
    rng: np.random.Generator,
    relapse: times.Ints,
    observed: times.Ints,
    died: times.Bools,
    patients: Sequence[Row],
) -> dict[str, pd.DataFrame]:
    """All tables around given patients; :class:`NoHistory` if what is drawn does not fit them."""
    lines, categories, codes, switched = _lines(rng, relapse, observed)
    events = line_rows(rng, lines, categories, codes, switched, died, patients)
    causes = causes_of_death(rng, lines, events, died)
    adverse = adverse_event_rows(rng, lines, events, causes)
    outcomes = [
        {"relapse_month": months / 10, "os_month": last / 10, "died": dead, "cause_of_death": cause}
        for months, last, dead, cause in zip(relapse, observed, died, causes, strict=True)
    ]
    known = [row | outcome for row, outcome in zip(patients, outcomes, strict=True)]
    return as_frames(known, events, adverse)


def write(folder: Path, seed: int = SEED) -> list[Path]:
    """Write patients.csv, salvage.csv and adverse_events.csv of :func:`calibrate` into ``folder``.

    Months with one decimal, other numbers whole, a missing value blank, lines end with ``\\n``: the
    same bytes each time. Returns the paths written.
    """
    frames = calibrate(seed)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in TABLES:
        path = folder / f"{table.name}.csv"
        path.write_bytes(as_csv(frames[table.name], table.columns))
        written.append(path)
    return written
