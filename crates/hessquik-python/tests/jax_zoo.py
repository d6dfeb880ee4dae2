"""Networks that people publish, each from its formula, small: what the front door of JAX is tested with."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Draw:
    """Parameters drawn one after another."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape, scale=1.0):
        return jnp.asarray(self.rng.normal(size=shape) * scale)

    def uniform(self, *shape):
        return jnp.asarray(self.rng.uniform(0.3, 1.0, shape))

    def dense(self, a, b):
        return {"w": self.normal(a, b, scale=a**-0.5), "b": self.normal(b, scale=0.3)}

    def mlp(self, *widths):
        return [self.dense(a, b) for a, b in zip(widths, widths[1:], strict=False)]


def dense(p, x):
    return x @ p["w"] + p["b"]


def mlp(layers, x, act=jnp.tanh):
    for layer in layers[:-1]:
        x = act(dense(layer, x))
    return dense(layers[-1], x)


def normalised(draw):
    """An MLP on inputs mapped to [-1, 1], with its output scaled back."""
    low, high = jnp.array([-2.0, 0.0]), jnp.array([3.0, 5.0])

    def apply(p, x):
        return mlp(p, 2.0 * (x - low) / (high - low) - 1.0) * 3.0 + 0.5

    return apply, draw.mlp(2, 7, 6, 2), 2


def fourier_features(draw):
    """[cos 2 pi B x, sin 2 pi B x] before an MLP; B is fixed."""
    features = draw.normal(2, 40, scale=0.3)

    def apply(p, x):
        z = 2 * jnp.pi * x @ features
        return mlp(p, jnp.concatenate([jnp.cos(z), jnp.sin(z)]), jax.nn.silu)

    return apply, draw.mlp(80, 6, 1), 2


def periodic(draw):
    """A periodic embedding of the first coordinate, and a hard initial condition u = s^2 cos(pi s) + t N."""

    def apply(p, x):
        s, t = x
        return s**2 * jnp.cos(jnp.pi * s) + t * mlp(p, jnp.array([jnp.sin(s), jnp.cos(s), t]))[0]

    return apply, draw.mlp(3, 6, 1), 2


def factorised(draw):
    """Random weight factorisation: W = V diag(exp(s))."""

    def apply(p, x):
        for layer in p[:-1]:
            x = jnp.tanh(x @ (layer["v"] * jnp.exp(layer["s"])) + layer["b"])
        return dense(p[-1], x)

    layers = [{"v": draw.normal(a, 6), "s": draw.normal(6, scale=0.1), "b": draw.normal(6)} for a in (2, 6)]
    return apply, [*layers, draw.dense(6, 1)], 2


def modified_mlp(draw):
    """Gates between two embeddings: h' = (1 - z) U + z V."""

    def apply(p, x):
        u, v, h = (jnp.tanh(dense(p[k], x)) for k in ("u", "v", "first"))
        for layer in p["hidden"]:
            z = jnp.tanh(dense(layer, h))
            h = (1 - z) * u + z * v
        return dense(p["out"], h)

    p = {k: draw.dense(2, 6) for k in ("u", "v", "first")}
    return apply, {**p, "hidden": draw.mlp(6, 6, 6), "out": draw.dense(6, 2)}, 2


def pirate_net(draw):
    """Adaptive residual connections alpha f + (1 - alpha) x around gated blocks."""
    features = draw.normal(2, 3)

    def apply(p, x):
        x = jnp.concatenate([jnp.cos(x @ features), jnp.sin(x @ features)])
        u, v = jnp.tanh(dense(p["u"], x)), jnp.tanh(dense(p["v"], x))
        for alpha, (f, g, h) in zip(p["alpha"], p["blocks"], strict=True):
            z = jnp.tanh(dense(f, x))
            z = z * u + (1 - z) * v
            z = jnp.tanh(dense(g, z))
            z = z * u + (1 - z) * v
            x = alpha * jnp.tanh(dense(h, z)) + (1 - alpha) * x
        return x @ p["out"]

    p = {"u": draw.dense(6, 6), "v": draw.dense(6, 6), "alpha": jnp.array([0.3, 0.6]), "out": draw.normal(6, 1)}
    return apply, {**p, "blocks": [draw.mlp(6, 6, 6, 6) for _ in range(2)]}, 2


