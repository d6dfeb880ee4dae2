"""`hessquik_rs.jax` against JAX's own derivatives of the same function."""

import numpy as np
import pytest

import hessquik_rs as hq

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402

import hessquik_rs.jax  # noqa: E402

DTYPES = ("float32", "float64")
NET = hq.Network([hq.single(3, 8, "tanh"), hq.resnet(8, 2, "sin", h=0.5), hq.single(8, 2, "sigmoid")], seed=0)


def plain(weights, x):
    """The network at one point, in JAX's operations."""
    u = jnp.tanh(x @ weights["0.K"] + weights["0.b"])
    for i in "01":
        u = u + 0.5 * jnp.sin(u @ weights[f"1.{i}.layer.K"] + weights[f"1.{i}.layer.b"])
    return jax.nn.sigmoid(u @ weights["2.K"] + weights["2.b"])


def jet_of_jax(weights, x):
    """Value, gradient (d, m), Hessian (d, d, m) and Laplacian (m) at one point."""
    gradient = jax.jacfwd(plain, 1)(weights, x).T
    hessian = jnp.moveaxis(jax.hessian(plain, 1)(weights, x), 0, -1)
    return {
        "value": plain(weights, x),
        "gradient": gradient,
        "hessian": hessian,
        "laplacian": jnp.einsum("aar->r", hessian),
    }


NAMES = ("value", "gradient", "hessian", "laplacian")
# compiled once for all tests that ask it for the same shapes
reference = jax.jit(jax.vmap(jet_of_jax, (None, 0)))


def given(dtype, n=7):
    weights = {name: w.astype(dtype) for name, w in hq.jax.weights(NET).items()}
    return weights, jnp.asarray(np.random.default_rng(0).normal(size=(n, 3)), dtype)


def close(found, wanted, dtype):
    rtol, atol = (5e-4, 5e-5) if dtype == "float32" else (1e-10, 1e-11)
    assert found.dtype == wanted.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [7, 2000])
def test_jets(dtype, n):
    weights, x = given(dtype, n)
    f = hq.jax.jet(NET, NAMES)
    wanted = reference(weights, x)
    for jet in (f(weights, x), jax.jit(f)(weights, x)):
        for name in NAMES:
            close(getattr(jet, name), wanted[name], dtype)


def total(jet, bars):
    get = jet.get if isinstance(jet, dict) else lambda name: getattr(jet, name)
    return sum((get(name) * bar).sum() for name, bar in bars.items())


def loss_of(jet):
    """A loss whose derivatives with respect to the results are given."""
    return lambda weights, x, bars: total(jet(weights, x), bars)


