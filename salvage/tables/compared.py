"""Tables of the chapter that sets the categories side by side."""

from typing import Final

from salvage import comparison, response, words
from salvage.cohort import Cohort
from salvage.estimate import interval_text, p_value, percent, ratio
from salvage.schema import CATEGORY_KEYS
from salvage.show import Absent, Table
from salvage.stats.clustered import OddsRatio
from salvage.stats.exact import fisher_2x2
from salvage.tables import EXACT_NOTE, NE_NOTE, WILSON_NOTE, Shown, mark, marks

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
        return Absent(ONE_CATEGORY)
    rows = []
    for measure in comparison.MEASURES:
        name = words.MEASURES_SHORT[measure]
        test = comparison.rao_scott(cohort, measure)
        statistic = f"{test.f:.2f} ({test.df1:.1f}, {test.df2:.1f})" if test else NONE
        rows.append((name, "Rao-Scott", "Yes", statistic, p_value(test.p) if test else NONE))
        exact = comparison.exact_p(cohort, measure)
        p = NONE if exact is None else p_value(exact)
        rows.append((name, "Exact, k x 2", "No", NONE, p))
    return Table(
        "tab-compared-tests",
        "Tests that the response rates of all categories are equal.",
        ("Measure", "Test", "Allows for repeated patients", "F (df)", "P"),
        rows,
        (
            "The exact test takes lines as independent. It is shown as the usual choice, "
            "and is not valid here if lines of one patient are alike.",
            *_reasons(cohort),
        ),
        mark(cohort),
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
        return Absent(f"{name}: no odds ratios between categories, because {compared.reason}.")
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
        mark(cohort),
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
        return Absent(ONE_CATEGORY)
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
        mark(cohort),
    )
