"""Writes reference.safetensors: values and three derivatives of the activations from mpmath, for tests/activations.rs.

    python3 make_reference.py [random points per range, 40] [file]

For each activation (softplus once for each beta) the file has
    NAME.z      f64 (n,)     points: random ones in the core, in the tails and over all magnitudes, subnormal ones, and
                             the neighbours of every zero of a derivative
    NAME.jet    f64 (n, 4)   value and derivatives, rounded to nearest
    NAME.rest   i8 (n, 4)    what the rounding took away, in units of ulp/254
"""
import json
import math
import random
import struct
import sys

from mpmath import atan, atanh, cosh, cos, erf, erfc, exp, expm1, findroot, ldexp, log, log1p, mp, mpf, nint, pi
from mpmath import power as real_power
from mpmath import sin, sqrt, tanh

mp.dps = 60
random.seed(20260101)


def anti_tanh(z):
    t = tanh(z)
    d = 1 / cosh(z) ** 2
    return [log(cosh(z)) if abs(z) < 1000 else abs(z) - log(mpf(2)), t, d, -2 * t * d]


def identity(z):
    return [z, mpf(1), mpf(0), mpf(0)]


def quadratic(z):
    return [z * z / 2, z, mpf(1), mpf(0)]


def sigmoid(z):
    s = 1 / (1 + exp(-z))
    d = s * (1 - s)
    return [s, d, d * (1 - 2 * s), d * (1 - 6 * d)]


def softplus(beta):
    def jet(z):
        y = mpf(beta) * z
        s, d1, d2, _ = sigmoid(y)
        value = log1p(exp(y)) / beta if y < 2000 else z
        return [value, s, beta * d1, mpf(beta) ** 2 * d2]

    return jet


def tanh_jet(z):
    t = tanh(z)
    d = 1 / cosh(z) ** 2
    return [t, d, -2 * t * d, -2 * d * (1 - 3 * t**2)]


def sin_jet(z):
    return [sin(z), cos(z), -sin(z), -cos(z)]


def silu(z):
    s, d1, d2, d3 = sigmoid(z)
    return [z * s, s + z * d1, 2 * d1 + z * d2, 3 * d2 + z * d3]


def gelu(z):
    if abs(z) > 1000:
        return [max(z, mpf(0)), mpf(z > 0), mpf(0), mpf(0)]
    density = exp(-z * z / 2) / sqrt(2 * pi)
    below = erfc(-z / sqrt(mpf(2))) / 2
    return [z * below, below + z * density, (2 - z * z) * density, z * (z * z - 4) * density]


def gaussian(z):
    f = exp(-z * z)
    return [f, -2 * z * f, (4 * z * z - 2) * f, (12 * z - 8 * z**3) * f]


def exp_jet(z):
    return [exp(z)] * 4


def log_jet(z):
    return [log(z), 1 / z, -1 / z**2, 2 / z**3]


def power(p):
    p = mpf(p)

    def term(factor, z, q):
        sign = -1 if z < 0 and q % 2 == 1 else 1
        return factor * sign * real_power(abs(z), q) if factor else mpf(0)

    return lambda z: [term(1, z, p), term(p, z, p - 1), term(p * (p - 1), z, p - 2), term(p * (p - 1) * (p - 2), z, p - 3)]


def square(z):
    return [z * z, 2 * z, mpf(2), mpf(0)]


def cos_jet(z):
    return [cos(z), -sin(z), -cos(z), sin(z)]


def erf_jet(z):
    if abs(z) > 1000:
        return [mpf(1 if z > 0 else -1), mpf(0), mpf(0), mpf(0)]
    f = 2 / sqrt(pi) * exp(-z * z)
    return [erf(z), f, -2 * z * f, (4 * z * z - 2) * f]


def atan_jet(z):
    r = 1 / (1 + z * z)
    return [atan(z), r, -2 * z * r**2, (6 * z * z - 2) * r**3]


def elu(size, width, slope=1):
    def jet(z):
        if z > 0:
            return [slope * z, mpf(slope), mpf(0), mpf(0)]
        f = size * exp(z / width)
        value = size * expm1(z / width)
        return [value, f / width, f / width**2, f / width**3]

    return jet


def linear(slope):
    return lambda z: [z if z > 0 else slope * z, mpf(1 if z > 0 else slope), mpf(0), mpf(0)]


def squareplus(b):
    def jet(z):
        r = sqrt(z * z + b)
        value = (z + r) / 2 if z > 0 else b / 2 / (r - z)
        return [value, value / r, b / (2 * r**3), -3 * b * z / (2 * r**5)]

    return jet


def gated(z, gate):
    """z g from g and its derivatives."""
    g, g1, g2, g3 = gate
    return [z * g, g + z * g1, 2 * g1 + z * g2, 3 * g2 + z * g3]


