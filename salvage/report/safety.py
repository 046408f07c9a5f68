"""The chapter on adverse events of salvage therapy."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Final, TypeVar

import pandas as pd

from salvage import words
from salvage.analysis import safety
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import FATAL_GRADE
from salvage.cohort.study import Study
from salvage.display import show
from salvage.display.show import Absent, Box, Cleared, Table, Text, text
from salvage.display.wording import interval_text, rate_text, sentence
from salvage.report.shared import NONE, Shown, marks, of, this_cohort

Part = TypeVar("Part")

MOST_TERMS: Final = 20
#: The adverse events with estimates of their own: the label by the key in the id.
OVERALL: Final = {
    "any": "Any adverse event",
    "fever": "Fever",
    "crs": "Cytokine release syndrome (CRS)",
    "icans": "Neurotoxicity (ICANS)",
}
SEVERE_NOTE: Final = (
    "Grade 3 or more: on the scale by which the event was graded. A patient counts once for each "
    "row, at the highest grade."
)
UNGRADED_NOTE: Final = (
    "An event without a grade is not known to be mild. A patient with one, and with no event of "
    "grade 3 or more, is left out of the denominator of grade 3 or more."
)
NO_LINE: Final = "No adverse event of this cohort is linked to a salvage line."


def nothing(study: Study | Cleared, name: str = "") -> Absent:
    """The one sentence of a cohort without adverse events, in place of ``name``."""
    return Absent(
        study,
        "The cohort records no adverse event of salvage therapy, so this chapter has no results. "
        "That nothing is recorded does not mean that nothing happened.",
        name,
    )


def _where_recorded(make: Callable[[Cohort], Part]) -> Callable[[Cohort], Part | Absent]:
    """A part of the chapter; :func:`nothing` where the cohort records no adverse event."""

    @wraps(make)
    def part(cohort: Cohort) -> Part | Absent:
        return make(cohort) if safety.recorded(cohort) else nothing(cohort.study)

    return part


def answer(cohort: Cohort) -> Box | Absent:
    """How many patients had an event, a severe one, and which one was the most common.

    Events of patients without a salvage line follow no salvage therapy; that they are left out is
    said here, also where there are no others.
    """
    left_out = _left_out(cohort)
    if not safety.recorded(cohort):
        absent = nothing(cohort.study, "answer-safety")
        return replace(absent, sentence=f"{absent.sentence} {left_out}".strip())
    return show.answer(
        cohort.study,
        f"{_number_of_events(cohort)} {_affected(cohort)}",
        f"{_most_common(cohort)} {_fever_if_not_most_common(cohort)}".strip(),
        left_out,
        name="answer-safety",
    )


def _number_of_events(cohort: Cohort) -> str:
    events = len(safety.events_of_treated(cohort))
    verb = "is" if events == 1 else "are"
    return (
        f"In {this_cohort(cohort.study)}, {words.count(events, 'adverse event')} of salvage "
        f"therapy {verb} recorded."
    )


def _affected(cohort: Cohort) -> str:
    estimates = safety.estimates(cohort)
    treated = len(cohort.treated)
    severe = estimates["ae.severe.patients"]
    occurred = f"At least one occurred in {_share(estimates['ae.any.patients'], treated)}"
    if severe.value is None:
        return f"{occurred}; no event has a grade, so nothing is known of severity."
    return f"{occurred}, and at least one of grade 3 or more in {_share(severe, treated)}."


def _share(e: Estimate, treated: int) -> str:
    """``14/29 (48%; 95% CI 29 to 67) of treated patients``."""
    known = "" if e.n == treated else " of whom that is known"
    return f"{sentence(e)} of treated patients{known}"


def _of_graded(severe: int, patients: int, ungraded: int) -> str:
    """``3 (11%)``, or ``3 (11%) of 27`` where some patients are not known to be free of a severe
    event; a dash where none is."""
    known = patients - ungraded
    if not known:
        return NONE
    return of(severe, known) + (f" of {known:,}" if ungraded else "")


def _events_of_graded(severe: int, events: int, ungraded: int) -> str:
    """``3``, or ``3 of 12 graded`` where events have no grade; a dash where none has one."""
    graded = events - ungraded
    if not ungraded:
        return f"{severe:,}"
    return f"{severe:,} of {graded:,} graded" if graded else NONE


def _most_common(cohort: Cohort) -> str:
    """The leading terms by patients and by events."""
    ranking = safety.ranking(cohort)
    by_patients, by_events = (safety.most_common(cohort, by) for by in ("patients", "events"))
    patients = of(int(ranking["patients"].max()), len(cohort.treated))
    events = f"{int(ranking['events'].max()):,}"
    leader = (
        f"The most common event was {_names(by_patients)}"
        if len(by_patients) == 1
        else f"The most common events were {_names(by_patients)}, equally often"
    )
    if by_patients == by_events:
        return f"{leader}: by patients, {patients}, and by events, {events}."
    return f"{leader}: by patients, {patients}; by events, it was {_names(by_events)}, {events}."


def _names(terms: list[str]) -> str:
    return words.listing([safety.LABELS.get(term, term) for term in terms])


def _fever_if_not_most_common(cohort: Cohort) -> str:
    if safety.FEVER in safety.most_common(cohort):
        return ""
    patients = safety.ranking(cohort).set_index("term")["patients"].get(safety.FEVER)
    if patients is None:
        return "Fever is not recorded in any patient."
    return f"Fever occurred in {of(int(patients), len(cohort.treated))}."


def _left_out(cohort: Cohort) -> str:
    events, patients = safety.left_out(cohort)
    if not events:
        return ""
    verb = "is" if events == 1 else "are"
    return (
        f"{words.count(events, 'adverse event')} of {words.count(patients, 'patient')} without a "
        f"salvage line {verb} not counted here."
    )


@_where_recorded
def overall(cohort: Cohort) -> Shown:
    """Any event, severe events, fever, CRS and ICANS, per patient and as events."""
    estimates = safety.estimates(cohort)
    events = safety.events_of_treated(cohort)
    events_of = {
        "any": events,
        **{key: safety.of_term(events, term) for term, key in safety.TERMS.items()},
    }
    rows: list[tuple[str, ...]] = []
    used = []
    for key, label in OVERALL.items():
        severe_id = "ae.severe.patients" if key == "any" else f"ae.{key}.severe.patients"
        counted = events_of[key]
        severe, ungraded = len(safety.severe(counted)), int(counted["grade"].isna().sum())
        for grade, e, number in (
            ("any grade", estimates[f"ae.{key}.patients"], f"{len(counted):,}"),
            (
                "grade 3 or more",
                estimates[severe_id],
                _events_of_graded(severe, len(counted), ungraded),
            ),
        ):
            used.append(e)
            cells = (
                (NONE, NONE, NONE, NONE)
                if e.value is None
                else (
                    f"{e.events:,} / {e.n:,}",
                    rate_text(e).rstrip("%"),
                    interval_text(e),
                    number,
                )
            )
            rows.append((f"{label}, {grade}", *cells))
    return Table(
        cohort.study,
        "tab-safety-overall",
        "Adverse events of salvage therapy: treated patients affected, and events.",
        ("Adverse event", "Patients / treated", "%", "Exact 95% CI, %", "Events"),
        rows,
        (SEVERE_NOTE, *_ungraded_note(events), *_versions_note(cohort)),
        marks(used),
    )


def _ungraded_note(events: pd.DataFrame) -> list[str]:
    return [UNGRADED_NOTE] if events["grade"].isna().any() else []


def _versions_note(cohort: Cohort) -> list[str]:
    """That versions are kept apart in the table of terms, where there are several."""
    versions = safety.ctcae_versions(cohort)
    if len(versions) < 2:
        return []
    return [
        f"Events were graded by {words.listing(versions)}, whose thresholds differ. Rows for grade "
        "3 or more count each event by its own version; the table of terms keeps them apart."
    ]


def by_term(cohort: Cohort) -> Shown:
    """Each term and scale: patients and events of any grade and of grade 3 or more."""
    if not safety.recorded(cohort):
        return nothing(cohort.study, "tab-safety-terms")
    n = len(cohort.treated)
    table = _fever_first(safety.by_term(cohort))
    shown, rest = table.iloc[:MOST_TERMS], table.iloc[MOST_TERMS:]
    rows = [
        (
            safety.label(row["term"]),
            _scale(row["scale"]),
            of(row["patients"], n),
            _of_graded(row["patients_severe"], n, row["patients_ungraded"])
            if row["ungraded"] < row["events"]
            else NONE,
            f"{row['events']:,}",
            _events_of_graded(row["events_severe"], row["events"], row["ungraded"]),
            f"{row['ungraded']:,}",
        )
        for row in shown.to_dict("records")
    ]
    if len(rest):
        sums = rest[["events", "events_severe", "ungraded"]].sum()
        label = words.count(len(rest), "further row")
        events, severe, ungraded = (f"{number:,}" for number in sums)
        rows.append((label, NONE, NONE, NONE, events, severe, ungraded))
    return Table(
        cohort.study,
        "tab-safety-terms",
        "Adverse events by term and scale, fever first, then by the number of patients.",
        (
            "Term",
            "Scale",
            "Patients, any grade (%)",
            "Patients, grade 3 or more (%)",
            "Events",
            "Events, grade 3 or more",
            "Events without grade",
        ),
        rows,
        (
            f"Percentages of {words.count(n, 'treated patient')}. A patient counts once for each "
            "term and scale, at the highest grade. A dash where no event of the row has a grade.",
            "Scales, and versions of a scale, are not pooled: a term graded by two has two rows.",
            *_ungraded_note(safety.events_of_treated(cohort)),
        ),
        own_mark(cohort.study),
        left=(0, 1),
    )


def _scale(scale: str) -> str:
    return words.SCALES.get(scale, scale)


def _fever_first(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of fever on top, the others in their order."""
    fever = table["term"] == safety.FEVER
    return pd.concat([table[fever], table[~fever]])


