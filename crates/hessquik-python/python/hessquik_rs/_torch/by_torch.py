"""Requests by `torch.func`: what the engine computes, for what it cannot take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import RequestError
from ..request import Names

OF_OPTIONS = ("operator", "products", "block", "partials")
SECOND = ("hessian", "packed", "diagonal", "laplacian", *OF_OPTIONS)


def names_of(request: Names | None, options: dict[str, Any]) -> tuple[str, ...]:
    """The results that a request asks for, in order."""
    listed = request.split(",") if isinstance(request, str) else list(request or ())
    names = [name.strip() for name in listed if name.strip()]
    names += [name for name in OF_OPTIONS if options.get(name) is not None and name not in names]
    return tuple(names) or ("value", "gradient", "hessian")


def evaluated(f: Callable[[Tensor], Tensor], x: Tensor, names: Sequence[str], options: dict[str, Any]) -> list[Tensor]:
    """The results of a function of one point (d,) to (m,), at points (n, d)."""
    unknown = [n for n in names if n not in ("value", "gradient", *SECOND)]
    if unknown:
        raise RequestError(f"request: {unknown[0]} is not computed by torch.func, only by the engine")

    def tensor(name: str) -> Tensor | None:
        given = options.get(name)
        return None if given is None else torch.as_tensor(given, dtype=x.dtype, device=x.device)

    v, u = tensor("directions"), tensor("outputs")

    def g(p: Tensor) -> Tensor:
        return f(p) if u is None else f(p) @ u

    found: dict[str, Tensor] = {}
    if "value" in names:
        found["value"] = torch.func.vmap(g)(x)
    if "gradient" in names:
        gradient = torch.func.vmap(torch.func.jacrev(g))(x).mT
        found["gradient"] = gradient if v is None else v @ gradient
    if any(name in SECOND for name in names):
        full = torch.func.vmap(torch.func.jacfwd(torch.func.jacrev(g)))(x)
        hessian = (full if v is None else v @ full @ v.mT).permute(0, 2, 3, 1)
        k = hessian.shape[1]
        found["hessian"] = hessian
        found["diagonal"] = hessian.diagonal(0, 1, 2).mT
        found["laplacian"] = found["diagonal"].sum(1)
        rows, columns = torch.triu_indices(k, k, device=x.device)
        found["packed"] = hessian[:, rows, columns]
        if (operator := tensor("operator")) is not None:
            found["operator"] = torch.einsum("ab,sbar->sr", operator, hessian)
        if (products := tensor("products")) is not None:
            left = full if v is None else v @ full
            found["products"] = (left @ products.mT).permute(0, 2, 3, 1)
        if options.get("block") is not None:
            rows, columns = (torch.as_tensor(list(part), device=x.device) for part in options["block"])
            found["block"] = hessian[:, rows][:, :, columns]
        if options.get("partials") is not None:
            if any(len(pair) != 2 for pair in options["partials"]):
                raise RequestError("request: partials of orders other than 2 are not computed by torch.func")
            found["partials"] = torch.stack([hessian[:, a, b] for a, b in options["partials"]], 1)
    return [found[name] for name in names]
