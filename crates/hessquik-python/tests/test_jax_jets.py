"""Users' own functions through the front door of JAX: the zoo against JAX, transforms, devices, errors."""

import warnings
from functools import partial

import numpy as np
import pytest

import hessquik_rs as hq

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402
import jax_zoo  # noqa: E402
import jax_zoo_more  # noqa: E402

import hessquik_rs.jax  # noqa: E402
from hessquik_rs._jax import plain  # noqa: E402
from hessquik_rs._jax.spec import Spec  # noqa: E402

NAMES = "value,gradient,hessian,laplacian"


def points(d, n=3):
    return jnp.asarray(np.random.default_rng(3).normal(size=(n, d)) * 0.6)


def reference(apply):
    """Value, gradient, Hessian and Laplacian by JAX, in our order of axes."""

    def at(p, x):
        gradient = jax.jacrev(apply, 1)
        first, second = gradient(p, x), jax.jacfwd(gradient, 1)(p, x)
        if first.ndim == 1:
            return apply(p, x), first, second, jnp.trace(second)
        return apply(p, x), first.T, jnp.moveaxis(second, 0, -1), jnp.einsum("raa->r", second)

    return jax.vmap(at, (None, 0))


def close(found, expected, tolerance=1e-10):
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1.0, np.abs(theirs).max(initial=0.0)))


def once(program):
    """Compiled in a hurry, for programs that run once."""
    quick = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(program, compiler_options=quick)


def loss(results):
    """A number that depends on every entry of every result, and not linearly."""
    rng = np.random.default_rng(5)
    total = sum((rng.uniform(size=r.shape) * jnp.sin(r)).sum() for r in results)
    return total


@pytest.mark.parametrize("name", [*jax_zoo.ZOO, *jax_zoo_more.ZOO])
def test_the_zoo_is_jaxs(name):
    apply, params, d = (jax_zoo if name in jax_zoo.ZOO else jax_zoo_more).make(name)
    params = jax.tree.map(jnp.asarray, params)
    x = points(d)
    theirs = reference(apply)

    jets = hessquik_rs.jax.jet(apply, NAMES)

    def both(f):
        def program(p, x):
            return tuple(f(p, x)), jax.grad(lambda p, x: loss(f(p, x)), (0, 1))(p, x)

        return once(program)(params, x)

    close(both(jets), both(theirs))


def test_results_follow_the_points():
    apply, params, d = jax_zoo.make("modified MLP")
    jets = hessquik_rs.jax.jet(apply, NAMES)
    x = points(d, 6)
    whole = jets(params, x)
    close(tuple(jets(params, x[0])), [r[0] for r in whole])
    close(tuple(jets(params, x.reshape(2, 3, d))), [r.reshape(2, 3, *r.shape[1:]) for r in whole])
    assert jets(params, x[:0]).hessian.shape == (0, d, d, 2)
    apply, params, d = jax_zoo.make("SPINN")
    shapes = [r.shape for r in hessquik_rs.jax.jet(apply, NAMES)(params, points(d, 5))]
    assert shapes == [(5,), (5, d), (5, d, d), (5,)]
    along = hessquik_rs.jax.jet(apply, "value", outputs=np.ones((1, 2)))(params, points(d, 5))
    assert along.value.shape == (5, 2)


def test_transforms():
    apply, params, d = jax_zoo.make("MLP with normalisation")
    x = points(d)
    jets, theirs = hessquik_rs.jax.jet(apply, "value,laplacian"), reference(apply)

    def residual(p, x):
        jet = jets(p, x)
        return (jet.laplacian + jet.value**2).sum()

    def training(p, x):
        return (jax.vmap(residual, (None, 0))(p, x) ** 2).mean()

    def expected(p, x):
        value, _, _, laplacian = theirs(p, x)
        return ((laplacian + value**2).sum(-1) ** 2).mean()

    close(once(jax.value_and_grad(training))(params, x), once(jax.value_and_grad(expected))(params, x))
    several = jnp.stack([x, 2 * x])
    close(once(jax.vmap(training, (None, 0)))(params, several), once(jax.vmap(expected, (None, 0)))(params, several))
    text = jax.jit(jax.grad(training)).lower(params, x).as_text()
    assert text.count("custom_call @hessquik_pullback") == 1
    ensemble = jax.tree.map(lambda a: jnp.stack([a, 1.1 * a]), params)
    close(once(jax.vmap(jets, (0, None)))(ensemble, x).laplacian, once(jax.vmap(theirs, (0, None)))(ensemble, x)[3])


