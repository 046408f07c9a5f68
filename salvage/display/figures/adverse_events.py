"""Adverse events of salvage therapy: by grade, by category, and any grade against severe."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salvage import words
from salvage.analysis import safety
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.show import Absent, Figure

MOST_TERMS: Final = 15
GRADES: Final = (1, 2, 3, 4, 5)
ROW: Final = 0.29


def _top(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The most common rows of a table by term, and what the caption says of the rest."""
    shown = table.head(MOST_TERMS)
    rest = (
        captions.AE_REST.format(shown=len(shown), all=len(table)) if len(table) > len(shown) else ""
    )
    return shown, rest


def _scale(scale: str) -> str:
    return captions.AE_NO_SCALE if scale == safety.UNSPECIFIED_SCALE else words.SCALES[scale]


def _usual_scale(table: pd.DataFrame) -> str:
    """The scale of most rows."""
    return str(table["scale"].mode().iloc[0])


def _labels(table: pd.DataFrame) -> list[str]:
    """Terms as axis labels, with their scale where it is not the usual one."""
    usual = _usual_scale(table)
    made = []
    for term, scale in zip(table["term"], table["scale"], strict=True):
        name = style.short(safety.label(term), 30)
        made.append(name if scale == usual else f"{name} ({_scale(scale)})")
    return made


def _names(table: pd.DataFrame) -> list[str]:
    """Terms in a sentence, with the scale of a term that stands in several rows."""
    several = table["term"].duplicated(keep=False)
    return [
        f"{safety.label(term)} ({_scale(scale)})" if more else safety.label(term)
        for term, scale, more in zip(table["term"], table["scale"], several, strict=True)
    ]


def _first(table: pd.DataFrame, treated: int) -> str:
    """The row of a table by term with most patients, or the rows that tie for it."""
    first = table[table["patients"] == table["patients"].max()]
    template = captions.AE_FIRST if len(first) == 1 else captions.AE_FIRST_TIED
    return template.format(
        first=words.listing(_names(table)[: len(first)]),
        n=f"{first['patients'].iloc[0]:,}",
        treated=f"{treated:,}",
        severe=f"{first['patients_severe'].iloc[0]:,}",
    )


def _scales(table: pd.DataFrame) -> str:
    """What the caption says of the scales."""
    usual = _scale(_usual_scale(table))
    template = (
        captions.AE_SCALE
        if (table["scale"] == table["scale"].iloc[0]).all()
        else captions.AE_SCALES
    )
    return template.format(scale=usual)


def _ungraded(table: pd.DataFrame, template: str) -> str:
    n = int(table["ungraded"].sum())
    return template.format(events=words.count(n, "event")) if n else ""


