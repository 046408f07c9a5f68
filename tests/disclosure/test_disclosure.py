"""Disclosure control: what a public book tells, attacked with all that it prints.

The attacker here knows nothing of how :mod:`salvage.disclosure` works. It reads the tables and
results.json, writes down every sum that must hold, and asks integer programming for the lowest and
the highest value of each count that should be hidden.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from salvage import words
from salvage.analysis import survival
from salvage.cohort import Cohort, load
from salvage.disclosure import estimates, linked_counts, suppression
from salvage.disclosure import release as disclosure
from salvage.disclosure.times import FEWEST_STEPS
from salvage.display import figures, show
from salvage.paths import CHAPTERS, DATA
from salvage.report import gate, public, results
from salvage.report import safety as report_safety
from salvage.stats.intervals import clopper_pearson, wilson
from tests.cohorts import EDGES, Recipe, generate

LEAST_WIDTH = 3
HIDDEN = public.MASKED
COHORTS = {
    "shipped": lambda: load(DATA),
    "small": lambda: generate(Recipe(patients=60, lines=3, seed=2)).cohort(),
    "medium": lambda: generate(Recipe(patients=220, lines=3, seed=9, fewest=0)).cohort(),
    "registry": lambda: generate(
        Recipe(patients=700, lines=3, seed=3, death=0.6, survival=8.0)
    ).cohort(),
}


def as_public(cohort: Cohort, **settings: Any) -> Cohort:
    return replace(
        cohort, study=replace(cohort.study, audience="public", synthetic=False, **settings)
    )


@cache
def made(name: str) -> Cohort:
    return as_public(COHORTS[name]())


def cells(path: Path) -> Iterator[tuple[ast.Module, ast.Expression]]:
    """The code cells of a chapter, each as its statements and its last expression."""
    jupytext = pytest.importorskip("jupytext")
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "code":
            tree = ast.parse(cell.source)
            last = tree.body.pop()
            assert isinstance(last, ast.Expr)
            yield tree, ast.Expression(last.value)


@dataclass(frozen=True)
class Told:
    """What one cell of a chapter shows."""

    chapter: str
    place: int
    shown: show.Shown
    bundle: Mapping[str, Any]

    @property
    def text(self) -> str:
        """All of it as text: plain, Markdown (with alt text), HTML, and the record of a figure."""
        return "\n".join(str(part) for part in self.bundle.values())


def run(cohort: Cohort, stem: str = "*") -> list[Told]:
    """Everything that the chapters show of a cohort, or one of them; pictures are left out."""
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "book_cohort", lambda: cohort)
        patch.setattr(show, "_gates", [gate.gate_of(cohort)])
        patch.setenv(show.PICTURES_VARIABLE, "0")
        for path in sorted(CHAPTERS.glob(f"{stem}.py")):
            space: dict[str, Any] = {}
            for place, (before, last) in enumerate(cells(path)):
                exec(compile(before, path.name, "exec"), space)
                value = eval(compile(last, path.name, "eval"), space)
                assert isinstance(value, show.Shown), f"{path.name}: {value!r} passes no gate"
                told.append(Told(path.stem, place, value, value._repr_mimebundle_()))
                assert value.plain() == told[-1].bundle["text/plain"]
                assert value.markdown() == told[-1].bundle["text/markdown"]
    return told


@cache
def told(name: str) -> list[Told]:
    return run(made(name))


def forms(cohort: Cohort) -> dict[str, show.Shown]:
    """The public forms of tables and boxes, by name; figures take longer and tell the same."""
    shown = {
        k: f(disclosure.release_of(cohort))
        for k, f in public.FORMS.items()
        if not k.startswith("fig-")
    }
    return {k: v for k, v in shown.items() if v is not None}


# --- the attack -----------------------------------------------------------------------------------


class Attack:
    """Unknown numbers of patients and lines, and every equation that a reader can write down."""

    def __init__(self, cohort: Cohort) -> None:
        self.index: dict[tuple[str, ...], int] = {}
        self.equations: list[tuple[np.ndarray, int]] = []
        self.positive: list[np.ndarray] = []
        self.either: list[list[np.ndarray]] = []
        self.rows: dict[str, np.ndarray] = {}
        patients, lines, study = cohort.patients, cohort.salvage, cohort.study
        axes = {
            "p": (("treated", "untreated"), ("late", "early"), ("died", "alive")),
            "l": (tuple(words.CATEGORIES), ("first", "later"), tuple(words.RESPONSES)),
            **{f"b.{c}": (("yes", "no", "missing"),) for c in linked_counts.BASELINE},
            **{
                f"t.{t}": (("severe", "milder", "ungraded", "without"),) for t in self.terms(cohort)
            },
        }
        for block, levels in axes.items():
            for key in product(*levels):
                self.index[(block, *key)] = len(self.index)
        late = patients["relapse_month"] > study.early_relapse_months
        treated = patients["patient_id"].isin(lines["patient_id"])
        self.truth = np.zeros(len(self.index))
        for a, b, c in zip(treated, late, patients["died"], strict=True):
            self._add(
                "p",
                "treated" if a else "untreated",
                "late" if b else "early",
                "died" if c else "alive",
            )
        for a, b, c in lines[["category", "line", "best_response"]].itertuples(index=False):
            self._add("l", a, "first" if b == 1 else "later", c)
        limits = {"stage": 3, "ipi": 3, "ecog": 2}
        for column in linked_counts.BASELINE:
            for value in patients[column]:
                yes = value == "F" if column == "sex" else value >= limits.get(column, 1)
                self._add(f"b.{column}", "missing" if pd.isna(value) else "yes" if yes else "no")
        events = cohort.adverse_events
        names = self.normal(cohort)
        for term in self.terms(cohort):
            mine = events[names == term]
            worst = mine.groupby("patient_id")["grade"].max()
            missing = set(mine.loc[mine["grade"].isna(), "patient_id"])
            for patient in patients.loc[treated, "patient_id"]:
                self._add(
                    f"t.{term}",
                    "without"
                    if patient not in worst.index
                    else "severe"
                    if worst[patient] >= 3
                    else "ungraded"
                    if patient in missing
                    else "milder",
                )
        same = [self.row("p"), *(self.row(b) for b in axes if b[0] == "b")]
        same_treated = [self.row("p", "treated"), self.row("l", None, "first")]
        same_treated += [self.row(b) for b in axes if b[0] == "t"]
        for group in (same, same_treated):
            self.equations += [(group[0] - other, 0) for other in group[1:]]

    @staticmethod
    def normal(cohort: Cohort) -> "pd.Series[str]":
        names = cohort.adverse_events["term"].astype(str).str.strip().str.lower()
        return names.replace({"crs": "cytokine release syndrome"})

    def terms(self, cohort: Cohort) -> list[str]:
        return sorted(set(self.normal(cohort)))

    def _add(self, *key: str) -> None:
        self.truth[self.index[key]] += 1

    def row(self, block: str, *levels: str | tuple[str, ...] | None) -> np.ndarray:
        """Which unknowns a count sums; ``None`` is every level, a tuple is any of several."""
        made = np.zeros(len(self.index))
        for (name, *key), place in self.index.items():
            asked = zip(key, (*levels, *[None] * len(key)), strict=False)
            fits = all(a is None or k == a or (isinstance(a, tuple) and k in a) for k, a in asked)
            if name == block and fits:
                made[place] = 1
        return made

    def counts(self) -> dict[str, np.ndarray]:
        """Every count that the book could show, with the complements of all rates."""
        kinds: dict[str, tuple[str, ...] | None] = {"any": None, "orr": ("CR", "PR")}
        kinds |= {code: (code,) for code in words.RESPONSES}
        kinds |= {
            "no_orr": ("SD", "PD", "NE"),
            "no_CR": ("PR", "SD", "PD", "NE"),
            "no_PR": ("CR", "SD", "PD", "NE"),
        }
        found = {
            f"lines {category} {line} {kind}": self.row("l", category, line, codes)
            for category in (None, *words.CATEGORIES)
            for line in (None, "first", "later")
            for kind, codes in kinds.items()
            if line is None or kind not in ("SD", "PD", "NE")
        }
        for group in (
            (None, None),
            ("treated", None),
            ("untreated", None),
            (None, "late"),
            (None, "early"),
        ):
            for outcome in (None, "died", "alive"):
                found[f"patients {group} {outcome}"] = self.row("p", *group, outcome)
        for block in {name for name, *_ in self.index if "." in name}:
            levels = [key[0] for name, *key in self.index if name == block]
            for level in levels:
                found[f"{block} {level}"] = self.row(block, level)
                others = tuple(other for other in levels if other != level)
                found[f"{block} not {level}"] = self.row(block, others)
        return found

    def learn(self, text: str, row: np.ndarray, zero: bool = False) -> None:
        """Read one printed count: a number is an equation, a hidden one is at least one.

        With ``zero`` a hidden one may be zero too.
        """
        if text == HIDDEN:
            self.positive += [] if zero else [row]
        elif text:
            value = int(text.split(" (")[0].replace(",", ""))
            assert value == row @ self.truth, "the attacker misread a table"
            self.equations.append((row, value))

    def learn_parts(
        self,
        whole: tuple[str, np.ndarray],
        parts: list[tuple[str, np.ndarray]],
        zero: bool = False,
    ) -> bool:
        """Read a row of a whole and its parts, and say whether all of it is hidden.

        The reader knows the rule: in such a row either no part is zero, or all but one are.
        """
        self.learn(*whole, zero=zero)
        hidden = all(text == HIDDEN for text, _ in (whole, *parts))
        for text, row in parts:
            self.learn(text, row, zero=zero or hidden)
        if hidden and not zero:
            self.either.append([row for _, row in parts])
        return hidden

    def rules(self) -> tuple[list[LinearConstraint], Bounds]:
        """All that is known, with 0/1 unknowns for each row that is hidden as a whole."""
        n = len(self.index)
        # A ceiling keeps a count bounded of which nothing at all is known.
        top = float(self.truth.sum()) + 100
        known: list[tuple[np.ndarray, float, float]] = [(r, v, v) for r, v in self.equations]
        known += [(r, 1, np.inf) for r in self.positive]
        width = n + sum(len(parts) + 1 for parts in self.either)
        wide = [(np.pad(r, (0, width - n)), low, high) for r, low, high in known]
        start = n
        for parts in self.either:
            several, some = start, np.arange(start + 1, start + 1 + len(parts))
            for place, part in zip(some, parts, strict=True):
                none_zero, counted = np.zeros(width), np.zeros(width)
                none_zero[:n], none_zero[several] = part, -1
                counted[:n], counted[place] = part, -top
                wide += [(none_zero, 0, np.inf), (counted, -np.inf, 0)]
            one = np.zeros(width)
            one[some], one[several] = 1, 1 - len(parts)
            wide.append((one, -np.inf, 1))
            start += len(parts) + 1
        rows, low, high = zip(*wide, strict=True)
        ends = np.where(np.arange(width) < n, top, 1)
        return [LinearConstraint(np.array(rows), low, high)], Bounds(0, ends)

    def range(self, row: np.ndarray) -> tuple[int, int]:
        """The lowest and the highest value that agree with all that is known."""
        rules, bounds = self.rules()
        goal = np.pad(row, (0, len(bounds.ub) - len(row)))
        ends = []
        for sign in (1, -1):
            found = milp(
                sign * goal, integrality=np.ones(len(goal)), bounds=bounds, constraints=rules
            )
            assert found.x is not None, "the equations contradict each other"
            ends.append(round(float(goal @ np.rint(found.x))))
        return ends[0], ends[1]


def read_tables(attack: Attack, shown: Mapping[str, show.Shown]) -> None:
    """All counts in the tables of a public book."""
    keys = {label: key for key, label in words.CATEGORIES.items()} | {"All categories": None}
    table = {name: made.rows for name, made in shown.items() if isinstance(made, show.Table)}
    for name, kinds in (
        ("tab-overview-responses", [(None, code) for code in words.RESPONSES]),
        ("tab-overview-lines", [("first",), ("later",)]),
    ):
        gone = []
        for label, whole, *numbers in table[name]:
            parts = [attack.row("l", keys[label], *kind) for kind in kinds]
            # The total of hidden zeros may be one.
            zero = keys[label] is None and any(gone)
            all_lines = (whole, attack.row("l", keys[label]))
            gone += [attack.learn_parts(all_lines, list(zip(numbers, parts, strict=True)), zero)]
    places = {"All lines": None, "First salvage line": "first", "Later lines": "later"}
    codes = {"ORR": ("CR", "PR"), "CR": ("CR",)}
    for key in words.CATEGORIES:
        for label, pair, *_ in table.get(f"tab-{key.replace('_', '-')}-rates", ()):
            line, measure = label.split(": ")
            if pair != HIDDEN:
                events, n = pair.split(" / ")
                attack.learn(events, attack.row("l", key, places[line], codes[measure]))
                attack.learn(n, attack.row("l", key, places[line]))
    groups = {
        "All patients": (None, None),
        "With salvage therapy": ("treated", None),
        "Without salvage therapy": ("untreated", None),
        words.RELAPSE_GROUPS["early"]: (None, "early"),
        words.RELAPSE_GROUPS["late"]: (None, "late"),
    }
    for label, n, died in reversed(table["tab-cohort-relapse"]):
        attack.learn(n, attack.row("p", *groups[label]))
        # Of a hidden group none or all may have died, and so of all patients.
        zero = HIDDEN in {row[1] for row in table["tab-cohort-relapse"]}
        attack.learn(died, attack.row("p", *groups[label], "died"), zero=zero)
    columns = {label: column for column, label in linked_counts.BASELINE.items()}
    for label, *numbers in table["tab-cohort-baseline"]:
        # Where all three are hidden, all who have a record may have the finding, or none of them.
        zero = set(numbers) == {HIDDEN}
        for text, level in zip(numbers, ("yes", "no", "missing"), strict=True):
            maybe = zero and level != "missing"
            attack.learn(text, attack.row(f"b.{columns[label]}", level), zero=maybe)
    for label, affected, severe in table.get("tab-safety-terms", ()):
        block = f"t.{label.lower()}"
        attack.learn(affected, attack.row(block, ("severe", "milder", "ungraded")))
        severe, _, graded = severe.partition(" of ")
        if severe == "–":
            attack.equations.append((attack.row(block, ("severe", "milder")), 0))
            continue
        attack.learn(severe, attack.row(block, "severe"))
        if severe != HIDDEN:
            # Without a number of its own the denominator is all treated patients, or hidden.
            known = attack.row(block, ("severe", "milder", "without"))
            attack.learn(graded, known)
            if "(" in severe and not graded:
                attack.equations.append((attack.row(block, "ungraded"), 0))


def read_results(attack: Attack, cohort: Cohort) -> None:
    """All counts in results.json."""
    record = {r["id"]: r for r in json.loads(results.to_json(results.collect(cohort)))}
    plain = {
        "n.patients": attack.row("p"),
        "n.treated": attack.row("p", "treated"),
        "n.untreated": attack.row("p", "untreated"),
        "n.events": attack.row("l"),
        "deaths": attack.row("p", None, None, "died"),
        "n.late": attack.row("p", None, "late"),
    }
    for id, row in plain.items():
        if record[id]["value"] is not None:
            attack.learn(f"{record[id]['value']:.0f}", row)
    for id, r in record.items():
        if not id.startswith(("orr.", "cr.", "pr.")) or r["n"] is None:
            continue
        measure, *middle, category = id.split(".")
        line = {(): None, ("first_line",): "first", ("later_line",): "later"}[tuple(middle)]
        category_ = None if category == "all" else category
        codes = {"orr": ("CR", "PR"), "cr": "CR", "pr": "PR"}[measure]
        attack.learn(str(r["n"]), attack.row("l", category_, line))
        attack.learn(str(r["events"]), attack.row("l", category_, line, codes))


@pytest.mark.parametrize(
    ("name", "below", "with_zero"),
    [
        ("shipped", 5, False),
        ("small", 5, False),
        ("medium", 10, False),
        ("registry", 30, False),
        pytest.param("shipped", 10, False, marks=pytest.mark.slow),
        pytest.param("small", 5, True, marks=pytest.mark.slow),
        pytest.param("medium", 5, False, marks=pytest.mark.slow),
    ],
)
def test_no_hidden_count_can_be_solved(name: str, below: int, with_zero: bool) -> None:
    """Nothing printed narrows a small count, or its complement, to fewer than four values."""
    cohort = as_public(COHORTS[name](), suppress_below=below, suppress_zero=with_zero)
    attack = Attack(cohort)
    read_tables(attack, forms(cohort))
    if with_zero:
        # A hidden count may be zero then.
        attack.positive.clear()
        attack.either.clear()
    read_results(attack, cohort)
    small = {
        label: row
        for label, row in attack.counts().items()
        if (0 if with_zero else 1) <= row @ attack.truth < below
    }
    assert small, "the cohort has nothing to hide"
    for label, row in small.items():
        low, high = attack.range(row)
        assert low <= row @ attack.truth <= high
        assert high - low >= LEAST_WIDTH, f"{label} is {low} to {high}"
        assert high >= below - 1, f"{label} is at most {high}"


def test_the_attack_finds_a_count_that_is_not_protected() -> None:
    """The same attack, with primary suppression only, works counts back."""
    cohort = as_public(COHORTS["medium"](), suppress_below=10)
    system = linked_counts.linked_counts(cohort, [])
    counts = {
        name: None if 1 <= value < 10 else int(value)
        for name, value in zip(system.names, system.totals, strict=True)
    }
    release = disclosure.Release(cohort.study, counts, {}, [])
    careless = {
        k: f(release) for k, f in public.FORMS.items() if k.startswith("tab-") and f(release)
    }
    attack = Attack(cohort)
    read_tables(attack, careless)
    small = [r for r in attack.counts().values() if 1 <= r @ attack.truth < 10]
    assert any(high - low < LEAST_WIDTH for low, high in map(attack.range, small))


CODES = tuple(words.RESPONSES)


def all_complete(lines: int, codes: tuple[str, ...] = CODES, key: str = "checkpoint") -> Cohort:
    """A public cohort in which so few first lines of a category were all complete responses.

    No line has another response than ``codes``.
    """
    tables = generate(Recipe(patients=220, lines=2, seed=9, fewest=0))
    rows = tables.salvage
    few = rows.index[rows["line"].astype(int) == 1][:lines]
    category = rows["category"].replace(key, "other").mask(rows.index.isin(few), key)
    best = rows["best_response"].where(rows["best_response"].isin(codes), "PR")
    best = best.mask(rows.index.isin(few), "CR")
    changed = rows.assign(category=category, best_response=best, response_month=None)
    return as_public(replace(tables, salvage=changed).cohort())


@pytest.mark.parametrize("codes", [CODES, ("CR", "PR", "SD", "PD"), ("CR", "PR")])
@pytest.mark.parametrize("lines", [1, 2, 4])
def test_zeros_do_not_tell_what_a_hidden_group_is(lines: int, codes: tuple[str, ...]) -> None:
    """Where all the few lines of a category were CR, and first lines, a reader learns neither."""
    cohort = all_complete(lines, codes)
    mine = cohort.category("checkpoint")
    assert len(mine) == lines
    assert set(mine["best_response"]) == {"CR"}
    shown = forms(cohort)
    for name in ("tab-overview-responses", "tab-overview-lines"):
        row = next(r for r in shown[name].rows if r[0] == words.CATEGORIES["checkpoint"])
        assert set(row[1:]) == {HIDDEN}, name
    attack = Attack(cohort)
    read_tables(attack, shown)
    read_results(attack, cohort)
    for code in CODES[1:]:
        assert attack.range(attack.row("l", "checkpoint", None, code))[1] >= 1, code
    assert attack.range(attack.row("l", "checkpoint", "later"))[1] >= 1
    # Not even what the lines of the category have in common: several responses may be there.
    attack.positive += [attack.row("l", "checkpoint", None, code) for code in CODES]
    assert attack.range(attack.row("l", "checkpoint"))[1] >= len(CODES)


def test_a_group_that_is_large_enough_keeps_its_zeros() -> None:
    shown = forms(all_complete(8))["tab-overview-responses"]
    row = next(r for r in shown.rows if r[0] == words.CATEGORIES["checkpoint"])
    assert row[1:] == ("8", "8", "0", "0", "0", "0")


def test_zeros_of_a_row_are_hidden_with_the_totals_that_tell_them() -> None:
    """Two groups by two answers: 3 of 3 said yes, and 9 of 20. The one total of no is 11."""
    atoms = np.array([3, 0, 9, 11])
    names = ["few", "few.yes", "few.no", "many", "many.yes", "many.no", "all", "yes", "no"]
    cells = ("1100", "1000", "0100", "0011", "0010", "0001", "1111", "1010", "0101")
    sums = np.array([[float(cell) for cell in row] for row in cells])
    rows = [(0, (1, 2)), (3, (4, 5)), (6, (7, 8))]
    counts = suppression.LinkedCounts(names, atoms, sums, np.zeros((0, 4)), np.ones(9), rows)
    hidden = {n for n, h in zip(names, suppression.protect(counts, 5), strict=True) if h}
    assert {"few", "few.yes", "few.no"} <= hidden
    assert hidden & {"many.no", "no"}, "11 of no, of which many are 11"
    plain = replace(counts, rows=())
    assert not suppression.protect(plain, 5)[names.index("few.no")]


# --- intervals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(COHORTS))
def test_no_printed_interval_can_be_turned_into_a_hidden_count(name: str) -> None:
    """Every interval of a rate is that of the two counts beside it; Wilson's is not shown."""
    cohort = made(name)
    small = set(range(1, cohort.study.suppress_below))
    for r in json.loads(results.to_json(results.collect(cohort))):
        if r["id"].startswith(estimates.ABOUT_NO_COHORT):
            continue
        if r["unit"] == "proportion" and r["low"] is not None:
            assert not {r["n"], r["events"], r["n"] - r["events"]} & small, r["id"]
            assert (r["low"], r["high"]) == clopper_pearson(r["events"], r["n"]), r["id"]
            assert not r["id"].endswith(".wilson")
        if r["n"] is None and r["events"] is None and r["unit"] != "count":
            assert r["value"] is r["low"] is r["high"] is r["p"] is None, r["id"]
    pairs = [
        (events, n)
        for n in range(1, 80)
        for events in range(n + 1)
        if {events, n - events, n} & small
    ]
    forbidden = {
        f"{100 * a:.1f} to {100 * b:.1f}" for a, b in (clopper_pearson(e, n) for e, n in pairs)
    }
    forbidden |= {
        f"{100 * a:.1f} to {100 * b:.1f}" for a, b in (wilson(e / n, n) for e, n in pairs)
    }
    for key, shown in forms(cohort).items():
        if not isinstance(shown, show.Table) or not re.search("rates|compared", key):
            continue
        for label, pair, _, interval in shown.rows:
            if pair == HIDDEN or pair == "0 / 0":
                assert interval in (HIDDEN, "–")
                continue
            events, n = (int(part.replace(",", "")) for part in pair.split(" / "))
            low, high = clopper_pearson(events, n)
            assert interval == f"{100 * low:.1f} to {100 * high:.1f}", (key, label)
            assert interval not in forbidden, (key, label)