@pytest.mark.parametrize("names", ["laplacian", "value,gradient"])
def test_forward_mode_and_second_derivatives(names):
    apply, params, d = jax_zoo.make("random weight factorisation")
    x = points(d)
    jets, theirs = hessquik_rs.jax.jet(apply, names), reference(apply)
    order = {"value": 0, "gradient": 1, "laplacian": 3}

    def ours(p, x):
        return loss(jets(p, x))

    def wanted(p, x):
        results = theirs(p, x)
        return loss([results[order[name]] for name in names.split(",")])

    direction = jax.tree.map(jnp.ones_like, (params, x))
    programs = {
        "jvp": lambda f: jax.jvp(f, (params, x), direction),
        "newton": lambda f: jax.hessian(f, 1)(params, x),
        "grad of grad": lambda f: jax.grad(
            lambda p, x: sum((g**2).sum() for g in jax.tree.leaves(jax.grad(f, (0, 1))(p, x))), (0, 1)
        )(params, x),
        "products": lambda f: jax.jvp(jax.grad(f, (0, 1)), (params, x), direction),
        "linearised": lambda f: jax.linear_transpose(jax.linearize(f, params, x)[1], params, x)(jnp.ones(())),
    }
    for program in programs.values():
        close(once(lambda: program(ours))(), once(lambda: program(wanted))())  # noqa: B023


def requests(apply):
    directions, outputs = [[1.0, 0.5]], [[1.0], [-2.0]]
    full = {
        "operator": [[1.0, 2.0], [0.5, 1.0]],
        "products": [[1.0, -1.0], [0.3, 2.0], [0.0, 1.0]],
        "block": ([0], [0, 1]),
        "partials": [(0,), (0, 1), (1, 1, 0)],
        "directional": 3,
    }
    every = "value,gradient,hessian,packed,diagonal,laplacian,bilaplacian"
    return [
        (every, full),
        (every, {"directions": directions, "outputs": outputs, "partials": [(0, 0)], "directional": 2}),
        ("value,laplacian", {"outputs": outputs}),
    ]


def test_every_request_also_on_other_devices():
    apply, params, d = jax_zoo.make("MLP with normalisation")
    x = points(d)
    theta = [jnp.asarray(w) for w in hq.Network.from_jax(apply, params, d).weights().values()]
    for names, options in requests(apply):
        spec = Spec(hq.Network.from_jax(apply, params, d), names, options)
        jet = hessquik_rs.jax.jet(apply, names, **options)(params, x)
        assert spec.names == tuple(vars(jet))
        elsewhere = once(lambda x, *w: plain.evaluate(x, *w, spec=spec, lead=()))(x, *theta)  # noqa: B023
        close([jnp.moveaxis(r, 1, -1) for r in elsewhere], tuple(jet))
    _, gradient, hessian, _ = once(reference(apply))(params, x)
    jet = hessquik_rs.jax.jet(apply, "hessian,packed", partials=[(0, 1), (1,)], block=([1], [0]))(params, x)
    close(jet.packed, hessian[:, [0, 0, 1], [0, 1, 1]])
    close(jet.block, hessian[:, 1:, :1])
    close(jet.partials, jnp.stack([hessian[:, 0, 1], gradient[:, 1]], 1))
    for mode in ("forward", "backward", "sites"):
        close(hessquik_rs.jax.jet(apply, "hessian", mode=mode)(params, x).hessian, hessian)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_programs_for_other_devices_do_not_call_the_engine(platform):
    apply, params, d = jax_zoo.make("MFN")
    jets = hessquik_rs.jax.jet(apply, "value,laplacian")
    x = points(d).astype("float32")
    params = jax.tree.map(lambda a: jnp.asarray(a, "float32"), params)
    step = jax.jit(jax.value_and_grad(lambda p, x: loss(jets(p, x))))
    assert "hessquik" in step.trace(params, x).lower(lowering_platforms=("cpu",)).as_text()
    assert "@hessquik" not in step.trace(params, x).lower(lowering_platforms=(platform,)).as_text()


