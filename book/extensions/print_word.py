"""The printed book as a Word file: Pandoc writes it, python-docx gives it styles, header and
footer.
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
from typing import TYPE_CHECKING, Any

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
from book.extensions.print_cover import Cover
from book.extensions.print_pdf import fitted, picture_size, set_alone
from book.extensions.print_widths import PAGE, with_widths

if TYPE_CHECKING:
    from docx.document import Document
    from docx.styles.style import ParagraphStyle
    from docx.text.paragraph import Paragraph

PICTURES = "pictures"
DOTS_PER_INCH = 300
CODE_FONT = "Courier New"
# Fonts that Word has everywhere; the second of each pair sets Chinese.
TEXT_FONTS = ("Times New Roman", "SimSun")
TITLE_FONTS = ("Arial", "SimHei")
MARGIN_CM = 2.5
PAGE_CM = (21.0, 29.7)
# Rows, the head included, of a table that is not broken over pages, and those that stay together
# at the head of a longer one.
SHORT, FIRST = 22, 3
ACCENTS = {"answer": "1F4E79", "not-conclude": "A33B20", "method": "555555"}
QUIET = "555555"
CELL, NOTES = "Table Text", "Table Notes"
# Another program may put a wider face in the place of Word's: columns keep room for it.
SLACK = 0.86
# Where the numbers of a list stand in Pandoc's Word files, in points: the edge of a box is there.
LIST_INDENT = 18
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
        accent = kind if kind in ACCENTS else "method"
        head = in_style(f"Box {accent} title", [para(title)]) if title else []
        return [*head, *in_style(f"Box {accent}", body)]

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


def front(cover: Cover, blocks: Sequence[Block]) -> list[Block]:
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
    made = in_style("TOC Heading", [para(words("Contents"))])
    for index, (level, (label, _, _), title) in enumerate(headings):
        entry: list[Inline] = [{"t": "Link", "c": [attributes(), title, [f"#{label}", ""]]}]
        if index == 0:
            entry.insert(0, begin)
        if index == len(headings) - 1:
            entry.append(field_end())
        made += in_style(f"TOC {level}", [para(entry)])
    return made


def make(book: Book, cover: Cover, path: Path, cache: Path) -> None:
    """Write the Word file of the book."""
    images = [item.image for item in book.numbered if item.image is not None]
    draw_pictures(images, cache / PICTURES)
    write([*front(cover, book.blocks), *book.blocks], path, cover, cache)


def write(blocks: list[Block], path: Path, cover: Cover, pictures: Path | None = None) -> None:
    """Write blocks as a Word file; ``pictures`` is the folder that their addresses start from."""
    import pypandoc
    from docx import Document

    part = path.with_name(f"{path.name}.part")
    pypandoc.convert_text(
        json.dumps(Book(blocks=blocks).document()),
        "docx",
        format="json",
        outputfile=str(part),
        extra_args=[f"--resource-path={pictures}"] if pictures else [],
    )
    document = Document(str(part))
    dress(document, cover)
    stream = io.BytesIO()
    document.save(stream)
    part.write_bytes(dateless(stream.getvalue()))
    part.replace(path)


def dateless(data: bytes) -> bytes:
    """A Word file without the time at which it was made: the same content gives the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            # A picture is compressed already.
            how = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            new.writestr(zipfile.ZipInfo(name), old.read(name), how)
    return made.getvalue()


def dress(document: "Document", cover: Cover) -> None:
    """Give a document of Pandoc its paper, styles, header, footer and properties."""
    from docx.shared import Cm

    section = document.sections[0]
    section.page_width, section.page_height = (Cm(side) for side in PAGE_CM)
    section.left_margin = section.right_margin = Cm(MARGIN_CM)
    section.top_margin = Cm(3.6 if cover.notice else MARGIN_CM)
    section.bottom_margin = Cm(2.2)
    section.header_distance = section.footer_distance = Cm(1.2)
    set_styles(document)
    head = section.header.paragraphs[0]
    if cover.notice:
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


def resize_pictures(document: "Document") -> None:
    """Show every picture at its 300 dots per inch: Pandoc fits it to the paper of its template."""
    from docx.oxml.ns import qn
    from docx.shared import Inches

    for shape in document.inline_shapes:
        relation = next(shape._inline.iter(qn("a:blip"))).get(qn("r:embed"))
        image = document.part.related_parts[relation].image
        shape.width = Inches(image.px_width / DOTS_PER_INCH)
        shape.height = Inches(image.px_height / DOTS_PER_INCH)


