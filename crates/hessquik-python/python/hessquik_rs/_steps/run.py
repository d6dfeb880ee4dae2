"""Runs the steps of a schedule, one function for each kind.

A buffer of `n` features and `rows` rows is an array (samples, rows, n), with one sample where it is the same for all:
the product of all samples and rows with a weight is then one product of a tall matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .matrices import dot, gram, product
from .ops import Array, Ops
from .program import Program, Reading, Step
from .route import pick


def run(ops: Ops, program: Program, x: Array, weights: Sequence[Array]) -> list[Array]:
    """The results at points `x` (n_s, d) with these weights, each (n_s, q, ..), in the order of the program."""
    machine = _Machine(ops, program, x, weights)
    for group, last in zip(program.steps, program.last, strict=True):
        machine.together(group)
        for buffer in last:
            machine.values[buffer] = None
    return [machine.read(reading) for reading in program.readings.values()]


class _Machine:
    """The buffers of a schedule while it runs."""

    def __init__(self, ops: Ops, program: Program, x: Array, weights: Sequence[Array]) -> None:
        self.ops, self.program, self.x = ops, program, x
        self.weights: dict[tuple[int, int], Array] = {}
        start = 0
        for w in weights:
            size = int(np.prod(w.shape))
            self.weights[start, size] = w
            start += size
        self.values: list[Array | None] = [None] * len(program.buffers)

    def get(self, buffer: int) -> Array:
        """A buffer: as steps have left it, or from its source."""
        value = self.values[buffer]
        if value is None:
            value = self.values[buffer] = self.source(buffer)
        return value

    def source(self, buffer: int) -> Array:
        b = self.program.buffers[buffer]
        match b.source:
            case "points":
                return self.x[:, None]
            case "steps":  # what no step has written yet
                return self.constant(np.zeros((1, b.rows, b.n)))
            case ("weight", start):
                return self.weight(start, b.n * b.rows).reshape(1, b.n, b.rows).swapaxes(1, 2)
            case ("literal", numbers):
                return self.constant(numbers.reshape(1, b.n, b.rows).swapaxes(1, 2))
            case ("units", units):
                return self.constant(np.eye(b.n)[None, units])
        raise AssertionError(f"a buffer that comes from {b.source}")

    def weight(self, start: int, size: int) -> Array:
        """These entries of the flat vector of weights."""
        found = self.weights.get((start, size))
        if found is None:  # a part of one, or of several
            flat = self.ops.xp.concatenate([w.reshape(-1) for w in self.weights.values()])
            found = flat[start : start + size]
        return found

    def constant(self, numbers: NDArray[Any]) -> Array:
        """Numbers of the precision of the points; those that it does not have are its largest."""
        most = float(self.ops.xp.finfo(self.x.dtype).max)
        return self.ops.constant(np.ascontiguousarray(np.clip(numbers, -most, most)), self.x)

    def together(self, steps: Sequence[Step]) -> None:
        """Runs steps that are derivatives of one activation at one place, or one step of another kind."""
        first = steps[0]
        if first["op"] != "act":
            self.put(first, self.term(first))
            return
        found = self.ops.act(first["act"], self.get(first["z"]), [step["order"] for step in steps])
        for step, value in zip(steps, found, strict=True):
            self.put(step, value)

    def put(self, step: Step, term: Array) -> None:
        """Sets the buffer of a step to `term`, or adds it to what is there."""
        b = self.program.buffers[step["out"]]
        samples = 1 if b.shared else self.x.shape[0]
        if b.shared and term.shape[0] > 1:
            term = term.sum(0)[None]
        if b.rows == 1 and term.shape[1] > 1:
            term = term.sum(1)[:, None]
        if step["onto"]:  # one row or sample meets all that are there
            self.values[step["out"]] = self.get(step["out"]) + term
        elif term.shape == (samples, b.rows, b.n):
            self.values[step["out"]] = term
        else:
            self.values[step["out"]] = self.ops.xp.broadcast_to(term, (samples, b.rows, b.n))

    def term(self, step: Step) -> Array:
        """What a step computes, possibly with one row or sample where all have the same, or with rows to be summed."""
        if step["op"] in ("times", "product") and step["rows"] is not None and not len(step["a_rows"]):
            return self.constant(np.zeros((1, 1, self.program.buffers[step["out"]].n)))
        match step["op"]:
            case "move":
                y = self.get(step["x"])
                if "features" in step:
                    y = step["features"](self.ops, y, 2)
                if step["rows"] is not None:
                    y = step["rows"](self.ops, y, 1)
                return y if step["c"] == 1.0 else step["c"] * y
            case "add":
                return self.constant(np.full((1, 1, self.program.buffers[step["out"]].n), step["s"]))
            case "frozen":
                return self.ops.detach(self.get(step["x"]))
            case "pick":
                return self.picked(step)
            case "times":
                y = self.rows_of(step, "a") * self.rows_of(step, "b")
                return self.meet(step, y if step["c"] == 1.0 else step["c"] * y)
            case "product":
                a, b = self.rows_of(step, "a"), self.rows_of(step, "b")
                return self.meet(step, product(self.ops, step["place"], a, b, step["dims"]))
            case "dot":
                return dot(self.ops, step["place"], self.get(step["a"]), self.get(step["b"]))
            case "gram":
                x, y, t = step["operands"]
                operands = (self.get(x), self.get(y), self.get(t))
                return gram(self.ops, step["place"], operands, step["c"], y == t)
        raise AssertionError(f"a step of the kind {step['op']}")

    def rows_of(self, step: Step, operand: str) -> Array:
        """The rows of an operand in the order in which they meet those of the other, or as they are."""
        x = self.get(step[operand])
        return pick(self.ops, x, 1, step[f"{operand}_rows"]) if step["rows"] is not None and x.shape[1] > 1 else x

    def meet(self, step: Step, y: Array) -> Array:
        """What was computed for each pair of rows, times its factor, in the rows of the result."""
        if step["rows"] is None:
            return y
        count = len(step["a_rows"])
        y = self.ops.xp.broadcast_to(y, (y.shape[0], count, y.shape[2]))
        if step["factors"] is not None:
            y = y * self.constant(step["factors"].reshape(1, -1, 1))
        return step["rows"](self.ops, y, 1)

    def picked(self, step: Step) -> Array:
        """Entries of groups of `len` entries that are `inner` apart, picked where `z` is largest, or put back there."""
        xp, n, length, inner = self.ops.xp, self.program.buffers[step["z"]].n, step["len"], step["inner"]
        outer = n // (length * inner)
        z = self.ops.detach(self.get(step["z"]))
        first = xp.argmax(z.reshape(z.shape[0], 1, outer, length, inner), 3)[:, :, :, None]
        here = first == self.ops.constant(np.arange(length).reshape(1, 1, 1, length, 1), first)
        x = self.get(step["x"])
        zero = self.constant(np.zeros(1))
        if step["back"]:
            put = xp.where(here, x.reshape(*x.shape[:2], outer, 1, inner), zero)
            return put.reshape(*put.shape[:2], n)
        found = xp.where(here, x.reshape(*x.shape[:2], outer, length, inner), zero).sum(3)
        return found.reshape(*found.shape[:2], outer * inner)

    def read(self, reading: Reading) -> Array:
        """A result (n_s, q, ..)."""
        found = self.get(reading.buffer)
        samples = self.x.shape[0]
        # places count features first
        found = found.swapaxes(1, 2).reshape(found.shape[0], found.shape[1] * found.shape[2])
        if reading.places is not None:
            found = self.ops.take(found, reading.places, 1)
        if found.shape[0] != samples:
            found = self.ops.xp.broadcast_to(found, (samples, found.shape[1]))
        return found.reshape(samples, *reading.shape)
