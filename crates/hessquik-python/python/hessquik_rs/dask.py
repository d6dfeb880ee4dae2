"""Evaluation of chunked arrays, lazily and on a cluster, with Dask.

>>> import dask.array as da
>>> import hessquik_rs as hq, hessquik_rs.dask
>>> net = hq.Network(hq.fully_connected([2, 16, 1], last="identity"), seed=0)
>>> x = da.random.default_rng(0).normal(size=(10_000, 2), chunks=(1_000, 2))
>>> jet = hq.dask.evaluate(net, x, ("value", "hessian"))
>>> jet.hessian
dask.array<hessian, shape=(10000, 2, 2, 1), dtype=float64, chunksize=(1000, 2, 2, 1), chunktype=numpy.ndarray>
>>> float(abs(jet.hessian).max().compute()) > 0
True
"""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import dask.array as da
except ImportError as error:
    raise ImportError("hessquik_rs.dask needs Dask with its arrays: pip install 'dask[array]>=2024.8'") from error
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from hessquik_rs._along import of_points
from hessquik_rs.errors import RequestError, ShapeError
from hessquik_rs.jet import Jet
from hessquik_rs.network import Network
from hessquik_rs.request import Names, Options

if TYPE_CHECKING:
    from typing_extensions import Unpack


def evaluate(
    net: Network, x: da.Array, request: Names = ("value", "gradient", "hessian"), **options: Unpack[Options]
) -> Jet:
    """The results of `request` at points `x` (n_s, d), as lazy arrays: a jet whose attributes are Dask arrays.

    * `x`: chunked along the points only, in chunks of any length, known or unknown
    * `request`, options: as in `Network.evaluate`, but for the factored Hessian

    The weights, and the arrays among the options, are those at the time of the call: later changes do not affect these
    results. A chunk is evaluated once, however many of its results are computed together. The network is sent to each
    worker once.
    """
    if of_points(options.get("directions")):
        raise RequestError(
            "directions of each point do not come in the chunks of the points; evaluate blocks of both, with "
            "dask.array.map_blocks"
        )
    net, request, options = _kept(net, request, options)
    if x.ndim != 2 or x.shape[1] != net.dim_input:
        raise ShapeError(f"the array of points has shape {list(x.shape)}, expected [n_s, {net.dim_input}]")
    if x.numblocks[1] != 1:
        wanted = f"one of {net.dim_input}: rechunk with x.rechunk({{1: -1}})"
        raise ShapeError(f"the array of points has chunks {x.chunks[1]} along its columns, expected {wanted}")
    # of no points: names, precision and shapes, and the errors of the request before anything is computed
    sample = net.evaluate(np.empty((0, net.dim_input), x.dtype), request, **options)
    if hasattr(sample, "factored"):
        raise RequestError("request: the factored Hessian is not a plain array; ask for the Hessian")
    token = tokenize(net, x.name, request, options)
    jets, network = f"hessquik-jets-{token}", f"hessquik-network-{token}"
    blocks = range(x.numblocks[0])
    work = partial(_evaluate, request=request, options=options)
    graph: dict[Any, Any] = {network: net}
    graph |= {(jets, i): (work, network, (x.name, i, 0)) for i in blocks}
    shared = HighLevelGraph.from_collections(jets, graph, dependencies=[x])  # type: ignore[list-item]
    results = {}
    for name, array in vars(sample).items():
        key = f"{name}-{token}"
        rest = array.shape[1:]
        picks = {(key, i, *(0 for _ in rest)): (_pick, (jets, i), name) for i in blocks}
        layers: dict[str, Any] = {**shared.layers, key: picks}
        dependencies = {**shared.dependencies, key: {jets}}
        chunks = (x.chunks[0], *((n,) for n in rest))
        results[name] = da.Array(HighLevelGraph(layers, dependencies), key, chunks, meta=array)
    return Jet(results)


def _kept(net: Network, request: Names, options: Options) -> tuple[Network, Names, Options]:
    """Copies that belong to the graph alone, since it is computed later than it is made, and maybe more than once."""
    return net.copy(), request if isinstance(request, str) else tuple(request), copy.deepcopy(options)


def _evaluate(net: Network, x: Any, request: Names, options: Options) -> dict[str, Any]:
    return vars(net.evaluate(x, request, **options))


def _pick(results: dict[str, Any], name: str) -> Any:
    return results[name]
