"""A user's module as a graph: what depends on the point is the engine's, what depends on parameters alone torch's.

The module is exported at one point by `torch.export`. Its operations that depend on the point become nodes by the rules
of `rules.py`; tensors that do not, and that these need, are the weights of the graph.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind, OutputKind

from .. import var as formulas
from .._var import Var
from ..errors import HessquikError, OperationError, ShapeError
from .rules import RULES, Refused

CURE = 'write it in other operations, or pass unsupported="torch" to compute this network by torch.func'


@dataclass(frozen=True)
class Traced:
    """A module at points of `d` features.

    - **graph** what the engine computes, as data
    - **names** of its weights
    - **outer** computes these weights from the parameters, buffers and constants of `slots`, then new values of buffers
    - **changed** the buffers that these new values are for
    - **flat** whether the module gives one number for each point, without an axis of outputs
    """

    graph: dict[str, Any]
    names: list[str]
    outer: fx.GraphModule
    slots: list[Any]
    changed: list[str]
    flat: bool

    def weights(self, module: nn.Module) -> list[Tensor]:
        """The weights of the graph as they are now, with their way back to parameters."""
        given = [found(module, slot) for slot in self.slots]
        weights, buffers = self.outer(*given)
        if self.changed:
            with torch.no_grad():
                for name, value in zip(self.changed, buffers, strict=True):
                    found(module, name).copy_(value)
        return list(weights)


def found(module: nn.Module, slot: Any) -> Any:
    """The parameter or buffer of this name, or a constant itself."""
    if not isinstance(slot, str):
        return slot
    holder: Any = module
    *path, last = slot.split(".")
    for part in path:
        holder = getattr(holder, part)
    return getattr(holder, last)


def kept() -> Any:
    """The decompositions of `torch.export`, but for operations that have rules."""
    table = torch.export.default_decompositions()
    for overload in list(table):
        if overload.name().partition("::")[2].partition(".")[0] in RULES:
            table.pop(overload)
    return table


def trace(module: nn.Module, d: int, dtype: torch.dtype) -> Traced:
    """The graph of a module, `(n, d)` to `(n, m)`, point by point."""
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and (part.training or part.running_mean is None):
            raise across(f"{type(part).__name__} {name!r} in training mode", "call model.eval() first")
    program = exported(module, d, dtype, 1)
    return Translation(module, program, d).traced()


class Whole(nn.Module):
    """A module within another, so that its parameters may have any names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.network = module

    def forward(self, x: Tensor) -> Any:
        """What the module gives."""
        return self.network(x)


def own(target: Any) -> str:
    """The name of a parameter in the module itself."""
    return str(target).removeprefix("network.")


def exported(module: nn.Module, d: int, dtype: torch.dtype, points: int) -> torch.export.ExportedProgram:
    """The module's operations at this number of points."""
    try:
        program = torch.export.export(Whole(module), (torch.zeros(points, d, dtype=dtype),), strict=False)
        detach_without_grad(program)
        decomposed: torch.export.ExportedProgram = program.run_decompositions(kept())
        return decomposed
    except HessquikError:
        raise
    except Exception as error:
        line = source_of(error)
        first = next((s for s in str(error).splitlines() if s.strip()), type(error).__name__)
        raise OperationError(
            f"torch.export cannot follow {type(module).__name__}{line}: {first.strip()} (control flow that depends on "
            f"the point, or batch statistics, cannot be taken: use torch.where, model.eval()); or {CURE}"
        ) from error


def detach_without_grad(program: torch.export.ExportedProgram) -> None:
    """Detaches what is computed under `torch.no_grad()`, before decompositions forget where that was."""
    for part in program.graph_module.modules():
        if not isinstance(part, fx.GraphModule):
            continue
        for node in part.graph.nodes:
            if str(node.target).rpartition(".")[2] == "wrap_with_set_grad_enabled" and node.args[0] is False:
                inner = getattr(part, node.args[1].target)
                output = next(n for n in inner.graph.nodes if n.op == "output")
                with inner.graph.inserting_before(output):
                    output.args = fx.node.map_arg(output.args, partial(detached, inner.graph))
                inner.recompile()


