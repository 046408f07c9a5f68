"""The audit of the published figures against proved answers, brute force and other Cox models."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.duration.hazard_regression import PHReg

from salvage.analysis import provenance
from salvage.evidence import audit, feasible_tables, printed, risk_sets
from salvage.evidence.printed import RatioFact, check_ratio, follow_up
from salvage.evidence.rounding import (
    Printed,
    PrintedP,
    normal_quantile,
    numerators,
    ratio_region,
    wald_p,
)

Z = norm.isf(0.025)


def ratio_fact(hr: str, low: str, high: str, **more) -> RatioFact:
    return RatioFact(*map(Printed.parse, (hr, low, high)), **more)


# --- printed numbers ------------------------------------------------------------------------------


def test_a_printed_number_keeps_its_last_digit():
    assert Printed.parse("0.40") == Printed(Fraction(2, 5), Fraction(1, 100))
    assert Printed.parse(" 41.4 % ") == Printed(Fraction(414, 1000), Fraction(1, 1000))
    assert Printed.of(0.3, 0.001) == Printed.parse("30.0%")
    assert Printed.parse("7").low == Fraction(13, 2)
    assert Printed.parse("４１．４％") == Printed.parse("41·4%") == Printed.parse("41.4%")
    for text in ("", "about 7", "nan", "inf", "0,44"):
        with pytest.raises(ValueError, match="is not a"):
            Printed.parse(text)


def test_a_printed_p_is_a_range():
    for text, ends in {
        "0.038": (0.0375, 0.0385),
        "<0.001": (0.0, 0.001),
        "< .05": (0.0, 0.05),
        "P ＜ 0.05": (0.0, 0.05),
        "≤.05": (0.0, 0.05),
        "<=0.05": (0.0, 0.05),
        ">0.05": (0.05, 1.0),
        "P≥0.05": (0.05, 1.0),
        "1.0": (0.95, 1.0),
        "0.000": (0.0, 0.0005),
    }.items():
        assert (PrintedP.parse(text).low, PrintedP.parse(text).high) == ends
    cut = PrintedP.parse("0.038").read(cut=True)
    assert (cut.low, cut.high) == (0.038, 0.039)
    assert not any(PrintedP.parse(text).possible for text in ("1.2", "-0.1", "<0"))
    assert PrintedP.parse("0.000").possible


@given(st.integers(1, 120), st.data())
def test_every_proportion_prints_itself(n, data):
    count = data.draw(st.integers(0, n))
    printed = Printed.parse(f"{100 * count / n:.1f}%")
    assert count in numerators(printed, n)
    assert all(
        abs(100 * c / n - 100 * float(printed.value)) < 0.0501 for c in numerators(printed, n)
    )


def test_a_half_may_have_been_rounded_up_or_to_even():
    # 1 of 8 is 12.5%: 13 up and 12 to even. 3 of 8 is 37.5%: 38 both ways.
    assert numerators(Printed.parse("12%"), 8) == [1]
    assert numerators(Printed.parse("13%"), 8) == [1]
    assert numerators(Printed.parse("14%"), 8) == []
    assert numerators(Printed.parse("38%"), 8) == [3]
    assert numerators(Printed.parse("37%"), 8) == []


def test_digits_cut_off_leave_every_larger_value_below_one_more_of_the_last_digit():
    cut = Printed.parse("64%").read(cut=True)
    assert numerators(cut, 100) == [64]
    assert numerators(cut, 20) == []
    assert numerators(cut, 238) == [153, 154]
    assert (Printed.parse("41.40%").decimals, Printed.parse("5").decimals) == (2, 0)
    assert Printed.parse("1.944").nearest(0.97095).text == "0.971"


def arrays(sequence: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times 1, 2, ..., whether each patient died, and whether each relapsed late."""
    patients = [
        (time, mark) for time, block in enumerate(risk_sets.events(sequence), 1) for mark in block
    ]
    return (
        np.array([float(time) for time, _ in patients]),
        np.array([mark.isupper() for _, mark in patients]),
        np.array([mark in "Ll" for _, mark in patients]),
    )


