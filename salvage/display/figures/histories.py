"""The history of each patient in plain words, for who points at a lane of the swimmer plot.

Individual-level data: where the swimmer plot is not drawn, no history may be shown either.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from salvage import words
from salvage.analysis.safety import label, normal_term
from salvage.cohort import Cohort
from salvage.display.figures.style import one_line

Row = dict[Hashable, Any]
Words = dict[str, str]
#: A response, by whether its first month and its end are recorded.
RESPONSE: Final = {
    (True, True): "{best} from {first} to {last} months",
    (True, False): "{best} from {first} months",
    (False, True): "{best} to {last} months",
    (False, False): "{best}",
}


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
    end = "Died" if patient["died"] else "Alive at last contact"
    group = words.RELAPSE_GROUPS["late" if late else "early"]
    relapse, last = _month(patient["relapse_month"]), _month(patient["os_month"])
    name = one_line(patient["patient_id"])
    unlinked = [event for event in events if pd.isna(event["line"])]
    timed = [
        (0.0, Moment(_month(0), "CAR-T infusion", _first_cart(patient))),
        (patient["relapse_month"], Moment(relapse, group)),
        *((line["start_month"], _line(line, events, labels)) for line in lines),
        *((_onset(event, patient), _unlinked(event)) for event in unlinked),
        (patient["os_month"], Moment(last, end)),
    ]
    return History(
        name,
        f"{name}: {group.lower()} at {relapse} months, {end.lower()} at {last} months",
        tuple(moment for _, moment in sorted(timed, key=lambda pair: pair[0])),
    )


def _month(value: float) -> str:
    return f"{value:.1f}"


def _recorded(row: Row, column: str) -> bool:
    return bool(pd.notna(row[column]))


def _best(response: str) -> str:
    return f"Best response: {words.RESPONSES[response].lower()}"


def _first_cart(patient: Row) -> tuple[str, ...]:
    product = [
        one_line(patient[c]) for c in ("cart_target", "cart_product") if _recorded(patient, c)
    ]
    details = [", ".join(product)] if product else []
    if _recorded(patient, "cart_best_response"):
        details.append(_best(patient["cart_best_response"]))
    return tuple(details)


def _line(line: Row, events: list[Row], labels: Words) -> Moment:
    what = f"Line {line['line']}: {one_line(words.category(line['category'], labels))}"
    if _recorded(line, "regimen"):
        what = f"{what}, {one_line(line['regimen'])}"
    details = [*_kind(line), _response(line)]
    if _recorded(line, "progression_month"):
        details.append(f"Progression at {_month(line['progression_month'])} months")
    own = [_event(event) for event in events if event["line"] == line["line"]]
    if own:
        details.append(f"Adverse events: {'; '.join(own)}")
    first, last = _month(line["start_month"]), _month(line["end_month"])
    when = f"{first} to {last}" if _recorded(line, "end_month") else f"from {first}"
    return Moment(when, what, tuple(details))


def _kind(line: Row) -> list[str]:
    """Whether the target was switched, and the intent of the line."""
    details = []
    if _recorded(line, "target_switched"):
        details.append(
            "Another target than the first CAR-T"
            if line["target_switched"]
            else "The same target as the first CAR-T"
        )
    if _recorded(line, "intent"):
        details.append(f"Intent: {words.INTENTS[line['intent']].lower()}")
    return details


def _response(line: Row) -> str:
    """The best response, its months, and why it ended."""
    begins, ends = (_recorded(line, c) for c in ("response_month", "response_end_month"))
    response = RESPONSE[begins, ends].format(
        best=_best(line["best_response"]),
        first=_month(line["response_month"]),
        last=_month(line["response_end_month"]),
    )
    if not _recorded(line, "response_end_reason"):
        return response
    return f"{response} ({words.END_REASONS[line['response_end_reason']].lower()})"


def _onset(event: Row, patient: Row) -> float:
    """Where an event stands: one without a month before the end, of which no event is later."""
    return float(event["onset_month"] if _recorded(event, "onset_month") else patient["os_month"])


def _unlinked(event: Row) -> Moment:
    """An event that is linked to no line, as a moment of its own."""
    when = _month(event["onset_month"]) if _recorded(event, "onset_month") else ""
    return Moment(when, f"Adverse event: {_graded(event)}")


def _graded(event: Row) -> str:
    term = one_line(event["term"])
    if not _recorded(event, "grade"):
        return term
    graded = f"{term} grade {int(event['grade'])}"
    return f"{graded} ({words.SCALES[event['scale']]})" if _recorded(event, "scale") else graded


def _event(event: Row) -> str:
    if not _recorded(event, "onset_month"):
        return _graded(event)
    return f"{_graded(event)} at {_month(event['onset_month'])} months"
