"""The tables of a cohort, written once: a new column is one line here.

The checks, the data dictionary, the workbook template with its examples and the REDCap dictionary
are all made from here. Beside the tables stand the codes and cut-offs of their scales that others
count by. What a column's values mean for the numbers of the book stands in :mod:`salvage.analysis`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from salvage import words

Kind = Literal["id", "text", "code", "flag", "integer", "number", "month"]

#: No course is longer: above it stand days, or the number by which Excel stores a date.
MOST_MONTHS: Final = 600
#: Salvage may begin on clinical suspicion, so many days before the relapse is documented.
EARLY_START_DAYS: Final = 14
#: Best responses that count as a response (Lugano 2014).
RESPONSE: Final = ("CR", "PR")
#: Lowest grade that counts as severe, and the grade of a death (CTCAE, ASTCT).
SEVERE_GRADE: Final = 3
FATAL_GRADE: Final = 5
#: Lowest ECOG performance status that counts as poor.
POOR_ECOG: Final = 2


@dataclass(frozen=True)
class Column:
    """One column of a table.

    ``codes`` maps each code to its meaning; ``low`` and ``high``, both or neither, are the least
    and the greatest number that is read. ``example`` is the cell of the template's invented
    patient; of a month, the days since the first CAR-T infusion.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    codes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    low: float | None = None
    high: float | None = None
    unit: str = ""
    example: object = None

    @property
    def expects(self) -> str:
        """What a cell must hold, in the words of a data manager."""
        limits = "" if self.low is None else f" from {self.low:g} to {self.high:g}"
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
class TableSchema:
    """One table: its name, one row's meaning, its columns, and whether a cohort must have it."""

    name: str
    row: str
    columns: tuple[Column, ...]
    required: bool = True

    def column(self, name: str) -> Column:
        """The column called ``name``; ``KeyError`` if there is none."""
        return {c.name: c for c in self.columns}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(c.name for c in self.columns)


def _text(name: str, meaning: str, example: str) -> Column:
    return Column(name, "text", meaning, example=example)


def _integer(
    name: str, meaning: str, low: int, high: int, example: int, required: bool = False
) -> Column:
    return Column(name, "integer", meaning, required, low=low, high=high, example=example)


def _month(name: str, meaning: str, example: int, required: bool = False) -> Column:
    unit = "months since first CAR-T"
    return Column(
        name, "month", meaning, required, low=0, high=MOST_MONTHS, unit=unit, example=example
    )


def _flag(name: str, meaning: str, example: int | None, required: bool = False) -> Column:
    return Column(name, "flag", meaning, required, example=example)


def _code(
    name: str, meaning: str, codes: Mapping[str, str], example: str | None, required: bool = False
) -> Column:
    return Column(name, "code", meaning, required, MappingProxyType(dict(codes)), example=example)


_PATIENT = Column("patient_id", "id", "Identifier of the patient, without personal meaning", True)
_AGE = Column(
    "age", "number", "Age at the first CAR-T infusion", low=0, high=120, unit="years", example=58
)

PATIENTS: Final = TableSchema(
    "patients",
    "one row per patient; baseline values are those before the first CAR-T infusion",
    (
        _PATIENT,
        _AGE,
        _code("sex", "Sex", words.SEXES, "F"),
        _text("histology", "Histological diagnosis", "DLBCL NOS"),
        _text("coo", "Cell of origin", "GCB"),
        _integer("stage", "Ann Arbor stage", 1, 4, 3),
        _integer("ipi", "International Prognostic Index", 0, 5, 3),
        _integer("ecog", "ECOG performance status", 0, 4, 1),
        _flag("ldh_elevated", "LDH above the upper limit of normal", 1),
        _integer("extranodal_sites", "Number of extranodal sites", 0, 30, 1),
        _flag("bulky", "Bulky disease", 0),
        _integer("prior_lines", "Lines of therapy before CAR-T", 0, 30, 2),
        _flag("refractory", "Refractory to the last line before CAR-T", 1),
        _text("cart_target", "Target of the first CAR-T product", "CD19"),
        _text("cart_product", "First CAR-T product", "axicabtagene ciloleucel"),
        _code("cart_best_response", "Best response to the first CAR-T", words.RESPONSES, "PR"),
        _month("relapse_month", "Progression or relapse after the first CAR-T", 90, True),
        _month("os_month", "Death or last contact", 400, True),
        _flag("died", "Died (1) or alive at last contact (0)", 1, True),
        _code("cause_of_death", "Cause of death", words.CAUSES_OF_DEATH, "lymphoma"),
    ),
)

SALVAGE: Final = TableSchema(
    "salvage",
    "one row per salvage treatment event",
    (
        _PATIENT,
        _integer("line", "Number of the salvage line, 1 for the first", 1, 99, 1, True),
        _code("category", "Category of salvage therapy", words.CATEGORIES, "bispecific", True),
        _text("regimen", "Regimen, as the hospital calls it", "glofitamab"),
        _flag("target_switched", "Second CAR-T only: aimed at another target than the first", None),
        _month("start_month", "Start of the line", 100, True),
        _code("best_response", "Best response (Lugano 2014)", words.RESPONSES, "PR", True),
        _month("response_month", "First documented CR or PR", 140),
        _month("response_end_month", "End of the response, or last contact in response", 300),
        _code("response_end_reason", "Why the response ended", words.END_REASONS, "progression"),
        _month("progression_month", "Progression after the start of this line", 300),
        _month("end_month", "End of the treatment", 250),
        _code("intent", "Intent, mainly for radiotherapy", words.INTENTS, None),
    ),
)

ADVERSE_EVENTS: Final = TableSchema(
    "adverse_events",
    "one row per adverse event of salvage therapy",
    (
        _PATIENT,
        _integer("line", "Salvage line during which it began", 1, 99, 1),
        Column("term", "text", "Adverse event term", True, example="fever"),
        _integer("grade", "Grade", 1, FATAL_GRADE, 1),
        _code("scale", "Grading scale and version", words.SCALES, "CTCAE 5.0"),
        _month("onset_month", "Onset", 103),
    ),
    required=False,
)

TABLES: Final = (PATIENTS, SALVAGE, ADVERSE_EVENTS)
CATEGORY_KEYS: Final = tuple(words.CATEGORIES)
