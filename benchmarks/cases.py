"""The cases: networks with seeded weights, points, and what is computed there, as files that every worker reads."""

import fnmatch
import json
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from safetensors.numpy import save_file

GRID_D = [2**i for i in range(11)]
GRID_M = [1, 2, 4, 8]


@dataclass(frozen=True)
class Case:
    """One network at one number of points."""

    family: str
    kind: str  # hessian, laplacian or training; of the family `orders` also those of ORDERS
    d: int
    m: int
    width: int
    depth: int
    points: int
    layers: tuple = field(compare=False, repr=False)

    @property
    def name(self):
        if self.family == "orders":
            return f"orders {self.kind} d{self.d} m{self.m} w{self.width} L{self.depth} n{self.points}"
        return f"{self.family} d{self.d} m{self.m} w{self.width} L{self.depth} n{self.points}"

    @property
    def label(self):
        if self.family == "grid":
            return f"d {self.d} m {self.m}"
        if self.family == "orders":
            return f"{self.kind} ({self.d} {self.m} {self.width} {self.depth} {self.points})"
        if self.family == "icnn":
            return f"({self.d} {self.width} {self.points})"
        return f"({self.d} {self.m} {self.width} {self.depth} {self.points})"

    def output_bytes(self, dtype):
        """What one call returns: jets, or for training the gradients of weights and points."""
        if self.kind == "training":
            weights = sum(int(np.prod(shape)) for layer in self.layers for shape in shapes(layer).values())
            entries = weights + self.points * self.d
        else:
            second = 1 if self.kind == "laplacian" else self.d * self.d
            entries = self.points * self.m * (1 + self.d + second)
        return entries * np.dtype(dtype).itemsize

    def activations(self):
        """Number of activations per call, by their kind; those that are polynomials are not counted."""
        counts = {}
        for layer in self.layers:
            act = layer.get("act", {"type": "identity"})["type"]
            if act in ("tanh", "anti_tanh", "softplus"):
                width = layer.get("width", layer.get("out_features"))
                counts[act] = counts.get(act, 0) + self.points * width
        return counts


def single(rows, cols, act):
    return {"type": "single", "in_features": rows, "out_features": cols, "act": {"type": act}}


def residual(family, kind, d, m, width, depth, points, first="tanh", h=1.0):
    """A single layer, residual layers, and a linear one."""
    inner = {"type": "resnet", "width": width, "h": h, "act": {"type": "tanh"}}
    layers = (single(d, width, first), *[inner] * depth, single(width, m, "identity"))
    return Case(family, kind, d, m, width, depth, points, layers)


def convex(d, width, points):
    """Four input convex layers and a quadratic one."""
    layers = []
    for features in [None, width, width, width]:
        layer = {"type": "icnn", "input_dim": d, "in_features": features, "out_features": width}
        layers.append(layer | {"act": {"type": "softplus"}})
    layers.append({"type": "quadratic_icnn", "input_dim": d, "in_features": width, "rank": min(d, 10)})
    return Case("icnn", "hessian", d, 1, width, 4, points, tuple(layers))


def all_cases():
    """Every case, family by family."""
    cases = [residual("grid", "hessian", d, m, 16, 4, 10, "anti_tanh", 0.5) for m in GRID_M for d in GRID_D]
    shapes = {
        ("pinn", "hessian"): "2 1 20 8 4096, 2 1 64 4 4096, 3 4 128 4 2048, 3 1 256 4 1024, 10 1 128 4 1024",
        ("wide", "hessian"): "100 1 128 3 64, 784 10 64 2 16, 64 64 64 4 64",
        ("wide", "laplacian"): "2 1 256 4 256, 2 1 448 4 256, 2 1 512 4 256, 2 1 1024 4 256, 2 1 2048 2 64",
        ("laplacian", "laplacian"): "2 1 64 4 4096, 10 1 128 4 1024, 48 1 256 4 256",
        ("training", "training"): "2 1 16 4 5, 2 1 16 4 1000, 2 1 64 4 4096, 3 4 64 4 1024, 10 1 64 4 512",
    }
    for (family, kind), listed in shapes.items():
        cases += [residual(family, kind, *map(int, shape.split())) for shape in listed.split(", ")]
    return cases + [convex(2, 64, 4096), convex(64, 64, 256)]


