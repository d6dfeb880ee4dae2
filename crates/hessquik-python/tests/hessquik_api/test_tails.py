"""Activations in torch operations: 4 ulp everywhere, against 60-digit references, and derivatives of any order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_cases import ours

from hessquik_rs._steps.activations.logistic import CUT
from hessquik_rs._torch.pointwise import Pointwise, derivatives, formulas

REFERENCE = Path(__file__).resolve().parents[4] / "tests" / "activations" / "reference.safetensors"
NAMES = [
    "anti_tanh",
    "tanh",
    "sigmoid",
    "silu",
    "gelu",
    "gaussian",
    "softplus_0.1",
    "softplus_1",
    "softplus_3",
    "softplus_50",
]
ACTS = ["tanh", "sigmoid", "silu", "gelu", "gaussian", "softplus", "antiTanh"]


def pointwise(name):
    kind, _, beta = name.partition("softplus_")
    return Pointwise({"type": "softplus", "beta": float(beta)} if beta else {"type": kind})


def act(name):
    return getattr(ours.act, f"{name}Activation")()


def worst(found, wanted, rest=0.0):
    """The largest error in ulp of the reference."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    ulp = np.spacing(np.maximum(np.abs(wanted), np.finfo(wanted.dtype).smallest_subnormal))
    with np.errstate(invalid="ignore"):
        errors = np.where(found == wanted, np.abs(rest), np.abs((found - wanted) / ulp - rest))
    assert not np.isnan(errors).any()
    return errors.max()


@pytest.mark.parametrize("name", NAMES)
def test_double_precision_is_right_to_4_ulp(name):
    load = pytest.importorskip("safetensors.numpy").load_file
    file = load(REFERENCE)
    z, jet, rest = (file[f"{name}.{what}"] for what in ("z", "jet", "rest"))
    found = formulas(pointwise(name), torch.from_numpy(z), 2)
    for order in range(3):
        assert worst(found[order].numpy(), jet[:, order], rest[:, order] / 254.0) <= 3.5, order


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_lower_precisions_are_rounded_once(name, dtype):
    z = torch.cat([torch.linspace(-20, 20, 20001), torch.linspace(-120, 120, 10001)]).to(dtype)
    for found, wanted in zip(formulas(pointwise(name), z, 2), formulas(pointwise(name), z.double(), 2), strict=True):
        assert torch.equal(found, wanted.to(dtype))


@pytest.mark.parametrize(
    ("name", "at", "order"),
    [
        ("tanh", 9.5, 2),
        ("sigmoid", 40.0, 2),
        ("silu", 40.0, 2),
        ("antiTanh", -9.5, 2),
        ("gelu", -9.5, 0),
        ("gelu", -9.5, 1),
    ],
)
def test_the_engine_and_torch_operations_have_the_same_tails(name, at, order):
    """Networks of one site, under vmap, in other strides, and by the engine."""
    f = ours.net.NN(ours.lay.singleLayer(1, 1, act=act(name), bias=False))
    with torch.no_grad():
        f[0].K.fill_(1.0)
    x = torch.tensor([[at]])
    wanted = f(x, do_gradient=True, do_Hessian=True)[order].flatten()
    module = act(name)(x, do_gradient=True, do_Hessian=True)[order].flatten()
    point = x[0, 0]
    by_autograd = lambda z: act(name)(z)[0]  # noqa: E731
    for _ in range(order):
        by_autograd = torch.func.grad(by_autograd)
    mapped = torch.func.vmap(by_autograd)(point[None])
    assert wanted != 0
    for found in (module, mapped):
        assert worst(found.detach().numpy(), wanted.detach().numpy()) <= 8  # 4 of each


