"""Many cohorts that print the same abstract and differ in what is assumed.

The search explores on purpose. Each batch of cohorts has its own relapse times, its own effect of
months to relapse on survival after relapse (in both directions), its own shape of survival; it is
then walked towards the printed figures. Of the cohorts found for one cut-off and one number of
deaths, those kept are spread evenly over the hazard ratios from relapse that occurred, both ends
included. Each gets a table of categories drawn uniformly from all feasible tables, its own numbers
of lines per patient, and its own tilt of response towards long lines, later lines or late relapse.

What the cohorts have in common is therefore "seen in all that this search found". It is not implied
by the abstract, and how often a value occurs among them is no probability.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage.cohort.schema import CATEGORY_KEYS, PATIENTS, SALVAGE, Column
from salvage.evidence import audit
from salvage.paths import DATA
from salvage.stats.exact import convolve
from salvage.synthetic import times
from salvage.synthetic.frames import as_csv, typed
from salvage.synthetic.lines import (
    AssumedCounts,
    Limits,
    NoHistory,
    assign_categories,
    assign_others,
    assign_responders,
    assign_switch,
    place_lines,
    spread_lines,
)
from salvage.synthetic.records import patient_id

ALTERNATIVES: Final = DATA / "alternatives.csv.gz"
ALTERNATIVES_SEED: Final = 20260219


@dataclass(frozen=True)
class Stratum:
    """One cut-off and number of deaths: how many rounds of search, and how many cohorts to keep."""

    early_relapse_months: int
    deaths: int
    rounds: int
    keep: int


# Most have the cut-off of the book. 27 deaths are the fewest that the printed interval allows, and
# rare; a cut-off of 1 or 6 months rarely leaves room for the printed hazard ratio either. The first
# is a short one: the quick tests make it again.
PLAN: Final = (
    Stratum(4, 29, 1, 25),
    Stratum(3, 29, 2, 60),
    Stratum(3, 28, 6, 40),
    Stratum(3, 27, 8, 15),
    Stratum(1, 29, 4, 20),
    Stratum(1, 28, 3, 6),
    Stratum(2, 29, 2, 40),
    Stratum(2, 28, 3, 20),
    Stratum(4, 28, 3, 20),
    Stratum(6, 29, 5, 10),
)
DRAWN_PER_ROUND, WALKED_PER_ROUND, STEPS = 40_000, 2_000, 400
TRIES_PER_COHORT = 200
MOST_LINES = 6
LIMITS: Final = Limits(
    once=frozenset({"second_cart"}), apart=frozenset(), manufacture=0, assessed=0
)
SHORTEST_RESPONSE_SPAN: Final[Mapping[str, int]] = {"CR": 8, "PR": 6}
LOST = 4
"""Tenths of a month from a response to a second CAR-T: time to lose it again."""


class Alternative(NamedTuple):
    """One cohort: patients and salvage as in a Cohort, and its cut-off.

    Columns that are not assumed for it are all missing.
    """

    patients: pd.DataFrame
    salvage: pd.DataFrame
    early_relapse_months: float


def _search(rng: np.random.Generator, stratum: Stratum) -> times.CohortTimes:
    """Cohorts of one stratum that print the published survival figures, from all its rounds."""
    agreeing = []
    for _ in range(stratum.rounds):
        drawn = times.draw(rng, _random_models(rng, stratum))
        drawn = drawn.take(times.prints_median(drawn))
        near = np.argsort(times.distance(drawn), kind="stable")[:WALKED_PER_ROUND]
        walked = times.approach(rng, drawn.take(near), STEPS)
        agreeing.append(walked.take(times.agrees(walked)))
    return times.CohortTimes(
        np.concatenate([f.relapse for f in agreeing]),
        np.concatenate([f.observed for f in agreeing]),
        np.concatenate([f.died for f in agreeing]),
        np.concatenate([f.cutoff for f in agreeing]),
    )


def _random_models(rng: np.random.Generator, stratum: Stratum) -> times.Model:
    """Models drawn widely, among them strong effects of months to relapse in both directions."""
    size = DRAWN_PER_ROUND
    return times.Model(
        relapse_median=rng.uniform(1, 8, size),
        relapse_sigma=rng.uniform(0.3, 1.2, size),
        effect=rng.uniform(-2.5, 2.5, size),
        shape=rng.uniform(0.7, 1.5, size),
        censored=np.full(size, times.PATIENTS - stratum.deaths),
        cutoff=np.full(size, 10 * stratum.early_relapse_months),
    )


def _by_hazard_ratio_from_relapse(cohorts: times.CohortTimes) -> times.CohortTimes:
    """The same cohorts in ascending order of the late-against-early hazard ratio from relapse."""
    after = times.CohortTimes(
        cohorts.relapse, cohorts.observed - cohorts.relapse, cohorts.died, cohorts.cutoff
    )
    # Rounded, so that the last digit of a platform's arithmetic cannot change the order.
    return cohorts.take(np.argsort(times.log_hazard_ratio(after)[0].round(9), kind="stable"))


def table_masks() -> dict[str, NDArray[np.int64]]:
    """For each category, 1 at every (events, responses, complete) that occurs in a feasible table.

    No category has more events than there are patients. Given the two printed rates the categories
    are independent but for the totals, so the tables are all combinations with the right totals.
    """
    marginals = audit.tables(capped=True).marginals
    return {key: (marginals[key] > 0).astype(np.int64) for key in CATEGORY_KEYS}


@cache
def _table_counts() -> tuple[tuple[NDArray[np.int64], ...], tuple[NDArray[np.int64], ...]]:
    """Masks by category; tables of the k-th category and those after it, counted by totals."""
    masks = tuple(table_masks().values())
    counts = [masks[-1]]
    for mask in reversed(masks[:-1]):
        counts.insert(0, convolve(counts[0], mask))
    return masks, tuple(counts)


def tables_counted() -> int:
    """How many tables :func:`random_table` draws from."""
    return int(_table_counts()[1][0][-1, -1, -1])


def random_table(rng: np.random.Generator) -> dict[str, AssumedCounts]:
    """One of all feasible tables, each equally likely: category by category, by what follows."""
    masks, counts = _table_counts()
    left = np.array(masks[0].shape) - 1
    table = {}
    for k, key in enumerate(CATEGORY_KEYS[:-1]):
        cells = np.argwhere(masks[k])
        rest = left - cells
        fits = (rest >= 0).all(axis=1)
        ways = np.zeros(len(cells))
        ways[fits] = counts[k + 1][tuple(rest[fits].T)]
        chosen = cells[rng.choice(len(cells), p=ways / ways.sum())]
        table[key] = AssumedCounts(*(int(x) for x in chosen))
        left = left - chosen
    table[CATEGORY_KEYS[-1]] = AssumedCounts(*(int(x) for x in left))
    return table


def _random_switch(rng: np.random.Generator, second: AssumedCounts) -> tuple[int, int]:
    """Switched target: events and complete responses that print the published rate."""
    rows = audit.target_switches()
    fits = rows[(rows["events"] == second.n) & (rows["complete"] == second.complete)]
    row = fits.iloc[int(rng.integers(len(fits)))]
    return int(row["switched_events"]), int(row["switched_complete"])


def _random_lines(rng: np.random.Generator, events: int) -> NDArray[np.int64]:
    """How many lines each of 29 patients has: from nearly equal to very unequal, at most six."""
    concentration = np.exp(rng.uniform(np.log(0.4), np.log(10)))
    while True:
        share = rng.dirichlet(np.full(times.PATIENTS, concentration))
        lines = 1 + rng.multinomial(events - times.PATIENTS, share)
        if lines.max() <= MOST_LINES:
            return lines


def _rows(
    rng: np.random.Generator, relapse: times.Ints, observed: times.Ints, late: times.Bools
) -> list[dict[str, Any]]:
    """Salvage lines within given histories; :class:`NoHistory` if they leave no room for them."""
    table = random_table(rng)
    lengths = _random_lines(rng, sum(counts.n for counts in table.values()))
    numbers = spread_lines(rng, observed - relapse, observed, list(lengths), rng.uniform(0, 1.5))
    lines = place_lines(rng, relapse, observed, numbers)
    categories = assign_categories(rng, lines, table, LIMITS)
    tilt = rng.uniform([-1, -1, -1.5], [2, 1, 1.5])
    traits = [(np.log(k.span), k.line > 1, late[k.patient]) for k in lines]
    weight = np.exp(np.array(traits, dtype=float) @ tilt)
    best = assign_responders(rng, lines, categories, table, weight, SHORTEST_RESPONSE_SPAN, LOST)
    codes = assign_others(rng, lines, best, int(rng.integers(7)))
    switched = assign_switch(rng, categories, codes, *_random_switch(rng, table["second_cart"]))
    return [
        {
            "patient_id": patient_id(line.patient),
            "line": line.line,
            "category": categories[k],
            "target_switched": switched.get(k),
            "start_month": line.start / 10,
            "best_response": codes[k],
        }
        for k, line in enumerate(lines)
    ]


def _alternative(rng: np.random.Generator, cohort: times.CohortTimes) -> Alternative | None:
    """Salvage lines around one cohort's histories; ``None`` if no draw fitted."""
    relapse, observed, died = cohort.relapse[0], cohort.observed[0], cohort.died[0]
    patients = pd.DataFrame(
        {
            "patient_id": [patient_id(k) for k in range(times.PATIENTS)],
            "relapse_month": relapse / 10,
            "os_month": observed / 10,
            "died": died,
        }
    )
    for _ in range(TRIES_PER_COHORT):
        with suppress(NoHistory):
            salvage = typed(pd.DataFrame(_rows(rng, relapse, observed, cohort.late[0])), SALVAGE)
            return Alternative(typed(patients, PATIENTS), salvage, float(cohort.cutoff[0] / 10))
    return None


