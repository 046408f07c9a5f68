"""From the files of a hospital to a checked cohort.

``readers`` finds settings and tables in a folder or workbook, each read by ``files``; ``dates``
become months; ``typed`` reads each table by the ``schema``; ``check`` holds rows against rows and
``unusual`` warns; the result is the Cohort of ``model``. ``template`` makes what a data manager
fills in, and ``importing`` a cohort of files of any other shape.
"""

from salvage.cohort.check import check, load
from salvage.cohort.model import Cohort, once

__all__ = ["Cohort", "check", "load", "once"]
