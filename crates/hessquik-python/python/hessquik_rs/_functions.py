"""Functions of variables that are made of several nodes: softmax, norms, normalisations, branches, convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hessquik_rs import _nodes as nodes
from hessquik_rs._einsum import dot_general
from hessquik_rs._nodes import Term
from hessquik_rs._var import Axes, Operand, Var, _axis, as_var, combined, concat, constant, pad, paired
from hessquik_rs.errors import ShapeError


def tanh(v: Operand) -> Var:
    """The hyperbolic tangent."""
    return as_var(v).act("tanh")


def sin(v: Operand) -> Var:
    """The sine."""
    return as_var(v).act("sin")


def cos(v: Operand) -> Var:
    """The cosine."""
    return as_var(v).act("cos")


def atan(v: Operand) -> Var:
    """The arc tangent."""
    return as_var(v).act("atan")


def exp(v: Operand) -> Var:
    """The exponential."""
    return as_var(v).act("exp")


def log(v: Operand) -> Var:
    """The natural logarithm."""
    return as_var(v).act("log")


def sqrt(v: Operand) -> Var:
    """The square root."""
    return as_var(v).act("sqrt")


def sigmoid(v: Operand) -> Var:
    """`1 / (1 + exp(-v))`."""
    return as_var(v).act("sigmoid")


def softplus(v: Operand, beta: float = 1.0) -> Var:
    """`ln(1 + exp(beta v)) / beta`."""
    return as_var(v).act({"type": "softplus", "beta": beta, "threshold": 40.0})


def relu(v: Operand) -> Var:
    """The positive part of `v`."""
    return as_var(v).act("relu")


def absolute(v: Operand) -> Var:
    """The absolute value."""
    return abs(as_var(v))


def greater(a: Operand, b: Operand) -> Var:
    """1 where `a > b`, else 0; its derivatives are zero."""
    return combined(a, b, 1.0, -1.0).act("step")


def sign(v: Operand) -> Var:
    """1 or -1, or 0 at 0; its derivatives are zero."""
    return greater(v, 0.0) - greater(0.0, v)


def where(condition: Operand, a: Operand, b: Operand) -> Var:
    """`a` where the condition is 1, and `b` where it is 0.

    If the condition depends on the point, both are computed and both must be finite: `0 * inf` is not a number.
    """
    condition = as_var(condition)
    a, b = paired(a, b)
    shape = np.broadcast_shapes(condition.shape, a.shape)
    condition, a, b = condition.broadcast_to(shape), a.broadcast_to(shape), b.broadcast_to(shape)
    if condition.value is not None:
        yes = np.flatnonzero(condition.value.reshape(-1) != 0.0)
        no = np.flatnonzero(condition.value.reshape(-1) == 0.0)
        if no.size == 0 or yes.size == 0:
            return a if no.size == 0 else b
        return Var(nodes.affine(a.size, [Term(a.node, 1.0, yes, yes), Term(b.node, 1.0, no, no)]), shape)
    rest = 1.0 - condition
    return Var(nodes.affine(a.size, [Term(masked(condition, a).node), Term(masked(rest, b).node)]), shape)


def masked(mask: Operand, v: Operand) -> Var:
    """`v` where a mask is 1, and 0 where it is 0."""
    mask, v = paired(mask, v)
    return Var(nodes.masked(mask.node, v.node), v.shape)


def maximum(a: Operand, b: Operand) -> Var:
    """The larger of two, entry by entry; the second if they are equal."""
    return where(greater(a, b), a, b)


def minimum(a: Operand, b: Operand) -> Var:
    """The smaller of two, entry by entry; the second if they are equal."""
    return where(greater(b, a), a, b)


def clamp(v: Operand, low: Operand | None = None, high: Operand | None = None) -> Var:
    """`v`, but at least `low` and at most `high`."""
    v = as_var(v)
    if low is not None and not _all(low, -math.inf):
        v = maximum(v, low)
    return v if high is None or _all(high, math.inf) else minimum(v, high)


def _all(bound: Operand, value: float) -> bool:
    return not isinstance(bound, Var) and bool(np.all(np.asarray(bound) == value))


def frozen(v: Operand) -> Var:
    """`v` with zero derivatives, like `stop_gradient` and `detach`."""
    v = as_var(v)
    return Var(nodes.stopped(v.node), v.shape)


def largest(v: Operand, axis: int = -1) -> Var:
    """The largest entry along an axis, which is kept with length 1; the first of them if there are several."""
    v = as_var(v)
    axis = _axis(axis, v.ndim, "largest")
    shape = (*v.shape[:axis], 1, *v.shape[axis + 1 :])
    return Var(nodes.largest(v.node, v.shape[axis], math.prod(v.shape[axis + 1 :])), shape)


def softmax(v: Operand, axis: int = -1) -> Var:
    """`exp(v) / sum(exp(v))` along an axis."""
    v = as_var(v)
    e = exp(v - largest(v, axis)) if v.ndim else constant(1.0)
    return e / e.sum(axis, keepdims=True)


def log_softmax(v: Operand, axis: int = -1) -> Var:
    """The logarithm of the softmax."""
    v = as_var(v)
    low = v - largest(v, axis)
    return low - log(exp(low).sum(axis, keepdims=True))


def logsumexp(v: Operand, axis: Axes = -1, keepdims: bool = False) -> Var:
    """The logarithm of the sum of exponentials along axes."""
    v = as_var(v)
    axes = [_axis(a, v.ndim, "logsumexp") for a in _listed(axis, v.ndim)]
    # one axis in the place of several
    order = [i for i in range(v.ndim) if i not in axes] + axes
    rows = v.permute(order).reshape(*(v.shape[i] for i in order[: v.ndim - len(axes)]), -1)
    top = largest(rows)
    out = log(exp(rows - top).sum(-1, keepdims=True)) + top
    kept = tuple(1 if i in axes else n for i, n in enumerate(v.shape))
    return out.reshape(kept if keepdims else tuple(n for i, n in enumerate(v.shape) if i not in axes))


def _listed(axis: Axes, ndim: int) -> list[int]:
    return list(range(ndim)) if axis is None else [axis] if isinstance(axis, int) else list(axis)


def amax(v: Operand, axis: Axes = None, keepdims: bool = False) -> Var:
    """The largest entry along axes."""
    v = as_var(v)
    axes = [_axis(a, v.ndim, "amax") for a in _listed(axis, v.ndim)]
    kept = tuple(1 if i in axes else n for i, n in enumerate(v.shape))
    order = [*(i for i in range(v.ndim) if i not in axes), *axes]
    rows = largest(v.permute(order).reshape(-1, math.prod(v.shape[i] for i in axes)))
    return rows.reshape(kept if keepdims else tuple(n for i, n in enumerate(v.shape) if i not in axes))


def prod(v: Operand, axis: Axes = None, keepdims: bool = False) -> Var:
    """The product along axes."""
    v = as_var(v)
    axes = [_axis(a, v.ndim, "prod") for a in _listed(axis, v.ndim)]
    kept = tuple(1 if i in axes else n for i, n in enumerate(v.shape))
    order = [*axes, *(i for i in range(v.ndim) if i not in axes)]
    rows = v.permute(order).reshape(math.prod(v.shape[i] for i in axes), -1)
    while len(rows) > 1:
        half = len(rows) // 2
        pairs = rows[:half] * rows[half : 2 * half]
        rows = concat([pairs, rows[2 * half :]]) if len(rows) % 2 else pairs
    return rows.reshape(kept if keepdims else tuple(n for i, n in enumerate(v.shape) if i not in axes))


def cumsum(v: Operand, axis: int = 0) -> Var:
    """The cumulative sums along an axis."""
    v = as_var(v)
    axis = _axis(axis, v.ndim, "cumsum")
    n = v.shape[axis] if v.ndim else 1
    if n == 1:
        return v
    places = np.moveaxis(np.arange(v.size).reshape(v.shape), axis, 0)
    source = np.concatenate([places[: i + 1].reshape(-1) for i in range(n)])
    target = np.concatenate([np.broadcast_to(places[i], places[: i + 1].shape).reshape(-1) for i in range(n)])
    return Var(nodes.moved(v.node, v.size, source, target), v.shape)


def vector_norm(v: Operand, p: float = 2.0, axis: Axes = None, keepdims: bool = False) -> Var:
    """The p-norm along axes; p may be infinite."""
    v = as_var(v)
    if p == 2.0:
        return v.square().sum(axis, keepdims).act("sqrt")
    if p == 1.0:
        return abs(v).sum(axis, keepdims)
    if math.isinf(p):
        return amax(abs(v), axis, keepdims) if p > 0 else -amax(-abs(v), axis, keepdims)
    if p == 0.0:
        raise ShapeError("vector_norm: the 0-norm, the number of nonzero entries, has no derivatives")
    base = v if p % 2.0 == 0.0 else abs(v)
    return (base**p).sum(axis, keepdims) ** (1.0 / p)


def layer_norm(
    v: Operand, axis: Axes = -1, weight: Operand | None = None, bias: Operand | None = None, eps: float = 1e-5
) -> Var:
    """`v` less its mean, over the root of its variance and `eps`, along axes; times `weight`, plus `bias`."""
    v = as_var(v)
    centred = v - v.mean(axis, True)
    scale = (centred.square().mean(axis, True) + eps).act({"type": "power", "p": -0.5})
    out = centred * scale
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def group_norm(
    v: Operand, groups: int, weight: Operand | None = None, bias: Operand | None = None, eps: float = 1e-5
) -> Var:
    """The layer norm of each of `groups` groups of channels, the first axis."""
    v = as_var(v)
    channels = (v.shape[0], *[1] * (v.ndim - 1))
    out = layer_norm(v.reshape(groups, -1), -1, eps=eps).reshape(v.shape)
    out = out if weight is None else out * as_var(weight).reshape(channels)
    return out if bias is None else out + as_var(bias).reshape(channels)


def conv(
    v: Operand,
    kernel: Operand,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
) -> Var:
    """The correlation of `v` (channels, ..) with a kernel (channels out, channels / groups, ..), in any dimension.

    * `stride`, `padding`, `dilation`: for each axis after the channels; `padding` zeros before and after
    """
    v, kernel = as_var(v), as_var(kernel)
    c_out, c_in, *window = kernel.shape
    if v.shape[0] != c_in * groups or c_out % groups:
        raise ShapeError(f"conv: {v.shape[0]} channels, a kernel {list(kernel.shape)} and {groups} groups do not fit")
    v = pad(v, [(0, 0), *padding])
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(v.shape[1:], window, stride, dilation, strict=True)]
    if min(sizes) < 1:
        raise ShapeError(f"conv: a kernel {window} does not fit into {list(v.shape[1:])}")
    places = np.arange(v.size).reshape(v.shape)
    # (channels, outputs.., window..)
    for axis, (n, k, s, d) in enumerate(zip(sizes, window, stride, dilation, strict=True)):
        index = np.arange(n)[:, None] * s + np.arange(k)[None, :] * d
        places = np.take(places, index, axis=1 + 2 * axis)
    rank = len(window)
    places = places.transpose(0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2))
    count, taps = math.prod(sizes), math.prod(window)
    # (groups, outputs, channels, window) for products with (groups, channels out, channels, window)
    places = places.reshape(groups, c_in, count, taps).transpose(0, 2, 1, 3)
    patches = Var(nodes.moved(v.node, places.size, places.reshape(-1)), (groups, count, c_in * taps))
    filters = kernel.reshape(groups, c_out // groups, c_in * taps)
    return dot_general(filters, patches, ([2], [2]), ([0], [0])).reshape(c_out, *sizes)
