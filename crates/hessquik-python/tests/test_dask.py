"""`hessquik_rs.dask` on threads, and on a cluster of two worker processes that write to Zarr."""

import numpy as np
import pytest
from common import network, points

import hessquik_rs as hq

da = pytest.importorskip("dask.array")
import dask  # noqa: E402

import hessquik_rs.dask  # noqa: E402

NAMES = ("value", "gradient", "hessian", "laplacian")


def test_lazy_arrays_have_shapes_chunks_and_precision():
    net = network("float32")
    x = da.from_array(points(1000, dtype="float32"), chunks=((300, 1, 699), 3))
    jet = hq.dask.evaluate(net, x, NAMES)
    whole = net.evaluate(points(1000, dtype="float32"), NAMES)
    for name in NAMES:
        lazy, wanted = getattr(jet, name), getattr(whole, name)
        assert lazy.shape == wanted.shape and lazy.dtype == "float32" and lazy.chunks[0] == x.chunks[0]
        assert isinstance(lazy._meta, np.ndarray) and lazy._meta.ndim == wanted.ndim
        np.testing.assert_allclose(lazy.compute(scheduler="threads"), wanted, rtol=1e-5, atol=1e-6)


def test_chunks_are_evaluated_once_for_all_results(monkeypatch):
    calls = []
    evaluate = hq.Network.evaluate
    monkeypatch.setattr(
        hq.Network, "evaluate", lambda net, x, *a, **k: calls.append(len(x)) or evaluate(net, x, *a, **k)
    )
    x = da.from_array(points(1000), chunks=(250, 3))
    jet = hq.dask.evaluate(network(), x, NAMES)
    assert calls == [0]  # nothing but shapes yet
    dask.compute(*vars(jet).values(), scheduler="sync")
    assert calls == [0, 250, 250, 250, 250]


def test_lazy_arrays_compose():
    x = points(1000)
    lazy = da.from_array(x, chunks=(100, 3))
    options = {"directions": [[1.0, 0.0, 0.0]], "partials": [(0, 0)]}
    jet = hq.dask.evaluate(network(), 2.0 * lazy, "value", **options)
    norm = ((jet.partials**2).sum() + (jet.value**2).sum()).compute(scheduler="threads")
    whole = network().evaluate(2.0 * x, "value", **options)
    np.testing.assert_allclose(norm, (whole.partials**2).sum() + (whole.value**2).sum(), rtol=1e-12)


def test_unknown_numbers_of_points():
    x = points(1000)
    lazy = da.from_array(x, chunks=(100, 3))
    some = lazy[lazy[:, 0] > 0]
    found = hq.dask.evaluate(network(), some, "hessian").hessian.compute(scheduler="threads")
    np.testing.assert_allclose(found, network().evaluate(x[x[:, 0] > 0], "hessian").hessian, rtol=1e-12, atol=1e-14)


def test_keys_follow_network_points_and_request():
    x = da.from_array(points(10), chunks=(5, 3))
    keys = {
        hq.dask.evaluate(network(), x, "value").value.name,
        hq.dask.evaluate(network(seed=1), x, "value").value.name,
        hq.dask.evaluate(network(), x + 1, "value").value.name,
        hq.dask.evaluate(network(), x, "value", mode="forward").value.name,
    }
    assert len(keys) == 4
    assert hq.dask.evaluate(network(), x, "value").value.name in keys


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_weights_and_options_are_those_of_the_time_of_asking(scheduler):
    net, x = network(), points(100)
    lazy = da.from_array(x, chunks=(30, 3))
    operator, partials, names = np.eye(3), [(0, 1)], ["value", "hessian"]
    options = {"operator": operator, "partials": partials}
    wanted = net.evaluate(x, ("value", "hessian"), operator=np.eye(3), partials=[(0, 1)])
    first = hq.dask.evaluate(net, lazy, names, **options)
    key = first.value.name
    net.set_weights({"0.K": -net.weights()["0.K"], "2.b": np.ones(2)})
    operator[:] = 7.0
    partials.append((2, 2))
    names[:] = ["laplacian"]
    second = hq.dask.evaluate(net, lazy, ("value", "hessian"), operator=np.eye(3), partials=[(0, 1)])
    net.set_flat_weights(np.zeros(net.n_weights))
    for name, found in zip(vars(first), dask.compute(*vars(first).values(), scheduler=scheduler), strict=True):
        np.testing.assert_allclose(found, getattr(wanted, name), rtol=1e-12, atol=1e-14, err_msg=name)
    assert second.value.name != key
    assert not np.allclose(second.value.compute(scheduler=scheduler), wanted.value)
    # the same key means the same numbers
    again = hq.dask.evaluate(network(), lazy, ("value", "hessian"), operator=np.eye(3), partials=[(0, 1)])
    assert again.value.name == key
    np.testing.assert_array_equal(again.value.compute(scheduler=scheduler), first.value.compute(scheduler=scheduler))


def test_errors_come_before_anything_is_computed():
    x = da.from_array(points(10), chunks=(5, 2))
    with pytest.raises(ValueError, match=r"chunks \(2, 1\) along its columns, expected one of 3: rechunk"):
        hq.dask.evaluate(network(), x)
    with pytest.raises(ValueError, match=r"shape \[10, 2\], expected \[n_s, 3\]"):
        hq.dask.evaluate(network(), x[:, :2])
    whole = x.rechunk({1: -1})
    with pytest.raises(ValueError, match="unknown result"):
        hq.dask.evaluate(network(), whole, "hesian")
    with pytest.raises(ValueError, match="factored"):
        hq.dask.evaluate(network(), whole, "factored")
    with pytest.raises(TypeError, match="float64, expected float32"):
        hq.dask.evaluate(network("float32"), whole)


def test_a_cluster_writes_to_zarr(tmp_path):
    distributed = pytest.importorskip("distributed")
    zarr = pytest.importorskip("zarr")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        net = network()
        x = da.random.default_rng(0).normal(size=(40_000, 3), chunks=(2_000, 3))
        jet = hq.dask.evaluate(net, x, ("laplacian", "hessian"))
        lazy = [array.to_zarr(str(tmp_path / f"{name}.zarr"), compute=False) for name, array in vars(jet).items()]
        client.compute(lazy, sync=True)
        worked = client.run(lambda dask_worker: len(dask_worker.state.log))
        assert len(worked) == 2 and all(count > 0 for count in worked.values())
        inputs = x.compute()
    wanted = net.evaluate(inputs, ("laplacian", "hessian"))
    for name in ("laplacian", "hessian"):
        stored = zarr.open(str(tmp_path / f"{name}.zarr"), mode="r")
        assert stored.shape == getattr(wanted, name).shape and stored.chunks[0] == 2_000
        np.testing.assert_allclose(stored[:], getattr(wanted, name), rtol=1e-11, atol=1e-13)
