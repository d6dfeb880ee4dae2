"""What can be asked of a network: names of results, and options."""

from __future__ import annotations

from collections.abc import Sequence
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
]
"""A result; the last four ask for an argument of the same name."""

Names: TypeAlias = Name | Several | Sequence[Name]
"""Results by name: `("value", "laplacian")` or `"value,laplacian"`."""

ModeName: TypeAlias = Literal["auto", "forward", "backward", "sites"]
"""How second derivatives are computed."""

Mode: TypeAlias = ModeName | tuple[int, Sequence[int]]
"""`"auto"`, `"forward"`, `"backward"`, `"sites"`, or a plan `(prefix, pivots)`."""


Indices: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
"""Whole numbers."""

Block: TypeAlias = tuple[Indices, Indices] | NDArray[np.integer[Any]]
"""Rows and columns."""

Pairs: TypeAlias = Sequence[Sequence[int]] | NDArray[np.integer[Any]]
"""Pairs of indices."""


class Options(TypedDict, total=False):
    """What a request says beside the names of its results."""

    directions: ArrayLike | None
    """Input directions (k, d), the rows of `V`; the unit vectors unless given."""
    outputs: ArrayLike | None
    """Output directions (m, q), the columns of `U`; the outputs themselves unless given."""
    mode: Mode | None
    """How second derivatives are computed; all modes give the same numbers."""
    operator: ArrayLike | None
    """`B` (k, k): asks for `operator`, tr(B H)."""
    products: ArrayLike | None
    """Vectors `w` (kw, d): asks for `products`, `V H w^T`."""
    block: Block | None
    """Rows and columns: asks for `block`, these entries of the Hessian."""
    partials: Pairs | None
    """Pairs (a, b): asks for `partials`, `H[a, b]` of each."""
