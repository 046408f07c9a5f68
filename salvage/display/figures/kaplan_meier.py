"""Kaplan-Meier curves as the KMunicate study asks (Morris, BMJ Open 2019;9:e030215).

An interval around each curve, marks where observations are censored, and under the curves a table
of those at risk, censored and with the event.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import survival
from salvage.analysis.provenance import Mark, own_mark
from salvage.analysis.survival import Times
from salvage.cohort import Cohort
from salvage.cohort.cells import DAYS_PER_MONTH
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.figures.responses import prose
from salvage.display.show import Absent, Figure
from salvage.display.wording import months, percent
from salvage.stats.survival import KM, risk_table

DAY: Final = 1 / DAYS_PER_MONTH
MANY_TIMES: Final = 1500
MOST_POINTS: Final = 4000
PITCH: Final = 13.0
ALT_MONTH: Final = 6.0
Floats = NDArray[np.float64]


def steps(curve: KM) -> tuple[Floats, Floats, Floats, Floats]:
    """Corners of a curve for a post-step line: times, survival, low, high, from (0, 1).

    A curve with more than 1,500 distinct times is read on a grid of days (coarser above 4,000
    days), which no eye can tell from the whole one.
    """
    at = curve.time
    if len(at) > MANY_TIMES:
        grid = np.arange(0, at[-1] + DAY, max(DAY, float(at[-1]) / MOST_POINTS))
        index = np.unique(np.searchsorted(at, grid, side="right") - 1)
        keep = index[index >= 0]
    else:
        keep = np.arange(len(at))
    last = keep[-1:]
    if len(last) and last[0] != len(at) - 1:
        keep = np.append(keep, len(at) - 1)
    parts = (at, curve.survival, curve.low, curve.high)
    first = (0.0, 1.0, 1.0, 1.0)
    made = [np.concatenate([[start], part[keep]]) for start, part in zip(first, parts, strict=True)]
    return made[0], made[1], made[2], made[3]


def km(
    study: Study,
    times_list: Sequence[Times],
    name: str,
    what: str,
    *,
    axis: str = captions.MONTHS_INFUSION,
    ylabel: str = captions.KM_SURVIVAL,
    looks: Sequence[style.Look] | None = None,
    note: str = "",
    marks: Sequence[Mark] | None = None,
) -> Figure | Absent:
    """Kaplan-Meier curves on one axis with their table; ``what`` opens the caption.

    Durations of nothing are left out. ``looks`` has one look for each of ``times_list``; without it
    there may be four. ``ValueError`` where they are not equally many.
    """
    looks = style.SERIES[: len(times_list)] if looks is None else looks
    chosen = list(zip(times_list, looks, strict=True))
    drawn = [(times, look) for times, look in chosen if times.n]
    if not drawn:
        return Absent(study, captions.KM_EMPTY.format(what=what, reason=captions.KM_NOBODY))
    lines = len(drawn) * (3 + (len(drawn) > 1))
    with style.drawing(3.6 + lines * PITCH / style.POINTS) as figure:
        panel(figure.add_subplot(), drawn, axis, ylabel)
    return _figure(study, [t for t, _ in drawn], name, what, figure, note, marks)


def panel(
    axes: Axes,
    drawn: Sequence[tuple[Times, style.Look]],
    axis: str,
    ylabel: str,
    *,
    named: bool = True,
    most_ticks: int = 8,
) -> None:
    """Curves with bands, censoring marks and table; ``named`` names the table's rows."""
    end = max(float(times.time.max()) for times, _ in drawn) or 1.0
    for times, look in drawn:
        _curve(axes, times, look)
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_ylabel(ylabel)
    axes.grid(axis="y", color=style.PALE, linewidth=0.6)
    ticks = style.month_axis(axes, end, axis, most_ticks)
    # A little room to the left, so that a curve that falls at once is seen apart from the axis.
    axes.set_xlim(-0.012 * end, 1.02 * end)
    if len(drawn) > 1:
        axes.legend(
            handles=[_handle(times, look) for times, look in drawn],
            loc="upper right",
            fontsize=style.SMALL,
        )
    _table(axes, [times for times, _ in drawn], ticks, named)


def _handle(times: Times, look: style.Look) -> Line2D:
    label = style.wrap(times.label, 34)
    return Line2D([], [], color=look.colour, linestyle=look.line, linewidth=2, label=label)


def _curve(axes: Axes, times: Times, look: style.Look) -> None:
    curve = times.curve()
    assert curve is not None  # only durations that exist are drawn
    at, value, low, high = steps(curve)
    axes.fill_between(
        at, low, high, step="post", color=look.colour, alpha=style.BAND_ALPHA, linewidth=0
    )
    axes.plot(
        at,
        value,
        drawstyle="steps-post",
        color=look.colour,
        linestyle=look.line,
        zorder=3,
        label=times.label,
    )
    if len(curve.time) <= MANY_TIMES:
        censored = curve.n_censor > 0
        axes.plot(
            curve.time[censored],
            curve.survival[censored],
            linestyle="none",
            marker="|",
            markersize=8,
            markeredgewidth=1.2,
            color=style.INK,
            zorder=4,
            label="_censored",
        )


