"""What is stored of the cohorts that agree with the abstract is what they give."""

import numpy as np
import pandas as pd
import pytest

from salvage.analysis import provenance
from salvage.report.gate import book_cohort
from salvage.synthetic import spread


def test_stored_quantities_are_those_of_the_stored_cohorts() -> None:
    # Stored with ten digits; Cox fits iterate, so the last ones may differ between machines.
    pd.testing.assert_frame_equal(spread.measure(), spread.measured(), rtol=1e-7, check_exact=False)


def test_at_least_two_hundred_cohorts_print_the_published_ratio() -> None:
    entry = provenance.printed_figures()["cox.late_vs_early.hr"]
    ratios = spread.measured()["cox.infusion.hr"]
    assert len(ratios) >= 200
    assert all(provenance.prints_as(hr, entry["value"], entry["step"]) for hr in ratios)


def test_estimates_hold_the_range_and_are_assumed() -> None:
    found = spread.estimates(book_cohort().study)
    e = found["spread.cox.from_relapse.hr"]
    values = spread.measured()["cox.from_relapse.hr"]
    assert (e.low, e.high) == (values.min(), values.max())
    assert e.provenance == "assumed"
    assert e.n == len(values)


@pytest.mark.parametrize("quantity", spread.QUANTITIES, ids=lambda q: q.key)
def test_every_quantity_is_measured_in_some_cohort(quantity: spread.Quantity) -> None:
    values = spread.measured()[quantity.key]
    assert values.notna().any()
    assert np.isfinite(values.dropna()).all()
    if quantity.unit == "proportion":
        assert values.dropna().between(0, 1).all()


def test_no_stored_cohort_prints_a_ratio_above_one() -> None:
    assert (spread.measured()["cox.infusion.hr"] <= 1).all()
