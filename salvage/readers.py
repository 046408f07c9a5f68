"""Files into tables of text: whatever the format, every cell arrives as a string, blank for missing."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from salvage.problems import Problem

ENCODINGS = ("utf-8-sig", "gb18030")


def read_csv(path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """A CSV file as text. UTF-8 (with or without BOM) and GB18030; comma, semicolon or tab."""
    data = path.read_bytes()
    text = _decode(data)
    if text is None:
        return pd.DataFrame(), [Problem(path.name, None, "", "", "text in UTF-8 or GB18030")]
    if not text.strip():
        return pd.DataFrame(), [Problem(path.name, None, "", "", "a header and rows; the file is empty")]
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=_delimiter(text),
            header=None,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=False,
            low_memory=False,
        )
    except (pd.errors.ParserError, csv.Error) as error:
        return pd.DataFrame(), [Problem(path.name, None, "", "", f"as many cells in each row as in the header ({error})")]
    return _headed(frame, path.name)


def _decode(data: bytes) -> str | None:
    for encoding in ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\x00" in text else text
    return None


def _delimiter(text: str) -> str:
    """The delimiter that splits the header into most cells; a comma when nothing does."""
    header = text.lstrip("\n\r").split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _headed(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[Problem]]:
    """The first row as the header; the index holds each row's number in the file (header is row 1)."""
    names = [str(name).strip() for name in frame.iloc[0]]
    problems = [
        Problem(source, 1, name, "", "each column once") for name in sorted({n for n in names if n and names.count(n) > 1})
    ]
    body = frame.iloc[1:].copy()
    body.columns = pd.Index(names)
    body.index = pd.RangeIndex(2, len(body) + 2)
    body = body.loc[:, [bool(name) and name not in names[:i] for i, name in enumerate(names)]]
    body = body.fillna("").apply(lambda column: column.str.strip())
    blank = (body == "").all(axis=1)
    return body[~blank], problems


READERS: dict[str, Callable[[Path], tuple[pd.DataFrame, list[Problem]]]] = {".csv": read_csv}
