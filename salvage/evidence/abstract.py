"""The printed figures of an abstract, read from its text in English or Chinese.

Each figure keeps the words in which it stands and their place. Only what the words say is read: a
percentage without its n stays without, and every number that is in no figure is listed. What is
read is written into a file for the reader to confirm, which is audited like any other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from salvage.evidence.cases import Case
from salvage.evidence.rounding import plain
from salvage.evidence.verdicts import AFTER_TIME_ZERO, OVER_TIME
from salvage.problems import InputError, Problem
from salvage.records import MOST_BYTES

# Parts of the forms below, for text in plain punctuation (rounding.plain).
_NUMBER: Final = r"(?:\d+(?:\.\d+)?|\.\d+)(?!\d|\.\d)"
_COUNT: Final = r"(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*|0)(?![\dA-Za-z]|\.\d|,\d{3})"
_FROM: Final = r"(?<![A-Za-z0-9.])(?<!\d,)"
_OPEN: Final = r"[\s,;:=(\[]*"
_SHUT: Final = r"[\s,;)\]]*"
_GAP: Final = r"(?:(?!\.\s)[^\d%;]){0,60}?"
_UNIT: Final = r"(?:\s*-?\s*(?:months?|mos?|weeks?|wks?|days?|years?|yrs?|个月|月|岁|年|周|天)\b)?"
_TO: Final = r"\s*(?:-+|to|至|到|and|,|;)\s*"
_LIMITS: Final = rf"(?P<low>{_NUMBER})(?:\s*%)?{_UNIT}{_TO}(?P<high>{_NUMBER})(?:\s*%)?{_UNIT}"
_CI_NAME: Final = r"(?:CI|CrI|(?i:confidence\s+(?:interval|limit)s?)|置信区间|可信区间)"
_CI: Final = (
    rf"(?:(?P<level>\d\d)\s*%\s*)?{_CI_NAME}"
    r"(?:\s*[\[(]\s*CI\s*[\])])?(?:\s*(?:为|was|of|from))?"
)
_INTERVAL: Final = rf"{_OPEN}{_CI}{_OPEN}{_LIMITS}"
_RANGE: Final = (
    rf"(?:{_OPEN}(?:{_CI}|(?i:range|IQR|interquartile\s+range)|范围){_OPEN}|\s*[\[(]\s*)"
)
_P: Final = (
    r"(?:(?i:two-sided|log-?rank)\s+)?\b[Pp](?:\s*-?\s*(?i:values?)|\s*值)?\s*"
    rf"(?P<p>(?:<=|>=|[<>=≤≥])\s*{_NUMBER})"
)
_RATIO: Final = (
    r"(?:(?<![A-Za-z])[as]?(?:HR|OR|RR|IRR)(?![A-Za-z])|(?i:(?:hazards?|odds|risk|rate)\s+ratio)"
    r"|(?i:relative\s+risk)|风险比|危险比|比值比|优势比|相对危险度)(?:\s*\(\s*95\s*%\s*CI\s*\))?"
)
_PEOPLE: Final = (
    r"(?i:patients?|participants?|subjects?|individuals?|cases?|events?|women|men|adults)"
)
_MEASURE: Final = r"(?:例次|人次|例|名|人|次)"
_WORDS: Final = rf"(?:\s+(?!(?i:of|and|to|or)\b)[A-Za-z-]+){{0,4}}?\s*{_MEASURE}?"
_OUT_OF: Final = r"\s*(?:/|(?i:out\s+of|of)(?:\s+(?i:the|all))*)\s*"
_OF: Final = r"\s*(?i:of)(?:\s+(?i:the|all))*\s+"
_EVENTS: Final = rf"{_FROM}(?P<events>{_COUNT})"
_N: Final = rf"(?P<n>{_COUNT})"
_PERCENT: Final = rf"{_FROM}(?P<percent>{_NUMBER})\s*%"
_ARM: Final = rf"{_FROM}({_COUNT}\s*/\s*{_COUNT})(?:\s*[\[(]\s*{_NUMBER}\s*%\s*[\])])?"
_VERSUS: Final = r"(?:\bvs?\b\.?|\bversus\b|\bagainst\b|\bcompared with\b|比|与|对)"

#: The P of two groups: their counts are figures of their own.
_ARMS: Final = re.compile(
    rf"{_ARM}[^\d;]{{0,40}}?{_VERSUS}[^\d;]{{0,40}}?(?:{_NUMBER}\s*%\s*[\[(]\s*)?{_ARM}{_SHUT}{_P}"
)
#: Every other form; where two fit, the first.
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        # HR 0.44 (95% CI 0.21-0.95), P = 0.038
        rf"{_RATIO}{_GAP}{_FROM}(?P<ratio>{_NUMBER})(?!\s*%)"
        rf"(?:{_OPEN}{_P.replace('<p>', '<p_before>')})?(?:{_RANGE}{_LIMITS})?(?:{_SHUT}{_P})?",
        # median OS 7.0 months (range 1.0-15.0)
        rf"(?:(?i:median)|中位数?|(?<![A-Za-z])m(?=OS|PFS))(?P<of>{_GAP}){_FROM}"
        rf"(?P<median>{_NUMBER})(?!\s*%){_UNIT}(?:{_RANGE}{_LIMITS})?",
        # 24/58 = 41.4%; 24 of 58 patients (41.4%, 95% CI 28.6-55.1)
        rf"{_EVENTS}{_OUT_OF}{_N}(?:{_WORDS}\s*[\[(][^\d;%()]{{0,12}}|\s*{_MEASURE}?\s*[,=]\s*)"
        rf"{_PERCENT}(?:{_INTERVAL})?",
        # 41.4% (24/58)
        rf"{_PERCENT}\s*[\[(]\s*(?:n\s*=\s*)?{_EVENTS}{_OUT_OF}{_N}(?:{_INTERVAL})?",
        # 58例次中24例有效(41.4%)
        rf"{_FROM}{_N}\s*{_MEASURE}[^\d;%]{{0,12}}?中[^\d;%]{{0,10}}?{_EVENTS}\s*{_MEASURE}"
        rf"[^\d;%]{{0,10}}?(?:\(|占|率为?|即)\s*{_PERCENT}",
        # 41.4% (24 patients)
        rf"{_PERCENT}\s*[\[(]\s*{_EVENTS}\s*(?:{_PEOPLE}|{_MEASURE})\s*[\])]",
        # 24 (41.4%) of 58
        rf"{_EVENTS}{_WORDS}\s*[\[(]\s*{_PERCENT}(?:{_INTERVAL})?\s*[\])](?:{_OF}{_N})?",
        # 41.4% of 58; 41.4% (95% CI 28.6-55.1)
        rf"{_PERCENT}{_OF}{_N}",
        rf"{_PERCENT}(?!\s*{_CI_NAME})(?:{_INTERVAL})?",
        # 24/58; 24 of 58; n = 29; 29 patients; 29例
        rf"(?<!/){_EVENTS}{_OUT_OF}{_N}(?!\s*/)",
        rf"\b[nN]\s*=\s*{_N}",
        rf"{_FROM}{_N}(?:\s+[A-Za-z-]+){{0,3}}?\s+(?P<whom>{_PEOPLE})\b",
        rf"{_FROM}{_N}\s*(?P<whom>{_MEASURE})",
    )
)
#: A group that is known only later: who responds, relapses late, or lives to receive a transplant.
_LATER: Final = re.compile(
    r"\bresponde[rd]|\blater?[- ]relaps|\brelapsed late"
    r"|\b(?:received|underwent|proceeded to|bridged to)\b.{0,40}(?:transplant|HSCT)"
    r"|晚期?复发|缓解者|应答者|接受.{0,12}移植",
    re.IGNORECASE,
)
_LEFT_OVER: Final = re.compile(r"(?<![A-Za-z0-9])(?<![A-Za-z]-)\d+(?:[.,]\d+)*%?")
_HEAD: Final = "# Read from a text: confirm every figure, then audit this file."


def read_text(path: Path) -> Case:
    """The figures of the abstract in a text file. Raises InputError where it holds none, or no
    text."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(path.name, expected="text in UTF-8")
        raise InputError(f"{path} cannot be audited", [problem]) from error
    text = text.replace("\r\n", "\n")
    figures = figures_of(text)
    if not figures:
        problem = Problem(path.name, expected="an abstract with figures, in English or Chinese")
        raise InputError(f"{path} cannot be audited", [problem])
    spans = [figure["span"] for figure in figures]
    left = [
        {"text": text[max(0, m.start() - 20) : m.end() + 20].replace("\n", " "), "start": m.start(),
         "end": m.end()}
        for m in _LEFT_OVER.finditer(plain(text))
        if not any(span["start"] <= m.start() < span["end"] for span in spans)
    ]  # fmt: skip
    return Case(path.stem, f"read from {path.name}", tuple(figures), "", text, tuple(left))


