"""The activation `gelu`: the GELU."""

from __future__ import annotations

from typing import Any

from .._torch.pointwise import Pointwise
from .known_activation import knownActivation


class geluActivation(knownActivation):
    r"""Applies the GELU to each entry, :math:`\sigma(x) = x \Phi(x)`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.geluActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.841345
    """

    def pointwise(self) -> Pointwise:
        """The name of this function."""
        return Pointwise({"type": "gelu"})

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "gelu"}
