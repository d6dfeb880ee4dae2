"""Networks written as formulas: what variables compute, against numpy, and the graphs that come of them."""

import numpy as np
import pytest

import hessquik_rs as hq
from hessquik_rs import var

rng = np.random.default_rng(7)
POINTS = rng.normal(size=(4, 6))
W = rng.normal(size=(3, 4))
IMAGE = rng.normal(size=(2, 3, 2, 2))


def softmax(v, axis):
    e = np.exp(v - v.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def convolved(v, kernel, stride, padding, dilation, groups):
    """The sum over taps and channels, as it is defined."""
    v = np.pad(v, [(0, 0), *padding])
    c_out, c_in = kernel.shape[:2]
    taps = list(np.ndindex(*kernel.shape[2:]))
    sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(v.shape[1:], kernel.shape[2:], stride, dilation, strict=True)
    ]
    out = np.zeros((c_out, *sizes))
    for o in range(c_out):
        first = (o // (c_out // groups)) * c_in
        for at in np.ndindex(*sizes):
            for c in range(c_in):
                for tap in taps:
                    place = tuple(i * s + t * d for i, s, t, d in zip(at, stride, tap, dilation, strict=True))
                    out[(o, *at)] += kernel[(o, c, *tap)] * v[(first + c, *place)]
    return out


# the same formula on a variable and on an array, of shape (2, 3)
FORMULAS = {
    "arithmetic": lambda u, m: 2.0 - u * 3.0 + u / 4.0 - (1.0 - u) + -u,
    "broadcast": lambda u, m: u + np.arange(2.0)[:, None] * u[:, :1] - np.arange(3.0),
    "same twice": lambda u, m: u + u - 0.5 * u,
    "nothing left": lambda u, m: u[0] - (u - u + 1.0),
    "digits kept": lambda u, m: (((u * 1e-6 + 1e6) - 1e6) * 1e6 - 1e9) + 1e9,
    "slices": lambda u, m: u[1, ::-1] + u[0, 1:2],
    "negative steps": lambda u, m: u[::-1, -2:],
    "new axes": lambda u, m: u[None, :, None, 1] * u[..., 2:],
    "index arrays": lambda u, m: u[:, [2, 0, 0]] + u[[1, 1]],
    "mask": lambda u, m: u[:, np.array([True, False, True])],
    "reshape": lambda u, m: u.reshape(3, -1) @ W[:2],
    "permutes": lambda u, m: u.T.reshape(2, 3).T,
    "sums": lambda u, m: u.sum(0, keepdims=True) + u.sum(1)[:, None] + u.sum(),
    "means": lambda u, m: u.mean(1, keepdims=True) - u.mean() + u.var(1, keepdims=True),
    "sum of a broadcast": lambda u, m: (u[:, :, None] + np.zeros((2, 3, 4))).sum((0, 2)),
    "matmul": lambda u, m: u @ W,
    "matmul with itself": lambda u, m: u @ u.T,
    "matmul from the left": lambda u, m: W[:2, :2] @ u,
    "vectors": lambda u, m: u[0] @ u[1] + u @ u[0],
    "batched": lambda u, m: u[:, None, :] @ IMAGE.reshape(2, 3, 4),
    "one row for all": lambda u, m: u[0] @ IMAGE.reshape(2, 3, 4),
    "powers": lambda u, m: u**2 + (u * u + 1.0) ** 0.5 + (u**2 + 1.0) ** -1,
    "stack": lambda u, m: m.stack([u, 2.0 * u], 1),
    "constants in between": lambda u, m: m.stack([u[0], np.arange(3.0)], 0) * (np.eye(2) @ W[:2, :3]),
    "tanh": lambda u, m: m.tanh(u) * m.sin(u),
}


def variables(make):
    u = hq.input(6).reshape(2, 3)
    out = make(u, var)
    return hq.Network.from_var(out)(POINTS).reshape(len(POINTS), *out.shape)


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_numpys(name):
    expected = np.stack([FORMULAS[name](x.reshape(2, 3), np) for x in POINTS])
    np.testing.assert_allclose(variables(FORMULAS[name]), expected, rtol=1e-14, atol=1e-14)


NAMED = {
    "softmax": (lambda u: var.softmax(u, 0), lambda a: softmax(a, 0)),
    "softmax far out": (lambda u: var.softmax(1e3 * u, 1), lambda a: softmax(1e3 * a, 1)),
    "log_softmax": (lambda u: var.log_softmax(u, -1), lambda a: np.log(softmax(a, -1))),
    "logsumexp": (
        lambda u: var.logsumexp(1e3 * u, 1),
        lambda a: (1e3 * a).max(1) + np.log(np.exp(1e3 * (a - a.max(1, keepdims=True))).sum(1)),
    ),
    "logsumexp of all": (lambda u: var.logsumexp(u, None, True), lambda a: np.log(np.exp(a).sum())[None, None]),
    "layer_norm": (
        lambda u: var.layer_norm(u, -1, np.arange(3.0), 0.5),
        lambda a: (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5) * np.arange(3.0) + 0.5,
    ),
    "cumsum": (lambda u: var.cumsum(u, 1), lambda a: a.cumsum(1)),
    "prod": (lambda u: var.prod(u, 1), lambda a: a.prod(1)),
    "prod of all": (lambda u: var.prod(u), lambda a: a.prod()),
    "norm": (lambda u: var.vector_norm(u, 2.0, 1), lambda a: np.linalg.norm(a, axis=1)),
    "concat": (
        lambda u: var.concat([u, u[:, :1], np.ones((2, 2))], 1),
        lambda a: np.concatenate([a, a[:, :1], np.ones((2, 2))], 1),
    ),
    "pad": (
        lambda u: var.pad(u, [(1, 0), (-1, 2)], 3.0),
        lambda a: np.pad(a[:, 1:], [(1, 0), (0, 2)], constant_values=3.0),
    ),
    "einsum": (lambda u: var.einsum("ij,jk,i->k", u, W, u[:, 0]), lambda a: np.einsum("ij,jk,i->k", a, W, a[:, 0])),
    "einsum, batched": (
        lambda u: var.einsum("bi,bji->bj", u, IMAGE.reshape(2, 4, 3)),
        lambda a: np.einsum("bi,bji->bj", a, IMAGE.reshape(2, 4, 3)),
    ),
    "einsum, outer": (lambda u: var.einsum("ij,kl->iljk", u, u), lambda a: np.einsum("ij,kl->iljk", a, a)),
    "einsum, dots": (lambda u: var.einsum("...j,jk->...k", u, W), lambda a: a @ W),
    "einsum, diagonal": (lambda u: var.einsum("ii,j->", u[:, :2], u[0]), lambda a: np.trace(a[:, :2]) * a[0].sum()),
    "einsum, implicit": (lambda u: var.einsum("ba,bc", u, u), lambda a: np.einsum("ba,bc", a, a)),
    "einsum, elementwise": (lambda u: var.einsum("ij,ij,ij->ij", u, u, u), lambda a: a**3),
    "where, known": (lambda u: var.where(np.eye(2, 3), u, 1e300), lambda a: np.where(np.eye(2, 3), a, 1e300)),
    "scatter_add": (
        lambda u: var.scatter_add((4,), [[0, 1, 1], [3, 3, 3]], u),
        lambda a: np.array([a[0, 0], a[0, 1:].sum(), 0.0, a[1].sum()]),
    ),
    "conv": (
        lambda u: var.conv(u, IMAGE[:, :2, 0], [1], [(1, 0)], [2]),
        lambda a: convolved(a, IMAGE[:, :2, 0], [1], [(1, 0)], [2], 1),
    ),
    "conv, strides": (
        lambda u: var.conv(u.reshape(1, 2, 3), IMAGE[:, :1], [2, 1], [(1, 1), (0, 1)], [1, 1]),
        lambda a: convolved(a.reshape(1, 2, 3), IMAGE[:, :1], [2, 1], [(1, 1), (0, 1)], [1, 1], 1),
    ),
    "conv, groups": (
        lambda u: var.conv(u, IMAGE.reshape(4, 1, 6)[..., :2], [1], [(0, 0)], [1], 2),
        lambda a: convolved(a, IMAGE.reshape(4, 1, 6)[..., :2], [1], [(0, 0)], [1], 2),
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_functions_are_what_they_say(name):
    ours, numpys = NAMED[name]
    expected = np.stack([numpys(x.reshape(2, 3)) for x in POINTS])
    np.testing.assert_allclose(variables(lambda u, _: ours(u)), expected, rtol=1e-13, atol=1e-13)


BRANCHES = {
    "maximum": (lambda u: var.maximum(u, 0.1), lambda a: np.maximum(a, 0.1)),
    "minimum": (lambda u: var.minimum(u, u[:, :1]), lambda a: np.minimum(a, a[:, :1])),
    "clamp": (lambda u: var.clamp(u, -1e10, 0.3), lambda a: np.clip(a, -1e10, 0.3)),
    "clamp, open": (lambda u: var.clamp(u, -np.inf, np.inf), lambda a: a),
    "absolute": (lambda u: abs(u), lambda a: np.abs(a)),
    "sign": (lambda u: var.sign(u[:, :2] * np.eye(2)), lambda a: np.sign(a[:, :2] * np.eye(2))),
    "where": (lambda u: var.where(var.greater(u, 0.0), u, 2.0 * u), lambda a: np.where(a > 0.0, a, 2.0 * a)),
    "amax": (lambda u: var.amax(u, 1), lambda a: a.max(1)),
    "amax of all": (lambda u: var.amax(u, None, True), lambda a: a.max(keepdims=True)),
    "norm, infinite": (lambda u: var.vector_norm(u, np.inf), lambda a: np.abs(a).max()),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches(name):
    ours, numpys = BRANCHES[name]
    expected = np.stack([numpys(x.reshape(2, 3)) for x in POINTS])
    np.testing.assert_allclose(variables(lambda u, _: ours(u)), expected, rtol=1e-14, atol=1e-14)


def test_logsumexp_and_softmax_have_the_derivatives_of_their_formulas():
    x = hq.input(6)
    found = hq.Network.from_var(var.logsumexp(x)).evaluate(POINTS)
    p = softmax(POINTS, -1)
    np.testing.assert_allclose(found.gradient[..., 0], p, atol=1e-15)
    hessian = p[:, :, None] * np.eye(6) - p[:, :, None] * p[:, None, :]
    np.testing.assert_allclose(found.hessian[..., 0], hessian, atol=1e-15)


def test_what_is_frozen_has_no_derivatives():
    x = hq.input(6)
    jet = hq.Network.from_var(var.frozen(x) * x).evaluate(POINTS)
    np.testing.assert_allclose(jet.value, POINTS**2, rtol=1e-15)
    np.testing.assert_allclose(np.einsum("sii->si", jet.gradient), POINTS, rtol=1e-15)
    assert not jet.hessian.any()


def test_graphs_are_no_longer_than_they_need_to_be():
    x = hq.input(6)
    moves = x.reshape(2, 3).T[::-1].reshape(-1)[:4] * 2.0 + 1.0
    unused = x @ np.ones((6, 6))
    assert unused.varies
    nodes = hq.var.graph(moves)["nodes"]
    assert [n["op"] for n in nodes] == ["input", "affine"]
    # equal ones are one
    twice = var.tanh(x) + var.sin(var.tanh(x + 0.0))
    assert [n["op"] for n in hq.var.graph(twice)["nodes"]] == ["input", "act", "act", "affine"]
    # what depends on constants alone is computed
    known = x * (np.ones(6) * 2.0 + var.exp(np.arange(6.0)))
    assert [n["op"] for n in hq.var.graph(known)["nodes"]] == ["input", "constant", "times"]


def test_weights_have_names_values_and_an_order():
    x = hq.input(2)
    K, b = hq.weight("K", W[:2]), hq.weight("b", shape=(4,))
    net = hq.Network.from_var((x @ K + b) @ K.T, weights={"b": np.arange(4.0)})
    assert net.weight_names() == ["K", "b"]
    np.testing.assert_allclose(net(np.ones((1, 2))), [(W[:2].sum(0) + np.arange(4.0)) @ W[:2].T])
    gradients = net.pullback(np.ones((1, 2)), {"value": np.ones((1, 2))}).by_name()
    np.testing.assert_allclose(gradients["b"], W[:2].sum(0))
    with pytest.raises(hq.errors.ShapeError, match="'b' has a shape"):
        hq.Network.from_var(x @ K + b)
    with pytest.raises(hq.errors.UnknownWeightError, match="'c'"):
        hq.Network.from_var(x @ K, weights={"c": 1.0})
    with pytest.raises(hq.errors.ArchitectureError, match="two weights are named 'K'"):
        hq.Network.from_var(x @ K + hq.weight("K", W[:2]).sum())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.reshape(4, 2), r"\[6\] does not hold \[4, 2\]"),
        (lambda x: x + np.ones(5), r"\[6\] and \[5\] do not broadcast"),
        (lambda x: x @ np.ones((5, 2)), "matmul: shapes"),
        (lambda x: x[7], "index of shape"),
        (lambda x: x.sum(1), "axis 1 of 1 axes"),
        (lambda x: var.einsum("ij->i", x), "operands of"),
        (lambda x: var.concat([x, x.reshape(2, 3)]), "concat"),
        (lambda x: hq.input(0), "at least 1"),
        (lambda x: var.constant([np.nan]) + x, "not numbers"),
        (lambda x: hq.Network.from_var(hq.weight("K", [1.0])), "does not depend on"),
        (lambda x: hq.Network.from_var(x + hq.input(6)), "two inputs"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(hq.errors.HessquikError, match=message):
        make(hq.input(6))


def test_no_branch_on_what_is_not_known():
    with pytest.raises(TypeError, match="where"):
        bool(hq.input(1) + 1.0)
