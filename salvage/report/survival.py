"""The chapter on overall survival."""

from typing import Final

from salvage import words
from salvage.analysis import least, survival
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.analysis.survival import FIXED_MONTHS
from salvage.cohort import Cohort
from salvage.cohort.schema import RESPONSE
from salvage.display import figures, show
from salvage.display.show import Absent, Box, Figure, Table, Text, text
from salvage.display.wording import interval_text, months, percent, rate_text, reason
from salvage.report.shared import (
    END_NOTE,
    NONE,
    Shown,
    marks,
    median,
    median_cells,
    median_row,
    no_response_times,
    not_estimable,
    rule_rows,
    spread,
    this_cohort,
    undated_note,
)

ORIGINS: Final = {
    "os": "First CAR-T infusion",
    "os.from_relapse": "Relapse",
    "os.from_salvage": "First salvage line",
}
LOG_LOG_NOTE: Final = (
    "Kaplan-Meier with log-log 95% intervals, as R's survival package prints them."
)
BEYOND_NOTE: Final = "A dash: beyond the last observation, where the curve was above 0."
NO_LIMITS_NOTE: Final = (
    "Before the first death, and where every patient at risk has died, there is no interval."
)


def answer(cohort: Cohort) -> Box:
    """Median survival from the three origins, deaths, and how much of the first is guaranteed."""
    estimates = survival.estimates(cohort)
    infusion, relapse, salvage = (estimates[f"{id}.median"] for id in ORIGINS)
    medians = [
        f"Median overall survival from the first CAR-T infusion was {median(infusion, 'patient')}.",
        f"From relapse it was {median(relapse, 'patient')}.",
    ]
    if salvage.n:
        treated = words.count(salvage.n, "treated patient")
        medians.append(
            f"From the first salvage line of {treated} it was {median(salvage, 'patient')}."
        )
    return show.answer(
        cohort.study,
        " ".join([_deaths(cohort), *medians]),
        _guaranteed(estimates["os.guarantee.share"]),
        name="answer-survival",
    )


def _deaths(cohort: Cohort) -> str:
    n, dead = len(cohort.patients), int(cohort.patients["died"].sum())
    here = this_cohort(cohort.study)
    if n == 1:
        return f"In {here}, the one patient {'died' if dead else 'is alive'}."
    if dead == 0:
        return f"In {here}, none of {n:,} patients died."
    if dead == n:
        return f"In {here}, all {n:,} patients died."
    return f"In {here}, {dead:,} of {n:,} patients died."


def _guaranteed(share: Estimate) -> str:
    """How much of the time from infusion the start of salvage guarantees; empty if unknown."""
    if not share.n or share.value is None:
        return ""
    if share.value == 0:
        return "Salvage began in the month of infusion, so it guarantees no survival time."
    return (
        "Of the time from infusion that was observed in treated patients, "
        f"{percent(share.value)} lies before their first salvage line. Nobody who received "
        "salvage could have died in that time. Survival from infusion is therefore not the "
        "survival that follows salvage."
    )


def by_origin(cohort: Cohort) -> Table:
    """Median survival and survival at fixed months from each of the three time origins."""
    estimates = survival.estimates(cohort)
    medians = {id: estimates[f"{id}.median"] for id in ORIGINS}
    at_months = {id: [estimates[f"{id}.at.{month}"] for month in FIXED_MONTHS] for id in ORIGINS}
    used = [e for id in ORIGINS for e in (medians[id], *at_months[id])]
    notes = [LOG_LOG_NOTE]
    notes += [BEYOND_NOTE] if any(e.method.endswith(survival.BEYOND) for e in used) else []
    at_an_end = any(e.unit == "probability" and e.value in (0, 1) for e in used)
    notes += [NO_LIMITS_NOTE] if at_an_end else []
    notes += not_estimable((label, medians[id]) for id, label in ORIGINS.items())
    return Table(
        cohort.study,
        "tab-survival-origins",
        "Overall survival by where the clock starts.",
        (
            "Clock starts at",
            "Deaths / patients",
            "Median, months (95% CI)",
            *(f"Alive at {month} months, % (95% CI)" for month in FIXED_MONTHS),
        ),
        [
            (
                label,
                f"{medians[id].events:,} / {medians[id].n:,}",
                _median_cell(medians[id]),
                *map(_survival_cell, at_months[id]),
            )
            for id, label in ORIGINS.items()
        ],
        notes,
        marks(used),
    )


