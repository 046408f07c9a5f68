"""Other studies' figures: the data file, exact intervals, and pooling against R."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from scipy.stats import beta

from salvage.cohort.schema import CATEGORY_KEYS
from salvage.evidence import comparators
from salvage.evidence.comparators import ANY, NotPooled, outcomes, pooled, rates
from salvage.evidence.rounding import Printed, numerators
from salvage.paths import COMPARATORS, ROOT
from salvage.problems import InputError
from salvage.stats.pooling import pool

BIBLIOGRAPHY = ROOT / "book" / "references.bib"

# --- the file -------------------------------------------------------------------------------------


def test_every_study_has_figures_or_says_something():
    found = comparators.comparators()
    cited = {rate.study.key for rate in found.rates} | {o.study.key for o in found.outcomes}
    assert cited | {key for key, study in found.studies.items() if study.says} == set(found.studies)
    assert len(found.studies) == 17


def test_every_study_is_in_the_bibliography_as_it_is_in_the_data():
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    entries = dict(re.findall(r"@\w+\{(\w+),\n(.*?)\n\}", text, flags=re.DOTALL))
    for key, study in comparators.comparators().studies.items():
        entry = entries[key]
        for field in (study.journal, study.year, study.volume, study.first_page, study.doi):
            assert field is None or f"{{{field}}}" in entry, key
        # Nothing about a study is known in one place only.
        assert ("doi " in entry) == (study.doi is not None), key
        assert ("year " in entry) == (study.year is not None), key


def test_the_bibliography_names_each_entry_once():
    keys = re.findall(r"@\w+\{(\w+),", BIBLIOGRAPHY.read_text(encoding="utf-8"))
    assert not [key for key, count in Counter(keys).items() if count > 1]
    assert {"tian2026", "cheson2014", "lee2019", "schemper1996", "heinze2001"} <= set(keys)


def test_secondary_sources_are_marked():
    marked = {
        key for key, s in comparators.comparators().studies.items() if s.read_in == "secondary"
    }
    assert marked == {"alarcontomas2023", "spiegel2021"}
    found = comparators.comparators()
    for row in (*found.rates, *found.outcomes):
        assert (row.read_in == "secondary") == (row.study.key in marked)


# --- rates ----------------------------------------------------------------------------------------


def _rate(study: str, category: str, measure: str, group: str = "") -> comparators.Rate:
    (found,) = [r for r in rates(category, measure) if r.study.key == study and r.group == group]
    return found


@pytest.mark.parametrize(
    ("study", "category", "measure", "events", "n"),
    [
        ("gouni2022", "polatuzumab", "orr", 25, 57),
        ("gouni2022", "polatuzumab", "cr", 8, 57),
        ("korea_pola", "polatuzumab", "orr", 7, 13),
        ("korea_pola", "polatuzumab", "cr", 5, 13),
        ("shumilov2025", "bispecific", "orr", 40, 92),
        ("major2023", "checkpoint", "orr", 18, 96),
        ("major2023", "checkpoint", "cr", 10, 96),
        ("chong2022", "checkpoint", "orr", 3, 12),
        ("chong2022", "checkpoint", "cr", 1, 12),
    ],
)
def test_a_count_is_derived_where_only_one_prints_the_rate(study, category, measure, events, n):
    rate = _rate(study, category, measure)
    assert (rate.events, rate.n) == (events, n)
    places = len(rate.printed.partition(".")[2].rstrip("%"))
    assert f"{100 * events / n:.{places}f}%" == rate.printed
    # The textbook form of the exact interval, from quantiles of the beta distribution.
    exact = (beta.ppf(0.025, events, n - events + 1), beta.ppf(0.975, events + 1, n - events))
    assert (rate.low, rate.high) == pytest.approx(exact, rel=1e-9)


def test_printed_counts_and_printed_intervals():
    wang = _rate("wuhan_cti2", "second_cart", "orr", "same target")
    assert (wang.events, wang.n) == (8, 27)
    assert wang.value == pytest.approx(8 / 27)
    other = _rate("wuhan_cti2", ANY, "orr", "other therapy than a second infusion")
    assert (other.events, other.n) == (2, 34)
    meta = _rate("cd22_meta", "second_cart", "cr", "CD22 target, non-Hodgkin lymphoma")
    assert (meta.events, meta.low, meta.high) == (None, 0.46, 0.81)


def test_a_rate_without_a_denominator_has_no_interval():
    for category in CATEGORY_KEYS:
        for measure in comparators.RATES:
            for rate in rates(category, measure):
                assert (rate.low is None) == (rate.high is None)
                if rate.study.key == "iacoboni2024":
                    assert (rate.events, rate.n, rate.low) == (None, None, None)
                    assert "first line" in rate.counted


def test_rates_of_iacoboni():
    printed = {
        "polatuzumab": (0.67, 0.38),
        "bispecific": (0.51, 0.36),
        "radiotherapy": (0.45, 0.35),
        "checkpoint": (0.33, 0.26),
    }
    for category, (orr, cr) in printed.items():
        assert _rate("iacoboni2024", category, "orr").value == orr
        assert _rate("iacoboni2024", category, "cr").value == cr
    assert _rate("iacoboni2024", "other", "cr", "lenalidomide").value == 0


def test_the_late_failures_are_not_the_denominator_of_their_response_rate():
    """298 patients failed late, but no count of 298 prints 22.6%: its denominator is not known."""
    assert (
        numerators(
            Printed.parse("22.6%"), comparators.comparators().studies["descart_late2025"].failed
        )
        == []
    )
    assert _rate("descart_late2025", ANY, "orr", "failure after month 3").n is None


# --- outcomes -------------------------------------------------------------------------------------


def test_times_are_in_months():
    by_group = {(o.study.key, o.group): o for o in outcomes("os_median")}
    assert by_group["spiegel2021", "all"].value == pytest.approx(180 / 30.4375)
    assert by_group["major2023", "relapse after day 180"].value == pytest.approx(12.7, abs=0.05)
    (gouni,) = outcomes("pfs_median", category="polatuzumab")
    assert (gouni.value, gouni.low, gouni.high) == pytest.approx((2.3, 1.15, 3.45), abs=0.005)
    assert {o.unit for o in comparators.comparators().outcomes} == {"months", "proportion", "ratio"}


def test_a_median_that_was_not_reached_has_no_value():
    missing = [o for o in comparators.comparators().outcomes if o.value is None]
    assert [(o.study.key, o.group) for o in missing] == [
        ("iacoboni2024", "progression after 6 months")
    ]


def test_a_median_of_all_above_those_of_its_groups_is_kept_apart():
    medians = [o for o in outcomes("os_median") if o.study.key == "dibiasi2022"]
    assert [o.value for o in medians] == [5.2, 1.7, 3.0]
    assert {o.apart for o in medians} == {"the median of all lies above those of both groups"}
    assert all(o.apart for o in comparators.comparators().outcomes if o.study.key == "allohct2022")


def test_every_time_says_where_its_clock_starts():
    assert all(o.origin for o in comparators.comparators().outcomes)
    origins = {o.study.key: o.origin for o in outcomes("os_median")}
    assert origins["zurko2023"] == origins["pcpi2024"] == "progression"
    assert origins["zuma7_3l"] == "start of the third line"
    assert origins["iacoboni2024"] == "not stated"


# --- pooling --------------------------------------------------------------------------------------


def test_nothing_here_can_be_pooled_and_why():
    found = {
        (category, measure): pooled(category, measure)
        for category in (*CATEGORY_KEYS, ANY)
        for measure in comparators.RATES
    }
    assert all(isinstance(result, NotPooled) for result in found.values())
    assert max(result.studies for result in found.values()) == 2
    assert found["polatuzumab", "orr"].reason.startswith("only 2 comparable counts are known")
    assert "one printed rate has no count" in found["polatuzumab", "orr"].reason
    assert found["second_cart", "orr"].reason.startswith("one comparable count is known")
    assert "a pooled estimate" in found["second_cart", "cr"].reason
    assert found["other", "orr"].reason.endswith("2 printed without a count")
    assert "mixed therapies" in found[ANY, "orr"].reason


FILE = """
studies:
  - {key: a, name: A, author: A, read_in: abstract}
  - {key: b, name: B, author: B, read_in: abstract}
  - {key: c, name: C, author: C, read_in: abstract}
