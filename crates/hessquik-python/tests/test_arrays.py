"""Arrays of every kind go in, and results come out and are written without a copy."""

import numpy as np
import pytest
from common import DTYPES, network, points, tolerance
from hypothesis import given, settings
from hypothesis import strategies as st

import hessquik_rs as hq


def same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[:] = x
    assert not view.flags.aligned
    return view


def field(x):
    """A view whose strides are no multiple of its entries."""
    record = np.zeros(x.shape, np.dtype([("a", np.uint8), ("x", x.dtype), ("b", np.uint8, 3)]))
    record["x"] = x
    return record["x"]


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "transposed": lambda x: x.T.copy().T,
    "every second": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "read only": read_only,
    "unaligned": unaligned,
    "field of records": field,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "subclass": lambda x: x.view(np.matrix),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", [11, 1000])
def test_strides(dtype, layout, n):
    net, x = network(dtype), points(n, dtype=dtype)
    view = LAYOUTS[layout](x)
    np.testing.assert_array_equal(np.asarray(view), x)
    same(net.evaluate(view), net.evaluate(x))
    cotangents = {"value": np.ones((n, 2), dtype), "hessian": points(n, 18, dtype).reshape(n, 3, 3, 2)}
    strided = {name: LAYOUTS["Fortran"](array) for name, array in cotangents.items()}
    same(net.pullback(view, strided), net.pullback(x, cotangents))
    directions = points(3, dtype=dtype)
    same(
        net.evaluate(x, directions=LAYOUTS[layout](directions)),
        net.evaluate(x, directions=directions),
    )


def test_square_fortran_arrays_are_not_transposed():
    net, x = network(), points(3)
    same(net.evaluate(np.asfortranarray(x)), net.evaluate(x))
    assert not np.allclose(net.evaluate(x.T).value, net.evaluate(x).value)


def test_broadcast_points():
    net, x = network(), points(1)
    wide = np.broadcast_to(x, (500, 3))
    jet = net.evaluate(wide)
    same(
        (a[:1] for a in jet),
        net.evaluate(np.repeat(x, 500, 0)).__class__ and (a[:1] for a in net.evaluate(np.array(wide))),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_that_are_not_arrays(dtype):
    net = network(dtype)
    exact = np.array([[0.5, -1.0, 2.0], [0.0, 3.0, 0.25]], dtype)
    for x in (exact.tolist(), tuple(map(tuple, exact.tolist())), exact.astype("float32"), exact.astype("float16")):
        same(net.evaluate(x), net.evaluate(exact))
    whole = [[1, 2, 3], [0, 1, 0]]
    for x in (whole, np.array(whole), np.array(whole, np.uint8), np.array(whole, np.int64)):
        same(net.evaluate(x), net.evaluate(np.array(whole, dtype)))


class Exporter:
    """Memory of another library: all that is known of it is DLPack."""

    def __init__(self, array):
        self.array, self.exported = array, 0

    def __dlpack__(self, **options):
        self.exported += 1
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack(dtype):
    net, x = network(dtype), points(dtype=dtype)
    exporter = Exporter(x)
    same(net.evaluate(exporter), net.evaluate(x))
    assert exporter.exported == 1
    hessian = net.evaluate(x).hessian
    out = np.from_dlpack(Exporter(hessian))
    assert np.shares_memory(out, hessian) and out.strides == hessian.strides


def test_dlpack_is_not_rounded():
    with pytest.raises(TypeError, match="x has dtype float64, expected float32"):
        network("float32").evaluate(Exporter(points()))


def test_jax_arrays():
    jax = pytest.importorskip("jax")
    net, x = network("float32"), points(dtype="float32")
    same(net.evaluate(jax.numpy.asarray(x)), net.evaluate(x))
    value = jax.numpy.from_dlpack(net.evaluate(x).value)
    np.testing.assert_array_equal(value, net.evaluate(x).value)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    net, x = network(), points()
    same(net.evaluate(torch.from_numpy(x)), net.evaluate(x))
    hessian = net.evaluate(x).hessian
    assert torch.from_dlpack(hessian).data_ptr() == hessian.ctypes.data


def test_results_own_the_engines_memory():
    jet = network().evaluate(points())
    assert all(array.flags.writeable and array.flags.aligned for array in jet)
    # the output axis stands right after the sample axis
    item = jet.hessian.itemsize
    assert jet.hessian.strides == (18 * item, 3 * item, item, 9 * item)
    assert jet.gradient.strides == (6 * item, item, 3 * item)
    assert np.moveaxis(jet.hessian, -1, 1).flags.c_contiguous
    kept = jet.hessian.copy()
    network().evaluate(points(seed=9))
    assert (jet.hessian == kept).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [11, 3000])
@pytest.mark.parametrize("layout", ["engine", "C", "Fortran", "every second"])
def test_results_into_arrays_that_are_lent(dtype, n, layout):
    net, x = network(dtype), points(n, dtype=dtype)
    wanted = net.evaluate(x, "value,gradient,hessian")
    make = {
        "engine": lambda s: np.moveaxis(np.empty((s[0], s[-1], *s[1:-1]), dtype), 1, -1),
        "C": lambda s: np.empty(s, dtype),
        "Fortran": lambda s: np.empty(s, dtype, "F"),
        "every second": lambda s: np.empty([2 * i for i in s], dtype)[tuple(slice(None, None, 2) for _ in s)],
    }[layout]
    out = {name: make(getattr(wanted, name).shape) for name in ("value", "gradient", "hessian")}
    jet = net.evaluate(x, out=out)
    for name in out:
        assert getattr(jet, name) is out[name]
        np.testing.assert_array_equal(out[name], getattr(wanted, name))


def test_results_into_an_earlier_jet():
    net, x = network(), points()
    jet = net.evaluate(points(seed=5), "value,factored")
    core = jet.factored.core
    again = net.evaluate(x, "value,factored", out=jet)
    wanted = net.evaluate(x, "value,factored")
    assert again.factored.core is core
    np.testing.assert_array_equal(core, wanted.factored.core)
    np.testing.assert_array_equal(again.value, wanted.value)


def test_nothing_is_written_if_something_is_wrong():
    net, x = network(), points()
    out = {"value": np.full((11, 2), 7.0), "gradient": np.full((11, 2, 2), 7.0)}
    with pytest.raises(ValueError, match=r"gradient has shape \[11, 2, 2\], expected \[11, 3, 2\]"):
        net.evaluate(x, "value,gradient", out=out)
    assert (out["value"] == 7).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 600),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(-3, 3).filter(bool),
    st.integers(-2, 2).filter(bool),
)
def test_any_slice(n, d, m, rows, cols):
    net = network(d=d, m=m)
    base = points(n * abs(rows), d * abs(cols))
    view = base[::rows, ::cols]
    jet, wanted = net.evaluate(view), net.evaluate(np.ascontiguousarray(view))
    same(jet, wanted)


def test_masked_and_complex_numbers_are_told_apart():
    net = hq.Network(hq.single(2, 1), seed=0)
    with pytest.raises(TypeError, match="complex128"):
        net.evaluate(np.ones((3, 2), complex))
    np.testing.assert_allclose(
        net.evaluate([[True, False]]).value, net.evaluate([[1.0, 0.0]]).value, **tolerance("float64")
    )
