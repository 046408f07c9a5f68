"""Tables of the chapter on overall survival."""

from typing import Final

from salvage import survival, words
from salvage.cohort import Cohort
from salvage.estimate import Estimate, interval_text, months
from salvage.show import Absent, Table
from salvage.survival import FIXED_MONTHS
from salvage.tables import Shown, mark, marks, no_response_times

NONE: Final = "–"
BEYOND: Final = "†"
ORIGINS: Final = {
    "os": "First CAR-T infusion",
    "os.from_relapse": "Relapse",
    "os.from_salvage": "First salvage line",
}

LOG_LOG_NOTE: Final = (
    "Kaplan-Meier with log-log 95% intervals, as R's survival package prints them."
)
BEYOND_NOTE: Final = (
    f"{BEYOND} Beyond the last observation of this origin: the last value is carried on."
)
NO_LIMITS_NOTE: Final = "Where every patient at risk has died the curve is 0 and has no interval."


def _cell(e: Estimate) -> str:
    """Value and interval of a survival at a month, in percent."""
    if e.value is None:
        return NONE
    flag = BEYOND if e.method.endswith(survival.BEYOND) else ""
    value = f"{100 * e.value:.1f}{flag}"
    return value if e.low is None and e.high is None else f"{value} ({interval_text(e)})"


def median_cell(e: Estimate) -> str:
    """Value and interval of a median in months; one that is not reached keeps its lower limit."""
    if not e.n:
        return NONE
    if e.low is None and e.high is None:
        return months(e.value)
    return f"{months(e.value)} ({interval_text(e)})"


def by_origin(cohort: Cohort) -> Table:
    """Median survival and survival at fixed months from each of the three time origins."""
    rows, made = [], []
    for id, times in survival.origins(cohort).items():
        middle = survival.median(cohort, f"{id}.median", times)
        at = [survival.at_month(cohort, f"{id}.at.{m}", times, m) for m in FIXED_MONTHS]
        made += [middle, *at]
        deaths = f"{times.events:,} / {times.n:,}"
        rows.append((ORIGINS[id], deaths, median_cell(middle), *(_cell(e) for e in at)))
    notes = [LOG_LOG_NOTE]
    notes += [BEYOND_NOTE] if any(BEYOND in cell for row in rows for cell in row) else []
    notes += [NO_LIMITS_NOTE] if any(e.value == 0 for e in made if e.unit == "probability") else []
    return Table(
        "tab-survival-origins",
        "Overall survival by where the clock starts.",
        (
            "Clock starts at",
            "Deaths / patients",
            "Median, months (95% CI)",
            *(f"Alive at {m} months, % (95% CI)" for m in FIXED_MONTHS),
        ),
        rows,
        notes,
        marks(made),
    )


def restricted_means(cohort: Cohort) -> Shown:
    """Restricted mean survival time from each origin, to one horizon that the data allow."""
    month = survival.horizon(cohort)
    if month is None:
        return Absent(
            "No restricted mean can be given: from one of the origins nobody was observed at all."
        )
    made = {
        id: survival.restricted_mean(cohort, f"{id}.rmst", times, month)
        for id, times in survival.origins(cohort).items()
    }
    rows = [
        (ORIGINS[id], f"{e.n:,}", f"{e.events:,}", months(e.value), interval_text(e))
        for id, e in made.items()
    ]
    return Table(
        "tab-survival-restricted-mean",
        f"Mean survival time within {words.months(month)} of each origin.",
        ("Clock starts at", "Patients", "Deaths, all follow-up", "Mean, months", "95% CI, months"),
        rows,
        (
            f"The area under the Kaplan-Meier curve up to {words.months(month)}. The horizon is "
            "the longest whole month that the follow-up from every origin reaches; without a whole "
            "month, the last observation.",
            "Normal interval with R's standard error.",
        ),
        marks(list(made.values())),
    )


def follow_up(cohort: Cohort) -> Table:
    """What a printed follow-up can mean: observed time, its range, and reverse Kaplan-Meier."""
    found = {e.id: e for e in survival.patient_estimates(cohort)}
    observed, reverse = found["followup.observed.median"], found["followup.reverse_km.median"]
    shortest, longest = found["os.range.min"], found["os.range.max"]
    os = found["os.median"]
    rows = [
        ("Observed time, median", f"{observed.n:,}", months(observed.value), NONE),
        (
            "Observed time, shortest to longest",
            f"{shortest.n:,}",
            f"{months(shortest.value)} to {months(longest.value)}",
            NONE,
        ),
        ("Overall survival, median", f"{os.n:,}", months(os.value), interval_text(os)),
        (
            "Follow-up, median by reverse Kaplan-Meier",
            f"{reverse.n:,}",
            months(reverse.value),
            interval_text(reverse),
        ),
    ]
    return Table(
        "tab-survival-follow-up",
        "Observed time, survival and follow-up from the first CAR-T infusion.",
        ("Measure", "Patients", "Months", "95% CI, months"),
        rows,
        (
            "Observed time runs to death or last contact. A range is not a confidence interval.",
            "Reverse Kaplan-Meier exchanges death and censoring (Schemper and Smith 1996).",
        ),
        marks([observed, reverse, shortest, longest, os]),
    )


def responses(cohort: Cohort) -> Shown:
    """Duration of response over all lines, with a new treatment as censoring and as an event."""
    made = survival.all_lines_response(cohort)
    if not made[0].n:
        return Absent(no_response_times(cohort))
    rules = ("A new treatment censors", "A new treatment is an event")
    rows = [
        (rule, f"{e.n:,}", f"{e.events:,}", months(e.value), interval_text(e))
        for rule, e in zip(rules, made, strict=True)
    ]
    responding = int(cohort.salvage["best_response"].isin(["CR", "PR"]).sum())
    untimed = responding - (made[0].n or 0)
    notes = [
        "From the first CR or PR to progression or death. A patient counts once for each line."
    ]
    if untimed:
        notes.append(f"{words.count(untimed, 'response')} without a recorded month left out.")
    return Table(
        "tab-survival-response-duration",
        "Duration of response over all salvage lines.",
        ("Rule", "Responses", "Ended", "Median, months", "95% CI, months"),
        rows,
        notes,
        mark(cohort),
    )
