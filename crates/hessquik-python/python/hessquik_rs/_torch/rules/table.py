"""The table of rules, and what rules share."""

from __future__ import annotations

from ..._rules import Refused as Refused
from ..._rules import Rule as Rule
from ..._rules import adding
from ..._rules import known as known

RULES: dict[str, Rule] = {}
"""Rules by the names of operations, without `aten.` and overload."""

rule = adding(RULES)
