"""Fits the polynomials around the zeros of derivatives that `hessquik_rs/_torch/polynomials.py` holds, with mpmath.

They hold on wider intervals than those of the library (`fit_polynomials.py`), since there is no fused multiply-add in
torch operations: outside of these intervals no terms cancel.
"""

from mpmath import chebyfit, erfc, exp, findroot, mp, mpf, pi, sqrt

mp.dps = 60


def logistic(a):
    return 1 / (1 + exp(-a))


def mills(a):
    return exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2


# name: function, a first guess of its zero, the interval
FUNCTIONS = {
    "FIRST": (lambda a: 1 - a * logistic(a), 1.278, 0.7, 1.9),
    "SECOND": (lambda a: 2 - a * (2 * logistic(a) - 1), 2.399, 1.3, 3.6),
    "DIP": (lambda a: mills(a) - a / sqrt(2 * pi), 0.7518, 0.25, 1.3),
}


def fit(f, guess, low, high):
    """The zero in two parts, and the coefficients of f(a) / (a - zero) in a - zero, constant first."""
    at, near = findroot(f, guess), mpf(10) ** -20

    def quotient(d):
        if abs(d) > mpf(10) ** -25:
            return f(at + d) / d
        return (f(at + near) - f(at - near)) / (2 * near)

    for n in range(5, 40):
        coefficients, error = chebyfit(quotient, [low - at, high - at], n, error=True)
        if error < abs(quotient(mpf(0))) * mpf(2) ** -56:
            break
    head = float(at)
    return (head, float(at - head)), [float(c) for c in reversed(coefficients)]


if __name__ == "__main__":
    for name, arguments in FUNCTIONS.items():
        print(name, *fit(*arguments))
