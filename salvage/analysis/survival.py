"""Times to events: survival of patients and durations of salvage lines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salvage import words
from salvage.analysis import least, response
from salvage.analysis.estimate import Estimate, by_id, estimate
from salvage.analysis.response import ALL
from salvage.cohort import Cohort, once
from salvage.cohort.schema import CATEGORY_KEYS, RESPONSE
from salvage.cohort.study import Study
from salvage.stats import survival as km

FIXED_MONTHS: Final = (3, 6, 12)
LOG_LOG: Final = "Kaplan-Meier, log-log interval"
REVERSE: Final = "reverse Kaplan-Meier, log-log interval"
AALEN_JOHANSEN: Final = "Aalen-Johansen, log-log interval"
BEYOND: Final = "beyond the last observation, while the curve is above 0"
NO_EVENT: Final = "no limits before the first event"
NO_HORIZON: Final = (
    f"no whole month at which a tenth and at least {least.AT_RISK} patients are at risk from every "
    "origin"
)
#: The rules for the end of a line, and how a label names those beside the main one.
Rule = Literal["main", "censored_at_next_line", "next_line_event", "earliest"]
RULES: Final[Mapping[Rule, str]] = {
    "main": "",
    "censored_at_next_line": "censored at the next line",
    "next_line_event": "the next line as an event",
    "earliest": "progressions without a month at the start",
}
#: Above this share of ends without a month a median says more of the gaps than of the patients.
MOST_UNDATED: Final = 1 / 5


@dataclass(frozen=True)
class Times:
    """Durations, one element each: ``time`` in months, whether it ended in the ``event``, and the
    ``patient`` whose it is; arrays of shape (n,). ``undated`` of them end in a progression whose
    month is not recorded.
    """

    label: str
    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    patient: NDArray[np.object_]
    undated: int = 0

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

    @property
    def no_months(self) -> str:
        """Why too many ends lack their month for a curve or a median; empty if they do not."""
        if self.undated <= MOST_UNDATED * self.n:
            return ""
        return (
            f"{self.undated:,} of {words.count(self.n, 'line')} end in a progression whose month "
            "is not recorded"
        )

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
    """Salvage lines with what ended them; all months are counted from infusion.

    Returns
    -------
    The lines with these columns more:

    - ``relapse_month``, ``os_month`` and ``died`` of their patient;
    - ``next_start``, the start of the patient's next line;
    - ``progressed``, the first progression recorded for the patient, on any line, from the start of
      this line on, or from its response on if it has one with a month: what came before did not
      end it (pseudo-progression). One that an earlier line records counts if it is later than
      that, not in the same month, in which it is the reason for this line;
    - ``undated``, whether this progression has no month, and ``progressed_earliest``.

    A progression is a ``progression_month``, or the end of a CR or PR by progression. An end
    without a reason is one unless the next line or last contact is recorded in its month. A best
    response of PD without ``progression_month`` is one without a month: ``progressed`` has it as
    late as it can be, in the earliest of next line, ``end_month`` and death or last contact that is
    later than the start (else at the start); ``progressed_earliest`` has it at the start.
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
    lines = cohort.salvage.assign(**outcome, next_start=following)
    progressions = _progressions(lines).assign(owner=lambda rows: owners[rows["on"]])
    origin = lines["response_month"].where(lines["best_response"].isin(RESPONSE))
    begun = pd.DataFrame(
        {"row": lines.index, "owner": owners, "origin": origin.fillna(lines["start_month"])}
    )
    pairs = begun.merge(progressions, on="owner")
    earlier, latest = pairs["on"] < pairs["row"], pairs["latest"]
    pairs = pairs[(latest > pairs["origin"]) | ((latest == pairs["origin"]) & ~earlier)]
    first = pairs.sort_values(["latest", "undated"]).drop_duplicates("row").set_index("row")
    earliest = pairs[["earliest", "origin"]].max(axis=1).groupby(pairs["row"]).min()
    return lines.assign(
        progressed=first["latest"].reindex(lines.index),
        progressed_earliest=earliest.reindex(lines.index),
        undated=first["undated"].reindex(lines.index, fill_value=False).astype(bool),
    )


