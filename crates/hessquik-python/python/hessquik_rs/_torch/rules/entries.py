"""Operations entry by entry: arithmetic, activations, branches."""

from __future__ import annotations

import math
from collections.abc import Callable

from ... import _special as special
from ... import var as f
from ..._var import Operand, Var, as_var
from .table import RULES, Refused, rule


def _entrywise(**rules: Callable[[Var], Var]) -> None:
    for name, formula in rules.items():
        RULES[name] = lambda v, *_, formula=formula, **__: formula(as_var(v))


def _act(name: str, **settings: float) -> Callable[[Var], Var]:
    return lambda v: v.act({"type": name, **settings})


_entrywise(
    **{
        name: _act(name) for name in ("tanh", "sin", "cos", "exp", "log", "sqrt", "reciprocal", "square", "atan", "erf")
    },
    **{name: _act(name) for name in ("sigmoid", "silu", "relu", "mish")},
    neg=lambda v: -v,
    abs=lambda v: abs(v),
    sign=f.sign,
    sgn=f.sign,
    detach=f.frozen,
    rsqrt=_act("power", p=-0.5),
    tan=lambda v: f.sin(v) / f.cos(v),
    cosh=lambda v: (f.exp(v) + f.exp(-v)) * 0.5,
    sinh=lambda v: f.tanh(v) * (f.exp(v) + f.exp(-v)) * 0.5,
    asinh=special.asinh,
    atanh=special.atanh,
    expm1=lambda v: f.tanh(v * 0.5) * (f.exp(v) + 1.0),
    exp2=lambda v: f.exp(v * math.log(2.0)),
    log1p=special.log1p,
    log2=lambda v: f.log(v) * (1.0 / math.log(2.0)),
    log10=lambda v: f.log(v) * (1.0 / math.log(10.0)),
    erfc=special.erfc,
    special_erf=_act("erf"),
    acos=special.acos,
    asin=special.asin,
    acosh=special.acosh,
    sinc=special.sinc,
    special_sinc=special.sinc,
    special_ndtr=special.ndtr,
    special_entr=special.entropy,
    deg2rad=lambda v: v * (math.pi / 180.0),
    rad2deg=lambda v: v * (180.0 / math.pi),
    log_sigmoid=lambda v: -f.softplus(-v),
    relu6=lambda v: f.clamp(v, 0.0, 6.0),
    hardswish=lambda v: v * f.clamp(v + 3.0, 0.0, 6.0) * (1.0 / 6.0),
    hardsigmoid=lambda v: f.clamp(v + 3.0, 0.0, 6.0) * (1.0 / 6.0),
    logical_not=lambda v: 1.0 - v,
    bitwise_not=lambda v: 1.0 - v,
    t=lambda v: v.T,
    numpy_T=lambda v: v.T,
)
for _name in ("clone", "alias", "contiguous", "lift_fresh_copy", "lift_fresh", "_to_copy", "to", "positive"):
    RULES[_name] = lambda v, *_, **__: as_var(v)


@rule("add")
def _add(a: Operand, b: Operand, alpha: float = 1.0) -> Var:
    return as_var(a) + as_var(b) * alpha


@rule("sub")
def _sub(a: Operand, b: Operand, alpha: float = 1.0) -> Var:
    return as_var(a) - as_var(b) * alpha


@rule("rsub")
def _rsub(a: Operand, b: Operand, alpha: float = 1.0) -> Var:
    return as_var(b) - as_var(a) * alpha


@rule("mul", "logical_and", "bitwise_and")
def _mul(a: Operand, b: Operand) -> Var:
    return as_var(a) * b


@rule("logical_or", "bitwise_or")
def _or(a: Operand, b: Operand) -> Var:
    return f.maximum(a, b)


@rule("div", "true_divide")
def _div(a: Operand, b: Operand, rounding_mode: str | None = None) -> Var:
    if rounding_mode is not None:
        raise Refused(f"a quotient rounded by {rounding_mode!r} has no derivatives")
    return as_var(a) / b


@rule("pow")
def _pow(a: Operand, b: Operand) -> Var:
    return f.power(a, b)


@rule("addcmul")
def _addcmul(a: Operand, b: Operand, c: Operand, value: float = 1.0) -> Var:
    return as_var(a) + as_var(b) * c * value


@rule("gt")
def _gt(a: Operand, b: Operand) -> Var:
    return f.greater(a, b)


@rule("lt")
def _lt(a: Operand, b: Operand) -> Var:
    return f.greater(b, a)


@rule("ge")
def _ge(a: Operand, b: Operand) -> Var:
    return 1.0 - f.greater(b, a)


@rule("le")
def _le(a: Operand, b: Operand) -> Var:
    return 1.0 - f.greater(a, b)


