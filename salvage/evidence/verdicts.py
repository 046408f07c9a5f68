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
from functools import cache, cached_property
from typing import Annotated, Any, Final, Literal, TypeVar

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
Hint = dict[str, str | int]
#: Another n is looked for within this share of the printed one.
NEAR: Final = Fraction(1, 10)
#: And never above this number.
LARGEST: Final = 10_000
#: More events than this make too many tables to count.
MOST_TABLES: Final = 100
AFTER_TIME_ZERO: Final = "after time zero"
#: A group that is known only later: who responds, relapses late, or lives to receive a transplant.
LATER: Final = re.compile(
    r"\bresponde[rd]|\bachiev\w+ (?:an? )?(?:\w+ )?(?:CR|response|remission)"
    r"|\blate\b.{0,20}\brelaps|\brelapsed late"
    r"|\b(?:received|underwent|proceeded to|bridged to)\b.{0,40}(?:transplant|HSCT)"
    r"|晚期?复发|缓解者|应答者|接受.{0,12}移植",
    re.IGNORECASE,
)
#: What Kaplan-Meier estimates: no count of n, and a median that censoring can put anywhere.
OVER_TIME: Final = re.compile(
    r"surviv|\b[OPDE]FS\b|\bm?OS\b|\bm?PFS\b|\bDO[RC]R?\b|\bTTNT\b|follow|time to|duration"
    r"|生存|随访|缓解持续|缓解时间",
    re.IGNORECASE,
)


def _level(text: str) -> float:
    """The level of an interval, such as 95%. Raises ValueError for another text."""
    level = Printed.parse(f"{text.removesuffix('%')}%").value
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
_Count = Annotated[int, whole_number(0, 1_000_000)]
_Size = Annotated[int, whole_number(1, 1_000_000)]


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
    events: _Count | None = None
    n: _Count | None = None
    ratio: _Number | None = None
    low: _Number | None = None
    high: _Number | None = None
    level: Annotated[float, Kind(_level, "a level such as 95%")] = 0.95
    p: Annotated[PrintedP, Kind(PrintedP.parse, "a P-value such as 0.038 or <0.001")] | None = None
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
        return "immortal time" if self.group_known.strip().lower() == AFTER_TIME_ZERO else None

    def read(self, cut: bool) -> Figure:
        """The same with all its digits cut off, or rounded."""

        def part(value: Any) -> Any:
            return value.read(cut) if isinstance(value, Printed | PrintedP) else value

        parts: dict[str, Any] = {
            name: tuple(map(part, value)) if isinstance(value, tuple) else part(value)
            for name, value in vars(self).items()
        }
        return replace(self, **parts)


@dataclass(frozen=True)
class Finding:
    """What the audit says of one figure.

    arithmetic   one sentence
    hint         the one part that, changed, would mend it
    ask          what to ask the authors, where that is not what any such verdict asks
    """

    verdict: Verdict
    arithmetic: str
    hint: Hint = field(default_factory=dict)
    ask: str = ""


@dataclass(frozen=True)
class _Kind:
    """A kind of figure, and its arithmetic.

    settled   the finding where no digit has to be looked at, else None
    fits      how a figure, read as rounded or cut off, is printed; empty if it cannot be
    misfit    the finding where it fits in neither way
    """

    settled: Callable[[Figure], Finding | None]
    fits: Callable[[Figure], str] = lambda f: ""
    misfit: Callable[[Figure], Finding] = lambda f: _question("", "")


@dataclass(frozen=True)
class _Check:
    """One figure against its own arithmetic; each way of reading it is tried where it is asked."""

    figure: Figure

    @cached_property
    def part(self) -> str:
        """The part that makes it a figure of its kind; empty if nothing does."""
        parts = vars(self.figure)
        return next((part for part in _KINDS if parts[part] not in (None, ())), "")

    @cached_property
    def settled(self) -> Finding | None:
        """The finding where no digit has to be looked at."""
        p = self.figure.p
        if p is not None and not p.possible:
            return Finding("impossible", f"{p.text} is no probability.")
        if not self.part:
            return _question("Nothing here is a figure that can be checked.", "")
        return _KINDS[self.part].settled(self.figure)

    @property
    def form(self) -> tuple[str, int]:
        """What is printed alike: the kind and the number of decimals."""
        part = self.figure.p if self.part == "arms" else getattr(self.figure, self.part)
        return self.part, getattr(part[0] if isinstance(part, tuple) else part, "decimals", 0)

    @cached_property
    def rounded(self) -> str:
        """How it is printed if it was rounded; empty if it cannot be."""
        return _KINDS[self.part].fits(self.figure)

    @cached_property
    def cut(self) -> str:
        """How it is printed if digits were cut off."""
        return _KINDS[self.part].fits(self.figure.read(cut=True))


