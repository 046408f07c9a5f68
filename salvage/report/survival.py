"""Tables of the chapter on overall survival."""

from typing import Final

from salvage import words
from salvage.analysis import survival
from salvage.analysis.estimate import Estimate
from salvage.analysis.survival import FIXED_MONTHS
from salvage.cohort import Cohort
from salvage.display.show import Absent, Box, Table, Text, answer, text
from salvage.display.wording import interval_text, months, percent
from salvage.report.shared import Shown, mark, marks, median, no_response_times, spread, this_cohort

FROM_SALVAGE = "Overall survival from the start of the first salvage line"
MONTHS_FROM_SALVAGE = "Months since the start of the first salvage line"


def outcome_answer(cohort: Cohort) -> Box:
    """Median survival from the three origins, deaths, and how much of the first is guaranteed."""
    infusion, relapse, salvage = (
        survival.median(cohort.study, f"{id}.median", times)
        for id, times in survival.origins(cohort).items()
    )
    treated = (
        f" From the first salvage line of {words.count(salvage.n or 0, 'treated patient')} "
        f"it was {median(salvage, 'patient')}."
        if salvage.n
        else ""
    )
    return answer(
        cohort.study,
        f"In {this_cohort(cohort.study)}, {_deaths(cohort)}. Median overall survival from the "
        "first "
        f"CAR-T infusion was {median(infusion, 'patient')}. "
        f"From relapse it was {median(relapse, 'patient')}.{treated}",
        _guaranteed(cohort),
        name="answer-survival",
    )


def _deaths(cohort: Cohort) -> str:
    n, dead = len(cohort.patients), int(cohort.patients["died"].sum())
    if dead == 0:
        return "the one patient is alive" if n == 1 else f"none of {n:,} patients died"
    if dead == n:
        return "the one patient died" if n == 1 else f"all {n:,} patients died"
    return f"{dead:,} of {words.count(n, 'patient')} died"


def _guaranteed(cohort: Cohort) -> str:
    share = survival.guarantee_share(cohort)
    if not share.n or share.value is None:
        return ""
    if share.value == 0:
        return "Salvage began in the month of infusion, so it guarantees no survival time."
    return (
        "Of the time from infusion that was observed in treated patients, "
        f"{percent(share.value, 0)} lies before their first salvage line. Nobody who received "
        "salvage could have died in that time. Survival from infusion is therefore not the "
        "survival that follows salvage."
    )


def why_biased(cohort: Cohort) -> Text:
    """How long treated patients had to live to be treated."""
    waits = survival.guarantee_time(cohort)
    untreated = len(cohort.patients) - len(waits)
    first = (
        f"The months from infusion to the first salvage line were {spread(waits)}, as median and "
        f"range over {words.count(len(waits), 'treated patient')}. Each of them was alive at "
        "that month by definition."
        if len(waits) > 1
        else f"The one treated patient was alive by definition at {waits.iloc[0]:.1f} months, when "
        "the first salvage line began."
        if len(waits)
        else "No patient of this cohort received salvage therapy."
    )
    rest = (
        f"{words.count(untreated, 'patient')} without salvage had to live only until relapse."
        if untreated and len(waits)
        else ""
    )
    return text(cohort.study, " ".join(part for part in (first, rest) if part))


def observed_range(cohort: Cohort) -> Text:
    """What a range beside a median says, and what it does not."""
    months_ = cohort.patients["os_month"]
    n = len(months_)
    if n == 1:
        return text(
            cohort.study,
            f"The one patient was observed for {months_.iloc[0]:.1f} months. "
            "One patient has no range.",
        )
    shortest, most = months(months_.min()), months(months_.max())
    if shortest == most:
        return text(
            cohort.study, f"All {n:,} patients were observed for {most} months. There is no range."
        )
    longest = cohort.patients.loc[months_ == months_.max(), "died"]
    end = "had died by then" if longest.all() else "was alive at that time"
    who = "the patient" if len(longest) == 1 else "at least one of the patients"
    if len(longest) > 1 and longest.all():
        who = "all patients"
    return text(
        cohort.study,
        f"Observed times ran from {shortest} to {most} months; "
        f"{who} observed longest {end}. The range describes the two most extreme of "
        f"{words.count(n, 'patient')}. It widens as patients are added and says nothing of the "
        f"uncertainty of the median{_stated(cohort)}.",
    )