def describe(document: "Document", cover: Cover) -> None:
    """Title, author and language of a document; no dates."""
    from docx.oxml.ns import qn

    properties = document.core_properties
    for name in ("dcterms:created", "dcterms:modified"):
        for date in properties._element.findall(qn(name)):
            date.getparent().remove(date)
    properties.title = cover.title
    properties.author = "" if cover.notice else cover.centre
    properties.comments = cover.notice
    properties.version = cover.version
    properties.language = cover.language


def add_field(paragraph: "Paragraph", instruction: str, shown: str) -> None:
    """Append a field; ``shown`` stands there until Word computes it."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), instruction)
    run = OxmlElement("w:r")
    text = OxmlElement("w:t")
    text.text = shown
    run.append(text)
    field.append(run)
    paragraph._p.append(field)


def dress_tables(document: "Document") -> None:
    """Style the cells; keep each row on one page, and a short table as well, with its notes.

    Pandoc has marked the heads, which Word repeats on every page.
    """
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.oxml.text.paragraph import CT_P
    from docx.shared import Pt
    from docx.text.paragraph import Paragraph

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


def keep_together(document: "Document") -> None:
    """Keep the paragraphs of a box, and the notes of a table, on one page."""
    from docx.oxml.text.paragraph import CT_P

    kept = {s.style_id for s in document.styles if str(s.name).startswith(("Box ", NOTES))}
    for element, following in itertools.pairwise(document.element.body):
        style = getattr(element, "style", None)
        if style in kept and isinstance(following, CT_P) and following.style == style:
            element.get_or_add_pPr().get_or_add_keepNext()


def set_styles(document: "Document") -> None:
    """The look of paragraphs and tables."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt, RGBColor

    quiet = RGBColor.from_string(QUIET)
    body = paragraph_style(document, "Body Text", 10.5, after=6)
    for name in ("Normal", "First Paragraph", "Compact", "Bibliography", "Definition"):
        paragraph_style(document, name, 10.5, after=2 if name == "Compact" else 6)
    title = paragraph_style(document, "Title", 26, fonts=TITLE_FONTS, before=120, after=36)
    title.font.bold = True
    title.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.LEFT
    for name, size, before in (
        ("Heading 1", 18, 0),
        ("Heading 2", 13, 16),
        ("Heading 3", 11, 12),
        ("TOC Heading", 18, 0),
    ):
        style = paragraph_style(document, name, size, fonts=TITLE_FONTS, before=before, after=8)
        style.font.bold = True
        style.paragraph_format.keep_with_next = True
    document.styles["Heading 1"].paragraph_format.page_break_before = True
    for name, indent in (("TOC 1", 0), ("TOC 2", 14)):
        style = paragraph_style(document, name, 10, after=2)
        style.paragraph_format.left_indent = Pt(indent)
        style.font.bold = name == "TOC 1"
        style.element.name_val = name.lower()  # the built-in one
    caption = paragraph_style(document, "Table Caption", 9.5, before=12, after=4)
    caption.paragraph_format.keep_with_next = True
    below = paragraph_style(document, "Image Caption", 9.5, before=4, after=12)
    below.paragraph_format.keep_together = True
    picture = paragraph_style(document, "Captioned Figure", 10.5, before=10, after=0)
    picture.paragraph_format.keep_with_next = True
    for name in ("Table Caption", "Image Caption"):
        document.styles[name].font.italic = False
    paragraph_style(document, CELL, 8.5, before=1, after=1)
    for name in (NOTES, "Code Place"):
        paragraph_style(document, name, 8.5, before=2, after=8).font.color.rgb = quiet
    _close_up(document.styles[NOTES])
    document.styles["Definition Term"].paragraph_format.keep_with_next = True
    document.styles["Definition"].paragraph_format.left_indent = Pt(LIST_INDENT)
    paragraph_style(document, "Absent", 10.5, after=6).font.italic = True
    paragraph_style(document, "Cover Line", 12, after=6)
    paragraph_style(document, "Header", 8.5).font.color.rgb = quiet
    foot = paragraph_style(document, "Footer", 8.5)
    foot.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    for name, size in (("Notice", 11), ("Notice Header", 8)):
        style = paragraph_style(document, name, size, before=0 if size == 8 else 24, after=6)
        style.font.color.rgb = RGBColor.from_string(ACCENTS["not-conclude"])
        edges(style, ACCENTS["not-conclude"], ("top", "left", "bottom", "right"))
    for kind, accent in ACCENTS.items():
        for name in (f"Box {kind} title", f"Box {kind}"):
            # No space after a title: lines and shade of two indents would not meet over it.
            title_of_box = name.endswith("title")
            style = paragraph_style(document, name, 10.5, after=0 if title_of_box else 4)
            style.paragraph_format.left_indent = Pt(LIST_INDENT)
            style.paragraph_format.keep_together = True
            edges(style, accent, ("left",), size=18, fill="F4F6F8")
            if title_of_box:
                style.font.bold = True
                style.font.color.rgb = RGBColor.from_string(accent)
                style.paragraph_format.keep_with_next = True
    body.paragraph_format.widow_control = True
    code = document.styles["Verbatim Char"].font
    code.name, code.size = CODE_FONT, Pt(9)
    set_table_style(document)


