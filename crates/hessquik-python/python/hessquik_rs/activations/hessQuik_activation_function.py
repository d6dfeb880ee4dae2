"""The base of all activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

Jet = tuple[Tensor, Tensor | None, Tensor | None]


class hessQuikActivationFunction(nn.Module):
    r"""Base class of all activations: a pointwise function with two derivatives.

    A user-defined activation gives `value` and `compute_derivatives`; it works in every layer and network:

    >>> import torch
    >>> import hessquik_rs.activations as act, hessquik_rs.layers as lay
    >>> class sine(act.hessQuikActivationFunction):
    ...     def value(self, x):
    ...         return torch.sin(x)
    ...     def compute_derivatives(self, *args, do_Hessian=False):
    ...         x, = args
    ...         return torch.cos(x), -torch.sin(x) if do_Hessian else None
    >>> f = lay.singleLayer(4, 7, act=sine())
    >>> fx, dfdx, d2fd2x = f(torch.randn(10, 4), do_gradient=True, do_Hessian=True)
    >>> d2fd2x.shape
    torch.Size([10, 4, 4, 7])
    """

    ctx: tuple[Tensor, ...] | None
    points: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.ctx = None
        self.points = None

    if TYPE_CHECKING:

        def __call__(
            self, x: Tensor, do_gradient: bool = ..., do_Hessian: bool = ..., forward_mode: bool | None = ...
        ) -> Jet: ...

    def __getstate__(self) -> dict[str, Any]:
        # what a forward pass left for its backward pass belongs to a graph, and is not copied or pickled
        return {**self.__dict__, "ctx": None, "points": None}

    def forward(
        self, x: Tensor, do_gradient: bool = False, do_Hessian: bool = False, forward_mode: bool | None = True
    ) -> Jet:
        r"""Applies the function to each entry.

        - **x** of any shape
        - **do_gradient**, **do_Hessian**: whether to compute the first, or the first and second derivatives
        - **forward_mode**: with ``None``, derivatives are left to a later call of `backward`

        Returns value, first and second derivative, each with the shape of `x`, or ``None``.
        """
        if forward_mode is None and (do_gradient or do_Hessian):
            x = x.clone()  # so that the backward call does not see what becomes of the points
        sigma = self.value(x)
        if not (do_gradient or do_Hessian):
            return sigma, None, None
        saved = self.saves(x, sigma)
        if forward_mode is None:
            # nor what becomes of the value
            self.ctx, self.points = tuple(s.clone() if s is sigma else s for s in saved), x
            return sigma, None, None
        return (sigma, *self.compute_derivatives(*saved, do_Hessian=do_Hessian))

    def backward(self, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        """First and, if requested, second derivative at the `x` of the last call with ``forward_mode=None``."""
        if self.ctx is None:
            raise ValueError(
                f"{type(self).__name__}.backward needs a forward call with forward_mode=None and derivatives before it"
            )
        return self.compute_derivatives(*self.ctx, do_Hessian=do_Hessian)

    def value(self, x: Tensor) -> Tensor:
        """The function at each entry of `x`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method value")

    def saves(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, ...]:
        """The argument of `compute_derivatives`, from `x` and the value: `x`, unless a subclass overrides this."""
        return (x,)

    def compute_derivatives(self, *args: Tensor, do_Hessian: bool = False) -> tuple[Tensor, Tensor | None]:
        """First and, if requested, second derivative, each with the shape of `x`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method compute_derivatives")

    def architecture(self) -> dict[str, Any] | None:
        """The name of this activation in model files and the engine; ``None`` if they do not know it."""
        return None