rates:
  - {study: a, category: other, measure: orr, printed: 5/12, events: 5, n: 12, counted: p, pool: x}
  - {study: b, category: other, measure: orr, printed: 46%, n: 13, counted: p, pool: x}
  - {study: c, category: other, measure: orr, printed: 5/11, events: 5, n: 11, counted: p, pool: x}
  - {study: a, category: other, measure: cr, printed: 0/12, events: 0, n: 12, counted: p, pool: x}
  - {study: b, category: other, measure: cr, printed: 0/13, events: 0, n: 13, counted: p, pool: x}
  - {study: c, category: other, measure: cr, printed: 0/11, events: 0, n: 11, counted: p, pool: x}
  - {study: a, category: checkpoint, measure: orr, printed: 1%, n: 900, counted: p, pool: y}
"""


def _read(tmp_path: Path, text: str) -> comparators.Comparators:
    path = tmp_path / "comparators.yaml"
    path.write_text(text, encoding="utf-8")
    return comparators.read(path)


def test_three_comparable_counts_are_pooled(tmp_path, monkeypatch):
    found = _read(tmp_path, FILE)
    monkeypatch.setattr(comparators, "comparators", lambda: found)
    assert pooled("other", "orr") == pool([5, 6, 5], [12, 13, 11])
    assert pooled("other", "cr") == NotPooled(
        "nobody or everybody responded in all comparable studies", 3
    )
    assert pooled("radiotherapy", "cr") == NotPooled("no other study here prints this rate", 0)
    # 5 to 13 of 900 print 1%: none is derived.
    (rate,) = rates("checkpoint", "orr")
    assert (rate.events, rate.low, rate.high) == (None, None, None)


BAD = """
studies:
  - {key: a, name: A, author: A, read_in: memory}
  - {key: a, name: A, author: A, read_in: abstract, page: 7}
