"""What a printed number leaves open: proportions, and a hazard ratio with its interval and P.

A printed number stands for every value within half of its last digit. A half may have been rounded
up or to even, so the lower end is one of them, and the upper end where the last digit is even. If
further digits were cut off, the number stands for every value from itself to one more of its last
digit, that end excluded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: The smallest ratio that is looked at.
LEAST: Final = 1e-6
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\ufe63\uff5e\u301c\u223c~"
_SPACES: Final = "\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000\t"
_POINTS: Final = "\u00b7\u2219\u22c5\u30fb"
#: One character for each: full-width forms, dashes and spaces of all sorts, raised points.
_PLAIN: Final[dict[int, int | str]] = {
    **{full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)},
    **{ord(dash): "-" for dash in _DASHES},
    **{ord(space): " " for space in _SPACES},
    **{ord(point): "." for point in _POINTS},
    **dict(zip(map(ord, "\u3010\u3011\u3014\u3015\u3001\u3002"), "[][],;", strict=True)),
}


def plain(text: str) -> str:
    """The text in ASCII punctuation and digits, of the same length, so that positions hold.

    >>> plain("0.21～0.95，Ｐ＝0·038")
    '0.21-0.95,P=0.038'
    """
    return text.translate(_PLAIN)


@dataclass(frozen=True)
class Printed:
    """A number as printed: its value and its last digit, in the same units and exact.

    text   as it was printed
    cut    read as if further digits had been cut off, and not rounded
    """

    value: Fraction
    step: Fraction
    text: str = field(default="", compare=False)
    cut: bool = False

    @classmethod
    def parse(cls, text: str) -> Printed:
        """Read ``0.44`` or ``41.4%`` (a proportion). Raises ValueError on anything else."""
        digits = plain(text).strip()
        percent = digits.endswith("%")
        try:
            number = Decimal(digits.rstrip("%").strip())
        except InvalidOperation as error:
            raise ValueError(f"{text!r} is not a number") from error
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > 12 or abs(number) > 10**12:
            raise ValueError(f"{text!r} is not a number that is printed")
        scale = Fraction(1, 100) if percent else Fraction(1)
        return cls(Fraction(number) * scale, Fraction(10) ** exponent * scale, text.strip())

    @classmethod
    def of(cls, value: float, step: float) -> Printed:
        """From a value and its last digit as a data file gives them."""
        return cls(Fraction(str(value)), Fraction(str(step)))

    @property
    def low(self) -> Fraction:
        """The smallest value that prints this."""
        return self.value - (0 if self.cut else self.step / 2)

    @property
    def high(self) -> Fraction:
        """The largest value that prints this; with digits cut off, all values are below it."""
        return self.value + (self.step if self.cut else self.step / 2)

    @property
    def closed(self) -> bool:
        """Whether the upper end is printed this way too."""
        return not self.cut and self.value / self.step % 2 == 0

    def prints(self, value: Fraction | float) -> bool:
        """Whether `value` may be printed this way."""
        return self.low <= value < self.high or (self.closed and value == self.high)

    def read(self, cut: bool) -> Printed:
        """The same with further digits cut off, or rounded."""
        return replace(self, cut=cut)

    @property
    def decimals(self) -> int:
        """How many decimals are printed."""
        step = self.step * (100 if self.text.endswith("%") else 1)
        return max(0, round(-math.log10(step)))

    def nearest(self, value: float) -> Printed:
        """The number of as many decimals that is nearest to `value`."""
        sign, scale = ("%", 100) if self.text.endswith("%") else ("", 1)
        return Printed.parse(f"{value * scale:.{self.decimals}f}{sign}")


_P: Final = re.compile(r"\s*[Pp]?\s*(<=|>=|[<>\u2264\u2265])?\s*=?\s*(.*)", re.DOTALL)
_SIGNS: Final = str.maketrans("\u2264\u2265", "<>")


@dataclass(frozen=True)
class PrintedP:
    """A printed P-value, or one that is printed to lie below or above a number."""

    printed: Printed
    sign: str = ""
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> PrintedP:
        """Read ``0.038``, ``<0.001`` or ``P > .05``. Raises ValueError on anything else."""
        sign, number = _P.fullmatch(plain(text)).groups()  # type: ignore[union-attr]
        return cls(Printed.parse(number), (sign or "").translate(_SIGNS)[:1], text.strip())

    @property
    def low(self) -> float:
        """The smallest P that is left."""
        ends = {"<": 0.0, ">": float(self.printed.value), "": float(self.printed.low)}
        return max(0.0, ends[self.sign])

    @property
    def high(self) -> float:
        """The largest P that is left, included."""
        ends = {"<": float(self.printed.value), ">": 1.0, "": float(self.printed.high)}
        return min(1.0, ends[self.sign])

    @property
    def possible(self) -> bool:
        """Whether any probability is left."""
        return self.low <= self.high and self.high > 0

    @property
    def decimals(self) -> int:
        """How many decimals are printed."""
        return self.printed.decimals

    def prints(self, p: float) -> bool:
        """Whether `p`, computed to 12 digits, may be printed this way."""
        return self.low - 1e-12 <= p <= self.high + 1e-12

    def read(self, cut: bool) -> PrintedP:
        """The same with further digits cut off, or rounded."""
        return replace(self, printed=self.printed.read(cut))


def numerators(printed: Printed, n: int) -> list[int]:
    """Counts out of `n` that print this proportion."""
    first = max(0, math.ceil(printed.low * n))
    last = min(n, math.floor(printed.high * n))
    return [count for count in range(first, last + 1) if printed.prints(Fraction(count, n))]


def denominators(printed: Printed, largest: int) -> list[tuple[int, int]]:
    """Every (count, denominator) up to `largest` that prints this proportion.

    The check of Brown and Heathers for granular data, in its simplest form: a proportion of n
    patients is a multiple of 1/n.
    """
    return [(count, n) for n in range(1, largest + 1) for count in numerators(printed, n)]


# --- a ratio with a Wald interval -----------------------------------------------------------------


def normal_quantile(level: float) -> float:
    """z of a two-sided interval: 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def wald_p(log_ratio: FloatArray | float, se: FloatArray | float) -> FloatArray:
    """Two-sided Wald P; a standard error of 0 gives 0, and 1 where the ratio is 1."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num(np.divide(log_ratio, se), nan=0.0, posinf=np.inf, neginf=-np.inf)
    return np.asarray(2 * ndtr(-np.abs(z)), dtype=np.float64)


@dataclass(frozen=True)
class Region:
    """A convex set of (log ratio, standard error): the corners of a polygon, shape (corners, 2)."""

    corners: FloatArray

    def _cut(self, normal: tuple[float, float], limit: float) -> Region:
        """The part where normal . (log ratio, se) <= limit (Sutherland and Hodgman)."""
        part: list[FloatArray] = []
        excess = self.corners @ np.array(normal) - limit
        for i in range(len(excess)):
            here, there = excess[i - 1], excess[i]
            if (here <= 0) != (there <= 0):
                share = here / (here - there)
                part.append(self.corners[i - 1] + share * (self.corners[i] - self.corners[i - 1]))
            if there <= 0:
                part.append(self.corners[i])
        return Region(np.array(part, dtype=np.float64).reshape(-1, 2))

    @property
    def empty(self) -> bool:
        """Whether nothing prints the figures."""
        return len(self.corners) == 0

    @property
    def log_ratio(self) -> tuple[float, float]:
        """Lowest and highest log ratio."""
        return float(self.corners[:, 0].min()), float(self.corners[:, 0].max())

    @property
    def se(self) -> tuple[float, float]:
        """Lowest and highest standard error."""
        return float(self.corners[:, 1].min()), float(self.corners[:, 1].max())

    @cached_property
    def area(self) -> float:
        """Area of the polygon (the shoelace formula)."""
        x, y = self.corners.T
        return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)

    @property
    def p(self) -> tuple[float, float]:
        """Lowest and highest Wald P: P is monotone along every edge on one side of a ratio of 1."""
        low, high = self.log_ratio
        at_corners = wald_p(self.corners[:, 0], self.corners[:, 1])
        return float(at_corners.min()), 1.0 if low <= 0 <= high else float(at_corners.max())

    def between(self, low: float, high: float) -> Region:
        """The part with a log ratio from `low` to `high`."""
        return self._cut((1, 0), high)._cut((-1, 0), -low)

    def with_p(self, p: PrintedP) -> tuple[Region, ...]:
        """The parts whose Wald P lies in `p`: at most one on either side of a ratio of 1."""
        from scipy.special import ndtri

        parts = []
        # |log ratio| between z_least and z_most standard errors; P of 0 or 1 sets no limit.
        z_least = -float(ndtri(p.high / 2))
        z_most = -float(ndtri(p.low / 2)) if p.low > 0 else None
        low, high = self.log_ratio if not self.empty else (0.0, 0.0)
        for side, present in ((-1.0, low < 0), (1.0, high > 0)):
            if not present:
                continue
            part = self._cut((-side, 0), 0.0)._cut((-side, z_least), 0.0)
            if z_most is not None and not part.empty:
                part = part._cut((side, -z_most), 0.0)
            if not part.empty:
                parts.append(part)
        return tuple(parts)


def ratio_region(ratio: Printed, low: Printed, high: Printed, level: float = 0.95) -> Region:
    """Every (log ratio, standard error) whose ratio and Wald interval print these figures.

    The limits are exp(log ratio -/+ z se), so each printed figure keeps a strip of the plane and
    their intersection is a convex polygon, here cut exactly. A figure that leaves 0 possible, such
    as 0.00, stands for every value from LEAST on. Raises ValueError where one is below 0.
    """
    if min(ratio.high, low.high, high.high) <= 0:
        raise ValueError("a ratio and its limits must be above 0")
    z = normal_quantile(level)
    (least, most), (low_least, low_most), (high_least, high_most) = (
        (math.log(max(float(part.low), LEAST)), math.log(part.high)) for part in (ratio, low, high)
    )
    widest = (high_most - low_least) / z + 1
    box = Region(np.array([(least, 0), (most, 0), (most, widest), (least, widest)], dtype=float))
    return (
        box._cut((1, -z), low_most)
        ._cut((-1, z), -low_least)
        ._cut((1, z), high_most)
        ._cut((-1, -z), -high_least)
    )
