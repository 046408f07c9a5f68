"""Best responses of salvage lines: counts and rates."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from salvage import words
from salvage.analysis import response
from salvage.analysis.comparison import shrink
from salvage.analysis.estimate import Estimate
from salvage.analysis.provenance import Mark, own_mark
from salvage.cohort import Cohort
from salvage.cohort.schema import CATEGORY_KEYS
from salvage.cohort.study import Study
from salvage.display.figures import captions, style
from salvage.display.figures.forest import PLAIN, Band, Line, draw
from salvage.display.show import Absent, Figure
from salvage.display.wording import interval_text, percent

ROW: Final = 0.42
LAST_LINE: Final = 4


def response_bars(cohort: Cohort) -> Figure | Absent:
    """Lines by category and best response, stacked; the counts stand in the bars."""
    lines = cohort.salvage
    if lines.empty:
        return Absent(cohort.study, captions.NO_SALVAGE.format(what=captions.BARS))
    table = response.counts(lines).reindex(list(CATEGORY_KEYS), fill_value=0)
    parts = "; ".join(
        captions.BARS_PART.format(
            category=words.category(str(key), cohort.study.labels), **_told(row)
        )
        for key, row in table.iterrows()
        if row.sum()
    )
    labels = {key: words.category_short(key, cohort.study.labels) for key in CATEGORY_KEYS}
    return Figure(
        cohort.study,
        "fig-responses",
        _stacked(table, labels),
        captions.BARS_CAPTION.format(**_counted(lines)),
        captions.BARS_ALT.format(parts=f"{parts}."),
        own_mark(cohort.study),
    )


def response_bars_by_line(cohort: Cohort, category: str) -> Figure | Absent:
    """Lines of one category by salvage line and best response; one row from the fourth on."""
    lines = cohort.category(category)
    if lines.empty:
        return Absent(cohort.study, _no_category(category, captions.BARS))
    table = response.counts(lines.assign(group=lines["line"].clip(upper=LAST_LINE)), "group")
    parts = "; ".join(
        captions.BARS_LINE_PART.format(line=captions.BARS_LINE[int(str(key))], **_told(row))
        for key, row in table.iterrows()
    )
    label = prose(cohort.study, category)
    return Figure(
        cohort.study,
        f"fig-{words.slug(category)}-by-line",
        _stacked(table, captions.BARS_LINE),
        captions.BARS_LINE_CAPTION.format(category=label, **_counted(lines)),
        captions.BARS_LINE_ALT.format(category=label, parts=parts),
        own_mark(cohort.study),
    )


def prose(study: Study, category: str) -> str:
    """A category within a sentence; the study's own label wins."""
    return study.labels.get(category, words.CATEGORIES_PROSE[category])


def _no_category(category: str, what: str) -> str:
    return captions.NO_CATEGORY.format(category=words.CATEGORIES_PROSE[category], what=what)


def _counted(lines: pd.DataFrame) -> dict[str, str]:
    return {
        "lines": words.count(len(lines), "salvage line"),
        "patients": words.count(lines["patient_id"].nunique(), "patient"),
    }


def _told(row: "pd.Series[int]") -> dict[str, int]:
    return {
        "n": int(row.sum()),
        "responding": int(row["CR"] + row["PR"]),
        "complete": int(row["CR"]),
    }


def _stacked(table: pd.DataFrame, labels: Mapping[Any, str]) -> style.BookFigure:
    """One bar for each row of ``table`` (columns: responses), the first row on top."""
    totals = table.sum(axis=1)
    names = [f"{style.wrap(labels[key], 22)} (n = {total:,})" for key, total in totals.items()]
    with style.drawing(1.25 + ROW * len(table)) as figure:
        axes = figure.add_subplot()
        longest = max(int(totals.max()), 1)
        # The width that a count needs, in lines: a narrower segment stays without its count.
        needed = {
            n: style.text_width(figure, [f"{n:,}"]) / 4.8 * longest
            for n in set(table.to_numpy().flat)
        }
        start = pd.Series(0, index=table.index)
        for key, look in style.RESPONSE.items():
            counts = table[key]
            axes.barh(
                range(len(table)),
                counts,
                left=start,
                height=0.72,
                label=key,
                color=look.colour,
                hatch=look.hatch,
                edgecolor=style.INK,
                linewidth=0.6,
            )
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
                axes.text(0, y, f" {captions.BARS_NONE}", va="center", color=style.GREY)
        axes.set_yticks(range(len(table)), names, fontsize=style.SIZE)
        axes.set_ylim(len(table) - 0.5, -0.5)
        axes.set_xlim(0, 1.01 * longest)
        style.whole_number_ticks(axes.xaxis)
        axes.set_xlabel(captions.LINES_AXIS)
        style.hide_left_spine(axes)
        style.legend_below(
            figure,
            [
                style.legend_patch(look, words.RESPONSES[key])
                for key, look in style.RESPONSE.items()
            ],
            3,
        )
    return figure


