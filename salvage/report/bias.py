"""The chapter on time and bias."""

from typing import Final

from salvage import words
from salvage.analysis import bias, prognosis, simulate, survival
from salvage.analysis.estimate import Estimate
from salvage.cohort import Cohort
from salvage.display import figures, show
from salvage.display.show import CLEARED, Absent, Box, Figure, Table, Text, text
from salvage.display.wording import missing, months, percent, ratio, reason, sentence, value_text
from salvage.report.shared import (
    marks,
    not_estimable,
    paragraph,
    ratio_cells,
    this_cohort,
)
from salvage.synthetic import spread

VERDICTS: Final = {
    "cox.late_vs_early.hr": "biased: nobody relapses late without living until then",
    "cox.late_vs_early.from_relapse.hr": (
        "free of the time to relapse; the wait for salvage and selection remain"
    ),
    "cox.late_vs_early.from_salvage.hr": "free of guaranteed time; selection remains",
    "cox.late_vs_early.delayed_entry.hr": "right only if the hazard after relapse is constant",
    "cox.late_vs_early.landmark.hr": "not repaired: late patients have yet to relapse",
}
BEGINNINGS: Final = {
    "cox.late_vs_early.hr": "From infusion",
    "cox.late_vs_early.from_relapse.hr": "From relapse",
    "cox.late_vs_early.from_salvage.hr": "From the first salvage line",
    "cox.late_vs_early.delayed_entry.hr": "From infusion, delayed entry at relapse",
    "cox.late_vs_early.landmark.hr": "From a landmark at the cut-off",
}
#: A permutation null in which fewer draws than this lie beyond the observed ratio makes it unusual.
RARE: Final = 0.05
WORLDS: Final = {
    "default": "Constant hazard after relapse",
    "equal_medians": "Relapse later, survival after it shorter",
    "late_cutoff": "The same, later cut-off",
    "falling_hazard": "Falling hazard after relapse",
    "rising_hazard": "Rising hazard after relapse",
}


def answer(cohort: Cohort) -> Box:
    """In a hospital's book its own contrast and null, then the index study; the other way round in
    that of the index study."""
    own = f"{_own_contrast(cohort)} {_own_null(cohort)}".strip()
    index = _index_study()
    return show.answer(
        cohort.study,
        *((*index, own) if cohort.study.synthetic else (own, " ".join(index))),
        name="answer-bias",
    )


def _index_study() -> tuple[str, str]:
    """The published ratio over cohorts that agree with the abstract, and without any effect."""
    hr = spread.measured()["cox.from_relapse.hr"].dropna()
    published = ratio(bias.published_hr())
    return (
        "The hazard ratio of death that the index study prints, late against early relapse, is"
        f" {published}. It is biased by time. Counted from relapse, it ranges from"
        f" {ratio(hr.min())} to {ratio(hr.max())} over the {len(spread.measured())} cohorts found"
        " that agree with every published figure. The published figures cannot show whether late"
        " relapse is better, worse or neither.",
        "In simulated worlds in which relapse timing has no effect, the published analysis gives"
        f" a ratio of {published} or less in {_share_over_worlds('infusion')} of cohorts. Counted"
        f" from relapse it does so in {_share_over_worlds('relapse')}.",
    )


def _share_over_worlds(analysis: str) -> str:
    """Lowest and highest share of cohorts at or below the published ratio, over the worlds."""
    shares = bias.null_table()["share_hr"].xs(analysis, level="analysis")
    return f"{percent(shares.min())} to {percent(shares.max())}"


def _own_contrast(cohort: Cohort) -> str:
    infusion, relapse = bias.contrasts(cohort)[:2]
    if infusion.value is None and relapse.value is None:
        return f"In {this_cohort(cohort.study)} late and early relapse cannot be compared."
    after = sentence(relapse) if relapse.value is not None else words.NOT_ESTIMABLE
    return (
        f"In {this_cohort(cohort.study)} the hazard ratio of death, late against early relapse, is"
        f" {ratio(infusion.value)} from infusion and {after} from relapse."
    )


def _own_null(cohort: Cohort) -> str:
    """What the cohort's own null says of the observed ratio; empty where there is none."""
    estimates = bias.estimates(cohort)
    null, share = (estimates[f"bias.permutation_null.{key}"] for key in ("hr", "share"))
    if null.value is None or share.value is None:
        return ""
    if share.value < RARE:
        verdict = "So low a ratio is rare in them: guaranteed time alone does not explain it."
    elif share.value > 1 - RARE:
        verdict = "Most are lower: after late relapse survival was, if anything, the shorter."
    else:
        verdict = "The observed ratio is one that guaranteed time alone gives."
    return (
        "Where its survival after relapse is dealt to its times of relapse at random, the ratio"
        f" from infusion has a geometric mean of {ratio(null.value)} over {share.n:,} draws (5% to"
        f" 95% of them {ratio(null.low)} to {ratio(null.high)}), and {percent(share.value)} are"
        f" at or below the observed one. {verdict}"
    )


