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

import pandas as pd
import pytest
from hypothesis import given, settings

from salvage import words
from salvage.analysis import safety, survival
from salvage.cohort import Cohort, load
from salvage.display import figures
from salvage.display.show import Absent, Box, Table, Text
from salvage.paths import COHORT_VARIABLE, DATA, ROOT
from salvage.report import bias as report_bias
from salvage.report import categories as report_categories
from salvage.report import context as report_context
from salvage.report import patients as report_patients
from salvage.report import prognosis as report_prognosis
from salvage.report import results
from salvage.report import safety as report_safety
from salvage.report import summary as report_summary
from salvage.report import survival as report_survival
from salvage.report.gate import gate_of
from tests.cohorts import EDGES, Recipe, generate, recipes

PARTS: dict[str, Callable[[Cohort], Table | Text | Box | Absent]] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module, names in (
        (report_survival, "by_origin restricted_means follow_up responses"),
        (
            report_prognosis,
            "univariable origins contrast_tests model_table proportional_table sweep_table",
        ),
        (
            report_survival,
            "answer why_biased observed_range reading response_reading",
        ),
        (report_bias, "origins"),
        (report_bias, "answer landmark delayed_entry per_month responders"),
        (report_context, "own_first_lines"),
        (report_context, "answer"),
        (
            report_prognosis,
            "answer policy replaced months_to_relapse model proportional sweep",
        ),
    )
    for name in names.split()
}
#: What no reader may see: Python's own words for nothing, doubled stops, a plural of one.
UNREADABLE = re.compile(r"\b(nan|None|NaT|inf)\b|(?<!\.)\.\.(?!\.)|: \.|: ;")
WRONG_NUMBER = re.compile(
    r"(?<![\d.,])1 (patients|lines|deaths|tests|responses|events|cut-offs|months|figures agree)\b"
)
#: What says nothing: a range of one value, a reason within a reason, a number that is none.
SILLY = re.compile(
    r"\bof not estimable|(?<!where )(?<!is )not estimable: |\b0 or more\b"
    r"|\b(?:between|from|observed for) (\d[\d.]*) (?:and|to) \1 "
)
MOST_COLUMNS = 7


def readable(name: str, shown: Table | Text | Box | Absent) -> None:
    """The text holds no word of Python and no wrong number; a table has no ragged row."""
    said = shown.plain()
    assert said.strip(), name
    assert not UNREADABLE.search(said), (name, said)
    assert not WRONG_NUMBER.search(said), (name, said)
    assert not SILLY.search(said), (name, said)
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


# --- sentences that would be false of another cohort ----------------------------------------------

