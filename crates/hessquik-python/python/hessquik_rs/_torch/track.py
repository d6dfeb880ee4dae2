"""Noticing that modules were changed: what was found out about a network holds as long as no module of ours changed."""

from __future__ import annotations

from typing import Any

from torch import nn

# one counter for all modules: any change of structure, anywhere, makes every network look at its layers again
epoch = [0]
_NOT_STRUCTURE = frozenset(("training", "ctx"))


def changed() -> None:
    """Tells every network that some module may have changed."""
    epoch[0] += 1


class Tracked(nn.Module):
    """A module that reports changes of its attributes, submodules and hooks; weights are compared elsewhere."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name not in _NOT_STRUCTURE:
            epoch[0] += 1

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        changed()

    def __getstate__(self) -> dict[str, Any]:
        # what a forward pass left for its backward pass belongs to a graph, and is not copied or pickled
        state = self.__dict__.copy()
        if "ctx" in state:
            state["ctx"] = None
        return state

    def add_module(self, name: str, module: nn.Module | None) -> None:
        super().add_module(name, module)
        changed()

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        super().register_parameter(name, param)
        changed()

    def register_forward_hook(self, *args: Any, **kwargs: Any) -> Any:
        changed()
        return super().register_forward_hook(*args, **kwargs)

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        changed()
        return super().register_forward_pre_hook(*args, **kwargs)

    def register_full_backward_hook(self, *args: Any, **kwargs: Any) -> Any:
        changed()
        return super().register_full_backward_hook(*args, **kwargs)

    def register_full_backward_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        changed()
        return super().register_full_backward_pre_hook(*args, **kwargs)

    def register_backward_hook(self, *args: Any, **kwargs: Any) -> Any:
        changed()
        return super().register_backward_hook(*args, **kwargs)


def hooked(module: nn.Module) -> bool:
    """Whether calling the module does more than its forward method."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )
