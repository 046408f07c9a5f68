"""Search for cohorts that agree with every published figure.

``python -m salvage calibrate`` writes the shipped cohort; with ``--alternatives``, the many cohorts of
chapter 14. Either is found from a named seed and is the same each time, byte for byte.
"""

from salvage.calibrate.check import check_against_published, impossible_histories
from salvage.calibrate.cohort import SEED, calibrate, write

__all__ = ["SEED", "calibrate", "check_against_published", "impossible_histories", "write"]
