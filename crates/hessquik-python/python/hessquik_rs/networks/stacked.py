"""Whether layers can be composed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def check_layers(layers: Sequence[Any]) -> None:
    """Refuses what is no layer, and layers whose sizes do not fit."""
    for i, layer in enumerate(layers):
        if isinstance(layer, type) or not (hasattr(layer, "dim_input") and hasattr(layer, "dim_output")):
            raise TypeError(f"block {i} is {no_layer(layer)}")
    for i, (before, after) in enumerate(zip(layers[:-1], layers[1:], strict=True)):
        n_out, n_in = before.dim_output(), after.dim_input()
        if n_out != n_in:
            raise ValueError(
                f"incompatible composition for block {i} to block {i + 1}: "
                f"block {i} has {n_out} outputs, block {i + 1} wants {n_in} inputs"
            )


def no_layer(found: Any) -> str:
    """What was found in the place of a layer, and what to write instead."""
    kind = type(found)
    name = f"torch.nn.{kind.__name__}" if kind.__module__.startswith("torch.nn") else kind.__name__
    wanted = "expected a layer of hessquik_rs.layers, or a network"
    if isinstance(found, nn.Linear):
        return (
            f"a {name}, {wanted}: write lay.singleLayer({found.in_features}, {found.out_features}, "
            f"act=nn.Tanh()) for a "
            f"linear map and the activation behind it (its K is the transposed weight), or leave out act for "
            f"the map alone"
        )
    if isinstance(found, (list, tuple, nn.ModuleList)):
        return f"a {name}, {wanted}: write NN(*layers)"
    if isinstance(found, nn.Sequential):
        return f"a {name}, {wanted}: write a lay.singleLayer for each linear map with the activation behind it"
    if isinstance(found, type):
        return f"the class {found.__name__}, {wanted}: write {found.__name__}(..), with its sizes"
    if isinstance(found, nn.Module):
        return f"a {name}, {wanted}: activations are arguments of layers, as in lay.singleLayer(2, 3, act=nn.Tanh())"
    return f"a {name}, {wanted}"
