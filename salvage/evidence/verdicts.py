"""One verdict for each printed figure, whoever printed it, with the arithmetic behind it.

The verdict is the first of VERDICTS that holds. It says what the printed digits allow, and never
who erred or why. Which digits were cut off and which denominator was meant is read from the other
figures of the same abstract.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import Annotated, Final, Literal, TypeVar

from salvage import words
from salvage.evidence.feasible_tables import TableFacts, feasible_tables
from salvage.evidence.printed import RatioCheck, RatioFact, check_ratio, follow_up
from salvage.evidence.rounding import Printed, PrintedP, numerators
from salvage.records import Kind, whole_number
from salvage.stats.exact import fisher_2x2

Verdict = Literal[
    "possible", "truncated", "other_method", "other_denominator", "impossible", "question"
]
#: In their order, with what each means.
VERDICTS: Final[Mapping[Verdict, str]] = {
    "possible": "fits what is printed with it, rounded half up or half even",
    "truncated": "fits if digits were cut off and not rounded",
    "other_method": "a profile or exact interval, another test or model, or a misprint",
    "other_denominator": "fits another number of patients than the printed one",
    "impossible": "no data print these figures together",
    "question": "cannot be decided from what is printed",
}
#: Another n is looked for within this share of the printed one.
NEAR: Final = Fraction(1, 10)
#: More events than this make too many tables to count.
MOST_TABLES: Final = 100
AFTER_TIME_ZERO: Final = "after time zero"
IMMORTAL: Final = "immortal time"
#: What Kaplan-Meier estimates: no count of n, and a median that censoring can put anywhere.
OVER_TIME: Final = re.compile(
    r"surviv|\b[OPDE]FS\b|\bm?OS\b|\bm?PFS\b|\bDO[RC]R?\b|\bTTNT\b|follow|time to|duration"
    r"|生存|随访|缓解持续|缓解时间",
    re.IGNORECASE,
)


def _p_value(text: str) -> str:
    """The text of a P-value. Raises ValueError for another text."""
    PrintedP.parse(text)
    return text


def _level(text: str) -> float:
    """The level of an interval, such as 95%. Raises ValueError for another text."""
    level = Printed.parse(text if text.endswith("%") or "." in text else f"{text}%").value
    if not Fraction(1, 2) < level < 1:
        raise ValueError(text)
    return float(level)


def _arm(text: str) -> tuple[int, int]:
    """A count of n. Raises ValueError for another text."""
    events, n = map(int, text.split("/"))
    if min(events, n) < 0:
        raise ValueError(text)
    return events, n


_Part = TypeVar("_Part")
_Number = Annotated[Printed, Kind(Printed.parse, "a number as printed")]
_Size = Annotated[int, whole_number(1)]


@dataclass(frozen=True)
class Figure:
    """A figure as printed. Every part is optional; which are given says what the figure is.

    percent, events, n           a share, the count and what it is out of
    ratio, low, high, level, p   a ratio with its interval and P; an interval of any other figure
    deaths, per                  of the ratio's model; the unit of a covariate that is no group
    arms, p                      counts of n in two groups, and the P of their comparison
    sum, total                   parts of a whole
    mean, sd, whole, scale       of n whole numbers, from the lowest to the highest possible one
    median, of, of_groups, groups   of what; medians of groups, which are `whole` if they are all
    value                        any other estimate with an interval
    follow_up, survival, censored, method   medians, how many were censored, how it was estimated
    categories, responses, complete, highest_response, highest_complete, subset_complete
                                 of a table (feasible_tables.TableFacts); the highest rates are of
                                 two categories
    table                        which table a percentage stands in
    group_known, sizes, cutoff   when it is known who belongs to the group; sizes of the groups that
                                 a ratio compares; month that parts them (see evidence.chance)
    """

    percent: _Number | None = None
    events: int | None = None
    n: int | None = None
    ratio: _Number | None = None
    low: _Number | None = None
    high: _Number | None = None
    level: Annotated[float, Kind(_level, "a level such as 95%")] = 0.95
    p: Annotated[str, Kind(_p_value, "a P-value such as 0.038 or <0.001")] | None = None
    deaths: int | None = None
    per: str = ""
    arms: tuple[Annotated[tuple[int, int], Kind(_arm, "a count of n such as 8/27")], ...] = ()
    sum: tuple[_Number, ...] = ()
    total: _Number | None = None
    mean: _Number | None = None
    sd: _Number | None = None
    whole: bool = False
    scale: tuple[int, ...] = ()
    median: _Number | None = None
    of: str = ""
    of_groups: tuple[_Number, ...] = ()
    groups: str = ""
    value: _Number | None = None
    follow_up: _Number | None = None
    survival: _Number | None = None
    censored: int | None = None
    method: str = ""
    categories: _Size | None = None
    responses: int | None = None
    complete: int | None = None
    highest_response: _Number | None = None
    highest_complete: _Number | None = None
    subset_complete: _Number | None = None
    table: str = ""
    group_known: str = ""
    sizes: tuple[_Size, ...] = ()
    cutoff: _Number | None = None

    @property
    def design(self) -> str | None:
        """The flag of a group that was formed after time zero: beside the verdict, not part of
        it."""
        return IMMORTAL if self.group_known.strip().lower() == AFTER_TIME_ZERO else None


@dataclass(frozen=True)
class Finding:
    """What the audit says of one figure.

    arithmetic   one sentence
    hint         the one part that, changed, would mend it
    ask          what to ask the authors, where that is not what any such verdict asks
    """

    verdict: Verdict
    arithmetic: str
    hint: dict[str, str | int] = field(default_factory=dict)
    ask: str = ""


@dataclass(frozen=True)
class _Check:
    """One figure against its own arithmetic.

    form     what is printed alike: its kind and number of decimals
    fits     whether digits were cut off -> how the figure is then printed, empty if it cannot be
    misfit   the finding where it fits in neither way
    """

    form: tuple[str, int]
    fits: Callable[[bool], str]
    misfit: Callable[[], Finding]


def judge(figures: Sequence[Figure]) -> list[Finding]:
    """The verdict of each figure of one abstract, in their order."""
    checks = [_check(figure) for figure in figures]
    rounded = ["" if isinstance(check, Finding) else check.fits(False) for check in checks]
    cut = [
        "" if isinstance(check, Finding) or fits else _cut_off(check, checks)
        for check, fits in zip(checks, rounded, strict=True)
    ]
    misfits = [
        figure
        for figure, check, *fits in zip(figures, checks, rounded, cut, strict=True)
        if isinstance(check, _Check) and not any(fits)
    ]
    largest = max((f.n for f in figures if f.percent and f.n), default=0)

    def finding(figure: Figure, check: _Check | Finding, fits: str, fits_cut: str) -> Finding:
        if isinstance(check, Finding):
            return check
        if fits:
            return Finding("possible", fits)
        if fits_cut:
            return Finding("truncated", fits_cut)
        n = _other_n(figure, misfits, largest)
        return _with_other_n(figure, n) if n else check.misfit()

    return [finding(*row) for row in zip(figures, checks, rounded, cut, strict=True)]


def _cut_off(check: _Check, checks: Sequence[_Check | Finding]) -> str:
    """How a figure is printed with digits cut off; empty if another of its form shows rounding."""
    fits = check.fits(True)
    shows_rounding = fits and any(
        other.fits(False) and not other.fits(True)
        for other in checks
        if isinstance(other, _Check) and other.form == check.form
    )
    return "" if shows_rounding else fits


def _check(figure: Figure) -> _Check | Finding:
    """The check of the first kind that the figure is of."""
    if figure.p is not None and not PrintedP.parse(figure.p).possible:
        return Finding("impossible", f"{figure.p} is no probability.")
    for part, kind in _KINDS.items():
        if getattr(figure, part) not in (None, ()):
            return kind(figure)
    return Finding("question", "Nothing here is a figure that can be checked.")


def _form(kind: str, printed: Printed) -> tuple[str, int]:
    return kind, printed.decimals


def _question(arithmetic: str, ask: str) -> Finding:
    return Finding("question", arithmetic, {}, ask)


def _too_many(events: object, n: int) -> Finding:
    return Finding("impossible", f"{events} cannot be counted among {n}.")


# --- percentages and counts -----------------------------------------------------------------------


def _percent(f: Figure) -> _Check | Finding:
    share, n = _given(f.percent), f.n
    if share.low > 1 or share.high < 0:
        return Finding("impossible", f"{share.text} is no share of a whole.")
    if f.events is not None and n is not None and f.events > n:
        return Finding("impossible", f"{f.events} cannot be counted among {n}.")
    if not _inside(share, f.low, f.high):
        return _outside(share, f)
    if OVER_TIME.search(f.of):
        if f.low and f.high:
            return Finding("possible", f"{share.text} lies inside its interval.")
        return _question(
            f"{share.text} is an estimate over time, and not a count of its n.",
            f"What is the confidence interval of {share.text}?",
        )
    if not n:
        return _without_n(f, share)

    def counts(cut: bool) -> list[int]:
        return [c for c in numerators(share.read(cut), n) if f.events in (None, c)]

    def fits(cut: bool) -> str:
        found = counts(cut)
        if not found:
            return ""
        more = f" (and {len(found) - 1} more counts)" if len(found) > 1 else ""
        how = f", which is {share.text} with the digits cut off" if cut else ""
        return f"{found[0]} of {n} is {_exact(found[0], n, share)}{more}{how}."

    def misfit() -> Finding:
        able, events = numerators(share, n), f.events
        if able and events is not None:
            hint: dict[str, str | int] = {"events": min(able, key=lambda c: abs(c - events))}
        else:
            hint = _near_n(n, lambda m: _prints(f, m))
        if events is not None:
            arithmetic = f"{events} of {n} is {_exact(events, n, share)}, not {share.text}."
        else:
            below = math.floor(share.value * n)
            arithmetic = (
                f"No count of {n} prints {share.text}: {below} is {_exact(below, n, share)} and"
                f" {below + 1} is {_exact(below + 1, n, share)}."
            )
        return Finding("impossible", arithmetic, hint)

    return _Check(_form("percent", share), fits, misfit)


def _exact(events: int, n: int, share: Printed) -> str:
    """A share with two digits more than printed."""
    percent = share.text.endswith("%")
    value = f"{events / n * (100 if percent else 1):.{share.decimals + 2}f}"
    return f"{value}%" if percent else value


def _without_n(f: Figure, share: Printed) -> Finding:
    """A percentage whose n is not printed."""
    ask = f"Of how many is {share.text} the share?"
    if f.events is None or share.low <= 0:
        return _question(f"{share.text} is printed without its n.", ask)
    sizes = [
        n
        for n in range(max(1, f.events), math.floor(f.events / share.low) + 1)
        if any(share.read(cut).prints(Fraction(f.events, n)) for cut in (False, True))
    ]
    if not sizes:
        return Finding("impossible", f"{f.events} of no number is {share.text}.")
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    return _question(f"The n of {f.events} ({share.text}) is not printed; {span} would fit.", ask)


def _prints(f: Figure, n: int) -> bool:
    """Whether the percentage, of its count if that is printed, may be one of n."""
    counts = numerators(_given(f.percent), n)
    return f.events in counts if f.events is not None else bool(counts)


def _near_n(n: int, fits: Callable[[int], bool]) -> dict[str, str | int]:
    """The hint of an n within a tenth that fits; the nearest, and not above n if two are."""
    reach = math.floor(n * NEAR)
    near = [m for m in range(max(1, n - reach), n + reach + 1) if m != n and fits(m)]
    return {"n": min(near, key=lambda m: (abs(m - n), m))} if near else {}


def _other_n(f: Figure, misfits: Sequence[Figure], largest: int) -> int | None:
    """Another n than printed, not above the largest printed one, that a percentage may be of.

    One within a tenth that fits the printed count, or one that fits another percentage of the same
    table as well; of several the one that fits most of them, then the nearest.
    """
    if f.percent is None or f.n is None:
        return None
    n = f.n
    mates = {
        (m.percent, m.events): m
        for m in misfits
        if m.percent not in (None, f.percent) and (m.n, m.table) == (n, f.table)
    }
    fitting = {
        m: sum(_prints(mate, m) for mate in mates.values())
        for m in range(1, largest + 1)
        if m != n and _prints(f, m)
    }
    near = {m for m in fitting if f.events is not None and abs(m - n) <= n * NEAR}
    able = [m for m, shared in fitting.items() if shared or m in near]
    return max(able, key=lambda m: (fitting[m], -abs(m - n)), default=None)


def _with_other_n(f: Figure, n: int) -> Finding:
    share = _given(f.percent)
    count = numerators(share, n)[0] if f.events is None else f.events
    arithmetic = (
        f"{f'{f.events} of {f.n} is not' if f.events is not None else f'No count of {f.n} prints'}"
        f" {share.text}, but {count} of {n} is {_exact(count, n, share)}."
    )
    return Finding("other_denominator", arithmetic, {"n": n})


def _count(f: Figure) -> Finding:
    if f.events is not None and f.n is not None and f.events > f.n:
        return _too_many(f.events, f.n)
    return Finding("possible", "A count, with nothing printed that it does not fit.")


def _two_groups(f: Figure) -> _Check | Finding:
    if len(f.arms) != 2 or f.p is None:
        return _question(
            "Two groups and a P-value are needed for a comparison of counts.",
            "By which test were the groups compared, and what was its P?",
        )
    for events, n in f.arms:
        if events > n or not n:
            return _too_many(events, n)
    tests = _tests(*f.arms)
    found = words.listing([f"{name} gives {_p_text(p)}" for name, p in tests.items()])

    def fits(cut: bool) -> str:
        printed = PrintedP.parse(f.p or "", cut)
        names = [name for name, p in tests.items() if printed.prints(p)]
        how = " with the digits cut off" if cut else ""
        return f"{found}; {words.listing(names)} prints {f.p}{how}." if names else ""

    def misfit() -> Finding:
        return Finding("other_method", f"{found}; none of them prints {f.p}.")

    return _Check(("p", Printed.parse(f.p.lstrip("Pp<>=≤≥ ")).decimals), fits, misfit)


@cache
def _tests(one: tuple[int, int], other: tuple[int, int]) -> dict[str, float]:
    """Two-sided P of a 2 x 2 table by Fisher's test and by chi-squared without and with Yates."""
    from scipy.special import chdtrc

    (a, n), (b, m) = one, other
    fisher = {"Fisher's test": fisher_2x2(a, n, b, m).p} if n and m else {}
    margins = n * m * (a + b) * (n + m - a - b)
    difference = abs(a * (m - b) - b * (n - a))

    def chi_squared(correction: float) -> float:
        if not margins:
            return 1.0
        return float(chdtrc(1, (n + m) * max(0.0, difference - correction) ** 2 / margins))

    return {
        **fisher,
        "chi-squared": chi_squared(0.0),
        "chi-squared with Yates' correction": chi_squared((n + m) / 2),
    }


