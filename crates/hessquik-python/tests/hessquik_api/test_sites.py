"""The torch operations beside the engine: every plan, other devices and precisions, and derivatives of derivatives."""

from itertools import combinations

import pytest
import torch
from torch_cases import ALL, close, loss_of, ours

from hessquik_rs._torch.engine import differentiable, native, of
from hessquik_rs._torch.sites import Plan, jet
from hessquik_rs._torch.structure import GRADIENT, HESSIAN, LAPLACIAN, VALUE

FULL = {"do_gradient": True, "do_Hessian": True}


@pytest.mark.parametrize("name", ALL)
def test_both_ways_agree(name):
    build, d = ALL[name]
    f, x = build(ours), torch.randn(7, d)
    s = of(f)
    assert native(s, x, s.weights(), None)
    for results in (VALUE, VALUE | GRADIENT, VALUE | GRADIENT | HESSIAN, VALUE | GRADIENT | LAPLACIAN):
        options = {
            "do_gradient": bool(results & GRADIENT),
            "do_Hessian": bool(results & HESSIAN),
            "do_Laplacian": bool(results & LAPLACIAN),
        }
        close(differentiable(s, x, s.weights(), results, None, False, "auto"), f(x, **options))


def plans(depth):
    for prefix in range(depth + 1):
        places = range(prefix + 1, depth)
        for n in range(len(places) + 1):
            for pivots in combinations(places, n):
                yield Plan(prefix, pivots)


@pytest.mark.parametrize("name", ["fully connected", "timing", "icnn, quadratic", "networks of networks"])
def test_every_plan_gives_the_same_numbers(name):
    build, d = ALL[name]
    f, x = build(ours), torch.randn(5, d)
    s = of(f)
    forms = s.forms(s.weights())
    hessian, laplacian = f(x, **FULL), f(x, do_Laplacian=True)
    k, q = 4, 3
    outer = ours.net.fullyConnectedNN([f.dim_output(), 5, q], act=ours.act.tanhActivation())
    inner = ours.net.fullyConnectedNN([k, 5, d], act=ours.act.tanhActivation())
    y = torch.randn(5, k)
    whole = ours.net.NN(inner, f, outer)(y, **FULL)[1:]
    u, T, H = inner(y, **FULL)
    _, G, K = outer(f(u)[0], **FULL)
    for plan in plans(len(forms)):
        close(jet(forms, x, 2, plan=plan), hessian)
        close(jet(forms, x, 2, plan=plan, trace=True), laplacian)
        close(jet(forms, u, 2, T=T, H=H, G=G.mT, K=K, plan=plan)[1:], whole)


@pytest.mark.parametrize("mode", ["auto", "forward", "backward", "sites"])
def test_modes_can_be_forced(mode):
    build, d = ALL["timing"]
    f, x = build(ours), torch.randn(5, d)
    close(f(x, **FULL, mode=mode), f(x, **FULL))
    with pytest.raises(ValueError, match="unknown mode"):
        f(x, **FULL, mode="sideways")


def test_the_plan_is_that_of_the_engine():
    wide = of(ours.net.fullyConnectedNN([500, 64, 64, 1]))
    assert wide.plan(VALUE | HESSIAN, 500, 1, "auto") == Plan(0, (1,))
    assert wide.plan(VALUE | HESSIAN, 500, 1, "forward") == Plan(3)
    many = of(ours.net.fullyConnectedNN([2, 8, 8, 400]))
    assert many.plan(VALUE | HESSIAN, 2, 400, "auto").prefix > 0
    text = ours.net.fullyConnectedNN([500, 64, 64, 1]).explain(1000)
    assert "pivots at [1]" in text and "1000 points" in text


@pytest.mark.parametrize("name", ALL)
def test_meta_device(name):
    build, d = ALL[name]
    f, x = build(ours), torch.randn(5, d)
    wanted = [r.shape for r in f(x, **FULL)]
    found = f.to("meta")(x.to("meta"), **FULL)
    assert [r.shape for r in found] == wanted
    assert all(r.device.type == "meta" for r in found)


