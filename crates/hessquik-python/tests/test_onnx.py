"""ONNX files: each operator against onnxruntime and the reference of ONNX, derivatives against differences, errors."""

import typing

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import CASES, Case, array, ints, model

import hessquik_rs as hq
from hessquik_rs.errors import ModelFileError

onnxruntime.set_default_logger_severity(4)
# the reference does not know how softmax was before opset 13, nor groups of transposed convolutions or cut pads
BEYOND = {"Softmax as it was", "LogSoftmax as it was", "ConvTranspose 2", "Pad with a number"}


def loaded(proto, tmp_path, dtype=None):
    onnx.save(proto, tmp_path / "model.onnx")
    return hq.Network.load(tmp_path / "model.onnx", dtype)


def close(found, expected, tolerance):
    expected = np.asarray(expected)
    found = np.asarray(found).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max()))


def points(case, n=5):
    return np.random.default_rng(1).uniform(case.low, case.high, (n, int(np.prod(case.shape))))


@pytest.mark.parametrize("name", CASES)
def test_operators(name, tmp_path):
    case = CASES[name]
    x = points(case)
    for batch in ("n", 5, 1):
        given = x[:1] if batch == 1 else x
        single = model(case, TensorProto.FLOAT, batch)
        session = onnxruntime.InferenceSession(single.SerializeToString())
        net = loaded(single, tmp_path)
        assert net.dtype == np.float32
        close(net(given.astype(np.float32)), session.run(None, {"x": given.astype(np.float32)})[0], 1e-5)
        double = model(case, TensorProto.DOUBLE, batch)
        net = loaded(double, tmp_path)
        assert net.dtype == np.float64
        if name not in BEYOND:
            # the reference has attributes, and erf, in single precision
            close(net(given), ReferenceEvaluator(double).run(None, {"x": given})[0], 2e-7)
    net = loaded(model(case, TensorProto.DOUBLE), tmp_path)
    differences(net, x)


def differences(net, x, h=1e-5):
    """Gradient and Hessian by differences of values and gradients."""
    jet = net.evaluate(x, "gradient,hessian")
    for k, e in enumerate(h * np.eye(x.shape[1])):
        close(jet.gradient[:, k], (net(x + e) - net(x - e)) / (2 * h), 1e-7)
        after, before = (net.evaluate(x + s * e, "gradient").gradient for s in (1, -1))
        close(jet.hessian[:, k], (after - before) / (2 * h), 1e-7)


@pytest.mark.parametrize("name", ["Gemm", "MatMul rows", "Conv", "Add row", "Einsum bij,jk->bik", "LayerNormalization"])
def test_initialisers_are_weights_and_constants_are_not(name, tmp_path):
    case = CASES[name]
    net, fixed = (loaded(model(case, constants=c), tmp_path) for c in (False, True))
    arrays = [i for i in case.inputs if not isinstance(i, str)]
    assert sorted(net.weights()[n].size for n in net.weight_names()) == sorted(a.size for a in arrays)
    assert fixed.weight_names() == []
    x = points(case)
    close(net(x), fixed(x), 1e-14)
    # gradients of the weights, by differences along one direction
    request = "value,laplacian"
    jet = net.evaluate(x, request)
    ones = {"value": np.ones_like(jet.value), "laplacian": np.ones_like(jet.laplacian)}
    slope = net.pullback(x, ones).weights
    flat, h = net.flat_weights(), 1e-6
    direction = np.random.default_rng(2).standard_normal(flat.size)
    total = []
    for s in (h, -h):
        net.set_flat_weights(flat + s * direction)
        moved = net.evaluate(x, request)
        total.append(moved.value.sum() + moved.laplacian.sum())
    close(slope @ direction, (total[0] - total[1]) / (2 * h), 1e-6)


def test_networks_are_saved_as_model_files(tmp_path):
    net = loaded(model(CASES["Conv 2"]), tmp_path)
    net.save(tmp_path / "net.safetensors")
    again = hq.Network.load(tmp_path / "net.safetensors")
    x = points(CASES["Conv 2"])
    assert np.array_equal(net(x), again(x))
    assert again.weight_names() == net.weight_names()
    # an ONNX file is not replaced by a model file of another kind
    with pytest.raises(FileExistsError):
        net.save(tmp_path / "model.onnx")


