"""Times to events: survival of patients and durations of salvage lines."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage import words
from salvage.cohort import Cohort
from salvage.estimate import Estimate, estimate
from salvage.schema import CATEGORY_KEYS
from salvage.stats import survival as km

FIXED_MONTHS: Final = (3, 6, 12)
LOG_LOG: Final = "Kaplan-Meier, log-log interval"


@dataclass(frozen=True)
class Times:
    """Durations in months and whether each ended in the event; ``patient`` says whose each one is."""

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

    def curve(self) -> "km.KM | None":
        """The Kaplan-Meier curve, or ``None`` without any duration."""
        return km.kaplan_meier(self.time, self.event) if self.n else None


def _times(label: str, frame: pd.DataFrame, start: pd.Series, end: pd.Series, event: pd.Series) -> Times:
    return Times(
        label,
        (end - start).to_numpy(dtype=float),
        event.to_numpy(dtype=bool),
        frame["patient_id"].to_numpy(dtype=object),
    )


# --- patients -----------------------------------------------------------------------------------------


def from_infusion(cohort: Cohort) -> Times:
    """Overall survival as the study counts it: first CAR-T infusion to death or last contact."""
    patients = cohort.patients
    return _times(
        "OS from CAR-T infusion", patients, 0 * patients["os_month"], patients["os_month"], patients["died"]
    )


def from_relapse(cohort: Cohort) -> Times:
    """Overall survival from progression or relapse after the first CAR-T."""
    patients = cohort.patients
    return _times("OS from relapse", patients, patients["relapse_month"], patients["os_month"], patients["died"])


def from_first_salvage(cohort: Cohort) -> Times:
    """Overall survival of treated patients from the start of their first salvage line."""
    first = cohort.salvage[cohort.salvage["line"] == 1].set_index("patient_id")["start_month"]
    patients = cohort.treated
    start = patients["patient_id"].map(first)
    return _times("OS from first salvage", patients, start, patients["os_month"], patients["died"])


# --- lines --------------------------------------------------------------------------------------------


def with_outcome(cohort: Cohort) -> pd.DataFrame:
    """Salvage lines with each patient's ``relapse_month``, ``os_month`` and ``died``, and ``next_start``."""
    outcome = cohort.patients.set_index("patient_id")[["relapse_month", "os_month", "died"]]
    lines = cohort.salvage.join(outcome, on="patient_id")
    lines["next_start"] = lines.groupby("patient_id")["start_month"].shift(-1)
    return lines


def response_duration(lines: pd.DataFrame, new_treatment_is_event: bool = False) -> Times:
    """DOR: first CR or PR to progression or death; a new treatment censors.

    ``lines`` come from :func:`with_outcome`. A response without its month is left out. Where its end
    is not recorded, the earliest of progression, next treatment, and death or last contact stands for it.
    """
    held = lines[lines["best_response"].isin(["CR", "PR"]) & lines["response_month"].notna()]
    recorded = held["response_end_month"].notna()
    end = held["response_end_month"].fillna(held["progression_month"])
    reason = held["response_end_reason"].astype(object).where(recorded, None)
    unknown = reason.isna()
    at_death = (end == held["os_month"]) & held["died"] & (end != held["progression_month"])
    reason = reason.mask(unknown & end.notna(), np.where(at_death, "death", "progression"))
    open_ended = end.isna()
    reason = reason.mask(open_ended, np.where(held["died"], "death", "ongoing"))
    end = end.fillna(held["os_month"])
    changed = held["next_start"] < end
    end = end.mask(changed, held["next_start"])
    reason = reason.mask(changed, "new_treatment")
    events = ["progression", "death"] + ["new_treatment"] * new_treatment_is_event
    return _times(words.DURATIONS["dor"], held, held["response_month"], end, reason.isin(events))


def progression_free(lines: pd.DataFrame) -> Times:
    """PFS of each line: start to progression or death; censored at last contact."""
    end = lines["progression_month"].fillna(lines["os_month"])
    event = lines["progression_month"].notna() | lines["died"]
    return _times(words.DURATIONS["pfs"], lines, lines["start_month"], end, event)


def to_next_treatment(lines: pd.DataFrame) -> Times:
    """TTNT of each line: start to the next line's start or death; censored at last contact."""
    end = lines["next_start"].fillna(lines["os_month"])
    event = lines["next_start"].notna() | lines["died"]
    return _times(words.DURATIONS["ttnt"], lines, lines["start_month"], end, event)


