"""Checks of derivatives with respect to the input: Taylor expansions and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import torch
from torch import Tensor

from .utils import convert_to_base


def input_derivative_check(
    f: Callable[..., Any],
    x: Tensor,
    do_Hessian: bool = False,
    forward_mode: bool | None = True,
    num_test: int = 15,
    base: float = 2.0,
    tol: float = 0.1,
    verbose: bool = False,
) -> tuple[bool, bool | None]:
    r"""Compares with Taylor expansions along a random direction `p`, whose errors must fall with the step as
    :math:`h, h^2, h^3`:

    .. math::

        f(x + h p) \approx f(x) + h \nabla f(x)^\top p + \frac{1}{2} h^2 p^\top \nabla^2 f(x) p

    See chapter 5 of `Computational Methods for Electromagnetics <https://epubs.siam.org/doi/book/10.1137/1.9781611973808>`_
    by Eldad Haber.

    - **f** returns value, gradient and Hessian: a network, layer or activation, or any callable
    - **x** points (n_s, d)
    - **do_Hessian** whether to check the Hessian too
    - **forward_mode** is passed to `f`
    - **num_test** number of steps :math:`h = base^{-k}`
    - **base** ratio of the steps
    - **tol** by how much the orders may fall short of 2 and 3
    - **verbose** whether to print a table

    Returns whether gradient and Hessian (else ``None``) pass.

    >>> import torch, hessquik_rs.activations as act
    >>> from hessquik_rs.layers import singleLayer
    >>> from hessquik_rs.utils import input_derivative_check
    >>> f = singleLayer(4, 7, act=act.softplusActivation(), dtype=torch.float64)
    >>> input_derivative_check(f, torch.randn(10, 4, dtype=torch.float64), do_Hessian=True)
    (True, True)
    """
    f0, df0, d2f0 = f(x, do_gradient=True, do_Hessian=do_Hessian, forward_mode=forward_mode)

    dx = torch.randn_like(x)
    dx = dx / torch.norm(x)
    curvx = None
    if df0.dim() == dx.dim():  # of an activation
        dfdx = df0 * dx
        curvx = None if d2f0 is None else dx * d2f0 * dx
    else:
        dfdx = torch.einsum("sam,sa->sm", df0, dx)
        curvx = None if d2f0 is None else torch.einsum("sabm,sa,sb->sm", d2f0, dx, dx)

    if verbose:
        headers = ("h", "E0", "E1") + (("E2",) if do_Hessian else ())
        print(("{:<20s}" * len(headers)).format(*headers))

    errors: list[tuple[float, ...]] = []
    for k in range(num_test):
        h = base ** (-k)
        ft = f(x + h * dx, do_gradient=False, do_Hessian=False)[0]
        row: tuple[float, ...] = (torch.norm(f0 - ft).item(), torch.norm(f0 + h * dfdx - ft).item())
        if curvx is not None:
            row += (torch.norm(f0 + h * dfdx + 0.5 * h**2 * curvx - ft).item(),)
        errors.append(row)
        if verbose:
            printouts = convert_to_base(row)
            print(((1 + len(row)) * "%0.2f x 2^(%0.2d)\t\t") % ((1, -k) + printouts))

    _, E1, *rest = zip(*errors, strict=True)
    enough = num_test // 3
    grad_check = falls(E1, 2 - tol, base, enough, num_test // 4, x.dtype)
    hess_check = falls(rest[0], 3 - tol, base, enough, num_test // 4, x.dtype) if rest else None
    if verbose:
        print("Gradient PASSED!" if grad_check else "Gradient FAILED.")
        if hess_check is not None:
            print("Hessian PASSED!" if hess_check else "Hessian FAILED.")
    return grad_check, hess_check


def falls(errors: Any, order: float, base: float, enough: int, kth: int, dtype: torch.dtype) -> bool:
    """Whether errors fall with this order more than `enough` times, or the `kth` smallest is rounding."""
    E = torch.tensor(errors, dtype=torch.float64)
    steep = torch.log2(E[:-1] / E[1:]) / log2(base) > order
    small = torch.kthvalue(E, max(kth, 1))[0] < 100 * torch.finfo(dtype).eps
    return bool(steep.sum() > enough) or bool(small)


def input_derivative_check_finite_difference(
    f: Callable[..., Any],
    x: Tensor,
    do_Hessian: bool = False,
    forward_mode: bool | None = True,
    eps: float = 1e-4,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    verbose: bool = False,
) -> tuple[bool, bool | None]:
    r"""Compares with central differences, entry by entry:

    .. math::

        \widetilde{\nabla f}_{i} = \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2 \varepsilon}

    - **f**, **x**, **do_Hessian**, **forward_mode**, **verbose** as in
      :func:`input_derivative_check <hessquik_rs.utils.input_derivative_check.input_derivative_check>`
    - **eps** step
    - **atol**, **rtol** bounds on the error, and on the error relative to the derivative

    Returns whether gradient and Hessian (else ``None``) pass.

    >>> import torch, hessquik_rs.activations as act
    >>> from hessquik_rs.layers import singleLayer
    >>> from hessquik_rs.utils import input_derivative_check_finite_difference
    >>> f = singleLayer(4, 7, act=act.tanhActivation(), dtype=torch.float64)
    >>> input_derivative_check_finite_difference(f, torch.randn(10, 4, dtype=torch.float64), do_Hessian=True)
    (True, True)
    """
    _, df0, d2f0 = f(x, do_gradient=True, do_Hessian=do_Hessian, forward_mode=forward_mode)
    d = x.shape[1]
    steps = eps * torch.eye(d, dtype=x.dtype, device=x.device)

    rows = [(f(x + e)[0] - f(x - e)[0]) / (2 * eps) for e in steps]
    grad_check = close("Gradient", df0, torch.stack(rows, dim=1), 0.0, atol, rtol, verbose)
    if not do_Hessian:
        return grad_check, None

    def second(a: Tensor, b: Tensor) -> Tensor:
        difference: Tensor = f(x + a + b)[0] - f(x + a - b)[0] - f(x - a + b)[0] + f(x - a - b)[0]
        return difference / (4 * eps**2)

    entries = torch.stack([torch.stack([second(a, b) for b in steps], dim=1) for a in steps], dim=1)
    return grad_check, close("Hessian", d2f0, entries, eps, atol, rtol, verbose)


def close(name: str, found: Tensor, wanted: Tensor, least: float, atol: float, rtol: float, verbose: bool) -> bool:
    """Whether a derivative is that of the differences, with hessQuik's lines; `least` bounds its norm from below."""
    err = torch.norm(found - wanted).item()
    norm = max(torch.norm(found).item(), least)
    rel_err = err / norm if norm > 0 else float("inf") if err > 0 else 0.0
    passed = err < atol and rel_err < rtol
    if verbose:
        print(f"{name} Finite Difference: Error = {err:0.4e}, Relative Error = {rel_err:0.4e}")
        print(f"{name} PASSED!" if passed else f"{name} FAILED.")
    return passed
