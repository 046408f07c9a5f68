"""The chapters on survival and on prognosis, and all chapters, on every edge cohort.

What a chapter says must be true of the cohort that it is read with. All chapters are executed by
the interpreter that Jupyter uses, each cohort in a process of its own.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from salvage import survival
from salvage.cohort import Cohort
from salvage.paths import COHORT_VARIABLE, ROOT
from salvage.sentences import outcome as outcome_sentences
from salvage.sentences import prognosis as prognosis_sentences
from salvage.show import Absent, Box, Table, Text
from salvage.tables import outcome, prognosis
from tests.cohorts import EDGES, Recipe, generate, recipes

PARTS: dict[str, Callable[[Cohort], Table | Text | Box | Absent]] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module, names in (
        (outcome, "by_origin restricted_means follow_up responses second_implementation"),
        (prognosis, "univariable origins model proportional sweep"),
        (
            outcome_sentences,
            "outcome_answer why_biased observed_range reading response_reading cross_check",
        ),
        (
            prognosis_sentences,
            "prognosis_answer policy replaced months_to_relapse model proportional sweep",
        ),
    )
    for name in names.split()
}
#: What no reader may see: Python's own words for nothing, doubled stops, a plural of one.
UNREADABLE = re.compile(r"\b(nan|None|NaT|inf)\b|(?<!\.)\.\.(?!\.)|: \.|: ;")
WRONG_NUMBER = re.compile(r"(?<![\d.,])1 (patients|lines|deaths|tests|responses|events|cut-offs)\b")
MOST_COLUMNS = 7


def readable(name: str, shown: Table | Text | Box | Absent) -> None:
    """The text holds no word of Python and no wrong number; a table has no ragged row."""
    said = shown.plain()
    assert said.strip(), name
    assert not UNREADABLE.search(said), (name, said)
    assert not WRONG_NUMBER.search(said), (name, said)
    if isinstance(shown, Table):
        assert len(shown.head) <= MOST_COLUMNS
        assert {len(row) for row in shown.rows} == {len(shown.head)}
        assert shown.marks


@pytest.mark.parametrize("edge", EDGES)
def test_parts_are_readable_on_edge_cohorts(edge: str) -> None:
    cohort = EDGES[edge]().cohort()
    for name, part in PARTS.items():
        readable(name, part(cohort))


@given(recipes())
@settings(max_examples=15, deadline=None)
def test_parts_are_readable_on_any_cohort(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    for name, part in PARTS.items():
        readable(name, part(cohort))


@pytest.mark.parametrize("edge", EDGES)
def test_lifelines_agrees_or_a_named_rule_explains_it(edge: str) -> None:
    cohort = EDGES[edge]().cohort()
    compared = {row[-1] for row in outcome.second_implementation(cohort).rows}
    assert "differ" not in compared
    assert "do not explain" not in outcome_sentences.cross_check(cohort).plain()


# --- sentences that would be false of another cohort ----------------------------------------------

SAID = {
    ("no_deaths", "outcome_answer"): "none of 14 patients died",
    ("one_patient", "outcome_answer"): "the one patient died",
    ("one_patient_alive", "outcome_answer"): "the one patient is alive",
    ("all_dead_at_once", "outcome_answer"): "all 14 patients died",
    ("one_patient", "observed_range"): "One patient has no range",
    ("all_dead_at_once", "observed_range"): "There is no range",
    ("no_deaths", "reading"): "not reached",
    ("no_responder", "response_reading"): "No salvage line brought a response",
    ("only_required_columns", "response_reading"): "does not record when responses began",
    ("patients_without_salvage", "why_biased"): "without salvage had to live only until relapse",
    ("everyone_early", "prognosis_answer"): "all patients have the same value",
    ("no_deaths", "policy"): "No factor can be tested",
    ("a_separated_group", "replaced"): "does not converge|do not converge",
    ("only_required_columns", "model"): "cannot be estimated: not recorded",
    ("no_deaths", "sweep"): "No cut-off gives a contrast",
    ("a_synthetic_cohort", "outcome_answer"): "In this synthetic cohort",
    ("another_hospital", "outcome_answer"): "In this cohort",
}


@pytest.mark.parametrize(("edge", "part"), SAID)
def test_what_is_said_of_an_edge_cohort(edge: str, part: str) -> None:
    module = outcome_sentences if hasattr(outcome_sentences, part) else prognosis_sentences
    said = getattr(module, part)(EDGES[edge]().cohort()).plain()
    assert re.search(SAID[edge, part], said), said


def test_salvage_at_infusion_guarantees_no_time() -> None:
    made = generate(Recipe(patients=8, seed=2))
    tables = replace(
        made,
        patients=made.patients.assign(relapse_month=0.0, os_month=made.patients["os_month"] + 1),
        salvage=made.salvage.assign(start_month=0.0),
    )
    said = outcome_sentences.outcome_answer(tables.cohort()).plain()
    assert "it guarantees no survival time" in said


@given(recipes())
@settings(max_examples=30, deadline=None)
def test_the_answer_counts_deaths_and_the_medians_of_the_table(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    said = outcome_sentences.outcome_answer(cohort).plain()
    dead = int(cohort.patients["died"].sum())
    if 0 < dead < recipe.patients:
        assert f"{dead} of {recipe.patients} patients died" in said
    cells = [row[2].split(" ")[0] for row in outcome.by_origin(cohort).rows]
    for cell, times in zip(cells, survival.origins(cohort).values(), strict=True):
        if not times.n or cell == "not":
            continue
        assert f"{cell} months" in said


# --- all chapters ---------------------------------------------------------------------------------

EXECUTE = """
import json, sys
from pathlib import Path
import jupytext
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.cleanup = lambda: None
found = []
for source in sorted(Path("chapters").glob("[0-9][0-9]_*.py")):
    shell.reset(new_session=True)
    for number, cell in enumerate(jupytext.read(source).cells):
        if cell.cell_type != "code":
            continue
        done = shell.run_cell(cell.source, silent=False)
        error = done.error_before_exec or done.error_in_exec
        shown, kind = "", ""
        if error is None and done.result is not None:
            kind = type(done.result).__name__
            try:
                shown = done.result._repr_mimebundle_()["text/plain"]
            except Exception as broken:
                error = broken
        found.append([source.stem, number, kind, shown, repr(error) if error else ""])
    import matplotlib.pyplot
    matplotlib.pyplot.close("all")
Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
"""


@pytest.mark.slow
@pytest.mark.parametrize("edge", EDGES)
def test_every_chapter_runs_on_every_edge_cohort(edge: str, tmp_path: Path) -> None:
    folder = EDGES[edge]().write(tmp_path / "cohort")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(report)],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            COHORT_VARIABLE: str(folder),
            "MPLBACKEND": "agg",
            "IPYTHONDIR": str(tmp_path / "ipython"),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    cells = json.loads(report.read_text(encoding="utf-8"))
    failed = [f"{stem}, cell {number}: {error}" for stem, number, _, _, error in cells if error]
    assert failed == [], "\n".join(failed) + done.stdout[-4000:]
    chapters = {stem for stem, *_ in cells}
    assert chapters == {p.stem for p in (ROOT / "chapters").glob("[0-9][0-9]_*.py")}
    for stem, number, kind, shown, _ in cells:
        assert not UNREADABLE.search(shown), (stem, number, kind, shown)
        assert not WRONG_NUMBER.search(shown), (stem, number, kind, shown)
    if edge != "a_synthetic_cohort":
        said = "\n".join(shown for stem, _, _, shown, _ in cells if stem[:2] in ("11", "12"))
        assert "assumed" not in said
        assert "synthetic" not in said