@_where_recorded
def grading(cohort: Cohort) -> Text:
    """Events without a grade, and fatal events."""
    events = safety.events_of_treated(cohort)
    grade_of_event = events["grade"]
    ungraded, fatal = int(grade_of_event.isna().sum()), int((grade_of_event == FATAL_GRADE).sum())
    if ungraded == len(grade_of_event):
        return text(cohort.study, "No event has a grade.")
    known = "Every event has a grade."
    if ungraded:
        patients = int(safety.patients_by_severity(events)["ungraded"].sum())
        known = (
            f"{words.count(ungraded, 'event')} of {len(events):,} "
            f"{'has' if ungraded == 1 else 'have'} no grade. They count at any grade; "
            f"for {words.count(patients, 'patient')} it is therefore not known whether an event of "
            "grade 3 or more occurred."
        )
    deaths = "No fatal event (grade 5) is recorded."
    if fatal:
        verb = "was" if fatal == 1 else "were"
        deaths = f"{words.count(fatal, 'event')} {verb} fatal (grade 5)."
    return text(cohort.study, f"{known} {deaths}")


@_where_recorded
def scales(cohort: Cohort) -> Text:
    """By which scales the events were graded, and that versions are not pooled."""
    sizes = safety.events_of_treated(cohort)["scale"].value_counts().sort_index()
    unknown = int(sizes.get(safety.UNSPECIFIED_SCALE, 0))
    named = [
        f"{words.count(int(size), 'event')} by {_scale(str(scale))}"
        for scale, size in sizes.items()
        if scale != safety.UNSPECIFIED_SCALE
    ]
    sentences = []
    if named:
        sentences.append(f"Graded: {words.listing(named)}.")
    if unknown:
        verb = "names" if unknown == 1 else "name"
        sentences.append(
            f"{words.count(unknown, 'event')} {verb} no scale: their grades cannot be compared "
            "with the others."
        )
    versions = safety.ctcae_versions(cohort)
    if len(versions) > 1:
        sentences.append(
            f"Two versions of CTCAE are in use here ({words.listing(versions)}). Version 6.0 moved "
            "the limits of several grades, so the same blood count can have another grade. "
            "The tables keep the versions apart."
        )
    return text(cohort.study, " ".join(sentences))


