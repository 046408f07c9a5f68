"""The published figures audited: what they leave open, over every table and over many cohorts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.estimate import Unit
from salvage.analysis.provenance import Mark
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.figures.forest import RATIO_TICKS
from salvage.display.show import CLEARED, Absent, Cleared, Figure
from salvage.display.wording import number, p_value

ROW: Final = 0.42
STRIP: Final = 0.78
STRIP_BINS: Final = 70
Floats = NDArray[np.float64]


def open_ranges(
    study: Study | Cleared,
    ranges: pd.DataFrame,
    assumed: Mapping[str, tuple[int, int, int]] | None = None,
    possible: Mapping[str, Sequence[int]] | None = None,
    labels: Mapping[str, str] | None = None,
    *,
    name: str = "fig-open-ranges",
    marks: Sequence[Mark] = ("implied", "assumed"),
) -> Figure | Absent:
    """What stays open for each category: the lowest to the highest lines, ORR and CR rate.

    ``ranges`` is that of the feasible tables (events_low, events_high, orr_low, ... by category).
    ``assumed`` gives lines, responses and complete responses of the book's own table,
    drawn as dots; ``possible`` the values of n that occur, drawn as ticks, for they are not
    always all between the ends.
    """
    if ranges.empty:
        return Absent(CLEARED, captions.OPEN_NOTHING)
    keys = [str(key) for key in ranges.index]
    names = [words.category_short(key, dict(labels or {})) for key in keys]
    columns = ("events", "orr", "cr")
    with style.drawing(1.0 + ROW * len(keys)) as figure:
        panels = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 1))
        for axes, column, title in zip(panels, columns, captions.OPEN_PANELS, strict=True):
            scale = 1 if column == "events" else 100
            for y, key in enumerate(keys):
                low, high = (
                    scale * float(ranges[f"{column}_{end}"][key]) for end in ("low", "high")
                )
                _open_bar(axes, y, low, high, style.CATEGORY[key])
                if column == "events" and possible and key in possible:
                    axes.plot(
                        list(possible[key]),
                        [y] * len(possible[key]),
                        "|",
                        color=style.INK,
                        markersize=9,
                    )
                if assumed and key in assumed:
                    axes.plot(
                        _own(assumed[key], column),
                        y,
                        "o",
                        color="white",
                        markeredgecolor=style.INK,
                        markersize=6,
                        zorder=4,
                    )
            axes.set_title(title)
            axes.set_ylim(len(keys) - 0.4, -0.6)
            axes.grid(axis="x", color=style.PALE, linewidth=0.6)
            style.hide_left_spine(axes)
            if scale == 100:
                axes.set_xlim(-3, 103)
                axes.set_xticks([0, 25, 50, 75, 100])
            else:
                axes.set_xlim(left=0)
                style.whole_number_ticks(axes.xaxis)
        panels[0].set_yticks(range(len(keys)), names, fontsize=style.SIZE)
    return Figure(
        study if assumed else CLEARED,
        name,
        figure,
        captions.OPEN_CAPTION
        + (captions.OPEN_TICKS if possible else "")
        + (captions.OPEN_ASSUMED if assumed else ""),
        captions.OPEN_ALT.format(parts="; ".join(_open_part(ranges, key, labels) for key in keys)),
        tuple(mark for mark in marks if mark != "assumed" or assumed),
    )


def _open_bar(axes: Axes, y: float, low: float, high: float, look: style.Look) -> None:
    if high > low:
        axes.barh(
            y,
            high - low,
            left=low,
            height=0.5,
            color=look.colour,
            hatch=look.hatch,
            edgecolor=style.INK,
            linewidth=0.6,
            zorder=2,
        )
    else:
        axes.plot(
            [low, low],
            [y - 0.25, y + 0.25],
            color=look.colour,
            linewidth=4,
            solid_capstyle="butt",
            zorder=2,
        )


def _own(counts: tuple[int, int, int], column: str) -> float:
    n, responses, complete = counts
    return {"events": float(n), "orr": 100 * responses / n, "cr": 100 * complete / n}[column]


def _open_part(ranges: pd.DataFrame, key: str, labels: Mapping[str, str] | None) -> str:
    def span(column: str, unit: Unit) -> str:
        low, high = (float(ranges[f"{column}_{end}"][key]) for end in ("low", "high"))
        if low == high:
            return number(low, unit)
        return captions.OPEN_RANGE.format(low=number(low, unit), high=number(high, unit))

    return captions.OPEN_PART.format(
        category=words.category(key, dict(labels or {})),
        n=span("events", "count"),
        orr=span("orr", "proportion"),
        cr=span("cr", "proportion"),
    )


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


def spread_over_cohorts(
    study: Study | Cleared,
    spreads: Sequence[Spread],
    *,
    agree: str = "",
    name: str = "fig-spread",
    marks: Sequence[Mark] = ("assumed",),
) -> Figure | Absent:
    """Each quantity as a strip with one mark for each cohort; quantities have axes of their own."""
    drawn = [spread for spread in spreads if len(spread.known)]
    if not drawn:
        return Absent(CLEARED, captions.SPREAD_NOTHING)
    n = max(len(spread.values) for spread in drawn)
    with style.drawing(0.55 + (STRIP + 0.42) * len(drawn)) as figure:
        panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
        for axes, spread in zip(panels, drawn, strict=True):
            _strip(axes, spread)
        own = Line2D(
            [],
            [],
            linestyle="none",
            marker="D",
            markersize=8,
            markerfacecolor=style.INK,
            markeredgecolor="white",
            label=captions.SPREAD_OWN,
        )
        dot = Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            markersize=4,
            color=style.GREY,
            label=captions.SPREAD_DOT,
        )
        style.legend_below(
            figure, [dot, own] if any(s.own is not None for s in drawn) else [dot], 2
        )
    cohorts = words.count(n, "cohort")
    return Figure(
        CLEARED if all(spread.own is None for spread in spreads) else study,
        name,
        figure,
        captions.SPREAD_CAPTION.format(n=cohorts, agree=agree),
        captions.SPREAD_ALT.format(
            n=cohorts, parts="; ".join(_spread_part(spread) for spread in drawn)
        ),
        tuple(marks),
    )


def offsets(values: Floats) -> Floats:
    """Heights from -1 to 1 that keep equal values apart: a bin's marks are stacked."""
    low, high = float(values.min()), float(values.max())
    width = (high - low) / STRIP_BINS or 1.0
    places = np.floor((values - low) / width).astype(int)
    made = np.zeros(len(values))
    for place in np.unique(places):
        here = np.flatnonzero(places == place)
        made[here] = np.arange(len(here)) - (len(here) - 1) / 2
    return made / max(1.0, float(np.abs(made).max()))


