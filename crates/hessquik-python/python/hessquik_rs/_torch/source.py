"""Where the weights and the form of a layer come from, and how the engine calls it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .form import Form, Map
from .membership import apart, own

if TYPE_CHECKING:
    from ..layers import formLayer

IDENTITY = {"type": "identity"}
_ACTIVATION = ("forward", "backward", "value", "compute_derivatives", "saves", "jet", "pointwise", "architecture")


class Attribute:
    """A weight that is not a plain parameter (parametrized, pruned): read as the attribute it is."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = getattr(self.module, name)
        return tensor


class Source:
    """One layer.

    - **parts** the layers of model files that it is: one, or two for a form with a matrix behind the activation
    - **known** whether it is made of such layers, where an activation may be unknown
    - **reason** why the engine cannot evaluate it; ``None`` if it can
    """

    def __init__(self, layer: formLayer) -> None:
        self.layer = layer
        self.places = [place(layer, name) for name in layer.names]
        self.reason: str | None = None
        self.signature: tuple[Any, ...] | None = None
        self.fresh: dict[int, Form] = {}
        described = layer.architecture() if plain(layer) else None
        if described is not None:
            self.known, self.parts = True, [described]
            self.reason = setting_reason(layer)
            for act in activations(layer):
                self.reason = self.reason or activation_reason(act, layer)
            return
        form = self._form()
        parts = matched(form)
        self.known, self.parts = parts is not None, parts or [{}]
        if parts is not None:
            self.signature = signature(form)
            self.reason = None if form.act is None else activation_reason(form.act, layer)
        else:
            self.reason = f"{type(layer).__name__} is a form, or has a setting, that the engine does not know"

    def holds(self) -> bool:
        """Whether the form of the layer is still the one that was looked at; weights may differ."""
        if self.signature is None:
            return True
        form = self._form()
        if not same(signature(form), self.signature):
            return False
        self.fresh[get_ident()] = form
        return True

    def count(self) -> int:
        """The number of weights."""
        if self.signature is not None:
            return sum([there for there in self.signature[0]])
        return sum([p is not None for p in self.places])

    def weights(self) -> list[Tensor]:
        """The weights as they are now."""
        if self.signature is not None:
            form = self.fresh.pop(get_ident(), None) or self._form()
            return [t for t in tensors(form) if t is not None]
        return [p[0][p[1]] for p in self.places if p is not None]

    def forms(self, weights: Sequence[Tensor]) -> list[Form]:
        """The layer, or its two parts, with these weights in the one form."""
        rest = iter(weights)
        if self.signature is None:
            return [self.layer.form(*[None if p is None else next(rest) for p in self.places])]
        there, act, S, W = self.signature
        M, b, *behind = [next(rest) if t else None for t in there]
        assert M is not None
        if W is not None:
            return [Form(M, b, act, S=S, W=W)]
        assert behind[0] is not None
        return [Form(M, b, act), Form(behind[0], behind[1])]

    def _form(self) -> Form:
        return self.layer.form(*[None if p is None else p[0][p[1]] for p in self.places])


def plain(layer: formLayer) -> bool:
    """Whether the form of a layer, and of a layer inside, is that of the class that describes it."""
    for m in layer.modules():
        if getattr(m, "_redefined", False) and hasattr(m, "form"):
            return False
        if hasattr(m, "form") and own(m, ("form", "names", "architecture")) is not None:
            return False
    return True


def activations(layer: nn.Module) -> list[Any]:
    """The modules inside a layer that are called as activations."""
    return [m for m in layer.modules() if hasattr(m, "compute_derivatives")]


def activation_reason(act: Any, layer: nn.Module) -> str | None:
    """Why the engine cannot evaluate an activation."""
    name, where = type(act).__name__, type(layer).__name__
    assigned = own(act, _ACTIVATION)
    if assigned is not None:
        return f"a function was assigned to {assigned} of the activation {name} in {where}"
    if apart(act):
        return f"the activation {name} in {where} has a hook that changes its results, or wants gradients"
    if _tensors(act):
        return f"a setting of the activation {name} in {where} is a tensor"
    if getattr(act, "_redefined", False) or act.architecture() is None:
        if getattr(act, "offset", 0):
            return f"the activation {name} in {where} has an offset, which networks.from_hessquik folds into biases"
        return f"the engine does not know the activation {name} in {where}"
    return None


def setting_reason(layer: nn.Module) -> str | None:
    """Why the settings of a layer keep the engine from evaluating it."""
    h = getattr(layer, "h", 0.0)
    return f"h of {type(layer).__name__} is a tensor" if isinstance(h, Tensor) else None


def _tensors(act: nn.Module) -> bool:
    kept = [v for k, v in act.__dict__.items() if k not in ("ctx", "points")]
    return any([isinstance(v, Tensor) for v in kept]) or len(act._parameters) + len(act._buffers) > 0


def tensors(form: Form) -> list[Tensor | None]:
    """The weights of a form in the order of the layers that it is made of."""
    if isinstance(form.W, Tensor):
        return [form.M, form.b, form.W, form.c]
    return [form.M, form.b]


def signature(form: Form) -> tuple[Any, ...]:
    """What distinguishes forms beside their weights: which weights there are, the activation, S and W."""
    there = tuple([t is not None for t in tensors(form)])
    return there, form.act, form.S, None if isinstance(form.W, Tensor) else form.W


def same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two signatures are the same."""
    numbers = all(isinstance(x, (int, float)) or x is None for x in (a[2], a[3]))
    return a[0] == b[0] and a[1] is b[1] and numbers and a[2] == b[2] and a[3] == b[3]


def matched(form: Form) -> list[dict[str, Any]] | None:
    """A form as layers of model files: act(u M + b), that times a matrix W plus c, or u + h act(u M + b)."""
    act: Any = IDENTITY if form.act is None else form.act.architecture()
    n, p = form.M.shape
    if not isinstance(form.S, (int, float)):
        return None
    if form.S == 1 and isinstance(form.W, (int, float)) and n == p and form.c is None:
        return [{"type": "resnet", "width": n, "h": float(form.W), "act": act, "bias": form.b is not None}]
    first = single(n, p, act, form.b is not None)
    if form.S == 0 and isinstance(form.W, Tensor) and form.W.dim() == 2:
        return [first, single(p, form.W.shape[1], IDENTITY, form.c is not None)]
    return [first] if form.S == 0 and _one(form.W) and form.c is None else None


def _one(W: Map) -> bool:
    return isinstance(W, (int, float)) and W == 1


def single(n: int, p: int, act: Any, bias: bool) -> dict[str, Any]:
    """The description of a single layer."""
    return {"type": "single", "in_features": n, "out_features": p, "act": act, "bias": bias}


def place(layer: nn.Module, name: str) -> tuple[Any, str] | None:
    """Where the weight of this name is kept; ``None`` if the layer does without it."""
    *path, last = name.split(".")
    for part in path:
        layer = getattr(layer, part)
    if last in layer._parameters:
        return None if layer._parameters[last] is None else (layer._parameters, last)
    return Attribute(layer), last
