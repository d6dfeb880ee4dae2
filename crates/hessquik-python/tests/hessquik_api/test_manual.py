"""The documented examples of hessQuik, with one word changed, and that each of our own docstrings has one."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

README = """
import torch
import hessQuik.activations as act
import hessQuik.layers as lay
import hessQuik.networks as net
d = 10 # dimension of the input features
widths = [32, 64] # hidden channel dimensions
f = net.NN(lay.singleLayer(d, widths[0], act.antiTanhActivation()),
           lay.resnetLayer(widths[0], h=1.0, act=act.softplusActivation()),
           lay.singleLayer(widths[0], widths[1], act.quadraticActivation())
         )
nex = 20 # number of examples
x = torch.randn(nex, d)
fx, dfx, d2fx = f(x, do_gradient=True, do_Hessian=True)
assert fx.shape == (20, 64) and dfx.shape == (20, 10, 64) and d2fx.shape == (20, 10, 10, 64)
"""
ACTIVATION = """
import torch
import hessQuik.activations as act
for act_func in (act.antiTanhActivation(), act.identityActivation(), act.quadraticActivation(), act.sigmoidActivation(),
                 act.softplusActivation(), act.tanhActivation()):
    x = torch.randn(10, 4)
    sigma, dsigma, d2sigma = act_func(x, do_gradient=True, do_Hessian=True)
    assert sigma.shape == dsigma.shape == d2sigma.shape == (10, 4)
"""
LAYERS = """
import torch, hessQuik.layers as lay
for f, n in ((lay.ICNNLayer(4, None, 7), 11), (lay.quadraticICNNLayer(4, None, 2), 1), (lay.quadraticLayer(4, 2), 1),
             (lay.resnetLayer(4, h=0.25), 4), (lay.singleLayer(4, 7), 7)):
    x = torch.randn(10, 4)
    fx, dfdx, d2fd2x = f(x, do_gradient=True, do_Hessian=True)
    assert (fx.shape, dfdx.shape, d2fd2x.shape) == ((10, n), (10, 4, n), (10, 4, 4, n))
"""
CHECKS = """
import torch
import hessQuik.activations as act, hessQuik.layers as lay, hessQuik.networks as net
from hessQuik.layers import singleLayer
from hessQuik.utils import input_derivative_check, input_derivative_check_finite_difference, network_derivative_check
torch.set_default_dtype(torch.float64)  # use double precision to check implementations
x = torch.randn(10, 4)
f = singleLayer(4, 7, act=act.softplusActivation())
assert input_derivative_check(f, x, do_Hessian=True, verbose=True, forward_mode=True) == (True, True)
f = singleLayer(4, 7, act=act.tanhActivation())
assert input_derivative_check_finite_difference(f, x, do_Hessian=True, verbose=True, forward_mode=True) == (True, True)
width, depth = 8, 3
f = net.NN(lay.singleLayer(4, width, act=act.tanhActivation()),
           net.resnetNN(width, depth, h=1.0, act=act.tanhActivation()),
           lay.singleLayer(width, 1, act=act.identityActivation()))
assert network_derivative_check(f, x, do_Hessian=True, verbose=True, forward_mode=True)
"""
PEAKS = """
import torch
from hessQuik.utils import peaks
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib import cm
x, y = torch.linspace(-3, 3, 100), torch.linspace(-3, 3, 100)
grid_x, grid_y = torch.meshgrid(x, y, indexing="ij")
grid_xy = torch.concat((grid_x.reshape(-1, 1), grid_y.reshape(-1, 1)), dim=1)
grid_z, *_ = peaks(grid_xy)
fig = plt.figure()
ax = plt.axes(projection='3d')
surf = ax.plot_surface(grid_x, grid_y, grid_z.reshape(grid_x.shape), cmap=cm.viridis)
ax.set_xlabel('x')
"""


@pytest.mark.parametrize("program", [README, ACTIVATION, LAYERS, CHECKS, PEAKS])
def test_examples_of_the_manual(program):
    if "matplotlib" in program:
        pytest.importorskip("matplotlib")
    exec(
        compile(
            program.replace("import hessQuik.", "import hessquik_rs.")
            .replace(", hessQuik.", ", hessquik_rs.")
            .replace("from hessQuik.", "from hessquik_rs."),
            "manual",
            "exec",
        ),
        {},
    )


def modules():
    for package in ("_torch", "activations", "layers", "networks", "utils"):
        yield f"hessquik_rs.{package}"
        path = importlib.import_module(f"hessquik_rs.{package}").__path__
        yield from (m.name for m in pkgutil.iter_modules(path, f"hessquik_rs.{package}."))


@pytest.mark.parametrize("name", [n for n in modules() if n.count(".") == 2 and "._torch." not in n])
def test_every_public_class_and_function_has_an_example(name):
    module = importlib.import_module(name)
    for key, value in vars(module).items():
        public = not key.startswith("_") and callable(value) and getattr(value, "__module__", None) == name
        if public:
            assert value.__doc__, key
            if isinstance(value, type):
                assert ">>>" in value.__doc__, key


BLOCKED = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import hessquik_rs
for name in ("activations", "layers", "networks", "utils"):
    try:
        __import__(f"hessquik_rs.{name}")
    except ImportError as error:
        assert "need PyTorch: pip install 'torch>=2.5'" in str(error), error
    else:
        raise AssertionError(name)
"""


def test_without_torch_the_error_says_what_to_install():
    subprocess.run([sys.executable, "-c", BLOCKED], check=True)
