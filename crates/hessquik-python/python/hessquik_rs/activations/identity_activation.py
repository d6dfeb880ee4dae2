"""The activation `identity`: the identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class identityActivation(hessQuikActivationFunction):
    r"""Applies the identity to each entry, :math:`\sigma(x) = x`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.identityActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    1.0
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = x` at each entry."""
        return x

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = 1` and :math:`\sigma'' = 0`, of `x`."""
        (x,) = args
        dsigma = torch.ones_like(x)
        return dsigma, torch.zeros_like(x) if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "identity"}
