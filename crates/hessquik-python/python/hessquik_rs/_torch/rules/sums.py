"""Sums and other operations along axes."""

from __future__ import annotations

from typing import Any

from ... import var as f
from ..._order import logcumsumexp, place_of_largest
from ..._var import Operand, Var, as_var
from .shapes import split
from .table import Refused, rule


def _dims(dim: Any) -> Any:
    return (
        None
        if dim is None or (not isinstance(dim, int) and len(dim) == 0)
        else dim
        if isinstance(dim, int)
        else list(dim)
    )


@rule("sum")
def _sum(v: Operand, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Var:
    return as_var(v).sum(_dims(dim), keepdim)


@rule("mean")
def _mean(v: Operand, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Var:
    return as_var(v).mean(_dims(dim), keepdim)


@rule("var")
def _var(v: Operand, dim: Any = None, correction: float = 1.0, keepdim: bool = False) -> Var:
    return as_var(v).var(_dims(dim), keepdim, int(correction))


@rule("std")
def _std(v: Operand, dim: Any = None, correction: float = 1.0, keepdim: bool = False) -> Var:
    return f.sqrt(_var(v, dim, correction, keepdim))


@rule("var_mean")
def _var_mean(v: Operand, dim: Any = None, correction: float = 1.0, keepdim: bool = False) -> tuple[Var, Var]:
    return _var(v, dim, correction, keepdim), _mean(v, dim, keepdim)


@rule("prod")
def _prod(v: Operand, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Var:
    return f.prod(v, _dims(dim), keepdim)


@rule("cumsum")
def _cumsum(v: Operand, dim: int, dtype: Any = None) -> Var:
    return f.cumsum(v, dim)


@rule("cumprod")
def _cumprod(v: Operand, dim: int, dtype: Any = None) -> Var:
    v = as_var(v)
    parts, last = [], None
    for part in split(v, 1, dim):
        last = part if last is None else last * part
        parts.append(last)
    return f.concat(parts, dim)


@rule("amax")
def _amax(v: Operand, dim: Any = (), keepdim: bool = False) -> Var:
    return f.amax(v, _dims(dim), keepdim)


@rule("amin")
def _amin(v: Operand, dim: Any = (), keepdim: bool = False) -> Var:
    return -f.amax(-as_var(v), _dims(dim), keepdim)


def _with_place(v: Var, sign: float, dim: int, keepdim: bool = False) -> tuple[Var, Var]:
    """The largest entry of `v` along an axis, times `sign`, and its place."""
    place = place_of_largest(v, dim)
    if keepdim and v.ndim:
        place = place.reshape(*(1 if i == dim % v.ndim else n for i, n in enumerate(v.shape)))
    return f.amax(v, dim, keepdim) * sign, place


@rule("cummax", "cummin")
def _refused_places(*_: Any) -> Any:
    raise Refused("of cumulative results, sums, products and logcumsumexp are taken")


@rule("logcumsumexp")
def _logcumsumexp(v: Operand, dim: int) -> Var:
    return logcumsumexp(v, dim)


@rule("max")
def _max(v: Operand, *given: Any, **named: Any) -> Any:
    if given and isinstance(given[0], Var):
        return f.maximum(v, given[0])
    if not given and not named:
        return _amax(v)
    return _with_place(as_var(v), 1.0, *given, **named)


@rule("min")
def _min(v: Operand, *given: Any, **named: Any) -> Any:
    if given and isinstance(given[0], Var):
        return f.minimum(v, given[0])
    if not given and not named:
        return _amin(v)
    return _with_place(-as_var(v), -1.0, *given, **named)


@rule("linalg_vector_norm")
def _vector_norm(v: Operand, ord: float = 2.0, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Var:
    return f.vector_norm(v, float(ord), _dims(dim), keepdim)


@rule("norm")
def _norm(v: Operand, p: float | None = 2.0, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Var:
    return f.vector_norm(v, 2.0 if p is None else float(p), _dims(dim), keepdim)


@rule("logsumexp")
def _logsumexp(v: Operand, dim: Any, keepdim: bool = False) -> Var:
    return f.logsumexp(v, _dims(dim), keepdim)


@rule("_softmax", "softmax", "_safe_softmax")
def _softmax(v: Operand, dim: int = -1, *_: Any, **__: Any) -> Var:
    return f.softmax(v, dim)


@rule("_log_softmax", "log_softmax")
def _log_softmax(v: Operand, dim: int = -1, *_: Any, **__: Any) -> Var:
    return f.log_softmax(v, dim)