def graph(nodes, stored=(), shape=("n", 4), outputs=("y",), inputs=("x",), kind=TensorProto.DOUBLE, opset=21, **more):
    """A model of nodes, from x to y."""
    made = helper.make_graph(
        [helper.make_node(op, i, o, name=f"node{k}", **a) for k, (op, i, o, a) in enumerate(nodes)],
        "g",
        [helper.make_tensor_value_info(name, kind, list(shape)) for name in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(a, name) for name, a in dict(stored).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10, **more)


W = array(4, 4)
ACROSS = {
    "mean": [("ReduceMean", ["x", "zero"], ["y"], {})],
    "softmax": [("Softmax", ["x"], ["y"], dict(axis=0))],
    "gram": [("Transpose", ["x"], ["t"], {}), ("MatMul", ["x", "t"], ["y"], {})],
    "covariance": [("Transpose", ["x"], ["t"], {}), ("MatMul", ["t", "x"], ["y"], {})],
    "first": [("Gather", ["x", "zero"], ["y"], dict(axis=0))],
    "part": [("Slice", ["x", "zero", "one"], ["y"], {})],
    "twice": [("Concat", ["x", "x"], ["y"], dict(axis=0))],
    "pairs": [
        ("Unsqueeze", ["x", "zero"], ["a"], {}),
        ("Unsqueeze", ["x", "one"], ["b"], {}),
        ("Sub", ["a", "b"], ["y"], {}),
    ],
    "einsum": [("Einsum", ["x"], ["y"], dict(equation="bi->i"))],
    "shuffle": [("Reshape", ["x", "turned"], ["y"], {})],
    "number of points": [
        ("Shape", ["x"], ["s"], dict(end=1)),
        ("CastLike", ["s", "x"], ["f"], {}),
        ("Div", ["x", "f"], ["y"], {}),
    ],
    "positions": [
        ("Shape", ["x"], ["s"], dict(end=1)),
        ("Squeeze", ["s"], ["e"], {}),
        ("Range", ["none", "e", "step"], ["r"], {}),
        ("CastLike", ["r", "x"], ["f"], {}),
        ("Unsqueeze", ["f", "one"], ["u"], {}),
        ("Add", ["x", "u"], ["y"], {}),
    ],
    "cumulative": [("CumSum", ["x", "none"], ["y"], {})],
}


@pytest.mark.parametrize("batch", ["n", 6])
@pytest.mark.parametrize("name", ACROSS)
def test_operations_across_points_are_refused(name, batch, tmp_path):
    stored = {"zero": ints(0), "one": ints(1), "turned": ints(4, -1), "none": np.array(0), "step": np.array(1)}
    proto = graph(ACROSS[name], stored, (batch, 4))
    if (name, batch) == ("number of points", 6):
        loaded(proto, tmp_path)  # which is then a number like others
        return
    with pytest.raises(ModelFileError) as error:
        loaded(proto, tmp_path)
    assert "point" in str(error.value) or "axis 0" in str(error.value)


def refused(proto, tmp_path, *words):
    with pytest.raises(ModelFileError) as error:
        loaded(proto, tmp_path)
    for word in words:
        assert word in str(error.value), (word, str(error.value))


def test_errors_say_what_and_where(tmp_path):
    refused(
        graph([("Det", ["x"], ["y"], {})]),
        tmp_path,
        "operator Det",
        'node "node0"',
        "opset 21",
        "x [n, 4]",
        "does not have",
    )
    refused(graph([("Add", ["x", "z"], ["y"], {})], inputs=("x", "z")), tmp_path, "2 inputs", "x [?, 4], z [?, 4]")
    refused(
        graph([("Sin", ["x"], ["y"], {}), ("Cos", ["x"], ["z"], {})], outputs=("y", "z")),
        tmp_path,
        "2 outputs",
        "extract_model",
    )
    refused(graph([("Sin", ["x"], ["y"], {})], shape=("n", "d")), tmp_path, "fixed d")
    refused(graph([("Sin", ["x"], ["y"], {})], shape=("n",)), tmp_path, "(n, d)")
    refused(graph([("Sin", ["x"], ["y"], {})], opset=9), tmp_path, "opset 9", "11 to")
    refused(graph([("Sin", ["q"], ["y"], {})]), tmp_path, '"q"')
    refused(graph([("Sin", ["x"], ["z"], {})]), tmp_path, '"y"')
    refused(graph([("Identity", ["w"], ["y"], {})], {"w": W}), tmp_path, "does not depend")
    refused(
        graph([("MatMul", ["x", "w"], ["y"], {})], {"w": array(3, 2)}), tmp_path, "x [n, 4], w [3, 2]", "do not fit"
    )
    refused(graph([("Floor", ["x"], ["y"], {})]), tmp_path, "Floor", "no derivatives")
    refused(graph([("Cast", ["x"], ["y"], dict(to=TensorProto.INT64))]), tmp_path, "Cast", "integers")
    refused(graph([("Sin", ["x"], ["y"], {})], kind=TensorProto.INT64), tmp_path, "floats")
    training = dict(training_mode=1)
    stored = {"a": array(4), "b": array(4), "c": array(4), "d": array(4, low=0.5)}
    nodes = [("BatchNormalization", ["x", "a", "b", "c", "d"], ["y"], training)]
    refused(graph(nodes, stored), tmp_path, "BatchNormalization", "eval()")
    inexact = graph([("MatMul", ["x", "w"], ["y"], {})], {"w": np.full((4, 1), np.nan)})
    refused(inexact, tmp_path, "w", "NaN")
    (tmp_path / "broken.onnx").write_bytes(graph([("Sin", ["x"], ["y"], {})]).SerializeToString()[:-9])
    with pytest.raises(ModelFileError, match="truncated"):
        hq.Network.load(tmp_path / "broken.onnx")


def test_inputs_of_other_shapes(tmp_path):
    x = np.random.default_rng(0).standard_normal((5, 6))
    # one point without an axis for points
    proto = graph([("MatMul", ["x", "w"], ["h"], {}), ("Tanh", ["h"], ["y"], {})], {"w": array(6, 3)}, (6,))
    net = loaded(proto, tmp_path)
    w = numpy_helper.to_array(proto.graph.initializer[0])
    close(net(x), np.tanh(x @ w), 1e-14)
    # a point that is a matrix, and an output that is one
    proto = graph([("Softmax", ["x"], ["y"], dict(axis=1))], (), ("n", 2, 3))
    e = np.exp(x.reshape(5, 2, 3))
    close(loaded(proto, tmp_path)(x), (e / e.sum(1, keepdims=True)).reshape(5, 6), 1e-14)
    # rows of an output that are the point's, one after another
    proto = graph([("Tanh", ["x"], ["t"], {}), ("Reshape", ["t", "s"], ["y"], {})], {"s": ints(-1, 2)}, ("n", 6))
    close(loaded(proto, tmp_path)(x), np.tanh(x), 1e-14)
    # an output without an axis for its single number
    proto = graph([("ReduceSum", ["x", "one"], ["y"], dict(keepdims=0))], {"one": ints(1)}, ("n", 6))
    close(loaded(proto, tmp_path)(x), x.sum(1, keepdims=True), 1e-14)


def test_constants_for_each_of_a_fixed_number_of_points(tmp_path):
    same, other = np.tile(array(1, 4), (3, 1)), array(3, 4)
    x = array(3, 4)
    nodes = [("Add", ["x", "c"], ["y"], {})]
    close(loaded(graph(nodes, {"c": same}, (3, 4)), tmp_path)(x), x + same, 1e-15)
    refused(graph(nodes, {"c": other}, (3, 4)), tmp_path, "differs between the 3 points")


def test_kinds_of_numbers(tmp_path):
    w = array(4, 3)
    x = array(5, 4)
    bits = w.astype(np.float32).view(np.uint32)
    bfloat = ((bits >> 16) << 16).view(np.float32)
    tensors = {
        "float16": (numpy_helper.from_array(w.astype(np.float16), "w"), w.astype(np.float16).astype(float)),
        "bfloat16": (helper.make_tensor("w", TensorProto.BFLOAT16, [4, 3], bfloat.ravel().tolist()), bfloat),
        "float": (numpy_helper.from_array(w.astype(np.float32), "w"), w.astype(np.float32).astype(float)),
        "float_data": (helper.make_tensor("w", TensorProto.FLOAT, [4, 3], w.ravel()), w.astype(np.float32)),
        "double_data": (helper.make_tensor("w", TensorProto.DOUBLE, [4, 3], w.ravel()), w),
        "half in int32_data": (
            helper.make_tensor("w", TensorProto.FLOAT16, [4, 3], w.astype(np.float16).ravel()),
            w.astype(np.float16).astype(float),
        ),
        "int8": (numpy_helper.from_array((10 * w).astype(np.int8), "w"), (10 * w).astype(np.int8).astype(float)),
    }
    for name, (tensor, values) in tensors.items():
        proto = graph([("CastLike", ["w", "x"], ["v"], {}), ("MatMul", ["x", "v"], ["y"], {})])
        proto.graph.initializer.append(tensor)
        close(loaded(proto, tmp_path)(x), x @ values, 1e-15), name
    short = helper.make_tensor("w", TensorProto.FLOAT, [4, 3], w.ravel())
    del short.float_data[7:]
    proto = graph([("MatMul", ["x", "w"], ["y"], {})])
    proto.graph.initializer.append(short)
    refused(proto, tmp_path, '"w"', "12 entries", "7 numbers")
    proto.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.STRING, [1], ["a"]))
    refused(proto, tmp_path, '"w"', "string")


