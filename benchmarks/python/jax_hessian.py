"""Jets inside JAX programs: `hessquik_rs.jax` beside JAX's own derivatives of the same function, in one run.

    pip install ./crates/hessquik-python jax
    taskset -c 0 python benchmarks/python/jax_hessian.py

Everything is compiled, results agree before a time is shown, and rounds alternate. Of JAX's nestings (`jax.hessian` is
fwd(rev)) the fastest counts; likewise for the training step, whose loss is a mean of squared Laplacians.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import hessquik_rs as hq
import hessquik_rs.jax
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
# name, inputs, width, hidden layers after the first, points
CASES = [
    ("PINN d = 2, width 20", 2, 20, 8, 4096),
    ("PINN d = 2, width 64", 2, 64, 4, 4096),
    ("d = 10, width 128", 10, 128, 4, 1024),
    ("10 points, d = 2, width 64", 2, 64, 4, 10),
]


def plain(depth: int) -> Callable[[Any, Any], Any]:
    """The network at one point, in JAX's operations."""

    def f(weights: Any, x: Any) -> Any:
        u = jnp.tanh(x @ weights["0.K"] + weights["0.b"])
        for i in range(depth):
            u = u + jnp.tanh(u @ weights[f"1.{i}.layer.K"] + weights[f"1.{i}.layer.b"])
        return (u @ weights["2.K"] + weights["2.b"])[0]

    return f


def hessians(depth: int) -> dict[str, Callable[[Any, Any], Any]]:
    """Value, gradient and Hessian of all points, by each nesting of forward and reverse mode."""
    f = plain(depth)
    modes = {"fwd": jax.jacfwd, "rev": jax.jacrev}

    def nested(outer: str, inner: str) -> Callable[[Any, Any], Any]:
        def jet(weights: Any, x: Any) -> Any:
            def gradient(x: Any) -> Any:
                value, g = f(weights, x), modes[inner](f, 1)(weights, x)
                return g, (value, g)

            hessian, (value, g) = modes[outer](gradient, has_aux=True)(x)
            return value, g, hessian

        return jax.vmap(jet, (None, 0))

    return {f"{outer}({inner})": nested(outer, inner) for outer, inner in itertools.product(modes, modes)}


def rounds(functions: dict[str, Callable[[Any, Any], Any]], weights: Any, x: Any, count: int) -> dict[str, float]:
    """Median seconds of each function; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(count):
        for name, f in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(f(weights, x))
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(s) for name, s in seconds.items()}


def training(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Loss and gradients of a step, from a function that gives the jet."""

    def loss(w: Any, x: Any) -> Any:
        _, _, hessian = f(w, x)
        return (jnp.einsum("saa...->s...", hessian) ** 2).mean()

    return jax.jit(jax.value_and_grad(loss))


def show(case: str, dtype: str, what: str, found: dict[str, float]) -> None:
    best = min((name for name in found if name != "ours"), key=found.__getitem__)
    ours, theirs = 1e3 * found["ours"], 1e3 * found[best]
    row = [case, dtype, what, f"{ours:.3f}", f"{theirs:.3f} {best}", f"{theirs / ours:.1f}"]
    print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    count = parser.parse_args().rounds
    print("| case | dtype | computed | ours, ms | JAX, ms | times |")
    print("|---|---|---|---|---|---|")
    for (case, d, width, depth, points), dtype in itertools.product(CASES, ("float32", "float64")):
        layers = [hq.single(d, width, "tanh"), hq.resnet(width, depth, "tanh"), hq.single(width, 1)]
        net = hq.Network(layers, dtype=dtype, seed=0)
        weights = hq.jax.weights(net)
        x = jnp.asarray(np.random.default_rng(0).normal(size=(points, d)), dtype)
        jet = hq.jax.jet(net)
        functions = {"ours": lambda w, x, jet=jet: tuple(jet(w, x)), **hessians(depth)}
        compiled = {name: jax.jit(f) for name, f in functions.items()}
        near = {"rtol": 2e-3, "atol": 2e-3} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-9}
        wanted = compiled["ours"](weights, x)
        for f in compiled.values():
            for a, b in zip(f(weights, x), wanted, strict=True):
                np.testing.assert_allclose(a.reshape(b.shape), b, **near)
        show(case, dtype, "jet", rounds(compiled, weights, x, count))

        laplacian = hq.jax.jet(net, "laplacian")
        steps = {name: training(f) for name, f in functions.items() if name != "ours"}
        steps["ours"] = jax.jit(jax.value_and_grad(lambda w, x, f=laplacian: (f(w, x).laplacian ** 2).mean()))
        value, gradient = steps["ours"](weights, x)
        for step in steps.values():
            other, theirs = step(weights, x)
            np.testing.assert_allclose(other, value, rtol=5e-3)
            for name, g in gradient.items():
                np.testing.assert_allclose(theirs[name], g, rtol=5e-2, atol=5e-3 * float(abs(g).max()))
        show(case, dtype, "training step", rounds(steps, weights, x, count))


if __name__ == "__main__":
    main()
