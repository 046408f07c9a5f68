"""Figures: what they plot is what the data say, and they hold for any cohort."""

import io
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text

from salvage import words
from salvage.analysis import prognosis, response, safety, simulate, survival
from salvage.analysis.provenance import facts
from salvage.analysis.survival import Times
from salvage.cohort import Cohort, load
from salvage.display import figures, show
from salvage.display.figures import (
    adverse_events,
    alluvial,
    flow,
    kaplan_meier,
    published,
    responses,
    style,
    swimmer,
)
from salvage.display.figures.forest import RATIO_TICKS
from salvage.evidence import audit
from salvage.paths import DATA
from tests.cohorts import EDGES, Recipe, generate, recipes

CATEGORIES = list(words.CATEGORIES)


@cache
def shipped() -> Cohort:
    return load(DATA)


@cache
def edge(name: str) -> Cohort:
    return EDGES[name]().cohort()


@cache
def everything() -> dict[str, Callable[[Cohort], Any]]:
    """Each figure of a cohort, by a key."""
    return {
        "flow": figures.cohort_flow,
        "relapse": figures.relapse_timeline,
        "swimmer": figures.swimmer_plot,
        "alluvial": figures.alluvial_diagram,
        "responses": figures.response_bars,
        "forest_orr": lambda c: figures.forest_rates(c, "orr"),
        "forest_cr": lambda c: figures.forest_rates(c, "cr"),
        "overview": figures.overview,
        "os_infusion": figures.os_from_infusion,
        "os_relapse": figures.os_from_relapse,
        "groups_infusion": lambda c: figures.os_by_relapse_group(c, "infusion"),
        "groups_relapse": lambda c: figures.os_by_relapse_group(c, "relapse"),
        "dor": figures.dor,
        "ae_grades": figures.ae_heatmap,
        "ae_category": figures.ae_by_category,
        "ae_butterfly": figures.ae_butterfly,
        "univariable": lambda c: figures.cox_forest(
            c.study,
            [figures.row_of(e) for e in prognosis.univariable_estimates(c)],
            "fig-univariable",
            "Baseline factors",
        ),
        "sweep": lambda c: figures.sweep_forest(
            c, prognosis.sweep(c, "os.from_relapse"), "OS from relapse", "fig-sweep"
        ),
        "origin": lambda c: figures.origin_forest(
            c.study, [figures.row_of(prognosis.late_against_early(c, "os"))]
        ),
        **{
            f"{made.__name__}_{key}": lambda c, made=made, key=key: made(c, key)
            for made in (figures.response_bars_by_line, figures.line_curves, figures.dor)
            for key in CATEGORIES
        },
    }


def drawn(made: Any) -> show.Figure:
    assert isinstance(made, show.Figure), made
    return made


def axes_of(made: Any, place: int = 0) -> Axes:
    axes = drawn(made).figure.axes[place]
    assert isinstance(axes, Axes)
    return axes


def texts(figure: Any) -> Iterator[tuple[Text, Any]]:
    """Visible texts of a figure that has been drawn, with their boxes in pixels."""
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            if box.width > 0:
                yield text, box


# --- every figure, every cohort -------------------------------------------------------------------


# Cohorts whose figures are also drawn in the quick tests; the others are drawn in the slow ones.
DRAWN = ("one_patient", "zero_intervals", "only_required_columns", "another_hospital")


def check(made: Any, cohort: Cohort, render: bool = True) -> None:
    """What is true of any figure: whole sentences, no warning, nothing cut off."""
    if isinstance(made, show.Absent):
        assert made.sentence.endswith(".")
        assert not re.search(r"[{}]|\bnan\b|\bNone\b", made.sentence)
        return
    drawn(made)
    assert re.fullmatch(r"fig-[a-z0-9-]+", made.name)
    own = "assumed" if cohort.study.synthetic else "observed"
    assert own in made.marks
    for sentence in (made.caption, made.alt):
        assert sentence[-1] == ".", sentence
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b|  |\.\.|;\.", sentence), sentence
    if not render:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.figure.canvas.draw()
    page = made.figure.bbox
    for text, box in texts(made.figure):
        if text.get_clip_on():
            continue
        inside = (
            box.x0 > page.x0 - 1.5
            and box.x1 < page.x1 + 1.5
            and box.y0 > page.y0 - 1.5
            and box.y1 < page.y1 + 1.5
        )
        assert inside, f"{text.get_text()!r} leaves the page of {made.name}"
        assert text.get_fontsize() >= 9


def check_all(name: str, render: bool) -> None:
    cohort = edge(name)
    for key, make in everything().items():
        # The first two categories stand for all, and one measure for both: none is special.
        if key.endswith((*CATEGORIES[2:], "forest_cr")):
            continue
        made = make(cohort)
        try:
            check(made, cohort, render)
        except (AssertionError, Warning) as error:
            raise AssertionError(f"{name}, {key}: {error}") from error


@pytest.mark.slow
@pytest.mark.parametrize("name", EDGES)
def test_every_figure_holds_for_every_edge_cohort(name: str) -> None:
    check_all(name, name in DRAWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(EDGES) - set(DRAWN)))
def test_every_figure_of_every_edge_cohort_is_drawn(name: str) -> None:
    check_all(name, True)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(recipe=recipes(max_patients=30), key=st.sampled_from(sorted(everything())))
def test_every_figure_holds_for_random_cohorts(recipe: Recipe, key: str) -> None:
    cohort = generate(recipe).cohort()
    check(everything()[key](cohort), cohort)


