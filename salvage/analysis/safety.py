"""Adverse events of salvage therapy: patients affected, events, grades and rates over exposure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis.estimate import CLOPPER_PEARSON, Estimate, by_id, estimate, proportion
from salvage.analysis.survival import with_outcome
from salvage.cohort import Cohort, once
from salvage.cohort.cells import DAYS_PER_MONTH
from salvage.cohort.schema import CATEGORY_KEYS, SEVERE_GRADE
from salvage.cohort.study import Study
from salvage.paths import ADVERSE_EVENT_TERMS
from salvage.records import Reader
from salvage.stats import intervals

FEVER: Final = "fever"
MONTHS_PER_YEAR: Final = 12
UNSPECIFIED_SCALE: Final = "not recorded"
CRS: Final = "cytokine release syndrome"
ICANS: Final = "icans"
#: Exposure goes on for so many months after the end of a treatment; of one that is given once it
#: lasts at least so long.
AFTER_END: Final = 30 / DAYS_PER_MONTH
GIVEN_ONCE: Final = ("second_cart", "radiotherapy")
LEAST_OF_ONE_OFF: Final = 90 / DAYS_PER_MONTH
# An onset on the last day of exposure is inside it, however its month was rounded.
_HALF_A_DAY: Final = 0.5 / DAYS_PER_MONTH


@dataclass(frozen=True)
class KnownTerm:
    """An adverse event with several names; its fields are those of the list in ``data/``."""

    term: str
    names: dict[str, tuple[str, ...]]
    label: str = ""
    key: str = ""
    beside: tuple[str, ...] = ()


def _known_terms() -> tuple[KnownTerm, ...]:
    reader = Reader(ADVERSE_EVENT_TERMS.name)
    terms = [reader.record(KnownTerm, entry) for entry in reader.load(ADVERSE_EVENT_TERMS)]
    reader.check()
    return tuple(terms)


def _plain(term: str) -> str:
    """A term for comparison with names: hyphens, wide signs, case and blanks do not matter."""
    wide = unicodedata.normalize("NFKC", term).casefold()
    return " ".join(re.sub(r"[-\u2010\u2013]", " ", wide).split())


KNOWN_TERMS: Final = _known_terms()
# The event of each name, and what may stand beside a name of it.
_OF_NAME: Final = {
    _plain(name): known.term
    for known in KNOWN_TERMS
    for names in known.names.values()
    for name in names
}
_SCALES: Final = (*words.SCALES, *words.SCALES.values())
_BESIDE: Final = {known.term: {*map(_plain, known.beside + _SCALES)} for known in KNOWN_TERMS}
LABELS: Final = {known.term: known.label for known in KNOWN_TERMS if known.label}
#: These terms have estimates of their own: their key in the ids.
TERMS: Final = {known.term: known.key for known in KNOWN_TERMS if known.key}
# A grade inside a term: "grade 2", "G2", "any grade", "2级", a number at the end; 0 is no event.
_GRADES: Final = r"(?:[1-5]|i{1,3}|iv|v)(?:(?: to | or | )(?:[1-5]|i{1,3}|iv|v))?"
_GRADE: Final = re.compile(
    r"\bany grade\b|\b(?:(?:ctcae|astct)[ v\d.]*)?"
    rf"(?:grade|gr|g)[ .:]*(?:[<>≤≥=]* ?{_GRADES}|unknown|not recorded)(?![0-9a-z])"
    rf"|(?<![0-9a-z]){_GRADES} ?级|(?<=[a-z]) [1-5]$"
)


@once
def recorded(cohort: Cohort) -> bool:
    """Whether the cohort records any adverse event of a treated patient."""
    return bool(cohort.adverse_events["patient_id"].isin(cohort.salvage["patient_id"]).any())


def graded(cohort: Cohort) -> bool:
    """Whether any event of a treated patient has a grade; else nothing is known of severity."""
    return bool(events_of_treated(cohort)["grade"].notna().any())


def normal_term(terms: pd.Series) -> pd.Series:
    """Terms by which events are counted: case and outer blanks do not matter, nor do synonyms.

    Parameters
    ----------
    terms
        As they were recorded, one per event.

    Returns
    -------
    Of the same shape. A term without synonyms stands as most of its events spell it, as the first
    one does where spellings tie: ``HLH`` and ``COVID-19`` are not words for small letters.

    >>> normal_term(pd.Series(["Pyrexia", "rash ", "Rash", "Rash"])).tolist()
    ['fever', 'Rash', 'Rash', 'Rash']
    """
    written = terms.astype(str).str.strip()
    sizes = written.groupby(written, sort=False).size().sort_values(ascending=False, kind="stable")
    spelled: dict[str, str] = {}
    for term in sizes.index:
        spelled.setdefault(term.casefold(), term)
    return written.map({t: _synonym(t) or spelled[t.casefold()] for t in sizes.index})


def _synonym(term: str) -> str | None:
    """The event that a term names: each part of it is a name of that event, or what may stand
    beside one."""
    parts = [p.strip(" .") for p in re.split(r"[()\[\]/,;:、]", _GRADE.sub(";", _plain(term)))]
    parts = [part for part in parts if part]
    events = {_OF_NAME[part] for part in parts if part in _OF_NAME}
    if len(events) != 1:
        return None
    event = events.pop()
    return event if all(part in _OF_NAME or part in _BESIDE[event] for part in parts) else None


def label(term: str) -> str:
    """A term as a cell or a label begins with it.

    Parameters
    ----------
    term
        One of :func:`normal_term`.

    Returns
    -------
    With a capital, unless its first word has one of its own, such as ``pH``.

    >>> label("fever"), label("pH low")
    ('Fever', 'pH low')
    """
    first = term.split(" ")[0]
    plain = first.islower() and first[0].isascii()
    return LABELS.get(term, term[0].upper() + term[1:] if plain else term)


def small_letters(terms: pd.Series) -> pd.Series:
    """The key of an order of terms in which case does not matter.

    Parameters
    ----------
    terms
        A column to sort by; only one named ``term`` is changed.

    Returns
    -------
    Of the same shape, without capitals.
    """
    return terms.map(str.casefold) if terms.name == "term" else terms


def events_of_treated(cohort: Cohort) -> pd.DataFrame:
    """Events of treated patients, with :func:`normal_term` and a scale for every event."""
    return _events_of_treated(cohort).copy(deep=False)


@once
def _events_of_treated(cohort: Cohort) -> pd.DataFrame:
    events = cohort.adverse_events
    # The spelling is that of all events, as in the histories of the patients.
    events = events.assign(term=normal_term(events["term"]))
    events = events[events["patient_id"].isin(cohort.salvage["patient_id"])]
    scale = events["scale"].astype(object).where(events["scale"].notna(), UNSPECIFIED_SCALE)
    return events.assign(scale=scale)


def severe(events: pd.DataFrame) -> pd.DataFrame:
    """The severe ones of some events.

    Parameters
    ----------
    events
        With ``grade`` from 1 to 5, missing where it is not known.

    Returns
    -------
    The events of grade 3 or more.
    """
    return events[events["grade"] >= SEVERE_GRADE]


def patients_by_severity(events: pd.DataFrame, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Whether patients had a severe event, or may have had one that was not graded.

    Parameters
    ----------
    events
        With ``patient_id`` and ``grade``, missing where it is not known.
    keys
        Columns by which the events of a patient are kept apart.

    Returns
    -------
    One row for each patient with an event, by ``keys`` and patient. Columns: severe (an event of
    grade 3 or more), ungraded (no such event, but one without a grade: not known to be free of it).
    """
    marked = events.assign(severe=events["grade"] >= SEVERE_GRADE, ungraded=events["grade"].isna())
    patients = marked.groupby([*keys, "patient_id"])[["severe", "ungraded"]].any()
    return patients.assign(ungraded=patients["ungraded"] & ~patients["severe"])


