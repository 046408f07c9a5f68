"""Intervals of a proportion and of a rate."""

from __future__ import annotations

import math

from scipy import special

Interval = tuple[float, float]


def clopper_pearson(events: int, n: int, level: float = 0.95) -> Interval:
    """Exact binomial interval.

    Parameters
    ----------
    events, n
        Responses, and how many there could have been; n is 1 or more.
    level
        Confidence level.

    Returns
    -------
    The limits, as proportions.

    Raises
    ------
    ValueError
        Unless 0 <= events <= n and n >= 1.

    Method: Clopper and Pearson 1934, as R `binom.test`.

    >>> low, high = clopper_pearson(10, 15)
    >>> f"{low:.3f} to {high:.3f}"
    '0.384 to 0.882'
    """
    check_counts(events, n)
    tail = (1 - level) / 2
    low = 0.0 if events == 0 else float(special.betaincinv(events, n - events + 1, tail))
    high = 1.0 if events == n else float(special.betaincinv(events + 1, n - events, 1 - tail))
    return low, high


def wilson(p: float, n: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion.

    Parameters
    ----------
    p
        The proportion.
    n
        What it is out of; need not be whole.
    level
        Confidence level.

    Returns
    -------
    The limits, as proportions.

    Raises
    ------
    ValueError
        Unless 0 <= p <= 1 and n > 0.

    Method: Wilson 1927, as R `prop.test(correct = FALSE)`.

    >>> low, high = wilson(10 / 15, 15)
    >>> f"{low:.3f} to {high:.3f}"
    '0.417 to 0.848'
    """
    if not (0 <= p <= 1 and n > 0):
        raise ValueError(f"a proportion and a positive number are needed, not {p} and {n}")
    z2 = float(special.ndtri(0.5 + level / 2)) ** 2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At 0 and 1 one limit is the proportion itself; rounding must not move it past.
    low = 0.0 if p == 0 else max(0.0, min(p, centre - half))
    high = 1.0 if p == 1 else min(1.0, max(p, centre + half))
    return low, high


def poisson(events: int, exposure: float, level: float = 0.95) -> Interval:
    """Exact interval of a rate.

    Parameters
    ----------
    events
        How many occurred.
    exposure
        The time in which they could, in any unit.
    level
        Confidence level.

    Returns
    -------
    The limits, in events per unit of exposure.

    Raises
    ------
    ValueError
        Without exposure, or for a negative number of events.

    Method: Garwood, Biometrika 1936, as R `poisson.test`.

    >>> low, high = poisson(3, 10)
    >>> f"{low:.3f} to {high:.3f}"
    '0.062 to 0.877'
    """
    if exposure <= 0 or events < 0:
        raise ValueError(
            f"a rate needs exposure above 0 and events of 0 or more, not {events} over {exposure}"
        )
    tail = (1 - level) / 2
    low = special.gammaincinv(events, tail) if events else 0.0
    high = special.gammaincinv(events + 1, 1 - tail)
    return float(low / exposure), float(high / exposure)


def check_counts(events: int, n: int) -> None:
    """ValueError unless `events` of `n` is a proportion."""
    if not (n >= 1 and 0 <= events <= n):
        raise ValueError(f"{events} of {n} is not a proportion")
