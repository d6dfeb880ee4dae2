"""Nodes of graphs: what a network computes from a point, with no more shape than a number of entries.

The functions that make nodes simplify them: what depends on constants alone is computed, moves of moves become one.
`as_graph` writes the nodes that an output needs as the description of a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Act: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """`n` numbers, that vary with the point or do not."""

    n: int
    varies: bool


@dataclass(frozen=True, eq=False, slots=True)
class Input(Node):
    """The point."""


@dataclass(frozen=True, eq=False, slots=True)
class Weight(Node):
    """A weight by its name, with its values where they are known."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None


@dataclass(frozen=True, eq=False, slots=True)
class Constant(Node):
    """Numbers that are not trained."""

    values: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """`c` times the entries of a node; entry `source[i]` goes to `target[i]`, or all stay in their places."""

    of: Node
    c: float = 1.0
    source: Ints | None = None
    target: Ints | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Affine(Node):
    """A sum of terms, and `shift` at every entry."""

    terms: tuple[Term, ...]
    shift: float


@dataclass(frozen=True, eq=False, slots=True)
class Largest(Node):
    """The largest entry of each group, `length` of them that are `inner` apart."""

    of: Node
    length: int
    inner: int


@dataclass(frozen=True, eq=False, slots=True)
class Frozen(Node):
    """The entries, with derivatives of zero."""

    of: Node


@dataclass(frozen=True, eq=False, slots=True)
class Pointwise(Node):
    """An activation at every entry."""

    of: Node
    act: Act


@dataclass(frozen=True, eq=False, slots=True)
class Times(Node):
    """A product, entry by entry."""

    a: Node
    b: Node


@dataclass(frozen=True, eq=False, slots=True)
class Product(Node):
    """`g` products of matrices (r, s) and (s, t) for `dims` (g, r, s, t); `transposed`, of (r, t) and (s, t)."""

    a: Node
    b: Node
    dims: tuple[int, int, int, int]
    transposed: bool


def constant(values: Any) -> Node:
    """Numbers that are not trained."""
    flat = np.ascontiguousarray(values, np.float64).reshape(-1)
    return Constant(flat.size, False, flat)


def affine(n: int, terms: Sequence[Term], shift: float = 0.0) -> Node:
    """The sum of terms, `n` entries, plus `shift`."""
    kept: list[Term] = []
    fixed: Floats | None = None
    for term in terms:
        if term.c == 0.0:
            continue
        of, c = term.of, term.c
        if isinstance(of, Constant):
            fixed = np.zeros(n) if fixed is None else fixed
            if term.source is None or term.target is None:
                fixed += c * of.values
            else:
                np.add.at(fixed, term.target, c * of.values[term.source])
            continue
        term, added = _through(n, term, shift == 0.0 and len(terms) == 1)
        shift += added
        if term.source is None:  # the same node once more
            same = next((i for i, t in enumerate(kept) if t.of is term.of and t.source is None), None)
            if same is not None:
                kept[same] = Term(term.of, kept[same].c + term.c)
                continue
        kept.append(term)
    if fixed is not None:
        if np.all(fixed == fixed[0]):
            shift += float(fixed[0])
        else:
            kept.append(Term(constant(fixed + shift if not kept else fixed)))
            if len(kept) == 1:
                return kept[0].of
    kept = [t for t in kept if t.c != 0.0]
    if not kept:
        return constant(np.full(n, shift))
    if len(kept) == 1 and shift == 0.0 and kept[0].c == 1.0 and kept[0].source is None:
        return kept[0].of
    return Affine(n, any(t.of.varies for t in kept), tuple(kept), shift)


def _through(n: int, term: Term, alone: bool) -> tuple[Term, float]:
    """The term past affine nodes of one term, and what a shift there adds to every entry.

    A sum is rounded where the user rounds it: `1e6 (x - 1)` does not become `1e6 x - 1e6`. Nor does a product in a sum
    lose its rounding: the engine multiplies and adds at once, so that `0.9 x - 0.9 y` would not be 0 where `x` is `y`.
    """
    added = 0.0
    alone = alone and (term.target is None or bool(np.all(np.bincount(term.target, minlength=n) <= 1)))
    while isinstance(term.of, Affine) and len(term.of.terms) == 1:
        inner = term.of.terms[0]
        if not alone and not _exact(inner.c):
            break
        if term.of.shift != 0.0:
            if not alone or added != 0.0 or abs(term.c) != 1.0:
                break
            if term.target is not None and not np.all(np.bincount(term.target, minlength=n) == 1):
                break
        if inner.source is None or inner.target is None:
            source, target = term.source, term.target
        else:
            came = np.full(term.of.n, -1, np.int64)
            came[inner.target] = inner.source
            if np.unique(inner.target).size != inner.target.size:
                break  # a sum
            through = np.arange(n) if term.source is None else term.source
            goes = np.arange(n) if term.target is None else term.target
            there = came[through] >= 0
            source, target = came[through][there], goes[there]
        added += term.c * term.of.shift
        term = _placed(n, Term(inner.of, term.c * inner.c, source, target))
    return term, added


