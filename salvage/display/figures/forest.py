"""Forest plots: one row for each estimate, its interval, and its numbers in columns beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from salvage import words
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.show import Absent, Figure, not_drawn
from salvage.display.wording import p_value, ratio, reason

LABEL_CELLS: Final = 32
RATIO_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
POWERS: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
WIDEST: Final = (0.02, 50.0)
# Where a note of a column stands: at the top of the axes, or at its row.
IN_AXES: Final[dict[str, Any]] = {"xycoords": "axes fraction", "ha": "center"}
IN_ROW: Final[dict[str, Any]] = {"xycoords": ("axes fraction", "data"), "ha": "center"}


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
class ForestLine:
    """One row: label, bands, texts of the columns, look, and a detail under the label."""

    label: str
    bands: Sequence[Band]
    columns: Sequence[str]
    look: style.Look = style.ALL
    detail: str = ""

    @property
    def name(self) -> str:
        """The label, wrapped, with its detail on a line of its own."""
        parts = style.wrap(self.label, LABEL_CELLS), style.one_line(self.detail)
        return "\n".join(filter(None, parts))


def draw(
    figure: style.BookFigure,
    rows: Sequence[ForestLine],
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
    style.name_rows(axes, [row.name for row in rows], margin=0.6)
    for y, row in enumerate(rows):
        for band in row.bands:
            _band(axes, y + band.offset, band, row.look, limits)
    axes.set_xlabel(axis)
    if percent:
        ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
        axes.set_xticks(ticks, [f"{100 * t:.0f}" for t in ticks])
    axes.grid(axis="x")
    _columns(figure, axes, rows, head)
    return axes


def _band(axes: Axes, y: float, band: Band, look: style.Look, limits: tuple[float, float]) -> None:
    """Draw an interval and its value; an arrow says that the interval goes on."""
    left, right = limits
    if band.low is not None or band.high is not None:
        low = -math.inf if band.low is None else band.low
        high = math.inf if band.high is None else band.high
        axes.plot(
            (max(low, left), min(high, right)),
            (y, y),
            color=look.colour if band.thick > 2 else style.INK,
            linewidth=band.thick,
            zorder=3,
        )
        arrow: dict[str, Any] = {"color": style.INK, "markersize": 5, "clip_on": False, "zorder": 4}
        if low < left:
            axes.plot(left, y, marker="<", **arrow)
        if high > right:
            axes.plot(right, y, marker=">", **arrow)
    if band.value is not None and band.marker:
        axes.plot(
            min(max(band.value, left), right),
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
    figure: style.BookFigure, axes: Axes, rows: Sequence[ForestLine], head: Sequence[str]
) -> None:
    """Texts to the right of the axes, in columns as wide as their widest text."""
    left = 0.14
    for place, title in enumerate(head):
        texts = [row.columns[place] if place < len(row.columns) else "" for row in rows]
        width = style.text_width(figure, [title, *texts])
        centre = (left + width / 2) * style.POINTS
        style.note(axes, title, (1, 1), (centre, 3), fontweight="bold", va="bottom", **IN_AXES)
        for y, text in enumerate(texts):
            style.note(axes, text, (1, y), (centre, 0), va="center", **IN_ROW)
        left += width + 0.22


# --- hazard ratios ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A hazard ratio, ``None`` where not estimable; ``method`` then says why."""

    label: str
    hr: float | None
    low: float | None
    high: float | None
    n: int | None
    events: int | None
    p: float | None = None
    method: str = ""


def row_of(e: Estimate, label: str = "") -> Row:
    """An estimate of a ratio as a row; its own label unless another is given."""
    return Row(label or e.label, e.value, e.low, e.high, e.n, e.events, e.p, e.method)


