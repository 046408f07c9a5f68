"""Tables of the chapter on prognostic factors."""

from collections.abc import Sequence
from typing import Final

from salvage import words
from salvage.analysis import prognosis, survival
from salvage.analysis.estimate import Estimate
from salvage.analysis.prognosis import Fit
from salvage.cohort import Cohort, once
from salvage.cohort.study import Study
from salvage.display.show import Absent, Box, Table, Text, answer, text
from salvage.display.wording import interval_text, p_phrase, p_value, ratio, reason, sentence
from salvage.report.shared import Shown, mark, marks, this_cohort
from salvage.stats import exact
from salvage.stats.survival import ChiSquare

LEVEL: Final = 0.05
FEW_EVENTS: Final = 50

UNIVARIABLE: Final = "Each factor alone, survival from relapse"
ORIGINS: Final = "Late against early relapse, by where the clock starts"
PICTURE_NOTE: Final = "P-values are unadjusted; the table of all factors adjusts them."
ORIGIN_LABELS: Final = {
    "infusion": "From the first CAR-T infusion",
    "relapse": "From relapse",
}


def prognosis_answer(cohort: Cohort) -> Box:
    """Late against early from both origins, and how many factors pass the tests."""
    infusion = prognosis.late_against_early(cohort)
    relapse = prognosis.late_against_early_from_relapse(cohort)
    return answer(
        cohort.study,
        _contrast(cohort.study, infusion, relapse),
        _tests(cohort),
        name="answer-prognosis",
    )


def _contrast(study: Study, infusion: Estimate, relapse: Estimate) -> str:
    if infusion.value is None and relapse.value is None:
        return (
            f"In {this_cohort(study)}, late relapse cannot be compared with early:"
            f" {reason(infusion.method)}."
        )
    return (
        f"In {this_cohort(study)}, the hazard ratio of death, late against early relapse, "
        f"was {_said(infusion)} counted from infusion and {_said(relapse)} counted from "
        "relapse. Only the second is free of the time that a late relapse guarantees."
    )


def _said(e: Estimate) -> str:
    """A ratio with its interval, or why there is none."""
    return sentence(e) if e.value is not None else f"not estimable ({reason(e.method)})"


def _tests(cohort: Cohort) -> str:
    found = [e.p for _, e in fits_from_relapse(cohort)]
    tested = [p for p in found if p is not None]
    if not tested:
        return "No prognostic factor can be tested."
    small = sum(p < LEVEL for p in tested)
    kept = sum(p is not None and p < LEVEL for p in exact.holm(found))
    return (
        f"Of {words.count(len(tested), 'test')} of single factors, counted from relapse, "
        f"{small or 'none'} had an unadjusted P-value below {LEVEL}, and {kept or 'none'} after "
        "Holm's adjustment."
    )


def policy(cohort: Cohort) -> Text:
    """How many tests there are, and how many small P-values chance alone would bring."""
    tested = sum(e.p is not None for _, e in fits_from_relapse(cohort))
    if not tested:
        return text(cohort.study, "No factor can be tested, so there is no P-value to adjust.")
    expected = (
        f"If no factor had any effect, about {tested * LEVEL:.1f} of them would still be expected "
        f"below {LEVEL}. "
        if tested > 1
        else ""
    )
    return text(
        cohort.study,
        f"The table holds {words.count(tested, 'test')}. {expected}"
        "Each is given unadjusted, and adjusted for all of them by Holm's method.",
    )


def replaced(cohort: Cohort) -> Text:
    """Which Cox models gave way to Firth's, or that none did."""
    labels = [
        fitted.labels[0]
        for fitted, _ in fits_from_relapse(cohort)
        if fitted.model is not None and fitted.model.monotone
    ]
    if not labels and not any(fitted.model for fitted, _ in fits_from_relapse(cohort)):
        return text(cohort.study, "No Cox model of a single factor could be fitted.")
    if not labels:
        return text(cohort.study, "Every Cox model of the table that could be fitted converged.")
    which = words.listing([f"“{label}”" for label in labels])
    one = len(labels) == 1
    return text(
        cohort.study,
        f"The Cox {'model' if one else 'models'} of {which} {'does' if one else 'do'} not "
        "converge: the likelihood rises without end. Firth's penalised model stands in "
        f"{'its' if one else 'their'} place, with a profile interval.",
    )


