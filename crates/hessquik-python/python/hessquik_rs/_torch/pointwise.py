"""Activations and their derivatives on tensors, as functions that know their own derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._C._functorch import TransformType
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad

from .._steps.activations import Settings, jet


@dataclass(frozen=True)
class Pointwise:
    """An activation as model files describe it, by its type and settings."""

    settings: Settings


Jet = tuple[Tensor, ...]


def formulas(f: Pointwise, z: Tensor, order: int) -> Jet:
    """Value and derivatives up to `order`, each of the shape and type of `z`; torch's autograd is not to look into
    them."""
    if z.dtype == torch.float64:
        # what autograd is given back must not be what it gave
        return tuple(d.view_as(d) if d is z else d for d in jet(torch, f.settings, z, order))
    # in single precision the roundings of a formula add up to more than 4 ulp; Apple's GPUs have no other
    wide = z.float() if z.device.type == "mps" else z.double()
    return tuple(d.to(z.dtype) for d in jet(torch, f.settings, wide, order))


def derivatives(f: Pointwise, z: Tensor, order: int) -> Jet:
    """Value and derivatives up to `order`, which can be differentiated as often as one likes."""
    if z.is_complex():
        raise TypeError(f"the points of an activation are {z.dtype}, wanted real numbers: evaluate z.real and z.imag")
    if not z.is_floating_point():
        z = z.to(torch.get_default_dtype())
    if torch.compiler.is_compiling():
        found: Jet = _Traced.apply(z, f, order)
    elif not torch._C._are_functorch_transforms_active() and not (
        z.requires_grad and torch.is_grad_enabled() or forward_ad._current_level >= 0
    ):
        return formulas(f, z, order)
    elif _forward_mode():
        found = _Nested.apply(z, f, order)
    else:
        found = _Differentiable.apply(z, f, order)
    return found


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


class _Nested(_Traced):
    """The same, with a forward mode within which others may be.

    PyTorch has forward mode off in a function of this kind, also for outer calls of `torch.func.jvp`, which would get
    zeros. It is on here, for numbers without the inner derivative; batches are taken apart before, since what removes
    that derivative has no rule for them.
    """

    generate_vmap_rule = False

    @staticmethod
    def vmap(info, in_dims, z, f, order):  # type: ignore[no-untyped-def]
        return _Nested.apply(z, f, order), (in_dims[0],) * (order + 1)

    @staticmethod
    def jvp(ctx, tangent, *_):  # type: ignore[no-untyped-def]
        with forward_ad._set_fwd_grad_enabled(True):
            z, tangent = (forward_ad.unpack_dual(t, level=0).primal for t in (*ctx.saved_tensors, tangent))
            return tuple(d * tangent for d in derivatives(ctx.f, z, ctx.order + 1)[1:])


def _forward_mode() -> bool:
    """Whether a `torch.func.jvp` is under way."""
    return any(i.key() == TransformType.Jvp for i in retrieve_all_functorch_interpreters())
