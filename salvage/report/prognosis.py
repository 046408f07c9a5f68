"""The chapter on prognostic factors."""

from collections.abc import Iterable
from typing import Final

from salvage import words
from salvage.analysis import least, prognosis
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import own_mark
from salvage.cohort import Cohort
from salvage.cohort.study import Study
from salvage.display import figures, show
from salvage.display.show import Absent, Box, Figure, Table, Text, text
from salvage.display.wording import p_phrase, p_value, ratio, reason, sentence
from salvage.report.shared import (
    Shown,
    marks,
    not_estimable,
    paragraph,
    ratio_cells,
    this_cohort,
)
from salvage.stats import exact
from salvage.stats.survival import ChiSquare

LEVEL: Final = 0.05
FEW_EVENTS: Final = 50
NONE: Final = "–"
FIRTH: Final = "†"
FIRTH_NOTE: Final = (
    f"{FIRTH} The Cox model does not converge, because the factor orders the deaths completely. "
    "Firth's penalised model with a profile interval stands in its place."
)
WALD_NOTE: Final = "Cox models with Efron ties and Wald intervals."
P_NOTE: Final = (
    "P: unadjusted, two-sided; Wald test of a Cox model, "
    "penalised likelihood-ratio test of a Firth model."
)
#: Origins of ``prognosis.LATE``, as prose names them.
ORIGINS: Final = {"infusion": "os", "relapse": "os.from_relapse"}


def answer(cohort: Cohort) -> Box:
    """Late against early from both origins, and how many factors pass the tests."""
    return show.answer(
        cohort.study,
        _contrast(cohort.study, *_late_against_early(cohort)),
        _tests(cohort),
        name="answer-prognosis",
    )


def _late_against_early(cohort: Cohort) -> list[Estimate]:
    """The contrast counted from infusion and from relapse."""
    return [prognosis.estimates(cohort)[id] for id, _ in prognosis.LATE.values()]


def _contrast(study: Study, infusion: Estimate, relapse: Estimate) -> str:
    if infusion.value is None and relapse.value is None:
        return (
            f"In {this_cohort(study)}, late relapse cannot be compared with early:"
            f" {reason(infusion.method)}."
        )
    return (
        f"In {this_cohort(study)}, the hazard ratio of death, late against early relapse, "
        f"was {_ratio_or_reason(infusion)} counted from infusion and {_ratio_or_reason(relapse)}"
        " counted from relapse. Only the second is free of the time that a late relapse guarantees."
    )


def _ratio_or_reason(e: Estimate) -> str:
    """A ratio with its interval, or why there is none."""
    return sentence(e) if e.value is not None else f"not estimable ({reason(e.method)})"


def _tests(cohort: Cohort) -> str:
    p_values = [e.p for e in _factors_alone(cohort).values()]
    tested = [p for p in p_values if p is not None]
    if not tested:
        return "No prognostic factor can be tested."
    small = sum(p < LEVEL for p in tested)
    adjusted = sum(p is not None and p < LEVEL for p in exact.holm(p_values))
    return (
        f"Of {words.count(len(tested), 'test')} of single factors, counted from relapse, "
        f"{small or 'none'} had an unadjusted P-value below {LEVEL}, and {adjusted or 'none'} "
        "after Holm's adjustment."
    )


def _factors_alone(cohort: Cohort) -> dict[str, Estimate]:
    """The ratio of each factor alone, OS from relapse, by the label of the factor."""
    by_id = prognosis.estimates(cohort)
    return {
        fitted.labels[0]: by_id[f"cox.univariable.{fitted.keys[0]}.hr"]
        for fitted in prognosis.univariable(cohort)
    }


def contrast_forest(cohort: Cohort) -> Figure | Absent:
    """Late against early relapse from both origins."""
    return figures.cox_forest(
        cohort.study,
        [
            figures.row_of(e, label)
            for e, label in zip(
                _late_against_early(cohort),
                ("From the first CAR-T infusion", "From relapse"),
                strict=True,
            )
        ],
        "fig-prognosis-origins",
        "Late against early relapse, by where the clock starts",
    )