def _exact(c: float) -> bool:
    """Whether products with a number are not rounded: 1, 2, 4, .. or one over these, of either sign."""
    return abs(math.frexp(c)[0]) == 0.5


def _placed(n: int, term: Term) -> Term:
    """The term without places if all entries stay in theirs."""
    source, target = term.source, term.target
    if source is None or target is None or source.size != n or term.of.n != n:
        return term
    everywhere = np.arange(n)
    if np.array_equal(source, everywhere) and np.array_equal(target, everywhere):
        return Term(term.of, term.c)
    return term


def moved(of: Node, n: int, source: Ints, target: Ints | None = None) -> Node:
    """`n` entries: sums of the entries `source[i]` that go to `target[i]`; unless given, one after another."""
    target = np.arange(n) if target is None else target
    return affine(n, [_placed(n, Term(of, 1.0, np.asarray(source, np.int64), np.asarray(target, np.int64)))])


def largest(of: Node, length: int, inner: int) -> Node:
    """The largest entry of each group."""
    if isinstance(of, Constant):
        return constant(of.values.reshape(-1, length, inner).max(1))
    return of if length == 1 else Largest(of.n // length, of.varies, of, length, inner)


def stopped(of: Node) -> Node:
    """The entries, with derivatives of zero."""
    return of if isinstance(of, Constant | Frozen) else Frozen(of.n, of.varies, of)


def pointwise(of: Node, act: Act) -> Node:
    """An activation at every entry."""
    if act["type"] == "identity":
        return of
    if isinstance(of, Constant):
        value = activated(of.values, act)
        if value is not None:
            return constant(value)
    return Pointwise(of.n, of.varies, of, act)


def times(a: Node, b: Node) -> Node:
    """A product, entry by entry."""
    if isinstance(a, Constant):
        a, b = b, a
    if isinstance(b, Constant):
        if isinstance(a, Constant):
            return constant(a.values * b.values)
        if np.all(b.values == b.values[0]):
            return affine(a.n, [Term(a, float(b.values[0]))])
    if a is b:
        return pointwise(a, {"type": "square"})
    return Times(a.n, a.varies or b.varies, a, b)


def masked(mask: Node, of: Node) -> Node:
    """A node where a mask is 1, and 0 where it is 0, with no digit lost to how the mask came about."""
    return Times(of.n, mask.varies or of.varies, mask, of)


def product(a: Node, b: Node, dims: tuple[int, int, int, int], transposed: bool = False) -> Node:
    """Products of matrices."""
    g, r, s, t = dims
    left, right, n = ((g, r, t), (g, s, t), g * r * s) if transposed else ((g, r, s), (g, s, t), g * r * t)
    if isinstance(a, Constant) and isinstance(b, Constant):
        x, y = a.values.reshape(left), b.values.reshape(right)
        return constant(x @ (y.swapaxes(1, 2) if transposed else y))
    return Product(n, a.varies or b.varies, a, b, dims, transposed)


def _sigmoid(z: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-z)))


_VALUES: dict[str, Callable[[Floats, Act], Any]] = {
    "tanh": lambda z, act: np.tanh(z),
    "sin": lambda z, act: np.sin(z),
    "cos": lambda z, act: np.cos(z),
    "exp": lambda z, act: np.exp(z),
    "log": lambda z, act: np.log(z),
    "sqrt": lambda z, act: np.sqrt(z),
    "square": lambda z, act: z * z,
    "quadratic": lambda z, act: z * z / 2.0,
    "reciprocal": lambda z, act: 1.0 / z,
    "power": lambda z, act: z ** act["p"],
    "atan": lambda z, act: np.arctan(z),
    "erf": lambda z, act: np.vectorize(math.erf, otypes=[np.float64])(z),
    "sigmoid": lambda z, act: _sigmoid(z),
    "silu": lambda z, act: z * _sigmoid(z),
    "gaussian": lambda z, act: np.exp(-z * z),
    "anti_tanh": lambda z, act: np.logaddexp(z, -z) - math.log(2.0),
    "relu": lambda z, act: np.maximum(z, 0.0),
    "leaky_relu": lambda z, act: np.where(z > 0.0, z, act.get("slope", 0.01) * z),
    "step": lambda z, act: np.where(z > 0.0, 1.0, 0.0),
}


