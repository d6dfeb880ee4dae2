"""How a request is computed, and its cost."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Forward mode through the first `prefix` layers, then the sum over sites, with tangents restarted at `pivots`."""

    prefix: int
    pivots: tuple[int, ...]


@dataclass(frozen=True)
class Candidate:
    """One way to compute a result, with its predicted cost."""

    name: str
    """`auto`, `sites`, `backward` or `forward`; `chosen` for the mode of the request."""
    plan: Plan
    flops: float
    """Floating-point operations in matrix products, per point."""
    elements: float
    """Elements that pass through activations and elementwise operations, per point."""
    outputs: float
    """Entries of the results that are written, per point."""
    seconds: float
    """Predicted time for all points, on one thread."""


@dataclass(frozen=True)
class Explanation:
    """The plan of each second-order result of a request, and the alternatives; `print` shows a table."""

    points: int
    directions: tuple[int, int]
    """Numbers of input and output directions."""
    layers: tuple[tuple[int, str, tuple[int, int, int]], ...]
    """Index, name, and widths of state, site and next state of each layer, nested networks flattened."""
    results: dict[str, tuple[Candidate, ...]]
    """The candidates of each result, the chosen one first."""
    tile: int
    """Number of points that go through all sweeps at once."""
    table: str

    @classmethod
    def parse(cls, table: str, text: str) -> Explanation:
        """From the table and the JSON of the engine."""
        found = json.loads(text)

        def candidate(c: dict[str, object]) -> Candidate:
            plan, cost = c["plan"], c["cost"]
            assert isinstance(plan, dict) and isinstance(cost, dict)
            return Candidate(
                name=str(c["name"]),
                plan=Plan(plan["prefix"], tuple(plan["pivots"])),
                seconds=float(str(c["seconds"])),
                **cost,
            )

        k, q = found["directions"]
        return cls(
            points=found["points"],
            directions=(k, q),
            layers=tuple((i, name, (n, p, after)) for i, name, (n, p, after) in found["layers"]),
            results={name: tuple(map(candidate, candidates)) for name, candidates in found["results"]},
            tile=found["tile"],
            table=table,
        )

    def __str__(self) -> str:
        return self.table
