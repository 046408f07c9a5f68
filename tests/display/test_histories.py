"""The histories behind the swimmer plot: what they say, where they stand, and who never sees
them.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from book.extensions.outputs import view_block
from salvage.cohort import Cohort, load
from salvage.display import figures, show
from salvage.display.figures.histories import History, Moment, histories
from salvage.display.show import HIDDEN_HERE
from salvage.paths import DATA
from tests.cohorts import EDGES, Recipe, Tables, generate


def texts(history: History) -> list[str]:
    said = [[m.when, m.what, *m.details] for m in history.moments]
    return [history.patient_id, history.summary, *(text for moment in said for text in moment)]


def public(cohort: Cohort) -> Cohort:
    return replace(cohort, study=replace(cohort.study, audience="public"))


# --- what they say --------------------------------------------------------------------------------


def a_cohort() -> Cohort:
    """A patient of whom everything is recorded, and one of whom only what is required."""
    patients = pd.DataFrame(
        {
            "patient_id": ["B", "A"],
            "relapse_month": [3.04, 3.0],
            "os_month": [12, 4.5],
            "died": [0, 1],
            "cart_target": ["CD19", None],
            "cart_product": ["axi-cel", None],
            "cart_best_response": ["CR", None],
        }
    )
    salvage = pd.DataFrame(
        {
            "patient_id": ["B", "B", "A"],
            "line": [1, 2, 1],
            "category": ["bispecific", "second_cart", "other"],
            "regimen": ["glofitamab", None, None],
            "target_switched": [None, 1, None],
            "start_month": [3.04, 8, 3],
            "best_response": ["PR", "NE", "SD"],
            "response_month": [4, None, None],
            "response_end_month": [6.5, None, None],
            "response_end_reason": ["progression", None, None],
            "progression_month": [6.5, None, None],
            "end_month": [6, None, None],
            "intent": ["definitive", None, None],
        }
    )
    events = pd.DataFrame(
        {
            "patient_id": ["B", "B", "B", "B"],
            "line": [1, 1, None, None],
            "term": ["CRS", "fatigue", "infection", "anaemia"],
            "grade": [2, None, 3, 1],
            "scale": ["ASTCT", None, "CTCAE 5.0", None],
            "onset_month": [3.1, None, 7, None],
        }
    )
    settings = {"labels": {"other": "Anything else"}}
    return Tables(patients, salvage, events, settings).cohort()


def told(patient: str, cohort: Cohort) -> History:
    return next(h for h in histories(cohort) if h.patient_id == patient)


def test_a_history_says_all_that_is_recorded_in_the_order_of_its_months() -> None:
    assert told("B", a_cohort()) == History(
        "B",
        "B: late relapse at 3.0 months, alive at last contact at 12.0 months",
        (
            Moment("0.0", "CAR-T infusion", ("CD19, axi-cel", "Best response: complete response")),
            Moment("3.0", "Late relapse"),
            Moment(
                "3.0 to 6.0",
                "Line 1: Bispecific antibody, glofitamab",
                (
                    "Intent: definitive",
                    "Best response: partial response from 4.0 to 6.5 months (progression)",
                    "Progression at 6.5 months",
                    "Adverse events: Cytokine release syndrome grade 2 (ASTCT 2019) at 3.1 months; "
                    "Fatigue",
                ),
            ),
            Moment("7.0", "Adverse event: Infection grade 3 (CTCAE 5.0)"),
            Moment(
                "from 8.0",
                "Line 2: Second CAR-T infusion",
                ("Another target than the first CAR-T", "Best response: not evaluable"),
            ),
            Moment("", "Adverse event: Anaemia grade 1"),
            Moment("12.0", "Alive at last contact"),
        ),
    )


def test_a_history_leaves_out_what_is_not_recorded() -> None:
    assert told("A", a_cohort()) == History(
        "A",
        "A: early relapse at 3.0 months, died at 4.5 months",
        (
            Moment("0.0", "CAR-T infusion"),
            Moment("3.0", "Early relapse"),
            Moment("from 3.0", "Line 1: Anything else", ("Best response: stable disease",)),
            Moment("4.5", "Died"),
        ),
    )


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        (4.0, 6.5, " from 4.0 to 6.5 months"),
        (4.0, np.nan, " from 4.0 months"),
        (np.nan, 6.5, " to 6.5 months"),
        (np.nan, np.nan, ""),
    ],
)
def test_a_response_is_told_with_the_months_that_are_recorded(
    first: float, last: float, months: str
) -> None:
    cohort = a_cohort()
    lines = cohort.salvage.assign(response_month=first, response_end_month=last)
    line = told("B", replace(cohort, salvage=lines)).moments[2]
    assert line.details[1] == f"Best response: partial response{months} (progression)"


@pytest.mark.parametrize("name", ["shipped", *sorted(EDGES)])
def test_the_histories_of_any_cohort_are_whole(name: str) -> None:
    cohort = load(DATA) if name == "shipped" else EDGES[name]().cohort()
    made = histories(cohort)
    assert [h.patient_id for h in made] == list(cohort.patients["patient_id"])
    loose = cohort.adverse_events["line"].isna().groupby(cohort.adverse_events["patient_id"]).sum()
    lines = cohort.salvage["patient_id"].value_counts()
    for history, died in zip(made, cohort.patients["died"], strict=True):
        one = history.patient_id
        assert len(history.moments) == 3 + lines.get(one, 0) + loose.get(one, 0)
        assert history.moments[0].what == "CAR-T infusion"
        assert history.moments[-1].what == ("Died" if died else "Alive at last contact")
        for text in texts(history):
            assert not re.search(r"[{}\n]|\bnan\b|\bNone\b|\bNaT\b", text), text


# --- where they stand -----------------------------------------------------------------------------


@pytest.mark.parametrize("patients", [1, 29, 80])
def test_each_lane_of_the_view_lies_on_its_lane_of_the_picture(patients: int) -> None:
    cohort = generate(Recipe(patients=patients)).cohort()
    shown = figures.swimmer_plot(cohort)._repr_mimebundle_()
    view, svg = shown[show.FIGURE_MIME]["view"], shown["image/svg+xml"]
    order = cohort.patients.sort_values(["os_month", "patient_id"], ascending=[False, True])
    assert [lane["patient_id"] for lane in view["lanes"]] == list(order["patient_id"])
    box = re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)
    assert box is not None
    for place, lane in enumerate(view["lanes"]):
        # The first two patches are the faces of the figure and of the axes, then come the lanes.
        bar = re.search(rf'id="patch_{place + 3}">\s*<path d="([^"]+)"', svg)
        assert bar is not None
        heights = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", bar.group(1))]
        middle = (min(heights) + max(heights)) / 2 / float(box.group(1))
        assert middle == pytest.approx((lane["top"] + lane["bottom"]) / 2, abs=1e-5)
        assert max(heights) / float(box.group(1)) < lane["bottom"]


def test_a_page_carries_a_view_as_data_that_nothing_in_it_can_end() -> None:
    hostile = "</script><script>alert(1)</script><!-- ``` & \u2028 :::: {{ }} $x$ 患者"
    block = view_block("fig-swimmer", {"lanes": [{"summary": hostile}]})
    first, data, last = block.split("\n")
    assert (first, last) == ("```{raw} html", "```")
    found = re.fullmatch(
        r'<script type="application/json" class="figure-view" data-figure="fig-swimmer">'
        r"([^<>&`]*)</script>",
        data,
    )
    assert found is not None
    assert json.loads(found.group(1)) == {"lanes": [{"summary": hostile}]}


def test_a_figure_without_a_view_carries_none() -> None:
    shown = figures.overview(load(DATA))._repr_mimebundle_()
    assert "view" not in shown[show.FIGURE_MIME]


# --- who never sees them --------------------------------------------------------------------------


def test_no_history_is_told_in_public_or_above_eighty_patients() -> None:
    many = generate(Recipe(patients=81)).cohort()
    for cohort in (public(load(DATA)), many, public(many)):
        shown = figures.swimmer_plot(cohort)._repr_mimebundle_()
        assert show.FIGURE_MIME not in shown
        said = "\n".join(shown.values())
        assert not [h.summary for h in histories(cohort) if h.summary in said]


def test_a_public_book_hides_the_view() -> None:
    assert "view" in figures.swimmer_plot(load(DATA))._repr_mimebundle_()[show.FIGURE_MIME]
    shown = figures.swimmer_plot(public(load(DATA)))._repr_mimebundle_()
    assert show.FIGURE_MIME not in shown
    assert HIDDEN_HERE in shown["text/plain"]


def test_the_view_is_the_same_each_time() -> None:
    first, second = (figures.swimmer_plot(load(DATA))._repr_mimebundle_() for _ in range(2))
    assert first == second
    assert np.all(np.diff([lane["top"] for lane in first[show.FIGURE_MIME]["view"]["lanes"]]) > 0)