def from_line_start(lines: pd.DataFrame) -> Times:
    """Overall survival from the start of each line; a patient counts once for each line."""
    return _times(words.DURATIONS["os_from_start"], lines, lines["start_month"], lines["os_month"], lines["died"])


def line_times(cohort: Cohort, lines: pd.DataFrame, duration: str) -> Times | None:
    """One of ``dor``, ``pfs``, ``ttnt``, ``os_from_start`` over ``lines`` of :func:`with_outcome`.

    ``None`` where the cohort has no column for it: responses without months, or no progression at all.
    """
    if duration == "dor":
        return response_duration(lines) if cohort.has("salvage", "response_month") else None
    if duration == "pfs":
        return progression_free(lines) if cohort.has("salvage", "progression_month") else None
    return to_next_treatment(lines) if duration == "ttnt" else from_line_start(lines)


# --- estimates ----------------------------------------------------------------------------------------


def median(cohort: Cohort, id: str, times: Times | None, label: str = "") -> Estimate:
    """Kaplan-Meier median with its log-log interval, as R's ``survfit`` prints it."""
    curve = times.curve() if times is not None else None
    value, low, high = curve.median if curve is not None else (None, None, None)
    return estimate(
        cohort.study,
        id,
        label or (f"Median {times.label}" if times is not None else id),
        value,
        (low, high),
        n=0 if times is None else times.n,
        events=0 if times is None else times.events,
        unit="months",
        method=LOG_LOG,
    )


def at_month(cohort: Cohort, id: str, times: Times, month: float) -> Estimate:
    """Survival at a month, as R's ``summary(fit, times, extend = TRUE)`` prints it."""
    value, low, high, beyond = times.curve().at(month) if times.n else (None, None, None, False)  # type: ignore[union-attr]
    note = "; beyond the last observation" if beyond else ""
    return estimate(
        cohort.study,
        id,
        f"{times.label}: survival at {month:g} months",
        value,
        (low, high),
        n=times.n,
        events=times.events,
        unit="probability",
        method=LOG_LOG + note,
    )


def follow_up_observed(cohort: Cohort) -> Estimate:
    """Median of the observed times, dead or alive: what a median follow-up often means in print."""
    months = cohort.patients["os_month"]
    return estimate(
        cohort.study, "followup.observed.median", "Median observed time", float(months.median()),
        n=len(months), unit="months", method="median of observed times",
    )


def follow_up_reverse(cohort: Cohort) -> Estimate:
    """Median follow-up by reverse Kaplan-Meier: death censors (Schemper and Smith 1996)."""
    times = from_infusion(cohort)
    curve = km.reverse_kaplan_meier(times.time, times.event)
    value, low, high = curve.median
    return estimate(
        cohort.study, "followup.reverse_km.median", "Median follow-up, reverse Kaplan-Meier", value, (low, high),
        n=times.n, events=times.n - times.events, unit="months", method="reverse Kaplan-Meier, log-log interval",
    )


def patient_estimates(cohort: Cohort) -> list[Estimate]:
    """Follow-up and overall survival from each origin."""
    infusion, relapse, salvage = from_infusion(cohort), from_relapse(cohort), from_first_salvage(cohort)
    observed = cohort.patients["os_month"]
    ends = [("min", "Shortest", observed.min()), ("max", "Longest", observed.max())]
    return [
        follow_up_observed(cohort),
        follow_up_reverse(cohort),
        median(cohort, "os.median", infusion, "Median OS from CAR-T infusion"),
        *(at_month(cohort, f"os.at.{month}", infusion, month) for month in FIXED_MONTHS),
        *(
            estimate(
                cohort.study, f"os.range.{end}", f"{word} observed survival time from infusion", float(value),
                n=infusion.n, unit="months", method="observed time, dead or alive",
            )
            for end, word, value in ends
        ),
        median(cohort, "os.from_relapse.median", relapse, "Median OS from relapse"),
        *(at_month(cohort, f"os.from_relapse.at.{month}", relapse, month) for month in FIXED_MONTHS),
        median(cohort, "os.from_salvage.median", salvage, "Median OS from first salvage"),
    ]


def line_estimates(cohort: Cohort) -> list[Estimate]:
    """Median DOR, PFS, TTNT and survival of each category's lines."""
    lines = with_outcome(cohort)
    return [
        median(
            cohort,
            f"{duration}.{key}.median",
            line_times(cohort, lines[lines["category"] == key], duration),
            f"Median {name.lower()}, {words.category(key, cohort.study.labels)}",
        )
        for key in CATEGORY_KEYS
        for duration, name in words.DURATIONS.items()
    ]