SAID = {
    ("no_deaths", "survival.answer"): "none of 14 patients died",
    ("one_patient", "survival.answer"): "the one patient died",
    ("one_patient_alive", "survival.answer"): "the one patient is alive",
    ("all_dead_at_once", "survival.answer"): "all 14 patients died",
    ("one_patient", "observed_range"): "One patient has no range",
    ("all_dead_at_once", "observed_range"): "There is no range",
    ("no_deaths", "reading"): "not reached",
    ("no_responder", "response_reading"): "No salvage line brought a response",
    ("only_required_columns", "response_reading"): "does not record when responses began",
    ("patients_without_salvage", "why_biased"): "without salvage had to live only until relapse",
    ("everyone_early", "prognosis.answer"): "all patients have the same value",
    ("no_deaths", "policy"): "No factor can be tested",
    ("a_separated_group", "replaced"): "does not converge|do not converge",
    ("only_required_columns", "model"): "no patient has every covariate recorded",
    ("no_deaths", "sweep"): "No cut-off gives a contrast",
    ("a_synthetic_cohort", "survival.answer"): "In this synthetic cohort",
    ("another_hospital", "survival.answer"): "In this cohort",
    ("one_patient", "prognosis.answer"): "all patients have the same value",
    ("one_patient", "why_biased"): "^The one treated patient was alive by definition at",
    ("no_deaths", "observed_range"): "nothing of the uncertainty of the median.$",
    ("ties_everywhere", "observed_range"): "which the confidence interval states.$",
    ("all_dead_at_once", "prognosis.answer"): (
        r"was not estimable \(all patients at risk died at the same time\) counted from infusion"
        r" and \d"
    ),
    (
        "all_dead_at_once",
        "months_to_relapse",
    ): r"was not estimable \(all patients .*\) from infusion",
    ("all_dead_at_once", "reading"): "; from the first salvage line it is 3.0 months",
    ("all_dead_at_once", "bias.answer"): r"is not estimable from infusion and \d",
    ("one_patient", "bias.answer"): "late and early relapse cannot be compared",
    ("one_patient", "per_month"): "as a covariate: all patients have the same value.$",
    ("no_deaths", "per_month"): "as a covariate: 0 deaths, fewer than 10.$",
    ("a_separated_group", "sweep"): r"estimable at 4 cut-offs, 0\.\d+ at each; it was",
    ("all_dead_at_once", "delayed_entry"): r"it is 6\.0 months\.\n",
    ("one_patient", "patients.answer"): r"The patient was observed for \d",
    ("all_dead_at_once", "patients.answer"): r"Every patient was observed for 6\.0 months",
    ("one_patient_alive", "patients.answer"): "The patient was alive at last contact",
    ("no_deaths", "context.answer"): "Another cohort whose clock starts at progression printed",
    ("all_dead_at_once", "targets_compared"): r"same target \(Fisher's exact test, P >0\.99\)\.$",
    ("ties_everywhere", "delayed_entry"): "no median can be estimated: .* fewer than 10",
    ("no_responder", "response_and_duration"): "No line of this category responded",
    (
        "no_deaths",
        "response_and_duration",
    ): "The one response with a recorded beginning did not end",
}
SENTENCES = (
    report_survival,
    report_prognosis,
    report_bias,
    report_patients,
    report_context,
    report_categories,
)


@pytest.mark.parametrize(("edge", "part"), SAID)
def test_what_is_said_of_an_edge_cohort(edge: str, part: str) -> None:
    home, _, name = part.rpartition(".")
    (say,) = (
        getattr(module, name)
        for module in SENTENCES
        if hasattr(module, name) and module.__name__.endswith(home)
    )
    of_category = ["polatuzumab"] if "key" in say.__annotations__ else []
    said = say(EDGES[edge]().cohort(), *of_category).plain()
    assert re.search(SAID[edge, part], said), said


# --- the summary ----------------------------------------------------------------------------------

GLANCE = {
    ("no_responder", "orr"): ("No line brought a response.", "–"),
    ("no_responder", "cr"): ("No line brought a complete response.", "–"),
    ("all_responders", "orr"): ("All 6 categories have the same rate.", "–"),
    ("no_deaths", "orr"): ("Polatuzumab-based regimen: 2/3.", "A maximum over small groups"),
    ("one_patient_alive", "switch"): ("Not in the data", "–"),
    ("no_deaths", "late"): ("Late and early relapse cannot be compared", "–"),
    ("all_dead_at_once", "late"): ("HR not estimable from infusion, 15.00", "From infusion biased"),
    ("zero_intervals", "life"): ("Median 0.0 months from infusion", "95% CI not estimable$"),
    ("no_deaths", "life"): (
        "Median not reached from infusion",
        "95% CI not estimable; survival to",
    ),
}
ROWS = ("life", "orr", "cr", "switch", "late", "event")


@pytest.mark.parametrize(("edge", "row"), GLANCE)
def test_the_evidence_at_a_glance(edge: str, row: str) -> None:
    cohort = EDGES[edge]().cohort()
    shown = report_summary.evidence(cohort)
    readable(edge, shown)
    for cell, expected in zip(shown.rows[ROWS.index(row)][1:], GLANCE[edge, row], strict=True):
        assert re.search("^" + re.escape(expected).replace(r"\$", "$"), cell), cell


@pytest.mark.parametrize("edge", EDGES)
def test_a_figure_that_the_cohort_does_not_have_does_not_differ(edge: str) -> None:
    cohort = EDGES[edge]().cohort()
    shown = report_summary.reproduction(cohort)
    for _, _, own, verdict in shown.rows:
        absent = own in (words.NOT_ESTIMABLE, "no adverse event recorded")
        assert (verdict == "–") == absent, (own, verdict)


