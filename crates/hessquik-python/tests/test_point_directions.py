"""Directions that differ from point to point: results and gradients against nested derivatives of JAX and PyTorch."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest

import hessquik_rs as hq

N, K, D = 6, 2, 3
RNG = np.random.default_rng(3)
X, V = RNG.uniform(-1, 1, (N, D)), RNG.uniform(-1, 1, (N, K, D))
AXES = [(0,), (1, 0), (0, 1, 1), (1, 1, 0, 0)]
TERMS = {(): 0.5, (0,): -1.0, (1, 1, 0): 2.0, (0, 0, 1, 1): 0.25}


def network(dtype: str = "float64", outputs: int = 2) -> hq.Network:
    layers = [hq.single(D, 7, "tanh"), hq.resnet(7, 1, "tanh", h=0.5), hq.single(7, outputs, "sin")]
    net = hq.Network(layers, dtype=dtype, seed=0)
    net.set_flat_weights(np.random.default_rng(1).uniform(-0.8, 0.8, net.n_weights).astype(dtype))
    return net


def partial(f: Any, jvp: Any, v: Any, axes: Any) -> Any:
    """The derivative of a function of a point along rows of `v`, one inside the other."""
    for axis in axes:
        f = (lambda g, a: lambda p: jvp(g, (p,), (v[a],))[1])(f, axis)
    return f


@pytest.fixture(scope="module")
def jax() -> Any:
    found = pytest.importorskip("jax")
    found.config.update("jax_enable_x64", True)
    return found


def in_jax(jax: Any) -> Any:
    """The network in JAX's own operations, of named weights and a point."""
    jnp = jax.numpy

    def f(w: Any, p: Any) -> Any:
        u = jnp.tanh(p @ w["0.K"] + w["0.b"])
        u = u + 0.5 * jnp.tanh(u @ w["1.layer.K"] + w["1.layer.b"])
        return jnp.sin(u @ w["2.K"] + w["2.b"])

    return f


def results(jax: Any, f: Any, w: Any, p: Any, v: Any) -> dict[str, Any]:
    """What a request gives at a point, by nested derivatives."""
    jnp = jax.numpy
    at = lambda axes: partial(lambda q: f(w, q), jax.jvp, v, axes)(p)  # noqa: E731
    pair = jnp.array([[at((a, b)) for b in range(K)] for a in range(K)])
    return {
        "value": f(w, p),
        "gradient": jnp.array([at((a,)) for a in range(K)]),
        "hessian": pair,
        "laplacian": sum(pair[a, a] for a in range(K)),
        "partials": jnp.array([at(axes) for axes in AXES]),
        "directional": jnp.array([[at((a,) * o) for a in range(K)] for o in range(1, 5)]),
        "bilaplacian": sum(at((a, a, b, b)) for a in range(K) for b in range(K)),
        "operator": sum(c * at(axes) for axes, c in TERMS.items()),
    }


REQUEST = ("value", "gradient", "hessian", "laplacian", "partials", "directional", "bilaplacian", "operator")
OPTIONS: Any = {"partials": AXES, "directional": 4, "operator": TERMS}


def close(found: Any, wanted: Any, tolerance: float = 1e-10) -> None:
    wanted = np.asarray(wanted)
    found = np.asarray(found)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * max(1.0, np.abs(wanted).max())


def weights_of(jax: Any, net: hq.Network) -> Any:
    return {name: jax.numpy.asarray(w) for name, w in net.weights().items()}


def test_numpy(jax: Any) -> None:
    net = network()
    f, w = in_jax(jax), weights_of(jax, net)
    jet = net.evaluate(X, REQUEST, directions=V, **OPTIONS)
    own = lambda w, x, v: jax.vmap(lambda p, u: results(jax, f, w, p, u))(x, v)  # noqa: E731
    wanted = own(w, X, V)
    for name in REQUEST:
        close(getattr(jet, name), wanted[name])
    bars = {name: RNG.normal(size=array.shape) for name, array in vars(jet).items()}
    loss = lambda w, x, v: sum((bars[name] * r).sum() for name, r in own(w, x, v).items())  # noqa: E731
    gradients = net.pullback(X, bars, REQUEST, directions=V, **OPTIONS)
    to_w, to_x, to_v = jax.grad(loss, (0, 1, 2))(w, X, V)
    close(gradients.input, to_x)
    close(gradients.directions, to_v)
    for name, gradient in gradients.by_name().items():
        close(gradient, to_w[name])
    # along a tangent of points and weights
    dx, dw = RNG.normal(size=X.shape), {name: RNG.normal(size=a.shape) for name, a in w.items()}
    along = net.pushforward(X, REQUEST, input=dx, weights=dw, directions=V, **OPTIONS)
    for name, change in jax.jvp(lambda w, x: own(w, x, V), (w, X), (dw, dx))[1].items():
        close(getattr(along, name), change)
    second = net.pullback_pushforward(X, {"laplacian": bars["laplacian"]}, input=dx, weights=dw, directions=V)

    def curvature(w: Any, x: Any, v: Any) -> Any:
        pair = jax.vmap(lambda p, u: sum(partial(lambda q: f(w, q), jax.jvp, u, (a, a))(p) for a in range(K)))
        return (bars["laplacian"] * pair(x, v)).sum()

    turned = jax.jvp(lambda w, x: jax.grad(curvature, (1, 2))(w, x, V), (w, X), (dw, dx))[1]
    close(second.input, turned[0])
    close(second.directions, turned[1])


