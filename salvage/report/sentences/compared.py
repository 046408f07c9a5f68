"""Computed prose of the chapter that sets the categories side by side."""

from typing import Final

from salvage import words
from salvage.analysis import comparison, response
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.show import Box, Text, answer, text
from salvage.display.wording import p_phrase, percent
from salvage.report.sentences import this_cohort
from salvage.report.tables.compared import ONE_CATEGORY

ALPHA: Final = 0.05
LARGE_DIFFERENCE: Final = 0.2
SMALL_MOVE: Final = 0.005


def compared_answer(cohort: Cohort) -> Box:
    """That the options cannot be ranked, how rates spread, and what could have been shown."""
    repeats = cohort.salvage["line"].max() > 1
    cannot = (
        f"{words.capital(this_cohort(cohort.study))} cannot rank the salvage options. Treatments "
        "were "
        "not assigned at random"
        f"{', patients repeat, and later lines are selected' if repeats else ''}."
    )
    if len(comparison.counts(cohort, "orr").present) < 2:
        return answer(cohort.study, ONE_CATEGORY, name="answer-compared")
    return answer(
        cohort.study,
        cannot,
        f"{_spread(cohort, 'orr')} {_test(cohort, 'orr')}",
        could_show(cohort),
        name="answer-compared",
    )


def _rates(cohort: Cohort, measure: str) -> dict[str, Estimate]:
    every = {
        key: response.rate_of(cohort.study, measure, cohort.category(key), key)
        for key in CATEGORY_KEYS
    }
    return {key: e for key, e in every.items() if e.n}


def _with_rate(study: Study, found: dict[str, Estimate], rate: float) -> str:
    """The categories that have this rate, with their counts."""
    return words.listing(
        [
            f"{words.category(key, study.labels)} {e.events:,}/{e.n:,}"
            for key, e in found.items()
            if e.value == rate
        ]
    )


def _spread(cohort: Cohort, measure: str) -> str:
    found = _rates(cohort, measure)
    values = [e.value or 0.0 for e in found.values()]
    low, high = min(values), max(values)
    name = words.MEASURES[measure].lower()
    if low == high:
        return f"The {name} was {percent(low)} in each category."
    return (
        f"The {name} ran from {percent(low)} ({_with_rate(cohort.study, found, low)}) to "
        f"{percent(high)} ({_with_rate(cohort.study, found, high)})."
    )


def _test(cohort: Cohort, measure: str) -> str:
    """What the Rao-Scott test says, in words that do not say more."""
    test = comparison.rao_scott(cohort, measure)
    if test is None:
        return f"No test across categories is possible: {comparison.no_rao_scott(cohort, measure)}."
    if test.p >= ALPHA:
        return (
            "A spread of this size is compatible with equal rates in all categories "
            f"(Rao-Scott test, {p_phrase(test.p)}){_and_large(cohort)}."
        )
    return (
        "A spread of this size would be unusual if all categories had the same rate "
        f"(Rao-Scott test, {p_phrase(test.p)}). The test says neither which category differs nor "
        "whether the treatment or the choice of patients made the difference."
    )


def _and_large(cohort: Cohort) -> str:
    """That large differences would go unseen, where even the two largest categories are small."""
    difference = comparison.detectable(cohort)["largest"].difference
    unseen = difference is None or difference > LARGE_DIFFERENCE
    return ", and with large differences too" if unseen else ""


def could_show(cohort: Cohort) -> str:
    """The response rate that the two largest categories could have told from a given one."""
    pair = comparison.detectable(cohort)["largest"]
    labels = [words.category(key, cohort.study.labels) for key in (pair.first, pair.second)]
    base = percent(response.BASE_RATE, 0)
    one = (
        f"With a response rate of {base} in one of its two largest categories ({labels[0]}, "
        f"{words.count(pair.n_first, 'line')}; {labels[1]}, {words.count(pair.n_second, 'line')}), "
    )
    shown = f"would have been shown with {percent(response.POWER, 0)} power."
    if pair.difference is None:
        return f"{one}not even a rate of 100% in the other {shown}"
    other = percent(response.BASE_RATE + pair.difference, 0)
    return (
        f"{one}only a rate of {other} or more in the other, {100 * pair.difference:.0f} percentage "
        f"points higher, {shown}"
    )


