"""Evaluation: by the engine for CPU tensors, in torch operations for everything else."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad

from ..errors import SlowerWarning
from . import operators as operators
from .again import pullback_of_pullback
from .arguments import check_directions, check_points
from .native import GRADIENT, HESSIAN, LAPLACIAN, VALUE, Call, Jet, evaluated, pulled_back_by_engine
from .sites import Plan, derivatives
from .structure import Structure, check_mode

PLAIN = (Tensor, nn.Parameter)
HALF = (torch.float16, torch.bfloat16)
transforms = torch._C._are_functorch_transforms_active
_compiling = torch.compiler.is_compiling


CURE = "take activations and layers of hessquik_rs, or bring the module as it is by hessquik_rs.torch.jet"
"""What brings networks with parts of users' own back to the engine."""

TWICE = (
    "derivatives of a gradient (a second backward, or create_graph=True) are computed in torch operations",
    "ask for higher derivatives in the request instead, where that is what they are for",
)
"""Why a second backward is slower, and what would change that."""


class Detour(NamedTuple):
    """Why a call is evaluated in torch operations, what would change that, and whether it is said unasked."""

    reason: str
    cure: str = ""
    said: bool = False

    def __str__(self) -> str:
        return f"{self.reason}{'; ' if self.cure else ''}{self.cure}"


def evaluate(
    structure: Structure, x: Tensor, results: int, v: Tensor | None = None, outputs: bool = False, mode: str = "auto"
) -> Jet:
    """Value (n_s, m), gradient (n_s, k, q) and Hessian (n_s, k, k, q) or Laplacian (n_s, 1, q), as `results` says.

    - **x** (n_s, d)
    - **v** input directions (k, d), or, with `outputs`, output directions (m, q) of the derivatives
    """
    check_mode(mode)
    return at(structure, x, structure.weights(), Call(results, v, outputs, mode))


def at(structure: Structure, x: Tensor, weights: list[Tensor], call: Call) -> Jet:
    """The same, at these weights."""
    if call.v is not None:
        call = call._replace(v=check_directions(call.v, structure.dims[call.outputs], call.outputs))
    if isinstance(x, Tensor) and x.dtype in HALF and all([w.dtype is x.dtype for w in weights]):
        # two or three digits are kept of results, not of what they are made of
        single = call if call.v is None else call._replace(v=call.v.float())
        value, *rest = at(structure, x.float(), [w.float() for w in weights], single)
        gradient, second = (None if r is None else r.to(x.dtype) for r in rest)
        return None if value is None else value.to(x.dtype), gradient, second
    detour = away(structure, x, weights, call.v)
    if detour is not None:
        if detour.said and not _compiling():
            say(structure, detour)
        check_points(structure, x, weights)
        return differentiable(structure, x, weights, *call)
    if call.outputs and call.v is not None and call.results & VALUE:
        # the engine's value is that of f v, hessQuik's that of f
        value = at(structure, x, weights, Call(VALUE, mode=call.mode))[0]
        return (value, *at(structure, x, weights, call._replace(results=call.results & ~VALUE))[1:])
    if _compiling() or transforms():
        what = (structure.architecture, call.results, call.outputs, call.mode)
        if _compiling():
            jet = torch.ops.hessquik.evaluate(x, weights, call.v, *what)
        else:
            jet = operators.Evaluate.apply(x, call.v, *what, *weights)
        wanted = (VALUE, GRADIENT, HESSIAN | LAPLACIAN)
        value, gradient, second = [r if call.results & bit else None for r, bit in zip(jet, wanted, strict=True)]
        return value, gradient, second
    if torch.is_grad_enabled() and (x.requires_grad or any(w.requires_grad for w in weights)):
        return Evaluate.apply((structure, call), x, *weights)  # type: ignore[no-any-return]
    return evaluated(structure.network(x.dtype), structure.dims, x, weights, call)


