"""What the server imports before it forks a process for each chapter.

Nothing here may change what a chapter says: it only spares each process the same imports. An import
that fails here is left to fail again where a chapter or the estimates can report it. For the server
alone: a process that imports this module ends without cleaning up, and with exit code 0.
"""

import atexit
import contextlib
import gc
import importlib
import io
import os
import pkgutil
import warnings

LIBRARIES = (
    "IPython.core.interactiveshell",
    "matplotlib_inline.backend_inline",
    "myst_nb",
    "pandas",
    "scipy.stats",
    "scipy.optimize",
    "lifelines",
    "firthmodels",
)


def import_all() -> None:
    """Import the libraries and every module of `salvage`, and read the cohort."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(
        Exception
    ):  # whatever it is, the chapter meets it again and reports it
        import salvage

        for module in pkgutil.walk_packages(salvage.__path__, "salvage."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a chapter gives its warnings itself
        for begin in (_read_cohort, _read_facts, _draw_once):
            with contextlib.suppress(Exception):
                begin()


def _read_cohort() -> None:
    """Read the cohort, and compute what several chapters begin with."""
    from salvage import results, show

    results.headline(show.cohort())


def _read_facts() -> None:
    """Read what most chapters compare a cohort with."""
    from salvage import context, published

    published.facts()
    context.comparators()


def _draw_once() -> None:
    """Draw a small figure with a letter outside ASCII, so that fonts are found and read once."""
    from salvage.figures import style

    with style.drawing(1) as figure:
        figure.subplots().set_title("≥ 0")
    figure.savefig(io.BytesIO(), format="svg")


# Nothing that is imported here is ever thrown away, nor taken apart at the end of a build.
gc.disable()
atexit.register(os._exit, 0)
import_all()
