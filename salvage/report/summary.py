"""Tables of the summary: the cohort in six numbers, the evidence at a glance, published against
reproduced."""

from collections.abc import Mapping, Sequence
from typing import Final

from salvage import __version__, words
from salvage.analysis import comparison, provenance, safety, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.show import CLEARED, Box, Cover, Table, Text, answer, text
from salvage.display.wording import (
    interval_text,
    p_phrase,
    percent,
    ratio,
    sentence,
    value_and_parts,
    value_text,
)
from salvage.evidence import agreement
from salvage.evidence.agreement import Agreement
from salvage.report.comparison import could_show
from salvage.report.shared import mark, median, this_cohort

Estimates = Mapping[str, Estimate]


def cover(study: Study) -> Cover:
    """What the book is about: title, centre, dates."""
    facts = (
        ("Centre", study.centre),
        ("Dates of the study", study.window),
        ("Data cut-off", study.data_cut_off),
        ("Version", __version__),
    )
    stated = tuple((name, value or words.NOT_STATED) for name, value in facts)
    return Cover(CLEARED, study.title, stated)


def citations(study: Study) -> Text:
    """The index study and this report, as a list of references gives them."""
    source = provenance.facts()["source"]
    index = (
        f"The index study: {source['authors']}. {source['title']}. {source['journal']}"
        f" {source['year']};{source['volume']}({source['issue']}):{source['pages']}."
        f" DOI {source['doi']}."
    )
    # The centre of a synthetic cohort is no author.
    centre = "" if study.synthetic else study.centre
    report = [study.title, centre, f"A reproducible report, version {__version__}"]
    return text(CLEARED, index, f"This report: {'. '.join(filter(None, report))}.")


def short_answer(cohort: Cohort, estimates: Estimates) -> Box:
    """The answer of the whole book in three sentences."""
    n, treated = len(cohort.patients), len(cohort.treated)
    link = "with" if treated == n else f"of whom {treated:,} received"
    comma = "" if treated == n else ","
    return answer(
        cohort.study,
        f"In {this_cohort(cohort.study)} of {words.count(n, 'patient')}{comma} {link}"
        f" {words.count(len(cohort.salvage), 'salvage line')}, median overall survival from"
        f" CAR-T infusion was {median(estimates['os.median'], 'patient')}. The objective response"
        f" rate over all lines was {sentence(estimates['orr.all'])}.",
        _published_link(cohort, estimates),
        ranking(cohort),
        name="answer-summary",
    )


def _published_link(cohort: Cohort, estimates: Estimates) -> str:
    found = agreement.agreements(cohort, list(estimates.values()))
    if cohort.study.synthetic and not all(figure.agrees for figure in found):
        return (
            "The patients are synthetic: nobody was observed. The published study stands beside"
            " them as a comparator."
        )
    if cohort.study.synthetic:
        source = provenance.facts()["source"]
        return (
            "The patients are synthetic. They were generated to agree with every figure in the"
            f" abstract of {source['authors'].split()[0]} and colleagues ({source['year']}); what"
            " that abstract does not print is assumed and marked so."
        )
    return (
        "The patients are this hospital's own. The published study stands beside them as a"
        " comparator."
    )


def ranking(cohort: Cohort) -> str:
    """That the study cannot rank the six options, with the smallest difference that it could have
    shown."""
    head = (
        "This study cannot rank the six options: nobody was randomised, and patients who reached a"
        " later line were selected."
    )
    if not comparison.detectable(cohort):
        return f"{head} It holds lines of one category at most, so there is nothing to compare."
    return f"{head} {could_show(cohort)}"


SMALL_GROUP: Final = 50
NONE: Final = "–"
NO_ADVERSE_EVENT: Final = "no adverse event recorded"
VERDICT: Final = {True: "✓ agrees", False: "differs"}
SIX = ("n.patients", "n.events", "deaths", "followup.reverse_km.median", "os.median", "orr.all")


def six_numbers(study: Study, estimates: Estimates) -> Table:
    """The cohort in six numbers, each with its interval and where it comes from."""
    chosen = [estimates[key] for key in SIX]
    rows = [
        (
            e.label,
            value_text(e),
            interval_text(e) if e.unit not in ("count", "events") else NONE,
            _marks(e),
        )
        for e in chosen
    ]
    return Table(
        study,
        "tab-summary-cohort",
        "The cohort in six numbers.",
        ("Quantity", "Value", "95% CI", "Provenance"),
        rows,
        (
            (
                "Follow-up by reverse Kaplan-Meier; overall survival from the first CAR-T infusion;"
                " rate over salvage lines, its interval exact, as if lines were independent."
            ),
        ),
        left=(0, 3),
    )


def _marks(e: Estimate) -> str:
    """Where an estimate and its interval come from."""
    if (e.low is None and e.high is None) or e.provenance_interval == e.provenance:
        return e.provenance
    return f"{e.provenance}; interval {e.provenance_interval}"


def highest(estimates: Estimates, measure: str) -> list[Estimate]:
    """The category or categories with the highest rate; none if no category has lines."""
    rates = [
        estimates[f"{measure}.{key}"] for key in CATEGORY_KEYS if estimates[f"{measure}.{key}"].n
    ]
    top = max((e.value or 0 for e in rates), default=0)
    return [e for e in rates if e.value == top]


def _categories(estimates: Estimates, measure: str) -> int:
    """How many categories have lines."""
    return sum(bool(estimates[f"{measure}.{key}"].n) for key in CATEGORY_KEYS)


