"""Names of columns, files and sheets as people write them, and what the schema calls them."""

import re
from collections.abc import Sequence
from typing import Final

from salvage.cohort.dates import INFUSION_DATE, date_columns
from salvage.cohort.schema import TableSchema

_BRACKET: Final = re.compile(r"[(\[（].*")


def table_key(name: str) -> str:
    """The name of a file or sheet as tables are called: ``Adverse events`` is adverse_events."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def plain_name(name: str) -> str:
    """A column's name in small letters, with underscores, without a unit in brackets behind it."""
    return "_".join(_BRACKET.sub("", name).lower().replace("-", " ").split())


def schema_names(names: Sequence[str], table: TableSchema) -> dict[str, str]:
    """The schema's name of each column that is only written otherwise: ``Patient ID``, ``Age (y)``.

    Not where the name is taken, two columns claim it, or a column of months says another unit.
    """
    known = {*table.names, *date_columns(table), INFUSION_DATE}
    meant = {
        name: plain_name(name)
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
