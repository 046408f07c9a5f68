"""One value for each patient, or each salvage line, out of several rows or columns.

What may be taken stands in a table of its own: ``row`` is the number of the row in its source,
``key`` says whose it is, ``text`` what stands there, ``day`` when it was if it belongs to a line,
and ``readable`` whether its time, or its code, is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from salvage.cohort.cells import MONTH_DECIMALS
from salvage.cohort.importing.lines import NEXT
from salvage.cohort.importing.mapping import BY_TIME, MappedCell
from salvage.cohort.importing.times import numbers
from salvage.cohort.schema import Column


@dataclass(frozen=True)
class LookUp:
    """Of the rows of a source that is looked up: how many one column can use, and why no more."""

    source: str
    table: str
    column: str
    read: int
    not_kept: int
    of_others: int
    in_no_line: int
    blank: int
    usable: int


def coalesced(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Of each row the first of some columns that is not blank."""
    first = frame[columns[0]]
    for name in columns[1:]:
        first = first.where(first != "", frame[name])
    return first


def candidates(frame: pd.DataFrame, cell: MappedCell, keys: pd.Series) -> pd.DataFrame:
    """What may be taken from rows with these keys: every column's text where a time decides."""
    # Rows are counted whatever else they hold.
    columns = (cell.by,) if cell.take == "count" else cell.column
    each = [[name] for name in columns] if cell.take in BY_TIME else [columns]
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "row": frame.index,
                    "key": keys[frame.index].to_numpy(dtype=object),
                    "text": coalesced(frame, names).to_numpy(dtype=object),
                    "day": np.nan,
                    "readable": True,
                }
            )
            for names in each
        ],
        ignore_index=True,
    )


def during_lines(
    cells: pd.DataFrame, times: pd.DataFrame, spans: pd.DataFrame, cell: MappedCell, column: Column
) -> pd.DataFrame:
    """What may be taken for each line: of its patient, after its start, up to the next one's start.

    ``times`` has the ``month`` of each row of the source and whether it is ``readable``; where it
    is not, the row may be of any line of its patient. ``spans`` has a row for each line.
    """
    lines = spans.assign(
        line=spans.index,
        start=numbers(spans["start_month"]).round(MONTH_DECIMALS),
        next=spans[NEXT].round(MONTH_DECIMALS),
    )[["patient_id", "line", "start", "next"]]
    placed = cells.drop(columns=["day", "readable"]).join(times, on="row")
    placed = placed.merge(lines, left_on="key", right_on="patient_id")
    after, before = placed["month"] > placed["start"], placed["month"] <= placed["next"]
    if column.name == "end_month":
        # A treatment may begin, and end, on the line's first day; another one begins on the next's.
        after |= placed["month"] == placed["start"]
        if cell.in_line is not None and cell.in_line.column != cell.column:
            before &= placed["month"] < placed["next"]
    placed["key"] = placed["line"]
    return placed[(after & before) | ~placed["readable"]].rename(columns={"month": "day"})


def ranked(cells: pd.DataFrame, rank: pd.Series, is_progression: pd.Series) -> pd.DataFrame:
    """What may be taken in the order of ``rank``; readable if that is known."""
    readable = cells["readable"] & rank.notna()
    cells = cells.assign(readable=readable, rank=rank, is_progression=is_progression)
    return cells.sort_values("rank", kind="stable")


def taken(cells: pd.DataFrame, cell: MappedCell, column: Column) -> "pd.Series[str]":
    """One text for each key; for ``count`` their number, for a flag whether there is any.

    The best response of a line is none after its first progression.
    """
    if cell.take == "best" and cell.in_line is not None:
        progressed = cells[cells["is_progression"]].groupby("key")["day"].min()
        cells = cells[~(cells["day"] > cells["key"].map(progressed))]
    groups = cells.groupby("key")["text"]
    if cell.take == "count":
        sizes = groups.size()
        return (sizes.clip(upper=1) if column.kind == "flag" else sizes).astype(str)
    return groups.last() if cell.take in ("latest", "last") else groups.first()
