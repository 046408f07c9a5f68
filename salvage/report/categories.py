"""Tables of the six chapters on a salvage category."""

from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import response, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.show import Absent, Box, Table, Text, answer, text
from salvage.display.wording import interval_text, months, number, p_phrase, percent, sentence
from salvage.evidence import audit
from salvage.report.context import reported
from salvage.report.shared import (
    EXACT_NOTE,
    MEDIAN_NOTE,
    NE_NOTE,
    RATE_HEAD,
    WILSON_NOTE,
    Shown,
    absent_category,
    mark,
    marks,
    median,
    median_row,
    no_response_times,
    of,
    rate_row,
    responses_note,
    spread,
    this_cohort,
)
from salvage.stats import exact

SMALL_GROUP: Final = 20


def category_answer(cohort: Cohort, key: str) -> Box | Absent:
    """The short answer of a category chapter: who, how many responded, for how long, how sure."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key, name=f"answer-{words.slug(key)}")
    orr, cr = (response.rate_of(cohort.study, m, lines, key) for m in ("orr", "cr"))
    patients = lines["patient_id"].nunique()
    outcome = survival.with_outcome(cohort)
    outcome = outcome[outcome["category"] == key]
    first = (
        f"In {this_cohort(cohort.study)}, {words.count(patients, 'patient')} received"
        f" {words.category_prose(key, cohort.study.labels)} in"
        f" {words.count(len(lines), 'salvage line')}. The objective response rate was"
        f" {sentence(orr)}; the complete response rate was {sentence(cr)}."
    )
    alive = survival.median(
        cohort.study, f"os_from_start.{key}.median", survival.from_line_start(outcome)
    )
    lasting = f"Median survival from the start of the line was {median(alive)}."
    free = survival.line_times(cohort, outcome, "pfs")
    if free is not None:
        pfs = survival.median(cohort.study, f"pfs.{key}.median", free)
        lasting = f"Median progression-free survival was {median(pfs)}. " + lasting
    return answer(cohort.study, first, lasting, _how_sure(orr), name=f"answer-{words.slug(key)}")


def _how_sure(orr: Estimate) -> str:
    if not orr.n or orr.low is None or orr.high is None:
        return ""
    width = (
        f"The data are compatible with a true response rate anywhere from {percent(orr.low, 0)} to"
        f" {percent(orr.high, 0)}."
    )
    if orr.n < SMALL_GROUP:
        return (
            f"{width} With {words.count(orr.n, 'line')}, one more or one fewer response moves the"
            f" rate by {100 / orr.n:.0f} percentage points."
        )
    return width


def first_against_later(cohort: Cohort, key: str) -> Text | Absent:
    """Response at first line and later, apart, in one sentence."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    first, later = lines[lines["line"] == 1], lines[lines["line"] > 1]
    parts = (("the first salvage line", first), ("later salvage lines", later))
    made = [
        f"{sentence(response.rate_of(cohort.study, 'orr', part, key))} at {name}"
        for name, part in parts
        if len(part)
    ]
    absent = [f"It was not given at {name}." for name, part in parts if part.empty]
    return text(
        cohort.study,
        " ".join([f"The objective response rate was {words.listing(made)}.", *absent]),
        "Lines after the first are a selected group: only patients who lived long enough and stayed"
        " fit enough received them.",
    )


