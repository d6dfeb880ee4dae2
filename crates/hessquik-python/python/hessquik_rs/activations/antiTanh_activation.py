"""The activation `antiTanh`: the antiderivative of tanh."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class antiTanhActivation(hessQuikActivationFunction):
    r"""Applies the antiderivative of tanh to each entry, :math:`\sigma(x) = \ln\cosh x`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.antiTanhActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.433781
    """

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = \ln\cosh x` of each entry."""
        return torch.logaddexp(x, -x) - math.log(2)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = \tanh x` and :math:`\sigma'' = 1 - \tanh^2 x`, of `x`."""
        (x,) = args
        dsigma = torch.tanh(x)
        return dsigma, 1 - dsigma**2 if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "anti_tanh"}
