"""Tables of the six chapters on a salvage category."""

import pandas as pd

from salvage import words
from salvage.analysis import response, survival
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.show import Absent, Table
from salvage.display.wording import interval_text, months, number, percent
from salvage.report.tables import (
    EXACT_NOTE,
    MEDIAN_NOTE,
    NE_NOTE,
    RATE_HEAD,
    WILSON_NOTE,
    Shown,
    absent_category,
    mark,
    marks,
    median_row,
    no_response_times,
    of,
    rate_row,
    responses_note,
    spread,
)
from salvage.report.tables.context import reported

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


def intents(cohort: Cohort) -> Shown:
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
