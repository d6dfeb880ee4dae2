"""The engine as two operators of PyTorch, `torch.ops.hessquik.evaluate` and `.pullback`, which compilers and transforms
know by their rules: shapes without data, derivatives, batches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from .. import _native
from .again import forms_of, plan_by_name, pullback_of_pullback
from .native import GRADIENT, HESSIAN, LAPLACIAN, VALUE, Call, evaluated, pulled_back_by_engine, sizes

_CALL = "str architecture, int results, bool outputs, str mode"
_LIBRARY = torch.library.Library("hessquik", "DEF")
_LIBRARY.define(f"evaluate(Tensor x, Tensor[] weights, Tensor? v, {_CALL}) -> (Tensor, Tensor, Tensor)")
_LIBRARY.define(
    "pullback(Tensor x, Tensor[] weights, Tensor? v, Tensor? value, Tensor? gradient, Tensor? second, "
    f"{_CALL}, bool to_weights) -> (Tensor, Tensor[])"
)
_EVALUATE, _PULLBACK = "hessquik::evaluate", "hessquik::pullback"
Jet = tuple[Tensor, Tensor, Tensor]


class Networks:
    """The last networks of the engine, by architecture, precision and where the first weight is: two modules of one
    architecture do not take turns in one network."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = Lock()
        self.kept: OrderedDict[tuple[Any, ...], _native.TorchNetwork] = OrderedDict()

    def get(self, architecture: str, weights: Sequence[Tensor], dtype: torch.dtype) -> _native.TorchNetwork:
        """The network of these weights."""
        key = (architecture, dtype, weights[0].data_ptr() if weights else 0)
        with self.lock:
            network = self.kept.pop(key, None)
            if network is None:
                network = _native.TorchNetwork(architecture, dtype == torch.float64)
            self.kept[key] = network
            if len(self.kept) > self.size:
                self.kept.popitem(last=False)
        return network


_NETWORKS = Networks(64)


def evaluate(
    x: Tensor, weights: list[Tensor], v: Tensor | None, architecture: str, results: int, outputs: bool, mode: str
) -> Jet:
    """Value, gradient, and Hessian or Laplacian; what was not asked for is an empty tensor."""
    network = _NETWORKS.get(architecture, weights, x.dtype)
    jet = evaluated(network, sizes(network), x, weights, Call(results, v, outputs, mode))
    value, gradient, second = (x.new_empty(0) if r is None else r for r in jet)
    return value, gradient, second


def pullback(
    x: Tensor,
    weights: list[Tensor],
    v: Tensor | None,
    value: Tensor | None,
    gradient: Tensor | None,
    second: Tensor | None,
    architecture: str,
    results: int,
    outputs: bool,
    mode: str,
    to_weights: bool,
) -> tuple[Tensor, list[Tensor]]:
    """The gradients to the points and, `to_weights`, to each weight, given the cotangents of the results, ``None``
    being
    zero."""
    network = _NETWORKS.get(architecture, weights, x.dtype)
    call = Call(results, v, outputs, mode)
    x_bar, *bars = pulled_back_by_engine(network, x, weights, (value, gradient, second), call)
    return x_bar, bars if to_weights else []


_LIBRARY.impl("evaluate", evaluate, "CPU")
_LIBRARY.impl("pullback", pullback, "CPU")


def shaped(n: Any, k: int, q: int, results: int, like: Tensor) -> Jet:
    """Results of the right shapes and strides, without values."""
    new = like.new_empty
    value = new(n, q) if results & VALUE else new(0)
    gradient = like.new_empty_strided((n, k, q), (k * q, 1, k)) if results & GRADIENT else new(0)
    if results & HESSIAN:
        second = like.new_empty_strided((n, k, k, q), (k * k * q, k, 1, k * k))
    else:
        second = new(n, 1, q) if results & LAPLACIAN else new(0)
    return value, gradient, second


@torch.library.register_fake(_EVALUATE)
def _(x, weights, v, architecture, results, outputs, mode):  # type: ignore[no-untyped-def]
    k, q = dims(architecture)
    if v is not None:
        k, q = (k, v.shape[1]) if outputs else (v.shape[0], q)
    return shaped(x.shape[0], k, q, results, x)