def permutation_distribution(cohort: Cohort) -> Figure | Absent:
    """The ratio from infusion in draws without any effect, from the cohort's own patients."""
    why = bias.why_no_permutation(cohort)
    observed = prognosis.late_against_early(cohort, "os").value
    null = (
        None if why else figures.Null("Clock from infusion", bias.permutation_null(cohort).log_hr)
    )
    return figures.permutation_distribution(cohort.study, null, observed, why)


def null_distribution() -> Figure | Absent:
    """The ratio in simulated cohorts without any effect, counted from infusion and from relapse."""
    return figures.null_distribution(
        [figures.Null(label, bias.null_results()[key].log_hr) for key, label in bias.SHOWN.items()],
        bias.published_hr(),
        patients=bias.SETTING.patients,
        world=WORLDS["default"].lower(),
    )


def origins(cohort: Cohort) -> Table:
    """Late against early relapse from each beginning, with what it is worth."""
    contrasts = bias.contrasts(cohort)
    methods = dict.fromkeys(e.method for e in contrasts if e.value is not None)
    return Table(
        cohort.study,
        "tab-bias-origins",
        "Late against early relapse, by five ways to count time.",
        ("Clock", "Patients", "Deaths", "HR", "95% CI", "P", "What it is worth"),
        [
            (
                _beginning(cohort, e),
                f"{e.n:,}",
                f"{e.events:,}",
                *ratio_cells(e),
                VERDICTS[e.id],
            )
            for e in contrasts
        ],
        [
            f"Late means a relapse after month {cohort.study.early_relapse_months:g}. A ratio"
            " below 1 favours late relapse.",
            *([f"Methods: {'; '.join(methods)}."] if methods else []),
            *not_estimable((_beginning(cohort, e), e) for e in contrasts),
        ],
        marks(contrasts),
        left=(0, 6),
    )


def _beginning(cohort: Cohort, e: Estimate) -> str:
    """Where the clock starts; in the book of the index study, which analysis was published."""
    published = cohort.study.synthetic and e.id == "cox.late_vs_early.hr"
    return BEGINNINGS[e.id] + (", as published" if published else "")


def origin_forest(cohort: Cohort) -> Figure | Absent:
    """Late against early relapse from each beginning."""
    rows = [figures.row_of(e, _beginning(cohort, e)) for e in bias.contrasts(cohort)]
    return figures.origin_forest(cohort.study, rows)


def spread_of_ratios() -> Table:
    """The ratio from relapse over the cohorts that agree with the abstract, by cut-off."""
    frame = spread.measured()
    by_cut_off = {f"{cut:g}": part for cut, part in frame.groupby("early_relapse_months")}
    rows = []
    for cut, part in ({"Any": frame} | by_cut_off).items():
        hr = part["cox.from_relapse.hr"].dropna()
        rows.append(
            (
                cut,
                f"{len(part):,}",
                f"{ratio(hr.min())} to {ratio(hr.max())}",
                f"{(hr < 1).sum():,}",
                f"{(part['cox.from_relapse.high'] < 1).sum():,}",
                f"{(part['cox.from_relapse.low'] > 1).sum():,}",
            )
        )
    return Table(
        CLEARED,
        "tab-bias-spread",
        "Late against early relapse on survival from relapse, over cohorts that agree with every"
        " published figure of the index study.",
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
            "A range over what a search found. It is no confidence interval, and how often a value"
            " occurs is no probability.",
        ),
        ("assumed",),
    )


def agreeing_cohorts() -> Text:
    """How the ratio from relapse varies over the cohorts that agree with the abstract."""
    frame = spread.measured()
    n = len(frame)
    below = int((frame["cox.from_relapse.hr"] < 1).sum())
    wholly_below = int((frame["cox.from_relapse.high"] < 1).sum())
    wholly_above = int((frame["cox.from_relapse.low"] > 1).sum())
    return text(
        CLEARED,
        f"All {n} cohorts print the same ratio from infusion. From relapse it is below 1 in {below}"
        f" of them and 1 or above in {n - below}. Its whole 95% confidence interval is below 1 in"
        f" {wholly_below} and above 1 in {wholly_above}.",
    )


