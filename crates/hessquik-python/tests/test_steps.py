"""Schedules on tensors and JAX's arrays: the engine's results, for requests and networks of every kind.

The formulas of activations behind them are held against mpmath."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import jax_zoo
import numpy as np
import pytest
import torch
import torch_zoo
import torch_zoo_more
from safetensors.numpy import load_file

import hessquik_rs as hq
import hessquik_rs.torch as ht
from hessquik_rs import activations as act
from hessquik_rs import layers as lay
from hessquik_rs import networks
from hessquik_rs._jax import steps as in_jax
from hessquik_rs._steps.activations import jet
from hessquik_rs._steps.program import Program
from hessquik_rs._torch import steps as in_torch
from hessquik_rs._torch.jets import Call, pointwise
from hessquik_rs._torch.pointwise import Pointwise, derivatives

jax.config.update("jax_enable_x64", True)
MPMATH = load_file(Path(__file__).resolve().parents[3] / "tests" / "activations" / "taylor.safetensors")
# names of the reference without the number of their setting
SETTING = {
    "power": "p",
    "elu": "alpha",
    "celu": "alpha",
    "leaky_relu": "slope",
    "softplus": "beta",
    "squareplus": "b",
}
SCALED = {
    "scaled_gelu": {"type": "scaled", "act": {"type": "gelu"}, "a": -0.7, "b": 1.3},
    "scaled_tanh": {"type": "scaled", "act": {"type": "tanh"}, "a": 1.7159, "b": 2.0 / 3.0},
}


def settings(name):
    """An activation of the reference as model files describe it."""
    kind, _, number = name.rpartition("_")
    if kind in SETTING and number.lstrip("-").replace(".", "").isdigit():
        return {"type": kind, SETTING[kind]: float(number)}
    return SCALED.get(name, {"type": name})


NAMES = sorted({name[:-2] for name in MPMATH})


@pytest.mark.parametrize("xp", [np, torch, jnp], ids=["numpy", "torch", "jax"])
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_of_activations_are_those_of_mpmath(name, xp):
    z, d = MPMATH[f"{name}.z"], MPMATH[f"{name}.d"]
    with np.errstate(all="ignore"):
        found = jet(xp, settings(name), torch.from_numpy(z) if xp is torch else xp.asarray(z), 6)
    for j, row in enumerate(found):
        wanted = d[:, j]
        # of the derivative, or of a tenth of what it grows by from 0 to z or over 1, if that is more: next to its zeros
        size = np.maximum(abs(wanted), 0.1 * np.minimum(abs(z), 1.0) * abs(d[:, j + 1]))
        row = np.asarray(row)
        with np.errstate(all="ignore"):
            there = (size >= 1e-305) | (abs(row) >= 2e-305)
            there &= (wanted != 0) | (row != 0)
            error = abs(row - wanted) / size
        assert not (error[there] > 1e-13).any(), (j, z[there & (error > 1e-13)])


# smooth at the points below, and one with a threshold on one side of which it is linear
SMOOTH = [settings(name) for name in NAMES] + [{"type": "softplus", "beta": 2.0, "threshold": 1.0}]


@pytest.mark.parametrize("activation", SMOOTH, ids=json.dumps)
def test_activations_know_their_derivatives(activation):
    z = np.array([0.3, 0.9, 2.1])
    rows = [np.asarray(row) for row in jet(np, activation, z, 6)]

    t = torch.tensor(z, requires_grad=True)
    g = derivatives(Pointwise(activation), t, 2)[2]
    for order in (3, 4, 5, 6):  # the second derivative, differentiated four times
        (g,) = torch.autograd.grad(g.sum(), t, create_graph=True, allow_unused=True)
        np.testing.assert_allclose(g.detach(), rows[order], rtol=1e-9, atol=1e-9)

    def second(x):
        return in_jax._jet(json.dumps(activation), 2, x)[2]

    h = second
    for order in (3, 4, 5):
        h = jax.grad(lambda x, h=h: h(x))
        np.testing.assert_allclose(jax.vmap(h)(jnp.asarray(z)), rows[order], rtol=1e-9, atol=1e-9)


def forwards(f):
    """The derivative of a function of one number by forward mode."""
    return lambda z: torch.func.jvp(f, (z,), (torch.ones_like(z),))[1]


def duals(f):
    """The same by dual numbers."""

    def derivative(z):
        with torch.autograd.forward_ad.dual_level():
            both = f(torch.autograd.forward_ad.make_dual(z, torch.ones_like(z)))
            return torch.autograd.forward_ad.unpack_dual(both).tangent

    return derivative


@pytest.mark.parametrize("name", ["tanh", "softplus_3", "gelu", "mish"])
def test_forward_mode_within_forward_mode(name):
    z, grad = torch.tensor([-1.2, 0.4, 2.0], dtype=torch.float64), torch.func.grad
    rows = jet(torch, settings(name), z, 4)

    def f(z):
        return derivatives(Pointwise(settings(name)), z, 0)[0]

    def second(z):
        return derivatives(Pointwise(settings(name)), z, 2)[2]

    for nested, order in (
        (forwards(forwards(f)), 2),
        (forwards(forwards(forwards(f))), 3),
        (forwards(forwards(second)), 4),
        (duals(f), 1),
        (duals(second), 3),
    ):
        torch.testing.assert_close(nested(z), rows[order], rtol=1e-12, atol=1e-13)
    for nested, order in ((forwards(grad(f)), 2), (grad(forwards(f)), 2), (forwards(grad(forwards(second))), 5)):
        found = torch.func.vmap(nested)(z)
        torch.testing.assert_close(found, jet(torch, settings(name), z, 5)[order], rtol=1e-12, atol=1e-13)


def test_forward_mode_of_jets():
    model, d = torch_zoo.make("modified MLP")
    x, v = torch.rand(4, d, dtype=torch.float64), torch.rand(4, d, dtype=torch.float64)
    jets = ht.jet(model, "laplacian")

    def loss(x):
        return jets(x).laplacian

    step = 1e-4
    once = torch.func.jvp(loss, (x,), (v,))[1]
    torch.testing.assert_close(once, (loss(x + step * v) - loss(x - step * v)) / (2 * step), rtol=1e-5, atol=1e-6)
    with torch.autograd.forward_ad.dual_level():
        both = loss(torch.autograd.forward_ad.make_dual(x, v))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(both).tangent, once)

    def directional(x):
        return torch.func.jvp(loss, (x,), (v,))[1]

    twice = torch.func.jvp(directional, (x,), (v,))[1]
    differences = (directional(x + step * v) - directional(x - step * v)) / (2 * step)
    torch.testing.assert_close(twice, differences, rtol=1e-5, atol=1e-5)
    # of second derivatives of the network itself, evaluated in torch operations
    net = networks.NN(lay.singleLayer(d, 5, act=act.tanhActivation())).double()
    twice = torch.func.jvp(lambda x: torch.func.jvp(lambda y: net(y)[0], (x,), (v,))[1], (x,), (v,))[1]
    full = net(x, do_gradient=True, do_Hessian=True)[2]
    torch.testing.assert_close(twice, torch.einsum("sa,sabr,sb->sr", v, full, v))


def nested(d):
    """Transforms of functions (n, d) to (n, 2), which give such functions again."""
    v, w = torch.rand(3, d, dtype=torch.float64) - 0.5, torch.rand(3, 2, dtype=torch.float64) - 0.5
    return {
        "jvp": lambda f: lambda x: torch.func.jvp(f, (x,), (v,))[1],
        "grad": lambda f: lambda x: torch.func.grad(lambda y: (w * f(y)).sum())(x)[:, :2],
        "vjp": lambda f: lambda x: torch.func.vjp(f, x)[1](w)[0][:, :2],
        "vmap": lambda f: torch.func.vmap(lambda p: f(p[None].expand(3, d))[0]),
        "linearize": lambda f: lambda x: torch.func.linearize(f, x)[1](v),
    }


# not derivatives of `linearize`: those of PyTorch's own operations are read from memory that nobody has written
PAIRS = [(a, b) for a in nested(3) for b in nested(3) if a != "linearize" or b == "vmap"]
THREE = [("jvp", "jvp", "jvp"), ("jvp", "grad", "jvp"), ("vmap", "jvp", "jvp"), ("jvp", "jvp", "grad")]


@pytest.mark.parametrize("transforms", [*PAIRS, *THREE], ids="-".join)
def test_transforms_within_transforms(transforms):
    """Of jets and of a module in torch operations, against the same of PyTorch's own operations."""
    torch.manual_seed(0)
    d = 3
    theirs = torch.nn.Sequential(torch.nn.Linear(d, 5), torch.nn.SiLU(), torch.nn.Linear(5, 2)).double()
    ours = networks.NN(
        lay.singleLayer(d, 5, act=act.siluActivation()), lay.singleLayer(5, 2, act=act.identityActivation())
    )
    ours.double()
    with torch.no_grad():
        for layer, linear in zip(ours, theirs[::2], strict=True):
            layer.K.copy_(linear.weight.T)
            layer.b.copy_(linear.bias)
    jets = ht.jet(theirs, "value,laplacian")

    def laplacian(x):
        return torch.func.vmap(torch.func.jacfwd(torch.func.jacrev(theirs)))(x).diagonal(0, 2, 3).sum(-1)

    x, every = torch.rand(3, d, dtype=torch.float64), nested(d)
    for ours_, wanted in (
        (lambda x: ours(x)[0], theirs),
        (lambda x: jets(x).value, theirs),
        (lambda x: jets(x).laplacian, laplacian),
    ):
        for name in transforms:
            ours_, wanted = every[name](ours_), every[name](wanted)
        try:
            wanted = wanted(x)
        except RuntimeError:
            continue  # what PyTorch cannot nest itself
        torch.testing.assert_close(ours_(x), wanted, rtol=1e-9, atol=1e-11)


