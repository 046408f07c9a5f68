"""The printed facts of any study, read from a small YAML file, and the report of their audit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from salvage import words
from salvage.evidence.printed import (
    DeathBound,
    RateCheck,
    RateFact,
    RatioCheck,
    RatioFact,
    check_rate,
    check_ratio,
)
from salvage.evidence.risk_sets import MOST_PATIENTS
from salvage.evidence.rounding import Printed, PrintedP
from salvage.records import Kind, Reader, whole_number


@dataclass(frozen=True)
class PrintedFacts:
    """Printed facts of any study."""

    title: str
    n: int | None
    rates: tuple[RateFact, ...]
    ratios: tuple[RatioFact, ...]


@dataclass(frozen=True)
class Report:
    """The checks of a study's facts; ``str(report)`` is plain text for a terminal."""

    facts: PrintedFacts
    rates: tuple[RateCheck, ...]
    ratios: tuple[RatioCheck, ...]

    @property
    def consistent(self) -> bool:
        """Whether every figure can be what it says it is."""
        return all(c.consistent for c in self.rates) and all(c.consistent for c in self.ratios)

    def __str__(self) -> str:
        parts = [self.facts.title, *map(_rate_text, self.rates), *map(_ratio_text, self.ratios)]
        return "\n\n".join(parts) + "\n"


def audit_facts(path: Path) -> Report:
    """Read a facts file and check it. Raises InputError that lists every problem of the file."""
    facts = read_facts(path)
    return Report(
        facts,
        tuple(check_rate(fact) for fact in facts.rates),
        tuple(check_ratio(fact) for fact in facts.ratios),
    )


def read_facts(path: Path) -> PrintedFacts:
    """Read the printed facts of a study.

    The file is YAML. Numbers are read as they are written, so 0.40 keeps its last digit::

        title: A study                       # optional
        n: 29                                # patients, optional
        rates:                               # printed percentages
          - label: Response rate
            printed: 41.4%                   # with its last digit; a proportion without %
            events: 24                       # optional
            n: 58                            # optional
        ratios:                              # hazard ratios of two groups
          - label: Late against early relapse
            hr: 0.44
            low: 0.21                        # 95% confidence limits
            high: 0.95
            p: 0.038                         # optional; <0.001 is understood
            n: 29                            # optional, else the patients above
            deaths: 28                       # optional

    Raises InputError that lists every problem.
    """
    reader = Reader(path.name, f"{path} cannot be audited")
    facts = reader.record(_Facts, reader.load(path))
    if not reader.problems and not facts.rates and not facts.ratios:
        reader.wrong("", "", "at least one entry under rates or ratios")
    for number, ratio in enumerate(facts.ratios, 1):
        if ratio.n is None and _above(ratio.deaths, facts.n):
            reader.wrong(f"ratios[{number}].deaths", ratio.deaths, f"at most n, {facts.n}")
    reader.check()
    return PrintedFacts(
        facts.title or path.stem,
        facts.n,
        tuple(
            RateFact(rate.label, Printed.parse(rate.printed), rate.printed, rate.events, rate.n)
            for rate in facts.rates
        ),
        tuple(_ratio_fact(ratio, facts.n) for ratio in facts.ratios),
    )


def _rate(text: str) -> str:
    """The text of a proportion. Raises ValueError for another text."""
    if not 0 <= Printed.parse(text).value <= 1:
        raise ValueError(f"{text!r} is not a proportion")
    return text


def _ratio(text: str) -> str:
    """The text of a ratio. Raises ValueError for another text."""
    if text.endswith("%") or Printed.parse(text).low <= 0:
        raise ValueError(f"{text!r} is not a ratio")
    return text


def _p_value(text: str) -> str:
    """The text of a P-value. Raises ValueError for another text."""
    PrintedP.parse(text)
    return text


_PATIENTS: Final = whole_number(1)
_RATIO: Final = Kind(_ratio, "a positive number such as 0.44, larger than half of its last digit")


@dataclass(frozen=True)
class _Rate:
    label: str
    printed: Annotated[str, Kind(_rate, "a percentage such as 41.4%, or a proportion from 0 to 1")]
    events: int | None = None
    n: Annotated[int, _PATIENTS] | None = None

    def contradictions(self) -> Iterator[tuple[str, object, str]]:
        """More events than n."""
        if _above(self.events, self.n):
            yield "events", self.events, f"at most n, {self.n}"


@dataclass(frozen=True)
class _Ratio:
    label: str
    hr: Annotated[str, _RATIO]
    low: Annotated[str, _RATIO]
    high: Annotated[str, _RATIO]
    p: Annotated[str, Kind(_p_value, "a P-value such as 0.038 or <0.001")] | None = None
    n: Annotated[int, _PATIENTS] | None = None
    deaths: int | None = None

    def contradictions(self) -> Iterator[tuple[str, object, str]]:
        """A ratio outside its interval, or more deaths than n."""
        if self.hr and self.low and self.high:
            low, hr, high = (Printed.parse(text).value for text in (self.low, self.hr, self.high))
            if not low <= hr <= high:
                yield "hr", self.hr, "a ratio between low and high"
        if _above(self.deaths, self.n):
            yield "deaths", self.deaths, f"at most n, {self.n}"


