"""Public forms: what a public book shows in the place of a table, figure or short answer.

They are made from the release alone. :data:`FORMS` has one function for each thing that has one,
by its name; the rest is hidden. A function returns ``None`` where nothing of it may be shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from salvage import words
from salvage.analysis import prognosis, response, safety, survival
from salvage.analysis.counts import COUNTS
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.disclosure import estimates, linked_counts
from salvage.disclosure.linked_counts import ALL, LINES
from salvage.disclosure.release import Release
from salvage.display import figures, show
from salvage.display.show import CLEARED, Absent, Box, Figure, Shown, Table
from salvage.display.wording import (
    interval_text,
    p_value,
    rate_text,
    ratio,
    sentence,
    value_text,
)
from salvage.report.safety import nothing
from salvage.report.shared import (
    EXACT_NOTE,
    NE_NOTE,
    absent_category,
    median_cells,
    of,
    rate_cells,
    responses_note,
)

MASKED: Final = "hidden"
NONE_OF_NONE: Final = "0 / 0"
NOT_AT_STEP: Final = "–"
Form = Callable[[Release], Shown | None]
LINE_NAMES: Final = {ALL: "All lines", "first": "First salvage line", "later": "Later lines"}
ORIGINS: Final = {"os": "Infusion", "os.from_relapse": "Relapse"}
FROM: Final = {"os": "CAR-T infusion", "os.from_relapse": "relapse"}
TIMES_NOTE: Final = (
    "Deaths and last contacts are counted in intervals of whole months that hold enough of each, "
    "and stand at the end of their interval. Medians, their limits, survival and ratios are of "
    "these times, so they can differ from those of the exact times by the length of an interval."
)


def hidden_note(study: Study) -> str:
    """Under every table with hidden counts: what is hidden, and why."""
    return (
        f"Hidden: a number below {study.suppress_below}, one that would let such a number be "
        "worked back, or a figure that rests on either."
    )


def _number(value: int | None) -> str:
    return MASKED if value is None else f"{value:,}"


def _share(part: int | None, total: int | None) -> str:
    return _number(part) if part is None or total is None else of(part, total)


def _table(
    release: Release,
    name: str,
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
) -> Table:
    """A cleared table; it says what is hidden where anything is."""
    some = any(cell == MASKED for row in rows for cell in row)
    why = [hidden_note(release.study)] if some else []
    return Table(CLEARED, name, caption, head, rows, [*notes, *why], own_mark(release.study))


def _all_hidden(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table would say nothing but what it hides.

    A row of 0 of 0 has nothing to show; a table of such rows alone has nothing to hide either.
    """
    of_some = [cells for _, *cells in rows if cells[0] != NONE_OF_NONE]
    return bool(of_some) and all(set(cells) == {MASKED} for cells in of_some)


def _rate(release: Release, measure: str, category: str, line: str = ALL) -> Estimate | None:
    """A response rate of the release, ``None`` where it would tell a hidden count."""
    key, _ = response.group(release.study, category, line)
    return estimates.estimates(release).get(f"{measure}.{key}")


def _rate_cells(e: Estimate | None) -> tuple[str, str, str]:
    if e is None:
        return MASKED, MASKED, MASKED
    return rate_cells(e)


# What the short answer of a page can say: the label of each estimate, by its id. A count follows
# its number, so its label is in the plural.
ANSWERS: Final[Mapping[str, Mapping[str, str]]] = {
    "summary": {
        "n.patients": "patients",
        "n.events": "salvage lines",
        "deaths": "deaths",
        "orr.first_line.all": "objective response rate at the first salvage line",
        "orr.all": "objective response rate over all lines",
        "os.from_relapse.median": "median overall survival from relapse",
    },
    "cohort": {
        "n.patients": "patients",
        "n.treated": "patients with salvage therapy",
        "n.late": "patients with late relapse",
        "deaths": "deaths",
    },
    "overview": {
        "n.events": "salvage lines",
        "orr.first_line.all": "objective response rate at the first salvage line",
        "orr.all": "objective response rate over all lines",
        "cr.all": "complete response rate over all lines",
    },
    "compared": {
        "orr.all": "objective response rate over all categories",
        "cr.all": "complete response rate over all categories",
        "compare.orr.exact.p": "P of equal objective response rates",
        "compare.cr.exact.p": "P of equal complete response rates",
    },
    "survival": {
        "os.median": "median overall survival from CAR-T infusion",
        "os.from_relapse.median": "median overall survival from relapse",
    },
    "context": {
        "orr.all": "objective response rate over all lines",
        "os.from_relapse.median": "median overall survival from relapse",
    },
    **{
        page: {
            "cox.late_vs_early.hr": "hazard ratio of late against early relapse from infusion",
            "cox.late_vs_early.from_relapse.hr": "the same from relapse",
        }
        for page in ("prognosis", "bias")
    },
}


