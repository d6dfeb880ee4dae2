"""The activation `sigmoid`: the logistic function."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._torch.pointwise import Pointwise
from .known_activation import knownActivation


class sigmoidActivation(knownActivation):
    r"""Applies the logistic function to each entry, :math:`\sigma(x) = 1 / (1 + e^{-x})`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.sigmoidActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(0.0))[0].item(), 6)
    0.5
    """

    def pointwise(self) -> Pointwise:
        """The name of this function."""
        return Pointwise({"type": "sigmoid"})

    def saves(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, ...]:
        """The value, the argument of `compute_derivatives`."""
        return (sigma,)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = \sigma (1 - \sigma)` and :math:`\sigma'' = \sigma' (1 - 2 \sigma)`, from `sigma`, as in
        hessQuik. A value close to 1 does not have the digits of its derivatives; `forward` and `backward` use `x`
        instead.
        """
        (sigma,) = args
        dsigma = sigma * (1 - sigma)
        return dsigma, dsigma * (1 - 2 * sigma) if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "sigmoid"}
