"""Records around the lines of the shipped cohort: baseline, course of each line, adverse events.

Nothing here touches a published figure except that fever must be the most common adverse event.
Times are whole tenths of a month until a row is made; rows hold months.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from salvage.cohort.schema import FATAL_GRADE, POOR_ECOG, RESPONSE
from salvage.synthetic.lines import NoHistory, SalvageLine
from salvage.synthetic.times import Bools, Ints

Row = dict[str, Any]

HISTOLOGIES: Final = {"DLBCL NOS": 0.68, "HGBL": 0.12, "tFL": 0.12, "PMBCL": 0.08}
PRODUCTS: Final = (
    ("axicabtagene ciloleucel", "CD19", 0.42),
    ("relmacabtagene autoleucel", "CD19", 0.40),
    ("CD19/CD22 CAR-T (trial)", "CD19/CD22", 0.18),
)
SECOND_PRODUCTS: Final = {
    "CD19": ("axicabtagene ciloleucel", "relmacabtagene autoleucel"),
    "CD20": ("CD20 CAR-T (trial)",),
    "CD22": ("CD22 CAR-T (trial)",),
    "CD19/CD22": ("CD19/CD22 CAR-T (trial)",),
}
SWITCH_TARGETS: Final = {"CD19": ("CD22", "CD20"), "CD19/CD22": ("CD20",)}
REGIMENS: Final = {
    "bispecific": ("glofitamab", "epcoritamab"),
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
OLDEST_FOR: Final = {"R-ICE": 70}
DAYS_PER_TENTH: Final = 3.04375
DOSE_DAYS: Final[Mapping[str, Sequence[int]]] = {
    # Obinutuzumab, 2.5 mg, 10 mg, then 30 mg every three weeks: twelve cycles.
    "glofitamab": (0, 7, 14, *range(21, 12 * 21, 21)),
    # Weekly for three cycles (0.16 mg, 0.8 mg, then 48 mg), fortnightly for six, then monthly.
    "epcoritamab": (*range(0, 84, 7), *range(84, 252, 14), *range(252, 730, 28)),
    **dict.fromkeys(REGIMENS["polatuzumab"], range(0, 6 * 21, 21)),
    **dict.fromkeys(REGIMENS["checkpoint"], range(0, 730, 21)),
    "R-GemOx": range(0, 8 * 14, 14),
    "R-ICE": range(0, 3 * 21, 21),
}
"""Days of a dose from the start of a line; regimens not named are tablets, taken every day."""

# Chance that a line has the event, by category of salvage; categories not named have the first.
TERMS: Final[Mapping[str, tuple[float, Mapping[str, float]]]] = {
    "fever": (0.42, {"radiotherapy": 0.10, "polatuzumab": 0.50}),
    "neutropenia": (0.18, {"radiotherapy": 0.0, "checkpoint": 0.05, "polatuzumab": 0.35}),
    "anaemia": (0.16, {"radiotherapy": 0.05}),
    "thrombocytopenia": (0.16, {"radiotherapy": 0.05}),
    "infection": (0.16, {"radiotherapy": 0.05}),
    "fatigue": (0.14, {}),
    "nausea": (0.08, {"polatuzumab": 0.2, "other": 0.2}),
    "cytokine release syndrome": (0.0, {"bispecific": 0.50, "second_cart": 0.70}),
    "ICANS": (0.0, {"bispecific": 0.10, "second_cart": 0.40}),
    "prolonged cytopenia": (0.0, {"second_cart": 0.25}),
    "hypogammaglobulinaemia": (0.0, {"bispecific": 0.15, "second_cart": 0.25}),
    "peripheral neuropathy": (0.0, {"polatuzumab": 0.30}),
    "radiation dermatitis": (0.0, {"radiotherapy": 0.35}),
    "hypothyroidism": (0.0, {"checkpoint": 0.25}),
    "rash": (0.03, {"checkpoint": 0.25}),
}
FATAL_TERMS: Final = {"infection": "infection", "treatment": "cytokine release syndrome"}
ASTCT_TERMS: Final = frozenset({"cytokine release syndrome", "ICANS"})
GRADES: Final[Mapping[str, tuple[float, ...]]] = {
    "fever": (0.55, 0.38, 0.07, 0.0),
    "neutropenia": (0.05, 0.20, 0.40, 0.35),
    "anaemia": (0.25, 0.40, 0.35, 0.0),
    "thrombocytopenia": (0.20, 0.25, 0.30, 0.25),
    "infection": (0.0, 0.45, 0.45, 0.10),
    "prolonged cytopenia": (0.0, 0.1, 0.6, 0.3),
}
MILD: Final = (0.60, 0.35, 0.05, 0.0)
# Grades of CRS and ICANS, and the tenths of a month after the start within which they begin: the
# first two weeks after CAR-T; the steps of dose and the first full doses of a bispecific antibody.
IMMUNE_GRADES: Final = {
    ("second_cart", "cytokine release syndrome"): (0.45, 0.40, 0.12, 0.03),
    ("second_cart", "ICANS"): (0.40, 0.30, 0.22, 0.08),
    ("bispecific", "cytokine release syndrome"): (0.65, 0.30, 0.05, 0.0),
    ("bispecific", "ICANS"): (0.70, 0.30, 0.0, 0.0),
}
IMMUNE_ONSET: Final = {
    ("second_cart", "cytokine release syndrome"): (0, 2),
    ("second_cart", "ICANS"): (1, 3),
    ("bispecific", "cytokine release syndrome"): (2, 7),
    ("bispecific", "ICANS"): (3, 8),
}
EARLIEST: Final = {
    "prolonged cytopenia": 10,
    "hypogammaglobulinaemia": 10,
    "peripheral neuropathy": 10,
    "hypothyroidism": 10,
    "radiation dermatitis": 2,
}
"""Tenths of a month of treatment that an event takes to appear; others may appear at once."""

SHORTEST_DURATION: Final = {"CR": 10, "PR": 4}
MANUFACTURE = 10
"""Tenths of a month that apheresis and manufacture take from a relapse to a second CAR-T."""
LONGEST_TO_NEXT_LINE, LONGEST_TO_DEATH = 12, 30
"""Tenths of a month from progression to the next line, and to death after the last line."""


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


def baseline(rng: np.random.Generator, relapse: Ints, observed: Ints) -> list[Row]:
    """One row per patient, without relapse and survival: values before the first CAR-T infusion.

    Stage, extranodal sites and IPI fit one another; cell of origin is given for DLBCL only. A few
    values are missing, as they would be. Drawn at random, and again where chance alone links one to
    survival after relapse: no effect is built in, and none should show.
    """
    while True:
        rows = [_baseline_row(rng, k, int(month)) for k, month in enumerate(relapse)]
        if not _linked(rows, observed - relapse):
            break
    dlbcl = [k for k, row in enumerate(rows) if row["coo"] is not None]
    for k in rng.choice(dlbcl, 3, replace=False):
        rows[int(k)]["coo"] = None
    for k in rng.choice(len(rows), 2, replace=False):
        rows[int(k)]["ldh_elevated"] = rows[int(k)]["ipi"] = None
    rows[int(rng.integers(len(rows)))]["bulky"] = None
    return rows


def _linked(rows: Sequence[Row], months: Ints) -> bool:
    """Whether a factor has a rank correlation with ``months`` of more than 0.25, either way."""
    frame = pd.DataFrame(rows)
    factors = frame.select_dtypes("number").assign(
        poor=frame["ecog"] >= POOR_ECOG, male=frame["sex"] == "M"
    )
    return bool((factors.rank().corrwith(pd.Series(months).rank()).abs() > 0.25).any())


def _baseline_row(rng: np.random.Generator, number: int, relapse: int) -> Row:
    histology = _choose(rng, HISTOLOGIES)
    centre, spread = (36, 8) if histology == "PMBCL" else (58, 11)
    age = int(np.clip(np.rint(centre + spread * rng.standard_normal()), 20, 78))
    stage = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.16, 0.27, 0.52]))
    # More than one extranodal site is stage IV by definition; stage I and II have one at most.
    extranodal = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]) if stage == 4 else rng.random() < 0.3)
    ecog = int(rng.choice([0, 1, 2], p=[0.26, 0.52, 0.22]))
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


def _assessed(category: str) -> tuple[int, int]:
    """Tenths of a month to a response, at the soonest and the latest: around month 1 after
    CAR-T, else after one or two cycles."""
    return (9, 11) if category == "second_cart" else (7, 16)


def _without_response(following: str | None) -> int:
    """Tenths of a month that pass at least between the end of a response and what follows.

    A second CAR-T is made when the response is lost; death (None) takes more than a few days.
    """
    return {"second_cart": MANUFACTURE, None: 3}.get(following, 1)


def shortest_with_response(category: str, code: str, following: str | None) -> int:
    """Tenths of a month of the shortest line in which a response comes, lasts and ends."""
    return _assessed(category)[0] + SHORTEST_DURATION[code] + _without_response(following)


def _response(
    rng: np.random.Generator,
    line: SalvageLine,
    category: str,
    code: str,
    following: str | None,
    died: bool,
) -> Row:
    """Response, its end and progression, in tenths of a month.

    ``following``: what comes next; a consolidation finds the response, anything else its loss. In
    the last line a response may last until death, which then has another cause, or last contact.
    """
    stop = line.start + line.span
    lasts, before = SHORTEST_DURATION[code], _without_response(following)
    early, late = _assessed(category)
    response = line.start + _between(rng, early, min(late, line.span - lasts - before))
    end, reason = stop, "ongoing"
    if following == "consolidation":
        reason = "new_treatment"
    elif line.last and died and rng.random() < 0.15:
        reason = "death"
    elif died or not line.last:
        end, reason = _progression(rng, line, response + lasts, stop - before), "progression"
    return {
        "response_month": response,
        "response_end_month": end,
        "response_end_reason": reason,
        "progression_month": end if reason == "progression" else None,
    }


def _no_response(
    rng: np.random.Generator,
    line: SalvageLine,
    category: str,
    code: str,
    following: str | None,
    died: bool,
) -> Row:
    """Progression in tenths of a month of a line without response.

    Progressive disease: at the first assessment, 0.3 to 1.5 months after the start, after a second
    CAR-T at 0.7 at the soonest; in a patient who dies sooner, before that. Stable disease: after
    1.0 months, or not at all in a patient who is alive or, half of the time, goes on to another
    regimen; a second CAR-T finds progression.
    """
    if code == "NE" or (code == "SD" and line.last and not died):
        return {}
    if code == "SD" and following not in (None, "second_cart") and rng.random() < 0.5:
        return {}
    first, latest = (10, line.span - 1) if code == "SD" else (3, min(15, line.span - 1))
    first = max(first, 7) if category == "second_cart" else min(first, latest)
    return {"progression_month": _progression(rng, line, line.start + first, line.start + latest)}


def _progression(rng: np.random.Generator, line: SalvageLine, first: int, latest: int) -> int:
    """A month of progression, in tenths, that the next line or death follows in good time."""
    longest = LONGEST_TO_DEATH if line.last else LONGEST_TO_NEXT_LINE
    first = max(first, line.start + line.span - longest)
    if latest < first:
        raise NoHistory
    return _between(rng, first, latest)


def _treatment_end(
    rng: np.random.Generator, line: SalvageLine, category: str, regimen: str, course: Row
) -> int | None:
    """End of treatment in tenths of a month: the last dose of the schedule that progression, the
    next line, death or last contact left time for, 0.1 months after the start at the soonest; none
    for an infusion."""
    stop = course.get("progression_month") or line.start + line.span
    if category == "second_cart":
        return None
    if category == "radiotherapy":
        return min(line.start + _between(rng, 2, 8), stop)
    if regimen not in DOSE_DAYS:
        return stop
    doses = (line.start + round(day / DAYS_PER_TENTH) for day in DOSE_DAYS[regimen])
    return max(line.start + 1, *(dose for dose in doses if dose <= stop))


def intents_of(
    lines: Sequence[SalvageLine], categories: Sequence[str], codes: Sequence[str]
) -> tuple[dict[int, str], set[int]]:
    """Intent of each radiotherapy, and the responding lines that end with a new treatment.

    Radiotherapy consolidates a response of the line before if it keeps or deepens it.
    :class:`NoHistory` unless all four intents occur.
    """
    intents: dict[int, str] = {}
    held: set[int] = set()
    for k, line in enumerate(lines):
        if categories[k] != "radiotherapy":
            continue
        following = None if line.last else categories[k + 1]
        kept = {"CR": ("CR",), "PR": RESPONSE}.get(codes[k - 1], ()) if line.line > 1 else ()
        if codes[k] in kept:
            intents[k] = "consolidation"
            held.add(k - 1)
        elif codes[k] in RESPONSE:
            intents[k] = "definitive"
        elif following == "second_cart" or (following == "bispecific" and line.span <= 15):
            intents[k] = "bridging"
        else:
            intents[k] = "palliative"
    if len(set(intents.values())) < 4:
        raise NoHistory
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
    """One row per salvage event; :class:`NoHistory` if a course does not fit its line."""
    intents, held = intents_of(lines, categories, codes)
    rows: list[Row] = []
    active = 0  # tenths of a month at which the lymphoma last came back
    for k, line in enumerate(lines):
        category, dead = categories[k], bool(died[line.patient])
        active = line.start - line.wait if line.line == 1 else active
        if category == "second_cart" and line.start - active < MANUFACTURE:
            raise NoHistory
        following = None if line.last else categories[k + 1]
        if codes[k] in RESPONSE:
            following = "consolidation" if k in held else following
            course = _response(rng, line, category, codes[k], following, dead)
            active = course["progression_month"] or active
        else:
            course = _no_response(rng, line, category, codes[k], following, dead)
        own = [
            c for c, other in zip(categories, lines, strict=True) if other.patient == line.patient
        ]
        regimen = _regimen(
            rng,
            category,
            patients[line.patient],
            switched.get(k),
            [row["regimen"] for row in rows[k - line.line + 1 :]],
            "bispecific" in own,
        )
        course["end_month"] = _treatment_end(rng, line, category, regimen, course)
        course["start_month"] = line.start
        months = {
            name: value / 10 if isinstance(value, int) else value for name, value in course.items()
        }
        rows.append(
            {
                "patient_id": patient_id(line.patient),
                "line": line.line,
                "category": category,
                "regimen": regimen,
                "target_switched": switched.get(k),
                "best_response": codes[k],
                "intent": intents.get(k),
                **months,
            }
        )
    return rows


def _regimen(
    rng: np.random.Generator,
    category: str,
    patient: Row,
    switched: int | None,
    given: Sequence[str],
    bispecific: bool,
) -> str:
    """A regimen that the patient can have and, but for radiotherapy, was not given before.

    A patient who has a bispecific antibody, which binds CD20, is not switched to CD20.
    """
    if category == "second_cart":
        targets: Sequence[str] = [patient["cart_target"]]
        if switched:
            targets = [t for t in SWITCH_TARGETS[targets[0]] if not (bispecific and t == "CD20")]
        regimens = [product for target in targets for product in SECOND_PRODUCTS[target]]
    else:
        regimens = [
            regimen
            for regimen in REGIMENS[category]
            if (category == "radiotherapy" or regimen not in given)
            and patient["age"] <= OLDEST_FOR.get(regimen, patient["age"])
        ]
    if not regimens:
        raise NoHistory
    return str(rng.choice(regimens))


def causes_of_death(
    rng: np.random.Generator, lines: Sequence[SalvageLine], rows: Sequence[Row], died: Bools
) -> list[str | None]:
    """Cause of death of each patient, ``None`` for the living.

    Lymphoma after a progression in the last line; not in a response. Who dies before an assessment
    mostly dies of lymphoma too. :class:`NoHistory` unless lymphoma is the cause of six in seven and
    infection, after it, is commoner than toxicity, which occurs.
    """
    causes: list[str | None] = [None] * len(died)
    for line, row in zip(lines, rows, strict=True):
        if not line.last or not died[line.patient]:
            continue
        if row.get("progression_month"):
            chances = {"lymphoma": 1.0}
        elif row["best_response"] == "NE":
            toxic = 0.4 * (row["category"] == "second_cart")
            chances = {"lymphoma": 0.7, "infection": 0.3, "treatment": toxic}
        else:
            chances = {"infection": 0.8, "other": 0.2}
        causes[line.patient] = _choose(rng, chances)
    infection, toxicity = causes.count("infection"), causes.count("treatment")
    if not 0 < toxicity < infection or 7 * causes.count("lymphoma") < 6 * sum(died):
        raise NoHistory
    return causes


def _onset(
    rng: np.random.Generator, term: str, category: str, grade: int, lasts: int, span: int
) -> int:
    """Tenths of a month from the start of a line to the onset of an event.

    Inside the line's span, and while the treatment lasts or a month after it. A fatal event begins
    in the three weeks before death.
    """
    if term in ASTCT_TERMS:
        low, high = IMMUNE_ONSET[category, term]
        return _between(rng, low, min(high, span - 1))
    if grade == FATAL_GRADE:
        return _between(rng, max(0, span - 7), span - 1)
    first = EARLIEST.get(term, 0)
    return _between(rng, first, min(first + 12, span, lasts + 10))


def adverse_event_rows(
    rng: np.random.Generator,
    lines: Sequence[SalvageLine],
    rows: Sequence[Row],
    causes: Sequence[str | None],
) -> list[Row]:
    """Adverse events; :class:`NoHistory` unless ICANS occurs and fever is alone the most common, by
    patients and by events.

    At most one row of a term per line. Fever that belongs to a cytokine release syndrome is not
    recorded as fever again: a line has one or the other. A death of infection or treatment is a
    fatal event of the last line.
    """
    events: list[Row] = []
    for line, row in zip(lines, rows, strict=True):
        category, end = row["category"], row["end_month"]
        lasts = line.span if end is None else round(10 * end) - line.start
        fatal = FATAL_TERMS.get(causes[line.patient] or "") if line.last else None
        terms = [
            term
            for term, (usual, special) in TERMS.items()
            if (rng.random() < special.get(category, usual) or term == fatal)
            and min(line.span, lasts + 10) >= EARLIEST.get(term, 0)
        ]
        # Neither fever beside a cytokine release syndrome nor ICANS without one.
        unwanted = "fever" if "cytokine release syndrome" in terms else "ICANS"
        terms = [term for term in terms if term != unwanted]
        crs = 0
        for term in terms:
            grades = IMMUNE_GRADES.get((category, term)) or GRADES.get(term, MILD)
            grade = FATAL_GRADE if term == fatal else 1 + int(rng.choice(4, p=grades))
            onset = _onset(rng, term, category, grade, lasts, line.span)
            if term == "cytokine release syndrome":
                crs = onset
            elif term == "ICANS":
                onset = max(onset, crs)
            events.append(
                {
                    "patient_id": row["patient_id"],
                    "line": line.line,
                    "term": term,
                    "grade": grade,
                    "scale": "ASTCT" if term in ASTCT_TERMS else "CTCAE 5.0",
                    "onset_month": (line.start + onset) / 10,
                }
            )
    if not _fever_leads(events) or "ICANS" not in {event["term"] for event in events}:
        raise NoHistory
    return events


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
