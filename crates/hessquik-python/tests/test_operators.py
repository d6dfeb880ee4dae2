"""Operators given by terms, against nested JVPs of JAX in double precision: results, pullbacks, every front door."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import hessquik_rs as hq
import hessquik_rs.jax
import hessquik_rs.torch
from hessquik_rs._torch import by_torch

jax.config.update("jax_enable_x64", True)

WIDTHS = [3, 12, 8, 2]
TERMS = {
    (0,): 1.0,
    (1, 1): -0.5,
    (0, 1): 2.0,
    (1, 0): 0.25,
    (): 0.75,
    (1, 2, 1): -1.5,
    (2, 2, 2, 2): 0.1,
    (0, 0, 1, 2, 2): 0.2,
}
CASES = [
    TERMS,
    {(0,): 1.0, (1, 1, 1): 1.0},
    {(0, 0): 1.0, (1, 1): 1.0, (2, 2): -4.0},
    {(1, 1): 1.0, (1, 1, 1, 1): 1.0, (0,): 1.0},
    {(0, 0, 0, 0): 1.0, (0, 0, 1, 1): 2.0, (1, 1, 1, 1): 1.0},
    {(2, 1): 3.0, (): -1.0},
]


def network(dtype="float64"):
    return hq.Network(hq.fully_connected(WIDTHS, "tanh", last="identity"), dtype=dtype, seed=3)


def points(n=9, dtype="float64"):
    return np.random.default_rng(0).uniform(-1.0, 1.0, (n, 3)).astype(dtype)


def by_jax(weights, x):
    for i in range(len(WIDTHS) - 1):
        x = x @ weights[f"{i}.K"] + weights[f"{i}.b"]
        x = jnp.tanh(x) if i < len(WIDTHS) - 2 else x
    return x


def nested(weights, x, terms, v=None):
    """The sum of nested JVPs at one point."""
    v = jnp.eye(3) if v is None else v
    total = 0.0
    for axes, c in terms.items():
        f = lambda p: by_jax(weights, p)  # noqa: E731
        for axis in axes:
            f = lambda p, f=f, axis=axis: jax.jvp(f, (p,), (v[axis],))[1]  # noqa: E731
        total = total + c * f(x)
    return total


def close(found, wanted, tolerance=1e-10):
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=0.0, atol=tolerance * max(1.0, np.abs(wanted).max()))


def wanted(weights, x, terms, v=None):
    return jax.jit(jax.vmap(lambda p: nested(weights, p, terms, v)))(x)


@pytest.mark.parametrize("terms", CASES, ids=str)
def test_against_nested_jvps(terms):
    net, x = network(), points()
    weights = {name: jnp.asarray(w) for name, w in net.weights().items()}
    for mode in ("auto", "forward", "sites"):
        close(net.evaluate(x, operator=terms, mode=mode).operator, wanted(weights, x, terms))
    jet = net.evaluate(x, "value,hessian,bilaplacian", operator=terms, partials=[(0,), (1, 1, 1)], directional=3)
    close(jet.operator, wanted(weights, x, terms))
    single = network("float32")
    close(single.evaluate(points(dtype="float32"), operator=terms).operator, wanted(weights, x, terms), 1e-4)


@pytest.mark.parametrize("terms", CASES, ids=str)
def test_pullback_and_pushforward(terms):
    net, x = network(), points()
    weights = {name: jnp.asarray(w) for name, w in net.weights().items()}
    bar = np.random.default_rng(1).normal(size=(9, 2))
    total = jax.jit(jax.grad(lambda w, x: (jax.vmap(lambda p: nested(w, p, terms))(x) * bar).sum(), (0, 1)))
    to_weights, to_points = total(weights, x)
    gradients = net.pullback(x, {"operator": bar}, operator=terms)
    close(gradients.input, to_points)
    for name, gradient in gradients.by_name().items():
        close(gradient, to_weights[name])
    rate = np.random.default_rng(2).normal(size=x.shape)
    pushed = jax.jvp(lambda x: wanted(weights, x, terms), (jnp.asarray(x),), (jnp.asarray(rate),))[1]
    close(net.pushforward(x, input=rate, operator=terms).operator, pushed)


def test_along_directions_and_to_outputs():
    net, x = network(), points()
    weights = {name: jnp.asarray(w) for name, w in net.weights().items()}
    v, u = np.array([[1.0, 0.5, 0.0], [0.0, -1.0, 2.0]]), np.array([[1.0], [-2.0]])
    terms = {(0, 0, 1): 1.0, (1,): 2.0, (1, 0): -1.0}
    found = net.evaluate(x, operator=terms, directions=v, outputs=u).operator
    close(found, wanted(weights, x, terms, jnp.asarray(v)) @ u)


def test_kinds_of_numbers():
    net, x = network(), points()
    plain = net.evaluate(x, operator={(0, 1, 1): 2.0, (2,): 1.0}).operator
    for axes, c in [
        ((np.int64(0), np.int32(1), 1), np.float32(2.0)),
        ((0, 1, 1), np.array(2)),
        ((1, 0, 1), torch.tensor(2.0)),
        ((1, 1, 0), jnp.asarray(2.0)),
    ]:
        np.testing.assert_array_equal(net.evaluate(x, operator={axes: c, (2,): 1}).operator, plain)
    assert not np.any(net.evaluate(x, operator={(0, 1): 1.0, (1, 0): -1.0}).operator)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({}, "no terms"),
        ({(0, 3): 1.0}, r"term \(0, 3\) is 3, expected less than 3, the number of inputs"),
        ({(0,) * 9: 1.0}, "is 9, expected 0 to 8"),
        ({(0, 1): np.nan}, r"coefficient of the operator's term \(0, 1\) is NaN"),
        ({(0, 1): "one"}, r"coefficient of the operator's term \(0, 1\) is one, expected a number"),
        ({0: 1.0}, r"operator's term 0: expected a tuple of axes"),
        ({(-1, 0): 1.0}, r"the operator's term is \(-1, 0\), expected a tuple of axes"),
        ({(0.5, 0): 1.0}, r"the operator's term is \(0.5, 0\), expected a tuple of axes"),
    ],
)
def test_errors_name_the_term(terms, message):
    with pytest.raises((hq.errors.RequestError, hq.errors.SettingError), match=message):
        network().evaluate(points(), operator=terms)


def test_coefficients_beyond_single_precision():
    with pytest.raises(hq.errors.SettingError, match=r"\(0, 1\).*1e\+?300.*float32 can represent"):
        network("float32").evaluate(points(dtype="float32"), operator={(0, 1): 1e300})


@pytest.mark.parametrize("terms", CASES, ids=str)
def test_jax_front_door(terms):
    net, x = network(), jnp.asarray(points())
    weights = hq.jax.weights(net)
    jets = [hq.jax.jet(net, operator=terms, request="value"), hq.jax.jet(by_jax, "value", operator=terms)]
    expected = wanted(weights, x, terms)
    loss = jax.jit(jax.grad(lambda w: (wanted(w, x, terms) ** 2).sum()))(weights)
    for f in jets:
        close(jax.jit(f)(weights, x).operator, expected)
        found = jax.jit(jax.grad(lambda w, f=f: (f(w, x).operator ** 2).sum()))(weights)
        for name in loss:
            close(found[name], loss[name])
        hessian = jax.jvp(jax.grad(lambda w, f=f: (f(w, x).operator ** 2).sum()), (weights,), (weights,))[1]
        assert all(np.isfinite(h).all() for h in hessian.values())
    with pytest.warns(hq.errors.SlowerWarning):
        elsewhere = hq.jax.jet(lambda w, p: by_jax(w, p + jnp.floor(p)), "value", operator=terms, unsupported="jax")
        elsewhere(weights, x)
    # what the engine computes from its own text, the value alone too
    assert hq.jax.jet(net, "value", operator=terms)(weights, x).value.shape == (9, 2)


def module():
    return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()


@pytest.mark.parametrize("terms", CASES, ids=str)
def test_torch_front_door(terms):
    torch.manual_seed(0)
    model, x = module(), torch.as_tensor(points()).requires_grad_()
    names = ("operator", "partials", "directional", "bilaplacian")
    options = {"operator": terms, "partials": [(0,), (0, 1, 1)], "directional": 3}
    jet = hessquik_rs.torch.jet(model, "bilaplacian", **options)(x)
    reference = by_torch.evaluated(lambda p: model(p), x, names, options)
    for name, expected in zip(names, reference, strict=True):
        close(getattr(jet, name).detach(), expected.detach())
    parameters = [x, *model.parameters()]
    loss = (jet.operator**2).sum()
    ours = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    theirs = torch.autograd.grad((reference[0] ** 2).sum(), parameters, create_graph=True, allow_unused=True)
    for a, b in zip(ours, theirs, strict=True):
        close(0.0 if a is None else a.detach(), 0.0 if b is None else b.detach())
    # a second backward pass, in torch operations
    second = torch.autograd.grad(ours[0].square().sum(), x)[0]
    close(second, torch.autograd.grad(theirs[0].square().sum(), x)[0])
