"""The chapters on the cohort, the lines, the comparison of categories and adverse events.

Their tables and sentences hold for any cohort, and say what an independent count says.
"""

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salvage import words
from salvage.analysis import comparison, response, safety, survival
from salvage.cohort import Cohort, load
from salvage.display.show import Absent, Box, Table, Text
from salvage.paths import DATA
from salvage.report import comparison as report_comparison
from salvage.report import overview as report_overview
from salvage.report import patients as report_patients
from salvage.report import safety as report_safety
from salvage.stats import clustered
from tests.cohorts import EDGES, Recipe, Tables, generate, recipes

SLOW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NOT_SHOWN = re.compile(r"\b(nan|NaN|inf|None|NaT)\b")
WRONG_NUMBER = re.compile(r"(?<![\d,.])1 (patients|lines|events|pairs|sequences)\b")


@cache
def shipped() -> Cohort:
    return load(DATA)


def one_category() -> Tables:
    return generate(Recipe(patients=9, seed=2, categories=["radiotherapy"]))


def two_versions() -> Tables:
    """Both versions of CTCAE, synonyms, and events without grade, scale or line."""
    made = generate(Recipe(patients=18, seed=4, adverse_events=3.0))
    events = made.adverse_events
    assert events is not None
    place = np.arange(len(events))
    return replace(
        made,
        adverse_events=events.assign(
            scale=np.where(place % 3 == 0, "CTCAE 6.0", np.where(place % 7 == 1, "", "CTCAE 5.0")),
            term=np.where(place % 4 == 0, " Pyrexia", np.where(place % 4 == 1, "CRS", "fever")),
            grade=np.where(place % 5 == 0, "", (place % 5).astype(str)),
            line=np.where(place % 6 == 0, "", events["line"].fillna("").astype(str)),
        ),
    )


def no_grades() -> Tables:
    made = generate(Recipe(patients=9, seed=4))
    assert made.adverse_events is not None
    return replace(made, adverse_events=made.adverse_events.assign(grade="", scale="", line=""))


def one_line_each() -> Tables:
    return generate(Recipe(patients=12, seed=8, lines=1))


HERE = {made.__name__: made for made in (one_category, two_versions, no_grades, one_line_each)}
COHORTS = {**EDGES, **HERE}


@cache
def named(name: str) -> Cohort:
    return shipped() if name == "shipped" else COHORTS[name]().cohort()


def of_modules(*modules: Any) -> dict[str, Callable[[Cohort], Any]]:
    """Every public function of the modules that shows something, by its name."""
    found: dict[str, Callable[[Cohort], Any]] = {}
    for module in modules:
        for name, function in vars(module).items():
            home = getattr(function, "__module__", "") == module.__name__
            kind = getattr(function, "__annotations__", {}).get("return")
            if not (home and callable(function) and not name.startswith("_")):
                continue
            if "cohort" not in function.__annotations__:
                continue
            if not set(getattr(kind, "__args__", (kind,))) <= {Table, Text, Box, Absent}:
                continue
            key = f"{module.__name__.removeprefix('salvage.')}.{name}"
            if "measure" in function.__annotations__:
                for measure in comparison.MEASURES:
                    found[f"{key}.{measure}"] = lambda c, f=function, m=measure: f(c, m)
            else:
                found[key] = function
    return found


SHOWN = of_modules(
    report_patients, report_overview, report_comparison, report_safety,
)  # fmt: skip


def hold(made: Any) -> None:
    """What is true of everything that a cell of these chapters returns."""
    assert isinstance(made, Table | Text | Box | Absent)
    text = made.plain()
    assert text.strip()
    assert not NOT_SHOWN.search(text.replace("Centre: None.", "")), text
    assert not WRONG_NUMBER.search(text), text
    assert made.markdown()
    if isinstance(made, Table):
        assert 2 <= len(made.head) <= 7
        assert made.rows
        assert all(len(row) == len(made.head) for row in made.rows)
        assert all(isinstance(cell, str) for row in made.rows for cell in row)


