"""What hessquik is asked for, in JAX: every request in several nestings of its modes, of which the fastest counts.

A nesting takes a function of one point and gives a function of one point with a result of each of its labels: `r`
stands for the outputs (a scalar function has no such axis), other letters for what else hessquik's results have.
"""

import jax
import jax.numpy as jnp
import numpy as np
from nesting import second

# the axes of hessquik's results, after that of the points
AXES = {
    "value": "r",
    "gradient": "ar",
    "hessian": "abr",
    "diagonal": "ar",
    "laplacian": "r",
    "operator": "r",
    "products": "awr",
    "partials": "pr",
}


def ours(array, label, name):
    """A result of JAX, points first, in the order of axes of hessquik's result of this name."""
    wanted = AXES[name]
    array = np.asarray(array)
    if "r" not in label or array.ndim == len(label):
        array, label = array[..., None], label.replace("r", "") + "r"
    return array.transpose(0, *(1 + label.index(axis) for axis in wanted))


def theirs(array, label, name, m):
    """An array of hessquik's result of this name, in the order of axes of JAX's."""
    array = array.transpose(0, *(1 + AXES[name].index(axis) for axis in label))
    return array.reshape([n for n, axis in zip(array.shape, "n" + label, strict=True) if axis != "r" or m > 1])


def along(f, x, v):
    return jax.jvp(f, (x,), (v,))


def slope(f, v):
    """The derivative along `v`, as a function of the point."""
    return lambda x: along(f, x, v)[1]


def twice(f, v, w):
    """Of a point: value, derivatives along `v` and `w`, and the second derivative along both."""

    def at(x):
        (value, first), (other, mixed) = along(lambda x: along(f, x, v), x, w)
        return value, first, other, mixed

    return at


HESSIANS = {
    "jacfwd(jacrev)": second(jax.jacfwd, jax.jacrev),
    "jacfwd(jacfwd)": second(jax.jacfwd, jax.jacfwd),
    "jacrev(jacrev)": second(jax.jacrev, jax.jacrev),
}


def of_hessian(last):
    """Nestings that compute the Hessian, and of it the last result."""

    def of(jet):
        def nesting(f):
            def at(x):
                value, gradient, hessian = jet(f)(x)
                return value, gradient, last(hessian)

            return at

        return nesting

    return {f"of {name}": of(jet) for name, jet in HESSIANS.items() if name != "jacrev(jacrev)"}


def value(d, options):
    return {"f": (lambda f: lambda x: (f(x),), ("r",))}


def gradient(d, options):
    axes = np.eye(d)

    def forward(f):
        def at(x):
            values, slopes = jax.vmap(lambda v: along(f, x, v))(jnp.asarray(axes, x.dtype))
            return values[0], slopes

        return at

    def reverse(f):
        def kept(x):
            y = f(x)
            return y, y

        def at(x):
            slope, y = jax.jacrev(kept, has_aux=True)(x)
            return y, slope

        return at

    return {"jacrev": (reverse, ("r", "ra")), "jvp": (forward, ("r", "ar"))}


def hessian(d, options):
    return {name: (jet, ("r", "ra", "rab")) for name, jet in HESSIANS.items()}


def sums(d, directions, weights, combine):
    """Weighted sums of second derivatives along directions, by forward mode over forward mode, and the gradient."""

    def forward(f):
        def at(x):
            slopes = jax.vmap(lambda v: twice(f, v, v)(x))(jnp.asarray(directions, x.dtype))
            weighted = jnp.tensordot(jnp.asarray(weights, x.dtype), slopes[3], 1)
            if len(directions) == d and np.array_equal(directions, np.eye(d)):
                return slopes[0][0], slopes[1], weighted
            return slopes[0][0], gradient(d, {})["jacrev"][0](f)(x)[1], weighted

        return at

    axes = len(directions) == d and np.array_equal(directions, np.eye(d))
    nestings = {"jvp(jvp)": (forward, ("r", "ar" if axes else "ra", "r"))}
    return nestings | {name: (jet, ("r", "ra", "r")) for name, jet in of_hessian(combine).items()}


