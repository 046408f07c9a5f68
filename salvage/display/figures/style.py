"""One visual language for the book: sizes, type, and a fixed look for everything that recurs.

A category, a response or a relapse group has one colour and one hatch, the same in each figure.
Categories have the colours of Okabe and Ito (2008), responses the brown-to-teal scale BrBG of
ColorBrewer: both are safe for colour-blind readers. In grey, hatches and printed counts tell apart
what lightness does not.
"""

import logging
import textwrap
import unicodedata
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from salvage import words
from salvage.paths import ROOT

WIDTH: Final = 7.2
SIZE: Final = 10.0
SMALL: Final = 9.0
POINTS: Final = 72.0

INK: Final = "#222222"
GREY: Final = "#767676"
PALE: Final = "#DDDDDD"
FAINT: Final = "#F2F2F2"
CALM: Final = "#9ECAE1"
DEEP: Final = "#08519C"
BAND_ALPHA: Final = 0.18

# The Chinese font that travels with the project has the characters of the shipped text only.
BUNDLED_HAN: Final = ROOT / "book" / "print" / "fonts" / "BookHanSerif-Regular.otf"
# Comes with matplotlib. The others have Chinese characters; most machines have one of them, under a
# name that depends on the system.
LATIN: Final = "DejaVu Sans"
FONTS: Final = (
    LATIN,
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Arial Unicode MS",
    "Droid Sans Fallback",
    "Book Han Serif",
)


OUTLINE: Final[dict[str, Any]] = {"edgecolor": INK, "linewidth": 0.6}


@dataclass(frozen=True)
class Look:
    """How one thing looks in every figure: colour, hatch and style of line."""

    colour: str
    hatch: str = ""
    line: Any = "-"

    @property
    def fill(self) -> dict[str, Any]:
        """Options of a bar or a patch of this look."""
        return {"facecolor": self.colour, "hatch": self.hatch, **OUTLINE}


CATEGORY: Final = {
    "bispecific": Look("#0072B2"),
    "second_cart": Look("#D55E00", "////"),
    "radiotherapy": Look("#E69F00", ".."),
    "polatuzumab": Look("#009E73", "\\\\\\\\"),
    "checkpoint": Look("#CC79A7", "xxxx"),
    "other": Look("#BBBBBB", "----"),
}
RESPONSE: Final = {
    "CR": Look("#01665E"),
    "PR": Look("#5AB4AC"),
    "SD": Look("#F6E8C3"),
    "PD": Look("#BF812D", "////"),
    "NE": Look("#FFFFFF", ".."),
}
GROUP: Final = {"early": Look("#882255", "////", "--"), "late": Look("#6699CC")}
ALL: Final = Look(INK)
NO_LINE: Final = Look(FAINT)
SERIES: Final = (ALL, GROUP["early"], GROUP["late"], Look("#117733", line="-."))

#: With more patients no figure shows single ones.
MOST_PATIENTS: Final = 80
INDIVIDUAL: Final = "Individual-level data: internal use only."
MONTHS_INFUSION: Final = "Months since CAR-T infusion"


@cache
def fonts() -> tuple[str, ...]:
    """The families of :data:`FONTS` that are there: asking for another warns each time."""
    _register_fonts()
    known = set(font_manager.get_font_names())
    return tuple(name for name in FONTS if name in known)


def _register_fonts() -> None:
    """Tell matplotlib of the bundled font, and of those installed since it wrote its own list."""
    listed = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in (*font_manager.findSystemFonts(), str(BUNDLED_HAN)):
        if path not in listed:
            # Some files are no fonts that it can read, and it raises whatever its reader meets.
            with suppress(Exception):
                font_manager.fontManager.addfont(path)


