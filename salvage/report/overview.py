"""The overview of salvage therapy: lines per patient, sequences, responses of all categories."""

from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import response
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.analysis.survival import with_outcome
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.display import show
from salvage.display.show import Box, Table, Text
from salvage.display.wording import interval_text, sentence, value_text
from salvage.report.shared import (
    EXACT_NOTE,
    NE_NOTE,
    NONE,
    RATE_HEAD,
    WILSON_NOTE,
    marks,
    of,
    rate_cells,
    rate_row,
    responses_note,
    spread,
    this_cohort,
)


def answer(cohort: Cohort) -> Box:
    """Lines, patients, and response at the first salvage line and over all lines."""
    return show.answer(
        cohort.study,
        f"{_received(cohort)} {rates_in_short(cohort)}",
        evaluable_in_short(cohort),
        name="answer-overview",
    )


def rates_in_short(cohort: Cohort) -> str:
    """The response rates, the one first that :func:`response.leading` names."""
    estimates = response.estimates(cohort)
    first, first_cr = estimates["orr.first_line.all"], estimates["cr.first_line.all"]
    over_all, cr = estimates["orr.all.wilson"], estimates["cr.all.wilson"]
    if first.n == over_all.n:
        return (
            f"The objective response rate was {sentence(first)} and the complete response rate"
            f" {sentence(first_cr)}."
        )
    allowed = (
        "" if interval_text(over_all) == NONE else "; these intervals allow for patients who repeat"
    )
    if response.leading(cohort) is over_all:
        return (
            "Over all lines, as the index study counts them, the objective response rate was"
            f" {sentence(over_all)} and the complete response rate {sentence(cr)}{allowed}. At the"
            " first salvage line, one for each patient, the objective response rate was"
            f" {sentence(first)}, which is assumed."
        )
    return (
        "At the first salvage line, one for each patient, the objective response rate was"
        f" {sentence(first)} and the complete response rate {sentence(first_cr)}. Over all lines"
        f" they were {sentence(over_all)} and {sentence(cr)}{allowed}."
    )


def _received(cohort: Cohort) -> str:
    """How many patients received how many lines, and the most that one of them received."""
    here = f"In {this_cohort(cohort.study)}"
    patients = words.count(len(cohort.treated), "patient")
    lines = words.count(len(cohort.salvage), "salvage line")
    most = int(cohort.salvage["line"].max())
    if len(cohort.treated) == 1:
        return f"{here}, {patients} received {lines}."
    if most == 1:
        return f"{here}, {patients} received {lines}, one for each patient."
    return f"{here}, {patients} received {lines}, up to {most} for one patient."


# --- how many lines -------------------------------------------------------------------------------

LAST_LINE: Final = 4
LINE_NAMES: Final = {1: "First", 2: "Second", 3: "Third", LAST_LINE: "Fourth or later"}


def lines(cohort: Cohort) -> Table:
    """Each line position: who reached it, when it began, and how many lines responded."""
    every = with_outcome(cohort)
    position = every["line"].clip(upper=LAST_LINE)
    n = len(cohort.patients)
    rows = []
    for number, name in LINE_NAMES.items():
        at = every[position == number]
        orr = response.rate_of(cohort.study, "orr", at, f"line_{number}")
        rows.append(
            (
                name,
                of(at["patient_id"].nunique(), n),
                f"{len(at):,}",
                NONE if at.empty else spread(at["start_month"] - at["relapse_month"]),
                *rate_cells(orr),
            )
        )
    return Table(
        cohort.study,
        "tab-overview-lines",
        "Salvage lines by their position, and objective responses at each.",
        (
            "Salvage line",
            "Patients who reached it (%)",
            "Lines",
            "Months from relapse to start",
            "CR or PR / lines",
            "Rate, %",
            "Exact 95% CI, %",
        ),
        rows,
        (
            "Percentages are of all patients of the cohort. Months are medians (range).",
            EXACT_NOTE,
            NE_NOTE,
        ),
        own_mark(cohort.study),
    )


def lines_per_patient(cohort: Cohort) -> pd.Series:
    """Number of patients by their number of salvage lines, zero included where it occurs."""
    sizes = cohort.patients["patient_id"].map(cohort.salvage.groupby("patient_id").size())
    return sizes.fillna(0).astype(int).value_counts().sort_index()