# --- the published percentages --------------------------------------------------------------------


def test_published_percentages_and_their_denominators():
    possible = {id: audit.possible_counts(id) for id in audit.published_rates()}
    assert possible == {
        "orr.all": [(12, 29), (24, 58)],
        "cr.all": [(4, 33), (7, 58)],
        "cr.second_cart": [(3 * k, 10 * k) for k in range(1, 6)],
        "orr.polatuzumab": [(2 * k, 3 * k) for k in range(1, 20)],
        "cr.second_cart.switched": [(3 * k, 5 * k) for k in range(1, 12)],
    }


def test_the_engine_finds_every_published_figure_possible():
    assert set(audit.verdicts()) == {
        "cox.late_vs_early.hr",
        "followup.observed.median",
        "os.median",
        "tables",
        *audit.published_rates(),
    }
    assert audit.consistent()


# --- the region of the hazard ratio ---------------------------------------------------------------


def test_standard_errors_that_print_the_published_ratio():
    check = audit.ratio()
    # The narrowest interval is limited by its upper end at the highest ratio that prints 0.44; in
    # the widest both limits are as far out as they print, around a ratio that prints 0.44 too.
    narrow = (math.log(0.945) - math.log(0.445)) / Z
    wide = (math.log(0.955) - math.log(0.205)) / 2 / Z
    assert check.region.se == pytest.approx((narrow, wide), rel=1e-12)
    # Reference .3843-.3925, P .0351-.0378; printed P leaves .3892-.3925, 6.5% of the region. Its
    # four digits are those of a grid search, which stays inside the region.
    assert check.region.se == pytest.approx((0.3843, 0.3925), abs=1e-4)
    assert check.region.p == pytest.approx((0.0351, 0.0378), abs=5e-5)
    assert len(check.with_p) == 1
    assert check.with_p[0].se == pytest.approx((0.3892, 0.3925), abs=5e-5)
    assert check.p_share == pytest.approx(0.065, abs=5e-4)
    assert check.consistent


def test_region_against_a_grid():
    check = audit.ratio()
    b, se = np.meshgrid(np.linspace(-0.84, -0.79, 1001), np.linspace(0.38, 0.397, 1001))
    inside = (
        (np.abs(np.exp(b) - 0.44) <= 0.005)
        & (np.abs(np.exp(b - Z * se) - 0.21) <= 0.005)
        & (np.abs(np.exp(b + Z * se) - 0.95) <= 0.005)
    )
    cell = 0.05 / 1000 * 0.017 / 1000
    assert inside.sum() * cell == pytest.approx(check.region.area, rel=0.01)
    p = wald_p(b, se)
    with_p = inside & (p >= 0.0375) & (p <= 0.0385)
    assert with_p.sum() / inside.sum() == pytest.approx(check.p_share, abs=0.002)


@settings(max_examples=60, deadline=None)
@given(st.floats(-2, 2), st.floats(0.05, 1.0))
def test_a_model_lies_in_the_region_of_what_it_prints(log_hr, se):
    texts = [f"{math.exp(log_hr + k * Z * se):.2f}" for k in (0, -1, 1)]
    if float(texts[1]) < 0.01:
        return
    fact = ratio_fact(*texts, p=PrintedP.parse(f"{float(wald_p(log_hr, se)):.3f}"))
    region = ratio_region(fact.hr, fact.low, fact.high)
    assert fact.prints(risk_sets.Fit(log_hr, se))
    (b_low, b_high), (se_low, se_high) = region.log_ratio, region.se
    assert b_low - 1e-9 <= log_hr <= b_high + 1e-9
    assert se_low - 1e-9 <= se <= se_high + 1e-9
    parts = region.with_p(fact.p)
    assert any(
        part.log_ratio[0] - 1e-9 <= log_hr <= part.log_ratio[1] + 1e-9
        and part.se[0] - 1e-9 <= se <= part.se[1] + 1e-9
        for part in parts
    )


