"""Primitives that hold jaxprs: calls are written out, loops unrolled, branches chosen or computed side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hessquik_rs import var as f
from hessquik_rs._jax import named
from hessquik_rs._jax.program import Known, Slot, Value, alone
from hessquik_rs._jax.rules import RULES, Refused
from hessquik_rs._jax.rules.order import taken
from hessquik_rs._jax.source import jaxs_own
from hessquik_rs._jax.translate import CALLS, Call, Translation
from hessquik_rs._var import Var

TURNS = 10_000
"""The most turns of a loop that are unrolled."""


def _call(*names: str) -> Callable[[Call], Call]:
    """Adds what is made of primitives of these names."""

    def add(function: Call) -> Call:
        CALLS.update(dict.fromkeys(names, function))
        return function

    return add


@_call("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "composite")
def _inlined(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Sequence[Value]:
    inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
    known = _named(t, inner, values)
    return t.closed(inner, values) if known is None else known


def _named(t: Translation, inner: Any, values: Sequence[Value]) -> Sequence[Var] | None:
    """What JAX's own functions are as formulas of the engine, where there are some."""
    own = jaxs_own(getattr(inner, "jaxpr", inner))
    formula = named.FUNCTIONS.get(own) if own else None
    found = None if formula is None else formula(*map(t.operand, values))
    return [found] if isinstance(found, Var) else found


