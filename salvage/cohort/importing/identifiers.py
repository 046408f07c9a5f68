"""Ids of one file as another file writes them: 1 for 001, p-7 for P7."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from salvage.cohort.importing.matching import key_of
from salvage.cohort.typed import plain_id


class Reconciled(NamedTuple):
    """Ids in the spelling of the patients table.

    ``pairs`` are ids that were written otherwise, with the patient who is meant; ``refused`` those
    with the patients who may be meant. Both are by the id as it was written.
    """

    ids: "pd.Series[str]"
    pairs: dict[str, str]
    refused: dict[str, str]


def reconciled(ids: "pd.Series[str]", patients: Iterable[str]) -> Reconciled:
    """Take ids that differ by capitals, marks and leading zeros alone for the same.

    Only where no second patient is alike, and no second id among ``ids`` but for its capitals.
    Otherwise, and where the parts of an id run together (2023/15 and 202315), it is refused.
    """
    known = set(patients)
    written = {text for text in ids.unique() if text}
    meant, alike = _by(plain_id, known), _by(plain_id, map(key_of, written))
    joined = _by(_joined, known)
    pairs, refused = {}, {}
    for text in sorted(written - known):
        candidates = meant.get(plain_id(text), []) if plain_id(text) else []
        if len(candidates) == 1 == len(alike[plain_id(text)]):
            pairs[text] = candidates[0]
        elif candidates or _joined(text) in joined:
            refused[text] = " or ".join(candidates or joined[_joined(text)])
    return Reconciled(ids.replace(pairs), pairs, refused)


def _joined(text: str) -> str:
    """An id without its marks."""
    return re.sub(r"[\W_]", "", key_of(text))


def _by(form: Callable[[str], str], ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by what they are in a plainer form."""
    by: dict[str, list[str]] = {}
    for text in sorted(set(ids)):
        by.setdefault(form(text), []).append(text)
    return by
