"""Settings of one study, read from its ``study.yaml``; every key has a default.

A new setting is a field of :class:`Study`: the workbook, the data dictionary and the checks know it
from there.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints

from salvage import words
from salvage.cohort.decoding import decode
from salvage.cohort.schema import MOST_MONTHS
from salvage.problems import InputError, Problem
from salvage.records import Kind, Reader, one_of, whole_number


def _cut_off(text: str) -> float:
    """Months, with a decimal point or comma. Raises ValueError for what a label cannot show."""
    months = float(text.replace(",", "."))
    if not 0 < months <= MOST_MONTHS or round(months, 3) != months:
        raise ValueError(text)
    return months


_CUT_OFF: Final = Kind(
    _cut_off, f"a number of months above 0, up to {MOST_MONTHS:g}, with at most three decimals"
)


@dataclass(frozen=True)
class Study:
    """What a hospital says of its study, each setting with its meaning."""

    title: Annotated[str, "title of the book"] = "Salvage therapy after CAR-T failure"
    centre: Annotated[str, "hospital or registry"] = ""
    window: Annotated[str, "dates of inclusion, as text"] = ""
    data_cut_off: Annotated[str, "date of the last follow-up, as text"] = ""
    funding: Annotated[str, "source of funding, as text"] = ""
    early_relapse_months: Annotated[
        float, _CUT_OFF, "cut-off between early and late relapse; late is above it"
    ] = 3.0
    audience: Annotated[
        Literal["internal", "public"], "internal, or public (disclosure control on)"
    ] = "internal"
    suppress_below: Annotated[
        int, whole_number(1, 1000), "in a public book, counts from 1 to one below this are masked"
    ] = 5
    suppress_zero: Annotated[
        bool, "in a public book, mask every zero, not only what gives a count away"
    ] = False
    synthetic: Annotated[bool, "true if these are not patients"] = False
    labels: Annotated[
        dict[Annotated[str, one_of(words.CATEGORIES)], str],
        "own names of the six categories, by their key",
    ] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether disclosure control is on."""
        return self.audience == "public"


MEANINGS = {
    key: hint.__metadata__[-1] for key, hint in get_type_hints(Study, include_extras=True).items()
}


def read_study(path: Path) -> tuple[Study, list[Problem]]:
    """Settings in the YAML file at ``path``, and every problem of it; nothing is raised."""
    try:
        return from_settings(Reader(path.name).load(path, decode), path.name)
    except InputError as error:
        return Study(), error.problems


def from_settings(settings: Any, file: str) -> tuple[Study, list[Problem]]:
    """A :class:`Study` from settings by their key, and every problem of them.

    ``file`` is its name in a problem. A setting that is blank or cannot be read has its default.
    """
    reader = Reader(file)
    return reader.record(Study, settings), reader.problems