_INKS: Final = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
# seaborn's theme of plain axes with ticks, sized for paper, in the book's inks and sizes.
_THEME: Final[dict[str, Any]] = {
    **sns.axes_style(
        "ticks",
        {
            **dict.fromkeys(_INKS, INK),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.family": LATIN,
            "grid.color": PALE,
            # An interval ends where it ends.
            "lines.solid_capstyle": "butt",
        },
    ),
    **sns.plotting_context(
        "paper",
        rc={
            **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), SIZE),
            **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL),
            **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.8),
            **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 3.5),
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.6,
            "lines.markersize": 6,
        },
    ),
    # A label is data: a dollar sign in it must not start a formula.
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "savefig.facecolor": "white",
    "savefig.transparent": False,
}


@contextmanager
def _style(**more: str) -> Iterator[None]:
    """The book's theme, without warnings of characters that no font has or of fonts without bold.

    The build names such characters once.
    """
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    settings: Any = {**_THEME, **more}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


class BookAxes(Axes):
    """Axes whose labels are measured once for the layout.

    After a first layout matplotlib measures them all again, since other ticks may fit then: slow,
    and here it moves the axes by a point or two at most.
    """

    around: NDArray[np.float64] | None = None

    def get_tightbbox(self, renderer: RendererBase | None = None, **options: Any) -> Bbox | None:
        """The box of all that is drawn, in pixels; for a layout, the first margins are kept."""
        if not options.get("for_layout_only"):
            return super().get_tightbbox(renderer, **options)
        if self.around is None:
            box = super().get_tightbbox(renderer, **options)
            if box is None:
                return None
            self.around = np.subtract(box.extents, self.bbox.extents)
        return Bbox.from_extents(*np.add(self.bbox.extents, self.around))


class BookFigure(Figure):
    """A figure that is drawn and saved in the book's style, since ticks are made only then."""

    unfinished = False

    def add_subplot(self, *place: Any, **options: Any) -> Axes:
        """Add axes as matplotlib does."""
        axes: Axes = super().add_subplot(*place, **{"axes_class": BookAxes} | options)
        return axes

    def draw(self, renderer: RendererBase) -> None:
        """Draw as matplotlib does, in the book's style."""
        if self.unfinished:
            # seaborn draws to see whether labels overlap, before the book has set its own.
            return
        engine = self.get_layout_engine()
        for axes in self.axes:
            if isinstance(axes, BookAxes):
                axes.around = None
        with _style():
            if self.canvas.is_saving() and isinstance(engine, ConstrainedLayoutEngine):
                # To save, matplotlib draws twice, the first time for the layout alone.
                engine.execute(self)
            else:
                super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save as matplotlib does. Text stays text where no font here has its characters."""
        texts = self.findobj(Text)
        for text in texts:
            find_fonts(text)
        kind = "path" if fonts_cover(texts) else "none"
        with _style(**{"svg.fonttype": kind}):
            super().savefig(fname, **options)


@contextmanager
def drawing(height: float) -> Iterator[BookFigure]:
    """A fresh figure of this height in inches; what is drawn inside has the book's style."""
    with _style():
        figure = BookFigure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05)  # type: ignore[union-attr, call-arg]
        figure.unfinished = True
        yield figure
        figure.unfinished = False


@cache
def _characters(family: str) -> frozenset[int]:
    return frozenset(FT2Font(font_manager.findfont(family)).get_charmap())


def _has_characters(text: str, family: str) -> bool:
    """Whether a font has every character of a text."""
    return text.isascii() or all(ord(ch) in _characters(family) for ch in text if not ch.isspace())


def find_fonts(text: Text) -> None:
    """Let a text fall back to other fonts, but only if it needs them.

    matplotlib looks up each font of a text each time that it measures the text.
    """
    if not _has_characters(text.get_text(), LATIN):
        text.set_fontfamily(list(fonts()))


def fonts_cover(texts: Iterable[Text]) -> bool:
    """Whether the fonts of this machine have every character of some texts."""
    needed = {ch for text in texts for ch in text.get_text() if not ch.isspace()}
    return all(any(_has_characters(ch, family) for family in fonts()) for ch in needed)


