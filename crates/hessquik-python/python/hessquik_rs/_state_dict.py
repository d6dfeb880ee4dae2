"""Chains of linear layers out of state dictionaries, which have weights and no activations."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hessquik_rs._arrays import check_mask
from hessquik_rs.architecture import Activation, Architecture, single
from hessquik_rs.errors import DtypeError, ModelFileError, OperationError, SettingError, ShapeError
from hessquik_rs.jet import Array

State = Mapping[str, Any] | str | os.PathLike[str]
"""Arrays by name, or a file of them."""

_ADVICE = "bring the module itself, by Network.from_torch or Network.from_jax"


def _read(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The entries of a file, in the order of their numbers: a safetensors file has them in another order."""
    suffix = Path(path).suffix.lower()
    if suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            entries = load_file(path)
        except SafetensorError as error:
            raise ModelFileError(f"{os.fspath(path)}: not a safetensors file: {error}") from None
        natural = lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]  # noqa: E731
        return {name: entries[name] for name in sorted(entries, key=natural)}
    if suffix in (".pt", ".pth", ".bin"):
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", "model_state_dict"):
            if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
                state = state[key]
        if not isinstance(state, Mapping):
            raise ModelFileError(f"{os.fspath(path)}: expected a state dictionary, found {type(state).__name__}")
        return state
    if suffix == ".npz":
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    raise SettingError(f"{os.fspath(path)}: expected a file that ends in .safetensors, .pt, .pth or .npz")


def _array(name: str, x: Any) -> Array:
    # tensors of any device and precision, without an import of PyTorch
    x = x.detach().cpu().resolve_neg() if hasattr(x, "detach") else x
    check_mask(repr(name), x)
    if str(getattr(x, "dtype", "")) == "torch.bfloat16":
        x = x.float()
    array = np.asarray(x)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise DtypeError(f"{name!r} has elements of type {array.dtype}, expected float32 or float64")
    return array


def _pairs(state: Mapping[str, Any]) -> list[tuple[str, Array, Array | None]]:
    """The name, weight and bias of each linear layer, in order."""
    found: dict[str, dict[str, Array]] = {}
    for name, x in state.items():
        layer, _, kind = name.rpartition(".")
        array = _array(name, x)
        dimension = {"weight": 2, "bias": 1}.get(kind)
        if array.ndim != dimension:
            raise OperationError(
                f"{name!r} {list(array.shape)} is not the weight (outputs, inputs) or the bias (outputs) of a linear "
                f"layer; a state dictionary does not say what other layers compute: {_ADVICE}"
            )
        found.setdefault(layer, {})[kind] = array
    for layer, entries in found.items():
        if "weight" not in entries:
            raise OperationError(f"layer {layer!r} has a bias and no weight: {_ADVICE}")
    return [(layer, entries["weight"], entries.get("bias")) for layer, entries in found.items()]


def chain(
    state: State, act: Activation | Sequence[Activation], last: Activation
) -> tuple[list[Architecture], dict[str, Array], np.dtype[Any]]:
    """The layers of a state dictionary, their weights by name, and the precision that holds them all."""
    pairs = _pairs(state if isinstance(state, Mapping) else _read(state))
    if not pairs:
        raise ShapeError("the state dictionary is empty")
    hidden = len(pairs) - 1
    acts = [act] * hidden if isinstance(act, str | dict) else list(act)
    if len(acts) != hidden:
        raise SettingError(f"found {len(acts)} activations, expected {hidden}: one for each layer but the last")
    layers, weights, before = [], {}, None
    for i, ((name, w, b), f) in enumerate(zip(pairs, [*acts, last], strict=True)):
        outputs, inputs = w.shape
        if before is not None and inputs != before[1]:
            raise ShapeError(
                f"layer {name!r} has {inputs} inputs, expected {before[1]}, the outputs of layer {before[0]!r}; give "
                "the layers as a mapping, in the order of the computation"
            )
        if b is not None and b.shape != (outputs,):
            raise ShapeError(f"layer {name!r} has a bias {list(b.shape)}, expected {[outputs]}")
        before = (name, outputs)
        layers.append(single(inputs, outputs, f, bias=b is not None))
        weights[f"{i}.K"] = w.T
        if b is not None:
            weights[f"{i}.b"] = b
    return layers, weights, np.result_type(*(w for _, w, _ in pairs))
