"""Numbers of every kind: taken as they are or refused; never rounded, masked, or read from freed memory."""

import array
from fractions import Fraction

import numpy as np
import pytest
from common import DTYPES, network, points

import hessquik_rs as hq
from hessquik_rs import errors

EXACT = {"float32": 2**24, "float64": 2**53}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["int64", "uint64", "int32", "uint32"])
def test_whole_numbers_are_not_rounded(dtype, kind):
    net, most = network(dtype), EXACT[dtype]
    if most < np.iinfo(kind).max:
        x = np.array([[most, 0, 1], [2 * most, 4 * most, 3]], object)
        x = np.minimum(x, np.iinfo(kind).max // 2 + 1).astype(kind)  # all have an even number or are small
        np.testing.assert_array_equal(net(x), net(x.astype(dtype)))
        x[0, 1] = most + 1
        message = f"x has dtype {kind} and the number {most + 1}, which {dtype} would round to {most}"
        for given in (x, x[:, ::-1], np.asfortranarray(x)):
            with pytest.raises(errors.DtypeError, match=message):
                net(given)
    largest = np.array([[np.iinfo(kind).max, 0, 0]], kind)
    if np.iinfo(kind).max > most:
        with pytest.raises(errors.DtypeError, match="would round"):
            net(largest)
    if np.iinfo(kind).min < 0:
        smallest = np.array([[np.iinfo(kind).min, 0, 0]], kind)  # a power of two
        np.testing.assert_array_equal(net(smallest), net(smallest.astype(dtype)))


def test_whole_numbers_are_not_rounded_anywhere():
    net, large = network("float32"), 2**24 + 1
    x = points(2, dtype="float32")
    for call in (
        lambda: net.evaluate([[large, 0, 0]]),
        lambda: net.set_flat_weights(np.full(net.n_weights, large)),
        lambda: net.set_weights({"0.b": np.full(7, large)}),
        lambda: net.evaluate(x, directions=np.array([[large, 0, 0]])),
        lambda: net.evaluate(x, (), operator=np.full((3, 3), large)),
        lambda: net.pullback(x, {"value": np.full((2, 2), large)}),
    ):
        with pytest.raises(errors.DtypeError, match=str(large)):
            call()


def test_numbers_of_python_may_be_rounded_but_not_become_infinite():
    net = network("float32")
    np.testing.assert_array_equal(net([[0.1, 0.2, 0.3]]), net(np.array([[0.1, 0.2, 0.3]], "f4")))
    assert np.isnan(net([[np.inf, np.inf, np.nan]])).all()
    with pytest.raises(errors.ArrayError, match=r"x has 1e\+300, which is too large for float32"):
        net([[1e300, 0.0, 0.0]])


def test_arrays_in_lists_and_buffers_keep_their_precision():
    net, x = network("float32"), points()
    for given in (list(x), tuple(x), [row.tolist() if i else row for i, row in enumerate(x)]):
        with pytest.raises(errors.DtypeError, match="float64, expected float32"):
            net(given)
    with pytest.raises(errors.DtypeError, match="float64, expected float32"):
        net(memoryview(x))
    with pytest.raises(errors.ShapeError, match="2 axes"):
        network()(array.array("d", [1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(network()(list(x)), network()(x))
    np.testing.assert_array_equal(network()(memoryview(x)), network()(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_entries_are_refused(dtype):
    net, x = network(dtype), points(dtype=dtype)
    mask = np.zeros(x.shape, bool)
    whole = np.ma.masked_array(x, mask)
    np.testing.assert_array_equal(net(whole), net(x))
    mask[3, 1] = mask[4] = True
    masked = np.ma.masked_array(x, mask)
    for given in (masked, masked.astype("f2"), masked[:, ::-1], [masked[3]], [masked[0], masked[4]], list(masked)):
        with pytest.raises(errors.ArrayError, match="masked entries, expected numbers"):
            net(given)
    with pytest.raises(errors.ArrayError, match="the cotangent of value has 22 masked entries"):
        net.pullback(x, {"value": np.ma.masked_all((11, 2), dtype)})
    with pytest.raises(errors.ArrayError, match="directions has 1 masked"):
        net.evaluate(x, directions=np.ma.masked_equal(np.array([[1, 0, 2]], dtype), 2))
    with pytest.raises(errors.ArrayError, match=r"weight 0\.b has 7 masked"):
        net.set_weights({"0.b": np.ma.masked_all(7, dtype)})
    np.testing.assert_array_equal(net(masked.filled(0.5)), net(np.where(mask, np.array(0.5, dtype), x)))


def test_tensors_are_read_as_what_they_stand_for():
    torch = pytest.importorskip("torch")
    net, x = network(), points(6)
    complex_tensor = torch.complex(torch.from_numpy(x), torch.from_numpy(-x))
    negative = complex_tensor.conj().imag  # its memory has the other sign
    assert negative.is_neg()
    np.testing.assert_array_equal(net(negative), net(x))
    freed = torch.from_numpy(x).clone()
    freed.untyped_storage().resize_(0)
    with pytest.raises(errors.ArrayError, match=r"x needs 144 bytes of memory, but its storage has 0"):
        net(freed)
    short = torch.from_numpy(x).clone()
    short.untyped_storage().resize_(80)
    with pytest.raises(errors.ArrayError, match="its storage has 80"):
        net.evaluate(short, "hessian")
    with pytest.raises(Exception, match="grad"):
        net(torch.from_numpy(x).requires_grad_())


def test_arrays_of_jax_that_were_freed():
    jax = pytest.importorskip("jax")
    x = jax.numpy.ones((4, 3), "float32")
    x.delete()
    with pytest.raises((RuntimeError, ValueError), match="deleted"):
        network("float32")(x)


def test_numbers_of_numpy_for_sizes_and_settings():
    i, f = np.int64, np.float32
    layers = [
        hq.single(i(3), np.uint8(4), "tanh", bias=np.bool_(True)),
        hq.resnet(i(4), i(2), hq.softplus(f(0.5), i(20)), h=f(0.25)),
        hq.icnn(i(4), np.array([5, 2])),
        hq.quadratic_icnn(i(4), i(2), i(3)),
    ]
    plain = [
        hq.single(3, 4, "tanh"),
        hq.resnet(4, 2, hq.softplus(0.5, 20.0), h=0.25),
        hq.icnn(4, [5, 2]),
        hq.quadratic_icnn(4, 2, 3),
    ]
    net = hq.Network(layers, seed=i(7))
    assert net.architecture == hq.Network(plain).architecture
    np.testing.assert_array_equal(net.flat_weights(), hq.Network(plain, seed=7).flat_weights())
    assert hq.Network(hq.fully_connected(np.array([2, 3, 1]))).dim_input == 2
    raw = {"type": "single", "in_features": i(2), "out_features": np.array(3)}
    assert hq.Network(raw).dim_output == 3
    assert [hq.Network(d(i(3))).dim_input for d in (hq.softmax, hq.log_sum_exp)] == [3, 3]
    assert hq.Network(hq.quadratic(i(3), i(2))).dim_input == 3
    x = points()
    for given, wanted in (
        ({"partials": np.array([[0, 1], [2, 2]])}, {"partials": [(0, 1), (2, 2)]}),
        ({"partials": [[0, 1], np.array([2, 2])]}, {"partials": [(0, 1), (2, 2)]}),
        ({"partials": [(i(0), i(1))]}, {"partials": [(0, 1)]}),
        ({"block": (np.array([2, 0]), range(1, 2))}, {"block": ([2, 0], [1])}),
        ({"block": np.array([[2, 0], [1, 1]])}, {"block": ([2, 0], [1, 1])}),
        ({"mode": (i(1), np.array([2])), "partials": [(0, 1)]}, {"mode": (1, [2]), "partials": [(0, 1)]}),
    ):
        for a, b in zip(network().evaluate(x, (), **given), network().evaluate(x, (), **wanted), strict=True):
            np.testing.assert_array_equal(a, b)


SETTINGS = {
    "a fraction": (lambda: hq.single(2.5, 1), errors.SettingError, "in_features is 2.5, expected a whole number"),
    "no number": (lambda: hq.single("2", 1), errors.SettingError, "in_features is '2', expected a whole number"),
    "negative": (lambda: hq.single(2, -1), errors.SettingError, "out_features is -1, expected at least 1"),
    "depth": (lambda: hq.resnet(2, -1), errors.SettingError, "depth is -1"),
    "step": (lambda: hq.resnet(2, h=np.inf), errors.SettingError, "h is inf, expected a finite number"),
    "beta": (lambda: hq.softplus(float("nan")), errors.SettingError, "beta is nan, expected a finite number"),
    "threshold": (lambda: hq.softplus(1.0, np.inf), errors.SettingError, "threshold is inf"),
    "raw": (
        lambda: hq.Network({"type": "resnet", "width": 2, "h": float("inf")}),
        errors.SettingError,
        "a number that is not finite",
    ),
    "seed": (lambda: network(seed=-1), errors.SettingError, r"the seed is -1, expected .* less than 2\*\*64"),
    "large seed": (lambda: network(seed=2**64), errors.SettingError, "the seed is 18446744073709551616"),
    "seed of a check": (lambda: network().check(seed=-1), errors.SettingError, "the seed is -1"),
    "seed of another type": (lambda: network(seed="a"), errors.SettingError, "the seed is 'a'"),
    "activation": (lambda: hq.single(2, 1, np.tanh), errors.ArchitectureError, "activation is a numpy.ufunc"),
    "mask": (
        lambda: network().evaluate(points(), (), block=(np.array([True, False, True]), [0])),
        errors.RequestError,
        "block is",
    ),
    "floats": (
        lambda: network().evaluate(points(), (), partials=np.array([[0.0, 1.0]])),
        errors.RequestError,
        "partials is .*expected a list of pairs",
    ),
    "fractions": (lambda: hq.resnet(2, h=Fraction), errors.SettingError, "expected a number"),
    "a path": (lambda: hq.Network("net.safetensors"), errors.ArchitectureError, "hq.Network.load reads model files"),
    "a network": (lambda: hq.Network(network()), errors.ArchitectureError, "its attribute architecture"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_make_no_sense_are_named(case):
    call, kind, message = SETTINGS[case]
    with pytest.raises(kind, match=message):
        call()


def test_modules_of_pytorch_are_told_what_to_do():
    nn = pytest.importorskip("torch.nn")
    for given in (
        nn.Sequential(nn.Linear(2, 16), nn.Tanh()),
        nn.Linear(2, 16),
        [nn.Linear(2, 16), nn.Tanh()],
        nn.ModuleList([nn.Linear(2, 16)]),
    ):
        with pytest.raises(errors.ArchitectureError, match=r"torch\.nn\.modules.*expected .*hq\.single\(2, 16.*\.T"):
            hq.Network(given)


@pytest.mark.parametrize("setting", [{"beta": 1e300}, {"beta": 1e-300}, {"threshold": 1e39}])
def test_settings_beyond_single_precision(setting, tmp_path):
    layer = hq.single(2, 3, hq.softplus(**setting))
    with pytest.raises(
        errors.SettingError,
        match=r"softplus.* of layer 0\.1.* is 1e-?[0-9]+, expected .*(float32 can hold|numbers of f32)",
    ):
        hq.Network([{"type": "network", "layers": [hq.single(2, 2), layer]}], dtype="float32")
    net = hq.Network(layer, seed=0)  # double precision can
    with pytest.raises(errors.SettingError, match="float32 can hold|numbers of f32"):
        net.astype("float32")
    net.save(tmp_path / "net.safetensors")
    with pytest.raises((errors.SettingError, errors.ModelFileError), match="float32 can hold|numbers of f32"):
        hq.Network.load(tmp_path / "net.safetensors", dtype="float32")
    with pytest.raises(errors.SettingError, match="step h is 1e300"):
        hq.Network(hq.resnet(2, h=1e300), dtype="float32")
    assert hq.Network(hq.resnet(2, h=0.0), dtype="float32").dim_input == 2


HINTS = {
    "hessian": lambda: network().evaluate(points(), "hesian"),
    "gradient": lambda: network().evaluate(points(), ("value", "grad")),
    "laplacian": lambda: network().evaluate(points(), "Laplacian"),
    "value": lambda: network().pullback(points(), {"values": points()}),
    "backward": lambda: network().evaluate(points(), mode="reverse"),
    "forward": lambda: network().evaluate(points(), mode="foward"),
    "directions": lambda: network().evaluate(points(), direction=[[1.0, 0.0, 0.0]]),
    "tanh": lambda: hq.Network(hq.single(2, 3, "tahn")),
    "silu": lambda: hq.Network(hq.single(2, 3, "swish")),
    "anti_tanh": lambda: hq.Network(hq.single(2, 3, "antitan")),
    "resnet": lambda: hq.Network({"type": "resnest", "width": 2}),
    "out_features": lambda: hq.Network({"type": "single", "in_features": 2, "outfeatures": 2}),
    "0.K": lambda: network().set_weights({"0.k": points()}),
}


@pytest.mark.parametrize("meant", HINTS)
def test_errors_say_what_was_probably_meant(meant):
    with pytest.raises((ValueError, TypeError), match=f'did you mean "?{meant}'):
        HINTS[meant]()


def test_errors_do_not_guess_at_random():
    with pytest.raises(ValueError, match="unknown result") as caught:
        network().evaluate(points(), "price")
    assert "did you mean" not in str(caught.value)
