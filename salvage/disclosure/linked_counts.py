"""The counts that a public book may show, with all sums that link them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import safety
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS, POOR_ECOG, RESPONSE
from salvage.disclosure.suppression import LinkedCounts

ALL: Final = "all"
LINES: Final = (ALL, "first", "later")
# What a response can be counted as: the codes, and the complement of each rate of the book.
KINDS: Final = {
    "any": ("CR", "PR", "SD", "PD", "NE"),
    "orr": RESPONSE,
    "cr": ("CR",),
    "pr": ("PR",),
    "no_orr": ("SD", "PD", "NE"),
    "no_cr": ("PR", "SD", "PD", "NE"),
    "no_pr": ("CR", "SD", "PD", "NE"),
}
APART: Final = {"sd": ("SD",), "pd": ("PD",), "ne": ("NE",)}
# Yes/no items of the baseline table: their label by column, and the lowest value that is a yes.
BASELINE: Final = {
    "sex": "Female",
    "stage": "Stage III or IV",
    "ipi": "IPI 3 to 5",
    "ecog": "ECOG 2 or more",
    "ldh_elevated": "LDH above the upper limit of normal",
    "bulky": "Bulky disease",
    "refractory": "Refractory to the last line before CAR-T",
}
_YES_FROM: Final = {
    "stage": 3,
    "ipi": 3,
    "ecog": POOR_ECOG,
    "ldh_elevated": 1,
    "bulky": 1,
    "refractory": 1,
}
MOST_TERMS: Final = 12
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Block:
    """A table of counts whose cells are atoms, and the sums of them that are of interest.

    ``rows`` names the sums whose parts are shown beside them, with these parts.
    """

    atoms: NDArray[np.int64]
    sums: Mapping[str, Bools]
    cost: Mapping[str, float]
    rows: Sequence[tuple[str, Sequence[str]]] = ()


def linked_counts(cohort: Cohort, terms: Sequence[str]) -> LinkedCounts:
    """Every count of the release before screening, with all sums that link them.

    The complement of each count among its denominator is a count too. To hide a
    total costs more than to hide its parts, so that totals stay visible longer.
    """
    blocks = {
        "patients": _patients(cohort),
        "lines": _lines(cohort),
        **{f"baseline.{column}": _baseline(cohort, column) for column in BASELINE},
        **{f"term.{term}": _term(cohort, term) for term in terms},
    }
    starts = np.cumsum([0, *(block.atoms.size for block in blocks.values())])
    total = int(starts[-1])
    at = dict(zip(blocks, starts, strict=False))

    def row(block: str, name: str) -> NDArray[np.float64]:
        coefficients = np.zeros(total)
        members = blocks[block].sums[name].ravel()
        coefficients[at[block] : at[block] + len(members)] = members
        return coefficients

    names = [(block, name) for block, parts in blocks.items() for name in parts.sums]
    place = {name: i for i, name in enumerate(names)}
    # Every treated patient has one first line; every other block is about the same patients.
    treated, patients = row("patients", "treated"), row("patients", "all")
    same = [treated - row("lines", "all.first.any")]
    same += [patients - row(b, "recorded") - row(b, "missing") for b in blocks if "baseline" in b]
    same += [treated - row(b, "any") - row(b, "without") for b in blocks if "term" in b]
    return LinkedCounts(
        [f"{block}.{name}" for block, name in names],
        np.concatenate([block.atoms.ravel() for block in blocks.values()]),
        np.array([row(block, name) for block, name in names]),
        np.array(same),
        np.array([blocks[block].cost.get(name, 1.0) for block, name in names]),
        [
            (place[block, name], [place[block, part] for part in parts])
            for block, table in blocks.items()
            for name, parts in table.rows
        ],
    )


def _patients(cohort: Cohort) -> _Block:
    """Patients by treatment, relapse group and death; axes: treated, late, died."""
    patients = cohort.patients
    treated = patients["patient_id"].isin(cohort.salvage["patient_id"]).to_numpy()
    late, died = cohort.late.to_numpy(), patients["died"].to_numpy()
    atoms = np.zeros((2, 2, 2), dtype=np.int64)
    np.add.at(atoms, (treated.astype(int), late.astype(int), died.astype(int)), 1)
    everyone = np.ones_like(atoms, dtype=bool)
    is_treated, is_late, has_died = np.indices(atoms.shape).astype(bool)
    axes = (
        {"treated": is_treated, "untreated": ~is_treated},
        {"late": is_late, "early": ~is_late},
    )
    outcome = {"died": has_died, "alive": ~has_died}
    groups = {name: members for axis in axes for name, members in axis.items()}
    both = {f"{g}.{o}": groups[g] & outcome[o] for g in groups for o in outcome}
    sums = {"all": everyone, **groups, **outcome, **both}
    cost = {"all": 100.0, "died": 30.0, "alive": 30.0, **dict.fromkeys(groups, 20.0)}
    rows = [(g, [f"{g}.{o}" for o in outcome]) for g in groups]
    return _Block(atoms, sums, {**dict.fromkeys(both, 5.0), **cost}, rows)


def _lines(cohort: Cohort) -> _Block:
    """Lines; axes: category, first or later line, best response."""
    lines = cohort.salvage
    codes = list(words.RESPONSES)
    place = (
        lines["category"].map({key: i for i, key in enumerate(CATEGORY_KEYS)}).to_numpy(dtype=int),
        (lines["line"] > 1).to_numpy(dtype=int),
        lines["best_response"].map({code: i for i, code in enumerate(codes)}).to_numpy(dtype=int),
    )
    atoms = np.zeros((len(CATEGORY_KEYS), 2, len(codes)), dtype=np.int64)
    np.add.at(atoms, place, 1)
    category, later, code = np.indices(atoms.shape)
    when = {"all": later >= 0, "first": later == 0, "later": later == 1}
    which = {"all": category >= 0, **{k: category == i for i, k in enumerate(CATEGORY_KEYS)}}
    sums, cost = {}, {}
    for key, chosen in which.items():
        for line in LINES:
            for kind, members in {**KINDS, **(APART if line == ALL else {})}.items():
                name = f"{key}.{line}.{kind}"
                sums[name] = chosen & when[line] & np.isin(code, [codes.index(c) for c in members])
                cost[name] = (
                    10.0 if kind == "any" else 3.0 if kind in ("orr", "no_orr") else 1.0
                ) * (4.0 if key == ALL else 1.0)
    apart = ("cr", "pr", *APART)
    rows = [(f"{key}.all.any", [f"{key}.all.{kind}" for kind in apart]) for key in which]
    rows += [(f"{key}.all.any", [f"{key}.{line}.any" for line in LINES[1:]]) for key in which]
    return _Block(atoms, sums, cost, rows)


def _baseline(cohort: Cohort, column: str) -> _Block:
    """Patients with and without a finding, and those without a record of it."""
    values = cohort.patients[column]
    yes = (values == "F") if column == "sex" else values >= _YES_FROM[column]
    atoms = np.array(
        [(yes & values.notna()).sum(), (~yes & values.notna()).sum(), values.isna().sum()]
    )
    sums = _apart("yes", "no", "missing") | {"recorded": np.array([True, True, False])}
    return _Block(atoms.astype(np.int64), sums, {"recorded": 3.0}, [("recorded", ("yes", "no"))])


def _term(cohort: Cohort, term: str) -> _Block:
    """Treated patients with a severe, only a milder, an ungraded but no severe, or no event of a
    term."""
    events = safety.of_term(safety.events_of_treated(cohort), term)
    patients = safety.patients_by_severity(events)
    severe, ungraded = (int(patients[column].sum()) for column in ("severe", "ungraded"))
    milder = len(patients) - severe - ungraded
    atoms = np.array([severe, milder, ungraded, len(cohort.treated) - len(patients)])
    sums = _apart("severe", "milder", "ungraded", "without")
    graded = ~sums["ungraded"]
    more = {"any": ~sums["without"], "graded": graded, "no_severe": graded & ~sums["severe"]}
    rows = [("any", ("severe", "milder", "ungraded"))]
    return _Block(atoms.astype(np.int64), sums | more, {"any": 3.0}, rows)


def _apart(*names: str) -> dict[str, Bools]:
    return {name: np.arange(len(names)) == i for i, name in enumerate(names)}


def named_terms(cohort: Cohort) -> list[str]:
    """Terms that enough patients had; fever, CRS and ICANS are always counted."""
    if not safety.recorded(cohort):
        return []
    ranking = safety.ranking(cohort).sort_values(
        ["patients", "term"], ascending=[False, True], key=safety.small_letters
    )
    often = ranking.loc[ranking["patients"] >= cohort.study.suppress_below, "term"]
    return list(dict.fromkeys([*often.head(MOST_TERMS), *safety.TERMS]))