def test_weights_in_a_file_beside_the_model(tmp_path):
    case = CASES["Gemm"]
    x = points(case)
    wanted = loaded(model(case), tmp_path)(x)
    (tmp_path / "apart").mkdir()
    path = tmp_path / "apart" / "apart.onnx"
    onnx.save(model(case), path, save_as_external_data=True, location="numbers.bin", size_threshold=0)
    net = hq.Network.load(path)
    assert np.array_equal(net(x), wanted)
    numbers = (path.parent / "numbers.bin").read_bytes()
    (path.parent / "numbers.bin").write_bytes(numbers[:-8])
    with pytest.raises(ModelFileError, match=r"numbers\.bin"):
        hq.Network.load(path)
    (path.parent / "numbers.bin").unlink()
    with pytest.raises(ModelFileError, match=r"numbers\.bin"):
        hq.Network.load(path)
    (tmp_path / "numbers.bin").write_bytes(numbers)
    proto = onnx.load(path, load_external_data=False)
    for tensor in proto.graph.initializer:
        next(e for e in tensor.external_data if e.key == "location").value = "../numbers.bin"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelFileError, match="beside the model"):
        hq.Network.load(path)


def test_branches_and_functions(tmp_path):
    x = array(5, 4)
    branch = {
        name: helper.make_graph(
            [helper.make_node(op, ["x"], ["b"])],
            name,
            [],
            [helper.make_tensor_value_info("b", TensorProto.DOUBLE, None)],
        )
        for name, op in (("then_branch", "Sin"), ("else_branch", "Cos"))
    }
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Size", ["s"], ["r"], {}),
        ("Equal", ["r", "two"], ["c"], {}),
        ("If", ["c"], ["y"], branch),
    ]
    close(loaded(graph(nodes, {"two": np.array(2)}), tmp_path)(x), np.sin(x), 1e-15)
    nodes = [
        ("ReduceMax", ["x"], ["m"], dict(keepdims=0)),
        ("Greater", ["m", "zero"], ["c"], {}),
        ("If", ["c"], ["y"], branch),
    ]
    refused(graph(nodes, {"zero": np.array(0.0)}, shape=(1, 4)), tmp_path, "operator If", "Where")

    leaky = helper.make_node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    body = [helper.make_node("Mul", ["v", "v"], ["a"]), helper.make_node("Neg", ["a"], ["n"]), leaky]
    body[2].input[0] = "n"
    own = helper.make_function("mine", "squared", ["v"], ["b"], body, [helper.make_opsetid("", 21)], ["slope"])
    proto = graph([("squared", ["x"], ["y"], dict(domain="mine", slope=0.25))], functions=[own])
    close(loaded(proto, tmp_path)(x), -0.25 * x * x, 1e-15)
    endless = helper.make_function(
        "mine", "f", ["v"], ["b"], [helper.make_node("f", ["v"], ["b"], domain="mine")], [helper.make_opsetid("", 21)]
    )
    refused(graph([("f", ["x"], ["y"], dict(domain="mine"))], functions=[endless]), tmp_path, "nested")


