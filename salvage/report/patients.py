"""The chapter on the cohort: who was treated, when they relapsed, how long they were followed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from salvage import words
from salvage.analysis import prognosis, survival
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import ADVERSE_EVENTS, POOR_ECOG, RESPONSE, SALVAGE
from salvage.cohort.study import Study
from salvage.display import show, wording
from salvage.display.figures.style import MOST_PATIENTS
from salvage.display.show import CLEARED, Box, Table, Text
from salvage.display.wording import median, months
from salvage.report.shared import NONE, known_share, marks, median_cells, of, spread, this_cohort

#: Alive at last contact: with fewer, the reverse Kaplan-Meier median is imprecise.
FEW_ALIVE: Final = 10
#: Of the unusual entries, how many a sentence names.
MOST_LISTED: Final = 5
#: Of the values of a column, how many have a row of their own in the baseline table.
MOST_LEVELS: Final = 6
OBSERVED: Final = "followup.observed.median"
REVERSE: Final = "followup.reverse_km.median"


def answer(cohort: Cohort) -> Box:
    """Patients, deaths, relapse timing and follow-up in three sentences."""
    return show.answer(
        cohort.study,
        f"{_received(cohort)} {_died(cohort)} {_relapsed(cohort)}",
        f"{_observed(cohort)} By reverse Kaplan-Meier, the median follow-up was"
        f" {median(survival.estimates(cohort)[REVERSE])}.",
        name="answer-cohort",
    )


def _received(cohort: Cohort) -> str:
    """How many patients there are, and how many of them received salvage therapy."""
    n, treated = len(cohort.patients), len(cohort.treated)
    this = words.capital(this_cohort(cohort.study))
    patients, lines = words.count(n, "patient"), words.count(len(cohort.salvage), "line")
    if treated < n:
        return f"{this} has {patients}, of whom {treated:,} received salvage therapy, in {lines}."
    if n == 1:
        return f"{this} has {patients}, who received salvage therapy, in {lines}."
    return f"{this} has {patients}, all of whom received salvage therapy, in {lines}."


def _died(cohort: Cohort) -> str:
    n, dead = len(cohort.patients), int(cohort.patients["died"].sum())
    if dead == 0:
        return "The patient was alive at last contact." if n == 1 else "No patient died."
    if dead == n:
        return "The patient died." if n == 1 else "All patients died."
    return (
        f"{words.count(dead, 'patient')} died;"
        f" {words.count(n - dead, 'was', 'were')} alive at last contact."
    )


def _relapsed(cohort: Cohort) -> str:
    n, late = len(cohort.patients), int(cohort.late.sum())
    which = "The" if n == 1 else "Every"
    cut = f"month {cohort.study.early_relapse_months:g}"
    if late == 0:
        return f"{which} relapse was early (in {cut} or before)."
    if late == n:
        return f"{which} relapse was late (after {cut})."
    return f"Relapse was early (in {cut} or before) in {of(n - late, n)} and late in {of(late, n)}."


def _observed(cohort: Cohort) -> str:
    """For how long the patients were observed, dead or alive."""
    estimates = survival.estimates(cohort)
    middle, shortest, longest = (
        months(estimates[id].value) for id in (OBSERVED, "os.range.min", "os.range.max")
    )
    if shortest != longest:
        return (
            f"The median observed time from the first CAR-T infusion was {middle} months (range"
            f" {shortest} to {longest})."
        )
    if len(cohort.patients) == 1:
        return f"The patient was observed for {shortest} months from the first CAR-T infusion."
    return f"Every patient was observed for {shortest} months from the first CAR-T infusion."


def treated(cohort: Cohort) -> Text:
    """Who counts where: patients with and without salvage."""
    without = len(cohort.patients) - len(cohort.treated)
    if without == 0:
        return show.text(
            cohort.study,
            "Every patient of the cohort received salvage therapy. If receiving it was a condition "
            "of entry, patients who relapsed and died before any salvage are not in the data.",
        )
    return show.text(
        cohort.study,
        f"{words.count(without, 'patient')} relapsed and received no salvage therapy. "
        f"{'That patient counts' if without == 1 else 'They count'} in overall survival and not in "
        "response rates, whose denominators are salvage lines.",
    )


def setting(study: Study) -> Text:
    """Centre, window and data cut-off, as the study's settings give them."""
    settings = {
        "Centre": study.centre,
        "Dates of the study": study.window,
        "Data cut-off": study.data_cut_off,
    }
    sentences = [f"{name}: {value.rstrip('.')}." for name, value in settings.items() if value]
    absent = [name.lower() for name, value in settings.items() if not value]
    if absent:
        sentences.append(f"Not stated in the settings of the study: {words.listing(absent)}.")
    return show.text(CLEARED, " ".join(sentences))


