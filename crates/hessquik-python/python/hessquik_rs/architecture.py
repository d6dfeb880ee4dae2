"""Descriptions of layers and networks, to build a `Network` from: dictionaries, as model files keep them as JSON.

>>> import hessquik_rs as hq
>>> hq.single(2, 16, "tanh")
{'type': 'single', 'in_features': 2, 'out_features': 16, 'act': {'type': 'tanh'}, 'bias': True}
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

Architecture: TypeAlias = dict[str, Any]
"""A layer, or `{"type": "network", "layers": [...]}`."""

Activation: TypeAlias = str | dict[str, Any]
"""`"tanh"`, `"anti_tanh"` (ln cosh), `"identity"`, `"quadratic"` (z^2/2), `"square"`, `"sigmoid"`, `"softplus"`,
`"sin"`, `"cos"`, `"silu"`, `"gelu"`, `"tanh_gelu"`, `"mish"`, `"gaussian"` (exp(-z^2)), `"erf"`, `"atan"`, `"exp"`,
`"log"`, `"sqrt"`, `"reciprocal"`, `"elu"`, `"celu"`, `"selu"`, `"squareplus"`, `"relu"`, `"leaky_relu"`; or, with
settings, `softplus(beta, threshold)`, `power(p)`, `elu(alpha)`, `celu(alpha)`, `squareplus(b)`, `leaky_relu(slope)`,
`scaled(act, a, b)`.

`"log"`, `"sqrt"` and powers that are no integers give NaN for negative z. The second derivatives of ReLU are zero."""


def _act(act: Activation) -> dict[str, Any]:
    return {"type": act} if isinstance(act, str) else act


def softplus(beta: float = 1.0, threshold: float = 20.0) -> dict[str, Any]:
    """The activation `ln(1 + exp(beta z)) / beta`; its value is `z` where `beta z > threshold`."""
    return {"type": "softplus", "beta": beta, "threshold": threshold}


def power(p: float) -> dict[str, Any]:
    """The activation `z^p`; NaN for negative `z` if `p` is not an integer.

    >>> import numpy as np, hessquik_rs as hq
    >>> net = hq.Network([hq.single(1, 1, hq.power(3), bias=False)])
    >>> net.set_weights({"0.K": np.ones((1, 1))})
    >>> value, gradient, hessian = net.evaluate(np.array([[2.0]]))
    >>> value.item(), gradient.item(), hessian.item()
    (8.0, 12.0, 12.0)
    """
    return {"type": "power", "p": p}


def elu(alpha: float = 1.0) -> dict[str, Any]:
    """The activation `z` for `z > 0`, else `alpha (exp(z) - 1)`."""
    return {"type": "elu", "alpha": alpha}


def celu(alpha: float = 1.0) -> dict[str, Any]:
    """The activation `z` for `z > 0`, else `alpha (exp(z / alpha) - 1)`."""
    return {"type": "celu", "alpha": alpha}


def squareplus(b: float = 4.0) -> dict[str, Any]:
    """The activation `(z + sqrt(z^2 + b)) / 2`."""
    return {"type": "squareplus", "b": b}


def leaky_relu(slope: float = 0.01) -> dict[str, Any]:
    """The activation `z` for `z > 0`, else `slope z`; its second derivative is taken to be zero."""
    return {"type": "leaky_relu", "slope": slope}


def scaled(act: Activation, a: float = 1.0, b: float = 1.0) -> dict[str, Any]:
    """The activation `a act(b z)`."""
    return {"type": "scaled", "act": _act(act), "a": a, "b": b}


def network(layers: Sequence[Architecture]) -> Architecture:
    """Layers one after another, to stand inside a network.

    >>> import hessquik_rs as hq
    >>> from hessquik_rs.architecture import network
    >>> inner = network([hq.single(3, 4, "sin"), hq.single(4, 3, "sin")])
    >>> hq.Network([inner, hq.single(3, 1)], seed=0).weight_names()
    ['0.0.K', '0.0.b', '0.1.K', '0.1.b', '1.K', '1.b']
    """
    return {"type": "network", "layers": list(layers)}


def single(in_features: int, out_features: int, act: Activation = "identity", *, bias: bool = True) -> Architecture:
    """`act(x K + b)`: `K` (in_features, out_features), `b` (out_features)."""
    return {
        "type": "single",
        "in_features": in_features,
        "out_features": out_features,
        "act": _act(act),
        "bias": bias,
    }


def resnet(
    width: int, depth: int = 1, act: Activation = "identity", *, h: float = 1.0, bias: bool = True
) -> Architecture:
    """`x + h act(x K + b)`, `depth` times: each with `K` (width, width), `b` (width).

    One such layer if `depth` is 1, else a network of them.
    """
    layer: Architecture = {"type": "resnet", "width": width, "h": h, "act": _act(act), "bias": bias}
    return layer if depth == 1 else network([dict(layer) for _ in range(depth)])


def fully_connected(widths: Sequence[int], act: Activation = "tanh", *, last: Activation | None = None) -> Architecture:
    """Single layers with these widths (input, hidden ..., output); the last with activation `last`, if that is given.

    >>> import hessquik_rs as hq
    >>> hq.Network(hq.fully_connected([2, 64, 64, 1], last="identity"), seed=0).n_weights
    4417
    """
    layers = [single(a, b, act) for a, b in pairwise(widths)]
    if layers and last is not None:
        layers[-1]["act"] = _act(last)
    return network(layers)


def icnn(input_dim: int, widths: Sequence[int], act: Activation = "softplus", *, bias: bool = True) -> Architecture:
    """An input convex network: `u' = act(u softplus(L) + x K + b)`, with `x` (input_dim) kept beside the features.

    `widths` are the features after each layer; the output is these and `x`, `widths[-1] + input_dim` numbers.
    """
    features = [None, *widths[:-1]]
    return network(
        [
            {
                "type": "icnn",
                "input_dim": input_dim,
                "in_features": before,
                "out_features": width,
                "act": _act(act),
                "bias": bias,
            }
            for before, width in zip(features, widths, strict=True)
        ]
    )


def quadratic(in_features: int, rank: int) -> Architecture:
    """`x v + mu + x A^T A x^T / 2`, one number: `v` (in_features), `mu` (1), `A` (rank, in_features)."""
    return {"type": "quadratic", "in_features": in_features, "rank": rank}


def quadratic_icnn(input_dim: int, in_features: int | None, rank: int) -> Architecture:
    """`u softplus(w) + x v + mu + x A^T A x^T / 2`, one number, of the output `[u, x]` of `icnn`."""
    return {"type": "quadratic_icnn", "input_dim": input_dim, "in_features": in_features, "rank": rank}


def log_sum_exp(in_features: int) -> Architecture:
    """`ln sum_i exp(x_i)`, one number."""
    return {"type": "log_sum_exp", "in_features": in_features}


def softmax(features: int) -> Architecture:
    """`exp(x_i) / sum_j exp(x_j)`."""
    return {"type": "softmax", "features": features}
