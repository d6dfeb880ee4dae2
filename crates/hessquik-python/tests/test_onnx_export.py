"""Files of real exporters: PyTorch's two, and scikit-learn's; derivatives against the models themselves."""

import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch_zoo
from skl2onnx import to_onnx
from sklearn.datasets import make_regression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_torch_jets import NAMES, by_autograd, close, points

import hessquik_rs as hq

onnxruntime.set_default_logger_severity(4)
logging.getLogger("torch.onnx").setLevel(logging.ERROR)

# what PyTorch cannot export itself, by the new exporter and by the old one
FAILS = {
    True: {"causal attention", "hypernetwork", "polar"},
    False: {"layer norm", "norms", "many", "polar"},
}
# the new exporter stores numbers of the code (2 pi, a frequency) in single precision, whatever the model's is
ROUNDED = {"Fourier features", "periodic embedding", "SIREN", "CP-Flow", "Psiformer", "symmetry functions", "many"}


def export(model, x, path, new, dynamic=True):
    """Writes a module, with any number of points or that of x."""
    settings = {}
    if dynamic and new:
        settings = {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)}
    elif dynamic:
        settings = {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=new, input_names=["x"], verbose=False, **settings)


EXPORTS = [(name, new) for name in torch_zoo.ZOO for new in (True, False) if name not in FAILS[new]]


@pytest.mark.parametrize(("name", "new"), EXPORTS)
def test_the_zoo_of_torch(name, new, tmp_path):
    model, d = torch_zoo.make(name)
    x = points(d)
    expected = [r.detach() for r in by_autograd(model, x.clone().requires_grad_())]
    # the new exporter takes seconds
    for dynamic, n in ((True, 4),) if new else ((True, 4), (False, 1), (False, 4)):
        export(model, x[:n], tmp_path / "model.onnx", new, dynamic)
        net = hq.Network.load(tmp_path / "model.onnx")
        assert net.dtype == np.float64
        for found, wanted in zip(net.evaluate(x.numpy(), NAMES), expected, strict=True):
            found = torch.from_numpy(np.ascontiguousarray(found)).reshape(wanted.shape)
            close(found, wanted, 1e-6 if new and name in ROUNDED else 1e-10)


@pytest.mark.parametrize("name", ["modified MLP", "transformer", "1-D CNN", "layer norm", "DGM"])
def test_values_in_single_precision_are_onnxruntimes(name, tmp_path):
    model, d = torch_zoo.make(name)
    x = points(d, 7).float()
    export(model.float(), x, tmp_path / "model.onnx", True)
    wanted = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"x": x.numpy()})[0]
    net = hq.Network.load(tmp_path / "model.onnx")
    assert net.dtype == np.float32
    np.testing.assert_allclose(
        net(x.numpy()), wanted.reshape(7, -1), rtol=0, atol=2e-6 * max(1.0, np.abs(wanted).max())
    )


def test_weights_have_the_names_of_parameters(tmp_path):
    model = torch_zoo.mlp(2, 4, 1).double()
    for new in (True, False):
        export(model, torch.zeros(3, 2, dtype=torch.float64), tmp_path / "model.onnx", new)
        net = hq.Network.load(tmp_path / "model.onnx")
        assert net.weight_names() == ["0.weight", "0.bias", "2.weight", "2.bias"]
        for name, values in model.state_dict().items():
            assert np.array_equal(net.weights()[name], values.numpy())


def test_batch_norm_in_training_mode_is_refused(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    x = torch.randn(8, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"training": torch.onnx.TrainingMode.TRAINING, "dynamic_axes": {"x": {0: "n"}}}
        torch.onnx.export(model, (x,), tmp_path / "model.onnx", dynamo=False, input_names=["x"], **settings)
    with pytest.raises(hq.errors.ModelFileError, match="eval"):
        hq.Network.load(tmp_path / "model.onnx")
    export(model.eval(), x, tmp_path / "model.onnx", False)
    found = hq.Network.load(tmp_path / "model.onnx")(x.numpy())
    np.testing.assert_allclose(found, model(x).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu", "identity"])
def test_networks_of_scikit_learn(activation, tmp_path):
    x, y = make_regression(200, 3, n_targets=2, random_state=0)
    x = x.astype(np.float32)
    regressor = MLPRegressor(hidden_layer_sizes=(8, 6), activation=activation, max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in (regressor, make_pipeline(StandardScaler(), regressor)):
            estimator.fit(x, y)
            (tmp_path / "model.onnx").write_bytes(to_onnx(estimator, x[:1]).SerializeToString())
            net = hq.Network.load(tmp_path / "model.onnx")
            wanted = estimator.predict(x)
            np.testing.assert_allclose(net(x), wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())
            names = [t.name for t in onnx.load(tmp_path / "model.onnx").graph.initializer]
            assert {"coefficient", "intercepts"} <= set(net.weight_names()) <= set(names)
