"""Every figure of the book: ``figures.swimmer(cohort)`` and so on.

A function takes a cohort (or results) and returns a :class:`salvage.show.Figure`, or a
:class:`salvage.show.Absent` where the cohort has nothing to draw. A module is imported when one of
its figures is first asked for, because matplotlib takes half a second to load.
"""

from importlib import import_module
from typing import Any, Final

_MODULES: Final = {
    "flow": ("cohort_flow", "relapse_timeline"),
    "lanes": ("swimmer",),
    "sequence": ("alluvial",),
    "responses": ("forest_rates", "overview", "response_bars", "response_bars_by_line"),
    "curves": (
        "dor",
        "km",
        "line_curves",
        "os_by_relapse_group",
        "os_from_infusion",
        "os_from_relapse",
    ),
    "forest": ("Row", "cox_forest", "row_of", "rows_of_fits", "sweep_forest"),
    "toxicity": ("ae_butterfly", "ae_by_category", "ae_heatmap"),
    "timing": ("Null", "null_distribution", "origin_forest"),
    "checks": ("Spread", "open_ranges", "se_region", "spread_over_cohorts"),
    "comparison": ("Compared", "comparator_forest"),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