@_where_recorded
def grades(cohort: Cohort) -> Shown:
    """Patients by term and by their highest grade."""
    worst = safety.worst_grades(cohort)
    if worst.empty:
        return Absent(cohort.study, "No adverse event of salvage therapy has a grade.")
    order = _fever_first(worst.reset_index())
    shown = order.iloc[:MOST_TERMS]
    rows = [
        (
            safety.label(row["term"]),
            _scale(row["scale"]),
            *(f"{row[grade]:,}" for grade in range(1, 6)),
        )
        for row in shown.to_dict("records")
    ]
    notes = ["A patient counts once in each row, at the highest grade of that term."]
    if len(order) > MOST_TERMS:
        notes.append(f"The {MOST_TERMS} most common of {len(order):,} rows are shown.")
    return Table(
        cohort.study,
        "tab-safety-grades",
        "Patients by the highest grade of each adverse event.",
        ("Term", "Scale", *(f"Grade {grade}" for grade in range(1, 6))),
        rows,
        notes,
        own_mark(cohort.study),
        left=(0, 1),
        folded=True,
    )


@_where_recorded
def fever_and_crs_table(cohort: Cohort) -> Shown:
    """Patients by fever and CRS, which are separate events."""
    n = len(cohort.treated)
    names = {
        (True, False): "Fever, no CRS",
        (True, True): "Fever and CRS",
        (False, True): "CRS, no fever of its own",
        (False, False): "Neither",
    }
    rows = [
        (names[row["fever"], row["crs"]], of(row["patients"], n))
        for row in safety.fever_and_crs(cohort).to_dict("records")
    ]
    return Table(
        cohort.study,
        "tab-safety-fever-crs",
        "Fever and cytokine release syndrome, as separate events of a patient.",
        ("Recorded", "Treated patients (%)"),
        rows,
        (
            "Fever as part of a CRS belongs to the CRS. It is counted here only where the data "
            "record it as an event of its own.",
        ),
        own_mark(cohort.study),
    )