@rule("eq")
def _eq(a: Operand, b: Operand) -> Var:
    return 1.0 - f.greater(a, b) - f.greater(b, a)


@rule("ne")
def _ne(a: Operand, b: Operand) -> Var:
    return f.greater(a, b) + f.greater(b, a)


@rule("where")
def _where(condition: Operand, a: Operand, b: Operand) -> Var:
    return f.where(condition, a, b)


@rule("masked_fill")
def _masked_fill(v: Operand, mask: Operand, value: Operand) -> Var:
    return f.where(mask, value, v)


RULES["logaddexp"], RULES["logaddexp2"] = special.logaddexp, special.logaddexp2
RULES["xlogy"] = RULES["special_xlogy"] = special.xlogy


@rule("logit", "special_logit")
def _logit(v: Operand, eps: float | None = None) -> Var:
    return special.logit(v if eps is None else f.clamp(v, eps, 1.0 - eps))


@rule("addcdiv")
def _addcdiv(a: Operand, b: Operand, c: Operand, value: float = 1.0) -> Var:
    return as_var(a) + as_var(b) / c * value


@rule("nan_to_num")
def _nan_to_num(v: Operand, *_: float | None) -> Var:
    """The entries, of points at which there are derivatives."""
    return as_var(v)


RULES["isnan"] = RULES["isinf"] = lambda v: f.constant(0.0).broadcast_to(as_var(v).shape)
RULES["isfinite"] = lambda v: f.constant(1.0).broadcast_to(as_var(v).shape)


@rule("floor", "ceil", "round", "trunc", "fix", "frac", "remainder", "fmod", "floor_divide")
def _rounded(*_: Operand, **__: float) -> Var:
    raise Refused("the engine does not round numbers")


RULES["maximum"], RULES["minimum"] = f.maximum, f.minimum
RULES["fmax"], RULES["fmin"] = f.maximum, f.minimum


@rule("clamp", "clip")
def _clamp(v: Operand, min: Operand | None = None, max: Operand | None = None) -> Var:
    return f.clamp(v, min, max)


RULES["log_sigmoid_forward"] = lambda v: (-f.softplus(-as_var(v)), v)
RULES["hardtanh"] = lambda v, min_val=-1.0, max_val=1.0: f.clamp(v, min_val, max_val)
RULES["clamp_min"] = lambda v, min: f.clamp(v, min)
RULES["clamp_max"] = lambda v, max: f.clamp(v, None, max)


@rule("leaky_relu")
def _leaky_relu(v: Operand, negative_slope: float = 0.01) -> Var:
    return as_var(v).act({"type": "leaky_relu", "slope": negative_slope})


@rule("rrelu_with_noise", "rrelu_with_noise_functional")
def _rrelu(
    v: Operand, noise: Operand, lower: float = 1.0 / 8.0, upper: float = 1.0 / 3.0, training: bool = False, *_: object
) -> tuple[Var, Operand]:
    if training:
        raise Refused("in training mode it draws slopes at random: use model.eval()")
    return as_var(v).act({"type": "leaky_relu", "slope": (lower + upper) / 2.0}), noise


@rule("elu")
def _elu(v: Operand, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Var:
    v = as_var(v)
    if input_scale == 1.0:
        return v.act({"type": "elu", "alpha": alpha}) * scale
    if math.isclose(alpha * input_scale, 1.0, rel_tol=1e-14):
        return v.act({"type": "celu", "alpha": alpha}) * scale
    below = (v * input_scale).act({"type": "elu", "alpha": alpha})
    return f.where(f.greater(v, 0.0), v, below) * scale


RULES["celu"] = lambda v, alpha=1.0: as_var(v).act({"type": "celu", "alpha": alpha})
RULES["selu"] = lambda v: as_var(v).act("selu")


@rule("gelu")
def _gelu(v: Operand, approximate: str = "none") -> Var:
    return as_var(v).act("gelu" if approximate == "none" else "tanh_gelu")


@rule("softplus")
def _softplus(v: Operand, beta: float = 1.0, threshold: float = 20.0) -> Var:
    return as_var(v).act({"type": "softplus", "beta": beta, "threshold": threshold})


@rule("prelu", "_prelu_kernel")
def _prelu(v: Operand, weight: Operand) -> Var:
    return f.relu(v) - as_var(weight) * f.relu(-as_var(v))


RULES["atan2"] = special.atan2
RULES["hypot"] = lambda a, b: f.sqrt(as_var(a).square() + as_var(b).square())
RULES["lerp"] = lambda a, b, weight: as_var(a) + as_var(weight) * (as_var(b) - a)
RULES["heaviside"] = lambda v, at_zero: f.greater(v, 0.0) + (1.0 - f.greater(v, 0.0) - f.greater(0.0, v)) * at_zero
