"""Disclosure control: the gate through which everything shown passes while a study is public.

``audience: public`` in study.yaml turns it on. Nothing is shown unless it was cleared:

- what says nothing of the cohort (other studies, the audit of the abstract, simulations) is marked
  ``cleared`` where it is made;
- what :func:`screen` releases: a fixed set of counts that are linked by sums, with every small
  count hidden and as many others as it takes (:mod:`salvage.suppression`); and numbers of deaths
  and of censorings over intervals that hold enough of both. Every rate, interval, P, median and
  hazard ratio of a public book is computed from these released numbers alone, so that none of them
  can tell more than they do. :mod:`salvage.tables.public` shows them.

Anything else becomes a sentence that says that it is hidden and why. An estimate of results.json
keeps its id only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from salvage import comparison, response, safety, survival, words
from salvage.cohort import Cohort
from salvage.estimate import Estimate, estimate
from salvage.schema import CATEGORY_KEYS
from salvage.stats import cox, exact, intervals
from salvage.study import Study
from salvage.suppression import Counts, is_small, protect
from salvage.survival import Times

if TYPE_CHECKING:
    from salvage.show import Absent, Shown

ALL: Final = "all"
LINES: Final = (ALL, "first", "later")
# What a response can be counted as: the codes, and the complement of each rate of the book.
KINDS: Final = {
    "any": ("CR", "PR", "SD", "PD", "NE"),
    "orr": ("CR", "PR"),
    "cr": ("CR",),
    "pr": ("PR",),
    "no_orr": ("SD", "PD", "NE"),
    "no_cr": ("PR", "SD", "PD", "NE"),
    "no_pr": ("CR", "SD", "PD", "NE"),
}
APART: Final = {"sd": ("SD",), "pd": ("PD",), "ne": ("NE",)}
# Yes/no items of the baseline table: label, column and the lowest value that counts as yes.
BASELINE: Final = {
    "sex": "Female",
    "stage": "Stage III or IV",
    "ipi": "IPI 3 to 5",
    "ecog": "ECOG 2 or more",
    "ldh_elevated": "LDH above the upper limit of normal",
    "bulky": "Bulky disease",
    "refractory": "Refractory to the last line before CAR-T",
}
_YES_FROM: Final = {"stage": 3, "ipi": 3, "ecog": 2, "ldh_elevated": 1, "bulky": 1, "refractory": 1}
MOST_TERMS: Final = 12
# These terms have estimates of their own: their key in the ids.
TERMS: Final = {safety.FEVER: "fever", safety.CRS: "crs", safety.ICANS: "icans"}
LAST_STEP: Final = 6  # months
FEWEST_STEPS: Final = 8  # a curve of fewer would say little, and its median less
GROUPED: Final = "times grouped by month for disclosure control"
HIDDEN: Final = "hidden for disclosure control"
HIDDEN_HERE: Final = "A part of this page is hidden for disclosure control."
# Ids of estimates that are the same for every cohort.
ABOUT_NO_COHORT: Final = ("audit.", "bias.null_hr.", "spread.")
# Whether these estimates exist depends on which category has most lines.
_TELLING: Final = "compare."
Bools = NDArray[np.bool_]


# --- what may be released -----------------------------------------------------------------------


@dataclass(frozen=True)
class Release:
    """What a public book may say of a cohort; everything in it is screened.

    ``counts`` has ``None`` for a hidden count. ``times`` holds, by time origin, the released
    durations of each relapse group (of ``all`` patients where the groups are not released), each
    moved to the end of its interval. ``terms`` are the adverse events that may be named.
    """

    study: Study
    counts: Mapping[str, int | None]
    times: Mapping[str, Mapping[str, Times]]
    terms: Sequence[str]

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """Every estimate of the release by its id."""
        made = [*_numbers_of(self), *_rates(self), *_tests(self), *_outcomes(self), *_safety(self)]
        return {e.id: e for e in made}

    def count(self, name: str) -> int | None:
        """One released count, or ``None`` where it is hidden or not part of the release."""
        return self.counts.get(name)

    def whole(self, origin: str) -> Times | None:
        """The released durations of all patients from one origin."""
        groups = self.times.get(origin)
        return _together(list(groups.values())) if groups else None


def screen(cohort: Cohort) -> Release:
    """The numbers of a cohort that a public book may show: see the module."""
    study = cohort.study
    below, with_zero = study.suppress_below, study.suppress_zero
    terms = _named_terms(cohort)
    system = linked_counts(cohort, terms)
    # Of so few patients even a zero tells too much.
    too_few = is_small(len(cohort.patients), below, with_zero)
    hidden = protect(system, below, with_zero) | too_few
    counts = {
        name: None if hide else int(value)
        for name, hide, value in zip(system.names, hidden, system.totals, strict=True)
    }
    shown = [t for t in terms if counts[f"term.{t}.any"]]
    return Release(study, counts, _released_times(cohort, counts), shown)


@dataclass(frozen=True)
class _Block:
    """A table of counts whose cells are atoms, and the sums of them that are of interest.

    ``rows`` names the sums whose parts are shown beside them, with these parts.
    """

    atoms: NDArray[np.int64]
    sums: Mapping[str, Bools]
    cost: Mapping[str, float]
    rows: Sequence[tuple[str, Sequence[str]]] = ()


def linked_counts(cohort: Cohort, terms: Sequence[str]) -> Counts:
    """Every count of the release before screening, with all sums that link them.

    The complement of each count among its denominator is a count too. Costs keep totals visible
    longer than their parts.
    """
    blocks = {
        "patients": _patients(cohort),
        "lines": _lines(cohort),
        **{f"baseline.{column}": _baseline(cohort, column) for column in BASELINE},
        **{f"term.{term}": _term(cohort, term) for term in terms},
    }
    starts = np.cumsum([0, *(block.atoms.size for block in blocks.values())])
    total = int(starts[-1])
    at = dict(zip(blocks, starts, strict=False))

    def row(block: str, name: str) -> NDArray[np.float64]:
        made = np.zeros(total)
        members = blocks[block].sums[name].ravel()
        made[at[block] : at[block] + len(members)] = members
        return made

    names = [(block, name) for block, parts in blocks.items() for name in parts.sums]
    place = {name: i for i, name in enumerate(names)}
    # Every treated patient has one first line; every other block is about the same patients.
    treated, patients = row("patients", "treated"), row("patients", "all")
    same = [treated - row("lines", "all.first.any")]
    same += [patients - row(b, "recorded") - row(b, "missing") for b in blocks if "baseline" in b]
    same += [treated - row(b, "any") - row(b, "without") for b in blocks if "term" in b]
    return Counts(
        [f"{block}.{name}" for block, name in names],
        np.concatenate([block.atoms.ravel() for block in blocks.values()]),
        np.array([row(block, name) for block, name in names]),
        np.array(same),
        np.array([blocks[block].cost.get(name, 1.0) for block, name in names]),
        [
            (place[block, whole], [place[block, part] for part in parts])
            for block, made in blocks.items()
            for whole, parts in made.rows
        ],
    )


def _patients(cohort: Cohort) -> _Block:
    """Patients by treatment, relapse group and death; axes: treated, late, died."""
    patients = cohort.patients
    treated = patients["patient_id"].isin(cohort.salvage["patient_id"]).to_numpy()
    late, died = cohort.late.to_numpy(), patients["died"].to_numpy()
    atoms = np.zeros((2, 2, 2), dtype=np.int64)
    np.add.at(atoms, (treated.astype(int), late.astype(int), died.astype(int)), 1)
    everyone = np.ones_like(atoms, dtype=bool)
    is_treated, is_late, has_died = np.indices(atoms.shape).astype(bool)
    axes = (
        {"treated": is_treated, "untreated": ~is_treated},
        {"late": is_late, "early": ~is_late},
    )
    outcome = {"died": has_died, "alive": ~has_died}
    groups = {name: members for axis in axes for name, members in axis.items()}
    both = {f"{g}.{o}": groups[g] & outcome[o] for g in groups for o in outcome}
    sums = {"all": everyone, **groups, **outcome, **both}
    cost = {"all": 100.0, "died": 30.0, "alive": 30.0, **dict.fromkeys(groups, 20.0)}
    rows = [(g, [f"{g}.{o}" for o in outcome]) for g in groups]
    return _Block(atoms, sums, {**dict.fromkeys(both, 5.0), **cost}, rows)


def _lines(cohort: Cohort) -> _Block:
    """Lines; axes: category, first or later line, best response."""
    lines = cohort.salvage
    codes = list(words.RESPONSES)
    place = (
        lines["category"].map({key: i for i, key in enumerate(CATEGORY_KEYS)}).to_numpy(dtype=int),
        (lines["line"] > 1).to_numpy(dtype=int),
        lines["best_response"].map({code: i for i, code in enumerate(codes)}).to_numpy(dtype=int),
    )
    atoms = np.zeros((len(CATEGORY_KEYS), 2, len(codes)), dtype=np.int64)
    np.add.at(atoms, place, 1)
    category, later, code = np.indices(atoms.shape)
    when = {"all": later >= 0, "first": later == 0, "later": later == 1}
    which = {"all": category >= 0, **{k: category == i for i, k in enumerate(CATEGORY_KEYS)}}
    sums, cost = {}, {}
    for key, chosen in which.items():
        for line in LINES:
            for kind, members in {**KINDS, **(APART if line == ALL else {})}.items():
                name = f"{key}.{line}.{kind}"
                sums[name] = chosen & when[line] & np.isin(code, [codes.index(c) for c in members])
                cost[name] = (
                    10.0 if kind == "any" else 3.0 if kind in ("orr", "no_orr") else 1.0
                ) * (4.0 if key == ALL else 1.0)
    apart = ("cr", "pr", *APART)
    rows = [(f"{key}.all.any", [f"{key}.all.{kind}" for kind in apart]) for key in which]
    rows += [(f"{key}.all.any", [f"{key}.{line}.any" for line in LINES[1:]]) for key in which]
    return _Block(atoms, sums, cost, rows)


def _baseline(cohort: Cohort, column: str) -> _Block:
    """Patients with and without a finding, and those without a record of it."""
    values = cohort.patients[column]
    yes = (values == "F") if column == "sex" else values >= _YES_FROM[column]
    atoms = np.array(
        [(yes & values.notna()).sum(), (~yes & values.notna()).sum(), values.isna().sum()]
    )
    sums = _three("yes", "no", "missing") | {"recorded": np.array([True, True, False])}
    return _Block(atoms.astype(np.int64), sums, {"recorded": 3.0}, [("recorded", ("yes", "no"))])


def _term(cohort: Cohort, term: str) -> _Block:
    """Treated patients with a severe, only a milder or ungraded, or no event of a term."""
    events = safety.events_of_treated(cohort)
    events = events[events["term"] == term]
    severe = events.loc[events["grade"] >= safety.SEVERE_GRADE, "patient_id"].nunique()
    affected = events["patient_id"].nunique()
    atoms = np.array([severe, affected - severe, len(cohort.treated) - affected])
    sums = _three("severe", "milder", "without")
    more = {"any": sums["severe"] | sums["milder"], "no_severe": ~sums["severe"]}
    rows = [("any", ("severe", "milder"))]
    return _Block(atoms.astype(np.int64), sums | more, {"any": 3.0}, rows)


def _three(*names: str) -> dict[str, Bools]:
    return {name: np.arange(3) == i for i, name in enumerate(names)}


def _named_terms(cohort: Cohort) -> list[str]:
    """Terms that enough patients had; fever, CRS and ICANS are always counted."""
    if not safety.recorded(cohort):
        return []
    found = safety.ranking(cohort).sort_values(
        ["patients", "term"], ascending=[False, True], key=safety.small_letters
    )
    often = found.loc[found["patients"] >= cohort.study.suppress_below, "term"].head(MOST_TERMS)
    return list(dict.fromkeys([*often, *TERMS]))


# --- times --------------------------------------------------------------------------------------


def _released_times(
    cohort: Cohort, counts: Mapping[str, int | None]
) -> dict[str, dict[str, Times]]:
    """Deaths and censorings by intervals of whole months, from relapse and from infusion.

    Each interval holds, in each group, none or enough deaths, and none or enough censorings. All
    groups share their intervals, so that no difference of two curves is a small count; nor is one
    of the two origins, because who died within some months of infusion died within as many of
    relapse. Without released groups there is no curve from infusion: nobody with a late relapse can
    die early, so it would tell the size of a group.
    """
    groups = {"early": ~cohort.late.to_numpy(), "late": cohort.late.to_numpy()}
    parts = [f"patients.{g}.{o}" for g in groups for o in ("died", "alive")]
    if any(counts[part] is None for part in parts):
        groups = {ALL: np.ones(len(cohort.patients), dtype=bool)}
        if counts["patients.died"] is None or counts["patients.alive"] is None:
            return {}
    study = cohort.study
    relapse, infusion = survival.from_relapse(cohort), survival.from_infusion(cohort)
    from_relapse = {g: _part(relapse, rows) for g, rows in groups.items() if rows.any()}
    ends = _intervals(from_relapse, study, {})
    made = {"os.from_relapse": _moved(from_relapse, ends)} if len(ends) >= FEWEST_STEPS else {}
    if ALL in groups:
        return made
    from_infusion = {g: _part(infusion, rows) for g, rows in groups.items() if rows.any()}
    later = _intervals(from_infusion, study, made.get("os.from_relapse", {}))
    return {**({"os": _moved(from_infusion, later)} if len(later) >= FEWEST_STEPS else {}), **made}


def _part(times: Times, rows: Bools) -> Times:
    return Times(times.label, times.time[rows], times.event[rows], times.patient[rows])


def _intervals(groups: Mapping[str, Times], study: Study, known: Mapping[str, Times]) -> list[int]:
    """Ends of as many intervals as are allowed, whole months; empty where not even one is.

    ``known`` are the released durations from relapse, with which those from infusion must agree.
    """
    longest = max((t.time.max() for t in groups.values()), default=0.0)
    # The longest time is one patient's: the last interval ends some months later.
    last = LAST_STEP * max(1, int(np.ceil(longest / LAST_STEP)))
    months = np.arange(1, last + 1)
    # Deaths and censorings of each group by the end of each month; none before the first interval.
    by_month = np.array(
        [
            np.searchsorted(np.sort(t.time[kind]), np.append(-1, months), side="right")
            for t in groups.values()
            for kind in (t.event, ~t.event)
        ]
    )
    allowed = [True] + [
        m == last
        or all(_no_small_difference(t, m, known.get(g), g, study) for g, t in groups.items())
        for m in map(int, months)
    ]
    # The most intervals that end in each month, and where the last of them begins.
    most, before = np.full(last + 1, -1), np.zeros(last + 1, dtype=int)
    most[0] = 0
    for month in range(1, last + 1):
        apart = by_month[:, [month]] - by_month[:, :month]
        least = 0 if study.suppress_zero else 1
        fits = ~((apart >= least) & (apart < study.suppress_below)).any(axis=0)
        fits &= (apart.sum(axis=0) > 0) & (most[:month] >= 0)
        if allowed[month] and fits.any():
            before[month] = int(np.argmax(np.where(fits, most[:month], -1)))
            most[month] = most[before[month]] + 1
    ends = [last] if most[last] > 0 else []
    while ends and before[ends[0]]:
        ends.insert(0, int(before[ends[0]]))
    return ends


def _no_small_difference(
    times: Times, month: int, known: Times | None, group: str, study: Study
) -> bool:
    """Whether no nested pair of numbers, one from each origin, differs by a small count.

    A time from infusion is at least the time from relapse; it is more than the cut-off longer
    after a late relapse, and at most the cut-off longer after an early one.
    """
    if known is None:
        return True
    cut = study.early_relapse_months
    for end in np.unique(known.time):
        inner = end >= month - (cut if group == "late" else 0)
        outer = group == "early" and month >= end + cut
        if not (inner or outer):
            continue
        for kind, other in ((times.event, known.event), (~times.event, ~known.event)):
            apart = int((known.time[other] <= end).sum()) - int((times.time[kind] <= month).sum())
            if apart and is_small(abs(apart), study.suppress_below, False):
                return False
    return True


def _moved(groups: Mapping[str, Times], ends: Sequence[int]) -> dict[str, Times]:
    """The durations at the ends of their intervals, in order, without their patients."""
    made = {}
    for name, times in groups.items():
        at = np.asarray(ends, dtype=float)[np.searchsorted(ends, times.time)]
        order = np.lexsort((~times.event, at))
        label = (
            times.label if name == ALL else f"{times.label}, {words.RELAPSE_GROUPS[name].lower()}"
        )
        made[name] = Times(label, at[order], times.event[order], _numbers(len(at)))
    return made


def _numbers(n: int) -> NDArray[np.object_]:
    return np.arange(1, n + 1).astype(str).astype(object)


def _together(groups: Sequence[Times]) -> Times:
    """All groups as one; the label of the origin alone."""
    time, event = (np.concatenate([getattr(t, f) for t in groups]) for f in ("time", "event"))
    return Times(groups[0].label.split(",")[0], time, event, _numbers(len(time)))


# --- estimates from the release -------------------------------------------------------------------


def rate(release: Release, measure: str, category: str = ALL, line: str = ALL) -> Estimate | None:
    """A response rate with its exact interval, ``None`` where a count that it tells is hidden."""
    beginning = {ALL: "", "first": "first_line.", "later": "later_line."}[line]
    label = (
        words.category(category, release.study.labels) if category != ALL else "all salvage lines"
    )
    where = {ALL: "", "first": ", first salvage line", "later": ", later salvage lines"}[line]
    name = f"lines.{category}.{line}"
    parts = [f"{name}.any", f"{name}.{measure}", f"{name}.no_{measure}"]
    id = f"{measure}.{beginning}{category}"
    return _share(release, id, f"{words.MEASURES[measure]}, {label}{where}", *parts)


def _share(
    release: Release, id: str, label: str, n: str, events: str, rest: str
) -> Estimate | None:
    """A proportion of released counts; ``rest`` is the complement of ``events`` in ``n``."""
    size, part = release.count(n), release.count(events)
    if size is None or part is None or release.count(rest) is None:
        return None
    return estimate(
        release.study,
        id,
        label,
        part / size if size else None,
        intervals.clopper_pearson(part, size) if size else (None, None),
        n=size,
        events=part,
        unit="proportion",
        method=response.CLOPPER_PEARSON,
    )


def _numbers_of(release: Release) -> list[Estimate]:
    plain = (
        ("n.patients", "Patients", "patients.all", None),
        ("n.treated", "Patients with salvage therapy", "patients.treated", "patients.all"),
        ("n.untreated", "Patients without salvage therapy", "patients.untreated", "patients.all"),
        ("n.events", "Salvage treatment events", "lines.all.all.any", "patients.treated"),
        ("deaths", "Deaths", "patients.died", "patients.all"),
        ("n.late", "Patients with late relapse", "patients.late", "patients.all"),
    )
    return [
        estimate(
            release.study,
            id,
            label,
            release.count(name),
            n=release.count(among) if among else None,
            unit="count",
            method="count",
        )
        for id, label, name, among in plain
        if release.count(name) is not None
    ]


def _rates(release: Release) -> list[Estimate]:
    made = [
        rate(release, measure, category, line)
        for measure in response.RESPONDING
        for category in (ALL, *CATEGORY_KEYS)
        for line in LINES
        if (category, line) != (ALL, "later")
    ]
    return [e for e in made if e is not None]


def _tests(release: Release) -> list[Estimate]:
    """The exact test of equal rates, where the counts of every category are released."""
    made = []
    for measure in ("orr", "cr"):
        found = [rate(release, measure, key) for key in CATEGORY_KEYS]
        groups = [(e.events, e.n) for e in found if e is not None and e.n and e.events is not None]
        if any(e is None for e in found) or len(groups) < 2:
            continue
        events, sizes = zip(*groups, strict=True)
        p = exact.exact_kx2(events, sizes) if 0 < sum(events) < sum(sizes) else None
        made.append(
            estimate(
                release.study,
                f"compare.{measure}.exact.p",
                f"{words.MEASURES[measure]}: exact test over all categories",
                p,
                n=sum(sizes),
                events=sum(events),
                unit="probability",
                method=comparison.EXACT,
                p=p,
            )
        )
    return made


def _safety(release: Release) -> list[Estimate]:
    made = []
    for term, key in TERMS.items():
        if f"term.{term}.any" not in release.counts:
            continue
        n, label = "patients.treated", safety.label(term)
        for id, kind, rest, grade in (
            (f"ae.{key}.patients", "any", "without", "any grade"),
            (f"ae.{key}.severe.patients", "severe", "no_severe", "grade 3 or more"),
        ):
            name = f"term.{term}"
            made.append(
                _share(
                    release,
                    id,
                    f"{label}, {grade}, patients",
                    n,
                    f"{name}.{kind}",
                    f"{name}.{rest}",
                )
            )
    return [e for e in made if e is not None]


def _grouped(e: Estimate) -> Estimate:
    return replace(e, method=f"{e.method}; {GROUPED}")


def medians(release: Release, origin: str) -> dict[str, Estimate]:
    """Median survival from an origin: of all patients, then of each relapse group released."""
    whole = release.whole(origin)
    if whole is None:
        return {}
    parts = {name: t for name, t in release.times[origin].items() if name != ALL}
    ids = {ALL: f"{origin}.median", **{name: f"{origin}.{name}.median" for name in parts}}
    return {
        name: _grouped(_median(release, ids[name], times))
        for name, times in {ALL: whole, **parts}.items()
    }


def _median(release: Release, id: str, times: Times) -> Estimate:
    curve = times.curve()
    value, low, high = curve.median if curve is not None else (None, None, None)
    return estimate(
        release.study,
        id,
        f"Median {times.label}",
        value,
        (low, high),
        n=times.n,
        events=times.events,
        unit="months",
        method=survival.LOG_LOG,
    )


def survival_at(release: Release, origin: str, month: int) -> Estimate | None:
    """Survival at a month at which an interval ends; between two ends there is no estimate."""
    times = release.whole(origin)
    if times is None or month not in times.time:
        return None
    curve = times.curve()
    assert curve is not None  # there is a duration at the month
    value, low, high, _ = curve.at(month)
    made = estimate(
        release.study,
        f"{origin}.at.{month}",
        f"{times.label}: survival at {month} months",
        value,
        (low, high),
        n=times.n,
        events=times.events,
        unit="probability",
        method=survival.LOG_LOG,
    )
    return _grouped(made)


def late_against_early(release: Release, origin: str) -> Estimate | None:
    """Hazard ratio of late against early relapse from the released durations."""
    groups = release.times.get(origin, {})
    if set(groups) != {"early", "late"}:
        return None
    times = _together([groups["early"], groups["late"]])
    late = np.repeat([0.0, 1.0], [groups["early"].n, groups["late"].n])
    if not times.events:
        return None
    fitted = cox.cox_or_firth(late, times.time, times.event, names=["late"])
    middle = "" if origin == "os" else ".from_relapse"
    made = estimate(
        release.study,
        f"cox.late_vs_early{middle}.hr",
        f"{words.FACTORS['late']}, {times.label}",
        fitted.hr[0],
        (fitted.low[0], fitted.high[0]),
        n=fitted.n,
        events=fitted.events,
        unit="ratio",
        method=fitted.method,
        p=fitted.p[0],
    )
    return _grouped(made)


def _outcomes(release: Release) -> list[Estimate]:
    made: list[Estimate | None] = []
    for origin in release.times:
        made += [medians(release, origin)[ALL]]
        made += [survival_at(release, origin, month) for month in survival.FIXED_MONTHS]
        made += [late_against_early(release, origin)]
    return [e for e in made if e is not None]


def screened(cohort: Cohort, found: Sequence[Estimate]) -> list[Estimate]:
    """The estimates of a cohort as its book may show them; unchanged unless its study is public.

    One that is not released keeps its id and unit; its label and method could tell something too.
    """
    if not cohort.study.public:
        return list(found)
    released = cohort.release.estimates
    return [
        e if e.id.startswith(ABOUT_NO_COHORT) else released.get(e.id) or _emptied(e)
        for e in found
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


# --- the gate -------------------------------------------------------------------------------------


def gate(shown: "Shown", cohort: Cohort) -> "Shown":
    """What is shown in the place of ``shown``: itself, its public form, or why it is hidden.

    The public form goes by the name alone. What there was to show instead, a table or the sentence
    that there is none, makes no difference.
    """
    if shown.cleared or not cohort.study.public:
        return shown
    from salvage.tables import public

    form = public.FORMS.get(getattr(shown, "name", ""))
    made = form(cohort.release) if form else None
    return made or withheld(cohort.study)


def withheld(study: Study) -> "Absent":
    """What stands for anything that is hidden."""
    from salvage.show import Absent

    return Absent(f"{HIDDEN_HERE} {why(study)}", cleared=True, withheld=True)


def why(study: Study) -> str:
    """Why a public book hides something, in one sentence."""
    least, most = 0 if study.suppress_zero else 1, study.suppress_below - 1
    small = f"a count from {least} to {most}" if most > least else f"a count of {least}"
    return f"This book is public and shows nothing that could tell {small}, or a single patient."
