"""Schedules in JAX's operations: every device, and differentiable again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from hessquik_rs._steps import run as steps
from hessquik_rs._steps.activations import jet
from hessquik_rs._steps.program import Program


class _Ops:
    """JAX as the executor asks of it."""

    xp: Any = jnp

    def constant(self, numbers: NDArray[Any], like: Any) -> Any:
        return jnp.asarray(numbers, like.dtype)

    def take(self, x: Any, entries: NDArray[np.int64], axis: int) -> Any:
        return jnp.take(x, entries, axis, mode="clip")  # all are there

    def matmul(self, a: Any, b: Any) -> Any:
        return jnp.matmul(a, b, precision="highest")

    def detach(self, x: Any) -> Any:
        return jax.lax.stop_gradient(x)

    def act(self, settings: str, z: Any, orders: Sequence[int]) -> list[Any]:
        found = _jet(settings, max(orders), z)
        return [found[order] for order in orders]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _jet(settings: str, order: int, z: Any) -> tuple[Any, ...]:
    """An activation and its derivatives, of which each knows its own: the next."""
    return tuple(jet(jnp, json.loads(settings), z, order))


@_jet.defjvp
def _(settings: str, order: int, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    found = _jet(settings, order + 1, primals[0])
    return found[:-1], tuple(row * tangents[0] for row in found[1:])


_OPS = _Ops()


def results(program: Program, x: Any, weights: Sequence[Any]) -> list[Any]:
    """The results of a schedule at points (n, d), each (n, q, ..)."""
    return steps.run(_OPS, program, x, weights)