def siren(draw):
    """sin(w0 (W x + b)) throughout; w0 is trained."""

    def apply(p, x):
        for layer in p["layers"][:-1]:
            x = jnp.sin(p["w0"] * dense(layer, x))
        return dense(p["layers"][-1], x)

    return apply, {"layers": draw.mlp(2, 6, 6, 1), "w0": 1.5}, 2


def mfn(draw):
    """Multiplicative filters of Gabor: z' = (W z + b) sin(omega x + phi) exp(-gamma |x - mu|^2 / 2)."""

    def filtered(p, x):
        square = ((x - p["mu"]) ** 2).sum(-1)
        return jnp.sin(dense(p["omega"], x)) * jnp.exp(-0.5 * p["gamma"] * square)

    def apply(p, x):
        z = filtered(p["filters"][0], x)
        for f, layer in zip(p["filters"][1:], p["layers"], strict=False):
            z = dense(layer, z) * filtered(f, x)
        return dense(p["layers"][-1], z)

    filters = [{"omega": draw.dense(2, 6), "mu": draw.normal(6, 2), "gamma": draw.uniform(6)} for _ in range(3)]
    return apply, {"filters": filters, "layers": draw.mlp(6, 6, 6, 1)}, 2


def deep_o_net(draw):
    """Branch net of a fixed function's sensor values times trunk net of the point."""
    sensors = draw.normal(4)

    def apply(p, x):
        branch, trunk = mlp(p["branch"], sensors, jax.nn.relu).reshape(2, 5), mlp(p["trunk"], x).reshape(2, 5)
        return jnp.einsum("ci,ci->c", branch, trunk) + p["bias"]

    return apply, {"branch": draw.mlp(4, 6, 10), "trunk": draw.mlp(2, 6, 10), "bias": draw.normal(2)}, 2


def spinn(draw):
    """Separable: the sum over ranks of products of a network of each coordinate, vmapped over the coordinates."""

    def apply(p, x):
        return jnp.prod(jax.vmap(mlp)(p, x[:, None]), axis=0).sum()

    nets = [draw.mlp(1, 5, 4) for _ in range(3)]
    return apply, jax.tree.map(lambda *a: jnp.stack(a), *nets), 3


def icnn(draw):
    """Input convex: softplus of the weights that must be positive, a quadratic on top."""

    def apply(p, x):
        z = jax.nn.softplus(dense(p["x"][0], x))
        for w, skip in zip(p["z"], p["x"][1:], strict=True):
            z = jax.nn.softplus(z @ jax.nn.softplus(w) / w.shape[0] + dense(skip, x))
        return z.sum() + jax.nn.softplus(p["alpha"]) * (x @ x) / 2

    p = {"x": [draw.dense(3, 5) for _ in range(3)], "z": [draw.normal(5, 5) for _ in range(2)]}
    return apply, {**p, "alpha": jnp.array(0.4)}, 3


