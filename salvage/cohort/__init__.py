"""From the files of a hospital to a checked cohort."""

from salvage.cohort.check import check, load
from salvage.cohort.model import Cohort, once

__all__ = ["Cohort", "check", "load", "once"]
