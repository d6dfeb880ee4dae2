"""Functions of one point under `vmap`, in any order with `grad`: the numbers of JAX's own derivatives, in one call."""

import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import hessquik_rs as hq

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402

import hessquik_rs.jax  # noqa: E402

NAMES = ("value", "gradient", "hessian", "laplacian")
NET = hq.Network(hq.fully_connected([3, 8, 8, 2], last="identity"), seed=0)
WEIGHTS = hq.jax.weights(NET)
X = jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)))
F = hq.jax.jet(NET, NAMES)


def plain(weights, x):
    """The jet of one point in JAX's operations."""

    def value(x):
        u = jnp.tanh(x @ weights["0.K"] + weights["0.b"])
        u = jnp.tanh(u @ weights["1.K"] + weights["1.b"])
        return u @ weights["2.K"] + weights["2.b"]

    hessian = jnp.moveaxis(jax.hessian(value)(x), 0, -1)
    gradient = jax.jacfwd(value)(x).T
    return hq.Jet(
        {"value": value(x), "gradient": gradient, "hessian": hessian, "laplacian": jnp.einsum("aar->r", hessian)}
    )


def loss(jet):
    """A scalar of one point, nonlinear in every result."""
    return lambda weights, x: sum((jnp.sin(a) * a).sum() for a in vars(jet(weights, x)).values())


def total(jet):
    """How JAX users write it: one point, then all of them."""
    return lambda weights, x: jax.vmap(loss(jet), (None, 0))(weights, x).mean()