def _p_text(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1g}"


def _sum(f: Figure) -> _Check | Finding:
    parts, total = f.sum, f.total
    if total is None:
        return _question("The total of these parts is not printed.", "What is their total?")
    whole = total.value == 1 and total.text.endswith("%")

    def bounds(part: Printed, cut: bool) -> tuple[Fraction, Fraction]:
        counted = part.step == 1 or (part is total and whole)
        return (part.value, part.value) if counted else (part.read(cut).low, part.read(cut).high)

    exact = sum(part.value for part in parts)
    shown = f"{' + '.join(part.text for part in parts)} is {_plainly(exact, total)}"

    def fits(cut: bool) -> str:
        low, high = (sum(bounds(part, cut)[end] for part in parts) for end in (0, 1))
        least, most = bounds(total, cut)
        how = " with the digits cut off" if cut else ""
        reached = high > least if cut and low < high else high >= least
        return f"{shown}, printed as {total.text}{how}." if low <= most and reached else ""

    def misfit() -> Finding:
        hint: dict[str, str | int] = {} if whole else {"total": _plainly(exact, total)}
        if exact.denominator == 1 and "%" not in total.text:
            hint = {"total": int(exact)}
        return Finding("impossible", f"{shown}, not {total.text}.", hint)

    return _Check(_form("sum", parts[0]), fits, misfit)


