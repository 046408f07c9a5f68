"""What several chapters share: notes, rows of rates and medians, and turns of phrase."""

from collections.abc import Iterable, Sequence
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import response, survival
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import Mark
from salvage.cohort import Cohort
from salvage.cohort.schema import RESPONSE
from salvage.cohort.study import Study
from salvage.display import wording
from salvage.display.show import Absent, Table
from salvage.display.wording import (
    interval_text,
    median_text,
    missing,
    p_value,
    percent,
    rate_text,
    ratio,
    reason,
    value_text,
)

Shown = Table | Absent
NONE: Final = words.NONE

EXACT_NOTE: Final = (
    "Exact: Clopper-Pearson interval, as if lines were independent. Below 5 lines no percentage is"
    " given."
)
WILSON_NOTE: Final = (
    "Wilson: interval on the effective number of lines, which allows for patients who have several"
    " lines."
)
NE_NOTE: Final = "Lines that were not evaluable stay in the denominator (Lugano 2014)."
MEDIAN_NOTE: Final = (
    "Medians by Kaplan-Meier with log-log 95% intervals; a patient counts once for each line."
)


def marks(estimates: Sequence[Estimate]) -> tuple[Mark, ...]:
    """Every mark that a set of estimates carries."""
    return tuple(
        {m for e in estimates for m in (e.provenance, e.provenance_n, e.provenance_interval)}
    )


def of(part: int, total: int) -> str:
    """``5 (42%)``; without a percentage where it would rest on too few."""
    share = percent(part / total, total) if total else NONE
    return f"{part:,}" if share == NONE else f"{part:,} ({share})"


def known_share(chosen: "pd.Series[bool]", values: pd.Series) -> str:
    """How many of the recorded ``values`` are ``chosen``, or that nothing is recorded."""
    recorded = int(values.notna().sum())
    return of(int(chosen.sum()), recorded) if recorded else words.NOT_RECORDED


def spread(values: pd.Series, digits: int = 1) -> str:
    """Median and range, ``3.2 (0.5 to 9.8)``, or that nothing is recorded."""
    known = values.dropna()
    if known.empty:
        return words.NOT_RECORDED
    low, middle, high = known.min(), known.median(), known.max()
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def absent_category(study: Study, key: str, name: str = "") -> Absent:
    """The one sentence of a chapter whose category nobody received, in place of ``name``."""
    return Absent(
        study,
        f"No patient of this cohort received {words.category_prose(key, study.labels)}, so this "
        "chapter has no results.",
        name,
    )


def no_response_times(cohort: Cohort) -> str:
    """Why no duration of response can be given."""
    if not cohort.salvage["best_response"].isin(RESPONSE).any():
        return "No salvage line brought a response, so there is no duration of response."
    return "The cohort does not record when responses began, so their duration is not known."


RATE_HEAD: Final = ("Lines", "Responses / lines", "Rate, %", "Exact 95% CI, %", "Wilson 95% CI, %")


def rate_cells(e: Estimate) -> tuple[str, str, str]:
    """Responses of all lines, rate and interval in percent; dashes for a set without lines."""
    if e.value is None:
        return "0 / 0", NONE, NONE
    return f"{e.events:,} / {e.n:,}", rate_text(e).rstrip("%"), interval_text(e)


def rate_row(label: str, exact: Estimate, wilson: Estimate) -> tuple[str, ...]:
    """A row under :data:`RATE_HEAD`."""
    return (label, *rate_cells(exact), rate_cells(wilson)[-1])


def median_row(label: str, e: Estimate) -> tuple[str, ...]:
    """Label, n, events, median and interval of an estimate in months."""
    if not e.n:
        return (label, "0", NONE, words.NOT_ESTIMABLE, NONE)
    return (label, f"{e.n:,}", f"{e.events:,}", *median_cells(e))


def median_cells(e: Estimate) -> tuple[str, str]:
    """Median and interval in months."""
    return median_text(e), NONE if missing(e) else interval_text(e)


END_NOTE: Final = (
    "A line, and a response, ends with the first progression recorded for the patient, on whatever "
    "line, or with death. A next line does not end it; the rows under it count it otherwise."
)


def rule_rows(cohort: Cohort, duration: str, category: str = response.ALL) -> list[tuple[str, ...]]:
    """Median DOR or PFS of a category's lines, by each rule for the end of a line."""
    times = survival.line_times(cohort, duration, category)
    medians = survival.line_medians(cohort, category)
    rows = [median_row(words.DURATIONS[duration], medians[f"{duration}.{category}.median"])]
    if times is None or not times.n:
        return rows
    for rule in survival.RULES_OF[duration][1:]:
        if rule != "earliest" or times.undated:
            e = medians[f"{duration}.{category}.{rule}.median"]
            rows.append(median_row(f"– {survival.RULES[rule]}", e))
    return rows


def undated_note(cohort: Cohort, category: str = response.ALL) -> str:
    """How many lines end in a progression without a month, and where it was put; empty if none."""
    times = survival.line_times(cohort, "pfs", category)
    if times is None or not times.undated:
        return ""
    if times.no_months:
        return f"No median of progression-free survival: {times.no_months}."
    return (
        f"{times.undated:,} of {words.count(times.n, 'line')} end in a progression whose month is "
        "not recorded. It stands as late as it can be: at the next line, the end of treatment, "
        "death or last contact, whichever comes first."
    )


def ratio_cells(e: Estimate) -> tuple[str, str, str]:
    """Ratio, interval and P of an estimate; dashes where there is none."""
    if e.value is None:
        return words.NOT_ESTIMABLE, NONE, NONE
    return ratio(e.value), interval_text(e), p_value(e.p)


def not_estimable(rows: Iterable[tuple[str, Estimate]]) -> list[str]:
    """Why rows of a table (label, estimate) are not estimable: one note for each reason."""
    labels: dict[str, list[str]] = {}
    for label, e in rows:
        if missing(e):
            labels.setdefault(reason(e.method), []).append(label)
    return [
        f"Not estimable ({why}): {'; '.join(dict.fromkeys(missing))}."
        for why, missing in labels.items()
    ]


def paragraph(*sentences: str) -> str:
    """Whole sentences one after the other; empty ones are dropped."""
    return " ".join(filter(None, sentences))


def responses_note() -> str:
    """The meaning of the response codes."""
    return (
        "; ".join(f"{code}, {meaning.lower()}" for code, meaning in words.RESPONSES.items()) + "."
    )


def this_cohort(study: Study) -> str:
    """How the book calls its cohort."""
    return "this synthetic cohort" if study.synthetic else "this cohort"


def median(e: Estimate, unit: str = "line") -> str:
    """``3.1 months (95% CI 1.2 to not reached)``, or that it was not reached with events and
    denominator."""
    if e.value is not None:
        return wording.median(e)
    counted = f"{words.count(e.events or 0, 'event')} in {words.count(e.n or 0, unit)}"
    return f"{value_text(e)} ({reason(e.method) if missing(e) else counted})"
