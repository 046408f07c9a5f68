"""Spare a build what it would do over and over; what it makes does not depend on this."""

import contextlib
import gc
from importlib import metadata
from typing import TYPE_CHECKING

import soupsieve
from jinja2 import TemplateNotFound, meta
from pybtex import plugin
from sphinx.builders.html import StandaloneHTMLBuilder

from book.extensions import print_builder
from salvage.cores import usable_cores

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.jinja2glue import BuiltinTemplateLoader

# Parts of the pages for each core.
_PARTS = 2


def setup(app: "Sphinx") -> None:
    """Read the list of plugins once, write pages on all cores, and collect no garbage.

    A page is a tree of many small objects that lives until it is written: the collector walks all
    trees again and again, a fifth of the time of a build, and finds little. At its end, Python
    would walk them once more.
    """
    # Plugins are looked up for each citation, each time in the metadata of all installed packages.
    plugin.entry_points = metadata.entry_points().select
    gc.unfreeze()  # what an earlier build of this process has left
    gc.disable()
    app.connect("env-before-read-docs", _prepare_pages)
    app.connect("env-updated", _write_in_parallel)
    app.connect("build-finished", _finish, priority=950)  # the last of ours


def _prepare_pages(app: "Sphinx", *_: object) -> None:
    """While there is no output to read yet, compile what the first page would wait for: its
    templates, and the syntax of the selectors by which the theme searches a table of contents.
    """
    if not app.chapters.runner.has_work():  # type: ignore[attr-defined]
        return
    soupsieve.compile("li.toctree-l0 > details")
    if isinstance(app.builder, StandaloneHTMLBuilder):
        _compile_templates(app.builder.templates, "page.html")


def _compile_templates(templates: "BuiltinTemplateLoader", name: str) -> None:
    """Compile a template and those that it names; some are named only when a page is written."""
    environment = templates.environment
    known, waiting = {name}, [name]
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(TemplateNotFound):  # some are optional
            environment.get_template(name)
            source, _, _ = templates.get_source(environment, name)
            named = meta.find_referenced_templates(environment.parse(source))
            new = {other for other in named if other} - known
            known |= new
            waiting += new


def _write_in_parallel(app: "Sphinx", env: object) -> None:
    """Write pages in several processes, once all are read: a chapter is read as soon as it has run.

    Sphinx cuts the pages into as many parts as there are processes, of which one prepares the
    others' work; more parts than cores keep them busy to the end. The printed book takes a core.
    """
    cores = usable_cores() - print_builder.wanted(app)
    if cores > 1:
        app.parallel = max(app.parallel, _PARTS * cores + 1)


def _finish(*_: object) -> None:
    gc.freeze()
    gc.enable()
