"""Cohorts for tests: random ones of any size, and the edge cases as fixtures.

Every cohort is written as files and read by :func:`salvage.cohort.load`, so that a test sees what a
hospital would see.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml
from hypothesis import strategies as st

from salvage import words
from salvage.cohort import Cohort, load

CATEGORIES: Final = tuple(words.CATEGORIES)
RESPONSES: Final = tuple(words.RESPONSES)
REQUIRED: Final = {
    "patients": ["patient_id", "relapse_month", "os_month", "died"],
    "salvage": ["patient_id", "line", "category", "start_month", "best_response"],
}


@dataclass(frozen=True)
class Tables:
    """The files of a cohort; without ``adverse_events`` there is no such file."""

    patients: pd.DataFrame
    salvage: pd.DataFrame
    adverse_events: pd.DataFrame | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write the files into ``folder``, which is made, and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.patients.to_csv(folder / "patients.csv", index=False)
        self.salvage.to_csv(folder / "salvage.csv", index=False)
        if self.adverse_events is not None:
            self.adverse_events.to_csv(folder / "adverse_events.csv", index=False)
        settings = yaml.safe_dump(dict(self.settings), allow_unicode=True) if self.settings else ""
        (folder / "study.yaml").write_text(settings, encoding="utf-8")
        return folder

    def cohort(self) -> Cohort:
        """The cohort as the package reads it."""
        with tempfile.TemporaryDirectory() as folder:
            return load(self.write(Path(folder) / "cohort"))


# --- random cohorts -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """What a random cohort is made of; months lie on a grid of ``1 / per_month``."""

    patients: int = 29
    seed: int = 1
    lines: int = 2
    exactly: bool = False  # every patient has ``lines`` lines, else from ``fewest`` up to them
    fewest: int = 1
    per_month: int = 10
    relapse: float = 3.0  # scale of the months to relapse, and from relapse to the end
    survival: float = 3.0
    death: float = 0.9
    response: float = 0.4
    missing: float = 0.1
    categories: Sequence[str] = CATEGORIES
    adverse_events: float = 1.5  # for each line


def generate(recipe: Recipe) -> Tables:
    """A random cohort that passes every check; the same recipe gives the same tables."""
    rng = np.random.default_rng(recipe.seed)
    patients = _patients(rng, recipe)
    salvage = _salvage(rng, recipe, patients)
    return Tables(
        _baseline(rng, recipe, patients), salvage, _adverse(rng, recipe, salvage, patients)
    )


def _months(rng: np.random.Generator, recipe: Recipe, scale: float, n: int) -> np.ndarray:
    return np.floor(rng.exponential(scale, n) * recipe.per_month).astype(int)


def _patients(rng: np.random.Generator, recipe: Recipe) -> pd.DataFrame:
    n = recipe.patients
    relapse = _months(rng, recipe, recipe.relapse, n)
    end = relapse + _months(rng, recipe, recipe.survival, n)
    # Numbers in no order, so that the order of ids is not the order of rows.
    ids = rng.permutation(n) + 1
    return pd.DataFrame(
        {
            "patient_id": np.char.add("P", ids.astype(str)),
            "relapse": relapse,
            "end": end,
            "died": (rng.random(n) < recipe.death).astype(int),
        }
    )


def _baseline(rng: np.random.Generator, recipe: Recipe, patients: pd.DataFrame) -> pd.DataFrame:
    n = recipe.patients
    texts = {
        "histology": ["DLBCL NOS", "tFL", "HGBL", "PMBL"],
        "coo": ["GCB", "non-GCB"],
        "cart_target": ["CD19", "CD19/CD22"],
        "cart_product": ["product A", "product B", "产品 C"],
        "cart_best_response": list(RESPONSES),
        "sex": ["M", "F"],
    }
    numbers = {
        "age": (18, 86),
        "stage": (1, 5),
        "ipi": (0, 6),
        "ecog": (0, 5),
        "ldh_elevated": (0, 2),
        "extranodal_sites": (0, 6),
        "bulky": (0, 2),
        "prior_lines": (1, 7),
        "refractory": (0, 2),
    }
    made: dict[str, Any] = {"patient_id": patients["patient_id"]}
    for name, values in texts.items():
        made[name] = _blank(rng, recipe, rng.choice(np.array(values, dtype=object), n))
    for name, (low, high) in numbers.items():
        made[name] = _blank(rng, recipe, rng.integers(low, high, n).astype(object))
    return pd.DataFrame(
        {
            **made,
            "relapse_month": patients["relapse"] / recipe.per_month,
            "os_month": patients["end"] / recipe.per_month,
            "died": patients["died"],
        }
    )


def _blank(rng: np.random.Generator, recipe: Recipe, values: np.ndarray) -> np.ndarray:
    return np.where(rng.random(len(values)) < recipe.missing, None, values)


def _salvage(rng: np.random.Generator, recipe: Recipe, patients: pd.DataFrame) -> pd.DataFrame:
    n = recipe.patients
    if recipe.exactly:
        sizes = np.full(n, recipe.lines)
    else:
        sizes = rng.integers(recipe.fewest, recipe.lines + 1, n)
        sizes[0] = max(sizes[0], 1)
    owner = np.repeat(np.arange(n), sizes)
    end = patients["end"].to_numpy()[owner]
    start = _between(rng, patients["relapse"].to_numpy()[owner], end)
    order = np.lexsort((start, owner))
    owner, start, end = owner[order], start[order], end[order]
    first = np.concatenate([[0], np.cumsum(sizes)])[owner]
    size = len(owner)
    category = rng.choice(np.array(recipe.categories, dtype=object), size)
    responding = rng.random(size) < recipe.response
    response = np.where(
        responding,
        rng.choice(np.array(["CR", "PR"], dtype=object), size),
        rng.choice(np.array(["SD", "PD", "NE"], dtype=object), size),
    )
    known = responding & (rng.random(size) >= recipe.missing)
    began = _between(rng, start, end)
    ended = _between(rng, began, end)
    over = known & (rng.random(size) >= 0.3)
    reasons = np.array(["progression", "death", "new_treatment", "ongoing"], dtype=object)
    progressed = rng.random(size) < np.where(response == "PD", 1 - recipe.missing, 0.5)

    def cells(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
        return np.where(shown, values / recipe.per_month, np.nan)

    return pd.DataFrame(
        {
            "patient_id": patients["patient_id"].to_numpy()[owner],
            "line": np.arange(size) - first + 1,
            "category": category,
            "regimen": _blank(
                rng, recipe, np.char.add("regimen ", category.astype(str)).astype(object)
            ),
            "target_switched": np.where(
                category == "second_cart", rng.integers(0, 2, size).astype(object), None
            ),
            "start_month": start / recipe.per_month,
            "best_response": response,
            "response_month": cells(began, known),
            "response_end_month": cells(ended, over),
            "response_end_reason": np.where(
                over, _blank(rng, recipe, rng.choice(reasons, size)), None
            ),
            "progression_month": cells(_between(rng, start, end), progressed),
            "end_month": cells(_between(rng, start, end), rng.random(size) >= recipe.missing),
            "intent": np.where(
                category == "radiotherapy",
                _blank(rng, recipe, rng.choice(np.array(list(words.INTENTS), dtype=object), size)),
                None,
            ),
        }
    )


def _between(rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whole numbers from ``low`` to ``high``, both included."""
    return low + np.floor(rng.random(len(low)) * (high - low + 1)).astype(int)


