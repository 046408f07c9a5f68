"""Forest plots: one row for each estimate, its interval, and its numbers in columns beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from salvage import words
from salvage.analysis.estimate import Estimate
from salvage.analysis.prognosis import Fit, caution
from salvage.analysis.provenance import Mark, own_mark
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.show import Absent, Figure
from salvage.display.wording import p_value, ratio
from salvage.display.wording import reason as why

PLAIN: Final = style.ALL
LABEL_CELLS: Final = 32
RATIO_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
POWERS: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
WIDEST: Final = (0.02, 50.0)


@dataclass(frozen=True)
class Band:
    """A value and its interval, ``None`` for none; ``offset`` moves it within its row."""

    value: float | None
    low: float | None
    high: float | None
    marker: str = "s"
    filled: bool = True
    offset: float = 0.0
    thick: float = 1.6


@dataclass(frozen=True)
class Line:
    """One row: label, bands, texts of the columns, look, and a detail under the label."""

    label: str
    bands: Sequence[Band]
    columns: Sequence[str]
    look: style.Look = PLAIN
    detail: str = ""

    @property
    def name(self) -> str:
        """The label, wrapped, with its detail on a line of its own."""
        return "\n".join(
            filter(None, (style.wrap(self.label, LABEL_CELLS), style.one_line(self.detail)))
        )


def draw(
    figure: style.BookFigure,
    rows: Sequence[Line],
    *,
    axis: str,
    head: Sequence[str],
    limits: tuple[float, float],
    percent: bool = False,
    log: bool = False,
) -> Axes:
    """Draw ``rows`` from the top with ``head`` above their columns; beyond ``limits``, an arrow.

    ``percent`` shows proportions as percentages; ``log`` takes a logarithmic axis.
    """
    axes = figure.add_subplot()
    if log:
        axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for y, row in enumerate(rows):
        for band in row.bands:
            _band(axes, y + band.offset, band, row.look, limits)
    labels = [row.name for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=style.SIZE)
    axes.set_xlabel(axis)
    style.hide_left_spine(axes)
    if percent:
        ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
        axes.set_xticks(ticks, [f"{100 * t:.0f}" for t in ticks])
    axes.grid(axis="x", color=style.PALE, linewidth=0.6)
    _columns(figure, axes, rows, head)
    return axes


def _band(axes: Axes, y: float, band: Band, look: style.Look, limits: tuple[float, float]) -> None:
    low, high = (
        (limits[0] if band.low is None else band.low),
        (limits[1] if band.high is None else band.high),
    )
    known = band.low is not None or band.high is not None
    if known:
        ends = max(low, limits[0]), min(high, limits[1])
        axes.plot(
            ends,
            (y, y),
            color=look.colour if band.thick > 2 else style.INK,
            linewidth=band.thick,
            solid_capstyle="butt",
            zorder=3,
        )
        for end, arrow, cut in (
            (limits[0], "<", low < limits[0] or band.low is None),
            (limits[1], ">", high > limits[1] or band.high is None),
        ):
            if cut:
                axes.plot(
                    end, y, marker=arrow, color=style.INK, markersize=5, clip_on=False, zorder=4
                )
    if band.value is not None and band.marker:
        inside = min(max(band.value, limits[0]), limits[1])
        axes.plot(
            inside,
            y,
            marker=band.marker,
            markersize=7 if band.filled else 5.5,
            linestyle="none",
            clip_on=False,
            markerfacecolor=look.colour if band.filled else "white",
            markeredgecolor=style.INK,
            markeredgewidth=0.8,
            zorder=5,
        )


def _columns(
    figure: style.BookFigure, axes: Axes, rows: Sequence[Line], head: Sequence[str]
) -> None:
    """Texts to the right of the axes, in columns as wide as their widest text."""
    at = 0.14
    for place, title in enumerate(head):
        texts = [row.columns[place] if place < len(row.columns) else "" for row in rows]
        width = style.text_width(figure, [title, *texts])
        for y, text in enumerate([title, *texts], start=-1):
            title_row = y < 0
            axes.annotate(
                text,
                xy=(1, 1 if title_row else y),
                xycoords=("axes fraction", "axes fraction" if title_row else "data"),
                xytext=((at + width / 2) * style.POINTS, 3 if title_row else 0),
                textcoords="offset points",
                ha="center",
                va="bottom" if title_row else "center",
                fontsize=style.SMALL,
                fontweight="bold" if title_row else "normal",
                annotation_clip=False,
            )
        at += width + 0.22


# --- hazard ratios ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A hazard ratio, ``None`` where not estimable, with the reason why."""

    label: str
    hr: float | None
    low: float | None
    high: float | None
    n: int | None
    events: int | None
    p: float | None = None
    reason: str = ""
    method: str = ""
    covariates: int = 1


def row_of(e: Estimate, label: str = "") -> Row:
    """An estimate of a ratio as a row; its own label unless another is given."""
    reason = "" if e.value is not None else why(e.method)
    return Row(
        label or e.label,
        e.value,
        e.low,
        e.high,
        e.n,
        e.events,
        e.p,
        reason,
        e.method if e.value is not None else "",
    )


def rows_of_fits(fits: Iterable[Fit]) -> list[Row]:
    """One row for each covariate of each fit."""
    rows = []
    for fitted in fits:
        model = fitted.model
        for at, label in enumerate(fitted.labels):
            found = (
                (None,) * 4
                if model is None
                else (model.hr[at], model.low[at], model.high[at], model.p[at])
            )
            hr, low, high, p = found
            reason = fitted.reason if model is None else (model.reason or "")
            method = "" if model is None or hr is None else model.method
            size = (fitted.n, fitted.events)
            rows.append(Row(label, hr, low, high, *size, p, reason, method, len(fitted.keys)))
    return rows


