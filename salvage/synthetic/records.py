"""Records around the lines of the shipped cohort: baseline, course of each line, adverse events.

Nothing here touches a published figure except that fever must be the most common adverse event.
Times are whole tenths of a month until a row is made; rows hold months.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from salvage.cohort.schema import POOR_ECOG, RESPONSE
from salvage.synthetic.lines import NoHistory, SalvageLine
from salvage.synthetic.times import Bools, Ints

Row = dict[str, Any]

HISTOLOGIES: Final = {"DLBCL NOS": 0.68, "HGBL": 0.12, "tFL": 0.12, "PMBCL": 0.08}
PRODUCTS: Final = (
    ("axicabtagene ciloleucel", "CD19", 0.38),
    ("relmacabtagene autoleucel", "CD19", 0.34),
    ("CD19/CD22 CAR-T (trial)", "CD19/CD22", 0.16),
    ("CD20 CAR-T (trial)", "CD20", 0.12),
)
SWITCH_TARGETS: Final = {
    "CD19": ("CD20", "CD22"),
    "CD19/CD22": ("CD20",),
    "CD20": ("CD19", "CD19/CD22"),
}
REGIMENS: Final = {
    "bispecific": ("glofitamab", "epcoritamab", "mosunetuzumab"),
    "radiotherapy": ("involved-site radiotherapy",),
    "polatuzumab": ("Pola-BR", "Pola-R", "Pola-R-GemOx"),
    "checkpoint": ("tislelizumab", "sintilimab", "camrelizumab"),
    "other": (
        "orelabrutinib + rituximab",
        "zanubrutinib + lenalidomide",
        "lenalidomide + rituximab",
        "selinexor",
        "R-GemOx",
        "R-ICE",
    ),
}

# Chance that a line has the event, by category of salvage; categories not named have the first.
TERMS: Final[Mapping[str, tuple[float, Mapping[str, float]]]] = {
    "fever": (0.34, {"radiotherapy": 0.10, "polatuzumab": 0.45}),
    "neutropenia": (0.18, {"radiotherapy": 0.0, "checkpoint": 0.05, "polatuzumab": 0.35}),
    "anaemia": (0.16, {"radiotherapy": 0.05}),
    "thrombocytopenia": (0.16, {"radiotherapy": 0.05}),
    "infection": (0.16, {"radiotherapy": 0.05}),
    "fatigue": (0.14, {}),
    "nausea": (0.08, {"polatuzumab": 0.2, "other": 0.2}),
    "cytokine release syndrome": (0.0, {"bispecific": 0.40, "second_cart": 0.55}),
    "ICANS": (0.0, {"bispecific": 0.05, "second_cart": 0.20}),
    "peripheral neuropathy": (0.0, {"polatuzumab": 0.30}),
    "radiation dermatitis": (0.0, {"radiotherapy": 0.35}),
    "hypothyroidism": (0.0, {"checkpoint": 0.25}),
    "rash": (0.03, {"checkpoint": 0.25}),
}
ASTCT_TERMS: Final = frozenset({"cytokine release syndrome", "ICANS"})
GRADES: Final[Mapping[str, tuple[float, ...]]] = {
    "fever": (0.55, 0.38, 0.07, 0.0),
    "neutropenia": (0.05, 0.20, 0.40, 0.35),
    "anaemia": (0.25, 0.40, 0.35, 0.0),
    "thrombocytopenia": (0.20, 0.25, 0.30, 0.25),
    "infection": (0.0, 0.45, 0.45, 0.10),
    "cytokine release syndrome": (0.65, 0.30, 0.05, 0.0),
    "ICANS": (0.60, 0.25, 0.15, 0.0),
}
MILD: Final = (0.60, 0.35, 0.05, 0.0)
EARLIEST: Final = {"peripheral neuropathy": 10, "hypothyroidism": 10, "radiation dermatitis": 2}
"""Tenths of a month of treatment that an event takes to appear; others may appear at once."""


def patient_id(number: int) -> str:
    """``P01`` for patient 0."""
    return f"P{number + 1:02d}"


def _choose(rng: np.random.Generator, chances: Mapping[str, float]) -> str:
    share = np.array(list(chances.values()))
    return str(rng.choice(list(chances), p=share / share.sum()))


def _first_response(rng: np.random.Generator, relapse: int) -> str:
    """Best response to the first CAR-T that its relapse month (in tenths) leaves room for.

    Response is assessed from month 1: who progresses by then had no response. Progressive disease
    as best response shows at the first two assessments, by 1.5 months.
    """
    if relapse <= 10:
        return _choose(rng, {"PD": 0.8, "SD": 0.2})
    if relapse <= 15:
        return _choose(rng, {"PD": 0.5, "SD": 0.2, "PR": 0.3})
    if relapse <= 40:
        return _choose(rng, {"SD": 0.15, "PR": 0.5, "CR": 0.35})
    return _choose(rng, {"PR": 0.35, "CR": 0.65})


def baseline(rng: np.random.Generator, relapse: Ints) -> list[Row]:
    """One row per patient, without relapse and survival: values before the first CAR-T infusion.

    Drawn without regard to survival. Stage, extranodal sites and IPI fit one another; cell of
    origin is given for DLBCL only. A few values are missing, as they would be.
    """
    rows = [_baseline_row(rng, k, int(month)) for k, month in enumerate(relapse)]
    dlbcl = [k for k, row in enumerate(rows) if row["coo"] is not None]
    for k in rng.choice(dlbcl, 3, replace=False):
        rows[int(k)]["coo"] = None
    for k in rng.choice(len(rows), 2, replace=False):
        rows[int(k)]["ldh_elevated"] = rows[int(k)]["ipi"] = None
    rows[int(rng.integers(len(rows)))]["bulky"] = None
    return rows


def _baseline_row(rng: np.random.Generator, number: int, relapse: int) -> Row:
    histology = _choose(rng, HISTOLOGIES)
    centre, spread = (36, 8) if histology == "PMBCL" else (58, 12)
    age = int(np.clip(np.rint(centre + spread * rng.standard_normal()), 20, 80))
    stage = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.16, 0.27, 0.52]))
    # More than one extranodal site is stage IV by definition; stage I and II have one at most.
    extranodal = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]) if stage == 4 else rng.random() < 0.3)
    ecog = int(rng.choice([0, 1, 2, 3], p=[0.24, 0.48, 0.22, 0.06]))
    ldh = int(rng.random() < 0.6)
    product, target, _ = PRODUCTS[int(rng.choice(len(PRODUCTS), p=[p[2] for p in PRODUCTS]))]
    return {
        "patient_id": patient_id(number),
        "age": age,
        "sex": "M" if rng.random() < 0.6 else "F",
        "histology": histology,
        "coo": _choose(rng, {"GCB": 0.4, "non-GCB": 0.6}) if histology == "DLBCL NOS" else None,
        "stage": stage,
        "ipi": int(age > 60) + int(stage >= 3) + int(ecog >= POOR_ECOG) + ldh + int(extranodal > 1),
        "ecog": ecog,
        "ldh_elevated": ldh,
        "extranodal_sites": extranodal,
        "bulky": int(rng.random() < 0.35),
        "prior_lines": int(rng.choice([2, 3, 4, 5], p=[0.45, 0.32, 0.16, 0.07])),
        "refractory": int(rng.random() < 0.7),
        "cart_target": target,
        "cart_product": product,
        "cart_best_response": _first_response(rng, relapse),
    }


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, both possible; ``high`` if it is below ``low``."""
    return int(rng.integers(min(low, high), high + 1))


