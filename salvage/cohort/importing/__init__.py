"""Any hospital's files into a cohort folder, as a mapping says (book/import.md)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AbstractMapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import Final

import pandas as pd
import yaml

from salvage import words
from salvage.cohort import schema
from salvage.cohort.cells import csv_text
from salvage.cohort.check import check, summary_lines
from salvage.cohort.importing.mapping import (
    Condition,
    Entry,
    Mapping,
    MappingError,
    is_mapped_name,
    read_mapping,
)
from salvage.cohort.importing.rows import NOT_KEPT, Count, LookUp, Mapped, Unmapped, apply
from salvage.cohort.importing.sources import place_of, read_sources
from salvage.cohort.model import Cohort
from salvage.cohort.readers import COHORT_FILES, SETTINGS_FILE, UNMAPPED_FILE
from salvage.cohort.study import Study, read_study
from salvage.problems import InputError, Problem, printable
from salvage.records import Reader

#: Rows printed one by one; all of them are in the file.
PRINTED: Final = 20
#: Patients named one by one.
NAMED: Final = 5


@dataclass(frozen=True)
class Imported:
    """What an import made: the cohort, or every reason why it cannot be used yet.

    ``unused`` are files that the mapping does not name, ``idle`` sources that it names and nothing
    is taken from. ``removed`` are files of an earlier import, and ``settings`` those settings of
    its study.yaml that differ from the mapping's.
    """

    folder: Path
    mapped: Mapped
    cohort: Cohort | None
    problems: tuple[Problem, ...]
    unused: tuple[str, ...]
    idle: tuple[str, ...]
    removed: tuple[str, ...]
    settings: tuple[str, ...]

    def report(self) -> str:
        """How many rows went where, and what could not be mapped."""
        return "\n".join(_report(self)) + "\n"


def run(source: Path, mapping_file: Path, out: Path) -> Imported:
    """Write the cohort folder ``out`` from the files in ``source``.

    Raises :class:`MappingError` with every problem of the mapping or of the files; nothing is
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
    tables = read_sources(source, mapping.sources)
    _check_columns(mapping, tables)
    mapped = apply(mapping, tables)
    settings = _differing(out / SETTINGS_FILE, mapping.study)
    removed = _write(out, mapping, mapped)
    cohort, found = check(out)
    errors = [] if cohort is not None else [_with_origin(p, mapped) for p in found]
    used = {place.name for s in mapping.sources.values() if (place := place_of(source, s))}
    present = {f.name for f in source.iterdir() if f.is_file()} if source.is_dir() else set()
    unused = tuple(sorted(present - used))
    idle = tuple(name for name in mapping.sources if name not in _taken_from(mapping))
    return Imported(out, mapped, cohort, tuple(errors), unused, idle, removed, settings)


# --- the mapping against the files ----------------------------------------------------------------


def _check_columns(mapping: Mapping, tables: AbstractMapping[str, pd.DataFrame]) -> None:
    """Raise :class:`MappingError` for columns that the mapping names and the files do not have."""
    subject = f"The mapping {mapping.name} does not fit the files"
    reader = Reader(mapping.name, subject, MappingError)
    for entry in mapping.entries:
        for place, source, name in _named(entry):
            columns = [str(column) for column in tables[source].columns]
            if name not in columns:
                expected = f"a column of {source}: {', '.join(columns)}"
                reader.wrong(place, name, expected, columns)
    reader.check()


def _named(entry: Entry) -> Iterable[tuple[str, str, str]]:
    """Place, source and name of every source column that an entry names."""
    for name in _of_rules(entry.keep):
        yield f"{entry.place}.keep", entry.source, name
    for target, cell in entry.columns.items():
        place = f"{entry.place}.columns.{target}"
        source = cell.source or entry.source
        for name in (*cell.column, *([cell.by] if cell.by else []), *_of_rules(cell.where)):
            yield place, source, name


def _taken_from(mapping: Mapping) -> set[str]:
    """Names of the sources that give rows or are looked up."""
    looked_up = {cell.source for entry in mapping.entries for cell in entry.columns.values()}
    return {entry.source for entry in mapping.entries} | {name for name in looked_up if name}


def _of_rules(rules: Sequence[Condition]) -> Iterable[str]:
    return (rule.column for rule in rules if not is_mapped_name(rule.column))


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


def _differing(kept: Path, study: Study) -> tuple[str, ...]:
    """Settings in which the study.yaml of an earlier import differs from the mapping's.

    None where it cannot be read: the check of the cohort says why.
    """
    if not kept.is_file():
        return ()
    given, problems = read_study(kept)
    if problems:
        return ()
    names = (one.name for one in fields(Study))
    return tuple(name for name in names if getattr(given, name) != getattr(study, name))