def shrinkage(cohort: Cohort, measure: str) -> Text:
    """What shrinkage does to the highest rate, and why."""
    why = comparison.no_shrinkage(comparison.counts(cohort, measure))
    name = words.MEASURES[measure].lower()
    if why:
        return text(cohort.study, f"The {name} is not shrunken: {why}.")
    raw, pulled = _rates(cohort, measure), comparison.shrunken(cohort, measure)
    top = max(raw, key=lambda key: raw[key].value or 0.0)
    bottom = min(raw, key=lambda key: raw[key].value or 0.0)
    if raw[top].value == raw[bottom].value:
        return text(
            cohort.study, f"The {name} is the same in each category, so there is nothing to shrink."
        )
    furthest = max(abs((pulled[key].value or 0.0) - (raw[key].value or 0.0)) for key in raw)
    if furthest < SMALL_MOVE:
        return text(cohort.study, f"Shrinkage hardly changes the {name} of any category.")
    moved = words.listing(
        [
            f"{words.category(key, cohort.study.labels)} from {percent(raw[key].value)} to "
            f"{percent(pulled[key].value)}"
            for key in (top, bottom)
        ]
    )
    draws = (
        f"Shrinkage draws each {name} towards a common mean, which is itself estimated, "
        "the more so the fewer its lines"
    )
    if not _inward(raw, pulled, top, bottom):
        return text(cohort.study, f"{draws}: {moved}.")
    return text(
        cohort.study,
        "The highest of several raw rates is, on average, too high: it was picked because it was "
        f"the highest. {draws}. Here the highest rate moves down and the lowest up: {moved}.",
    )


def _inward(raw: dict[str, Estimate], pulled: dict[str, Estimate], top: str, bottom: str) -> bool:
    return (pulled[top].value or 0.0) < (raw[top].value or 0.0) and (
        pulled[bottom].value or 0.0
    ) > (raw[bottom].value or 0.0)


def tests(cohort: Cohort) -> Text:
    """The two tests beside each other, for each measure, and why they may differ."""
    if len(comparison.counts(cohort, "orr").present) < 2:
        return text(cohort.study, ONE_CATEGORY)
    return text(
        cohort.study, *(f"{_spread(cohort, m)} {_test(cohort, m)}" for m in comparison.MEASURES)
    )


def multiplicity(cohort: Cohort) -> Text:
    """How many comparisons were made, and what chance alone would bring."""
    number = sum(
        1
        for measure in comparison.MEASURES
        for made in comparison.pairs(cohort, measure).ratios
        if made.p is not None
    )
    present = len(comparison.counts(cohort, "orr").present)
    if present < 2:
        return text(cohort.study, ONE_CATEGORY)
    possible = words.count(present * (present - 1) // 2, "pair")
    opening = f"The {present} categories with lines form {possible}, and there are two measures."
    if number == 0:
        why = (
            ", because for each measure at least one category has no response or only responses"
            if _zero_everywhere(cohort)
            else ""
        )
        return text(cohort.study, f"{opening} No pair has a P-value here{why}.")
    chance = 1 - (1 - ALPHA) ** number
    by_chance = (
        "If all rates were equal and the tests independent, the chance of at least one P below "
        f"{ALPHA} would be {percent(chance, 0)}. Holm's adjustment allows for the pairs of one "
        "measure. "
    )
    return text(
        cohort.study,
        f"{opening} This chapter prints {words.count(number, 'pairwise P-value')}. "
        f"{by_chance if number > 1 else ''}"
        "No comparison was prespecified, and none is confirmatory.",
    )


def _zero_everywhere(cohort: Cohort) -> bool:
    return all(comparison.counts(cohort, measure).zero_cell for measure in comparison.MEASURES)


def overlap(cohort: Cohort) -> Text:
    """How many patients stand in more than one category."""
    categories = cohort.salvage.groupby("patient_id")["category"].nunique()
    several = int((categories > 1).sum())
    if several == 0:
        return text(
            cohort.study,
            "No patient received more than one category, so the categories share no patient.",
        )
    who = (
        "The one treated patient"
        if len(categories) == 1
        else f"{several:,} of {len(categories):,} treated patients"
    )
    return text(
        cohort.study,
        f"{who} received two or more categories and {'stands' if several == 1 else 'stand'} in "
        "more than one row. The categories are therefore not independent groups, and a test for "
        "independent groups does not fit them.",
    )
