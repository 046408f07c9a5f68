"""axe-core on every page, in light and dark: no serious or critical violation."""

from importlib.resources import files

import pytest

from tests.browser import PAGES, Watched, use_theme

THEMES = ("light", "dark")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible(watched: Watched, site: str, name: str, theme: str) -> None:
    page = watched.page
    use_theme(page, theme)
    page.goto(f"{site}/{name}.html", wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    grave = [
        f"{v['id']} ({v['impact']}): {v['help']}: {node['target']} {node['html'][:120]}"
        for v in found
        if v["impact"] in GRAVE
        for node in v["nodes"][:3]
    ]
    assert grave == []


def test_axe_sees_a_violation(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/index.html")
    page.wait_for_url("**/00_summary.html")
    page.evaluate("document.querySelector('article img').removeAttribute('alt')")
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert "image-alt" in {violation["id"] for violation in found}
