"""Composition by hessQuik's protocol: dudx and d2ud2x, dgdf and d2gd2f, layers of users' own, hessQuik's layers."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch_cases import ALL, close, loss_of, ours

FULL = {"do_gradient": True, "do_Hessian": True}


class handWritten(ours.lay.hessQuikLayer):
    """f(u) = sin(u K), with forward and backward passes of its own, as the manual has it."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.K = nn.Parameter(torch.randn(n_in, n_out))
        self.z = None

    def dim_input(self):
        return self.K.shape[0]

    def dim_output(self):
        return self.K.shape[1]

    def forward(
        self,
        u,
        do_gradient=False,
        do_Hessian=False,
        do_Laplacian=False,
        forward_mode=True,
        dudx=None,
        d2ud2x=None,
        v=None,
    ):
        self.z = z = u @ self.K
        df = d2f = None
        if (do_gradient or do_Hessian or do_Laplacian) and forward_mode is True:
            df = torch.cos(z).unsqueeze(1) * (self.K if v is None else v @ self.K)
            a = (self.K if v is None else v @ self.K).expand(len(u), -1, -1) if dudx is None else dudx @ self.K
            if do_Hessian:
                d2f = -torch.sin(z)[:, None, None] * a.unsqueeze(2) * a.unsqueeze(1)
            elif do_Laplacian:
                d2f = -(torch.sin(z).unsqueeze(1) * (a * a).sum(1, keepdim=True))
            if d2ud2x is not None:
                d2f = d2f + torch.cos(z).view(len(z), *[1] * (d2ud2x.dim() - 2), -1) * (d2ud2x @ self.K)
            if dudx is not None:
                df = torch.cos(z).unsqueeze(1) * a
        elif (do_gradient or do_Hessian) and forward_mode is False:
            df, d2f = self.backward(do_Hessian=do_Hessian, v=v)
        return torch.sin(z), df, d2f

    def backward(self, do_Hessian=False, dgdf=None, d2gd2f=None, v=None):
        jacobian = torch.cos(self.z).unsqueeze(1) * self.K
        weights = torch.eye(self.K.shape[1]).unsqueeze(0) if dgdf is None else dgdf
        if v is not None:
            weights = weights @ v
        d2g = None
        if do_Hessian:
            d2g = torch.einsum(
                "ap,bp,sp,spr->sabr", self.K, self.K, -torch.sin(self.z), weights.expand(len(self.z), -1, -1)
            )
            if d2gd2f is not None:
                d2g = d2g + torch.einsum("sap,spqr,sbq->sabr", jacobian, d2gd2f if v is None else d2gd2f @ v, jacobian)
        return jacobian @ weights, d2g


class oldWritten(handWritten):
    """The same, written before there were Laplacians and directions."""

    def forward(self, u, do_gradient=False, do_Hessian=False, forward_mode=True, dudx=None, d2ud2x=None):
        return super().forward(u, do_gradient, do_Hessian, False, forward_mode, dudx, d2ud2x)


