"""The order of entries, and entries at places that vary with the point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hessquik_rs import _order as order
from hessquik_rs import var as f
from hessquik_rs._jax.rules.table import Refused, rule
from hessquik_rs._var import Var

PAIRS = 1_000_000
"""The most pairs of an entry that is taken and an entry that might be, where the places vary with the point."""


@rule("argmax", "argmin")
def _argument(v: Var, axes: Sequence[int], primitive: str, **_: Any) -> Var:
    return order.place_of_largest(v if primitive == "argmax" else -v, axes[0])


@rule("top_k")
def _top_k(v: Var, k: int, axis: int | None = None, **_: Any) -> list[Var]:
    return list(order.ordered(v, v.ndim - 1 if axis is None else axis, True, k))


@rule("sort")
def _sort(*operands: Var, dimension: int, num_keys: int, **_: Any) -> list[Var]:
    if num_keys != 1:
        raise Refused("entries are sorted by one key only")
    values, places = order.ordered(operands[0], dimension)
    return [values, *(order.along(v, places, dimension) for v in operands[1:])]


def taken(v: Var, starts: Var, offsets: Callable[[Any], Any], sizes: Sequence[int], numbers: Any, mode: str) -> Var:
    """Slices of `v` at starts (.., k) that vary: what `lax.gather` gives.

    - **offsets** gives the places of entries for starts that are known, here for zeros
    - **numbers** the `GatherDimensionNumbers`
    """
    inside = np.asarray(offsets(np.zeros(starts.shape, np.int64)), np.int64)
    if inside.size * v.size > PAIRS:
        raise Refused(f"an index that varies chooses among {v.size} entries {inside.size} times, which is too much")
    steps = [math.prod(v.shape[axis + 1 :]) for axis in numbers.start_index_map]
    last = [v.shape[axis] - sizes[axis] for axis in numbers.start_index_map]
    kept = f.clamp(starts, np.zeros(len(last)), np.asarray(last, np.float64))
    place = (kept * np.asarray(steps, np.float64)).sum(-1)
    rank = inside.ndim
    shape = iter(place.shape)
    place = place.reshape(*(1 if i in numbers.offset_dims else next(shape) for i in range(rank))) + inside
    found = order.entries_at(v.flatten(), place, 0)
    if mode != "FILL_OR_DROP":
        return found
    # what is out of bounds is not a number
    there = f.prod(order.one_hot(starts - kept, 1)[..., 0], -1)
    shape = iter(there.shape)
    return found / there.reshape(*(1 if i in numbers.offset_dims else next(shape) for i in range(rank)))
