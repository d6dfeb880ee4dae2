"""Which files may be replaced without asking: those that this program wrote or read, and no others."""

from __future__ import annotations

import json
import os
import warnings

Identity = tuple[int, ...]

# the files that were saved or loaded, as they were then: what others write there since is not ours
_OURS: set[Identity] = set()


def _identity(path: str | os.PathLike[str]) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    # the number of a file that is gone may become that of the next
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def claim(path: str | os.PathLike[str]) -> None:
    """Notes that the file at `path` was written or read by this program."""
    identity = _identity(path)
    if identity is not None:
        _OURS.add(identity)


def release(path: str | os.PathLike[str]) -> None:
    """Forgets the file at `path`, which is about to be replaced."""
    _OURS.discard(_identity(path) or ())


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """That no file at `path` is lost by accident: an error if it is no model, a warning if it is another program's.

    Raises:
        FileExistsError: there is something else than a model file
    """
    if not os.path.lexists(path) or not os.path.isfile(path) or _identity(path) in _OURS:
        return  # what is not a regular file is refused where it would be written
    if not is_model(path):
        raise FileExistsError(
            f"{os.fspath(path)!r} exists and is not a model file: save under another name, or pass overwrite=True to "
            "replace it"
        )
    warnings.warn(
        f"{os.fspath(path)!r} held a model that this program neither saved nor loaded; it is replaced. Pass "
        "overwrite=True if that is what you want",
        stacklevel=3,
    )


def is_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of ours: safetensors with an architecture.

    A pipe is not: its bytes can be read only once.
    """
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > os.path.getsize(path):
                return False
            header = json.loads(file.read(size))
        return "architecture" in header["__metadata__"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
