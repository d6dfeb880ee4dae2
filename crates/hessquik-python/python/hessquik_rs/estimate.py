"""Estimates from random directions."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from hessquik_rs.jet import Array

Kind: TypeAlias = Literal["rademacher", "gaussian"]
"""The distribution of the entries of random directions: plus or minus one, or standard normal."""

Quantity: TypeAlias = Literal["laplacian", "bilaplacian", "operator"]
"""What is estimated; `"operator"` needs the argument of that name."""


class Estimate(NamedTuple):
    """An estimate with its standard error."""

    mean: Array
    """The mean over the directions (n_s, q), an unbiased estimate."""
    standard_error: Array
    """The standard deviation of the mean (n_s, q), as the spread of the directions shows it."""