def answer(release: Release, page: str) -> Box:
    """The short answer of a page, as far as the release has it."""
    released = estimates.estimates(release)
    labels = _published_first(release.study, ANSWERS[page])
    return _answer({label: released.get(id) for id, label in labels.items()})


def _published_first(study: Study, labels: Mapping[str, str]) -> Mapping[str, str]:
    """The labels, in a synthetic study the rate over all lines before that of the first salvage
    line."""
    swapped = {"orr.first_line.all": "orr.all", "orr.all": "orr.first_line.all"}
    if not study.synthetic or not swapped.keys() <= labels.keys():
        return labels
    return {id: labels[id] for id in (swapped.get(id, id) for id in labels)}


def _answer(by_label: Mapping[str, Estimate | None]) -> Box:
    # What is released but cannot be estimated, such as a test of too many lines, is left out.
    known = {label: e for label, e in by_label.items() if e and e.value is not None}
    hidden = [label for label, e in by_label.items() if e is None]
    return show.answer(
        CLEARED,
        f"{_counts(known)} {_values(known)}".strip(),
        f"Hidden for disclosure control: {words.listing(hidden)}." if hidden else "",
    )


def _counts(known: Mapping[str, Estimate]) -> str:
    """The counts among the estimates as one sentence: ``60 patients and 7 deaths are recorded.``"""
    counts = {label: int(e.value or 0) for label, e in known.items() if e.unit == "count"}
    if not counts:
        return ""
    verb = "is" if [*counts.values()] == [1] else "are"
    numbers = [
        words.count(number, label.replace("patients", "patient").removesuffix("s"), label)
        for label, number in counts.items()
    ]
    return f"{words.listing(numbers)} {verb} recorded."


def _values(known: Mapping[str, Estimate]) -> str:
    """The other estimates as one sentence; a P is not an estimate with an interval."""
    values = [
        f"{label} {p_value(e.value) if e.id.endswith('.p') else sentence(e)}"
        for label, e in known.items()
        if e.unit != "count"
    ]
    return f"{words.capital('; '.join(values))}." if values else ""


def category_answer(release: Release, key: str) -> Box | Absent:
    """Responses of one category, or that nobody received it."""
    return _nobody(release, key) or _answer(
        {
            "objective response rate": _rate(release, "orr", key),
            "complete response rate": _rate(release, "cr", key),
        }
    )


def _nobody(release: Release, key: str) -> Absent | None:
    """The sentence of a category that nobody received, where that may be said."""
    if release.count(f"lines.{key}.{ALL}.any") != 0:
        return None
    return replace(absent_category(release.study, key), study=CLEARED)


def safety_answer(release: Release) -> Box | Absent | None:
    """Patients with the events that have estimates of their own."""
    if "term.fever.any" not in release.counts:
        return None if release.study.suppress_zero else nothing(CLEARED)
    released = estimates.estimates(release)
    return _answer(
        {
            f"patients with {safety.LABELS.get(term, term)}": released.get(f"ae.{key}.patients")
            for term, key in safety.TERMS.items()
        }
    )


# --- counts and rates -----------------------------------------------------------------------------