def alternatives(
    seed: int = ALTERNATIVES_SEED, plan: Sequence[Stratum] = PLAN
) -> list[Alternative]:
    """Cohorts that agree with every published figure but the adverse events, which they leave out.

    For each stratum of ``plan`` its own random stream, so that a change of one does not move the
    others. A stratum may yield fewer cohorts than wanted. The whole plan takes a few minutes.
    """
    selection = []
    streams = np.random.SeedSequence(seed).spawn(len(plan))
    for stratum, stream in zip(plan, streams, strict=True):
        rng = np.random.default_rng(stream)
        cohorts = _by_hazard_ratio_from_relapse(_search(rng, stratum))
        wanted = min(stratum.keep, len(cohorts))
        picks = np.unique(np.rint(np.linspace(0, len(cohorts) - 1, wanted)).astype(np.int64))
        drawn = (_alternative(rng, cohorts.take(picks[[k]])) for k in range(len(picks)))
        selection += [cohort for cohort in drawn if cohort is not None]
    return selection


_COHORT: Final = Column("cohort", "integer", "Number of the cohort, from 1")
_CUTOFF: Final = Column("early_relapse_months", "integer", "Late relapse is after this month")
_PATIENT: Final = ("patient_id", "relapse_month", "os_month", "died")
_LINE: Final = ("line", "category", "target_switched", "start_month", "best_response")
COLUMNS: Final = (
    _COHORT,
    _CUTOFF,
    *(PATIENTS.column(name) for name in _PATIENT),
    *(SALVAGE.column(name) for name in _LINE),
)
"""Columns of the file: one row per salvage event, with its patient's values repeated."""