@torch.library.register_fake(_PULLBACK)
def _(x, weights, v, value, gradient, second, architecture, results, outputs, mode, to_weights):  # type: ignore[no-untyped-def]
    return x.new_empty(x.shape), [w.new_empty(w.shape) for w in weights] if to_weights else []


@lru_cache(maxsize=64)
def dims(architecture: str) -> tuple[int, int]:
    """Numbers of inputs and outputs."""
    return sizes(_native.TorchNetwork(architecture, False))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def shapes(architecture: str) -> list[tuple[int, ...]]:
    """The shapes of the weights."""
    return [tuple(shape) for _, shape in _native.TorchNetwork(architecture, False).weight_shapes()]


def _keep(ctx, inputs, output):  # type: ignore[no-untyped-def]
    x, weights, v, *ctx.call = inputs
    ctx.n_weights = len(weights)
    ctx.save_for_backward(x, v, *weights)
    ctx.set_materialize_grads(False)


def _back(ctx, *bars):  # type: ignore[no-untyped-def]
    x, v, *weights = ctx.saved_tensors
    results = ctx.call[1]
    wanted = (VALUE, GRADIENT, HESSIAN | LAPLACIAN)
    given = [bar if results & bit else None for bar, bit in zip(bars, wanted, strict=True)]
    needed = tree_leaves(ctx.needs_input_grad[1])
    x_bar, weight_bars = torch.ops.hessquik.pullback(x, weights, v, *given, *ctx.call, any(needed))
    return x_bar, weight_bars or [None] * len(weights), None, None, None, None, None


torch.library.register_autograd(_EVALUATE, _back, setup_context=_keep)


def _keep_pullback(ctx, inputs, output):  # type: ignore[no-untyped-def]
    x, weights, v, value, gradient, second, *ctx.call = inputs
    ctx.save_for_backward(x, v, value, gradient, second, *weights)
    ctx.set_materialize_grads(False)


def _back_pullback(ctx, x_bar, weight_bars):  # type: ignore[no-untyped-def]
    x, v, value, gradient, second, *weights = ctx.saved_tensors
    *what, to_weights = ctx.call
    given = (x_bar, *(weight_bars if to_weights else [None] * len(weights)))
    bars = (value, gradient, second)
    to_x, to_w, to_bars = _differentiated(x, weights, v, bars, given, what)  # type: ignore[no-untyped-call]
    return to_x, to_w, None, *to_bars, None, None, None, None, None


def _differentiated(x, weights, v, bars, bars_of_bars, call):  # type: ignore[no-untyped-def]
    """The gradients of the pullback to points, weights and cotangents."""
    architecture, results, outputs, mode = call
    k, q = dims(architecture)
    if v is not None:
        k, q = (k, v.shape[1]) if outputs else (v.shape[0], q)
    forms, plan = forms_of(architecture), plan_by_name(architecture, results, k, q, mode)
    bars = [
        bar if results & bit else None for bar, bit in zip(bars, (VALUE, GRADIENT, HESSIAN | LAPLACIAN), strict=True)
    ]
    return pullback_of_pullback(forms, plan, x, weights, bars, bars_of_bars, v, results, outputs)


torch.library.register_autograd(_PULLBACK, _back_pullback, setup_context=_keep_pullback)


def _present(x: Tensor, dim: int | None, size: int) -> Tensor:
    """The batch axis first, of a tensor that there is."""
    batched = _batched(x, dim, size)
    assert batched is not None
    return batched


def _batched(tensor: Tensor | None, dim: int | None, size: int) -> Tensor | None:
    """The batch axis first; a tensor without one is the same for the whole batch."""
    if tensor is None:
        return None
    return tensor.unsqueeze(0).expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


@torch.library.register_vmap(_EVALUATE)
def _(info, in_dims, x, weights, v, *call):  # type: ignore[no-untyped-def]
    """One call for all points where they alone are batched, else one for each entry of the batch."""
    size, (x_dim, w_dims, v_dim) = info.batch_size, in_dims[:3]
    xs = _present(x, x_dim, size)
    op = torch.ops.hessquik.evaluate
    if v_dim is None and all(d is None for d in w_dims):
        flat = op(xs.reshape(-1, xs.shape[2]), weights, v, *call)
        jet = tuple(r.unflatten(0, (size, xs.shape[1])) if r.dim() > 1 else r for r in flat)
        return jet, tuple(0 if r.dim() > 1 else None for r in flat)
    ws = [_present(w, d, size) for w, d in zip(weights, w_dims, strict=True)]
    vs = _batched(v, v_dim, size)
    each = [op(xs[i], [w[i] for w in ws], _entry(vs, i), *call) for i in range(size)]
    return tuple(torch.stack(r) for r in zip(*each, strict=True)), (0, 0, 0)


