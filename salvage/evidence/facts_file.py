"""The printed facts of any study, read from a small YAML file, and the report of their audit."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

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
from salvage.problems import InputError, Problem

_T = TypeVar("_T")


@dataclass(frozen=True)
class Facts:
    """Printed facts of any study."""

    title: str
    n: int | None
    rates: tuple[RateFact, ...]
    ratios: tuple[RatioFact, ...]


@dataclass(frozen=True)
class Report:
    """The checks of a study's facts; ``str(report)`` is plain text for a terminal."""

    facts: Facts
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


def read_facts(path: Path) -> Facts:
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
    return _Reader(path).read()


class _Reader:
    """Collects every problem of one facts file."""

    def __init__(self, path: Path) -> None:
        self.file = path.name
        self.path = path
        self.problems: list[Problem] = []

    def read(self) -> Facts:
        content = self._content()
        if not isinstance(content, Mapping):
            self._problem("", "", "a mapping with the keys title, n, rates and ratios")
            content = {}
        self._unknown(content, "", ("title", "n", "rates", "ratios"))
        title = self._text(content, "", "title", default=self.path.stem)
        n = self._count(content, "", "n", least=1)
        rates = [self._rate(item, place) for item, place in self._items(content, "rates")]
        ratios = [self._ratio(item, place, n) for item, place in self._items(content, "ratios")]
        if not self.problems and not rates and not ratios:
            self._problem("", "", "at least one entry under rates or ratios")
        if self.problems:
            raise InputError(f"{self.path} cannot be audited", self.problems)
        return Facts(
            title,
            n,
            tuple(fact for fact in rates if fact is not None),
            tuple(fact for fact in ratios if fact is not None),
        )

    def _content(self) -> Any:
        try:
            text = self.path.read_text(encoding="utf-8")
            # Every scalar stays text: a printed 0.40 is another fact than 0.4.
            return yaml.load(text, Loader=yaml.BaseLoader)
        except (OSError, UnicodeDecodeError) as error:
            self._problem("", "", f"a readable UTF-8 text file ({_reason(error)})")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = None if mark is None else mark.line + 1
            self.problems.append(Problem(self.file, line, "", "", f"YAML ({_reason(error)})"))
        raise InputError(f"{self.path} cannot be audited", self.problems)

    def _problem(self, place: str, value: object, expected: str) -> None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self.problems.append(Problem(self.file, None, place, text, expected))

    def _unknown(self, item: Mapping[str, Any], place: str, known: tuple[str, ...]) -> None:
        for key in item:
            if key not in known:
                self._problem(f"{place}{key}", "", f"one of the keys {', '.join(known)}")

    def _items(self, content: Mapping[str, Any], key: str) -> list[tuple[Mapping[str, Any], str]]:
        value = content.get(key, [])
        if value == "":
            value = []
        if not isinstance(value, list):
            self._problem(key, value, "a list")
            return []
        found = []
        for number, item in enumerate(value, 1):
            if isinstance(item, Mapping):
                found.append((item, f"{key}[{number}]."))
            else:
                self._problem(f"{key}[{number}]", item, "a mapping with a label")
        return found

    def _text(
        self, item: Mapping[str, Any], place: str, key: str, default: str | None = None
    ) -> str:
        value = item.get(key, "")
        if isinstance(value, str) and (value.strip() or default is not None):
            return value.strip() or str(default)
        self._problem(f"{place}{key}", value, "a text")
        return ""

    def _count(self, item: Mapping[str, Any], place: str, key: str, least: int = 0) -> int | None:
        value = item.get(key, "")
        if value == "":
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) >= least:
            return int(value)
        self._problem(f"{place}{key}", value, f"a whole number of at least {least}")
        return None

    def _printed(
        self,
        item: Mapping[str, Any],
        place: str,
        key: str,
        parse: Callable[[str], _T],
        expected: str,
    ) -> _T | None:
        value = item.get(key, "")
        try:
            return parse(value)
        except (ValueError, AttributeError):
            self._problem(f"{place}{key}", value, expected)
            return None

    def _rate(self, item: Mapping[str, Any], place: str) -> RateFact | None:
        before = len(self.problems)
        self._unknown(item, place, ("label", "printed", "events", "n"))
        label = self._text(item, place, "label")
        expected = "a percentage such as 41.4%, or a proportion from 0 to 1"
        printed = self._printed(item, place, "printed", _parse_rate, expected)
        events, n = self._count(item, place, "events"), self._count(item, place, "n", least=1)
        if events is not None and n is not None and events > n:
            self._problem(f"{place}events", str(events), f"at most n, {n}")
        if printed is None or len(self.problems) > before:
            return None
        return RateFact(label, printed, item["printed"].strip(), events, n)

    def _ratio(self, item: Mapping[str, Any], place: str, n: int | None) -> RatioFact | None:
        before = len(self.problems)
        self._unknown(item, place, ("label", "hr", "low", "high", "p", "n", "deaths"))
        label = self._text(item, place, "label")
        expected = "a positive number such as 0.44, larger than half of its last digit"
        hr, low, high = (
            self._printed(item, place, key, _parse_ratio, expected) for key in ("hr", "low", "high")
        )
        p = None
        if item.get("p", "") != "":
            p = self._printed(item, place, "p", PrintedP.parse, "a P-value such as 0.038 or <0.001")
        own_n = self._count(item, place, "n", least=1)
        n = n if own_n is None else own_n
        deaths = self._count(item, place, "deaths")
        if hr and low and high and not low.value <= hr.value <= high.value:
            self._problem(f"{place}hr", item["hr"], "a ratio between low and high")
        if deaths is not None and n is not None and deaths > n:
            self._problem(f"{place}deaths", str(deaths), f"at most n, {n}")
        if hr is None or low is None or high is None or len(self.problems) > before:
            return None
        text = f"{item['hr']} (95% CI {item['low']}-{item['high']})"
        if p is not None:
            text += f", P {item['p']}" if item["p"].startswith("<") else f", P = {item['p']}"
        return RatioFact(label, hr, low, high, text, p, n, deaths)


def _reason(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(getattr(error, "problem", None) or error).split())


def _parse_rate(text: str) -> Printed:
    printed = Printed.parse(text)
    if not 0 <= printed.value <= 1:
        raise ValueError(f"{text!r} is not a proportion")
    return printed


def _parse_ratio(text: str) -> Printed:
    printed = Printed.parse(text)
    if text.strip().endswith("%") or printed.low <= 0:
        raise ValueError(f"{text!r} is not a ratio")
    return printed


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