def figures_of(text: str) -> list[dict[str, Any]]:
    """The figures of a text, in its order, each with the span of the text that holds it."""
    flat = plain(text)
    taken = [False] * len(flat)
    found = []
    for match in _ARMS.finditer(flat):
        # The counts are figures of their own; only the P is taken.
        taken[match.start("p") : match.end()] = [True] * (match.end() - match.start("p"))
        parts = {"arms": [_bare(match[1]), _bare(match[2])], "p": _bare(match["p"])}
        found.append((parts, *match.span()))
    for form in _FORMS:
        for match in form.finditer(flat):
            start, end = match.span()
            if not any(taken[start:end]):
                taken[start:end] = [True] * (end - start)
                found.append((_figure(match, flat), start, end))
    figures = [
        {**_label(parts, flat, text, start), **parts, "span": _span(flat, text, start, end)}
        for parts, start, end in sorted(found, key=lambda row: row[1])
    ]
    return [*figures, *_follow_up(figures)]


def _label(parts: dict[str, Any], flat: str, text: str, start: int) -> dict[str, str]:
    """The words before a percentage, by which it can be told from others."""
    if "percent" not in parts:
        return {}
    before = text[max(start - 40, start - len(_sentence(flat, start)[0])) : start]
    words = before.strip(" ,;:(=[，；：（。\n")
    return {"label": words.partition(" ")[2] or words} if words else {}


