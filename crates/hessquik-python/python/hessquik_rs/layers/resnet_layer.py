"""The residual layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._torch.form import Form
from ..activations import ActivationLike
from ..architecture import count
from .form_layer import formLayer
from .single_layer import singleLayer


class resnetLayer(formLayer):
    r"""The layer :math:`f(u) = u + h \sigma(u K + b)`.

    - **width** number of input and output features, w
    - **h** step size: a number; or a tensor or parameter with one entry, or one per feature, which is then evaluated in
      torch operations. Default: 1.0
    - **act** activation. Default: a new ``identityActivation()``
    - **bias** whether the layer has an additive `b`. Default: ``True``

    Weights: those of **layer**, a singleLayer from w to w.

    >>> import torch, hessquik_rs.layers as lay
    >>> f = lay.resnetLayer(4, h=0.25)
    >>> x = torch.randn(10, 4)
    >>> fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 4]) torch.Size([10, 4, 4]) torch.Size([10, 4, 4, 4])
    """

    names = ("layer.K", "layer.b")

    def __init__(
        self,
        width: int,
        h: float | Tensor = 1.0,
        act: ActivationLike | None = None,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.width = width = count("width", width)
        self.h = h
        self.layer = singleLayer(width, width, act=act, bias=bias, device=device, dtype=dtype)

    def dim_input(self) -> int:
        """The width."""
        return self.width

    def dim_output(self) -> int:
        """The width."""
        return self.width

    def form(self, K: Tensor, b: Tensor | None) -> Form:
        """M = K, S = I, W = h I."""
        inner = self.layer.form(K, b)
        return Form(inner.M, inner.b, inner.act, S=1.0, W=self.h)

    def architecture(self) -> dict[str, Any] | None:
        """The layer as model files describe it; ``None`` if `h` is a vector."""
        if isinstance(self.h, Tensor) and self.h.numel() != 1:
            return None
        inner = self.layer.architecture()
        return {"type": "resnet", "width": self.width, "h": number(self.h), "act": inner["act"], "bias": inner["bias"]}

    def extra_repr(self) -> str:
        return f"width={self.width}, h={self.h}"


def number(h: float | Tensor) -> float:
    """A step size as a number."""
    return h.item() if isinstance(h, Tensor) else float(h)