@_where_recorded
def fever_and_crs(cohort: Cohort) -> Text:
    """Fever and CRS of the same patients, and what the data cannot tell apart."""
    patients = safety.fever_and_crs(cohort).set_index(["fever", "crs"])["patients"]
    both = int(patients[True, True])
    fever, crs = int(patients[True, False]) + both, int(patients[False, True]) + both
    if fever == 0 and crs == 0:
        return text(cohort.study, "Neither fever nor CRS is recorded in any patient.")
    with_fever, with_crs = words.count(fever, "patient"), words.count(crs, "patient")
    if fever == 0:
        return text(cohort.study, f"CRS is recorded in {with_crs}, fever in none.")
    if crs == 0:
        return text(cohort.study, f"Fever is recorded in {with_fever}, CRS in none.")
    overlap = (
        f"{both:,} had both, not necessarily at the same time" if both else "no patient had both"
    )
    return text(
        cohort.study,
        f"Fever is recorded in {with_fever} and CRS in {with_crs}; {overlap}. "
        "If fever within a CRS were counted as fever, up to "
        f"{words.count(fever + crs - both, 'patient')} would have had it.",
    )


@_where_recorded
def by_category(cohort: Cohort) -> Shown:
    """Patients of each category with any event, a severe one, fever, CRS and ICANS."""
    if safety.events_of_lines(cohort).empty:
        return Absent(cohort.study, NO_LINE)
    table = safety.patients_by_category(cohort)
    graded = safety.graded(cohort)
    rows = [
        (
            words.category(str(key), cohort.study.labels),
            f"{row['patients']:,}",
            of(row["any"], row["patients"]),
            _of_graded(row["severe"], row["patients"], row["ungraded"]) if graded else NONE,
            *(of(row[term], row["patients"]) for term in safety.TERMS.values()),
        )
        for key, row in table.to_dict("index").items()
    ]
    return Table(
        cohort.study,
        "tab-safety-categories",
        "Patients of each category with an adverse event during its lines.",
        (
            "Category",
            "Patients",
            "Any event (%)",
            "Grade 3 or more (%)",
            "Fever (%)",
            "CRS (%)",
            "ICANS (%)",
        ),
        rows,
        (
            "Percentages of the patients who received the category. A patient counts once in each "
            "category received.",
            *_ungraded_note(safety.events_of_lines(cohort)),
            *_unlinked(cohort),
        ),
        own_mark(cohort.study),
    )


