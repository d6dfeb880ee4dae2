"""The engine is not left without a word: strides, hooks, forms, transforms, compilers; what leaves it says why,
once."""

import warnings

import pytest
import torch
from torch import nn
from torch_cases import close, loss_of, ours

from hessquik_rs.errors import SlowerWarning

FULL = {"do_gradient": True, "do_Hessian": True}


@pytest.fixture
def f():
    return ours.net.NN(
        ours.lay.singleLayer(3, 8, act="tanh"),
        ours.net.resnetNN(8, 2, h=0.5, act="softplus"),
        ours.lay.singleLayer(8, 2),
    )


@pytest.fixture
def x():
    return torch.randn(7, 3)


class silent(warnings.catch_warnings):
    """Makes an error of leaving the engine."""

    def __enter__(self):
        super().__enter__()
        warnings.simplefilter("error", SlowerWarning)


def strided(t):
    """The same entries in every other place of a larger transposed tensor."""
    wide = torch.zeros(*[2 * n for n in reversed(t.shape)])
    view = wide[tuple(slice(None, None, 2) for _ in t.shape)].permute(*reversed(range(t.dim())))
    view.copy_(t)
    return view


def test_strided_weights_stay_on_the_engine(f, x):
    wanted = f(x, **FULL)
    gradients = torch.autograd.grad(loss_of(wanted), list(f.parameters()))
    with torch.no_grad():
        for p in f.parameters():
            p.data = strided(p.data)
            assert not p.is_contiguous()
    with silent():
        assert f.explain(x).startswith("evaluated by the engine")
        found = f(x, **FULL)
        close(found, wanted)
        close(torch.autograd.grad(loss_of(found), list(f.parameters())), gradients)
        f[0].K = nn.Parameter(torch.nn.Linear(3, 8).weight.T)
        f[0].b.data = torch.ones(1).expand(8)
        f(x, **FULL)


def test_hooks_that_look_do_not_matter(f, x):
    wanted = f(x, **FULL)
    seen = []
    handles = [m.register_forward_hook(lambda m, i, o: seen.append((m, i, o))) for n, m in f.named_modules() if n]
    handles += [m.register_forward_pre_hook(lambda m, i: seen.append((m, i))) for n, m in f.named_modules() if n]
    with silent():
        assert all(torch.equal(a, b) for a, b in zip(f(x, **FULL, forward_mode=True), wanted, strict=True))
    inside = [m for n, m in f.named_modules() if n]
    assert len(seen) == 2 * len(inside)
    # each layer sees what hessQuik's would
    u, dudx, d2ud2x = f[0](x, **FULL)
    outputs = {m: o for m, i, *rest in seen for o in rest}
    close(outputs[f[0]], (u, dudx, d2ud2x))
    close(outputs[f[1]], f[1](u, **FULL, dudx=dudx, d2ud2x=d2ud2x, forward_mode=True))
    close(outputs[f[2]], wanted)
    z = u @ f[1][0].layer.K + f[1][0].layer.b
    close(outputs[f[1][0].layer.act], f[1][0].layer.act(z, **FULL))
    for handle in handles:
        handle.remove()
    assert f(x)[0].shape == (7, 2) and not f._structure.hooked


def doubled(module, inputs, output):
    return (2 * output[0], *output[1:])


def doubled_in_place(module, inputs, output):
    output[0].mul_(2)


@pytest.mark.parametrize("hook", [doubled, doubled_in_place])
def test_hooks_that_change_results_do(f, x, hook):
    before = f(x)[0]
    with torch.no_grad(), f[1][0].register_forward_hook(hook), pytest.warns(SlowerWarning, match="hook that changes"):
        u = f[1][1](2 * f[1][0].forward(f[0](x)[0])[0])[0]
        close([f(x)[0], f(x)[0]], [f[2](u)[0]] * 2)
    with silent():
        close([f(x)[0]], [before])
        with f[1][0].register_forward_hook(lambda *args: None):
            close([f(x)[0]], [before])


def test_hooks_of_activations_that_change_results(f, x):
    with f[0].act.register_forward_hook(doubled), pytest.warns(SlowerWarning, match="tanhActivation"):
        found = f(x)[0]
    with torch.no_grad():
        u = 2 * f[0](x)[0]
    close([found], [f[2](f[1](u)[0])[0]])


class sine(ours.act.hessQuikActivationFunction):
    def value(self, x):
        return torch.sin(x)

    def compute_derivatives(self, *args, do_Hessian=False):
        return torch.cos(args[0]), -torch.sin(args[0]) if do_Hessian else None


class byForm(ours.lay.formLayer):
    def __init__(self, n_in, n_out, **settings):
        super().__init__()
        self.M = nn.Parameter(torch.randn(n_in, n_out))
        self.settings = settings

    def dim_input(self):
        return self.M.shape[0]

    def dim_output(self):
        W = self.settings.get("W")
        return W.shape[1] if isinstance(W, torch.Tensor) else self.M.shape[1]

    def form(self):
        return ours.lay.Form(self.M, act=ACT, **self.settings)


