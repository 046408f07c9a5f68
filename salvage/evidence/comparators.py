"""What other studies printed: response rates with exact intervals, survival, and pooling.

Everything comes from ``data/comparators.yaml``; nothing is added from memory. Other studies count
patients, some of them at their first salvage line; the index study counts events over all lines.
Every row says what was counted and, for a time, where the clock starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from salvage import words
from salvage.cohort.cells import DAYS_PER_MONTH
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.evidence.cases import Audited, Case, audit_cases, typed
from salvage.evidence.rounding import Printed, numerators
from salvage.paths import COMPARATORS
from salvage.records import Kind, Reader, one_of
from salvage.stats.intervals import clopper_pearson
from salvage.stats.pooling import FEWEST, Pooled, pool

Measure = Literal["orr", "cr"]
ReadIn = Literal["abstract", "secondary", "not stated"]

ANY: Final = "any"
RATES: Final[tuple[Measure, ...]] = ("orr", "cr")
TIMES: Final = ("os_median", "pfs_median", "followup_median")
PROPORTIONS: Final = ("os_rate", "pfs_rate", "local_control", "nrm")
RATIOS: Final = ("os_hr", "pfs_hr", "c_index")
MEASURES: Final = {
    "os_median": "median OS",
    "pfs_median": "median PFS",
    "followup_median": "median follow-up",
    "os_rate": "OS",
    "pfs_rate": "PFS",
    "local_control": "local control",
    "nrm": "NRM",
    "os_hr": "hazard ratio of OS",
    "pfs_hr": "hazard ratio of PFS",
    "c_index": "C index",
}
#: Months of each unit of time.
MONTHS: Final = {"months": 1.0, "weeks": 7 / DAYS_PER_MONTH, "days": 1 / DAYS_PER_MONTH}
#: Units in which a measure may be printed.
UNITS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(TIMES, tuple(MONTHS)),
    **dict.fromkeys(PROPORTIONS, ("proportion",)),
    **dict.fromkeys(RATIOS, ("ratio",)),
}


@dataclass(frozen=True)
class Publication:
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


def _printed_rate(text: str) -> str:
    """The text of a count of n, or of a number. Raises ValueError for another text."""
    events, slash, n = text.partition("/")
    if slash and not (events + n).isdecimal():
        raise ValueError(f"{text!r} is not a count of n")
    if not slash:
        Printed.parse(text)
    return text


_Number = Annotated[
    float, Kind(lambda text: float(Printed.parse(text).value), "a number as printed")
]
_PrintedRate = Annotated[str, Kind(_printed_rate, "a number, or a count of n such as 8/27")]


@dataclass(frozen=True)
class Rate:
    """One printed response rate.

    printed     as the source prints it
    counted     what was counted
    events, n   None where not known; a count that was not printed is the only one of n that prints
                the rate
    low, high   exact interval of the count, else the printed one, else None
    pool        rates with the same name may be pooled; None where `apart` says why not
    """

    study: Publication
    category: Annotated[str, one_of((*CATEGORY_KEYS, ANY))]
    measure: Measure
    printed: _PrintedRate
    counted: str
    group: str = ""
    n: int | None = None
    events: int | None = None
    low: _Number | None = None
    high: _Number | None = None
    read_in: Annotated[str, one_of(get_args(ReadIn))] = ""
    pool: str | None = None
    apart: str = ""

    @property
    def value(self) -> float:
        """The rate as a proportion."""
        if "/" in self.printed:
            return float(Fraction(self.printed))
        return float(Printed.parse(self.printed).value)

    def contradictions(self) -> Iterator[tuple[str, object, str]]:
        """Events that are no count of n, or not those that are printed."""
        if self.events is not None and (self.n is None or self.events > self.n):
            yield "events", self.events, "a count of at most n"
        if "/" in (self.printed or "") and self.printed != f"{self.events}/{self.n}":
            yield "printed", self.printed, "the events and n"


@dataclass(frozen=True)
class Outcome:
    """One printed median, rate at a time, or ratio. Times are in months once they are read.

    value    None where not reached
    at       month of a rate
    origin   where the clock starts
    apart    why it is not drawn beside others; empty where it may be
    """

    study: Publication
    measure: Annotated[str, one_of(UNITS)]
    unit: str
    group: str
    origin: str
    value: _Number | None = None
    low: _Number | None = None
    high: _Number | None = None
    at: int | None = None
    n: int | None = None
    category: Annotated[str, one_of(CATEGORY_KEYS)] | None = None
    read_in: Annotated[str, one_of(get_args(ReadIn))] = ""
    apart: str = ""

    def contradictions(self) -> Iterator[tuple[str, object, str]]:
        """A unit that the measure does not have."""
        units = UNITS.get(self.measure, (self.unit,))
        if self.unit and self.unit not in units:
            yield "unit", self.unit, f"one of {', '.join(units)}"


@dataclass(frozen=True)
class Comparators:
    """Every source and what it printed, in the order of the file; and by the key of each source all
    its figures as printed, to be audited."""

    studies: dict[str, Publication]
    rates: tuple[Rate, ...]
    outcomes: tuple[Outcome, ...]
    cases: dict[str, Case]


# --- reading the file -----------------------------------------------------------------------------


@cache
def comparators() -> Comparators:
    """The comparators of the book."""
    return read(COMPARATORS)


def read(path: Path) -> Comparators:
    """Read a file of comparators. Raises InputError that lists every problem."""
    reader = Reader(path.name, f"{path} cannot be used")
    content = reader.mapping(reader.load(path), "") or {}
    reader.known(content, ("studies", "rates", "outcomes", "figures"), "")
    studies: dict[str, Publication] = {}
    listed = reader.value(tuple[Publication, ...], content.get("studies", ""), "studies")
    for number, study in enumerate(listed, 1):
        if study.key in studies:
            reader.wrong(f"studies[{number}].key", study.key, "a key that no other study has")
        studies[study.key] = study
    # From here on a study is named by its key.
    reader.kinds[Publication] = Kind(
        studies.__getitem__, "the key of a study above", tuple(studies)
    )
    rates = reader.value(tuple[Rate, ...], content.get("rates", ""), "rates")
    outcomes = reader.value(tuple[Outcome, ...], content.get("outcomes", ""), "outcomes")
    others = [reader.mapping(item, "figures") or {} for item in content.get("figures", [])]
    for number, other in enumerate(others, 1):
        reader.one_of(other.get("study", ""), studies, f"figures[{number}].study")
    reader.check()
    printed = [
        *((rate["study"], _rate_figure(rate)) for rate in content.get("rates", [])),
        *((o["study"], _outcome_figure(o)) for o in content.get("outcomes", []) if "value" in o),
        *((other.pop("study"), other) for other in others),
    ]
    cases = {
        key: Case(study.label, "", tuple(typed(figure) for of, figure in printed if of == key))
        for key, study in studies.items()
    }
    return Comparators(
        studies, tuple(map(_with_count, rates)), tuple(map(_in_months, outcomes)), cases
    )


def _rate_figure(rate: dict[str, str]) -> dict[str, Any]:
    """A rate as a file of cases has it; its n counts where it is a share of all of them."""
    category = words.CATEGORIES_SHORT.get(rate["category"], "mixed therapies")
    label = f"{words.MEASURES_SHORT[rate['measure']]}, {rate.get('group', category)}"
    printed = rate["printed"]
    kind = "value" if "low" in rate else "percent"
    parts = ("events", "n") if rate.get("pool") or "/" in printed else ()
    return {
        "label": label,
        **({} if "/" in printed else {kind: printed}),
        **{part: rate[part] for part in (*parts, "low", "high") if part in rate},
    }


def _outcome_figure(outcome: dict[str, str]) -> dict[str, Any]:
    """A median, ratio or share over time as a file of cases has it."""
    measure, group = outcome["measure"], outcome["group"]
    kind = "median" if measure in TIMES else "ratio" if measure.endswith("_hr") else "value"
    over_time = measure in PROPORTIONS and "low" not in outcome
    return {
        "label": f"{MEASURES[measure]}, {group}",
        "percent" if over_time else kind: outcome["value"],
        **({"of": "survival"} if over_time else {}),
        **{part: outcome[part] for part in ("low", "high") if part in outcome},
    }


def _with_count(rate: Rate) -> Rate:
    """The rate with its count, if n leaves but one, and the exact interval of that."""
    events, n, low, high = rate.events, rate.n, rate.low, rate.high
    # A pooled estimate and a part of the patients are no count of n.
    if events is None and n is not None and rate.pool is not None:
        counts = numerators(Printed.parse(rate.printed), n)
        events = counts[0] if len(counts) == 1 else None
    if events is not None and n is not None:
        low, high = clopper_pearson(events, n)
    read_in = rate.read_in or rate.study.read_in
    return replace(rate, events=events, low=low, high=high, read_in=read_in)


def _in_months(outcome: Outcome) -> Outcome:
    """The outcome with its times in months."""
    scale = MONTHS.get(outcome.unit, 1.0)
    value, low, high = (
        None if number is None else number * scale
        for number in (outcome.value, outcome.low, outcome.high)
    )
    unit = "months" if outcome.unit in MONTHS else outcome.unit
    read_in = outcome.read_in or outcome.study.read_in
    return replace(outcome, value=value, low=low, high=high, unit=unit, read_in=read_in)


@cache
def audited(key: str) -> list[Audited]:
    """The audit of all figures that a source printed."""
    return audit_cases([comparators().cases[key]])


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
    known = rates(category, measure)
    if not known:
        return NotPooled("no other study here prints this rate", 0)
    names = sorted({rate.pool for rate in known if rate.pool})
    groups = {name: [r for r in known if r.pool == name and r.events is not None] for name in names}
    largest = max(groups.values(), key=len, default=[])
    if len(largest) < FEWEST:
        return NotPooled(_reason(known, largest), len(largest))
    events = [rate.events for rate in largest if rate.events is not None]
    sizes = [rate.n for rate in largest if rate.n is not None]
    if not 0 < sum(events) < sum(sizes):
        return NotPooled("nobody or everybody responded in all comparable studies", len(largest))
    return pool(events, sizes)


def _reason(known: Sequence[Rate], comparable: Sequence[Rate]) -> str:
    count = {0: "no comparable count is", 1: "one comparable count is"}.get(
        len(comparable), f"only {len(comparable)} comparable counts are"
    )
    without = sum(rate.events is None and not rate.apart for rate in known)
    apart = sorted({f"{rate.study.label}: {rate.apart}" for rate in known if rate.apart})
    parts = [f"{count} known, and pooling needs {FEWEST}"]
    if without:
        parts.append(
            f"{without} printed without a count" if without > 1 else "one printed rate has no count"
        )
    return "; ".join([*parts, *apart])
