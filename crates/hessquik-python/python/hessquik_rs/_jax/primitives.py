"""Evaluation of jets, its derivative, and its pullback as primitives of JAX, each with its rules.

Points are `x` (.., n, d), weights `theta` (.., shape), results (.., n, q, ..) in memory order. The leading axes are
those that `jax.vmap` adds where weights have them; an argument that does not have such an axis has 1 in its place. Axes
that points alone have are merged with n: a function of one point under `vmap` is one call, and so is its pullback.

| primitive | arguments | results |
|---|---|---|
| `evaluate_p` | x, theta | the jet |
| `tangent_p` | x, theta, tangents of those that have one | the tangent of the jet: linear, there to be transposed |
| `pullback_p` | x, theta, cotangents | gradients to x, to theta |
| `second_p` | x, theta, cotangents, tangents of those of x and theta that have one | the tangents of these gradients |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax._src import util  # for what has no public name, looked up with `getattr`
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from hessquik_rs._jax import plain, sharding
from hessquik_rs._jax.spec import Spec

Arrays = Sequence[Any]
Lead = tuple[int, ...]
"""The leading axes of results."""


def _primitive(name: str, abstract: Callable[..., Any]) -> Any:
    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_abstract_eval(abstract)
    return primitive


# --- shapes


def _jet_avals(x: Any, *_: Any, spec: Spec, lead: Lead, **__: Any) -> list[Any]:
    # of the points: precision, the axes along which they are sharded, and those along which devices differ
    return [x.update(shape=(*lead, x.shape[-2], *spec.shapes[name])) for name in spec.names]


def _gradient_avals(x: Any, *rest: Any, spec: Spec, lead: Lead, **_: Any) -> list[Any]:
    theta = rest[: len(spec.weights)]
    return [a.update(shape=(*lead, *a.shape[len(lead) :])) for a in (x, *theta)]


evaluate_p = _primitive("hessquik_evaluate", _jet_avals)
tangent_p = _primitive("hessquik_tangent", _jet_avals)
pullback_p = _primitive("hessquik_pullback", _gradient_avals)
second_p = _primitive("hessquik_second", _gradient_avals)


def evaluate(x: Any, theta: Arrays, spec: Spec) -> list[Any]:
    """The jet (n, q, ..) at points `x` (n, d)."""
    found: list[Any] = evaluate_p.bind(*sharding.agree(x, *theta), spec=spec, lead=())
    return found


# --- what runs


def _compiled(primitive: Any) -> Callable[..., Any]:
    @lru_cache(maxsize=64)
    def program(parameters: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
        return jax.jit(lambda *arguments: primitive.bind(*arguments, **dict(parameters)))

    return lambda *arguments, **parameters: program(tuple(parameters.items()))(*arguments)


# JAX remembers the shapes of what a primitive gives, by its parameters, which it would keep for ever: of specs it holds
# weak references, as of its own jaxprs, so that the engine lets go of networks that no program uses any more
_held_weakly = getattr(util, "weakref_cache_key_types", None)
if isinstance(_held_weakly, set):
    _held_weakly.add(Spec)


for _p, _work, _elsewhere in (
    (evaluate_p, sharding.evaluate, plain.evaluate),
    (tangent_p, sharding.pushforward, plain.tangent),
    (pullback_p, sharding.pullback, plain.pullback),
    (second_p, sharding.second, plain.second),
):
    _p.def_impl(_compiled(_p))
    sharding.register_lowering(_p, _work)
    mlir.register_lowering(_p, mlir.lower_fun(_elsewhere, multiple_results=True))


# --- derivatives


def _jvp(primals: Arrays, tangents: Arrays, *, spec: Spec, lead: Lead) -> tuple[list[Any], list[Any]]:
    jet = evaluate_p.bind(*primals, spec=spec, lead=lead)
    has = tuple(not isinstance(t, ad.Zero) for t in tangents)
    # what all elements of a batch share gets the sum of their gradients: spread here, it is summed by the transpose
    given = [_full(t, lead) for t, own in zip(tangents, has, strict=True) if own]
    return jet, tangent_p.bind(*primals, *given, spec=spec, lead=lead, has=has)


def _transpose(bars: Arrays, *arguments: Any, spec: Spec, lead: Lead, has: tuple[bool, ...]) -> list[Any]:
    primals, tangents = arguments[: len(has)], arguments[len(has) :]
    if not all(ad.is_undefined_primal(t) for t in tangents):
        raise NotImplementedError("a part of the tangents of a jet cannot be transposed alone")
    nothing: list[Any] = [None] * len(primals)
    # what the loss does not depend on is not pulled back
    given = [(name, bar) for name, bar in zip(spec.names, bars, strict=True) if not isinstance(bar, ad.Zero)]
    if not given:
        return nothing + [ad.Zero(t.aval) for t in tangents]
    names = tuple(name for name, _ in given)
    parameters = {"spec": spec, "lead": lead, "names": names, "to_weights": any(has[1:])}
    gradients = pullback_p.bind(*primals, *(bar for _, bar in given), **parameters)
    return nothing + [g for g, own in zip(gradients, has, strict=True) if own]


def _pullback_jvp(
    primals: Arrays, tangents: Arrays, *, spec: Spec, lead: Lead, names: tuple[str, ...], to_weights: bool
) -> tuple[list[Any], list[Any]]:
    n = 1 + len(spec.weights)
    gradients = pullback_p.bind(*primals, spec=spec, lead=lead, names=names, to_weights=to_weights)
    has = tuple(not isinstance(t, ad.Zero) for t in tangents[:n])
    parts: list[list[Any]] = []
    if any(has):
        given = [_full(t, lead) for t, own in zip(tangents[:n], has, strict=True) if own]
        parts.append(second_p.bind(*primals, *given, spec=spec, lead=lead, names=names, has=has))
    # linear in the cotangents
    moving = [(name, bar) for name, bar in zip(names, tangents[n:], strict=True) if not isinstance(bar, ad.Zero)]
    if moving:
        own = tuple(name for name, _ in moving)
        bars = [bar for _, bar in moving]
        parts.append(pullback_p.bind(*primals[:n], *bars, spec=spec, lead=lead, names=own, to_weights=to_weights))
    return gradients, [sum(same[1:], same[0]) for same in zip(*parts, strict=True)]


def _pullback_transpose(
    changes: Arrays, *arguments: Any, spec: Spec, lead: Lead, names: tuple[str, ...], to_weights: bool
) -> list[Any]:
    n = 1 + len(spec.weights)
    has = tuple(not isinstance(c, ad.Zero) for c in changes)
    nothing: list[Any] = [None] * n
    if any(ad.is_undefined_primal(a) for a in arguments[:n]):
        raise NotImplementedError("gradients of jets are linear in cotangents and tangents alone")
    if not any(has):
        return nothing + [ad.Zero(bar.aval) for bar in arguments[n:]]
    # what tangents are pushed to is what cotangents are pulled back from
    given = [_full(c, lead) for c, own in zip(changes, has, strict=True) if own]
    jet = dict(zip(spec.names, tangent_p.bind(*arguments[:n], *given, spec=spec, lead=lead, has=has), strict=True))
    return nothing + [jet[name] for name in names]


def _second_transpose(
    changes: Arrays, *arguments: Any, spec: Spec, lead: Lead, names: tuple[str, ...], has: tuple[bool, ...]
) -> list[Any]:
    n = len(has) + len(names)
    primals, tangents = arguments[:n], arguments[n:]
    nothing: list[Any] = [None] * n
    if any(ad.is_undefined_primal(a) for a in primals):
        raise NotImplementedError("gradients of jets are linear in cotangents and tangents alone")
    moving = tuple(not isinstance(c, ad.Zero) for c in changes)
    if not any(moving):
        return nothing + [ad.Zero(t.aval) for t in tangents]
    # second derivatives are symmetric
    given = [_full(c, lead) for c, own in zip(changes, moving, strict=True) if own]
    found = second_p.bind(*primals, *given, spec=spec, lead=lead, names=names, has=moving)
    return nothing + [g for g, own in zip(found, has, strict=True) if own]


def _elsewhere_jvp(work: Callable[..., Arrays]) -> Callable[..., tuple[list[Any], list[Any]]]:
    """Third derivatives, in JAX's operations from here on."""

    def rule(primals: Arrays, tangents: Arrays, **parameters: Any) -> tuple[list[Any], list[Any]]:
        moving = {i: t for i, t in enumerate(tangents) if not isinstance(t, ad.Zero)}
        return plain.jvp(partial(work, **parameters), primals, moving)

    return rule


