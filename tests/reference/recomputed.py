"""The book's estimates beside those that R computes from the same files."""

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

#: Estimates that R does not compute, by the pattern of their ids, and why.
NOT_BY_R: Final = {
    r"bias\.null_hr\..*": "a simulation of its own random numbers",
    r"audit\..*": "follows from the printed figures, not from a cohort",
    r"spread\..*": "describes the cohorts that a search found",
    r"(orr|cr)\.\w+\.shrunken": "a model that no R package among those used here has",
}


def digest(file: Path) -> str:
    """The MD5 sum, as R's `tools::md5sum` gives it."""
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


@cache
def by_r(name: str) -> dict[str, Any]:
    """What `recompute.R` wrote of a cohort."""
    return json.loads((REFERENCE / f"answers_{name}.json").read_text())


@cache
def by_book(name: str) -> dict[str, Estimate]:
    """Every estimate of the book of a cohort, by id."""
    return {e.id: e for e in results.collect(load(FOLDERS[name]))}


def reason(id: str) -> str | None:
    """Why R does not compute an estimate; ``None`` where it does."""
    return next((why for ids, why in NOT_BY_R.items() if re.fullmatch(ids, id)), None)