def six_numbers(release: Release) -> Table:
    """The numbers of the summary."""
    labels = {
        "n.patients": "Patients",
        "n.events": "Salvage treatment events",
        "deaths": "Deaths",
        "os.median": "Median OS from infusion",
        "os.from_relapse.median": "Median OS from relapse",
        "orr.first_line.all": "Objective response rate, first salvage line",
        "orr.all": "Objective response rate, all salvage lines",
    }
    rows = []
    for id, label in _published_first(release.study, labels).items():
        e = estimates.estimates(release).get(id)
        value, interval = (MASKED, MASKED) if e is None else (value_text(e), interval_text(e))
        rows.append((label, value, "–" if id in COUNTS else interval))
    return _table(
        release,
        "tab-summary-cohort",
        "The cohort in numbers.",
        ("Quantity", "Value", "95% CI"),
        rows,
        (TIMES_NOTE,),
    )


def relapse_groups(release: Release) -> Table:
    """Patients and deaths, by treatment and by relapse timing."""
    labels = {
        "all": "All patients",
        "treated": "With salvage therapy",
        "untreated": "Without salvage therapy",
    }
    labels |= words.RELAPSE_GROUPS
    rows = []
    for key, label in labels.items():
        died = "patients.died" if key == "all" else f"patients.{key}.died"
        n = release.count(f"patients.{key}")
        rows.append(
            (label, _share(n, release.count("patients.all")), _share(release.count(died), n))
        )
    cut = f"{release.study.early_relapse_months:g}"
    return _table(
        release,
        "tab-cohort-relapse",
        "Patients and deaths, by salvage therapy and by time of relapse.",
        ("Group", "Patients (%)", "Deaths (%)"),
        rows,
        (
            f"Early: relapse at month {cut} or before, counted from the first CAR-T infusion. "
            "Late: after it.",
        ),
    )


def baseline(release: Release) -> Table:
    """Yes/no items of the baseline, all patients together."""
    rows, absent = [], []
    for column, label in linked_counts.BASELINE.items():
        yes, no, recorded, missing = (
            release.count(f"baseline.{column}.{part}")
            for part in ("yes", "no", "recorded", "missing")
        )
        if recorded == 0:
            absent.append(label)
            continue
        rows.append(
            (label, MASKED if yes is None else _share(yes, recorded), _number(no), _number(missing))
        )
    return _table(
        release,
        "tab-cohort-baseline",
        "Baseline of the patients before the first CAR-T infusion.",
        ("Characteristic", "Patients (%)", "Without it", "Not recorded"),
        rows,
        (
            "Percentages are of the patients with the value recorded.",
            *([f"Not recorded for any patient: {'; '.join(absent)}."] if absent else []),
        ),
    )


def lines(release: Release) -> Table:
    """Lines of each category, first and later."""
    rows = [
        (
            words.category(key, release.study.labels) if key != ALL else "All categories",
            *(_number(release.count(f"lines.{key}.{line}.any")) for line in LINES),
        )
        for key in (*CATEGORY_KEYS, ALL)
    ]
    return _table(
        release,
        "tab-overview-lines",
        "Salvage lines by category: all, first and later lines.",
        ("Category", *LINE_NAMES.values()),
        rows,
        ("A first salvage line is one patient's first treatment after CAR-T failure.",),
    )


def responses(release: Release) -> Table:
    """Best responses of all lines by category."""
    kinds = ("any", "cr", "pr", *linked_counts.APART)
    rows = [
        (
            words.category(key, release.study.labels) if key != ALL else "All categories",
            *(_number(release.count(f"lines.{key}.{ALL}.{kind}")) for kind in kinds),
        )
        for key in (*CATEGORY_KEYS, ALL)
    ]
    return _table(
        release,
        "tab-overview-responses",
        "Best responses of salvage lines by category.",
        ("Category", "Lines", *words.RESPONSES),
        rows,
        (responses_note(),),
    )


RATE_HEAD: Final = ("Responses / lines", "Rate, %", "Exact 95% CI, %")


