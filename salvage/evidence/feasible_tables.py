"""Every table of (events, responses, complete responses) by category that printed rates allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage.evidence.rounding import Printed, numerators
from salvage.stats.exact import convolve

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class TableFacts:
    """What is printed about a table of categories.

    categories   labels in order
    events, responses, complete   totals over the categories
    highest_response   category whose response rate is printed as the highest, and the rate
    highest_complete   category whose complete response rate is printed as the highest, and the rate
    subset_complete    complete response rate printed for a subset of the latter category
    cap                most events that one category may have, None for no limit
    """

    categories: tuple[str, ...]
    events: int
    responses: int
    complete: int
    highest_response: tuple[str, Printed]
    highest_complete: tuple[str, Printed]
    subset_complete: Printed
    cap: int | None = None


@dataclass(frozen=True)
class FeasibleTables:
    """All feasible tables, counted.

    count       number of tables
    marginals   category -> array (events + 1, responses + 1, complete + 1): in how many tables the
                category has exactly these numbers
    """

    count: int
    marginals: dict[str, Counts]

    def where(self, category: str, accept: Callable[[int, int, int], bool]) -> int:
        """In how many tables the category's (events, responses, complete) are accepted."""
        counts = self.marginals[category]
        return sum(int(counts[cell]) for cell in self.cells(category) if accept(*cell))

    def cells(self, category: str) -> list[tuple[int, int, int]]:
        """The category's possible (events, responses, complete)."""
        return [(int(n), int(r), int(c)) for n, r, c in np.argwhere(self.marginals[category])]

    def ranges(self) -> pd.DataFrame:
        """Lowest and highest possible value of each quantity, one row per category.

        Columns: events, responses, complete (counts), orr, cr (proportions), each with _low and
        _high, and events_values: how many values of n are possible.
        """
        rows = {}
        for category in self.marginals:
            cells = np.array(self.cells(category))
            n, responses, complete = cells.T
            quantities = {
                "events": n,
                "responses": responses,
                "complete": complete,
                "orr": responses / n,
                "cr": complete / n,
            }
            row: dict[str, float] = {"events_values": len(np.unique(n))}
            for name, values in quantities.items():
                row[f"{name}_low"], row[f"{name}_high"] = values.min(), values.max()
            rows[category] = row
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("category")
        counts = ("events", "responses", "complete")
        ends = [f"{name}_{end}" for name in counts for end in ("low", "high")]
        return frame.astype(dict.fromkeys(["events_values", *ends], int))


def subsets(n: int, complete: int, printed: Printed) -> list[tuple[int, int]]:
    """Every (size, complete responses) of a subset that prints `printed` and leaves room.

    Among the other n - size events the other complete responses must still fit.
    """
    return [
        (size, inside)
        for size in range(1, n + 1)
        for inside in numerators(printed, size)
        if inside <= complete and complete - inside <= n - size
    ]


def feasible_tables(facts: TableFacts) -> FeasibleTables:
    """Count every feasible table by convolution, exactly, in integers.

    Each category has at least one event and complete <= responses <= events; the printed rates are
    printed by their categories, whose rates are strictly above those of all others; the subset
    exists. Given the two highest rates the categories are independent but for the totals, so the
    tables are counted by convolving the indicator arrays of the categories.
    """
    best_response, response_rate = facts.highest_response
    best_complete, complete_rate = facts.highest_complete
    cells = _cells(facts)
    totals: dict[str, Counts] = {}
    count = 0
    for top_response, top_complete in product(
        _rates({(r, n) for n, r, _ in cells}, response_rate),
        _rates({(c, n) for n, _, c in cells}, complete_rate),
    ):
        masks = {
            category: _mask(
                facts,
                [
                    (n, r, c)
                    for n, r, c in cells
                    if _fits(r, n, top_response, category == best_response)
                    and _fits(c, n, top_complete, category == best_complete)
                    and (category != best_complete or subsets(n, c, facts.subset_complete))
                ],
            )
            for category in facts.categories
        }
        marginals = _marginals(masks)
        for category, counts in marginals.items():
            totals[category] = totals.get(category, 0) + counts
        count += int(marginals[best_response].sum())
    return FeasibleTables(count, totals)


def _rates(pairs: set[tuple[int, int]], printed: Printed) -> list[Fraction]:
    """The different rates among (count, n) that print `printed`."""
    return sorted({rate for rate in (Fraction(*pair) for pair in pairs) if printed.prints(rate)})


def _fits(count: int, n: int, top: Fraction, is_top: bool) -> bool:
    """Whether count / n is the highest rate, or strictly below it."""
    mine, highest = count * top.denominator, top.numerator * n
    return mine == highest if is_top else mine < highest


def _cells(facts: TableFacts) -> list[tuple[int, int, int]]:
    """Every (events, responses, complete) that one category can have."""
    largest = min(facts.events, facts.cap if facts.cap is not None else facts.events)
    return [
        (n, responses, complete)
        for n in range(1, largest + 1)
        for responses in range(min(n, facts.responses) + 1)
        for complete in range(min(responses, facts.complete) + 1)
    ]


def _mask(facts: TableFacts, cells: list[tuple[int, int, int]]) -> Counts:
    mask = np.zeros((facts.events + 1, facts.responses + 1, facts.complete + 1), dtype=np.int64)
    for cell in cells:
        mask[cell] = 1
    return mask


def _marginals(masks: dict[str, Counts]) -> dict[str, Counts]:
    """For each category and cell, the number of tables: its mask times what the others can add."""
    nothing = np.zeros_like(next(iter(masks.values())))
    nothing[0, 0, 0] = 1
    # Categories with the same mask are interchangeable; sums are kept by the masks they are of.
    kinds = {name: mask.tobytes() for name, mask in masks.items()}
    mask_of = {kinds[name]: mask for name, mask in masks.items()}
    sums: dict[tuple[bytes, ...], Counts] = {(): nothing}

    def sum_of(parts: tuple[bytes, ...]) -> Counts:
        if parts not in sums:
            sums[parts] = convolve(sum_of(parts[:-1]), mask_of[parts[-1]])
        return sums[parts]

    # The most frequent kind first: most sums then begin alike.
    order = sorted(kinds, key=lambda name: (-list(kinds.values()).count(kinds[name]), kinds[name]))
    marginals = {}
    for name in masks:
        rest = sum_of(tuple(kinds[other] for other in order if other != name))
        # What the other categories must add up to is the total less this category's cell.
        marginals[name] = masks[name] * rest[::-1, ::-1, ::-1]
    return marginals
