"""The input convex network."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ..activations import ActivationLike, activation, softplusActivation
from ..layers import ICNNLayer
from .hessQuik_network import NN


class ICNN(NN):
    r"""Input convex layers one after another, :math:`u_i = \sigma(u_{i-1} L_i^+ + x K_i + b_i)`, with `x` passed on:
    the output is :math:`[u, x]`.

    - **input_dim** dimension of the network's input, d
    - **widths** numbers of features beside `x`: ``None``, then one for each layer
    - **act** activation; each layer gets a copy; convex and non-decreasing. Default: ``softplusActivation()``

    >>> import torch, hessquik_rs.networks as net
    >>> f = net.ICNN(3, [None, 5, 2, 7])
    >>> fx, dfdx, d2fd2x = f(torch.randn(10, 3), do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 10]) torch.Size([10, 3, 10]) torch.Size([10, 3, 3, 10])
    """

    def __init__(
        self,
        input_dim: int,
        widths: Sequence[int | None],
        act: ActivationLike | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        act = softplusActivation() if act is None else activation(act)
        layers = []
        for before, after in zip(widths[:-1], widths[1:], strict=True):
            if after is None:
                raise ValueError(f"widths is {list(widths)}, wanted None first and then a number for each layer")
            layers.append(ICNNLayer(input_dim, before, after, act=deepcopy(act), device=device, dtype=dtype))
        super().__init__(*layers)
