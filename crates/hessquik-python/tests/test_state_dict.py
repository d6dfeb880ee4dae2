"""Networks out of state dictionaries, against the modules that these came from."""

import numpy as np
import pytest
import torch
from torch import nn

import hessquik_rs as hq
from hessquik_rs import errors


def same(net, model, d):
    x = np.random.default_rng(0).normal(size=(7, d))
    value, gradient, hessian = net.evaluate(x)
    t = torch.tensor(x)
    np.testing.assert_allclose(value, model(t).detach(), rtol=0, atol=1e-12)
    one = lambda x: model(x[None])[0]  # noqa: E731
    expected = torch.func.vmap(torch.func.hessian(one))(t).detach().numpy()
    np.testing.assert_allclose(hessian, np.moveaxis(expected, 1, -1), rtol=0, atol=1e-11)
    expected = torch.func.vmap(torch.func.jacrev(one))(t).detach().numpy()
    np.testing.assert_allclose(gradient, np.moveaxis(expected, 1, -1), rtol=0, atol=1e-12)


def sequential(*widths, bias=True):
    torch.manual_seed(0)
    layers = [nn.Linear(a, b, bias=bias, dtype=torch.float64) for a, b in zip(widths, widths[1:], strict=False)]
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1])


@pytest.mark.parametrize("widths", [(3, 2), (2, 8, 1), (1, *[4] * 12, 3)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("file", [None, "pt", "safetensors", "npz"])
def test_a_sequential(tmp_path, widths, bias, file):
    model = sequential(*widths, bias=bias)
    state = model.state_dict()
    if file:
        path = tmp_path / f"model.{file}"
        if file == "pt":
            torch.save({"epoch": 3, "state_dict": state}, path)
        elif file == "npz":
            np.savez(path, **{name: w.numpy() for name, w in state.items()})
        else:
            from safetensors.torch import save_file

            save_file(state, path)
        state = path
    same(hq.Network.from_state_dict(state, act="tanh"), model, widths[0])


class FNN(nn.Module):
    """As PINN libraries write it: one list of linear layers, an activation for each."""

    def __init__(self):
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(2, 5), nn.Linear(5, 6), nn.Linear(6, 1)]).double()

    def forward(self, x):
        x = torch.sin(self.linears[0](x))
        return torch.sigmoid(self.linears[2](nn.functional.silu(self.linears[1](x))))


def test_an_activation_for_each_layer():
    model = FNN()
    wrapped = {f"module.{name}": w for name, w in model.state_dict().items()}
    same(hq.Network.from_state_dict(wrapped, act=["sin", "silu"], last="sigmoid"), model, 2)


def test_precision():
    state = {"w.weight": np.ones((1, 2), np.float32), "v.weight": np.ones((3, 1), np.float64)}
    assert hq.Network.from_state_dict(state, act="tanh").dtype == np.float64
    assert hq.Network.from_state_dict(state, act="tanh", dtype="float32").dtype == np.float32
    half = {"weight": torch.ones(1, 2, dtype=torch.bfloat16)}
    assert hq.Network.from_state_dict(half, act="tanh").dtype == np.float32


@pytest.mark.parametrize(
    "state, error, said",
    [
        ({}, errors.ShapeError, "empty"),
        ({"bn.weight": np.ones(3)}, errors.OperationError, "'bn.weight' \\[3\\] is not the weight"),
        ({"c.weight": np.ones((3, 1, 2))}, errors.OperationError, "from_torch"),
        ({"a.running_mean": np.ones(3)}, errors.OperationError, "running_mean"),
        ({"a.bias": np.ones(3)}, errors.OperationError, "no weight"),
        ({"a.weight": np.ones((3, 2)), "a.bias": np.ones(2)}, errors.ShapeError, "bias \\[2\\], expected \\[3\\]"),
        ({"a.weight": np.ones((3, 2)), "b.weight": np.ones((1, 4))}, errors.ShapeError, "'b' has 4 inputs, expected 3"),
        ({"a.weight": np.ones((3, 2), np.int64)}, errors.DtypeError, "int64"),
        ("model.onnx", errors.SettingError, "expected a file that ends in"),
    ],
)
def test_what_is_refused(state, error, said):
    with pytest.raises(error, match=said):
        hq.Network.from_state_dict(state, act="tanh")


