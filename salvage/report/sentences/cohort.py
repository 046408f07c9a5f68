"""Computed prose of the chapter on the cohort."""

from typing import Final

from salvage import words
from salvage.analysis import survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.figures.captions import MOST_PATIENTS
from salvage.display.show import CLEARED, Box, Text, answer, text
from salvage.display.wording import interval_text, months
from salvage.report.sentences import this_cohort
from salvage.report.tables import of
from salvage.report.tables.cohort import BASELINE, LEVELS

FEW_ALIVE: Final = 10
MOST_LISTED: Final = 5


def cohort_answer(cohort: Cohort) -> Box:
    """Patients, deaths, relapse timing and follow-up in three sentences."""
    patients = cohort.patients
    n, dead = len(patients), int(patients["died"].sum())
    observed, reverse = survival.follow_up_observed(cohort), survival.follow_up_reverse(cohort)
    shortest, longest = months(patients["os_month"].min()), months(patients["os_month"].max())
    return answer(
        cohort.study,
        f"{words.capital(this_cohort(cohort.study))} has {words.count(n, 'patient')}"
        f"{_who_received(cohort)} received salvage therapy, in"
        f" {words.count(len(cohort.salvage), 'line')}. "
        f"{_deaths(n, dead)} {_timing(cohort)}",
        f"{_observed(n, observed, shortest, longest)} "
        f"By reverse Kaplan-Meier, the median follow-up was {_reverse(reverse)}.",
        name="answer-cohort",
    )


def _observed(n: int, observed: Estimate, shortest: str, longest: str) -> str:
    if shortest == longest:
        who = "The patient was" if n == 1 else "Every patient was"
        return f"{who} observed for {shortest} months from the first CAR-T infusion."
    return (
        "The median observed time from the first CAR-T infusion was "
        f"{months(observed.value)} months (range {shortest} to {longest})."
    )


def _who_received(cohort: Cohort) -> str:
    n, k = len(cohort.patients), len(cohort.treated)
    if k < n:
        return f", of whom {k:,}"
    return ", who" if n == 1 else ", all of whom"


def _deaths(n: int, dead: int) -> str:
    if dead == 0:
        return "The patient was alive at last contact." if n == 1 else "No patient died."
    if dead == n:
        return "The patient died." if n == 1 else "All patients died."
    return (
        f"{words.count(dead, 'patient')} died; {n - dead:,} {_was(n - dead)} alive at last contact."
    )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _timing(cohort: Cohort) -> str:
    n, late = len(cohort.patients), int(cohort.late.sum())
    cut = f"month {cohort.study.early_relapse_months:g}"
    if late == 0:
        return f"{'The' if n == 1 else 'Every'} relapse was early (in {cut} or before)."
    if late == n:
        return f"{'The' if n == 1 else 'Every'} relapse was late (after {cut})."
    return f"Relapse was early (in {cut} or before) in {of(n - late, n)} and late in {of(late, n)}."


def _reverse(e: Estimate) -> str:
    if e.value is None:
        return words.NOT_REACHED
    if e.low is None and e.high is None:
        return f"{months(e.value)} months"
    return f"{months(e.value)} months (95% CI {interval_text(e)})"


def setting(study: Study) -> Text:
    """Centre, window and data cut-off, as the study's settings give them."""
    study = study
    given = {
        "Centre": study.centre,
        "Dates of the study": study.window,
        "Data cut-off": study.data_cut_off,
    }
    known = [f"{name}: {value.rstrip('.')}." for name, value in given.items() if value]
    absent = [name.lower() for name, value in given.items() if not value]
    unknown = f"Not stated in the settings of the study: {words.listing(absent)}." if absent else ""
    return text(CLEARED, " ".join([*known, unknown]).strip())


def treated(cohort: Cohort) -> Text:
    """Who counts where: patients with and without salvage."""
    without = len(cohort.patients) - len(cohort.treated)
    if without == 0:
        return text(
            cohort.study,
            "Every patient of the cohort received salvage therapy. If receiving it was a condition "
            "of entry, patients who relapsed and died before any salvage are not in the data.",
        )
    return text(
        cohort.study,
        f"{words.count(without, 'patient')} relapsed and received no salvage therapy. "
        f"{'That patient counts' if without == 1 else 'They count'} in overall survival and not in "
        "response rates, whose denominators are salvage lines.",
    )


