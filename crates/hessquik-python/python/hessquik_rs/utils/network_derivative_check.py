"""A check of the gradients of losses with respect to the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .input_derivative_check import falls
from .utils import convert_to_base, extract_data, insert_data


def network_derivative_check(
    f: torch.nn.Module,
    x: Tensor,
    do_Hessian: bool = False,
    forward_mode: bool | None = True,
    num_test: int = 15,
    base: float = 2.0,
    tol: float = 0.1,
    verbose: bool = False,
) -> bool:
    r"""Compares with the Taylor expansion of a loss in the weights, along a random direction `p`:

    .. math::

        \Phi(\theta + h p) \approx \Phi(\theta) + h \nabla_\theta \Phi(\theta)^\top p, \qquad
        \Phi = \frac{1}{2} \|f_\theta(x)\|^2 + \frac{1}{2} \|\nabla f_\theta(x)\|^2
             + \frac{1}{2} \|\nabla^2 f_\theta(x)\|^2

    - **f** network or layer; its weights are restored after the check, and gradients are added to theirs
    - **x** points (n_s, d)
    - **do_Hessian** whether the loss includes the last term
    - **forward_mode**, **num_test**, **base**, **tol**, **verbose** as in
      :func:`input_derivative_check <hessquik_rs.utils.input_derivative_check.input_derivative_check>`

    Returns whether the gradient passes.

    >>> import torch, hessquik_rs.activations as act, hessquik_rs.layers as lay, hessquik_rs.networks as net
    >>> from hessquik_rs.utils import network_derivative_check
    >>> f = net.NN(lay.singleLayer(4, 8, act=act.tanhActivation()), net.resnetNN(8, 3, act=act.tanhActivation()),
    ...            lay.singleLayer(8, 1)).double()
    >>> network_derivative_check(f, torch.randn(10, 4, dtype=torch.float64), do_Hessian=True)
    True
    """

    def loss(**kwargs: Any) -> Tensor:
        results = f(x, do_gradient=True, do_Hessian=do_Hessian, **kwargs)
        terms = [0.5 * torch.norm(r) ** 2 for r in results if r is not None]
        return torch.stack(terms).sum()

    before = extract_data(f, "grad")
    loss0 = loss(forward_mode=forward_mode)
    loss0.backward()
    loss0 = loss0.detach()
    theta0 = extract_data(f, "data").clone()
    dtheta = torch.randn_like(theta0)
    dtheta = dtheta / torch.norm(dtheta)
    slope = ((extract_data(f, "grad") - before) * dtheta).sum()

    if verbose:
        print(("{:<20s}" * 3).format("h", "E0", "E1"))
    E1 = []
    with torch.no_grad():
        for k in range(num_test):
            h = base ** (-k)
            insert_data(f, theta0 + h * dtheta)
            losst = loss()
            row = torch.norm(loss0 - losst).item(), torch.norm(loss0 + h * slope - losst).item()
            E1.append(row[1])
            if verbose:
                print((3 * "%0.2f x 2^(%0.2d)\t\t") % ((1, -k) + convert_to_base(row)))
        insert_data(f, theta0)

    grad_check = falls(E1, 2 - tol, base, 3, num_test // 3, x.dtype)
    if verbose:
        print("Gradient PASSED!" if grad_check else "Gradient FAILED.")
    return grad_check
