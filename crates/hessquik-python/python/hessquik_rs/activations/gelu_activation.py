"""The activation `gelu`: the GELU."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class geluActivation(hessQuikActivationFunction):
    r"""Applies the GELU to each entry, :math:`\sigma(x) = x \Phi(x)`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.geluActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.841345
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = x \Phi(x)` of each entry."""
        return torch.nn.functional.gelu(x)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = \Phi(x) + x \varphi(x)` and :math:`\sigma'' = (2 - x^2) \varphi(x)`, of `x`."""
        (x,) = args
        density = torch.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
        dsigma = torch.special.ndtr(x) + x * density
        return dsigma, (2 - x**2) * density if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "gelu"}
