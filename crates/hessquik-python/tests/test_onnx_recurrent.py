"""Recurrent layers in ONNX files, against onnxruntime and against the modules of PyTorch that were exported."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from onnx_models import Case, array, ints, model
from test_onnx import close, differences, loaded, points

import hessquik_rs as hq
from hessquik_rs.errors import ModelFileError


def _cases():
    """Layers of 3 steps of 2 inputs, with 4 features; their inputs are steps, points, inputs."""
    steps = dict(shape=(3, 2), nodes=(("Transpose", ["x"], ["s"], dict(perm=[1, 0, 2])),))
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction, n in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            weights = (array(n, gates * 4, 2), array(n, gates * 4, 4), array(n, gates * 8))
            more = dict(hidden_size=4, direction=direction)
            first = [("Transpose", (), dict(perm=[2, 0, 1, 3]))]
            yield f"{op} {direction}", Case(op, inputs=("s", *weights), attributes=more, also=first, opset=14, **steps)
            last = [("Transpose", (), dict(perm=[1, 0, 2]))]
            for opset in (11, 22):
                yield (
                    f"{op} {direction} at the end, opset {opset}",
                    Case(
                        op,
                        inputs=("s", *weights[:2]),
                        attributes=more,
                        also=last,
                        outputs=2,
                        pick=1,
                        opset=opset,
                        **steps,
                    ),
                )
    weights = (array(1, 12, 2), array(1, 12, 4), array(1, 24))
    linear = dict(hidden_size=4, linear_before_reset=1)
    ends = dict(also=[("Transpose", (), dict(perm=[1, 0, 2]))], outputs=2, pick=1)
    yield "GRU linear before reset", Case("GRU", inputs=("s", *weights), attributes=linear, **ends, **steps)
    weights = (array(1, 16, 2), array(1, 16, 4), array(1, 32))
    cell = {**ends, "outputs": 3, "pick": 2}
    yield "LSTM cell", Case("LSTM", inputs=("s", *weights), attributes=dict(hidden_size=4), **cell, **steps)
    yield (
        "LSTM peepholes",
        Case(
            "LSTM",
            inputs=("s", *weights, None, None, None, array(1, 12)),
            attributes=dict(hidden_size=4),
            **ends,
            **steps,
        ),
    )
    # a state that depends on the point: its first coordinates
    start = (
        *steps["nodes"],
        ("Flatten", ["x"], ["f"], dict(axis=1)),
        ("Slice", ["f", ints(0), ints(4), ints(1)], ["h"], {}),
        ("Unsqueeze", ["h", ints(0)], ["begun"], {}),
        ("Sin", ["begun"], ["cell"], {}),
    )
    begun = dict(shape=(3, 2), nodes=start, **ends)
    yield (
        "LSTM initial",
        Case("LSTM", inputs=("s", *weights, None, "begun", "cell"), attributes=dict(hidden_size=4), **begun),
    )
    yield (
        "RNN initial",
        Case(
            "RNN",
            inputs=("s", array(1, 4, 2), array(1, 4, 4), None, None, "begun"),
            attributes=dict(hidden_size=4),
            **begun,
        ),
    )
    others = dict(hidden_size=4, activations=["Tanh", "Softsign", "Sigmoid"])
    yield "LSTM activations", Case("LSTM", inputs=("s", *weights), attributes=others, **ends, **steps)


CASES = dict(_cases())


@pytest.mark.parametrize("name", CASES)
def test_operators(name, tmp_path):
    case = CASES[name]
    x = points(case)
    for batch in ("n", 5, 1):
        given = (x[:1] if batch == 1 else x).astype(np.float32)
        single = model(case, TensorProto.FLOAT, batch)
        session = onnxruntime.InferenceSession(single.SerializeToString())
        expected = session.run(None, {"x": given})[0]
        close(loaded(single, tmp_path)(given), expected, 1e-5)
        close(loaded(model(case, TensorProto.DOUBLE, batch), tmp_path)(given.astype(float)), expected, 1e-5)
    differences(loaded(model(case, TensorProto.DOUBLE), tmp_path), x)


@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_sequences_on_the_first_axis(op, gates, tmp_path):
    """As `layout` says, which onnxruntime does not have: the same numbers as with the axes moved."""
    weights = array(2, gates * 4, 2), array(2, gates * 4, 4), array(2, gates * 8)
    settings = dict(hidden_size=4, direction="bidirectional")
    steps = (("Transpose", ["x"], ["s"], dict(perm=[1, 0, 2])),)
    for outputs, order in ((1, [2, 0, 1, 3]), (2, [1, 0, 2])):
        pick, also = outputs - 1, [("Transpose", (), dict(perm=order))]
        one = Case(op, (3, 2), ("s", *weights), settings, steps, outputs=outputs, pick=pick, also=also)
        other = Case(op, (3, 2), ("x", *weights), dict(layout=1, **settings), outputs=outputs, pick=pick)
        x = points(one)
        expected = loaded(model(one), tmp_path)(x)
        assert np.array_equal(loaded(model(other), tmp_path)(x), expected)


def recurrent(kind, **settings):
    """A recurrent layer over the coordinates of a point, and a linear layer of its last state."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = getattr(torch.nn, kind)(1, 4, batch_first=True, **settings)
            self.out = torch.nn.Linear(4 * (1 + settings.get("bidirectional", False)), 2)

        def forward(self, x):
            return torch.tanh(self.out(self.layer(x[:, :, None])[0][:, -1]))

    torch.manual_seed(0)
    return Net().double().eval()


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize(
    "settings",
    [{}, dict(num_layers=2), dict(bidirectional=True), dict(bias=False)],
    ids=lambda s: "-".join(s) or "plain",
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.filterwarnings("ignore")
def test_recurrent_layers_of_pytorch(kind, settings, dynamo, tmp_path):
    module = recurrent(kind, **settings)
    x = torch.rand(5, 3, dtype=torch.float64)
    path = tmp_path / "model.onnx"
    if dynamo:
        torch.onnx.export(module, (x,), path, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), verbose=False)
    else:
        torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
    net = hq.Network.load(path)
    jet = net.evaluate(x.numpy(), "value,gradient,hessian")
    close(jet.value, module(x).detach(), 1e-13)
    for point, gradient, hessian in zip(x, jet.gradient, jet.hessian, strict=True):
        for k in range(2):
            one = lambda x, k=k: module(x[None])[0, k]  # noqa: E731
            close(gradient[:, k], torch.autograd.functional.jacobian(one, point), 1e-12)
            close(hessian[:, :, k], torch.autograd.functional.hessian(one, point), 1e-11)


