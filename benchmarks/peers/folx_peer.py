"""folx: the forward Laplacian for JAX, jitted and vmapped over the points."""

import folx
from jax_orders import load_orders
from jax_peer import load
from worker import serve


def forward_laplacian(sparsity):
    def of(f):
        def at(x):
            out = folx.forward_laplacian(f, sparsity_threshold=sparsity)(x)
            return out.x, out.jacobian.dense_array, out.laplacian

        return at

    return of


MODES = {"forward_laplacian": forward_laplacian(0), "forward_laplacian, sparse": forward_laplacian(0.6)}


def alone(f):
    """The Laplacian of a scalar function, without its gradient."""
    return lambda x: folx.forward_laplacian(f)(x).laplacian


ORDERS = {
    "bilaplacian": {"forward_laplacian, twice": lambda f, x: alone(alone(f))(x)},
    "trace": {"forward_laplacian": lambda f, x: alone(f)(x)},
}


def load_laplacian(network, dtype, kind):
    if kind in ORDERS:
        return load_orders(ORDERS)(network, dtype, kind)
    if kind != "laplacian":
        raise ValueError(f"folx computes Laplacians: there is no mode for {kind}")
    return load(network, dtype, kind, MODES)


if __name__ == "__main__":
    serve(load_laplacian)
