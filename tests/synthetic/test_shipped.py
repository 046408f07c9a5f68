"""The shipped cohort and its alternatives: made again, and checked from the tables alone.

The checks themselves are tested with planted faults.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from salvage import cohort
from salvage.analysis import provenance
from salvage.cohort.schema import CATEGORY_KEYS, TABLES
from salvage.evidence import audit
from salvage.paths import ASSUMPTIONS, DATA
from salvage.synthetic import constraints as checks
from salvage.synthetic.constraints import (
    check_against_published,
    impossible_histories,
    kaplan_meier_median,
)
from salvage.synthetic.ensemble import (
    ALTERNATIVES,
    PLAN,
    Alternative,
    alternatives,
    random_table,
    read_alternatives,
    tables_counted,
    write_alternatives,
)
from salvage.synthetic.shipped import SEED, TABLE, calibrate, write
from salvage.synthetic.times import NORMAL_975, CohortTimes, agrees, log_hazard_ratio, prints_median

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def shipped() -> Frames:
    loaded = cohort.load(DATA)
    return {table.name: getattr(loaded, table.name) for table in TABLES}


@pytest.fixture
def frames(shipped: Frames) -> Frames:
    """The shipped tables, to be spoilt."""
    return {name: frame.copy() for name, frame in shipped.items()}


def test_the_command_writes_the_shipped_tables_byte_for_byte(tmp_path: Path) -> None:
    for path in write(tmp_path):
        assert path.read_bytes() == (DATA / path.name).read_bytes(), path.name


def test_the_tables_as_made_are_the_tables_as_read(shipped: Frames) -> None:
    for name, frame in calibrate().items():
        pd.testing.assert_frame_equal(frame, shipped[name])


def test_another_seed_gives_another_cohort_that_agrees_too(shipped: Frames) -> None:
    other = calibrate(SEED + 1)
    assert not other["patients"].equals(shipped["patients"])
    assert check_against_published(other) == []
    assert impossible_histories(other) == []


def test_the_shipped_cohort_prints_the_abstract(shipped: Frames) -> None:
    assert check_against_published(shipped) == []


def test_the_shipped_histories_are_possible(shipped: Frames) -> None:
    assert impossible_histories(shipped) == []


def test_the_shipped_cohort_loads_without_a_warning() -> None:
    loaded, problems = cohort.check(DATA)
    assert loaded is not None
    assert problems == []


PRINTED_PARTS = [
    (name, part)
    for name, fact in provenance.printed_figures().items()
    for part in ("value", "low", "high", "p", "n", "events")
    if part in fact
]


@pytest.mark.parametrize(("name", "part"), PRINTED_PARTS)
@pytest.mark.parametrize("direction", [-1, 1])
def test_one_printed_digit_away_is_a_mismatch(
    shipped: Frames, monkeypatch: pytest.MonkeyPatch, name: str, part: str, direction: int
) -> None:
    figures = copy.deepcopy(provenance.printed_figures())
    fact = figures[name]
    step = 1 if part in ("n", "events") else fact.get(f"{part}_step", fact["step"])
    fact[part] += direction * step
    monkeypatch.setattr(checks, "printed_figures", lambda: figures)
    assert [m.partition(" is ")[0] for m in check_against_published(shipped)] == [f"{name}: {part}"]


def _events(frames: Frames, **where: Any) -> pd.Index:
    events = frames["salvage"]
    chosen = np.all([events[column] == value for column, value in where.items()], axis=0)
    return events.index[chosen]


def _set(frames: Frames, table: str, rows: Any, column: str, value: Any) -> None:
    frames[table].loc[rows, column] = value


def _responders_to_pd(frames: Frames, category: str) -> None:
    _set(frames, "salvage", _events(frames, category=category, best_response="PR")[:1],
         "best_response", "PD")  # fmt: skip


def _raise_checkpoint(frames: Frames) -> None:
    """All checkpoint events respond, and as many other events do not: the sums stay."""
    rows = _events(frames, category="checkpoint")
    new = int((~frames["salvage"].loc[rows, "best_response"].isin(["CR", "PR"])).sum())
    _set(frames, "salvage", rows, "best_response", "PR")
    others = frames["salvage"]["category"].isin(["other", "bispecific"])
    losers = frames["salvage"].index[others & (frames["salvage"]["best_response"] == "PR")]
    _set(frames, "salvage", losers[:new], "best_response", "PD")


def _switch(frames: Frames) -> None:
    _set(frames, "salvage", _events(frames, target_switched=1, best_response="CR")[:1],
         "target_switched", 0)  # fmt: skip


def _drop_patient(frames: Frames) -> None:
    frames["patients"] = frames["patients"].iloc[1:]


def _drop_event(frames: Frames) -> None:
    frames["salvage"] = frames["salvage"].iloc[1:]


def _stretch(month: float) -> Callable[[Frames], None]:
    def fault(frames: Frames) -> None:
        rows = frames["patients"]["os_month"] == month
        assert rows.any()
        _set(frames, "patients", rows, "os_month", month + 0.1)

    return fault


def _late_becomes_early(frames: Frames) -> None:
    patients = frames["patients"]
    _set(frames, "patients", patients.index[patients["relapse_month"] > 3][0], "relapse_month", 3.0)


def _one_more_alive(frames: Frames) -> None:
    _set(frames, "patients", frames["patients"]["os_month"].idxmin(), "died", False)


def _most_alive(frames: Frames) -> None:
    _set(frames, "patients", frames["patients"]["os_month"] > 5, "died", False)


def _no_checkpoint(frames: Frames) -> None:
    _set(frames, "salvage", _events(frames, category="checkpoint"), "category", "other")


def _fever_renamed(frames: Frames) -> None:
    fever = frames["adverse_events"]["term"] == "fever"
    _set(frames, "adverse_events", fever, "term", "pyrexia")


def _fever_ties(frames: Frames) -> None:
    """As many infections as fevers, in as many patients."""
    fever = frames["adverse_events"][frames["adverse_events"]["term"] == "fever"]
    frames["adverse_events"] = pd.concat([fever, fever.assign(term="infection")])


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda f: _responders_to_pd(f, "other"), "orr.all: value"),
        (lambda f: _responders_to_pd(f, "polatuzumab"), "orr.polatuzumab: value"),
        (lambda f: _set(f, "salvage", _events(f, best_response="CR")[:1], "best_response", "PR"),
         "cr.all: value"),
        (lambda f: _set(f, "salvage", _events(f, category="second_cart", best_response="CR")[:1],
                        "best_response", "PR"), "cr.second_cart: value"),
        (_raise_checkpoint, "orr.polatuzumab: 0.6666666666666666 is not above orr.checkpoint"),
        (_switch, "cr.second_cart.switched: value"),
        (_drop_patient, "n.patients: value"),
        (_drop_event, "n.events: value"),
        (_stretch(1.0), "os.range.min: value"),
        (_stretch(15.0), "os.range.max: value"),
        (_stretch(7.0), "os.median: value"),
        (_stretch(7.0), "followup.observed.median: value"),
        (_late_becomes_early, "cox.late_vs_early.hr: value"),
        (_one_more_alive, "cox.late_vs_early.hr: "),
        (_most_alive, "os.median: value is None"),
        (_no_checkpoint, "checkpoint: none of the 58 events"),
        (_fever_renamed, "fever is not alone the most common adverse event by events"),
        (_fever_ties, "fever is not alone the most common adverse event by patients"),
    ],
)  # fmt: skip
def test_a_planted_disagreement_is_named(
    frames: Frames, fault: Callable[[Frames], None], named: str
) -> None:
    fault(frames)
    found = check_against_published(frames)
    assert any(message.startswith(named) for message in found), found


def test_another_cutoff_prints_another_hazard_ratio(shipped: Frames) -> None:
    found = check_against_published(shipped, early_relapse_months=2)
    assert found
    assert all(message.startswith("cox.late_vs_early.hr") for message in found)


def test_a_cutoff_without_contrast_is_a_disagreement(shipped: Frames) -> None:
    assert "cox.late_vs_early.hr: value is None, printed is 0.44" in check_against_published(
        shipped, early_relapse_months=20
    )


@pytest.mark.parametrize(
    ("months", "died", "median"),
    [
        ([1, 2, 3, 4], [1, 1, 1, 1], 2.5),  # survival is one half from 2 to 3: R prints the middle
        ([1, 2, 3, 4, 5], [1, 1, 1, 1, 1], 3),
        ([1, 2, 3, 4], [1, 1, 0, 0], 2),  # one half from 2 on, and no further death
        ([1, 2, 3, 4], [1, 0, 0, 0], None),
        ([1, 1, 2, 3], [1, 0, 1, 1], 2),
    ],
)
def test_kaplan_meier_median_follows_r(
    months: list[float], died: list[int], median: float | None
) -> None:
    assert kaplan_meier_median(months, died) == median


def _line(frames: Frames, column: str, change: Callable[[pd.Series], Any], **where: Any) -> None:
    """Change one cell of the first line with these values."""
    row = _events(frames, **where)[0]
    _set(frames, "salvage", row, column, change(frames["salvage"].loc[row]))


def _patient(frames: Frames, column: str, value: Any, **where: Any) -> None:
    patients = frames["patients"]
    chosen = np.all([patients[name] == is_ for name, is_ in where.items()], axis=0)
    _set(frames, "patients", patients.index[chosen][0], column, value)


def _second_cart_twice(frames: Frames) -> None:
    lines = frames["salvage"]
    treated = lines.loc[lines["category"] == "second_cart", "patient_id"]
    other = lines.index[lines["patient_id"].isin(treated) & (lines["category"] != "second_cart")]
    _set(frames, "salvage", other[0], "category", "second_cart")


def _before_second_cart(frames: Frames) -> tuple[pd.Index, pd.Series]:
    """The line before a second CAR-T that ended in a response, and the second CAR-T."""
    lines = frames["salvage"]
    earlier = lines.index[
        lines["category"].shift(-1).eq("second_cart") & lines["line"].shift(-1).gt(1)
    ]
    rows = earlier[lines.loc[earlier, "best_response"].isin(["CR", "PR"])][:1]
    return rows, lines.loc[rows[0] + 1]


def _second_cart_in_response(frames: Frames) -> None:
    rows, second = _before_second_cart(frames)
    for column, value in (
        ("response_end_month", second["start_month"]),
        ("response_end_reason", "new_treatment"),
        ("progression_month", np.nan),
    ):
        _set(frames, "salvage", rows, column, value)


def _response_just_before_a_second_cart(frames: Frames) -> None:
    rows, second = _before_second_cart(frames)
    _set(frames, "salvage", rows, "start_month", second["start_month"] - 0.9)


def _cause_in_response(frames: Frames, cause: str) -> None:
    owner = frames["salvage"].loc[_events(frames, response_end_reason="death")[0], "patient_id"]
    _patient(frames, "cause_of_death", cause, patient_id=owner)


def _severe_icans_of_a_bispecific(frames: Frames) -> None:
    line = frames["salvage"].loc[_events(frames, category="bispecific")[0]]
    row = {"patient_id": line["patient_id"], "line": line["line"], "term": "ICANS", "grade": 3}
    frames["adverse_events"] = pd.concat(
        [frames["adverse_events"], pd.DataFrame([row | {"scale": "ASTCT"}])], ignore_index=True
    )


def _third_line_at_month_one(frames: Frames) -> None:
    lines = frames["salvage"]
    owner = lines.loc[lines["line"] == 3, "patient_id"].iloc[0]
    _patient(frames, "os_month", 1.0, patient_id=owner)


def _adverse(frames: Frames, column: str, value: Any, **where: Any) -> None:
    events = frames["adverse_events"]
    chosen = np.all([events[name] == is_ for name, is_ in where.items()], axis=0)
    _set(frames, "adverse_events", events.index[chosen][0], column, value)


def _copy_adverse(frames: Frames, **changes: Any) -> None:
    events = frames["adverse_events"]
    crs = events[events["term"] == "cytokine release syndrome"].iloc[[0]]
    frames["adverse_events"] = pd.concat([events, crs.assign(**changes)], ignore_index=True)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (lambda f: _line(f, "start_month", lambda r: 0.1, line=1), "starts before relapse"),
        (lambda f: _line(f, "start_month", lambda r: 15.0, line=1), "starts at or after the next"),
        (lambda f: _line(f, "line", lambda r: 3, line=2), "line numbers are not 1, 2, 3"),
        (_second_cart_twice, "usually once for a patient"),
        (_third_line_at_month_one, "a third line in a patient who died at month 1"),
        (lambda f: _line(f, "response_month", lambda r: 9.0, best_response="PD"),
         "response month without"),
        (lambda f: _line(f, "response_end_month", lambda r: np.nan, best_response="PR"),
         "response end without"),
        (lambda f: _line(f, "response_end_reason", lambda r: None, best_response="PR"),
         "reason of response end without"),
        (lambda f: _line(f, "response_month", lambda r: r["start_month"], best_response="CR"),
         "response outside the line"),
        (lambda f: _line(f, "response_end_month", lambda r: r["response_month"],
                         best_response="CR"), "response ends before it begins"),
        (lambda f: _line(f, "response_end_month", lambda r: 15.0, best_response="PR", line=1),
         "response ends after the line"),
        (lambda f: _line(f, "progression_month", lambda r: 15.0, best_response="PD"),
         "progression outside the line"),
        (lambda f: _line(f, "progression_month", lambda r: np.nan, best_response="PD"),
         "progressive disease without progression"),
        (lambda f: _line(f, "progression_month", lambda r: r["start_month"] + 0.1,
                         best_response="NE"), "not evaluable, but progression documented"),
        (lambda f: _line(f, "progression_month", lambda r: r["response_month"],
                         response_end_reason="progression"), "progression at another month"),
        (lambda f: _line(f, "progression_month", lambda r: r["response_end_month"],
                         response_end_reason="new_treatment"), "that did not end with it"),
        (lambda f: _line(f, "response_end_reason", lambda r: "death",
                         response_end_reason="new_treatment"), "ends with death, but not at death"),
        (lambda f: _line(f, "response_end_reason", lambda r: "ongoing",
                         response_end_reason="death"), "response ongoing, but not at last contact"),
        (lambda f: _line(f, "response_end_reason", lambda r: "new_treatment",
                         response_end_reason="death"), "but not at the next line"),
        (lambda f: _line(f, "end_month", lambda r: 0.0, category="polatuzumab"),
         "treatment ends outside the line"),
        (lambda f: _line(f, "intent", lambda r: None, category="radiotherapy"),
         "radiotherapy without intent"),
        (lambda f: _line(f, "intent", lambda r: "palliative", category="other"),
         "intent without radiotherapy"),
        (lambda f: _line(f, "intent", lambda r: "bridging", intent="palliative",
                         best_response="NE"), "bridging without a next line"),
        (lambda f: _line(f, "intent", lambda r: "consolidation", intent="palliative"),
         "consolidation without a response"),
        (lambda f: _line(f, "target_switched", lambda r: 1, target_switched=0),
         "same target, marked as switched"),
        (lambda f: _line(f, "target_switched", lambda r: 0, target_switched=1),
         "another target, marked as the same"),
        (lambda f: _line(f, "target_switched", lambda r: 1, category="other"),
         "target switch outside"),
        (lambda f: _patient(f, "relapse_month", 15.1, os_month=15.0), "relapse after last contact"),
        (lambda f: _patient(f, "patient_id", "P99", patient_id="P01"), "P99: no salvage line"),
        (lambda f: _patient(f, "patient_id", "P01", patient_id="P02"), "listed twice"),
        (lambda f: _patient(f, "age", 12, patient_id="P01"), "under 18 years"),
        (lambda f: _patient(f, "ipi", 5, ipi=1), "IPI is not the sum"),
        (lambda f: _patient(f, "stage", np.nan, ipi=1), "IPI without all of its items"),
        (lambda f: _patient(f, "stage", 2, extranodal_sites=2), "below stage IV"),
        (lambda f: _patient(f, "histology", "PMBCL", coo="GCB"), "cell of origin outside DLBCL"),
        (lambda f: _patient(f, "cart_target", "CD22", cart_target="CD19"), "not fit the product"),
        (lambda f: _patient(f, "prior_lines", 1, refractory=0), "but not refractory"),
        (lambda f: _patient(f, "cart_best_response", "CR", cart_best_response="PD"),
         "before it could be assessed"),
        (lambda f: _patient(f, "cart_best_response", "PD", cart_best_response="CR"),
         "but a late relapse"),
        (lambda f: _adverse(f, "line", 9, term="fever"), "not in a known line"),
        (lambda f: _adverse(f, "onset_month", 0.0, term="fever"), "outside its line"),
        (lambda f: _adverse(f, "scale", "ASTCT", term="fever"), "ASTCT is for CRS and ICANS"),
        (lambda f: _adverse(f, "term", "ICANS", term="radiation dermatitis"),
         "without a bispecific antibody or CAR-T"),
        (lambda f: _copy_adverse(f), "twice in a line"),
        (lambda f: _copy_adverse(f, term="fever", scale="CTCAE 5.0"), "fever beside a CRS"),
        (lambda f: _adverse(f, "grade", 5, term="fever"), "not the cause of death"),
        (lambda f: _adverse(f, "grade", 4, grade=5, term="infection"), "without a fatal event"),
        (lambda f: _adverse(f, "onset_month", 3.6, patient_id="P23", line=2, scale="ASTCT"),
         "after the weeks in which it begins"),
        (lambda f: _adverse(f, "term", "ICANS", term="cytokine release syndrome"),
         "ICANS without CRS"),
        (_severe_icans_of_a_bispecific, "severe ICANS after a bispecific"),
        (lambda f: _patient(f, "cause_of_death", None, died=True), "death without a cause"),
        (lambda f: _patient(f, "cause_of_death", "other", died=False), "alive at last contact"),
        (lambda f: _cause_in_response(f, "lymphoma"), "before a death of lymphoma"),
        (_second_cart_in_response, "after the loss of the response before"),
        (_second_cart_in_response, "a second CAR-T without progression before it"),
        (_second_cart_in_response, "a new line in a response that it does not consolidate"),
        (lambda f: _line(f, "best_response", lambda r: "SD", intent="consolidation"),
         "that does not keep the response"),
        (lambda f: _line(f, "best_response", lambda r: "SD", intent="consolidation"),
         "no PR or SD of a line that began in CR"),
        (lambda f: _line(f, "start_month", lambda r: r["start_month"] - 1.5, category="second_cart",
                         target_switched=0), "a second CAR-T that is not yet made"),
        (lambda f: _line(f, "progression_month", lambda r: r["start_month"] + 0.1,
                         best_response="CR", line=1), "a long wait for the next line"),
        (lambda f: _line(f, "end_month", lambda r: r["progression_month"] + 0.1,
                         best_response="PD", line=1), "treatment goes on after progression"),
        (lambda f: _line(f, "end_month", lambda r: r["start_month"] + 8.4, regimen="glofitamab"),
         "more than twelve cycles"),
        (lambda f: _line(f, "regimen", lambda r: "orelabrutinib + rituximab", patient_id="P15",
                         line=2), "a regimen given again"),
        (_response_just_before_a_second_cart, "leaves no time to lose"),
    ],
)  # fmt: skip
def test_a_planted_impossible_history_is_named(
    frames: Frames, fault: Callable[[Frames], None], rule: str
) -> None:
    fault(frames)
    found = impossible_histories(frames)
    assert any(rule in message for message in found), found


def test_the_search_fits_the_cox_model_of_the_survival_package() -> None:
    rng = np.random.default_rng(7)
    observed = rng.integers(10, 60, size=(40, 29))  # 29 times on 50 values: many ties
    relapse = (observed * rng.random((40, 29))).astype(np.int64)
    batch = CohortTimes(relapse, observed, rng.random((40, 29)) < 0.8, np.full(40, 12))
    beta, error = log_hazard_ratio(batch)
    for k in range(len(batch)):
        patients = pd.DataFrame(
            {"relapse_month": relapse[k] / 10, "os_month": observed[k] / 10, "died": batch.died[k]}
        )
        reference = checks.late_against_early(patients, 1.2)
        assert np.exp(beta[k]) == pytest.approx(reference["value"], rel=1e-7)
        assert np.exp(beta[k] - NORMAL_975 * error[k]) == pytest.approx(reference["low"], rel=1e-7)


def test_the_search_judges_medians_as_the_check_does() -> None:
    rng = np.random.default_rng(8)
    observed = np.clip(rng.integers(62, 79, size=(600, 29)), 10, 150)
    batch = CohortTimes(observed - 5, observed, rng.random((600, 29)) < 0.93, np.full(600, 30))
    expected = [
        kaplan_meier_median(time, died) == 70 and np.median(time) == 70
        for time, died in zip(observed, batch.died, strict=True)
    ]
    assert 0 < sum(expected) < len(expected)
    assert prints_median(batch).tolist() == expected


def test_the_search_accepts_the_shipped_cohort_and_no_neighbour(shipped: Frames) -> None:
    patients = shipped["patients"]

    def batch(late: pd.Series) -> CohortTimes:
        relapse = np.where(late, 31, 30)[None, :]
        observed = np.rint(10 * patients["os_month"].to_numpy()).astype(np.int64)[None, :]
        return CohortTimes(relapse, observed, patients["died"].to_numpy()[None, :], np.array([30]))

    late = patients["relapse_month"] > 3
    assert agrees(batch(late)).all()
    flipped = late.copy()
    flipped.iloc[0] = not late.iloc[0]
    assert not agrees(batch(flipped)).any()


@pytest.fixture(scope="module")
def value() -> Callable[[str], Any]:
    """The value of an assumption by its id."""
    entries = yaml.safe_load(ASSUMPTIONS.read_text(encoding="utf-8"))
    return lambda name: entries[name]["value"]


@pytest.fixture(scope="module")
def stored() -> list[Alternative]:
    return list(read_alternatives())


class TestAssumptions:
    """What data/assumptions.yaml says is what the tables hold."""

    def test_each_has_an_assumption_a_value_and_a_reason(self) -> None:
        entries = yaml.safe_load(ASSUMPTIONS.read_text(encoding="utf-8"))
        for name, entry in entries.items():
            assert set(entry) == {"assumption", "value", "reason"}, name
            assert str(entry["assumption"]).strip(), name
            assert str(entry["reason"]).strip().endswith("."), name

    def test_categories(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        best = shipped["salvage"].groupby("category")["best_response"]
        held = {
            key: {
                "n": len(codes),
                "responses": int(codes.isin(["CR", "PR"]).sum()),
                "complete": int((codes == "CR").sum()),
            }
            for key, codes in best
        }
        assert held == value("category_split")
        assert held == {key: vars(counts) for key, counts in TABLE.items()}

    def test_target_switch(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        second = shipped["salvage"][shipped["salvage"]["category"] == "second_cart"]
        switched = second["target_switched"] == 1
        complete = second["best_response"] == "CR"
        assert value("target_switch") == {
            "switched": int(switched.sum()),
            "switched_complete": int((switched & complete).sum()),
            "same": int((~switched).sum()),
            "same_complete": int((~switched & complete).sum()),
        }

    def test_lines_per_patient(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        assert Counter(shipped["salvage"].groupby("patient_id").size()) == Counter(
            value("lines_per_patient")
        )

    def test_deaths_and_cutoff(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        assert shipped["patients"]["died"].sum() == value("deaths")
        assert cohort.load(DATA).study.early_relapse_months == value("early_relapse_months")

    def test_radiotherapy_intent(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        intents = shipped["salvage"]["intent"].dropna()
        assert Counter(intents) == Counter(value("radiotherapy_intent"))

    def test_causes_of_death(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        assert Counter(shipped["patients"]["cause_of_death"].dropna()) == value("cause_of_death")

    def test_not_evaluable(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        not_evaluable = (shipped["salvage"]["best_response"] == "NE").sum()
        assert not_evaluable <= value("no_response")["not_evaluable_at_most"]

    def test_missing_values(self, shipped: Frames, value: Callable[[str], Any]) -> None:
        patients = shipped["patients"]
        eligible = patients[patients["histology"] == "DLBCL NOS"]
        missing = patients.drop(columns=["coo", "cause_of_death"]).isna().sum().to_dict()
        missing["coo"] = eligible["coo"].isna().sum()
        assert {name: n for name, n in missing.items() if n} == value("missing_values")


class TestAlternatives:
    """The many cohorts of chapter 14."""

    def test_there_are_at_least_200_and_no_two_alike(self, stored: list[Alternative]) -> None:
        histories = {
            tuple(
                sorted(
                    a.patients[["relapse_month", "os_month", "died"]].itertuples(
                        index=False, name=None
                    )
                )
            )
            for a in stored
        }
        assert len(histories) == len(stored) >= 200

    def test_each_prints_the_abstract(self, stored: list[Alternative]) -> None:
        wrong = {
            number: check_against_published(
                {"patients": a.patients, "salvage": a.salvage}, a.early_relapse_months
            )
            for number, a in enumerate(stored, start=1)
        }
        assert {number: found for number, found in wrong.items() if found} == {}

    def test_each_history_is_possible(self, stored: list[Alternative]) -> None:
        wrong = {
            number: impossible_histories({"patients": a.patients, "salvage": a.salvage})
            for number, a in enumerate(stored, start=1)
        }
        assert {number: found for number, found in wrong.items() if found} == {}

    def test_they_differ_in_what_is_assumed(self, stored: list[Alternative]) -> None:
        assert {int(a.patients["died"].sum()) for a in stored} == {27, 28, 29}
        assert {a.early_relapse_months for a in stored} == {1, 2, 3, 4, 6}
        cutoffs = Counter(a.early_relapse_months for a in stored)
        assert cutoffs.most_common(1)[0][0] == cohort.load(DATA).study.early_relapse_months
        tables = {tuple(a.salvage["category"].value_counts().sort_index()) for a in stored}
        assert len(tables) > 190
        ratios = [self._from_relapse(a) for a in stored]
        assert min(ratios) < 0.6
        assert max(ratios) > 4

    @staticmethod
    def _from_relapse(a: Alternative) -> float:
        after = a.patients.assign(os_month=a.patients["os_month"] - a.patients["relapse_month"])
        return checks.late_against_early(after, a.early_relapse_months)["value"]

    def test_the_file_is_small_and_carries_no_time(self) -> None:
        content = ALTERNATIVES.read_bytes()
        assert len(content) < 500_000
        assert content[4:8] == bytes(4)  # the modification time in a gzip header

    def test_frames_have_the_columns_and_types_of_a_cohort(
        self, stored: list[Alternative], shipped: Frames
    ) -> None:
        assert list(stored[0].patients) == list(shipped["patients"])
        assert list(stored[0].salvage) == list(shipped["salvage"])
        for column in ("relapse_month", "os_month", "died"):
            assert stored[0].patients[column].dtype == shipped["patients"][column].dtype
        for column in ("line", "start_month", "target_switched", "best_response"):
            assert stored[0].salvage[column].dtype == shipped["salvage"][column].dtype

    def test_the_first_stratum_is_found_again(self, stored: list[Alternative]) -> None:
        again = alternatives(plan=PLAN[:1])
        assert again
        for new, old in zip(again, stored, strict=False):
            pd.testing.assert_frame_equal(new.patients, old.patients)
            pd.testing.assert_frame_equal(new.salvage, old.salvage)
            assert new.early_relapse_months == old.early_relapse_months

    @pytest.mark.slow
    def test_the_command_writes_the_stored_file_byte_for_byte(self, tmp_path: Path) -> None:
        path = write_alternatives(tmp_path)
        assert path.read_bytes() == ALTERNATIVES.read_bytes()


def test_tables_are_drawn_from_all_feasible_ones() -> None:
    assert tables_counted() == audit.tables(capped=True).count


def test_a_drawn_table_is_feasible() -> None:
    rng = np.random.default_rng(3)
    drawn = [random_table(rng) for _ in range(300)]
    for table in drawn:
        assert list(table) == list(CATEGORY_KEYS)
        assert sum(c.n for c in table.values()) == 58
        assert sum(c.responses for c in table.values()) == 24
        assert sum(c.complete for c in table.values()) == 7
        assert all(1 <= c.n <= 29 and c.complete <= c.responses <= c.n for c in table.values())
        others = [c for key, c in table.items() if key != "polatuzumab"]
        assert all(3 * c.responses < 2 * c.n for c in others)
        assert 3 * table["polatuzumab"].responses == 2 * table["polatuzumab"].n
        others = [c for key, c in table.items() if key != "second_cart"]
        assert all(10 * c.complete < 3 * c.n for c in others)
    share = np.mean([table["second_cart"].n == 10 for table in drawn])
    counts = audit.tables(capped=True)
    expected = counts.where("second_cart", lambda n, r, c: n == 10) / counts.count
    # Three standard errors of 300 draws.
    assert abs(share - expected) < 3 * np.sqrt(expected * (1 - expected) / 300)
