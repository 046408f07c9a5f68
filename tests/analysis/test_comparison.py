"""Categories side by side: odds ratios, tests and shrunken rates, against R and by hand."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from salvage import words
from salvage.analysis import comparison, response
from salvage.cohort import Cohort
from salvage.report import comparison as report_comparison
from salvage.report import results
from tests.cohorts import Tables
from tests.reference import answers


def cohort(cells: dict[str, tuple[int, int]], patients: list[int] | None = None) -> Cohort:
    """Lines by category: how many have a CR, and how many there are; else PD.

    ``patients`` are whose lines they are, one patient for each where it is not given.
    """
    rows = [
        (key, "CR" if i < events else "PD") for key, (events, n) in cells.items() for i in range(n)
    ]
    owners = list(range(len(rows))) if patients is None else patients
    lines = pd.DataFrame(rows, columns=["category", "best_response"])
    lines = lines.assign(patient_id=[f"P{i:03}" for i in owners], start_month=1.0)
    lines["line"] = lines.groupby("patient_id").cumcount() + 1
    of = pd.DataFrame({"patient_id": lines["patient_id"].unique()})
    return Tables(of.assign(relapse_month=1.0, os_month=9.0, died=1), lines).cohort()


def ratio(made: Cohort, key: str) -> Any:
    return comparison.estimates(made)[f"compare.cr.{key}.or"]


# --- odds ratios ----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", answers("fisher"), ids=lambda r: str(r["table"]))
def test_an_odds_ratio_is_that_of_fisher_or_none(row: dict[str, Any]) -> None:
    """R's `fisher.test`: no point where it is 0 or infinite, and the limits that are finite."""
    events, n, base_events, base_n = row["table"]
    # The reference has most lines: a third category gives it none of its own.
    made = cohort({"bispecific": (base_events, base_n), "checkpoint": (events, n)})
    flipped = n > base_n
    e = ratio(made, "bispecific" if flipped else "checkpoint")
    point = row["odds_ratio"] or None
    limits = (row["low"], row["high"])
    if flipped:
        point = point and 1 / point
        limits = tuple(v and 1 / v for v in reversed(limits))
    assert e.value == (None if point is None else pytest.approx(point, rel=1e-6))
    for mine, theirs in zip((e.low, e.high), limits, strict=True):
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-6, abs=1e-9))
    assert e.p == pytest.approx(row["p"], rel=1e-8)
    assert "lines taken as independent" in e.method


def test_separated_categories_have_a_limit_and_no_point() -> None:
    made = cohort({"bispecific": (0, 3), "second_cart": (3, 3)})
    e = ratio(made, "second_cart")
    assert (e.value, e.high, e.n, e.events) == (None, None, 3, 3)
    assert f"{e.low:.3f}" == "0.648"
    assert e.method.endswith("no point: the estimate is infinite")
    assert json.loads(results.to_json([e]))[0]["high"] is None
    table = report_comparison.pairs(made, "cr")
    row = next(r for r in table.rows if r[0].startswith("Second"))
    assert row[2:] == ("–", "0.65 to no limit", "0.10", "0.10")
    assert "A dash in place of an odds ratio: the estimate is infinite." in table.notes


def test_categories_without_any_response_have_no_odds_ratio_whatever_their_sizes() -> None:
    cells = {"bispecific": (0, 111), "second_cart": (0, 10), "other": (5, 20)}
    made = cohort(cells)
    e = ratio(made, "second_cart")
    assert (e.value, e.low, e.high, e.p) == (None, None, None, None)
    assert e.method.endswith("in both categories all or none of the lines responded")
    assert comparison.pairs(made, "cr").holm["second_cart"] is None
    assert ratio(made, "checkpoint").method.endswith("no line of this category")


# --- tests across categories ----------------------------------------------------------------------


