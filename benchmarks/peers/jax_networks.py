"""Networks of every layer at one point, in JAX: each layer by its formula, with hessquik's descriptions and weights."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import softplus

ACTS = {
    "identity": lambda z: z,
    "tanh": jnp.tanh,
    "anti_tanh": lambda z: jnp.logaddexp(z, -z) - math.log(2),
    "sigmoid": jax.nn.sigmoid,
    "softplus": softplus,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "silu": jax.nn.silu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "mish": lambda z: z * jnp.tanh(softplus(z)),
    "gaussian": lambda z: jnp.exp(-z * z),
    "square": lambda z: z * z,
    "exp": jnp.exp,
    "atan": jnp.arctan,
}


class Weights:
    """Weights by name, of which those inside a layer are found without its prefix."""

    def __init__(self, arrays, prefix=""):
        self.arrays, self.prefix = arrays, prefix

    def __getitem__(self, name):
        return self.arrays[self.prefix + name]

    def __contains__(self, name):
        return self.prefix + name in self.arrays

    def inside(self, name):
        return Weights(self.arrays, f"{self.prefix}{name}.")

    def dense(self, name, u):
        z = u @ self[f"{name}.K"]
        return z + self[f"{name}.b"] if f"{name}.b" in self else z


def act(layer, key="act"):
    return ACTS[layer[key]["type"]]


def single(layer, w, u):
    z = u @ w["K"]
    return act(layer)(z + w["b"] if layer["bias"] else z)


def resnet(layer, w, u):
    return u + layer["h"] * act(layer)(w.dense("layer", u))


def icnn(layer, w, u):
    """Of [u, x]; the point goes beside the features into the next layer."""
    d = layer["input_dim"]
    u, x = u[: u.shape[0] - d], u[u.shape[0] - d :]
    z = x @ w["K"] + w["b"]
    if layer["in_features"]:
        z = z + u @ softplus(w["L"])
    return jnp.concatenate([act(layer)(z), x])


def quadratic(layer, w, u):
    ax = w["A"] @ u
    return (u @ w["v"] + 0.5 * ax @ ax)[None] + w["mu"]


def quadratic_icnn(layer, w, u):
    d = layer["input_dim"]
    features, x = u[: u.shape[0] - d], u[u.shape[0] - d :]
    ax = w["A"] @ x
    value = (x @ w["v"] + 0.5 * ax @ ax)[None] + w["mu"]
    return value + features @ softplus(w["w"]) if layer["in_features"] else value


def fourier(layer, w, u):
    z = 2 * math.pi * (u @ w["B"])
    return jnp.concatenate([jnp.cos(z), jnp.sin(z)])


def periodic(layer, w, u):
    plain = [i for i, p in enumerate(layer["periods"]) if p is None]
    waves = [i for i, p in enumerate(layer["periods"]) if p is not None]
    omega = np.array([2 * math.pi / layer["periods"][i] for i in waves], u.dtype)
    z = ((u[np.array(waves)] * omega)[:, None] * np.arange(1, layer["harmonics"] + 1, dtype=u.dtype)).ravel()
    return jnp.concatenate([u[np.array(plain, int)], jnp.cos(z), jnp.sin(z)])


def modified_mlp(layer, w, x):
    f = act(layer)
    gate, other, h = f(w.dense("U", x)), f(w.dense("V", x)), f(w.dense("in", x))
    for i in range(layer["depth"]):
        z = f(w.dense(str(i), h))
        h = (1 - z) * gate + z * other
    return h


def piratenet(layer, w, u):
    f = act(layer)
    gate, other = f(w.dense("U", u)), f(w.dense("V", u))
    for i in range(layer["depth"]):
        block = w.inside(str(i))
        z = f(block.dense("f", u))
        z = f(block.dense("g", z * gate + (1 - z) * other))
        h = f(block.dense("h", z * gate + (1 - z) * other))
        u = block["alpha"] * h + (1 - block["alpha"]) * u
    return u


def layer_norm(layer, w, u):
    rows = u.reshape(layer["tokens"], layer["features"])
    centred = rows - rows.mean(1, keepdims=True)
    normed = centred * jax.lax.rsqrt((centred**2).mean(1, keepdims=True) + layer["eps"])
    return (normed * w["g"] + w["b"]).ravel()


def attention(layer, w, u):
    tokens, heads = layer["tokens"], layer["heads"]
    rows = u.reshape(tokens, layer["features"])
    each = layer["features"] // heads
    maps = (rows @ w["Q"] + w["bq"], rows @ w["K"], rows @ w["V"] + w["bv"])
    q, k, v = (z.reshape(tokens, heads, each).swapaxes(0, 1) for z in maps)
    mixed = jax.nn.softmax(q @ k.swapaxes(1, 2) / math.sqrt(each)) @ v
    return (mixed.swapaxes(0, 1).reshape(tokens, -1) @ w["O"] + w["bo"]).ravel()


def mfn(layer, w, x):
    def filtered(i):
        one = w.inside(str(i))
        wave = jnp.sin(x @ one["omega"] + one["phi"])
        if layer["filter"] == "fourier":
            return wave
        return wave * jnp.exp(-one["gamma"] / 2 * ((x - one["mu"]) ** 2).sum(1))

    z = filtered(0)
    for i in range(1, layer["depth"]):
        z = w.dense(str(i), z) * filtered(i)
    return z


def picnn(layer, w, point):
    u, y = point[: layer["context"]], point[layer["context"] :]
    for i in range(len(layer["widths"])):
        one = w.inside(str(i))
        total = (y * one.dense("yu", u)) @ one["y.K"] + one.dense("c", u)
        if i > 0:
            total = (z * softplus(one.dense("zu", u))) @ softplus(one["z.K"]) + total  # noqa: F821
        if i + 1 < len(layer["widths"]):
            total, u = act(layer)(total), act(layer, "context_act")(one.dense("u", u))
        z = total
    return z


def inputs(layer):
    """The number of inputs of a layer or network."""
    if layer["type"] == "network":
        return inputs(layer["layers"][0])
    return layer["in_features"]


def outputs(layer):
    """The number of outputs of a plain layer, or of a network that ends with one."""
    return outputs(layer["layers"][-1]) if layer["type"] == "network" else layer["out_features"]


def text(layer):
    """A layer or network in a few words."""
    if layer["type"] == "network":
        return " ".join(text(one) for one in layer["layers"])
    inner = [text(v) for v in layer.values() if isinstance(v, dict) and "layers" in v]
    inner += [text(one) for v in layer.values() if isinstance(v, list) for one in v if isinstance(one, dict)]
    keys = ("in_features", "input_dim", "context", "tokens", "features", "width", "frequencies", "out_features", "rank")
    sizes = "-".join(str(layer[key]) for key in (*keys, "depth", "heads") if key in layer)
    act = layer.get("act", {}).get("type", "")
    return f"{layer['type']}{'(' + ', '.join(inner) + ')' if inner else ''} {sizes} {act};"


def products(layer, factors, x):
    outputs, total, at = layer["outputs"], None, 0
    for net, w in factors:
        d = inputs(net)
        value = apply(net, w, x[at : at + d]).reshape(outputs, -1)
        total, at = value if total is None else total * value, at + d
    return total.sum(1)


def deeponet(layer, w, x):
    return products(layer, [(layer[name], w.inside(name)) for name in ("branch", "trunk")], x) + w["b"]


def separable(layer, w, x):
    return products(layer, [(net, w.inside(str(i))) for i, net in enumerate(layer["factors"])], x)


def boundary(layer, w, x):
    factor = 1.0
    for i, (a, b) in enumerate(zip(layer["lower"], layer["upper"], strict=True)):
        if a is not None and b is not None:
            factor = factor * (4 / (b - a) ** 2 * (x[i] - a) * (b - x[i]))
        elif a is not None:
            factor = factor * (x[i] - a)
        elif b is not None:
            factor = factor * (b - x[i])
    return factor * apply(layer["net"], w.inside("net"), x)


def skip(layer, w, x):
    return jnp.concatenate([apply(layer["net"], w.inside("net"), x), x])


def sum_of(layer, w, x):
    each = [apply(net, w.inside(str(i)), x) for i, net in enumerate(layer["terms"])]
    return sum(c * value for c, value in zip(layer["coefficients"], each, strict=True))


def product_of(layer, w, x):
    return math.prod(apply(net, w.inside(str(i)), x) for i, net in enumerate(layer["factors"]))


LAYERS = {
    "single": single,
    "resnet": resnet,
    "icnn": icnn,
    "quadratic": quadratic,
    "quadratic_icnn": quadratic_icnn,
    "log_sum_exp": lambda layer, w, u: jax.nn.logsumexp(u)[None],
    "softmax": lambda layer, w, u: jax.nn.softmax(u),
    "fourier": fourier,
    "periodic": periodic,
    "modified_mlp": modified_mlp,
    "piratenet": piratenet,
    "layer_norm": layer_norm,
    "attention": attention,
    "mfn": mfn,
    "picnn": picnn,
    "deeponet": deeponet,
    "separable": separable,
    "boundary": boundary,
    "skip": skip,
    "sum": sum_of,
    "product": product_of,
}


def apply(layer, w, x):
    """A layer or network of the description `layer` at one point."""
    if layer["type"] != "network":
        return LAYERS[layer["type"]](layer, w, x)
    for i, one in enumerate(layer["layers"]):
        x = apply(one, w.inside(str(i)), x)
    return x
