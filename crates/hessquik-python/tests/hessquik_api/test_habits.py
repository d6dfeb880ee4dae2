"""What torch users expect of modules: copies, precision, hooks, other owners of the weights, threads, workers."""

import copy
import io
import pickle
import threading

import pytest
import torch
import torch.nn.utils.prune
from torch_cases import ALL, Jets, close, loss_of, ours

FULL = {"do_gradient": True, "do_Hessian": True}


@pytest.fixture
def f():
    return ours.net.NN(
        ours.lay.singleLayer(3, 8, act=ours.act.tanhActivation()),
        ours.net.resnetNN(8, 2, h=0.5, act=ours.act.softplusActivation()),
        ours.lay.singleLayer(8, 2),
    )


@pytest.fixture
def x():
    return torch.randn(7, 3)


def fresh(f):
    """The same network, built anew from its weights."""
    g = copy.deepcopy(f)
    g.load_state_dict(f.state_dict())
    return g


@pytest.mark.parametrize("name", ALL)
def test_copies(name):
    build, d = ALL[name]
    f, x = build(ours), torch.randn(5, d, requires_grad=True)
    for options in (FULL, FULL | {"forward_mode": None}):  # the second leaves something for a backward call
        f(x, **options)
        wanted = f(x, **FULL)
        for g in (copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
            close(g(x, **FULL), wanted)
            with torch.no_grad():
                for p in g.parameters():
                    p.zero_()
            close(f(x, **FULL), wanted)
        file = io.BytesIO()
        torch.save(f, file)
        file.seek(0)
        close(torch.load(file, weights_only=False)(x, **FULL), wanted)


def test_precision(f, x):
    wanted = f(x, **FULL)
    results = f.float()(x.float(), **FULL)
    assert all(r.dtype == torch.float32 for r in results)
    close([r.double() for r in results], wanted, 1e-5)
    close(f.double()(x, **FULL), wanted, 1e-6)
    assert ours.lay.singleLayer(2, 3, dtype=torch.float32).K.dtype == torch.float32
    assert ours.net.ICNN(2, [None, 3], device="meta")[0].K.device.type == "meta"


def test_requires_grad(f, x):
    assert all(r.requires_grad for r in f(x, **FULL))
    with torch.no_grad():
        assert not any(r.requires_grad for r in f(x, **FULL))
    with torch.inference_mode():
        close(f(x, **FULL), f(x, **FULL))
    f.requires_grad_(False)
    assert not any(r.requires_grad for r in f(x, **FULL))
    y = x.clone().requires_grad_()
    loss_of(f(y, **FULL)).backward()
    assert y.grad.shape == y.shape
    assert all(p.grad is None for p in f.parameters())


def test_some_weights_frozen(f, x):
    f[1].requires_grad_(False)
    loss_of(f(x, **FULL)).backward()
    found = [p.grad for p in f.parameters()]
    assert [g is None for g in found] == [not p.requires_grad for p in f.parameters()]
    g = fresh(f).requires_grad_(True)
    loss_of(g(x, **FULL)).backward()
    close(
        [a for a in found if a is not None],
        [b.grad for a, b in zip(found, g.parameters(), strict=True) if a is not None],
    )


def test_results_can_be_changed_in_place(f, x):
    value, gradient, hessian = f(x, **FULL)
    kept = value.detach().clone()
    value *= 2
    gradient += 1
    hessian[:, 0] = 0
    close([value], [2 * kept])
    (value.sum() + gradient.sum() + hessian.sum()).backward()


def test_points_of_any_strides(f, x):
    wanted = f(x, **FULL)
    wide = torch.randn(7, 9)
    wide[:, 1:8:3] = x
    for y in (wide[:, 1:8:3], x.t().contiguous().t(), torch.stack([x, x])[1]):
        assert y.requires_grad is False
        close(f(y, **FULL), wanted)
    close(f(x[:1].expand(7, 3), **FULL), [r[:1].expand_as(r) for r in wanted])
    y = wide[:, 1:8:3].requires_grad_()
    z = x.clone().requires_grad_()
    close(
        torch.autograd.grad(loss_of(f(y, **FULL)), y),
        torch.autograd.grad(loss_of(f(z, **FULL)), z),
    )


def changes(f):
    """Every way in which programs change weights."""
    with torch.no_grad():
        f[0].K.mul_(1.1)
    yield "in place"
    f[0].K.data.add_(0.1)
    yield "through .data"
    f[0].K.data = f[0].K.data * 1.1
    yield "by new data"
    f[0].K.detach().numpy()[0] += 0.5
    yield "through numpy"
    f[0].K = torch.nn.Parameter(torch.randn(3, 8))
    yield "by a new parameter"
    f.load_state_dict({k: 0.9 * v for k, v in f.state_dict().items()})
    yield "by a state dict"
    ours.utils.insert_data(f, 1.1 * ours.utils.extract_data(f))
    yield "by a vector"
    f[1][0].layer.K.data = f[1][0].layer.K.data.t()
    yield "by a transpose"
    f[1][1] = ours.lay.resnetLayer(8, act=ours.act.tanhActivation())
    yield "by a new layer"
    f[1].append(ours.lay.resnetLayer(8))
    yield "by one more layer"
    f.insert(1, ours.lay.resnetLayer(8, act=ours.act.sinActivation()))
    yield "by a layer between"
    del f[1]
    yield "by a layer less"
    f[1][0].h = 2.0
    yield "by another step"
    f[1][0].layer.act.beta = 3.0
    yield "by another beta"
    f[0].act = ours.act.geluActivation()
    yield "by another activation"
    f[0].b = None
    yield "by no bias"
    optimizer = torch.optim.Adam(f.parameters(), lr=0.1, fused=True)
    loss_of(f(torch.ones(1, 3))).backward()
    optimizer.step()
    yield "by a fused optimizer"
    torch.nn.utils.prune.l1_unstructured(f[0], "K", 0.5)
    yield "by pruning"
    torch.nn.utils.parametrizations.weight_norm(f[-1], "K")
    yield "by a parametrization"
    with torch.no_grad():
        f[-1].parametrizations.K.original0.mul_(2)
    yield "inside a parametrization"


def test_no_stale_weights(f, x):
    seen = f(x, **FULL)
    for how in changes(f):
        found = f(x, **FULL)
        # as hessQuik would: layer after layer, which keeps nothing
        u, df, d2f = x, None, None
        layers = [m for m in f.modules() if isinstance(m, (ours.lay.singleLayer, ours.lay.resnetLayer))]
        inner = {m.layer for m in layers if isinstance(m, ours.lay.resnetLayer)}
        for layer in (m for m in layers if m not in inner):
            u, df, d2f = layer(u, **FULL, dudx=df, d2ud2x=d2f)
        close(found, (u, df, d2f))
        if how != "by a parametrization":  # which leaves the weights as they are, to the last bit
            assert not all(torch.equal(a, b) for a, b in zip(found, seen, strict=True)), how
        seen = found


def test_weights_changed_before_the_backward_pass(f, x):
    loss = loss_of(f(x, **FULL))
    with torch.no_grad():
        f[0].K.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_two_graphs_with_other_weights_between(f, x):
    g = fresh(f)
    first = loss_of(f(x, **FULL))
    f[0].K.data = 2 * f[0].K.data
    loss_of(f(x, **FULL))
    h = fresh(f)
    loss_of(h(x, **FULL)).backward()
    del first
    loss_of(f(x, **FULL)).backward()
    close([p.grad for p in f.parameters()], [p.grad for p in h.parameters()])
    loss_of(g(x, **FULL)).backward()


def test_shared_layers(x):
    layer = ours.lay.resnetLayer(3, act=ours.act.tanhActivation())
    f, g = ours.net.NN(layer, layer), ours.net.NN(layer, copy.deepcopy(layer))
    close(f(x, **FULL), g(x, **FULL))
    loss_of(f(x, **FULL)).backward()
    found = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    loss_of(g(x, **FULL)).backward()
    close(found, [a.grad + b.grad for a, b in zip(g[0].parameters(), g[1].parameters(), strict=True)])


def test_functional_call(f, x):
    other = {n: 2 * p.detach() for n, p in f.named_parameters()}
    before = f(x, **FULL)
    found = torch.func.functional_call(f, other, (x,), FULL)
    close(f(x, **FULL), before)
    g = copy.deepcopy(f)
    g.load_state_dict(other)
    close(found, g(x, **FULL))


def test_hooks_are_called(f, x):
    wanted = f(x, **FULL)
    seen = []
    handle = f[1][0].register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    close(f(x, **FULL), wanted)
    assert len(seen) == 1 and seen[0].shape == (7, 8)
    handle.remove()
    close(f(x, **FULL), wanted)
    assert len(seen) == 1
    with f[0].act.register_forward_hook(lambda module, inputs, output: seen.append(output)):
        close(f(x, **FULL), wanted)
    assert len(seen) == 2


def test_slices_are_networks(f, x):
    head = f[:2]
    assert type(head) is ours.net.NN and head.dim_output() == 8
    u, dudx, d2ud2x = head(x, **FULL)
    close(f[2](u, **FULL, dudx=dudx, d2ud2x=d2ud2x), f(x, **FULL))
    assert type(ours.net.resnetNN(3, 4)[1:3]) is ours.net.NN


def test_threads(f, x):
    networks = [f, copy.deepcopy(f)]
    with torch.no_grad():
        networks[1][0].K.mul_(2)
    wanted = [g(x, **FULL) for g in networks]
    points = torch.randn(3000, 3)
    large = [g(points, **FULL) for g in networks]
    copies = [copy.deepcopy(networks[i % 2]) for i in range(4)]
    failures = []

    def work(i):
        try:
            for _ in range(20):
                close(networks[i % 2](x, **FULL), wanted[i % 2])
                close(networks[i % 2](points, **FULL), large[i % 2])
                # other weights for a while, which PyTorch puts into the module itself: each thread has its own
                other = {n: p.detach() for n, p in networks[(i + 1) % 2].named_parameters()}
                close(torch.func.functional_call(copies[i], other, (x,), FULL), wanted[(i + 1) % 2])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_dataloader_workers(f, context):
    f(torch.randn(5000, 3), **FULL)  # threads of the engine are running when workers are forked
    loader = torch.utils.data.DataLoader(Jets(f), batch_size=None, num_workers=2, multiprocessing_context=context)
    batches = list(loader)
    assert len(batches) == 8
    for x, *jet in batches:
        close(jet, [r.detach() for r in f(x, **FULL)])


def test_compile(f, x):
    y = x.clone().requires_grad_()
    compiled = torch.compile(f, backend="aot_eager")
    close(compiled(x, **FULL), f(x, **FULL))
    close(
        torch.autograd.grad(loss_of(compiled(y, **FULL)), [y, *f.parameters()]),
        torch.autograd.grad(loss_of(f(y, **FULL)), [y, *f.parameters()]),
    )
    with torch.no_grad():
        f[0].K.mul_(2)
    close(compiled(x, **FULL), f(x, **FULL))
    close(compiled(torch.cat([x, x]), **FULL), f(torch.cat([x, x]), **FULL))


def test_compile_of_a_whole_step_is_one_graph(f, x):
    def loss(x):
        value, gradient, hessian = f(x, **FULL)
        return value.square().sum() + gradient.square().sum() + hessian.square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    close([compiled(x)], [loss(x)])
