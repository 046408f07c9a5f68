"""Widths of the columns of a table, from what its cells hold."""

import math
from typing import Any

from book.extensions.print_ast import Cells

# Characters of a table's type on the width of the page: a little fewer than there are.
PAGE = 92.0
# The most that a column is given before the page is full, and what its padding takes.
WIDE, PADDING = 46, 2
# Width of a letter of code, in letters of text.
CODE = 1.35


def widths(cells: Cells) -> list[float]:
    """Share of the page's width for each column; the sum is at most 1.

    A column gets what its longest word needs, then a part of what is left, by how much more its
    longest cell would take. A table that needs less than the page is as narrow as it can be.
    """
    least = _least(cells)
    most = [max(pair) for pair in zip(least, _wished(cells), strict=True)]
    if sum(most) <= PAGE:
        return [width / PAGE for width in most]
    if sum(least) >= PAGE:
        return [width / sum(least) for width in least]
    spread = (PAGE - sum(least)) / (sum(most) - sum(least))
    given = [low + (high - low) * spread for low, high in zip(least, most, strict=True)]
    return [width / PAGE for width in given]


def is_tight(cells: Cells) -> bool:
    """Whether the longest words of the columns do not fit beside one another."""
    return sum(_least(cells)) >= PAGE


def with_widths(table: list[Any], cells: Cells) -> list[Any]:
    """The content of Pandoc's Table with a width for each column."""
    sides = [
        [side, {"t": "ColWidth", "c": width}]
        for (side, _), width in zip(table[2], widths(cells), strict=True)
    ]
    return [*table[:2], sides, *table[3:]]


def _least(cells: Cells) -> list[int]:
    """Characters of the longest word of each column, with padding."""
    columns = zip(*cells, strict=True)
    return [max(map(_longest_word, column)) + PADDING for column in columns]


def _wished(cells: Cells) -> list[int]:
    """Characters of the longest cell of each column, as far as it may ask, with padding."""
    columns = zip(*cells, strict=True)
    return [max(min(len(cell), WIDE) for cell in column) + PADDING for column in columns]


def _longest_word(text: str) -> int:
    return max((math.ceil(len(word) * _size(word)) for word in text.split()), default=0)


def _size(word: str) -> float:
    """Width of a word's letters: a name in code is set in a wider type."""
    return CODE if "_" in word else 1.0
