"""The activations and their derivatives in torch operations, the one place where they are written down.

No formula subtracts numbers that are nearly equal, so that values, first and second derivatives are right to 4 ulp
everywhere: in both tails, and at the zeros of the derivatives. Third derivatives follow from these by products
alone, and
so do all higher ones, through `derivatives`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .polynomials import DENSITY, DIP, FIRST, LN_2, LN_COSH, MILLS, MILLS_TAIL, SECOND, SQRT_2, SQRT_HALF, Zero


@dataclass(frozen=True)
class Pointwise:
    """A pointwise function by name, with the settings of the softplus."""

    name: str
    beta: float = 1.0
    threshold: float = 20.0


Jet = tuple[Tensor, ...]


def formulas(f: Pointwise, z: Tensor, order: int) -> Jet:
    """Value and derivatives up to `order`, 2 at most, each of the shape and type of `z`; torch's autograd is not to
    look
    into them."""
    if z.dtype == torch.float64:
        return _FORMULAS[f.name](f, z, order)
    # in single precision the roundings of a formula add up to more than 4 ulp; Apple's GPUs have no other
    wide = z.float() if z.device.type == "mps" else z.double()
    return tuple(d.to(z.dtype) for d in _FORMULAS[f.name](f, wide, order))


def derivatives(f: Pointwise, z: Tensor, order: int) -> Jet:
    """Value and derivatives up to `order`, 3 at most, which can be differentiated as often as one likes."""
    if z.is_complex():
        raise TypeError(f"the points of an activation are {z.dtype}, wanted real numbers: evaluate z.real and z.imag")
    if not z.is_floating_point():
        z = z.to(torch.get_default_dtype())
    first = _applied(f, z, min(order, 2))
    return (*first, _THIRD[f.name](f, z, first)) if order == 3 else first


def _applied(f: Pointwise, z: Tensor, order: int) -> Jet:
    if torch.compiler.is_compiling():
        jet: Jet = _Traced.apply(z, f, order)
    elif not torch._C._are_functorch_transforms_active() and not (
        z.requires_grad and torch.is_grad_enabled() or torch.autograd.forward_ad._current_level >= 0
    ):
        return formulas(f, z, order)
    else:
        jet = _Differentiable.apply(z, f, order)
    return jet


class _Traced(torch.autograd.Function):
    """A jet whose derivative is made of the next jet; compilers trace it, and refuse what has a forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, f: Pointwise, order: int) -> Jet:
        return formulas(f, z, order)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        z, ctx.f, ctx.order = inputs
        ctx.save_for_backward(z)
        ctx.save_for_forward(z)

    @staticmethod
    def backward(ctx, *bars):  # type: ignore[no-untyped-def]
        (z,) = ctx.saved_tensors
        next = derivatives(ctx.f, z, ctx.order + 1)[1:]
        terms = [bar * d for bar, d in zip(bars, next, strict=True) if bar is not None]
        return (sum(terms[1:], terms[0]) if terms else None), None, None


class _Differentiable(_Traced):
    """The same, with a forward mode."""

    @staticmethod
    def jvp(ctx, tangent, *_):  # type: ignore[no-untyped-def]
        (z,) = ctx.saved_tensors
        return tuple(d * tangent for d in derivatives(ctx.f, z, ctx.order + 1)[1:])


# what follows is for single and double precision, and knows nothing of autograd


class _Decay:
    """exp(-x - low) = e scale with x >= 0: far out `scale` is tiny and `e` is not, so that products with `e` round as
    normal numbers do, and only the last product, with `scale`, becomes subnormal."""

    def __init__(self, x: Tensor, low: Tensor | None = None) -> None:
        shift = _SHIFT[x.dtype]
        self.far = x > shift
        e = torch.exp(-(x - torch.where(self.far, shift, 0.0)))
        self.e = e if low is None else e - e * low
        self.scale = torch.full_like(x, math.exp(-shift)).where(self.far, 1.0)


class _Logistic(_Decay):
    """With a >= 0: s = 1 / (1 + exp(-a)), c scale = 1 - s, p scale = s (1 - s)."""

    def __init__(self, a: Tensor, low: Tensor | None = None) -> None:
        super().__init__(a, low)
        d = 1 + torch.where(self.far, 0.0, self.e)
        self.s, self.c = 1 / d, self.e / d
        self.p = self.c / d


def _tanh(f: Pointwise, z: Tensor, order: int) -> Jet:
    t = torch.tanh(z)
    if order == 0:
        return (t,)
    g = _Logistic(2 * z.abs())
    return (t, 4 * g.p * g.scale, -8 * t * g.p * g.scale)[: order + 1]


