"""axe-core on every page, in light and dark: no serious or critical violation."""

from importlib.resources import files

import pytest

from tests.in_browser import PAGES, Watched, use_theme

THEMES = ("light", "dark")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")
# What the theme's own button does: a colour that fades in would be measured half way.
SWITCH = """theme => {
    const still = document.createElement("style");
    still.textContent = "* { transition: none !important; }";
    document.head.append(still);
    document.documentElement.dataset.theme = theme;
    document.documentElement.dataset.mode = theme;
}"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_in_both_themes(watched: Watched, site: str, name: str) -> None:
    page = watched.page
    use_theme(page, THEMES[0])
    page.goto(f"{site}/{name}.html", wait_until="load")
    page.evaluate(AXE)
    for theme in THEMES:
        page.evaluate(SWITCH, theme)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        grave = [
            f"{v['id']} ({v['impact']}): {v['help']}: {node['target']} {node['html'][:120]}"
            for v in found
            if v["impact"] in GRAVE
            for node in v["nodes"][:3]
        ]
        assert grave == [], theme


def test_axe_sees_a_violation(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/index.html")
    page.wait_for_url("**/00_summary.html")
    page.evaluate("document.querySelector('.drawing').removeAttribute('aria-label')")
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert "svg-img-alt" in {violation["id"] for violation in found}