def activated(values: Floats, act: Act) -> Floats | None:
    """The values of an activation, if they are known without the engine."""
    f = _VALUES.get(act["type"])
    if f is None:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(f(values, act), np.float64)


def parents(node: Node) -> list[Node]:
    """The nodes that one is made of."""
    match node:
        case Affine(terms=terms):
            return [t.of for t in terms]
        case Largest(of=of) | Frozen(of=of) | Pointwise(of=of):
            return [of]
        case Times(a=a, b=b) | Product(a=a, b=b):
            return [a, b]
    return []


def ordered(output: Node) -> list[Node]:
    """The nodes that an output needs, parents first."""
    done: dict[int, Node] = {}
    stack: list[tuple[Node, bool]] = [(output, False)]
    while stack:
        node, ready = stack.pop()
        if id(node) in done:
            continue
        if ready:
            done[id(node)] = node
            continue
        stack.append((node, True))
        stack.extend((p, False) for p in reversed(parents(node)))
    return list(done.values())


def _blocks(source: Ints, target: Ints) -> list[list[int]]:
    """Runs `[from, to, len]` of entries that go up together."""
    if source.size == 0:
        return []
    breaks = np.flatnonzero((np.diff(source) != 1) | (np.diff(target) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    lengths = np.diff(np.concatenate([starts, [source.size]]))
    return np.stack([source[starts], target[starts], lengths], 1).tolist()  # type: ignore[no-any-return]


def as_graph(output: Node, inputs: int, weights: Sequence[Weight]) -> dict[str, Any]:
    """The description of the network that computes `output`; nodes that do not count are left out, equal ones are one.

    - **inputs** number of features of the point
    - **weights** in the order that the flat vector is to have
    """
    places = {id(w): i for i, w in enumerate(weights)}
    written: list[dict[str, Any]] = [{"op": "input"}]
    ids: dict[int, int] = {}
    seen: dict[Any, int] = {}
    for node in ordered(output):
        if isinstance(node, Input):
            ids[id(node)] = 0
            continue
        entry, key = _written(node, ids, places)
        known = seen.get(key)
        if known is None:
            known = seen[key] = len(written)
            written.append(entry)
        ids[id(node)] = known
    shapes = [{"name": w.name, "shape": list(w.shape)} for w in weights]
    return {"type": "graph", "inputs": inputs, "weights": shapes, "nodes": written, "output": ids[id(output)]}


def _written(node: Node, ids: dict[int, int], places: dict[int, int]) -> tuple[dict[str, Any], Any]:
    """A node as JSON has it, and what equal nodes have in common."""
    match node:
        case Weight():
            return {"op": "weight", "weight": places[id(node)]}, ("weight", places[id(node)])
        case Constant(values=values):
            return {"op": "constant", "values": values.tolist()}, ("constant", values.tobytes())
        case Affine(n=n, terms=terms, shift=shift):
            listed: list[dict[str, Any]] = []
            keys: list[tuple[Any, ...]] = []
            for t in terms:
                term: dict[str, Any] = {"of": ids[id(t.of)], "c": t.c}
                if t.source is not None and t.target is not None:
                    term["blocks"] = _blocks(t.source, t.target)
                    keys.append((ids[id(t.of)], t.c, t.source.tobytes(), t.target.tobytes()))
                else:
                    keys.append((ids[id(t.of)], t.c, None, None))
                listed.append(term)
            return {"op": "affine", "n": n, "terms": listed, "shift": shift}, ("affine", n, shift, *keys)
        case Largest(of=of, length=length, inner=inner):
            at = ids[id(of)]
            return {"op": "largest", "of": at, "len": length, "inner": inner}, ("largest", at, length, inner)
        case Frozen(of=of):
            return {"op": "frozen", "of": ids[id(of)]}, ("frozen", ids[id(of)])
        case Pointwise(of=of, act=act):
            return {"op": "act", "of": ids[id(of)], "act": act}, ("act", ids[id(of)], repr(sorted(act.items())))
        case Times(a=a, b=b):
            pair = ids[id(a)], ids[id(b)]
            return {"op": "times", "a": pair[0], "b": pair[1]}, ("times", *sorted(pair))
        case Product(a=a, b=b, dims=dims, transposed=transposed):
            pair = ids[id(a)], ids[id(b)]
            entry = {"op": "product", "a": pair[0], "b": pair[1], "dims": list(dims), "transposed": transposed}
            return entry, ("product", *pair, dims, transposed)
    raise AssertionError(type(node))