def detached(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """A node without derivatives, where it could have some."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return node
    out = graph.call_function(torch.ops.aten.detach.default, (node,))
    out.meta = dict(node.meta)
    return out


def across(what: str, cure: str) -> OperationError:
    """The error of an operation that mixes points, which no other way computes either."""
    error = OperationError(f"{what} mixes the points of a batch, but derivatives are taken point by point: {cure}")
    error.across = True  # type: ignore[attr-defined]
    return error


def source_of(error: BaseException) -> str:
    """The line of the user's that an error came from."""
    lines, walk = [], error.__traceback__
    while walk is not None:
        lines.append((walk.tb_frame.f_code.co_filename, walk.tb_lineno))
        walk = walk.tb_next
    users = [place for place in lines if theirs(place[0])]
    return f" ({users[-1][0]}, line {users[-1][1]})" if users else ""


HERE, TORCH = os.path.dirname(os.path.dirname(__file__)), os.path.dirname(torch.__file__)


def theirs(path: str) -> bool:
    """Whether a file is the user's."""
    return not path.startswith((HERE, TORCH, "<"))


def line_of(node: fx.Node) -> str:
    """The line of the user's source that an operation comes from, with the source."""
    lines = (node.meta.get("stack_trace") or "").splitlines()
    place = ""
    for i, line in enumerate(lines):
        head = line.strip()
        if head.startswith('File "'):
            path, _, rest = head[6:].partition('", line ')
            if theirs(path) or (not place and not path.startswith(HERE)):
                source = lines[i + 1].strip() if i + 1 < len(lines) else ""
                place = f"{path}, line {rest.split(',')[0]}: `{source}`"
    return f" in {place}" if place else ""


def called(node: fx.Node) -> str:
    """What an operation is called: `aten.tanh`."""
    target = node.target
    return f"aten.{name_of(node)}" if isinstance(target, torch._ops.OpOverload) else str(target)


def name_of(node: fx.Node) -> str:
    """The name of an operation without overload."""
    assert isinstance(node.target, torch._ops.OpOverload)
    return str(node.target.name()).partition("::")[2].partition(".")[0]


COUNTING = ("argmax", "argmin", "argsort", "searchsorted", "bucketize")
"""Operations that give places of entries."""


def whole(tensor: Tensor) -> bool:
    """Whether a tensor has whole numbers."""
    return not tensor.is_floating_point() and not tensor.is_complex() and tensor.dtype != torch.bool


def tensors_of(node: fx.Node) -> list[Any]:
    """What an operation takes, and gives unless it gives several."""
    return [n.meta.get("val") for n in (*node.all_input_nodes, node)]


def becomes_true(node: fx.Node) -> bool:
    """Whether an operation turns numbers into truth by their type alone."""
    first, *_, last = tensors_of(node)
    types = [getattr(t, "dtype", None) for t in (first, last)]
    return name_of(node) in ("_to_copy", "to") and types[1] == torch.bool and types[0] != torch.bool


def as_truth(v: Var) -> Var:
    """1 where a number is not 0."""
    return formulas.greater(v, 0.0) + formulas.greater(0.0, v)


def check_whole(node: fx.Node) -> None:
    """Of whole numbers, operations on bits are others than those of truth."""
    if name_of(node).startswith(("bitwise_", "logical_")):
        given = [n.meta.get("val") for n in node.all_input_nodes]
        if any(isinstance(v, Tensor) and whole(v) for v in given):
            raise Refused("whole numbers that depend on the point are added, multiplied and compared only")


class Translation:
    """The nodes of an exported module as a formula, and a module of those that do not depend on the point."""

    def __init__(self, module: nn.Module, program: torch.export.ExportedProgram, d: int) -> None:
        self.module, self.program, self.d = module, program, d
        self.slots: dict[str, Any] = {}
        self.varies: set[fx.Node] = set()
        self.fixed: dict[fx.Node, Any] = {}
        self.values: dict[fx.Node, Any] = {}
        self.weights: dict[fx.Node, Var] = {}
        self.names: dict[fx.Node, str] = {}

    def traced(self) -> Traced:
        """The graph and what stays torch's."""
        graph, signature = self.program.graph, self.program.graph_signature
        inputs = {spec.arg.name: spec for spec in signature.input_specs}
        output = next(node for node in graph.nodes if node.op == "output")
        results = list(zip(output.args[0], signature.output_specs, strict=True))
        # tokens keep checks of results in order, such as whether a matrix is singular
        given = [node for node, spec in results if spec.kind != OutputKind.TOKEN]
        wanted = needed([node for node in given if isinstance(node, fx.Node)])
        for node in graph.nodes:
            if node.op == "placeholder":
                self.placeholder(node, inputs[node.name])
            elif node.op == "call_function" and node in wanted:
                self.operation(node)
        users = [node for node, spec in results if spec.kind == OutputKind.USER_OUTPUT]
        changed = [(own(spec.target), node) for node, spec in results if spec.kind == OutputKind.BUFFER_MUTATION]
        self.check_results(users, changed)
        value = self.operand(users[0])
        value = value if isinstance(value, Var) else formulas.as_var(value)
        description = formulas.graph(value, self.d)
        names = [w["name"] for w in description["weights"]]
        order = {name: node for node, name in self.names.items()}
        outer = self.outer([order[name] for name in names], [node for _, node in changed])
        slots = [self.slots[p.name] for p in outer.graph.nodes if p.op == "placeholder"]
        return Traced(description, names, outer, slots, [name for name, _ in changed], value.ndim == 1)

    def check_results(self, users: Sequence[Any], changed: Sequence[tuple[Any, fx.Node]]) -> None:
        if len(users) != 1 or not isinstance(users[0], fx.Node):
            raise ShapeError(f"{type(self.module).__name__} gives {len(users)} results, expected one tensor (n, m)")
        shape = users[0].meta["val"].shape
        if len(shape) not in (1, 2) or shape[0] != 1:
            raise ShapeError(
                f"{type(self.module).__name__} gives shape {list(shape)} at one point (1, {self.d}), expected "
                "(1, m) or (1,): a row for each point"
            )
        for name, node in changed:
            if node in self.varies:
                raise across(f"buffer {name!r}, which the forward pass sets{line_of(node)},", "call model.eval() first")

    def placeholder(self, node: fx.Node, spec: Any) -> None:
        """An input of the exported program: the point, a parameter, a buffer or a constant."""
        if spec.kind == InputKind.USER_INPUT:
            if "val" in node.meta and isinstance(node.meta["val"], Tensor):
                self.varies.add(node)
                self.values[node] = formulas.input(self.d).reshape(1, self.d)
            return
        if spec.kind not in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            self.fixed[node] = None  # a token that keeps operations in order
            return
        lifted = spec.kind == InputKind.CONSTANT_TENSOR
        tensor = self.program.constants[spec.target] if lifted else found(self.module, own(spec.target))
        self.slots[node.name] = tensor if lifted else own(spec.target)
        self.names[node] = own(spec.target)
        if not tensor.is_floating_point():
            self.fixed[node] = tensor  # indices and masks

    def operation(self, node: fx.Node) -> None:
        """Sorts an operation into the point's, the parameters' and what is known."""
        sources = node.all_input_nodes
        if any(s in self.varies for s in sources):
            self.varies.add(node)
            self.values[node] = self.translated(node)
        elif all(s in self.fixed for s in sources) and not impure(node):
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: self.fixed[n])
            with torch.no_grad():
                self.fixed[node] = node.target(*args, **kwargs)  # type: ignore[operator]

    def translated(self, node: fx.Node) -> Any:
        """An operation of the point by its rule."""
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.operand)
        if node.target is operator.getitem:
            return args[0][args[1]]  # type: ignore[index]
        if any(isinstance(t, Tensor) and t.is_complex() for t in tensors_of(node)):
            raise OperationError(
                f"{called(node)}{line_of(node)}: has complex numbers, the engine has real ones: write the real and the "
                f"imaginary part, or radius and angle, as tensors of their own; or {CURE}"
            )
        if not isinstance(node.target, torch._ops.OpOverload):
            raise OperationError(f"{called(node)}{line_of(node)}: the engine does not have this operation; {CURE}")
        rule = RULES.get(name_of(node))
        if rule is None:
            raise OperationError(f"{called(node)}{line_of(node)}: the engine does not have this operation; {CURE}")
        kwargs = {
            k: v for k, v in kwargs.items() if k not in ("layout", "device", "pin_memory", "memory_format", "dtype")
        }
        try:
            check_whole(node)
            value = rule(*args, **kwargs)
            if becomes_true(node):
                value = as_truth(value)
        except Refused as refused:
            raise OperationError(f"{called(node)}{line_of(node)}: {refused}; or {CURE}") from None
        except (HessquikError, TypeError, IndexError, ValueError) as error:
            raise OperationError(
                f"{called(node)}{line_of(node)}: not with these arguments ({error}); {CURE}"
            ) from error
        self.check_shape(node, value)
        return value

    def check_shape(self, node: fx.Node, value: Any) -> None:
        """Rules give what torch gives."""
        expected = node.meta.get("val")
        if isinstance(value, Var) and isinstance(expected, Tensor) and value.shape != tuple(expected.shape):
            raise OperationError(
                f"{called(node)}{line_of(node)}: the engine gives shape {list(value.shape)} in place of "
                f"{list(expected.shape)}; {CURE}"
            )
        if isinstance(expected, Tensor) and whole(expected) and name_of(node) not in COUNTING:
            if any(
                isinstance(n.meta.get("val"), Tensor) and n.meta["val"].is_floating_point() for n in self.of_point(node)
            ):
                raise OperationError(
                    f"{called(node)}{line_of(node)}: gives integers, which have no derivatives; {CURE}"
                )

    def of_point(self, node: fx.Node) -> list[fx.Node]:
        """What an operation takes that depends on the point."""
        return [n for n in node.all_input_nodes if n in self.varies]

    def operand(self, node: fx.Node) -> Any:
        """A node as an argument of a rule: a variable, a weight, or a constant."""
        if node in self.varies:
            return self.values[node]
        if node in self.fixed:
            return constant(self.fixed[node])
        value = node.meta["val"]
        if not isinstance(value, Tensor):
            return value
        if node not in self.weights:
            name = self.names.setdefault(node, node.name)
            taken = {n for other, n in self.names.items() if other is not node}
            while name in taken:
                name += "_"
            self.names[node] = name
            self.weights[node] = formulas.weight(name, shape=tuple(value.shape))
        return self.weights[node]

    def outer(self, weights: Sequence[fx.Node], buffers: Sequence[fx.Node]) -> fx.GraphModule:
        """The module that computes these nodes of parameters and buffers."""
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        wanted = needed([*weights, *buffers])
        for node in self.program.graph.nodes:
            if node in wanted and node.op != "output":
                copies[node] = graph.node_copy(node, lambda n: copies[n])
        floating = [
            copies[n]
            if n.meta["val"].is_floating_point()
            else graph.call_method("to", (copies[n], torch.get_default_dtype()))
            for n in weights
        ]
        graph.output((tuple(floating), tuple(copies[n] for n in buffers)))
        return fx.GraphModule(nn.Module(), graph)


def needed(outputs: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes that others need."""
    seen: set[fx.Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(node.all_input_nodes)
    return seen


def impure(node: fx.Node) -> bool:
    """Whether an operation may give something else at the next call."""
    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded in tags


def constant(value: Any) -> Any:
    """A tensor as a constant variable; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    array = value.detach().cpu()
    return formulas.constant(np.asarray(array.to(torch.float64)))
