"""What must be true of every page of the built book."""

import json
import re
from pathlib import Path

import pytest

from salvage import words
from tests.built_pages import pages, read_page
from tests.reference_notebooks import ROOT, Paths
from tests.scratch_book import Built

DRAWING = re.compile(r'<svg class="drawing" data-name="([\w-]+)"(.*?)</svg>', re.S)

MEGABYTE = 1_000_000
# The namespaces and licences that files name, and load nothing from.
CSS_LOADS = re.compile(r"(?:@import\s+|url\()\s*['\"]?((?:https?:)?//[^'\")\s]+)")


@pytest.fixture(scope="module")
def all_pages(built_book: Built) -> list[Path]:
    return pages(built_book.html)


def test_every_chapter_has_a_page(built_book: Built, all_pages: list[Path]) -> None:
    names = {path.relative_to(built_book.html).with_suffix("").as_posix() for path in all_pages}
    assert {f"chapters/{source.stem}" for source in Paths().sources()} <= names
    assert {"index", "search", "genindex"} <= names


def test_every_page_has_one_notice_in_its_words(all_pages: list[Path]) -> None:
    for path in all_pages:
        assert read_page(path).classes.count("synthetic-notice") == 1, path
        assert words.SYNTHETIC_NOTICE in path.read_text(encoding="utf-8"), path


def test_no_page_loads_anything_from_outside(all_pages: list[Path]) -> None:
    outside = {
        (path.name, address)
        for path in all_pages
        for address in read_page(path).loads
        if re.match(r"[a-z]+:|//", address) and not address.startswith("data:")
    }
    assert outside == set()


def test_no_style_loads_anything_from_outside(built_book: Built) -> None:
    found = {
        (path.name, address)
        for path in built_book.html.rglob("*.css")
        for address in CSS_LOADS.findall(path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_every_page_has_a_language_and_a_title(all_pages: list[Path]) -> None:
    for path in all_pages:
        page = read_page(path)
        assert page.language == "en", path
        assert page.title.strip(), path


def test_the_title_is_that_of_the_study(built_book: Built) -> None:
    title = next(
        line.partition(":")[2].strip().strip("'\"")
        for line in (ROOT / "data" / "study.yaml").read_text(encoding="utf-8").splitlines()
        if line.startswith("title:")
    )
    assert read_page(built_book.html / "chapters" / "01_cohort.html").title.strip().endswith(title)


def test_every_image_has_alt_text(all_pages: list[Path]) -> None:
    bare = {
        (path.name, source)
        for path in all_pages
        for source, alt in read_page(path).images
        if not alt or len(alt.split()) < 3
    }
    assert bare == set()


def test_pages_are_not_heavy(all_pages: list[Path]) -> None:
    assert {p.name for p in all_pages if p.stat().st_size > 3 * MEGABYTE} == set()


def test_code_is_folded(built_book: Built) -> None:
    for source in Paths().sources():
        html = built_book.page(f"chapters/{source.stem}")
        unfolded = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
        assert 'class="cell_input' not in unfolded, source.stem


def test_the_results_are_those_of_the_command_line(built_book: Built) -> None:
    from salvage.cohort import load
    from salvage.paths import DATA
    from salvage.report import results

    text = (built_book.html / "results.json").read_text(encoding="utf-8")
    assert text == results.to_json(results.collect(load(DATA)))
    assert {"os.median", "orr.all", "orr.polatuzumab"} <= {r["id"] for r in json.loads(text)}


def test_the_summary_links_the_results(built_book: Built) -> None:
    links = read_page(built_book.html / "chapters" / "00_summary.html").links
    assert any(link.endswith("results.json") for link in links)


def test_figures_keep_their_text_as_text_or_paths_and_load_nothing(built_book: Built) -> None:
    figures = {f.stem: f for f in (built_book.html.parent / "figures").glob("*.svg")}
    drawn: set[str] = set()
    for page in sorted((built_book.html / "chapters").glob("*.html")):
        for name, text in DRAWING.findall(page.read_text(encoding="utf-8")):
            drawn.add(name)
            assert not re.search(r"(?:href|src)=[\"']https?:", text), name
            assert "<script" not in text, name
    assert drawn == set(figures)
    assert not list((built_book.html / "_images").glob("fig-*"))
