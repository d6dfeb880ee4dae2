"""What a module holds beside parameters and buffers, so that a graph of it is made anew when that changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .watch import BACKWARD_HOOKS, FORWARD_HOOKS

INTERNAL = frozenset(nn.Module().__dict__) - {"training"}
"""Attributes that every module has."""

HOOKS = FORWARD_HOOKS + BACKWARD_HOOKS

PLAIN = frozenset([bool, int, float, complex, str, type(None), torch.dtype, torch.device])
"""Types of settings that are told apart by what they are."""


def held(module: nn.Module) -> tuple[Any, ...]:
    """The parts of a module with their settings and hooks; equal where a graph of the module stays what it is.

    Parameters and buffers are left out but for which there are: they are read at every call. So are other tensors,
    which forward methods may leave behind.
    """
    found: list[Any] = []
    for part in module.modules():
        state = part.__dict__
        found += [part, type(part)]
        found += [(name, plain(value)) for name, value in state.items() if name not in INTERNAL]
        found.append(tuple([name for name, p in state["_parameters"].items() if p is not None]))
        for name in HOOKS:
            if state[name]:
                found.append(tuple([plain(hook) for hook in state[name].values()]))
    return tuple(found)


def plain(value: Any) -> Any:
    """Something hashable that tells a setting from others."""
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if isinstance(value, Tensor):
        return Tensor
    if isinstance(value, list | tuple):
        return kind, tuple([plain(v) for v in value])
    if isinstance(value, dict):
        return kind, tuple([(name, plain(v)) for name, v in value.items()])
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


Held = tuple[dict[str, Any], str, Tensor]
"""The attributes of a module, the name of one, and the tensor that it was."""


def constants(module: nn.Module, slots: list[Any]) -> list[Held]:
    """Where the tensors that a graph has as constants are held, which are neither parameters nor buffers."""
    given = {id(slot) for slot in slots if isinstance(slot, Tensor)}
    found = []
    for part in module.modules() if given else ():
        state = part.__dict__
        found += [(state, name, value) for name, value in state.items() if id(value) in given]
    return found
