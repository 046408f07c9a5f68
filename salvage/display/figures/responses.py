"""Best responses of salvage lines: counts and rates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.lines import Line2D

from salvage import words
from salvage.analysis import comparison, response
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import Mark, own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.figures import style
from salvage.display.figures.forest import Band, ForestLine, draw
from salvage.display.show import NO_SALVAGE, Absent, Figure, nobody_received, not_drawn
from salvage.display.wording import interval_text, rate_text, sentence, value_text

ROW: Final = 0.42
LAST_LINE: Final = 4
BARS: Final = "The figure of responses"
BY_LINE: Final = {1: "Line 1", 2: "Line 2", 3: "Line 3", 4: "Line 4 or later"}
NO_LINES: Final = "no lines"
KIND: Final = {"orr": "CR or PR", "cr": "CR", "pr": "PR"}


def response_bars(cohort: Cohort) -> Figure | Absent:
    """Lines by category and best response, stacked; the counts stand in the bars."""
    lines = cohort.salvage
    if lines.empty:
        return not_drawn(cohort.study, BARS, NO_SALVAGE)
    table = response.counts(lines).reindex(list(CATEGORY_KEYS), fill_value=0)
    labels = {key: words.category(key, cohort.study.labels) for key in CATEGORY_KEYS}
    short = {key: words.category_short(key, cohort.study.labels) for key in CATEGORY_KEYS}
    return Figure(
        cohort.study,
        "fig-responses",
        _stacked(table, short),
        f"Best response by category of salvage therapy: {_counted(lines)}. Figures in the bars are "
        "lines; lines that were not evaluable are shown and count in every denominator.",
        f"Best responses by category. {_responses(table, labels)}.",
        own_mark(cohort.study),
    )


def response_bars_by_line(cohort: Cohort, category: str) -> Figure | Absent:
    """Lines of one category by salvage line and best response; one row from the fourth on."""
    lines = cohort.category(category)
    if lines.empty:
        return nobody_received(cohort.study, category, BARS)
    table = response.counts(lines.assign(group=lines["line"].clip(upper=LAST_LINE)), "group")
    label = words.category_prose(category, cohort.study.labels)
    return Figure(
        cohort.study,
        f"fig-{words.slug(category)}-by-line",
        _stacked(table, BY_LINE),
        f"Best response to {label} by salvage line: {_counted(lines)}. Figures in the bars are "
        "lines.",
        f"Best responses to {label} by salvage line. {_responses(table, BY_LINE)}.",
        own_mark(cohort.study),
    )


def _counted(lines: pd.DataFrame) -> str:
    patients = words.count(lines["patient_id"].nunique(), "patient")
    return f"{words.count(len(lines), 'salvage line')} of {patients}"


def _responses(table: pd.DataFrame, labels: Mapping[Any, str]) -> str:
    """Each row of a table of responses in words; a row without lines is left out."""
    return "; ".join(
        f"{labels[key]}: {row['CR'] + row['PR']} of {row.sum()} responded, {row['CR']} completely"
        for key, row in table.iterrows()
        if row.sum()
    )


def _stacked(table: pd.DataFrame, labels: Mapping[Any, str]) -> style.BookFigure:
    """One bar for each row of ``table`` (columns: responses), the first row on top."""
    totals = table.sum(axis=1)
    names = [f"{style.wrap(labels[key], 22)} (n = {total:,})" for key, total in totals.items()]
    longest = max(int(totals.max()), 1)
    with style.drawing(1.25 + ROW * len(table)) as figure:
        axes = figure.add_subplot()
        # The width that a count needs, in lines: a narrower segment stays without its count.
        needed = {
            n: style.text_width(figure, [f"{n:,}"]) / 4.8 * longest
            for n in set(table.to_numpy().flat)
        }
        start = pd.Series(0, index=table.index)
        for key, look in style.RESPONSE.items():
            counts = table[key]
            axes.barh(range(len(table)), counts, left=start, height=0.72, label=key, **look.fill)
            for y, (left, n) in enumerate(zip(start, counts, strict=True)):
                if n and needed[n] < n:
                    axes.text(
                        left + n / 2,
                        y,
                        f"{n:,}",
                        ha="center",
                        va="center",
                        color=style.text_colour_on(look.colour),
                        bbox=_plate(look.colour) if look.hatch else None,
                    )
            start = start + counts
        for y, total in enumerate(totals):
            if not total:
                axes.text(0, y, f" {NO_LINES}", va="center", color=style.GREY)
        style.name_rows(axes, names)
        axes.set_xlim(0, 1.01 * longest)
        style.whole_number_ticks(axes.xaxis)
        axes.set_xlabel("Salvage lines")
        looks = style.RESPONSE.items()
        legend = [style.legend_patch(look, words.RESPONSES[key]) for key, look in looks]
        style.legend_below(figure, legend, 3)
    return figure


def _plate(colour: str) -> dict[str, Any]:
    """A plain ground for a count on a hatch."""
    return {"boxstyle": "round,pad=0.12", "facecolor": colour, "edgecolor": "none"}


# --- rates --------------------------------------------------------------------------------------

Rates = dict[str, tuple[Estimate, Estimate]]


def _rates(cohort: Cohort, measure: str) -> Rates:
    """The rate of each category, with its exact interval and with that on the effective n."""
    return {
        key: response.both(cohort, measure, lines, key, label)
        for key, (lines, label) in response.groups(cohort).items()
        if key in CATEGORY_KEYS
    }


def forest_rates(cohort: Cohort, measure: str) -> Figure | Absent:
    """Rate of all lines and of each category; ``measure`` is ``orr``, ``cr`` or ``pr``."""
    lines, labels = cohort.salvage, cohort.study.labels
    what = words.MEASURES[measure]
    name = f"fig-forest-{measure}"
    if lines.empty:
        return not_drawn(
            cohort.study, f"The forest plot of the {what.lower()}", NO_SALVAGE, name=name
        )
    rates = _rates(cohort, measure)
    all_lines = response.both(cohort, measure, lines, "all", "all salvage lines")
    overall = all_lines[0]
    shrunken = _shrunken(cohort, measure)
    rows = [_rate_line("All lines", *all_lines, None, style.ALL)]
    for (key, pair), pooled in zip(rates.items(), shrunken, strict=True):
        label = words.category_short(key, labels)
        rows.append(_rate_line(label, *pair, pooled, style.CATEGORY[key]))
    with style.drawing(1.55 + 0.5 * len(rows)) as figure:
        head = ("Lines", "Rate, % (exact 95% CI)")
        draw(figure, rows, axis=f"{what}, %", head=head, limits=(0, 1), percent=True)
        handles = style.interval_legend(marker="s")
        if any(shrunken):
            diamond: dict[str, Any] = {"marker": "D", "markerfacecolor": "white", "linewidth": 1.0}
            handles.append(Line2D([], [], color=style.INK, label="Shrunken rate, 95%", **diamond))
        style.legend_below(figure, handles, len(handles))
    known = {key: exact for key, (exact, _) in rates.items() if exact.n}
    parts = "; ".join(f"{words.category(key, labels)} {sentence(e)}" for key, e in known.items())
    diamonds = (
        " Diamonds: rates shrunken towards their common mean by a hierarchical beta-binomial model"
        " on the effective n, with 95% credible intervals."
        if any(shrunken)
        else ""
    )
    return Figure(
        cohort.study,
        name,
        figure,
        f"{what} by category: {_counted(lines)}, {overall.events} with {KIND[measure]}. Squares "
        "with thick bars: rate with the exact interval of Clopper and Pearson. Thin bars: Wilson "
        f"interval on the effective n, which allows for patients with several lines.{diamonds} The "
        "categories were not randomised and cannot be ranked.",
        f"{what}, all lines {sentence(overall)}. {parts}.{_overlap(list(known.values()))}",
        _marks([*all_lines, *(e for pair in rates.values() for e in pair)]),
    )


def _marks(estimates: Iterable[Estimate]) -> tuple[Mark, ...]:
    """The marks of all parts of those estimates that have a denominator."""
    parts = ((e.provenance, e.provenance_n, e.provenance_interval) for e in estimates if e.n)
    return tuple({mark for marks in parts for mark in marks})


def _overlap(exact: Sequence[Estimate]) -> str:
    """The caption's sentence on whether one rate lies in all intervals; none for one category."""
    if len(exact) < 2:
        return ""
    if max(e.low or 0 for e in exact) <= min(1 if e.high is None else e.high for e in exact):
        return " All exact intervals of the categories share a common range."
    return " Not all exact intervals of the categories overlap."


