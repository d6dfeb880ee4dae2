"""Networks of equinox, flax and haiku as they are, through the front door of JAX."""

import numpy as np
import pytest

import hessquik_rs as hq

jax = pytest.importorskip("jax")
for library in ("equinox", "flax", "haiku"):
    pytest.importorskip(library)
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402
from jax_libraries import LIBRARIES, floating  # noqa: E402
from test_jax_jets import close, once  # noqa: E402

import hessquik_rs.jax  # noqa: E402


@pytest.mark.parametrize("name", LIBRARIES)
def test_networks_of_libraries(name):
    """Value, gradient and Hessian, and what a loss of them gives for every parameter, which stay the library's."""
    apply, params, d = LIBRARIES[name]()
    params = floating(params)
    x = jnp.asarray(np.random.default_rng(4).normal(size=(3, d)) * 0.7)
    jet = hessquik_rs.jax.jet(apply, "value,gradient,hessian")

    def ours(p, x):
        j = jet(p, x)
        return j.value, j.gradient, j.hessian

    def theirs(p, x):
        found = [jax.vmap(f, (None, 0))(p, x) for f in (apply, jax.jacrev(apply, 1), jax.hessian(apply, 1))]
        outputs_last = [f if found[0].ndim == 1 else jnp.moveaxis(f, 1, -1) for f in found[1:]]
        return found[0], *outputs_last

    expected = once(lambda x: theirs(params, x))(x)
    close(ours(params, x), expected)

    leaves, tree = jax.tree.flatten(params)
    trained = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(getattr(leaf, "dtype", int), jnp.floating)]
    assert trained

    def to_all(results):
        """The gradient, to parameters and points, of a number that depends on every entry of the results."""

        def loss(arrays, x):
            put = dict(zip(trained, arrays, strict=True))
            p = tree.unflatten([put.get(i, leaf) for i, leaf in enumerate(leaves)])
            return sum((jnp.sin(r) * (1 + jnp.arange(r.size).reshape(r.shape) % 5)).sum() for r in results(p, x))

        return once(jax.grad(loss, (0, 1)))([leaves[i] for i in trained], x)

    close(to_all(ours), to_all(theirs))
    network = hq.Network.from_jax(apply, params, d)
    close(network(np.asarray(x)).reshape(expected[0].shape), expected[0])