def _write(out: Path, mapping: Mapping, mapped: Mapped) -> tuple[str, ...]:
    """Write the files of the cohort, and name those of tables that the mapping has no longer.

    Such a table is not left from before. The list of unmapped rows is the first file, since it is
    the mark of a folder that an import made. A study.yaml that is there may have been edited: it
    stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    head = [one.name for one in fields(Unmapped)]
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


# --- what is said ---------------------------------------------------------------------------------


def _report(imported: Imported) -> Iterable[str]:
    mapped = imported.mapped
    yield from (_count_line(count) for count in mapped.counts)
    yield from (_look_up_line(look_up) for look_up in mapped.look_ups)
    if imported.idle:
        yield f"Read, but nothing is taken from it: {', '.join(map(printable, imported.idle))}."
    yield from _replaced(imported)
    yield from _lost_lines(mapped)
    for text, code in sorted(mapped.ambiguous.items()):
        yield f'More than one pattern fits "{printable(text)}"; taken as {code}, which comes first.'
    blanked = sum(count.left_blank for count in mapped.counts)
    if blanked:
        yield f"{words.count(blanked, 'cell')} could not be mapped and left blank."
    if imported.unused:
        yield f"Not named in the mapping: {', '.join(map(printable, imported.unused))}."
    if mapped.unmapped:
        yield (
            f"Every row and cell that is not in the cohort is in {UNMAPPED_FILE}, once for each "
            "reason:"
        )
        reasons = Counter(
            (u.outcome, u.source, u.table, u.column, u.reason) for u in mapped.unmapped
        )
        for (outcome, source, table, column, reason), number in reasons.items():
            place = f"{source} to {table}, column {column}"
            yield f"  {number} x {outcome}: {place}: {printable(reason)}"
        yield from _first_rows(mapped.unmapped)
    if imported.cohort is not None:
        yield from summary_lines(imported.cohort, str(imported.folder))


def _count_line(count: Count) -> str:
    return (
        f"{count.source} to {count.table}: {words.count(count.read, 'row')} read, "
        f"{count.written} written, {count.not_kept} not kept by the mapping's rules, "
        f"{count.left_out} left out because they could not be mapped."
    )


def _look_up_line(look_up: LookUp) -> str:
    return (
        f"{look_up.source}, looked up for {look_up.table}.{look_up.column}: "
        f"{words.count(look_up.read, 'row')} read, {look_up.not_kept} not kept by where, "
        f"{look_up.of_others} of other patients, {look_up.blank} blank, "
        f"{look_up.usable} to take from."
    )


def _replaced(imported: Imported) -> Iterable[str]:
    """What an earlier import left in the folder, and what became of it."""
    for name in imported.removed:
        yield f"{name} of an earlier import was removed: the mapping no longer has this table."
    if imported.settings:
        yield (
            f"{SETTINGS_FILE} was kept as it was. It differs from the mapping's study in "
            f"{words.listing(list(imported.settings))}. To take the mapping's settings, remove "
            f"{SETTINGS_FILE} and import again."
        )


def _lost_lines(mapped: Mapped) -> Iterable[str]:
    """Patients whose lines are not all in the cohort, which moves the numbers of the others."""
    if not {"patients", "salvage"} <= mapped.tables.keys():
        return
    written = set(mapped.tables["salvage"]["patient_id"])
    patients = mapped.tables["patients"]["patient_id"].unique()
    lost = [patient for patient in patients if patient in mapped.lost_lines]
    skipped = [patient for patient in lost if patient in written and mapped.numbered]
    if skipped:
        yield (
            f"The line numbers of {words.count(len(skipped), 'patient')} skip a row that was left "
            f"out: {_named_patients(skipped)}. A later line may count as an earlier one, such as "
            "the first: results of first lines, and adverse events that name a line, depend on it."
        )
    untreated = [patient for patient in lost if patient not in written]
    if untreated:
        yield (
            f"{words.count(len(untreated), 'patient')} without any salvage line, since every row "
            f"was left out: {_named_patients(untreated)}."
        )


def _named_patients(patients: Sequence[str]) -> str:
    """The first few ids, and how many more there are."""
    shown = [printable(patient) for patient in patients[:NAMED]]
    more = len(patients) - len(shown)
    return words.listing([*shown, f"{more} more"] if more else shown)


def _first_rows(unmapped: Sequence[Unmapped]) -> Iterable[str]:
    failed = [one for one in unmapped if one.outcome != NOT_KEPT]
    if not failed:
        return
    yield "Rows and cells that could not be mapped:"
    for one in failed[:PRINTED]:
        shown = f' "{printable(one.value)}"' if one.value else ""
        shown += f" ({one.found_in})" if one.found_in else ""
        yield f"  {one.source}, row {one.row}, {one.column}{shown}: {one.reason}; {one.outcome}"
    if len(failed) > PRINTED:
        yield f"  and {len(failed) - PRINTED} more in {UNMAPPED_FILE}"
