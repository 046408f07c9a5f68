"""The printed book, PDF and Word, holds what the pages hold, in the form that paper needs."""

import csv
import functools
import io
import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docx
import lxml.html
import numpy as np
import pytest
from docutils.core import publish_doctree
from docx.oxml.ns import qn
from docx.shared import Cm
from docx.text.paragraph import Paragraph
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from book.extensions import (
    print_builder,
    print_font,
    print_pdf,
    print_tables,
    print_widths,
    print_word,
)
from book.extensions.print_ast import Book, Dialect, Numbered, Page, aliases, para, tied, words
from book.extensions.print_cover import Part, PrintedCover
from book.extensions.print_word import DOTS_PER_INCH, WordDialect
from salvage.words import SYNTHETIC_NOTICE
from tests.reference_notebooks import ROOT
from tests.scratch_book import BUILD_FLAGS, Built

POINTS_PER_CM = 72 / 2.54
MARGIN = 2.5 * POINTS_PER_CM
# Where the text begins under the running head of a synthetic cohort.
UNDER_HEAD = 90
# Italic letters lean over the edge of the text by a hair.
HAIR = 1.0
PAGE = (595.28, 841.89)
# Words that share more than this, in points, both across and down stand on top of each other.
OVERLAP = 2.0

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="no pdftotext: apt-get install poppler-utils"
)


def squeezed(text: str) -> str:
    """Text without what line breaking and typesetting change: spaces, hyphens, ligatures."""
    plain = unicodedata.normalize("NFKC", text)
    return re.sub(r"[\s\-\u00ad\u200b\u2010\u2011\u2013\u2014\u2212]|''|\"", "", plain)


@dataclass(frozen=True)
class Html:
    """What the pages of the HTML book hold."""

    headings: list[str]
    figures: dict[str, str]
    tables: list[str]
    number_of_tables: int
    paragraphs: list[str]
    alts: list[str]


def text_of(element: Any) -> str:
    """The text of an element without the marks that only a screen needs."""
    for mark in element.xpath(".//a[contains(@class, 'headerlink')]"):
        mark.drop_tree()
    return " ".join(element.text_content().split())


def pages_in_order(html: Path) -> list[Path]:
    """The pages of the book in the order of reading: the cover, then the menu of every page."""
    cover = next((html / "chapters").glob("00_*.html"))
    menu = lxml.html.parse(str(cover)).xpath("//nav[contains(@class,'bd-links')]//a/@href")
    others = [(cover.parent / link).resolve() for link in menu if not link.startswith("#")]
    return list(dict.fromkeys([cover.resolve(), *others]))


@functools.cache
def read_html(html: Path) -> Html:
    """All pages of a built book."""
    found = Html([], {}, [], 0, [], [])
    number = 0
    for path in pages_in_order(html):
        article = lxml.html.parse(str(path)).xpath("//article")[0]
        # Code is left out on paper, what is folded stands open, and there is no margin.
        for screen in article.xpath(".//*[contains(@class,'cell_input')]|.//summary|.//aside"):
            screen.drop_tree()
        found.headings.extend(text_of(h) for h in article.xpath(".//h1|.//h2|.//h3"))
        for caption in article.xpath(".//figcaption"):
            label = caption.xpath(".//span[@class='caption-number']")[0].text_content().strip()
            found.figures[label] = text_of(caption)
        for caption in article.xpath(".//caption"):
            found.tables.append(text_of(caption))
        number += len(article.xpath(".//table"))
        found.alts.extend(" ".join(alt.split()) for alt in article.xpath(".//figure//@aria-label"))
        found.paragraphs.extend(
            text_of(p)
            for p in article.xpath(".//p[not(ancestor::table or ancestor::figcaption)]")
            if text_of(p)
        )
    return Html(found.headings, found.figures, found.tables, number, found.paragraphs, found.alts)


@pytest.fixture(scope="module")
def html(built_book: Built) -> Html:
    return read_html(built_book.html)


@pytest.fixture(scope="module")
def pdf(built_book: Built) -> Path:
    return built_book.html.parent / "print" / "book.pdf"


@pytest.fixture(scope="module")
def reader(pdf: Path) -> PdfReader:
    return PdfReader(pdf)