def cox_forest(
    study: Study,
    rows: Sequence[Row],
    name: str,
    what: str,
    *,
    note: str = "",
    head: Sequence[str] = captions.COX_HEAD,
    first: Sequence[str] | None = None,
    marks: Sequence[Mark] | None = None,
) -> Figure | Absent:
    """Hazard ratios on a log axis; a row that is not estimable stays, and says so.

    ``what`` opens the caption. ``first`` replaces the texts of the first column, patients and
    deaths.
    """
    if not any(row.hr is not None for row in rows):
        return Absent(study, captions.COX_NOTHING.format(what=what))
    limits = ratio_limits(rows)
    counts = first or [_deaths(row) for row in rows]
    lines = [_ratio_line(row, text) for row, text in zip(rows, counts, strict=True)]
    most = max(line.name.count("\n") for line in lines)
    with style.drawing(1.35 + (0.4 if most < 2 else 0.52) * len(rows)) as figure:
        axes = draw(figure, lines, axis=captions.COX_AXIS, head=head, limits=limits, log=True)
        ratio_axis(axes, limits)
    cut = any(_beyond(row, limits) for row in rows)
    methods = list(dict.fromkeys(row.method for row in rows if row.method))
    method = f"Method: {'; '.join(methods)}." if methods else ""
    return Figure(
        study,
        name,
        figure,
        captions.COX_CAPTION.format(
            what=what,
            method=method,
            note=(captions.COX_ARROW if cut else "")
            + (f" {note.strip()}" if note else "")
            + _caution(rows),
        ).strip(),
        captions.COX_ALT.format(what=what, parts="; ".join(_ratio_part(row) for row in rows)),
        tuple(own_mark(study) if marks is None else marks),
    )


def _caution(rows: Sequence[Row]) -> str:
    """The caution for the estimated row with the fewest deaths for each covariate."""
    sizes = {(row.events, row.covariates) for row in rows if row.hr is not None}
    known = [(deaths, of) for deaths, of in sizes if deaths is not None]
    if not known:
        return ""
    return caution(*min(known, key=lambda size: size[0] / size[1]), least=len(known) > 1)


def ratio_limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of a log axis that holds 1 and every finite value, within a fiftyfold of 1."""
    known = [v for row in rows for v in (row.hr, row.low, row.high) if v is not None and v > 0]
    low, high = min([0.4, *known]) / 1.15, max([2.5, *known]) * 1.15
    return max(low, WIDEST[0]), min(high, WIDEST[1])


def ratio_ticks(limits: tuple[float, float], most: int = 7) -> list[float]:
    """Round ratios between ``limits``; only powers of ten where there are more than ``most``."""
    ticks = [t for t in RATIO_TICKS if limits[0] <= t <= limits[1]]
    return ticks if len(ticks) <= most else [t for t in ticks if t in POWERS]


def ratio_axis(axes: Axes, limits: tuple[float, float]) -> None:
    """Round ticks on a log axis, and the line of no effect."""
    ticks = ratio_ticks(limits)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.axvline(1, color=style.INK, linewidth=0.9, linestyle="--", zorder=1)


def _beyond(row: Row, limits: tuple[float, float]) -> bool:
    if row.hr is None or (row.low is None and row.high is None):
        return False
    return row.low is None or row.high is None or row.low < limits[0] or row.high > limits[1]


def _deaths(row: Row) -> str:
    if row.n is None:
        return ""
    return f"{row.n:,}" if row.events is None else f"{row.n:,} ({row.events:,})"


def _ratio_line(row: Row, first: str) -> Line:
    if row.hr is None:
        return Line(row.label, (), (first, words.NOT_ESTIMABLE, ""))
    text = f"{ratio(row.hr)} ({_ratio_interval(row)})"
    return Line(
        row.label,
        (Band(row.hr, row.low, row.high),),
        (first, text, "" if row.p is None else p_value(row.p)),
    )


def _ratio_interval(row: Row) -> str:
    if row.low is None and row.high is None:
        return words.NOT_ESTIMABLE
    return f"{ratio(row.low)} to {ratio(row.high)}"


def _ratio_part(row: Row) -> str:
    if row.hr is None:
        return captions.COX_MISSING.format(
            label=row.label, reason=f" ({row.reason})" if row.reason else ""
        )
    return captions.COX_PART.format(
        label=row.label, hr=ratio(row.hr), interval=_ratio_interval(row)
    )


def sweep_forest(
    cohort: Cohort, frame: pd.DataFrame, times: str, name: str = "fig-sweep"
) -> Figure | Absent:
    """The frame of :func:`salvage.analysis.prognosis.sweep`; ``times`` names the survival."""
    rows = [
        Row(
            captions.SWEEP_ROW.format(cut=words.months(r["cut_off"])),
            hr=_known(r["hr"]),
            low=_known(r["low"]),
            high=_known(r["high"]),
            n=int(r["early"] + r["late"]),
            events=None,
            p=_known(r["p"]),
            reason="" if _known(r["hr"]) is not None else why(str(r["method"])),
            method=str(r["method"]) if _known(r["hr"]) is not None else "",
        )
        for r in frame.to_dict("records")
    ]
    groups = [f"{r['early']:,} / {r['late']:,}" for r in frame.to_dict("records")]
    what = captions.SWEEP_WHAT.format(times=times)
    return cox_forest(
        cohort.study,
        rows,
        name,
        what,
        note=captions.SWEEP_NOTE + caution(int(cohort.patients["died"].sum())),
        head=captions.SWEEP_HEAD,
        first=groups,
    )


def _known(value: object) -> float | None:
    """A cell of a frame as a number, ``None`` where it holds none."""
    number = float("nan") if value is None else float(str(value))
    return number if math.isfinite(number) else None