# --- the gate -------------------------------------------------------------------------------------


@pytest.fixture
def no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a session that has not opened the book: no gate stands."""
    monkeypatch.setattr(show, "_gates", [])


@pytest.mark.usefixtures("no_gate")
def test_a_public_cohort_loaded_by_hand_shows_nothing_that_was_not_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the environment nor the cohort of the book has a say; see each kind of thing."""
    import myst_nb

    monkeypatch.delenv("SALVAGE_COHORT", raising=False)
    shutil.copytree(DATA, tmp_path / "data")
    (tmp_path / "data" / "study.yaml").write_text("audience: public\n", encoding="utf-8")
    cohort = load(tmp_path / "data")
    glued: dict[str, object] = {}
    monkeypatch.setattr(myst_nb, "glue", lambda key, value, display: glued.update({key: value}))
    show.glue(cohort.study, {"patients": f"{len(cohort.patients)} patients"})
    by_kind = {
        "table": report_safety.overall(cohort),
        "table with a public form": report_safety.by_term(cohort),
        "figure": figures.swimmer_plot(cohort),
        "figure with a public form": figures.overview(cohort),
        "sentence": report_safety.grading(cohort),
        "box": report_safety.answer(cohort),
    }
    for kind, shown in by_kind.items():
        bundle = shown._repr_mimebundle_()
        assert set(bundle) == {"text/plain", "text/markdown"}, kind
        assert bundle["text/plain"] == show.withheld(cohort.study).plain(), kind
    assert glued == {"patients": show.withheld(cohort.study).plain()}
    exported = {e.id: e for e in results.collect(cohort)}
    assert exported["os.at.3"].value is None
    assert exported["ae.any.patients"].n is None