def ae_heatmap(cohort: Cohort) -> Figure | Absent:
    """Treated patients by term and highest grade; the most common term on top."""
    table = safety.by_term(cohort)
    if table.empty:
        return Absent(cohort.study, captions.AE_NONE.format(what=captions.AE_HEAT))
    if not safety.graded(cohort):
        return Absent(cohort.study, captions.AE_UNGRADED.format(what=captions.AE_HEAT))
    shown, rest = _top(table)
    grades = highest_grades(cohort, shown)
    treated = len(cohort.treated)
    with style.drawing(1.15 + ROW * len(shown)) as figure:
        axes = figure.add_subplot()
        _cells(axes, grades, grades, int(grades.to_numpy().max()), _labels(shown))
        axes.set_xticks(np.arange(len(GRADES)) + 0.5, [str(g) for g in GRADES], rotation=0)
        axes.set_xlabel(captions.AE_GRADE)
    events = safety.events_of_treated(cohort)
    severe = events.loc[events["grade"] >= safety.SEVERE_GRADE, "patient_id"].nunique()
    return Figure(
        cohort.study,
        "fig-ae-grades",
        figure,
        captions.AE_HEAT_CAPTION.format(
            n=f"{treated:,}",
            rest=rest,
            scales=_scales(shown),
            ungraded=_ungraded(table, captions.AE_UNGRADED_NOTE),
        ),
        captions.AE_HEAT_ALT.format(
            first=_first(table, treated),
            any_severe=words.count(severe, "patient"),
        ),
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
    import seaborn as sns

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


def category_counts(cohort: Cohort, shown: pd.DataFrame, least: int = 0) -> pd.DataFrame:
    """Patients with each row of ``shown`` by category of line, of grade ``least`` or more.

    0 counts events without a grade too. Events that are linked to no line stand in no column.
    """
    events = safety.events_of_lines(cohort)
    if least:
        events = events[events["grade"] >= least]
    keys = ["term", "scale", "category", "patient_id"]
    each = events.drop_duplicates(keys)
    counts = pd.crosstab([each["term"], each["scale"]], each["category"])
    index = pd.MultiIndex.from_frame(shown[["term", "scale"]])
    return counts.reindex(index=index, columns=list(CATEGORY_KEYS), fill_value=0)


def ae_by_category(cohort: Cohort) -> Figure | Absent:
    """Share of the patients of each category with each event: any grade, and grade 3 or more."""
    table = safety.by_term(cohort)
    if table.empty:
        return Absent(cohort.study, captions.AE_NONE.format(what=captions.AE_CATEGORY))
    if safety.events_of_lines(cohort).empty:
        return Absent(cohort.study, captions.AE_NO_LINE.format(what=captions.AE_CATEGORY))
    shown, rest = _top(table)
    size = (
        cohort.salvage.groupby("category")["patient_id"]
        .nunique()
        .reindex(list(CATEGORY_KEYS), fill_value=0)
    )
    any_grade = category_counts(cohort, shown)
    severe = category_counts(cohort, shown, safety.SEVERE_GRADE)
    heads = [
        f"{style.short(words.category_short(str(key), cohort.study.labels), 16)} ({n:,})"
        for key, n in size.items()
    ]
    with style.drawing(1.85 + ROW * len(shown)) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        sizes = size.where(size > 0).to_numpy()
        # Linked events of one patient cannot exceed the patients of a category: shares end at 1.
        top = max(float(np.nanmax(any_grade.div(sizes).to_numpy())), 0.01)
        for axes, counts, title in zip(
            panels, (any_grade, severe), captions.AE_PANELS, strict=True
        ):
            _cells(axes, counts.div(sizes), counts, top, _labels(shown))
            axes.set_title(title)
            axes.set_xticks(
                np.arange(len(heads)) + 0.5, heads, rotation=50, ha="right", rotation_mode="anchor"
            )
    unlinked = safety.unlinked(cohort)
    return Figure(
        cohort.study,
        "fig-ae-category",
        figure,
        captions.AE_CATEGORY_CAPTION.format(
            rest=rest,
            scales=_scales(shown),
            unlinked=captions.AE_UNLINKED.format(events=words.count(unlinked, "event"))
            if unlinked
            else "",
        ),
        captions.AE_CATEGORY_ALT.format(
            parts="; ".join(
                _category_part(cohort.study, str(key), any_grade, int(n))
                for key, n in size.items()
                if n
            )
        ),
        own_mark(cohort.study),
    )


def _category_part(study: Study, key: str, counts: pd.DataFrame, patients: int) -> str:
    label = words.category(key, study.labels)
    most = int(counts[key].max())
    if not most:
        return captions.AE_CATEGORY_NONE.format(category=label)
    terms = list(dict.fromkeys(safety.label(at[0]) for at in counts.index[counts[key] == most]))
    return captions.AE_CATEGORY_PART.format(
        category=label, term=words.listing(terms), n=f"{most:,}", patients=f"{patients:,}"
    )


def ae_butterfly(cohort: Cohort) -> Figure | Absent:
    """Any grade to the left, grade 3 or more to the right, the most common term on top."""
    table = safety.by_term(cohort)
    if table.empty:
        return Absent(cohort.study, captions.AE_NONE.format(what=captions.AE_BUTTERFLY))
    shown, rest = _top(table)
    treated = len(cohort.treated)
    share = shown["patients"] / treated
    end = 1.25 * max(float(share.max()), 0.05)
    with style.drawing(1.0 + ROW * len(shown)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        sides = (
            (left, "patients", style.CALM, "", captions.AE_ANY),
            (right, "patients_severe", style.DEEP, "////", captions.AE_SEVERE),
        )
        for axes, column, colour, hatch, title in sides:
            counts = shown[column]
            axes.barh(
                range(len(shown)),
                counts / treated,
                height=0.72,
                color=colour,
                hatch=hatch,
                edgecolor=style.INK,
                linewidth=0.6,
            )
            unknown = (shown["ungraded"] == shown["events"]) & (column == "patients_severe")
            for y, (n, hidden) in enumerate(zip(counts, unknown, strict=True)):
                axes.annotate(
                    captions.AE_NO_GRADE if hidden else f"{n:,}",
                    xy=(n / treated, y),
                    xytext=(-4 if axes is left else 4, 0),
                    textcoords="offset points",
                    ha="right" if axes is left else "left",
                    va="center",
                    fontsize=style.SMALL,
                )
            axes.set_xlim((end, 0) if axes is left else (0, end))
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
            axes.set_xlabel(title)
            style.hide_left_spine(axes)
        left.set_yticks(range(len(shown)), _labels(shown), fontsize=style.SIZE)
        left.set_ylim(len(shown) - 0.5, -0.5)
        right.axvline(0, color=style.INK, linewidth=0.8)
    parts = [
        captions.AE_BUTTERFLY_PART.format(term=name, n=f"{n:,}", severe=f"{severe:,}")
        for name, n, severe in zip(
            _names(shown), shown["patients"], shown["patients_severe"], strict=True
        )
    ]
    return Figure(
        cohort.study,
        "fig-ae-butterfly",
        figure,
        captions.AE_BUTTERFLY_CAPTION.format(
            n=words.count(treated, "treated patient"),
            rest=rest,
            scales=_scales(shown),
            ungraded=_ungraded(table, captions.AE_BUTTERFLY_UNGRADED),
        ),
        captions.AE_BUTTERFLY_ALT.format(
            treated=words.count(treated, "treated patient"), parts="; ".join(parts)
        ),
        own_mark(cohort.study),
    )
