"""The activation `sin`: the sine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class sinActivation(hessQuikActivationFunction):
    r"""Applies the sine to each entry, :math:`\sigma(x) = \sin x`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.sinActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.841471
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = \sin x` at each entry."""
        return torch.sin(x)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = \cos x` and :math:`\sigma'' = -\sin x`, of `x`."""
        (x,) = args
        dsigma = torch.cos(x)
        return dsigma, -torch.sin(x) if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "sin"}
