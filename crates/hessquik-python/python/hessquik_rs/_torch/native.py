"""The way to the engine: tensors on the CPU, whose memory is lent to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .. import _native

# the results of a call, as the native module reads them
VALUE, GRADIENT, HESSIAN, LAPLACIAN = 1, 2, 4, 8
CPU = torch.device("cpu")
Jet = tuple[Tensor | None, Tensor | None, Tensor | None]
Mode = Literal["auto", "forward", "backward", "sites"]


class Call(NamedTuple):
    """What is computed: results; directions (k, d) of the input, or (m, q) of the output; how."""

    results: int
    v: Tensor | None = None
    outputs: bool = False
    mode: str = "auto"

    def native(self) -> tuple[int, str, tuple[int, int, int, bool] | None]:
        """As the native module reads it; the directions are contiguous, and outlive the call."""
        v = self.v
        return self.results, self.mode, None if v is None else (v.data_ptr(), v.shape[0], v.shape[1], self.outputs)


def sizes(network: _native.TorchNetwork) -> tuple[int, int]:
    """Numbers of inputs and outputs."""
    return network.dims()


def readable(t: Tensor) -> Tensor:
    """The tensor, or a copy, such that its memory has what it stands for; raises where that memory was taken away."""
    if t.is_neg():
        t = t.resolve_neg()
    if t.numel():
        last = t.storage_offset() + 1
        for size, stride in zip(t.shape, t.stride(), strict=True):
            last += (size - 1) * stride
        if last * t.itemsize > t.untyped_storage().nbytes():
            raise RuntimeError(
                f"a tensor of shape {list(t.shape)} needs {last * t.itemsize} bytes of storage, and has "
                f"{t.untyped_storage().nbytes()}: its storage was resized; restore it before use"
            )
    return t


def contiguous(t: Tensor) -> Tensor:
    """The same, with the entries in order."""
    t = readable(t)
    return t if t.is_contiguous() else t.contiguous()


def evaluated(
    network: _native.TorchNetwork, dims: tuple[int, int], x: Tensor, weights: Sequence[Tensor], call: Call
) -> Jet:
    """The engine's results in new tensors; in memory the output axis stands behind the sample axis."""
    n, dtype = x.shape[0], x.dtype
    (k, q), results = dims, call.results
    if call.v is not None:
        call = call._replace(v=contiguous(call.v))
        assert call.v is not None
        k, q = (k, call.v.shape[1]) if call.outputs else (call.v.shape[0], q)
    value = gradient = second = None
    at_value = at_gradient = at_second = 0
    if results & VALUE:
        value = torch.empty(n, q, dtype=dtype, device=CPU)
        at_value = value.data_ptr()
    if results & GRADIENT:
        gradient = torch.empty_strided((n, k, q), (k * q, 1, k), dtype=dtype, device=CPU)
        at_gradient = gradient.data_ptr()
    if results & HESSIAN:
        second = torch.empty_strided((n, k, k, q), (k * k * q, k, 1, k * k), dtype=dtype, device=CPU)
        at_second = second.data_ptr()
    elif results & LAPLACIAN:
        second = torch.empty(n, 1, q, dtype=dtype, device=CPU)
        at_second = second.data_ptr()
    if n:
        x, weights = readable(x), [contiguous(w) for w in weights]
        network.evaluate(
            [w.data_ptr() for w in weights],
            (x.data_ptr(), n, *x.stride()),
            call.native(),
            (at_value, at_gradient, at_second),
        )
    return value, gradient, second


def pulled_back_by_engine(
    network: _native.TorchNetwork, x: Tensor, weights: Sequence[Tensor], bars: Sequence[Tensor | None], call: Call
) -> list[Tensor]:
    """The gradients to the points and to each weight, in new tensors, given the cotangents of the results."""
    if not x.shape[0]:
        return [torch.zeros_like(x), *map(torch.zeros_like, weights)]
    if call.v is not None:
        call = call._replace(v=contiguous(call.v))
    x, weights = readable(x), [contiguous(w) for w in weights]
    bars = [None if bar is None else readable(bar) for bar in bars]
    found = [torch.empty(t.shape, dtype=x.dtype, device=CPU) for t in (x, *weights)]
    network.pullback(
        [w.data_ptr() for w in weights],
        (x.data_ptr(), x.shape[0], *x.stride()),
        call.native(),
        [None if bar is None else (bar.data_ptr(), bar.stride()) for bar in bars],
        (found[0].data_ptr(), [bar.data_ptr() for bar in found[1:]]),
    )
    return found
