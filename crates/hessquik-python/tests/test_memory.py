"""Arrays lent for results share memory with nothing that is in use."""

import numpy as np
import pytest

import hessquik_rs as hq


@pytest.fixture
def net():
    return hq.Network(hq.fully_connected([2, 4, 2]), seed=0)


def views(how):
    """Points (6, 2) and an array (6, 2) that share memory."""
    base = np.linspace(-1, 1, 200)
    if how == "the same":
        return base[:12].reshape(6, 2), base[:12].reshape(6, 2)
    if how == "shifted":
        return base[:12].reshape(6, 2), base[11:23].reshape(6, 2)
    if how == "backwards":
        return base[:12].reshape(6, 2), base[:12].reshape(6, 2)[::-1]
    return base[:24].reshape(6, 4)[:, :2], base[:24].reshape(6, 4)[:, 1:3]


@pytest.mark.parametrize("through", ["numpy", "torch"])
@pytest.mark.parametrize("how", ["the same", "shifted", "backwards", "columns"])
def test_out_and_points_share_memory(net, how, through):
    x, out = views(how)
    if through == "torch":  # whose arrays have no common base
        torch = pytest.importorskip("torch")
        if how == "backwards":
            pytest.skip("tensors have no negative strides")
        tensor = torch.from_numpy(x.base if x.base is not None else x)
        flat = tensor.flatten()
        start = (out.ctypes.data - x.ctypes.data) // 8
        strides = [s // 8 for s in out.strides]
        x, out = (
            flat.as_strided((6, 2), [s // 8 for s in x.strides]).numpy(),
            flat.as_strided((6, 2), strides, start).numpy(),
        )
        assert np.shares_memory(x, out)
    before = x.copy()
    with pytest.raises(ValueError, match=r'out\["value"\] shares memory with x'):
        net.evaluate(x, "value", out={"value": out})
    assert (x == before).all()


def test_two_results_in_one_memory(net):
    shared = np.zeros((6, 2))
    with pytest.raises(ValueError, match="shares memory with out"):
        net.evaluate(np.ones((6, 2)), "value,laplacian", out={"value": shared, "laplacian": shared[:]})


@pytest.mark.parametrize("halves", ["rows", "columns", "every other row"])
def test_parts_that_are_apart_are_accepted(net, halves):
    x = np.random.default_rng(0).normal(size=(6, 2))
    base = np.zeros((12, 4))
    points, out = {
        "rows": (base[:6, :2], base[6:, :2]),
        "columns": (base[:6, :2], base[:6, 2:]),
        "every other row": (base[::2, :2], base[1::2, :2]),
    }[halves]
    points[:] = x
    net.evaluate(points, "value", out={"value": out})
    assert np.array_equal(out, net(x)) and np.array_equal(points, x)


@pytest.mark.parametrize(
    "out",
    [
        np.lib.stride_tricks.as_strided(np.zeros(2), (6, 2), (0, 8)),
        np.lib.stride_tricks.as_strided(np.zeros(20), (6, 2), (8, 8)),
        np.lib.stride_tricks.as_strided(np.zeros(40), (6, 2), (16, 32)),
    ],
)
def test_out_with_entries_that_share_memory(net, out):
    with pytest.raises(ValueError, match="has entries that share memory"):
        net.evaluate(np.ones((6, 2)), "value", out={"value": out})


def test_one_point_and_strange_strides_are_accepted(net):
    out = np.lib.stride_tricks.as_strided(np.zeros(2), (1, 2), (0, 8))
    net.evaluate(np.ones((1, 2)), "value", out={"value": out})
    nested = np.lib.stride_tricks.as_strided(np.zeros(40), (2, 2), (24, 16))  # not nested, and apart all the same
    net.evaluate(np.ones((2, 2)), "value", out={"value": nested})
    assert np.array_equal(nested, net(np.ones((2, 2))))