def _survival_cell(e: Estimate) -> str:
    """Value and interval of a survival at a month, in percent."""
    if e.value is None:
        return NONE
    value = rate_text(e).rstrip("%")
    return value if value == NONE or e.low is None else f"{value} ({interval_text(e)})"


def _median_cell(e: Estimate) -> str:
    """Value and interval of a median in months; one that is not reached keeps its lower limit."""
    if not e.n:
        return NONE
    middle, interval = median_cells(e)
    return middle if e.low is None and e.high is None else f"{middle} ({interval})"


def why_biased(cohort: Cohort) -> Text:
    """How long treated patients had to live to be treated."""
    waits = survival.guarantee_time(cohort)
    if waits.empty:
        return text(cohort.study, "No patient of this cohort received salvage therapy.")
    if len(waits) == 1:
        sentences = [
            f"The one treated patient was alive by definition at {waits.iloc[0]:.1f} months, when "
            "the first salvage line began."
        ]
    else:
        sentences = [
            f"The months from infusion to the first salvage line were {spread(waits)}, as median "
            f"and range over {words.count(len(waits), 'treated patient')}.",
            "Each of them was alive at that month by definition.",
        ]
    untreated = len(cohort.patients) - len(waits)
    if untreated:
        patients = words.count(untreated, "patient")
        sentences.append(f"{patients} without salvage had to live only until relapse.")
    return text(cohort.study, " ".join(sentences))


def reading(cohort: Cohort) -> Text:
    """How the three origins differ in this cohort, in one sentence."""
    estimates = survival.estimates(cohort)
    infusion, relapse, salvage = (estimates[f"{id}.median"].value for id in ORIGINS)
    if infusion is None or relapse is None:
        return text(
            cohort.study,
            "At least one of the medians is not reached or rests on too few patients, so their "
            "difference cannot be stated. "
            "Survival at fixed months can still be read from the table.",
        )
    if months(infusion) == months(relapse):
        return text(cohort.study, "To the printed digit, the first two medians are the same.")
    if infusion < relapse:
        return text(
            cohort.study,
            "Here the median from infusion is not longer than the median from relapse.",
        )
    fall = f"from {months(infusion)} months from infusion to {months(relapse)} months from relapse"
    why = (
        "Only time before relapse, which no salvage therapy can have influenced, separates the "
        "first two."
    )
    if salvage is None:
        return text(cohort.study, f"The median falls {fall}. {why}")
    return text(
        cohort.study,
        f"The median falls {fall}; from the first salvage line it is {months(salvage)} months. "
        f"{why}",
    )


def os_from_salvage(cohort: Cohort) -> Figure | Absent:
    """Overall survival of treated patients from the start of their first salvage line."""
    return figures.km(
        cohort.study,
        [survival.from_first_salvage(cohort)],
        "fig-os-salvage",
        "Overall survival from the start of the first salvage line",
        axis="Months since the start of the first salvage line",
    )


def restricted_means(cohort: Cohort) -> Shown:
    """Restricted mean survival time from each origin, to one horizon that the data allow."""
    month = survival.horizon(cohort)
    if month is None:
        return Absent(
            cohort.study,
            f"No restricted mean can be given: there is {survival.NO_HORIZON}.",
        )
    means = {id: survival.estimates(cohort)[f"{id}.rmst"] for id in ORIGINS}
    return Table(
        cohort.study,
        "tab-survival-restricted-mean",
        f"Mean survival time within {words.months(month)} of each origin.",
        ("Clock starts at", "Patients", "Deaths, all follow-up", "Mean, months", "95% CI, months"),
        [median_row(label, means[id]) for id, label in ORIGINS.items()],
        (
            f"The area under the Kaplan-Meier curve up to {words.months(month)}. The horizon is "
            f"the last whole month at which a tenth and at least {least.AT_RISK} patients are at "
            "risk from every origin.",
            "Normal interval with R's standard error; none where nobody died within the horizon.",
        ),
        marks([*means.values()]),
    )


