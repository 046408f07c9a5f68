"""Tables of other cohorts: what each printed, beside this cohort's own."""

from typing import Final

from salvage import words
from salvage.analysis import response
from salvage.analysis.estimate import Estimate
from salvage.analysis.survival import from_relapse, median
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.disclosure.estimates import screened
from salvage.display.figures import Compared
from salvage.display.show import CLEARED, Absent, Box, Table, Text, answer, text
from salvage.display.wording import interval_text, number, percent, sentence
from salvage.evidence import comparators
from salvage.evidence.comparators import Outcome, Rate
from salvage.report.shared import marks, this_cohort
from salvage.stats.pooling import FEWEST


def context_answer(cohort: Cohort) -> Box:
    """How this cohort lies among the others, and what may be compared."""
    relapse = median(cohort.study, "os.from_relapse.median", from_relapse(cohort))
    return answer(
        cohort.study,
        f"In {this_cohort(cohort.study)} the median survival from relapse was {sentence(relapse)}. "
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
        for o in comparators.outcomes("os_median")
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
        for rate in comparators.rates(key, "orr"):
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
    found = [
        comparators.pooled(key, measure) for key in CATEGORY_KEYS for measure in comparators.RATES
    ]
    others = [one.studies for one in found if isinstance(one, comparators.NotPooled)]
    done = len(found) - len(others)
    most = f", and no {'other ' if done else ''}rate has more than {max(others)}" if others else ""
    return text(
        CLEARED,
        f"Of {len(found)} rates, {done or 'none'} {'is' if done < 2 else 'are'} pooled: pooling"
        f" needs at least {FEWEST} comparable counts{most}.",
    )


SECONDARY = "secondary"
FIRST_LINE = "patients at first salvage line"
EVENTS = "events over all lines"


def reported(cohort: Cohort, key: str) -> Table | Absent:
    """Response rates of one category in other studies; the cohort does not enter."""
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


DERIVED_NOTE = (
    "An interval is exact where the count is printed, or where one count alone rounds to the"
    " printed rate; otherwise as printed, or a dash."
)


def label(item: Rate | Outcome) -> str:
    """Study and group of a printed figure."""
    return item.study.label + (f", {item.group}" if item.group and item.group != "all" else "")


def _rate_cells(rate: Rate) -> tuple[str, ...]:
    interval = (
        "–"
        if rate.low is None or rate.high is None
        else f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
    )
    printed = (
        rate.printed if rate.n is None or "/" in rate.printed else f"{rate.printed} of {rate.n}"
    )
    return printed, interval, rate.counted, rate.read_in


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
                )
            )
    return Table(
        CLEARED,
        "tab-context-studies",
        "Other cohorts of patients with large B-cell lymphoma after CAR-T: size, median overall"
        " survival and where its clock starts.",
        ("Study", "Patients", "Group", "Median OS, months", "Clock", "Read in"),
        rows,
        (
            (
                "Printed in weeks or days: converted at 30.4375 days a month. Secondary: read in"
                " another document that quotes the study."
            ),
        ),
        ("published",),
        left=(0, 1, 2, 4, 5),
        folded=True,
    )


def _size(study: comparators.Study) -> str:
    parts = [
        f"{n:,} {what}"
        for n, what in (
            (study.infused, "infused"),
            (study.failed, "failed"),
            (study.treated, "treated"),
        )
        if n is not None
    ]
    return ", ".join(parts) or study.size or words.NOT_STATED


def _median_cells(outcome: Outcome | None) -> tuple[str, str, str]:
    if outcome is None:
        return "–", "–", "–"
    value = words.NOT_REACHED if outcome.value is None else f"{outcome.value:.1f}"
    if outcome.low is not None and outcome.high is not None:
        value += f" ({outcome.low:.1f} to {outcome.high:.1f})"
    return outcome.group, value, outcome.origin