def test_a_ratio_around_one_has_a_region_on_both_sides():
    check = check_ratio(ratio_fact("1.0", "0.5", "2.0", p=PrintedP.parse("0.97")))
    assert check.region.p[1] == 1.0
    assert len(check.with_p) == 2
    assert all(0.965 <= part.p[0] <= part.p[1] <= 0.9751 for part in check.with_p)


def test_figures_that_no_wald_interval_prints():
    check = check_ratio(ratio_fact("0.50", "0.21", "0.95", n=29))
    assert check.region.empty
    assert check.deaths is None
    assert check.p_share is None
    assert not check.deaths_consistent
    assert not check.consistent
    with pytest.raises(ValueError, match="above 0"):
        check_ratio(ratio_fact("0.44", "-0.20", "0.95"))


def test_an_interval_that_is_one_point_has_no_area():
    # A standard error of 0 is possible where ratio and limits print alike.
    check = check_ratio(ratio_fact("2.00", "2.00", "2.00"))
    assert check.region.se[0] == pytest.approx(0, abs=1e-12)
    assert check.region.p[0] == 0.0


def test_quantile():
    assert normal_quantile(0.95) == pytest.approx(Z, rel=1e-14)


# --- the bound on deaths --------------------------------------------------------------------------


def test_fewest_deaths_behind_the_published_ratio():
    bound = audit.ratio().deaths
    assert bound.simple == 26
    assert bound.sharp == 27
    assert {deaths: (sizes[0], sizes[-1]) for deaths, sizes in bound.groups.items()} == {
        27: (13, 17),
        28: (12, 18),
        29: (11, 18),
    }
    assert all(b - a == 1 for sizes in bound.groups.values() for a, b in pairwise(sizes))
    assert audit.most_censored() == 2


@pytest.mark.parametrize("ties", printed.TIES)
def test_either_treatment_of_ties_gives_the_same_bound(ties):
    splits = risk_sets.possible_splits(29, 25, printed._cells(audit.ratio().region), ties)
    assert splits[25] == splits[26] == []
    assert splits[27] == [*range(13, 18)]
    assert splits[28] == [*range(12, 19)]
    assert splits[29] == [*range(11, 19)]


def _sequences(early: int, late: int, censored: int, tied: int) -> Iterator[str]:
    if early == late == 0:
        if censored == 0:
            yield ""
        return
    for block in risk_sets._blocks(tied):
        if block[0] <= early and block[1] <= late:
            text = "E" * block[0] + "L" * block[1]
            text = f"({text})" if len(text) > 1 else text
            for rest in _sequences(early - block[0], late - block[1], censored, tied):
                yield text + rest
    if censored:
        if early:
            yield from ("e" + rest for rest in _sequences(early - 1, late, censored - 1, tied))
        if late:
            yield from ("l" + rest for rest in _sequences(early, late - 1, censored - 1, tied))


def _score_and_information(sequence: str, log_hr: float, ties: str) -> tuple[float, float]:
    """Straight from the definition, one patient at a time."""
    times, died, late = arrays(sequence)
    score = information = 0.0
    for time in np.unique(times[died]):
        at_risk, deaths = times >= time, (times == time) & died
        for part in range(deaths.sum()):
            kept = at_risk - (part / deaths.sum() if ties == "efron" else 0) * deaths
            weight = kept * np.exp(log_hr * late)
            p = weight[late].sum() / weight.sum()
            score -= p
            information += p * (1 - p)
        score += late[deaths].sum()
    return score, information


