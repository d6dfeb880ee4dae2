"""Estimates from random directions, and checks of any order, as Python has them."""

import numpy as np
import pytest

import hessquik_rs as hq


def network(d=12, dtype="float64"):
    return hq.Network(hq.fully_connected([d, 10, 2], "tanh", last="identity"), dtype=dtype, seed=1)


def points(d=12, dtype="float64"):
    return np.random.default_rng(0).normal(size=(4, d)).astype(dtype)


TERMS = {(): 0.5, (1,): -1.0, (0, 1): 2.0, (3, 3): 1.0}
HIGHER = {(1,): -1.0, (0, 1): 2.0, (3, 3, 3): 1.0}
B = np.random.default_rng(1).normal(size=(12, 12))
CASES = [
    ("laplacian", {}, "laplacian", {}),
    ("laplacian", {"kind": "gaussian", "per_point": True}, "laplacian", {}),
    ("bilaplacian", {"kind": "gaussian", "directions": 4000}, "bilaplacian", {}),
    ("operator", {"operator": B}, None, {"operator": B}),
    (None, {"operator": TERMS}, None, {"operator": TERMS}),
    (None, {"operator": HIGHER}, None, {"operator": HIGHER}),
]


@pytest.mark.parametrize(("of", "options", "request_", "exact"), CASES, ids=range(len(CASES)))
def test_within_standard_errors(of, options, request_, exact):
    net, x = network(), points()
    u = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, -0.5]])
    found = net.estimate(x, of, **{"directions": 400, "seed": 5, "outputs": u, **options})
    (wanted,) = net.evaluate(x, () if request_ is None else request_, outputs=u, **exact)
    assert found.mean.shape == found.standard_error.shape == (4, 3)
    assert np.all(found.standard_error > 0.0)
    assert np.all(np.abs(found.mean - wanted) < 5.0 * found.standard_error)
    again = net.estimate(x, of, **{"directions": 400, "seed": 5, "outputs": u, **options})
    np.testing.assert_array_equal(found.mean, again.mean)
    single = network(dtype="float32").estimate(points(dtype="float32"), "laplacian")
    assert single.mean.dtype == np.float32


@pytest.mark.parametrize(
    ("of", "options", "message"),
    [
        ("laplacian", {"directions": 1}, "is 1, expected at least 2"),
        ("laplacian", {"directions": -1}, "is -1, expected at least 2"),
        ("laplacian", {"kind": "normal"}, '"normal", expected rademacher or gaussian'),
        ("bilaplacian", {}, "rademacher.*gaussian"),
        ("hessian", {}, "one of laplacian, bilaplacian, operator, found hessian"),
        ("operator", {}, "needs the argument operator"),
        (None, {}, "found value, gradient, hessian"),
        ("laplacian", {"operator": B}, "found laplacian, operator"),
        (None, {"operator": HIGHER, "per_point": True}, r"term \(3, 3, 3\) is of order 3"),
    ],
)
def test_errors(of, options, message):
    with pytest.raises((hq.errors.RequestError, hq.errors.SettingError), match=message):
        network().estimate(points(), of, **options)


def test_checks_of_higher_orders():
    checks = network(3).check(order=5)
    assert checks.passed, str(checks)
    names = [check.name for check in checks.checks]
    assert "Derivatives of orders 1 to 5 along a direction" in names
    partials = checks.checks[names.index("Partials of orders 3 to 5")]
    assert [p["axes"] for p in partials.numbers["partials"]][:3] == [[0, 0, 0], [0, 1, 2], [0, 0, 0, 0]]
    for order in (1, 9):
        with pytest.raises(hq.errors.SettingError, match="expected 2 to 8"):
            network(3).check(order=order)
