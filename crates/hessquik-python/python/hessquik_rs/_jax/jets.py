"""Jets of a user's function: its graph on the engine, as a function of parameters and points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessquik_rs._along import check_request, check_shape, options_along
from hessquik_rs._arrays import readable
from hessquik_rs._jax import by_jax, primitives
from hessquik_rs._jax.arrays import array_of
from hessquik_rs._jax.spec import Spec
from hessquik_rs._jax.trace import Apply, Parameters, Traced, traced
from hessquik_rs.errors import DtypeError, OperationError, SettingError, ShapeError, SlowerWarning
from hessquik_rs.jet import Jet
from hessquik_rs.network import Network
from hessquik_rs.request import Names, Options


def at_points(spec: Spec, theta: Sequence[jax.Array], x: jax.Array) -> Jet:
    """The jet of a network with these weights at points (.., d)."""
    lead = x.shape[:-1]
    results = primitives.evaluate(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]), theta, spec)
    return _jet(spec.names, results, lead)


def _jet(names: Sequence[str], results: Sequence[Any], lead: tuple[int, ...]) -> Jet:
    """Results from memory order (n_s, q, ..) in logical order (.., q), with the leading axes of the points."""
    arrays = [jnp.moveaxis(array, 1, -1) for array in results]
    return Jet({name: a.reshape(lead + a.shape[1:]) for name, a in zip(names, arrays, strict=True)})


def check_exact(what: str, given: Any, array: Any, dtype: Any) -> None:
    """That whole numbers are not rounded, where they are known before the program runs."""
    if array.dtype.kind in "iu" and not isinstance(array, jax.core.Tracer):
        readable(what, np.asarray(given), dtype.name)


def beside(x: Any, v: Any) -> Any:
    """Steps of zero, points (.., d) and their directions (.., k, d): the points of a network of steps."""
    lead = x.shape[:-1]
    return jnp.concatenate(
        [jnp.zeros((*lead, v.shape[-2]), x.dtype), x, v.reshape(*lead, v.shape[-2] * v.shape[-1])], -1
    )


Compiled = Callable[[Sequence[Any], Any], Jet]
"""Parameters, and points (.., d), to a jet."""


class Jets:
    """What `hessquik_rs.jax.jet` gives for a function: a function of parameters and points."""

    def __init__(self, apply: Apply, request: Names, unsupported: str, options: Options) -> None:
        if unsupported not in ("error", "jax"):
            raise SettingError(f'unsupported is {unsupported!r}, expected "error" or "jax"')
        self._apply, self._request, self._unsupported, self._options = apply, request, unsupported, options
        self._compiled: dict[Any, Compiled] = {}
        self._seeded: dict[tuple[int, int], Jets] = {}
        self._warned = False
        self._settled = False  # whether the function needs to know numbers of Python's among its parameters

    def __call__(self, params: Any, x: Any, directions: Any = None) -> Jet:
        """The jet at points (.., d), along directions (.., k, d) of each if they are given."""
        parameters = Parameters.of(params, self._settled)
        points = _points(x, parameters)
        if directions is not None:
            check_request(None, self._options.get("directions"))
            v = _points(directions, parameters)
            check_shape(v.shape, points.shape)
            dtype = jnp.result_type(points, v)
            return self._along(v.shape[-2], v.shape[-1])(params, beside(points.astype(dtype), v.astype(dtype)))
        kind = points.shape[-1], points.dtype, jnp.result_type(float)
        compiled = self._compiled.get((parameters.key(), *kind))
        if compiled is None:
            compiled, kept, parameters = self._made(params, parameters, points.shape[-1], points.dtype)
            if kept:
                self._compiled[(parameters.key(), *kind)] = compiled
        return compiled(parameters.leaves, points)

    def _along(self, k: int, d: int) -> Jets:
        """The same as a function of steps along `k` directions, points and these directions."""
        if (k, d) not in self._seeded:
            apply = self._apply

            def along(params: Any, z: Any) -> Any:
                steps = jnp.matmul(z[:k], z[k + d :].reshape(k, d), precision="highest")
                return apply(params, z[k : k + d] + steps)

            options: Any = options_along(self._options, k, d)
            self._seeded[k, d] = Jets(along, self._request, self._unsupported, options)
        return self._seeded[k, d]

    def _made(self, params: Any, parameters: Parameters, d: int, dtype: Any) -> tuple[Compiled, bool, Parameters]:
        """The jet for such parameters and points, whether it can be kept, and the parameters taken apart for it."""
        try:
            graph, given = traced(self._apply, params, parameters, d, dtype)
        except OperationError as error:
            if self._unsupported == "error":
                raise
            if not self._warned:
                warnings.warn(f"computed by JAX's derivatives, not by the engine: {error}", SlowerWarning, stacklevel=4)
                self._warned = True
            return self._by_jax(parameters), True, parameters
        self._settled = self._settled or given is not parameters
        return self._by_engine(graph), not graph.borrows, given

    def _by_engine(self, traced: Traced) -> Compiled:
        spec = Spec(Network(traced.graph, seed=0), self._request, self._options)
        flat = traced.flat and self._options.get("outputs") is None

        def of_arrays(leaves: Sequence[Any], x: Any) -> Jet:
            theta = traced.weights(leaves)
            wide = jnp.result_type(x, *theta) == jnp.float64
            dtype = jnp.float64 if wide else jnp.float32  # of half precision, results alone lose digits
            jet = at_points(spec, tuple(w.astype(dtype) for w in theta), x.astype(dtype))
            return _finished(jet, flat, jnp.promote_types(traced.dtype, x.dtype))

        # what is traced around is no argument of a program, so that it cannot be kept compiled either
        return of_arrays if traced.borrows else jax.jit(of_arrays)

    def _by_jax(self, parameters: Parameters) -> Compiled:
        options = dict(self._options)
        names = by_jax.names_of(self._request, options)

        def of_arrays(leaves: Sequence[Any], x: Any) -> Jet:
            params = parameters.put_together(leaves)
            shape = jax.eval_shape(lambda p: self._apply(params, p), x.reshape(-1, x.shape[-1])[0]).shape
            flat = x.reshape(-1, x.shape[-1])
            results = by_jax.evaluated(lambda p: self._apply(params, p).reshape(-1), flat, names, options)
            alone = shape == () and options.get("outputs") is None
            return _finished(_jet(names, results, x.shape[:-1]), alone, results[0].dtype)

        return jax.jit(of_arrays)


def _finished(jet: Jet, flat: bool, dtype: Any) -> Jet:
    """Results of the type of the function, without the last axis where it gives one number."""
    arrays = {name: (a.squeeze(-1) if flat else a) for name, a in vars(jet).items()}
    if not jnp.issubdtype(dtype, jnp.floating):
        return Jet(arrays)
    return Jet({name: a.astype(dtype) for name, a in arrays.items()})


def _points(x: Any, parameters: Parameters) -> Any:
    """The points as an array of floating numbers."""
    array = array_of(x)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ShapeError(f"the array of points has shape {list(array.shape)}, expected [.., d]")
    if jnp.issubdtype(array.dtype, jnp.integer):
        dtype = jnp.result_type(*parameters.floats(), float)
        check_exact("the array of points", x, array, dtype)
        return array.astype(dtype)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise DtypeError(f"points have dtype {array.dtype}, expected a floating type")
    return array
