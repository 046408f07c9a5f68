"""Any hospital's files into a cohort folder, as a mapping says (book/import.md).

How a mapping is written stands in ``mapping``, what it is applied to in ``sources``, what it means
for each row in ``rows``, and what is said of it all in ``report``.
"""

from dataclasses import asdict, astuple, fields, replace
from pathlib import Path

import yaml

from salvage.cohort import schema
from salvage.cohort.cells import csv_text
from salvage.cohort.check import check
from salvage.cohort.importing.mapping import Mapping, MappingError, read_mapping
from salvage.cohort.importing.report import Imported
from salvage.cohort.importing.rows import Mapped, Unmapped, apply
from salvage.cohort.importing.sources import place_of, read_sources
from salvage.cohort.readers import COHORT_FILES, SETTINGS_FILE, UNMAPPED_FILE
from salvage.cohort.study import Study, read_study
from salvage.problems import InputError, Problem

__all__ = ["Imported", "run"]


def run(source: Path, mapping_file: Path, out: Path) -> Imported:
    """Write the cohort folder ``out`` from the files in ``source``.

    Raises ``MappingError`` with every problem of the mapping or of the files; nothing is
    written then, nor into a folder whose cohort no import made. Rows that could not be mapped are
    listed in ``unmapped.csv`` of ``out``.
    """
    mapping = read_mapping(mapping_file)
    if not source.exists():
        problem = Problem(str(source), expected="this file or folder")
        raise InputError("Nothing to import", [problem])
    root = source if source.is_dir() else source.parent
    if out.resolve() == root.resolve():
        expected = "another folder: the cohort's files would replace the files that are imported"
        raise InputError("Nothing was written", [Problem(str(out), expected=expected)])
    foreign = _foreign(out)
    if foreign:
        raise InputError("Nothing was written, so that no cohort is lost", foreign)
    mapped = apply(mapping, read_sources(source, mapping))
    if mapped.errors:
        subject = f"The mapping {mapping.name} does not fit the files, and nothing was written"
        raise MappingError(subject, mapped.errors)
    settings = _differing(out / SETTINGS_FILE, mapping.study)
    removed = _write(out, mapping, mapped)
    cohort, problems = check(out)
    errors = [] if cohort is not None else [_with_origin(p, mapped) for p in problems]
    used = {place.name for s in mapping.sources.values() if (place := place_of(source, s))}
    present = {f.name for f in source.iterdir() if f.is_file()} if source.is_dir() else set()
    unused = tuple(sorted(present - used))
    cells = [cell for entry in mapping.entries for cell in entry.columns.values()]
    taken = {cell.source for cell in cells} | {entry.source for entry in mapping.entries}
    taken |= {join.source for source in mapping.sources.values() for join in source.join}
    idle = tuple(name for name in mapping.sources if name not in taken)
    return Imported(out, mapped, cohort, tuple(errors), unused, idle, removed, settings)


# --- what is written ------------------------------------------------------------------------------


def _foreign(out: Path) -> list[Problem]:
    """Files of a cohort in a folder that no import made; they would be overwritten or mixed up."""
    if not out.is_dir() or (out / UNMAPPED_FILE).is_file():
        return []
    known = {f"{table.name}{suffix}" for table in schema.TABLES for suffix in COHORT_FILES}
    known.add(SETTINGS_FILE)
    expected = (
        "a folder without this file, since no import made it "
        f"(a folder that an import made holds {UNMAPPED_FILE})"
    )
    names = sorted(f.name for f in out.iterdir() if f.is_file() and f.name.lower() in known)
    return [Problem(str(out / name), expected=expected) for name in names]


def _differing(path: Path, study: Study) -> tuple[str, ...]:
    """Settings in which the study.yaml of an earlier import differs from the mapping's.

    Empty where it cannot be read: the check of the cohort says why.
    """
    if not path.is_file():
        return ()
    earlier, problems = read_study(path)
    if problems:
        return ()
    names = (setting.name for setting in fields(Study))
    return tuple(name for name in names if getattr(earlier, name) != getattr(study, name))


def _write(out: Path, mapping: Mapping, mapped: Mapped) -> tuple[str, ...]:
    """Write the files of the cohort; returns the names of the files that it deletes.

    Those are tables of an earlier import that the mapping no longer fills. The list of unmapped
    rows is written first, since it marks a folder that an import made. A study.yaml that is there
    may have been edited, so it stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    head = [column.name for column in fields(Unmapped)]
    unmapped = csv_text([head, *map(astuple, mapped.unmapped)])
    (out / UNMAPPED_FILE).write_text(unmapped, encoding="utf-8", newline="")
    removed = []
    for table in schema.TABLES:
        path = out / f"{table.name}.csv"
        if table.name not in mapped.tables:
            if path.is_file():
                path.unlink()
                removed.append(path.name)
            continue
        frame = mapped.tables[table.name]
        shown = [c.name for c in table.columns if c.required or (frame[c.name] != "").any()]
        rows = frame[shown].itertuples(index=False, name=None)
        path.write_text(csv_text([shown, *rows]), encoding="utf-8", newline="")
    if not (out / SETTINGS_FILE).exists():
        settings = yaml.safe_dump(asdict(mapping.study), sort_keys=False, allow_unicode=True)
        (out / SETTINGS_FILE).write_text(settings, encoding="utf-8")
    return tuple(removed)


def _with_origin(problem: Problem, mapped: Mapped) -> Problem:
    """A problem of the written cohort with the row of the source that it comes from."""
    origins = mapped.origins.get(problem.file.removesuffix(".csv"), [])
    position = (problem.row or 0) - 2
    if not 0 <= position < len(origins):
        return problem
    source, row = origins[position]
    return replace(problem, expected=f"{problem.expected}; it comes from {source}, row {row}")
