"""How numbers are printed, decided once."""

import math

from salvage import words
from salvage.analysis import least
from salvage.analysis.estimate import Estimate, Unit


def percent(value: float | None, n: int | None = None, *, decimal: bool = False) -> str:
    """A proportion of ``n`` in percent: ``41%``.

    Whole below 100 and where it is not of a number, with one decimal from 100 on, and a dash below
    5, where only the counts tell something (Lang and Altman 2013). ``decimal`` asks for the decimal
    of a figure that a source prints, or that stands beside one.
    """
    if value is None:
        return words.NOT_ESTIMABLE
    if not decimal and n is not None and n < least.PERCENT:
        return words.NONE
    digits = int(decimal or (n or 0) >= least.DECIMAL)
    # Halves go up: 1 of 8 is 13%.
    return f"{math.floor(100 * value * 10**digits + 0.5 + 1e-9) / 10**digits:.{digits}f}%"


def rate_text(e: Estimate) -> str:
    """A proportion or a probability in percent, with its decimal where a source prints it."""
    return percent(e.value, e.n, decimal=e.provenance == "published")


def months(value: float | None) -> str:
    """A time as ``7.0``, or ``not reached``."""
    return words.NOT_REACHED if value is None else f"{value:.1f}"


def median_text(e: Estimate) -> str:
    """A median in months, ``not reached``, or ``not estimable`` where its method says why."""
    return words.NOT_ESTIMABLE if missing(e) else months(e.value)


def ratio(value: float | None) -> str:
    """A ratio with two decimals, two significant digits below 0.1, whole from 100 on."""
    if value is None:
        return words.NOT_ESTIMABLE
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def p_value(p: float | None) -> str:
    """A P-value by one policy: three decimals below 0.1, two above, ``<0.001`` at the bottom."""
    if p is None:
        return words.NOT_ESTIMABLE
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.0995 else f"{min(p, 0.99):.2f}" if p < 0.995 else ">0.99"


def p_phrase(p: float | None) -> str:
    """``P = 0.038``, ``P <0.001`` or ``P not estimable``."""
    text = p_value(p)
    return f"P {text}" if text[0] in "<>n" else f"P = {text}"


def number(value: float | None, unit: Unit, n: int | None = None) -> str:
    """A value in its unit's usual form, without the unit's name; ``n`` is what a proportion is
    of."""
    if unit in ("proportion", "probability"):
        return percent(value, n)
    if unit == "months":
        return months(value)
    if unit in ("count", "events"):
        return words.NOT_ESTIMABLE if value is None else f"{value:,.0f}"
    return ratio(value)


def interval_text(e: Estimate) -> str:
    """``29 to 55`` in the unit of the estimate; an open side says so."""
    if e.low is None and e.high is None:
        return words.NOT_ESTIMABLE
    low = words.NOT_ESTIMABLE if e.low is None else number(e.low, e.unit, e.n).removesuffix("%")
    high = number(e.high, e.unit, e.n).removesuffix("%")
    return words.NONE if words.NONE in (low, high) else f"{low} to {high}"


def value_text(e: Estimate) -> str:
    """The value with its unit, of a proportion the counts first: ``24/58 (41%)``, ``7.0 months``,
    ``0.44``."""
    return _in_brackets(*_value(e))


def sentence(e: Estimate) -> str:
    """Value, denominator and interval in one phrase, as prose needs it.

    ``24/58 (41%; 95% CI 29 to 55)`` or ``7.0 months (95% CI 4.9 to 9.3; 28 events in 29)``.
    """
    value, inside = _value(e)
    if (e.low is not None or e.high is not None) and interval_text(e) != words.NONE:
        inside.append(f"95% CI {interval_text(e)}")
    if e.unit in ("months", "ratio") and e.n is not None and e.events is not None:
        inside.append(f"{words.count(e.events, 'event')} in {e.n:,}")
    if e.p is not None:
        inside.append(p_phrase(e.p))
    return _in_brackets(value, inside)


def _value(e: Estimate) -> tuple[str, list[str]]:
    """What stands first of an estimate, and what follows it in brackets."""
    if e.unit == "months":
        return median_text(e) + (" months" if e.value is not None else ""), []
    if e.unit not in ("proportion", "probability"):
        return number(e.value, e.unit), []
    if e.value is None or e.events is None or e.unit == "probability":
        return rate_text(e), []
    return f"{e.events:,}/{e.n:,}", [rate_text(e)] if rate_text(e) != words.NONE else []


def _in_brackets(value: str, inside: list[str]) -> str:
    return f"{value} ({'; '.join(inside)})" if inside else value


def median(e: Estimate) -> str:
    """``3.1 months (95% CI 1.2 to not reached)``, or that there is none."""
    return value_text(e) if e.value is None else f"{value_text(e)} (95% CI {interval_text(e)})"


def missing(e: Estimate) -> bool:
    """Whether there is no estimate for a reason, as against a median that is not reached."""
    return e.method.startswith(words.NOT_ESTIMABLE)


def reason(method: str) -> str:
    """Why there is no estimate: the ``method`` of one that is missing holds the reason."""
    return method.removeprefix(words.NOT_ESTIMABLE).lstrip(": ")


def value_and_parts(e: Estimate, with_interval: bool) -> str:
    """The estimate in the form in which an abstract prints it: counts with rates, intervals with
    ratios."""
    if e.unit == "proportion":
        of_all = percent(e.value, decimal=True)
        return f"{e.events:,}/{e.n:,} = {of_all}" if e.n else words.NOT_ESTIMABLE
    text = value_text(e)
    if with_interval and e.value is not None:
        low, high = number(e.low, e.unit), number(e.high, e.unit)
        text += f" (95% CI {low}-{high}), {p_phrase(e.p)}"
    return text
