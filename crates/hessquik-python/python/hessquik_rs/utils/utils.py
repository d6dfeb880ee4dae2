"""Weights as one vector, attributes by path, numbers for printed tables."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log2
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module


def module_getattr(obj: Any, names: Sequence[str] | str) -> Any:
    """The attribute of a module at the end of a path of names.

    >>> import hessquik_rs.networks as net
    >>> from hessquik_rs.utils import module_getattr
    >>> module_getattr(net.resnetNN(4, 2), ("1", "layer", "K")).shape
    torch.Size([4, 4])
    """
    for name in [names] if isinstance(names, str) else names:
        obj = getattr(obj, name)
    return obj


def module_setattr(obj: Any, names: Sequence[str] | str, val: Any) -> None:
    """Sets the attribute of a module at the end of a path of names.

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils import module_setattr
    >>> f = net.resnetNN(4, 2)
    >>> module_setattr(f, ("1", "layer", "K", "data"), torch.zeros(4, 4))
    >>> f[1].layer.K.abs().max().item()
    0.0
    """
    path = [names] if isinstance(names, str) else list(names)
    setattr(module_getattr(obj, path[:-1]), path[-1], val)


def extract_data(net: Module, attr: str = "data") -> Tensor:
    """All weights as one vector (n), or another attribute of each, such as ``grad``, where ``None`` counts as zeros.

    >>> import hessquik_rs.layers as lay
    >>> from hessquik_rs.utils import extract_data
    >>> extract_data(lay.singleLayer(4, 7)).shape
    torch.Size([35])
    """
    parts = []
    for w in net.parameters():
        part = getattr(w, attr)
        parts.append((torch.zeros_like(w.data) if part is None else part).reshape(-1))
    return torch.cat(parts) if parts else torch.empty(0)


def insert_data(net: Module, theta: Tensor) -> None:
    """Sets all weights from one vector (n), which is copied.

    >>> import hessquik_rs.layers as lay
    >>> from hessquik_rs.utils import extract_data, insert_data
    >>> f = lay.singleLayer(4, 7)
    >>> insert_data(f, 2 * extract_data(f))
    """
    n = sum(w.numel() for w in net.parameters())
    if theta.dim() != 1 or theta.numel() != n:
        raise ValueError(f"theta has shape {list(theta.shape)}, wanted [{n}]")
    at = 0
    with torch.no_grad():
        for w in net.parameters():
            w.copy_(theta[at : at + w.numel()].view(w.shape))
            at += w.numel()


def convert_to_base(a: Sequence[float], b: float = 2.0) -> tuple[Any, ...]:
    """Each number as a factor in [1, b) and an exponent of `b`; (-1, 0) if it is not positive.

    >>> from hessquik_rs.utils import convert_to_base
    >>> convert_to_base((12.0, 0.25))
    (1.5, 3, 1.0, -2)
    """
    outputs: tuple[Any, ...] = ()
    for number in a:
        if number <= 0:
            outputs += (-1, 0)
            continue
        power = log2(number) / log2(b)
        outputs += (b ** (power - floor(power)), floor(power))
    return outputs
