"""Which modules are what their descriptions say and nothing else, so that whole networks of them go to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from .watch import BACKWARD_HOOKS, FORWARD_HOOKS


def forward_hooked(module: nn.Module) -> bool:
    """Whether a module has hooks that are called before or after its forward method."""
    return any([len(getattr(module, name)) > 0 for name in FORWARD_HOOKS])


def backward_hook(module: nn.Module) -> bool:
    """Whether a module has hooks that want the gradients of its own inputs and outputs."""
    return any([len(getattr(module, name)) > 0 for name in BACKWARD_HOOKS])


def hooks_matter(module: nn.Module) -> bool:
    """Whether the hooks of a module have to be called with it: one was seen to change its results, or wants
    gradients."""
    alters = module.__dict__.get("_alters", ())
    return backward_hook(module) or any(
        [number in alters for name in FORWARD_HOOKS for number in getattr(module, name)]
    )


def apart(module: nn.Module) -> bool:
    """Whether a module has to be called as a module, for the sake of its hooks."""
    # compilers follow hooks where the module is called
    return hooks_matter(module) or (torch.compiler.is_compiling() and forward_hooked(module))


def own(module: nn.Module, names: tuple[str, ...]) -> str | None:
    """The first of these methods that somebody assigned to the very object."""
    for name in names:
        if name in module.__dict__:
            return name
    return None


def flattened(module: nn.Module, top: bool = False, whole: bool = False) -> Iterator[Any]:
    """The layers of a network, of networks in it, and so on; a layer itself. With `whole`, networks inside that have
    forward hooks stay whole."""
    from ..networks import NN

    plain = (
        type(module).forward is NN.forward
        and getattr(type(module), "backward", None) is NN.backward
        and own(module, ("forward", "backward")) is None
        and not apart(module)
        and not (whole and forward_hooked(module))
    )
    if isinstance(module, NN) and (top or plain):
        for child in module._modules.values():  # children() leaves out what is there twice
            if child is not None:
                yield from flattened(child, whole=whole)
    else:
        yield module


def fits(module: nn.Module) -> bool:
    """Whether a layer is its form and nothing else: no forward pass of a user's own, no hooks that matter."""
    return misfit(module) is None


def misfit(module: nn.Module) -> str | None:
    """Why a layer is not its form and nothing else."""
    from ..layers import formLayer
    from ..networks import NN

    kind = type(module).__name__
    if not isinstance(module, formLayer):
        if isinstance(module, NN):
            return f"the network {kind} inside has hooks, or a forward pass of its own"
        return f"the layer {kind} has a custom forward pass"
    if type(module).forward is not type(module)._forward or type(module).backward is not formLayer.backward:
        return f"the layer {kind} has a custom forward pass"
    name = own(module, ("forward", "backward"))
    if name is not None:
        return f"a function was assigned to {kind}.{name}"
    if apart(module):
        return f"the layer {kind} has a hook that changes its results, or wants gradients"
    return None


def unknown(module: nn.Module) -> str:
    """Why a network is evaluated layer by layer."""
    reason = misfit(module)
    return reason or f"the layer {type(module).__name__} has a hook that changes its results"
