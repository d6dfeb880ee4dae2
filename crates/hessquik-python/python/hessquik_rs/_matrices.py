"""Determinants, solutions and factors of small matrices that depend on the point, by elimination written out.

Rows are exchanged for the largest pivot by masks, which are constant near a point, so that derivatives are exact and
digits are kept. Matrices stand in the last two axes.
"""

from __future__ import annotations

import numpy as np

from hessquik_rs import _functions as f
from hessquik_rs._var import Operand, Var, as_var, concat, constant, matmul, stack
from hessquik_rs.errors import ShapeError


def _square(v: Operand, what: str) -> Var:
    v = as_var(v)
    if v.ndim < 2 or v.shape[-1] != v.shape[-2]:
        raise ShapeError(f"{what}: shape {list(v.shape)} is not that of square matrices")
    return v


def _first_largest(v: Var) -> Var:
    """1 at the largest entry along the last axis, the first of them, and 0 elsewhere."""
    n = v.shape[-1]
    if n == 1:
        return constant(np.ones(v.shape))
    top = 1.0 - f.greater(f.largest(v), v)
    before = f.cumsum(top, v.ndim - 1)
    return top * f.greater(1.5, before)


def _eliminated(m: Var, right: Var | None) -> tuple[list[Var], Var, list[Var], list[Var]]:
    """The pivots (..,) of matrices, the sign of the exchanges, and the rows of both sides in the order of pivots."""
    pivots: list[Var] = []
    rows: list[Var] = []
    sides: list[Var] = []
    sign = constant(np.ones(m.shape[:-2]))
    n = m.shape[-1]
    for k in range(n):
        left = n - k
        chosen = _first_largest(abs(m[..., 0]))
        # the pivot's row moves up past those before it, each of which changes the sign
        places = (chosen * np.arange(left)).sum(-1)
        sign = sign * _parity(places, left)
        row = f.masked(chosen.reshape(*chosen.shape, 1), m).sum(-2)
        pivots.append(row[..., 0])
        rows.append(row)
        if right is not None:
            side = f.masked(chosen.reshape(*chosen.shape, 1), right).sum(-2)
            sides.append(side)
        if left == 1:
            break
        rest = _without(chosen)
        below = matmul(rest, m)
        factor = below[..., 0] / row[..., :1]
        m = below[..., 1:] - _outer(factor, row[..., 1:])
        if right is not None:
            right = matmul(rest, right) - _outer(factor, side)
    return pivots, sign, rows, sides


def _outer(a: Var, b: Var) -> Var:
    return a.reshape(*a.shape, 1) * b.reshape(*b.shape[:-1], 1, b.shape[-1])


def _parity(places: Var, n: int) -> Var:
    """1 for even numbers below `n`, -1 for odd ones."""
    total = constant(np.ones(places.shape))
    for i in range(1, n):
        total = total + f.greater(places, i - 0.5) * (-2.0 if i % 2 else 2.0)
    return total


def _without(chosen: Var) -> Var:
    """The matrix (.., n - 1, n) that leaves out the row where `chosen` is 1."""
    n = chosen.shape[-1]
    passed = f.cumsum(chosen, chosen.ndim - 1)[..., : n - 1]
    passed = passed.reshape(*passed.shape, 1)
    stay, go = np.eye(n)[: n - 1], np.eye(n)[1:]
    return stay * (1.0 - passed) + go * passed


def det(v: Operand) -> Var:
    """The determinants of matrices (.., n, n)."""
    v = _square(v, "det")
    if v.shape[-1] <= 3:
        return _expanded(v)
    pivots, sign, *_ = _eliminated(v, None)
    return sign * f.prod(stack(pivots), 0)


def _expanded(v: Var) -> Var:
    """By the first row: a polynomial, which singular matrices have as well."""
    n = v.shape[-1]
    if n == 1:
        return v[..., 0, 0]
    total: Var | None = None
    for j in range(n):
        rest = v[..., 1:, :].take([i for i in range(n) if i != j], v.ndim - 1)
        part = v[..., 0, j] * _expanded(rest) * (-1.0) ** j
        total = part if total is None else total + part
    assert total is not None
    return total


def slogdet(v: Operand) -> tuple[Var, Var]:
    """The sign of the determinants, and the logarithm of their absolute value."""
    v = _square(v, "slogdet")
    if v.shape[-1] <= 3:
        found = _expanded(v)
        return f.sign(found), f.log(abs(found))
    pivots, sign, *_ = _eliminated(v, None)
    together = stack(pivots)
    return sign * f.prod(f.sign(together), 0), f.log(abs(together)).sum(0)


def solve(v: Operand, right: Operand) -> Var:
    """`x` with `v x = right`, for matrices (.., n, n) and right sides (.., n, k)."""
    v, right = _square(v, "solve"), as_var(right)
    lead = np.broadcast_shapes(v.shape[:-2], right.shape[:-2])
    v, right = v.broadcast_to((*lead, *v.shape[-2:])), right.broadcast_to((*lead, *right.shape[-2:]))
    pivots, _, rows, sides = _eliminated(v, right)
    found: list[Var] = []
    for pivot, row, side in zip(reversed(pivots), reversed(rows), reversed(sides), strict=True):
        if found:  # those after it, last first
            after = stack(found[::-1], len(lead))
            side = side - matmul(row[..., None, 1:], after)[..., 0, :]
        found.append(side / pivot.reshape(*lead, 1))
    return stack(found[::-1], len(lead))


def inverse(v: Operand) -> Var:
    """The inverses of matrices (.., n, n)."""
    v = _square(v, "inverse")
    return solve(v, np.eye(v.shape[-1]))


def solve_triangular(v: Operand, right: Operand, lower: bool, unit: bool = False) -> Var:
    """`x` with `v x = right` for triangular matrices (.., n, n); what is beyond the diagonal is not read."""
    v, right = _square(v, "solve_triangular"), as_var(right)
    lead = np.broadcast_shapes(v.shape[:-2], right.shape[:-2])
    v, right = v.broadcast_to((*lead, *v.shape[-2:])), right.broadcast_to((*lead, *right.shape[-2:]))
    n = v.shape[-1]
    found: list[Var] = []
    for i in range(n) if lower else reversed(range(n)):
        side = right[..., i, :]
        if found:
            known = stack(found if lower else found[::-1], len(lead))
            row = v[..., i : i + 1, :i] if lower else v[..., i : i + 1, i + 1 :]
            side = side - matmul(row, known)[..., 0, :]
        found.append(side if unit else side / v[..., i, i].reshape(*lead, 1))
    return stack(found if lower else found[::-1], len(lead))


def cholesky(v: Operand) -> Var:
    """The lower triangular `L` with `L L' = v`, of symmetric positive matrices (.., n, n)."""
    v = _square(v, "cholesky")
    n, lead = v.shape[-1], v.shape[:-2]
    columns: list[Var] = []
    for j in range(n):
        column = v[..., j:, j]
        for i, earlier in enumerate(columns):
            column = column - earlier[..., j - i :] * earlier[..., j - i : j - i + 1]
        columns.append(column * column[..., :1].act({"type": "power", "p": -0.5}))
    zeros = [[constant(np.zeros((*lead, j)))] if j else [] for j in range(n)]
    return stack([concat([*z, c], len(lead)) for z, c in zip(zeros, columns, strict=True)], len(lead) + 1)
