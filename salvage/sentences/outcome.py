"""Computed prose of the chapter on overall survival."""

from salvage import survival, words
from salvage.cohort import Cohort
from salvage.estimate import months, percent
from salvage.sentences import median, this_cohort
from salvage.show import Absent, Box, Text, answer, text
from salvage.tables import no_response_times, spread

FROM_SALVAGE = "Overall survival from the start of the first salvage line"
MONTHS_FROM_SALVAGE = "Months since the start of the first salvage line"


def outcome_answer(cohort: Cohort) -> Box:
    """Median survival from the three origins, deaths, and how much of the first is guaranteed."""
    infusion, relapse, salvage = (
        survival.median(cohort, f"{id}.median", times)
        for id, times in survival.origins(cohort).items()
    )
    treated = (
        f" From the first salvage line of {words.count(salvage.n or 0, 'treated patient')} "
        f"it was {median(salvage, 'patient')}."
        if salvage.n
        else ""
    )
    return answer(
        f"In {this_cohort(cohort)}, {_deaths(cohort)}. Median overall survival from the first "
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
    return text(" ".join(part for part in (first, rest) if part))


def observed_range(cohort: Cohort) -> Text:
    """What a range beside a median says, and what it does not."""
    months_ = cohort.patients["os_month"]
    n = len(months_)
    if n == 1:
        return text(
            f"The one patient was observed for {months_.iloc[0]:.1f} months. "
            "One patient has no range."
        )
    shortest, most = months(months_.min()), months(months_.max())
    if shortest == most:
        return text(f"All {n:,} patients were observed for {most} months. There is no range.")
    longest = cohort.patients.loc[months_ == months_.max(), "died"]
    end = "had died by then" if longest.all() else "was alive at that time"
    who = "the patient" if len(longest) == 1 else "at least one of the patients"
    if len(longest) > 1 and longest.all():
        who = "all patients"
    return text(
        f"Observed times ran from {shortest} to {most} months; "
        f"{who} observed longest {end}. The range describes the two most extreme of "
        f"{words.count(n, 'patient')}. It widens as patients are added and says nothing of the "
        f"uncertainty of the median{_stated(cohort)}."
    )


def _stated(cohort: Cohort) -> str:
    e = survival.median(cohort, "os.median", survival.from_infusion(cohort))
    return "" if e.low is None and e.high is None else ", which the confidence interval states"


def reading(cohort: Cohort) -> Text:
    """How the three origins differ in this cohort, in one sentence."""
    infusion, relapse, salvage = (
        survival.median(cohort, f"{id}.median", times)
        for id, times in survival.origins(cohort).items()
    )
    if infusion.value is None or relapse.value is None:
        return text(
            "At least one of the medians is not reached, so their difference cannot be stated. "
            "Survival at fixed months can still be read from the table."
        )
    if months(infusion.value) == months(relapse.value):
        return text("To the printed digit, the first two medians are the same.")
    later = (
        f"; from the first salvage line it is {months(salvage.value)} months"
        if salvage.value is not None
        else ""
    )
    return text(
        f"The median falls from {months(infusion.value)} months from infusion to "
        f"{months(relapse.value)} months from relapse{later}. Only time before relapse, which no "
        "salvage therapy can have influenced, separates the first two."
        if infusion.value > relapse.value
        else "Here the median from infusion is not longer than the median from relapse."
    )


def response_reading(cohort: Cohort) -> Text | Absent:
    """Duration of response over all lines, under both rules for a new treatment."""
    censored, event = survival.all_lines_response(cohort)
    if not censored.n:
        return Absent(no_response_times(cohort))
    changed = (event.events or 0) - (censored.events or 0)
    return text(
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
