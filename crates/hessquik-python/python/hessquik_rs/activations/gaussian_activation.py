"""The activation `gaussian`: the Gaussian bump."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class gaussianActivation(hessQuikActivationFunction):
    r"""Applies the Gaussian bump to each entry, :math:`\sigma(x) = e^{-x^2}`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.gaussianActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.367879
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = e^{-x^2}` of each entry."""
        return torch.exp(-(x**2))

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = -2 x e^{-x^2}` and :math:`\sigma'' = (4 x^2 - 2) e^{-x^2}`, of `x`."""
        (x,) = args
        bump = torch.exp(-(x**2))
        dsigma = -2 * x * bump
        return dsigma, (4 * x**2 - 2) * bump if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "gaussian"}
