"""The printed book as a Word file: Pandoc writes it, python-docx gives it header and footer.

Its paper, styles and fonts are those of book/print/reference.docx, which Word opens and saves.
"""

import hashlib
import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docx
import pypandoc
from docx.document import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.text.paragraph import CT_P
from docx.shared import Cm, Inches, Pt
from docx.text.paragraph import Paragraph

from book.extensions.print_ast import (
    Block,
    Book,
    Cells,
    Dialect,
    Inline,
    Numbered,
    attributes,
    para,
    plain,
    raw_block,
    raw_inline,
    words,
)
from book.extensions.print_cover import PrintedCover
from book.extensions.print_pdf import TEMPLATE, fitted, picture_size, set_alone
from book.extensions.print_widths import PAGE, with_widths

REFERENCE = TEMPLATE.with_name("reference.docx")
PICTURES = "pictures"
DOTS_PER_INCH = 300
# Rows, the head included, of a table that is not broken over pages, and those that stay together
# at the head of a longer one.
SHORT, FIRST = 22, 3
# Kinds of boxes that the reference has styles for.
BOXES = ("answer", "not-conclude", "method")
CELL, NOTES = "Table Text", "Table Notes"
# Another program may put a wider face in the place of Word's: columns keep room for it.
SLACK = 0.86
BREAK = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'


@dataclass(frozen=True)
class WordDialect(Dialect):
    """Styles of Word, and pictures as PNG. ``counts``: the numbers of tables and figures are
    fields, which fits a whole book.
    """

    counts: bool = True

    def number(self, number: str) -> list[Inline]:
        """The last part is a field: Word counts on where an editor adds a table to a chapter, and
        can list all tables. The first of a chapter says where the count begins (the switch that
        follows headings is unknown to LibreOffice); pages without a number share one count.
        """
        parts = re.fullmatch(r"(\w+) (.*?)(\d+)", number)
        if not (self.counts and parts):
            return words(number)
        kind, chapter, last = parts.groups()
        begins = f" \\r {last}" if last == "1" or not chapter else ""
        count = field_begin(f"SEQ {kind} \\* ARABIC{begins}")
        return [*words(f"{kind} {chapter}"), count, *words(last), field_end("<w:b/>")]

    def box(self, kind: str, title: list[Inline], body: list[Block]) -> list[Block]:
        look = kind if kind in BOXES else "method"
        head = in_style(f"Box {look} title", [para(title)]) if title else []
        return [*head, *in_style(f"Box {look}", body)]

    def styled(self, style: str, body: list[Block]) -> list[Block]:
        names = {
            "absent": "Absent",
            "reference": "Bibliography",
            "code-place": "Code Place",
        }
        return in_style(names[style], body)

    def figure(self, item: Numbered, caption: list[Inline]) -> list[Block]:
        assert item.image is not None
        width, height = fitted(*picture_size(item.image))
        size = {"width": f"{width / 72:.3f}in", "height": f"{height / 72:.3f}in"}
        target = [f"{PICTURES}/{picture_name(item.image)}", ""]
        picture = {"t": "Image", "c": [attributes(**size), words(item.alt), target]}
        if not caption:
            return [para([picture])]
        named = [None, [plain(caption)]]
        return [{"t": "Figure", "c": [attributes(item.label), named, [plain([picture])]]}]

    def table(self, table: list[Any], cells: Cells, notes: list[Block]) -> list[Block]:
        below = in_style(NOTES, notes) if notes else []
        return [{"t": "Table", "c": with_widths(table, cells, PAGE * SLACK)}, *below]


def field_begin(instruction: str, state: str = "") -> Inline:
    """The beginning of a field; what it shows until Word computes it follows, then its end."""
    return raw_inline(
        "openxml",
        f'<w:r><w:fldChar w:fldCharType="begin"{state}/></w:r>'
        f'<w:r><w:instrText xml:space="preserve">{instruction}</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>',
    )


