"""Settings of one study, read from its ``study.yaml``; every key has a default."""

import difflib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from salvage import words
from salvage.cohort.decoding import decode
from salvage.cohort.schema import MOST_MONTHS
from salvage.problems import Problem


@dataclass(frozen=True)
class Study:
    """What a hospital says of its study; late relapse is above ``early_relapse_months``."""

    title: str = "Salvage therapy after CAR-T failure"
    centre: str = ""
    window: str = ""
    data_cut_off: str = ""
    early_relapse_months: float = 3.0
    audience: str = "internal"
    suppress_below: int = 5
    suppress_zero: bool = False
    synthetic: bool = False
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether disclosure control is on."""
        return self.audience == "public"


MEANINGS = {
    "title": "title of the book",
    "centre": "hospital or registry",
    "window": "dates of inclusion, as text",
    "data_cut_off": "date of the last follow-up, as text",
    "early_relapse_months": "cut-off between early and late relapse; late is above it",
    "audience": "internal, or public (disclosure control on)",
    "suppress_below": "in a public book, counts from 1 to one below this are masked",
    "suppress_zero": "in a public book, mask every zero, not only what gives a count away",
    "synthetic": "true if these are not patients",
    "labels": "own names of the six categories, by their key",
}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# For each key: a test of its value, and what was expected.
_TESTS: dict[str, tuple[Any, str]] = {
    "early_relapse_months": (
        lambda v: _number(v) and 0 < v <= MOST_MONTHS and round(v, 3) == v,
        f"a number of months above 0, up to {MOST_MONTHS:g}, with at most three decimals",
    ),
    "audience": (lambda v: v in ("internal", "public"), "internal or public"),
    "suppress_below": (
        lambda v: isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= 1000,
        "a whole number from 1 to 1000",
    ),
    "suppress_zero": (lambda v: isinstance(v, bool), "true or false"),
    "synthetic": (lambda v: isinstance(v, bool), "true or false"),
    "labels": (
        lambda v: (
            isinstance(v, dict)
            and all(
                k in words.CATEGORIES and isinstance(t, str) and t.strip() for k, t in v.items()
            )
        ),
        "a list of category: label, with the keys " + ", ".join(words.CATEGORIES),
    ),
}


def read_study(path: Path) -> tuple[Study, list[Problem]]:
    """Settings in the YAML file at ``path``, and every problem found in it."""
    text = decode(path.read_bytes())
    if text is None:
        return Study(), [Problem(path.name, None, "", "", "a YAML file in UTF-8: key: value")]
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        row = None if line is None else line + 1
        return Study(), [Problem(path.name, row, "", "", "a YAML file in UTF-8: key: value")]
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        return Study(), [Problem(path.name, None, "", "", "a YAML file of key: value lines")]
    return from_settings(raw, path.name)


def from_settings(raw: dict[Any, Any], source: str) -> tuple[Study, list[Problem]]:
    """A :class:`Study` from a mapping; a blank value means the default."""
    problems: list[Problem] = []
    known = {f.name for f in fields(Study)}
    settings: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"{near[0]}?" if near else ""
            problems.append(
                Problem(
                    source,
                    None,
                    str(key),
                    str(value),
                    "a known setting: " + ", ".join(sorted(known)),
                    hint,
                )
            )
            continue
        if value is None or value == "":
            continue
        test, expected = _TESTS.get(key, (None, ""))
        if test is None:
            if isinstance(value, dict | list):
                problems.append(Problem(source, None, key, str(value), "text"))
            else:
                settings[key] = str(value).strip()
        elif test(value):
            settings[key] = float(value) if key == "early_relapse_months" else value
        else:
            problems.append(Problem(source, None, key, str(value), expected))
    return Study(**settings), problems
