"""Networks written as formulas: variables, operations on them, and the networks built from them.

>>> import numpy as np
>>> import hessquik_rs as hq
>>> from hessquik_rs import var
>>> rng = np.random.default_rng(0)
>>> x = hq.input(2)
>>> K, b = hq.weight("K", rng.normal(size=(2, 16))), hq.weight("b", np.zeros(16))
>>> u = var.tanh(x @ K + b)
>>> distance = x[0] * (1.0 - x[0])  # zero where x[0] is 0 or 1
>>> net = hq.Network.from_var(distance * u.mean())
>>> net
Network(2 -> 1, 48 weights, float64)
>>> net.evaluate(np.ones((5, 2)), "laplacian").laplacian.shape
(5, 1)

A variable has the shape of its value at one point; shapes broadcast as in numpy. Nothing is computed yet, except for
expressions of constants alone.
"""

from hessquik_rs._einsum import dot_general, einsum
from hessquik_rs._functions import (
    absolute,
    amax,
    atan,
    clamp,
    conv,
    cos,
    cumsum,
    exp,
    frozen,
    greater,
    group_norm,
    largest,
    layer_norm,
    log,
    log_softmax,
    logsumexp,
    maximum,
    minimum,
    prod,
    relu,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    sqrt,
    tanh,
    vector_norm,
    where,
)
from hessquik_rs._var import (
    Operand,
    Shape,
    Var,
    as_var,
    concat,
    constant,
    graph,
    input,
    matmul,
    pad,
    power,
    scatter_add,
    stack,
    weight,
    weights,
)

__all__ = [
    "Operand",
    "Shape",
    "Var",
    "absolute",
    "amax",
    "as_var",
    "atan",
    "clamp",
    "concat",
    "constant",
    "conv",
    "cos",
    "cumsum",
    "dot_general",
    "einsum",
    "exp",
    "frozen",
    "graph",
    "greater",
    "group_norm",
    "input",
    "largest",
    "layer_norm",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "maximum",
    "minimum",
    "pad",
    "power",
    "prod",
    "relu",
    "scatter_add",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "stack",
    "tanh",
    "vector_norm",
    "weight",
    "weights",
    "where",
]
