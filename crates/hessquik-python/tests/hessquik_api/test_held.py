"""What a module holds is looked at, always; what memory tensors have; what forward calls keep for backward calls."""

import pytest
import torch
from torch import nn
from torch_cases import close, loss_of, ours

FULL = {"do_gradient": True, "do_Hessian": True}
pytestmark = pytest.mark.filterwarnings("ignore::hessquik_rs.errors.SlowerWarning")


def build(h=0.5):
    return ours.net.NN(
        ours.lay.singleLayer(3, 6, act="tanh"), ours.lay.resnetLayer(6, h=h, act="softplus"), ours.lay.singleLayer(6, 2)
    )


def again(f, h, act=None, beta=1.0):
    """The same network with these settings, made of numbers."""
    g = ours.net.NN(
        ours.lay.singleLayer(3, 6, act="tanh" if act is None else act),
        ours.lay.resnetLayer(6, h=h, act=ours.act.softplusActivation(beta)),
        ours.lay.singleLayer(6, 2),
    )
    g.load_state_dict({k: v for k, v in f.state_dict().items() if k in g.state_dict()})
    return g


def assigned(f):
    f[1].h = 0.1
    return again(f, 0.1)


def into_vars(f):
    vars(f[1]).update(h=0.1)
    return again(f, 0.1)


def into_modules(f):
    f[0]._modules["act"] = ours.act.sinActivation()
    return again(f, 0.5, "sin")


def of_torch(f):
    f[0]._modules["act"] = nn.Sigmoid()
    return again(f, 0.5, "sigmoid")


def replaced_layer(f):
    f._modules["1"] = ours.lay.resnetLayer(6, h=0.2, act=ours.act.softplusActivation())
    return again(f, 0.2)


def tensor_h(f):
    f[1].h = torch.tensor(0.5)
    f(torch.ones(1, 3), **FULL)
    f[1].h.fill_(0.25)
    return again(f, 0.25)


def tensor_beta(f):
    f[1].layer.act.beta = torch.tensor(1.0)
    f(torch.ones(1, 3), **FULL)
    f[1].layer.act.beta.mul_(3)
    return again(f, 0.5, beta=3.0)


def setting_of_the_activation(f):
    vars(f[1].layer.act)["beta"] = 2.0
    return again(f, 0.5, beta=2.0)


def patched_activation(f):
    plain = ours.act.tanhActivation()
    f[0].act.forward = lambda z, **options: tuple(None if r is None else 2 * r for r in plain(z, **options))
    g = again(f, 0.5)
    g[0].act.forward = f[0].act.forward
    g[0].__class__ = type("unknown", (type(g[0]),), {"architecture": lambda self: None})
    return g