def test_figures_of_the_shipped_cohort_exist_and_no_two_texts_overlap() -> None:
    for key, make in everything().items():
        made = drawn(make(shipped()))
        check(made, shipped())
        assert not re.search(r"[\s\"-]nan[\s\"]", made.svg())
        made.figure.canvas.draw()
        for (first, a), (second, b) in combinations(texts(made.figure), 2):
            width = min(a.x1, b.x1) - max(a.x0, b.x0)
            height = min(a.y1, b.y1) - max(a.y0, b.y0)
            # Boxes hold the room of accents and tails, which the neighbouring line may use.
            clash = width > 1.5 and height > 0.35 * min(a.height, b.height)
            turned = first.get_rotation() or second.get_rotation()
            assert not clash or turned, f"{key}: {first.get_text()!r} on {second.get_text()!r}"


def test_a_figure_is_the_same_bytes_each_time_and_touches_no_global_state() -> None:
    from matplotlib import pyplot

    before, size = list(pyplot.get_fignums()), mpl.rcParams["font.size"]
    first, second = (figures.swimmer_plot(shipped()).svg() for _ in range(2))
    assert first == second
    assert drawn(figures.swimmer_plot(shipped())).figure.get_facecolor() == (1, 1, 1, 1)
    assert list(pyplot.get_fignums()) == before
    assert mpl.rcParams["font.size"] == size


def test_every_name_that_chapters_import_exists() -> None:
    for name in figures.__all__:
        assert callable(getattr(figures, name))
    assert set(figures.__all__) < set(dir(figures))
    with pytest.raises(AttributeError, match="no attribute 'pie_chart'"):
        figures.pie_chart  # noqa: B018 -- asking is the test


# --- looks and words ------------------------------------------------------------------------------


def lightness(colour: str) -> float:
    red, green, blue = mpl.colors.to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("looks", [style.CATEGORY, style.RESPONSE, style.GROUP])
def test_looks_differ_by_colour_and_in_grey_by_lightness_hatch_or_line(
    looks: dict[str, style.Look],
) -> None:
    assert len({look.colour for look in looks.values()}) == len(looks)
    for a, b in combinations(looks.values(), 2):
        apart = abs(lightness(a.colour) - lightness(b.colour)) > 0.12
        assert apart or a.hatch != b.hatch or a.line != b.line


def test_every_code_has_a_look() -> None:
    assert list(style.CATEGORY) == list(words.CATEGORIES)
    assert list(style.RESPONSE) == list(words.RESPONSES)
    assert list(style.GROUP) == list(words.RELAPSE_GROUPS)


def test_text_on_a_colour_can_be_read() -> None:
    for look in (*style.CATEGORY.values(), *style.RESPONSE.values()):
        channels = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in mpl.colors.to_rgb(look.colour)
        ]
        luminance = np.dot([0.2126, 0.7152, 0.0722], channels)
        contrast = (
            1.05 / (luminance + 0.05)
            if style.text_colour_on(look.colour) == "white"
            else (luminance + 0.05) / 0.05
        )
        assert contrast > 4.5  # WCAG 2, level AA


def test_labels_are_text_and_never_formulas() -> None:
    """A dollar sign, markup or a line feed of a data file is shown as it is, on one line."""
    label = "$\\frac{1}{0}$ <b>&amp;\n{glue}"
    study = replace(shipped().study, labels={"bispecific": label})
    made = drawn(figures.response_bars(replace(shipped(), study=study)))
    made.svg()
    shown = [t.get_text().replace("\n", " ") for t, _ in texts(made.figure)]
    # Broken into lines, but not a character is lost.
    assert any("$\\frac{1}{0}$ <b>&amp; {glue}" in t for t in shown)
    assert not any(t.get_parse_math() for t, _ in texts(made.figure) if "$" in t.get_text())
    assert "{glue}" in made.alt


BISPECIFIC = "双特异性抗体"
SHIPPED_HAN = "策略"  # in the index study's own title, so in the bundled font


def labelled(label: str) -> show.Figure:
    study = replace(shipped().study, labels={"bispecific": label})
    return drawn(figures.response_bars(replace(shipped(), study=study)))


def outlined(made: show.Figure) -> bool:
    """Whether the picture holds the outlines of all its letters; it must be drawn in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return "<text" not in made.svg()


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make figures find these families alone."""
    caches = (style.fonts, style._characters)

    def set_families(*families: str) -> None:
        monkeypatch.setattr(style, "FONTS", families)
        for cached in caches:
            cached.cache_clear()

    yield set_families
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


