"""Computed prose of the chapter on other cohorts."""

from typing import Final

from salvage import context, words
from salvage.cohort import Cohort
from salvage.estimate import sentence
from salvage.schema import CATEGORY_KEYS
from salvage.sentences import this_cohort
from salvage.show import Box, Text, answer, text
from salvage.stats.pooling import FEWEST
from salvage.survival import from_relapse, median
from salvage.tables.context import own_rates


def context_answer(cohort: Cohort) -> Box:
    """How this cohort lies among the others, and what may be compared."""
    relapse = median(cohort, "os.from_relapse.median", from_relapse(cohort))
    return answer(
        f"In {this_cohort(cohort)} the median survival from relapse was {sentence(relapse)}. "
        f"{_medians()}",
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


FEW_LINES: Final = 200
#: An interval of a rate that is wider than this agrees with very different rates.
WIDE: Final = 0.3


def _medians() -> str:
    shown = [
        f"{o.value:.1f} months ({o.study.label})"
        for o in context.outcomes("os_median")
        if o.origin == "progression" and o.group == "all" and o.value is not None
    ]
    if len(shown) == 1:
        return f"Another cohort whose clock starts at progression printed {shown[0]}."
    return f"Other cohorts whose clock starts at progression printed {words.listing(shown)}."


def _overlap(cohort: Cohort) -> str:
    """How many of the other studies' response rates lie inside this cohort's first-line
    interval."""
    inside = total = 0
    widths = []
    for key in CATEGORY_KEYS:
        own = [e for counted, e in own_rates(cohort, key, "orr") if counted.startswith("patients")]
        if not own or own[0].low is None or own[0].high is None:
            continue
        for rate in context.rates(key, "orr"):
            total += 1
            inside += own[0].low <= rate.value <= own[0].high
            widths.append(own[0].high - own[0].low)
    if not total:
        return "No category has both a first-line rate here and a printed rate elsewhere."
    told = (
        f"Of {words.count(total, 'printed objective response rate')} in the same categories,"
        f" {inside} {'lies' if inside == 1 else 'lie'} inside the interval of this cohort's own"
        " first-line rate."
    )
    if inside > total / 2 and min(widths) > WIDE:
        return f"{told} Intervals as wide as these agree with almost anything."
    return told


def pooling() -> Text:
    """How many rates could be pooled."""
    found = [context.pooled(key, measure) for key in CATEGORY_KEYS for measure in context.RATES]
    others = [one.studies for one in found if isinstance(one, context.NotPooled)]
    done = len(found) - len(others)
    most = f", and no {'other ' if done else ''}rate has more than {max(others)}" if others else ""
    return text(
        f"Of {len(found)} rates, {done or 'none'} {'is' if done < 2 else 'are'} pooled: pooling"
        f" needs at least {FEWEST} comparable counts{most}.",
        cleared=True,
    )
