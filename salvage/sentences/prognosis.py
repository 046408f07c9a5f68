"""Computed prose of the chapter on prognostic factors."""

from typing import Final

from salvage import prognosis, survival, words
from salvage.cohort import Cohort
from salvage.estimate import Estimate, p_phrase, ratio, reason, sentence
from salvage.prognosis import Fit
from salvage.sentences import this_cohort
from salvage.show import Absent, Box, Text, answer, text
from salvage.stats import exact
from salvage.tables.prognosis import fits_from_relapse

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
    return answer(_contrast(cohort, infusion, relapse), _tests(cohort), name="answer-prognosis")


def _contrast(cohort: Cohort, infusion: Estimate, relapse: Estimate) -> str:
    if infusion.value is None and relapse.value is None:
        return (
            f"In {this_cohort(cohort)}, late relapse cannot be compared with early:"
            f" {reason(infusion.method)}."
        )
    return (
        f"In {this_cohort(cohort)}, the hazard ratio of death, late against early relapse, "
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
        return text("No factor can be tested, so there is no P-value to adjust.")
    expected = (
        f"If no factor had any effect, about {tested * LEVEL:.1f} of them would still be expected "
        f"below {LEVEL}. "
        if tested > 1
        else ""
    )
    return text(
        f"The table holds {words.count(tested, 'test')}. {expected}"
        "Each is given unadjusted, and adjusted for all of them by Holm's method."
    )


def replaced(cohort: Cohort) -> Text:
    """Which Cox models gave way to Firth's, or that none did."""
    labels = [
        fitted.labels[0]
        for fitted, _ in fits_from_relapse(cohort)
        if fitted.model is not None and fitted.model.monotone
    ]
    if not labels and not any(fitted.model for fitted, _ in fits_from_relapse(cohort)):
        return text("No Cox model of a single factor could be fitted.")
    if not labels:
        return text("Every Cox model of the table that could be fitted converged.")
    which = words.listing([f"“{label}”" for label in labels])
    one = len(labels) == 1
    return text(
        f"The Cox {'model' if one else 'models'} of {which} {'does' if one else 'do'} not "
        "converge: the likelihood rises without end. Firth's penalised model stands in "
        f"{'its' if one else 'their'} place, with a profile interval."
    )


def months_to_relapse(cohort: Cohort) -> Text | Absent:
    """Months to relapse as a continuous covariate, from both origins."""
    made = [
        prognosis.hazard_ratio(
            cohort,
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
        return Absent(f"Months to relapse cannot be studied as a number: {reason(made[0].method)}.")
    return text(
        "A cut-off throws away what lies on either side of it. As a number, the hazard ratio of "
        f"each later month of relapse was {_said(made[0])} from infusion and {_said(made[1])} from "
        "relapse. From infusion, each later month is also a month lived."
    )


def model(cohort: Cohort) -> Text | Absent:
    """The prespecified model in words: its size, and what it found."""
    fitted = prognosis.prespecified(cohort)
    if fitted.model is None:
        return Absent(f"The prespecified model cannot be estimated: {fitted.reason}.")
    made = prognosis.prespecified_estimates(cohort, fitted)
    found = words.listing(
        [
            f"{ratio(e.value)} ({p_phrase(e.p)}) for “{label}”"
            for label, e in zip(fitted.labels, made, strict=True)
        ]
    )
    return text(f"{_size(fitted)} The hazard ratios were {found}.")


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
            "Without these tests, it is not known whether the ratios hold over the whole time."
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
    return text(f"{verdict}{caution}")


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
            "No cut-off gives a contrast, so the choice of the cut-off cannot be examined."
        )
    return text(*parts)


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