def judge(figures: Sequence[Figure]) -> list[Finding]:
    """The verdict of each figure of one abstract, in their order."""
    checks = [_Check(figure) for figure in figures]
    unsettled = [check for check in checks if check.settled is None]
    # Only where a figure does not fit are the others asked whether they show rounding.
    forms = {check.form for check in unsettled if not check.rounded and check.cut}
    rounding = {c.form for c in unsettled if c.form in forms and c.rounded and not c.cut}
    truncated = [c for c in unsettled if not c.rounded and c.cut and c.form not in rounding]
    misfits = [c.figure for c in unsettled if not c.rounded and c not in truncated]
    largest = max((f.n for f in figures if f.percent and f.n), default=0)

    def finding(check: _Check) -> Finding:
        if check.settled is not None:
            return check.settled
        if check.rounded:
            return Finding("possible", f"{check.rounded}.")
        if check in truncated:
            return Finding("truncated", f"{check.cut}, printed with the digits cut off.")
        n = _other_n(check.figure, misfits, largest) if check.part == "percent" else None
        return _with_other_n(check.figure, n) if n else _KINDS[check.part].misfit(check.figure)

    return [finding(check) for check in checks]


def _question(arithmetic: str, ask: str) -> Finding:
    return Finding("question", arithmetic, {}, ask)


def _too_many(events: object, n: int) -> Finding:
    return Finding("impossible", f"{events} cannot be counted among {n}.")


def _given(part: _Part | None) -> _Part:
    """A part that figures of the kind have."""
    assert part is not None
    return part


# --- percentages and counts -----------------------------------------------------------------------


def _percent_settled(f: Figure) -> Finding | None:
    share = _given(f.percent)
    if share.low > 1 or share.high < 0:
        return Finding("impossible", f"{share.text} is no share of a whole.")
    if f.events is not None and f.n is not None and f.events > f.n:
        return _too_many(f.events, f.n)
    if not _inside(share, f.low, f.high):
        return _outside(share, f)
    if OVER_TIME.search(f.of):
        return _in_interval(f)
    return None if f.n else _without_n(f, share)


def _without_n(f: Figure, share: Printed) -> Finding:
    """A percentage whose n is not printed."""
    ask = f"Of how many is {share.text} the share?"
    if f.events is None or share.low <= 0:
        return _question(f"{share.text} is printed without its n.", ask)
    # Rounded or cut off, the share is at least share.low and less than one more of its last digit.
    first = max(f.events, math.floor(f.events / share.read(cut=True).high) + 1)
    last = math.floor(f.events / share.low)
    if first > last:
        return Finding("impossible", f"{f.events} of no number is {share.text}.")
    span = f"{first} to {last}" if first < last else f"{first}"
    return _question(f"The n of {f.events} ({share.text}) is not printed; {span} would fit.", ask)


def _counts(f: Figure, n: int) -> list[int]:
    """Counts of n that print the percentage, the printed one only if there is one."""
    share, events = _given(f.percent), f.events
    if events is None:
        return numerators(share, n)
    return [events] if events <= n and share.prints(Fraction(events, n)) else []


def _percent_fits(f: Figure) -> str:
    n, counts = _given(f.n), _counts(f, _given(f.n))
    more = f" (and {len(counts) - 1} more counts)" if len(counts) > 1 else ""
    return f"{counts[0]} of {n} is {_exact(counts[0], n, f)}{more}" if counts else ""


def _exact(events: int, n: int, f: Figure) -> str:
    """A share with two digits more than printed."""
    share = _given(f.percent)
    sign, scale = ("%", 100) if share.text.endswith("%") else ("", 1)
    return f"{scale * events / n:.{share.decimals + 2}f}{sign}"


def _percent_misfit(f: Figure) -> Finding:
    n, share, events = _given(f.n), _given(f.percent), f.events
    hint = _near_n(n, lambda m: bool(_counts(f, m)))
    if events is None:
        below = math.floor(share.value * n)
        near = [f"{count} is {_exact(count, n, f)}" for count in (below, below + 1)]
        said = f"No count of {n} prints {share.text}: {' and '.join(near)}."
        return Finding("impossible", said, hint)
    able = numerators(share, n)
    if able:
        hint = {"events": min(able, key=lambda count: abs(count - events))}
    said = f"{events} of {n} is {_exact(events, n, f)}, not {share.text}."
    return Finding("impossible", said, hint)


