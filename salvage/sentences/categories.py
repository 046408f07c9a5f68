"""Computed prose of the six chapters on a salvage category."""

from typing import Final

from salvage import audit, response, survival, words
from salvage.cohort import Cohort
from salvage.estimate import Estimate, p_phrase, percent, sentence
from salvage.sentences import median, this_cohort
from salvage.show import Absent, Box, Text, answer, text
from salvage.stats import exact
from salvage.tables import absent_category

SMALL_GROUP: Final = 20


def category_answer(cohort: Cohort, key: str) -> Box | Absent:
    """The short answer of a category chapter: who, how many responded, for how long, how sure."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort, key, name=f"answer-{words.slug(key)}")
    orr, cr = (response.rate(cohort, m, lines, key) for m in ("orr", "cr"))
    patients = lines["patient_id"].nunique()
    outcome = survival.with_outcome(cohort)
    outcome = outcome[outcome["category"] == key]
    first = (
        f"In {this_cohort(cohort)}, {words.count(patients, 'patient')} received"
        f" {words.category_prose(key, cohort.study.labels)} in"
        f" {words.count(len(lines), 'salvage line')}. The objective response rate was"
        f" {sentence(orr)}; the complete response rate was {sentence(cr)}."
    )
    alive = survival.median(
        cohort, f"os_from_start.{key}.median", survival.from_line_start(outcome)
    )
    lasting = f"Median survival from the start of the line was {median(alive)}."
    free = survival.line_times(cohort, outcome, "pfs")
    if free is not None:
        pfs = survival.median(cohort, f"pfs.{key}.median", free)
        lasting = f"Median progression-free survival was {median(pfs)}. " + lasting
    return answer(first, lasting, _how_sure(orr), name=f"answer-{words.slug(key)}")


def _how_sure(orr: Estimate) -> str:
    if not orr.n or orr.low is None or orr.high is None:
        return ""
    width = (
        f"The data are compatible with a true response rate anywhere from {percent(orr.low, 0)} to"
        f" {percent(orr.high, 0)}."
    )
    if orr.n < SMALL_GROUP:
        return (
            f"{width} With {words.count(orr.n, 'line')}, one more or one fewer response moves the"
            f" rate by {100 / orr.n:.0f} percentage points."
        )
    return width


def first_against_later(cohort: Cohort, key: str) -> Text | Absent:
    """Response at first line and later, apart, in one sentence."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort, key)
    first, later = lines[lines["line"] == 1], lines[lines["line"] > 1]
    parts = (("the first salvage line", first), ("later salvage lines", later))
    made = [
        f"{sentence(response.rate(cohort, 'orr', part, key))} at {name}"
        for name, part in parts
        if len(part)
    ]
    absent = [f"It was not given at {name}." for name, part in parts if part.empty]
    return text(
        " ".join([f"The objective response rate was {words.listing(made)}.", *absent]),
        "Lines after the first are a selected group: only patients who lived long enough and stayed"
        " fit enough received them.",
    )


def switched_target(cohort: Cohort) -> Text | Absent:
    """Switched against same target: the exact test, and how little a small group proves."""
    lines = cohort.category("second_cart")
    if lines.empty:
        return absent_category(cohort, "second_cart")
    switched, same = (lines[lines["target_switched"] == flag] for flag in (1, 0))
    if switched.empty or same.empty:
        return Absent(
            "The cohort does not have second infusions with a switched and with the same target, so"
            " they cannot be compared."
        )
    a, n = int(response.responded(switched, "cr").sum()), len(switched)
    b, m = int(response.responded(same, "cr").sum()), len(same)
    test = exact.fisher_2x2(a, n, b, m)
    pooled = (a + b) / (n + m)
    rate = response.rate(cohort, "cr", switched, "second_cart.switched")
    by_chance = (
        f" If switching made no difference and each infusion had the pooled rate of"
        f" {percent(pooled, 0)}, a group of {n:,} would still show {a:,} or more complete"
        f" {'response' if a == 1 else 'responses'} with probability"
        f" {percent(_at_least(a, n, pooled), 0)}."
    )
    return text(
        f"Complete responses: {a:,} of {n:,} with a switched target, {b:,} of {m:,} with the same"
        f" target (Fisher's exact test, {p_phrase(test.p)})."
        f"{_other_splits(cohort, [a, n, b, m])}",
        f"The exact interval of the switched group runs from {percent(rate.low, 0)} to"
        f" {percent(rate.high, 0)}.{by_chance if a * m > b * n else ''}",
    )


