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


def erfc(v: Operand) -> Var:
    """`1 - erf(v)`: above 1/2, where that cancels, 2 Phi(u) = 2 gelu(u)/u with u = -sqrt(2) v."""
    v = as_var(v)
    far = f.greater(v, 0.5)
    apart = f.where(far, v, 1.0)
    gelu = apart.act({"type": "scaled", "act": {"type": "gelu"}, "a": 1.0, "b": -math.sqrt(2.0)})
    return f.where(far, gelu / apart * -math.sqrt(2.0), 1.0 - f.where(far, 0.0, v).act("erf"))


def ndtr(v: Operand) -> Var:
    """The distribution function of the normal distribution; below -1/2, where its sum cancels, gelu(v)/v."""
    v = as_var(v)
    far = f.greater(-0.5, v)
    apart = f.where(far, v, -1.0)
    near = (f.where(far, 0.0, v) * math.sqrt(0.5)).act("erf") * 0.5 + 0.5
    return f.where(far, apart.act("gelu") / apart, near)


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


def _atanh_series(v: Var) -> Var:
    """`atanh v` for |v| below 1/4: v + v^3/3 + v^5/5 + ..."""
    square, total = v.square(), as_var(0.0)
    for k in range(13, -1, -1):
        total = total * square + 1.0 / (2 * k + 1)
    return v * total


def atanh(v: Operand) -> Var:
    """The inverse of the hyperbolic tangent; near zero, where its logarithms cancel, by its series."""
    v = as_var(v)
    small = f.greater(0.25, abs(v))
    apart = f.where(small, 0.5, v)
    return f.where(small, _atanh_series(f.where(small, v, 0.0)), (f.log(1.0 + apart) - f.log(1.0 - apart)) * 0.5)


def asinh(v: Operand) -> Var:
    """The inverse of the hyperbolic sine: `2 atanh(v / (1 + sqrt(1 + v^2)))` near zero, else by a logarithm of |v|."""
    v = as_var(v)
    small = f.greater(0.5, abs(v))
    near, size = f.where(small, v, 0.0), f.where(small, 1.0, abs(v))
    series = _atanh_series(near / (1.0 + f.sqrt(1.0 + near.square()))) * 2.0
    far = f.log(size + f.sqrt(size.square() + 1.0)) * (f.greater(v, 0.0) * 2.0 - 1.0)
    return f.where(small, series, far)


def log1p(v: Operand) -> Var:
    """`log(1 + v)`; of an exponential, which may be small or large, the softplus, which keeps its digits, and of other
    small numbers `2 atanh(v / (2 + v))`."""
    v = as_var(v)
    if isinstance(v.node, nodes.Pointwise) and v.node.act["type"] == "exp":
        return f.softplus(Var(v.node.of, v.shape))
    small = f.greater(0.375, abs(v))
    near = f.where(small, v, 0.0)
    return f.where(small, _atanh_series(near / (2.0 + near)) * 2.0, f.log(f.where(small, 1.0, v) + 1.0))


def atan2(y: Operand, x: Operand) -> Var:
    """The angle of the point (x, y), by quotients of at most 1 in size, of numbers that are not both near zero."""
    y, x = as_var(y), as_var(x)
    flat = f.greater(abs(x), abs(y))
    by_x = f.atan(y / f.where(flat, x, 1.0)) + f.where(
        f.greater(0.0, x), f.where(f.greater(0.0, y), -math.pi, math.pi), 0.0
    )
    by_y = f.where(f.greater(0.0, y), -math.pi / 2, math.pi / 2) - f.atan(x / f.where(flat, 1.0, y))
    return f.where(flat, by_x, by_y)
