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


def mish(z):
    return z * tanh(log(exp(z) + 1))


def tanh_gelu(z):
    return z * sigmoid((z + z * z * z * mpf("0.044715")) * (2 * mpmath.sqrt(2 / mp.pi)))


def atan(z):
    return z.integral(mpmath.atan(z.c[0]), 1 / (z * z + 1))


def elu(size, width, slope=1):
    return lambda z: z * slope if z.c[0] > 0 else (exp(z * (1 / mpf(width))) - 1) * size


def cos(z):
    return sin(z + mp.pi / 2)


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
    "exp": (exp, 690, 1),
    "cos": (cos, 1000, 1),
    "square": (lambda z: z * z, 10, 1),
    "power_3": (lambda z: z * z * z, 1000, 1),
    "power_-2": (lambda z: 1 / (z * z), 1000, 1),
    "power_8": (lambda z: power(z, 8), 1000, 1),
    "reciprocal": (lambda z: 1 / z, 1000, 1),
    "erf": (erf, 26, 1),
    "atan": (atan, 1000, 1),
    "elu": (elu(1, 1), 690, 1),
    "elu_0.3": (elu(mpf(0.3), 1), 690, 1),
    "celu_0.3": (elu(mpf(0.3), mpf(0.3)), 207, 0.3),
    "celu_2": (elu(2, 2), 1380, 2),
    "selu": (
        elu(
            mpf("1.6732632423543772848170429916717") * mpf("1.0507009873554804934193349852946"),
            1,
            mpf("1.0507009873554804934193349852946"),
        ),
        690,
        1,
    ),
    "mish": (mish, 340, 1),
    "squareplus_4": (lambda z: (z + power(z * z + 4, mpf("0.5"))) * mpf("0.5"), 1000, 1),
    "squareplus_0.1": (lambda z: (z + power(z * z + mpf(0.1), mpf("0.5"))) * mpf("0.5"), 1000, 0.3),
    "tanh_gelu": (tanh_gelu, 20, 1),
    "relu": (lambda z: z * int(z.c[0] > 0), 10, 1),
    "leaky_relu": (lambda z: z * (1 if z.c[0] > 0 else mpf(0.01)), 10, 1),
    "scaled_tanh": (lambda z: tanh(z * mpf(2 / 3)) * mpf(1.7159), 510, 1),
    "scaled_gelu": (lambda z: gelu(z * mpf(1.3)) * mpf(-0.7), 28, 1),
    # of positive numbers alone
    "log": (log, 1000, 1),
    "sqrt": (lambda z: power(z, mpf("0.5")), 1000, 1),
    "power_2.5": (lambda z: power(z, mpf(2.5)), 1000, 1),
    "power_0.1": (lambda z: power(z, mpf(0.1)), 1000, 1),
    "power_-7.3": (lambda z: power(z, mpf(-7.3)), 1000, 1),
}


POSITIVE = ["log", "sqrt", "power_2.5", "power_0.1", "power_-7.3"]


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
        if name in POSITIVE:
            zs = [abs(z) for z in zs]
        if name in POSITIVE or name.startswith(("power", "reciprocal")):
            zs = [z for z in zs if z]
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
