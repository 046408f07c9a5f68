"""Tables of the chapter on adverse events of salvage therapy."""

from dataclasses import replace
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import safety
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.schema import FATAL_GRADE
from salvage.cohort.study import Study
from salvage.display.show import Absent, Box, Cleared, Table, Text, answer, text
from salvage.display.wording import interval_text, percent
from salvage.report.shared import Shown, mark, marks, of, this_cohort


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


NONE: Final = "–"
MOST_TERMS: Final = 20
SEVERE_NOTE: Final = (
    "Grade 3 or more: on the scale by which the event was graded. A patient counts once for each "
    "row, at the highest grade."
)


def nothing(study: Study | Cleared, name: str = "") -> Absent:
    """The one sentence of a cohort without adverse events, in place of ``name``."""
    return Absent(
        study,
        "The cohort records no adverse event of salvage therapy, so this chapter has no results. "
        "That nothing is recorded does not mean that nothing happened.",
        name,
    )


def overall(cohort: Cohort) -> Shown:
    """Any event, severe events, fever, CRS and ICANS, per patient and as events."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    events = safety.events_of_treated(cohort)
    sets = {
        "Any adverse event": ("ae.any", events),
        "Fever": ("ae.fever", events[events["term"] == safety.FEVER]),
        "Cytokine release syndrome (CRS)": ("ae.crs", events[events["term"] == safety.CRS]),
        "Neurotoxicity (ICANS)": ("ae.icans", events[events["term"] == safety.ICANS]),
    }
    made = {e.id: e for e in safety.safety_estimates(cohort)}
    rows, used = [], []
    for label, (key, frame) in sets.items():
        severe = frame[frame["grade"] >= safety.SEVERE_GRADE]
        severe_key = "ae.severe.patients" if key == "ae.any" else f"{key}.severe.patients"
        for name, id, part in (
            ("any grade", f"{key}.patients", frame),
            ("grade 3 or more", severe_key, severe),
        ):
            used.append(made[id])
            events_cell = NONE if made[id].value is None else f"{len(part):,}"
            rows.append((f"{label}, {name}", *_share_cells(made[id]), events_cell))
    return Table(
        cohort.study,
        "tab-safety-overall",
        "Adverse events of salvage therapy: treated patients affected, and events.",
        ("Adverse event", "Patients / treated", "%", "Exact 95% CI, %", "Events"),
        rows,
        (SEVERE_NOTE, *_scale_notes(cohort)),
        marks(used),
    )


def _share_cells(e: Estimate) -> tuple[str, str, str]:
    if e.value is None:
        return NONE, NONE, NONE
    return f"{e.events:,} / {e.n:,}", percent(e.value).rstrip("%"), interval_text(e)


def _scale_notes(cohort: Cohort) -> list[str]:
    """That versions are kept apart in the table of terms, where there are several."""
    versions = safety.ctcae_versions(cohort)
    if len(versions) < 2:
        return []
    return [
        f"Events were graded by {words.listing(versions)}, whose thresholds differ. Rows for grade "
        "3 or more count each event by its own version; the table of terms keeps them apart."
    ]


def _scale(scale: str) -> str:
    return words.SCALES.get(scale, scale)


def _fever_first(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of fever on top, the others in their order."""
    fever = table["term"] == safety.FEVER
    return pd.concat([table[fever], table[~fever]])


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
            of(row["patients_severe"], n) if row["ungraded"] < row["events"] else NONE,
            f"{row['events']:,}",
            f"{row['events_severe']:,}" if row["ungraded"] < row["events"] else NONE,
            f"{row['ungraded']:,}",
        )
        for row in shown.to_dict("records")
    ]
    if len(rest):
        sums = [int(rest[c].sum()) for c in ("events", "events_severe", "ungraded")]
        label = words.count(len(rest), "further row")
        any_grade, severe, ungraded = (f"{value:,}" for value in sums)
        rows.append((label, NONE, NONE, NONE, any_grade, severe, ungraded))
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
        ),
        mark(cohort.study),
        left=(0, 1),
    )


def grades(cohort: Cohort) -> Shown:
    """Patients by term and by their highest grade."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    found = safety.worst_grades(cohort)
    if found.empty:
        return Absent(cohort.study, "No adverse event of salvage therapy has a grade.")
    order = _fever_first(found.reset_index())
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
        mark(cohort.study),
        left=(0, 1),
        folded=True,
    )


def by_category(cohort: Cohort) -> Shown:
    """Patients of each category with any event, a severe one, fever, CRS and ICANS."""
    absent = _no_lines(cohort)
    if absent:
        return absent
    table = safety.patients_by_category(cohort)
    unknown = () if safety.graded(cohort) else ("severe",)
    rows = [
        (
            words.category(str(key), cohort.study.labels),
            f"{row['patients']:,}",
            *(
                NONE if c in unknown else of(row[c], row["patients"])
                for c in ("any", "severe", "fever", "crs", "icans")
            ),
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
            *_unlinked(cohort),
        ),
        mark(cohort.study),
    )


def exposure(cohort: Cohort) -> Shown:
    """Events of each category over the time at risk."""
    absent = _no_lines(cohort)
    if absent:
        return absent
    rows = [
        (
            words.category(str(key), cohort.study.labels),
            f"{row['lines']:,}",
            f"{row['years']:,.2f}",
            f"{row['events']:,}",
            f"{row['events_severe']:,}" if safety.graded(cohort) else NONE,
            f"{row['rate']:,.1f}" if row["years"] > 0 else NONE,
            f"{row['low']:,.1f} to {row['high']:,.1f}" if row["years"] > 0 else NONE,
        )
        for key, row in safety.by_category(cohort).to_dict("index").items()
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
            "Exposure of a line runs from its start to its end, else to the next line, else to "
            "death or last contact.",
            "Exact Poisson interval. It takes events as independent, and is too narrow where a few "
            "patients have many.",
            *_unlinked(cohort),
        ),
        mark(cohort.study),
    )


def _no_lines(cohort: Cohort) -> Absent | None:
    if not safety.recorded(cohort):
        return nothing(cohort.study)
    if safety.events_of_lines(cohort).empty:
        return Absent(cohort.study, "No adverse event of this cohort is linked to a salvage line.")
    return None


def _unlinked(cohort: Cohort) -> list[str]:
    missing = safety.unlinked(cohort)
    if missing == 0:
        return []
    verb = "is" if missing == 1 else "are"
    return [f"{words.count(missing, 'event')} {verb} linked to no line and left out here."]


def fever_and_crs_table(cohort: Cohort) -> Shown:
    """Patients by fever and CRS, which are separate events."""
    if not safety.recorded(cohort):
        return nothing(cohort.study)
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
        mark(cohort.study),
    )
