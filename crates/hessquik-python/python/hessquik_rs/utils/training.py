"""Fitting values, gradients and Hessians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def losses(
    jet: Sequence[Any], y: Tensor, d: int, do_gradient: bool, do_Hessian: bool, loss_weights: Sequence[float]
) -> list[Tensor]:
    """The loss of `train_one_epoch` and its terms, given value, gradient and Hessian, and targets y (n, *)."""
    targets = (y[:, :1], y[:, 1 : d + 1], y[:, d + 1 :])
    wanted = (True, do_gradient, do_Hessian)
    terms = [
        (0.5 / len(y)) * torch.norm(result - target.reshape(result.shape)) ** 2
        for result, target, want in zip(jet, targets, wanted, strict=True)
        if want
    ]
    weights = [w for w, want in zip(loss_weights, wanted, strict=False) if want]
    return [torch.stack([w * term for w, term in zip(weights, terms, strict=True)]).sum(), *terms]


def train_one_epoch(
    f: torch.nn.Module,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer,
    batch_size: int = 5,
    do_gradient: bool = False,
    do_Hessian: bool = False,
    loss_weights: Sequence[float] = (1.0, 1.0, 1.0),
) -> tuple[float, ...]:
    r"""One epoch of steps that lower the mean squared error of values, gradients and Hessians,

    .. math::

        L = \frac{1}{2 N}
            \left(w_0 \|f - y\|^2 + w_1 \|\nabla f - \nabla y\|^2 + w_2 \|\nabla^2 f - \nabla^2 y\|^2\right)

    - **f** a network with one output
    - **x** points (N, d)
    - **y** targets (N, 1 + d + d * d): value, gradient, Hessian, as far as they are used
    - **optimizer** makes the steps
    - **batch_size** points per step; the last batch may be smaller. Default: 5
    - **do_gradient**, **do_Hessian**: the terms of the loss beside that of the value
    - **loss_weights** the weights w

    Returns the means of the loss and of each term over the epoch.

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils import peaks, train_one_epoch
    >>> x = 6 * torch.rand(100, 2) - 3
    >>> y = torch.cat([r.reshape(100, -1) for r in peaks(x, do_gradient=True, do_Hessian=True)], dim=1)
    >>> f = net.fullyConnectedNN([2, 16, 1])
    >>> optimizer = torch.optim.Adam(f.parameters())
    >>> loss, loss_f, loss_df = train_one_epoch(f, x, y, optimizer, do_gradient=True)
    """
    f.train()
    n = x.shape[0]
    running: Any = 0.0
    for batch in torch.randperm(n, device=x.device).split(batch_size):
        xb, yb = x[batch], y[batch]
        optimizer.zero_grad()
        jet = f(xb, do_gradient=do_gradient, do_Hessian=do_Hessian)
        parts = losses(jet, yb, x.shape[1], do_gradient, do_Hessian, loss_weights)
        parts[0].backward()
        optimizer.step()
        running = running + len(batch) * torch.stack(parts).detach()
    return summary(running / n, do_gradient)


def summary(parts: Any, do_gradient: bool) -> tuple[float, ...]:
    """Numbers to return: as in hessQuik, the Hessian's term only beside the gradient's."""
    numbers: list[float] = torch.as_tensor(parts).tolist()
    return tuple(numbers if do_gradient else numbers[:2])


def test(
    f: torch.nn.Module,
    x: Tensor,
    y: Tensor,
    do_gradient: bool = False,
    do_Hessian: bool = False,
    loss_weights: Sequence[float] = (1.0, 1.0, 1.0),
) -> tuple[float, ...]:
    """The loss of :func:`train_one_epoch <hessquik_rs.utils.training.train_one_epoch>` and its terms, without a step.

    >>> import torch, hessquik_rs.networks as net
    >>> from hessquik_rs.utils import peaks, test
    >>> x = 6 * torch.rand(100, 2) - 3
    >>> loss, loss_f = test(net.fullyConnectedNN([2, 16, 1]), x, peaks(x)[0])
    """
    f.eval()
    with torch.no_grad():
        jet = f(x, do_gradient=do_gradient, do_Hessian=do_Hessian)
        parts = losses(jet, y, x.shape[1], do_gradient, do_Hessian, loss_weights)
        return summary(torch.stack(parts), do_gradient)


def print_headers(
    do_gradient: bool = True,
    do_Hessian: bool = False,
    verbose: bool = False,
    loss_weights: Sequence[float] = (1.0, 1.0, 1.0),
) -> tuple[tuple[Any, ...], tuple[str, ...], str]:
    """Headers of a table of losses, the names of its columns, and the format of its lines.

    - **do_gradient**, **do_Hessian**: the terms of the loss beside that of the value
    - **verbose** whether to print the headers
    - **loss_weights** are printed above their columns

    >>> from hessquik_rs.utils import print_headers
    >>> headers, names, line = print_headers()
    >>> print(line.format(0, 1.5, *(3 * ("|", 0.1, 0.2, 0.3))).split()[:6])
    ['0', '1.5000', '|', '1.0000e-01', '2.0000e-01', '3.0000e-01']
    """
    losses: tuple[str, ...] = ("loss", "loss_f")
    if do_gradient or do_Hessian:
        losses += ("loss_df",)
        if do_Hessian:
            losses += ("loss_d2f",)
    n = len(losses)
    blank, given = (n - 1) * ("",), tuple(loss_weights[: n - 1])

    headers = ("", "", "|", "running", *blank, "|", "train", *blank, "|", "valid", *blank)
    weights = ("", "", "|", "weights", *given, "|", "", *given, "|", "", *given)
    printouts = ("epoch", "time") + 3 * (("|", *losses))
    printouts_frmt = "{:<15d}{:<15.4f}" + 3 * ("{:<2s}" + n * "{:<15.4e}")
    if verbose:
        words = "{:<15s}{:<15s}" + 3 * ("{:<2s}" + n * "{:<15s}")
        print(words.format(*headers))
        print(("{:<15s}{:<15s}" + 3 * ("{:<2s}{:<15s}" + (n - 1) * "{:<15.2e}")).format(*weights))
        print(words.format(*printouts))
    return headers, printouts, printouts_frmt