def of_term(events: pd.DataFrame, term: str) -> pd.DataFrame:
    """The events of one term.

    Parameters
    ----------
    events
        Of :func:`events_of_treated`.
    term
        One of :func:`normal_term`.

    Returns
    -------
    Their rows, perhaps none.
    """
    return events[events["term"] == term]


def by_term(cohort: Cohort) -> pd.DataFrame:
    """One row per term and scale, most patients first: patients and events, any and severe.

    Columns: term, scale, patients, patients_severe (highest grade of the patient 3 or more),
    patients_ungraded (not known to be free of a severe one), events, events_severe, ungraded
    (events). Grades of different scales or versions are never pooled.
    """
    events = events_of_treated(cohort)
    keys = ["term", "scale"]
    every = events.groupby(keys)
    patients = patients_by_severity(events, keys).groupby(keys)
    table = pd.DataFrame(
        {
            "patients": patients.size(),
            "patients_severe": patients["severe"].sum(),
            "patients_ungraded": patients["ungraded"].sum(),
            "events": every.size(),
            "events_severe": severe(events).groupby(keys).size(),
            "ungraded": every.size() - every["grade"].count(),
        }
    )
    table = table.fillna(0).astype(int).reset_index()
    order = ["patients", "events", "term", "scale"]
    return table.sort_values(
        order, ascending=[False, False, True, True], ignore_index=True, key=small_letters
    )


