"""How the results of a cohort change where its patients, its clock or its categories do."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from salvage.analysis.estimate import Estimate
from salvage.cohort.schema import TABLES
from salvage.report import results
from tests.cohorts import Recipe, Tables, generate, recipes

#: Ids that begin so are means, shares, rates or quantiles of the cohort: twice the same patients
#: have the same.
DESCRIPTIVE = ("os.", "followup.", "dor.", "pfs.", "ttnt.", "os_from_start.", "cif.", "orr.", "cr.",
               "pr.", "ae.")  # fmt: skip
MONTHS = [column.name for table in TABLES for column in table.columns if column.kind == "month"]
SWAPPED = {"polatuzumab": "checkpoint", "checkpoint": "polatuzumab"}


def changed(tables: Tables, change: Callable[[pd.DataFrame], pd.DataFrame], **new: Any) -> Tables:
    """The tables with each of the three changed."""
    adverse = tables.adverse_events
    return replace(
        tables,
        patients=change(tables.patients),
        salvage=change(tables.salvage),
        adverse_events=None if adverse is None else change(adverse),
        **new,
    )


def doubled(tables: Tables) -> Tables:
    """Every patient twice."""

    def again(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame, frame.assign(patient_id=frame["patient_id"] + "-again")])

    return changed(tables, again)


def slower(tables: Tables) -> Tables:
    """Everything takes twice as long, and an early relapse may come twice as late."""

    def later(frame: pd.DataFrame) -> pd.DataFrame:
        times = [column for column in frame if column in MONTHS]
        return frame.assign(**{column: 2 * frame[column] for column in times})

    return changed(tables, later, settings={"early_relapse_months": 6})


def swapped(tables: Tables) -> Tables:
    """Two categories have changed their names."""
    salvage = tables.salvage.assign(category=tables.salvage["category"].replace(SWAPPED))
    return replace(tables, salvage=salvage)


def by_id(tables: Tables) -> dict[str, Estimate]:
    return {e.id: e for e in results.collect(tables.cohort())}


def close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return math.isclose(first, second, rel_tol=1e-7, abs_tol=1e-10)


def twice_the_same_patients_have_the_same_in_twice_the_numbers(recipe: Recipe) -> None:
    tables = generate(recipe)
    once, twice = by_id(tables), by_id(doubled(tables))
    assert once.keys() == twice.keys()
    for id, e in once.items():
        if not id.startswith(DESCRIPTIVE) or id.endswith((".rmst", ".shrunken")):
            continue
        both = twice[id]
        # Twice the patients may be enough for an estimate where once they were not.
        assert e.value is None or close(e.value * (1 + (e.unit == "events")), both.value), id
        assert both.n == (None if e.n is None else 2 * e.n), id
        assert both.events == (None if e.events is None else 2 * e.events), id


def a_slower_clock_makes_times_longer_and_leaves_ratios(recipe: Recipe) -> None:
    tables = generate(recipe)
    first, second = by_id(tables), by_id(slower(tables))
    for id, e in first.items():
        if e.unit == "months" and id.startswith(DESCRIPTIVE) and not id.endswith(".rmst"):
            times = [None if v is None else 2 * v for v in (e.value, e.low, e.high)]
        elif id.startswith(("cox.late_vs_early.", "orr.", "cr.", "compare.")):
            times = [e.value, e.low, e.high]
        else:
            continue
        after = second[id]
        assert all(map(close, times, (after.value, after.low, after.high))), id
        assert (e.n, e.events) == (after.n, after.events), id


def categories_are_names_and_no_more(recipe: Recipe) -> None:
    """A category's name changes none of its numbers, but for what the name says of a treatment."""
    tables = generate(recipe)
    first, second = by_id(tables), by_id(swapped(tables))
    for id, e in first.items():
        # With which category the others are compared follows from its size, then from its name.
        if id.startswith(("compare.", "spread.")):
            continue
        now = second[".".join(SWAPPED.get(part, part) for part in id.split("."))]
        assert all(map(close, (e.value, e.low, e.high, e.p), (now.value, now.low, now.high, now.p)))
        assert (e.n, e.events) == (now.n, now.events), id


RELATIONS = (
    twice_the_same_patients_have_the_same_in_twice_the_numbers,
    a_slower_clock_makes_times_longer_and_leaves_ratios,
    categories_are_names_and_no_more,
)
relations = pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.__name__)


@relations
def test_relations_hold_in_a_cohort_with_every_feature(relation: Callable[[Recipe], None]) -> None:
    relation(Recipe(patients=30, seed=5, lines=3, fewest=0, per_month=2, response=0.5))


@pytest.mark.slow  # some 100 curves and 30 models for each of two cohorts
@relations
@given(recipe=recipes(max_patients=30))
@settings(max_examples=15, deadline=None)
def test_relations_hold_in_any_cohort(relation: Callable[[Recipe], None], recipe: Recipe) -> None:
    relation(recipe)


def test_two_categories_do_change_places() -> None:
    tables = generate(Recipe(patients=40, seed=3))
    first, second = by_id(tables), by_id(swapped(tables))
    assert first["orr.polatuzumab"].n != first["orr.checkpoint"].n
    assert first["orr.polatuzumab"].n == second["orr.checkpoint"].n
