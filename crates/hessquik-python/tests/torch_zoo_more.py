"""More networks that people publish: of matrices, of graphs, of the order of entries, with pooling and memory."""

import torch
import torch.nn.functional as F
from torch import nn


class ChebyshevKan(nn.Module):
    """A Kolmogorov-Arnold layer of Chebyshev polynomials cos(k arccos(tanh x))."""

    def __init__(self):
        super().__init__()
        self.register_buffer("k", torch.arange(5))
        self.coefficients = nn.Parameter(torch.randn(2, 3, 5) * 0.3)

    def forward(self, x):
        angles = torch.tanh(x).unsqueeze(-1).expand(-1, -1, 5).acos()
        return torch.einsum("bid,iod->bo", (angles * self.k).cos(), self.coefficients)


class Finer(nn.Module):
    """FINER: sin(w0 (|z| + 1) z), whose factor is computed without gradients."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(2, 5), nn.Linear(5, 5), nn.Linear(5, 1)

    def forward(self, x):
        for layer in (self.first, self.second):
            z = layer(x)
            with torch.no_grad():
                scale = torch.abs(z) + 1
            x = torch.sin(1.5 * scale * z)
        return self.out(x)


class MessagePassing(nn.Module):
    """Messages along edges, summed where they arrive, by `scatter_add` and `index_add`; layers of memory above."""

    def __init__(self):
        super().__init__()
        self.message, self.update, self.out = nn.Linear(5, 4), nn.Linear(6, 2), nn.Linear(2, 1)
        self.register_buffer("source", torch.tensor([0, 1, 1, 2]))
        self.register_buffer("target", torch.tensor([1, 0, 2, 1]))

    def forward(self, x):
        h = x.view(-1, 3, 2)
        for step in range(2):
            ends = h[:, self.source], h[:, self.target]
            distance = (ends[0] - ends[1]).pow(2).sum(-1, keepdim=True)
            message = F.silu(self.message(torch.cat([*ends, distance], -1)))
            arrived = torch.zeros(len(x), 3, 4, dtype=x.dtype)
            if step:
                arrived = arrived.index_add(1, self.target, message, alpha=0.5)
            else:
                arrived = arrived.scatter_add(1, self.target.view(1, -1, 1).expand_as(message), message)
            h = h + torch.tanh(self.update(torch.cat([h, arrived], -1)))
        return self.out(h).sum(1)


class Determinants(nn.Module):
    """The logarithm of a Slater determinant of four orbitals, and a determinant of two."""

    def __init__(self):
        super().__init__()
        self.orbital, self.pair = nn.Linear(1, 4), nn.Linear(4, 4)

    def forward(self, x):
        sign, size = torch.linalg.slogdet(torch.sin(self.orbital(x.unsqueeze(-1))) + 2 * torch.eye(4, dtype=x.dtype))
        return size + 0.1 * sign * torch.det(torch.tanh(self.pair(x)).view(-1, 2, 2))


class Covariance(nn.Module):
    """A normal density whose covariance depends on the point, by Cholesky's factor and by a solution."""

    def __init__(self):
        super().__init__()
        self.factor, self.mean = nn.Linear(2, 9), nn.Linear(2, 3)

    def forward(self, x):
        m = self.factor(x).view(-1, 3, 3)
        covariance = m @ m.mT + torch.eye(3, dtype=x.dtype)
        factor = torch.linalg.cholesky(covariance)
        d = self.mean(x).unsqueeze(-1)
        white = torch.linalg.solve_triangular(factor, d, upper=False).squeeze(-1)
        size = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        other = (d.squeeze(-1) * torch.linalg.solve(covariance, d).squeeze(-1)).sum(-1)
        return torch.stack([-0.5 * white.square().sum(-1) - size, other, torch.logdet(covariance)], -1)


class SparseExperts(nn.Module):
    """The two experts with the largest gates, and the gates in order."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(3, 4), nn.ModuleList([nn.Linear(3, 2) for _ in range(4)])

    def forward(self, x):
        gates = self.gate(x)
        largest, which = gates.topk(2, -1)
        all_of_them = torch.stack([torch.tanh(e(x)) for e in self.experts], 1)
        chosen = torch.gather(all_of_them, 1, which.unsqueeze(-1).expand(-1, -1, 2))
        order = gates.sort(-1, descending=True).values + gates.max(1, keepdim=True).values
        return (chosen * largest.softmax(-1).unsqueeze(-1)).sum(1) + order[:, 1:3] * gates.median(1, True).values


class RationalSpline(nn.Module):
    """A monotone rational quadratic spline, as in neural spline flows: bins by `searchsorted`."""

    def __init__(self):
        super().__init__()
        self.widths, self.heights, self.slopes = (nn.Parameter(torch.randn(n)) for n in (4, 4, 5))

    def forward(self, x):
        x = torch.tanh(x)
        at = F.pad(self.widths.softmax(0).cumsum(0), (1, 0)) * 2 - 1
        to = F.pad(self.heights.softmax(0).cumsum(0), (1, 0)) * 2 - 1
        i = (torch.searchsorted(at.detach(), x.detach().contiguous()) - 1).clamp(0, 3)
        width, height = at.diff()[i], to.diff()[i]
        slopes = F.softplus(self.slopes)
        s, t = height / width, (x - at[i]) / width
        below = s + (slopes[i + 1] + slopes[i] - 2 * s) * t * (1 - t)
        return to[i] + height * (s * t**2 + slopes[i] * t * (1 - t)) / below


class Unet(nn.Module):
    """Convolutions with pooling and upsampling, and padding of three kinds."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv1d(1, 3, 3, padding=1, padding_mode="circular")
        self.inner = nn.Conv1d(3, 2, 3, padding=1, padding_mode="reflect")
        self.up, self.norm = nn.Upsample(scale_factor=2, mode="nearest"), nn.GroupNorm(3, 3)
        self.out, self.pool = nn.Conv1d(5, 1, 3, padding=1, padding_mode="replicate"), nn.AdaptiveAvgPool1d(4)

    def forward(self, x):
        a = torch.tanh(self.norm(self.down(x.unsqueeze(1))))
        b = torch.tanh(self.inner(F.max_pool1d(a, 2)))
        return self.pool(self.out(torch.cat([a, self.up(b)], 1))).flatten(1)


class Memory(nn.Module):
    """An LSTM in both directions and a GRU over the coordinates."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru = nn.LSTM(1, 2, batch_first=True, bidirectional=True), nn.GRU(4, 3, batch_first=True)
        self.out = nn.Linear(3, 1)

    def forward(self, x):
        both, _ = self.lstm(x.unsqueeze(-1))
        _, last = self.gru(both)
        return self.out(last[0])


class RandomRectifiers(nn.Module):
    """Rectifiers whose slopes are random in training, and means of these slopes afterwards."""

    def __init__(self):
        super().__init__()
        self.first, self.rectifier, self.out = nn.Linear(3, 4), nn.RReLU(), nn.Linear(4, 2)

    def forward(self, x):
        h = self.first(x)
        return self.out(torch.tanh(h) * self.rectifier(h) + F.rrelu(h, 0.1, 0.3))


ZOO = {
    "KAN with Chebyshev polynomials": (ChebyshevKan, 2),
    "FINER": (Finer, 2),
    "message passing": (MessagePassing, 6),
    "determinants": (Determinants, 4),
    "covariance": (Covariance, 2),
    "sparse experts": (SparseExperts, 3),
    "rational spline": (RationalSpline, 2),
    "U-Net": (Unet, 8),
    "memory": (Memory, 3),
    "random rectifiers": (RandomRectifiers, 3),
}