def close(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


def calls(function, *arguments):
    """Names of the calls in a program, with the shape of the points of each."""
    text = jax.jit(function).lower(*arguments).as_text()
    found = re.findall(r"custom_call @hessquik_(\w+)\(.*: \(tensor<([0-9x]+)xf64>", text)
    assert "callback" not in text
    return sorted(found)


ENSEMBLE = jax.tree.map(lambda w: jnp.stack([w, 0.5 * w, -w]), WEIGHTS)

CASES = {
    "values": (lambda jet: jax.vmap(jet, (None, 0)), (WEIGHTS, X), [("evaluate", "16x3")]),
    "gradient to weights": (
        lambda jet: jax.grad(total(jet)),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "gradient to points": (
        lambda jet: jax.grad(total(jet), 1),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "gradients to both": (
        lambda jet: jax.value_and_grad(total(jet), (0, 1)),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "gradient to each point": (
        lambda jet: jax.vmap(jax.grad(loss(jet), 1), (None, 0)),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "points along their last axis": (
        lambda jet: jax.grad(lambda w, x: jax.vmap(loss(jet), (None, 1))(w, x).sum(), (0, 1)),
        (WEIGHTS, X.T),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "two axes": (
        lambda jet: jax.grad(lambda w, x: jax.vmap(jax.vmap(loss(jet), (None, 0)), (None, 1))(w, x).sum(), (0, 1)),
        (WEIGHTS, X.reshape(4, 4, 3)),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "coordinates apart": (
        lambda jet: jax.grad(
            lambda w, x: jax.vmap(lambda a, b, c: loss(jet)(w, jnp.stack([a, b, c])))(*x.T).mean(), (0, 1)
        ),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "a network within a network's loss": (
        lambda jet: jax.grad(lambda w, x: total(jet)(w, jax.vmap(lambda p: jet(w, p).gradient[:, 0])(x))),
        (WEIGHTS, X),
        [("evaluate", "16x3")] * 2 + [("pullback", "16x3")] * 2,
    ),
    "gradient to the weights for each point": (
        lambda jet: jax.vmap(jax.grad(loss(jet), (0, 1)), (None, 0)),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x1x3")],
    ),
    "an ensemble": (
        lambda jet: jax.grad(lambda w, x: jax.vmap(total(jet), (0, None))(w, x).sum(), (0, 1)),
        (ENSEMBLE, X),
        [("evaluate", "1x16x3"), ("pullback", "1x16x3")],
    ),
    "points outside, weights inside": (
        lambda jet: jax.grad(lambda w, x: jax.vmap(lambda p: jax.vmap(loss(jet), (0, None))(w, p))(x).sum(), (0, 1)),
        (ENSEMBLE, X),
        [("evaluate", "1x16x3"), ("pullback", "1x16x3")],
    ),
    "jacobians": (
        lambda jet: jax.vmap(jax.jacrev(lambda w, x: jet(w, x).gradient, 1), (None, 0)),
        (WEIGHTS, X),
        None,
    ),
    "a part of the results": (
        lambda jet: jax.grad(lambda w, x: jax.vmap(lambda p: jet(w, p).laplacian[0] ** 2)(x).sum(), (0, 1)),
        (WEIGHTS, X),
        [("evaluate", "16x3"), ("pullback", "16x3")],
    ),
    "remembered": (
        lambda jet: jax.grad(jax.checkpoint(total(jet)), (0, 1)),
        (WEIGHTS, X),
        None,
    ),
    "one after the other": (
        lambda jet: jax.grad(lambda w, x: jax.lax.scan(lambda c, p: (c + loss(jet)(w, p), None), 0.0, x)[0], (0, 1)),
        (WEIGHTS, X),
        None,
    ),
    "scans in a batch": (
        lambda jet: jax.grad(
            lambda w, x: jax.vmap(lambda p: jax.lax.map(lambda s: loss(jet)(w, s * p), jnp.arange(3.0)))(x).sum(),
            (0, 1),
        ),
        (WEIGHTS, X),
        None,
    ),
    "either or": (
        lambda jet: jax.grad(
            lambda w, x: jax.vmap(lambda p: jax.lax.cond(p[0] > 0, loss(jet), lambda w, p: p.sum(), w, p))(x).sum(),
            (0, 1),
        ),
        (WEIGHTS, X),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_any_order_of_transformations(case):
    make, arguments, wanted_calls = CASES[case]
    wanted = jax.jit(make(plain))(*arguments)
    function = make(F)
    close(jax.jit(function)(*arguments), wanted)
    close(function(*arguments), wanted)
    if wanted_calls is not None:
        assert calls(function, *arguments) == wanted_calls


def test_empty_batches():
    for lead in ((0,), (0, 4), (4, 0)):
        x = jnp.zeros((*lead, 3))
        f = F
        for _ in lead:
            f = jax.vmap(f, (None, 0))
        assert f(WEIGHTS, x).hessian.shape == (*lead, 3, 3, 2)
        weights, points = jax.grad(lambda w, x, f=f: f(w, x).hessian.sum(), (0, 1))(WEIGHTS, x)
        assert points.shape == x.shape and all((w == 0).all() for w in weights.values())
    each = jax.vmap(jax.grad(loss(F)), (None, 0))(WEIGHTS, jnp.zeros((0, 3)))
    assert each["0.K"].shape == (0, 3, 8)


def test_large_batches_of_gradients_to_weights():
    """On the thread pool: each is that of its point."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1000, 3)))
    each = jax.jit(jax.vmap(jax.grad(loss(F)), (None, 0)))(WEIGHTS, x)
    for i in (0, 499, 999):
        close(jax.tree.map(lambda g, i=i: g[i], each), jax.grad(loss(F))(WEIGHTS, x[i]))


@pytest.mark.parametrize("kind", ["int64", "int32", "list"])
def test_whole_numbers_are_not_rounded(kind):
    weights = jax.tree.map(lambda w: w.astype("float32"), WEIGHTS)
    x = np.array([[2**24, 1, 2]], "int64" if kind == "list" else kind)
    close(F(weights, x).value, F(weights, x.astype("float32")).value)
    x[0, 0] += 1
    with pytest.raises(hq.errors.DtypeError, match="the number 16777217, which float32 would round"):
        F(weights, x.tolist() if kind == "list" else x)


def test_forward_mode_and_second_derivatives():
    """Of networks of layers, as of functions, against those of the plain function."""
    direction = (jax.tree.map(lambda w: 0.3 * w + 0.1, WEIGHTS), jnp.cos(X))
    for program in (
        lambda f: jax.jvp(f, (WEIGHTS, X), direction),
        lambda f: jax.jvp(jax.grad(f, (0, 1)), (WEIGHTS, X), direction),
        lambda f: jax.jacfwd(jax.grad(f, 1), 1)(WEIGHTS, X[:2]),
        lambda f: jax.grad(lambda x: (jax.grad(f, 1)(WEIGHTS, x) ** 2).sum())(X),
    ):
        close(jax.jit(lambda: program(total(F)))(), jax.jit(lambda: program(total(plain)))())  # noqa: B023


def test_programs_are_exported(tmp_path):
    pytest.importorskip("flatbuffers")
    from jax import export

    (n,) = export.symbolic_shape("n")
    shapes = {"fixed": X, "any number of points": jax.ShapeDtypeStruct((n, 3), X.dtype)}
    functions = {"jet": F, "one point": jax.vmap(F, (None, 0)), "training": jax.value_and_grad(total(F), (0, 1))}
    for name, function in functions.items():
        for of_shape, x in shapes.items():
            data = export.export(jax.jit(function))(WEIGHTS, x).serialize()
            found = export.deserialize(data).call(WEIGHTS, X)
            assert type(found) is type(function(WEIGHTS, X)), name
            close(found, function(WEIGHTS, X))
            (tmp_path / f"{name} {of_shape}").write_bytes(data)
    data = export.export(jax.jit(total(F)))(WEIGHTS, X).serialize(vjp_order=1)
    close(jax.grad(export.deserialize(data).call, (0, 1))(WEIGHTS, X), jax.grad(total(F), (0, 1))(WEIGHTS, X))
    # another process, which knows nothing of the network
    np.savez(tmp_path / "x.npz", X, *WEIGHTS.values(), *jax.tree.leaves(F(WEIGHTS, X)))
    code = """
        import sys, numpy as np, jax
        jax.config.update("jax_enable_x64", True)
        import hessquik_rs.jax
        from jax import export
        x, *rest = np.load(sys.argv[2]).values()
        weights = dict(zip(["0.K", "0.b", "1.K", "1.b", "2.K", "2.b"], rest))
        jet = export.deserialize(bytearray(open(sys.argv[1], "rb").read())).call(weights, x)
        for found, wanted in zip(jet, rest[6:], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-11)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), tmp_path / "jet any number of points", tmp_path / "x.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


MEMORY = """
    import gc, sys
    import jax, jax.numpy as jnp, numpy as np
    import hessquik_rs as hq, hessquik_rs.jax

    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

    of, jets = sys.argv[1:]
    x, kept = np.ones((4, 50), "float32"), []
    def use(i):
        net = hq.Network(hq.fully_connected([50, 500, 500 + i, 1]), dtype="float32", seed=0)
        weights = hq.jax.weights(net)
        if of == "engine":
            jet = hq.jax.jet(net, "laplacian")
            f = lambda w, x: jet(w, x).laplacian
        else:
            @jax.jit
            def f(w, x):
                for j in range(3):
                    x = jnp.tanh(x @ w[f"{j}.K"] + w[f"{j}.b"])
                return x
        jax.grad(lambda w: f(w, x).sum())(weights)
        if jets == "kept":
            kept.append(f)

    for i in range(4):
        use(i)
    start = resident()
    for i in range(4, 34):
        use(i)
    gc.collect()
    print(resident() - start)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read as Linux shows it")
@pytest.mark.parametrize("jets", ["dropped", "kept"])
def test_jets_do_not_keep_memory_for_ever(jets):
    """They keep about what JAX keeps of its own compiled functions of such networks, without any derivatives."""
    grown = {}
    for of in ("engine", "jax"):
        command = [sys.executable, "-c", textwrap.dedent(MEMORY), of, jets]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        grown[of] = float(done.stdout)
    # a network that is ready to evaluate and to pull back takes some 10 MiB, of which the engine keeps at most 16
    more = 100 if jets == "dropped" else 150
    assert grown["engine"] < grown["jax"] + more, grown
