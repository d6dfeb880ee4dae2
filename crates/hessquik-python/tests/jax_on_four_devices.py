"""`hessquik_rs.jax` on four devices, which `test_jax_devices.py` runs in a process that has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import hessquik_rs as hq
import hessquik_rs.jax

jax.config.update("jax_enable_x64", True)

NAMES = ("value", "gradient", "hessian", "laplacian")
NET = hq.Network(hq.fully_connected([3, 8, 8, 2], last="identity"), seed=0)
WEIGHTS = hq.jax.weights(NET)
X = jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)))
F = hq.jax.jet(NET, NAMES)
FIRST = P("i")
AXES = [getattr(jax.sharding.AxisType, name) for name in ("Auto", "Explicit")]


def loss(weights, x):
    return sum((array**2).sum() for array in vars(F(weights, x)).values())


def by_point(weights, x):
    return jax.vmap(loss, (None, 0))(weights, x).sum()


JET, GRADIENTS = F(WEIGHTS, X), jax.grad(loss, (0, 1))(WEIGHTS, X)


def close(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


def sharded(axis, shape=(4,), names=("i",), spec=FIRST, x=X):
    mesh = jax.make_mesh(shape, names, axis_types=(axis,) * len(names))
    return mesh, jax.device_put(WEIGHTS, NamedSharding(mesh, P())), jax.device_put(x, NamedSharding(mesh, spec))


def is_sharded(array, spec):
    return all(array.sharding.spec[: len(spec)][i] == name for i, name in enumerate(spec))


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("check", [False, True])
def test_shard_map(axis, compiled, check):
    mesh, weights, x = sharded(axis)
    maybe_jit = jax.jit if compiled else lambda f: f

    def shard_map(f, out):
        return jax.shard_map(f, mesh=mesh, in_specs=(P(), P("i")), out_specs=out, check_vma=check)

    with jax.set_mesh(mesh):
        jet = maybe_jit(shard_map(F, P("i")))(weights, x)
        close(jet, JET)
        assert all(is_sharded(array, ("i",)) for array in jet)
        for function in (loss, by_point):
            # the gradient of what is mapped
            whole = shard_map(lambda w, x, f=function: jax.lax.psum(f(w, x), "i"), P())
            found = maybe_jit(jax.grad(whole, (0, 1)))(weights, x)
            close(found, GRADIENTS)
            assert is_sharded(found[1], ("i",))

            # the gradient inside
            def inside(w, x, f=function):
                to_weights, to_points = jax.grad(f, (0, 1))(w, x)
                # JAX sums over the devices by itself where it checks what differs between them
                return to_weights if check else jax.lax.psum(to_weights, "i"), to_points

            close(maybe_jit(shard_map(inside, (P(), P("i"))))(weights, x), GRADIENTS)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("function", [loss, by_point])
def test_jit_keeps_shards(axis, function):
    _, weights, x = sharded(axis)
    jet = jax.jit(F)
    close(jet(weights, x), JET)
    assert all(is_sharded(array, ("i",)) for array in jet(weights, x))
    gradients = jax.jit(jax.grad(function, (0, 1)))
    close(gradients(weights, x), GRADIENTS)
    assert is_sharded(gradients(weights, x)[1], ("i",))
    for program in (jet, gradients):
        text = program.lower(weights, x).compile().as_text()
        assert "all-gather" not in text and "f64[4,3]" in text


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_meshes_of_two_axes(axis):
    for spec in (P(("a", "b")), P("b"), P("a"), P()):
        mesh, weights, x = sharded(axis, (2, 2), ("a", "b"), spec)
        close(jax.jit(F)(weights, x), JET)
        assert is_sharded(jax.jit(F)(weights, x).hessian, tuple(spec))
        close(jax.jit(jax.grad(loss, (0, 1)))(weights, x), GRADIENTS)
        close(jax.jit(jax.grad(by_point, (0, 1)))(weights, x), GRADIENTS)
    _, weights, x = sharded(axis, (2, 2), ("a", "b"), P("a"), X.reshape(4, 4, 3))
    jet = jax.jit(F)(weights, x)
    close(jet.hessian.reshape(JET.hessian.shape), JET.hessian)
    assert is_sharded(jet.hessian, ("a",))


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_ensembles_of_networks(axis):
    _, weights, x = sharded(axis)
    ensemble = jax.tree.map(lambda w: jnp.stack([w, 2 * w]), WEIGHTS)
    jet = jax.jit(jax.vmap(F, (0, None)))(ensemble, x)
    close(jax.tree.map(lambda a: a[0], jet), JET)
    assert is_sharded(jet.value, (None, "i"))
    gradients = jax.jit(jax.grad(lambda w, x: jax.vmap(loss, (0, None))(w, x).sum(), (0, 1)))(ensemble, x)
    close(jax.tree.map(lambda a: a[0], gradients[0]), GRADIENTS[0])


def test_shards_of_different_lengths():
    _, weights, x = sharded(AXES[0])
    for n in (13, 3, 1):
        gradient = jax.jit(lambda w, x, n=n: jax.grad(loss, (0, 1))(w, x[:n]))
        close(gradient(weights, x), jax.grad(loss, (0, 1))(WEIGHTS, X[:n]))


def test_directions_that_are_sharded_too():
    """Inputs of a point on different devices come together first."""
    _, weights, x = sharded(AXES[0], (4,), ("i",), P(None, None), X)
    mesh = jax.make_mesh((3,), ("j",), axis_types=(AXES[0],), devices=jax.devices()[:3])
    x = jax.device_put(X, NamedSharding(mesh, P(None, "j")))
    close(jax.jit(F)(jax.device_put(WEIGHTS, NamedSharding(mesh, P())), x), JET)


def test_exported_programs():
    pytest.importorskip("flatbuffers")
    from jax import export

    mesh, weights, x = sharded(AXES[0])
    mapped = jax.jit(jax.shard_map(F, mesh=mesh, in_specs=(P(), P("i")), out_specs=P("i")))
    for program in (mapped, jax.jit(F)):
        close(export.deserialize(export.export(program)(weights, x).serialize()).call(weights, x), JET)
