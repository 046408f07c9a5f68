"""Tables of the chapter on the cohort: baseline, relapse, follow-up, completeness."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import survival
from salvage.analysis.estimate import Estimate
from salvage.analysis.prognosis import CUT_OFFS
from salvage.analysis.response import RESPONDING
from salvage.cohort import Cohort
from salvage.cohort.schema import ADVERSE_EVENTS, SALVAGE
from salvage.cohort.study import Study
from salvage.display.figures.style import MOST_PATIENTS
from salvage.display.show import CLEARED, Box, Table, Text, answer, text
from salvage.display.wording import interval_text, months
from salvage.report.shared import mark, marks, of, spread, this_cohort

FEW_ALIVE: Final = 10
MOST_LISTED: Final = 5


def cohort_answer(cohort: Cohort) -> Box:
    """Patients, deaths, relapse timing and follow-up in three sentences."""
    patients = cohort.patients
    n, dead = len(patients), int(patients["died"].sum())
    observed, reverse = survival.follow_up_observed(cohort), survival.follow_up_reverse(cohort)
    shortest, longest = months(patients["os_month"].min()), months(patients["os_month"].max())
    return answer(
        cohort.study,
        f"{words.capital(this_cohort(cohort.study))} has {words.count(n, 'patient')}"
        f"{_who_received(cohort)} received salvage therapy, in"
        f" {words.count(len(cohort.salvage), 'line')}. "
        f"{_deaths(n, dead)} {_timing(cohort)}",
        f"{_observed(n, observed, shortest, longest)} "
        f"By reverse Kaplan-Meier, the median follow-up was {_reverse(reverse)}.",
        name="answer-cohort",
    )


def _observed(n: int, observed: Estimate, shortest: str, longest: str) -> str:
    if shortest == longest:
        who = "The patient was" if n == 1 else "Every patient was"
        return f"{who} observed for {shortest} months from the first CAR-T infusion."
    return (
        "The median observed time from the first CAR-T infusion was "
        f"{months(observed.value)} months (range {shortest} to {longest})."
    )


def _who_received(cohort: Cohort) -> str:
    n, k = len(cohort.patients), len(cohort.treated)
    if k < n:
        return f", of whom {k:,}"
    return ", who" if n == 1 else ", all of whom"


def _deaths(n: int, dead: int) -> str:
    if dead == 0:
        return "The patient was alive at last contact." if n == 1 else "No patient died."
    if dead == n:
        return "The patient died." if n == 1 else "All patients died."
    return (
        f"{words.count(dead, 'patient')} died; {n - dead:,} {_was(n - dead)} alive at last contact."
    )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _timing(cohort: Cohort) -> str:
    n, late = len(cohort.patients), int(cohort.late.sum())
    cut = f"month {cohort.study.early_relapse_months:g}"
    if late == 0:
        return f"{'The' if n == 1 else 'Every'} relapse was early (in {cut} or before)."
    if late == n:
        return f"{'The' if n == 1 else 'Every'} relapse was late (after {cut})."
    return f"Relapse was early (in {cut} or before) in {of(n - late, n)} and late in {of(late, n)}."


def _reverse(e: Estimate) -> str:
    if e.value is None:
        return words.NOT_REACHED
    if e.low is None and e.high is None:
        return f"{months(e.value)} months"
    return f"{months(e.value)} months (95% CI {interval_text(e)})"


def setting(study: Study) -> Text:
    """Centre, window and data cut-off, as the study's settings give them."""
    study = study
    given = {
        "Centre": study.centre,
        "Dates of the study": study.window,
        "Data cut-off": study.data_cut_off,
    }
    known = [f"{name}: {value.rstrip('.')}." for name, value in given.items() if value]
    absent = [name.lower() for name, value in given.items() if not value]
    unknown = f"Not stated in the settings of the study: {words.listing(absent)}." if absent else ""
    return text(CLEARED, " ".join([*known, unknown]).strip())


