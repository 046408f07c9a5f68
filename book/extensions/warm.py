"""What the server imports before it forks a process for each chapter.

Nothing here may change what a chapter says: it only spares each process the same work. What fails
here fails again where a chapter or the estimates can report it.
"""

import contextlib
import gc
import importlib
import io
import pkgutil
import warnings

LIBRARIES = (
    "nbclient",
    "ipykernel.inprocess.ipkernel",
    "ipykernel.debugger",
    "matplotlib_inline.backend_inline",
    "myst_nb",
    "pandas",
    "scipy.stats",
    "scipy.optimize",
    "lifelines",
    "firthmodels",
)


def import_libraries() -> None:
    """Import the libraries and every module of `salvage`."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import salvage

    for module in pkgutil.walk_packages(salvage.__path__, "salvage."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def read_cohort() -> None:
    """Read the cohort, compute what several chapters begin with, and what they compare it with."""
    from salvage.analysis import provenance
    from salvage.evidence import comparators
    from salvage.report import results
    from salvage.report.gate import book_cohort

    provenance.facts()
    comparators.comparators()
    results.headline(book_cohort())


def draw_once() -> None:
    """Draw a small figure with a letter outside ASCII, so that fonts are found and read once."""
    from salvage.display.figures import style

    with style.drawing(1) as figure:
        figure.subplots().set_title("≥ 0")
    figure.savefig(io.BytesIO(), format="svg")


gc.disable()  # here, and in each process that is forked: none lives long enough for garbage
with contextlib.suppress(Exception):
    import_libraries()
with warnings.catch_warnings():
    warnings.simplefilter("error")  # a chapter gives its warnings itself
    for begin in read_cohort, draw_once:
        with contextlib.suppress(Exception):
            begin()