def one_line(text: object) -> str:
    """One line of printable characters: a line feed in a label must not break a figure."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in str(text)).split())


def _width_in_cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def wrap(text: object, width: int, lines: int = 3) -> str:
    """Text in lines of at most ``width`` Latin characters; what is beyond ``lines`` is cut."""
    flat = one_line(text)
    # A Chinese character is as wide as two Latin ones.
    wide = _width_in_cells(flat) > 1.5 * len(flat)
    return "\n".join(
        textwrap.wrap(flat, max(2, width // 2 if wide else width), max_lines=lines, placeholder="…")
    )


def short(text: object, width: int) -> str:
    """Text cut to one line of ``width`` Latin characters."""
    return wrap(text, width, 1)


def text_width(figure: Figure, texts: Sequence[str], size: float = SMALL) -> float:
    """Width in inches of the widest of ``texts``."""
    widest = 0.0
    for text in {t for t in texts if t}:
        artist = figure.text(0, 0, text, fontsize=size)
        find_fonts(artist)
        widest = max(widest, float(artist.get_window_extent().width) / figure.dpi)
        artist.remove()
    return widest


def text_colour_on(colour: str) -> str:
    """Black or white, whichever is read better on ``colour`` (relative luminance of WCAG 2)."""
    channel = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * channel[0] + 0.7152 * channel[1] + 0.0722 * channel[2]
    return "white" if luminance < 0.179 else "black"


def legend_patch(look: Look, label: str) -> Patch:
    """A legend entry with the colour and hatch of a look."""
    return Patch(label=one_line(label), **look.fill)


def category_legend(used: Collection[str], labels: dict[str, str]) -> list[Artist]:
    """Legend entries of the categories that are drawn, in their fixed order."""
    return [
        legend_patch(look, short(words.category(key, labels), 40))
        for key, look in CATEGORY.items()
        if key in used
    ]


def interval_legend(marker: str = "") -> list[Artist]:
    """Legend entries of the two intervals of a rate; ``marker`` is that of the rate itself."""
    return [
        Line2D(
            [], [], color=INK, linewidth=2.6, marker=marker, label="Exact 95% (Clopper-Pearson)"
        ),
        Line2D([], [], color=INK, linewidth=1.0, label="95% on the effective n (Wilson)"),
    ]


def legend_below(figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """One legend under the whole figure."""
    figure.legend(
        handles=list(handles),
        labels=[str(h.get_label()) for h in handles],
        loc="outside lower left",
        ncols=max(1, min(columns, len(handles))),
        handlelength=1.6,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def note(
    axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], **options: Any
) -> None:
    """Small text, ``shift`` points away from a place; it may stand outside the axes."""
    axes.annotate(
        text,
        xy=at,
        xytext=shift,
        textcoords="offset points",
        fontsize=SMALL,
        annotation_clip=False,
        **options,
    )


def name_rows(axes: Axes, names: Sequence[str], *, margin: float = 0.5, size: float = SIZE) -> None:
    """Name the rows of a figure, the first on top; ``margin`` rows are left free at both ends."""
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_ylim(len(names) - 1 + margin, -margin)
    hide_left_spine(axes)


def hide_left_spine(axes: Axes) -> None:
    """Take away the left spine and its ticks: what stands beside it names rows."""
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def whole_number_ticks(axis: Axis) -> None:
    """Ticks at whole numbers only: the axis counts."""
    axis.set_major_locator(MaxNLocator(integer=True))
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


MONTH_STEPS: Final = (0.25, 0.5, 1, 2, 3, 6, 12, 24, 36, 60, 120, 240, 600)


def month_ticks(end: float, most: int = 8) -> list[float]:
    """Ticks from 0 to ``end`` months, at most ``most`` after the first, in round steps."""
    step = next((s for s in MONTH_STEPS if end / s <= most), MONTH_STEPS[-1])
    return [step * i for i in range(int(end / step + 1e-9) + 1)]


def month_axis(axes: Axes, end: float, label: str, most: int = 8) -> list[float]:
    """Set the x axis to run from 0 to ``end`` months; returns its ticks."""
    ticks = month_ticks(end, most)
    axes.set_xlim(0, end)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xlabel(label)
    return ticks
