"""Results as data: the ids, what each record holds, and the command line that prints them."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from salvage import words
from salvage.__main__ import COMMANDS, main
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort, load
from salvage.paths import COHORT_VARIABLE, DATA, ROOT
from salvage.report import results
from tests.cohorts import EDGES, Recipe, Tables, generate, recipes

NAMED = [
    "n.patients", "n.events", "deaths", "followup.observed.median", "followup.reverse_km.median",
    "os.median", "os.at.3", "os.at.6", "os.at.12", "os.from_relapse.median", "os.range.min",
    "os.range.max", "orr.all", "cr.all", "pr.all", "orr.first_line.all", "ae.fever.patients",
    "ae.fever.events", "cr.second_cart.switched", "cr.second_cart.same", "cox.late_vs_early.hr",
    "cox.late_vs_early.from_relapse.hr",
    *(
        f"{measure}.{key}"
        for key in words.CATEGORIES
        for measure in ("orr", "cr", "pr", "orr.first_line", "cr.first_line")
    ),
    *(f"{d}.{key}.median" for key in words.CATEGORIES for d in ("dor", "pfs", "ttnt")),
]  # fmt: skip


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m salvage`` as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "salvage", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


# --- what is in them ------------------------------------------------------------------------------


def test_every_named_estimate_is_there_once() -> None:
    ids = [e.id for e in results.collect(load(DATA))]
    assert set(NAMED) <= set(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("edge", EDGES)
def test_named_ids_are_there_whatever_a_hospital_recorded(edge: str) -> None:
    assert set(NAMED) <= {e.id for e in results.collect(EDGES[edge]().cohort())}


def test_a_record_holds_the_named_fields_and_marks() -> None:
    record = next(e for e in results.collect(load(DATA)) if e.id == "orr.polatuzumab").record()
    assert list(record)[:12] == [
        "id", "label", "value", "low", "high", "n", "events", "unit", "method",
        "provenance", "provenance_n", "provenance_interval",
    ]  # fmt: skip
    marks = [record[k] for k in ("provenance", "provenance_n", "provenance_interval")]
    assert marks == ["published", "assumed", "assumed"]


def test_ids_that_repeat_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = results.counts.estimates(load(DATA))
    monkeypatch.setattr(results.survival, "estimates", lambda _: twice)
    with pytest.raises(ValueError, match=r"must be unique: deaths"):
        results.collect(load(DATA))


def sound(found: list[Estimate]) -> None:
    """No NaN or infinity; intervals contain their estimates; each unit keeps its range."""
    text = results.to_json(found)
    assert "NaN" not in text
    assert "Infinity" not in text
    for e in found:
        numbers = [v for v in (e.value, e.low, e.high, e.p) if v is not None]
        assert all(math.isfinite(v) for v in numbers), e
        if e.value is not None:
            assert e.low is None or e.low <= e.value + 1e-9, e
            assert e.high is None or e.value <= e.high + 1e-9, e
        if e.value is None and e.unit in ("proportion", "ratio", "rate"):
            # Of an odds ratio that is 0 or infinite, the exact limit on the other side is known.
            known = e.low if e.method.endswith("infinite") else e.high
            if e.method.endswith(("the estimate is 0", "the estimate is infinite")):
                assert known is not None, e
            else:
                assert (e.low, e.high) == (None, None), e
        # Limits of no width would say that nothing is uncertain; a median with ties can have them.
        if e.low is not None and e.high is not None and e.unit in ("probability", "ratio"):
            assert e.low < e.high or e.id.startswith("spread."), e
        if e.unit in ("proportion", "probability"):
            assert all(-1e-12 <= v <= 1 + 1e-12 for v in numbers), e
        elif e.unit in ("months", "ratio", "count", "events", "rate"):
            assert all(v >= 0 for v in numbers), e
        assert e.p is None or 0 <= e.p <= 1, e
        assert e.n is None or e.n >= 0, e
        assert e.label, e
        assert e.method, e


@pytest.mark.parametrize("edge", EDGES)
def test_edge_cohorts_have_sound_results(edge: str) -> None:
    made = EDGES[edge]().cohort()
    found = results.collect(made)
    sound(found)
    by_id = {e.id: e for e in found}
    assert by_id["n.patients"].value == len(made.patients)
    assert by_id["n.events"].value == len(made.salvage)
    assert by_id["deaths"].value == made.patients["died"].sum()


@given(recipes())
@settings(max_examples=25, deadline=None)
def test_any_cohort_has_sound_results(recipe: Recipe) -> None:
    made = generate(recipe).cohort()
    found = results.collect(made)
    sound(found)
    by_id = {e.id: e for e in found}
    value = {id: by_id[id].value or 0 for id in ("n.patients", "n.treated", "n.untreated")}
    assert value["n.treated"] + value["n.untreated"] == value["n.patients"] == recipe.patients
    for measure in ("orr", "cr"):
        events = sum(by_id[f"{measure}.{key}"].events or 0 for key in words.CATEGORIES)
        assert events == by_id[f"{measure}.all"].events
    late, deaths = by_id["n.late"].value, by_id["deaths"].value
    assert late == (made.patients["relapse_month"] > 3).sum()
    assert deaths == by_id["os.median"].events == by_id["os.from_relapse.median"].events


def shuffled(tables: Tables, seed: int) -> Tables:
    """The same cohort with its rows in another order."""

    def shuffle(frame: Any) -> Any:
        return None if frame is None else frame.sample(frac=1, random_state=seed)

    return replace(
        tables,
        patients=shuffle(tables.patients),
        salvage=shuffle(tables.salvage),
        adverse_events=shuffle(tables.adverse_events),
    )


def renamed(tables: Tables) -> Tables:
    """The same cohort with ids that sort the other way round."""

    def rename(frame: Any) -> Any:
        if frame is None:
            return None
        number = frame["patient_id"].str.removeprefix("P").astype(int)
        return frame.assign(patient_id=[f"id-{10_000 - n}-例" for n in number])

    return replace(
        tables,
        patients=rename(tables.patients),
        salvage=rename(tables.salvage),
        adverse_events=rename(tables.adverse_events),
    )


def differences(first: Cohort, second: Cohort) -> list[str]:
    """Estimates of two cohorts that are not the same; sums in another order may round otherwise."""

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, float) and isinstance(b, float):
            return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
        return bool(a == b)

    pairs = zip(results.collect(first), results.collect(second), strict=True)
    return [
        f"{a.id}: {a} is not {b}"
        for a, b in pairs
        if not all(same(v, b.record()[k]) for k, v in a.record().items())
    ]


@given(recipes())
@settings(max_examples=15, deadline=None)
def test_results_depend_neither_on_the_order_of_rows_nor_on_the_ids(recipe: Recipe) -> None:
    tables = generate(recipe)
    other = renamed(shuffled(tables, recipe.seed % 1000))
    assert differences(tables.cohort(), other.cohort()) == []


# --- as text --------------------------------------------------------------------------------------


def test_csv_and_json_hold_the_same() -> None:
    found = results.collect(load(DATA))
    records = json.loads(results.to_json(found))
    rows = list(csv.DictReader(io.StringIO(results.to_csv(found))))
    assert len(rows) == len(records) == len(found)
    for row, record in zip(rows, records, strict=True):
        assert {k: None if v == "" else v for k, v in row.items()} == {
            k: None if v is None else str(v) for k, v in record.items()
        }


# --- command line ---------------------------------------------------------------------------------


def test_results_are_all_that_is_printed() -> None:
    done = run("results")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == results.to_json(results.collect(load(DATA)))


def test_a_label_is_no_formula_in_csv() -> None:
    made = replace(results.collect(load(DATA))[0], label="=cmd()")
    (row,) = csv.DictReader(io.StringIO(results.to_csv([made])))
    assert row["label"] == "'=cmd()"


def test_results_of_another_cohort_as_csv(tmp_path: Path) -> None:
    EDGES["another_hospital"]().write(tmp_path / "own")
    by_argument = run("results", "own", "--format", "csv", cwd=tmp_path)
    by_variable = run("results", "--format", "csv", cwd=tmp_path, **{COHORT_VARIABLE: "own"})
    assert by_argument.returncode == by_variable.returncode == 0
    assert by_argument.stdout == by_variable.stdout
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(by_argument.stdout))}
    assert rows["n.patients"]["value"] == "40.0"
    assert rows["orr.all"]["provenance"] == "observed"
    assert "双特异性抗体" in rows["orr.bispecific"]["label"]


def test_bad_input_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    folder = EDGES["only_required_columns"]().write(tmp_path / "own")
    (folder / "study.yaml").unlink()
    text = (folder / "patients.csv").read_text(encoding="utf-8")
    (folder / "patients.csv").write_text(text.replace("died", "dead"), encoding="utf-8")
    for command in ("results", "check"):
        done = run(command, str(folder))
        assert (done.returncode, done.stdout) == (1, "")
        lines = done.stderr.splitlines()
        assert lines[0] == "The cohort own cannot be used: 3 problems"
        assert [line.split(":")[0].split(",")[0].strip() for line in lines[1:]] == [
            "patients.csv",
            "patients.csv",
            "study.yaml; expected this file; it may be empty",
        ]


def test_check_says_what_it_read_and_what_is_unusual(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = generate(Recipe(patients=3, seed=1, lines=1, adverse_events=0.0, missing=1.0))
    young = replace(tables, patients=tables.patients.assign(age=[17, 40, 50]))
    assert main(["check", str(young.write(tmp_path / "own"))]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "own: 3 patients, 3 salvage lines and 0 adverse events; no errors."
    assert printed[1] == "1 warning, worth a second look:"
    assert printed[2].startswith("  patients.csv, row 2, column age")


def test_a_reader_who_stops_early_sees_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "salvage", "results"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert complaint == b""


def test_a_path_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("results", "check", "audit"):
        assert main([command, str(tmp_path / "nothing")]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "nothing" in captured.err
        assert "Traceback" not in captured.err


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"python -m salvage {command}" in capsys.readouterr().out
