"""The published figures audited: what they leave open, over every table and over many cohorts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.estimate import Unit
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.figures.forest import RATIO_TICKS, fixed_ticks
from salvage.display.show import CLEARED, Absent, Cleared, Figure
from salvage.display.wording import number, p_value

ROW: Final = 0.42
STRIP: Final = 0.78
STRIP_BINS: Final = 70
OPEN_PANELS: Final = {"events": "Lines", "orr": "ORR, %", "cr": "CR, %"}
DEATHS: Final = (24, 25, 26, 27, 28, 29)
SKY: Final = "#56B4E9"
DOT: Final[dict[str, Any]] = {"linestyle": "none", "marker": "o", "color": style.GREY}
DIAMOND: Final[dict[str, Any]] = {
    "linestyle": "none",
    "marker": "D",
    "markersize": 8,
    "markerfacecolor": style.INK,
    "markeredgecolor": "white",
}
Floats = NDArray[np.float64]


def open_ranges(
    study: Study | Cleared,
    ranges: pd.DataFrame,
    assumed: Mapping[str, tuple[int, int, int]] | None = None,
    possible: Mapping[str, Sequence[int]] | None = None,
) -> Figure | Absent:
    """What stays open for each category: the lowest to the highest lines, ORR and CR rate.

    ``ranges`` is that of the feasible tables (events_low, events_high, orr_low, ... by category).
    ``assumed`` gives lines, responses and complete responses of the book's own table,
    drawn as dots; ``possible`` the values of n that occur, drawn as ticks, for they are not
    always all between the ends.
    """
    if ranges.empty:
        return Absent(
            CLEARED,
            "No table of counts is consistent with the printed figures, so no range is drawn.",
        )
    ticks = " Ticks: the numbers of lines that occur." if possible else ""
    dots = " Open dots: the assumed table of this book." if assumed else ""
    return Figure(
        study if assumed else CLEARED,
        "fig-open-ranges",
        _ranges(ranges, assumed or {}, possible or {}),
        "What the printed figures leave open for each category: lines, response rate and complete "
        "response rate, each from the lowest to the highest value that occurs in any table "
        f"consistent with the abstract.{ticks}{dots}",
        "Ranges that the abstract leaves open. "
        f"{'; '.join(_open_part(ranges, str(key)) for key in ranges.index)}.",
        ("implied", "assumed") if assumed else ("implied",),
    )


def _ranges(
    ranges: pd.DataFrame,
    assumed: Mapping[str, tuple[int, int, int]],
    possible: Mapping[str, Sequence[int]],
) -> style.BookFigure:
    names = [words.category_short(str(key)) for key in ranges.index]
    with style.drawing(1.0 + ROW * len(names)) as figure:
        panels = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 1))
        for axes, (column, title) in zip(panels, OPEN_PANELS.items(), strict=True):
            scale = 1 if column == "events" else 100
            for y, key in enumerate(map(str, ranges.index)):
                low, high = (scale * end for end in _ends(ranges, column, key))
                _open_bar(axes, y, low, high, style.CATEGORY[key])
                if column == "events" and key in possible:
                    values = list(possible[key])
                    axes.plot(values, [y] * len(values), "|", color=style.INK, markersize=9)
                if key in assumed:
                    value = _assumed(assumed[key], column)
                    dot = {"color": "white", "markeredgecolor": style.INK, "markersize": 6}
                    axes.plot(value, y, "o", zorder=4, **dot)
            axes.set_title(title)
            style.name_rows(axes, names, margin=0.6)
            axes.grid(axis="x")
            if scale == 100:
                axes.set_xlim(-3, 103)
                axes.set_xticks([0, 25, 50, 75, 100])
            else:
                axes.set_xlim(left=0)
                style.whole_number_ticks(axes.xaxis)
    return figure


def _ends(ranges: pd.DataFrame, column: str, key: str) -> tuple[float, float]:
    return float(ranges[f"{column}_low"][key]), float(ranges[f"{column}_high"][key])


def _open_bar(axes: Axes, y: float, low: float, high: float, look: style.Look) -> None:
    """A bar from end to end, or an upright line where only one value is left."""
    if high > low:
        axes.barh(y, high - low, left=low, height=0.5, zorder=2, **look.fill)
    else:
        axes.plot([low, low], [y - 0.25, y + 0.25], color=look.colour, linewidth=4, zorder=2)


def _assumed(counts: tuple[int, int, int], column: str) -> float:
    n, responses, complete = counts
    return {"events": float(n), "orr": 100 * responses / n, "cr": 100 * complete / n}[column]


def _open_part(ranges: pd.DataFrame, key: str) -> str:
    def span(column: str, unit: Unit) -> str:
        low, high = (number(end, unit) for end in _ends(ranges, column, key))
        return low if low == high else f"{low} to {high}"

    lines, orr, cr = span("events", "count"), span("orr", "proportion"), span("cr", "proportion")
    return f"{words.category(key)}: {lines} lines, ORR {orr}, CR {cr}"


# --- over many cohorts --------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """A quantity in each of many cohorts, shape (cohorts,); NaN where it is not estimable.

    ``own`` is the value in the book's cohort. ``unit`` decides how it is printed: ``p`` is a
    P-value, a ratio has a logarithmic axis. ``reference`` is a line, such as 1.
    """

    label: str
    values: Floats
    own: float | None
    unit: Unit | Literal["p"]
    reference: float | None = None

    @property
    def known(self) -> Floats:
        """The values that are numbers."""
        return self.values[np.isfinite(self.values)]


def spread_over_cohorts(study: Study | Cleared, spreads: Sequence[Spread]) -> Figure | Absent:
    """Each quantity as a strip with one mark for each cohort; quantities have axes of their own."""
    drawn = [spread for spread in spreads if len(spread.known)]
    if not drawn:
        return Absent(CLEARED, "No alternative cohort is stored, so no spread is drawn.")
    with style.drawing(0.55 + (STRIP + 0.42) * len(drawn)) as figure:
        panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
        for axes, spread in zip(panels, drawn, strict=True):
            _strip(axes, spread)
        handles = [
            Line2D([], [], markersize=4, label="A cohort that fits the abstract", **DOT),
            Line2D([], [], label="This book's cohort", **DIAMOND),
        ]
        own = any(spread.own is not None for spread in drawn)
        style.legend_below(figure, handles if own else handles[:1], 2)
    cohorts = words.count(max(len(spread.values) for spread in drawn), "cohort")
    return Figure(
        CLEARED if all(spread.own is None for spread in spreads) else study,
        "fig-spread",
        figure,
        f"Quantities that the abstract does not print, over {cohorts} that agree with every "
        "printed figure. The spread is a range over the cohorts that the search found: it is "
        "neither a confidence interval nor a probability.",
        f"Spread over {cohorts} that fit the abstract. {'; '.join(map(_spread_part, drawn))}.",
        ("assumed",),
    )


def offsets(values: Floats) -> Floats:
    """Heights from -1 to 1 that keep equal values apart: a bin's marks are stacked."""
    low, high = float(values.min()), float(values.max())
    width = (high - low) / STRIP_BINS or 1.0
    places = np.floor((values - low) / width).astype(int)
    heights = np.zeros(len(values))
    for place in np.unique(places):
        here = np.flatnonzero(places == place)
        heights[here] = np.arange(len(here)) - (len(here) - 1) / 2
    return heights / max(1.0, float(np.abs(heights).max()))