def test_activations_are_counted():
    with pytest.raises(errors.SettingError, match="found 3 activations, expected 1"):
        hq.Network.from_state_dict(sequential(2, 3, 1).state_dict(), act=["tanh"] * 3)


def test_broken_files(tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(errors.ModelFileError, match="not a safetensors file"):
        hq.Network.from_state_dict(path, act="tanh")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(errors.ModelFileError, match="found list"):
        hq.Network.from_state_dict(tmp_path / "list.pt", act="tanh")


def test_masks_and_negative_bits():
    weight = np.ma.masked_array(np.ones((2, 3)), [[False, True, False], [False] * 3])
    with pytest.raises(errors.ArrayError, match=r"'0.weight' has 1 masked entries"):
        hq.Network.from_state_dict({"0.weight": weight}, act="tanh")
    weight = torch.view_as_complex(torch.ones(2, 3, 2, dtype=torch.float64)).conj().imag
    assert weight.is_neg()
    net = hq.Network.from_state_dict({"0.weight": weight}, act="tanh")
    assert all((w == -1).all() for name, w in net.weights().items() if name.endswith("K"))


def test_files_are_read_without_pytorch(tmp_path, monkeypatch):
    model = sequential(2, 4, 1)
    torch.save({"model": model.state_dict(), "epoch": 3}, tmp_path / "model.pth")
    torch.save(model.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    # PyTorch reads its old files itself
    same(hq.Network.from_state_dict(tmp_path / "old.pt", act="tanh"), model, 2)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    net = hq.Network.from_state_dict(tmp_path / "model.pth", act="tanh")
    with pytest.raises(errors.ModelFileError, match="before version 1.6"):
        hq.Network.from_state_dict(tmp_path / "old.pt", act="tanh")
    monkeypatch.undo()
    same(net, model, 2)


class Trap:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_in_a_file_is_executed(tmp_path, capsys):
    torch.save({"0.weight": torch.ones(1, 2), "x": Trap()}, tmp_path / "trap.pt")
    torch.save(sequential(2, 1), tmp_path / "module.pt")
    for name, found in ("trap", r"print"), ("module", "torch.nn.modules.container.Sequential"):
        with pytest.raises(errors.ModelFileError, match=f"{found}.*nothing in a file is executed.*state_dict"):
            hq.Network.from_state_dict(tmp_path / f"{name}.pt", act="tanh")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_files(tmp_path, dtype):
    from safetensors.torch import save_file

    model = sequential(2, 4, 1).to(dtype)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.save(model.state_dict(), tmp_path / "model.pt")
    for name in ("model.safetensors", "model.pt"):
        net = hq.Network.from_state_dict(tmp_path / name, act="tanh")
        assert net.dtype == np.float32
        same(hq.Network.from_state_dict(tmp_path / name, act="tanh", dtype="float64"), model.double(), 2)
        model = model.to(dtype)


def test_files_without_an_order(tmp_path):
    from safetensors.torch import save_file

    save_file({"a.weight": torch.ones(2, 2), "b.weight": torch.eye(2)}, tmp_path / "two.safetensors")
    with pytest.raises(errors.SettingError, match="a,b or b,a"):
        hq.Network.from_state_dict(tmp_path / "two.safetensors", act="tanh")
    with pytest.raises(errors.MissingFileError):
        hq.Network.from_state_dict(tmp_path / "missing.pt", act="tanh")


def test_activations_with_settings_and_unknown_ones():
    state = {"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 3))}
    net = hq.Network.from_state_dict(state, act=[hq.softplus(2.0)], last=hq.softplus(3.0))
    assert [layer["act"]["beta"] for layer in net.architecture["layers"]] == [2.0, 3.0]
    with pytest.raises(errors.ArchitectureError, match="tahn"):
        hq.Network.from_state_dict(state, act="tahn")
    with pytest.raises(errors.SettingError, match="found 0 activations, expected 1"):
        hq.Network.from_state_dict(state, act=[])