def worst_grades(cohort: Cohort) -> pd.DataFrame:
    """Patients by term, scale and their highest grade (columns 1 to 5), most patients first."""
    events = events_of_treated(cohort).dropna(subset=["grade"])
    worst = events.groupby(["term", "scale", "patient_id"])["grade"].max().reset_index()
    table = pd.crosstab([worst["term"], worst["scale"]], worst["grade"].astype(int))
    table = table.reindex(columns=range(1, 6), fill_value=0).sort_index(
        key=lambda names: names.str.casefold()
    )
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


@once
def exposed(cohort: Cohort) -> pd.DataFrame:
    """Salvage lines with ``until``, the month at which their exposure ends.

    That is 30 days after the end of the treatment; of a treatment that is given once, a second
    CAR-T infusion or radiotherapy, at least 90 days after its start; at the latest the start of the
    next line or last contact, which it is where no end is recorded. No time counts for two lines.
    """
    lines = with_outcome(cohort)
    end = lines["end_month"] + AFTER_END
    least = lines["start_month"] + LEAST_OF_ONE_OFF
    end = end.mask(lines["category"].isin(GIVEN_ONCE) & (end < least), least)
    return lines.assign(
        until=pd.concat([end, lines["next_start"], lines["os_month"]], axis=1).min(axis=1)
    )


@once
def events_of_lines(cohort: Cohort) -> pd.DataFrame:
    """Events that are linked to a line, with the ``category`` of that line, and whether their onset
    lies ``inside`` or ``outside`` its exposure; it does neither where it is not recorded.
    """
    lines = exposed(cohort)[["patient_id", "line", "category", "start_month", "until"]]
    events = events_of_treated(cohort).merge(
        lines.astype({"line": float}), on=["patient_id", "line"]
    )
    onset = events["onset_month"]
    # A line that the next one follows in the same month has no time at risk.
    inside = onset.between(events["start_month"], events["until"] + _HALF_A_DAY) & (
        events["until"] > events["start_month"]
    )
    return events.assign(inside=inside, outside=onset.notna() & ~inside)


def unlinked(cohort: Cohort) -> int:
    """Events of treated patients that are linked to no line, and so to no category."""
    return len(events_of_treated(cohort)) - len(events_of_lines(cohort))


def left_out(cohort: Cohort) -> tuple[int, int]:
    """Number of events of patients without a salvage line, which nothing counts, and of these
    patients.
    """
    events = cohort.adverse_events
    events = events[~events["patient_id"].isin(cohort.salvage["patient_id"])]
    return len(events), int(events["patient_id"].nunique())


