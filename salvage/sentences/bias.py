"""Computed prose of the chapter on time and bias."""

from typing import Final

from salvage import bias, simulate, spread, survival, words
from salvage.cohort import Cohort
from salvage.estimate import percent, ratio, reason, sentence, value_text
from salvage.sentences import this_cohort
from salvage.show import Box, Text, answer, text

SMALL_COHORT: Final = 100


def bias_answer(cohort: Cohort) -> Box:
    """The range over cohorts that agree with the abstract first; then the null; then this
    cohort."""
    hr = spread.measured()["cox.from_relapse.hr"].dropna()
    published = ratio(bias.published_hr())
    return answer(
        f"The published ratio of late to early relapse, {published}, is biased by time. Counted"
        f" from relapse, the same contrast ranges from {ratio(hr.min())} to {ratio(hr.max())} over"
        f" the {spread.found()} cohorts found that agree with every published figure. The abstract"
        " does not say whether late relapse is better, worse or neither.",
        "In simulated cohorts in which relapse timing has no effect, the published analysis gives"
        f" a ratio of {published} or less in"
        f" {percent(bias.null_value('default', 'infusion', 'share_hr'), 0)} of them. Counted from"
        f" relapse it does so in {percent(bias.null_value('default', 'relapse', 'share_hr'), 0)}.",
        _own(cohort),
        name="answer-bias",
    )


def _own(cohort: Cohort) -> str:
    infusion, relapse = bias.contrasts(cohort)[:2]
    if infusion.value is None and relapse.value is None:
        return f"In {this_cohort(cohort)} late and early relapse cannot be compared."
    after = sentence(relapse) if relapse.value is not None else words.NOT_ESTIMABLE
    return (
        f"In {this_cohort(cohort)} the ratio is {ratio(infusion.value)} from infusion and {after}"
        " from relapse."
    )


def agreeing_cohorts(cohort: Cohort) -> Text:
    """How the ratio from relapse varies over the cohorts that agree with the abstract."""
    below, n = spread.share(lambda f: f["cox.from_relapse.hr"] < 1)
    wholly, _ = spread.share(lambda f: f["cox.from_relapse.high"] < 1)
    above, _ = spread.share(lambda f: f["cox.from_relapse.low"] > 1)
    return text(
        f"All {n} cohorts print the same ratio from infusion. From relapse it is below 1 in {below}"
        f" of them and 1 or above in {n - below}. Its whole 95% confidence interval is below 1 in"
        f" {wholly} and above 1 in {above}.",
        cleared=True,
    )


def landmark(cohort: Cohort) -> Text:
    """The landmark's own figures, in this cohort and without effect."""
    found = next(e for e in bias.contrasts(cohort) if e.id == "cox.late_vs_early.landmark.hr")
    own = (
        f"In {this_cohort(cohort)} the landmark gives {sentence(found)}. "
        if found.value is not None
        else f"In {this_cohort(cohort)} a landmark at the cut-off cannot be used. "
    )
    return text(
        f"{own}In simulated cohorts without any effect it gives"
        f" {ratio(bias.null_value('default', 'landmark', 'hr'))} on average, and not 1."
    )


def null(cohort: Cohort) -> Text:
    """What the simulation says of the published ratio, also among cohorts near the printed median
    and range."""
    published = ratio(bias.published_hr())
    worlds = [bias.null_value(key, "infusion", "share_hr") for key in simulate.SETTINGS]
    return text(
        f"A ratio of {published} or less is common without any effect: in {percent(min(worlds), 0)}"
        f" to {percent(max(worlds), 0)} of the cohorts, by world. Among simulated cohorts near the"
        " printed median and range of survival it is found in"
        f" {percent(bias.near_value('infusion', 'share_hr'), 0)} of"
        f" {bias.near_value('infusion', 'cohorts'):,.0f}. The published ratio cannot tell an effect"
        " from none.",
        cleared=True,
    )


def delayed_entry(cohort: Cohort) -> Text:
    """The whole cohort was selected by having received salvage: the median with delayed entry."""
    entered = bias.delayed_entry_median(cohort)
    plain = survival.median(cohort, "os.median", survival.from_infusion(cohort))
    if entered.value is None:
        return text("With delayed entry at the first salvage line, the median is not reached.")
    moved = (
        "Counting each treated patient as at risk only from the first salvage line, the median"
        f" overall survival from infusion is {value_text(entered)}; counting all from infusion, it"
        f" is {value_text(plain)}."
    )
    small = (
        entered.n is not None
        and entered.n < SMALL_COHORT
        and value_text(entered) != value_text(plain)
    )
    caution = (
        "Early on, very few patients have entered, so one death among them moves the curve far. The"
        " estimate is right in kind and too weak in a cohort of this size to be used."
    )
    return text(moved, caution if small else "")


def per_month(cohort: Cohort) -> Text:
    """Months to relapse as a continuous covariate."""
    e = bias.per_month(cohort)
    if e.value is None:
        return text(
            f"In {this_cohort(cohort)} months to relapse cannot be used as a covariate:"
            f" {reason(e.method)}."
        )
    return text(
        f"In {this_cohort(cohort)} each further month to relapse goes with a hazard ratio of"
        f" {sentence(e)}, counted from relapse."
    )