def origins(cohort: Cohort) -> Table:
    """Relapse timing, in two groups and as months, from infusion and from relapse."""
    rows = [
        (label, clock, e)
        for label, contrasts in (
            (words.FACTORS["late"], _late_against_early(cohort)),
            (prognosis.month_from_infusion(cohort).label, _per_month(cohort)),
        )
        for clock, e in zip(("First CAR-T infusion", "Relapse"), contrasts, strict=True)
    ]
    estimates = [e for _, _, e in rows]
    cut = f"{cohort.study.early_relapse_months:g}"
    return Table(
        cohort.study,
        "tab-prognosis-origins",
        "Relapse timing by where the clock starts.",
        ("Factor", "Clock starts at", "Patients", "Deaths", "Hazard ratio", "95% CI", "P"),
        [(label, clock, *_sizes(e), *_cells(e)) for label, clock, e in rows],
        [
            f"Late: relapse after month {cut}. Early: at month {cut} or before.",
            WALD_NOTE,
            *_firth_note(estimates),
            P_NOTE,
            *not_estimable((label, e) for label, _, e in rows),
        ],
        marks(estimates),
        left=(0, 1),
    )


def _per_month(cohort: Cohort) -> list[Estimate]:
    """Months to relapse as a number, from infusion and from relapse."""
    alone = prognosis.estimates(cohort)["cox.univariable.relapse_month.hr"]
    return [prognosis.month_from_infusion(cohort), alone]


def _sizes(e: Estimate) -> tuple[str, str]:
    return f"{e.n:,}", f"{e.events:,}"


def _cells(e: Estimate) -> tuple[str, str, str]:
    """Hazard ratio, interval and P; a ratio of Firth's model in place of Cox's is marked."""
    hr, interval, p = ratio_cells(e)
    return f"{hr}{FIRTH}" if _replaced(e) else hr, interval, p


def _replaced(e: Estimate) -> bool:
    """Whether Firth's model stands in the place of a Cox model."""
    return "because the Cox model does not converge" in e.method


def _firth_note(estimates: Iterable[Estimate]) -> list[str]:
    return [FIRTH_NOTE] if any(map(_replaced, estimates)) else []


def contrast_tests(cohort: Cohort) -> Shown:
    """The P-value of late against early relapse by four tests, from infusion and from relapse."""
    by_id = prognosis.estimates(cohort)
    rows = {
        label: [by_id[f"cox.late_vs_early{suffix}.{key}.p"] for suffix in ("", ".from_relapse")]
        for key, label in words.TESTS.items()
    }
    tests = [test for pair in zip(*rows.values(), strict=True) for test in pair]
    if all(test.p is None for test in tests):
        return Absent(
            cohort.study, f"Late and early relapse cannot be tested: {reason(tests[0].method)}."
        )
    reasons = dict.fromkeys(reason(test.method) for test in tests if test.p is None)
    return Table(
        cohort.study,
        "tab-prognosis-tests",
        "Late against early relapse: the P-value by four tests.",
        ("Test", "P, from infusion", "P, from relapse"),
        [
            (words.capital(label), *(NONE if e.p is None else p_value(e.p) for e in pair))
            for label, pair in rows.items()
        ],
        [
            "Two-sided and unadjusted: four answers to one question, not four questions. The first "
            "three are of the Cox model; its score test and the log-rank test differ only where "
            "deaths are tied.",
            *(f"A dash where not estimable: {why}." for why in reasons),
        ],
        own_mark(cohort.study),
    )


def months_to_relapse(cohort: Cohort) -> Text | Absent:
    """Months to relapse as a continuous covariate, from both origins."""
    infusion, relapse = _per_month(cohort)
    if infusion.value is None and relapse.value is None:
        return Absent(
            cohort.study,
            f"Months to relapse cannot be studied as a number: {reason(infusion.method)}.",
        )
    return text(
        cohort.study,
        "A cut-off throws away what lies on either side of it. As a number, the hazard ratio of a "
        f"relapse {words.months(prognosis.relapse_unit(cohort))} later was"
        f" {_ratio_or_reason(infusion)} from infusion and {_ratio_or_reason(relapse)} from relapse."
        " From infusion, each later month is also a month lived.",
    )