def _leaders(study: Study, estimates: Estimates, measure: str) -> str:
    found = highest(estimates, measure)
    if not found:
        return "No salvage line."
    if not found[0].value:
        return f"No line brought a {words.RESPONDED[measure]}."
    if len(found) > 1 and len(found) == _categories(estimates, measure):
        return f"All {len(found)} categories alike: {percent(found[0].value)}."
    if len(found) > 1:
        return (
            f"{words.count(len(found), 'category', 'categories')} share the highest rate,"
            f" {percent(found[0].value)}."
        )
    name = words.category(found[0].id.split(".")[1], study.labels)
    return f"{name}: {sentence(found[0])}."


def _leads_how_surely(estimates: Estimates, measure: str) -> str:
    """Why the highest rate is no ranking; a dash where no rate is the highest."""
    found = highest(estimates, measure)
    if not found or not found[0].value:
        return NONE
    if _categories(estimates, measure) == 1:
        return "The only category with lines"
    if len(found) == _categories(estimates, measure):
        return NONE
    small = any((e.n or 0) < SMALL_GROUP for e in found)
    return f"A maximum over {'small' if small else 'unrandomised'} groups: no ranking"


def _lives_how_surely(cohort: Cohort, infusion: Estimate, relapse: Estimate) -> str:
    """The intervals of both medians, and whether survival to salvage is part of the first."""
    intervals = dict.fromkeys(interval_text(e) for e in (infusion, relapse))
    guaranteed = survival.guarantee_share(cohort).value
    return f"95% CI {words.listing(list(intervals))}" + (
        "; survival to salvage is guaranteed" if guaranteed else ""
    )


def _switches_how_surely(switched: Estimate, same: Estimate) -> str:
    """What a comparison of the two targets is worth; a dash where there is none."""
    if not switched.n or not same.n:
        return NONE
    small = min(switched.n, same.n) < SMALL_GROUP
    return f"Two {'small ' if small else ''}groups, not randomised"


def _late_against_early(infusion: Estimate, relapse: Estimate) -> tuple[str, str]:
    """The contrast from both origins, and what it is worth."""
    if infusion.value is None and relapse.value is None:
        return "Late and early relapse cannot be compared", NONE
    return (
        f"HR {ratio(infusion.value)} from infusion, {ratio(relapse.value)} from relapse",
        f"From infusion biased by time; from relapse 95% CI {interval_text(relapse)}",
    )


def _contrast_note(infusion: Estimate, relapse: Estimate) -> tuple[str, ...]:
    if infusion.p is None and relapse.p is None:
        return ()
    return (
        f"Contrast from infusion: {p_phrase(infusion.p)}; from relapse: {p_phrase(relapse.p)}.",
    )


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
            _lives_how_surely(cohort, os, later),
        ),
        (
            "Which category responds most often?",
            _leaders(cohort.study, estimates, "orr"),
            _leads_how_surely(estimates, "orr"),
        ),
        (
            "Which has most complete responses?",
            _leaders(cohort.study, estimates, "cr"),
            _leads_how_surely(estimates, "cr"),
        ),
        (
            "Does a switched target help a second CAR-T?",
            (
                f"CR {switched.events}/{switched.n} against {same.events}/{same.n}"
                if switched.n and same.n
                else "Not in the data"
            ),
            _switches_how_surely(switched, same),
        ),
        (
            "Do late relapses live longer?",
            *_late_against_early(naive, relapse),
        ),
        (
            "Which adverse event is most common?",
            words.listing([safety.label(t) for t in common]) if common else "Not recorded",
            _fever(cohort.study, estimates) if common == [safety.FEVER] else NONE,
        ),
    ]
    return Table(
        cohort.study,
        "tab-summary-evidence",
        "What the cohort says, question by question.",
        ("Question", "What the data say", "How sure"),
        rows,
        _contrast_note(naive, relapse),
        mark(cohort.study),
        left=(0, 1, 2),
    )


def _fever(study: Study, estimates: Estimates) -> str:
    e = estimates["ae.fever.patients"]
    counted = f"{e.events} of {e.n} treated patients"
    return f"{counted}; the count is assumed" if study.synthetic else counted


def _reproduced(figure: Agreement) -> str:
    """The cohort's figure in the form in which the abstract prints it."""
    if figure.estimate is not None:
        return value_and_parts(figure.estimate, "interval" in figure.parts)
    return words.listing([safety.LABELS.get(t, t) for t in figure.terms]) or NO_ADVERSE_EVENT


def reproduction(cohort: Cohort, estimates: Sequence[Estimate]) -> Table:
    """Every printed figure of the abstract beside this cohort's own, with a mark for agreement."""
    found = agreement.agreements(cohort, estimates)
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
        (a.statement, a.printed, _reproduced(a), NONE if a.missing else VERDICT[a.agrees])
        for a in found
    ]
    agreeing = sum(a.agrees for a in found)
    notes = [
        f"{agreeing} of {len(found)} figures {'agrees' if agreeing == 1 else 'agree'} at the"
        " printed digit, in every part that is"
        " printed."
    ]
    if not cohort.study.synthetic:
        notes.append(
            "Another hospital's cohort need not agree: a difference is a finding, not an error."
        )
    return Table(
        cohort.study,
        "tab-summary-reproduction",
        title,
        heads,
        rows,
        notes,
        ("published", *mark(cohort.study)),
        left=(0, 1, 2, 3),
    )


def by_id(estimates: Sequence[Estimate]) -> dict[str, Estimate]:
    """Estimates by their id."""
    return {e.id: e for e in estimates}
