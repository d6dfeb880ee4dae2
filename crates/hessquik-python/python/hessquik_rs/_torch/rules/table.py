"""The table of rules, and what rules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..._var import Operand, as_var

Rule: TypeAlias = Callable[..., Any]

RULES: dict[str, Rule] = {}
"""Rules by the names of operations, without `aten.` and overload."""


class Refused(Exception):
    """Why an operation cannot be taken, with the arguments that it has."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Adds a rule for operations of these names."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def known(v: Operand, what: str) -> Any:
    """The numbers of an operand that must not vary."""
    value = as_var(v).value
    if value is None:
        raise Refused(f"{what} depends on the point or on parameters; it must be constant")
    return value
