"""Deaths and censorings that a public book may show, by intervals of whole months."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import survival
from salvage.analysis.survival import Times
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.disclosure.linked_counts import ALL, Bools
from salvage.disclosure.suppression import is_small

LAST_STEP: Final = 6  # months
FEWEST_STEPS: Final = 8  # a curve of fewer would say little, and its median less


def released_times(cohort: Cohort, counts: Mapping[str, int | None]) -> dict[str, dict[str, Times]]:
    """Deaths and censorings by intervals of whole months, from relapse and from infusion.

    Each interval holds, in each group, none or enough deaths, and none or enough censorings. All
    groups share their intervals, so that no difference of two curves is a small count; nor is one
    of the two origins, because who died within some months of infusion died within as many of
    relapse. Without released groups there is no curve from infusion: nobody with a late relapse can
    die early, so it would tell the size of a group.
    """
    groups = {"early": ~cohort.late.to_numpy(), "late": cohort.late.to_numpy()}
    parts = [f"patients.{g}.{o}" for g in groups for o in ("died", "alive")]
    if any(counts[part] is None for part in parts):
        groups = {ALL: np.ones(len(cohort.patients), dtype=bool)}
        if counts["patients.died"] is None or counts["patients.alive"] is None:
            return {}
    study = cohort.study
    relapse, infusion = survival.from_relapse(cohort), survival.from_infusion(cohort)
    from_relapse = {g: _part(relapse, rows) for g, rows in groups.items() if rows.any()}
    ends = _intervals(from_relapse, study, {})
    by_origin = {"os.from_relapse": _moved(from_relapse, ends)} if len(ends) >= FEWEST_STEPS else {}
    if ALL in groups:
        return by_origin
    from_infusion = {g: _part(infusion, rows) for g, rows in groups.items() if rows.any()}
    later = _intervals(from_infusion, study, by_origin.get("os.from_relapse", {}))
    if len(later) >= FEWEST_STEPS:
        by_origin = {"os": _moved(from_infusion, later), **by_origin}
    return by_origin


def _part(times: Times, rows: Bools) -> Times:
    return Times(times.label, times.time[rows], times.event[rows], times.patient[rows])


def _intervals(groups: Mapping[str, Times], study: Study, known: Mapping[str, Times]) -> list[int]:
    """Ends of as many intervals as are allowed, whole months; empty where not even one is.

    ``known`` are the released durations from relapse, with which those from infusion must agree.
    """
    longest = max((t.time.max() for t in groups.values()), default=0.0)
    # The longest time is one patient's: the last interval ends some months later.
    last = LAST_STEP * max(1, int(np.ceil(longest / LAST_STEP)))
    months = np.arange(1, last + 1)
    # Deaths and censorings of each group by the end of each month; none before the first interval.
    by_month = np.array(
        [
            np.searchsorted(np.sort(t.time[kind]), np.append(-1, months), side="right")
            for t in groups.values()
            for kind in (t.event, ~t.event)
        ]
    )
    allowed = [True] + [
        m == last
        or all(_no_small_difference(t, m, known.get(g), g, study) for g, t in groups.items())
        for m in map(int, months)
    ]
    # The most intervals that end in each month, and where the last of them begins.
    most, before = np.full(last + 1, -1), np.zeros(last + 1, dtype=int)
    most[0] = 0
    for month in range(1, last + 1):
        apart = by_month[:, [month]] - by_month[:, :month]
        least = 0 if study.suppress_zero else 1
        fits = ~((apart >= least) & (apart < study.suppress_below)).any(axis=0)
        fits &= (apart.sum(axis=0) > 0) & (most[:month] >= 0)
        if allowed[month] and fits.any():
            before[month] = int(np.argmax(np.where(fits, most[:month], -1)))
            most[month] = most[before[month]] + 1
    ends = [last] if most[last] > 0 else []
    while ends and before[ends[0]]:
        ends.insert(0, int(before[ends[0]]))
    return ends


def _no_small_difference(
    times: Times, month: int, known: Times | None, group: str, study: Study
) -> bool:
    """Whether no nested pair of numbers, one from each origin, differs by a small count.

    A time from infusion is at least the time from relapse; it is more than the cut-off longer
    after a late relapse, and at most the cut-off longer after an early one.
    """
    if known is None:
        return True
    cut = study.early_relapse_months
    for end in np.unique(known.time):
        inner = end >= month - (cut if group == "late" else 0)
        outer = group == "early" and month >= end + cut
        if not (inner or outer):
            continue
        for kind, other in ((times.event, known.event), (~times.event, ~known.event)):
            apart = int((known.time[other] <= end).sum()) - int((times.time[kind] <= month).sum())
            if apart and is_small(abs(apart), study.suppress_below, False):
                return False
    return True


def _moved(groups: Mapping[str, Times], ends: Sequence[int]) -> dict[str, Times]:
    """The durations at the ends of their intervals, in order, without their patients."""
    moved = {}
    for name, times in groups.items():
        at = np.asarray(ends, dtype=float)[np.searchsorted(ends, times.time)]
        order = np.lexsort((~times.event, at))
        label = (
            times.label if name == ALL else f"{times.label}, {words.RELAPSE_GROUPS[name].lower()}"
        )
        moved[name] = Times(label, at[order], times.event[order], _numbers(len(at)))
    return moved


def _numbers(n: int) -> NDArray[np.object_]:
    return np.arange(1, n + 1).astype(str).astype(object)


def together(groups: Sequence[Times]) -> Times:
    """All groups as one group, under the label of the origin alone."""
    time, event = (np.concatenate([getattr(t, f) for t in groups]) for f in ("time", "event"))
    return Times(groups[0].label.split(",")[0], time, event, _numbers(len(time)))
