"""Networks of hessQuik, taken as they are: the ln 2 of its antiTanh goes into the biases behind."""

import math

import pytest
import torch
from torch_cases import close, loss_of, ours

pytest.importorskip("hessQuik")
import hessQuik.activations as act  # noqa: E402
import hessQuik.layers as lay  # noqa: E402
import hessQuik.networks as net  # noqa: E402

FULL = {"do_gradient": True, "do_Hessian": True}


def anti():
    return act.antiTanhActivation()


NETWORKS = {
    "single": lambda: net.NN(lay.singleLayer(3, 5, act=anti()), lay.singleLayer(5, 2, act=act.tanhActivation())),
    "without bias": lambda: net.NN(lay.singleLayer(3, 5, act=anti()), lay.singleLayer(5, 2, bias=False)),
    "at the end": lambda: net.NN(lay.singleLayer(3, 5), lay.singleLayer(5, 2, act=anti())),
    "one layer": lambda: lay.singleLayer(3, 5, act=anti()),
    "residual": lambda: net.NN(
        lay.singleLayer(3, 5, act=anti()), net.resnetNN(5, 3, h=0.3, act=anti()), lay.singleLayer(5, 2)
    ),
    "residual at the end": lambda: net.NN(lay.singleLayer(3, 5, act=anti()), net.resnetNN(5, 3, h=0.3, act=anti())),
    "quadratic": lambda: net.NN(lay.singleLayer(3, 5, act=anti()), lay.quadraticLayer(5, 2)),
    "residual, quadratic": lambda: net.NN(net.resnetNN(3, 2, act=anti()), lay.quadraticLayer(3, 2)),
    "icnn": lambda: net.NN(net.ICNN(3, [None, 4, 5], act=anti()), lay.quadraticICNNLayer(3, 5, 2)),
    "icnn at the end": lambda: net.ICNN(3, [None, 4, 5], act=anti()),
    "other activations": lambda: net.NN(
        lay.singleLayer(3, 5, act=act.softplusActivation(beta=2.0)), lay.singleLayer(5, 2, act=act.sigmoidActivation())
    ),
}


def per_point(results):
    """hessQuik's results, of which the Hessian of a quadratic layer is one for all points."""
    f, df, d2f = results
    return f, df, d2f.expand(len(f), *d2f.shape) if d2f.dim() == 3 else d2f


@pytest.mark.filterwarnings("ignore::hessquik_rs.errors.SlowerWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_values_derivatives_and_training(name, dtype):
    old = NETWORKS[name]().to(dtype)
    kept = {n: w.clone() for n, w in old.state_dict().items()}
    new = ours.net.from_hessquik(old)
    x = torch.randn(7, 3, dtype=dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    close(new(x, **FULL), per_point(old(x, **FULL)), tolerance)
    shared = {n for n, _ in old.named_parameters()}
    found = torch.autograd.grad(loss_of(new(x, **FULL)), [p for n, p in new.named_parameters() if n in shared])
    wanted = torch.autograd.grad(loss_of(per_point(old(x, **FULL))), list(old.parameters()))
    if "quadratic" not in name and name != "icnn":  # elsewhere the constant is in weights that multiply others
        pairs = [(a, b) for (n, _), a, b in zip(old.named_parameters(), found, wanted, strict=True) if n.endswith("b")]
        close([a for a, _ in pairs], [b for _, b in pairs], 100 * tolerance)
    close(old.state_dict().values(), kept.values(), 0.0)
    ends = "at the end" in name or name == "one layer"
    assert any(getattr(m, "offset", 0) for m in new.modules()) == ends


def test_the_constant_is_exact():
    old = net.NN(lay.singleLayer(2, 3, act=anti()), lay.singleLayer(3, 1))
    new = ours.net.from_hessquik(old)
    wanted = [
        sum([math.log(2) * k for k in column], b)
        for column, b in zip(old[1].K.T.tolist(), old[1].b.tolist(), strict=True)
    ]
    assert new[1].b.tolist() == pytest.approx(wanted, rel=1e-15)


def test_hessquiks_own_numbers():
    x = torch.linspace(-30, 30, 101)
    f, g = ours.act.antiTanhActivation(offset=math.log(2)), anti()
    close(f(x, **FULL), g(x, **FULL), 1e-14)
    assert ours.act.activation(g).offset == math.log(2)
    assert "offset" in str(f) and "offset" not in str(ours.act.antiTanhActivation())


@pytest.mark.parametrize("make", [lambda: torch.nn.Linear(2, 3), lambda: ours.lay.singleLayer(2, 3)])
def test_others_are_refused(make):
    with pytest.raises(TypeError, match="expected a network or layer of hessQuik"):
        ours.net.from_hessquik(make())
