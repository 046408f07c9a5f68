"""The six chapters on a salvage category: who received it, how it responded, and for how long."""

from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import least, response, survival
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import POOR_ECOG
from salvage.cohort.study import Study
from salvage.display import show
from salvage.display.show import Absent, Box, Table, Text
from salvage.display.wording import median_text, p_phrase, percent, rate_text, sentence
from salvage.evidence import audit
from salvage.report.shared import (
    END_NOTE,
    EXACT_NOTE,
    MEDIAN_NOTE,
    NE_NOTE,
    NONE,
    RATE_HEAD,
    WILSON_NOTE,
    Shown,
    absent_category,
    known_share,
    marks,
    median,
    median_cells,
    no_response_times,
    not_estimable,
    of,
    rate_cells,
    rate_row,
    responses_note,
    rule_rows,
    spread,
    this_cohort,
    undated_note,
)
from salvage.stats import exact

#: In fewer lines, one response more or less moves the rate much.
SMALL_GROUP: Final = 20
MOST_REGIMENS: Final = 12


def answer(cohort: Cohort, key: str) -> Box | Absent:
    """The short answer of a category chapter: who, how many responded, for how long, how sure."""
    lines = cohort.category(key)
    name = f"answer-{words.slug(key)}"
    if lines.empty:
        return absent_category(cohort.study, key, name)
    rates, medians = response.estimates(cohort), survival.line_medians(cohort, key)
    orr = rates[f"orr.{key}"]
    patients = words.count(lines["patient_id"].nunique(), "patient")
    lasting = (
        "Median survival from the start of the line was"
        f" {median(medians[f'os_from_start.{key}.median'])}."
    )
    sure = (
        "The data are compatible with a true response rate anywhere from"
        f" {percent(orr.low)} to {percent(orr.high)}."
    )
    if len(lines) < least.PERCENT:
        sure = "So few lines tell next to nothing of the true response rate."
    elif len(lines) < SMALL_GROUP:
        sure += (
            f" With {words.count(len(lines), 'line')}, one more or one fewer response moves the"
            f" rate by {100 / len(lines):.0f} percentage points."
        )
    return show.answer(
        cohort.study,
        f"In {this_cohort(cohort.study)}, {patients} received"
        f" {words.category_prose(key, cohort.study.labels)} in"
        f" {words.count(len(lines), 'salvage line')}. The objective response rate was"
        f" {sentence(orr)}; the complete response rate was {sentence(rates[f'cr.{key}'])}.",
        f"{_progression_free(cohort, key)} {lasting}".lstrip(),
        sure,
        name=name,
    )


def _progression_free(cohort: Cohort, key: str) -> str:
    """Median PFS over all lines and at the first salvage line; empty if not recorded.

    The index study counts lines, so its book begins with them; another begins with patients.
    """
    every = survival.line_medians(cohort, key)[f"pfs.{key}.median"]
    first = survival.line_medians(cohort, key, "first")[f"pfs.first_line.{key}.median"]
    if not every.n:
        return ""
    over_lines, per_patient = median(every), median(first, "patient")
    if first.n in (0, every.n):
        return f"Median progression-free survival was {over_lines}."
    if cohort.study.synthetic:
        return (
            f"Median progression-free survival was {over_lines} over all lines and {per_patient}"
            " at the first salvage line, per patient."
        )
    return (
        f"Median progression-free survival was {per_patient} at the first salvage line, per"
        f" patient, and {over_lines} over all lines."
    )


