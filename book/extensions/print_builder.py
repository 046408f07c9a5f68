"""The printed book: one PDF and one Word file of all pages, made without LaTeX and without a
browser.

It is made during an HTML build (setting ``print_with_html``), from the same doctrees, and put
beside the pages, which link to it; or by itself, with ``jupyter-book build . --builder custom
--custom-builder print``. The builder ``tables`` writes every table and figure into files of its
own.
"""

import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.builders import Builder
from sphinx.util import logging
from sphinx.util.parallel import ParallelTasks, SerialTasks, parallel_available

from book.extensions import binding, print_pdf, print_tables, print_word
from book.extensions.execution import write_atomically
from book.extensions.print_ast import (
    INSIDE,
    Book,
    Dialect,
    Page,
    UnknownNodeError,
    aliases,
)
from book.extensions.print_cover import Part, PrintedCover
from book.extensions.terms import without_margins
from salvage import __version__, words

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)
FOLDER = "print"
FILES = ("book.pdf", "book.docx")
STAMP = "print.txt"


class PaperBuilder(Builder, ABC):
    """Resolves the pages for paper: references lead to places of one document."""

    format = "paper"
    # As every builder of Sphinx declares it.
    supported_image_types = ["image/svg+xml", "image/png", "image/jpeg"]  # noqa: RUF012
    allow_parallel = False

    def get_outdated_docs(self) -> str:
        """All pages go into one document."""
        return "all pages"

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        """A page as print_ast knows it."""
        return INSIDE + docname

    def get_relative_uri(self, from_: str, to: str, typ: str | None = None) -> str:
        """The same from everywhere."""
        return self.get_target_uri(to, typ)

    @abstractmethod
    def write(self, *ignored: Any) -> None:
        """Write everything."""


class PrintBuilder(PaperBuilder):
    """Builds book.pdf and book.docx."""

    name = "print"
    epilog = "The printed book is in %(outdir)s."

    def write(self, *ignored: Any) -> None:
        """Write both files."""
        tell(prepare(self, Path(self.outdir)).run())


class TablesBuilder(PaperBuilder):
    """Builds a file for every table and figure."""

    name = "tables"
    epilog = "The tables and figures are in %(outdir)s."

    def write(self, *ignored: Any) -> None:
        """Write every table as .docx and .csv, every figure as .svg and .pdf."""
        book = assemble(self, resolve(self), print_word.WordDialect(counts=False))
        print_tables.write(book.numbered, cover_of(self.app), Path(self.outdir))


def page_names(env: "BuildEnvironment", root: str) -> list[tuple[str, list[str]]]:
    """Pages in the order of reading, in parts: caption (empty for the cover) and pages."""
    parts: list[tuple[str, list[str]]] = [("", [root])]
    for toctree in env.get_doctree(root).findall(addnodes.toctree):
        names = [name for entry in toctree["includefiles"] for name in _with_children(env, entry)]
        parts.append((toctree.get("caption") or "", names))
    return parts


def _with_children(env: "BuildEnvironment", name: str) -> Iterator[str]:
    yield name
    for child in env.toctree_includes.get(name, []):
        yield from _with_children(env, child)


@contextmanager
def acting_builder(app: "Sphinx", builder: Builder) -> Iterator[None]:
    """Let ``builder`` be the application's for a while: transforms ask the application for it."""
    before = app.builder
    app.builder = builder
    try:
        yield
    finally:
        app.builder = before


@contextmanager
def copied_citations(env: "BuildEnvironment") -> Iterator[None]:
    """Give the bibliography copies of its nodes: it writes into them, and the pages need them as
    they were.
    """
    domain: Any = env.get_domain("cite")
    originals = [bibliography.citation_nodes for bibliography in domain.bibliographies.values()]
    before = [dict(citations) for citations in originals]
    for citations in originals:
        citations.update({key: node.copy() for key, node in citations.items()})
    try:
        yield
    finally:
        for citations, nodes_before in zip(originals, before, strict=True):
            citations.update(nodes_before)


def resolve(builder: PaperBuilder) -> dict[str, nodes.document]:
    """Every page of the table of contents with its references resolved, in the order of reading."""
    env = builder.env
    names = [name for _, part in page_names(env, builder.config.root_doc) for name in part]
    with acting_builder(builder.app, builder), copied_citations(env):
        pages = {name: env.get_and_resolve_doctree(name, builder) for name in names}
    for page in pages.values():
        for node in list(page.findall(addnodes.toctree)):
            node.parent.remove(node)
        without_margins(page)
    return pages


def assemble(builder: PaperBuilder, pages: dict[str, nodes.document], dialect: Dialect) -> Book:
    """All pages as one document of a dialect.

    A page with content that has no printed form is named in a warning and left incomplete.
    """
    env, config = builder.env, builder.config
    book = Book()
    anchors = {name: aliases(page) for name, page in pages.items()}
    for name, page in pages.items():
        writer = Page(
            docname=name,
            doctree=page,
            dialect=dialect,
            book=book,
            anchors=anchors,
            sections=env.toc_secnumbers.get(name, {}),
            figures=env.toc_fignumbers.get(name, {}),
            formats=config.numfig_format,
            root=Path(builder.srcdir),
        )
        try:
            writer.write()
        except UnknownNodeError as error:
            logger.warning("%s", error, location=name)
    for name, label in book.dead_links():
        logger.warning("a link in print leads nowhere: %s", label, location=name)
    return book


