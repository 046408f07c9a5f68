"""The files of a hospital as tables of text, in any of :data:`salvage.cohort.files.FORMATS`."""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AbstractMapping
from pathlib import Path

import pandas as pd

from salvage.cohort.files import FORMATS, SourceFile
from salvage.cohort.importing.mapping import (
    Condition,
    Entry,
    Mapping,
    MappingError,
    is_mapped_name,
)
from salvage.cohort.importing.matching import key_of
from salvage.problems import Problem
from salvage.records import Reader


def read_sources(root: Path, mapping: Mapping) -> dict[str, pd.DataFrame]:
    """Every source of a mapping as text, by its name.

    Raises :class:`MappingError` that lists every file that cannot be read, or every column that the
    mapping names and the files do not have.
    """
    tables: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    for name, source in mapping.sources.items():
        path = place_of(root, source)
        if path is None or not path.is_file():
            shown = source.file or f"sources.{name}"
            problems.append(Problem(shown, expected=f"a file in {root.name}"))
        elif path.suffix.lower() not in FORMATS:
            expected = f"one of the formats {', '.join(FORMATS)}"
            problems.append(Problem(path.name, None, "", path.suffix, expected))
        else:
            tables[name], wrong = FORMATS[path.suffix.lower()](path, source)
            problems += wrong
    if problems:
        raise MappingError("The files cannot be read", problems)
    joined = _joined(mapping, tables)
    _check_columns(mapping, joined)
    return joined


def _joined(
    mapping: Mapping, tables: AbstractMapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Every source with the columns of those that it is joined to."""
    subject = f"The mapping {mapping.name} does not fit the files"
    reader = Reader(mapping.name, subject, MappingError)
    joined = dict(tables)
    for name, source in mapping.sources.items():
        for number, join in enumerate(source.join, 1):
            place, by = f"sources.{name}.join[{number}]", join.by or join.on
            other = tables.get(join.source)
            reader.one_of(join.source, list(tables), f"{place}.source")
            if other is None:
                continue
            reader.one_of(join.on, list(tables[name].columns), f"{place}.on")
            reader.one_of(by, list(other.columns), f"{place}.by")
            if join.on not in tables[name] or by not in other:
                continue
            other = other[other[by] != ""]
            keys, wanted = other[by].map(key_of), tables[name][join.on].map(key_of)
            twice = other[by][keys.duplicated()]
            if len(twice):
                reader.wrong(
                    place, twice.iloc[0], f"each value of {by} in one row of {join.source}"
                )
            elif not wanted.isin(keys).any():
                expected = f"a value of {by} in {join.source}; none of {join.on} is one"
                reader.wrong(place, "", expected)
            else:
                beside = other.add_prefix(f"{join.source}.").set_index(pd.Index(keys))
                beside = beside.reindex(wanted).fillna("").set_axis(joined[name].index)
                joined[name] = joined[name].join(beside)
    reader.check()
    return joined


def place_of(root: Path, source: SourceFile) -> Path | None:
    """The file of a source: in the folder ``root``, or ``root`` itself if that is a file."""
    if root.is_dir():
        return root / source.file if source.file else None
    return root if source.file in ("", root.name) else root.parent / source.file


def _check_columns(mapping: Mapping, tables: AbstractMapping[str, pd.DataFrame]) -> None:
    """Raise :class:`MappingError` for columns that the mapping names and the files do not have."""
    subject = f"The mapping {mapping.name} does not fit the files"
    reader = Reader(mapping.name, subject, MappingError)
    for entry in mapping.entries:
        for place, source, name in _named(entry):
            columns = [str(column) for column in tables[source].columns]
            if name and name not in columns:
                expected = f"a column of {source}: {', '.join(columns)}"
                if "Repeat Instrument" in columns:
                    expected = "raw data; this export of REDCap has labels, for which map drafts"
                reader.wrong(place, name, expected, columns)
    reader.check()


def _named(entry: Entry) -> Iterable[tuple[str, str, str]]:
    """Place, source and name of every source column that an entry names."""
    for name in _of_rules(entry.keep):
        yield f"{entry.place}.keep", entry.source, name
    for target, cell in entry.columns.items():
        place = f"{entry.place}.columns.{target}"
        source = cell.source or entry.source
        during = cell.in_line.column if cell.in_line is not None else ()
        for name in (*cell.column, cell.by, *_of_rules(cell.where), *during):
            yield place, source, name
        yield place, entry.source, cell.match


def _of_rules(rules: Sequence[Condition]) -> Iterable[str]:
    return (rule.column for rule in rules if not is_mapped_name(rule.column))