def _tangent_jvp(
    primals: Arrays, tangents: Arrays, *, spec: Spec, lead: Lead, has: tuple[bool, ...]
) -> tuple[list[Any], list[Any]]:
    if any(not isinstance(t, ad.Zero) for t in tangents[: len(has)]):
        found: tuple[list[Any], list[Any]] = _elsewhere_jvp(plain.tangent)(
            primals, tangents, spec=spec, lead=lead, has=has
        )
        return found
    # linear in the tangents
    jet = tangent_p.bind(*primals, spec=spec, lead=lead, has=has)
    given = [
        jnp.zeros_like(p) if isinstance(t, ad.Zero) else t
        for p, t in zip(primals[len(has) :], tangents[len(has) :], strict=True)
    ]
    return jet, tangent_p.bind(*primals[: len(has)], *given, spec=spec, lead=lead, has=has)


ad.primitive_jvps[evaluate_p] = _jvp
ad.primitive_transposes[tangent_p] = _transpose
ad.primitive_jvps[tangent_p] = _tangent_jvp
ad.primitive_jvps[pullback_p] = _pullback_jvp
ad.primitive_transposes[pullback_p] = _pullback_transpose
ad.primitive_jvps[second_p] = _elsewhere_jvp(plain.second)
ad.primitive_transposes[second_p] = _second_transpose


# --- batches


def _size(arguments: Arrays, dims: Sequence[int | None]) -> Any:
    """The number of elements of the batch; in exported programs it may be a symbol."""
    return next(a.shape[d] for a, d in zip(arguments, dims, strict=True) if d is not None)