def _other_splits(cohort: Cohort, own: list[int]) -> str:
    """What the other counts that print both published rates would say, if ``own`` is one of them;
    of the published study only."""
    if not cohort.study.synthetic:
        return ""
    columns = ["switched_complete", "switched_events", "other_complete", "other_events"]
    rows: list[list[int]] = audit.target_switches()[columns].to_numpy().tolist()
    told = [
        f"{a}/{n} against {b}/{m} ({p_phrase(exact.fisher_2x2(a, n, b, m).p)})"
        for a, n, b, m in rows
        if [a, n, b, m] != own
    ]
    if own not in rows or not told:
        return ""
    return (
        " The abstract prints neither group's size. The other splits that print both of its rates"
        f" are {words.listing(told)}, so it does not settle the comparison."
    )


def _at_least(events: int, n: int, rate: float) -> float:
    from scipy.stats import binom

    return float(binom.sf(events - 1, n, rate))


def intents(cohort: Cohort) -> Text | Absent:
    """For what radiotherapy was given, and how often a next line followed."""
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == "radiotherapy"]
    if lines.empty:
        return absent_category(cohort, "radiotherapy")
    if lines["intent"].isna().all():
        return Absent("The cohort does not record the intent of radiotherapy.")
    sizes = lines["intent"].value_counts()
    named = [
        f"{sizes[code]} {words.INTENTS[code].lower()}" for code in words.INTENTS if code in sizes
    ]
    followed = int(lines["next_start"].notna().sum())
    return text(
        f"Of {words.count(int(sizes.sum()), 'line')} with a recorded intent:"
        f" {words.listing(named)}. A next salvage line followed after {followed} of all"
        f" {words.count(len(lines), 'line')} of radiotherapy."
    )


def response_and_duration(cohort: Cohort, key: str = "polatuzumab") -> Text | Absent:
    """Whether a category's responses lasted: how many ended, and the median duration."""
    lines = survival.with_outcome(cohort)
    lines = lines[lines["category"] == key]
    if lines.empty:
        return absent_category(cohort, key)
    times = survival.line_times(cohort, lines, "dor")
    if times is None or times.n == 0:
        responded = response.responded(lines, "orr").any()
        return Absent(
            "No response of this category has a recorded beginning, so its duration is not known."
            if responded
            else "No line of this category responded, so there is no duration of response."
        )
    dor = survival.median(cohort, f"dor.{key}.median", times)
    orr = response.rate(cohort, "orr", lines, key)
    ended = f"Of {times.n:,} responses with a recorded beginning, {times.events or 'none'} ended"
    if times.n == 1:
        verb = "ended" if times.events else "did not end"
        ended = f"The one response with a recorded beginning {verb}"
    return text(
        f"{orr.events:,} of {words.count(orr.n or 0, 'line')} responded. {ended} by progression or"
        f" death. The median duration was {median(dor)}.",
        "A high response rate and a short duration can both be true. Duration is counted among"
        " responders only, so it says nothing of the lines that did not respond.",
    )


def regimen_mix(cohort: Cohort, key: str = "other") -> Text | Absent:
    """How mixed a category is."""
    lines = cohort.category(key)
    if lines.empty:
        return absent_category(cohort, key)
    named = lines["regimen"].dropna()
    if named.empty:
        return Absent("The cohort does not record regimens.")
    sizes = named.value_counts()
    return text(
        f"{words.count(len(lines), 'line')} of this category used"
        f" {words.count(len(sizes), 'different regimen')}; the most frequent was given in"
        f" {words.count(int(sizes.iloc[0]), 'line')}. A rate over so mixed a group describes no"
        " single drug."
        if len(sizes) > 1
        else f"All {words.count(len(named), 'line')} with a recorded regimen used the same one."
    )
