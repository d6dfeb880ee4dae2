"""Descriptions of layers defined by their forward pass, and of networks combined from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from hessquik_rs.architecture import (
    Activation,
    Architecture,
    _act,
    _not_a_layer,
    _number,
    count,
    network,
    single,
)
from hessquik_rs.errors import ArchitectureError, SettingError

Inside = Architecture | Sequence[Architecture]
"""A layer, or layers one after another."""


def _inside(net: Inside) -> Architecture:
    """One description of a layer or of layers one after another."""
    if isinstance(net, dict):
        return net
    if isinstance(net, str) or not isinstance(net, Sequence) or hasattr(net, "forward"):
        raise ArchitectureError(_not_a_layer(net))
    for layer in net:
        if not isinstance(layer, dict):
            raise ArchitectureError(_not_a_layer(layer))
    return network(net)


def _numbers(what: str, values: Any) -> list[float]:
    """Numbers of a list, a tuple or an array."""
    try:
        entries = list(values)
    except TypeError:
        raise SettingError(f"{what} is {values!r}, expected a list of numbers") from None
    return [_number(what, value) for value in entries]


def _faces(what: str, values: Any) -> list[float | None]:
    try:
        entries = list(values)
    except TypeError:
        raise SettingError(f"{what} is {values!r}, expected a list of numbers or None") from None
    return [None if value is None else _number(what, value) for value in entries]


def _ended(layer: Architecture, width: int, out_features: int | None) -> Architecture:
    return layer if out_features is None else network([layer, single(width, out_features)])


def affine(
    in_features: int,
    out_features: int,
    *,
    bias: bool = True,
    input_mean: Sequence[float] | None = None,
    input_std: Sequence[float] | None = None,
    output_mean: Sequence[float] | None = None,
    output_std: Sequence[float] | None = None,
) -> Architecture:
    """`((x - input_mean) / input_std K + b) output_std + output_mean`.

    `K` is (in_features, out_features), `b` (out_features). Means and standard deviations are settings, not weights;
    those that are None have no effect.

    >>> import hessquik_rs as hq
    >>> net = hq.Network([hq.affine(2, 16, input_mean=[1, 2], input_std=[0.1, 5]), hq.single(16, 1, "tanh")], seed=0)
    >>> net.weight_names()
    ['0.K', '0.b', '1.K', '1.b']
    """
    layer: Architecture = {
        "type": "affine",
        "in_features": count("in_features", in_features),
        "out_features": count("out_features", out_features),
        "bias": bool(bias),
    }
    lists = {
        "input_mean": input_mean,
        "input_std": input_std,
        "output_mean": output_mean,
        "output_std": output_std,
    }
    return layer | {name: _numbers(name, values) for name, values in lists.items() if values is not None}


def normalise(mean: Sequence[float], std: Sequence[float], *, inverse: bool = False) -> Architecture:
    """`(x - mean) / std`, or with `inverse` `x std + mean`, feature by feature, without weights."""
    return {
        "type": "normalise",
        "mean": _numbers("mean", mean),
        "std": _numbers("std", std),
        "inverse": bool(inverse),
    }


def fourier(
    in_features: int,
    frequencies: int,
    sigma: float = 1.0,
    *,
    trained: bool = False,
    seed: int = 0,
    matrix: Any = None,
) -> Architecture:
    """`[cos(2 pi x B), sin(2 pi x B)]`, 2 * frequencies numbers: random Fourier features (Tancik et al., 2020).

    * `sigma`: the standard deviation of the entries of `B` (in_features, frequencies)
    * `trained`: whether `B` is a trained weight
    * `seed`: the seed of a `B` that is not trained
    * `matrix` (in_features, frequencies): a fixed `B`, instead of a random one

    >>> import hessquik_rs as hq
    >>> net = hq.Network([hq.fourier(2, 32, sigma=2.0), hq.single(64, 64, "tanh"), hq.single(64, 1)], seed=0)
    >>> net.dim_input, net.dim_output
    (2, 1)
    """
    layer: Architecture = {
        "type": "fourier",
        "in_features": count("in_features", in_features),
        "frequencies": count("frequencies", frequencies),
        "sigma": _number("sigma", sigma),
        "trained": bool(trained),
        "seed": count("seed", seed),
    }
    if matrix is not None:
        layer["matrix"] = [_numbers("a row of matrix", row) for row in matrix]
    return layer


def periodic(periods: Sequence[float | None], harmonics: int = 1) -> Architecture:
    """Coordinates with a period `P` as `cos(2 pi k x / P)`, `sin(2 pi k x / P)`, k = 1 .. harmonics.

    The outputs are the coordinates whose period is None, then the cosines, coordinate by coordinate, then the sines.
    """
    return {
        "type": "periodic",
        "periods": _faces("a period", periods),
        "harmonics": count("harmonics", harmonics),
    }


def modified_mlp(
    in_features: int, width: int, depth: int, act: Activation = "tanh", *, out_features: int | None = None
) -> Architecture:
    """The modified MLP of Wang, Teng and Perdikaris (2021): layers gated by two embeddings `U`, `V` of the input.

    `z = act(h K + b)`, `h' = (1 - z) U + z V`, `depth` times. The output is `h` (width), followed by a linear layer if
    `out_features` is given.

    >>> import hessquik_rs as hq
    >>> hq.Network(hq.modified_mlp(2, 64, 4, out_features=1), seed=0).dim_output
    1
    """
    layer: Architecture = {
        "type": "modified_mlp",
        "in_features": count("in_features", in_features),
        "width": count("width", width),
        "depth": count("depth", depth),
        "act": _act(act),
    }
    return _ended(layer, width, out_features)


def piratenet(
    features: int, depth: int = 1, act: Activation = "tanh", *, out_features: int | None = None
) -> Architecture:
    """`depth` blocks of a PirateNet (Wang, Li, Chen and Perdikaris, 2024) of `features` inputs, usually an embedding.

    Each block is three layers, two of them gated as in `modified_mlp`, and returns `alpha` times its result plus
    `1 - alpha` times its input, with `alpha` initially zero. The output is `features` numbers, followed by a linear
    layer if `out_features` is given.

    >>> import hessquik_rs as hq
    >>> hq.Network([hq.fourier(2, 16), hq.piratenet(32, 3, out_features=1)], seed=0).dim_output
    1
    """
    layer: Architecture = {
        "type": "piratenet",
        "features": count("features", features),
        "depth": count("depth", depth),
        "act": _act(act),
    }
    return _ended(layer, features, out_features)


def layer_norm(features: int, tokens: int = 1, *, eps: float = 1e-5, affine: bool = True) -> Architecture:
    """`g (x - mean x) / sqrt(var x + eps) + b` for each of `tokens` rows: `g`, `b` (features) if `affine`."""
    return {
        "type": "layer_norm",
        "features": count("features", features),
        "tokens": count("tokens", tokens),
        "eps": _number("eps", eps),
        "affine": bool(affine),
    }


def attention(tokens: int, features: int, heads: int = 1, *, bias: bool = True) -> Architecture:
    """Multi-head self-attention of `tokens` rows of `features` numbers.

    Weights are `Q`, `K`, `V`, `O` (features, features), `bq`, `bv`, `bo` (features). Inputs and outputs are the rows,
    one after another: tokens * features numbers.
    """
    return {
        "type": "attention",
        "tokens": count("tokens", tokens),
        "features": count("features", features),
        "heads": count("heads", heads),
        "bias": bool(bias),
    }


def mfn(
    in_features: int,
    width: int,
    depth: int,
    filter: Literal["fourier", "gabor"] = "fourier",
    *,
    scale: float = 8.0,
    out_features: int | None = None,
) -> Architecture:
    """A multiplicative filter network (Fathony et al., 2021): `z_i = (z_{i-1} K + b) sin(x omega + phi)`.

    There are `depth` filters. With `"gabor"` each wave has a Gaussian envelope, `exp(-gamma/2 |x - mu|^2)`. `scale` is
    the highest initial frequency. The output is the last `z` (width), followed by a linear layer if `out_features` is
    given.
    """
    layer: Architecture = {
        "type": "mfn",
        "in_features": count("in_features", in_features),
        "width": count("width", width),
        "depth": count("depth", depth),
        "filter": filter,
        "scale": _number("scale", scale),
    }
    return _ended(layer, width, out_features)


def picnn(
    context: int,
    convex: int,
    widths: Sequence[int],
    context_width: int,
    act: Activation = "softplus",
    *,
    context_act: Activation = "tanh",
) -> Architecture:
    """A network on points `[x, y]`, convex in `y` (Amos, Xu and Kolter, 2017, section 3.2).

    * `context`, `convex`: the dimensions of `x` and `y`
    * `widths`: the features of the convex path after each layer; the last are the outputs and have no activation
    * `context_width`: the features of the path of `x` after each layer
    """
    return {
        "type": "picnn",
        "context": count("context", context),
        "convex": count("convex", convex),
        "widths": [count("widths", width) for width in widths],
        "context_width": count("context_width", context_width),
        "act": _act(act),
        "context_act": _act(context_act),
    }


def deeponet(branch: Inside, trunk: Inside, outputs: int = 1) -> Architecture:
    """`sum_k branch(s)_jk trunk(y)_jk + b_j` at points `[s, y]`: a DeepONet (Lu et al., 2021), `outputs` numbers.

    Branch and trunk give the same number of features, a multiple of `outputs`.

    >>> import hessquik_rs as hq
    >>> branch, trunk = hq.fully_connected([10, 32, 20]), hq.fully_connected([2, 32, 20])
    >>> hq.Network(hq.deeponet(branch, trunk), seed=0).dim_input
    12
    """
    return {
        "type": "deeponet",
        "branch": _inside(branch),
        "trunk": _inside(trunk),
        "outputs": count("outputs", outputs),
    }


def separable(factors: Sequence[Inside], outputs: int = 1) -> Architecture:
    """`sum_k prod_i f_i(x_i)_jk`, `outputs` numbers; the `factors` share out the point's inputs (Cho et al., 2023).

    >>> import hessquik_rs as hq
    >>> hq.Network(hq.separable([hq.fully_connected([1, 16, 8]) for _ in range(3)]), seed=0).dim_input
    3
    """
    return {
        "type": "separable",
        "factors": [_inside(factor) for factor in factors],
        "outputs": count("outputs", outputs),
    }


def boundary(
    net: Inside,
    lower: Sequence[float | None],
    upper: Sequence[float | None],
    shift: Inside | None = None,
) -> Architecture:
    """`phi(x) net(x) + shift(x)`, with `phi` zero on the faces of a box: exact boundary values.

    A coordinate with both faces a, b contributes the factor `4 (x - a)(b - x)/(b - a)^2` to `phi`; one with a single
    face contributes `x - a` or `b - x`, and one without faces (None, None) nothing.

    >>> import numpy as np, hessquik_rs as hq
    >>> net = hq.Network(hq.boundary(hq.fully_connected([2, 16, 1]), [0, 0], [1, None]), seed=0)
    >>> net(np.array([[1.0, 0.5], [0.2, 0.0]])).ravel().tolist()
    [0.0, 0.0]
    """
    layer: Architecture = {
        "type": "boundary",
        "net": _inside(net),
        "lower": _faces("lower", lower),
        "upper": _faces("upper", upper),
    }
    return layer if shift is None else layer | {"shift": _inside(shift)}


def along(net: Inside, directions: int) -> Architecture:
    """`net(x + t V)` of inputs `[t, x, V]`: steps along so many directions, which are inputs, too.

    `Network.evaluate` makes such a network itself where directions differ from point to point.

    >>> import hessquik_rs as hq
    >>> hq.Network(hq.along(hq.fully_connected([3, 16, 1]), 2), seed=0).dim_input
    11
    """
    return {"type": "along", "net": _inside(net), "directions": count("directions", directions)}


def skip(net: Inside) -> Architecture:
    """`[net(x), x]`: a network with its input beside its output."""
    return {"type": "skip", "net": _inside(net)}


def sum_of(terms: Sequence[Inside], coefficients: Sequence[float] | None = None) -> Architecture:
    """`sum_i c_i terms_i(x)`, with coefficients 1 by default; one output is added to every output of the others.

    >>> import hessquik_rs as hq
    >>> terms = [hq.fully_connected([3, 8, 1]), hq.quadratic(3, 2)]
    >>> hq.Network(hq.sum_of(terms, [1.0, -0.5]), seed=0).weight_names()
    ['0.0.K', '0.0.b', '0.1.K', '0.1.b', '1.v', '1.mu', '1.A']
    """
    layer: Architecture = {"type": "sum", "terms": [_inside(term) for term in terms]}
    return layer if coefficients is None else layer | {"coefficients": _numbers("coefficients", coefficients)}


def product_of(factors: Sequence[Inside]) -> Architecture:
    """`prod_i factors_i(x)`, entry by entry; a factor with one output multiplies all of the others'."""
    return {"type": "product", "factors": [_inside(factor) for factor in factors]}
