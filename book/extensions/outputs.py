"""Put the outputs of each chapter into its page.

MyST-NB reads the chapters and renders outputs; it is told not to execute. In place of its own
execution client stands :class:`FilledClient`, which takes the outputs from the
:class:`~book.extensions.execution.Runner`.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

from book.extensions import inputs
from book.extensions.execution import (
    Cache,
    Chapter,
    ChapterError,
    Runner,
    read_chapters,
    write_atomically,
)
from salvage import paths

if TYPE_CHECKING:
    from sphinx.application import Sphinx

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
        self.runner = Runner(Cache(build / ".cache" / "outputs"), sys.stdout)
        self.planned = {chapter.name: chapter for chapter in read_chapters(root, names)}
        self.runner.start(list(self.planned.values()))

    def digests(self) -> dict[str, str]:
        """For each page with code, the digest of everything that its outputs depend on."""
        return {name: self.runner.digest(chapter) for name, chapter in self.planned.items()}

    def fill(self, notebook: Any, file: Path) -> list[float]:
        """Give the code cells of a notebook their outputs; seconds of each cell.

        Raises:
            ChapterError: a chapter could not be run.
        """
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if not cells:
            return []
        name = file.relative_to(self.root).with_suffix("").as_posix()
        chapter = Chapter(name, file, tuple(inputs.normal(cell.source) for cell in cells))
        from nbformat.notebooknode import from_dict

        run = self.runner.outputs(chapter)
        for cell, outputs, count in zip(cells, run["outputs"], run["counts"], strict=True):
            cell.outputs = from_dict(  # type: ignore[no-untyped-call]
                [self._shown(output) for output in outputs]
            )
            cell.execution_count = count
        return run["seconds"]

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


def setup(app: "Sphinx") -> None:
    """Replace MyST-NB's execution client."""
    _replace_client(app.chapters)  # type: ignore[attr-defined]
    app.connect("build-finished", _close)


def _replace_client(chapters: Chapters) -> None:
    import myst_nb.sphinx_
    from myst_nb.core.execute.base import NotebookClientBase

    class FilledClient(NotebookClientBase):  # type: ignore[misc]  # untyped
        """Fills the notebook with outputs instead of executing it."""

        def start_client(self) -> None:
            try:
                seconds = chapters.fill(self.notebook, self.path)
            except ChapterError as error:
                raise ExtensionError(f"the book stops here: {error}") from None
            self.exec_metadata = {
                "mtime": 0.0,
                "runtime": round(sum(seconds), 3),
                "method": "salvage",
                "succeeded": True,
                "error": None,
                "traceback": None,
            }

    def create_client(
        notebook: Any, source: str, nb_config: Any, logger: Any, read_fmt: Any = None
    ) -> FilledClient:
        return FilledClient(notebook, Path(source), nb_config, logger)

    myst_nb.sphinx_.create_client = create_client


def _close(app: "Sphinx", exception: Exception | None) -> None:
    app.chapters.runner.close()  # type: ignore[attr-defined]
