"""The three forms of each chapter, and the executed reference that nbval compares with.

    python -m tests.reference_notebooks sync     the .md and .ipynb of each chapter from its .py
    python -m tests.reference_notebooks accept   sync, execute each chapter alone, rewrite its
    .ipynb

``chapters/NN_name.py`` is the source, ``chapters/NN_name.md`` what the book reads, and
``tests/notebooks/NN_name.ipynb`` the reference. Pictures are left out of the reference: figures are
tested on their data, and a picture is not the same from one version of a font to the next.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "application/x-salvage-figure+json")
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
TIMEOUT_SECONDS = 600
# Environment of a reference run: the checkout's own package, and no pictures.
REFERENCE_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "SALVAGE_PICTURES": "0"}


@dataclass(frozen=True)
class Paths:
    """Where the three forms of the chapters stand."""

    root: Path = ROOT

    def sources(self) -> list[Path]:
        """The chapters, found by pattern."""
        return sorted((self.root / "chapters").glob("[0-9][0-9]_*.py"))

    def page(self, source: Path) -> Path:
        return source.with_suffix(".md")

    def reference(self, source: Path) -> Path:
        return self.root / "tests" / "notebooks" / f"{source.stem}.ipynb"


def plain_cells(notebook: NotebookNode) -> list[tuple[str, str, tuple[str, ...]]]:
    """Type, source and tags of each cell: what must be the same in all three forms."""
    return [
        (cell.cell_type, cell.source, tuple(cell.metadata.get("tags", [])))
        for cell in notebook.cells
    ]


def read(path: Path) -> NotebookNode:
    """A chapter in any of its forms."""
    if path.suffix == ".ipynb":
        return nbformat.read(path, as_version=4)
    return jupytext.read(path)


def page_text(source: Path) -> str:
    """The MyST Markdown of a chapter. The version of jupytext is left out: it says nothing of the
    chapter.
    """
    notebook = read(source)
    notebook.metadata = NotebookNode(
        kernelspec=KERNELSPEC,
        jupytext={"notebook_metadata_filter": "-jupytext.text_representation.jupytext_version"},
    )
    text: str = jupytext.writes(notebook, fmt="md:myst")
    lines = [line for line in text.splitlines() if "notebook_metadata_filter" not in line]
    return "\n".join(lines) + "\n"


def tidy(notebook: NotebookNode) -> NotebookNode:
    """A notebook that says the same in the same bytes: fixed ids, least metadata, no pictures."""
    cells = []
    for number, cell in enumerate(notebook.cells):
        kept: dict[str, Any] = {
            "id": f"cell-{number:02d}",
            "cell_type": cell.cell_type,
            "metadata": {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {},
            "source": cell.source,
        }
        if cell.cell_type == "code":
            kept["execution_count"] = cell.get("execution_count")
            kept["outputs"] = [tidy_output(output) for output in cell.get("outputs", [])]
        cells.append(kept)
    return nbformat.from_dict(
        {
            "cells": cells,
            "metadata": {"kernelspec": KERNELSPEC},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def tidy_output(output: NotebookNode) -> dict[str, Any]:
    """An output without its pictures."""
    kept = dict(output)
    if "data" in kept:
        kept["data"] = {mime: data for mime, data in kept["data"].items() if mime not in PICTURES}
    return kept


def reference_text(notebook: NotebookNode) -> str:
    """The bytes of a reference notebook."""
    text: str = nbformat.writes(tidy(notebook), version=nbformat.NO_CONVERT)
    return text + "\n"


def with_kept_outputs(notebook: NotebookNode, reference: Path) -> NotebookNode:
    """The source's cells with the outputs of the reference, as far as the code before them is
    unchanged.

    From the first cell whose code changed, outputs are dropped: they were made by other code.
    """
    if not reference.is_file():
        return notebook
    before = [cell for cell in read(reference).cells if cell.cell_type == "code"]
    now = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for old, new in zip(before, now, strict=False):
        if old.source != new.source:
            break
        new.outputs = old.outputs
        new.execution_count = old.execution_count
    return notebook


def listed_in_toc(root: Path) -> set[str]:
    """Every file that the table of contents names."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc.get("parts", []) for chapter in part["chapters"]]
    return {toc["root"], *chapters}


def write_if_changed(path: Path, text: str) -> bool:
    """Write a file only if it changes, so that its time stays true."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path.name}")
    return True


def sync(paths: Paths) -> None:
    """Write the page and the reference of each chapter from its source."""
    for source in paths.sources():
        write_if_changed(paths.page(source), page_text(source))
        reference = paths.reference(source)
        notebook = with_kept_outputs(read(source), reference)
        write_if_changed(reference, reference_text(notebook))
    known = {source.stem for source in paths.sources()}
    orphans = [
        path
        for pattern in ("chapters/[0-9][0-9]_*.md", "tests/notebooks/*.ipynb")
        for path in sorted(paths.root.glob(pattern))
        if path.stem not in known
    ]
    for path in orphans:
        print(f"{path.relative_to(paths.root)} has no .py: remove it or add its source")


def execute(source: Path, folder: Path) -> NotebookNode:
    """A chapter executed alone in a fresh kernel whose working directory is ``folder``."""
    from nbclient import NotebookClient

    notebook = tidy(read(source))
    folder.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **REFERENCE_ENVIRONMENT})
    return notebook


def accept(paths: Paths) -> None:
    """Write all three forms of each chapter, the reference from a run in a fresh kernel."""
    sync(paths)

    def accept_one(source: Path) -> None:
        reference = paths.reference(source)
        write_if_changed(reference, reference_text(execute(source, reference.parent)))

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(accept_one, paths.sources()))


def main(arguments: Sequence[str]) -> int:
    """Run one of the two commands."""
    commands = {"sync": sync, "accept": accept}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    commands[arguments[0]](Paths())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