# --- baseline -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A row of Table 1: a column of the patients table, and how a group of its values is shown."""

    label: str
    column: str
    show: Callable[[pd.Series], str]


def _median(values: pd.Series) -> str:
    return spread(values, 0)


def _from(least: int) -> Callable[[pd.Series], str]:
    return lambda values: known_share(values >= least, values)


def _among(levels: Sequence[object]) -> Callable[[pd.Series], str]:
    return lambda values: known_share(values.isin(levels), values)


BASELINE: Final = (
    Item("Age in years, median (range)", "age", _median),
    Item("Female", "sex", _among(["F"])),
    Item("Stage III or IV", "stage", _from(3)),
    Item("IPI 3 to 5", "ipi", _from(3)),
    Item("ECOG 0", "ecog", _among([0])),
    Item("ECOG 1", "ecog", _among([1])),
    Item("ECOG 2 or more", "ecog", _from(POOR_ECOG)),
    Item("LDH above the upper limit of normal", "ldh_elevated", _from(1)),
    Item("Two or more extranodal sites", "extranodal_sites", _from(2)),
    Item("Bulky disease", "bulky", _from(1)),
    Item("Lines before CAR-T, median (range)", "prior_lines", _median),
    Item("Refractory to the last line before CAR-T", "refractory", _from(1)),
)
# Free text or codes: one row for each value that occurs.
LEVELS: Final = {
    "histology": "Histology",
    "coo": "Cell of origin",
    "cart_target": "Target of the first CAR-T",
    "cart_product": "First CAR-T product",
    "cart_best_response": "Best response to the first CAR-T",
}
#: Names of the baseline columns, for the note on those that no patient has a value of.
COLUMNS: Final = {
    **{item.column: item.label.removesuffix(", median (range)") for item in BASELINE},
    **LEVELS,
    "ecog": "ECOG performance status",
    "sex": "Sex",
    "ipi": "IPI",
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
    counted: set[str] = set()
    for item in items:
        cells = [item.show(group[item.column]) if len(group) else NONE for group in groups.values()]
        missing = int(patients[item.column].isna().sum())
        rows.append((item.label, *cells, "" if item.column in counted else f"{missing:,}"))
        counted.add(item.column)
    relapse = [spread(group["relapse_month"]) if len(group) else NONE for group in groups.values()]
    rows.append(("Months from CAR-T to relapse, median (range)", *relapse, "0"))
    absent = sorted(label for column, label in COLUMNS.items() if column not in counted)
    notes = [
        "Values are patients (%) unless the row says otherwise. "
        "Percentages are of the patients of the column with the value recorded.",
        cut_off_note(cohort.study),
        f"Not recorded for any patient: {'; '.join(absent)}." if absent else "",
        _abbreviations([item.label for item in items]),
    ]
    heads = {"all": "All", **words.RELAPSE_GROUPS}
    return Table(
        cohort.study,
        "tab-cohort-baseline",
        "Baseline of the patients before the first CAR-T infusion, and time to relapse.",
        (
            "Characteristic",
            *(f"{heads[key]}, n = {len(group):,}" for key, group in groups.items()),
            "Not recorded",
        ),
        rows,
        [note for note in notes if note],
        own_mark(cohort.study),
    )


def _levels(values: pd.Series, column: str) -> list[Item]:
    """One row per value, most frequent first; rare values beyond the sixth share a row."""
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    levels = counts.index.tolist()
    meanings: dict[str, str] = {}
    if column == "cart_best_response":
        levels = [code for code in words.RESPONSES if code in levels]
        meanings = {code: words.RESPONSES[code].lower() for code in levels}
    most = MOST_LEVELS if len(levels) > MOST_LEVELS + 1 else len(levels)
    items = [
        Item(f"{LEVELS[column]}: {meanings.get(level, level)}", column, _among([level]))
        for level in levels[:most]
    ]
    if rest := levels[most:]:
        label = f"{LEVELS[column]}: {words.count(len(rest), 'further value')}"
        items.append(Item(label, column, _among(rest)))
    return items


def _abbreviations(labels: Sequence[str]) -> str:
    """What the kinds of lymphoma in some labels stand for."""
    used = {word for label in labels for word in re.findall(r"\w+", label)}
    meanings = [f"{short}, {long}" for short, long in words.DISEASES.items() if short in used]
    return f"{'; '.join(meanings)}." if meanings else ""


def missing(cohort: Cohort) -> Text:
    """How much of the baseline is missing, and what the table does about it."""
    values = cohort.patients[list(COLUMNS)]
    total, blank = values.size, int(values.isna().to_numpy().sum())
    if blank == 0:
        return show.text(cohort.study, "No baseline value is missing.")
    if blank == total:
        return show.text(
            cohort.study,
            "The cohort records no baseline value, so its patients cannot be described further.",
        )
    complete = "No patient has a complete baseline."
    if number := int(values.notna().all(axis=1).sum()):
        patients = words.count(len(values), "patient")
        complete = f"The baseline is complete in {number:,} of {patients}."
    return show.text(
        cohort.study,
        f"Of {total:,} baseline values, {of(blank, total)} {'was' if blank == 1 else 'were'} not"
        f" recorded. {complete} Missing values were not imputed; the last column of the table"
        " counts them.",
    )


# --- relapse and follow-up ------------------------------------------------------------------------


def by_relapse(cohort: Cohort) -> Table:
    """Time to relapse, time to salvage, lines and deaths by relapse timing."""
    first = cohort.salvage[cohort.salvage["line"] == 1].set_index("patient_id")["start_month"]
    sizes = cohort.salvage.groupby("patient_id").size()
    total = len(cohort.patients)
    rows = []
    for key, group in relapse_groups(cohort).items():
        label = {"all": "All patients", **words.RELAPSE_GROUPS}[key]
        if group.empty:
            rows.append((label, "0", *5 * [NONE]))
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
        own_mark(cohort.study),
    )


