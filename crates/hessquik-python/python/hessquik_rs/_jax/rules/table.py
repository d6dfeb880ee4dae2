"""The table of rules, and what rules share."""

from __future__ import annotations

import numpy as np

from hessquik_rs._rules import Refused as Refused
from hessquik_rs._rules import Rule, adding
from hessquik_rs._rules import known as known
from hessquik_rs._var import Var

RULES: dict[str, Rule] = {}
"""Rules by the names of primitives: operands are variables, parameters of the primitive come by their names."""

rule = adding(RULES)


def every(v: Var, number: float) -> bool:
    """Whether an operand is this number everywhere."""
    return v.value is not None and bool(np.all(v.value == number))
