"""Activations from what users pass: ours, PyTorch's modules, classes and functions, names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from .._torch.arguments import meant
from .antiTanh_activation import antiTanhActivation
from .gaussian_activation import gaussianActivation
from .gelu_activation import geluActivation
from .hessQuik_activation_function import hessQuikActivationFunction
from .identity_activation import identityActivation
from .quadratic_activation import quadraticActivation
from .sigmoid_activation import sigmoidActivation
from .silu_activation import siluActivation
from .sin_activation import sinActivation
from .softplus_activation import softplusActivation
from .tanh_activation import tanhActivation

ActivationLike: TypeAlias = hessQuikActivationFunction | nn.Module | type | str | Callable[..., Any]
"""`tanhActivation()`, `nn.Tanh()`, `nn.Tanh`, `torch.tanh`, or `"tanh"`."""

NAMES: dict[str, type[hessQuikActivationFunction]] = {
    "anti_tanh": antiTanhActivation,
    "antitanh": antiTanhActivation,
    "gaussian": gaussianActivation,
    "gelu": geluActivation,
    "identity": identityActivation,
    "linear": identityActivation,
    "quadratic": quadraticActivation,
    "sigmoid": sigmoidActivation,
    "logistic": sigmoidActivation,
    "silu": siluActivation,
    "swish": siluActivation,
    "sin": sinActivation,
    "sine": sinActivation,
    "softplus": softplusActivation,
    "tanh": tanhActivation,
}
FUNCTIONS: dict[Any, type[hessQuikActivationFunction]] = {
    torch.tanh: tanhActivation,
    F.tanh: tanhActivation,
    torch.sigmoid: sigmoidActivation,
    F.sigmoid: sigmoidActivation,
    torch.sin: sinActivation,
    F.silu: siluActivation,
    F.gelu: geluActivation,
    F.softplus: softplusActivation,
}
KINDS = "antiTanh, gaussian, gelu, identity, quadratic, sigmoid, silu, sin, softplus, tanh"


def activation(act: ActivationLike) -> Any:
    """The activation for this argument.

    >>> import torch, hessquik_rs.activations as act
    >>> act.activation("tanh"), act.activation(torch.nn.Softplus(beta=2)), act.activation(torch.sin)
    (tanhActivation(), softplusActivation(beta=2.0, threshold=20.0), sinActivation())
    """
    if isinstance(act, hessQuikActivationFunction):
        return act
    if isinstance(act, type) and issubclass(act, nn.Module):
        act = act()
    if isinstance(act, str):
        return named(act)
    if isinstance(act, nn.Module):
        return of_module(act)
    found = next((kind for function, kind in FUNCTIONS.items() if act is function), None)
    if found is not None:
        return found()
    raise TypeError(
        f"act is {act!r}, expected an activation of hessquik_rs.activations, a module of torch.nn such as "
        f"nn.Tanh(), or "
        f"a name: {KINDS}; a function of your own is a subclass of hessQuikActivationFunction"
    )


def named(name: str) -> hessQuikActivationFunction:
    """The activation with this name."""
    found = NAMES.get(name.removesuffix("Activation").lower())
    if found is None:
        raise ValueError(f"unknown activation {name!r}, expected one of {KINDS}{rough(name)}{meant(name, NAMES)}")
    return found()


def rough(name: str) -> str:
    """The suggested replacement for an activation that is not smooth."""
    if "elu" in name.lower() and name.lower() not in NAMES or "hard" in name.lower():
        return " (one that is not smooth has no second derivatives; softplus, silu and gelu are smooth)"
    return ""


def of_module(module: nn.Module) -> Any:
    """The activation equivalent to a module of PyTorch or of hessQuik."""
    if type(module) is nn.Softplus:
        return softplusActivation(beta=float(module.beta), threshold=float(module.threshold))
    if type(module) is nn.GELU:
        if module.approximate != "none":
            raise ValueError(
                f"act is nn.GELU(approximate={module.approximate!r}), expected nn.GELU(), the exact function, which "
                "differs from the approximation by up to 5e-4"
            )
        return geluActivation()
    same = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.SiLU: "silu", nn.Identity: "identity"}.get(type(module))
    if same is not None:
        return NAMES[same]()
    if type(module).__module__.startswith("hessQuik.activations"):
        return of_hessquik(module)
    if hasattr(module, "compute_derivatives"):  # hessQuik's protocol, by a user
        return module
    name = type(module).__name__
    raise TypeError(
        f"act is the module {name}, expected an activation of hessquik_rs.activations, or one of nn.Tanh, nn.Sigmoid, "
        f"nn.SiLU, nn.GELU, nn.Softplus, nn.Identity{rough(name)}"
    )


def of_hessquik(module: Any) -> hessQuikActivationFunction:
    """The same function as an activation of hessQuik, its antiTanh with the ln 2 that hessQuik's code adds."""
    name = type(module).__name__
    if name == "antiTanhActivation":
        return antiTanhActivation(offset=math.log(2))
    if name == "softplusActivation":
        return softplusActivation(beta=module.beta, threshold=module.threshold)
    return named(name)