def test_the_functions_were_found() -> None:
    named = {"report.patients.baseline", "report.safety.scales", "report.comparison.pairs.cr"}
    assert named <= set(SHOWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shipped", *COHORTS])
def test_everything_shown_holds_on_every_edge(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for show in SHOWN.values():
            hold(show(named(name)))


@SLOW
@given(recipes(max_patients=25))
def test_everything_shown_holds_on_random_cohorts(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    for name, show in SHOWN.items():
        if "compared" not in name:  # shrinkage takes seconds; the edges cover it
            hold(show(cohort))


def test_names_of_tables_are_unique() -> None:
    made = [show(shipped()) for show in SHOWN.values()]
    names = [table.name for table in made if isinstance(table, Table)]
    assert len(names) == len(set(names))
    assert all(name.startswith("tab-") for name in names)


def cells(table: Any, label: str) -> tuple[str, ...]:
    """The row of a table with this label, without the label."""
    assert isinstance(table, Table)
    return tuple(next(row for row in table.rows if row[0] == label)[1:])


def count(cell: str) -> int:
    """The count at the head of a cell: ``12`` of ``12 (41%)``."""
    return int(cell.split(" ")[0].replace(",", ""))


# --- the cohort -----------------------------------------------------------------------------------


def test_table_one_counts_what_is_recorded() -> None:
    cohort = shipped()
    table = report_patients.baseline(cohort)
    late = cohort.patients["relapse_month"] > cohort.study.early_relapse_months
    ldh = cohort.patients["ldh_elevated"]
    every, early, after, missing = cells(table, "LDH above the upper limit of normal")
    assert [count(c) for c in (every, early, after)] == [
        int((ldh == 1).sum()), int((ldh[~late] == 1).sum()), int((ldh[late] == 1).sum()),
    ]  # fmt: skip
    assert int(missing) == ldh.isna().sum() > 0
    assert f"({100 * (ldh == 1).sum() / ldh.notna().sum():.0f}%)" in every
    assert not any("P" in head.split() for head in table.head)


def test_relapse_at_the_cut_off_is_early() -> None:
    made = generate(Recipe(patients=5, seed=1))
    patients = made.patients.assign(relapse_month=[1.0, 3.0, 3.0, 3.1, 4.0], os_month=9.0)
    start = made.salvage["patient_id"].map(patients.set_index("patient_id")["relapse_month"])
    blank = dict.fromkeys(
        ("response_month", "response_end_month", "progression_month", "end_month")
    )
    cohort = Tables(patients, made.salvage.assign(start_month=start, **blank)).cohort()
    assert count(cells(report_patients.by_relapse(cohort), "Early relapse")[0]) == 3
    row = cells(report_patients.cut_offs(cohort), "3 (this book)")
    assert (row[0], row[2]) == ("3", "2")


@pytest.mark.parametrize("name", ["shipped", "ties_everywhere", "patients_without_salvage"])
def test_cut_offs_count_every_patient_and_every_death(name: str) -> None:
    cohort = named(name)
    for row in report_patients.cut_offs(cohort).rows:
        early, early_deaths, late, late_deaths = (count(cell) for cell in row[1:])
        assert early + late == len(cohort.patients)
        assert early_deaths + late_deaths == cohort.patients["died"].sum()


@SLOW
@given(recipes(max_patients=30))
def test_without_deaths_both_medians_of_follow_up_are_one(recipe: Recipe) -> None:
    cohort = generate(replace(recipe, death=0.0)).cohort()
    observed = survival.follow_up_observed(cohort).value
    told = report_patients.why_follow_up_differs(cohort).plain()
    if recipe.patients < 5:
        assert f"cannot be given: {words.count(recipe.patients, 'patient')}, fewer than 5." in told
    else:
        assert survival.follow_up_reverse(cohort).value == pytest.approx(observed)
        assert "the same median" in told


def test_if_all_died_there_is_no_follow_up_to_measure() -> None:
    told = report_patients.why_follow_up_differs(named("all_dead_at_once")).plain()
    assert told.startswith("Every patient died")
    assert "not reached" in told


def test_answer_counts_patients_with_and_without_salvage() -> None:
    cohort = named("patients_without_salvage")
    told = report_patients.answer(cohort).plain()
    treated = cohort.salvage["patient_id"].nunique()
    assert 0 < treated < len(cohort.patients)
    assert f"{len(cohort.patients)} patients, of whom {treated} received" in told


def test_what_no_patient_has_is_named_under_table_one() -> None:
    table = report_patients.baseline(named("only_required_columns"))
    assert len(table.rows) == 1
    assert any("Age in years" in note and "Histology" in note for note in table.notes)


# --- lines and responses --------------------------------------------------------------------------


@SLOW
@given(recipes(max_patients=40))
def test_lines_sequences_and_responses_add_up(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    lines = cohort.salvage
    sizes = report_overview.lines_per_patient(cohort)
    assert sizes.sum() == len(cohort.patients)
    assert (sizes.index.to_numpy() * sizes.to_numpy()).sum() == len(lines)
    assert report_overview.sequence_counts(cohort).sum() == lines["patient_id"].nunique()
    *categories, every = report_overview.responses(cohort).rows
    assert sum(count(row[1]) for row in categories) == count(every[1]) == len(lines)
    for place, code in enumerate(words.RESPONSES, start=2):
        total = (lines["best_response"] == code).sum()
        assert sum(count(row[place]) for row in categories) == count(every[place]) == total
    reached = [count(row[1]) for row in report_overview.lines(cohort).rows]
    assert reached == sorted(reached, reverse=True)


def test_sequences_are_in_the_order_of_the_lines() -> None:
    cohort = shipped()
    short = words.CATEGORIES_SHORT
    wanted: dict[str, int] = {}
    for _, lines in cohort.salvage.sort_values("line").groupby("patient_id"):
        steps = report_overview.ARROW.join(short[key] for key in lines["category"])
        wanted[steps] = wanted.get(steps, 0) + 1
    assert report_overview.sequence_counts(cohort).to_dict() == wanted


def test_the_design_effect_is_the_ratio_of_two_variances() -> None:
    """With two lines for each patient, the variance of patients' shares gives it by hand."""
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0])
    patient = np.repeat(np.arange(6), 2).astype(str)
    shares = y.reshape(6, 2).mean(axis=1)
    variance = shares.var(ddof=1) / 6
    p = y.mean()
    from scipy.stats import t

    wanted = p * (1 - p) / variance * (t.ppf(0.975, 11) / t.ppf(0.975, 5)) ** 2
    assert clustered.effective_n(y, patient, 6) == pytest.approx(wanted, rel=1e-12)


def test_one_line_for_each_patient_needs_no_allowance() -> None:
    told = report_overview.independence(named("one_line_each")).plain()
    assert "no allowance" in told
    assert "first" not in report_overview.answer(named("one_line_each")).plain()


# --- categories compared --------------------------------------------------------------------------


def plain_numbers(cohort: Cohort) -> dict[str, tuple[Any, ...]]:
    return {
        e.id: (e.value, e.low, e.high, e.n, e.events, e.p)
        for e in comparison.estimates(cohort).values()
    }


def close(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Equal but for the order in which floats were added."""
    return all(
        a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", ["shipped", "another_hospital"])
def test_comparisons_depend_neither_on_row_order_nor_on_ids(name: str) -> None:
    cohort = named(name)
    order = np.random.default_rng(5).permutation(len(cohort.patients))
    ids = cohort.patients["patient_id"].tolist()
    renamed = {ids[place]: f"X{new:04d}" for new, place in enumerate(order)}
    lines = cohort.salvage.assign(patient_id=cohort.salvage["patient_id"].map(renamed))
    patients = cohort.patients.assign(patient_id=cohort.patients["patient_id"].map(renamed))
    moved = replace(
        cohort,
        salvage=lines.sort_values(["patient_id", "line"], ignore_index=True),
        patients=patients.sort_values("patient_id", ignore_index=True),
    )
    first, second = plain_numbers(cohort), plain_numbers(moved)
    assert first.keys() == second.keys()
    assert all(close(first[key], second[key]) for key in first)


def test_pairs_have_holms_adjustment() -> None:
    from statsmodels.stats.multitest import multipletests

    for measure in comparison.MEASURES:
        pairs = comparison.pairs(shipped(), measure)
        others = [key for key in words.CATEGORIES if key != pairs.reference]
        assert list(pairs.ratios) == list(pairs.holm) == others
        adjusted = multipletests([r.p for r in pairs.ratios.values()], method="holm")[1]
        assert list(pairs.holm.values()) == pytest.approx(list(adjusted), rel=1e-12)


@pytest.mark.parametrize("measure", comparison.MEASURES)
def test_shrinkage_draws_rates_together(measure: str) -> None:
    made = comparison.shrunken(shipped(), measure)
    raw = [(e.events or 0) / (e.n or 1) for e in made]
    pulled = [e.value for e in made if e.value is not None]
    assert len(pulled) == len(raw)
    assert min(raw) < min(pulled) < max(pulled) < max(raw)
    for e in made:
        assert e.low is not None
        assert e.high is not None
        assert e.low < (e.value or 0) < e.high


def test_the_smallest_difference_has_the_power_that_is_claimed() -> None:
    from statsmodels.stats.power import NormalIndPower
    from statsmodels.stats.proportion import proportion_effectsize

    pair = comparison.detectable(shipped())["largest"]
    assert pair.difference is not None
    sizes = sorted(comparison.counts(shipped(), "orr").n, reverse=True)
    assert [pair.n_first, pair.n_second] == sizes[:2]
    effect = proportion_effectsize(response.BASE_RATE + pair.difference, response.BASE_RATE)
    # Two-sided at 5%; the tail on the other side adds next to nothing and is left out by both.
    power = NormalIndPower().power(
        effect, pair.n_first, 0.025, ratio=pair.n_second / pair.n_first, alternative="larger"
    )
    assert power == pytest.approx(response.POWER, abs=1e-9)


def test_above_the_named_size_the_reason_is_given() -> None:
    big = comparison.CategoryCounts((2_000, 2_500, 0, 0, 0, 0), (5_000, 5_000, 0, 0, 0, 0))
    assert f"{comparison.LARGEST_GROUP:,} lines" in comparison.no_shrinkage(big)


@pytest.mark.parametrize("name", ["no_responder", "all_responders", "one_category"])
def test_without_a_contrast_nothing_is_tested(name: str) -> None:
    cohort = named(name)
    for measure in comparison.MEASURES:
        if name == "one_category" or comparison.counts(cohort, measure).alike:
            assert comparison.rao_scott(cohort, measure) is None
            assert comparison.exact_p(comparison.counts(cohort, measure)) is None
            assert comparison.pairs(cohort, measure).reason


def test_the_cohort_cannot_rank_the_options() -> None:
    told = report_comparison.answer(shipped()).plain()
    assert "cannot rank" in told
    difference = comparison.detectable(shipped())["largest"].difference
    assert difference is not None
    assert f"{100 * difference:.0f} percentage points" in told


# --- adverse events -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shipped", "two_versions", "patients_without_salvage"])
def test_patients_count_once_at_their_highest_grade(name: str) -> None:
    cohort = named(name)
    treated = set(cohort.salvage["patient_id"])
    seen: dict[tuple[str, str], dict[str, float]] = {}
    for row in cohort.adverse_events.to_dict("records"):
        if row["patient_id"] not in treated or pd.isna(row["grade"]):
            continue
        term = row["term"].strip().lower()
        term = {"pyrexia": "fever", "crs": "cytokine release syndrome"}.get(term, term)
        scale = row["scale"] if isinstance(row["scale"], str) else safety.UNSPECIFIED_SCALE
        worst = seen.setdefault((term, scale), {})
        worst[row["patient_id"]] = max(worst.get(row["patient_id"], 0), row["grade"])
    found = safety.worst_grades(cohort)
    assert set(found.index) == set(seen)
    for key, worst in seen.items():
        wanted = [sum(grade == g for grade in worst.values()) for g in range(1, 6)]
        assert found.loc[key].tolist() == wanted


def test_versions_of_a_scale_are_not_pooled() -> None:
    cohort = named("two_versions")
    table = safety.by_term(cohort)
    fever = table[table["term"] == "fever"]
    assert {"CTCAE 5.0", "CTCAE 6.0"} <= set(fever["scale"])
    assert table["events"].sum() == len(safety.events_of_treated(cohort))
    told = report_safety.scales(cohort).plain()
    assert "CTCAE 5.0 and CTCAE 6.0" in told
    shown = report_safety.overall(cohort)
    assert isinstance(shown, Table)
    assert any("thresholds differ" in note for note in shown.notes)
    severe = safety.estimates(cohort)["ae.severe.patients"]
    assert "CTCAE 5.0 and CTCAE 6.0" in severe.method


def test_fever_stands_first_and_apart_from_crs() -> None:
    cohort = named("two_versions")
    table = report_safety.by_term(cohort)
    assert isinstance(table, Table)
    assert table.rows[0][0] == "Fever"
    ids = cohort.adverse_events[
        cohort.adverse_events["patient_id"].isin(cohort.salvage["patient_id"])
    ]
    term = ids["term"].str.strip().str.lower()
    fever = set(ids.loc[term.isin(["fever", "pyrexia"]), "patient_id"])
    crs = set(ids.loc[term == "crs", "patient_id"])
    found = safety.fever_and_crs(cohort).set_index(["fever", "crs"])["patients"]
    assert found[True, False] == len(fever - crs)
    assert found[True, True] == len(fever & crs)
    assert found[False, True] == len(crs - fever)
    assert found.sum() == len(cohort.treated)


def test_fever_is_the_most_common_of_the_shipped_cohort() -> None:
    cohort = shipped()
    assert safety.most_common(cohort) == safety.most_common(cohort, "events") == ["fever"]
    assert "most common event was fever" in report_safety.answer(cohort).plain()


def test_events_without_a_line_stand_in_no_rate_and_are_counted() -> None:
    cohort = named("two_versions")
    missing = safety.unlinked(cohort)
    table = report_safety.exposure(cohort)
    assert isinstance(table, Table)
    assert missing > 1
    assert any(f"{missing} events are linked to no line" in note for note in table.notes)


@pytest.mark.parametrize("name", ["no_adverse_events_file", "only_required_columns"])
def test_nothing_recorded_is_not_nothing_happened(name: str) -> None:
    cohort = named(name)
    assert all(e.value is None and e.p is None for e in safety.estimates(cohort).values())
    for key, show in SHOWN.items():
        if "safety" in key:
            assert isinstance(show(cohort), Absent)


def test_without_grades_nothing_is_said_of_severity() -> None:
    cohort = named("no_grades")
    made = safety.estimates(cohort)
    assert made["ae.any.patients"].value is not None
    assert all(e.value is None for id, e in made.items() if "rate" in id)
    # Of an event that did not occur, no severe one did.
    for key in ("any", *safety.TERMS.values()):
        severe = made["ae.severe.patients" if key == "any" else f"ae.{key}.severe.patients"]
        assert (severe.value is None) == (made[f"ae.{key}.patients"].value > 0), key
    assert "nothing is known of severity" in report_safety.answer(cohort).plain()


@SLOW
@given(recipes(max_patients=25), st.integers(0, 3))
def test_intervals_of_adverse_events_contain_their_estimates(recipe: Recipe, extra: int) -> None:
    cohort = generate(replace(recipe, adverse_events=float(extra))).cohort()
    for e in safety.estimates(cohort).values():
        if e.value is not None and e.low is not None:
            assert e.high is None or e.low <= e.value <= e.high
            assert math.isfinite(e.value)
