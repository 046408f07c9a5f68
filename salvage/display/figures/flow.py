"""Who is in the cohort: a flow chart of patients and lines, and the time of relapse."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.display.figures import captions, style
from salvage.display.show import Absent, Figure

LAST_LINE: Final = 4
MOST_BINS: Final = 24
_BOX: Final = {"width": 2.75, "height": 0.62, "side": 2.55, "gap": 0.42}


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
    steps = [_step(captions.FLOW_TOP, captions.FLOW_UNTREATED, last, died, 0)]
    steps += [
        _step(_line(line), captions.FLOW_STOP.format(line=line + 1), last, died, line)
        for line in range(1, min(int(last.max()), LAST_LINE) + 1)
    ]
    beyond = int((last > LAST_LINE).sum())
    if beyond:
        label = captions.FLOW_LAST.format(line=LAST_LINE, more=f"{beyond:,}")
        steps[-1] = Step(label, steps[-1].n)
    return steps


def _line(number: int) -> str:
    return captions.FLOW_LINE.format(line=number)


def _step(
    label: str, stop: str, last: NDArray[np.int_], died: NDArray[np.bool_], line: int
) -> Step:
    here = last == line
    return Step(label, int((last >= line).sum()), stop, int(here.sum()), int((here & died).sum()))


def cohort_flow(cohort: Cohort) -> Figure | Absent:
    """CONSORT-style flow: patients, with and without salvage, lines up to four, and deaths."""
    steps = flow_steps(cohort)
    deaths = int(cohort.patients["died"].sum())
    n = len(cohort.patients)
    # Nobody goes on after the last line, so its side box would repeat it.
    sides = [i == 0 or i < len(steps) - 1 for i in range(len(steps))]
    rows = len(steps) + 1
    pitch = _BOX["height"] + _BOX["gap"]
    height = rows * pitch - _BOX["gap"] + 0.1
    with style.drawing(height) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, style.WIDTH)
        axes.set_ylim(height, 0)
        axes.axis("off")
        middle, right = 0.75 + _BOX["width"] / 2, style.WIDTH - _BOX["side"] / 2 - 0.1
        for i, (step, side) in enumerate(zip(steps, sides, strict=True)):
            y = 0.05 + _BOX["height"] / 2 + i * pitch
            _box(axes, middle, y, _BOX["width"], f"{step.label}\nn = {step.n:,}")
            below = y + _BOX["height"] / 2
            _arrow(axes, (middle, below), (middle, below + _BOX["gap"]))
            if side:
                turn = below + _BOX["gap"] / 2
                _arrow(axes, (middle, turn), (right - _BOX["side"] / 2, turn))
                fate = captions.FLOW_DIED.format(
                    died=f"{step.stopped_died:,}", alive=f"{step.stopped - step.stopped_died:,}"
                )
                text = f"{step.stop}: n = {step.stopped:,}" + (f"\n{fate}" if step.stopped else "")
                _box(axes, right, turn, _BOX["side"], text, style.FAINT)
        fate = captions.FLOW_DIED.format(died=f"{deaths:,}", alive=f"{n - deaths:,}")
        y = 0.05 + _BOX["height"] / 2 + len(steps) * pitch
        _box(axes, middle, y, _BOX["width"], f"{captions.FLOW_END}\n{fate}", style.PALE)
    treated = len(cohort.treated)
    told = " ".join(
        captions.FLOW_STEP.format(n=f"{step.n:,}", line=line)
        for line, step in enumerate(steps)
        if line
    )
    return Figure(
        cohort.study,
        "fig-flow",
        figure,
        captions.FLOW_CAPTION.format(
            patients=words.count(n, "patient"), lines=captions.FLOW_LINES[len(steps) - 1]
        ),
        captions.FLOW_ALT.format(
            patients=words.count(n, "patient"),
            treated=f"{treated:,}",
            untreated=f"{n - treated:,}",
            steps=told,
            deaths=f"{deaths:,}",
        ).replace("  ", " "),
        own_mark(cohort.study),
    )


def _box(axes: Axes, x: float, y: float, width: float, text: str, colour: str = "white") -> None:
    height = _BOX["height"] - 0.06 if colour == style.FAINT else _BOX["height"]
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
    before, after = (
        int(np.ceil(cut / width - 1e-9)),
        int(np.ceil(max(last - cut, 0) / width - 1e-9)),
    )
    return cut + width * np.arange(-before, after + 1)


def _when(months: NDArray[np.float64]) -> dict[str, str]:
    """The range and the median of months in words; a range of one month has neither."""
    low, median, high = (f"{m:.1f}" for m in (months.min(), np.median(months), months.max()))
    if low == high:
        return {"when": low, "median": ""}
    return {
        "when": captions.TIMELINE_BETWEEN.format(low=low, high=high),
        "median": captions.TIMELINE_MEDIAN.format(median=median),
    }


def relapse_timeline(cohort: Cohort) -> Figure | Absent:
    """Months from infusion to relapse with the cut-off; patients are marked if that is allowed."""
    months = cohort.patients["relapse_month"].to_numpy(dtype=float)
    cut = cohort.study.early_relapse_months
    late = cohort.late.to_numpy()
    edges = relapse_bins(months, cut)
    # An interval holds its right end: relapse at the cut-off is early.
    counts = np.bincount(
        np.clip(np.searchsorted(edges, months, side="left") - 1, 0, None), minlength=len(edges) - 1
    )
    marked = len(months) <= captions.MOST_PATIENTS
    width = float(edges[1] - edges[0])
    starts = np.maximum(edges[:-1], 0)
    with style.drawing(3.1) as figure:
        axes = figure.add_subplot()
        handles: list[Artist] = []
        for key, chosen in (("early", edges[:-1] < cut - 1e-9), ("late", edges[:-1] >= cut - 1e-9)):
            look = style.GROUP[key]
            n = int(late.sum() if key == "late" else (~late).sum())
            axes.bar(
                starts[chosen],
                counts[chosen],
                width=(edges[1:] - starts)[chosen],
                align="edge",
                color=look.colour,
                hatch="////" if key == "early" else "",
                edgecolor="white",
                label=words.RELAPSE_GROUPS[key],
            )
            label = f"{words.RELAPSE_GROUPS[key]}: {words.count(n, 'patient')}"
            handles.append(
                style.legend_patch(replace(look, hatch="////" if key == "early" else ""), label)
            )
        label = captions.CUT_OFF.format(cut=words.months(cut))
        handles.append(
            axes.axvline(cut, color=style.INK, linestyle="--", linewidth=1.2, label=label)
        )
        top = max(int(counts.max()), 1)
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
        style.month_axis(axes, end, captions.MONTHS_INFUSION)
        axes.set_xlim(-0.01 * end, 1.01 * end)
        axes.set_ylabel(captions.PATIENTS_AXIS)
        style.whole_number_ticks(axes.yaxis)
        axes.legend(handles=handles, loc="upper right")
    how = [captions.TIMELINE_BARS.format(width=words.months(width))]
    if marked:
        how.append(captions.TIMELINE_DOTS)
    else:
        how.append(captions.TIMELINE_MANY.format(limit=captions.MOST_PATIENTS))
    return Figure(
        cohort.study,
        "fig-relapse",
        figure,
        captions.TIMELINE_CAPTION.format(
            patients=words.count(len(months), "patient"), how=" ".join(how), cut=words.months(cut)
        ),
        captions.TIMELINE_ALT.format(
            **_when(months),
            early=f"{(~late).sum():,}",
            late=f"{late.sum():,}",
            cut=words.months(cut),
        ),
        own_mark(cohort.study),
    )
