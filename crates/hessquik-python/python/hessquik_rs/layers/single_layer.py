"""The single layer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._torch.form import Form
from ..activations import ActivationLike, activation, hessQuikActivationFunction, identityActivation
from ..architecture import count
from .form_layer import formLayer


class singleLayer(formLayer):
    r"""The layer :math:`f(u) = \sigma(u K + b)`.

    - **in_features**, **out_features**: n_in and n_out
    - **act** activation. Default: a new ``identityActivation()``
    - **bias** whether the layer has an additive `b`. Default: ``True``

    Weights: **K** (n_in, n_out), **b** (n_out).

    >>> import torch, hessquik_rs.layers as lay
    >>> f = lay.singleLayer(4, 7)
    >>> x = torch.randn(10, 4)
    >>> fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 7]) torch.Size([10, 4, 7]) torch.Size([10, 4, 4, 7])
    """

    names = ("K", "b")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        act: ActivationLike | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features = count("in_features", in_features)
        self.out_features = out_features = count("out_features", out_features)
        self.act = identityActivation() if act is None else activation(act)
        self.K = nn.Parameter(torch.empty(in_features, out_features, device=device, dtype=dtype))
        if bias:
            self.b = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("b", None)
        self.reset_parameters()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, activation(value) if name == "act" else value)

    def reset_parameters(self) -> None:
        """Draws new weights, as hessQuik does."""
        nn.init.kaiming_uniform_(self.K, a=math.sqrt(5))
        fan_in, _ = nn.init._calculate_fan_in_and_fan_out(self.K)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        if self.b is not None:
            nn.init.uniform_(self.b, -bound, bound)

    def dim_input(self) -> int:
        """Number of input features."""
        return self.in_features

    def dim_output(self) -> int:
        """Number of output features."""
        return self.out_features

    def form(self, K: Tensor, b: Tensor | None) -> Form:
        """M = K, S = 0, W = I."""
        return Form(K, b, pointwise(self.act))

    def architecture(self) -> dict[str, Any]:
        """The layer as model files describe it."""
        return {
            "type": "single",
            "in_features": self.in_features,
            "out_features": self.out_features,
            "act": activation(self.act).architecture(),
            "bias": self.b is not None,
        }

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def pointwise(act: Any) -> hessQuikActivationFunction | None:
    """The activation of a form, where the identity is ``None``."""
    found: hessQuikActivationFunction = act if hasattr(act, "compute_derivatives") else activation(act)
    return None if type(found) is identityActivation else found
