"""The book's estimates of three cohorts beside those that R computes from the same files."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from salvage.analysis.estimate import Estimate
from salvage.cohort import load
from salvage.paths import DATA
from salvage.report import results
from tests.reference import REFERENCE
from tests.reference.teaching_cohorts import COHORTS, MADE

FOLDERS: Final = {"shipped": DATA, **{name: COHORTS / name for name in MADE}}
LABELS: Final = {
    "shipped": "Shipped cohort",
    "heart": "Made of heart transplants",
    "bladder": "Made of recurrences of bladder cancer",
}
SCRIPTS: Final = tuple(REFERENCE / name for name in ("common.R", "recompute.R"))

#: Estimates that R does not compute, by the pattern of their ids, and why.
NOT_BY_R: Final = {
    r"bias\.null_hr\..*": "simulated, with random numbers that R does not draw",
    r"audit\..*": "follows from the printed figures, not from a cohort",
    r"spread\..*": "describes the cohorts that a search found, not this one",
    r"(orr|cr)\.\w+\.shrunken": "of a model that no R package among those used here has",
}


def digest(file: Path) -> str:
    """The MD5 sum, as R's `tools::md5sum` gives it."""
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


@cache
def by_r(name: str) -> dict[str, Any]:
    """What `recompute.R` wrote of a cohort: versions, digests, and numbers by id of estimate."""
    found: dict[str, Any] = json.loads((REFERENCE / f"answers_{name}.json").read_text())
    return found


@cache
def by_book(name: str) -> dict[str, Estimate]:
    """Every estimate of the book of a cohort, by id."""
    return {e.id: e for e in results.collect(load(FOLDERS[name]))}


def numbers(name: str, id: str) -> list[float | None]:
    """The numbers of an estimate of the book, in the order in which R has them."""
    return [getattr(by_book(name)[id], field) for field in by_r(name)["fields"]]


def drawn(name: str, id: str) -> bool:
    """Whether the book draws tables or permutations at random; so does R, or it counts them all."""
    method = by_book(name)[id].method
    return "tables drawn" in method or "permutations" in method


def excused(id: str) -> bool:
    """Whether R does not compute an estimate."""
    return any(re.fullmatch(pattern, id) for pattern in NOT_BY_R)
