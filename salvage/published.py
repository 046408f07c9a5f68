"""The published abstract: its facts, and whether a cohort reproduces them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml

from salvage import words
from salvage.paths import PUBLISHED

if TYPE_CHECKING:
    from salvage.cohort import Cohort
    from salvage.estimate import Estimate

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


def marks(estimate_id: str, synthetic: bool, value: float | None = None) -> tuple[Mark, Mark, Mark]:
    """Where value, n and interval of an estimate come from.

    In another hospital's cohort everything is observed. In a synthetic cohort a part is published
    or implied where ``data/published.yaml`` says so; everything else is assumed, and so is a
    ``value`` that is not the printed one.
    """
    if not synthetic:
        return "observed", "observed", "observed"
    printed = figures().get(estimate_id, {})
    if (
        value is not None
        and "step" in printed
        and not prints_as(value, printed["value"], printed["step"])
    ):
        return "assumed", "assumed", "assumed"
    entry = figures().get(estimate_id, {}).get("marks") or facts()["implied"].get(estimate_id, {})
    of_value, of_n, of_interval = (entry.get(p, "assumed") for p in ("value", "n", "interval"))
    return of_value, of_n, of_interval


@dataclass(frozen=True)
class Agreement:
    """One printed figure beside the cohort's own. ``parts`` says which printed parts were
    compared, ``missing`` that the cohort has no such figure."""

    id: str
    statement: str
    printed: str
    reproduced: str
    agrees: bool
    parts: tuple[str, ...]
    missing: bool = False


def prints_as(value: float | None, printed: float, step: float) -> bool:
    """Whether ``value`` rounds to the printed number: no more than half of the last digit away."""
    return value is not None and abs(value - printed) <= step / 2 + 1e-12


def agreements(cohort: "Cohort", estimates: Sequence["Estimate"]) -> list[Agreement]:
    """Each printed figure beside the estimate of the cohort that reproduces it.

    A printed part agrees if the estimate rounds to it: the value, the numerator and denominator,
    the interval, the P-value, and where the abstract says so, that it is the highest of the six
    categories.
    """
    by_id = {e.id: e for e in estimates}
    return [_agreement(key, entry, cohort, by_id) for key, entry in figures().items()]


def _agreement(
    key: str, entry: dict[str, Any], cohort: "Cohort", by_id: Mapping[str, "Estimate"]
) -> Agreement:
    from salvage import estimate as est
    from salvage import safety

    if "term" in entry:
        leaders = [safety.most_common(cohort, by) for by in ("patients", "events")]
        named = dict.fromkeys(safety.LABELS.get(t, t) for names in leaders for t in names)
        shown = words.listing(list(named)) or "no adverse event recorded"
        agrees = all(names == [entry["term"]] for names in leaders)
        return Agreement(
            key,
            entry["statement"],
            entry["printed"],
            shown,
            agrees,
            ("most patients", "most events"),
            missing=not named,
        )
    e = by_id[key]
    checks = {"value": prints_as(e.value, entry["value"], entry["step"])}
    if "events" in entry:
        checks["counts"] = (e.events, e.n) == (entry["events"], entry["n"])
    if "low" in entry:
        checks["interval"] = all(
            prints_as(mine, entry[side], entry["step"])
            for side, mine in (("low", e.low), ("high", e.high))
        )
    if "p" in entry:
        checks["P"] = prints_as(e.p, entry["p"], entry["p_step"])
    if "extreme" in entry:
        checks["highest of the six"] = _is_strict_maximum(key, entry["extreme"], by_id)
    return Agreement(
        key,
        entry["statement"],
        entry["printed"],
        est.value_and_parts(e, "low" in entry),
        all(checks.values()),
        tuple(checks),
        # A median that is not reached is a finding; without patients there is none.
        missing=e.value is None and not (e.unit == "months" and e.n),
    )


def _is_strict_maximum(key: str, measure: str, by_id: Mapping[str, "Estimate"]) -> bool:
    """Whether this category's rate is above that of every other category."""
    mine = by_id[key].value
    others = [
        by_id[f"{measure}.{c}"].value
        for c in facts()["design"]["categories"]
        if f"{measure}.{c}" != key
    ]
    return mine is not None and all(mine > other for other in others if other is not None)
