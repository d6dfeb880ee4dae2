"""Arrays that results are written into: apart from the points and each other, or refused; handed out as asked for."""

import threading

import numpy as np
import pytest
from common import DTYPES, network, points
from numpy.lib.stride_tricks import as_strided

import hessquik_rs as hq

NAMES = ("value", "gradient", "hessian")


def square(dtype="float64"):
    """As many outputs as inputs, so that values have the shape of the points."""
    return network(dtype, d=3, m=3)


def shared(x):
    """Points and an array for values that share memory, in the ways in which that comes about."""
    n = len(x)
    whole = np.zeros((2 * n, 3), x.dtype)
    whole[:n] = x
    twice = np.zeros((n, 6), x.dtype)
    return {
        "the same array": (whole[:n], whole[:n]),
        "another view": (whole[:n], whole[:n].view()),
        "rows apart": (whole[:n], whole[n // 2 : n // 2 + n]),
        "one row": (whole[:n], whole[n - 1 : 2 * n - 1]),
        "backwards": (whole[:n], whole[:n][::-1]),
        "columns": (twice[:, :3], twice[:, 1:4]),
        "another object": (whole[:n], np.frombuffer(memoryview(whole).cast("B"), x.dtype).reshape(-1, 3)[:n]),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [4, 3000])
@pytest.mark.parametrize("way", shared(np.zeros((4, 3))))
def test_results_may_not_overwrite_the_points(dtype, n, way):
    x, out = shared(points(n, dtype=dtype))[way]
    before = x.copy()
    with pytest.raises(hq.errors.ArrayError, match=r'out\["value"\] shares memory with x, expected arrays apart'):
        square(dtype).evaluate(x, "value", out={"value": out})
    np.testing.assert_array_equal(x, before)


def test_results_may_not_overwrite_points_of_another_library():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(points(20))
    for out in (tensor[5:15], tensor[:10], tensor.clone()[:10].set_(tensor.untyped_storage(), 3, (10, 3), (3, 1))):
        with pytest.raises(hq.errors.ArrayError, match="shares memory with x"):
            square().evaluate(tensor[:10], "value", out={"value": out.numpy()})


def test_results_may_not_overwrite_each_other():
    memory, net = np.zeros((11, 6)), network(m=2)
    with pytest.raises(hq.errors.ArrayError, match=r'out\["laplacian"\] shares memory with out\["value"\]'):
        net.evaluate(points(), "value,laplacian", out={"value": memory[:, :2], "laplacian": memory[:, 1:3]})
    jet = net.evaluate(points(), "value,laplacian", out={"value": memory[:, :2], "laplacian": memory[:, 2:4]})
    np.testing.assert_array_equal(memory[:, 2:4], net.evaluate(points(), "laplacian").laplacian)
    assert jet.value.base is memory


@pytest.mark.parametrize("n", [4, 3000])
def test_entries_that_share_memory_are_refused(n):
    memory = np.zeros((n + 2) * 3)
    for strides in ((0, 8), (24, 0), (8, 8), (0, 0), (16, 8)):
        out = as_strided(memory, (n, 3), strides)
        with pytest.raises(hq.errors.ArrayError, match=r'out\["value"\] has entries that share memory'):
            square().evaluate(points(n), "value", out={"value": out})
    # entries between each other's, all at places of their own
    out = as_strided(np.zeros(100), (2, 3), (16, 24))
    np.testing.assert_array_equal(square().evaluate(points(2), "value", out={"value": out}).value, square()(points(2)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [4, 3000])
def test_disjoint_parts_of_one_array_are_accepted(dtype, n):
    x = points(n, dtype=dtype)
    wanted = square(dtype)(x)
    parts = {
        "halves": lambda a: (a[:n, :3], a[n:, :3]),
        "columns": lambda a: (a[:n, :3], a[:n, 3:]),
        "every second row": lambda a: (a[::2, :3], a[1::2, :3]),
        "every second column": lambda a: (a[:n, ::2], a[:n, 1::2]),
        "backwards": lambda a: (a[:n, :3], a[:n, 5:2:-1]),
    }
    for name, part in parts.items():
        given, out = part(np.zeros((2 * n, 6), dtype))
        given[:] = x
        found = square(dtype).evaluate(given, "value", out={"value": out})
        assert found.value is out
        np.testing.assert_array_equal(out, wanted, err_msg=name)
        np.testing.assert_array_equal(given, x, err_msg=name)


def test_lists_and_converted_points_share_nothing():
    x = np.arange(12.0).reshape(4, 3)
    whole = x.astype(np.int32)
    net = square("float32")
    np.testing.assert_array_equal(net.evaluate(whole, "value", out={"value": whole.view("f4")}).value, net(x.tolist()))


def test_threads_may_not_write_into_one_array():
    """They may write into parts of it; a call that finds its memory in use says so, and nothing is mixed."""
    net, x = square(), points(60_000)
    memory = np.zeros((2 * len(x), 3))
    wanted, failures = net(x), []

    def write(part):
        for _ in range(5):
            try:
                net.evaluate(x, "value", out={"value": part})
                np.testing.assert_array_equal(part, wanted)
            except hq.errors.ArrayError as error:
                failures.append(str(error))
            except AssertionError as error:
                failures.append(error)

    def together(*parts):
        failures.clear()
        threads = [threading.Thread(target=write, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return list(failures)

    assert together(memory[: len(x)], memory[len(x) :]) == []
    assert together(memory[::2], memory[1::2]) == []
    found = together(memory[: len(x)], memory[: len(x)], memory[: len(x)])
    assert found and all("another thread evaluates with the same memory" in str(failure) for failure in found)


@pytest.mark.parametrize("n", [4, 3000])
def test_results_come_in_the_order_of_the_request(n):
    net, x = network(), points(n)
    wanted = net.evaluate(x, NAMES)
    arrays = {name: np.empty_like(getattr(wanted, name)) for name in NAMES}
    backwards = dict(reversed(arrays.items()))
    value, gradient, hessian = net.evaluate(x, NAMES, out=backwards)
    assert value is arrays["value"] and gradient is arrays["gradient"] and hessian is arrays["hessian"]
    # without a request, value, gradient and Hessian
    assert list(vars(net.evaluate(x, out=backwards))) == list(NAMES)
    # a jet of an earlier call that was asked for in another order
    earlier = net.evaluate(x, ("laplacian", "factored", "value"))
    value, laplacian, factored = net.evaluate(2 * x, ("value", "laplacian", "factored"), out=earlier)
    fresh = net.evaluate(2 * x, ("value", "laplacian", "factored"))
    np.testing.assert_array_equal(value, fresh.value)
    np.testing.assert_array_equal(laplacian, fresh.laplacian)
    np.testing.assert_array_equal(factored.core, fresh.factored.core)
    # what options ask for comes where `Network.evaluate` puts it without out
    names = vars(net.evaluate(x, "value", partials=[(0, 1)]))
    lent = {name: np.empty_like(array) for name, array in reversed(names.items())}
    assert list(vars(net.evaluate(x, "value", partials=[(0, 1)], out=lent))) == list(names)


def test_masked_arrays_are_not_written_beneath_their_mask():
    out = np.ma.masked_array(np.zeros((11, 3)), mask=np.eye(11, 3))
    with pytest.raises(hq.errors.ArrayError, match=r'out\["value"\] has 3 masked entries'):
        square().evaluate(points(), "value", out={"value": out})
