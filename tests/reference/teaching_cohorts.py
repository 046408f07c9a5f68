"""Cohorts for tests, made of data that R publishes for teaching.

    python -m tests.reference.teaching_cohorts     writes tests/reference/cohorts/

Times, deaths, transplants, recurrences, age and operations are those of the data. What the data do
not hold (responses, ends, adverse events, most baseline values) follows from the row and line by
arithmetic, with blanks, ties and contradictions on purpose. Nothing of it is a clinical fact.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from salvage import words
from salvage.cohort.schema import PATIENTS
from tests.cohorts import CATEGORIES, Tables
from tests.reference import REFERENCE

COHORTS: Final = REFERENCE / "cohorts"
DAYS: Final = 30.4375
#: A fifth power is a permutation of the remainders: rows spread evenly over 0 to 1.
PRIME: Final = 997

Row = dict[str, Any]


def share(number: int, step: int) -> float:
    """A number from 0 to 1 that follows from a row's number; another step gives another one."""
    return (number + step) ** 5 % PRIME / PRIME


def pick(values: Sequence[Any], number: int, step: int) -> Any:
    """One of some values."""
    return values[int(share(number, step) * len(values))]


def unless(blank: float, value: Any, number: int, step: int) -> Any:
    """The value, blank in this share of the rows."""
    return None if share(number, step) < blank else value


def baseline(number: int) -> Row:
    """Values before the first CAR-T that the data do not hold."""
    columns: dict[str, tuple[Sequence[Any], int]] = {
        "sex": ("MF", 617),
        "histology": (("DLBCL NOS", "tFL", "HGBL"), 389),
        "coo": (("GCB", "non-GCB"), 271),
        "stage": (range(1, 5), 173),
        "ipi": (range(6), 431),
        "ecog": ((0, 0, 1, 1, 2, 3), 727),
        "ldh_elevated": ((0, 1), 557),
        "extranodal_sites": (range(4), 839),
        "bulky": ((0, 0, 1), 97),
        "prior_lines": (range(2, 6), 311),
        "refractory": ((0, 1), 463),
        "cart_target": (("CD19", "CD19", "CD19/CD22"), 691),
        "cart_product": (("axicabtagene ciloleucel", "relmacabtagene autoleucel"), 223),
        "cart_best_response": (tuple(words.RESPONSES), 881),
    }
    return {
        name: unless(0.06, pick(values, number, step), number, step + 2)
        for name, (values, step) in columns.items()
    }


def line(patient: Row, number: int, start: float, following: float | None, row: int) -> Row:
    """One salvage line from its start, the next one's, if there is one, and the last contact."""
    end = patient["os_month"]
    space = (end if following is None else following) - start
    response = pick(("CR", "PR", "PR", "SD", "SD", "PD", "NE"), row, 641)
    category = pick(CATEGORIES, row, 353)
    progressed = unless(0.4, min(start + part(space), end), row, 149)
    if response == "PD":
        progressed = unless(0.1, start + part(space) / 2, row, 149)
    held = response in ("CR", "PR") and share(row, 787) > 0.1
    stopped = start if category == "second_cart" else start + part(space)
    began = start + part(space) / 4 if held else None
    reasons = {
        "progression": progressed,
        "death": end if patient["died"] else None,
        "new_treatment": following,
        "ongoing": None if began is None else began + part(end - began),
    }
    reason = pick(("progression", *reasons), row, 239) if held else None
    ended = reasons[reason] if reason else None
    if began is not None and ended is not None and ended < began:
        began = start
    return {
        "patient_id": patient["patient_id"],
        "line": number,
        "category": category,
        "regimen": f"{category} {row % 2 + 1}",
        "target_switched": row % 2 if category == "second_cart" else None,
        "start_month": start,
        "best_response": response,
        "response_month": began,
        "response_end_month": ended,
        "response_end_reason": None if ended is None else unless(0.15, reason, row, 577),
        "progression_month": progressed,
        "end_month": unless(0.2, stopped, row, 59),
        "intent": pick(tuple(words.INTENTS), row, 811) if category == "radiotherapy" else None,
    }


def part(space: float) -> float:
    """About half, in whole hundredths."""
    return round(space / 2, 2)


TERMS: Final = (
    ("Fever", "CTCAE 5.0"), ("pyrexia", "CTCAE 5.0"), ("Fever (non-CRS)", "CTCAE 6.0"),
    ("CRS", "ASTCT"), ("CRS grade 1", "ASTCT"), ("ICANS", "ASTCT"), ("ICANS/neurotoxicity", None),
    ("neutropenia", "CTCAE 5.0"), ("Neutropenia", "CTCAE 6.0"), ("infection", None),
)  # fmt: skip