def who_received(cohort: Cohort, key: str) -> Shown:
    """Patients who received a category: how many lines, when, and their baseline where recorded."""
    lines = _with_outcome(cohort, key)
    if lines.empty:
        return absent_category(cohort.study, key)
    received = cohort.patients["patient_id"].isin(lines["patient_id"])
    patients, late = cohort.patients[received], int(cohort.late[received].sum())
    n, number = len(lines), lines["line"]
    rows = [
        ("Patients", f"{len(patients):,}"),
        ("Lines", f"{n:,}"),
        ("Given as first salvage line", of(int((number == 1).sum()), n)),
        ("Given as second salvage line", of(int((number == 2).sum()), n)),
        ("Given as third or later salvage line", of(int((number >= 3).sum()), n)),
        (
            "Months from relapse to start, median (range)",
            spread(lines["start_month"] - lines["relapse_month"]),
        ),
        (
            f"Late relapse (after {words.months(cohort.study.early_relapse_months)}), patients",
            of(late, len(patients)),
        ),
        ("Age in years, median (range)", spread(patients["age"], 0)),
        ("ECOG 2 or more, patients", _share_from(POOR_ECOG, patients["ecog"])),
        ("LDH elevated, patients", _share_from(1, patients["ldh_elevated"])),
        ("Refractory before CAR-T, patients", _share_from(1, patients["refractory"])),
    ]
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-patients",
        f"{words.category(key, cohort.study.labels)}: who received it, and when.",
        ("Characteristic", "Value"),
        rows,
        ("Percentages of lines or of patients with the value recorded.",),
        own_mark(cohort.study),
    )


def _with_outcome(cohort: Cohort, key: str) -> pd.DataFrame:
    """The lines of a category with their patient's outcome and the start of the next line."""
    lines = survival.with_outcome(cohort)
    return lines[lines["category"] == key]


def _share_from(least: int, values: pd.Series) -> str:
    """How many of the recorded values are ``least`` or more, and how many are missing."""
    share, missing = known_share(values >= least, values), int(values.isna().sum())
    return f"{share}; {missing:,} missing" if 0 < missing < len(values) else share


def regimens(cohort: Cohort, key: str) -> Shown:
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
    rows = [(str(name), *numbers) for name, *numbers in counts.iloc[:MOST_REGIMENS].itertuples()]
    rest = counts.iloc[MOST_REGIMENS:]
    if len(rest):
        rows.append((words.count(len(rest), "further regimen"), *rest.sum()))
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-regimens",
        f"{words.category(key, cohort.study.labels)}: regimens, with the best response of each"
        " line.",
        ("Regimen", "Lines", *words.RESPONSES),
        [(name, *(f"{number:,}" for number in numbers)) for name, *numbers in rows],
        (responses_note(),),
        own_mark(cohort.study),
    )


def rates(cohort: Cohort, key: str) -> Shown:
    """ORR and CR of one category over all its lines, at first and at later salvage lines."""
    name = f"tab-{words.slug(key)}-rates"
    if cohort.category(key).empty:
        return absent_category(cohort.study, key, name)
    sets = {
        "All lines": key,
        "First salvage line": f"first_line.{key}",
        "Later lines": f"later_line.{key}",
    }
    return _rates_table(
        cohort,
        name,
        f"{words.category(key, cohort.study.labels)}: responses over all lines, first and later"
        " lines.",
        sets,
        (EXACT_NOTE, WILSON_NOTE, NE_NOTE),
    )


def _rates_table(
    cohort: Cohort, name: str, caption: str, sets: dict[str, str], notes: tuple[str, ...]
) -> Table:
    """ORR and CR of some sets of lines, each given by its label and the key of its estimates."""
    estimates = response.estimates(cohort)
    ids = {
        f"{label}: {words.MEASURES_SHORT[measure]}": f"{measure}.{key}"
        for label, key in sets.items()
        for measure in ("orr", "cr")
    }
    return Table(
        cohort.study,
        name,
        caption,
        RATE_HEAD,
        [rate_row(row, estimates[id], estimates[f"{id}.wilson"]) for row, id in ids.items()],
        notes,
        marks([estimates[id] for id in ids.values()]),
    )