@pytest.mark.parametrize("ties", printed.TIES)
@pytest.mark.parametrize("censored", [0, 1, 2])
def test_the_bound_is_the_best_of_all_sequences(ties, censored):
    patients, log_hr = 6, -0.8
    bound = risk_sets.largest_information(patients, 2, np.array([log_hr]), ties, tied=3)
    for late in (0, 2, 3, 6):
        best = np.full(len(risk_sets.MULTIPLIERS), -np.inf)
        for sequence in _sequences(patients - late, late, censored, 3):
            score, information = _score_and_information(sequence, log_hr, ties)
            best = np.maximum(best, information + risk_sets.MULTIPLIERS * score)
        np.testing.assert_allclose(bound[late, censored, 0], best, atol=1e-12)


def test_the_slack_covers_a_whole_cell():
    """Moving b by half a cell changes score and information by no more than the proof grants."""
    sequence, half = "EELE(EL)ELel", 0.01
    deaths = sum(mark in "EL" for mark in sequence)
    for ties, log_hr in product(printed.TIES, np.linspace(-2, 2, 41)):
        score, information = _score_and_information(sequence, log_hr, ties)
        near_score, near_information = _score_and_information(sequence, log_hr + half, ties)
        assert abs(near_score - score) <= deaths / 4 * half
        assert abs(near_information - information) <= deaths * half / (6 * math.sqrt(3))


def test_too_many_patients_are_refused():
    with pytest.raises(ValueError, match="more than"):
        risk_sets.possible_splits(risk_sets.MOST_PATIENTS + 1, 40, [], "efron")


def _statsmodels(sequence: str, ties: str) -> risk_sets.Fit:
    times, died, late = arrays(sequence)
    fit = PHReg(times, late.astype(float)[:, None], died.astype(int), ties=ties).fit()
    return risk_sets.Fit(fit.params[0], fit.bse[0])


WITNESSES = audit.witnesses()


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: f"{w.deaths}-{w.late}-{w.ties[0]}")
def test_a_stored_sequence_prints_the_published_figures(witness):
    times, died, late = arrays(witness.sequence)
    assert (len(times), died.sum(), late.sum()) == (29, witness.deaths, witness.late)
    assert max(map(len, risk_sets.events(witness.sequence))) <= risk_sets.TIED
    fact = audit.published_ratio()
    for ties in witness.ties:
        found = _statsmodels(witness.sequence, ties)
        own = risk_sets.fit(witness.sequence, ties)
        assert (own.log_hr, own.se) == pytest.approx((found.log_hr, found.se), rel=1e-6)
        assert fact.prints(found)


def test_every_possible_number_of_deaths_and_late_relapsers_is_proved_for_both_ties():
    proved = {(w.deaths, w.late, ties) for w in WITNESSES for ties in w.ties}
    possible = {
        (deaths, late, ties)
        for deaths, sizes in audit.ratio().deaths.groups.items()
        for late in sizes
        for ties in printed.TIES
    }
    assert proved == possible


@pytest.fixture(scope="module")
def small_study() -> printed.RatioCheck:
    return check_ratio(ratio_fact("0.44", "0.1", "2.1", n=9))


def test_the_search_finds_sequences(small_study, tmp_path, monkeypatch):
    bound = small_study.deaths
    found = audit.search_witnesses(small_study)
    assert {w.deaths for w in found} <= set(bound.groups)
    assert {w.ties for w in found} >= {printed.TIES}
    assert all(
        small_study.fact.prints(_statsmodels(w.sequence, ties)) for w in found for ties in w.ties
    )
    monkeypatch.setattr(audit, "ratio", lambda: small_study)
    audit.write_witnesses(tmp_path / "audit.json")
    assert audit.witnesses(tmp_path / "audit.json") == found


def test_the_search_says_when_there_is_nothing_to_find():
    with pytest.raises(ValueError, match="number of patients"):
        audit.search_witnesses(check_ratio(ratio_fact("0.44", "0.21", "0.95")))
    table = risk_sets.SequenceTable(9, 1, -0.8, "efron")
    assert risk_sets.find_sequence(table, 9, 4, 9, lambda _: False) is None
    assert table.best(5, 4, 0, 100.0) is None


