"""Pages of the book as Pandoc's document model, from which it makes Typst and Word.

A page arrives as Sphinx has resolved it: references lead somewhere, citations have their labels.
What differs between the outputs is a :class:`Dialect`; a further output is one more of them.
Pandoc's model is documented in pandoc-types (``Text.Pandoc.Definition``, API 1.23); its values are
written here as plain JSON.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes

from book.extensions.transforms import ABSENT

Inline = dict[str, Any]
Block = dict[str, Any]
Cells = tuple[tuple[str, ...], ...]
API_VERSION = [1, 23, 1]
# Where a reference leads inside the book: a page, or a page and an anchor after a #.
INSIDE = "%"
# Nodes that say nothing on paper.
SILENT = (
    nodes.comment,
    nodes.substitution_definition,
    nodes.system_message,
    nodes.target,
    nodes.transition,
    nodes.meta,
    nodes.rubric,  # what a folded table is opened by; on paper it stands open
)
# Nodes of which only the children count.
TRANSPARENT = {"compound", "container", "glossary", "topic", "compact_paragraph", "citation_group"}
WRAPPERS: dict[type[nodes.Node], str] = {
    nodes.emphasis: "Emph",
    nodes.strong: "Strong",
    nodes.subscript: "Subscript",
    nodes.superscript: "Superscript",
    nodes.title_reference: "Emph",
}
# Spaces that belong to what stands on both sides: in P = 0.03, n = 29, ≥ 2, Rate, % and 95% CI.
TIES = re.compile(
    r"(?<=\b[Pn]) (?=[=<>≤≥])|(?<=[=<>≤≥]) (?=[<>]?\d)|(?<=\w,) (?=%)|(?<=\d%) (?=CI\b)"
)
ALIGNMENTS = {"text-right": "AlignRight", "text-center": "AlignCenter", "text-left": "AlignLeft"}


class UnknownNodeError(Exception):
    """A kind of content that the printed book has no form for."""


@dataclass(frozen=True)
class Numbered:
    """A numbered table or figure: ``number`` is as the HTML says it, such as ``Table 1.2``."""

    kind: str
    number: str
    label: str
    caption: list[Inline]
    alt: str = ""
    image: Path | None = None
    cells: Cells = ()
    """Text of the cells, the head first; empty for a figure."""
    blocks: tuple[Block, ...] = ()
    """The table itself and its notes; empty for a figure."""


@dataclass
class Book:
    """The body of the book in one dialect."""

    blocks: list[Block] = field(default_factory=list)
    numbered: list[Numbered] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    """Page and target of every link inside the book."""

    def dead_links(self) -> list[tuple[str, str]]:
        """Links whose target is not in the printed book."""
        return [(page, label) for page, label in self.links if label not in self.labels]

    def document(self) -> dict[str, Any]:
        """The whole as Pandoc reads it."""
        return {"pandoc-api-version": API_VERSION, "meta": {}, "blocks": self.blocks}


class Dialect(ABC):
    """How one output shows what Pandoc's document model does not have."""

    def joined(self, inlines: list[Inline]) -> list[Inline]:
        """Inlines as they may stand in one line; most outputs take them as they are."""
        return inlines

    def number(self, number: str) -> list[Inline]:
        """The number of a table or figure, such as ``Table 1.2``, as it heads the caption."""
        return words(number)

    @abstractmethod
    def box(self, kind: str, title: list[Inline], body: list[Block]) -> list[Block]:
        """A titled box."""

    @abstractmethod
    def styled(self, style: str, body: list[Block]) -> list[Block]:
        """Paragraphs of a style: ``absent``, ``reference`` or ``code-place``."""

    @abstractmethod
    def figure(self, item: Numbered, caption: list[Inline]) -> list[Block]:
        """A picture with its caption."""

    @abstractmethod
    def table(self, table: list[Any], cells: Cells, notes: list[Block]) -> list[Block]:
        """A table and the notes under it; ``table`` is the content of Pandoc's Table with its
        caption in place.
        """


