"""hessQuik's protocol of forward and backward calls, which composes layers of every kind."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .arguments import check_points, check_shape, one_second_order
from .engine import HALF, at, evaluate, of
from .hooks import Asked, only_look
from .native import GRADIENT, HESSIAN, LAPLACIAN, VALUE, Call, Jet
from .sites import jet
from .structure import Structure, check_mode
from .watch import global_hooks

# the keywords of hessQuik's forward calls, and ours
KEYWORDS = ("do_gradient", "do_Hessian", "do_Laplacian", "forward_mode", "dudx", "d2ud2x", "v", "mode")


class Kept(NamedTuple):
    """What a forward call keeps for its backward call: points and weights as they were, whatever becomes of them."""

    structure: Structure
    x: Tensor
    weights: list[Tensor]


def look(
    module: nn.Module,
    x: Tensor,
    do_gradient: bool,
    do_Hessian: bool,
    do_Laplacian: bool,
    forward_mode: bool | None,
    mode: str,
) -> Structure:
    """Lets forward hooks of the modules inside have their look; what is known about the module then."""
    structure = of(module)
    if structure.blocks is None and (structure.hooked or global_hooks()) and not torch.compiler.is_compiling():
        results = VALUE | GRADIENT * (do_gradient or do_Hessian) | HESSIAN * do_Hessian | LAPLACIAN * do_Laplacian
        if not only_look(structure, module, Asked(x, results, True if do_Laplacian else forward_mode, mode)):
            return of(module)
    return structure


def forward(
    module: nn.Module,
    u: Tensor,
    do_gradient: bool,
    do_Hessian: bool,
    do_Laplacian: bool,
    forward_mode: bool | None,
    dudx: Tensor | None,
    d2ud2x: Tensor | None,
    v: Tensor | None,
    mode: str,
) -> Jet:
    """Value, gradient and Hessian or Laplacian of a layer or network that has the one form throughout."""
    structure = of(module)
    check_mode(mode)
    one_second_order(do_Hessian, do_Laplacian)
    if not (do_gradient or do_Hessian or do_Laplacian):
        return evaluate(structure, u, VALUE)
    results = VALUE | GRADIENT
    if do_Hessian:
        results |= HESSIAN
    elif do_Laplacian:
        results |= LAPLACIAN
        forward_mode = True
    if forward_mode is not True:
        keep(module, structure, u)
        if forward_mode is None:  # derivatives are left to the backward call
            return evaluate(structure, u, VALUE)
        return evaluate(structure, u, results, v, True, mode)
    if dudx is None and d2ud2x is None:
        return evaluate(structure, u, results, v, False, mode)
    return continued(structure, u, results, dudx, d2ud2x, v, mode)


def continued(
    structure: Structure,
    u: Tensor,
    results: int,
    dudx: Tensor | None,
    d2ud2x: Tensor | None,
    v: Tensor | None,
    mode: str,
) -> Jet:
    """Derivatives with respect to the input of an outer composition, given those of `u`."""
    weights = structure.weights()
    check_points(structure, u, weights)
    n, m = structure.dims
    if dudx is None:
        raise ValueError("d2ud2x is given without dudx: both are needed to continue a composition")
    if v is not None:
        raise ValueError("v are directions of the network's input: give them to its first layer, where dudx is None")
    k = dudx.shape[1] if dudx.dim() == 3 else -1
    check_shape("dudx", dudx, (u.shape[0], k, n), "[n_s, d, n_in]")
    trace = bool(results & LAPLACIAN)
    if d2ud2x is not None:
        wanted = (u.shape[0], 1, n) if trace else (u.shape[0], k, k, n)
        check_shape("d2ud2x", d2ud2x, wanted, "[n_s, 1, n_in]" if trace else "[n_s, d, d, n_in]")
    order = 2 if results & (HESSIAN | LAPLACIAN) else 1
    plan = structure.plan(results, k, m, mode)
    dtype = u.dtype
    if dtype in HALF:
        u, dudx, weights = u.float(), dudx.float(), [w.float() for w in weights]
        d2ud2x = None if d2ud2x is None else d2ud2x.float()
    value, gradient, second = jet(structure.forms(weights), u, order, T=dudx, H=d2ud2x, trace=trace, plan=plan)
    assert gradient is not None
    return value.to(dtype), gradient.to(dtype), None if second is None else second.to(dtype)


def keep(module: nn.Module, structure: Structure, u: Tensor) -> None:
    """Keeps points and weights as they are for a backward call."""
    weights = structure.weights()
    check_points(structure, u, weights)
    module.__dict__["ctx"] = Kept(structure, u.clone(), [w.clone() for w in weights])


def backward(
    module: nn.Module, do_Hessian: bool, dgdf: Tensor | None, d2gd2f: Tensor | None, v: Tensor | None, mode: str
) -> tuple[Tensor, Tensor | None]:
    """Gradient and Hessian, with respect to the input of the last forward call, of `g` of the module's output."""
    kept: Kept | None = module.__dict__.get("ctx")
    if kept is None:
        raise ValueError(
            f"{type(module).__name__}.backward needs a forward call with derivatives and forward_mode=None before it"
        )
    structure, u, weights = kept
    if not torch.compiler.is_compiling() and of(module) is not structure:
        raise RuntimeError(
            f"{type(module).__name__} was changed (its layers, activations, settings or hooks) between the "
            f"forward call "
            "and this backward call, which needs what it was: call forward again"
        )
    results = GRADIENT | HESSIAN if do_Hessian else GRADIENT
    if dgdf is None:
        gradient, second = at(structure, u, weights, Call(results, v, True, mode))[1:]
        assert gradient is not None
        return gradient, second
    n, m = structure.dims
    check_shape("dgdf", dgdf, (u.shape[0], m, -1), "[n_s, n_out, m]")
    if d2gd2f is not None:
        check_shape("d2gd2f", d2gd2f, (u.shape[0], m, m, dgdf.shape[2]), "[n_s, n_out, n_out, m]")
    if v is not None:
        dgdf, d2gd2f = dgdf @ v, None if d2gd2f is None else d2gd2f @ v
    plan = structure.plan(results, n, dgdf.shape[2], mode)
    order = 2 if do_Hessian else 1
    dtype = u.dtype
    if dtype in HALF:
        u, dgdf, weights = u.float(), dgdf.float(), [w.float() for w in weights]
        d2gd2f = None if d2gd2f is None else d2gd2f.float()
    _, gradient, second = jet(
        structure.forms(weights), u, order, G=dgdf.mT, K=d2gd2f if do_Hessian else None, plan=plan
    )
    assert gradient is not None
    return gradient.to(dtype), None if second is None else second.to(dtype)