def body(nodes, inputs, outputs, stored=(), kinds=None):
    """The body of a loop."""

    def port(name):
        # numbers of turns and conditions are scalars
        of = (kinds[name], []) if kinds and name in kinds else (TensorProto.DOUBLE, None)
        return helper.make_tensor_value_info(name, *of)

    return helper.make_graph(
        [helper.make_node(op, i, o, **a) for op, i, o, a in nodes],
        "body",
        [port(name) for name in inputs],
        [port(name) for name in outputs],
        [numpy_helper.from_array(a, name) for name, a in dict(stored).items()],
    )


KINDS = {"i": TensorProto.INT64, "c": TensorProto.BOOL, "go": TensorProto.BOOL}
STEP = [("Transpose", ["w"], ["t"], {}), ("MatMul", ["h", "t"], ["z"], {}), ("Add", ["z", "b"], ["s"], {})]


def looped(nodes, condition=(("Identity", ["c"], ["go"], {}),), turns=3, batch="n"):
    inner = body([*nodes, *condition], ["i", "c", "h"], ["go", "next", "row"], {"b": W[0]}, KINDS)
    nodes = [
        ("Loop", ["turns", "yes", "x"], ["last", "rows"], dict(body=inner)),
        ("ReduceMean", ["rows", "first"], ["mean"], dict(keepdims=0)),
        ("Add", ["last", "mean"], ["y"], {}),
    ]
    stored = {"turns": np.array(turns), "yes": np.array(True), "w": W, "first": ints(0), "two": np.array(2)}
    return graph(nodes, stored, shape=(batch, 4))


