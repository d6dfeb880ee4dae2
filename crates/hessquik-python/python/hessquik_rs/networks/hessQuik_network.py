"""Networks, and two wrappers that differentiate a network by automatic differentiation instead."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.autograd.functional import hessian

from .._torch import propagate
from .._torch.arguments import no_others, one_second_order
from .._torch.engine import Detour, of, say
from .._torch.explain import explain
from .._torch.native import Jet, Mode
from .._torch.structure import Structure, json
from .._torch.weights import without_prefix
from .stacked import check_layers


class NN(nn.Sequential):
    r"""Layers one after another; itself a layer, so networks nest.

    - **args** layers and networks; each has as many inputs as the previous one has outputs

    >>> import torch, hessquik_rs.activations as act, hessquik_rs.layers as lay, hessquik_rs.networks as net
    >>> f = net.NN(lay.singleLayer(10, 32, act.antiTanhActivation()),
    ...            lay.resnetLayer(32, h=1.0, act=act.softplusActivation()),
    ...            lay.singleLayer(32, 64, act.quadraticActivation()))
    >>> x = torch.randn(20, 10)
    >>> fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([20, 64]) torch.Size([20, 10, 64]) torch.Size([20, 10, 10, 64])
    >>> _, _, laplacian = f(x, do_gradient=True, do_Laplacian=True)
    >>> bool(torch.allclose(laplacian[:, 0], d2fd2x.diagonal(dim1=1, dim2=2).sum(-1), atol=1e-4))
    True
    """

    def __init__(self, *args: Any) -> None:
        layers = list(args[0].values()) if len(args) == 1 and isinstance(args[0], dict) else list(args)
        check_layers(layers)
        super().__init__(*args)
        self.ctx: propagate.Kept | None = None
        self._structure = Structure()

    def __getstate__(self) -> dict[str, Any]:
        # what a forward pass left for its backward pass belongs to a graph, and is not copied or pickled
        return {**self.__dict__, "ctx": None}

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """As that of :class:`torch.nn.Module`; the prefix ``module.`` that DistributedDataParallel puts before all
        names is removed, with a warning."""
        return super().load_state_dict(without_prefix(self, state_dict), *args, **kwargs)

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return NN(*list(self)[idx])
        return super().__getitem__(idx)

    def dim_input(self) -> int:
        """Number of input features."""
        return int(self[0].dim_input())

    def dim_output(self) -> int:
        """Number of output features."""
        return int(self[-1].dim_output())

    def setup_forward_mode(self, **kwargs: Any) -> bool | None:
        r"""The default of ``forward_mode`` in calls: ``True`` if :math:`n_{in} < n_{out}`, else ``False``.

        - ``True``: the directions `v` are those of the input
        - ``False``: the directions `v` are those of the output
        - ``None``: derivatives are left to a later call of `backward`, so that networks can be composed

        How derivatives are computed does not depend on this: the cheapest plan is found for each kind of call, and
        every plan gives the same numbers. ``mode="forward"``, ``"backward"`` or ``"sites"`` forces one; see `explain`.
        """
        if "forward_mode" in kwargs:
            mode: bool | None = kwargs["forward_mode"]
            return mode
        return self.dim_input() < self.dim_output()

    if TYPE_CHECKING:

        def __call__(
            self,
            x: Tensor,
            do_gradient: bool = ...,
            do_Hessian: bool = ...,
            do_Laplacian: bool = ...,
            dudx: Tensor | None = ...,
            d2ud2x: Tensor | None = ...,
            v: Tensor | None = ...,
            *,
            forward_mode: bool | None = ...,
            mode: Mode = ...,
        ) -> Jet: ...

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        do_gradient: bool = False,
        do_Hessian: bool = False,
        do_Laplacian: bool = False,
        dudx: Tensor | None = None,
        d2ud2x: Tensor | None = None,
        v: Tensor | None = None,
        **kwargs: Any,
    ) -> Jet:
        r"""Value and derivatives.

        - **x** points (n_s, d)
        - **do_gradient**, **do_Hessian**, **do_Laplacian**: which derivatives are computed; one of the last two
        - **dudx** (n_s, d, n_in) and **d2ud2x** (n_s, d, d, n_in): derivatives of the features in `x` with respect to
          the input of an outer network
        - **v** directions of the input (k, d), or with ``forward_mode=False`` of the output (m, k)
        - **forward_mode** see `setup_forward_mode`
        - **mode** ``"auto"`` (default), ``"forward"``, ``"backward"`` or ``"sites"``

        Returns **f** (n_s, m), **dfdx** (n_s, d, m) or ``None``, and **d2fd2x** (n_s, d, d, m), or the Laplacian
        (n_s, 1, m), or ``None``; with directions, k takes the place of d or m.
        """
        if kwargs:
            check_keywords(f"{type(self).__name__}.forward", kwargs)
        # a call that says nothing about modes keeps nothing for a backward call either
        forward_mode = self.setup_forward_mode(**kwargs) if kwargs or v is not None else True
        mode = kwargs.get("mode", "auto")
        if propagate.look(self, x, do_gradient, do_Hessian, do_Laplacian, forward_mode, mode).blocks is None:
            return propagate.forward(
                self, x, do_gradient, do_Hessian, do_Laplacian, forward_mode, dudx, d2ud2x, v, mode
            )
        return self._composed(x, do_gradient, do_Hessian, do_Laplacian, dudx, d2ud2x, v, **kwargs)

    def _composed(
        self,
        x: Tensor,
        do_gradient: bool,
        do_Hessian: bool,
        do_Laplacian: bool,
        dudx: Tensor | None,
        d2ud2x: Tensor | None,
        v: Tensor | None,
        **kwargs: Any,
    ) -> Jet:
        """A network with layers of users' own: block by block, in hessQuik's protocol."""
        one_second_order(do_Hessian, do_Laplacian)
        if not torch.compiler.is_compiling():
            structure = of(self)
            say(structure, Detour(f"{structure.reason}, so the network is evaluated layer by layer"))
        forward_mode = self.setup_forward_mode(**kwargs)
        if do_Laplacian:
            forward_mode = True
            if not all("do_Laplacian" in inspect.signature(b.forward).parameters for b in self._blocks()):
                f, df, d2f = self._composed(x, True, True, False, dudx, None, v, forward_mode=True)
                assert d2f is not None
                return f, df, d2f.diagonal(dim1=1, dim2=2).sum(-1, keepdim=True).mT
        options: dict[str, Any] = {"do_gradient": do_gradient, "do_Hessian": do_Hessian}
        if do_Laplacian:
            options["do_Laplacian"] = True
        if v is not None:
            options["v"] = v
        for block in self._blocks():
            x, dudx, d2ud2x = block(
                x, dudx=dudx, d2ud2x=d2ud2x, forward_mode=True if forward_mode is True else None, **options
            )
            if forward_mode is True:
                options.pop("v", None)
        if (do_gradient or do_Hessian) and forward_mode is False:
            dudx, d2ud2x = self.backward(do_Hessian=do_Hessian, v=v)
        return x, dudx, d2ud2x

    def _blocks(self) -> list[Any]:
        """Layers of users' own, and networks of the layers between them."""
        blocks = of(self).blocks
        assert blocks is not None
        return blocks

    def backward(
        self,
        do_Hessian: bool = False,
        dgdf: Tensor | None = None,
        d2gd2f: Tensor | None = None,
        v: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        r"""Derivatives of :math:`g(f(x))` with respect to the :math:`x` of the last forward call.

        - **dgdf** (n_s, n_out, m) and **d2gd2f** (n_s, n_out, n_out, m): derivatives of :math:`g` with respect to the
          output of the network; by default :math:`g` is the identity
        - **v** directions of the output, (m, k)

        Returns **dgdx** (n_s, d, m), and **d2gd2x** (n_s, d, d, m) or ``None``.
        """
        if kwargs:
            no_others(f"{type(self).__name__}.backward", {k: w for k, w in kwargs.items() if k != "mode"}, BACKWARD)
        if of(self).blocks is None:
            return propagate.backward(self, do_Hessian, dgdf, d2gd2f, v, kwargs.get("mode", "auto"))
        options = {} if v is None else {"v": v}
        for block in reversed(self._blocks()):
            dgdf, d2gd2f = block.backward(do_Hessian=do_Hessian, dgdf=dgdf, d2gd2f=d2gd2f, **options)
            options = {}
        return dgdf, d2gd2f

    def architecture(self) -> str:
        """The network without its weights, as in the metadata `architecture` of a model file.

        >>> import hessquik_rs.layers as lay, hessquik_rs.networks as net
        >>> net.NN(lay.quadraticLayer(3, 2)).architecture()
        '{"type": "network", "layers": [{"type": "quadratic", "in_features": 3, "rank": 2}]}'
        """

        def describe(module: Any) -> dict[str, Any]:
            if isinstance(module, NN):
                return {"type": "network", "layers": [describe(child) for child in module]}
            description: dict[str, Any] | None = module.architecture() if hasattr(module, "architecture") else None
            if description is None or description.get("act", 0) is None:
                raise ValueError(f"model files cannot describe the layer {module}")
            return description

        return json(describe(self))

    def explain(self, x: Tensor | int, do_Hessian: bool = True, do_Laplacian: bool = False, mode: Mode = "auto") -> str:
        """How points `x` (n_s, d) are evaluated, by the engine or in torch operations, and why; how second derivatives
        are computed, the cost, and the alternatives. A number of points instead of `x` gives only the plan and costs.

        >>> import torch, hessquik_rs.networks as net
        >>> f = net.fullyConnectedNN([784, 64, 64, 10])
        >>> print(f.explain(torch.zeros(1000, 784)).splitlines()[0])
        evaluated by the engine, in torch.float32
        >>> "pivots" in f.explain(1000)
        True
        """
        return explain(of(self), x, do_Hessian, do_Laplacian, mode)


BACKWARD = ("do_Hessian", "dgdf", "d2gd2f", "v", "mode")


def check_keywords(function: str, keywords: dict[str, Any]) -> None:
    """Refuses keywords that a forward call of a network does not have."""
    unknown = {k: v for k, v in keywords.items() if k not in ("forward_mode", "mode")}
    no_others(function, unknown, propagate.KEYWORDS)


def ignored_keywords(function: str, keywords: dict[str, Any]) -> None:
    """Refuses keywords that a wrapper of automatic differentiation does not have; `forward_mode` means nothing to
    it."""
    unknown = {k: v for k, v in keywords.items() if k != "forward_mode"}
    no_others(function, unknown, ("do_gradient", "do_Hessian", "forward_mode"))


class NNPytorchAD(nn.Module):
    r"""Derivatives of a network by ``torch.autograd.grad``, one entry after another; the implementation follows that of
    `CP Flow <https://github.com/CW-Huang/CP-Flow>`_.

    >>> import torch, hessquik_rs.networks as net
    >>> f = net.fullyConnectedNN([3, 8, 2])
    >>> fx, dfdx, d2fd2x = net.NNPytorchAD(f)(torch.randn(10, 3), do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 2]) torch.Size([10, 3, 2]) torch.Size([10, 3, 3, 2])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, do_gradient: bool = False, do_Hessian: bool = False, **kwargs: Any) -> Jet:
        """Value (n_s, m), gradient (n_s, d, m) and Hessian (n_s, d, d, m), or ``None``; `forward_mode` is ignored."""
        ignored_keywords(f"{type(self).__name__}.forward", kwargs)
        if not (do_gradient or do_Hessian):
            return self.net(x)[0], None, None
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            if not x.requires_grad:
                x = x.detach().requires_grad_()
            f = self.net(x)[0]
            df = torch.stack([derivative(f[:, j], x) for j in range(f.shape[1])], dim=-1)
            d2f = None
            if do_Hessian:
                rows = [derivative(r, x) for r in df.reshape(x.shape[0], -1).unbind(1)]
                d2f = torch.stack(rows, dim=-1).reshape(*x.shape, x.shape[1], f.shape[1])
        results = (f, df, d2f)
        if differentiable:
            return results
        return f.detach(), df.detach(), None if d2f is None else d2f.detach()


def derivative(f: Tensor, x: Tensor) -> Tensor:
    """The gradient (n_s, d) of one output (n_s), to be differentiated again; zero where it is constant."""
    if f.requires_grad:
        g = grad(f.sum(), x, create_graph=True, allow_unused=True)[0]
        if g is not None:
            return g
    return torch.zeros_like(x)


class NNPytorchHessian(nn.Module):
    r"""Derivatives of a network with one output by ``torch.autograd.functional.hessian``.

    >>> import torch, hessquik_rs.networks as net
    >>> f = net.fullyConnectedNN([3, 8, 1])
    >>> fx, dfdx, d2fd2x = net.NNPytorchHessian(f)(torch.randn(10, 3), do_gradient=True, do_Hessian=True)
    >>> print(fx.shape, dfdx.shape, d2fd2x.shape)
    torch.Size([10, 1]) torch.Size([10, 3, 1]) torch.Size([10, 3, 3, 1])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, do_gradient: bool = False, do_Hessian: bool = False, **kwargs: Any) -> Jet:
        """Value (n_s, 1), gradient (n_s, d, 1) and Hessian (n_s, d, d, 1), or ``None``; `forward_mode` is ignored."""
        ignored_keywords(f"{type(self).__name__}.forward", kwargs)
        df = d2f = None
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            if (do_gradient or do_Hessian) and not x.requires_grad:
                x = x.detach().requires_grad_()
            f = self.net(x)[0]
            if f.squeeze().ndim > 1:
                raise ValueError(f"{type(self).__name__} must have scalar outputs per example, found {list(f.shape)}")
            if do_gradient:
                df = grad(f.sum(), x, retain_graph=True)[0].unsqueeze(-1)
            if do_Hessian:
                d2f = hessian(lambda x: self.net(x)[0].sum(), x).sum(dim=2).unsqueeze(-1)
        return f if differentiable else f.detach(), df, d2f
