"""What comes from exp(-|z|): the logistic family, its smooth ramps, and exponential units."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from ..ops import Array
from .pieces import Decay, Jet, Logistic, bumps, horner, is_double, is_exact, leibniz, level, repaired, times, within
from .polynomials import FIRST, LN_2_DOUBLE, LN_2_SINGLE, LN_COSH, SECOND

# past this threshold the softplus and its identity differ by less than either is rounded
CUT = 15.0


def end(xp: Any, z: Array) -> float:
    """Where exp(-z) is zero."""
    return 1100.0 if is_double(xp, z) else 200.0


def tanh(xp: Any, z: Array, order: int) -> Jet:
    """t, 1 - t^2 = 4 s (1 - s) at 2 |z|, and t'' = -2 t t' differentiated."""
    rows = [xp.tanh(z)]
    if order > 0:
        g = Logistic(xp, 2.0 * xp.abs(z))
        rows += [4.0 * g.p * g.scale, -8.0 * rows[0] * g.p * g.scale]
    for j in range(3, order + 1):
        rows.append(-2.0 * leibniz(j - 2, rows, rows[1:]))
    return rows[: order + 1]


def anti_tanh(xp: Any, z: Array, order: int) -> Jet:
    """ln cosh z."""
    a = xp.abs(z)
    high, low = LN_2_DOUBLE if is_double(xp, z) else LN_2_SINGLE
    w = z * z
    far = (a - high) + (xp.log1p(xp.exp(-2.0 * a)) - low)
    value = xp.where(a < 1, w * horner(xp, w, LN_COSH), far)
    return [value, *tanh(xp, z, order - 1)] if order else [value]


def sigmoid(xp: Any, z: Array, order: int) -> Jet:
    """s and s (1 - s) with its derivatives."""
    g = Logistic(xp, xp.abs(z))
    # PyTorch's own, where it keeps its digits: hessQuik's values bit by bit
    own = xp.sigmoid(z) if hasattr(xp, "sigmoid") else xp.where(z < 0, g.c * g.scale, g.s)
    rows = [xp.where(z < -30, g.c * g.scale, own)]
    if order > 0:
        p, h = g.p * g.scale, xp.tanh(0.5 * z)
        rows += [p, -h * g.p * g.scale, *bumps(p, h, order - 1)[2:]]
    return rows[: order + 1]


def softplus(xp: Any, z: Array, order: int, beta: float = 1.0, threshold: float = 20.0) -> Jet:
    """ln(1 + exp y)/beta with y = beta z, s(y), and beta^(j-1) s^(j-1)(y); past a threshold below `CUT` the
    identity."""
    # beta z = y + low, the rest having no meaning where exp(-|y|) is zero
    y, low = times(xp, z, beta)
    low = xp.where(xp.abs(y) < end(xp, z), low, 0.0)
    negative = z < 0
    g = Logistic(xp, xp.abs(y), xp.where(negative, -low, low))
    log = xp.where(g.far, g.e, xp.log1p(g.e))
    tail = (log / beta if is_exact(xp, z, beta) else log * (1.0 / beta)) * g.scale
    rows = [xp.where(negative, tail, z + tail)]
    if order > 0:
        rows.append(xp.where(negative, g.c * g.scale, g.s))
    if order > 1:
        rows.append(beta * g.p * g.scale)
        rows += [p * beta ** (j + 1) for j, p in enumerate(bumps(g.p * g.scale, xp.tanh(0.5 * y), order - 2)) if j]
    if threshold >= CUT:
        return rows
    past = [z, level(xp, z, 1.0), *[level(xp, z, 0.0)] * order]
    return [xp.where(y > threshold, p, row) for p, row in zip(past, rows, strict=False)]


def silu(xp: Any, z: Array, order: int) -> Jet:
    """z s(z), s + z p, and z s^(j) + j s^(j-1)."""
    a, negative = xp.abs(z), z < 0
    g = Logistic(xp, a)
    a = xp.clip(a, None, end(xp, z))  # infinity times zero would be NaN
    rows = [xp.where(negative, -(a * g.c) * g.scale, z * g.s)]
    if order > 0:
        # 1 - a s, whose zero is at 1.278
        s, c = g.s, xp.where(g.far, 0.0, g.c)
        bracket = repaired(xp, FIRST, a, xp.where(a < 1, 1.0 - a * s, (1.0 - a) + a * c))
        rows.append(xp.where(negative, g.c * bracket * g.scale, s + a * (g.p * g.scale)))
    if order > 1:
        # 2 - a tanh(a / 2), whose zero is at 2.399
        far = (2.0 - a) + 2.0 * a * xp.where(g.far, 0.0, g.c)
        rows.append(g.p * repaired(xp, SECOND, a, xp.where(a < 2, 2.0 - a * xp.tanh(0.5 * a), far)) * g.scale)
    if order > 2:
        near = within(xp, z, end(xp, z))
        slopes = [None, *bumps(g.p * g.scale, xp.tanh(0.5 * z), order - 1)]
        rows += [near * slopes[j] + float(j) * slopes[j - 1] for j in range(3, order + 1)]
    return rows