def _table(axes: Axes, drawn: Sequence[Times], ticks: Sequence[float], named: bool) -> None:
    # Under the tick labels, and under the label of the axis where it has one.
    down = 44.0 if axes.get_xlabel() else 30.0
    for times in drawn:
        counts = risk_table(times.time, times.event, ticks)
        if len(drawn) > 1:
            _cell(axes, 0, down, style.short(times.label, 60), "left", style.INK, "bold")
            down += PITCH
        rows = (
            (captions.KM_AT_RISK, counts.at_risk),
            (captions.KM_CENSORED, counts.censored),
            (captions.KM_EVENTS, counts.events),
        )
        for title, numbers in rows:
            if named:
                _cell(axes, 0, down, title, "right", style.INK, "normal", -14)
            for tick, number in zip(ticks, numbers, strict=True):
                _cell(axes, tick, down, f"{number:,}", "center", style.INK, "normal")
            down += PITCH


def _cell(
    axes: Axes,
    x: float,
    down: float,
    text: str,
    align: Literal["left", "center", "right"],
    colour: str,
    weight: str,
    shift: float = 0,
) -> None:
    axes.annotate(
        text,
        xy=(x, 0),
        xycoords=("data", "axes fraction"),
        xytext=(shift, -down),
        textcoords="offset points",
        ha=align,
        va="center",
        fontsize=style.SMALL,
        color=colour,
        fontweight=weight,
        annotation_clip=False,
    )


# --- words --------------------------------------------------------------------------------------


def _figure(
    study: Study,
    drawn: Sequence[Times],
    name: str,
    what: str,
    figure: style.BookFigure,
    note: str,
    marks: Sequence[Mark] | None,
) -> Figure:
    several = len(drawn) > 1
    groups = "; ".join(
        captions.KM_GROUP.format(label=t.label, size=size(t), events=_events(t)) for t in drawn
    )
    repeat = captions.KM_REPEAT_NOTE if several and any(t.n > t.patients for t in drawn) else ""
    return Figure(
        study,
        name,
        figure,
        captions.KM_CAPTION.format(
            what=what,
            curves="curves" if several else "curve",
            bands="intervals (bands)" if several else "interval (band)",
            censored=_censored(drawn),
            groups=groups,
            note=note + repeat,
        ),
        captions.KM_ALT.format(
            what=what[:1].lower() + what[1:] if what[1:2].islower() else what,
            curves="curves" if several else "curve",
            parts="; ".join(_part(times) for times in drawn),
        ),
        tuple(own_mark(study) if marks is None else marks),
    )


def _censored(drawn: Sequence[Times]) -> str:
    """How censored observations are shown: a curve on a day grid has no ticks."""
    thinned = [len(np.unique(times.time)) > MANY_TIMES for times in drawn]
    if all(thinned):
        return captions.KM_THINNED
    return captions.KM_SOME_THINNED if any(thinned) else captions.KM_TICKS


def size(times: Times) -> str:
    """``29 patients``, or lines and patients where a patient counts more than once."""
    patients = words.count(times.patients, "patient")
    if times.n == times.patients:
        return patients
    return captions.REPEAT.format(lines=words.count(times.n, "line"), patients=patients)


def _events(times: Times) -> str:
    return words.count(times.events, "event")


def _part(times: Times) -> str:
    curve = times.curve()
    assert curve is not None
    value, low, high = curve.median
    middle = words.NOT_REACHED
    if value is not None:
        template = (
            captions.KM_MEDIAN if low is not None or high is not None else captions.KM_MEDIAN_ALONE
        )
        middle = template.format(value=months(value), low=months(low), high=months(high))
    at = curve.at(ALT_MONTH)
    # Past the last observation the curve says nothing.
    known = at.value is not None and not at.beyond_last
    then = (
        captions.KM_AT.format(survival=percent(at.value), month=f"{ALT_MONTH:g}") if known else ""
    )
    return captions.KM_PART.format(
        label=times.label, size=size(times), events=_events(times), median=middle, at=then
    )


# --- the book's curves --------------------------------------------------------------------------


def os_from_infusion(cohort: Cohort) -> Figure | Absent:
    """Overall survival of all patients from CAR-T infusion."""
    return km(
        cohort.study, [survival.from_infusion(cohort)], "fig-os-infusion", captions.OS_INFUSION
    )