def _span(flat: str, text: str, start: int, end: int) -> dict[str, Any]:
    """Where a figure stands, with the brackets that it opens."""
    opened = len(re.findall(r"[(\[]", flat[start:end])) - len(re.findall(r"[)\]]", flat[start:end]))
    while opened > 0 and flat[end : end + 1] in (")", "]"):
        opened, end = opened - 1, end + 1
    return {"text": text[start:end], "start": start, "end": end}


def _bare(part: str) -> str:
    return re.sub(r"\s", "", part).removeprefix("=")


def _figure(match: re.Match[str], flat: str) -> dict[str, Any]:
    """What the named parts of a form say, as a file of cases has it."""
    figure: dict[str, Any] = {}
    for name, part in match.groupdict().items():
        key = name.partition("_")[0]
        if part is None or (key, part) == ("level", "95"):
            continue
        if key in ("events", "n"):
            figure[key] = int(part.replace(",", ""))
        elif key == "of":
            figure |= _of(part)
        elif key == "whom":
            figure["of"] = part
        else:
            sign = "%" if key in ("percent", "level") else ""
            figure[key] = _bare(part) + sign
    if "percent" in figure:
        figure |= {end: f"{figure[end]}%" for end in ("low", "high") if end in figure}
        over_time = OVER_TIME.search(_clause(flat, match.start()))
        figure |= {"of": over_time[0]} if over_time and "low" in figure else {}
    if "ratio" in figure and _LATER.search("".join(_sentence(flat, match.start()))):
        figure["group_known"] = AFTER_TIME_ZERO
    return figure


def _of(words: str) -> dict[str, str]:
    """What a median is of."""
    words = re.sub(r"\b(?:was|were|is|of|the|time)\b|[为是]", " ", words)
    words = " ".join(re.sub(r"[^\w\s/-]", " ", words).split())
    return {"of": words} if words else {}


def _clause(flat: str, at: int) -> str:
    """The words before a place, back to the last comma."""
    return re.split(r"[,;]|\.\s", flat[:at])[-1]


def _sentence(flat: str, at: int) -> tuple[str, str]:
    """The sentence around a place, before and after it."""
    end = r"\.\s|;(?=\S)|\n"
    return re.split(end, flat[:at])[-1], re.split(end, flat[at:])[0]


def _follow_up(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The median follow-up beside the median survival, where the text prints one of each."""
    medians = [figure for figure in found if "median" in figure]
    follow = [m for m in medians if re.search("follow|随访", m.get("of", ""), re.IGNORECASE)]
    survival = [m for m in medians if re.search(r"\bOS\b|overall|总生存", m.get("of", ""))]
    if len(follow) == len(survival) == 1:
        yield {
            "follow_up": follow[0]["median"],
            "survival": survival[0]["median"],
            "span": dict(follow[0]["span"]),
        }


def write_facts(case: Case, path: Path) -> Path:
    """Write a case as a file to confirm. Raises InputError where one was edited since."""
    content = {
        "case": case.name,
        "source": case.source,
        "figures": list(case.figures),
        "not_understood": list(case.not_understood),
        "text": case.text,
    }
    body = yaml.safe_dump([content], allow_unicode=True, sort_keys=False, width=100)
    if path.exists() and not _unedited(path.read_text(encoding="utf-8")):
        problem = Problem(path.name, expected="no file, or one that was not edited")
        raise InputError(f"{path} would be overwritten", [problem])
    path.write_text(f"{_HEAD}\n# {_digest(body)}\n{body}", encoding="utf-8")
    return path


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _unedited(text: str) -> bool:
    """Whether a file of facts is as it was written."""
    parts = text.split("\n", 2)
    return len(parts) == 3 and parts[1] == f"# {_digest(parts[2])}"