def _adverse(
    rng: np.random.Generator, recipe: Recipe, salvage: pd.DataFrame, patients: pd.DataFrame
) -> pd.DataFrame:
    line = np.repeat(np.arange(len(salvage)), rng.poisson(recipe.adverse_events, len(salvage)))
    size = len(line)
    end = patients.set_index("patient_id")["end"]
    ids = salvage["patient_id"].to_numpy()[line]
    start = np.rint(salvage["start_month"].to_numpy()[line] * recipe.per_month).astype(int)
    terms = np.array(["fever", "Fever", "anaemia", "infection", "neutropenia", "CRS"], dtype=object)
    return pd.DataFrame(
        {
            "patient_id": ids,
            "line": _blank(rng, recipe, salvage["line"].to_numpy()[line].astype(object)),
            "term": rng.choice(terms, size),
            "grade": _blank(rng, recipe, rng.integers(1, 6, size).astype(object)),
            "scale": _blank(
                rng, recipe, rng.choice(np.array(list(words.SCALES), dtype=object), size)
            ),
            "onset_month": _between(rng, start, end.loc[ids].to_numpy()) / recipe.per_month,
        }
    )


@st.composite
def recipes(draw: st.DrawFn, max_patients: int = 60) -> Recipe:
    """Recipes of small cohorts: few or many ties, deaths, responses, lines and missing values."""
    chance = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
    return Recipe(
        patients=draw(st.integers(1, max_patients)),
        seed=draw(st.integers(0, 2**32 - 1)),
        lines=draw(st.integers(1, 5)),
        fewest=draw(st.integers(0, 1)),
        per_month=draw(st.sampled_from([1, 2, 10, 30])),
        relapse=draw(st.sampled_from([0.01, 1.0, 3.0, 12.0])),
        survival=draw(st.sampled_from([0.01, 1.0, 3.0, 12.0])),
        death=draw(chance),
        response=draw(chance),
        missing=draw(st.sampled_from([0.0, 0.1, 0.9, 1.0])),
        categories=draw(st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=6, unique=True)),
        adverse_events=draw(st.sampled_from([0.0, 0.5, 2.0])),
    )


# --- edge cohorts ---------------------------------------------------------------------------------


