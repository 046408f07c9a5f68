"""Computed prose: every sentence whose truth depends on the cohort, one module for each subject.

Nothing here is typed from a result.
"""

from salvage import words
from salvage.analysis.estimate import Estimate
from salvage.cohort.study import Study
from salvage.display.wording import months


def this_cohort(study: Study) -> str:
    """How the book calls its cohort."""
    return "this synthetic cohort" if study.synthetic else "this cohort"


def median(e: Estimate, unit: str = "line") -> str:
    """``3.1 months (95% CI 1.2 to not reached)``, or that it was not reached with events and
    denominator."""
    if e.value is None:
        return (
            f"not reached ({words.count(e.events or 0, 'event')} in {words.count(e.n or 0, unit)})"
        )
    if e.low is None and e.high is None:
        return f"{months(e.value)} months (95% CI {words.NOT_ESTIMABLE})"
    low = months(e.low) if e.low is not None else words.NOT_ESTIMABLE
    return f"{months(e.value)} months (95% CI {low} to {months(e.high)})"