def first_against_later(cohort: Cohort, key: str) -> Text | Absent:
    """Response at first salvage line and later, apart, in one sentence."""
    if cohort.category(key).empty:
        return absent_category(cohort.study, key)
    estimates = response.estimates(cohort)
    first, later = (estimates[f"orr.{when}_line.{key}"] for when in ("first", "later"))
    if not later.n:
        rates = (
            f"The objective response rate was {sentence(first)} at the first salvage line."
            " It was not given at later salvage lines."
        )
    elif not first.n:
        rates = (
            f"The objective response rate was {sentence(later)} at later salvage lines."
            " It was not given at the first salvage line."
        )
    else:
        rates = (
            f"The objective response rate was {sentence(first)} at the first salvage line and"
            f" {sentence(later)} at later salvage lines."
        )
    return show.text(
        cohort.study,
        rates,
        "Lines after the first are a selected group: only patients who lived long enough and stayed"
        " fit enough received them.",
    )


# --- the question of each chapter -----------------------------------------------------------------


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
    rows = [
        rate_row(
            f"{label} line: {words.MEASURES_SHORT[measure]}",
            *response.both(cohort, measure, part, f"{key}.line"),
        )
        for label, part in sets.items()
        for measure in ("orr", "cr")
    ]
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-by-line",
        f"{words.category(key, cohort.study.labels)}: responses by the number of the salvage line.",
        RATE_HEAD,
        rows,
        (EXACT_NOTE, WILSON_NOTE),
        own_mark(cohort.study),
    )


def by_target(cohort: Cohort) -> Shown:
    """Second CAR-T with a switched target against the same target."""
    lines = cohort.category("second_cart")
    if lines.empty:
        return absent_category(cohort.study, "second_cart")
    missing = int(lines["target_switched"].isna().sum())
    if missing == len(lines):
        return Absent(
            cohort.study,
            "The cohort does not record whether the target of the second CAR-T was switched.",
        )
    not_recorded = f"Target not recorded in {words.count(missing, 'line')}."
    return _rates_table(
        cohort,
        "tab-second-cart-targets",
        "Second CAR-T infusion by target: switched against the same as the first.",
        {"Switched target": "second_cart.switched", "Same target": "second_cart.same"},
        (EXACT_NOTE, not_recorded) if missing else (EXACT_NOTE,),
    )


def targets_compared(cohort: Cohort) -> Text | Absent:
    """Switched against same target: the exact test, and how little a small group proves."""
    if cohort.category("second_cart").empty:
        return absent_category(cohort.study, "second_cart")
    rates = response.estimates(cohort)
    switched, same = rates["cr.second_cart.switched"], rates["cr.second_cart.same"]
    a, n, b, m = (part or 0 for e in (switched, same) for part in (e.events, e.n))
    if not n or not m:
        return Absent(
            cohort.study,
            "The cohort does not have second infusions with a switched and with the same target, so"
            " they cannot be compared.",
        )
    compared = (
        f"Complete responses: {a:,} of {n:,} with a switched target, {b:,} of {m:,} with the same"
        f" target (Fisher's exact test, {p_phrase(exact.fisher_2x2(a, n, b, m).p)})."
    )
    if n < least.PERCENT:
        return show.text(cohort.study, compared)
    interval = (
        f"The exact interval of the switched group runs from {percent(switched.low)} to"
        f" {percent(switched.high)}."
    )
    if a * m > b * n:
        pooled = (a + b) / (n + m)
        interval += (
            f" If switching made no difference and each infusion had the pooled rate of"
            f" {percent(pooled)}, a group of {n:,} would still show"
            f" {words.count(a, 'or more complete response', 'or more complete responses')}"
            f" with probability {percent(response.at_least(a, n, pooled))}."
        )
    return show.text(
        cohort.study,
        f"{compared} {_other_splits(cohort.study, [a, n, b, m])}".rstrip(),
        interval,
    )


def _other_splits(study: Study, own: list[int]) -> str:
    """What the other counts that print both published rates would say, if ``own`` is one of them;
    of the published study only."""
    columns = ["switched_complete", "switched_events", "other_complete", "other_events"]
    splits: list[list[int]] = audit.target_switches()[columns].to_numpy().tolist()
    if not study.synthetic or own not in splits or len(splits) == 1:
        return ""
    others = [
        f"{a}/{n} against {b}/{m} ({p_phrase(exact.fisher_2x2(a, n, b, m).p)})"
        for a, n, b, m in splits
        if [a, n, b, m] != own
    ]
    return (
        "The abstract prints neither group's size. The other splits that print both of its rates"
        f" are {words.listing(others)}, so it does not settle the comparison."
    )


