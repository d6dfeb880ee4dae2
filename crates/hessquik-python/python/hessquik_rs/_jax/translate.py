"""A jaxpr, equation by equation: what depends on the point becomes a formula, the rest stays JAX's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from hessquik_rs import var as formulas
from hessquik_rs._jax.program import Known, Program, Slot, Value, alone
from hessquik_rs._jax.rules import RULES, Refused
from hessquik_rs._jax.source import CURE, line_of
from hessquik_rs._var import Var
from hessquik_rs.errors import HessquikError, OperationError

Call: TypeAlias = Callable[["Translation", Any, Any, Sequence[Value]], Sequence[Value]]

CALLS: dict[str, Call] = {}
"""Primitives that hold jaxprs, or that look at more than variables: what each makes of its operands."""

SMALL = 64
"""Constants of more entries are weights, so that they are no part of the description of a graph."""


SHAPING = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "convert_element_type")
"""Primitives that leave the numbers as they are: of weights, graphs do these."""

MOVING = (*SHAPING, "slice", "dynamic_slice", "gather", "transpose", "split", "unstack", "rev")
"""Primitives whose results have the names of what they are made of."""


OF_WHOLE = ("div", "rem", "pow", "integer_pow", "not", "and", "or", "xor", "population_count", "clz", "sign")
"""Primitives that do something else with whole numbers than with others."""


def _whole(value: Value, variable: Any) -> bool:
    """Whether an operand is a whole number that varies."""
    return isinstance(value, Var) and jnp.issubdtype(variable.aval.dtype, jnp.integer)


class Translation:
    """The formula of a jaxpr, and the program that computes its weights."""

    def __init__(self) -> None:
        self.program = Program()
        self.weights: dict[int, Var] = {}
        self.slots: dict[str, Slot] = {}
        self.borrows = False  # whether it holds arrays that are traced by a function around
        self._constants: dict[int, tuple[Any, Slot]] = {}

    def known(self, array: Any, name: str) -> Value:
        """A constant of a jaxpr, which inside another function of JAX's may be traced itself."""
        if isinstance(array, jax.core.Tracer):
            self.borrows = True
            return self.program.add(lambda: [array], [], [array], name)[0]
        return Known(array)

    def run(self, jaxpr: Any, consts: Sequence[Value], operands: Sequence[Value]) -> list[Value]:
        """The results of a jaxpr."""
        env: dict[Any, Value] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *operands), strict=True))

        def read(v: Any) -> Value:
            return Known(np.asarray(v.val, v.aval.dtype)) if hasattr(v, "val") else env[v]

        for equation in _needed(jaxpr):
            results = self._equation(jaxpr, equation, [read(v) for v in equation.invars])
            env.update(zip(equation.outvars, results, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def closed(self, jaxpr: Any, operands: Sequence[Value]) -> list[Value]:
        """The results of a jaxpr that may hold its constants."""
        if not hasattr(jaxpr, "jaxpr"):
            return self.run(jaxpr, [], operands)
        return self.run(jaxpr.jaxpr, [self.known(c, "constant") for c in jaxpr.consts], operands)

    def _equation(self, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Sequence[Value]:
        if not any(isinstance(v, Var) for v in values):
            return self.fixed(equation, values, alone(jaxpr, equation))
        name = equation.primitive.name
        results: Any
        try:
            if name in CALLS:
                results = CALLS[name](self, jaxpr, equation, values)
            elif name in OF_WHOLE and any(_whole(v, u) for v, u in zip(values, equation.invars, strict=True)):
                raise Refused("whole numbers that depend on the point are added, multiplied and compared only")
            elif name in RULES:
                results = RULES[name](*map(self.operand, values), primitive=name, **equation.params)
            else:
                raise OperationError(f"{name}{line_of(equation)}: the engine does not have this primitive; {CURE}")
        except Refused as refused:
            raise OperationError(f"{name}{line_of(equation)}: {refused}; or {CURE}") from None
        except OperationError:
            raise
        except (HessquikError, TypeError, IndexError, ValueError) as error:
            raise OperationError(f"{name}{line_of(equation)}: not with these operands ({error}); {CURE}") from error
        listed: Sequence[Value] = results if equation.primitive.multiple_results else [results]
        for value, expected in zip(listed, equation.outvars, strict=True):
            if isinstance(value, Var):
                _check(value, expected.aval, equation)
        return listed

    def fixed(self, equation: Any, values: Sequence[Value], work: Any) -> Sequence[Value]:
        """The results of what does not depend on the point: known at once, or a step of the program."""
        operands = [v for v in values if not isinstance(v, Var)]
        if all(isinstance(v, Known) for v in operands):
            with jax.ensure_compile_time_eval():
                return [Known(a) for a in work(*(v.array for v in operands if isinstance(v, Known)))]
        name = equation.primitive.name
        sources = [v for v in operands if isinstance(v, Slot)]
        title = sources[0].name if name in MOVING and len(sources) == 1 else name
        slots = self.program.add(work, operands, [v.aval for v in equation.outvars], title)
        return [_shaped(slots[0], values[0], equation)] if name in SHAPING else slots

    def operand(self, value: Value) -> Var:
        """A value as an operand of a rule: a variable, a constant or a weight."""
        if isinstance(value, Known):
            floating = jnp.issubdtype(value.dtype, jnp.floating)
            if not floating or value.array.size <= SMALL:
                return formulas.constant(np.asarray(value.array).astype(np.float64))
            return self.weight(self._constant(value))
        if isinstance(value, Slot):
            return self.weight(value) if value.origin is None else value.origin[1](self.operand(value.origin[0]))
        return value

    def _constant(self, value: Known) -> Slot:
        """A large constant as a slot, the same one for the same array."""
        array = value.array
        if id(array) not in self._constants:
            slot = self.program.add(lambda: [jnp.asarray(array)], [], [array], "constant")[0]
            self._constants[id(array)] = array, slot
        return self._constants[id(array)][1]

    def weight(self, slot: Slot) -> Var:
        """The weight of a graph that a slot is."""
        if slot.place not in self.weights:
            name, n = slot.name, 1
            while name in self.slots:
                name, n = f"{slot.name}_{n}", n + 1
            self.slots[name] = slot
            self.weights[slot.place] = formulas.weight(name, shape=slot.shape)
        return self.weights[slot.place]


def _shaped(slot: Slot, source: Value, equation: Any) -> Slot:
    """A slot as a form of another one, which is the weight then, under its own name and in its own shape."""
    if not isinstance(source, Slot) or not all(jnp.issubdtype(s.dtype, jnp.floating) for s in (slot, source)):
        return slot
    rule = partial(RULES[equation.primitive.name], old_dtype=source.dtype, **equation.params)
    return replace(slot, name=source.name, origin=(source, rule))


def _needed(jaxpr: Any) -> list[Any]:
    """The equations that the results depend on."""
    wanted, found = {id(v) for v in jaxpr.outvars}, []
    for equation in reversed(jaxpr.eqns):
        if wanted.intersection(map(id, equation.outvars)):
            wanted.update(map(id, equation.invars))
            found.append(equation)
    return found[::-1]


def _check(value: Var, expected: Any, equation: Any) -> None:
    """Rules give what JAX gives."""
    if value.shape != tuple(expected.shape):
        raise OperationError(
            f"{equation.primitive.name}{line_of(equation)}: the engine gives shape {list(value.shape)} in place of "
            f"{list(expected.shape)}; {CURE}"
        )
    if jnp.issubdtype(expected.dtype, jnp.complexfloating):
        raise OperationError(
            f"{equation.primitive.name}{line_of(equation)}: gives complex numbers, the engine has real ones; {CURE}"
        )
