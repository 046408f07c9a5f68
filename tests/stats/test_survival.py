"""Curves, log-rank tests, restricted means and cumulative incidence against R."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from salvage.stats import survival as sv
from tests.reference import CLOSED, REFERENCE, answers, lung

CURVES = answers("curves")
LOGRANK = answers("logrank")
INCIDENCE = answers("incidence")


def rows(entry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    data = entry.get("data")
    if data is None:
        complete = lung()
        return complete["time"].to_numpy(), (complete["status"] == 2).to_numpy(), None
    start = None if data.get("entry") is None else np.array(data["entry"])
    return np.array(data["time"]), np.array(data["event"]), start


def same(ours: Any, theirs: Any) -> None:
    """Equal number by number; None only where R has none."""
    ours, theirs = list(ours), list(theirs)
    assert [x is None for x in ours] == [x is None for x in theirs]
    known = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None]
    assert [a for a, _ in known] == pytest.approx([b for _, b in known], **CLOSED)


@pytest.mark.parametrize("name", CURVES)
def test_kaplan_meier_steps_agree_with_r(name: str) -> None:
    entry = CURVES[name]["answers"]
    curve = sv.kaplan_meier(*rows(CURVES[name]))
    for field in ("time", "n_risk", "n_event", "n_censor", "survival"):
        same(getattr(curve, field), entry[field])


@pytest.mark.parametrize("name", CURVES)
def test_log_log_limits_agree_with_r(name: str) -> None:
    entry = CURVES[name]["answers"]
    curve = sv.kaplan_meier(*rows(CURVES[name]))
    for side in ("low", "high"):
        ours = [None if np.isnan(x) else x for x in getattr(curve, side)]
        # R leaves out the limits of a curve of 1 after a censoring; here they are 1, as R has
        # them at time 0.
        theirs = [
            1.0 if s == 1 and x is None else x
            for s, x in zip(entry["survival"], entry[side], strict=True)
        ]
        same(ours, theirs)


@pytest.mark.parametrize("name", CURVES)
def test_median_agrees_with_r(name: str) -> None:
    same(sv.kaplan_meier(*rows(CURVES[name])).median, CURVES[name]["answers"]["median"])


@pytest.mark.parametrize("name", [n for n in CURVES if "reverse_median" in CURVES[n]["answers"]])
def test_reverse_kaplan_meier_agrees_with_r(name: str) -> None:
    time, event, _ = rows(CURVES[name])
    same(
        sv.reverse_kaplan_meier(time, event).median,
        CURVES[name]["answers"]["reverse_median"],
    )


@pytest.mark.parametrize("name", CURVES)
def test_survival_at_fixed_times_agrees_with_r(name: str) -> None:
    entry = CURVES[name]["answers"]
    curve = sv.kaplan_meier(*rows(CURVES[name]))
    found = [curve.at(t) for t in entry["ticks"]]
    same([f.value for f in found], entry["at"])
    for side in ("low", "high"):
        theirs = [
            1.0 if s == 1 and x is None else x
            for s, x in zip(entry["at"], entry[f"at_{side}"], strict=True)
        ]
        same([getattr(f, side) for f in found], theirs)
    last = max(entry["time"])
    assert [f.beyond_last for f in found] == [t > last for t in entry["ticks"]]


@pytest.mark.parametrize("name", CURVES)
def test_risk_table_agrees_with_r(name: str) -> None:
    entry = CURVES[name]["answers"]
    time, event, start = rows(CURVES[name])
    table = sv.risk_table(time, event, entry["ticks"], start)
    same(table.events, entry["cumulative_events"])
    same(table.censored, entry["cumulative_censored"])
    if start is None:
        same(table.at_risk, entry["at_risk"])


def test_risk_table_with_late_entry_counts_who_is_there() -> None:
    """R reads the number at the next time of the curve; here it is counted at the tick itself."""
    data = CURVES["late_entry"]["data"]
    entry, time = np.array(data["entry"]), np.array(data["time"])
    kept = entry < time
    ticks = [0.0, 0.5, 1.0, 2.0, 6.0, 12.0]
    table = sv.risk_table(time, data["event"], ticks, entry)
    counted = [
        int(((entry < t) | ((t == 0) & (entry == 0)))[kept & (time >= t)].sum()) for t in ticks
    ]
    assert table.at_risk.tolist() == counted


def test_risk_table_at_a_step_agrees_with_the_curve() -> None:
    data = CURVES["late_entry"]["data"]
    curve = sv.kaplan_meier(data["time"], data["event"], data["entry"])
    table = sv.risk_table(data["time"], data["event"], curve.time, data["entry"])
    assert table.at_risk.tolist() == curve.n_risk.tolist()
    assert table.events.tolist() == np.cumsum(curve.n_event).tolist()


@pytest.mark.parametrize("name", CURVES)
def test_restricted_mean_agrees_with_r(name: str) -> None:
    entry = CURVES[name]["answers"]
    time, event, start = rows(CURVES[name])
    found = sv.rmst(time, event, entry["tau"], start)
    same([found.value, found.se], [entry["rmst"], entry["rmst_se"]])


def test_lung_figures_in_print() -> None:
    """R 4.2.2 with survival 3.5-3, 227 complete cases."""
    data = lung()
    dead = data["status"] == 2
    curve = sv.kaplan_meier(data["time"], dead)
    assert (len(data), curve.median) == (227, (310.0, 284.0, 361.0))
    mean = sv.rmst(data["time"], dead, 365)
    assert mean.value == pytest.approx(264.06866, abs=5e-6)
    assert mean.se == pytest.approx(7.78711, abs=5e-6)
    test = sv.logrank(data["time"], dead, data["sex"])
    assert test is not None
    assert test.chi2 == pytest.approx(10.00817, abs=5e-6)
    assert test.p == pytest.approx(0.0015585, abs=5e-8)


def test_median_where_the_curve_is_flat_at_one_half() -> None:
    assert sv.kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1]).median == (2.5, 1.0, None)


@pytest.mark.parametrize("name", LOGRANK)
def test_logrank_agrees_with_r(name: str) -> None:
    entry = LOGRANK[name]
    if "data" in entry:
        data = entry["data"]
        found = sv.logrank(data["time"], data["event"], data["group"])
    else:
        found = sv.logrank(lung()["time"], lung()["status"] == 2, lung()["sex"])
    assert found is not None
    same(found, [entry["answers"][key] for key in ("chi2", "df", "p")])


@pytest.mark.parametrize(
    ("time", "event", "group"),
    [([1, 2, 3], [1, 0, 1], ["a", "a", "a"]), ([1, 2, 3], [0, 0, 0], ["a", "b", "a"])],
)
def test_logrank_without_information(time: list, event: list, group: list) -> None:
    assert sv.logrank(time, event, group) is None


def test_logrank_where_all_die_at_once() -> None:
    """Nobody could have died in another order: the variance is 0, and R stops."""
    assert sv.logrank([3, 3, 3], [1, 1, 1], ["a", "b", "a"]) is None


def test_logrank_where_no_death_has_anybody_to_compare() -> None:
    """One group has left before the only death: the variance is 0 and there is nothing to test."""
    assert sv.logrank([1, 2, 5], [0, 0, 1], ["a", "a", "b"]) is None


@pytest.mark.parametrize("name", INCIDENCE)
def test_cumulative_incidence_agrees_with_r(name: str) -> None:
    entry = INCIDENCE[name]
    if "data" in entry:
        time, status = entry["data"]["time"], entry["data"]["status"]
    else:
        trial = pd.read_csv(REFERENCE / "pbc.csv").head(312)
        time, status = trial["time"], trial["status"]
    asked = entry["answers"]
    found = sv.cumulative_incidence(time, status, asked["cause"])
    ticks = asked["ticks"]
    same([found.at(t).value for t in ticks], asked["estimate"])
    same([found.at(t).value for t in ticks], asked["cmprsk"])
    same([found.se(t) for t in ticks], asked["se"])


def test_pbc_figures_in_print() -> None:
    trial = pd.read_csv(REFERENCE / "pbc.csv").head(312)
    found = sv.cumulative_incidence(trial["time"], trial["status"], 2)
    printed = {
        1000: (0.173515, 0.021471),
        2000: (0.296641, 0.026829),
        3000: (0.410756, 0.032694),
    }
    for day, (value, se) in printed.items():
        assert found.at(day).value == pytest.approx(value, abs=5e-7)
        assert found.se(day) == pytest.approx(se, abs=5e-7)


def test_incidences_and_survival_add_up_to_one() -> None:
    data = INCIDENCE["rivals_1"]["data"]
    time, status = np.array(data["time"]), np.array(data["status"])
    parts = [sv.cumulative_incidence(time, status, c) for c in (1, 2)]
    curve = sv.kaplan_meier(time, status > 0)
    for t in (0, 1, 2.5, 6, 20):
        total = sum(p.at(t).value for p in parts) + curve.at(t).value
        assert total == pytest.approx(1, abs=1e-12)


def test_incidence_limits_hold_the_estimate_and_are_none_at_the_ends() -> None:
    data = INCIDENCE["to_the_end_1"]["data"]
    alone = sv.cumulative_incidence(data["time"], np.array(data["status"]) > 0, 1)
    assert alone.at(4) == (1.0, None, None, False)
    assert alone.at(0.5) == (0.0, None, None, False)
    assert alone.at(9).beyond_last
    assert alone.se(0.5) is None
    inside = sv.cumulative_incidence(data["time"], data["status"], 1).at(2)
    assert 0 < inside.low < inside.value < inside.high < 1


def test_nobody() -> None:
    curve = sv.kaplan_meier([], [])
    assert (curve.n, curve.events, curve.median) == (0, 0, (None, None, None))
    assert curve.at(3) == (None, None, None, True)
    assert sv.rmst([], [], 3) == (None, None, None, None, True)
    assert sv.risk_table([], [], [0, 6]).at_risk.tolist() == [0, 0]
    assert sv.cumulative_incidence([], []).at(3) == (None, None, None, True)
    assert sv.logrank([], [], []) is None


def test_restricted_mean_says_when_the_curve_is_carried_on() -> None:
    assert sv.rmst([1, 2, 3], [1, 1, 0], 6).beyond_last
    assert not sv.rmst([1, 2, 3], [1, 1, 1], 6).beyond_last
    assert not sv.rmst([1, 2, 3], [1, 1, 0], 3).beyond_last


def test_a_row_that_enters_when_it_leaves_is_never_at_risk() -> None:
    curve = sv.kaplan_meier([2, 3, 5], [1, 1, 1], [2, 0, 1])
    assert (curve.n, curve.events, curve.time.tolist()) == (2, 2, [3.0, 5.0])


def test_a_time_is_found_through_rounding() -> None:
    curve = sv.kaplan_meier([12.3 - 4.1, 9], [1, 1])
    assert 12.3 - 4.1 != 8.2
    assert curve.at(8.2).value == 0.5
    assert sv.risk_table([12.3 - 4.1, 9], [1, 1], [8.2]).events.tolist() == [1]
    assert sv.risk_table([8.2, 9], [1, 1], [12.3 - 4.1]).at_risk.tolist() == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, -2], [1, 0]), "negative"),
        (([1, np.nan], [1, 0]), "time must not hold missing"),
        (([1, 2], [1, 2]), "event must hold only 0 and 1"),
        (([1, 2], [1]), "differ in length"),
        (([[1, 2]], [1]), "one dimension"),
        (([1, 2], [1, 0], [-1, 0]), "negative"),
    ],
)
def test_wrong_arrays_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sv.kaplan_meier(*arguments)


@pytest.mark.parametrize("tau", [0, -1, np.inf, np.nan])
def test_restricted_mean_needs_a_positive_limit(tau: float) -> None:
    with pytest.raises(ValueError, match="tau"):
        sv.rmst([1, 2], [1, 0], tau)


def test_missing_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="group must not hold missing"):
        sv.logrank([1, 2], [1, 1], ["a", None])