def by_intent(cohort: Cohort) -> Shown:
    """Radiotherapy by its intent."""
    lines = _with_outcome(cohort, "radiotherapy")
    if lines.empty:
        return absent_category(cohort.study, "radiotherapy")
    missing = int(lines["intent"].isna().sum())
    if missing == len(lines):
        return Absent(cohort.study, NO_INTENT)
    rows = []
    for code, label in words.INTENTS.items():
        part = lines[lines["intent"] == code]
        if not part.empty:
            alive = survival.median(cohort.study, "os.intent", survival.from_line_start(part))
            rows.append(
                (
                    label,
                    f"{len(part):,}",
                    f"{response.responded(part, 'orr').sum():,}",
                    f"{response.responded(part, 'cr').sum():,}",
                    f"{part['next_start'].notna().sum():,}",
                    median_text(alive),
                )
            )
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
        own_mark(cohort.study),
    )


NO_INTENT: Final = "The cohort does not record the intent of radiotherapy."


def intents(cohort: Cohort) -> Text | Absent:
    """For what radiotherapy was given, and how often a next line followed."""
    lines = _with_outcome(cohort, "radiotherapy")
    if lines.empty:
        return absent_category(cohort.study, "radiotherapy")
    sizes = lines["intent"].value_counts()
    if sizes.empty:
        return Absent(cohort.study, NO_INTENT)
    by_code = [
        f"{sizes[code]} {label.lower()}" for code, label in words.INTENTS.items() if code in sizes
    ]
    return show.text(
        cohort.study,
        f"Of {words.count(int(sizes.sum()), 'line')} with a recorded intent:"
        f" {words.listing(by_code)}. A next salvage line followed after"
        f" {lines['next_start'].notna().sum()} of all {words.count(len(lines), 'line')} of"
        " radiotherapy.",
    )


def response_and_duration(cohort: Cohort, key: str) -> Text | Absent:
    """Whether a category's responses lasted: how many ended, and the median duration."""
    if cohort.category(key).empty:
        return absent_category(cohort.study, key)
    orr = response.estimates(cohort)[f"orr.{key}"]
    dor = survival.line_medians(cohort, key)[f"dor.{key}.median"]
    if not orr.events:
        return Absent(
            cohort.study,
            "No line of this category responded, so there is no duration of response.",
        )
    if not dor.n:
        return Absent(
            cohort.study,
            "No response of this category has a recorded beginning, so its duration is not known.",
        )
    if dor.n > 1:
        ended = (
            f"Of {dor.n:,} responses with a recorded beginning, {dor.events or 'none'} ended by"
            " progression or death."
        )
    elif dor.events:
        ended = "The one response with a recorded beginning ended by progression or death."
    else:
        ended = "The one response with a recorded beginning did not end by progression or death."
    return show.text(
        cohort.study,
        f"{orr.events:,} of {words.count(orr.n or 0, 'line')} responded. {ended} The median"
        f" duration was {median(dor)}.",
        "A high response rate and a short duration can both be true. Duration is counted among"
        " responders only, so it says nothing of the lines that did not respond.",
    )