# --- each factor alone ----------------------------------------------------------------------------


def policy(cohort: Cohort) -> Text:
    """How many tests there are, and how many small P-values chance alone would bring."""
    tested = sum(e.p is not None for e in _factors_alone(cohort).values())
    if not tested:
        return text(cohort.study, "No factor can be tested, so there is no P-value to adjust.")
    by_chance = (
        f"If no factor had any effect, about {tested * LEVEL:.1f} of them would still be expected "
        f"below {LEVEL}."
    )
    return text(
        cohort.study,
        paragraph(
            f"The table holds {words.count(tested, 'test')}.",
            by_chance if tested > 1 else "",
            "Each is given unadjusted, and adjusted for all of them by Holm's method.",
        ),
    )


def univariable_forest(cohort: Cohort) -> Figure | Absent:
    """Each baseline factor alone, OS from relapse."""
    return figures.cox_forest(
        cohort.study,
        [figures.row_of(e, label) for label, e in _factors_alone(cohort).items()],
        "fig-prognosis-univariable",
        "Each factor alone, survival from relapse",
        note="P-values are unadjusted; the table of all factors adjusts them.",
    )


def univariable(cohort: Cohort) -> Shown:
    """Each baseline factor alone, OS from relapse: unadjusted P-values and Holm's adjustment."""
    factors = _factors_alone(cohort)
    tested = [e for e in factors.values() if e.p is not None]
    reasons = not_estimable(factors.items())
    if not tested:
        return Absent(cohort.study, paragraph("No factor can be tested.", *reasons))
    adjusted = exact.holm([e.p for e in factors.values()])
    tests = words.count(len(tested), "test")
    return Table(
        cohort.study,
        "tab-prognosis-univariable",
        f"Each factor alone: hazard ratio of death, counted from relapse. {tests}.",
        ("Factor", "Patients", "Deaths", "Hazard ratio", "95% CI", "P", "P, Holm"),
        [
            (label, *_sizes(e), *_cells(e), NONE if holm is None else p_value(holm))
            for (label, e), holm in zip(factors.items(), adjusted, strict=True)
        ],
        [
            WALD_NOTE,
            *_firth_note(tested),
            P_NOTE,
            f"P, Holm: adjusted for {tests} by Holm's method.",
            "Patients without a value of the factor are left out of its model.",
            *_not_evaluable(cohort),
            *reasons,
        ],
        marks([*factors.values()]),
        folded=True,
    )


def _not_evaluable(cohort: Cohort) -> list[str]:
    """How many patients the response to the first CAR-T leaves out, not being evaluable."""
    number = int((cohort.patients["cart_best_response"] == "NE").sum())
    if not number:
        return []
    patients = words.count(number, "patient")
    return [f"The response to the first CAR-T was not evaluable in {patients}, left out there."]


def replaced(cohort: Cohort) -> Text:
    """Which Cox models gave way to Firth's, or that none did."""
    fitted = {label: e for label, e in _factors_alone(cohort).items() if e.value is not None}
    labels = [f"“{label}”" for label, e in fitted.items() if _replaced(e)]
    if not fitted:
        return text(cohort.study, "No Cox model of a single factor could be fitted.")
    if not labels:
        return text(cohort.study, "Every Cox model of the table that could be fitted converged.")
    if len(labels) == 1:
        return text(
            cohort.study,
            f"The Cox model of {labels[0]} does not converge: the likelihood rises without end."
            " Firth's penalised model stands in its place, with a profile interval.",
        )
    return text(
        cohort.study,
        f"The Cox models of {words.listing(labels)} do not converge: the likelihood rises without"
        " end. Firth's penalised model stands in their place, with a profile interval.",
    )


# --- two covariates together ----------------------------------------------------------------------


