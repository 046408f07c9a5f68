"""The files of a hospital as tables of text: CSV, Excel, Parquet, SPSS, Stata and SAS."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from salvage.cohort.importing.mapping import MappingError, SourceFile
from salvage.cohort.readers import (
    WORKBOOKS,
    Read,
    from_frame,
    headed,
    read_csv,
    read_parquet,
    sheet_name,
    sheets,
)
from salvage.problems import Problem


def _pyreadstat(name: str) -> Callable[[Path, SourceFile], Read]:
    """A reader of pyreadstat by its name; values that SPSS calls missing are blank."""

    def read(path: Path, source: SourceFile) -> Read:
        import pyreadstat

        # A transport file of SAS holds no labels.
        options: dict[str, Any] = (
            {}
            if name == "read_xport"
            else {"apply_value_formats": source.labels, "formats_as_category": False}
        )
        if source.encoding is not None:
            options["encoding"] = source.encoding
        try:
            frame, _ = getattr(pyreadstat, name)(str(path), **options)
        except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError) as error:
            expected = f"a file that can be read as {path.suffix} ({error})"
            return pd.DataFrame(), [Problem(path.name, None, "", "", expected)]
        return from_frame(frame, path.name)

    return read


def _csv(path: Path, source: SourceFile) -> Read:
    return read_csv(path, source.encoding, source.header)


def _parquet(path: Path, source: SourceFile) -> Read:
    return read_parquet(path)


def _sheet(path: Path, source: SourceFile) -> Read:
    found, problems = sheets(path)
    if not found:
        return pd.DataFrame(), problems
    title = source.sheet or next(iter(found))
    name = sheet_name(path, title)
    if title not in found:
        expected = f"one of the sheets {', '.join(found)}"
        return pd.DataFrame(), [Problem(name, None, "", "", expected)]
    frame, wrong = headed(found[title], name, source.header)
    return frame, [p for p in problems if p.file == name] + wrong


FORMATS: Final[Mapping[str, Callable[[Path, SourceFile], Read]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    **dict.fromkeys(WORKBOOKS, _sheet),
    ".parquet": _parquet,
    ".sav": _pyreadstat("read_sav"),
    ".zsav": _pyreadstat("read_sav"),
    ".por": _pyreadstat("read_por"),
    ".dta": _pyreadstat("read_dta"),
    ".xpt": _pyreadstat("read_xport"),
    ".sas7bdat": _pyreadstat("read_sas7bdat"),
}


def read_sources(root: Path, sources: Mapping[str, SourceFile]) -> dict[str, pd.DataFrame]:
    """Every source as text by its name; :class:`MappingError` lists what cannot be read."""
    tables: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    for name, source in sources.items():
        path = place_of(root, source)
        if path is None or not path.is_file():
            shown = source.file or f"sources.{name}"
            problems.append(Problem(shown, None, "", "", f"a file in {root.name}"))
        elif path.suffix.lower() not in FORMATS:
            expected = f"one of the formats {', '.join(FORMATS)}"
            problems.append(Problem(path.name, None, "", path.suffix, expected))
        else:
            tables[name], found = FORMATS[path.suffix.lower()](path, source)
            problems += found
    if problems:
        raise MappingError("The files cannot be read", problems)
    return tables


def place_of(root: Path, source: SourceFile) -> Path | None:
    """The file of a source: in the folder ``root``, or ``root`` itself if that is a file."""
    if root.is_dir():
        return root / source.file if source.file else None
    return root if source.file in ("", root.name) else root.parent / source.file