@pytest.mark.usefixtures("no_gate")
def test_what_is_not_cleared_is_hidden() -> None:
    from matplotlib.figure import Figure as Picture

    secret, study = "four of 17", made("registry").study
    uncleared = (
        show.text(study, secret),
        show.answer(study, secret),
        show.Box(study, secret, "method", (secret,)),
        show.Absent(study, secret),
        show.Cover(study, secret, ((secret, secret),)),
        show.Table(study, "tab-secret", secret, (secret,), [(secret,)], (secret,)),
        show.Figure(study, "fig-secret", Picture(), secret, secret),
    )
    for shown in uncleared:
        everything = shown.plain() + shown.markdown() + str(shown._repr_mimebundle_())
        assert secret not in everything
        assert "hidden" in everything
        assert "a count from 1 to 4" in everything
        assert "image/svg+xml" not in shown._repr_mimebundle_()
        # Nor what there was to hide: a table, a figure or the sentence that there is none.
        assert shown.markdown() == uncleared[0].markdown()
    with pytest.raises(ValueError, match="hidden in a public book"):
        uncleared[-1].svg()  # type: ignore[attr-defined]
    assert secret in show.text(show.CLEARED, secret).plain()


def test_a_gate_cannot_let_through_what_is_not_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the public form of one cohort stand in for a thing of another."""
    secret, study = "four of 17", made("registry").study
    monkeypatch.setattr(show, "_gates", [lambda shown: shown])
    assert secret not in show.text(study, secret).plain()
    let_through = gate.gate_of(made("registry"))
    table = show.Table(made("small").study, "tab-overview-lines", "", ("a",), [("b",)])
    assert let_through(table) is None
    assert let_through(replace(table, study=study)) is not None


def nobody_received(key: str, with_zero: bool) -> tuple[Cohort, Cohort]:
    """A public cohort in which nobody received a category, and one with two lines of it."""
    recipe = Recipe(patients=220, lines=2, seed=9, fewest=0)
    without, few = generate(recipe), generate(recipe)
    without.salvage["category"] = without.salvage["category"].replace(key, "other")
    few.salvage["category"] = without.salvage["category"].copy()
    few.salvage.loc[few.salvage.index[:2], "category"] = key
    first, second = (
        as_public(tables.cohort(), suppress_zero=with_zero) for tables in (without, few)
    )
    assert first.category(key).empty
    assert len(second.category(key)) == 2
    return first, second


def chapter(cohort: Cohort, stem: str) -> list[str]:
    return [one.text for one in run(cohort, stem)]


def test_a_hidden_zero_looks_like_a_hidden_count() -> None:
    """With zero masked, the chapter of a category that nobody received says no more than another's.

    It must not be told by what is there: an empty chapter has other tables, or none.
    """
    without, few = nobody_received("checkpoint", with_zero=True)
    assert chapter(without, "07_checkpoint") == chapter(few, "07_checkpoint")


def test_a_category_that_nobody_received_is_said_in_one_sentence() -> None:
    without, few = nobody_received("checkpoint", with_zero=False)
    sentence = "No patient of this cohort received"
    answer, *others = chapter(without, "07_checkpoint")
    assert sentence in answer
    assert show.HIDDEN_HERE not in answer
    assert any(sentence in text for text in others)
    assert not any(sentence in text for text in chapter(few, "07_checkpoint"))


def test_glue_passes_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    import myst_nb

    kept: dict[str, object] = {}
    monkeypatch.setattr(myst_nb, "glue", lambda key, value, display: kept.update({key: value}))
    show.glue(made("registry").study, {"a": "4 patients"})
    show.glue(show.CLEARED, {"b": "4 studies"})
    assert "4 patients" not in str(kept["a"])
    assert kept["b"] == "4 studies"


@pytest.mark.parametrize("name", ["shipped", "registry"])
def test_every_output_of_every_chapter(name: str) -> None:
    """Each is the sentence, a public form, or cleared; none holds an id or a small count."""
    cohort = made(name)
    small = {str(n) for n in range(1, cohort.study.suppress_below)}
    ids = re.compile(
        r"(?<!\w)(" + "|".join(map(re.escape, cohort.patients["patient_id"])) + r")(?!\w)"
    )
    gone = show.why_withheld(cohort.study)
    for one in told(name):
        where = f"{one.chapter}, cell {one.place}"
        assert not ids.search(one.text), where
        if one.shown.study == show.CLEARED:
            continue
        key = getattr(one.shown, "name", "")
        hidden = show.HIDDEN_HERE in one.text and gone in one.text
        assert hidden or key in public.FORMS, where
        if hidden or not isinstance(one.shown, show.Table):
            continue
        released = public.FORMS[key](disclosure.release_of(cohort))
        assert isinstance(released, show.Table)
        for row in released.rows:
            for cell in row[1:]:
                counts = re.findall(r"^[\d,]+(?= |$)(?! to)", cell) if "." not in cell else []
                assert not set(counts) & small, (where, row)
    assert not any("fig-swimmer" in one.text for one in told(name))


def test_what_is_cleared_is_the_same_for_every_cohort() -> None:
    """A mark ``cleared`` in the book stands on what no cohort changes, or on released rates."""
    own = ("fig-context-", "tab-context-own")
    pairs = zip(told("shipped"), told("registry"), strict=True)
    compared = 0
    for first, second in pairs:
        name = getattr(first.shown, "name", "")
        if (
            first.shown.study != show.CLEARED
            or first.chapter == "00_summary"
            or name.startswith(own)
        ):
            continue
        if isinstance(first.shown, show.Text) and "settings of the study" in first.text:
            continue
        compared += 1
        assert first.text == second.text, (first.chapter, first.place)
    assert compared > 20


def test_a_large_registry_keeps_its_results() -> None:
    """Nothing is small there, so rates, curves, medians and ratios are shown."""
    cohort = made("registry")
    assert all(value is not None for value in disclosure.release_of(cohort).counts.values())
    found = {e.id: e for e in results.collect(cohort)}
    for id in (
        "orr.all",
        "cr.first_line.bispecific",
        "os.median",
        "cox.late_vs_early.hr",
        "ae.fever.patients",
    ):
        assert found[id].value is not None, id
    exact = {
        e.id: e
        for e in results.collect(replace(cohort, study=replace(cohort.study, audience="internal")))
    }
    assert found["orr.all"] == exact["orr.all"]
    # Times are moved to the end of an interval of a month or more, so a median can only grow.
    assert 0 <= found["os.median"].value - exact["os.median"].value <= 6
    assert (
        abs(np.log(found["cox.late_vs_early.hr"].value / exact["cox.late_vs_early.hr"].value)) < 0.1
    )
    names = {
        getattr(o.shown, "name", "") for o in told("registry") if show.HIDDEN_HERE not in o.text
    }
    assert {"fig-os-infusion", "fig-os-relapse", "fig-forest-orr", "tab-safety-terms"} <= names


def test_ids_of_results_do_not_depend_on_the_cohort() -> None:
    first, *others = ([e.id for e in results.collect(made(name))] for name in COHORTS)
    assert all(ids == first for ids in others)


def test_what_is_not_released_changes_nothing() -> None:
    """Other ids, ages, regimens, products and days within a month give the same public book."""
    tables = generate(Recipe(patients=220, lines=3, seed=9, fewest=0))
    rename = {p: f"Q{9999 - i}" for i, p in enumerate(tables.patients["patient_id"])}
    assert tables.adverse_events is not None
    other = replace(
        tables,
        patients=tables.patients.assign(
            patient_id=tables.patients["patient_id"].map(rename),
            age=18,
            cart_product="X",
            prior_lines=9,
        ),
        salvage=tables.salvage.assign(
            patient_id=tables.salvage["patient_id"].map(rename),
            regimen="<script>",
            intent=None,
            target_switched=None,
        ),
        adverse_events=tables.adverse_events.assign(
            patient_id=tables.adverse_events["patient_id"].map(rename)
        ),
    )
    first, second = (as_public(one.cohort()) for one in (tables, other))
    assert results.to_json(results.collect(first)) == results.to_json(results.collect(second))
    for name, form in forms(first).items():
        assert form._markdown() == forms(second)[name]._markdown(), name


def released(cohort: Cohort, **counts: int | None) -> disclosure.Release:
    """A release with only these counts, and two underscores for each stop of a name."""
    named = {name.replace("__", "."): value for name, value in counts.items()}
    return disclosure.Release(cohort.study, named, {}, [])


def test_a_short_answer_names_a_count_after_its_number() -> None:
    cohort = made("shipped")
    for counts, said in (
        ({"patients__died": 7}, "7 deaths are recorded."),
        ({"patients__died": 1}, "1 death is recorded."),
        ({"patients__died": 7, "patients__late": 9}, "9 patients with late relapse and 7 deaths "),
        ({"patients__late": 1}, "1 patient with late relapse is recorded."),
    ):
        told = public.answer(released(cohort, **counts), "cohort").paragraphs
        assert told[0].startswith(said)
    rates = {"lines__all__all__any": 20, "lines__all__all__orr": 9, "lines__all__all__no_orr": 11}
    told = public.answer(released(cohort, **rates), "overview").paragraphs
    assert told[0].startswith("20 salvage lines are recorded. Objective response rate 45.0% (9/20;")


def test_rows_without_lines_do_not_keep_a_table_that_is_hidden() -> None:
    cohort = made("shipped")
    later = {f"lines__checkpoint__later__{kind}": 0 for kind in linked_counts.KINDS}
    assert public.category_rates(released(cohort, **later), "checkpoint") is None
    first = dict.fromkeys((f"lines__checkpoint__first__{kind}" for kind in linked_counts.KINDS), 9)
    shown = public.category_rates(released(cohort, **later, **first), "checkpoint")
    assert isinstance(shown, show.Table)
    assert [row[1] for row in shown.rows] == [HIDDEN] * 2 + ["9 / 9"] * 2 + ["0 / 0"] * 2


# --- curves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", [5, 10])
@pytest.mark.parametrize("name", ["medium", "registry"])
def test_every_step_of_a_curve_holds_enough_deaths_and_censorings(name: str, below: int) -> None:
    cohort = as_public(COHORTS[name](), suppress_below=below)
    late = cohort.late.to_numpy()
    exact = {"os": survival.from_infusion(cohort), "os.from_relapse": survival.from_relapse(cohort)}
    rows = {"all": np.ones_like(late), "early": ~late, "late": late}
    small = set(range(1, below))
    totals: dict[tuple[str, str, bool], dict[float, int]] = {}
    assert bool(disclosure.release_of(cohort).times) == (name == "registry")
    for origin, groups in disclosure.release_of(cohort).times.items():
        ends = sorted({t for times in groups.values() for t in times.time})
        assert len(ends) >= FEWEST_STEPS
        for group, times in groups.items():
            true = exact[origin]
            for event in (True, False):
                shown = np.array([(times.time[times.event == event] <= e).sum() for e in ends])
                mine = true.time[rows[group] & (true.event == event)]
                assert list(shown) == [(mine <= end).sum() for end in ends], (origin, group)
                assert not set(np.diff(shown, prepend=0)) & small, (origin, group)
                totals[origin, group, event] = dict(zip(ends, map(int, shown), strict=True))
    # Who died within some months of infusion died within as many of relapse.
    for (origin, group, event), inner in totals.items():
        for (other, same, kind), outer in totals.items():
            if (origin, other) == ("os", "os.from_relapse") and (group, event) == (same, kind):
                apart = {b - a for t, a in inner.items() for s, b in outer.items() if s >= t}
                assert not apart & small, group


def test_curves_tell_no_patient_and_no_exact_time() -> None:
    for groups in disclosure.release_of(made("registry")).times.values():
        for times in groups.values():
            assert (times.time == np.floor(times.time)).all()
            assert list(times.patient) == [str(i + 1) for i in range(times.n)]


# --- suppression ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_protect_leaves_every_hidden_cell_open(seed: int) -> None:
    """A random two-way table with its margins, attacked with integer programming."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 14, (3, 4)) * (rng.random((3, 4)) < 0.9)
    every = [np.ones((3, 4), dtype=bool)]
    every += [np.arange(3)[:, None] == i for i in range(3)] + [
        np.arange(4)[None] == j for j in range(4)
    ]
    sums = np.array(
        [np.broadcast_to(m, (3, 4)).ravel() for m in every] + list(np.eye(12)), dtype=float
    )
    counts = suppression.LinkedCounts(
        [str(i) for i in range(len(sums))],
        table.ravel(),
        sums,
        np.zeros((0, 12)),
        np.ones(len(sums)),
    )
    below = int(rng.choice([3, 5, 8]))
    hidden = suppression.protect(counts, below)
    assert hidden[(counts.totals > 0) & (counts.totals < below)].all()
    assert not hidden[counts.totals == 0].any()
    shown = LinearConstraint(sums[~hidden], counts.totals[~hidden], counts.totals[~hidden])
    not_zero = LinearConstraint(sums[counts.totals > 0], 1, np.inf)
    for cell in np.flatnonzero(hidden):
        ends = [
            milp(
                s * sums[cell],
                integrality=np.ones(12),
                bounds=Bounds(0, 500),
                constraints=[shown, not_zero],
            )
            for s in (1, -1)
        ]
        low, high = (round(float(sums[cell] @ end.x)) for end in ends)
        assert high - low >= LEAST_WIDTH, (cell, low, high)


