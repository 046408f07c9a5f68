"""No number of the prose is typed: what the data say is glued, what others say is cited and listed.

``tests/typed_numbers.yaml`` holds the phrases that may hold a number, each with its reason.
"""

import re
from pathlib import Path

import pytest
import yaml

from salvage.report import pages
from tests.reference_notebooks import ROOT, Paths, read

CHAPTERS = Paths().sources()
ALLOWED = ROOT / "tests" / "typed_numbers.yaml"

# What is not prose: roles with their text, code, addresses of links, targets, options and fences.
NOT_PROSE = re.compile(
    r"""
    \{[\w:+-]+\}`[^`]*`            # {cite}`key`, {glue:text}`key`
    | `[^`]*`                      # code
    | \]\([^)]*\)                  # the address of a link
    | ^\([\w-]+\)=$                # a target
    | ^:{3,}.*$ | ^`{3,}.*$        # the fence of a directive
    | ^:[\w-]+:.*$                 # an option of a directive
    | ^\d+\.[ ]                    # the number of a step
    """,
    re.VERBOSE | re.MULTILINE,
)
# Digits that belong to no name (CD20, COVID-19), and numbers in words from eleven on.
NUMBER = re.compile(
    r"(?<![\w-])[<>≤≥=~]?\s?\d[\d.,]*(?:\s?%|\b)"
    r"|\b(?:eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|hundred|thousand)\b",
    re.IGNORECASE,
)


def allowed() -> list[dict[str, str]]:
    """Phrases that may hold a number, each with its reason."""
    listed: list[dict[str, str]] = yaml.safe_load(ALLOWED.read_text(encoding="utf-8")) or []
    return listed


def prose(path: Path) -> str:
    """The Markdown of a chapter's text cells."""
    return "\n\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def typed_numbers(text: str, phrases: list[str]) -> list[str]:
    """Each number that stands in the prose, with what stands around it."""
    left = NOT_PROSE.sub(" ", text)
    for phrase in phrases:
        left = left.replace(phrase, " ")
    return [
        f"{match.group().strip()!r} in ...{left[max(0, match.start() - 40) : match.end() + 30]}..."
        for match in NUMBER.finditer(left)
    ]


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_no_number_is_typed(source: Path) -> None:
    phrases = [entry["phrase"] for entry in allowed()]
    assert typed_numbers(prose(source), phrases) == []


def test_every_exception_has_a_reason_and_is_needed() -> None:
    everything = "\n".join(prose(source) for source in CHAPTERS)
    for entry in allowed():
        assert set(entry) == {"phrase", "reason"}, entry
        assert len(entry["reason"].split()) >= 3, entry
        assert entry["phrase"] in everything, f"no chapter says {entry['phrase']!r} any more"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The response rate was 41.4%.", 1),
        ("Of 58 lines, 24 responded.", 2),
        ("The hazard ratio was 0.44 (P = 0.038).", 2),
        ("Median survival was 7 months.", 1),
        ("Twenty-nine patients were treated.", 1),
        ("It binds CD20 and CD3; see {cite}`gouni2022` and {glue:text}`orr_all`.", 0),
        ("See [the results](../results-2.json) and `x = 3`.", 0),
        ("Patients who received CAR-T therapy.", 0),
    ],
)
def test_the_check_finds_what_it_should(text: str, found: int) -> None:
    assert len(typed_numbers(text, [])) == found


def test_a_phrase_is_allowed_only_as_a_whole() -> None:
    text = "Lugano 2014 criteria; 2014 patients."
    assert len(typed_numbers(text, ["Lugano 2014"])) == 1


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_made_from_data_is_as_the_data_say(name: str) -> None:
    assert (ROOT / "book" / name).read_text(encoding="utf-8") == pages.PAGES[name]()
