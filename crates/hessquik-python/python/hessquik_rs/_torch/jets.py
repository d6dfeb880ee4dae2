"""Jets of a user's module: its graph on the engine, as an operation of autograd."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.autograd import forward_ad

from .. import _native
from .._along import check_request, check_shape, options_along
from .._steps.program import Program
from ..errors import DtypeError, OperationError, RequestError, SettingError, ShapeError, SlowerWarning
from ..jet import Jet
from ..request import Names, Options
from . import by_torch
from .engine import TWICE
from .held import Held, constants, held
from .native import readable
from .steps import results as in_tensors
from .trace import Traced, across, called, exported, line_of, own, trace

HALF = (torch.float16, torch.bfloat16)
KEPT = 8
"""Graphs that are kept, of a module whose settings change."""
transforms = torch._C._are_functorch_transforms_active


class Call:
    """A request of the graph of a module."""

    def __init__(
        self, traced: Traced, request: Names | None, options: dict[str, Any], constants: Sequence[Held] = ()
    ) -> None:
        self.constants = constants
        self.traced, self.request, self.options = traced, request, options
        self.description = json.dumps(traced.graph)
        self.twice = False  # whether a second backward was warned of
        self.networks: dict[torch.dtype, _native.Network] = {}
        self.program: Program | None = None
        d = traced.graph["inputs"]
        # the engine says what is wrong with a request, and which results it has
        sample = self.network(torch.float64).evaluate(np.zeros((1, d)), request, **options)
        self.names = tuple(sample)
        if "factored" in self.names:
            raise RequestError("request: the factored Hessian is not a plain tensor; ask for the Hessian")

    def network(self, dtype: torch.dtype) -> _native.Network:
        """The engine's network of this precision."""
        network = self.networks.get(dtype)
        if network is None:
            name = "float64" if dtype is torch.float64 else "float32"
            network = self.networks[dtype] = _native.Network(self.description, name, 0)
        return network

    def bound(self, dtype: torch.dtype, weights: Sequence[Tensor]) -> _native.Network:
        """The same with these weights."""
        for w in weights:
            if not w.untyped_storage().nbytes():  # which may have been taken away
                readable(w)
        return self.network(dtype).with_weights([w.detach().numpy() for w in weights])

    def in_torch(self, x: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The results by the steps of the engine as operations on tensors."""
        if self.program is None:
            self.program = Program(self.network(torch.float64).schedule(self.request, **self.options))
        return tuple(in_tensors(self.program, x, weights))

    def __call__(self, x: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
        """The results at points (n, d), on the engine where it can read the tensors."""
        plain = x.is_cpu and x.dtype in (torch.float32, torch.float64) and all(w.is_cpu for w in weights)
        if not plain or transforms() or forward_ad._current_level >= 0:
            return self.in_torch(x, weights)
        return Evaluate.apply(self, x, *weights)  # type: ignore[no-any-return]


class Evaluate(torch.autograd.Function):
    """The engine's results, whose backward is the engine's pullback."""

    @staticmethod
    def forward(ctx: Any, call: Call, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.call = call
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *weights)
        points = x.detach().resolve_neg().numpy()
        results = call.bound(x.dtype, weights).evaluate(points, call.request, **call.options)
        return tuple(torch.from_numpy(results[name]) for name in call.names)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> Any:
        x, *weights = ctx.saved_tensors
        call: Call = ctx.call
        if torch.is_grad_enabled():  # to be differentiated once more
            if not call.twice:
                call.twice = True
                warnings.warn(f"{TWICE[0]}; {TWICE[1]}", SlowerWarning, stacklevel=2)
            results, pull = torch.func.vjp(lambda x, *w: call.in_torch(x, w), x, *weights)[:2]
            filled = tuple(torch.zeros_like(r) if bar is None else bar for r, bar in zip(results, bars, strict=True))
            return (None, *pull(filled))
        given = {name: bar.numpy() for name, bar in zip(call.names, bars, strict=True) if bar is not None}
        if not given:
            return (None,) * (2 + len(weights))
        options = {k: v for k, v in call.options.items() if k not in by_torch.OF_OPTIONS or k in given}
        points = x.detach().resolve_neg().numpy()
        flat, to_x = call.bound(x.dtype, weights).pullback(points, None, given, **options)
        return (None, torch.from_numpy(to_x), *parts_of(flat, weights))


def parts_of(flat: Any, weights: Sequence[Tensor]) -> list[Tensor]:
    """Views of a flat array, shaped as the weights: by numpy, whose views take a third of the time of torch's."""
    parts, end = [], 0
    for w in weights:
        start, end = end, end + w.numel()
        parts.append(torch.from_numpy(flat[start:end].reshape(w.shape)))
    return parts


class Steps(nn.Module):
    """A module of steps, points and directions: `module(x + t V)` of rows `[t, x, V]`."""

    def __init__(self, module: nn.Module, k: int, d: int) -> None:
        super().__init__()
        self.module, self.k, self.d = module, k, d
        self.training = module.training  # the mode is that of the parts

    def forward(self, z: Tensor) -> Tensor:
        k, d = self.k, self.d
        v = z[:, k + d :].reshape(-1, k, d)
        return self.module(z[:, k : k + d] + (z[:, :k].unsqueeze(-1) * v).sum(1))  # type: ignore[no-any-return]


class Jets:
    """What `hessquik_rs.torch.jet` gives: a function of points."""

    def __init__(self, module: nn.Module, request: Names | None, unsupported: str, options: Options) -> None:
        if not isinstance(module, nn.Module):
            raise SettingError(f"the network is a {type(module).__name__}, expected a torch.nn.Module")
        if unsupported not in ("error", "torch"):
            raise SettingError(f'unsupported is {unsupported!r}, expected "error" or "torch"')
        self.module, self.request, self.unsupported = module, request, unsupported
        self.options = {k: v for k, v in options.items() if v is not None}
        self.calls: dict[Any, Call | None] = {}
        self.seeded: dict[tuple[int, int], Jets] = {}
        self.warned = False

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, x: Tensor, directions: Tensor | None = None) -> Jet:
        """The jet at points (n, d), along directions (n, k, d) of each if they are given."""
        if not isinstance(x, Tensor) or x.dim() != 2:
            shape = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ShapeError(f"the points are {shape}, expected a tensor (n, d)")
        if not x.is_floating_point():
            raise DtypeError(f"the points have dtype {x.dtype}, expected a floating type")
        if directions is not None:
            return self.along(x, directions)
        if x.is_cpu and type(x) is Tensor and not transforms():
            x = readable(x)
        call = self.call(x)
        if call is None:
            names = by_torch.names_of(self.request, self.options)
            results = by_torch.evaluated(lambda p: self.module(p.unsqueeze(0)).flatten(), x, names, self.options)
            return Jet(dict(zip(names, results, strict=True)))
        weights = call.traced.weights(self.module)
        check(x, weights, call.traced.names)
        if x.dtype in HALF:
            # digits are lost in results, not in what they are made of
            found = [r.to(x.dtype) for r in call(x.float(), [w.float() for w in weights])]
        else:
            found = list(call(x, [w.to(x.dtype) for w in weights]))
        if call.traced.flat and self.options.get("outputs") is None:
            found = [r.squeeze(-1) for r in found]
        return Jet(dict(zip(call.names, found, strict=True)))

    def along(self, x: Tensor, v: Tensor) -> Jet:
        """The jet along directions of each point: that of a module of steps, at steps of zero."""
        check_request(None, self.options.get("directions"))
        if not isinstance(v, Tensor):
            raise ShapeError(f"the directions are a {type(v).__name__}, expected a tensor (n, k, d)")
        check_shape(tuple(v.shape), tuple(x.shape))
        if v.dtype is not x.dtype:
            raise DtypeError(f"x is {x.dtype}, but the directions are {v.dtype}: convert one, with .to(dtype)")
        if v.device != x.device:
            raise ShapeError(f"x is on {x.device}, but the directions are on {v.device}: move one, with .to(device)")
        (n, d), k = x.shape, v.shape[1]
        if (k, d) not in self.seeded:
            options: Any = options_along(self.options, k, d)
            self.seeded[k, d] = Jets(Steps(self.module, k, d), self.request, self.unsupported, options)
        found: Jet = self.seeded[k, d](torch.cat([x.new_zeros(n, k), x, v.reshape(n, k * d)], 1))
        return found

    def call(self, x: Tensor) -> Call | None:
        """The request of the graph for such points; `None` if the engine does not take the module."""
        key = (x.shape[1], held(self.module))
        call = self.calls.get(key)
        if key in self.calls and (call is None or all(state.get(name) is t for state, name, t in call.constants)):
            return call
        if len(self.calls) >= KEPT:
            if not self.warned:
                self.warned = True
                warnings.warn(
                    f"{type(self.module).__name__} was traced {KEPT} times, once for each of its settings, which takes "
                    "most of the time; keep numbers that change in buffers (register_buffer), which graphs follow",
                    SlowerWarning,
                    stacklevel=4,
                )
            del self.calls[next(iter(self.calls))]
        self.calls[key] = self.found(x)
        return self.calls[key]

    def found(self, x: Tensor) -> Call | None:
        try:
            with temporarily_clear_interpreter_stack():  # a first call may be inside torch.func's transforms
                traced = pointwise(self.module, x.shape[1])
        except OperationError as error:
            if self.unsupported == "error" or getattr(error, "across", False):
                raise
            warnings.warn(f"computed by torch.func, not by the engine: {error}", stacklevel=4)
            return None
        return Call(traced, self.request, self.options, constants(self.module, traced.slots))


