"""The history of each patient in plain words, for who points at a lane of the swimmer plot.

Individual-level data: where the swimmer plot is not drawn, no history may be shown either.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from salvage import words
from salvage.analysis.safety import label, normal_term
from salvage.cohort import Cohort
from salvage.display.figures import captions
from salvage.display.figures.style import one_line

Row = dict[Hashable, Any]
Words = dict[str, str]


@dataclass(frozen=True)
class Moment:
    """One entry of a history: its months since infusion as text, what happened, and details."""

    when: str
    what: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """One patient: a summary of one line, and the moments in the order of their months."""

    patient_id: str
    summary: str
    moments: tuple[Moment, ...]


def histories(cohort: Cohort) -> list[History]:
    """The history of every patient, in the order of the patients table.

    What is not recorded is left out. Moments of one month stand in the order in which they can
    follow each other: infusion, relapse, lines by number, adverse events without a line, end.
    """
    lines = _by_patient(cohort.salvage)
    events = _by_patient(cohort.adverse_events.assign(term=_terms(cohort.adverse_events)))
    return [
        _history(
            patient,
            bool(late),
            lines.get(patient["patient_id"], []),
            events.get(patient["patient_id"], []),
            cohort.study.labels,
        )
        for patient, late in zip(cohort.patients.to_dict("records"), cohort.late, strict=True)
    ]


def _by_patient(frame: pd.DataFrame) -> dict[str, list[Row]]:
    rows = frame.groupby("patient_id", sort=False)
    return {str(patient): part.to_dict("records") for patient, part in rows}


def _terms(events: pd.DataFrame) -> "pd.Series[Any]":
    return normal_term(events["term"]).map(label)


def _history(
    patient: Row, late: bool, lines: list[Row], events: list[Row], labels: Words
) -> History:
    end = captions.HISTORY_END["died" if patient["died"] else "alive"]
    group = words.RELAPSE_GROUPS["late" if late else "early"]
    relapse, last = _month(patient["relapse_month"]), _month(patient["os_month"])
    loose = [event for event in events if pd.isna(event["line"])]
    timed = [
        (0.0, Moment(_month(0), captions.HISTORY_INFUSION, _first_cart(patient))),
        (patient["relapse_month"], Moment(relapse, group)),
        *((line["start_month"], _line(line, events, labels)) for line in lines),
        *((_onset(event, patient), _loose(event)) for event in loose),
        (patient["os_month"], Moment(last, end)),
    ]
    return History(
        one_line(patient["patient_id"]),
        captions.HISTORY_SUMMARY.format(
            patient=one_line(patient["patient_id"]),
            group=group.lower(),
            relapse=relapse,
            end=end.lower(),
            last=last,
        ),
        tuple(moment for _, moment in sorted(timed, key=lambda pair: pair[0])),
    )


def _month(value: float) -> str:
    return f"{value:.1f}"


def _given(row: Row, column: str) -> bool:
    return bool(pd.notna(row[column]))


def _first_cart(patient: Row) -> tuple[str, ...]:
    product = [one_line(patient[c]) for c in ("cart_target", "cart_product") if _given(patient, c)]
    made = [", ".join(product)] if product else []
    if _given(patient, "cart_best_response"):
        best = words.RESPONSES[patient["cart_best_response"]].lower()
        made.append(captions.HISTORY_BEST.format(response=best))
    return tuple(made)


def _line(line: Row, events: list[Row], labels: Words) -> Moment:
    what = captions.HISTORY_LINE.format(
        line=line["line"], category=one_line(words.category(line["category"], labels))
    )
    if _given(line, "regimen"):
        what = f"{what}, {one_line(line['regimen'])}"
    own = [_event(event) for event in events if event["line"] == line["line"]]
    details = [*_kind(line), _response(line)]
    if _given(line, "progression_month"):
        month = _month(line["progression_month"])
        details.append(captions.HISTORY_PROGRESSION.format(month=month))
    if own:
        details.append(captions.HISTORY_EVENTS.format(events="; ".join(own)))
    template = captions.HISTORY_SPAN if _given(line, "end_month") else captions.HISTORY_OPEN
    when = template.format(first=_month(line["start_month"]), last=_month(line["end_month"]))
    return Moment(when, what, tuple(details))


def _kind(line: Row) -> list[str]:
    made = []
    if _given(line, "target_switched"):
        made.append(captions.HISTORY_TARGET[bool(line["target_switched"])])
    if _given(line, "intent"):
        intent = words.INTENTS[line["intent"]].lower()
        made.append(captions.HISTORY_INTENT.format(intent=intent))
    return made


def _response(line: Row) -> str:
    """The best response, its months, and why it ended."""
    months = ("response_month", "response_end_month")
    first, last = (_given(line, month) for month in months)
    told = captions.HISTORY_RESPONSE[first, last].format(
        best=captions.HISTORY_BEST.format(response=words.RESPONSES[line["best_response"]].lower()),
        first=_month(line["response_month"]),
        last=_month(line["response_end_month"]),
    )
    if not _given(line, "response_end_reason"):
        return told
    return f"{told} ({words.END_REASONS[line['response_end_reason']].lower()})"


def _onset(event: Row, patient: Row) -> float:
    """Where an event stands: one without a month before the end, of which no event is later."""
    return float(event["onset_month"] if _given(event, "onset_month") else patient["os_month"])


def _loose(event: Row) -> Moment:
    """An event that is linked to no line, as a moment of its own."""
    when = _month(event["onset_month"]) if _given(event, "onset_month") else ""
    return Moment(when, captions.HISTORY_EVENT.format(event=_graded(event)))


def _graded(event: Row) -> str:
    term = one_line(event["term"])
    if not _given(event, "grade"):
        return term
    graded = captions.HISTORY_GRADE.format(term=term, grade=int(event["grade"]))
    return f"{graded} ({words.SCALES[event['scale']]})" if _given(event, "scale") else graded


def _event(event: Row) -> str:
    if not _given(event, "onset_month"):
        return _graded(event)
    month = _month(event["onset_month"])
    return captions.HISTORY_ONSET.format(event=_graded(event), month=month)
