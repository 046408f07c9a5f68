"""Tables of the overview: lines per patient, sequences, and responses of all categories."""

from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import response
from salvage.analysis.survival import with_outcome
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.display.show import Box, Table, Text, answer, text
from salvage.display.wording import interval_text, percent, sentence
from salvage.report.shared import (
    EXACT_NOTE,
    NE_NOTE,
    WILSON_NOTE,
    mark,
    marks,
    of,
    responses_note,
    spread,
    this_cohort,
)
from salvage.stats import clustered


def overview_answer(cohort: Cohort) -> Box:
    """Lines, patients, and response over all lines and at first line."""
    lines = cohort.salvage
    orr, cr = (response.rate_of(cohort.study, measure, lines, "all") for measure in ("orr", "cr"))
    most = int(lines["line"].max())
    paragraphs = [
        f"In {this_cohort(cohort.study)}, {words.count(len(cohort.treated), 'patient')} received "
        f"{words.count(len(lines), 'salvage line')}{_at_most(most, len(cohort.treated))}. "
        f"Over all lines, the objective response rate was {sentence(orr)} and the complete "
        f"response rate {sentence(cr)}."
    ]
    if most > 1:
        first = response.rate_of(cohort.study, "orr", lines[lines["line"] == 1], "first_line.all")
        paragraphs.append(
            "At the first salvage line, with one line per patient, the objective response rate "
            f"was {sentence(first)}. Other cohorts after CAR-T failure usually report this rate."
        )
    return answer(cohort.study, *paragraphs, name="answer-overview")


def _at_most(most: int, patients: int) -> str:
    if patients == 1:
        return ""
    return ", one for each patient" if most == 1 else f", up to {most} for one patient"


def how_many(cohort: Cohort) -> Text:
    """How many patients had how many lines, and what selection the later lines carry."""
    counts = lines_per_patient(cohort)
    n = len(cohort.patients)
    if len(counts) == 1:
        who = "The one patient" if n == 1 else f"Each of the {n:,} patients"
        paragraphs = [f"{who} received {_lines(counts.index.tolist()[0])}."]
    else:
        pairs = zip(counts.index.tolist(), counts.tolist(), strict=True)
        listed = [f"{of(k, n)} received {_lines(size)}" for size, k in pairs]
        paragraphs = [f"Of {words.count(n, 'patient')}, {words.listing(listed)}."]
    if cohort.salvage["line"].max() > 1:
        paragraphs.append(
            "Only patients who lived long enough and were fit enough reach a later line, "
            "so rates at later lines describe a selected group."
        )
    return text(cohort.study, *paragraphs)


def _lines(number: int) -> str:
    return "no salvage line" if number == 0 else words.count(number, "line")


def order(cohort: Cohort) -> Text:
    """How varied the sequences are, and what began them."""
    found = sequence_counts(cohort)
    treated = int(found.sum())
    alone = int((found == 1).sum())
    first = cohort.salvage.loc[cohort.salvage["line"] == 1, "category"].value_counts()
    top = [key for key in CATEGORY_KEYS if first.get(key, 0) == first.max()]
    starts = words.listing([words.category(key, cohort.study.labels) for key in top])
    if treated == 1:
        return text(cohort.study, f"The only treated patient began with: {starts}.")
    share = of(int(first.max()), treated)
    begin = f"The most frequent first category was {starts}, in {share}."
    if len(top) > 1:
        begin = f"The most frequent first categories were {starts}, each in {share}."
    return text(cohort.study, f"{_variety(treated, len(found), alone)} {begin}")


def _variety(treated: int, sequences: int, alone: int) -> str:
    if sequences == 1:
        return f"All {treated:,} treated patients had the same sequence of categories."
    told = f"The {treated:,} treated patients had {sequences:,} different sequences of categories"
    if alone == 0:
        return f"{told}; each occurred in two patients or more."
    if alone == sequences:
        return f"{told}, so no two patients had the same."
    return f"{told}; {alone:,} of them occurred in one patient only."


def evaluable(cohort: Cohort) -> Text:
    """Lines without an evaluable response, and how they count."""
    missing = int((cohort.salvage["best_response"] == "NE").sum())
    if missing == 0:
        return text(cohort.study, "Every line has an evaluable best response.")
    return text(
        cohort.study,
        f"{words.count(missing, 'line')} could not be evaluated and "
        f"{'counts' if missing == 1 else 'count'} as no response.",
    )


def independence(cohort: Cohort) -> Text:
    """Why events are not independent, and what that does to the interval in this cohort."""
    lines = cohort.salvage
    n, patients = len(lines), lines["patient_id"].nunique()
    if n == patients:
        return text(
            cohort.study,
            "Every treated patient has one line, so the lines come from different patients and "
            "no allowance for repeated patients is needed.",
        )
    if patients == 1:
        return text(
            cohort.study,
            f"All {n:,} lines are of one patient. They say nothing of how patients differ, "
            "so no interval here describes patients in general.",
        )
    exact, wilson = response.both(cohort, "orr", lines, "all")
    opening = (
        f"The {n:,} lines come from {words.count(patients, 'patient')}. Lines of one patient share "
        "a disease and its biology, so they are not independent, and an interval that takes them "
        "as independent can be too narrow."
    )
    if exact.events in (0, n):
        which = "No line" if exact.events == 0 else "Every line"
        return text(
            cohort.study,
            opening,
            f"{which} responded, so the data do not show how alike the lines of one "
            "patient are. The effective number is then taken as the number of lines, and both "
            "intervals may be too narrow.",
        )
    effective = effective_lines(cohort, "orr", lines)
    effect = n / effective
    if effect > 1.005:
        told = (
            f"For the objective response rate, the design effect is {effect:.2f}: the {n:,} lines "
            f"tell as much as {effective:,.1f} independent ones."
        )
    else:
        told = (
            "For the objective response rate, the design effect is not above 1: the lines of one "
            "patient were no more alike than those of different patients, "
            f"and all {n:,} lines count. An effect below 1 is never credited."
        )
    return text(
        cohort.study,
        opening,
        f"{told} The exact interval runs from {interval_text(exact)}%; "
        f"the Wilson interval on the effective number from {interval_text(wilson)}%.",
        _first_and_later(cohort),
    )


