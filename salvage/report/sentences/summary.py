"""Computed prose of the summary."""

from collections.abc import Mapping

from salvage import __version__, words
from salvage.analysis import comparison, provenance
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display.show import CLEARED, Box, Cover, Text, answer, text
from salvage.display.wording import sentence
from salvage.evidence import agreement
from salvage.report.sentences import median, this_cohort
from salvage.report.sentences.compared import could_show

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
