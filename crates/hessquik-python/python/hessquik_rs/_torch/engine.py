"""Evaluation: by the engine for CPU tensors, in torch operations for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .sites import jet
from .structure import GRADIENT, HESSIAN, LAPLACIAN, VALUE, Structure
from .track import Tracked, epoch

Jet = tuple[Tensor | None, Tensor | None, Tensor | None]
CPU = torch.device("cpu")
PLAIN = (Tensor, torch.nn.Parameter)
transforms = torch._C._are_functorch_transforms_active


def evaluate(
    structure: Structure, x: Tensor, results: int, v: Tensor | None = None, outputs: bool = False, mode: str = "auto"
) -> Jet:
    """Value (n_s, m), gradient (n_s, k, q) and Hessian (n_s, k, k, q) or Laplacian (n_s, 1, q), as `results` says.

    - **x** (n_s, d)
    - **v** input directions (k, d), or, with `outputs`, output directions (m, q) of the derivatives
    """
    weights = structure.weights()
    if v is not None:
        v = check_directions(v, structure.dims[outputs], outputs)
    if not native(structure, x, weights, v):
        return differentiable(structure, x, weights, results, v, outputs, mode)
    if outputs and v is not None and results & VALUE:
        # the engine's value is that of f v, hessQuik's that of f
        value = evaluate(structure, x, VALUE, mode=mode)[0]
        return (value, *evaluate(structure, x, results & ~VALUE, v, outputs, mode)[1:])
    if torch.is_grad_enabled() and (x.requires_grad or any(w.requires_grad for w in weights)):
        return Evaluate.apply((structure, results, v, outputs, mode), x, *weights)  # type: ignore[no-any-return]
    return lent(structure, x, weights, results, v, outputs, mode)


def native(structure: Structure, x: Tensor, weights: list[Tensor], v: Tensor | None) -> bool:
    """Whether the engine can read these tensors where they are."""
    if torch.compiler.is_compiling() or type(x) not in PLAIN:
        return False
    dtype = x.dtype
    if (
        structure.architecture is None
        or not x.is_cpu
        or not (dtype is torch.float64 or dtype is torch.float32)
        or x.dim() != 2
        or x.shape[1] != structure.dims[0]
        or x.shape[0] == 0
        or x.layout is not torch.strided
        or x.is_neg()
        or transforms()
        or forward_ad._current_level >= 0
    ):
        return False
    for w in weights:
        if w.dtype is not dtype or not w.is_cpu or not w.is_contiguous() or type(w) not in PLAIN:
            return False
    if structure.shapes is None:
        structure.network(dtype)
    if [w.shape for w in weights] != structure.shapes:
        return False
    return v is None or (type(v) in PLAIN and v.is_cpu and v.dtype is dtype and not v.requires_grad)


def lent(
    structure: Structure,
    x: Tensor,
    weights: Sequence[Tensor],
    results: int,
    v: Tensor | None,
    outputs: bool,
    mode: str,
) -> Jet:
    """The engine's results, in tensors whose memory is lent to it: the output axis stands behind the sample axis."""
    n, dtype = x.shape[0], x.dtype
    k, q = structure.dims
    if v is not None:
        v = v.contiguous()
        k, q = (k, v.shape[1]) if outputs else (v.shape[0], q)
    value = gradient = second = None
    at_value = at_gradient = at_second = 0
    if results & VALUE:
        value = torch.empty(n, q, dtype=dtype, device=CPU)
        at_value = value.data_ptr()
    if results & GRADIENT:
        gradient = torch.empty_strided((n, k, q), (k * q, 1, k), dtype=dtype, device=CPU)
        at_gradient = gradient.data_ptr()
    if results & HESSIAN:
        second = torch.empty_strided((n, k, k, q), (k * k * q, k, 1, k * k), dtype=dtype, device=CPU)
        at_second = second.data_ptr()
    elif results & LAPLACIAN:
        second = torch.empty(n, 1, q, dtype=dtype, device=CPU)
        at_second = second.data_ptr()
    structure.network(dtype).evaluate(
        [w.data_ptr() for w in weights],
        (x.data_ptr(), n, *x.stride()),
        (results, mode, None if v is None else (v.data_ptr(), *v.shape, outputs)),
        (at_value, at_gradient, at_second),
    )
    return value, gradient, second


