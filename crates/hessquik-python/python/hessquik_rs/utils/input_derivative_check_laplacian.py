"""A check of Laplacians by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .input_derivative_check import close


def input_derivative_check_finite_difference_laplacian(
    f: Callable[..., Any],
    x: Tensor,
    do_Laplacian: bool = False,
    eps: float = 1e-4,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    verbose: bool = False,
) -> tuple[bool, bool | None]:
    r"""Compares gradient and Laplacian with central differences.

    - **f** returns value, gradient and Laplacian (n_s, 1, m)
    - **x** points (n_s, d)
    - **do_Laplacian** whether to check the Laplacian too
    - **eps** step; **atol**, **rtol** bounds on the error, and on the error relative to the derivative
    - **verbose** whether to print the errors

    Returns whether gradient and Laplacian (else ``None``) pass.

    >>> import torch, hessquik_rs.activations as act
    >>> from hessquik_rs.layers import singleLayer
    >>> from hessquik_rs.utils import input_derivative_check_finite_difference_laplacian
    >>> f = singleLayer(4, 7, act=act.tanhActivation(), dtype=torch.float64)
    >>> x = torch.randn(10, 4, dtype=torch.float64)
    >>> input_derivative_check_finite_difference_laplacian(f, x, do_Laplacian=True)
    (True, True)
    """
    f0, df0, lapf0 = f(x, do_gradient=True, do_Laplacian=do_Laplacian)
    steps = eps * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)

    rows = [(f(x + e)[0] - f(x - e)[0]) / (2 * eps) for e in steps]
    grad_check = close("Gradient", df0, torch.stack(rows, dim=1), 0.0, atol, rtol, verbose)
    if not do_Laplacian:
        return grad_check, None

    seconds = [(f(x + 2 * e)[0] - 2 * f0 + f(x - 2 * e)[0]) / (4 * eps**2) for e in steps]
    laplacian = torch.stack(seconds, dim=1).sum(dim=1, keepdim=True)
    return grad_check, close("Laplacian", lapf0, laplacian, eps, atol, rtol, verbose)
