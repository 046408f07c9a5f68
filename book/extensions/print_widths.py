"""Widths of the columns of a table, from what its cells hold."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from book.extensions.print_ast import Cells, split, tied

# Everything here is in ems of a table's type: the page's width, a little less than there is, and
# what stands left and right of a column's text.
PAGE, PADDING = 50.0, 1.2
# Widths of letters, as text faces have them; a capital is about as wide as an m.
NARROW, USUAL, WIDE = 0.29, 0.48, 0.70
NARROW_LETTERS = frozenset("fijlrt.,;:'|!()[]- \u2013\u00b7")
WIDE_LETTERS = frozenset("mwMW%\u2192\u2265\u2264")
# A name in code is set in a wider type, and so is the head.
CODE, HEAD = 0.54, 1.1
# What a broken cell weighs against a broken head.
CELL = 3
# Widths that a column is tried with, between its narrowest and its widest.
TRIALS = 24

Words = tuple[float, ...]


def widths(cells: Cells, page: float = PAGE) -> list[float]:
    """Share of the page's width for each column; the sum is at most 1. The page's width is in ems.

    A table that needs less than the page is as narrow as it can be. In any other, a column gets
    what its longest word needs; what is left goes step by step to the column where it saves most
    lines, so that short cells, such as an interval, stay on one line and text is broken instead.
    """
    return [width / page for width in _in_ems(cells, page)]


def is_tight(cells: Cells) -> bool:
    """Whether the longest words of the columns do not fit beside one another."""
    return sum(map(_least, _columns(cells))) >= PAGE


def height(cells: Cells) -> int:
    """Lines that the rows of a table take together."""
    columns = zip(_columns(cells), _in_ems(cells, PAGE), strict=True)
    broken = [[_lines(cell, width) for cell in column] for column, width in columns]
    return sum(map(max, zip(*broken, strict=True)))


def with_widths(table: list[Any], cells: Cells, page: float = PAGE) -> list[Any]:
    """The content of Pandoc's Table with a width for each column."""
    sides = [
        [side, {"t": "ColWidth", "c": width}]
        for (side, _), width in zip(table[2], widths(cells, page), strict=True)
    ]
    return [*table[:2], sides, *table[3:]]


@functools.cache
def _in_ems(cells: Cells, page: float) -> tuple[float, ...]:
    """Width of each column in ems."""
    columns = _columns(cells)
    least, most = list(map(_least, columns)), list(map(_most, columns))
    if sum(most) <= page:
        return tuple(most)
    if sum(least) >= page:
        return tuple(width * page / sum(least) for width in least)
    curves = [
        _curve(column, low, min(high, page))
        for column, low, high in zip(columns, least, most, strict=True)
    ]
    widths = _bought(curves, page)
    wished = [max(0.0, high - low) for low, high in zip(widths, most, strict=True)]
    spread = (page - sum(widths)) / sum(wished)
    return tuple(low + wish * spread for low, wish in zip(widths, wished, strict=True))


def _curve(column: Sequence[Words], least: float, most: float) -> list[tuple[float, int]]:
    """Widths of a column, ascending, and what its line breaks cost at each: a cell in many lines
    weighs more than many cells in two, and a head, which is there once, less than a cell.
    """
    steps = [least + (most - least) * step / TRIALS for step in range(TRIALS + 1)]
    return [(width, sum(_breaks(column, width))) for width in steps]


def _breaks(column: Sequence[Words], width: float) -> Iterator[int]:
    head, *body = ((_lines(cell, width) - 1) ** 2 for cell in column)
    yield head
    yield from (CELL * cost for cost in body)


def _bought(curves: Sequence[Sequence[tuple[float, int]]], budget: float) -> list[float]:
    """Widths within a budget, each step taken where it lowers the cost most for its width."""
    now = [curve[0] for curve in curves]
    while True:
        spare = budget - sum(width for width, _ in now)
        steps = [
            ((now[index][1] - cost) / (width - now[index][0]), index, (width, cost))
            for index, curve in enumerate(curves)
            for width, cost in curve
            if 0 < width - now[index][0] <= spare and cost < now[index][1]
        ]
        if not steps:
            return [width for width, _ in now]
        _, index, point = max(steps)
        now[index] = point


@functools.cache
def _columns(cells: Cells) -> list[list[Words]]:
    """For each column, the widths of the words of each cell."""
    head, *body = [[tuple(map(_size, split(tied(cell)))) for cell in row] for row in cells]
    bold = [tuple(HEAD * word for word in cell) for cell in head]
    return [list(column) for column in zip(bold, *body, strict=True)]


def _size(word: str) -> float:
    return CODE * len(word) if "_" in word else sum(map(_letter, word))


def _letter(letter: str) -> float:
    if letter in NARROW_LETTERS:
        return NARROW
    return WIDE if letter in WIDE_LETTERS or letter.isupper() else USUAL


def _least(column: Sequence[Words]) -> float:
    """Width of the longest word."""
    return max(max(cell, default=0.0) for cell in column) + PADDING


def _most(column: Sequence[Words]) -> float:
    """Width of the longest cell."""
    return max(sum(cell) + NARROW * (len(cell) - 1) for cell in column) + PADDING


def _lines(cell: Words, width: float) -> int:
    """Lines of a cell in a column of a width."""
    room, lines, used = width - PADDING + 1e-9, 1, 0.0
    for word in cell:
        if used and used + NARROW + word > room:
            lines, used = lines + 1, word
        else:
            used += word + (NARROW if used else 0.0)
    return lines
