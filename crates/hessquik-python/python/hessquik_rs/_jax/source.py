"""Where in a user's source something stands."""

from __future__ import annotations

import linecache
import os
from collections.abc import Sequence
from typing import Any

import jax
from jax._src import source_info_util

CURE = 'write it in other operations, or pass unsupported="jax" to compute this function by JAX\'s own derivatives'
HERE, JAX = os.path.dirname(os.path.dirname(__file__)), os.path.dirname(jax.__file__)


def theirs(path: str) -> bool:
    """Whether a file is the user's."""
    return not path.startswith((HERE, JAX, "<"))


def _place(frames: Sequence[tuple[str, int]]) -> str:
    """The innermost place of the user's own, or, in a library of theirs, of that library: with its line."""
    users = [frame for frame in frames if theirs(frame[0])]
    own = [frame for frame in users if "site-packages" not in frame[0]]
    if not users:
        return ""
    path, number = (own or users)[0]
    line = linecache.getline(path, number).strip()
    return f" in {path}, line {number}" + (f": `{line}`" if line else "")


def line_of(equation: Any) -> str:
    """The line of the user's source that an equation of a jaxpr comes from."""
    frames = source_info_util.user_frames(getattr(equation.source_info, "traceback", equation.source_info))
    return _place([(frame.file_name, frame.start_line) for frame in frames])


def source_of(error: BaseException) -> str:
    """The line of the user's source that an error came from."""
    frames, walk = [], error.__traceback__
    while walk is not None:
        frames.append((walk.tb_frame.f_code.co_filename, walk.tb_lineno))
        walk = walk.tb_next
    return _place(frames[::-1])


def jaxs_own(jaxpr: Any) -> str | None:
    """The name of a function of JAX's own that a jaxpr was made of."""
    name, _, place = str(getattr(jaxpr.debug_info, "func_src_info", "")).partition(" at ")
    return name if place.startswith(JAX) else None