def by_category(cohort: Cohort) -> pd.DataFrame:
    """Events and exposure of each category that occurs, in fixed order.

    Columns: lines, years (patient-years of exposure); of the events with an onset inside it events,
    graded and events_severe; outside and undated, the events that are not counted; and rate with
    low and high in events per patient-year, missing where no onset lies inside. Events without a
    line stand in none of the rows.

    Method: exact Poisson interval (Garwood 1936).
    """
    lines = exposed(cohort)
    grouped = lines.assign(months=lines["until"] - lines["start_month"]).groupby("category")
    table = pd.DataFrame(
        {"lines": grouped.size(), "years": grouped["months"].sum() / MONTHS_PER_YEAR}
    )
    table = table.reindex([key for key in CATEGORY_KEYS if key in table.index])
    linked = events_of_lines(cohort)
    inside = linked[linked["inside"]]
    for column, frame in (
        ("events", inside),
        ("graded", inside[inside["grade"].notna()]),
        ("events_severe", severe(inside)),
        ("outside", linked[linked["outside"]]),
        ("undated", linked[linked["onset_month"].isna()]),
    ):
        sizes = frame.groupby("category").size()
        table[column] = sizes.reindex(table.index, fill_value=0).astype(int)
    table["rate"] = (table["events"] / table["years"]).where(table["events"] > 0)
    limits = [
        intervals.poisson(int(e), float(t)) if e > 0 else (None, None)
        for e, t in zip(table["events"], table["years"], strict=True)
    ]
    table["low"], table["high"] = zip(*limits, strict=True) if limits else ((), ())
    return table


def patients_by_category(cohort: Cohort) -> pd.DataFrame:
    """Patients of each category that occurs, and how many had an event during its lines.

    Columns: patients, any, severe (highest grade 3 or more), ungraded (not known to be free of a
    severe one), fever, crs, icans. A patient counts once in each category received.
    """
    patients = cohort.salvage.groupby("category")["patient_id"].nunique()
    table = pd.DataFrame({"patients": patients})
    table = table.reindex([key for key in CATEGORY_KEYS if key in table.index])
    events = events_of_lines(cohort)
    by_severity = patients_by_severity(events, ["category"]).groupby("category")
    affected = {
        "any": by_severity.size(),
        "severe": by_severity["severe"].sum(),
        "ungraded": by_severity["ungraded"].sum(),
        **{
            key: of_term(events, term).groupby("category")["patient_id"].nunique()
            for term, key in TERMS.items()
        },
    }
    for column, sizes in affected.items():
        table[column] = sizes.reindex(table.index, fill_value=0).astype(int)
    return table


def fever_and_crs(cohort: Cohort) -> pd.DataFrame:
    """Treated patients by fever and by CRS as events of their own: columns fever, crs, patients."""
    events = events_of_treated(cohort)
    ids = cohort.treated["patient_id"]
    fever, crs = (ids.isin(of_term(events, term)["patient_id"]) for term in (FEVER, CRS))
    return pd.DataFrame(
        [
            {"fever": f, "crs": c, "patients": int(((fever == f) & (crs == c)).sum())}
            for f, c in ((True, False), (True, True), (False, True), (False, False))
        ]
    )


def ctcae_versions(cohort: Cohort) -> list[str]:
    """Versions of CTCAE by which events of treated patients were graded."""
    scales = set(events_of_treated(cohort)["scale"])
    return sorted(scale for scale in scales if scale.startswith("CTCAE"))


def ranking(cohort: Cohort) -> pd.DataFrame:
    """Patients and events of each term, over all scales; columns term, patients, events."""
    grouped = events_of_treated(cohort).groupby("term")
    return grouped.agg(patients=("patient_id", "nunique"), events=("term", "size")).reset_index()


def most_common(cohort: Cohort, by: str = "patients") -> list[str]:
    """The most common terms.

    Parameters
    ----------
    cohort
        Whose treated patients are looked at.
    by
        ``patients`` or ``events``: what is counted.

    Returns
    -------
    Several where they tie; none without any event.
    """
    table = ranking(cohort)
    return sorted(table.loc[table[by] == table[by].max(), "term"], key=str.casefold)


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """Any and severe events, fever, CRS and ICANS, and the rate of each category, by id."""
    events = events_of_treated(cohort)
    any_event = "Treated patients with any adverse event"
    any_severe = "Treated patients with an adverse event of grade 3 or more"
    of_all = [
        _share(cohort, "ae.any.patients", any_event, events),
        _share(cohort, "ae.severe.patients", any_severe, events, by_grade=True),
        *(e for term, key in TERMS.items() for e in _term_estimates(cohort, term, key)),
        *_rate_estimates(cohort),
    ]
    return by_id(of_all)