def _plate(colour: str) -> dict[str, Any]:
    """A plain ground for a count on a hatch."""
    return {"boxstyle": "round,pad=0.12", "facecolor": colour, "edgecolor": "none"}


# --- rates --------------------------------------------------------------------------------------


def _sets(cohort: Cohort) -> dict[str, tuple[pd.DataFrame, str]]:
    return {key: found for key, found in response.groups(cohort).items() if key in CATEGORY_KEYS}


def forest_rates(cohort: Cohort, measure: str) -> Figure | Absent:
    """Rate of all lines and of each category; ``measure`` is ``orr``, ``cr`` or ``pr``."""
    lines = cohort.salvage
    what = words.MEASURES[measure]
    if lines.empty:
        sentence = captions.NO_SALVAGE.format(what=captions.FOREST.format(measure=what.lower()))
        return Absent(cohort.study, sentence, name=f"fig-forest-{measure}")
    sets = _sets(cohort)
    pairs = {
        key: response.both(cohort, measure, part, key, label) for key, (part, label) in sets.items()
    }
    overall = response.both(cohort, measure, lines, "all", "all salvage lines")
    shrunken = _shrunken([exact for exact, _ in pairs.values()])
    rows = [_rate_line(captions.FOREST_ALL, *overall, None, style.ALL)]
    for (key, (exact, wilson)), pooled in zip(pairs.items(), shrunken, strict=True):
        label = words.category_short(key, cohort.study.labels)
        rows.append(_rate_line(label, exact, wilson, pooled, style.CATEGORY[key]))
    with style.drawing(1.55 + 0.5 * len(rows)) as figure:
        draw(
            figure,
            rows,
            axis=captions.RATE_AXIS.format(measure=what),
            head=captions.FOREST_HEAD,
            limits=(0, 1),
            percent=True,
        )
        handles = _interval_handles(any(shrunken))
        style.legend_below(figure, handles, len(handles))
    counted = [e for e, _ in pairs.values() if e.n]
    marks = {m for pair in [overall, *pairs.values()] for e in pair for m in _marks(e)}
    return Figure(
        cohort.study,
        f"fig-forest-{measure}",
        figure,
        captions.FOREST_CAPTION.format(
            measure=what,
            events=overall[0].events,
            kind=captions.FOREST_KIND[measure],
            shrunken=captions.FOREST_SHRUNKEN if any(shrunken) else "",
            **_counted(lines),
        ),
        captions.FOREST_ALT.format(
            measure=what,
            overall=_rate_text(overall[0]),
            parts="; ".join(_part(e, key, cohort) for key, (e, _) in pairs.items() if e.n),
            overlap=_overlap(counted),
        ).strip(),
        tuple(marks),
    )


def _marks(e: Estimate) -> tuple[Mark, ...]:
    return (e.provenance, e.provenance_n, e.provenance_interval) if e.n else ()


def _rate_text(e: Estimate) -> str:
    return f"{e.events} of {e.n}, {percent(e.value)} (95% CI {interval_text(e)})"


def _part(e: Estimate, key: str, cohort: Cohort) -> str:
    return captions.FOREST_PART.format(
        category=words.category(key, cohort.study.labels),
        events=e.events,
        n=e.n,
        rate=percent(e.value),
        interval=interval_text(e),
    )


def _overlap(exact: Sequence[Estimate]) -> str:
    """Whether one rate lies in the intervals of all categories; nothing is said of a single one."""
    if len(exact) < 2:
        return ""
    common = max(e.low or 0 for e in exact) <= min(1 if e.high is None else e.high for e in exact)
    return captions.FOREST_OVERLAP if common else captions.FOREST_APART


def _shrunken(exact: Sequence[Estimate]) -> list[Band | None]:
    """The shrunken rate of each category, ``None`` where it is not estimable."""
    found = shrink(tuple(e.events or 0 for e in exact), tuple(e.n or 0 for e in exact))
    if found is None:
        return [None] * len(exact)
    return [
        None
        if mean is None
        else Band(mean, low, high, marker="D", filled=False, offset=0.27, thick=1.0)
        for mean, low, high in zip(found.mean, found.low, found.high, strict=True)
    ]


