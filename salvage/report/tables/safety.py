"""Tables of the chapter on adverse events of salvage therapy."""

from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import safety
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.show import Absent, Cleared, Table
from salvage.display.wording import interval_text, percent
from salvage.report.tables import Shown, mark, marks, of

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
            rows.append((f"{label}, {name}", *_share(made[id]), events_cell))
    return Table(
        cohort.study,
        "tab-safety-overall",
        "Adverse events of salvage therapy: treated patients affected, and events.",
        ("Adverse event", "Patients / treated", "%", "Exact 95% CI, %", "Events"),
        rows,
        (SEVERE_NOTE, *_scale_notes(cohort)),
        marks(used),
    )


def _share(e: Estimate) -> tuple[str, str, str]:
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


def fever_and_crs(cohort: Cohort) -> Shown:
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
