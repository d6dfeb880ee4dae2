"""Jets of a network as JAX functions of its weights and points, on CPU, differentiable once in reverse mode.

>>> import jax, numpy as np
>>> import hessquik_rs as hq, hessquik_rs.jax
>>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), dtype="float32", seed=0)
>>> f = hq.jax.jet(net, ("value", "laplacian"))
>>> weights = hq.jax.weights(net)
>>> def loss(weights, x):
...     u = f(weights, x)
...     return ((u.laplacian + u.value) ** 2).mean()
>>> step = jax.jit(jax.value_and_grad(loss))
>>> value, gradient = step(weights, np.ones((100, 2), "float32"))
>>> gradient["0.K"].shape
(2, 16)

XLA calls the engine itself, without Python in between: the functions work under `jit`, `grad`, `vmap` and `scan`.
A batch of points is fastest as one array (n, d); under `vmap` over points alone it becomes one, while a gradient to
weights under `vmap` is a pullback for each element.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hessquik_rs import _native
from hessquik_rs.architecture import Architecture
from hessquik_rs.errors import DtypeError, RequestError, ShapeError
from hessquik_rs.jet import Jet
from hessquik_rs.network import Network
from hessquik_rs.request import Names, Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

_EVALUATE, _PULLBACK = "hessquik_evaluate", "hessquik_pullback"
for _name, _address in zip((_EVALUATE, _PULLBACK), _native.xla_handlers(), strict=True):
    jax.ffi.register_ffi_target(_name, jax.ffi.pycapsule(ctypes.c_void_p(_address)), platform="cpu")

jax.tree_util.register_pytree_node(
    Jet,
    lambda jet: (tuple(vars(jet).values()), tuple(vars(jet))),
    lambda names, all: Jet(dict(zip(names, all, strict=True))),
)


def weights(net: Network) -> dict[str, jax.Array]:
    """The weights of a network by name, as a pytree to train.

    `net.set_weights` takes them back.
    """
    return {name: jnp.asarray(array) for name, array in net.weights().items()}


def jet(
    net: Network | Architecture | Sequence[Architecture],
    request: Names = ("value", "gradient", "hessian"),
    **options: Unpack[Options],
) -> Callable[[Any, Any], Jet]:
    """A function of weights and points that gives the jet of a network: `f(weights, x)`.

    * `net`: a network, of which the description alone counts, or a description
    * `request`, options: as in `Network.evaluate`, but for the factored Hessian

    Of `f`:

    * `weights`: a dictionary by name (see `weights`), or a sequence in the order of `Network.weight_names()`
    * `x` (.., d): points; the results have the same leading axes in the place of n_s

    All arrays are of one precision, float32 or float64 (with JAX's `jax_enable_x64`).

    >>> import jax, numpy as np
    >>> import hessquik_rs as hq, hessquik_rs.jax
    >>> net = hq.Network(hq.fully_connected([3, 8, 2]), dtype="float32", seed=0)
    >>> f = jax.jit(hq.jax.jet(net, "hessian"))
    >>> weights = hq.jax.weights(net)
    >>> f(weights, np.ones(3, "float32")).hessian.shape
    (3, 3, 2)
    >>> jax.vmap(f, (None, 0))(weights, np.ones((5, 3), "float32")).hessian.shape
    (5, 3, 3, 2)
    """
    network = net if isinstance(net, Network) else Network(net, seed=0)
    call = _Call(network, request, options)

    def f(weights: Any, x: Any) -> Jet:
        theta = call.in_order(weights)
        x = jnp.asarray(x)
        dtype = jnp.result_type(x, *theta)
        if dtype not in (jnp.float32, jnp.float64):
            raise DtypeError(f"points and weights have dtype {dtype}, expected float32 or float64")
        if x.ndim == 0 or x.shape[-1] != network.dim_input:
            raise ShapeError(f"the array of points has shape {list(x.shape)}, expected [.., {network.dim_input}]")
        lead = x.shape[:-1]
        theta = tuple(w.astype(dtype) for w in theta)
        results = call(theta, x.astype(dtype).reshape(-1, network.dim_input))
        # from memory order (n_s, q, ..) to logical order (n_s, .., q)
        arrays = [jnp.moveaxis(array, 1, -1) for array in results]
        return Jet({name: a.reshape(lead + a.shape[1:]) for name, a in zip(call.names, arrays, strict=True)})

    return f


class _Call:
    """A request of a network as two custom calls: in memory order, with the weights as a tuple."""

    def __init__(self, network: Network, request: Names, options: Options) -> None:
        # the engine says what is wrong with a request, and which shapes its results have
        zeros = np.zeros((1, network.dim_input), network.dtype)
        sample = network.evaluate(zeros, request, **options)
        self.names = tuple(vars(sample))
        if "factored" in self.names:
            raise RequestError("request: the factored Hessian is not a plain array; ask for the Hessian")
        self._shapes = {name: np.moveaxis(array, -1, 1).shape[1:] for name, array in vars(sample).items()}
        self._weights = {name: w.shape for name, w in network.weights().items()}
        spec: dict[str, Any] = {"mode": "auto", **{k: v for k, v in options.items() if v is not None}}
        for name in ("directions", "outputs", "operator", "products"):
            if name in spec:
                spec[name] = np.asarray(spec[name], np.float64).tolist()
        self._spec = {"architecture": network.architecture, **spec}
        self._call = jax.custom_vjp(self._evaluate)
        self._call.defvjp(self._forward, self._backward, symbolic_zeros=True)

    def __call__(self, theta: tuple[jax.Array, ...], x: jax.Array) -> tuple[jax.Array, ...]:
        return self._call(theta, x)

    def in_order(self, weights: Any) -> tuple[jax.Array, ...]:
        """The weights as a tuple in order, once their names and shapes are right."""
        if isinstance(weights, Mapping):
            if set(weights) != set(self._weights):
                raise ShapeError(f"weights are {sorted(weights)}, expected {list(self._weights)}")
            weights = [weights[name] for name in self._weights]
        theta = tuple(jnp.asarray(w) for w in weights)
        if len(theta) != len(self._weights):
            raise ShapeError(f"there are {len(theta)} weights, expected {len(self._weights)}")
        for array, (name, shape) in zip(theta, self._weights.items(), strict=True):
            if array.shape != shape:
                raise ShapeError(f"weight {name} has shape {list(array.shape)}, expected {list(shape)}")
        return theta

    def _text(self, names: Sequence[str]) -> str:
        """What the engine is to compute; of what needs an argument, only what is among `names`."""
        unasked = {"operator", "products", "block", "partials"} - set(names)
        kept = {key: value for key, value in self._spec.items() if key not in unasked}
        return json.dumps({**kept, "names": ",".join(names)})

    def _evaluate(self, theta: tuple[jax.Array, ...], x: jax.Array) -> tuple[jax.Array, ...]:
        results = [jax.ShapeDtypeStruct((x.shape[0], *self._shapes[name]), x.dtype) for name in self.names]
        call = jax.ffi.ffi_call(_EVALUATE, results, vmap_method="expand_dims")
        return tuple(call(x, *theta, spec=self._text(self.names)))

    def _forward(self, theta: Any, x: Any) -> tuple[tuple[jax.Array, ...], Any]:
        values = tuple(w.value for w in theta)
        return self._evaluate(values, x.value), (values, x.value)

    def _backward(self, kept: Any, bars: tuple[Any, ...]) -> tuple[tuple[jax.Array, ...], jax.Array]:
        theta, x = kept
        # what the loss does not depend on is not pulled back
        given = {
            name: bar
            for name, bar in zip(self.names, bars, strict=True)
            if not isinstance(bar, jax.custom_derivatives.SymbolicZero)
        }
        if not given:
            return tuple(jnp.zeros_like(w) for w in theta), jnp.zeros_like(x)
        results = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (x, *theta)]
        call = jax.ffi.ffi_call(_PULLBACK, results, vmap_method="expand_dims")
        x_bar, *theta_bar = call(x, *theta, *given.values(), spec=self._text(tuple(given)))
        return tuple(theta_bar), x_bar
