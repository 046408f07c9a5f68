"""A term is linked to the glossary, and defined in the margin, where a page uses it first."""

import html
import re
from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes

from book.extensions import terms
from tests.reference_notebooks import ROOT, Paths
from tests.scratch_book import Built

GLOSSARY = terms.read_terms((ROOT / terms.GLOSSARY).read_text(encoding="utf-8"))
LINK = re.compile(
    r'<a class="reference internal" href="\.\./book/glossary\.html#([^"]+)"><span class="term">'
)
NOTE = re.compile(r'<aside class="margin sidebar">\s*<p><strong>(.*?)</strong> (.*?)</p>')


def term(name: str) -> terms.Term:
    return next(t for t in GLOSSARY if name in t.name.split(", "))


def uses(text: str) -> list[str]:
    return [match[0] for match, _ in terms.first_uses(text, GLOSSARY)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Duration of response, or DOR, is short.", ["Duration of response"]),
        ("The OS and the objective response rates.", ["OS", "objective response rates"]),
        ("Bispecific antibodies work.", ["Bispecific antibodies"]),
        ("By reverse Kaplan-Meier and Kaplan-Meier.", ["reverse Kaplan-Meier"]),
        ("A macro, an OSCAR, a non-CR and prose: no term.", []),
        ("Early relapse against late relapse.", ["Early relapse"]),
    ],
)
def test_forms_of_a_term_are_found(text: str, found: list[str]) -> None:
    assert uses(text) == found


def test_every_entry_of_the_glossary_is_read() -> None:
    page = (ROOT / terms.GLOSSARY).read_text(encoding="utf-8")
    assert len(GLOSSARY) == page.count("\n  ")
    assert all(re.search("[\u4e00-\u9fff]", t.title) for t in GLOSSARY), "no Chinese beside it"
    assert not any(re.search("[\u4e00-\u9fff]", t.name) for t in GLOSSARY)


def page_of(*paragraphs: nodes.Node) -> nodes.document:
    document = new_document("chapter")
    section = nodes.section()
    section += [nodes.title("", "", nodes.Text("OS of a cohort")), *paragraphs]
    document += section
    return document


def test_titles_links_code_and_tables_are_left_alone() -> None:
    table = nodes.table("", nodes.paragraph("", "", nodes.Text("The OS in a cell.")))
    link = nodes.paragraph("", "", nodes.reference("", "OS", refuri="#"))
    code = nodes.paragraph("", "", nodes.literal("", "OS"))
    document = page_of(table, link, code, nodes.paragraph("", "", nodes.Text("The OS at last.")))
    assert [text.astext() for text in terms.prose(document)] == ["The OS at last."]


def test_the_text_of_a_page_stays_the_same() -> None:
    text = nodes.Text("The OS (overall survival) and a CR.")
    found = terms.first_uses(text.astext(), GLOSSARY)
    pieces = terms.linked(text, found, "chapters/01_cohort")
    assert "".join(piece.astext() for piece in pieces) == text.astext()
    targets = [p["reftarget"] for p in pieces if isinstance(p, addnodes.pending_xref)]
    assert targets == [term("OS").title, term("CR").title]


def test_a_note_hangs_at_the_section_and_goes_where_there_is_no_margin() -> None:
    text = nodes.Text("The OS.")
    box = nodes.admonition("", nodes.paragraph("", "", text))
    document = page_of(box)
    assert terms.block_of(text) is box
    box.parent.insert(box.parent.index(box), terms.margin(term("OS")))
    terms.without_margins(document)
    assert list(document.findall(nodes.sidebar)) == []
    assert text.astext() in document.astext()


@pytest.mark.parametrize("source", Paths().sources(), ids=lambda path: path.stem)
def test_each_term_of_a_chapter_is_linked_and_defined_once(source: Path, built_book: Built) -> None:
    page = (built_book.html / "chapters" / f"{source.stem}.html").read_text(encoding="utf-8")
    glossary = (built_book.html / "book" / "glossary.html").read_text(encoding="utf-8")
    links = LINK.findall(page)
    assert links, "a chapter uses no term of the glossary"
    assert len(links) == len(set(links))
    assert all(f'id="{link}"' in glossary for link in links)
    notes = {html.unescape(name): html.unescape(text) for name, text in NOTE.findall(page)}
    assert len(notes) == len(links)
    defined = {t.name: t.definition for t in GLOSSARY}
    for name, text in notes.items():
        assert text.replace("’", "'") == defined[name]