def cut_offs(cohort: Cohort) -> Table:
    """How many patients are early and late at each of the cut-offs in use, with their deaths."""
    chosen = cohort.study.early_relapse_months
    patients = cohort.patients
    rows = []
    for cut in prognosis.cut_offs(cohort.study):
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
        own_mark(cohort.study),
    )


def follow_up(cohort: Cohort) -> Table:
    """Observed time and reverse Kaplan-Meier side by side."""
    time, died = cohort.patients["os_month"], cohort.patients["died"]
    estimates = survival.estimates(cohort)
    observed, reverse = estimates[OBSERVED], estimates[REVERSE]
    shortest, longest = (months(estimates[f"os.range.{end}"].value) for end in ("min", "max"))
    middle, interval = median_cells(reverse)
    rows = [
        (
            "Observed time, all patients",
            f"{observed.n:,}",
            months(observed.value),
            f"{shortest} to {longest}",
            NONE,
        ),
        ("Observed time, patients who died", *_observed_cells(time[died])),
        ("Observed time, patients alive at last contact", *_observed_cells(time[~died])),
        (
            "Reverse Kaplan-Meier, all patients",
            f"{reverse.n:,}",
            middle,
            NONE,
            interval,
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
    ends = f"{values.min():.1f} to {values.max():.1f}"
    return f"{len(values):,}", months(float(values.median())), ends, NONE


def why_follow_up_differs(cohort: Cohort) -> Text:
    """Why the two medians of follow-up differ in this cohort, or agree."""
    n = len(cohort.patients)
    alive = n - int(cohort.patients["died"].sum())
    observed = months(survival.estimates(cohort)[OBSERVED].value)
    reverse = survival.estimates(cohort)[REVERSE]
    if alive == n and wording.missing(reverse):
        return show.text(
            cohort.study,
            "No patient died, so every observed time is a time of follow-up. The reverse "
            f"Kaplan-Meier median cannot be given: {wording.reason(reverse.method)}.",
        )
    if alive == n:
        return show.text(
            cohort.study,
            "No patient died, so every observed time is a time of follow-up and the two methods "
            f"give the same median, {observed} months.",
        )
    if alive == 0:
        return show.text(
            cohort.study,
            "Every patient died, so no follow-up ended while a patient was alive. The reverse "
            "Kaplan-Meier median is therefore not reached. The observed median is a median time "
            "to death: it says when patients died, not for how long survivors were followed.",
        )
    return show.text(
        cohort.study,
        f"The observed median of {observed} months mixes two things: for "
        f"{words.count(n - alive, 'patient')} the time ended with death, and for {alive:,} at last "
        "contact. The more patients die, the nearer it comes to a median survival.",
        "The reverse Kaplan-Meier median asks another question: for how long would these patients "
        f"have been followed if none had died? {_reverse_median(cohort, alive)}",
    )


def _reverse_median(cohort: Cohort, alive: int) -> str:
    """The reverse Kaplan-Meier median beside the observed one, and how imprecise it is."""
    observed, reverse = (survival.estimates(cohort)[id] for id in (OBSERVED, REVERSE))
    if wording.missing(reverse):
        return f"Here it cannot be given: {wording.reason(reverse.method)}."
    if reverse.value is None:
        return (
            "Here its curve, which falls only where a follow-up ended alive "
            f"(in {words.count(alive, 'patient')}), does not reach one half, "
            "so the median is not reached."
        )
    value = median(reverse)
    if months(reverse.value) == months(observed.value):
        beside = f"Here the answer is {value}, the same to the printed digit."
    elif reverse.value > (observed.value or 0):
        beside = f"Here the answer is {value}, longer than the observed median."
    else:
        beside = f"Here the answer is {value}, shorter than the observed median."
    if alive >= FEW_ALIVE:
        return beside
    who = "the one patient" if alive == 1 else f"the {alive:,} patients"
    return f"{beside} It rests on {who} alive at last contact and is imprecise."


def courses(cohort: Cohort) -> Text:
    """How to read the figure of single patients, and who may see it."""
    if len(cohort.patients) > MOST_PATIENTS:
        return show.text(cohort.study, "Single courses are drawn for small cohorts only.")
    if cohort.study.synthetic:
        return show.text(
            cohort.study,
            "The courses below are synthetic: each one is possible as a history, and none is a "
            "patient's. In a hospital's own book this figure is individual-level data, "
            "for internal use only.",
        )
    return show.text(
        cohort.study,
        "This figure shows single patients. It is individual-level data, for internal use only: "
        "do not publish it or pass it on without the approval that your data need.",
    )


def completeness(cohort: Cohort) -> Table:
    """How many rows record each optional column, among the rows to which it applies."""
    lines, events = cohort.salvage, cohort.adverse_events
    responding = lines["best_response"].isin(RESPONSE)
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
        own_mark(cohort.study),
        left=(0, 1),
    )


def _recorded(values: pd.Series) -> str:
    return of(int(values.notna().sum()), len(values)) if len(values) else NONE


def unusual(cohort: Cohort) -> Text:
    """What the check of the data allowed but found unusual, and what it left out."""
    left_out = "; ".join(cohort.left_out)
    return show.text(
        cohort.study,
        _unusual_entries(cohort),
        f"Left out of what was read: {left_out}." if left_out else "",
    )


def _unusual_entries(cohort: Cohort) -> str:
    problems = cohort.warnings
    if not problems:
        return "The check of the data found no error and nothing unusual."
    entries = words.count(len(problems), "unusual entry", "unusual entries")
    named = "; ".join(
        f"{p.file}, row {p.row}, {p.column}: {p.value or 'blank'} ({p.expected})"
        for p in problems[:MOST_LISTED]
    )
    rest = len(problems) - MOST_LISTED
    if rest > 0:
        return (
            f"The check of the data found no error and {entries}, kept as given: {named}; and"
            f" {rest:,} more."
        )
    return f"The check of the data found no error and {entries}, kept as given: {named}."