LAYERS = [
    [hq.single(3, 4, "tanh"), hq.single(4, 5, hq.architecture.scaled("sin", 2.0, 0.5), bias=False), hq.softmax(5)],
    [hq.resnet(3, 2, "silu", h=0.5), hq.log_sum_exp(3)],
    [hq.icnn(3, [4, 5]), hq.quadratic_icnn(3, 5, 2)],
    [hq.icnn(3, [4], "gelu", bias=False), hq.quadratic(7, 3)],
    hq.quadratic_icnn(3, None, 2),
]


@pytest.mark.parametrize("layers", LAYERS)
def test_networks_of_layers_on_other_devices(layers):
    net, x = hq.Network(layers, seed=0), points(3)
    spec = Spec(net, NAMES, {})
    found = once(lambda x, *w: plain.evaluate(x, *w, spec=spec, lead=()))(x, *net.weights().values())
    close([jnp.moveaxis(r, 1, -1) for r in found], tuple(net.evaluate(np.asarray(x), NAMES)))


def test_pullbacks_on_other_devices():
    apply, params, d = jax_zoo.make("ICNN")
    net, x = hq.Network.from_jax(apply, params, d), points(d)
    spec = Spec(net, NAMES, {})
    theta = [jnp.stack([w, 0.9 * w]) for w in net.weights().values()]
    bars = [jnp.ones((2, len(x), *spec.shapes[n])) * (i + 1) for i, n in enumerate(spec.names)]
    arguments = {"spec": spec, "lead": (2,), "names": spec.names, "to_weights": True}
    found = once(lambda *a: plain.pullback(*a, **arguments))(x[None], *theta, *bars)
    for i, factor in enumerate((1.0, 0.9)):
        net.set_weights({k: np.asarray(w[0]) * factor for k, w in zip(net.weights(), theta, strict=True)})
        cotangents = {n: np.moveaxis(np.asarray(b[i]), 1, -1) for n, b in zip(spec.names, bars, strict=True)}
        gradients = net.pullback(np.asarray(x), cotangents)
        close(found[0][i], gradients.input)
        close([g[i] for g in found[1:]], list(gradients.by_name().values()))


@pytest.mark.parametrize("name", ["modified MLP", "Psiformer", "SIREN", "layers by scan"])
def test_frozen_networks_are_the_functions(name, tmp_path):
    apply, params, d = jax_zoo.make(name)
    net = hq.Network.from_jax(apply, params, d)
    net.save(tmp_path / "net.safetensors")
    found = hq.Network.load(tmp_path / "net.safetensors").evaluate(np.asarray(points(d)), NAMES)
    for ours, theirs in zip(found, once(reference(apply))(params, points(d)), strict=True):
        close(ours.reshape(theirs.shape), theirs)
    assert net.dtype == np.float64
    single = jax.tree.map(lambda a: jnp.asarray(a, "float32"), params)
    assert hq.Network.from_jax(apply, single, d).dtype == np.float32
    assert hq.Network.from_jax(apply, single, d, dtype="float64").dtype == np.float64


def test_weights_have_the_names_of_parameters():
    apply, params, d = jax_zoo.make("modified MLP")
    names = hq.Network.from_jax(apply, params, d).weight_names()
    assert sorted(names) == sorted(f"{layer}.{k}" for layer in "first u v hidden.0 hidden.1 out".split() for k in "wb")
    assert hq.Network.from_jax(lambda w, x: jnp.sin(w * x), jnp.ones(2), 2).weight_names() == ["params"]