def _empty(size: Any) -> bool:
    return isinstance(size, int) and size == 0


def _merge(array: Any, dim: int | None, size: Any, at: int) -> Any:
    """`(*lead, n, ..)`, with the axis of a batch merged with n, which is axis `at`."""
    if dim is None:
        array = jnp.broadcast_to(jnp.expand_dims(array, at), (*array.shape[:at], size, *array.shape[at:]))
    else:
        array = jnp.moveaxis(array, dim, at)
    return jnp.reshape(array, (*array.shape[:at], size * array.shape[at + 1], *array.shape[at + 2 :]))


def _split(array: Any, size: Any, x: Any, x_dim: int | None, at: int) -> Any:
    """The reverse of `_merge` of the points, the axis of the batch being axis `at`."""
    n = x.shape[-2 if x_dim is None or x_dim < x.ndim - 2 else -3]
    return jnp.reshape(array, (*array.shape[:at], size, n, *array.shape[at + 1 :]))


def _leading(array: Any, dim: int | None) -> Any:
    """The axis of a batch first; an axis of 1 if there is none."""
    return jnp.expand_dims(array, 0) if dim is None else jnp.moveaxis(array, dim, 0)


def _full(array: Any, lead: Lead) -> Any:
    """With all leading axes: what is linear in an argument has a part for each element of the batch."""
    return jnp.broadcast_to(array, (*lead, *array.shape[len(lead) :]))


def _batch_evaluate(arguments: Arrays, dims: Sequence[int | None], *, spec: Spec, lead: Lead) -> Any:
    size, at = _size(arguments, dims), len(lead)
    (x, *theta), (x_dim, *theta_dims) = arguments, dims
    if all(d is None for d in theta_dims) and not _empty(size):
        jet = evaluate_p.bind(_merge(x, x_dim, size, at), *theta, spec=spec, lead=lead)
        return [_split(array, size, x, x_dim, at) for array in jet], [at] * len(jet)
    moved = [_leading(a, d) for a, d in zip(arguments, dims, strict=True)]
    jet = evaluate_p.bind(*moved, spec=spec, lead=(size, *lead))
    return jet, [0] * len(jet)


def _batch_tangent(
    arguments: Arrays, dims: Sequence[int | None], *, spec: Spec, lead: Lead, has: tuple[bool, ...]
) -> Any:
    size, at, n = _size(arguments, dims), len(lead), len(has)
    of_points = [0, n] if has[0] else [0]
    parameters = {"spec": spec, "has": has}
    if not _empty(size) and all(d is None for i, d in enumerate(dims) if i not in of_points):
        merged = [
            _merge(a, d, size, at) if i in of_points else a
            for i, (a, d) in enumerate(zip(arguments, dims, strict=True))
        ]
        jet = tangent_p.bind(*merged, lead=lead, **parameters)
        return [_split(array, size, arguments[0], dims[0], at) for array in jet], [at] * len(jet)
    lead = (size, *lead)
    moved = [_leading(a, d) for a, d in zip(arguments, dims, strict=True)]
    jet = tangent_p.bind(*moved[:n], *(_full(a, lead) for a in moved[n:]), lead=lead, **parameters)
    return jet, [0] * len(jet)


def _batch_pullback(
    arguments: Arrays, dims: Sequence[int | None], *, spec: Spec, lead: Lead, names: tuple[str, ...], to_weights: bool
) -> Any:
    size, at, n = _size(arguments, dims), len(lead), 1 + len(spec.weights)
    parameters = {"spec": spec, "names": names, "to_weights": to_weights}
    if not _empty(size) and not to_weights and all(d is None for d in dims[1:n]):
        merged = [
            a if 0 < i < n else _merge(a, d, size, at) for i, (a, d) in enumerate(zip(arguments, dims, strict=True))
        ]
        x_bar, *unused = pullback_p.bind(*merged, lead=lead, **parameters)
        return [_split(x_bar, size, arguments[0], dims[0], at), *unused], [at, *[None] * len(unused)]
    lead = (size, *lead)
    moved = [_leading(a, d) for a, d in zip(arguments, dims, strict=True)]
    gradients = pullback_p.bind(*moved[:n], *(_full(a, lead) for a in moved[n:]), lead=lead, **parameters)
    return gradients, [0] * len(gradients)


def _batch_second(
    arguments: Arrays,
    dims: Sequence[int | None],
    *,
    spec: Spec,
    lead: Lead,
    names: tuple[str, ...],
    has: tuple[bool, ...],
) -> Any:
    lead = (_size(arguments, dims), *lead)
    n = 1 + len(spec.weights)
    moved = [_leading(a, d) for a, d in zip(arguments, dims, strict=True)]
    full = [_full(a, lead) for a in moved[n:]]
    gradients = second_p.bind(*moved[:n], *full, spec=spec, lead=lead, names=names, has=has)
    return gradients, [0] * len(gradients)


batching.primitive_batchers[evaluate_p] = _batch_evaluate
batching.primitive_batchers[tangent_p] = _batch_tangent
batching.primitive_batchers[pullback_p] = _batch_pullback
batching.primitive_batchers[second_p] = _batch_second
