"""Writes the ONNX files of the Rust tests, with values that the reference of ONNX computes: `python make.py`."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
rng = np.random.default_rng(11)


def array(*shape):
    """Random weights."""
    return rng.uniform(-0.8, 0.8, shape)


def ints(*values):
    """Integers."""
    return np.array(values, np.int64)


def model(nodes, stored, d, opset=17, dtype=np.float64, points="n"):
    """A model from x to y of nodes (op, inputs, output, attributes)."""
    kind = TensorProto.DOUBLE if dtype == np.float64 else TensorProto.FLOAT
    made = [helper.make_node(op, i, [o], name=f"/{op}_{k}", **a) for k, (op, i, o, a) in enumerate(nodes)]
    numbers = {n: a.astype(dtype) if a.dtype == np.float64 else a for n, a in stored.items()}
    x = helper.make_tensor_value_info("x", kind, [points, d])
    y = helper.make_tensor_value_info("y", kind, None)
    tensors = [numpy_helper.from_array(a, n) for n, a in numbers.items()]
    graph = helper.make_graph(made, "network", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


MLP = [
    ("Gemm", ["x", "0.weight", "0.bias"], "h", dict(transB=1)),
    ("Tanh", ["h"], "a", {}),
    ("Gemm", ["a", "2.weight", "2.bias"], "y", dict(transB=1)),
]
ATTENTION = [
    ("Reshape", ["x", "tokens"], "t", {}),
    ("LayerNormalization", ["t", "scale", "shift"], "u", {}),
    ("MatMul", ["u", "qkv"], "m", {}),
    ("Shape", ["m"], "s", {}),
    ("Slice", ["s", "zero", "one"], "n", {}),
    ("Concat", ["n", "heads"], "split", dict(axis=0)),
    ("Reshape", ["m", "split"], "f", {}),
    ("Transpose", ["f"], "g", dict(perm=[2, 0, 3, 1, 4])),
    ("Gather", ["g", "q"], "queries", dict(axis=0)),
    ("Gather", ["g", "k"], "keys", dict(axis=0)),
    ("Gather", ["g", "v"], "values", dict(axis=0)),
    ("Transpose", ["keys"], "kt", dict(perm=[0, 1, 3, 2])),
    ("MatMul", ["queries", "kt"], "scores", {}),
    ("Div", ["scores", "root"], "scaled", {}),
    ("Softmax", ["scaled"], "p", dict(axis=-1)),
    ("MatMul", ["p", "values"], "w", {}),
    ("Transpose", ["w"], "b", dict(perm=[0, 2, 1, 3])),
    ("Reshape", ["b", "flat"], "c", {}),
    ("Gemm", ["c", "out", "bias"], "y", {}),
]
CONV = [
    ("Reshape", ["x", "image"], "i", {}),
    ("Conv", ["i", "first", "b1"], "c", dict(kernel_shape=[3], pads=[1, 1])),
    ("Softplus", ["c"], "s", {}),
    ("AveragePool", ["s"], "p", dict(kernel_shape=[2], strides=[2])),
    ("BatchNormalization", ["p", "gamma", "beta", "mean", "var"], "n", {}),
    ("Flatten", ["n"], "f", {}),
    ("MatMul", ["f", "last"], "m", {}),
    ("Sin", ["m"], "y", {}),
]
RELU = [
    ("Gemm", ["x", "k", "b"], "h", {}),
    ("Relu", ["h"], "a", {}),
    ("ReduceMax", ["a"], "m", dict(axes=[1], keepdims=1)),
    ("Where", ["mask", "a", "h"], "w", {}),
    ("Concat", ["w", "m"], "y", dict(axis=1)),
]
FILES = {
    "mlp": (MLP, {"0.weight": array(5, 2), "0.bias": array(5), "2.weight": array(3, 5), "2.bias": array(3)}, 2),
    "attention": (
        ATTENTION,
        {
            "tokens": ints(0, 3, 4),
            "scale": array(4),
            "shift": array(4),
            "qkv": array(4, 12),
            "zero": ints(0),
            "one": ints(1),
            "heads": ints(3, 3, 2, 2),
            "q": np.array(0),
            "k": np.array(1),
            "v": np.array(2),
            "root": np.array(np.sqrt(2.0)),
            "flat": ints(-1, 12),
            "out": array(12, 2),
            "bias": array(2),
        },
        12,
    ),
    "conv": (
        CONV,
        {
            "image": ints(-1, 2, 6),
            "first": array(3, 2, 3),
            "b1": array(3),
            "gamma": array(3),
            "beta": array(3),
            "mean": array(3),
            "var": 1.0 + array(3) ** 2,
            "last": array(9, 2),
        },
        12,
    ),
    "relu": (RELU, {"k": array(3, 4), "b": array(4), "mask": np.array([True, False, True, True])}, 3),
}


def main():
    """Writes the files, and `expected.json` with points and values."""
    expected = {}
    for name, (nodes, stored, d) in FILES.items():
        proto = model(nodes, stored, d)
        onnx.save(proto, HERE / f"{name}.onnx")
        x = rng.uniform(-1.0, 1.0, (3, d))
        expected[name] = {"x": x.tolist(), "y": ReferenceEvaluator(proto).run(None, {"x": x})[0].tolist()}
    nodes, stored, d = FILES["mlp"]
    onnx.save(model(nodes, stored, d, opset=13, dtype=np.float32, points=1), HERE / "mlp_single.onnx")
    onnx.save(model([*nodes[:2], ("NonZero", ["a"], "y", {})], stored, d), HERE / "unknown.onnx")
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