def write_alternatives(
    folder: Path, seed: int = ALTERNATIVES_SEED, plan: Sequence[Stratum] = PLAN
) -> Path:
    """Write :func:`alternatives` as one compressed CSV; returns its path."""
    parts = [
        cohort.patients[list(_PATIENT)]
        .merge(cohort.salvage[["patient_id", *_LINE]], on="patient_id")
        .assign(cohort=number, early_relapse_months=cohort.early_relapse_months)
        for number, cohort in enumerate(alternatives(seed, plan), start=1)
    ]
    path = folder / ALTERNATIVES.name
    folder.mkdir(parents=True, exist_ok=True)
    # Neither a time nor a file name in the header: the same bytes each time.
    path.write_bytes(gzip.compress(as_csv(pd.concat(parts), COLUMNS), mtime=0))
    return path


def read_alternatives(path: Path = ALTERNATIVES) -> Iterator[Alternative]:
    """The stored cohorts in order, with all columns of the schema: those not stored are missing."""
    rows = pd.read_csv(path, dtype={"patient_id": str})
    people = rows.drop_duplicates(["cohort", "patient_id"])
    # Typed once for all cohorts, then cut up: typing each alone takes most of the time.
    patients, salvage = typed(people, PATIENTS), typed(rows, SALVAGE)
    lines = rows.groupby("cohort").groups
    for number, owners in people.groupby("cohort").groups.items():
        yield Alternative(
            patients.loc[owners].reset_index(drop=True),
            salvage.loc[lines[number]].reset_index(drop=True),
            float(rows.loc[owners[0], "early_relapse_months"]),
        )
