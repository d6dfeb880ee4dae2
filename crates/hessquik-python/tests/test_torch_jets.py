"""Users' own modules through the front door of PyTorch: the zoo against torch.func, habits of training, errors."""

import warnings
from unittest import mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import torch_zoo  # noqa: E402
import torch_zoo_more  # noqa: E402
from torch import nn  # noqa: E402
from torch.func import functional_call, hessian, jacrev, vmap  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402

import hessquik_rs as hq  # noqa: E402
import hessquik_rs.torch  # noqa: E402

NAMES = "value,gradient,hessian,laplacian"


def points(d, n=4):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 0.6


def reference(model, x):
    """Value, gradient, Hessian and Laplacian by torch.func."""
    parameters = {**dict(model.named_parameters()), **dict(model.named_buffers())}

    def f(p):
        return functional_call(model, parameters, (p[None],)).reshape(-1)

    # torch's fast attention has no forward derivatives
    with sdpa_kernel(SDPBackend.MATH):
        value, gradient = vmap(f)(x), vmap(jacrev(f))(x).mT
        second = vmap(hessian(f))(x).permute(0, 2, 3, 1)
    return value, gradient, second, second.diagonal(0, 1, 2).sum(-1)


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    """By its formula: the third derivatives of torch's own take the standard deviation for constant, and are wrong."""
    dims = tuple(range(-len(shape), 0))
    x = x - x.mean(dims, keepdim=True)
    return x / torch.sqrt((x**2).mean(dims, keepdim=True) + eps) * weight + bias


def by_autograd(model, x):
    """The same by autograd of autograd, for what torch.func cannot batch or derive forward (cells, fast attention)."""

    def slope(of):
        found = torch.autograd.grad(of.sum(), x, create_graph=True, allow_unused=True)[0] if of.requires_grad else None
        return torch.zeros_like(x) if found is None else found

    with sdpa_kernel(SDPBackend.MATH), mock.patch("torch.nn.functional.layer_norm", layer_norm):
        value = model(x).reshape(len(x), -1)
        gradient = torch.stack([slope(value[:, r]) for r in range(value.shape[1])], -1)
        rows = [[slope(gradient[:, a, r]) for a in range(x.shape[1])] for r in range(value.shape[1])]
        second = torch.stack([torch.stack(row, 1) for row in rows], -1)
    return value, gradient, second, second.diagonal(0, 1, 2).sum(-1)


def close(found, expected, tolerance=1e-10):
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


def loss(results):
    """A number that depends on every entry of every result."""
    generator = torch.Generator().manual_seed(5)
    return sum((torch.rand(r.shape, dtype=r.dtype, generator=generator) * r).sum() for r in results)


@pytest.mark.parametrize("name", [*torch_zoo.ZOO, *torch_zoo_more.ZOO])
def test_the_zoo_is_torch_funcs(name):
    model, d = torch_zoo.make(name)
    x = points(d).requires_grad_()
    wanted = [x, *model.parameters()]
    expected = by_autograd(model, x)
    if name in ("modified MLP", "CP-Flow", "SPINN", "norms", "NeRF"):
        for theirs, other in zip(reference(model, x), expected, strict=True):
            close(theirs, other)
    expected = [r.detach() for r in expected], torch.autograd.grad(loss(expected), wanted, allow_unused=True)

    jet = hessquik_rs.torch.jet(model, NAMES)(x)
    found = [r.reshape(e.shape) for r, e in zip(jet, expected[0], strict=True)]
    for ours, theirs in zip(found, expected[0], strict=True):
        close(ours, theirs)
    gradients = torch.autograd.grad(loss(found), wanted, allow_unused=True)
    for ours, theirs in zip(gradients, expected[1], strict=True):
        close(torch.zeros_like(theirs) if ours is None else ours, theirs) if theirs is not None else None


@pytest.mark.parametrize("name", ["modified MLP", "norms", "Psiformer", "hypernetwork"])
def test_frozen_networks_are_the_modules(name, tmp_path):
    model, d = torch_zoo.make(name)
    net = hq.Network.from_torch(model, d)
    net.save(tmp_path / "net.safetensors")
    found = hq.Network.load(tmp_path / "net.safetensors").evaluate(points(d).numpy(), NAMES)
    for ours, theirs in zip(found, reference(model, points(d)), strict=True):
        close(torch.from_numpy(np.ascontiguousarray(ours)).reshape(theirs.shape), theirs.detach())
    assert net.dtype == np.float64
    assert hq.Network.from_torch(model.float(), d).dtype == np.float32


