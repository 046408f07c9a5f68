"""Time and bias: late against early relapse from other time origins, and without any effect.

A late relapse guarantees survival up to it. Here the published contrast is repeated with the clock
started elsewhere, and beside it stands what the same analysis gives without any effect: among the
cohort's own patients, with survival after relapse dealt anew, and in simulated cohorts of the index
study. A response guarantees survival in the same way.
"""

from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from salvage import words
from salvage.analysis import least, prognosis, provenance, simulate, survival
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.analysis.survival import Times, from_first_salvage, from_infusion, guarantee_time
from salvage.cohort import Cohort, once
from salvage.cohort.schema import RESPONSE
from salvage.cohort.study import Study
from salvage.stats import intervals
from salvage.stats import survival as km

SETTING: Final = simulate.SETTINGS["default"]
#: So many more cohorts are simulated where only those near the printed median and range are kept.
TIMES_MORE: Final = 10
LATE: Final = "Late against early relapse"
#: Draws of the cohort's own null. Of many patients there are fewer, so that all draws together hold
#: at most so many; above a number of patients there is none.
DRAWS: Final = 1_000
FEWEST_DRAWS: Final = 100
MOST_DRAWN: Final = 500_000
MOST_PERMUTED: Final = 20_000
SEED: Final = 20260218
# Months that are equal but for rounding are equal to so many decimals.
_DECIMALS: Final = 6
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


# --- the cohort's own null ------------------------------------------------------------------------


