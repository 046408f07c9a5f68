"""The chapter that sets the categories side by side."""

from typing import Final

from salvage import words
from salvage.analysis import comparison, least, response
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.display import show
from salvage.display.show import Absent, Box, Table, Text, text
from salvage.display.wording import (
    interval_text,
    p_phrase,
    p_value,
    percent,
    rate_text,
    ratio,
    value_text,
)
from salvage.report.shared import EXACT_NOTE, NE_NOTE, NONE, WILSON_NOTE, Shown, marks, this_cohort
from salvage.stats.exact import DRAWS, Fisher

ALPHA: Final = 0.05
LARGE_DIFFERENCE: Final = 0.2
SMALL_MOVE: Final = 0.005
SHRUNKEN_NOTE: Final = (
    "Shrunken: posterior mean and central 95% interval of a hierarchical beta-binomial model. "
    "Each category borrows strength from the others, small categories most. Each counts with its "
    "effective lines, which allows for patients who repeat within it, not for those who stand in "
    "several."
)
ONE_CATEGORY: Final = (
    "The lines of this cohort are all of one category: there is nothing to compare."
)


def answer(cohort: Cohort) -> Box:
    """That the options cannot be ranked, how rates spread, and what could have been shown."""
    if _one_category(cohort):
        return show.answer(cohort.study, ONE_CATEGORY, name="answer-compared")
    here = words.capital(this_cohort(cohort.study))
    repeats = cohort.salvage["line"].max() > 1
    return show.answer(
        cohort.study,
        f"{here} cannot rank the salvage options. Treatments were not assigned at random, patients "
        "repeat, and later lines are selected."
        if repeats
        else f"{here} cannot rank the salvage options. Treatments were not assigned at random.",
        f"{_spread(cohort, 'orr')} {_rao_scott(cohort, 'orr')}",
        could_show(cohort),
        name="answer-compared",
    )


def _one_category(cohort: Cohort) -> bool:
    return len(comparison.counts(cohort, "orr").present) < 2


def _spread(cohort: Cohort, measure: str) -> str:
    rates = _rates(cohort, measure)
    low, high = min(rates.values()), max(rates.values())
    name = words.MEASURES[measure].lower()
    lowest, highest = (_counts_at(cohort, measure, rate) for rate in (low, high))
    if low == high:
        return f"The {name} was the same in each category: {lowest}."
    return f"The {name} ran from {lowest} to {highest}."


def _rates(cohort: Cohort, measure: str) -> dict[str, float]:
    """The raw rate of each category with lines."""
    estimates = response.estimates(cohort)
    rates = {key: estimates[f"{measure}.{key}"].value for key in CATEGORY_KEYS}
    return {key: rate for key, rate in rates.items() if rate is not None}


def _counts_at(cohort: Cohort, measure: str, rate: float) -> str:
    """The categories that have this rate, with their counts."""
    estimates = response.estimates(cohort)
    rates = {key: estimates[f"{measure}.{key}"] for key in CATEGORY_KEYS}
    return words.listing(
        [
            f"{value_text(e)} with {words.category(key, cohort.study.labels)}"
            for key, e in rates.items()
            if e.value == rate
        ]
    )


def _rao_scott(cohort: Cohort, measure: str) -> str:
    """What the Rao-Scott test says, in words that do not say more."""
    test = comparison.rao_scott(cohort, measure)
    if test is None:
        why, p = (
            comparison.no_rao_scott(cohort, measure),
            comparison.exact_p(comparison.counts(cohort, measure)),
        )
        if p is None:
            return f"No test across categories is possible: {why}."
        return (
            f"There is no Rao-Scott test: {why}. The exact test, which takes lines as independent,"
            f" gives {p_phrase(p.p)}."
        )
    if test.p < ALPHA:
        return (
            "A spread of this size would be unusual if all categories had the same rate "
            f"(Rao-Scott test, {p_phrase(test.p)}). The test says neither which category differs "
            "nor whether the treatment or the choice of patients made the difference."
        )
    difference = comparison.detectable(cohort)["largest"].difference
    if difference is None or difference > LARGE_DIFFERENCE:
        return (
            "A spread of this size is compatible with equal rates in all categories "
            f"(Rao-Scott test, {p_phrase(test.p)}), and with large differences too."
        )
    return (
        "A spread of this size is compatible with equal rates in all categories "
        f"(Rao-Scott test, {p_phrase(test.p)})."
    )


