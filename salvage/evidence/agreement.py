"""Whether a cohort reproduces the published figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from salvage import words
from salvage.analysis import safety
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import facts, printed_figures, prints_as
from salvage.cohort import Cohort


@dataclass(frozen=True)
class Agreement:
    """One printed figure beside the cohort's own: an estimate, or for the most common adverse event
    its ``terms``.

    ``parts`` says which printed parts were compared, ``missing`` that the cohort has no such
    figure.
    """

    id: str
    statement: str
    printed: str
    agrees: bool
    parts: tuple[str, ...]
    missing: bool
    estimate: Estimate | None = None
    terms: tuple[str, ...] = ()


def agreements(cohort: Cohort, estimates: Sequence[Estimate]) -> list[Agreement]:
    """Each printed figure beside the estimate of the cohort that reproduces it.

    A printed part agrees if the estimate rounds to it: the value, the numerator and denominator,
    the interval, the P-value, and where the abstract says so, that it is the highest of the six
    categories.
    """
    by_id = {e.id: e for e in estimates}
    return [_agreement(key, entry, cohort, by_id) for key, entry in printed_figures().items()]


def _agreement(
    key: str, entry: dict[str, Any], cohort: Cohort, by_id: Mapping[str, Estimate]
) -> Agreement:
    if "term" in entry:
        leaders = [safety.most_common(cohort, by) for by in ("patients", "events")]
        named = dict.fromkeys(safety.LABELS.get(t, t) for names in leaders for t in names)
        return Agreement(
            key,
            entry["statement"],
            entry["printed"],
            all(names == [entry["term"]] for names in leaders),
            ("most patients", "most events"),
            missing=not named,
            terms=tuple(named),
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
        all(checks.values()),
        tuple(checks),
        # A median that is not reached is a finding; one that cannot be estimated is none.
        missing=e.value is None and not e.method.endswith(words.NOT_REACHED),
        estimate=e,
    )


def _is_strict_maximum(key: str, measure: str, by_id: Mapping[str, Estimate]) -> bool:
    """Whether this category's rate is above that of every other category."""
    mine = by_id[key].value
    others = [
        by_id[f"{measure}.{c}"].value
        for c in facts()["design"]["categories"]
        if f"{measure}.{c}" != key
    ]
    return mine is not None and all(mine > other for other in others if other is not None)