def laplacian(d, options):
    return sums(d, np.eye(d), np.ones(d), lambda h: jnp.trace(h, axis1=-2, axis2=-1))


def operator(d, options):
    b = options["operator"]
    weights, vectors = np.linalg.eigh(b)
    return sums(d, vectors.T, weights, lambda h: (jnp.asarray(b, h.dtype) * h).sum((-2, -1)))


def only_last(nestings):
    """Requests of one result: the last one."""

    def last(jet):
        return lambda f: lambda x: jet(f)(x)[-1:]

    return {name: (last(jet), labels[-1:]) for name, (jet, labels) in nestings.items()}


def diagonal(d, options):
    axes = np.eye(d)

    def forward(f):
        return lambda x: jax.vmap(lambda v: twice(f, v, v)(x)[3])(jnp.asarray(axes, x.dtype))

    found = only_last({n: (j, ("ra",)) for n, j in of_hessian(lambda h: jnp.diagonal(h, 0, -2, -1)).items()})
    return found | {"jvp(jvp)": (lambda f: lambda x: (forward(f)(x),), ("ar",))}


def partials(d, options):
    tuples = options["partials"]
    axes = np.eye(d)
    order = len(tuples[0])
    directions = axes[np.array(tuples)]  # (p, order, d)

    def forward(f):
        def one(x, vs):
            g = f
            for i in range(order):
                g = slope(g, vs[i])
            return g(x)

        return lambda x: (jax.vmap(one, (None, 0))(x, jnp.asarray(directions, x.dtype)),)

    def mixed(f):
        """The gradient, differentiated along the first axis of each; of it the entry of the second."""

        def one(x, first, second):
            return along(jax.jacrev(f), x, first)[1] @ second

        def at(x):
            vs = jnp.asarray(directions, x.dtype)
            return (jax.vmap(one, (None, 0, 0))(x, vs[:, 0], vs[:, 1]),)

        return at

    found = {"jvp" * order: (forward, ("pr",))}
    if order == 2:
        rows, columns = np.array(tuples).T
        found["jvp(jacrev)"] = (mixed, ("pr",))
        found |= only_last({n: (j, ("rp",)) for n, j in of_hessian(lambda h: h[..., rows, columns]).items()})
    return found


def products(d, options):
    w = options["products"]

    def forward(f):
        def at(x):
            return (jax.vmap(lambda v: along(jax.jacrev(f), x, v)[1])(jnp.asarray(w, x.dtype)),)

        return at

    found = only_last({n: (j, ("raw",)) for n, j in of_hessian(lambda h: h @ jnp.asarray(w.T, h.dtype)).items()})
    return found | {"jvp(jacrev)": (forward, ("wra",))}


def directions(d, options):
    """Value, gradient and Hessian of the function s -> f(x + s V)."""
    v = options["directions"]

    def of(jet):
        def nesting(f):
            return lambda x: jet(lambda s: f(x + s @ jnp.asarray(v, x.dtype)))(jnp.zeros(len(v), x.dtype))

        return nesting

    return {name: (of(jet), ("r", "ra", "rab")) for name, jet in HESSIANS.items()}


# of a kind: the names of the results, and its nestings
KINDS = {
    "value": ("value", value),
    "gradient": ("value,gradient", gradient),
    "hessian": ("value,gradient,hessian", hessian),
    "hessian alone": ("hessian", lambda d, o: only_last(hessian(d, o))),
    "laplacian": ("value,gradient,laplacian", laplacian),
    "laplacian alone": ("laplacian", lambda d, o: only_last(laplacian(d, o))),
    "operator": ("operator", lambda d, o: only_last(operator(d, o))),
    "diagonal": ("diagonal", diagonal),
    "partials": ("partials", partials),
    "products": ("products", products),
    "directions": ("value,gradient,hessian", directions),
}