def field_end(look: str = "") -> Inline:
    """The end of a field; LibreOffice shows all of it as this looks."""
    return raw_inline(
        "openxml", f'<w:r><w:rPr>{look}</w:rPr><w:fldChar w:fldCharType="end"/></w:r>'
    )


def in_style(name: str, body: list[Block]) -> list[Block]:
    """Blocks in a paragraph style."""
    return [{"t": "Div", "c": [attributes(custom_style=name), body]}]


def picture_name(image: Path) -> str:
    """Name of the PNG of a picture: it changes with the content."""
    digest = hashlib.sha256(image.read_bytes()).hexdigest()[:16]
    return f"{image.stem}-{digest}.png"


def draw_pictures(images: Iterable[Path], folder: Path) -> None:
    """Make the PNG of every picture that has none yet, at 300 dots per inch, and remove others."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {picture_name(image): image for image in images}
    for old in folder.iterdir():
        if old.name not in wanted:
            old.unlink()
    missing = {name: image for name, image in wanted.items() if not (folder / name).is_file()}
    if not missing:
        return
    for name, data in zip(missing, rendered(list(missing.values())), strict=True):
        part = folder / f"{name}.part"
        part.write_bytes(data)
        part.replace(folder / name)


def rendered(images: Sequence[Path]) -> list[bytes]:
    """Pictures as PNG, each at the size that it has on paper."""
    files = {f"{index}{image.suffix}": image.read_bytes() for index, image in enumerate(images)}
    sizes = [fitted(*picture_size(image)) for image in images]
    pages = [
        f'#page(image("{name}", width: {width:.2f}pt, height: {height:.2f}pt))'
        for name, (width, height) in zip(files, sizes, strict=True)
    ]
    text = "\n".join(["#set page(width: auto, height: auto, margin: 0pt)", *pages])
    return set_alone(text, files, format="png", ppi=DOTS_PER_INCH)


def front(cover: PrintedCover, blocks: Sequence[Block]) -> list[Block]:
    """Cover and table of contents."""
    notice = in_style("Notice", [para(words(cover.notice))]) if cover.notice else []
    return [
        *in_style("Title", [para(words(cover.title))]),
        *[
            block
            for name, value in cover.lines()
            for block in in_style(
                "Cover Line", [para([{"t": "Strong", "c": words(f"{name}: ")}, *words(value)])]
            )
        ],
        *notice,
        raw_block("openxml", BREAK),
        *contents(blocks),
    ]


def contents(blocks: Sequence[Block]) -> list[Block]:
    """The table of contents: a field that Word fills with page numbers, and until then its
    entries as links.
    """
    headings = [block["c"] for block in blocks if block["t"] == "Header" and block["c"][0] <= 2]
    begin = field_begin('TOC \\o "1-2" \\h \\z \\u', ' w:dirty="true"')
    listing = in_style("TOC Heading", [para(words("Contents"))])
    for index, (level, (label, _, _), title) in enumerate(headings):
        entry: list[Inline] = [{"t": "Link", "c": [attributes(), title, [f"#{label}", ""]]}]
        if index == 0:
            entry.insert(0, begin)
        if index == len(headings) - 1:
            entry.append(field_end())
        listing += in_style(f"TOC {level}", [para(entry)])
    return listing


def make(book: Book, cover: PrintedCover, path: Path, cache: Path) -> None:
    """Write the Word file of the book."""
    images = [item.image for item in book.numbered if item.image is not None]
    draw_pictures(images, cache / PICTURES)
    write([*front(cover, book.blocks), *book.blocks], path, cover, cache)


def write(blocks: list[Block], path: Path, cover: PrintedCover, pictures: Path) -> None:
    """Write blocks as a Word file; ``pictures`` is the folder that their addresses start from."""

    part = path.with_name(f"{path.name}.part")
    pypandoc.convert_text(
        json.dumps(Book(blocks=blocks).document()),
        "docx",
        format="json",
        outputfile=str(part),
        extra_args=[f"--reference-doc={REFERENCE}", f"--resource-path={pictures}"],
    )
    document = docx.Document(str(part))
    dress(document, cover)
    stream = io.BytesIO()
    document.save(stream)
    part.write_bytes(dateless(stream.getvalue()))
    part.replace(path)


def dateless(data: bytes) -> bytes:
    """A Word file without the time at which it was made: the same content gives the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            # A picture is compressed already.
            how = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            new.writestr(zipfile.ZipInfo(name), old.read(name), how)
    return stream.getvalue()