# --- follow-up ------------------------------------------------------------------------------------


def test_the_median_follow_up_is_not_reverse_kaplan_meier():
    argument = audit.published_follow_up()
    assert (argument.patients, argument.censored) == (29, 2)
    assert not argument.possible
    assert argument.at_risk == 13
    assert argument.lowest == pytest.approx(11 / 13)


def test_reverse_kaplan_meier_stays_above_the_bound_in_every_small_cohort():
    """Every order of deaths and censorings of 9 patients with 2 censored, by brute force."""
    n, censored = 9, 2
    bound = follow_up(n, censored)
    lowest = 1.0
    for one in range(n):
        for other in range(one + 1, n):
            survival, follow = Fraction(1), Fraction(1)
            for place in range(n):
                at_risk = n - place
                if survival >= Fraction(1, 2):
                    assert at_risk >= bound.at_risk
                    reached = survival * (1 - Fraction(1, at_risk))
                    if place not in (one, other) and reached <= Fraction(1, 2):
                        lowest = min(lowest, float(follow))
                if place in (one, other):
                    follow *= 1 - Fraction(1, at_risk)
                    if follow <= Fraction(1, 2):
                        assert at_risk <= 2 * bound.censored
                else:
                    survival *= 1 - Fraction(1, at_risk)
    assert lowest >= bound.lowest


def test_with_many_censored_the_medians_may_agree():
    argument = follow_up(29, 14)
    assert argument.possible


# --- feasible tables ------------------------------------------------------------------------------


def test_number_of_feasible_tables():
    assert audit.tables().count == 245_999_849
    assert audit.tables(capped=True).count == 245_244_433


def test_marginals_count_every_table_once_per_category():
    for tables in (audit.tables(), audit.tables(capped=True)):
        assert {int(counts.sum()) for counts in tables.marginals.values()} == {tables.count}