def layer_norm(p, x):
    mean, var = jnp.mean(x, -1, keepdims=True), jnp.var(x, -1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p["w"] + p["b"]


def psiformer(draw):
    """Attention over two electrons, layer norm, a determinant, exponential envelopes, a cusp of distances."""

    def apply(p, x):
        r = x.reshape(2, 3)
        distance = jnp.linalg.norm(r, axis=-1, keepdims=True)
        h = dense(p["embed"], jnp.concatenate([r, distance], -1))
        n = layer_norm(p["norm"], h)
        q, k, v = (jnp.einsum("ni,ihd->hnd", n, w) for w in p["qkv"])
        weights = jax.nn.softmax(jnp.einsum("hnd,hmd->hnm", q, k) / math.sqrt(q.shape[-1]), -1)
        h = h + jnp.einsum("hnm,hmd,hdo->no", weights, v, p["join"])
        h = h + jnp.tanh(dense(p["mlp"], h))
        orbitals = dense(p["orbital"], h) * p["pi"] * jnp.exp(-jax.nn.softplus(p["sigma"]) * distance)
        i, j = jnp.triu_indices(2, 1)
        pairs = jnp.sqrt(((r[i] - r[j]) ** 2).sum(-1))
        return jnp.log(jnp.linalg.det(orbitals) ** 2 + 1e-3) / 2 - (0.25 / (p["cusp"] + pairs)).sum()

    p = {"embed": draw.dense(4, 8), "norm": {"w": draw.uniform(8), "b": draw.normal(8)}, "mlp": draw.dense(8, 8)}
    p |= {"qkv": [draw.normal(8, 2, 4) for _ in range(3)], "join": draw.normal(2, 4, 8, scale=0.3)}
    return apply, {**p, "orbital": draw.dense(8, 2), "pi": draw.uniform(2), "sigma": draw.uniform(2), "cusp": 1.2}, 6


def symmetry_functions(draw):
    """Behler and Parrinello: radial functions with a cosine cutoff, and a CELU network for each atom."""
    eta, shifts, cutoff = jnp.array([0.5, 1.0, 4.0]), jnp.array([0.0, 1.0, 2.0]), 2.0

    def apply(p, x):
        r = x.reshape(3, 3)
        i, j = np.array([[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]])
        d = jnp.linalg.norm(r[i] - r[j], axis=-1)
        cut = jnp.where(d < cutoff, 0.5 * (jnp.cos(jnp.pi * d / cutoff) + 1), 0.0)
        g = jnp.exp(-eta * (d[:, None] - shifts) ** 2) * cut[:, None]
        atoms = jax.ops.segment_sum(g, i, 3)
        return jax.vmap(lambda atom: mlp(p, atom, jax.nn.celu)[0])(atoms).sum()

    return apply, draw.mlp(3, 6, 1), 9


def conv1d(draw):
    """Convolutions over a signal of eight samples: strided, dilated, by groups; average pooling."""

    def conv(w, h, **settings):
        return lax.conv_general_dilated(h, w, dimension_numbers=("NWC", "WIO", "NWC"), **settings)

    def apply(p, x):
        h = jnp.tanh(conv(p["a"], x[None, :, None], window_strides=(2,), padding="SAME") + p["shift"])
        h = jax.nn.silu(
            conv(p["b"], h, window_strides=(1,), padding=[(1, 1)], rhs_dilation=(2,), feature_group_count=2)
        )
        h = lax.reduce_window(h, 0.0, lax.add, (1, 2, 1), (1, 1, 1), "VALID") / 2
        return dense(p["out"], h.reshape(-1))

    p = {"a": draw.normal(3, 1, 4), "shift": draw.normal(4), "b": draw.normal(2, 2, 4)}
    return apply, {**p, "out": draw.dense(12, 1)}, 8


def conv2d(draw):
    """A convolution over an image of 4 x 4 and a transposed one."""

    def apply(p, x):
        image = x.reshape(1, 1, 4, 4)
        h = jnp.tanh(lax.conv(image, p["a"], (2, 2), "SAME"))
        h = lax.conv_transpose(h, p["b"], (2, 2), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
        return jnp.sin(h + 0.1 * image).mean((2, 3))[0]

    return apply, {"a": draw.normal(3, 1, 2, 2), "b": draw.normal(2, 3, 3, 3)}, 16


def gru(draw):
    """A gated recurrent unit over the coordinates, by scan."""

    def apply(p, x):
        def cell(h, s):
            s = jnp.atleast_1d(s)
            z, r = (jax.nn.sigmoid(dense(p["x" + k], s) + h @ p["h" + k]) for k in "zr")
            n = jnp.tanh(dense(p["xn"], s) + r * (h @ p["hn"]))
            h = (1 - z) * n + z * h
            return h, h.sum()

        h, sums = lax.scan(cell, jnp.zeros(4), x)
        return jnp.concatenate([dense(p["out"], h), sums[::2]])

    p = {"x" + k: draw.dense(1, 4) for k in "zrn"} | {"h" + k: draw.normal(4, 4, scale=0.5) for k in "zrn"}
    return apply, {**p, "out": draw.dense(4, 1)}, 3


def layers_by_scan(draw):
    """Residual layers with stacked weights, by scan over the layers; half of them in reverse."""

    def apply(p, x):
        def layer(h, w):
            return h + jnp.tanh(h @ w["w"] + w["b"]), None

        h, _ = lax.scan(layer, dense(p["in"], x), p["stack"])
        h, _ = lax.scan(jax.checkpoint(layer), h, p["stack"], reverse=True)
        return lax.fori_loop(0, 2, lambda i, h: jnp.sin(h) * p["stack"]["b"][i], h)[:2]

    return apply, {"in": draw.dense(2, 5), "stack": {"w": draw.normal(3, 5, 5, scale=0.4), "b": draw.normal(3, 5)}}, 2


def kan(draw):
    """Kolmogorov-Arnold layers of Gaussians with a SiLU beside them."""
    grid = jnp.linspace(-1, 1, 5)

    def apply(p, x):
        for layer in p:
            phi = jnp.exp(-(((x[:, None] - grid) / 0.5) ** 2))
            x = jnp.einsum("ig,igo->o", phi, layer["spline"]) + dense(layer["base"], jax.nn.silu(x))
        return x

    layers = [{"spline": draw.normal(a, 5, b, scale=0.3), "base": draw.dense(a, b)} for a, b in ((2, 4), (4, 1))]
    return apply, layers, 2


def kan_splines(draw):
    """A Kolmogorov-Arnold layer of cubic B-splines, by the recurrence of Cox and de Boor."""
    knots = jnp.arange(-3, 9) * 0.5 - 1.25

    def apply(p, x):
        x, t = x[:, None], knots
        b = ((x >= t[:-1]) & (x < t[1:])).astype(x.dtype)
        for k in range(1, 4):
            left = (x - t[: -(k + 1)]) / (t[k:-1] - t[: -(k + 1)])
            right = (t[k + 1 :] - x) / (t[k + 1 :] - t[1:-k])
            b = left * b[:, :-1] + right * b[:, 1:]
        return jnp.einsum("ig,igo->o", b, p)

    return apply, draw.normal(2, 8, 3), 2


def score(draw):
    """A score network with an embedding of the noise level, which is the last coordinate."""
    frequencies = jnp.exp(jnp.arange(3.0))

    def apply(p, x):
        sigma = x[2]
        angles = sigma * frequencies
        time = dense(p["time"], jnp.concatenate([jnp.sin(angles), jnp.cos(angles)]))
        return dense(p["out"], jax.nn.silu(mlp(p["net"], x[:2], jax.nn.softplus) + time)) / (1.0 + sigma**2)

    return apply, {"net": draw.mlp(2, 8, 8), "time": draw.dense(6, 8), "out": draw.dense(8, 2)}, 3


def hypernetwork(draw):
    """Weights that come from another network of a trained code, one scalar tied everywhere."""

    def apply(p, x):
        w = mlp(p["hyper"], p["code"])
        return p["slope"] * jnp.tanh(p["slope"] * (w[:12].reshape(6, 2) @ x)) @ w[12:]

    return apply, {"code": draw.normal(3), "hyper": draw.mlp(3, 5, 18), "slope": jnp.array(1.3)}, 2


def activations(draw):
    """Every activation of `jax.nn` that has derivatives."""
    plain = "relu relu6 sigmoid softplus sparse_plus soft_sign silu log_sigmoid leaky_relu hard_sigmoid hard_silu"
    plain += " hard_tanh elu celu selu gelu squareplus mish tanh"
    acts = [getattr(jax.nn, name) for name in plain.split()]
    acts += [lambda x: jax.nn.gelu(x, approximate=False), lambda x: jax.nn.celu(x, 2.0), lambda x: jax.nn.elu(x, 0.5)]
    acts += [lambda x: jax.nn.squareplus(x, 2.0), lambda x: jax.nn.leaky_relu(x, 0.3), jax.nn.standardize]
    acts += [
        jax.nn.softmax,
        jax.nn.log_softmax,
        lambda x: jax.nn.logsumexp(x) * x,
        lambda x: jax.nn.glu(jnp.tile(x, 2)),
    ]

    def apply(p, x):
        return sum(act(dense(layer, x)) * layer["c"] for act, layer in zip(acts, p, strict=True))

    return apply, [{**draw.dense(2, 4), "c": draw.normal(4)} for _ in acts], 2


def entries(draw):
    """Operations entry by entry that the others do not use."""

    def apply(p, x):
        h = dense(p["in"], x)
        a = jnp.sinh(0.3 * h) / jnp.cosh(h) + jnp.expm1(0.1 * h) + jnp.log1p(h**2) + jnp.arctan(h) + lax.erf(h)
        b = jnp.maximum(h, jnp.roll(h, 1)) + jnp.minimum(h, 0.2) + jnp.clip(h, -0.7, 0.4) + jnp.abs(h) ** 1.5
        c = jnp.where(h > p["at"], h**3, jnp.sign(h) * h) + (h**2 + 1) ** -0.5 + 2.0**h + 1.3 ** p["at"]
        d = jnp.arcsinh(h) + jnp.arctanh(0.5 * jnp.tanh(h)) + jnp.arcsin(0.5 * jnp.sin(h)) + jnp.tan(0.3 * h)
        e = jnp.exp2(0.1 * h) + jnp.cbrt(h) + lax.rsqrt(h * h + 2) + jnp.logaddexp(h, p["at"]) + jnp.hypot(h, 1.0)
        return a * b + c / (2 + jnp.sin(d)) + e ** p["power"] + lax.stop_gradient(h) * h

    return apply, {"in": draw.dense(2, 4), "at": draw.normal(4), "power": 1.7}, 2


def moves(draw):
    """Operations that move, sum and write entries."""

    def apply(p, x):
        h = jnp.tanh(p["w"] @ x).reshape(2, 3)
        a = jnp.concatenate([h[:, ::-1], jnp.flip(h.T @ h, 0)[:2]], 0)[jnp.array([3, 0, 2])]
        b = jnp.pad(h, ((1, 0), (0, 1)), constant_values=0.5).cumsum(0).cumsum(1)[1:, 1:]
        c = h.at[0, 1].set(x[0]).at[:, 2].add(x[1]).at[jnp.array([1, 1]), jnp.array([0, 0])].add(0.5 * x)
        d = lax.dynamic_slice(c, (0, 1), (2, 2)) * lax.dynamic_update_slice(h, x[None], (1, 0))[:, :2]
        e = (
            jnp.stack(jnp.split(h, 3, 1)).squeeze(-1) * jnp.triu(jnp.ones((3, 2)))
            + jnp.take(h, jnp.array([2, 1, 0]), 1).T
        )
        f = jnp.array([h.max(), h.min(), h.prod(), h.mean(), jnp.std(h), jnp.cumprod(h[0])[2], jnp.trace(h.T @ h)])
        g = jnp.linalg.norm(h, axis=0, ord=1) + jnp.median(jnp.ones(3)) * jnp.diag(h @ h.T).sum()
        k = jnp.repeat(x, 2)[:3] @ jnp.tensordot(e, b, ((1,), (0,))) * jnp.max(a, 1) + jnp.outer(x, x).ravel()[1:]
        angle = jnp.arctan2(x[1], x[0]) * lax.cond(x[0] > 0.1, jnp.sin, jnp.cos, x[1])
        return jnp.concatenate([f, g, k, d.ravel(), a.sum(1), angle[None]]) @ p["out"]

    return apply, {"w": draw.normal(6, 2), "out": draw.normal(21, 2)}, 2


ZOO = {
    "MLP with normalisation": normalised,
    "Fourier features": fourier_features,
    "periodic embedding": periodic,
    "random weight factorisation": factorised,
    "modified MLP": modified_mlp,
    "PirateNet": pirate_net,
    "SIREN": siren,
    "MFN": mfn,
    "DeepONet": deep_o_net,
    "SPINN": spinn,
    "ICNN": icnn,
    "Psiformer": psiformer,
    "symmetry functions": symmetry_functions,
    "1-D CNN": conv1d,
    "2-D CNN": conv2d,
    "GRU": gru,
    "layers by scan": layers_by_scan,
    "KAN with Gaussians": kan,
    "KAN with B-splines": kan_splines,
    "score": score,
    "hypernetwork": hypernetwork,
    "activations": activations,
    "entries": entries,
    "moves": moves,
}


def make(name):
    """A function of the zoo, its parameters, and its number of inputs."""
    return ZOO[name](Draw(sorted(ZOO).index(name)))
