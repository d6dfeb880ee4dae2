"""Directions that differ from point to point: the network of steps along them, at steps of zero.

Its points `[t, x, V]` are k steps, the d inputs and the k directions row by row. What a request says of directions
(axes of partials, blocks and terms, the matrix of an operator) counts the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hessquik_rs._arrays import readable
from hessquik_rs.errors import RequestError, ShapeError
from hessquik_rs.jet import Array


def of_points(directions: Any) -> bool:
    """Whether these are directions of each point (n_s, k, d), not those of all points."""
    try:
        return np.ndim(directions) == 3
    except ValueError:  # lists of different lengths, of which the engine says what is wrong
        return False


def check_request(names: Any, directions: Any) -> None:
    """That the request has no directions for all points, and no result that has none of each point."""
    if directions is not None:
        raise RequestError("the request has directions for all points, but each point has its own; give one of them")
    if names is not None and "factored" in names:
        raise RequestError(
            "request: the factored Hessian has a factor that all points share; with directions of each point, ask for "
            "the Hessian"
        )


def check_shape(found: tuple[int, ...], points: tuple[int, ...]) -> None:
    """That directions (.., k, d) are those of points (.., d)."""
    if len(found) != len(points) + 1 or found[:-2] != points[:-1] or found[-1:] != points[-1:] or found[-2] == 0:
        wanted = ", ".join(map(str, (*points[:-1], "k", *points[-1:])))
        raise ShapeError(f"the directions of the points have shape {list(found)}, expected [{wanted}]")


def options_along(options: Mapping[str, Any], k: int, d: int) -> dict[str, Any]:
    """The options of a request for the network of steps."""
    width = k + d + k * d
    own = {**options, "directions": np.eye(k, width, dtype=np.float32)}  # exact in either precision
    if (products := options.get("products")) is not None:
        w = np.asarray(products)
        if w.ndim != 2 or w.shape[1] != d:
            raise ShapeError(f"the vectors of the products have shape {list(w.shape)}, expected [kw, {d}]")
        own["products"] = np.concatenate([np.zeros((len(w), k), w.dtype), w, np.zeros((len(w), k * d), w.dtype)], 1)
    return own


class Along:
    """The points of a network with directions (n_s, k, d) of each, and their way back."""

    __slots__ = ("_d", "_dtype", "k", "points")

    def __init__(self, x: Any, directions: Any, dtype: str, d: int) -> None:
        x, v = readable("x", x, dtype), readable("directions", directions, dtype)
        if x.ndim != 2 or x.shape[1] != d:
            raise ShapeError(f"the array of points has shape {list(x.shape)}, expected [n_s, {d}]")
        check_shape(v.shape, x.shape)
        self.k, self._d, self._dtype = v.shape[1], d, dtype
        self.points = self._beside(x, v.reshape(len(x), self.k * d))

    def _beside(self, x: Array, v: Array) -> Array:
        return np.concatenate([np.zeros((len(x), self.k), x.dtype), x, v], 1)

    def rates(self, given: Any) -> Any:
        """Rates of the points, at fixed directions."""
        if given is None:
            return None
        rates, n = readable("input", given, self._dtype), len(self.points)
        if rates.shape != (n, self._d):
            raise ShapeError(f"the tangent of the points has shape {list(rates.shape)}, expected [{n}, {self._d}]")
        return self._beside(rates, np.zeros((n, self.k * self._d), rates.dtype))

    def split(self, gradient: Array) -> tuple[Array, Array]:
        """The gradients to points and to directions."""
        end = self.k + self._d
        x, v = gradient[:, self.k : end], gradient[:, end:]
        return np.ascontiguousarray(x), v.reshape(len(v), self.k, self._d)
