"""Entries of an axis moved to other places of it, where several may meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .ops import Array, Ops

Places = NDArray[np.int64]


def placed(blocks: Sequence[tuple[int, int, int]]) -> Places:
    """Pairs (to, from) of blocks (from, to, how many)."""
    none = np.zeros((0, 2), np.int64)
    return np.concatenate([none, *(np.arange(n)[:, None] + np.array([[to, at]]) for at, to, n in blocks)])


class Route:
    """For pairs (to, from): the sum, at each of `length` places, of the entries that go there.

    Places that get as many entries as each other are filled together: these entries are taken, then summed. Nothing is
    scattered, which GPUs do in an order of their own, and nothing is multiplied by zeros, which may meet infinities.
    """

    def __init__(self, pairs: Places, length: int) -> None:
        self.length, self.parts = length, list[tuple[int, Places]]()
        order = np.argsort(pairs[:, 0], kind="stable")
        counts = np.bincount(pairs[:, 0], minlength=length)
        starts = np.cumsum(counts) - counts
        self.place = np.zeros(length, np.int64)
        filled = 0
        for count in np.unique(counts):
            targets = np.flatnonzero(counts == count)
            if count == 0:
                self.parts.append((0, np.zeros(1, np.int64)))
                self.place[targets] = filled
                filled += 1
                continue
            entries = order[(starts[targets][:, None] + np.arange(count)[None, :]).reshape(-1)]
            self.parts.append((int(count), pairs[entries, 1]))
            self.place[targets] = filled + np.arange(len(targets))
            filled += len(targets)

    def __call__(self, ops: Ops, x: Array, axis: int) -> Array:
        """The entries of axis 1 or 2 of `x` (samples, rows, n) in their places."""
        found = []
        for count, entries in self.parts:
            if count == 0:
                shape = list(x.shape)
                shape[axis] = 1
                found.append(ops.constant(np.zeros(shape), x))
            else:
                found.append(_summed(pick(ops, x, axis, entries), axis, count))
        all_of_them = found[0] if len(found) == 1 else ops.xp.concatenate(found, axis)
        return pick(ops, all_of_them, axis, self.place)


def _summed(x: Array, axis: int, count: int) -> Array:
    """Each `count` neighbours of an axis in one sum."""
    if count == 1:
        return x
    samples, rows, n = x.shape
    if axis == 1:
        return x.reshape(samples, rows // count, count, n).sum(2)
    return x.reshape(samples, rows, n // count, count).sum(3)


def pick(ops: Ops, x: Array, axis: int, entries: Places) -> Array:
    """These entries of an axis; where there is one of them, it stands for all."""
    size = x.shape[axis]
    if len(entries) and np.array_equal(entries, np.arange(entries[0], entries[0] + len(entries))):
        if len(entries) == size:
            return x
        start, end = int(entries[0]), int(entries[0]) + len(entries)
        return x[:, start:end] if axis == 1 else x[:, :, start:end]
    if size == 1:
        shape = list(x.shape)
        shape[axis] = len(entries)
        return ops.xp.broadcast_to(x, tuple(shape))
    return ops.take(x, entries, axis)
