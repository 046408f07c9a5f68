"""Salvage lines in sequence: an alluvial diagram of lines one to four."""

from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.analysis.response import responded
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.show import NO_SALVAGE, Absent, Figure, not_drawn

LAST_LINE: Final = 4
NONE: Final = "none"
GAP: Final = 0.035
HEIGHT: Final = 5.3
#: The ground of a text on a hatch.
PLATE: Final = {
    "boxstyle": "round,pad=0.1",
    "facecolor": "white",
    "edgecolor": "none",
    "alpha": 0.85,
}


@dataclass(frozen=True)
class Block:
    """Patients with one category at one line, or none; ``top`` in patients from the top."""

    n: int
    responding: int
    top: float


Blocks = dict[tuple[int, str], Block]


def flows(cohort: Cohort) -> pd.DataFrame:
    """Number of patients by line, category and next category (``none`` without a next line).

    Columns: line, category, next, n. Lines after the fourth appear in no row; what follows the
    last line drawn is left out.
    """
    lines = cohort.salvage[["patient_id", "line", "category"]].copy()
    lines["next"] = lines.groupby("patient_id")["category"].shift(-1).fillna(NONE)
    last = min(int(lines["line"].max()), LAST_LINE)
    lines = lines[lines["line"] < last]
    return lines.groupby(["line", "category", "next"]).size().rename("n").reset_index()


def blocks(cohort: Cohort) -> Blocks:
    """Every block in the fixed order of categories; no further line stands at the bottom."""
    lines = cohort.salvage[cohort.salvage["line"] <= LAST_LINE]
    responding = responded(lines, "orr") == 1
    total = lines["patient_id"].nunique()
    last = int(lines["line"].max())
    by_place: Blocks = {}
    before = 0
    for line in range(1, last + 1):
        here = lines["line"] == line
        top = 0.0
        counts = {key: int((here & (lines["category"] == key)).sum()) for key in CATEGORY_KEYS}
        for key, n in counts.items():
            if n:
                responses = int((here & (lines["category"] == key) & responding).sum())
                by_place[line, key] = Block(n, responses, top)
                top += n + GAP * total
        now = sum(counts.values())
        if line > 1 and before > now:
            by_place[line, NONE] = Block(before - now, 0, top)
        before = now
    return by_place


def alluvial_diagram(cohort: Cohort) -> Figure | Absent:
    """Categories and responses of lines one to four, and who went from which to which."""
    lines = cohort.salvage
    if lines.empty:
        return not_drawn(cohort.study, "The sequence of salvage lines", NO_SALVAGE)
    by_place = blocks(cohort)
    patients = words.count(lines["patient_id"].nunique(), "patient")
    beyond = int((lines["line"] > LAST_LINE).sum())
    left_out = (
        f" Lines after the fourth ({words.count(beyond, 'line')}) are not drawn." if beyond else ""
    )
    last = max(line for line, _ in by_place)
    steps = " ".join(_step(cohort.study, by_place, line) for line in range(1, last + 1))
    return Figure(
        cohort.study,
        "fig-sequence",
        _alluvial(cohort, by_place, last),
        f"Salvage lines in sequence: {patients}, {words.count(len(lines), 'salvage line')}. The "
        "height of a block is the number of patients who received that category at that line; its "
        "dark part is the share with CR or PR, and the figures, where there is room, are responses "
        f"/ patients. Ribbons lead to the next line, or to none.{left_out}",
        f"Sequence of salvage lines. {steps}",
        own_mark(cohort.study),
    )


