"""Where and how a module is evaluated, in words."""

from __future__ import annotations

from torch import Tensor

from .. import _native
from .engine import HALF, away
from .native import GRADIENT, HESSIAN, LAPLACIAN, VALUE
from .structure import Structure, check_mode


def explain(structure: Structure, x: Tensor | int, do_Hessian: bool, do_Laplacian: bool, mode: str) -> str:
    """Where points `x`, or so many of them, are evaluated, and why; the plan, its cost and the alternatives."""
    check_mode(mode)
    results = VALUE | GRADIENT | (HESSIAN if do_Hessian else 0) | (LAPLACIAN if do_Laplacian else 0)
    points = x.shape[0] if isinstance(x, Tensor) else int(x)
    lines = []
    if structure.blocks is not None:
        lines.append(f"evaluated layer by layer, in hessQuik's protocol: {structure.reason}")
    elif isinstance(x, Tensor):
        weights = structure.weights()
        dtype = x.dtype
        if dtype in HALF:
            x, weights = x.float(), [w.float() for w in weights]
        detour = away(structure, x, weights, None)
        rounded = f" and rounded to {dtype}" if dtype in HALF else ""
        way = f"by the engine, in {x.dtype}" if detour is None else f"in torch operations{rounded}: {detour}"
        lines.append(f"evaluated {way}{rounded if detour is None else ''}")
    elif structure.architecture is None:
        lines.append(f"evaluated in torch operations: {structure.reason}")
    if structure.planner is not None:
        lines.append(_native.TorchNetwork(structure.planner, False).explain(points, results, mode))
    elif not isinstance(x, Tensor):
        raise ValueError(
            "the engine does not support every layer of this network, so there is no plan: " + (structure.reason or "")
        )
    return "\n".join(lines)
