"""A user's function as data: its graph, with the parameters that it has now."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessquik_rs._jax.trace import Apply, Parameters, traced
from hessquik_rs.errors import SettingError
from hessquik_rs.jet import Array


def frozen(apply: Apply, params: Any, d: int) -> tuple[dict[str, Any], dict[str, Array], str]:
    """The graph, its weights by name, and their type."""
    parameters = Parameters.of(params)
    if any(isinstance(a, jax.core.Tracer) for a in parameters.leaves):
        raise SettingError("the parameters are traced: call Network.from_jax outside of jit, grad and vmap")
    floats = parameters.floats()
    dtype = jnp.result_type(*floats) if floats else jnp.result_type(float)
    graph, parameters = traced(apply, params, parameters, d, dtype)
    if graph.borrows:
        raise SettingError("the function uses arrays that are traced: call Network.from_jax outside of jit, grad, vmap")
    weights = graph.weights(parameters.leaves)
    values: dict[str, Array] = {name: np.asarray(w, np.float64) for name, w in zip(graph.names, weights, strict=True)}
    return graph.graph, values, "float64" if dtype == jnp.float64 else "float32"
