"""The swimmer plot as a reader uses it: by pointer, finger and keyboard, without a script, and on
paper.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from salvage.cohort import load
from salvage.display import figures, show
from salvage.display.figures.histories import histories
from salvage.display.figures.swimmer import VIEW_WORDS
from salvage.display.show import HIDDEN_HERE
from salvage.paths import DATA
from tests.browser.test_accessibility import AXE, GRAVE
from tests.in_browser import NARROW, WIDE, Watched, use_theme
from tests.scratch_book import Book, Built, cell, make_book, page

NAME = "chapters/01_cohort"
SWIMMER_CELL = cell(
    """
from salvage.display import figures
from salvage.report.gate import book_cohort

figures.swimmer_plot(book_cohort())
"""
)
HOSTILE = '</script><script>window.ran=1</script><img src=x onerror="window.ran=1"> ``` <b>x</b>'
# Whether the lanes cover the drawing, to a pixel.
ON_THE_PICTURE = """() => {
  const picture = document.querySelector("#fig-swimmer .drawing").getBoundingClientRect();
  const lanes = document.querySelector(".swimmer-lanes").getBoundingClientRect();
  const apart = ["left", "top", "right", "bottom"].map((side) => picture[side] - lanes[side]);
  return apart.every((distance) => Math.abs(distance) < 1);
}"""
Lane = dict[str, Any]


@pytest.fixture(scope="module")
def lanes() -> list[Lane]:
    """The histories that the page must tell, from the upper lane to the lower."""
    view = figures.swimmer_plot(load(DATA))._repr_mimebundle_()[show.FIGURE_MIME]["view"]
    found: list[Lane] = json.loads(json.dumps(view["lanes"]))
    return found


def opened(watched: Watched, address: str) -> Page:
    """The page of the cohort, with the swimmer plot at the top of the screen."""
    watched.page.goto(address, wait_until="load")
    watched.page.locator("#fig-swimmer").evaluate("node => node.scrollIntoView()")
    return watched.page


def panel(page: Page) -> Locator:
    return page.locator("#fig-swimmer .swimmer-panel")


def list_of(page: Page) -> Locator:
    return page.get_by_role("listbox", name=VIEW_WORDS["lanes"])


def point_at(page: Page, lane: int) -> None:
    box = page.locator(".swimmer-lane").nth(lane).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.move(x + 3, y)


def expect_history(page: Page, lane: Lane) -> None:
    """The panel tells this history and no other; its lane is the one that is chosen."""
    expect(panel(page).locator(".swimmer-title")).to_have_text(lane["summary"])
    assert panel(page).locator("dt").all_inner_texts() == [m["when"] for m in lane["moments"]]
    entries = panel(page).locator("dd").all()
    for entry, moment in zip(entries, lane["moments"], strict=True):
        assert entry.inner_text().split("\n") == [moment["what"], *moment["details"]]
    chosen = page.locator(".swimmer-lane[aria-selected=true]")
    assert chosen.evaluate_all("all => all.map(n => n.ariaLabel)") == [lane["summary"]]
    assert list_of(page).get_attribute("aria-activedescendant") == chosen.get_attribute("id")


def expect_hint(page: Page) -> None:
    expect(panel(page)).to_have_text(VIEW_WORDS["hint"], use_inner_text=True)
    assert panel(page).get_by_role("button").count() == 0
    assert page.locator(".swimmer-lane[aria-selected=true]").count() == 0


def on_screen(page: Page, lane: int) -> None:
    """A lane is on the screen, under the page's header and above the panel, which is on it too."""
    box, below = page.locator(".swimmer-lane").nth(lane).bounding_box(), panel(page).bounding_box()
    header = page.locator(".bd-header-article").bounding_box()
    size = page.viewport_size
    assert box is not None
    assert below is not None
    assert header is not None
    assert size is not None
    assert box["y"] >= header["y"] + header["height"]
    assert box["y"] + box["height"] <= below["y"] + 1
    assert below["y"] + below["height"] <= size["height"] + 1


