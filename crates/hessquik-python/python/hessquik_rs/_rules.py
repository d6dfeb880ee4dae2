"""What the front doors of PyTorch and JAX share: tables of rules that turn operations into nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from hessquik_rs._nodes import Floats
from hessquik_rs._var import Operand, as_var

Rule: TypeAlias = Callable[..., Any]


class Refused(Exception):
    """Why an operation cannot be taken, with the arguments that it has."""


def adding(rules: dict[str, Rule]) -> Callable[..., Callable[[Rule], Rule]]:
    """The decorator `rule(*names)` that adds a rule for operations of these names to a table."""

    def rule(*names: str) -> Callable[[Rule], Rule]:
        def add(function: Rule) -> Rule:
            rules.update(dict.fromkeys(names, function))
            return function

        return add

    return rule


def known(v: Operand, what: str) -> Floats:
    """The numbers of an operand that must not vary."""
    value = as_var(v).value
    if value is None:
        raise Refused(f"{what} depends on the point or on parameters; it must be constant")
    return value
