"""The activations and their derivatives of any order, as operations on arrays: the one place in Python where they are
written down.

No formula subtracts numbers that are nearly equal, so that in double precision the values, first and second derivatives
of hessQuik's activations are right to 4 ulp everywhere: in both tails, and at the zeros of the derivatives. Higher
derivatives follow from lower ones by recurrences in quantities that do not cancel there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import Array
from . import algebraic, bells, logistic
from .pieces import Jet, level, polynomial

Settings = dict[str, Any]
"""An activation as model files describe it."""

# those of self-normalising networks (Klambauer et al. 2017)
_SELU = {"slope": 1.0507009873554805, "size": 1.7580993408473768, "width": 1.0}


def _scaled(xp: Any, z: Array, order: int, a: Settings) -> Jet:
    factor, b = a.get("a", 1.0), a.get("b", 1.0)
    return [row * (factor * b**j) for j, row in enumerate(jet(xp, a["act"], b * z, order))]


def _softplus(xp: Any, z: Array, order: int, a: Settings) -> Jet:
    return logistic.softplus(xp, z, order, a.get("beta", 1.0), a.get("threshold", 20.0))


def _elu(xp: Any, z: Array, order: int, a: Settings) -> Jet:
    return logistic.elu(xp, z, order, 1.0, a.get("alpha", 1.0), 1.0)


def _celu(xp: Any, z: Array, order: int, a: Settings) -> Jet:
    alpha = a.get("alpha", 1.0)
    return logistic.elu(xp, z, order, 1.0, alpha, alpha)


def _polynomial(*rows: Callable[[Any, Array], Array]) -> Callable[[Any, Array, int, Settings], Jet]:
    return lambda xp, z, order, a: polynomial(xp, z, [row(xp, z) for row in rows], order)


def _constant(c: float) -> Callable[[Any, Array], Array]:
    return lambda xp, z: level(xp, z, c)


_FORMULAS: dict[str, Callable[[Any, Array, int, Settings], Jet]] = {
    "anti_tanh": lambda xp, z, order, a: logistic.anti_tanh(xp, z, order),
    "atan": lambda xp, z, order, a: algebraic.atan(xp, z, order),
    "celu": _celu,
    "cos": lambda xp, z, order, a: algebraic.wave(xp.cos(z), -xp.sin(z), order),
    "elu": _elu,
    "erf": lambda xp, z, order, a: bells.erf(xp, z, order),
    "exp": lambda xp, z, order, a: [xp.exp(z)] * (order + 1),
    "gaussian": lambda xp, z, order, a: bells.gaussian(xp, z, order),
    "gelu": lambda xp, z, order, a: bells.gelu(xp, z, order),
    "identity": _polynomial(lambda xp, z: z, _constant(1.0)),
    "leaky_relu": lambda xp, z, order, a: algebraic.ramp(xp, z, order, a.get("slope", 0.01)),
    "log": lambda xp, z, order, a: algebraic.log(xp, z, order),
    "mish": lambda xp, z, order, a: logistic.mish(xp, z, order),
    "power": lambda xp, z, order, a: algebraic.power(xp, z, order, a["p"]),
    "quadratic": _polynomial(lambda xp, z: 0.5 * (z * z), lambda xp, z: z, _constant(1.0)),
    "reciprocal": lambda xp, z, order, a: algebraic.reciprocal(z, order),
    "relu": lambda xp, z, order, a: algebraic.ramp(xp, z, order, 0.0),
    "scaled": _scaled,
    "selu": lambda xp, z, order, a: logistic.elu(xp, z, order, **_SELU),
    "sigmoid": lambda xp, z, order, a: logistic.sigmoid(xp, z, order),
    "silu": lambda xp, z, order, a: logistic.silu(xp, z, order),
    "sin": lambda xp, z, order, a: algebraic.wave(xp.sin(z), xp.cos(z), order),
    "softplus": _softplus,
    "sqrt": lambda xp, z, order, a: algebraic.sqrt(xp, z, order),
    "square": _polynomial(lambda xp, z: z * z, lambda xp, z: 2.0 * z, _constant(2.0)),
    "squareplus": lambda xp, z, order, a: algebraic.squareplus(xp, z, order, a.get("b", 4.0)),
    "step": lambda xp, z, order, a: algebraic.step(xp, z, order),
    "tanh": lambda xp, z, order, a: logistic.tanh(xp, z, order),
    "tanh_gelu": lambda xp, z, order, a: logistic.tanh_gelu(xp, z, order),
}


def jet(xp: Any, activation: Settings, z: Array, order: int) -> Jet:
    """An activation and its derivatives up to `order` at `z`, of single or double precision."""
    return _FORMULAS[activation["type"]](xp, z, order, activation)
