"""Names of weights in state dictionaries."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn


def without_prefix(module: nn.Module, state_dict: Any) -> Any:
    """A state dictionary without the prefix that DistributedDataParallel, DataParallel and `torch.compile` put before
    all names, if it has that and the module does not."""
    for prefix in ("module.", "_orig_mod."):
        names = list(state_dict)
        if (
            names
            and all(str(n).startswith(prefix) for n in names)
            and not any(n.startswith(prefix) for n in module.state_dict())
        ):
            warnings.warn(f"removed the prefix {prefix!r} from the names of all {len(names)} weights", stacklevel=3)
            stripped = {n.removeprefix(prefix): w for n, w in state_dict.items()}
            return without_prefix(module, stripped)
    return state_dict
