"""Bells and their integrals."""

from __future__ import annotations

from typing import Any

from ..ops import Array
from .pieces import Decay, Jet, bell, bells, difference_of_squares, horner, is_double, repaired, within
from .polynomials import DENSITY, DIP, ERF, MILLS, MILLS_TAIL, SQRT_2, SQRT_HALF

# 2 / sqrt(pi)
SLOPE = 1.1283791670955126


def end(xp: Any, z: Array) -> float:
    """Where exp(-z^2 / 2) is zero."""
    return 45.0 if is_double(xp, z) else 20.0


def mills(xp: Any, a: Array) -> Array:
    """N with N(a) exp(-a^2 / 2) the normal distribution at -a, a >= 0: Mills' ratio over sqrt(2 pi)."""
    u = (a - 4.0) / (a + 4.0)
    return (MILLS + u * horner(xp, u, MILLS_TAIL)) / (1.0 + a)


def gelu(xp: Any, z: Array, order: int) -> Jet:
    """z Phi(z) with the normal distribution Phi and its density phi, Phi + z phi, and z phi^(j-1) + j phi^(j-2)."""
    a, negative = xp.clip(xp.abs(z), None, end(xp, z)), z < 0
    g = bell(xp, a, 0.5)
    below = mills(xp, a)
    missing = a * (g.e * below) * g.scale
    rows = [xp.where(negative, -missing, z - missing)]
    if order > 0:
        slope = g.e * repaired(xp, DIP, a, below - DENSITY * a) * g.scale
        rows.append(xp.where(negative, slope, 1.0 - slope))
    if order > 1:
        rows.append(DENSITY * g.e * difference_of_squares(xp, SQRT_2, a) * g.scale)
    if order > 2:
        near = within(xp, z, end(xp, z))
        density = bells(near, DENSITY * g.e * g.scale, 0.5, order - 1)
        rows += [near * density[j - 1] + float(j) * density[j - 2] for j in range(3, order + 1)]
    return rows


def gaussian(xp: Any, z: Array, order: int) -> Jet:
    """exp(-z^2)."""
    z = within(xp, z, end(xp, z))
    g = bell(xp, xp.abs(z), 1.0)
    second = -4.0 * difference_of_squares(xp, SQRT_HALF, xp.abs(z))
    rows = [g.e * g.scale, -2.0 * z * g.e * g.scale, second * g.e * g.scale]
    return (rows + bells(z, rows[0], 1.0, order)[3:])[: order + 1]


def erf(xp: Any, z: Array, order: int) -> Jet:
    """erf z, and 2/sqrt(pi) times the bell and its derivatives."""
    z = within(xp, z, end(xp, z))
    a, square = xp.abs(z), z * z
    g: Decay = bell(xp, a, 1.0)
    decay = g.e * g.scale
    far = 1.0 - 2.0 * decay * mills(xp, a * SQRT_2[0])
    near = z * (horner(xp, square, ERF) * square + SLOPE)
    rows = [xp.where(a < 1, near, xp.where(z < 0, -far, far))]
    return rows + [SLOPE * b for b in bells(z, decay, 1.0, order - 1)] if order else rows
