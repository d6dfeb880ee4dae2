"""Polynomials, powers, ramps, waves and algebraic curves."""

from __future__ import annotations

import math
from typing import Any

from ..ops import Array
from .pieces import Jet, level, polynomial


def wave(f: Array, slope: Array, order: int) -> Jet:
    """f and f' of a function with f'' = -f."""
    return [(f, slope, -f, -slope)[j % 4] for j in range(order + 1)]


def ramp(xp: Any, z: Array, order: int, slope: float) -> Jet:
    """z for z > 0, else `slope` z; at 0 the slope is that of the left side."""
    # zero times an infinite z is zero here
    below = slope * z if slope else level(xp, z, 0.0)
    rows = [xp.where(z > 0, z, below), xp.where(z > 0, 1.0, level(xp, z, slope))]
    return polynomial(xp, z, rows, order)


def step(xp: Any, z: Array, order: int) -> Jet:
    """1 for z > 0, else 0."""
    return polynomial(xp, z, [xp.where(z > 0, 1.0, level(xp, z, 0.0))], order)


def reciprocal(z: Array, order: int) -> Jet:
    """1/z, -1/z^2, ..."""
    r = 1.0 / z
    rows = [r]
    for j in range(1, order + 1):
        rows.append(rows[j - 1] * r * -float(j))
    return rows


def _domain(xp: Any, z: Array) -> Array:
    """|z|, and no number for negative z."""
    return xp.where(z < 0, math.nan, xp.abs(z))


def log(xp: Any, z: Array, order: int) -> Jet:
    """ln z, 1/z, and each derivative from the one before."""
    z = _domain(xp, z)
    return [xp.log(z), *(reciprocal(z, order - 1) if order else ())]


def sqrt(xp: Any, z: Array, order: int) -> Jet:
    """f = sqrt z, 1/(2 f), -1/(4 z f), ..."""
    rows = [xp.sqrt(z)]
    z = _domain(xp, z)
    for j in range(1, order + 1):
        rows.append(0.5 / xp.sqrt(z) if j == 1 else rows[j - 1] / z * (1.5 - j))
    return rows


def power(xp: Any, z: Array, order: int, p: float) -> Jet:
    """p (p - 1) ... (p - j + 1) z^(p - j)."""
    factor, rows = 1.0, []
    for j in range(order + 1):
        rows.append(level(xp, z, 0.0) if factor == 0 else factor * _monomial(xp, z, p - j))
        factor *= p - j
    return rows


def _monomial(xp: Any, z: Array, q: float) -> Array:
    """z^q; no number for negative z, if q is not an integer. Powers up to 64 are products."""
    if q < 0:
        return 1.0 / _monomial(xp, z, -q)
    part, whole = math.modf(q)
    if q > 64 or part not in (0.0, 0.5):
        size = xp.abs(z) ** q
        if part:
            return xp.where(z < 0, math.nan, size)
        return xp.where(z < 0, -size, size) if whole % 2 else size
    product = _product(z, int(whole))
    if product is None:
        return xp.sqrt(z) if part else level(xp, z, 1.0)
    return product * xp.sqrt(z) if part else product


def _product(z: Array, n: int) -> Array | None:
    """z^n by squaring; none of no factors."""
    if n < 2:
        return z if n else None
    half: Array = _product(z, n // 2)
    return half * half * z if n % 2 else half * half


def atan(xp: Any, z: Array, order: int) -> Jet:
    """atan z, r = 1/(1 + z^2), and (1 + z^2) f' = 1 differentiated; beyond |z| = 1 all in w = 1/z, so that nothing
    overflows."""
    outer = xp.abs(z) > 1
    w = xp.where(outer, 1.0 / xp.where(outer, z, 1.0), z)
    inverse = 1.0 / (w * w + 1.0)
    r, slope = xp.where(outer, w * w * inverse, inverse), w * inverse
    rows = [xp.arctan(z), r, -2.0 * slope * r]
    for j in range(3, order + 1):
        rows.append(-(2.0 * (j - 1) * slope * rows[j - 1] + float((j - 1) * (j - 2)) * r * rows[j - 2]))
    return rows[: order + 1]


def squareplus(xp: Any, z: Array, order: int, b: float) -> Jet:
    """(z + R)/2 with R = sqrt(z^2 + b), f/R, b/(2 R^3), and R^2 (R^-3)' = -3 z R^-3 differentiated.

    All of u = z/sqrt(b), with root = sqrt(u^2 + 1) as |u| sqrt(1 + 1/u^2) where u^2 might overflow.
    """
    scale = math.sqrt(b)
    u = z / scale
    a = xp.abs(u)
    outer = a > 1
    small = xp.where(outer, 1.0 / xp.where(outer, a, 1.0), a)
    root = xp.sqrt(small * small + 1.0)
    root = xp.where(outer, root * a, root)
    total = root + a
    value = xp.where(u < 0, 0.5 / total, 0.5 * total)
    inverse = 1.0 / root
    rows = [value]
    if order > 0:
        rows.append(xp.where(u == math.inf, 1.0, value * inverse))
    slope = xp.where(xp.isinf(u), 0.0, u) * inverse * inverse
    square = inverse * inverse
    for j in range(2, order + 1):
        if j == 2:
            rows.append(0.5 * square * inverse)
            continue
        total = (2.0 * j - 3.0) * slope * rows[j - 1]
        rows.append(-(total + float((j - 3) * (j - 1)) * square * rows[j - 2] if j > 3 else total))
    return [row * scale ** (1 - j) for j, row in enumerate(rows)]
