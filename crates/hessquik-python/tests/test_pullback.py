"""Gradients of losses, against finite differences of the losses."""

import numpy as np
import pytest
from common import DTYPES, NAMES, network, points, tolerance

import hessquik_rs as hq

OPTIONS = {
    "operator": np.random.default_rng(3).normal(size=(3, 3)),
    "products": np.random.default_rng(4).normal(size=(2, 3)),
    "block": ([2, 0], [1]),
    "partials": [(0, 1), (2, 2)],
}


def loss(net, x, cotangents, **options):
    names = [n for n in cotangents if n not in OPTIONS]
    jet = net.evaluate(x, names, **options)
    return sum((getattr(jet, name) * bar).sum() for name, bar in cotangents.items())


@pytest.mark.parametrize("name", [*NAMES, *OPTIONS])
@pytest.mark.parametrize("mode", ["auto", "forward", "backward", "sites"])
def test_each_result(name, mode):
    net, x = network(), points(5)
    options = {"mode": mode} | ({name: OPTIONS[name]} if name in OPTIONS else {})
    names = () if name in OPTIONS else (name,)
    shape = getattr(net.evaluate(x, names, **options), name).shape
    rng = np.random.default_rng(0)
    cotangents = {name: rng.normal(size=shape)}
    weights, points_bar = net.pullback(x, cotangents, **options)
    assert weights.shape == (net.n_weights,) and points_bar.shape == x.shape
    theta, p, v, h = net.flat_weights(), rng.normal(size=net.n_weights), rng.normal(size=x.shape), 1e-4

    def along_weights(t):
        other = net.copy()
        other.set_flat_weights(theta + t * p)
        return loss(other, x, cotangents, **options)

    def along_points(t):
        return loss(net, x + t * v, cotangents, **options)

    for f, found in ((along_weights, weights @ p), (along_points, (points_bar * v).sum())):
        difference = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)
        np.testing.assert_allclose(found, difference, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 7, 5000])
def test_results_together_add_up(dtype, n):
    net, x = network(dtype), points(n, dtype=dtype)
    jet = net.evaluate(x, NAMES)
    together = net.pullback(x, jet)
    single = [net.pullback(x, {name: getattr(jet, name)}) for name in NAMES]
    assert together.weights.dtype == together.input.dtype == dtype
    scale = max(1.0, float(np.abs(together.weights).max()))
    total = sum(g.weights for g in single)
    np.testing.assert_allclose(together.weights / scale, total / scale, **tolerance(dtype))
    np.testing.assert_allclose(
        together.input, sum(g.input for g in single), rtol=1e-3 if dtype == "float32" else 1e-10, atol=2e-4
    )


def test_what_has_no_cotangent_counts_as_zero():
    net, x = network(), points()
    bar = np.ones((11, 2))
    wanted = net.pullback(x, {"value": bar})
    for cotangents, request in (({"value": bar, "hessian": None}, None), ({"value": bar}, "value,hessian")):
        found = net.pullback(x, cotangents, request)
        np.testing.assert_allclose(found.weights, wanted.weights, **tolerance("float64"))
    assert not np.any(net.pullback(x, {}, "value").weights)


def test_gradients_have_names():
    net, x = network(), points()
    gradients = net.pullback(x, {"value": np.ones((11, 2))})
    named = gradients.by_name()
    assert {name: g.shape for name, g in named.items()} == {name: w.shape for name, w in net.weights().items()}
    assert (np.concatenate([g.ravel() for g in named.values()]) == gradients.weights).all()


def test_a_network_learns_a_function_by_its_laplacian():
    net = hq.Network(hq.fully_connected([1, 24, 1], last="identity"), seed=0)
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    wanted = -(np.pi**2) * np.sin(np.pi * x)

    def objective(theta):
        net.set_flat_weights(theta)
        residual = net.evaluate(x, "laplacian").laplacian - wanted
        return float((residual**2).mean()), net.pullback(x, {"laplacian": 2 * residual / len(x)}).weights

    theta, m, v = net.flat_weights(), 0.0, 0.0
    first, _ = objective(theta)
    for step in range(1, 1001):
        value, gradient = objective(theta)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        theta = theta - 0.02 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    assert value < 0.01 * first
