"""The fully connected network."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ..activations import ActivationLike, activation, softplusActivation
from ..layers import singleLayer
from .hessQuik_network import NN


class fullyConnectedNN(NN):
    r"""Single layers one after another, :math:`u_i = \sigma(u_{i-1} K_i + b_i)`.

    - **widths** numbers of features: input, hidden layers, output
    - **act** activation; each layer gets a copy. Default: ``softplusActivation()``

    >>> import torch, hessquik_rs.networks as net
    >>> f = net.fullyConnectedNN([4, 16, 3])
    >>> fx, dfdx, d2fd2x = f(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 3]) torch.Size([10, 4, 3]) torch.Size([10, 4, 4, 3])
    """

    def __init__(
        self,
        widths: Sequence[int],
        act: ActivationLike | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        act = softplusActivation() if act is None else activation(act)
        pairs = zip(widths[:-1], widths[1:], strict=True)
        super().__init__(*[singleLayer(n, m, act=deepcopy(act), device=device, dtype=dtype) for n, m in pairs])