def mish(z):
    if z > 2000:
        return [z, mpf(1), mpf(0), mpf(0)]
    # t = 1 - 2/D with D = (1 + exp z)^2 + 1, by the quotient rule
    e = exp(z)
    d, d1, d2, d3 = 1 + (1 + e) ** 2, 2 * e + 2 * e**2, 2 * e + 4 * e**2, 2 * e + 8 * e**2
    t = (e * e + 2 * e) / d
    t1 = 2 * d1 / d**2
    t2 = 2 * d2 / d**2 - 4 * d1**2 / d**3
    t3 = 2 * d3 / d**2 - 12 * d1 * d2 / d**3 + 12 * d1**3 / d**4
    return gated(z, [t, t1, t2, t3])


def tanh_gelu(z):
    if abs(z) > 1000:
        return [max(z, mpf(0)), mpf(z > 0), mpf(0), mpf(0)]
    rate, cubic = 2 * sqrt(2 / pi), mpf("0.044715")
    u, u1, u2, u3 = rate * (z + cubic * z**3), rate * (1 + 3 * cubic * z**2), rate * 6 * cubic * z, rate * 6 * cubic
    s, d1, d2, d3 = sigmoid(u)
    return gated(z, [s, d1 * u1, d2 * u1**2 + d1 * u2, d3 * u1**3 + 3 * d2 * u1 * u2 + d1 * u3])


def scaled(a, jet, b):
    return lambda z: [mpf(a) * mpf(b) ** j * d for j, d in enumerate(jet(mpf(b) * z))]


def zeros(f, guesses):
    return [findroot(f, mpf(g)) for g in guesses] + [-findroot(f, mpf(g)) for g in guesses]


def silu_zeros():
    return (
        zeros(lambda z: silu(z)[1], ["-1.278"])
        + zeros(lambda z: silu(z)[2], ["2.4"])
        + zeros(lambda z: silu(z)[3], ["3.44"])
    )


# name: jet, special points, half width of the range where something happens
third = 2 * atanh(1 / sqrt(mpf(3)))
CASES = {
    "anti_tanh": (anti_tanh, [mpf(1), mpf(-1)], 375),
    "identity": (identity, [], 10),
    "quadratic": (quadratic, [], 10),
    "sigmoid": (sigmoid, [third, -third], 750),
    "softplus_0.1": (softplus(0.1), [], 7500),
    "softplus_1": (softplus(1.0), [mpf(20)], 750),
    "softplus_3": (softplus(3.0), [], 250),
    "softplus_50": (softplus(50.0), [], 15),
    "tanh": (tanh_jet, [third / 2, -third / 2], 375),
    "sin": (sin_jet, [k * pi / 2 for k in [-3, -2, -1, 1, 2, 3, 4, 1000, 333333]] + [mpf(2) ** 19], 1000),
    "silu": (silu, silu_zeros(), 760),
    "gelu": (gelu, zeros(lambda z: gelu(z)[1], ["-0.75"]) + [sqrt(mpf(2)), -sqrt(mpf(2)), mpf(2), mpf(-2)], 39),
    "gaussian": (gaussian, [s * sqrt(mpf(w)) for s in (1, -1) for w in (0.5, 1.5)], 28),
    "exp": (exp_jet, [mpf("709.78"), mpf("-708.4"), mpf("-745.1")], 750),
    "cos": (cos_jet, [k * pi / 2 for k in [-3, -2, -1, 1, 2, 3, 4, 1000, 333333]] + [mpf(2) ** 19], 1000),
    "square": (square, [], 10),
    "power_3": (power(3), [mpf(1), mpf(-1)], 1000),
    "power_-2": (power(-2), [mpf(1), mpf(-1)], 1000),
    "power_8": (power(8), [mpf(1), mpf(-1)], 1000),
    "reciprocal": (power(-1), [mpf(1), mpf(-1)], 1000),
    "erf": (erf_jet, [mpf(1), mpf(-1), 1 / sqrt(mpf(2)), -1 / sqrt(mpf(2))], 28),
    "atan": (atan_jet, [mpf(1), mpf(-1), 1 / sqrt(mpf(3)), -1 / sqrt(mpf(3))], 1000),
    "elu": (elu(1, 1), [], 750),
    "elu_0.3": (elu(mpf(0.3), 1), [], 750),
    "celu_0.3": (elu(mpf(0.3), mpf(0.3)), [], 225),
    "celu_2": (elu(2, 2), [], 1500),
    "selu": (
        elu(
            mpf("1.6732632423543772848170429916717") * mpf("1.0507009873554804934193349852946"),
            1,
            mpf("1.0507009873554804934193349852946"),
        ),
        [],
        750,
    ),
    "mish": (
        mish,
        [
            findroot(lambda z, k=k: mish(z)[k], mpf(g))
            for k, g in ((1, "-1.19"), (2, "-2.26"), (2, "1.49"), (3, "-3.27"), (3, "-0.088"), (3, "2.11"))
        ],
        750,
    ),
    "squareplus_4": (squareplus(mpf(4)), [], 100),
    "squareplus_0.1": (squareplus(mpf(0.1)), [], 100),
    "tanh_gelu": (
        tanh_gelu,
        [findroot(lambda z: tanh_gelu(z)[1], mpf("-0.75"))]
        + zeros(lambda z: tanh_gelu(z)[2], ["1.418"])
        + zeros(lambda z: tanh_gelu(z)[3], ["2.013"]),
        22,
    ),
    "relu": (linear(0), [], 10),
    "leaky_relu": (linear(mpf(0.01)), [], 10),
    "scaled_tanh": (scaled(1.7159, tanh_jet, 2 / 3), [third * 3 / 4, -third * 3 / 4], 560),
    "scaled_gelu": (scaled(-0.7, gelu, 1.3), [findroot(lambda z: gelu(z)[1], mpf("-0.75")) / mpf(1.3)], 30),
    # of positive numbers alone
    "log": (log_jet, [mpf(1), sqrt(mpf(2)), 1 / sqrt(mpf(2))], 1000),
    "sqrt": (power(0.5), [mpf(1)], 1000),
    "power_2.5": (power(2.5), [mpf(1)], 1000),
    "power_0.1": (power(0.1), [mpf(1)], 1000),
    "power_-7.3": (power(-7.3), [mpf(1)], 1000),
}
POSITIVE = ["log", "sqrt", "power_2.5", "power_0.1", "power_-7.3"]


