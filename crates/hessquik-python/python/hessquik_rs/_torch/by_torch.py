"""Requests by `torch.func`: what the engine computes, for what it cannot take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._arrays import terms
from ..errors import RequestError
from ..request import Names

OF_OPTIONS = ("operator", "products", "block", "partials", "directional")
SECOND = ("hessian", "packed", "diagonal", "laplacian", "operator", "products", "block")
KNOWN = ("value", "gradient", *SECOND, "bilaplacian", "partials", "directional")


def names_of(request: Names | None, options: dict[str, Any]) -> tuple[str, ...]:
    """The results that a request asks for, in order."""
    listed = request.split(",") if isinstance(request, str) else list(request or ())
    names = [name.strip() for name in listed if name.strip()]
    names += [name for name in OF_OPTIONS if options.get(name) is not None and name not in names]
    return tuple(names) or ("value", "gradient", "hessian")


def evaluated(f: Callable[[Tensor], Tensor], x: Tensor, names: Sequence[str], options: dict[str, Any]) -> list[Tensor]:
    """The results of a function of one point (d,) to (m,), at points (n, d)."""
    unknown = [n for n in names if n not in KNOWN]
    if unknown:
        raise RequestError(f"request: {unknown[0]} is not computed by torch.func, only by the engine")

    def tensor(name: str) -> Tensor | None:
        given = options.get(name)
        return None if given is None else torch.as_tensor(given, dtype=x.dtype, device=x.device)

    listed = terms(options.get("operator"))
    v, u = tensor("directions"), tensor("outputs")
    basis = torch.eye(x.shape[1], dtype=x.dtype, device=x.device) if v is None else v

    def partial(axes: Sequence[int]) -> Tensor:
        """The mixed partial along directions by their numbers, (n, q)."""
        h: Callable[[Tensor], Tensor] = g
        for axis in axes:
            h = along(basis[int(axis)], h)
        return torch.func.vmap(h)(x)

    def total(terms: Sequence[tuple[Sequence[int], float]]) -> Tensor:
        """The sum of partials times coefficients, (n, q)."""
        return torch.stack([c * partial(axes) for axes, c in terms]).sum(0)

    def g(p: Tensor) -> Tensor:
        return f(p) if u is None else f(p) @ u

    found: dict[str, Tensor] = {}
    if "value" in names:
        found["value"] = torch.func.vmap(g)(x)
    if "gradient" in names:
        gradient = torch.func.vmap(torch.func.jacrev(g))(x).mT
        found["gradient"] = gradient if v is None else v @ gradient
    if any(name in SECOND and (name != "operator" or listed is None) for name in names):
        full = torch.func.vmap(torch.func.jacfwd(torch.func.jacrev(g)))(x)
        hessian = (full if v is None else v @ full @ v.mT).permute(0, 2, 3, 1)
        k = hessian.shape[1]
        found["hessian"] = hessian
        found["diagonal"] = hessian.diagonal(0, 1, 2).mT
        found["laplacian"] = found["diagonal"].sum(1)
        upper, right = torch.triu_indices(k, k, device=x.device)
        found["packed"] = hessian[:, upper, right]
        if listed is None and (operator := tensor("operator")) is not None:
            found["operator"] = torch.einsum("ab,sbar->sr", operator, hessian)
        if (products := tensor("products")) is not None:
            left = full if v is None else v @ full
            found["products"] = (left @ products.mT).permute(0, 2, 3, 1)
        if options.get("block") is not None:
            first, second = (torch.as_tensor(list(part), device=x.device) for part in options["block"])
            found["block"] = hessian[:, first][:, :, second]
    if "operator" in names and listed is not None:
        found["operator"] = total(listed)
    if "partials" in names:
        each = [partial(axes) for axes in options["partials"]]
        found["partials"] = torch.stack(each, 1) if each else x.new_zeros(len(x), 0, partial(()).shape[1])
    if "bilaplacian" in names:
        pairs = [(a, b) for a in range(len(basis)) for b in range(a, len(basis))]
        found["bilaplacian"] = total([((a, a, b, b), 1.0 if a == b else 2.0) for a, b in pairs])
    if "directional" in names:
        orders = range(1, int(options["directional"]) + 1)
        each = [torch.stack([partial((a,) * order) for a in range(len(basis))], 1) for order in orders]
        found["directional"] = torch.stack(each, 1)
    return [found[name] for name in names]


def along(v: Tensor, f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The derivative of a function along a direction."""
    return lambda p: torch.func.jvp(f, (p,), (v,))[1]
