"""The tables of rules, and what rules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from hessquik_rs._nodes import Floats
from hessquik_rs._var import Operand, Var, as_var

Rule: TypeAlias = Callable[..., Any]

RULES: dict[str, Rule] = {}
"""Rules by the names of primitives: operands are variables, parameters of the primitive come by their names."""


class Refused(Exception):
    """Why a primitive cannot be taken, with the operands that it has."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Adds a rule for primitives of these names."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def known(v: Operand, what: str) -> Floats:
    """The numbers of an operand that must not vary."""
    value = as_var(v).value
    if value is None:
        raise Refused(f"{what} depends on the point or on parameters; it must be constant")
    return value


def every(v: Var, number: float) -> bool:
    """Whether an operand is this number everywhere."""
    return v.value is not None and bool(np.all(v.value == number))
