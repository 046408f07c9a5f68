"""Figures read from the text of an abstract, in English and Chinese, through to the report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from salvage.__main__ import main
from salvage.evidence.abstract import figures_of, read_text, write_facts
from salvage.problems import InputError

TEXTS = Path(__file__).parent / "texts"

HR: dict[str, Any] = {"ratio": "0.44", "low": "0.21", "high": "0.95"}
ORR: dict[str, Any] = {"percent": "41.4%", "events": 24, "n": 58}
LATER = {"group_known": "after time zero"}
#: What is read of a phrase.
PHRASES: list[tuple[str, list[dict[str, Any]]]] = [
    ("HR 0.44 (95% CI 0.21-0.95), P = 0.038", [HR | {"p": "0.038"}]),
    ("HR, 0.44; 95% CI, 0.21 to 0.95; P=.038", [HR | {"p": ".038"}]),
    ("hazard ratio [HR] 0.44 [95% CI 0.21–0.95]; p=0·038", [HR | {"p": "0.038"}]),
    ("(HR = 0.44, 95% CI = 0.21—0.95, P < 0.001)", [HR | {"p": "<0.001"}]),
    ("aHR 0.44 (0.21−0.95)", [HR]),
    ("HR 0.44, P=0.038, 95% CI 0.21-0.95", [HR | {"p": "0.038"}]),
    ("HR for death 0.44, 95% confidence interval (CI) 0.21 to 0.95", [HR]),
    ("odds ratio was 0.44 (90% CI: 0.21 ~ 0.95)", [HR | {"level": "90%"}]),
    ("OR 0.44 (95%CI, 0.21, 0.95)", [HR]),
    ("HR (95% CI) 0.44 (0.21-0.95)", [HR]),
    ("the HR 0.44 (95% CI: 0.21 – 0.95; log-rank P ≤ 0.05)", [HR | {"p": "≤0.05"}]),
    ("HR＝0.44，95%CI：0.21～0.95，P＝0.038", [HR | {"p": "0.038"}]),
    ("风险比（HR）为0.44（95%置信区间：0.21－0.95，P值＝0.038）", [HR | {"p": "0.038"}]),
    ("HR=0.44（95%CI 0.21至0.95）", [HR]),
    ("HR 1.21 (0.95 - 1.14)", [{"ratio": "1.21", "low": "0.95", "high": "1.14"}]),
    ("HR 0.44 without more", [{"ratio": "0.44"}]),
    ("Responders lived longer (HR 0.44; 95% CI 0.21-0.95)", [HR | LATER]),
    ("Late relapse did better. Then HR 0.44 (0.21-0.95)", [HR]),
    ("who received an allogeneic transplant, HR 0.44 (0.21-0.95)", [HR | LATER]),
    ("接受移植者HR=0.44（0.21~0.95）", [HR | LATER]),
    ("ORR was 41.4% (24/58)", [ORR]),
    ("ORR 41.4% (24 of 58 patients)", [ORR]),
    ("24/58 (41.4%) responded", [ORR]),
    ("24 of the 58 evaluable patients responded (41.4%)", [ORR]),
    ("24 out of 58 (41.4%; 95% CI 28.6-55.1)", [ORR | {"low": "28.6%", "high": "55.1%"}]),
    ("41·4% (24/58; 95% CI 28·6–55·1)", [ORR | {"low": "28.6%", "high": "55.1%"}]),
    ("24/58 = 41.4%", [ORR]),
    ("24 (41.4%) of 58 patients", [ORR]),
    ("58例次中24例次有效（41.4%）", [ORR]),
    ("总缓解率为41.4％（24／58）", [ORR]),
    ("41.4% of the 58 events", [{"percent": "41.4%", "n": 58}]),
    ("24 patients (41.4%) responded", [{"percent": "41.4%", "events": 24}]),
    ("41.4% (24 patients)", [{"percent": "41.4%", "events": 24}]),
    ("24例（41.4%）缓解", [{"percent": "41.4%", "events": 24}]),
    ("41.4% (n = 24)", [{"percent": "41.4%"}, {"n": 24}]),
    ("66.7%, 45% and 33.3%", [{"percent": p} for p in ("66.7%", "45%", "33.3%")]),
    ("among 3 patients (66% male)", [{"n": 3, "of": "patients"}, {"percent": "66%"}]),
    ("12 of 29 died, 60% early", [{"events": 12, "n": 29}, {"percent": "60%"}]),
    ("0 of 12 patients (0%)", [{"percent": "0%", "events": 0, "n": 12}]),
    (
        "12-month OS 41.5% (95% CI, 22.5% to 59.5%)",
        [{"percent": "41.5%", "low": "22.5%", "high": "59.5%", "of": "OS"}],
    ),
    (
        "median OS was 7.0 months (range, 1.0–15.0 months)",
        [{"of": "OS", "median": "7.0", "low": "1.0", "high": "15.0"}],
    ),
    (
        "Median age 64 years [IQR 55-70]",
        [{"of": "age", "median": "64", "low": "55", "high": "70"}],
    ),
    ("mOS 5.2 months", [{"of": "OS", "median": "5.2"}]),
    ("中位年龄64（35~81）岁", [{"of": "年龄", "median": "64", "low": "35", "high": "81"}]),
    (
        "中位PFS为2.8个月（95%CI：1.9～3.7）",
        [{"of": "PFS", "median": "2.8", "low": "1.9", "high": "3.7"}],
    ),
    ("median OS was not reached", []),
    ("A total of 1,234 patients (n=1,234)", [{"n": 1234, "of": "patients"}, {"n": 1234}]),
    ("纳入29例患者", [{"n": 29, "of": "例"}]),
    (
        "ORR 29.6% (8/27) versus 5.9% (2/34; P = .014)",
        [
            {"percent": "29.6%", "events": 8, "n": 27},
            {"arms": ["8/27", "2/34"], "p": ".014"},
            {"percent": "5.9%", "events": 2, "n": 34},
        ],
    ),
    ("CD19, PD-1, day 30, 10 mg/m2 on 12/11/2024, P = 0.03 for interaction", []),
]


@pytest.mark.parametrize(("phrase", "figures"), PHRASES, ids=[phrase for phrase, _ in PHRASES])
def test_what_is_read_of_a_phrase(phrase, figures):
    for before, after in (("", ""), ("Results: ", ", as said."), ("结果：", "。")):
        found = figures_of(before + phrase + after)
        read = [{k: v for k, v in f.items() if k not in ("span", "label")} for f in found]
        assert read == figures
        for figure in found:
            span = figure["span"]
            assert span["text"] == (before + phrase + after)[span["start"] : span["end"]]


# --- the index study's facts, from text to report -------------------------------------------------

#: The facts of the index study; no test types them into a file of facts.
FACTS = [
    {"n": 29}, {"n": 29}, {"n": 58}, {"median": "7.0"},
    {"median": "7.0", "low": "1.0", "high": "15.0"}, {"percent": "41.4%", "events": 24, "n": 58},
    {"percent": "12.1%", "events": 7, "n": 58}, {"percent": "66.7%"}, {"percent": "30.0%"},
    {"percent": "60.0%"}, HR | {"p": "0.038"} | LATER, {"follow_up": "7.0", "survival": "7.0"},
]  # fmt: skip
WORDS = {
    "en": ("2022", "median OS was 7.0 months (range, 1.0–15.0)"),
    "zh": ("2022年4月", "中位OS为7.0个月（范围1.0～15.0个月）"),
}


@pytest.mark.parametrize("language", WORDS)
def test_a_text_through_to_the_report(language, tmp_path, capsys):
    date, quoted = WORDS[language]
    text = tmp_path / "abstract.txt"
    text.write_bytes((TEXTS / f"index_study_{language}.txt").read_bytes())
    page = tmp_path / "report.html"
    arguments = ["audit", "--text", str(text), "--html", str(page)]
    assert main([*arguments, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    left_out = ("of", "span", "label")
    assert [{k: v for k, v in row["figure"].items() if k not in left_out} for row in rows] == FACTS
    assert [row["verdict"] for row in rows] == [
        *["possible"] * 3, "question", *["possible"] * 3, *["question"] * 3, "possible", "question",
    ]  # fmt: skip
    assert [row["design"] for row in rows if row["design"]] == ["immortal time"]
    assert rows[4]["span"]["text"] == quoted
    # The file to confirm is one of cases, and gives the same audit.
    facts = tmp_path / "facts.yaml"
    (case,) = yaml.safe_load(facts.read_text(encoding="utf-8"))
    assert case["text"] == text.read_text(encoding="utf-8")
    assert date in case["not_understood"][0]["text"]
    assert main(["audit", str(facts), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    # The text is called what it is, and stands in the page with its figures marked.
    html = page.read_text(encoding="utf-8")
    assert ("Written for a test" in html) or ("为测试而写" in html)
    assert len(re.findall(r'<a class="\w+" href="#figure-\d+" title', html)) == len(FACTS) - 1
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "not understood:" in printed
    assert str(facts) in printed


def test_a_file_to_confirm_that_was_edited_is_kept(tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("ORR 41.4% (24/58)", encoding="utf-8")
    case = read_text(text)
    facts = write_facts(case, tmp_path / "facts.yaml")
    assert write_facts(case, facts) == facts
    edited = facts.read_text(encoding="utf-8").replace("n: 58", "n: 59")
    facts.write_text(edited, encoding="utf-8")
    with pytest.raises(InputError, match="would be overwritten"):
        write_facts(case, facts)
    assert facts.read_text(encoding="utf-8") == edited


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"no figures", "an abstract with figures"), (b"caf\xe9 41%", "text in UTF-8")],
)
def test_texts_that_cannot_be_audited(content, expected, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        read_text(path)


def test_what_is_to_be_audited_has_to_be_named(capsys):
    for arguments in ([], ["facts.yaml", "--text", "a.txt"]):
        assert main(["audit", *arguments]) == 1
        assert "either a file of printed figures, or --text" in capsys.readouterr().err
