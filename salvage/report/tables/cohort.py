"""Tables of the chapter on the cohort: baseline, relapse, follow-up, completeness."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import survival
from salvage.analysis.prognosis import CUT_OFFS
from salvage.analysis.response import RESPONDING
from salvage.cohort import Cohort
from salvage.cohort.schema import ADVERSE_EVENTS, SALVAGE
from salvage.cohort.study import Study
from salvage.display.show import Table
from salvage.display.wording import interval_text, months
from salvage.report.tables import mark, marks, of, spread

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
        ("Observed time, all patients", *_observed(patients["os_month"])),
        (
            "Observed time, patients who died",
            *_observed(patients.loc[patients["died"], "os_month"]),
        ),
        ("Observed time, patients alive at last contact", *_observed(alive["os_month"])),
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


def _observed(values: pd.Series) -> tuple[str, str, str, str]:
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
