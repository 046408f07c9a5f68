"""Salvage therapy after CAR-T failure: the analysis behind the book.

Data flow in one direction: :mod:`salvage.cohort` reads and checks a cohort, :mod:`salvage.analysis`
turns it into estimates, :mod:`salvage.report` says what they mean, chapter by chapter, in the forms
of :mod:`salvage.display`. ARCHITECTURE.md has the rooms and their order.
"""

__version__ = "1.0.0"
