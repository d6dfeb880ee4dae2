"""Arrays of JAX, without a program where nothing is to be done.

Outside `jax.jit`, JAX compiles a program for each shape of a traced array that it converts, though the conversion be
none, and keeps it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def array_of(given: Any) -> jax.Array:
    """What is given as an array of JAX."""
    return given if isinstance(given, jax.Array) else jnp.asarray(given)


def of_type(array: jax.Array, dtype: Any) -> jax.Array:
    """The array with this type."""
    return array if array.dtype == dtype else array.astype(dtype)
