"""Tables of the chapter on time and bias."""

from typing import Final

from salvage import words
from salvage.analysis import bias, simulate, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.display.show import CLEARED, Box, Table, Text, answer, text
from salvage.display.wording import (
    interval_text,
    months,
    p_value,
    percent,
    ratio,
    reason,
    sentence,
    value_text,
)
from salvage.report.prognosis import caution
from salvage.report.shared import marks, this_cohort
from salvage.synthetic import spread

# Patients at risk at a death: with fewer, one death moves a curve by more than a tenth.
FEW_AT_RISK: Final = 10
INDEPENDENT_ENTRY: Final = (
    "Delayed entry is right only if the time of entry says nothing of the survival after it."
)


def bias_answer(cohort: Cohort) -> Box:
    """The range over cohorts that agree with the abstract first; then the null; then this
    cohort."""
    hr = spread.measured()["cox.from_relapse.hr"].dropna()
    published = ratio(bias.published_hr())
    return answer(
        cohort.study,
        f"The published hazard ratio of death, late against early relapse, is {published}. It is"
        f" biased by time. Counted from relapse, it ranges from {ratio(hr.min())} to"
        f" {ratio(hr.max())} over the {spread.found()} cohorts found that agree with every"
        " published figure. The published figures cannot show whether late relapse is better,"
        " worse or neither.",
        "In simulated worlds in which relapse timing has no effect, the published analysis gives"
        f" a ratio of {published} or less in {_over_worlds('infusion')} of cohorts. Counted from"
        f" relapse it does so in {_over_worlds('relapse')}.",
        _own(cohort),
        name="answer-bias",
    )


def _over_worlds(analysis: str) -> str:
    """Lowest and highest share of cohorts at or below the published ratio, over the worlds."""
    shares = [bias.null_value(key, analysis, "share_hr") for key in simulate.SETTINGS]
    return f"{percent(min(shares), 0)} to {percent(max(shares), 0)}"


def _own(cohort: Cohort) -> str:
    infusion, relapse = bias.contrasts(cohort)[:2]
    if infusion.value is None and relapse.value is None:
        return f"In {this_cohort(cohort.study)} late and early relapse cannot be compared."
    after = sentence(relapse) if relapse.value is not None else words.NOT_ESTIMABLE
    return (
        f"In {this_cohort(cohort.study)} the ratio is {ratio(infusion.value)} from infusion and "
        f"{after}"
        " from relapse."
    )


def agreeing_cohorts(cohort: Cohort) -> Text:
    """How the ratio from relapse varies over the cohorts that agree with the abstract."""
    below, n = spread.share(lambda f: f["cox.from_relapse.hr"] < 1)
    wholly, _ = spread.share(lambda f: f["cox.from_relapse.high"] < 1)
    above, _ = spread.share(lambda f: f["cox.from_relapse.low"] > 1)
    return text(
        CLEARED,
        f"All {n} cohorts print the same ratio from infusion. From relapse it is below 1 in {below}"
        f" of them and 1 or above in {n - below}. Its whole 95% confidence interval is below 1 in"
        f" {wholly} and above 1 in {above}.",
    )


def landmark(cohort: Cohort) -> Text:
    """The landmark's own figures, in this cohort and without effect."""
    found = next(e for e in bias.contrasts(cohort) if e.id == "cox.late_vs_early.landmark.hr")
    own = (
        f"In {this_cohort(cohort.study)} the landmark gives {sentence(found)}. "
        if found.value is not None
        else f"In {this_cohort(cohort.study)} a landmark at the cut-off cannot be used. "
    )
    means = [bias.null_value(key, "landmark", "hr") for key in simulate.SETTINGS]
    return text(
        cohort.study,
        f"{own}In simulated cohorts without any effect its geometric mean is {ratio(min(means))} to"
        f" {ratio(max(means))}, by world, and not 1.",
    )


def null(cohort: Cohort) -> Text:
    """What the simulation says of the published ratio, also among cohorts near the printed median
    and range."""
    published = ratio(bias.published_hr())
    return text(
        CLEARED,
        f"A ratio of {published} or less is common without any effect: in"
        f" {_over_worlds('infusion')} of the cohorts, by world. Among simulated cohorts near the"
        " printed median and range of survival it is found in"
        f" {percent(bias.near_value('infusion', 'share_hr'), 0)} of"
        f" {bias.near_value('infusion', 'cohorts'):,.0f}. The published ratio cannot tell an effect"
        " from none.",
    )


def delayed_entry(cohort: Cohort) -> Text:
    """The whole cohort was selected by having received salvage: the median with delayed entry, and
    how many were at risk before it."""
    entered = bias.delayed_entry_median(cohort)
    plain = survival.median(cohort.study, "os.median", survival.from_infusion(cohort))
    if entered.value is None:
        return text(
            cohort.study, "With delayed entry at the first salvage line, the median is not reached."
        )
    at_risk = "Counting each treated patient as at risk only from the first salvage line,"
    curve = bias.delayed_entry_curve(cohort)
    fewest = bias.fewest_at_risk(curve, entered.value)
    if fewest >= FEW_AT_RISK or value_text(entered) == value_text(plain):
        return text(
            cohort.study,
            f"{at_risk} the median overall survival from infusion is {value_text(entered)};"
            f" counting all from infusion, it is {value_text(plain)}.",
            INDEPENDENT_ENTRY,
        )
    if curve.at(entered.value).value == 0:
        found = (
            f"no median can be estimated: {words.count(fewest, 'patient')} was at risk at"
            f" {months(entered.value)} months and died, so the curve falls to zero and stays there"
            if fewest == 1
            else f"no median can be estimated: all {fewest} patients at risk at"
            f" {months(entered.value)} months died, so the curve falls to zero and stays there"
        )
    else:
        found = (
            f"the median overall survival from infusion is {value_text(entered)}, which cannot be"
            f" used: at one death before it only {words.count(fewest, 'patient')}"
            f" {'was' if fewest == 1 else 'were'} at risk, and one death among so few moves the"
            " curve far"
        )
    return text(
        cohort.study,
        f"{at_risk} {found}. Counting all from infusion, the median is {value_text(plain)}.",
        INDEPENDENT_ENTRY,
    )


def per_month(cohort: Cohort) -> Text:
    """Months to relapse as a continuous covariate."""
    e = bias.per_month(cohort)
    if e.value is None:
        return text(
            cohort.study,
            f"In {this_cohort(cohort.study)} months to relapse cannot be used as a covariate:"
            f" {reason(e.method)}.",
        )
    return text(
        cohort.study,
        f"In {this_cohort(cohort.study)} each further month to relapse goes with a hazard ratio of"
        f" {sentence(e)}, counted from relapse.",
    )


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


def null_table(analysis: str = "infusion") -> Table:
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
