"""What the engine cannot read in place, as an array that it can: lists, and arrays of other libraries or types."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np

from hessquik_rs.errors import ArrayError, DtypeError, ShapeError, UnknownWeightError
from hessquik_rs.jet import Array


def readable(what: str, given: Any, dtype: str) -> Array:
    """The numbers of `given` as an array of this precision: the same memory where possible, never rounded or masked.

    * `what`: how errors name it

    Python's own numbers, in lists or tuples, have no precision, and may be rounded; they must not become infinite.
    """
    typed = not _of_python(what, given)
    if isinstance(given, np.ndarray):
        check_mask(what, given)
        array = np.asarray(given)
    elif hasattr(given, "__dlpack__"):
        array = np.from_dlpack(_whole(what, given))
    else:
        array = np.asarray(given)
    if array.size and array.ctypes.data == 0:
        raise ArrayError(f"{what} has shape {list(array.shape)} but no memory: it was freed")
    wanted = np.dtype(dtype)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if not (kind in "biu" or (kind == "f" and (size <= wanted.itemsize or not typed))):
        raise DtypeError(f"{what} has dtype {array.dtype}, expected {wanted}, which the network has")
    if array.dtype == wanted and array.flags.aligned and all(s % wanted.itemsize == 0 for s in array.strides):
        return array
    with np.errstate(over="ignore"):
        converted: Array = array.astype(wanted, "C")
    if kind in "iu":
        _check_whole_numbers(what, array, converted)
    elif not typed and (lost := np.isfinite(array) & ~np.isfinite(converted)).any():
        raise ArrayError(f"{what} has {array[lost][0]}, which is too large for {wanted}, the precision of the network")
    return converted


def _of_python(what: str, given: Any) -> bool:
    """Whether these are lists of Python's numbers; arrays in lists have a precision, and perhaps a mask."""
    if isinstance(given, (list, tuple)):
        return all([_of_python(what, entry) for entry in given])
    check_mask(what, given)
    return isinstance(given, (int, float))


def check_mask(what: str, given: Any) -> None:
    """That no entry of a masked array is masked: the numbers beneath a mask are nobody's."""
    if isinstance(given, np.ma.MaskedArray) and (count := int(np.ma.getmaskarray(given).sum())):
        raise ArrayError(
            f"{what} has {count} masked entries, expected numbers: leave these points out, or fill "
            "the entries with `.filled(..)`"
        )


def _whole(what: str, given: Any) -> Any:
    """A tensor of PyTorch as what it stands for, once it is sure that its memory is there; anything else as it is."""
    if not hasattr(given, "untyped_storage"):
        return given
    if given.is_neg():  # DLPack does not know of tensors that are their memory with another sign
        given = given.resolve_neg()
    last = given.storage_offset() + sum((n - 1) * s for n, s in zip(given.shape, given.stride(), strict=True))
    held, needed = given.untyped_storage().nbytes(), (last + 1) * given.element_size()
    if given.numel() and held < needed:
        raise ArrayError(f"{what} needs {needed} bytes of memory, but its storage has {held}: it was freed or resized")
    return given


def _check_whole_numbers(what: str, array: Any, converted: Array) -> None:
    """That no whole number was rounded."""
    exact = 2 ** (np.finfo(converted.dtype).nmant + 1)
    large = (array > exact) | (array < -exact) if array.dtype.kind == "i" else array > exact
    for whole, number in zip(array[large].tolist(), converted[large].tolist(), strict=True):
        if int(number) != whole:
            raise DtypeError(
                f"{what} has dtype {array.dtype} and the number {whole}, which {converted.dtype} would round to "
                f"{int(number)}: subtract an offset, or use a network of higher precision"
            )


def indices(given: Any) -> Any:
    """Whole numbers of any type, and arrays, ranges and lists of them, as Python's own in tuples.

    >>> import numpy as np
    >>> indices((np.int64(1), np.array([[0, 1], [2, 2]]), range(2)))
    (1, ((0, 1), (2, 2)), (0, 1))
    """
    if isinstance(given, np.ndarray):
        if given.dtype.kind not in "iu" and given.size:
            raise TypeError(f"{given.dtype} is not a type of whole numbers")
        given = given.tolist()
    if isinstance(given, (list, tuple, range)):
        return tuple(indices(entry) for entry in given)
    if isinstance(given, (bool, np.bool_)):
        raise TypeError("a boolean is not an index")
    return index(given)


def terms(operator: Any) -> list[tuple[tuple[int, ...], float]] | None:
    """The terms of an operator, of Python's own numbers; `None` of a matrix.

    >>> terms({(0, 1): 2, (): 0.5})
    [((0, 1), 2.0), ((), 0.5)]
    """
    if not isinstance(operator, Mapping):
        return None
    return [(indices(axes), float(c)) for axes, c in operator.items()]


def flat_rates(weights: Mapping[str, Array], given: Mapping[str, Any]) -> Array:
    """Rates of weights by name as one vector in the order of all `weights`; those not given are zero."""
    rates = {name: np.zeros_like(array) for name, array in weights.items()}
    for name, array in given.items():
        if name not in rates:
            raise UnknownWeightError(f"no weight {name!r}; there are {', '.join(rates)}")
        rate = np.asarray(array, rates[name].dtype)
        if rate.shape != rates[name].shape:
            wanted = list(rates[name].shape)
            raise ShapeError(f"the tangent of weight {name} has shape {list(rate.shape)}, expected {wanted}")
        rates[name] = rate
    return np.concatenate([rate.ravel() for rate in rates.values()])
