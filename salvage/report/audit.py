"""Tables of the audit of the published figures."""

from collections.abc import Mapping

import pandas as pd

from salvage import words
from salvage.analysis import provenance
from salvage.analysis.estimate import Estimate
from salvage.analysis.response import by_category
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.display.figures import Spread
from salvage.display.show import CLEARED, Box, Table, Text, answer, text
from salvage.display.wording import number, p_value, percent, ratio
from salvage.evidence import audit
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


VERDICT = {True: "✓ consistent", False: "not consistent"}


def implied() -> dict[str, Estimate]:
    """The figures of the audit by their id."""
    return {e.id: e for e in audit.estimates()}


def overview() -> Table:
    """Each published figure: consistent with the others, what it implies, what it leaves open."""
    ratio, follow_up = audit.ratio(), audit.published_follow_up()
    rates = audit.percentages()
    deaths = sorted(ratio.deaths.groups) if ratio.deaths else []
    rows = [
        (
            "Hazard ratio, interval and P",
            VERDICT[ratio.consistent],
            (
                f"{words.listing([str(d) for d in deaths], 'or')} deaths among {follow_up.patients}"
                " patients"
            ),
            "The cut-off, the sizes of the groups, and any effect",
        ),
        (
            "Median follow-up",
            VERDICT[audit.within_range(audit.MEDIANS[0])],
            "Counted from infusion, no reverse Kaplan-Meier median"
            if not follow_up.possible
            else "No definition is excluded",
            "Its time origin",
        ),
        (
            "Median survival and range",
            VERDICT[audit.within_range(audit.MEDIANS[1])],
            "Nothing: read here as the range of observed times",
            "The confidence interval of the median",
        ),
        *(
            (
                row["label"],
                VERDICT[bool(row["consistent"])],
                _denominators(row["possible"]),
                "The split over categories" if i < 2 else "The counts",
            )
            for i, (_, row) in enumerate(rates.iterrows())
        ),
    ]
    return Table(
        CLEARED,
        "tab-audit-overview",
        "Each published figure: does it fit the others, what does it imply, what does it leave"
        " open?",
        ("Figure", "With the others", "It implies", "It leaves open"),
        rows,
        ("The audit is of the published abstract, whatever the cohort of this book.",),
        ("published", "implied"),
        left=(0, 1, 2, 3),
    )


def _denominators(possible: list[tuple[int, int]]) -> str:
    sizes = [n for _, n in possible]
    if len(sizes) <= 3:
        return f"Possible denominators: {words.listing([str(n) for n in sizes], 'or')}"
    return f"{len(sizes)} possible denominators, {sizes[0]} to {sizes[-1]}"


def death_groups() -> Table:
    """Possible numbers of deaths with the possible sizes of the late group."""
    bound = audit.ratio().deaths
    groups = bound.groups if bound else {}
    patients = audit.published_follow_up().patients
    rows = [
        (
            f"{deaths}",
            f"{patients - deaths}",
            f"{sizes[0]} to {sizes[-1]}",
            f"{patients - sizes[-1]} to {patients - sizes[0]}",
        )
        for deaths, sizes in groups.items()
    ]
    return Table(
        CLEARED,
        "tab-audit-deaths",
        "Numbers of deaths and group sizes for which a Cox model can print the published hazard"
        " ratio, interval and P.",
        ("Deaths", "Alive at last contact", "Late relapses", "Early relapses"),
        rows,
        (
            (
                "For one Cox model of the patients with a Wald interval, by Efron's or Breslow's"
                " treatment of ties. It does not hold if the model was of treatment events or had a"
                " profile interval."
            ),
        ),
        ("implied",),
        left=(),
    )


def follow_up_table() -> Table:
    """Why the median follow-up is not a reverse Kaplan-Meier median."""
    check = audit.published_follow_up()
    rows = [
        ("Patients", f"{check.patients}"),
        ("Most patients censored", f"{check.censored}"),
        ("Fewest at risk just before the median survival", f"{check.at_risk}"),
        ("Lowest reverse Kaplan-Meier estimate there", percent(check.lowest)),
        ("What a median would need", percent(0.5)),
    ]
    return Table(
        CLEARED,
        "tab-audit-followup",
        "Can the printed median follow-up be a reverse Kaplan-Meier median?",
        ("Step", "Value"),
        rows,
        ("Overall survival from infusion; with another time origin the argument does not apply.",),
        ("published", "implied"),
    )