def test_bfloat16_goes_through_torch():
    f = ours.net.fullyConnectedNN([3, 8, 2]).to(torch.bfloat16)
    results = f(torch.randn(5, 3, dtype=torch.bfloat16), **FULL)
    assert all(r.dtype == torch.bfloat16 for r in results)


def test_no_points():
    for name, (build, d) in ALL.items():
        f, df, d2f = build(ours)(torch.empty(0, d), **FULL)
        assert f.shape[0] == df.shape[0] == d2f.shape[0] == 0, name
        assert d2f.shape[1:3] == (d, d)


@pytest.mark.parametrize("name", ["single tanhActivation", "resnet", "icnn, quadratic", "fully connected"])
def test_derivatives_of_derivatives(name):
    build, d = ALL[name]
    f = build(ours)
    x = torch.randn(2, d, requires_grad=True)
    parameters = [p.detach().clone().requires_grad_() for p in f.parameters()]
    names = [n for n, _ in f.named_parameters()]

    def call(x, *parameters):
        return torch.func.functional_call(f, dict(zip(names, parameters, strict=True)), (x,), FULL)

    assert torch.autograd.gradcheck(call, (x, *parameters))
    assert torch.autograd.gradgradcheck(call, (x, *parameters), atol=1e-4)


def test_third_derivatives_of_the_value():
    """Derivatives by autograd of what the engine computed, three times."""
    f = ours.net.fullyConnectedNN([1, 8, 1], act=ours.act.sinActivation())
    x = torch.randn(6, 1, requires_grad=True)
    y = f(x)[0]
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    _, _, d2f = f(x, **FULL)
    (third,) = torch.autograd.grad(d2f.sum(), x)
    close([y], [third], 1e-10)


def test_gradient_penalty_trains_like_the_gradient_itself():
    """The loss |df/dx|^2 by double backward, and by the gradient of the same call."""
    f = ours.net.fullyConnectedNN([3, 8, 1], act=ours.act.tanhActivation())
    x = torch.randn(6, 3, requires_grad=True)
    (df,) = torch.autograd.grad(f(x)[0].sum(), x, create_graph=True)
    found = torch.autograd.grad(df.square().sum(), list(f.parameters()), allow_unused=True)
    wanted = torch.autograd.grad(f(x, do_gradient=True)[1].square().sum(), list(f.parameters()))
    close([torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)], wanted, 1e-10)


@pytest.mark.parametrize("results", [(0,), (1,), (2,), (0, 2)])
def test_losses_of_some_of_the_results(results):
    """What a loss does not use counts as zero, in the engine's pullback and in torch operations."""
    build, d = ALL["resnet network"]
    f, x = build(ours), torch.randn(5, d, requires_grad=True)
    s = of(f)
    inputs = [x, *f.parameters()]
    engine, sites = f(x, **FULL), differentiable(s, x, s.weights(), VALUE | GRADIENT | HESSIAN, None, False, "auto")
    found, wanted = (
        torch.autograd.grad(loss_of([r[i] for i in results]), inputs, allow_unused=True, create_graph=True)
        for r in (engine, sites)
    )
    zero = [w if w is not None else torch.zeros_like(i) for w, i in zip(wanted, inputs, strict=True)]
    close(found, zero, 1e-10)
    plain = torch.autograd.grad(loss_of([f(x, **FULL)[i] for i in results]), inputs)
    close(plain, zero, 1e-10)


def test_transforms_of_torch_func():
    f = ours.net.fullyConnectedNN([3, 8, 2], act=ours.act.tanhActivation())
    x = torch.randn(5, 3)
    value, gradient, hessian = f(x, **FULL)

    def at(point):
        return f(point[None])[0][0]

    close([torch.func.vmap(torch.func.jacrev(at))(x)], [gradient.mT])
    close([torch.func.vmap(torch.func.hessian(at))(x)], [hessian.permute(0, 3, 1, 2)])
    tangent = torch.randn_like(x)
    primal, along = torch.func.jvp(lambda y: f(y)[0], (x,), (tangent,))
    close([primal, along], [value, torch.einsum("sam,sa->sm", gradient, tangent)])
    with torch.autograd.forward_ad.dual_level():
        dual = f(torch.autograd.forward_ad.make_dual(x, tangent))[0]
        close([torch.autograd.forward_ad.unpack_dual(dual).tangent], [along])
