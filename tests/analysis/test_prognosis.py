"""Prognostic factors: how covariates are made, which model is fitted, and what is said of it."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.stats.multitest import multipletests

from salvage import words
from salvage.analysis import prognosis, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort, load
from salvage.display.show import Table
from salvage.paths import DATA
from salvage.report import prognosis as report_prognosis
from salvage.stats import exact
from tests.cohorts import EDGES, Recipe, Tables, generate


def cohort(**columns: list[object]) -> Cohort:
    """Patients with the given columns; all die, a month apart, and have one line at relapse."""
    n = len(next(iter(columns.values())))
    base = {
        "patient_id": [f"P{i:03}" for i in range(n)],
        "relapse_month": [1.0] * n,
        "os_month": [2.0 + i for i in range(n)],
        "died": [1] * n,
    }
    patients = pd.DataFrame(base | columns)
    salvage = pd.DataFrame(
        {
            "patient_id": patients["patient_id"],
            "line": 1,
            "category": "other",
            "start_month": patients["relapse_month"],
            "best_response": "PD",
        }
    )
    return Tables(patients, salvage).cohort()


@pytest.mark.parametrize(
    ("key", "given_", "expected"),
    [
        ("late", {"relapse_month": [1.0, 3.0, 3.1]}, [0, 0, 1]),
        ("relapse_month", {"relapse_month": [0.5, 1.0, 2.0]}, [0.5, 1, 2]),
        ("age", {"age": [60, None, 45]}, [6, np.nan, 4.5]),
        ("sex", {"sex": ["M", "F", None]}, [1, 0, np.nan]),
        ("stage", {"stage": [2, 3, None]}, [0, 1, np.nan]),
        ("ipi", {"ipi": [2, 3, 5]}, [0, 1, 1]),
        ("ecog", {"ecog": [1, 2, None]}, [0, 1, np.nan]),
        ("extranodal_sites", {"extranodal_sites": [1, 2, 0]}, [0, 1, 0]),
        (
            "cart_best_response",
            {"cart_best_response": ["CR", "PR", None, "NE"]},
            [1, 0, np.nan, np.nan],
        ),
        ("histology", {"histology": ["b", "b", "a"]}, [1, 1, 0]),
        # Ties: the first of the alphabet.
        ("coo", {"coo": ["b", "a", None]}, [0, 1, np.nan]),
    ],
)
def test_how_a_covariate_is_made(
    key: str, given_: dict[str, list[object]], expected: list[float]
) -> None:
    factor = next(f for f in prognosis.FACTORS if f.key == key)
    np.testing.assert_array_equal(factor.values(cohort(**given_)).to_numpy(), expected)


def test_the_label_names_the_most_frequent_value() -> None:
    made = cohort(histology=["HGBL", "tFL", "HGBL"])
    factor = next(f for f in prognosis.FACTORS if f.key == "histology")
    assert factor.label(made) == "Histology: HGBL against others"
    assert factor.label(cohort(age=[1, 2, 3])) == "Histology"


@pytest.mark.parametrize(
    ("times", "unit", "label"),
    [
        ([1.0, 1.2, 1.4, 1.6], 1, "Months to relapse, per month"),
        ([0.0, 2.0, 3.0, 5.0], 1, "Months to relapse, per month"),
        ([0.0, 2.0, 5.0, 7.0], 3, "Months to relapse, per 3 months"),
        ([1.0, 5.0, 30.0, 90.0], 12, "Months to relapse, per 12 months"),
    ],
)
def test_the_unit_of_months_to_relapse_lies_within_the_middle_half(
    times: list[float], unit: int, label: str
) -> None:
    made = cohort(relapse_month=times, os_month=[100.0] * 4)
    factor = next(f for f in prognosis.FACTORS if f.key == "relapse_month")
    assert factor.label(made) == label
    np.testing.assert_allclose(factor.values(made), np.array(times) / unit)


def test_a_response_that_was_not_evaluable_is_left_out_and_counted() -> None:
    best = ["CR"] * 8 + ["PR"] * 8 + ["NE"] * 3
    made = cohort(cart_best_response=best)
    e = prognosis.estimates(made)["cox.univariable.cart_best_response.hr"]
    assert e.n == 16
    assert e.value is not None
    notes = report_prognosis.univariable(made).notes
    assert (
        "The response to the first CAR-T was not evaluable in 3 patients, left out there." in notes
    )


def test_every_baseline_column_has_a_factor() -> None:
    made = cohort(age=[1])
    baseline = set(made.patients.columns) - {"patient_id", "os_month", "died", "cause_of_death"}
    assert {f.column for f in prognosis.FACTORS} == baseline
    assert {f.key for f in prognosis.FACTORS} == set(words.FACTORS) - {"responded"}


def test_a_fit_is_that_of_an_independent_implementation() -> None:
    made = generate(Recipe(patients=60, seed=4, missing=0.2)).cohort()
    times = survival.from_relapse(made)
    fitted = prognosis.fit(made, ["relapse_month", "age"], times)
    known = made.patients["age"].notna().to_numpy()
    months_to_relapse = made.patients["relapse_month"] / prognosis.relapse_unit(made)
    x = np.column_stack([months_to_relapse, made.patients["age"] / 10])[known]
    # Months that differ by a rounding error are one time here and two for statsmodels.
    months = np.round(times.time[known], 9)
    other = PHReg(months, x, times.event[known].astype(int), ties="efron").fit()
    assert fitted.model is not None
    assert (fitted.n, fitted.left_out) == (known.sum(), (~known).sum())
    np.testing.assert_allclose(np.log(np.array(fitted.model.hr)), other.params, rtol=1e-6)
    np.testing.assert_allclose(np.array(fitted.model.se), other.bse, rtol=1e-6)
    np.testing.assert_allclose(np.array(fitted.model.p), other.pvalues, rtol=1e-6)


def test_shipped_cohort_prints_the_published_ratio_from_infusion_only() -> None:
    made = load(DATA)
    e = prognosis.late_against_early(made, "os")
    printed = [f"{v:.2f}" for v in (e.value, e.low, e.high) if v is not None]
    assert printed == ["0.44", "0.21", "0.95"]
    assert f"{e.p:.3f}" == "0.038"
    assert (e.provenance, e.provenance_interval) == ("published", "published")
    other = prognosis.late_against_early(made, "os.from_relapse")
    assert other.provenance == "assumed"


@given(st.lists(st.none() | st.floats(0, 1), min_size=0, max_size=20))
@settings(deadline=None)
def test_holm_against_statsmodels(p_values: list[float | None]) -> None:
    adjusted = exact.holm(p_values)
    known = [p for p in p_values if p is not None]
    # statsmodels collects garbage at each call: half a second in a process that ran other tests.
    with mock.patch("gc.collect"):
        expected = iter(multipletests(known, method="holm")[1] if known else ())
    for p, found in zip(p_values, adjusted, strict=True):
        if p is None:
            assert found is None
        else:
            assert found == pytest.approx(next(expected), rel=1e-12, abs=0)


# --- where nothing can be estimated ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("edge", "reason"),
    [
        ("no_deaths", "0 deaths, fewer than 10"),
        ("everyone_early", "all patients have the same value"),
        ("everyone_late", "all patients have the same value"),
        ("one_patient_alive", "all patients have the same value"),
        ("all_dead_at_once", "all patients at risk died at the same time"),
        ("one_patient", "all patients have the same value"),
    ],
)
def test_a_contrast_that_is_not_there_gives_its_reason(edge: str, reason: str) -> None:
    e = prognosis.late_against_early(EDGES[edge]().cohort(), "os")
    assert (e.value, e.low, e.high, e.p) == (None, None, None, None)
    assert e.method == f"not estimable: {reason}"


@pytest.mark.parametrize(
    ("late", "deaths", "reason"),
    [
        (5, 10, ""),
        (4, 10, "4 patients in one group, fewer than 5"),
        (5, 9, "9 deaths, fewer than 10"),
    ],
)
def test_a_contrast_needs_ten_deaths_and_five_in_each_group(
    late: int, deaths: int, reason: str
) -> None:
    n = 14
    made = cohort(
        relapse_month=[5.0] * late + [1.0] * (n - late),
        os_month=[6.0 + (7 * i) % 13 for i in range(n)],
        died=[1] * deaths + [0] * (n - deaths),
    )
    found = prognosis.estimates(made)
    tests = [e for id, e in found.items() if id.startswith("cox.late_vs_early")]
    assert len(tests) == 10
    for e in tests:
        assert (e.value is None) == (e.p is None) == bool(reason), e
        if reason:
            assert e.method == f"not estimable: {reason}"


def test_a_column_that_is_not_recorded_gives_that_reason() -> None:
    made = EDGES["only_required_columns"]().cohort()
    fitted = prognosis.prespecified(made)
    assert (fitted.model, fitted.reason) == (None, "no patient has every covariate recorded")
    alone = prognosis.fit(made, ["ecog"], survival.from_relapse(made))
    assert (alone.model, alone.reason) == (None, "not recorded")


def test_covariates_that_determine_one_another_are_refused() -> None:
    made = cohort(stage=[1, 3, 4, 2, 3] * 4, relapse_month=[0.0, 1.0, 1.0, 0.0, 1.0] * 4)
    fitted = prognosis.fit(made, ["stage", "relapse_month"], survival.from_infusion(made))
    assert (fitted.model, fitted.reason) == (None, "the covariates determine one another")


def test_a_model_that_would_diverge_is_firths_and_says_so() -> None:
    made = EDGES["a_separated_group"]().cohort()
    e = prognosis.late_against_early(made, "os.from_relapse")
    assert "Firth" in e.method
    assert "because the Cox model does not converge" in e.method
    assert e.value is not None
    assert 0 < e.value < 0.2
    table = report_prognosis.origins(made)
    assert any(report_prognosis.FIRTH in cell for row in table.rows for cell in row)
    assert report_prognosis.FIRTH_NOTE in table.notes
    assert "“Late against early relapse”" in report_prognosis.replaced(made).plain()


def test_no_cox_model_is_marked_where_all_converge() -> None:
    made = load(DATA)
    assert not any(
        report_prognosis.FIRTH in cell
        for row in report_prognosis.univariable(made).rows
        for cell in row
    )
    assert "converged" in report_prognosis.replaced(made).plain()


@pytest.mark.parametrize(("deaths", "enough"), [(19, False), (20, True)])
def test_two_covariates_need_twenty_deaths(deaths: int, enough: bool) -> None:
    n = 30
    rng = np.random.default_rng(1)
    made = cohort(
        ecog=[int(v) for v in rng.integers(0, 4, n)],
        relapse_month=[float(v) for v in rng.integers(0, 5, n)],
        os_month=[float(v) for v in rng.integers(5, 30, n)],
        died=[1] * deaths + [0] * (n - deaths),
    )
    fitted = prognosis.prespecified(made)
    assert fitted.events == deaths
    assert (fitted.model is not None) == enough
    assert isinstance(report_prognosis.model_table(made), Table) == enough
    why = f"not estimable: {deaths} deaths, fewer than 20"
    assert all(e.method == why for e in prognosis.prespecified_estimates(made)) != enough


# --- sweep ----------------------------------------------------------------------------------------


def test_the_sweep_counts_both_groups_and_holds_the_studys_own_cut_off() -> None:
    made = EDGES["another_hospital"]().cohort()
    assert prognosis.cut_offs(made.study) == (1, 2, 2.5, 3, 4, 6)
    sweep = prognosis.sweep(made, "os.from_relapse")
    relapse = made.patients["relapse_month"]
    for cut, (_, early, late, *_) in zip(
        sweep, report_prognosis.sweep_table(made).rows, strict=True
    ):
        assert int(late) == (relapse > cut).sum()
        assert int(early) + int(late) == len(relapse)
    e = prognosis.late_against_early(made, "os.from_relapse")
    assert (sweep[2.5].value, sweep[2.5].p) == (e.value, e.p)


def test_the_sweep_agrees_with_the_table_and_the_sentence() -> None:
    made = load(DATA)
    found = prognosis.estimates(made)
    assert found["cox.sweep.3.hr"].value == prognosis.late_against_early(made, "os").value
    table = report_prognosis.sweep_table(made)
    assert [row[0] for row in table.rows] == ["1", "2", "3 (this book)", "4", "6"]
    assert max(len(row) for row in table.rows) <= 7


@pytest.mark.parametrize("edge", EDGES)
def test_the_sweep_is_estimated_or_says_why(edge: str) -> None:
    made = EDGES[edge]().cohort()
    for origin in prognosis.LATE:
        for e in prognosis.sweep(made, origin).values():
            assert (e.value is None) == e.method.startswith("not estimable")


# --- what is said ---------------------------------------------------------------------------------


def test_the_number_of_tests_is_the_number_of_p_values() -> None:
    made = load(DATA)
    found: list[Estimate] = prognosis.univariable_estimates(made)
    tested = sum(e.p is not None for e in found)
    table = report_prognosis.univariable(made)
    assert sum(row[5] != report_prognosis.NONE for row in table.rows) == tested
    assert f"{tested} tests" in table.caption
    assert f"{tested} tests" in report_prognosis.policy(made).plain()


def test_nobody_is_called_an_independent_risk_factor() -> None:
    made = load(DATA)
    said = " ".join(
        part(made).plain()
        for part in (
            report_prognosis.answer,
            report_prognosis.policy,
            report_prognosis.model,
            report_prognosis.sweep,
            report_prognosis.proportional,
            report_prognosis.univariable,
            report_prognosis.model_table,
        )
    )
    assert "independent" not in said
    assert "risk factor" not in said


def test_proportional_hazards_have_a_row_for_each_covariate_and_a_global_one() -> None:
    table = report_prognosis.proportional_table(load(DATA))
    assert [row[0] for row in table.rows] == [
        "Months to relapse, per 3 months",
        words.FACTORS["ecog"],
        "Both together (global)",
    ]
    assert [row[2] for row in table.rows] == ["1", "1", "2"]