def os_from_relapse(cohort: Cohort) -> Figure | Absent:
    """Overall survival of all patients from relapse."""
    times = survival.from_relapse(cohort)
    return km(
        cohort.study, [times], "fig-os-relapse", captions.OS_RELAPSE, axis=captions.MONTHS_RELAPSE
    )


def os_by_relapse_group(cohort: Cohort, origin: Literal["infusion", "relapse"]) -> Figure | Absent:
    """Overall survival of early and late relapse; the caption warns of the guarantee time."""
    infusion = origin == "infusion"
    times = survival.from_infusion(cohort) if infusion else survival.from_relapse(cohort)
    late = cohort.late.to_numpy()
    groups = [
        Times(words.RELAPSE_GROUPS[key], times.time[rows], times.event[rows], times.patient[rows])
        for key, rows in (("early", ~late), ("late", late))
    ]
    what = captions.BY_GROUP.format(
        what=captions.OS_INFUSION if infusion else captions.OS_RELAPSE,
        cut=words.months(cohort.study.early_relapse_months),
    )
    if late.all() or not late.any():
        return Absent(
            cohort.study, captions.KM_EMPTY.format(what=what, reason=captions.KM_ONE_GROUP)
        )
    return km(
        cohort.study,
        groups,
        f"fig-os-{origin}-by-relapse",
        what,
        axis=captions.MONTHS_INFUSION if infusion else captions.MONTHS_RELAPSE,
        looks=[style.GROUP["early"], style.GROUP["late"]],
        note=captions.KM_GUARANTEE_NOTE if infusion else captions.KM_SELECTED_NOTE,
    )


def line_curves(
    cohort: Cohort, category: str, durations: Sequence[str] = ("pfs", "ttnt", "os_from_start")
) -> Figure | Absent:
    """PFS, time to next treatment and survival from the start of lines, side by side.

    A duration for which the cohort has no column is left out, and the caption says so.
    """
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == category]
    what = captions.LINE_CURVES.format(category=prose(cohort.study, category))
    if lines.empty:
        return Absent(
            cohort.study,
            captions.NO_CATEGORY.format(
                category=words.CATEGORIES_PROSE[category], what=captions.LINES_COURSE
            ),
        )
    found = {key: survival.line_times(cohort, lines, key) for key in durations}
    drawn = [times for times in found.values() if times is not None and times.n]
    missing = [key for key, times in found.items() if times is None or not times.n]
    left_out = "".join(
        captions.KM_LEFT_OUT.format(
            what=words.DURATIONS[key].lower(),
            reason=captions.KM_NOT_RECORDED[key] if found[key] is None else captions.KM_NOBODY,
        )
        for key in missing
    )
    if not drawn:
        return Absent(cohort.study, captions.KM_EMPTY.format(what=what, reason=captions.KM_NOBODY))
    look = style.Look(style.CATEGORY[category].colour, "o")
    wide = max(times.n for times in drawn) >= 10_000
    with style.drawing(3.2 + 3 * PITCH / style.POINTS) as figure:
        row = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
        for place, (axes, times) in enumerate(zip(row, drawn, strict=True)):
            most = 8 if len(drawn) == 1 else 3 if wide else 4
            ylabel = captions.KM_FREE if place == 0 else ""
            panel(axes, [(times, look)], "", ylabel, named=place == 0, most_ticks=most)
            axes.set_title(style.wrap(times.label, 66 // len(drawn)))
        figure.supxlabel(captions.MONTHS_LINE, fontsize=style.SIZE)
    return _figure(
        cohort.study, drawn, f"fig-{words.slug(category)}-course", what, figure, left_out, None
    )


def dor(cohort: Cohort, category: str | None = None) -> Figure | Absent:
    """Duration of response of one category, or of all salvage lines."""
    lines = survival.with_outcome(cohort)
    what, name, look = captions.DOR_ALL, "fig-dor", style.ALL
    if category is not None:
        label = words.category(category, cohort.study.labels)
        what = captions.OF_CATEGORY.format(what=words.DURATIONS["dor"], category=label)
        name = f"fig-{words.slug(category)}-dor"
        look = style.Look(style.CATEGORY[category].colour, "o")
        lines = lines[lines["category"] == category]
    times = survival.line_times(cohort, lines, "dor")
    if times is None or not times.n:
        responded = lines["best_response"].isin(["CR", "PR"]).any()
        reason = captions.KM_NOT_RECORDED["dor"] if responded else captions.KM_NO_RESPONSE
        return Absent(cohort.study, captions.KM_EMPTY.format(what=what, reason=reason))
    return km(
        cohort.study,
        [times],
        name,
        what,
        axis=captions.MONTHS_RESPONSE,
        ylabel=captions.KM_RESPONSE,
        looks=[look],
        note=captions.DOR_NOTE,
    )
