"""Pooling, and images of other sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import var as f
from ..._var import Operand, Var, as_var, stack
from ..._windows import largest_of, windows_of
from .table import Refused, rule


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(
    v: Operand,
    window: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Var:
    v = as_var(v)
    rank = len(window)
    padding = [*padding] * (rank if len(padding) == 1 else 1)
    if ceil_mode or (any(padding) and not count_include_pad):
        raise Refused("average pooling is supported only with ceil_mode=False and count_include_pad=True")
    images = v.reshape(-1, 1, *v.shape[-rank:])
    kernel = np.full((1, 1, *window), 1.0 / (divisor_override or math.prod(window)))
    pairs = [(p, p) for p in padding]
    parts = [f.conv(images[i], kernel, stride or window, pairs, [1] * rank) for i in range(images.shape[0])]
    out = f.stack(parts)
    return out.reshape(*v.shape[:-rank], *out.shape[2:])


@rule("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(
    v: Operand,
    window: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Var:
    v, rank = as_var(v), len(window)
    if ceil_mode:
        raise Refused("max pooling is supported only with ceil_mode=False")
    lead = v.ndim - rank
    stride, padding, dilation = ([*s] * (rank if len(s) == 1 else 1) for s in (stride or window, padding, dilation))
    ones = [1] * lead
    places = windows_of(
        v.shape, [*ones, *window], [*ones, *stride], [(0, 0)] * lead + [(p, p) for p in padding],
        [1] * v.ndim, [*ones, *dilation],
    )  # fmt: skip
    return largest_of(v, places)


@rule("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool1d_with_indices")
def _max_pool_with_indices(*given: Any) -> tuple[Var, None]:
    return _max_pool(*given), None


def _spans(n: int, out: int) -> list[tuple[int, int]]:
    """Where the windows of adaptive pooling begin and end."""
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def _pooled(v: Operand, sizes: Sequence[int], together: Callable[[Var, int], Var]) -> Var:
    v = as_var(v)
    for axis, out in zip(range(v.ndim - len(sizes), v.ndim), sizes, strict=True):
        parts = [together(v.take(np.arange(a, b), axis), axis) for a, b in _spans(v.shape[axis], out)]
        v = stack(parts, axis)
    return v


@rule("adaptive_avg_pool1d", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def _adaptive_avg_pool(v: Operand, sizes: Sequence[int]) -> Var:
    return _pooled(v, sizes, lambda part, axis: part.mean(axis))


@rule("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_max_pool(v: Operand, sizes: Sequence[int]) -> tuple[Var, None]:
    return _pooled(v, sizes, lambda part, axis: f.amax(part, axis)), None
