"""Search for cohorts that agree with every published figure.

``python -m salvage calibrate`` writes the shipped cohort; with ``--alternatives``, the many cohorts
of chapter 14. Either is found from a named seed and is the same each time, byte for byte.
"""

from salvage.synthetic.constraints import check_against_published, impossible_histories
from salvage.synthetic.ensemble import (
    ALTERNATIVES,
    ALTERNATIVES_SEED,
    Alternative,
    alternatives,
    read_alternatives,
    write_alternatives,
)
from salvage.synthetic.shipped import SEED, calibrate, write

__all__ = [
    "ALTERNATIVES",
    "ALTERNATIVES_SEED",
    "SEED",
    "Alternative",
    "alternatives",
    "calibrate",
    "check_against_published",
    "impossible_histories",
    "read_alternatives",
    "write",
    "write_alternatives",
]
