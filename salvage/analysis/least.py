"""The smallest numbers from which the book gives an estimate, and how it prints a percentage.

Below them an estimate has no value, and its method says why.
"""

from typing import Final

from salvage import words

MEDIAN_PATIENTS: Final = 5
MEDIAN_EVENTS: Final = 3
#: Events of a large-sample test, and for each covariate of a model; an exact test needs none.
EVENTS: Final = 10
#: Patients or lines in each group of a test or of a hazard ratio.
GROUP: Final = 5
#: Groups of so many lines, without which rates are not shrunken.
SHRUNKEN_GROUPS: Final = 3
SHRUNKEN_LINES: Final = 5
#: Share and number at risk in every origin, up to which a restricted mean goes.
AT_RISK_SHARE: Final = 0.1
AT_RISK: Final = 5
#: Patients at risk at a death, with fewer of whom a curve with delayed entry gives no median.
AT_RISK_LATE_ENTRY: Final = 10
#: Denominators: below the first there is no percentage, below the second it is whole.
PERCENT: Final = 5
DECIMAL: Final = 100


def below(number: int, least: int, singular: str, which: str = "") -> str:
    """Why there are too few; empty where there are enough.

    Parameters
    ----------
    number, least
        How many there are, and how many are needed.
    singular, which
        What is counted, and which of them.

    Returns
    -------
    The reason, as a method holds it.

    >>> below(4, 5, "patient", "in one group"), below(5, 5, "patient")
    ('4 patients in one group, fewer than 5', '')
    """
    counted = " ".join(filter(None, [words.count(number, singular), which]))
    return "" if number >= least else f"{counted}, fewer than {least}"