rates:
  - {study: z, category: pills, measure: pfs, printed: half, counted: patients}
  - {study: a, category: any, measure: orr, printed: 50%, events: 3, n: 2, counted: ""}
outcomes:
  - {study: a, measure: os_median, value: seven, unit: years, group: all, origin: infusion}
  - {study: a, measure: os_rate, value: 50%, unit: months, group: all, origin: x, category: any}
figures:
  - {study: z, percent: 50%}
"""


def test_a_bad_file_gets_every_problem_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        _read(tmp_path, BAD)
    assert [(p.column, p.value) for p in caught.value.problems] == [
        ("studies[1].read_in", "memory"),
        ("studies[2].page", ""),
        ("studies[2].key", "a"),
        ("rates[1].study", "z"),
        ("rates[1].category", "pills"),
        ("rates[1].measure", "pfs"),
        ("rates[1].printed", "half"),
        ("rates[2].counted", ""),
        ("rates[2].events", "3"),
        ("outcomes[1].value", "seven"),
        ("outcomes[1].unit", "years"),
        ("outcomes[2].category", "any"),
        ("outcomes[2].unit", "months"),
        ("figures[1].study", "z"),
    ]


def test_an_empty_file_has_nothing(tmp_path):
    assert _read(tmp_path, "# nothing\n") == comparators.Comparators({}, (), (), {})


# --- the audit of what others printed -------------------------------------------------------------


def test_figures_are_kept_as_printed():
    def numbers(part):
        if isinstance(part, dict | list):
            return [n for item in (part.values() if isinstance(part, dict) else part)
                    for n in numbers(item)]  # fmt: skip
        return [part] if isinstance(part, float) else []

    # A number that YAML reads as one loses its trailing zeros; counts have none.
    assert numbers(yaml.safe_load(COMPARATORS.read_text(encoding="utf-8"))) == []


def test_every_printed_figure_of_every_study_is_audited():
    found = comparators.comparators()
    figures = [one for key in found.studies for one in comparators.audited(key)]
    outcomes = [outcome for outcome in found.outcomes if outcome.value is not None]
    own = yaml.safe_load(COMPARATORS.read_text(encoding="utf-8"))["figures"]
    assert len(figures) == len(found.rates) + len(outcomes) + len(own)
    verdicts = {(one.case.name, one.printed): one.finding.verdict for one in figures}
    assert verdicts["Di Blasi 2022", "154/238 (64%)"] == "truncated"
    assert verdicts["Wang G", "8/27 against 2/34, P .014"] == "other_method"
    assert verdicts["DESCAR-T registry 2025", "0.350 (0.193 to 0.633)"] == "possible"
    assert verdicts["Gouni 2022", "44% of 57"] == "possible"
    assert verdicts["Zurko 2022", "59%, of survival"] == "question"
    assert not {"impossible", "other_denominator"} & set(verdicts.values())


def test_the_book_reads_the_shipped_file():
    assert comparators.read(COMPARATORS) == comparators.comparators()