def test_a_synthetic_cohort_that_prints_other_figures_is_not_said_to_agree() -> None:
    made = generate(Recipe(patients=25, seed=17))
    cohort = replace(made, settings={"synthetic": True}).cohort()
    said = report_summary.answer(cohort).plain()
    assert "agree with every figure" not in said
    assert "nobody was observed" in said
    assert results.headline(cohort)["os.median"].provenance == "assumed"
    said = report_summary.answer(load(DATA)).plain()
    assert "agree with every figure" in said


# --- figures --------------------------------------------------------------------------------------


def test_terms_that_tie_are_all_the_most_common() -> None:
    shown = figures.ae_heatmap(EDGES["no_responder"]().cohort())
    assert "Most common: Anaemia (ASTCT 2019), Fever (ASTCT 2019) and Infection" in shown.alt
    assert "each in 4 of 14 treated patients" in shown.alt


@pytest.mark.parametrize("edge", ["everyone_early", "everyone_late", "one_patient"])
def test_one_group_alone_is_not_drawn_as_a_comparison(edge: str) -> None:
    shown = figures.os_by_relapse_group(EDGES[edge]().cohort(), "relapse")
    assert isinstance(shown, Absent)
    assert "one of the two groups has no patient" in shown.plain()


def test_a_figure_of_other_cohorts_names_this_one_only_if_it_is_there() -> None:
    cohort = EDGES["a_category_without_events"]().cohort()
    for key in ("radiotherapy", "second_cart"):
        shown = report_context.rate_forest(cohort, key)
        assert ("Black: this cohort" in shown.caption) == (key == "second_cart")


def test_salvage_at_infusion_guarantees_no_time() -> None:
    made = generate(Recipe(patients=8, seed=2))
    tables = replace(
        made,
        patients=made.patients.assign(relapse_month=0.0, os_month=made.patients["os_month"] + 1),
        salvage=made.salvage.assign(start_month=0.0),
    )
    said = report_survival.answer(tables.cohort()).plain()
    assert "it guarantees no survival time" in said


@given(recipes())
@settings(max_examples=30, deadline=None)
def test_the_answer_counts_deaths_and_the_medians_of_the_table(recipe: Recipe) -> None:
    cohort = generate(recipe).cohort()
    said = report_survival.answer(cohort).plain()
    dead = int(cohort.patients["died"].sum())
    if 0 < dead < recipe.patients:
        assert f"{dead} of {recipe.patients} patients died" in said
    cells = [row[2].split(" ")[0] for row in report_survival.by_origin(cohort).rows]
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
        assert not SILLY.search(shown), (stem, number, kind, shown)
    if edge != "a_synthetic_cohort":
        said = "\n".join(shown for stem, _, _, shown, _ in cells if stem[:2] in ("11", "12"))
        assert "assumed" not in said
        assert "synthetic" not in said


# --- events of patients without a salvage line ----------------------------------------------------

LEFT_OUT = "without a salvage line"
EVENT_PARTS = {
    "figures": (figures.ae_butterfly, figures.ae_heatmap, figures.ae_by_category),
    "tables": (report_safety.overall, report_safety.grades, report_safety.by_category),
}


def with_untreated(events: int, grade: int = 2) -> Cohort:
    """The shipped cohort and one patient without salvage who has so many events without a line."""
    cohort = load(DATA)
    patient = cohort.patients.iloc[[0]].assign(patient_id="Q1")
    n = len(cohort.adverse_events)
    rows = cohort.adverse_events.iloc[[*range(n), *[0] * events]].reset_index(drop=True)
    rows.loc[rows.index >= n, ["patient_id", "line", "grade"]] = ["Q1", None, grade]
    return replace(
        cohort,
        patients=pd.concat([cohort.patients, patient], ignore_index=True),
        adverse_events=rows,
    )


def only_untreated_graded() -> Cohort:
    cohort = with_untreated(1)
    events = cohort.adverse_events
    ungraded = events["grade"].where(events["patient_id"] == "Q1")
    return replace(cohort, adverse_events=events.assign(grade=ungraded))