@pytest.mark.parametrize(
    "attributes, inputs, said",
    [
        (dict(clip=1.0), (), "clip"),
        (dict(input_forget=1), (), "input_forget"),
        (dict(activations=["Affine", "Tanh", "Tanh"]), (), "Affine"),
        (dict(activations=["Tanh"]), (), "found 1|has 1 activations, expected 3"),
        (dict(direction="sideways"), (), "sideways"),
        ({}, (None, np.array([2, 3, 3, 3, 3], np.int32)), "sequence_lens"),
    ],
)
def test_recurrent_layers_that_are_refused(attributes, inputs, said, tmp_path):
    steps = (("Transpose", ["x"], ["s"], dict(perm=[1, 0, 2])),)
    inputs = ("s", array(1, 16, 2), array(1, 16, 4), *inputs)
    case = Case("LSTM", (3, 2), inputs, dict(hidden_size=4, **attributes), nodes=steps)
    with pytest.raises(ModelFileError, match=f"LSTM.*({said})"):
        loaded(model(case), tmp_path)


def test_recurrence_along_the_points_is_refused(tmp_path):
    case = Case("LSTM", (3, 2), ("x", array(1, 16, 2), array(1, 16, 4)), dict(hidden_size=4))
    with pytest.raises(ModelFileError, match="on which the points are"):
        loaded(model(case), tmp_path)
