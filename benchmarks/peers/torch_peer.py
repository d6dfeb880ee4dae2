"""torch.func: vmapped over the points; several ways to nest its modes, of which the fastest counts."""

import os
import types

import torch
from nesting import second
from torch.func import grad_and_value, jacfwd, jacrev, jvp, vmap
from torch_device import DEVICE, finished, on_host
from worker import apply, serve

FUNCTIONS = types.SimpleNamespace(
    tanh=torch.tanh, ln_cosh=lambda z: torch.log(torch.cosh(z)), softplus=torch.nn.functional.softplus
)


JETS = {
    "hessian": second(jacfwd, jacrev),  # torch.func.hessian is this nesting
    "jacfwd(jacfwd)": second(jacfwd, jacfwd),
    "jacrev(jacrev)": second(jacrev, jacrev),
}


def trace(jet):
    def of(f):
        def at(x):
            value, gradient, hessian = jet(f)(x)
            return value, gradient, hessian.diagonal(dim1=-2, dim2=-1).sum(-1)

        return at

    return of


def along_axes(f):
    """Second derivatives along each axis by forward mode over forward mode."""

    def at(x):
        def along(v):
            (value, first), (_, curvature) = jvp(lambda x: jvp(f, (x,), (v,)), (x,), (v,))
            return value, first, curvature

        value, gradient, curvature = vmap(along)(torch.eye(x.shape[0], dtype=x.dtype, device=x.device))
        return value[0], gradient.movedim(0, -1), curvature.sum(0)

    return at


LAPLACIANS = {"trace(" + name + ")": trace(JETS[name]) for name in ("hessian", "jacfwd(jacfwd)")}
LAPLACIANS["jvp(jvp)"] = along_axes


def load(network, dtype, kind):
    layers = network.descriptions
    weights = [{n: torch.from_numpy(a).to(DEVICE) for n, a in w.items()} for w in network.weights]
    x = torch.from_numpy(network.x).to(DEVICE)

    def function(w):
        return lambda x: apply(layers, w, x, FUNCTIONS)

    def training(jet):
        def loss(w):
            return sum(0.5 * (a * a).mean() for a in vmap(jet(function(w)))(x))

        def results(out):
            gradients, value = out
            arrays = {f"weights.{i}.{n}": a for i, layer in enumerate(gradients) for n, a in layer.items()}
            return on_host({"loss": value} | arrays)

        return finished(lambda: grad_and_value(loss)(weights)), results

    def evaluation(jet, names):
        def results(out):
            return on_host(dict(zip(names, out, strict=True)))

        jets = vmap(jet(function(weights)))
        return finished(lambda: jets(x)), results

    if kind == "training":
        return {name: training(jet) for name, jet in JETS.items()}
    if kind == "laplacian":
        return {name: evaluation(jet, ("value", "gradient", "laplacian")) for name, jet in LAPLACIANS.items()}
    return {name: evaluation(jet, ("value", "gradient", "hessian")) for name, jet in JETS.items()}


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(load)
