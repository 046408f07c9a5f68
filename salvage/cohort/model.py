"""A checked cohort: its tables and what follows from them at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage.cohort.study import Study
from salvage.problems import Problem

Owner = TypeVar("Owner")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cohort:
    """A checked cohort. Times are months since the first CAR-T infusion; no calendar date enters.

    ``patients``, ``salvage`` and ``adverse_events`` hold every column of the schema, in its
    order; what the files do not hold is missing. ``warnings`` are allowed but unusual;
    ``left_out`` says what was there and is no part of the cohort.
    """

    study: Study
    patients: pd.DataFrame
    salvage: pd.DataFrame
    adverse_events: pd.DataFrame
    warnings: tuple[Problem, ...] = field(default=())
    left_out: tuple[str, ...] = field(default=())

    @cached_property
    def late(self) -> "pd.Series[bool]":
        """Late relapse of each patient: ``relapse_month`` above the cut-off (equal is early)."""
        return self.patients["relapse_month"] > self.study.early_relapse_months

    @cached_property
    def treated(self) -> pd.DataFrame:
        """Patients with at least one salvage line."""
        return self.patients[np.bincount(self.owners, minlength=len(self.patients)) > 0]

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """Row of each salvage line's patient in ``patients``: whole numbers where ids are slow."""
        ids = pd.Index(self.patients["patient_id"])
        rows: NDArray[np.intp] = ids.get_indexer(pd.Index(self.salvage["patient_id"]))
        return rows

    def category(self, key: str) -> pd.DataFrame:
        """The salvage lines of one category."""
        return self.salvage[self.salvage["category"] == key]

    def has(self, table: str, column: str) -> bool:
        """Whether any row of ``table`` has a value in ``column``."""
        frame: pd.DataFrame = getattr(self, table)
        return bool(frame[column].notna().any())


def once(compute: Callable[[Owner], Result]) -> Callable[[Owner], Result]:
    """A function of a cohort (or its release) that is computed once for each and stored in it.

    What it returns is shared: whoever wants to change it makes a copy.
    """
    name = f"{compute.__module__}.{compute.__qualname__}"

    @wraps(compute)
    def stored(owner: Owner) -> Result:
        if name not in owner.__dict__:
            owner.__dict__[name] = compute(owner)
        result: Result = owner.__dict__[name]
        return result

    return stored
