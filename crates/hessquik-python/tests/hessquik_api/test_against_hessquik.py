"""Class by class beside hessQuik 0.0.6: values, derivatives, modes, directions, weights, and gradients of losses."""

from types import SimpleNamespace

import pytest
import torch
from torch_cases import ALL, LAYERS, NETWORKS, close, loss_of, ours

pytest.importorskip("hessQuik")
import hessQuik.activations  # noqa: E402
import hessQuik.layers  # noqa: E402
import hessQuik.networks  # noqa: E402

theirs = SimpleNamespace(act=hessQuik.activations, lay=hessQuik.layers, net=hessQuik.networks)
LN2 = torch.log(torch.tensor(2.0, dtype=torch.float64))


def pair(name):
    """Our module and hessQuik's with the same weights, and points; without the ln 2 that hessQuik's antiTanh adds."""
    build, d = ALL[name]
    f, g = build(ours), build(theirs)
    g.load_state_dict(f.state_dict())
    for act in g.modules():
        if isinstance(act, theirs.act.antiTanhActivation):
            act.forward = lowered(act.forward)
    return f, g, torch.randn(11, d)


def lowered(forward):
    """A forward pass whose value is ln 2 lower."""

    def lower(*args, **kwargs):
        sigma, *derivatives = forward(*args, **kwargs)
        return (sigma - LN2, *derivatives)

    return lower


def per_point(results):
    """hessQuik's results, of which the Hessian of a quadratic layer is one for all points."""
    f, df, d2f = results
    if d2f is not None and d2f.dim() == 3 and len(d2f) != len(f):
        d2f = d2f.expand(len(f), *d2f.shape)
    return f, df, d2f


# the ones for which hessQuik has Laplacians and directions
SINGLE_AND_RESIDUAL = [n for n in ALL if "icnn" not in n and n not in ("quadratic", "networks of networks")]


@pytest.mark.parametrize("mode", [{}, {"forward_mode": True}, {"forward_mode": False}], ids=str)
@pytest.mark.parametrize("order", [{}, {"do_gradient": True}, {"do_gradient": True, "do_Hessian": True}], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_values_and_derivatives(name, order, mode):
    f, g, x = pair(name)
    close(f(x, **order, **mode), per_point(g(x, **order, **mode)))


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_gradients_of_losses_to_weights_and_points(name, mode):
    f, g, x = pair(name)
    options = {"do_gradient": True, "do_Hessian": True, "forward_mode": mode}
    gradients = []
    for network in (f, g):
        y = x.clone().requires_grad_()
        loss = loss_of(per_point(network(y, **options)))
        gradients.append(torch.autograd.grad(loss, [y, *network.parameters()]))
    close(gradients[0], gradients[1], 1e-10)


@pytest.mark.parametrize("name", SINGLE_AND_RESIDUAL)
def test_laplacians(name):
    f, g, x = pair(name)
    close(f(x, do_gradient=True, do_Laplacian=True), per_point(g(x, do_gradient=True, do_Laplacian=True)))


@pytest.mark.parametrize("name", ALL)
def test_laplacians_are_traces(name):
    f, _, x = pair(name)
    _, _, hessian = f(x, do_gradient=True, do_Hessian=True)
    value, gradient, laplacian = f(x, do_Laplacian=True)
    close([laplacian], [hessian.diagonal(dim1=1, dim2=2).sum(-1).unsqueeze(1)])
    close([value, gradient], f(x, do_gradient=True)[:2])


@pytest.mark.parametrize("name", SINGLE_AND_RESIDUAL)
def test_directions(name):
    f, g, x = pair(name)
    d, m = f.dim_input(), f.dim_output()
    options = {"do_gradient": True, "do_Hessian": True}
    for kwargs in (
        options | {"v": torch.randn(3, d), "forward_mode": True},
        options | {"v": torch.randn(m, 3), "forward_mode": False},
        {"do_gradient": True, "do_Laplacian": True, "v": torch.randn(3, d)},
    ):
        close(f(x, **kwargs), per_point(g(x, **kwargs)))


@pytest.mark.parametrize("name", ALL)
def test_directions_of_every_layer(name):
    f, _, x = pair(name)
    f0, df, d2f = f(x, do_gradient=True, do_Hessian=True)
    v = torch.randn(3, f.dim_input())
    wanted = (f0, v @ df, torch.einsum("ka,sabr,lb->sklr", v, d2f, v))
    close(f(x, do_gradient=True, do_Hessian=True, v=v, forward_mode=True), wanted)
    trace = wanted[2].diagonal(dim1=1, dim2=2).sum(-1).unsqueeze(1)
    close(f(x, do_Laplacian=True, v=v), (*wanted[:2], trace))
    u = torch.randn(f.dim_output(), 2)
    close(f(x, do_gradient=True, do_Hessian=True, v=u, forward_mode=False), (f0, df @ u, d2f @ u))


@pytest.mark.parametrize("name", ALL)
def test_state_dicts_go_both_ways(name):
    build, _ = ALL[name]
    f, g = build(ours), build(theirs)
    assert list(f.state_dict()) == list(g.state_dict())
    assert [n for n, _ in f.named_parameters()] == [n for n, _ in g.named_parameters()]
    f.load_state_dict(g.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))
    with torch.no_grad():
        for p in f.parameters():
            p.mul_(2)
    g.load_state_dict(f.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_weights(name):
    build, _ = ALL[name]
    torch.manual_seed(7)
    f = build(ours)
    torch.manual_seed(7)
    g = build(theirs)
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))