def treated(cohort: Cohort) -> Text:
    """Who counts where: patients with and without salvage."""
    without = len(cohort.patients) - len(cohort.treated)
    if without == 0:
        return text(
            cohort.study,
            "Every patient of the cohort received salvage therapy. If receiving it was a condition "
            "of entry, patients who relapsed and died before any salvage are not in the data.",
        )
    return text(
        cohort.study,
        f"{words.count(without, 'patient')} relapsed and received no salvage therapy. "
        f"{'That patient counts' if without == 1 else 'They count'} in overall survival and not in "
        "response rates, whose denominators are salvage lines.",
    )


def missing(cohort: Cohort) -> Text:
    """How much of the baseline is missing, and what the table does about it."""
    columns = list(dict.fromkeys([*(item.column for item in BASELINE), *LEVELS]))
    frame = cohort.patients[columns]
    cells, blank = frame.size, int(frame.isna().to_numpy().sum())
    if blank == 0:
        return text(cohort.study, "No baseline value is missing.")
    complete = int(frame.notna().all(axis=1).sum())
    if blank == cells:
        return text(
            cohort.study,
            "The cohort records no baseline value, so its patients cannot be described further.",
        )
    return text(
        cohort.study,
        f"Of {cells:,} baseline values, {of(blank, cells)} "
        f"{_was(blank)} not recorded. {_complete(complete, len(frame))} "
        "Missing values were not imputed; the last column of the table counts them.",
    )


def _complete(complete: int, n: int) -> str:
    if complete == 0:
        return "No patient has a complete baseline."
    return f"The baseline is complete in {complete:,} of {words.count(n, 'patient')}."


def why_follow_up_differs(cohort: Cohort) -> Text:
    """Why the two medians of follow-up differ in this cohort, or agree."""
    n = len(cohort.patients)
    alive = n - int(cohort.patients["died"].sum())
    observed, reverse = survival.follow_up_observed(cohort), survival.follow_up_reverse(cohort)
    if alive == n:
        return text(
            cohort.study,
            "No patient died, so every observed time is a time of follow-up and the two methods "
            f"give the same median, {months(observed.value)} months.",
        )
    if alive == 0:
        return text(
            cohort.study,
            "Every patient died, so no follow-up ended while a patient was alive. The reverse "
            "Kaplan-Meier median is therefore not reached. The observed median is a median time "
            "to death: it says when patients died, not for how long survivors were followed.",
        )
    first = (
        f"The observed median of {months(observed.value)} months mixes two things: for "
        f"{words.count(n - alive, 'patient')} the time ended with death, and for {alive:,} at last "
        "contact. The more patients die, the nearer it comes to a median survival."
    )
    meaning = (
        "The reverse Kaplan-Meier median asks another question: for how long would these patients "
        "have been followed if none had died?"
    )
    if reverse.value is None:
        found = (
            "Here its curve, which falls only where a follow-up ended alive "
            f"(in {words.count(alive, 'patient')}), does not reach one half, "
            "so the median is not reached."
        )
    else:
        found = f"Here the answer is {_reverse(reverse)}, {_against(reverse, observed)}."
        if alive < FEW_ALIVE:
            found += f" It rests on {_alive(alive)} and is imprecise."
    return text(cohort.study, first, f"{meaning} {found}")


def _alive(alive: int) -> str:
    who = "the one patient" if alive == 1 else f"the {alive:,} patients"
    return f"{who} alive at last contact"


def _against(reverse: Estimate, observed: Estimate) -> str:
    if months(reverse.value) == months(observed.value):
        return "the same to the printed digit"
    longer = (reverse.value or 0) > (observed.value or 0)
    return f"{'longer' if longer else 'shorter'} than the observed median"


def courses(cohort: Cohort) -> Text:
    """How to read the figure of single patients, and who may see it."""
    if len(cohort.patients) > MOST_PATIENTS:
        return text(cohort.study, "Single courses are drawn for small cohorts only.")
    if cohort.study.synthetic:
        return text(
            cohort.study,
            "The courses below are synthetic: each one is possible as a history, and none is a "
            "patient's. In a hospital's own book this figure is individual-level data, "
            "for internal use only.",
        )
    return text(
        cohort.study,
        "This figure shows single patients. It is individual-level data, for internal use only: "
        "do not publish it or pass it on without the approval that your data need.",
    )


