"""Networks of linear layers out of state dictionaries, which have weights and no activations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hessquik_rs import _native
from hessquik_rs._arrays import check_mask
from hessquik_rs.architecture import Activation, as_json, single
from hessquik_rs.errors import DtypeError, ModelFileError, SettingError
from hessquik_rs.jet import Array

State = Mapping[str, Any] | str | os.PathLike[str]
"""Arrays by name, or a file of them."""


def _read(path: str | os.PathLike[str]) -> Mapping[str, Any] | None:
    """The entries of a file that the engine does not read itself."""
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    if suffix not in (".safetensors", ".pt", ".pth", ".bin"):
        raise SettingError(f"{os.fspath(path)}: expected a file that ends in .safetensors, .pt, .pth or .npz")
    if suffix == ".safetensors" or not _is_old(path):
        return None
    try:
        import torch
    except ModuleNotFoundError:
        return None
    # as PyTorch wrote them before version 1.6: it reads them itself
    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise ModelFileError(f"{os.fspath(path)}: expected a state dictionary, found {type(state).__name__}")
    return state


def _is_old(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a pickle without an archive around it."""
    try:
        with open(path, "rb") as file:
            return file.read(1) == b"\x80"
    except OSError:
        return False  # the engine says what is wrong


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


def network(
    state: State, act: Activation | Sequence[Activation], last: Activation, dtype: str | None
) -> _native.Network:
    """The network of a state dictionary, in this precision or that of the weights."""
    same = isinstance(act, str | dict)
    acts = [act] if isinstance(act, str | dict) else list(act)
    layers = as_json([single(1, 1, f) for f in [*acts, last]])
    entries = state if isinstance(state, Mapping) else _read(state)
    if entries is None:
        return _native.load_state_dict(state, layers, same, dtype)  # type: ignore[arg-type]
    arrays = [(name, _array(name, x)) for name, x in entries.items()]
    return _native.network_of_state_dict(arrays, layers, same, dtype)
