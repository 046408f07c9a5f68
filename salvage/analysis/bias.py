"""Time and bias: late against early relapse from other time origins, and where nothing is to be
found.

A late relapse guarantees survival up to it. Here the published contrast is repeated with the clock
started elsewhere, and beside it stands what the same analysis gives in cohorts without any effect.
"""

from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from salvage import words
from salvage.analysis import prognosis, provenance, simulate
from salvage.analysis.estimate import Estimate, estimate
from salvage.analysis.survival import Times, from_infusion, from_relapse
from salvage.cohort import Cohort, once
from salvage.cohort.study import Study
from salvage.stats import intervals
from salvage.stats import survival as km

SETTING: Final = simulate.SETTINGS["default"]
#: So many more cohorts are simulated where only those near the printed median and range are kept.
TIMES_MORE: Final = 10
LATE: Final = "Late against early relapse"
SHOWN: Final = {"infusion": "Clock from infusion, as published", "relapse": "Clock from relapse"}


def from_first_salvage_aligned(cohort: Cohort) -> Times:
    """Survival from the first salvage line, one per patient; NaN for patients without salvage."""
    first = cohort.salvage[cohort.salvage["line"] == 1].set_index("patient_id")["start_month"]
    patients = cohort.patients
    start = patients["patient_id"].map(first).to_numpy(dtype=float)
    whole = from_infusion(cohort)
    return Times("OS from first salvage", whole.time - start, whole.event, whole.patient)


@once
def contrasts(cohort: Cohort) -> list[Estimate]:
    """Late against early relapse: as published, and from four other beginnings of the clock.

    From infusion, from relapse, from the first salvage line, from infusion with delayed entry at
    relapse, and from the landmark at the cut-off among those still followed then.
    """
    cut = cohort.study.early_relapse_months
    infusion = from_infusion(cohort)
    salvage = from_first_salvage_aligned(cohort)
    relapse = cohort.patients["relapse_month"].to_numpy(dtype=float)
    landmark = Times(
        f"OS from month {cut:g}", infusion.time - cut, infusion.event, infusion.patient
    )
    fits = {
        "from_salvage": prognosis.fit(cohort, ["late"], salvage, keep=np.isfinite(salvage.time)),
        # Death or last contact on the day of relapse leaves no time at risk after entry.
        "delayed_entry": prognosis.fit(
            cohort, ["late"], infusion, entry=relapse, keep=infusion.time > relapse
        ),
        "landmark": prognosis.fit(cohort, ["late"], landmark, keep=infusion.time > cut),
    }
    labels = {
        "from_salvage": f"{LATE}, OS from first salvage",
        "delayed_entry": f"{LATE}, OS from infusion with delayed entry at relapse",
        "landmark": f"{LATE}, OS from a landmark at {words.months(cut)}",
    }
    return [
        prognosis.late_against_early(cohort),
        prognosis.late_against_early_from_relapse(cohort),
        *(
            prognosis.hazard_ratio(
                cohort.study, f"cox.late_vs_early.{key}.hr", fitted, "late", labels[key]
            )
            for key, fitted in fits.items()
        ),
    ]


def per_month(cohort: Cohort) -> Estimate:
    """Months to relapse as a continuous covariate of survival from relapse."""
    fitted = prognosis.fit(cohort, ["relapse_month"], from_relapse(cohort))
    return prognosis.hazard_ratio(
        cohort.study,
        "cox.relapse_month.from_relapse.hr",
        fitted,
        "relapse_month",
        words.FACTORS["relapse_month"],
    )


def delayed_entry_curve(cohort: Cohort) -> km.KM:
    """Survival from infusion of the treated patients, each at risk from the first salvage line
    only.

    Everyone was selected by having received salvage, so nobody was at risk of counting as a death
    before it. The few at risk early make the curve steep there.
    """
    salvage = from_first_salvage_aligned(cohort)
    whole = from_infusion(cohort)
    entry = whole.time - salvage.time
    used = np.isfinite(entry) & (whole.time > entry)
    return km.kaplan_meier(whole.time[used], whole.event[used], entry[used])


