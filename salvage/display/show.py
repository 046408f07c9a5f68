"""What a shown thing is: a numbered table, a numbered figure, a box or a sentence of a chapter.

Each carries the study that it tells of. In an internal study it is shown as it is. In a public one
it is withheld, unless the gate of the book (:func:`install`) has a form of it that may be shown.
What tells of no cohort, or was released by disclosure control, carries :data:`CLEARED` instead of a
study, and is shown in every book.

Each shows itself in Jupyter and in the book as plain text, as MyST Markdown and as HTML. Text is
always plain text: whatever a data file or a label says is escaped, so that it can neither run nor
be read as markup.
"""

import html
import io
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from salvage import words
from salvage.analysis.provenance import MARKS, Mark
from salvage.cohort.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

FIGURE_FOLDER: Final = "/_build/figures"
FIGURE_MIME: Final = "application/x-salvage-figure+json"
PICTURES_VARIABLE: Final = "SALVAGE_PICTURES"
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#!|~$&])")
_MARKUP_AT_START: Final = re.compile(r"^(\d*)([-+=:%().])")
HIDDEN_HERE: Final = "A part of this page is hidden for disclosure control."

# --- the gate -----------------------------------------------------------------------------------

Cleared = Literal["cleared"]
#: Instead of a study: it tells nothing of any cohort, or only what disclosure control released.
CLEARED: Final[Cleared] = "cleared"

Gate = Callable[["Shown"], "Shown | None"]
# One gate at most; without one, everything of a public study is withheld.
_gates: list[Gate] = []


def install(gate: Gate) -> None:
    """Let ``gate`` say what stands in the place of a thing of a public study.

    It returns something :data:`CLEARED`, or ``None`` where nothing may be shown.
    """
    _gates[:] = [gate]


@dataclass(frozen=True, repr=False)
class Shown(ABC):
    """Something that a chapter shows; ``study`` is the one that it tells of.

    A subclass writes its own ``_plain`` and ``_markdown``. :meth:`plain`, :meth:`markdown` and
    Jupyter show these, or in a public book those of what may be shown in its place.
    """

    study: Study | Cleared

    @property
    def withheld(self) -> bool:
        """Whether it may not be shown as it is."""
        return self.study != CLEARED and self.study.public

    def plain(self) -> str:
        """As plain text, for a terminal."""
        return self._released()._plain()

    def markdown(self) -> str:
        """As MyST Markdown, for the book."""
        return self._released()._markdown()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self._released()._bundle()

    def _released(self) -> "Shown":
        """Itself, or in a public book what may be shown in its place."""
        if self.study == CLEARED or not self.withheld:
            return self
        public_form = _gates[-1](self) if _gates else None
        if public_form is None or public_form.withheld:
            return withheld(self.study)
        return public_form

    @abstractmethod
    def _plain(self) -> str: ...

    @abstractmethod
    def _markdown(self) -> str: ...

    def _bundle(self) -> dict[str, Any]:
        return {"text/plain": self._plain(), "text/markdown": self._markdown()}


# --- sentences and boxes ------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Text(Shown):
    """Computed paragraphs."""

    paragraphs: tuple[str, ...]

    def _plain(self) -> str:
        return "\n\n".join(self.paragraphs)

    def _markdown(self) -> str:
        return "\n\n".join(escape(paragraph) for paragraph in self.paragraphs)


def text(study: Study | Cleared, *paragraphs: str) -> Text:
    """Computed prose; empty paragraphs are dropped."""
    return Text(study, tuple(p for p in paragraphs if p))


@dataclass(frozen=True, repr=False)
class Box(Shown):
    """A titled box; ``kind`` is its style: ``answer``, ``not-conclude`` or ``method``."""

    title: str
    kind: str
    paragraphs: tuple[str, ...]
    name: str = ""

    def _plain(self) -> str:
        return "\n\n".join([self.title, *self.paragraphs])

    def _markdown(self) -> str:
        body = "\n\n".join(escape(paragraph) for paragraph in self.paragraphs)
        return f"::::{{admonition}} {escape(self.title)}\n:class: {self.kind}\n\n{body}\n::::"


def answer(study: Study | Cleared, *paragraphs: str, name: str = "") -> Box:
    """The short answer at the head of a page."""
    return Box(study, "In short", "answer", tuple(p for p in paragraphs if p), name)


@dataclass(frozen=True, repr=False)
class Cover(Shown):
    """The head of the cover: what the book is about, and a name and value for each fact of it."""

    title: str
    facts: tuple[tuple[str, str], ...]

    def _plain(self) -> str:
        return "\n".join([self.title, *(f"{name}: {value}" for name, value in self.facts)])

    def _markdown(self) -> str:
        facts = [f"**{escape(name)}:** {escape(value)}" for name, value in self.facts]
        body = "\n\n".join([f"**{escape(self.title)}**", *facts])
        return f":::{{div}} cover\n{body}\n:::"


# --- what stands in the place of something ------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Absent(Shown):
    """One sentence instead of what the cohort has no data for, or what a public book hides.

    ``name`` is that of the thing in whose place it stands: what a public book shows there must not
    depend on whether the cohort has data for it. ``kind`` is its style.
    """

    sentence: str
    name: str = ""
    kind: str = "absent"

    def _plain(self) -> str:
        return self.sentence

    def _markdown(self) -> str:
        return f":::{{div}} {self.kind}\n{escape(self.sentence)}\n:::"


NO_SALVAGE: Final = "no patient of this cohort received a salvage line"


def not_drawn(study: Study | Cleared, what: str, reason: str, name: str = "") -> Absent:
    """What stands for a figure that has nothing to show, and why."""
    return Absent(study, f"{what} is not drawn: {reason}.", name)