@torch.library.register_vmap(_PULLBACK)
def _(info, in_dims, x, weights, v, value, gradient, second, *call):  # type: ignore[no-untyped-def]
    """One call for the whole batch where no gradients of weights have to be told apart, else one for each entry."""
    size = info.batch_size
    (x_dim, w_dims, v_dim), bar_dims = in_dims[:3], in_dims[3:6]
    xs, vs = _present(x, x_dim, size), _batched(v, v_dim, size)
    bars = [_batched(bar, d, size) for bar, d in zip((value, gradient, second), bar_dims, strict=True)]
    op, to_weights = torch.ops.hessquik.pullback, call[-1]
    if v_dim is None and not to_weights and all(d is None for d in w_dims):
        flat = [None if bar is None else bar.reshape(-1, *bar.shape[2:]) for bar in bars]
        x_bar, _ = op(xs.reshape(-1, xs.shape[2]), weights, v, *flat, *call)
        return (x_bar.unflatten(0, xs.shape[:2]), []), (0, [])
    ws = [_present(w, d, size) for w, d in zip(weights, w_dims, strict=True)]
    each = [op(xs[i], [w[i] for w in ws], _entry(vs, i), *[_entry(bar, i) for bar in bars], *call) for i in range(size)]
    x_bars = torch.stack([x_bar for x_bar, _ in each])
    weight_bars = [torch.stack(w) for w in zip(*[w for _, w in each], strict=True)]
    return (x_bars, weight_bars), (0, [0] * len(weight_bars))


def _entry(batch: Tensor | None, i: int) -> Tensor | None:
    return None if batch is None else batch[i]


class Evaluate(torch.autograd.Function):
    """The operator for the transforms of torch.func, which do not take derivatives of operators from Python."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, v, architecture, results, outputs, mode, *weights):  # type: ignore[no-untyped-def]
        return torch.ops.hessquik.evaluate(x, list(weights), v, architecture, results, outputs, mode)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        x, v, *ctx.call = inputs[:6]
        ctx.save_for_backward(x, v, *inputs[6:])

    @staticmethod
    def backward(ctx, *bars):  # type: ignore[no-untyped-def]
        x, v, *weights = ctx.saved_tensors
        found = Pullback.apply(x, v, *bars, *ctx.call, any(ctx.needs_input_grad[6:]), *weights)
        to_weights = found[1:] if len(found) > 1 else [None] * len(weights)
        return found[0], None, None, None, None, None, *to_weights


class Pullback(torch.autograd.Function):
    """Its pullback; without gradients to the weights where nobody asks for them."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, v, value, gradient, second, architecture, results, outputs, mode, to_weights, *weights):  # type: ignore[no-untyped-def]
        wanted = (VALUE, GRADIENT, HESSIAN | LAPLACIAN)
        bars = [b if results & bit else None for b, bit in zip((value, gradient, second), wanted, strict=True)]
        what = (architecture, results, outputs, mode, to_weights)
        x_bar, weight_bars = torch.ops.hessquik.pullback(x, list(weights), v, *bars, *what)
        return (x_bar, *weight_bars)

    @staticmethod
    def setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
        x, v, value, gradient, second, *ctx.call = inputs[:10]
        ctx.save_for_backward(x, v, value, gradient, second, *inputs[10:])

    @staticmethod
    def backward(ctx, *bars_of_bars):  # type: ignore[no-untyped-def]
        x, v, value, gradient, second, *weights = ctx.saved_tensors
        *what, to_weights = ctx.call
        given = bars_of_bars if to_weights else (bars_of_bars[0], *[None] * len(weights))
        bars = (value, gradient, second)
        to_x, to_w, to_bars = _differentiated(x, weights, v, bars, given, what)  # type: ignore[no-untyped-call]
        return to_x, None, *to_bars, None, None, None, None, None, *to_w