def follow_up(cohort: Cohort) -> Table:
    """What a printed follow-up can mean: observed time, its range, and reverse Kaplan-Meier."""
    observed, reverse, shortest, longest, os = used = [
        survival.estimates(cohort)[id]
        for id in (
            "followup.observed.median",
            "followup.reverse_km.median",
            "os.range.min",
            "os.range.max",
            "os.median",
        )
    ]
    extremes = f"{months(shortest.value)} to {months(longest.value)}"
    return Table(
        cohort.study,
        "tab-survival-follow-up",
        "Observed time, survival and follow-up from the first CAR-T infusion.",
        ("Measure", "Patients", "Months", "95% CI, months"),
        [
            ("Observed time, median", f"{observed.n:,}", months(observed.value), NONE),
            ("Observed time, shortest to longest", f"{shortest.n:,}", extremes, NONE),
            ("Overall survival, median", f"{os.n:,}", *median_cells(os)),
            ("Follow-up, median by reverse Kaplan-Meier", f"{reverse.n:,}", *median_cells(reverse)),
        ],
        (
            "Observed time runs to death or last contact. A range is not a confidence interval.",
            "Reverse Kaplan-Meier exchanges death and censoring (Schemper and Smith 1996).",
        ),
        marks(used),
    )


def observed_range(cohort: Cohort) -> Text:
    """What a range beside a median says, and what it does not."""
    observed = cohort.patients["os_month"]
    n, shortest, longest = len(observed), months(observed.min()), months(observed.max())
    if n == 1:
        return text(
            cohort.study,
            f"The one patient was observed for {longest} months. One patient has no range.",
        )
    if shortest == longest:
        return text(
            cohort.study,
            f"All {n:,} patients were observed for {longest} months. There is no range.",
        )
    died = cohort.patients.loc[observed == observed.max(), "died"]
    last = {
        (True, True): "the patient observed longest had died by then",
        (True, False): "the patient observed longest was alive at that time",
        (False, True): "all patients observed longest had died by then",
        (False, False): "at least one of the patients observed longest was alive at that time",
    }[len(died) == 1, bool(died.all())]
    middle = survival.estimates(cohort)["os.median"]
    uncertainty = (
        "the uncertainty of the median"
        if middle.low is None and middle.high is None
        else "the uncertainty of the median, which the confidence interval states"
    )
    return text(
        cohort.study,
        f"Observed times ran from {shortest} to {longest} months; {last}. The range describes the "
        f"two most extreme of {n:,} patients. It widens as patients are added and says nothing of "
        f"{uncertainty}.",
    )


def responses(cohort: Cohort) -> Shown:
    """Duration of response and PFS over all lines, by each rule for the end of a line."""
    responses, lines = (survival.line_times(cohort, key) for key in ("dor", "pfs"))
    if not any(times is not None and times.n for times in (responses, lines)):
        return Absent(cohort.study, no_response_times(cohort))
    notes = [END_NOTE, "A patient counts once for each line."]
    untimed = int(cohort.salvage["best_response"].isin(RESPONSE).sum())
    untimed -= responses.n if responses is not None else 0
    if untimed:
        notes.append(f"{words.count(untimed, 'response')} without a recorded month left out.")
    return Table(
        cohort.study,
        "tab-survival-response-duration",
        "Duration of response and progression-free survival over all salvage lines.",
        ("Duration", "Lines", "Events", "Median, months", "95% CI, months"),
        [*rule_rows(cohort, "dor"), *rule_rows(cohort, "pfs")],
        [*notes, *filter(None, [undated_note(cohort)])],
        own_mark(cohort.study),
    )