def _shrunken(cohort: Cohort, measure: str) -> list[Band | None]:
    """The shrunken rate of each category, ``None`` where it is not estimable."""
    return [
        None
        if e.value is None
        else Band(e.value, e.low, e.high, marker="D", filled=False, offset=0.27, thick=1.0)
        for e in comparison.shrunken(cohort, measure)
    ]


def _rate_line(
    label: str, exact: Estimate, wilson: Estimate, pooled: Band | None, look: style.Look
) -> ForestLine:
    if not exact.n:
        return ForestLine(label, (), ("0", NO_LINES), look)
    bands = [
        Band(exact.value, exact.low, exact.high, marker="s", offset=-0.22, thick=2.6),
        Band(wilson.value, wilson.low, wilson.high, marker="", offset=0.02, thick=1.0),
        *([pooled] if pooled else []),
    ]
    text = rate_text(exact).rstrip("%")
    text = text if text == words.NONE else f"{text} ({interval_text(exact)})"
    return ForestLine(label, bands, (f"{exact.events:,}/{exact.n:,}", text), look)


def overview(cohort: Cohort) -> Figure | Absent:
    """The cover's figure: ORR of each category with its CR in it, and both intervals."""
    lines = cohort.salvage
    if lines.empty:
        what = "The overview of responses"
        return not_drawn(cohort.study, what, NO_SALVAGE, name="fig-overview")
    orr = _rates(cohort, "orr")
    cr = {key: exact for key, (exact, _) in _rates(cohort, "cr").items()}
    responding = {key: exact for key, (exact, _) in orr.items() if exact.n}
    return Figure(
        cohort.study,
        "fig-overview",
        _overview(cohort.study, orr, cr),
        f"Response to each category of salvage therapy: {_counted(lines)}. The bar is the "
        "objective response rate, its dark part the complete responses. Thick line: exact 95% "
        "interval of the response rate (Clopper-Pearson); thin line: Wilson interval on the "
        "effective n. Nobody was randomised to a category: this figure ranks nothing.",
        _overview_alt(cohort.study, responding, cr),
        _marks(e for key, pair in orr.items() for e in (*pair, cr[key])),
    )