def test_all_entries_up_to_order_four_and_some_of_more(jax: Any) -> None:
    net = network(outputs=1)
    f, w = in_jax(jax), weights_of(jax, net)
    axes = [a for order in range(1, 5) for a in combinations_with_replacement(range(K), order)]
    axes += [(0, 0, 0, 0, 1), (1,) * 6]
    found = net.evaluate(X, partials=axes, directions=V).partials
    for i, tuple_ in enumerate(axes):
        wanted = jax.vmap(lambda p, u, t=tuple_: partial(lambda q: f(w, q), jax.jvp, u, t)(p))(X, V)
        close(found[:, i], wanted)


def test_what_else_takes_them() -> None:
    net = network()
    jet = net.evaluate(X, directional=3, directions=V)
    out = {"directional": np.empty((N, 3, K, 2))}
    assert net.evaluate(X, directional=3, directions=V, out=out).directional is out["directional"]
    assert (out["directional"] == jet.directional).all()
    parts = [part.directional for _, part in net.stream(X, directional=3, directions=V, chunk=4)]
    close(np.concatenate(parts), jet.directional, 1e-14)
    assert sum(part.directional.shape[0] for _, part in net.stream(X, directional=3, directions=V)) == N
    assert "directional" in str(net.explain(100, directional=3, directions=V)) or net.explain(100, directional=3)
    # lists, views, single precision
    close(net.evaluate(X.tolist(), directional=3, directions=V.tolist()).directional, jet.directional, 1e-14)
    turned = np.asfortranarray(V)[::-1]
    close(net.evaluate(X[::-1], directional=3, directions=turned).directional, jet.directional[::-1], 1e-14)
    small = network("float32").evaluate(X.astype("f"), directional=3, directions=V.astype("f")).directional
    close(small, jet.directional, 1e-5)
    # products are with vectors of the inputs; one call for each point knows nothing of the others
    vectors, b = RNG.normal(size=(2, D)), RNG.normal(size=(K, K))
    found = net.evaluate(X, ("diagonal", "packed"), directions=V, products=vectors, operator=b, block=([1], [0, 1]))
    for s in range(N):
        own = net.evaluate(
            X[s : s + 1], ("diagonal", "packed"), directions=V[s], products=vectors, operator=b, block=([1], [0, 1])
        )
        for name, array in vars(own).items():
            close(getattr(found, name)[s : s + 1], array, 1e-12)
    # weights that change count, at every call
    net.set_flat_weights(net.flat_weights() * 0.5)
    changed = net.evaluate(X[:1], directional=3, directions=V[0]).directional
    close(net.evaluate(X, directional=3, directions=V).directional[:1], changed, 1e-12)
    assert net.evaluate(np.empty((0, D)), directional=2, directions=np.empty((0, K, D))).directional.shape == (
        0,
        2,
        K,
        2,
    )


def test_errors() -> None:
    net = network()
    for x, v, words in [
        (X, V[:4], r"\[4, 2, 3\], expected \[6, k, 3\]"),
        (X, V[:, :, :2], r"\[6, 2, 2\]"),
        (X, V[:, :0], r"\[6, 0, 3\]"),
        (X[:, :2], V, r"\[6, 2\], expected \[n_s, 3\]"),
    ]:
        with pytest.raises(hq.errors.ShapeError, match=words):
            net.evaluate(x, directional=2, directions=v)
    with pytest.raises(hq.errors.RequestError, match="factored"):
        net.evaluate(X, "factored", directions=V)
    with pytest.raises(hq.errors.ShapeError, match=r"expected \[kw, 3\]"):
        net.evaluate(X, products=np.ones((1, 2)), directions=V)
    with pytest.raises(TypeError, match="float64"):
        network("float32").evaluate(X.astype("f"), directional=2, directions=V)
    with pytest.raises(hq.errors.ShapeError, match="directions of 5 points, expected those of 6"):
        net.stream(X, directional=2, directions=V[:5])
    with pytest.raises(hq.errors.ShapeError, match=r"tangent of the points has shape \[5, 3\]"):
        net.pushforward(X, "value", input=X[:5], directions=V)


def test_dask() -> None:
    da = pytest.importorskip("dask.array")
    import hessquik_rs.dask

    with pytest.raises(hq.errors.RequestError, match="map_blocks"):
        hessquik_rs.dask.evaluate(network(), da.from_array(X), "gradient", directions=V)


