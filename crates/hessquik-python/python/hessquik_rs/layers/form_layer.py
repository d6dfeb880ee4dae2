"""Layers of the one form, whose derivatives all follow from it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._torch import propagate
from .._torch.engine import Jet
from .._torch.form import Form
from .._torch.structure import Structure
from .hessQuik_layer import hessQuikLayer


class formLayer(hessQuikLayer):
    r"""A layer :math:`z = u M + b`, :math:`f = u S + \sigma(z) W + c`, which all layers here are.

    A layer of one's own says what the matrices are, and derives nothing:

    >>> import torch, hessquik_rs.activations as act, hessquik_rs.layers as lay, hessquik_rs.networks as net
    >>> class fourier(lay.formLayer):
    ...     "Random Fourier features, sin(u B + b)."
    ...     def __init__(self, n_in, n_out):
    ...         super().__init__()
    ...         self.B = torch.nn.Parameter(torch.randn(n_in, n_out))
    ...         self.b = torch.nn.Parameter(torch.rand(n_out))
    ...         self.act = act.sinActivation()
    ...     def dim_input(self):
    ...         return self.B.shape[0]
    ...     def dim_output(self):
    ...         return self.B.shape[1]
    ...     def form(self):
    ...         return lay.Form(self.B, self.b, self.act)
    >>> f = net.NN(fourier(2, 16), lay.singleLayer(16, 1))
    >>> fx, dfdx, d2fd2x = f(torch.randn(10, 2), do_gradient=True, do_Hessian=True)
    >>> d2fd2x.shape
    torch.Size([10, 2, 2, 1])
    """

    # names of the weights that `form` is given, in the order of the engine
    names: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.ctx: Tensor | None = None
        self._structure = Structure()

    def form(self, *weights: Any) -> Form:
        """The layer in the one form; `weights` are those called `names`, ``None`` for one that is not there."""
        raise NotImplementedError(f"{type(self).__name__} needs a method form")

    def architecture(self) -> dict[str, Any] | None:
        """The layer without its weights, as model files describe it; ``None`` if the engine does not know it."""
        return None

    def forward(
        self,
        u: Tensor,
        do_gradient: bool = False,
        do_Hessian: bool = False,
        do_Laplacian: bool = False,
        forward_mode: bool | None = True,
        dudx: Tensor | None = None,
        d2ud2x: Tensor | None = None,
        v: Tensor | None = None,
        mode: str = "auto",
    ) -> Jet:
        """As :meth:`hessQuikLayer.forward`; `mode` forces a plan: ``auto``, ``forward``, ``backward`` or ``sites``."""
        return propagate.forward(self, u, do_gradient, do_Hessian, do_Laplacian, forward_mode, dudx, d2ud2x, v, mode)

    def backward(
        self,
        do_Hessian: bool = False,
        dgdf: Tensor | None = None,
        d2gd2f: Tensor | None = None,
        v: Tensor | None = None,
        mode: str = "auto",
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`hessQuikLayer.backward`."""
        return propagate.backward(self, do_Hessian, dgdf, d2gd2f, v, mode)
