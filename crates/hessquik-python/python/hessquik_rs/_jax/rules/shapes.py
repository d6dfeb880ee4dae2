"""Primitives that move entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hessquik_rs import var as f
from hessquik_rs._jax.rules.products import spread
from hessquik_rs._jax.rules.table import RULES, Refused, known, rule
from hessquik_rs._nodes import Ints
from hessquik_rs._order import entries_at
from hessquik_rs._var import Var, scatter_add


@rule("reshape")
def _reshape(v: Var, new_sizes: Sequence[int], dimensions: Any = None, **_: Any) -> Var:
    if dimensions is not None:
        v = v.permute(*dimensions)
    return v.reshape(*new_sizes)


@rule("broadcast_in_dim")
def _broadcast_in_dim(v: Var, shape: Sequence[int], broadcast_dimensions: Sequence[int], **_: Any) -> Var:
    kept = [1] * len(shape)
    for axis, place in enumerate(broadcast_dimensions):
        kept[place] = v.shape[axis]
    return v.reshape(*kept).broadcast_to(shape)


@rule("squeeze")
def _squeeze(v: Var, dimensions: Sequence[int], **_: Any) -> Var:
    return v.reshape(*(n for i, n in enumerate(v.shape) if i not in dimensions))


RULES["expand_dims"] = lambda v, dimensions, **_: v.reshape(*np.expand_dims(np.empty(v.shape), dimensions).shape)
RULES["transpose"] = lambda v, permutation, **_: v.permute(*permutation)
RULES["rev"] = lambda v, dimensions, **_: v._picked(np.flip(v._places(), tuple(dimensions)))
RULES["concatenate"] = lambda *parts, dimension, **_: f.concat(parts, dimension)
RULES["stack"] = lambda *parts, dim=None, axis=0, **_: f.stack(parts, axis if dim is None else dim)
RULES["unstack"] = lambda v, dim=None, axis=0, **_: _unstacked(v, axis if dim is None else dim)
RULES["device_put"] = lambda *values, **_: list(values)
RULES["tile"] = lambda v, reps, **_: v._picked(np.tile(v._places(), tuple(reps)))


def _unstacked(v: Var, axis: int) -> list[Var]:
    return [v.take(i, axis) for i in range(v.shape[axis])]


@rule("slice")
def _slice(v: Var, start_indices: Any, limit_indices: Any, strides: Any = None, **_: Any) -> Var:
    steps = strides or [1] * v.ndim
    return v[tuple(slice(a, b, s) for a, b, s in zip(start_indices, limit_indices, steps, strict=True))]


@rule("split")
def _split(v: Var, sizes: Sequence[int], axis: int, **_: Any) -> list[Var]:
    ends = np.cumsum(sizes)
    return [v.take(np.arange(end - size, end), axis) for end, size in zip(ends, sizes, strict=True)]


@rule("pad")
def _pad(v: Var, value: Var, padding_config: Sequence[tuple[int, int, int]], **_: Any) -> Var:
    around = float(known(value, "what is padded with"))
    if around != 0.0 and any(inside for *_, inside in padding_config):
        raise Refused("numbers between the entries must be zero")
    return f.pad(
        spread(v, [inside + 1 for *_, inside in padding_config]), [(a, b) for a, b, _ in padding_config], around
    )


def _starts(v: Var, part: Sequence[int], starts: Sequence[Var]) -> tuple[slice, ...]:
    """A part of this shape at starts that JAX keeps within bounds."""
    found = []
    for n, size, start in zip(v.shape, part, starts, strict=True):
        first = min(max(int(known(start, "the start of a slice")), 0), n - size)
        found.append(slice(first, first + size))
    return tuple(found)


@rule("dynamic_slice")
def _dynamic_slice(v: Var, *starts: Var, slice_sizes: Sequence[int], **_: Any) -> Var:
    if all(s.value is not None for s in starts):
        return v[_starts(v, slice_sizes, starts)]
    sizes = zip(v.shape, slice_sizes, starts, strict=True)
    for axis, (n, size, start) in enumerate(sizes):
        places = f.clamp(start, 0.0, float(n - size)).reshape(1) + np.arange(size)
        v = entries_at(v, places, axis)
    return v


def written(v: Var, places: Ints, part: Var) -> Var:
    """`v` with `part` at these places."""
    mask = np.ones(v.size)
    mask[places.reshape(-1)] = 0.0
    return f.where(mask.reshape(v.shape), v, 0.0) + scatter_add(v.shape, places, part)


@rule("dynamic_update_slice")
def _dynamic_update_slice(v: Var, part: Var, *starts: Var, **_: Any) -> Var:
    return written(v, v._places()[_starts(v, part.shape, starts)], part)


@rule("gather")
def _gather(v: Var, indices: Var, work: Any, fill_value: Any, **_: Any) -> Var:
    """Entries, by what JAX makes of the places of entries; places out of bounds are -1."""
    places = np.asarray(work(v._places(), known(indices, "an index").astype(np.int64)), np.int64)
    if places.min(initial=0) >= 0:
        return v._picked(places)
    if fill_value is None:
        raise Refused(f"an index is out of bounds: there are {list(v.shape)} entries")
    inside = places >= 0
    filled = scatter_add(places.shape, np.flatnonzero(inside), v.flatten().take(places[inside], 0))
    return filled + np.where(inside, 0.0, float(fill_value))


@rule("scatter", "scatter_add", "scatter-add", "scatter_sub", "scatter-sub")
def _scatter(v: Var, indices: Var, part: Var, work: Any, primitive: str, **_: Any) -> Var:
    """Entries written, or added to, at places by what JAX makes of the places of entries; -1 is out of bounds."""
    places = np.asarray(work(v._places(), known(indices, "an index").astype(np.int64)), np.int64).reshape(-1)
    inside = np.flatnonzero(places >= 0)
    if inside.size == 0:
        return v
    part, places = part.flatten().take(inside, 0), places[inside]
    if primitive != "scatter":
        return v + scatter_add(v.shape, places, -part if "sub" in primitive else part)
    if np.unique(places).size < places.size:
        raise Refused("one entry is written twice, in an order that JAX leaves open")
    return written(v, places, part)