def test_precisions():
    apply, params, d = jax_zoo.make("ICNN")
    jets, x = hessquik_rs.jax.jet(apply, NAMES), points(d)
    exact = jets(params, x)
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 0.05), ("float16", 5e-3)):
        low = jax.tree.map(lambda a: a.astype(dtype), params)  # noqa: B023
        found = jets(low, x.astype(dtype))
        assert all(r.dtype == dtype for r in found)
        close([r.astype("float64") for r in found], tuple(exact), tolerance)
    mixed = jets(params, x.astype("float32"))
    assert mixed.value.dtype == apply(params, x[0].astype("float32")).dtype == "float64"
    whole = jnp.array([[1, 2, 0]])
    close(tuple(jets(params, whole)), tuple(jets(params, whole.astype("float64"))))


class Model:
    """A pytree that holds functions and settings beside arrays, as modules of libraries do."""

    def __init__(self, w, act, depth):
        self.w, self.act, self.depth = w, act, depth

    def __call__(self, x):
        for _ in range(self.depth):
            x = self.act(x @ self.w)
        return x.sum()


jax.tree_util.register_pytree_node(Model, lambda m: ((m.w, m.act, m.depth), None), lambda _, leaves: Model(*leaves))


def called(model, w, x):
    return Model(w, model.act, model.depth)(x)


def test_pytrees_of_more_than_arrays():
    jets, x, w = hessquik_rs.jax.jet(Model.__call__, "value,laplacian"), points(2), points(2, 2)
    for model in (Model(w, jnp.tanh, 2), Model(w, jnp.sin, 2), Model(w, jnp.sin, 3), Model(2 * w, jnp.sin, 3)):
        value, _, _, laplacian = once(reference(partial(called, model)))(model.w, x)
        close(tuple(jets(model, x)), (value, laplacian))
    assert len(jets._compiled) == 3
    tables = {"w": w, "index": np.array([1, 0])}
    for index in ([1, 0], [0, 0]):
        tables["index"] = np.array(index)
        found = hessquik_rs.jax.jet(lambda p, x: (x @ p["w"])[p["index"]], "value")(tables, x).value
        close(found, (x @ w)[:, tables["index"]])


def test_arrays_of_a_function_around():
    """A function may use arrays that are traced outside of it: gradients reach them too."""
    x = points(2)

    def ours(scale, x):
        jets = hessquik_rs.jax.jet(lambda p, x: jnp.sin(p * scale * x).sum(), "laplacian")
        return jets(jnp.ones(2), x).laplacian.sum()

    def theirs(scale, x):
        return -(scale**2 * jnp.sin(scale * x)).sum()

    for f in (jax.grad(ours, (0, 1)), jax.jit(jax.grad(ours, (0, 1)))):
        close(f(1.3, x), jax.grad(theirs, (0, 1))(1.3, x))
    kept = {}
    jets = hessquik_rs.jax.jet(lambda p, x: jnp.sin(p * kept["scale"] * x).sum(), "laplacian")
    for scale in (0.5, 2.0):  # one and the same function of ours, traced twice

        @jax.jit
        def program(s, x):
            kept["scale"] = s
            return jets(jnp.ones(2), x).laplacian.sum()

        close(program(scale, x), theirs(scale, x))


def test_the_derivatives_at_corners_of_formulas():
    """The softplus of JAX is a maximum and an absolute value, whose corners have no derivatives of their own."""
    jets = hessquik_rs.jax.jet(lambda p, x: jax.nn.softplus(x) + jnp.logaddexp(x, p), "gradient,diagonal")
    jet = jets(jnp.zeros(1), jnp.zeros((1, 1)))
    close(tuple(jet), (jnp.full((1, 1, 1), 1.0), jnp.full((1, 1, 1), 0.5)))


