"""Requests to a network: names of results, and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessquik_rs._several import Several

Name: TypeAlias = Literal[
    "value",
    "gradient",
    "hessian",
    "packed",
    "diagonal",
    "laplacian",
    "factored",
    "operator",
    "products",
    "block",
    "partials",
    "directional",
    "bilaplacian",
]
"""A result; operator, products, block, partials and directional need an argument of the same name."""

Names: TypeAlias = Name | Several | Sequence[Name]
"""Results by name: `("value", "laplacian")` or `"value,laplacian"`."""

ModeName: TypeAlias = Literal["auto", "forward", "backward", "sites"]
"""How second derivatives are computed."""

Mode: TypeAlias = ModeName | tuple[int, Sequence[int]]
"""`"auto"`, `"forward"`, `"backward"`, `"sites"`, or a plan `(prefix, pivots)`."""


Indices: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
"""Integers."""

Block: TypeAlias = tuple[Indices, Indices] | NDArray[np.integer[Any]]
"""Rows and columns."""

Pairs: TypeAlias = Sequence[Sequence[int]] | NDArray[np.integer[Any]]
"""Tuples of indices."""


Terms: TypeAlias = Mapping[tuple[int, ...], float]
"""Tuples of axes with coefficients: `{(0,): 1.0, (1, 1, 1): -2.0}` is u_t - 2 u_xxx of u(t, x), `()` the value."""


class Options(TypedDict, total=False):
    """The options of a request, beside the names of its results."""

    directions: ArrayLike | None
    """Input directions (k, d), the rows of `V`, or those of each point (n_s, k, d); the unit vectors by default."""
    outputs: ArrayLike | None
    """Output directions (m, q), the columns of `U`; the outputs themselves by default."""
    mode: Mode | None
    """How second derivatives are computed; all modes give the same numbers."""
    operator: ArrayLike | Terms | None
    """`B` (k, k): asks for `operator`, tr(B H). Or terms, `{(0,): 1.0, (1, 1, 1): -2.0}`: the sum of these partials,
    times their coefficients, of orders 0 to 8."""
    products: ArrayLike | None
    """Vectors `w` (kw, d): asks for `products`, `V H w^T`."""
    block: Block | None
    """Rows and columns: asks for `block`, these entries of the Hessian."""
    partials: Pairs | None
    """Tuples of axes, such as `[(0, 1), (1, 1, 1)]`: asks for `partials`, the mixed partial of each (order 1 to 8)."""
    directional: int | None
    """An order, 1 to 8: asks for `directional`, the derivatives up to this order along each direction."""
