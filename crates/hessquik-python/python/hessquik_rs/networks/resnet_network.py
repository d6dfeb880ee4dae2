"""The residual network."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ..activations import ActivationLike, activation, softplusActivation
from ..layers import resnetLayer
from .hessQuik_network import NN


class resnetNN(NN):
    r"""Residual layers one after another, :math:`u_i = u_{i-1} + h \sigma(u_{i-1} K_i + b_i)`.

    - **width** number of features, w
    - **depth** number of layers
    - **h** step size. Default: 1.0
    - **act** activation; each layer gets a copy. Default: ``softplusActivation()``

    >>> import torch, hessquik_rs.networks as net
    >>> f = net.resnetNN(4, 6, h=0.5)
    >>> fx, dfdx, d2fd2x = f(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 4]) torch.Size([10, 4, 4]) torch.Size([10, 4, 4, 4])
    """

    def __init__(
        self,
        width: int,
        depth: int,
        h: float = 1.0,
        act: ActivationLike | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        act = softplusActivation() if act is None else activation(act)
        super().__init__(
            *[resnetLayer(width, h=h, act=deepcopy(act), device=device, dtype=dtype) for _ in range(int(depth))]
        )