def by_onnxruntime(proto, x):
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})[0]


def test_loops_are_written_out(tmp_path):
    """Loops of a known number of turns, or while a known condition holds; weights are the same in each turn."""
    x = array(5, 4)
    inner = [*STEP, ("Tanh", ["s"], ["next"], {}), ("Sin", ["next"], ["row"], {})]
    for batch in ("n", 5, 1):
        proto, given = looped(inner, batch=batch), x[:1] if batch == 1 else x
        net = loaded(proto, tmp_path)
        close(net(given), by_onnxruntime(proto, given), 1e-14)
        assert len(net.weight_names()) == 2
        differences(net, given)
    # while the number of the turn is less than two, which makes three turns
    proto = looped(inner, [("Less", ["i", "two"], ["go"], {})], turns=10)
    close(loaded(proto, tmp_path)(x), by_onnxruntime(proto, x), 1e-14)
    refused(looped(inner, turns=0), tmp_path, "Loop", "no turns")
    refused(looped(inner, turns=10**12), tmp_path, "more than")
    sums = [("ReduceSum", ["next"], ["q"], dict(keepdims=0)), ("Less", ["q", "zero"], ["go"], {})]
    nothing = [("Sub", ["b", "b"], ["b0"], {}), ("ReduceSum", ["b0"], ["zero"], dict(keepdims=0))]
    single = looped([*inner, *nothing], sums, batch=1)
    refused(single, tmp_path, "Loop", "number of turns depends on the points")


