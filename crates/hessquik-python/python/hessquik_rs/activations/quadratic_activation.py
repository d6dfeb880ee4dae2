"""The activation `quadratic`: half the square."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class quadraticActivation(hessQuikActivationFunction):
    r"""Applies half the square to each entry, :math:`\sigma(x) = \tfrac{1}{2} x^2`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.quadraticActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.5
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = \tfrac{1}{2} x^2` at each entry."""
        return 0.5 * x**2

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = x` and :math:`\sigma'' = 1`, of `x`."""
        (x,) = args
        dsigma = x
        return dsigma, torch.ones_like(x) if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "quadratic"}
