"""Variables: values at one point on their way through a network, and operations on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessquik_rs import _nodes as nodes
from hessquik_rs._nodes import Act, Ints, Node, Term
from hessquik_rs.errors import ArchitectureError, ShapeError

Shape: TypeAlias = tuple[int, ...]
Axes: TypeAlias = int | Sequence[int] | None
Operand: TypeAlias = "Var | ArrayLike"


class Var:
    """The values at one point on their way through a network, with a shape."""

    __slots__ = ("node", "shape")
    __array_priority__ = 1000.0  # numpy's operators leave arrays on the left to ours
    __array_ufunc__ = None
    node: Node
    shape: Shape

    def __init__(self, node: Node, shape: Sequence[int]) -> None:
        """A node as an array of this shape; see `input`, `weight` and `constant`."""
        self.node, self.shape = node, tuple(int(n) for n in shape)
        if math.prod(self.shape) != node.n:
            raise ShapeError(f"shape {list(self.shape)} does not hold {node.n} entries")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.node.n

    @property
    def varies(self) -> bool:
        """Whether it depends on the point."""
        return self.node.varies

    @property
    def value(self) -> NDArray[np.float64] | None:
        """The numbers, if they depend on constants alone."""
        return self.node.values.reshape(self.shape) if isinstance(self.node, nodes.Constant) else None

    @property
    def T(self) -> Var:
        """The axes in reverse."""
        return self.permute(*reversed(range(self.ndim)))

    def reshape(self, *shape: int | Sequence[int]) -> Var:
        """The same entries, in C order, with another shape; one length may be -1."""
        lengths = _flat(shape)
        if lengths.count(-1) == 1:
            rest = -math.prod(lengths)
            lengths[lengths.index(-1)] = self.size // rest if rest and self.size % rest == 0 else -1
        if math.prod(lengths) != self.size or min(lengths, default=0) < 0:
            raise ShapeError(f"reshape: shape {list(self.shape)} does not hold {_flat(shape)}")
        return Var(self.node, lengths)

    def flatten(self) -> Var:
        """The same entries along a single axis."""
        return Var(self.node, (self.size,))

    def permute(self, *axes: int | Sequence[int]) -> Var:
        """Axes in another order: axis `i` of the result is axis `axes[i]`."""
        order = [_axis(a, self.ndim, "permute") for a in _flat(axes)]
        if sorted(order) != list(range(self.ndim)):
            raise ShapeError(f"permute: axes {order} are not those of shape {list(self.shape)}")
        return self._picked(self._places().transpose(order))

    def swapaxes(self, a: int, b: int) -> Var:
        """Two axes swapped."""
        order = list(range(self.ndim))
        a, b = _axis(a, self.ndim, "swapaxes"), _axis(b, self.ndim, "swapaxes")
        order[a], order[b] = order[b], order[a]
        return self.permute(order)

    def broadcast_to(self, shape: Sequence[int]) -> Var:
        """The same entries repeated to a larger shape."""
        shape = tuple(shape)
        if shape == self.shape:
            return self
        try:
            places = np.broadcast_to(self._places(), shape)
        except ValueError:
            raise ShapeError(f"shape {list(self.shape)} does not broadcast to {list(shape)}") from None
        return self._picked(places)

    def take(self, index: ArrayLike, axis: int) -> Var:
        """The entries along an axis at these indices, which may have any shape."""
        return self._picked(np.take(self._places(), np.asarray(index, np.int64), _axis(axis, self.ndim, "take")))

    def __getitem__(self, key: Any) -> Var:
        """As numpy's: numbers, slices, `...`, `None`, arrays of integers or booleans."""
        try:
            return self._picked(self._places()[key])
        except IndexError as error:
            raise ShapeError(f"index of shape {list(self.shape)}: {error}") from None

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a variable without axes has no length")
        return self.shape[0]

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Var:
        """The sum over axes; over all axes by default."""
        axes = _axes(axis, self.ndim, "sum")
        kept = tuple(1 if i in axes else n for i, n in enumerate(self.shape))
        shape = kept if keepdims else tuple(n for i, n in enumerate(self.shape) if i not in axes)
        if all(self.shape[i] == 1 for i in axes):
            return Var(self.node, shape)
        target = np.broadcast_to(np.arange(math.prod(kept)).reshape(kept), self.shape)
        n = math.prod(kept)
        # what goes to one entry one after another, so that whole rows move where the last axis is kept
        return Var(nodes.moved(self.node, n, np.arange(self.size), target.reshape(-1)), shape)

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Var:
        """The mean over axes; over all axes by default."""
        total = self.sum(axis, keepdims)
        return total * (total.size / self.size)

    def var(self, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> Var:
        """The variance over axes: the sum of squared deviations from the mean, divided by their number less `ddof`."""
        squares = (self - self.mean(axis, True)).square().sum(axis, keepdims)
        return squares * (1.0 / (self.size // squares.size - ddof))

    def square(self) -> Var:
        """The square of every entry."""
        return self.act("square")

    def act(self, act: str | Act) -> Var:
        """An activation at every entry: a name, or a description such as `softplus(beta)`."""
        spec = {"type": act} if isinstance(act, str) else act
        return Var(nodes.pointwise(self.node, spec), self.shape)

    def _places(self) -> Ints:
        return np.arange(self.size).reshape(self.shape)

    def _picked(self, places: NDArray[Any]) -> Var:
        """The entries at these places, in their shape."""
        if places.size == 0:
            raise ShapeError(f"nothing of a variable of shape {list(self.shape)} is left")
        return Var(nodes.moved(self.node, places.size, np.asarray(places).reshape(-1)), places.shape)

    def __add__(self, other: Operand) -> Var:
        return combined(self, other, 1.0, 1.0)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Var:
        return combined(self, other, 1.0, -1.0)

    def __rsub__(self, other: Operand) -> Var:
        return combined(self, other, -1.0, 1.0)

    def __neg__(self) -> Var:
        return Var(nodes.affine(self.size, [Term(self.node, -1.0)]), self.shape)

    def __mul__(self, other: Operand) -> Var:
        a, b = paired(self, other)
        return Var(nodes.times(a.node, b.node), a.shape)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Var:
        other = as_var(other)
        if other.value is not None and other.size == 1:
            return self * (1.0 / other.value)
        return self * other.act("reciprocal")

    def __rtruediv__(self, other: Operand) -> Var:
        return as_var(other) * self.act("reciprocal")

    def __pow__(self, other: Operand) -> Var:
        return power(self, other)

    def __rpow__(self, other: Operand) -> Var:
        return power(other, self)

    def __matmul__(self, other: Operand) -> Var:
        return matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Var:
        return matmul(other, self)

    def __abs__(self) -> Var:
        return self.act({"type": "leaky_relu", "slope": -1.0})

    def __repr__(self) -> str:
        return f"Var{list(self.shape)}"

    def __bool__(self) -> bool:
        raise TypeError("what a variable holds is not known before there is a point: use where(..) in place of if")


def _flat(given: Sequence[int | Sequence[int]]) -> list[int]:
    """Arguments `(2, 3)` or `((2, 3),)` as a list."""
    found: list[int] = []
    for item in given:
        if isinstance(item, (int, np.integer)):
            found.append(int(item))
        else:
            found.extend(int(i) for i in item)
    return found


def _axis(axis: int, ndim: int, what: str) -> int:
    if not -ndim <= axis < max(ndim, 1):
        raise ShapeError(f"{what}: axis {axis} of {ndim} axes")
    return axis % ndim if ndim else 0


def _axes(axis: Axes, ndim: int, what: str) -> list[int]:
    if axis is None:
        return list(range(ndim))
    given = [axis] if isinstance(axis, int) else list(axis)
    return [_axis(a, ndim, what) for a in given if ndim]


def input(d: int) -> Var:
    """The point, (d,): the input of the network."""
    if d < 1:
        raise ShapeError(f"the point has {d} features, expected at least 1")
    return Var(nodes.Input(d, True), (d,))


def weight(name: str, values: ArrayLike | None = None, shape: Sequence[int] | None = None) -> Var:
    """A weight by name, which may be used several times.

    * `values`: its initial values, which also give its shape
    * `shape`: its shape, if values are set later, with `Network.set_weights`
    """
    array = None if values is None else np.asarray(values)
    if array is None and shape is None:
        raise ShapeError(f"weight {name!r} needs values or a shape")
    found = tuple(array.shape if array is not None else shape or ())
    return Var(nodes.Weight(math.prod(found), False, name, found, array), found)


def constant(values: ArrayLike) -> Var:
    """A constant array, not trained."""
    array = np.asarray(values, np.float64)
    if array.size == 0 or np.isnan(array).any():
        raise ArchitectureError(f"a constant of shape {list(array.shape)} is empty or has entries that are not numbers")
    return Var(nodes.constant(np.nan_to_num(array)), array.shape)


def as_var(operand: Operand) -> Var:
    """A variable as it is, anything else as a constant."""
    return operand if isinstance(operand, Var) else constant(operand)


def paired(a: Operand, b: Operand) -> tuple[Var, Var]:
    """Two operands broadcast to one shape."""
    a, b = as_var(a), as_var(b)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(f"shapes {list(a.shape)} and {list(b.shape)} do not broadcast") from None
    return a.broadcast_to(shape), b.broadcast_to(shape)


def combined(a: Operand, b: Operand, ca: float, cb: float) -> Var:
    """`ca a + cb b`."""
    left, right = paired(a, b)
    return Var(nodes.affine(left.size, [Term(left.node, ca), Term(right.node, cb)]), left.shape)


def power(a: Operand, b: Operand) -> Var:
    """`a ** b`; an exponent that varies needs a positive base."""
    a, b = as_var(a), as_var(b)
    p = b.value
    if p is None or not np.all(p == p.flat[0]):
        if a.value is not None and np.all(a.value > 0):
            return (b * np.log(a.value)).act("exp")
        return (b * a.act("log")).act("exp")
    a = a.broadcast_to(np.broadcast_shapes(a.shape, b.shape))
    exponent = float(p.flat[0])
    named = {1.0: "identity", 2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}
    if exponent == 0.0:
        return constant(np.ones(a.shape))
    return a.act(named.get(exponent, {"type": "power", "p": exponent}))


def matmul(a: Operand, b: Operand) -> Var:
    """The matrix product over the last two axes, like numpy's `@`."""
    a, b = as_var(a), as_var(b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise ShapeError(f"matmul: shapes {list(a.shape)} and {list(b.shape)} do not fit")
    if b.ndim == 1:
        rows = a.size // a.shape[-1]
        return Var(nodes.product(a.node, b.node, (1, rows, a.shape[-1], 1)), a.shape[:-1])
    s, t = b.shape[-2:]
    if math.prod(b.shape[:-2]) == 1 and a.ndim >= b.ndim - 1:  # one matrix for all rows
        rows = a.size // s
        return Var(nodes.product(a.node, b.node, (1, rows, s, t)), (*a.shape[:-1], t))
    left = a.reshape(1, s) if a.ndim == 1 else a
    try:
        lead = np.broadcast_shapes(left.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: shapes {list(a.shape)} and {list(b.shape)} do not fit") from None
    r = left.shape[-2]
    left, right = left.broadcast_to((*lead, r, s)), b.broadcast_to((*lead, s, t))
    out = nodes.product(left.node, right.node, (math.prod(lead), r, s, t))
    return Var(out, (*lead, t) if a.ndim == 1 else (*lead, r, t))


def concat(parts: Sequence[Operand], axis: int = 0) -> Var:
    """Variables concatenated along an axis."""
    variables = [as_var(p) for p in parts]
    axis = _axis(axis, variables[0].ndim, "concat")
    shapes = [v.shape for v in variables]
    rest = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
    if len(rest) != 1 or any(len(s) != len(shapes[0]) for s in shapes):
        raise ShapeError(f"concat along axis {axis}: shapes {[list(s) for s in shapes]} do not fit")
    total = sum(s[axis] for s in shapes)
    shape = (*shapes[0][:axis], total, *shapes[0][axis + 1 :])
    places = np.arange(math.prod(shape)).reshape(shape)
    pieces = np.split(places, np.cumsum([s[axis] for s in shapes])[:-1], axis)
    terms = [
        Term(v.node, 1.0, np.arange(v.size), piece.reshape(-1)) for v, piece in zip(variables, pieces, strict=True)
    ]
    if len(terms) == 1:
        return variables[0]
    return Var(nodes.affine(places.size, terms), shape)


def stack(parts: Sequence[Operand], axis: int = 0) -> Var:
    """Variables of one shape stacked along a new axis."""
    variables = [as_var(p) for p in parts]
    axis = _axis(axis, variables[0].ndim + 1, "stack")
    return concat([v.reshape(*v.shape[:axis], 1, *v.shape[axis:]) for v in variables], axis)


def pad(v: Operand, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Var:
    """`value` before and after each axis, or fewer entries for negative widths; `widths` has a pair for each axis."""
    v = as_var(v)
    inside = tuple(
        slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(v.shape, widths, strict=True)
    )
    v = v[inside]
    shape = [n + max(b, 0) + max(a, 0) for n, (b, a) in zip(v.shape, widths, strict=True)]
    if shape == list(v.shape):
        return v
    places = np.arange(math.prod(shape)).reshape(shape)
    at = tuple(slice(max(b, 0), max(b, 0) + n) for n, (b, _) in zip(v.shape, widths, strict=True))
    terms = [Term(v.node, 1.0, np.arange(v.size), places[at].reshape(-1))]
    if value != 0.0:
        around = np.full(shape, value)
        around[at] = 0.0
        terms.append(Term(nodes.constant(around)))
    return Var(nodes.affine(places.size, terms), shape)


def scatter_add(shape: Sequence[int], places: ArrayLike, v: Operand) -> Var:
    """Zeros of this shape, to which the entries of `v` are added at these places, counted in C order."""
    v = as_var(v)
    target = np.broadcast_to(np.asarray(places, np.int64), v.shape).reshape(-1)
    return Var(nodes.moved(v.node, math.prod(shape), np.arange(v.size), target), shape)


def graph(output: Var, inputs: int | None = None) -> dict[str, Any]:
    """The network with this output as data, without nodes that it does not need.

    The weights come by name, in the order in which the formula was written.

    * `inputs`: number of features of the point, for an output that may not depend on it
    """
    listed = nodes.ordered(output.node)
    points = [n for n in listed if isinstance(n, nodes.Input)]
    if len(points) > 1:
        raise ArchitectureError("the output depends on two inputs: call hq.input once, and slice its result")
    if inputs is not None and points and points[0].n != inputs:
        raise ShapeError(f"the point has {points[0].n} features, not {inputs}")
    if not points and inputs is None:
        raise ArchitectureError("the output does not depend on hq.input(d)")
    return nodes.as_graph(output.node, points[0].n if points else inputs or 0, weights(output))


def weights(output: Var) -> list[nodes.Weight]:
    """The weights that an output depends on, in order."""
    found: dict[str, nodes.Weight] = {}
    for node in nodes.ordered(output.node):
        if isinstance(node, nodes.Weight):
            if found.setdefault(node.name, node) is not node:
                raise ArchitectureError(
                    f"two weights are named {node.name!r}: call hq.weight once and reuse its result"
                )
    return list(found.values())
