"""Arguments: by every documented name, unknown ones refused in words, and what users give in the place of ours."""

import importlib
import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch_cases import ALL, close, ours

FULL = {"do_gradient": True, "do_Hessian": True}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("do_hessian", "do_Hessian"),
        ("do_grad", "do_gradient"),
        ("do_laplacian", "do_Laplacian"),
        ("forwardmode", "forward_mode"),
    ],
)
def test_unknown_keywords_are_refused(name, word, meant):
    build, d = ALL[name]
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{word}'; did you mean '{meant}'"):
        build(ours)(torch.randn(2, d), **{word: True})


@pytest.mark.parametrize("wrapper", ["NNPytorchAD", "NNPytorchHessian"])
def test_wrappers_refuse_what_they_do_not_compute(wrapper):
    f = getattr(ours.net, wrapper)(ours.net.fullyConnectedNN([2, 3, 1]))
    x = torch.randn(4, 2)
    f(x, do_gradient=True, forward_mode=True)
    for word in ("do_Laplacian", "do_hessian", "v", "mode"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{word}'"):
            f(x, **{word: True})
    with pytest.raises(TypeError, match="'dgdx'; did you mean 'dgdf'"):
        f.net.backward(dgdx=x)


@pytest.mark.parametrize("name", ALL)
def test_one_second_derivative_at_a_time(name):
    build, d = ALL[name]
    with pytest.raises(ValueError, match="one place for second derivatives"):
        build(ours)(torch.randn(2, d), do_Hessian=True, do_Laplacian=True)


def test_every_argument_name_of_hessquik_is_here():
    pytest.importorskip("hessQuik")
    missing = []
    for package in ("activations", "layers", "networks", "utils"):
        theirs = importlib.import_module(f"hessQuik.{package}")
        here = importlib.import_module(f"hessquik_rs.{package}")
        for name, value in vars(theirs).items():
            if not getattr(value, "__module__", "").startswith("hessQuik."):
                continue
            methods = [("", value)] if inspect.isfunction(value) else []
            if isinstance(value, type):
                methods = [(m, getattr(value, m)) for m in ("__init__", "forward", "backward") if hasattr(value, m)]
            for method, function in methods:
                mine = getattr(here, name) if not method else getattr(getattr(here, name), method)
                parameters = inspect.signature(mine).parameters
                kwargs = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
                missing += [
                    f"{name}.{method}({p})"
                    for p, kind in inspect.signature(function).parameters.items()
                    if p not in parameters
                    and not kwargs
                    and kind.kind is not kind.VAR_KEYWORD
                    and kind.kind is not kind.VAR_POSITIONAL
                ]
    assert not missing


def test_points_by_name():
    x = torch.randn(5, 4)
    for f, name in (
        (ours.lay.ICNNLayer(4, None, 3), "ux"),
        (ours.lay.quadraticICNNLayer(4, None, 2), "ux"),
        (ours.lay.quadraticLayer(4, 2), "u"),
        (ours.lay.singleLayer(4, 2), "u"),
        (ours.lay.resnetLayer(4), "u"),
        (ours.net.fullyConnectedNN([4, 2]), "x"),
        (ours.act.tanhActivation(), "x"),
    ):
        wanted = f(x, **FULL)
        close(f(**{name: x}, **FULL), wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (nn.Tanh(), "tanh"), (nn.Tanh, "tanh"), ("tanh", "tanh"), (torch.tanh, "tanh"), ("tanhActivation", "tanh"),
        (nn.Sigmoid(), "sigmoid"), (F.sigmoid, "sigmoid"), (nn.SiLU(inplace=True), "silu"), ("Swish", "silu"),
        (nn.GELU(), "gelu"), (nn.Identity, "identity"), (torch.sin, "sin"), ("antiTanh", "antiTanh"),
    ],
)  # fmt: skip
def test_activations_of_torch(given, wanted):
    act = getattr(ours.act, f"{wanted}Activation")
    assert type(ours.act.activation(given)) is act
    f = ours.net.fullyConnectedNN([2, 3, 1], act=given)
    assert type(f[0].act) is act and f[0].act is not f[1].act
    for layer in (ours.lay.resnetLayer(3, act=given).layer, ours.lay.ICNNLayer(2, None, 3, act=given)):
        assert type(layer.act) is act
    f[0].act = given if isinstance(given, nn.Module) else nn.Tanh()
    assert f(torch.randn(3, 2))[0].shape == (3, 1)


