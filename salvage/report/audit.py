"""The chapter that audits the published figures."""

import pandas as pd

from salvage import words
from salvage.analysis import prognosis, provenance, survival
from salvage.analysis.response import by_category
from salvage.cohort import Cohort
from salvage.cohort.schema import RESPONSE
from salvage.display import figures, show
from salvage.display.show import CLEARED, Absent, Box, Figure, Table, Text, text
from salvage.display.wording import number, p_value, percent, ratio
from salvage.evidence import audit
from salvage.synthetic import spread


def answer() -> Box:
    """What the audit finds, in short."""
    hr = spread.measured()["cox.from_relapse.hr"]
    sizes = words.listing(_second_cart_sizes(), "or")
    return show.answer(
        CLEARED,
        f"The published figures {'fit' if audit.consistent() else 'do not all fit'} one another."
        " Hazard ratio, interval and P together imply at"
        f" least {_count('audit.deaths.min')} deaths among {audit.ratio().fact.n}"
        " patients, if they come from one Cox model of the patients.",
        f"{_count('audit.tables.count')} tables of the six categories print the published"
        " counts and rates, so the split over categories is not known. A second CAR-T infusion was"
        f" given {sizes} times; nearly everything else stays open.",
        f"Over {len(hr)} cohorts that agree with every published figure, the hazard ratio of"
        " death, late against early relapse, counted from relapse runs from"
        f" {ratio(hr.min())} to {ratio(hr.max())}.",
    )


def _count(id: str) -> str:
    return number(audit.estimates()[id].value, "count")


def _second_cart_sizes() -> list[str]:
    """The possible numbers of second CAR-T infusions, in ascending order."""
    return [str(n) for n in sorted({n for n, _, _ in audit.tables().cells("second_cart")})]


def ranges_figure(cohort: Cohort) -> Figure | Absent:
    """What stays open for each category, with the counts of the book's own synthetic cohort."""
    return figures.open_ranges(
        cohort.study,
        audit.tables().ranges(),
        _assumed_counts(cohort),
        {"second_cart": list(map(int, _second_cart_sizes()))},
    )


def _assumed_counts(cohort: Cohort) -> dict[str, tuple[int, int, int]] | None:
    """Lines, responses and complete responses of the synthetic cohort; ``None`` for another
    hospital's."""
    if not cohort.study.synthetic:
        return None
    return {
        str(key): (int(row["lines"]), int(row[[*RESPONSE]].sum()), int(row["CR"]))
        for key, row in by_category(cohort).iterrows()
        if row["lines"]
    }


def overview() -> Table:
    """Each published figure: consistent with the others, what it implies, what it leaves open."""
    follow_up_check = audit.published_follow_up()
    verdicts = audit.verdicts()
    deaths = [str(n) for n in sorted(_groups())]
    rows = [
        (
            "Hazard ratio, interval and P",
            "cox.late_vs_early.hr",
            f"{words.listing(deaths, 'or')} deaths among {follow_up_check.patients} patients",
            "The cut-off, the sizes of the groups, and any effect",
        ),
        (
            "Median follow-up",
            "followup.observed.median",
            "No definition is excluded"
            if follow_up_check.possible
            else "Counted from infusion, no reverse Kaplan-Meier median",
            "Its time origin",
        ),
        (
            "Median survival and range",
            "os.median",
            "Nothing: read here as the range of observed times",
            "The confidence interval of the median",
        ),
        *(
            (
                entry["statement"],
                id,
                _denominators([n for _, n in audit.possible_counts(id)]),
                "The split over categories" if "n" in entry else "The counts",
            )
            for id, entry in audit.published_rates().items()
        ),
    ]
    return Table(
        CLEARED,
        "tab-audit-overview",
        "Each published figure: does it fit the others, what does it imply, what does it leave"
        " open?",
        ("Figure", "With the others", "It implies", "It leaves open"),
        [
            (figure, "✓ consistent" if verdicts[id] == "possible" else verdicts[id], *others)
            for figure, id, *others in rows
        ],
        ("The audit is of the published abstract, whatever the cohort of this book.",),
        ("published", "implied"),
        left=(0, 1, 2, 3),
    )