ORDERS = {
    "kdv": "u_xxx of u(t, x), for the Korteweg-de Vries equation",
    "beam": "u_xxxx of u(t, x), for beams",
    "bilaplacian": "the bilaplacian",
    "kuramoto": "training step of Kuramoto-Sivashinsky: half the mean of (u_t + u u_x + u_xx + u_xxxx)^2, its gradient",
    "trace": "the Laplacian alone",
}
"""What is computed in the family `orders`, by kind."""


def perceptron(kind, widths, points):
    """Tanh layers and a linear one, as those of the table published for collapsed Taylor mode."""
    acts = ["tanh"] * (len(widths) - 2) + ["identity"]
    layers = tuple(single(*pair, act) for *pair, act in zip(widths[:-1], widths[1:], acts, strict=True))
    return Case("orders", kind, widths[0], widths[-1], max(widths[1:]), len(widths) - 2, points, layers)


def order_cases():
    """Derivatives of higher order, and operators of them."""
    shapes = {
        "kdv": ["2 1 50 4 4000"],
        "beam": ["2 1 50 4 4000"],
        "bilaplacian": ["2 1 128 4 2000", "5 1 64 3 1000"],
        "kuramoto": ["2 1 50 4 4000"],
    }
    cases = [residual("orders", kind, *map(int, s.split())) for kind, listed in shapes.items() for s in listed]
    return [*cases, perceptron("trace", [50, 768, 768, 512, 512, 1], 64)]


def with_points(case, points):
    """The same case at another number of points."""
    return replace(case, points=points, layers=case.layers)


def device_cases():
    """What GPUs are measured with: some of all, and some of more points."""
    grid = [c for c in all_cases() if c.family == "grid" and c.m in (1, 8) and c.d in (1, 16, 64, 256, 1024)]
    rest = [c for c in all_cases() if c.family != "grid"]
    shapes = [
        ("pinn", "hessian", "2 1 64 4 262144, 3 4 128 4 65536, 3 1 256 4 65536, 10 1 128 4 65536"),
        ("laplacian", "laplacian", "10 1 128 4 65536, 48 1 256 4 16384"),
        ("training", "training", "2 1 64 4 65536, 3 4 64 4 65536, 10 1 64 4 16384"),
    ]
    more = [residual(f, kind, *map(int, shape.split())) for f, kind, listed in shapes for shape in listed.split(", ")]
    return grid + rest + [*more, convex(2, 64, 262144), convex(64, 64, 16384)]


def named(patterns, listed):
    """Those whose name begins as one of the patterns between commas says."""
    begins = [pattern.strip() + "*" for pattern in patterns.split(",")]
    return [c for c in listed if any(fnmatch.fnmatch(c.name, pattern) for pattern in begins)]


def shapes(layer):
    """Names and shapes of the weights of a layer, as hessQuik has them."""
    kind = layer["type"]
    if kind == "single":
        return {"K": (layer["in_features"], layer["out_features"]), "b": (layer["out_features"],)}
    if kind == "resnet":
        return {"layer.K": (layer["width"], layer["width"]), "layer.b": (layer["width"],)}
    d, n = layer["input_dim"], layer["in_features"]
    if kind == "icnn":
        names = {"K": (d, layer["out_features"]), "b": (layer["out_features"],)}
        return names | ({} if n is None else {"L": (n, layer["out_features"])})
    return {"w": (n,), "v": (d,), "mu": (1,), "A": (layer["rank"], d)}


def draw(rng, name, shape, layer):
    """Weights uniform in +-1/sqrt(number of inputs), so that activations are neither dead nor saturated."""
    if name in ("L", "w"):
        # these go through softplus: about 1/n each, so that n of them add up to about one
        return rng.uniform(-0.5, 0.5, shape) - np.log(shape[0])
    inputs = layer.get("in_features") or layer.get("width") or layer.get("input_dim")
    return rng.uniform(-1, 1, shape) / np.sqrt(shape[0] if name.endswith("K") else inputs)


def write(case, dtype, path):
    """Writes a case file: weights as hessquik names them, the architecture as JSON, and the points `x`."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    tensors = {}
    for i, layer in enumerate(case.layers):
        for name, shape in shapes(layer).items():
            tensors[f"weights.{i}.{name}"] = draw(rng, name, shape, layer).astype(dtype)
    tensors["x"] = rng.standard_normal((case.points, case.d)).astype(dtype)
    architecture = json.dumps({"type": "network", "layers": list(case.layers)})
    save_file(tensors, path, metadata={"architecture": architecture})
