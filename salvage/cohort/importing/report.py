"""What an import made, and what is said of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salvage import words
from salvage.cohort.check import summary_lines
from salvage.cohort.importing.rows import NOT_KEPT, Count, LookUp, Mapped, Unmapped
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
    """The rows and cells that could not be mapped, the first few of them one by one."""
    failed = [item for item in unmapped if item.outcome != NOT_KEPT]
    if not failed:
        return
    yield "Rows and cells that could not be mapped:"
    for item in failed[:PRINTED]:
        shown = f' "{printable(item.value)}"' if item.value else ""
        shown += f" ({item.found_in})" if item.found_in else ""
        place = f"{item.source}, row {item.row}, {item.column}"
        yield f"  {place}{shown}: {item.reason}; {item.outcome}"
    if len(failed) > PRINTED:
        yield f"  and {len(failed) - PRINTED} more in {UNMAPPED_FILE}"
