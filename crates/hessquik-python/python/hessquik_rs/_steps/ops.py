"""What the executor asks of a library of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of the library."""


class Ops(Protocol):
    """A library of arrays: its module, and what is called otherwise in each."""

    @property
    def xp(self) -> Any:
        """The module, `torch` or `jax.numpy`."""

    def constant(self, numbers: NDArray[Any], like: Array) -> Array:
        """Numbers as an array of the type of another, on its device."""

    def take(self, x: Array, entries: NDArray[np.int64], axis: int) -> Array:
        """These entries of an axis."""

    def matmul(self, a: Array, b: Array) -> Array:
        """Products of matrices, with all digits."""

    def detach(self, x: Array) -> Array:
        """The same numbers, which derivatives do not pass."""

    def act(self, settings: str, z: Array, orders: Sequence[int]) -> list[Array]:
        """These derivatives of an activation."""
