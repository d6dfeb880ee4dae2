"""A user's function as a graph: what depends on the point is the engine's, what depends on parameters alone JAX's.

The function is traced at one point by `jax.make_jaxpr`. Its primitives that depend on the point become nodes by the
rules of `rules`; arrays that do not, and that these need, are the weights of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hessquik_rs._jax.control  # noqa: F401 (fills the table of calls)
from hessquik_rs import var as formulas
from hessquik_rs._jax.arrays import array_of
from hessquik_rs._jax.program import Program, Slot
from hessquik_rs._jax.source import CURE, source_of
from hessquik_rs._jax.translate import Translation
from hessquik_rs.errors import OperationError, ShapeError

Apply = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Parameters:
    """A pytree of parameters, taken apart: arrays that may change, and everything else.

    - **leaves** arrays of floating numbers, random keys, and whatever a function of JAX's traces
    - **names** where these stand in the tree
    - **rest** by their places among all leaves: functions, settings, indices, which a graph is made for
    - **tree** the structure
    - **numbers** whether numbers of Python's are among the leaves, and not in the rest
    """

    leaves: list[Any]
    names: list[str]
    rest: dict[int, Any]
    tree: Any
    numbers: bool

    @classmethod
    def of(cls, params: Any, settled: bool = False) -> Parameters:
        """Takes a pytree apart; `settled` says that numbers of Python's are settings."""
        listed, tree = jax.tree_util.tree_flatten_with_path(params)
        leaves, names, rest, numbers = [], [], {}, False
        for i, (path, leaf) in enumerate(listed):
            number = isinstance(leaf, float | complex) and not isinstance(leaf, np.generic)
            if _changes(leaf) and not (settled and number):
                numbers = numbers or number
                leaves.append(array_of(leaf))
                names.append(jax.tree_util.keystr(path, simple=True, separator=".") or "params")
            else:
                rest[i] = leaf
        return cls(leaves, names, rest, tree, numbers)

    def key(self) -> Any:
        """What a graph is made for; equal keys have equal graphs."""
        arrays = tuple((a.shape, a.dtype, _weak(a)) for a in self.leaves)
        return self.tree, arrays, tuple((i, _same(leaf)) for i, leaf in self.rest.items())

    def floats(self) -> list[Any]:
        """The arrays of floating numbers."""
        return [a for a in self.leaves if jnp.issubdtype(a.dtype, jnp.floating)]

    def put_together(self, leaves: Sequence[Any]) -> Any:
        """The pytree with other arrays."""
        changing = iter(leaves)
        n = len(self.leaves) + len(self.rest)
        return self.tree.unflatten([self.rest[i] if i in self.rest else next(changing) for i in range(n)])


def _changes(leaf: Any) -> bool:
    """Whether a leaf is an array that changes from call to call, in training say."""
    if isinstance(leaf, jax.core.Tracer):
        return True
    if isinstance(leaf, bool | int) or not isinstance(leaf, jax.Array | np.ndarray | np.generic | float | complex):
        return False
    dtype = getattr(leaf, "dtype", float)
    return not (jnp.issubdtype(dtype, jnp.signedinteger) or jnp.issubdtype(dtype, jnp.bool_))


def _weak(array: Any) -> bool:
    """Whether an array takes the precision of what it meets, as Python's numbers do."""
    return bool(getattr(array, "weak_type", False))


def _same(leaf: Any) -> Any:
    """Something hashable that tells a leaf from others."""
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        array = np.asarray(leaf)
        return array.shape, array.dtype.str, array.tobytes()
    try:
        hash(leaf)
    except TypeError:
        return id(leaf)
    return type(leaf), leaf


@dataclass(frozen=True)
class Traced:
    """A function at points of `d` features, for parameters of some shapes.

    - **graph** what the engine computes, as data
    - **names** of its weights
    - **flat** whether the function gives one number for each point, without an axis of outputs
    - **dtype** of what it gives
    - **borrows** whether it holds arrays that are traced by a function around, and cannot be kept
    """

    graph: dict[str, Any]
    names: list[str]
    flat: bool
    dtype: Any
    borrows: bool
    _program: Program
    _slots: list[Slot]

    def weights(self, leaves: Sequence[Any]) -> list[Any]:
        """The weights of the graph for these parameters, with their way back to them."""
        arrays = self._program.run(leaves, self._slots)
        return [a if jnp.issubdtype(a.dtype, jnp.floating) else a.astype(jnp.result_type(float)) for a in arrays]


def trace(apply: Apply, parameters: Parameters, d: int, dtype: Any) -> Traced:
    """The graph of a function of parameters and one point `(d,)`, to `(m,)` or `()`."""
    point = jax.ShapeDtypeStruct((d,), dtype)
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype, weak_type=_weak(a)) for a in parameters.leaves]
    try:
        jaxpr, out = jax.make_jaxpr(lambda leaves, x: apply(parameters.put_together(leaves), x), return_shape=True)(
            shapes, point
        )
    except jax.errors.JAXTypeError as error:
        first = next((s for s in str(error).splitlines() if s.strip()), type(error).__name__)
        raise OperationError(
            f"{_called(apply)} cannot be traced{source_of(error)}: {first.strip()} (Python's if, and functions of "
            "numpy, cannot depend on the point or on parameters: use jnp.where, lax.cond, jax.numpy)"
        ) from error
    _check_result(apply, out, d)
    translation = Translation()
    given = [
        translation.program.input(s.shape, s.dtype, name) for s, name in zip(shapes, parameters.names, strict=True)
    ]
    (value,) = translation.closed(jaxpr, [*given, formulas.input(d)])
    output = translation.operand(value)
    graph = formulas.graph(output, d)
    names = [w["name"] for w in graph["weights"]]
    slots = [translation.slots[name] for name in names]
    return Traced(graph, names, out.ndim == 0, out.dtype, translation.borrows, translation.program, slots)


def traced(apply: Apply, params: Any, parameters: Parameters, d: int, dtype: Any) -> tuple[Traced, Parameters]:
    """The graph for parameters taken apart, or taken apart anew where the function needs to know numbers of Python's.

    Modules that are parameters as they are hold such numbers as settings: `if self.p == 0`.
    """
    try:
        return trace(apply, parameters, d, dtype), parameters
    except Exception:
        if not parameters.numbers:
            raise
        settled = Parameters.of(params, settled=True)
        try:
            return trace(apply, settled, d, dtype), settled
        except Exception:  # what was wrong at first says more
            pass
        raise


def _called(apply: Apply) -> str:
    return getattr(apply, "__qualname__", type(apply).__name__)


def _check_result(apply: Apply, out: Any, d: int) -> None:
    if not hasattr(out, "shape"):
        found = type(out).__name__ if jax.tree.leaves(out) else repr(out)
        raise ShapeError(f"{_called(apply)} gives {found}, expected one array: (m,) or a number for one point ({d},)")
    if out.ndim > 1:
        raise ShapeError(
            f"{_called(apply)} gives shape {list(out.shape)} at one point ({d},), expected (m,) or (): write it for "
            "one point, not for a batch"
        )
    if jnp.issubdtype(out.dtype, jnp.complexfloating):
        raise OperationError(f"{_called(apply)} gives complex numbers, the engine has real ones; {CURE}")
