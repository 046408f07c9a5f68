"""What holds for every cohort of 1 to 60 patients, however odd."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salvage.stats import clustered, exact, intervals, shrinkage
from salvage.stats import cox as cx
from salvage.stats import survival as sv

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def follow_up(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Times on a coarse or a fine grid, so that ties are common, and events."""
    n = draw(st.integers(1, 60))
    step = draw(st.sampled_from([1.0, 0.5, 0.1, 1 / 30.4375]))
    time = draw(st.lists(st.integers(0, draw(st.sampled_from([1, 6, 40]))), min_size=n, max_size=n))
    event = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return np.array(time) * step, np.array(event)


@st.composite
def with_entry(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time, event = draw(follow_up())
    share = draw(st.lists(st.integers(0, 4), min_size=len(time), max_size=len(time)))
    return time, event, time * np.array(share) / 4


@st.composite
def with_covariates(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time, event = draw(follow_up())
    columns = []
    for top in draw(st.lists(st.sampled_from([1, 2, 30]), min_size=1, max_size=3)):
        values = st.lists(st.integers(0, top), min_size=len(time), max_size=len(time))
        columns.append(draw(values))
    if draw(st.booleans()):
        columns[0] = (time > np.median(time)).astype(int).tolist()
    return np.array(columns, dtype=float).T, time, event


@st.composite
def lines(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Responses, categories and patients of treatment lines; some patients may have none."""
    n = draw(st.integers(1, 60))
    study = draw(st.integers(1, 30))
    patient = draw(st.lists(st.integers(1, study), min_size=n, max_size=n))
    category = draw(st.lists(st.sampled_from("abcdef"), min_size=n, max_size=n))
    y = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    names = np.array([f"P{i:03d}" for i in patient])
    return np.array(y), np.array(category), names, study


def numbers(thing: Any) -> list[float]:
    """Every number in a result, arrays included."""
    if thing is None or isinstance(thing, str | bool):
        return []
    if dataclasses.is_dataclass(thing):
        return [x for f in dataclasses.fields(thing) for x in numbers(getattr(thing, f.name))]
    if isinstance(thing, np.ndarray):
        return thing.astype(float).ravel().tolist()
    if isinstance(thing, list | tuple):
        return [x for item in thing for x in numbers(item)]
    return [float(thing)]


def assert_finite(thing: Any) -> None:
    assert all(math.isfinite(x) for x in numbers(thing)), thing


def assert_close(first: Any, second: Any, tolerance: float = 1e-9) -> None:
    """The same result, but for the rounding of sums in another order."""
    assert str(type(first)) == str(type(second))
    a, b = numbers(first), numbers(second)
    assert len(a) == len(b)
    assert a == pytest.approx(b, rel=tolerance, abs=tolerance, nan_ok=True)


def assert_inside(low: float | None, value: float | None, high: float | None) -> None:
    if low is not None and value is not None:
        assert low <= value * (1 + 1e-12) + 1e-12
    if high is not None and value is not None:
        assert value <= high * (1 + 1e-12) + 1e-12


def shuffled(seed: int, *arrays: np.ndarray) -> list[np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(arrays[0]))
    return [a[order] for a in arrays]


@QUICK
@given(with_entry(), st.booleans())
def test_curves(rows: tuple, late: bool) -> None:
    time, event, start = rows
    entry = start if late else None
    curve = sv.kaplan_meier(time, event, entry)
    kept = np.ones(len(time), dtype=bool) if entry is None else entry < time
    assert (curve.n, curve.events) == (int(kept.sum()), int(event[kept].sum()))
    assert curve.n_event.sum() + curve.n_censor.sum() == curve.n
    assert (np.diff(curve.survival) <= 0).all()
    assert ((curve.survival >= 0) & (curve.survival <= 1)).all()
    # Where the curve is 0, R has no limits; NaN stands for None in the arrays, and only there.
    assert np.array_equal(np.isnan(curve.low), curve.survival == 0)
    assert np.array_equal(np.isnan(curve.high), curve.survival == 0)
    shown = curve.survival > 0
    assert (curve.low[shown] <= curve.survival[shown]).all()
    assert (curve.survival[shown] <= curve.high[shown]).all()
    median = curve.median
    assert_finite(median)
    assert_inside(median.low, median.value, median.high)
    for tick in (0.0, 0.5, 1.0, 6.0, 100.0):
        at = curve.at(tick)
        assert_finite(at)
        assert_inside(at.low, at.value, at.high)


@QUICK
@given(follow_up(), st.integers(0, 9))
def test_curves_do_not_depend_on_the_order_of_rows(rows: tuple, seed: int) -> None:
    time, event = rows
    other = shuffled(seed, time, event)
    assert_close(sv.kaplan_meier(time, event), sv.kaplan_meier(*other), 0)
    assert_close(sv.rmst(time, event, 3), sv.rmst(*other, 3), 0)
    assert sv.reverse_kaplan_meier(time, event).median == sv.reverse_kaplan_meier(*other).median


@QUICK
@given(with_entry(), st.booleans())
def test_risk_tables_add_up(rows: tuple, late: bool) -> None:
    time, event, start = rows
    entry = start if late else None
    ticks = np.array([0, 1, 1.5, 3, 6, 1000])
    table = sv.risk_table(time, event, ticks, entry)
    kept = np.ones(len(time), dtype=bool) if entry is None else entry < time
    assert (np.diff(table.events) >= 0).all()
    assert (np.diff(table.censored) >= 0).all()
    assert (table.at_risk >= 0).all()
    assert table.events[-1] + table.censored[-1] == kept.sum()
    if entry is None:
        leaving = np.array([(np.abs(time - t) < 1e-9).sum() for t in ticks])
        gone = table.events + table.censored - leaving
        assert (table.at_risk + gone == len(time)).all()


@QUICK
@given(follow_up(), st.sampled_from([0.5, 1.0, 6.0, 50.0]))
def test_restricted_means(rows: tuple, tau: float) -> None:
    found = sv.rmst(*rows, tau)
    assert_finite(found)
    assert 0 <= found.value <= tau + 1e-12
    assert_inside(found.low, found.value, found.high)


@QUICK
@given(follow_up(), st.integers(1, 4), st.integers(0, 9))
def test_logrank(rows: tuple, groups: int, seed: int) -> None:
    time, event = rows
    group = np.random.default_rng(seed).integers(0, groups, len(time))
    found = sv.logrank(time, event, group)
    assert_finite(found)
    again = sv.logrank(*shuffled(seed, time, event, group))
    assert (found is None) == (again is None)
    if found is not None:
        assert 0 <= found.p <= 1
        assert found.chi2 == pytest.approx(again.chi2, rel=1e-9, abs=1e-9)


@QUICK
@given(follow_up(), st.integers(0, 9))
def test_incidences_add_up(rows: tuple, seed: int) -> None:
    time, event = rows
    cause = np.random.default_rng(seed).integers(1, 3, len(time)) * event
    parts = [sv.cumulative_incidence(time, cause, c) for c in (1, 2)]
    assert sum(p.events for p in parts) == event.sum()
    curve = sv.kaplan_meier(time, event)
    for tick in (0.0, 1.0, 3.0, 50.0):
        found = [p.at(tick) for p in parts]
        for at in found:
            assert_finite(at)
            assert_inside(at.low, at.value, at.high)
        total = sum(at.value for at in found) + curve.at(tick).value
        assert total == pytest.approx(1, abs=1e-9)
    for part in parts:
        assert_finite(part)


def brute_force_monotone(x: np.ndarray, time: np.ndarray, event: np.ndarray) -> bool:
    """One covariate: every event at the top, or every event at the bottom, of its risk set."""
    risk = [(x[i], x[time >= time[i]]) for i in np.flatnonzero(event)]
    contrast = any((r != own).any() for own, r in risk)
    top, bottom = (all(own == f(r) for own, r in risk) for f in (max, min))
    return contrast and (top or bottom)


@QUICK
@given(with_covariates())
def test_one_covariate_is_called_monotone_exactly_when_it_is(rows: tuple) -> None:
    x, time, event = rows
    found = cx.cox(x[:, :1], time, event)
    # Multiplied times must be compared as the package does: rounded to the grid.
    grid = np.round(time, 6)
    assert found.monotone == brute_force_monotone(x[:, 0], grid, event)


@QUICK
@given(with_covariates(), st.integers(0, 9))
def test_cox_models(rows: tuple, seed: int) -> None:
    x, time, event = rows
    found = cx.cox(x, time, event)
    assert_finite(found)
    assert (found.n, found.events) == (len(time), event.sum())
    assert found.converged or (found.reason is not None and set(found.hr) == {None})
    assert not (found.converged and found.monotone)
    for low, hr, high in zip(found.low, found.hr, found.high, strict=True):
        assert_inside(low, hr, high)
    again = cx.cox(*shuffled(seed, x, time, event))
    assert (again.converged, again.monotone) == (found.converged, found.monotone)
    if found.converged:
        known = [(a, b) for a, b in zip(found.coef, again.coef, strict=True) if a is not None]
        assert [a for a, _ in known] == pytest.approx([b for _, b in known], rel=1e-5, abs=1e-6)
    zph = cx.zph(x, time, event)
    assert_finite(zph)
    if zph is not None:
        assert all(0 <= t.p <= 1 for t in (*zph.terms, zph.overall))


@QUICK
@given(with_covariates(), st.integers(0, 9))
def test_cox_models_with_entry(rows: tuple, seed: int) -> None:
    x, time, event = rows
    rng = np.random.default_rng(seed)
    found = cx.cox(x, time, event, entry=time * rng.integers(0, 3, len(time)) / 2)
    assert_finite(found)
    for low, hr, high in zip(found.low, found.hr, found.high, strict=True):
        assert_inside(low, hr, high)


@SLOW
@given(with_covariates())
def test_cox_or_firth(rows: tuple) -> None:
    x, time, event = rows
    found = cx.cox_or_firth(x, time, event)
    assert_finite(found)
    for low, hr, high in zip(found.low, found.hr, found.high, strict=True):
        assert_inside(low, hr, high)
    if found.converged:
        varying = (x != x[0]).any(axis=0)
        assert [c is not None for c in found.coef] == varying.tolist()
    else:
        assert found.reason
    assert ("Firth" in found.method) == found.monotone


@QUICK
@given(st.integers(0, 60), st.integers(1, 60))
def test_intervals_hold_the_proportion(events: int, n: int) -> None:
    events = min(events, n)
    p = events / n
    for low, high in (
        intervals.clopper_pearson(events, n),
        intervals.wilson(p, n),
        intervals.wilson(p, n / 3),
    ):
        assert 0 <= low <= p <= high <= 1
        assert low < high


@QUICK
@given(lines(), st.integers(0, 9))
def test_effective_numbers(rows: tuple, seed: int) -> None:
    y, _, patient, study = rows
    n = clustered.effective_n(y, patient, study)
    assert 0 < n <= len(y)
    low, high = clustered.wilson_effective(y, patient, study)
    assert 0 <= low <= y.mean() <= high <= 1
    assert clustered.effective_n(*shuffled(seed, y, patient), study) == n
    renamed = np.array([f"other {p[::-1]}" for p in patient])
    assert clustered.effective_n(y, renamed, study) == n


@QUICK
@given(lines(), st.integers(0, 9))
def test_comparisons_of_categories(rows: tuple, seed: int) -> None:
    y, category, patient, _ = rows
    other = shuffled(seed, y, category, patient)
    found = clustered.rao_scott(y, category, patient)
    assert_finite(found)
    assert_close(found, clustered.rao_scott(*other), 1e-7)
    if found is not None:
        assert 0 <= found.p <= 1


@QUICK
@given(lines())
def test_exact_tests(rows: tuple) -> None:
    y, category, _, _ = rows
    groups = [y[category == c] for c in sorted(set(category))]
    events, n = [int(g.sum()) for g in groups], [len(g) for g in groups]
    p = exact.exact_kx2(events, n)
    assert p is None if len(n) < 2 else 0 < p.p <= 1
    if p is not None:
        assert exact.exact_kx2(events[::-1], n[::-1]) == p
        fisher = exact.fisher_2x2(events[0], n[0], events[1], n[1])
        assert_finite(fisher)
        assert_inside(fisher.low, fisher.odds_ratio, fisher.high)
        two = exact.exact_kx2(events[:2], n[:2])
        assert fisher.p == pytest.approx(two.p, rel=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=6))
def test_shrunken_rates(groups: list) -> None:
    events, n = [min(g) for g in groups], [max(g) for g in groups]
    found = shrinkage.shrink(events, n)
    assert_finite(found)
    inner = any(0 < e < m for e, m in zip(events, n, strict=True))
    assert (found is None) == (not inner or sum(m > 0 for m in n) < 2)
    if found is not None:
        for m, low, mean, high in zip(n, found.low, found.mean, found.high, strict=True):
            assert (mean is None) == (m == 0)
            assert_inside(low, mean, high)
