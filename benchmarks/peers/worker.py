"""The worker's side of the protocol, for peers in Python: one JSON object per line in, one per line out.

The requests are those that `src/worker.rs` lists.
"""

import gc
import json
import os
import sys
import time

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


class Network:
    """A case file: layers as (description, {name: weight}), and the points."""

    def __init__(self, path):
        with safe_open(path, "numpy") as file:
            architecture = json.loads(file.metadata()["architecture"])
            self.x = file.get_tensor("x")
            self.layers = [(layer, {}) for layer in architecture["layers"]]
            for key in file.keys():
                if key.startswith("weights."):
                    _, i, name = key.split(".", 2)
                    self.layers[int(i)][1][name] = file.get_tensor(key)
        self.descriptions = [layer for layer, _ in self.layers]
        self.weights = [weights for _, weights in self.layers]
        self.d = self.x.shape[1]


def apply(layers, weights, x, f):
    """The network at one point or at rows of points, in the functions that `f` has (tanh, ln_cosh, softplus, cat)."""
    acts = {"tanh": f.tanh, "anti_tanh": f.ln_cosh, "softplus": f.softplus, "identity": lambda z: z}
    u = x
    for layer, w in zip(layers, weights, strict=True):
        kind = layer["type"]
        if kind == "single":
            u = acts[layer["act"]["type"]](u @ w["K"] + w["b"])
        elif kind == "resnet":
            u = u + layer["h"] * acts[layer["act"]["type"]](u @ w["layer.K"] + w["layer.b"])
        elif kind == "icnn":
            # u holds the features alone; the points go beside them into every layer
            z = x @ w["K"] + w["b"]
            u = f.softplus(z + u @ f.softplus(w["L"]) if layer["in_features"] else z)
        else:
            ax = x @ w["A"].T
            u = u @ f.softplus(w["w"]) + x @ w["v"] + 0.5 * (ax * ax).sum(-1) + w["mu"][0]
            u = u[..., None]
    return u


def times(call, budget, least, most):
    """Seconds of each of at least `least` calls, until `budget` seconds are spent or `most` calls made."""
    seconds = []
    clock = time.perf_counter
    gc.collect()
    gc.disable()
    start = before = clock()
    while len(seconds) < least or (len(seconds) < most and before - start < budget):
        before = clock()
        call()
        seconds.append(clock() - before)
    gc.enable()
    return seconds


def serve(load):
    """Answers requests; `load(network, dtype, kind)` gives {mode: (call, results)}.

    `call()` is what is timed; `results(call())` are named arrays, outputs right after samples: value (n_s, m), gradient
    (n_s, m, d), Hessian (n_s, m, d, d), Laplacian (n_s, m); for training `loss` and the gradients `weights.*`.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    modes = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            op = request["op"]
            if op == "load":
                modes.clear()
                gc.collect()
                modes.update(load(Network(request["file"]), request["dtype"], request["kind"]))
                answer = {"modes": list(modes)}
            elif op == "result":
                call, results = modes[request["mode"]]
                start = time.perf_counter()
                out = call()
                seconds = time.perf_counter() - start
                arrays = {name: np.asarray(array, order="C") for name, array in results(out).items()}
                save_file(arrays, request["out"])
                answer = {"seconds": seconds}
            elif op == "time":
                call, _ = modes[request["mode"]]
                answer = {"seconds": times(call, request["budget"], request["least"], request["most"])}
            else:
                answer = {"error": f"unknown op {op!r}"}
        except Exception as error:  # the driver decides what an error means
            gc.enable()
            answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
