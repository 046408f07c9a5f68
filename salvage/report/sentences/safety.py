"""Computed prose of the chapter on adverse events."""

from dataclasses import replace

from salvage import words
from salvage.analysis import safety
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.check import FATAL_GRADE
from salvage.display.show import Absent, Box, Text, answer, text
from salvage.display.wording import interval_text, percent
from salvage.report.sentences import this_cohort
from salvage.report.tables import of
from salvage.report.tables.safety import nothing


def safety_answer(cohort: Cohort) -> Box | Absent:
    """How many patients had an event, a severe one, and which one was the most common.

    Events of patients without a salvage line follow no salvage therapy; that they are left out is
    said here, also where there are no others.
    """
    if not safety.recorded(cohort):
        absent = nothing(cohort.study, "answer-safety")
        return replace(absent, sentence=f"{absent.sentence} {_left_out(cohort)}".strip())
    made = {e.id: e for e in safety.safety_estimates(cohort)}
    any_grade, severe = made["ae.any.patients"], made["ae.severe.patients"]
    events = safety.events_of_treated(cohort)
    return answer(
        cohort.study,
        f"In {this_cohort(cohort.study)}, {words.count(len(events), 'adverse event')} of salvage "
        "therapy "
        f"{'is' if len(events) == 1 else 'are'} recorded. At least one occurred in "
        f"{_share(any_grade)}{_and_severe(severe)}.",
        _most_common(cohort),
        _left_out(cohort),
        name="answer-safety",
    )


def _left_out(cohort: Cohort) -> str:
    events, patients = safety.left_out(cohort)
    if not events:
        return ""
    verb = "is" if events == 1 else "are"
    return (
        f"{words.count(events, 'adverse event')} of {words.count(patients, 'patient')} without a "
        f"salvage line {verb} not counted here."
    )


def _and_severe(severe: Estimate) -> str:
    if severe.value is None:
        return "; no event has a grade, so nothing is known of severity"
    return f", and at least one of grade 3 or more in {_share(severe)}"


def _most_common(cohort: Cohort) -> str:
    """The leading terms by patients and by events, and where fever stands if it does not lead."""
    ranking = safety.ranking(cohort).set_index("term")
    n = len(cohort.treated)
    by_patients, by_events = (safety.most_common(cohort, by) for by in ("patients", "events"))
    patients, events = int(ranking["patients"].max()), int(ranking["events"].max())
    if by_patients == by_events:
        told = f"{_lead(by_patients)} by patients, {of(patients, n)}, and by events, {events:,}."
    else:
        told = (
            f"{_lead(by_patients)} by patients, {of(patients, n)}; by events, it was "
            f"{_names(by_events)}, {events:,}."
        )
    return f"{told} {_where_is_fever(cohort, by_patients)}".strip()


def _lead(terms: list[str]) -> str:
    if len(terms) == 1:
        return f"The most common event was {_names(terms)}:"
    return f"The most common events were {_names(terms)}, equally often:"


def _share(e: Estimate) -> str:
    """``48.3% of treated patients (14/29; 95% CI 29.4 to 67.5)``."""
    inside = f"{e.events:,}/{e.n:,}; 95% CI {interval_text(e)}"
    return f"{percent(e.value)} of treated patients ({inside})"


def _names(terms: list[str]) -> str:
    return words.listing([safety.LABELS.get(term, term) for term in terms])


def _where_is_fever(cohort: Cohort, leading: list[str]) -> str:
    if safety.FEVER in leading:
        return ""
    found = safety.ranking(cohort).set_index("term")
    if safety.FEVER not in found.index:
        return "Fever is not recorded in any patient."
    affected = int(found.loc[[safety.FEVER], "patients"].iloc[0])
    return f"Fever occurred in {of(affected, len(cohort.treated))}."


