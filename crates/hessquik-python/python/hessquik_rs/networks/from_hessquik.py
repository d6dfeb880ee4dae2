"""Networks of hessQuik as networks of this package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..activations import antiTanhActivation
from ..activations.convert import of_hessquik
from ..layers import ICNNLayer, quadraticICNNLayer, quadraticLayer, resnetLayer, singleLayer
from .hessQuik_network import NN


def from_hessquik(f: nn.Module) -> Any:
    r"""The network or layer equivalent to one of hessQuik: the same values and derivatives, from copies of its weights.

    hessQuik's antiTanh is :math:`\ln\cosh x + \ln 2`; the one here is :math:`\ln\cosh x`. The constant moves exactly
    into the biases of the layers behind it (into `v` and `mu` of quadratic layers); a layer without a bias gets one. If
    there is no layer behind it, the activation keeps it, as ``antiTanhActivation(offset=math.log(2))``. hessQuik cuts
    off the derivatives of its softplus above the threshold; they are not cut off here.

    - **f** a network or layer of hessQuik: `NN`, `fullyConnectedNN`, `resnetNN`, `ICNN`, nested in any way, and layers

    >>> import torch, hessQuik.activations, hessQuik.layers, hessQuik.networks, hessquik_rs.networks as net
    >>> old = hessQuik.networks.NN(hessQuik.layers.singleLayer(2, 8, act=hessQuik.activations.antiTanhActivation()),
    ...                            hessQuik.layers.singleLayer(8, 1))
    >>> new = net.from_hessquik(old)
    >>> x = torch.randn(10, 2)
    >>> torch.allclose(new(x)[0], old(x)[0], atol=1e-5)
    True
    """
    with torch.no_grad():
        g = translated(f)
        fold(list(layers_of(g)))
    g.train(f.training)
    return g


def translated(f: nn.Module) -> Any:
    """The same modules with copies of the weights, every antiTanh with its offset."""
    kind = type(f)
    if not kind.__module__.startswith("hessQuik."):
        raise TypeError(
            f"found the module {kind.__name__} of {kind.__module__}, expected a network or layer of hessQuik: "
            f"layers of "
            "your own are subclasses of hessquik_rs.layers.hessQuikLayer or formLayer here, or go into a "
            "network as they are"
        )
    if isinstance(f, nn.Sequential):
        g: Any = NN(*[translated(child) for child in f])
    else:
        make = LAYERS.get(kind.__name__)
        if make is None:
            raise TypeError(f"found the layer {kind.__name__} of hessQuik, expected one of {', '.join(LAYERS)}")
        g = make(f)
        g.load_state_dict(f.state_dict())
        for old, new in zip(f.parameters(), g.parameters(), strict=True):
            new.requires_grad_(old.requires_grad)
    return g


def place_of(f: Any) -> dict[str, Any]:
    """Where the weights of a layer are, and of which type."""
    weight = next(f.parameters())
    return {"device": weight.device, "dtype": weight.dtype}


def _icnn(f: Any) -> ICNNLayer:
    g = ICNNLayer(
        f.input_dim, f.in_features, f.out_features, act=of_hessquik(f.act), bias=f.b is not None, **place_of(f)
    )
    g.nonneg = f.nonneg
    return g


def _quadratic_icnn(f: Any) -> quadraticICNNLayer:
    g = quadraticICNNLayer(f.input_dim, f.in_features, f.rank, **place_of(f))
    g.nonneg = f.nonneg
    return g


LAYERS: dict[str, Any] = {
    "singleLayer": lambda f: singleLayer(
        f.in_features, f.out_features, act=of_hessquik(f.act), bias=f.b is not None, **place_of(f)
    ),
    "resnetLayer": lambda f: resnetLayer(
        f.width, h=f.h, act=of_hessquik(f.layer.act), bias=f.layer.b is not None, **place_of(f)
    ),
    "ICNNLayer": _icnn,
    "quadraticLayer": lambda f: quadraticLayer(f.in_features, f.rank, **place_of(f)),
    "quadraticICNNLayer": _quadratic_icnn,
}


def layers_of(g: Any) -> Iterator[Any]:
    """The layers of a network, nested ones among them."""
    if isinstance(g, NN):
        for child in g:
            yield from layers_of(child)
    else:
        yield g


def fold(layers: list[Any]) -> None:
    """Takes the offsets of antiTanh out of activations, and adds what that changes to the biases of the layers
    behind."""
    takers = [i for i, layer in enumerate(layers) if not isinstance(layer, resnetLayer)]
    last = takers[-1] if takers else -1  # behind it nothing takes a constant
    shift: Tensor | None = None  # what the state lacks, (n), in double precision
    for i, layer in enumerate(layers):
        if shift is not None:
            take(layer, shift)
        inner = layer.layer if isinstance(layer, resnetLayer) else layer
        own = 0.0
        act = getattr(inner, "act", None)
        if isinstance(act, antiTanhActivation) and i < last:
            own, inner.act = float(act.offset), antiTanhActivation()
        shift = shift_behind(layer, shift, own)


def shift_behind(layer: Any, shift: Tensor | None, own: float) -> Tensor | None:
    """What the state behind a layer lacks, given what the one before lacks and what its activation lacks."""
    if isinstance(layer, resnetLayer):
        if own == 0:
            return shift
        step = torch.as_tensor(layer.h, dtype=torch.float64).detach() * own
        return step + (torch.zeros(layer.width, dtype=torch.float64) if shift is None else shift)
    if own == 0:
        return None
    shift = torch.zeros(layer.dim_output(), dtype=torch.float64)
    shift[: layer.out_features] = own  # behind it an ICNN layer hands its input along
    return shift


def take(layer: Any, shift: Tensor) -> None:
    """Adds what a shift of the state is worth to the bias of the layer that it comes to."""
    if isinstance(layer, quadraticLayer):
        A, v = layer.A.double().cpu(), layer.v.double().cpu()
        change = A @ shift
        add(layer.mu, v @ shift + 0.5 * change @ change)
        add(layer.v, A.mT @ change)
    elif isinstance(layer, quadraticICNNLayer):
        if layer.w is not None:
            add(layer.mu, layer.nonneg(layer.w.double()).cpu() @ shift[: layer.in_features])
    else:
        inner = layer.layer if isinstance(layer, resnetLayer) else layer
        K = inner.K.double().cpu()
        if isinstance(layer, ICNNLayer):
            L = torch.zeros(0, layer.out_features) if layer.L is None else layer.nonneg(layer.L.double()).cpu()
            K = torch.cat((L, K))
        if inner.b is None:
            inner.b = nn.Parameter(torch.zeros(K.shape[1], **place_of(inner)))
        add(inner.b, shift @ K)


def add(weight: Tensor, change: Tensor) -> None:
    """Adds in double precision, and rounds once."""
    weight.copy_((weight.double().cpu() + change).to(weight.dtype))
