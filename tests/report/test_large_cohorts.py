"""What a large cohort leaves out and says so, and what may not be said of it."""

import re
from functools import cache

import numpy as np
import pytest

from salvage.analysis import comparison
from salvage.analysis.survival import Times
from salvage.cohort import Cohort
from salvage.display import figures, show
from salvage.display.figures import kaplan_meier, style
from salvage.report import bias as report_bias
from salvage.report import categories as report_categories
from salvage.report import comparison as report_comparison
from salvage.report import context as report_context
from salvage.report import patients as report_patients
from salvage.report import prognosis as report_prognosis
from salvage.report import summary as report_summary
from tests.cohorts import CATEGORIES, Recipe, generate

LARGE = 20_500
#: What is true of a small cohort only.
SMALL = re.compile(r"\b(few patients|small groups?|too weak|few lines|unstable)\b")


@cache
def large() -> Cohort:
    recipe = Recipe(patients=LARGE, seed=3, lines=2, exactly=True, per_month=1000)
    return generate(recipe).cohort()


@cache
def hundred() -> Cohort:
    return generate(Recipe(patients=100, seed=3)).cohort()


@pytest.mark.parametrize("measure", comparison.MEASURES)
def test_what_is_left_out_says_from_which_size_on(measure: str) -> None:
    rates = report_comparison.rates(large(), measure)
    assert f"more than {comparison.LARGEST_GROUP:,} lines" in rates.plain()
    across = report_comparison.across(large()).plain()
    assert across.count("100,000 tables drawn at random") == len(comparison.MEASURES)
    assert isinstance(report_comparison.pairs(large(), measure), show.Table)


def test_results_of_a_large_cohort_hold_the_same_ids_and_the_reasons() -> None:
    few, many = (comparison.estimates(c) for c in (hundred(), large()))
    pairs = {id for id in {*few, *many} if id.endswith(".or")}
    assert {*few} - pairs == {*many} - pairs
    for id, e in many.items():
        assert (e.value is None) == id.endswith(".shrunken"), id
        if id.endswith((".shrunken", ".exact.p")):
            assert "; " in e.method, id


def test_nothing_true_of_small_cohorts_only_is_said_of_a_large_one() -> None:
    said = [
        report_summary.evidence(large()),
        report_bias.delayed_entry(large()),
        report_bias.answer(large()),
        report_comparison.answer(large()),
        report_comparison.multiplicity(large()),
        report_context.answer(large()),
        report_prognosis.answer(large()),
        report_prognosis.proportional(large()),
        *(report_categories.answer(large(), key) for key in CATEGORIES),
    ]
    for shown in said:
        assert not SMALL.search(shown.plain()), shown.plain()
    # The pattern is not empty talk: a cohort of one patient is told what it cannot show.
    one = generate(Recipe(patients=1, seed=3, missing=0.0)).cohort()
    assert SMALL.search(report_context.answer(one).plain())


def test_figures_of_single_patients_give_way_and_say_so() -> None:
    limit = style.MOST_PATIENTS
    assert f"left out above {limit} patients" in figures.swimmer_plot(hundred()).sentence
    assert "summarise" in figures.swimmer_plot(hundred()).sentence
    assert f"Above {limit} patients" in figures.relapse_timeline(hundred()).caption
    assert "internal use only" not in figures.relapse_timeline(hundred()).caption
    assert "shows single patients" not in report_patients.courses(hundred()).plain()
    few = generate(Recipe(patients=limit, seed=3)).cohort()
    assert "Each mark is one patient" in figures.relapse_timeline(few).caption
    assert "shows single patients" in report_patients.courses(few).plain()


def test_curves_of_a_large_cohort_are_drawn_on_a_day_grid() -> None:
    made = figures.os_from_infusion(large())
    assert isinstance(made, show.Figure)
    assert "drawn on a day grid" in made.caption
    assert "ticks mark" not in made.caption
    drawn = made.figure.axes[0].lines
    (curve,) = (line for line in drawn if line.get_label() == "OS from CAR-T infusion")
    corners = len(curve.get_xdata())
    times = large().patients["os_month"]
    # One corner for each day at most, the beginning and the end.
    assert corners <= times.max() / kaplan_meier.DAY + 2 < times.nunique()


def test_a_small_curve_beside_a_large_one_keeps_its_ticks() -> None:
    rng = np.random.default_rng(2)
    made = figures.km(
        hundred().study,
        [
            Times("many", rng.exponential(9, 4000), rng.random(4000) < 0.5, np.arange(4000)),
            Times("few", rng.exponential(9, 40), np.arange(40) % 2 == 0, np.arange(40)),
        ],
        "fig-two",
        "Two",
    )
    assert "except on the curves of many times" in made.caption
    ticks = [line for line in made.figure.axes[0].lines if line.get_label() == "_censored"]
    assert [len(line.get_xdata()) for line in ticks] == [20]