@pytest.fixture(scope="module")
def word(built_book: Built) -> Any:
    return docx.Document(str(built_book.html.parent / "print" / "book.docx"))


@functools.cache
def pdf_text(path: Path, top: int = 0) -> list[str]:
    """Text of each page, from ``top`` points down."""
    crop = ["-x", "0", "-y", str(top), "-W", "600", "-H", str(int(PAGE[1]) - top)]
    done = subprocess.run(
        ["pdftotext", *crop, str(path), "-"], capture_output=True, text=True, check=True
    )
    return done.stdout.split("\f")[:-1]


def text_lacking(wanted: list[str], text: str) -> list[str]:
    """Which of some texts are not in a text, however it is broken into lines."""
    squeezed_text = squeezed(text)
    return [item for item in wanted if squeezed(item) not in squeezed_text]


def is_parted(text: str, pages: list[str]) -> bool:
    """Whether a text begins on a page and ends on the next, under a picture or a table there."""
    wanted, squeezed_pages = squeezed(text), [squeezed(page) for page in pages]
    return any(
        wanted[cut:] in second
        for first, second in pairwise(squeezed_pages)
        for cut in range(1, len(wanted))
        if first.endswith(wanted[:cut])
    )


# What both say


def test_the_pages_link_to_the_printed_book(built_book: Built) -> None:
    for name in ("book.pdf", "book.docx"):
        assert f'href="../{name}"' in built_book.page("chapters/00_summary")
        made = built_book.html.parent / "print" / name
        assert (built_book.html / name).read_bytes() == made.read_bytes()


@needs_poppler
def test_every_paragraph_and_caption_of_every_page_is_in_the_pdf(html: Html, pdf: Path) -> None:
    pages = pdf_text(pdf, top=UNDER_HEAD)
    body = "".join(pages)
    assert len(html.paragraphs) > 200
    lacking = text_lacking(html.paragraphs, body)
    assert [text for text in lacking if not is_parted(text, pages)] == []
    numbered = [*html.figures.values(), *html.tables]
    # The number ends with a full stop in print.
    wanted = [re.sub(r"^((?:Figure|Table) [\d.]+) ", r"\1. ", caption) for caption in numbered]
    assert text_lacking(wanted, body) == []


def test_every_paragraph_of_every_page_is_in_the_word_file(html: Html, word: Any) -> None:
    body = "".join(word.element.body.itertext())
    assert text_lacking(html.paragraphs, body) == []


def test_text_that_is_not_there_is_missed() -> None:
    assert text_lacking(["one two", "three"], "one\ntwo") == ["three"]
    assert is_parted("one two", ["zero one", "Table 1 two three"])
    assert not is_parted("one two", ["zero one more", "two"])
    assert not is_parted("one two", ["zero one", "three"])


# PDF


def titles(outline: list[Any]) -> Iterator[str]:
    """Titles of an outline, in order."""
    for entry in outline:
        if isinstance(entry, list):
            yield from titles(entry)
        else:
            yield entry.title


def without_number(title: str) -> str:
    """A heading without the number that the HTML and the print write differently."""
    return squeezed(re.sub(r"^[\d.]+\s+", "", title))


def test_the_outline_has_every_heading(html: Html, reader: PdfReader) -> None:
    made = [without_number(title) for title in titles(reader.outline)]
    assert made[0] == "Contents"
    assert made[1:] == [without_number(title) for title in html.headings]


def elements(reader: PdfReader) -> list[DictionaryObject]:
    """Every element of the structure of a tagged PDF."""
    found = []
    waiting = [reader.trailer["/Root"]["/StructTreeRoot"].get_object()]
    while waiting:
        node = waiting.pop()
        found.append(node)
        children = node.get("/K", ArrayObject())
        children = children.get_object()
        for child in children if isinstance(children, list) else [children]:
            child = child.get_object()
            if isinstance(child, DictionaryObject) and child.get("/S"):
                waiting.append(child)
    return found


def test_figures_and_tables_are_those_of_the_pages(html: Html, reader: PdfReader) -> None:
    found = elements(reader)
    kinds = Counter(element.get("/S") for element in found)
    assert kinds["/Table"] == html.number_of_tables
    alts = Counter(str(e["/Alt"]) for e in found if e.get("/S") == "/Figure" and "/Alt" in e)
    assert alts == Counter(html.alts)
    assert kinds["/Figure"] == len(html.alts) == len(html.figures)
    assert kinds["/TH"] > kinds["/Table"]