def _groups() -> dict[int, tuple[int, ...]]:
    """The possible numbers of deaths with the possible sizes of the late group."""
    bound = audit.ratio().deaths
    return (bound.groups if bound else None) or {}


def _denominators(sizes: list[int]) -> str:
    if len(sizes) <= 3:
        return f"Possible denominators: {words.listing([str(n) for n in sizes], 'or')}"
    return f"{len(sizes)} possible denominators, {sizes[0]} to {sizes[-1]}"


def se_region() -> Figure | Absent:
    """Every standard error that prints the published ratio and interval, and which print P too."""
    check = audit.ratio()
    printed = provenance.printed_figures()["cox.late_vs_early.hr"]["printed"]
    return figures.se_region(
        check.region.corners,
        [part.corners for part in check.with_p],
        printed.split(",")[0],
        printed.split("P = ")[-1],
    )


def standard_error() -> Text:
    """What rounding leaves of the standard error and of P."""
    low, high, low_with_p, high_with_p, low_p, high_p = (
        f"{audit.estimates()[f'audit.{id}'].value:.4f}"
        for id in ("se.low", "se.high", "se.low_with_p", "se.high_with_p", "p.low", "p.high")
    )
    share = percent(audit.estimates()["audit.p.share"].value, decimal=True)
    printed = provenance.printed_figures()["cox.late_vs_early.hr"]["printed"]
    return text(
        CLEARED,
        f"The abstract prints {printed}. Rounded"
        f" ratio and interval leave a standard error of the log hazard ratio from {low} to {high},"
        f" and a Wald P from {low_p} to {high_p}. The printed P is possible, and leaves"
        f" {low_with_p} to {high_with_p}: {share} of the region.",
        "A share of the region is an area and not a probability.",
    )


def deaths() -> Text:
    """The two bounds on the number of deaths."""
    return text(
        CLEARED,
        "A death adds at most a quarter to the information of a comparison of two groups. The"
        f" standard error therefore needs at least {_count('audit.deaths.min_simple')}"
        " deaths.",
        "The bound is sharper if every possible sequence of risk sets is followed: at least"
        f" {_count('audit.deaths.min')} deaths, so at most {audit.most_censored()} patients"
        " were alive at last contact. For each possible number of deaths a sequence that prints"
        " all three figures was found, so the bound cannot be raised.",
    )


