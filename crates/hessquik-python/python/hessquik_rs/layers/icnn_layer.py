"""The input convex layer."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._torch.form import Form, Place, Tail, Then
from .._torch.native import Jet
from ..activations import ActivationLike, activation, softplusActivation
from ..architecture import count
from .form_layer import formLayer
from .single_layer import pointwise


class ICNNLayer(formLayer):
    r"""The layer :math:`f([u, x]) = [\sigma(u L^+ + x K + b),\ x]`, convex in :math:`x` if :math:`\sigma` is convex and
    non-decreasing; :math:`L^+` is `nonneg` of L.

    - **input_dim** dimension of the network's input, d
    - **in_features** number of features beside `x`, n_in; ``None`` for a first layer
    - **out_features** number of output features beside `x`, n_out
    - **act** activation. Default: a new ``softplusActivation()``
    - **bias** whether the layer has an additive `b`. Default: ``True``

    Weights: **K** (d, n_out), **L** (n_in, n_out), **b** (n_out).

    >>> import torch, hessquik_rs.layers as lay
    >>> f = lay.ICNNLayer(4, None, 7)
    >>> x = torch.randn(10, 4)
    >>> fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 11]) torch.Size([10, 4, 11]) torch.Size([10, 4, 4, 11])
    """

    names = ("K", "L", "b")

    def __init__(
        self,
        input_dim: int,
        in_features: int | None,
        out_features: int,
        act: ActivationLike | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim = count("input_dim", input_dim)
        self.out_features = out_features = count("out_features", out_features)
        self.in_features = in_features = None if in_features is None else count("in_features", in_features)
        self.act = softplusActivation() if act is None else activation(act)
        self.nonneg = F.softplus
        self.K = nn.Parameter(torch.empty(input_dim, out_features, device=device, dtype=dtype))
        if in_features is not None:
            self.L = nn.Parameter(torch.empty(in_features, out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("L", None)
        if bias:
            self.b = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("b", None)
        self.reset_parameters()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, activation(value) if name == "act" else value)

    def reset_parameters(self) -> None:
        """Draws new weights, as hessQuik does."""
        nn.init.kaiming_uniform_(self.K, a=math.sqrt(self.input_dim))
        last = self.K
        if self.L is not None:
            nn.init.kaiming_uniform_(self.L, a=math.sqrt(self.dim_input() - self.input_dim))
            last = self.L
        fan_in, _ = nn.init._calculate_fan_in_and_fan_out(last)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        if self.b is not None:
            nn.init.uniform_(self.b, -bound, bound)

    def dim_input(self) -> int:
        """Number of features beside `x`, and the dimension of `x`."""
        return (self.in_features or 0) + self.input_dim

    def dim_output(self) -> int:
        """Number of output features beside `x`, and the dimension of `x`."""
        return self.out_features + self.input_dim

    def forward(self, ux: Tensor, *args: Any, **kwargs: Any) -> Jet:  # type: ignore[override]
        """As :meth:`hessQuikLayer.forward`, of the features and `x` side by side, (n_s, n_in + d)."""
        return super().forward(ux, *args, **kwargs)

    _forward = forward  # type: ignore[assignment]

    def form(self, K: Tensor, L: Tensor | None, b: Tensor | None) -> Form:
        """M = [L+; K], S selects x and puts it last, W puts the features first."""
        M = K if L is None else torch.cat((self.nonneg(L), K))
        p, d = self.out_features, self.input_dim
        return Form(M, b, pointwise(self.act), S=Then(Tail(self.in_features or 0), Place(p, 0)), W=Place(0, d))

    def architecture(self) -> dict[str, Any] | None:
        """The layer as model files describe it; the only `nonneg` that they know is the softplus."""
        if self.nonneg is not F.softplus:
            return None
        return {
            "type": "icnn",
            "input_dim": self.input_dim,
            "in_features": self.in_features,
            "out_features": self.out_features,
            "act": activation(self.act).architecture(),
            "bias": self.b is not None,
        }
