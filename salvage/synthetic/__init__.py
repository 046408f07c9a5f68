"""Search for cohorts that agree with every published figure.

``python -m salvage calibrate`` writes the shipped cohort; with ``--alternatives``, the many cohorts
of chapter 14. Either is found from a named seed and is the same each time, byte for byte.
"""