def test_a_font_without_bold_is_used_in_silence(
    only: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    only("DejaVu Sans", "Book Han Serif")
    # Matplotlib remembers what it has found, and warns the first time only.
    style.font_manager.FontManager._findfont_cached.cache_clear()
    with style.drawing(2) as figure:
        figure.text(0, 0, SHIPPED_HAN, weight="bold")
    figure.savefig(io.BytesIO(), format="svg")
    assert not caplog.records


def test_without_a_chinese_font_text_stays_text(only: Callable[..., None]) -> None:
    only("DejaVu Sans")
    made = labelled(BISPECIFIC)
    assert not outlined(made)
    assert re.search(rf"<text[^>]*>{BISPECIFIC}", made.svg())


def test_the_bundled_font_draws_the_chinese_of_the_shipped_text(only: Callable[..., None]) -> None:
    only("DejaVu Sans", "Book Han Serif")
    assert outlined(labelled(SHIPPED_HAN))
    assert not outlined(labelled(BISPECIFIC + "\U0002a6d6"))


def test_chinese_of_a_cohort_is_drawn_with_a_font_of_the_system() -> None:
    if len(style.fonts()) < 3 and not os.environ.get("CI"):
        pytest.skip("no Chinese font is installed (Debian: fonts-wqy-microhei)")
    assert style.fonts()[-1] == "Book Han Serif"
    assert outlined(labelled(BISPECIFIC + "，瑞基奥仑赛"))


def test_a_font_installed_after_matplotlib_listed_them_is_found(
    only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = style.font_manager.fontManager
    old = [entry for entry in manager.ttflist if entry.name == "DejaVu Sans"]
    monkeypatch.setattr(manager, "ttflist", old)
    installed = [__file__, str(style.BUNDLED_HAN)]  # the first is no font
    monkeypatch.setattr(style.font_manager, "findSystemFonts", lambda: installed)
    monkeypatch.setattr(style, "BUNDLED_HAN", Path("nowhere.otf"))
    only("DejaVu Sans", "Book Han Serif")
    assert style.fonts() == ("DejaVu Sans", "Book Han Serif")


def test_text_stays_text_where_no_font_has_its_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    made = drawn(figures.response_bars(shipped()))
    assert outlined(made)
    monkeypatch.setattr(style, "_has_characters", lambda text, family: text < "A")
    assert re.search(r"<text[^>]*>Bispecific \(n = 12\)</text>", made.svg())


@pytest.mark.parametrize(
    ("text", "width", "lines", "expected"),
    [
        ("a few words here", 8, 3, "a few\nwords\nhere"),
        ("a few words here", 8, 2, "a few\nwords…"),
        ("双特异性抗体治疗", 8, 3, "双特异性\n抗体治疗"),
        ("two\nlines\tof\x00text", 40, 3, "two lines of text"),
        ("", 8, 3, ""),
    ],
)
def test_wrapping(text: str, width: int, lines: int, expected: str) -> None:
    assert style.wrap(text, width, lines) == expected


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (0.5, [0, 0.25, 0.5]),
        (7.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (15.0, [0, 2, 4, 6, 8, 10, 12, 14]),
        (100.0, [0, 24, 48, 72, 96]),
    ],
)
def test_month_ticks(end: float, expected: list[float]) -> None:
    assert style.month_ticks(end) == expected


# --- Kaplan-Meier ---------------------------------------------------------------------------------


def product_limit(time: np.ndarray, event: np.ndarray, at: float) -> float:
    """The textbook product, one event time after the other."""
    alive = 1.0
    for t in sorted(set(time[event])):
        if t <= at:
            alive *= 1 - np.sum(event & (time == t)) / np.sum(time >= t)
    return alive


def plotted(axes: Axes, label: str, at: float) -> float:
    """Height of a curve just after ``at``."""
    line = next(x for x in axes.lines if x.get_label() == label)
    assert line.get_drawstyle() == "steps-post"
    x, y = line.get_data()
    return float(np.asarray(y)[np.flatnonzero(np.asarray(x) <= at + 1e-9)[-1]])


def table_of(axes: Axes) -> dict[float, list[int]]:
    """The numbers under a curve by tick, from the top down."""
    found: dict[float, list[int]] = {}
    for text in axes.texts:
        if re.fullmatch(r"[\d,]+", text.get_text()):
            x, down = float(text.xy[0]), -text.xyann[1]
            found.setdefault(x, []).append((down, int(text.get_text().replace(",", ""))))
    return {x: [n for _, n in sorted(cells)] for x, cells in found.items()}


def test_the_curve_its_band_and_its_table_are_those_of_the_data() -> None:
    patients = shipped().patients
    time, event = patients["os_month"].to_numpy(), patients["died"].to_numpy()
    axes = axes_of(figures.os_from_infusion(shipped()))
    for at in (0.0, 0.95, 1.0, 3.0, 6.95, 7.0, 9.9, 12.0, 14.9, 15.0):
        assert plotted(axes, "OS from CAR-T infusion", at) == pytest.approx(
            product_limit(time, event, at), abs=1e-12
        )
    table = table_of(axes)
    assert list(table) == [float(t) for t in axes.get_xticks()]
    for tick, (at_risk, censored, events) in table.items():
        assert at_risk == np.sum(time >= tick)
        assert censored == np.sum(~event & (time <= tick))
        assert events == np.sum(event & (time <= tick))
    marks = next(x for x in axes.lines if x.get_label() == "_censored")
    assert sorted(marks.get_xdata()) == sorted(set(time[~event]))
    curve = survival.from_infusion(shipped()).curve()
    corners = axes.collections[0].get_paths()[0].vertices
    for at, low, high in zip(curve.time, curve.low, curve.high, strict=True):
        if np.isfinite(low):
            here = corners[np.isclose(corners[:, 0], at), 1]
            assert np.isclose(here, low).any()
            assert np.isclose(here, high).any()


@pytest.mark.parametrize("origin", ["infusion", "relapse"])
def test_relapse_groups_have_their_own_curves_and_tables(origin: Any) -> None:
    cohort = shipped()
    made = figures.os_by_relapse_group(cohort, origin)
    axes = axes_of(made)
    start = 0 if origin == "infusion" else cohort.patients["relapse_month"]
    time = (cohort.patients["os_month"] - start).to_numpy()
    event, late = cohort.patients["died"].to_numpy(), cohort.late.to_numpy()
    table = table_of(axes)
    for i, (key, rows) in enumerate((("early", ~late), ("late", late))):
        label = words.RELAPSE_GROUPS[key]
        for at in (1.0, 3.0, 6.0):
            expected = product_limit(np.round(time[rows], 9), event[rows], at)
            assert plotted(axes, label, at) == pytest.approx(expected, abs=1e-12)
        counts = table[0.0][3 * i : 3 * i + 3]
        assert counts[0] == rows.sum()
        assert f"{label}: {words.count(int(rows.sum()), 'patient')}" in made.caption
    assert "guarantee" in made.caption


def test_curves_of_lines_say_how_many_patients_repeat() -> None:
    lines = shipped().salvage[shipped().salvage["best_response"].isin(["CR", "PR"])]
    made = drawn(figures.dor(shipped()))
    assert f"{len(lines)} lines of {lines['patient_id'].nunique()} patients" in made.caption
    assert table_of(axes_of(made))[0.0][0] == len(lines)


def test_durations_without_a_column_are_left_out_and_named() -> None:
    made = drawn(figures.line_curves(edge("only_required_columns"), "bispecific"))
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in made.figure.axes]
    assert titles == [words.DURATIONS["ttnt"], words.DURATIONS["os_from_start"]]
    assert "Not shown: progression-free survival, because no progression month" in made.caption
    absent = figures.dor(edge("only_required_columns"))
    assert isinstance(absent, show.Absent)
    assert "no month of response is recorded" in absent.sentence