def requests(d, m):
    """Requests of every kind, for networks of d inputs and m outputs."""
    rng = np.random.default_rng(d)
    axes = [(0,), (d - 1, 0), (0, 0, d - 1)]
    return [
        ("value", {}),
        ("gradient", {}),
        ("value,gradient,hessian", {}),
        ("laplacian,diagonal", {}),
        ("packed", {"directions": rng.normal(size=(2, d))}),
        ("hessian", {"outputs": rng.normal(size=(m, 2))}),
        ("gradient", {"operator": rng.normal(size=(d, d))}),
        ("value", {"products": rng.normal(size=(2, d))}),
        ("laplacian", {"block": ([0], list(range(d)))}),
        ("gradient", {"partials": axes}),
        ("laplacian", {"partials": [(0, 0, 0)], "directions": rng.normal(size=(1, d))}),
        ("value", {"directional": 4, "directions": rng.normal(size=(2, d))}),
        ("bilaplacian", {}),
        ("gradient", {"operator": {(0,): 2.0, (0, 0, 0): -1.0}}),
        ("hessian,laplacian", {"mode": "forward"}),
        ("hessian,laplacian", {"mode": "backward"}),
        ("value,partials", {"partials": []}),
    ]


def same(found, wanted, name):
    scale = max(1.0, float(abs(wanted).max())) if wanted.size else 1.0
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10 * scale, err_msg=name)


