"""The chapter that sets this cohort beside others: what each printed, and what can be compared."""

from typing import Final

from salvage import words
from salvage.analysis import response, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.disclosure.estimates import screened
from salvage.display import figures, show
from salvage.display.figures import Compared
from salvage.display.show import CLEARED, Absent, Box, Figure, Table, Text, text
from salvage.display.wording import interval_text, median_text, percent, rate_text, sentence
from salvage.evidence import comparators
from salvage.evidence.comparators import NotPooled, Outcome, Rate
from salvage.evidence.verdicts import Verdict
from salvage.report.shared import marks, not_estimable, paragraph, this_cohort
from salvage.stats.pooling import FEWEST

FEW_LINES: Final = 200
#: An interval of a rate that is wider than this agrees with very different rates.
WIDE: Final = 0.3
SECONDARY: Final = "secondary"
FIRST_LINE: Final = "patients at first salvage line"
EVENTS: Final = "events over all lines"
#: How ``data/comparators.yaml`` says that a rate is of first salvage lines.
AT_FIRST_LINE: Final = "patients at their first line after CAR-T"
FAILURE, OTHER_CLOCK, UNKNOWN_CLOCK = "failure", "treatment", "unknown"
DERIVED_NOTE: Final = (
    "An interval is exact where the count is printed, or where one count alone rounds to the"
    " printed rate; otherwise as printed, or a dash."
)
#: Each verdict on a printed figure, as a table says it.
FITS: Final[dict[Verdict, str]] = {
    "possible": "fit",
    "truncated": "cut off",
    "other_method": "by another method",
    "other_denominator": "of another n",
    "impossible": "do not fit",
    "question": "open",
}
RESPONSE_TO: Final = {
    "bispecific": "bispecific antibodies",
    "second_cart": "a second CAR-T infusion",
    "radiotherapy": "radiotherapy",
    "polatuzumab": "polatuzumab-based regimens",
    "checkpoint": "checkpoint inhibitors",
    "other": "other drugs",
}


def answer(cohort: Cohort) -> Box:
    """How this cohort lies among the others, and what may be compared."""
    few = (
        "Other cohorts count patients, the index study counts events over all lines. Only the rates"
        " of this cohort at first salvage line are comparable in kind, and they rest on few"
        " patients."
    )
    many = (
        "Other cohorts count patients; only the rates at first salvage line are comparable in kind."
    )
    return show.answer(
        cohort.study,
        f"In {this_cohort(cohort.study)} the median survival from relapse was"
        f" {sentence(_median_from_relapse(cohort))}. {_medians_of_others()}",
        _overlap(cohort),
        few if len(cohort.salvage) < FEW_LINES else many,
        name="answer-context",
    )


def _median_from_relapse(cohort: Cohort) -> Estimate:
    return survival.estimates(cohort)["os.from_relapse.median"]


def _medians_of_others() -> str:
    medians = [
        f"{o.value:.1f} months ({o.study.label})"
        for o in comparators.outcomes("os_median")
        if o.origin == "progression" and o.group == "all" and o.value is not None
    ]
    if len(medians) == 1:
        return f"Another cohort whose clock starts at progression printed {medians[0]}."
    return f"Other cohorts whose clock starts at progression printed {words.listing(medians)}."


def units_of_others() -> Text:
    """What the other studies count, and from where they count survival, as far as they say."""
    rates = comparators.comparators().rates
    first = [rate for rate in rates if rate.counted == AT_FIRST_LINE]
    studies = words.listing(sorted({rate.study.label for rate in first}))
    origins: dict[str, set[str]] = {}
    for outcome in comparators.outcomes("os_median"):
        origins.setdefault(outcome.study.key, set()).add(outcome.origin)
    kinds = [_clock(printed) for printed in origins.values()]
    return text(
        CLEARED,
        f"Of the {len(rates)} response rates of other studies listed in this book, {len(first)}"
        f" count patients at their first salvage line, all of them from {studies}. The others count"
        " patients and do not say at which line.",
        f"Of the {len(kinds)} studies that print a median overall survival,"
        f" {kinds.count(FAILURE)} count it from progression or failure after CAR-T,"
        f" {kinds.count(OTHER_CLOCK)} from the start of a treatment, and"
        f" {kinds.count(UNKNOWN_CLOCK)} do not say in the text that was read.",
    )


def _clock(origins: set[str]) -> str:
    """From where a study counts survival."""
    if origins == {words.NOT_STATED}:
        return UNKNOWN_CLOCK
    return FAILURE if origins <= {"progression", "late failure"} else OTHER_CLOCK


