"""This cohort beside other cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salvage.analysis.estimate import Unit
from salvage.analysis.provenance import MARKS, Mark
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.figures.forest import Band, Line, draw
from salvage.display.show import CLEARED, Absent, Cleared, Figure
from salvage.display.wording import number

OWN: Final = style.ALL
OTHER: Final = style.Look("white", "s")


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


def comparator_forest(
    study: Study | Cleared,
    rows: Sequence[Compared],
    name: str,
    what: str,
    *,
    unit: Unit = "proportion",
    axis: str = captions.CONTEXT_RATE,
    limits: tuple[float, float] | None = None,
) -> Figure | Absent:
    """Cohorts one under the other in the order given; ``what`` opens the caption.

    A rate runs from 0 to 100%; months run from 0 to the largest value. Rows without a value are
    left out. ``study`` is that of the book's cohort, whose rows may be among them.
    """
    whose = CLEARED if all(row.cleared or not row.own for row in rows) else study
    drawn = [row for row in rows if row.value is not None]
    if not drawn:
        return Absent(whose, captions.CONTEXT_NOTHING.format(what=what))
    rate = unit in ("proportion", "probability")
    top = max(v for row in drawn for v in (row.value, row.high) if v is not None)
    ends = limits or ((0.0, 1.0) if rate else (0.0, 1.08 * top or 1.0))
    with style.drawing(1.05 + 0.6 * len(drawn)) as figure:
        axes = draw(
            figure,
            [_line(row, unit) for row in drawn],
            axis=axis,
            head=captions.CONTEXT_HEAD if rate else captions.CONTEXT_HEAD_MONTHS,
            limits=ends,
            percent=rate,
        )
        for text, row in zip(axes.get_yticklabels(), drawn, strict=True):
            text.set_fontweight("bold" if row.own else "normal")
            text.set_fontsize(style.SMALL)
    parts = "; ".join(_part(row, unit) for row in drawn)
    return Figure(
        whose,
        name,
        figure,
        captions.CONTEXT_CAPTION.format(
            what=what, own=captions.CONTEXT_OWN if any(row.own for row in drawn) else ""
        ),
        captions.CONTEXT_ALT.format(what=what, parts=parts),
        [mark for mark in MARKS if mark in {row.mark for row in drawn}],
    )


def _line(row: Compared, unit: Unit) -> Line:
    detail = "; ".join(style.short(part, 46) for part in (row.counted, row.origin) if part)
    interval = row.low is not None or row.high is not None
    band = Band(row.value, row.low, row.high, marker="s" if interval else "o", filled=True)
    counts = (
        "" if row.n is None else f"{row.n:,}" if row.events is None else f"{row.events:,}/{row.n:,}"
    )
    return Line(row.label, (band,), (counts, _number(row, unit)), OWN if row.own else OTHER, detail)


def _bare(value: float | None, unit: Unit) -> str:
    return number(value, unit).removesuffix("%")


def _number(row: Compared, unit: Unit) -> str:
    text = _bare(row.value, unit)
    if row.low is None and row.high is None:
        return text
    return f"{text} ({_bare(row.low, unit)} to {_bare(row.high, unit)})"


def _part(row: Compared, unit: Unit) -> str:
    interval = ""
    if row.low is not None or row.high is not None:
        interval = captions.CONTEXT_INTERVAL.format(
            low=number(row.low, unit), high=number(row.high, unit)
        )
    return captions.CONTEXT_PART.format(
        label=row.label,
        # Rows of the book's cohort differ in what they count, and in nothing else.
        counted=captions.CONTEXT_COUNTED.format(counted=row.counted)
        if row.own and row.counted
        else "",
        value=number(row.value, unit),
        interval=interval,
    )