def scales(cohort: Cohort) -> Text | Absent:
    """By which scales the events were graded, and that versions are not pooled."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    events = safety.events_of_treated(cohort)
    sizes = events["scale"].value_counts().sort_index()
    named = [
        f"{words.count(size, 'event')} by {words.SCALES.get(scale, scale)}"
        for scale, size in zip(sizes.index.tolist(), sizes.tolist(), strict=True)
        if scale != safety.UNSPECIFIED_SCALE
    ]
    paragraphs = []
    if named:
        paragraphs.append(f"Graded: {words.listing(named)}.")
    unknown = int(sizes.get(safety.UNSPECIFIED_SCALE, 0))
    if unknown:
        verb = "names" if unknown == 1 else "name"
        paragraphs.append(
            f"{words.count(unknown, 'event')} {verb} no scale: their grades cannot be compared "
            "with the others."
        )
    versions = safety.ctcae_versions(cohort)
    if len(versions) > 1:
        paragraphs.append(
            f"Two versions of CTCAE are in use here ({words.listing(versions)}). Version 6.0 moved "
            "the limits of several grades, so the same blood count can have another grade. "
            "The tables keep the versions apart."
        )
    return text(cohort.study, " ".join(paragraphs))


def grading(cohort: Cohort) -> Text | Absent:
    """Events without a grade, and fatal events."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    events = safety.events_of_treated(cohort)
    ungraded = int(events["grade"].isna().sum())
    if ungraded == len(events):
        return text(cohort.study, "No event has a grade.")
    fatal = int((events["grade"] == FATAL_GRADE).sum())
    told = []
    if ungraded:
        told.append(
            f"{words.count(ungraded, 'event')} without a grade "
            f"{'counts' if ungraded == 1 else 'count'} at any grade and not at grade 3 or more."
        )
    else:
        told.append("Every event has a grade.")
    told.append(
        f"{words.count(fatal, 'event')} {'was' if fatal == 1 else 'were'} fatal (grade 5)."
        if fatal
        else "No fatal event (grade 5) is recorded."
    )
    return text(cohort.study, " ".join(told))


def fever_and_crs(cohort: Cohort) -> Text | Absent:
    """Fever and CRS of the same patients, and what the data cannot tell apart."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    found = safety.fever_and_crs(cohort).set_index(["fever", "crs"])["patients"]
    fever = int(found[True, False] + found[True, True])
    crs = int(found[False, True] + found[True, True])
    both = int(found[True, True])
    if fever == 0 and crs == 0:
        return text(cohort.study, "Neither fever nor CRS is recorded in any patient.")
    if fever == 0 or crs == 0:
        present, absent = ("CRS", "fever") if fever == 0 else ("Fever", "CRS")
        count = words.count(crs or fever, "patient")
        return text(cohort.study, f"{present} is recorded in {count}, {absent} in none.")
    return text(
        cohort.study,
        f"Fever is recorded in {words.count(fever, 'patient')} and CRS in "
        f"{words.count(crs, 'patient')}; {_both(both)}. "
        "If fever within a CRS were counted as fever, up to "
        f"{words.count(fever + crs - both, 'patient')} would have had it.",
    )


def _both(both: int) -> str:
    if both == 0:
        return "no patient had both"
    return f"{both:,} had both, not necessarily at the same time"


def counting(cohort: Cohort) -> Text | Absent:
    """Why patients, events and rates tell different things, in this cohort's numbers."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    events = safety.events_of_treated(cohort)
    per_patient = events.groupby("patient_id").size()
    n, affected = len(cohort.treated), len(per_patient)
    most = int(per_patient.max())
    opening = (
        f"{words.count(len(events), 'event')} occurred in {affected:,} of "
        f"{words.count(n, 'treated patient')}, at most {most:,} in one patient. "
        if len(events) > affected
        else f"Each patient with an event had one, {affected:,} of {n:,}. "
    )
    return text(
        cohort.study,
        f"{opening}Patients say how many are affected, events how often it happens, and rates how "
        "often over the time at risk. A category given for a short time has a short exposure, and "
        "its rate is high even if its patients fare no worse.",
    )
