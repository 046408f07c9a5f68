"""Computed prose of the audit of the published figures."""

from collections.abc import Mapping

from salvage import words
from salvage.analysis.estimate import Estimate
from salvage.display.show import CLEARED, Box, Text, answer, text
from salvage.display.wording import number, percent, ratio
from salvage.evidence import audit
from salvage.report.tables.audit import published_text
from salvage.synthetic import spread

Found = Mapping[str, Estimate]


def audit_answer(found: Found) -> Box:
    """What the audit finds, in short."""
    hr = spread.measured()["cox.from_relapse.hr"].dropna()
    return answer(
        CLEARED,
        f"The published figures {'fit' if audit.consistent() else 'do not all fit'} one another."
        " Hazard ratio, interval and P together imply at"
        f" least {_count(found, 'audit.deaths.min')} deaths among {found['audit.deaths.min'].n}"
        " patients, if they come from one Cox model of the patients.",
        f"{_count(found, 'audit.tables.count')} tables of the six categories print the published"
        " counts and rates, so the split over categories is not known. A second CAR-T infusion was"
        f" given {words.listing(second_sizes(), 'or')} times; nearly everything else stays open.",
        f"Over {spread.found()} cohorts that agree with every published figure, the hazard ratio of"
        " death, late against early relapse, counted from relapse runs from"
        f" {ratio(hr.min())} to {ratio(hr.max())}.",
    )


def second_sizes() -> list[str]:
    """The possible numbers of second CAR-T infusions."""
    return [str(n) for n in sorted({n for n, _, _ in audit.tables().cells("second_cart")})]


def _count(found: Found, id: str) -> str:
    return number(found[id].value, "count")


def standard_error(found: Found) -> Text:
    """What rounding leaves of the standard error and of P."""
    low, high = found["audit.se.low"].value, found["audit.se.high"].value
    low_p, high_p = found["audit.se.low_with_p"].value, found["audit.se.high_with_p"].value
    return text(
        CLEARED,
        f"The abstract prints {published_text('cox.late_vs_early.hr')}. Rounded ratio and interval"
        f" leave a standard error of the log hazard ratio from {low:.4f} to {high:.4f}, and a Wald"
        f" P from {found['audit.p.low'].value:.4f} to {found['audit.p.high'].value:.4f}. The"
        f" printed P is possible, and leaves {low_p:.4f} to {high_p:.4f}:"
        f" {percent(found['audit.p.share'].value)} of the region.",
        "A share of the region is an area and not a probability.",
    )


def deaths(found: Found) -> Text:
    """The two bounds on the number of deaths."""
    return text(
        CLEARED,
        "A death adds at most a quarter to the information of a comparison of two groups. The"
        f" standard error therefore needs at least {_count(found, 'audit.deaths.min_simple')}"
        " deaths.",
        "The bound is sharper if every possible sequence of risk sets is followed: at least"
        f" {_count(found, 'audit.deaths.min')} deaths, so at most {audit.most_censored()} patients"
        " were alive at last contact. For each possible number of deaths a sequence that prints"
        " all three figures was found, so the bound cannot be raised.",
    )


def follow_up() -> Text:
    """The argument about the median follow-up, in words."""
    check = audit.published_follow_up()
    if check.possible:
        return text(CLEARED, "The printed median follow-up can be a reverse Kaplan-Meier median.")
    return text(
        CLEARED,
        f"With at most {words.count(check.censored, 'patient')} censored, at least {check.at_risk}"
        " are still at risk at the median survival. The reverse curve falls only at censorings, so"
        f" it is at {percent(check.lowest)} or more there and cannot have reached one half. The"
        " printed median follow-up fits the median of the observed times, dead or alive, which is"
        " short because patients died. A follow-up from another time origin cannot be excluded.",
    )


def tables(found: Found) -> Text:
    """How many tables there are, and what is pinned down."""
    share = found["audit.tables.second_cart_10"].value
    smallest, *others = second_sizes()
    return text(
        CLEARED,
        f"{_count(found, 'audit.tables.count')} tables of events, responses and complete responses"
        f" over six labelled categories are feasible, {_count(found, 'audit.tables.count_capped')}"
        f" if no patient has a category twice. In {percent(share)} of them {smallest} events are"
        f" second CAR-T infusions, and in all others {words.listing(others, 'or')}. A share of"
        " tables is a count and not a probability.",
    )


def seen(share_of: int, of: int) -> str:
    """In how many of the cohorts found something holds, in the words that its logic allows."""
    return f"seen in all {of} found" if share_of == of else f"seen in {share_of} of {of} found"


def over_cohorts() -> Text:
    """What holds in all cohorts found, and what does not."""
    n = spread.found()
    frame = spread.measured()
    statements = [
        (
            "the upper limit of the median survival is below 12 months",
            (frame["os.median.high"] < 12).sum(),
        ),
        (
            "the lower limit of the median survival is above 3 months",
            (frame["os.median.low"] > 3).sum(),
        ),
        (
            "the interval of the ratio from relapse contains 1",
            ((frame["cox.from_relapse.low"] <= 1) & (frame["cox.from_relapse.high"] >= 1)).sum(),
        ),
        (
            "late relapse has the lower hazard from relapse",
            (frame["cox.from_relapse.hr"] < 1).sum(),
        ),
        (
            (
                "the response rates of the six categories differ with P below 0.05 by the Rao-Scott"
                " test"
            ),
            (frame["orr.rao_scott.p"] < 0.05).sum(),
        ),
    ]
    return text(
        CLEARED,
        *(f"That {what}: {seen(int(count), n)}." for what, count in statements),
        "Seen in all is not implied: a search that found no counter-example does not prove that"
        " there is none.",
    )
