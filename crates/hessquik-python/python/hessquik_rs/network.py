"""Networks on numpy arrays."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from hessquik_rs import _native
from hessquik_rs._along import Along, check_request, of_points, options_along
from hessquik_rs._arrays import flat_rates
from hessquik_rs._files import check_replaceable, claim, is_model, release
from hessquik_rs._state_dict import State
from hessquik_rs._state_dict import network as network_of
from hessquik_rs._var import Var, graph
from hessquik_rs._var import weights as listed_weights
from hessquik_rs.architecture import Activation, Architecture, as_json
from hessquik_rs.check import Check, Checks
from hessquik_rs.errors import SettingError, ShapeError, UnknownWeightError
from hessquik_rs.estimate import Estimate, Kind, Quantity
from hessquik_rs.explanation import Explanation
from hessquik_rs.jet import Array, Gradients, Jet
from hessquik_rs.request import Names, Options, Terms

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import Unpack


def _dtype(dtype: DTypeLike) -> str:
    return np.dtype(dtype).name


def _seed(seed: int) -> int:
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**64:
        raise SettingError(f"the seed is {seed!r}, expected a whole number, at least 0 and less than 2**64")
    return number


def _count(count: int) -> int:
    if (number := index(count)) < 0:
        raise SettingError(f"the number of directions is {count!r}, expected at least 2")
    return number


class Network:
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
        number = secrets.randbits(64) if seed is None else _seed(seed)
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

    def evaluate(
        self,
        x: ArrayLike,
        request: Names | None = None,
        *,
        out: Jet | dict[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Jet:
        """Computes the results of `request` at points `x` (n_s, d).

        * `request`: names of results, see `Jet`; value, gradient and Hessian by default
        * `out`: arrays to write the results into, by name, or a jet of an earlier call; they are returned, in the order
          of the request. They must not share memory with `x` or each other
        * `directions` (k, d), `outputs` (m, q): the directions along which derivatives are taken; directions
          (n_s, k, d) differ from point to point
        * `mode`: `"auto"` (the cheapest plan), `"forward"`, `"backward"`, `"sites"`, or a plan `(prefix, pivots)`
        * `operator` (a matrix (k, k), or terms such as `{(0,): 1.0, (1, 1, 1): -2.0}` of any order up to 8), `products`
          (kw, d), `block` (rows, columns), `partials` (tuples of axes, of any order up to 8), `directional` (an order):
          each adds its result

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([3, 16, 2], last="identity"), seed=0)
        >>> x = np.random.default_rng(0).normal(size=(5, 3))
        >>> jet = net.evaluate(x, "value,laplacian", partials=[(0, 1), (2, 2)])
        >>> jet
        Jet(value (5, 2), laplacian (5, 2), partials (5, 2, 2))
        >>> along = net.evaluate(x, "hessian", directions=[[1.0, 0.0, 1.0]], outputs=[[1.0], [-1.0]])
        >>> along.hessian.shape
        (5, 1, 1, 1)
        >>> again = net.evaluate(2 * x, "value,laplacian", partials=[(0, 1), (2, 2)], out=jet)
        >>> again.value is jet.value
        True

        The linear part of the Korteweg-de Vries equation, u_t + u_xxx, of u(t, x, y):

        >>> net.evaluate(x, operator={(0,): 1.0, (1, 1, 1): 1.0}).operator.shape
        (5, 2)

        Derivatives up to the fourth along two directions of each point:

        >>> v = np.random.default_rng(1).normal(size=(5, 2, 3))
        >>> net.evaluate(x, directional=4, directions=v).directional.shape
        (5, 4, 2, 2)
        """
        engine, along, options = self._seeded(x, request, options)
        x = x if along is None else along.points
        if out is None:
            return Jet(engine.evaluate(x, request, **options))
        lent = vars(out) if isinstance(out, Jet) else out
        factored = lent.get("factored")
        if factored is None:
            return Jet(dict(engine.evaluate(x, request, out=lent, **options)))
        core = engine.evaluate(x, request, out={**lent, "factored": factored.core}, **options)
        return Jet({**core, "factored": factored})

    def _seeded(self, x: Any, names: Any, options: Options) -> tuple[_native.Network, Along | None, Any]:
        """What evaluates a request: this network, or that of steps along the directions of each point."""
        if not of_points(v := options.get("directions")):
            return self._engine, None, options
        check_request(names, None)
        d = self.dim_input
        along = Along(x, v, self._engine.dtype, d)
        return self._engine.along(along.k), along, options_along(options, along.k, d)

    def __call__(self, x: ArrayLike) -> Array:
        """The value (n_s, m)."""
        return self.evaluate(x, ("value",)).value

    def pullback(
        self,
        x: ArrayLike,
        cotangents: Jet | Mapping[str, ArrayLike],
        request: Names | None = None,
        **options: Unpack[Options],
    ) -> Gradients:
        """The gradients of a scalar loss with respect to all weights and to `x` (n_s, d).

        * `cotangents`: the derivatives of the loss with respect to the results, by name, with the shapes of the results
        * `request`, options: as in `evaluate`; without `request`, the results that have cotangents. Directions
          (n_s, k, d) have their gradient, too

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), seed=0)
        >>> x = np.random.default_rng(0).normal(size=(5, 2))
        >>> residual = net.evaluate(x, "laplacian").laplacian - 1.0  # of the loss sum (residual^2) / 2
        >>> gradients = net.pullback(x, {"laplacian": residual})
        >>> gradients.weights.shape, gradients.input.shape, gradients.by_name()["0.K"].shape
        ((65,), (5, 2), (2, 16))
        """
        given = vars(cotangents) if isinstance(cotangents, Jet) else dict(cotangents)
        engine, along, options = self._seeded(x, request, options)
        weights, points = engine.pullback(x if along is None else along.points, request, given, **options)
        return self._gradients(weights, points, along)

    def _gradients(self, weights: Array, points: Array, along: Along | None) -> Gradients:
        if along is None:
            return Gradients(weights, points, self._engine.by_name)
        input, directions = along.split(points)
        return Gradients(weights, input, self._engine.by_name, directions)

    def pushforward(
        self,
        x: ArrayLike,
        request: Names | None = None,
        *,
        input: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, ArrayLike] | None = None,
        **options: Unpack[Options],
    ) -> Jet:
        """The derivative of the results along a tangent of points and weights.

        * `input` (n_s, d): the rates at which the points change
        * `weights`: the rates at which the weights change, as one flat vector or by name; the others stay
          constant
        * `request`, options: as in `evaluate`

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), seed=0)
        >>> x = np.random.default_rng(0).normal(size=(5, 2))
        >>> along = net.pushforward(x, "value", input=np.tile([1.0, 0.0], (5, 1))).value
        >>> np.allclose(along, net.evaluate(x, "gradient").gradient[:, 0])
        True
        """
        engine, along, options = self._seeded(x, request, options)
        if along is not None:
            x, input = along.points, along.rates(input)
        return Jet(engine.pushforward(x, request, input, self._rates(weights), **options))

    def pullback_pushforward(
        self,
        x: ArrayLike,
        cotangents: Jet | Mapping[str, ArrayLike],
        request: Names | None = None,
        *,
        input: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, ArrayLike] | None = None,
        **options: Unpack[Options],
    ) -> Gradients:
        """The derivative of the gradients of `pullback` along a tangent of points and weights, at fixed cotangents.

        Added to the pullback of the change in the cotangents, this is the Hessian of a loss times a vector.

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), seed=0)
        >>> x, v = np.random.default_rng(0).normal(size=(5, 2)), np.ones(net.n_weights)
        >>> residual = net.evaluate(x, "laplacian").laplacian  # of the loss sum (residual^2) / 2
        >>> change = net.pushforward(x, "laplacian", weights=v).laplacian
        >>> product = net.pullback_pushforward(x, {"laplacian": residual}, weights=v).weights
        >>> product += net.pullback(x, {"laplacian": change}).weights
        >>> product.shape
        (65,)
        """
        given = vars(cotangents) if isinstance(cotangents, Jet) else dict(cotangents)
        engine, along, options = self._seeded(x, request, options)
        if along is not None:
            x, input = along.points, along.rates(input)
        flat, points = engine.pullback_pushforward(x, request, given, input, self._rates(weights), **options)
        return self._gradients(flat, points, along)

    def _rates(self, weights: ArrayLike | Mapping[str, ArrayLike] | None) -> Any:
        """Rates of the weights as one flat vector."""
        return flat_rates(self.weights(), weights) if isinstance(weights, Mapping) else weights

    def stream(
        self,
        x: Any,
        request: Names | None = None,
        *,
        chunk: int | None = None,
        **options: Unpack[Options],
    ) -> Iterator[tuple[slice, Jet]]:
        """Evaluates chunks of points, in bounded memory: yields the slice of points of each chunk, with their jet.

        * `x` (n_s, d): an array, or anything that gives arrays when sliced, such as a `numpy.memmap`
        * `chunk`: number of points per chunk; by default such that its results take about 16 MiB

        Results are bitwise those of `evaluate` if `chunk` is a multiple of `explain(..).tile`. The weights are those at
        the time of the call, even if they change while chunks are being consumed.

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), seed=0)
        >>> x = np.ones((100_000, 2))
        >>> sum(jet.hessian.shape[0] for points, jet in net.stream(x, "hessian"))
        100000
        """
        n = x.shape[0] if hasattr(x, "shape") else len(x)
        each: Any = v if of_points(v := options.get("directions")) else None
        if each is not None and len(each) != n:
            raise ShapeError(f"there are directions of {len(each)} points, expected those of {n}")

        def at(points: slice) -> Any:
            return options if each is None else {**options, "directions": each[points]}

        if chunk is None:
            engine, _, seeded = self._seeded(x[:1], request, at(slice(1)))
            size = engine.chunk(request, **seeded)
        else:
            size = chunk
        if size < 1:
            raise ValueError(f"chunk is {size}, expected at least 1")
        present = self.copy()
        slices = (slice(start, min(start + size, n)) for start in range(0, n, size))
        return ((points, present.evaluate(x[points], request, **at(points))) for points in slices)

    def estimate(
        self,
        x: ArrayLike,
        of: Quantity | None = None,
        *,
        directions: int = 32,
        seed: int = 0,
        kind: Kind = "rademacher",
        per_point: bool = False,
        operator: ArrayLike | Terms | None = None,
        outputs: ArrayLike | None = None,
    ) -> Estimate:
        """Estimates a Laplacian, a bilaplacian or an operator from random directions, with its standard error.

        * `of`: `"laplacian"`, `"bilaplacian"` (Gaussian directions only), or `"operator"`, with `operator`
        * `directions`: their number, at least 2; `seed`: the same seed gives the same directions
        * `per_point`: whether each point has directions of its own, so that errors at different points are independent
        * `operator`, `outputs` (m, q): as in `evaluate`. Terms of orders 0 and 1 are exact. If there are terms above
          the second order, terms are drawn instead of directions

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([200, 16, 1], last="identity"), seed=0)
        >>> x = np.random.default_rng(0).normal(size=(5, 200))
        >>> mean, standard_error = net.estimate(x, "laplacian", directions=64)
        >>> bool(np.all(np.abs(mean - net.evaluate(x, "laplacian").laplacian) < 5 * standard_error))
        True
        """
        draw = (_count(directions), _seed(seed), kind, per_point)
        names = None if of is None else (of,)
        return Estimate(*self._engine.estimate(x, names, draw, operator=operator, outputs=outputs))

    def explain(self, points: int, request: Names | None = None, **options: Unpack[Options]) -> Explanation:
        """How `request` would be computed for this number of points, the predicted cost, and the alternatives.

        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([784, 64, 64, 10]), dtype="float32", seed=0)
        >>> explanation = net.explain(1000, "hessian")
        >>> explanation.results["hessian"][0].plan  # tangents restart after the first, narrower, layer
        Plan(prefix=0, pivots=(1,))
        """
        engine: Any = self._engine
        seeded: Any = options
        v: Any = options.get("directions")
        if of_points(v):
            check_request(request, None)
            k = np.asarray(v).shape[1]
            engine, seeded = engine.along(k), options_along(options, k, self.dim_input)
        return Explanation.parse(*engine.explain(points, request, **seeded))

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
        seed = _seed(seed)
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
