"""Writes taylor.safetensors: derivatives of orders 0 to 10 of the activations from mpmath, for tests/taylor.rs.

    python3 make_taylor_reference.py [random points per range, 8] [file]

For each activation the file has
    NAME.z    f64 (n,)       points: random ones in the core and in both tails, tiny ones, zero
    NAME.d    f64 (n, 11)    the derivatives, rounded to nearest

Each activation is a textbook formula in power series: lists of coefficients with the arithmetic below, carried with so
many digits that cancellation does not matter.
"""
import json
import math
import random
import struct
import sys

import mpmath
from mpmath import mp, mpf

ORDER = 10
random.seed(20260102)


class Series:
    """Power series in t, cut after ORDER."""

    def __init__(self, c):
        self.c = list(c) + [mpf(0)] * (ORDER + 1 - len(c))

    def __add__(self, other):
        if not isinstance(other, Series):
            return Series([self.c[0] + other] + self.c[1:])
        return Series([a + b for a, b in zip(self.c, other.c)])

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __mul__(self, other):
        if not isinstance(other, Series):
            return Series([other * a for a in self.c])
        return Series([sum(self.c[i] * other.c[k - i] for i in range(k + 1)) for k in range(ORDER + 1)])

    def __truediv__(self, other):
        q = []
        for k in range(ORDER + 1):
            q.append((self.c[k] - sum(q[i] * other.c[k - i] for i in range(k))) / other.c[0])
        return Series(q)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return Series([mpf(other)]) / self

    def solve(self, first, slope):
        """The series f(self) whose value is `first`; slope(so far, k) is coefficient k of f'(self)."""
        f = [first]
        for k in range(1, ORDER + 1):
            rates = [slope(f, i) for i in range(k)]
            f.append(sum(rates[i] * (k - i) * self.c[k - i] for i in range(k)) / k)
        return Series(f)

    def integral(self, first, derivative):
        """The series f(self), where `derivative` is that of f'(self)."""
        return self.solve(first, lambda _, k: derivative.c[k])


def exp(z):
    return z.solve(mpmath.exp(z.c[0]), lambda f, k: f[k])


def log(z):
    return z.integral(mpmath.log(z.c[0]), 1 / z)


def power(z, p):
    # z f' = p z' f
    f = [mpmath.power(z.c[0], p)]
    for k in range(1, ORDER + 1):
        f.append(sum((p * i - (k - i)) * z.c[i] * f[k - i] for i in range(1, k + 1)) / (k * z.c[0]))
    return Series(f)


def sigmoid(z):
    return 1 / (exp(-z) + 1)


def tanh(z):
    return sigmoid(z * 2) * 2 - 1


def anti_tanh(z):
    a = -z if z.c[0] < 0 else z
    return a + log(exp(a * -2) + 1) - mpmath.log(2)


def softplus(beta):
    return lambda z: log(exp(z * mpf(beta)) + 1) / Series([mpf(beta)])


def erf(z):
    return z.integral(mpmath.erf(z.c[0]), exp(-(z * z)) * (2 / mpmath.sqrt(mp.pi)))


def gelu(z):
    x = z * (1 / mpmath.sqrt(mpf(2)))
    below = x.integral(mpmath.erfc(-x.c[0]) / 2, exp(-(x * x)) / Series([mpmath.sqrt(mp.pi)]))
    return z * below


def sin(z):
    s, c = [mpmath.sin(z.c[0])], [mpmath.cos(z.c[0])]
    for k in range(1, ORDER + 1):
        s.append(sum(i * z.c[i] * c[k - i] for i in range(1, k + 1)) / k)
        c.append(-sum(i * z.c[i] * s[k - i] for i in range(1, k + 1)) / k)
    return Series(s)


# name: function, half width of the range, scale of the core
CASES = {
    "anti_tanh": (anti_tanh, 340, 1),
    "identity": (lambda z: z, 10, 1),
    "quadratic": (lambda z: z * z * mpf("0.5"), 10, 1),
    "sigmoid": (sigmoid, 690, 1),
    "softplus_0.1": (softplus(0.1), 6900, 10),
    "softplus_1": (softplus(1.0), 690, 1),
    "softplus_3": (softplus(3.0), 230, 0.3),
    "softplus_50": (softplus(50.0), 13, 0.02),
    "tanh": (tanh, 340, 1),
    "sin": (sin, 1000, 1),
    "silu": (lambda z: z * sigmoid(z), 690, 1),
    "gelu": (gelu, 37, 1),
    "gaussian": (lambda z: exp(-(z * z)), 26, 1),
}


def points(width, core, count):
    out = [0.0]
    for limit in (0.3 * core, 1.5 * core, 6 * core, min(40 * core, width), width):
        out += [random.uniform(-limit, limit) for _ in range(count)]
    out += [s * width * random.uniform(0.9, 1.0) for s in (1, -1) for _ in range(count // 4)]
    out += [random.choice((1, -1)) * core * 2.0 ** random.uniform(-40, -2) for _ in range(count)]
    return out


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    path = sys.argv[2] if len(sys.argv) > 2 else "taylor.safetensors"
    header, data = {}, bytearray()

    def write(name, shape, numbers):
        raw = struct.pack(f"<{len(numbers)}d", *numbers)
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data.extend(raw)

    for name, (f, width, core) in CASES.items():
        zs, found = points(width, core, count), []
        for z in zs:
            # enough for numbers as close to 1 as 1 - exp(-2 z)
            mp.dps = int(80 + 2 * min(abs(z) / core, 1500))
            c = f(Series([mpf(z), mpf(1)])).c
            # at zero only what rounding left
            c = [mpf(0) if z == 0 and abs(x) < mpf(10) ** -60 else x for x in c]
            found += [float(math.factorial(j) * c[j]) for j in range(ORDER + 1)]
        write(f"{name}.z", [len(zs)], zs)
        write(f"{name}.d", [len(zs), ORDER + 1], found)
        print(name, len(zs), flush=True)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
