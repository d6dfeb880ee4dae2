"""The activation `softplus`: a smooth maximum with zero."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._torch.pointwise import Pointwise, derivatives
from .known_activation import knownActivation


class softplusActivation(knownActivation):
    r"""Applies the softplus to each entry, :math:`\sigma(x) = \frac{1}{\beta} \ln(1 + e^{\beta x})`.

    - **beta** steepness. Default: 1.0
    - **threshold** if it is below 15, the function is the identity, with derivatives 1 and 0, where :math:`\beta x` is
      above it; from 15 on it is the softplus everywhere, since the two hardly differ there. Default: 20.0

    Both may be tensors, and `beta` a trained parameter; torch operations then evaluate them.

    >>> import torch, hessquik_rs.activations as act
    >>> act_func = act.softplusActivation(beta=2.0)
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(0.0))[0].item(), 6)
    0.346574
    """

    def __init__(self, beta: float | Tensor = 1.0, threshold: float | Tensor = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def pointwise(self) -> Pointwise:
        """The name and the settings of this function."""
        return Pointwise(self.architecture())

    def jet(self, x: Tensor, order: int) -> tuple[Tensor, ...]:
        """Value and derivatives up to `order`, at most 2."""
        if not isinstance(self.beta, Tensor):
            return super().jet(x, order)
        # of the softplus with beta = 1, so that derivatives with respect to beta follow
        beta = self.beta.to(x.dtype)
        value, *rest = derivatives(
            Pointwise({"type": "softplus", "beta": 1.0, "threshold": float(self.threshold)}), beta * x, order
        )
        return (value / beta, *rest[:1], *[beta * second for second in rest[1:]])

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"

    def architecture(self) -> dict[str, Any]:
        """The name and settings of this activation in model files."""
        return {"type": "softplus", "beta": float(self.beta), "threshold": float(self.threshold)}
