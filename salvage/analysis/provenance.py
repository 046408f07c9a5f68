"""Where a number comes from: the facts of the published abstract, and the mark of each part of an
estimate."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

import yaml

from salvage.cohort.study import Study
from salvage.paths import PUBLISHED

Mark = Literal["published", "implied", "assumed", "observed"]
MARKS: Final[tuple[Mark, ...]] = ("published", "implied", "assumed", "observed")


@cache
def facts() -> Mapping[str, Any]:
    """Everything in ``data/published.yaml``."""
    return MappingProxyType(yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")))


def printed_figures() -> dict[str, dict[str, Any]]:
    """The printed figures, by the id of the estimate that reproduces each."""
    by_id: dict[str, dict[str, Any]] = facts()["figures"]
    return by_id


def own_mark(study: Study) -> tuple[Mark, ...]:
    """The mark of what is true of one cohort only.

    Parameters
    ----------
    study
        Which says whether its patients are synthetic.

    Returns
    -------
    ``assumed`` if they are, else ``observed``, as the only element.

    >>> own_mark(Study(synthetic=True))
    ('assumed',)
    """
    return ("assumed",) if study.synthetic else ("observed",)


def marks(estimate_id: str, synthetic: bool, value: float | None = None) -> tuple[Mark, Mark, Mark]:
    """Where value, n and interval of an estimate come from.

    Parameters
    ----------
    estimate_id
        Its id, by which ``data/published.yaml`` is read.
    synthetic
        Whether the cohort holds no real patients.
    value
        The value, on the scale of the printed one; one that prints otherwise is assumed.

    Returns
    -------
    Three marks. All are observed in a hospital's cohort. In a synthetic one they are published or
    implied where ``data/published.yaml`` says so, else assumed.

    >>> marks("orr.all", synthetic=False)
    ('observed', 'observed', 'observed')
    """
    if not synthetic:
        return "observed", "observed", "observed"
    # An estimate with another interval is printed where the one with the exact interval is.
    figure = printed_figures().get(estimate_id.removesuffix(".wilson"), {})
    if (
        value is not None
        and "step" in figure
        and not prints_as(value, figure["value"], figure["step"])
    ):
        return "assumed", "assumed", "assumed"
    entry = facts()["implied"].get(estimate_id) or figure.get("marks", {})
    of_value, of_n, of_interval = (entry.get(p, "assumed") for p in ("value", "n", "interval"))
    return of_value, of_n, of_interval


def prints_as(value: float | None, printed: float, step: float) -> bool:
    """Whether a value rounds to the printed number.

    Parameters
    ----------
    value, printed
        The value, if there is one, and the printed number, on one scale.
    step
        One unit of the last printed digit.

    Returns
    -------
    True where they are no more than half a step apart.

    >>> prints_as(0.523, 0.52, 0.01)
    True
    """
    return value is not None and abs(value - printed) <= step / 2 + 1e-12
