"""More networks of `torch_zoo`: convolutions, recurrences, and operations that the others do not use."""

import torch
import torch.nn.functional as F
from torch import nn


class Conv1d(nn.Module):
    """Convolutions over a signal of eight samples, strided, dilated, by groups, average pooling."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv1d(1, 4, 3, padding=1, stride=2)
        self.b = nn.Conv1d(4, 4, 2, dilation=2, groups=2)
        self.up = nn.ConvTranspose1d(4, 2, 3, stride=2, padding=1, output_padding=1)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        h = torch.tanh(self.a(x.unsqueeze(1)))
        return self.out(torch.tanh(self.up(F.silu(self.b(h)))).flatten(1))


class Conv2d(nn.Module):
    """A convolution over an image of 3 x 3."""

    def __init__(self):
        super().__init__()
        self.a, self.out = nn.Conv2d(1, 3, 2, padding=(1, 0)), nn.Linear(3, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.a(x.view(-1, 1, 3, 3))).mean((2, 3)))


class Recurrent(nn.Module):
    """GRU and LSTM cells over three coordinates."""

    def __init__(self):
        super().__init__()
        self.gru, self.lstm, self.out = nn.GRUCell(1, 4), nn.LSTMCell(4, 3), nn.Linear(3, 1)

    def forward(self, x):
        h = torch.zeros(x.shape[0], 4, dtype=x.dtype)
        state = (torch.zeros(x.shape[0], 3, dtype=x.dtype), torch.zeros(x.shape[0], 3, dtype=x.dtype))
        for i in range(3):
            h = self.gru(x[:, i : i + 1], h)
            state = self.lstm(h, state)
        return self.out(state[0])


class HyperNetwork(nn.Module):
    """A network whose weights come from another network of a trained code, one scalar tied everywhere."""

    def __init__(self):
        super().__init__()
        self.code, self.hyper, self.slope = (
            nn.Parameter(torch.randn(3)),
            nn.Linear(3, 18),
            nn.Parameter(torch.tensor(1.3)),
        )

    def forward(self, x):
        w = torch.tanh(self.hyper(self.code))
        h = torch.tanh(self.slope * F.linear(x, w[:12].view(6, 2)))
        return self.slope * (h @ w[12:, None])


class Many(nn.Module):
    """Operations that the others do not use."""

    def __init__(self):
        super().__init__()
        self.bilinear, self.w = nn.Bilinear(2, 2, 3), nn.Parameter(torch.randn(3))

    def forward(self, x):
        h = self.bilinear(x, x.flip(1)) + x.repeat(1, 2)[:, :3].cumsum(1)
        a = torch.logsumexp(h, 1, keepdim=True) + F.log_softmax(h, 1)[:, 1:2] + F.softmin(h, 1)[:, :1]
        b = F.logsigmoid(h) + F.mish(h) + F.softsign(h) + torch.atan(h) + torch.expm1(0.1 * h) + F.selu(h) + F.elu(h)
        c = (
            torch.maximum(h, h.roll(1, 1))
            + torch.clamp(h, -0.7, 0.4)
            + F.leaky_relu(h, 0.2)
            + F.hardtanh(h)
            + F.relu6(h)
        )
        d = torch.where(h > self.w, h**3, h.abs() ** 1.5) + (h**2 + 1) ** -0.5 + 2.0**h + torch.rsqrt(h * h + 2)
        e = (
            torch.sinh(h) / torch.cosh(h)
            + torch.erf(h)
            + torch.log1p(h**2)
            + F.glu(torch.cat([h, h], 1))
            + F.tanhshrink(h)
        )
        return torch.cat(
            [a, b[:, :2] * c[:, :2], d.norm(dim=1, keepdim=True), e.amax(1, keepdim=True), e.std(1, keepdim=True)], 1
        )
