"""Descriptions of layers and networks, to build a `Network` from: dictionaries, which model files store as JSON.

>>> import hessquik_rs as hq
>>> hq.single(2, 16, "tanh")
{'type': 'single', 'in_features': 2, 'out_features': 16, 'act': {'type': 'tanh'}, 'bias': True}
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import Any, Literal, TypeAlias, get_args

from hessquik_rs.errors import ArchitectureError, SettingError

Architecture: TypeAlias = dict[str, Any]
"""A layer, or `{"type": "network", "layers": [...]}`."""

ActivationName: TypeAlias = Literal[
    "anti_tanh",
    "atan",
    "celu",
    "cos",
    "elu",
    "erf",
    "exp",
    "gaussian",
    "gelu",
    "identity",
    "leaky_relu",
    "log",
    "mish",
    "quadratic",
    "reciprocal",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "squareplus",
    "step",
    "tanh",
    "tanh_gelu",
]
"""An activation by its name, with its default settings."""

Activation: TypeAlias = ActivationName | dict[str, Any]
"""`"tanh"`, `"anti_tanh"` (ln cosh), `"identity"`, `"quadratic"` (z^2/2), `"square"`, `"sigmoid"`, `"softplus"`,
`"sin"`, `"cos"`, `"silu"`, `"gelu"`, `"tanh_gelu"`, `"mish"`, `"gaussian"` (exp(-z^2)), `"erf"`, `"atan"`, `"exp"`,
`"log"`, `"sqrt"`, `"reciprocal"`, `"elu"`, `"celu"`, `"selu"`, `"squareplus"`, `"relu"`, `"leaky_relu"`, `"step"`; or,
with settings, `softplus(beta, threshold)`, `power(p)`, `elu(alpha)`, `celu(alpha)`, `squareplus(b)`,
`leaky_relu(slope)`, `scaled(act, a, b)`.

`"log"`, `"sqrt"` and non-integer powers give NaN for negative z. The second derivatives of ReLU are zero."""


_PLAIN = {name.replace("_", ""): name for name in get_args(ActivationName)}


def _act(act: Activation) -> dict[str, Any]:
    if isinstance(act, str):
        # PyTorch's and hessQuik's names, such as "Tanh" and "antiTanh"
        return {"type": _PLAIN.get(act.lower().replace("_", ""), act)}
    if not isinstance(act, dict):
        wanted = 'a name such as "tanh", or hq.softplus(beta, threshold)'
        raise ArchitectureError(f"the activation is {_kind(act)}, expected {wanted}")
    return act


def count(what: str, value: Any) -> int:
    """A size, of any whole type; that it is large enough is checked where networks are built."""
    try:
        number = index(value)
    except TypeError:
        raise SettingError(f"{what} is {value!r}, expected a whole number, at least 1") from None
    if number < 0:
        raise SettingError(f"{what} is {number}, expected at least 1")
    return number


def _number(what: str, value: Any) -> float:
    """A setting, of any type of number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SettingError(f"{what} is {value!r}, expected a number") from None
    if not math.isfinite(number):
        raise SettingError(f"{what} is {number}, expected a finite number")
    return number


def _kind(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def as_json(layers: Architecture | Sequence[Architecture]) -> str:
    """The description of a network, for the engine; what else is given draws an error that says what to do."""
    if isinstance(layers, dict):
        return _dump(layers)
    if isinstance(layers, str):
        raise ArchitectureError(f"the layers are the text {layers!r}: hq.Network.load reads model files")
    found: list[Any] = [layers] if hasattr(layers, "forward") or not isinstance(layers, Sequence) else list(layers)
    for entry in found:
        if not isinstance(entry, dict):
            raise ArchitectureError(_not_a_layer(entry))
    return _dump(network(found))


def _not_a_layer(entry: Any) -> str:
    wanted = 'expected descriptions such as hq.single(2, 16, "tanh")'
    advice = ""
    if hasattr(entry, "state_dict"):
        advice = (
            "; modules of PyTorch are described layer by layer, nn.Linear(2, 16) and the nn.Tanh() behind it as above, "
            'and net.set_weights({"0.K": linear.weight.detach().T, "0.b": linear.bias.detach()}) copies its weights'
        )
    elif hasattr(entry, "architecture"):
        advice = "; the description of a network is its attribute architecture"
    return f"a layer is {_kind(entry)}, {wanted}{advice}"


def _dump(description: Architecture) -> str:
    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):  # numbers and arrays of numpy
            return value.tolist()
        raise ArchitectureError(f"the description holds {_kind(value)}, expected numbers, texts, lists, dictionaries")

    try:
        return json.dumps(description, default=plain, allow_nan=False)
    except ValueError:
        raise SettingError(f"the description {description} has a number that is not finite") from None


def softplus(beta: float = 1.0, threshold: float = 20.0) -> dict[str, Any]:
    """The activation `ln(1 + exp(beta z)) / beta`; its value is `z` where `beta z > threshold`."""
    return {"type": "softplus", "beta": _number("beta", beta), "threshold": _number("threshold", threshold)}


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
    """Layers one after another, as part of a network.

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
        "in_features": count("in_features", in_features),
        "out_features": count("out_features", out_features),
        "act": _act(act),
        "bias": bool(bias),
    }


def resnet(
    width: int, depth: int = 1, act: Activation = "identity", *, h: float = 1.0, bias: bool = True
) -> Architecture:
    """`x + h act(x K + b)`, `depth` times: each with `K` (width, width), `b` (width).

    A single such layer if `depth` is 1, else a network of them.
    """
    settings = {"width": count("width", width), "h": _number("h", h), "act": _act(act), "bias": bool(bias)}
    layer: Architecture = {"type": "resnet", **settings}
    depth = count("depth", depth)
    return layer if depth == 1 else network([dict(layer) for _ in range(depth)])


def fully_connected(widths: Sequence[int], act: Activation = "tanh", *, last: Activation | None = None) -> Architecture:
    """Single layers with these widths (input, hidden ..., output); the last has activation `last` if that is given.

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

    `widths` are the numbers of features after each layer; the output is these features and `x`,
    `widths[-1] + input_dim` numbers.
    """
    features = [None, *widths[:-1]]
    return network(
        [
            {
                "type": "icnn",
                "input_dim": count("input_dim", input_dim),
                "in_features": None if before is None else count("widths", before),
                "out_features": count("widths", width),
                "act": _act(act),
                "bias": bool(bias),
            }
            for before, width in zip(features, widths, strict=True)
        ]
    )


def quadratic(in_features: int, rank: int) -> Architecture:
    """`x v + mu + x A^T A x^T / 2`, one number: `v` (in_features), `mu` (1), `A` (rank, in_features)."""
    return {"type": "quadratic", "in_features": count("in_features", in_features), "rank": count("rank", rank)}


def quadratic_icnn(input_dim: int, in_features: int | None, rank: int) -> Architecture:
    """`u softplus(w) + x v + mu + x A^T A x^T / 2`, one number, of the output `[u, x]` of `icnn`."""
    features = None if in_features is None else count("in_features", in_features)
    sizes = {"input_dim": count("input_dim", input_dim), "in_features": features, "rank": count("rank", rank)}
    return {"type": "quadratic_icnn", **sizes}


def log_sum_exp(in_features: int) -> Architecture:
    """`ln sum_i exp(x_i)`, one number."""
    return {"type": "log_sum_exp", "in_features": count("in_features", in_features)}


def softmax(features: int) -> Architecture:
    """`exp(x_i) / sum_j exp(x_j)`."""
    return {"type": "softmax", "features": count("features", features)}
