"""Times to events: survival of patients and durations of salvage lines."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import least
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS, RESPONSE
from salvage.cohort.study import Study
from salvage.stats import survival as km

FIXED_MONTHS: Final = (3, 6, 12)
LOG_LOG: Final = "Kaplan-Meier, log-log interval"
REVERSE: Final = "reverse Kaplan-Meier, log-log interval"
BEYOND: Final = "beyond the last observation, while the curve is above 0"
NO_EVENT: Final = "no limits before the first event"
NO_HORIZON: Final = (
    f"no whole month at which a tenth and at least {least.AT_RISK} patients are at risk from every "
    "origin"
)


@dataclass(frozen=True)
class Times:
    """Durations, one element each: ``time`` in months, whether it ended in the ``event``, and the
    ``patient`` whose it is; arrays of shape (n,).
    """

    label: str
    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    patient: NDArray[np.object_]

    @property
    def n(self) -> int:
        """Number of durations."""
        return len(self.time)

    @property
    def events(self) -> int:
        """Number of events."""
        return int(self.event.sum())

    @property
    def patients(self) -> int:
        """Number of different patients; fewer than ``n`` where patients repeat."""
        return len(pd.unique(self.patient))

    @once
    def curve(self) -> "km.KM | None":
        """The Kaplan-Meier curve, or ``None`` without any duration."""
        return km.kaplan_meier(self.time, self.event) if self.n else None


def _times(
    label: str, frame: pd.DataFrame, start: pd.Series, end: pd.Series, event: pd.Series
) -> Times:
    return Times(
        label,
        (end - start).to_numpy(dtype=float),
        event.to_numpy(dtype=bool),
        frame["patient_id"].to_numpy(dtype=object),
    )


# --- patients -------------------------------------------------------------------------------------


def from_infusion(cohort: Cohort) -> Times:
    """Overall survival of each patient, shape (patients,), as the study counts it: months from the
    first CAR-T infusion to death or last contact.
    """
    patients = cohort.patients
    return _times(
        "OS from CAR-T infusion",
        patients,
        0 * patients["os_month"],
        patients["os_month"],
        patients["died"],
    )


def from_relapse(cohort: Cohort) -> Times:
    """Overall survival of each patient, shape (patients,): months from progression or relapse after
    the first CAR-T to death or last contact.
    """
    patients = cohort.patients
    return _times(
        "OS from relapse",
        patients,
        patients["relapse_month"],
        patients["os_month"],
        patients["died"],
    )


def from_first_salvage(cohort: Cohort) -> Times:
    """Overall survival of each treated patient, shape (treated,): months from the start of the
    first salvage line to death or last contact.
    """
    patients = cohort.treated
    return _times(
        "OS from first salvage",
        patients,
        guarantee_time(cohort),
        patients["os_month"],
        patients["died"],
    )


# --- lines ----------------------------------------------------------------------------------------


def with_outcome(cohort: Cohort) -> pd.DataFrame:
    """Salvage lines with ``relapse_month`` and ``os_month`` (months from infusion) and ``died`` of
    their patient, and ``next_start``, the month in which the patient's next line began.
    """
    return _with_outcome(cohort).copy(deep=False)


@once
def _with_outcome(cohort: Cohort) -> pd.DataFrame:
    owners = cohort.owners
    outcome = {
        column: cohort.patients[column].to_numpy()[owners]
        for column in ("relapse_month", "os_month", "died")
    }
    following = cohort.salvage["start_month"].groupby(owners).shift(-1)
    return cohort.salvage.assign(**outcome, next_start=following)


def response_duration(lines: pd.DataFrame, new_treatment_is_event: bool = False) -> Times:
    """DOR: months from the first CR or PR to progression or death.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.
    new_treatment_is_event
        Whether a new treatment ends the response, or else censors it.

    Returns
    -------
    One duration per response whose month is known. A recorded end counts with its reason; a blank
    reason is the event recorded in the same month, else progression. Where no end is recorded, the
    first of progression, next line, and death or last contact is the end. A response first seen
    after the next line began is censored at once.
    """
    held = lines[lines["best_response"].isin(RESPONSE) & lines["response_month"].notna()]
    # Progression before the response (pseudo-progression) did not end it.
    progressed = held["progression_month"].where(
        held["progression_month"] >= held["response_month"]
    )
    end = held["response_end_month"]
    reason = held["response_end_reason"].astype(object)
    at_last = np.where(held["died"], "death", "ongoing")
    by_month = np.select(
        [end == progressed, end == held["next_start"], end == held["os_month"]],
        ["progression", "new_treatment", at_last],
        "progression",
    )
    without_end = np.where(progressed.notna(), "progression", at_last)
    reason = reason.fillna(pd.Series(by_month, index=held.index))
    reason = reason.mask(end.isna(), pd.Series(without_end, index=held.index))
    end = end.fillna(progressed).fillna(held["os_month"])
    changed = held["next_start"] < end
    end = end.mask(changed, held["next_start"]).clip(lower=held["response_month"])
    reason = reason.mask(changed, "new_treatment")
    events = ["progression", "death"] + ["new_treatment"] * new_treatment_is_event
    return _times(words.DURATIONS["dor"], held, held["response_month"], end, reason.isin(events))


def progression_free(lines: pd.DataFrame) -> Times:
    """PFS of each line: months from its start to progression or death.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.

    Returns
    -------
    Shape (lines,), censored at last contact.
    """
    end = lines["progression_month"].fillna(lines["os_month"])
    event = lines["progression_month"].notna() | lines["died"]
    return _times(words.DURATIONS["pfs"], lines, lines["start_month"], end, event)


def to_next_treatment(lines: pd.DataFrame) -> Times:
    """TTNT of each line: months from its start to the next line's start or death.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.

    Returns
    -------
    Shape (lines,), censored at last contact.
    """
    end = lines["next_start"].fillna(lines["os_month"])
    event = lines["next_start"].notna() | lines["died"]
    return _times(words.DURATIONS["ttnt"], lines, lines["start_month"], end, event)


def from_line_start(lines: pd.DataFrame) -> Times:
    """Overall survival from the start of each line in months.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.

    Returns
    -------
    Shape (lines,): a patient counts once for each line.
    """
    return _times(
        words.DURATIONS["os_from_start"],
        lines,
        lines["start_month"],
        lines["os_month"],
        lines["died"],
    )


def line_times(cohort: Cohort, lines: pd.DataFrame, duration: str) -> Times | None:
    """One of the four durations of lines.

    Parameters
    ----------
    cohort
        Which says what is recorded.
    lines
        Of :func:`with_outcome`, all or some.
    duration
        ``dor``, ``pfs``, ``ttnt`` or ``os_from_start``.

    Returns
    -------
    Durations in months; ``None`` where no response of the cohort has its month, or no line has a
    progression.
    """
    if duration == "dor":
        return response_duration(lines) if cohort.has("salvage", "response_month") else None
    if duration == "pfs":
        return progression_free(lines) if cohort.has("salvage", "progression_month") else None
    return to_next_treatment(lines) if duration == "ttnt" else from_line_start(lines)


# --- estimates ------------------------------------------------------------------------------------


def median(study: Study, id: str, times: Times | None, label: str = "") -> Estimate:
    """Kaplan-Meier median.

    Parameters
    ----------
    study, id
        Of the estimate.
    times
        ``None`` where the cohort does not record them.
    label
        Of the estimate, in place of the one that ``times`` have.

    Returns
    -------
    Months with the log-log interval; without a value where there is no duration, where it is not
    reached, or where it would rest on too few.

    Method: as R prints ``survfit(..., conf.type = "log-log")``.
    """
    if times is None:
        method = "not recorded in this cohort"
        return estimate(study, id, label or id, None, n=0, events=0, unit="months", method=method)
    return median_of(study, id, label or f"Median {times.label}", times.curve(), times.patients)


def median_of(
    study: Study,
    id: str,
    label: str,
    curve: "km.KM | None",
    patients: int,
    method: str = LOG_LOG,
) -> Estimate:
    """The median of a curve.

    Parameters
    ----------
    study, id, label, method
        Of the estimate.
    curve
        ``None`` without any duration.
    patients
        How many different ones the curve is of.

    Returns
    -------
    As :func:`median`. A curve that stays above one half has no median whatever its size; one that
    rests on fewer than :data:`least.MEDIAN_PATIENTS` or :data:`least.MEDIAN_EVENTS` gives neither
    median nor limits.
    """
    value, low, high = curve.median if curve is not None else (None, None, None)
    n, events = (curve.n, curve.events) if curve is not None else (0, 0)
    few = least.below(patients, least.MEDIAN_PATIENTS, "patient") or least.below(
        events, least.MEDIAN_EVENTS, "event"
    )
    if n and value is None:
        method = f"{method}; {words.NOT_REACHED}"
    elif few:
        method = f"{words.NOT_ESTIMABLE}: {few}"
    if few:
        value = low = high = None
    return estimate(
        study, id, label, value, (low, high), n=n, events=events, unit="months", method=method
    )


def at_month(study: Study, id: str, times: Times, month: float) -> Estimate:
    """Survival at a month.

    Parameters
    ----------
    study, id
        Of the estimate.
    times
        Durations in months.
    month
        From their origin.

    Returns
    -------
    A probability with its log-log interval: without limits before the first event, and without a
    value beyond the last observation while the curve is above 0.

    Method: as R prints ``summary(fit, times)``.
    """
    curve = times.curve()
    value, low, high, beyond = curve.at(month) if curve else (None, None, None, False)
    method = LOG_LOG
    if value == 1:
        low = high = None
        method = f"{LOG_LOG}; {NO_EVENT}"
    if beyond and value:
        value = low = high = None
        method = f"{words.NOT_ESTIMABLE}: {BEYOND}"
    return estimate(
        study,
        id,
        f"{times.label}: survival at {words.months(month)}",
        value,
        (low, high),
        n=times.n,
        events=times.events,
        unit="probability",
        method=method,
    )


def follow_up_observed(cohort: Cohort) -> Estimate:
    """Median of the observed times in months, dead or alive: what a median follow-up often means in
    print.
    """
    months = cohort.patients["os_month"]
    return estimate(
        cohort.study,
        "followup.observed.median",
        "Median observed time",
        float(months.median()),
        n=len(months),
        unit="months",
        method="median of observed times",
    )


def follow_up_reverse(cohort: Cohort) -> Estimate:
    """Median follow-up in months by reverse Kaplan-Meier: death censors.

    Method: Schemper and Smith 1996.
    """
    times = from_infusion(cohort)
    return median_of(
        cohort.study,
        "followup.reverse_km.median",
        "Median follow-up, reverse Kaplan-Meier",
        km.reverse_kaplan_meier(times.time, times.event),
        times.patients,
        REVERSE,
    )


@once
def origins(cohort: Cohort) -> dict[str, Times]:
    """Overall survival from each time origin in months, by the beginning of its estimates' ids."""
    return {
        "os": from_infusion(cohort),
        "os.from_relapse": from_relapse(cohort),
        "os.from_salvage": from_first_salvage(cohort),
    }


