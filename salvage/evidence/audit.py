"""The published study's abstract audited: what its figures imply, exclude and leave open.

Any other abstract is audited from a small YAML file or its text: see
:mod:`salvage.evidence.cases`.

``python -m salvage calibrate --sequences`` searches again for the sequences in ``data/audit.json``
that prove which numbers of deaths are possible. Each of them is fitted again by a test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pandas as pd

from salvage.analysis.estimate import Estimate, Unit, by_id
from salvage.analysis.provenance import facts as published_facts
from salvage.analysis.provenance import printed_figures
from salvage.evidence.feasible_tables import FeasibleTables, TableFacts, feasible_tables, subsets
from salvage.evidence.printed import (
    TIES,
    FollowUp,
    RatioCheck,
    RatioFact,
    check_ratio,
    follow_up,
)
from salvage.evidence.risk_sets import SequenceTable, Ties, find_sequence
from salvage.evidence.rounding import Printed, PrintedP, denominators
from salvage.evidence.verdicts import Figure, Verdict, judge
from salvage.paths import DATA

SEQUENCES: Final = DATA / "audit.json"
#: Printed medians of times.
MEDIANS: Final = ("followup.observed.median", "os.median")


def _printed(figure: str, part: str = "value") -> Printed:
    entry = printed_figures()[figure]
    return Printed.of(entry[part], entry["p_step"] if part == "p" else entry["step"])


def published_ratio() -> RatioFact:
    """The published late-against-early hazard ratio, as one model of all published patients."""
    key = "cox.late_vs_early.hr"
    p = _printed(key, "p")
    return RatioFact(
        hr=_printed(key),
        low=_printed(key, "low"),
        high=_printed(key, "high"),
        p=PrintedP(float(p.low), float(p.high)),
        n=printed_figures()["n.patients"]["value"],
    )


def published_rates() -> dict[str, dict[str, Any]]:
    """The entries of the published percentages by the id of the estimate that reproduces each."""
    return {
        id: entry
        for id, entry in printed_figures().items()
        if "%" in str(entry["printed"]) and "CI" not in str(entry["printed"])
    }


def possible_counts(id: str) -> list[tuple[int, int]]:
    """Every (count, denominator), up to the published number of events, that prints a published
    percentage."""
    return denominators(_printed(id), printed_figures()["n.events"]["value"])


@cache
def verdicts() -> dict[str, Verdict]:
    """The verdict on each published figure that arithmetic binds to others, by id.

    Percentages without an n have the verdict of the table of categories that they stand in.
    """
    figure = printed_figures()
    total, key = figure["orr.all"], "cox.late_vs_early.hr"
    low, high = _printed("os.range.min"), _printed("os.range.max")
    figures = {
        key: Figure(
            ratio=_printed(key),
            low=_printed(key, "low"),
            high=_printed(key, "high"),
            p=str(figure[key]["p"]),
            n=figure["n.patients"]["value"],
        ),
        **{id: Figure(median=_printed(id), low=low, high=high) for id in MEDIANS},
        **{
            id: Figure(percent=_printed(id), events=entry["events"], n=entry["n"])
            for id, entry in published_rates().items()
            if "n" in entry
        },
        "tables": Figure(
            categories=len(published_facts()["design"]["categories"]),
            events=total["n"],
            responses=total["events"],
            complete=figure["cr.all"]["events"],
            highest_response=_printed("orr.polatuzumab"),
            highest_complete=_printed("cr.second_cart"),
            subset_complete=_printed("cr.second_cart.switched"),
        ),
    }
    found = dict(zip(figures, (one.verdict for one in judge(list(figures.values()))), strict=True))
    return {**found, **{id: found["tables"] for id in published_rates() if id not in found}}


def ratio() -> RatioCheck:
    """What the published hazard ratio implies."""
    return check_ratio(published_ratio())


@cache
def tables(capped: bool = False) -> FeasibleTables:
    """Every feasible table of the published categories.

    `capped` allows no patient twice in one category, which the abstract does not say.
    """
    figure = printed_figures()
    total = figure["orr.all"]
    return feasible_tables(
        TableFacts(
            categories=tuple(published_facts()["design"]["categories"]),
            events=total["n"],
            responses=total["events"],
            complete=figure["cr.all"]["events"],
            highest_response=("polatuzumab", _printed("orr.polatuzumab")),
            highest_complete=("second_cart", _printed("cr.second_cart")),
            subset_complete=_printed("cr.second_cart.switched"),
            cap=figure["n.patients"]["value"] if capped else None,
        )
    )


def target_switches() -> pd.DataFrame:
    """Every possible second CAR-T row with its target switch.

    Columns: events, complete, switched_events, switched_complete, other_events, other_complete.
    """
    pairs = sorted({(n, complete) for n, _, complete in tables().cells("second_cart")})
    switched = _printed("cr.second_cart.switched")
    rows = [
        (n, complete, size, inside, n - size, complete - inside)
        for n, complete in pairs
        for size, inside in subsets(n, complete, switched)
    ]
    columns = ["events", "complete", "switched_events", "switched_complete"]
    return pd.DataFrame(rows, columns=[*columns, "other_events", "other_complete"])


def most_censored() -> int:
    """Most patients who can be censored, by the sharp bound on deaths."""
    bound = ratio().deaths
    patients = ratio().fact.n
    if bound is None or bound.sharp is None or patients is None:
        raise ValueError("data/published.yaml: the hazard ratio does not bound the deaths")
    return patients - bound.sharp


def published_follow_up() -> FollowUp:
    """Whether the published median follow-up can be a reverse Kaplan-Meier median."""
    return follow_up(printed_figures()["n.patients"]["value"], most_censored())


def consistent() -> bool:
    """Whether all published figures fit one another."""
    return set(verdicts().values()) == {"possible"}


@cache
def estimates() -> dict[str, Estimate]:
    """The figures of the audit by id: all implied by the published ones."""
    check, free, capped = ratio(), tables(), tables(capped=True)
    bound = check.deaths
    if bound is None:
        raise ValueError("data/published.yaml: no Cox model prints the hazard ratio")
    n = check.fact.n
    se, p = check.region.se, check.region.p
    se_p = (min(r.se[0] for r in check.with_p), max(r.se[1] for r in check.with_p))
    ten = free.where("second_cart", lambda events, _, __: events == 10)
    region = "every log hazard ratio and standard error that print ratio and Wald interval"
    both = f"{region} and P"
    counted = "exact count by convolution"
    implied = [
        _implied("audit.se.low", "Lowest standard error of the log hazard ratio", se[0], region),
        _implied("audit.se.high", "Highest standard error of the log hazard ratio", se[1], region),
        _implied("audit.se.low_with_p", "Lowest standard error, P included", se_p[0], both),
        _implied("audit.se.high_with_p", "Highest standard error, P included", se_p[1], both),
        _implied("audit.p.low", "Lowest Wald P of the hazard ratio", p[0], region, "probability"),
        _implied("audit.p.high", "Highest Wald P of the hazard ratio", p[1], region, "probability"),
        _implied(
            "audit.p.share",
            "Share of the possible estimates that print the published P",
            check.p_share,
            "area of the region of log hazard ratio and standard error; not a probability",
            "proportion",
        ),
        _implied(
            "audit.deaths.min_simple",
            "Fewest deaths, simple bound",
            bound.simple,
            "standard error at least 2 / sqrt(deaths)",
            "count",
            n,
        ),
        _implied(
            "audit.deaths.min",
            "Fewest deaths, sharp bound",
            bound.sharp,
            "dynamic programming over every sequence of risk sets",
            "count",
            n,
        ),
        _implied(
            "audit.followup.reverse_km",
            "Lowest reverse Kaplan-Meier estimate at the median survival",
            published_follow_up().lowest,
            "bound from the number at risk; a median would need 0.5",
            "probability",
            n,
        ),
        _implied("audit.tables.count", "Feasible tables", free.count, counted, "count"),
        _implied(
            "audit.tables.count_capped",
            "Feasible tables with at most one event per patient in a category",
            capped.count,
            counted,
            "count",
        ),
        _implied(
            "audit.tables.second_cart_10",
            "Share of the feasible tables in which 10 events are second CAR-T infusions",
            ten / free.count,
            f"{counted}; not a probability",
            "proportion",
            free.count,
            ten,
        ),
    ]
    return by_id(implied)


def _implied(
    id: str,
    label: str,
    value: float | None,
    method: str,
    unit: Unit = "log ratio",
    n: int | None = None,
    events: int | None = None,
) -> Estimate:
    return Estimate(
        id, label, value, None, None, n, events, unit, method, "implied", "implied", "implied"
    )


# --- sequences that prove what is possible --------------------------------------------------------


@dataclass(frozen=True)
class Witness:
    """A sequence of deaths and last contacts whose Cox model prints the published figures.

    ties   the treatment of ties for which it does so; both where no deaths are tied
    """

    deaths: int
    late: int
    ties: tuple[Ties, ...]
    sequence: str


def witnesses(path: Path = SEQUENCES) -> list[Witness]:
    """The stored sequences: at least one for each possible number of deaths and late relapsers."""
    stored = json.loads(path.read_text(encoding="utf-8"))["sequences"]
    return [Witness(w["deaths"], w["late"], tuple(w["ties"]), w["sequence"]) for w in stored]


def search_witnesses(check: RatioCheck) -> list[Witness]:
    """Search a sequence for each possible (deaths, late relapsers), untied where there is one."""
    groups = check.deaths and check.deaths.groups
    if check.fact.n is None or not groups:
        raise ValueError("the number of patients and a sharp bound on the deaths are needed")
    patients, most = check.fact.n, check.fact.n - min(groups)
    # The middle of what prints every figure: there a sequence has most room.
    at = float((check.with_p or (check.region,))[0].corners[:, 0].mean())
    untied = SequenceTable(patients, most, at, "breslow", tied=1)
    tied = [SequenceTable(patients, most, at, ties) for ties in TIES]
    sequences = []
    for deaths, sizes in groups.items():
        for late in sizes:
            for table in (untied, *tied):
                sequence = find_sequence(table, patients, late, deaths, check.fact.prints)
                if sequence is not None:
                    ties = TIES if table is untied else (table.ties,)
                    sequences.append(Witness(deaths, late, ties, sequence))
                if sequence is not None and table is untied:
                    break
    return sequences


def write_witnesses(path: Path = SEQUENCES) -> Path:
    """Search the sequences of the published study and store them."""
    sequences = search_witnesses(ratio())
    rows = [
        json.dumps({"deaths": w.deaths, "late": w.late, "ties": w.ties, "sequence": w.sequence})
        for w in sequences
    ]
    about = (
        "Sequences of deaths (E early, L late relapse; one time in brackets) and last contacts "
        "(e, l) whose Cox model prints the published hazard ratio, interval and P. They show only "
        "that such a model can exist. Written by python -m salvage calibrate "
        "--sequences."
    )
    body = ",\n  ".join(rows)
    text = f'{{\n "about": {json.dumps(about)},\n "sequences": [\n  {body}\n ]\n}}\n'
    path.write_text(text, encoding="utf-8")
    return path
