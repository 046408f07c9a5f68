"""What is allowed in a cohort but worth a second look; a new warning is one more problem here.

The book prints these warnings, so none of them names a calendar date.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd

from salvage.cohort import schema
from salvage.cohort.schema import FATAL_GRADE, RESPONSE
from salvage.cohort.typed import NUMBER, TypedTable, in_order, plain_id
from salvage.problems import Problem

MANY_MONTHS: Final = 240.0
LONG_GAP_MONTHS: Final = 24.0
ADULT_YEARS: Final = 18
#: A handful of patients in trials were infused earlier.
FIRST_INFUSION: Final = dt.date(2014, 1, 1)


def unusual(tables: Mapping[str, TypedTable]) -> list[Problem]:
    """Every warning of a cohort without errors; its tables have the patients' ``NUMBER``."""
    return [
        *_unlikely(tables),
        *_contradictions(tables),
        *_against_the_course(tables),
        *_unlikely_months(tables),
    ]


def _unlikely(tables: Mapping[str, TypedTable]) -> list[Problem]:
    """What one patient or line seldom has."""
    patients, salvage = tables["patients"], tables["salvage"]
    young = patients.frame["age"] < ADULT_YEARS
    problems = patients.problems(young, "age", f"usually {ADULT_YEARS} or more")
    lines = salvage.frame
    second = lines["category"] == "second_cart"
    again = second & lines[second].duplicated(NUMBER).reindex(lines.index, fill_value=False)
    problems += salvage.problems(again, "category", "usually once for a patient")
    switched = lines["target_switched"].notna() & ~second
    expected = "usually blank except for a second CAR-T infusion"
    problems += salvage.problems(switched, "target_switched", expected)
    problems += _drugs_as_lines(salvage)
    ordered = in_order(lines)
    gap = ordered.groupby(NUMBER)["start_month"].diff()
    starts = TypedTable(ordered, salvage.file)
    relapse = patients.frame.drop_duplicates(NUMBER).set_index(NUMBER)["relapse_month"]
    before = lines[NUMBER].map(relapse) > lines["start_month"]
    expected = "usually no earlier than the relapse; a start on clinical suspicion may be"
    problems += salvage.problems(before, "start_month", expected)
    expected = f"usually within {LONG_GAP_MONTHS:g} months of the line before it"
    return problems + starts.problems(gap > LONG_GAP_MONTHS, "start_month", expected)


def _drugs_as_lines(salvage: TypedTable) -> list[Problem]:
    """Lines that may be rows of one combination, or doses of one drug."""
    order = in_order(salvage.frame).index
    lines = salvage.frame.loc[order, [NUMBER, "line", "start_month", "regimen"]]
    lines["regimen"] = lines["regimen"].str.casefold().str.strip()
    same = lines[NUMBER] == lines[NUMBER].shift()
    at_once = same & (lines["start_month"] == lines["start_month"].shift())
    again = same & ~at_once & (lines["regimen"] == lines["regimen"].shift())
    expected = "usually one line for all drugs that start on one day; an import makes one by lines"
    problems = salvage.problems(at_once.reindex(salvage.frame.index), "start_month", expected)
    expected = "usually another regimen than the line before it; an import joins doses by lines"
    return problems + salvage.problems(again.reindex(salvage.frame.index), "regimen", expected)


def _contradictions(tables: Mapping[str, TypedTable]) -> list[Problem]:
    """What one cell says against another, and what is left out of the counts for that reason."""
    patients, salvage, events = (tables[table.name] for table in schema.TABLES)
    ids = patients.frame["patient_id"].map(plain_id)
    expected = "usually no id that differs from another by capitals, marks or zeros alone"
    problems = patients.problems(ids.duplicated() & (ids != ""), "patient_id", expected)
    alive = patients.frame.loc[patients.frame["died"] == 0, NUMBER]
    lines = salvage.frame
    ended = lines[NUMBER].isin(alive) & (lines["response_end_reason"] == "death")
    expected = "no death of a patient who is alive at last contact"
    problems += salvage.problems(ended, "response_end_reason", expected)
    problems += _progressions_without_month(salvage)
    silent = ~lines["best_response"].isin(RESPONSE)
    expected = "usually blank unless the best response is CR or PR; it is not counted"
    for column in ("response_month", "response_end_month", "response_end_reason"):
        problems += salvage.problems(silent & lines[column].notna(), column, expected)
    fatal = events.frame[NUMBER].isin(alive) & (events.frame["grade"] == FATAL_GRADE)
    expected = "no fatal event of a patient who is alive at last contact"
    problems += events.problems(fatal, "grade", expected)
    untreated = ~events.frame[NUMBER].isin(lines[NUMBER])
    expected = "usually a patient with a salvage line; the event is not counted"
    return problems + events.problems(untreated, "patient_id", expected)


