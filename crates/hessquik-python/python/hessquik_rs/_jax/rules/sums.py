"""Sums and other primitives along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hessquik_rs import var as f
from hessquik_rs._jax.rules.table import RULES, Refused, rule
from hessquik_rs._var import Var, scatter_add
from hessquik_rs._windows import largest_of, windows_of

RULES["reduce_sum"] = lambda v, axes, **_: v.sum(list(axes)) if axes else v
RULES["reduce_max"] = RULES["reduce_or"] = lambda v, axes, **_: f.amax(v, list(axes)) if axes else v
RULES["reduce_min"] = lambda v, axes, **_: -f.amax(-v, list(axes)) if axes else v
RULES["reduce_prod"] = RULES["reduce_and"] = lambda v, axes, **_: f.prod(v, list(axes)) if axes else v


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


@rule("reduce_window_sum")
def _window_sum(v: Var, **windows: Any) -> Var:
    places = windows_of(v.shape, *(windows[key] for key in _KEYS))
    out = np.broadcast_to(np.arange(places[..., 0].size).reshape(places.shape[:-1])[..., None], places.shape)
    inside = places >= 0
    return scatter_add(places.shape[:-1], out[inside], v.flatten().take(places[inside], 0))


@rule("reduce_window_max")
def _window_max(v: Var, **windows: Any) -> Var:
    places = windows_of(v.shape, *(windows[key] for key in _KEYS))
    if places.max(-1).min() < 0:
        raise Refused("a window that holds nothing but padding has no largest entry")
    return largest_of(v, places)


@rule("reduce_window_min")
def _window_min(v: Var, **windows: Any) -> Var:
    largest: Var = _window_max(-v, **windows)
    return -largest


_KEYS = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")
