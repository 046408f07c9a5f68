"""Computed prose of the chapter on other cohorts."""

from salvage import context, words
from salvage.cohort import Cohort
from salvage.estimate import sentence
from salvage.schema import CATEGORY_KEYS
from salvage.sentences import this_cohort
from salvage.show import Box, Text, answer, text
from salvage.survival import from_relapse, median
from salvage.tables.context import own_rates


def context_answer(cohort: Cohort) -> Box:
    """How this cohort lies among the others, and what may be compared."""
    relapse = median(cohort, "os.from_relapse.median", from_relapse(cohort))
    return answer(
        f"In {this_cohort(cohort)} the median survival from relapse was {sentence(relapse)}. "
        f"Other cohorts whose clock starts at progression printed {_medians()}.",
        _overlap(cohort),
        (
            "Other cohorts count patients at their first line after CAR-T; the index study counts"
            " events over all lines. Only the first-line rates of this cohort are comparable in"
            " kind, and they rest on few patients."
            if len(cohort.salvage) < FEW_LINES
            else (
                "Other cohorts count patients at their first line after CAR-T; only first-line"
                " rates are comparable in kind."
            )
        ),
        name="answer-context",
    )


FEW_LINES = 200


def _medians() -> str:
    shown = [
        f"{o.value:.1f} months ({o.study.label})"
        for o in context.outcomes("os_median")
        if o.origin == "progression" and o.group == "all" and o.value is not None
    ]
    return words.listing(shown) if shown else "none"


def _overlap(cohort: Cohort) -> str:
    """How many of the other studies' response rates lie inside this cohort's first-line
    interval."""
    inside = total = 0
    for key in CATEGORY_KEYS:
        own = [e for counted, e in own_rates(cohort, key, "orr") if counted.startswith("patients")]
        if not own or own[0].low is None or own[0].high is None:
            continue
        for rate in context.rates(key, "orr"):
            total += 1
            inside += own[0].low <= rate.value <= own[0].high
    if not total:
        return "No category has both a first-line rate here and a printed rate elsewhere."
    return (
        f"Of {words.count(total, 'printed response rate')} in the same categories, {inside} lie"
        " inside the interval of this cohort's own first-line rate. Intervals as wide as these"
        " agree with almost anything."
        if inside > total / 2
        else (
            f"Of {words.count(total, 'printed response rate')} in the same categories, {inside} lie"
            " inside the interval of this cohort's own first-line rate."
        )
    )


def pooling() -> Text:
    """How many rates could be pooled."""
    found = [context.pooled(key, measure) for key in CATEGORY_KEYS for measure in context.RATES]
    done = sum(isinstance(one, context.Pooled) for one in found)
    none = (
        "No rate is pooled" if not done else f"{words.count(done, 'rate is', 'rates are')} pooled"
    )
    return text(
        f"{none} out of {len(found)}: pooling needs at least {context.FEWEST} comparable counts,"
        " and most abstracts print a percentage without its denominator.",
        cleared=True,
    )
