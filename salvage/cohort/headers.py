"""Names of columns, files and sheets as people write them, and what the schema calls them; rows
above and below a table that are no rows of it."""

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Final

import pandas as pd

from salvage.cohort.dates import INFUSION_DATE, date_column, date_columns
from salvage.cohort.schema import PATIENTS, TableSchema

_BRACKET: Final = re.compile(r"[(\[（].*")
#: How alike two names must be for one to be the other misspelt.
_MISSPELT: Final = 0.75
#: Of several columns with one name, ``age #2`` is the second.
_AGAIN: Final = re.compile(r"(.+) #\d+")
_TOTAL: Final = re.compile(
    r"(?:grand )?totals?\b.*|sub-?totals?|sum|mean|average|median|n\s*[=:].*"
    r"|[合总小共]计.*|总数.*|平均.*"
)
_NOTE: Final = re.compile(
    r"[*†‡§#※注].*|(?:notes?|remarks?|sources?|备注|说明)\s*[:：.].*|数据截.*|(?:\S+\s+){3,}.*|.{30,}"
)


def table_key(name: str) -> str:
    """The name of a file or sheet as tables are called: ``Adverse events`` is adverse_events."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def plain_name(name: str) -> str:
    """A column's name in small letters, with underscores, without a unit in brackets behind it."""
    return "_".join(_BRACKET.sub("", name).lower().replace("-", " ").split())


def schema_names(names: Sequence[str], table: TableSchema) -> dict[str, str]:
    """The schema's name of each column that is only written otherwise: ``PatientID``, ``Age (y)``.

    Not where the name is taken, two columns claim it, or a column of months says another unit.
    """
    known = {*table.names, *date_columns(table), INFUSION_DATE}
    squeezed = {column.replace("_", ""): column for column in known}
    meant = {
        name: squeezed.get(plain_name(name).replace("_", ""), name)
        for name in names
        if name not in known and not in_another_unit(name, table)
    }
    claimed = [*names, *meant.values()]
    return {n: plain for n, plain in meant.items() if plain in known and claimed.count(plain) == 1}


def in_another_unit(name: str, table: TableSchema) -> str:
    """The column of months that a name with another unit in brackets is meant to be, if any."""
    bracket = _BRACKET.search(name)
    unit = bracket[0].strip("()[]（） ").lower() if bracket else ""
    if not unit or unit.startswith(("mo", "mth")) or unit.endswith("月"):
        return ""
    months = {column.name for column in table.columns if column.kind == "month"}
    return plain_name(name) if plain_name(name) in months else ""


def known_names(table: TableSchema) -> list[str]:
    """Every column that a table may have, those of dates included."""
    infusion = [INFUSION_DATE] if table is PATIENTS else []
    return [*table.names, *date_columns(table), *infusion]


def repeated(name: str, table: TableSchema) -> str:
    """The column of the schema that stands several times in a header, of which this is one."""
    again = _AGAIN.fullmatch(name)
    return again[1] if again and again[1] in known_names(table) else ""


def misspelt(name: str, names: Collection[str], table: TableSchema) -> str:
    """The column that a name is nearly the name of, and that is not there under its own.

    A column of months is there if its column of dates is, and the other way round.
    """
    pairs = date_columns(table)
    there = {*names, *(pairs.get(n) for n in names), *(date_column(str(n)) for n in names)}
    absent = [column for column in known_names(table) if column not in there]
    near = difflib.get_close_matches(plain_name(name), absent, n=1, cutoff=_MISSPELT)
    return near[0] if near else ""


def is_note(text: str) -> bool:
    """Whether a text under a table, alone in its row, is a note or a total and no id."""
    return any(form.fullmatch(text.strip().casefold()) for form in (_NOTE, _TOTAL))


def rows_below(frame: pd.DataFrame) -> pd.Index:
    """The rows at the end of a table that hold totals, or a note and nothing else."""
    for position in range(len(frame) - 1, -1, -1):
        cells = [cell for cell in frame.iloc[position] if cell]
        total = _TOTAL.fullmatch(cells[0].casefold())
        if not (total or (len(cells) == 1 and is_note(cells[0]))):
            return frame.index[position + 1 :]
    return frame.index[:0]