def _against_the_course(tables: Mapping[str, TypedTable]) -> list[Problem]:
    """What a line, a death or its cause says against the response that came before it."""
    patients, salvage, events = (tables[table.name] for table in schema.TABLES)
    deaths = patients.frame.set_index(NUMBER)[["died", "cause_of_death"]]
    told = patients.frame["cause_of_death"].notna() & (patients.frame["died"] == 0)
    expected = "usually blank for a patient who is alive at last contact"
    problems = patients.problems(told, "cause_of_death", expected)
    lines = salvage.frame.join(deaths, on=NUMBER)
    lasting, reason = _lasting_response(lines), lines["response_end_reason"]
    again = (lines["category"] == "second_cart") & (lines["intent"] != "consolidation")
    expected = "usually after the loss of the response before; else with intent consolidation"
    problems += salvage.problems(again & lasting.notna(), "start_month", expected)
    worse = (lasting == "CR") & lines["best_response"].isin(["PR", "SD"])
    expected = "no PR or SD of a line that began in CR"
    problems += salvage.problems(worse, "best_response", expected)
    expected = "no ongoing response of a patient who died"
    ongoing = (reason == "ongoing") & (lines["died"] == 1)
    problems += salvage.problems(ongoing, "response_end_reason", expected)
    of_lymphoma = lines["cause_of_death"] == "lymphoma"
    expected = "usually progression before a death of lymphoma, or another cause_of_death"
    problems += salvage.problems(
        of_lymphoma & (reason == "death") & lines["best_response"].isin(RESPONSE),
        "response_end_reason",
        expected,
    )
    causes = events.frame[NUMBER].map(deaths["cause_of_death"])
    fatal = (events.frame["grade"] == FATAL_GRADE) & (causes == "lymphoma")
    expected = "usually treatment or infection as cause_of_death after a fatal event"
    return problems + events.problems(fatal, "grade", expected)


def _lasting_response(lines: pd.DataFrame) -> "pd.Series[str]":
    """CR or PR of the line before that is recorded as lasting when a line starts; else missing.

    A response lasts that ended with the new treatment, is ongoing or ended later, unless
    progression came between.
    """
    ordered = lines.iloc[np.lexsort((lines["line"], lines[NUMBER]))]
    course = ["best_response", "response_end_month", "response_end_reason", "progression_month"]
    before = ordered.groupby(NUMBER)[course].shift()
    lasts = before["response_end_reason"].isin(["new_treatment", "ongoing"])
    lasts |= before["response_end_month"] > ordered["start_month"]
    lasts &= ~(before["progression_month"] <= ordered["start_month"])
    lasts &= before["best_response"].isin(RESPONSE)
    return before["best_response"].where(lasts).reindex(lines.index)


def unlikely_days(
    days: "pd.Series[float]", of_infusion: bool, cut_off: dt.date | None
) -> Iterator[tuple[str, "pd.Series[bool]"]]:
    """What a calendar day seldom is, and which of some day numbers are so."""
    yield "usually no date in the future", days > dt.date.today().toordinal()
    if cut_off is not None:
        yield "usually no later than the study's data_cut_off", days > cut_off.toordinal()
    if of_infusion:
        expected = f"usually {FIRST_INFUSION.year} or later, since CAR-T was hardly given before"
        yield expected, days < FIRST_INFUSION.toordinal()


def _progressions_without_month(salvage: TypedTable) -> list[Problem]:
    """Best responses of PD without the month of the progression; the first if none has one."""
    lines = salvage.frame
    lacking = (lines["best_response"] == "PD") & lines["progression_month"].isna()
    expected = "usually a month where the best response is PD: without it the line's end is unknown"
    problems = salvage.problems(lacking, "progression_month", expected)
    return problems[:1] if lines["progression_month"].isna().all() else problems


def _unlikely_months(tables: Mapping[str, TypedTable]) -> list[Problem]:
    """Months that are days, or a date in the future."""
    expected = f"usually no more than {MANY_MONTHS:g} months; days or a wrong date give more"
    return [
        problem
        for table in schema.TABLES
        for column in table.columns
        if column.kind == "month"
        for problem in tables[table.name].problems(
            tables[table.name].frame[column.name] > MANY_MONTHS, column.name, expected
        )
    ]