def open_ranges() -> Table:
    """What stays open for each category over all feasible tables."""
    ranges = audit.tables().ranges()
    rows = []
    for key in CATEGORY_KEYS:
        row = ranges.T[key]
        n = f"{row['events_low']:.0f} to {row['events_high']:.0f}"
        if row["events_values"] == 2:
            n = f"{row['events_low']:.0f} or {row['events_high']:.0f}"
        rows.append(
            (
                words.CATEGORIES[key],
                n,
                _span(row, "responses"),
                _span(row, "complete"),
                _span(row, "orr"),
                _span(row, "cr"),
            )
        )
    return Table(
        CLEARED,
        "tab-audit-ranges",
        "What stays open for each category: lowest and highest value over every feasible table.",
        ("Category", "Events", "CR or PR", "CR", "ORR, %", "CR rate, %"),
        rows,
        ("Each range is of one quantity alone; they cannot all take any value at once.",),
        ("implied",),
    )


def _span(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if name in ("orr", "cr"):
        return f"{100 * low:.1f}" if low == high else f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def switches() -> Table:
    """Which counts the target switch can have."""
    rows = [
        (
            f"{row.complete}/{row.events}",
            f"{row.switched_complete}/{row.switched_events}",
            f"{row.other_complete}/{row.other_events}",
        )
        for row in audit.target_switches().itertuples()
    ]
    return Table(
        CLEARED,
        "tab-audit-switch",
        "Complete responses to a second CAR-T infusion that print both published rates.",
        ("Second CAR-T, all", "Switched target", "Same target"),
        rows,
        (),
        ("implied",),
        left=(),
    )


def spread_table(cohort: Cohort) -> Table:
    """The spread of the book's unpublished quantities over the cohorts found."""
    frame = spread.measured()
    rows = []
    for quantity in spread.QUANTITIES:
        values = frame[quantity.key].dropna()
        show = p_value if quantity.key.endswith(".p") else lambda v, u=quantity.unit: number(v, u)
        rows.append(
            (
                quantity.label,
                f"{len(values):,}",
                *(show(v) for v in (values.min(), values.median(), values.max())),
            )
        )
    return Table(
        CLEARED,
        "tab-audit-spread",
        f"Unpublished quantities over {spread.found()} cohorts that agree with every published"
        " figure.",
        ("Quantity", "Cohorts with a value", "Lowest", "Middle", "Highest"),
        rows,
        (
            (
                "A range over the cohorts that a search found. It is neither a confidence interval"
                " nor a probability; what varies is not known."
            ),
        ),
        ("assumed",),
    )


def spreads(estimates: Mapping[str, Estimate]) -> list[Spread]:
    """The quantities of the figure, with the value of the book's own synthetic cohort."""
    own = {
        "os.median.low": estimates["os.median"].low,
        "os.median.high": estimates["os.median"].high,
        "cox.from_relapse.hr": estimates["cox.late_vs_early.from_relapse.hr"].value,
        "orr.rao_scott.p": None,
    }
    synthetic = estimates["os.median"].provenance != "observed"
    made = []
    for quantity in spread.QUANTITIES:
        if quantity.key in own:
            is_p = quantity.key.endswith(".p")
            made.append(
                Spread(
                    quantity.label,
                    spread.measured()[quantity.key].to_numpy(),
                    own[quantity.key] if synthetic else None,
                    "p" if is_p else quantity.unit,
                    1.0 if quantity.unit == "ratio" and not is_p else None,
                )
            )
    return made


def assumed_counts(cohort: Cohort) -> dict[str, tuple[int, int, int]] | None:
    """Lines, responses and complete responses of the synthetic cohort; ``None`` for another
    hospital's."""
    if not cohort.study.synthetic:
        return None
    table = by_category(cohort)
    return {
        str(key): (int(row["lines"]), int(row["CR"] + row["PR"]), int(row["CR"]))
        for key, row in table.iterrows()
        if row["lines"]
    }


def published_text(key: str) -> str:
    """A figure as the abstract prints it."""
    return str(provenance.figures()[key]["printed"])
