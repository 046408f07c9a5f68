"""Time and bias: late against early relapse without any effect, and from other origins."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from salvage import words
from salvage.analysis.provenance import Mark
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.figures.forest import RATIO_TICKS, Row, cox_forest
from salvage.display.show import CLEARED, Absent, Figure
from salvage.display.wording import percent, ratio

BINS: Final = 60
WIDEST: Final = (0.02, 50.0)
COLOURS: Final = (style.GREY, style.DEEP, style.CALM, style.INK)


@dataclass(frozen=True)
class Null:
    """Log hazard ratios of simulated cohorts, shape (cohorts,); NaN is no contrast."""

    label: str
    log_hr: NDArray[np.float64]

    @property
    def usable(self) -> NDArray[np.float64]:
        """The values that are numbers."""
        return self.log_hr[np.isfinite(self.log_hr)]

    def share_at_most(self, hr: float) -> float:
        """Share of the usable values at or below a hazard ratio."""
        return float((self.usable <= np.log(hr)).mean())

    def middle(self) -> tuple[float, float, float]:
        """Geometric mean, and 5th and 95th percentile, of the hazard ratio."""
        low, high = np.quantile(self.usable, [0.05, 0.95])
        return float(np.exp(self.usable.mean())), float(np.exp(low)), float(np.exp(high))


def null_distribution(
    nulls: Sequence[Null],
    published: float,
    *,
    patients: int | None = None,
    world: str = "",
    name: str = "fig-null",
    marks: Sequence[Mark] = ("published", "assumed"),
) -> Figure | Absent:
    """Histograms of simulated hazard ratios, one under the other, with the published one as a line.

    ``published`` is a hazard ratio; ``world`` names how the cohorts were simulated. Values beyond a
    fiftyfold stand in the outermost bars.
    """
    drawn = [null for null in nulls if len(null.usable)]
    if not drawn:
        return Absent(CLEARED, captions.NULL_NOTHING)
    values = np.concatenate([null.usable for null in drawn])
    low = max(min(float(values.min()), np.log(published)), np.log(WIDEST[0]))
    high = min(max(float(values.max()), 0.0), np.log(WIDEST[1]))
    edges = np.linspace(low, max(high, low + 0.1), BINS + 1)
    with style.drawing(0.9 + 1.7 * len(drawn)) as figure:
        panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
        for axes, null, colour in zip(panels, drawn, cycle(COLOURS), strict=False):
            counts, _ = np.histogram(np.clip(null.usable, edges[0], edges[-1]), edges)
            axes.bar(
                edges[:-1],
                counts,
                np.diff(edges),
                align="edge",
                color=colour,
                edgecolor="white",
                linewidth=0.3,
            )
            axes.axvline(0, color=style.INK, linestyle="--", linewidth=1.1)
            axes.axvline(np.log(published), color=style.INK, linewidth=1.8)
            axes.set_ylim(0, 1.28 * max(int(counts.max()), 1))
            axes.set_title(null.label)
            axes.set_ylabel(captions.NULL_COUNT)
            style.whole_number_ticks(axes.yaxis)
            _lines(axes, published)
            inside = captions.NULL_INSIDE.format(
                mean=ratio(null.middle()[0]),
                share=percent(null.share_at_most(published), 0),
                published=ratio(published),
            )
            axes.text(
                0.99,
                0.9,
                inside,
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=style.SMALL,
            )
        ticks = [t for t in RATIO_TICKS if edges[0] <= np.log(t) <= edges[-1]]
        panels[-1].set_xticks(np.log(ticks), [f"{t:g}" for t in ticks])
        panels[-1].set_xlim(edges[0], edges[-1])
        panels[-1].set_xlabel(captions.NULL_AXIS)
    gone = {null.label: len(null.log_hr) - len(null.usable) for null in nulls}
    left_out = "; ".join(f"{label}: {n:,}" for label, n in gone.items() if n)
    return Figure(
        CLEARED,
        name,
        figure,
        captions.NULL_CAPTION.format(
            n=f"{max(len(null.log_hr) for null in nulls):,}",
            of=captions.NULL_OF.format(patients=words.count(patients, "patient"))
            if patients
            else "",
            world=captions.NULL_WORLD.format(world=world) if world else "",
            published=ratio(published),
            left_out=captions.NULL_LEFT_OUT.format(n=left_out) if left_out else "",
        ),
        captions.NULL_ALT.format(parts="; ".join(_part(null, published) for null in drawn)),
        tuple(marks),
    )


def _lines(axes: Axes, published: float) -> None:
    """Name the two lines at the top, on the sides where they do not meet."""
    left = published <= 1
    for x, text, align in (
        (
            np.log(published),
            captions.NULL_PUBLISHED.format(hr=ratio(published)),
            "right" if left else "left",
        ),
        (0.0, captions.NULL_NO_EFFECT, "left" if left else "right"),
    ):
        axes.annotate(
            text,
            xy=(x, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if align == "right" else 4, -2),
            textcoords="offset points",
            ha=align,
            va="top",
            fontsize=style.SMALL,
        )


def _part(null: Null, published: float) -> str:
    mean, low, high = null.middle()
    return captions.NULL_PART.format(
        label=null.label,
        mean=ratio(mean),
        low=ratio(low),
        high=ratio(high),
        share=percent(null.share_at_most(published), 0),
        published=ratio(published),
    )


def origin_forest(
    study: Study,
    rows: Sequence[Row],
    name: str = "fig-origins",
    marks: Sequence[Mark] | None = None,
) -> Figure | Absent:
    """Late against early relapse with the clock started at each origin, one row each."""
    return cox_forest(study, rows, name, captions.ORIGIN_WHAT, marks=marks)
