"""Errors name the argument, what was found, and what is wanted."""

import pytest
import torch
from torch_cases import ours

FULL = {"do_gradient": True, "do_Hessian": True}


@pytest.fixture
def f():
    return ours.net.fullyConnectedNN([3, 8, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f(torch.randn(5, 4)), ValueError, r"x has shape \[5, 4\], wanted \[n_s, 3\]"),
        (lambda f: f(torch.randn(3), **FULL), ValueError, r"x has shape \[3\], wanted \[n_s, 3\]"),
        (lambda f: f([[1.0, 2.0, 3.0]]), TypeError, r"x is a list, wanted a torch.Tensor of shape \[n_s, 3\]"),
        (
            lambda f: f(torch.randn(5, 3, dtype=torch.float32), **FULL),
            TypeError,
            "x is torch.float32, but the weights are torch.float64",
        ),
        (lambda f: f(torch.zeros(5, 3, dtype=torch.int64)), TypeError, "x is torch.int64"),
        (lambda f: f(torch.randn(5, 3, device="meta")), ValueError, "x is on meta, but the weights are on cpu"),
        (
            lambda f: f(torch.randn(5, 3), **FULL, v=torch.randn(2, 4), forward_mode=True),
            ValueError,
            r"v has shape \[2, 4\], wanted \[k, 3\], input directions",
        ),
        (
            lambda f: f(torch.randn(5, 3), **FULL, v=torch.randn(3, 2), forward_mode=False),
            ValueError,
            r"v has shape \[3, 2\], wanted \[2, q\], output directions",
        ),
        (
            lambda f: f(torch.randn(5, 3), **FULL, forward_mode=True, dudx=torch.randn(5, 2, 4)),
            ValueError,
            r"dudx has shape \[5, 2, 4\], wanted \[n_s, d, n_in\] = \[5, 2, 3\]",
        ),
        (
            lambda f: f(torch.randn(5, 3), **FULL, dudx=torch.randn(5, 2, 3), d2ud2x=torch.randn(5, 2, 3)),
            ValueError,
            r"d2ud2x has shape \[5, 2, 3\], wanted \[n_s, d, d, n_in\] = \[5, 2, 2, 3\]",
        ),
        (
            lambda f: f(torch.randn(5, 3), **FULL, forward_mode=True, d2ud2x=torch.randn(5, 2, 2, 3)),
            ValueError,
            "d2ud2x is given without dudx",
        ),
        (
            lambda f: f(torch.randn(5, 3), **FULL, forward_mode=True, dudx=torch.randn(5, 2, 3), v=torch.randn(1, 2)),
            ValueError,
            "v are directions of the network's input",
        ),
        (lambda f: f.backward(), ValueError, "fullyConnectedNN.backward needs a forward call"),
        (lambda f: ours.act.tanhActivation().backward(), ValueError, "tanhActivation.backward needs a forward call"),
        (lambda f: ours.net.ICNN(3, [None, 4, None]), ValueError, r"widths is \[None, 4, None\]"),
        (lambda f: ours.lay.hessQuikLayer()(torch.randn(5, 3)), NotImplementedError, "needs a method forward"),
        (lambda f: ours.lay.hessQuikLayer().dim_input(), NotImplementedError, "needs a method dim_input"),
        (lambda f: ours.act.hessQuikActivationFunction()(torch.ones(2)), NotImplementedError, "needs a method value"),
    ],
)
def test_errors(f, call, error, message):
    with pytest.raises(error, match=message):
        call(f)


@pytest.mark.parametrize(
    ("argument", "shape", "message"),
    [
        ("dgdf", (5, 3, 1), r"dgdf has shape \[5, 3, 1\], wanted \[n_s, n_out, m\] = \[5, 2, any\]"),
        ("d2gd2f", (5, 2, 1), r"d2gd2f has shape \[5, 2, 1\], wanted \[n_s, n_out, n_out, m\] = \[5, 2, 2, 4\]"),
    ],
)
def test_errors_of_backward_calls(f, argument, shape, message):
    f(torch.randn(5, 3), **FULL, forward_mode=None)
    arguments = {"dgdf": torch.randn(5, 2, 4), "do_Hessian": True} | {argument: torch.randn(shape)}
    with pytest.raises(ValueError, match=message):
        f.backward(**arguments)


def test_weights_of_a_wrong_shape_never_reach_the_engine(f):
    f[0].K.data = torch.randn(3, 7)
    with pytest.raises((RuntimeError, ValueError)):
        f(torch.randn(5, 3), **FULL)
    f[0].K.data = torch.randn(8, 3)
    with pytest.raises((RuntimeError, ValueError)):
        f(torch.randn(5, 3), **FULL)


def test_model_files_refuse_layers_of_ones_own():
    class own(ours.lay.hessQuikLayer):
        def dim_input(self):
            return 3

        def dim_output(self):
            return 3

    f = ours.net.NN(ours.lay.singleLayer(2, 3), own())
    with pytest.raises(ValueError, match="model files cannot describe the layer own"):
        f.architecture()
    with pytest.raises(ValueError, match="no plan"):
        f.explain(10)