def fewest_at_risk(curve: km.KM, until: float) -> int:
    """The smallest number at risk at a death, up to a month at which somebody died."""
    return int(curve.n_risk[(curve.time <= until) & (curve.n_event > 0)].min())


def delayed_entry_median(cohort: Cohort) -> Estimate:
    """Median of :func:`delayed_entry_curve`."""
    curve = delayed_entry_curve(cohort)
    value, low, high = curve.median
    return estimate(
        cohort.study,
        "os.delayed_entry.median",
        "Median OS from CAR-T infusion, delayed entry at first salvage",
        value,
        (low, high),
        n=curve.n,
        events=curve.events,
        unit="months",
        method="Kaplan-Meier with delayed entry, log-log interval",
    )


# --- cohorts without an effect --------------------------------------------------------------------


@cache
def null_results(name: str = "default") -> dict[str, simulate.HazardRatios]:
    """Hazard ratios of simulated cohorts in one of :data:`salvage.analysis.simulate.SETTINGS`."""
    return simulate.null_hazard_ratios(simulate.SETTINGS[name])


def published_hr() -> float:
    """The hazard ratio that the abstract prints."""
    return float(provenance.figures()["cox.late_vs_early.hr"]["value"])


def null_table() -> pd.DataFrame:
    """One row per setting and analysis: :func:`simulate.summarise` of every setting."""
    return pd.concat(
        {
            name: simulate.summarise(null_results(name), published_hr())
            for name in simulate.SETTINGS
        },
        names=["setting"],
    )


def null_value(setting: str, analysis: str, column: str) -> float:
    """One figure of :func:`null_table`."""
    return float(simulate.summarise(null_results(setting), published_hr())[column].loc[analysis])


def near_value(analysis: str, column: str) -> float:
    """One figure of :func:`near_printed`."""
    return float(near_printed()[column].loc[analysis])


@cache
def near_printed() -> pd.DataFrame:
    """The default setting over simulated cohorts near the printed median and range only."""
    wider = replace(SETTING, cohorts=TIMES_MORE * SETTING.cohorts)
    return simulate.summarise(simulate.null_hazard_ratios_near(wider), published_hr())


def null_estimates(study: Study) -> list[Estimate]:
    """Geometric mean, 5th and 95th percentile of the hazard ratio without any effect, by analysis.

    They describe the published design, whatever the cohort of the book, so they are always assumed.
    """
    table = simulate.summarise(null_results(), published_hr())
    made = []
    for analysis in simulate.ANALYSES:
        row = table.loc[analysis]
        used = int(row["cohorts"] - row["left_out"])
        about = (
            f"{used:,} simulated cohorts of {SETTING.patients} patients; geometric mean, 5th to"
            " 95th percentile"
        )
        made.append(
            estimate(
                study,
                f"bias.null_hr.{analysis}",
                f"{LATE} without any effect, by {words.ANALYSES[analysis].lower()}",
                float(row["hr"]),
                (float(row["low"]), float(row["high"])),
                n=used,
                unit="ratio",
                method=about,
                mark="assumed",
            )
        )
        for share, what in (
            ("share_hr", "at or below the published ratio"),
            ("share_p", "with P below 0.05"),
        ):
            made.append(
                estimate(
                    study,
                    f"bias.null_hr.{analysis}.{share}",
                    f"Share of cohorts without any effect {what}, by"
                    f" {words.ANALYSES[analysis].lower()}",
                    float(row[share]),
                    intervals.clopper_pearson(round(float(row[share]) * used), used),
                    n=used,
                    events=round(float(row[share]) * used),
                    unit="proportion",
                    method=f"{used:,} simulated cohorts of {SETTING.patients} patients",
                    mark="assumed",
                )
            )
    return made


def bias_estimates(cohort: Cohort) -> list[Estimate]:
    """What this module adds to the results: other origins, delayed entry of the cohort, the
    null."""
    return [*contrasts(cohort)[2:], delayed_entry_median(cohort), *null_estimates(cohort.study)]


def sweep_from_relapse(cohort: Cohort) -> pd.DataFrame:
    """Late against early at each cut-off, survival from relapse: see
    :func:`salvage.analysis.prognosis.sweep`."""
    return prognosis.sweep(cohort, from_relapse(cohort))
