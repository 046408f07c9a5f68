"""Every path that the project uses, in one place."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
CHAPTERS = ROOT / "chapters"
PUBLISHED = DATA / "published.yaml"
ASSUMPTIONS = DATA / "assumptions.yaml"
COMPARATORS = DATA / "comparators.yaml"
ADVERSE_EVENT_TERMS = DATA / "adverse_event_terms.yaml"

COHORT_VARIABLE = "SALVAGE_COHORT"


def cohort_path() -> Path:
    """Folder or workbook of the cohort that the book reads: ``$SALVAGE_COHORT``, else the shipped
    one.

    A relative value is relative to where the command was started. A build or a Jupyter kernel
    changes its working directory, so whoever starts one resolves the variable first
    (:func:`pin_cohort`).
    """
    value = os.environ.get(COHORT_VARIABLE, "").strip()
    return Path(value).expanduser().resolve() if value else DATA


def pin_cohort() -> Path:
    """Make ``$SALVAGE_COHORT`` absolute for every process started from here, and return the
    path."""
    path = cohort_path()
    if os.environ.get(COHORT_VARIABLE, "").strip():
        os.environ[COHORT_VARIABLE] = str(path)
    return path