def cox_forest(
    study: Study,
    rows: Sequence[Row],
    name: str,
    what: str,
    *,
    note: str = "",
    head: Sequence[str] = ("n (deaths)", "HR (95% CI)", "P"),
    first: Sequence[str] | None = None,
) -> Figure | Absent:
    """Hazard ratios on a log axis; a row that is not estimable stays, and says so.

    ``what`` opens the caption. ``first`` replaces the texts of the first column, patients and
    deaths.
    """
    known = [row for row in rows if row.hr is not None]
    if not known:
        return not_drawn(study, f"“{what}”", "no model of this cohort could be estimated")
    limits = ratio_limits(rows)
    counts = first or [_deaths(row) for row in rows]
    lines = [_ratio_line(row, text) for row, text in zip(rows, counts, strict=True)]
    most = max(line.name.count("\n") for line in lines)
    axis = "Hazard ratio of death (log scale)"
    with style.drawing(1.35 + (0.4 if most < 2 else 0.52) * len(rows)) as figure:
        axes = draw(figure, lines, axis=axis, head=head, limits=limits, log=True)
        ratio_axis(axes, limits)
    cut = any(_beyond(row, limits) for row in known)
    methods = dict.fromkeys(row.method for row in known if row.method)
    sentences = (
        f"{what}. Squares: hazard ratio of death with 95% interval, on a log scale.",
        f"Method: {'; '.join(methods)}." if methods else "",
        "An arrow marks a limit beyond the axis." if cut else "",
        note.strip(),
    )
    return Figure(
        study,
        name,
        figure,
        " ".join(filter(None, sentences)),
        f"{what}. {'; '.join(_ratio_part(row) for row in rows)}.",
        own_mark(study),
    )


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
    fixed_ticks(axes, ratio_ticks(limits), "{:g}")
    axes.axvline(1, color=style.INK, linewidth=0.9, linestyle="--", zorder=1)


def fixed_ticks(axes: Axes, ticks: Sequence[float], form: str) -> None:
    """These ticks and no others on a log axis."""
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: form.format(value))


def _beyond(row: Row, limits: tuple[float, float]) -> bool:
    """Whether an interval goes on beyond the axis."""
    if row.low is None and row.high is None:
        return False
    return row.low is None or row.high is None or row.low < limits[0] or row.high > limits[1]


def _deaths(row: Row) -> str:
    if row.n is None:
        return ""
    return f"{row.n:,}" if row.events is None else f"{row.n:,} ({row.events:,})"


def _ratio_line(row: Row, first: str) -> ForestLine:
    if row.hr is None:
        return ForestLine(row.label, (), (first, words.NOT_ESTIMABLE, ""))
    text = f"{ratio(row.hr)} ({_ratio_interval(row)})"
    p = "" if row.p is None else p_value(row.p)
    return ForestLine(row.label, (Band(row.hr, row.low, row.high),), (first, text, p))


def _ratio_interval(row: Row) -> str:
    if row.low is None and row.high is None:
        return words.NOT_ESTIMABLE
    return f"{ratio(row.low)} to {ratio(row.high)}"


def _ratio_part(row: Row) -> str:
    if row.hr is not None:
        return f"{row.label}: hazard ratio {ratio(row.hr)} (95% CI {_ratio_interval(row)})"
    why = reason(row.method)
    return f"{row.label}: not estimable" + (f" ({why})" if why else "")


def sweep_forest(
    cohort: Cohort, contrasts: Mapping[float, Estimate], times: str, name: str
) -> Figure | Absent:
    """Late against early relapse by cut-off in months; ``times`` names the survival."""
    relapse = cohort.patients["relapse_month"]
    late = [int((relapse > cut).sum()) for cut in contrasts]
    return cox_forest(
        cohort.study,
        [row_of(e, f"Cut-off {words.months(cut)}") for cut, e in contrasts.items()],
        name,
        f"Late against early relapse at each cut-off, {times}",
        note="The cut-offs use the same patients: the rows are not independent, and P-values are "
        "not adjusted.",
        head=("early / late", "HR (95% CI)", "P"),
        first=[f"{len(relapse) - n:,} / {n:,}" for n in late],
    )
