"""Tables of the chapter on prognostic factors."""

from collections.abc import Sequence
from typing import Final

from salvage import prognosis, survival, words
from salvage.cohort import Cohort, once
from salvage.estimate import Estimate, interval_text, p_value, ratio, reason
from salvage.prognosis import Fit
from salvage.show import Absent, Table
from salvage.stats import exact
from salvage.stats.survival import ChiSquare
from salvage.tables import Shown, mark, marks

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
    return list(zip(fits, prognosis.estimates_of(cohort, fits), strict=True))


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
        return Absent(" ".join(["No factor can be tested.", *_reasons(fits)]))
    adjusted = exact.holm([e.p for _, e in pairs])
    rows = []
    for (fitted, e), holm in zip(pairs, adjusted, strict=True):
        hr, interval, p = _ratio_cells(e)
        label, numbers = fitted.labels[0], (f"{fitted.n:,}", f"{fitted.events:,}")
        rows.append((label, *numbers, hr, interval, p, NONE if holm is None else p_value(holm)))
    sizes = {fitted.events for fitted, e in pairs if e.p is not None}
    return Table(
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
            e = prognosis.hazard_ratio(cohort, id, fitted, key, fitted.labels[0])
            fits.append(fitted)
            made.append(e)
            rows.append(
                (fitted.labels[0], clock, f"{fitted.n:,}", f"{fitted.events:,}", *_ratio_cells(e))
            )
    cut = f"{cohort.study.early_relapse_months:g}"
    return Table(
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
        return Absent(f"Late and early relapse cannot be tested: {reason(made[0].method)}.")
    size = len(words.TESTS)
    pairs = zip(words.TESTS.values(), made[:size], made[size:], strict=True)
    rows = [
        (label[:1].upper() + label[1:], *(NONE if e.p is None else p_value(e.p) for e in pair))
        for label, *pair in pairs
    ]
    reasons = dict.fromkeys(reason(e.method) for e in made if e.p is None)
    return Table(
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
        mark(cohort),
    )


def model(cohort: Cohort) -> Shown:
    """The prespecified model: months to relapse and ECOG, OS from relapse, Firth's penalty."""
    fitted = prognosis.prespecified(cohort)
    if fitted.model is None:
        labels = words.listing([f"“{label}”" for label in fitted.labels])
        return Absent(f"The model of {labels} cannot be estimated: {fitted.reason}.")
    made = prognosis.prespecified_estimates(cohort, fitted)
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
        "tab-prognosis-model",
        "The one multivariable model, of two prespecified covariates."
        + prognosis.caution(fitted.events, len(fitted.keys)),
        ("Covariate", "Hazard ratio", "95% profile CI", "P"),
        rows,
        notes,
        marks(made),
    )


def proportional(cohort: Cohort) -> Shown:
    """Tests of proportional hazards of the two prespecified covariates, and the global test."""
    found = prognosis.proportionality(cohort)
    if found.tests is None:
        return Absent(f"Proportional hazards cannot be tested: {found.reason}.")
    rows = [
        (label, *_test_cells(test))
        for label, test in zip(found.labels, found.tests.terms, strict=True)
    ]
    rows.append(("Both together (global)", *_test_cells(found.tests.overall)))
    return Table(
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
        mark(cohort),
    )


def _test_cells(test: ChiSquare) -> tuple[str, str, str]:
    return f"{test.chi2:.2f}", f"{test.df}", p_value(test.p)


def sweep(cohort: Cohort) -> Table:
    """Late against early at each cut-off in use, from infusion and from relapse."""
    made = prognosis.sweep_estimates(cohort)
    cut_offs = prognosis.cut_offs(cohort)
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
        mark(cohort),
    )


def _with_interval(e: Estimate) -> str:
    hr, interval, _ = _ratio_cells(e)
    return hr if e.value is None else f"{hr} ({interval})"
