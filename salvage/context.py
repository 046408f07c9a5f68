"""What other studies printed: response rates with exact intervals, survival, and pooling.

Everything comes from ``data/comparators.yaml``; nothing is added from memory. Other studies count
patients, mostly at their first line after CAR-T; the study of this book counts events over all
lines. Every row says what was counted and, for a time, where the clock starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from salvage.cells import DAYS_PER_MONTH
from salvage.paths import COMPARATORS
from salvage.problems import InputError, Problem
from salvage.rounding import Printed, numerators
from salvage.schema import CATEGORY_KEYS
from salvage.stats.intervals import clopper_pearson
from salvage.stats.pooling import FEWEST, Pooled, pool
from salvage.yaml_files import read_yaml

Measure = Literal["orr", "cr"]
ReadIn = Literal["abstract", "secondary", "not stated"]

ANY: Final = "any"
RATES: Final[tuple[Measure, ...]] = ("orr", "cr")
TIMES: Final = ("os_median", "pfs_median", "followup_median")
PROPORTIONS: Final = ("os_rate", "pfs_rate", "local_control", "nrm")
RATIOS: Final = ("os_hr", "pfs_hr", "c_index")
READ_IN: Final[tuple[ReadIn, ...]] = ("abstract", "secondary", "not stated")
#: Months of each unit of time.
MONTHS: Final = {"months": 1.0, "weeks": 7 / DAYS_PER_MONTH, "days": 1 / DAYS_PER_MONTH}


@dataclass(frozen=True)
class Study:
    """One source. Bibliographic fields and counts are None where they are not known.

    failed, infused, treated   patients whose CAR-T failed, patients infused, patients treated
                               after failure
    size                       patients in other terms than these
    short                      name in tables and figures, where author and year are not enough
    says                       what the source prints besides its rates and outcomes
    """

    key: str
    name: str
    author: str
    read_in: ReadIn
    journal: str | None = None
    year: int | None = None
    volume: str | None = None
    issue: str | None = None
    first_page: str | None = None
    doi: str | None = None
    pmcid: str | None = None
    failed: int | None = None
    infused: int | None = None
    treated: int | None = None
    size: str | None = None
    short: str | None = None
    says: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Author and year, unless the source has a shorter name."""
        if self.short:
            return self.short
        return self.author if self.year is None else f"{self.author} {self.year}"

    @property
    def citation(self) -> str:
        """All that is known of where it was published."""
        place = " ".join(str(part) for part in (self.journal, self.year) if part)
        if self.volume:
            issue = f"({self.issue})" if self.issue else ""
            place += f";{self.volume}{issue}:{self.first_page}"
        identifier = f"doi:{self.doi}" if self.doi else self.pmcid
        return ", ".join(part for part in (self.author, place, identifier) if part)


@dataclass(frozen=True)
class Rate:
    """One printed response rate.

    value       as a proportion
    events, n   None where not known
    derived     the count was not printed; it is the only one of n that prints the rate
    low, high   exact interval of the count, else the printed one, else None
    interval    "exact", "printed" or "" accordingly
    counted     what was counted
    pool        rates with the same name may be pooled; None where `apart` says why not
    """

    study: Study
    category: str
    measure: Measure
    group: str
    printed: str
    value: float
    events: int | None
    n: int | None
    derived: bool
    low: float | None
    high: float | None
    interval: Literal["exact", "printed", ""]
    counted: str
    read_in: ReadIn
    pool: str | None
    apart: str


@dataclass(frozen=True)
class Outcome:
    """One printed median, rate at a time, or ratio. Times are in months.

    value    None where not reached
    at       month of a rate
    origin   where the clock starts
    apart    why it is not drawn beside others; empty where it may be
    """

    study: Study
    measure: str
    group: str
    category: str | None
    value: float | None
    low: float | None
    high: float | None
    at: int | None
    n: int | None
    unit: Literal["months", "proportion", "ratio"]
    origin: str
    read_in: ReadIn
    apart: str


@dataclass(frozen=True)
class Comparators:
    """Every source and what it printed, in the order of the file."""

    studies: dict[str, Study]
    rates: tuple[Rate, ...]
    outcomes: tuple[Outcome, ...]


# --- reading the file -----------------------------------------------------------------------------


@cache
def comparators() -> Comparators:
    """The comparators of the book."""
    return read(COMPARATORS)