def cover_of(app: "Sphinx") -> PrintedCover:
    """What stands on the cover and in the header."""
    facts = binding.cohort_facts(app)
    return PrintedCover(
        title=facts["title"],
        centre=facts["centre"],
        window=facts["window"],
        data_cut_off=facts["data_cut_off"],
        version=__version__,
        notice=words.SYNTHETIC_NOTICE if facts["synthetic"] else "",
        language=app.config.language,
    )


@dataclass(frozen=True)
class PrintJob:
    """A printed book that is ready to be set."""

    typst: Book
    word: Book
    cover: PrintedCover
    parts: tuple[Part, ...]
    folder: Path

    @property
    def cache(self) -> Path:
        """Folder for what is kept between builds."""
        return self.folder.parent / ".cache"

    def run(self) -> list[str]:
        """Write both files, unless those there are of the same content; what must be told."""
        stamp, digest = self.cache / STAMP, digest_of(self)
        files = [self.folder / name for name in FILES]
        if all(file.is_file() for file in (stamp, *files)) and stamp.read_text("utf-8") == digest:
            return []
        for old in (stamp, *files):
            old.unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(1) as threads:
            word = threads.submit(print_word.make, self.word, self.cover, files[1], self.cache)
            problems = print_pdf.make(self.typst, self.cover, self.parts, files[0], self.cache)
            word.result()
        if not problems:
            write_atomically(stamp, digest)
        return problems


def prepare(builder: PaperBuilder, folder: Path) -> PrintJob:
    """Everything that the printed book is made from."""
    pages = resolve(builder)
    parts = [
        Part(caption, tuple(names))
        for caption, names in page_names(builder.env, builder.config.root_doc)
        if names
    ]
    return PrintJob(
        typst=assemble(builder, pages, print_pdf.TypstDialect()),
        word=assemble(builder, pages, print_word.WordDialect()),
        cover=cover_of(builder.app),
        parts=tuple(parts),
        folder=folder,
    )


def tell(problems: Iterable[str]) -> None:
    """Say what is wrong with the printed book. Advice is no warning: what only another font on the
    computer could mend fails no build.
    """
    for problem in problems:
        log = logger.info if isinstance(problem, print_pdf.Advice) else logger.warning
        log("%s", problem)


def digest_of(job: PrintJob) -> str:
    """Digest of everything that the printed book is made from, the way of making it included."""
    digest = hashlib.sha256()
    content = [job.typst.blocks, job.word.blocks, str(job.cover), [str(part) for part in job.parts]]
    digest.update(json.dumps(content, sort_keys=True).encode())
    made_by = [metadata.version(name) for name in ("pypandoc_binary", "typst", "python-docx")]
    digest.update(str(made_by).encode())
    own = sorted(Path(__file__).parent.glob("print*.py"))
    made_with = [*own, *sorted(print_pdf.TEMPLATE.parent.rglob("*"))]
    images = [item.image for item in job.typst.numbered if item.image]
    for path in [*made_with, *images]:
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def attempt(builder: PaperBuilder, folder: Path) -> list[str]:
    """Make both files; what must be told."""
    try:
        return prepare(builder, folder).run()
    except Exception as error:  # the pages are good: let them be finished, and the build fail
        return give_up(folder, f"{type(error).__name__}: {error}")


def give_up(folder: Path, why: str) -> list[str]:
    """Delete the printed book of an earlier build, which says other than the pages; what must be
    told.
    """
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    return [f"the printed book could not be made: {why}"]


def wanted(app: "Sphinx") -> bool:
    """Whether this build of pages makes the printed book as well."""
    return app.builder.name == "html" and bool(app.config.print_with_html)


class PrintTask:
    """Makes the printed book in a process of its own while Sphinx writes the pages, and puts it
    beside them.
    """

    def __init__(self) -> None:
        self._task: ParallelTasks | SerialTasks | None = None
        self._problems: list[str] = []

    def begin(self, app: "Sphinx", env: "BuildEnvironment") -> None:
        """Start as soon as all pages have been read; where there is no fork, finish at once."""
        if wanted(app):
            builder, folder = PrintBuilder(app, env), self._folder(app)
            self._task = ParallelTasks(1) if parallel_available else SerialTasks()
            self._task.add_task(
                lambda: attempt(builder, folder),
                result_func=lambda *arguments: self._problems.extend(arguments[-1]),
            )

    def finish(self, app: "Sphinx", exception: Exception | None) -> None:
        """Wait for the printed book, and tell what is wrong with it."""
        if exception is not None:
            if isinstance(self._task, ParallelTasks):
                self._task.terminate()
            return
        if not wanted(app):
            return
        if self._task is None:  # no page had changed
            self.begin(app, app.env)
        assert self._task is not None
        for name in FILES:
            Path(app.outdir, name).unlink(missing_ok=True)
        logger.info("making the printed book")
        try:
            self._task.join()
        except EOFError:
            self._problems = give_up(self._folder(app), "its process was killed")
        tell(self._problems)
        for name in FILES:
            if (self._folder(app) / name).is_file():
                shutil.copyfile(self._folder(app) / name, Path(app.outdir, name))

    @staticmethod
    def _folder(app: "Sphinx") -> Path:
        return Path(app.outdir).parent / FOLDER


def setup(app: "Sphinx") -> None:
    """Register the builders."""
    app.add_builder(PrintBuilder)
    app.add_builder(TablesBuilder)
    app.add_config_value("print_with_html", default=False, rebuild="")
    task = PrintTask()
    app.connect("env-check-consistency", task.begin)
    # Before `binding.finish`, which notes whether the build had warnings.
    app.connect("build-finished", task.finish, priority=850)
