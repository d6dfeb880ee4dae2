"""Requests by JAX's own derivatives: what the engine computes, where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessquik_rs._arrays import terms
from hessquik_rs.errors import RequestError
from hessquik_rs.request import Names

Point = Callable[[Any], Any]
"""A function of one point."""

WITH_ARGUMENT = ("operator", "products", "block", "partials", "directional")
KNOWN = ("value", "gradient", "hessian", "packed", "diagonal", "laplacian", "bilaplacian", *WITH_ARGUMENT)
_SECOND = ("hessian", "packed", "operator", "block")


def names_of(request: Names, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The results that a request asks for, in order."""
    listed = request.split(",") if isinstance(request, str) else list(request)
    names = [name.strip() for name in listed if name.strip()]
    names += [name for name in WITH_ARGUMENT if options.get(name) is not None and name not in names]
    for name in names:
        if name not in KNOWN:
            raise RequestError(f"request: {name!r} is not computed by JAX's derivatives; known are {', '.join(KNOWN)}")
        if name in WITH_ARGUMENT and options.get(name) is None:
            raise RequestError(f"request: {name} needs the argument {name}")
    return tuple(names)


def along(v: Any, f: Point) -> Point:
    """The derivative of a function along a direction."""
    return lambda p: jax.jvp(f, (p,), (v,))[1]


def evaluated(f: Point, x: Any, names: Sequence[str], options: Mapping[str, Any]) -> list[Any]:
    """The results of a function of one point (d,) to (m,), at points (n, d), each (n, q, ..)."""
    found: list[Any] = jax.vmap(lambda p: _at(f, p, names, options))(x)
    return found


def _at(f: Point, p: Any, names: Sequence[str], options: Mapping[str, Any]) -> list[Any]:
    """The results at one point, each (q, ..)."""

    def array(name: str) -> Any:
        return jnp.asarray(np.asarray(options[name]), p.dtype)

    v = jnp.eye(p.size, dtype=p.dtype) if options.get("directions") is None else array("directions")
    u = None if options.get("outputs") is None else array("outputs")

    def g(p: Any) -> Any:
        return f(p) if u is None else jnp.matmul(f(p), u, precision="highest")

    def laplacian(h: Point) -> Point:
        return lambda p: jax.vmap(lambda e: along(e, along(e, h))(p))(v).sum(0)

    def first(p: Any) -> Any:
        """The gradient (q, k), in reverse where there are fewer outputs than directions."""
        if jax.eval_shape(g, p).shape[0] < len(v):
            return jnp.matmul(jax.jacrev(g)(p), v.T, precision="highest")
        return jax.vmap(lambda e: along(e, g)(p), out_axes=1)(v)

    def operator() -> Any:
        if listed is None:
            return jnp.einsum("ab,qba->q", array("operator"), hessian, precision="highest")
        return sum(jnp.asarray(c, p.dtype) * _partial(g, v, axes)(p) for axes, c in listed)

    def partials() -> Any:
        each = [_partial(g, v, axes)(p) for axes in options["partials"]]
        return jnp.stack(each, -1) if each else jnp.zeros((*jax.eval_shape(g, p).shape, 0), p.dtype)

    listed = options.get("terms") or terms(options.get("operator"))
    hessian: Any = None
    if any(name in _SECOND and (name != "operator" or listed is None) for name in names):
        hessian = jax.vmap(lambda e: along(e, first)(p), out_axes=1)(v)
    results: dict[str, Callable[[], Any]] = {
        "value": lambda: g(p),
        "gradient": lambda: first(p),
        "hessian": lambda: hessian,
        "packed": lambda: hessian[(slice(None), *np.triu_indices(len(v)))],
        "diagonal": lambda: jax.vmap(lambda e: along(e, along(e, g))(p), out_axes=1)(v),
        "laplacian": lambda: laplacian(g)(p),
        "bilaplacian": lambda: laplacian(laplacian(g))(p),
        "operator": operator,
        "products": lambda: jax.vmap(lambda w: along(w, first)(p), out_axes=2)(array("products")),
        "block": lambda: hessian[:, np.asarray(options["block"][0])[:, None], np.asarray(options["block"][1])],
        "partials": partials,
        "directional": lambda: _directional(g, p, v, int(options["directional"])),
    }
    return [results[name]() for name in names]


def _partial(g: Point, v: Any, axes: Sequence[int]) -> Point:
    """A mixed partial derivative."""
    for axis in axes:
        g = along(v[int(axis)], g)
    return g


def _directional(g: Point, p: Any, v: Any, order: int) -> Any:
    """Derivatives of orders 1 to `order` along each direction, (q, order, k)."""

    def of(e: Any) -> Any:
        h, found = g, []
        for _ in range(order):
            h = along(e, h)
            found.append(h(p))
        return jnp.stack(found, -1)

    return jnp.moveaxis(jax.vmap(of)(v), 0, -1)
