"""The swimmer plot: one lane for each patient."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.analysis.response import RESPONDING, responded
from salvage.analysis.survival import with_outcome
from salvage.cohort import Cohort
from salvage.display.figures import style
from salvage.display.figures.histories import History, histories
from salvage.display.show import Absent, Figure

BAR: Final = 0.68
#: What a page says around the histories.
VIEW_WORDS: Final = {
    "hint": "Point at a lane, tap it, or use the arrow keys to read its history; Escape closes it.",
    "lanes": "Patients, from the longest to the shortest observed time",
    "panel": "History of one patient",
    "months": style.MONTHS_INFUSION,
    "previous": "Previous",
    "next": "Next",
    "close": "Close",
}


def swimmer_plot(cohort: Cohort) -> Figure | Absent:
    """Each patient's course from infusion; absent above 80 patients."""
    n = len(cohort.patients)
    if n > style.MOST_PATIENTS:
        return Absent(
            cohort.study,
            "The swimmer plot draws one lane for each patient and is left out above "
            f"{style.MOST_PATIENTS} patients; this cohort has {n:,}. The figures of the flow, of "
            "the sequence of lines and of survival summarise the courses.",
        )
    lanes, responses = lane_order(cohort), response_marks(cohort)
    history = dict(zip(cohort.patients["patient_id"], histories(cohort), strict=True))
    figure = _swimmer(cohort, lanes, responses)
    return Figure(
        cohort.study,
        "fig-swimmer",
        figure,
        _caption(cohort, hollow=not responses["dated"].all()),
        _alt(cohort),
        own_mark(cohort.study),
        view=partial(view, figure.axes[0], [history[patient] for patient in lanes["patient_id"]]),
    )


def _swimmer(cohort: Cohort, lanes: pd.DataFrame, responses: pd.DataFrame) -> style.BookFigure:
    segments = line_segments(cohort)
    symbols = [symbol for symbol in _symbols(cohort, responses) if len(symbol.rows)]
    place = {patient: y for y, patient in enumerate(lanes["patient_id"])}
    last, cut = float(lanes["os_month"].max()), cohort.study.early_relapse_months
    with style.drawing(1.9 + min(0.235, max(0.155, 8.0 / len(lanes))) * len(lanes)) as figure:
        axes = figure.add_subplot()
        _lanes(axes, lanes)
        _segments(axes, segments, place)
        for symbol in symbols:
            _draw(axes, symbol, place)
        handles = [
            *style.category_legend(set(segments["category"]), cohort.study.labels),
            style.legend_patch(style.NO_LINE, "No salvage line"),
            *(Line2D([], [], label=symbol.label, **_LINE, **symbol.look) for symbol in symbols),
        ]
        if cut <= last:
            line: dict[str, Any] = {"color": style.INK, "linestyle": ":"}
            axes.axvline(cut, linewidth=1.2, zorder=1.5, **line)
            handles.append(Line2D([], [], label="Early/late cut-off", **line))
        names = [style.short(patient, 14) for patient in lanes["patient_id"]]
        style.name_rows(axes, names, margin=0.65, size=style.SMALL)
        style.month_axis(axes, last or 1, style.MONTHS_INFUSION)
        axes.set_xlim(0, 1.03 * (last or 1))
        style.legend_below(figure, handles, 3)
    return figure


