"""The activation `tanh`: the hyperbolic tangent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class tanhActivation(hessQuikActivationFunction):
    r"""Applies the hyperbolic tangent to each entry, :math:`\sigma(x) = \tanh x`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.tanhActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.761594
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = \tanh x` of each entry."""
        return torch.tanh(x)

    def saves(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, ...]:
        """The value, of which the derivatives are made."""
        return (sigma,)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = 1 - \sigma^2` and :math:`\sigma'' = -2 \sigma (1 - \sigma^2)`, of `sigma`."""
        (sigma,) = args
        dsigma = 1 - sigma**2
        return dsigma, -2 * sigma * dsigma if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "tanh"}