def test_each_panel_of_a_category_has_its_own_curve() -> None:
    cohort = shipped()
    made = drawn(figures.line_curves(cohort, "second_cart"))
    for axes, key in zip(made.figure.axes, ("pfs", "ttnt", "os_from_start"), strict=True):
        times = survival.line_times(cohort, key, "second_cart")
        assert plotted(axes, times.label, 2.0) == pytest.approx(times.curve().at(2.0).value)
        assert table_of(axes)[0.0] == [
            times.n,
            int((~times.event & (times.time == 0)).sum()),
            int((times.event & (times.time == 0)).sum()),
        ]


def test_a_large_curve_is_read_on_a_day_grid_and_stays_true() -> None:
    rng = np.random.default_rng(5)
    n = 100_000
    times = Times("many", rng.exponential(20, n), rng.random(n) < 0.7, np.arange(n).astype(object))
    curve = times.curve()
    at, value, low, high = kaplan_meier.steps(curve)
    assert len(at) <= kaplan_meier.MOST_POINTS + 2
    for t, v, lo, hi in list(zip(at, value, low, high, strict=True))[1::97]:
        exact = curve.at(t)
        assert (v, lo, hi) == (exact.value, exact.low, exact.high)
    assert at[-1] == curve.time[-1]
    made = drawn(figures.km(shipped().study, [times], "fig-many", "Many"))
    assert len(made.svg()) < 400_000
    assert "day grid" in made.caption
    assert table_of(axes_of(made))[0.0][0] == n


# --- swimmer --------------------------------------------------------------------------------------


def test_lanes_run_from_the_longest_to_the_shortest() -> None:
    axes = axes_of(figures.swimmer_plot(shipped()))
    expected = shipped().patients.sort_values(["os_month", "patient_id"], ascending=[False, True])
    assert [t.get_text() for t in axes.get_yticklabels()] == list(expected["patient_id"])
    bars = [p for p in axes.patches if isinstance(p, Rectangle)][: len(expected)]
    assert [p.get_width() for p in bars] == list(expected["os_month"])
    top, bottom = axes.get_ylim()[::-1]
    assert top < 0 < bottom  # the first lane is the uppermost


def test_segments_and_marks_stand_where_the_data_say() -> None:
    cohort = shipped()
    axes = axes_of(figures.swimmer_plot(cohort))
    place = {t.get_text(): i for i, t in enumerate(axes.get_yticklabels())}
    bars = [p for p in axes.patches if isinstance(p, Rectangle)][len(place) :]
    drawn_ = {
        (round(p.get_y() + p.get_height() / 2), p.get_x(), round(p.get_width(), 9)) for p in bars
    }
    lines = cohort.salvage.copy()
    for row in lines.itertuples():
        own = lines[lines["patient_id"] == row.patient_id]
        later = own[own["line"] == row.line + 1]["start_month"]
        last = cohort.patients.set_index("patient_id").loc[row.patient_id, "os_month"]
        end = row.end_month
        if np.isnan(end):
            end = later.iloc[0] if len(later) else last
        assert (place[row.patient_id], row.start_month, round(end - row.start_month, 9)) in drawn_
    assert len(bars) == len(lines)

    def marks(symbol: str) -> set[tuple[float, int]]:
        found: set[tuple[float, int]] = set()
        for line in axes.lines:
            if line.get_marker() == symbol:
                found |= {(float(x), int(y)) for x, y in zip(*line.get_data(), strict=True)}
        return found

    people = cohort.patients
    at = people["patient_id"].map(place)
    died = people["died"]
    assert marks("X") == set(zip(people["os_month"][died], at[died], strict=True))
    assert marks(">") == set(zip(people["os_month"][~died], at[~died], strict=True))
    assert marks("|") == set(zip(people["relapse_month"], at, strict=True))
    for symbol, best in (("*", "CR"), ("^", "PR")):
        part = lines[lines["best_response"] == best]
        assert marks(symbol) == set(
            zip(part["response_month"], part["patient_id"].map(place), strict=True)
        )
    progressed = lines.dropna(subset=["progression_month"])
    assert marks("d") == set(
        zip(progressed["progression_month"], progressed["patient_id"].map(place), strict=True)
    )


def test_a_response_without_its_month_is_hollow_and_said_so() -> None:
    cohort = edge("only_required_columns")
    marks = swimmer.response_marks(cohort)
    assert not marks["dated"].any()
    starts = cohort.salvage.loc[marks.index, "start_month"]
    assert list(marks["month"]) == list(starts)
    assert "hollow" in figures.swimmer_plot(cohort).caption
    assert "hollow" not in figures.swimmer_plot(shipped()).caption


