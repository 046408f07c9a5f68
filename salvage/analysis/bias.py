"""Time and bias: late against early relapse from other time origins, and without any effect.

A late relapse guarantees survival up to it. Here the published contrast is repeated with the clock
started elsewhere, and beside it stands what the same analysis gives in simulated cohorts in which
the time of relapse has no effect.
"""

from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from salvage import words
from salvage.analysis import least, prognosis, provenance, simulate, survival
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.analysis.survival import Times, from_infusion
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
    """Survival in months from the first salvage line, shape (patients,); NaN for patients without
    salvage.
    """
    first = cohort.salvage[cohort.salvage["line"] == 1].set_index("patient_id")["start_month"]
    patients = cohort.patients
    start = patients["patient_id"].map(first).to_numpy(dtype=float)
    infusion = from_infusion(cohort)
    return Times("OS from first salvage", infusion.time - start, infusion.event, infusion.patient)


@once
def contrasts(cohort: Cohort) -> list[Estimate]:
    """Hazard ratios of late against early relapse with the clock started at five moments.

    From infusion as published, from relapse, from the first salvage line, from infusion with
    delayed entry at relapse, and from the landmark at the cut-off among those still followed then.

    Method: Cox models of :func:`salvage.analysis.prognosis.fit`; landmark of Anderson 1983.
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
        *(prognosis.estimates(cohort)[id] for id, _ in prognosis.LATE.values()),
        *(
            prognosis.hazard_ratio(
                cohort.study, f"cox.late_vs_early.{key}.hr", fitted, "late", labels[key]
            )
            for key, fitted in fits.items()
        ),
    ]


@once
def delayed_entry_curve(cohort: Cohort) -> km.KM:
    """Survival from infusion of the treated patients, each at risk from the first salvage line
    only.

    Everyone was selected by having received salvage, so nobody was at risk of counting as a death
    before it. The few at risk early make the curve steep there.
    """
    infusion = from_infusion(cohort)
    entry = infusion.time - from_first_salvage_aligned(cohort).time
    used = np.isfinite(entry) & (infusion.time > entry)
    return km.kaplan_meier(infusion.time[used], infusion.event[used], entry[used])


def fewest_at_risk(curve: km.KM, until: float) -> int:
    """The smallest number at risk at a death.

    Parameters
    ----------
    curve
        Of :func:`delayed_entry_curve`.
    until
        A month at which somebody died, or a later one.

    Returns
    -------
    Number of patients.

    Raises
    ------
    ValueError
        Where nobody had died by that month.

    >>> fewest_at_risk(km.kaplan_meier([1, 2, 3], [1, 1, 1]), 2)
    2
    """
    return int(curve.n_risk[(curve.time <= until) & (curve.n_event > 0)].min())


def delayed_entry_median(cohort: Cohort) -> Estimate:
    """Median in months of :func:`delayed_entry_curve`, with its log-log interval.

    Without a value where fewer than :data:`least.AT_RISK_LATE_ENTRY` are at risk at a death before
    it: one death among so few moves the curve far, and from 0 it never rises again.
    """
    curve = delayed_entry_curve(cohort)
    middle = survival.median_of(
        cohort.study,
        "os.delayed_entry.median",
        "Median OS from CAR-T infusion, delayed entry at first salvage",
        curve,
        curve.n,
        "Kaplan-Meier with delayed entry, log-log interval",
    )
    if middle.value is None:
        return middle
    fewest = fewest_at_risk(curve, middle.value)
    few = least.below(fewest, least.AT_RISK_LATE_ENTRY, "patient", "at risk at a death before it")
    if not few:
        return middle
    why = f"{words.NOT_ESTIMABLE}: {few}"
    return replace(middle, value=None, low=None, high=None, method=why)


# --- cohorts without an effect --------------------------------------------------------------------


@cache
def null_results(name: str = "default") -> dict[str, simulate.HazardRatios]:
    """Hazard ratios of simulated cohorts.

    Parameters
    ----------
    name
        Of one of :data:`salvage.analysis.simulate.SETTINGS`.

    Returns
    -------
    By analysis, shape (cohorts,).

    Raises
    ------
    KeyError
        For another name.

    Method: :func:`salvage.analysis.simulate.null_hazard_ratios`.
    """
    return simulate.null_hazard_ratios(simulate.SETTINGS[name])


def published_hr() -> float:
    """The hazard ratio that the abstract prints."""
    return float(provenance.printed_figures()["cox.late_vs_early.hr"]["value"])


@cache
def null_table() -> pd.DataFrame:
    """One row per setting and analysis: :func:`simulate.summarise` of every setting."""
    return pd.concat(
        {
            name: simulate.summarise(null_results(name), published_hr())
            for name in simulate.SETTINGS
        },
        names=["setting"],
    )


@cache
def near_printed() -> pd.DataFrame:
    """One row per analysis: the default setting over the simulated cohorts near the printed median
    and range only; see :func:`simulate.summarise`."""
    wider = replace(SETTING, cohorts=TIMES_MORE * SETTING.cohorts)
    return simulate.summarise(simulate.null_hazard_ratios_near(wider), published_hr())


def null_estimates(study: Study) -> list[Estimate]:
    """What a hazard ratio of late against early relapse comes to without any effect.

    Parameters
    ----------
    study
        Of the estimates, which are always assumed: they describe the published design.

    Returns
    -------
    For each analysis the geometric mean with the 5th and 95th percentile, and the shares of cohorts
    at or below the published ratio and with P below 0.05, with exact intervals.

    Method: simulation by :mod:`salvage.analysis.simulate`; Clopper and Pearson 1934.
    """
    without_effect = []
    for analysis in simulate.ANALYSES:
        row = null_table().loc["default"].loc[analysis]
        used = int(row["cohorts"] - row["left_out"])
        cohorts = f"{used:,} simulated cohorts of {SETTING.patients} patients"
        without_effect.append(
            estimate(
                study,
                f"bias.null_hr.{analysis}",
                f"{LATE} without any effect, by {words.ANALYSES[analysis].lower()}",
                float(row["hr"]),
                (float(row["low"]), float(row["high"])),
                n=used,
                unit="ratio",
                method=f"{cohorts}; geometric mean, 5th to 95th percentile",
                mark="assumed",
            )
        )
        for share, what in (
            ("share_hr", "at or below the published ratio"),
            ("share_p", "with P below 0.05"),
        ):
            without_effect.append(
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
                    method=cohorts,
                    mark="assumed",
                )
            )
    return without_effect


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """The contrast from three more origins, the median with delayed entry, and what the analyses
    give without any effect; by id."""
    own = [*contrasts(cohort)[2:], delayed_entry_median(cohort)]
    return by_id([*own, *null_estimates(cohort.study)])
