"""The published abstract: its facts, and whether a cohort reproduces them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

import yaml

from salvage.paths import PUBLISHED

Mark = Literal["published", "implied", "assumed", "observed"]
MARKS: Final[tuple[Mark, ...]] = ("published", "implied", "assumed", "observed")


@cache
def facts() -> Mapping[str, Any]:
    """Everything in ``data/published.yaml``."""
    return MappingProxyType(yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")))


def figures() -> dict[str, dict[str, Any]]:
    """The printed figures, by the id of the estimate that reproduces each."""
    found: dict[str, dict[str, Any]] = facts()["figures"]
    return found


def marks(estimate_id: str, synthetic: bool) -> tuple[Mark, Mark, Mark]:
    """Where value, n and interval of an estimate come from.

    In another hospital's cohort everything is observed. In the synthetic cohort a part is published or
    implied where ``data/published.yaml`` says so; everything else is assumed.
    """
    if not synthetic:
        return "observed", "observed", "observed"
    entry = figures().get(estimate_id, {}).get("marks") or facts()["implied"].get(estimate_id, {})
    value, n, interval = (entry.get(part, "assumed") for part in ("value", "n", "interval"))
    return value, n, interval


@dataclass(frozen=True)
class Agreement:
    """One printed figure beside the cohort's own. ``parts`` says which printed parts were compared."""

    id: str
    statement: str
    printed: str
    reproduced: str
    agrees: bool
    parts: tuple[str, ...]


def prints_as(value: float | None, printed: float, step: float) -> bool:
    """Whether ``value`` rounds to the printed number: no more than half of the last digit away."""
    return value is not None and abs(value - printed) <= step / 2 + 1e-12