@pytest.mark.parametrize("backwards", [0, 1])
def test_scans_are_written_out(backwards, tmp_path):
    x = array(5, 6)
    inner = [("MatMul", ["e", "v"], ["z"], {}), ("Add", ["z", "h"], ["s"], {}), ("Tanh", ["s"], ["next"], {}),
             ("Mul", ["next", "k"], ["row"], {})]  # fmt: skip
    inner = body(inner, ["h", "e", "k"], ["next", "row"], {"v": W[:2]})
    settings = dict(num_scan_inputs=2, scan_input_axes=[1, 0], scan_input_directions=[backwards, 0])
    settings |= dict(scan_output_axes=[-2], scan_output_directions=[backwards], body=inner)
    nodes = [
        ("Reshape", ["x", "shape"], ["r"], {}),
        ("Slice", ["x", "from", "to", "axis"], ["start"], {}),
        ("Scan", ["start", "r", "factors"], ["last", "rows"], settings),
        ("Flatten", ["rows"], ["f"], {}),
        ("Concat", ["f", "last"], ["y"], dict(axis=1)),
    ]
    stored = {"shape": ints(-1, 3, 2), "factors": array(3, 4), "from": ints(0), "to": ints(4), "axis": ints(1)}
    proto = graph(nodes, stored, shape=("n", 6))
    net = loaded(proto, tmp_path)
    close(net(x), by_onnxruntime(proto, x), 1e-14)
    assert sorted(net.weight_names()) == ["factors", "v"]
    differences(net, x)
    settings["scan_input_axes"] = [0, 0]
    refused(graph(nodes, stored, shape=("n", 6)), tmp_path, "Scan", "on which the points are")


def test_numbers_in_two_precisions(tmp_path):
    proto = model(CASES["Gemm"], TensorProto.FLOAT)
    x = points(CASES["Gemm"])
    single, double = loaded(proto, tmp_path), loaded(proto, tmp_path, "float64")
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    close(single(x.astype(np.float32)), double(x), 1e-6)
    big = graph([("MatMul", ["x", "w"], ["y"], {})], {"w": np.full((4, 1), 1e300)})
    onnx.save(big, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match="too large for f32"):
        hq.Network.load(tmp_path / "model.onnx", "float32")


def test_shared_and_derived_weights_have_names(tmp_path):
    stored = {"w": W, "g": array(4), "module.b": array(4)}
    nodes = [
        ("Transpose", ["w"], ["t"], {}),
        ("MatMul", ["x", "t"], ["a"], {}),
        ("Tanh", ["a"], ["h"], {}),
        ("MatMul", ["h", "t"], ["c"], {}),
        ("Add", ["c", "module.b"], ["d"], {}),
        ("Mul", ["g", "w"], ["gw"], {}),
        ("MatMul", ["d", "gw"], ["y"], {}),
    ]
    net = loaded(graph(nodes, stored), tmp_path)
    assert net.weight_names() == ["w", "b", "gw"]
    x = array(5, 4)
    hidden = np.tanh(x @ W.T) @ W.T + stored["module.b"]
    close(net(x), hidden @ (stored["g"] * W), 1e-14)
    net.save(tmp_path / "net.safetensors")
    close(hq.Network.load(tmp_path / "net.safetensors")(x), net(x), 0)


def test_masks_with_infinities(tmp_path):
    mask = np.triu(np.full((3, 3), -np.inf), 1)
    case = Case("Add", (3, 3), ("x", mask), also=(("Softmax", [], {}),))
    net = loaded(model(case), tmp_path)
    x = points(case)
    e = np.exp(x.reshape(5, 3, 3) + mask)
    close(net(x), (e / e.sum(-1, keepdims=True)).reshape(5, 9), 1e-14)
    differences(net, x)


