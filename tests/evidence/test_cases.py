"""Files of printed figures: the forms that are accepted, and the audit as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salvage.__main__ import main
from salvage.evidence.cases import audit_cases, read_cases, to_json, to_text
from salvage.problems import InputError

HERE = Path(__file__).parent


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "facts.yaml"
    path.write_text(text, encoding="utf-8")
    return path


INDEX = """
title: The index study
n: 29
rates:
  - {label: ORR, events: 24, n: 58, printed: 41.4%}
  - {label: Pola ORR, printed: 66.7%}
  - {label: Second CAR-T CR, printed: "0.300", n: 10}
ratios:
  - {label: Late against early, hr: 0.44, low: 0.21, high: 0.95, p: 0.038}
  - {label: The same of others, hr: 0.44, low: 0.21, high: 0.95, p: 0.038, n: 20}
"""


def test_the_facts_of_one_study(tmp_path):
    cases = read_cases(written(tmp_path, INDEX))
    audited = audit_cases(cases)
    assert [one.finding.verdict for one in audited] == [
        "possible", "question", "possible", "possible", "other_method",
    ]  # fmt: skip
    lines = to_text(audited, cases).splitlines()
    assert lines[0] == "The index study"
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    for phrase in (
        "possible: ORR: 24/58, printed 41.4%",
        "24 of 58 is 41.379%.",
        "66.7% is printed without its n.",
        "3 of 10 is 0.30000.",
        "A standard error of 0.3892 to 0.3925 on the log scale, with a Wald P of 0.0375 to 0.0378,"
        " prints these figures and needs 27 deaths or more.",
        "needs 26 deaths or more, and 20 patients are printed",
        "3 possible, 0 truncated, 1 other_method, 0 other_denominator, 0 impossible, 1 question",
    ):
        assert phrase in text


def test_json_is_one_array_of_one_object_for_each_figure(capsys):
    assert main(["audit", str(HERE / "audit_cases.yaml"), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 43
    keys = ["case", "figure", "verdict", "arithmetic", "hint", "design", "span"]
    assert all(list(row) == keys for row in rows)
    assert [row["verdict"] for row in rows] == [row["figure"]["verdict"] for row in rows]
    assert rows[3] == {
        "case": "a percentage cut off, medians that do not fit together",
        "figure": {"percent": "64%", "events": 154, "n": 238, "verdict": "truncated"},
        "verdict": "truncated",
        "arithmetic": "154 of 238 is 64.71%, which is 64% with the digits cut off.",
        "hint": None,
        "design": None,
        "span": None,
    }
    assert rows[2]["hint"] == {"low": "0.971"}
    assert {row["design"] for row in rows} == {None, "immortal time"}
    assert rows[30]["figure"] == {"mean": "7.22", "n": 32, "whole": True, "verdict": "possible"}


def test_one_case_alone_and_digits_as_written(tmp_path):
    (case,) = read_cases(written(tmp_path, "figures: [{ratio: 0.40, low: 0.20, high: 0.80}]\n"))
    assert case.name == "facts"
    assert case.figures[0]["ratio"] == "0.40"


def test_all_figures_are_audited_whatever_one_of_them_says(tmp_path):
    text = """
- case: a
  n: 29
  figures:
    - {ratio: 0.44, low: 0.21, high: abc, p: maybe}
    - {ratio: 1.21, low: 0.95, high: 1.14}
    - {percent: 41.4%, events: 24, n: 58, counted_by: 25}
    - {percent: 41.4%, events: -1}
    - {ratio: 0.44, low: 0.21, high: 0.95, deaths: 28}
"""
    found = audit_cases(read_cases(written(tmp_path, text)))
    assert [one.finding.verdict for one in found] == [
        "question", "impossible", "possible", "question", "possible",
    ]  # fmt: skip
    assert found[0].finding.arithmetic == (
        "Not understood: high abc, expected a number as printed;"
        " p maybe, expected a P-value such as 0.038 or <0.001."
    )
    assert found[2].finding.arithmetic == "24 of 58 is 41.379%. Not used: counted_by."


def test_names_that_others_use(tmp_path):
    text = """
figures:
  - {HR: 0.44, ci: [0.21, 0.95], p-value: 0.038}
  - {percent: 41.4, count: 24, n: 58}
  - {table: [[3, 2], [0, 5]], p: 0.17}
  - {table: [3, 2, 0, 5], p: 0.17}
  - {table: [[3, 2], [0, x]], p: 0.17}
  - {median: 7.0, range: [1.0, 15.0]}
  - {mean: 0.35, sd: 0.49, n: 20, binary: true}
"""
    found = audit_cases(read_cases(written(tmp_path, text)))
    assert [one.finding.verdict for one in found] == [
        *["possible"] * 4, "question", *["possible"] * 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "expected key: value lines"),
        ("title: nothing\n", "expected at least one entry under rates, ratios or figures"),
        ("", "expected figures of at least one case"),
        ("[]", "expected figures of at least one case"),
        ("rates: {a: b}\n", "expected a list"),
        ("figures: [a]\n", 'figures[1]: found "a"; expected key: value lines'),
        ("rates: [\n", "row 2; expected a YAML file"),
        ("titel: x\nrates: [{printed: 1%}]\n", "(did you mean title?)"),
    ],
)
def test_files_without_figures(tmp_path, text, expected):
    with pytest.raises(InputError) as caught:
        read_cases(written(tmp_path, text))
    assert expected in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_cases(tmp_path / "absent.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"title: caf\xe9\n")
    with pytest.raises(InputError, match=r"a YAML file in UTF-8 \(invalid continuation byte\)"):
        read_cases(path)


def test_json_of_a_case_without_figures(tmp_path):
    assert to_json(audit_cases(read_cases(written(tmp_path, "figures:\n")))) == "[]\n"