def _overlap(cohort: Cohort) -> str:
    """How many of the other studies' response rates lie inside this cohort's first-line
    interval."""
    inside, widths = 0, []
    for key in CATEGORY_KEYS:
        own = own_rates(cohort, key, "orr").get(FIRST_LINE)
        if own is None or own.low is None or own.high is None:
            continue
        for rate in comparators.rates(key, "orr"):
            inside += own.low <= rate.value <= own.high
            widths.append(own.high - own.low)
    if not widths:
        return "No category has both a first-line rate here and a printed rate elsewhere."
    printed = words.count(len(widths), "printed objective response rate")
    lie = "lies" if inside == 1 else "lie"
    wide = inside > len(widths) / 2 and min(widths) > WIDE
    return paragraph(
        f"Of {printed} in the same categories, {inside} {lie} inside the interval of this cohort's"
        " own first-line rate.",
        "Intervals as wide as these agree with almost anything." if wide else "",
    )


def own_rates(cohort: Cohort, key: str, measure: str) -> dict[str, Estimate]:
    """This cohort's rate per patient at first salvage line, then over all lines, by what is
    counted; sets without lines are left out."""
    ids = (f"{measure}.first_line.{key}", f"{measure}.{key}")
    rates = screened(cohort, [response.estimates(cohort)[id] for id in ids])
    return {counted: e for counted, e in zip((FIRST_LINE, EVENTS), rates, strict=True) if e.n}


def own_first_lines(cohort: Cohort) -> Table | Absent:
    """This cohort's first-salvage-line rates per patient, then the event rates, by category."""
    rates = [
        (words.category(key, cohort.study.labels), counted, e)
        for key in CATEGORY_KEYS
        for counted, e in own_rates(cohort, key, "orr").items()
    ]
    if not rates:
        return Absent(cohort.study, "This cohort holds no salvage line.")
    return Table(
        CLEARED,
        "tab-context-own",
        "Objective response rates of this cohort: patients at first salvage line, then events over"
        " all lines.",
        ("Category", "Counted", "CR or PR", "ORR", "95% CI, %"),
        [
            (category, counted, f"{e.events} / {e.n}", rate_text(e), interval_text(e))
            for category, counted, e in rates
        ],
        ("Other cohorts count patients, so the first row of each category is the one to compare.",),
        marks([e for _, _, e in rates]),
        left=(0, 1),
    )


def studies() -> Table:
    """Every cohort after CAR-T failure: size, median survival and its origin."""
    rows = []
    for study in comparators.comparators().studies.values():
        medians = [o for o in comparators.outcomes("os_median") if o.study.key == study.key]
        for i, outcome in enumerate(medians or [None]):
            rows.append(
                (
                    study.label if i == 0 else "",
                    _size(study) if i == 0 else "",
                    *_median_cells(outcome),
                    study.read_in if i == 0 else "",
                    _fitting(study.key) if i == 0 else "",
                )
            )
    return Table(
        CLEARED,
        "tab-context-studies",
        "Other cohorts of patients with large B-cell lymphoma after CAR-T: size, median overall"
        " survival and where its clock starts.",
        ("Study", "Patients", "Group", "Median OS, months", "Clock", "Read in", "Its figures"),
        rows,
        (
            "Printed in weeks or days: converted at 30.4375 days a month. Secondary: read in"
            " another document that quotes the study.",
            "Its figures: how many of all that are quoted here fit what is printed with them;"
            " open where that cannot be decided. The next table lists each.",
        ),
        ("published",),
        left=(0, 1, 2, 4, 5, 6),
        folded=True,
    )


def _fitting(key: str) -> str:
    """How many of a study's printed figures have each verdict."""
    found = [one.finding.verdict for one in comparators.audited(key)]
    said = (f"{found.count(verdict)} {word}" for verdict, word in FITS.items() if verdict in found)
    return ", ".join(said)


def printed_figures() -> Table:
    """Every printed figure of the other cohorts with its verdict and the arithmetic."""
    rows = [
        (one.case.name, one.given.get("label", ""), one.printed,
         FITS[one.finding.verdict], one.finding.arithmetic)
        for key in comparators.comparators().studies
        for one in comparators.audited(key)
    ]  # fmt: skip
    return Table(
        CLEARED,
        "tab-context-audit",
        "Which printed figures of the other cohorts fit what is printed with them.",
        ("Study", "Figure", "As printed", "Verdict", "Arithmetic"),
        rows,
        (
            "As printed in the abstract or where it is quoted. A verdict is about digits: another"
            " method, another number of patients and a misprint look alike.",
        ),
        ("published", "implied"),
        left=(0, 1, 2, 3, 4),
        folded=True,
    )