def nobody_received(study: Study, category: str, what: str) -> Absent:
    """What stands for a figure of a category that nobody received."""
    prose = words.CATEGORIES_PROSE[category]
    return not_drawn(study, what, f"no patient of this cohort received {prose}")


def withheld(study: Study) -> Absent:
    """What stands for anything that a public book hides."""
    return Absent(CLEARED, f"{HIDDEN_HERE} {why_withheld(study)}", kind="absent withheld")


def why_withheld(study: Study) -> str:
    """Why a public book hides something, in one sentence."""
    least, most = 0 if study.suppress_zero else 1, study.suppress_below - 1
    small = f"a count from {least} to {most}" if most > least else f"a count of {least}"
    return f"This book is public and shows nothing that could tell {small}, or a single patient."


# --- tables and figures -------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Table(Shown):
    """A numbered table.

    ``name`` is its id (``tab-...``), ``head`` the column titles with units, ``rows`` the cells as
    text. The first column is text; the others are aligned to the right unless ``left`` names them
    by position.
    ``notes`` stand under the table; ``marks`` say where its numbers come from. A ``folded`` table
    is long, or repeats what a figure shows: on a page it opens on demand, on paper it stands open.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    marks: Sequence[Mark] = ()
    left: Sequence[int] = (0,)
    folded: bool = False

    def full_caption(self) -> str:
        return with_marks(self.caption, self.marks)

    def _plain(self) -> str:
        widths = [
            max(len(str(r[i])) for r in [self.head, *self.rows]) for i in range(len(self.head))
        ]
        lines = [
            "  ".join(str(cell).ljust(w) for cell, w in zip(r, widths, strict=True)).rstrip()
            for r in [self.head, *self.rows]
        ]
        return "\n".join([self.full_caption(), *lines, *self.notes])

    def _markdown(self) -> str:
        rules = [":---" if i in self.left else "---:" for i in range(len(self.head))]
        lines = [
            _row(self.head),
            "| " + " | ".join(rules) + " |",
            *(_row(row) for row in self.rows),
        ]
        body = "\n".join(lines)
        table = f"::::{{table}} {escape(self.full_caption())}\n:name: {self.name}\n\n{body}\n::::"
        if self.notes:
            notes = "\n\n".join(escape(note) for note in self.notes)
            table += f"\n\n:::{{div}} table-notes\n{notes}\n:::"
        if self.folded:
            return f":::::{{dropdown}} {escape(words.FOLDED_TABLE + self.caption)}\n{table}\n:::::"
        return table

    def _bundle(self) -> dict[str, Any]:
        head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in self.head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>"
            for row in self.rows
        )
        caption = html.escape(self.full_caption())
        page = (
            f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )
        return {**super()._bundle(), "text/html": page}


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape(cell) or " " for cell in cells) + " |"


@dataclass(frozen=True, repr=False)
class Figure(Shown):
    """A numbered figure: its id (``fig-...``), caption, and alt text that states the finding.

    ``view`` makes, of the figure as it was drawn, the JSON by which a page lets a reader point at
    its parts.
    """

    name: str
    figure: "MatplotlibFigure" = field(repr=False)
    caption: str
    alt: str
    marks: Sequence[Mark] = ()
    view: Callable[[], Mapping[str, Any]] | None = field(default=None, repr=False)

    def full_caption(self) -> str:
        return with_marks(self.caption, self.marks)

    def _plain(self) -> str:
        return f"{self.full_caption()}\n[{self.alt}]"

    def _markdown(self) -> str:
        return (
            f"::::{{figure}} {FIGURE_FOLDER}/{self.name}.svg\n:name: {self.name}\n:alt:"
            f" {_option(self.alt)}\n\n{escape(self.full_caption())}\n::::"
        )

    def svg(self) -> str:
        """The picture as SVG, the same bytes each time (no date, ids from the figure's name)."""
        import matplotlib as mpl

        if self.withheld:
            raise ValueError(f"{self.name} is hidden in a public book")
        stream = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": self.name}):
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        return stream.getvalue()

    def _bundle(self) -> dict[str, Any]:
        bundle = super()._bundle()
        if os.environ.get(PICTURES_VARIABLE, "1") != "0":
            bundle["image/svg+xml"] = self.svg()
            bundle[FIGURE_MIME] = {
                "name": self.name,
                "caption": self.full_caption(),
                "alt": self.alt,
            }
            if self.view is not None:
                bundle[FIGURE_MIME]["view"] = self.view()
        return bundle


def with_marks(caption: str, marks: Sequence[Mark]) -> str:
    """A caption with its marks of provenance, each once, in their fixed order."""
    if not marks:
        return caption
    present = [words.MARKED.get(mark, mark) for mark in MARKS if mark in marks]
    return f"{caption} Provenance: {', '.join(present)}."


# --- prose and markup ---------------------------------------------------------------------------


def glue(study: Study | Cleared, values: Mapping[str, str]) -> None:
    """Give computed text to the prose of this page, which prints it by ``{glue:text}`key```."""
    from myst_nb import glue as glue_one

    for key, value in values.items():
        # As a passage, so that a value passes the gate like everything else.
        glue_one(key, text(study, value).plain(), display=False)


def escape(text: object) -> str:
    """Plain text as one line of MyST Markdown: whatever could be markup there is escaped.

    Some characters are markup at the start of a line only (a list, a target, an option, a comment).
    """
    clean = "".join(ch if ch.isprintable() else " " for ch in str(text))
    return _MARKUP_AT_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", " ".join(clean.split())))


def _option(text: str) -> str:
    """Text as the value of a directive's option, which is read as YAML and not as Markdown."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
