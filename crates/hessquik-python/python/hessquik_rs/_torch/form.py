"""The one form of a layer, `z = u M + b`, `u' = u S + act(z) W + c`, and its structured linear maps.

S and W are zero, a multiple of the identity, a selection, or one column: they act on the last axis without a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..activations import hessQuikActivationFunction
from .membership import hooks_matter


class Linear(Protocol):
    """A linear map of the last axis: `times` is `T L`, `adjoint` is `G L^T`."""

    def times(self, t: Tensor) -> Tensor: ...
    def adjoint(self, g: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Tail:
    """Keeps the features from `start` on."""

    start: int

    def times(self, t: Tensor) -> Tensor:
        return t[..., self.start :]

    def adjoint(self, g: Tensor) -> Tensor:
        return F.pad(g, (self.start, 0))


@dataclass(frozen=True)
class Place:
    """Puts the features between `before` and `after` zeros."""

    before: int
    after: int

    def times(self, t: Tensor) -> Tensor:
        return F.pad(t, (self.before, self.after))

    def adjoint(self, g: Tensor) -> Tensor:
        return g[..., self.before : g.shape[-1] - self.after]


@dataclass(frozen=True)
class Then:
    """One map after another."""

    first: Linear
    second: Linear

    def times(self, t: Tensor) -> Tensor:
        return self.second.times(self.first.times(t))

    def adjoint(self, g: Tensor) -> Tensor:
        return self.first.adjoint(self.second.adjoint(g))


@dataclass(frozen=True)
class Sum:
    """Adds up all `n` features."""

    n: int

    def times(self, t: Tensor) -> Tensor:
        return t.sum(-1, keepdim=True)

    def adjoint(self, g: Tensor) -> Tensor:
        return g.expand(*g.shape[:-1], self.n)


Map = Linear | Tensor | float


def times(t: Tensor, m: Map) -> Tensor | float:
    """`t m`: `m` a structured map, a matrix (n, n'), or a number or a vector, the diagonal of a diagonal matrix."""
    if isinstance(m, (int, float)):
        return 0.0 if m == 0 else t if m == 1 else t * m
    if isinstance(m, Tensor):
        return t @ m if m.dim() == 2 else t * m
    return m.times(t)


def adjoint(g: Tensor, m: Map) -> Tensor | float:
    """`g m^T`, for `m` as in `times`."""
    if isinstance(m, (int, float)):
        return 0.0 if m == 0 else g if m == 1 else g * m
    if isinstance(m, Tensor):
        return g @ m.mT if m.dim() == 2 else g * m
    return m.adjoint(g)


def add(a: Tensor | float, b: Tensor | float) -> Tensor:
    """`a + b` where a zero costs nothing."""
    total = b if isinstance(a, float) and a == 0 else a if isinstance(b, float) and b == 0 else a + b
    assert isinstance(total, Tensor), "a layer whose S and W are both zero"
    return total


@dataclass(frozen=True)
class Form:
    """A layer as `z = u M + b`, `u' = u S + act(z) W + c`; all its derivatives follow.

    - **M** (n, p) and **b** (p) or ``None``
    - **act** a hessQuik activation; ``None`` is the identity
    - **S** from n to n' and **W** from p to n': a matrix, a number (that multiple of the identity), a vector (the
      diagonal
      of a diagonal matrix), or a structured map with `times` and `adjoint`
    - **c** (n') or ``None``

    >>> import torch
    >>> from hessquik_rs.activations import tanhActivation
    >>> from hessquik_rs.layers import Form
    >>> residual = Form(torch.eye(3), act=tanhActivation(), S=1.0, W=0.5)  # u + tanh(u) / 2
    """

    M: Tensor
    b: Tensor | None = None
    act: hessQuikActivationFunction | None = None
    S: Map = 0.0
    W: Map = 1.0
    c: Tensor | None = None

    def site(self, u: Tensor, order: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """`act(z)` and its derivatives up to `order`, each (n_s, p); ``None`` stands for one and zero if affine."""
        z = u @ self.M
        if self.b is not None:
            z = z + self.b
        if self.act is None:
            return z, None, None
        # hooks that only look have been called already; what they see is not what is computed here
        call = self.act if torch.compiler.is_compiling() or hooks_matter(self.act) else self.act.forward
        jet: tuple[Tensor, Tensor | None, Tensor | None] = call(z, do_gradient=order > 0, do_Hessian=order > 1)
        return jet

    def next(self, u: Tensor, act_z: Tensor) -> Tensor:
        """The next state `u S + act(z) W + c` (n_s, n')."""
        state = add(times(u, self.S), times(act_z, self.W))
        return state if self.c is None else state + self.c
