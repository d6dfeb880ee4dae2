"""Noticing that modules were changed: before every evaluation, what a module holds is compared with what was looked
at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.nn.modules import module as nn_module

from .. import _native

# what changes without a change of structure: calls leave the first ones, and weights are read at every call anyway
IGNORED = ("training", "ctx", "points", "_structure", "_alters", "K", "b", "L", "w", "v", "mu", "A")
FORWARD_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")


def watch(modules: Iterable[nn.Module]) -> _native.Watch:
    """Watches the settings, the modules, the hooks of these modules, and which weights there are."""
    values: list[dict[str, Any]] = []
    presence: list[dict[str, Any]] = []
    for module in modules:
        state = module.__dict__
        values += [state, state["_modules"], *[state[name] for name in FORWARD_HOOKS + BACKWARD_HOOKS]]
        presence.append(state["_parameters"])
    return _native.Watch(values, presence, IGNORED)


def global_hooks() -> bool:
    """Whether there are hooks that are called before or after the forward method of every module."""
    return bool(nn_module._global_forward_hooks or nn_module._global_forward_pre_hooks)
