"""Results: jets of a network at points, the factored Hessian, and gradients of a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
"""An array of float32 or float64."""


class FactoredHessian(NamedTuple):
    """The Hessian as `M C_s M^T` at every sample `s`; nothing of size k^2 is formed unless you call `to_dense`.

    >>> import numpy as np
    >>> import hessquik_rs as hq
    >>> net = hq.Network([hq.single(50, 4, "tanh"), hq.single(4, 1, "sin")], seed=0)
    >>> jet = net.evaluate(np.ones((3, 50)), ("hessian", "factored"))
    >>> jet.factored.core.shape
    (3, 4, 4, 1)
    >>> np.allclose(jet.factored.to_dense(), jet.hessian)
    True
    """

    outer: Array
    """`M` (k, p), the same for all samples."""
    core: Array
    """`C` (n_s, p, p, q)."""

    def to_dense(self) -> Array:
        """The Hessian (n_s, k, k, q)."""
        return self._between(self.outer, self.outer)

    def block(self, rows: ArrayLike, cols: ArrayLike) -> Array:
        """These rows and columns of the Hessian (n_s, rows, cols, q)."""
        return self._between(self.outer[np.asarray(rows)], self.outer[np.asarray(cols)])

    def products(self, vectors: ArrayLike) -> Array:
        """The products (n_s, k, kw, q) with the rows of `vectors` (kw, k)."""
        return self._between(self.outer, np.asarray(vectors, self.outer.dtype) @ self.outer)

    def diagonal(self) -> Array:
        """The diagonal (n_s, k, q)."""
        left = np.einsum("ki,sijq->skjq", self.outer, self.core)
        diagonal: Array = np.einsum("skjq,kj->skq", left, self.outer)
        return diagonal

    def laplacian(self) -> Array:
        """The trace (n_s, q)."""
        trace: Array = np.einsum("sijq,ij->sq", self.core, self.outer.T @ self.outer)
        return trace

    def _between(self, left: Array, right: Array) -> Array:
        dense: Array = np.einsum("saiq,bi->sabq", np.einsum("ai,sijq->sajq", left, self.core), right)
        return dense


class Jet:
    """Value and derivatives at n_s points: requested results are attributes; others raise `AttributeError`.

    With `k` input and `q` output directions (`d` and `m` unless directions are given):

    | attribute | is | shape |
    |---|---|---|
    | `value` | `f U` | (n_s, q) |
    | `gradient` | `V f' U`: entry `[s, a, r]` is df_r/dx_a | (n_s, k, q) |
    | `hessian` | `V f'' V^T U` | (n_s, k, k, q) |
    | `packed` | its upper half, row by row | (n_s, k (k + 1) / 2, q) |
    | `diagonal` | its diagonal | (n_s, k, q) |
    | `laplacian` | its trace | (n_s, q) |
    | `operator` | tr(B H), or the sum of the terms of an operator | (n_s, q) |
    | `products` | `V H w^T` | (n_s, k, kw, q) |
    | `block` | `H[rows, cols]` | (n_s, rows, cols, q) |
    | `partials` | the mixed partial of each tuple of axes | (n_s, p, q) |
    | `directional` | orders 1 to K along each direction | (n_s, K, k, q) |
    | `bilaplacian` | the Laplacian of the Laplacian | (n_s, q) |
    | `factored` | the factored Hessian, a `FactoredHessian` | |

    The arrays are the memory that the engine wrote: nothing is copied. In memory the output axis comes right after the
    sample axis, (n_s, q, k, k), so the derivatives of one output are contiguous.

    A jet unpacks in the order in which the results were requested:

    >>> import numpy as np
    >>> import hessquik_rs as hq
    >>> net = hq.Network([hq.single(2, 8, "tanh"), hq.single(8, 1)], seed=0)
    >>> value, laplacian = net.evaluate(np.zeros((5, 2)), ("value", "laplacian"))
    >>> value.shape, laplacian.shape
    ((5, 1), (5, 1))
    """

    value: Array
    gradient: Array
    hessian: Array
    packed: Array
    diagonal: Array
    laplacian: Array
    operator: Array
    products: Array
    block: Array
    partials: Array
    directional: Array
    bilaplacian: Array
    factored: FactoredHessian

    def __init__(self, results: dict[str, Any]) -> None:
        """A jet with these results by name."""
        factored = results.get("factored")
        if type(factored) is tuple:
            results["factored"] = FactoredHessian(*factored)
        self.__dict__ = results

    def __getattr__(self, name: str) -> Any:
        if name in Jet.__annotations__:
            raise AttributeError(f"{name} was not requested; this jet has {', '.join(vars(self)) or 'nothing'}")
        raise AttributeError(f"a Jet has no attribute {name!r}")

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self).values())

    def __len__(self) -> int:
        return len(vars(self))

    def __repr__(self) -> str:
        shape = {name: getattr(array, "shape", "factored") for name, array in vars(self).items()}
        return f"Jet({', '.join(f'{name} {found}' for name, found in shape.items())})"


@dataclass(frozen=True)
class Gradients:
    """The gradients of a scalar loss."""

    weights: Array
    """With respect to all weights, flat (n_weights,), in the order of `Network.flat_weights`."""
    input: Array
    """With respect to the points (n_s, d)."""
    _split: Callable[[Array], dict[str, Array]]
    directions: Array | None = None
    """With respect to the directions (n_s, k, d), where points have their own."""

    def by_name(self) -> dict[str, Array]:
        """The gradients of the weights, by name."""
        return self._split(self.weights)

    def __iter__(self) -> Iterator[Array]:
        return iter((self.weights, self.input))
