"""Tables of the overview: lines per patient, sequences, and responses of all categories."""

from typing import Final

import pandas as pd

from salvage import response, words
from salvage.cohort import Cohort, once
from salvage.estimate import interval_text
from salvage.schema import CATEGORY_KEYS
from salvage.show import Table
from salvage.stats import clustered
from salvage.survival import with_outcome
from salvage.tables import (
    EXACT_NOTE,
    NE_NOTE,
    WILSON_NOTE,
    mark,
    marks,
    of,
    responses_note,
    spread,
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
        exact = response.rate(cohort, "orr", at, f"line_{number}")
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
        mark(cohort),
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
        "tab-overview-sequences",
        "Sequences of salvage categories, most frequent first.",
        ("Sequence", "Lines", "Patients (%)"),
        rows,
        ("Percentages are of the patients with salvage therapy.",),
        mark(cohort),
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
        "tab-overview-responses",
        "Best response of each salvage line, by category.",
        ("Category", "Lines (patients)", *words.RESPONSES),
        rows,
        (
            responses_note(),
            "A patient counts once in each category received, so patients need not add up.",
        ),
        mark(cohort),
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
