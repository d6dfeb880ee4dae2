"""Products of variables along named axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hessquik_rs import _nodes as nodes
from hessquik_rs._var import Operand, Shape, Var, as_var
from hessquik_rs.errors import ShapeError


def dot_general(
    a: Operand, b: Operand, contract: tuple[Sequence[int], Sequence[int]], batch: tuple[Sequence[int], Sequence[int]]
) -> Var:
    """The sum over the axes `contract` of `a` and `b` for each place of the axes `batch` of both.

    The axes of the result are those of `batch`, then the other ones of `a`, then those of `b`.
    """
    a, b = as_var(a), as_var(b)
    (ca, cb), (ba, bb) = [[list(axes) for axes in pair] for pair in (contract, batch)]
    fa = [i for i in range(a.ndim) if i not in (*ca, *ba)]
    fb = [i for i in range(b.ndim) if i not in (*cb, *bb)]
    lengths = [[v.shape[i] for i in axes] for v, axes in ((a, ca), (b, cb), (a, ba), (b, bb))]
    if lengths[0] != lengths[1] or lengths[2] != lengths[3]:
        raise ShapeError(f"dot_general: shapes {list(a.shape)} and {list(b.shape)} do not fit for {contract}, {batch}")
    shape = [a.shape[i] for i in (*ba, *fa)] + [b.shape[i] for i in fb]
    g, s = math.prod(lengths[2]), math.prod(lengths[0])
    r, t = math.prod(a.shape[i] for i in fa), math.prod(b.shape[i] for i in fb)
    left = a.permute(*ba, *fa, *ca)
    if s == r == t == 1:
        right = b.permute(*bb, *fb, *cb)
        return Var(nodes.times(left.node, right.node), shape)
    # the second factor as it is stored, if it is one of the two forms
    transposed = _moves((*bb, *fb, *cb), b.shape) and not _moves((*bb, *cb, *fb), b.shape) and t > 1
    right = b.permute(*bb, *fb, *cb) if transposed else b.permute(*bb, *cb, *fb)
    dims = (g, r, t, s) if transposed else (g, r, s, t)
    return Var(nodes.product(left.node, right.node, dims, transposed), shape)


def _moves(order: Sequence[int], shape: Shape) -> bool:
    """Whether axes longer than 1 stay in their order."""
    long = [i for i in order if shape[i] > 1]
    return long == sorted(long)


def einsum(subscripts: str, *operands: Operand) -> Var:
    """As numpy's, with letters and `...`, for any number of operands, two after two from the left."""
    variables = [as_var(o) for o in operands]
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(variables):
        raise ShapeError(f"einsum: {subscripts!r} is for {len(inputs)} operands, not {len(variables)}")
    inputs, dots = _without_dots(inputs, [v.ndim for v in variables], subscripts)
    if arrow:
        out = out.replace("...", dots)
    else:
        letters = "".join(inputs)
        out = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    terms = [_diagonal(v, names, subscripts) for v, names in zip(variables, inputs, strict=True)]
    # a letter of length 1 in one operand and longer in another broadcasts
    long = {c: max(v.shape[n.index(c)] for v, n in terms if c in n) for _, names in terms for c in names}
    if missing := set(out) - set(long):
        raise ShapeError(f"einsum: {subscripts!r} has {sorted(missing)} only behind the arrow")
    terms = [(v.broadcast_to([long[c] for c in names]), names) for v, names in terms]
    while len(terms) > 1:
        (a, na), (b, nb), *rest = terms
        wanted = set(out).union(*(names for _, names in rest))
        # letters of one operand alone that nothing needs are summed first
        a, na = _summed(a, na, wanted | set(nb))
        b, nb = _summed(b, nb, wanted | set(na))
        shared = [c for c in na if c in nb]
        both, gone = [c for c in shared if c in wanted], [c for c in shared if c not in wanted]
        pairs = [([na.index(c) for c in letters], [nb.index(c) for c in letters]) for letters in (gone, both)]
        c = dot_general(a, b, pairs[0], pairs[1])
        names = "".join(both) + "".join(x for x in na if x not in nb) + "".join(x for x in nb if x not in na)
        terms = [(c, names), *rest]
    result, names = _summed(*terms[0], set(out))
    return result.permute([names.index(c) for c in out])


def _without_dots(inputs: list[str], axes: list[int], subscripts: str) -> tuple[list[str], str]:
    """The subscripts of operands with letters in the place of `...`, and these letters."""
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in subscripts]
    counts = [n - len(names.replace("...", "")) for names, n in zip(inputs, axes, strict=True)]
    if any(count < 0 or (count and "..." not in names) for names, count in zip(inputs, counts, strict=True)):
        raise ShapeError(f"einsum: {subscripts!r} is not for operands of {axes} axes")
    longest = max((count for names, count in zip(inputs, counts, strict=True) if "..." in names), default=0)
    dots = "".join(spare[:longest])
    return [
        names.replace("...", dots[longest - count :]) if "..." in names else names
        for names, count in zip(inputs, counts, strict=True)
    ], dots


def _diagonal(v: Var, names: str, subscripts: str) -> tuple[Var, str]:
    """A letter that stands twice in one operand stands for its diagonal."""
    letters = "".join(dict.fromkeys(names))
    if letters == names:
        return v, names
    places = v._places()
    try:
        return v._picked(np.einsum(places, [letters.index(c) for c in names], list(range(len(letters))))), letters
    except ValueError:
        raise ShapeError(f"einsum: {subscripts!r} does not fit shape {list(v.shape)}") from None


def _summed(v: Var, names: str, wanted: set[str]) -> tuple[Var, str]:
    gone = [i for i, c in enumerate(names) if c not in wanted]
    return (v.sum(gone), "".join(c for c in names if c in wanted)) if gone else (v, names)