def switched_target(cohort: Cohort) -> Text | Absent:
    """Switched against same target: the exact test, and how little a small group proves."""
    lines = cohort.category("second_cart")
    if lines.empty:
        return absent_category(cohort.study, "second_cart")
    switched, same = (lines[lines["target_switched"] == flag] for flag in (1, 0))
    if switched.empty or same.empty:
        return Absent(
            cohort.study,
            "The cohort does not have second infusions with a switched and with the same target, so"
            " they cannot be compared.",
        )
    a, n = int(response.responded(switched, "cr").sum()), len(switched)
    b, m = int(response.responded(same, "cr").sum()), len(same)
    test = exact.fisher_2x2(a, n, b, m)
    pooled = (a + b) / (n + m)
    rate = response.rate_of(cohort.study, "cr", switched, "second_cart.switched")
    by_chance = (
        f" If switching made no difference and each infusion had the pooled rate of"
        f" {percent(pooled, 0)}, a group of {n:,} would still show {a:,} or more complete"
        f" {'response' if a == 1 else 'responses'} with probability"
        f" {percent(_at_least(a, n, pooled), 0)}."
    )
    return text(
        cohort.study,
        f"Complete responses: {a:,} of {n:,} with a switched target, {b:,} of {m:,} with the same"
        f" target (Fisher's exact test, {p_phrase(test.p)})."
        f"{_other_splits(cohort.study, [a, n, b, m])}",
        f"The exact interval of the switched group runs from {percent(rate.low, 0)} to"
        f" {percent(rate.high, 0)}.{by_chance if a * m > b * n else ''}",
    )


def _other_splits(study: Study, own: list[int]) -> str:
    """What the other counts that print both published rates would say, if ``own`` is one of them;
    of the published study only."""
    if not study.synthetic:
        return ""
    columns = ["switched_complete", "switched_events", "other_complete", "other_events"]
    rows: list[list[int]] = audit.target_switches()[columns].to_numpy().tolist()
    told = [
        f"{a}/{n} against {b}/{m} ({p_phrase(exact.fisher_2x2(a, n, b, m).p)})"
        for a, n, b, m in rows
        if [a, n, b, m] != own
    ]
    if own not in rows or not told:
        return ""
    return (
        " The abstract prints neither group's size. The other splits that print both of its rates"
        f" are {words.listing(told)}, so it does not settle the comparison."
    )


def _at_least(events: int, n: int, rate: float) -> float:
    from scipy.stats import binom

    return float(binom.sf(events - 1, n, rate))


def intents(cohort: Cohort) -> Text | Absent:
    """For what radiotherapy was given, and how often a next line followed."""
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == "radiotherapy"]
    if lines.empty:
        return absent_category(cohort.study, "radiotherapy")
    if lines["intent"].isna().all():
        return Absent(cohort.study, "The cohort does not record the intent of radiotherapy.")
    sizes = lines["intent"].value_counts()
    named = [
        f"{sizes[code]} {words.INTENTS[code].lower()}" for code in words.INTENTS if code in sizes
    ]
    followed = int(lines["next_start"].notna().sum())
    return text(
        cohort.study,
        f"Of {words.count(int(sizes.sum()), 'line')} with a recorded intent:"
        f" {words.listing(named)}. A next salvage line followed after {followed} of all"
        f" {words.count(len(lines), 'line')} of radiotherapy.",
    )


def response_and_duration(cohort: Cohort, key: str = "polatuzumab") -> Text | Absent:
    """Whether a category's responses lasted: how many ended, and the median duration."""
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == key]
    if lines.empty:
        return absent_category(cohort.study, key)
    times = survival.line_times(cohort, lines, "dor")
    if times is None or times.n == 0:
        responded = response.responded(lines, "orr").any()
        return Absent(
            cohort.study,
            "No response of this category has a recorded beginning, so its duration is not known."
            if responded
            else "No line of this category responded, so there is no duration of response.",
        )
    dor = survival.median(cohort.study, f"dor.{key}.median", times)
    orr = response.rate_of(cohort.study, "orr", lines, key)
    ended = f"Of {times.n:,} responses with a recorded beginning, {times.events or 'none'} ended"
    if times.n == 1:
        verb = "ended" if times.events else "did not end"
        ended = f"The one response with a recorded beginning {verb}"
    return text(
        cohort.study,
        f"{orr.events:,} of {words.count(orr.n or 0, 'line')} responded. {ended} by progression or"
        f" death. The median duration was {median(dor)}.",
        "A high response rate and a short duration can both be true. Duration is counted among"
        " responders only, so it says nothing of the lines that did not respond.",
    )


