"""The quadratic layer."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._torch.form import Form, Sum
from ..activations import quadraticActivation
from ..architecture import count
from .form_layer import formLayer


class quadraticLayer(formLayer):
    r"""The layer :math:`f(u) = u v + \frac{1}{2} u A^\top A u^\top + \mu`, with one output.

    - **in_features** number of input features, n_in
    - **rank** number of rows of A, r

    Weights: **v** (n_in), **mu** (1), **A** (r, n_in).

    >>> import torch, hessquik_rs.layers as lay
    >>> f = lay.quadraticLayer(4, 2)
    >>> x = torch.randn(10, 4)
    >>> fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 1]) torch.Size([10, 4, 1]) torch.Size([10, 4, 4, 1])
    """

    names = ("v", "mu", "A")

    def __init__(self, in_features: int, rank: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.in_features, self.rank = in_features, rank = count("in_features", in_features), count("rank", rank)
        self.v = nn.Parameter(torch.empty(in_features, device=device, dtype=dtype))
        self.mu = nn.Parameter(torch.empty(1, device=device, dtype=dtype))
        self.A = nn.Parameter(torch.empty(rank, in_features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights, as hessQuik does."""
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.v, a=-bound, b=bound)
        nn.init.uniform_(self.mu)
        nn.init.uniform_(self.A, a=-bound, b=bound)

    def dim_input(self) -> int:
        """Number of input features."""
        return self.in_features

    def dim_output(self) -> int:
        """One."""
        return 1

    def form(self, v: Tensor, mu: Tensor, A: Tensor) -> Form:
        """M = A^T, act = z^2 / 2, S = v, W sums, c = mu."""
        return Form(A.mT, None, quadraticActivation(), S=v.unsqueeze(1), W=Sum(self.rank), c=mu)

    def architecture(self) -> dict[str, Any]:
        """The layer as model files describe it."""
        return {"type": "quadratic", "in_features": self.in_features, "rank": self.rank}