def read(path: Path) -> Comparators:
    """Read a file of comparators. Raises InputError that lists every problem."""
    content = read_yaml(path) or {}
    reader = _Reader(path.name)
    studies: dict[str, Study] = {}
    for item, place in reader.items(content, "studies"):
        study = reader.study(item, place)
        if study.key in studies:
            reader.problem(f"{place}.key", study.key, "a key that no other study has")
        studies[study.key] = study
    rates = [reader.rate(item, place, studies) for item, place in reader.items(content, "rates")]
    outcomes = [
        reader.outcome(item, place, studies) for item, place in reader.items(content, "outcomes")
    ]
    if reader.problems:
        raise InputError(f"{path} cannot be used", reader.problems)
    return Comparators(
        studies,
        tuple(rate for rate in rates if rate is not None),
        tuple(outcome for outcome in outcomes if outcome is not None),
    )


_STUDY: Final = tuple(field.name for field in fields(Study))
_RATE: Final = ("study", "category", "measure", "printed", "n", "events", "low", "high")
_RATE_WORDS: Final = ("counted", "group", "read_in", "pool", "apart")
_OUTCOME: Final = ("study", "measure", "value", "low", "high", "unit", "at", "n", "category")
_OUTCOME_WORDS: Final = ("group", "origin", "read_in", "apart")


