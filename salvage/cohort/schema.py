"""The tables of a cohort, written once.

The checks, the data dictionary, the workbook template and the REDCap dictionary are all made from
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from salvage import words

Kind = Literal["id", "text", "code", "flag", "integer", "number", "month"]


MOST_MONTHS: Final = 600
"""No course is longer: above it stand days, or the number by which Excel stores a date."""


@dataclass(frozen=True)
class Column:
    """One column: its name, kind, meaning and limits. ``codes`` maps each code to its meaning."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    codes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @property
    def expects(self) -> str:
        """What a cell must hold, in the words of a data manager."""
        limits = ""
        if self.low is not None and self.high is not None:
            limits = f" from {self.low:g} to {self.high:g}"
        elif self.low is not None:
            limits = f", {self.low:g} or more"
        return {
            "id": "an identifier",
            "text": "text",
            "code": "one of " + ", ".join(self.codes),
            "flag": "0 (no) or 1 (yes)",
            "integer": "a whole number" + limits,
            "number": "a number" + limits,
            "month": "months since the first CAR-T infusion," + limits,
        }[self.kind]


@dataclass(frozen=True)
class Table:
    """One table: its name, one row's meaning, its columns, and whether a cohort must have it."""

    name: str
    row: str
    columns: tuple[Column, ...]
    required: bool = True

    def column(self, name: str) -> Column:
        """The column called ``name``; ``KeyError`` if there is none."""
        return next(c for c in self.columns if c.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(c.name for c in self.columns)


def _month(name: str, meaning: str, required: bool = False) -> Column:
    return Column(
        name, "month", meaning, required, low=0, high=MOST_MONTHS, unit="months since first CAR-T"
    )


def _flag(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "flag", meaning, required)


def _code(name: str, meaning: str, codes: Mapping[str, str], required: bool = False) -> Column:
    return Column(name, "code", meaning, required, MappingProxyType(dict(codes)))


_PATIENT = Column("patient_id", "id", "Identifier of the patient, without personal meaning", True)

PATIENTS: Final = Table(
    "patients",
    "one row per patient; baseline values are those before the first CAR-T infusion",
    (
        _PATIENT,
        Column("age", "number", "Age at the first CAR-T infusion", low=0, high=120, unit="years"),
        _code("sex", "Sex", words.SEXES),
        Column("histology", "text", "Histological diagnosis"),
        Column("coo", "text", "Cell of origin"),
        Column("stage", "integer", "Ann Arbor stage", low=1, high=4),
        Column("ipi", "integer", "International Prognostic Index", low=0, high=5),
        Column("ecog", "integer", "ECOG performance status", low=0, high=4),
        _flag("ldh_elevated", "LDH above the upper limit of normal"),
        Column("extranodal_sites", "integer", "Number of extranodal sites", low=0, high=30),
        _flag("bulky", "Bulky disease"),
        Column("prior_lines", "integer", "Lines of therapy before CAR-T", low=0, high=30),
        _flag("refractory", "Refractory to the last line before CAR-T"),
        Column("cart_target", "text", "Target of the first CAR-T product"),
        Column("cart_product", "text", "First CAR-T product"),
        _code("cart_best_response", "Best response to the first CAR-T", words.RESPONSES),
        _month("relapse_month", "Progression or relapse after the first CAR-T", True),
        _month("os_month", "Death or last contact", True),
        _flag("died", "Died (1) or alive at last contact (0)", True),
    ),
)

SALVAGE: Final = Table(
    "salvage",
    "one row per salvage treatment event",
    (
        _PATIENT,
        Column(
            "line", "integer", "Number of the salvage line, 1 for the first", True, low=1, high=99
        ),
        _code("category", "Category of salvage therapy", words.CATEGORIES, True),
        Column("regimen", "text", "Regimen, as the hospital calls it"),
        _flag("target_switched", "Second CAR-T only: aimed at another target than the first"),
        _month("start_month", "Start of the line", True),
        _code("best_response", "Best response (Lugano 2014)", words.RESPONSES, True),
        _month("response_month", "First documented CR or PR"),
        _month("response_end_month", "End of the response, or last contact in response"),
        _code("response_end_reason", "Why the response ended", words.END_REASONS),
        _month("progression_month", "Progression after the start of this line"),
        _month("end_month", "End of the treatment"),
        _code("intent", "Intent, mainly for radiotherapy", words.INTENTS),
    ),
)

ADVERSE_EVENTS: Final = Table(
    "adverse_events",
    "one row per adverse event of salvage therapy",
    (
        _PATIENT,
        Column("line", "integer", "Salvage line during which it began", low=1, high=99),
        Column("term", "text", "Adverse event term", True),
        Column("grade", "integer", "Grade", low=1, high=5),
        _code("scale", "Grading scale and version", words.SCALES),
        _month("onset_month", "Onset"),
    ),
    required=False,
)

TABLES: Final = (PATIENTS, SALVAGE, ADVERSE_EVENTS)
CATEGORY_KEYS: Final = tuple(words.CATEGORIES)
RESPONSE: Final = ("CR", "PR")
"""Best responses that count as a response."""
POOR_ECOG: Final = 2
"""An ECOG performance status from here on is called poor."""
