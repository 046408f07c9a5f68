"""Whether a cohort prints the published figures, and whether its histories are possible.

Computed from the tables alone, by other means than the search: counts in pandas, the Kaplan-Meier
median in exact fractions, the Cox model by lifelines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import pandas as pd

from salvage.analysis.provenance import printed_figures, prints_as
from salvage.cohort.check import check_source
from salvage.cohort.readers import Source
from salvage.cohort.schema import (
    CATEGORY_KEYS,
    FATAL_GRADE,
    POOR_ECOG,
    RESPONSE,
    SEVERE_GRADE,
    TABLES,
)
from salvage.cohort.study import Study
from salvage.stats import cox
from salvage.synthetic.frames import as_text

Frames = Mapping[str, pd.DataFrame]
FIRST_LINES_AT_MONTH_ONE = 2
SHORTEST_BEFORE_SECOND_CART = 1.0
"""Months in which a response comes and is lost again."""
LATEST_CRS_OR_ICANS = {"second_cart": 0.5, "bispecific": 0.8}
"""Months from an infusion (two weeks) or from the first step of dose (the first cycle)."""
_OF_LINE = ["patient_id", "line"]


def kaplan_meier_median(months: Iterable[float], died: Iterable[bool]) -> float | None:
    """Median survival as R prints it, from exact fractions; ``None`` if it is not reached.

    The first time at which survival is below one half; if survival is exactly one half from some
    death on, the middle between that death and the next.
    """
    pairs = sorted(zip(months, died, strict=True))
    survival, half_since = Fraction(1), None
    for time in sorted({month for month, dead in pairs if dead}):
        at_risk = sum(month >= time for month, _ in pairs)
        deaths = sum(dead for month, dead in pairs if month == time)
        survival *= Fraction(at_risk - int(deaths), at_risk)
        if survival < Fraction(1, 2):
            return time if half_since is None else (half_since + time) / 2
        if survival == Fraction(1, 2) and half_since is None:
            half_since = time
    return half_since


def late_against_early(patients: pd.DataFrame, cutoff: float) -> dict[str, float]:
    """Cox model (Efron ties, Wald interval and P) of OS from infusion on late relapse.

    Empty if one group is empty or the model has no finite estimate.
    """
    late = (patients["relapse_month"] > cutoff).to_numpy(float)
    fitted = cox.cox(late, patients["os_month"], patients["died"])
    value, low, high, p = fitted.hr[0], fitted.low[0], fitted.high[0], fitted.p[0]
    if value is None or low is None or high is None or p is None:
        return {}
    return {"value": value, "low": low, "high": high, "p": p}


def _rate(hits: pd.Series[bool]) -> dict[str, float]:
    if not len(hits):
        return {}
    return {"value": float(hits.mean()), "n": len(hits), "events": int(hits.sum())}


def reproduced(frames: Frames, early_relapse_months: float = 3.0) -> dict[str, dict[str, float]]:
    """What the cohort has for each published figure: value, and n, events, low, high, p."""
    patients, salvage = frames["patients"], frames["salvage"]
    months = patients["os_month"]
    responded = salvage["best_response"].isin(RESPONSE)
    complete = salvage["best_response"] == "CR"
    second = salvage["category"] == "second_cart"
    median = kaplan_meier_median(months, patients["died"])
    ours = {
        "n.patients": {"value": float(patients["patient_id"].nunique())},
        "n.events": {"value": float(len(salvage))},
        "followup.observed.median": {"value": float(months.median())},
        "os.median": {} if median is None else {"value": median},
        "os.range.min": {"value": float(months.min())},
        "os.range.max": {"value": float(months.max())},
        "orr.all": _rate(responded),
        "cr.all": _rate(complete),
        "cr.second_cart.switched": _rate(complete[second & (salvage["target_switched"] == 1)]),
        "cox.late_vs_early.hr": late_against_early(patients, early_relapse_months),
    }
    for key in CATEGORY_KEYS:
        ours[f"orr.{key}"] = _rate(responded[salvage["category"] == key])
        ours[f"cr.{key}"] = _rate(complete[salvage["category"] == key])
    return ours


def check_against_published(frames: Frames, early_relapse_months: float = 3.0) -> list[str]:
    """Every way in which a cohort differs from the abstract; empty if it prints all of it.

    frames: ``patients`` and ``salvage`` as in a Cohort; ``adverse_events`` too where the most
    common adverse event is to be checked. A figure agrees if it rounds to the printed one.
    """
    ours = reproduced(frames, early_relapse_months)
    wrong = [
        f"{key}: none of the {len(frames['salvage'])} events"
        for key in CATEGORY_KEYS
        if not ours[f"orr.{key}"]
    ]
    for name, fact in printed_figures().items():
        if "term" in fact:
            if "adverse_events" in frames:
                wrong += _leading_term(frames["adverse_events"], fact["term"])
            continue
        for part in ("value", "low", "high", "p", "n", "events"):
            if part not in fact:
                continue
            step = 1 if part in ("n", "events") else fact.get(f"{part}_step", fact["step"])
            got = ours[name].get(part)
            if not prints_as(got, fact[part], step):
                wrong.append(f"{name}: {part} is {got}, printed is {fact[part]}")
        if "extreme" in fact:
            wrong += _not_highest(ours, name, fact["extreme"])
    return wrong


def _not_highest(ours: Mapping[str, Mapping[str, float]], name: str, measure: str) -> list[str]:
    own = ours[name].get("value", -1.0)
    rivals = [f"{measure}.{key}" for key in CATEGORY_KEYS if f"{measure}.{key}" != name]
    return [
        f"{name}: {own} is not above {rival} at {ours[rival]['value']}"
        for rival in rivals
        if ours[rival] and ours[rival]["value"] >= own
    ]


def _leading_term(adverse_events: pd.DataFrame, term: str) -> list[str]:
    by_term = adverse_events.groupby("term")["patient_id"]
    wrong = []
    for unit, counts in (("events", by_term.size()), ("patients", by_term.nunique())):
        others = counts.drop(term, errors="ignore")
        if counts.get(term, 0) <= (others.max() if len(others) else 0):
            wrong.append(f"{term} is not alone the most common adverse event by {unit}")
    return wrong


def impossible_histories(frames: Frames) -> list[str]:
    """Every record that cannot be a history of a patient, or cannot go with the others.

    Every error and warning of a hospital's cohort, and what a calibrated cohort must hold beyond
    them, such as a documented progression after progressive disease as best response. The course of
    lines, or baseline, is checked if its first column has any value; an absent table is not.
    """
    patients, salvage = frames["patients"], frames["salvage"]
    texts = {
        table.name: (as_text(frames[table.name], table.columns), table.name)
        for table in TABLES
        if table.name in frames
    }
    _, problems = check_source(Source(Study(), texts))
    if not _recorded(salvage, "progression_month"):
        problems = [problem for problem in problems if problem.column != "progression_month"]
    lines = _with_spans(patients, salvage)
    rules = _timing_rules(lines)
    if _recorded(lines, "response_month"):
        rules |= _course_rules(lines)
    if _recorded(lines, "target_switched"):
        second = lines["category"] == "second_cart"
        rules["target switch outside, or missing in, a second CAR-T"] = (
            lines["target_switched"].notna() != second
        )
    wrong = [str(problem) for problem in problems] + _listed(lines, rules, ["patient_id", "line"])
    wrong += _listed(patients, _patient_rules(patients, salvage), ["patient_id"])
    if "adverse_events" in frames:
        fatal = frames["adverse_events"].loc[frames["adverse_events"]["grade"] >= FATAL_GRADE]
        toxic = patients["cause_of_death"].isin(["infection", "treatment"])
        silent = toxic & ~patients["patient_id"].isin(fatal["patient_id"])
        wrong += _listed(
            patients,
            {"death of a treatment or infection without a fatal event": silent},
            ["patient_id"],
        )
        events = frames["adverse_events"].merge(
            lines[[*_OF_LINE, "category", "start_month", "stop", "last", "cause_of_death"]],
            how="left",
            on=["patient_id", "line"],
        )
        wrong += _listed(events, _adverse_rules(events), ["patient_id", "line", "term"])
    return wrong


def _recorded(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].notna().any())


def _listed(frame: pd.DataFrame, rules: Mapping[str, pd.Series], keys: list[str]) -> list[str]:
    return [
        f"{' '.join(str(frame.loc[row, key]) for key in keys)}: {rule}"
        for rule, broken in rules.items()
        for row in frame.index[broken.to_numpy(bool)]
    ]


def _with_spans(patients: pd.DataFrame, salvage: pd.DataFrame) -> pd.DataFrame:
    """Lines with ``stop``: the start of the next line, or death or last contact."""
    known = patients.drop(columns=[c for c in patients if c in salvage and c != "patient_id"])
    lines = salvage.merge(known, how="left", on="patient_id")
    lines = lines.sort_values(["patient_id", "line"], ignore_index=True)
    following = lines.groupby("patient_id")["start_month"].shift(-1)
    lines["last"] = following.isna()
    lines["stop"] = following.fillna(lines["os_month"])
    return lines


def _timing_rules(lines: pd.DataFrame) -> dict[str, pd.Series]:
    group = lines.groupby("patient_id")
    second = lines["category"] == "second_cart"
    soon = second.groupby(lines["patient_id"]).shift(-1, fill_value=False)
    soon &= _above(SHORTEST_BEFORE_SECOND_CART - (lines["stop"] - lines["start_month"]), 0)
    return {
        "starts before relapse": lines["start_month"] < lines["relapse_month"],
        "starts at or after the next line, death or last contact": (
            lines["start_month"] >= lines["stop"]
        ),
        "line numbers are not 1, 2, 3": lines["line"] != group.cumcount() + 1,
        "a response that a second CAR-T leaves no time to lose": (
            soon & lines["best_response"].isin(RESPONSE)
        ),
        "a third line in a patient who died at month 1": (
            (lines["os_month"] <= 1) & (lines["line"] > FIRST_LINES_AT_MONTH_ONE)
        ),
    }


def _course_rules(lines: pd.DataFrame) -> dict[str, pd.Series]:
    best, reason = lines["best_response"], lines["response_end_reason"]
    start, stop, end = lines["start_month"], lines["stop"], lines["response_end_month"]
    response, progression = lines["response_month"], lines["progression_month"]
    responded = best.isin(RESPONSE)
    dead, last = lines["died"].astype(bool), lines["last"]
    at_end = end == lines["os_month"]
    radiotherapy = lines["category"] == "radiotherapy"
    second = lines["category"] == "second_cart"
    target = _target(lines["regimen"])
    same, switched = (
        second & (target == lines["cart_target"]),
        second & (target != lines["cart_target"]),
    )
    group = lines.groupby("patient_id")
    after = group["start_month"].shift(-1)
    consolidated = group["intent"].shift(-1) == "consolidation"
    before = best.groupby(lines["patient_id"]).shift()
    kept = ((before == "CR") & (best == "CR")) | ((before == "PR") & responded)
    lost = end.where(reason == "progression")
    active = lost.groupby(lines["patient_id"]).shift().groupby(lines["patient_id"]).ffill()
    active = active.fillna(lines["relapse_month"])
    repeated = lines.duplicated(["patient_id", "regimen"]) & ~radiotherapy
    return {
        "a new line in a response that it does not consolidate": (
            (reason == "new_treatment") & ~consolidated
        ),
        "consolidation that does not keep the response": (
            (lines["intent"] == "consolidation") & ~kept
        ),
        "a long wait for the next line after progression": _above(after - progression, 1.2),
        "treatment goes on after progression": _above(lines["end_month"] - progression, 0),
        "more than twelve cycles of glofitamab": (
            (lines["regimen"] == "glofitamab") & _above(lines["end_month"] - start, 8.3)
        ),
        "a regimen given again": repeated,
        "a second CAR-T that is not yet made": second & _above(1.0 - (start - active), 0),
        "a second CAR-T without progression before it": second
        & ~lines["line"].eq(1)
        & ~(progression.groupby(lines["patient_id"]).shift() <= start),
        "response month without, or missing with, a response": response.notna() != responded,
        "response end without, or missing with, a response": end.notna() != responded,
        "reason of response end without, or missing with, a response": reason.notna() != responded,
        "response outside the line": (response <= start) | (response >= stop),
        "response ends before it begins": end <= response,
        "response ends after the line": end > stop,
        "progression outside the line": (progression <= start) | (progression > stop),
        "progressive disease without progression": (best == "PD") & progression.isna(),
        "not evaluable, but progression documented": (best == "NE") & progression.notna(),
        "response ends with progression at another month": (
            (reason == "progression") & ~(progression == end)
        ),
        "progression in a response that did not end with it": (
            responded & (reason != "progression") & progression.notna()
        ),
        "response ends with death, but not at death": (
            (reason == "death") & ~(dead & last & at_end)
        ),
        "response ongoing, but not at last contact": (
            (reason == "ongoing") & ~(~dead & last & at_end)
        ),
        "response ends with a new treatment, but not at the next line": (
            (reason == "new_treatment") & (last | (end != stop))
        ),
        "treatment ends outside the line": (
            (lines["end_month"] < start) | (lines["end_month"] > stop)
        ),
        "radiotherapy without intent, or intent without radiotherapy": (
            lines["intent"].notna() != radiotherapy
        ),
        "bridging without a next line": (lines["intent"] == "bridging") & last,
        "consolidation without a response of the line before": (
            (lines["intent"] == "consolidation") & ~_follows_response(lines)
        ),
        "regimen against the same target, marked as switched": (
            same & (lines["target_switched"] == 1)
        ),
        "regimen against another target, marked as the same": (
            switched & (lines["target_switched"] == 0)
        ),
    }


def _above(months: pd.Series, limit: float) -> pd.Series:
    """Months above a limit, as they print."""
    return months.round(6) > limit


def _target(product: pd.Series) -> pd.Series:
    """Target of a CAR-T product by its name; licensed products against lymphoma aim at CD19."""
    return product.mask(product.str.endswith("leucel", na=False), "CD19").str.removesuffix(
        " CAR-T (trial)"
    )


def _follows_response(lines: pd.DataFrame) -> pd.Series:
    held = lines["response_end_reason"] == "new_treatment"
    return held.groupby(lines["patient_id"]).shift(1, fill_value=False)


def _patient_rules(patients: pd.DataFrame, salvage: pd.DataFrame) -> dict[str, pd.Series]:
    rules = {
        "relapse after last contact": patients["relapse_month"] > patients["os_month"],
        "no salvage line": ~patients["patient_id"].isin(salvage["patient_id"]),
        "listed twice": patients.duplicated("patient_id"),
    }
    return rules | (_baseline_rules(patients) if _recorded(patients, "age") else {})


def _baseline_rules(patients: pd.DataFrame) -> dict[str, pd.Series]:
    stage, sites = patients["stage"], patients["extranodal_sites"]
    best, relapse = patients["cart_best_response"], patients["relapse_month"]
    items = ["age", "stage", "ecog", "ldh_elevated", "extranodal_sites"]
    index = (
        (patients["age"] > 60).astype(int)
        + (stage >= 3).astype(int)
        + (patients["ecog"] >= POOR_ECOG).astype(int)
        + patients["ldh_elevated"]
        + (sites > 1).astype(int)
    )
    complete = patients[items].notna().all(axis=1)
    dead = patients["died"].astype(bool)
    return {
        "death without a cause": dead & patients["cause_of_death"].isna(),
        "under 18 years": patients["age"] < 18,
        "IPI is not the sum of its items": complete
        & patients["ipi"].notna()
        & (patients["ipi"] != index),
        "IPI without all of its items": patients["ipi"].notna() & ~complete,
        "more than one extranodal site below stage IV": (sites > 1) & (stage < 4),
        "cell of origin outside DLBCL": patients["coo"].notna()
        & (patients["histology"] != "DLBCL NOS"),
        "target does not fit the product": _target(patients["cart_product"])
        != patients["cart_target"],
        "one prior line, but not refractory": (patients["prior_lines"] < 2)
        & (patients["refractory"] != 1),
        "response to the first CAR-T before it could be assessed": (
            best.isin(RESPONSE) & (relapse <= 1)
        ),
        "progressive disease as best response, but a late relapse": (
            (best == "PD") & (relapse > 1.5)
        ),
    }


def _adverse_rules(events: pd.DataFrame) -> dict[str, pd.Series]:
    astct = events["term"].isin(["cytokine release syndrome", "ICANS"])
    treated = events["category"].isin(["bispecific", "second_cart"])
    with_crs = events.loc[events["term"] == "cytokine release syndrome", _OF_LINE]
    crs = pd.MultiIndex.from_frame(events[_OF_LINE]).isin(pd.MultiIndex.from_frame(with_crs))
    since = events["onset_month"] - events["start_month"]
    cause = events["cause_of_death"].where(events["last"].eq(True))
    fatal = events["grade"] >= FATAL_GRADE
    named = ((events["term"] == "infection") & (cause == "infection")) | (
        (events["term"] != "infection") & (cause == "treatment")
    )
    return {
        "CRS or ICANS after the weeks in which it begins": astct
        & _above(since - events["category"].map(LATEST_CRS_OR_ICANS), 0),
        "ICANS without CRS": (events["term"] == "ICANS") & ~crs,
        "severe ICANS after a bispecific antibody": (events["term"] == "ICANS")
        & (events["category"] == "bispecific")
        & (events["grade"] >= SEVERE_GRADE),
        "not in a known line": events["category"].isna(),
        "outside its line": (events["onset_month"] < events["start_month"])
        | (events["onset_month"] > events["stop"]),
        "ASTCT is for CRS and ICANS, CTCAE for the rest": astct != (events["scale"] == "ASTCT"),
        "CRS or ICANS without a bispecific antibody or CAR-T": astct & ~treated,
        "twice in a line": events.duplicated([*_OF_LINE, "term"]),
        "fever beside a CRS of the same line": (events["term"] == "fever") & crs,
        "a fatal event that is not the cause of death": fatal & ~named,
    }