def how_many(cohort: Cohort) -> Text:
    """How many patients had how many lines, and what selection the later lines carry."""
    n = len(cohort.patients)
    sizes = lines_per_patient(cohort)
    groups = [
        (patients, words.count(number, "line") if number else "no salvage line")
        for number, patients in zip(sizes.index.tolist(), sizes.tolist(), strict=True)
    ]
    if len(groups) > 1:
        each = words.listing([f"{of(patients, n)} received {lines}" for patients, lines in groups])
        received = f"Of {words.count(n, 'patient')}, {each}."
    elif n > 1:
        received = f"Each of the {n:,} patients received {groups[0][1]}."
    else:
        received = f"The one patient received {groups[0][1]}."
    selected = (
        "Only patients who lived long enough and were fit enough reach a later line, "
        "so rates at later lines describe a selected group."
    )
    later = cohort.salvage["line"].max() > 1
    return show.text(cohort.study, received, selected if later else "")


# --- in which order -------------------------------------------------------------------------------

MOST_SEQUENCES: Final = 12
ARROW: Final = " → "


@once
def sequence_counts(cohort: Cohort) -> pd.Series:
    """Patients by their sequence of categories, most frequent first, ties in alphabetical order."""
    short = {key: words.category_short(key, cohort.study.labels) for key in CATEGORY_KEYS}
    steps = cohort.salvage.set_index("patient_id")[["line", "category"]]
    steps = steps.assign(step=steps["category"].map(short))
    paths = pd.Series(dtype=object)
    for line, here in steps.groupby("line")["step"]:
        if line == 1:
            paths = here.astype(object)
        else:
            paths.loc[here.index] += ARROW + here
    return paths.value_counts().sort_index().sort_values(ascending=False, kind="stable")


def sequences(cohort: Cohort) -> Table:
    """The most frequent sequences of categories over a patient's lines."""
    counts = sequence_counts(cohort)
    treated = int(counts.sum())
    rows = [
        (name, f"{name.count(ARROW) + 1:,}", of(patients, treated))
        for name, patients in list(zip(counts.index.tolist(), counts, strict=True))[:MOST_SEQUENCES]
    ]
    rest = counts.iloc[MOST_SEQUENCES:]
    if len(rest):
        label = words.count(len(rest), "further sequence")
        rows.append((label, NONE, of(int(rest.sum()), treated)))
    return Table(
        cohort.study,
        "tab-overview-sequences",
        "Sequences of salvage categories, most frequent first.",
        ("Sequence", "Lines", "Patients (%)"),
        rows,
        ("Percentages are of the patients with salvage therapy.",),
        own_mark(cohort.study),
        folded=True,
    )


def order(cohort: Cohort) -> Text:
    """How varied the sequences are, and what began them."""
    first = cohort.salvage.loc[cohort.salvage["line"] == 1, "category"].value_counts()
    most_frequent = [key for key in CATEGORY_KEYS if first.get(key, 0) == first.max()]
    starts = words.listing([words.category(key, cohort.study.labels) for key in most_frequent])
    treated = int(first.sum())
    if treated == 1:
        return show.text(cohort.study, f"The only treated patient began with: {starts}.")
    share = of(int(first.max()), treated)
    if len(most_frequent) == 1:
        begin = f"The most frequent first category was {starts}, in {share}."
    else:
        begin = f"The most frequent first categories were {starts}, each in {share}."
    return show.text(cohort.study, f"{_variety(cohort)} {begin}")


def _variety(cohort: Cohort) -> str:
    """How many sequences there are, and how many of them occurred in one patient only."""
    counts = sequence_counts(cohort)
    treated, sequences, alone = int(counts.sum()), len(counts), int((counts == 1).sum())
    if sequences == 1:
        return f"All {treated:,} treated patients had the same sequence of categories."
    if alone == 0:
        return (
            f"The {treated:,} treated patients had {sequences:,} different sequences of"
            " categories; each occurred in two patients or more."
        )
    if alone == sequences:
        return (
            f"The {treated:,} treated patients had {sequences:,} different sequences of"
            " categories, so no two patients had the same."
        )
    return (
        f"The {treated:,} treated patients had {sequences:,} different sequences of categories;"
        f" {alone:,} of them occurred in one patient only."
    )


# --- responses by category ------------------------------------------------------------------------


def responses(cohort: Cohort) -> Table:
    """Best responses of the six categories: lines, patients, and each response."""
    counts = response.by_category(cohort)
    total = counts.sum()
    total["patients"] = len(cohort.treated)
    labelled = [(words.category(key, cohort.study.labels), counts.loc[key]) for key in counts.index]
    rows = [
        (
            label,
            f"{row['lines']:,} ({row['patients']:,})",
            *(f"{row[code]:,}" for code in words.RESPONSES),
        )
        for label, row in [*labelled, ("All", total)]
    ]
    return Table(
        cohort.study,
        "tab-overview-responses",
        "Best response of each salvage line, by category.",
        ("Category", "Lines (patients)", *words.RESPONSES),
        rows,
        (
            responses_note(),
            "A patient counts once in each category received, so patients need not add up.",
        ),
        own_mark(cohort.study),
    )