def _near_n(n: int, fits: Callable[[int], bool]) -> Hint:
    """The hint of an n within a tenth that fits; the nearest, and not above n if two are."""
    reach = math.floor(n * NEAR)
    near = [m for m in range(max(1, n - reach), n + reach + 1) if m != n and fits(m)]
    return {"n": min(near, key=lambda m: (abs(m - n), m))} if near else {}


def _other_n(f: Figure, misfits: Sequence[Figure], largest: int) -> int | None:
    """Another n than printed, not above the largest printed one, that a percentage may be of.

    One within a tenth that fits the printed count, or one that fits another percentage of the same
    table as well; of several the one that fits most of them, then the nearest.
    """
    n = _given(f.n)
    mates = {
        (m.percent, m.events): m
        for m in misfits
        if m.percent not in (None, f.percent) and (m.n, m.table) == (n, f.table)
    }
    fitting = {
        m: sum(bool(_counts(mate, m)) for mate in mates.values())
        for m in range(1, min(largest, LARGEST) + 1)
        if m != n and _counts(f, m)
    }
    able = [
        m
        for m, shared in fitting.items()
        if shared or (f.events is not None and abs(m - n) <= n * NEAR)
    ]
    return max(able, key=lambda m: (fitting[m], -abs(m - n)), default=None)


def _with_other_n(f: Figure, n: int) -> Finding:
    counts, share = _counts(f, n), _given(f.percent)
    said = f"No count of {f.n} prints" if f.events is None else f"{f.events} of {f.n} is not"
    said += f" {share.text}, but {counts[0]} of {n} is {_exact(counts[0], n, f)}."
    return Finding("other_denominator", said, {"n": n})


def _count(f: Figure) -> Finding:
    if f.events is not None and f.n is not None and f.events > f.n:
        return _too_many(f.events, f.n)
    return Finding("possible", "A count, with nothing printed that it does not fit.")


# --- two groups, sums and tables ------------------------------------------------------------------


def _arms_settled(f: Figure) -> Finding | None:
    if len(f.arms) != 2 or f.p is None:
        return _question(
            "Two groups and a P-value are needed for a comparison of counts.",
            "By which test were the groups compared, and what was its P?",
        )
    return next((_too_many(events, n) for events, n in f.arms if events > n or not n), None)


def _arms_fit(f: Figure) -> str:
    names = [name for name, p in _tests(*f.arms).items() if _given(f.p).prints(p)]
    printed = f"; {words.listing(names)} prints {_given(f.p).text}"
    return _tested(f) + printed if names else ""


def _tested(f: Figure) -> str:
    return words.listing([f"{name} gives {_p(p)}" for name, p in _tests(*f.arms).items()])


def _arms_misfit(f: Figure) -> Finding:
    return Finding("other_method", f"{_tested(f)}; none of them prints {_given(f.p).text}.")


@cache
def _tests(one: tuple[int, int], other: tuple[int, int]) -> dict[str, float]:
    """Two-sided P of a 2 x 2 table by Fisher's test and by chi-squared without and with Yates."""
    from scipy.special import chdtrc

    (a, n), (b, m) = one, other
    margins = n * m * (a + b) * (n + m - a - b)
    difference = abs(a * (m - b) - b * (n - a))
    found = {"Fisher's test": fisher_2x2(a, n, b, m).p}
    for name, correction in (("chi-squared", 0), ("chi-squared with Yates' correction", n + m)):
        square = (n + m) * max(0.0, difference - correction / 2) ** 2
        found[name] = float(chdtrc(1, square / margins)) if margins else 1.0
    return found


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1g}"


def _sum_settled(f: Figure) -> Finding | None:
    said = "The total of these parts is not printed."
    return _question(said, "What is their total?") if f.total is None else None


def _added(f: Figure) -> tuple[Fraction, str]:
    """The sum of the parts as printed, and in words."""
    value, total = sum((part.value for part in f.sum), Fraction(0)), _given(f.total)
    sign, scale = ("%", 100) if total.text.endswith("%") else ("", 1)
    words = " + ".join(part.text for part in f.sum)
    return value, f"{words} is {float(value * scale):.10g}{sign}"


