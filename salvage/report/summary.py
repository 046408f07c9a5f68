"""The summary: the cohort in six numbers, the evidence, the published figures reproduced."""

from collections.abc import Mapping
from typing import Final

from salvage import __version__, words
from salvage.analysis import comparison, provenance, response, safety
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display import show
from salvage.display.show import CLEARED, Box, Cover, Table, Text
from salvage.display.wording import (
    interval_text,
    p_phrase,
    ratio,
    sentence,
    value_and_parts,
    value_text,
)
from salvage.evidence.agreement import Agreement, agreements
from salvage.report.comparison import could_show
from salvage.report.overview import evaluable_in_short, rates_in_short
from salvage.report.results import headline
from salvage.report.shared import NONE, median, this_cohort

Estimates = Mapping[str, Estimate]

#: A rate or a contrast of fewer lines than this is one of small groups.
SMALL_GROUP: Final = 50
NO_ADVERSE_EVENT: Final = "no adverse event recorded"
VERDICT: Final = {True: "✓ agrees", False: "differs"}
FIVE: Final = (
    "n.patients",
    "n.events",
    "deaths",
    "followup.reverse_km.median",
    "os.median",
)


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
    return show.text(CLEARED, index, f"This report: {'. '.join(filter(None, report))}.")


def answer(cohort: Cohort) -> Box:
    """The answer of the whole book in three sentences."""
    return show.answer(
        cohort.study,
        f"{_survival(cohort)} {rates_in_short(cohort)} {evaluable_in_short(cohort)}",
        _against_published(cohort),
        ranking(cohort),
        name="answer-summary",
    )


def _survival(cohort: Cohort) -> str:
    """Who was treated, and for how long the patients lived."""
    n, treated = len(cohort.patients), len(cohort.treated)
    this = f"In {this_cohort(cohort.study)} of {words.count(n, 'patient')}"
    lines = words.count(len(cohort.salvage), "salvage line")
    lived = median(headline(cohort)["os.median"], "patient")
    if treated < n:
        return (
            f"{this}, of whom {treated:,} received {lines}, median overall survival from CAR-T"
            f" infusion was {lived}."
        )
    return f"{this} with {lines}, median overall survival from CAR-T infusion was {lived}."


def _against_published(cohort: Cohort) -> str:
    """What the cohort has to do with the published study."""
    if not cohort.study.synthetic:
        return (
            "The patients are this hospital's own. The published study stands beside them as a"
            " comparator."
        )
    if not all(figure.agrees for figure in _agreements(cohort)):
        return (
            "The patients are synthetic: nobody was observed. The published study stands beside"
            " them as a comparator."
        )
    source = provenance.facts()["source"]
    return (
        "The patients are synthetic. They were generated to agree with every figure in the"
        f" abstract of {source['authors'].split()[0]} and colleagues ({source['year']}); what"
        " that abstract does not print is assumed and marked so."
    )


def _agreements(cohort: Cohort) -> list[Agreement]:
    return agreements(cohort, list(headline(cohort).values()))


def ranking(cohort: Cohort) -> str:
    """That the study cannot rank the six options, with the smallest difference that it could have
    shown."""
    shown = (
        could_show(cohort)
        if comparison.detectable(cohort)
        else "It holds lines of one category at most, so there is nothing to compare."
    )
    return (
        "This study cannot rank the six options: nobody was randomised, and patients who reached a"
        f" later line were selected. {shown}"
    )


def six_numbers(cohort: Cohort) -> Table:
    """The cohort in six numbers, each with its interval and where it comes from."""
    estimates, leading = headline(cohort), response.leading(cohort)
    how = (
        "its interval allows for patients with several lines (Wilson on the effective n)"
        if leading.method.startswith(response.WILSON_EFFECTIVE)
        else "one line for each patient, with the exact interval"
    )
    return Table(
        cohort.study,
        "tab-summary-cohort",
        "The cohort in six numbers.",
        ("Quantity", "Value", "95% CI", "Provenance"),
        [
            (
                e.label,
                value_text(e),
                NONE if e.unit == "count" else interval_text(e),
                _provenance(e),
            )
            for e in (*(estimates[id] for id in FIVE), leading)
        ],
        (
            "Follow-up by reverse Kaplan-Meier; overall survival from the first CAR-T infusion;"
            f" response rate: {how}.",
        ),
        left=(0, 3),
    )


def _provenance(e: Estimate) -> str:
    """Where an estimate and its interval come from."""
    if (e.low is None and e.high is None) or e.provenance_interval == e.provenance:
        return e.provenance
    return f"{e.provenance}; interval {e.provenance_interval}"


# --- the evidence at a glance: what the data say, and how sure that is ----------------------------


def evidence(cohort: Cohort) -> Table:
    """The state of the evidence: question, what the data say, and how sure that is."""
    estimates = headline(cohort)
    infusion = estimates["cox.late_vs_early.hr"]
    relapse = estimates["cox.late_vs_early.from_relapse.hr"]
    tested = infusion.p is not None or relapse.p is not None
    return Table(
        cohort.study,
        "tab-summary-evidence",
        "What the cohort says, question by question.",
        ("Question", "What the data say", "How sure"),
        [
            ("How long do patients live?", *_life(estimates)),
            (
                "Which category responds most often?",
                *_highest(cohort.study, estimates, "orr"),
            ),
            (
                "Which has most complete responses?",
                *_highest(cohort.study, estimates, "cr"),
            ),
            ("Does a switched target help a second CAR-T?", *_switched_target(estimates)),
            ("Do late relapses live longer?", *_late_against_early(infusion, relapse)),
            ("Which adverse event is most common?", *_adverse_event(cohort)),
        ],
        [f"Contrast from infusion: {p_phrase(infusion.p)}; from relapse: {p_phrase(relapse.p)}."]
        if tested
        else [],
        own_mark(cohort.study),
        left=(0, 1, 2),
    )


