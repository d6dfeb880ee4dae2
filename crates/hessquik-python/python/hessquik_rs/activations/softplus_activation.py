"""The activation `softplus`: a smooth maximum with zero."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .hessQuik_activation_function import hessQuikActivationFunction


class softplusActivation(hessQuikActivationFunction):
    r"""Applies the softplus to each entry, :math:`\sigma(x) = \frac{1}{\beta} \ln(1 + e^{\beta x})`.

    - **beta** steepness. Default: 1.0
    - **threshold** the value is `x` itself where :math:`\beta x` is above it; derivatives have no cut. Default: 20.0

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.softplusActivation(beta=2.0)
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(0.0))[0].item(), 6)
    0.346574
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def value(self, x: Tensor) -> Tensor:
        r""":math:`\sigma(x) = \frac{1}{\beta} \ln(1 + e^{\beta x})` of each entry."""
        return F.softplus(x, beta=self.beta, threshold=self.threshold)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = s = 1 / (1 + e^{-\beta x})` and :math:`\sigma'' = \beta s (1 - s)`, of `x`."""
        (x,) = args
        s = torch.sigmoid(self.beta * x)
        # 1 - s as a sigmoid of its own is exact in the right tail too
        return s, self.beta * s * torch.sigmoid(-self.beta * x) if do_Hessian else None

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"

    def architecture(self) -> dict[str, Any]:
        """The name and settings of this activation in model files."""
        return {"type": "softplus", "beta": float(self.beta), "threshold": float(self.threshold)}