def regimen_mix(cohort: Cohort, key: str = "other") -> Text | Absent:
    """How mixed a category is."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    named = lines["regimen"].dropna()
    if named.empty:
        return Absent(cohort.study, "The cohort does not record regimens.")
    sizes = named.value_counts()
    return text(
        cohort.study,
        f"{words.count(len(lines), 'line')} of this category used"
        f" {words.count(len(sizes), 'different regimen')}; the most frequent was given in"
        f" {words.count(int(sizes.iloc[0]), 'line')}. A rate over so mixed a group describes no"
        " single drug."
        if len(sizes) > 1
        else f"All {words.count(len(named), 'line')} with a recorded regimen used the same one.",
    )


__all__ = [
    "by_line",
    "duration_by_category",
    "durations",
    "intents",
    "rates",
    "regimens",
    "reported",
    "responders",
    "targets",
    "who_received",
]


def rates(cohort: Cohort, key: str) -> Shown:
    """ORR and CR of one category over all its lines, at first line and at later lines."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key, name=f"tab-{words.slug(key)}-rates")
    sets = {
        "All lines": (lines, key),
        "First salvage line": (lines[lines["line"] == 1], f"first_line.{key}"),
        "Later lines": (lines[lines["line"] > 1], f"later_line.{key}"),
    }
    rows, made = [], []
    for label, (part, suffix) in sets.items():
        for measure in ("orr", "cr"):
            exact, wilson = response.both(cohort, measure, part, suffix)
            made.append(exact)
            rows.append(rate_row(f"{label}: {words.MEASURES_SHORT[measure]}", exact, wilson))
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-rates",
        f"{words.category(key, cohort.study.labels)}: responses over all lines, first and later"
        " lines.",
        RATE_HEAD,
        rows,
        (EXACT_NOTE, WILSON_NOTE, NE_NOTE),
        marks(made),
    )


def who_received(cohort: Cohort, key: str) -> Shown:
    """Patients who received a category: how many lines, when, and their baseline where recorded."""
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == key]
    if lines.empty:
        return absent_category(cohort.study, key)
    patients = cohort.patients[cohort.patients["patient_id"].isin(lines["patient_id"])]
    n, k = len(lines), len(patients)
    late = int((patients["relapse_month"] > cohort.study.early_relapse_months).sum())
    rows = [
        ("Patients", f"{k:,}"),
        ("Lines", f"{n:,}"),
        ("Given as first salvage line", of(int((lines["line"] == 1).sum()), n)),
        ("Given as second salvage line", of(int((lines["line"] == 2).sum()), n)),
        ("Given as third or later salvage line", of(int((lines["line"] >= 3).sum()), n)),
        (
            "Months from relapse to start, median (range)",
            spread(lines["start_month"] - lines["relapse_month"]),
        ),
        (
            f"Late relapse (after {words.months(cohort.study.early_relapse_months)}), patients",
            of(late, k),
        ),
        ("Age in years, median (range)", spread(patients["age"], 0)),
        *(
            (label, _known_share(patients[column], test))
            for label, column, test in (
                ("ECOG 2 or more, patients", "ecog", lambda v: v >= 2),
                ("LDH elevated, patients", "ldh_elevated", lambda v: v == 1),
                ("Refractory before CAR-T, patients", "refractory", lambda v: v == 1),
            )
        ),
    ]
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-patients",
        f"{words.category(key, cohort.study.labels)}: who received it, and when.",
        ("Characteristic", "Value"),
        rows,
        ("Percentages of lines or of patients with the value recorded.",),
        mark(cohort.study),
    )


def _known_share(values: pd.Series, test) -> str:  # type: ignore[no-untyped-def]
    known = values.dropna()
    if known.empty:
        return words.NOT_RECORDED
    missing = len(values) - len(known)
    return of(int(test(known).sum()), len(known)) + (f"; {missing:,} missing" if missing else "")