def unusual(cohort: Cohort) -> Text:
    """What the check of the data allowed but found unusual, and what it left out."""
    found = cohort.warnings
    left_out = f"Left out of what was read: {'; '.join(cohort.left_out)}."
    left_out = left_out if cohort.left_out else ""
    if not found:
        return text(
            cohort.study, "The check of the data found no error and nothing unusual.", left_out
        )
    listed = [
        f"{p.file}, row {p.row}, {p.column}: {p.value} ({p.expected})" for p in found[:MOST_LISTED]
    ]
    rest = len(found) - len(listed)
    entries = words.count(len(found), "unusual entry", "unusual entries")
    return text(
        cohort.study,
        f"The check of the data found no error and {entries}, kept as given: {'; '.join(listed)}"
        + (f"; and {rest:,} more." if rest else "."),
        left_out,
    )


NONE: Final = "–"
MOST_LEVELS: Final = 6


@dataclass(frozen=True)
class Item:
    """A row of Table 1: a column of the patients table, and how a group of its values is shown."""

    label: str
    column: str
    show: Callable[[pd.Series], str]


def _share(test: Callable[[pd.Series], pd.Series]) -> Callable[[pd.Series], str]:
    def show(values: pd.Series) -> str:
        known = values.dropna()
        return of(int(test(known).sum()), len(known)) if len(known) else words.NOT_RECORDED

    return show


def _median(digits: int) -> Callable[[pd.Series], str]:
    return lambda values: spread(values, digits)


BASELINE: Final = (
    Item("Age in years, median (range)", "age", _median(0)),
    Item("Female", "sex", _share(lambda v: v == "F")),
    Item("Stage III or IV", "stage", _share(lambda v: v >= 3)),
    Item("IPI 3 to 5", "ipi", _share(lambda v: v >= 3)),
    Item("ECOG 0", "ecog", _share(lambda v: v == 0)),
    Item("ECOG 1", "ecog", _share(lambda v: v == 1)),
    Item("ECOG 2 or more", "ecog", _share(lambda v: v >= 2)),
    Item("LDH above the upper limit of normal", "ldh_elevated", _share(lambda v: v == 1)),
    Item("Two or more extranodal sites", "extranodal_sites", _share(lambda v: v >= 2)),
    Item("Bulky disease", "bulky", _share(lambda v: v == 1)),
    Item("Lines before CAR-T, median (range)", "prior_lines", _median(0)),
    Item("Refractory to the last line before CAR-T", "refractory", _share(lambda v: v == 1)),
)
# Free text or codes: one row for each value that occurs.
LEVELS: Final = {
    "histology": "Histology",
    "coo": "Cell of origin",
    "cart_target": "Target of the first CAR-T",
    "cart_product": "First CAR-T product",
    "cart_best_response": "Best response to the first CAR-T",
}


def relapse_groups(cohort: Cohort) -> dict[str, pd.DataFrame]:
    """All patients, and those with early and with late relapse; each group may be empty."""
    late = cohort.late
    return {
        "all": cohort.patients,
        "early": cohort.patients[~late],
        "late": cohort.patients[late],
    }


def cut_off_note(study: Study) -> str:
    """What early and late mean in this cohort."""
    cut = f"{study.early_relapse_months:g}"
    return (
        f"Early: relapse at month {cut} or before, counted from the first CAR-T infusion. "
        f"Late: after month {cut}."
    )


def baseline(cohort: Cohort) -> Table:
    """Table 1: baseline by relapse timing, with what is not recorded and without P-values."""
    groups = relapse_groups(cohort)
    patients = cohort.patients
    items = [item for item in BASELINE if patients[item.column].notna().any()]
    items += [item for column in LEVELS for item in _levels(patients[column], column)]
    rows = []
    shown: set[str] = set()
    for item in items:
        cells = [item.show(g[item.column]) if len(g) else NONE for g in groups.values()]
        missing = f"{int(patients[item.column].isna().sum()):,}" if item.column not in shown else ""
        shown.add(item.column)
        rows.append((item.label, *cells, missing))
    relapse = [spread(g["relapse_month"]) if len(g) else NONE for g in groups.values()]
    rows.append(("Months from CAR-T to relapse, median (range)", *relapse, "0"))
    return Table(
        cohort.study,
        "tab-cohort-baseline",
        "Baseline of the patients before the first CAR-T infusion, and time to relapse.",
        ("Characteristic", *_group_heads(groups), "Not recorded"),
        rows,
        [*_baseline_notes(cohort.study, shown), *_abbreviations([item.label for item in items])],
        mark(cohort.study),
    )


