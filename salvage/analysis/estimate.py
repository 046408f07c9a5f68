"""One number of the book: value, interval, denominator, method and where each part comes from."""

import math
from collections import Counter
from collections.abc import Iterable
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
    """Make an :class:`Estimate`.

    Parameters
    ----------
    study, id
        What the marks of provenance follow from, unless ``mark`` is given.
    label
        What the number is, for a reader.
    value
        In ``unit``; ``None`` where it is not reached or not estimable.
    interval
        Its 95% limits; ``None`` or infinite where the interval is open.
    n, events
        The denominator, and the numerator or the number of events.
    unit, method
        Of the value, and how it was computed.
    p
        P-value, if it has a test.
    mark
        One mark for all parts.

    Returns
    -------
    The estimate; an infinite or NaN limit has become ``None``.

    Raises
    ------
    ValueError
        For NaN or infinity in ``value`` or ``p``: what is not estimable is ``None``.

    >>> estimate(Study(), "n", "Lines", 3, unit="count", method="count").value
    3.0
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


def by_id(estimates: Iterable[Estimate]) -> dict[str, Estimate]:
    """Estimates by their id.

    Parameters
    ----------
    estimates
        In any order, which is kept.

    Returns
    -------
    Each estimate by its id.

    Raises
    ------
    ValueError
        Where an id is repeated.
    """
    listed = list(estimates)
    counts = Counter(e.id for e in listed)
    if repeated := sorted(id for id, number in counts.items() if number > 1):
        raise ValueError(f"ids of estimates must be unique: {', '.join(repeated)}")
    return {e.id: e for e in listed}


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
    """A proportion as an estimate.

    Parameters
    ----------
    study, id, label, method
        As :func:`estimate`.
    events, n
        So many of so many; ``events`` is ``None`` where it is not known.
    interval
        95% limits from 0 to 1 in place of the exact ones.

    Returns
    -------
    A proportion from 0 to 1, without a value where ``n`` is 0 or ``events`` is unknown.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n.

    Method: Clopper and Pearson 1934, if no interval is given.

    >>> proportion(Study(), "orr", "Response", 1, 4, method="exact").value
    0.25
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