def could_show(cohort: Cohort) -> str:
    """The response rate that the two largest categories could have told from a given one."""
    pair = comparison.detectable(cohort)["largest"]
    base, power = percent(response.BASE_RATE), percent(response.POWER)
    first, second = (
        f"{words.category(key, cohort.study.labels)}, {words.count(lines, 'line')}"
        for key, lines in ((pair.first, pair.n_first), (pair.second, pair.n_second))
    )
    if pair.difference is None:
        return (
            f"With a response rate of {base} in one of its two largest categories ({first}; "
            f"{second}), not even a rate of 100% in the other would have been shown with {power} "
            "power."
        )
    return (
        f"With a response rate of {base} in one of its two largest categories ({first}; {second}), "
        f"only a rate of {percent(response.BASE_RATE + pair.difference)} or more in the other, "
        f"{100 * pair.difference:.0f} percentage points higher, would have been shown with {power} "
        "power."
    )


def rates(cohort: Cohort, measure: str) -> Shown:
    """Raw rates with both intervals, beside the shrunken rate, of the six categories."""
    raw, compared = response.estimates(cohort), comparison.estimates(cohort)
    rows, used = [], []
    for key in CATEGORY_KEYS:
        label = words.category(key, cohort.study.labels)
        exact, wilson = raw[f"{measure}.{key}"], raw[f"{measure}.{key}.wilson"]
        if not exact.n:
            rows.append((label, "0 / 0", NONE, NONE, NONE, NONE, NONE))
            continue
        shrunken = compared[f"{measure}.{key}.shrunken"]
        used += [exact, wilson, shrunken]
        rows.append(
            (
                label,
                f"{exact.events:,} / {exact.n:,}",
                rate_text(exact).rstrip("%"),
                interval_text(exact),
                interval_text(wilson),
                NONE if shrunken.value is None else rate_text(shrunken).rstrip("%"),
                interval_text(shrunken) if shrunken.value is not None else NONE,
            )
        )
    why = comparison.no_shrinkage(comparison.counts(cohort, measure))
    return Table(
        cohort.study,
        f"tab-compared-{measure}",
        f"{words.MEASURES[measure]} of each category, as counted and shrunken.",
        (
            "Category",
            f"{words.MEASURES_SHORT[measure]} / lines",
            "Raw rate, %",
            "Exact 95% CI, %",
            "Wilson 95% CI, %",
            "Shrunken rate, %",
            "Its 95% interval, %",
        ),
        rows,
        (EXACT_NOTE, WILSON_NOTE, f"No shrunken rates: {why}." if why else SHRUNKEN_NOTE, NE_NOTE),
        marks(used),
    )


def shrinkage(cohort: Cohort, measure: str) -> Text:
    """What shrinkage does to the highest and the lowest rate, and why."""
    name = words.MEASURES[measure].lower()
    why = comparison.no_shrinkage(comparison.counts(cohort, measure))
    if why:
        return text(cohort.study, f"The {name} is not shrunken: {why}.")
    model, counted = comparison.shrink(cohort, measure), comparison.counts(cohort, measure)
    assert model is not None  # there is no reason why not
    means = dict(zip(CATEGORY_KEYS, model.mean, strict=True))
    sizes = dict(zip(CATEGORY_KEYS, counted.n, strict=True))
    # The rate of fewer lines is given nowhere.
    raw = {k: rate for k, rate in _rates(cohort, measure).items() if sizes[k] >= least.PERCENT}
    shrunken = {key: means[key] or 0.0 for key in raw}
    prior = (
        f"Another prior, which pools more, moves no rate by more than {100 * model.moved:.1f} "
        "percentage points."
    )
    top, bottom = max(raw, key=raw.__getitem__), min(raw, key=raw.__getitem__)
    if raw[top] == raw[bottom]:
        return text(
            cohort.study, f"The {name} is the same in each category, so there is nothing to shrink."
        )
    if max(abs(shrunken[key] - raw[key]) for key in raw) < SMALL_MOVE:
        return text(cohort.study, f"Shrinkage hardly changes the {name} of any category. {prior}")
    moves = words.listing(
        [
            f"{words.category(key, cohort.study.labels)} from {percent(raw[key])} to "
            f"{percent(shrunken[key])}"
            for key in (top, bottom)
        ]
    )
    if shrunken[top] < raw[top] and shrunken[bottom] > raw[bottom]:
        return text(
            cohort.study,
            "The highest of several raw rates is, on average, too high: it was picked because it "
            f"was the highest. Shrinkage draws each {name} towards a common mean, which is itself "
            "estimated, the more so the fewer its lines. Here the highest rate moves down and the "
            f"lowest up: {moves}. {prior}",
        )
    return text(
        cohort.study,
        f"Shrinkage draws each {name} towards a common mean, which is itself estimated, the more "
        f"so the fewer its lines: {moves}. {prior}",
    )


