"""What the pages say of the end of a line, of first salvage lines and of competing risks."""

from dataclasses import replace

import pandas as pd
import pytest

from salvage.analysis import survival
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.display import figures
from salvage.display.show import Absent, Figure, Table
from salvage.display.wording import percent
from salvage.report import categories, context
from salvage.report import survival as report
from tests.analysis.test_endpoints import (
    later_progression,
    lost_response,
    ongoing_at_death,
    progression_without_month,
)
from tests.cohorts import EDGES, Recipe, generate

BISPECIFIC = "bispecific"


def rows(table: object) -> dict[str, tuple[str, ...]]:
    assert isinstance(table, Table)
    return {row[0]: tuple(row[1:]) for row in table.rows}


def test_the_conventions_stand_under_the_main_rule_and_in_the_caption() -> None:
    made = later_progression().cohort()
    assert [row for row in categories.durations(made, BISPECIFIC).rows if row[1] == "10"] == [
        ("Progression-free survival", "10", "10", "3.0", "not estimable"),
        ("– censored at the next line", "10", "0", "not reached", "not estimable"),
        ("– the next line as an event", "10", "10", "2.0", "not estimable"),
        ("Time to next treatment", "10", "10", "2.0", "not estimable"),
        ("Survival from the start of the line", "10", "0", "not reached", "not estimable"),
    ]
    course = figures.line_curves(made, BISPECIFIC)
    assert isinstance(course, Figure)
    assert (
        "censored there, its median is not reached (0 events); with the next line as an event, "
        "2.0 (10 events)"
    ) in course.caption


def test_a_response_that_outlives_a_next_line_is_said_to() -> None:
    made = lost_response()
    second = made.salvage[["patient_id", "category"]].assign(
        line=2, start_month=4, best_response="SD"
    )
    both = replace(made, salvage=pd.concat([made.salvage, second])).cohort()
    said = report.response_reading(both).plain()
    assert "8 responses with a recorded beginning lasted a median of 2.0 months" in said
    assert "before progression or death in 8 responses" in said
    assert "Censored there, the median is not reached (0 events in 8 responses)" in said
    assert "as an event it is 1.0 months" in said
    alone = report.response_reading(made.cohort()).plain()
    assert "all rules give the same result" in alone


def test_a_missing_month_is_counted_and_never_not_reached() -> None:
    made = progression_without_month(1).cohort()
    table = categories.durations(made, BISPECIFIC)
    assert rows(table)["Progression-free survival"][2] == "not estimable"
    why = "9 of 10 lines end in a progression whose month is not recorded"
    assert any(why in note for note in table.notes)
    assert f"Median progression-free survival was not estimable ({why})." in (
        categories.answer(made, BISPECIFIC).plain()
    )
    course = figures.line_curves(made, BISPECIFIC)
    assert isinstance(course, Figure)
    assert f"Not shown: progression-free survival, because {why}." in course.caption
    assert why in context.first_lines(made).plain()
    few = progression_without_month(9).cohort()
    table = categories.durations(few, BISPECIFIC)
    assert "– progressions without a month at the start" in rows(table)
    assert any(note.startswith("1 of 10 lines end in a progression") for note in table.notes)


def test_deaths_in_response_are_events_on_the_page() -> None:
    made = ongoing_at_death().cohort()
    assert rows(report.responses(made))["Duration of response"] == (
        "8",
        "8",
        "7.0",
        "not estimable",
    )


def test_first_salvage_lines_come_first_in_a_hospital_and_after_all_lines_in_the_index_book() -> (
    None
):
    made = generate(Recipe(patients=60, lines=3))
    hospital = made.cohort()
    index = replace(made, settings={"synthetic": True}).cohort()
    first = survival.line_medians(hospital, BISPECIFIC, "first")["pfs.first_line.bispecific.median"]
    every = survival.line_medians(hospital, BISPECIFIC)["pfs.bispecific.median"]
    assert first.n != every.n
    for cohort, opening in ((hospital, first), (index, every)):
        said = categories.answer(cohort, BISPECIFIC).paragraphs[1]
        assert said.startswith(f"Median progression-free survival was {opening.value:.1f} months")
        assert "at the first salvage line, per patient" in said


@pytest.mark.parametrize("category", ["all", *CATEGORY_KEYS])
def test_first_salvage_lines_stand_beside_the_progression_free_survival_of_others(
    category: str,
) -> None:
    made = generate(Recipe(patients=80, lines=3)).cohort()
    table = context.first_lines(made, category)
    assert isinstance(table, Table)
    own = [row for row in table.rows if row[0] == "This cohort"]
    medians = survival.line_medians(made, category, "first")
    expected = [
        f"{e.events} / {e.n}" for e in medians.values() if e.id.split(".")[-2] not in survival.RULES
    ]
    assert [row[2] for row in own[1:]] == expected
    others = {row[0] for row in table.rows} - {"This cohort"}
    assert ("ZUMA-7, chemotherapy" in others) == (category == "all")
    assert ("Gouni 2022, Pola-based" in others) == (category == "polatuzumab")
    public = replace(made, study=replace(made.study, audience="public"))
    hidden = context.first_lines(public, category)
    assert "Time to next treatment" not in hidden.plain()


def test_what_came_first_is_a_table_and_a_sentence() -> None:
    made = generate(Recipe(patients=120, fewest=0, missing=0.0)).cohort()
    table = report.competing(made)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows].count("First salvage line") == 1
    assert "no cause of death is recorded" in table.plain()
    said = report.competing_reading(made).plain()
    e = survival.competing_estimates(made)["cif.next_line.at.6"]
    assert e.value is not None
    assert f"a next line followed {percent(e.value, e.n)} of lines" in said


@pytest.mark.parametrize("edge", EDGES)
def test_every_edge_cohort_has_its_endpoints_on_the_page(edge: str) -> None:
    made = EDGES[edge]().cohort()
    for shown in (
        report.competing(made), report.competing_reading(made), report.responses(made),
        report.response_reading(made), context.first_lines(made),
    ):  # fmt: skip
        assert shown.plain().strip()
        assert "nan" not in shown.plain().lower().split()


def withheld(cohort: Cohort) -> Cohort:
    return replace(cohort, study=replace(cohort.study, audience="public"))


def test_a_public_book_withholds_them() -> None:
    made = withheld(generate(Recipe(patients=60, lines=3)).cohort())
    for shown in (
        report.competing(made), report.competing_reading(made), report.responses(made),
        report.response_reading(made), categories.durations(made, BISPECIFIC),
    ):  # fmt: skip
        assert shown.withheld
        assert isinstance(shown._released(), Absent)
