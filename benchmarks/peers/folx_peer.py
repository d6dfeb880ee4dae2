"""folx: the forward Laplacian for JAX, jitted and vmapped over the points."""

import folx
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


def load_laplacian(network, dtype, kind):
    if kind != "laplacian":
        raise ValueError("folx computes Laplacians")
    return load(network, dtype, kind, MODES)


if __name__ == "__main__":
    serve(load_laplacian)