CHANGES = [
    assigned, into_vars, into_modules, of_torch, replaced_layer, tensor_h, tensor_beta, setting_of_the_activation,
    patched_activation,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_changes_are_seen(change):
    f, x = build(), torch.randn(5, 3)
    before = f(x, **FULL)
    g = change(f)
    close(f(x, **FULL), g(x, **FULL))
    assert not torch.equal(f(x)[0], before[0])


@pytest.mark.parametrize("shape", [(), (1,), (6,)])
def test_a_step_that_is_trained(shape):
    f, x = build(), torch.randn(5, 3)
    f[1].h = nn.Parameter(torch.full(shape, 0.5))
    close(f(x, **FULL), again(f, 0.5)(x, **FULL))
    (found,) = torch.autograd.grad(loss_of(f(x, **FULL)), f[1].h)
    step = 1e-6
    losses = [loss_of(again(f, 0.5 + s)(x, **FULL)) for s in (step, -step)]
    assert found.sum().item() == pytest.approx((losses[0] - losses[1]).item() / (2 * step), rel=1e-5)


def test_subclasses_with_a_function_of_their_own():
    class double(ours.act.tanhActivation):
        def value(self, x):
            return 2 * torch.tanh(x)

        def saves(self, x, sigma):
            return (x,)

        def compute_derivatives(self, *args, do_Hessian=False):
            first = 2 / torch.cosh(args[0]) ** 2
            return first, -2 * torch.tanh(args[0]) * first if do_Hessian else None

    class shifted(ours.lay.singleLayer):
        def form(self, K, b):
            return ours.lay.Form(2 * K, b, self.act)

    x = torch.randn(5, 3)
    f = ours.net.NN(ours.lay.singleLayer(3, 4, act=double()), ours.lay.singleLayer(4, 1))
    g = ours.net.NN(ours.lay.singleLayer(3, 4, act="tanh"), ours.lay.singleLayer(4, 1))
    g.load_state_dict(f.state_dict())
    with torch.no_grad():
        g[1].K.mul_(2)
    close(f(x, **FULL), g(x, **FULL))
    f = ours.net.NN(shifted(3, 4, act="tanh"), ours.lay.singleLayer(4, 1))
    g.load_state_dict(f.state_dict())
    with torch.no_grad():
        g[0].K.mul_(2)
    close(f(x, **FULL), g(x, **FULL))
    assert f._structure.architecture is not None  # the form goes to the engine


@pytest.mark.parametrize("what", ["points", "weight", "v", "cotangent"])
def test_negative_bits(what):
    f, x, v = build(), torch.randn(5, 3), torch.randn(2, 3)
    negative = lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag  # noqa: E731
    K = f[0].K.detach().clone()
    wanted = f(x, **FULL, v=v, forward_mode=True)
    if what == "points":
        assert negative(x).is_neg()
        found = f(negative(x), **FULL, v=v, forward_mode=True)
    elif what == "weight":
        f[0].K.data = negative(K)
        found = f(x, **FULL, v=v, forward_mode=True)
    elif what == "v":
        found = f(x, **FULL, v=negative(v), forward_mode=True)
    else:
        y = x.clone().requires_grad_()
        value = f(y)[0]
        bar = torch.randn_like(value)
        found = torch.autograd.grad(value, y, negative(bar), retain_graph=True)
        wanted = torch.autograd.grad(value, y, bar)
    close(found, wanted)


@pytest.mark.parametrize("size", [0, 8, 64])
@pytest.mark.parametrize("what", ["points", "weight", "between"])
def test_storage_that_was_taken_away_is_an_error(what, size):
    f, x = build(), torch.randn(5, 3)
    if what == "between":
        loss = loss_of(f(x, **FULL))
        f[0].K.untyped_storage().resize_(size)
        with pytest.raises(RuntimeError, match="bytes of storage"):
            loss.backward()
        return
    (x if what == "points" else f[0].K).untyped_storage().resize_(size)
    with torch.no_grad(), pytest.raises(RuntimeError, match="bytes of storage"):
        f(x, **FULL)


def spoiled(f, x):
    x.add_(1.0)
    f[0].K.data.mul_(2.0)
    f[2].b.detach().numpy()[:] = 7.0
    f[1].layer.K = nn.Parameter(torch.randn(6, 6))


@pytest.mark.parametrize("options", [{}, {"do_Hessian": True}], ids=str)
@pytest.mark.parametrize("outer", [False, True])
def test_backward_is_at_the_points_and_weights_of_forward(options, outer):
    f, x = build(), torch.randn(5, 3)
    g = {}
    if outer:
        g = {"dgdf": torch.randn(5, 2, 4), "d2gd2f": torch.randn(5, 2, 2, 4)}
    f(x, **FULL, forward_mode=None)
    wanted = f.backward(**options, **g)
    f(x, **FULL, forward_mode=None)
    spoiled(f, x)
    close(f.backward(**options, **g), wanted)


def test_backward_after_another_setting_is_refused():
    f, x = build(), torch.randn(5, 3)
    f(x, **FULL, forward_mode=None)
    f[1].h = 0.1
    with pytest.raises(RuntimeError, match="was changed .* call forward again"):
        f.backward()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu", "softplus", "identity", "quadratic", "sin", "antiTanh"])
def test_activations_keep_their_points(name):
    f, x = getattr(ours.act, f"{name}Activation")(), torch.randn(5)
    sigma = f(x, **FULL, forward_mode=None)[0]
    wanted = f.backward(do_Hessian=True)
    x.add_(1.0)
    sigma.mul_(3.0)
    close(f.backward(do_Hessian=True), wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_right_to_its_precision(dtype):
    f = ours.net.fullyConnectedNN([3, 16, 16, 2], act="tanh").to(dtype)
    with torch.no_grad():
        f[0].K.mul_(300)  # whose squares are beyond float16
    x = torch.randn(7, 3).to(dtype) / 1000
    found = f(x, **FULL, forward_mode=True)
    wanted = f.double()(x.double(), **FULL)
    for a, b in zip(found, wanted, strict=True):
        b = b.to(dtype)
        assert a.dtype == dtype
        assert (
            torch.allclose(
                a.double(),
                b.double(),
                rtol=2 * torch.finfo(dtype).eps,
                atol=1e-3 * b.abs().max().item(),
                equal_nan=False,
            )
            or b.isinf().any()
        )