@_call("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
def _custom(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Sequence[Value]:
    inner = equation.params.get("call_jaxpr") or equation.params["fun_jaxpr"]
    known = _named(t, inner, values)
    if known is not None:
        return known
    named.check_derivatives(inner, alone(jaxpr, equation), values, [v.aval for v in equation.invars])
    return t.closed(inner, values)


def _entry(t: Translation, value: Value, i: int) -> Value:
    """Entry `i` of the first axis."""
    if isinstance(value, Var):
        return value[i]
    if isinstance(value, Known):
        with jax.ensure_compile_time_eval():
            return Known(value.array[i])
    like = jax.ShapeDtypeStruct(value.shape[1:], value.dtype)
    return t.program.add(lambda a: [a[i]], [value], [like], f"{value.name}.{i}")[0]


def _stacked(t: Translation, parts: Sequence[Value], aval: Any) -> Value:
    """Results of turns along a new first axis."""
    if any(isinstance(p, Var) for p in parts):
        return f.stack([t.operand(p) for p in parts])
    fixed = [p for p in parts if not isinstance(p, Var)]
    if all(isinstance(p, Known) for p in fixed):
        return Known(np.stack([np.asarray(p.array) for p in fixed if isinstance(p, Known)]))
    return t.program.add(lambda *a: [jnp.stack(a)], fixed, [aval], "stack")[0]


@_call("scan")
def _scan(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Sequence[Value]:
    p = equation.params
    if p["length"] > TURNS:
        raise Refused(f"a scan of {p['length']} turns is unrolled up to {TURNS}")
    n_consts, n_carry = p["num_consts"], p["num_carry"]
    consts, carry, xs = values[:n_consts], values[n_consts : n_consts + n_carry], values[n_consts + n_carry :]
    turns = range(p["length"])
    ys: list[list[Value]] = []
    for i in reversed(turns) if p["reverse"] else turns:
        results = t.closed(p["jaxpr"], [*consts, *carry, *(_entry(t, x, i) for x in xs)])
        carry = results[:n_carry]
        ys.append(results[n_carry:])
    if p["reverse"]:
        ys.reverse()
    shapes = [v.aval for v in equation.outvars[n_carry:]]
    if not ys and shapes:
        raise Refused("a scan of no turns has no results")
    return [*carry, *(_stacked(t, [y[j] for y in ys], aval) for j, aval in enumerate(shapes))]


@_call("while")
def _while(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Sequence[Value]:
    p = equation.params
    n_cond, n_body = p["cond_nconsts"], p["body_nconsts"]
    of_cond, of_body, carry = values[:n_cond], values[n_cond : n_cond + n_body], list(values[n_cond + n_body :])
    for _ in range(TURNS):
        goes_on = t.closed(p["cond_jaxpr"], [*of_cond, *carry])[0]
        number = _number(goes_on)
        if number is None:
            raise Refused("the number of turns depends on the point or on parameters: use lax.scan or lax.fori_loop")
        if not number:
            return carry
        carry = t.closed(p["body_jaxpr"], [*of_body, *carry])
    raise Refused(f"a loop of more than {TURNS} turns is not unrolled")


def _number(value: Value) -> float | None:
    """The number that a scalar is, if it is known."""
    if isinstance(value, Known):
        return float(np.asarray(value.array))
    return None if isinstance(value, Slot) or value.value is None else float(value.value.reshape(()))


@_call("cond")
def _cond(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Sequence[Value]:
    branches, (which, *operands) = equation.params["branches"], values
    number = _number(which)
    if number is not None:
        return t.closed(branches[min(max(int(number), 0), len(branches) - 1)], operands)
    results = [[t.operand(r) for r in t.closed(branch, operands)] for branch in branches]
    index = t.operand(which)
    return [RULES["select_n"](index, *cases) for cases in zip(*results, strict=True)]


@_call("select_n")
def _select_n(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Any:
    which, *cases = values
    condition = t.operand(which)
    if condition.value is not None and np.all(condition.value == condition.value.flat[0]):
        # what is not chosen need not be a number
        chosen = cases[int(condition.value.flat[0])]
        return chosen if isinstance(chosen, Var) else t.operand(chosen)
    mixed: Var = RULES["select_n"](condition, *map(t.operand, cases))
    return mixed


@_call("convert_element_type")
def _convert(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Any:
    return RULES["convert_element_type"](
        t.operand(values[0]), old_dtype=equation.invars[0].aval.dtype, **equation.params
    )


@_call("gather")
def _gather(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Any:
    p = equation.params

    def work(places: Any, indices: Any) -> Any:
        with jax.ensure_compile_time_eval():
            return jax.lax.gather(
                jnp.asarray(places, jnp.int32), jnp.asarray(indices), p["dimension_numbers"], p["slice_sizes"],
                mode=p["mode"], fill_value=-1,
            )  # fmt: skip

    operands = [t.operand(v) for v in values]
    if operands[1].value is None:
        return taken(operands[0], operands[1], lambda at: work(operands[0]._places(), at), p["slice_sizes"],
                     p["dimension_numbers"], str(p["mode"]).rpartition(".")[2])  # fmt: skip
    return RULES["gather"](*operands, work=work, fill_value=p["fill_value"])


@_call("scatter", "scatter_add", "scatter-add", "scatter_sub", "scatter-sub")
def _scatter(t: Translation, jaxpr: Any, equation: Any, values: Sequence[Value]) -> Any:
    p = equation.params
    dims = p["dimension_numbers"]
    part = equation.invars[2].aval.shape
    batching = tuple(getattr(dims, "operand_batching_dims", ()))
    gone = {*dims.inserted_window_dims, *batching}
    window = iter(dims.update_window_dims)
    sizes = [1 if i in gone else part[next(window)] for i in range(len(equation.invars[0].aval.shape))]
    numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=dims.update_window_dims,
        collapsed_slice_dims=dims.inserted_window_dims,
        start_index_map=dims.scatter_dims_to_operand_dims,
        operand_batching_dims=batching,
        start_indices_batching_dims=tuple(getattr(dims, "scatter_indices_batching_dims", ())),
    )

    def work(places: Any, indices: Any) -> Any:
        with jax.ensure_compile_time_eval():
            return jax.lax.gather(
                jnp.asarray(places, jnp.int32),
                jnp.asarray(indices),
                numbers,
                tuple(sizes),
                mode=p["mode"],
                fill_value=-1,
            )

    name = equation.primitive.name
    return RULES[name](*map(t.operand, values), work=work, primitive=name)
