"""Networks on numpy arrays."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from hessquik_rs import _native
from hessquik_rs._evaluations import Evaluations, seed_of
from hessquik_rs._files import check_replaceable, claim, is_model, release
from hessquik_rs._state_dict import State
from hessquik_rs._state_dict import network as network_of
from hessquik_rs._var import Var, graph
from hessquik_rs._var import weights as listed_weights
from hessquik_rs.architecture import Activation, Architecture, as_json
from hessquik_rs.check import Check, Checks
from hessquik_rs.errors import DtypeError, SettingError, ShapeError, UnknownWeightError
from hessquik_rs.jet import Array

if TYPE_CHECKING:
    from torch import nn


def _dtype(dtype: DTypeLike) -> str:
    try:
        return np.dtype(dtype).name
    except TypeError:
        raise DtypeError(f"dtype is {dtype!r}, expected float32 or float64, as numpy has them") from None


class Network(Evaluations):
    """Layers one after another, with values and derivatives with respect to the input.

    * `layers`: one or more descriptions such as `single(2, 16, "tanh")`, in order
    * `dtype`: float32 or float64
    * `seed`: seed of the random weights; a new random one at every call by default

    >>> import numpy as np
    >>> import hessquik_rs as hq
    >>> net = hq.Network([hq.single(2, 16, "tanh"), hq.single(16, 1)], seed=0)
    >>> net
    Network(2 -> 1, 65 weights, float64)
    >>> value, gradient, hessian = net.evaluate(np.zeros((10, 2)))
    >>> hessian.shape
    (10, 2, 2, 1)

    Points are anything that numpy can convert to an array (n_s, d), with any strides, read-only ones included; arrays
    of other libraries are read through DLPack. Arrays in the network's precision are not copied. Arrays of a wider
    precision, and integers too large for it, raise a `TypeError`, since they would be rounded. Masked entries are
    refused, too.

    Several threads may use a network. Evaluations run without the global interpreter lock, on `num_threads()` threads,
    and Ctrl-C stops them. Forked processes start their own threads. Networks can be pickled and copied.
    """

    __slots__ = ("_engine",)
    _engine: _native.Network

    def __init__(
        self,
        layers: Architecture | Sequence[Architecture],
        *,
        dtype: DTypeLike = np.float64,
        seed: int | None = None,
    ) -> None:
        number = secrets.randbits(64) if seed is None else seed_of(seed)
        self._engine = _native.Network(as_json(layers), _dtype(dtype), number)

    @classmethod
    def _of(cls, native: _native.Network) -> Network:
        self = cls.__new__(cls)
        self._engine = native
        return self

    @classmethod
    def _with(
        cls, layers: Architecture | Sequence[Architecture], weights: Mapping[str, ArrayLike], dtype: DTypeLike
    ) -> Network:
        """These layers with all their weights by name, in this precision."""
        net = cls(layers, dtype=dtype, seed=0)
        net.set_weights({name: np.asarray(w, net.dtype) for name, w in weights.items()})
        return net

    @classmethod
    def from_var(
        cls, output: Var, *, dtype: DTypeLike = np.float64, weights: Mapping[str, ArrayLike] | None = None
    ) -> Network:
        """The network of a formula, with the weights given in it.

        * `output`: an expression in `hessquik_rs.input(d)`; its entries in C order are the outputs
        * `weights`: values of the weights for which the formula gives only shapes

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> x = hq.input(3)
        >>> net = hq.Network.from_var(hq.var.tanh(x @ hq.weight("K", np.ones((3, 2)))).sum() ** 2)
        >>> net(np.zeros((4, 3))).shape
        (4, 1)
        """
        given = {} if weights is None else dict(weights)
        values: dict[str, ArrayLike] = {}
        for w in listed_weights(output):
            value = given.pop(w.name, w.values)
            if value is None:
                raise ShapeError(
                    f"weight {w.name!r} has a shape {list(w.shape)}, but no values: give them by `weights`"
                )
            values[w.name] = value
        if given:
            raise UnknownWeightError(f"no weight is named {next(iter(given))!r}; the formula has {', '.join(values)}")
        return cls._with(graph(output), values, dtype)

    @classmethod
    def from_torch(cls, model: nn.Module, d: int, *, dtype: DTypeLike | None = None) -> Network:
        """The network of a PyTorch module with its current weights: without PyTorch, to save and to serve.

        * `model`: maps `(n, d)` to `(n, m)`, each row from its own point; see `hessquik_rs.torch.jet`
        * `d`: number of features of the points
        * `dtype`: that of the parameters by default

        >>> import torch
        >>> import hessquik_rs as hq
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.SiLU(), torch.nn.Linear(16, 1))
        >>> hq.Network.from_torch(model, 2)
        Network(2 -> 1, 65 weights, float32)
        """
        from hessquik_rs._torch.freeze import frozen

        graph, weights, own = frozen(model, d)
        return cls._with(graph, weights, own if dtype is None else dtype)

    @classmethod
    def from_jax(
        cls, apply: Callable[[Any, Any], Any], params: Any, d: int, *, dtype: DTypeLike | None = None
    ) -> Network:
        """The network of a JAX function with its current parameters: without JAX, to save and to serve.

        * `apply(params, x)`: maps one point (d,) to (m,) or a number; see `hessquik_rs.jax.jet`
        * `params`: any pytree
        * `d`: number of features of the points
        * `dtype`: that of the parameters by default

        >>> import jax.numpy as jnp, numpy as np
        >>> import hessquik_rs as hq
        >>> def apply(params, x):
        ...     return jnp.tanh(x @ params["w"] + params["b"]).sum()
        >>> hq.Network.from_jax(apply, {"w": np.ones((2, 16), "float32"), "b": np.zeros(16, "float32")}, 2)
        Network(2 -> 1, 48 weights, float32)
        """
        from hessquik_rs._jax.freeze import frozen

        graph, weights, own = frozen(apply, params, d)
        return cls._with(graph, weights, own if dtype is None else dtype)

    @classmethod
    def from_state_dict(
        cls,
        state: State,
        *,
        act: Activation | Sequence[Activation],
        last: Activation = "identity",
        dtype: DTypeLike | None = None,
    ) -> Network:
        """The network of linear layers whose weights are in a state dictionary, as of `torch.nn.Sequential`.

        * `state`: weights (outputs, inputs) and biases (outputs) by name, in order of the layers; or a file of them,
          `.pt` (which is read without PyTorch), `.safetensors` or `.npz`
        * `act`: the activation between layers, or one for each layer but the last; a state dictionary does not say it
        * `last`: the activation after the last layer
        * `dtype`: that of the weights unless given

        Anything but linear layers is refused by name: bring the module itself then, by `from_torch`.

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> state = {"0.weight": np.ones((16, 2)), "0.bias": np.zeros(16), "2.weight": np.ones((1, 16))}
        >>> hq.Network.from_state_dict(state, act="tanh")
        Network(2 -> 1, 64 weights, float64)
        """
        return cls._of(network_of(state, act, last, None if dtype is None else _dtype(dtype)))

    @classmethod
    def load(cls, path: str | os.PathLike[str], dtype: DTypeLike | None = None) -> Network:
        """Reads a model file, in the precision of its weights by default.

        Model files are safetensors with hessQuik's names of weights and the architecture as JSON in the metadata.

        An ONNX file is read too, whatever its name: a model of one input (n, d) and one output (n, m), point by point,
        with opset 11 or newer. Initialisers that meet the points are the weights, by their names; inputs and outputs
        of more axes are flattened in C order.

        >>> import tempfile, os
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.single(2, 3, "tanh"), seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(os.path.join(folder, "net.safetensors"))
        ...     copy = hq.Network.load(os.path.join(folder, "net.safetensors"))
        >>> (copy.flat_weights() == net.flat_weights()).all()
        np.True_
        """
        network = cls._of(_native.Network.load(path, None if dtype is None else _dtype(dtype)))
        if is_model(path):  # an ONNX file is not what `save` writes: it asks before that is replaced
            claim(path)
        return network

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a model file, in the precision of the network.

        A file that this program saved or loaded is replaced. Another model file is replaced with a warning. A file that
        is not a model raises a `FileExistsError` and is not changed.

        * `overwrite`: whether to replace any file, without a warning
        """
        if not overwrite:
            check_replaceable(path)
        release(path)
        self._engine.save(path)
        claim(path)

    def save_onnx(self, path: str | os.PathLike[str], request: str = "value", *, overwrite: bool = False) -> None:
        """Writes the network as an ONNX model, from `x` (n, d) to `y` (n, m), with opset 20.

        With a request such as `"value,gradient,hessian"`, the model also computes `gradient` (n, d, m), `hessian`
        (n, d, d, m) and `laplacian` (n, m), in ordinary operators; other results are a `RequestError`. The weights are
        initialisers of the same names. Files are replaced only with `overwrite`.

        >>> import tempfile, os
        >>> import numpy as np, hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([2, 8, 1]), seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save_onnx(os.path.join(folder, "net.onnx"))
        ...     again = hq.Network.load(os.path.join(folder, "net.onnx"))
        >>> bool(np.allclose(again(np.ones((1, 2))), net(np.ones((1, 2)))))
        True
        """
        if not overwrite and os.path.lexists(path):
            raise FileExistsError(f"{os.fspath(path)!r} exists: pass overwrite=True to replace it")
        self._engine.save_onnx(path, request)

    @property
    def architecture(self) -> Architecture:
        """The description of the network."""
        found: Architecture = json.loads(self._engine.architecture)
        return found

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return np.dtype(self._engine.dtype)

    @property
    def dim_input(self) -> int:
        """Number of inputs, d."""
        return self._engine.dim_input

    @property
    def dim_output(self) -> int:
        """Number of outputs, m."""
        return self._engine.dim_output

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return self._engine.n_weights

    def weight_names(self) -> list[str]:
        """Names of the weights, as in hessQuik, in the order of the flat vector."""
        return self._engine.weight_names()

    def weights(self) -> dict[str, Array]:
        """Copies of all weights by name.

        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.single(2, 3, "tanh"), seed=0)
        >>> {name: w.shape for name, w in net.weights().items()}
        {'K': (2, 3), 'b': (3,)}
        """
        return {name: self._engine.weight(name) for name in self._engine.weight_names()}

    def set_weights(self, weights: Mapping[str, ArrayLike]) -> None:
        """Sets these weights by name, all or none; the others stay as they are, even if set by other threads."""
        self._engine.set_some(dict(weights))

    def flat_weights(self) -> Array:
        """All weights as one vector (n_weights,)."""
        return self._engine.flat_weights()

    def set_flat_weights(self, weights: ArrayLike) -> None:
        """Sets all weights from one vector (n_weights,) in the precision of the network."""
        self._engine.set_flat_weights(weights)

    def astype(self, dtype: DTypeLike) -> Network:
        """The same network in this precision."""
        return self._of(self._engine.cast(_dtype(dtype)))

    def copy(self) -> Network:
        """A copy with its own weights."""
        return self._of(self._engine.copy())

    def check(self, x: ArrayLike | None = None, *, points: int = 8, seed: int = 0, order: int = 2) -> Checks:
        """Checks all derivatives, in double precision, by Taylor expansions, finite differences and directions.

        * `x` (n_s, d): the points to check at; by default `points` random ones
        * `seed`: seed of the random points and directions
        * `order`: 3 to 8 also checks derivatives up to this order, along a direction and along axes, each against the
          order below

        >>> import hessquik_rs as hq
        >>> checks = hq.Network(hq.fully_connected([2, 16, 1]), seed=0).check()
        >>> checks.passed
        True
        """
        seed = seed_of(seed)
        if x is None:
            x = np.random.default_rng(seed).uniform(-1.0, 1.0, (points, self.dim_input))
        if not 2 <= index(order) <= 8:
            raise SettingError(f"the order of a check is {order!r}, expected 2 to 8")
        outcomes = self._engine.check(x, seed, index(order))
        return Checks(tuple(Check(name, passed, table, json.loads(n)) for name, passed, table, n in outcomes))

    def __reduce__(self) -> tuple[Any, ...]:
        return Network._of, (self._engine,)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return "hessquik_rs.Network", self._engine.architecture, self.flat_weights()

    def __copy__(self) -> Network:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self.copy()

    def __repr__(self) -> str:
        return f"Network({self.dim_input} -> {self.dim_output}, {self.n_weights} weights, {self.dtype})"