def _anti_tanh(f: Pointwise, z: Tensor, order: int) -> Jet:
    a = z.abs()
    e = torch.exp(-2 * a)
    high, low = LN_2[z.dtype]
    w = z * z
    value = torch.where(a < 1, w * _horner(w, LN_COSH), (a - high) + (torch.log1p(e) - low))
    return (value, *_tanh(f, z, order - 1)) if order else (value,)


def _sigmoid(f: Pointwise, z: Tensor, order: int) -> Jet:
    g = _Logistic(z.abs())
    value = torch.where(z < -30, g.c * g.scale, torch.sigmoid(z))
    return (value, g.p * g.scale, -torch.tanh(0.5 * z) * g.p * g.scale)[: order + 1]


def _softplus(f: Pointwise, z: Tensor, order: int) -> Jet:
    # beta z = y + low, the rest having no meaning where exp(-|y|) is zero
    y, low = _times(z, f.beta)
    low = torch.where(y.abs() < _END[z.dtype], low, 0.0)
    negative = z < 0
    g = _Logistic(y.abs(), torch.where(negative, -low, low))
    log = torch.where(g.far, g.e, torch.log1p(g.e))
    tail = (log / f.beta if _exact(z, f.beta) else log * (1 / f.beta)) * g.scale
    jet: Jet = (torch.where(negative, tail, z + tail),)
    if order > 0:
        jet += (torch.where(negative, g.c * g.scale, g.s),)
    if order > 1:
        jet += (f.beta * g.p * g.scale,)
    if f.threshold >= CUT:
        return jet
    identity: tuple[Tensor | float, ...] = (z, 1.0, 0.0)
    past = [t if isinstance(t, Tensor) else torch.full_like(z, t) for t in identity[: len(jet)]]
    return tuple(torch.where(y > f.threshold, t, d) for t, d in zip(past, jet, strict=True))


def _silu(f: Pointwise, z: Tensor, order: int) -> Jet:
    a, negative = z.abs(), z < 0
    g = _Logistic(a)
    a = a.clamp(max=_END[z.dtype])  # infinity times zero would be NaN
    jet: Jet = (torch.where(negative, -(a * g.c) * g.scale, z * g.s),)
    if order > 0:
        # 1 - a s, whose zero is at 1.278
        s, c = g.s, torch.where(g.far, 0.0, g.c)
        bracket = _repaired(FIRST, a, torch.where(a < 1, 1 - a * s, (1 - a) + a * c))
        jet += (torch.where(negative, g.c * bracket * g.scale, s + a * (g.p * g.scale)),)
    if order > 1:
        # 2 - a tanh(a / 2), whose zero is at 2.399
        bracket = torch.where(a < 2, 2 - a * torch.tanh(0.5 * a), (2 - a) + 2 * a * torch.where(g.far, 0.0, g.c))
        jet += (g.p * _repaired(SECOND, a, bracket) * g.scale,)
    return jet


def _gelu(f: Pointwise, z: Tensor, order: int) -> Jet:
    a, negative = z.abs().clamp(max=_BELL_END[z.dtype]), z < 0
    g = _bell(a, 0.5)
    # the normal distribution at -a is exp(-a^2 / 2) N(a), N being Mills' ratio over sqrt(2 pi)
    u = (a - 4) / (a + 4)
    mills = (MILLS + u * _horner(u, MILLS_TAIL)) / (1 + a)
    missing = a * (g.e * mills) * g.scale
    jet: Jet = (torch.where(negative, -missing, z - missing),)
    if order > 0:
        slope = g.e * _repaired(DIP, a, mills - DENSITY * a) * g.scale
        jet += (torch.where(negative, slope, 1 - slope),)
    if order > 1:
        jet += (DENSITY * g.e * _difference_of_squares(SQRT_2, a) * g.scale,)
    return jet


def _density(f: Pointwise, z: Tensor, order: int) -> Jet:
    """exp(-z^2 / 2) / sqrt(2 pi), of which the higher derivatives of the GELU are made."""
    z = z.clamp(-_BELL_END[z.dtype], _BELL_END[z.dtype])
    g = _bell(z.abs(), 0.5)
    value = DENSITY * g.e
    return (value * g.scale, -z * value * g.scale, (z * z - 1) * value * g.scale)[: order + 1]


def _gaussian(f: Pointwise, z: Tensor, order: int) -> Jet:
    z = z.clamp(-_BELL_END[z.dtype], _BELL_END[z.dtype])
    g = _bell(z.abs(), 1.0)
    second = -4 * _difference_of_squares(SQRT_HALF, z.abs())
    return (g.e * g.scale, -2 * z * g.e * g.scale, second * g.e * g.scale)[: order + 1]