def test_the_swimmer_gives_way_above_eighty() -> None:
    many = figures.swimmer_plot(generate(Recipe(patients=81)).cohort())
    assert isinstance(many, show.Absent)
    assert "81" in many.sentence
    assert isinstance(figures.swimmer_plot(generate(Recipe(patients=80)).cohort()), show.Figure)
    assert "internal use only" in figures.swimmer_plot(shipped()).caption


# --- flow, relapse, sequence ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shipped", *EDGES])
def test_the_flow_loses_nobody(name: str) -> None:
    cohort = shipped() if name == "shipped" else edge(name)
    steps = flow.flow_steps(cohort)
    assert steps[0].n == len(cohort.patients)
    for before, after in pairwise(steps):
        assert before.n - before.stopped == after.n
    for line, step in list(enumerate(steps))[1:]:
        assert step.n == (cohort.salvage["line"] == line).sum()
    untreated = ~cohort.patients["patient_id"].isin(cohort.salvage["patient_id"])
    assert steps[0].stopped == untreated.sum()
    assert steps[0].stopped_died == (untreated & cohort.patients["died"]).sum()
    shown = " ".join(t.get_text() for t in axes_of(figures.cohort_flow(cohort)).texts)
    deaths = int(cohort.patients["died"].sum())
    assert f"{deaths} died, {len(cohort.patients) - deaths} alive" in shown


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (0, "CAR-T, no salvage line, and deaths"),
        (1, "CAR-T, their first salvage line, and deaths"),
        (2, "CAR-T, their salvage lines one and two, and deaths"),
        (3, "CAR-T, their salvage lines one to three, and deaths"),
        (6, "CAR-T, their salvage lines one to four, and deaths"),
    ],
)
def test_the_caption_of_the_flow_says_which_lines_are_drawn(lines: int, said: str) -> None:
    cohort = generate(Recipe(patients=6, lines=max(lines, 1), exactly=True)).cohort()
    drawn = cohort.salvage[cohort.salvage["line"] <= lines]
    assert said in figures.cohort_flow(replace(cohort, salvage=drawn)).caption


def test_lines_after_the_fourth_are_counted_in_the_last_box() -> None:
    cohort = generate(Recipe(patients=6, lines=6, exactly=True)).cohort()
    steps = flow.flow_steps(cohort)
    assert len(steps) == 5
    assert steps[-1].label == "Salvage line 4\n(6 had further lines)"


def test_relapse_at_the_cut_off_stands_on_the_early_side() -> None:
    cut = shipped().study.early_relapse_months
    months = np.array([0.0, cut - 0.1, cut, cut, cut + 0.1, 11.0])
    patients = shipped().patients.head(6).assign(relapse_month=months, os_month=12.0)
    ids = patients["patient_id"]
    cohort = replace(
        shipped(),
        patients=patients.reset_index(drop=True),
        salvage=shipped().salvage[shipped().salvage["patient_id"].isin(ids)],
    )
    axes = axes_of(figures.relapse_timeline(cohort))
    heights = dict.fromkeys(words.RELAPSE_GROUPS.values(), 0.0)
    for container in axes.containers:
        label = str(container.get_label()).split(":")[0]
        for bar in container:
            heights[label] += bar.get_height()
            if bar.get_height():
                early = label == words.RELAPSE_GROUPS["early"]
                assert early == (bar.get_x() + bar.get_width() <= cut + 1e-9)
    assert heights == {"Early relapse": 4, "Late relapse": 2}
    rug = next(line for line in axes.lines if line.get_marker() == "|")
    assert sorted(rug.get_xdata()) == sorted(months)


@given(
    months=st.lists(st.floats(0, 400, allow_nan=False), min_size=1, max_size=50),
    cut=st.floats(0.1, 100),
)
def test_bins_hold_every_relapse_and_break_at_the_cut_off(months: list[float], cut: float) -> None:
    edges = flow.relapse_bins(np.array(months), cut)
    assert edges[0] <= 1e-9
    assert edges[-1] >= max(months) - 1e-6
    assert np.isclose(edges, cut).any()
    assert len(edges) <= flow.MOST_BINS + 4 or max(*months, cut) > 600 * flow.MOST_BINS


@pytest.mark.parametrize("name", ["shipped", *EDGES])
def test_what_flows_out_of_a_block_flows_in_elsewhere(name: str) -> None:
    cohort = shipped() if name == "shipped" else edge(name)
    table, found = alluvial.flows(cohort), alluvial.blocks(cohort)
    last = max(line for line, _ in found)
    for (line, key), block in found.items():
        rows = cohort.salvage[
            (cohort.salvage["line"] == line) & (cohort.salvage["category"] == key)
        ]
        if key != alluvial.NONE:
            assert block.n == len(rows)
            assert block.responding == rows["best_response"].isin(["CR", "PR"]).sum()
            out = table[(table["line"] == line) & (table["category"] == key)]["n"].sum()
            assert out == (block.n if line < last else 0)
        into = table[(table["line"] == line - 1) & (table["next"] == key)]["n"].sum()
        assert into == (block.n if line > 1 else 0)


def test_ribbons_stay_within_their_blocks() -> None:
    found = alluvial.blocks(shipped())
    axes = axes_of(figures.alluvial_diagram(shipped()))
    paths = [p for p in axes.patches if p.get_zorder() == 2]
    assert len(paths) == len(alluvial.flows(shipped()))
    for patch in paths:
        corners = patch.get_path().vertices
        for line, top, bottom in (
            (round(corners[0, 0]), corners[0, 1], corners[7, 1]),
            (round(corners[3, 0]), corners[3, 1], corners[4, 1]),
        ):
            assert any(
                at[0] == line and block.top - 1e-9 <= top and bottom <= block.top + block.n + 1e-9
                for at, block in found.items()
            )


