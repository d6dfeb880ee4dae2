"""Operations that move entries, or make constants of a shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import var as f
from ..._order import along, entries_at
from ..._var import Operand, Var, as_var
from .table import RULES, Refused, Rule, known, rule


@rule("view", "reshape", "_unsafe_view", "view_copy")
def _view(v: Operand, shape: Sequence[int]) -> Var:
    return as_var(v).reshape(*shape)


@rule("permute")
def _permute(v: Operand, dims: Sequence[int]) -> Var:
    return as_var(v).permute(*dims)


@rule("transpose")
def _transpose(v: Operand, a: int, b: int) -> Var:
    return as_var(v).swapaxes(a, b)


@rule("unsqueeze")
def _unsqueeze(v: Operand, dim: int) -> Var:
    v = as_var(v)
    dim = dim % (v.ndim + 1)
    return v.reshape(*v.shape[:dim], 1, *v.shape[dim:])


@rule("squeeze")
def _squeeze(v: Operand, dim: int | Sequence[int] | None = None) -> Var:
    v = as_var(v)
    dims = range(v.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {d % v.ndim for d in dims if v.shape[d] == 1}
    return v.reshape(*(n for i, n in enumerate(v.shape) if i not in gone))


@rule("flatten")
def _flatten(v: Operand, start_dim: int = 0, end_dim: int = -1) -> Var:
    v = as_var(v)
    first, last = start_dim % v.ndim, end_dim % v.ndim
    return v.reshape(*v.shape[:first], -1, *v.shape[last + 1 :])


@rule("expand")
def _expand(v: Operand, shape: Sequence[int], implicit: bool = False) -> Var:
    v = as_var(v)
    missing = len(shape) - v.ndim
    return v.broadcast_to([v.shape[i - missing] if n == -1 else n for i, n in enumerate(shape)])


@rule("repeat")
def _repeat(v: Operand, repeats: Sequence[int]) -> Var:
    v = as_var(v)
    return v._picked(np.tile(v._places(), tuple(repeats)))


@rule("cat", "concat")
def _cat(parts: Sequence[Operand], dim: int = 0) -> Var:
    return f.concat(parts, dim)


@rule("stack")
def _stack(parts: Sequence[Operand], dim: int = 0) -> Var:
    return f.stack(parts, dim)


@rule("split_with_sizes")
def _split_with_sizes(v: Operand, sizes: Sequence[int], dim: int = 0) -> list[Var]:
    v, start, parts = as_var(v), 0, []
    for size in sizes:
        parts.append(v.take(np.arange(start, start + size), dim))
        start += size
    return parts


@rule("split")
def split(v: Operand, size: int, dim: int = 0) -> Any:
    n = as_var(v).shape[dim]
    return _split_with_sizes(v, [min(size, n - i) for i in range(0, n, size)], dim)


@rule("chunk")
def _chunk(v: Operand, chunks: int, dim: int = 0) -> Any:
    return split(v, -(-as_var(v).shape[dim] // chunks), dim)


@rule("unbind")
def _unbind(v: Operand, dim: int = 0) -> list[Var]:
    return [as_var(v).take(i, dim) for i in range(as_var(v).shape[dim])]


@rule("slice")
def _slice(v: Operand, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Var:
    v = as_var(v)
    return v.take(np.arange(v.shape[dim])[slice(start, end, step)], dim)


@rule("narrow")
def _narrow(v: Operand, dim: int, start: int, length: int) -> Var:
    return as_var(v).take(np.arange(start, start + length), dim)


@rule("select")
def _select(v: Operand, dim: int, index: int) -> Var:
    return as_var(v).take(index % as_var(v).shape[dim], dim)


@rule("index", "_unsafe_index")
def _index(v: Operand, indices: Sequence[Operand | None]) -> Var:
    if any(i is not None and as_var(i).value is None for i in indices):
        return _index_that_varies(as_var(v), indices)
    arrays = [slice(None) if i is None else known(i, "an index") for i in indices]
    places = as_var(v)._places()
    keys = tuple(a if isinstance(a, slice) else _as_index(a, n) for a, n in zip(arrays, places.shape, strict=False))
    return as_var(v)._picked(places[keys])


def _index_that_varies(v: Var, indices: Sequence[Operand | None]) -> Var:
    """The entries at indices of neighbouring axes, some of which vary, as entries of one axis."""
    given = [axis for axis, i in enumerate(indices) if i is not None]
    first, last = given[0], given[-1]
    if given != list(range(first, last + 1)):
        raise Refused("indices that vary with the point must stand beside each other")
    place: Operand = 0.0
    for axis in given:
        place = as_var(place) * float(v.shape[axis]) + _counted(indices[axis], v.shape[axis])
    merged = v.reshape(*v.shape[:first], -1, *v.shape[last + 1 :])
    return entries_at(merged, place, first)


def _counted(index: Operand | None, n: int) -> Var:
    """An index with those from the end, which are negative, counted from the start."""
    index = as_var(index if index is not None else 0.0)
    return index + f.greater(0.0, index) * float(n)


def _as_index(array: Any, n: int) -> Any:
    return np.asarray(array).astype(np.int64) % n if n else array


@rule("index_select")
def _index_select(v: Operand, dim: int, index: Operand) -> Var:
    if as_var(index).value is None:
        return entries_at(v, index, dim)
    return as_var(v).take(known(index, "the index").astype(np.int64), dim)


@rule("gather")
def _gather(v: Operand, dim: int, index: Operand, sparse_grad: bool = False) -> Var:
    if as_var(index).value is None:
        return along(v, index, dim)
    chosen = known(index, "the index").astype(np.int64)
    places = as_var(v)._places()
    axis = dim % places.ndim
    inside = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(chosen.shape))
    return as_var(v)._picked(np.take_along_axis(places[inside], chosen, axis))


@rule("embedding")
def _embedding(weight: Operand, indices: Operand, *_: Any) -> Var:
    if as_var(indices).value is None:
        return entries_at(weight, indices, 0)
    return as_var(weight).take(known(indices, "the index of an embedding").astype(np.int64), 0)


@rule("flip")
def _flip(v: Operand, dims: Sequence[int]) -> Var:
    return as_var(v)._picked(np.flip(as_var(v)._places(), tuple(dims)))


@rule("roll")
def _roll(v: Operand, shifts: Sequence[int], dims: Sequence[int] = ()) -> Var:
    places = as_var(v)._places()
    return as_var(v)._picked(np.roll(places, tuple(shifts), tuple(dims)) if dims else np.roll(places, shifts))


@rule("diagonal")
def _diagonal(v: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Var:
    return as_var(v)._picked(np.diagonal(as_var(v)._places(), offset, dim1, dim2))


def _triangle(mask: Callable[..., Any]) -> Rule:
    return lambda v, diagonal=0: as_var(v) * mask(np.ones(as_var(v).shape[-2:]), diagonal)


RULES["tril"], RULES["triu"] = _triangle(np.tril), _triangle(np.triu)


@rule("constant_pad_nd")
def _pad(v: Operand, widths: Sequence[int], value: float = 0.0) -> Var:
    v = as_var(v)
    pairs = [(widths[i], widths[i + 1]) for i in range(0, len(widths), 2)][::-1]
    return f.pad(v, [(0, 0)] * (v.ndim - len(pairs)) + pairs, value)


def _written(v: Operand, places: Any, part: Operand) -> Var:
    """`v` with `part` at these places."""
    v, part = as_var(v), as_var(part).broadcast_to(places.shape)
    mask = np.ones(v.size)
    mask[places.reshape(-1)] = 0.0
    return f.where(mask.reshape(v.shape), v, 0.0) + f.scatter_add(v.shape, places, part)


@rule("slice_scatter")
def _slice_scatter(
    v: Operand, part: Operand, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Var:
    places = as_var(v)._places()
    return _written(v, np.take(places, np.arange(places.shape[dim])[slice(start, end, step)], dim), part)


@rule("select_scatter")
def _select_scatter(v: Operand, part: Operand, dim: int, index: int) -> Var:
    return _written(v, np.take(as_var(v)._places(), index, dim), part)


@rule("index_put")
def _index_put(v: Operand, indices: Sequence[Operand | None], values: Operand, accumulate: bool = False) -> Var:
    keys = tuple(slice(None) if i is None else known(i, "an index").astype(np.int64) for i in indices)
    places = as_var(v)._places()[keys]
    if accumulate:
        return as_var(v) + f.scatter_add(as_var(v).shape, places, as_var(values).broadcast_to(places.shape))
    return _written(v, places, values)


def _places_along(v: Var, dim: int, index: Operand) -> Any:
    """Places of the entries that `scatter` writes, in the shape of its index."""
    chosen = known(index, "the index").astype(np.int64)
    places = v._places()
    axis = dim % max(v.ndim, 1)
    inside = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(chosen.shape))
    return np.take_along_axis(places[inside], chosen, axis)


def _part(part: Operand, shape: Sequence[int]) -> Var:
    part = as_var(part)
    return part[tuple(slice(n) for n in shape)] if part.ndim else part.broadcast_to(shape)


@rule("scatter_add")
def _scatter_add(v: Operand, dim: int, index: Operand, part: Operand) -> Var:
    places = _places_along(as_var(v), dim, index)
    return as_var(v) + f.scatter_add(as_var(v).shape, places, _part(part, places.shape))


@rule("scatter")
def _scatter(v: Operand, dim: int, index: Operand, part: Operand, reduce: str | None = None) -> Var:
    places = _places_along(as_var(v), dim, index)
    if reduce == "add":
        return as_var(v) + f.scatter_add(as_var(v).shape, places, _part(part, places.shape))
    if reduce is not None or np.unique(places).size < places.size:
        raise Refused("one entry is written twice, in an order that torch leaves open")
    return _written(v, places, _part(part, places.shape))


@rule("scatter_reduce")
def _scatter_reduce(
    v: Operand, dim: int, index: Operand, part: Operand, reduce: str, include_self: bool = True, **_: Any
) -> Var:
    v = as_var(v)
    places = _places_along(v, dim, index)
    part = _part(part, places.shape)
    if reduce not in ("sum", "mean"):
        raise Refused(f"scatter_reduce is supported for sum and mean, not for {reduce!r}")
    count = np.bincount(places.reshape(-1), minlength=v.size).reshape(v.shape)
    start = v if include_self else f.where((count == 0).astype(np.float64), v, 0.0)
    total = start + f.scatter_add(v.shape, places, part)
    return total if reduce == "sum" else total / np.maximum(count + float(include_self), 1.0)


def _slabs(v: Var, dim: int, index: Operand) -> Any:
    return np.take(v._places(), known(index, "the index").astype(np.int64).reshape(-1), dim)


@rule("index_add")
def _index_add(v: Operand, dim: int, index: Operand, part: Operand, alpha: float = 1.0) -> Var:
    places = _slabs(as_var(v), dim, index)
    return as_var(v) + f.scatter_add(as_var(v).shape, places, as_var(part).broadcast_to(places.shape) * alpha)


@rule("index_copy")
def _index_copy(v: Operand, dim: int, index: Operand, part: Operand) -> Var:
    return _written(v, _slabs(as_var(v), dim, index), part)


@rule("index_fill")
def _index_fill(v: Operand, dim: int, index: Operand, value: Operand) -> Var:
    return _written(v, _slabs(as_var(v), dim, index), value)


RULES["copy"] = lambda v, source, *_: as_var(source).broadcast_to(as_var(v).shape)
RULES["fill"] = lambda v, value: as_var(value).broadcast_to(as_var(v).shape)


def _like(value: float | None) -> Rule:
    return lambda v, *given, **_: f.constant(np.full(as_var(v).shape, given[0] if value is None else value))


def _new(value: float | None) -> Rule:
    return lambda v, size, *given, **_: f.constant(np.full(tuple(size), given[0] if value is None else value))


RULES.update(zeros_like=_like(0.0), ones_like=_like(1.0), full_like=_like(None), empty_like=_like(0.0))
RULES.update(new_zeros=_new(0.0), new_ones=_new(1.0), new_full=_new(None), new_empty=_new(0.0))