def _share(
    cohort: Cohort, id: str, name: str, events: pd.DataFrame, *, by_grade: bool = False
) -> Estimate:
    """Treated patients with one of ``events``, or with one of grade 3 or more among those for whom
    that is known.

    Unknown where no event is recorded, or nothing is known of any patient with one of ``events``.
    """
    treated = len(cohort.treated)
    if not by_grade:
        affected = int(events["patient_id"].nunique()) if recorded(cohort) else None
        return patients_with(cohort.study, id, name, affected, treated)
    patients = patients_by_severity(events)
    ungraded = int(patients["ungraded"].sum())
    known = recorded(cohort) and (patients.empty or ungraded < len(patients))
    scales = sorted(set(severe(events)["scale"]) - {UNSPECIFIED_SCALE})
    by_scale = f"; graded by {' and '.join(scales)}" if scales else ""
    return patients_with(
        cohort.study,
        id,
        name,
        int(patients["severe"].sum()) if known else None,
        treated - ungraded,
        by_scale + left_out_ungraded(ungraded),
    )


def left_out_ungraded(patients: int) -> str:
    """What a method says of patients with an event without a grade; empty where there are none."""
    return (
        f"; without {words.count(patients, 'patient')} whose event has no grade" if patients else ""
    )


def patients_with(
    study: Study, id: str, name: str, affected: int | None, n: int, by_scale: str = ""
) -> Estimate:
    """Share of treated patients who had an event.

    Parameters
    ----------
    study, id, name
        Of the estimate; ``name`` is its label.
    affected
        Patients with the event; ``None`` where nothing is recorded.
    n
        Treated patients; of a severe event, those of whom it is known.
    by_scale
        What the method says of the grades.

    Returns
    -------
    A proportion from 0 to 1.

    Raises
    ------
    ValueError
        Unless 0 <= affected <= n.

    Method: Clopper and Pearson 1934; each patient counts once.
    """
    method = f"{CLOPPER_PEARSON}, one count per patient{by_scale}"
    return proportion(study, id, name, affected, n, method=method)


def _term_estimates(cohort: Cohort, term: str, key: str) -> list[Estimate]:
    """Treated patients with ``term`` at any grade and at grade 3 or more, and its events."""
    events = of_term(events_of_treated(cohort), term)
    number = len(events) if recorded(cohort) else None
    return [
        _share(cohort, *term_share(term, key, severe=False), events),
        _share(cohort, *term_share(term, key, severe=True), events, by_grade=True),
        estimate(
            cohort.study,
            f"ae.{key}.events",
            f"Events of {LABELS.get(term, term)}",
            number,
            n=len(cohort.salvage),
            events=number,
            unit="events",
            method="count of events",
        ),
    ]


def term_share(term: str, key: str, *, severe: bool) -> tuple[str, str]:
    """Id and label of the share of treated patients with a term.

    Parameters
    ----------
    term
        One of :func:`normal_term`.
    key
        Of the term in ids, from :data:`TERMS`.
    severe
        Grade 3 or more, or else any grade.

    Returns
    -------
    The id and the label.

    >>> term_share("fever", "fever", severe=True)
    ('ae.fever.severe.patients', 'Treated patients with fever, grade 3 or more')
    """
    id = f"ae.{key}.severe.patients" if severe else f"ae.{key}.patients"
    grade = "grade 3 or more" if severe else "any grade"
    return id, f"Treated patients with {LABELS.get(term, term)}, {grade}"


def _rate_estimates(cohort: Cohort) -> list[Estimate]:
    """Events per patient-year of exposure in each of the six categories."""
    table = by_category(cohort).to_dict("index")
    linked = not events_of_lines(cohort).empty
    rates = []
    for key in CATEGORY_KEYS:
        row = table.get(key, {"lines": 0, "events": 0})
        usable = row["events"] > 0
        rates.append(
            estimate(
                cohort.study,
                f"ae.rate.{key}",
                f"Adverse events per patient-year, {words.category(key, cohort.study.labels)}",
                row["rate"] if usable else None,
                (row["low"], row["high"]) if usable else (None, None),
                n=row["lines"],
                events=row["events"] if linked else None,
                unit="rate",
                method="events with an onset inside the exposure of their line over that exposure,"
                " exact Poisson interval"
                if usable
                else f"{words.NOT_ESTIMABLE}: no onset lies inside the exposure of its line",
            )
        )
    return rates