def _with(tables: Tables, patients: Mapping[str, Any] | None = None, **salvage: Any) -> Tables:
    """The tables with some columns replaced."""
    return replace(
        tables,
        patients=tables.patients.assign(**(patients or {})),
        salvage=tables.salvage.assign(**salvage),
    )


def _moved(tables: Tables, relapse: Any, end: Any) -> Tables:
    """Lines start at relapse; relapse and last contact are replaced; nothing else is timed."""
    patients = tables.patients.assign(relapse_month=relapse, os_month=end)
    start = tables.salvage["patient_id"].map(patients.set_index("patient_id")["relapse_month"])
    timed = ("response_month", "response_end_month", "response_end_reason", "progression_month")
    salvage = tables.salvage.assign(start_month=start, **dict.fromkeys((*timed, "end_month"), None))
    adverse = tables.adverse_events
    if adverse is not None:
        adverse = adverse.assign(onset_month=None)
    return replace(tables, patients=patients, salvage=salvage, adverse_events=adverse)


def _base(**changes: Any) -> Tables:
    return generate(Recipe(**{"patients": 14, "seed": 7, "lines": 3, **changes}))


def one_patient() -> Tables:
    return generate(Recipe(patients=1, seed=3, lines=1, death=1.0, missing=0.0))


def one_patient_alive() -> Tables:
    return generate(Recipe(patients=1, seed=5, lines=2, death=0.0, missing=1.0))


def no_deaths() -> Tables:
    made = _base(death=0.0)
    reason = made.salvage["response_end_reason"].where(
        made.salvage["response_end_reason"] != "death", "progression"
    )
    return _with(made, response_end_reason=reason)


def all_dead_at_once() -> Tables:
    made = _base(death=1.0)
    size = len(made.patients)
    return _moved(made, [2.0, 4.0] * (size // 2), 6.0)


def no_responder() -> Tables:
    return _base(response=0.0)


def all_responders() -> Tables:
    return _with(_base(response=1.0, missing=0.0), best_response="CR")


def a_category_without_events() -> Tables:
    return _base(categories=["second_cart", "polatuzumab"])


def everyone_early() -> Tables:
    made = _base()
    return _moved(made, np.minimum(made.patients["relapse_month"], 3.0), made.patients["os_month"])


def everyone_late() -> Tables:
    made = _base()
    return _moved(made, made.patients["relapse_month"] + 4, made.patients["os_month"] + 4)


def ties_everywhere() -> Tables:
    return _base(patients=20, per_month=1, relapse=2.0, survival=1.5)


def a_separated_group() -> Tables:
    """Every early patient dies before any late one, from infusion and from relapse."""
    made = _base(patients=16, death=1.0)
    late = np.arange(16) % 2 == 1
    step = np.arange(16) / 10
    relapse, after = np.where(late, 5.0, 1.0), np.where(late, 8.0, 1.0)
    moved = _moved(made, relapse, relapse + after + step)
    return _with(moved, {"bulky": late.astype(int), "ecog": np.where(late, 0, 2)})


def no_adverse_events_file() -> Tables:
    return replace(_base(), adverse_events=None)


def only_required_columns() -> Tables:
    made = _base()
    return Tables(made.patients[REQUIRED["patients"]], made.salvage[REQUIRED["salvage"]])


def zero_intervals() -> Tables:
    """Everything happens in the month of infusion."""
    made = _moved(_base(death=1.0), 0.0, 0.0)
    zero = np.where(made.salvage["best_response"].isin(["CR", "PR"]), 0.0, np.nan)
    return _with(made, response_month=zero, progression_month=0.0, end_month=0.0)


def patients_without_salvage() -> Tables:
    return _base(fewest=0, patients=20, seed=11)


def another_hospital() -> Tables:
    """Own labels in Chinese and with markup, its own cut-off."""
    settings = {
        "title": "CAR-T失败后的挽救治疗 <b>*1*</b>",
        "centre": "Hospital | A & B",
        "early_relapse_months": 2.5,
        "labels": {"bispecific": "双特异性抗体 (CD20×CD3)", "other": "*other* <i>drugs</i> | x"},
    }
    return replace(_base(patients=40, seed=13), settings=settings)


def a_synthetic_cohort() -> Tables:
    return replace(_base(patients=25, seed=17), settings={"synthetic": True})


EDGES: Final[dict[str, Callable[[], Tables]]] = {
    made.__name__: made
    for made in (
        one_patient,
        one_patient_alive,
        no_deaths,
        all_dead_at_once,
        no_responder,
        all_responders,
        a_category_without_events,
        everyone_early,
        everyone_late,
        ties_everywhere,
        a_separated_group,
        no_adverse_events_file,
        only_required_columns,
        zero_intervals,
        patients_without_salvage,
        another_hospital,
        a_synthetic_cohort,
    )
}