class _Reader:
    """Collects every problem of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def problem(self, place: str, value: object, expected: str) -> None:
        self.problems.append(
            Problem(self.file, None, place, "" if value is None else str(value), expected)
        )

    def items(self, content: Mapping[str, Any], key: str) -> list[tuple[Mapping[str, Any], str]]:
        return [(item, f"{key}[{i}]") for i, item in enumerate(content.get(key) or [], 1)]

    def study(self, item: Mapping[str, Any], place: str) -> Study:
        self._keys(item, place, _STUDY, needed=("key", "name", "author", "read_in"))
        self._one_of(item.get("read_in"), f"{place}.read_in", READ_IN)
        known = {key: value for key, value in item.items() if key in _STUDY}
        known = dict.fromkeys(("key", "name", "author", "read_in"), "") | known
        return Study(**known | {"says": tuple(item.get("says", ()))})

    def rate(self, item: Mapping[str, Any], place: str, studies: dict[str, Study]) -> Rate | None:
        before = len(self.problems)
        needed = ("study", "category", "measure", "printed", "counted")
        self._keys(item, place, (*_RATE, *_RATE_WORDS), needed)
        study = self._study(item, place, studies)
        self._one_of(item.get("category"), f"{place}.category", (*CATEGORY_KEYS, ANY))
        self._one_of(item.get("measure"), f"{place}.measure", RATES)
        read_in = item.get("read_in", study.read_in if study else None)
        self._one_of(read_in, f"{place}.read_in", READ_IN)
        n, events = item.get("n"), item.get("events")
        if events is not None and not (n is not None and 0 <= events <= n):
            self.problem(f"{place}.events", events, "a count of at most n")
        low = self._number(item, place, "low")
        high = self._number(item, place, "high")
        fraction = f"{events}/{n}"
        printed = None
        if item.get("printed") != fraction:
            printed = self._number(item, place, "printed")
        if study is None or len(self.problems) > before:
            return None
        derived = False
        # A pooled estimate and a part of the patients are no count of n.
        if printed is not None and events is None and n is not None and "pool" in item:
            counts = numerators(printed, n)
            derived = len(counts) == 1
            events = counts[0] if derived else None
        interval: Literal["exact", "printed", ""] = ""
        limits: tuple[float | None, float | None] = (None, None)
        if events is not None and n is not None:
            interval, limits = "exact", clopper_pearson(events, n)
        elif low is not None and high is not None:
            interval, limits = "printed", (float(low.value), float(high.value))
        value = Fraction(item["printed"]) if printed is None else printed.value
        return Rate(
            study=study,
            category=item["category"],
            measure=item["measure"],
            group=item.get("group", ""),
            printed=item["printed"],
            value=float(value),
            events=events,
            n=n,
            derived=derived,
            low=limits[0],
            high=limits[1],
            interval=interval,
            counted=item["counted"],
            read_in=read_in,
            pool=item.get("pool"),
            apart=item.get("apart", ""),
        )

    def outcome(
        self, item: Mapping[str, Any], place: str, studies: dict[str, Study]
    ) -> Outcome | None:
        before = len(self.problems)
        needed = ("study", "measure", "unit", "group", "origin")
        self._keys(item, place, (*_OUTCOME, *_OUTCOME_WORDS), needed)
        study = self._study(item, place, studies)
        measure, unit = item.get("measure"), item.get("unit")
        self._one_of(measure, f"{place}.measure", (*TIMES, *PROPORTIONS, *RATIOS))
        if "category" in item:
            self._one_of(item["category"], f"{place}.category", CATEGORY_KEYS)
        read_in = item.get("read_in", study.read_in if study else None)
        self._one_of(read_in, f"{place}.read_in", READ_IN)
        for kinds, units in (
            (TIMES, tuple(MONTHS)),
            (PROPORTIONS, ("proportion",)),
            (RATIOS, ("ratio",)),
        ):
            if measure in kinds:
                self._one_of(unit, f"{place}.unit", units)
        numbers = [self._number(item, place, key) for key in ("value", "low", "high")]
        if study is None or len(self.problems) > before:
            return None
        scale = MONTHS.get(str(unit), 1.0)
        value, low, high = (None if x is None else float(x.value) * scale for x in numbers)
        return Outcome(
            study=study,
            measure=item["measure"],
            group=item["group"],
            category=item.get("category"),
            value=value,
            low=low,
            high=high,
            at=item.get("at"),
            n=item.get("n"),
            unit="months" if measure in TIMES else item["unit"],
            origin=item["origin"],
            read_in=read_in,
            apart=item.get("apart", ""),
        )

    def _keys(
        self,
        item: Mapping[str, Any],
        place: str,
        known: tuple[str, ...],
        needed: tuple[str, ...],
    ) -> None:
        for key in item:
            if key not in known:
                self.problem(f"{place}.{key}", None, f"one of the keys {', '.join(known)}")
        for key in needed:
            if item.get(key) in (None, ""):
                self.problem(f"{place}.{key}", None, "a value")

    def _one_of(self, value: object, place: str, allowed: Sequence[str]) -> None:
        if value is not None and value not in allowed:
            self.problem(place, value, f"one of {', '.join(allowed)}")

    def _study(
        self, item: Mapping[str, Any], place: str, studies: dict[str, Study]
    ) -> Study | None:
        key = item.get("study")
        if key is not None and key not in studies:
            self.problem(f"{place}.study", key, "the key of a study above")
        return studies.get(str(key))

    def _number(self, item: Mapping[str, Any], place: str, key: str) -> Printed | None:
        if item.get(key) is None:
            return None
        try:
            # YAML would read an unquoted 3.0 as a number and lose its last digit.
            return Printed.parse(item[key])
        except (ValueError, AttributeError):
            self.problem(f"{place}.{key}", item[key], "a number in quotes, as printed")
            return None


# --- looking up -----------------------------------------------------------------------------------


def rates(category: str, measure: Measure) -> list[Rate]:
    """Printed rates of one salvage category, or of mixed therapies (ANY)."""
    return [r for r in comparators().rates if (r.category, r.measure) == (category, measure)]


def outcomes(*measures: str, category: str | None = None) -> list[Outcome]:
    """Printed outcomes of some measures; of one category only if it is given."""
    return [
        o
        for o in comparators().outcomes
        if o.measure in measures and (category is None or o.category == category)
    ]


# --- pooling --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NotPooled:
    """Why rates are not pooled."""

    reason: str
    studies: int


def pooled(category: str, measure: Measure) -> Pooled | NotPooled:
    """Pool the comparable counts of a category, or say why not.

    Comparable: the same name under `pool` (one kind of therapy in one kind of patients), patients
    counted once, the count printed or the only one that prints the rate. This book's own cohort is
    never pooled with others: it counts events, and while it is synthetic it is no evidence.
    """
    found = rates(category, measure)
    if not found:
        return NotPooled("no other study here prints this rate", 0)
    names = sorted({rate.pool for rate in found if rate.pool})
    groups = {name: [r for r in found if r.pool == name and r.events is not None] for name in names}
    largest = max(groups.values(), key=len, default=[])
    if len(largest) < FEWEST:
        return NotPooled(_reason(found, largest), len(largest))
    events = [rate.events for rate in largest if rate.events is not None]
    sizes = [rate.n for rate in largest if rate.n is not None]
    if not 0 < sum(events) < sum(sizes):
        return NotPooled("nobody or everybody responded in all comparable studies", len(largest))
    return pool(events, sizes)


def _reason(found: Sequence[Rate], comparable: Sequence[Rate]) -> str:
    count = {0: "no comparable count is", 1: "one comparable count is"}.get(
        len(comparable), f"only {len(comparable)} comparable counts are"
    )
    without = sum(rate.events is None and not rate.apart for rate in found)
    apart = sorted({f"{rate.study.label}: {rate.apart}" for rate in found if rate.apart})
    parts = [f"{count} known, and pooling needs {FEWEST}"]
    if without:
        parts.append(
            f"{without} printed without a count" if without > 1 else "one printed rate has no count"
        )
    return "; ".join([*parts, *apart])
