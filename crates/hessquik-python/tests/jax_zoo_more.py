"""More networks that people publish: of matrices, of the order of entries, in the libraries that people use."""

import jax
import jax.numpy as jnp
import jax_zoo
import numpy as np
import pytest
from jax import lax
from jax_zoo import dense, mlp


def fermi_net(draw):
    """A sum of Slater determinants, kept by their logarithms, times a determinant of two."""

    def apply(p, x):
        r = x.reshape(4, 1)
        orbitals = jnp.sin(jnp.stack([dense(layer, r) for layer in p["orbitals"]])) + 2 * jnp.eye(4)
        sign, size = jnp.linalg.slogdet(orbitals)
        top = size.max()
        return jnp.log(jnp.abs((sign * jnp.exp(size - top)).sum())) + top + jnp.linalg.det(jnp.tanh(p["pair"] * r[:2]))

    return apply, {"orbitals": [draw.dense(1, 4) for _ in range(2)], "pair": draw.normal(2, 2)}, 4


def covariance(draw):
    """A normal density whose covariance depends on the point, by its factor, solutions and inverses."""

    def apply(p, x):
        m = dense(p["factor"], x).reshape(3, 3)
        full = m @ m.T + jnp.eye(3)
        d = dense(p["mean"], x)
        density = jax.scipy.stats.multivariate_normal.logpdf(d, jnp.zeros(3), full)
        return jnp.array([density, d @ jnp.linalg.solve(full, d), jnp.linalg.inv(full)[0, 1], jnp.linalg.det(full)])

    return apply, {"factor": draw.dense(2, 9), "mean": draw.dense(2, 3)}, 2


def sparse_experts(draw):
    """The two experts with the largest gates, the gates in order, and tables looked up by what is largest."""

    def apply(p, x):
        gates = dense(p["gate"], x)
        largest, which = lax.top_k(gates, 2)
        chosen = jnp.tanh(jnp.einsum("eij,i->ej", p["experts"], x))[which]
        ordered = jnp.sort(gates)[1:3] + jnp.take_along_axis(gates, jnp.argsort(-gates), 0)[:2]
        row = p["table"][jnp.argmax(gates), jnp.argmin(x)]
        return jax.nn.softmax(largest) @ chosen + ordered * jnp.median(gates) + row

    return apply, {"gate": draw.dense(3, 4), "experts": draw.normal(4, 3, 2), "table": draw.normal(4, 3, 2)}, 3


def solver(draw):
    """An equation solved by steps of Runge and Kutta, with a gradient, a product and a Hessian inside."""

    def apply(p, x):
        def energy(y):
            return jax.nn.softplus(mlp(p, y)).sum()

        def flow(y):
            return jnp.array([[0.0, 1.0], [-1.0, 0.0]]) @ jax.grad(energy)(y)

        def step(y, _):
            half = y + 0.1 * flow(y)
            return y + 0.2 * flow(half), None

        y, _ = lax.scan(step, x, None, length=2)
        along = jax.jvp(energy, (y,), (x,))[1]
        return jnp.concatenate([y, along[None], jax.hessian(energy)(x).reshape(-1)])

    return apply, draw.mlp(2, 4, 1), 2


def wide(tree):
    """Parameters in double precision."""
    return jax.tree.map(lambda a: a.astype("float64") if jnp.issubdtype(jnp.result_type(a), jnp.floating) else a, tree)


def linen(draw):
    """A module of flax.linen: attention, normalisations, a recurrent network, layers by scan."""
    nn = pytest.importorskip("flax.linen")

    class Block(nn.Module):
        @nn.compact
        def __call__(self, h, _):
            return h + jnp.tanh(nn.Dense(4)(h)), None

    class Theirs(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.Dense(4)(x.reshape(3, 2))
            h = h + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(h))
            h = nn.RNN(nn.LSTMCell(4))(nn.gelu(h)[None])[0]
            h = nn.avg_pool(nn.Conv(4, (3,), padding="CIRCULAR")(h), (2,), (1,))
            layers = nn.scan(nn.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=2)
            h, _ = layers()(nn.RMSNorm()(h), None)
            return nn.Dropout(0.5, deterministic=True)(nn.WeightNorm(nn.Dense(1))(h)).mean()

    module = Theirs()
    return module.apply, wide(module.init(jax.random.key(0), jnp.zeros(6))), 6


def nnx(draw):
    """A module of flax.nnx, split into what is trained and the rest."""
    nnx = pytest.importorskip("flax.nnx")

    class Theirs(nnx.Module):
        def __init__(self, rngs):
            self.first, self.norm = nnx.Linear(3, 5, rngs=rngs), nnx.LayerNorm(5, rngs=rngs)
            self.batch = nnx.BatchNorm(5, use_running_average=True, rngs=rngs)
            self.out = nnx.Linear(5, 2, rngs=rngs)

        def __call__(self, x):
            return self.out(nnx.silu(self.batch(self.norm(self.first(x)))))

    graph, parameters, rest = nnx.split(Theirs(nnx.Rngs(0)), nnx.Param, ...)
    return lambda p, x: nnx.merge(graph, p, wide(rest))(x), wide(parameters), 3


def equinox(draw):
    """A module of equinox, its arrays apart from the rest."""
    eqx = pytest.importorskip("equinox")
    keys = jax.random.split(jax.random.key(0), 4)

    class Theirs(eqx.Module):
        conv: eqx.nn.Conv1d
        attention: eqx.nn.MultiheadAttention
        cell: eqx.nn.GRUCell
        out: eqx.nn.MLP

        def __call__(self, x):
            h = jnp.tanh(self.conv(x[None])).T
            h = h + self.attention(h, h, h)
            state, _ = lax.scan(lambda s, row: (self.cell(row, s), None), jnp.zeros(3), h)
            return self.out(state)

    whole = Theirs(
        eqx.nn.Conv1d(1, 4, 2, key=keys[0]),
        eqx.nn.MultiheadAttention(2, 4, key=keys[1]),
        eqx.nn.GRUCell(4, 3, key=keys[2]),
        eqx.nn.MLP(3, "scalar", 4, 1, activation=jax.nn.softplus, key=keys[3]),
    )
    arrays, rest = eqx.partition(whole, eqx.is_inexact_array)
    return lambda p, x: eqx.combine(p, rest)(x), wide(arrays), 4


def haiku(draw):
    """A function of haiku."""
    hk = pytest.importorskip("haiku")

    def forward(x):
        h = hk.nets.MLP([5, 4], activation=jax.nn.swish)(x)
        return hk.Linear(1)(hk.LayerNorm(-1, True, True)(h))

    transformed = hk.without_apply_rng(hk.transform(forward))
    return transformed.apply, wide(transformed.init(jax.random.key(0), np.zeros(3))), 3


ZOO = {
    "FermiNet": fermi_net,
    "covariance": covariance,
    "sparse experts": sparse_experts,
    "solver": solver,
    "flax.linen": linen,
    "flax.nnx": nnx,
    "equinox": equinox,
    "haiku": haiku,
}


def make(name):
    """A function of this zoo, its parameters, and its number of inputs."""
    return ZOO[name](jax_zoo.Draw(sorted(ZOO).index(name)))
