"""Networks written with libraries of JAX's: parameters, and a function of these and one point."""

import equinox as eqx
import flax.linen as linen
import haiku as hk
import jax
import jax.numpy as jnp
from flax import nnx

KEY = jax.random.key(0)


def floating(tree):
    """Arrays in double precision, for libraries that draw them in single."""
    return jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, tree)


# ---- equinox: a module is a pytree of arrays and of everything else


def call(module, x):
    return module(x)


def partitioned():
    params, static = eqx.partition(eqx.nn.MLP(2, 3, 8, 2, jnp.tanh, key=KEY), eqx.is_inexact_array)
    return lambda p, x: eqx.combine(p, static)(x), params, 2


def module_itself():
    return call, eqx.nn.MLP(2, "scalar", 8, 2, jax.nn.silu, key=KEY), 2


def sequential():
    a, b = jax.random.split(KEY)
    layers = [
        eqx.nn.Linear(3, 8, key=a),
        eqx.nn.LayerNorm(8),
        eqx.nn.Lambda(jax.nn.gelu),
        eqx.nn.Dropout(0.5, inference=True),
        eqx.nn.WeightNorm(eqx.nn.Linear(8, 2, key=b)),
    ]
    return call, eqx.nn.Sequential(layers), 3


class Attention(eqx.Module):
    lift: eqx.nn.Linear
    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.RMSNorm

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.lift = eqx.nn.Linear(1, 6, key=a)
        self.attention = eqx.nn.MultiheadAttention(2, 6, key=b)
        self.norm = eqx.nn.RMSNorm(6)

    @eqx.filter_jit
    def __call__(self, x):
        tokens = jax.vmap(self.lift)(x[:, None])
        tokens = tokens + self.attention(tokens, tokens, tokens)
        return jax.vmap(self.norm)(tokens).mean(0)[:2]


def equinox_attention():
    return call, Attention(KEY), 3


class Recurrent(eqx.Module):
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __call__(self, x):
        state, _ = jax.lax.scan(lambda h, xi: (self.cell(xi[None], h), None), jnp.zeros(5), x)
        return self.head(state)


def equinox_recurrent():
    a, b = jax.random.split(KEY)
    return call, Recurrent(eqx.nn.GRUCell(1, 5, key=a), eqx.nn.Linear(5, 1, key=b)), 3


class Convolution(eqx.Module):
    layers: list

    def __call__(self, x):
        x = x[None]
        for layer in self.layers[:-1]:
            x = jnp.tanh(layer(x))
        return self.layers[-1](x.ravel())


def equinox_convolution():
    a, b, c = jax.random.split(KEY, 3)
    layers = [eqx.nn.Conv1d(1, 3, 3, padding=1, key=a), eqx.nn.Conv1d(3, 2, 3, key=b), eqx.nn.Linear(8, 2, key=c)]
    return call, Convolution(layers), 6


# ---- flax and haiku: a function of parameters that it draws itself


def initialised(model, d):
    return model.apply, model.init(KEY, jnp.ones(d)), d


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x):
        for width in (8, 8):
            x = linen.silu(linen.LayerNorm()(linen.Dense(width)(x)))
        return linen.WeightNorm(linen.Dense(2))(x)


def linen_mlp():
    return initialised(Linen(), 3)


class Normalised(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.BatchNorm(use_running_average=True)(linen.Dense(6)(x))
        return linen.Dense(1)(linen.Dropout(0.3, deterministic=True)(jnp.tanh(x)))[0]


def linen_batch_norm():
    return initialised(Normalised(), 2)


class Tokens(linen.Module):
    @linen.compact
    def __call__(self, x):
        tokens = linen.Dense(4)(x[:, None])
        tokens = tokens + linen.MultiHeadDotProductAttention(num_heads=2)(tokens, tokens)
        return linen.Dense(2)(tokens.reshape(-1))


def linen_attention():
    return initialised(Tokens(), 3)


class Block(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return x + jnp.tanh(linen.Dense(x.shape[-1])(x)), None


class Scanned(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Dense(6)(x)
        x, _ = linen.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=4)()(x, None)
        return linen.Dense(1)(x)


def linen_scan():
    return initialised(Scanned(), 2)


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(2, 8, rngs=rngs)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.last = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.gelu(self.norm(self.first(x))))


def nnx_merged():
    definition, state = nnx.split(Nnx(nnx.Rngs(0)))
    return lambda p, x: nnx.merge(definition, p)(x), state, 2


def nnx_parameters():
    """Parameters apart from everything else, as trainers have them."""
    definition, params, rest = nnx.split(Nnx(nnx.Rngs(0)), nnx.Param, ...)
    return lambda p, x: nnx.merge(definition, p, rest)(x), params, 2


def nnx_itself():
    return call, Nnx(nnx.Rngs(0)), 2


# ---- haiku: functions made pure


def haiku(network, d):
    return initialised(hk.without_apply_rng(hk.transform(network)), d)


def haiku_mlp():
    def network(x):
        x = hk.LayerNorm(-1, True, True)(hk.Linear(8)(x))
        return hk.nets.MLP([6, 2], activation=jax.nn.softplus)(x)

    return haiku(network, 3)


def haiku_attention():
    def network(x):
        tokens = hk.Linear(4)(x[:, None])
        attention = hk.MultiHeadAttention(2, 2, w_init=hk.initializers.VarianceScaling(1.0), model_size=4)
        return hk.Linear(1)((tokens + attention(tokens, tokens, tokens)).reshape(-1))[0]

    return haiku(network, 3)


def haiku_recurrent():
    def network(x):
        core = hk.LSTM(5)
        outputs, _ = hk.static_unroll(core, x[:, None], core.initial_state(None))
        return hk.Linear(2)(outputs[-1])

    return haiku(network, 3)


def haiku_state():
    """A network with a state besides its parameters."""

    def network(x, training):
        return hk.Linear(1)(jnp.tanh(hk.BatchNorm(True, True, 0.9)(x, training)))

    pure = hk.transform_with_state(network)
    params, state = pure.init(KEY, jnp.ones(2), True)
    return lambda p, x: pure.apply(p, state, None, x, False)[0], params, 2


LIBRARIES = {
    network.__name__: network
    for network in (
        partitioned,
        module_itself,
        sequential,
        equinox_attention,
        equinox_recurrent,
        equinox_convolution,
        linen_mlp,
        linen_batch_norm,
        linen_attention,
        linen_scan,
        nnx_merged,
        nnx_parameters,
        nnx_itself,
        haiku_mlp,
        haiku_attention,
        haiku_recurrent,
        haiku_state,
    )
}