@dataclass(frozen=True)
class _Facts:
    title: str = ""
    n: Annotated[int, _PATIENTS] | None = None
    rates: tuple[_Rate, ...] = ()
    ratios: tuple[_Ratio, ...] = ()


def _above(count: int | None, n: int | None) -> bool:
    return count is not None and n is not None and count > n


def _ratio_fact(ratio: _Ratio, patients: int | None) -> RatioFact:
    """A ratio of so many patients, unless it has an n of its own."""
    text = f"{ratio.hr} (95% CI {ratio.low}-{ratio.high})"
    if ratio.p is not None:
        text += f", P {ratio.p}" if ratio.p.startswith("<") else f", P = {ratio.p}"
    return RatioFact(
        ratio.label,
        Printed.parse(ratio.hr),
        Printed.parse(ratio.low),
        Printed.parse(ratio.high),
        text,
        None if ratio.p is None else PrintedP.parse(ratio.p),
        patients if ratio.n is None else ratio.n,
        ratio.deaths,
    )


# --- the report as text ---------------------------------------------------------------------------


def _block(head: str, verdict: bool, lines: list[str]) -> str:
    word = "consistent" if verdict else "NOT CONSISTENT"
    wrapped = [
        textwrap.fill(line, 96, initial_indent="  ", subsequent_indent="    ") for line in lines
    ]
    return "\n".join([f"{head}: {word}", *wrapped])


def _rate_text(check: RateCheck) -> str:
    fact = check.fact
    if fact.n is not None:
        counts = words.listing([str(count) for count in check.counts], "or")
        lines = [
            f"{counts} of {fact.n} prints {fact.text}."
            if check.counts
            else f"No count out of {fact.n} prints {fact.text}."
        ]
        if fact.events is not None and not check.consistent:
            lines.append(f"{fact.events} of {fact.n} is {100 * fact.events / fact.n:.3f}%.")
    elif check.possible:
        fitting = [pair for pair in check.possible if fact.events in (None, pair[0])]
        shown = ", ".join(f"{count}/{n}" for count, n in fitting[:12])
        more = f" and {len(fitting) - 12} more" if len(fitting) > 12 else ""
        lines = [f"Printed by {shown}{more}; denominators up to {check.largest} were tried."]
        if not fitting:
            lines = [f"{fact.events} out of no number up to {check.largest} prints it."]
    else:
        lines = [f"No proportion with a denominator up to {check.largest} prints it."]
    return _block(f"{fact.label}, {fact.text}", check.consistent, lines)


def _ratio_text(check: RatioCheck) -> str:
    fact = check.fact
    head = f"{fact.label}, {fact.text}"
    if check.region.empty or check.deaths is None:
        line = (
            "No log hazard ratio and standard error print these three figures: one of them is a "
            "misprint, or the interval is not Wald's."
        )
        return _block(head, False, [line])
    (se_low, se_high), (p_low, p_high) = check.region.se, check.region.p
    lines = [
        f"Standard error of the log hazard ratio: {se_low:.4f} to {se_high:.4f}.",
        f"Wald P: {p_low:.2g} to {p_high:.2g}.",
    ]
    if fact.p is not None and check.p_share is not None and check.with_p:
        lows, highs = zip(*(part.se for part in check.with_p), strict=True)
        lines.append(
            f"The printed P leaves {min(lows):.4f} to {max(highs):.4f}, "
            f"{100 * check.p_share:.1f}% of the region; the share is not a probability."
        )
    elif fact.p is not None and not check.with_p:
        lines.append("The printed P is not the Wald P of this model.")
    lines += _death_lines(check, check.deaths)
    return _block(head, check.consistent, lines)


def _death_lines(check: RatioCheck, bound: DeathBound) -> list[str]:
    fact = check.fact
    lines = [f"Deaths: at least {bound.simple}, since each adds at most 1/4 to the information."]
    if fact.n is None:
        lines.append("The number of patients is not given, so there is no sharper bound.")
    elif fact.n < bound.simple:
        lines.append(f"There are only {fact.n} patients.")
    elif not check.deaths_bounded_sharply:
        lines.append(f"Above {MOST_PATIENTS} patients no sharper bound is computed.")
    elif bound.sharp is None:
        lines.append(f"No sequence of risk sets of {fact.n} patients gives this model.")
    else:
        lines.append(
            f"Over every sequence of risk sets of {fact.n} patients: at least {bound.sharp}, if it "
            "is one Cox model of two groups with a Wald interval and at most four deaths at a time."
        )
        lines += [
            f"With {deaths} deaths the first-named group has {_span(sizes)} patients."
            for deaths, sizes in bound.groups.items()
            if fact.deaths in (None, deaths)
        ]
    if fact.deaths is not None and not check.deaths_consistent:
        lines.append(f"The printed {words.count(fact.deaths, 'death')} cannot give this model.")
    return lines


def _span(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
