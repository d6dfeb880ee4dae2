"""The activation `tanh`: the hyperbolic tangent."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._torch.pointwise import Pointwise
from .known_activation import knownActivation


class tanhActivation(knownActivation):
    r"""Applies the hyperbolic tangent to each entry, :math:`\sigma(x) = \tanh x`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.tanhActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.761594
    """

    def pointwise(self) -> Pointwise:
        """The name of this function."""
        return Pointwise({"type": "tanh"})

    def saves(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, ...]:
        """The value, the argument of `compute_derivatives`."""
        return (sigma,)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        r""":math:`\sigma' = 1 - \sigma^2` and :math:`\sigma'' = -2 \sigma (1 - \sigma^2)`, from `sigma`, as in
        hessQuik. A value close to 1 or -1 does not have the digits of its derivatives; `forward` and `backward` use `x`
        instead.
        """
        (sigma,) = args
        dsigma = (1 - sigma) * (1 + sigma)
        return dsigma, -2 * sigma * dsigma if do_Hessian else None

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "tanh"}