def _strip(axes: Axes, spread: Spread) -> None:
    values = np.log(spread.known) if spread.unit == "ratio" else spread.known
    axes.plot(
        spread.known,
        offsets(values),
        "o",
        markersize=3,
        color=style.GREY,
        alpha=0.7,
        markeredgewidth=0,
        zorder=2,
    )
    if spread.unit == "ratio":
        axes.set_xscale("log")
    if spread.reference is not None:
        axes.axvline(spread.reference, color=style.INK, linestyle="--", linewidth=1, zorder=1)
    if spread.own is not None and np.isfinite(spread.own):
        axes.plot(
            spread.own,
            0,
            "D",
            markersize=8,
            markerfacecolor=style.INK,
            markeredgecolor="white",
            zorder=3,
        )
    axes.set_ylim(-1.35, 1.35)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.04)
    axes.set_title(spread.label)
    if spread.unit == "ratio":
        low, high = axes.get_xlim()
        ticks = [t for t in (*RATIO_TICKS, 0.3, 0.4, 0.6, 0.7, 0.8, 1.5, 3.0) if low <= t <= high]
        axes.xaxis.set_major_locator(
            FixedLocator(sorted(ticks) or [float(np.exp(np.median(values)))])
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    elif spread.unit in ("count", "events"):
        style.whole_number_ticks(axes.xaxis)
    elif spread.unit in ("proportion", "probability"):
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")


def _spread_part(spread: Spread) -> str:
    low, high = float(spread.known.min()), float(spread.known.max())
    texts = (p_value(v) if spread.unit == "p" else number(v, spread.unit) for v in (low, high))
    return captions.SPREAD_PART.format(
        label=spread.label, **dict(zip(("low", "high"), texts, strict=True))
    )


# --- the standard error -------------------------------------------------------------------------


def se_region(
    corners: Floats,
    with_p: Sequence[Floats],
    printed: str,
    p: str = "",
    deaths: Sequence[int] = (24, 25, 26, 27, 28, 29),
    *,
    name: str = "fig-se-region",
    marks: Sequence[Mark] = ("published", "implied"),
) -> Figure | Absent:
    """Log hazard ratios and standard errors that print the figures, and bounds by deaths.

    ``corners`` has shape (k, 2), columns log hazard ratio and standard error (``Region.corners`` of
    :mod:`salvage.evidence.rounding`); ``with_p`` has the parts that also print ``p``.
    """
    if not len(corners):
        return Absent(CLEARED, captions.SE_NOTHING.format(printed=printed))
    low, high = float(corners[:, 1].min()), float(corners[:, 1].max())
    bounds = {d: 2 / np.sqrt(d) for d in deaths}
    with style.drawing(4.1) as figure:
        axes = figure.add_subplot()
        axes.add_patch(
            Polygon(
                corners,
                facecolor="#56B4E9",
                alpha=0.6,
                edgecolor=style.INK,
                linewidth=1,
                label=captions.SE_REGION.format(printed=printed),
            )
        )
        for i, part in enumerate(with_p):
            axes.add_patch(
                Polygon(
                    part,
                    facecolor=style.DEEP,
                    hatch="////",
                    edgecolor=style.INK,
                    linewidth=1,
                    label=captions.SE_REGION_P.format(p=p) if i == 0 else "_again",
                )
            )
        left, right = float(corners[:, 0].min()), float(corners[:, 0].max())
        room = 0.35 * (right - left)
        for d, bound in bounds.items():
            axes.axhline(bound, color=style.GREY, linestyle=":", linewidth=1.2)
            axes.annotate(
                captions.SE_LINE.format(d=d),
                xy=(1, bound),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.SMALL,
                annotation_clip=False,
            )
        axes.set_xlim(left - room, right + room)
        ends = [low, high, *bounds.values()]
        pad = 0.08 * (max(ends) - min(ends))
        axes.set_ylim(min(ends) - pad, max(ends) + pad)
        ratios = round_ratios(left - room, right + room)
        axes.set_xticks(list(map(math.log, ratios)), list(ratios.values()))
        axes.set_xlabel(captions.SE_X)
        axes.set_ylabel(captions.SE_Y)
        handles, _ = axes.get_legend_handles_labels()
        style.legend_below(
            figure, [h for h in handles if not str(h.get_label()).startswith("_")], 2
        )
    short = [d for d, bound in bounds.items() if bound > high]
    told = captions.SE_DEATHS.format(d=max(short) + 1) if short else captions.SE_ANY_DEATHS
    return Figure(
        CLEARED,
        name,
        figure,
        captions.SE_CAPTION.format(printed=printed) + (captions.SE_P.format(p=p) if with_p else ""),
        captions.SE_ALT.format(low=f"{low:.4f}", high=f"{high:.4f}", deaths=told),
        tuple(marks),
    )


def round_ratios(low: float, high: float) -> dict[float, str]:
    """Round ratios between two log ratios, each with what is printed of it."""
    ticks = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(math.exp(low), math.exp(high))
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return {float(t): f"{t:.{digits}f}" for t in ticks if math.exp(low) <= t <= math.exp(high)}
