"""Tangents of jets and second derivatives of their losses: forward mode, Newton's products, `jax.hessian`."""

import numpy as np
import pytest

import hessquik_rs as hq

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402

import hessquik_rs.jax  # noqa: E402

LAYERS = {
    "of layers": hq.fully_connected([2, 5, 3], last="identity"),
    "of layers with a softmax": [hq.single(2, 5, "tanh"), hq.single(5, 3), hq.softmax(3)],
}
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)))
NAMES = ("value", "gradient", "laplacian")


def jets(kind):
    """The same jet by the engine and by JAX, as functions of weights and points, with weights and a tangent of both."""
    net = hq.Network(LAYERS[kind], seed=0)
    weights, f = hq.jax.weights(net), hq.jax.jet(net, NAMES)

    def of_one(weights, x):
        def value(x):
            u = jnp.tanh(x @ weights["0.K"] + weights["0.b"]) @ weights["1.K"] + weights["1.b"]
            return jax.nn.softmax(u) if "softmax" in kind else u

        hessian = jax.hessian(value)(x)
        return value(x), jax.jacfwd(value)(x).T, jnp.trace(hessian, axis1=1, axis2=2)

    def ours(weights, x):
        jet = f(weights, x)
        return jet.value, jet.gradient, jet.laplacian

    tangent = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=a.dtype).reshape(a.shape)), (weights, X))
    # compiled as a whole: one by one, JAX's operations take minutes
    return jax.jit(ours), jax.jit(lambda weights, x: jax.vmap(of_one, (None, 0))(weights, x)), weights, tangent


def loss(jet):
    return lambda weights, x: sum(jnp.sin(array).sum() for array in jet(weights, x))


def close(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", LAYERS)
def test_tangents(kind):
    ours, theirs, weights, tangent = jets(kind)
    wanted = jax.jit(lambda w, x: jax.jvp(theirs, (w, x), tangent))(weights, X)
    close(jax.jvp(ours, (weights, X), tangent), wanted)
    close(jax.jit(lambda w, x: jax.jvp(ours, (w, x), tangent))(weights, X), wanted)
    # one of them moves
    for of_jet in (
        lambda jet: lambda x: jet(weights, x),
        lambda jet: lambda x: jet({**weights, "1.b": x[0, 0] + weights["1.b"]}, X),
    ):
        found, wanted = (jax.jit(lambda x: jax.jvp(f, (x,), tangent[1:]))(X) for f in map(of_jet, (ours, theirs)))  # noqa: B023
        close(found, wanted)
    close(jax.jit(jax.jacfwd(ours))(weights, X), jax.jit(jax.jacfwd(theirs))(weights, X))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("by", [0, 1, (0, 1)], ids=str)
def test_products_with_the_hessian_of_a_loss(kind, by):
    ours, theirs, weights, tangent = jets(kind)

    def forward(jet):
        return jax.jit(lambda w, x: jax.jvp(jax.grad(loss(jet), by), (w, x), tangent)[1])(weights, X)

    def backward(jet):
        def along(weights, x):
            gradients = jax.grad(loss(jet), (0, 1))(weights, x)
            return sum(
                jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(tangent), strict=True)
            )

        return jax.jit(jax.grad(along, by))(weights, X)

    for product in (forward, backward):
        close(product(ours), product(theirs))


@pytest.mark.parametrize("kind", LAYERS)
def test_hessians_of_a_loss(kind):
    ours, theirs, weights, _ = jets(kind)
    for by in (0, 1):
        close(jax.jit(jax.hessian(loss(ours), by))(weights, X), jax.jit(jax.hessian(loss(theirs), by))(weights, X))

    def of_points(jet):
        return jax.jit(jax.vmap(jax.hessian(lambda x: loss(jet)(weights, x[None]))))(X)

    close(of_points(ours), of_points(theirs))


def test_numpy_has_the_same():
    net = hq.Network(LAYERS["of layers"], seed=0)
    ours, _, weights, (rates, points) = jets("of layers")
    x = np.asarray(X)
    wanted = jax.jvp(ours, (weights, X), (rates, points))[1]
    change = net.pushforward(x, NAMES, input=points, weights={name: np.asarray(r) for name, r in rates.items()})
    close(tuple(change), wanted)
    bars = {name: np.cos(np.arange(a.size)).reshape(a.shape) for name, a in vars(change).items()}

    def pullback(w, x):
        return jax.vjp(ours, w, x)[1](tuple(jnp.asarray(bars[name]) for name in NAMES))

    of_weights, of_points = jax.jvp(pullback, (weights, X), (rates, points))[1]
    flat = np.concatenate([np.ravel(rates[name]) for name in net.weight_names()])
    found = net.pullback_pushforward(x, bars, weights=flat, input=points)
    close(found.by_name(), dict(of_weights))
    close(found.input, of_points)
    with pytest.raises(hq.errors.ShapeError, match="the tangent of weight 0.K"):
        net.pushforward(x, "value", weights={"0.K": np.zeros(3)})
    with pytest.raises(hq.errors.UnknownWeightError, match="no weight 'K'"):
        net.pushforward(x, "value", weights={"K": np.zeros(3)})