def overlap(cohort: Cohort) -> Text:
    """How many patients stand in more than one category."""
    categories = cohort.salvage.groupby("patient_id")["category"].nunique()
    treated, several = len(categories), int((categories > 1).sum())
    if several == 0:
        return text(
            cohort.study,
            "No patient received more than one category, so the categories share no patient.",
        )
    who = (
        "The one treated patient"
        if treated == 1
        else f"{several:,} of {treated:,} treated patients"
    )
    verb = "stands" if several == 1 else "stand"
    return text(
        cohort.study,
        f"{who} received two or more categories and {verb} in more than one row. The categories "
        "are therefore not independent groups, and a test for independent groups does not fit "
        "them.",
    )


def across(cohort: Cohort) -> Shown:
    """Tests that the rates of all categories are equal."""
    if _one_category(cohort):
        return Absent(cohort.study, ONE_CATEGORY)
    estimates = comparison.estimates(cohort)
    rows, reasons = [], []
    for measure in comparison.MEASURES:
        name = words.MEASURES_SHORT[measure]
        test = comparison.rao_scott(cohort, measure)
        statistic = f"{test.f:.2f} ({test.df1:.1f}, {test.df2:.1f})" if test else NONE
        rao_scott, exact = (
            NONE if e.p is None else p_value(e.p)
            for e in (estimates[f"compare.{measure}.{key}.p"] for key in ("rao_scott", "exact"))
        )
        rows.append((name, "Rao-Scott", "Yes", statistic, rao_scott))
        rows.append((name, "Exact, k x 2", "No", NONE, exact))
        p = comparison.exact_p(comparison.counts(cohort, measure))
        if p is None:
            reasons.append(f"No test of {name}: {comparison.no_rao_scott(cohort, measure)}.")
        elif test is None:
            why = comparison.no_rao_scott(cohort, measure)
            reasons.append(f"No Rao-Scott test of {name}: {why}.")
        if p is not None and p.error is not None:
            reasons.append(
                f"The exact P of {name} is from {DRAWS:,} tables drawn at random: standard error "
                f"{p.error:.2g}."
            )
    return Table(
        cohort.study,
        "tab-compared-tests",
        "Tests that the response rates of all categories are equal.",
        ("Measure", "Test", "Allows for repeated patients", "F (df)", "P"),
        rows,
        (
            "The exact test takes lines as independent. It is not valid here if lines of one "
            "patient are alike. The Rao-Scott test allows for that; it needs "
            f"{least.EVENTS} lines with a response, as many without, and {least.GROUP} lines in "
            "each category.",
            *reasons,
        ),
        own_mark(cohort.study),
        left=(0, 1, 2),
    )


def tests(cohort: Cohort) -> Text:
    """How each measure spreads over the categories, and what the Rao-Scott test says of it."""
    if _one_category(cohort):
        return text(cohort.study, ONE_CATEGORY)
    return text(
        cohort.study,
        *(f"{_spread(cohort, m)} {_rao_scott(cohort, m)}" for m in comparison.MEASURES),
    )


