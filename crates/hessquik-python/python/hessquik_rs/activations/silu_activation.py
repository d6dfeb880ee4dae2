"""The activation `silu`: the SiLU (swish)."""

from __future__ import annotations

from typing import Any

from .._torch.pointwise import Pointwise
from .known_activation import knownActivation


class siluActivation(knownActivation):
    r"""Applies the SiLU (swish) to each entry, :math:`\sigma(x) = x / (1 + e^{-x})`.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.siluActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.731059
    """

    def pointwise(self) -> Pointwise:
        """The name of this function."""
        return Pointwise({"type": "silu"})

    def architecture(self) -> dict[str, Any]:
        """The name of this activation in model files."""
        return {"type": "silu"}