def evaluable(cohort: Cohort) -> Text:
    """Lines without an evaluable response, and how they count."""
    return show.text(cohort.study, evaluable_in_short(cohort))


def evaluable_in_short(cohort: Cohort) -> str:
    """The share of lines without an evaluable response, and how they count."""
    lines = len(cohort.salvage)
    missing = int((cohort.salvage["best_response"] == "NE").sum())
    if missing == 0:
        return "Every line has an evaluable best response."
    return (
        f"Of {words.count(lines, 'line')}, {of(missing, lines)} could not be evaluated and"
        f" {'counts' if missing == 1 else 'count'} as no response."
    )


# --- response rates over all categories -----------------------------------------------------------

EFFECTIVE_NOTE: Final = (
    "Effective lines allow for patients who repeat and for the number of patients, so they can be "
    "slightly fewer than the lines even where each patient has one."
)
#: A design effect that prints as more than 1.
ABOVE_ONE: Final = 1.005


def rates(cohort: Cohort) -> Table:
    """ORR, CR and PR over all lines and over first salvage lines: both intervals, effective n."""
    sets = {"First salvage line of each patient": "first_line.all", "All lines": "all"}
    estimates, groups = response.estimates(cohort), response.groups(cohort)
    if response.leading(cohort).id.startswith("orr.all"):
        sets = dict(reversed(sets.items()))
    rows = []
    shown: list[Estimate] = []
    for label, key in sets.items():
        for measure, short in words.MEASURES_SHORT.items():
            pair = estimates[f"{measure}.{key}"], estimates[f"{measure}.{key}.wilson"]
            effective = response.effective_lines(cohort, measure, groups[key][0])
            rows.append((*rate_row(f"{label}: {short}", *pair), f"{effective:,.1f}"))
            shown += pair
    return Table(
        cohort.study,
        "tab-overview-rates",
        "Response rates at the first salvage line of each patient, and over all salvage lines.",
        ("Set of lines", *RATE_HEAD[1:], "Effective lines"),
        rows,
        (EXACT_NOTE, WILSON_NOTE, EFFECTIVE_NOTE, NE_NOTE),
        marks(shown),
    )


def independence(cohort: Cohort) -> Text:
    """Why events are not independent, and what that does to the interval in this cohort."""
    n, patients = len(cohort.salvage), len(cohort.treated)
    if n == patients:
        return show.text(
            cohort.study,
            "Every treated patient has one line, so the lines come from different patients and "
            "no allowance for repeated patients is needed.",
        )
    if patients == 1:
        return show.text(
            cohort.study,
            f"All {n:,} lines are of one patient. They say nothing of how patients differ, "
            "so no interval here describes patients in general.",
        )
    opening = (
        f"The {n:,} lines come from {words.count(patients, 'patient')}. Lines of one patient share "
        "a disease and its biology, so they are not independent, and an interval that takes them "
        "as independent can be too narrow."
    )
    estimates = response.estimates(cohort)
    exact, wilson = estimates["orr.all"], estimates["orr.all.wilson"]
    if exact.events in (0, n):
        which = "Every line" if exact.events else "No line"
        return show.text(
            cohort.study,
            opening,
            f"{which} responded, so the data do not show how alike the lines of one "
            f"patient are. The effective number is then taken as the {patients:,} patients; the "
            "exact interval may be too narrow.",
        )
    effective = response.effective_lines(cohort, "orr", cohort.salvage)
    if n / effective > ABOVE_ONE:
        effect = (
            f"For the objective response rate, the design effect is {n / effective:.2f}: the {n:,}"
            f" lines tell as much as {effective:,.1f} independent ones."
        )
    else:
        effect = (
            "For the objective response rate, the design effect is not above 1: the lines of one "
            "patient were no more alike than those of different patients, "
            f"and all {n:,} lines count. An effect below 1 is never credited."
        )
    later_lines = cohort.salvage[cohort.salvage["line"] > 1]
    first, later = (
        value_text(e)
        for e in (
            estimates["orr.first_line.all"],
            response.rate_of(cohort.study, "orr", later_lines, "later_line.all"),
        )
    )
    return show.text(
        cohort.study,
        opening,
        effect
        if interval_text(exact) == NONE
        else f"{effect} The exact interval runs from {interval_text(exact)}%; "
        f"the Wilson interval on the effective number from {interval_text(wilson)}%.",
        "Counting only the first salvage line of each patient avoids the problem: "
        f"{first} of the first salvage lines and {later} of the later lines responded.",
    )
