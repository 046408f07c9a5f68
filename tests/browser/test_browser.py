"""The built book in a real browser: an installed Chromium, driven over loopback and from disk."""

from pathlib import Path

import pytest

from tests.in_browser import CHAPTERS, NARROW, PAGES, TABLET, WIDE, Watched, use_theme
from tests.reference_notebooks import ROOT, listed_in_toc
from tests.scratch_book import Built


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_in_any_width_without_errors_and_without_the_outside(
    watched: Watched, site: str, name: str
) -> None:
    for size in (NARROW, TABLET, WIDE):
        watched.page.set_viewport_size(size)
        response = watched.page.goto(f"{site}/{name}.html", wait_until="load")
        assert response is not None
        assert response.ok
        width = watched.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], f"{width} px wide on a screen of {size['width']}"
        assert watched.page.locator(".synthetic-notice").count() == 1
        assert watched.page.locator(".synthetic-notice").is_visible()
    cut = ".bd-article .pst-scrollable-table-container"
    wider = "frames => frames.filter(f => f.scrollWidth > f.clientWidth).length"
    assert watched.page.locator(cut).evaluate_all(wider) == 0, "a table is cut off at 1280 px"
    watched.page.wait_for_timeout(150)
    assert (watched.errors, watched.outside) == ([], [])


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_is_visible_and_follows_the_theme(
    watched: Watched, site: str, name: str
) -> None:
    page = watched.page
    faces = {}
    for theme in ("light", "dark"):
        use_theme(page, theme)
        page.goto(f"{site}/{name}.html", wait_until="load")
        for drawing in page.locator("article .drawing").all():
            drawing.scroll_into_view_if_needed()
            box = drawing.bounding_box()
            assert box is not None
            assert box["width"] > 200
            assert box["height"] > 50
            assert len((drawing.get_attribute("aria-label") or "").split()) >= 3
            face = drawing.evaluate("node => getComputedStyle(node).backgroundColor")
            assert faces.setdefault(theme, face) == face
    if faces:
        assert faces == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}
        page.emulate_media(media="print")
        paper = page.locator("article .drawing").first
        assert paper.evaluate("n => getComputedStyle(n).backgroundColor") == faces["light"]


def test_the_first_page_leads_to_the_cover(watched: Watched, site: str) -> None:
    watched.page.goto(f"{site}/index.html")
    watched.page.wait_for_url("**/chapters/00_summary.html")
    assert watched.page.locator("article h1").count() == 1


def test_the_contents_and_the_next_link_lead_on(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/chapters/00_summary.html")
    links = page.locator("#pst-primary-sidebar nav a.reference.internal")
    assert links.count() >= len(listed_in_toc(ROOT)) - 1
    page.locator("#pst-primary-sidebar a[href*='06_polatuzumab']").first.click()
    page.wait_for_url("**/06_polatuzumab.html")
    page.locator("a.right-next").click()
    page.wait_for_url("**/07_checkpoint.html")
    page.locator("a.left-prev").click()
    page.wait_for_url("**/06_polatuzumab.html")
    assert watched.errors == []


def test_the_search_finds_a_drug(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/search.html?q=polatuzumab")
    first = page.locator("#search-results .search a").first
    first.wait_for(timeout=15_000)
    found = page.locator("#search-results .search a").evaluate_all("l => l.map(a => a.href)")
    assert any("06_polatuzumab" in address for address in found)
    assert watched.errors == []


def test_there_is_one_search_button(watched: Watched, site: str) -> None:
    watched.page.goto(f"{site}/chapters/01_cohort.html")
    buttons = watched.page.locator("button.search-button-field:visible, form.bd-search:visible")
    assert buttons.count() == 1


def test_code_unfolds_and_folds(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/chapters/03_bispecific.html")
    fold = page.locator("details.hide").first
    code = fold.locator("pre").first
    assert not code.is_visible()
    fold.locator("summary").click()
    assert code.is_visible()
    fold.locator("summary").click()
    assert not code.is_visible()


def test_the_theme_button_changes_the_page(watched: Watched, site: str) -> None:
    page = watched.page
    use_light = "localStorage.getItem('theme') || localStorage.setItem('mode', 'light')"
    page.add_init_script(use_light)
    page.goto(f"{site}/chapters/01_cohort.html")
    faces = set()
    for _ in range(3):
        faces.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.locator("button.theme-switch-button:visible").first.click()
    assert len(faces) == 2


def test_the_menu_opens_on_a_narrow_screen(watched: Watched, site: str) -> None:
    page = watched.page
    page.set_viewport_size(NARROW)
    page.goto(f"{site}/chapters/01_cohort.html")
    link = page.locator("a.reference.internal[href*='11_overall_survival']:visible")
    assert link.count() == 0
    page.locator("button.primary-toggle:visible").first.click()
    link.first.wait_for()
    link.first.click()
    page.wait_for_url("**/11_overall_survival.html")


def test_the_results_can_be_downloaded(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/chapters/00_summary.html")
    address = page.locator("a[href$='results.json']").first.evaluate("node => node.href")
    answer = page.request.get(address)
    assert answer.ok
    assert {"os.median", "orr.all"} <= {record["id"] for record in answer.json()}


def test_the_source_of_a_page_can_be_downloaded(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/chapters/01_cohort.html")
    hrefs = page.locator(".dropdown-download-buttons a").evaluate_all("l => l.map(a => a.href)")
    assert hrefs
    for address in hrefs:
        assert page.request.get(address).ok, address


@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_from_disk(watched: Watched, built_book: Built, name: str) -> None:
    watched.page.goto((built_book.html / f"{name}.html").as_uri(), wait_until="load")
    assert watched.outside == []
    assert watched.errors == []
    assert watched.page.locator(".synthetic-notice").is_visible()
    broken = watched.page.locator("img").evaluate_all(
        "all => all.filter(i => !(i.complete && i.naturalWidth)).map(i => i.src)"
    )
    assert broken == []


def test_a_printed_page_keeps_the_notice_and_the_tables(
    watched: Watched, built_book: Built, tmp_path: Path
) -> None:
    page = watched.page
    page.goto((built_book.html / "chapters" / "01_cohort.html").as_uri(), wait_until="load")
    page.emulate_media(media="print")
    assert page.locator(".synthetic-notice").is_visible()
    assert page.locator("article table").first.is_visible()
    assert not page.locator("#pst-primary-sidebar").is_visible()
    assert not page.locator("article details.hide").first.is_visible()
    printed = tmp_path / "page.pdf"
    page.pdf(path=printed, format="A4")
    assert printed.read_bytes().startswith(b"%PDF")
