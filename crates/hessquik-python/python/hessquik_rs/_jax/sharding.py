"""The calls of the engine inside a compiled program, each device on its own points.

XLA knows nothing of what a custom call computes, so it would gather points that are sharded over devices. Here it is
told: each device evaluates its own points, and gradients to weights are summed over the devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax._src import core, dispatch  # for what has no public name, each looked up with `getattr`
from jax.experimental.custom_partitioning import custom_partitioning
from jax.interpreters import mlir
from jax.sharding import NamedSharding, PartitionSpec

from hessquik_rs._jax.spec import Spec

EVALUATE, PULLBACK, PUSHFORWARD, SECOND = NAMES = (
    "hessquik_evaluate",
    "hessquik_pullback",
    "hessquik_pushforward",
    "hessquik_second",
)
"""The names by which XLA knows the functions of the engine."""

Arrays = Sequence[Any]
Lead = tuple[int, ...]


def agree(*arrays: Any) -> Arrays:
    """The same arrays; inside `jax.shard_map`, where some differ from device to device, all are marked to do so.

    Gradients to those that did not differ are summed over the devices by that.
    """
    # the name of this function in JAX changed with its versions
    for name in ("auto_insert_reshard", "standard_insert_pvary", "standard_insert_pbroadcast"):
        insert = getattr(core, name, None)
        if insert is not None:
            marked: Arrays = insert(*arrays)
            return marked
    return arrays


# --- on one device


def _evaluate(x: Any, *theta: Any, spec: Spec, lead: Lead) -> list[Any]:
    results = [jax.ShapeDtypeStruct((*lead, x.shape[-2], *spec.shapes[name]), x.dtype) for name in spec.names]
    return list(jax.ffi.ffi_call(EVALUATE, results)(x, *theta, spec=spec.text(spec.names)))


def _pullback(x: Any, *rest: Any, spec: Spec, lead: Lead, names: tuple[str, ...], to_weights: bool) -> list[Any]:
    theta = rest[: len(spec.weights)]
    results = [jax.ShapeDtypeStruct((*lead, *a.shape[len(lead) :]), a.dtype) for a in (x, *theta)]
    return list(jax.ffi.ffi_call(PULLBACK, results)(x, *rest, spec=spec.text(names)))


def _moving(theta: Arrays, given: Arrays, has: tuple[bool, ...]) -> tuple[str, list[Any]]:
    """Which arguments have tangents, as the engine is told, and their tangents: of all weights if one has one."""
    left = iter(given)
    found = [next(left) if own else None for own in has]
    points = found[:1] if has[0] else []
    weights = (
        [jnp.zeros_like(w) if t is None else t for w, t in zip(theta, found[1:], strict=True)] if any(has[1:]) else []
    )
    return ("x" if points else "") + ("w" if weights else ""), points + weights


def _pushforward(x: Any, *rest: Any, spec: Spec, lead: Lead, has: tuple[bool, ...]) -> list[Any]:
    theta = rest[: len(spec.weights)]
    moves, tangents = _moving(theta, rest[len(theta) :], has)
    results = [jax.ShapeDtypeStruct((*lead, x.shape[-2], *spec.shapes[name]), x.dtype) for name in spec.names]
    call = jax.ffi.ffi_call(PUSHFORWARD, results)
    return list(call(x, *theta, *tangents, spec=spec.text(spec.names), moves=moves))


def _second(x: Any, *rest: Any, spec: Spec, lead: Lead, names: tuple[str, ...], has: tuple[bool, ...]) -> list[Any]:
    n = len(spec.weights)
    theta, bars = rest[:n], rest[n : n + len(names)]
    moves, tangents = _moving(theta, rest[n + len(names) :], has)
    results = [jax.ShapeDtypeStruct((*lead, *a.shape[len(lead) :]), a.dtype) for a in (x, *theta)]
    call = jax.ffi.ffi_call(SECOND, results)
    return list(call(x, *theta, *bars, *tangents, spec=spec.text(names), moves=moves))


# --- on several devices


class _Axes:
    """Along which axes of a mesh the points are shared, and with that every argument and result."""

    def __init__(self, mesh: Any, points: Any, axis: int) -> None:
        self.mesh, self.axis = mesh, axis
        spec = tuple(points.sharding.spec) + (None,) * len(points.shape)
        found = spec[axis]
        self.names: tuple[str, ...] = () if found is None else found if isinstance(found, tuple) else (found,)
        shards = 1
        for name in self.names:
            shards *= mesh.shape[name]
        if points.shape[axis] % shards:
            # shards of one length only: what would fill up the last ones must not be pulled back
            self.names = ()

    def of_points(self, array: Any) -> NamedSharding:
        """Sharded along n, whole along all other axes."""
        names: list[Any] = [None] * len(array.shape)
        names[self.axis] = self.names or None
        return NamedSharding(self.mesh, PartitionSpec(*names))

    def whole(self, _: Any) -> NamedSharding:
        """The same on every device."""
        return NamedSharding(self.mesh, PartitionSpec())


def _partition(
    mesh: Any, arguments: Any, results: Any, *, work: Any, of_points: Sequence[bool], axis: int, sums: int
) -> Any:
    """A call whose arguments and results are `of_points` or whole; its last `sums` results are summed over devices."""
    axes = _Axes(mesh, arguments[0], axis)

    def local(*own: Any) -> Any:
        found = list(work(*own))
        if axes.names and sums:
            found[-sums:] = [jax.lax.psum(g, axes.names) for g in found[-sums:]]
        return tuple(found)

    places = [
        axes.of_points(a) if points else axes.whole(a)
        for points, a in zip(of_points, [*arguments, *results], strict=True)
    ]
    return mesh, local, tuple(places[len(arguments) :]), tuple(places[: len(arguments)])


def _rule(of_points: Sequence[bool], axis: int, arguments: Arrays, results: Arrays) -> Any:
    """Which axes of arguments and results are one, for the propagation of shardings: n, and no other.

    `of_points` says which of them have it, as axis `axis`.
    """
    alone: list[str] = []
    sides: list[str] = []
    for points, kind in zip(of_points, [*arguments, *results], strict=True):
        factors = [f"a{len(alone) + i}" for i in range(len(kind.shape))]
        if points:
            factors[axis] = "n"
        alone += factors
        sides.append(" ".join(factors))
    rule = f"{', '.join(sides[: len(arguments)])} -> {', '.join(sides[len(arguments) :])}"
    return rule, {"need_replication_factors": tuple(name for name in alone if name != "n")}


def _shared(work: Callable[..., Any], of_points: Sequence[bool], axis: int, sums: int = 0) -> Callable[..., Any]:
    """The same work on several devices, each on its own points, which are axis `axis` of what is `of_points`."""
    shared = custom_partitioning(lambda *arguments: tuple(work(*arguments)))
    partition = partial(_partition, work=work, of_points=of_points, axis=axis, sums=sums)

    def rule(_: Any, arguments: Arrays, results: Arrays) -> Any:
        return _rule(of_points, axis, arguments, results)

    def infer(mesh: Any, arguments: Any, results: Any) -> Any:
        return partition(mesh, arguments, results)[2]

    shared.def_partition(partition, infer_sharding_from_operands=infer, sharding_rule=rule)
    found: Callable[..., Any] = shared
    return found


def evaluate(devices: bool, x: Any, *theta: Any, **parameters: Any) -> Any:
    """Points x and weights to the jet; on the points of each device if there are several `devices`."""
    work: Callable[..., Any] = partial(_evaluate, **parameters)
    if devices:
        of_points = [True, *[False] * len(theta), *[True] * len(parameters["spec"].names)]
        work = _shared(work, of_points, len(parameters["lead"]))
    return work(x, *theta)


def pullback(devices: bool, x: Any, *rest: Any, **parameters: Any) -> Any:
    """Points x, weights and cotangents to gradients; on the points of each device if there are several `devices`."""
    work: Callable[..., Any] = partial(_pullback, **parameters)
    if devices:
        n = len(parameters["spec"].weights)
        of_points = [True, *[False] * n, *[True] * (len(rest) - n), True, *[False] * n]
        work = _shared(work, of_points, len(parameters["lead"]), sums=n if parameters["to_weights"] else 0)
    return work(x, *rest)


def pushforward(devices: bool, x: Any, *rest: Any, **parameters: Any) -> Any:
    """Points x, weights and tangents to the tangent of the jet; on the points of each device."""
    work: Callable[..., Any] = partial(_pushforward, **parameters)
    if devices:
        n = len(parameters["spec"].weights)
        of_points = [True, *[False] * n, *_given(parameters["has"]), *[True] * len(parameters["spec"].names)]
        work = _shared(work, of_points, len(parameters["lead"]))
    return work(x, *rest)


def second(devices: bool, x: Any, *rest: Any, **parameters: Any) -> Any:
    """Points x, weights, cotangents and tangents to the tangents of gradients; on the points of each device."""
    work: Callable[..., Any] = partial(_second, **parameters)
    if devices:
        n = len(parameters["spec"].weights)
        bars = [True] * len(parameters["names"])
        of_points = [True, *[False] * n, *bars, *_given(parameters["has"]), True, *[False] * n]
        work = _shared(work, of_points, len(parameters["lead"]), sums=n)
    return work(x, *rest)


def _given(has: Sequence[bool]) -> list[bool]:
    """Which of the tangents that are given are of points: that of the first argument."""
    return [i == 0 for i, own in enumerate(has) if own]


def declare_stable() -> None:
    """Tells `jax.export` that later versions of this package run the calls of earlier ones, as they do its own."""
    from jax._src.export import _export

    stable = getattr(_export, "_CUSTOM_CALL_TARGETS_GUARANTEED_STABLE", None)
    if isinstance(stable, set):
        stable |= set(NAMES)


def register_lowering(primitive: Any, work: Callable[..., Any]) -> None:
    """Makes `work` what a program for CPUs contains for `primitive`."""
    # a program is told its devices only if a primitive in it is known to ask for them
    asking = getattr(dispatch, "prim_requires_devices_during_lowering", None)
    if asking is not None:
        asking.add(primitive)

    def lowering(context: Any, *arguments: Any, **parameters: Any) -> Any:
        # an exported program holds no Python functions, so it cannot ask how to share
        exported = getattr(context.module_context.lowering_parameters, "for_export", False)
        known = getattr(context.module_context.axis_context, "device_assignment", None) or ()
        several = asking is not None and not exported and len(known) > 1
        return mlir.lower_fun(partial(work, several, **parameters), multiple_results=True)(context, *arguments)

    mlir.register_lowering(primitive, lowering, platform="cpu")