def rates(release: Release, measures: Sequence[str], name: str, caption: str) -> Table | None:
    """Rates of each category over all lines."""
    rows = []
    for key in (*CATEGORY_KEYS, ALL):
        label = words.category(key, release.study.labels) if key != ALL else "All categories"
        for measure in measures:
            short = f": {words.MEASURES_SHORT[measure]}" if len(measures) > 1 else ""
            rows.append((label + short, *_rate_cells(_rate(release, measure, key))))
    if _all_hidden(rows):
        return None
    return _table(release, name, caption, ("Category", *RATE_HEAD), rows, (EXACT_NOTE, NE_NOTE))


def category_rates(release: Release, key: str) -> Table | Absent | None:
    """ORR and CR of one category over all its lines, at first and at later salvage lines."""
    if nobody := _nobody(release, key):
        return nobody
    rows = [
        (
            f"{LINE_NAMES[line]}: {words.MEASURES_SHORT[measure]}",
            *_rate_cells(_rate(release, measure, key, line)),
        )
        for line in LINES
        for measure in ("orr", "cr")
    ]
    if _all_hidden(rows):
        return None
    return _table(
        release,
        f"tab-{words.slug(key)}-rates",
        f"{words.category(key, release.study.labels)}: responses over all lines, first and later "
        "lines.",
        ("Lines", *RATE_HEAD),
        rows,
        (EXACT_NOTE, NE_NOTE),
    )


def forest(release: Release, measure: str, name: str) -> Shown | None:
    """Released rates of the categories as a forest."""
    by_key = {key: _rate(release, measure, key) for key in (*CATEGORY_KEYS, ALL)}
    rows = [
        figures.Compared(
            words.category_short(key, release.study.labels) if key != ALL else "All lines",
            e.value,
            e.low,
            e.high,
            e.n,
            e.events,
            mark=e.provenance,
            own=True,
            cleared=True,
        )
        for key, e in by_key.items()
        if e is not None and e.n
    ]
    if not rows:
        return None
    hidden = [
        words.category_short(key, release.study.labels)
        for key, e in by_key.items()
        if e is None and key != ALL
    ]
    shown: Figure | Absent = figures.comparator_forest(
        release.study, rows, name, f"{words.MEASURES[measure]} by category"
    )
    if not hidden or isinstance(shown, Absent):
        return shown
    note = f"Hidden: {words.listing(hidden)}. {show.why_withheld(release.study)}"
    return replace(shown, caption=f"{shown.caption} {note}")


# --- adverse events -------------------------------------------------------------------------------


def _of_graded(
    severe: int | None, graded: int | None, affected: int | None, treated: int | None
) -> str:
    """Patients with a severe event, of those of whom it is known; nothing is where no patient with
    the event has a grade."""
    if graded is None or affected is None or treated is None or graded == treated:
        return _share(severe, graded)
    return f"{_share(severe, graded)} of {graded:,}" if graded + affected > treated else "–"


def terms(release: Release) -> Table | None:
    """Treated patients with each adverse event that may be named."""
    treated = release.count("patients.treated")
    rows = []
    for term in release.terms:
        any_grade, severe, graded = (
            release.count(f"term.{term}.{kind}") for kind in ("any", "severe", "graded")
        )
        shown = (safety.label(term), _share(any_grade, treated))
        rows.append((*shown, _of_graded(severe, graded, any_grade, treated)))
    if not rows:
        return None
    return _table(
        release,
        "tab-safety-terms",
        "Adverse events by the number of treated patients who had them.",
        ("Term", "Patients, any grade (%)", "Patients, grade 3 or more (%)"),
        rows,
        (
            "A patient counts once in each row. An event that too few patients had is not named. "
            "Patients who are not known to be free of a severe event, for want of a grade, count "
            "in the first column only: the number of the others is then named. Events of patients "
            "without a salvage line are not counted.",
        ),
    )


# --- survival -------------------------------------------------------------------------------------


def curve(release: Release, origin: str, name: str, axis: str) -> Shown | None:
    """Kaplan-Meier curves of the released durations, all patients and the relapse groups."""
    all_patients = release.all_patients(origin)
    if all_patients is None:
        return None
    parts = [times for key, times in release.times[origin].items() if key != ALL]
    shown: Figure | Absent = figures.km(
        release.study,
        parts or [all_patients],
        name,
        f"Overall survival from {FROM[origin]}{' by time of relapse' if parts else ''}",
        axis=axis,
        note=f" {TIMES_NOTE}",
    )
    return replace(shown, study=CLEARED)


