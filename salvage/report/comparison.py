"""Tables of the chapter that sets the categories side by side."""

from typing import Final

from salvage import words
from salvage.analysis import comparison, response
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.show import Absent, Box, Table, Text, answer, text
from salvage.display.wording import interval_text, p_phrase, p_value, percent, ratio
from salvage.report.shared import EXACT_NOTE, NE_NOTE, WILSON_NOTE, Shown, mark, marks, this_cohort
from salvage.stats.clustered import OddsRatio
from salvage.stats.exact import fisher_2x2

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


NONE: Final = "–"
SHRUNKEN_NOTE: Final = (
    "Shrunken: posterior mean and central 95% interval of a hierarchical beta-binomial model. "
    "Each category borrows strength from the others, small categories most."
)
ONE_CATEGORY: Final = (
    "The lines of this cohort are all of one category: there is nothing to compare."
)


def rates(cohort: Cohort, measure: str) -> Shown:
    """Raw rates with both intervals, beside the shrunken rate, of the six categories."""
    shrunken = comparison.shrunken(cohort, measure)
    rows, made = [], []
    for key in CATEGORY_KEYS:
        exact, wilson = response.both(cohort, measure, cohort.category(key), key)
        label = words.category(key, cohort.study.labels)
        if not exact.n:
            rows.append((label, "0 / 0", NONE, NONE, NONE, NONE, NONE))
            continue
        pulled = shrunken[key]
        made += [exact, wilson, pulled]
        rows.append(
            (
                label,
                f"{exact.events:,} / {exact.n:,}",
                _number(exact.value),
                interval_text(exact),
                interval_text(wilson),
                _number(pulled.value),
                interval_text(pulled) if pulled.value is not None else NONE,
            )
        )
    why = comparison.no_shrinkage(comparison.counts(cohort, measure))
    note = f"No shrunken rates: {why}." if why else SHRUNKEN_NOTE
    name = words.MEASURES[measure]
    return Table(
        cohort.study,
        f"tab-compared-{measure}",
        f"{name} of each category, as counted and shrunken.",
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
        (EXACT_NOTE, WILSON_NOTE, note, NE_NOTE),
        marks(made),
    )


def _number(value: float | None) -> str:
    return NONE if value is None else percent(value).rstrip("%")


def across(cohort: Cohort) -> Shown:
    """Tests that the rates of all categories are equal."""
    if len(comparison.counts(cohort, "orr").present) < 2:
        return Absent(cohort.study, ONE_CATEGORY)
    rows = []
    for measure in comparison.MEASURES:
        name = words.MEASURES_SHORT[measure]
        test = comparison.rao_scott(cohort, measure)
        statistic = f"{test.f:.2f} ({test.df1:.1f}, {test.df2:.1f})" if test else NONE
        rows.append((name, "Rao-Scott", "Yes", statistic, p_value(test.p) if test else NONE))
        exact = comparison.exact_p(comparison.counts(cohort, measure))
        p = NONE if exact is None else p_value(exact)
        rows.append((name, "Exact, k x 2", "No", NONE, p))
    return Table(
        cohort.study,
        "tab-compared-tests",
        "Tests that the response rates of all categories are equal.",
        ("Measure", "Test", "Allows for repeated patients", "F (df)", "P"),
        rows,
        (
            "The exact test takes lines as independent. It is shown as the usual choice, "
            "and is not valid here if lines of one patient are alike.",
            *_reasons(cohort),
        ),
        mark(cohort.study),
        left=(0, 1, 2),
    )


def _reasons(cohort: Cohort) -> list[str]:
    """Why a test of the table is missing, once for each measure and test."""
    found = []
    for measure in comparison.MEASURES:
        name = words.MEASURES_SHORT[measure]
        why = {
            "Rao-Scott test": comparison.no_rao_scott(cohort, measure),
            "exact test": comparison.no_exact(comparison.counts(cohort, measure)),
        }
        found += [f"No {test} of {name}: {reason}." for test, reason in why.items() if reason]
    return found