def horizon(cohort: Cohort) -> float | None:
    """The last whole month, 1 or later, at which a tenth and at least :data:`least.AT_RISK`
    patients are at risk from every origin; ``None`` without one."""
    last = np.inf
    for times in origins(cohort).values():
        needed = max(least.AT_RISK, int(np.ceil(least.AT_RISK_SHARE * times.n)))
        # So many are at risk until one fewer would be: they leave in the order of their times.
        last = min(last, np.sort(times.time)[-needed]) if times.n >= needed else 0.0
    return float(np.floor(last + 1e-9)) or None


def restricted_mean(study: Study, id: str, times: Times, month: float | None) -> Estimate:
    """Mean survival time within some months.

    Parameters
    ----------
    study, id
        Of the estimate.
    times
        Durations in months.
    month
        The end of the window, of :func:`horizon`; ``None`` where there is none.

    Returns
    -------
    The area under the curve in months with a normal interval, which it has not where its variance
    is 0; without a value where there is no month or no duration.

    Method: ``rmean`` of R's ``survival:::survmean``.
    """
    area = km.rmst(times.time, times.event, month) if month and times.n else None
    method = f"{words.NOT_ESTIMABLE}: {NO_HORIZON}"
    if month:
        method = f"area under the Kaplan-Meier curve to {words.months(month)}, normal interval"
    if area and not area.se:
        method += "; no limits, since the variance is 0"
    return estimate(
        study,
        id,
        f"{times.label}: restricted mean within {words.months(month)}" if month else times.label,
        area.value if area else None,
        (area.low, area.high) if area and area.se else (None, None),
        n=times.n,
        events=times.events,
        unit="months",
        method=method,
    )