def _progressions(lines: pd.DataFrame) -> pd.DataFrame:
    """Every progression: the line ``on`` which it is recorded, its ``latest`` and ``earliest``
    month, and whether it is ``undated``.
    """
    start, month = lines["start_month"], lines["progression_month"]
    undated = _undated(lines)
    after = lines[["next_start", "end_month", "os_month"]]
    latest = after.where(after.gt(start, axis=0)).min(axis=1).fillna(start)
    found = [(month, month), (_response_lost(lines), _response_lost(lines))]
    found += [(latest.where(undated), start.where(undated))]
    parts = [pd.DataFrame({"latest": last, "earliest": first}) for last, first in found]
    table = pd.concat(parts, keys=range(len(parts)), names=["kind", "on"]).dropna().reset_index()
    return table.assign(undated=table["kind"] == len(parts) - 1)


def _undated(lines: pd.DataFrame) -> "pd.Series[bool]":
    """Lines whose best response is a progression without a month."""
    return (lines["best_response"] == "PD") & lines["progression_month"].isna()


def _response_lost(lines: pd.DataFrame) -> pd.Series:
    """Month in which a response ended by progression, missing where it did not."""
    end, reason = lines["response_end_month"], lines["response_end_reason"]
    silent = reason.isna() & (end != lines["next_start"]) & (end != lines["os_month"])
    lost = lines["best_response"].isin(RESPONSE) & ((reason == "progression") | silent)
    return end.where(lost)


def end_of_line(lines: pd.DataFrame, rule: Rule = "main") -> tuple[pd.Series, "pd.Series[bool]"]:
    """When each line ended, and whether by an event: the one rule of PFS and DOR.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.
    rule
        ``main``: at ``progressed`` or death, else censored at last contact; a next line changes
        nothing. ``censored_at_next_line`` and ``next_line_event``: at the next line if that comes
        first, as censoring (progression or death in its month count as events) or as an event.
        ``earliest``: as ``main`` with ``progressed_earliest``.

    Returns
    -------
    Months from infusion and events, one for each line.
    """
    progressed = lines["progressed_earliest" if rule == "earliest" else "progressed"]
    end = progressed.fillna(lines["os_month"])
    event = progressed.notna() | lines["died"]
    if rule == "censored_at_next_line":
        event &= ~(lines["next_start"] < end)
    if rule == "next_line_event":
        event |= lines["next_start"] <= end
    if rule in ("censored_at_next_line", "next_line_event"):
        end = end.where(~(lines["next_start"] < end), lines["next_start"])
    return end, event


def response_duration(lines: pd.DataFrame, rule: Rule = "main") -> Times:
    """DOR: months from the first CR or PR to the end of the line.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.
    rule
        Of :func:`end_of_line`.

    Returns
    -------
    One duration for each CR or PR whose month is known; 0 where the next line ends a response that
    was first seen after it began. A response without progression ends at death, whatever its
    ``response_end_reason``; else it is censored at last contact.
    """
    held = lines[lines["best_response"].isin(RESPONSE) & lines["response_month"].notna()]
    end, event = end_of_line(held, rule)
    times = _times(words.DURATIONS["dor"], held, held["response_month"], end, event)
    return replace(times, time=times.time.clip(min=0), undated=int(held["undated"].sum()))


def progression_free(lines: pd.DataFrame, rule: Rule = "main") -> Times:
    """PFS of each line: months from its start to its end.

    Parameters
    ----------
    lines
        Of :func:`with_outcome`.
    rule
        Of :func:`end_of_line`.

    Returns
    -------
    Shape (lines,).
    """
    end, event = end_of_line(lines, rule)
    times = _times(words.DURATIONS["pfs"], lines, lines["start_month"], end, event)
    return replace(times, undated=int(lines["undated"].sum()))


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


@once
def line_times(
    cohort: Cohort, duration: str, category: str = ALL, line: str = ALL, rule: Rule = "main"
) -> Times | None:
    """One of the four durations of lines.

    Parameters
    ----------
    cohort
        Whose lines they are.
    duration
        ``dor``, ``pfs``, ``ttnt`` or ``os_from_start``.
    category, line
        Which lines, as :func:`salvage.analysis.response.group` names them.
    rule
        Of :func:`end_of_line`, for DOR and PFS.

    Returns
    -------
    Durations in months; ``None`` for DOR where no response of the cohort has its month, and for PFS
    where no progression has one.
    """
    main = line_times(cohort, duration, category, line) if rule == "earliest" else None
    if main is not None and not main.undated:
        return main  # the same, with a curve that is fitted once
    lines = with_outcome(cohort)
    if category != ALL:
        lines = lines[lines["category"] == category]
    if line == "first":
        lines = lines[lines["line"] == 1]
    if duration == "dor":
        recorded = cohort.has("salvage", "response_month")
        return response_duration(lines, rule) if recorded else None
    if duration == "pfs":
        return progression_free(lines, rule) if _records_progression(cohort) else None
    return to_next_treatment(lines) if duration == "ttnt" else from_line_start(lines)


