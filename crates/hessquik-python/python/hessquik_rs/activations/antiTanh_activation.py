"""The activation `antiTanh`: the antiderivative of tanh."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._torch.pointwise import Pointwise
from .known_activation import knownActivation


class antiTanhActivation(knownActivation):
    r"""Applies an antiderivative of tanh to each entry, :math:`\sigma(x) = \ln\cosh x + c`.

    - **offset** the constant c. Default: 0.0, which is the function of hessQuik's manual and the one that the engine
      and
      model files know. hessQuik's code computes :math:`\ln\cosh x + \ln 2`: when the state dictionary of a network that
      was trained with it is loaded here, the values differ, without an error. ``networks.from_hessquik(f)`` moves the
      constant into the biases that follow; ``antiTanhActivation(offset=math.log(2))`` is hessQuik's own function,
      evaluated in torch operations.

    >>> import math, torch, hessquik_rs.activations as act
    >>> act_func = act.antiTanhActivation()
    >>> sigma, dsigma, d2sigma = act_func(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2sigma.shape
    torch.Size([10, 4])
    >>> round(act_func(torch.tensor(1.0))[0].item(), 6)
    0.433781
    >>> round(act.antiTanhActivation(offset=math.log(2))(torch.tensor(1.0))[0].item(), 6)
    1.126928
    """

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset

    def pointwise(self) -> Pointwise:
        """The name of this function without its offset."""
        return Pointwise({"type": "anti_tanh"})

    def jet(self, x: Tensor, order: int) -> tuple[Tensor, ...]:
        """Value and derivatives up to `order`, at most 2."""
        value, *rest = super().jet(x, order)
        return (value + self.offset if offset_of(self) else value, *rest)

    def architecture(self) -> dict[str, Any] | None:
        """The name of this activation in model files; ``None`` with an offset, which they cannot describe."""
        return None if offset_of(self) else {"type": "anti_tanh"}

    def extra_repr(self) -> str:
        return f"offset={self.offset}" if offset_of(self) else ""


def offset_of(act: antiTanhActivation) -> bool:
    """Whether there is an offset; a tensor may change, and counts as one."""
    return isinstance(act.offset, Tensor) or act.offset != 0