def _stated(cohort: Cohort) -> str:
    e = survival.median(cohort.study, "os.median", survival.from_infusion(cohort))
    return "" if e.low is None and e.high is None else ", which the confidence interval states"


def reading(cohort: Cohort) -> Text:
    """How the three origins differ in this cohort, in one sentence."""
    infusion, relapse, salvage = (
        survival.median(cohort.study, f"{id}.median", times)
        for id, times in survival.origins(cohort).items()
    )
    if infusion.value is None or relapse.value is None:
        return text(
            cohort.study,
            "At least one of the medians is not reached, so their difference cannot be stated. "
            "Survival at fixed months can still be read from the table.",
        )
    if months(infusion.value) == months(relapse.value):
        return text(cohort.study, "To the printed digit, the first two medians are the same.")
    later = (
        f"; from the first salvage line it is {months(salvage.value)} months"
        if salvage.value is not None
        else ""
    )
    return text(
        cohort.study,
        f"The median falls from {months(infusion.value)} months from infusion to "
        f"{months(relapse.value)} months from relapse{later}. Only time before relapse, which no "
        "salvage therapy can have influenced, separates the first two."
        if infusion.value > relapse.value
        else "Here the median from infusion is not longer than the median from relapse.",
    )


def response_reading(cohort: Cohort) -> Text | Absent:
    """Duration of response over all lines, under both rules for a new treatment."""
    censored, event = survival.all_lines_response(cohort)
    if not censored.n:
        return Absent(cohort.study, no_response_times(cohort))
    changed = (event.events or 0) - (censored.events or 0)
    return text(
        cohort.study,
        f"{words.count(censored.n, 'response')} with a recorded beginning lasted a median of "
        f"{median(censored, 'response')}."
        if censored.value is not None
        else f"The median duration of {words.count(censored.n, 'response')} was "
        f"{median(censored, 'response')}.",
        f"A new treatment began before progression or death in {words.count(changed, 'response')}. "
        f"If it counts as an event, the median is {median(event, 'response')}."
        if changed
        else "No response ended in a new treatment, so both rules give the same result.",
    )


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
        middle = survival.median(cohort.study, f"{id}.median", times)
        at = [survival.at_month(cohort.study, f"{id}.at.{m}", times, m) for m in FIXED_MONTHS]
        made += [middle, *at]
        deaths = f"{times.events:,} / {times.n:,}"
        rows.append((ORIGINS[id], deaths, median_cell(middle), *(_cell(e) for e in at)))
    notes = [LOG_LOG_NOTE]
    notes += [BEYOND_NOTE] if any(BEYOND in cell for row in rows for cell in row) else []
    notes += [NO_LIMITS_NOTE] if any(e.value == 0 for e in made if e.unit == "probability") else []
    return Table(
        cohort.study,
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
            cohort.study,
            "No restricted mean can be given: from one of the origins nobody was observed at all.",
        )
    made = {
        id: survival.restricted_mean(cohort.study, f"{id}.rmst", times, month)
        for id, times in survival.origins(cohort).items()
    }
    rows = [
        (ORIGINS[id], f"{e.n:,}", f"{e.events:,}", months(e.value), interval_text(e))
        for id, e in made.items()
    ]
    return Table(
        cohort.study,
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
        cohort.study,
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
        return Absent(cohort.study, no_response_times(cohort))
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
        cohort.study,
        "tab-survival-response-duration",
        "Duration of response over all salvage lines.",
        ("Rule", "Responses", "Ended", "Median, months", "95% CI, months"),
        rows,
        notes,
        mark(cohort.study),
    )


# --- a second implementation ----------------------------------------------------------------------
