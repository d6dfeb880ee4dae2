"""Products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hessquik_rs import var as f
from hessquik_rs._jax.rules.table import Refused, rule
from hessquik_rs._var import Var, scatter_add


@rule("dot_general")
def _dot_general(a: Var, b: Var, dimension_numbers: Any, **_: Any) -> Var:
    contract, batch = dimension_numbers
    return f.dot_general(a, b, contract, batch)


def spread(v: Var, steps: Sequence[int]) -> Var:
    """Zeros between the entries along each axis, `step - 1` of them."""
    shape = [(n - 1) * step + 1 for n, step in zip(v.shape, steps, strict=True)]
    if shape == list(v.shape):
        return v
    places = np.arange(math.prod(shape)).reshape(shape)
    return scatter_add(shape, places[tuple(slice(None, None, step) for step in steps)], v)


@rule("conv_general_dilated")
def _convolution(
    v: Var,
    kernel: Var,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dimension_numbers: Any,
    **settings: Any,
) -> Var:
    if settings.get("batch_group_count", 1) != 1:
        raise Refused("batch_group_count must be 1")
    v = v.permute(*dimension_numbers.lhs_spec)
    kernel = kernel.permute(*dimension_numbers.rhs_spec)
    rank = v.ndim - 2
    apart = settings.get("lhs_dilation") or (1,) * rank
    dilation = settings.get("rhs_dilation") or (1,) * rank
    groups = settings.get("feature_group_count", 1)
    images = [spread(v[i], (1, *apart)) for i in range(v.shape[0])]
    out = f.stack([f.conv(image, kernel, window_strides, padding, dilation, groups) for image in images])
    return out.permute(*np.argsort(dimension_numbers.out_spec).tolist())