@pytest.mark.parametrize("lane", [0, 3, 20])
def test_pointing_at_a_lane_tells_its_history(
    watched: Watched, site: str, lanes: list[Lane], lane: int
) -> None:
    page = opened(watched, f"{site}/{NAME}.html")
    expect_hint(page)
    point_at(page, lane)
    expect_history(page, lanes[lane])
    faces = page.locator(".swimmer-lane").evaluate_all(
        "all => all.map(n => getComputedStyle(n).backgroundColor)"
    )
    veiled = [face == "color(srgb 1 1 1 / 0.6)" for face in faces]
    assert veiled == [i != lane for i in range(len(lanes))]
    # The history stays when the pointer leaves; the other lanes are seen again.
    page.mouse.move(5, 5)
    expect_history(page, lanes[lane])
    other = page.locator(".swimmer-lane").nth(lane + 1)
    assert other.evaluate("n => getComputedStyle(n).backgroundColor") == "rgba(0, 0, 0, 0)"
    page.keyboard.press("Escape")  # of somebody who is elsewhere on the page
    expect_history(page, lanes[lane])
    point_at(page, lane + 1)
    page.keyboard.press("Escape")
    expect_hint(page)
    assert page.evaluate("document.activeElement === document.body")
    assert (watched.errors, watched.outside) == ([], [])


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_keyboard_moves_between_lanes(
    watched: Watched, site: str, lanes: list[Lane], size: Any
) -> None:
    watched.page.set_viewport_size(size)
    page = opened(watched, f"{site}/{NAME}.html")
    last = len(lanes) - 1
    list_of(page).focus()
    expect_hint(page)
    for key, lane in (
        ("ArrowDown", 0),
        ("ArrowDown", 1),
        ("ArrowUp", 0),
        ("ArrowUp", 0),
        ("End", last),
        ("ArrowDown", last),
        ("ArrowUp", last - 1),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        expect_history(page, lanes[lane])
        on_screen(page, lane)
    page.keyboard.press("Escape")
    expect_hint(page)
    assert list_of(page).get_attribute("aria-activedescendant") is None
    page.keyboard.press("ArrowUp")
    expect_history(page, lanes[last])


def test_tab_reaches_the_lanes_and_then_the_buttons(
    watched: Watched, site: str, lanes: list[Lane]
) -> None:
    page = opened(watched, f"{site}/{NAME}.html")
    page.locator("#the-course-of-each-patient details.hide summary").last.focus()
    page.keyboard.press("Tab")
    expect(list_of(page)).to_be_focused()
    assert list_of(page).evaluate("n => getComputedStyle(n).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=VIEW_WORDS["previous"])).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_history(page, lanes[1])
    page.keyboard.press("Escape")
    expect_hint(page)
    expect(list_of(page)).to_be_focused()


def test_a_tap_tells_a_history_and_buttons_lead_on(
    browser: Browser, site: str, lanes: list[Lane]
) -> None:
    context = browser.new_context(viewport=NARROW, has_touch=True, is_mobile=True)
    watched = Watched(context.new_page())
    page = opened(watched, f"{site}/{NAME}.html")
    page.locator(".swimmer-lane").nth(2).tap()
    expect_history(page, lanes[2])
    buttons = panel(page).get_by_role("button")
    assert buttons.all_inner_texts() == [VIEW_WORDS[key] for key in ("previous", "next", "close")]
    for button in buttons.all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
    buttons.nth(1).tap()
    expect_history(page, lanes[3])
    buttons.nth(0).tap()
    expect_history(page, lanes[2])
    buttons.nth(2).tap()
    expect_hint(page)
    assert watched.errors == []
    context.close()


def test_a_page_that_scrolls_under_a_resting_pointer_chooses_nothing(
    watched: Watched, site: str, lanes: list[Lane]
) -> None:
    page = opened(watched, f"{site}/{NAME}.html")
    point_at(page, 4)
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(300)
    expect_history(page, lanes[4])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_lanes_lie_on_the_picture_at_every_width(
    watched: Watched, site: str, theme: str
) -> None:
    use_theme(watched.page, theme)
    page = opened(watched, f"{site}/{NAME}.html")
    for size in (WIDE, NARROW, WIDE):
        page.set_viewport_size(size)
        # The theme moves the page for a while after the width has changed.
        page.wait_for_function(ON_THE_PICTURE, timeout=5000)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_page_with_a_chosen_lane_is_accessible(
    watched: Watched, site: str, theme: str, size: Any
) -> None:
    use_theme(watched.page, theme)
    watched.page.set_viewport_size(size)
    page = opened(watched, f"{site}/{NAME}.html")
    list_of(page).focus()
    page.keyboard.press("ArrowDown")
    assert panel(page).locator("[aria-live=polite] .swimmer-title").count() == 1
    page.evaluate(AXE)
    found = page.evaluate("axe.run('#fig-swimmer', {resultTypes: ['violations']})")["violations"]
    assert [v["id"] for v in found if v["impact"] in GRAVE] == []


def test_on_paper_the_figure_is_the_static_one(watched: Watched, site: str) -> None:
    page = opened(watched, f"{site}/{NAME}.html")
    page.emulate_media(media="print")
    before = page.locator("#fig-swimmer").inner_text()
    page.emulate_media(media="screen")
    point_at(page, 3)
    assert list_of(page).is_visible()
    page.emulate_media(media="print")
    assert page.locator("#fig-swimmer .drawing").is_visible()
    assert page.locator("#fig-swimmer figcaption").is_visible()
    assert not page.locator(".swimmer-lanes").is_visible()
    assert not panel(page).is_visible()
    assert page.locator("#fig-swimmer").inner_text() == before
    assert before.startswith("Figure ")


def test_without_a_script_the_figure_is_the_static_one(
    browser: Browser, site: str, lanes: list[Lane]
) -> None:
    context = browser.new_context(viewport=WIDE, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{NAME}.html", wait_until="load")
    assert page.locator("#fig-swimmer .drawing").is_visible()
    assert (page.locator("#fig-swimmer .drawing").get_attribute("aria-label") or "").startswith(
        "Swimmer plot"
    )
    assert page.locator("#fig-swimmer figcaption").is_visible()
    assert page.locator(".swimmer-lanes, .swimmer-panel").count() == 0
    assert lanes[0]["summary"] not in page.locator("body").inner_text()
    context.close()


def test_histories_are_told_from_disk(
    watched: Watched, built_book: Built, lanes: list[Lane]
) -> None:
    page = opened(watched, (built_book.html / f"{NAME}.html").as_uri())
    point_at(page, 1)
    expect_history(page, lanes[1])
    assert (watched.errors, watched.outside) == ([], [])


# --- what else may hold a history -----------------------------------------------------------------


def holders(folder: Path, tells: list[str]) -> set[str]:
    """Files of a folder that hold one of some texts, spelled as in text or as in JSON."""
    spelled = {text for told in tells for text in (told, json.dumps(told)[1:-1])}
    pattern = re.compile("|".join(map(re.escape, sorted(spelled))).encode())
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and pattern.search(path.read_bytes())
    }


def test_only_the_page_itself_holds_the_histories(built_book: Built, lanes: list[Lane]) -> None:
    assert holders(built_book.html, [lane["summary"] for lane in lanes]) == {f"{NAME}.html"}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A book of the swimmer plot alone."""
    return make_book(tmp_path / "book", {"00_summary": page("Courses", SWIMMER_CELL)})


def test_a_public_book_holds_no_history_anywhere(book: Book) -> None:
    book.replace("data/study.yaml", "audience: internal", "audience: public")
    built = book.build()
    assert built.code == 0, built.plain()[-3000:]
    assert HIDDEN_HERE in built.page("chapters/00_summary")
    summaries = [history.summary for history in histories(load(DATA))]
    assert holders(book.root / "_build", [*summaries, "figure-view"]) == {"html/_static/swimmer.js"}


def test_what_a_data_file_says_is_text_and_never_markup(book: Book, watched: Watched) -> None:
    file = book.root / "data" / "salvage.csv"
    quoted = '"{}"'.format(HOSTILE.replace('"', '""'))
    file.write_text(file.read_text(encoding="utf-8").replace("glofitamab", quoted), "utf-8")
    built = book.build()
    assert built.code == 0, built.plain()[-3000:]
    page = opened(watched, (built.html / "chapters" / "00_summary.html").as_uri())
    told = []
    list_of(page).focus()
    for _ in page.locator(".swimmer-lane").all():
        page.keyboard.press("ArrowDown")
        told.append(panel(page).inner_text())
    given = load(book.root / "data").salvage["regimen"]
    assert sum(text.count(HOSTILE) for text in told) == int((given == HOSTILE).sum()) > 0
    assert panel(page).locator("script, img, b").count() == 0
    assert page.evaluate("window.ran") is None
    assert watched.errors == []
