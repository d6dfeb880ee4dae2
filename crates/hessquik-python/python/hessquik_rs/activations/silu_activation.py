"""The activation `silu`: the SiLU (swish)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class siluActivation(hessQuikActivationFunction):
    r"""Applies the SiLU (swish) to each entry, :math:`\sigma(x) = x / (1 + e^{-x})`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.siluActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.731059
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = x / (1 + e^{-x})` of each entry."""
        return torch.nn.functional.silu(x)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = s (1 + x (1 - s))` and :math:`\sigma'' = s (1 - s) (2 + x (1 - 2 s))` with
        :math:`s = 1 / (1 + e^{-x})`, of `x`.
        """
        (x,) = args
        s = torch.sigmoid(x)
        dsigma = s * (1 + x * (1 - s))
        return dsigma, s * (1 - s) * (2 + x * (1 - 2 * s)) if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "silu"}
