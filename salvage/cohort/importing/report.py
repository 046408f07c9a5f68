"""What an import made, and what is said of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salvage import words
from salvage.cohort.check import summary_lines
from salvage.cohort.importing.look_ups import LookUp
from salvage.cohort.importing.rows import NOT_KEPT, Count, Mapped, Recoded, Unmapped
from salvage.cohort.importing.times import DatesRead
from salvage.cohort.model import Cohort
from salvage.cohort.readers import SETTINGS_FILE, UNMAPPED_FILE
from salvage.problems import Problem, printable

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
        return "\n".join(_lines(self)) + "\n"


def _lines(imported: Imported) -> Iterable[str]:
    """What is printed of an import, line by line."""
    mapped = imported.mapped
    yield from (_count_line(count) for count in mapped.counts)
    yield from (_look_up_line(look_up) for look_up in mapped.look_ups)
    if imported.idle:
        yield f"Read, but nothing is taken from it: {', '.join(map(printable, imported.idle))}."
    yield from _replaced(imported)
    yield from _same_ids(mapped)
    yield from _merged_lines(mapped)
    yield from _lost_lines(mapped)
    for text, code in sorted(mapped.ambiguous.items()):
        yield f'More than one pattern fits "{printable(text)}"; taken as {code}, which comes first.'
    blanked = sum(count.left_blank for count in mapped.counts)
    if blanked:
        yield f"{words.count(blanked, 'cell')} could not be mapped and left blank."
    for text in sorted(mapped.negated):
        yield f'A negation stands in "{printable(text)}": no pattern fits it.'
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
    yield from (line for recoded in mapped.recoded for line in _cross_table(recoded))
    yield from (line for read in mapped.dates for line in _dates(read))
    if mapped.warnings:
        yield f"{words.count(len(mapped.warnings), 'date')} worth a second look:"
        yield from _first([f"  {warning}" for warning in mapped.warnings])
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
        f"{look_up.of_others} of other patients, "
        + (f"{look_up.in_no_line} in no line, " if look_up.in_no_line else "")
        + f"{look_up.blank} blank, {look_up.usable} to take from."
    )


def _same_ids(mapped: Mapped) -> Iterable[str]:
    """Ids that two files write differently; the rule is that of :mod:`identifiers`."""
    for source, pairs in mapped.same_ids.items():
        shown = [f"{printable(written)} is {printable(meant)}" for written, meant in pairs.items()]
        yield (
            f"{source} writes {words.count(len(pairs), 'id')} otherwise than the patients table "
            f"(capitals, marks or leading zeros): {_named(shown)}."
        )


def _merged_lines(mapped: Mapped) -> Iterable[str]:
    """How many rows of drugs became how many lines."""
    merged = mapped.merged
    if merged is None:
        return
    rows, patients = len(merged.line_of), merged.lines["patient_id"].nunique()
    yield (
        f"{words.count(rows, 'row')} became {words.count(len(merged.lines), 'salvage line')} of "
        f"{words.count(patients, 'patient')}."
    )
    if len(merged.supportive):
        counts = Counter(merged.supportive)
        drugs = [f"{printable(drug)} ({number})" for drug, number in counts.most_common()]
        yield f"No line, since they hold supportive drugs alone: {words.listing(drugs)}."
    if merged.differing:
        yield (
            f"The rows of {words.count(merged.differing, 'line')} hold different responses; "
            "the best of them is taken."
        )


def _cross_table(recoded: Recoded) -> Iterable[str]:
    """What each text of a coded column became, in how many rows."""
    yield f"{recoded.table}.{recoded.column} from {recoded.source}: source, cohort, rows"
    for (text, code), rows in sorted(recoded.rows.items(), key=lambda item: (item[0][1], -item[1])):
        shown = f'"{printable(text)}"' if text else "(blank)"
        yield f"  {shown}, {printable(code) or '(blank)'}, {rows:,}"


def _dates(read: DatesRead) -> Iterable[str]:
    """What a column's dates are, and how many of its cells each pattern would read."""
    span = f", from {read.earliest} to {read.latest}" if read.earliest else ""
    yield (
        f"{read.column} from {read.source}: {read.read:,} of {words.count(read.cells, 'date')} "
        f"read as {read.written}{span}."
    )
    others = {form: n for form, n in read.by_pattern.items() if form != read.written}
    if others:
        counts = [f"{form} {number:,}" for form, number in others.items()]
        yield f"  Other patterns would read: {', '.join(counts)}."
    if read.better:
        yield f"  {read.better} reads more of them."


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
            f"out: {_named(skipped)}. A later line may count as an earlier one, such as "
            "the first: results of first lines, and adverse events that name a line, depend on it."
        )
    untreated = [patient for patient in lost if patient not in written]
    if untreated:
        yield (
            f"{words.count(len(untreated), 'patient')} without any salvage line, since every row "
            f"was left out: {_named(untreated)}."
        )


def _named(items: Sequence[str]) -> str:
    """The first few of some ids, and how many more there are."""
    shown = list(map(printable, items[:NAMED]))
    more = len(items) - len(shown)
    return words.listing([*shown, f"{more} more"] if more else shown)


def _first(lines: Sequence[str], more: str = "") -> Iterable[str]:
    """The first few lines, and how many more there are."""
    yield from lines[:PRINTED]
    if len(lines) > PRINTED:
        yield f"  and {len(lines) - PRINTED} more{more}"


def _first_rows(unmapped: Sequence[Unmapped]) -> Iterable[str]:
    """The rows and cells that could not be mapped, the first few of them one by one."""
    failed = [item for item in unmapped if item.outcome != NOT_KEPT]
    if not failed:
        return
    yield "Rows and cells that could not be mapped:"
    yield from _first(list(map(_failed_line, failed)), f" in {UNMAPPED_FILE}")


def _failed_line(item: Unmapped) -> str:
    shown = f' "{printable(item.value)}"' if item.value else ""
    shown += f" ({item.found_in})" if item.found_in else ""
    return f"  {item.source}, row {item.row}, {item.column}{shown}: {item.reason}; {item.outcome}"
