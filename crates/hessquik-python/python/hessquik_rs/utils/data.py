"""Test data for networks."""

from __future__ import annotations

import torch
from torch import Tensor


def peaks(
    y: Tensor, do_gradient: bool = False, do_Hessian: bool = False
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    r"""The `peaks function <https://www.mathworks.com/help/matlab/ref/peaks.html>`_ of MATLAB, with derivatives.

    - **y** points (n_s, 2)
    - **do_gradient**, **do_Hessian**: which derivatives are computed

    Returns **f** (n_s, 1), **dfdx** (n_s, 2, 1) or ``None``, **d2fd2x** (n_s, 2, 2, 1) or ``None``.

    >>> import torch
    >>> from hessquik_rs.utils import peaks
    >>> x = torch.linspace(-3, 3, 100)
    >>> grid = torch.cartesian_prod(x, x)
    >>> f, df, d2f = peaks(grid, do_gradient=True, do_Hessian=True)
    >>> print(f.shape, df.shape, d2f.shape)
    torch.Size([10000, 1]) torch.Size([10000, 2, 1]) torch.Size([10000, 2, 2, 1])
    """
    if y.dim() != 2 or y.shape[1] != 2:
        raise ValueError(f"y has shape {list(y.shape)}, wanted [n_s, 2]")
    # three bumps, each a polynomial p times a Gaussian exp(-(x - a)^2 - (y - b)^2)
    x, y = y[:, 0], y[:, 1]
    zero = torch.zeros_like(x)
    bumps = [
        # a, b, p, (p_x, p_y), (p_xx, p_xy, p_yy)
        (0.0, -1.0, 3 * (1 - x) ** 2, (-6 * (1 - x), zero), (zero + 6, zero, zero)),
        (
            0.0,
            0.0,
            -10 * (x / 5 - x**3 - y**5),
            (-2 + 30 * x**2, 50 * y**4),
            (60 * x, zero, 200 * y**3),
        ),
        (-1.0, 0.0, zero - 1 / 3, (zero, zero), (zero, zero, zero)),
    ]
    f, fx, fy, fxx, fxy, fyy = (zero,) * 6
    for a, b, p, (px, py), (pxx, pxy, pyy) in bumps:
        e = torch.exp(-((x - a) ** 2) - (y - b) ** 2)
        s, t = -2 * (x - a), -2 * (y - b)  # logarithmic derivatives of e
        f = f + p * e
        if do_gradient or do_Hessian:
            fx, fy = fx + (px + s * p) * e, fy + (py + t * p) * e
        if do_Hessian:
            fxx = fxx + (pxx + 2 * s * px + (s * s - 2) * p) * e
            fxy = fxy + (pxy + t * px + s * py + s * t * p) * e
            fyy = fyy + (pyy + 2 * t * py + (t * t - 2) * p) * e
    df = d2f = None
    if do_gradient or do_Hessian:
        df = torch.stack((fx, fy), dim=1).unsqueeze(-1)
    if do_Hessian:
        d2f = torch.stack((fxx, fxy, fxy, fyy), dim=1).reshape(-1, 2, 2, 1)
    return f.unsqueeze(-1), df, d2f
