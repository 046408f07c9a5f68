"""What the abstract leaves open: the book's unpublished quantities over many cohorts that agree
with it.

The cohorts of ``data/alternatives.csv.gz`` agree with every published figure and differ in what is
assumed. What holds in all of them is "seen in all that were found"; it is not implied. A spread
over them is a range over what a search found, neither a confidence interval nor a probability.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import comparison, prognosis, response, survival
from salvage.analysis.estimate import Estimate, Unit, by_id, estimate
from salvage.cohort import Cohort
from salvage.cohort.check import from_tables
from salvage.cohort.schema import CATEGORY_KEYS, PATIENTS, SALVAGE
from salvage.cohort.study import Study
from salvage.paths import DATA
from salvage.synthetic.ensemble import read_alternatives
from salvage.synthetic.frames import as_text

SPREAD: Final = DATA / "spread.csv"


@dataclass(frozen=True)
class Quantity:
    """An unpublished quantity of the book, in its unit."""

    key: str
    label: str
    unit: Unit

    @property
    def is_p(self) -> bool:
        """Whether it is a P-value, which is printed as such."""
        return self.key.endswith(".p")


QUANTITIES: Final = (
    Quantity("os.median.low", "Median OS from infusion, lower limit", "months"),
    Quantity("os.median.high", "Median OS from infusion, upper limit", "months"),
    Quantity("os.from_relapse.median", "Median OS from relapse", "months"),
    Quantity("cox.from_relapse.hr", "Late against early, HR from relapse", "ratio"),
    Quantity("cox.from_relapse.low", "Its lower limit", "ratio"),
    Quantity("cox.from_relapse.high", "Its upper limit", "ratio"),
    Quantity("orr.first_line.all", "ORR at the first salvage line", "proportion"),
    *(
        Quantity(f"orr.{key}", f"ORR, {words.CATEGORIES_SHORT[key]}", "proportion")
        for key in CATEGORY_KEYS
        if key != "polatuzumab"
    ),
    *(
        Quantity(f"cr.{key}", f"CR rate, {words.CATEGORIES_SHORT[key]}", "proportion")
        for key in CATEGORY_KEYS
        if key != "second_cart"
    ),
    Quantity("orr.rao_scott.p", "P across categories, ORR (Rao-Scott)", "probability"),
    Quantity("orr.exact.p", "P across categories, ORR (exact, ignoring patients)", "probability"),
)


def cohorts() -> list[Cohort]:
    """The stored cohorts, checked like any other."""
    return [
        from_tables(
            Study(early_relapse_months=a.early_relapse_months, synthetic=True),
            {
                table.name: as_text(frame, table.columns)
                for table, frame in ((PATIENTS, a.patients), (SALVAGE, a.salvage))
            },
        )
        for a in read_alternatives()
    ]


def _measure(cohort: Cohort) -> dict[str, float | None]:
    """Every quantity of one cohort; ``None`` where not reached or not estimable."""
    os = survival.median(cohort.study, "os.median", survival.from_infusion(cohort))
    relapse = survival.median(cohort.study, "os.from_relapse.median", survival.from_relapse(cohort))
    contrast = prognosis.late_against_early(cohort, "os.from_relapse")
    naive = prognosis.late_against_early(cohort, "os")
    first = cohort.salvage[cohort.salvage["line"] == 1]
    tested = comparison.rao_scott(cohort, "orr")
    exact = comparison.exact_p(comparison.counts(cohort, "orr"))
    values: dict[str, float | None] = {
        "early_relapse_months": cohort.study.early_relapse_months,
        "deaths": float(cohort.patients["died"].sum()),
        "cox.infusion.hr": naive.value,
        "os.median.low": os.low,
        "os.median.high": os.high,
        "os.from_relapse.median": relapse.value,
        "cox.from_relapse.hr": contrast.value,
        "cox.from_relapse.low": contrast.low,
        "cox.from_relapse.high": contrast.high,
        "cox.from_relapse.p": contrast.p,
        "orr.first_line.all": response.rate_of(cohort.study, "orr", first, "first_line.all").value,
        "orr.rao_scott.p": None if tested is None else tested.p,
        "orr.exact.p": None if exact is None else exact.p,
    }
    for key in CATEGORY_KEYS:
        lines = cohort.category(key)
        for measure in ("orr", "cr"):
            values[f"{measure}.{key}"] = response.rate_of(cohort.study, measure, lines, key).value
    return values


def measure() -> pd.DataFrame:
    """One row for each stored cohort; columns are the quantities, NaN where there is none."""
    return pd.DataFrame([_measure(cohort) for cohort in cohorts()], dtype=float)


def write(path: Path = SPREAD) -> Path:
    """Measure every stored cohort and write the quantities; returns the path."""
    measure().to_csv(path, index=False, float_format="%.10g", lineterminator="\n")
    return path


@cache
def measured() -> pd.DataFrame:
    """What :func:`write` stored, because measuring takes longer than a build should."""
    return pd.read_csv(SPREAD, dtype=float)


def estimates(study: Study) -> dict[str, Estimate]:
    """The middle and the whole range of each quantity over the cohorts found, by id; always
    assumed."""
    ranges = []
    for quantity in QUANTITIES:
        values = measured()[quantity.key].dropna()
        ranges.append(
            estimate(
                study,
                f"spread.{quantity.key}",
                f"{quantity.label}, over cohorts that agree with the abstract",
                float(values.median()) if len(values) else None,
                (float(values.min()), float(values.max())) if len(values) else (None, None),
                n=len(measured()),
                events=len(values),
                unit=quantity.unit,
                method=(
                    "median, lowest and highest over the cohorts that a search found; not a"
                    " confidence interval"
                ),
                mark="assumed",
            )
        )
    return by_id(ranges)
