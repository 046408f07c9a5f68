"""The reader's words that several tables, figures, sentences or messages share.

What one of them alone says stands with it: in a chapter's module of :mod:`salvage.report`, or with
a figure in :mod:`salvage.display.figures`.
"""

from typing import Final

#: Each category of salvage therapy: its long label, a short one for axes, and inside a sentence.
_CATEGORY_WORDS: Final = {
    "bispecific": ("Bispecific antibody", "Bispecific", "a bispecific antibody"),
    "second_cart": ("Second CAR-T infusion", "Second CAR-T", "a second CAR-T infusion"),
    "radiotherapy": ("Radiotherapy", "Radiotherapy", "radiotherapy"),
    "polatuzumab": ("Polatuzumab-based regimen", "Pola-based", "a polatuzumab-based regimen"),
    "checkpoint": ("Checkpoint inhibitor", "Checkpoint", "a checkpoint inhibitor"),
    "other": (
        "Other targeted or chemotherapy drugs",
        "Other drugs",
        "another targeted or chemotherapy drug",
    ),
}
CATEGORIES: Final = {key: label for key, (label, _, _) in _CATEGORY_WORDS.items()}
CATEGORIES_SHORT: Final = {key: short for key, (_, short, _) in _CATEGORY_WORDS.items()}
CATEGORIES_PROSE: Final = {key: prose for key, (_, _, prose) in _CATEGORY_WORDS.items()}
RESPONSES: Final = {
    "CR": "Complete response",
    "PR": "Partial response",
    "SD": "Stable disease",
    "PD": "Progressive disease",
    "NE": "Not evaluable",
}
MEASURES: Final = {
    "orr": "Objective response rate",
    "cr": "Complete response rate",
    "pr": "Partial response rate",
}
RESPONDED: Final = {"orr": "response", "cr": "complete response", "pr": "partial response"}
MEASURES_SHORT: Final = {"orr": "ORR", "cr": "CR", "pr": "PR"}
DURATIONS: Final = {
    "dor": "Duration of response",
    "pfs": "Progression-free survival",
    "ttnt": "Time to next treatment",
    "os_from_start": "Survival from the start of the line",
}
END_REASONS: Final = {
    "progression": "Progression",
    "death": "Death",
    "new_treatment": "New treatment",
    "ongoing": "Ongoing at last contact",
}
INTENTS: Final = {
    "bridging": "Bridging to another therapy",
    "consolidation": "Consolidation of a response",
    "definitive": "Definitive",
    "palliative": "Palliative",
}
CAUSES_OF_DEATH: Final = {
    "lymphoma": "Lymphoma",
    "treatment": "Toxicity of treatment",
    "infection": "Infection",
    "other": "Another cause",
}
SEXES: Final = {"F": "Female", "M": "Male"}
SCALES: Final = {"CTCAE 5.0": "CTCAE 5.0", "CTCAE 6.0": "CTCAE 6.0", "ASTCT": "ASTCT 2019"}
ANALYSES: Final = {
    "infusion": "OS from infusion",
    "relapse": "OS from relapse",
    "delayed_entry": "Delayed entry at relapse",
    "landmark": "Landmark at the cut-off",
}
RELAPSE_GROUPS: Final = {"early": "Early relapse", "late": "Late relapse"}
TESTS: Final = {
    "wald": "Wald",
    "lr": "likelihood-ratio",
    "score": "score",
    "logrank": "log-rank",
}
FACTORS: Final = {
    "late": "Late against early relapse",
    "responded": "Response to salvage against none",
    "relapse_month": "Months to relapse",
    "age": "Age, per 10 years",
    "sex": "Male against female",
    "histology": "Histology",
    "coo": "Cell of origin",
    "stage": "Stage III-IV against I-II",
    "ipi": "IPI 3-5 against 0-2",
    "ecog": "ECOG 2 or more against 0-1",
    "ldh_elevated": "LDH elevated against normal",
    "extranodal_sites": "Two or more extranodal sites against fewer",
    "bulky": "Bulky disease against none",
    "prior_lines": "Lines before CAR-T, per line",
    "refractory": "Refractory before CAR-T against not",
    "cart_target": "First CAR-T target",
    "cart_product": "First CAR-T product",
    "cart_best_response": "CR to the first CAR-T against less",
}

# In a caption, which may be read away from the page that says it.
MARKED: Final = {"assumed": "assumed (synthetic data)"}

# Kinds of lymphoma as records abbreviate them.
DISEASES: Final = {
    "DLBCL": "diffuse large B-cell lymphoma",
    "NOS": "not otherwise specified",
    "tFL": "transformed follicular lymphoma",
    "HGBL": "high-grade B-cell lymphoma",
    "PMBCL": "primary mediastinal B-cell lymphoma",
    "GCB": "germinal-centre B-cell type",
    "ABC": "activated B-cell type",
}

SYNTHETIC_NOTICE: Final = (
    "Synthetic data: these are not patients. The cohort was generated to agree with the published "
    "abstract; everything that the abstract does not print is assumed."
)
NOT_REACHED: Final = "not reached"
NOT_ESTIMABLE: Final = "not estimable"
NOT_RECORDED: Final = "not recorded"
#: Stands where there is nothing to tell.
NONE: Final = "–"
FOLDED_TABLE: Final = "Table: "
NOT_STATED: Final = "not stated"


def category(key: str, labels: dict[str, str] | None = None) -> str:
    """Long label of a salvage category; the study's own label wins."""
    return (labels or {}).get(key, CATEGORIES.get(key, key))


def category_short(key: str, labels: dict[str, str] | None = None) -> str:
    """Short label of a salvage category, for axes; the study's own label wins."""
    return (labels or {}).get(key, CATEGORIES_SHORT.get(key, key))


def category_prose(key: str, labels: dict[str, str] | None = None) -> str:
    """A category inside a sentence, with its article; the study's own label wins."""
    return (labels or {}).get(key, CATEGORIES_PROSE.get(key, key))


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 patient``, ``2 patients``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def months(number: float) -> str:
    """``1 month``, ``3 months``, ``1.5 months``."""
    return f"{number:g} {'month' if number == 1 else 'months'}"


def capital(sentence: str) -> str:
    """The sentence with its first letter as a capital."""
    return sentence[:1].upper() + sentence[1:]


def slug(key: str) -> str:
    """A category key as part of the name of a table or figure."""
    return key.replace("_", "-")


def listing(items: list[str], last: str = "and") -> str:
    """``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