def regimens(cohort: Cohort, key: str, most: int = 12) -> Shown:
    """Regimens of a category as the hospital names them, with their responses."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    if lines["regimen"].isna().all():
        return Absent(cohort.study, "The cohort does not record regimens.")
    named = lines.assign(regimen=lines["regimen"].fillna(words.NOT_RECORDED.capitalize()))
    counts = response.counts(named, "regimen")
    counts.insert(0, "lines", counts.sum(axis=1))
    counts = counts.sort_values("lines", ascending=False, kind="stable")
    shown, rest = counts.iloc[:most], counts.iloc[most:]
    rows = [
        (str(name), *(f"{v:,}" for v in row))
        for name, row in zip(shown.index, shown.to_numpy(), strict=True)
    ]
    if len(rest):
        rows.append((words.count(len(rest), "further regimen"), *(f"{v:,}" for v in rest.sum())))
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-regimens",
        f"{words.category(key, cohort.study.labels)}: regimens, with the best response of each"
        " line.",
        ("Regimen", "Lines", *words.RESPONSES),
        rows,
        (responses_note(),),
        mark(cohort.study),
    )


def durations(cohort: Cohort, key: str) -> Shown:
    """Time to response, DOR, PFS, time to next treatment and survival of one category's lines."""
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == key]
    if lines.empty:
        return absent_category(cohort.study, key)
    medians = [
        survival.median(
            cohort.study, f"{d}.{key}.median", survival.line_times(cohort, lines, d), name
        )
        for d, name in words.DURATIONS.items()
    ]
    rows = [median_row(e) for e in medians]
    waits = (lines["response_month"] - lines["start_month"]).dropna()
    rows.insert(0, ("Time to response, median (range)", f"{len(waits):,}", "–", spread(waits), "–"))
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-durations",
        f"{words.category(key, cohort.study.labels)}: how soon and for how long.",
        ("Duration", "Lines", "Events", "Median, months", "95% CI, months"),
        rows,
        (MEDIAN_NOTE, "Duration of response: responding lines only; a new treatment censors."),
        mark(cohort.study),
    )


def by_line(cohort: Cohort, key: str) -> Shown:
    """Responses of a category at the first, second and third or later salvage line."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    sets = {
        "First": lines[lines["line"] == 1],
        "Second": lines[lines["line"] == 2],
        "Third or later": lines[lines["line"] >= 3],
    }
    rows = []
    for label, part in sets.items():
        for measure in ("orr", "cr"):
            exact, wilson = response.both(cohort, measure, part, f"{key}.line")
            rows.append(rate_row(f"{label} line: {words.MEASURES_SHORT[measure]}", exact, wilson))
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-by-line",
        f"{words.category(key, cohort.study.labels)}: responses by the number of the salvage line.",
        RATE_HEAD,
        rows,
        (EXACT_NOTE, WILSON_NOTE),
        mark(cohort.study),
    )


def targets(cohort: Cohort) -> Shown:
    """Second CAR-T with a switched target against the same target."""
    lines = cohort.category("second_cart")
    if lines.empty:
        return absent_category(cohort.study, "second_cart")
    if lines["target_switched"].isna().all():
        return Absent(
            cohort.study,
            "The cohort does not record whether the target of the second CAR-T was switched.",
        )
    rows, made = [], []
    for label, suffix, flag in (("Switched target", "switched", 1), ("Same target", "same", 0)):
        part = lines[lines["target_switched"] == flag]
        for measure in ("orr", "cr"):
            exact, wilson = response.both(cohort, measure, part, f"second_cart.{suffix}")
            made.append(exact)
            rows.append(rate_row(f"{label}: {words.MEASURES_SHORT[measure]}", exact, wilson))
    missing = int(lines["target_switched"].isna().sum())
    notes = [EXACT_NOTE] + (
        [f"Target not recorded in {words.count(missing, 'line')}."] if missing else []
    )
    return Table(
        cohort.study,
        "tab-second-cart-targets",
        "Second CAR-T infusion by target: switched against the same as the first.",
        RATE_HEAD,
        rows,
        notes,
        marks(made),
    )


def intent_table(cohort: Cohort) -> Shown:
    """Radiotherapy by its intent."""
    lines = cohort.category("radiotherapy")
    if lines.empty:
        return absent_category(cohort.study, "radiotherapy")
    if lines["intent"].isna().all():
        return Absent(cohort.study, "The cohort does not record the intent of radiotherapy.")
    outcome = survival.with_outcome(cohort)
    outcome = outcome[outcome["category"] == "radiotherapy"]
    rows = []
    for code, label in words.INTENTS.items():
        part = outcome[outcome["intent"] == code]
        if part.empty:
            continue
        followed = int(part["next_start"].notna().sum())
        rows.append(
            (
                label,
                f"{len(part):,}",
                f"{response.responded(part, 'orr').sum():,}",
                f"{response.responded(part, 'cr').sum():,}",
                f"{followed:,}",
                months(
                    survival.median(cohort.study, "os.intent", survival.from_line_start(part)).value
                ),
            )
        )
    missing = int(lines["intent"].isna().sum())
    return Table(
        cohort.study,
        "tab-radiotherapy-intents",
        "Radiotherapy by intent.",
        (
            "Intent",
            "Lines",
            "CR or PR",
            "CR",
            "Followed by a next line",
            "Median OS from start, months",
        ),
        rows,
        [f"Intent not recorded in {words.count(missing, 'line')}."] if missing else [],
        mark(cohort.study),
    )


def responders(cohort: Cohort, key: str) -> Shown:
    """Who responds: responding lines by line number, relapse timing and baseline."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    patients = cohort.patients.set_index("patient_id")
    joined = lines.join(
        patients[["relapse_month", "ecog", "ldh_elevated", "cart_best_response"]], on="patient_id"
    )
    late = joined["relapse_month"] > cohort.study.early_relapse_months
    cut = f"{cohort.study.early_relapse_months:g}"
    groups = [
        ("First salvage line", joined["line"] == 1, None),
        ("Later salvage line", joined["line"] > 1, None),
        (f"Early relapse (month {cut} or before)", ~late, None),
        (f"Late relapse (after month {cut})", late, None),
        ("ECOG 0-1", joined["ecog"] < 2, "ecog"),
        ("ECOG 2 or more", joined["ecog"] >= 2, "ecog"),
        ("LDH normal", joined["ldh_elevated"] == 0, "ldh_elevated"),
        ("LDH elevated", joined["ldh_elevated"] == 1, "ldh_elevated"),
    ]
    rows = [
        (label, *_response_cells(cohort.study, joined[chosen], key))
        for label, chosen, column in groups
        if column is None or joined[column].notna().any()
    ]
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-responders",
        f"{words.category(key, cohort.study.labels)}: objective responses by group of lines.",
        ("Group of lines", "CR or PR / lines", "Rate, %", "Exact 95% CI, %"),
        rows,
        (EXACT_NOTE, "Groups overlap and were not compared by a test."),
        mark(cohort.study),
    )


