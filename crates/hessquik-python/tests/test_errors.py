"""Errors: named, of the built-in kind that fits, with what was found and what was wanted."""

import numpy as np
import pytest
from common import network, points

import hessquik_rs as hq
from hessquik_rs import _native, errors

NET, X = network(), points()
SINGLE = network("float32")
COT = {"value": np.ones((11, 2))}


def lend(**arrays):
    return lambda: NET.evaluate(X, tuple(arrays), out=arrays)


def fixed(array):
    array.flags.writeable = False
    return array


CASES = {
    "columns": (
        lambda: NET.evaluate(X[:, :2]),
        errors.ShapeError,
        ValueError,
        r"points has shape \[11, 2\], expected \[n_s, 3\]",
    ),
    "axes": (lambda: NET.evaluate(X[0]), errors.ShapeError, ValueError, r"x has shape \[3\], expected 2 axes"),
    "ragged": (lambda: NET.evaluate([[1.0], [1.0, 2.0]]), ValueError, ValueError, "inhomogeneous"),
    "wider": (lambda: SINGLE.evaluate(X), errors.DtypeError, TypeError, "x has dtype float64, expected float32"),
    "text": (
        lambda: NET.evaluate([["a", "b", "c"]]),
        errors.DtypeError,
        TypeError,
        "x has dtype <U1, expected float64",
    ),
    "objects": (lambda: NET.evaluate(X.astype(object)), errors.DtypeError, TypeError, "x has dtype object"),
    "nothing": (lambda: NET.evaluate(None), errors.DtypeError, TypeError, "x has dtype object"),
    "request": (
        lambda: NET.evaluate(X, "hesian"),
        errors.RequestError,
        ValueError,
        'unknown result "hesian"; known are value',
    ),
    "no request": (lambda: NET.evaluate(X, ()), errors.RequestError, ValueError, "the request is empty"),
    "request of numbers": (lambda: NET.evaluate(X, (1,)), TypeError, TypeError, "str"),
    "missing matrix": (
        lambda: NET.evaluate(X, "operator"),
        errors.RequestError,
        ValueError,
        '"operator" needs the argument operator',
    ),
    "mode": (
        lambda: NET.evaluate(X, mode="fast"),
        errors.RequestError,
        ValueError,
        'unknown mode "fast"; known are auto',
    ),
    "mode of another type": (
        lambda: NET.evaluate(X, mode=3),
        errors.RequestError,
        ValueError,
        "mode is 3, expected auto",
    ),
    "plan": (lambda: NET.evaluate(X, mode=(5, [])), errors.SettingError, ValueError, "a prefix of at most 4 layers"),
    "directions": (
        lambda: NET.evaluate(X, directions=X[:, :2]),
        errors.ShapeError,
        ValueError,
        r"input directions has shape \[11, 2\]",
    ),
    "outputs": (
        lambda: NET.evaluate(X, outputs=np.ones((3, 1))),
        errors.ShapeError,
        ValueError,
        r"output directions has shape \[3, 1\]",
    ),
    "operator": (
        lambda: NET.evaluate(X, (), operator=np.eye(2)),
        errors.ShapeError,
        ValueError,
        r"\[2, 2\], expected \[3, 3\]",
    ),
    "index of a block": (
        lambda: NET.evaluate(X, (), block=([3], [0])),
        errors.IndexRangeError,
        ValueError,
        "index 3 is out of range for 3",
    ),
    "negative index": (
        lambda: NET.evaluate(X, (), partials=[(-1, 0)]),
        errors.RequestError,
        ValueError,
        r"partials is \[\(-1, 0\)\], expected a list of pairs",
    ),
    "block": (lambda: NET.evaluate(X, (), block=3), errors.RequestError, ValueError, "block is 3, expected lists"),
    "option": (
        lambda: NET.evaluate(X, direction=X),
        TypeError,
        TypeError,
        'unexpected argument "direction"; options are',
    ),
    "lent shape": (
        lend(value=np.ones((2, 2))),
        errors.ShapeError,
        ValueError,
        r"value has shape \[2, 2\], expected \[11, 2\]",
    ),
    "lent axes": (
        lend(value=np.ones(22)),
        errors.ShapeError,
        ValueError,
        r"out\[\"value\"\] has shape \[22\], expected 2 axes",
    ),
    "lent dtype": (
        lend(value=np.ones((11, 2), "f4")),
        errors.DtypeError,
        TypeError,
        'out\\["value"\\] has dtype float32',
    ),
    "lent list": (
        lend(value=[[0.0]]),
        errors.DtypeError,
        TypeError,
        "has dtype list, expected a numpy array of float64",
    ),
    "lent read only": (lend(value=fixed(np.ones((11, 2)))), ValueError, ValueError, "not writeable"),
    "not lent": (
        lambda: NET.evaluate(X, "value,gradient", out={"value": np.ones((11, 2))}),
        errors.RequestError,
        ValueError,
        "no output array was given",
    ),
    "cotangent shape": (
        lambda: NET.pullback(X, {"value": np.ones((3, 2))}),
        errors.ShapeError,
        ValueError,
        "cotangent given for value",
    ),
    "cotangent axes": (
        lambda: NET.pullback(X, {"value": np.ones(3)}),
        errors.ShapeError,
        ValueError,
        "a cotangent has shape",
    ),
    "cotangent of something else": (
        lambda: NET.pullback(X, COT, "hessian"),
        errors.RequestError,
        ValueError,
        "not part of the request",
    ),
    "no cotangents": (lambda: NET.pullback(X, {}), errors.RequestError, ValueError, "the request is empty"),
    "factored pullback": (
        lambda: NET.pullback(X, COT, "value,factored"),
        errors.RequestError,
        ValueError,
        "no pullback",
    ),
    "weight": (
        lambda: NET.set_weights({"9.K": X}),
        errors.UnknownWeightError,
        ValueError,
        'no weight is named "9.K"; the network has 0.K',
    ),
    "weight shape": (
        lambda: NET.set_weights({"0.K": X}),
        errors.ShapeError,
        ValueError,
        r"weight 0.K has shape \[11, 3\], expected \[3, 7\]",
    ),
    "flat weights": (
        lambda: NET.set_flat_weights(np.ones(3)),
        errors.ShapeError,
        ValueError,
        r"has shape \[3\], expected \[",
    ),
    "composition": (
        lambda: hq.Network([hq.single(2, 3), hq.single(4, 1)]),
        errors.CompositionError,
        ValueError,
        "block 0 .* gives 3 features",
    ),
    "empty": (lambda: hq.Network([]), errors.CompositionError, ValueError, "at least one layer"),
    "setting": (
        lambda: hq.Network(hq.single(0, 3)),
        errors.SettingError,
        ValueError,
        "in_features is 0, expected at least 1",
    ),
    "activation": (
        lambda: hq.Network(hq.single(1, 1, "maxout")),
        errors.ArchitectureError,
        ValueError,
        "unknown variant `maxout`, expected one of `anti_tanh`",
    ),
    "layer": (lambda: hq.Network({"type": "conv"}), errors.ArchitectureError, ValueError, "unknown variant `conv`"),
    "precision": (
        lambda: hq.Network(hq.single(1, 1), dtype="float16"),
        errors.DtypeError,
        TypeError,
        "float16, expected float32 or float64",
    ),
    "too large": (lambda: hq.Network(hq.single(2**40, 2**40)), errors.OutOfMemoryError, MemoryError, "cannot allocate"),
    "results too large": (
        lambda: hq.Network(hq.single(3000, 1, "tanh"), seed=0).evaluate(np.broadcast_to(0.0, (2**34, 3000))),
        errors.OutOfMemoryError,
        MemoryError,
        "cannot allocate",
    ),
    "missing file": (
        lambda: hq.Network.load("no/such/file"),
        errors.MissingFileError,
        FileNotFoundError,
        "no/such/file",
    ),
    "folder": (lambda: NET.save("/"), errors.FileAccessError, OSError, "'/'"),
    "chunk": (lambda: list(NET.stream(X, chunk=0)), ValueError, ValueError, "chunk is 0, expected at least 1"),
    "threads": (lambda: hq.set_num_threads(0), ValueError, ValueError, "at least 1"),
    "architecture": (lambda: _native.Network("{"), errors.ArchitectureError, ValueError, "EOF"),
}