def pairs(cohort: Cohort, measure: str) -> Shown:
    """Odds ratios against the category with most lines; no P for a measure in which a cell is 0."""
    compared = comparison.pairs(cohort, measure)
    name = words.MEASURES[measure]
    if compared.reason:
        return Absent(
            cohort.study, f"{name}: no odds ratios between categories, because {compared.reason}."
        )
    labels = {key: words.category(key, cohort.study.labels) for key in CATEGORY_KEYS}
    found = comparison.counts(cohort, measure)
    made = {r.category: r for r in compared.ratios}
    with_p = compared.method == comparison.GEE
    rows = []
    for key, events, n in zip(CATEGORY_KEYS, found.events, found.n, strict=True):
        if not n:
            continue
        cells: tuple[str, ...] = ("1 (reference)", NONE, NONE, NONE)
        if key != compared.reference:
            last = (
                _p_cells(made[key], compared) if with_p else (_exact_limits(found, key, compared),)
            )
            middle = _ratio_cells(made[key])
            cells = (*middle, *last) if with_p else (middle[0], *last, middle[1])
        width = 4 if with_p else 3
        rows.append((labels[key], f"{events:,} / {n:,}", *cells[:width]))
    return Table(
        cohort.study,
        f"tab-compared-pairs-{measure}",
        f"{name}: odds ratio of each category against {labels[compared.reference]}.",
        (
            "Category",
            f"{words.MEASURES_SHORT[measure]} / lines",
            "Odds ratio",
            *(("95% CI", "P", "P, Holm") if with_p else ("Exact 95% CI", "Middle 95% of samples")),
        ),
        rows,
        _pair_notes(compared),
        mark(cohort.study),
    )


def _ratio_cells(made: OddsRatio) -> tuple[str, str]:
    if made.odds_ratio is None:
        return NONE, NONE
    return ratio(made.odds_ratio), f"{ratio(made.low)} to {ratio(made.high)}"


def _p_cells(made: OddsRatio, compared: comparison.Pairs) -> tuple[str, str]:
    holm = compared.holm.get(made.category)
    return (
        NONE if made.p is None else p_value(made.p),
        NONE if holm is None else p_value(holm),
    )


def _exact_limits(found: comparison.Counts, key: str, compared: comparison.Pairs) -> str:
    """Exact limits of the conditional odds ratio, lines as independent; the P is not shown."""
    one, base = (CATEGORY_KEYS.index(k) for k in (key, compared.reference))
    test = fisher_2x2(found.events[one], found.n[one], found.events[base], found.n[base])
    if test.low is None:
        return NONE
    return f"{ratio(test.low)} to {ratio(test.high) if test.high is not None else 'no limit'}"


def _pair_notes(compared: comparison.Pairs) -> list[str]:
    if compared.method == comparison.GEE:
        notes = [
            "Generalised estimating equations with independence; standard errors of Mancl and "
            "DeRouen, which allow for patients who repeat and for few patients. "
            "The reference is the category with most lines."
        ]
        reasons = sorted({why for r in compared.ratios if (why := comparison.unknown(r))})
        return notes + [f"A dash where not estimable: {why}." for why in reasons]
    return [
        "In at least one category none or all of the lines responded, so no P is given for any "
        "pair. The odds ratios are approximate: Firth's estimate. The exact intervals are "
        "conditional and take lines as independent. The reference is the category with most lines.",
        "The middle 95% of the odds ratios in samples of patients drawn with replacement allows "
        "for patients who repeat. It is no confidence interval: it is too narrow where responses "
        "are few.",
    ]


def detectable(cohort: Cohort) -> Shown:
    """The smallest difference in response rate that two categories of these sizes could show."""
    found = comparison.detectable(cohort)
    if not found:
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
            f"{100 * pair.difference:.1f}" if pair.difference is not None else NONE,
        )
        for name, pair in found.items()
        if name == "largest" or pair != found["largest"]
    ]
    return Table(
        cohort.study,
        "tab-compared-detectable",
        f"The smallest difference from a response rate of {percent(base, 0)} that two categories"
        " could have shown.",
        ("Categories", "Lines", "Rate in one, %", "Rate in the other, %", "Difference, points"),
        [tuple(cell.rstrip("%") for cell in row) for row in rows],
        (
            f"With {percent(response.POWER, 0)} power at a two-sided level of 5%, by the arcsine "
            "transformation, for one comparison and with lines as if independent. "
            "Several comparisons, and patients who repeat, make the difference larger. The rate in "
            "one category is chosen; from another rate, another difference could be shown.",
            "A dash: not even a rate of 100% would have been enough.",
        ),
        mark(cohort.study),
    )