def times_point(xp: Any, z: Array, f: Jet) -> Jet:
    """z f(z) and its derivatives z f^(j) + j f^(j-1), for a function that vanishes with its derivatives towards minus
    infinity; past the range of exp(-|z|), where z counts no more, infinities would make NaN of zeros."""
    near = within(xp, z, end(xp, z))
    rows = [xp.where(z < -end(xp, z), 0.0, z * f[0])]
    return rows + [near * f[j] + (float(j) * f[j - 1] if j > 1 else f[0]) for j in range(1, len(f))]


def mish(xp: Any, z: Array, order: int) -> Jet:
    """z t with t = tanh(ln(1 + E)), E = exp z: t' = m s with m = 1 - t^2 and s = s(z), and m' = -2 t t'."""
    negative = z < 0
    g = Logistic(xp, xp.abs(z))
    x = g.e * g.scale
    # t = (E^2 + 2 E)/D and m = 4 (1 + E)^2/D^2 with D = E^2 + 2 E + 2, over E^2 for positive z: all in x = exp(-|z|)
    denominator = xp.where(negative, (x + 2.0) * x + 2.0, (2.0 * x + 2.0) * x + 1.0)
    t = [xp.where(negative, (x + 2.0) * x, 2.0 * x + 1.0) / denominator]
    if order > 0:
        root = 2.0 * (x + 1.0) / denominator
        m = [root * root * xp.where(negative, 1.0, x * x)]
        s = sigmoid(xp, z, order)
        for n in range(1, order + 1):
            t.append(leibniz(n - 1, m, s))
            m.append(-2.0 * leibniz(n - 1, t, t[1:]))
    return times_point(xp, z, t)


# 2 sqrt(2/pi), and what the number in double precision lacks of it; and 0.044715
RATE, RATE_LOW = 1.5957691216057308, -9.96930880911092e-17
CUBIC, CUBIC_LOW = 0.044715, 2.1960211427085595e-18
PRODUCT = RATE * CUBIC
PRODUCT_LOW = float(Fraction(RATE) * Fraction(CUBIC) - Fraction(PRODUCT)) + RATE * CUBIC_LOW + RATE_LOW * CUBIC


def tanh_gelu(xp: Any, z: Array, order: int) -> Jet:
    """z s(u) with u = 2 sqrt(2/pi) (z + 0.044715 z^3).

    With P = p(u(z)), H = tanh(u/2) and v = u': S' = v P, H' = 2 S', P' = -H v P.
    """
    near = within(xp, z, 30.0)  # beyond, exp(-|u|) is zero
    square = near * near * CUBIC
    u = near * (square + 1.0) * RATE
    e = _cubic_decay(xp, near)
    larger = 1.0 / (1.0 + e)
    smaller = e * larger
    s, p, h = [xp.where(z < 0, smaller, larger)], [larger * smaller], [xp.tanh(0.5 * u)]
    third = 6.0 * RATE * CUBIC
    v, hv = [(3.0 * square + 1.0) * RATE, near * third, xp.full_like(z, third)], list[Array]()
    for n in range(1, order + 1):
        s.append(leibniz(n - 1, p, v))
        hv.append(leibniz(n - 1, h, v))
        h.append(2.0 * s[n])
        p.append(-leibniz(n - 1, p, hv))
    return times_point(xp, z, s)


def _cubic_decay(xp: Any, z: Array) -> Array:
    """exp(-|u|) with u = `RATE` (z + `CUBIC` z^3): the rounding of u would count as a relative error of the result, so
    the terms are those of a few leading bits of |z| and of the coefficients, which are exact, and a small rest."""
    # the bits of |z| times those of the coefficient, and of its cube times those of the other, fit in the precision
    grid, most = (64.0, 18) if is_double(xp, z) else (8.0, 4)

    def leading(x: float, bits: int) -> float:
        unit = 2.0 ** (math.floor(math.log2(x)) - (bits - 1))
        return math.floor(x / unit) * unit

    linear, cubic = leading(RATE, 10), leading(PRODUCT, most)
    linear_rest, cubic_rest = RATE - linear + RATE_LOW, PRODUCT - cubic + PRODUCT_LOW
    a = xp.abs(z)
    head = xp.floor(a * grid) / grid
    cube = head * head * head
    between = (a * (a + head) + head * head) * CUBIC + 1.0
    rest = (a - head) * between * RATE + head * linear_rest + cube * cubic_rest
    return xp.exp(-linear * head) * xp.exp(-cubic * cube) * xp.exp(-rest)


def elu(xp: Any, z: Array, order: int, slope: float, size: float, width: float) -> Jet:
    """`slope` z for z > 0, else `size` (exp(z/`width`) - 1); the derivatives at 0 are those of the left side."""
    if not is_double(xp, z):  # widths that single precision lacks are next to nothing, or next to everything
        width = min(max(width, 1e-36), 1e36)
    positive = z > 0
    below = xp.where(positive, 0.0, z)
    y, low = times(xp, below, 1.0 / width)
    low = xp.where(xp.abs(y) < end(xp, z), low, 0.0)
    rows = [xp.where(positive, slope * z, size * xp.expm1(y))]
    if order > 0:
        g = Decay(xp, -y, -low)
        following = (size / width) * g.e * g.scale
        rows.append(xp.where(positive, slope, following))
        for _ in range(2, order + 1):
            following = following / width
            rows.append(xp.where(positive, 0.0, following))
    return rows
