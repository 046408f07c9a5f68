"""Every estimate of three cohorts against R, which read the same files."""

import math
import re
from pathlib import Path
from typing import Any

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


@cohorts
def test_estimates_are_those_of_r(name: str) -> None:
    differing = {
        id: (ours, r)
        for id, r in recomputed.by_r(name)["answers"].items()
        if not recomputed.drawn(name, id)
        and agreement.difference(ours := recomputed.numbers(name, id), r) > AGREE
    }
    assert differing == {}


#: Permutations that the book draws, and R.
DRAWS = 1_000


def within_errors(id: str, ours: list[Any], r: list[Any]) -> bool:
    """Whether what was drawn at random differs by no more than four standard errors."""
    (value, low, high, n, *_), (value_r, low_r, high_r, n_r, *_) = ours, r
    if n != n_r:
        return False
    if id.endswith(".hr"):
        # The middle 90% of a normal distribution are 3.29 standard deviations wide; the error of
        # its 5th percentile is 2.11 times that of its mean.
        error = math.log(high_r / low_r) / 3.29 * math.sqrt(2 / DRAWS)
        return (
            abs(math.log(value / value_r)) < 4 * error
            and abs(math.log(low / low_r)) < 4 * 2.11 * error
            and abs(math.log(high / high_r)) < 4 * 2.11 * error
        )
    draws = exact.DRAWS if id.endswith("exact.p") else DRAWS / 2
    return abs(value - value_r) < 4 * math.sqrt(value_r * (1 - value_r) / draws)


@cohorts
def test_what_is_drawn_lies_within_its_error(name: str) -> None:
    answers = recomputed.by_r(name)["answers"]
    drawn = [id for id in answers if recomputed.drawn(name, id)]
    permuted = ["bias.permutation_null.hr", "bias.permutation_null.share"]
    # Only the largest cohort has too many tables to count; all other P are held to R's digits.
    tables = ["compare.orr.exact.p"] if name == "bladder" else []
    assert sorted(drawn) == permuted + tables
    for id in drawn:
        assert within_errors(id, recomputed.numbers(name, id), answers[id]), id


def test_a_shifted_draw_is_outside_its_error() -> None:
    answers = recomputed.by_r("heart")["answers"]
    r = answers["bias.permutation_null.hr"]
    assert within_errors("bias.permutation_null.hr", r, r)
    assert not within_errors("bias.permutation_null.hr", [1.06 * r[0], *r[1:]], r)
    assert not within_errors("x.share", [0.7, None, None, 1000], [0.6, None, None, 1000])
