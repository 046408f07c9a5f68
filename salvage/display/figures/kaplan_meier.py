"""Kaplan-Meier curves as the KMunicate study asks (Morris, BMJ Open 2019;9:e030215).

An interval around each curve, marks where observations are censored, and under the curves a table
of those at risk, censored and with the event.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import survival
from salvage.analysis.provenance import own_mark
from salvage.analysis.response import ALL, responded
from salvage.analysis.survival import Times
from salvage.cohort import Cohort
from salvage.cohort.cells import DAYS_PER_MONTH
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.show import Absent, Figure, nobody_received, not_drawn
from salvage.display.wording import median, median_text, rate_text
from salvage.stats.survival import KM, risk_table

DAY: Final = 1 / DAYS_PER_MONTH
MANY_TIMES: Final = 1500
MOST_POINTS: Final = 4000
PITCH: Final = 13.0
ALT_MONTH: Final = 6.0
LINE_DURATIONS: Final = ("pfs", "ttnt", "os_from_start")
MONTHS: Final = {"infusion": style.MONTHS_INFUSION, "relapse": "Months since relapse"}
OS: Final = {
    "infusion": "Overall survival from CAR-T infusion",
    "relapse": "Overall survival from relapse",
}
NOBODY: Final = "no patient or line has one"
NOT_RECORDED: Final = {
    "pfs": "no progression month is recorded",
    "dor": "no month of response is recorded",
}
REPEAT_NOTE: Final = (
    " Because patients repeat, and because each line is a choice after the last, curves are not "
    "compared by a test."
)
GUARANTEE_NOTE: Final = {
    "infusion": " Nobody can relapse late without living that long: from infusion the late curve "
    "is held up by that guarantee.",
    "relapse": " Counted from relapse, the time to relapse favours neither group; of what follows, "
    "only the wait for salvage is guaranteed to those treated.",
}
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
    time, value, low, high = (
        np.concatenate([[start], part[keep]]) for start, part in zip(first, parts, strict=True)
    )
    return time, value, low, high


def km(
    study: Study,
    times_list: Sequence[Times],
    name: str,
    what: str,
    *,
    axis: str = style.MONTHS_INFUSION,
    ylabel: str = "Survival, %",
    looks: Sequence[style.Look] | None = None,
    note: str = "",
) -> Figure | Absent:
    """Kaplan-Meier curves on one axis with their table; ``what`` opens the caption.

    Durations of nothing are left out. ``looks`` has one look for each of ``times_list``; without it
    there may be four. ``ValueError`` where they are not equally many.
    """
    looks = style.SERIES[: len(times_list)] if looks is None else looks
    curves = [(times, look) for times, look in zip(times_list, looks, strict=True) if times.n]
    if not curves:
        return _not_drawn(study, what, NOBODY)
    rows = len(curves) * (3 + (len(curves) > 1))
    with style.drawing(3.6 + rows * PITCH / style.POINTS) as figure:
        panel(figure.add_subplot(), curves, axis, ylabel)
    return _figure(study, [times for times, _ in curves], name, what, figure, note)


def _not_drawn(study: Study, what: str, reason: str) -> Absent:
    return not_drawn(study, f"“{what}”", reason)


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
    axes.grid(axis="y")
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
            _cell(axes, 0, down, style.short(times.label, 60), ha="left", fontweight="bold")
            down += PITCH
        rows = (
            ("At risk", counts.at_risk),
            ("Censored", counts.censored),
            ("Events", counts.events),
        )
        for title, numbers in rows:
            if named:
                _cell(axes, 0, down, title, -14, ha="right")
            for tick, number in zip(ticks, numbers, strict=True):
                _cell(axes, tick, down, f"{number:,}", ha="center")
            down += PITCH


def _cell(axes: Axes, x: float, down: float, text: str, shift: float = 0, **options: Any) -> None:
    """A text of the table, ``down`` points under the axes."""
    place = ("data", "axes fraction")
    style.note(axes, text, (x, 0), (shift, -down), xycoords=place, va="center", **options)


# --- words --------------------------------------------------------------------------------------


def _figure(
    study: Study,
    drawn: Sequence[Times],
    name: str,
    what: str,
    figure: style.BookFigure,
    note: str,
) -> Figure:
    several = len(drawn) > 1
    curves = "curves" if several else "curve"
    bands = "intervals (bands)" if several else "interval (band)"
    groups = "; ".join(f"{t.label}: {size(t)}, {_events(t)}" for t in drawn)
    repeat = REPEAT_NOTE if several and any(t.n > t.patients for t in drawn) else ""
    inside = what[:1].lower() + what[1:] if what[1:2].islower() else what
    return Figure(
        study,
        name,
        figure,
        f"{what}: Kaplan-Meier {curves} with 95% log-log {bands}{_censored(drawn)}. {groups}. The "
        "table counts those at risk just before each month, and the censored and the events up to "
        f"it.{note}{repeat}",
        f"Kaplan-Meier {curves} of {inside}. {'; '.join(_part(study, times) for times in drawn)}.",
        own_mark(study),
    )


def _censored(drawn: Sequence[Times]) -> str:
    """How censored observations are shown: a curve on a day grid has no ticks."""
    thinned = [len(np.unique(times.time)) > MANY_TIMES for times in drawn]
    if all(thinned):
        return ", drawn on a day grid; censored observations are shown in the table only"
    if any(thinned):
        return (
            "; ticks mark censored observations, except on the curves of many times, which are "
            "drawn on a day grid"
        )
    return "; ticks mark censored observations"


def size(times: Times) -> str:
    """``29 patients``, or lines and patients where a patient counts more than once."""
    patients = words.count(times.patients, "patient")
    if times.n == times.patients:
        return patients
    return f"{words.count(times.n, 'line')} of {patients} (a patient counts once for each line)"


def _events(times: Times) -> str:
    return words.count(times.events, "event")


def _part(study: Study, times: Times) -> str:
    """The alt text of one curve: its median, and survival at six months."""
    at = survival.at_month(study, "at", times, ALT_MONTH)
    then = "" if at.value is None else f", {rate_text(at)} at {ALT_MONTH:g} months"
    middle = median(survival.median(study, "median", times))
    return f"{times.label}, {size(times)}, {_events(times)}: median {middle}{then}"


# --- the book's curves --------------------------------------------------------------------------


def os_from_infusion(cohort: Cohort) -> Figure | Absent:
    """Overall survival of all patients from CAR-T infusion."""
    times = survival.from_infusion(cohort)
    return km(cohort.study, [times], "fig-os-infusion", OS["infusion"])


def os_from_relapse(cohort: Cohort) -> Figure | Absent:
    """Overall survival of all patients from relapse."""
    times = survival.from_relapse(cohort)
    return km(cohort.study, [times], "fig-os-relapse", OS["relapse"], axis=MONTHS["relapse"])


def os_by_relapse_group(cohort: Cohort, origin: Literal["infusion", "relapse"]) -> Figure | Absent:
    """Overall survival of early and late relapse; the caption warns of the guarantee time."""
    times = {"infusion": survival.from_infusion, "relapse": survival.from_relapse}[origin](cohort)
    late = cohort.late.to_numpy()
    cut = words.months(cohort.study.early_relapse_months)
    what = f"{OS[origin]}, by time of relapse (cut-off {cut})"
    if late.all() or not late.any():
        return _not_drawn(cohort.study, what, "one of the two groups has no patient")
    groups = [
        Times(words.RELAPSE_GROUPS[key], times.time[rows], times.event[rows], times.patient[rows])
        for key, rows in (("early", ~late), ("late", late))
    ]
    return km(
        cohort.study,
        groups,
        f"fig-os-{origin}-by-relapse",
        what,
        axis=MONTHS[origin],
        looks=[style.GROUP["early"], style.GROUP["late"]],
        note=GUARANTEE_NOTE[origin],
    )


def line_curves(cohort: Cohort, category: str) -> Figure | Absent:
    """PFS, time to next treatment and survival from the start of lines, side by side.

    A duration for which the cohort has no column is left out, and the caption says so.
    """
    if cohort.category(category).empty:
        return nobody_received(cohort.study, category, "The course of its lines")
    by_key = {key: survival.line_times(cohort, key, category) for key in LINE_DURATIONS}
    drawn = [times for times in by_key.values() if times is not None and not _why_not(times)]
    what = f"Course after the start of {words.category_prose(category, cohort.study.labels)}"
    if not drawn:
        return _not_drawn(cohort.study, what, NOBODY)
    left_out = "".join(
        f" Not shown: {words.DURATIONS[key].lower()}, because "
        f"{NOT_RECORDED[key] if times is None else _why_not(times)}."
        for key, times in by_key.items()
        if times is None or _why_not(times)
    )
    rules = _rules(cohort, "pfs", category) if by_key["pfs"] in drawn else ""
    look = style.Look(style.CATEGORY[category].colour)
    wide = max(times.n for times in drawn) >= 10_000
    with style.drawing(3.2 + 3 * PITCH / style.POINTS) as figure:
        row = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
        for place, (axes, times) in enumerate(zip(row, drawn, strict=True)):
            most = 8 if len(drawn) == 1 else 3 if wide else 4
            ylabel = "Without the event, %" if place == 0 else ""
            panel(axes, [(times, look)], "", ylabel, named=place == 0, most_ticks=most)
            axes.set_title(style.wrap(times.label, 66 // len(drawn)))
        figure.supxlabel("Months since the start of the line", fontsize=style.SIZE)
    name = f"fig-{words.slug(category)}-course"
    return _figure(cohort.study, drawn, name, what, figure, rules + left_out)


def _why_not(times: Times) -> str:
    """Why durations have no curve; empty where they have one."""
    return times.no_months if times.n else NOBODY


def _rules(cohort: Cohort, duration: str, category: str) -> str:
    """The sentence of a caption: what ends a line, and the medians under the two conventions."""
    medians = survival.line_medians(cohort, category)
    censored, event = (
        medians[f"{duration}.{category}.{rule}.median"]
        for rule in ("censored_at_next_line", "next_line_event")
    )
    return (
        f" {words.DURATIONS[duration]} ends with progression or death, not with a next line: "
        f"censored there, its median is {median_text(censored)} "
        f"({words.count(censored.events or 0, 'event')}); with the next line as an event, "
        f"{median_text(event)} ({words.count(event.events or 0, 'event')}), in months."
    )


def dor(cohort: Cohort, category: str | None = None) -> Figure | Absent:
    """Duration of response of one category, or of all salvage lines."""
    what, name, look = f"{words.DURATIONS['dor']}, all salvage lines", "fig-dor", style.ALL
    if category is not None:
        what = f"{words.DURATIONS['dor']}, {words.category(category, cohort.study.labels)}"
        name = f"fig-{words.slug(category)}-dor"
        look = style.Look(style.CATEGORY[category].colour)
    key = category or ALL
    times = survival.line_times(cohort, "dor", key)
    if times is None or not times.n:
        lines = cohort.salvage if category is None else cohort.category(category)
        reason = NOT_RECORDED["dor"] if responded(lines, "orr").any() else "no line responded"
        return _not_drawn(cohort.study, what, reason)
    if times.no_months:
        return _not_drawn(cohort.study, what, times.no_months)
    return km(
        cohort.study,
        [times],
        name,
        what,
        axis="Months since the response",
        ylabel="Still in response, %",
        looks=[look],
        note=" Counted from the first CR or PR, of those who responded."
        + _rules(cohort, "dor", key),
    )