def test_nothing_is_hidden_where_nothing_is_small() -> None:
    counts = suppression.LinkedCounts(["a"], np.array([7]), np.eye(1), np.zeros((0, 1)), np.ones(1))
    assert not suppression.protect(counts, 5).any()
    assert suppression.protect(counts, 8).all()


# --- edges and the internal book ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("edge", sorted(EDGES))
def test_edge_cohorts_are_screened(edge: str) -> None:
    cohort = as_public(EDGES[edge]().cohort())
    small = set(range(1, cohort.study.suppress_below))
    assert not small & {v for v in disclosure.release_of(cohort).counts.values() if v is not None}
    for e in results.collect(cohort):
        if not e.id.startswith(estimates.ABOUT_NO_COHORT):
            assert not {e.n, e.events} & small, e.id
    assert forms(cohort)
    if len(cohort.patients) < cohort.study.suppress_below:
        assert all(value is None for value in disclosure.release_of(cohort).counts.values())


def test_an_internal_book_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disclosure control is not even asked: the same objects, the same bytes."""

    def never(*_: object) -> None:
        raise AssertionError("an internal book was screened")

    monkeypatch.setattr(estimates, "release_of", never)
    monkeypatch.setattr(gate, "release_of", never)
    monkeypatch.setattr(show, "withheld", never)
    monkeypatch.setenv(show.PICTURES_VARIABLE, "0")
    internal = load(DATA)
    assert not internal.study.public
    for one in run(internal):
        assert dict(one.bundle) == one.shown._bundle()
    found = list(results.headline(internal).values())
    assert results.collect(internal)[: len(found)] == found
    assert all(
        kept is e for kept, e in zip(estimates.screened(internal, found), found, strict=True)
    )
