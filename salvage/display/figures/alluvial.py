"""Salvage lines in sequence: an alluvial diagram of lines one to four."""

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from salvage import words
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.show import Absent, Figure

LAST_LINE: Final = 4
NONE: Final = "none"
GAP: Final = 0.035
HEIGHT: Final = 5.3


@dataclass(frozen=True)
class Block:
    """Patients with one category at one line, or none; ``top`` in patients from the top."""

    n: int
    responding: int
    top: float


_EDGE: Final[dict[str, Any]] = {"edgecolor": style.INK, "linewidth": 0.6}
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
    responding = lines["best_response"].isin(["CR", "PR"])
    total = lines["patient_id"].nunique()
    last = int(lines["line"].max())
    found: Blocks = {}
    before = 0
    for line in range(1, last + 1):
        here = lines["line"] == line
        top = 0.0
        counts = {key: int((here & (lines["category"] == key)).sum()) for key in CATEGORY_KEYS}
        for key, n in counts.items():
            if n:
                held = int((here & (lines["category"] == key) & responding).sum())
                found[line, key] = Block(n, held, top)
                top += n + GAP * total
        now = sum(counts.values())
        if line > 1 and before > now:
            found[line, NONE] = Block(before - now, 0, top)
        before = now
    return found


def alluvial_diagram(cohort: Cohort) -> Figure | Absent:
    """Categories and responses of lines one to four, and who went from which to which."""
    lines = cohort.salvage
    if lines.empty:
        return Absent(cohort.study, captions.NO_SALVAGE.format(what=captions.ALLUVIAL))
    found = blocks(cohort)
    total = lines["patient_id"].nunique()
    last = max(line for line, _ in found)
    depth = max(b.top + b.n for b in found.values())
    with style.drawing(HEIGHT + 0.9) as figure:
        axes = figure.add_subplot()
        texts = {at: _text(at[1], block) for at, block in found.items()}
        room = style.WIDTH - 0.3
        half = min(
            0.42,
            max(0.07, (style.text_width(figure, list(texts.values())) + 0.16) / room * last / 2),
        )
        _ribbons(axes, flows(cohort), found, half)
        for at, block in found.items():
            _block(axes, at, block, half, texts[at] if block.n / depth * HEIGHT > 0.125 else "")
        for line in range(1, last + 1):
            n = int((lines["line"] == line).sum())
            axes.text(
                line,
                -0.02 * depth,
                captions.ALLUVIAL_HEAD.format(line=line, n=f"{n:,}"),
                ha="center",
                va="bottom",
            )
        axes.set_xlim(1 - half - 0.02, max(last, 2) + half + 0.02)
        axes.set_ylim(depth * 1.005, -0.115 * depth)
        axes.axis("off")
        used = {key for _, key in found}
        handles = [
            style.legend_patch(
                style.CATEGORY[key], style.short(words.category(key, cohort.study.labels), 40)
            )
            for key in CATEGORY_KEYS
            if key in used
        ]
        if NONE in used:
            handles.append(style.legend_patch(style.Look(style.FAINT, ""), captions.ALLUVIAL_NONE))
        handles.append(
            Patch(
                facecolor=style.GREY,
                edgecolor=style.INK,
                linewidth=0.6,
                label=captions.ALLUVIAL_RESPONSE,
            )
        )
        style.legend_below(figure, handles, 3)
    beyond = int((lines["line"] > LAST_LINE).sum())
    return Figure(
        cohort.study,
        "fig-sequence",
        figure,
        captions.ALLUVIAL_CAPTION.format(
            patients=words.count(total, "patient"),
            lines=words.count(len(lines), "salvage line"),
            more=captions.ALLUVIAL_MORE.format(lines=words.count(beyond, "line")) if beyond else "",
        ),
        captions.ALLUVIAL_ALT.format(
            steps=" ".join(_told(cohort.study, found, line) for line in range(1, last + 1))
        ),
        own_mark(cohort.study),
    )


def _text(key: str, block: Block) -> str:
    return f"{block.n:,}" if key == NONE else f"{block.responding:,}/{block.n:,}"


def _told(study: Study, found: Blocks, line: int) -> str:
    here = {key: block for (at, key), block in found.items() if at == line and key != NONE}
    most = max(block.n for block in here.values())
    first = [words.category(key, study.labels) for key, block in here.items() if block.n == most]
    return captions.ALLUVIAL_STEP.format(
        line=line,
        patients=words.count(sum(block.n for block in here.values()), "patient"),
        category=words.listing(first),
        n=f"{most:,}" if len(first) == 1 else f"{most:,} each",
        responding=f"{sum(block.responding for block in here.values()):,}",
    )


def _pale(colour: str, share: float = 0.45) -> tuple[float, float, float]:
    red, green, blue = (share * c + 1 - share for c in to_rgb(colour))
    return red, green, blue


def _block(axes: Axes, at: tuple[int, str], block: Block, half: float, text: str) -> None:
    line, key = at
    left, edge = line - half, _EDGE
    if key == NONE:
        axes.add_patch(
            Rectangle((left, block.top), 2 * half, block.n, facecolor=style.FAINT, zorder=3, **edge)
        )
    else:
        look = style.CATEGORY[key]
        axes.add_patch(
            Rectangle(
                (left, block.top),
                2 * half,
                block.n,
                facecolor=_pale(look.colour),
                hatch=look.hatch,
                zorder=3,
                **edge,
            )
        )
        axes.add_patch(
            Rectangle(
                (left, block.top),
                2 * half,
                block.responding,
                facecolor=look.colour,
                hatch=look.hatch,
                zorder=4,
                **edge,
            )
        )
    if text:
        plate = {
            "boxstyle": "round,pad=0.1",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.85,
        }
        axes.text(
            line,
            block.top + block.n / 2,
            text,
            ha="center",
            va="center",
            fontsize=style.SMALL,
            bbox=plate,
            zorder=5,
        )


def _ribbons(axes: Axes, table: pd.DataFrame, found: Blocks, half: float) -> None:
    """Bands between blocks, ordered where they leave by target, where they enter by source."""
    order = {key: i for i, key in enumerate((*CATEGORY_KEYS, NONE))}
    table = table.assign(source=table["category"].map(order), target=table["next"].map(order))
    left_at = {at: block.top for at, block in found.items()}
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