def guarantee_time(cohort: Cohort) -> pd.Series:
    """Months from infusion to first salvage, in which nobody who was treated could die.

    One row for each patient of ``cohort.treated``, in their order.
    """
    first = cohort.salvage[cohort.salvage["line"] == 1].set_index("patient_id")["start_month"]
    return cohort.treated["patient_id"].map(first).rename("months")


def guarantee_share(cohort: Cohort) -> Estimate:
    """Share of the treated patients' time from infusion that lies before their first salvage, from
    0 to 1.
    """
    treated = cohort.treated
    total = float(treated["os_month"].sum())
    return estimate(
        cohort.study,
        "os.guarantee.share",
        "Share of observed time from infusion that lies before the first salvage",
        float(guarantee_time(cohort).sum()) / total if total > 0 else None,
        n=len(treated),
        unit="proportion",
        method="months before first salvage / observed months, treated patients",
    )


@once
def estimates(cohort: Cohort) -> dict[str, Estimate]:
    """Follow-up and overall survival from each origin, by id."""
    observed = cohort.patients["os_month"]
    month = horizon(cohort)
    overall = [follow_up_observed(cohort), follow_up_reverse(cohort)]
    overall += [
        estimate(
            cohort.study,
            f"os.range.{end}",
            f"{word} observed survival time from infusion",
            float(value),
            n=len(observed),
            unit="months",
            method="observed time, dead or alive",
        )
        for end, word, value in (
            ("min", "Shortest", observed.min()),
            ("max", "Longest", observed.max()),
        )
    ]
    overall.append(guarantee_share(cohort))
    for id, times in origins(cohort).items():
        overall.append(median(cohort.study, f"{id}.median", times))
        overall += [at_month(cohort.study, f"{id}.at.{at}", times, at) for at in FIXED_MONTHS]
        overall.append(restricted_mean(cohort.study, f"{id}.rmst", times, month))
    return by_id(overall)


@once
def line_estimates(cohort: Cohort) -> dict[str, Estimate]:
    """Median DOR over all lines, then DOR, PFS, TTNT and survival of each category's, by id."""
    lines = with_outcome(cohort)
    recorded = cohort.has("salvage", "response_month")
    medians = [
        median(
            cohort.study,
            id,
            response_duration(lines, is_event) if recorded else None,
            f"Median duration of response, all lines; a new treatment {effect}",
        )
        for id, is_event, effect in (
            ("dor.all.median", False, "censors"),
            ("dor.all.new_treatment_event.median", True, "is an event"),
        )
    ]
    for key in CATEGORY_KEYS:
        part = lines[lines["category"] == key]
        medians += [
            median(
                cohort.study,
                f"{duration}.{key}.median",
                line_times(cohort, part, duration),
                f"Median {name.lower()}, {words.category(key, cohort.study.labels)}",
            )
            for duration, name in words.DURATIONS.items()
        ]
    return by_id(medians)
