"""What depends on parameters alone: JAX's steps to the weights of a graph, by which gradients reach parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.core

from hessquik_rs._jax import sharding
from hessquik_rs._var import Var


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """An array that is known when a function is traced."""

    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Any:
        """Its type."""
        return self.array.dtype


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """An array that depends on parameters: its place in a program, and what it may be called.

    `origin` is a slot with the same numbers in another shape, and the rule that shapes them so in a graph.
    """

    place: int
    shape: tuple[int, ...]
    dtype: Any
    name: str
    origin: tuple[Slot, Callable[[Var], Var]] | None = None


Value: TypeAlias = Var | Slot | Known
"""What a variable of a jaxpr stands for: something that depends on the point, on parameters alone, on neither."""

Work: TypeAlias = Callable[..., Sequence[Any]]


class Program:
    """Steps from slots to slots; the first slots are what the program is given."""

    def __init__(self) -> None:
        self.given = 0
        self._size = 0
        self._steps: list[tuple[Work, tuple[Slot | Known, ...], list[Slot]]] = []

    def input(self, shape: Sequence[int], dtype: Any, name: str) -> Slot:
        """A slot for something given; all of them come before any step."""
        self.given += 1
        return self._slot(shape, dtype, name)

    def _slot(self, shape: Sequence[int], dtype: Any, name: str) -> Slot:
        self._size += 1
        return Slot(self._size - 1, tuple(shape), dtype, name)

    def add(self, work: Work, operands: Sequence[Slot | Known], results: Sequence[Any], name: str) -> list[Slot]:
        """A step, whose results have the shapes and types of `results`."""
        slots = [self._slot(r.shape, r.dtype, name) for r in results]
        self._steps.append((work, tuple(operands), slots))
        return slots

    def run(self, given: Sequence[Any], wanted: Sequence[Slot]) -> list[Any]:
        """The arrays of these slots; steps that they do not need are not computed."""
        needed = {slot.place for slot in wanted}
        steps = []
        for work, operands, slots in reversed(self._steps):
            if needed.intersection(s.place for s in slots):
                needed.update(o.place for o in operands if isinstance(o, Slot))
                steps.append((work, operands, slots))
        arrays: dict[int, Any] = dict(enumerate(given))
        for work, operands, slots in reversed(steps):
            found = work(*sharding.agree(*(o.array if isinstance(o, Known) else arrays[o.place] for o in operands)))
            arrays.update((slot.place, array) for slot, array in zip(slots, found, strict=True))
        return [arrays[slot.place] for slot in wanted]


def alone(jaxpr: Any, equation: Any) -> Work:
    """One equation of a jaxpr as a function of its operands."""
    operands = list(dict.fromkeys(v for v in equation.invars if not hasattr(v, "val")))
    single = jaxpr.replace(
        constvars=[], invars=operands, outvars=list(equation.outvars), eqns=[equation], effects=equation.effects
    )
    places = [next(i for i, v in enumerate(equation.invars) if v is o) for o in operands]
    return lambda *given: jax.core.eval_jaxpr(single, [], *(given[i] for i in places))
