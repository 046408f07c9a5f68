"""Adverse events of salvage therapy: by grade, by category, and any grade against severe."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from salvage import words
from salvage.analysis import safety
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS, SEVERE_GRADE
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.show import Absent, Figure, not_drawn

MOST_TERMS: Final = 15
GRADES: Final = (1, 2, 3, 4, 5)
ROW: Final = 0.29
NO_EVENT: Final = "this cohort records no adverse event of salvage therapy"
NO_GRADE: Final = "no grade"


def _rest(table: pd.DataFrame) -> str:
    """What a caption says of the terms that are not shown."""
    if len(table) <= MOST_TERMS:
        return ""
    return f" The {MOST_TERMS} most common of {len(table)} terms are shown."


def _scale(scale: str) -> str:
    if scale == safety.UNSPECIFIED_SCALE:
        return "scale not recorded"
    return words.SCALES[scale]


def _usual_scale(table: pd.DataFrame) -> str:
    """The scale of most rows."""
    return str(table["scale"].mode().iloc[0])


def _labels(table: pd.DataFrame) -> list[str]:
    """Terms as axis labels, with their scale where it is not the usual one."""
    usual = _usual_scale(table)
    return [
        style.short(safety.label(term), 30) + ("" if scale == usual else f" ({_scale(scale)})")
        for term, scale in zip(table["term"], table["scale"], strict=True)
    ]


def _names(table: pd.DataFrame) -> list[str]:
    """Terms in a sentence, with the scale of a term that stands in several rows."""
    several = table["term"].duplicated(keep=False)
    return [
        safety.label(term) + (f" ({_scale(scale)})" if more else "")
        for term, scale, more in zip(table["term"], table["scale"], several, strict=True)
    ]


def _most_common(table: pd.DataFrame, treated: int) -> str:
    """The row of a table by term with most patients, or the rows that tie for it."""
    first = table[table["patients"] == table["patients"].max()]
    terms = words.listing(_names(table)[: len(first)])
    n, severe, ungraded = (
        first[column].iloc[0] for column in ("patients", "patients_severe", "patients_ungraded")
    )
    if len(first) > 1:
        return f"{terms}, each in {n:,} of {treated:,} treated patients"
    of_known = f"{severe:,} of {treated - ungraded:,}" if ungraded else f"{severe:,}"
    return f"{terms}, in {n:,} of {treated:,} treated patients, of grade 3 or more in {of_known}"


def _scales(table: pd.DataFrame) -> str:
    """What a caption says of the scales."""
    usual = _scale(_usual_scale(table))
    if (table["scale"] == table["scale"].iloc[0]).all():
        return f"Scale of grades: {usual}."
    return f"Scale of grades: {usual} unless named; scales are never pooled."


def ae_heatmap(cohort: Cohort) -> Figure | Absent:
    """Treated patients by term and highest grade; the most common term on top."""
    what = "The figure of grades"
    table = safety.by_term(cohort)
    if table.empty:
        return not_drawn(cohort.study, what, NO_EVENT)
    if not safety.graded(cohort):
        return not_drawn(cohort.study, what, "no adverse event of salvage therapy has a grade")
    shown = table.head(MOST_TERMS)
    grades = highest_grades(cohort, shown)
    with style.drawing(1.15 + ROW * len(shown)) as figure:
        axes = figure.add_subplot()
        _cells(axes, grades, grades, int(grades.to_numpy().max()), _labels(shown))
        axes.set_xticks(np.arange(len(GRADES)) + 0.5, [str(g) for g in GRADES], rotation=0)
        axes.set_xlabel("Highest grade")
    treated = len(cohort.treated)
    events = safety.events_of_treated(cohort)
    severe = events.loc[events["grade"] >= SEVERE_GRADE, "patient_id"].nunique()
    ungraded = int(table["ungraded"].sum())
    left_out = f" Left out, without a grade: {words.count(ungraded, 'event')}." if ungraded else ""
    return Figure(
        cohort.study,
        "fig-ae-grades",
        figure,
        f"Adverse events by highest grade: number of treated patients (n = {treated:,}) whose "
        f"highest grade of a term was this one. {_scales(shown)}{_rest(table)}{left_out}",
        f"Highest grade of each adverse event. Most common: {_most_common(table, treated)}. "
        f"{words.count(severe, 'patient')} had an event of grade 3 or more.",
        own_mark(cohort.study),
    )


def highest_grades(cohort: Cohort, shown: pd.DataFrame) -> pd.DataFrame:
    """Patients by highest grade (columns 1 to 5), one row for each (term, scale) of ``shown``."""
    index = pd.MultiIndex.from_frame(shown[["term", "scale"]])
    return safety.worst_grades(cohort).reindex(index, fill_value=0)


def _cells(
    axes: Axes, values: pd.DataFrame, counts: pd.DataFrame, top: float, labels: Sequence[str]
) -> None:
    """A heat map of ``values`` from 0 to ``top`` with ``counts`` in its cells, 0 left empty."""
    texts = np.array([[f"{n:,}" if n else "" for n in row] for row in counts.to_numpy()])
    sns.heatmap(
        values.astype(float),
        ax=axes,
        cmap="Blues",
        vmin=0,
        vmax=(top or 1) * 1.15,
        cbar=False,
        annot=texts,
        fmt="",
        annot_kws={"fontsize": style.SMALL},
        linewidths=1,
        linecolor="white",
        mask=values.isna(),
        # The book sets its own, below.
        xticklabels=False,
        yticklabels=False,
    )
    axes.set_yticks(np.arange(len(labels)) + 0.5, labels, rotation=0)
    axes.set_xlabel("")
    axes.set_ylabel("")
    axes.tick_params(length=0)


def category_counts(cohort: Cohort, shown: pd.DataFrame, column: str = "") -> pd.DataFrame:
    """Patients with each row of ``shown`` by category of line: all, or those of a ``column`` of
    :func:`safety.patients_by_severity`.

    Events that are linked to no line stand in no column.
    """
    keys = ["term", "scale", "category"]
    patients = safety.patients_by_severity(safety.events_of_lines(cohort), keys)
    each = (patients[patients[column]] if column else patients).reset_index()
    counts = pd.crosstab([each["term"], each["scale"]], each["category"])
    index = pd.MultiIndex.from_frame(shown[["term", "scale"]])
    return counts.reindex(index=index, columns=list(CATEGORY_KEYS), fill_value=0)


def ae_by_category(cohort: Cohort) -> Figure | Absent:
    """Share of the patients of each category with each event: any grade, and grade 3 or more."""
    what = "The figure of adverse events by category"
    table = safety.by_term(cohort)
    if table.empty:
        return not_drawn(cohort.study, what, NO_EVENT)
    if safety.events_of_lines(cohort).empty:
        return not_drawn(
            cohort.study, what, "no adverse event of this cohort is linked to a salvage line"
        )
    shown = table.head(MOST_TERMS)
    patients = cohort.salvage.groupby("category")["patient_id"].nunique()
    size = patients.reindex(list(CATEGORY_KEYS), fill_value=0)
    any_grade = category_counts(cohort, shown)
    severe, ungraded = (category_counts(cohort, shown, c) for c in ("severe", "ungraded"))
    unlinked = safety.unlinked(cohort)
    left_out = (
        f" Left out, not linked to a line: {words.count(unlinked, 'event')}." if unlinked else ""
    )
    parts = "; ".join(
        _category_part(cohort.study, str(key), any_grade, int(n)) for key, n in size.items() if n
    )
    return Figure(
        cohort.study,
        "fig-ae-category",
        _category_maps(cohort.study, size, any_grade, severe, ungraded, _labels(shown)),
        "Adverse events by category of the salvage line during which they began. Figures are "
        "patients, each counted once for a term in a category; the shade is their share of the "
        f"patients who received that category (in brackets). {_scales(shown)}{_rest(table)}"
        f"{left_out}{_on_the_left_only(table)}",
        f"Patients with each adverse event, by category of salvage line. {parts}.",
        own_mark(cohort.study),
    )


def _category_maps(
    study: Study,
    size: "pd.Series[int]",
    any_grade: pd.DataFrame,
    severe: pd.DataFrame,
    ungraded: pd.DataFrame,
    labels: Sequence[str],
) -> style.BookFigure:
    """Two heat maps of terms by category; ``size`` has the patients of each category, those with
    ``ungraded`` events are no part of the shares on the right."""
    heads = [
        f"{style.short(words.category_short(str(key), study.labels), 16)} ({n:,})"
        for key, n in size.items()
    ]
    sizes = size.where(size > 0).to_numpy()
    # Linked events of one patient cannot exceed the patients of a category: shares end at 1.
    shares = any_grade.div(sizes), severe.div(sizes - ungraded)
    top = max(0.01, *(float(np.nanmax(share.to_numpy(), initial=0)) for share in shares))
    with style.drawing(1.85 + ROW * len(labels)) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        titles = ("Any grade", "Grade 3 or more")
        for axes, share, counts, title in zip(
            panels, shares, (any_grade, severe), titles, strict=True
        ):
            _cells(axes, share, counts, top, labels)
            axes.set_title(title)
            axes.set_xticks(
                np.arange(len(heads)) + 0.5, heads, rotation=50, ha="right", rotation_mode="anchor"
            )
    return figure


def _category_part(study: Study, key: str, counts: pd.DataFrame, patients: int) -> str:
    label = words.category(key, study.labels)
    most = int(counts[key].max())
    if not most:
        return f"{label}: none"
    terms = dict.fromkeys(safety.label(term) for term, _ in counts.index[counts[key] == most])
    return f"{label}: most often {words.listing(list(terms))} ({most:,} of {patients:,})"


def ae_butterfly(cohort: Cohort) -> Figure | Absent:
    """Any grade to the left, grade 3 or more to the right, the most common term on top."""
    table = safety.by_term(cohort)
    if table.empty:
        return not_drawn(cohort.study, "The butterfly plot of adverse events", NO_EVENT)
    shown = table.head(MOST_TERMS)
    treated = words.count(len(cohort.treated), "treated patient")
    parts = "; ".join(
        f"{name}: {n:,}, grade 3 or more {severe:,}"
        for name, n, severe in zip(
            _names(shown), shown["patients"], shown["patients_severe"], strict=True
        )
    )
    return Figure(
        cohort.study,
        "fig-ae-butterfly",
        _butterfly(shown, len(cohort.treated)),
        f"Adverse events of salvage therapy: percentage of {treated} with any grade (left) and "
        "with grade 3 or more (right); figures are patients, each counted once for a term. "
        f"{_scales(shown)}{_rest(table)}{_on_the_left_only(table)}",
        f"Adverse events of {treated}, by patients affected, the most common first. {parts}.",
        own_mark(cohort.study),
    )


def _on_the_left_only(table: pd.DataFrame) -> str:
    """What a caption says of events that have no grade."""
    ungraded = int(table["ungraded"].sum())
    if not ungraded:
        return ""
    return (
        f" On the left only, without a grade: {words.count(ungraded, 'event')}; on the right, a "
        "patient with such an event of a term and no severe one is not among the patients."
    )


def _butterfly(shown: pd.DataFrame, treated: int) -> style.BookFigure:
    any_grade, severe = shown["patients"], shown["patients_severe"]
    no_grade = shown["ungraded"] == shown["events"]
    known = [NO_GRADE if none else f"{n:,}" for n, none in zip(severe, no_grade, strict=True)]
    shares = (severe / (treated - shown["patients_ungraded"])).fillna(0.0)
    end = 1.25 * max(float(any_grade.max()) / treated, float(shares.max()), 0.05)
    with style.drawing(1.0 + ROW * len(shown)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        _wing(left, any_grade / treated, any_grade.map("{:,}".format), style.Look(style.CALM), -1)
        _wing(right, shares, known, style.Look(style.DEEP, "////"), 1)
        left.set_xlabel("Any grade, %")
        right.set_xlabel("Grade 3 or more, %")
        left.set_xlim(end, 0)
        right.set_xlim(0, end)
        style.name_rows(left, _labels(shown))
        style.hide_left_spine(right)
        right.axvline(0, color=style.INK, linewidth=0.8)
    return figure


def _wing(
    axes: Axes, shares: "pd.Series[float]", texts: Iterable[str], look: style.Look, side: int
) -> None:
    """Bars of shares of patients with a text at their ends; ``side`` is -1 for the left wing."""
    axes.barh(range(len(shares)), shares, height=0.72, **look.fill)
    align = "left" if side > 0 else "right"
    for y, (share, text) in enumerate(zip(shares, texts, strict=True)):
        style.note(axes, text, (share, y), (4 * side, 0), ha=align, va="center")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