def test_functions_that_do_not_depend_on_the_point():
    for apply in (lambda p, x: p * 2.0, lambda p, x: jnp.array([1.0, 3.0]), lambda p, x: x > 0.0):
        jet = hessquik_rs.jax.jet(apply, "value,hessian")(jnp.ones(2), points(2))
        close(jet.value, jnp.stack([apply(jnp.ones(2), x) for x in points(2)]).astype("float64"))
        assert not jet.hessian.any()


@jax.custom_jvp
def same(x):
    return jnp.sin(x) * 2.0


same.defjvp(lambda p, t: (same(*p), 2.0 * jnp.cos(p[0]) * t[0]))


@jax.custom_vjp
def clipped(x):
    return x * x


clipped.defvjp(lambda x: (clipped(x), x), lambda x, bar: (jnp.clip(2.0 * x * bar, -0.1, 0.1),))


def test_functions_with_derivatives_of_their_own():
    found = hessquik_rs.jax.jet(lambda p, x: same(p * x), "hessian")(jnp.ones(2), points(2)).hessian
    close(found, jax.vmap(lambda x: jnp.moveaxis(jax.hessian(lambda x: 2 * jnp.sin(x))(x), 0, -1))(points(2)))
    with pytest.raises(hq.errors.OperationError, match=r"custom_vjp_call in .*test_jax_jets.py.*custom derivatives"):
        hessquik_rs.jax.jet(lambda p, x: clipped(p * x), "value")(jnp.ones(2), points(2))
    # of parameters alone, they stay what they are
    g = jax.grad(lambda p, x: hessquik_rs.jax.jet(lambda p, x: clipped(p) * x, "value")(p, x).value.sum())
    close(g(jnp.ones(2), 100.0 * jnp.ones((1, 2))), 0.1 * jnp.ones(2))


def unknown(p, x):
    y = jax.scipy.special.i0(p * x)  # this line
    return y.sum()


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (unknown, r"bessel_i0e in .*test_jax_jets.py, line \d+: .*# this line.*unsupported=\"jax\""),
        (lambda p, x: x if x[0] > 0 else p, r"test_jax_jets.py, line \d+.*jnp.where"),
        (lambda p, x: jnp.asarray(np.sin(x)), r"test_jax_jets.py, line \d+"),
        (lambda p, x: jax.lax.sort((x, x), num_keys=2)[0], "sort in .*one key"),
        (lambda p, x: x.at[(x[:1] > 0).astype(int)].set(0.0), r"scatter in .*depends on the point"),
        (lambda p, x: jnp.floor(x), "floor in .*does not round"),
        (lambda p, x: x.astype(int), "convert_element_type in .*rounded"),
        (lambda p, x: jnp.linalg.eigh(jnp.outer(x, x))[0], "eigh.*Cholesky"),
        (lambda p, x: jnp.real(jnp.exp(1j * x)), "complex"),
        (lambda p, x: jax.lax.while_loop(lambda h: h[0] < 1.0, lambda h: h + 1.0, x), "while in .*number of turns"),
    ],
)
def test_errors_name_the_primitive_and_the_line(apply, message):
    with pytest.raises(hq.errors.OperationError, match=message):
        hessquik_rs.jax.jet(apply, "value")(jnp.ones(2), points(2))