@pytest.mark.parametrize("name", ALL)
def test_dimensions_and_printing(name):
    build, _ = ALL[name]
    f, g = build(ours), build(theirs)
    assert f.dim_output() == g.dim_output()
    if name != "quadratic icnn":  # whose dim_input raises in hessQuik
        assert f.dim_input() == g.dim_input()
    if "softplus" not in str(g) and "icnn" not in name:
        assert str(f) == str(g)


@pytest.mark.parametrize("name", ["antiTanh", "identity", "quadratic", "sigmoid", "softplus", "tanh"])
def test_activations(name):
    f, g = (getattr(p.act, f"{name}Activation")() for p in (ours, theirs))
    x = torch.randn(11, 4)
    shift = LN2 if name == "antiTanh" else 0.0
    for kwargs in ({}, {"do_gradient": True}, {"do_gradient": True, "do_Hessian": True}):
        value, *derivatives = g(x, **kwargs)
        close(f(x, **kwargs), (value - shift, *derivatives))
    assert f(x, do_gradient=True, do_Hessian=True, forward_mode=None)[1:] == (None, None)
    g(x, do_gradient=True, do_Hessian=True, forward_mode=None)
    close(f.backward(do_Hessian=True), g.backward(do_Hessian=True))
    close(f.backward(), g.backward())
    assert len(f.ctx) == len(g.ctx) and torch.equal(f.ctx[0], g.ctx[0])


def test_tails_of_softplus_keep_their_derivatives():
    x = torch.tensor([[-30.0, 30.0, -700.0]])
    _, first, second = ours.act.softplusActivation()(x, do_gradient=True, do_Hessian=True)
    assert torch.allclose(first[0, [0, 2]], torch.exp(x[0, [0, 2]]), rtol=1e-12, atol=0)
    assert torch.allclose(second[0], torch.exp(-x[0].abs()), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["fully connected tanh", "resnet network", "timing", "networks of networks"])
def test_wrappers_of_automatic_differentiation(name):
    f, g, x = pair(name)
    full = f(x, do_gradient=True, do_Hessian=True)
    found = ours.net.NNPytorchAD(f)(x, do_gradient=True, do_Hessian=True)
    close(found, full, 1e-10)
    assert not x.requires_grad
    parameters = list(f.parameters())
    close(
        torch.autograd.grad(loss_of(found), parameters, allow_unused=True),
        torch.autograd.grad(loss_of(full), parameters, allow_unused=True),
        1e-9,
    )
    if f.dim_output() == 1:
        close(ours.net.NNPytorchHessian(f)(x, do_gradient=True, do_Hessian=True), full, 1e-10)
        close(theirs.net.NNPytorchHessian(g)(x.clone(), do_gradient=True, do_Hessian=True), full, 1e-10)
    else:
        with pytest.raises(ValueError, match="scalar outputs"):
            ours.net.NNPytorchHessian(f)(x, do_gradient=True)


def test_forward_mode_heuristic_is_that_of_hessquik():
    for name, (build, _) in NETWORKS.items():
        f, g = build(ours), build(theirs)
        assert f.setup_forward_mode() == g.setup_forward_mode(), name
        assert f.setup_forward_mode(forward_mode=None) is None
        assert f.setup_forward_mode(forward_mode=True) is True


def test_incompatible_composition_is_refused():
    with pytest.raises(ValueError, match="incompatible composition for block 0 to block 1"):
        ours.net.NN(ours.lay.singleLayer(2, 3), ours.lay.singleLayer(4, 5))


def test_default_activations_are_not_shared():
    a, b = ours.lay.singleLayer(2, 3), ours.lay.singleLayer(2, 3)
    assert a.act is not b.act
    f = ours.net.fullyConnectedNN([2, 3, 4], act=ours.act.tanhActivation())
    assert f[0].act is not f[1].act
    assert LAYERS