def view(axes: Axes, lanes: Sequence[History]) -> dict[str, Any]:
    """What a page needs to let a reader point at the lanes of the drawn figure, as JSON.

    ``top`` and ``bottom`` of a lane are fractions of the height of the picture, from its top.
    """
    borders = axes.transData.transform([(0, i - 0.5) for i in range(len(lanes) + 1)])[:, 1]
    heights = 1 - borders / axes.figure.bbox.height
    return {
        "words": VIEW_WORDS,
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
    lines = cohort.salvage[responded(cohort.salvage, "orr") == 1]
    dated = lines["response_month"].notna()
    month = lines["response_month"].fillna(lines["start_month"])
    marks: pd.DataFrame = lines[["patient_id", "best_response"]]
    return marks.assign(month=month, dated=dated)


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
        axes.barh(
            part["patient_id"].map(place),
            part["end"] - part["start"],
            left=part["start"],
            height=BAR,
            zorder=2,
            **style.CATEGORY[str(key)].fill,
        )


_LINE: Final[dict[str, Any]] = {"linestyle": "none", "markeredgecolor": style.INK}


class Symbol(NamedTuple):
    """A symbol of the lanes: its rows (patient_id, month; hollow unless dated), its look."""

    label: str
    rows: pd.DataFrame
    zorder: float
    look: dict[str, Any]


def _symbols(cohort: Cohort, responses: pd.DataFrame) -> list[Symbol]:
    patients = cohort.patients.rename(columns={"os_month": "month"})
    died = patients["died"]
    progressed = cohort.salvage.dropna(subset=["progression_month"])
    return [
        Symbol(
            "Relapse after CAR-T",
            cohort.patients.rename(columns={"relapse_month": "month"}),
            3,
            _look("|", 11, 2.0),
        ),
        *(
            Symbol(
                words.RESPONSES[key],
                responses[responses["best_response"] == key],
                6,
                _look(marker, size, 0.6, style.RESPONSE[key].colour),
            )
            for key, marker, size in zip(RESPONDING["orr"], "*^", (11, 7), strict=True)
        ),
        Symbol(
            "Progression on the line",
            progressed.rename(columns={"progression_month": "month"}),
            4,
            _look("d", 5, 0.6),
        ),
        Symbol("Death", patients[died], 5, _look("X", 7, 0.4)),
        Symbol("Alive at last contact", patients[~died], 5, _look(">", 7, 1.0, "white")),
    ]


def _look(marker: str, size: float, edge: float, fill: str = style.INK) -> dict[str, Any]:
    return {
        "marker": marker,
        "markersize": size,
        "markeredgewidth": edge,
        "markerfacecolor": fill,
    }


def _draw(axes: Axes, symbol: Symbol, place: dict[str, int]) -> None:
    dated = symbol.rows.get("dated", pd.Series(True, index=symbol.rows.index)).astype(bool)
    for part, look in (
        (symbol.rows[dated], symbol.look),
        (symbol.rows[~dated], {**symbol.look, "markerfacecolor": "white"}),
    ):
        # An empty line that is not clipped would claim room at the corner of the page.
        if len(part):
            axes.plot(
                part["month"],
                part["patient_id"].map(place),
                clip_on=False,
                path_effects=[withStroke(linewidth=2.4, foreground="white")],
                zorder=symbol.zorder,
                **_LINE,
                **look,
            )


def _counts(cohort: Cohort) -> tuple[str, str, str]:
    return (
        words.count(len(cohort.patients), "patient"),
        words.count(int(cohort.patients["died"].sum()), "death"),
        words.count(len(cohort.salvage), "salvage line"),
    )


def _caption(cohort: Cohort, hollow: bool) -> str:
    patients, deaths, lines = _counts(cohort)
    undated = (
        "A hollow response mark stands at the start of its line, because the month of the response "
        "is not recorded. "
        if hollow
        else ""
    )
    return (
        f"Course of each patient: {patients}, {deaths}, {lines}. A lane runs from CAR-T infusion "
        "to death or last contact; lanes are sorted by that time. A coloured stretch is a salvage "
        "line, up to its end where recorded, else to the next line, death or last contact. "
        f"{undated}{style.INDIVIDUAL}"
    )


def _alt(cohort: Cohort) -> str:
    patients, deaths, lines = _counts(cohort)
    late = int(cohort.late.sum())
    first, last = (f"{m:.1f}" for m in cohort.patients["os_month"].agg(["min", "max"]))
    observed = first if first == last else f"{first} to {last}"
    return (
        f"Swimmer plot of {patients}, observed for {observed} months after infusion; {deaths}. "
        f"{len(cohort.patients) - late:,} relapsed early and {late:,} late. Of {lines}, "
        f"{responded(cohort.salvage, 'orr').sum()} had a response, "
        f"{responded(cohort.salvage, 'cr').sum()} of them complete."
    )