NETWORKS = [*torch_zoo.ZOO, *torch_zoo_more.ZOO]


@pytest.mark.parametrize("name", NETWORKS)
def test_tensors_give_what_the_engine_gives(name):
    model, d = torch_zoo.make(name)
    traced = pointwise(model, d)
    weights = [w.detach() for w in traced.weights(model)]
    x = torch.rand(3, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.8 + 0.1
    net = hq.Network(traced.graph, seed=0)
    # a few for each network, all of them in turn
    for names, options in requests(d, net.dim_output)[NETWORKS.index(name) % 4 :: 4]:
        call = Call(traced, names, options)
        bound = call.bound(torch.float64, weights)
        wanted = bound.evaluate(x.numpy(), names, **options)
        found = call.in_torch(x, weights)
        assert len(found) == len(call.names) == len(wanted)
        for key, result in zip(call.names, found, strict=True):
            assert tuple(result.shape) == wanted[key].shape
            same(result.numpy(), wanted[key], f"{names} {options}")


@pytest.mark.parametrize("name", ["modified MLP", "causal attention", "DeepONet", "sparse experts"])
def test_pullbacks_of_tensors_are_the_engines(name):
    model, d = torch_zoo.make(name)
    traced = pointwise(model, d)
    weights = [w.detach().clone().requires_grad_() for w in traced.weights(model)]
    x = torch.rand(3, d, dtype=torch.float64, requires_grad=True)
    for names in ("value,gradient,hessian", "laplacian", "bilaplacian"):
        call = Call(traced, names, {})
        results = call.in_torch(x, weights)
        bars = [torch.randn(r.shape, dtype=torch.float64) for r in results]
        loss = sum((b * r).sum() for b, r in zip(bars, results, strict=True))
        to_x, *to_weights = torch.autograd.grad(loss, [x, *weights], allow_unused=True)
        bound = call.bound(torch.float64, weights)
        given = {key: bar.numpy() for key, bar in zip(call.names, bars, strict=True)}
        flat, to_points = bound.pullback(x.detach().numpy(), None, given)
        same(to_x.numpy(), to_points, names)
        parts = [torch.zeros_like(w) if g is None else g for g, w in zip(to_weights, weights, strict=True)]
        same(torch.cat([g.reshape(-1) for g in parts]).numpy(), flat, names)


LAYERS = {
    "fully connected": hq.fully_connected([3, 6, 5, 2], act="gelu", last="identity"),
    "resnet": [hq.single(3, 4, "tanh"), hq.resnet(4, 2, "sin", h=0.3)],
    "icnn": hq.icnn(3, [5, 4]),
    "softmax": [hq.single(3, 4), {"type": "network", "layers": [hq.single(4, 5), hq.softmax(5)]}],
    "log-sum-exp": [hq.single(3, 4, hq.softplus(2.0, 1.0)), hq.log_sum_exp(4)],
    "quadratic": hq.quadratic(3, 2),
    "quadratic icnn": [hq.icnn(3, [4]), hq.quadratic_icnn(3, 4, 2)],
    "attention": [hq.single(3, 8, "silu"), hq.attention(2, 4, 2), hq.layer_norm(8), hq.single(8, 1)],
    "deeponet": hq.deeponet(hq.single(2, 4, "tanh"), hq.single(1, 4, "cos")),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_networks_of_layers(name, library):
    net = hq.Network(LAYERS[name], seed=1)
    x = np.random.default_rng(0).normal(size=(4, 3))
    weights = list(net.weights().values())
    # JAX takes seconds to compile
    every = slice(None) if library == "torch" else slice(list(LAYERS).index(name), None, len(LAYERS))
    for names, options in requests(3, net.dim_output)[every]:
        wanted = net.evaluate(x, names, **options)
        program = Program(net._engine.schedule(names, **options))
        if library == "torch":
            found = in_torch.results(program, torch.tensor(x), [torch.tensor(w) for w in weights])
        else:
            arrays = [jnp.asarray(w) for w in weights]
            found = [jnp.moveaxis(r, 1, -1) for r in in_jax.results(program, jnp.asarray(x), arrays)]
        for key, result in zip(program.readings, found, strict=True):
            same(np.asarray(result), getattr(wanted, key), f"{names} {options}")
        # no points, and one
        for n in (0, 1):
            arrays = [torch.tensor(w) for w in weights]
            none = in_torch.results(program, torch.tensor(x[:n]), arrays)
            assert [len(r) for r in none] == [n] * len(none)


@pytest.mark.parametrize("name", list(jax_zoo.ZOO))
def test_jax_without_the_engine(name):
    apply, params, d = jax_zoo.make(name)
    x = np.random.default_rng(0).uniform(0.1, 0.9, size=(3, d))
    net = hq.Network.from_jax(apply, params, d)
    weights = [jnp.asarray(w) for w in net.weights().values()]
    # one for each network, all of them in turn: JAX takes seconds to compile
    all_of_them = requests(d, net.dim_output)
    for names, options in [all_of_them[list(jax_zoo.ZOO).index(name) % len(all_of_them)]]:
        wanted = net.evaluate(x, names, **options)
        program = Program(net._engine.schedule(names, **options))
        compiled = jax.jit(lambda x, w, program=program: in_jax.results(program, x, w))
        for key, result in zip(program.readings, compiled(jnp.asarray(x), weights), strict=True):
            same(np.moveaxis(result, 1, -1), getattr(wanted, key), f"{names} {options}")