def test_softplus_of_torch_keeps_its_settings():
    act = ours.act.activation(nn.Softplus(beta=3, threshold=5))
    assert (act.beta, act.threshold) == (3.0, 5.0)
    x = torch.linspace(-4, 4, 33)
    close([act(x)[0]], [F.softplus(x, beta=3, threshold=5)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ours.lay.singleLayer(2, 3, act=nn.ReLU()), TypeError, "the module ReLU.*not smooth"),
        (lambda: ours.lay.singleLayer(2.5, 3), ValueError, "in_features is 2.5, expected a whole number"),
        (lambda: ours.net.fullyConnectedNN([2, 3.7, 1]), ValueError, "out_features is 3.7"),
        (lambda: ours.lay.singleLayer(2, 3, act="relu"), ValueError, "unknown activation 'relu'.*softplus"),
        (lambda: ours.lay.singleLayer(2, 3, act="tahn"), ValueError, "did you mean 'tanh'"),
        (lambda: ours.lay.singleLayer(2, 3, act=nn.GELU("tanh")), ValueError, "approximate='tanh'"),
        (lambda: ours.lay.singleLayer(2, 3, act=3), TypeError, "act is 3, expected an activation"),
        (lambda: ours.lay.singleLayer(2, 3, act=torch.cos), TypeError, "a subclass of hessQuikActivationFunction"),
        (
            lambda: ours.net.NN(nn.Linear(2, 3)),
            TypeError,
            r"block 0 is a torch.nn.Linear.*write lay.singleLayer\(2, 3, act",
        ),
        (lambda: ours.net.NN(ours.lay.singleLayer(2, 3), nn.Tanh()), TypeError, "block 1 is a torch.nn.Tanh"),
        (lambda: ours.net.NN(nn.Sequential(nn.Linear(2, 3))), TypeError, "torch.nn.Sequential.*each linear map"),
        (lambda: ours.net.NN([ours.lay.singleLayer(2, 3)]), TypeError, r"write NN\(\*layers\)"),
        (lambda: ours.net.NN(ours.lay.singleLayer), TypeError, r"the class singleLayer.*write singleLayer\(..\)"),
        (
            lambda: ours.net.fullyConnectedNN([2, 1])(torch.ones(1, 2), mode="foward"),
            ValueError,
            "did you mean 'forward'",
        ),
    ],
)
def test_errors_say_what_to_write(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_numpy_numbers_are_sizes_and_settings():
    one = np.int64(1)
    f = ours.net.NN(
        ours.lay.singleLayer(np.int64(2), np.int32(4), act="tanh"),
        ours.lay.resnetLayer(np.int64(4), h=np.float32(0.5), act=ours.act.softplusActivation(np.float64(2.0))),
        ours.lay.quadraticLayer(np.int64(4), one),
    )
    assert "np." not in f.architecture()
    assert f(torch.randn(3, 2), **FULL)[2].shape == (3, 2, 2, 1)
    assert ours.net.fullyConnectedNN(np.array([2, 3, 1])).architecture().count("single") == 2
    assert ours.net.ICNN(np.int64(2), [None, np.int64(3)]).architecture().count("np.") == 0


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_taken_off(prefix):
    f, g = (ours.net.fullyConnectedNN([2, 3, 1]) for _ in range(2))
    wrapped = {prefix + n: w for n, w in f.state_dict().items()}
    with pytest.warns(UserWarning, match="removed the prefix"):
        g.load_state_dict(wrapped)
    close(g.state_dict().values(), f.state_dict().values())
    with pytest.raises(RuntimeError, match="Missing key"):
        g.load_state_dict({f"other.{n}": w for n, w in f.state_dict().items()})
