"""What depends on the order of entries, or on an index that varies: by masks that are constant near a point."""

from __future__ import annotations

import numpy as np

from hessquik_rs import _functions as f
from hessquik_rs._var import Operand, Var, as_var, concat, constant
from hessquik_rs.errors import ShapeError


def ranks(v: Operand, descending: bool = False) -> Var:
    """The place of each entry of the last axis in the order of size; of equal ones, the first comes first."""
    v = as_var(v)
    n = v.shape[-1]
    a, b = v.reshape(*v.shape, 1), v.reshape(*v.shape[:-1], 1, n)
    before = f.greater(b, a) if descending else f.greater(a, b)
    equal = 1.0 - f.greater(a, b) - f.greater(b, a)
    return (before + equal * np.tri(n, k=-1)).sum(-1)


def one_hot(index: Operand, n: int) -> Var:
    """1 at the entry of a new last axis whose number `index` is, and 0 elsewhere."""
    index = as_var(index)
    index = index.reshape(*index.shape, 1)
    numbers = np.arange(n)
    return f.greater(index, numbers - 0.5) * f.greater(numbers + 0.5, index)


def ordered(v: Operand, axis: int = -1, descending: bool = False, count: int | None = None) -> tuple[Var, Var]:
    """The first `count` entries along an axis in the order of size, and the places that they come from."""
    v = as_var(v)
    if v.ndim == 0:
        return v, constant(0.0)
    axis %= v.ndim
    v = v.swapaxes(axis, v.ndim - 1)
    n = v.shape[-1]
    count = n if count is None else count
    chosen = one_hot(ranks(v, descending), n)[..., :count].swapaxes(-1, -2)  # (.., count, n)
    values = f.masked(chosen, v.reshape(*v.shape[:-1], 1, n)).sum(-1)
    places = (chosen * np.arange(n)).sum(-1)
    return values.swapaxes(axis, v.ndim - 1), places.swapaxes(axis, v.ndim - 1)


def place_of_largest(v: Operand, axis: int | None) -> Var:
    """The place of the largest entry along an axis, which is gone; of equal ones, the first."""
    v = as_var(v)
    v, axis = (v.flatten(), 0) if axis is None else (v, axis % max(v.ndim, 1))
    return ordered(v, axis, True, 1)[1].take(0, axis)


def entries_at(v: Operand, index: Operand, axis: int) -> Var:
    """The entries along an axis at an index of any shape that varies, in the place of that axis."""
    v, index = as_var(v), as_var(index)
    axis %= v.ndim
    lead, n, rest = v.shape[:axis], v.shape[axis], v.shape[axis + 1 :]
    chosen = one_hot(index.flatten(), n)  # (k, n)
    table = v.permute(axis, *(i for i in range(v.ndim) if i != axis)).reshape(n, -1)
    found = f.masked(chosen.reshape(*chosen.shape, 1), table).sum(-2)  # (k, the others)
    found = found.reshape(*index.shape, *lead, *rest)
    k = index.ndim
    order = [*range(k, k + len(lead)), *range(k), *range(k + len(lead), found.ndim)]
    return found.permute(*order) if found.ndim else found


def along(v: Operand, index: Operand, axis: int) -> Var:
    """The entry along an axis for each entry of an index that varies, like `torch.gather`."""
    v, index = as_var(v), as_var(index)
    axis %= v.ndim
    if v.ndim != index.ndim:
        raise ShapeError(f"gather: an index of shape {list(index.shape)} for entries of shape {list(v.shape)}")
    v = v[tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index.shape))]
    last = v.ndim - 1
    v, index = v.swapaxes(axis, last), index.swapaxes(axis, last)
    chosen = one_hot(index, v.shape[-1])
    found = f.masked(chosen, v.reshape(*v.shape[:-1], 1, v.shape[-1])).sum(-1)
    return found.swapaxes(axis, last)


def logcumsumexp(v: Operand, axis: int) -> Var:
    """The logarithm of the cumulative sums of exponentials along an axis."""
    v = as_var(v)
    if v.size == 0 or v.ndim == 0:
        return v
    axis %= v.ndim
    # from the largest of each sum, since exponentials less the largest of all may be 0
    upto = [tuple([slice(None)] * axis + [slice(i + 1)]) for i in range(v.shape[axis])]
    return concat([f.logsumexp(v[first], axis, True) for first in upto], axis)
