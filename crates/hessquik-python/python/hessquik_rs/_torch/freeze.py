"""A user's module as data: its graph, with the weights that it has now."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..jet import Array
from .jets import kind, pointwise


def frozen(module: nn.Module, d: int) -> tuple[dict[str, Any], dict[str, Array], str]:
    """The graph, its weights by name, and their type."""
    traced = pointwise(module, d)
    with torch.no_grad():
        weights = [w.detach().cpu() for w in traced.weights(module)]
    values = {name: w.double().numpy() for name, w in zip(traced.names, weights, strict=True)}
    return traced.graph, values, "float64" if kind(module)[0] is torch.float64 else "float32"
