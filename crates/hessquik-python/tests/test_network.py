"""`hessquik_rs.Network`: every result against hessQuik's numbers and against each other, in every mode."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from common import DTYPES, GOLDEN, NAMES, network, points, tolerance
from safetensors.numpy import load_file

import hessquik_rs as hq

MODES = ("auto", "forward", "backward", "sites")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
@pytest.mark.parametrize("mode", MODES)
def test_hessquiks_own_numbers(path, mode):
    golden = load_file(path)
    net = hq.Network.load(path)
    jet = net.evaluate(golden["x"], ("value", "gradient", "hessian", "laplacian"), mode=mode)
    for name in vars(jet):
        np.testing.assert_allclose(getattr(jet, name), golden[name], rtol=1e-11, atol=1e-12, err_msg=name)


def test_there_are_golden_numbers():
    assert len(GOLDEN) >= 18


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", [*MODES, (1, [3]), (0, [1, 2])])
def test_every_result_agrees_with_the_full_hessian(dtype, mode):
    net, x = network(dtype), points(dtype=dtype)
    rng = np.random.default_rng(2)
    v, u = rng.normal(size=(4, 3)).astype(dtype), rng.normal(size=(2, 3)).astype(dtype)
    b, w = rng.normal(size=(4, 4)).astype(dtype), rng.normal(size=(5, 3)).astype(dtype)
    full = net.evaluate(x, ("value", "gradient", "hessian"))
    hessian = full.hessian @ u
    along = np.einsum("ka,sabq,lb->sklq", v, hessian, v)
    wanted = {
        "value": full.value @ u,
        "gradient": np.einsum("ka,saq->skq", v, full.gradient @ u),
        "hessian": along,
        "packed": np.stack([along[:, i, j] for i, j in itertools.combinations_with_replacement(range(4), 2)], axis=1),
        "diagonal": np.einsum("skkq->skq", along),
        "laplacian": np.einsum("skkq->sq", along),
        "operator": np.einsum("kl,sklq->sq", b, along),
        "products": np.einsum("ka,sabq,wb->skwq", v, hessian, w),
        "block": along[:, [2, 0]][:, :, [1]],
        "partials": np.stack([along[:, 0, 3], along[:, 2, 2]], axis=1),
    }
    more = {"operator": b, "products": w, "block": ([2, 0], [1]), "partials": [(0, 3), (2, 2)]}
    options = {"directions": v, "outputs": u, "mode": mode}
    jets = [net.evaluate(x, NAMES, **options, **more)]
    # each alone, since results that come together share their work
    jets += [net.evaluate(x, name, **options) for name in NAMES]
    jets += [net.evaluate(x, (), **options, **{name: more[name]}) for name in more]
    jets += [net.evaluate(x, ("factored", "hessian"), **options)]
    found = [(name, array) for jet in jets for name, array in vars(jet).items() if name != "factored"]
    found.append(("hessian", jets[-1].factored.to_dense()))
    assert {name for name, _ in found} == set(wanted)
    for name, array in found:
        assert array.dtype == dtype
        np.testing.assert_allclose(array, wanted[name], err_msg=name, **tolerance(dtype))


def test_factored_hessians_give_what_the_dense_one_gives():
    net, x = network(), points()
    jet = net.evaluate(x, ("hessian", "factored", "diagonal", "laplacian"))
    w = np.random.default_rng(0).normal(size=(4, 3))
    near = tolerance("float64")
    np.testing.assert_allclose(jet.factored.to_dense(), jet.hessian, **near)
    np.testing.assert_allclose(jet.factored.diagonal(), jet.diagonal, **near)
    np.testing.assert_allclose(jet.factored.laplacian(), jet.laplacian, **near)
    np.testing.assert_allclose(jet.factored.block([2, 0], [1]), jet.hessian[:, [2, 0]][:, :, [1]], **near)
    np.testing.assert_allclose(jet.factored.products(w), np.einsum("sabq,wb->sawq", jet.hessian, w), **near)


@pytest.mark.parametrize("dtype", DTYPES)
def test_precisions_agree_and_results_are_of_that_of_the_network(dtype):
    double = network()
    net = double.astype(dtype)
    found, wanted = net.evaluate(points(dtype=dtype)), double.evaluate(points(dtype=dtype).astype("float64"))
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == net.dtype == dtype
        np.testing.assert_allclose(a, b, **tolerance(dtype))


@pytest.mark.parametrize("n", [0, 1, 5, 252, 1000, 100_000])
def test_numbers_of_points(n):
    net, x = network(), points(n)
    jet = net.evaluate(x)
    assert [a.shape for a in jet] == [(n, 2), (n, 3, 2), (n, 3, 3, 2)]
    if n > 0:
        last = net.evaluate(x[-1:])
        np.testing.assert_allclose(jet.hessian[-1:], last.hessian, **tolerance("float64"))


def test_results_do_not_depend_on_threads():
    net, x = network(), points(20_000)
    before = hq.num_threads()
    try:
        jets, gradients = [], []
        for count in (1, 2, 5):
            hq.set_num_threads(count)
            assert hq.num_threads() == count
            jets.append(net.evaluate(x))
            gradients.append(net.pullback(x, {"hessian": jets[0].hessian}))
        for jet, gradient in zip(jets[1:], gradients[1:], strict=True):
            assert all((a == b).all() for a, b in zip(jet, jets[0], strict=True))
            assert all((a == b).all() for a, b in zip(gradient, gradients[0], strict=True))
    finally:
        hq.set_num_threads(before)


def test_streams_give_the_same_bits():
    net, x = network(), points(50_000)
    whole = net.evaluate(x, "value,hessian")
    for chunk in (None, 10 * net.explain(1, "value,hessian").tile):
        end = 0
        for where, jet in net.stream(x, "value,hessian", chunk=chunk):
            assert where.start == end and where.stop > end
            end = where.stop
            assert (jet.value == whole.value[where]).all() and (jet.hessian == whole.hessian[where]).all()
        assert end == len(x)
    assert len(list(net.stream(x, "value", chunk=20_000))) == 3


def test_streams_read_what_is_not_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", points(1000))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    parts = [jet.laplacian for _, jet in network().stream(x, "laplacian", chunk=300)]
    np.testing.assert_allclose(np.concatenate(parts), network().evaluate(x, "laplacian").laplacian, rtol=1e-11)


def test_jets_say_what_they_have():
    jet = network().evaluate(points(), ("hessian", "value"))
    hessian, value = jet
    assert hessian is jet.hessian and value is jet.value and len(jet) == 2
    assert repr(jet) == "Jet(hessian (11, 3, 3, 2), value (11, 2))"
    with pytest.raises(AttributeError, match="gradient was not requested; this jet has hessian, value"):
        _ = jet.gradient
    with pytest.raises(AttributeError, match="no attribute 'hesian'"):
        _ = jet.hesian
    again = pickle.loads(pickle.dumps(jet))
    assert (again.hessian == jet.hessian).all()


def test_explanations_list_the_alternatives():
    explanation = network().explain(100, "hessian,laplacian", mode=(0, [2]))
    assert explanation.points == 100 and explanation.directions == (3, 2) and len(explanation.layers) == 4
    chosen, *others = explanation.results["hessian"]
    assert chosen.plan == hq.Plan(0, (2,)) and {c.name for c in others} == set(MODES)
    assert all(c.flops > 0 and c.seconds > 0 for c in others)
    assert "pivots at [2]" in str(explanation)
    gradient = network().explain(100, "gradient")
    assert list(gradient.results) == ["gradient"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_checks_pass_and_print_hessquiks_tables(dtype):
    checks = network(dtype).check(points(4))
    assert checks.passed and bool(checks) and len(checks.checks) == 7
    text = str(checks)
    assert "E2" in text and "Hessian PASSED!" in text and text.endswith("all 7 checks passed")
    assert checks.checks[0].numbers["hessian"] is True


def test_failed_checks_are_false():
    checks = hq.Checks((hq.Check("good", True, "", {}), hq.Check("bad", False, "", {})))
    assert not checks and str(checks).endswith("FAILED: bad")


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_have_weights_of_their_own(dtype, tmp_path):
    net = network(dtype)
    net.save(tmp_path / "net.safetensors")
    makers = [
        copy.copy,
        copy.deepcopy,
        hq.Network.copy,
        lambda n: n.astype(dtype),
        lambda n: pickle.loads(pickle.dumps(n)),
        lambda n: hq.Network.load(tmp_path / "net.safetensors"),
    ]
    before = net.flat_weights()
    for make in makers:
        other = make(net)
        assert other.dtype == dtype and other.architecture == net.architecture
        assert (other.flat_weights() == before).all()
        other.set_flat_weights(np.ones(net.n_weights, dtype))
        assert (net.flat_weights() == before).all() and (other.flat_weights() == 1).all()


def test_pickles_keep_weights_that_files_refuse():
    net = network()
    net.set_flat_weights(np.full(net.n_weights, np.nan))
    assert np.isnan(pickle.loads(pickle.dumps(net)).flat_weights()).all()


def test_weights_by_name():
    net = network()
    weights = net.weights()
    assert (
        list(weights)
        == net.weight_names()
        == ["0.K", "0.b", *(f"1.{i}.layer.{w}" for i in "01" for w in "Kb"), "2.K", "2.b"]
    )
    flat = np.concatenate([w.ravel() for w in weights.values()])
    assert (flat == net.flat_weights()).all() and net.n_weights == flat.size
    x, before = points(), net.evaluate(points())
    net.set_weights({"2.b": weights["2.b"] + 1, "0.K": -weights["0.K"]})
    assert (net.weights()["0.K"] == -weights["0.K"]).all() and (net.weights()["0.b"] == weights["0.b"]).all()
    # evaluations see the new weights at once
    assert not np.allclose(net.evaluate(x).value, before.value)
    net.set_weights(weights)
    assert (net.evaluate(x).value == before.value).all()
    weights["0.K"][:] = 0  # a copy
    assert (net.evaluate(x).value == before.value).all()


def test_seeds():
    assert (network(seed=3).flat_weights() == network(seed=3).flat_weights()).all()
    layer = hq.single(2, 3)
    assert (hq.Network(layer).flat_weights() != hq.Network(layer).flat_weights()).any()


def test_every_layer_can_be_built_and_is_right():
    layers = {
        "single": hq.single(3, 4, "gelu", bias=False),
        "resnet": hq.resnet(3, 2, "silu", h=0.1),
        "icnn": [hq.icnn(3, [4, 2]), hq.quadratic_icnn(3, 2, 2)],
        "quadratic": hq.quadratic(3, 2),
        "log_sum_exp": [hq.softmax(3), hq.log_sum_exp(3)],
        "fully_connected": hq.fully_connected([3, 4, 5, 2], "gaussian", last="anti_tanh"),
    }
    for name, description in layers.items():
        net = hq.Network(description, seed=0)
        assert net.check(seed=1), name
        assert net(points()).shape == (11, net.dim_output)


def _erf(z: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(z)


def _below(z: np.ndarray, negative: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, negative)


ACTIVATIONS = {
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "reciprocal": lambda z: 1 / z,
    "square": np.square,
    "erf": _erf,
    "atan": np.arctan,
    "elu": lambda z: _below(z, np.expm1(z)),
    "celu": lambda z: _below(z, np.expm1(z)),
    "selu": lambda z: 1.0507009873554805 * _below(z, 1.6732632423543772 * np.expm1(z)),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "squareplus": lambda z: (z + np.sqrt(z**2 + 4)) / 2,
    "tanh_gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: _below(z, 0.01 * z),
}
SETTINGS = [
    (hq.power(2.5), lambda z: z**2.5),
    (hq.elu(0.5), lambda z: _below(z, 0.5 * np.expm1(z))),
    (hq.celu(0.5), lambda z: _below(z, 0.5 * np.expm1(z / 0.5))),
    (hq.squareplus(1.0), lambda z: (z + np.sqrt(z**2 + 1)) / 2),
    (hq.leaky_relu(0.2), lambda z: _below(z, 0.2 * z)),
    (hq.scaled("tanh", 1.7159, 0.5), lambda z: 1.7159 * np.tanh(0.5 * z)),
    (hq.scaled(hq.softplus(2.0), b=3.0), lambda z: np.log1p(np.exp(6 * z)) / 2),
]


@pytest.mark.parametrize(
    ("act", "formula"), [*ACTIVATIONS.items(), *SETTINGS], ids=range(len(ACTIVATIONS) + len(SETTINGS))
)
def test_activations_against_their_formulas(act, formula):
    net = hq.Network([hq.single(1, 1, act, bias=False)], seed=0)
    net.set_weights({"0.K": np.ones((1, 1))})
    z = np.concatenate([np.linspace(0.2, 3, 15), -np.linspace(0.2, 3, 15)])
    z = z[:15] if act in ("log", "sqrt") or act == hq.power(2.5) else z
    value, gradient, hessian = net.evaluate(z[:, None])
    np.testing.assert_allclose(value[:, 0], formula(z), rtol=1e-13)
    h = 1e-4
    np.testing.assert_allclose(gradient[:, 0, 0], (formula(z + h) - formula(z - h)) / (2 * h), rtol=1e-5, atol=1e-6)
    second = (formula(z + h) - 2 * formula(z) + formula(z - h)) / h**2
    np.testing.assert_allclose(hessian[:, 0, 0, 0], second, rtol=1e-4, atol=1e-5)


def test_roots_and_logarithms_of_negative_numbers_are_nan():
    for act in ("log", "sqrt", hq.power(0.5)):
        net = hq.Network([hq.single(1, 1, act, bias=False)], seed=0)
        net.set_weights({"0.K": np.ones((1, 1))})
        assert all(np.isnan(result).all() for result in net.evaluate(np.array([[-1.0]])))


def test_streams_have_the_weights_of_the_time_of_asking():
    net, x = network(), points(1000)
    wanted = net(x)
    chunks = net.stream(x, "value", chunk=100)
    net.set_flat_weights(np.zeros(net.n_weights))
    for at, jet in chunks:
        net.set_flat_weights(np.full(net.n_weights, float(at.start)))
        np.testing.assert_allclose(jet.value, wanted[at], rtol=1e-12, atol=1e-14)


LENT = [("operator", "operator"), ("products", "products"), ("directions", "laplacian"), ("outputs", "value")]


@pytest.mark.parametrize(("name", "of"), LENT)
def test_streams_have_the_options_of_the_time_of_asking(name, of):
    net, x = network(), points(10)
    given = np.random.default_rng(2).normal(size=(net.dim_output if name == "outputs" else 3, 3))
    request = None if name == of else of
    wanted = net.evaluate(x, request, **{name: given.copy()})
    chunks = net.stream(x, request, chunk=3, **{name: given})
    given[...] = 7.0
    for at, jet in chunks:
        given += 1.0
        np.testing.assert_allclose(getattr(jet, of), getattr(wanted, of)[at], rtol=1e-12, atol=1e-14)


def test_masks_are_no_indices():
    net, x = network(), points(4)
    for options in ({"block": ([True, False, True], [0])}, {"partials": [(True, False)]}):
        with pytest.raises(hq.errors.RequestError, match="without True and False"):
            net.evaluate(x, **options)


def test_names_of_activations_as_others_write_them():
    for name, ours in (("Tanh", "tanh"), ("antiTanh", "anti_tanh"), ("GELU", "gelu"), ("LeakyReLU", "leaky_relu")):
        assert hq.single(2, 4, name)["act"] == {"type": ours}
    with pytest.raises(hq.errors.HessquikError, match="tahn"):
        hq.Network([hq.single(2, 4, "tahn")])
    with pytest.raises(hq.errors.DtypeError, match="float23"):
        hq.Network([hq.single(2, 4)], dtype="float23")


def test_streams_check_at_once():
    with pytest.raises(ValueError, match="chunk is 0, expected at least 1"):
        network().stream(points(), chunk=0)