@pytest.mark.parametrize("name", ACTS)
def test_derivatives_of_every_order(name):
    """Third and fourth derivatives by autograd, at zero too, where |z| has a corner."""
    f = act(name)
    z = torch.tensor([-2.5, -0.5, 0.0, 0.7, 3.0], requires_grad=True)
    step = 1e-3
    for order in range(4):

        def at(x, order=order):
            y = x.detach().clone().requires_grad_()
            value = f(y)[0]
            for _ in range(order):
                (value,) = torch.autograd.grad(value.sum(), y, create_graph=True)
            return value, y

        value, y = at(z)
        (found,) = torch.autograd.grad(value.sum(), y)
        differences = (8 * (at(z + step)[0] - at(z - step)[0]) - (at(z + 2 * step)[0] - at(z - 2 * step)[0])) / (
            12 * step
        )
        assert torch.allclose(found, differences.detach(), atol=1e-8), order
    assert torch.autograd.gradgradcheck(lambda x: f(x, do_gradient=True, do_Hessian=True), (z,))


@pytest.mark.parametrize("name", ACTS)
def test_limits_and_nan(name):
    z = torch.tensor([float("inf"), -float("inf"), float("nan"), 1e300, -1e300])
    jet = derivatives(pointwise({"antiTanh": "anti_tanh", "softplus": "softplus_1"}.get(name, name)), z, 2)
    for d in jet:
        assert d[2].isnan() and not d[[0, 1, 3, 4]].isnan().any()
    assert (jet[2][[0, 1, 3, 4]] == 0).all()


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("threshold", [0.5, 1.0, 14.9])
def test_a_low_threshold_cuts_value_and_derivatives(beta, threshold):
    f = ours.act.softplusActivation(beta, threshold)
    z = torch.linspace(-6, 6, 1201) / beta
    past = beta * z > threshold
    value, first, second = f(z, do_gradient=True, do_Hessian=True)
    assert torch.equal(value[past], z[past]) and (first[past] == 1).all() and (second[past] == 0).all()
    smooth = ours.act.softplusActivation(beta)(z, do_gradient=True, do_Hessian=True)
    for a, b in zip((value, first, second), smooth, strict=True):
        assert torch.equal(a[~past], b[~past])
    y = z.clone().requires_grad_()
    (by_autograd,) = torch.autograd.grad(f(y)[0].sum(), y, create_graph=True)
    assert torch.equal(by_autograd, first)
    assert torch.equal(torch.autograd.grad(by_autograd.sum(), y)[0], second)


@pytest.mark.parametrize("threshold", [CUT, 20.0, 50.0])
def test_a_high_threshold_is_no_cut(threshold):
    z = torch.tensor([14.0, 20.0000001, 30.0, 49.0, 60.0])
    value, first, second = ours.act.softplusActivation(1.0, threshold)(z, do_gradient=True, do_Hessian=True)
    assert torch.equal(value, ours.act.softplusActivation(1.0, 1000.0)(z)[0])
    assert torch.allclose(second, torch.exp(-z), rtol=1e-5, atol=0)
    assert ((value - z)[:3] > 0).all() and (first <= 1).all()


def test_a_beta_that_is_trained():
    f = ours.act.softplusActivation(torch.nn.Parameter(torch.tensor(2.0)), 20.0)
    z = torch.linspace(-3, 3, 11)
    for found, wanted in zip(
        f(z, do_gradient=True, do_Hessian=True),
        ours.act.softplusActivation(2.0)(z, do_gradient=True, do_Hessian=True),
        strict=True,
    ):
        assert torch.allclose(found, wanted, rtol=1e-13)
    step = 1e-6
    (found,) = torch.autograd.grad(f(z, do_gradient=True, do_Hessian=True)[2].sum(), f.beta)
    jets = [ours.act.softplusActivation(2.0 + s)(z, do_gradient=True, do_Hessian=True)[2].sum() for s in (step, -step)]
    assert found.item() == pytest.approx((jets[0] - jets[1]).item() / (2 * step), rel=1e-6)


def test_complex_points_are_refused():
    with pytest.raises(TypeError, match="wanted real numbers"):
        ours.act.tanhActivation()(torch.ones(2, dtype=torch.complex128))