def _group_heads(groups: dict[str, pd.DataFrame]) -> list[str]:
    labels = {"all": "All", **words.RELAPSE_GROUPS}
    return [f"{labels[key]}, n = {len(group):,}" for key, group in groups.items()]


def _levels(values: pd.Series, column: str) -> list[Item]:
    """One row per value, most frequent first; rare values beyond the sixth share a row."""
    found = values.dropna().value_counts(sort=True)
    found = found.sort_index().sort_values(ascending=False, kind="stable")
    if column == "cart_best_response":
        found = found.reindex([code for code in words.RESPONSES if code in found.index])
    most = MOST_LEVELS if len(found) > MOST_LEVELS + 1 else len(found)
    items = [
        Item(f"{LEVELS[column]}: {_level(column, value)}", column, _share(_equals(value)))
        for value in found.index[:most]
    ]
    rest = list(found.index[most:])
    if rest:
        label = f"{LEVELS[column]}: {words.count(len(rest), 'further value')}"
        items.append(Item(label, column, _share(lambda v: v.isin(rest))))
    return items


def _level(column: str, value: str) -> str:
    return words.RESPONSES[value].lower() if column == "cart_best_response" else value


def _equals(value: str) -> Callable[[pd.Series], pd.Series]:
    return lambda v: v == value


def _baseline_notes(study: Study, shown: set[str]) -> list[str]:
    labels = {item.column: _short(item.label) for item in reversed(BASELINE)} | LEVELS
    absent = [label for column, label in labels.items() if column not in shown]
    notes = [
        "Values are patients (%) unless the row says otherwise. "
        "Percentages are of the patients of the column with the value recorded.",
        cut_off_note(study),
    ]
    if absent:
        notes.append(f"Not recorded for any patient: {'; '.join(sorted(absent))}.")
    return notes


def _abbreviations(labels: Sequence[str]) -> list[str]:
    """What the kinds of lymphoma in some labels stand for."""
    used = {word for label in labels for word in re.findall(r"\w+", label)}
    told = [f"{short}, {long}" for short, long in words.DISEASES.items() if short in used]
    return [f"{'; '.join(told)}."] if told else []


def _short(label: str) -> str:
    """A label without its statistic."""
    return {"ECOG 0": "ECOG performance status", "Female": "Sex", "IPI 3 to 5": "IPI"}.get(
        label, label.removesuffix(", median (range)")
    )


def by_relapse(cohort: Cohort) -> Table:
    """Time to relapse, time to salvage, lines and deaths by relapse timing."""
    first = cohort.salvage[cohort.salvage["line"] == 1].set_index("patient_id")["start_month"]
    sizes = cohort.salvage.groupby("patient_id").size()
    total = len(cohort.patients)
    rows = []
    for key, group in relapse_groups(cohort).items():
        label = {"all": "All patients", **words.RELAPSE_GROUPS}[key]
        if group.empty:
            rows.append((label, "0", NONE, NONE, NONE, NONE, NONE))
            continue
        wait = group["patient_id"].map(first) - group["relapse_month"]
        lines = group["patient_id"].map(sizes).fillna(0)
        rows.append(
            (
                label,
                of(len(group), total),
                spread(group["relapse_month"]),
                spread(wait) if wait.notna().any() else NONE,
                f"{int(lines.sum()):,}",
                of(int(group["died"].sum()), len(group)),
                spread(group["os_month"]),
            )
        )
    return Table(
        cohort.study,
        "tab-cohort-relapse",
        "Relapse after the first CAR-T infusion, early and late.",
        (
            "Group",
            "Patients (%)",
            "Months to relapse",
            "Months from relapse to first salvage",
            "Salvage lines",
            "Deaths (%)",
            "Months observed",
        ),
        rows,
        (
            "Months are medians (range). Months observed run from the first CAR-T infusion to "
            "death or last contact; they are not survival estimates.",
            cut_off_note(cohort.study),
        ),
        mark(cohort.study),
    )


