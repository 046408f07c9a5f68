"""Where a number comes from: the facts of the published abstract, and the mark of each part of an
estimate."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

import yaml

from salvage.cohort.study import Study
from salvage.paths import PUBLISHED

Mark = Literal["published", "implied", "assumed", "observed"]
MARKS: Final[tuple[Mark, ...]] = ("published", "implied", "assumed", "observed")


@cache
def facts() -> Mapping[str, Any]:
    """Everything in ``data/published.yaml``."""
    return MappingProxyType(yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")))


def figures() -> dict[str, dict[str, Any]]:
    """The printed figures, by the id of the estimate that reproduces each."""
    by_id: dict[str, dict[str, Any]] = facts()["figures"]
    return by_id


def own_mark(study: Study) -> tuple[Mark, ...]:
    """The mark of what is true of this cohort only: assumed if it is synthetic, else observed."""
    return ("assumed",) if study.synthetic else ("observed",)


def marks(estimate_id: str, synthetic: bool, value: float | None = None) -> tuple[Mark, Mark, Mark]:
    """Where value, n and interval of an estimate come from.

    In another hospital's cohort everything is observed. In a synthetic cohort a part is published
    or implied where ``data/published.yaml`` says so; everything else is assumed, and so is a
    ``value`` that is not the printed one.
    """
    if not synthetic:
        return "observed", "observed", "observed"
    figure = figures().get(estimate_id, {})
    if (
        value is not None
        and "step" in figure
        and not prints_as(value, figure["value"], figure["step"])
    ):
        return "assumed", "assumed", "assumed"
    entry = figure.get("marks") or facts()["implied"].get(estimate_id, {})
    of_value, of_n, of_interval = (entry.get(p, "assumed") for p in ("value", "n", "interval"))
    return of_value, of_n, of_interval


def prints_as(value: float | None, printed: float, step: float) -> bool:
    """Whether ``value`` rounds to the printed number: no more than half of the last digit away."""
    return value is not None and abs(value - printed) <= step / 2 + 1e-12