def origins(release: Release) -> Table | None:
    """Median survival and survival at fixed months from each origin, with the relapse groups."""
    rows = []
    released = estimates.estimates(release)
    for origin in release.times:
        at = [released.get(f"{origin}.at.{month}") for month in survival.FIXED_MONTHS]
        for name, e in estimates.medians(release, origin).items():
            group = "all patients" if name == ALL else words.RELAPSE_GROUPS[name].lower()
            fixed = [_at(estimate) if name == ALL else NOT_AT_STEP for estimate in at]
            median = "{} ({})".format(*median_cells(e))
            rows.append((f"{ORIGINS[origin]}, {group}", f"{e.events:,} / {e.n:,}", median, *fixed))
    if not rows:
        return None
    heads = [f"At {month} months, %" for month in survival.FIXED_MONTHS]
    return _table(
        release,
        "tab-survival-origins",
        "Overall survival by time origin.",
        ("Counted from", "Deaths / patients", "Median, months (95% CI)", *heads),
        rows,
        (TIMES_NOTE, "A dash: no interval ends at that month."),
    )


def _at(e: Estimate | None) -> str:
    if e is None:
        return NOT_AT_STEP
    return rate_text(e).rstrip("%") + ("" if e.low is None else f" ({interval_text(e)})")


def contrasts(release: Release, name: str) -> Table | None:
    """Late against early relapse from each origin."""
    released = estimates.estimates(release)
    rows = [
        (ORIGINS[o], f"{e.n:,}", f"{e.events:,}", ratio(e.value), interval_text(e), p_value(e.p))
        for o in release.times
        if (e := released.get(prognosis.LATE[o][0])) is not None
    ]
    if not rows:
        return None
    return _table(
        release,
        name,
        "Late against early relapse: hazard ratio of death by time origin.",
        ("Counted from", "Patients", "Deaths", "Hazard ratio", "95% CI", "P"),
        rows,
        (
            TIMES_NOTE,
            "Counted from infusion the ratio is biased by time: see the chapter on time and bias.",
        ),
    )


FORMS: Final[Mapping[str, Form]] = {
    **{f"answer-{page}": partial(answer, page=page) for page in ANSWERS},
    **{f"answer-{words.slug(key)}": partial(category_answer, key=key) for key in CATEGORY_KEYS},
    "answer-safety": safety_answer,
    "tab-summary-cohort": six_numbers,
    "fig-overview": partial(forest, measure="orr", name="fig-overview"),
    "tab-cohort-baseline": baseline,
    "tab-cohort-relapse": relapse_groups,
    "tab-overview-lines": lines,
    "tab-overview-responses": responses,
    "tab-overview-rates": partial(
        rates,
        measures=("orr", "cr"),
        name="tab-overview-rates",
        caption="Response rates by category.",
    ),
    **{f"tab-{words.slug(key)}-rates": partial(category_rates, key=key) for key in CATEGORY_KEYS},
    **{
        f"tab-compared-{measure}": partial(
            rates,
            measures=(measure,),
            name=f"tab-compared-{measure}",
            caption=f"{words.MEASURES[measure]} of each category.",
        )
        for measure in ("orr", "cr")
    },
    **{
        f"fig-forest-{m}": partial(forest, measure=m, name=f"fig-forest-{m}") for m in ("orr", "cr")
    },
    "tab-safety-terms": terms,
    "fig-os-infusion": partial(
        curve, origin="os", name="fig-os-infusion", axis="Months since CAR-T infusion"
    ),
    "fig-os-relapse": partial(
        curve, origin="os.from_relapse", name="fig-os-relapse", axis="Months since relapse"
    ),
    "tab-survival-origins": origins,
    "tab-prognosis-origins": partial(contrasts, name="tab-prognosis-origins"),
    "tab-bias-origins": partial(contrasts, name="tab-bias-origins"),
}
