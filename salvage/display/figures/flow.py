"""Who is in the cohort: a flow chart of patients and lines, and the time of relapse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.display.figures import style
from salvage.display.show import Absent, Figure

LAST_LINE: Final = 4
MOST_BINS: Final = 24
#: Which lines are drawn, by their number.
LINES_DRAWN: Final = (
    "no salvage line",
    "their first salvage line",
    "their salvage lines one and two",
    "their salvage lines one to three",
    "their salvage lines one to four",
)
# Sizes of the flow chart, in inches.
BOX_WIDTH: Final = 2.75
BOX_HEIGHT: Final = 0.62
SIDE_WIDTH: Final = 2.55
GAP: Final = 0.42


@dataclass(frozen=True)
class Step:
    """One box of the flow: patients in it, and those who went no further, dead or alive."""

    label: str
    n: int
    stop: str = ""
    stopped: int = 0
    stopped_died: int = 0


def flow_steps(cohort: Cohort) -> list[Step]:
    """The flow from relapse over the salvage lines of the cohort, at most four."""
    patients = cohort.patients
    reached = cohort.salvage.groupby("patient_id")["line"].max()
    last = patients["patient_id"].map(reached).fillna(0).to_numpy(dtype=int)
    died = patients["died"].to_numpy(dtype=bool)
    labels = [("Progressed or relapsed\nafter CAR-T", "No salvage therapy")]
    labels += [
        (f"Salvage line {line}", f"No line {line + 1}")
        for line in range(1, min(int(last.max()), LAST_LINE) + 1)
    ]
    steps = [_step(*label, last, died, line) for line, label in enumerate(labels)]
    beyond = int((last > LAST_LINE).sum())
    if beyond:
        steps[-1] = Step(f"Salvage line {LAST_LINE}\n({beyond:,} had further lines)", steps[-1].n)
    return steps


def _step(
    label: str, stop: str, last: NDArray[np.int_], died: NDArray[np.bool_], line: int
) -> Step:
    here = last == line
    return Step(label, int((last >= line).sum()), stop, int(here.sum()), int((here & died).sum()))


def cohort_flow(cohort: Cohort) -> Figure | Absent:
    """CONSORT-style flow: patients, with and without salvage, lines up to four, and deaths."""
    steps = flow_steps(cohort)
    n, treated, deaths = (
        len(cohort.patients),
        len(cohort.treated),
        int(cohort.patients["died"].sum()),
    )
    patients = words.count(n, "patient")
    received = "".join(
        f" {step.n:,} received line {line}." for line, step in enumerate(steps) if line
    )
    return Figure(
        cohort.study,
        "fig-flow",
        _flow_chart(steps, _fate(n, deaths)),
        f"Flow of the cohort: {patients} with relapse after CAR-T, {LINES_DRAWN[len(steps) - 1]}, "
        "and deaths. Deaths are counted at any time up to last contact.",
        f"Flow chart: {patients} relapsed after CAR-T; {treated:,} received salvage therapy and "
        f"{n - treated:,} did not.{received} {deaths:,} died.",
        own_mark(cohort.study),
    )


def _fate(n: int, died: int) -> str:
    return f"{died:,} died, {n - died:,} alive"


def _flow_chart(steps: Sequence[Step], fate: str) -> style.BookFigure:
    """A box for each step from the top down, at its side those who went no further."""
    pitch = BOX_HEIGHT + GAP
    height = (len(steps) + 1) * pitch - GAP + 0.1
    middle, right = 0.75 + BOX_WIDTH / 2, style.WIDTH - SIDE_WIDTH / 2 - 0.1
    with style.drawing(height) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, style.WIDTH)
        axes.set_ylim(height, 0)
        axes.axis("off")
        heights = [0.05 + BOX_HEIGHT / 2 + i * pitch for i in range(len(steps) + 1)]
        for i, (step, y) in enumerate(zip(steps, heights, strict=False)):
            _box(axes, middle, y, BOX_WIDTH, f"{step.label}\nn = {step.n:,}")
            below = y + BOX_HEIGHT / 2
            _arrow(axes, (middle, below), (middle, below + GAP))
            # Nobody goes on after the last line, so its side box would repeat it.
            if i == 0 or i < len(steps) - 1:
                turn = below + GAP / 2
                _arrow(axes, (middle, turn), (right - SIDE_WIDTH / 2, turn))
                stopped = f"{step.stop}: n = {step.stopped:,}"
                if step.stopped:
                    stopped += f"\n{_fate(step.stopped, step.stopped_died)}"
                _box(axes, right, turn, SIDE_WIDTH, stopped, style.FAINT)
        _box(
            axes,
            middle,
            heights[-1],
            BOX_WIDTH,
            f"Whole cohort at last contact\n{fate}",
            style.PALE,
        )
    return figure


def _box(axes: Axes, x: float, y: float, width: float, text: str, colour: str = "white") -> None:
    height = BOX_HEIGHT - 0.06 if colour == style.FAINT else BOX_HEIGHT
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=colour,
            edgecolor=style.INK,
            linewidth=0.9,
        )
    )
    axes.text(x, y, text, ha="center", va="center", linespacing=1.25)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": style.INK, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=look)


# --- relapse ------------------------------------------------------------------------------------


def relapse_bins(months: NDArray[np.float64], cut: float) -> "np.ndarray[Any, Any]":
    """Edges of intervals closed on the right; one edge is the cut-off, the first is 0 or below."""
    last = float(months.max())
    width = next(
        (s for s in style.MONTH_STEPS if max(last, cut) / s <= MOST_BINS), style.MONTH_STEPS[-1]
    )
    before = int(np.ceil(cut / width - 1e-9))
    after = int(np.ceil(max(last - cut, 0) / width - 1e-9))
    return cut + width * np.arange(-before, after + 1)


def relapse_timeline(cohort: Cohort) -> Figure | Absent:
    """Months from infusion to relapse with the cut-off; patients are marked if that is allowed."""
    months = cohort.patients["relapse_month"].to_numpy(dtype=float)
    late = cohort.late.to_numpy()
    cut = cohort.study.early_relapse_months
    edges = relapse_bins(months, cut)
    cut_off, width = words.months(cut), words.months(float(edges[1] - edges[0]))
    marked = len(months) <= style.MOST_PATIENTS
    single = (
        f"Each mark is one patient. {style.INDIVIDUAL}"
        if marked
        else f"Above {style.MOST_PATIENTS} patients, single patients are not marked."
    )
    low, median, high = (f"{m:.1f}" for m in (months.min(), np.median(months), months.max()))
    when = (
        f"{low} months after infusion"
        if low == high
        else f"between {low} and {high} months after infusion, median {median}"
    )
    return Figure(
        cohort.study,
        "fig-relapse",
        _timeline(months, late, cut, edges, marked),
        f"Time from CAR-T infusion to relapse, {words.count(len(months), 'patient')}. Bars count "
        f"patients in intervals of {width}. {single} The dashed line is the cut-off of {cut_off}: "
        "relapse at it counts as early.",
        f"Relapse came {when}: {(~late).sum():,} relapsed early and {late.sum():,} late, by the "
        f"cut-off of {cut_off}.",
        own_mark(cohort.study),
    )


def _timeline(
    months: NDArray[np.float64],
    late: NDArray[np.bool_],
    cut: float,
    edges: NDArray[np.float64],
    marked: bool,
) -> style.BookFigure:
    """A histogram of the months of relapse; ``marked`` adds a tick for each patient under it."""
    # An interval holds its right end, so that relapse at the cut-off is early. seaborn's hold the
    # left: it is given the middles.
    interval = np.clip(np.searchsorted(edges, months, side="left") - 1, 0, None)
    edges = np.maximum(edges, 0)
    middle = ((edges[:-1] + edges[1:]) / 2)[interval]
    with style.drawing(3.1) as figure:
        axes = figure.add_subplot()
        handles: list[Artist] = []
        for key, group in (("early", ~late), ("late", late)):
            look, label = style.GROUP[key], words.RELAPSE_GROUPS[key]
            sns.histplot(
                x=middle[group],
                bins=edges,
                ax=axes,
                color=look.colour,
                alpha=1,
                hatch=look.hatch,
                edgecolor="white",
                linewidth=1,
                label=label,
            )
            patients = words.count(int(group.sum()), "patient")
            handles.append(style.legend_patch(look, f"{label}: {patients}"))
        label = f"Cut-off {words.months(cut)}"
        handles.append(
            axes.axvline(cut, color=style.INK, linestyle="--", linewidth=1.2, label=label)
        )
        top = int(np.bincount(interval).max())
        if marked:
            axes.plot(
                months,
                np.full(len(months), -0.06 * top),
                "|",
                color=style.INK,
                markersize=8,
                markeredgewidth=1,
            )
        axes.set_ylim(-0.12 * top if marked else 0, 1.08 * top)
        end = float(edges[-1])
        style.month_axis(axes, end, style.MONTHS_INFUSION)
        axes.set_xlim(-0.01 * end, 1.01 * end)
        axes.set_ylabel("Patients")
        style.whole_number_ticks(axes.yaxis)
        axes.legend(handles=handles, loc="upper right")
    return figure