def differentiable(
    structure: Structure, x: Tensor, weights: list[Tensor], results: int, v: Tensor | None, outputs: bool, mode: str
) -> Jet:
    """The same in torch operations, on every device, by the plan of the engine."""
    check_points(structure, x, weights)
    d, m = structure.dims
    forms = structure.forms(weights)
    T = G = None
    k, q = d, m
    if v is not None:
        (T, G) = (None, v.mT.unsqueeze(0)) if outputs else (v.unsqueeze(0), None)
        k, q = (k, v.shape[1]) if outputs else (v.shape[0], q)
    order = 2 if results & (HESSIAN | LAPLACIAN) else 1 if results & GRADIENT else 0
    plan = structure.plan(results, k, q, mode)
    value, gradient, second = jet(forms, x, order, T=T, G=G, trace=bool(results & LAPLACIAN), plan=plan)
    return value if results & VALUE else None, gradient, second


class Evaluate(torch.autograd.Function):
    """The engine's results as an operation of autograd, whose backward is the engine's pullback."""

    @staticmethod
    def forward(ctx: Any, call: Any, x: Tensor, *weights: Tensor) -> Jet:
        structure, *rest = ctx.call = call
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *weights)
        return lent(structure, x, weights, *rest)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> Any:
        x, *weights = ctx.saved_tensors
        structure, results, v, outputs, mode = ctx.call
        # backward of a backward, and after a program put other data into a weight: once more in torch operations
        if torch.is_grad_enabled() or not native(structure, x, weights, v):
            return (None, *pulled_back(x, weights, bars, *ctx.call))
        if v is not None:
            v = v.contiguous()
        x_bar = torch.empty(x.shape, dtype=x.dtype, device=CPU)
        weight_bars = [torch.empty_like(w) for w in weights]
        structure.network(x.dtype).pullback(
            [w.data_ptr() for w in weights],
            (x.data_ptr(), x.shape[0], *x.stride()),
            (results, mode, None if v is None else (v.data_ptr(), *v.shape, outputs)),
            [None if bar is None else (bar.data_ptr(), bar.stride()) for bar in bars],
            (x_bar.data_ptr(), [bar.data_ptr() for bar in weight_bars]),
        )
        return None, x_bar, *weight_bars


def pulled_back(
    x: Tensor, weights: list[Tensor], bars: tuple[Tensor | None, ...], structure: Structure, *call: Any
) -> tuple[Tensor, ...]:
    """The pullback as a differentiable function of points, weights and cotangents."""

    def f(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        return tuple(r for r in differentiable(structure, x, list(weights), *call) if r is not None)

    results, pull = torch.func.vjp(f, x, *weights)[:2]
    # one cotangent for each result that there is
    given = [bar for bar, bit in zip(bars, (VALUE, GRADIENT, HESSIAN | LAPLACIAN), strict=True) if call[0] & bit]
    full = tuple(torch.zeros_like(r) if bar is None else bar for r, bar in zip(results, given, strict=True))
    gradients: tuple[Tensor, ...] = pull(full)
    return gradients


def check_points(structure: Structure, x: Tensor, weights: list[Tensor]) -> None:
    """Says what is wrong with points that neither way can take."""
    d = structure.dims[0]
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}, wanted a torch.Tensor of shape [n_s, {d}]")
    if x.dim() != 2 or x.shape[1] != d:
        raise ValueError(f"x has shape {list(x.shape)}, wanted [n_s, {d}]")
    for w in weights:
        if w.device != x.device:
            raise ValueError(f"x is on {x.device}, but the weights are on {w.device}: move one, with .to(device)")
        if w.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(f"x is {x.dtype}, but the weights are {w.dtype}: convert one, with .to(dtype)")


def check_directions(v: Tensor, n: int, outputs: bool) -> Tensor:
    """Directions as a matrix: rows of length d, or columns of length m."""
    if v.dim() == 1:
        v = v.unsqueeze(1 if outputs else 0)
    if v.dim() != 2 or v.shape[0 if outputs else 1] != n:
        wanted = f"[{n}, q], output directions" if outputs else f"[k, {n}], input directions"
        raise ValueError(f"v has shape {list(v.shape)}, wanted {wanted}")
    return v


def of(module: Tracked) -> Structure:
    """What is known about a module, looked up again if some module of ours changed since."""
    if torch.compiler.is_compiling():  # compilers watch the modules themselves
        return Structure().inspected(module)
    structure: Structure = module._structure  # type: ignore[assignment]
    if structure.epoch != epoch[0]:
        structure = module.__dict__["_structure"] = structure.inspected(module)
    return structure
