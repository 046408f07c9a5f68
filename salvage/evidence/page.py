"""The report of an audit as one self-contained page, to be read on any screen or sent on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from salvage.evidence.cases import Audited, Case
from salvage.evidence.verdicts import VERDICTS, Verdict

_PAGE: Final = Path(__file__).with_name("page.html")
#: Each verdict can be told without its colour.
_MARKS: Final[dict[Verdict, str]] = {
    "possible": "✓",
    "truncated": "≈",
    "other_method": "◇",
    "other_denominator": "÷",
    "impossible": "✗",
    "question": "?",
}
#: What to ask of a figure; a question that cannot be decided has its own.
_QUESTIONS: Final[dict[Verdict, str]] = {
    "truncated": "Were the digits of {figure} cut off, and not rounded?",
    "other_method": "By which method were the interval and P of {figure} computed? {hint}",
    "other_denominator": "Of how many patients is {figure} the share? {hint}",
    "impossible": "Could {figure} be checked against the data? {arithmetic} {hint}",
}
_DESIGN: Final = (
    "When was it known who belongs to the groups of {figure}? Is there an analysis from that moment"
    " on, by a landmark or with a time-dependent covariate?"
)


def to_html(audited: Sequence[Audited], cases: Sequence[Case]) -> str:
    """The page: each abstract with its figures marked, the arithmetic, and questions to authors."""
    found = [one.finding.verdict for one in audited]
    legend = "\n".join(
        f'<dt class="{verdict}">{_MARKS[verdict]} {_words(verdict)}: {found.count(verdict)}</dt>'
        f"<dd>{escape(meaning)}</dd>"
        for verdict, meaning in VERDICTS.items()
    )
    numbered = list(enumerate(audited, 1))
    sections = [
        _section(case, [(i, one) for i, one in numbered if one.case is case]) for case in cases
    ]
    title = f"Audit: {cases[0].name}" if len(cases) == 1 else "Audit of printed figures"
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title), legend=legend, cases="\n".join(sections)
    )


def _words(verdict: Verdict) -> str:
    return verdict.replace("_", " ")


def _section(case: Case, figures: Sequence[tuple[int, Audited]]) -> str:
    parts = [f"<h2>{escape(case.name)}</h2>"]
    parts += [f'<p class="soft">{escape(case.source)}</p>'] if case.source else []
    parts += [f'<div class="text">{_marked(case.text, figures)}</div>'] if case.text else []
    parts += ["<h3>Each figure</h3>", '<ol class="figures">', *map(_figure, figures), "</ol>"]
    questions = [f"<li>{question}</li>" for question in _questions(figures)]
    if questions:
        parts += ["<h3>Questions to the authors</h3>", "<ul>", *questions, "</ul>"]
    if case.not_understood:
        left = (f"<li>…{escape(str(item.get('text')))}…</li>" for item in case.not_understood)
        parts += ["<h3>Numbers that were not read as figures</h3>", "<ul>", *left, "</ul>"]
    return "\n".join(parts)


def _marked(text: str, figures: Sequence[tuple[int, Audited]]) -> str:
    """The text with each figure marked; of figures that overlap, the first."""
    parts, at = [], 0
    spans = [(*_place(one), i, one.finding.verdict) for i, one in figures]
    for start, end, i, verdict in sorted(spans):
        if at <= start < end <= len(text):
            parts.append(
                f'{escape(text[at:start])}<a class="{verdict}" href="#figure-{i}"'
                f' title="{_words(verdict)}">{escape(text[start:end])}'
                f"<sup>{_MARKS[verdict]}{i}</sup></a>"
            )
            at = end
    return "".join([*parts, escape(text[at:])])


def _place(one: Audited) -> tuple[int, int]:
    """Where a figure stands in the text; nowhere if its span was lost."""
    span = one.given.get("span")
    ends = (span.get("start"), span.get("end")) if isinstance(span, dict) else (None, None)
    return ends if all(isinstance(end, int) for end in ends) else (0, 0)  # type: ignore[return-value]


def _figure(row: tuple[int, Audited]) -> str:
    i, one = row
    verdict = one.finding.verdict
    lines = [one.finding.arithmetic, one.hint]
    lines += [f"Design: {one.design}. {one.chance}"] if one.design else []
    return (
        f'<li id="figure-{i}"><p><span class="verdict {verdict}">{_MARKS[verdict]} {i}'
        f" {_words(verdict)}</span> <q>{escape(one.shown)}</q></p>"
        f"{''.join(f'<p>{escape(line)}</p>' for line in lines if line)}</li>"
    )


def _questions(figures: Sequence[tuple[int, Audited]]) -> Iterator[str]:
    """What to ask the authors, in neutral words, each question once."""
    asked = set()
    for i, one in figures:
        finding = one.finding
        template = _QUESTIONS.get(finding.verdict, "") or finding.ask
        for words in (template, _DESIGN if one.design else ""):
            question = words.format(
                figure=f"“{one.shown}”", arithmetic=finding.arithmetic, hint=one.hint
            ).strip()
            if question and question not in asked:
                asked.add(question)
                yield f'{escape(question)} <a href="#figure-{i}">{i}</a>'