def away(structure: Structure, x: Tensor, weights: Sequence[Tensor], v: Tensor | None) -> Detour | None:
    """Why the engine is not to read these tensors; ``None`` if it is."""
    if structure.architecture is None:
        return Detour(
            structure.reason or "the engine does not know this module", CURE, said=isinstance(x, Tensor) and x.is_cpu
        )
    compiling = _compiling()
    if not compiling and type(x) not in PLAIN:
        return Detour(f"x is a {type(x).__name__}")
    dtype = x.dtype
    if not x.is_cpu:
        return Detour(f"x is on {x.device.type}, and the engine computes on the CPU")
    if not (dtype is torch.float64 or dtype is torch.float32):
        return Detour(f"x is {dtype}, and the engine computes in float32 and float64")
    if x.dim() != 2 or x.shape[1] != structure.dims[0] or x.layout is not torch.strided:
        return Detour(f"x has shape {list(x.shape)} and layout {x.layout}")
    if forward_ad._current_level >= 0 or (not compiling and transforms() and _has_jvp()):
        return Detour(
            "the engine has no forward mode of torch.func (jvp, jacfwd, hessian)",
            "ask for do_gradient and do_Hessian, or nest jacrev",
            True,
        )
    if compiling:
        known = [w.dtype is dtype and w.is_cpu for w in weights]
    else:
        known = [w.dtype is dtype and w.is_cpu and type(w) in PLAIN for w in weights]
    if not all(known):
        return Detour(f"not all weights are plain tensors of {dtype} on the CPU")
    if compiling:
        shapes = operators.shapes(structure.architecture)
    else:
        if structure.shapes is None:
            structure.network(dtype)
        shapes = structure.shapes or []
    if [tuple(w.shape) for w in weights] != shapes:
        return Detour("the shapes of the weights do not match the settings of their layers")
    if v is not None:
        if not compiling and type(v) not in PLAIN or not v.is_cpu or v.dtype is not dtype:
            return Detour(f"v is not a plain tensor of {dtype} on the CPU")
        if v.requires_grad:
            return Detour(
                "the engine has no derivatives with respect to directions v", "detach v if none are wanted", True
            )
    return None


def _has_jvp() -> bool:
    return any(i.key() == torch._C._functorch.TransformType.Jvp for i in retrieve_all_functorch_interpreters())


def say(structure: Structure, detour: Detour) -> None:
    """Warns, once for each reason."""
    if detour.reason in structure.warned:
        return
    structure.warned.add(detour.reason)
    warnings.warn(f"evaluated in torch operations, not by the engine: {detour}", SlowerWarning, stacklevel=_outside())


def _outside() -> int:
    """How many calls up the first one from outside this package and torch's modules is."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("hessquik_rs", "torch.")):
        level, frame = level + 1, frame.f_back
    return level


def differentiable(
    structure: Structure, x: Tensor, weights: Sequence[Tensor], results: int, v: Tensor | None, outputs: bool, mode: str
) -> Jet:
    """The same in torch operations, on every device, by the plan of the engine."""
    plan = plan_of(structure, Call(results, v, outputs, mode))
    return derivatives(structure.forms(weights), x, results, v, outputs, plan)


def native(structure: Structure, x: Tensor, weights: Sequence[Tensor], v: Tensor | None) -> bool:
    """Whether the engine can read these tensors."""
    return away(structure, x, weights, v) is None


def plan_of(structure: Structure, call: Call) -> Plan:
    """The engine's plan of a call."""
    k, q = structure.dims
    if call.v is not None:
        k, q = (k, call.v.shape[1]) if call.outputs else (call.v.shape[0], q)
    return structure.plan(call.results, k, q, call.mode)


class Evaluate(torch.autograd.Function):
    """The engine's results as an operation of autograd, whose backward is the engine's pullback."""

    @staticmethod
    def forward(ctx: Any, call: Any, x: Tensor, *weights: Tensor) -> Jet:
        structure, request = ctx.call = call
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *weights)
        return evaluated(structure.network(x.dtype), structure.dims, x, weights, request)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> Any:
        x, *weights = ctx.saved_tensors
        # a Function of its own, since it may be differentiated in turn
        return None, *Pullback.apply(ctx.call, x, *bars, *weights)


class Pullback(torch.autograd.Function):
    """The engine's pullback as an operation of autograd, whose backward is made of torch operations."""

    @staticmethod
    def forward(ctx: Any, call: Any, x: Tensor, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        structure, request = ctx.call = call
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *tensors)
        bars, weights = tensors[:3], [w for w in tensors[3:] if w is not None]
        return tuple(pulled_back_by_engine(structure.network(x.dtype), x, weights, bars, request))

    @staticmethod
    def backward(ctx: Any, *bars_of_bars: Tensor | None) -> Any:
        x, *tensors = ctx.saved_tensors
        bars, weights = tensors[:3], tensors[3:]
        structure, call = ctx.call
        say(structure, Detour(*TWICE, said=True))
        plan = plan_of(structure, call)
        found = pullback_of_pullback(
            structure.forms, plan, x, weights, bars, bars_of_bars, call.v, call.results, call.outputs
        )
        to_x, to_weights, to_bars = found
        return None, to_x, *to_bars, *to_weights


def of(module: nn.Module) -> Structure:
    """What is known about a module, looked up again if something that it holds changed since."""
    if _compiling():  # compilers watch the modules themselves
        return Structure().inspected(module)
    structure: Structure = module._structure  # type: ignore[assignment]
    if not structure.holds():
        structure = module.__dict__["_structure"] = structure.inspected(module)
    return structure
