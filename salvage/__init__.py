"""Salvage therapy after CAR-T failure: the analysis behind the book.

Data flow in one direction: :mod:`salvage.cohort` reads and checks a cohort; the clinical modules
turn it into estimates; :mod:`salvage.tables` and :mod:`salvage.figures` turn estimates into
something to show.
"""

__version__ = "1.0.0"
