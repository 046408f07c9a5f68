"""Relapse timing without an effect: against an independent simulation and statsmodels."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.hazard_regression import PHReg

from salvage.analysis.simulate import (
    ANALYSES,
    LARGEST_LOG_HR,
    SETTINGS,
    HazardRatios,
    NearPrinted,
    NullSetting,
    analyse,
    batched_cox,
    near_printed,
    null_hazard_ratios,
    null_hazard_ratios_near,
    simulate,
    summarise,
)

PUBLISHED_HR = 0.44
#: Cohorts behind each cell of the reference table, and simulated here.
REFERENCE_COHORTS, OWN_COHORTS = 4_000, 12_000
#: Two simulations differ by more than this many standard errors once in 16,000 comparisons.
STANDARD_ERRORS = 4.0


@dataclass(frozen=True)
class Row:
    hr: float
    interval: tuple[float, float] | None
    share_p: float
    share_hr: float
    relapse: float
    delayed_entry: float
    landmark: float


#: The reference simulation, written independently of this one; every figure has two digits.
REFERENCE = {
    "default": Row(0.43, (0.18, 0.89), 0.48, 0.48, 1.01, 0.95, 0.53),
    "equal_medians": Row(0.37, (0.14, 0.80), 0.61, 0.60, 1.01, 0.94, 0.46),
    "late_cutoff": Row(0.28, (0.09, 0.64), 0.59, 0.77, 1.08, 1.01, 0.44),
    "falling_hazard": Row(0.52, None, 0.35, 0.34, 1.01, 1.42, 0.71),
    "rising_hazard": Row(0.22, None, 0.92, 0.92, 1.01, 0.52, 0.25),
}


@pytest.fixture(scope="module", params=list(REFERENCE))
def compared(request: pytest.FixtureRequest) -> tuple[Row, dict[str, HazardRatios], pd.DataFrame]:
    setting = replace(SETTINGS[request.param], cohorts=OWN_COHORTS)
    results = null_hazard_ratios(setting)
    return REFERENCE[request.param], results, summarise(results, PUBLISHED_HR)


def _tolerance(variance_of_one: float) -> float:
    """Monte Carlo error of the difference of both simulations, plus half the last digit."""
    both = 1 / REFERENCE_COHORTS + 1 / OWN_COHORTS
    return STANDARD_ERRORS * float(np.sqrt(variance_of_one * both)) + 0.005


@pytest.mark.parametrize("analysis", ANALYSES)
def test_mean_hazard_ratio_agrees_with_the_reference(compared, analysis):
    row, results, summary = compared
    expected = row.hr if analysis == "infusion" else getattr(row, analysis)
    hr = summary.loc[analysis, "hr"]
    # Delta method: the standard deviation of HR is HR times that of log HR.
    assert abs(hr - expected) <= _tolerance((hr * np.nanstd(results[analysis].log_hr)) ** 2)


@pytest.mark.parametrize("share", ["share_p", "share_hr"])
def test_shares_agree_with_the_reference(compared, share):
    row, _, summary = compared
    p = summary.loc["infusion", share]
    assert abs(p - getattr(row, share)) <= _tolerance(p * (1 - p))


def test_percentiles_agree_with_the_reference(compared):
    row, results, summary = compared
    if row.interval is None:
        assert summary.loc["infusion", "low"] < row.hr < summary.loc["infusion", "high"]
        return
    hr = np.exp(results["infusion"].log_hr)
    for level, name, expected in zip((0.05, 0.95), ("low", "high"), row.interval, strict=True):
        below, above = np.nanquantile(hr, [level - 0.01, level + 0.01])
        density = 0.02 / (above - below)
        variance = level * (1 - level) / density**2
        assert abs(summary.loc["infusion", name] - expected) <= _tolerance(variance)


def test_only_the_origin_at_relapse_is_unbiased_in_every_setting():
    for setting in SETTINGS.values():
        summary = summarise(null_hazard_ratios(setting), PUBLISHED_HR)
        assert summary.loc["infusion", "hr"] < summary.loc["landmark", "hr"] < 0.8
        # With few late relapsers the estimate is skewed; its mean is not exactly 1.
        assert 0.95 < summary.loc["relapse", "hr"] < 1.12
        assert summary.loc["relapse", "share_p"] < 0.08
    assert summarise(null_hazard_ratios(SETTINGS["rising_hazard"]), PUBLISHED_HR).loc[
        "delayed_entry", "hr"
    ] == pytest.approx(0.52, abs=0.05)


def _statsmodels(time, died, group, entry=None) -> tuple[float, float, float]:
    fit = PHReg(time, group.astype(float)[:, None], died.astype(int), entry=entry).fit()
    return fit.params[0], fit.bse[0], fit.pvalues[0]


@pytest.mark.parametrize("analysis", ANALYSES)
def test_batched_cox_is_the_cox_model_of_statsmodels(analysis):
    setting = NullSetting(cohorts=6, censored=0.2, seed=11)
    cohorts = simulate(setting)
    result = analyse(cohorts, setting.cutoff)[analysis]
    late = cohorts.relapse > setting.cutoff
    assert not cohorts.died.all()
    for i in range(setting.cohorts):
        keep = np.ones(setting.patients, dtype=bool)
        times, entry = cohorts.survival[i], None
        if analysis == "relapse":
            times = cohorts.after[i]
        elif analysis == "delayed_entry":
            entry = cohorts.relapse[i]
        elif analysis == "landmark":
            keep = times > setting.cutoff
            times = times - setting.cutoff
        expected = _statsmodels(times[keep], cohorts.died[i][keep], late[i][keep], entry)
        found = (result.log_hr[i], result.se[i], result.p[i])
        assert found == pytest.approx(expected, rel=1e-8)


def test_two_patients_by_hand():
    """Deaths at 1 (exposed) and 2 (not), then 3 (exposed): the score equation is a quadratic."""
    times = np.array([[1.0, 2.0, 3.0]])
    died = np.ones((1, 3), dtype=bool)
    group = np.array([[True, False, True]])
    # 1 - 2h/(2h + 1) - h/(h + 1) = 0 gives 2 h^2 = 1.
    fit = batched_cox(times, died, group)
    assert np.exp(fit.log_hr[0]) == pytest.approx(np.sqrt(0.5), rel=1e-12)


@pytest.mark.parametrize(
    ("entered", "expected"),
    [
        # R: coxph(Surv(time, died) ~ g), and with Surv(entry, time, died); coef and se.
        (False, (-0.0935350109621, 0.674709343997)),
        (True, (-0.612548921518, 0.684713858106)),
    ],
)
def test_ties_are_efrons_as_in_r(entered, expected):
    times = np.array([[1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 6, 7.0]])
    died = np.array([[1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0]]) == 1
    group = np.array([[1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1]]) == 1
    entry = np.array([[0, 0, 1, 0, 0, 2, 0, 3, 0, 0, 4, 0.0]]) if entered else None
    fit = batched_cox(times, died, group, entry)
    assert (fit.log_hr[0], fit.se[0]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ([False, False, False, False], "nobody is late"),
        ([True, True, True, True], "everybody is late"),
        ([True, True, False, False], "every early death follows every late one"),
    ],
)
def test_a_cohort_without_contrast_is_left_out_and_counted(group, why):
    times = np.array([[1.0, 2.0, 3.0, 4.0]])
    fit = batched_cox(times, np.ones((1, 4), dtype=bool), np.array([group]))
    assert fit.left_out == 1, why
    assert np.isnan([fit.log_hr[0], fit.se[0], fit.p[0]]).all(), why
    summary = summarise({"infusion": fit}, PUBLISHED_HR).loc["infusion"]
    assert summary["left_out"] == 1
    assert np.isnan(summary["hr"])


def test_no_death_is_no_contrast():
    times = np.array([[1.0, 2.0, 3.0]])
    fit = batched_cox(times, np.zeros((1, 3), dtype=bool), np.array([[True, False, True]]))
    assert fit.left_out == 1


def test_log_hazard_ratios_stay_within_the_limit():
    results = null_hazard_ratios(SETTINGS["late_cutoff"])
    assert all(np.nanmax(np.abs(r.log_hr)) <= LARGEST_LOG_HR for r in results.values())
    assert results["landmark"].left_out > 0


def test_simulated_times_follow_the_setting():
    setting = NullSetting(
        median_relapse=3,
        sigma_relapse=0.5,
        median_survival=4,
        shape=1.5,
        censored=0.1,
        cohorts=4000,
        seed=5,
    )
    cohorts = simulate(setting)
    assert cohorts.relapse.shape == (4000, 29)
    assert np.median(cohorts.relapse) == pytest.approx(3, rel=0.02)
    assert np.log(cohorts.relapse).std() == pytest.approx(0.5, rel=0.02)
    assert 1 - cohorts.died.mean() == pytest.approx(0.1, abs=0.004)
    assert np.median(cohorts.after[cohorts.died]) == pytest.approx(4, rel=0.02)
    # Of a Weibull with this shape a quarter lives beyond median * 2 ** (1 / 1.5).
    assert (cohorts.after[cohorts.died] > 4 * 2 ** (1 / 1.5)).mean() == pytest.approx(
        0.25, abs=0.01
    )
    assert np.corrcoef(cohorts.relapse.ravel(), cohorts.after.ravel())[0, 1] == pytest.approx(
        0, abs=0.015
    )
    assert np.allclose(cohorts.survival, cohorts.relapse + cohorts.after)


def test_a_lost_patient_is_followed_for_half_of_the_time_on_average():
    """The moment of the loss is uniform between relapse and death, and shortens the time."""
    cohorts = simulate(NullSetting(censored=0.5, cohorts=4000, seed=7))
    lost, kept = cohorts.after[~cohorts.died], cohorts.after[cohorts.died]
    error = 4 * np.sqrt(lost.var() / len(lost) + kept.var() / (4 * len(kept)))
    assert abs(lost.mean() - kept.mean() / 2) < error


def test_the_same_seed_gives_the_same_figures():
    setting = NullSetting(cohorts=50)
    first, again = null_hazard_ratios(setting), null_hazard_ratios(setting)
    other = null_hazard_ratios(replace(setting, seed=setting.seed + 1))
    for name in ANALYSES:
        np.testing.assert_array_equal(first[name].log_hr, again[name].log_hr)
        assert not np.array_equal(first[name].log_hr, other[name].log_hr)


@pytest.mark.parametrize("name", ["default", "equal_medians"])
def test_the_published_ratio_stays_common_among_cohorts_near_the_printed_range(name):
    """Between 37% and 62% in the reference, whose definition of near is not stated."""
    setting = replace(SETTINGS[name], cohorts=40_000)
    cohorts = simulate(setting)
    near = NearPrinted()
    kept = cohorts.take(near_printed(cohorts, near))
    times = kept.survival
    assert 1_000 < len(times) < 4_000
    assert np.median(times, axis=1).min() >= near.median[0]
    assert np.median(times, axis=1).max() <= near.median[1]
    assert near.shortest[0] <= times.min(axis=1).min() < times.min(axis=1).max()
    assert times.min(axis=1).max() <= near.shortest[1]
    assert near.longest[0] <= times.max(axis=1).min() < times.max(axis=1).max()
    assert times.max(axis=1).max() <= near.longest[1]
    summary = summarise(null_hazard_ratios_near(setting), PUBLISHED_HR)
    assert summary.loc["infusion", "cohorts"] == len(times)
    assert 0.37 < summary.loc["infusion", "share_hr"] < 0.62


def test_no_cohort_near_what_was_printed_gives_counts_only():
    never = NearPrinted(median=(100, 101))
    summary = summarise(null_hazard_ratios_near(NullSetting(cohorts=20), never), PUBLISHED_HR)
    assert (summary["cohorts"] == 0).all()
    assert summary["hr"].isna().all()


def test_a_setting_without_meaning_is_refused():
    with pytest.raises(ValueError, match=r"shape must be above 0; patients must be at least 2"):
        NullSetting(shape=0, patients=1)
    with pytest.raises(ValueError, match=r"cohorts must be at least 1; censored must lie"):
        NullSetting(cohorts=0, censored=1.0)


def test_the_default_setting_takes_seconds():
    start = time.perf_counter()
    null_hazard_ratios(NullSetting())
    assert time.perf_counter() - start < 5