def dress(document: Document, cover: PrintedCover) -> None:
    """Give a document of Pandoc its header, footer and properties, and its tables their rows."""

    section = document.sections[0]
    head = section.header.paragraphs[0]
    if cover.notice:
        section.top_margin = Cm(3.6)
        head.text = cover.notice
        head.style = document.styles["Notice Header"]
        head = section.header.add_paragraph()
    head.style = document.styles["Header"]
    add_field(head, 'STYLEREF "Heading 1"', cover.title)
    foot = section.footer.paragraphs[0]
    foot.style = document.styles["Footer"]
    add_field(foot, "PAGE", "1")
    dress_tables(document)
    keep_together(document)
    resize_pictures(document)
    describe(document, cover)


def resize_pictures(document: Document) -> None:
    """Show every picture at its 300 dots per inch: Pandoc fits it to the paper of its template."""

    for shape in document.inline_shapes:
        relation = next(shape._inline.iter(qn("a:blip"))).get(qn("r:embed"))
        image = document.part.related_parts[relation].image
        shape.width = Inches(image.px_width / DOTS_PER_INCH)
        shape.height = Inches(image.px_height / DOTS_PER_INCH)


def describe(document: Document, cover: PrintedCover) -> None:
    """Title, author and language of a document; no dates."""

    properties = document.core_properties
    for name in ("dcterms:created", "dcterms:modified"):
        for date in properties._element.findall(qn(name)):
            date.getparent().remove(date)
    properties.title = cover.title
    properties.author = "" if cover.notice else cover.centre
    properties.comments = cover.notice
    properties.version = cover.version
    properties.language = cover.language


def add_field(paragraph: Paragraph, instruction: str, shown: str) -> None:
    """Append a field; ``shown`` stands there until Word computes it."""

    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), instruction)
    run = OxmlElement("w:r")
    text = OxmlElement("w:t")
    text.text = shown
    run.append(text)
    field.append(run)
    paragraph._p.append(field)


def dress_tables(document: Document) -> None:
    """Style the cells; keep each row on one page, and a short table as well, with its notes.

    Pandoc has marked the heads, which Word repeats on every page.
    """

    cell_style, notes = (document.styles[name].style_id for name in (CELL, NOTES))
    for table in document.element.body.iter(qn("w:tbl")):
        rows = list(table.iter(qn("w:tr")))
        for row in rows:
            row.get_or_add_trPr().insert(0, OxmlElement("w:cantSplit"))
        for paragraph in table.iter(qn("w:p")):
            paragraph.get_or_add_pPr().get_or_add_pStyle().val = cell_style
        # The end of a bookmark may stand between a table and the paragraph under it.
        below = next(table.itersiblings(qn("w:p"), qn("w:tbl")), None)
        noted = isinstance(below, CT_P) and below.style == notes
        if isinstance(below, CT_P) and not noted:
            Paragraph(below, document).paragraph_format.space_before = Pt(10)
        last = rows[-1:] if noted else []
        for row in [*(rows[:-1] if len(rows) <= SHORT else rows[:FIRST]), *last]:
            for paragraph in row.iter(qn("w:p")):
                # Where the schema has it; python-docx searches for the place, cell by cell.
                paragraph.pPr.pStyle.addnext(OxmlElement("w:keepNext"))


def keep_together(document: Document) -> None:
    """Keep the paragraphs of a box, and the notes of a table, on one page."""

    styles = {s.style_id for s in document.styles if str(s.name).startswith(("Box ", NOTES))}
    for element, following in itertools.pairwise(document.element.body):
        style = getattr(element, "style", None)
        if style in styles and isinstance(following, CT_P) and following.style == style:
            element.get_or_add_pPr().get_or_add_keepNext()
