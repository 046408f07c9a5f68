"""Tables of the chapter on time and bias."""

from salvage import words
from salvage.analysis import bias, simulate
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.display.show import CLEARED, Table
from salvage.display.wording import interval_text, p_value, percent, ratio, reason
from salvage.report.tables import marks
from salvage.report.tables.prognosis import caution
from salvage.synthetic import spread

VERDICTS = {
    "cox.late_vs_early.hr": "biased: nobody relapses late without living until then",
    "cox.late_vs_early.from_relapse.hr": (
        "free of the time to relapse; the wait for salvage and selection remain"
    ),
    "cox.late_vs_early.from_salvage.hr": "free of guaranteed time; selection remains",
    "cox.late_vs_early.delayed_entry.hr": "right only if the hazard after relapse is constant",
    "cox.late_vs_early.landmark.hr": "not repaired: late patients have yet to relapse",
}
BEGINNINGS = {
    "cox.late_vs_early.hr": "From infusion, as published",
    "cox.late_vs_early.from_relapse.hr": "From relapse",
    "cox.late_vs_early.from_salvage.hr": "From the first salvage line",
    "cox.late_vs_early.delayed_entry.hr": "From infusion, delayed entry at relapse",
    "cox.late_vs_early.landmark.hr": "From a landmark at the cut-off",
}
WORLDS = {
    "default": "Constant hazard after relapse",
    "equal_medians": "Relapse later, survival after it shorter",
    "late_cutoff": "The same, later cut-off",
    "falling_hazard": "Falling hazard after relapse",
    "rising_hazard": "Rising hazard after relapse",
}


def origins(cohort: Cohort) -> Table:
    """Late against early relapse from each beginning, with what it is worth."""
    found = bias.contrasts(cohort)
    return Table(
        cohort.study,
        "tab-bias-origins",
        "Late against early relapse, by five ways to count time." + caution(found),
        ("Clock", "Patients", "Deaths", "HR", "95% CI", "P", "What it is worth"),
        [(BEGINNINGS[e.id], *_numbers(e), VERDICTS[e.id]) for e in found],
        (
            (
                f"Late means a relapse after month {cohort.study.early_relapse_months:g}. A ratio"
                " below 1 favours late relapse."
            ),
            *_methods(found),
        ),
        marks(found),
        left=(0, 6),
    )


def _numbers(e: Estimate) -> tuple[str, ...]:
    if e.value is None:
        return (f"{e.n:,}", f"{e.events:,}", words.NOT_ESTIMABLE, "–", "–")
    return (f"{e.n:,}", f"{e.events:,}", ratio(e.value), interval_text(e), p_value(e.p))


def _methods(found: list[Estimate]) -> list[str]:
    """The methods of what is estimated, and why the rest is not."""
    used = dict.fromkeys(e.method for e in found if e.value is not None)
    missing: dict[str, list[str]] = {}
    for e in found:
        if e.value is None:
            missing.setdefault(reason(e.method), []).append(BEGINNINGS[e.id])
    return [
        *([f"Methods: {'; '.join(used)}."] if used else []),
        *(f"Not estimable ({why}): {'; '.join(clocks)}." for why, clocks in missing.items()),
    ]


def null(analysis: str = "infusion") -> Table:
    """What the analyses give in worlds without any effect."""
    rows = []
    for key, label in WORLDS.items():
        setting = simulate.SETTINGS[key]
        rows.append(
            (
                label,
                f"{setting.median_relapse:g}, {setting.median_survival:g}; {setting.cutoff:g}",
                (
                    f"{ratio(bias.null_value(key, analysis, 'hr'))}"
                    f" ({ratio(bias.null_value(key, analysis, 'low'))} to"
                    f" {ratio(bias.null_value(key, analysis, 'high'))})"
                ),
                percent(bias.null_value(key, analysis, "share_hr"), 0),
                *(
                    ratio(bias.null_value(key, other, "hr"))
                    for other in ("relapse", "delayed_entry", "landmark")
                ),
            )
        )
    published = ratio(bias.published_hr())
    return Table(
        CLEARED,
        "tab-bias-null",
        "Hazard ratio of late against early relapse in simulated cohorts in which the time of"
        " relapse has no effect.",
        (
            "World",
            "Median months to relapse, after it; cut-off",
            "From infusion: HR (5% to 95%)",
            f"At or below {published}",
            "From relapse",
            "Delayed entry",
            "Landmark",
        ),
        rows,
        (
            (
                f"{simulate.SETTINGS['default'].cohorts:,} cohorts of"
                f" {simulate.SETTINGS['default'].patients} patients in each world. Geometric means;"
                " cohorts without a contrast are left out and counted in the results file."
            ),
            (
                "Months to relapse are log-normal; survival after relapse is drawn independently of"
                " them."
            ),
        ),
        ("assumed",),
    )


def spread_of_ratios() -> Table:
    """The ratio from relapse over the cohorts that agree with the abstract, by cut-off."""
    frame = spread.measured()
    rows = []
    for cut, part in [
        ("Any", frame),
        *((f"{c:g}", p) for c, p in frame.groupby("early_relapse_months")),
    ]:
        hr = part["cox.from_relapse.hr"].dropna()
        rows.append(
            (
                cut,
                f"{len(part):,}",
                f"{ratio(hr.min())} to {ratio(hr.max())}",
                f"{int((hr < 1).sum()):,}",
                f"{int((part['cox.from_relapse.high'] < 1).sum()):,}",
                f"{int((part['cox.from_relapse.low'] > 1).sum()):,}",
            )
        )
    return Table(
        CLEARED,
        "tab-bias-spread",
        "Late against early relapse on survival from relapse, over cohorts that agree with every"
        " published figure.",
        (
            "Cut-off, months",
            "Cohorts found",
            "HR, lowest to highest",
            "HR below 1",
            "Whole 95% CI below 1",
            "Whole 95% CI above 1",
        ),
        rows,
        (
            (
                "A range over what a search found. It is no confidence interval, and how often a"
                " value occurs is no probability."
            ),
        ),
        ("assumed",),
    )