def _plainly(value: Fraction | int, like: Printed) -> str:
    percent = like.text.endswith("%")
    return f"{float(value * (100 if percent else 1)):.10g}{'%' if percent else ''}"


def _feasible(f: Figure) -> _Check | Finding:
    totals = (f.categories, f.events, f.responses, f.complete)
    rates = (f.highest_response, f.highest_complete, f.subset_complete)
    if None in totals or None in rates or (f.categories or 0) < 2 or (f.events or 0) > MOST_TABLES:
        return _question(
            "Tables are counted for two or more categories, up to"
            f" {MOST_TABLES} events, three totals and three rates.",
            "How are the events spread over the categories?",
        )
    names = tuple(str(i) for i in range(_given(f.categories)))

    def fits(cut: bool) -> str:
        response, complete, subset = (_given(rate).read(cut) for rate in rates)
        events, responses, completes = (_given(total) for total in totals[1:])
        best = (names[0], response), (names[1], complete)
        count = feasible_tables(
            TableFacts(names, events, responses, completes, *best, subset, f.n)
        ).count
        how = " with the digits cut off" if cut else ""
        return (
            f"{count:,} tables of the categories print all of these figures{how}." if count else ""
        )

    def misfit() -> Finding:
        return Finding("impossible", "No table of the categories prints all of this.")

    return _Check(_form("table", _given(f.highest_response)), fits, misfit)


