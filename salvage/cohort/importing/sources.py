"""The files of a hospital as tables of text, in any of :data:`salvage.cohort.files.FORMATS`."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from salvage.cohort.files import FORMATS, SourceFile
from salvage.cohort.importing.mapping import MappingError
from salvage.problems import Problem


def read_sources(root: Path, sources: Mapping[str, SourceFile]) -> dict[str, pd.DataFrame]:
    """Every source as text by its name; :class:`MappingError` lists what cannot be read."""
    tables: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    for name, source in sources.items():
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
    return tables


def place_of(root: Path, source: SourceFile) -> Path | None:
    """The file of a source: in the folder ``root``, or ``root`` itself if that is a file."""
    if root.is_dir():
        return root / source.file if source.file else None
    return root if source.file in ("", root.name) else root.parent / source.file