def test_events_without_a_salvage_line_are_in_no_figure_and_no_table() -> None:
    shipped, more = load(DATA), with_untreated(2, grade=5)
    for part in EVENT_PARTS["figures"]:
        before, after = part(shipped), part(more)
        assert (before.caption, before.alt) == (after.caption, after.alt), part
    for part in EVENT_PARTS["tables"]:
        assert part(shipped).rows == part(more).rows, part


def test_a_grade_without_a_salvage_line_draws_no_figure() -> None:
    cohort = only_untreated_graded()
    assert isinstance(report_safety.grades(cohort), Absent)
    assert isinstance(figures.ae_heatmap(cohort), Absent)


def test_the_chapter_counts_the_events_that_it_leaves_out() -> None:
    assert LEFT_OUT not in report_safety.answer(load(DATA)).plain()
    for events, said in (
        (1, "1 adverse event of 1 patient without a salvage line is not counted here."),
        (3, "3 adverse events of 1 patient without a salvage line are not counted here."),
    ):
        cohort = with_untreated(events)
        assert said in report_safety.answer(cohort).plain()
        others = cohort.adverse_events[cohort.adverse_events["patient_id"] == "Q1"]
        nothing_else = report_safety.answer(replace(cohort, adverse_events=others))
        assert isinstance(nothing_else, Absent)
        assert said in nothing_else.plain()
        # A public book tells no such number: it shows what it shows of the cohort without them.
        public = replace(cohort, study=replace(cohort.study, audience="public"))
        instead = gate_of(public)(report_safety.answer(public))
        assert instead is not None
        assert LEFT_OUT not in instead.plain()


# --- terms of adverse events ----------------------------------------------------------------------


def spelled(*terms: str) -> Cohort:
    """The shipped cohort whose events have these terms in turn, and no others."""
    cohort = load(DATA)
    events = cohort.adverse_events
    named = [terms[i % len(terms)] for i in range(len(events))]
    return replace(cohort, adverse_events=events.assign(term=named))


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        (("HLH",), "HLH"),
        (("ALT increased", "alt increased", "ALT increased"), "ALT increased"),
        (("COVID-19",), "COVID-19"),
        (("Covid-19", "covid-19"), "Covid-19"),
        (("covid-19", "COVID-19", " COVID-19"), "COVID-19"),
        (("pH decreased",), "pH decreased"),
        (("γ-GT increased",), "γ-GT increased"),
    ],
)
def test_a_term_stands_as_it_is_most_often_entered(terms: tuple[str, ...], shown: str) -> None:
    """One row for all spellings that differ in case alone, whatever shows it."""
    cohort = spelled(*terms)
    for table in (report_safety.by_term(cohort), report_safety.grades(cohort)):
        assert {row[0] for row in table.rows} == {shown}
    assert f"The most common event was {shown}:" in report_safety.answer(cohort).plain()
    assert shown in figures.ae_heatmap(cohort).alt
    assert shown in figures.ae_butterfly(cohort).alt
    assert [safety.label(term) for term in safety.most_common(cohort)] == [shown]


def test_a_small_first_letter_becomes_a_capital_in_a_cell() -> None:
    cohort = spelled("rash", "Rash", "rash")
    assert {row[0] for row in report_safety.by_term(cohort).rows} == {"Rash"}
    assert "event was rash:" in report_safety.answer(cohort).plain()


def test_the_names_of_the_glossary_and_of_the_tables_are_one_event() -> None:
    labels = [row[0].removesuffix(", any grade") for row in report_safety.overall(load(DATA)).rows]
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    for code, name in ((safety.CRS, "CRS"), (safety.ICANS, "ICANS")):
        heading = re.search(rf"^{name} \((.+)\)\n  (.+), graded", glossary, re.MULTILINE)
        assert heading is not None
        chinese, english = heading.groups()
        label = next(label for label in labels if f"({name})" in label)
        written = [
            name, name.lower(), chinese, english, label, f"{name} ({chinese})",
            f"{chinese}（{name}）", f"{english} ({name})", english.replace("-", "\u2010"),
        ]  # fmt: skip
        found = safety.normal_term(pd.Series(written, dtype=object))
        assert set(found) == {code}, dict(zip(written, found, strict=True))
    kept = ["Neurotoxicity", "CRS (ICANS)"]
    assert list(safety.normal_term(pd.Series(kept, dtype=object))) == kept
