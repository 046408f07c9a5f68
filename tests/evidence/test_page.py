"""The page of an audit: one file that tells everything and runs nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from salvage.evidence.cases import Case, audit_cases, read_cases
from salvage.evidence.page import to_html
from salvage.evidence.verdicts import VERDICTS

HERE = Path(__file__).parent


def page(*cases: Case) -> str:
    return to_html(audit_cases(cases), cases)


@pytest.fixture(scope="module")
def cases() -> str:
    return page(*read_cases(HERE / "audit_cases.yaml"))


def test_every_figure_has_its_verdict_arithmetic_and_question(cases):
    assert len(re.findall(r'<li id="figure-\d+">', cases)) == 43
    for verdict in VERDICTS:
        assert f'class="verdict {verdict}"' in cases
    for said in (
        "154 of 238 is 64.71%, which is 64% with the digits cut off.",
        "It would fit with a lower limit of 0.971.",
        "Were the digits of “154/238 (64%)” cut off, and not rounded?",
        "Of how many patients is “62.2% of 40” the share? It would fit with an n of 37.",
        "Could “1.21 (0.95 to 1.14)” be checked against the data?",
        "Is 2.57 a mean of whole numbers?",
        "by a landmark or with a time-dependent covariate?",
        "What an audit cannot say",
    ):
        assert said in cases


def test_the_page_is_alone_and_accuses_nobody(cases):
    assert "<script" not in cases
    assert not re.search(r"""(?:src|href)=["'](?!#)""", cases)
    assert "@import" not in cases
    assert "url(" not in cases
    said = cases.lower().replace("a lower limit with a wrong digit", "")  # a case is called so
    for word in ("wrong", "fraud", "mistake", "misconduct"):
        assert word not in said


def test_what_a_file_says_is_escaped_and_lost_spans_do_no_harm():
    hostile = "<script>alert('x')</script> & {figure}"
    html = page(
        Case(
            hostile,
            hostile,
            (
                {"label": hostile, "percent": "41.0%", "n": 58, "span": {"start": 0, "end": 4}},
                {"percent": "41.4%", "n": 58, "span": {"start": 2, "end": 9999}},
                {"percent": "41.4%", "n": 58, "span": "nowhere"},
                {"median": "7.0", "of": hostile, "span": {"start": "a", "end": None}},
            ),
            text=hostile,
            not_understood=({"text": hostile},),
        )
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5
    assert 'href="#figure-1"' in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(cases, width, scheme, tmp_path, browser: Browser):
    path = tmp_path / "report.html"
    path.write_text(cases, encoding="utf-8")
    screen = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    screen.goto(path.as_uri())
    assert screen.evaluate("document.documentElement.scrollWidth") <= width
    # Every verdict can be read on its ground: contrast of 4.5 or more.
    contrast = """() => [...document.querySelectorAll('.verdict, .soft, a')].map((node) => {
        const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                const share = part / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const both = [getComputedStyle(node).color,
                      getComputedStyle(document.body).backgroundColor].map(light);
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    })"""
    assert min(screen.evaluate(contrast)) >= 4.5
