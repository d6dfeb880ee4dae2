"""The base of all layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class hessQuikLayer(nn.Module):
    r"""Base class of all layers. A user-defined layer gives `dim_input`, `dim_output`, `forward`, `backward` with the
    arguments below, and then composes with every other layer; or see
    :class:`formLayer <hessquik_rs.layers.form_layer.formLayer>`, where nothing is derived by hand.

    >>> import torch, hessquik_rs.layers as lay, hessquik_rs.networks as net
    >>> class scaling(lay.hessQuikLayer):  # f = 2 u
    ...     def dim_input(self):
    ...         return 3
    ...     def dim_output(self):
    ...         return 3
    ...     def forward(self, u, do_gradient=False, do_Hessian=False, do_Laplacian=False, forward_mode=True,
    ...                 dudx=None, d2ud2x=None, v=None):
    ...         self.n_s = len(u)
    ...         dfdx = d2fd2x = None
    ...         if forward_mode is True and (do_gradient or do_Hessian):
    ...             dfdx = 2 * (torch.eye(3).expand(len(u), 3, 3) if dudx is None else dudx)
    ...             if do_Hessian:
    ...                 d2fd2x = torch.zeros(len(u), 3, 3, 3) if d2ud2x is None else 2 * d2ud2x
    ...         elif forward_mode is False:
    ...             dfdx, d2fd2x = self.backward(do_Hessian=do_Hessian)
    ...         return 2 * u, dfdx, d2fd2x
    ...     def backward(self, do_Hessian=False, dgdf=None, d2gd2f=None, v=None):
    ...         dgdu = 2 * (torch.eye(3).expand(self.n_s, 3, 3) if dgdf is None else dgdf)
    ...         if not do_Hessian:
    ...             return dgdu, None
    ...         return dgdu, torch.zeros(self.n_s, 3, 3, 3) if d2gd2f is None else 4 * d2gd2f
    >>> f = net.NN(lay.singleLayer(2, 3), scaling(), lay.quadraticLayer(3, 2))
    >>> fx, dfdx, d2fd2x = f(torch.randn(10, 2), do_gradient=True, do_Hessian=True)
    >>> d2fd2x.shape
    torch.Size([10, 2, 2, 1])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __getstate__(self) -> dict[str, Any]:
        # what a forward pass left for its backward pass belongs to a graph, and is not copied or pickled
        return {**self.__dict__, "ctx": None} if "ctx" in self.__dict__ else self.__dict__.copy()

    def dim_input(self) -> int:
        """Number of input features."""
        raise NotImplementedError(f"{type(self).__name__} needs a method dim_input")

    def dim_output(self) -> int:
        """Number of output features."""
        raise NotImplementedError(f"{type(self).__name__} needs a method dim_output")

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
    ) -> tuple[Any, Any, Any]:
        r"""Maps features :math:`u(x)` to :math:`f(u(x))`, with derivatives with respect to :math:`x`.

        - **u** features of the layer before (n_s, n_in)
        - **do_gradient**, **do_Hessian**, **do_Laplacian**: which derivatives are computed
        - **forward_mode**: ``True`` for derivatives with respect to :math:`x`; ``False`` for those with respect to
          :math:`u`; ``None`` to leave them to a later call of `backward`
        - **dudx** (n_s, d, n_in) and **d2ud2x** (n_s, d, d, n_in), or (n_s, 1, n_in) for a Laplacian: derivatives of
          :math:`u` with respect to :math:`x`; by default :math:`x` is :math:`u`
        - **v** directions of :math:`x`, (k, d); with ``forward_mode=False``, of the output, (n_out, k)

        Returns **f** (n_s, n_out), **dfdx** (n_s, d, n_out) or ``None``, and **d2fd2x** (n_s, d, d, n_out), or the
        Laplacian (n_s, 1, n_out), or ``None``; with directions, k takes the place of d or n_out.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method forward")

    def backward(
        self,
        do_Hessian: bool = False,
        dgdf: Tensor | None = None,
        d2gd2f: Tensor | None = None,
        v: Tensor | None = None,
    ) -> tuple[Any, Any]:
        r"""Derivatives of :math:`g(f(u))` with respect to the :math:`u` of the last forward call.

        - **dgdf** (n_s, n_out, m) and **d2gd2f** (n_s, n_out, n_out, m): derivatives of :math:`g` with respect to the
          output of the layer; by default :math:`g` is the identity
        - **v** directions of the output, (m, k)

        Returns **dgdu** (n_s, n_in, m), and **d2gd2u** (n_s, n_in, n_in, m) or ``None``.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method backward")