def own_rates(cohort: Cohort, key: str, measure: str) -> list[tuple[str, Estimate]]:
    """This cohort's rate per patient at first salvage line, then over all lines; sets without
    lines are left out."""
    lines = cohort.category(key)
    first = lines[lines["line"] == 1]
    made = [
        (FIRST_LINE, response.rate_of(cohort.study, measure, first, f"first_line.{key}")),
        (EVENTS, response.rate_of(cohort.study, measure, lines, key)),
    ]
    return [(counted, e) for counted, made_ in made for e in screened(cohort, [made_]) if e.n]


def compared(cohort: Cohort, key: str, measure: comparators.Measure) -> list[Compared]:
    """Rows of a comparator forest: this cohort twice, then the other studies."""
    own = "Synthetic cohort" if cohort.study.synthetic else "This cohort"
    mine = [
        Compared(
            own,
            e.value,
            e.low,
            e.high,
            e.n,
            e.events,
            counted,
            "",
            e.provenance,
            own=True,
            cleared=True,
        )
        for counted, e in own_rates(cohort, key, measure)
    ]
    others = [
        Compared(
            label(r),
            r.value,
            r.low,
            r.high,
            r.n,
            r.events,
            r.counted,
            r.read_in if r.read_in == SECONDARY else "",
        )
        for r in comparators.rates(key, measure)
    ]
    return mine + others


def own_first_lines(cohort: Cohort) -> Table | Absent:
    """This cohort's first-salvage-line rates per patient, then the event rates, by category."""
    rows, made = [], []
    for key in CATEGORY_KEYS:
        for counted, e in own_rates(cohort, key, "orr"):
            made.append(e)
            rows.append(
                (
                    words.category(key, cohort.study.labels),
                    counted,
                    f"{e.events} / {e.n}",
                    percent(e.value),
                    interval_text(e),
                )
            )
    if not rows:
        return Absent(cohort.study, "This cohort holds no salvage line.")
    return Table(
        CLEARED,
        "tab-context-own",
        "Objective response rates of this cohort: patients at first salvage line, then events over"
        " all lines.",
        ("Category", "Counted", "CR or PR", "ORR", "95% CI, %"),
        rows,
        (
            (
                "Other cohorts count patients at their first line after CAR-T, so the first row of"
                " each category is the one to compare."
            ),
        ),
        marks(made),
        left=(0, 1),
    )


def pooling_table() -> Table:
    """For each category: the pooled rate with its prediction interval, or why nothing is pooled."""
    rows = []
    for key in CATEGORY_KEYS:
        for measure in comparators.RATES:
            found = comparators.pooled(key, measure)
            if isinstance(found, comparators.NotPooled):
                rows.append(
                    (
                        words.CATEGORIES[key],
                        words.MEASURES_SHORT[measure],
                        f"{found.studies}",
                        "not pooled",
                        found.reason,
                    )
                )
            else:
                rows.append(
                    (
                        words.CATEGORIES[key],
                        words.MEASURES_SHORT[measure],
                        f"{found.studies}",
                        (
                            f"{number(found.value, 'proportion')} ({100 * found.low:.1f} to"
                            f" {100 * found.high:.1f})"
                        ),
                        (
                            f"tau2 {found.tau2:.2f}; prediction interval"
                            f" {100 * found.predicted_low:.1f} to {100 * found.predicted_high:.1f}"
                        ),
                    )
                )
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


def survival_rows(cohort: Cohort, origin: str, estimate: Estimate) -> list[Compared]:
    """Median overall survival from one origin: this cohort, then the studies whose clock starts
    there."""
    own = "Synthetic cohort" if cohort.study.synthetic else "This cohort"
    mine = [
        Compared(
            own,
            e.value,
            e.low,
            e.high,
            e.n,
            e.events,
            "",
            origin,
            e.provenance,
            own=True,
            cleared=True,
        )
        for e in screened(cohort, [estimate])
    ]
    others = [
        Compared(label(o), o.value, o.low, o.high, o.n, None, "", o.origin)
        for o in comparators.outcomes("os_median")
        if o.origin in ("progression", "late failure") and not o.apart
    ]
    return mine + others