def _overview(study: Study, orr: Rates, cr: Mapping[str, Estimate]) -> style.BookFigure:
    rows = [
        _overview_line(words.category_short(key, study.labels), *pair, cr[key])
        for key, pair in orr.items()
    ]
    with style.drawing(1.45 + 0.5 * len(rows)) as figure:
        axes = draw(
            figure,
            rows,
            axis=f"{words.MEASURES['orr']}, %",
            head=("Lines: CR / CR or PR / all",),
            limits=(0, 1),
            percent=True,
        )
        for y, (key, (exact, _)) in enumerate(orr.items()):
            bar, dark = style.CATEGORY[key].fill, style.ALL.fill
            axes.barh(y - 0.13, exact.value or 0, height=0.42, zorder=2, **bar)
            axes.barh(y - 0.13, cr[key].value or 0, height=0.42, zorder=2.1, **dark)
        handles = [
            style.legend_patch(style.Look(style.PALE), "Partial response"),
            style.legend_patch(style.ALL, "Complete response"),
            *style.interval_legend(),
        ]
        style.legend_below(figure, handles, 2)
    return figure


def _overview_line(label: str, exact: Estimate, wilson: Estimate, complete: Estimate) -> ForestLine:
    if not exact.n:
        return ForestLine(label, (), (NO_LINES,))
    bands = (
        Band(None, exact.low, exact.high, marker="", offset=0.2, thick=2.6),
        Band(None, wilson.low, wilson.high, marker="", offset=0.36, thick=1.0),
    )
    return ForestLine(label, bands, (f"{complete.events:,} / {exact.events:,} / {exact.n:,}",))


def _overview_alt(study: Study, orr: Mapping[str, Estimate], cr: Mapping[str, Estimate]) -> str:
    labels = {key: words.category(key, study.labels) for key in orr}
    parts = "; ".join(
        f"{labels[key]} {e.events} of {e.n}, {cr[key].events} complete" for key, e in orr.items()
    )
    if len(orr) == 1:
        return f"Objective response rate of the only category with lines. {parts}."
    low = min(orr, key=lambda key: orr[key].value or 0)
    high = max(orr, key=lambda key: orr[key].value or 0)
    return (
        f"Objective response rates of {len(orr)} categories, from {value_text(orr[low])} "
        f"({labels[low]}) to {value_text(orr[high])} ({labels[high]}). {parts}."
    )
