"""Which numbers of deaths a Cox model can have had that compares two groups, given what it printed.

Every data set of n patients is, to the partial likelihood, a sequence of events: deaths (singly or
in tied blocks) and censorings, each taking patients out of the two groups. At log hazard ratio b a
death, or each term of a tied block, with r1 late and r0 early patients at risk has the expectation
p = r1 e^b / (r0 + r1 e^b) of being a late one and adds p (1 - p) to the information. With
    U = (late deaths) - sum of p,      I = sum of p (1 - p),
the printed model is a sequence with U = 0 at its b and with se = 1 / sqrt(I).

**What is impossible** (:func:`possible_splits`). Take any multiplier w. A sequence with U = 0 has
I = I + w U, so its information is at most V(w), the largest sum of p (1 - p) + w (d1 - p) over all
sequences from (r0, r1) = (n - late, late) to (0, 0) with the given number of censorings. The terms
depend on the risk set alone, so dynamic programming over (r0, r1, censorings left) finds V(w)
exactly. If V(w) is below 1 / se_max^2 for one w, no data set of these numbers can have printed
that model. The printed hazard ratio leaves a short range of b; it is cut into cells, and V(w) is
computed at the middle c of each. In a cell of width h a sequence with U = 0 at b has at c
    |U(c)| <= deaths / 4 * h / 2     and     I(c) >= I(b) - deaths * L * h / 2,
since U' = -I, each term of I is at most 1/4, and its slope p (1 - p)(1 - 2 p) at most
L = 1 / (6 sqrt 3). Granting this slack makes the statement hold for the whole cell.

**What is possible** (:func:`find_sequence`). One sequence is a proof: its model can be fitted.

Not covered: tied blocks larger than stated, delayed entry, more than one covariate, robust errors,
and intervals other than Wald's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Ties = Literal["efron", "breslow"]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Largest number of deaths that may share one time.
TIED: Final = 4
#: Multipliers w of the bound: any choice is valid, a finer one is tighter.
MULTIPLIERS: Final = np.linspace(-2, 2, 81)
#: Greatest width of a cell of log hazard ratios.
CELL: Final = 0.002
#: More patients than this would need too much time and memory.
MOST_PATIENTS: Final = 80

_SLOPE = 1 / (6 * np.sqrt(3))


@dataclass(frozen=True)
class RiskSetCell:
    """A range of log hazard ratios and the largest standard error that is printable in it."""

    low: float
    high: float
    se_max: float


def block_terms(
    early: IntArray, late: IntArray, deaths: tuple[int, int], log_hr: FloatArray, ties: Ties
) -> tuple[FloatArray, FloatArray]:
    """Expected late deaths and information of a block of (early, late) deaths at one time.

    `early` and `late` are the numbers at risk; they broadcast with `log_hr`, and so do the results.
    Breslow leaves the whole block at risk for each of its deaths; Efron removes it in equal parts.
    """
    tied = sum(deaths)
    expected = information = np.zeros(np.broadcast_shapes(early.shape, late.shape, log_hr.shape))
    for part in range(tied):
        removed = part / tied if ties == "efron" else 0.0
        exposed = (late - removed * deaths[1]) * np.exp(log_hr)
        p = exposed / (exposed + early - removed * deaths[0])
        expected = expected + p
        information = information + p * (1 - p)
    return expected, information


def _blocks(largest: int) -> Iterator[tuple[int, int]]:
    """Every block of (early, late) deaths at one time."""
    for tied in range(1, largest + 1):
        for late in range(tied + 1):
            yield tied - late, late


def largest_information(
    patients: int, censored: int, log_hr: FloatArray, ties: Ties, tied: int = TIED
) -> FloatArray:
    """V(w) of the module's proof, shape (late, censorings, log_hr, MULTIPLIERS).

    `late` runs from 0 to `patients`, censorings from 0 to `censored`.
    """
    b, w = log_hr[:, None], MULTIPLIERS[None, :]
    shape = (censored + 1, len(log_hr), len(MULTIPLIERS))
    start = np.full((1, *shape), -np.inf)
    start[0, 0] = 0.0
    # levels[total] holds V for every split of `total` patients at risk, by the number of late ones.
    levels = {0: start}
    for total in range(1, patients + 1):
        best = np.full((total + 1, *shape), -np.inf)
        for early_deaths, late_deaths in _blocks(min(tied, total)):
            late = np.arange(late_deaths, total - early_deaths + 1)
            expected, information = block_terms(
                (total - late)[:, None, None],
                late[:, None, None],
                (early_deaths, late_deaths),
                b,
                ties,
            )
            gain = information + w * (late_deaths - expected)
            before = levels[total - early_deaths - late_deaths][late - late_deaths]
            best[late] = np.maximum(best[late], before + gain[:, None])
        fewer = levels[total - 1]
        best[:-1, 1:] = np.maximum(best[:-1, 1:], fewer[:, :-1])  # an early patient is censored
        best[1:, 1:] = np.maximum(best[1:, 1:], fewer[:, :-1])  # a late one
        levels[total] = best
        levels.pop(total - tied, None)
    return levels[patients]


def possible_splits(
    patients: int, fewest_deaths: int, cells: Sequence[RiskSetCell], ties: Ties, tied: int = TIED
) -> dict[int, list[int]]:
    """Numbers of late patients that are not ruled out, for each number of deaths.

    Keys run from `fewest_deaths` to `patients`; an empty list means that the number of deaths is
    impossible. Raises ValueError above MOST_PATIENTS.
    """
    if patients > MOST_PATIENTS:
        raise ValueError(f"{patients} patients are more than {MOST_PATIENTS}")
    middle = np.array([(cell.low + cell.high) / 2 for cell in cells])
    width = np.array([cell.high - cell.low for cell in cells])
    needed = np.array([cell.se_max for cell in cells]) ** -2.0
    bound = largest_information(patients, patients - fewest_deaths, middle, ties, tied)
    splits = {}
    for deaths in range(fewest_deaths, patients + 1):
        slack = deaths * width[:, None] / 2 * (_SLOPE + np.abs(MULTIPLIERS) / 4)
        highest = (bound[:, patients - deaths] + slack).min(axis=-1)
        splits[deaths] = np.flatnonzero((highest >= needed).any(axis=-1)).tolist()
    return splits


# --- sequences that exist -------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """Log hazard ratio and standard error of the Cox model of a sequence."""

    log_hr: float
    se: float


# A sequence in writing: E and L are deaths of an early and a late relapser, e and l their last
# contacts, a bracket holds deaths at one time.


def events(sequence: str) -> list[str]:
    """The sequence cut into its times: ``"EL(EL)e"`` -> ``["E", "L", "EL", "e"]``."""
    blocks: list[str] = []
    inside = False
    for letter in sequence:
        if letter in "()":
            inside = letter == "("
            if inside:
                blocks.append("")
        elif inside:
            blocks[-1] += letter
        else:
            blocks.append(letter)
    return blocks


def fit(sequence: str, ties: Ties) -> Fit:
    """The Cox model of a sequence by Newton's method; the sequence must have a finite maximum.

    Plain numbers, since the search fits thousands of short sequences.
    """
    terms = _terms(sequence, ties)
    deaths = sequence.count("L")
    log_hr, step = 0.0, 1.0
    while abs(step) > 1e-10:
        hr = math.exp(log_hr)
        shares = [late * hr / (late * hr + early) for early, late in terms]
        information = sum(p * (1 - p) for p in shares)
        step = max(-1.0, min(1.0, (deaths - sum(shares)) / information))
        log_hr += step
    return Fit(log_hr, information**-0.5)


def _terms(sequence: str, ties: Ties) -> list[tuple[float, float]]:
    """Early and late patients at risk for each death, as the treatment of ties counts them."""
    early = sum(sequence.count(mark) for mark in "Ee")
    late = sum(sequence.count(mark) for mark in "Ll")
    terms = []
    for block in events(sequence):
        out = (sum(block.count(m) for m in "Ee"), sum(block.count(m) for m in "Ll"))
        if block[0].isupper():
            for part in range(len(block)):
                removed = part / len(block) if ties == "efron" else 0.0
                terms.append((early - removed * out[0], late - removed * out[1]))
        early, late = early - out[0], late - out[1]
    return terms


#: Half-width and grain of the scores that the search for sequences keeps apart.
_SCORES: Final = 4.0
_GRAIN: Final = 0.02
_BUCKETS: Final = 2 * round(_SCORES / _GRAIN) + 1


@dataclass(frozen=True)
class _Level:
    """Best sequences of one number at risk, flat over (late, censorings, score bucket)."""

    score: FloatArray
    information: FloatArray
    event: IntArray
    source: IntArray

    @classmethod
    def empty(cls, size: int) -> _Level:
        """No sequence yet in any of ``size`` places."""
        score, event, source = np.zeros(size), np.zeros(size, int), np.zeros(size, int)
        return cls(score, np.full(size, -np.inf), event, source)


class SequenceTable:
    """For every risk set and every score, a sequence of great information at one log hazard ratio.

    The same dynamic programming as the bound, but it keeps one sequence per bucket of the score
    U, so that a sequence with U near 0 can be read off. It proves nothing by itself: whatever it
    finds is fitted afterwards.
    """

    def __init__(
        self, patients: int, censored: int, log_hr: float, ties: Ties, tied: int = TIED
    ) -> None:
        self.censored = censored
        self.log_hr = log_hr
        self.ties: Ties = ties
        #: Early and late patients leaving, and whether by death.
        self.events = [(*block, True) for block in _blocks(tied)]
        self.events += [(1, 0, False), (0, 1, False)]
        size = (censored + 1) * _BUCKETS
        nothing = _Level.empty(size)
        nothing.information[_BUCKETS // 2] = 0.0
        self.levels = [nothing]
        for total in range(1, patients + 1):
            self.levels.append(self._level(total))

    def _level(self, total: int) -> _Level:
        candidates = [
            self._extended(total, number)
            for number, event in enumerate(self.events)
            if event[0] + event[1] <= total
        ]
        key, score, information, event, source = (
            np.concatenate(column) for column in zip(*candidates, strict=True)
        )
        order = np.lexsort((information, key))
        last = np.append(key[order][1:] != key[order][:-1], True)
        chosen = order[last]
        size = (total + 1) * (self.censored + 1) * _BUCKETS
        level = _Level.empty(size)
        level.score[key[chosen]] = score[chosen]
        level.information[key[chosen]] = information[chosen]
        level.event[key[chosen]] = event[chosen]
        level.source[key[chosen]] = source[chosen]
        return level

    def _extended(self, total: int, number: int) -> tuple[NDArray[np.generic], ...]:
        """Every kept sequence of a smaller risk set with event `number` put before it."""
        early_out, late_out, death = self.events[number]
        before = self.levels[total - early_out - late_out]
        late = np.arange(late_out, total - early_out + 1)
        score, information = np.zeros(len(late)), np.zeros(len(late))
        if death:
            expected, information = block_terms(
                total - late, late, (early_out, late_out), np.array(self.log_hr), self.ties
            )
            score = late_out - expected
        source = np.flatnonzero(np.isfinite(before.information))
        late_before, censorings = np.divmod(source // _BUCKETS, self.censored + 1)
        censorings = censorings + (not death)
        new_score = before.score[source] + score[late_before]
        bucket = np.rint((new_score + _SCORES) / _GRAIN).astype(int)
        fits = (bucket >= 0) & (bucket < _BUCKETS) & (censorings <= self.censored)
        key = ((late_before + late_out) * (self.censored + 1) + censorings) * _BUCKETS + bucket
        return (
            key[fits],
            new_score[fits],
            (before.information[source] + information[late_before])[fits],
            np.full(int(fits.sum()), number),
            source[fits],
        )

    def best(self, early: int, late: int, censorings: int, score: float) -> str | None:
        """A sequence from this risk set whose score is near `score`, of great information."""
        bucket = round((score + _SCORES) / _GRAIN)
        if not 0 <= bucket < _BUCKETS:
            return None
        total = early + late
        index = (late * (self.censored + 1) + censorings) * _BUCKETS + bucket
        if not np.isfinite(self.levels[total].information[index]):
            return None
        written = []
        while total:
            level = self.levels[total]
            early_out, late_out, death = self.events[level.event[index]]
            block = "E" * early_out + "L" * late_out
            written.append(
                block.lower() if not death else f"({block})" if len(block) > 1 else block
            )
            index = int(level.source[index])
            total -= early_out + late_out
        return "".join(written)


#: Patients whose order of death the search varies before the table takes over.
_VARIED: Final = 11


def find_sequence(
    table: SequenceTable, patients: int, late: int, deaths: int, accept: Callable[[Fit], bool]
) -> str | None:
    """A sequence whose fit is accepted, or None where the search finds none.

    The table's sequences have as much information as possible, often more than was printed. So the
    first deaths take every possible order, one more at a time, and the table completes each, with
    scores around 0 that shift the fitted hazard ratio.
    """
    for start in _orders(patients - late, late):
        score = _score(start, patients - late, late, table.log_hr)
        early_left = patients - late - start.count("E")
        late_left = late - start.count("L")
        for shift in (0, 1, -1, 2, -2, 3, -3):
            rest = table.best(early_left, late_left, patients - deaths, shift * _GRAIN - score)
            if rest is not None and accept(fit(start + rest, table.ties)):
                return start + rest
    return None


def _orders(early: int, late: int) -> Iterator[str]:
    """Every order of the first single deaths that leaves a patient in both groups."""
    for length in range(_VARIED + 1):
        for marks in product("EL", repeat=length):
            if marks.count("E") < early and marks.count("L") < late:
                yield "".join(marks)


def _score(start: str, early: int, late: int, log_hr: float) -> float:
    """Score of single deaths that begin a sequence of `early` and `late` patients."""
    score = 0.0
    for mark in start:
        odds = late / early * math.exp(log_hr)
        score += (mark == "L") - odds / (1 + odds)
        early -= mark == "E"
        late -= mark == "L"
    return score
