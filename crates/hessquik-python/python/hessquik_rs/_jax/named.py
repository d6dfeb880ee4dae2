"""JAX's own functions that are activations of the engine, and functions with derivatives of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from hessquik_rs import _matrices as matrices
from hessquik_rs import _special as special
from hessquik_rs import var as f
from hessquik_rs._jax.program import Known, Value
from hessquik_rs._jax.rules.table import Refused, every
from hessquik_rs._var import Operand, Var, as_var

Formula = Callable[..., "Var | Sequence[Var] | None"]


def _scalar(v: Operand) -> float | None:
    """A setting, if it is one known number."""
    value = as_var(v).value
    return float(value.flat[0]) if value is not None and np.all(value == value.flat[0]) else None


def _setting(act: str, key: str, default: float) -> Formula:
    """An activation with one setting, which stands in a second operand or in the function itself."""

    def formula(v: Var, setting: Operand | None = None, *rest: Any) -> Var | None:
        number = default if setting is None else _scalar(setting)
        return None if number is None or rest else v.act({"type": act, key: number})

    return formula


def _logaddexp(a: Var, b: Var) -> Var:
    """`log(exp(a) + exp(b))`, right also where both are equal, at the corner of its formula by max and abs."""
    if every(b, 0.0):
        return f.softplus(a)
    return b + f.softplus(a - b)


def _solve(v: Var, right: Var) -> Var:
    """The solution for one right side or a matrix of them."""
    if right.ndim == 1:
        return matrices.solve(v, right.reshape(-1, 1))[..., 0]
    return matrices.solve(v, right)


FUNCTIONS: dict[str, Formula] = {
    "relu": lambda v: f.relu(v),
    "silu": lambda v: v.act("silu"),
    "swish": lambda v: v.act("silu"),
    "mish": lambda v: v.act("mish"),
    "logaddexp": _logaddexp,
    # settings that are not given are no operands
    "elu": _setting("elu", "alpha", 1.0),
    "celu": _setting("celu", "alpha", 1.0),
    "squareplus": _setting("squareplus", "b", 4.0),
    "det": matrices.det,
    "slogdet": matrices.slogdet,
    "inv": matrices.inverse,
    "solve": _solve,
    "sinc": special.sinc,
}
"""By the name of the function; nothing where the engine's activation does not have these settings."""


def check_derivatives(inner: Any, custom: Callable[..., Any], values: Sequence[Value], avals: Sequence[Any]) -> None:
    """That the derivatives that a user gave to a function are those of its formula, at points drawn by chance."""
    with jax.ensure_compile_time_eval():
        rng = np.random.default_rng(0)
        operands = [_drawn(rng, v, aval) for v, aval in zip(values, avals, strict=True)]
        moving = [i for i, a in enumerate(operands) if jnp.issubdtype(jnp.result_type(a), jnp.floating)]
        jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "jaxpr") else (inner, [])
        weights = [rng.normal(size=v.aval.shape).astype(v.aval.dtype) for v in jaxpr.outvars]
        along = [rng.normal(size=np.shape(operands[i])).astype(operands[i].dtype) for i in moving]

        start = [operands[i] for i in moving]

        def total(function: Callable[..., Any], given: Sequence[Any]) -> Any:
            filled = list(operands)
            for i, a in zip(moving, given, strict=True):
                filled[i] = a
            return sum(jnp.sum(w * r) for w, r in zip(weights, function(*filled), strict=True))

        def slopes(function: Callable[..., Any]) -> Any:
            """The gradient, and that of its product with a direction."""
            gradient = jax.grad(lambda given: total(function, given))

            def sloped(given: Any) -> Any:
                return sum(jnp.sum(g * a) for g, a in zip(gradient(given), along, strict=True))

            try:
                return gradient(start), jax.grad(sloped)(start)
            except Exception:  # what has a forward mode only, the second time
                return jax.jvp(gradient, (start,), (along,))

        def onward(function: Callable[..., Any]) -> Any:
            """The first and the second derivative along that direction, where there is no reverse mode."""

            def at(t: Any) -> Any:
                return total(function, [s + t * a for s, a in zip(start, along, strict=True)])

            return jax.jvp(lambda t: jax.jvp(at, (t,), (1.0,))[1], (0.0,), (1.0,))

        def formula(*given: Any) -> Any:
            return jax.core.eval_jaxpr(jaxpr, consts, *given)

        try:
            theirs = slopes(custom)
        except Exception as error:
            raise Refused(f"this function's own derivatives cannot be taken twice ({error})") from error
        try:
            ours = slopes(formula)
        except Exception:  # JAX has no reverse mode for loops of so many turns as numbers say
            try:
                ours = onward(formula)
            except Exception as error:
                raise Refused(f"this function's own derivatives cannot be checked ({error})") from error
            theirs = [sum(jnp.sum(s * a) for s, a in zip(each, along, strict=True)) for each in theirs]
    for a, b in zip(jax.tree.leaves(theirs), jax.tree.leaves(ours), strict=True):
        if not np.allclose(a, b, 1e-3, 1e-3, equal_nan=True):
            raise Refused("this function has custom derivatives, which differ from those of its formula")


def _drawn(rng: np.random.Generator, value: Value, aval: Any) -> Any:
    """An operand to try a function with."""
    if isinstance(value, Known):
        return value.array
    if jnp.issubdtype(aval.dtype, jnp.floating):
        return jnp.asarray(rng.normal(size=aval.shape), aval.dtype)
    return jnp.zeros(aval.shape, aval.dtype)
