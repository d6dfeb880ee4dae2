"""jet-for-pytorch: collapsed and plain Taylor mode, vmapped over the points. It needs Python 3.12 or newer."""

import os

import jet
import torch
from torch.func import vmap
from torch_peer import FUNCTIONS
from worker import apply, serve


def partial(axis, order):
    return lambda f, mock: at_point(f, mock, axis, order, lambda all: all[order])


def at_point(f, mock, axis, order, pick):
    taylor = jet.jet(f, (mock,))
    along = torch.zeros_like(mock)
    along[axis] = 1.0
    rest = [torch.zeros_like(mock)] * (order - 1)
    return lambda x: pick(taylor((x, along, *rest)))


def residual(f, mock):
    u = at_point(f, mock, 1, 4, lambda all: all[0] * all[1] + all[2] + all[4])
    u_t = at_point(f, mock, 0, 1, lambda all: all[1])
    return lambda x: u_t(x) + u(x)


MODES = {
    "kdv": {"jet": partial(1, 3)},
    "beam": {"jet": partial(1, 4)},
    "bilaplacian": {
        "collapsed": lambda f, mock: jet.bilaplacian(f, (mock,)),
        "plain": lambda f, mock: jet.bilaplacian(f, (mock,), collapsed=False),
    },
    "kuramoto": {"jet": residual},
    "trace": {
        "collapsed": lambda f, mock: jet.laplacian(f, (mock,)),
        "plain": lambda f, mock: jet.laplacian(f, (mock,), collapsed=False),
    },
}


def load(network, dtype, kind):
    layers, x = network.descriptions, torch.from_numpy(network.x)
    weights = [{n: torch.from_numpy(a) for n, a in w.items()} for w in network.weights]
    mock = torch.zeros_like(x[0])
    if kind not in MODES:
        raise ValueError(f"there is no mode for {kind}")

    def at_all(mode, w):
        return vmap(mode(lambda p: apply(layers, w, p, FUNCTIONS), mock))

    def result(out):
        return {"result": out.numpy()}

    def gradients(out):
        loss, found = out
        names = [f"weights.{i}.{n}" for i, layer in enumerate(weights) for n in layer]
        arrays = {name: a.numpy() for name, a in zip(names, found, strict=True)}
        return {"loss": loss.detach().numpy()} | arrays

    def step(mode):
        # traced once, with weights that a step differentiates by
        leaves = [{n: a.clone().requires_grad_() for n, a in w.items()} for w in weights]
        flat, whole = [a for w in leaves for a in w.values()], at_all(mode, leaves)

        def call():
            loss = 0.5 * (whole(x) ** 2).mean()
            return loss, torch.autograd.grad(loss, flat)

        return call, gradients

    def call(mode):
        if kind == "kuramoto":
            return step(mode)
        whole = at_all(mode, weights)

        def evaluated():
            with torch.no_grad():
                return whole(x)

        return evaluated, result

    return {name: call(mode) for name, mode in MODES[kind].items()}


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(load)
