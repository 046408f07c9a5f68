"""Rates of events over exposure."""

from scipy.stats import chi2


def poisson(events: int, exposure: float, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a rate, in events per unit of ``exposure`` (Garwood, Biometrika 1936).

    Raises ``ValueError`` where there is no exposure.
    """
    if exposure <= 0 or events < 0:
        raise ValueError(
            f"a rate needs exposure above 0 and events of 0 or more, not {events} over {exposure}"
        )
    tail = (1 - level) / 2
    low = chi2.ppf(tail, 2 * events) / 2 if events else 0.0
    high = chi2.ppf(1 - tail, 2 * (events + 1)) / 2
    return float(low / exposure), float(high / exposure)
