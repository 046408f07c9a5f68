"""This cohort beside other cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salvage import words
from salvage.analysis.estimate import Unit
from salvage.analysis.provenance import MARKS, Mark
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.figures.forest import Band, ForestLine, draw
from salvage.display.show import CLEARED, Absent, Cleared, Figure
from salvage.display.wording import number, percent

OTHER: Final = style.Look("white")


@dataclass(frozen=True)
class Compared:
    """One cohort's figure: a value and its interval, ``None`` where not printed or not known.

    ``counted`` says what was counted (patients at first salvage, events over all lines),
    ``origin`` where the clock starts, empty for a rate. ``own`` marks the rows of the book's
    cohort; such a row may stand in a public book only if it is ``cleared``.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    events: int | None = None
    counted: str = ""
    origin: str = ""
    mark: Mark = "published"
    own: bool = False
    cleared: bool = False

    @property
    def has_interval(self) -> bool:
        """Whether at least one limit is known."""
        return self.low is not None or self.high is not None


def comparator_forest(
    study: Study | Cleared,
    rows: Sequence[Compared],
    name: str,
    what: str,
    *,
    unit: Unit = "proportion",
    axis: str = "Rate, %",
) -> Figure | Absent:
    """Cohorts one under the other in the order given; ``what`` opens the caption.

    A rate runs from 0 to 100%; months run from 0 to the largest value. Rows without a value are
    left out. ``study`` is that of the book's cohort, whose rows may be among them.
    """
    whose = CLEARED if all(row.cleared or not row.own for row in rows) else study
    drawn = [row for row in rows if row.value is not None]
    if not drawn:
        return Absent(whose, f"No cohort has a figure to compare: {what}.")
    rate = unit in ("proportion", "probability")
    most = max(v for row in drawn for v in (row.value, row.high) if v is not None)
    with style.drawing(1.05 + 0.6 * len(drawn)) as figure:
        axes = draw(
            figure,
            [_line(row, unit) for row in drawn],
            axis=axis,
            head=("n", "% (95% CI)" if rate else "Months (95% CI)"),
            limits=(0.0, 1.0 if rate else 1.08 * most or 1.0),
            percent=rate,
        )
        for text, row in zip(axes.get_yticklabels(), drawn, strict=True):
            text.set_fontweight("bold" if row.own else "normal")
            text.set_fontsize(style.SMALL)
    own = "In bold: this cohort. " if any(row.own for row in drawn) else ""
    return Figure(
        whose,
        name,
        figure,
        f"{what}. Squares with bars: value and 95% interval; circles: printed without an interval. "
        f"{own}Where the unit counted or the time origin of two rows differs, they cannot be "
        "ranked.",
        f"{what}. {'; '.join(_part(row, unit) for row in drawn)}.",
        [mark for mark in MARKS if mark in {row.mark for row in drawn}],
    )


def _line(row: Compared, unit: Unit) -> ForestLine:
    detail = "; ".join(style.short(part, 46) for part in (row.counted, row.origin) if part)
    band = Band(row.value, row.low, row.high, marker="s" if row.has_interval else "o")
    n = "" if row.n is None else f"{row.n:,}"
    counts = n if row.n is None or row.events is None else f"{row.events:,}/{n}"
    value, interval = _numbers(row, unit)
    text = f"{value} ({interval})" if interval else value
    text = text.replace("%", "")
    return ForestLine(row.label, (band,), (counts, text), style.ALL if row.own else OTHER, detail)


def _part(row: Compared, unit: Unit) -> str:
    value, interval = _numbers(row, unit)
    # Rows of the book's cohort differ in what they count, and in nothing else.
    label = f"{row.label}, {row.counted}" if row.own and row.counted else row.label
    return f"{label}: {value}{f' (95% CI {interval})' if interval else ''}"


def _numbers(row: Compared, unit: Unit) -> tuple[str, str]:
    """Value and interval; what a study prints keeps its decimal, and few lines have no rate."""
    parts = (row.value, row.low, row.high)
    if unit != "proportion":
        value, low, high = (number(part, unit) for part in parts)
    elif row.own:
        value = percent(row.value, row.n, decimal=row.mark == "published")
        low, high = (percent(part, row.n) for part in parts[1:])
    else:
        value, low, high = (percent(part, decimal=True) for part in parts)
    shown = row.has_interval and words.NONE not in (low, high)
    return value, f"{low} to {high}" if shown else ""
