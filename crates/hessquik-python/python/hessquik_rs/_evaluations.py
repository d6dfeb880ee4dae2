"""What networks on numpy arrays compute: results, their pullbacks and pushforwards, estimates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hessquik_rs import _native
from hessquik_rs._along import Along, check_request, of_points, options_along
from hessquik_rs._arrays import flat_rates
from hessquik_rs.errors import SettingError, ShapeError
from hessquik_rs.estimate import Estimate, Kind, Quantity
from hessquik_rs.explanation import Explanation
from hessquik_rs.jet import Array, Gradients, Jet
from hessquik_rs.request import Names, Options, Terms

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


def seed_of(seed: int) -> int:
    """The seed, if it is one."""
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**64:
        raise SettingError(f"the seed is {seed!r}, expected a whole number, at least 0 and less than 2**64")
    return number


def _count(count: int, least: int = 2) -> int:
    if (number := index(count)) < 0:
        raise SettingError(f"the number of directions is {count!r}, expected at least {least}")
    return number


def _kept(option: Any) -> Any:
    """An option as it is now."""
    return np.array(option) if hasattr(option, "__array__") else deepcopy(option)


class Evaluations:
    """The evaluations of `Network`."""

    _engine: _native.Network

    if TYPE_CHECKING:

        @property
        def dim_input(self) -> int: ...

        def weights(self) -> dict[str, Array]: ...

        def copy(self) -> Self: ...

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

        Results are bitwise those of `evaluate` if `chunk` is a multiple of `explain(..).tile`. Weights and options are
        those at the time of the call, even if they change while chunks are being consumed; directions of each point are
        read chunk by chunk, like `x`.

        >>> import numpy as np
        >>> import hessquik_rs as hq
        >>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), seed=0)
        >>> x = np.ones((100_000, 2))
        >>> sum(jet.hessian.shape[0] for points, jet in net.stream(x, "hessian"))
        100000
        """
        n = x.shape[0] if hasattr(x, "shape") else len(x)
        each: Any = v if of_points(v := options.get("directions")) else None
        kept: Any = {name: v if v is each else _kept(v) for name, v in options.items()}
        if each is not None and len(each) != n:
            raise ShapeError(f"there are directions of {len(each)} points, expected those of {n}")

        def at(points: slice) -> Any:
            return kept if each is None else {**kept, "directions": each[points]}

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
        sketch: int = 0,
        operator: ArrayLike | Terms | None = None,
        outputs: ArrayLike | None = None,
    ) -> Estimate:
        """Estimates a Laplacian, a bilaplacian or an operator from random directions, with its standard error.

        * `of`: `"laplacian"`, `"bilaplacian"` (Gaussian directions only), or `"operator"`, with `operator`
        * `directions`: their number, at least 2; `seed`: the same seed gives the same directions
        * `per_point`: whether each point has directions of its own, so that errors at different points are independent
        * `sketch`: for the Laplacian, how many directions of the Hessian's range are exact at each point; the random
          ones estimate the rest (Hutch++)
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
        draw = (_count(directions), seed_of(seed), kind, per_point, _count(sketch, 0))
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
