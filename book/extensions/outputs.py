"""Put the outputs of each chapter into its page.

MyST-NB reads the chapters and renders outputs; it is told not to execute. Before it reads a
chapter, the chapter becomes a notebook that has its outputs, which the
:class:`~book.extensions.execution.Runner` has.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from book.extensions import inputs
from book.extensions.execution import Cache, Job, Runner, write_atomically
from salvage import paths

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

FIGURE_MIME = "application/x-salvage-figure+json"
FIGURE_FOLDER = "/_build/figures"  # what the Markdown of a figure names
MARKDOWN_MIME = "text/markdown"
TOC = "_toc.yml"


class Chapters:
    """The chapters of one build: their outputs, their figures, and the digest that each page was
    made from.
    """

    def __init__(self, root: Path, build: Path, names: list[str]) -> None:
        self.root = root
        self.figures = build / "figures"
        self._figure_link = "/" + Path(os.path.relpath(self.figures, root)).as_posix() + "/"
        self.runner = Runner(Cache(build / ".cache" / "outputs"))
        pages = {name: root / f"{name}.md" for name in names}
        self.texts = {n: f.read_text(encoding="utf-8") for n, f in pages.items() if f.is_file()}
        sources = {name: inputs.code_cells(text) for name, text in self.texts.items()}
        self._jobs = {name: self._job(name, cells) for name, cells in sources.items() if cells}
        self.runner.start(list(self._jobs.values()))

    def digests(self) -> dict[str, str]:
        """For each page with code, the digest of everything that its outputs depend on."""
        return {name: job.digest for name, job in self._jobs.items()}

    def fill(self, name: str, notebook: Any) -> None:
        """Give the code cells of a notebook their outputs.

        Raises:
            ChapterError: a chapter could not be run.
        """
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if not cells:
            return
        run = self.runner.answer(self._job(name, [inputs.normal(cell.source) for cell in cells]))
        for cell, outputs, count in zip(cells, run["outputs"], run["counts"], strict=True):
            cell.outputs = [self._shown(output) for output in outputs]
            cell.execution_count = count

    def _job(self, name: str, sources: list[str]) -> Job:
        return self.runner.chapter(name, sources, (self.root / name).parent)

    def _shown(self, output: dict[str, Any]) -> dict[str, Any]:
        """An output as the page needs it; the picture of a figure goes to the file that its
        Markdown names.
        """
        data = output.get("data", {})
        figure = data.get(FIGURE_MIME, {})
        if figure:
            self._write_figure(figure["name"], data["image/svg+xml"])
        if MARKDOWN_MIME not in data:
            return output
        # The Markdown says all; the other forms are for Jupyter. It names pictures as in a build of
        # the checkout.
        markdown = data[MARKDOWN_MIME].replace(f"{FIGURE_FOLDER}/", self._figure_link)
        if "view" in figure:
            markdown = f"{markdown}\n\n{view_block(figure['name'], figure['view'])}"
        return output | {"data": {MARKDOWN_MIME: markdown}}

    def _write_figure(self, name: str, svg: str) -> None:
        """Write a figure if it changed: Sphinx reads a page again when the file of one of its
        images is newer.
        """
        file = self.figures / f"{name}.svg"
        if not file.is_file() or file.read_text(encoding="utf-8") != svg:
            write_atomically(file, svg)


def view_block(name: str, view: dict[str, Any]) -> str:
    """The view of a figure as data of the HTML page, which its script reads; print has none of it.

    It is one line in which whatever could end the script, or the block that holds it, is escaped.
    """
    text = json.dumps(view)
    for character in "<>&`":
        text = text.replace(character, f"\\u{ord(character):04x}")
    script = f'<script type="application/json" class="figure-view" data-figure="{name}">'
    return f"```{{raw}} html\n{script}{text}</script>\n```"


def start_chapters(app: "Sphinx") -> None:
    """Start the chapters, which needs no other extension."""
    paths.pin_cohort()
    source = Path(app.srcdir)
    toc = source / app.config.overrides.get("external_toc_path", TOC)
    names = sorted(parse_toc_yaml(toc)) if toc.is_file() else []
    try:
        chapters = Chapters(source, Path(app.outdir).parent, names)
    except OSError as error:
        raise ExtensionError(str(error)) from error
    app.chapters = chapters  # type: ignore[attr-defined]  # the one object that the extensions share


def read_as_notebooks(app: "Sphinx", config: "Config") -> None:
    """Tell MyST-NB to read chapters as what :func:`fill_outputs` makes of them.

    It knows a format by the end of a path, in the form of the system: here that is a whole name.
    """
    from myst_nb.core.read import is_myst_markdown_notebook

    texts = app.chapters.texts.items()  # type: ignore[attr-defined]
    config.nb_custom_formats = {
        str(Path(f"{name}.md")): ("nbformat.reads", {"as_version": 4})
        for name, text in texts
        if is_myst_markdown_notebook(text)
    }


def fill_outputs(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Turn a chapter in Markdown into a notebook with outputs.

    Raises:
        ChapterError: it could not be run; the terminal has shown why.
    """
    from myst_nb.core.read import read_myst_markdown_notebook

    if str(Path(f"{docname}.md")) not in app.config.nb_custom_formats:
        return
    markdown = app.env.myst_config  # type: ignore[attr-defined]  # MyST's
    notebook = read_myst_markdown_notebook(source[0], markdown, add_source_map=True)
    app.chapters.fill(docname, notebook)  # type: ignore[attr-defined]
    source[0] = json.dumps(notebook)


def setup(app: "Sphinx") -> None:
    """Connect to Sphinx."""
    # After MyST-NB, which would take the names of chapters for suffixes of their own.
    app.connect("config-inited", read_as_notebooks, priority=600)
    app.connect("source-read", fill_outputs)
    app.connect("build-finished", close)


def close(app: "Sphinx", exception: Exception | None) -> None:
    """Run no more chapters."""
    app.chapters.runner.close()  # type: ignore[attr-defined]
