"""How numbers are printed, decided once."""

from salvage import words
from salvage.analysis.estimate import Estimate, Unit


def percent(value: float | None, digits: int = 1) -> str:
    """A proportion as ``41.4%``."""
    return words.NOT_ESTIMABLE if value is None else f"{100 * value:.{digits}f}%"


def months(value: float | None) -> str:
    """A time as ``7.0``, or ``not reached``."""
    return words.NOT_REACHED if value is None else f"{value:.1f}"


def median_text(e: Estimate) -> str:
    """A median in months, ``not reached``, or ``not estimable`` where its method says why."""
    if e.value is None and e.method.startswith(words.NOT_ESTIMABLE):
        return words.NOT_ESTIMABLE
    return months(e.value)


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


def number(value: float | None, unit: Unit) -> str:
    """A value in its unit's usual form, without the unit's name."""
    if unit in ("proportion", "probability"):
        return percent(value)
    if unit == "months":
        return months(value)
    if unit in ("count", "events"):
        return words.NOT_ESTIMABLE if value is None else f"{value:,.0f}"
    return ratio(value)


def interval_text(e: Estimate) -> str:
    """``28.6 to 55.1`` in the unit of the estimate; an open side says so."""
    if e.low is None and e.high is None:
        return words.NOT_ESTIMABLE
    if e.unit in ("proportion", "probability"):
        low, high = (
            words.NOT_ESTIMABLE if v is None else f"{100 * v:.1f}" for v in (e.low, e.high)
        )
    else:
        low, high = number(e.low, e.unit), number(e.high, e.unit)
    return f"{low} to {high}"


def value_text(e: Estimate) -> str:
    """The value with its unit: ``41.4%``, ``7.0 months``, ``0.44``."""
    text = median_text(e) if e.unit == "months" else number(e.value, e.unit)
    return f"{text} months" if e.unit == "months" and e.value is not None else text


def sentence(e: Estimate) -> str:
    """Value, denominator and interval in one phrase, as prose needs it.

    ``41.4% (24/58; 95% CI 28.6 to 55.1)`` or ``7.0 months (95% CI 4.9 to 9.3; 28 events in 29)``.
    """
    inside = []
    if e.unit == "proportion" and e.n is not None:
        inside.append(f"{e.events:,}/{e.n:,}")
    if e.low is not None or e.high is not None:
        inside.append(f"95% CI {interval_text(e)}")
    if e.unit in ("months", "ratio") and e.n is not None and e.events is not None:
        inside.append(f"{words.count(e.events, 'event')} in {e.n:,}")
    if e.p is not None:
        inside.append(p_phrase(e.p))
    return value_text(e) + (f" ({'; '.join(inside)})" if inside else "")


def reason(method: str) -> str:
    """Why there is no estimate: the ``method`` of one that is missing holds the reason."""
    return method.removeprefix(words.NOT_ESTIMABLE).lstrip(": ")


def value_and_parts(e: Estimate, with_interval: bool) -> str:
    """The estimate in the form in which an abstract prints it: counts with rates, intervals with
    ratios."""
    if e.unit == "proportion":
        return f"{e.events:,}/{e.n:,} = {percent(e.value)}" if e.n else words.NOT_ESTIMABLE
    text = value_text(e)
    if with_interval and e.value is not None:
        low, high = number(e.low, e.unit), number(e.high, e.unit)
        text += f" (95% CI {low}-{high}), {p_phrase(e.p)}"
    return text
