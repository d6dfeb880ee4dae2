"""Checks of derivatives along directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def directional_derivative_check(
    f: Callable[..., Any], x: Tensor, k: int = 3, tol: float = 1e-8, verbose: bool = False
) -> tuple[bool, bool, bool, bool]:
    """Compares derivatives along `k` random directions with the full ones.

    - **f** a network or layer
    - **x** points (n_s, d)
    - **k** number of directions of the input, and of the output
    - **tol** bound on the errors
    - **verbose** whether to print the errors

    Returns whether gradient and Hessian pass along directions of the input, then of the output.

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils import directional_derivative_check
    >>> f = net.resnetNN(4, 3, dtype=torch.float64)
    >>> directional_derivative_check(f, torch.randn(10, 4, dtype=torch.float64))
    (True, True, True, True)
    """
    f0, df0, d2f0 = f(x, do_gradient=True, do_Hessian=True)
    d, m = x.shape[1], f0.shape[1]

    v = torch.randn(k, d, dtype=x.dtype, device=x.device)
    _, dfv, d2fv = f(x, do_gradient=True, do_Hessian=True, v=v, forward_mode=True)
    forward = report("FORWARD MODE", "hess", "Hessian", v @ df0 - dfv, along(v, d2f0) - d2fv, tol, verbose)

    v = torch.randn(m, k, dtype=x.dtype, device=x.device)
    _, dfv, d2fv = f(x, do_gradient=True, do_Hessian=True, v=v, forward_mode=False)
    backward = report("BACKWARD MODE", "hess", "Hessian", df0 @ v - dfv, d2f0 @ v - d2fv, tol, verbose)
    return forward + backward


def directional_derivative_laplacian_check(
    f: Callable[..., Any], x: Tensor, k: int = 3, tol: float = 1e-8, verbose: bool = False
) -> tuple[bool, bool]:
    """Compares gradient and Laplacian along `k` random directions with the full gradient and Hessian.

    Arguments as in `directional_derivative_check`. Returns whether gradient and Laplacian pass.

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils import directional_derivative_laplacian_check
    >>> f = net.resnetNN(4, 3, dtype=torch.float64)
    >>> directional_derivative_laplacian_check(f, torch.randn(10, 4, dtype=torch.float64))
    (True, True)
    """
    _, df0, d2f0 = f(x, do_gradient=True, do_Hessian=True)
    v = torch.randn(k, x.shape[1], dtype=x.dtype, device=x.device)
    # directions of the input are those of forward mode
    _, dfv, lapfv = f(x, do_gradient=True, do_Laplacian=True, do_Hessian=False, v=v)
    laplacian = along(v, d2f0).diagonal(dim1=1, dim2=2).sum(-1).unsqueeze(1)
    return report("FORWARD MODE", "lap", "Laplacian", v @ df0 - dfv, laplacian - lapfv, tol, verbose)


def along(v: Tensor, hessian: Tensor) -> Tensor:
    """`v H_r v^T` (n_s, k, k, m): v (k, d), H (n_s, d, d, m)."""
    return (v @ hessian.permute(0, 3, 1, 2) @ v.mT).permute(0, 2, 3, 1)


def report(
    mode: str, short: str, name: str, gradient: Tensor, second: Tensor, tol: float, verbose: bool
) -> tuple[bool, bool]:
    """Whether both errors are small, with hessQuik's lines."""
    errors = torch.norm(gradient).item(), torch.norm(second).item()
    passed = errors[0] < tol, errors[1] < tol
    if verbose:
        print(f"{mode}: grad = {errors[0]:0.4e}\t {short} = {errors[1]:0.4e}")
        for what, good in zip(("Gradient", name), passed, strict=True):
            print(f"\t {what} PASSED!" if good else f"\t {what} FAILED.")
    return passed