# --- ratios ---------------------------------------------------------------------------------------


def _ratio(f: Figure) -> _Check | Finding:
    ratio, low, high = _given(f.ratio), f.low, f.high
    if low is None or high is None:
        return _question(
            f"A ratio of {ratio.text} without both limits cannot be checked.",
            f"What is the confidence interval of {ratio.text}?",
        )
    if min(ratio.high, low.high, high.high) <= 0:
        return Finding("impossible", "A ratio and its limits are above 0.")
    if f.deaths is not None and f.n is not None and f.deaths > f.n:
        return _too_many(f"{f.deaths} deaths", f.n)

    def check(cut: bool) -> RatioCheck:
        # Per unit of a covariate the interval bounds no number of deaths.
        n, deaths = (None, None) if f.per else (f.n, f.deaths)
        p = None if f.p is None else PrintedP.parse(f.p, cut)
        return check_ratio(
            RatioFact(ratio.read(cut), low.read(cut), high.read(cut), p, n, deaths, f.level)
        )

    def fits(cut: bool) -> str:
        found = check(cut)
        if not found.consistent:
            return ""
        regions = found.with_p or (found.region,)
        se = [end for region in regions for end in region.se]
        p = [end for region in regions for end in region.p]
        how = " with the digits cut off" if cut else ""
        fewest = "" if f.per or not f.n or not found.deaths else _fewest(found)
        return (
            f"A standard error of {min(se):.4f} to {max(se):.4f} on the log scale, with a Wald P of"
            f" {_p_text(min(p))} to {_p_text(max(p))}, prints these figures{how}{fewest}."
        )

    def misfit() -> Finding:
        return _ratio_misfit(f, check(False))

    return _Check(_form("ratio", ratio), fits, misfit)


