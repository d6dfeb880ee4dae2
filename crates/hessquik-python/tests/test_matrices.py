"""Matrices and the order of entries in formulas, against numpy."""

import numpy as np
import pytest

import hessquik_rs as hq
from hessquik_rs import _matrices as matrices
from hessquik_rs import _order as order
from hessquik_rs import _special as special
from hessquik_rs import var

RNG = np.random.default_rng(0)


def at(formula, x):
    """The value of a formula of an array of this shape."""
    out = formula(var.input(x.size).reshape(x.shape))
    return hq.Network.from_var(out.flatten())(x.reshape(1, -1)).reshape(out.shape)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_matrices(n):
    a = RNG.normal(size=(2, n, n))
    if n > 1:
        a[0, 0, 0] = 0.0  # the first pivot is another one
    right = RNG.normal(size=(2, n, 3))
    sign, size = np.linalg.slogdet(a)
    np.testing.assert_allclose(at(matrices.det, a), np.linalg.det(a), 1e-11, 1e-12)
    np.testing.assert_allclose(at(lambda v: matrices.slogdet(v)[0], a), sign)
    np.testing.assert_allclose(at(lambda v: matrices.slogdet(v)[1], a), size, 1e-10, 1e-10)
    np.testing.assert_allclose(at(lambda v: matrices.solve(v, right), a), np.linalg.solve(a, right), 1e-9, 1e-9)
    np.testing.assert_allclose(at(matrices.inverse, a), np.linalg.inv(a), 1e-9, 1e-9)
    positive = a @ a.swapaxes(1, 2) + np.eye(n)
    lower = np.linalg.cholesky(positive)
    np.testing.assert_allclose(at(matrices.cholesky, positive), lower, atol=1e-12)
    for factor, is_lower in ((lower, True), (lower.swapaxes(1, 2).copy(), False)):
        found = at(lambda v, is_lower=is_lower: matrices.solve_triangular(v, right, is_lower), factor)
        np.testing.assert_allclose(found, np.linalg.solve(factor, right), atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1])
def test_order(axis):
    x = RNG.normal(size=(3, 4))
    x[1, 2] = x[0, 2] = x[0, 1]  # of equal ones, the first comes first
    for descending in (False, True):
        places = np.argsort(-x if descending else x, axis, kind="stable")
        values, found = (at(lambda v, i=i: order.ordered(v, axis, descending)[i], x) for i in (0, 1))  # noqa: B023
        np.testing.assert_array_equal(found, places)
        np.testing.assert_array_equal(values, np.take_along_axis(x, places, axis))
        np.testing.assert_array_equal(at(lambda v, p=places: order.along(v, p, axis), x), values)
    np.testing.assert_array_equal(at(lambda v: order.place_of_largest(v, axis), x), x.argmax(axis))


def test_special_functions():
    x = np.array([-2.0, -0.9, -0.16, -1e-3, 0.0, 0.159, 0.16, 0.7])
    np.testing.assert_allclose(at(special.sinc, x), np.sinc(x), 1e-14, 1e-16)
    np.testing.assert_allclose(at(special.asin, x[1:]), np.arcsin(x[1:]), 1e-14, 1e-16)
    np.testing.assert_allclose(at(special.acos, x[1:]), np.arccos(x[1:]), 1e-14)
    np.testing.assert_allclose(at(special.acosh, 1.0 + x[5:]), np.arccosh(1.0 + x[5:]), 1e-13)


@pytest.mark.parametrize("c", [0.9, -0.7, 3.0, 0.1, 2.0])
def test_entries_that_are_equal_stay_equal(c):
    # multiplied and added at once, c x - c x is what the rounding of c x leaves
    x = RNG.normal(size=(3, 4))
    x[2] = x[0]
    for axis in (0, 1):
        places = (c * x).argmax(axis)
        np.testing.assert_array_equal(at(lambda v, axis=axis: order.place_of_largest(c * v, axis), x), places)
        places = np.argsort(c * x, axis, kind="stable")
        np.testing.assert_array_equal(at(lambda v, axis=axis: order.ordered(c * v, axis)[1], x), places)
    np.testing.assert_array_equal(at(lambda v: c * v[:, None] - c * v[None], x), c * x[:, None] - c * x[None])
    both = np.stack([x, -x])
    np.testing.assert_array_equal(at(lambda v: (c * v).sum(0), both), np.zeros(x.shape))
    np.testing.assert_array_equal(at(lambda v: var.where(var.greater(c * v, c * v[:1]), v, 0.0), x)[2], np.zeros(4))
    # a bound that a product reaches by its rounding
    for k in range(1, 50):
        line = np.array([float(k), k + 0.5])
        np.testing.assert_array_equal(at(lambda v, k=k: var.greater(c * v, c * k), line), c * line > c * k)


def test_cumulative_sums_of_exponentials_far_apart():
    x = np.array([[-2000.0, 3.0, -1.0], [0.0, 800.0, -900.0], [1.0, 2.0, 3.0]])
    for axis in (0, 1):
        found = at(lambda v, axis=axis: order.logcumsumexp(v, axis), x)
        np.testing.assert_allclose(found, np.logaddexp.accumulate(x, axis), rtol=1e-14)
