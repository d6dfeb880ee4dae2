"""hessQuik: its own modules in forward and backward mode, whole or in chunks of points that fit the cache."""

import math
import os

import hessQuik.activations as act
import hessQuik.layers as lay
import hessQuik.networks as net
import torch
from torch_device import DEVICE, finished, on_host
from worker import serve

ACTIVATIONS = {
    "anti_tanh": act.antiTanhActivation,
    "tanh": act.tanhActivation,
    "identity": act.identityActivation,
    "softplus": act.softplusActivation,
}
# Its layers make (n_s, width, width, width) intermediates. Above the first size chunks are tried as well, above the
# second nothing else is, since memory would run out.
CHUNKED, WHOLE = 64e6, 2e9


def module(layer, dtype):
    kind = layer["type"]
    if kind == "quadratic_icnn":
        return lay.quadraticICNNLayer(layer["input_dim"], layer["in_features"], layer["rank"], dtype=dtype)
    activation = ACTIVATIONS[layer["act"]["type"]]()
    if kind == "single":
        return lay.singleLayer(layer["in_features"], layer["out_features"], act=activation, dtype=dtype)
    if kind == "resnet":
        return lay.resnetLayer(layer["width"], h=layer["h"], act=activation, dtype=dtype)
    return lay.ICNNLayer(layer["input_dim"], layer["in_features"], layer["out_features"], act=activation, dtype=dtype)


def build(network, dtype):
    """hessQuik's network with these weights.

    Its antiTanh is ln cosh + ln 2. The constant is taken back in the biases of the layers that follow, so that the
    network is the same function and nothing is added to its work.
    """
    modules, shift = [], 0.0
    for layer, weights in network.layers:
        block = module(layer, dtype)
        state = {n: torch.from_numpy(a).clone() for n, a in weights.items()}
        prefix = "layer." if layer["type"] == "resnet" else ""
        if shift:
            state[prefix + "b"] -= shift * state[prefix + "K"].sum(0)
            if layer["type"] != "resnet":
                shift = 0.0  # a residual layer passes it on beside its activation
        if layer.get("act", {}).get("type") == "anti_tanh":
            shift += math.log(2.0)
        block.load_state_dict(state)
        modules.append(block)
    return net.NN(*modules)


def widest(network):
    """Entries per point of the largest intermediate."""

    def entries(layer):
        if layer["type"] == "resnet":
            return layer["width"] ** 3
        if layer["type"] == "single":
            return layer["in_features"] ** 2 * layer["out_features"]
        n = layer["input_dim"] + (layer["in_features"] or 0)
        return n * n * (layer.get("out_features", 0) + layer["input_dim"])

    d = network.d
    return max(max(entries(layer), d * d * layer.get("width", 1)) for layer in network.descriptions)


def load(network, dtype, kind):
    dtype = {"f32": torch.float32, "f64": torch.float64}[dtype]
    torch.set_default_dtype(dtype)
    f, x = build(network, dtype).to(DEVICE), torch.from_numpy(network.x).to(DEVICE)
    bytes_per_point = widest(network) * x.element_size()
    if kind == "training":
        bytes_per_point *= 4 * len(network.layers)  # kept for the reverse sweep
    ns, d = x.shape
    sizes = {}
    if ns * bytes_per_point <= WHOLE:
        sizes[""] = ns
    if ns * bytes_per_point > CHUNKED:
        sizes[", chunks"] = max(1, int(CHUNKED / bytes_per_point))

    def evaluation(chunk, **wanted):
        def call():
            with torch.no_grad():
                parts = [f(c, do_gradient=True, **wanted) for c in x.split(chunk)]
                return parts[0] if len(parts) == 1 else tuple(torch.cat(p) for p in zip(*parts, strict=True))

        return call

    def jets(forward, chunk):
        return evaluation(chunk, do_Hessian=True, forward_mode=forward)

    def traced(call):
        def both():
            value, gradient, hessian = call()
            return value, gradient, hessian.diagonal(dim1=1, dim2=2).sum(-1)

        return both

    def training(forward, chunk):
        def call():
            f.zero_grad(set_to_none=True)
            total = 0.0
            for c in x.split(chunk):
                parts = f(c, do_gradient=True, do_Hessian=True, forward_mode=forward)
                loss = sum(0.5 * (a * a).mean() for a in parts) * (len(c) / ns)
                loss.backward()
                total += loss.detach()
            return total

        return call

    def results(out):
        value, gradient, second = out
        arrays = {"value": value, "gradient": gradient.permute(0, 2, 1)}
        if kind == "laplacian":
            return on_host(arrays | {"laplacian": second.reshape(value.shape)})
        return on_host(arrays | {"hessian": second.permute(0, 3, 1, 2)})

    def gradients(loss):
        return on_host({"loss": loss} | {f"weights.{n}": p.grad for n, p in f.named_parameters()})

    modes = {}
    for suffix, chunk in sizes.items():
        for name, forward in (("forward", True), ("backward", False)):
            if kind == "training":
                modes[name + suffix] = training(forward, chunk), gradients
            elif kind == "laplacian":
                modes["trace(" + name + ")" + suffix] = traced(jets(forward, chunk)), results
            else:
                modes[name + suffix] = jets(forward, chunk), results
    if kind == "laplacian":
        modes["laplacian"] = evaluation(ns, do_Laplacian=True, forward_mode=True), results
    return {name: (finished(call), to_arrays) for name, (call, to_arrays) in modes.items()}


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(load)