def _rate_line(
    label: str, exact: Estimate, wilson: Estimate, pooled: Band | None, look: style.Look
) -> Line:
    if not exact.n:
        return Line(label, (), ("0", captions.BARS_NONE), look)
    bands = [
        Band(exact.value, exact.low, exact.high, marker="s", offset=-0.22, thick=2.6),
        Band(wilson.value, wilson.low, wilson.high, marker="", offset=0.02, thick=1.0),
    ]
    text = f"{100 * (exact.value or 0):.1f} ({interval_text(exact)})"
    return Line(
        label,
        (*bands, *([pooled] if pooled else [])),
        (f"{exact.events:,}/{exact.n:,}", text),
        look,
    )


def _interval_handles(shrunken: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], color=style.INK, linewidth=2.6, marker="s", label=captions.EXACT),
        Line2D([], [], color=style.INK, linewidth=1.0, label=captions.EFFECTIVE),
    ]
    if shrunken:
        handles.append(
            Line2D(
                [],
                [],
                color=style.INK,
                linewidth=1.0,
                marker="D",
                markerfacecolor="white",
                label=captions.SHRUNKEN,
            )
        )
    return handles


def overview(cohort: Cohort) -> Figure | Absent:
    """The cover's figure: ORR of each category with its CR in it, and both intervals."""
    lines = cohort.salvage
    if lines.empty:
        return Absent(
            cohort.study, captions.NO_SALVAGE.format(what=captions.OVERVIEW), name="fig-overview"
        )
    sets = _sets(cohort)
    orr = {
        key: response.both(cohort, "orr", part, key, label) for key, (part, label) in sets.items()
    }
    cr = {
        key: response.rate_of(cohort.study, "cr", part, key, label)
        for key, (part, label) in sets.items()
    }
    rows = [
        _overview_line(words.category_short(key, cohort.study.labels), *orr[key], cr[key])
        for key in orr
    ]
    with style.drawing(1.45 + 0.5 * len(rows)) as figure:
        draw(
            figure,
            rows,
            axis=captions.RATE_AXIS.format(measure=words.MEASURES["orr"]),
            head=(captions.OVERVIEW_RESPONSES,),
            limits=(0, 1),
            percent=True,
        )
        axes = figure.axes[0]
        for y, key in enumerate(orr):
            whole, complete, look = orr[key][0].value or 0, cr[key].value or 0, style.CATEGORY[key]
            outline: dict[str, Any] = {"height": 0.42, "edgecolor": style.INK, "linewidth": 0.6}
            axes.barh(y - 0.13, whole, color=look.colour, hatch=look.hatch, zorder=2, **outline)
            axes.barh(y - 0.13, complete, color=style.INK, zorder=2.1, **outline)
        handles = [
            Patch(
                facecolor=style.PALE,
                edgecolor=style.INK,
                linewidth=0.6,
                label=captions.OVERVIEW_ORR,
            ),
            Patch(facecolor=style.INK, label=captions.OVERVIEW_CR),
            Line2D([], [], color=style.INK, linewidth=2.6, label=captions.EXACT),
            Line2D([], [], color=style.INK, linewidth=1.0, label=captions.EFFECTIVE),
        ]
        style.legend_below(figure, handles, 2)
    marks = {m for key in orr for e in (*orr[key], cr[key]) for m in _marks(e)}
    return Figure(
        cohort.study,
        "fig-overview",
        figure,
        captions.OVERVIEW_CAPTION.format(**_counted(lines)),
        _overview_alt(cohort.study, {k: e for k, (e, _) in orr.items() if e.n}, cr),
        tuple(marks),
    )


def _overview_line(label: str, exact: Estimate, wilson: Estimate, complete: Estimate) -> Line:
    if not exact.n:
        return Line(label, (), (captions.BARS_NONE,), PLAIN)
    bands = (
        Band(None, exact.low, exact.high, marker="", offset=0.2, thick=2.6),
        Band(None, wilson.low, wilson.high, marker="", offset=0.36, thick=1.0),
    )
    return Line(label, bands, (f"{complete.events:,} / {exact.events:,} / {exact.n:,}",), PLAIN)


def _overview_alt(study: Study, orr: Mapping[str, Estimate], cr: Mapping[str, Estimate]) -> str:
    parts = "; ".join(
        captions.OVERVIEW_PART.format(
            category=words.category(key, study.labels),
            events=e.events,
            n=e.n,
            complete=cr[key].events,
        )
        for key, e in orr.items()
    )
    if len(orr) == 1:
        return captions.OVERVIEW_ONE.format(parts=parts)
    low = min(orr, key=lambda key: orr[key].value or 0)
    high = max(orr, key=lambda key: orr[key].value or 0)
    return captions.OVERVIEW_ALT.format(
        n=len(orr),
        low_rate=percent(orr[low].value),
        low=words.category(low, study.labels),
        high_rate=percent(orr[high].value),
        high=words.category(high, study.labels),
        parts=parts,
    )