def test_all_fonts_are_embedded(reader: PdfReader) -> None:
    fonts = {}
    for page in reader.pages:
        for font in page["/Resources"].get_object().get("/Font", {}).values():
            font = font.get_object()
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            fonts[font["/BaseFont"]] = inner["/FontDescriptor"].get_object()
    assert len(fonts) >= 3
    kinds = {"/FontFile", "/FontFile2", "/FontFile3"}
    assert [name for name, descriptor in fonts.items() if not kinds & set(descriptor)] == []


def test_the_pdf_says_what_it_is(built_book: Built, reader: PdfReader) -> None:
    catalogue = reader.trailer["/Root"]
    assert catalogue["/Lang"] == "en"
    assert catalogue["/MarkInfo"]["/Marked"]
    assert catalogue["/ViewerPreferences"]["/DisplayDocTitle"]
    title = lxml.html.fromstring(built_book.page("index")).xpath("//h1")[0].text_content()
    assert reader.metadata is not None
    assert reader.metadata.title == title
    xmp = catalogue["/Metadata"].get_object().get_data().decode()
    assert re.search(r"pdfuaid:part\W+1\b", xmp), "the PDF does not claim PDF/UA-1"


@needs_poppler
def test_the_synthetic_notice_is_on_every_page(pdf: Path) -> None:
    lacking = [
        n for n, text in enumerate(pdf_text(pdf), 1) if text_lacking([SYNTHETIC_NOTICE], text)
    ]
    assert lacking == []


@needs_poppler
def test_the_running_head_names_the_chapter(reader: PdfReader, pdf: Path) -> None:
    chapter, begun = "Contents", {}
    for entry in reader.outline:
        if not isinstance(entry, list):
            begun[reader.get_destination_page_number(entry)] = entry.title
    for number, text in enumerate(pdf_text(pdf)):
        chapter = begun.get(number, chapter)
        if number:
            assert not text_lacking([chapter], text[:400]), f"page {number + 1}"
            assert re.search(rf"(?m)^{number + 1}$", text), f"page {number + 1} has no number"