def _size(study: comparators.Publication) -> str:
    known = {"infused": study.infused, "failed": study.failed, "treated": study.treated}
    parts = [f"{n:,} {what}" for what, n in known.items() if n is not None]
    return ", ".join(parts) or study.size or words.NOT_STATED


def _median_cells(outcome: Outcome | None) -> tuple[str, str, str]:
    if outcome is None:
        return "–", "–", "–"
    value = words.NOT_REACHED if outcome.value is None else f"{outcome.value:.1f}"
    if outcome.low is not None and outcome.high is not None:
        value += f" ({outcome.low:.1f} to {outcome.high:.1f})"
    return outcome.group, value, outcome.origin


def label(item: Rate | Outcome) -> str:
    """Study and group of a printed figure."""
    return item.study.label + (f", {item.group}" if item.group and item.group != "all" else "")


def survival_forest(cohort: Cohort) -> Figure | Absent:
    """Median survival from relapse, then that of the studies whose clock starts there."""
    own = screened(cohort, [_median_from_relapse(cohort)])
    return figures.comparator_forest(
        cohort.study,
        [
            *(_own_row(cohort, e, origin="relapse") for e in own),
            *(
                Compared(label(o), o.value, o.low, o.high, o.n, origin=o.origin)
                for o in comparators.outcomes("os_median")
                if o.origin in ("progression", "late failure") and not o.apart
            ),
        ],
        "fig-context-survival",
        "Median overall survival from progression or relapse after CAR-T",
        unit="months",
        axis="Median overall survival from progression or relapse, months",
    )


def _own_row(cohort: Cohort, e: Estimate, counted: str = "", origin: str = "") -> Compared:
    """The row of this cohort, cleared for a public book by :func:`screened`."""
    return Compared(
        "Synthetic cohort" if cohort.study.synthetic else "This cohort",
        e.value,
        e.low,
        e.high,
        e.n,
        e.events,
        counted,
        origin,
        e.provenance,
        own=True,
        cleared=True,
    )


def rate_forest(cohort: Cohort, key: str, measure: comparators.Measure = "orr") -> Figure | Absent:
    """Response to one category: here at first salvage line and over all lines, then elsewhere."""
    name, response_ = {
        "orr": (f"fig-context-{words.slug(key)}", "Objective response"),
        "cr": (f"fig-context-{words.slug(key)}-cr", "Complete response"),
    }[measure]
    return figures.comparator_forest(
        cohort.study,
        [
            *(
                _own_row(cohort, e, counted)
                for counted, e in own_rates(cohort, key, measure).items()
            ),
            *(
                Compared(
                    label(rate),
                    rate.value,
                    rate.low,
                    rate.high,
                    rate.n,
                    rate.events,
                    rate.counted,
                    SECONDARY if rate.read_in == SECONDARY else "",
                    decimal=_decimal(rate),
                )
                for rate in comparators.rates(key, measure)
            ),
        ],
        name,
        f"{response_} to {RESPONSE_TO[key]}",
    )


def pooling_table() -> Table:
    """For each category: the pooled rate with its prediction interval, or why nothing is pooled."""
    rows = []
    for key in CATEGORY_KEYS:
        for measure in comparators.RATES:
            pooled = comparators.pooled(key, measure)
            cells = (
                ("not pooled", pooled.reason)
                if isinstance(pooled, NotPooled)
                else (
                    f"{percent(pooled.value, decimal=True)}"
                    f" ({100 * pooled.low:.1f} to {100 * pooled.high:.1f})",
                    f"tau2 {pooled.tau2:.2f}; prediction interval"
                    f" {100 * pooled.predicted_low:.1f} to {100 * pooled.predicted_high:.1f}",
                )
            )
            names = words.CATEGORIES[key], words.MEASURES_SHORT[measure]
            rows.append((*names, f"{pooled.studies}", *cells))
    return Table(
        CLEARED,
        "tab-context-pooling",
        "Pooling of comparable counts: random effects where at least three are known, otherwise why"
        " not.",
        ("Category", "Rate", "Comparable", "Pooled rate (95% CI)", "Between studies, or why not"),
        rows,
        ("This book's own cohort is never pooled with others.",),
        ("published", "implied"),
        left=(0, 1, 3, 4),
    )