def _alluvial(cohort: Cohort, by_place: Blocks, last: int) -> style.BookFigure:
    depth = max(b.top + b.n for b in by_place.values())
    with style.drawing(HEIGHT + 0.9) as figure:
        axes = figure.add_subplot()
        texts = {place: _text(place[1], block) for place, block in by_place.items()}
        widest = style.text_width(figure, list(texts.values())) + 0.16
        half = min(0.42, max(0.07, widest / (style.WIDTH - 0.3) * last / 2))
        _ribbons(axes, flows(cohort), by_place, half)
        for place, block in by_place.items():
            room = block.n / depth * HEIGHT > 0.125
            _block(axes, place, block, half, texts[place] if room else "")
        for line in range(1, last + 1):
            head = f"Line {line}\nn = {(cohort.salvage['line'] == line).sum():,}"
            axes.text(line, -0.02 * depth, head, ha="center", va="bottom")
        axes.set_xlim(1 - half - 0.02, max(last, 2) + half + 0.02)
        axes.set_ylim(depth * 1.005, -0.115 * depth)
        axes.axis("off")
        used = {key for _, key in by_place}
        handles = style.category_legend(used, cohort.study.labels)
        if NONE in used:
            handles.append(style.legend_patch(style.NO_LINE, "No further line"))
        handles.append(style.legend_patch(style.Look(style.GREY), "CR or PR"))
        style.legend_below(figure, handles, 3)
    return figure


def _text(key: str, block: Block) -> str:
    return f"{block.n:,}" if key == NONE else f"{block.responding:,}/{block.n:,}"


def _step(study: Study, by_place: Blocks, line: int) -> str:
    """The alt text of one line: its patients, its most frequent categories, its responses."""
    here = {key: block for (at, key), block in by_place.items() if at == line and key != NONE}
    most = max(block.n for block in here.values())
    first = [words.category(key, study.labels) for key, block in here.items() if block.n == most]
    n = f"{most:,}" if len(first) == 1 else f"{most:,} each"
    patients = words.count(sum(block.n for block in here.values()), "patient")
    responding = sum(block.responding for block in here.values())
    return (
        f"Line {line}: {patients}, most often {words.listing(first)} ({n}); {responding:,} "
        "responded."
    )


def _pale(colour: str, share: float = 0.45) -> tuple[float, float, float]:
    red, green, blue = (share * c + 1 - share for c in to_rgb(colour))
    return red, green, blue


def _block(axes: Axes, place: tuple[int, str], block: Block, half: float, text: str) -> None:
    line, key = place
    corner, width = (line - half, block.top), 2 * half
    look = style.NO_LINE if key == NONE else style.CATEGORY[key]
    ground = look.fill if key == NONE else {**look.fill, "facecolor": _pale(look.colour)}
    axes.add_patch(Rectangle(corner, width, block.n, zorder=3, **ground))
    if key != NONE:
        axes.add_patch(Rectangle(corner, width, block.responding, zorder=4, **look.fill))
    if text:
        axes.text(
            line,
            block.top + block.n / 2,
            text,
            ha="center",
            va="center",
            fontsize=style.SMALL,
            bbox=PLATE,
            zorder=5,
        )


def _ribbons(axes: Axes, table: pd.DataFrame, by_place: Blocks, half: float) -> None:
    """Bands between blocks, ordered where they leave by target, where they enter by source."""
    order = {key: i for i, key in enumerate((*CATEGORY_KEYS, NONE))}
    table = table.assign(source=table["category"].map(order), target=table["next"].map(order))
    left_at = {at: block.top for at, block in by_place.items()}
    right_at = dict(left_at)
    starts = {}
    for row in table.sort_values(["line", "source", "target"]).itertuples():
        at = (int(str(row.line)), str(row.category))
        starts[row.Index] = left_at[at]
        left_at[at] += int(str(row.n))
    for row in table.sort_values(["line", "target", "source"]).itertuples():
        line, n = int(str(row.line)), int(str(row.n))
        to = (line + 1, str(row.next))
        _ribbon(
            axes,
            (line + half, starts[row.Index]),
            (line + 1 - half, right_at[to]),
            n,
            style.CATEGORY[str(row.category)].colour,
        )
        right_at[to] += n


def _ribbon(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], n: int, colour: str
) -> None:
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    corners = [
        (x0, y0),
        (middle, y0),
        (middle, y1),
        (x1, y1),
        (x1, y1 + n),
        (middle, y1 + n),
        (middle, y0 + n),
        (x0, y0 + n),
        (x0, y0),
    ]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    axes.add_patch(
        PathPatch(Path(corners, codes), facecolor=colour, alpha=0.35, edgecolor="none", zorder=2)
    )
