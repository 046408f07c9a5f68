"""What the browser tests share: the pages, the screens, and a page that notes what goes wrong."""

from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, ViewportSize

from tests.reference_notebooks import ROOT, Paths, listed_in_toc

WIDE: ViewportSize = {"width": 1280, "height": 900}
TABLET: ViewportSize = {"width": 1100, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
PAGES = [*sorted(listed_in_toc(ROOT)), "search", "genindex"]
CHAPTERS = [f"chapters/{source.stem}" for source in Paths().sources()]


class Watched:
    """A page that notes what goes wrong on it, and that is let nowhere but to loopback and the
    disk.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.outside: list[str] = []
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))
        page.route("**/*", self._route)

    def _route(self, route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("file", "data", "blob") or parts.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()


def use_theme(page: Page, theme: str) -> None:
    """Open the next pages in a theme, as a reader who has chosen it."""
    page.add_init_script(
        f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}');"
    )
