"""Salvage lines: rows of single drugs made into lines, their order, and when each ends.

Rows of one patient are one line while their drugs begin together, or go on: a drug that starts
within some days of the line's start is part of it, and a drug that is part of it continues it until
a gap is too long. Any other drug starts the next line, and so does the same one after such a gap.
These are the usual rules for lines of therapy in real-world data of cancer.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from salvage import words
from salvage.cohort.cells import DAYS_PER_MONTH, text_of
from salvage.cohort.importing.mapping import Lines
from salvage.cohort.importing.matching import fitting, key_of
from salvage.cohort.importing.times import numbers

#: Column of the month in which a patient's next line starts, as long as lines are made.
NEXT: Final = "next_month"
_BETWEEN_DRUGS: Final = re.compile(r"\s*(?:[+,;&]|\b(?:and|und|et)\b)\s*", re.IGNORECASE)
#: Days that are counted from months of four decimals are less than this many decimals off.
_DAY_DECIMALS: Final = 1
_EARLIEST: Final = ("start_month", "response_month", "progression_month")
_RESPONSES: Final = tuple(words.RESPONSES)


@dataclass(frozen=True)
class Merged:
    """Rows of single drugs as lines, in the columns of the salvage table as text.

    lines        one row a line, under the number of its first row
    line_of      of each row that is part of a line: the number of the line
    supportive   of each row that is part of none: its supportive drugs
    undecided    of lines of several categories that ``precedence`` does not rank: the categories
    differing    how many lines have rows with different responses, of which the best is taken
    """

    lines: pd.DataFrame
    line_of: "pd.Series[int]"
    supportive: "pd.Series[str]"
    undecided: "pd.Series[str]"
    differing: int


def merge(rows: pd.DataFrame, rule: Lines) -> Merged:
    """Rows of single drugs made into lines.

    Where the rows have the number of their line, rows of one number are one line, and no day
    counts. A line has the earliest start, response and progression of its rows, and the latest end
    if every row has one; what else it holds is that of the row with the best response.
    """
    drugs = {text: _drugs(text, rule.supportive) for text in rows["regimen"].unique()}
    supportive = rows["regimen"].map(lambda text: text != "" and not drugs[text])
    treated = rows[~supportive]
    treated = treated.assign(
        drugs=treated["regimen"].map(drugs),
        start=numbers(treated["start_month"]) * DAYS_PER_MONTH,
        end=numbers(treated["end_month"]) * DAYS_PER_MONTH,
        rank=treated["best_response"].map({code: i for i, code in enumerate(_RESPONSES)}),
    ).sort_values(["patient_id", "start"], kind="stable")
    numbered = (treated["line"] != "").any()
    group = treated.groupby(["patient_id", "line"]).ngroup() if numbered else _line(treated, rule)
    first = pd.Series(treated.index, index=treated.index).groupby(group).transform("first")
    # The best response of a line first, then the earliest row.
    lines = treated.assign(line_of=first).sort_values(["line_of", "rank", "start"], kind="stable")
    grouped = lines.groupby("line_of")
    held = lines[rows.columns].where(lines[rows.columns] != "")
    merged = held.groupby(lines["line_of"]).first().fillna("")
    for column in _EARLIEST:
        merged[column] = _extreme(lines, column, "min")
    ended = grouped["end"].count() == grouped.size()
    merged["end_month"] = _extreme(lines, "end_month", "max").where(ended, "")
    names: dict[str, str] = {}
    for of_row in treated["drugs"]:
        names |= {key: name for key, name in of_row.items() if key not in names}
    keys = grouped["drugs"].agg(lambda of_rows: sorted(set().union(*of_rows)))
    merged["regimen"] = keys.map(lambda line: " + ".join(names[key] for key in line))
    categories = grouped["category"].unique()
    merged["category"] = categories.map(lambda found: _category(found, rule.precedence))
    undecided = categories[merged["category"] == ""].map(sorted).map(", ".join)
    assessed = lines[lines["rank"] < _RESPONSES.index("NE")]
    ranks = assessed.groupby("line_of")["rank"]
    differing = int((ranks.min() != ranks.max()).sum())
    merged = merged.rename_axis(None)
    return Merged(merged, first, rows.loc[supportive, "regimen"], undecided, differing)


def _line(rows: pd.DataFrame, rule: Lines) -> "pd.Series[int]":
    """A number for each row, the same in rows of one line; rows by patient and start."""
    numbers_of_lines = []
    line, patient, begin, last = 0, None, 0.0, 0.0
    regimen: set[str] = set()
    columns = (rows[name] for name in ("patient_id", "start", "end", "drugs"))
    for of, start, end, drugs in zip(*columns, strict=True):
        together = round(start - begin, _DAY_DECIMALS) <= rule.within_days
        gap = round(start - last, _DAY_DECIMALS)
        goes_on = drugs and drugs.keys() <= regimen and gap <= rule.same_regimen_gap_days
        if of != patient or not (together or goes_on):
            line, patient, begin, last, regimen = line + 1, of, start, start, set()
        regimen |= drugs.keys()
        last = max(last, start, start if np.isnan(end) else end)
        numbers_of_lines.append(line)
    return pd.Series(numbers_of_lines, index=rows.index, dtype=int)


def _extreme(lines: pd.DataFrame, column: str, which: str) -> "pd.Series[str]":
    """The least or the greatest month of each line, as text."""
    months = numbers(lines[column]).groupby(lines["line_of"]).agg(which)
    return months.map(text_of)


def _category(found: Iterable[str], precedence: Iterable[str]) -> str:
    """The category of a line of several; blank where they are not ranked.

    Without a rank, every other category goes before ``other``.
    """
    ranked = [category for category in precedence if category in found]
    named = [category for category in found if category != "other"]
    candidates = ranked[:1] or named or ["other"]
    return candidates[0] if len(candidates) == 1 else ""


def _drugs(text: str, supportive: Iterable[str]) -> dict[str, str]:
    """The drugs of a row that treat the lymphoma: how each is written, by its key."""
    parts = filter(None, _BETWEEN_DRUGS.split(text.strip()))
    return {key_of(part): part for part in parts if fitting(supportive, part) is not True}


def next_starts(rows: pd.DataFrame) -> "pd.Series[float]":
    """The month in which the patient's next line starts; infinite for the last line."""
    starts = numbers(rows["start_month"]).sort_values(kind="stable")
    after = starts.groupby(rows["patient_id"].loc[starts.index]).shift(-1)
    return after.fillna(np.inf).reindex(rows.index)


def in_order(rows: pd.DataFrame, patients: "pd.Series[str]") -> pd.DataFrame:
    """Lines by patient and start; numbered so where no source gives a number.

    Lines that start on one day keep the order of the mapping and of the file.
    """
    position = {patient: i for i, patient in enumerate(patients)}
    order = pd.DataFrame(
        {
            "patient": rows["patient_id"].map(position),
            "line": numbers(rows["line"]),
            "start": numbers(rows["start_month"]),
        }
    ).sort_values(["patient", "line", "start"], kind="stable")
    lines = rows.loc[order.index]
    if (lines["line"] == "").all():
        lines["line"] = (lines.groupby("patient_id").cumcount() + 1).astype(str)
    return lines