def _fewest(check: RatioCheck) -> str:
    bound = check.deaths
    return f" and needs {bound.sharp or bound.simple} deaths or more" if bound else ""


def _ratio_misfit(f: Figure, check: RatioCheck) -> Finding:
    ratio, low, high = _given(f.ratio), _given(f.low), _given(f.high)
    mend = _mended(check.fact)
    if low.value > high.value:
        swapped: dict[str, str | int] = {"low": high.text, "high": low.text}
        return Finding(
            "impossible", f"The lower limit {low.text} is above the upper, {high.text}.", swapped
        )
    if not _inside(ratio, low, high):
        return replace(_outside(ratio, f), hint=mend)
    centre = math.sqrt(max(low.value, Fraction(0)) * high.value)
    if check.region.empty:
        arithmetic = (
            f"On the log scale {low.text} and {high.text} have their middle at {centre:.4g}, which"
            f" {ratio.text} does not print: this is no Wald interval, or one digit is not right."
        )
        return Finding("other_method", arithmetic, mend)
    if not check.p_consistent:
        least, most = check.region.p
        arithmetic = (
            f"The interval leaves a Wald P of {_p_text(least)} to {_p_text(most)}, which {f.p} does"
            " not print: it is of another test, or one digit is not right."
        )
        return Finding("other_method", arithmetic)
    bound = _given(check.deaths)
    fewest = bound.sharp or bound.simple
    printed = f"{f.n} patients" if f.deaths is None else words.count(f.deaths, "death")
    arithmetic = (
        f"A Cox model of two groups with this Wald interval needs {fewest} deaths or more, and"
        f" {printed} are printed: this is another model or interval, or one digit is not right."
    )
    able = f.deaths is not None and (f.n is None or fewest <= f.n)
    return Finding("other_method", arithmetic, {"deaths": fewest} if able else {})


