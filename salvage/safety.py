"""Adverse events of salvage therapy: patients affected, events, grades and rates over exposure."""

from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort import Cohort
from salvage.estimate import Estimate, estimate
from salvage.stats import proportions, rates
from salvage.survival import with_outcome

FEVER: Final = "fever"
SEVERE_GRADE: Final = 3
DAYS_PER_YEAR: Final = 365.25
MONTHS_PER_YEAR: Final = 12
UNSPECIFIED_SCALE: Final = "not recorded"


def recorded(cohort: Cohort) -> bool:
    """Whether the cohort records any adverse event."""
    return len(cohort.adverse_events) > 0


def _terms(cohort: Cohort) -> pd.DataFrame:
    """Events of treated patients; ``Fever`` and ``fever`` are one term, and every event has a scale."""
    events = cohort.adverse_events
    events = events[events["patient_id"].isin(cohort.salvage["patient_id"])]
    scale = events["scale"].astype(object).where(events["scale"].notna(), UNSPECIFIED_SCALE)
    return events.assign(term=events["term"].str.strip().str.lower(), scale=scale)


def by_term(cohort: Cohort) -> pd.DataFrame:
    """One row per term and scale, most patients first: patients and events, of any grade and severe.

    Columns: term, scale, patients, patients_severe (highest grade of each patient 3 or more), events,
    events_severe, ungraded. Grades of different scales or versions are never pooled.
    """
    columns = ["term", "scale", "patients", "patients_severe", "events", "events_severe", "ungraded"]
    if not recorded(cohort):
        return pd.DataFrame(columns=columns)
    events = _terms(cohort)
    severe = events[events["grade"] >= SEVERE_GRADE]
    keys = ["term", "scale"]
    table = pd.DataFrame(
        {
            "patients": events.groupby(keys)["patient_id"].nunique(),
            "patients_severe": severe.groupby(keys)["patient_id"].nunique(),
            "events": events.groupby(keys).size(),
            "events_severe": severe.groupby(keys).size(),
            "ungraded": events["grade"].isna().groupby([events[k] for k in keys]).sum(),
        }
    )
    table = table.fillna(0).astype(int).reset_index()
    order = ["patients", "events", "term", "scale"]
    return table.sort_values(order, ascending=[False, False, True, True], ignore_index=True)[columns]


def worst_grades(cohort: Cohort) -> pd.DataFrame:
    """Patients by term, scale and their highest grade (columns 1 to 5), most patients first."""
    events = _terms(cohort).dropna(subset=["grade"])
    worst = events.groupby(["term", "scale", "patient_id"])["grade"].max().reset_index()
    table = pd.crosstab([worst["term"], worst["scale"]], worst["grade"].astype(int))
    table = table.reindex(columns=range(1, 6), fill_value=0)
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def exposure(cohort: Cohort) -> pd.Series:
    """Months of exposure of each line: start to its end, else to the next line, else to last contact."""
    lines = with_outcome(cohort)
    end = lines["end_month"].fillna(lines["next_start"]).fillna(lines["os_month"])
    return (end - lines["start_month"]).rename("months")


def by_category(cohort: Cohort) -> pd.DataFrame:
    """Events by the category of their line: lines, exposure, events, severe events and rates.

    The rate is events per patient-year of exposure, with the exact Poisson interval (Garwood 1936).
    Events without a line stand in none of the rows.
    """
    lines = cohort.salvage.assign(months=exposure(cohort))
    lines["line"] = lines["line"].astype(float)
    events = cohort.adverse_events.merge(lines[["patient_id", "line", "category"]], on=["patient_id", "line"])
    grouped = lines.groupby("category")
    table = pd.DataFrame({"lines": grouped.size(), "years": grouped["months"].sum() / MONTHS_PER_YEAR})
    table["events"] = events.groupby("category").size().reindex(table.index, fill_value=0)
    severe = events[events["grade"] >= SEVERE_GRADE]
    table["events_severe"] = severe.groupby("category").size().reindex(table.index, fill_value=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["rate"] = (table["events"] / table["years"]).where(table["years"] > 0)
    limits = [
        rates.poisson(int(e), float(t)) if t > 0 else (None, None)
        for e, t in zip(table["events"], table["years"], strict=True)
    ]
    table["low"], table["high"] = zip(*limits, strict=True) if limits else ((), ())
    return table


def ranking(cohort: Cohort) -> pd.DataFrame:
    """Patients and events of each term, over all scales; columns term, patients, events."""
    grouped = _terms(cohort).groupby("term")
    return grouped.agg(patients=("patient_id", "nunique"), events=("term", "size")).reset_index()


def most_common(cohort: Cohort, by: str = "patients") -> list[str]:
    """The terms with most ``patients`` or most ``events``; more than one where they tie, none without events."""
    table = ranking(cohort)
    return sorted(table.loc[table[by] == table[by].max(), "term"])


def term_estimates(cohort: Cohort, term: str) -> list[Estimate]:
    """Proportion of treated patients with ``term`` at any grade and at grade 3 or more, and its events."""
    events = _terms(cohort)
    events = events[events["term"] == term]
    severe = events[events["grade"] >= SEVERE_GRADE]
    n = len(cohort.treated)
    key = term.replace(" ", "_")
    known = recorded(cohort) and n > 0
    made = []
    for suffix, frame, words_ in (("patients", events, "any grade"), ("severe.patients", severe, "grade 3 or more")):
        affected = int(frame["patient_id"].nunique())
        made.append(
            estimate(
                cohort.study,
                f"ae.{key}.{suffix}",
                f"Treated patients with {term}, {words_}",
                affected / n if known else None,
                proportions.clopper_pearson(affected, n) if known else (None, None),
                n=n,
                events=affected if known else None,
                unit="proportion",
                method="Clopper-Pearson; highest grade of each patient",
            )
        )
    made.append(
        estimate(
            cohort.study, f"ae.{key}.events", f"Events of {term}", float(len(events)) if known else None,
            n=len(cohort.salvage), events=len(events) if known else None, unit="events", method="count of events",
        )
    )
    return made


def safety_estimates(cohort: Cohort) -> list[Estimate]:
    """Any adverse event, any severe one, and fever."""
    n = len(cohort.treated)
    events = _terms(cohort)
    known = recorded(cohort) and n > 0
    severe = events[events["grade"] >= SEVERE_GRADE]
    overall = [
        estimate(
            cohort.study,
            id,
            label,
            frame["patient_id"].nunique() / n if known else None,
            proportions.clopper_pearson(int(frame["patient_id"].nunique()), n) if known else (None, None),
            n=n,
            events=int(frame["patient_id"].nunique()) if known else None,
            unit="proportion",
            method="Clopper-Pearson",
        )
        for id, label, frame in (
            ("ae.any.patients", "Treated patients with any adverse event", events),
            ("ae.severe.patients", "Treated patients with an adverse event of grade 3 or more", severe),
        )
    ]
    return overall + term_estimates(cohort, FEVER)
