"""Schedules on tensors: every device and precision, and differentiable again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._steps.program import Program
from .._steps.run import run
from .pointwise import Pointwise, derivatives


class _Ops:
    """PyTorch as the executor asks of it."""

    xp: Any = torch

    def constant(self, numbers: NDArray[Any], like: Tensor) -> Tensor:
        return torch.as_tensor(numbers, dtype=like.dtype, device=like.device)

    def take(self, x: Tensor, entries: NDArray[np.int64], axis: int) -> Tensor:
        return x.index_select(axis, torch.as_tensor(entries, device=x.device))

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    def detach(self, x: Tensor) -> Tensor:
        return x.detach()

    def act(self, settings: str, z: Tensor, orders: Sequence[int]) -> list[Tensor]:
        found = derivatives(_pointwise(settings), z, max(orders))
        return [found[order] for order in orders]


@lru_cache(maxsize=256)
def _pointwise(settings: str) -> Pointwise:
    return Pointwise(json.loads(settings))


_OPS = _Ops()


def results(program: Program, x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """The results of a schedule at points (n, d), each (n, .., q)."""
    return [result.movedim(1, -1) for result in run(_OPS, program, x, weights)]
