"""Salvage lines inside the time that each patient has between relapse and death.

Times are whole tenths of a month. A line spans the time from its start to the start of the next
line, or to death or last contact. Functions that draw raise :class:`NoHistory` where their draw led
to no possible history; the caller draws again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from salvage.cohort.schema import CATEGORY_KEYS

Ints = NDArray[np.int64]
Label = TypeVar("Label")

SHORTEST_LINE = 6
"""Tenths of a month between the starts of two lines."""
SHORTEST_LAST_LINE = 3
"""Tenths of a month between the start of the last line and death or last contact."""
PATIENT_AT_MONTH_ONE = 10


class NoHistory(Exception):
    """A draw leaves no room for what a cohort must hold."""


@dataclass(frozen=True)
class Limits:
    """What a patient's sequence of categories may hold.

    once: categories received at most once; apart: categories not received twice in a row;
    manufacture: tenths of a month from relapse to a second CAR-T at the soonest; assessed: from a
    second CAR-T to the next line at the soonest.
    """

    once: frozenset[str]
    apart: frozenset[str]
    manufacture: int
    assessed: int


@dataclass(frozen=True)
class AssumedCounts:
    """What is assumed of one category: events, responses (CR or PR) and complete responses."""

    n: int
    responses: int
    complete: int


@dataclass(frozen=True)
class SalvageLine:
    """One salvage event; ``span`` is the time to the next line, death or last contact."""

    patient: int
    line: int
    start: int
    span: int
    last: bool
    wait: int
    """Tenths of a month from relapse to the start of this line."""


def spread_lines(
    rng: np.random.Generator, after: Ints, observed: Ints, lines: Sequence[int], noise: float
) -> Ints:
    """How many lines each patient gets: more, the longer they live after relapse, with noise.

    ``lines`` holds the numbers to give out, one per patient; noise is the SD of log months that
    blurs the ranking (0: strictly by survival after relapse).
    """
    rank = np.argsort(np.log(after) + noise * rng.standard_normal(len(after)), kind="stable")
    numbers = np.empty(len(after), dtype=np.int64)
    numbers[rank] = np.sort(np.asarray(lines))
    room = after >= SHORTEST_LINE * (numbers - 1) + SHORTEST_LAST_LINE
    short = (observed <= PATIENT_AT_MONTH_ONE) & (numbers > 2)
    if short.any() or not room.all():
        raise NoHistory
    return numbers


def place_lines(
    rng: np.random.Generator, relapse: Ints, observed: Ints, numbers: Ints
) -> list[SalvageLine]:
    """Starts of all lines, ordered by patient and line.

    What is left of a patient's time after the shortest possible lines is cut at random into the
    wait before the first line and an addition to each line. The wait is at most one month.
    """
    placed = []
    for patient, count in enumerate(numbers):
        begin, end = int(relapse[patient]), int(observed[patient])
        least = SHORTEST_LINE * (int(count) - 1) + SHORTEST_LAST_LINE
        spare = end - begin - least
        wait = int(rng.integers(0, min(spare // 2, 10) + 1))
        cuts = np.sort(rng.integers(0, spare - wait + 1, size=int(count) - 1))
        starts = [begin + wait]
        starts += [begin + wait + SHORTEST_LINE * (k + 1) + int(cut) for k, cut in enumerate(cuts)]
        ends = [*starts[1:], end]
        placed += [
            SalvageLine(patient, k + 1, start, stop - start, k + 1 == count, start - begin)
            for k, (start, stop) in enumerate(zip(starts, ends, strict=True))
        ]
    return placed


def _conflicts(
    lines: Sequence[SalvageLine], categories: Sequence[str], limits: Limits
) -> list[int]:
    """Lines whose category cannot stand: repeated, or a CAR-T before it is made or left unread."""
    seen: set[tuple[int, str]] = set()
    conflicts = []
    for k, (line, category) in enumerate(zip(lines, categories, strict=True)):
        repeated = (line.patient, category) in seen and category in limits.once
        again = line.line > 1 and categories[k - 1] == category and category in limits.apart
        soon = category == "second_cart" and (
            line.wait < limits.manufacture or (not line.last and line.span < limits.assessed)
        )
        if repeated or again or soon:
            conflicts.append(k)
        seen.add((line.patient, category))
    return conflicts


def assign_categories(
    rng: np.random.Generator,
    lines: Sequence[SalvageLine],
    table: Mapping[str, AssumedCounts],
    limits: Limits,
) -> list[str]:
    """A random category for each line, within the limits and with the events of the table."""
    keys = [key for key in CATEGORY_KEYS for _ in range(table[key].n)]
    return _arrange(rng, keys, lambda categories: _conflicts(lines, categories, limits))


def assign_courses(
    rng: np.random.Generator,
    lines: Sequence[SalvageLine],
    table: Mapping[str, AssumedCounts],
    limits: Limits,
    shortest: Callable[[str, str, str | None], int],
) -> tuple[list[str], dict[int, str]]:
    """A random category for each line and, by index of the line, CR or PR as the table has them.

    ``shortest`` gives the tenths of a month that a line of a category with "CR" or "PR" lasts at
    least before a category, or before death or last contact (None). At most one patient dies
    before a second CAR-T can be assessed.
    """

    def conflicts(labels: Sequence[tuple[str, str]]) -> list[int]:
        categories = [category for category, _ in labels]
        wrong = _conflicts(lines, categories, limits)
        hasty = []
        for k, (line, (category, code)) in enumerate(zip(lines, labels, strict=True)):
            following = None if line.last else categories[k + 1]
            if code and line.span < shortest(category, code, following):
                wrong.append(k)
            elif category == "second_cart" and line.span < limits.assessed:
                hasty.append(k)
        return wrong + hasty[1:]

    labels = [
        (key, code)
        for key, counts in table.items()
        for code, count in (
            ("CR", counts.complete),
            ("PR", counts.responses - counts.complete),
            ("", counts.n - counts.responses),
        )
        for _ in range(count)
    ]
    arranged = _arrange(rng, labels, conflicts)
    best = {k: code for k, (_, code) in enumerate(arranged) if code}
    return [category for category, _ in arranged], best


def _arrange(
    rng: np.random.Generator, labels: list[Label], conflicts: Callable[[list[Label]], list[int]]
) -> list[Label]:
    """The labels in a random order that has no conflicts.

    What cannot stand is swapped with random others; ``conflicts`` names it by index.
    """
    order = [labels[k] for k in rng.permutation(len(labels))]
    wrong = conflicts(order)
    for _ in range(20 * len(labels)):
        if not wrong:
            return order
        first, second = int(rng.choice(wrong)), int(rng.integers(len(labels)))
        swapped = order.copy()
        swapped[first], swapped[second] = order[second], order[first]
        still = conflicts(swapped)
        if len(still) <= len(wrong):
            order, wrong = swapped, still
    raise NoHistory


def _pick(
    rng: np.random.Generator, pool: Sequence[int], weight: NDArray[np.float64], count: int
) -> list[int]:
    if len(pool) < count:
        raise NoHistory
    if not count:
        return []
    chances = weight[list(pool)]
    return [int(k) for k in rng.choice(pool, count, replace=False, p=chances / chances.sum())]


def assign_responders(
    rng: np.random.Generator,
    lines: Sequence[SalvageLine],
    categories: Sequence[str],
    table: Mapping[str, AssumedCounts],
    weight: NDArray[np.float64],
    shortest: Mapping[str, int],
    lost: int,
) -> dict[int, str]:
    """CR or PR by index of the line, drawn with ``weight`` among lines that last long enough.

    ``shortest`` gives the shortest span, in tenths of a month, that a line with "CR" or "PR" has;
    it is longer by ``lost`` before a second CAR-T, which finds the response lost.
    """
    best: dict[int, str] = {}
    room = [
        line.span - lost * (not line.last and categories[k + 1] == "second_cart")
        for k, line in enumerate(lines)
    ]
    for key, counts in table.items():
        pool = [k for k, c in enumerate(categories) if c == key]
        for code, count in (("CR", counts.complete), ("PR", counts.responses - counts.complete)):
            able = [k for k in pool if k not in best and room[k] >= shortest[code]]
            best.update(dict.fromkeys(_pick(rng, able, weight, count), code))
    return best


def assign_others(
    rng: np.random.Generator, lines: Sequence[SalvageLine], best: Mapping[int, str], most_ne: int
) -> list[str]:
    """Best response of every line: CR and PR as given, else SD, PD or not evaluable.

    Not evaluable: at most ``most_ne`` last lines, cut short within a month. Stable disease needs a
    line of 1.2 months, or it could not have been assessed; after progressive disease no line lasts
    more than 2.7 months.
    """
    codes = []
    left = most_ne
    for k, line in enumerate(lines):
        if k in best:
            codes.append(best[k])
        elif line.last and line.span < 10 and left and rng.random() < 0.6:
            codes.append("NE")
            left -= 1
        else:
            stable = line.span > 27 or (line.span >= 12 and rng.random() < 0.45)
            codes.append("SD" if stable else "PD")
    return codes


def assign_switch(
    rng: np.random.Generator,
    categories: Sequence[str],
    codes: Sequence[str],
    switched: int,
    switched_complete: int,
) -> dict[int, int]:
    """1 (switched) or 0 (same target) for each second CAR-T, by index of the line.

    ``switched`` of them aim at another target; ``switched_complete`` of these reach a CR.
    """
    second = [k for k, c in enumerate(categories) if c == "second_cart"]
    complete = [k for k in second if codes[k] == "CR"]
    rest = [k for k in second if codes[k] != "CR"]
    chosen = [int(k) for k in rng.choice(complete, switched_complete, replace=False)]
    chosen += [int(k) for k in rng.choice(rest, switched - switched_complete, replace=False)]
    return {k: int(k in chosen) for k in second}
