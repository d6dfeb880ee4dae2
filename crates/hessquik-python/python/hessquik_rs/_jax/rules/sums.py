"""Sums and other primitives along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hessquik_rs import var as f
from hessquik_rs._jax.rules.table import RULES, Refused, rule
from hessquik_rs._nodes import Ints
from hessquik_rs._var import Var, scatter_add

RULES["reduce_sum"] = lambda v, axes, **_: v.sum(list(axes)) if axes else v
RULES["reduce_max"] = RULES["reduce_or"] = lambda v, axes, **_: f.amax(v, list(axes)) if axes else v
RULES["reduce_min"] = lambda v, axes, **_: -f.amax(-v, list(axes)) if axes else v
RULES["reduce_prod"] = RULES["reduce_and"] = lambda v, axes, **_: f.prod(v, list(axes)) if axes else v


@rule("argmax", "argmin", "sort", "top_k")
def _order(*_: Any, **__: Any) -> Any:
    raise Refused("the order of entries depends on the point; jnp.max, jnp.min and jnp.where are taken")


def _flipped(v: Var, axis: int) -> Var:
    return v.take(np.arange(v.shape[axis])[::-1], axis)


@rule("cumsum")
def _cumsum(v: Var, axis: int, reverse: bool = False, **_: Any) -> Var:
    return _flipped(f.cumsum(_flipped(v, axis), axis), axis) if reverse else f.cumsum(v, axis)


@rule("cumprod", "cummax", "cummin")
def _cumulative(v: Var, axis: int, reverse: bool = False, primitive: str = "", **_: Any) -> Var:
    together = {"cumprod": lambda a, b: a * b, "cummax": f.maximum, "cummin": f.minimum}[primitive]
    v = _flipped(v, axis) if reverse else v
    parts = [v.take([0], axis)]
    for i in range(1, v.shape[axis]):
        parts.append(together(parts[-1], v.take([i], axis)))
    out = f.concat(parts, axis)
    return _flipped(out, axis) if reverse else out


def _windows(
    shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Ints:
    """Places of the entries in each window (.., taps), or -1 for what is padded."""
    places = np.arange(int(np.prod(shape))).reshape(tuple(shape))
    for axis, (n, size, stride, (low, high), base, apart) in enumerate(
        zip(shape, window_dimensions, window_strides, padding, base_dilation, window_dilation, strict=True)
    ):
        along = np.full(max(low, 0) + (n - 1) * base + 1 + max(high, 0), -1)
        along[max(low, 0) : max(low, 0) + (n - 1) * base + 1 : base] = np.arange(n)
        along = along[max(-low, 0) : len(along) - max(-high, 0)]
        count = (len(along) - (size - 1) * apart - 1) // stride + 1
        index = along[np.arange(count)[:, None] * stride + np.arange(size) * apart]
        # axis `axis` becomes windows here and taps at the end
        taken = np.take(places, np.maximum(index, 0), axis)
        outside = np.expand_dims(index < 0, [*range(axis), *range(axis + 2, taken.ndim)])
        places = np.moveaxis(np.where(outside | (taken < 0), -1, taken), axis + 1, -1)
    return places.reshape(*places.shape[: len(shape)], -1)


@rule("reduce_window_sum")
def _window_sum(v: Var, **windows: Any) -> Var:
    places = _windows(v.shape, *(windows[key] for key in _KEYS))
    out = np.broadcast_to(np.arange(places[..., 0].size).reshape(places.shape[:-1])[..., None], places.shape)
    inside = places >= 0
    return scatter_add(places.shape[:-1], out[inside], v.flatten().take(places[inside], 0))


@rule("reduce_window_max")
def _window_max(v: Var, **windows: Any) -> Var:
    places = _windows(v.shape, *(windows[key] for key in _KEYS))
    first = places.max(-1, keepdims=True)
    if first.min() < 0:
        raise Refused("a window that holds nothing but padding has no largest entry")
    return f.amax(v.flatten().take(np.where(places < 0, first, places), 0), -1)


@rule("reduce_window_min")
def _window_min(v: Var, **windows: Any) -> Var:
    largest: Var = _window_max(-v, **windows)
    return -largest


_KEYS = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