def _mended(fact: RatioFact) -> dict[str, str | int]:
    """The hint of one limit that would make a Wald interval: first the one that is nearer to the
    ratio, since the other then leaves the larger standard error."""
    ratio, low, high = (max(float(part.value), 1e-9) for part in (fact.hr, fact.low, fact.high))
    sides = [
        ("high", fact.high.nearest(ratio**2 / low)),
        ("low", fact.low.nearest(ratio**2 / high)),
    ]
    if high / ratio > ratio / low:
        sides.reverse()
    for side, limit in sides:
        changed = RatioFact(
            fact.hr,
            limit if side == "low" else fact.low,
            limit if side == "high" else fact.high,
            fact.p,
            level=fact.level,
        )
        above_0 = limit.high > 0 and changed.low.value <= changed.hr.value <= changed.high.value
        if above_0 and check_ratio(changed).consistent:
            return {side: limit.text}
    return {}


# --- means and medians ----------------------------------------------------------------------------


def _mean(f: Figure) -> _Check | Finding:
    mean, n, sd = _given(f.mean), f.n, f.sd
    if sd is not None and sd.high < 0:
        return Finding("impossible", "A standard deviation is 0 or more.")
    if not f.whole and not f.scale:
        if f.low and f.high:
            return _in_interval(f)
        return _question(
            f"A mean of {mean.text} is any number's, unless it is known to be of whole numbers.",
            f"Is {mean.text} a mean of whole numbers?",
        )
    if not n:
        ask = f"Of how many is {mean.text} the mean?"
        return _question(f"The n of the mean {mean.text} is not printed.", ask)
    if not _inside(mean, f.low, f.high):
        return _outside(mean, f)

    def fits(cut: bool, n: int = n) -> str:
        for total in _sums(mean.read(cut), n, f.scale):
            squares = _squares(sd.read(cut), n, total, f.scale) if sd else range(1)
            if squares:
                how = ", printed with the digits cut off" if cut else ""
                more = f", and a sum of squares of {squares[0]} prints {sd.text}" if sd else ""
                return f"{total}/{n} is {total / n:.4f}{more}{how}."
        return ""

    def misfit() -> Finding:
        below = math.floor(mean.value * n)
        arithmetic = (
            f"No whole sum over {n} prints {mean.text}: {below}/{n} is {below / n:.4f} and"
            f" {below + 1}/{n} is {(below + 1) / n:.4f}."
        )
        if sd and any(_sums(mean, n, f.scale)):
            arithmetic = (
                f"No {n} whole numbers with a mean of {mean.text} have a standard deviation that"
                f" prints {sd.text}."
            )
        return Finding("impossible", arithmetic, _near_n(n, lambda m: bool(fits(False, m))))

    return _Check(_form("mean", mean), fits, misfit)


def _sums(mean: Printed, n: int, scale: tuple[int, ...]) -> Iterator[int]:
    """Whole sums that print a mean (Brown and Heathers' GRIM)."""
    for total in range(math.ceil(mean.low * n), math.floor(mean.high * n) + 1):
        inside = not scale or scale[0] * n <= total <= scale[-1] * n
        if inside and mean.prints(Fraction(total, n)):
            yield total


def _squares(sd: Printed, n: int, total: int, scale: tuple[int, ...]) -> range:
    """Sums of n squares that print a standard deviation, given the sum of the numbers.

    A sum of squares is as odd or even as the sum (Anaya's GRIMMER); the most even numbers have the
    least, the most uneven on a scale the greatest. On a scale from 0 to 1 there is one (DEBIT).
    """
    if n < 2:
        return range(0)
    mean_part = Fraction(total**2, n)
    low = math.ceil((n - 1) * max(sd.low, Fraction(0)) ** 2 + mean_part)
    exact_high = (n - 1) * sd.high**2 + mean_part
    high = math.ceil(exact_high) - 1 if sd.cut else math.floor(exact_high)
    each, more = divmod(total, n)
    low = max(low, more * (each + 1) ** 2 + (n - more) * each**2)
    if scale:
        least, most = scale[0], scale[-1]
        at_most, rest = divmod(total - n * least, most - least)
        between = (least + rest) ** 2 if at_most < n else 0
        others = max(0, n - at_most - 1) * least**2
        high = min(high, at_most * most**2 + between + others)
    return range(low + (low - total) % 2, high + 1, 2)


