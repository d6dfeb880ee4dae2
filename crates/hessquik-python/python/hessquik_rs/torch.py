"""Jets of your own PyTorch modules: value and derivatives with respect to the points, in your training loop.

>>> import torch
>>> import hessquik_rs.torch
>>> model = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
>>> jets = hessquik_rs.torch.jet(model, "value,gradient,laplacian")
>>> jet = jets(torch.rand(100, 2, dtype=torch.float64))
>>> jet.laplacian.shape
torch.Size([100, 1])
>>> (jet.laplacian ** 2).mean().backward()  # reaches model.parameters()
>>> model[0].weight.grad.shape
torch.Size([16, 2])

The model is traced once, by `torch.export`, at a single point. The part that depends on the points becomes a graph that
the engine evaluates and pulls back. The part that depends only on parameters (weight norm, softplus of weights, a
hypernetwork) stays in PyTorch and is computed at each call, so gradients, optimisers, in-place updates and checkpoints
work as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._torch import torch as _torch
from ._torch.jets import Jets
from .request import Names, Options

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Jets", "jet"]


def jet(
    model: _torch.nn.Module,
    request: Names | None = None,
    *,
    unsupported: str = "error",
    **options: Unpack[Options],
) -> Jets:
    """A function that returns the jet of a module at points `x` (n, d): tensors by name, differentiable.

    * `model`: maps `(n, d)` to `(n, m)`, or to `(n,)`, each row depending only on its own point
    * `request`, options: as in `Network.evaluate`, but for the factored Hessian
    * `unsupported`: `"error"` names the first operation that the engine does not support, and its line;
      `"torch"` computes such a model by `torch.func`, with one warning

    The function takes directions (n, k, d) of each point, too, as `jets(x, directions)`; gradients reach them as well.

    Results have the shapes of `Network.evaluate`, without the last axis if the model returns `(n,)`. The engine
    computes them for float32 and float64 on the CPU. On other devices, in half precision, under `torch.func` transforms
    and for a second backward pass, torch operations do.

    >>> import torch
    >>> import hessquik_rs.torch
    >>> class Wave(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.speed = torch.nn.Parameter(torch.tensor(2.0))
    ...     def forward(self, x):
    ...         return torch.sin(x[:, 0] - self.speed * x[:, 1])
    >>> model = Wave()
    >>> jets = hessquik_rs.torch.jet(model, "value", partials=[(0, 0), (1, 1)])
    >>> jet = jets(torch.rand(10, 2))
    >>> u_xx, u_tt = jet.partials.unbind(1)
    >>> torch.allclose(u_tt, 4.0 * u_xx)
    True
    """
    return Jets(model, request, unsupported, options)
