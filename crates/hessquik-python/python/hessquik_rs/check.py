"""Reports of derivative checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One check: its errors and its verdict."""

    name: str
    passed: bool
    table: str
    """As hessQuik prints it."""
    numbers: dict[str, Any]
    """The errors and single verdicts."""


@dataclass(frozen=True)
class Checks:
    """All checks of a network; `print` shows their tables, and as a condition it is true if all passed."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        tables = [f"{check.name}\n{check.table.rstrip()}\n" for check in self.checks]
        failed = [check.name for check in self.checks if not check.passed]
        verdict = f"FAILED: {'; '.join(failed)}" if failed else f"all {len(self.checks)} checks passed"
        return "\n".join([*tables, verdict])