@pytest.mark.parametrize("kind", ["network", "function"])
def test_jax(jax: Any, kind: str) -> None:
    from hessquik_rs import jax as ours_in_jax

    net = network()
    f, w = in_jax(jax), weights_of(jax, net)

    def own(w: Any, x: Any, v: Any) -> dict[str, Any]:
        def at(axes: Any) -> Any:
            return jax.vmap(lambda p, u: partial(lambda q: f(w, q), jax.jvp, u, axes)(p))(x, v)

        pairs = at((0, 0)) + at((1, 1))
        third = jax.numpy.stack([at((0, 1, 1)), at((0,))], 1)
        return {"laplacian": pairs, "partials": third}

    wanted = own(w, X, V)
    source: Any = net if kind == "network" else f
    jets = ours_in_jax.jet(source, "laplacian", partials=[(0, 1, 1), (0,)])
    found = jets(w, X, V)
    for name, array in wanted.items():
        close(getattr(found, name), array)
    bars = {name: np.asarray(RNG.normal(size=r.shape)) for name, r in wanted.items()}

    def loss(of: Any) -> Any:
        return lambda w, x, v: sum((bars[name] * of(w, x, v)[name]).sum() for name in bars)

    ours = jax.grad(loss(lambda w, x, v: vars(jets(w, x, v))), (0, 1, 2))(w, X, V)
    jax.tree.map(close, ours, jax.grad(loss(own), (0, 1, 2))(w, X, V))
    # one point, and points under vmap
    close(jets(w, X[0], V[0]).laplacian, wanted["laplacian"][0])
    close(jax.vmap(jets, (None, 0, 0))(w, X, V).laplacian, wanted["laplacian"])
    # without, the same function goes on as before
    assert ours_in_jax.jet(source, "gradient")(w, X).gradient.shape == (N, D, 2)
    with pytest.raises(hq.errors.ShapeError, match=r"\[5, 2, 3\], expected \[6, k, 3\]"):
        jets(w, X, V[:5])
    with pytest.raises(hq.errors.RequestError, match="each point has its own"):
        ours_in_jax.jet(source, "gradient", directions=np.eye(3))(w, X, V)


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    import hessquik_rs.torch

    torch.manual_seed(0)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(D, 7), torch.nn.Linear(7, 2)

        def forward(self, x: Any) -> Any:
            u = torch.tanh(self.a(x))
            return torch.sin(self.b(u + 0.5 * u * u))

    model = Model().double()
    x, v = (torch.tensor(a, requires_grad=True) for a in (X, V))
    jets = hessquik_rs.torch.jet(model, REQUEST, **OPTIONS)

    def own(x: Any, v: Any) -> dict[str, Any]:
        def at(axes: Any) -> Any:
            return torch.func.vmap(lambda p, u: partial(model, torch.func.jvp, u, axes)(p))(x, v)

        pair = torch.stack([torch.stack([at((a, b)) for b in range(K)], 1) for a in range(K)], 1)
        return {
            "value": model(x),
            "gradient": torch.stack([at((a,)) for a in range(K)], 1),
            "hessian": pair,
            "laplacian": pair[:, 0, 0] + pair[:, 1, 1],
            "partials": torch.stack([at(axes) for axes in AXES], 1),
            "directional": torch.stack([torch.stack([at((a,) * o) for a in range(K)], 1) for o in range(1, 5)], 1),
            "bilaplacian": sum(at((a, a, b, b)) for a in range(K) for b in range(K)),
            "operator": sum(c * at(axes) for axes, c in TERMS.items()),
        }

    found, wanted = jets(x, v), own(x, v)
    for name in REQUEST:
        close(getattr(found, name).detach(), wanted[name].detach())
    bars = {name: torch.randn_like(r) for name, r in wanted.items()}
    inputs = [x, v, *model.parameters()]
    ours = torch.autograd.grad(sum((bars[n] * getattr(found, n)).sum() for n in REQUEST), inputs)
    theirs = torch.autograd.grad(sum((bars[n] * wanted[n]).sum() for n in REQUEST), inputs)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b)
    # once more differentiated
    twice = lambda of: torch.autograd.grad(  # noqa: E731
        torch.autograd.grad((of["laplacian"] ** 2).sum(), v, create_graph=True)[0].square().sum(), v
    )[0]
    close(twice(vars(jets(x, v))), twice(own(x, v)), 1e-9)
    assert jets(x).gradient.shape == (N, D, 2)
    for other, words in [(v[:5], r"\[5, 2, 3\], expected \[6, k, 3\]"), (v.float(), "float32"), (V, "ndarray")]:
        with pytest.raises((hq.errors.ShapeError, hq.errors.DtypeError), match=words):
            jets(x, other)
    with pytest.raises(hq.errors.RequestError, match="each point has its own"):
        hessquik_rs.torch.jet(model, "gradient", directions=np.eye(3))(x, v)