def _response(
    rng: np.random.Generator, line: SalvageLine, category: str, hold: bool, died: bool
) -> Row:
    """Response, its end and progression, in tenths of a month.

    A response starts 0.7 months after the line at the soonest (a second CAR-T is assessed around
    month 1) and at least 0.3 months before the line's span ends. ``hold``: it lasts until the next
    line, which consolidates it. In the last line it ends with progression, at death, or not at all.
    """
    stop = line.start + line.span
    early, late = (9, 11) if category == "second_cart" else (7, 16)
    response = line.start + _between(rng, early, min(late, line.span - 3))
    progression = _between(rng, response + 3, stop)
    if line.last and not died:
        end, reason = stop, "ongoing"
    elif line.last and rng.random() < 0.25:
        end, reason = stop, "death"
    elif hold:
        end, reason = stop, "new_treatment"
    else:
        end, reason = progression, "progression"
    return {
        "response_month": response,
        "response_end_month": end,
        "response_end_reason": reason,
        "progression_month": progression if reason == "progression" else None,
    }


def _no_response(rng: np.random.Generator, line: SalvageLine, code: str, died: bool) -> Row:
    """Progression in tenths of a month of a line without response.

    Progressive disease: at the first assessment, 0.3 to 1.5 months after the start. Stable disease:
    after 1.0 months at the soonest; some die, or are alive, without a documented progression.
    """
    stop = line.start + line.span
    if code == "NE":
        return {}
    if code == "PD":
        return {"progression_month": _between(rng, line.start + 3, min(line.start + 15, stop))}
    if line.last and (not died or rng.random() < 0.4):
        return {}
    return {"progression_month": _between(rng, line.start + 10, stop)}