def response_reading(cohort: Cohort) -> Text | Absent:
    """Duration of response over all lines, and what the next lines change in it."""
    medians = survival.line_medians(cohort)
    main, censored, event = (
        medians[f"dor.all.{rule}median"]
        for rule in ("", "censored_at_next_line.", "next_line_event.")
    )
    if not main.n:
        return Absent(cohort.study, no_response_times(cohort))
    ended = (
        f"{words.count(main.n, 'response')} with a recorded beginning lasted a median of "
        f"{median(main, 'response')}."
        if main.value is not None
        else f"The median duration of {words.count(main.n, 'response')} was "
        f"{median(main, 'response')}."
    )
    lines = survival.with_outcome(cohort)
    held = lines[lines["best_response"].isin(RESPONSE) & lines["response_month"].notna()]
    end, event_then = survival.end_of_line(held)
    changed = int(((held["next_start"] < end) | (held["next_start"] == end) & ~event_then).sum())
    return text(
        cohort.study,
        ended,
        f"A next line began before progression or death in {words.count(changed, 'response')}. "
        f"Censored there, the median is {median(censored, 'response')}; with the next line as an "
        f"event it is {median(event, 'response')}."
        if changed
        else "No next line began before progression or death, so all rules give the same result.",
    )


# --- what comes first -----------------------------------------------------------------------------

#: The ids of competing causes, and among what they are counted.
COMPETING: Final = (
    (survival.NEXT_LINE, "", "salvage lines, from their start"),
    (survival.NEXT_LINE, "first_line.", "first salvage lines, from their start"),
    (survival.FIRST_SALVAGE, "", "patients, from relapse"),
    (survival.DEATHS, "", "patients, from relapse"),
)


def competing(cohort: Cohort) -> Table | Absent:
    """Cumulative incidence of what can come next, where one comes before the other."""
    estimates = survival.competing_estimates(cohort)
    rows, used, notes = [], [], []
    for causes, group, among in COMPETING:
        by_cause = {
            label: [estimates[f"cif.{cause}.{group}at.{month}"] for month in FIXED_MONTHS]
            for cause, label in causes.items()
        }
        first = next(iter(by_cause.values()))[0]
        if first.value is None:
            labels = words.listing([*by_cause]).lower()
            notes.append(f"Among {among}, {labels} are not given: {reason(first.method)}.")
            continue
        for label, at in by_cause.items():
            used += at
            events = f"{at[0].events:,} / {at[0].n:,}"
            rows.append((label, among, events, *map(_survival_cell, at)))
    if not rows:
        return Absent(cohort.study, " ".join(notes))
    unknown = survival.deaths_without_cause(cohort)
    if unknown and estimates["cif.nrm.at.3"].value is not None:
        deaths = words.count(unknown, "death")
        notes.append(f"{deaths} without a recorded cause stand in neither row of causes.")
    notes += ["A dash: beyond the last observation."] if any(e.value is None for e in used) else []
    return Table(
        cohort.study,
        "tab-survival-competing",
        "What came first: cumulative incidence of treatment and of death.",
        (
            "Event",
            "Among",
            "Events / all",
            *(f"{words.months(month)}, % (95% CI)" for month in FIXED_MONTHS),
        ),
        rows,
        ("Aalen-Johansen estimates with log-log 95% intervals.", *notes),
        marks(used),
        left=(0, 1),
    )


READ_AT: Final = 6


def competing_reading(cohort: Cohort) -> Text:
    """How many lines were followed by another, and how many by death alone."""
    estimates = survival.competing_estimates(cohort)
    next_line, death = (estimates[f"cif.{cause}.at.{READ_AT}"] for cause in survival.NEXT_LINE)
    if next_line.value is None or death.value is None:
        return text(
            cohort.study,
            f"What came first within {words.months(READ_AT)} of a line cannot be stated: "
            f"{reason(next_line.method)}.",
        )
    return text(
        cohort.study,
        f"Within {words.months(READ_AT)} of the start of a line, a next line followed "
        f"{percent(next_line.value, next_line.n)} of lines, and in "
        f"{percent(death.value, death.n)} the patient died before a next line.",
    )