def months_to_relapse(cohort: Cohort) -> Text | Absent:
    """Months to relapse as a continuous covariate, from both origins."""
    made = [
        prognosis.hazard_ratio(
            cohort.study,
            f"cox.relapse_month.{key}.hr",
            prognosis.fit(cohort, ["relapse_month"], times),
            "relapse_month",
            ORIGIN_LABELS[key],
        )
        for key, times in (
            ("infusion", survival.from_infusion(cohort)),
            ("relapse", survival.from_relapse(cohort)),
        )
    ]
    if all(e.value is None for e in made):
        return Absent(
            cohort.study,
            f"Months to relapse cannot be studied as a number: {reason(made[0].method)}.",
        )
    return text(
        cohort.study,
        "A cut-off throws away what lies on either side of it. As a number, the hazard ratio of "
        f"each later month of relapse was {_said(made[0])} from infusion and {_said(made[1])} from "
        "relapse. From infusion, each later month is also a month lived.",
    )


def model(cohort: Cohort) -> Text | Absent:
    """The prespecified model in words: its size, and what it found."""
    fitted = prognosis.prespecified(cohort)
    if fitted.model is None:
        return Absent(cohort.study, f"The prespecified model cannot be estimated: {fitted.reason}.")
    made = prognosis.prespecified_estimates(cohort.study, fitted)
    found = words.listing(
        [
            f"{ratio(e.value)} ({p_phrase(e.p)}) for “{label}”"
            for label, e in zip(fitted.labels, made, strict=True)
        ]
    )
    return text(cohort.study, f"{_size(fitted)} The hazard ratios were {found}.")


def _size(fitted: Fit) -> str:
    per = fitted.events_per_variable
    customary = prognosis.EVENTS_PER_VARIABLE
    compared = "fewer than" if fitted.sparse else "at least"
    left = (
        f" {words.count(fitted.left_out, 'patient')} without a recorded covariate "
        f"{'was' if fitted.left_out == 1 else 'were'} left out."
        if fitted.left_out
        else ""
    )
    return (
        f"The model has {words.count(fitted.events, 'death')} for {len(fitted.keys)} covariates, "
        f"{per:g} for each: {compared} the customary {customary}.{left}"
    )


def proportional(cohort: Cohort) -> Text | Absent:
    """What the tests of proportional hazards found, and how little they can find."""
    found = prognosis.proportionality(cohort)
    if found.tests is None:
        return Absent(
            cohort.study,
            "Without these tests, it is not known whether the ratios hold over the whole time.",
        )
    small = found.tests.overall.p < LEVEL
    verdict = (
        "The global test speaks against proportional hazards: the ratios are averages over time "
        "and should not be read as constant."
        if small
        else "The global test does not speak against proportional hazards."
    )
    caution = (
        f" With {words.count(found.events, 'death')}, only a strong departure would show."
        if found.events < FEW_EVENTS
        else ""
    )
    return text(cohort.study, f"{verdict}{caution}")


def sweep(cohort: Cohort) -> Text | Absent:
    """How far the contrast depends on the cut-off, from each origin."""
    parts = []
    for key, times in (
        ("infusion", survival.from_infusion(cohort)),
        ("relapse", survival.from_relapse(cohort)),
    ):
        known = prognosis.sweep(cohort, times).dropna(subset=["hr"])
        if known.empty:
            continue
        low, high = known["hr"].min(), known["hr"].max()
        below = int((known["hr"] < 1).sum())
        small = int((known["p"] < LEVEL).sum())
        parts.append(
            f"Counted from {key}, the hazard ratio was estimable at "
            f"{words.count(len(known), 'cut-off')}, {_between(low, high)}; it was "
            f"below 1 at {below or 'none'}, with an unadjusted P-value below {LEVEL} at "
            f"{small or 'none'} of them."
            if len(known) > 1
            else f"Counted from {key}, the hazard ratio was estimable at one cut-off only: "
            f"{ratio(low)}."
        )
    if not parts:
        return Absent(
            cohort.study,
            "No cut-off gives a contrast, so the choice of the cut-off cannot be examined.",
        )
    return text(cohort.study, *parts)