def adverse_events(lines: Sequence[Row], ends: dict[str, float]) -> pd.DataFrame:
    """From none to three events of a line, some without grade, line or onset, some after it."""
    rows = []
    for number, treated in enumerate(lines, start=1):
        space = ends[treated["patient_id"]] - treated["start_month"]
        for event in range(int(share(number, 491) * 4)):
            row = 7 * number + event
            term, scale = pick(TERMS, row, 613)
            onset = treated["start_month"] + round(share(row, 331) ** 3 * space, 2)
            rows.append(
                {
                    "patient_id": treated["patient_id"],
                    "line": unless(0.1, treated["line"], row, 701),
                    "term": term,
                    "grade": unless(0.15, pick((1, 1, 2, 2, 3, 4), row, 859), row, 113),
                    "scale": scale,
                    "onset_month": unless(0.1, round(onset, 2), row, 947),
                }
            )
    return pd.DataFrame(rows).astype({"line": "Int64", "grade": "Int64"})


def tables(
    patients: list[Row], starts: Callable[[Row], Sequence[float]], settings: dict[str, Any]
) -> Tables:
    """The tables of patients whose lines start at some months."""
    lines: list[Row] = []
    for patient in patients:
        months = starts(patient)
        for number, start in enumerate(months, start=1):
            following = months[number] if number < len(months) else None
            lines.append(line(patient, number, start, following, len(lines) + 1))
    ends = {patient["patient_id"]: patient["os_month"] for patient in patients}
    columns = [column for column in PATIENTS.columns if column.name in patients[0]]
    whole = [column.name for column in columns if column.kind in ("integer", "flag")]
    frame = pd.DataFrame(patients)[[column.name for column in columns]]
    return Tables(
        frame.astype(dict.fromkeys(whole, "Int64")),
        pd.DataFrame(lines).astype({"target_switched": "Int64"}).round(4),
        adverse_events(lines, ends),
        settings,
    )


def cause(number: int) -> str:
    """A cause of death that the data do not hold."""
    return str(pick(("lymphoma", "lymphoma", "treatment", "infection", "other"), number, 523))


def heart() -> Tables:
    """Stanford heart transplants: acceptance stands for CAR-T, transplantation for salvage.

    Who lives long after it gets a second and a third line. 34 patients remain untreated.
    """
    patients = []
    for number, rows in pd.read_csv(REFERENCE / "heart.csv").groupby("id"):
        last, transplanted = rows.iloc[-1], rows[rows["transplant"] == 1]["start"]
        end = round(last["stop"] / DAYS, 2)
        start = round(transplanted.iloc[0] / DAYS, 2) if len(transplanted) else None
        died = int(last["event"])
        patients.append(
            {
                "patient_id": f"H{number:03d}",
                "age": round(last["age"] + 48),
                **baseline(number),
                "relapse_month": part(end if start is None else start),
                "os_month": end,
                "died": died,
                "cause_of_death": unless(0.1, cause(number), number, 37) if died else None,
                "_start": start,
            }
        )

    def starts(patient: Row) -> list[float]:
        start, space = patient["_start"], patient["os_month"]
        if start is None:
            return []
        later = [start + gap for gap in (2.5, 7) if start + 2 * gap < space]
        return [round(month, 2) for month in (start, *later)]

    settings = {"title": "Test cohort from heart transplants", "early_relapse_months": 0.5}
    return tables(patients, starts, settings)


def bladder() -> Tables:
    """Recurrences of bladder cancer in whole months: the first stands for relapse after CAR-T.

    It and each later one begins a line; who had none is untreated and relapses half-way.
    """
    data = pd.read_csv(REFERENCE / "bladder1.csv")
    patients = []
    for number, rows in data.groupby("id"):
        end, status = int(rows.iloc[-1]["stop"]), rows.iloc[-1]["status"]
        months = rows.loc[rows["status"] == 1, "stop"].tolist()
        died = int(status >= 2)
        of_cancer = "lymphoma" if status == 2 else cause(number)
        patients.append(
            {
                "patient_id": f"B{number:03d}",
                **baseline(number),
                "relapse_month": months[0] if months else end // 2,
                "os_month": end,
                "died": died,
                "cause_of_death": of_cancer if died else None,
                "age": 40 + int(share(number, 137) * 45),
                "_starts": months,
            }
        )
    settings = {"title": "Test cohort from recurrences of bladder cancer"}
    return tables(patients, lambda patient: patient["_starts"], settings)


MADE: Final = {"heart": heart, "bladder": bladder}

if __name__ == "__main__":
    for name, make in MADE.items():
        make().write(COHORTS / name)
