"""Graphs in torch operations, at one point: for other devices, half precision, transforms and second backwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ACTS: dict[str, Callable[[Tensor, dict[str, Any]], Tensor]] = {
    "tanh": lambda z, a: z.tanh(),
    "sin": lambda z, a: z.sin(),
    "cos": lambda z, a: z.cos(),
    "exp": lambda z, a: z.exp(),
    "log": lambda z, a: z.log(),
    "sqrt": lambda z, a: z.sqrt(),
    "square": lambda z, a: z.square(),
    "quadratic": lambda z, a: z.square() * 0.5,
    "reciprocal": lambda z, a: z.reciprocal(),
    "power": lambda z, a: z ** a["p"],
    "atan": lambda z, a: z.atan(),
    "erf": lambda z, a: z.erf(),
    "sigmoid": lambda z, a: z.sigmoid(),
    "silu": lambda z, a: z * z.sigmoid(),
    "gelu": lambda z, a: F.gelu(z),
    "tanh_gelu": lambda z, a: F.gelu(z, approximate="tanh"),
    "mish": lambda z, a: z * F.softplus(z).tanh(),
    "gaussian": lambda z, a: (-z.square()).exp(),
    "anti_tanh": lambda z, a: z.abs() + (-2.0 * z.abs()).exp().log1p() - 0.6931471805599453,
    "softplus": lambda z, a: F.softplus(z, a.get("beta", 1.0), a.get("threshold", 20.0)),
    "relu": lambda z, a: z.relu(),
    "leaky_relu": lambda z, a: torch.where(z > 0, z, z * a.get("slope", 0.01)),
    "step": lambda z, a: torch.where(z > 0, 1.0, 0.0).to(z.dtype),
    "elu": lambda z, a: F.elu(z, a.get("alpha", 1.0)),
    "celu": lambda z, a: F.celu(z, a.get("alpha", 1.0)),
    "selu": lambda z, a: F.selu(z),
    "squareplus": lambda z, a: (z + (z.square() + a.get("b", 4.0)).sqrt()) * 0.5,
}


class Replay:
    """A graph as a function of one point (d,) and its weights."""

    def __init__(self, graph: dict[str, Any]) -> None:
        self.nodes, self.output = graph["nodes"], graph["output"]
        self.places = [self._places(node) for node in self.nodes]

    @staticmethod
    def _places(node: dict[str, Any]) -> list[tuple[Tensor, Tensor] | None]:
        def of(blocks: Any) -> tuple[Tensor, Tensor] | None:
            if blocks is None:
                return None
            pairs = [(torch.arange(a, a + n), torch.arange(b, b + n)) for a, b, n in blocks]
            none = torch.zeros(0, dtype=torch.long)
            return torch.cat([none, *(p[0] for p in pairs)]), torch.cat([none, *(p[1] for p in pairs)])

        return [of(term.get("blocks")) for term in node.get("terms", ())]

    def __call__(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        values: list[Any] = []
        for node, places in zip(self.nodes, self.places, strict=True):
            values.append(self._value(node, places, values, x, weights))
        output: Tensor = values[self.output]
        return output

    @staticmethod
    def _value(node: dict[str, Any], places: Any, values: list[Any], x: Tensor, weights: Sequence[Tensor]) -> Any:
        match node["op"]:
            case "input":
                return x
            case "weight":
                return weights[node["weight"]].reshape(-1)
            case "constant":
                return torch.tensor(node["values"], dtype=x.dtype, device=x.device)
            case "affine":
                total = torch.full((node["n"],), node["shift"], dtype=x.dtype, device=x.device)
                for term, place in zip(node["terms"], places, strict=True):
                    part = values[term["of"]] * term["c"]
                    if place is None:
                        total = total + part
                    else:
                        source, target = (p.to(x.device) for p in place)
                        total = total.index_add(0, target, part[source])
                return total
            case "largest":
                groups = values[node["of"]].reshape(-1, node["len"], node["inner"])
                return groups.max(1).values.reshape(-1)
            case "frozen":
                return values[node["of"]].detach()
            case "act":
                act = node["act"]
                return ACTS[act["type"]](values[node["of"]], act)
            case "times":
                return values[node["a"]] * values[node["b"]]
        g, r, s, t = node["dims"]
        a, b = values[node["a"]], values[node["b"]]
        if node["transposed"]:
            return (a.reshape(g, r, t) @ b.reshape(g, s, t).mT).reshape(-1)
        return (a.reshape(g, r, s) @ b.reshape(g, s, t)).reshape(-1)