def _between(low: float, high: float) -> str:
    if ratio(low) == ratio(high):
        return f"{ratio(low)} at each"
    return f"from {ratio(low)} to {ratio(high)}"


def origin_rows(cohort: Cohort) -> list[tuple[Estimate, str]]:
    """Late against early from both origins, with the label of each row of the picture."""
    return [
        (prognosis.late_against_early(cohort), ORIGIN_LABELS["infusion"]),
        (prognosis.late_against_early_from_relapse(cohort), ORIGIN_LABELS["relapse"]),
    ]


NONE: Final = "–"
FIRTH: Final = "†"

P_NOTE: Final = (
    "P: unadjusted, two-sided; Wald test of a Cox model, "
    "penalised likelihood-ratio test of a Firth model."
)
FIRTH_NOTE: Final = (
    f"{FIRTH} The Cox model does not converge, because the factor orders the deaths completely. "
    "Firth's penalised model with a profile interval stands in its place."
)
WALD_NOTE: Final = "Cox models with Efron ties and Wald intervals."


@once
def fits_from_relapse(cohort: Cohort) -> list[tuple[Fit, Estimate]]:
    """Each factor alone with its estimate, OS from relapse."""
    fits = prognosis.univariable(cohort, survival.from_relapse(cohort))
    return list(zip(fits, prognosis.estimates_of(cohort.study, fits), strict=True))


def _replaced(e: Estimate) -> bool:
    return "because the Cox model does not converge" in e.method


def caution(estimates: Sequence[Estimate]) -> str:
    """The caution for models of one covariate, if there is one with an estimate."""
    sizes = {e.events or 0 for e in estimates if e.value is not None}
    return prognosis.caution(min(sizes), least=len(sizes) > 1) if sizes else ""


def _ratio_cells(e: Estimate) -> tuple[str, str, str]:
    """Hazard ratio, interval and P of an estimate; dashes where there is none."""
    if e.value is None:
        return words.NOT_ESTIMABLE, NONE, NONE
    flag = FIRTH if _replaced(e) else ""
    return f"{ratio(e.value)}{flag}", interval_text(e), p_value(e.p)


def _reasons(fits: Sequence[Fit]) -> list[str]:
    """Why models have no estimate, one note for each reason."""
    by_reason: dict[str, list[str]] = {}
    for fitted in fits:
        if fitted.model is None:
            by_reason.setdefault(fitted.reason, []).append(" and ".join(fitted.labels))
    return [
        f"Not estimable ({reason}): {'; '.join(dict.fromkeys(labels))}."
        for reason, labels in by_reason.items()
    ]


