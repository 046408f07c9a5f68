"""Abstracts whose figures are known to fit one another: drawn from patients, then printed.

Each is printed in one of three ways (rounded half up, half to even, or with digits cut off), and
may have one digit of one figure changed afterwards. Whether such a change can be seen at all is
decided here by trying what could have printed it, apart from the engine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, fisher_exact, norm

from salvage.analysis.simulate import batched_cox
from salvage.stats.survival import kaplan_meier

WAYS = ("half up", "half even", "cut off")
SIZES = (10, 300)
Z = norm.isf(0.025)
_TEXTS = {"percent", "ratio", "low", "high", "p", "mean", "sd", "median", "follow_up", "survival"}


def rounded(value: float | Fraction, decimals: int, way: str) -> Fraction:
    """A number rounded as `way` says."""
    scaled = Fraction(value) * 10**decimals
    whole = {
        "half up": lambda: math.floor(scaled + Fraction(1, 2)),
        "half even": lambda: round(scaled),
        "cut off": lambda: math.floor(scaled),
    }[way]()
    return Fraction(whole, 10**decimals)


def shown(value: float | Fraction, decimals: int, way: str, sign: str = "") -> str:
    """A number as printed."""
    return f"{float(rounded(value, decimals, way)):.{decimals}f}{sign}"


def percent(share: Fraction, decimals: int, way: str) -> str:
    return shown(100 * share, decimals, way, "%")


@dataclass(frozen=True)
class Abstract:
    """Figures as a file of cases gives them, each with its kind; and how they were printed."""

    way: str
    kinds: tuple[str, ...]
    figures: tuple[dict[str, Any], ...]


# --- consistent abstracts -------------------------------------------------------------------------


def abstract(seed: int) -> Abstract:
    """One abstract of 10 to 300 patients, with every kind of figure."""
    rng = random.Random(seed)
    draw = np.random.default_rng(seed)
    way = WAYS[seed % len(WAYS)]
    n = rng.randint(*SIZES)
    first = rng.randint(3, n - 3)
    rows = [
        *_shares(rng, way, n),
        *_comparison(rng, way, first, n - first),
        *_sums(rng, way, n),
        *_whole_numbers(rng, draw, way, n, first),
        *_survival(rng, draw, way, n, first),
        *_tables(rng, way),
    ]
    return Abstract(way, tuple(kind for kind, _ in rows), tuple(figure for _, figure in rows))


Rows = Iterator[tuple[str, dict[str, Any]]]


def _shares(rng: random.Random, way: str, n: int) -> Rows:
    for _ in range(4):
        of = rng.choice((n, rng.randint(max(2, n // 3), n)))
        events = rng.choice((0, of, *(rng.randint(0, of) for _ in range(8))))
        text = percent(Fraction(events, of), rng.choice((0, 1, 1, 2)), way)
        yield "percent and count", {"percent": text, "events": events, "n": of}
    yield "percent of n", {"percent": percent(Fraction(rng.randint(0, n), n), 1, way), "n": n}


def _p(p: float, decimals: int, way: str) -> str:
    least = 10**-decimals
    return f"<{least:.{decimals}f}" if p < least else shown(p, decimals, way)


def tests_of(one: tuple[int, int], other: tuple[int, int]) -> list[float]:
    """P by Fisher's test, chi-squared without and with Yates' correction."""
    table = [[one[0], one[1] - one[0]], [other[0], other[1] - other[0]]]
    found = [fisher_exact(table).pvalue]
    if 0 < one[0] + other[0] < one[1] + other[1]:
        found += [chi2_contingency(table, yates).pvalue for yates in (False, True)]
    return [min(1.0, float(p)) for p in found]


def _comparison(rng: random.Random, way: str, n: int, m: int) -> Rows:
    one, other = (rng.randint(0, n), n), (rng.randint(0, m), m)
    p = rng.choice(tests_of(one, other))
    arms = [f"{a}/{b}" for a, b in (one, other)]
    yield "P of counts", {"arms": arms, "p": _p(p, rng.choice((2, 3, 4)), way)}


def _sums(rng: random.Random, way: str, n: int) -> Rows:
    cuts = sorted(rng.sample(range(1, n), 3))
    parts = [b - a for a, b in zip((0, *cuts), (*cuts, n), strict=True)]
    yield "sum of counts", {"sum": parts, "total": n}
    decimals = rng.choice((0, 1))
    shares = [percent(Fraction(part, n), decimals, way) for part in parts]
    yield "sum of percentages", {"sum": shares, "total": "100%"}


def deviation(total: int, squares: int, n: int) -> float:
    return math.sqrt(Fraction(n * squares - total**2, n * (n - 1)))


def _whole_numbers(
    rng: random.Random, draw: np.random.Generator, way: str, n: int, first: int
) -> Rows:
    ages = [int(x) for x in draw.normal(60, 12, n).clip(18, 95)]
    decimals = rng.choice((1, 2))
    figure = {"mean": shown(Fraction(sum(ages), n), decimals, way), "n": n, "whole": True}
    yield "mean", figure
    sd = deviation(sum(ages), sum(x * x for x in ages), n)
    yield "mean and deviation", {**figure, "sd": shown(sd, decimals, way)}
    yes = [int(x) for x in draw.random(n) < rng.random()]
    yield (
        "mean and deviation of yes or no",
        {
            "mean": shown(Fraction(sum(yes), n), 2, way),
            "sd": shown(deviation(sum(yes), sum(yes), n), 2, way),
            "n": n,
            "binary": True,
        },
    )
    halves = [Fraction(median(part)) for part in (ages, ages[:first], ages[first:])]
    decimals = rng.choice((0, 1))
    whole, *groups = (shown(value, decimals, way) for value in halves)
    yield (
        "median of groups",
        {"median": whole, "of_groups": groups, "of": "age", "groups": "whole"},
    )
    ends = (str(min(ages)), str(max(ages)))
    yield "median in its range", {"median": whole, "low": ends[0], "high": ends[1]}


def _survival(rng: random.Random, draw: np.random.Generator, way: str, n: int, first: int) -> Rows:
    group = np.arange(n) < first
    life = draw.exponential(10 / np.exp(rng.uniform(-1, 1) * group))
    stop = draw.uniform(0, rng.choice((15, 40, 400)), n)
    time, died = np.minimum(life, stop), life <= stop
    fit = batched_cox(time[None], died[None], group[None])
    b, se = float(fit.log_hr[0]), float(fit.se[0])
    decimals = rng.choice((1, 2, 2, 3))
    if not math.isnan(b) and b - Z * se > math.log(10**-decimals) and b + Z * se < math.log(1000):
        parts = {"ratio": b, "low": b - Z * se, "high": b + Z * se}
        ratio: dict[str, Any] = {k: shown(math.exp(x), decimals, way) for k, x in parts.items()}
        p = {"p": _p(2 * norm.sf(abs(b / se)), rng.choice((2, 3, 4)), way)}
        yield "ratio and interval", ratio
        yield "ratio, interval and P", ratio | p
        yield "ratio, interval, P and deaths", ratio | p | {"n": n, "deaths": int(died.sum())}
    curves = [kaplan_meier(time, died), kaplan_meier(time, ~died)]
    survival, follow = (curve.median.value for curve in curves)
    if survival is not None and follow is not None and math.isfinite(survival + follow):
        yield (
            "follow-up and survival",
            {
                "follow_up": shown(follow, 1, way),
                "survival": shown(survival, 1, way),
                "n": n,
                "deaths": int(died.sum()),
                "method": "reverse Kaplan-Meier",
            },
        )


def _tables(rng: random.Random, way: str) -> Rows:
    """Two categories, small enough to try every table."""
    for _ in range(20):
        n, m = rng.randint(1, 6), rng.randint(1, 6)
        r, s = rng.randint(0, n), rng.randint(0, m)
        c, d = rng.randint(0, r), rng.randint(0, s)
        subset = rng.randint(1, m)
        inside = max(0, d - (m - subset)), min(d, subset)
        if Fraction(r, n) > Fraction(s, m) and Fraction(d, m) > Fraction(c, n):
            rates = (Fraction(r, n), Fraction(d, m), Fraction(rng.randint(*inside), subset))
            names = ("highest_response", "highest_complete", "subset_complete")
            yield (
                "table of categories",
                {
                    "categories": 2,
                    "events": n + m,
                    "responses": r + s,
                    "complete": c + d,
                    **{k: percent(x, 1, way) for k, x in zip(names, rates, strict=True)},
                },
            )
            return


# --- one digit changed ----------------------------------------------------------------------------


def changed(one: Abstract, seed: int) -> tuple[Abstract, int]:
    """The abstract with one digit of one figure changed, and which figure."""
    # Not the numbers that drew the patients, or the kind of figure would depend on their number.
    rng = random.Random(f"changed {seed}")
    place = rng.randrange(len(one.figures))
    figure = {k: list(v) if isinstance(v, list) else v for k, v in one.figures[place].items()}
    fixed = ("whole", "binary", "of", "groups", "method", "categories")
    key = rng.choice([key for key in figure if key not in fixed])
    if isinstance(figure[key], list):
        item = rng.randrange(len(figure[key]))
        figure[key][item] = _with_other_digit(rng, figure[key][item])
    else:
        figure[key] = _with_other_digit(rng, figure[key])
    figures = (*one.figures[:place], figure, *one.figures[place + 1 :])
    return Abstract(one.way, one.kinds, figures), place


def _with_other_digit(rng: random.Random, part: str | int) -> Any:
    text = str(part)
    place = rng.choice([i for i, mark in enumerate(text) if mark.isdigit()])
    digits = [d for d in "0123456789" if d != text[place]]
    if place == 0 and len(text) > 1 and text[1].isdigit():
        digits = [d for d in digits if d != "0"]
    new = text[:place] + rng.choice(digits) + text[place + 1 :]
    return int(new) if isinstance(part, int) else new


def detectable(kind: str, figure: dict[str, Any], way: str) -> bool:
    """Whether nothing prints a figure, rounded either way (nor cut off in an abstract that is)."""
    ways = WAYS if way == "cut off" else WAYS[:2]
    return not any(_PRINTED[kind](figure, way) for way in ways)


def _decimals(text: str) -> int:
    return len(text.rstrip("%").partition(".")[2])


def _is(value: Fraction | float, text: str, way: str) -> bool:
    percent_sign = text.endswith("%")
    return shown(value * (100 if percent_sign else 1), _decimals(text), way) == text.rstrip("%")


def _share(f: dict[str, Any], way: str) -> bool:
    n = f["n"]
    counts = [f["events"]] if "events" in f else range(n + 1)
    return n > 0 and any(0 <= c <= n and _is(Fraction(c, n), f["percent"], way) for c in counts)


def _p_is(p: float, text: str, way: str) -> bool:
    return p < float(text[1:]) if text.startswith("<") else _is(p, text, way)


def _counts(f: dict[str, Any], way: str) -> bool:
    (a, n), (b, m) = (map(int, arm.split("/")) for arm in f["arms"])
    if not (0 <= a <= n and 0 <= b <= m and n and m):
        return False
    return any(_p_is(p, f["p"], way) for p in tests_of((a, n), (b, m)))


def _range(text: str, way: str) -> tuple[float, float]:
    step = 10.0 ** -_decimals(text) * (0.01 if text.endswith("%") else 1)
    value = float(text.rstrip("%")) * (0.01 if text.endswith("%") else 1)
    return (value, value + step) if way == "cut off" else (value - step / 2, value + step / 2)


def _summed(f: dict[str, Any], way: str) -> bool:
    if isinstance(f["total"], int):
        return bool(sum(f["sum"]) == f["total"])
    ends = [_range(part, way) for part in f["sum"]]
    total = float(f["total"].rstrip("%")) / 100
    return sum(low for low, _ in ends) <= total + 1e-9 and total <= sum(h for _, h in ends) + 1e-9


def _mean(f: dict[str, Any], way: str) -> bool:
    n, mean = f["n"], float(f["mean"])
    if n < 1:
        return False
    sums = [
        s
        for s in range(math.floor((mean - 1) * n), math.ceil((mean + 1) * n) + 1)
        if _is(Fraction(s, n), f["mean"], way)
    ]
    if "sd" not in f:
        return bool(sums)
    if n < 2:
        return False
    if "binary" in f:
        return any(0 <= s <= n and _is(deviation(s, s, n), f["sd"], way) for s in sums)
    low, high = (max(0.0, end) ** 2 * (n - 1) for end in _range(f["sd"], way))
    return any(
        _is(deviation(s, q, n), f["sd"], way)
        for s in sums
        for q in range(math.floor(low + s * s / n) - 1, math.ceil(high + s * s / n) + 2)
        if (q - s) % 2 == 0 and n * q >= s * s
    )


def _medians(f: dict[str, Any], way: str) -> bool:
    groups = [float(text) for text in f["of_groups"]]
    return min(groups) <= float(f["median"]) <= max(groups)


def _in_range(f: dict[str, Any], way: str) -> bool:
    low, value, high = (_range(f[key], way) for key in ("low", "median", "high"))
    return low[0] < value[1] and value[0] < high[1]


def _ratio(f: dict[str, Any], way: str) -> bool:
    """Whether some log ratio leaves a standard error for both limits, P and the deaths."""
    if "deaths" in f and f["deaths"] > f["n"]:
        return False
    ratio, low, high = (
        [math.log(max(end, 1e-9)) for end in _range(f[key], way)]
        for key in ("ratio", "low", "high")
    )
    b = np.linspace(*ratio, 4001)
    least = np.maximum((b - low[1]) / Z, (high[0] - b) / Z)
    most = np.minimum((b - low[0]) / Z, (high[1] - b) / Z)
    least = np.maximum(least, 1e-9)
    if "deaths" in f:
        least = np.maximum(least, 2 / math.sqrt(max(f["deaths"], 1e-9)))
    if "p" in f:
        ends = (0, float(f["p"][1:])) if f["p"].startswith("<") else _range(f["p"], way)
        least = np.maximum(least, np.abs(b) / norm.isf(max(ends[0], 1e-300) / 2))
        z = norm.isf(min(ends[1], 1.0) / 2)
        most = np.minimum(most, np.abs(b) / z) if z > 0 else most
    return bool((least <= most).any())


def _followed(f: dict[str, Any], way: str) -> bool:
    censored = f["n"] - f["deaths"]
    at_risk = max(1, math.ceil(f["n"] / 2 - censored))
    above = float(f["follow_up"]) > float(f["survival"])
    return censored >= 0 and (above or 1 - censored / at_risk <= 0.5)


def _table(f: dict[str, Any], way: str) -> bool:
    totals = f["events"], f["responses"], f["complete"]
    for n, r, c in product(*(range(total + 1) for total in totals)):
        m, s, d = (total - x for total, x in zip(totals, (n, r, c), strict=True))
        if not (n and m and c <= r <= n and d <= s <= m):
            continue
        if Fraction(r, n) > Fraction(s, m) and Fraction(d, m) > Fraction(c, n):
            rates = _is(Fraction(r, n), f["highest_response"], way) and _is(
                Fraction(d, m), f["highest_complete"], way
            )
            if rates and any(
                _is(Fraction(x, size), f["subset_complete"], way)
                for size in range(1, m + 1)
                for x in range(max(0, d - (m - size)), min(d, size) + 1)
            ):
                return True
    return False


_PRINTED = {
    "percent and count": _share,
    "percent of n": _share,
    "P of counts": _counts,
    "sum of counts": _summed,
    "sum of percentages": _summed,
    "mean": _mean,
    "mean and deviation": _mean,
    "mean and deviation of yes or no": _mean,
    "median of groups": _medians,
    "median in its range": _in_range,
    "ratio and interval": _ratio,
    "ratio, interval and P": _ratio,
    "ratio, interval, P and deaths": _ratio,
    "follow-up and survival": _followed,
    "table of categories": _table,
}
KINDS = tuple(_PRINTED)