class byForm(ours.lay.formLayer):
    """The same, by its form."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.K = nn.Parameter(torch.randn(n_in, n_out))

    def dim_input(self):
        return self.K.shape[0]

    def dim_output(self):
        return self.K.shape[1]

    def form(self):
        return ours.lay.Form(self.K, act=ours.act.sinActivation())


def byEngine(n_in, n_out):
    """The same, of layers that the engine knows."""
    return ours.lay.singleLayer(n_in, n_out, act=ours.act.sinActivation(), bias=False)


PLACES = {
    "first": lambda own: ours.net.NN(own(3, 5), ours.net.resnetNN(5, 2), ours.lay.singleLayer(5, 2)),
    "middle": lambda own: ours.net.NN(
        ours.lay.singleLayer(3, 6, act=ours.act.tanhActivation()),
        ours.lay.resnetLayer(6, h=0.5, act=ours.act.sigmoidActivation()),
        own(6, 4),
        ours.net.NN(ours.lay.resnetLayer(4, act=ours.act.tanhActivation()), ours.lay.quadraticLayer(4, 2)),
    ),
    "last": lambda own: ours.net.NN(ours.net.fullyConnectedNN([3, 6, 5]), own(5, 4)),
    "nested": lambda own: ours.net.NN(
        ours.net.NN(ours.lay.singleLayer(3, 4, act=ours.act.tanhActivation()), own(4, 5)), ours.net.resnetNN(5, 2)
    ),
    "twice": lambda own: ours.net.NN(own(3, 4), ours.net.resnetNN(4, 2), own(4, 5)),
}


@pytest.mark.parametrize("own", [handWritten, oldWritten, byForm], ids=lambda c: c.__name__)
@pytest.mark.parametrize("place", PLACES)
def test_layers_of_ones_own(place, own):
    f, g = PLACES[place](own), PLACES[place](byEngine)
    g.load_state_dict(f.state_dict())
    x = torch.randn(7, 3)
    for kwargs in ({}, {"do_gradient": True}, FULL, {"do_gradient": True, "do_Laplacian": True}):
        for mode in ({}, {"forward_mode": True}, {"forward_mode": False}):
            close(f(x, **kwargs, **mode), g(x, **kwargs, **mode))
    if own is not oldWritten:
        v, u = torch.randn(2, 3), torch.randn(f.dim_output(), 2)
        close(f(x, **FULL, v=v, forward_mode=True), g(x, **FULL, v=v, forward_mode=True))
        close(f(x, **FULL, v=u, forward_mode=False), g(x, **FULL, v=u, forward_mode=False))
    for mode in (True, False):
        gradients = [
            torch.autograd.grad(loss_of(h(y, **FULL, forward_mode=mode)), [y, *h.parameters()])
            for h, y in ((f, x.clone().requires_grad_()), (g, x.clone().requires_grad_()))
        ]
        close(*gradients, 1e-10)
    assert (f._structure.architecture is not None) == (own is byForm)  # forms go to the engine


@pytest.mark.parametrize("name", ALL)
def test_forward_continues_a_composition(name):
    build, d = ALL[name]
    f = build(ours)
    inner = ours.net.fullyConnectedNN([2, 5, d], act=ours.act.tanhActivation())
    x = torch.randn(6, 2, requires_grad=True)
    u, dudx, d2ud2x = inner(x, **FULL)
    whole = ours.net.NN(inner, f)
    found, wanted = f(u, **FULL, forward_mode=True, dudx=dudx, d2ud2x=d2ud2x), whole(x, **FULL)
    close(found, wanted)
    parameters = [x, *whole.parameters()]
    close(
        torch.autograd.grad(loss_of(found), parameters, retain_graph=True),
        torch.autograd.grad(loss_of(wanted), parameters),
        1e-10,
    )
    close(f(u, do_gradient=True, forward_mode=True, dudx=dudx), (*wanted[:2], None))
    trace = d2ud2x.diagonal(dim1=1, dim2=2).sum(-1).unsqueeze(1)
    laplacian = {"do_gradient": True, "do_Laplacian": True}
    close(f(u, **laplacian, dudx=dudx, d2ud2x=trace), whole(x, **laplacian))


@pytest.mark.parametrize("name", ALL)
def test_backward_prepends_to_a_function(name):
    build, d = ALL[name]
    f = build(ours)
    g = ours.net.fullyConnectedNN([f.dim_output(), 5, 3], act=ours.act.tanhActivation())
    x = torch.randn(6, d, requires_grad=True)
    u = f(x, **FULL, forward_mode=None)
    assert u[1:] == (None, None)
    assert g(u[0], **FULL, forward_mode=None)[1:] == (None, None)
    dgdf, d2gd2f = g.backward(do_Hessian=True)
    found = f.backward(do_Hessian=True, dgdf=dgdf, d2gd2f=d2gd2f)
    whole = ours.net.NN(f, g)
    wanted = whole(x, **FULL)[1:]
    close(found, wanted)
    parameters = [x, *whole.parameters()]
    close(
        torch.autograd.grad(loss_of(found), parameters, retain_graph=True, allow_unused=True),
        torch.autograd.grad(loss_of(wanted), parameters, allow_unused=True),
        1e-10,
    )
    close(f.backward(dgdf=dgdf), (wanted[0], None))
    v = torch.randn(3, 2)
    close(f.backward(do_Hessian=True, dgdf=dgdf, d2gd2f=d2gd2f, v=v), (wanted[0] @ v, wanted[1] @ v))


def test_layers_of_hessquik_compose_with_ours():
    pytest.importorskip("hessQuik")
    import hessQuik.activations
    import hessQuik.layers
    import hessQuik.networks

    theirs = SimpleNamespace(act=hessQuik.activations, lay=hessQuik.layers, net=hessQuik.networks)

    def build(inner, outer):
        return outer.net.NN(
            outer.lay.singleLayer(3, 5, act=outer.act.tanhActivation()),
            inner.lay.resnetLayer(5, h=0.5, act=inner.act.softplusActivation()),
            outer.net.resnetNN(5, 2, act=outer.act.tanhActivation()),
        )

    mixed, wanted = build(theirs, ours), build(ours, ours)
    other = build(ours, theirs)  # ours in hessQuik's network
    mixed.load_state_dict(wanted.state_dict())
    other.load_state_dict(wanted.state_dict())
    x = torch.randn(7, 3)
    for mode in (True, False):
        for f in (mixed, other):
            close(f(x, **FULL, forward_mode=mode), wanted(x, **FULL, forward_mode=mode))
    laplacian = {"do_gradient": True, "do_Laplacian": True}
    close(mixed(x, **laplacian), wanted(x, **laplacian))
    close(other(x, **laplacian), wanted(x, **laplacian))


def test_a_residual_layer_of_ones_own_around_ours():
    """The way hessQuik's own resnetLayer is written: calls of the inner layer's forward and backward."""

    class residual(ours.lay.hessQuikLayer):
        def __init__(self, width):
            super().__init__()
            self.layer = ours.lay.singleLayer(width, width, act=ours.act.tanhActivation())

        def dim_input(self):
            return self.layer.dim_input()

        def dim_output(self):
            return self.layer.dim_output()

        def forward(self, u, do_gradient=False, do_Hessian=False, forward_mode=True, dudx=None, d2ud2x=None, **kwargs):
            mode = True if forward_mode is True else None
            f, df, d2f = self.layer(
                u, do_gradient=do_gradient, do_Hessian=do_Hessian, forward_mode=mode, dudx=dudx, d2ud2x=d2ud2x
            )
            if df is not None:
                df = df + (torch.eye(u.shape[1]) if dudx is None else dudx)
                if d2ud2x is not None:
                    d2f = d2f + d2ud2x
            if (do_gradient or do_Hessian) and forward_mode is False:
                df, d2f = self.backward(do_Hessian=do_Hessian)
            return u + f, df, d2f

        def backward(self, do_Hessian=False, dgdf=None, d2gd2f=None, v=None):
            df, d2f = self.layer.backward(do_Hessian=do_Hessian)
            jacobian = df + torch.eye(df.shape[1])
            if do_Hessian and dgdf is not None:
                d2f = d2f @ dgdf.unsqueeze(1)
            if d2gd2f is not None:
                d2f = d2f + torch.einsum("sap,spqr,sbq->sabr", jacobian, d2gd2f, jacobian)
            return jacobian if dgdf is None else jacobian @ dgdf, d2f

    f = ours.net.NN(ours.lay.singleLayer(2, 4), residual(4), ours.lay.quadraticLayer(4, 3))
    g = ours.net.NN(
        ours.lay.singleLayer(2, 4),
        ours.lay.resnetLayer(4, act=ours.act.tanhActivation()),
        ours.lay.quadraticLayer(4, 3),
    )
    g.load_state_dict(f.state_dict())
    x = torch.randn(7, 2)
    for mode in ({}, {"forward_mode": True}, {"forward_mode": False}):
        close(f(x, **FULL, **mode), g(x, **FULL, **mode))


def test_an_activation_of_ones_own():
    class cubic(ours.act.hessQuikActivationFunction):
        def forward(self, x, do_gradient=False, do_Hessian=False, forward_mode=True):
            df = d2f = None
            if do_gradient or do_Hessian:
                if forward_mode is None:
                    self.ctx = (x,)
                else:
                    df, d2f = self.compute_derivatives(x, do_Hessian=do_Hessian)
            return x**3 / 3, df, d2f

        def compute_derivatives(self, *args, do_Hessian=False):
            return args[0] ** 2, 2 * args[0] if do_Hessian else None

    f = ours.net.NN(ours.lay.singleLayer(2, 5, act=cubic()), ours.lay.singleLayer(5, 1))
    x = torch.randn(7, 2)
    assert f.setup_forward_mode() is False
    found = f(x, **FULL)
    hessian = torch.stack([torch.autograd.functional.hessian(lambda y: f(y[None])[0].sum(), row) for row in x])
    close([found[2][..., 0]], [hessian], 1e-10)
    assert f._structure.architecture is None
