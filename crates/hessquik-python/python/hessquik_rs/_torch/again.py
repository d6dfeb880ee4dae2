"""The derivative of the engine's pullback, which the engine does not have: in torch operations."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .form import Form
from .native import GRADIENT, HESSIAN, LAPLACIAN, VALUE
from .sites import Plan, derivatives

Forms = Callable[[Sequence[Tensor]], list[Form]]


def results_given(results: int, bars: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The cotangents of the results that there are, of the three that there can be."""
    wanted = (VALUE, GRADIENT, HESSIAN | LAPLACIAN)
    return [bar for bar, bit in zip(bars, wanted, strict=True) if results & bit]


def pulled_back(
    forms: Forms,
    plan: Plan,
    x: Tensor,
    weights: Sequence[Tensor],
    bars: Sequence[Tensor | None],
    v: Tensor | None,
    results: int,
    outputs: bool,
) -> tuple[Tensor, ...]:
    """The pullback as a differentiable function of points, weights and cotangents."""

    def f(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        return tuple(r for r in derivatives(forms(weights), x, results, v, outputs, plan) if r is not None)

    found, pull = torch.func.vjp(f, x, *weights)[:2]
    full = tuple(
        torch.zeros_like(r) if bar is None else bar for r, bar in zip(found, results_given(results, bars), strict=True)
    )
    gradients: tuple[Tensor, ...] = pull(full)
    return gradients


def pullback_of_pullback(
    forms: Forms,
    plan: Plan,
    x: Tensor,
    weights: Sequence[Tensor],
    bars: Sequence[Tensor | None],
    bars_of_bars: Sequence[Tensor | None],
    v: Tensor | None,
    results: int,
    outputs: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
    """Gradients to the points, the weights and the cotangents of the pullback, given cotangents of what it returned."""
    there = [i for i, bar in enumerate(bars) if bar is not None]

    def f(x: Tensor, weights: list[Tensor], given: list[Tensor]) -> tuple[Tensor, ...]:
        full: list[Tensor | None] = [None] * len(bars)
        for i, bar in zip(there, given, strict=True):
            full[i] = bar
        return pulled_back(forms, plan, x, weights, full, v, results, outputs)

    found, pull = torch.func.vjp(f, x, list(weights), [bars[i] for i in there])[:2]
    to_x, to_weights, to_given = pull(
        tuple(torch.zeros_like(r) if b is None else b for r, b in zip(found, bars_of_bars, strict=True))
    )
    to_bars: list[Tensor | None] = [None] * len(bars)
    for i, bar in zip(there, to_given, strict=True):
        to_bars[i] = bar
    return to_x, to_weights, to_bars


def forms_of(architecture: str) -> Forms:
    """The forms of a network of which there is nothing but the description, given its weights."""
    forms: Forms = _described(architecture).forms
    return forms


def plan_by_name(architecture: str, results: int, k: int, q: int, mode: str) -> Plan:
    """The engine's plan for a network of which there is nothing but the description."""
    plan: Plan = _described(architecture).plan(results, k, q, mode)
    return plan


@lru_cache(maxsize=64)
def _described(architecture: str) -> Any:
    from ..networks.from_architecture import from_architecture
    from .structure import Structure

    def build() -> Any:
        return Structure().inspected(from_architecture(json.loads(architecture), device="meta"))

    # on a thread of its own, to which transforms and modes of the caller do not reach
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(build).result()
