"""hessQuik's protocol of forward and backward calls, which composes layers of every kind."""

from __future__ import annotations

from torch import Tensor

from .engine import Jet, check_points, evaluate, of
from .sites import jet
from .structure import GRADIENT, HESSIAN, LAPLACIAN, VALUE
from .track import Tracked


def forward(
    module: Tracked,
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
    if not (do_gradient or do_Hessian or do_Laplacian):
        return evaluate(structure, u, VALUE)
    results = VALUE | GRADIENT
    if do_Hessian:
        results |= HESSIAN
    elif do_Laplacian:
        results |= LAPLACIAN
        forward_mode = True
    if forward_mode is None:  # derivatives are left to the backward call
        module.__dict__["ctx"] = u
        return evaluate(structure, u, VALUE)
    if forward_mode is False:
        module.__dict__["ctx"] = u
        return evaluate(structure, u, results, v, True, mode)
    if dudx is None and d2ud2x is None:
        return evaluate(structure, u, results, v, False, mode)

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
    return jet(structure.forms(weights), u, order, T=dudx, H=d2ud2x, trace=trace, plan=plan)


def backward(
    module: Tracked, do_Hessian: bool, dgdf: Tensor | None, d2gd2f: Tensor | None, v: Tensor | None, mode: str
) -> tuple[Tensor, Tensor | None]:
    """Gradient and Hessian, with respect to the input of the last forward call, of `g` of the module's output."""
    u = module.__dict__.get("ctx")
    if u is None:
        raise ValueError(
            f"{type(module).__name__}.backward needs a forward call with derivatives and forward_mode=None before it"
        )
    structure = of(module)
    results = GRADIENT | HESSIAN if do_Hessian else GRADIENT
    if dgdf is None:
        gradient, second = evaluate(structure, u, results, v, True, mode)[1:]
        assert gradient is not None
        return gradient, second
    weights = structure.weights()
    check_points(structure, u, weights)
    n, m = structure.dims
    check_shape("dgdf", dgdf, (u.shape[0], m, -1), "[n_s, n_out, m]")
    if d2gd2f is not None:
        check_shape("d2gd2f", d2gd2f, (u.shape[0], m, m, dgdf.shape[2]), "[n_s, n_out, n_out, m]")
    if v is not None:
        dgdf, d2gd2f = dgdf @ v, None if d2gd2f is None else d2gd2f @ v
    plan = structure.plan(results, n, dgdf.shape[2], mode)
    order = 2 if do_Hessian else 1
    _, gradient, second = jet(
        structure.forms(weights), u, order, G=dgdf.mT, K=d2gd2f if do_Hessian else None, plan=plan
    )
    assert gradient is not None
    return gradient, second


def check_shape(name: str, array: Tensor, wanted: tuple[int, ...], words: str) -> None:
    """Compares the shape of an argument with what is wanted, where -1 stands for any length."""
    fits = array.dim() == len(wanted) and all(w in (-1, s) for s, w in zip(array.shape, wanted, strict=True))
    if not fits:
        sizes = ", ".join("any" if w == -1 else str(w) for w in wanted)
        raise ValueError(f"{name} has shape {list(array.shape)}, wanted {words} = [{sizes}]")