def test_what_the_tables_pin_down():
    tables = audit.tables()
    second = {(n, complete) for n, _, complete in tables.cells("second_cart")}
    assert second == {(10, 3), (20, 6)}
    assert {r for n, r, _ in tables.cells("second_cart") if n == 10} == {3, 4, 5, 6}
    ten = tables.where("second_cart", lambda n, _, __: n == 10)
    assert ten / tables.count == pytest.approx(0.934, abs=5e-4)
    switches = audit.target_switches().to_numpy().tolist()
    assert switches == [[10, 3, 5, 3, 5, 0], [20, 6, 5, 3, 15, 3], [20, 6, 10, 6, 10, 0]]
    pola = {(n, r) for n, r, _ in tables.cells("polatuzumab")}
    assert pola == {(n, 2 * n // 3) for n in range(3, 31, 3)}
    assert max(n for n, _, _ in audit.tables(capped=True).cells("polatuzumab")) == 27


def test_ranges_of_the_tables():
    ranges = audit.tables().ranges()
    assert list(ranges.index) == list(audit.tables().marginals)
    assert ranges.loc["second_cart", ["events_low", "events_high"]].tolist() == [10, 20]
    assert ranges.loc["second_cart", ["cr_low", "cr_high"]].tolist() == [0.3, 0.3]
    assert ranges.loc["polatuzumab", "events_values"] == 10
    rest = ranges.drop(index=["second_cart", "polatuzumab"])
    assert len(rest.drop_duplicates()) == 1, "nothing tells the other four categories apart"
    assert rest["events_low"].eq(1).all()
    assert rest["orr_low"].eq(0).all()
    assert (rest["orr_high"] < 2 / 3).all()


def _brute_force(facts: feasible_tables.TableFacts) -> list[tuple[tuple[int, int, int], ...]]:
    largest = facts.cap or facts.events
    cells = [
        (n, r, c)
        for n in range(1, largest + 1)
        for r in range(min(n, facts.responses) + 1)
        for c in range(min(r, facts.complete) + 1)
    ]
    totals = (facts.events, facts.responses, facts.complete)
    top_r = facts.categories.index(facts.highest_response[0])
    top_c = facts.categories.index(facts.highest_complete[0])
    found = []
    for table in product(cells, repeat=len(facts.categories)):
        if tuple(map(sum, zip(*table, strict=True))) != totals:
            continue
        orr = [Fraction(r, n) for n, r, _ in table]
        cr = [Fraction(c, n) for n, _, c in table]
        if (
            facts.highest_response[1].prints(orr[top_r])
            and facts.highest_complete[1].prints(cr[top_c])
            and sorted(orr)[-2] < orr[top_r] == max(orr)
            and sorted(cr)[-2] < cr[top_c] == max(cr)
            and feasible_tables.subsets(table[top_c][0], table[top_c][2], facts.subset_complete)
        ):
            found.append(table)
    return found


@pytest.mark.parametrize("cap", [None, 4])
def test_convolution_counts_what_brute_force_finds(cap):
    # A whole percentage is printed by several fractions: 67% by 2/3 only, 3e1% by 1/4 to 2/6.
    small = feasible_tables.TableFacts(
        categories=("a", "b", "c"),
        events=9,
        responses=4,
        complete=1,
        highest_response=("a", Printed.parse("67%")),
        highest_complete=("b", Printed.parse("3e1%")),
        subset_complete=Printed.parse("50%"),
        cap=cap,
    )
    expected = _brute_force(small)
    tables = feasible_tables.feasible_tables(small)
    assert tables.count == len(expected) > 0
    for place, category in enumerate(small.categories):
        for cell in {table[place] for table in expected}:
            here = sum(table[place] == cell for table in expected)
            assert tables.marginals[category][cell] == here


# --- estimates ------------------------------------------------------------------------------------


def test_estimates_are_implied_and_complete():
    found = audit.estimates()
    assert all(e.id == id for id, e in found.items())
    assert found["audit.deaths.min_simple"].value == 26
    assert found["audit.deaths.min"].value == 27
    assert found["audit.tables.count"].value == 245_999_849
    assert found["audit.tables.count_capped"].value == 245_244_433
    assert found["audit.tables.second_cart_10"].value == pytest.approx(0.934, abs=5e-4)
    assert found["audit.p.share"].value == pytest.approx(0.065, abs=5e-4)
    assert found["audit.se.low"].value < found["audit.se.low_with_p"].value
    for e in found.values():
        assert {e.provenance, e.provenance_n, e.provenance_interval} == {"implied"}
        assert e.value is not None
        assert math.isfinite(e.value)


def test_published_facts_without_a_bound_are_refused(monkeypatch):
    empty = check_ratio(ratio_fact("0.50", "0.21", "0.95", n=29))
    monkeypatch.setattr(audit, "ratio", lambda: empty)
    audit.estimates.cache_clear()
    with pytest.raises(ValueError, match="no Cox model prints"):
        audit.estimates()
    with pytest.raises(ValueError, match="does not bound"):
        audit.most_censored()


def test_the_verdict_on_medians_and_range_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audit.consistent()
    odd = copy.deepcopy(dict(provenance.facts()))
    odd["figures"]["os.range.max"]["value"] = 5.0
    monkeypatch.setattr(provenance, "facts", lambda: odd)
    audit.verdicts.cache_clear()
    assert audit.verdicts()["os.median"] == "impossible"
    assert not audit.consistent()
    audit.verdicts.cache_clear()


def test_a_ratio_of_one_without_width_has_a_p_of_one() -> None:
    assert wald_p(0.0, 0.0) == 1
    assert wald_p(0.1, 0.0) == 0