SAVED = {
    "sine": lambda: hq.fully_connected([2, 8, 2], "sin"),
    "softplus": lambda: hq.resnet(3, 2, h=0.5, act="softplus"),
    "selu": lambda: hq.fully_connected([2, 8, 1], "selu"),
    "icnn": lambda: hq.icnn(3, [5, 4]),
    "modified MLP": lambda: hq.modified_mlp(2, 8, 2, out_features=1),
    "attention": lambda: hq.attention(3, 4, 2),
    "DeepONet": lambda: hq.deeponet(hq.fully_connected([3, 8, 6]), hq.fully_connected([2, 8, 6]), 2),
    "separable": lambda: hq.separable([hq.fully_connected([1, 8, 4]) for _ in range(3)]),
    "layer norm": lambda: hq.layer_norm(4, 2),
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_models_are_evaluated_by_onnxruntime(name, tmp_path):
    net = hq.Network(SAVED[name](), seed=1, dtype="float32")
    net.save_onnx(tmp_path / "net.onnx")
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    x = np.random.default_rng(3).standard_normal((6, net.dim_input)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    close(session.run(["y"], {"x": x})[0], net(x), 2e-6)
    close(session.run(["y"], {"x": x[:1]})[0], net(x[:1]), 2e-6)
    close(hq.Network.load(tmp_path / "net.onnx")(x), net(x), 2e-6)
    with pytest.raises(FileExistsError):
        net.save_onnx(tmp_path / "net.onnx")
    net.save_onnx(tmp_path / "net.onnx", overwrite=True)
    double = hq.Network(SAVED[name](), seed=1, dtype="float64")
    double.save_onnx(tmp_path / "double.onnx")
    x = x.astype(np.float64)
    close(ReferenceEvaluator(onnx.load(tmp_path / "double.onnx")).run(None, {"x": x})[0], double(x), 1e-12)


SETTINGS = {
    "power": {"type": "power", "p": 3.0},
    "scaled": hq.architecture.scaled("mish", 0.5, 1.5),
    "cut softplus": hq.architecture.softplus(2.0, 0.5),
}
EVERY = {
    f"all {act}": lambda act=act: hq.fully_connected([2, 5, 2], SETTINGS.get(act, act))
    for act in [*typing.get_args(hq.architecture.ActivationName), "scaled", "cut softplus"]
}


# ONNX's reference computes these in single precision, whatever the precision of the model
SINGLE = ("all erf", "all gelu", "all tanh_gelu")


def made(name, dtype):
    """A network; one of logarithms or roots with weights so large that these are above zero."""
    net = hq.Network((SAVED.get(name) or EVERY[name])(), seed=1, dtype=dtype)
    if name in ("all log", "all sqrt"):
        net.set_weights({key: 2.0 + np.abs(w) for key, w in net.weights().items()})
    return net


@pytest.mark.parametrize("name", [*SAVED, *EVERY])
def test_saved_derivatives_are_evaluated_by_onnx(name, tmp_path):
    request = "value,gradient,hessian,laplacian"
    names = ["y", "gradient", "hessian", "laplacian"]
    single, double = (made(name, dtype) for dtype in ("float32", "float64"))
    x = np.random.default_rng(3).uniform(1.2, 2.0, (3, single.dim_input))
    single.save_onnx(tmp_path / "single.onnx", request)
    onnx.checker.check_model(tmp_path / "single.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "single.onnx")
    x32 = x.astype(np.float32)
    for ours, theirs in zip(single.evaluate(x32, request), session.run(names, {"x": x32}), strict=True):
        close(theirs, ours, 3e-5)
    double.save_onnx(tmp_path / "double.onnx", request)
    found = ReferenceEvaluator(onnx.load(tmp_path / "double.onnx")).run(names, {"x": x})
    for ours, theirs in zip(double.evaluate(x, request), found, strict=True):
        assert np.isfinite(ours).all()
        close(theirs, ours, 1e-6 if name in SINGLE else 1e-11)


def test_other_results_are_not_saved(tmp_path):
    net = hq.Network(hq.fully_connected([2, 3, 1]), seed=0)
    with pytest.raises(hq.errors.RequestError, match="value, gradient, hessian and laplacian"):
        net.save_onnx(tmp_path / "net.onnx", "value,packed")
    assert not (tmp_path / "net.onnx").exists()
    net.save_onnx(tmp_path / "net.onnx", "laplacian")
    assert [o.name for o in onnx.load(tmp_path / "net.onnx").graph.output] == ["laplacian"]