class Ties(torch.nn.Module):
    """Comparisons of multiples that are equal at every point."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 4)

    def forward(self, x):
        h = 0.9 * torch.tanh(self.first(x))
        apart = h.unsqueeze(1) - h.unsqueeze(2)
        same = apart == 0
        inverse = torch.where(same, 0.0, 1.0 / torch.where(same, 1.0, apart)).sum(2)
        largest = h[torch.arange(len(h)), h.argmax(1)].unsqueeze(1)
        return torch.cat([inverse, largest, h.sort(1).values, torch.where(h[:, :1] >= h, h, 2.0)], 1)


def test_equal_entries_are_compared_as_in_torch():
    torch.manual_seed(0)
    model, x = Ties().double(), points(2)
    found = hq.Network.from_torch(model, 2).evaluate(x.numpy(), NAMES)
    for ours, theirs in zip(found, reference(model, x), strict=True):
        close(torch.from_numpy(np.ascontiguousarray(ours)).reshape(theirs.shape), theirs.detach(), 1e-9)


def test_weights_have_the_names_of_parameters():
    net = hq.Network.from_torch(torch_zoo.mlp(2, 4, 1), 2)
    assert net.weight_names() == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_all_requests():
    model, _ = torch_zoo.make("modified MLP")
    x, v, u = (
        points(2),
        torch.tensor([[1.0, 0.5]], dtype=torch.float64),
        torch.tensor([[1.0], [-2.0]], dtype=torch.float64),
    )
    _, gradient, full, _ = reference(model, x)
    jets = hessquik_rs.torch.jet(
        model,
        "gradient,diagonal,packed,hessian",
        operator=[[1.0, 2.0], [0.0, 1.0]],
        products=v,
        block=([0], [0, 1]),
        partials=[(0, 1), (1, 1)],
    )
    jet = jets(x)
    close(jet.diagonal, full.diagonal(0, 1, 2).mT)
    close(jet.packed, full[:, [0, 0, 1], [0, 1, 1]])
    close(jet.operator, full[:, 0, 0] + 2.0 * full[:, 1, 0] + full[:, 1, 1])
    close(jet.products, (full * v[0, None, :, None]).sum(2, keepdim=True))
    close(jet.block, full[:, :1])
    close(jet.partials, full[:, [0, 1], [1, 1]])
    along = hessquik_rs.torch.jet(model, "gradient,hessian", directions=v, outputs=u)(x)
    close(along.gradient, v @ gradient @ u)
    close(along.hessian, (v @ full.permute(0, 3, 1, 2) @ v.mT).permute(0, 2, 3, 1) @ u)
    for mode in ("forward", "backward", "sites"):
        close(hessquik_rs.torch.jet(model, "hessian", mode=mode)(x).hessian, full)


def test_in_torch_operations_the_same():
    model, d = torch_zoo.make("many")
    x = points(d).requires_grad_()
    jets = hessquik_rs.torch.jet(model, NAMES, partials=[(0, 1)])
    native = jets(x)
    call = jets.call(x)
    for ours, theirs in zip(native, call.in_torch(x, call.traced.weights(model)), strict=True):
        close(ours, theirs)


def test_all_results_together_in_torch_operations():
    model, d = torch_zoo.make("SIREN")
    x = points(d)
    names = "value,gradient,hessian,packed,diagonal,laplacian,bilaplacian"
    options = {
        "partials": [(0,), (1, 1, 1)],
        "block": ([1], [0, 1]),
        "operator": {(0,): 2.0, (0, 0, 1): -1.0},
        "products": np.random.default_rng(0).normal(size=(3, d)),
        "directional": 3,
    }
    for extra in ({}, {"directions": np.random.default_rng(1).normal(size=(2, d)), "products": None}):
        jets = hessquik_rs.torch.jet(model, names, **{**options, **extra})
        native, call = jets(x), jets.call(x)
        in_torch = call.in_torch(x, call.traced.weights(model))
        for name, theirs in zip(call.names, in_torch, strict=True):
            ours = getattr(native, name).detach()
            theirs = theirs.detach()
            scale = theirs.abs().max()
            np.testing.assert_allclose(ours.reshape(theirs.shape) / scale, theirs / scale, atol=1e-11, err_msg=name)


def test_second_backward():
    model, d = torch_zoo.make("SIREN")
    x = points(d).requires_grad_()
    results = reference(model, x), tuple(hessquik_rs.torch.jet(model, NAMES)(x))
    twice = []
    for r in results:
        inner = torch.autograd.grad(loss(r), [x, *model.parameters()], create_graph=True)
        outer = torch.autograd.grad(sum((g**2).sum() for g in inner), [x, *model.parameters()], allow_unused=True)
        twice.append([torch.zeros(()) if g is None else g for g in outer])
    for theirs, ours in zip(*twice, strict=True):
        close(ours, theirs)


def test_under_transforms():
    model, d = torch_zoo.make("MFN")
    x = points(d)
    jets = hessquik_rs.torch.jet(model, "laplacian")
    found = torch.func.jacrev(lambda x: jets(x).laplacian.sum())(x)
    expected = torch.func.jacrev(lambda x: reference(model, x)[3].sum())(x)
    close(found, expected)


def test_training_sees_the_models_own_parameters():
    model, d = torch_zoo.make("norms")
    x = points(d)
    jets = hessquik_rs.torch.jet(model, "value,laplacian")
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    model.a.bias.requires_grad_(False)
    kept = model.a.bias.clone()
    for _ in range(3):
        optimiser.zero_grad()
        (jets(x).laplacian ** 2).mean().backward()
        optimiser.step()
    close(jets(x).laplacian, reference(model, x)[3])
    assert torch.equal(model.a.bias, kept)
    with torch.no_grad():
        model.c.weight.mul_(2.0)
        model.batch.running_mean.add_(1.0)  # buffers count as well
    close(jets(x).value, model(x))
    model.load_state_dict({name: t * 0.5 for name, t in model.state_dict().items()})
    close(jets(x).value, model(x))
    model.c = nn.Linear(6, 1).double()
    close(jets(x).value, model(x))


def test_spectral_norm_in_training_mode_goes_on_iterating():
    torch.manual_seed(0)
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 4)), nn.Tanh()).double()
    jets = hessquik_rs.torch.jet(model, "value")
    before = model[0].parametrizations.weight[0]._u.clone()
    jets(points(2))
    assert not torch.equal(before, model[0].parametrizations.weight[0]._u)


def test_half_and_single_precision():
    model, d = torch_zoo.make("MLP with normalisation")
    x = points(d)
    exact = hessquik_rs.torch.jet(model, NAMES)(x)
    single = hessquik_rs.torch.jet(model.float(), NAMES)(x.float())
    half = hessquik_rs.torch.jet(model.to(torch.bfloat16), NAMES)(x.bfloat16())
    for e, s, h in zip(exact, single, half, strict=True):
        assert (s.dtype, h.dtype) == (torch.float32, torch.bfloat16)
        close(s.double(), e, 1e-4)
        close(h.double(), e, 0.1)
    with pytest.raises(hq.errors.DtypeError, match="convert one"):
        hessquik_rs.torch.jet(model.float(), NAMES)(x)


def test_one_number_for_each_point():
    model, d = torch_zoo.make("Psiformer")
    jet = hessquik_rs.torch.jet(model, NAMES)(points(d))
    assert [tuple(r.shape) for r in jet] == [(4,), (4, d), (4, d, d), (4,)]


def module(function):
    class Theirs(nn.Module):
        def forward(self, x):
            return function(x)

    return Theirs().eval()


class Unknown(nn.Module):
    def forward(self, x):
        y = torch.special.i0(x)  # this line
        return y.sum(1, keepdim=True)


def branching(x):
    return x * 2 if x.sum() > 0 else x


def test_errors_name_the_operation_and_the_line():
    inside = nn.Sequential(nn.Linear(2, 2), Unknown())
    for model in (Unknown(), inside.double()):
        with pytest.raises(hq.errors.OperationError, match=r"i0 in .*test_torch_jets.py, line \d+: .*# this line"):
            hessquik_rs.torch.jet(model, "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match=r"test_torch_jets.py, line \d+.*torch.where"):
        hessquik_rs.torch.jet(module(branching), "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match=r"test_torch_jets.py, line \d+.*model.eval"):
        hessquik_rs.torch.jet(module(lambda x: torch.dropout(x, 0.5, True)), "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match="has no derivatives"):
        hessquik_rs.torch.jet(module(lambda x: torch.div(x, 0.3, rounding_mode="floor")), "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match="linalg_inv_ex"):
        hessquik_rs.torch.jet(module(lambda x: torch.linalg.inv(x[:, :, None] * x[:, None])), "value")(points(2))


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is reversed."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, bar):
        return -bar


class Swish(torch.autograd.Function):
    """A backward of its own, and right."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, bar):
        gate = torch.sigmoid(ctx.saved_tensors[0])
        return bar * gate * (1 + ctx.saved_tensors[0] * (1 - gate))


