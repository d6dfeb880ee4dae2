"""Evaluation, tangents and pullbacks of networks by the steps of the engine as JAX's operations.

They are for devices that the engine does not know, forward mode, and second derivatives of jets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hessquik_rs._jax import steps
from hessquik_rs._jax.spec import Spec

Arrays = Sequence[Any]
Lead = tuple[int, ...]


def full(array: Any, lead: Lead) -> Any:
    """With all leading axes."""
    return jnp.broadcast_to(array, (*lead, *array.shape[len(lead) :]))


def _jet(spec: Spec, names: Sequence[str], lead: Lead) -> Callable[..., tuple[Any, ...]]:
    """The results as a function of points and weights that have all leading axes."""

    def once(x: Any, *theta: Any) -> tuple[Any, ...]:
        return tuple(steps.results(spec.program(tuple(names)), x, theta))

    def batched(x: Any, *theta: Any) -> tuple[Any, ...]:
        flat = [a.reshape(math.prod(lead), *a.shape[len(lead) :]) for a in (x, *theta)]
        return tuple(r.reshape(*lead, *r.shape[1:]) for r in jax.vmap(once)(*flat))

    return batched if lead else once


def evaluate(x: Any, *theta: Any, spec: Spec, lead: Lead) -> list[Any]:
    """The jet (n, q, ..)."""
    jet = _jet(spec, spec.names, lead)
    return list(jet(*(full(a, lead) for a in (x, *theta))))


def tangent(*arguments: Any, spec: Spec, lead: Lead, has: tuple[bool, ...]) -> list[Any]:
    """The tangent of the jet, for tangents of those arguments that have one."""
    primals = [full(a, lead) for a in arguments[: len(has)]]
    given = iter(arguments[len(has) :])
    tangents = [next(given) if own else jnp.zeros_like(p) for own, p in zip(has, primals, strict=True)]
    jet = _jet(spec, spec.names, lead)
    return list(jax.jvp(jet, tuple(primals), tuple(tangents))[1])


def pullback(x: Any, *rest: Any, spec: Spec, lead: Lead, names: tuple[str, ...], to_weights: bool) -> list[Any]:
    """Gradients to points and weights of a loss with these cotangents."""
    n = len(spec.weights)
    primals = [full(a, lead) for a in (x, *rest[:n])]
    jet = _jet(spec, names, lead)
    return list(jax.vjp(jet, *primals)[1](tuple(rest[n:])))


def second(
    *arguments: Any,
    spec: Spec,
    lead: Lead,
    names: tuple[str, ...],
    has: tuple[bool, ...],
) -> list[Any]:
    """The tangents of the gradients to points and weights, for tangents of those that have one."""
    n = len(has)
    bars, given = arguments[n : n + len(names)], iter(arguments[n + len(names) :])
    primals = [full(a, lead) for a in arguments[:n]]
    tangents = [next(given) if own else jnp.zeros_like(p) for own, p in zip(has, primals, strict=True)]

    def gradients(*moved: Any) -> Any:
        return pullback(*moved, *bars, spec=spec, lead=lead, names=names, to_weights=True)

    return list(jax.jvp(gradients, tuple(primals), tuple(tangents))[1])


def jvp(work: Callable[..., Arrays], primals: Arrays, moving: dict[int, Any]) -> tuple[list[Any], list[Any]]:
    """Results and tangents of a function of which some arguments have tangents."""

    def of_moving(*given: Any) -> tuple[Any, ...]:
        filled = list(primals)
        for i, array in zip(moving, given, strict=True):
            filled[i] = array
        return tuple(work(*filled))

    results, tangents = jax.jvp(of_moving, tuple(primals[i] for i in moving), tuple(moving.values()))
    return list(results), list(tangents)
