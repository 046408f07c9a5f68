"""Checks that every function on arrays shares."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warning and no change of numpy's settings from a library: its result is read here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def finite(value: float | None) -> float | None:
    """The value as a float, or None where it is missing, NaN or infinite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def as_vector(values: npt.ArrayLike, name: str) -> Floats:
    """A finite one-dimensional float array; ValueError names the argument otherwise."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name} must have one dimension, it has {vector.ndim}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must not hold missing or infinite values")
    return vector


def as_binary(values: npt.ArrayLike, name: str) -> Bools:
    """A boolean array from 0/1 or booleans; ValueError otherwise."""
    vector = as_vector(values, name)
    if not np.isin(vector, (0.0, 1.0)).all():
        raise ValueError(f"{name} must hold only 0 and 1")
    return vector.astype(bool)


def as_codes(values: npt.ArrayLike, name: str, *, sort: bool = True) -> tuple[Ints, list[Any]]:
    """Integer codes 0..k-1 of the distinct values, and those values.

    Sorting makes the codes independent of the order of rows; it is slow for a million names.
    """
    codes, labels = pd.factorize(np.asarray(values), sort=sort)
    if (codes < 0).any():
        raise ValueError(f"{name} must not hold missing values")
    return codes.astype(np.int64), list(labels)


def same_length(**vectors: npt.NDArray[Any] | None) -> None:
    """ValueError unless all given arrays have the same number of rows."""
    lengths = {name: len(v) for name, v in vectors.items() if v is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"arrays differ in length: {lengths}")


def as_matrix(values: npt.ArrayLike) -> Floats:
    """A finite matrix with at least one column; a vector becomes one column."""
    x = np.asarray(values, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError("X must have rows and at least one column")
    if not np.isfinite(x).all():
        raise ValueError("X must not hold missing or infinite values")
    return x


def collinear(x: Floats) -> bool:
    """Whether some column is constant, or a combination of others and a constant."""
    spread = x.std(axis=0)
    if (x == x[0]).all(axis=0).any() or not (spread > 0).all():
        return True
    standard = (x - x.mean(axis=0)) / spread
    return bool(np.linalg.matrix_rank(standard.T @ standard, hermitian=True) < x.shape[1])


def exp(values: Floats) -> Floats:
    """The exponential, infinite where it is too large, without a warning."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(values), dtype=np.float64)


def numbers(values: Floats) -> tuple[float | None, ...]:
    """The values as numbers, None where they are NaN or infinite."""
    return tuple(finite(float(value)) for value in values)


def as_counts(events: Sequence[int], n: Sequence[int]) -> tuple[Ints, Ints]:
    """Two vectors of k counts, events of n; ValueError unless 0 <= events <= n throughout."""
    seen, sizes = np.asarray(events, dtype=np.int64), np.asarray(n, dtype=np.int64)
    if seen.shape != sizes.shape or seen.ndim != 1:
        raise ValueError("events and n must be two lists of the same length")
    if ((seen < 0) | (seen > sizes)).any():
        raise ValueError("events must lie between 0 and n")
    return seen, sizes