# --- responses ------------------------------------------------------------------------------------


def test_bars_are_as_wide_as_their_counts_and_print_them() -> None:
    cohort = shipped()
    axes = axes_of(figures.response_bars(cohort))
    expected = pd.crosstab(cohort.salvage["category"], cohort.salvage["best_response"])
    assert [c.get_label() for c in axes.containers] == list(words.RESPONSES)
    for container in axes.containers:
        for bar, key in zip(container, CATEGORIES, strict=True):
            assert bar.get_width() == expected.loc[key, container.get_label()]
    printed = sorted(int(t.get_text()) for t in axes.texts)
    assert printed == sorted(n for n in expected.to_numpy().ravel() if n)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first category is on top
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels[0] == f"Bispecific (n = {expected.loc['bispecific'].sum()})"


def test_bars_by_line_gather_the_fourth_and_later() -> None:
    cohort = generate(Recipe(patients=10, lines=6, exactly=True)).cohort()
    axes = axes_of(figures.response_bars_by_line(cohort, "other"))
    lines = cohort.salvage[cohort.salvage["category"] == "other"]["line"].clip(upper=4)
    widths = np.sum([[bar.get_width() for bar in c] for c in axes.containers], axis=0)
    assert list(widths) == list(lines.value_counts().sort_index())


def test_a_category_that_nobody_received_keeps_its_row() -> None:
    made = figures.response_bars(edge("a_category_without_events"))
    axes = axes_of(made)
    assert len(axes.get_yticklabels()) == len(CATEGORIES)
    empty = [t for t in axes.texts if responses.NO_LINES in t.get_text()]
    assert len(empty) == len(CATEGORIES) - 2
    absent = figures.response_bars_by_line(edge("a_category_without_events"), "checkpoint")
    assert isinstance(absent, show.Absent)


@pytest.mark.parametrize("measure", ["orr", "cr"])
def test_the_forest_draws_each_rate_with_its_intervals(measure: str) -> None:
    cohort = shipped()
    axes = axes_of(figures.forest_rates(cohort, measure))
    squares = sorted(
        (
            (round(float(y)), float(x))
            for line in axes.lines
            if line.get_marker() == "s"
            for x, y in zip(*line.get_data(), strict=True)
        ),
    )
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    spans = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    sets = response.groups(cohort)
    for y, key in enumerate(["all", *CATEGORIES]):
        exact, wilson = response.both(cohort, measure, *sets[key][:1], key)
        assert squares[y] == (y, exact.value)
        assert any(np.allclose(s, (exact.low, exact.high)) for s in spans)
        assert any(np.allclose(s, (wilson.low, wilson.high)) for s in spans)
    assert len(diamonds) == len(CATEGORIES)
    # A shrunken rate lies between the category's own rate and the others'.
    rates = [x for _, x in squares[1:]]
    for line in diamonds:
        assert min(rates) - 1e-9 <= line.get_xdata()[0] <= max(rates) + 1e-9


def test_the_overview_bars_are_the_response_rates() -> None:
    cohort = shipped()
    axes = axes_of(figures.overview(cohort))
    widths = [[bar.get_width() for bar in container] for container in axes.containers]
    for i, key in enumerate(CATEGORIES):
        lines = cohort.category(key)["best_response"]
        assert widths[2 * i] == [pytest.approx(lines.isin(["CR", "PR"]).mean())]
        assert widths[2 * i + 1] == [pytest.approx((lines == "CR").mean())]


# --- hazard ratios --------------------------------------------------------------------------------


def test_rows_that_cannot_be_estimated_stay_and_say_so() -> None:
    rows = [
        figures.Row("known", 0.44, 0.21, 0.95, 29, 28, 0.038, method="Cox"),
        figures.Row("unknown", None, None, None, 29, 0, method="no deaths"),
        figures.Row("open", 2.0, None, 400.0, 29, 28, 0.5, method="Cox"),
    ]
    made = drawn(figures.cox_forest(shipped().study, rows, "fig-x", "A test"))
    axes = axes_of(made)
    shown = [t.get_text() for t in axes.texts]
    assert "0.44 (0.21 to 0.95)" in shown
    assert words.NOT_ESTIMABLE in shown
    assert "unknown: not estimable (no deaths)" in made.alt
    assert "arrow" in made.caption
    arrows = {line.get_marker() for line in axes.lines} & {"<", ">"}
    assert arrows == {"<", ">"}
    squares = [line for line in axes.lines if line.get_marker() == "s"]
    assert [float(line.get_xdata()[0]) for line in squares] == [0.44, 2.0]
    assert axes.get_xscale() == "log"
    only = figures.cox_forest(shipped().study, rows[1:2], "fig-x", "A test")
    assert isinstance(only, show.Absent)


def test_the_sweep_shows_the_sizes_of_both_groups() -> None:
    cohort = shipped()
    made = drawn(figures.sweep_forest(cohort, prognosis.sweep(cohort, "os"), "OS", "fig-sweep"))
    shown = [t.get_text() for t in axes_of(made).texts]
    for cut in prognosis.CUT_OFFS:
        late = int((cohort.patients["relapse_month"] > cut).sum())
        assert f"{len(cohort.patients) - late} / {late}" in shown


# --- adverse events -------------------------------------------------------------------------------