def missing(cohort: Cohort) -> Text:
    """How much of the baseline is missing, and what the table does about it."""
    columns = list(dict.fromkeys([*(item.column for item in BASELINE), *LEVELS]))
    frame = cohort.patients[columns]
    cells, blank = frame.size, int(frame.isna().to_numpy().sum())
    if blank == 0:
        return text(cohort.study, "No baseline value is missing.")
    complete = int(frame.notna().all(axis=1).sum())
    if blank == cells:
        return text(
            cohort.study,
            "The cohort records no baseline value, so its patients cannot be described further.",
        )
    return text(
        cohort.study,
        f"Of {cells:,} baseline values, {of(blank, cells)} "
        f"{_was(blank)} not recorded. {_complete(complete, len(frame))} "
        "Missing values were not imputed; the last column of the table counts them.",
    )


def _complete(complete: int, n: int) -> str:
    if complete == 0:
        return "No patient has a complete baseline."
    return f"The baseline is complete in {complete:,} of {words.count(n, 'patient')}."


def why_follow_up_differs(cohort: Cohort) -> Text:
    """Why the two medians of follow-up differ in this cohort, or agree."""
    n = len(cohort.patients)
    alive = n - int(cohort.patients["died"].sum())
    observed, reverse = survival.follow_up_observed(cohort), survival.follow_up_reverse(cohort)
    if alive == n:
        return text(
            cohort.study,
            "No patient died, so every observed time is a time of follow-up and the two methods "
            f"give the same median, {months(observed.value)} months.",
        )
    if alive == 0:
        return text(
            cohort.study,
            "Every patient died, so no follow-up ended while a patient was alive. The reverse "
            "Kaplan-Meier median is therefore not reached. The observed median is a median time "
            "to death: it says when patients died, not for how long survivors were followed.",
        )
    first = (
        f"The observed median of {months(observed.value)} months mixes two things: for "
        f"{words.count(n - alive, 'patient')} the time ended with death, and for {alive:,} at last "
        "contact. The more patients die, the nearer it comes to a median survival."
    )
    meaning = (
        "The reverse Kaplan-Meier median asks another question: for how long would these patients "
        "have been followed if none had died?"
    )
    if reverse.value is None:
        found = (
            "Here its curve, which falls only where a follow-up ended alive "
            f"(in {words.count(alive, 'patient')}), does not reach one half, "
            "so the median is not reached."
        )
    else:
        found = f"Here the answer is {_reverse(reverse)}, {_against(reverse, observed)}."
        if alive < FEW_ALIVE:
            found += f" It rests on {_alive(alive)} and is imprecise."
    return text(cohort.study, first, f"{meaning} {found}")


def _alive(alive: int) -> str:
    who = "the one patient" if alive == 1 else f"the {alive:,} patients"
    return f"{who} alive at last contact"


def _against(reverse: Estimate, observed: Estimate) -> str:
    if months(reverse.value) == months(observed.value):
        return "the same to the printed digit"
    longer = (reverse.value or 0) > (observed.value or 0)
    return f"{'longer' if longer else 'shorter'} than the observed median"


def courses(cohort: Cohort) -> Text:
    """How to read the figure of single patients, and who may see it."""
    if len(cohort.patients) > MOST_PATIENTS:
        return text(cohort.study, "Single courses are drawn for small cohorts only.")
    if cohort.study.synthetic:
        return text(
            cohort.study,
            "The courses below are synthetic: each one is possible as a history, and none is a "
            "patient's. In a hospital's own book this figure is individual-level data, "
            "for internal use only.",
        )
    return text(
        cohort.study,
        "This figure shows single patients. It is individual-level data, for internal use only: "
        "do not publish it or pass it on without the approval that your data need.",
    )


def unusual(cohort: Cohort) -> Text:
    """What the check of the data allowed but found unusual, and what it left out."""
    found = cohort.warnings
    left_out = f"Left out of what was read: {'; '.join(cohort.left_out)}."
    left_out = left_out if cohort.left_out else ""
    if not found:
        return text(
            cohort.study, "The check of the data found no error and nothing unusual.", left_out
        )
    listed = [
        f"{p.file}, row {p.row}, {p.column}: {p.value} ({p.expected})" for p in found[:MOST_LISTED]
    ]
    rest = len(found) - len(listed)
    entries = words.count(len(found), "unusual entry", "unusual entries")
    return text(
        cohort.study,
        f"The check of the data found no error and {entries}, kept as given: {'; '.join(listed)}"
        + (f"; and {rest:,} more." if rest else "."),
        left_out,
    )