def _all_of_it(total: Printed) -> bool:
    """Whether a total is the whole, which is 100% exactly."""
    return total.value == 1 and total.text.endswith("%")


def _sum_fits(f: Figure) -> str:
    """Counts are exact, and so is the whole; other parts are as they are printed."""
    total = _given(f.total)
    ends = [
        (part.value, part.value, True)
        if part.step == 1 or (part is total and _all_of_it(total))
        else (part.low, part.high, part.closed)
        for part in (*f.sum, total)
    ]
    lows, highs, closed = zip(*ends[:-1], strict=True)
    least, most, _ = ends[-1]
    reached = sum(highs) > least or (sum(highs) == least and all(closed))
    return f"{_added(f)[1]}, printed as {total.text}" if sum(lows) <= most and reached else ""


def _sum_misfit(f: Figure) -> Finding:
    total, (value, added) = _given(f.total), _added(f)
    number = int(value) if value.denominator == 1 else added.rpartition(" ")[2]
    hint: Hint = {} if _all_of_it(total) else {"total": number}
    return Finding("impossible", f"{added}, not {total.text}.", hint)


def _table_settled(f: Figure) -> Finding | None:
    parts = (f.events, f.responses, f.complete)
    rates = (f.highest_response, f.highest_complete, f.subset_complete)
    if None not in (*parts, *rates) and _given(f.categories) > 1 and _given(f.events) < MOST_TABLES:
        return None
    return _question(
        "Tables are counted for two or more categories, fewer than"
        f" {MOST_TABLES} events, three totals and three rates.",
        "How are the events spread over the categories?",
    )


def _table_fits(f: Figure) -> str:
    names = tuple(str(i) for i in range(_given(f.categories)))
    events, responses, complete = map(_given, (f.events, f.responses, f.complete))
    best = (names[0], _given(f.highest_response)), (names[1], _given(f.highest_complete))
    subset = _given(f.subset_complete)
    facts = TableFacts(names, events, responses, complete, *best, subset, f.n)
    count = feasible_tables(facts).count
    return f"{count:,} tables of the categories print all of this" if count else ""


# --- ratios ---------------------------------------------------------------------------------------


def _ratio_settled(f: Figure) -> Finding | None:
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
    return None


def _ratio(f: Figure) -> RatioCheck:
    # Per unit of a covariate the interval bounds no number of deaths.
    n, deaths = (None, None) if f.per else (f.n, f.deaths)
    ratio, low, high = map(_given, (f.ratio, f.low, f.high))
    return check_ratio(RatioFact(ratio, low, high, f.p, n, deaths, f.level))


def _ratio_fits(f: Figure) -> str:
    check = _ratio(f)
    if not check.consistent:
        return ""
    regions = check.with_p or (check.region,)
    se = [end for region in regions for end in region.se]
    p = [end for region in regions for end in region.p]
    bound = check.deaths if f.n and not f.per else None
    fewest = f", and needs {bound.sharp or bound.simple} deaths or more" if bound else ""
    return (
        f"A standard error of {min(se):.4f} to {max(se):.4f} on the log scale, with a Wald P of"
        f" {_p(min(p))} to {_p(max(p))}, prints these figures{fewest}"
    )


def _ratio_misfit(f: Figure) -> Finding:
    check, ratio, low, high = _ratio(f), _given(f.ratio), _given(f.low), _given(f.high)
    if low.value > high.value:
        said = f"The lower limit {low.text} is above the upper, {high.text}."
        return Finding("impossible", said, {"low": high.text, "high": low.text})
    if not _inside(ratio, low, high):
        return replace(_outside(ratio, f), hint=_mended(check.fact))
    if check.region.empty:
        centre = math.sqrt(max(low.value, Fraction(0)) * high.value)
        said = f"On the log scale {low.text} and {high.text} have their middle at {centre:.4g}"
        said += f", which {ratio.text} does not print"
        return Finding("other_method", f"{said}: {_OTHER}", _mended(check.fact))
    if not check.p_consistent:
        least, most = check.region.p
        said = (
            f"The interval leaves a Wald P of {_p(least)} to {_p(most)}, which {_given(f.p).text}"
        )
        return Finding("other_method", f"{said} does not print: {_OTHER}")
    bound = _given(check.deaths)
    fewest = bound.sharp or bound.simple
    printed = f"{f.n} patients" if f.deaths is None else words.count(f.deaths, "death")
    said = f"A Cox model of two groups with this Wald interval needs {fewest} deaths or more, and"
    able = f.deaths is not None and fewest <= (f.n or fewest)
    hint: Hint = {"deaths": fewest} if able else {}
    return Finding("other_method", f"{said} {printed} are printed: {_OTHER}", hint)


