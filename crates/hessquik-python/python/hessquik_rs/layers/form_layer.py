"""Layers of the one form, whose derivatives all follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from .._torch import propagate
from .._torch.arguments import no_others
from .._torch.engine import of
from .._torch.explain import explain
from .._torch.form import Form
from .._torch.native import Jet, Mode
from .._torch.structure import Structure
from .hessQuik_layer import hessQuikLayer


class formLayer(hessQuikLayer):
    r"""A layer :math:`z = u M + b`, :math:`f = u S + \sigma(z) W + c`, the form of all layers here.

    A user-defined layer only gives its matrices, and derives nothing:

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

    names: tuple[str, ...] = ()
    """Names of the weights that `form` is given, in the order of the engine."""
    _redefined = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # a form of a user's own is not what the architecture of the class above says
        if "architecture" in cls.__dict__:
            cls._redefined = False
        elif "form" in cls.__dict__ or "names" in cls.__dict__:
            cls._redefined = True

    def __init__(self) -> None:
        super().__init__()
        self.ctx: propagate.Kept | None = None
        self._structure = Structure()

    def form(self, *weights: Any) -> Form:
        """The layer in the one form; `weights` are those called `names`, ``None`` for one that does not exist."""
        raise NotImplementedError(f"{type(self).__name__} needs a method form")

    def architecture(self) -> dict[str, Any] | None:
        """The layer without its weights, as model files describe it; ``None`` if the engine does not support it."""
        return None

    if TYPE_CHECKING:

        def __call__(
            self,
            u: Tensor,
            do_gradient: bool = ...,
            do_Hessian: bool = ...,
            do_Laplacian: bool = ...,
            forward_mode: bool | None = ...,
            dudx: Tensor | None = ...,
            d2ud2x: Tensor | None = ...,
            v: Tensor | None = ...,
            mode: Mode = ...,
        ) -> Jet: ...

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
        mode: Mode = "auto",
        **unknown: Any,
    ) -> Jet:
        """As :meth:`hessQuikLayer.forward`; `mode` forces a plan: ``auto``, ``forward``, ``backward`` or ``sites``."""
        if unknown:
            no_others(f"{type(self).__name__}.forward", unknown, propagate.KEYWORDS)
        propagate.look(self, u, do_gradient, do_Hessian, do_Laplacian, forward_mode, mode)
        return propagate.forward(self, u, do_gradient, do_Hessian, do_Laplacian, forward_mode, dudx, d2ud2x, v, mode)

    _forward = forward  # of which the engine knows what it does

    def backward(
        self,
        do_Hessian: bool = False,
        dgdf: Tensor | None = None,
        d2gd2f: Tensor | None = None,
        v: Tensor | None = None,
        mode: Mode = "auto",
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`hessQuikLayer.backward`."""
        return propagate.backward(self, do_Hessian, dgdf, d2gd2f, v, mode)

    def explain(self, x: Tensor | int, do_Hessian: bool = True, do_Laplacian: bool = False, mode: Mode = "auto") -> str:
        """As :meth:`NN.explain <hessquik_rs.networks.hessQuik_network.NN.explain>`."""
        return explain(of(self), x, do_Hessian, do_Laplacian, mode)
