"""JAX's Taylor mode, `jax.experimental.jet`, jitted and vmapped over the points; nested modes are in `jax_peer.py`."""

from itertools import combinations

import jax
import jax.numpy as jnp
from jax.experimental import jet
from jax_orders import load_orders
from worker import serve


def series(f, x, v, order):
    """Derivatives of orders 0 to `order` along `v`."""
    along = [v] + [jnp.zeros_like(v)] * (order - 1)
    value, derivatives = jet.jet(f, (x,), (along,))
    return [value, *derivatives]


def partial(f, x, axis, order):
    return series(f, x, jnp.eye(x.shape[0], dtype=x.dtype)[axis], order)


def directions(d):
    """Directions and weights whose fourth derivatives are the bilaplacian: u_aabb by polarisation."""
    unit = jnp.eye(d)
    pairs = [(unit[a] + sign * unit[b], 1 / 6) for a, b in combinations(range(d), 2) for sign in (1, -1)]
    alone = [(unit[a], 1 - (d - 1) / 3) for a in range(d)]
    v, w = zip(*pairs, *alone, strict=True) if pairs else zip(*alone, strict=True)
    return jnp.stack(v), jnp.asarray(w)


def bilaplacian(f, x):
    v, w = directions(x.shape[0])
    fourth = jax.vmap(lambda v: series(f, x, v.astype(x.dtype), 4)[4])(v)
    return (w.astype(x.dtype) * fourth).sum()


def trace(f, x):
    return jax.vmap(lambda v: series(f, x, v, 2)[2])(jnp.eye(x.shape[0], dtype=x.dtype)).sum()


def residual(f, x):
    u, u_x, u_xx, _, u_xxxx = partial(f, x, 1, 4)
    return partial(f, x, 0, 1)[1] + u * u_x + u_xx + u_xxxx


MODES = {
    "kdv": {"jet": lambda f, x: partial(f, x, 1, 3)[3]},
    "beam": {"jet": lambda f, x: partial(f, x, 1, 4)[4]},
    "bilaplacian": {"jet, polarised": bilaplacian},
    "kuramoto": {"jet": residual},
    "trace": {"jet": trace},
}


if __name__ == "__main__":
    serve(load_orders(MODES))