@pytest.mark.parametrize("case", CASES)
def test_errors(case):
    call, named, builtin, message = CASES[case]
    with pytest.raises(named, match=message) as caught:
        call()
    assert isinstance(caught.value, builtin)
    if named.__module__ == errors.__name__:
        assert isinstance(caught.value, errors.HessquikError)


def test_missing_files_are_told_as_python_tells_them():
    with pytest.raises(FileNotFoundError) as caught:
        hq.Network.load("no/such/file")
    assert caught.value.errno == 2 and caught.value.filename == "no/such/file"


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"not a model")
    with pytest.raises(errors.ModelFileError, match="not a safetensors file"):
        hq.Network.load(path)


def test_weights_stay_if_new_ones_do_not_fit():
    net, before = network(), network().flat_weights()
    for wrong in ({"0.b": np.ones(7), "0.K": np.ones(2)}, {"0.b": np.ones(7), "no": np.ones(2)}):
        with pytest.raises(ValueError, match=r"0\.K"):
            net.set_weights(wrong)
        assert (net.flat_weights() == before).all()


def test_every_exception_is_documented_and_named_in_the_engine():
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and kind is not errors.HessquikError and not issubclass(kind, Warning):
            assert issubclass(kind, errors.HessquikError) and kind.__doc__, name
            assert len(kind.__mro__) > len(errors.HessquikError.__mro__) + 1, name
