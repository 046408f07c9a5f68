"""Rows as the tables of a cohort, and tables as bytes that are the same each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from salvage.cohort.schema import TABLES, Column, TableSchema


def typed(frame: pd.DataFrame, table: TableSchema) -> pd.DataFrame:
    """A frame with the columns, their order and their types of ``table``; absent ones all missing.

    Codes and text are str or None, numbers float64; ``line`` of salvage is int, ``died`` bool.
    """
    frame = frame.reindex(columns=list(table.names))
    for column in table.columns:
        if column.kind in ("id", "text", "code"):
            values = frame[column.name]
            frame[column.name] = values.astype(object).mask(values.isna(), None)
        else:
            frame[column.name] = frame[column.name].astype(float)
    # An adverse event may come without a line, so only the required one is a whole number.
    for name, kind in (("line", int), ("died", bool)):
        if name in frame and table.column(name).required:
            frame[name] = frame[name].astype(kind)
    return frame


def as_frames(*tables: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """Rows of patients, salvage and adverse events, in this order, as frames by table name."""
    frames = {
        table.name: typed(pd.DataFrame(rows), table)
        for table, rows in zip(TABLES, tables, strict=True)
    }
    keys = ["patient_id", "line", "onset_month", "term"]
    frames["adverse_events"] = frames["adverse_events"].sort_values(keys, ignore_index=True)
    return frames


def as_csv(frame: pd.DataFrame, columns: Sequence[Column]) -> bytes:
    """A table as CSV: months with one decimal, other numbers whole, a missing value blank.

    Lines end with ``\\n`` on every system.
    """
    return as_text(frame, columns).to_csv(index=False, lineterminator="\n").encode("utf-8")


def as_text(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """A table with each value as :func:`as_csv` prints it."""
    return pd.DataFrame(
        {
            column.name: [_cell(value, column.kind) for value in frame[column.name]]
            for column in columns
        }
    )


def _cell(value: Any, kind: str) -> str:
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    if kind in ("id", "text", "code"):
        return str(value)
    return f"{value:.1f}" if kind == "month" else str(int(value))
