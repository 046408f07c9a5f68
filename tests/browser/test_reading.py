"""What a reader does with a page: takes tables and figures away, sorts, searches."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tests.in_browser import Watched, use_theme
from tests.scratch_book import Built, cell, make_book, page

SURVIVAL = "chapters/11_overall_survival"
HOSTILE_CELL = cell(
    """
from salvage.display.show import CLEARED, Table

rows = [("=1+1", "10"), ("-2.5", "9"), ("b, c", "-"), ('say "d"', "11")]
Table(CLEARED, "tab-hostile", "Hostile <b>cells</b>.", ("Name", "Number"), rows)
"""
)


def from_disk(watched: Watched, built: Built, name: str) -> Page:
    watched.page.goto((built.html / f"{name}.html").as_uri(), wait_until="load")
    return watched.page


def taken(page: Page, button: Locator) -> tuple[str, bytes]:
    """Name and content of the file that a button saves."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def column(table: Locator, number: int) -> list[str]:
    cells = table.locator(f"tbody tr > :nth-child({number})")
    return [text.strip() for text in cells.all_inner_texts()]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Built:
    text = page("A table", "See {cite}`tian2026`.\n", HOSTILE_CELL)
    return make_book(tmp_path_factory.mktemp("hostile"), {"02_table": text}).build()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_figure_is_saved_as_it_was_drawn(watched: Watched, built_book: Built, theme: str) -> None:
    use_theme(watched.page, theme)
    page = from_disk(watched, built_book, SURVIVAL)
    tools = page.locator("#fig-os-infusion + .tools")
    name, svg = taken(page, tools.get_by_role("button", name="SVG"))
    assert name == "fig-os-infusion.svg"
    assert svg.startswith(b"<svg ")
    assert b"var(" not in svg
    assert b"#222222" in svg
    name, png = taken(page, tools.get_by_role("button", name="PNG"))
    assert name == "fig-os-infusion.png"
    assert png.startswith(b"\x89PNG")
    assert (watched.errors, watched.outside) == ([], [])


def test_a_table_is_saved_with_the_cells_that_it_shows(watched: Watched, built_book: Built) -> None:
    page = from_disk(watched, built_book, SURVIVAL)
    table = page.locator("#tab-survival-origins")
    frame = page.locator(
        ".pst-scrollable-table-container:has(#tab-survival-origins) ~ .tools"
    ).first
    name, content = taken(page, frame.get_by_role("button", name="CSV"))
    assert name == "tab-survival-origins.csv"
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(rows) == 1 + table.locator("tbody tr").count()
    assert [row[0] for row in rows[1:]] == column(table, 1)


def test_what_is_copied_names_its_source(watched: Watched, built_book: Built) -> None:
    page = from_disk(watched, built_book, SURVIVAL)
    page.evaluate(
        "document.addEventListener('copy', () => (window.copied = document.activeElement.value))"
    )
    button = page.locator("#fig-os-infusion + .tools").get_by_role("button", name="Copy")
    button.focus()
    page.keyboard.press("Enter")
    copied = page.evaluate("window.copied")
    assert copied.startswith("Figure 11.1 ")
    assert "Source: " in copied
    assert SURVIVAL in copied


def test_a_table_sorts_by_mouse_and_by_keyboard_and_back(
    watched: Watched, built_book: Built
) -> None:
    page = from_disk(watched, built_book, "chapters/10_adverse_events")
    table = page.locator("#tab-safety-terms")
    first = column(table, 1)
    head = table.locator("thead th").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(table, 1) == sorted(first, key=str.lower)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(table, 1) == sorted(first, key=str.lower, reverse=True)
    page.keyboard.press("Enter")
    assert column(table, 1) == first


def test_what_a_cell_says_is_never_a_formula_and_numbers_sort_as_numbers(
    watched: Watched, hostile: Built
) -> None:
    page = from_disk(watched, hostile, "chapters/02_table")
    _, content = taken(page, page.get_by_role("button", name="CSV"))
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "-2.5", "b, c", "say “d”"]
    table = page.locator("#tab-hostile")
    table.locator("thead th").nth(1).get_by_role("button").click()
    assert column(table, 2) == ["9", "10", "11", "-"]
    assert table.locator("b").count() == 0


def test_the_search_of_a_book_on_disk_shows_sentences(watched: Watched, built_book: Built) -> None:
    page = watched.page
    page.goto(f"{(built_book.html / 'search.html').as_uri()}?q=immortal", wait_until="load")
    summary = page.locator("#search-results p.context").first
    summary.wait_for(timeout=15_000)
    assert "immortal" in summary.inner_text().lower()
    assert (watched.errors, watched.outside) == ([], [])


def test_every_fold_and_button_has_a_name_of_its_own(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/{SURVIVAL}.html", wait_until="load")
    assert page.locator("[aria-label='Toggle hidden content']").count() == 0
    for button in page.locator("article button, article summary").all():
        assert (button.get_attribute("aria-label") or button.inner_text()).strip()


def test_the_download_menu_offers_the_book(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/{SURVIVAL}.html", wait_until="load")
    hrefs = page.locator(".dropdown-download-buttons a").evaluate_all("l => l.map(a => a.href)")
    names = [href.rsplit("/", 1)[1] for href in hrefs]
    assert names == ["book.pdf", "book.docx", "results.json"]


def test_without_a_script_and_on_paper_there_are_no_tools(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/{SURVIVAL}.html", wait_until="load")
    assert page.locator(".tools").first.is_visible()
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible()
