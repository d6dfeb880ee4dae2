"""Factors and solutions of matrices; determinants are known by the names of JAX's functions."""

from __future__ import annotations

from typing import Any

from hessquik_rs import _matrices as matrices
from hessquik_rs._jax.rules.table import Refused, rule
from hessquik_rs._var import Var


@rule("cholesky")
def _cholesky(v: Var, **_: Any) -> Var:
    return matrices.cholesky(v)


@rule("triangular_solve")
def _triangular_solve(
    v: Var, right: Var, left_side: bool, lower: bool, transpose_a: bool, unit_diagonal: bool, **_: Any
) -> Var:
    v, lower = (v.swapaxes(-1, -2), not lower) if transpose_a else (v, lower)
    if left_side:
        return matrices.solve_triangular(v, right, lower, unit_diagonal)
    turned = matrices.solve_triangular(v.swapaxes(-1, -2), right.swapaxes(-1, -2), not lower, unit_diagonal)
    return turned.swapaxes(-1, -2)


@rule("lu", "lu_pivots_to_permutation", "householder_product", "geqrf", "qr", "eigh", "svd", "eig", "schur")
def _factors(*_: Any, **__: Any) -> Any:
    raise Refused("of factors of matrices, Cholesky's alone are taken, and jnp.linalg.det, slogdet, solve and inv")
