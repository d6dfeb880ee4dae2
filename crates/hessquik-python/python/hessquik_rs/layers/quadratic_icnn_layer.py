"""The quadratic layer of input convex networks."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._torch.form import Form, Sum
from .._torch.native import Jet
from ..activations import quadraticActivation
from ..architecture import count
from .form_layer import formLayer


class quadraticICNNLayer(formLayer):
    r"""The layer :math:`f([u, x]) = u w^+ + x v + \frac{1}{2} x A^\top A x^\top + \mu`, with one output, convex in
    :math:`x`; :math:`w^+` is `nonneg` of w.

    - **input_dim** dimension of the network's input, d
    - **in_features** number of features beside `x`, n_in; ``None`` if the layer takes `x` alone
    - **rank** number of rows of A, r

    Weights: **w** (n_in), **v** (d), **mu** (1), **A** (r, d).

    >>> import torch, hessquik_rs.layers as lay
    >>> f = lay.quadraticICNNLayer(4, None, 2)
    >>> x = torch.randn(10, 4)
    >>> fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 1]) torch.Size([10, 4, 1]) torch.Size([10, 4, 4, 1])
    """

    names = ("w", "v", "mu", "A")

    def __init__(
        self, input_dim: int, in_features: int | None, rank: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_dim, self.rank = input_dim, rank = count("input_dim", input_dim), count("rank", rank)
        self.in_features = in_features = None if in_features is None else count("in_features", in_features)
        self.nonneg = F.softplus
        if in_features is not None:
            self.w = nn.Parameter(torch.empty(in_features, device=device, dtype=dtype))
        else:
            self.register_parameter("w", None)
        self.v = nn.Parameter(torch.empty(input_dim, device=device, dtype=dtype))
        self.mu = nn.Parameter(torch.empty(1, device=device, dtype=dtype))
        self.A = nn.Parameter(torch.empty(rank, input_dim, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights, as hessQuik does."""
        bound = 1 / math.sqrt(self.in_features or self.input_dim)
        if self.w is not None:
            nn.init.uniform_(self.w, a=-bound, b=bound)
        nn.init.uniform_(self.v, a=-bound, b=bound)
        nn.init.uniform_(self.mu)
        bound = 1 / math.sqrt(self.input_dim)
        nn.init.uniform_(self.A, a=-bound, b=bound)

    def dim_input(self) -> int:
        """Number of features beside `x`, and the dimension of `x`."""
        return (self.in_features or 0) + self.input_dim

    def dim_output(self) -> int:
        """One."""
        return 1

    def forward(self, ux: Tensor, *args: Any, **kwargs: Any) -> Jet:  # type: ignore[override]
        """As :meth:`hessQuikLayer.forward`, of the features and `x` side by side, (n_s, n_in + d)."""
        return super().forward(ux, *args, **kwargs)

    _forward = forward  # type: ignore[assignment]

    def form(self, w: Tensor | None, v: Tensor, mu: Tensor, A: Tensor) -> Form:
        """M = [0; A^T], act = z^2 / 2, S = [w+; v], W sums, c = mu."""
        M, S = A.mT, v
        if w is not None:
            M, S = F.pad(M, (0, 0, self.in_features or 0, 0)), torch.cat((self.nonneg(w), v))
        return Form(M, None, quadraticActivation(), S=S.unsqueeze(1), W=Sum(self.rank), c=mu)

    def architecture(self) -> dict[str, Any] | None:
        """The layer as model files describe it; the only `nonneg` that they know is the softplus."""
        if self.nonneg is not F.softplus:
            return None
        return {
            "type": "quadratic_icnn",
            "input_dim": self.input_dim,
            "in_features": self.in_features,
            "rank": self.rank,
        }
