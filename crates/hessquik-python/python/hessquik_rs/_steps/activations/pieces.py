"""What formulas of activations are made of: exponentials with all their digits, and sums of products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..ops import Array
from .polynomials import Coefficients, Zero

Jet = list[Array]
"""A function and its derivatives, one after another."""


def is_double(xp: Any, z: Array) -> bool:
    """Whether numbers are in double precision; else they are in single precision."""
    return bool(z.dtype == xp.float64)


def level(xp: Any, z: Array, c: float) -> Array:
    """The same number everywhere, but NaN where `z` is."""
    return xp.where(xp.isnan(z), z, c)


def within(xp: Any, z: Array, far: float) -> Array:
    """`z`, but for what lies beyond +-`far`, which becomes that; NaN stays NaN."""
    return xp.clip(z, -far, far)


def leibniz(n: int, a: Sequence[Array], b: Sequence[Array]) -> Array:
    """The n-th derivative of the product of two functions, `a` and `b` holding their derivatives of orders 0 to n.

    It is the sum over i of (n over i) a^(i) b^(n - i); rows that `b` lacks are zero.
    """
    total: Array = None
    for i in range(n + 1):
        if n - i < len(b):
            factor = math.comb(n, i)
            term = a[i] * b[n - i] if factor == 1 else (a[i] * b[n - i]) * float(factor)
            total = term if total is None else total + term
    return total


def polynomial(xp: Any, z: Array, rows: Jet, order: int) -> Jet:
    """The rows that are given, then zeros."""
    return [*rows[: order + 1], *[level(xp, z, 0.0)] * (order + 1 - len(rows))]


class Decay:
    """exp(-x - low) = e scale with x >= 0: far out `scale` is tiny and `e` is not, so that products with `e` round as
    normal numbers do, and only the last product, with `scale`, becomes subnormal."""

    def __init__(self, xp: Any, x: Array, low: Array | None = None) -> None:
        shift = 600.0 if is_double(xp, x) else 64.0
        self.far = x > shift
        e = xp.exp(-xp.where(self.far, x - shift, x))
        self.e = e if low is None else e - e * low
        self.scale = xp.where(self.far, xp.full_like(x, math.exp(-shift)), xp.ones_like(x))


class Logistic(Decay):
    """With a >= 0: s = 1 / (1 + exp(-a)), c scale = 1 - s, p scale = s (1 - s)."""

    def __init__(self, xp: Any, a: Array, low: Array | None = None) -> None:
        super().__init__(xp, a, low)
        d = 1.0 + xp.where(self.far, 0.0, self.e)
        self.s, self.c = 1.0 / d, self.e / d
        self.p = self.c / d


def bumps(p: Array, h: Array, order: int) -> Jet:
    """p = s (1 - s) of the logistic function s, and its derivatives up to `order`, from p' = -h p with h = tanh(z/2),
    where h' = 2 p."""
    all_p, all_h = [p], [h]
    for n in range(1, order + 1):
        following = -leibniz(n - 1, all_h, all_p)
        all_h.append(2.0 * all_p[n - 1])
        all_p.append(following)
    return all_p


def bell(xp: Any, a: Array, factor: float) -> Decay:
    """exp(-factor a^2), factor being 1/2 or 1: a^2 is wanted with more digits than it has."""
    high, low = two_product(xp, a, a)
    return Decay(xp, factor * high, factor * low)


def bells(z: Array, g: Array, c: float, order: int) -> Jet:
    """g = exp(-c z^2) and its derivatives: g^(j) = -2 c (z g^(j-1) + (j - 1) g^(j-2)), Hermite polynomials times g."""
    rows = [g]
    for j in range(1, order + 1):
        total = z * rows[j - 1]
        rows.append((total + (j - 1.0) * rows[j - 2] if j > 1 else total) * (-2.0 * c))
    return rows


def difference_of_squares(xp: Any, root: tuple[float, float], a: Array) -> Array:
    """r^2 - a^2, right where it vanishes; r is given in two parts in double precision."""
    high, low = parts(xp, a, root)
    return ((high - a) + low) * (high + a)


def repaired(xp: Any, zero: Zero, a: Array, elsewhere: Array) -> Array:
    """A function of `a` from its polynomial around its zero, and as computed elsewhere."""
    high, low = parts(xp, a, zero.at)
    d = (a - high) - low
    near = d * horner(xp, d, zero.quotient)
    return xp.where((a > zero.interval[0]) & (a < zero.interval[1]), near, elsewhere)


def horner(xp: Any, x: Array, coefficients: Coefficients) -> Array:
    """The polynomial with these coefficients, constant first; so many of them do in single precision."""
    c, single = coefficients
    if not is_double(xp, x):
        c = c[:single]
    y = xp.full_like(x, c[-1])
    for k in reversed(c[:-1]):
        y = y * x + k
    return y


def parts(xp: Any, like: Array, number: tuple[float, float]) -> tuple[float, float]:
    """A number that is given in two doubles, in two parts of the type of an array."""
    if is_double(xp, like):
        return number
    head = single(number[0])
    return head, (number[0] - head) + number[1]


def single(x: float) -> float:
    """`x` rounded to single precision, by arithmetic that compilers can follow."""
    if x == 0 or math.isinf(x) or math.isnan(x):
        return x
    c = x * (2.0**29 + 1)
    return c - (c - x)


def is_exact(xp: Any, like: Array, number: float) -> bool:
    """Whether a number is one of the type of an array."""
    return is_double(xp, like) or single(number) == number


def times(xp: Any, z: Array, number: float) -> tuple[Array, Array]:
    """The product of an array with a number of double precision, and what it lacks."""
    if number == 1:
        return z, xp.zeros_like(z)
    if math.frexp(number)[0] == 0.5:  # a power of two
        return z * number, xp.zeros_like(z)
    high = number if is_double(xp, z) else single(number)
    y, low = two_product(xp, z, xp.full_like(z, high))
    return y, low if high == number else low + z * (number - high)


def two_product(xp: Any, x: Array, y: Array) -> tuple[Array, Array]:
    """x y and its rounding error, after Dekker and Veltkamp."""
    p = x * y
    (xh, xl), (yh, yl) = _split(xp, x), _split(xp, y)
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def _split(xp: Any, x: Array) -> tuple[Array, Array]:
    """The upper half of the digits, and the lower one."""
    c = x * (134217729.0 if is_double(xp, x) else 4097.0)
    high = c - (c - x)
    return high, x - high
