"""Reading built HTML pages: tags, texts, links and anchors."""

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

# Attributes by which a page loads something when it is opened.
LOADING = {
    "img": ("src", "srcset"),
    "script": ("src",),
    "link": ("href",),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}


@dataclass
class Page:
    """What is of interest on one page."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    images: list[tuple[str, str | None]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    language: str | None = None
    title: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        page = self.page
        page.classes += (given.get("class") or "").split()
        for name in ("id", "name"):
            value = given.get(name)
            if value:
                page.anchors.add(value)
        if tag == "html":
            page.language = given.get("lang")
        if tag == "a" and given.get("href"):
            page.links.append(given["href"] or "")
        if tag == "img":
            page.images.append((given.get("src") or "", given.get("alt")))
        page.loads += [given[a] or "" for a in LOADING.get(tag, ()) if given.get(a)]
        self._in_title = tag == "title"

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.page.title += data
            self._in_title = False


@cache
def read_page(path: Path) -> Page:
    """The page in a file."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def pages(html: Path) -> list[Path]:
    """Every HTML page of a built book."""
    return sorted(html.rglob("*.html"))