def null_table() -> Table:
    """What the analyses give in worlds without any effect."""
    published = ratio(bias.published_hr())
    rows = []
    for key, label in WORLDS.items():
        setting, analyses = simulate.SETTINGS[key], bias.null_table().loc[key]
        infusion = analyses.loc["infusion"].to_dict()
        others = analyses.loc[["relapse", "delayed_entry", "landmark"], "hr"]
        rows.append(
            (
                label,
                f"{setting.median_relapse:g}, {setting.median_survival:g}; {setting.cutoff:g}",
                f"{ratio(infusion['hr'])} ({ratio(infusion['low'])} to {ratio(infusion['high'])})",
                percent(infusion["share_hr"]),
                *map(ratio, others),
            )
        )
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
            f"{bias.SETTING.cohorts:,} cohorts of {bias.SETTING.patients} patients, as many as the"
            " index study has, in each world."
            " Geometric means; cohorts without a contrast are left out and counted in the results"
            " file.",
            "Months to relapse are log-normal; survival after relapse is drawn independently of"
            " them.",
        ),
        ("assumed",),
    )


def null() -> Text:
    """What the simulation says of the published ratio, also among cohorts near the printed median
    and range."""
    published = ratio(bias.published_hr())
    near = bias.near_printed().loc["infusion"].to_dict()
    return text(
        CLEARED,
        f"A ratio of {published} or less is common without any effect: in"
        f" {_share_over_worlds('infusion')} of the cohorts, by world. Among simulated cohorts near"
        " the printed median and range of survival it is found in"
        f" {percent(near['share_hr'])} of {near['cohorts']:,.0f}. The published ratio cannot"
        " tell an effect from none.",
    )


def landmark(cohort: Cohort) -> Text:
    """The landmark's own figures; in the book of the index study beside the simulated worlds with
    the same cut-off."""
    e = bias.estimates(cohort)["cox.late_vs_early.landmark.hr"]
    cut = cohort.study.early_relapse_months
    alike = [key for key, world in simulate.SETTINGS.items() if world.cutoff == cut]
    without_effect = ""
    if cohort.study.synthetic and alike:
        means = bias.null_table()["hr"].xs("landmark", level="analysis")[alike]
        without_effect = (
            "In simulated cohorts without any effect and with this cut-off its geometric mean is"
            f" {ratio(means.min())} to {ratio(means.max())}, by world, and not 1."
        )
    return text(
        cohort.study,
        paragraph(
            f"In {this_cohort(cohort.study)} the landmark gives {sentence(e)}."
            if e.value is not None
            else f"In {this_cohort(cohort.study)} a landmark at the cut-off cannot be used.",
            without_effect,
        ),
    )


def responders(cohort: Cohort) -> Text:
    """Responders against others by two ways to count time, and how long they were sure to live."""
    honest, naive = bias.response_contrasts(cohort)
    patients = bias.first_responses(cohort)
    waits = patients["response"].dropna()
    here, treated = this_cohort(cohort.study), words.count(len(patients), "treated patient")
    if honest.value is None and naive.value is None:
        why = reason(honest.method)
        return text(cohort.study, f"In {here} responders cannot be compared with others: {why}.")
    return text(
        cohort.study,
        f"In {here} {len(waits):,} of {treated} responded, after a median of"
        f" {months(float(waits.median()))} months from the start of the first salvage line: so long"
        " they were certain to live. The hazard ratio of death, responders against others, is"
        f" {sentence(honest)} with the response counted from its day on. As if known from the"
        f" start, it would be {sentence(naive)}.",
    )


def per_month(cohort: Cohort) -> Text:
    """Months to relapse as a continuous covariate."""
    e = prognosis.estimates(cohort)["cox.univariable.relapse_month.hr"]
    if e.value is None:
        return text(
            cohort.study,
            f"In {this_cohort(cohort.study)} months to relapse cannot be used as a covariate:"
            f" {reason(e.method)}.",
        )
    return text(
        cohort.study,
        f"In {this_cohort(cohort.study)} a relapse {words.months(prognosis.relapse_unit(cohort))}"
        f" later goes with a hazard ratio of {sentence(e)}, counted from relapse.",
    )


def sweep_forest(cohort: Cohort) -> Figure | Absent:
    """Late against early at each cut-off, from relapse."""
    contrasts = prognosis.sweep(cohort, "os.from_relapse")
    return figures.sweep_forest(cohort, contrasts, "survival from relapse", "fig-bias-sweep")


def delayed_entry(cohort: Cohort) -> Text:
    """The median survival of treated patients who count as at risk from their first salvage line.

    They had to live until then to be treated: delayed entry allows for that.
    """
    delayed = bias.estimates(cohort)["os.delayed_entry.median"]
    start = "Counting each treated patient as at risk only from the first salvage line,"
    plain = value_text(survival.estimates(cohort)["os.median"])
    if missing(delayed):
        return text(
            cohort.study,
            f"{start} no median can be estimated: {reason(delayed.method)}. Counting all from"
            f" infusion, it is {plain}.",
        )
    if delayed.value is None:
        return text(cohort.study, f"{start} the median is not reached.")
    return text(
        cohort.study,
        f"{start} the median overall survival from infusion is {value_text(delayed)}; counting all"
        f" from infusion, it is {plain}.",
        "Delayed entry is right only if the time of entry says nothing of the survival after it.",
    )
