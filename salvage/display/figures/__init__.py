"""Every figure of the book: ``figures.swimmer_plot(cohort)`` and so on.

A function takes a cohort (or results) and returns a :class:`salvage.display.show.Figure`, or an
``Absent`` where the cohort has nothing to draw.
"""

from salvage.display.figures.adverse_events import ae_butterfly, ae_by_category, ae_heatmap
from salvage.display.figures.alluvial import alluvial_diagram
from salvage.display.figures.comparators import Compared, comparator_forest
from salvage.display.figures.flow import cohort_flow, relapse_timeline
from salvage.display.figures.forest import Row, cox_forest, row_of, sweep_forest
from salvage.display.figures.kaplan_meier import (
    dor,
    km,
    line_curves,
    os_by_relapse_group,
    os_from_infusion,
    os_from_relapse,
)
from salvage.display.figures.null_effect import (
    Null,
    null_distribution,
    origin_forest,
    permutation_distribution,
)
from salvage.display.figures.published import Spread, open_ranges, se_region, spread_over_cohorts
from salvage.display.figures.responses import (
    forest_rates,
    overview,
    response_bars,
    response_bars_by_line,
)
from salvage.display.figures.swimmer import swimmer_plot

__all__ = [
    "Compared",
    "Null",
    "Row",
    "Spread",
    "ae_butterfly",
    "ae_by_category",
    "ae_heatmap",
    "alluvial_diagram",
    "cohort_flow",
    "comparator_forest",
    "cox_forest",
    "dor",
    "forest_rates",
    "km",
    "line_curves",
    "null_distribution",
    "open_ranges",
    "origin_forest",
    "os_by_relapse_group",
    "os_from_infusion",
    "os_from_relapse",
    "overview",
    "permutation_distribution",
    "relapse_timeline",
    "response_bars",
    "response_bars_by_line",
    "row_of",
    "se_region",
    "spread_over_cohorts",
    "sweep_forest",
    "swimmer_plot",
]
