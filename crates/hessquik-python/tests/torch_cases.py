"""Layers and networks, built from the packages of hessQuik or from ours, and what is compared of them."""

from types import SimpleNamespace

import torch

import hessquik_rs.activations
import hessquik_rs.layers
import hessquik_rs.networks
import hessquik_rs.utils

ours = SimpleNamespace(
    act=hessquik_rs.activations, lay=hessquik_rs.layers, net=hessquik_rs.networks, utils=hessquik_rs.utils
)

# name: (build, number of inputs)
SINGLE = {
    f"single {name}": ((lambda p, name=name: p.lay.singleLayer(4, 7, act=getattr(p.act, name)())), 4)
    for name in (
        "antiTanhActivation identityActivation quadraticActivation sigmoidActivation softplusActivation tanhActivation"
    ).split()
}
LAYERS = SINGLE | {
    "single default": (lambda p: p.lay.singleLayer(4, 7), 4),
    "single no bias": (lambda p: p.lay.singleLayer(4, 7, act=p.act.tanhActivation(), bias=False), 4),
    "softplus beta": (lambda p: p.lay.singleLayer(4, 7, act=p.act.softplusActivation(beta=3.0)), 4),
    "resnet": (lambda p: p.lay.resnetLayer(4, h=0.25, act=p.act.softplusActivation()), 4),
    "resnet default": (lambda p: p.lay.resnetLayer(4), 4),
    "icnn": (lambda p: p.lay.ICNNLayer(3, None, 5), 3),
    "icnn no bias": (lambda p: p.lay.ICNNLayer(3, None, 5, act=p.act.tanhActivation(), bias=False), 3),
    "quadratic": (lambda p: p.lay.quadraticLayer(4, 7), 4),
    "quadratic icnn": (lambda p: p.lay.quadraticICNNLayer(4, None, 2), 4),
}
NETWORKS = {
    "fully connected": (lambda p: p.net.fullyConnectedNN([3, 2, 5, 6]), 3),
    "fully connected tanh": (lambda p: p.net.fullyConnectedNN([6, 9, 2], act=p.act.tanhActivation()), 6),
    "resnet network": (lambda p: p.net.resnetNN(4, 3, h=0.5, act=p.act.tanhActivation()), 4),
    "icnn network": (lambda p: p.net.ICNN(3, [None, 4, 5, 2], act=p.act.softplusActivation()), 3),
    "icnn, quadratic": (
        lambda p: p.net.NN(p.net.ICNN(3, [None, 4, 7]), p.lay.quadraticICNNLayer(3, 7, 2)),
        3,
    ),
    "timing": (
        lambda p: p.net.NN(
            p.lay.singleLayer(20, 6, act=p.act.antiTanhActivation()),
            p.net.resnetNN(6, 4, h=0.5, act=p.act.tanhActivation()),
            p.lay.singleLayer(6, 1, act=p.act.identityActivation()),
        ),
        20,
    ),
    "networks of networks": (
        lambda p: p.net.NN(
            p.net.fullyConnectedNN([3, 8, 5], act=p.act.sigmoidActivation()),
            p.net.NN(p.net.resnetNN(5, 2), p.lay.singleLayer(5, 4, act=p.act.quadraticActivation())),
            p.lay.quadraticLayer(4, 3),
        ),
        3,
    ),
    "many outputs": (lambda p: p.net.fullyConnectedNN([2, 5, 30], act=p.act.tanhActivation()), 2),
}
ALL = LAYERS | NETWORKS


def gap(found, wanted):
    """The largest difference of two arrays that have the same shape."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    return (found - wanted).abs().max().item() if found.numel() else 0.0


def close(found, wanted, tolerance=1e-11):
    """Whether each array is the other, relative to its largest entry; ``None`` is ``None``."""
    for a, b in zip(found, wanted, strict=True):
        if a is None or b is None:
            assert a is None and b is None
        else:
            assert gap(a, b) <= tolerance * max(1.0, b.abs().max().item()), gap(a, b)


def loss_of(results, seed=1):
    """A loss in which every entry of every result matters, not linearly."""
    g = torch.Generator().manual_seed(seed)
    total = 0.0
    for r in results:
        if r is not None:
            weights = torch.randn(r.shape, generator=g, dtype=r.dtype)
            total = total + (weights * r).sum() + 0.5 * (r * r).sum()
    return total


class Jets(torch.utils.data.Dataset):
    """Points with their value, gradient and Hessian, computed by the worker that loads them."""

    def __init__(self, f):
        self.f = f
        self.points = torch.randn(8, 200, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, i):
        with torch.no_grad():
            return (self.points[i], *self.f(self.points[i], do_gradient=True, do_Hessian=True))


def training_setup():
    """A network for u'' + u = 1 on a square, its loss as a mean over points, and batches of points."""
    torch.manual_seed(4)
    f = ours.net.NN(
        ours.lay.singleLayer(2, 8, act=ours.act.tanhActivation(), dtype=torch.float64),
        ours.net.resnetNN(8, 2, h=0.5, act=ours.act.tanhActivation(), dtype=torch.float64),
        ours.lay.singleLayer(8, 1, dtype=torch.float64),
    )
    batches = torch.rand(6, 20, 2, dtype=torch.float64)

    def loss(f, x):
        u, du, d2u = f(x, do_gradient=True, do_Hessian=True)
        return ((d2u[:, 0, 0] + d2u[:, 1, 1] + u - 1) ** 2).mean() + (du**2).mean()

    return f, loss, batches


def distributed_steps(rank, size, folder, optimizer):
    """One of `size` processes: steps for its part of each batch, gradients averaged; saves the weights."""
    dist = torch.distributed
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    f, loss, batches = training_setup()
    if rank:  # DistributedDataParallel starts all processes with the weights of the first
        with torch.no_grad():
            for p in f.parameters():
                p.zero_()
    parallel = torch.nn.parallel.DistributedDataParallel(f)
    stepper = getattr(torch.optim, optimizer)(parallel.parameters(), lr=0.01)
    for x in batches:
        stepper.zero_grad()
        loss(parallel, x.chunk(size)[rank]).backward()
        stepper.step()
    torch.save({n: p.detach() for n, p in f.named_parameters()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()
