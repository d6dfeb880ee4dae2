"""Graphs in JAX's operations, at one point: for other devices, forward mode, and second derivatives of jets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ACTS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "identity": lambda z, a: z,
    "tanh": lambda z, a: jnp.tanh(z),
    "sin": lambda z, a: jnp.sin(z),
    "cos": lambda z, a: jnp.cos(z),
    "exp": lambda z, a: jnp.exp(z),
    "log": lambda z, a: jnp.log(z),
    "sqrt": lambda z, a: jnp.sqrt(z),
    "square": lambda z, a: z * z,
    "quadratic": lambda z, a: z * z * 0.5,
    "reciprocal": lambda z, a: 1.0 / z,
    "power": lambda z, a: jax.lax.integer_pow(z, int(a["p"])) if float(a["p"]).is_integer() else z ** a["p"],
    "atan": lambda z, a: jnp.arctan(z),
    "erf": lambda z, a: jax.lax.erf(z),
    "sigmoid": lambda z, a: jax.nn.sigmoid(z),
    "silu": lambda z, a: jax.nn.silu(z),
    "gelu": lambda z, a: jax.nn.gelu(z, approximate=False),
    "tanh_gelu": lambda z, a: jax.nn.gelu(z, approximate=True),
    "mish": lambda z, a: jax.nn.mish(z),
    "gaussian": lambda z, a: jnp.exp(-z * z),
    "anti_tanh": lambda z, a: jnp.logaddexp(z, -z) - 0.6931471805599453,
    "softplus": lambda z, a: jax.nn.softplus(z * a.get("beta", 1.0)) / a.get("beta", 1.0),
    "relu": lambda z, a: jax.nn.relu(z),
    "leaky_relu": lambda z, a: jnp.where(z > 0, z, z * a.get("slope", 0.01)),
    "step": lambda z, a: jnp.where(z > 0, 1.0, 0.0).astype(z.dtype),
    "elu": lambda z, a: jax.nn.elu(z, a.get("alpha", 1.0)),
    "celu": lambda z, a: jax.nn.celu(z, a.get("alpha", 1.0)),
    "selu": lambda z, a: jax.nn.selu(z),
    "squareplus": lambda z, a: (z + jnp.sqrt(z * z + a.get("b", 4.0))) * 0.5,
    "scaled": lambda z, a: a.get("a", 1.0) * ACTS[a["act"]["type"]](a.get("b", 1.0) * z, a["act"]),
}


class Replay:
    """A graph as a function of one point (d,) and its weights."""

    def __init__(self, graph: dict[str, Any]) -> None:
        self._nodes, self._output = graph["nodes"], graph["output"]
        self._moves = [[_moved(term, node["n"]) for term in node.get("terms", ())] for node in self._nodes]

    def __call__(self, x: Any, weights: Sequence[Any]) -> Any:
        values: list[Any] = []
        for node, moves in zip(self._nodes, self._moves, strict=True):
            values.append(_value(node, moves, values, x, weights))
        return values[self._output]


def _moved(term: dict[str, Any], n: int) -> Callable[[Any], Any]:
    """What a term adds to `n` entries, as a function of the entries of its node."""
    blocks = term.get("blocks")
    if blocks is None:
        return lambda entries: entries
    source = np.concatenate([np.arange(a, a + length) for a, _, length in blocks] or [np.zeros(0, int)])
    target = np.concatenate([np.arange(b, b + length) for _, b, length in blocks] or [np.zeros(0, int)])
    if target.size == n and np.unique(target).size == n:
        order = source[np.argsort(target)]
        return lambda entries: entries[order]
    return lambda entries: jnp.zeros(n, entries.dtype).at[target].add(entries[source])


def _value(node: dict[str, Any], moves: Sequence[Any], values: list[Any], x: Any, weights: Sequence[Any]) -> Any:
    match node["op"]:
        case "input":
            return x
        case "weight":
            return weights[node["weight"]].reshape(-1)
        case "constant":
            # numbers that the precision does not have are its largest
            most = float(np.finfo(x.dtype).max)
            return jnp.asarray(np.clip(node["values"], -most, most), x.dtype)
        case "affine":
            total = jnp.full(node["n"], node["shift"], x.dtype)
            for term, move in zip(node["terms"], moves, strict=True):
                total = total + move(values[term["of"]] * term.get("c", 1.0))
            return total
        case "largest":
            return values[node["of"]].reshape(-1, node["len"], node["inner"]).max(1).reshape(-1)
        case "frozen":
            return jax.lax.stop_gradient(values[node["of"]])
        case "act":
            return ACTS[node["act"]["type"]](values[node["of"]], node["act"])
        case "times":
            return values[node["a"]] * values[node["b"]]
    g, r, s, t = node["dims"]
    a, b = values[node["a"]], values[node["b"]]
    if node.get("transposed"):
        return jnp.einsum("grt,gst->grs", a.reshape(g, r, t), b.reshape(g, s, t), precision="highest").reshape(-1)
    return jnp.einsum("grs,gst->grt", a.reshape(g, r, s), b.reshape(g, s, t), precision="highest").reshape(-1)
