"""More networks that people publish: of matrices, of the order of entries, by steps of a solver."""

import jax
import jax.numpy as jnp
import jax_zoo
from jax import lax
from jax_zoo import dense, mlp


def fermi_net(draw):
    """A sum of Slater determinants, kept by their logarithms, times a determinant of two."""

    def apply(p, x):
        r = x.reshape(4, 1)
        orbitals = jnp.sin(jnp.stack([dense(layer, r) for layer in p["orbitals"]])) + 2 * jnp.eye(4)
        sign, size = jnp.linalg.slogdet(orbitals)
        top = size.max()
        return jnp.log(jnp.abs((sign * jnp.exp(size - top)).sum())) + top + jnp.linalg.det(jnp.tanh(p["pair"] * r[:2]))

    return apply, {"orbitals": [draw.dense(1, 4) for _ in range(2)], "pair": draw.normal(2, 2)}, 4


def covariance(draw):
    """A normal density whose covariance depends on the point, by its factor, solutions and inverses."""

    def apply(p, x):
        m = dense(p["factor"], x).reshape(3, 3)
        full = m @ m.T + jnp.eye(3)
        d = dense(p["mean"], x)
        density = jax.scipy.stats.multivariate_normal.logpdf(d, jnp.zeros(3), full)
        return jnp.array([density, d @ jnp.linalg.solve(full, d), jnp.linalg.inv(full)[0, 1], jnp.linalg.det(full)])

    return apply, {"factor": draw.dense(2, 9), "mean": draw.dense(2, 3)}, 2


def sparse_experts(draw):
    """The two experts with the largest gates, the gates in order, and tables looked up by what is largest."""

    def apply(p, x):
        gates = dense(p["gate"], x)
        largest, which = lax.top_k(gates, 2)
        chosen = jnp.tanh(jnp.einsum("eij,i->ej", p["experts"], x))[which]
        ordered = jnp.sort(gates)[1:3] + jnp.take_along_axis(gates, jnp.argsort(-gates), 0)[:2]
        row = p["table"][jnp.argmax(gates), jnp.argmin(x)]
        return jax.nn.softmax(largest) @ chosen + ordered * jnp.median(gates) + row

    return apply, {"gate": draw.dense(3, 4), "experts": draw.normal(4, 3, 2), "table": draw.normal(4, 3, 2)}, 3


def solver(draw):
    """An equation solved by steps of Runge and Kutta, with a gradient, a product and a Hessian inside."""

    def apply(p, x):
        def energy(y):
            return jax.nn.softplus(mlp(p, y)).sum()

        def flow(y):
            return jnp.array([[0.0, 1.0], [-1.0, 0.0]]) @ jax.grad(energy)(y)

        def step(y, _):
            half = y + 0.1 * flow(y)
            return y + 0.2 * flow(half), None

        y, _ = lax.scan(step, x, None, length=2)
        along = jax.jvp(energy, (y,), (x,))[1]
        return jnp.concatenate([y, along[None], jax.hessian(energy)(x).reshape(-1)])

    return apply, draw.mlp(2, 4, 1), 2


ZOO = {
    "FermiNet": fermi_net,
    "covariance": covariance,
    "sparse experts": sparse_experts,
    "solver": solver,
}


def make(name):
    """A function of this zoo, its parameters, and its number of inputs."""
    return ZOO[name](jax_zoo.Draw(sorted(ZOO).index(name)))
