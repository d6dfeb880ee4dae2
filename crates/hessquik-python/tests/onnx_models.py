"""ONNX models of single operators, between a reshape of the points and a flat output."""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(7)


def array(*shape, low=-1.0, high=1.0):
    """Random numbers, as an initialiser."""
    return rng.uniform(low, high, shape)


def ints(*values):
    """Integers, as an initialiser."""
    return np.array(values, np.int64)


@dataclass
class Case:
    """An operator at `x` (n, *shape), with further inputs.

    - **inputs** arrays, or names of values; "x" is the points in their shape
    - **nodes** before the operator, as (op, inputs, outputs, attributes)
    - **low**, **high** where the points are
    """

    op: str
    shape: tuple = (4,)
    inputs: tuple = ("x",)
    attributes: dict = field(default_factory=dict)
    nodes: tuple = ()
    low: float = -1.2
    high: float = 1.2
    outputs: int = 1
    pick: int = 0
    opset: int = 21
    domain: str = ""
    also: tuple = ()


def model(case, kind=TensorProto.DOUBLE, points="n", constants=False):
    """The model of a case; `constants` stores arrays as nodes in place of initialisers."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    d = int(np.prod(case.shape))
    nodes, stored = [], []

    def named(operand):
        if operand is None:
            return ""
        if isinstance(operand, str):
            return operand
        operand = np.asarray(operand)
        name = f"c{len(stored) + len(nodes)}"
        tensor = numpy_helper.from_array(operand.astype(dtype) if operand.dtype == np.float64 else operand, name)
        if constants:
            nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            stored.append(tensor)
        return name

    first = "x"
    if len(case.shape) > 1:
        first = "p"
        nodes.append(helper.make_node("Reshape", ["x", named(ints(-1, *case.shape))], ["p"]))
    rename = {"x": first}
    for op, inputs, outputs, attributes in case.nodes:
        inputs = [rename.get(i, i) if isinstance(i, str) else named(i) for i in inputs]
        nodes.append(helper.make_node(op, inputs, outputs, **attributes))
    inputs = [rename.get(i, i) if isinstance(i, str) else named(i) for i in case.inputs]
    outputs = [f"o{i}" for i in range(case.outputs)]
    nodes.append(helper.make_node(case.op, inputs, outputs, name="theOp", domain=case.domain, **case.attributes))
    last = outputs[case.pick]
    for op, extra, attributes in case.also:
        nodes.append(helper.make_node(op, [last, *[named(e) for e in extra]], [f"{last}_"], **attributes))
        last += "_"
    nodes.append(helper.make_node("Flatten", [last], ["y"], axis=1))
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", kind, [points, d])],
        [helper.make_tensor_value_info("y", kind, None)],
        stored,
    )
    opsets = [helper.make_opsetid("", case.opset)]
    if case.domain:
        opsets.append(helper.make_opsetid(case.domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _by_order():
    float_again = (("CastLike", ["x"], {}),)
    yield "TopK", Case("TopK", (3, 5), ("x", ints(2)), outputs=2)
    yield "TopK least", Case("TopK", (4, 3), ("x", ints(3)), dict(axis=1, largest=0), outputs=2)
    yield "TopK places", Case("TopK", (3, 5), ("x", ints(3)), outputs=2, pick=1, also=float_again)
    yield "ArgMax", Case("ArgMax", (3, 5), attributes=dict(axis=2), also=float_again)
    yield "ArgMin", Case("ArgMin", (4, 3), attributes=dict(axis=1, keepdims=0), also=float_again)
    largest = (("ArgMax", ["x"], ["m"], dict(axis=1, keepdims=0)), ("Mul", ["m", np.array(1)], ["i"], {}))
    yield "Gather at the largest", Case("Gather", (5,), (array(5, 3), "i"), dict(axis=0), nodes=largest)
    yield "Gather of columns", Case("Gather", (5,), (array(2, 5, 3), "i"), dict(axis=1), nodes=largest,
                                    also=(("Transpose", [], dict(perm=[1, 0, 2])),))  # fmt: skip
    sort = (("TopK", ["x", ints(3)], ["v", "i"], dict(axis=1)), ("Exp", ["x"], ["e"], {}))
    yield "GatherElements in order", Case("GatherElements", (4, 2), ("e", "i"), dict(axis=1), nodes=sort)
    whole = (*largest, ("Sub", ["i", np.array(5)], ["d"], {}), ("Max", ["d", np.array(-3)], ["j"], {}))
    yield "Gather from the end", Case("Gather", (5,), (array(5, 3), "k"), dict(axis=0), nodes=(
        *whole, ("Cast", ["j"], ["k"], dict(to=TensorProto.INT64)),
    ))  # fmt: skip
    yield "OneHot", Case("OneHot", (5,), ("i", np.array(5), array(2)), nodes=largest)
    yield "OneHot before", Case("OneHot", (3, 4), ("m", np.array(4), array(2)), dict(axis=1), nodes=(
        ("ArgMax", ["x"], ["m"], dict(axis=2, keepdims=0)),
    ))  # fmt: skip


def _scattered():
    turned = (
        ("Transpose", ["x"], ["t"], dict(perm=[1, 0])),
        ("Gather", ["t", ints(0, 4, 2)], ["g"], {}),
        ("Exp", ["g"], ["u"], {}),
    )
    back = (("Transpose", [], dict(perm=[1, 0])),)
    for reduction in ("none", "add"):
        inputs = ("t", np.array([[1], [3], [-5]]), "u")
        yield f"ScatterND {reduction}", Case("ScatterND", (5,), inputs, dict(reduction=reduction), turned, also=back)
        index = rng.permuted(np.tile(np.arange(5), (1, 4, 1)), axis=2).transpose(0, 2, 1)[:, :3]
        nodes = (
            ("Shape", ["x"], ["n"], dict(end=1)),
            ("Concat", ["n", ints(3, 4)], ["s"], dict(axis=0)),
            ("Expand", [index, "s"], ["i"], {}),
            ("Slice", ["x", ints(0), ints(3), ints(1)], ["p3"], {}),
            ("Sin", ["p3"], ["u"], {}),
        )
        attributes = dict(axis=1, reduction=reduction)
        yield f"ScatterElements {reduction}", Case("ScatterElements", (5, 4), ("x", "i", "u"), attributes, nodes)
    places = (("NonZero", [ints(0, 1, 0, 3, 1)], ["z"], {}), ("Squeeze", ["z", ints(0)], ["w"], {}))
    yield "NonZero", Case("Gather", (5, 4), ("x", "w"), dict(axis=1), nodes=places)
    for op in ("IsNaN", "IsInf"):
        yield op, Case("Where", inputs=("c", np.array(0.5), "x"), nodes=((op, ["x"], ["c"], {}),))
    beside = (("Reshape", ["x", ints(1, 1, -1, 6)], ["r"], {}),)
    behind = (("Transpose", [], dict(perm=[2, 0, 1, 3])),)
    yield "Conv beside the points", Case("Conv", (6,), ("r", array(2, 1, 1, 3), array(2)), nodes=beside, also=behind)
    yield "MaxPool beside the points", Case("MaxPool", (6,), ("r",), dict(kernel_shape=[1, 2], strides=[1, 2]), beside,
                                            also=behind)  # fmt: skip


def _cases():
    away = dict(low=0.3, high=1.5)
    entries = "Neg Exp Erf Sin Cos Tan Atan Sinh Cosh Asinh Tanh Sigmoid Softplus Softsign Relu Mish LeakyRelu Elu Celu"
    for op in (*entries.split(), *"Selu HardSigmoid HardSwish ThresholdedRelu Abs Identity Sign Gelu Asin".split()):
        yield op, Case(op, low=-0.9, high=0.9)
    for op in ("Sqrt", "Log", "Reciprocal"):
        yield op, Case(op, **away)
    yield "Acosh", Case("Acosh", low=1.2, high=2.0)
    yield "Acos", Case("Acos", low=-0.9, high=0.9)
    yield "Atanh", Case("Atanh", low=-0.7, high=0.7)
    yield "LeakyRelu alpha", Case("LeakyRelu", attributes=dict(alpha=0.3))
    yield "Elu alpha", Case("Elu", attributes=dict(alpha=0.7))
    yield "Celu alpha", Case("Celu", attributes=dict(alpha=0.7))
    yield "Selu other", Case("Selu", attributes=dict(alpha=1.5, gamma=1.2))
    yield "Gelu tanh", Case("Gelu", attributes=dict(approximate="tanh"))
    yield "HardSigmoid other", Case("HardSigmoid", attributes=dict(alpha=0.5, beta=0.4))
    yield "ThresholdedRelu other", Case("ThresholdedRelu", attributes=dict(alpha=0.2))
    yield "Shrink", Case("Shrink", attributes=dict(bias=0.2, lambd=0.3))
    yield "Swish", Case("Swish", opset=24, attributes=dict(alpha=1.5))
    yield "PRelu", Case("PRelu", (3, 4), ("x", array(3, 1)))
    yield "Clip", Case("Clip", inputs=("x", np.array(-0.3), np.array(0.6)))
    yield "Clip below", Case("Clip", inputs=("x", np.array(-0.3)))
    yield "Clip above", Case("Clip", inputs=("x", None, np.array(0.1)))
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        yield f"{op} row", Case(op, (3, 4), ("x", array(4, low=0.5)))
        yield f"{op} number", Case(op, (3, 4), ("x", np.array(0.7)))
        yield f"{op} from the left", Case(op, (3, 4), (array(3, 1), "x"), **away)
        yield (
            f"{op} with itself moved",
            Case(op, (3, 3), ("x", "t"), nodes=(("Transpose", ["x"], ["t"], dict(perm=[0, 2, 1])),), **away),
        )
        yield (
            f"{op} outer",
            Case(
                op,
                (4,),
                ("a", "b"),
                nodes=(("Unsqueeze", ["x", ints(1)], ["a"], {}), ("Unsqueeze", ["x", ints(2)], ["b"], {})),
                **away,
            ),
        )
    yield "Max of three", Case("Max", (3, 4), ("x", array(4), array(3, 1)))
    yield "Sum", Case("Sum", (3, 4), ("x", array(4), "x"))
    yield "Mean", Case("Mean", (3, 4), ("x", array(4), array(3, 4)))
    for p in (2.0, 3.0, 0.5, -1.0, 1.0, 0.0, 1.7):
        yield f"Pow {p}", Case("Pow", inputs=("x", np.array(p)), **away)
    yield "Pow of ints", Case("Pow", inputs=("x", ints(0, 1, 2, 3)))
    yield "Pow of several", Case("Pow", (3, 1), ("x", np.array([0.0, 1.0, 2.0, 3.0, 2.5])), **away)
    yield "Pow of a base", Case("Pow", inputs=(np.array(2.5), "x"))
    yield "Pow varying", Case("Pow", inputs=("x", "s"), nodes=(("Sin", ["x"], ["s"], {}),), **away)
    for op in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal"):
        yield (
            f"{op} where",
            Case("Where", (3, 4), ("c", "x", "e"), nodes=((op, ["x", array(4)], ["c"], {}), ("Exp", ["x"], ["e"], {}))),
        )
    yield (
        "Where constant",
        Case("Where", (3, 4), (np.array([True, False, False, True]), "x", "e"), nodes=(("Exp", ["x"], ["e"], {}),)),
    )
    yield "Where constant filled", Case("Where", (3, 4), (np.array([True, False, False, True]), "x", np.array(-3.0)))
    for op in ("And", "Or", "Xor"):
        before = (
            ("Greater", ["x", np.array(0.2)], ["c"], {}),
            ("Less", ["x", array(4)], ["e"], {}),
            (op, ["c", "e"], ["f"], {}),
            ("Not", ["f"], ["g"], {}),
        )
        yield f"{op} where", Case("Where", (3, 4), ("g", "x", np.array(0.5)), nodes=before)
    yield (
        "Cast of a condition",
        Case(
            "CastLike",
            nodes=(("Greater", ["x", np.array(0.1)], ["c"], {}),),
            inputs=("c", "x"),
            also=(("Mul", [array(4)], {}),),
        ),
    )

    # shapes
    yield "Reshape", Case("Reshape", (3, 4), ("x", ints(0, 2, 6)))
    yield "Reshape -1", Case("Reshape", (3, 4), ("x", ints(-1, 12)))
    yield "Flatten", Case("Flatten", (3, 4), attributes=dict(axis=1))
    yield (
        "Flatten rows",
        Case(
            "Flatten",
            (3, 4),
            attributes=dict(axis=2),
            also=(("MatMul", [array(4, 2)], {}), ("Reshape", [ints(-1, 3, 2)], {})),
        ),
    )
    yield "Squeeze", Case("Squeeze", (3, 1, 4), ("x", ints(2)))
    yield "Squeeze from the end", Case("Squeeze", (3, 1, 4), ("x", ints(-2)))
    yield "Unsqueeze", Case("Unsqueeze", (3, 4), ("x", ints(-1, 1)))
    yield "Unsqueeze before", Case("Unsqueeze", (3, 4), ("x", ints(0)), also=(("Squeeze", [ints(0)], {}),))
    yield "Transpose", Case("Transpose", (2, 3, 4), attributes=dict(perm=[0, 3, 1, 2]))
    yield (
        "Transpose of points",
        Case(
            "Transpose",
            (2, 3),
            attributes=dict(perm=[1, 0, 2]),
            also=(
                ("Softmax", [], dict(axis=2)),
                ("Transpose", [], dict(perm=[1, 2, 0])),
            ),
        ),
    )
    yield "Expand", Case("Expand", (3, 1), ("x", ints(3, 4)))
    yield "Expand of more", Case("Expand", (3, 1), ("x", ints(1, 1, 4)))
    yield "Tile", Case("Tile", (3, 2), ("x", ints(1, 2, 3)))
    yield "Concat", Case("Concat", (3, 4), ("x", "e", "x"), dict(axis=2), nodes=(("Exp", ["x"], ["e"], {}),))
    yield "Concat from the end", Case("Concat", (3, 4), ("x", "e"), dict(axis=-2), nodes=(("Exp", ["x"], ["e"], {}),))
    for i in range(3):
        yield f"Split {i}", Case("Split", (5, 2), ("x", ints(1, 3, 1)), dict(axis=1), outputs=3, pick=i)
    yield "Split evenly", Case("Split", (6, 2), attributes=dict(axis=1, num_outputs=3), outputs=3, pick=1)
    yield "Split unevenly", Case("Split", (5, 2), attributes=dict(axis=1, num_outputs=3), outputs=3, pick=2)
    yield "Slice", Case("Slice", (5, 4), ("x", ints(1, 0), ints(4, 2), ints(1, 2)))
    yield "Slice by steps", Case("Slice", (5, 4), ("x", ints(-1, 3), ints(-6, 0), ints(1, 2), ints(-2, -1)))
    yield (
        "Slice of everything",
        Case("Slice", (5, 4), ("x", ints(0, 1), ints(2**63 - 1, 2**63 - 1), ints(0, 1), ints(1, 2))),
    )
    yield "Gather", Case("Gather", (5, 4), ("x", ints(3, -1, 0)), dict(axis=1))
    yield "Gather one", Case("Gather", (5, 4), ("x", np.array(2)), dict(axis=2))
    yield "Gather many", Case("Gather", (5, 4), ("x", np.array([[0, 1], [2, -2]])), dict(axis=1))
    index = rng.integers(-5, 5, (1, 3, 4))
    yield (
        "GatherElements",
        Case(
            "GatherElements",
            (5, 4),
            ("x", "i"),
            dict(axis=1),
            nodes=(
                ("Shape", ["x"], ["n"], dict(end=1)),
                ("Concat", ["n", ints(3, 4)], ["s"], dict(axis=0)),
                ("Expand", [index, "s"], ["i"], {}),
            ),
        ),
    )
    yield from _by_order()
    yield from _scattered()
    yield "Trilu", Case("Trilu", (4, 5), attributes=dict(upper=0))
    yield "Trilu up", Case("Trilu", (4, 5), ("x", np.array(1)))
    for mode in ("constant", "edge", "reflect", "wrap"):
        yield f"Pad {mode}", Case("Pad", (4, 5), ("x", ints(0, 1, 2, 0, 2, 1)), dict(mode=mode))
    yield "Pad with a number", Case("Pad", (4, 5), ("x", ints(1, -1, 2, 0), np.array(0.5), ints(1, 2)))
    shape = (
        ("Shape", ["x"], ["s"], {}),
        ("Gather", ["s", ints(0)], ["n"], {}),
        ("Concat", ["n", ints(2, -1)], ["r"], dict(axis=0)),
    )
    yield "Reshape by a computed shape", Case("Reshape", (3, 4), ("x", "r"), nodes=shape)
    many = (
        ("Shape", ["x"], ["s"], dict(start=0, end=1)),
        ("Mul", ["s", ints(3)], ["n"], {}),
        ("Concat", ["n", ints(4)], ["r"], dict(axis=0)),
    )
    yield (
        "Reshape to rows of all points",
        Case(
            "Reshape",
            (3, 4),
            ("x", "r"),
            nodes=many,
            also=(("MatMul", [array(4, 2)], {}), ("Tanh", [], {}), ("Reshape", [ints(-1, 6)], {})),
        ),
    )
    token = (
        ("Shape", ["x"], ["s"], dict(start=0, end=1)),
        ("Concat", ["s", ints(1, 4)], ["r"], dict(axis=0)),
        ("Expand", [array(1, 1, 4), "r"], ["t"], {}),
    )
    yield "Concat with a token", Case("Concat", (3, 4), ("t", "x"), dict(axis=1), nodes=token)
    filled = (
        ("Shape", ["x"], ["s"], {}),
        ("ConstantOfShape", ["s"], ["i"], dict(value=numpy_helper.from_array(ints(2)))),
        ("CastLike", ["i", "x"], ["z"], {}),
    )
    yield "ConstantOfShape", Case("Concat", (3, 4), ("z", "x"), dict(axis=1), nodes=filled)
    heads = (
        ("Transpose", ["x"], ["t"], dict(perm=[1, 0, 2])),
        ("Shape", ["t"], ["s"], dict(start=1, end=2)),
        ("Mul", ["s", ints(2)], ["n"], {}),
        ("Concat", [ints(3), "n", ints(2)], ["r"], dict(axis=0)),
        ("Reshape", ["t", "r"], ["h"], {}),
        ("Transpose", ["h"], ["q"], dict(perm=[1, 0, 2])),
        ("Transpose", ["h"], ["k"], dict(perm=[1, 2, 0])),
    )
    yield (
        "heads of attention",
        Case("MatMul", (3, 4), ("q", "k"), nodes=heads, also=(("Softmax", [], {}), ("Reshape", [ints(-1, 18)], {}))),
    )

    # sums
    reductions = "Sum Mean Max Min Prod SumSquare L1 L2 LogSum LogSumExp"
    for op in (f"Reduce{r}" for r in reductions.split()):
        for axes in ((1,), (2, -1), (-1,)):
            for keep in (0, 1):
                yield f"{op} {axes} {keep}", Case(op, (3, 4, 2), ("x", ints(*axes)), dict(keepdims=keep), **away)
    yield "ReduceSum as it was", Case("ReduceSum", (3, 4), attributes=dict(axes=[2]), opset=11)
    yield "ReduceMean as it was", Case("ReduceMean", (3, 4), attributes=dict(axes=[1], keepdims=0), opset=13)
    for op in ("Softmax", "LogSoftmax"):
        yield op, Case(op, (3, 4))
        yield f"{op} first", Case(op, (3, 4), attributes=dict(axis=1))
        yield f"{op} as it was", Case(op, (3, 4), attributes=dict(axis=1), opset=11)
    for p in (1, 2):
        yield f"LpNormalization {p}", Case("LpNormalization", (3, 4), attributes=dict(axis=1, p=p), **away)
    for exclusive, reverse in ((0, 0), (1, 0), (0, 1), (1, 1)):
        yield (
            f"CumSum {exclusive} {reverse}",
            Case("CumSum", (3, 4), ("x", np.array(2)), dict(exclusive=exclusive, reverse=reverse)),
        )

    # products
    yield "MatMul", Case("MatMul", (4,), ("x", array(4, 3)))
    yield "MatMul rows", Case("MatMul", (3, 4), ("x", array(4, 2)))
    yield "MatMul from the left", Case("MatMul", (3, 4), (array(5, 3), "x"))
    yield "MatMul vector", Case("MatMul", (3, 4), ("x", array(4)))
    yield "MatMul vector from the left", Case("MatMul", (3, 4), (array(3), "x"))
    yield (
        "MatMul of two",
        Case("MatMul", (3, 4), ("x", "t"), nodes=(("Transpose", ["x"], ["t"], dict(perm=[0, 2, 1])),)),
    )
    yield "MatMul of a stack", Case("MatMul", (2, 3, 4), ("x", array(2, 4, 5)))
    yield "MatMul broadcast", Case("MatMul", (1, 3, 4), ("x", array(5, 4, 2)))
    yield (
        "MatMul with a column of points",
        Case(
            "MatMul", (4,), (array(3, 4), "t"), nodes=(("Transpose", ["x"], ["t"], {}),), also=(("Transpose", [], {}),)
        ),
    )
    yield "Gemm", Case("Gemm", (4,), ("x", array(4, 3), array(3)))
    yield "Gemm transposed", Case("Gemm", (4,), ("x", array(3, 4), array(1, 3)), dict(transB=1))
    yield "Gemm scaled", Case("Gemm", (4,), ("x", array(3, 4), np.array(0.3)), dict(transB=1, alpha=0.5, beta=2.0))
    yield "Gemm alone", Case("Gemm", (4,), ("x", array(4, 3)))
    yield (
        "Gemm of columns",
        Case("Gemm", (4,), ("t", array(3, 4)), dict(transA=1, transB=1), nodes=(("Transpose", ["x"], ["t"], {}),)),
    )
    for equation, shape, others in (
        ("bi,ij->bj", (4,), (array(4, 3),)),
        ("bij,jk->bik", (3, 4), (array(4, 2),)),
        ("bij,bkj->bik", (3, 4), ("x",)),
        ("bij,ij->b", (3, 4), (array(3, 4),)),
        ("...i,oi->...o", (3, 4), (array(2, 4),)),
        ("bi,oij,bj->bo", (4,), (array(3, 4, 4), "x")),
        ("bii->bi", (4, 4), ()),
        ("bij->bji", (3, 4), ()),
        ("bi,bj->bij", (4,), ("x",)),
        ("bij,bij->bij", (3, 4), ("x",)),
        ("oi,bi->bo", (4,), None),
    ):
        operands = (array(3, 4), "x") if others is None else ("x", *others)
        yield (
            f"Einsum {equation}",
            Case(
                "Einsum",
                shape,
                operands,
                dict(equation=equation),
                also=(("Unsqueeze", [ints(1)], {}),) if equation.endswith("->b") else (),
            ),
        )
    for causal in (0, 1):
        q = (("Exp", ["x"], ["k"], {}), ("Sin", ["x"], ["v"], {}))
        yield (
            f"Attention {causal}",
            Case("Attention", (2, 3, 4), ("x", "k", "v"), dict(is_causal=causal), nodes=q, opset=23),
        )
        yield (
            f"Attention flat {causal}",
            Case(
                "Attention",
                (3, 4),
                ("x", "k", "v", array(3, 3)),
                dict(q_num_heads=2, kv_num_heads=2, is_causal=causal),
                nodes=q,
                opset=23,
            ),
        )

    # convolutions
    yield "Conv", Case("Conv", (2, 6), ("x", array(3, 2, 3), array(3)))
    yield (
        "Conv wide",
        Case("Conv", (2, 7), ("x", array(4, 1, 3)), dict(group=2, strides=[2], pads=[2, 1], dilations=[2])),
    )
    yield "Conv 2", Case("Conv", (2, 4, 5), ("x", array(3, 2, 3, 2), array(3)), dict(pads=[1, 0, 1, 1]))
    yield (
        "Conv same",
        Case("Conv", (2, 4, 5), ("x", array(3, 2, 3, 2), array(3)), dict(auto_pad="SAME_UPPER", strides=[2, 2])),
    )
    yield "Conv same, lower", Case("Conv", (2, 4, 5), ("x", array(3, 2, 2, 2)), dict(auto_pad="SAME_LOWER"))
    yield "Conv 3", Case("Conv", (1, 3, 3, 3), ("x", array(2, 1, 2, 2, 2)))
    rows = (("Reshape", ["x", ints(-1, 2, 5)], ["r"], {}),)
    yield (
        "Conv of rows of all points",
        Case(
            "Conv",
            (3, 2, 5),
            ("r", array(4, 1, 3), array(4)),
            dict(group=2),
            nodes=rows,
            also=(("Reshape", [ints(-1, 36)], {}),),
        ),
    )
    yield (
        "ConvTranspose",
        Case(
            "ConvTranspose", (2, 5), ("x", array(2, 3, 3), array(3)), dict(strides=[2], pads=[1, 0], output_padding=[1])
        ),
    )
    yield (
        "ConvTranspose 2",
        Case("ConvTranspose", (4, 3, 3), ("x", array(4, 2, 2, 3)), dict(group=2, strides=[2, 1], dilations=[2, 1])),
    )
    yield "AveragePool", Case("AveragePool", (2, 7), attributes=dict(kernel_shape=[3], strides=[2]))
    yield "AveragePool padded", Case("AveragePool", (2, 4, 5), attributes=dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1]))
    yield (
        "AveragePool counting pads",
        Case("AveragePool", (2, 4, 5), attributes=dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1], count_include_pad=1)),
    )
    yield "AveragePool up", Case("AveragePool", (2, 6), attributes=dict(kernel_shape=[3], strides=[2], ceil_mode=1))
    yield "MaxPool", Case("MaxPool", (2, 4, 5), attributes=dict(kernel_shape=[2, 2], pads=[1, 0, 0, 1], strides=[1, 2]))
    yield "GlobalAveragePool", Case("GlobalAveragePool", (2, 4, 5))
    yield "GlobalMaxPool", Case("GlobalMaxPool", (2, 4, 5))

    # normalisations
    yield (
        "BatchNormalization",
        Case("BatchNormalization", (3, 4), ("x", array(3), array(3), array(3), array(3, low=0.5)), dict(epsilon=1e-3)),
    )
    yield (
        "BatchNormalization of features",
        Case("BatchNormalization", (3,), ("x", array(3), array(3), array(3), array(3, low=0.5))),
    )
    yield "LayerNormalization", Case("LayerNormalization", (3, 4), ("x", array(4), array(4)))
    yield (
        "LayerNormalization of two axes",
        Case("LayerNormalization", (3, 4), ("x", array(3, 4), array(3, 4)), dict(axis=1, epsilon=1e-2)),
    )
    yield "LayerNormalization without shift", Case("LayerNormalization", (3, 4), ("x", array(4)))
    yield "InstanceNormalization", Case("InstanceNormalization", (3, 4), ("x", array(3), array(3)))
    yield "GroupNormalization", Case("GroupNormalization", (6, 4), ("x", array(6), array(6)), dict(num_groups=3))
    yield (
        "GroupNormalization of groups",
        Case("GroupNormalization", (6, 4), ("x", array(3), array(3)), dict(num_groups=3), opset=18),
    )
    yield "RMSNormalization", Case("RMSNormalization", (3, 4), ("x", array(4)), opset=23)
    yield (
        "Scaler",
        Case(
            "Scaler",
            (4,),
            attributes=dict(offset=[0.5, 0.25, -1.0, 0.0], scale=[2.0, 1.0, 0.5, 0.25]),
            domain="ai.onnx.ml",
        ),
    )
    yield "Dropout", Case("Dropout", (4,))


CASES = dict(_cases())


def save(case, path, **settings):
    """Writes the model of a case."""
    onnx.save(model(case, **settings), path)
