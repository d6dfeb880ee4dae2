"""A check of Laplacians by Hessians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def laplacian_check_using_hessian(f: Callable[..., Any], x: Tensor, tol: float = 1e-4) -> bool:
    """Whether the Laplacian is the trace of the Hessian up to `tol`, relative to the norm of the Hessian; prints that.

    - **f** returns value, gradient, and Hessian (n_s, d, d, m) or Laplacian (n_s, 1, m)
    - **x** points (n_s, d)

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils.laplacian_check import laplacian_check_using_hessian
    >>> f = net.fullyConnectedNN([3, 8, 2])
    >>> passed = laplacian_check_using_hessian(f, torch.randn(10, 3))  # doctest: +ELLIPSIS
    Laplacian PASSED! : rel. err = ...
    """
    d2f0 = f(x, do_gradient=True, do_Hessian=True, do_Laplacian=False)[2]
    lapf = f(x, do_gradient=True, do_Hessian=False, do_Laplacian=True)[2]
    trace = d2f0.diagonal(dim1=1, dim2=2).sum(-1)
    rel_err = (torch.norm(trace - lapf.view_as(trace)) / torch.norm(d2f0)).item()
    passed: bool = rel_err < tol
    print(f"Laplacian {'PASSED!' if passed else 'FAILED.'} : rel. err = {rel_err:0.4e}")
    return passed