def duration_by_category(cohort: Cohort) -> Shown:
    """Response and its duration side by side over the categories: high response need not last."""
    if not cohort.has("salvage", "response_month"):
        return Absent(cohort.study, no_response_times(cohort))
    rates, rows = response.estimates(cohort), []
    for key in words.CATEGORIES:
        orr = rates[f"orr.{key}"]
        dor = survival.line_medians(cohort, key)[f"dor.{key}.median"]
        if orr.n:
            rows.append(
                (
                    words.category(key, cohort.study.labels),
                    f"{orr.events:,} / {orr.n:,}",
                    rate_text(orr),
                    f"{dor.n:,}",
                    f"{dor.events:,}",
                    *(median_cells(dor) if dor.n else (NONE, NONE)),
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
        (
            "A response ends by progression or death; a next line does not end it.",
            *not_estimable(
                (
                    words.category(key, cohort.study.labels),
                    survival.line_medians(cohort, key)[f"dor.{key}.median"],
                )
                for key in words.CATEGORIES
                if rates[f"orr.{key}"].events
            ),
        ),
        own_mark(cohort.study),
    )


def responders(cohort: Cohort, key: str) -> Shown:
    """Who responds: responding lines by line number, relapse timing and baseline."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    baseline = cohort.patients.set_index("patient_id")[["relapse_month", "ecog", "ldh_elevated"]]
    lines = lines.join(baseline, on="patient_id")
    ecog, ldh = lines["ecog"], lines["ldh_elevated"]
    late = lines["relapse_month"] > cohort.study.early_relapse_months
    cut = f"{cohort.study.early_relapse_months:g}"
    groups = {
        "First salvage line": lines["line"] == 1,
        "Later salvage line": lines["line"] > 1,
        f"Early relapse (month {cut} or before)": ~late,
        f"Late relapse (after month {cut})": late,
    }
    if ecog.notna().any():
        groups |= {"ECOG 0-1": ecog < POOR_ECOG, "ECOG 2 or more": ecog >= POOR_ECOG}
    if ldh.notna().any():
        groups |= {"LDH normal": ldh == 0, "LDH elevated": ldh == 1}
    rows = [
        (label, *rate_cells(response.rate_of(cohort.study, "orr", lines[among], key)))
        for label, among in groups.items()
    ]
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-responders",
        f"{words.category(key, cohort.study.labels)}: objective responses by group of lines.",
        ("Group of lines", "CR or PR / lines", "Rate, %", "Exact 95% CI, %"),
        rows,
        (EXACT_NOTE, "Groups overlap and were not compared by a test."),
        own_mark(cohort.study),
    )


def regimen_mix(cohort: Cohort, key: str) -> Text | Absent:
    """How mixed a category is."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    sizes = lines["regimen"].value_counts()
    if sizes.empty:
        return Absent(cohort.study, "The cohort does not record regimens.")
    if len(sizes) == 1:
        same = words.count(int(sizes.sum()), "line")
        return show.text(cohort.study, f"All {same} with a recorded regimen used the same one.")
    return show.text(
        cohort.study,
        f"{words.count(len(lines), 'line')} of this category used"
        f" {words.count(len(sizes), 'different regimen')}; the most frequent was given in"
        f" {words.count(int(sizes.iloc[0]), 'line')}. A rate over so mixed a group describes no"
        " single drug.",
    )


# --- how soon and for how long --------------------------------------------------------------------


def durations(cohort: Cohort, key: str) -> Shown:
    """Time to response, DOR, PFS, time to next treatment and survival of one category's lines."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort.study, key)
    waits = (lines["response_month"] - lines["start_month"]).dropna()
    rows = [
        ("Time to response, median (range)", f"{len(waits):,}", NONE, spread(waits), NONE),
        *(row for duration in words.DURATIONS for row in rule_rows(cohort, duration, key)),
    ]
    return Table(
        cohort.study,
        f"tab-{words.slug(key)}-durations",
        f"{words.category(key, cohort.study.labels)}: how soon and for how long.",
        ("Duration", "Lines", "Events", "Median, months", "95% CI, months"),
        rows,
        (
            MEDIAN_NOTE,
            "Duration of response: responding lines only.",
            END_NOTE,
            *filter(None, [undated_note(cohort, key)]),
            *not_estimable(
                (label, survival.line_medians(cohort, key)[f"{duration}.{key}.median"])
                for duration, label in words.DURATIONS.items()
            ),
        ),
        own_mark(cohort.study),
    )
