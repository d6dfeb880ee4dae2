"""Products, convolutions, normalisations, and what is random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import var as f
from ..._var import Operand, Var, as_var
from .table import Refused, rule


@rule("mm", "bmm", "matmul", "mv", "dot")
def _matmul(a: Operand, b: Operand) -> Var:
    return f.matmul(a, b)


@rule("linear")
def _linear(v: Operand, weight: Operand, bias: Operand | None = None) -> Var:
    v, weight = as_var(v), as_var(weight)
    out = f.dot_general(v, weight, ([v.ndim - 1], [weight.ndim - 1]), ([], []))
    return out if bias is None else out + bias


@rule("addmm", "baddbmm", "addmv", "addbmm")
def _addmm(bias: Operand, a: Operand, b: Operand, beta: float = 1.0, alpha: float = 1.0) -> Var:
    return as_var(bias) * beta + f.matmul(a, b) * alpha


@rule("bilinear")
def _bilinear(a: Operand, b: Operand, weight: Operand, bias: Operand | None = None) -> Var:
    out = f.einsum("...i,kij,...j->...k", a, weight, b)
    return out if bias is None else out + bias


@rule("einsum")
def _einsum(equation: str, operands: Sequence[Operand], path: Any = None) -> Var:
    return f.einsum(equation, *operands)


@rule("convolution")
def _convolution(
    v: Operand,
    kernel: Operand,
    bias: Operand | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    *rest: Any,
) -> Var:
    output_padding, groups = rest
    v, kernel = as_var(v), as_var(kernel)
    rank = kernel.ndim - 2
    stride, padding, dilation = ([*s] * (rank if len(s) == 1 else 1) for s in (stride, padding, dilation))
    images = [v[i] for i in range(v.shape[0])] if v.ndim == rank + 2 else [v]
    if transposed:
        kernel, stride, pairs, images = _transposed(kernel, images, stride, padding, dilation, output_padding, groups)
    else:
        pairs = [(p, p) for p in padding]
    parts = [f.conv(image, kernel, stride, pairs, dilation, groups) for image in images]
    out = f.stack(parts) if v.ndim == rank + 2 else parts[0]
    if bias is None:
        return out
    return out + as_var(bias).reshape(-1, *[1] * rank)


def _transposed(
    kernel: Var,
    images: list[Var],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    """A transposed convolution is one of spread images with the flipped kernel."""
    c_in, c_out, *window = kernel.shape
    grouped = kernel.reshape(groups, c_in // groups, c_out, *window).swapaxes(1, 2)
    flipped = grouped.reshape(groups * c_out, c_in // groups, *window)[
        (slice(None), slice(None)) + (slice(None, None, -1),) * len(window)
    ]
    spread = []
    for image in images:
        sizes = [(n - 1) * s + 1 for n, s in zip(image.shape[1:], stride, strict=True)]
        places = np.arange(image.shape[0] * math.prod(sizes)).reshape(image.shape[0], *sizes)
        at = places[(slice(None), *(slice(None, None, s) for s in stride))]
        spread.append(f.scatter_add(places.shape, at, image))
    pairs = [
        (d * (k - 1) - p, d * (k - 1) - p + o)
        for d, k, p, o in zip(dilation, window, padding, output_padding, strict=True)
    ]
    return flipped, [1] * len(window), pairs, spread


@rule("native_layer_norm")
def _native_layer_norm(v: Operand, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> tuple[Var, None, None]:
    axes = list(range(as_var(v).ndim - len(shape), as_var(v).ndim))
    return f.layer_norm(v, axes, weight, bias, eps), None, None


@rule("layer_norm")
def _layer_norm(
    v: Operand, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Var:
    out: Var = _native_layer_norm(v, shape, weight, bias, eps)[0]
    return out


@rule("native_group_norm")
def _native_group_norm(v: Operand, weight: Any, bias: Any, *sizes: Any) -> tuple[Var, None, None]:
    *_, groups, eps = sizes
    v = as_var(v)
    return f.stack([f.group_norm(v[i], groups, weight, bias, eps) for i in range(v.shape[0])]), None, None


@rule("_native_batch_norm_legit_no_training")
def _batch_norm(
    v: Operand, weight: Any, bias: Any, mean: Operand, variance: Operand, momentum: float, eps: float
) -> tuple[Var, None, None]:
    v = as_var(v)
    channels = (-1, *[1] * (v.ndim - 2))
    scale = (as_var(variance) + eps).act({"type": "power", "p": -0.5})
    scale = scale if weight is None else scale * weight
    out = (v - as_var(mean).reshape(*channels)) * scale.reshape(*channels)
    out = out if bias is None else out + as_var(bias).reshape(*channels)
    return out, None, None


@rule("_native_batch_norm_legit")
def _instance_norm(v: Operand, weight: Any, bias: Any, *given: Any) -> Any:
    """Without running statistics and along axes of one point, it is an instance norm."""
    training, _, eps = given[-3:]
    v = as_var(v)
    if len(given) > 3 or not training or v.ndim < 3:
        _batch_norm_of_batch()
    axes = [0, *range(2, v.ndim)]
    channels = (-1, *[1] * (v.ndim - 2))
    weight, bias = (None if w is None else as_var(w).reshape(*channels) for w in (weight, bias))
    return f.layer_norm(v, axes, weight, bias, eps), None, None


@rule("_native_batch_norm_legit_functional", "native_batch_norm", "cudnn_batch_norm")
def _batch_norm_of_batch(*_: Any, **__: Any) -> Any:
    raise Refused("batch norm in training mode mixes the points: call model.eval() first")


@rule("dropout", "native_dropout", "bernoulli", "rand", "randn", "rand_like", "randn_like", "alpha_dropout")
def _random(*given: Any, **__: Any) -> Any:
    if len(given) == 3 and (given[2] is False or given[1] == 0.0):
        return given[0]
    raise Refused("it is random: call model.eval() first if it is dropout, or pass the random numbers as buffers")


@rule("_cdist_forward")
def _cdist(a: Operand, b: Operand, p: float = 2.0, mode: Any = None) -> Var:
    a, b = as_var(a), as_var(b)
    rows = a.reshape(*a.shape[:-1], 1, a.shape[-1]) - b.reshape(*b.shape[:-2], 1, *b.shape[-2:])
    return f.vector_norm(rows, p, -1)