def _treatment_end(
    rng: np.random.Generator, line: SalvageLine, category: str, course: Row
) -> int | None:
    """End of treatment in tenths of a month, at progression at the latest; none for an infusion."""
    stop = course.get("progression_month") or line.start + line.span
    if category == "second_cart":
        return None
    if category == "radiotherapy":
        return min(line.start + _between(rng, 2, 8), stop)
    return _between(rng, max(line.start + 1, stop - 6), stop)


def _intents(
    rng: np.random.Generator,
    lines: Sequence[SalvageLine],
    categories: Sequence[str],
    codes: Sequence[str],
) -> tuple[dict[int, str], set[int]]:
    """Intent of each radiotherapy, and the responding lines that end with a new treatment."""
    intents: dict[int, str] = {}
    held: set[int] = set()
    for k, line in enumerate(lines):
        following = None if line.last else categories[k + 1]
        responded = codes[k] in RESPONSE
        if responded and following in ("second_cart", "radiotherapy"):
            held.add(k)
        if categories[k] != "radiotherapy":
            continue
        if k - 1 in held and lines[k - 1].patient == line.patient:
            intents[k] = "consolidation"
        elif following == "second_cart" or (following and rng.random() < 0.3):
            intents[k] = "bridging"
        else:
            intents[k] = "definitive" if responded else "palliative"
    return intents, held


def line_rows(
    rng: np.random.Generator,
    lines: Sequence[SalvageLine],
    categories: Sequence[str],
    codes: Sequence[str],
    switched: Mapping[int, int],
    died: Bools,
    patients: Sequence[Row],
) -> list[Row]:
    """One row per salvage event; :class:`NoHistory` unless all four intents of radiotherapy
    occur."""
    intents, held = _intents(rng, lines, categories, codes)
    if len(set(intents.values())) < 4:
        raise NoHistory
    rows = []
    for k, line in enumerate(lines):
        category, dead = categories[k], bool(died[line.patient])
        if codes[k] in RESPONSE:
            course = _response(rng, line, category, k in held, dead)
        else:
            course = _no_response(rng, line, codes[k], dead)
        course["end_month"] = _treatment_end(rng, line, category, course)
        course["start_month"] = line.start
        months = {
            name: value / 10 if isinstance(value, int) else value for name, value in course.items()
        }
        target = patients[line.patient]["cart_target"]
        rows.append(
            {
                "patient_id": patient_id(line.patient),
                "line": line.line,
                "category": category,
                "regimen": _regimen(rng, category, target, switched.get(k)),
                "target_switched": switched.get(k),
                "best_response": codes[k],
                "intent": intents.get(k),
                **months,
            }
        )
    return rows


def _regimen(rng: np.random.Generator, category: str, target: str, switched: int | None) -> str:
    if category == "second_cart":
        aim = str(rng.choice(SWITCH_TARGETS[target])) if switched else target
        return f"{aim} CAR-T"
    return str(rng.choice(REGIMENS[category]))


def _onset(rng: np.random.Generator, term: str, line: SalvageLine) -> int:
    """Onset in tenths of a month, inside the line's span."""
    if term in ASTCT_TERMS:
        return line.start + _between(rng, 0, min(3, line.span))
    first = EARLIEST.get(term, 0)
    return line.start + _between(rng, first, min(first + 12, line.span))


def adverse_event_rows(
    rng: np.random.Generator, lines: Sequence[SalvageLine], categories: Sequence[str]
) -> list[Row]:
    """Adverse events; :class:`NoHistory` unless fever is alone the most common by patients and by
    events.

    At most one row of a term per line. Fever that belongs to a cytokine release syndrome is not
    recorded as fever again: a line has one or the other.
    """
    rows: list[Row] = []
    for line, category in zip(lines, categories, strict=True):
        terms = [
            term
            for term, (usual, special) in TERMS.items()
            if rng.random() < special.get(category, usual) and line.span >= EARLIEST.get(term, 0)
        ]
        if "cytokine release syndrome" in terms:
            terms = [term for term in terms if term != "fever"]
        for term in terms:
            grade = 1 + int(rng.choice(4, p=GRADES.get(term, MILD)))
            rows.append(
                {
                    "patient_id": patient_id(line.patient),
                    "line": line.line,
                    "term": term,
                    "grade": grade,
                    "scale": "ASTCT" if term in ASTCT_TERMS else "CTCAE 5.0",
                    "onset_month": _onset(rng, term, line) / 10,
                }
            )
    if not _fever_leads(rows):
        raise NoHistory
    return rows


def _fever_leads(rows: Sequence[Row]) -> bool:
    """Whether fever alone is the most common by events and by patients."""
    events = Counter(row["term"] for row in rows)
    patients = Counter(term for term, _ in {(row["term"], row["patient_id"]) for row in rows})
    return all(
        counts["fever"] > most
        for counts in (events, patients)
        for term, most in counts.items()
        if term != "fever"
    )
