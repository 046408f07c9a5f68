"""Cell suppression: which counts must be hidden so that no small one can be worked back.

A reader of a table knows every count that is shown, every sum that the table implies, and that a
hidden count is not zero, unless its whole row is hidden. The counts that must be hidden are found
with integer programming, as in the suppression heuristics of Fischetti and Salazar (2001): for each
hidden count a second table is constructed that agrees with all that is shown and in which the
hidden count is far from the true one; where there is none, the cheapest further counts are hidden
until there is one. The tables constructed on the way are the proof that what is hidden stays open.

Zeros are shown, but not where they tell what a hidden group is: if all the lines of a category were
complete responses, the zeros of the other responses say so without any number. The zeros of such a
row are hidden too, and one table more is constructed in which none of them is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST_SPAN: Final = (
    3  # a hidden count has at least this many other possible values above the lowest
)
GAP: Final = 0.05  # a set of counts to hide within 5% of the cheapest will do

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinkedCounts:
    """Counts that are shown together, as sums of atoms that no reader sees apart.

    ``atoms`` has shape (a,); ``sums`` (c, a) holds 0/1, one row for each count of ``names``; each
    row of ``zero`` (z, a) gives a sum of atoms that every reader knows to be 0; ``cost`` (c,) says
    how much is lost for each unit if a count is hidden. ``rows`` are the counts that are parts of
    another: the index of the total and those of its parts.
    """

    names: Sequence[str]
    atoms: Ints
    sums: Floats
    zero: Floats
    cost: Floats
    rows: Sequence[tuple[int, Sequence[int]]] = ()

    @property
    def totals(self) -> Ints:
        """The counts, shape (c,)."""
        return np.rint(self.sums @ self.atoms).astype(np.int64)


def is_small(count: int, below: int, with_zero: bool) -> bool:
    """Whether a count must not be shown: from 1 (or 0) to one less than ``below``."""
    return (0 if with_zero else 1) <= count < below


def span(below: int, with_zero: bool) -> int:
    """How far apart the lowest and the highest possible value of a hidden count must be."""
    return max(LEAST_SPAN, below - 1 - (0 if with_zero else 1))


def protect(counts: LinkedCounts, below: int, with_zero: bool = False) -> NDArray[np.bool_]:
    """Which counts to hide, shape (c,).

    Small counts are hidden. Further ones are hidden until, for a reader who knows all sums and
    which counts are zero, the possible values of each hidden count span at least :func:`span`; for
    a small count they start at the lowest value that the zeros allow and reach ``below - 1``. Where
    a hidden whole has one part alone, its zeros are hidden until each of them could be more.
    """
    values = counts.totals
    hidden = np.array([is_small(int(v), below, with_zero) for v in values], dtype=bool)
    if not hidden.any():
        return hidden
    search = _Search(counts, 0 if with_zero else 1)
    # Zeros that are hidden with all zeros are small counts; others are hidden with their row.
    done = np.zeros_like(hidden) if with_zero else values == 0
    while True:
        hidden = _widened(search, hidden, done, below, with_zero)
        telling = [] if with_zero else _telling_zeros(counts, hidden)
        if not telling:
            return hidden
        hidden[telling] = True
        hidden |= search.take(search.opened(telling, hidden))


def _telling_zeros(counts: LinkedCounts, hidden: NDArray[np.bool_]) -> list[int]:
    """Zeros still shown in the first row whose total is hidden and lies in one part alone."""
    values = counts.totals
    for total, parts in counts.rows:
        zeros = [part for part in parts if values[part] == 0]
        if hidden[total] and len(parts) - len(zeros) == 1 and not hidden[zeros].all():
            return zeros
    return []


def _widened(
    search: "_Search",
    hidden: NDArray[np.bool_],
    done: NDArray[np.bool_],
    below: int,
    with_zero: bool,
) -> NDArray[np.bool_]:
    """The counts to hide so that each of them can vary enough; ``done`` marks those that can."""
    values = search.values
    wide = span(below, with_zero)
    while (open_ := np.flatnonzero(hidden & ~done)).size:
        cell = int(open_[np.argmin(values[open_])])
        done[cell] = True
        value = int(values[cell])
        if is_small(value, below, with_zero):
            least = search.least(cell)
            for target, above in ((least, False), (max(least + wide, below - 1), True)):
                if not search.seen(cell, target, above):
                    hidden = hidden | search.take(search.nearest(cell, target, above, hidden))
        elif search.reach(cell) < wide:
            # The true count is one end of the span; the cheaper side is the other.
            sides = [search.nearest(cell, value + wide, True, hidden)]
            if search.least(cell) <= value - wide:
                sides.append(search.nearest(cell, value - wide, False, hidden))
            hidden = hidden | search.take(
                min(sides, key=lambda values: search.cost(values, hidden))
            )
    return hidden


class _Search:
    """Integer programs over one set of counts, and the tables that they have found."""

    def __init__(self, counts: LinkedCounts, floor: int) -> None:
        from scipy.sparse import csr_array, hstack

        self.counts, self.floor = counts, floor
        self.values = counts.totals
        c, a = counts.sums.shape
        self.a = a
        sums = csr_array(counts.sums)
        apart = csr_array(np.hstack([-np.eye(c), np.eye(c)]))
        empty = csr_array((len(counts.zero), 2 * c))
        # Rows: each count as it would be; its deviation from the true one; sums known to be 0.
        self.rows = csr_array(hstack([sums, csr_array((c, 2 * c))]))
        self.deviation = csr_array(hstack([sums, apart]))
        self.zero = csr_array(hstack([csr_array(counts.zero), empty]))
        # A zero that is shown stays zero; any other count is not zero, hidden or not.
        shown_zero = (self.values == 0) & (floor > 0)
        self.low = np.where(shown_zero, 0, floor).astype(float)
        self.high = np.where(shown_zero, 0, np.inf)
        self.tables: list[Floats] = [self.values.astype(float)]

    def least(self, cell: int) -> int:
        """The lowest value of a count that the zeros alone allow."""
        goal = np.zeros(self.rows.shape[1])
        goal[: self.a] = self.counts.sums[cell]
        atoms = self._solve(goal, self.low, self.high, np.inf)
        return round(float(self.counts.sums[cell] @ atoms))

    def seen(self, cell: int, target: int, above: bool) -> bool:
        """Whether a table found before has the count at the target or beyond it."""
        return any(v[cell] >= target if above else v[cell] <= target for v in self.tables)

    def reach(self, cell: int) -> float:
        """How far apart the lowest and highest values of a count are in the tables found before."""
        seen = [values[cell] for values in self.tables]
        return float(max(seen) - min(seen))

    def nearest(self, cell: int, target: int, above: bool, hidden: NDArray[np.bool_]) -> Floats:
        """The counts of the cheapest table with one of them at the target or beyond."""
        low, high = self.low.copy(), self.high.copy()
        if above:
            low[cell] = max(low[cell], target)
        else:
            high[cell] = min(high[cell], target)
        return self._cheapest(low, high, hidden)

    def opened(self, zeros: Sequence[int], hidden: NDArray[np.bool_]) -> Floats:
        """The counts of the cheapest table in which none of these zeros is one.

        A zero that is shown and has a part in common with them may have to give way.
        """
        low, high = self.low.copy(), self.high.copy()
        shared = self.counts.sums[:, self.counts.sums[zeros].any(axis=0)].any(axis=1)
        low[zeros], high[shared] = 1, np.inf
        values = self._cheapest(low, high, hidden)
        if len(zeros) == 1:
            # The row is hidden as a whole whatever this one is, so later tables may change it too.
            self.high[values > 0] = np.inf
        return values

    def _cheapest(self, low: Floats, high: Floats, hidden: NDArray[np.bool_]) -> Floats:
        cost = np.where(hidden, 0.0, self.counts.cost)
        goal = np.concatenate([np.zeros(self.a), cost, cost])
        atoms = self._solve(goal, low, high, 0.0)
        values: Floats = np.rint(self.counts.sums @ atoms)
        return values

    def cost(self, values: Floats, hidden: NDArray[np.bool_]) -> float:
        """What is lost by hiding every count that differs in a table."""
        return float(np.where(hidden, 0.0, self.counts.cost) @ np.abs(values - self.values))

    def take(self, values: Floats) -> NDArray[np.bool_]:
        """Keep a table as proof, and say which counts differ in it and so must be hidden."""
        self.tables.append(values)
        changed: NDArray[np.bool_] = values != self.values
        return changed

    def _solve(self, goal: Floats, low: Floats, high: Floats, slack: float) -> Floats:
        """Atoms of the best table; with ``slack`` infinite the true counts do not matter."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        true = self.values.astype(float)
        rules: list[Any] = [
            LinearConstraint(self.rows, low, high),
            LinearConstraint(self.deviation, true - slack, true + slack),
        ]
        if self.zero.shape[0]:
            rules.append(LinearConstraint(self.zero, 0, 0))
        integral = np.zeros(len(goal), dtype=np.int64)
        integral[: self.a] = 1
        solution = milp(
            goal,
            integrality=integral,
            bounds=Bounds(0, np.inf),
            constraints=rules,
            options={"mip_rel_gap": GAP},
        )
        # All counts together can always grow by one factor, so a table exists.
        if solution.x is None:
            raise RuntimeError(f"no table was found: {solution.message}")
        atoms: Floats = np.rint(solution.x[: self.a])
        return atoms