def pooling() -> Text:
    """How many rates could be pooled."""
    rates = [
        comparators.pooled(key, measure) for key in CATEGORY_KEYS for measure in comparators.RATES
    ]
    comparable = [rate.studies for rate in rates if isinstance(rate, NotPooled)]
    n, done, fewest = len(rates), len(rates) - len(comparable), FEWEST
    are = "is" if done == 1 else "are"
    if not done:
        result = (
            f"Of {n} rates, none is pooled: pooling needs at least {fewest} comparable counts, and"
            f" no rate has more than {max(comparable)}."
        )
    elif comparable:
        result = (
            f"Of {n} rates, {done} {are} pooled: pooling needs at least {fewest} comparable counts,"
            f" and no other rate has more than {max(comparable)}."
        )
    else:
        result = (
            f"Of {n} rates, {done} {are} pooled: pooling needs at least {fewest} comparable counts."
        )
    return text(CLEARED, result)


# --- in the chapter of each category --------------------------------------------------------------


def reported(cohort: Cohort, key: str) -> Table | Absent:
    """Response rates of one category in other studies; this book's cohort has no row."""
    rows = [
        (label(rate), words.MEASURES_SHORT[measure], *_rate_cells(rate))
        for measure in comparators.RATES
        for rate in comparators.rates(key, measure)
    ]
    if not rows:
        return Absent(
            CLEARED,
            "No other study of this book's list prints a response rate of this category.",
        )
    return Table(
        CLEARED,
        f"tab-{words.slug(key)}-reported",
        f"{words.CATEGORIES[key]}: response rates that other studies printed.",
        ("Study", "Rate", "Printed", "95% CI, %", "Counted", "Read in"),
        rows,
        (DERIVED_NOTE,),
        ("published",),
        left=(0, 1, 4, 5),
    )


def _rate_cells(rate: Rate) -> tuple[str, ...]:
    interval = (
        "–"
        if rate.low is None or rate.high is None
        else " to ".join(
            percent(limit, decimal=_decimal(rate)).rstrip("%") for limit in (rate.low, rate.high)
        )
    )
    printed = (
        rate.printed if rate.n is None or "/" in rate.printed else f"{rate.printed} of {rate.n}"
    )
    return printed, interval, rate.counted, rate.read_in


#: What is stated of the first salvage line of each patient besides its response.
FIRST_DURATIONS: Final = ("pfs", "ttnt", "os_from_start")


def first_lines(cohort: Cohort, category: str = response.ALL) -> Table | Absent:
    """Response, PFS, TTNT and survival of each patient's first salvage line, then what other
    studies printed of PFS; in one category, or in all."""
    every = category == response.ALL
    medians = survival.line_medians(cohort, category, "first")
    own = {
        words.MEASURES["orr"]: response.estimates(cohort)[f"orr.first_line.{category}"],
        **{
            words.DURATIONS[d]: medians[f"{d}.first_line.{category}.median"]
            for d in FIRST_DURATIONS
        },
    }
    here = "Synthetic cohort" if cohort.study.synthetic else "This cohort"
    shown = zip(own, screened(cohort, [*own.values()]), strict=True)
    used = {measure: e for measure, e in shown if e.n}
    rows = [
        (
            here,
            measure,
            f"{e.events:,} / {e.n:,}",
            _first_cell(e),
            "start of the line" if e.unit == "months" else "–",
        )
        for measure, e in used.items()
    ]
    others = [
        (
            label(outcome),
            words.DURATIONS["pfs"],
            "–" if outcome.n is None else f"– / {outcome.n:,}",
            *_median_cells(outcome)[1:],
        )
        for outcome in comparators.outcomes("pfs_median")
        if outcome.category == (None if every else category)
    ]
    name = f"tab-{'context' if every else words.slug(category)}-first-line"
    if not rows and not others:
        return Absent(
            CLEARED,
            "No other study of this book's list prints the progression-free survival of this "
            "category.",
            name,
        )
    treatment = "" if every else f"{words.category_prose(category, cohort.study.labels)} as "
    beside = ", beside the progression-free survival that other studies printed" if others else ""
    return Table(
        CLEARED,
        name,
        f"{words.capital(treatment + 'the first salvage line of each patient')}{beside}.",
        ("Cohort", "Measure", "Events / patients", "% or months (95% CI)", "Clock starts at"),
        [*rows, *others],
        (
            "A patient counts once. Medians by Kaplan-Meier, or as printed.",
            *not_estimable(
                (measure, e) for measure, e in used.items() if median_text(e) == words.NOT_ESTIMABLE
            ),
        ),
        (*(("published",) if others else ()), *marks([*used.values()])),
        left=(0, 1, 4),
    )


def _first_cell(e: Estimate) -> str:
    """A rate in percent or a median in months, with its interval where it has one."""
    value = median_text(e) if e.unit == "months" else rate_text(e)
    return value if e.low is None and e.high is None else f"{value} ({interval_text(e)})"


def _decimal(rate: Rate) -> bool:
    """Whether the source prints a decimal."""
    return "." in rate.printed