@once
def _records_progression(cohort: Cohort) -> bool:
    return not _progressions(_with_outcome(cohort))["undated"].all()


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
    return cohort.treated["patient_id"].map(_first_starts(cohort)).rename("months")


def _first_starts(cohort: Cohort) -> pd.Series:
    """Month in which each treated patient's first salvage line began, by patient."""
    first = cohort.salvage[cohort.salvage["line"] == 1]
    return first.set_index("patient_id")["start_month"]


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


#: The rules under which the median of a duration is given, the first without a name in its id.
RULES_OF: Final[Mapping[str, tuple[Rule, ...]]] = {
    "dor": ("main", "censored_at_next_line", "next_line_event"),
    "pfs": ("main", "censored_at_next_line", "next_line_event", "earliest"),
    "ttnt": ("main",),
    "os_from_start": ("main",),
}


@once
def line_medians(cohort: Cohort, category: str = ALL, line: str = ALL) -> dict[str, Estimate]:
    """Median DOR, PFS, TTNT and survival of some lines by id, under each rule of
    :data:`RULES_OF`; of first salvage lines, without DOR.

    Parameters
    ----------
    cohort
        Whose lines they are.
    category, line
        Which lines, as :func:`salvage.analysis.response.group` names them.

    Returns
    -------
    By ``pfs.bispecific.median``, ``pfs.bispecific.next_line_event.median`` and the like. The method
    says how many lines end in a progression without a month; where they are more than
    :data:`MOST_UNDATED`, it is the reason why there is no value.
    """
    key, label = response.group(cohort.study, category, line)
    return by_id(
        _line_median(
            cohort,
            f"{duration}.{key}.{'' if rule == 'main' else f'{rule}.'}median",
            line_times(cohort, duration, category, line, rule),
            "; ".join(filter(None, [f"Median {name.lower()}, {label}", RULES[rule]])),
        )
        for duration, name in words.DURATIONS.items()
        for rule in RULES_OF[duration]
        if (duration, line) != ("dor", "first")
    )


def _line_median(cohort: Cohort, id: str, times: Times | None, label: str) -> Estimate:
    """The median of durations, without a value where too many ends lack their month."""
    e = median(cohort.study, id, times, label)
    if times is None or not times.undated:
        return e
    if times.no_months:
        reason = f"{words.NOT_ESTIMABLE}: {times.no_months}"
        return replace(e, value=None, low=None, high=None, method=reason)
    when = "at the start of the line" if ".earliest." in id else "as late as it can be"
    lacking = f"{times.undated:,} of these end in a progression without a month, put {when}"
    return replace(e, method=f"{e.method}; {lacking}")


@once
def line_estimates(cohort: Cohort) -> dict[str, Estimate]:
    """The medians of :func:`line_medians` of all lines, of each category's, and of the first
    salvage line of each patient in both, by id.
    """
    medians = [
        e
        for category in (ALL, *CATEGORY_KEYS)
        for line in (ALL, "first")
        for e in line_medians(cohort, category, line).values()
    ]
    same = next(e for e in medians if e.id == "dor.all.next_line_event.median")
    return by_id([*medians, replace(same, id="dor.all.new_treatment_event.median")])


# --- competing risks ------------------------------------------------------------------------------

#: By what is counted: its causes, of which the first to come counts, and the label of each.
NEXT_LINE: Final = {
    "next_line": "Next salvage line",
    "death_before_next_line": "Death before a next salvage line",
}
FIRST_SALVAGE: Final = {
    "first_salvage": "First salvage line",
    "death_before_first_salvage": "Death before salvage",
}
DEATHS: Final = {"nrm": "Non-relapse mortality", "death_from_lymphoma": "Death from lymphoma"}
#: Above this share of deaths without a cause, no incidence of a cause is given.
MOST_WITHOUT_CAUSE: Final = 1 / 5