def _life(estimates: Estimates) -> tuple[str, str]:
    """Both medians and their intervals, and whether survival to salvage is part of the first."""
    infusion, relapse = estimates["os.median"], estimates["os.from_relapse.median"]
    medians = f"Median {value_text(infusion)} from infusion, {value_text(relapse)} from relapse"
    intervals = words.listing(list(dict.fromkeys(map(interval_text, (infusion, relapse)))))
    if estimates["os.guarantee.share"].value:
        return medians, f"95% CI {intervals}; survival to salvage is guaranteed"
    return medians, f"95% CI {intervals}"


def _highest(study: Study, estimates: Estimates, measure: str) -> tuple[str, str]:
    """The category or categories with the highest rate, and why that is no ranking."""
    rates = {key: e for key in CATEGORY_KEYS if (e := estimates[f"{measure}.{key}"]).n}
    if not rates:
        return "No salvage line.", NONE
    top = max(e.value or 0 for e in rates.values())
    leaders = [key for key, e in rates.items() if e.value == top]
    if not top:
        return f"No line brought a {words.RESPONDED[measure]}.", NONE
    if len(leaders) == len(rates) > 1:
        return f"All {len(leaders)} categories have the same rate.", NONE
    small = any((rates[key].n or 0) < SMALL_GROUP for key in leaders)
    maximum = f"A maximum over {'small' if small else 'unrandomised'} groups: no ranking"
    if len(leaders) > 1:
        share = words.count(len(leaders), "category", "categories")
        return f"{share} share the highest rate.", maximum
    leader = f"{words.category(leaders[0], study.labels)}: {sentence(rates[leaders[0]])}."
    return leader, maximum if len(rates) > 1 else "The only category with lines"


def _switched_target(estimates: Estimates) -> tuple[str, str]:
    """Both targets, and what a comparison of them is worth."""
    switched, same = estimates["cr.second_cart.switched"], estimates["cr.second_cart.same"]
    if not switched.n or not same.n:
        return "Not in the data", NONE
    small = min(switched.n, same.n) < SMALL_GROUP
    return (
        f"CR {switched.events}/{switched.n} against {same.events}/{same.n}",
        "Two small groups, not randomised" if small else "Two groups, not randomised",
    )


def _late_against_early(infusion: Estimate, relapse: Estimate) -> tuple[str, str]:
    """The contrast from both origins, and what it is worth."""
    if infusion.value is None and relapse.value is None:
        return "Late and early relapse cannot be compared", NONE
    return (
        f"HR {ratio(infusion.value)} from infusion, {ratio(relapse.value)} from relapse",
        f"From infusion biased by time; from relapse 95% CI {interval_text(relapse)}",
    )


def _adverse_event(cohort: Cohort) -> tuple[str, str]:
    """The most common term or terms, and in how many patients fever was recorded if it is that."""
    common = safety.most_common(cohort)
    if not common:
        return "Not recorded", NONE
    names = words.listing([safety.label(term) for term in common])
    if common != [safety.FEVER]:
        return names, NONE
    fever = headline(cohort)["ae.fever.patients"]
    patients = f"{fever.events} of {fever.n} treated patients"
    return names, f"{patients}; the count is assumed" if cohort.study.synthetic else patients


# --- the published study --------------------------------------------------------------------------


def reproduction(cohort: Cohort) -> Table:
    """Every printed figure of the abstract beside this cohort's own, with a mark for agreement."""
    figures = _agreements(cohort)
    agreeing = sum(figure.agrees for figure in figures)
    notes = [
        f"{agreeing} of {len(figures)} figures {'agrees' if agreeing == 1 else 'agree'} at the"
        " printed digit, in every part that is printed."
    ]
    if cohort.study.synthetic:
        caption, own = "Published against reproduced, figure by figure.", "Reproduced"
    else:
        caption = "The published study as a comparator: its figures beside those of this cohort."
        own = "This cohort"
        notes.append(
            "Another hospital's cohort need not agree: a difference is a finding, not an error."
        )
    return Table(
        cohort.study,
        "tab-summary-reproduction",
        caption,
        ("Figure", "Published", own, "Agreement"),
        [
            (
                figure.statement,
                figure.printed,
                _reproduced(figure),
                NONE if figure.missing else VERDICT[figure.agrees],
            )
            for figure in figures
        ],
        notes,
        ("published", *own_mark(cohort.study)),
        left=(0, 1, 2, 3),
    )


def _reproduced(figure: Agreement) -> str:
    """The cohort's figure in the form in which the abstract prints it."""
    if figure.estimate is not None:
        return value_and_parts(figure.estimate, "interval" in figure.parts)
    names = [safety.LABELS.get(term, term) for term in figure.terms]
    return words.listing(names) or NO_ADVERSE_EVENT
