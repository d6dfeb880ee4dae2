"""What is wrong with arguments, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .structure import Structure


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: what was probably meant."""
    lower = {name.lower(): name for name in known}
    close = get_close_matches(str(word).lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""


def no_others(function: str, unknown: dict[str, Any], known: Sequence[str]) -> None:
    """Refuses keywords that a function does not have."""
    for name in unknown:
        raise TypeError(
            f"{function} got an unexpected keyword argument {name!r}{meant(name, known)}"
            f"{'' if meant(name, known) else ', expected ' + ', '.join(known)}"
        )


def one_second_order(do_Hessian: bool, do_Laplacian: bool) -> None:
    """hessQuik's interface has one place for second derivatives."""
    if do_Hessian and do_Laplacian:
        raise ValueError(
            "do_Hessian and do_Laplacian were both requested, but there is only one place for second derivatives in "
            "(f, dfdx, "
            "d2fd2x): ask for one of them (the Laplacian is d2fd2x.diagonal(dim1=1, dim2=2).sum(-1)), or ask "
            "hessquik_rs.Network.evaluate(x, 'hessian,laplacian')"
        )


def check_points(structure: Structure, x: Tensor, weights: list[Tensor]) -> None:
    """Says what is wrong with points that neither way can take."""
    d = structure.dims[0]
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}, wanted a torch.Tensor of shape [n_s, {d}]")
    if x.dim() != 2 or x.shape[1] != d:
        raise ValueError(f"x has shape {list(x.shape)}, wanted [n_s, {d}]")
    for w in weights:
        if w.device != x.device:
            raise ValueError(f"x is on {x.device}, but the weights are on {w.device}: move one, with .to(device)")
        if w.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(f"x is {x.dtype}, but the weights are {w.dtype}: convert one, with .to(dtype)")
    if x.is_complex():
        raise TypeError(f"x is {x.dtype}, wanted real numbers")


def check_directions(v: Tensor, n: int, outputs: bool) -> Tensor:
    """Directions as a matrix: rows of length d, or columns of length m."""
    if not isinstance(v, Tensor):
        raise TypeError(f"v is a {type(v).__name__}, wanted a torch.Tensor of directions")
    if v.dim() == 1:
        v = v.unsqueeze(1 if outputs else 0)
    if v.dim() != 2 or v.shape[0 if outputs else 1] != n:
        wanted = f"[{n}, q], output directions" if outputs else f"[k, {n}], input directions"
        raise ValueError(f"v has shape {list(v.shape)}, wanted {wanted}")
    return v


def check_shape(name: str, array: Tensor, wanted: tuple[int, ...], words: str) -> None:
    """Compares the shape of an argument with what is wanted, where -1 stands for any length."""
    fits = array.dim() == len(wanted) and all(w in (-1, s) for s, w in zip(array.shape, wanted, strict=True))
    if not fits:
        sizes = ", ".join("any" if w == -1 else str(w) for w in wanted)
        raise ValueError(f"{name} has shape {list(array.shape)}, wanted {words} = [{sizes}]")
