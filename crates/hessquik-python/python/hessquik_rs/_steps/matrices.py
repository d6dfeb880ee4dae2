"""Steps that are products of matrices."""

from __future__ import annotations

from .ops import Array, Ops


def product(ops: Ops, place: str, a: Array, b: Array, dims: list[int]) -> Array:
    """`Y = A B` of each sample and row, or what is missing of it: features of the missing place.

    Y is (r, t), A is (r, s) and B is (s, t), `g` of each side by side. An operand of one row or sample meets all.
    """
    g, r, s, t = dims

    def matrices(x: Array, m: int, n: int) -> Array:
        return x.reshape(*x.shape[:2], g, m, n)

    match place:
        case "Y":
            left, right = matrices(a, r, s), matrices(b, s, t)
        case "A":
            left, right = matrices(a, r, t), matrices(b, s, t).swapaxes(-1, -2)
        case _:
            left, right = matrices(a, r, s).swapaxes(-1, -2), matrices(b, r, t)
    y = _times(ops, left, right)
    return y.reshape(*y.shape[:2], g * y.shape[3] * y.shape[4])


def _times(ops: Ops, left: Array, right: Array) -> Array:
    """Products of (samples, rows, g, m, k) and (samples, rows, g, k, n)."""
    samples, rows, g, m, k = left.shape
    n = right.shape[-1]
    alone = right.shape[:3] == (1, 1, 1)
    if left.shape[:3] == (1, 1, 1) and not alone:
        return _times(ops, right.swapaxes(-1, -2), left.swapaxes(-1, -2)).swapaxes(-1, -2)
    if alone:  # one product of a tall matrix
        tall = left.reshape(samples * rows * m, k)
        return ops.matmul(tall, right.reshape(k, n)).reshape(samples, rows, g, m, n)
    if k == 1:
        return left * right
    return ops.matmul(left, right)


def _each(ops: Ops, x: Array, y: Array) -> Array:
    """`X Y` for each sample, either of which may have one sample for all."""
    if y.shape[0] == 1:
        samples, rows, n = x.shape
        return ops.matmul(x.reshape(samples * rows, n), y[0]).reshape(samples, rows, y.shape[2])
    if x.shape[0] == 1:
        return _each(ops, y.swapaxes(1, 2), x.swapaxes(1, 2)).swapaxes(1, 2)
    return ops.matmul(x, y)


def _table(x: Array, columns: int) -> Array:
    """The features of one row as a table with so many columns."""
    return x.reshape(x.shape[0], x.shape[2] // columns, columns)


def dot(ops: Ops, place: str, a: Array, b: Array) -> Array:
    """`d[r, e] = sum_i g[i, r] t[i, e]`, or what is missing of it."""
    if place == "D":
        met = _each(ops, a, b.swapaxes(1, 2))
        return met.reshape(met.shape[0], 1, met.shape[1] * met.shape[2])
    if place == "G":
        return _each(ops, _table(a, b.shape[1]), b)
    return _each(ops, _table(a, a.shape[2] // b.shape[1]).swapaxes(1, 2), b)


def gram(ops: Ops, place: str, operands: tuple[Array, Array, Array], c: float, same: bool) -> Array:
    """`h[r, a, b] = c/2 sum_i C[i, r] (s[i, a] t[i, b] + t[i, a] s[i, b])`, or what is missing of it.

    `same` says that both tangents are one buffer.
    """
    x, y, t = operands
    k = t.shape[1]
    if place == "H":
        weighted = y[:, None] * x[:, :, None]
        samples, q, _, n = weighted.shape
        half = _each(ops, weighted.reshape(samples, q * k, n), t.swapaxes(1, 2))
        samples = half.shape[0]
        if same:
            return (c * half).reshape(samples, 1, q * k * k)
        half = half.reshape(samples, q, k, k)
        return (0.5 * c * (half + half.swapaxes(2, 3))).reshape(samples, 1, q * k * k)
    if place == "C":
        h = _table(x, k)

        def once(s: Array, t: Array) -> Array:
            """`sum_ab h[r, a, b] s[i, a] t[i, b]`."""
            through = _each(ops, h, t)
            samples, both, n = through.shape
            return (through.reshape(samples, both // k, k, n) * s[:, None]).sum(2)

        return c * once(y, t) if same else 0.5 * c * (once(y, t) + once(t, y))
    samples, q = x.shape[0], y.shape[1]
    h = x.reshape(samples, q, k, k)
    through = _each(ops, (h + h.swapaxes(2, 3)).reshape(samples, q * k, k), t)
    met = through.reshape(through.shape[0], q, k, through.shape[2]) * y[:, :, None]
    return 0.5 * c * met.sum(1)