def points(special, width, count):
    out = [0.0, -0.0, 5e-324, -5e-324, sys.float_info.min, sys.float_info.max, -sys.float_info.max]
    for x in special:
        at = float(x)
        out += [at + k * math.ulp(at) for k in range(-3, 4)]
        out += [at * (1 + s * 10.0**-k) for k in range(1, 15) for s in (1, -1)]
        out += [at + s * d for d in (0.05, 0.2, 0.25, 0.3, 0.39, 0.41, 0.45, 0.5, 0.6, 0.9, 1.1) for s in (1, -1)]
    for limit in (1.5, 6, 40, width):
        out += [random.uniform(-limit, limit) for _ in range(count)]
    # the last results before underflow
    out += [s * width * random.uniform(0.9, 1.0) for s in (1, -1) for _ in range(count // 4)]
    out += [random.choice((1, -1)) * 2.0 ** random.uniform(-1074, 1023.9) for _ in range(count // 2)]
    out += [random.choice((1, -1)) * 2.0 ** random.uniform(-60, 10) for _ in range(count)]
    return out


def rounded(x):
    """The nearest double, and the rest in ulp/254."""
    if abs(x) < sys.float_info.min:
        units = ldexp(x, 1074)
        high = math.ldexp(int(nint(units)), -1074)
        return math.copysign(high, x), int(nint((units - nint(units)) * 254))
    high = float(x)
    if math.isinf(high):
        return high, 0
    return high, int(nint((x - mpf(high)) / mpf(math.ulp(high)) * 254))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    path = sys.argv[2] if len(sys.argv) > 2 else "reference.safetensors"
    header, data = {}, bytearray()

    def write(name, kind, shape, raw):
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data.extend(raw)

    for name, (jet, special, width) in CASES.items():
        zs = points(special, width, count)
        if name in POSITIVE:
            zs = [abs(z) for z in zs]
        if name in POSITIVE or name in ("reciprocal", "power_-2"):
            zs = [z for z in zs if z]
        if name.startswith("scaled"):
            # b z must not overflow
            zs = [z for z in zs if abs(z) < 1e308]
        highs, rests = [], []
        for z in zs:
            # enough digits for 1 - s, ln cosh z and the sine of large numbers, whose leading ones cancel
            size = min(abs(z) * (float(name[9:]) if name.startswith("softplus") else 1), sys.float_info.max) or 1.0
            if name == "tanh_gelu":
                size = 2 * min(size, 1e100) + 0.1 * min(size, 1e100) ** 2 * min(size, 100.0)
            mp.dps = int(60 + 2 * abs(math.log10(size)) + min(size, 2000))
            for x in jet(mpf(z)):
                high, rest = rounded(x)
                highs.append(high)
                rests.append(rest)
        mp.dps = 60
        write(f"{name}.z", "F64", [len(zs)], struct.pack(f"<{len(zs)}d", *zs))
        write(f"{name}.jet", "F64", [len(zs), 4], struct.pack(f"<{len(highs)}d", *highs))
       
        write(f"{name}.rest", "I8", [len(zs), 4], struct.pack(f"<{len(rests)}b", *rests))
        print(name, len(zs))
    # all doubles first, as safetensors asks for aligned tensors
    ordered, body = {}, bytearray()
    for name in sorted(header, key=lambda n: n.endswith(".rest")):
        begin, end = header[name]["data_offsets"]
        ordered[name] = {**header[name], "data_offsets": [len(body), len(body) + end - begin]}
        body.extend(data[begin:end])
    text = json.dumps(ordered).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


main()