@functools.cache
def boxes(path: Path) -> list[tuple[np.ndarray, list[str]]]:
    """For each page, the corners (left, top, right, bottom) of its words in points, and them."""
    done = subprocess.run(
        ["pdftotext", "-bbox", str(path), "-"], capture_output=True, check=True
    ).stdout.decode()
    # Some characters of pdftotext's own page are not allowed in XML.
    root = ET.fromstring(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", done))
    space = "{http://www.w3.org/1999/xhtml}"
    pages = []
    for page in root.iter(f"{space}page"):
        found = list(page.iter(f"{space}word"))
        corners = [
            [float(w.get(k, "nan")) for k in ("xMin", "yMin", "xMax", "yMax")] for w in found
        ]
        pages.append((np.array(corners).reshape(-1, 4), [w.text or "" for w in found]))
    return pages


def outside(corners: np.ndarray, texts: list[str]) -> list[str]:
    """Words that stand outside the margins of an A4 page."""
    left, top, right, bottom = corners.T
    wrong = (left < MARGIN - HAIR) | (right > PAGE[0] - MARGIN + HAIR)
    wrong |= (top < POINTS_PER_CM) | (bottom > PAGE[1] - 2.0 * POINTS_PER_CM)
    return [text for text, bad in zip(texts, wrong, strict=True) if bad]


def overlapping(corners: np.ndarray, texts: list[str]) -> list[tuple[str, str]]:
    """Pairs of words that stand on top of each other, as in a table that is too wide."""
    left, top, right, bottom = (side[:, None] for side in corners.T)
    across = np.minimum(right, right.T) - np.maximum(left, left.T)
    down = np.minimum(bottom, bottom.T) - np.maximum(top, top.T)
    first, second = np.nonzero(np.triu((across > OVERLAP) & (down > OVERLAP), k=1))
    return [(texts[i], texts[j]) for i, j in zip(first, second, strict=True)]


@needs_poppler
def test_no_text_outside_the_margins_and_none_on_top_of_other_text(pdf: Path) -> None:
    pages = boxes(pdf)
    assert sum(len(texts) for _, texts in pages) > 20_000
    wrong = {n: found for n, page in enumerate(pages, 1) if (found := outside(*page))}
    assert wrong == {}
    mixed = {n: found for n, page in enumerate(pages, 1) if (found := overlapping(*page))}
    assert mixed == {}


def test_a_word_outside_and_words_on_top_of_each_other_are_found() -> None:
    corners = np.array([[60, 200, 90, 212], [80, 201, 110, 213], [300, 200, 320, 212.0]])
    assert outside(corners, ["a", "b", "c"]) == ["a"]
    assert overlapping(corners, ["a", "b", "c"]) == [("a", "b")]


def test_every_link_inside_the_pdf_leads_to_a_page(html: Html, reader: PdfReader) -> None:
    inside = 0
    for page in reader.pages:
        for note in page.get("/Annots", ()):
            link = note.get_object()
            if link.get("/Subtype") != "/Link":
                continue
            action = link.get("/A", DictionaryObject()).get_object()
            if "/URI" in action:
                assert str(action["/URI"]).startswith(("https://", "mailto:"))
                continue
            target = link.get("/Dest", action.get("/D"))
            assert target is not None
            inside += 1
    assert inside > len(html.headings)


# Word


def test_word_has_real_headings(html: Html, word: Any) -> None:
    headings = [p.text for p in word.paragraphs if re.fullmatch(r"Heading \d", p.style.name)]
    assert list(map(without_number, headings)) == list(map(without_number, html.headings))


def test_word_has_every_table_as_a_table_with_a_repeated_head(html: Html, word: Any) -> None:
    assert len(word.tables) == html.number_of_tables
    for table in word.tables:
        first = table._tbl.tr_lst[0].trPr
        assert first.find(qn("w:tblHeader")) is not None
    captions = [p.text for p in word.paragraphs if p.style.name == "Table Caption"]
    assert list(map(squeezed, captions)) == [
        squeezed(re.sub(r"^(Table [\d.]+) ", r"\1. ", caption)) for caption in html.tables
    ]


def test_word_counts_its_tables_and_figures_to_the_numbers_of_the_pages(
    html: Html, word: Any
) -> None:
    """Computes the fields as Word and LibreOffice do: ``\\r`` begins a count, the others go on."""
    counts: Counter[str] = Counter()
    shown, counted = [], []
    for paragraph in word.paragraphs:
        for field in paragraph._p.iter(qn("w:instrText")):
            found = re.fullmatch(r"SEQ (Table|Figure) \\\* ARABIC(?: \\r (\d+))?", field.text)
            if not found:
                continue
            kind, begins = found.groups()
            counts[kind] = int(begins) if begins else counts[kind] + 1
            counted.append(f"{kind} {counts[kind]}")
            number = re.match(rf"{kind} (\d+\.)?(\d+)\. ", paragraph.text)
            assert number, paragraph.text
            shown.append(f"{kind} {number[2]}")
    assert shown == counted
    numbered = [*html.figures, *(t for t in html.tables if re.match(r"Table \d", t))]
    assert len(shown) == len(numbered)


def noted_tables(word: Any) -> Iterator[tuple[Any, str, str]]:
    """Each table of a Word file that has notes: the table, its caption, the first of the notes."""
    paragraphs = qn("w:p"), qn("w:tbl")
    for table in word.tables:
        above = next(table._tbl.itersiblings(*paragraphs, preceding=True))
        below = next(table._tbl.itersiblings(*paragraphs))
        if below.tag == qn("w:p") and below.style == word.styles["Table Notes"].style_id:
            yield table, Paragraph(above, table).text, Paragraph(below, table).text


def test_word_keeps_the_notes_of_a_table_on_its_page(word: Any) -> None:
    noted = [table for table, _, _ in noted_tables(word)]
    assert len(noted) > 50
    for table in noted:
        last = [p for cell in table.rows[-1].cells for p in cell.paragraphs]
        assert all(paragraph.paragraph_format.keep_with_next for paragraph in last)


def test_word_tables_are_no_wider_than_the_page(word: Any) -> None:
    section = word.sections[0]
    room = section.page_width - section.left_margin - section.right_margin
    for table in word.tables:
        grid = [int(c.get(qn("w:w"))) for c in table._tbl.tblGrid.iter(qn("w:gridCol"))]
        assert sum(grid) * 635 <= room + Cm(0.1)  # a twentieth of a point is 635 EMU


def test_word_has_every_picture_with_its_alt_text_at_300_dpi(html: Html, word: Any) -> None:
    section = word.sections[0]
    room = section.page_width - section.left_margin - section.right_margin
    drawn = list(word.element.body.iter(qn("wp:inline")))
    alts = [d.find(qn("wp:docPr")).get("descr") for d in drawn]
    assert [squeezed(alt) for alt in alts] == [squeezed(alt) for alt in html.alts]
    for inline in drawn:
        relation = next(inline.iter(qn("a:blip"))).get(qn("r:embed"))
        part = word.part.related_parts[relation]
        assert part.content_type == "image/png"
        width = int(inline.find(qn("wp:extent")).get("cx"))
        assert width <= room + Cm(0.1)
        pixels = Image.open(io.BytesIO(part.blob)).width
        assert pixels / (width / 914400) == pytest.approx(DOTS_PER_INCH, rel=0.01)


def test_word_has_the_notice_in_its_header_and_a_page_number(word: Any) -> None:
    for section in word.sections:
        assert not section.different_first_page_header_footer
        assert SYNTHETIC_NOTICE in section.header.paragraphs[0].text
        fields = [f.get(qn("w:instr")) for f in section.footer._element.iter(qn("w:fldSimple"))]
        assert fields == ["PAGE"]


def test_word_has_a_table_of_contents_that_leads_to_the_headings(word: Any) -> None:
    instructions = [i.text for i in word.element.body.iter(qn("w:instrText"))]
    assert [i.split()[0] for i in instructions if not i.startswith("SEQ ")] == ["TOC"]
    marks = {m.get(qn("w:name")) for m in word.element.body.iter(qn("w:bookmarkStart"))}
    links = {a for h in word.element.body.iter(qn("w:hyperlink")) if (a := h.get(qn("w:anchor")))}
    assert links - marks == set()
    entries = [p.text for p in word.paragraphs if p.style.name.lower() in ("toc 1", "toc 2")]
    wanted = [p.text for p in word.paragraphs if p.style.name in ("Heading 1", "Heading 2")]
    assert entries == wanted


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    book = Book(blocks=[para(words("Text."))])
    made = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        print_word.make(book, COVER, folder / "book.docx", folder)
        print_pdf.make(book, COVER, [], folder / "book.pdf", folder)
        made.append([(folder / f"book.{kind}").read_bytes() for kind in ("docx", "pdf")])
        # Dates in a ZIP file are even seconds.
        time.sleep(2.1)
    assert made[0] == made[1]


FOOTNOTED = """
Title
=====

Said in the text [#]_ and more.

.. [#] Said at the foot.
"""


def written(text: str, dialect: Dialect) -> Book:
    """A page of reStructuredText as a book of a dialect."""
    doctree = publish_doctree(text, settings_overrides={"doctitle_xform": False})
    book = Book()
    anchors = {"page": aliases(doctree)}
    Page("page", doctree, dialect, book, anchors, {}, {}, {}, Path()).write()
    return book


def heading(level: int, label: str) -> dict[str, Any]:
    return {"t": "Header", "c": [level, [label, [], []], words(label.title())]}


def test_a_missing_font_hides_no_other_fault_of_the_pdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fonts = print_pdf.Families((print_pdf.TEXT_FONT,), "a font is missing")
    monkeypatch.setattr(print_pdf, "families", lambda text: fonts)
    book = Book(blocks=[heading(1, "first"), heading(4, "second"), para(words("Text."))])
    told = print_pdf.make(book, COVER, [Part("", ("first",))], tmp_path / "book.pdf", tmp_path)
    assert told[0] == "a font is missing"
    assert told[1].startswith("the PDF does not reach PDF/UA-1: ")


@pytest.mark.parametrize(
    ("ending", "why"),
    [(lambda: [].index("size"), "ValueError: "), (lambda: os._exit(9), "its process was killed")],
)
def test_a_printed_book_that_fails_leaves_none_of_before(
    ending: Callable[[], Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A book that became public must not keep the internal one beside its pages."""

    monkeypatch.setattr(print_builder, "prepare", lambda *_: ending())
    monkeypatch.setattr(print_builder, "PrintBuilder", lambda app, env: None)
    app: Any = SimpleNamespace(
        builder=SimpleNamespace(name="html"),
        config=SimpleNamespace(print_with_html=True),
        outdir=tmp_path / "html",
        env=None,
    )
    for folder in "html", "print":
        (tmp_path / folder).mkdir()
        for name in print_builder.FILES:
            (tmp_path / folder / name).write_text("before")
    told: list[str] = []
    monkeypatch.setattr(print_builder, "tell", told.extend)
    print_builder.PrintTask().finish(app, None)
    assert len(told) == 1
    assert "the printed book could not be made" in told[0]
    assert why in told[0]
    assert not list(tmp_path.rglob("book.*"))


@needs_poppler
def test_a_footnote_stands_at_the_foot_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    book = written(FOOTNOTED, print_pdf.TypstDialect())
    assert print_pdf.make(book, COVER, [Part("", ("page",))], path, tmp_path) == []
    corners, texts = boxes(path)[-1]
    assert corners[texts.index("foot."), 1] > 0.8 * PAGE[1]
    assert corners[texts.index("more."), 1] < 0.5 * PAGE[1]


def test_a_footnote_is_one_in_word(tmp_path: Path) -> None:
    path = tmp_path / "book.docx"
    print_word.make(written(FOOTNOTED, WordDialect()), COVER, path, tmp_path)
    with zipfile.ZipFile(path) as file:
        assert "Said at the foot." in "".join(
            ET.fromstring(file.read("word/footnotes.xml")).itertext()
        )
        assert "Said at the foot." not in file.read("word/document.xml").decode()


# Fonts


def test_the_bundled_font_has_the_chinese_of_the_shipped_text() -> None:
    shipped = print_font.shipped_characters()
    assert len(shipped) > 50
    found = print_pdf.families("".join(sorted(shipped)), system=False)
    assert found.names[-1] == print_pdf.BUNDLED_HAN
    assert found.problem == "", "python -m book.extensions.print_font makes the font again"
    assert (print_pdf.FONTS / "OFL.txt").is_file()
    assert print_font.FILE.stat().st_size < 200_000


def test_characters_that_no_font_has_are_named() -> None:
    found = print_pdf.families("\u9f98\u7b56", system=False)
    assert "\u9f98" in found.problem
    assert "\u7b56" not in found.problem
    assert "fonts-noto-cjk" in found.problem


def test_text_without_chinese_asks_for_no_chinese_font() -> None:
    assert print_pdf.families("Größe ≥ 2").names == (print_pdf.TEXT_FONT,)


def test_text_of_pictures_needs_a_font_too(tmp_path: Path) -> None:
    picture = tmp_path / "fig.svg"
    picture.write_text(SVG.replace("</svg>", "<text>龘<tspan>药</tspan></text></svg>"), "utf-8")
    assert print_pdf.picture_text(picture) == "龘药"
    assert print_pdf.picture_text(tmp_path / "fig.png") == ""


def test_a_font_that_is_missing_is_told_once_and_fails_no_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = print_pdf.candidates
    monkeypatch.setattr(print_pdf, "candidates", lambda system: found(system=False))
    told, path = small_pdf(tmp_path, "A study", "The regimen 龘药.")
    assert len(told) == 1
    assert isinstance(told[0], print_pdf.Advice)
    assert "龘" in told[0]
    assert path.read_bytes().startswith(b"%PDF")
    said: dict[str, str] = {}
    for kind in ("info", "warning"):
        monkeypatch.setattr(
            print_builder.logger, kind, lambda _, text, kind=kind: said.update({kind: text})
        )
    print_builder.tell([*told, "the PDF is broken"])
    assert said == {"info": told[0], "warning": "the PDF is broken"}


def small_pdf(tmp_path: Path, title: str, text: str, notice: str = "") -> tuple[list[str], Path]:
    """A printed book of one page: what was told, and its path."""
    header = {"t": "Header", "c": [1, ["first", [], []], words("First")]}
    book = Book(blocks=[header, {"t": "Para", "c": words(text)}])
    cover = PrintedCover(title, "A centre", "", "", "1", notice, "en")
    path = tmp_path / "book.pdf"
    told = print_pdf.make(book, cover, [Part("", ("first",))], path, tmp_path / "cache")
    return told, path


@needs_poppler
def test_a_book_of_real_patients_has_no_notice(tmp_path: Path) -> None:
    told, path = small_pdf(tmp_path, "A study", "Text with #markup, $signs$ and <angles>.")
    assert told == []
    text = " ".join(pdf_text(path))
    assert "#markup, $signs$ and <angles>" in " ".join(text.split())
    assert "Synthetic" not in text
    assert "A centre" in text


def test_text_that_no_font_can_set_is_told_and_the_pdf_is_made(tmp_path: Path) -> None:
    told, path = small_pdf(tmp_path, "A study", "A private letter: \U0010fffd")
    assert len(told) == 1
    assert "PDF/UA-1" in told[0]
    assert path.read_bytes().startswith(b"%PDF")


# Pages


def paged(tmp_path: Path, before: int, height: float) -> list[str]:
    """Text of the pages of a chapter: paragraphs, a picture, and a paragraph after it."""
    picture = tmp_path / "fig-a.svg"
    picture.write_text(SVG.replace("72pt", f"{height}pt"), encoding="utf-8")
    drawn = Numbered("figure", "Figure 1", "one--fig", [], alt="A line", image=picture)
    dialect = print_pdf.TypstDialect()
    blocks = [
        {"t": "Header", "c": [1, ["one", [], []], words("One")]},
        *[para(words(f"Paragraph {number}.")) for number in range(before)],
        *dialect.figure(drawn, words("The picture.")),
        para(words("After the picture.")),
    ]
    cover = PrintedCover("A study", "", "", "", "1", "", "en")
    path = tmp_path / "book.pdf"
    book = Book(blocks=blocks, numbered=[drawn])
    assert print_pdf.make(book, cover, [Part("", ("one",))], path, tmp_path / "cache") == []
    _cover, _contents, *pages = pdf_text(path)
    return pages


@needs_poppler
def test_notes_stand_on_the_page_of_their_table(pdf: Path, word: Any) -> None:
    pages = [squeezed(page) for page in pdf_text(pdf)]
    for table, caption, note in noted_tables(word):
        cells = tuple(tuple(cell.text for cell in row.cells) for row in table.rows)
        whole = print_widths.height(cells) <= print_pdf.SHORT
        together = [page for page in pages if squeezed(caption) in page and squeezed(note) in page]
        assert together or not whole


@needs_poppler
def test_text_fills_the_page_that_a_picture_does_not_fit_on(tmp_path: Path) -> None:
    first, second = paged(tmp_path, before=15, height=400)
    assert "After the picture." in first
    assert "The picture." in second
    assert "After" not in second


@needs_poppler
@pytest.mark.parametrize(("before", "pages"), [(5, 1), (35, 2)])
def test_a_picture_that_fits_or_leaves_a_small_gap_stands_in_its_place(
    tmp_path: Path, before: int, pages: int
) -> None:
    found = paged(tmp_path, before, height=150)
    assert len(found) == pages
    last = " ".join(found[-1].split())
    assert last.index("The picture.") < last.index("After the picture.")


# Widths


LONG = "a long text of many words " * 9


def test_widths_fit_the_page_and_follow_the_text() -> None:
    narrow = print_widths.widths((("a", "b"), ("one", "two")))
    assert sum(narrow) < 0.5
    shares = print_widths.widths((("Name", "Text"), ("x", LONG), ("y", LONG)))
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] < 0.1
    both = print_widths.widths((("A", "B", "C"), ("x" * 60, "y" * 60, "z")))
    assert sum(both) == pytest.approx(1.0)
    assert both[2] < both[0]
    assert print_widths.is_tight((("A", "B"), ("x" * 60, "y" * 60)))
    assert not print_widths.is_tight((("A", "B"), (LONG, LONG)))


def test_short_cells_stay_on_one_line_and_long_ones_are_broken() -> None:
    cells = (("Term", "Scale", "95% CI"), *[(LONG, "CTCAE 5.0", "16.5 to 37.9")] * 6)
    shares = print_widths.widths(cells)
    alone = print_widths.widths(tuple(row[1:] for row in cells))
    assert shares[1:] == [pytest.approx(share, rel=0.05) for share in alone]
    assert print_widths.height(cells) > 6 * 2
    assert print_widths.height(tuple(row[1:] for row in cells)) == 1 + 6


def test_what_belongs_together_is_not_parted_by_the_end_of_a_line() -> None:
    assert tied("P = 0.03, n = 29 and ≥ 2") == "P\u00a0=\u00a00.03, n\u00a0=\u00a029 and ≥\u00a02"
    assert tied("Rate, % (95% CI)") == "Rate,\u00a0% (95%\u00a0CI)"
    assert tied("the groups = all of them") == "the groups = all of them"


# Tables and figures as files


COVER = PrintedCover("A study", "", "", "", "1", "Not patients.", "en")
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="144pt" height="72pt" viewBox="0 0 144 72">'
    '<path d="M 0 0 L 144 72" stroke="#000"/></svg>'
)


def test_each_table_and_figure_is_a_file_named_by_its_number(tmp_path: Path) -> None:
    cells = (("Name", "n, %"), ("策略, “new”", "3 (10%)"), ("=cmd()", "-1.5"))
    picture = tmp_path / "fig-a.svg"
    picture.write_text(SVG, encoding="utf-8")
    row = [
        [["", [], []], [[["", [], []], {"t": "AlignLeft"}, 1, 1, [plain(c)]] for c in line]]
        for line in cells
    ]
    table = [
        ["", [], []],
        [None, [plain("Table 1.2. Names.")]],
        [[{"t": "AlignLeft"}, {"t": "ColWidthDefault"}]] * 2,
        [["", [], []], row[:1]],
        [[["", [], []], 0, [], row[1:]]],
        [["", [], []], []],
    ]
    blocks = tuple(WordDialect().table(table, cells, [para(words("Of all."))]))
    made = Numbered("table", "Table 1.2", "t", words("Names."), cells=cells, blocks=blocks)
    drawn = Numbered("figure", "Figure 10.3", "f", words("A line."), alt="A line", image=picture)
    folder = tmp_path / "tables"
    print_tables.write([made, drawn], COVER, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "figure-10-03.pdf",
        "figure-10-03.svg",
        "table-01-02.csv",
        "table-01-02.docx",
    ]
    with (folder / "table-01-02.csv").open(encoding="utf-8-sig", newline="") as file:
        # No cell is a formula to a spreadsheet.
        assert tuple(map(tuple, csv.reader(file))) == (*cells[:2], ("'=cmd()", "-1.5"))
    document = docx.Document(str(folder / "table-01-02.docx"))
    (shown,) = document.tables
    in_word = tuple(tuple(cell.text for cell in line.cells) for line in shown.rows)
    assert in_word == tuple(tuple(map(tied, row)) for row in cells)
    texts = [p.text for p in document.paragraphs]
    assert "Table 1.2. Names." in texts
    assert "Of all." in texts
    assert document.sections[0].header.paragraphs[0].text == "Not patients."
    (page,) = PdfReader(folder / "figure-10-03.pdf").pages
    assert [float(side) for side in page.mediabox[2:]] == pytest.approx([144, 72])


def test_a_cell_that_begins_like_a_formula_is_text_in_csv() -> None:
    cells = (("Regimen", "HR"), ('=HYPERLINK("http://x")', "-0.5"), ("@SUM(A1)", "+1 more"))
    rows = list(csv.reader(io.StringIO(print_tables.as_csv(cells))))
    assert rows[1] == ['\'=HYPERLINK("http://x")', "-0.5"]
    assert rows[2] == ["'@SUM(A1)", "'+1 more"]


def plain(text: str) -> dict[str, Any]:
    """Text of a cell in Pandoc's model."""
    return {"t": "Plain", "c": words(text)}


@pytest.mark.slow
def test_make_tables_writes_every_table_and_figure(built_book: Built) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("jupyter-book")),
            *("build", ".", "--path-output", str(built_book.html.parent.parent), *BUILD_FLAGS),
            *("--builder", "custom", "--custom-builder", "tables"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    made = Counter(path.suffix for path in (built_book.html.parent / "tables").iterdir())
    html = read_html(built_book.html)
    assert made == {
        ".docx": len(html.tables),
        ".csv": len(html.tables),
        ".svg": len(html.figures),
        ".pdf": len(html.figures),
    }
