"""Intervals of a proportion and of a rate against R."""

from typing import Any

import pytest

from salvage.stats import intervals
from tests.reference import CLOSED, answers


@pytest.mark.parametrize("row", answers("intervals"), ids=lambda r: f"{r['events']} of {r['n']}")
def test_intervals_agree_with_r(row: dict) -> None:
    events, n = row["events"], row["n"]
    assert intervals.clopper_pearson(events, n) == pytest.approx(row["exact"], **CLOSED)
    assert intervals.wilson(events / n, n) == pytest.approx(row["wilson"], **CLOSED)
    assert intervals.poisson(events, n) == pytest.approx(row["poisson"], **CLOSED)


def test_figures_in_print() -> None:
    assert intervals.clopper_pearson(10, 15) == pytest.approx((0.383804, 0.881759), abs=5e-7)
    assert intervals.wilson(10 / 15, 15) == pytest.approx((0.417135, 0.848237), abs=5e-7)


@pytest.mark.parametrize(
    ("events", "n", "percent"),
    [(24, 58, (28.6, 55.1)), (7, 58, (5.0, 23.3)), (3, 10, (6.7, 65.2)), (3, 5, (14.7, 94.7))],
)
def test_exact_percentages_in_print(events: int, n: int, percent: tuple) -> None:
    found = [100 * limit for limit in intervals.clopper_pearson(events, n)]
    assert found == pytest.approx(percent, abs=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: intervals.clopper_pearson(0, 0),
        lambda: intervals.clopper_pearson(3, 2),
        lambda: intervals.wilson(1.2, 3),
        lambda: intervals.wilson(0.5, 0),
        lambda: intervals.poisson(1, 0),
    ],
)
def test_impossible_counts_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()
