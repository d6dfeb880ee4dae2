"""Networks of layers in JAX's operations, at one point: what `replay` is for graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hessquik_rs._jax.replay import ACTS, Replay

Features = Callable[[Any, Mapping[str, Any]], Any]
"""Features of one point and weights by name to features."""


def _times(a: Any, b: Any) -> Any:
    return jnp.matmul(a, b, precision="highest")


def _act(layer: Mapping[str, Any], z: Any, weights: Mapping[str, Any]) -> Any:
    z = z + weights["b"] if layer["bias"] else z
    return ACTS[layer["act"]["type"]](z, layer["act"])


def _quadratic(x: Any, weights: Mapping[str, Any]) -> Any:
    a = _times(weights["A"], x)
    return _times(x, weights["v"]) + 0.5 * _times(a, a) + weights["mu"]


def _layer(layer: Mapping[str, Any]) -> Features:
    """One layer, as its documentation has it."""
    match layer["type"]:
        case "single":
            return lambda u, w: _act(layer, _times(u, w["K"]), w)
        case "resnet":
            return lambda u, w: u + layer["h"] * _act(layer, _times(u, w["layer.K"]), _below(w, "layer."))
        case "icnn":
            n = layer["in_features"] or 0

            def icnn(u: Any, w: Mapping[str, Any]) -> Any:
                z = _times(u[n:], w["K"])
                z = z + _times(u[:n], jax.nn.softplus(w["L"])) if n else z
                return jnp.concatenate([_act(layer, z, w), u[n:]])

            return icnn
        case "quadratic":
            return _quadratic
        case "quadratic_icnn":
            n = layer["in_features"] or 0
            return lambda u, w: _quadratic(u[n:], w) + (_times(u[:n], jax.nn.softplus(w["w"])) if n else 0.0)
        case "log_sum_exp":
            return lambda u, w: jax.nn.logsumexp(u, keepdims=True)
        case "softmax":
            return lambda u, w: jax.nn.softmax(u)
        case "along":
            net, k = _layer(layer["net"]), layer["directions"]

            def along(u: Any, w: Mapping[str, Any]) -> Any:
                d = (u.size - k) // (k + 1)
                return net(u[k : k + d] + _times(u[:k], u[k + d :].reshape(k, d)), _below(w, "net."))

            return along
        case "graph":
            replay, names = Replay(dict(layer)), [w["name"] for w in layer["weights"]]
            return lambda u, w: replay(u, [w[name] for name in names])
    layers = [_layer(inner) for inner in layer["layers"]]

    def network(u: Any, w: Mapping[str, Any]) -> Any:
        for i, inner in enumerate(layers):
            u = inner(u, _below(w, f"{i}."))
        return u

    return network


def _below(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The weights of a part of a network."""
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def plain(architecture: Mapping[str, Any], names: Sequence[str]) -> Callable[[Any, Sequence[Any]], Any]:
    """A network as a function of one point (d,) and its weights, which have these names."""
    function = _layer(architecture)
    return lambda x, weights: function(x, dict(zip(names, weights, strict=True)))
