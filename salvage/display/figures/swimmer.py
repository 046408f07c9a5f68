"""The swimmer plot: one lane for each patient."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.analysis.survival import with_outcome
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.display.figures import captions, style
from salvage.display.figures.histories import History, histories
from salvage.display.show import Absent, Figure

BAR: Final = 0.68


def swimmer_plot(cohort: Cohort) -> Figure | Absent:
    """Each patient's course from infusion; absent above 80 patients."""
    n = len(cohort.patients)
    if n > captions.MOST_PATIENTS:
        return Absent(
            cohort.study, captions.SWIMMER_MANY.format(limit=captions.MOST_PATIENTS, n=f"{n:,}")
        )
    lanes = lane_order(cohort)
    segments = line_segments(cohort)
    responses = response_marks(cohort)
    place = {patient: y for y, patient in enumerate(lanes["patient_id"])}
    told = dict(zip(cohort.patients["patient_id"], histories(cohort), strict=True))
    lane = min(0.235, max(0.155, 8.0 / n))
    with style.drawing(1.9 + lane * n) as figure:
        axes = figure.add_subplot()
        _lanes(axes, lanes)
        _segments(axes, segments, place)
        _markers(axes, cohort, responses, place)
        cut = cohort.study.early_relapse_months
        last = float(lanes["os_month"].max())
        if cut <= last:
            axes.axvline(cut, color=style.INK, linestyle=":", linewidth=1.2, zorder=1.5)
        axes.set_ylim(n - 0.35, -0.65)
        axes.set_yticks(range(n), [style.short(p, 14) for p in lanes["patient_id"]])
        style.month_axis(axes, last or 1, captions.MONTHS_INFUSION)
        axes.set_xlim(0, 1.03 * (last or 1))
        style.hide_left_spine(axes)
        style.legend_below(figure, _handles(cohort, segments, responses, cut <= last), 3)
    return Figure(
        cohort.study,
        "fig-swimmer",
        figure,
        captions.SWIMMER_CAPTION.format(
            individual=captions.INDIVIDUAL,
            hollow=captions.SWIMMER_HOLLOW if (~responses["dated"]).any() else "",
            **_counts(cohort),
        ),
        _alt(cohort),
        own_mark(cohort.study),
        view=partial(view, axes, [told[patient] for patient in place]),
    )


def view(axes: Axes, lanes: Sequence[History]) -> dict[str, Any]:
    """What a page needs to let a reader point at the lanes of the drawn figure, as JSON.

    ``top`` and ``bottom`` of a lane are fractions of the height of the picture, from its top.
    """
    borders = axes.transData.transform([(0, i - 0.5) for i in range(len(lanes) + 1)])[:, 1]
    heights = 1 - borders / axes.figure.bbox.height
    return {
        "words": captions.HISTORY_VIEW,
        "lanes": [
            {"top": round(float(top), 5), "bottom": round(float(bottom), 5), **asdict(lane)}
            for lane, top, bottom in zip(lanes, heights, heights[1:], strict=False)
        ],
    }


def lane_order(cohort: Cohort) -> pd.DataFrame:
    """Patients from the longest to the shortest observed time; those of equal time by id."""
    return cohort.patients.sort_values(
        ["os_month", "patient_id"], ascending=[False, True], kind="stable", ignore_index=True
    )


def line_segments(cohort: Cohort) -> pd.DataFrame:
    """Stretch of each line: patient_id, line, category, start, end (months since infusion).

    A line ends at ``end_month``, else with the next line, else at death or last contact: its
    exposure.
    """
    lines = with_outcome(cohort)
    end = lines["end_month"].fillna(lines["next_start"]).fillna(lines["os_month"])
    return lines[["patient_id", "line", "category"]].assign(start=lines["start_month"], end=end)


def response_marks(cohort: Cohort) -> pd.DataFrame:
    """Marks of CR and PR: patient_id, best_response, month, and whether it is recorded."""
    held = cohort.salvage[cohort.salvage["best_response"].isin(["CR", "PR"])]
    dated = held["response_month"].notna()
    month = held["response_month"].fillna(held["start_month"])
    return held[["patient_id", "best_response"]].assign(month=month, dated=dated)


def _lanes(axes: Axes, lanes: pd.DataFrame) -> None:
    axes.barh(
        lanes.index,
        lanes["os_month"],
        height=BAR,
        color=style.FAINT,
        edgecolor=style.GREY,
        linewidth=0.5,
        zorder=1,
    )


def _segments(axes: Axes, segments: pd.DataFrame, place: dict[str, int]) -> None:
    for key, part in segments.groupby("category"):
        look = style.CATEGORY[str(key)]
        axes.barh(
            part["patient_id"].map(place),
            part["end"] - part["start"],
            left=part["start"],
            height=BAR,
            color=look.colour,
            hatch=look.hatch,
            edgecolor=style.INK,
            linewidth=0.6,
            zorder=2,
        )