def paragraph_style(
    document: "Document",
    name: str,
    size: float,
    *,
    fonts: tuple[str, str] = TEXT_FONTS,
    before: float = 0,
    after: float = 0,
) -> "ParagraphStyle":
    """A paragraph style, made if it is not there, in black."""
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    if name not in document.styles:
        document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    style: ParagraphStyle = document.styles[name]
    style.font.name = fonts[0]
    style.font.size = Pt(size)
    style.font.color.rgb = RGBColor(0, 0, 0)
    found = style.element.rPr.rFonts
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        found.attrib.pop(qn(f"w:{theme}"), None)
    found.set(qn("w:eastAsia"), fonts[1])
    found.set(qn("w:cs"), fonts[0])
    style.paragraph_format.space_before = Pt(before)
    style.paragraph_format.space_after = Pt(after)
    return style


def _close_up(style: "ParagraphStyle") -> None:
    """No space between paragraphs of a style."""
    from docx.oxml import OxmlElement

    spacing = OxmlElement("w:contextualSpacing")
    style.element.get_or_add_pPr().insert_element_before(spacing, *_AFTER_BORDERS[-2:])


def edges(
    style: "ParagraphStyle", colour: str, sides: Sequence[str], size: int = 4, fill: str = ""
) -> None:
    """Draw lines beside the paragraphs of a style; ``size`` is in eighths of a point."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    properties = style.element.get_or_add_pPr()
    lines = OxmlElement("w:pBdr")
    for side in sides:
        lines.append(_line(side, colour, size, space=4))
    properties.insert_element_before(lines, *_AFTER_BORDERS)
    if fill:
        shade = OxmlElement("w:shd")
        shade.set(qn("w:val"), "clear")
        shade.set(qn("w:fill"), fill)
        properties.insert_element_before(shade, *_AFTER_BORDERS[1:])


# What may follow the borders in the properties of a paragraph, in the order of the schema.
_AFTER_BORDERS = (
    "w:shd",
    "w:tabs",
    "w:suppressAutoHyphens",
    "w:spacing",
    "w:ind",
    "w:contextualSpacing",
    "w:jc",
    "w:outlineLvl",
)


def _line(side: str, colour: str, size: int, space: int = 0) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    line = OxmlElement(f"w:{side}")
    for key, value in (("val", "single"), ("sz", size), ("space", space), ("color", colour)):
        line.set(qn(f"w:{key}"), str(value))
    return line


def set_table_style(document: "Document") -> None:
    """Lines above and below a table and under its head, as journals set them."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    style = document.styles["Table"].element
    for child in list(style):
        if child.tag.endswith(("}tblPr", "}tblStylePr")):
            style.remove(child)
    lines = "".join(
        f'<w:{side} w:val="single" w:sz="8" w:space="0" w:color="1A1A1A"/>'
        for side in ("top", "bottom")
    )
    names = nsdecls("w")
    style.append(
        parse_xml(
            f'<w:tblPr {names}><w:tblInd w:w="0" w:type="dxa"/><w:tblBorders>{lines}'
            '</w:tblBorders><w:tblCellMar><w:left w:w="80" w:type="dxa"/>'
            '<w:right w:w="80" w:type="dxa"/></w:tblCellMar></w:tblPr>'
        )
    )
    style.append(
        parse_xml(
            f'<w:tblStylePr {names} w:type="firstRow"><w:rPr><w:b/></w:rPr><w:tcPr><w:tcBorders>'
            '<w:bottom w:val="single" w:sz="4" w:space="0" w:color="1A1A1A"/></w:tcBorders>'
            "</w:tcPr></w:tblStylePr>"
        )
    )