@once
def permutation_null(cohort: Cohort) -> simulate.HazardRatios:
    """Late against early relapse, OS from infusion, where relapse timing has no effect; one model
    for each draw.

    Each draw deals the pairs of survival after relapse and death to the times of relapse at random.
    That takes both as independent: what follows the relapse, its end by loss to follow-up included,
    is alike whenever it came.
    """
    patients = cohort.patients
    relapse = patients["relapse_month"].to_numpy(dtype=float)
    after = np.round(patients["os_month"].to_numpy(dtype=float) - relapse, _DECIMALS)
    draws = min(DRAWS, max(FEWEST_DRAWS, MOST_DRAWN // len(patients)))
    dealt = simulate.permuted(relapse, after, patients["died"].to_numpy(dtype=bool), draws, SEED)
    late = dealt.relapse > cohort.study.early_relapse_months
    return simulate.batched_cox(np.round(dealt.survival, _DECIMALS), dealt.died, late)


def why_no_permutation(cohort: Cohort) -> str:
    """Why the cohort has no null of its own; empty where it has one."""
    observed, patients = prognosis.late_fits(cohort)["os"], len(cohort.patients)
    if observed.model is None:
        return observed.reason
    if observed.model.monotone:
        return "the deaths of one group all come first, so the observed ratio has no finite value"
    if patients > MOST_PERMUTED:
        return f"{patients:,} patients are more than the {MOST_PERMUTED:,} that are permuted"
    return "" if np.isfinite(permutation_null(cohort).log_hr).any() else "no draw has a contrast"


def permutation_estimates(cohort: Cohort) -> list[Estimate]:
    """The hazard ratio of :func:`permutation_null`, and the share of draws at or below that of the
    cohort.

    The geometric mean, with the 5th and 95th percentile of the draws as ``low`` and ``high``, which
    are no confidence interval.
    """
    why, row, used = why_no_permutation(cohort), {}, 0
    method = extremes = f"{words.NOT_ESTIMABLE}: {why}"
    if not why:
        # A draw that is the cohort itself must not differ from it by rounding.
        observed = (prognosis.late_against_early(cohort, "os").value or 0.0) * (1 + 1e-9)
        dealt = simulate.summarise({"dealt": permutation_null(cohort)}, observed)
        row = dealt.loc["dealt"].to_dict()
        used = int(row["cohorts"] - row["left_out"])
        method = f"{used:,} permutations of survival after relapse over the times of relapse"
        if row["left_out"]:
            method += f", without {row['left_out']:,.0f} that have no contrast"
        extremes = f"{method}; geometric mean, 5th to 95th percentile, no confidence interval"
    name = f"{LATE}, OS from infusion, survival after relapse permuted over the times of relapse"
    return [
        estimate(
            cohort.study,
            "bias.permutation_null.hr",
            name,
            row.get("hr"),
            (row.get("low"), row.get("high")),
            n=len(cohort.patients),
            events=int(cohort.patients["died"].sum()),
            unit="ratio",
            method=extremes,
        ),
        estimate(
            cohort.study,
            "bias.permutation_null.share",
            f"{name}: share of draws at or below the observed ratio",
            row.get("share_hr"),
            n=used,
            events=round(row["share_hr"] * used) if row else None,
            unit="proportion",
            method=method,
        ),
    ]


# --- response and survival ------------------------------------------------------------------------


@once
def first_responses(cohort: Cohort) -> pd.DataFrame:
    """Treated patients whose first response is dated or who had none, in months from the start of
    their first salvage line.

    Columns: time and died (to death or last contact), responded, and response, the month of the
    first response on any line, missing without one. A patient with a response whose month is not
    recorded is left out.
    """
    times = from_first_salvage(cohort)
    start = guarantee_time(cohort).to_numpy(dtype=float)
    lines = cohort.salvage[cohort.salvage["best_response"].isin(RESPONSE)]
    month = lines.groupby("patient_id")["response_month"].min()
    undated = lines.loc[lines["response_month"].isna(), "patient_id"]
    patients = pd.DataFrame(
        {
            "time": times.time,
            "died": times.event,
            "responded": np.isin(times.patient, lines["patient_id"]),
            "response": month.reindex(times.patient).to_numpy(dtype=float) - start,
        }
    )
    return patients[~np.isin(times.patient, undated)].reset_index(drop=True)


@once
def response_contrasts(cohort: Cohort) -> list[Estimate]:
    """Hazard ratio of death of patients who responded to salvage against others, from the start of
    the first salvage line: with response as it became known, and as if known from the start.

    The first takes nobody for a responder before the response (Mantel and Byar 1974); a response
    counts on after it has ended.

    Method: Cox models as :func:`prognosis.fit`, of start-stop rows as R ``Surv(start, stop,
    event)``.
    """
    patients = first_responses(cohort)
    time, died = patients["time"].to_numpy(), patients["died"].to_numpy()
    responded, month = patients["responded"].to_numpy(), patients["response"].to_numpy()
    # Who responds on the last day is never at risk as a responder.
    before = np.where(month < time, month, time)
    later = before < time
    rows = prognosis.fit_group(
        "responded",
        np.repeat([False, True], [len(time), later.sum()]),
        np.concatenate([before, time[later]]),
        np.concatenate([died & ~later, died[later]]),
        np.concatenate([np.zeros(len(time)), before[later]]),
    )
    few = (
        least.below(int(died.sum()), least.EVENTS, "death")
        or least.below(int(later.sum()), least.GROUP, "patient", "with a response")
        or least.below(int((~responded).sum()), least.GROUP, "patient", "without a response")
    )
    undated = len(cohort.treated) - len(patients)
    left_out = f"; without {words.count(undated, 'patient')} whose response has no month"
    contrasts = []
    for key, label, fitted in (
        ("time_dependent", "as it became known", rows),
        (
            "naive",
            "as if known from the start",
            prognosis.fit_group("responded", responded, time, died),
        ),
    ):
        if few:
            fitted = replace(fitted, model=None, reason=few)
        e = prognosis.hazard_ratio(
            cohort.study,
            f"response_survival.{key}.hr",
            replace(fitted, n=len(time), events=int(died.sum())),
            "responded",
            f"{words.FACTORS['responded']}, {label}, OS from first salvage",
        )
        contrasts.append(replace(e, method=e.method + left_out) if undated else e)
    return contrasts


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
    """The contrast from three more origins, the median with delayed entry, the cohort's own null,
    response and survival, and what the analyses give without any effect; by id."""
    own = [
        *contrasts(cohort)[2:],
        delayed_entry_median(cohort),
        *permutation_estimates(cohort),
        *response_contrasts(cohort),
    ]
    return by_id([*own, *null_estimates(cohort.study)])