def attributes(label: str = "", classes: Sequence[str] = (), **pairs: str) -> list[Any]:
    """Pandoc's Attr: identifier, classes, key-value pairs."""
    return [label, list(classes), [[key.replace("_", "-"), value] for key, value in pairs.items()]]


def words(text: str) -> list[Inline]:
    """Text as Pandoc's words and the spaces between them; a space that may not break stays."""
    inlines: list[Inline] = []
    for index, word in enumerate(split(tied(text))):
        if index:
            inlines.append({"t": "Space"})
        if word:
            inlines.append({"t": "Str", "c": word})
    return inlines


def tied(text: str) -> str:
    """Text with spaces that do not break where a line may not end: ``P = 0.03``, ``Rate, %``."""
    return TIES.sub("\u00a0", text)


def split(text: str) -> list[str]:
    """Words at ordinary white space: `str.split` would also split at a no-break space."""
    for space in "\n\t\r":
        text = text.replace(space, " ")
    parts = text.split(" ")
    inner = [part for part in parts[1:-1] if part]
    return parts if len(parts) == 1 else [parts[0], *inner, parts[-1]]


def one_line(text: str) -> str:
    """Text without line breaks."""
    return " ".join(text.split())


def para(inlines: list[Inline]) -> Block:
    """A paragraph."""
    return {"t": "Para", "c": inlines}


def plain(inlines: list[Inline]) -> Block:
    """Text that is not a paragraph."""
    return {"t": "Plain", "c": inlines}


def raw_block(target: str, text: str) -> Block:
    """Source of one output, left alone by Pandoc."""
    return {"t": "RawBlock", "c": [target, text]}


def raw_inline(target: str, text: str) -> Inline:
    """Source of one output inside a paragraph."""
    return {"t": "RawInline", "c": [target, text]}


def span(label: str, inlines: list[Inline], classes: Sequence[str] = ()) -> Inline:
    """Text with an identifier."""
    return {"t": "Span", "c": [attributes(label, classes), inlines]}


def page_label(docname: str) -> str:
    """The identifier of a page."""
    return docname.replace("/", "-")


def label_of(docname: str, identifier: str) -> str:
    """The identifier of a place on a page, unique in the book."""
    return f"{page_label(docname)}--{identifier}" if identifier else page_label(docname)


def aliases(doctree: nodes.document) -> dict[str, str]:
    """For each anchor of a page, the anchor that its node is known by; the title's is empty."""
    known_by: dict[str, str] = {}
    first = next(iter(doctree.findall(nodes.section)), None)
    for node in doctree.findall(nodes.Element):
        ids = node.get("ids") or []
        for identifier in ids:
            known_by[identifier] = "" if node is first else ids[0]
        refid = node.get("refid")
        if isinstance(node, nodes.target) and refid:
            for identifier in ids:
                known_by[identifier] = refid
    return {identifier: known_by.get(name, name) for identifier, name in known_by.items()}


