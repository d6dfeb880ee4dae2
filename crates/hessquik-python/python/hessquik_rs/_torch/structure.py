"""What a module is made of: its layers of the one form, its weights, and what the engine calls them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import _native
from .form import Form
from .membership import fits, flattened, forward_hooked, unknown
from .native import GRADIENT as GRADIENT
from .native import HESSIAN as HESSIAN
from .native import LAPLACIAN as LAPLACIAN
from .native import VALUE as VALUE
from .sites import Plan
from .source import Source
from .watch import watch

if TYPE_CHECKING:
    from ..layers import formLayer


class Structure:
    """What was found out about a module, until something that it holds changes; never copied or pickled with it.

    - **blocks** ``None`` if all layers have the one form; else layers of users' own, and networks of the ones between
    - **layers** with nested networks flattened
    - **sources** where the weights and the form of each layer come from
    - **planner** the architecture as model files describe it, where activations unknown to the engine are some other;
      ``None`` if a layer is unknown
    - **architecture** the same, ``None`` if an activation or a setting is unknown as well, for the **reason** given
    - **hooked** whether modules inside have forward hooks
    - **warned** the reasons for leaving the engine that were named already
    """

    def __init__(self) -> None:
        self.watch: _native.Watch | None = None
        self.blocks: list[Any] | None = None
        self.layers: list[formLayer] = []
        self.sources: list[Source] = []
        self.planner: str | None = None
        self.architecture: str | None = None
        self.reason: str | None = None
        self.dims = (0, 0)
        self.networks: dict[torch.dtype, _native.TorchNetwork] = {}
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self.shapes: list[tuple[int, ...]] | None = None
        self.hooked = False
        self.warned: set[str] = set()

    def __reduce__(self) -> tuple[type[Structure], tuple[()]]:
        return Structure, ()

    def holds(self) -> bool:
        """Whether the module is still what was looked at."""
        return self.watch is not None and self.watch.unchanged() and all(s.holds() for s in self.sources)

    def inspected(self, module: nn.Module) -> Structure:
        """The structure of the module as it is now, with what still holds of this one.

        This one stays as it is, for backward passes that are to come.
        """
        new = Structure()
        new.warned = self.warned
        members = list(flattened(module, top=True))
        if members == [module] or all([fits(m) for m in members]):
            new._describe(members)
            if new.architecture == self.architecture and new.planner == self.planner:
                new.networks, new.plans, new.shapes = self.networks, self.plans, self.shapes
        else:
            new.reason = next(unknown(m) for m in members if not fits(m))
            members = list(flattened(module, top=True, whole=True))
            if torch.compiler.is_compiling():
                new.blocks = members
            elif self.blocks is not None and _same([m for b in self.blocks for m in _members(b)], members):
                new.blocks = self.blocks  # which remember the last forward call
            else:
                new.blocks = blocks(members)
        if not torch.compiler.is_compiling():
            # layers of users' own keep what they like in their attributes
            inside = list(_watched(module))
            new.hooked = any(forward_hooked(m) for m in inside if m is not module)
            new.watch = watch(inside)
        return new

    def _describe(self, layers: list[formLayer]) -> None:
        self.layers = layers
        self.sources = [Source(layer) for layer in layers]
        parts = [part for source in self.sources for part in source.parts]
        if all([s.known for s in self.sources]):
            self.planner = json({"type": "network", "layers": [any_act(p) for p in parts]})
            reasons = [s.reason for s in self.sources if s.reason is not None]
            if reasons:
                self.reason = reasons[0]
            else:
                self.architecture = self.planner
        else:
            self.reason = next(s.reason for s in self.sources if not s.known)
        self.dims = (layers[0].dim_input(), layers[-1].dim_output()) if layers else (0, 0)

    def weights(self) -> list[Tensor]:
        """The weights as they are now."""
        weights: list[Tensor] = []
        for source in self.sources:
            weights += source.weights()
        return weights

    def forms(self, weights: Sequence[Tensor]) -> list[Form]:
        """The layers with these weights in the one form."""
        forms: list[Form] = []
        start = 0
        for source in self.sources:
            n = source.count()
            forms += source.forms(weights[start : start + n])
            start += n
        return forms

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
        check_mode(mode)
        depth = sum([len(s.parts) for s in self.sources])
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


MODES = ("auto", "forward", "backward", "sites")


def check_mode(mode: str) -> None:
    """Whether there is such a mode."""
    if mode not in MODES:
        from .arguments import meant

        raise ValueError(f"unknown mode {mode!r}, expected {', '.join(MODES)}{meant(mode, MODES)}")


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
    # written like this, compilers take a number as it is now, and compile anew for another one
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def any_act(description: dict[str, Any]) -> dict[str, Any]:
    """The description of a layer, with some activation if its own is unknown."""
    return description if description.get("act", 0) is not None else {**description, "act": {"type": "tanh"}}


def _watched(module: nn.Module) -> Iterator[nn.Module]:
    """A network or layer of the one form, and what it is made of; of other layers nothing."""
    from ..layers import formLayer
    from ..networks import NN

    yield module
    for child in module._modules.values():
        if isinstance(module, NN) and not isinstance(child, (NN, formLayer)):
            continue
        if child is not None:
            yield from _watched(child)


def _members(block: Any) -> list[Any]:
    """The layers of a block that `blocks` has made, or the one that it is."""
    return list(block._modules.values()) if getattr(block, "_made", False) else [block]


def _same(found: list[Any], wanted: list[Any]) -> bool:
    return len(found) == len(wanted) and all([a is b for a, b in zip(found, wanted, strict=True)])


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
            found[-1].__dict__["_made"] = True
        run = []
        if m is not None:
            found.append(m)
    return found