def _bell(a: Tensor, factor: float) -> _Decay:
    """exp(-factor a^2), factor being 1/2 or 1: a^2 is wanted with more digits than it has."""
    high, low = _product(a, a)
    return _Decay(factor * high, factor * low)


def _difference_of_squares(root: tuple[float, float], a: Tensor) -> Tensor:
    """r^2 - a^2, right where it vanishes; r is given in two parts in double precision."""
    high, low = _parts(a, root)
    return ((high - a) + low) * (high + a)


def _repaired(zero: Zero, a: Tensor, elsewhere: Tensor) -> Tensor:
    """A function of `a` from its polynomial around its zero, and as computed elsewhere."""
    high, low = _parts(a, zero.at)
    d = (a - high) - low
    near = d * _horner(d, zero.quotient)
    return torch.where((a > zero.interval[0]) & (a < zero.interval[1]), near, elsewhere)


def _horner(x: Tensor, coefficients: tuple[tuple[float, ...], int]) -> Tensor:
    """The polynomial with these coefficients, constant first; so many of them do in single precision."""
    c, single = coefficients
    if x.dtype == torch.float32:
        c = c[:single]
    y = torch.full_like(x, c[-1])
    for k in reversed(c[:-1]):
        y = y * x + k
    return y


def _parts(like: Tensor, number: tuple[float, float]) -> tuple[float, float]:
    """A number that is given in two doubles, in two parts of the type of a tensor."""
    if like.dtype == torch.float32:
        head = (
            torch.tensor(number[0], dtype=torch.float32).item()
            if not torch.compiler.is_compiling()
            else _f32(number[0])
        )
        return head, (number[0] - head) + number[1]
    return number


def _f32(x: float) -> float:
    """`x` rounded to single precision, by arithmetic that compilers can follow."""
    if x == 0 or math.isinf(x) or math.isnan(x):
        return x
    c = x * (2.0**29 + 1)
    return c - (c - x)


def _exact(like: Tensor, number: float) -> bool:
    """Whether a number is one of the type of a tensor."""
    return like.dtype != torch.float32 or _f32(number) == number


def _times(z: Tensor, number: float) -> tuple[Tensor, Tensor]:
    """The product of a tensor with a number of double precision, and what it lacks."""
    if number == 1:
        return z, torch.zeros_like(z)
    if math.frexp(number)[0] == 0.5:  # a power of two
        return z * number, torch.zeros_like(z)
    high = _f32(number) if z.dtype == torch.float32 else number
    y, low = _product(z, torch.full_like(z, high))
    return y, low if high == number else low + z * (number - high)


def _product(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """x y and its rounding error, after Dekker and Veltkamp."""
    p = x * y
    (xh, xl), (yh, yl) = _split(x), _split(y)
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    """The upper half of the digits, and the lower one."""
    c = x * (4097.0 if x.dtype == torch.float32 else 134217729.0)
    high = c - (c - x)
    return high, x - high


# past this threshold the softplus and its identity differ by less than either is rounded
CUT = 15.0

# where products with exp(-x) are scaled, where it is zero, and where exp(-a^2 / 2) is
_SHIFT = {torch.float32: 64.0, torch.float64: 600.0}
_END = {torch.float32: 200.0, torch.float64: 1100.0}
_BELL_END = {torch.float32: 20.0, torch.float64: 45.0}

_FORMULAS: dict[str, Callable[[Pointwise, Tensor, int], Jet]] = {
    "tanh": _tanh,
    "anti_tanh": _anti_tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "density": _density,
    "gaussian": _gaussian,
}


def _third_tanh(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return -2 * (d[1] * d[1] + d[0] * d[2])


def _third_anti_tanh(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return -2 * d[1] * d[2]


def _third_sigmoid(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return d[1] * (1 - 6 * d[1])


def _third_softplus(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return -f.beta * derivatives(Pointwise("tanh"), 0.5 * f.beta * z, 0)[0] * d[2]


def _third_silu(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    s = derivatives(Pointwise("sigmoid"), z, 3)
    return z * s[3] + 3 * s[2]


def _third_gelu(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return z * (z * z - 4) * derivatives(Pointwise("density"), z, 0)[0]


def _third_density(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return -z * d[2] - 2 * d[1]


def _third_gaussian(f: Pointwise, z: Tensor, d: Jet) -> Tensor:
    return -4 * d[1] - 2 * z * d[2]


_THIRD: dict[str, Callable[[Pointwise, Tensor, Jet], Tensor]] = {
    "tanh": _third_tanh,
    "anti_tanh": _third_anti_tanh,
    "sigmoid": _third_sigmoid,
    "softplus": _third_softplus,
    "silu": _third_silu,
    "gelu": _third_gelu,
    "density": _third_density,
    "gaussian": _third_gaussian,
}