def pairs(cohort: Cohort, measure: str) -> Shown:
    """Odds ratios against the category with most lines, with exact intervals."""
    compared = comparison.pairs(cohort, measure)
    name = words.MEASURES[measure]
    if compared.reason:
        return Absent(
            cohort.study, f"{name}: no odds ratios between categories, because {compared.reason}."
        )
    counted = comparison.counts(cohort, measure)
    rows = []
    for key, events, n in zip(CATEGORY_KEYS, counted.events, counted.n, strict=True):
        if n:
            label = words.category(key, cohort.study.labels)
            ratio_ = compared.ratios.get(key)
            cells = (
                ("1 (reference)", NONE, NONE, NONE)
                if ratio_ is None
                else (*_ratio_cells(ratio_), _p(compared.holm[key]))
            )
            rows.append((label, f"{events:,} / {n:,}", *cells))
    reference = words.category(compared.reference, cohort.study.labels)
    reasons = dict.fromkeys(filter(None, map(comparison.no_point, compared.ratios.values())))
    return Table(
        cohort.study,
        f"tab-compared-pairs-{measure}",
        f"{name}: odds ratio of each category against {reference}, lines taken as independent.",
        (
            "Category",
            f"{words.MEASURES_SHORT[measure]} / lines",
            "Odds ratio",
            "Exact 95% CI",
            "P",
            "P, Holm",
        ),
        rows,
        (
            "Conditional maximum likelihood estimates with Fisher's exact intervals and tests. "
            "They take lines as independent: if lines of one patient are alike, the intervals are "
            "too narrow. The reference is the category with most lines.",
            *(f"A dash in place of an odds ratio: {why}." for why in reasons),
        ),
        own_mark(cohort.study),
    )


def _ratio_cells(test: Fisher) -> tuple[str, str, str]:
    """Odds ratio, exact limits and P, as far as the two categories have them."""
    if test.low is None:
        return NONE, NONE, NONE
    point = NONE if comparison.no_point(test) else ratio(test.odds_ratio)
    high = "no limit" if test.high is None else ratio(test.high)
    return point, f"{ratio(test.low)} to {high}", p_value(test.p)


def _p(p: float | None) -> str:
    return NONE if p is None else p_value(p)


def multiplicity(cohort: Cohort) -> Text:
    """How many comparisons were made, and what chance alone would bring."""
    if _one_category(cohort):
        return text(cohort.study, ONE_CATEGORY)
    categories = len(comparison.counts(cohort, "orr").present)
    possible = words.count(categories * (categories - 1) // 2, "pair")
    sentences = [
        f"The {categories} categories with lines form {possible}, and there are two measures."
    ]
    printed = sum(
        p is not None
        for measure in comparison.MEASURES
        for p in comparison.pairs(cohort, measure).holm.values()
    )
    sentences.append(
        f"This chapter prints {words.count(printed, 'pairwise P-value')}."
        if printed
        else "No pair has a P-value here."
    )
    if printed > 1:
        chance = percent(1 - (1 - ALPHA) ** printed)
        sentences.append(
            "If all rates were equal and the tests independent, the chance of at least one P below "
            f"{ALPHA} would be {chance}. Holm's adjustment allows for the pairs of one measure."
        )
    if printed:
        sentences.append("No comparison here is confirmatory.")
    return text(cohort.study, " ".join(sentences))


def detectable(cohort: Cohort) -> Shown:
    """The smallest difference in response rate that two categories of these sizes could show."""
    pairs_of_categories = comparison.detectable(cohort)
    if not pairs_of_categories:
        return Absent(cohort.study, ONE_CATEGORY)
    labels = {key: words.category(key, cohort.study.labels) for key in CATEGORY_KEYS}
    base = response.BASE_RATE
    names = {"largest": "The two largest", "smallest": "The two smallest"}
    rows = [
        (
            f"{names[name]}: {labels[pair.first]}, {labels[pair.second]}",
            f"{pair.n_first:,} and {pair.n_second:,}",
            percent(base),
            percent(base + pair.difference) if pair.difference is not None else NONE,
            f"{100 * pair.difference:.0f}" if pair.difference is not None else NONE,
        )
        for name, pair in pairs_of_categories.items()
        if name == "largest" or pair != pairs_of_categories["largest"]
    ]
    return Table(
        cohort.study,
        "tab-compared-detectable",
        f"The smallest difference from a response rate of {percent(base)} that two categories"
        " could have shown.",
        ("Categories", "Lines", "Rate in one, %", "Rate in the other, %", "Difference, points"),
        [tuple(cell.rstrip("%") for cell in row) for row in rows],
        (
            f"With {percent(response.POWER)} power at a two-sided level of 5%, by the arcsine "
            "transformation, for one comparison and with lines as if independent. "
            "Several comparisons, and patients who repeat, make the difference larger. The rate in "
            "one category is chosen; from another rate, another difference could be shown.",
            "A dash: not even a rate of 100% would have been enough.",
        ),
        own_mark(cohort.study),
    )