@dataclass
class Page:
    """Writes one page into a book."""

    docname: str
    doctree: nodes.document
    dialect: Dialect
    book: Book
    anchors: Mapping[str, Mapping[str, str]]
    """:func:`aliases` of every page."""
    sections: Mapping[str, Sequence[int]]
    """Numbers of the sections by ``#anchor``; the page's own is the empty string."""
    figures: Mapping[str, Mapping[str, Sequence[int]]]
    """Numbers of tables and figures: kind, anchor, number."""
    formats: Mapping[str, str]
    """``Table %s`` and ``Figure %s``."""
    root: Path
    """Folder that the addresses of pictures start from."""
    depth: int = 0

    def write(self) -> None:
        """Add the page to the book; under its title stands where its code is."""
        blocks = self.blocks(self.doctree.children)
        if any(is_code(node) for node in self.doctree.findall(nodes.container)):
            title = next((i for i, block in enumerate(blocks, 1) if block["t"] == "Header"), 0)
            blocks[title:title] = self.dialect.styled("code-place", [para(self._code_place())])
        self.book.blocks += blocks

    def _code_place(self) -> list[Inline]:
        """A line that says where the code of the page is."""
        source = self.root / f"{self.docname}.py"
        name = f"{self.docname}.py" if source.is_file() else f"{self.docname}.md"
        return [
            *words("The code of this chapter is left out in print; it stands in "),
            {"t": "Code", "c": [attributes(), name]},
            {"t": "Str", "c": "."},
        ]

    # Blocks

    def blocks(self, children: Iterable[nodes.Node]) -> list[Block]:
        """Blocks of several nodes."""
        return [block for child in children for block in self.block(child)]

    def block(self, node: nodes.Node) -> list[Block]:
        """Blocks of one node.

        Raises:
            UnknownNodeError: the node has no printed form.
        """
        kind = type(node).__name__
        method = getattr(self, f"_{kind}", None)
        if method is not None:
            return list(method(node))
        if isinstance(node, SILENT) or is_code(node):
            return []
        if kind in TRANSPARENT:
            return self.blocks(node.children)
        if isinstance(node, nodes.Inline | nodes.Text | nodes.reference):
            return [para(self.inline(node))]
        raise UnknownNodeError(f"{self.docname}: the printed book has no form for {kind!r}")

    def _section(self, node: nodes.section) -> Iterator[Block]:
        self.depth += 1
        for child in node.children:
            yield from self.block(child)
        self.depth -= 1

    def _title(self, node: nodes.title) -> Iterator[Block]:
        section = node.parent
        page = self.depth == 1
        anchor = "" if page else self._canonical(section["ids"])
        number = self.sections.get("" if page else f"#{section['ids'][0]}")
        label = self._label(anchor)
        title = self.inlines(node.children)
        if number:
            dotted = ".".join(map(str, number))
            title = [{"t": "Str", "c": f"{dotted}\u2002"}, *title]
        yield {"t": "Header", "c": [self.depth, attributes(label), title]}

    def _paragraph(self, node: nodes.paragraph) -> Iterator[Block]:
        inlines = self._anchored(node, self.inlines(node.children))
        if inlines:
            yield para(inlines)

    def _container(self, node: nodes.container) -> list[Block]:
        if is_code(node) or are_notes(node):  # the notes of a table have been written with it
            return []
        body = self.blocks(node.children)
        return self.dialect.styled("absent", body) if body and ABSENT in node["classes"] else body

    def _admonition(self, node: nodes.admonition) -> list[Block]:
        title: list[Inline] = []
        body = []
        for child in node.children:
            if isinstance(child, nodes.title):
                title = self.inlines(child.children)
            else:
                body += self.block(child)
        kind = next(iter(name for name in node["classes"] if "admonition" not in name), "note")
        return self.dialect.box(kind, title, body)

    def _note(self, node: nodes.Element) -> list[Block]:
        name = type(node).__name__
        return self.dialect.box(name, words(name.capitalize()), self.blocks(node.children))

    _warning = _tip = _important = _caution = _hint = _attention = _danger = _error = _note

    def _bullet_list(self, node: nodes.bullet_list) -> Iterator[Block]:
        yield {"t": "BulletList", "c": [self.blocks(item.children) for item in node.children]}

    def _enumerated_list(self, node: nodes.enumerated_list) -> Iterator[Block]:
        start = [node.get("start", 1), {"t": "Decimal"}, {"t": "Period"}]
        items = [self.blocks(item.children) for item in node.children]
        yield {"t": "OrderedList", "c": [start, items]}

    def _definition_list(self, node: nodes.definition_list) -> Iterator[Block]:
        items = []
        for item in node.children:
            terms: list[Inline] = []
            for term in item.findall(nodes.term):
                if terms:
                    terms.append({"t": "LineBreak"})
                terms += self._anchored(term, self.inlines(term.children))
            bodies = [self.blocks(body.children) for body in item.findall(nodes.definition)]
            items.append([terms, bodies])
        yield {"t": "DefinitionList", "c": items}

    def _block_quote(self, node: nodes.block_quote) -> Iterator[Block]:
        yield {"t": "BlockQuote", "c": self.blocks(node.children)}

    def _literal_block(self, node: nodes.literal_block) -> Iterator[Block]:
        yield {"t": "CodeBlock", "c": [attributes(), node.astext()]}

    def _raw(self, node: nodes.raw) -> list[Block]:
        return []

    def _citation(self, node: nodes.citation) -> list[Block]:
        label = next(node.findall(nodes.label), None)
        name = f"[{label.astext()}]" if label is not None else ""
        parts = [child for child in node.children if not isinstance(child, nodes.label)]
        inlines = [inline for part in parts for inline in self.inlines(part.children)]
        anchor = span(self._label(self._canonical(node["ids"])), words(name))
        strong: Inline = {"t": "Strong", "c": [anchor]}
        return self.dialect.styled("reference", [para([strong, {"t": "Space"}, *inlines])])

    def _footnote(self, node: nodes.footnote) -> list[Block]:
        return []  # stands at the foot of the page that refers to it

    # Tables and figures

    def _numbered(self, kind: str, node: nodes.Element) -> tuple[str, str]:
        """Number, as ``Table 1.2``, and label of a table or figure; empty where it has none."""
        for identifier in node["ids"]:
            number = self.figures.get(kind, {}).get(identifier)
            if number:
                text = self.formats[kind] % ".".join(map(str, number))
                return text, self._label(self._canonical(node["ids"]))
        return "", ""

    def _numbered_caption(self, number: str, caption: list[Inline]) -> list[Inline]:
        if not number:
            return caption
        head = [*self.dialect.number(number), {"t": "Str", "c": "."}]
        return [{"t": "Strong", "c": head}, {"t": "Space"}, *caption]

    def _figure(self, node: nodes.figure) -> list[Block]:
        image = next(node.findall(nodes.image))
        number, label = self._numbered("figure", node)
        captions = [self.inlines(c.children) for c in node.children if isinstance(c, nodes.caption)]
        caption = captions[0] if captions else []
        item = Numbered(
            "figure",
            number,
            label,
            caption,
            alt=one_line(image["alt"]),
            image=self.root / image["uri"],
        )
        self.book.numbered.append(item)
        legends = [child for child in node.children if isinstance(child, nodes.legend)]
        return [
            *self.dialect.figure(item, self._numbered_caption(number, caption)),
            *[block for legend in legends for block in self.blocks(legend.children)],
        ]

    def _image(self, node: nodes.image) -> list[Block]:
        alt, file = one_line(node.get("alt", "")), self.root / node["uri"]
        item = Numbered("image", "", "", [], alt=alt, image=file)
        return self.dialect.figure(item, [])

    def _table(self, node: nodes.table) -> list[Block]:
        number, label = self._numbered("table", node)
        titles = [self.inlines(c.children) for c in node.children if isinstance(c, nodes.title)]
        caption = titles[0] if titles else []
        group = next(node.findall(nodes.tgroup))
        head = [row for part in group.findall(nodes.thead) for row in part.findall(nodes.row)]
        body = [row for part in group.findall(nodes.tbody) for row in part.findall(nodes.row)]
        sides = [alignment(entry) for entry in (head + body)[0].children]
        cells = tuple(tuple(entry.astext() for entry in row.children) for row in head + body)
        named = self._numbered_caption(number, caption)
        table = [
            attributes(label),
            [None, [plain(named)] if named else []],
            [[{"t": side}, {"t": "ColWidthDefault"}] for side in sides],
            [attributes(), [self._row(row) for row in head]],
            [[attributes(), 0, [], [self._row(row) for row in body]]],
            [attributes(), []],
        ]
        below = node.next_node(descend=False, siblings=True)
        notes = self.blocks(below.children) if are_notes(below) else []
        blocks = self.dialect.table(table, cells, notes)
        item = Numbered("table", number, label, caption, cells=cells, blocks=tuple(blocks))
        self.book.numbered.append(item)
        return blocks

    def _row(self, row: nodes.row) -> list[Any]:
        cells = []
        for entry in row.children:
            blocks = [
                plain(block["c"]) if block["t"] == "Para" else block
                for block in self.blocks(entry.children)
            ]
            across, down = entry.get("morecols", 0) + 1, entry.get("morerows", 0) + 1
            cells.append([attributes(), {"t": alignment(entry)}, down, across, blocks])
        return [attributes(), cells]

    # Inlines

    def inlines(self, children: Iterable[nodes.Node]) -> list[Inline]:
        """Inlines of several nodes."""
        return self.dialect.joined([i for child in children for i in self.inline(child)])

    def inline(self, node: nodes.Node) -> list[Inline]:
        """Inlines of one node.

        Raises:
            UnknownNodeError: the node has no printed form.
        """
        if isinstance(node, nodes.Text):
            return words(node.astext())
        if isinstance(node, nodes.raw | nodes.comment | nodes.target | nodes.system_message):
            return []
        if type(node).__name__ == "index":
            return []
        if isinstance(node, nodes.literal):
            return [{"t": "Code", "c": [attributes(), node.astext()]}]
        if isinstance(node, nodes.reference):
            return self._reference(node)
        if isinstance(node, nodes.footnote_reference):
            return self._footnote_mark(node)
        wrapper = next((w for kind, w in WRAPPERS.items() if isinstance(node, kind)), None)
        if wrapper:
            return [{"t": wrapper, "c": self.inlines(node.children)}]
        if isinstance(node, nodes.inline | nodes.abbreviation | nodes.generated | nodes.paragraph):
            return self._anchored(node, self.inlines(node.children))
        raise UnknownNodeError(
            f"{self.docname}: the printed book has no form for {type(node).__name__!r} in a line"
        )

    def _reference(self, node: nodes.reference) -> list[Inline]:
        inlines = self.inlines(node.children)
        address = node.get("refuri", "")
        if address and not address.startswith(INSIDE):
            return [{"t": "Link", "c": [attributes(), inlines, [address, ""]]}]
        page, _, anchor = address.removeprefix(INSIDE).partition("#")
        page = page or self.docname
        anchor = anchor or node.get("refid", "")
        label = label_of(page, self.anchors.get(page, {}).get(anchor, anchor))
        self.book.links.append((self.docname, label))
        return [{"t": "Link", "c": [attributes(), inlines, [f"#{label}", ""]]}]

    def _footnote_mark(self, node: nodes.footnote_reference) -> list[Inline]:
        notes = [n for n in self.doctree.findall(nodes.footnote) if node["refid"] in n["ids"]]
        body = [child for child in notes[0].children if not isinstance(child, nodes.label)]
        return [{"t": "Note", "c": self.blocks(body)}]

    # Anchors

    def _canonical(self, identifiers: Sequence[str]) -> str:
        return self.anchors[self.docname][identifiers[0]]

    def _label(self, anchor: str) -> str:
        """The label of an anchor on this page, noted as present."""
        label = label_of(self.docname, anchor)
        self.book.labels.add(label)
        return label

    def _anchored(self, node: nodes.Element, inlines: list[Inline]) -> list[Inline]:
        if not node.get("ids") or not inlines:
            return inlines
        return [span(self._label(self._canonical(node["ids"])), inlines)]


def is_code(node: nodes.Node) -> bool:
    """Whether a node is the source of a cell: it is left out of print."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_source"


def are_notes(node: nodes.Node | None) -> bool:
    """Whether a node holds the notes of the table that it follows."""
    if not isinstance(node, nodes.container) or "table-notes" not in node["classes"]:
        return False
    index = node.parent.index(node)
    return index > 0 and isinstance(node.parent[index - 1], nodes.table)


def alignment(entry: nodes.Element) -> str:
    """Pandoc's alignment of a cell."""
    return next((ALIGNMENTS[name] for name in entry["classes"] if name in ALIGNMENTS), "AlignLeft")