def _strip(axes: Axes, spread: Spread) -> None:
    values = np.log(spread.known) if spread.unit == "ratio" else spread.known
    dots: dict[str, Any] = {"markersize": 3, "alpha": 0.7, "markeredgewidth": 0, "zorder": 2}
    axes.plot(spread.known, offsets(values), **DOT, **dots)
    if spread.reference is not None:
        axes.axvline(spread.reference, color=style.INK, linestyle="--", linewidth=1, zorder=1)
    if spread.own is not None and np.isfinite(spread.own):
        axes.plot(spread.own, 0, zorder=3, **DIAMOND)
    axes.set_ylim(-1.35, 1.35)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.04)
    axes.set_title(spread.label)
    if spread.unit == "ratio":
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [t for t in (*RATIO_TICKS, 0.3, 0.4, 0.6, 0.7, 0.8, 1.5, 3.0) if low <= t <= high]
        fixed_ticks(axes, sorted(ticks) or [float(np.exp(np.median(values)))], "{:.3g}")
    elif spread.unit in ("count", "events"):
        style.whole_number_ticks(axes.xaxis)
    elif spread.unit in ("proportion", "probability"):
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")


def _spread_part(spread: Spread) -> str:
    low, high = (
        p_value(end) if spread.unit == "p" else number(end, spread.unit)
        for end in (float(spread.known.min()), float(spread.known.max()))
    )
    return f"{spread.label}: {low} to {high}"


