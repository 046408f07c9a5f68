"""What the methods and the STROBE page say of a study is true of the cohort of the book."""

from dataclasses import replace

import pytest

from salvage.cohort import Cohort, load
from salvage.paths import DATA
from salvage.report import conduct, context
from tests.cohorts import Recipe, generate

INDEX_STUDY = ("index study", "Beijing", "2025ZD0544300", "April 2022", "abstract", "synthetic")


def hospital(**settings: object) -> Cohort:
    """164 patients of a hospital, some of them without salvage."""
    tables = generate(Recipe(patients=164, seed=15, fewest=0))
    return replace(tables, settings=settings).cohort()


def pages(cohort: Cohort) -> str:
    shown = (conduct.design, conduct.limitations, conduct.funding, conduct.strobe)
    return "\n".join(page(cohort).plain() for page in shown)


def test_nothing_of_the_index_study_is_said_of_a_hospital() -> None:
    text = pages(hospital(centre="Hospital of Examples", window="2019 to 2024", funding="Grant 7"))
    assert [word for word in INDEX_STUDY if word in text] == []
    for stated in ("Hospital of Examples", "2019 to 2024", "Grant 7", "164 patients"):
        assert stated in text


def test_untreated_patients_are_counted() -> None:
    cohort = hospital()
    untreated = len(cohort.patients) - cohort.salvage["patient_id"].nunique()
    assert untreated > 0
    assert f"({untreated} of 164)" in pages(cohort)
    every = generate(Recipe(patients=3, seed=2)).cohort()
    assert "Every recorded patient received salvage" in pages(every)


def test_the_book_of_the_index_study_says_what_its_abstract_prints() -> None:
    text = pages(load(DATA))
    for fact in ("Beijing Tongren Hospital", "2025ZD0544300", "nobody was observed", "29 patients"):
        assert fact in text


def test_a_public_book_says_nothing_that_depends_on_its_data() -> None:
    some = hospital(audience="public", centre="Hospital of Examples")
    other = replace(
        generate(Recipe(patients=3, seed=2)),
        settings={"audience": "public", "centre": "Hospital of Examples"},
    ).cohort()
    assert pages(some) == pages(other)


@pytest.mark.parametrize("said", ["31 response rates", "12 count patients at their first salvage"])
def test_what_other_studies_count_is_computed(said: str) -> None:
    assert said in context.units_of_others().plain()
