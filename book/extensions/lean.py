"""Spare a build what it would do over and over; what it makes does not depend on this."""

import gc
from typing import TYPE_CHECKING

from pybtex import plugin

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Looked up for each citation among the metadata of all installed packages, unless registered.
PLUGINS = (("pybtex.backends", "plaintext"), ("pybtex.backends", "docutils"))


def setup(app: "Sphinx") -> None:
    """Register what is looked up most, and collect no garbage before the build is over.

    A page is a tree of many small objects that lives until it is written: the collector walks all
    trees again and again, a fifth of the time of a build, and finds little.
    """
    for group, name in PLUGINS:
        plugin.register_plugin(group, name, plugin.find_plugin(group, name), force=True)
    gc.disable()
    app.connect("build-finished", _finish)


def _finish(*_: object) -> None:
    gc.enable()