def _response_cells(study: Study, lines: pd.DataFrame, key: str) -> tuple[str, str, str]:
    exact = response.rate_of(study, "orr", lines, key)
    if not exact.n:
        return "0 / 0", "–", "–"
    return (
        f"{exact.events} / {exact.n}",
        number(exact.value, "proportion").rstrip("%"),
        interval_text(exact),
    )


def duration_by_category(cohort: Cohort) -> Shown:
    """Response and its duration side by side over the categories: high response need not last."""
    lines = survival.with_outcome(cohort)
    if not cohort.has("salvage", "response_month"):
        return Absent(cohort.study, no_response_times(cohort))
    rows = []
    for key in words.CATEGORIES:
        part = lines[lines["category"] == key]
        if part.empty:
            continue
        orr = response.rate_of(cohort.study, "orr", part, key)
        dor = survival.median(
            cohort.study, f"dor.{key}.median", survival.line_times(cohort, part, "dor")
        )
        rows.append(
            (
                words.category(key, cohort.study.labels),
                f"{orr.events} / {orr.n}",
                percent(orr.value),
                f"{dor.n}",
                f"{dor.events}",
                months(dor.value) if dor.n else "–",
                interval_text(dor) if dor.n else "–",
            )
        )
    return Table(
        cohort.study,
        "tab-polatuzumab-duration",
        "Rate of response and duration of response of each category.",
        (
            "Category",
            "CR or PR / lines",
            "ORR",
            "Responses timed",
            "Ended",
            "Median DOR, months",
            "95% CI",
        ),
        rows,
        ("A response ends by progression or death; a new treatment censors it.",),
        mark(cohort.study),
    )