@_where_recorded
def exposure(cohort: Cohort) -> Shown:
    """Events of each category over the time at risk."""
    if safety.events_of_lines(cohort).empty:
        return Absent(cohort.study, NO_LINE)
    table = safety.by_category(cohort)
    rows = [
        (
            words.category(str(key), cohort.study.labels),
            f"{row['lines']:,}",
            f"{row['years']:,.2f}",
            f"{row['events']:,}",
            _events_of_graded(row["events_severe"], row["events"], row["events"] - row["graded"]),
            f"{row['rate']:,.1f}" if row["events"] else NONE,
            f"{row['low']:,.1f} to {row['high']:,.1f}" if row["events"] else NONE,
        )
        for key, row in table.to_dict("index").items()
    ]
    return Table(
        cohort.study,
        "tab-safety-exposure",
        "Adverse events over the time of exposure, by category.",
        (
            "Category",
            "Lines",
            "Patient-years",
            "Events",
            "Events, grade 3 or more",
            "Events per patient-year",
            "95% CI",
        ),
        rows,
        (
            "Exposure of a line runs from its start to 30 days after its end, for a second CAR-T "
            "infusion or radiotherapy at least 90 days. It ends with the next line and with death "
            "or last contact, which is where it ends if no end of the line is recorded.",
            "Events whose onset lies inside the exposure of their line count here, and no others. "
            "A category without any has no rate.",
            *_not_inside(cohort.study, table),
            "Exact Poisson interval. It takes events as independent, and is too narrow where a few "
            "patients have many.",
            *_unlinked(cohort),
        ),
        own_mark(cohort.study),
    )


def _not_inside(study: Study, table: pd.DataFrame) -> list[str]:
    """How many events of which categories have no onset inside the exposure."""
    notes = []
    for column, what in (("outside", "Onset outside the exposure"), ("undated", "No onset")):
        parts = [
            f"{words.category(str(key), study.labels)}, {words.count(int(n), 'event')}"
            for key, n in table[column].items()
            if n
        ]
        if parts:
            notes.append(f"{what}, and not counted: {'; '.join(parts)}.")
    return notes


def _unlinked(cohort: Cohort) -> list[str]:
    missing = safety.unlinked(cohort)
    if missing == 0:
        return []
    verb = "is" if missing == 1 else "are"
    return [f"{words.count(missing, 'event')} {verb} linked to no line and left out here."]


@_where_recorded
def counting(cohort: Cohort) -> Text:
    """Why patients, events and rates tell different things, in this cohort's numbers."""
    per_patient = safety.events_of_treated(cohort).groupby("patient_id").size()
    events, affected, treated = int(per_patient.sum()), len(per_patient), len(cohort.treated)
    spread = (
        f"{words.count(events, 'event')} occurred in {affected:,} of "
        f"{words.count(treated, 'treated patient')}, at most {per_patient.max():,} in one patient."
        if events > affected
        else f"Each patient with an event had one, {affected:,} of {treated:,}."
    )
    return text(
        cohort.study,
        f"{spread} Patients say how many are affected, events how often it happens, and rates how "
        "often over the time at risk. A category given for a short time has a short exposure, and "
        "its rate is high even if its patients fare no worse.",
    )