def test_functions_with_a_backward_of_their_own():
    x = points(2)
    close(hessquik_rs.torch.jet(module(Swish.apply), "laplacian")(x).laplacian, reference(nn.SiLU(), x)[3])
    with pytest.raises(hq.errors.OperationError, match="derivatives of its own"):
        hessquik_rs.torch.jet(module(Reversed.apply), "gradient")(x)


def test_instance_norm():
    layers = nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2, affine=True), nn.Flatten(), nn.Tanh()
    model, x = nn.Sequential(*layers).double(), points(6).requires_grad_()
    close(hessquik_rs.torch.jet(model, "hessian")(x).hessian, by_autograd(model, x)[2])


def test_other_numbers_than_real_ones_are_errors():
    with pytest.raises(hq.errors.OperationError, match=r"test_torch_jets.py, line \d+.*complex"):
        hessquik_rs.torch.jet(module(lambda x: torch.exp(1j * x).real), "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match="integers"):
        hessquik_rs.torch.jet(module(lambda x: x * (3 * x).long()), "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match="whole numbers"):
        hessquik_rs.torch.jet(module(lambda x: x * (x.argmax(1, keepdim=True) & 1)), "value")(points(2))
    with pytest.raises(hq.errors.OperationError, match="round"):
        hessquik_rs.torch.jet(module(lambda x: x - torch.floor(x)), "value")(points(2))


@pytest.mark.parametrize(
    ("forward", "named"),
    [
        (lambda x: x - x.mean(0, keepdim=True), "aten.mean"),
        (lambda x: x @ x.T @ x, "aten.m"),
        (lambda x: torch.softmax(x, 0), "softmax"),
        (lambda x: x.cumsum(0), "aten.cumsum"),
        (lambda x: x * x.shape[0], "aten.mul"),
        (lambda x: x.flip(0), "aten.flip"),
    ],
)
@pytest.mark.parametrize("unsupported", ["error", "torch"])
def test_what_mixes_points_is_an_error(forward, named, unsupported):
    with pytest.raises(hq.errors.OperationError, match=f"{named}.*mixes the points"):
        hessquik_rs.torch.jet(module(forward), "value", unsupported=unsupported)(points(2))


def test_batch_norm_in_training_mode_is_an_error():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    jets = hessquik_rs.torch.jet(model, "value", unsupported="torch")
    with pytest.raises(hq.errors.OperationError, match=r"BatchNorm1d '1' in training mode.*model.eval"):
        jets(points(2))
    model.eval()
    close(jets(points(2)).value, model(points(2)))


def test_by_torch_func_with_one_warning():
    linear = nn.Linear(2, 3).double()

    class Bessel(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear

        def forward(self, x):
            return torch.special.i0(self.linear(x))

    model, x = Bessel(), points(2).requires_grad_()
    jets = hessquik_rs.torch.jet(model, NAMES, unsupported="torch")
    with pytest.warns(UserWarning, match="i0"):
        jet = jets(x)
    for ours, theirs in zip(jet, reference(model, x), strict=True):
        close(ours, theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jets(x).laplacian.sum().backward()
    assert linear.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: hessquik_rs.torch.jet(lambda x: x), hq.errors.SettingError, "nn.Module"),
        (lambda: hessquik_rs.torch.jet(nn.Tanh(), unsupported="no"), hq.errors.SettingError, "unsupported"),
        (lambda: hessquik_rs.torch.jet(nn.Tanh())(torch.ones(3)), hq.errors.ShapeError, r"\(n, d\)"),
        (lambda: hessquik_rs.torch.jet(nn.Tanh())(torch.ones(3, 2).int()), hq.errors.DtypeError, "floating"),
        (lambda: hessquik_rs.torch.jet(nn.Tanh(), "jerk")(torch.ones(3, 2)), hq.errors.RequestError, "jerk"),
        (lambda: hessquik_rs.torch.jet(nn.Unflatten(1, (1, 2)))(torch.ones(3, 2)), hq.errors.ShapeError, "row"),
        (lambda: hessquik_rs.torch.jet(nn.Linear(3, 1))(torch.ones(3, 2)), hq.errors.OperationError, "cannot follow"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()


class Settings(nn.Module):
    """A module with settings of several kinds."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(2, 4), nn.Linear(4, 1)
        self.scale, self.act, self.shift = 1.5, torch.tanh, torch.zeros(4)
        self.more, self.twice = [nn.Sigmoid()], False

    def forward(self, x):
        h = self.act(self.scale * self.first(x)) + self.shift
        return self.last(self.more[0](h) * (2 if self.twice else 1))


def change_scale(m):
    m.scale = 0.3


def change_act(m):
    m.act = torch.sin


def change_tensor(m):
    m.shift = torch.ones(4)


def change_list(m):
    m.more[0] = nn.Softplus()


def change_flag(m):
    m.twice = True


def change_layer(m):
    m.last = nn.Linear(4, 1, bias=False)


def remove_bias(m):
    m.first.bias = None


def add_hook(m):
    m.first.register_forward_hook(lambda module, given, out: 2 * out)


CHANGES = [change_scale, change_act, change_tensor, change_list, change_flag, change_layer, remove_bias, add_hook]


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_module_holds_is_looked_at(change):
    module, x = Settings().double(), torch.rand(5, 2, dtype=torch.float64)
    module.shift = module.shift.double()
    jets = hessquik_rs.torch.jet(module, "value")
    torch.testing.assert_close(jets(x).value, module(x), rtol=0, atol=1e-12)
    calls = dict(jets.calls)
    module(x)
    jets(x)
    assert jets.calls.keys() == calls.keys()
    change(module)
    module.double()
    if change is change_tensor:
        module.shift = module.shift.double()
    torch.testing.assert_close(jets(x).value, module(x), rtol=0, atol=1e-12)


def test_settings_that_change_at_every_call_draw_a_warning():
    module, x = Settings(), torch.rand(3, 2)
    jets = hessquik_rs.torch.jet(module, "value")
    with pytest.warns(hq.errors.SlowerWarning, match="register_buffer") as caught:
        for i in range(11):
            module.scale = 1.0 + i
            torch.testing.assert_close(jets(x).value, module(x), rtol=1e-5, atol=1e-6)
    assert len(caught) == 1
    assert len(jets.calls) <= 8


def test_points_whose_storage_is_gone_are_an_error():
    module, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), torch.randn(5, 3)
    jets = hessquik_rs.torch.jet(module, "value")
    jets(x.clone())
    x.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="storage"):
        jets(x)


def test_parameters_whose_storage_is_gone_are_an_error():
    module, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), torch.randn(5, 3)
    jets = hessquik_rs.torch.jet(module, "value")
    module[0].weight.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="storage"):
        jets(x)


def test_a_second_backward_says_that_it_is_slower():
    module, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), torch.randn(5, 3, requires_grad=True)
    jets = hessquik_rs.torch.jet(module, "laplacian")
    with pytest.warns(hq.errors.SlowerWarning, match="second backward") as caught:
        for _ in range(2):
            (g,) = torch.autograd.grad(jets(x).laplacian.sum(), x, create_graph=True)
            g.square().sum().backward()
    assert len(caught) == 1


FUNCTIONS = {
    "erfc": (torch.erfc, [-3.0, -0.1, 0.49, 0.51, 3.0, 9.0]),
    "log1p": (torch.log1p, [1e-20, 1e-5, -1e-9, -0.374, 0.376, 1e5]),
    "asinh": (torch.asinh, [1e-12, -1e-5, 0.499, 0.501, -50.0]),
    "atanh": (torch.atanh, [1e-12, -1e-5, 0.249, 0.251, -0.9]),
    "ndtr": (torch.special.ndtr, [-1.0, -0.51, -0.49, 5.0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_keep_their_digits(name):
    """Values that are small beside the terms of their formulas, and derivatives of these."""
    function, points = FUNCTIONS[name]

    class Module(nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.tensor(points, dtype=torch.float64)[:, None]
    jet = hessquik_rs.torch.jet(Module(), "value,gradient")(x)
    given = x.clone().requires_grad_()
    value = function(given)
    (slope,) = torch.autograd.grad(value.sum(), given)
    torch.testing.assert_close(jet.value, value.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(jet.gradient[..., 0], slope, rtol=1e-12, atol=0)
