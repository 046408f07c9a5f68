"""Links inside the built book lead somewhere; citations and DOIs are in order. Offline."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.built_pages import pages, read_page
from tests.reference_notebooks import ROOT
from tests.scratch_book import Built

DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")


def broken_links(html: Path) -> list[str]:
    """Every link, image, script and style of a built book that leads nowhere."""
    found = []
    for path in pages(html):
        page = read_page(path)
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = path.parent / unquote(parts.path) if parts.path else path
            if not target.is_file():
                found.append(f"{path.name}: {address}: no such file")
            elif (
                parts.fragment
                and target.suffix == ".html"
                and unquote(parts.fragment) not in read_page(target).anchors
            ):
                found.append(f"{path.name}: {address}: no such anchor")
    return found


def test_internal_links_lead_somewhere(built_book: Built) -> None:
    assert broken_links(built_book.html) == []


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<p id="here">b</p>', encoding="utf-8")
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a> <a href="b.html#there">2</a> <a href="c.html">3</a>'
        '<img src="none.svg" alt="x"> <a href="#top">4</a> <a href="https://example.org">5</a>',
        encoding="utf-8",
    )
    assert broken_links(tmp_path) == [
        "a.html: b.html#there: no such anchor",
        "a.html: c.html: no such file",
        "a.html: #top: no such anchor",
        "a.html: none.svg: no such file",
    ]


def test_outside_links_are_https(built_book: Built) -> None:
    plain = {
        link
        for path in pages(built_book.html)
        for link in read_page(path).links
        if urlsplit(link).scheme not in ("", "https", "mailto")
    }
    assert plain == set()


def bibliography() -> dict[str, str]:
    """Entries of the bibliography by their key."""
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = re.split(r"^@\w+\{", text, flags=re.MULTILINE)[1:]
    return {entry.partition(",")[0].strip(): entry for entry in entries}


def cited_keys() -> set[str]:
    """Every key that a chapter or a page of the book cites."""
    sources = [*(ROOT / "chapters").glob("*.md"), *(ROOT / "book").glob("*.md")]
    found: set[str] = set()
    for source in sources:
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", source.read_text(encoding="utf-8")):
            found |= {key.strip() for key in keys.split(",")}
    return found


def test_every_citation_has_its_entry() -> None:
    assert cited_keys() - set(bibliography()) == set()
    assert cited_keys()


def test_dois_are_well_formed() -> None:
    fields = {
        key: re.findall(r"doi\s*=\s*[{\"]([^}\"]*)[}\"]", entry, flags=re.IGNORECASE)
        for key, entry in bibliography().items()
    }
    assert {k: v for k, v in fields.items() if any(not DOI.fullmatch(doi) for doi in v)} == {}
    assert any(fields.values())


def test_linked_dois_are_those_of_the_bibliography(built_book: Built) -> None:
    known = " ".join(bibliography().values())
    linked = {
        unquote(urlsplit(link).path.lstrip("/"))
        for path in pages(built_book.html)
        for link in read_page(path).links
        if urlsplit(link).netloc == "doi.org"
    }
    assert {doi for doi in linked if not DOI.fullmatch(doi)} == set()
    assert {doi for doi in linked if doi not in known} == set()