_OTHER: Final = "this is another interval, test or model, or one digit is not right."


def _mended(fact: RatioFact) -> Hint:
    """The hint of one limit that would make a Wald interval: first the one that is nearer to the
    ratio, since the other then leaves the larger standard error."""
    ratio, low, high = (max(float(part.value), 1e-9) for part in (fact.hr, fact.low, fact.high))
    sides = {"high": fact.high.nearest(ratio**2 / low), "low": fact.low.nearest(ratio**2 / high)}
    for side in sorted(sides, reverse=high / ratio > ratio / low):
        limit = sides[side]
        changed = replace(fact, n=None, deaths=None, **{side: limit})  # type: ignore[arg-type]
        inside = limit.high > 0 and _inside(changed.hr, changed.low, changed.high)
        if inside and check_ratio(changed).consistent:
            return {side: limit.text}
    return {}


# --- means and medians ----------------------------------------------------------------------------


def _mean_settled(f: Figure) -> Finding | None:
    mean = _given(f.mean)
    if f.sd is not None and f.sd.high < 0:
        return Finding("impossible", "A standard deviation is 0 or more.")
    if not _inside(mean, f.low, f.high):
        return _outside(mean, f)
    if not f.whole and not f.scale:
        if f.low and f.high:
            return _in_interval(f)
        said = f"A mean of {mean.text} is any number's, unless it is known to be of whole numbers."
        return _question(said, f"Is {mean.text} a mean of whole numbers?")
    if not f.n:
        said = f"The n of the mean {mean.text} is not printed."
        return _question(said, f"Of how many is {mean.text} the mean?")
    return None


def _mean_fits(f: Figure) -> str:
    n = _given(f.n)
    for total in _sums(f):
        squares = _squares(f, total) if f.sd else range(1)
        if squares:
            more = f", and a sum of squares of {squares[0]} prints {f.sd.text}" if f.sd else ""
            return f"{total}/{n} is {total / n:.4f}{more}"
    return ""


def _mean_misfit(f: Figure) -> Finding:
    n, mean = _given(f.n), _given(f.mean)
    below = math.floor(mean.value * n)
    near = [f"{total}/{n} is {total / n:.4f}" for total in (below, below + 1)]
    said = f"No whole sum over {n} prints {mean.text}: {' and '.join(near)}."
    if f.sd and any(_sums(f)):
        said = f"No {n} whole numbers with a mean of {mean.text} have a standard deviation that"
        said += f" prints {f.sd.text}."
    hint = _near_n(n, lambda m: bool(_mean_fits(replace(f, n=m))))
    return Finding("impossible", said, hint)


def _sums(f: Figure) -> Iterator[int]:
    """Whole sums that print a mean (Brown and Heathers' GRIM)."""
    n, mean = _given(f.n), _given(f.mean)
    for total in range(math.ceil(mean.low * n), math.floor(mean.high * n) + 1):
        inside = not f.scale or f.scale[0] * n <= total <= f.scale[-1] * n
        if inside and mean.prints(Fraction(total, n)):
            yield total


def _squares(f: Figure, total: int) -> range:
    """Sums of n squares that print a standard deviation, given the sum of the numbers.

    A sum of squares is as odd or even as the sum (Anaya's GRIMMER); the most even numbers have the
    least, the most uneven on a scale the greatest. On a scale from 0 to 1 there is one (DEBIT).
    """
    n, sd = _given(f.n), _given(f.sd)
    if n < 2:
        return range(0)
    least, most = (
        (n - 1) * max(end, Fraction(0)) ** 2 + Fraction(total**2, n) for end in (sd.low, sd.high)
    )
    high = math.floor(most) if sd.closed else math.ceil(most) - 1
    each, more = divmod(total, n)
    low = max(math.ceil(least), more * (each + 1) ** 2 + (n - more) * each**2)
    if f.scale:
        start, end = f.scale[0], f.scale[-1]
        at_end, rest = divmod(total - n * start, end - start)
        between = (start + rest) ** 2 if at_end < n else 0
        high = min(high, at_end * end**2 + between + max(0, n - at_end - 1) * start**2)
    return range(low + (low - total) % 2, high + 1, 2)


