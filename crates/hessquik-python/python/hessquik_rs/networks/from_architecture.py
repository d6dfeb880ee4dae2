"""A network from its description in a model file."""

from __future__ import annotations

from typing import Any

from ..activations import activation, softplusActivation
from ..layers import ICNNLayer, quadraticICNNLayer, quadraticLayer, resnetLayer, singleLayer
from .hessQuik_network import NN

LAYERS = {
    "single": singleLayer,
    "resnet": resnetLayer,
    "icnn": ICNNLayer,
    "quadratic": quadraticLayer,
    "quadratic_icnn": quadraticICNNLayer,
}


def from_architecture(architecture: dict[str, Any], device: Any = None, dtype: Any = None) -> Any:
    """The network or layer with this architecture, with newly drawn weights.

    >>> import json, hessquik_rs.networks as net
    >>> f = net.fullyConnectedNN([2, 8, 1], act="tanh")
    >>> net.from_architecture(json.loads(f.architecture())).architecture() == f.architecture()
    True
    """
    options = dict(architecture)
    kind = options.pop("type")
    if kind == "network":
        return NN(*[from_architecture(layer, device, dtype) for layer in options["layers"]])
    if kind not in LAYERS:
        raise ValueError(f"there is no layer {kind!r} here, expected one of {', '.join(LAYERS)}")
    if "act" in options:
        act = dict(options["act"])
        name = act.pop("type")
        options["act"] = softplusActivation(**act) if name == "softplus" else activation(name)
    return LAYERS[kind](**options, device=device, dtype=dtype)