def test_two_responses_are_tested_exactly_or_not_at_all() -> None:
    """40 lines, both responses among 7: the Rao-Scott P is 0.003 and cannot be trusted."""
    made = cohort({"bispecific": (2, 7), "other": (0, 33)})
    found = comparison.estimates(made)
    assert found["compare.cr.exact.p"].p == pytest.approx(2 * 7 * 6 / 2 / (40 * 39), rel=1e-9)
    e = found["compare.cr.rao_scott.p"]
    assert (e.value, e.p) == (None, None)
    assert e.method.endswith("2 lines with a response, fewer than 10")
    said = report_comparison.tests(made).plain()
    assert "There is no Rao-Scott test: 2 lines with a response, fewer than 10." in said
    assert "gives P = 0.027." in said


@pytest.mark.parametrize(
    ("cells", "patients", "reason"),
    [
        ({"bispecific": (35, 40), "other": (4, 4)}, None, "5 lines without a response"),
        ({"bispecific": (12, 40), "other": (1, 4)}, None, "4 lines in the smallest category"),
        ({"bispecific": (12, 40)}, None, comparison.NO_CONTRAST),
        ({"bispecific": (0, 40), "other": (0, 10)}, None, comparison.ALL_ALIKE),
        # Each patient has a response and none in each category: they do not differ at all.
        (
            {"bispecific": (10, 20), "other": (10, 20)},
            [*range(10), *range(10)] * 2,
            comparison.NO_VARIANCE,
        ),
    ],
)
def test_why_there_is_no_rao_scott_test(
    cells: dict[str, tuple[int, int]], patients: list[int] | None, reason: str
) -> None:
    made = cohort(cells, patients)
    assert comparison.rao_scott(made, "cr") is None
    assert comparison.no_rao_scott(made, "cr").startswith(reason)


def test_from_189_lines_on_the_exact_test_is_drawn_and_gives_its_error() -> None:
    made = cohort({key: (10 + i, 40) for i, key in enumerate(words.CATEGORIES)})
    e = comparison.estimates(made)["compare.cr.exact.p"]
    # R: fisher.test(cbind(10:15, 30:25), workspace = 2e8)$p.value
    assert abs(e.value - 0.8605978) < 4 * 0.0011
    assert e.p == e.value
    assert "100,000 tables drawn, standard error 0.0011" in e.method
    assert "100,000 tables drawn at random" in report_comparison.across(made).plain()


# --- shrunken rates -------------------------------------------------------------------------------


def test_lines_of_patients_who_are_alike_weigh_as_their_patients() -> None:
    """Each line twice: the same counts of patients, so shrunken rates of the same width."""
    cells = {"bispecific": (6, 10), "other": (3, 10), "checkpoint": (2, 10)}
    once = cohort(cells)
    owners = list(range(30))
    twice = cohort(
        {key: (2 * events, 2 * n) for key, (events, n) in cells.items()},
        [i for start in (0, 10, 20) for i in np.repeat(owners[start : start + 10], 2).tolist()],
    )
    for made in (once, twice):
        assert response.effective_lines(made, "cr", made.category("other")) < 11
    first, second = (comparison.shrink(made, "cr") for made in (once, twice))
    assert first is not None
    assert second is not None
    for a, b in zip(first.mean, second.mean, strict=True):
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, abs=0.02)
    widths = [
        [h - lo for lo, h in zip(s.low, s.high, strict=True) if lo is not None and h is not None]
        for s in (first, second)
    ]
    assert widths[1] == pytest.approx(widths[0], abs=0.05)


@pytest.mark.parametrize(
    ("sizes", "shrunken"), [((5, 5, 5, 1), True), ((5, 5, 4, 4), False), ((50, 50), False)]
)
def test_shrinkage_needs_three_categories_of_five_lines(
    sizes: tuple[int, ...], shrunken: bool
) -> None:
    keys = list(words.CATEGORIES)
    made = cohort({key: (1, n) for key, n in zip(keys, sizes, strict=False)})
    for e in comparison.shrunken(made, "cr"):
        has_lines = e.n != 0
        assert (e.value is not None) == (shrunken and has_lines)
        if not shrunken:
            assert e.method.endswith("fewer than 3 categories have 5 lines or more")
    assert ("Another prior" in report_comparison.shrinkage(made, "cr").plain()) == shrunken
