"""What a figure may show in a public book: no count from 1 to one below the study's limit.

A figure that would show such a count, or from which one follows by subtraction, gives way to a
sentence. Survival times are gathered into groups that are large enough.
"""

from collections.abc import Iterable

import numpy as np

from salvage.figures import captions
from salvage.show import Absent
from salvage.study import Study
from salvage.survival import Times


def masks(study: Study, counts: Iterable[float]) -> bool:
    """Whether the study is public and one of ``counts`` must not be shown."""
    if not study.public:
        return False
    least = 0 if study.suppress_zero else 1
    return any(least <= count < study.suppress_below for count in counts)


def withheld(study: Study, what: str) -> Absent:
    """The sentence that stands for a figure that would show a small count."""
    return Absent(captions.MASKED.format(what=what, limit=study.suppress_below))


def coarse(times: Times, study: Study) -> Times | None:
    """Times gathered so that events and censorings at each are of none or of enough patients.

    Each time becomes the last one of its group; ``None`` where even one group of all is too
    small. In a book that is not public the times are returned as they are.
    """
    if not study.public:
        return times
    order = np.argsort(times.time, kind="stable")
    starts = [0]
    for i in range(1, times.n):
        # A group never parts equal times.
        apart = times.time[order[i]] > times.time[order[i - 1]]
        if apart and _enough(times, order[starts[-1] : i], study.suppress_below):
            starts.append(i)
    # What is left at the end joins the groups before it until it is large enough.
    while starts and not _enough(times, order[starts[-1] :], study.suppress_below):
        starts.pop()
    if not starts:
        return None
    moved = times.time.copy()
    for start, stop in zip(starts, [*starts[1:], times.n], strict=True):
        moved[order[start:stop]] = times.time[order[stop - 1]]
    return Times(times.label, moved, times.event, times.patient)


def _enough(times: Times, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]", least: int) -> bool:
    dead = times.event[rows]
    sizes = (len(set(times.patient[rows][chosen])) for chosen in (dead, ~dead))
    return all(size == 0 or size >= least for size in sizes)