def _mark(axes: Axes, x: "pd.Series[float]", y: "pd.Series[int]", **options: Any) -> None:
    # An empty line that is not clipped would claim room at the corner of the page.
    if len(x):
        axes.plot(
            x,
            y,
            linestyle="none",
            markeredgecolor=style.INK,
            clip_on=False,
            path_effects=[withStroke(linewidth=2.4, foreground="white")],
            **options,
        )


_RELAPSE: Final[dict[str, Any]] = {"marker": "|", "markersize": 11, "markeredgewidth": 2.0}
_PROGRESSION: Final[dict[str, Any]] = {
    "marker": "d",
    "markersize": 5,
    "markerfacecolor": style.INK,
    "markeredgewidth": 0.6,
}
_DEATH: Final[dict[str, Any]] = {
    "marker": "X",
    "markersize": 7,
    "markerfacecolor": style.INK,
    "markeredgewidth": 0.4,
}
_ONGOING: Final[dict[str, Any]] = {
    "marker": ">",
    "markersize": 7,
    "markerfacecolor": "white",
    "markeredgewidth": 1.0,
}
_RESPONSE: Final[dict[str, Any]] = {
    "CR": {"marker": "*", "markersize": 11, "markeredgewidth": 0.6},
    "PR": {"marker": "^", "markersize": 7, "markeredgewidth": 0.6},
}


def _markers(axes: Axes, cohort: Cohort, responses: pd.DataFrame, place: dict[str, int]) -> None:
    patients = cohort.patients
    at = patients["patient_id"].map(place)
    _mark(axes, patients["relapse_month"], at, zorder=3, **_RELAPSE)
    progressed = cohort.salvage.dropna(subset=["progression_month"])
    _mark(
        axes,
        progressed["progression_month"],
        progressed["patient_id"].map(place),
        zorder=4,
        **_PROGRESSION,
    )
    died = patients["died"]
    _mark(axes, patients["os_month"][died], at[died], zorder=5, **_DEATH)
    _mark(axes, patients["os_month"][~died], at[~died], zorder=5, **_ONGOING)
    for key, options in _RESPONSE.items():
        for dated in (True, False):
            part = responses[(responses["best_response"] == key) & (responses["dated"] == dated)]
            fill = style.RESPONSE[key].colour if dated else "white"
            _mark(
                axes,
                part["month"],
                part["patient_id"].map(place),
                zorder=6,
                markerfacecolor=fill,
                **options,
            )


def _handles(
    cohort: Cohort, segments: pd.DataFrame, responses: pd.DataFrame, cut: bool
) -> list[Artist]:
    """Legend entries of what is drawn, and of nothing else."""
    used = set(segments["category"])
    handles: list[Artist] = [
        style.legend_patch(
            style.CATEGORY[key], style.short(words.category(key, cohort.study.labels), 40)
        )
        for key in CATEGORY_KEYS
        if key in used
    ]
    handles.append(style.legend_patch(style.Look(style.FAINT, ""), captions.SWIMMER_LEGEND["wait"]))
    died = cohort.patients["died"]
    symbols: list[tuple[str, dict[str, Any], bool]] = [
        ("relapse", _RELAPSE, True),
        *(
            (
                key,
                {**o, "markerfacecolor": style.RESPONSE[key].colour},
                bool((responses["best_response"] == key).any()),
            )
            for key, o in _RESPONSE.items()
        ),
        ("progression", _PROGRESSION, cohort.has("salvage", "progression_month")),
        ("death", _DEATH, bool(died.any())),
        ("ongoing", _ONGOING, not bool(died.all())),
    ]
    handles += [
        Line2D(
            [],
            [],
            linestyle="none",
            markeredgecolor=style.INK,
            label=captions.SWIMMER_LEGEND[key],
            **options,
        )
        for key, options, shown in symbols
        if shown
    ]
    if cut:
        handles.append(
            Line2D([], [], color=style.INK, linestyle=":", label=captions.SWIMMER_LEGEND["cut"])
        )
    return handles


def _counts(cohort: Cohort) -> dict[str, str]:
    return {
        "patients": words.count(len(cohort.patients), "patient"),
        "deaths": words.count(int(cohort.patients["died"].sum()), "death"),
        "lines": words.count(len(cohort.salvage), "salvage line"),
    }


def _alt(cohort: Cohort) -> str:
    best = cohort.salvage["best_response"]
    late = int(cohort.late.sum())
    return captions.SWIMMER_ALT.format(
        observed=" to ".join(
            dict.fromkeys(f"{m:.1f}" for m in cohort.patients["os_month"].agg(["min", "max"]))
        ),
        early=f"{len(cohort.patients) - late:,}",
        late=f"{late:,}",
        responding=int(best.isin(["CR", "PR"]).sum()),
        complete=int((best == "CR").sum()),
        **_counts(cohort),
    )
