"""Special functions, by the engine's activations, without losing digits where a formula would."""

from __future__ import annotations

import math

from hessquik_rs import _functions as f
from hessquik_rs import _nodes as nodes
from hessquik_rs._var import Operand, Var, as_var


def acos(v: Operand) -> Var:
    """The arc cosine."""
    return math.pi / 2 - asin(v)


def asin(v: Operand) -> Var:
    """The arc sine."""
    v = as_var(v)
    return f.atan(v / f.sqrt((1.0 - v) * (1.0 + v)))


def acosh(v: Operand) -> Var:
    """The inverse of the hyperbolic cosine."""
    v = as_var(v)
    return f.log(v + f.sqrt(v - 1.0) * f.sqrt(v + 1.0))


def logaddexp(a: Operand, b: Operand) -> Var:
    """`log(exp(a) + exp(b))`."""
    b = as_var(b)
    return b + f.softplus(as_var(a) - b)


def logaddexp2(a: Operand, b: Operand) -> Var:
    """`log2(2**a + 2**b)`."""
    b = as_var(b)
    return b + f.softplus((as_var(a) - b) * math.log(2.0)) * (1.0 / math.log(2.0))


def ndtr(v: Operand) -> Var:
    """The distribution function of the normal distribution."""
    return (as_var(v) * math.sqrt(0.5)).act("erf") * 0.5 + 0.5


def logit(v: Operand) -> Var:
    """`log(v / (1 - v))`."""
    v = as_var(v)
    return f.log(v) - f.log(1.0 - v)


def xlogy(a: Operand, b: Operand) -> Var:
    """`a log(b)`."""
    return as_var(a) * f.log(b)


def entropy(v: Operand) -> Var:
    """`-v log(v)`."""
    return -xlogy(v, v)


def sinc(v: Operand) -> Var:
    """`sin(pi v) / (pi v)`; near zero by its series, so that it has derivatives there."""
    u = as_var(v) * math.pi
    small = f.greater(0.5, abs(u))
    apart = f.where(small, 1.0, u)
    square = f.where(small, u, 0.0).square()
    total: Operand = 0.0
    for k in range(9, -1, -1):
        total = as_var(total) * square + (-1.0) ** k / math.factorial(2 * k + 1)
    return f.where(small, total, f.sin(apart) / apart)


def log1p(v: Operand) -> Var:
    """`log(1 + v)`; of an exponential, which may be small or large, the softplus, which keeps its digits."""
    v = as_var(v)
    if isinstance(v.node, nodes.Pointwise) and v.node.act["type"] == "exp":
        return f.softplus(Var(v.node.of, v.shape))
    return f.log(v + 1.0)


def atan2(y: Operand, x: Operand) -> Var:
    """The angle of the point (x, y), by quotients of at most 1 in size, of numbers that are not both near zero."""
    y, x = as_var(y), as_var(x)
    flat = f.greater(abs(x), abs(y))
    by_x = f.atan(y / f.where(flat, x, 1.0)) + f.where(
        f.greater(0.0, x), f.where(f.greater(0.0, y), -math.pi, math.pi), 0.0
    )
    by_y = f.where(f.greater(0.0, y), -math.pi / 2, math.pi / 2) - f.atan(x / f.where(flat, 1.0, y))
    return f.where(flat, by_x, by_y)
