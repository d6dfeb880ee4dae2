"""What can be asked of a network: names of results, and options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

from numpy.typing import ArrayLike

Names: TypeAlias = str | Sequence[str]
"""Results by name: `("value", "laplacian")` or `"value,laplacian"`."""

Mode: TypeAlias = str | tuple[int, Sequence[int]]
"""`"auto"`, `"forward"`, `"backward"`, `"sites"`, or a plan `(prefix, pivots)`."""


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
    block: tuple[Sequence[int], Sequence[int]] | None
    """Rows and columns: asks for `block`, these entries of the Hessian."""
    partials: Sequence[tuple[int, int]] | None
    """Pairs (a, b): asks for `partials`, `H[a, b]` of each."""
