"""Windows that slide over the entries of a variable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hessquik_rs import _functions as f
from hessquik_rs._nodes import Ints
from hessquik_rs._var import Var


def windows_of(
    shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Ints:
    """Places of the entries in each window (.., taps), or -1 for what is padded."""
    places = np.arange(int(np.prod(shape))).reshape(tuple(shape))
    for axis, (n, size, stride, (low, high), base, apart) in enumerate(
        zip(shape, window_dimensions, window_strides, padding, base_dilation, window_dilation, strict=True)
    ):
        along = np.full(max(low, 0) + (n - 1) * base + 1 + max(high, 0), -1)
        along[max(low, 0) : max(low, 0) + (n - 1) * base + 1 : base] = np.arange(n)
        along = along[max(-low, 0) : len(along) - max(-high, 0)]
        count = (len(along) - (size - 1) * apart - 1) // stride + 1
        index = along[np.arange(count)[:, None] * stride + np.arange(size) * apart]
        # axis `axis` becomes windows here and taps at the end
        taken = np.take(places, np.maximum(index, 0), axis)
        outside = np.expand_dims(index < 0, [*range(axis), *range(axis + 2, taken.ndim)])
        places = np.moveaxis(np.where(outside | (taken < 0), -1, taken), axis + 1, -1)
    return places.reshape(*places.shape[: len(shape)], -1)


def largest_of(v: Var, places: Ints) -> Var:
    """The largest entry of each window, by the places of its entries; what is padded, -1, is smaller than any."""
    first = places.max(-1, keepdims=True)
    return f.amax(v.flatten().take(np.where(places < 0, first, places), 0), -1)
