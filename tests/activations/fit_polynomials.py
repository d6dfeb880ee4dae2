"""Prints the constants of crates/hessquik/src/activation, found in 60 digits (needs mpmath).

Each polynomial interpolates at Chebyshev nodes, with the lowest degree whose error stays below the tolerance.
"""
from struct import pack, unpack

from mpmath import chebyfit, cos, cosh, erfc, exp, expm1, findroot, log, log1p, mp, mpf, nstr, pi, sin, sqrt, tanh

mp.dps = 60
ROOT_2PI = sqrt(2 * pi)


def exp_tail(r):  # expm1(r) = r + r^2 P(r)
    return (expm1(r) - r) / r**2 if abs(r) > mpf(10) ** -12 else mpf(1) / 2 + r / 6 + r**2 / 24


def log1p_tail(x):  # log1p(x) = x + x^2 P(x)
    return (log1p(x) - x) / x**2 if x > mpf(10) ** -15 else -mpf(1) / 2 + x / 3


def ln_cosh_quotient(w):  # ln cosh z = w P(w), w = z^2
    return log(cosh(sqrt(w))) / w if w > mpf(10) ** -15 else mpf(1) / 2 - w / 12


def sin_tail(w):  # sin(r) = r + r w S(w), w = r^2
    r = sqrt(w)
    return (sin(r) / r - 1) / w if w > mpf(10) ** -12 else -mpf(1) / 6 + w / 120


def cos_tail(w):  # cos(r) = 1 - w/2 + w^2 C(w), w = r^2
    r = sqrt(w)
    return (cos(r) - 1 + w / 2) / w**2 if w > mpf(10) ** -8 else mpf(1) / 24 - w / 720


def cos_quotient(w):  # cos(r) = 1 + w C(w), w = r^2
    r = sqrt(w)
    return (cos(r) - 1) / w if w > mpf(10) ** -12 else -mpf(1) / 2 + w / 24


def mills(a):  # N(a) = exp(a^2/2) Phi(-a)
    return exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2


def mills_tail(u):  # (1 + a) N(a), u = (a - 4)/(a + 4)
    if u == 1:
        return 1 / ROOT_2PI
    a = 4 * (1 + u) / (1 - u)
    if a > 10**4:
        return (1 + a) / a * (1 - a**-2 + 3 * a**-4 - 15 * a**-6) / ROOT_2PI
    return (1 + a) * mills(a)


def shortest(x, precision):
    """The shortest decimal that reads back as the nearest number."""
    if precision == "f64":
        return repr(float(x))
    nearest = unpack("f", pack("f", float(x)))
    return next(t for d in range(1, 10) if unpack("f", pack("f", float(t := f"{nearest[0]:.{d}g}"))) == nearest)


def fit(name, f, low, high, tolerances):
    for precision, tolerance in tolerances.items():
        for degree in range(2, 40):
            coefficients, error = chebyfit(f, [low, high], degree + 1, error=True)
            if error < tolerance:
                break
        print(f"{name} {precision}: degree {degree}, error {nstr(error, 3)}")
        print("".join(f"    {shortest(c, precision)},\n" for c in coefficients[::-1]), end="")


def both(bits64, bits32):
    return {"f64": mpf(2) ** -bits64, "f32": mpf(2) ** -bits32}


half = log(2) / 2 * mpf("1.001")
eighth = (pi / 4) ** 2 * mpf("1.001")
fit("exp", exp_tail, -half, half, both(mpf("54.5"), mpf("23.8")))
fit("log1p", log1p_tail, 0, 1, both(54, 25))
fit("log1p, near", log1p_tail, 0, mpf("0.1354"), both(51, 22))  # exp(-2) = 0.13534
fit("ln cosh", ln_cosh_quotient, 0, 1, both(56, 27))
fit("mills", mills_tail, -1, 1, both(57, 28))
fit("sin", sin_tail, 0, eighth, {"f64": mpf(2) ** -56})
fit("cos", cos_tail, 0, eighth, {"f64": mpf(2) ** -56})
# for single precision, evaluated in double; the quadrant, found with 2/pi in single precision, may be off by 1/75
wider = (pi / 4 * mpf("1.04")) ** 2
fit("sin, single", sin_tail, 0, wider, {"f64": mpf(2) ** -33})
fit("cos, single", cos_quotient, 0, wider, {"f64": mpf(2) ** -33})



def two_parts(x):
    return f"{float(x)!r}, {float(x - mpf(float(x)))!r}"


def h(a):
    return tanh(a / 2)


print("1/sqrt(2 pi):", two_parts(1 / ROOT_2PI))
print("the constant of mills, 5 N(4):", two_parts(5 * mills(mpf(4))))

# Zeros of the factors of derivatives: f(a) = d Q(d), d = a - zero.
for name, f, guess, radius in [
    ("sigmoid, third", lambda a: (3 * h(a) ** 2 - 1) / 2, "1.317", mpf(1) / 16),
    ("silu, first", lambda a: 2 - a * (1 + h(a)), "1.278", mpf(1) / 16),
    ("silu, second", lambda a: 2 - a * h(a), "2.4", mpf(1) / 16),
    ("silu, third", lambda a: a * (3 * h(a) ** 2 - 1) / 2 - 3 * h(a), "3.44", mpf(3) / 8),
    ("gelu, first", lambda a: mills(a) - a / ROOT_2PI, "0.75", mpf(1) / 8),
]:
    zero = findroot(f, mpf(guess))
    step = mpf(10) ** -20
    slope = (f(zero + step) - f(zero - step)) / (2 * step)
    quotient = lambda d: f(zero + d) / d if abs(d) > step else slope
    print(f"{name}: {two_parts(zero)}")
    fit("zero", quotient, -radius, radius, {"f64": abs(slope) * mpf(2) ** -55})