def _median(f: Figure) -> _Check | Finding:
    median, of = _given(f.median), f.of_groups
    if not of or not _inside(median, f.low, f.high):
        return _in_interval(f)
    known = not OVER_TIME.search(f.of) and bool(f.of) and f.groups == "whole"
    least, most = (pick(of, key=lambda part: part.value) for pick in (min, max))
    listed = words.listing([part.text for part in of])

    def fits(cut: bool) -> str:
        inside = _inside(*(part.read(cut) for part in (median, least, most)))
        return f"{median.text} lies between the medians of the groups, {listed}." if inside else ""

    def misfit() -> Finding:
        outside = f"The median of all, {median.text}, lies outside those of the groups, {listed}"
        if known:
            return Finding("impossible", f"{outside}, which make up the whole.")
        why = (
            "uneven censoring can do that"
            if OVER_TIME.search(f.of)
            else "the groups are not said to make up the whole"
        )
        ask = f"How do the medians {listed} go with {median.text} for all?"
        return _question(f"{outside}; {why}.", ask)

    return _Check(_form("median", median), fits, misfit)


def _in_interval(f: Figure) -> _Check | Finding:
    """A median, mean or other estimate in its range or interval."""
    value = _given(f.median or f.value or f.mean)
    if f.low is None or f.high is None:
        return _question(
            f"Nothing is printed with {value.text} that it could be checked against.",
            f"What is the confidence interval of {f.of or 'the value'}, {value.text}?",
        )
    if not _inside(value, f.low, f.high):
        return _outside(value, f)
    return Finding("possible", f"{value.text} lies inside {_interval(f)}.")


def _inside(value: Printed, low: Printed | None, high: Printed | None) -> bool:
    """Whether a value may lie inside its interval, as far as it is printed: where the digits leave
    one number only, it would have been printed alike."""
    above = low is None or low.low < value.high
    return above and (high is None or value.low < high.high)


def _interval(f: Figure) -> str:
    low, high = (part.text if part else "?" for part in (f.low, f.high))
    return f"its interval, {low} to {high}"


def _outside(value: Printed, f: Figure) -> Finding:
    return Finding("impossible", f"{value.text} lies outside {_interval(f)}.")


def _follow_up(f: Figure) -> Finding:
    follow, survival = _given(f.follow_up), f.survival
    if f.n is not None and f.deaths is not None and f.deaths > f.n:
        return _too_many(f"{f.deaths} deaths", f.n)
    ask = "Is the median follow-up a reverse Kaplan-Meier estimate, or a median of observed times?"
    if survival is None:
        return _question(f"A median follow-up of {follow.text} is printed without a survival.", ask)
    if follow.value > survival.value:
        return Finding(
            "possible", f"A follow-up of {follow.text} can exceed a survival of {survival.text}."
        )
    censored = f.n - f.deaths if f.n and f.deaths is not None else f.censored
    if f.n is None or censored is None:
        return _question(
            f"A median follow-up of {follow.text} is not above the median survival,"
            f" {survival.text}: with few censored it is a median of observed times.",
            ask,
        )
    check = follow_up(f.n, censored)
    if check.possible:
        return Finding("possible", f"With {censored} of {f.n} censored both medians can be right.")
    arithmetic = (
        f"With {censored} of {f.n} censored a reverse Kaplan-Meier curve is at"
        f" {100 * check.lowest:.1f}% or more at {survival.text}, and has no median by then."
    )
    reverse = re.search("reverse|反向|逆", f.method, re.IGNORECASE)
    return Finding("impossible", arithmetic) if reverse else _question(arithmetic, ask)


def _given(part: _Part | None) -> _Part:
    """A part that the kind of the figure has."""
    assert part is not None
    return part


#: The part that makes a figure one of a kind; the first that is given counts.
_KINDS: Final[Mapping[str, Callable[[Figure], _Check | Finding]]] = {
    "follow_up": _follow_up,
    "arms": _two_groups,
    "categories": _feasible,
    "sum": _sum,
    "mean": _mean,
    "of_groups": _median,
    "ratio": _ratio,
    "percent": _percent,
    "median": _median,
    "value": _in_interval,
    "events": _count,
    "n": _count,
}
