"""Estimates from released counts and times, by the functions of the internal book."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from salvage.analysis import comparison, counts, prognosis, response, safety, survival
from salvage.analysis.estimate import Estimate, by_id
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.disclosure.linked_counts import ALL, LINES
from salvage.disclosure.release import Release, release_of
from salvage.disclosure.times import together

GROUPED: Final = "times grouped by month for disclosure control"
HIDDEN: Final = "hidden for disclosure control"
# Ids of estimates that are the same for every cohort.
ABOUT_NO_COHORT: Final = ("audit.", "bias.null_hr.", "spread.")
# Whether these estimates exist depends on which category has most lines.
_TELLING: Final = "compare."


@once
def estimates(release: Release) -> dict[str, Estimate]:
    """Every estimate of the release by its id, made by the functions of the internal book."""
    computed: list[Estimate | None] = [
        *_counts(release),
        *_rates(release),
        *_tests(release),
        *_outcomes(release),
        *_safety(release),
    ]
    return by_id(e for e in computed if e is not None)


def _rate(release: Release, measure: str, category: str, line: str = ALL) -> Estimate | None:
    """A response rate with its exact interval, ``None`` where it would tell a hidden count."""
    key, label = response.group(release.study, category, line)
    name = f"lines.{category}.{line}"
    parts = _released(release, f"{name}.any", f"{name}.{measure}", f"{name}.no_{measure}")
    if parts is None:
        return None
    n, events, _ = parts
    return response.rate(release.study, measure, events, n, key, label)


def _released(release: Release, *names: str) -> list[int] | None:
    """Counts that are shown together, or ``None`` where one of them is hidden."""
    values = [value for name in names if (value := release.count(name)) is not None]
    return values if len(values) == len(names) else None


def _counts(release: Release) -> list[Estimate]:
    """Numbers of patients, lines and deaths, as far as they are released."""
    of = {
        "n.patients": "patients.all",
        "n.treated": "patients.treated",
        "n.untreated": "patients.untreated",
        "n.events": "lines.all.all.any",
        "deaths": "patients.died",
        "n.late": "patients.late",
    }
    return counts.estimates_of(release.study, {id: release.count(name) for id, name in of.items()})


def _rates(release: Release) -> list[Estimate | None]:
    return [
        _rate(release, measure, category, line)
        for measure in response.RESPONDING
        for category in (ALL, *CATEGORY_KEYS)
        for line in LINES
        if (category, line) != (ALL, "later")
    ]


def _tests(release: Release) -> list[Estimate]:
    """The exact test of equal rates, where the counts of every category are released."""
    tests = []
    for measure in comparison.MEASURES:
        rates = [_rate(release, measure, key) for key in CATEGORY_KEYS]
        known = [(e.events or 0, e.n or 0) for e in rates if e is not None]
        if len(known) == len(rates) and sum(n > 0 for _, n in known) > 1:
            events, sizes = zip(*known, strict=True)
            counted = comparison.CategoryCounts(events, sizes)
            tests.append(comparison.exact_test(release.study, measure, counted))
    return tests


def _safety(release: Release) -> list[Estimate]:
    shares = []
    for term, key in safety.TERMS.items():
        names = [f"term.{term}.{part}" for part in ("any", "without")]
        by_grade = [f"term.{term}.{part}" for part in ("graded", "severe", "no_severe")]
        if parts := _released(release, "patients.treated", *names):
            n, affected, without = parts
            id, label = safety.term_share(term, key, severe=False)
            shares.append(safety.patients_with(release.study, id, label, affected, n))
            if parts := _released(release, *by_grade):
                graded, severe, _ = parts
                id, label = safety.term_share(term, key, severe=True)
                # Where no patient with the event has a grade, nothing is known of severity.
                known = severe if graded > without or not affected else None
                left_out = safety.left_out_ungraded(n - graded)
                shares.append(
                    safety.patients_with(release.study, id, label, known, graded, left_out)
                )
    return shares


def _grouped(e: Estimate) -> Estimate:
    return replace(e, method=f"{e.method}; {GROUPED}")


def medians(release: Release, origin: str) -> dict[str, Estimate]:
    """Median survival from an origin: of all patients, then of each relapse group released."""
    all_patients = release.all_patients(origin)
    if all_patients is None:
        return {}
    groups = {ALL: all_patients, **{g: t for g, t in release.times[origin].items() if g != ALL}}
    return {
        group: _grouped(
            survival.median(
                release.study, f"{origin}.{'' if group == ALL else f'{group}.'}median", times
            )
        )
        for group, times in groups.items()
    }


def _survival_at(release: Release, origin: str, month: int) -> Estimate | None:
    """Survival at a month at which an interval ends; between two ends there is no estimate."""
    times = release.all_patients(origin)
    if times is None or month not in times.time:
        return None
    return _grouped(survival.at_month(release.study, f"{origin}.at.{month}", times, month))


def _late_against_early(release: Release, origin: str) -> Estimate | None:
    """Hazard ratio of late against early relapse from the released durations."""
    groups = release.times.get(origin, {})
    if set(groups) != {"early", "late"}:
        return None
    times = together([groups["early"], groups["late"]])
    if not times.events:
        return None
    late = np.repeat([False, True], [groups["early"].n, groups["late"].n])
    return _grouped(prognosis.late_contrast(release.study, origin, prognosis.fit_late(times, late)))


def _outcomes(release: Release) -> list[Estimate | None]:
    return [
        e
        for origin in release.times
        for e in (
            medians(release, origin)[ALL],
            *(_survival_at(release, origin, month) for month in survival.FIXED_MONTHS),
            _late_against_early(release, origin),
        )
    ]


def screened(cohort: Cohort, computed: Sequence[Estimate]) -> list[Estimate]:
    """The estimates of a cohort as its book may show them; unchanged unless its study is public.

    One that is not released keeps its id and unit alone: a label or a method could tell something.
    """
    if not cohort.study.public:
        return list(computed)
    released = estimates(release_of(cohort))
    return [
        e if e.id.startswith(ABOUT_NO_COHORT) else released.get(e.id) or _emptied(e)
        for e in computed
        if not e.id.startswith(_TELLING) or e.id.endswith(".p")
    ]


def _emptied(e: Estimate) -> Estimate:
    return replace(
        e,
        label=e.id,
        method=HIDDEN,
        value=None,
        low=None,
        high=None,
        n=None,
        events=None,
        p=None,
    )
