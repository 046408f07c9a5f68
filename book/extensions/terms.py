"""The first use of a glossary term on a page leads to the glossary, with its definition in the
margin.

The glossary page is the only place in which a term is written down; what the printed book shows of
this is the link.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

from book.extensions.transforms import ancestors

if TYPE_CHECKING:
    from sphinx.application import Sphinx

GLOSSARY = "book/glossary.md"
MARGIN = "margin"
#: Pages that define, list or specify: they hold the terms themselves.
WITHOUT = tuple(
    f"book/{page}"
    for page in ("glossary", "references", "data_dictionary", "import", "audit", "strobe")
)
ENTRY = re.compile(r"^(?P<title>\S.*)\n  (?P<definition>\S.*)$", re.MULTILINE)
CHINESE = re.compile(r"\s*[(][^()]*[)]$")
#: Text in these is a title, a label or code, or leads elsewhere already.
NO_PROSE = (
    nodes.title,
    nodes.caption,
    nodes.table,
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.raw,
    nodes.sidebar,
    addnodes.pending_xref,
)


@dataclass(frozen=True)
class Term:
    """An entry of the glossary: its whole title, as Sphinx knows it, and its definition."""

    title: str
    definition: str

    @property
    def name(self) -> str:
        """The title in English."""
        return CHINESE.sub("", self.title)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds any form of the term, in singular or plural; an abbreviation only in capitals."""
        forms = [_form(form) for form in self.name.split(", ")]
        return re.compile(rf"(?<![\w-])(?:{'|'.join(forms)})(?![\w-])")


def _form(form: str) -> str:
    if form[1:2].isupper():
        return re.escape(form)
    first, rest = form[0], re.escape(form[1:])
    rest = rf"{rest[:-1]}(?:y|ies)" if rest.endswith("y") else rf"{rest}s?"
    return f"[{first.upper()}{first.lower()}]{rest}"


def read_terms(text: str) -> list[Term]:
    """The entries of the glossary page."""
    return [Term(entry["title"], entry["definition"]) for entry in ENTRY.finditer(text)]


class LinkTerms(SphinxTransform):
    """Link each term at its first use on a page, and put its definition beside that place."""

    default_priority = 870  # after empty sections have gone

    def apply(self, **_: object) -> None:
        glossary = Path(self.env.srcdir, GLOSSARY)
        if self.env.docname in WITHOUT or not glossary.is_file():
            return
        self.env.note_dependency(str(glossary))
        left = read_terms(glossary.read_text(encoding="utf-8"))
        for text in list(prose(self.document)):
            uses = first_uses(text.astext(), left)
            if uses:
                place = block_of(text)
                place.parent.insert(place.parent.index(place), [margin(term) for _, term in uses])
                text.parent.replace(text, linked(text, uses, self.env.docname))
                left = [term for term in left if term not in {term for _, term in uses}]


def prose(document: nodes.document) -> Iterator[nodes.Text]:
    """The running text of a page, in order."""
    for paragraph in document.findall(nodes.paragraph):
        for text in paragraph.findall(nodes.Text):
            if not any(isinstance(node, NO_PROSE) for node in ancestors(text)):
                yield text


def first_uses(text: str, terms: list[Term]) -> list[tuple[re.Match[str], Term]]:
    """Where each term is used first, in order; of two that overlap the longer one."""
    uses = [(match, term) for term in terms if (match := term.pattern.search(text))]
    uses.sort(key=lambda use: (use[0].start(), -use[0].end()))
    separate: list[tuple[re.Match[str], Term]] = []
    for match, term in uses:
        if not separate or match.start() >= separate[-1][0].end():
            separate.append((match, term))
    return separate


def linked(
    text: nodes.Text, uses: list[tuple[re.Match[str], Term]], docname: str
) -> list[nodes.Node]:
    """The text with its terms as references to the glossary."""
    pieces: list[nodes.Node] = []
    end, content = 0, text.astext()
    for match, term in uses:
        if match.start() > end:
            pieces.append(nodes.Text(content[end : match.start()]))
        pieces.append(
            addnodes.pending_xref(
                "",
                nodes.inline(match[0], match[0], classes=["term"]),
                refdomain="std",
                reftype="term",
                reftarget=term.title,
                refexplicit=True,
                refwarn=True,
                refdoc=docname,
            )
        )
        end = match.end()
    if end < len(content):
        pieces.append(nodes.Text(content[end:]))
    return pieces


def block_of(node: nodes.Node) -> nodes.Node:
    """The block of a section that holds a node: a note beside it hangs at the section."""
    return next(
        inner
        for inner, outer in zip([node, *ancestors(node)], ancestors(node), strict=False)
        if isinstance(outer, nodes.section | nodes.document)
    )


def margin(term: Term) -> nodes.sidebar:
    """A note in the margin: the term and its definition."""
    text = nodes.paragraph(
        "", "", nodes.strong(term.name, term.name), nodes.Text(f" {term.definition}")
    )
    return nodes.sidebar("", text, classes=[MARGIN])


def without_margins(document: nodes.document) -> None:
    """Take the notes out of a page that has no margin to show them in."""
    for note in [node for node in document.findall(nodes.sidebar) if MARGIN in node["classes"]]:
        note.parent.remove(note)


def setup(app: "Sphinx") -> None:
    """Register the transform."""
    app.add_transform(LinkTerms)