def deaths_table() -> Table:
    """Possible numbers of deaths with the possible sizes of the late group."""
    patients = audit.published_follow_up().patients
    rows = [
        (
            f"{deaths}",
            f"{patients - deaths}",
            f"{sizes[0]} to {sizes[-1]}",
            f"{patients - sizes[-1]} to {patients - sizes[0]}",
        )
        for deaths, sizes in _groups().items()
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
        ("Lowest reverse Kaplan-Meier estimate there", percent(check.lowest, decimal=True)),
        ("What a median would need", percent(0.5, decimal=True)),
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


def follow_up() -> Text:
    """The argument about the median follow-up, in words."""
    check = audit.published_follow_up()
    if check.possible:
        return text(CLEARED, "The printed median follow-up can be a reverse Kaplan-Meier median.")
    return text(
        CLEARED,
        f"With at most {words.count(check.censored, 'patient')} censored, at least {check.at_risk}"
        " are still at risk at the median survival. The reverse curve falls only at censorings, so"
        f" it is at {percent(check.lowest, decimal=True)} or more there and cannot have reached one"
        " half. The printed median follow-up fits the median of the observed times, dead or alive,"
        " which is short because patients died. A follow-up from another time origin cannot be"
        " excluded.",
    )


def feasible_tables() -> Text:
    """How many tables there are, and what is pinned down."""
    share = audit.estimates()["audit.tables.second_cart_10"].value
    smallest, *others = _second_cart_sizes()
    return text(
        CLEARED,
        f"{_count('audit.tables.count')} tables of events, responses and complete responses"
        f" over six labelled categories are feasible, {_count('audit.tables.count_capped')}"
        f" if no patient has a category twice. In {percent(share, decimal=True)} of them {smallest}"
        f" events are second CAR-T infusions, and in all others {words.listing(others, 'or')}. A"
        " share of tables is a count and not a probability.",
    )


def ranges_table() -> Table:
    """What stays open for each category over all feasible tables."""
    rows = []
    for key, row in audit.tables().ranges().iterrows():
        joint = "or" if row["events_values"] == 2 else "to"
        rows.append(
            (
                words.CATEGORIES[str(key)],
                f"{row['events_low']:.0f} {joint} {row['events_high']:.0f}",
                _span(row["responses_low"], row["responses_high"], 0),
                _span(row["complete_low"], row["complete_high"], 0),
                _span(100 * row["orr_low"], 100 * row["orr_high"], 1),
                _span(100 * row["cr_low"], 100 * row["cr_high"], 1),
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


def _span(low: float, high: float, digits: int) -> str:
    """Both ends of a range, or the one value that it holds."""
    return f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"


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


def spread_figure(cohort: Cohort) -> Figure | Absent:
    """Unpublished quantities over the cohorts found, with a synthetic cohort's own value."""
    os = survival.estimates(cohort)["os.median"]
    relapse = prognosis.estimates(cohort)["cox.late_vs_early.from_relapse.hr"]
    own = {
        "os.median.low": os.low,
        "os.median.high": os.high,
        "cox.from_relapse.hr": relapse.value,
        "orr.rao_scott.p": None,
    }
    return figures.spread_over_cohorts(
        cohort.study,
        [
            figures.Spread(
                quantity.label,
                spread.measured()[quantity.key].to_numpy(),
                own[quantity.key] if cohort.study.synthetic else None,
                "p" if quantity.is_p else quantity.unit,
                1.0 if quantity.unit == "ratio" else None,
            )
            for quantity in spread.QUANTITIES
            if quantity.key in own
        ],
    )


def spread_table() -> Table:
    """The spread of the book's unpublished quantities over the cohorts found."""
    rows = []
    for quantity in spread.QUANTITIES:
        values = spread.measured()[quantity.key].dropna()
        rows.append(
            (
                quantity.label,
                f"{len(values):,}",
                *(
                    p_value(value) if quantity.is_p else number(value, quantity.unit)
                    for value in (values.min(), values.median(), values.max())
                ),
            )
        )
    return Table(
        CLEARED,
        "tab-audit-spread",
        f"Unpublished quantities over {len(spread.measured())} cohorts that agree with every"
        " published figure.",
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


def _seen(what: str, values: pd.Series, holds: "pd.Series[bool]") -> str:
    """In how many of the cohorts found in which ``values`` can be estimated a statement holds; seen
    in all of them is not implied."""
    known = holds[values.notna()]
    found = "found" if len(known) == len(holds) else "found in which it can be estimated"
    if known.all():
        return f"That {what}: seen in all {len(known)} {found}."
    return f"That {what}: seen in {known.sum()} of {len(known)} {found}."


def over_cohorts() -> Text:
    """What holds in all cohorts found, and what does not."""
    frame = spread.measured()
    low, high = frame["cox.from_relapse.low"], frame["cox.from_relapse.high"]
    longest, shortest = frame["os.median.high"], frame["os.median.low"]
    ratio, p = frame["cox.from_relapse.hr"], frame["orr.rao_scott.p"]
    differ = "the response rates of the six categories differ with P below 0.05"
    statements = (
        ("the upper limit of the median survival is below 12 months", longest, longest < 12),
        ("the lower limit of the median survival is above 3 months", shortest, shortest > 3),
        ("the interval of the ratio from relapse contains 1", low, (low <= 1) & (high >= 1)),
        ("late relapse has the lower hazard from relapse", ratio, ratio < 1),
        (f"{differ} by the Rao-Scott test", p, p < 0.05),
    )
    return text(
        CLEARED,
        *(_seen(*statement) for statement in statements),
        "Seen in all is not implied: a search that found no counter-example does not prove that"
        " there is none.",
    )