def cells(axes: Axes) -> np.ndarray:
    return np.asarray(axes.collections[0].get_array()).reshape(len(axes.get_yticks()), -1)


def test_the_heat_map_counts_each_patient_once_at_the_highest_grade() -> None:
    cohort = shipped()
    values = cells(axes_of(figures.ae_heatmap(cohort)))
    labels = [t.get_text() for t in axes_of(figures.ae_heatmap(cohort)).get_yticklabels()]
    events = cohort.adverse_events
    fever = events[events["term"] == "fever"].groupby("patient_id")["grade"].max()
    assert labels[0] == "Fever"
    assert list(values[0]) == [float((fever == grade).sum()) for grade in range(1, 6)]
    assert values.sum() == events.groupby(["patient_id", "term"]).ngroups


def test_the_category_map_shows_shares_and_prints_patients() -> None:
    cohort = shipped()
    made = drawn(figures.ae_by_category(cohort))
    events = cohort.adverse_events.merge(cohort.salvage.astype({"line": float}))
    first, second = made.figure.axes
    for axes, chosen in ((first, events), (second, events[events["grade"] >= 3])):
        fever = chosen[chosen["term"] == "fever"].groupby("category")["patient_id"].nunique()
        size = cohort.salvage.groupby("category")["patient_id"].nunique()
        expected = [fever.get(key, 0) / size[key] for key in CATEGORIES]
        np.testing.assert_allclose(cells(axes)[0], expected)
    assert next(t.get_text() for t in first.texts if t.get_text()) == str(
        events[(events["term"] == "fever") & (events["category"] == "bispecific")][
            "patient_id"
        ].nunique()
    )


@pytest.mark.parametrize("term", ["fever", "A very long name of an adverse event " * 3])
def test_one_event_of_any_length_is_drawn_in_silence(term: str) -> None:
    cohort = replace(shipped(), adverse_events=shipped().adverse_events.assign(term=term))
    for make in (figures.ae_heatmap, figures.ae_by_category, figures.ae_butterfly):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn(make(cohort)).svg()


def test_the_butterfly_has_the_most_common_event_on_top() -> None:
    cohort = shipped()
    left, right = drawn(figures.ae_butterfly(cohort)).figure.axes
    events, n = cohort.adverse_events, len(cohort.treated)
    fever = events[events["term"] == "fever"]
    assert left.get_yticklabels()[0].get_text() == "Fever"
    assert left.patches[0].get_width() == pytest.approx(fever["patient_id"].nunique() / n)
    severe = fever[fever["grade"] >= 3]["patient_id"].nunique()
    assert right.patches[0].get_width() == pytest.approx(severe / n)
    widths = [bar.get_width() for bar in left.patches]
    assert widths == sorted(widths, reverse=True)
    assert left.get_xlim()[0] == right.get_xlim()[1]  # both sides have one scale


def test_scales_are_kept_apart_and_named() -> None:
    cohort = shipped()
    events = cohort.adverse_events.copy()
    first = events.index[events["term"] == "fever"][0]
    events.loc[first, "scale"] = "CTCAE 6.0"
    made = figures.ae_butterfly(replace(cohort, adverse_events=events))
    labels = [t.get_text() for t in axes_of(made).get_yticklabels()]
    assert "Fever" in labels
    assert "Fever (CTCAE 6.0)" in labels
    assert "CTCAE 5.0 unless named" in made.caption


def test_without_grades_or_lines_the_figures_say_what_is_missing() -> None:
    cohort = shipped()
    plain = replace(cohort, adverse_events=cohort.adverse_events.assign(grade=np.nan))
    assert isinstance(figures.ae_heatmap(plain), show.Absent)
    assert adverse_events.NO_GRADE in [
        t.get_text() for t in drawn(figures.ae_butterfly(plain)).figure.axes[1].texts
    ]
    loose = replace(cohort, adverse_events=cohort.adverse_events.assign(line=np.nan))
    absent = figures.ae_by_category(loose)
    assert isinstance(absent, show.Absent)
    assert "linked to a salvage line" in absent.sentence


# --- time and bias, audit, context ----------------------------------------------------------------


def test_the_null_histograms_count_every_cohort_once() -> None:
    found = simulate.null_hazard_ratios(simulate.NullSetting(cohorts=300))
    nulls = [figures.Null(key, found[key].log_hr) for key in ("infusion", "relapse")]
    nulls.append(figures.Null("one without contrast", np.array([np.nan, 7.0, -7.0])))
    hr = facts()["figures"]["cox.late_vs_early.hr"]["value"]
    made = drawn(figures.null_distribution(nulls, hr, patients=29, world="as drawn"))
    for axes, null in zip(made.figure.axes, nulls, strict=True):
        assert sum(bar.get_height() for bar in axes.patches) == np.isfinite(null.log_hr).sum()
        at = [float(line.get_xdata()[0]) for line in axes.lines]
        assert at == pytest.approx([0.0, np.log(hr)])
    share = np.mean(found["infusion"].log_hr <= np.log(hr))
    assert f"{100 * share:.0f}% are 0.44 or lower" in made.alt
    assert "one without contrast: 1" in made.caption
    assert "300 simulated cohorts of the size of the index study, 29 patients" in made.caption
    assert "in one world (as drawn)" in made.caption
    none = [figures.Null("none", np.array([np.nan]))]
    nothing = figures.null_distribution(none, hr, patients=29, world="as drawn")
    assert isinstance(nothing, show.Absent)


