"""One number of the book: value, interval, denominator, method and where each part comes from."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from salvage.analysis.provenance import Mark, marks
from salvage.cohort.study import Study
from salvage.stats.intervals import clopper_pearson

CLOPPER_PEARSON = "Clopper-Pearson"
Unit = Literal[
    "proportion", "months", "ratio", "count", "events", "rate", "probability", "log ratio"
]


@dataclass(frozen=True)
class Estimate:
    """A value with all that must travel with it.

    ``value``, ``low``, ``high`` and ``p`` are ``None`` where not reached or not estimable, never
    NaN.
    ``n`` is the denominator (patients or lines), ``events`` the numerator or the number of events.
    Rates are proportions from 0 to 1, times are months, intervals are 95%.
    """

    id: str
    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    events: int | None
    unit: Unit
    method: str
    provenance: Mark
    provenance_n: Mark
    provenance_interval: Mark
    p: float | None = None

    def record(self) -> dict[str, Any]:
        """The estimate as plain data, in the order of its fields."""
        return asdict(self)


def estimate(
    study: Study,
    id: str,
    label: str,
    value: float | None,
    interval: tuple[float | None, float | None] = (None, None),
    *,
    n: int | None = None,
    events: int | None = None,
    unit: Unit,
    method: str,
    p: float | None = None,
    mark: Mark | None = None,
) -> Estimate:
    """Make an :class:`Estimate`; its marks follow from the study and its id unless ``mark`` is
    given.

    Raises ``ValueError`` on NaN or infinity in value or p: a result that is not estimable is
    ``None``. An infinite interval limit becomes ``None``: the interval is open on that side.
    """
    for part in (value, p):
        if part is not None and not math.isfinite(part):
            raise ValueError(f"{id}: {part} is not an estimate")
    low, high = (None if v is None or not math.isfinite(v) else float(v) for v in interval)
    parts = (mark, mark, mark) if mark else marks(id, study.synthetic, value)
    return Estimate(
        id,
        label,
        None if value is None else float(value),
        low,
        high,
        None if n is None else int(n),
        None if events is None else int(events),
        unit,
        method,
        *parts,
        p=None if p is None else float(p),
    )


def proportion(
    study: Study,
    id: str,
    label: str,
    events: int | None,
    n: int,
    *,
    method: str = CLOPPER_PEARSON,
    interval: tuple[float, float] | None = None,
) -> Estimate:
    """``events`` out of ``n`` with the exact interval of Clopper and Pearson, or a given one.

    Without a value where ``n`` is 0, or where the events are not known.
    """
    value = limits = None
    if events is not None and n:
        value, limits = events / n, interval or clopper_pearson(events, n)
    return estimate(
        study,
        id,
        label,
        value,
        limits or (None, None),
        n=n,
        events=events,
        unit="proportion",
        method=method,
    )