def _first_and_later(cohort: Cohort) -> str:
    """The rate over first lines beside the rate over later lines."""
    every = cohort.salvage
    rates = [
        response.rate_of(cohort.study, "orr", every[chosen], key)
        for chosen, key in (
            (every["line"] == 1, "first_line.all"),
            (every["line"] > 1, "later_line.all"),
        )
    ]
    first, later = (f"{percent(e.value)} ({e.events:,} of {e.n:,})" for e in rates)
    return (
        "Counting only the first line of each patient avoids the problem: "
        f"{first} of the first lines and {later} of the later lines responded."
    )


NONE: Final = "–"
LAST_LINE: Final = 4
LINE_NAMES: Final = {1: "First", 2: "Second", 3: "Third", LAST_LINE: "Fourth or later"}
MOST_SEQUENCES: Final = 12
ARROW: Final = " → "
EFFECTIVE_NOTE: Final = (
    "Effective lines allow for patients who repeat and for the number of patients, so they can be "
    "slightly fewer than the lines even where each patient has one."
)


def lines_per_patient(cohort: Cohort) -> pd.Series:
    """Number of patients by their number of salvage lines, zero included where it occurs."""
    sizes = cohort.patients["patient_id"].map(cohort.salvage.groupby("patient_id").size())
    return sizes.fillna(0).astype(int).value_counts().sort_index()


def lines(cohort: Cohort) -> Table:
    """Each line position: who reached it, when it began, and how many lines responded."""
    every = with_outcome(cohort)
    n = len(cohort.patients)
    rows = []
    for number, name in LINE_NAMES.items():
        at = every[(every["line"] == number) | ((number == LAST_LINE) & (every["line"] > number))]
        if at.empty:
            rows.append((name, of(0, n), "0", NONE, "0 / 0", NONE, NONE))
            continue
        exact = response.rate_of(cohort.study, "orr", at, f"line_{number}")
        rows.append(
            (
                name,
                of(at["patient_id"].nunique(), n),
                f"{len(at):,}",
                spread(at["start_month"] - at["relapse_month"]),
                f"{exact.events:,} / {exact.n:,}",
                f"{100 * (exact.value or 0):.1f}",
                interval_text(exact),
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
        mark(cohort.study),
    )


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
    found = paths.value_counts()
    return found.sort_index().sort_values(ascending=False, kind="stable")


def sequences(cohort: Cohort) -> Table:
    """The most frequent sequences of categories over a patient's lines."""
    found = sequence_counts(cohort)
    treated = int(found.sum())
    shown, rest = found.iloc[:MOST_SEQUENCES], found.iloc[MOST_SEQUENCES:]
    rows = [
        (name, f"{name.count(ARROW) + 1:,}", of(count, treated))
        for name, count in zip(shown.index.tolist(), shown.tolist(), strict=True)
    ]
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
        mark(cohort.study),
        folded=True,
    )


def responses(cohort: Cohort) -> Table:
    """Best responses of the six categories: lines, patients, and each response."""
    table = response.by_category(cohort)
    rows = [
        (
            words.category(str(key), cohort.study.labels),
            f"{row['lines']:,} ({row['patients']:,})",
            *(f"{row[code]:,}" for code in words.RESPONSES),
        )
        for key, row in table.iterrows()
    ]
    total = table[list(words.RESPONSES)].sum()
    patients = cohort.salvage["patient_id"].nunique()
    rows.append(
        ("All", f"{len(cohort.salvage):,} ({patients:,})", *(f"{value:,}" for value in total))
    )
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
        mark(cohort.study),
    )


def rates(cohort: Cohort) -> Table:
    """ORR, CR and PR over all lines and over first lines: both intervals, effective n."""
    first = cohort.salvage[cohort.salvage["line"] == 1]
    sets = (
        ("All lines", cohort.salvage, "all"),
        ("First line of each patient", first, "first_line.all"),
    )
    rows, made = [], []
    for label, part, key in sets:
        for measure, short in words.MEASURES_SHORT.items():
            exact, wilson = response.both(cohort, measure, part, key)
            made += [exact, wilson]
            rows.append(
                (
                    f"{label}: {short}",
                    f"{exact.events:,} / {exact.n:,}",
                    f"{100 * (exact.value or 0):.1f}",
                    interval_text(exact),
                    interval_text(wilson),
                    f"{effective_lines(cohort, measure, part):,.1f}",
                )
            )
    return Table(
        cohort.study,
        "tab-overview-rates",
        "Response rates over all salvage lines, and over the first line of each patient.",
        (
            "Set of lines",
            "Responses / lines",
            "Rate, %",
            "Exact 95% CI, %",
            "Wilson 95% CI, %",
            "Effective lines",
        ),
        rows,
        (EXACT_NOTE, WILSON_NOTE, EFFECTIVE_NOTE, NE_NOTE),
        marks(made),
    )


def effective_lines(cohort: Cohort, measure: str, part: pd.DataFrame) -> float:
    """Number of independent lines that would tell as much as ``part``, at most ``len(part)``."""
    y = response.responded(part, measure)
    return clustered.effective_n(y, part["patient_id"].to_numpy(), len(cohort.patients))