def incidences(
    study: Study,
    causes: Mapping[str, str],
    time: pd.Series,
    status: NDArray[np.int_],
    *,
    among: str = ALL,
    why_not: str = "",
) -> list[Estimate]:
    """Cumulative incidence of competing causes at :data:`FIXED_MONTHS`.

    Parameters
    ----------
    study
        Of the estimates.
    causes
        Labels of the causes with the codes 1, 2, ... of ``status``, in this order, by the name that
        stands in the ids ``cif.next_line.at.3``. A further code is a cause without an estimate.
    time, status
        Shape (n,): months to the first event, and its code; 0 is censored.
    among
        ``all``, or what stands in the ids before ``at``.
    why_not
        Why there is no value, if there is none.

    Returns
    -------
    Probabilities, cause by cause, each with the number of events of its cause; without limits
    where none has occurred yet, and without a value beyond the last observation, unless nobody was
    without an event there.

    Method: Aalen-Johansen, as R ``survfit(Surv(time, factor(status)) ~ 1, conf.type = "log-log")``.
    """
    made = []
    for code, (cause, label) in enumerate(causes.items(), 1):
        incidence = km.cumulative_incidence(time, status, code)
        for month in FIXED_MONTHS:
            at = incidence.at(month)
            beyond = at.beyond_last and not incidence.complete
            reason = why_not or ("beyond the last observation" if beyond else "")
            made.append(
                estimate(
                    study,
                    f"cif.{cause}.{'' if among == ALL else f'{among}.'}at.{month}",
                    f"{label}: cumulative incidence at {words.months(month)}",
                    None if reason else at.value,
                    (None, None) if reason else (at.low, at.high),
                    n=incidence.n,
                    events=incidence.events,
                    unit="probability",
                    method=f"{words.NOT_ESTIMABLE}: {reason}" if reason else AALEN_JOHANSEN,
                )
            )
    return made


def to_next_line(cohort: Cohort, line: str = ALL) -> list[Estimate]:
    """Incidence of the next line, death without it competing, from the start of each line on.

    Parameters
    ----------
    cohort
        Whose lines they are.
    line
        ``all`` lines, or the ``first`` of each patient.

    Returns
    -------
    Of :func:`incidences`. Their sum is one minus the Kaplan-Meier curve of TTNT.
    """
    lines = with_outcome(cohort)
    lines = lines if line == ALL else lines[lines["line"] == 1]
    status = np.where(lines["next_start"].notna(), 1, np.where(lines["died"], 2, 0))
    return incidences(
        cohort.study,
        NEXT_LINE,
        lines["next_start"].fillna(lines["os_month"]) - lines["start_month"],
        status,
        among=ALL if line == ALL else "first_line",
    )


def to_first_salvage(cohort: Cohort) -> list[Estimate]:
    """Incidence of the first salvage line, death without it competing, from relapse on; without a
    value in a cohort of treated patients alone, where salvage is certain.

    Salvage before the relapse counts as in its month.
    """
    patients = cohort.patients
    first = patients["patient_id"].map(_first_starts(cohort))
    all_treated = len(cohort.treated) == len(patients)
    return incidences(
        cohort.study,
        FIRST_SALVAGE,
        (first.fillna(patients["os_month"]) - patients["relapse_month"]).clip(lower=0),
        np.where(first.notna(), 1, np.where(patients["died"], 2, 0)),
        why_not="no untreated patient is recorded" if all_treated else "",
    )


def causes_of_death(cohort: Cohort) -> list[Estimate]:
    """Incidence of non-relapse mortality, which is death from another cause than lymphoma, and of
    death from lymphoma, from relapse on; a death without a recorded cause is a third cause.
    """
    times, cause = from_relapse(cohort), cohort.patients["cause_of_death"]
    known = np.where(cause == "lymphoma", 2, np.where(cause.notna(), 1, 3))
    unknown = deaths_without_cause(cohort)
    too_many = unknown > MOST_WITHOUT_CAUSE * times.events
    reason = f"the cause of {unknown:,} of {words.count(times.events, 'death')} is not recorded"
    if unknown == times.events:
        reason = "no cause of death is recorded"
    return incidences(
        cohort.study,
        DEATHS,
        pd.Series(times.time),
        np.where(times.event, known, 0),
        why_not=reason if too_many or unknown == times.events else "",
    )


def deaths_without_cause(cohort: Cohort) -> int:
    """Number of deaths of which no cause is recorded."""
    return int((cohort.patients["died"] & cohort.patients["cause_of_death"].isna()).sum())


@once
def competing_estimates(cohort: Cohort) -> dict[str, Estimate]:
    """Every cumulative incidence, by id: of the next line over all lines and over first lines, of
    the first salvage line, and of causes of death.
    """
    return by_id(
        [
            *to_next_line(cohort),
            *to_next_line(cohort, "first"),
            *to_first_salvage(cohort),
            *causes_of_death(cohort),
        ]
    )
