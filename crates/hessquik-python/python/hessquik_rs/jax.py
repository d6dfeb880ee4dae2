"""Jets of your own JAX functions, and of networks of this package, as JAX functions of parameters and points.

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

The same call takes a function of one point; the part that depends only on its parameters stays in JAX:

>>> def apply(params, x):
...     w, b = params
...     return jnp.sin(x @ jax.nn.softplus(w) + b).prod()
>>> import jax.numpy as jnp
>>> f = hq.jax.jet(apply, "laplacian")
>>> f((np.ones((2, 4), "float32"), np.zeros(4, "float32")), np.ones((100, 2), "float32")).laplacian.shape
(100,)

XLA calls the engine directly, without Python: the functions work under `jit`, `grad`, `vmap`, `scan` and `shard_map`. A
function of one point under `vmap` is one call for all points, and so is its gradient. Only weights that differ between
batch elements, or a separate gradient of the weights per element, need one call per element.

Points that are sharded over devices stay in place under `jit`: each device evaluates its own.

`jax.export` serialises functions of jets. A deserialised program runs if `hessquik_rs.jax` has been imported.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, overload

try:
    import jax
except ImportError as error:
    raise ImportError("hessquik_rs.jax needs JAX 0.6 or newer: pip install 'jax>=0.6'") from error
import jax.numpy as jnp

from hessquik_rs import _native
from hessquik_rs._along import check_request, check_shape, options_along
from hessquik_rs._jax import sharding
from hessquik_rs._jax.arrays import array_of, of_type
from hessquik_rs._jax.jets import Jets, at_points, beside, check_exact
from hessquik_rs._jax.spec import Spec
from hessquik_rs.architecture import Architecture
from hessquik_rs.errors import DtypeError, ShapeError
from hessquik_rs.jet import Jet
from hessquik_rs.network import Network
from hessquik_rs.request import Names, Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

for _name, _address in zip(sharding.NAMES, _native.xla_handlers(), strict=True):
    jax.ffi.register_ffi_target(_name, jax.ffi.pycapsule(ctypes.c_void_p(_address)), platform="cpu")

jax.tree_util.register_pytree_node(
    Jet,
    lambda jet: (tuple(vars(jet).values()), tuple(vars(jet))),
    lambda names, all: Jet(dict(zip(names, all, strict=True))),
)

export_checks: list[Any] = []
"""For `jax.export.export(.., disabled_checks=..)`, should a version of JAX refuse to export the calls of the engine."""

try:
    import jax.export
except ImportError:  # without flatbuffers JAX has no export
    pass
else:
    export_checks += map(jax.export.DisabledSafetyCheck.custom_call, sharding.NAMES)
    sharding.declare_stable()
    jax.export.register_pytree_node_serialization(
        Jet,
        serialized_name="hessquik_rs.Jet",
        serialize_auxdata=lambda names: ",".join(names).encode(),
        deserialize_auxdata=lambda data: tuple(filter(None, bytes(data).decode().split(","))),
    )


def weights(net: Network) -> dict[str, jax.Array]:
    """The weights of a network by name, as a pytree to train.

    `net.set_weights` takes them back.
    """
    return {name: jnp.asarray(array) for name, array in net.weights().items()}


Layers: TypeAlias = Network | Architecture | Sequence[Architecture]
"""A network of this package, or its description."""


@overload
def jet(
    net: Layers, request: Names = ..., *, unsupported: str = ..., **options: Unpack[Options]
) -> Callable[..., Jet]: ...


@overload
def jet(
    net: Callable[[Any, Any], Any], request: Names = ..., *, unsupported: str = ..., **options: Unpack[Options]
) -> Jets: ...


def jet(
    net: Layers | Callable[[Any, Any], Any],
    request: Names = ("value", "gradient", "hessian"),
    *,
    unsupported: str = "error",
    **options: Unpack[Options],
) -> Callable[..., Jet]:
    """A function of parameters and points that gives the jet of a function or a network: `f(params, x)`.

    With directions of each point it is `f(params, x, directions)`.

    * `net`: a function `apply(params, x)` of one point (d,), which returns (m,) or a number; or a description; or a
      network, of which only the description is used
    * `request`, options: as in `Network.evaluate`, but for the factored Hessian
    * `unsupported`: for functions: `"error"` names the first primitive that the engine does not support, and its line;
      `"jax"` computes such a function by JAX's own derivatives, with one warning

    The arguments of `f`:

    * `params`: for a function, any pytree; for a network, a dictionary by name (see `weights`), or a sequence in the
      order of `Network.weight_names()`
    * `x` (.., d): points; the results have the same leading axes instead of n_s, and no last axis if the
      function returns a number
    * `directions` (.., k, d): input directions of each point, as in `Network.evaluate`; results are differentiable with
      respect to them, too

    >>> import jax, jax.numpy as jnp, numpy as np
    >>> import hessquik_rs as hq, hessquik_rs.jax
    >>> def apply(params, x):
    ...     return jnp.tanh(x @ params["w"]).sum() * jnp.exp(params["scale"])
    >>> f = jax.jit(hq.jax.jet(apply, "value,laplacian"))
    >>> params = {"w": np.ones((3, 8), "float32"), "scale": jnp.zeros(())}
    >>> f(params, np.ones((5, 3), "float32")).laplacian.shape
    (5,)

    For a network, all arrays must have one precision, float32 or float64 (with JAX's `jax_enable_x64`).

    >>> net = hq.Network(hq.fully_connected([3, 8, 2]), dtype="float32", seed=0)
    >>> f = jax.jit(hq.jax.jet(net, "hessian"))
    >>> weights = hq.jax.weights(net)
    >>> f(weights, np.ones(3, "float32")).hessian.shape
    (3, 3, 2)
    >>> jax.vmap(f, (None, 0))(weights, np.ones((5, 3), "float32")).hessian.shape
    (5, 3, 3, 2)
    """
    if callable(net) and not isinstance(net, Network):
        return Jets(net, request, unsupported, options)
    network = net if isinstance(net, Network) else Network(net, seed=0)
    spec, d = Spec(network, request, options), network.dim_input
    # of the network, its description is enough: its weights and its working memory would be kept with the function
    del network

    of_arrays = jax.jit(partial(at_points, spec))
    description, seeds = spec.architecture, {}

    def seeded(k: int) -> Any:
        """The same along `k` directions of each point."""
        if k not in seeds:
            layers = {"type": "along", "net": description, "directions": k}
            own = Spec(Network(layers, seed=0), request, options_along(options, k, d))  # type: ignore[arg-type]
            seeds[k] = jax.jit(partial(at_points, own))
        return seeds[k]

    def f(weights: Any, x: Any, directions: Any = None) -> Jet:
        theta = _in_order(spec, weights)
        given, x = x, array_of(x)
        dtype = jnp.result_type(x, *theta)
        if dtype not in (jnp.float32, jnp.float64):
            raise DtypeError(f"points and weights have dtype {dtype}, expected float32 or float64")
        if x.ndim == 0 or x.shape[-1] != d:
            raise ShapeError(f"the array of points has shape {list(x.shape)}, expected [.., {d}]")
        check_exact("the array of points", given, x, dtype)
        weights = tuple(of_type(w, dtype) for w in theta)
        if directions is None:
            found: Jet = of_arrays(weights, of_type(x, dtype))
            return found
        check_request(None, options.get("directions"))
        v = array_of(directions)
        check_shape(v.shape, x.shape)
        check_exact("the array of directions", directions, v, dtype)
        along: Jet = seeded(v.shape[-2])(weights, beside(of_type(x, dtype), of_type(v, dtype)))
        return along

    return f


def _in_order(spec: Spec, weights: Any) -> tuple[jax.Array, ...]:
    """The weights as a tuple in order, once their names and shapes are right."""
    if isinstance(weights, Mapping):
        if set(weights) != set(spec.weights):
            raise ShapeError(f"weights are {sorted(weights)}, expected {list(spec.weights)}")
        weights = [weights[name] for name in spec.weights]
    theta = tuple(array_of(w) for w in weights)
    if len(theta) != len(spec.weights):
        raise ShapeError(f"there are {len(theta)} weights, expected {len(spec.weights)}")
    for array, (name, shape) in zip(theta, spec.weights.items(), strict=True):
        if array.shape != shape:
            raise ShapeError(f"weight {name} has shape {list(array.shape)}, expected {list(shape)}")
    return theta
