"""Primitives entry by entry: arithmetic, activations, branches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hessquik_rs import _special as special
from hessquik_rs import var as f
from hessquik_rs._jax.rules.table import RULES, Refused, every, rule
from hessquik_rs._var import Var

LARGEST = float(np.finfo(np.float64).max)
"""What infinity is as a constant."""


def _entrywise(**rules: Callable[[Var], Var]) -> None:
    for name, formula in rules.items():
        RULES[name] = lambda v, formula=formula, **_: formula(v)


def _act(name: str, **settings: float) -> Callable[[Var], Var]:
    return lambda v: v.act({"type": name, **settings})


_entrywise(
    **{name: _act(name) for name in ("tanh", "sin", "cos", "exp", "log", "sqrt", "square", "erf", "atan")},
    logistic=_act("sigmoid"),
    rsqrt=_act("power", p=-0.5),
    cbrt=lambda v: f.sign(v) * f.power(abs(v), 1.0 / 3.0),
    neg=lambda v: -v,
    abs=lambda v: abs(v),
    sign=f.sign,
    exp2=lambda v: f.exp(v * math.log(2.0)),
    expm1=lambda v: f.tanh(v * 0.5) * (f.exp(v) + 1.0),
    log1p=special.log1p,
    tan=lambda v: f.sin(v) / f.cos(v),
    cosh=lambda v: (f.exp(v) + f.exp(-v)) * 0.5,
    sinh=lambda v: f.tanh(v) * (f.exp(v) + f.exp(-v)) * 0.5,
    asinh=special.asinh,
    acosh=special.acosh,
    atanh=special.atanh,
    asin=special.asin,
    acos=special.acos,
    erfc=special.erfc,
    stop_gradient=f.frozen,
    is_finite=lambda v: f.constant(np.ones(v.shape)),  # of points at which there are derivatives
)
for _name in (
    "copy",
    "copy_p",
    "reduce_precision",
    "optimization_barrier",
    "sharding_constraint",
    "name",
    "pvary",
    "real",
):
    RULES[_name] = lambda v, **_: v
RULES["not"] = lambda v, **_: 1.0 - v
RULES["add"] = RULES["add_any"] = lambda a, b, **_: a + b
RULES["sub"] = lambda a, b, **_: a - b
RULES["mul"] = RULES["and"] = lambda a, b, **_: a * b
RULES["div"] = lambda a, b, **_: a / b
RULES["integer_pow"] = lambda v, y, **_: f.power(v, float(y))
RULES["pow"] = lambda a, b, **_: f.power(a, b)
RULES["gt"] = lambda a, b, **_: f.greater(a, b)
RULES["lt"] = lambda a, b, **_: f.greater(b, a)
RULES["ge"] = lambda a, b, **_: 1.0 - f.greater(b, a)
RULES["le"] = lambda a, b, **_: 1.0 - f.greater(a, b)


@rule("or")
def _or(a: Var, b: Var, **_: Any) -> Var:
    return f.maximum(a, b)


@rule("xor", "ne")
def _ne(a: Var, b: Var, **_: Any) -> Var:
    if a.node is b.node:  # how numbers that are none are found
        return f.constant(np.zeros(a.shape))
    if any(every(v, limit) for v in (a, b) for limit in (LARGEST, -LARGEST)):  # infinity is asked for
        return f.constant(np.ones(np.broadcast_shapes(a.shape, b.shape)))
    return f.greater(a, b) + f.greater(b, a)


@rule("eq")
def _eq(a: Var, b: Var, **given: Any) -> Var:
    differs: Var = _ne(a, b, **given)
    return 1.0 - differs


@rule("max")
def _max(a: Var, b: Var, **_: Any) -> Var:
    if every(b, 0.0) or every(a, 0.0):
        return f.relu(a if every(b, 0.0) else b)
    if every(b, -LARGEST) or every(a, -LARGEST):  # minus infinity
        return a if every(b, -LARGEST) else b
    return f.maximum(a, b)


@rule("min")
def _min(a: Var, b: Var, **_: Any) -> Var:
    if every(b, 0.0) or every(a, 0.0):
        return -f.relu(-(a if every(b, 0.0) else b))
    if every(b, LARGEST) or every(a, LARGEST):
        return a if every(b, LARGEST) else b
    return f.minimum(a, b)


@rule("clamp")
def _clamp(low: Var, v: Var, high: Var, **_: Any) -> Var:
    clamped: Var = _min(_max(v, low.broadcast_to(v.shape)), high.broadcast_to(v.shape))
    return clamped


@rule("select_n")
def _select_n(which: Var, *cases: Var, **_: Any) -> Var:
    chosen = cases[0]
    for i, case in enumerate(cases[1:], 1):
        after = which if len(cases) == 2 else f.greater(which, i - 0.5)
        chosen = f.where(after, case, chosen)
    return chosen


RULES["atan2"] = lambda y, x, **_: special.atan2(y, x)


@rule("floor", "ceil", "round", "rem", "nextafter")
def _rounded(*_: Any, **__: Any) -> Any:
    raise Refused("the engine does not round numbers")


@rule("convert_element_type")
def _convert(v: Var, new_dtype: Any, old_dtype: Any, **_: Any) -> Var:
    was, becomes = np.dtype(old_dtype).kind, np.dtype(new_dtype).kind
    if becomes == "b":
        return v if was == "b" else _ne(v, f.constant(np.zeros(v.shape)))
    if becomes in "iu" and was not in "iub":
        raise Refused("a number that is rounded has no derivatives")
    return v
