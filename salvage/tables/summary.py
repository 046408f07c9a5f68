"""Tables of the summary: the cohort in six numbers, the evidence at a glance, published against
reproduced."""

from collections.abc import Mapping, Sequence

from salvage import published, safety, words
from salvage.cohort import Cohort
from salvage.estimate import Estimate, interval_text, p_phrase, percent, ratio, sentence, value_text
from salvage.schema import CATEGORY_KEYS
from salvage.show import Table
from salvage.tables import mark

Estimates = Mapping[str, Estimate]
SIX = ("n.patients", "n.events", "deaths", "followup.reverse_km.median", "os.median", "orr.all")


def six_numbers(estimates: Estimates) -> Table:
    """The cohort in six numbers, each with its interval and where it comes from."""
    chosen = [estimates[key] for key in SIX]
    rows = [
        (
            e.label,
            value_text(e),
            interval_text(e) if e.unit not in ("count", "events") else "–",
            e.provenance,
        )
        for e in chosen
    ]
    return Table(
        "tab-summary-cohort",
        "The cohort in six numbers.",
        ("Quantity", "Value", "95% CI", "Provenance"),
        rows,
        (
            (
                "Follow-up by reverse Kaplan-Meier; overall survival from the first CAR-T infusion;"
                " rate over salvage lines."
            ),
        ),
        left=(0, 3),
    )


def highest(estimates: Estimates, measure: str) -> list[Estimate]:
    """The category or categories with the highest rate; none if no category has lines."""
    rates = [
        estimates[f"{measure}.{key}"] for key in CATEGORY_KEYS if estimates[f"{measure}.{key}"].n
    ]
    top = max((e.value or 0 for e in rates), default=0)
    return [e for e in rates if e.value == top]


def _leaders(cohort: Cohort, estimates: Estimates, measure: str) -> str:
    found = highest(estimates, measure)
    if not found:
        return "No salvage line."
    if len(found) > 1:
        return (
            f"{words.count(len(found), 'category', 'categories')} share the highest rate,"
            f" {percent(found[0].value)}."
        )
    name = words.category(found[0].id.split(".")[1], cohort.study.labels)
    return f"{name}: {sentence(found[0])}."


def evidence(cohort: Cohort, estimates: Estimates) -> Table:
    """The state of the evidence: question, what the data say, and how sure that is."""
    switched, same = estimates["cr.second_cart.switched"], estimates["cr.second_cart.same"]
    naive, relapse = (
        estimates["cox.late_vs_early.hr"],
        estimates["cox.late_vs_early.from_relapse.hr"],
    )
    os, later = estimates["os.median"], estimates["os.from_relapse.median"]
    common = safety.most_common(cohort)
    rows = [
        (
            "How long do patients live?",
            f"Median {value_text(os)} from infusion, {value_text(later)} from relapse",
            (
                f"95% CI {interval_text(os)} and {interval_text(later)}; survival to salvage is"
                " guaranteed"
            ),
        ),
        (
            "Which category responds most often?",
            _leaders(cohort, estimates, "orr"),
            "A maximum over small groups: no ranking",
        ),
        (
            "Which has most complete responses?",
            _leaders(cohort, estimates, "cr"),
            "A maximum over small groups: no ranking",
        ),
        (
            "Does a switched target help a second CAR-T?",
            (
                f"CR {switched.events}/{switched.n} against {same.events}/{same.n}"
                if switched.n and same.n
                else "Not in the data"
            ),
            "Two small groups, not randomised" if switched.n and same.n else "–",
        ),
        (
            "Do late relapses live longer?",
            f"HR {ratio(naive.value)} from infusion, {ratio(relapse.value)} from relapse",
            f"From infusion biased by time; from relapse 95% CI {interval_text(relapse)}",
        ),
        (
            "Which adverse event is most common?",
            words.listing([t.capitalize() for t in common]) if common else "Not recorded",
            _fever(estimates) if common == [safety.FEVER] else "–",
        ),
    ]
    return Table(
        "tab-summary-evidence",
        "The state of the evidence at a glance.",
        ("Question", "What the data say", "How sure"),
        rows,
        (f"Contrast from infusion: {p_phrase(naive.p)}; from relapse: {p_phrase(relapse.p)}.",),
        mark(cohort),
        left=(0, 1, 2),
    )


def _fever(estimates: Estimates) -> str:
    e = estimates["ae.fever.patients"]
    return f"{e.events} of {e.n} treated patients"


def reproduction(cohort: Cohort, estimates: Sequence[Estimate]) -> Table:
    """Every printed figure of the abstract beside this cohort's own, with a mark for agreement."""
    found = published.agreements(cohort, estimates)
    title = (
        "Published against reproduced, figure by figure."
        if cohort.study.synthetic
        else ("The published study as a comparator: its figures beside those of this cohort.")
    )
    heads = (
        "Figure",
        "Published",
        "Reproduced" if cohort.study.synthetic else "This cohort",
        "Agreement",
    )
    rows = [
        (a.statement, a.printed, a.reproduced, "✓ agrees" if a.agrees else "differs") for a in found
    ]
    agreeing = sum(a.agrees for a in found)
    notes = [
        f"{agreeing} of {len(found)} figures agree at the printed digit, in every part that is"
        " printed."
    ]
    if not cohort.study.synthetic:
        notes.append(
            "Another hospital's cohort need not agree: a difference is a finding, not an error."
        )
    return Table(
        "tab-summary-reproduction",
        title,
        heads,
        rows,
        notes,
        ("published", *mark(cohort)),
        left=(0, 1, 2, 3),
    )


def by_id(estimates: Sequence[Estimate]) -> dict[str, Estimate]:
    """Estimates by their id."""
    return {e.id: e for e in estimates}