def test_by_jax_with_one_warning():
    def apply(p, x):
        return jax.scipy.special.i0(x @ p)

    p, x = points(2, 2), points(2)
    jets = hessquik_rs.jax.jet(apply, NAMES, unsupported="jax", partials=[(0, 1)])
    with pytest.warns(hq.errors.SlowerWarning, match="bessel_i0e in"):
        jet = jets(p, x)
    expected = once(reference(apply))(p, x)
    close(tuple(jet)[:4], expected)
    close(jet.partials[:, 0], expected[2][:, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = jax.jit(jax.grad(lambda p: loss(jets(p, x).laplacian)))(p)
        jets(p[:, :1], x)
    close(found, once(jax.grad(lambda p: loss(reference(apply)(p, x)[3])))(p))
    one = hessquik_rs.jax.jet(unknown, "value,laplacian", unsupported="jax")
    with pytest.warns(hq.errors.SlowerWarning):
        assert one(jnp.ones(2), x.reshape(3, 1, 2)).laplacian.shape == (3, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda jet: jet(jnp.sin, unsupported="no"), hq.errors.SettingError, "unsupported"),
        (lambda jet: jet(lambda p, x: x)(0.0, jnp.ones(())), hq.errors.ShapeError, r"\[.., d\]"),
        (lambda jet: jet(lambda p, x: x)(0.0, jnp.ones((3, 2), complex)), hq.errors.DtypeError, "floating"),
        (lambda jet: jet(lambda p, x: x, "jerk")(0.0, jnp.ones(2)), hq.errors.RequestError, "jerk"),
        (lambda jet: jet(lambda p, x: x, "factored")(0.0, jnp.ones(2)), hq.errors.RequestError, "factored"),
        (lambda jet: jet(lambda p, x: jnp.outer(x, x))(0.0, jnp.ones(2)), hq.errors.ShapeError, "one point"),
        (lambda jet: jet(lambda p, x: (x, x))(0.0, jnp.ones(2)), hq.errors.ShapeError, "tuple"),
        (lambda jet: jet(lambda p, x: None)(0.0, jnp.ones(2)), hq.errors.ShapeError, "None"),
        (lambda jet: jet(lambda p, x: x @ p)(jnp.ones((3, 2)), jnp.ones(2)), TypeError, "dot_general"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call(hessquik_rs.jax.jet)
    with pytest.raises(hq.errors.SettingError, match="outside of jit"):
        jax.jit(lambda p: hq.Network.from_jax(lambda p, x: p * x, p, 2) and p)(jnp.ones(2))


def gelu(z):
    return jax.nn.gelu(z, approximate=False)


# at points where the sums of their formulas cancel
DIGITS = {
    "erfc": (jax.scipy.special.erfc, "erfc", [-3.0, -0.1, 0.3, 0.49, 0.51, 1.0, 3.0, 8.5]),
    "log1p": (jnp.log1p, "log1p", [1e-20, 1e-5, -1e-9, -0.3, -0.374, 0.376, 1.0, 1e5, -0.9]),
    "asinh": (jnp.arcsinh, "asinh", [1e-12, -1e-5, 0.3, 0.499, 0.501, -0.6, -50.0, 1e6]),
    "atanh": (jnp.arctanh, "atanh", [1e-12, -1e-5, 0.2, 0.249, 0.251, -0.9]),
    "expm1": (jnp.expm1, "expm1", [1e-12, -1e-12, 0.3, -5.0, 5.0]),
    "ndtr": (jax.scipy.special.ndtr, "ncdf", [-9.5, -1.0, -0.51, -0.49, 1.0, 5.0]),
    "log ndtr": (jax.scipy.special.log_ndtr, lambda mp, z: mp.log(mp.ncdf(z)), [-9.0, -6.0, -5.0, -1.0, 0.5, 2.0]),
    "gelu": (gelu, lambda mp, z: z * mp.ncdf(z), [-9.5, -6.0, -5.0, -1.0, 0.3, 4.0]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DIGITS)
def test_functions_keep_their_digits(name, dtype):
    mpmath = pytest.importorskip("mpmath")
    apply, exact, points = DIGITS[name]
    x = np.array(points, dtype)[:, None]
    jet = hessquik_rs.jax.jet(lambda p, x: apply(p * x), "value,gradient,hessian")(jnp.ones(1, dtype), jnp.asarray(x))
    with mpmath.workdps(50):
        f = getattr(mpmath, exact) if isinstance(exact, str) else lambda z: exact(mpmath, z)
        for order, result in enumerate((jet.value, jet.gradient, jet.hessian)):
            wanted = [float(mpmath.diff(f, mpmath.mpf(float(z)), order)) for z in x[:, 0]]
            tolerance = 500 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(np.asarray(result, "float64").ravel(), wanted, rtol=tolerance, atol=1e-37)