ACT = ours.act.sinActivation()
FORMS = {
    "single": {},
    "single with bias": {"b": torch.ones(4)},
    "residual": {"S": 1.0, "W": 0.5},
    "two": {"W": torch.linspace(-1, 1, 12).reshape(4, 3).double(), "c": torch.ones(3).double()},
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_go_to_the_engine(name):
    settings = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in FORMS[name].items()}
    layer = byForm(4, 4, **settings)
    f = ours.net.NN(ours.lay.singleLayer(2, 4, act="tanh"), layer)
    x = torch.randn(5, 2, requires_grad=True)
    with silent():
        found = f(x, **FULL)
        assert f.explain(x).startswith("evaluated by the engine")
    u = f[0](x)[0]
    value = layer.form().next(u, torch.sin(u @ layer.M + settings.get("b", 0.0)))
    close([found[0]], [value])
    jacobian = torch.stack(
        [torch.autograd.grad(value[:, j].sum(), x, retain_graph=True)[0] for j in range(value.shape[1])], -1
    )
    close([found[1]], [jacobian])
    (to_M,) = torch.autograd.grad(found[1].sum(), layer.M)
    close([to_M], torch.autograd.grad(layer_sum(f, x), layer.M), 1e-9)


def layer_sum(f, x):
    """The sum of all first derivatives, by autograd through torch operations."""
    layer = f[1]
    u = f[0](x)[0]
    value = layer.form().next(u, torch.sin(u @ layer.M + layer.settings.get("b", 0.0)))
    return torch.autograd.grad(value.sum(), x, create_graph=True)[0].sum()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: setattr(f[0], "act", sine()), "the engine does not know the activation sine"),
        (lambda f: setattr(f[1][0], "h", torch.tensor(0.5)), "h of resnetLayer is a tensor"),
        (lambda f: setattr(f[0], "act", ours.act.antiTanhActivation(offset=0.5)), "has an offset"),
        (lambda f: setattr(f[0].act, "forward", f[0].act.forward), "a function was assigned to forward"),
        (lambda f: f[1].register_full_backward_hook(lambda *args: None), "has hooks"),
    ],
)
def test_what_leaves_the_engine_says_so_once(f, x, change, reason):
    change(f)
    with pytest.warns(SlowerWarning, match=reason):
        f(x, **FULL)
    with silent():
        f(x, **FULL)
        f(2 * x)
    assert reason in f.explain(x)


def test_explain_of_points(f, x):
    assert "evaluated by the engine, in torch.float64" in f.explain(x)
    assert "in torch.float32 and rounded to torch.bfloat16" in f.bfloat16().explain(x.bfloat16())
    assert "x is on meta" in f.to("meta").explain(x.to("meta"))


def test_transforms_stay_on_the_engine(f, x):
    value, gradient, hessian = f(x, **FULL)
    at = lambda point: f(point[None])[0][0]  # noqa: E731
    with silent():
        close([torch.func.vmap(at)(x)], [value])
        close([torch.func.vmap(torch.func.jacrev(at))(x)], [gradient.mT])
        close([torch.func.vmap(torch.func.jacrev(torch.func.jacrev(at)))(x)], [hessian.permute(0, 3, 1, 2)])
        weights = {n: p.detach() for n, p in f.named_parameters()}
        stacked = {n: torch.stack([w, 2 * w]) for n, w in weights.items()}
        call = lambda w: torch.func.functional_call(f, w, (x,), FULL)  # noqa: E731
        found = torch.func.vmap(call)(stacked)
        close([r[1] for r in found], call({n: 2 * w for n, w in weights.items()}))
        to_weights = torch.func.grad(lambda w: loss_of(call(w)))(weights)
    close(to_weights.values(), torch.autograd.grad(loss_of(f(x, **FULL)), list(f.parameters())))
    loss = lambda: torch.func.vmap(torch.func.jacrev(at))(x).square().sum()  # noqa: E731
    close(
        torch.autograd.grad(loss(), list(f.parameters()), allow_unused=True)[:1],
        torch.autograd.grad(f(x, do_gradient=True)[1].square().sum(), list(f.parameters()), allow_unused=True)[:1],
        1e-10,
    )


def test_the_operators_keep_the_rules_of_torch(f, x):
    weights = [p.detach().requires_grad_() for p in f.parameters()]
    f(x)
    call = (f._structure.architecture, 7, False, "auto")
    arguments = (x.clone().requires_grad_(), weights, None, *call)
    torch.library.opcheck(torch.ops.hessquik.evaluate, arguments)
    bars = [r.detach() for r in f(x, **FULL)]
    torch.library.opcheck(torch.ops.hessquik.pullback, (x, [w.detach() for w in weights], None, *bars, *call, True))


def graphs_of(function, *args):
    """The operators of each graph that dynamo makes of a function, and what it returns."""
    graphs = []

    def backend(module, inputs):
        graphs.append([str(node.target) for node in module.graph.nodes if node.op == "call_function"])
        return module

    torch._dynamo.reset()
    return graphs, torch.compile(function, backend=backend, fullgraph=True)(*args)


def test_compiled_graphs_have_the_engine_in_them(f, x):
    def loss(x):
        value, gradient, hessian = f(x, **FULL)
        return value.square().sum() + gradient.square().sum() + hessian.square().sum()

    graphs, found = graphs_of(loss, x)
    close([found], [loss(x)])
    (graph,) = graphs
    assert sum("hessquik.evaluate" in op for op in graph) == 1
    assert not any("matmul" in op or "tanh" in op for op in graph)


def test_compiled_steps_follow_settings_and_weights(f, x):
    torch._dynamo.reset()
    compiled = torch.compile(f, backend="aot_eager", fullgraph=True)
    for h in (0.5, 0.7, 0.9):
        f[1][0].h = h
        close(compiled(x, **FULL), f(x, **FULL))
    with torch.no_grad():
        f[0].K.mul_(2)
    y = x.clone().requires_grad_()
    close(
        torch.autograd.grad(loss_of(compiled(y, **FULL)), [y, *f.parameters()]),
        torch.autograd.grad(loss_of(f(y, **FULL)), [y, *f.parameters()]),
    )
    close(compiled(torch.cat([x, x]), **FULL), f(torch.cat([x, x]), **FULL))
