"""A network without its weights and a request: what a compiled program keeps, as text."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from hessquik_rs import _native
from hessquik_rs._arrays import indices, terms
from hessquik_rs._steps.program import Program
from hessquik_rs.errors import RequestError
from hessquik_rs.network import Network
from hessquik_rs.request import Names, Options

_NEEDS_ARGUMENT = ("operator", "products", "block", "partials", "directional")


class Spec:
    """Names and shapes of the results of a request, and the text by which the engine finds the network again.

    Specs of the same network and request are equal, so that programs compiled for one serve the other. The engine keeps
    networks ready by these texts; when a spec is garbage, so are they.
    """

    __slots__ = ("__weakref__", "_description", "_key", "_options", "_programs", "_texts", "names", "shapes", "weights")

    names: tuple[str, ...]
    """The results, in the order of the request."""
    shapes: Mapping[str, tuple[int, ...]]
    """Shapes of the results at one point, in memory order (q, ..)."""
    weights: Mapping[str, tuple[int, ...]]
    """Shapes of the weights by name, in order."""

    def __init__(self, network: Network, request: Names, options: Options) -> None:
        # the engine says what is wrong with a request, and which shapes its results have
        sample = network.evaluate(np.zeros((1, network.dim_input), network.dtype), request, **options)
        self.names = tuple(vars(sample))
        if "factored" in self.names:
            raise RequestError("request: the factored Hessian is not a plain array; ask for the Hessian")
        self.shapes = {name: np.moveaxis(array, -1, 1).shape[1:] for name, array in vars(sample).items()}
        self.weights = {name: w.shape for name, w in network.weights().items()}
        found: dict[str, Any] = {"mode": "auto", **{k: v for k, v in options.items() if v is not None}}
        if (listed := terms(found.get("operator"))) is not None:
            del found["operator"]
            found["terms"] = listed
        for name in ("directions", "outputs", "operator", "products"):
            if name in found:
                found[name] = np.asarray(found[name], np.float64).tolist()
        for name in ("block", "partials", "directional"):
            if name in found:
                found[name] = indices(found[name])
        if not isinstance(found["mode"], str):
            found["mode"] = indices(found["mode"])
        self._description: dict[str, Any] = {"architecture": network.architecture, **found}
        self._options = {k: v for k, v in options.items() if v is not None}
        self._programs: dict[tuple[str, ...], Program] = {}
        self._texts: dict[tuple[str, ...], str] = {}
        self._key = self.text(self.names)
        weakref.finalize(self, _forget, self._texts)

    @property
    def architecture(self) -> Any:
        """The description of the network."""
        return self._description["architecture"]

    def program(self, names: tuple[str, ...]) -> Program:
        """The steps that compute these results."""
        if names not in self._programs:
            network = _native.Network(json.dumps(self.architecture), "float64", 0)
            options: Any = {k: v for k, v in self._options.items() if k not in _NEEDS_ARGUMENT or k in names}
            self._programs[names] = Program(network.schedule(cast(Any, names), **options))
        return self._programs[names]

    def text(self, names: tuple[str, ...]) -> str:
        """What the engine is to compute; of what needs an argument, only what is among `names`."""
        if names not in self._texts:
            unasked = set(_NEEDS_ARGUMENT) - set(names)
            unasked |= {"terms"} if "operator" in unasked else set()
            kept = {key: value for key, value in self._description.items() if key not in unasked}
            self._texts[names] = json.dumps({**kept, "names": ",".join(names)})
        return self._texts[names]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Spec({', '.join(self.names)})"


def _forget(texts: dict[tuple[str, ...], str]) -> None:
    _native.xla_forget(list(texts.values()))
