"""How the study of the book was made, as far as its settings and its data say: design, size,
limitations and funding, for the methods and the STROBE checklist.

The synthetic book says what the abstract of the index study prints; any other book speaks of its
own cohort alone. What depends on the data is left out of a public book.
"""

from typing import Final

from salvage import words
from salvage.analysis import provenance
from salvage.cohort import Cohort
from salvage.display import show
from salvage.display.show import CLEARED, Table, Text
from salvage.report.shared import paragraph

#: What a report of this kind would tell, by the column that it needs.
NEEDED: Final = {
    ("patients", "ecog"): "performance status",
    ("patients", "ldh_elevated"): "LDH",
    ("salvage", "response_month"): "duration of response",
    ("salvage", "progression_month"): "progression-free survival",
    ("salvage", "target_switched"): "targets of the second CAR-T",
    ("adverse_events", "term"): "adverse events",
}
SELECTED: Final = (
    "Nobody was randomised: which treatment a patient received was chosen, and the choice depends"
    " on the outlook of the patient. Whoever reached a later line had lived that long."
)


def design(cohort: Cohort) -> Text:
    """Where the cohort comes from, its dates, and what decided its size."""
    return show.text(CLEARED, _design(cohort), _size(cohort))


def limitations(cohort: Cohort) -> Text:
    """What limits every conclusion from this cohort."""
    return show.text(CLEARED, *_limitations(cohort))


def funding(cohort: Cohort) -> Text:
    """Who funded the study."""
    return show.text(CLEARED, _funding(cohort))


def strobe(cohort: Cohort) -> Table:
    """The items of STROBE that only those who made the study can answer."""
    return Table(
        CLEARED,
        "tab-strobe-study",
        "STROBE items that the settings and the data of this study answer.",
        ("Item", "Topic", "Answer"),
        [
            ("4, 5, 6a", "Design, setting, participants", _design(cohort)),
            ("10", "Study size", _size(cohort)),
            ("19", "Limitations", paragraph(*_limitations(cohort))),
            ("22", "Funding", _funding(cohort)),
        ],
        left=(0, 1, 2),
    )


def _design(cohort: Cohort) -> str:
    study, printed = cohort.study, provenance.facts()["design"]
    if study.synthetic:
        return (
            "The patients of this book are synthetic: nobody was observed. The index study is"
            f" known by its abstract alone: {_lower(printed['type'])}. Centre:"
            f" {printed['centre']}. Dates: {printed['window']}."
        )
    return paragraph(
        f"The cohort of this book is that of {study.centre}."
        if study.centre
        else "The settings of this study do not name its centre.",
        f"Dates of inclusion: {study.window}."
        if study.window
        else "They do not state the dates of inclusion.",
        f"Data cut-off: {study.data_cut_off}." if study.data_cut_off else "",
        "How the patients were found, and whether they are consecutive, is no part of the data.",
    )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _size(cohort: Cohort) -> str:
    if cohort.study.public:
        return "The size was not planned: it is that of the file. The first chapter counts it."
    sizes = (
        f"{words.count(len(cohort.patients), 'patient')},"
        f" {words.count(len(cohort.salvage), 'salvage line')} and"
        f" {words.count(int(cohort.patients['died'].sum()), 'death')}"
    )
    if cohort.study.synthetic:
        return f"The size was not planned: it is that of the synthetic cohort, {sizes}."
    return f"The size was not planned by this report: it is that of the file, {sizes}."


def _limitations(cohort: Cohort) -> list[str]:
    if cohort.study.public:
        return [SELECTED]
    untreated = len(cohort.patients) - len(cohort.treated)
    absent = [part for column, part in NEEDED.items() if not cohort.has(*column)]
    return [
        "What the abstract does not print is assumed, so nothing here is evidence about patients"
        " beyond the printed figures."
        if cohort.study.synthetic
        else "",
        SELECTED,
        f"Patients without salvage are recorded ({untreated:,} of {len(cohort.patients):,}), so"
        " treated patients can be told from all whose CAR-T failed."
        if untreated
        else "Every recorded patient received salvage: whoever died before it could start is"
        " missing, and survival from infusion or relapse is too long by that selection.",
        "Patients with several lines count several times wherever lines are counted."
        if cohort.salvage["line"].max() > 1
        else "",
        f"Not recorded, and so not reported: {words.listing(absent)}." if absent else "",
    ]


def _funding(cohort: Cohort) -> str:
    if cohort.study.synthetic:
        return (
            "The abstract of the index study prints the funding number"
            f" {provenance.facts()['source']['funding']}."
        )
    return cohort.study.funding or "The settings of this study do not state its funding."
