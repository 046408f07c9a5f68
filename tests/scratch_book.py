"""Small books made from the real extensions, settings and package, to see what a build does with
them.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD_FLAGS = ("-n", "-W", "--keep-going")

FRONT_MATTER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

REFERENCES = """\
@article{tian2026,
  author = {Tian, S.},
  title = {Salvage strategies},
  journal = {Chinese Journal of Oncology Prevention and Treatment},
  year = {2026}
}
"""


def cell(source: str, *tags: str) -> str:
    """A code cell in MyST Markdown."""
    options = f":tags: [{', '.join(tags)}]\n\n" if tags else ""
    return f"```{{code-cell}} ipython3\n{options}{source.strip()}\n```\n"


def page(title: str, *parts: str) -> str:
    """A chapter in MyST Markdown: its title, then prose and cells."""
    return "\n".join([FRONT_MATTER, f"# {title}\n", *parts])


@dataclass(frozen=True)
class Built:
    """What one build said and made."""

    code: int
    text: str
    html: Path

    def page(self, name: str) -> str:
        """The HTML of one page."""
        return (self.html / f"{name}.html").read_text(encoding="utf-8")

    def ran(self) -> set[str]:
        """Chapters that were executed in this build."""
        return set(re.findall(r"running chapters \[[#-]+\] \d+/\d+ chapters/(\w+)", self.plain()))

    def plain(self) -> str:
        """What the build said, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text)


@dataclass(frozen=True)
class Book:
    """A folder with a book that can be built."""

    root: Path

    def write(self, path: str, text: str) -> None:
        """Write a file of the book."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a file of the book; the old text must be there."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {path}"
        self.write(path, text.replace(old, new, 1))

    def command(self) -> list[str]:
        """The command that builds the book, as a user types it."""
        return [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", *BUILD_FLAGS]

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of a user who knows nothing of this project's variables."""
        dropped = ("SALVAGE_", "PYTEST_", "COV_", "COVERAGE_", "PYTHONPATH")
        return {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | extra

    def build(self, *options: str, **extra: str) -> Built:
        """Build the book, with more options of Jupyter Book and more environment variables."""
        done = subprocess.run(
            [*self.command(), *options],
            cwd=self.root,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return Built(done.returncode, done.stdout, self.root / "_build" / "html")


def make_book(root: Path, chapters: Mapping[str, str]) -> Book:
    """A book of the given chapters (by name, the first is the cover) in the folder ``root``.

    The package, the data, the extensions, the styles and the settings are copies of the real ones.
    """
    for folder in "salvage", "data", "book/extensions", "book/_static", "book/print":
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in "_config.yml", "requirements.txt":
        shutil.copy(ROOT / file, root / file)
    book = Book(root)
    book.replace("_config.yml", "print_with_html: true", "print_with_html: false")
    for name, text in chapters.items():
        book.write(f"chapters/{name}.md", text)
    book.write("book/references.bib", REFERENCES)
    cover, *rest = chapters
    listed = "".join(f"      - file: chapters/{name}\n" for name in rest)
    parts = (
        f"parts:\n  - caption: Chapters\n    numbered: true\n    chapters:\n{listed}"
        if rest
        else ""
    )
    book.write("_toc.yml", f"format: jb-book\nroot: chapters/{cover}\n{parts}")
    return book
