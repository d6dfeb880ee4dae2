"""The order of entries, and entries at places that vary with the point."""

from __future__ import annotations

from typing import Any

from ... import _order as order
from ..._var import Operand, Var, as_var
from .table import RULES, rule

RULES["sort"] = lambda v, dim=-1, descending=False, **named: order.ordered(
    v, named.get("dim", dim), named.get("descending", descending)
)
RULES["argsort"] = lambda v, dim=-1, descending=False, **_: order.ordered(v, dim, descending)[1]


@rule("topk")
def _topk(v: Operand, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Var, Var]:
    return order.ordered(v, dim, largest, k)


def _one(found: tuple[Var, Var], dim: int, keepdim: bool) -> tuple[Var, Var]:
    values, places = found
    return (values, places) if keepdim or values.ndim == 0 else (values.take(0, dim), places.take(0, dim))


def _nth(v: Operand, place: int, dim: int, keepdim: bool) -> tuple[Var, Var]:
    axis = dim % max(as_var(v).ndim, 1)
    values, places = order.ordered(v, axis, False, place + 1)
    return _one((values.take([place], axis), places.take([place], axis)), axis, keepdim)


@rule("kthvalue")
def _kthvalue(v: Operand, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Var, Var]:
    return _nth(v, k - 1, dim, keepdim)


@rule("median", "nanmedian")
def _median(v: Operand, dim: int | None = None, keepdim: bool = False) -> Any:
    v = as_var(v)
    if dim is None:
        return _nth(v.flatten(), (v.size - 1) // 2, 0, False)[0]
    return _nth(v, (v.shape[dim] - 1) // 2, dim, keepdim)


def _argument(v: Operand, dim: int | None, keepdim: bool) -> Var:
    v = as_var(v)
    found = order.place_of_largest(v, dim)
    if not keepdim:
        return found
    return found.reshape(*(1 if dim is None or i == dim % v.ndim else n for i, n in enumerate(v.shape)))


RULES["argmax"] = lambda v, dim=None, keepdim=False: _argument(v, dim, keepdim)
RULES["argmin"] = lambda v, dim=None, keepdim=False: _argument(-as_var(v), dim, keepdim)


@rule("searchsorted", "bucketize")
def _searchsorted(*given: Any, right: bool = False, **_: Any) -> Var:
    """How many of the sorted numbers come before each entry; `bucketize` has its operands the other way round."""
    bounds, v = as_var(given[0]), as_var(given[1])
    return count_before(bounds, v, right)


def count_before(bounds: Var, v: Var, right: bool) -> Var:
    """How many sorted bounds, in the last axis, are below the entries; with `right`, those that are equal as well."""
    from ... import var as f

    entry = v.reshape(*v.shape, 1)
    row = bounds if bounds.ndim == 1 else bounds.reshape(*bounds.shape[:-1], 1, bounds.shape[-1])
    below = 1.0 - f.greater(row, entry) if right else f.greater(entry, row)
    return below.sum(-1)