def cut_offs(cohort: Cohort) -> Table:
    """How many patients are early and late at each of the cut-offs in use, with their deaths."""
    chosen = cohort.study.early_relapse_months
    patients = cohort.patients
    rows = []
    for cut in sorted({*CUT_OFFS, chosen}):
        late = patients["relapse_month"] > cut
        cells = [
            cell
            for group in (patients[~late], patients[late])
            for cell in (f"{len(group):,}", f"{int(group['died'].sum()):,}")
        ]
        rows.append((f"{cut:g}" + (" (this book)" if cut == chosen else ""), *cells))
    return Table(
        cohort.study,
        "tab-cohort-cut-offs",
        "Early and late relapse at each cut-off in use.",
        ("Cut-off, months", "Early, patients", "Early, deaths", "Late, patients", "Late, deaths"),
        rows,
        (
            "A relapse exactly at the cut-off is early. "
            "The hazard ratio at each cut-off stands in the chapter on prognostic factors.",
        ),
        mark(cohort.study),
    )


def follow_up(cohort: Cohort) -> Table:
    """Observed time and reverse Kaplan-Meier side by side."""
    patients = cohort.patients
    alive = patients[~patients["died"]]
    observed, reverse = survival.follow_up_observed(cohort), survival.follow_up_reverse(cohort)
    rows = [
        ("Observed time, all patients", *_observed_cells(patients["os_month"])),
        (
            "Observed time, patients who died",
            *_observed_cells(patients.loc[patients["died"], "os_month"]),
        ),
        ("Observed time, patients alive at last contact", *_observed_cells(alive["os_month"])),
        (
            "Reverse Kaplan-Meier, all patients",
            f"{reverse.n:,}",
            months(reverse.value),
            NONE,
            interval_text(reverse),
        ),
    ]
    return Table(
        cohort.study,
        "tab-cohort-follow-up",
        "Follow-up from the first CAR-T infusion, by two methods.",
        ("Measure", "Patients", "Median, months", "Range, months", "95% CI, months"),
        rows,
        (
            "Observed time ends at death or last contact. Reverse Kaplan-Meier exchanges death and "
            "censoring: death censors, and being alive at last contact is the event "
            "(Schemper and Smith 1996). Log-log interval.",
        ),
        marks([observed, reverse]),
    )


def _observed_cells(values: pd.Series) -> tuple[str, str, str, str]:
    if values.empty:
        return "0", NONE, NONE, NONE
    spread_ = f"{values.min():.1f} to {values.max():.1f}"
    return f"{len(values):,}", months(float(values.median())), spread_, NONE


def completeness(cohort: Cohort) -> Table:
    """How many rows record each optional column, among the rows to which it applies."""
    lines, events = cohort.salvage, cohort.adverse_events
    responding = lines["best_response"].isin(RESPONDING["orr"])
    applies = {
        "regimen": ("All salvage lines", lines),
        "end_month": ("All salvage lines", lines),
        "response_month": ("Lines with CR or PR", lines[responding]),
        "response_end_month": ("Lines with CR or PR", lines[responding]),
        "response_end_reason": ("Lines with CR or PR", lines[responding]),
        "target_switched": ("Second CAR-T infusions", lines[lines["category"] == "second_cart"]),
        "intent": ("Radiotherapy lines", lines[lines["category"] == "radiotherapy"]),
    }
    rows = [
        (SALVAGE.column(column).meaning, among, f"{len(part):,}", _recorded(part[column]))
        for column, (among, part) in applies.items()
    ]
    for column in ("line", "grade", "scale", "onset_month"):
        meaning = f"Adverse event: {ADVERSE_EVENTS.column(column).meaning.lower()}"
        part = events[column]
        rows.append((meaning, "All adverse events", f"{len(part):,}", _recorded(part)))
    return Table(
        cohort.study,
        "tab-cohort-completeness",
        "How complete the optional data on lines and adverse events are.",
        ("Item", "Among", "Rows", "Recorded (%)"),
        rows,
        (
            "A blank month of progression means that none was documented, "
            "so it is not counted as missing.",
        ),
        mark(cohort.study),
        left=(0, 1),
    )


def _recorded(values: pd.Series) -> str:
    return of(int(values.notna().sum()), len(values)) if len(values) else NONE