def _covariates(cohort: Cohort) -> dict[str, Estimate]:
    """The ratios of the model of two covariates by the label of the covariate."""
    fitted, by_id = prognosis.prespecified(cohort), prognosis.estimates(cohort)
    return {
        label: by_id[f"cox.prespecified.{key}.hr"]
        for key, label in zip(fitted.keys, fitted.labels, strict=True)
    }


def model_table(cohort: Cohort) -> Shown:
    """The model of two covariates: months to relapse and ECOG, OS from relapse, Firth's penalty."""
    fitted, covariates = prognosis.prespecified(cohort), _covariates(cohort)
    if fitted.model is None:
        labels = words.listing([f"“{label}”" for label in fitted.labels])
        return Absent(cohort.study, f"The model of {labels} cannot be estimated: {fitted.reason}.")
    notes = [
        f"{words.count(fitted.n, 'patient')}, {words.count(fitted.events, 'death')}; "
        "survival from relapse.",
        "Firth's penalised Cox model with Breslow ties, profile intervals and penalised "
        "likelihood-ratio tests. P-values are unadjusted.",
    ]
    if fitted.left_out:
        left_out = words.count(fitted.left_out, "patient")
        notes.append(f"{left_out} left out because a covariate is not recorded.")
    if any(e.low is None or e.high is None for e in covariates.values()):
        notes.append("A limit that is not estimable: the profile has no end on that side.")
    return Table(
        cohort.study,
        "tab-prognosis-model",
        "The one multivariable model: two covariates, the same for every cohort.",
        ("Covariate", "Hazard ratio", "95% profile CI", "P"),
        [(label, *_cells(e)) for label, e in covariates.items()],
        notes,
        marks([*covariates.values()]),
    )


def model(cohort: Cohort) -> Text | Absent:
    """The model of two covariates in words: its size, and what it found."""
    fitted = prognosis.prespecified(cohort)
    if fitted.model is None:
        return Absent(
            cohort.study, f"The model of two covariates cannot be estimated: {fitted.reason}."
        )
    left_out = (
        "1 patient without a recorded covariate was left out."
        if fitted.left_out == 1
        else f"{fitted.left_out:,} patients without a recorded covariate were left out."
    )
    ratios = [
        f"{ratio(e.value)} ({p_phrase(e.p)}) for “{label}”"
        for label, e in _covariates(cohort).items()
    ]
    return text(
        cohort.study,
        paragraph(
            f"The model has {words.count(fitted.events, 'death')} for {len(fitted.keys)}"
            f" covariates, at least {least.EVENTS} for each.",
            left_out if fitted.left_out else "",
            f"The hazard ratios were {words.listing(ratios)}.",
        ),
    )


def proportional_table(cohort: Cohort) -> Shown:
    """Tests of proportional hazards of the two covariates, and the global test."""
    hazards = prognosis.proportionality(cohort)
    if hazards.tests is None:
        return Absent(cohort.study, f"Proportional hazards cannot be tested: {hazards.reason}.")
    labels = (*hazards.labels, "Both together (global)")
    tests = (*hazards.tests.terms, hazards.tests.overall)
    return Table(
        cohort.study,
        "tab-prognosis-proportional",
        f"Tests of proportional hazards: {words.count(hazards.n, 'patient')}, "
        f"{words.count(hazards.events, 'death')}.",
        ("Covariate", "Chi-squared", "Degrees of freedom", "P"),
        [(label, *_test_cells(test)) for label, test in zip(labels, tests, strict=True)],
        (
            "Grambsch and Therneau's score test on the Kaplan-Meier time scale (R's cox.zph), in "
            "an ordinary Cox model of the same two covariates, survival from relapse.",
            "P-values are unadjusted.",
        ),
        own_mark(cohort.study),
    )


def _test_cells(test: ChiSquare) -> tuple[str, str, str]:
    return f"{test.chi2:.2f}", f"{test.df}", p_value(test.p)


