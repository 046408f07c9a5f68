"""Printed figures in a file, their audit, and its report as text and JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from salvage.evidence.chance import without_effect
from salvage.evidence.rounding import plain
from salvage.evidence.verdicts import VERDICTS, Figure, Finding, judge
from salvage.records import Reader

#: Other names of parts.
_ALIASES: Final = {
    **dict.fromkeys(("hr", "or", "rr", "hazard_ratio", "odds_ratio", "risk_ratio"), "ratio"),
    "printed": "percent",
    "estimate": "value",
    "followup": "follow_up",
    "count": "events",
    "p_value": "p",
}
#: What may be said of a figure without being a part of it.
_SAID: Final = ("label", "note", "source", "span", "verdict", "hint", "design", "arithmetic")
_PARTS: Final = tuple(part.name for part in fields(Figure))
#: Whole numbers and flags, which stand in a report as such; every other part is a text.
_COUNTS: Final = ("events", "n", "deaths", "total", "sum", "censored", "sizes", "scale",
                  "categories", "responses", "complete", "table", "start", "end")  # fmt: skip
_FLAGS: Final = {"true": True, "false": False}
#: How parts are usually printed together, in this order.
_FORMS: Final = (
    "{events}/{n} ({percent})", "{events} ({percent})", "{percent} of {n}", "{percent}",
    "{events}/{n}", "{sum} = {total}", "{arms}", "{ratio}", "median {median}", "{value}",
    " ({low} to {high})", ", P {p}",
)  # fmt: skip
_JOINED: Final = {"sum": " + ", "arms": " against "}
_HINTS: Final = {
    "low": "a lower limit of",
    "high": "an upper limit of",
    "n": "an n of",
    "events": "a count of",
    "total": "a total of",
    "deaths": "deaths of",
}


@dataclass(frozen=True)
class Case:
    """One abstract: its name, what it is from, and its figures as given.

    n                      of each ratio without its own
    text, not_understood   if it was read from a text, that text and the numbers left over
    """

    name: str
    source: str
    figures: tuple[dict[str, Any], ...]
    n: str = ""
    text: str = ""
    not_understood: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Audited:
    """A figure as given, and what the audit says of it."""

    case: Case
    given: dict[str, Any]
    finding: Finding
    design: str | None
    chance: str

    @property
    def printed(self) -> str:
        """The figure in a line, as quoted, else as it is usually printed."""
        span = self.given.get("span")
        quoted = span.get("text") if isinstance(span, dict) else None
        return str(quoted or _usual(self.given))

    @property
    def shown(self) -> str:
        """The figure in a line, with its label if it has one."""
        label = self.given.get("label")
        return f"{label}: {self.printed}" if label else self.printed

    @property
    def hint(self) -> str:
        """The hint as a sentence, empty without one."""
        parts = [f"{_HINTS[key]} {value}" for key, value in self.finding.hint.items()]
        return f"It would fit with {' and '.join(parts)}." if parts else ""

    def __str__(self) -> str:
        lines = [f"{self.finding.verdict}: {self.shown}", self.finding.arithmetic, self.hint]
        lines += [f"Design: {self.design}. {self.chance}"] if self.design else []
        wrapped = (textwrap.fill(line, 96, subsequent_indent="    ") for line in lines if line)
        return "\n    ".join(wrapped)


def _usual(given: dict[str, Any]) -> str:
    """The parts as they are usually printed, those without a usual form with their names."""
    parts = {
        key: _JOINED.get(key, " and ").join(map(str, part)) if isinstance(part, list) else str(part)
        for key, part in given.items()
        if key not in _SAID
    }
    shown = ""
    for form in _FORMS:
        keys = re.findall(r"{(\w+)}", form)
        if parts.keys() >= set(keys):
            shown += form.format(**{key: parts.pop(key) for key in keys})
    rest = [f"{key.replace('_', ' ')} {part}" for key, part in parts.items()]
    return ", ".join(filter(None, [shown.removeprefix(", "), *rest]))


# --- reading --------------------------------------------------------------------------------------


def read_cases(path: Path) -> list[Case]:
    """The cases of a file: a list of them, one alone, or the facts of one study.

    Every number is read as it is written, so 0.40 keeps its last digit::

        - case: a study
          source: where it was printed         # optional
          figures:
            - {percent: 41.4%, events: 24, n: 58}
            - {ratio: 0.44, low: 0.21, high: 0.95, p: 0.038}

    or ``title``, ``n``, ``rates`` (label, printed, events, n) and ``ratios`` (label, hr, low, high,
    p, n, deaths) of one study, whose n is that of each ratio without its own. What a figure may
    hold is said by :class:`~salvage.evidence.verdicts.Figure`. Raises InputError where the file
    holds no list of figures; a figure that cannot be read is a question like others.
    """
    reader = Reader(path.name, f"{path} cannot be audited")
    content = reader.load(path)
    listed = content if isinstance(content, list) else [content]
    if not listed or listed == [""]:
        reader.wrong("", "", "figures of at least one case, or rates or ratios of a study")
    cases = [
        _case(reader, item, f"[{i}]" if item is not content else "", path.stem)
        for i, item in enumerate(listed, 1)
    ]
    reader.check()
    return cases


def _case(reader: Reader, content: Any, place: str, stem: str) -> Case:
    case = reader.mapping(content, place) or {}
    facts = not place and "figures" not in case
    if facts:
        reader.known(case, ("title", "n", "rates", "ratios"), place)
    figures = [
        figure
        for key in (("rates", "ratios") if facts else ("figures",))
        for figure in _mappings(reader, case.get(key, []), f"{place}.{key}".lstrip("."))
    ]
    if facts and not figures and not reader.problems:
        reader.wrong("", "", "at least one entry under rates, ratios or figures")
    return Case(
        str(case.get("case") or case.get("title") or stem),
        str(case.get("source", "")),
        tuple(figures),
        str(case.get("n", "")),
        str(case.get("text", "")),
        tuple(_mappings(reader, case.get("not_understood", []), f"{place}.not_understood")),
    )


def _mappings(reader: Reader, content: Any, place: str) -> list[dict[str, Any]]:
    listed = [] if content == "" else content
    if not isinstance(listed, list):
        reader.wrong(place, content, "a list, each item after a dash")
        return []
    return [
        typed(figure)
        for i, item in enumerate(listed, 1)
        if (figure := reader.mapping(item, f"{place}[{i}]"))
    ]


def typed(part: Any, key: str = "") -> Any:
    """A part as given, counts as whole numbers and flags as such."""
    if isinstance(part, dict):
        return {name: typed(value, name) for name, value in part.items()}
    if isinstance(part, list):
        return [typed(value, key) for value in part]
    if key in _COUNTS and part.isascii() and part.isdigit():
        return int(part)
    return _FLAGS.get(part.lower(), part) if key == "whole" else part


def figure(given: dict[str, Any], n: str = "") -> tuple[Figure, str, list[str]]:
    """A figure from its parts as given, what of them cannot be read, and keys that are no part.

    A ratio without an n of its own has that of the study.
    """
    parts = _named(given)
    if n and "ratio" in parts:
        parts.setdefault("n", n)
    reader = Reader("")
    read = reader.record(Figure, {key: part for key, part in parts.items() if key in _PARTS})
    wrong = "; ".join(f"{p.column} {p.value}, expected {p.expected}" for p in reader.problems)
    unused = [key for key in parts if key not in (*_PARTS, *_SAID)]
    return (Figure(group_known=read.group_known or "") if wrong else read), wrong, unused


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """The parts as texts, by their names in a Figure."""
    parts: dict[str, Any] = {}
    for key, part in given.items():
        name = key.lower().replace("-", "_").replace(" ", "_")
        parts[_ALIASES.get(name, name)] = _text(part)
    if isinstance(parts.get("table"), list):
        parts["arms"] = _arms(parts.pop("table"))
    if parts.pop("binary", "") == "true":
        parts |= {"whole": "true", "scale": ["0", "1"]}
    if isinstance(parts.get("events"), list) and isinstance(parts.get("n"), list):
        pairs = zip(parts.pop("events"), parts.pop("n"), strict=False)
        parts["arms"] = [f"{events}/{n}" for events, n in pairs]
    for ends in ("range", "ci", "interval", "iqr"):
        if isinstance(parts.get(ends), list) and len(parts[ends]) == 2:
            parts["low"], parts["high"] = parts.pop(ends)
    if "percent" in parts and "printed" not in given:
        for key in {"percent", "low", "high"} & parts.keys():
            parts[key] = f"{str(parts[key]).removesuffix('%').rstrip()}%"
    return parts


def _text(part: Any) -> Any:
    if isinstance(part, list):
        return [_text(item) for item in part]
    return str(part).lower() if isinstance(part, bool) else plain(str(part)).strip()


def _arms(table: list[Any]) -> list[Any]:
    """The two groups of a 2 x 2 table of counts with and without the event."""
    rows = [table[:2], table[2:]] if len(table) == 4 else table
    try:
        return [f"{int(a)}/{int(a) + int(b)}" for a, b in rows]
    except (TypeError, ValueError):
        return rows


# --- the audit ------------------------------------------------------------------------------------


def audit_cases(cases: Sequence[Case]) -> list[Audited]:
    """The audit of every figure of every case, in their order."""
    return [audited for case in cases for audited in _audited(case)]


def _audited(case: Case) -> Iterator[Audited]:
    read = [figure(given, case.n) for given in case.figures]
    findings = judge([one for one, _, _ in read])
    for given, (one, wrong, unused), finding in zip(case.figures, read, findings, strict=True):
        if wrong:
            ask = "How is this figure printed?"
            finding = Finding("question", f"Not understood: {wrong}.", {}, ask)
        if unused:
            said = f"{finding.arithmetic} Not used: {', '.join(unused)}."
            finding = replace(finding, arithmetic=said)
        yield Audited(case, given, finding, one.design, without_effect(one) if one.design else "")


def to_json(audited: Sequence[Audited]) -> str:
    """One array with one object for each figure, in their order."""
    rows = [
        {
            "case": one.case.name,
            "figure": one.given,
            "verdict": one.finding.verdict,
            "arithmetic": f"{one.finding.arithmetic} {one.chance}".strip(),
            "hint": one.finding.hint or None,
            "design": one.design,
            "span": one.given.get("span"),
        }
        for one in audited
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def to_text(audited: Sequence[Audited], cases: Sequence[Case]) -> str:
    """The report for a terminal: each case, its figures with their verdicts, and how many of each
    there are."""
    parts = []
    for case in cases:
        own = [one for one in audited if one.case is case]
        head = f"{case.name} ({case.source})" if case.source else case.name
        parts += [textwrap.fill(head, 96), *(str(one) for one in own)]
        parts += [f"not understood: …{item['text']}…" for item in case.not_understood]
    counts = [
        f"{sum(one.finding.verdict == verdict for one in audited)} {verdict}"
        for verdict in VERDICTS
    ]
    return "\n\n".join([*parts, ", ".join(counts)]) + "\n"
