"""All derivatives as one sum over the pointwise sites, in torch operations: every device, differentiable again.

A_i = T_{i-1} M_i            T_i = T_{i-1} S_i + (A_i . act'(z_i)) W_i                     T_0 = V
E_i = G_i W_i^T              G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T                  G_l = U^T
C_i = E_i . act''(z_i)

gradient V f' U = T_l U      Hessian[:, :, r] = sum_i A_i diag(C_i[r]) A_i^T
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .form import Form, add, adjoint, times
from .native import GRADIENT, HESSIAN, LAPLACIAN, VALUE


class Plan(NamedTuple):
    """Forward mode through the first `prefix` layers, then sites, with tangents restarted before each pivot."""

    prefix: int = 0
    pivots: tuple[int, ...] = ()


def jet(
    forms: Sequence[Form],
    u: Tensor,
    order: int,
    *,
    T: Tensor | None = None,
    H: Tensor | None = None,
    G: Tensor | None = None,
    K: Tensor | None = None,
    trace: bool = False,
    plan: Plan = Plan(),  # noqa: B008 (immutable)
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Value, first and second derivatives of `g(layers(u(x)))` at `u` (n_s, n).

    - **order** 0, 1 or 2: the highest derivative wanted
    - **T** (n_s or 1, k, n) and **H** (n_s, k, k, n): first and second derivatives of `u`, along k directions of `x`;
      unless given, `x` is `u`
    - **G** (n_s or 1, q, n') and **K** (n_s, n', n', q): first and second derivatives of `g`, for q outputs; unless
      given, `g` is the identity
    - **trace** the trace (n_s, 1, q) in place of the Hessian (n_s, k, k, q); **H** is then a trace (n_s, 1, n) as well

    Returns the value of the layers (n_s, n'), the gradient (n_s, k, q) and the Hessian or its trace.
    """
    first, sites = u, []
    for f in forms:
        s = f.site(u, order)
        u = f.next(u, s[0])
        sites.append(s)
    if order == 0:
        return u, None, None

    depth = len(forms)
    prefix, pivots = plan
    T = identity(first) if T is None else T
    curvatures: list[Tensor | None] = [None] * depth
    if prefix < depth or G is not None or K is not None:
        G = identity(u) if G is None else G
    for i in reversed(range(prefix, depth)):
        f, (_, s1, s2) = forms[i], sites[i]
        assert G is not None
        E = adjoint(G, f.W)
        curvatures[i] = scaled(E, s2) if s2 is not None and isinstance(E, Tensor) else None
        G = add(adjoint(G, f.S), scaled(E, s1) @ f.M.mT if isinstance(E, Tensor) else 0.0)

    for f, (_, s1, s2) in zip(forms[:prefix], sites[:prefix], strict=True):  # the Hessian carried forward
        A = T @ f.M
        if order == 2 and (H is not None or s2 is not None):
            h = None if H is None else over(H @ f.M, s1)
            if s2 is not None:
                C = scaled(A, s2)  # first, since A . A may overflow where A . A . act'' does not
                own = (A * C).sum(1, keepdim=True) if trace else C.unsqueeze(1) * A.unsqueeze(2)
                h = own if h is None else h + own
            carried = 0.0 if H is None else times(H, f.S)
            H = add(carried, times(h, f.W)) if h is not None else None
        T = add(times(T, f.S), times(scaled(A, s1), f.W))

    samples = u.shape[0]
    gradient = T if G is None else T @ G.mT
    gradient = gradient.expand(samples, -1, -1)
    if order == 1:
        return u, gradient, None

    if H is not None and G is not None:
        H = H @ (G.mT if trace else G.mT.unsqueeze(1))
    cuts = [prefix, *pivots, depth] if prefix < depth else [depth]
    for j in reversed(range(len(cuts) - 1)):  # the Hessian after the cut is lifted back to the one before
        head = j == 0
        R = T if head else identity(first.new_empty(0, forms[cuts[j]].M.shape[0]))
        total: Tensor | None = None
        for i in range(cuts[j], cuts[j + 1]):
            f, s1 = forms[i], sites[i][1]
            curvature = curvatures[i]
            A = R @ f.M
            if curvature is not None:
                site = gram(A, curvature, trace and head)
                total = site if total is None else total + site
            if i + 1 < depth or K is not None:
                R = add(times(R, f.S), times(scaled(A, s1), f.W))
        if K is not None:
            lifted = lift(R, K, trace and head)
            total = lifted if total is None else total + lifted
        K = total
    if prefix == depth and K is not None:
        K = lift(T, K, trace)
    if H is None and K is None:
        k, q = gradient.shape[1:]
        return u, gradient, u.new_zeros((samples, 1, q) if trace else (samples, k, k, q))
    second = add(0.0 if H is None else H, 0.0 if K is None else K)
    return u, gradient, second.expand(samples, *second.shape[1:])


def derivatives(
    forms: Sequence[Form], x: Tensor, results: int, v: Tensor | None, outputs: bool, plan: Plan
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Value, gradient, and Hessian or Laplacian, as `results` says, along directions `v` of the input or the output."""
    T = G = None
    if v is not None:
        T, G = (None, v.mT.unsqueeze(0)) if outputs else (v.unsqueeze(0), None)
    order = 2 if results & (HESSIAN | LAPLACIAN) else 1 if results & GRADIENT else 0
    value, gradient, second = jet(forms, x, order, T=T, G=G, trace=bool(results & LAPLACIAN), plan=plan)
    return value if results & VALUE else None, gradient if results & GRADIENT else None, second


def identity(u: Tensor) -> Tensor:
    """The identity (1, n, n) for states `u` (n_s, n)."""
    return torch.eye(u.shape[1], dtype=u.dtype, device=u.device).unsqueeze(0)


def scaled(A: Tensor, s: Tensor | None) -> Tensor:
    """`A . s` for rows A (n_s, k, p) and one s (n_s, p) per sample."""
    return A if s is None else A * s.unsqueeze(1)


def over(rows: Tensor, s: Tensor | None) -> Tensor:
    """`rows . s` for rows (n_s, ..., p) of any number of axes and one s (n_s, p) per sample."""
    return rows if s is None else rows * s.view(s.shape[0], *[1] * (rows.dim() - 2), s.shape[1])


def gram(A: Tensor, C: Tensor, trace: bool) -> Tensor:
    """`A diag(C_r) A^T` (n_s, k, k, q) of one site, or its trace (n_s, 1, q): A (n_s, k, p), C (n_s, q, p)."""
    if trace:
        return ((A * A).sum(1, keepdim=True) * C).sum(-1).unsqueeze(1)
    return ((A.unsqueeze(1) * C.unsqueeze(2)) @ A.mT.unsqueeze(1)).permute(0, 2, 3, 1)


def lift(T: Tensor, K: Tensor, trace: bool) -> Tensor:
    """`T K_r T^T` (n_s, k, k, q), or its trace (n_s, 1, q): T (n_s, k, n), K (n_s, n, n, q)."""
    TK = T.unsqueeze(1) @ K.permute(0, 3, 1, 2)
    if trace:
        return (TK * T.unsqueeze(1)).sum((-1, -2)).unsqueeze(1)
    return (TK @ T.mT.unsqueeze(1)).permute(0, 2, 3, 1)
