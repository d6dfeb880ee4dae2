"""Derivatives of higher order of a scalar network in JAX: modes nested in one another, and what its peers share."""

import jax
import jax.numpy as jnp
import numpy as np
from jax_peer import FUNCTIONS, half_mean_square
from worker import apply


def along(f, axis):
    """The derivative along an axis by forward mode."""

    def slope(x):
        return jax.jvp(f, (x,), (jnp.zeros_like(x).at[axis].set(1.0),))[1]

    return slope


def reverse(f, axis):
    """The same by reverse mode."""
    return lambda x: jax.grad(f)(x)[axis]


def nested(f, axes, first=along):
    """The partial derivative along axes, the first of them by one mode and the others by forward mode."""
    f = first(f, axes[0])
    for axis in axes[1:]:
        f = along(f, axis)
    return f


def laplacian(f, first=along):
    return lambda x: sum(nested(f, (a, a), first)(x) for a in range(x.shape[0]))


def scanned(f):
    """The Laplacian along all axes at once."""

    def of(x):
        second = lambda v: jax.jvp(lambda x: jax.jvp(f, (x,), (v,))[1], (x,), (v,))[1]  # noqa: E731
        return jax.vmap(second)(jnp.eye(x.shape[0], dtype=x.dtype)).sum()

    return of


def trace_of_hessian(f):
    return lambda x: jnp.trace(jax.hessian(f)(x))


def residual(first):
    def of(f, x):
        u_x, u_xx, u_xxxx = (nested(f, (1,) * order, first)(x) for order in (1, 2, 4))
        return first(f, 0)(x) + f(x) * u_x + u_xx + u_xxxx

    return of


NESTED = {
    "kdv": {
        "jvp": lambda f, x: nested(f, (1, 1, 1))(x),
        "jvp over grad": lambda f, x: nested(f, (1, 1, 1), reverse)(x),
    },
    "beam": {
        "jvp": lambda f, x: nested(f, (1, 1, 1, 1))(x),
        "jvp over grad": lambda f, x: nested(f, (1, 1, 1, 1), reverse)(x),
    },
    "bilaplacian": {
        "jvp": lambda f, x: laplacian(laplacian(f))(x),
        "jvp, vmapped": lambda f, x: scanned(scanned(f))(x),
        "trace(hessian)": lambda f, x: trace_of_hessian(trace_of_hessian(f))(x),
    },
    "kuramoto": {"jvp": residual(along), "jvp over grad": residual(reverse)},
    "trace": {"jvp, vmapped": lambda f, x: scanned(f)(x), "trace(hessian)": lambda f, x: trace_of_hessian(f)(x)},
}


def load_orders(modes):
    """What serves `modes`: {kind: {mode: function of a scalar network and a point}}."""

    def load(network, dtype, kind):
        jax.clear_caches()
        jax.config.update("jax_enable_x64", dtype == "f64")
        weights, x = jax.tree.map(jnp.asarray, network.weights), jnp.asarray(network.x)
        if kind not in modes:
            raise ValueError(f"there is no mode for {kind}")

        def at_all(mode):
            def of(w, x):
                f = lambda p: apply(network.descriptions, w, p, FUNCTIONS)[0]  # noqa: E731
                return jax.vmap(lambda p: mode(f, p))(x)

            return of

        def call(mode):
            if kind == "kuramoto":
                step = jax.jit(jax.value_and_grad(lambda w, x: half_mean_square(at_all(mode)(w, x))))
                return lambda: jax.block_until_ready(step(weights, x)), gradients
            compiled = jax.jit(at_all(mode))
            return lambda: jax.block_until_ready(compiled(weights, x)), result

        def result(out):
            return {"result": np.asarray(out)[:, None]}

        def gradients(out):
            loss, found = out
            arrays = {f"weights.{i}.{n}": np.asarray(a) for i, layer in enumerate(found) for n, a in layer.items()}
            return {"loss": np.asarray(loss)} | arrays

        return {name: call(mode) for name, mode in modes[kind].items()}

    return load
