"""Figures stand in the page itself, so that they follow its theme and can be taken away.

A picture in a file of its own knows nothing of the theme that a reader chose, and a page that is
opened from disk may not read it. On paper, figures keep the colours in which they were drawn.
"""

import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

from book.extensions.execution import write_atomically

if TYPE_CHECKING:
    from sphinx.application import Sphinx

INK: Final = "#222222"
#: Colours of what is drawn around the data, with the name of each in book.css. Colours of the data
#: are the same in every theme, and so is what is written on them.
THEMED: Final = {
    INK: "ink",
    "#767676": "muted",
    "#bbbbbb": "faint",
    "#dddddd": "grid",
    "#f2f2f2": "shade",
    "#ffffff": "face",
}
_COLOUR: Final = re.compile(rf"(?<=[ :])({'|'.join(THEMED)})(?=[;\"])")
_TEXT: Final = re.compile(r'^( *)<g id="text_\d+">.*?^\1</g>\n', re.S | re.M)
_PROLOG: Final = re.compile(r"\A.*?(?=<svg )|<metadata>.*?</metadata>\s*|<!--.*?-->\s*", re.S)
_ID: Final = re.compile(r'(\bid="|href="#|url\(#)(?!#)')
SEARCH_TEXTS: Final = "search_texts.js"


def inline(svg: str, name: str, alt: str) -> str:
    """A drawing as part of a page: its own ids, themed colours, and its alternative text."""
    drawing = _ID.sub(rf"\g<1>{name}-", _themed(_PROLOG.sub("", svg)))
    opening = f'<svg class="drawing" data-name="{name}" role="img" aria-label="{escape(alt)}" '
    return drawing.replace("<svg ", opening, 1)


def _themed(svg: str) -> str:
    """A drawing whose colours a theme can change, but for what is written on data: that has a
    colour, and an edge, that can be read there.
    """
    parts, end = [], 0
    for text in _TEXT.finditer(svg):
        on_data = INK not in text[0]
        parts += [_variables(svg[end : text.start()]), text[0] if on_data else _variables(text[0])]
        end = text.end()
    return "".join([*parts, _variables(svg[end:])])


def _variables(svg: str) -> str:
    return _COLOUR.sub(lambda colour: f"var(--figure-{THEMED[colour[0]]}, {colour[0]})", svg)


class InlineFigures(SphinxPostTransform):
    """Put the drawings of the chapters into the pages of HTML."""

    default_priority = 5  # before Sphinx collects the files of images
    formats = ("html",)

    def run(self, **_: Any) -> None:
        figures = self.app.chapters.figures  # type: ignore[attr-defined]
        for image in list(self.document.findall(nodes.image)):
            file = Path(self.app.srcdir, image["uri"].lstrip("/")).resolve()
            if file.parent == figures.resolve():
                svg = file.read_text(encoding="utf-8")
                drawing = inline(svg, file.stem, image.get("alt", ""))
                image.replace_self(nodes.raw("", drawing, format="html"))


def offer_the_book(
    app: "Sphinx", pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Offer the whole book and its data where the theme offers the source of the page."""
    if pagename == "search":
        app.add_js_file(SEARCH_TEXTS, priority=100)  # before the script that reads it
    files = {"book.pdf": "PDF", "book.docx": "Word", "results.json": "Results (JSON)"}
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            group["tooltip"] = "Download the book"
            group["buttons"] = [
                {
                    "type": "link",
                    "url": context["pathto"](file, 1),
                    "text": text,
                    "icon": "fas fa-file",
                    "tooltip": f"Download {file}",
                    "label": f"download-{file.partition('.')[2]}",
                }
                for file, text in files.items()
            ]


def write_search_texts(app: "Sphinx", exception: Exception | None) -> None:
    """Write the text of all pages, from which the search shows sentences where the book is opened
    from disk: there a page may not read another.
    """
    if exception is None and app.builder.name == "html":
        texts = {name: words_of(app.env.get_doctree(name)) for name in sorted(app.env.found_docs)}
        script = f"window.bookTexts = {json.dumps(texts, ensure_ascii=False, sort_keys=True)};\n"
        write_atomically(Path(app.outdir, "_static", SEARCH_TEXTS), script)


def words_of(page: nodes.document) -> str:
    """What a reader reads on a page: no code, no comment."""
    hidden = (nodes.comment, nodes.raw, nodes.literal_block)
    texts = (text for text in page.findall(nodes.Text) if not isinstance(text.parent, hidden))
    return " ".join(text.astext() for text in texts)


def setup(app: "Sphinx") -> None:
    """Connect to Sphinx."""
    app.add_post_transform(InlineFigures)
    app.connect("html-page-context", offer_the_book, priority=900)
    app.connect("build-finished", write_search_texts)
