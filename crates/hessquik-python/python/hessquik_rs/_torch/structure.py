"""What a module is made of: its layers of the one form, its weights, and what the engine calls them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import _native
from .form import Form
from .sites import Plan
from .track import epoch, hooked

if TYPE_CHECKING:
    from ..layers import formLayer

# the results of a call, as the native module reads them
VALUE, GRADIENT, HESSIAN, LAPLACIAN = 1, 2, 4, 8


class Attribute:
    """A weight that is not a plain parameter (parametrized, pruned): read as the attribute it is."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = getattr(self.module, name)
        return tensor


class Structure:
    """What was found out about a module, valid until some module of ours changes; never copied or pickled with it.

    - **blocks** ``None`` if all layers have the one form; else layers of users' own, and networks of the ones between
    - **layers** with nested networks flattened
    - **slots** where each weight is, in the order of the engine
    - **planner** the architecture as model files describe it, where activations unknown to the engine are some other;
      ``None`` if a layer is unknown
    - **architecture** the same, ``None`` if an activation is unknown as well
    """

    def __init__(self) -> None:
        self.epoch = -1
        self.blocks: list[Any] | None = None
        self.layers: list[formLayer] = []
        self.present: list[list[bool]] = []
        self.slots: list[tuple[Any, str]] = []
        self.planner: str | None = None
        self.architecture: str | None = None
        self.dims = (0, 0)
        self.networks: dict[torch.dtype, _native.TorchNetwork] = {}
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self.shapes: list[tuple[int, ...]] | None = None

    def __reduce__(self) -> tuple[type[Structure], tuple[()]]:
        return Structure, ()

    def inspected(self, module: nn.Module) -> Structure:
        """The structure of the module after some module of ours changed, with what still holds of this one.

        This one stays as it is, for backward passes that are to come.
        """
        new = Structure()
        members = list(flattened(module, top=True))
        if members == [module] or all(fits(m) for m in members):
            new._describe(members)
            if new.architecture == self.architecture and new.planner == self.planner:
                new.networks, new.plans, new.shapes = self.networks, self.plans, self.shapes
        elif torch.compiler.is_compiling():
            new.blocks = members
        elif self.blocks is not None and [m for b in self.blocks for m in flattened(b)] == members:
            new.blocks = self.blocks  # which remember the last forward call
        else:
            new.blocks = blocks(members)
        new.epoch = epoch[0]
        return new

    def _describe(self, layers: list[formLayer]) -> None:
        parts = [layer.architecture() for layer in layers]
        if all(p is not None for p in parts):
            known = all(p.get("act", 0) is not None for p in parts if p is not None)
            inner = [m for layer in layers for m in layer.modules() if m is not layer]
            self.planner = json({"type": "network", "layers": [any_act(p) for p in parts if p is not None]})
            self.architecture = self.planner if known and not any(hooked(m) for m in inner) else None
        self.layers = layers
        for layer in layers:
            places = [place(layer, name) for name in layer.names]
            self.present.append([p is not None for p in places])
            self.slots += [p for p in places if p is not None]
        self.dims = (layers[0].dim_input(), layers[-1].dim_output()) if layers else (0, 0)

    def weights(self) -> list[Tensor]:
        """The weights as they are now."""
        return [holder[name] for holder, name in self.slots]

    def forms(self, weights: Sequence[Tensor]) -> list[Form]:
        """The layers with these weights in the one form."""
        rest = iter(weights)
        return [
            layer.form(*[next(rest) if there else None for there in present])
            for layer, present in zip(self.layers, self.present, strict=True)
        ]

    def network(self, dtype: torch.dtype) -> _native.TorchNetwork:
        """The engine's network of this precision."""
        network = self.networks.get(dtype)
        if network is None:
            assert self.architecture is not None
            network = self.networks[dtype] = _native.TorchNetwork(self.architecture, dtype == torch.float64)
            self.shapes = [tuple(shape) for _, shape in network.weight_shapes()]
        return network

    def plan(self, results: int, k: int, q: int, mode: str) -> Plan:
        """The plan that the engine has for these results along k input and q output directions."""
        depth = len(self.layers)
        if not results & (HESSIAN | LAPLACIAN):
            return Plan(depth) if k < q else Plan()
        if self.planner is None:  # a form that the engine does not know
            forced = {"forward": Plan(depth), "backward": Plan(0, tuple(range(1, depth))), "sites": Plan()}
            return forced.get(mode, Plan(depth) if k < q else Plan())
        if torch.compiler.is_compiling():
            return Plan(*planned(self.planner, results, k, q, mode))
        key = (results, k, q, mode)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = Plan(*planned(self.planner, results, k, q, mode))
        return plan


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def planned(architecture: str, results: int, k: int, q: int, mode: str) -> tuple[int, tuple[int, ...]]:
    """Prefix and pivots of the engine's plan."""
    prefix, pivots = _native.TorchNetwork(architecture, False).plan(results, k, q, mode)
    return prefix, tuple(pivots)


def json(value: Any) -> str:
    """JSON of dictionaries, lists, strings without quotes, numbers, ``None``; compilers do not trace the library's."""
    if isinstance(value, dict):
        return "{" + ", ".join([f'"{k}": {json(v)}' for k, v in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([json(v) for v in value]) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def any_act(description: dict[str, Any]) -> dict[str, Any]:
    """The description of a layer, with some activation if its own is unknown."""
    return description if description.get("act", 0) is not None else {**description, "act": {"type": "tanh"}}


def flattened(module: nn.Module, top: bool = False) -> Iterator[Any]:
    """The layers of a network, of networks in it, and so on; a layer itself."""
    from ..networks import NN

    plain = (
        type(module).forward is NN.forward
        and getattr(type(module), "backward", None) is NN.backward
        and not hooked(module)
    )
    if isinstance(module, NN) and (top or plain):
        for child in module._modules.values():  # children() leaves out what is there twice
            yield from flattened(child)
    else:
        yield module


def fits(module: nn.Module) -> bool:
    """Whether a layer is its form and nothing else: no forward pass of a user's own, no hooks."""
    from ..layers import formLayer

    plain = type(module).forward is formLayer.forward and getattr(type(module), "backward", None) is formLayer.backward
    return isinstance(module, formLayer) and plain and not hooked(module)


def blocks(members: list[Any]) -> list[Any]:
    """Layers of users' own, and the runs of others between them as networks."""
    from ..networks import NN

    found: list[Any] = []
    run: list[Any] = []
    for m in [*members, None]:
        if m is not None and fits(m):
            run.append(m)
            continue
        if run:
            found.append(NN(*run))
        run = []
        if m is not None:
            found.append(m)
    return found


def place(layer: nn.Module, name: str) -> tuple[Any, str] | None:
    """Where the weight of this name is kept; ``None`` if the layer does without it."""
    *path, last = name.split(".")
    for part in path:
        layer = getattr(layer, part)
    if last in layer._parameters:
        return None if layer._parameters[last] is None else (layer._parameters, last)
    return Attribute(layer), last