def univariable(cohort: Cohort) -> Shown:
    """Each baseline factor alone, OS from relapse: unadjusted P-values and Holm's adjustment."""
    pairs = fits_from_relapse(cohort)
    fits = [fitted for fitted, _ in pairs]
    tested = [e for _, e in pairs if e.p is not None]
    if not tested:
        return Absent(cohort.study, " ".join(["No factor can be tested.", *_reasons(fits)]))
    adjusted = exact.holm([e.p for _, e in pairs])
    rows = []
    for (fitted, e), holm in zip(pairs, adjusted, strict=True):
        hr, interval, p = _ratio_cells(e)
        label, numbers = fitted.labels[0], (f"{fitted.n:,}", f"{fitted.events:,}")
        rows.append((label, *numbers, hr, interval, p, NONE if holm is None else p_value(holm)))
    sizes = {fitted.events for fitted, e in pairs if e.p is not None}
    return Table(
        cohort.study,
        "tab-prognosis-univariable",
        f"Each factor alone: hazard ratio of death, counted from relapse. "
        f"{words.count(len(tested), 'test')}."
        + prognosis.caution(min(sizes), least=len(sizes) > 1),
        ("Factor", "Patients", "Deaths", "Hazard ratio", "95% CI", "P", "P, Holm"),
        rows,
        [
            WALD_NOTE,
            *([FIRTH_NOTE] if any(_replaced(e) for e in tested) else []),
            P_NOTE,
            f"P, Holm: adjusted for {words.count(len(tested), 'test')} by Holm's method.",
            "Patients without a value of the factor are left out of its model.",
            *_reasons(fits),
        ],
        marks([e for _, e in pairs]),
        folded=True,
    )


def origins(cohort: Cohort) -> Table:
    """Relapse timing, in two groups and as months, from infusion and from relapse."""
    clocks = {
        "First CAR-T infusion": survival.from_infusion(cohort),
        "Relapse": survival.from_relapse(cohort),
    }
    published = {
        ("late", "First CAR-T infusion"): "cox.late_vs_early.hr",
        ("late", "Relapse"): "cox.late_vs_early.from_relapse.hr",
    }
    rows, made, fits = [], [], []
    for key in ("late", "relapse_month"):
        for clock, times in clocks.items():
            fitted = prognosis.fit(cohort, [key], times)
            id = published.get((key, clock), f"cox.{key}.{clock.lower()}.hr")
            e = prognosis.hazard_ratio(cohort.study, id, fitted, key, fitted.labels[0])
            fits.append(fitted)
            made.append(e)
            rows.append(
                (fitted.labels[0], clock, f"{fitted.n:,}", f"{fitted.events:,}", *_ratio_cells(e))
            )
    cut = f"{cohort.study.early_relapse_months:g}"
    return Table(
        cohort.study,
        "tab-prognosis-origins",
        "Relapse timing by where the clock starts." + caution(made),
        ("Factor", "Clock starts at", "Patients", "Deaths", "Hazard ratio", "95% CI", "P"),
        rows,
        [
            f"Late: relapse after month {cut}. Early: at month {cut} or before.",
            WALD_NOTE,
            *([FIRTH_NOTE] if any(_replaced(e) for e in made) else []),
            P_NOTE,
            *_reasons(fits),
        ],
        marks(made),
        left=(0, 1),
    )


def contrast_tests(cohort: Cohort) -> Shown:
    """The P-value of late against early relapse by four tests, from infusion and from relapse."""
    made = prognosis.contrast_tests(cohort)
    if all(e.p is None for e in made):
        return Absent(
            cohort.study, f"Late and early relapse cannot be tested: {reason(made[0].method)}."
        )
    size = len(words.TESTS)
    pairs = zip(words.TESTS.values(), made[:size], made[size:], strict=True)
    rows = [
        (label[:1].upper() + label[1:], *(NONE if e.p is None else p_value(e.p) for e in pair))
        for label, *pair in pairs
    ]
    reasons = dict.fromkeys(reason(e.method) for e in made if e.p is None)
    return Table(
        cohort.study,
        "tab-prognosis-tests",
        "Late against early relapse: the P-value by four tests." + caution(made),
        ("Test", "P, from infusion", "P, from relapse"),
        rows,
        [
            "Two-sided and unadjusted: four answers to one question, not four questions. The first "
            "three are of the Cox model; its score test and the log-rank test differ only where "
            "deaths are tied.",
            *(f"A dash where not estimable: {why}." for why in reasons),
        ],
        mark(cohort.study),
    )