def _median_settled(f: Figure) -> Finding | None:
    alone = not f.of_groups or not _inside(_given(f.median), f.low, f.high)
    return _in_interval(f) if alone else None


def _median_fits(f: Figure) -> str:
    least, most = (pick(f.of_groups, key=lambda part: part.value) for pick in (min, max))
    median = _given(f.median)
    inside = _inside(median, least, most)
    return f"{median.text} lies between the medians of the groups, {_groups(f)}" if inside else ""


def _groups(f: Figure) -> str:
    return words.listing([part.text for part in f.of_groups])


def _median_misfit(f: Figure) -> Finding:
    median, censored = _given(f.median).text, OVER_TIME.search(f.of)
    said = f"The median of all, {median}, lies outside those of the groups, {_groups(f)}"
    if f.of and f.groups == "whole" and not censored:
        return Finding("impossible", f"{said}, which make up the whole.")
    why = "uneven censoring can do that" if censored else "the groups need not make up the whole"
    return _question(f"{said}; {why}.", f"How do the medians {_groups(f)} go with {median}?")


def _in_interval(f: Figure) -> Finding:
    """Any estimate in its range or interval."""
    value = _given(f.percent or f.median or f.value or f.mean)
    if f.low is None or f.high is None:
        return _question(
            f"Nothing is printed with {value.text} that it could be checked against.",
            f"What is the confidence interval of {f.of or 'the value'}, {value.text}?",
        )
    if not _inside(value, f.low, f.high):
        return _outside(value, f)
    return Finding("possible", f"{value.text} lies inside {f.low.text} to {f.high.text}.")


def _inside(value: Printed, low: Printed | None, high: Printed | None) -> bool:
    """Whether a value may lie inside its interval, as far as it is printed: where the digits leave
    one number only, it would have been printed alike."""
    above = low is None or low.low < value.high
    return above and (high is None or value.low < high.high)


def _outside(value: Printed, f: Figure) -> Finding:
    low, high = (part.text if part else "?" for part in (f.low, f.high))
    return Finding("impossible", f"{value.text} lies outside its interval, {low} to {high}.")


def _follow_up(f: Figure) -> Finding:
    follow, survival = _given(f.follow_up), f.survival
    ask = "Is the median follow-up a reverse Kaplan-Meier estimate, or a median of observed times?"
    if f.n is not None and f.deaths is not None and f.deaths > f.n:
        return _too_many(f"{f.deaths} deaths", f.n)
    if survival is None:
        return _question(f"A median follow-up of {follow.text} is printed without a survival.", ask)
    if follow.value > survival.value:
        said = f"A follow-up of {follow.text} can exceed a survival of {survival.text}."
        return Finding("possible", said)
    censored = f.n - f.deaths if f.n and f.deaths is not None else f.censored
    if not f.n or censored is None:
        said = f"A median follow-up of {follow.text} is not above the median survival"
        few = f"{said}, {survival.text}: with few censored it is a median of observed times."
        return _question(few, ask)
    check = follow_up(f.n, censored)
    if check.possible:
        return Finding("possible", f"With {censored} of {f.n} censored both medians can be right.")
    said = f"With {censored} of {f.n} censored a reverse Kaplan-Meier curve is at"
    said += f" {100 * check.lowest:.1f}% or more at {survival.text}, and has no median by then."
    reverse = re.search("reverse|反向|逆", f.method, re.IGNORECASE)
    return Finding("impossible", said) if reverse else _question(said, ask)


#: By the part that makes a figure one of the kind; the first that is given counts.
_KINDS: Final[Mapping[str, _Kind]] = {
    "follow_up": _Kind(_follow_up),
    "arms": _Kind(_arms_settled, _arms_fit, _arms_misfit),
    "categories": _Kind(
        _table_settled,
        _table_fits,
        lambda f: Finding("impossible", "No table of the categories prints all of this."),
    ),
    "sum": _Kind(_sum_settled, _sum_fits, _sum_misfit),
    "mean": _Kind(_mean_settled, _mean_fits, _mean_misfit),
    "ratio": _Kind(_ratio_settled, _ratio_fits, _ratio_misfit),
    "percent": _Kind(_percent_settled, _percent_fits, _percent_misfit),
    "median": _Kind(_median_settled, _median_fits, _median_misfit),
    "value": _Kind(_in_interval),
    "events": _Kind(_count),
    "n": _Kind(_count),
}
