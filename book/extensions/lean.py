"""Spare a build what it would do over and over; what it makes does not depend on this."""

import gc
from importlib import metadata
from typing import TYPE_CHECKING

from pybtex import plugin

from book.extensions import print_builder
from salvage.cores import usable_cores

if TYPE_CHECKING:
    from sphinx.application import Sphinx

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
    app.connect("env-updated", _write_in_parallel)
    app.connect("build-finished", _finish, priority=950)  # the last of ours


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
