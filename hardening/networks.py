"""Errors of whole networks: value, gradient and Hessian in f32 and f64 by hessquik, hessQuik and JAX, beside an
evaluation in quad precision (113 bits, MPFR through gmpy2) that shares no code with any of them.

    pip install gmpy2 hessQuik jax safetensors torch     # and hessquik_rs, crates/hessquik-python
    python hardening/networks.py [points, 20]

Weights and points are representable in f32, so that every program computes the same function at the same points and all
that is measured is arithmetic. An error is the largest difference in an array over its largest entry, in units of the
unit roundoff of the precision (2^-24, 2^-53); the rows `forward`, `backward` are hessQuik's modes.
"""

import sys
import tempfile
from pathlib import Path

import gmpy2
import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "benchmarks"), str(Path(__file__).parents[1] / "benchmarks" / "peers")]
import cases  # noqa: E402
from worker import Network  # noqa: E402

gmpy2.get_context().precision = 113
quad = np.vectorize(lambda v: gmpy2.mpfr(float(v)), otypes=[object])


def tanh(z):
    t = gmpy2.tanh(z)
    d = 1 / gmpy2.cosh(z) ** 2
    return t, d, -2 * t * d


def softplus(z):
    s = 1 / (1 + gmpy2.exp(-z))
    return gmpy2.log1p(gmpy2.exp(z)), s, s / (1 + gmpy2.exp(z))


def gelu(z):
    below = gmpy2.erfc(-z / gmpy2.sqrt(gmpy2.mpfr(2))) / 2
    density = gmpy2.exp(-z * z / 2) / gmpy2.sqrt(2 * gmpy2.const_pi())
    return z * below, below + z * density, (2 - z * z) * density


ONE, ZERO = gmpy2.mpfr(1), gmpy2.mpfr(0)
ACTIVATIONS = {
    "tanh": tanh,
    "softplus": softplus,
    "sin": lambda z: (gmpy2.sin(z), gmpy2.cos(z), -gmpy2.sin(z)),
    "gelu": gelu,
    "identity": lambda z: (z, ONE, ZERO),
    "quadratic": lambda z: (z * z / 2, z, ONE),
}


def pointwise(name, z):
    return [np.vectorize(lambda v, o=o: ACTIVATIONS[name](v)[o], otypes=[object])(z) for o in range(3)]


def forward(network):
    """Value (n_s, m), gradient (n_s, m, d), Hessian (n_s, m, d, d), carried from layer to layer.

    The chain rule as a textbook has it, so that not even the formulas are those of the engine.
    """
    x = quad(network.x)
    ns, d = x.shape
    eye = quad(np.eye(d))
    point = x, np.broadcast_to(eye, (ns, d, d)), np.broadcast_to(quad(np.zeros((d, d, d))), (ns, d, d, d))
    u = point

    def linear(parts, m, b=None):
        """(value, gradient, Hessian) of u M + b; the last axis runs over features, the others over inputs."""
        value, gradient, hessian = (p @ m for p in parts)
        return (value if b is None else value + b), gradient, hessian

    def activate(parts, name):
        z, dz, hz = parts
        f, f1, f2 = pointwise(name, z)
        outer = dz[:, :, None, :] * dz[:, None, :, :]
        return f, dz * f1[:, None], hz * f1[:, None, None] + outer * f2[:, None, None]

    def plus(a, b, h=1):
        return tuple(p + quad(h) * q for p, q in zip(a, b, strict=True))

    def positive(w):
        return np.vectorize(lambda v: softplus(v)[0], otypes=[object])(quad(w))

    for layer, weights in network.layers:
        w = {name.removeprefix("layer."): quad(a) for name, a in weights.items()}
        kind, act = layer["type"], layer.get("act", {}).get("type")
        if kind == "single":
            u = activate(linear(u, w["K"], w["b"]), act)
        elif kind == "resnet":
            u = plus(u, activate(linear(u, w["K"], w["b"]), act), layer["h"])
        elif kind == "icnn":
            z = linear(point, w["K"], w["b"])
            u = activate(z if layer["in_features"] is None else plus(z, linear(u, positive(w["L"]))), act)
        else:
            squares = activate(linear(point, w["A"].T), "quadratic")
            ones = quad(np.ones((len(w["A"]), 1)))
            first = plus(linear(u, positive(w["w"])[:, None]), linear(point, w["v"][:, None], w["mu"]))
            u = plus(first, linear(squares, ones))
    value, gradient, hessian = u
    return {"value": value, "gradient": np.moveaxis(gradient, -1, 1), "hessian": np.moveaxis(hessian, -1, 1)}


def hessquik(network, dtype):
    import hessquik_rs as hq

    net = hq.Network(network.descriptions, dtype={"f32": "float32", "f64": "float64"}[dtype])
    net.set_weights({f"{i}.{n}": a for i, (_, w) in enumerate(network.layers) for n, a in w.items()})
    for mode in ("auto", "forward", "backward", "sites"):
        jet = net.evaluate(network.x, ("value", "gradient", "hessian"), mode=mode)
        arrays = jet.value, np.moveaxis(jet.gradient, -1, 1), np.moveaxis(jet.hessian, -1, 1)
        yield f"hessquik {mode}", dict(zip(("value", "gradient", "hessian"), arrays, strict=True))


def peer(name, module, network, dtype):
    for mode, (call, results) in module.load(network, dtype, "hessian").items():
        yield f"{name} {mode}", results(call())


def errors(found, reference, unit):
    def error(name):
        difference = np.abs(quad(np.asarray(found[name], np.float64)) - reference[name])
        return float(difference.max() / np.abs(reference[name]).max()) / unit

    return [error(name) for name in ("value", "gradient", "hessian")]


def main():
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    import hessquik_peer
    import jax_peer

    shapes = [
        cases.residual("pinn", "hessian", 2, 1, 64, 4, points),
        cases.residual("pinn", "hessian", 2, 1, 20, 8, points),
        cases.residual("grid", "hessian", 16, 8, 16, 4, points, "tanh", 0.5),
        cases.residual("wide", "hessian", 100, 1, 32, 3, max(points // 5, 2)),
        cases.convex(2, 64, points),
        cases.convex(16, 32, points),
    ]
    print(f"{'network':28} {'':5}{'program':32}{'value':>9}{'gradient':>9}{'Hessian':>9}   (unit roundoffs)")
    for case in shapes:
        with tempfile.TemporaryDirectory() as folder:
            network = {}
            for dtype in ("f32", "f64"):
                path = str(Path(folder) / f"{dtype}.safetensors")
                cases.write(case, np.float32, path)
                network[dtype] = Network(path)
            wide = network["f64"]
            wide.x = wide.x.astype(np.float64)
            for _, weights in wide.layers:
                weights.update({n: a.astype(np.float64) for n, a in weights.items()})
        reference = forward(wide)
        for dtype, unit in (("f32", 2.0**-24), ("f64", 2.0**-53)):
            programs = [hessquik(network[dtype], dtype)]
            programs += [peer(n, p, network[dtype], dtype) for n, p in (("hessQuik", hessquik_peer), ("JAX", jax_peer))]
            for name, found in (pair for program in programs for pair in program):
                cells = "".join(f"{e:9.2f}" for e in errors(found, reference, unit))
                print(f"{case.name:28} {dtype:5}{name:32}{cells}", flush=True)


if __name__ == "__main__":
    main()