def check(x: Tensor, weights: Sequence[Tensor], names: Sequence[str]) -> None:
    """Points and parameters are of one type, on one device."""
    for name, w in zip(names, weights, strict=True):
        if w.device != x.device:
            raise ShapeError(f"x is on {x.device}, but {name} is on {w.device}: move one, with .to(device)")
        if w.dtype is not x.dtype and {w.dtype, x.dtype} <= {torch.float32, torch.float64}:
            raise DtypeError(f"x is {x.dtype}, but {name} is {w.dtype}: convert one, with .to(dtype)")


def kind(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """Type and device of a module's parameters."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype, tensor.device
    return torch.get_default_dtype(), torch.device("cpu")


def pointwise(module: nn.Module, d: int) -> Traced:
    """The graph of a module, once it is known to compute each point for itself."""
    dtype, device = kind(module)
    traced = trace(module, d, dtype)
    x = torch.randn(3, d, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    state = {name: tensor.clone() for name, tensor in module.named_buffers()}
    with torch.no_grad():
        expected = torch.func.functional_call(module, state, (x,))
        weights = [w.detach() for w in traced.weights(module)] if not traced.changed else None
        if weights is None:
            return traced  # whose buffers change from call to call
        program = Program(_native.Network(json.dumps(traced.graph), "float64", 0).schedule("value"))
        found = in_tensors(program, x, weights)[0]
    expected = expected.reshape(3, -1) if expected.numel() == found.numel() else expected
    tolerance = {torch.float64: 1e-8, torch.float32: 1e-3}.get(dtype, 0.1)
    if found.shape == expected.shape and torch.allclose(found, expected, tolerance, tolerance, equal_nan=True):
        if dtype not in HALF:
            check_derivatives(module, traced, program, x)
        return traced
    raise mixing(module, d, dtype, x)


def check_derivatives(module: nn.Module, traced: Traced, program: Program, x: Tensor) -> None:
    """That torch's first derivatives are those of the operations: a function may have a backward of its own."""
    wanted = [p for p in module.parameters() if p.requires_grad and p.is_floating_point()]
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        weights = traced.weights(module)
        ours = in_tensors(program, x, weights)[0]
        try:
            theirs = module(x).reshape(ours.shape)
            by_torch_alone = slopes(theirs, x, wanted)
        except RuntimeError:
            return  # what torch has no derivatives of
        for mine, other in zip(slopes(ours, x, wanted), by_torch_alone, strict=True):
            there = mine.isfinite() & other.isfinite()
            tolerance = (1e-6 if x.dtype is torch.float64 else 1e-2) * max(1.0, float(other[there].abs().sum()))
            if not torch.allclose(mine[there], other[there], 0.0, tolerance):
                raise OperationError(
                    f"{type(module).__name__} has derivatives of its own (a torch.autograd.Function with its own "
                    "backward, or a hook on gradients), which are not those of its operations: write these without "
                    'it, or pass unsupported="torch" to compute this network by torch.func'
                )


def slopes(results: Tensor, x: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Derivatives of all results together, to points and parameters; zeros where there are none."""
    if not results.requires_grad:
        return [torch.zeros_like(t) for t in (x, *parameters)]
    factors = torch.linspace(0.5, 1.5, results.numel(), dtype=results.dtype).to(x.device)
    found = torch.autograd.grad((results.flatten() * factors).sum(), [x, *parameters], allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, (x, *parameters), strict=True)]


def mixing(module: nn.Module, d: int, dtype: torch.dtype, x: Tensor) -> OperationError:
    """The error of the first operation that mixes points."""
    cure = "compute each row from its own point"
    both, one = exported(module, d, dtype, 2), exported(module, d, dtype, 1)
    values = [recorded(one, module, x[:1]), recorded(one, module, x[1:2]), recorded(both, module, x[:2])]
    singles = [node for node in one.graph.nodes if node.op == "call_function"]
    batched = [node for node in both.graph.nodes if node.op == "call_function"]
    for single, batch in zip(singles, batched, strict=False):
        first, second, together = (v.get(n) for v, n in zip(values, (single, single, batch), strict=True))
        if isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(together, Tensor):
            if not beside(first, second, together):
                return across(f"{called(batch)}{line_of(batch)}", cure)
    return across(f"{type(module).__name__}", cure)


def recorded(program: Any, module: nn.Module, x: Tensor) -> dict[Any, Any]:
    """The values of all nodes of an exported program."""
    values: dict[Any, Any] = {}

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node: torch.fx.Node) -> Any:
            values[node] = super().run_node(node)
            return values[node]

    state = {**module.state_dict(), **dict(module.named_parameters()), **dict(module.named_buffers())}
    inputs = []
    for spec in program.graph_signature.input_specs:
        if spec.target is None:
            inputs.append(x)
        else:
            name = own(spec.target)
            inputs.append(state[name] if name in state else program.constants[spec.target])
    with torch.no_grad():
        Recorder(program.graph_module).run(*inputs)
    return values


def beside(first: Tensor, second: Tensor, together: Tensor) -> bool:
    """Whether the values of two points stand beside each other in those of both, or are the same for all points."""

    def close(a: Tensor, b: Tensor) -> bool:
        return a.shape == b.shape and torch.allclose(a.double(), b.double(), 1e-6, 1e-6, equal_nan=True)

    if close(first, together) and close(second, together):
        return True
    if together.numel() != 2 * first.numel():
        return False
    for axis in range(together.dim()):
        length = together.shape[axis]
        if first.dim() != together.dim() or length != 2 * first.shape[axis]:
            continue
        if close(torch.cat([first, second], axis), together):
            return True
        if close(torch.stack([first, second], axis + 1).flatten(axis, axis + 1), together):
            return True
    return False
