"""JAX: jitted, vmapped over the points; several ways to nest its modes, of which the fastest counts."""

import os
import types

import jax
import jax.numpy as jnp
import numpy as np
from nesting import second
from worker import apply, serve

if os.environ.get("JAX_PLATFORMS") != "cpu":
    # its default there rounds factors in single precision to ten bits
    jax.config.update("jax_default_matmul_precision", "highest")

FUNCTIONS = types.SimpleNamespace(tanh=jnp.tanh, ln_cosh=lambda z: jnp.log(jnp.cosh(z)), softplus=jax.nn.softplus)


def plain(f):
    """Value, gradient and Hessian, each asked for by itself."""
    return lambda x: (f(x), jax.jacrev(f)(x), jax.hessian(f)(x))


JETS = {
    "hessian": plain,
    "jacfwd(jacrev)": second(jax.jacfwd, jax.jacrev),
    "jacfwd(jacfwd)": second(jax.jacfwd, jax.jacfwd),
    "jacrev(jacrev)": second(jax.jacrev, jax.jacrev),
}


def trace(jet):
    def of(f):
        def at(x):
            value, gradient, hessian = jet(f)(x)
            return value, gradient, jnp.trace(hessian, axis1=-2, axis2=-1)

        return at

    return of


def along_axes(f):
    """Second derivatives along each axis by forward mode over forward mode."""

    def at(x):
        def along(v):
            slope = lambda x: jax.jvp(f, (x,), (v,))  # noqa: E731
            (value, first), (_, curvature) = jax.jvp(slope, (x,), (v,))
            return value, first, curvature

        value, gradient, curvature = jax.vmap(along)(jnp.eye(x.shape[0], dtype=x.dtype))
        return value[0], jnp.moveaxis(gradient, 0, -1), curvature.sum(0)

    return at


LAPLACIANS = {"trace(" + name + ")": trace(JETS[name]) for name in ("jacfwd(jacrev)", "jacfwd(jacfwd)")}
LAPLACIANS["jvp(jvp)"] = along_axes


def shaped(names, m):
    """Results as named arrays with an axis for the outputs, which a scalar function has not."""

    def results(out):
        arrays = [np.asarray(a) for a in out]
        return {n: a[:, None] if m == 1 else a for n, a in zip(names, arrays, strict=True)}

    return results


def half_mean_square(a):
    return 0.5 * jnp.mean(a * a)


def load(network, dtype, kind, laplacians=None):
    jax.clear_caches()
    jax.config.update("jax_enable_x64", dtype == "f64")
    layers = network.descriptions
    weights = jax.tree.map(jnp.asarray, network.weights)
    x = jnp.asarray(network.x)
    m = jax.eval_shape(lambda x: apply(layers, weights, x, FUNCTIONS), x).shape[1]

    def function(w):
        whole = lambda x: apply(layers, w, x, FUNCTIONS)  # noqa: E731
        return whole if m > 1 else lambda x: whole(x)[0]

    def results(out):
        loss, gradients = out
        arrays = {f"weights.{i}.{n}": np.asarray(a) for i, layer in enumerate(gradients) for n, a in layer.items()}
        return {"loss": np.asarray(loss)} | arrays

    def training(jet):
        def loss(w, x):
            return sum(half_mean_square(a) for a in jax.vmap(jet(function(w)))(x))

        step = jax.jit(jax.value_and_grad(loss))
        return lambda: jax.block_until_ready(step(weights, x)), results

    def evaluation(jet, names):
        jets = jax.jit(lambda w, x: jax.vmap(jet(function(w)))(x))
        return lambda: jax.block_until_ready(jets(weights, x)), shaped(names, m)

    if kind == "training":
        return {name: training(jet) for name, jet in JETS.items()}
    if kind not in ("hessian", "laplacian"):
        from jax_orders import NESTED, load_orders

        return load_orders(NESTED)(network, dtype, kind)
    if kind == "laplacian":
        names = ("value", "gradient", "laplacian")
        return {name: evaluation(jet, names) for name, jet in (laplacians or LAPLACIANS).items()}
    return {name: evaluation(jet, ("value", "gradient", "hessian")) for name, jet in JETS.items()}


if __name__ == "__main__":
    serve(load)
