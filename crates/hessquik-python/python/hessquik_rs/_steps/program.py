"""A schedule as it is run: what depends on it alone is worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .route import Route, placed

Step = dict[str, Any]
"""`op`, which names the kind, `out` and `onto`, and the fields of that kind: see `hessquik::schedule::Op`."""


@dataclass(frozen=True)
class Buffer:
    """`n` features of `rows` rows, for each sample or shared by all."""

    n: int
    rows: int
    shared: bool
    source: Any
    """`"points"`, `"steps"`, or what and of which numbers."""


@dataclass(frozen=True)
class Reading:
    """A result: the buffer, its shape (q, ..) for one sample, and where each entry is; `None` if all in order."""

    buffer: int
    shape: tuple[int, ...]
    places: NDArray[np.int64] | None


class Program:
    """A schedule.

    - **steps** in groups: derivatives of one activation at one place are computed together
    - **last** the buffers that nobody reads after each group
    """

    def __init__(self, schedule: Mapping[str, Any]) -> None:
        self.buffers = [Buffer(b["n"], b["rows"], b["shared"], b["source"]) for b in schedule["buffers"]]
        self.readings: dict[str, Reading] = {}
        for name, (buffer, shape, places) in schedule["readings"].items():
            b = self.buffers[buffer]
            whole = len(places) == b.n * b.rows and bool((places == np.arange(len(places))).all())
            self.readings[name] = Reading(buffer, tuple(shape), None if whole else places)
        self.steps = _grouped([self._routed(step) for step in schedule["steps"]])
        self.last = self._last()

    def _routed(self, step: Step) -> Step:
        """The step with the ways that rows and features take."""
        rows = self.buffers[step["out"]].rows
        if step["op"] == "move":
            blocks, pairs = step["blocks"], step["rows"]
            if blocks is not None:
                step["features"] = Route(placed(blocks), self.buffers[step["out"]].n)
            if pairs is not None:
                of = self.buffers[step["x"]].rows
                each = [(y if rows > 1 else 0, x if of > 1 else 0) for y, x in pairs]
                step["rows"] = Route(np.array(each, np.int64).reshape(-1, 2), rows)
        elif step["op"] in ("times", "product") and step["rows"] is not None:
            met = step["rows"]
            step["a_rows"], step["b_rows"] = (np.array([t[i] for t in met], np.int64) for i in (1, 2))
            factors = np.array([t[3] for t in met])
            step["factors"] = None if (factors == 1.0).all() else factors
            to = np.array([t[0] if rows > 1 else 0 for t in met], np.int64)
            step["rows"] = Route(np.stack([to, np.arange(len(met))], 1), rows)
        return step

    def _last(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.steps]
        seen = {reading.buffer for reading in self.readings.values()}
        for at in reversed(range(len(self.steps))):
            for buffer in {b for step in self.steps[at] for b in operands(step)}:
                if buffer not in seen:
                    seen.add(buffer)
                    found[at].append(buffer)
        return found


def operands(step: Step) -> Sequence[int]:
    """The buffers that a step reads, beside its own."""
    match step["op"]:
        case "add":
            return ()
        case "move" | "frozen":
            return (step["x"],)
        case "pick":
            return (step["x"], step["z"])
        case "act":
            return (step["z"],)
        case "gram":
            return tuple(step["operands"])
    return (step["a"], step["b"])


def _grouped(steps: Sequence[Step]) -> list[list[Step]]:
    groups: list[list[Step]] = []
    for step in steps:
        first = groups[-1][0] if groups else None
        same = first is not None and first["op"] == step["op"] == "act" and first["out"] != first["z"]
        if same and first is not None and (first["z"], first["act"]) == (step["z"], step["act"]):
            # a step that wrote over their operand would be the last of its group
            if all(member["out"] != step["z"] for member in groups[-1]):
                groups[-1].append(step)
                continue
        groups.append([step])
    return groups
