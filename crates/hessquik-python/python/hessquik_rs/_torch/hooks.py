"""Forward hooks of modules inside a network that the engine evaluates as a whole: they are called with what they would
have seen. One that returns something else, or writes into what it sees, changes the results, and the network is then
evaluated module by module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from .engine import at
from .membership import forward_hooked, hooks_matter
from .native import GRADIENT, HESSIAN, VALUE, Call, Jet
from .structure import Structure
from .watch import global_hooks


class Asked(NamedTuple):
    """The arguments of a call that modules inside would be called with."""

    x: Tensor
    results: int
    forward_mode: bool | None
    mode: str

    def options(self) -> dict[str, Any]:
        """As keywords."""
        return {
            "do_gradient": bool(self.results & GRADIENT),
            "do_Hessian": bool(self.results & HESSIAN),
            "forward_mode": True if self.forward_mode is True else None,
        }


def only_look(structure: Structure, module: nn.Module, asked: Asked) -> bool:
    """Calls all forward hooks of the modules inside. Whether none of them changed anything; else the module whose hook
    did is marked, and its hooks are called with it from then on."""
    from ..layers import formLayer

    for inside, before, after in _visits(module, structure, asked, [0], top=True):
        if not _looked(inside, before, after):
            if isinstance(inside, formLayer) and not any(inside is layer for layer in structure.layers):
                raise RuntimeError(
                    f"a forward hook of the {type(inside).__name__} inside another layer changes its results, "
                    f"which that "
                    "layer does not look at: register the hook on the outer layer"
                )
            inside.__dict__["_alters"] = {*inside._forward_hooks, *inside._forward_pre_hooks}
            structure.watch = None
            return False
    return True


def _visits(module: Any, structure: Structure, asked: Asked, at_layer: list[int], top: bool = False) -> Iterator[Any]:
    """The modules with hooks in the order of evaluation, each twice: with its input, and with its output as well."""
    from ..layers import formLayer
    from ..networks import NN

    hooked = not top and _wants_a_look(module)
    start = at_layer[0]
    if hooked:
        yield module, _before(structure, asked, start), None
    if isinstance(module, NN):
        for child in module._modules.values():
            yield from _visits(child, structure, asked, at_layer)
    else:
        yield from _inside(module, structure, asked, start)
        at_layer[0] += 1
    if hooked:
        after = _jet(structure, asked, structure.layers[: at_layer[0]])
        yield module, _before(structure, asked, start), after
    assert isinstance(module, (NN, formLayer))


def _wants_a_look(module: nn.Module) -> bool:
    return not hooks_matter(module) and (forward_hooked(module) or global_hooks())


def _inside(layer: Any, structure: Structure, asked: Asked, index: int) -> Iterator[Any]:
    """The layers and activations inside a layer."""
    from ..layers import formLayer

    for inner in layer.modules():
        if inner is layer or not _wants_a_look(inner):
            continue
        if isinstance(inner, formLayer):
            before = _before(structure, asked, index)
            yield inner, before, None
            yield inner, before, _jet(structure, asked, [*structure.layers[:index], inner])
        elif hasattr(inner, "compute_derivatives"):
            u = _before(structure, asked, index)[0][0]
            form = structure.sources[index].forms(structure.sources[index].weights())[0]
            z = u @ form.M if form.b is None else u @ form.M + form.b
            options = asked.options()
            yield inner, ((z,), options), None
            yield inner, ((z,), options), inner.forward(z, **options)


def _before(structure: Structure, asked: Asked, index: int) -> tuple[tuple[Tensor], dict[str, Any]]:
    """What the layer of this index is called with."""
    if index == 0:
        return (asked.x,), asked.options()
    u, dudx, d2ud2x = _jet(structure, asked, structure.layers[:index])
    assert u is not None
    options = asked.options()
    if dudx is not None:
        options |= {"dudx": dudx, "d2ud2x": d2ud2x}
    return (u,), options


def _jet(structure: Structure, asked: Asked, layers: list[Any]) -> Jet:
    """What these layers, one after another, give: derivatives only where they are carried forward."""
    head = Structure()
    head._describe(layers)
    head.warned = structure.warned
    results = asked.results if asked.forward_mode is True else VALUE
    return at(head, asked.x, head.weights(), Call(results, mode=asked.mode))


def _looked(module: nn.Module, before: tuple[tuple[Any, ...], dict[str, Any]], output: Any) -> bool:
    """Calls the hooks of a module before its call, or, given its output, those after it. Whether they only looked."""
    (args, options), only = before, True
    seen = [t for t in (*args, *(output or ())) if isinstance(t, Tensor)]
    versions = [t._version for t in seen]
    if output is None:
        own: Any = module._forward_pre_hooks
        with_options, everywhere = module._forward_pre_hooks_with_kwargs, nn_module._global_forward_pre_hooks
    else:
        own = module._forward_hooks
        with_options, everywhere = module._forward_hooks_with_kwargs, nn_module._global_forward_hooks
    for number, hook in (*everywhere.items(), *own.items()):
        given: tuple[Any, ...] = (module, args, options) if number in with_options else (module, args)
        result = hook(*given) if output is None else hook(*given, output)
        only = only and result is None
    return only and versions == [t._version for t in seen]