def test_open_ranges_are_drawn_from_end_to_end() -> None:
    ranges = audit.tables().ranges()
    made = drawn(figures.open_ranges(show.CLEARED, ranges, {"polatuzumab": (9, 6, 1)}))
    lines, orr, cr = made.figure.axes
    wide = ranges[ranges["events_low"] < ranges["events_high"]]
    for bar, (_, row) in zip(lines.patches, wide.iterrows(), strict=True):
        assert bar.get_x() == row["events_low"]
        assert bar.get_x() + bar.get_width() == row["events_high"]
    dots = [
        [float(x.get_xdata()[0]) for x in axes.lines if x.get_marker() == "o"]
        for axes in (lines, orr, cr)
    ]
    assert dots == [[9.0], [pytest.approx(200 / 3)], [pytest.approx(100 / 9)]]
    assert isinstance(figures.open_ranges(show.CLEARED, ranges.iloc[:0]), show.Absent)
    assert "assumed" not in figures.open_ranges(show.CLEARED, ranges).marks


def test_the_spread_has_one_mark_for_each_cohort() -> None:
    values = np.array([1.0, 1.0, 1.0, 2.0, np.nan])
    spread = figures.Spread("HR", values, 1.5, "ratio", 1.0)
    made = drawn(
        figures.spread_over_cohorts(
            show.CLEARED, [spread, figures.Spread("P", values / 4, None, "p")]
        )
    )
    axes = axes_of(made)
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    assert sorted(dots.get_xdata()) == [1.0, 1.0, 1.0, 2.0]
    assert len(set(zip(*dots.get_data(), strict=True))) == 4  # none hides another
    assert "HR: 1.00 to 2.00; P: 0.25 to 0.50" in made.alt
    assert "5 cohorts" in made.alt
    assert isinstance(figures.spread_over_cohorts(show.CLEARED, []), show.Absent)


@given(values=st.lists(st.floats(-50, 50, allow_nan=False), min_size=1, max_size=60))
def test_marks_of_a_strip_stay_within_it(values: list[float]) -> None:
    heights = published.offsets(np.array(values))
    assert np.abs(heights).max() <= 1


def test_the_region_of_standard_errors_and_the_bound_on_deaths() -> None:
    check_ = audit.ratio()
    made = drawn(
        figures.se_region(
            check_.region.corners, [r.corners for r in check_.with_p], "0.44 (0.21-0.95)", "0.038"
        )
    )
    whole, *parts = [p for p in axes_of(made).patches if isinstance(p, Polygon)]
    np.testing.assert_allclose(whole.get_xy()[:-1], check_.region.corners)
    assert len(parts) == len(check_.with_p)
    assert f"fewer than {check_.deaths.simple} deaths" in made.alt
    ticks = {float(t.get_text()): t.get_position()[0] for t in axes_of(made).get_xticklabels()}
    assert len(ticks) > 2
    for ratio, place in ticks.items():
        assert place == pytest.approx(math.log(ratio), rel=1e-12), "a tick stands beside its value"
    assert isinstance(figures.se_region(np.empty((0, 2)), [], "x"), show.Absent)


def test_comparators_stand_in_order_with_their_intervals() -> None:
    rows = [
        figures.Compared("This cohort", 0.5, 0.2, 0.8, 8, 4, "patients", mark="assumed", own=True),
        figures.Compared("Another", 0.67, n=20, counted="patients at first salvage"),
        figures.Compared("Silent", None),
    ]
    made = drawn(figures.comparator_forest(show.CLEARED, rows, "fig-c", "ORR"))
    axes = axes_of(made)
    assert [t.get_text().split("\n")[0] for t in axes.get_yticklabels()] == [
        "This cohort",
        "Another",
    ]
    shown = [t.get_text() for t in axes.texts]
    assert {"4/8", "50.0 (20.0 to 80.0)", "20", "67.0"} <= set(shown)
    points = [
        (x.get_marker(), float(x.get_xdata()[0])) for x in axes.lines if x.get_marker() in "so"
    ]
    assert points == [("s", 0.5), ("o", 0.67)]
    assert tuple(made.marks) == ("published", "assumed")
    assert isinstance(
        figures.comparator_forest(show.CLEARED, rows[2:], "fig-c", "ORR"), show.Absent
    )
    months = drawn(
        figures.comparator_forest(show.CLEARED, rows, "fig-c", "OS", unit="months", axis="Months")
    )
    assert months.alt == "OS. This cohort, patients: 0.5 (95% CI 0.2 to 0.8); Another: 0.7."


def test_ratio_ticks_are_in_order() -> None:
    assert list(RATIO_TICKS) == sorted(RATIO_TICKS)


@pytest.mark.slow
def test_a_hundred_thousand_patients() -> None:
    cohort = generate(Recipe(patients=100_000, seed=2, per_month=30)).cohort()
    for key in ("flow", "relapse", "swimmer", "alluvial", "responses", "overview", "os_infusion",
                "groups_relapse", "dor", "ae_grades", "ae_category", "ae_butterfly"):  # fmt: skip
        made = everything()[key](cohort)
        check(made, cohort)
        if isinstance(made, show.Figure):
            assert len(made.svg()) < 600_000
    assert safety.recorded(cohort)


def test_a_wide_ratio_axis_keeps_few_ticks() -> None:
    from salvage.display.figures.forest import ratio_ticks

    assert ratio_ticks((0.2, 2.5)) == [0.2, 0.5, 1.0, 2.0]
    assert ratio_ticks((0.02, 50.0)) == [0.1, 1.0, 10.0]


def test_more_curves_than_looks_are_refused() -> None:
    times = survival.from_infusion(shipped())
    with pytest.raises(ValueError, match="zip"):
        figures.km(shipped().study, [times] * 5, "fig-x", "Five")
