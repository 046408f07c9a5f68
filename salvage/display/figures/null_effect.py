"""Time and bias: late against early relapse without any effect, and from other origins."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.figures.forest import RATIO_TICKS, WIDEST, Row, cox_forest
from salvage.display.show import CLEARED, Absent, Figure, not_drawn
from salvage.display.wording import percent, ratio

BINS: Final = 60
COLOURS: Final = (style.GREY, style.DEEP, style.CALM, style.INK)


@dataclass(frozen=True)
class Null:
    """Log hazard ratios without an effect, shape (cohorts,); NaN is no contrast."""

    label: str
    log_hr: NDArray[np.float64]

    @property
    def usable(self) -> NDArray[np.float64]:
        """The values that are numbers."""
        return self.log_hr[np.isfinite(self.log_hr)]

    def share_at_most(self, hr: float) -> float:
        """Share of the usable values at or below a hazard ratio."""
        # A draw that is the cohort itself must not differ from it by rounding.
        return float((self.usable <= np.log(hr) + 1e-9).mean())

    def middle(self) -> tuple[float, float, float]:
        """Geometric mean, and 5th and 95th percentile, of the hazard ratio."""
        low, high = np.quantile(self.usable, [0.05, 0.95])
        return float(np.exp(self.usable.mean())), float(np.exp(low)), float(np.exp(high))


def null_distribution(
    nulls: Sequence[Null], published: float, *, patients: int, world: str
) -> Figure | Absent:
    """Histograms of simulated hazard ratios, one under the other, with the published one as a line.

    ``published`` is a hazard ratio, ``patients`` the size of each cohort; ``world`` names how they
    were simulated. Values beyond a fiftyfold stand in the outermost bars.
    """
    drawn = [null for null in nulls if len(null.usable)]
    if not drawn:
        return Absent(
            CLEARED,
            "No simulated cohort has a contrast between late and early relapse, so nothing is "
            "drawn.",
        )
    return Figure(
        CLEARED,
        "fig-null",
        _histograms(drawn, ("published", published), "Cohorts"),
        "Late against early relapse where relapse timing has no effect at all: hazard ratios of "
        f"{max(len(null.log_hr) for null in nulls):,} simulated cohorts of the size of the index "
        f"study, {words.count(patients, 'patient')}, in one world ({world}). Dashed line: no "
        f"effect. Solid line: its published hazard ratio, {ratio(published)}.{_left_out(nulls)}",
        "Histograms of hazard ratios simulated without any effect. "
        f"{'; '.join(_part(null, published) for null in drawn)}.",
        ("published", "assumed"),
    )


def permutation_distribution(
    study: Study, null: Null | None, observed: float | None, why_not: str
) -> Figure | Absent:
    """The cohort's own null as a histogram, with the observed hazard ratio as a line.

    Without a null, ``why_not`` says so in place of it.
    """
    if null is None or observed is None:
        what = "The cohort's own null"
        return not_drawn(study, what, why_not, "fig-permutation-null")
    return Figure(
        study,
        "fig-permutation-null",
        _histograms([null], ("observed", observed), "Draws"),
        "Late against early relapse, survival from infusion, where relapse timing has no effect: "
        f"hazard ratios of {len(null.log_hr):,} draws in which each patient's survival after "
        "relapse is dealt to another patient's time of relapse. Dashed line: no effect. Solid "
        f"line: the observed hazard ratio, {ratio(observed)}.{_left_out([null])}",
        f"Histogram of hazard ratios without any effect. {_part(null, observed)}.",
        own_mark(study),
    )


def _left_out(nulls: Sequence[Null]) -> str:
    """What a caption says of values that are not drawn."""
    gone = {null.label: len(null.log_hr) - len(null.usable) for null in nulls}
    counts = "; ".join(f"{label}: {n:,}" for label, n in gone.items() if n)
    if not counts:
        return ""
    return f" Left out, without a contrast or with a hazard ratio beyond 400-fold: {counts}."


def _histograms(drawn: Sequence[Null], line: tuple[str, float], counted: str) -> style.BookFigure:
    """One histogram for each of ``drawn``, with a named hazard ratio as a line."""
    hr = line[1]
    values = np.concatenate([null.usable for null in drawn])
    low = max(min(float(values.min()), np.log(hr)), np.log(WIDEST[0]))
    high = min(max(float(values.max()), 0.0, np.log(hr)), np.log(WIDEST[1]))
    edges = np.linspace(low, max(high, low + 0.1), BINS + 1)
    with style.drawing(0.9 + 1.7 * len(drawn)) as figure:
        panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
        for axes, null, colour in zip(panels, drawn, cycle(COLOURS), strict=False):
            _histogram(axes, null, edges, colour)
            axes.set_ylabel(counted)
            _name_lines(axes, *line)
            inside = (
                f"geometric mean {ratio(null.middle()[0])}\n"
                f"{percent(null.share_at_most(hr))} at or below {ratio(hr)}"
            )
            place = {"transform": axes.transAxes, "ha": "right", "va": "top"}
            axes.text(0.99, 0.9, inside, fontsize=style.SMALL, **place)
        ticks = [t for t in RATIO_TICKS if edges[0] <= np.log(t) <= edges[-1]]
        panels[-1].set_xticks(np.log(ticks), [f"{t:g}" for t in ticks])
        panels[-1].set_xlim(edges[0], edges[-1])
        panels[-1].set_xlabel("Hazard ratio, late against early relapse (log scale)")
    return figure


def _histogram(axes: Axes, null: Null, edges: NDArray[np.float64], colour: str) -> None:
    sns.histplot(
        x=np.clip(null.usable, edges[0], edges[-1]),
        bins=edges,
        ax=axes,
        color=colour,
        alpha=1,
        edgecolor="white",
        linewidth=0.3,
    )
    axes.set_ylim(0, 1.28 * axes.dataLim.y1)
    axes.set_title(null.label)
    style.whole_number_ticks(axes.yaxis)


def _name_lines(axes: Axes, name: str, hr: float) -> None:
    """Draw the lines of no effect and of a hazard ratio; name them where they do not meet."""
    axes.axvline(0, color=style.INK, linestyle="--", linewidth=1.1)
    axes.axvline(np.log(hr), color=style.INK, linewidth=1.8)
    sides: tuple[str, str] = ("right", "left") if hr <= 1 else ("left", "right")
    lines = (np.log(hr), f"{name} {ratio(hr)}"), (0.0, "no effect")
    for (x, text), align in zip(lines, sides, strict=True):
        shift = (-4 if align == "right" else 4, -2)
        place = ("data", "axes fraction")
        style.note(axes, text, (x, 1), shift, xycoords=place, ha=align, va="top")


def _part(null: Null, published: float) -> str:
    mean, low, high = map(ratio, null.middle())
    share = percent(null.share_at_most(published))
    return (
        f"{null.label}: geometric mean {mean}, middle 90% {low} to {high}; {share} are "
        f"{ratio(published)} or lower"
    )


def origin_forest(study: Study, rows: Sequence[Row]) -> Figure | Absent:
    """Late against early relapse with the clock started at each origin, one row each."""
    what = "Late against early relapse, by where the clock starts"
    return cox_forest(study, rows, "fig-origins", what)