def model_table(cohort: Cohort) -> Shown:
    """The prespecified model: months to relapse and ECOG, OS from relapse, Firth's penalty."""
    fitted = prognosis.prespecified(cohort)
    if fitted.model is None:
        labels = words.listing([f"“{label}”" for label in fitted.labels])
        return Absent(cohort.study, f"The model of {labels} cannot be estimated: {fitted.reason}.")
    made = prognosis.prespecified_estimates(cohort.study, fitted)
    rows = [(label, *_ratio_cells(e)) for label, e in zip(fitted.labels, made, strict=True)]
    notes = [
        f"{words.count(fitted.n, 'patient')}, {words.count(fitted.events, 'death')}; "
        "survival from relapse.",
        "Firth's penalised Cox model with Breslow ties, profile intervals and penalised "
        "likelihood-ratio tests. P-values are unadjusted.",
    ]
    if fitted.left_out:
        left = words.count(fitted.left_out, "patient")
        notes.append(f"{left} left out because a covariate is not recorded.")
    if any(e.low is None or e.high is None for e in made):
        notes.append("A limit that is not estimable: the profile has no end on that side.")
    return Table(
        cohort.study,
        "tab-prognosis-model",
        "The one multivariable model, of two prespecified covariates."
        + prognosis.caution(fitted.events, len(fitted.keys)),
        ("Covariate", "Hazard ratio", "95% profile CI", "P"),
        rows,
        notes,
        marks(made),
    )


def proportional_table(cohort: Cohort) -> Shown:
    """Tests of proportional hazards of the two prespecified covariates, and the global test."""
    found = prognosis.proportionality(cohort)
    if found.tests is None:
        return Absent(cohort.study, f"Proportional hazards cannot be tested: {found.reason}.")
    rows = [
        (label, *_test_cells(test))
        for label, test in zip(found.labels, found.tests.terms, strict=True)
    ]
    rows.append(("Both together (global)", *_test_cells(found.tests.overall)))
    return Table(
        cohort.study,
        "tab-prognosis-proportional",
        f"Tests of proportional hazards: {words.count(found.n, 'patient')}, "
        f"{words.count(found.events, 'death')}.",
        ("Covariate", "Chi-squared", "Degrees of freedom", "P"),
        rows,
        (
            "Grambsch and Therneau's score test on the Kaplan-Meier time scale (R's cox.zph), in "
            "an ordinary Cox model of the same two covariates, survival from relapse.",
            "P-values are unadjusted.",
        ),
        mark(cohort.study),
    )


def _test_cells(test: ChiSquare) -> tuple[str, str, str]:
    return f"{test.chi2:.2f}", f"{test.df}", p_value(test.p)


def sweep_table(cohort: Cohort) -> Table:
    """Late against early at each cut-off in use, from infusion and from relapse."""
    made = prognosis.sweep_estimates(cohort)
    cut_offs = prognosis.cut_offs(cohort.study)
    size = len(cut_offs)
    pairs = zip(cut_offs, made[:size], made[size:], strict=True)
    relapse = cohort.patients["relapse_month"]
    rows = []
    for cut, infusion, after in pairs:
        late = int((relapse > cut).sum())
        cells = [
            cell
            for e in (infusion, after)
            for cell in (_with_interval(e), p_value(e.p) if e.p is not None else NONE)
        ]
        own = " (this book)" if cut == cohort.study.early_relapse_months else ""
        rows.append((f"{cut:g}{own}", f"{len(relapse) - late:,}", f"{late:,}", *cells))
    return Table(
        cohort.study,
        "tab-prognosis-sweep",
        "Late against early relapse at each cut-off in use: hazard ratio of death." + caution(made),
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
            *([FIRTH_NOTE] if any(_replaced(e) for e in made) else []),
            *(
                ["Not estimable: one group has no patient, or the deaths hold no information."]
                if any(e.value is None for e in made)
                else []
            ),
            "The rows use the same patients, so they are not independent. P-values are unadjusted.",
        ],
        mark(cohort.study),
    )


def _with_interval(e: Estimate) -> str:
    hr, interval, _ = _ratio_cells(e)
    return hr if e.value is None else f"{hr} ({interval})"
