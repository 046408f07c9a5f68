"""Every estimate of three cohorts against R, which read the same files."""

import math
import re
from pathlib import Path

import pytest

from salvage import words
from salvage.cohort import load
from salvage.stats import exact
from tests.reference import agreement, recomputed, teaching_cohorts

#: Allowed difference, as a share of R's number: closed forms agree to some 1e-13, and the last step
#: of a fit leaves some 1e-10.
AGREE = 1e-8

cohorts = pytest.mark.parametrize("name", recomputed.FOLDERS)


@pytest.mark.parametrize("name", teaching_cohorts.MADE)
def test_cohorts_are_as_their_script_makes_them(name: str, tmp_path: Path) -> None:
    made = teaching_cohorts.MADE[name]().write(tmp_path)
    files = {file.name: file.read_bytes() for file in made.iterdir()}
    stored = (teaching_cohorts.COHORTS / name).iterdir()
    assert files == {file.name: file.read_bytes() for file in stored}


@pytest.mark.parametrize("name", teaching_cohorts.MADE)
def test_teaching_cohorts_hold_what_the_definitions_turn_on(name: str) -> None:
    cohort = load(teaching_cohorts.COHORTS / name)
    lines, events = cohort.salvage, cohort.adverse_events
    assert len(cohort.treated) < len(cohort.patients)
    assert lines["line"].max() >= 3
    assert set(lines["response_end_reason"].dropna()) == set(words.END_REASONS)
    pd_without_month = (lines["best_response"] == "PD") & lines["progression_month"].isna()
    assert 0 < pd_without_month.sum() < len(lines) / 5
    assert lines.groupby("category")["patient_id"].agg(lambda ids: ids.duplicated().any()).any()
    for column in ("line", "grade", "scale", "onset_month"):
        assert events[column].isna().any()
    assert lines["end_month"].isna().any()
    assert cohort.patients["os_month"].duplicated().any()


@cohorts
def test_r_has_read_these_files(name: str) -> None:
    read = recomputed.by_r(name)["files"]
    files = [*(recomputed.FOLDERS[name] / file for file in read if file.endswith(".csv"))]
    files += [recomputed.FOLDERS[name] / "study.yaml", *recomputed.SCRIPTS]
    now = {file.name: recomputed.digest(file) for file in files}
    assert read == now, "run `Rscript recompute.R` in tests/reference"


@cohorts
def test_every_estimate_is_answered_by_r_or_excused(name: str) -> None:
    answered = set(recomputed.by_r(name)["answers"])
    ids = set(recomputed.by_book(name))
    excused = {id for id in ids if recomputed.excused(id)}
    assert answered == ids - excused


def test_every_excuse_is_needed() -> None:
    ids = recomputed.by_book("shipped")
    for pattern in recomputed.NOT_BY_R:
        assert any(re.fullmatch(pattern, id) for id in ids), pattern


def allowed(name: str, id: str, r: list[float | None]) -> float:
    """The difference that is allowed; of a P from tables drawn at random, four standard errors."""
    if recomputed.drawn(name, id) and (p := r[0]):
        return 4 * math.sqrt(p * (1 - p) / exact.DRAWS) / p
    return AGREE


@cohorts
def test_estimates_are_those_of_r(name: str) -> None:
    differing = {
        id: (ours, r)
        for id, r in recomputed.by_r(name)["answers"].items()
        if agreement.difference(ours := recomputed.numbers(name, id), r) > allowed(name, id, r)
    }
    assert differing == {}


def test_a_single_p_is_drawn() -> None:
    """Each cohort tells by itself: all others are held to the digits of R."""
    drawn = [
        (name, id)
        for name in recomputed.FOLDERS
        for id in recomputed.by_r(name)["answers"]
        if recomputed.drawn(name, id)
    ]
    assert drawn == [("bladder", "compare.orr.exact.p")]
