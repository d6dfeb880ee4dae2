"""Values, gradients and Hessians of neural networks with respect to their inputs: analytic, exact to rounding, fast.

>>> import numpy as np
>>> import hessquik_rs as hq
>>> net = hq.Network([hq.single(2, 16, "tanh"), hq.resnet(16, 4, "tanh"), hq.single(16, 1)], seed=0)
>>> x = np.zeros((10, 2))
>>> jet = net.evaluate(x, ("value", "gradient", "hessian"))
>>> jet.value.shape, jet.gradient.shape, jet.hessian.shape
((10, 1), (10, 2, 1), (10, 2, 2, 1))

| module | is |
|---|---|
| `hessquik_rs` | networks on numpy arrays; everything below this row is optional |
| `hessquik_rs.var` | networks written as formulas |
| `hessquik_rs.activations`, `.layers`, `.networks`, `.utils` | hessQuik's own API on PyTorch |
| `hessquik_rs.torch` | jets of your own PyTorch modules |
| `hessquik_rs.jax` | jets as JAX functions |
| `hessquik_rs.dask` | evaluation of chunked arrays, on a cluster |
| `hessquik_rs.errors` | the exceptions |

The book, `docs` in the repository, has derivations, how-tos and worked problems.
"""

from importlib.metadata import version as _version

from hessquik_rs import errors, var
from hessquik_rs._formulas import (
    affine,
    along,
    attention,
    boundary,
    deeponet,
    fourier,
    layer_norm,
    mfn,
    modified_mlp,
    normalise,
    periodic,
    picnn,
    piratenet,
    product_of,
    separable,
    skip,
    sum_of,
)
from hessquik_rs._native import num_threads, set_num_threads
from hessquik_rs._var import Var, input, weight
from hessquik_rs.architecture import (
    Activation,
    Architecture,
    celu,
    elu,
    fully_connected,
    icnn,
    leaky_relu,
    log_sum_exp,
    power,
    quadratic,
    quadratic_icnn,
    resnet,
    scaled,
    single,
    softmax,
    softplus,
    squareplus,
)
from hessquik_rs.check import Check, Checks
from hessquik_rs.estimate import Estimate
from hessquik_rs.explanation import Candidate, Explanation, Plan
from hessquik_rs.jet import FactoredHessian, Gradients, Jet
from hessquik_rs.network import Network
from hessquik_rs.request import Options

__version__ = _version("hessquik-rs")

__all__ = [
    "Activation",
    "Architecture",
    "Candidate",
    "Check",
    "Checks",
    "Estimate",
    "Explanation",
    "FactoredHessian",
    "Gradients",
    "Jet",
    "Network",
    "Options",
    "Plan",
    "Var",
    "affine",
    "along",
    "attention",
    "boundary",
    "celu",
    "deeponet",
    "elu",
    "errors",
    "fourier",
    "fully_connected",
    "icnn",
    "input",
    "layer_norm",
    "leaky_relu",
    "log_sum_exp",
    "mfn",
    "modified_mlp",
    "normalise",
    "num_threads",
    "periodic",
    "picnn",
    "piratenet",
    "power",
    "product_of",
    "quadratic",
    "quadratic_icnn",
    "resnet",
    "scaled",
    "separable",
    "set_num_threads",
    "single",
    "skip",
    "softmax",
    "softplus",
    "squareplus",
    "sum_of",
    "var",
    "weight",
]