reference_gradient = jax.jit(jax.grad(loss_of(jax.vmap(jet_of_jax, (None, 0))), (0, 1)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", [NAMES, ("value",), ("gradient", "laplacian")], ids=" ".join)
def test_gradients(dtype, names):
    weights, x = given(dtype)
    shapes = {name: array.shape for name, array in vars(NET.evaluate(np.zeros((7, 3)), names)).items()}
    bars = {name: jnp.asarray(np.random.default_rng(1).normal(size=shapes[name]), dtype) for name in names}
    gradient = jax.grad(loss_of(hq.jax.jet(NET, NAMES)), (0, 1))
    wanted = reference_gradient(weights, x, bars)
    for found in (gradient(weights, x, bars), jax.jit(gradient)(weights, x, bars)):
        close(found[1], wanted[1], dtype)
        for name, array in found[0].items():
            close(array, wanted[0][name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vmap_over_points(dtype):
    weights, x = given(dtype, 12)
    f, g = hq.jax.jet(NET, NAMES), jet_of_jax
    for lead in ((12,), (3, 4)):
        points, ours, theirs = x.reshape(*lead, 3), f, g
        for _ in lead:
            ours, theirs = jax.vmap(ours, (None, 0)), jax.vmap(theirs, (None, 0))
        found, wanted = jax.jit(ours)(weights, points), jax.jit(theirs)(weights, points)
        whole = jax.jit(f)(weights, points)
        for name in NAMES:
            close(getattr(found, name), wanted[name], dtype)
            close(getattr(whole, name), wanted[name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", [(0, None), (0, 0), (None, 0)])
def test_vmap_over_weights_and_gradients_under_vmap(dtype, axes):
    weights, x = given(dtype)
    ensemble = {name: jnp.stack([w, 0.5 * w, -w]) for name, w in weights.items()}
    points = jnp.stack([x, x + 1, 2 * x])
    arguments = (ensemble if axes[0] == 0 else weights, points if axes[1] == 0 else x)
    f = hq.jax.jet(NET, NAMES)
    plain_jet = jax.vmap(jet_of_jax, (None, 0))
    found, wanted = (jax.jit(jax.vmap(g, axes))(*arguments) for g in (f, plain_jet))
    for name in NAMES:
        close(getattr(found, name), wanted[name], dtype)

    def gradient(jet):
        return jax.jit(jax.vmap(jax.grad(lambda w, x: total(jet(w, x), dict.fromkeys(NAMES, 1.0)), (0, 1)), axes))

    for a, b in zip(
        jax.tree.leaves(gradient(f)(*arguments)), jax.tree.leaves(gradient(plain_jet)(*arguments)), strict=True
    ):
        close(a, b, dtype)


def test_both_axes_of_nested_vmaps_are_told_apart():
    weights, x = given("float64", 4)
    ensemble = {name: jnp.stack([w, 0.5 * w, -w]) for name, w in weights.items()}
    nested = jax.vmap(jax.vmap(hq.jax.jet(NET, "hessian"), (None, 0)), (0, None))(ensemble, x).hessian
    other = jax.vmap(jax.vmap(hq.jax.jet(NET, "hessian"), (0, None)), (None, 0))(ensemble, x).hessian
    for i in range(3):
        one = hq.jax.jet(NET, "hessian")({name: w[i] for name, w in ensemble.items()}, x).hessian
        np.testing.assert_allclose(nested[i], one, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(other[:, i], one, rtol=1e-12, atol=1e-14)


def test_options_are_those_of_evaluate():
    weights, x = given("float64")
    rng = np.random.default_rng(2)
    options = {
        "directions": rng.normal(size=(4, 3)),
        "outputs": rng.normal(size=(2, 1)),
        "mode": (1, [2]),
        "operator": rng.normal(size=(4, 4)),
        "products": rng.normal(size=(2, 3)),
        "block": ([0, 3], [1]),
        "partials": [(0, 1)],
    }
    names = ("value", "packed", "diagonal")
    f = hq.jax.jet(NET, names, **options)
    found, wanted = jax.jit(f)(weights, x), NET.evaluate(x, names, **options)
    assert list(vars(found)) == list(vars(wanted))
    for name in vars(wanted):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-12, atol=1e-13)
    # a part of the results alone is pulled back
    bar = rng.normal(size=wanted.operator.shape)
    gradient = jax.grad(lambda w: (f(w, x).operator * bar).sum())(weights)
    for name, array in (
        NET.pullback(x, {"operator": bar}, **options | dict.fromkeys(("products", "block", "partials")))
        .by_name()
        .items()
    ):
        np.testing.assert_allclose(gradient[name], array, rtol=1e-10, atol=1e-12)


def test_weights_as_a_sequence_and_in_any_order():
    weights, x = given("float64")
    f = hq.jax.jet(NET, "value")
    shuffled = dict(reversed(weights.items()))
    for other in (list(weights.values()), tuple(weights.values()), shuffled):
        assert (f(other, x).value == f(weights, x).value).all()
    assert (f(weights, x).value == NET(np.asarray(x))).all()


def test_a_training_step_under_scan():
    weights, x = given("float32", 50)
    f = hq.jax.jet(NET, "laplacian")

    def step(w, _):
        value, g = jax.value_and_grad(lambda w: ((f(w, x).laplacian - 1.0) ** 2).mean())(w)
        return jax.tree.map(lambda w, g: w - 0.01 * g, w, g), value

    trained, values = jax.jit(lambda w: jax.lax.scan(step, w, length=30))(weights)
    assert values[-1] < values[0]
    net = NET.astype("float32")
    net.set_weights(trained)
    np.testing.assert_allclose(net.evaluate(x, "laplacian").laplacian, f(trained, x).laplacian, rtol=1e-5, atol=1e-6)


def test_no_points():
    weights, x = given("float64", 0)
    f = hq.jax.jet(NET)
    assert f(weights, x).hessian.shape == (0, 3, 3, 2)
    gradient = jax.grad(lambda w: f(w, x).hessian.sum())(weights)
    assert all((g == 0).all() for g in gradient.values())


def test_programs_are_plain_custom_calls():
    """No callback into Python is compiled in."""
    weights, x = given("float32")
    text = jax.jit(hq.jax.jet(NET, "hessian")).lower(weights, x).as_text()
    assert "hessquik_evaluate" in text and "callback" not in text


def test_errors():
    weights, x = given("float32")
    f = hq.jax.jet(NET)
    with pytest.raises(ValueError, match=r"points has shape \[7, 2\], expected \[\.\., 3\]"):
        f(weights, x[:, :2])
    with pytest.raises(ValueError, match=r"weight 0\.K has shape \[8, 3\], expected \[3, 8\]"):
        f(weights | {"0.K": weights["0.K"].T}, x)
    with pytest.raises(ValueError, match="weights are"):
        f({"0.K": weights["0.K"]}, x)
    with pytest.raises(ValueError, match="there are 1 weights, expected 8"):
        f([weights["0.K"]], x)
    with pytest.raises(TypeError, match="complex64, expected float32 or float64"):
        f(weights, x.astype("complex64"))
    with pytest.raises(ValueError, match="factored"):
        hq.jax.jet(NET, "factored")
    with pytest.raises(ValueError, match="unknown result"):
        hq.jax.jet(NET, "hesian")