# --- the standard error -------------------------------------------------------------------------


def se_region(
    corners: Floats, with_p: Sequence[Floats], printed: str, p: str = ""
) -> Figure | Absent:
    """Log hazard ratios and standard errors that print the figures, and bounds by deaths.

    ``corners`` has shape (k, 2), columns log hazard ratio and standard error (``Region.corners`` of
    :mod:`salvage.evidence.rounding`); ``with_p`` has the parts that also print ``p``.
    """
    if not len(corners):
        return Absent(
            CLEARED,
            f"No hazard ratio and standard error print as {printed}, so no region is drawn.",
        )
    low, high = float(corners[:, 1].min()), float(corners[:, 1].max())
    excluded = [d for d in DEATHS if least_error(d) > high]
    deaths = (
        f"fewer than {max(excluded) + 1} deaths cannot give so small a standard error"
        if excluded
        else "no number of deaths shown is excluded"
    )
    dark = f"The dark part also prints the P-value {p}." if with_p else ""
    return Figure(
        CLEARED,
        "fig-se-region",
        _region(corners, with_p, printed, p),
        f"Hazard ratios and standard errors that print as {printed}: the shaded region. Dotted "
        f"lines: 2/√d, the smallest standard error that d deaths can give. {dark}",
        f"Standard errors from {low:.4f} to {high:.4f} print the published interval; {deaths}.",
        ("published", "implied"),
    )


def least_error(deaths: int) -> float:
    """The smallest standard error of a log hazard ratio that so many deaths can give."""
    return 2 / math.sqrt(deaths)


def _region(corners: Floats, with_p: Sequence[Floats], printed: str, p: str) -> style.BookFigure:
    with style.drawing(4.1) as figure:
        axes = figure.add_subplot()
        edge: dict[str, Any] = {"edgecolor": style.INK, "linewidth": 1}
        region = Polygon(corners, facecolor=SKY, alpha=0.6, label=f"prints {printed}", **edge)
        parts = [
            Polygon(part, facecolor=style.DEEP, hatch="////", label=f"and P = {p}", **edge)
            for part in with_p
        ]
        for patch in (region, *parts):
            axes.add_patch(patch)
        for d in DEATHS:
            axes.axhline(least_error(d), color=style.GREY, linestyle=":", linewidth=1.2)
            place = ("axes fraction", "data")
            text, at = f"{d} deaths", (1, least_error(d))
            style.note(axes, text, at, (4, 0), xycoords=place, va="center")
        left, right = float(corners[:, 0].min()), float(corners[:, 0].max())
        room = 0.35 * (right - left)
        axes.set_xlim(left - room, right + room)
        ends = [*corners[:, 1], *map(least_error, DEATHS)]
        pad = 0.08 * (max(ends) - min(ends))
        axes.set_ylim(min(ends) - pad, max(ends) + pad)
        ratios = round_ratios(left - room, right + room)
        axes.set_xticks(list(map(math.log, ratios)), list(ratios.values()))
        axes.set_xlabel("Hazard ratio (log scale)")
        axes.set_ylabel("Standard error of log HR")
        style.legend_below(figure, [region, *parts[:1]], 2)
    return figure


def round_ratios(low: float, high: float) -> dict[float, str]:
    """Round ratios between two log ratios, each with what is printed of it."""
    ticks = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(math.exp(low), math.exp(high))
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return {float(t): f"{t:.{digits}f}" for t in ticks if math.exp(low) <= t <= math.exp(high)}
