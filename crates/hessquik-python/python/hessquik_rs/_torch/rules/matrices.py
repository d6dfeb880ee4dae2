"""Determinants, solutions and factors of matrices, and products of many."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _matrices as matrices
from ... import var as f
from ..._var import Operand, Var, as_var
from .table import RULES, Refused, rule

RULES["_linalg_det"] = lambda v: (matrices.det(v), None, None)
RULES["det"] = RULES["linalg_det"] = matrices.det
RULES["linalg_slogdet"] = RULES["slogdet"] = matrices.slogdet
RULES["_linalg_slogdet"] = lambda v: (*matrices.slogdet(v), None, None)


@rule("logdet")
def _logdet(v: Operand) -> Var:
    return matrices.slogdet(v)[1]


@rule("_linalg_solve_ex", "linalg_solve_ex")
def _solve(v: Operand, right: Operand, *, left: bool = True, **_: Any) -> tuple[Any, ...]:
    v, right = as_var(v), as_var(right)
    if not left:
        raise Refused("solve is supported with left=True only")
    vectors = right.ndim == 1 or (right.ndim == v.ndim - 1 and right.shape == v.shape[:-1])
    found = matrices.solve(v, right.reshape(*right.shape, 1) if vectors else right)
    return (found[..., 0] if vectors else found), None, None, None


@rule("linalg_solve_triangular")
def _solve_triangular(
    v: Operand, right: Operand, *, upper: bool, left: bool = True, unitriangular: bool = False, **_: Any
) -> Var:
    if left:
        return matrices.solve_triangular(v, right, not upper, unitriangular)
    turned = matrices.solve_triangular(as_var(v).swapaxes(-1, -2), as_var(right).swapaxes(-1, -2), upper, unitriangular)
    return turned.swapaxes(-1, -2)


@rule("linalg_cholesky", "cholesky")
def _cholesky(v: Operand, upper: bool = False, **given: Any) -> Var:
    found = matrices.cholesky(v)
    return found.swapaxes(-1, -2) if given.get("upper", upper) else found


@rule("linalg_cholesky_ex")
def _cholesky_ex(v: Operand, **given: Any) -> tuple[Var, None]:
    found: Var = _cholesky(v, **given)
    return found, None


@rule("cholesky_solve")
def _cholesky_solve(right: Operand, factor: Operand, upper: bool = False) -> Var:
    lower = as_var(factor).swapaxes(-1, -2) if upper else as_var(factor)
    inner = matrices.solve_triangular(lower, right, True)
    return matrices.solve_triangular(lower.swapaxes(-1, -2), inner, False)


@rule("diag_embed")
def _diag_embed(v: Operand, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Var:
    v = as_var(v)
    n = v.shape[-1] + abs(offset)
    shape = (*v.shape[:-1], n, n)
    places = np.diagonal(np.arange(int(np.prod(shape))).reshape(shape), offset, -2, -1)
    out = f.scatter_add(shape, places, v)
    first, second = dim1 % len(shape), dim2 % len(shape)
    order = [i for i in range(len(shape)) if i not in (first, second)]
    return out.permute(*np.argsort([*order, first, second]).tolist())


@rule("linalg_cross")
def _cross(a: Operand, b: Operand, *, dim: int = -1) -> Var:
    a, b = as_var(a), as_var(b)
    rank = max(a.ndim, b.ndim)
    a, b = (v.broadcast_to(np.broadcast_shapes(a.shape, b.shape)) for v in (a, b))
    one, two = [1, 2, 0], [2, 0, 1]
    axis = dim % rank
    return a.take(one, axis) * b.take(two, axis) - a.take(two, axis) * b.take(one, axis)