def proportional(cohort: Cohort) -> Text | Absent:
    """What the tests of proportional hazards found, and how little they can find."""
    hazards = prognosis.proportionality(cohort)
    if hazards.tests is None:
        return Absent(
            cohort.study,
            "Without these tests, it is not known whether the ratios hold over the whole time.",
        )
    against = (
        "The global test speaks against proportional hazards: the ratios are averages over time "
        "and should not be read as constant."
    )
    not_against = "The global test does not speak against proportional hazards."
    weak = f"With {words.count(hazards.events, 'death')}, only a strong departure would show."
    return text(
        cohort.study,
        paragraph(
            against if hazards.tests.overall.p < LEVEL else not_against,
            weak if hazards.events < FEW_EVENTS else "",
        ),
    )


# --- every cut-off --------------------------------------------------------------------------------


def sweep_forest(cohort: Cohort, origin: str) -> Figure | Absent:
    """Late against early at each cut-off, from ``infusion`` or from ``relapse``."""
    return figures.sweep_forest(
        cohort,
        prognosis.sweep(cohort, ORIGINS[origin]),
        f"survival from {origin}",
        f"fig-prognosis-sweep-{origin}",
    )


def sweep_table(cohort: Cohort) -> Table:
    """Late against early at each cut-off in use, from infusion and from relapse."""
    infusion, relapse = (prognosis.sweep(cohort, origin) for origin in ORIGINS.values())
    rows = []
    for cut in infusion:
        late = int((cohort.patients["relapse_month"] > cut).sum())
        own = " (this book)" if cut == cohort.study.early_relapse_months else ""
        sizes = f"{len(cohort.patients) - late:,}", f"{late:,}"
        contrasts = *_ratio_and_p(infusion[cut]), *_ratio_and_p(relapse[cut])
        rows.append((f"{cut:g}{own}", *sizes, *contrasts))
    estimates = [*infusion.values(), *relapse.values()]
    return Table(
        cohort.study,
        "tab-prognosis-sweep",
        "Late against early relapse at each cut-off in use: hazard ratio of death.",
        (
            "Cut-off, months",
            "Early, patients",
            "Late, patients",
            "From infusion: HR (95% CI)",
            "P",
            "From relapse: HR (95% CI)",
            "P",
        ),
        rows,
        [
            WALD_NOTE,
            *_firth_note(estimates),
            *not_estimable(
                (f"month {cut:g}", e) for by_cut in (infusion, relapse) for cut, e in by_cut.items()
            ),
            "The rows use the same patients, so they are not independent. P-values are unadjusted.",
        ],
        own_mark(cohort.study),
    )


def _ratio_and_p(e: Estimate) -> tuple[str, str]:
    """The ratio with its interval in one cell, and P."""
    hr, interval, p = _cells(e)
    return hr if e.value is None else f"{hr} ({interval})", p


def sweep(cohort: Cohort) -> Text | Absent:
    """How far the contrast depends on the cut-off, from each origin."""
    paragraphs = [
        _spread([*prognosis.sweep(cohort, key).values()], origin) for origin, key in ORIGINS.items()
    ]
    if not any(paragraphs):
        return Absent(
            cohort.study,
            "No cut-off gives a contrast, so the choice of the cut-off cannot be examined.",
        )
    return text(cohort.study, *paragraphs)


def _spread(contrasts: list[Estimate], origin: str) -> str:
    """How the ratio varies over the cut-offs; empty where no cut-off gives one."""
    ratios = [e.value for e in contrasts if e.value is not None]
    if not ratios:
        return ""
    low, high = ratio(min(ratios)), ratio(max(ratios))
    if len(ratios) == 1:
        return f"Counted from {origin}, the hazard ratio was estimable at one cut-off only: {low}."
    values = f"{low} at each" if low == high else f"from {low} to {high}"
    below = sum(hr < 1 for hr in ratios)
    small = sum(e.p is not None and e.p < LEVEL for e in contrasts)
    return (
        f"Counted from {origin}, the hazard ratio was estimable at "
        f"{words.count(len(ratios), 'cut-off')}, {values}; it was "
        f"below 1 at {below or 'none'}, with an unadjusted P-value below {LEVEL} at "
        f"{small or 'none'} of them."
    )
