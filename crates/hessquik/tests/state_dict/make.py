"""Writes the state dictionaries of the Rust tests, with values that PyTorch computes: `python make.py`."""

import io
import json
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
F64 = torch.float64
torch.manual_seed(3)
expected = {}


def linear(*widths, act=nn.Tanh, bias=True, dtype=torch.float32):
    """Linear layers with an activation between them."""
    layers = [nn.Linear(a, b, bias=bias, dtype=dtype) for a, b in zip(widths, widths[1:], strict=False)]
    return nn.Sequential(*[part for layer in layers for part in (layer, act())][:-1])


class FNN(nn.Module):
    """As DeepXDE names its layers."""

    def __init__(self):
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(2, 4), nn.Linear(4, 3), nn.Linear(3, 1)]).double()

    def forward(self, x):
        x = torch.sin(self.linears[0](x))
        return torch.sigmoid(self.linears[2](nn.functional.silu(self.linears[1](x))))


class Wrapped(nn.Module):
    """A module whose layers are not numbered, and whose names are not in the order of the alphabet."""

    def __init__(self):
        super().__init__()
        self.enter, self.body, self.close = nn.Linear(2, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.close(torch.tanh(self.body(torch.tanh(self.enter(x)))))


def note(file, model, act=("tanh",), last="identity", dtype="f32"):
    """Keeps what a network of this file computes: in double precision, of the numbers that the file has."""
    double = model.double()
    d = next(double.parameters()).shape[1]
    x = torch.rand(3, d, dtype=F64) * 2 - 1
    y = double(x)
    expected[file] = dict(x=x.tolist(), y=y.tolist(), act=list(act), last=last, dtype=dtype)


def save(file, what, model, act=("tanh",), last="identity", dtype="f32", **options):
    """A file of PyTorch's, and what it computes."""
    torch.save(what, HERE / file, **options)
    note(file, model, act, last, dtype)


def rezipped(source, file, method, change):
    """The archive with its records changed."""
    with zipfile.ZipFile(HERE / source) as old, zipfile.ZipFile(HERE / file, "w", method) as new:
        for info in old.infolist():
            record = zipfile.ZipInfo(info.filename.replace(Path(source).stem + "/", "archive/", 1))
            record.compress_type = method
            new.writestr(record, change(info.filename, old.read(info)))


def taken():
    """Files that are read."""
    model = linear(2, 3, 1)
    save("sequential.pt", model.state_dict(), model)
    torch.serialization.set_crc32_options(False)
    model = linear(2, 3, 1)
    save("no_checksums.pt", model.state_dict(), model)
    torch.serialization.set_crc32_options(True)
    model = linear(2, 3, 1, bias=False)
    save("protocol4.pth", model.state_dict(), model, pickle_protocol=4)

    model = FNN()
    adam = torch.optim.Adam(model.parameters())
    model(torch.rand(4, 2, dtype=F64)).sum().backward()
    adam.step()
    checkpoint = {"model_state_dict": model.state_dict(), "optimizer_state_dict": adam.state_dict()}
    save("deepxde.pt", checkpoint, model, ("sin", "silu"), "sigmoid", "f64")

    model = nn.DataParallel(linear(2, 3, 1))
    lightning = {
        "epoch": 3,
        "global_step": 2**40,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict((f"model.{name}", w) for name, w in model.state_dict().items()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}, "done": None}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "kth": float("inf")}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"betas": (0.9, 0.999)}]}],
        "hyper_parameters": {"widths": [2, 3, 1], "size": torch.Size([2]), "dtype": F64, "huge": 2**90},
        "others": [{1, 2}, b"bytes", np.float64(0.5), Counter("ab"), torch.device("cpu"), -5, 300],
    }
    save("lightning.ckpt.pt", lightning, model.module)

    # parameters in place of tensors, under a name of their own
    model = linear(2, 3, 1, dtype=F64)
    save("parameters.pt", {"net": dict(model.named_parameters()), "epoch": 1}, model, dtype="f64")

    # transposed, with steps and offsets, expanded, negated, all in one storage
    flat = torch.rand(40, dtype=F64) - 0.5
    state = {
        "a.weight": flat[1:13].view(3, 4).T[:, :2],
        "a.bias": flat[20:28:2],
        "b.weight": flat.as_strided((2, 4), (1, 3), 17),
        "b.bias": flat[39:].expand(2),
    }
    z = torch.view_as_complex(torch.rand(1, 2, 2, dtype=F64)).conj()
    state["c.weight"] = z.imag
    assert not state["a.weight"].is_contiguous() and state["c.weight"].is_neg()
    model = linear(2, 4, 2, 1, bias=True, dtype=F64)
    with torch.no_grad():
        for layer, name in zip((model[0], model[2], model[4]), "abc", strict=True):
            layer.weight.copy_(state[f"{name}.weight"])
            layer.bias.copy_(state.get(f"{name}.bias", torch.zeros(1)))
    save("strided.pt", state, model, dtype="f64")

    for kind, name in ((torch.float16, "half"), (torch.bfloat16, "bfloat")):
        model = linear(2, 3, 1).to(kind)
        save(f"{name}.pt", model.state_dict(), model)
        model = linear(2, 3, 1).to(kind)
        save_file(model.state_dict(), HERE / f"{name}.safetensors")
        note(f"{name}.safetensors", model)

    # numbers of 16 and 64 bits in one file, and a layer alone
    model = nn.Linear(3, 2)
    save("alone.pt", model.state_dict(), model)
    model = linear(2, 3, 1)
    state = {name: w.double() if name == "2.bias" else w for name, w in model.state_dict().items()}
    save("mixed.pt", state, model, dtype="f64")

    # more layers than digits, which the alphabet sorts otherwise; and names without numbers
    model = linear(2, *[3] * 11, 1, bias=False)
    save_file(model.state_dict(), HERE / "many.safetensors")
    note("many.safetensors", model)
    model = Wrapped()
    save_file(model.state_dict(), HERE / "named.safetensors")
    note("named.safetensors", model)

    # other archives: compressed, and with the other byte first
    rezipped("sequential.pt", "compressed.pt", zipfile.ZIP_DEFLATED, lambda _, record: record)
    expected["compressed.pt"] = expected["sequential.pt"]
    swap = lambda record: np.frombuffer(record, "<f4").astype(">f4").tobytes()  # noqa: E731

    def other(name, record):
        return b"big" if name.endswith("byteorder") else swap(record) if "/data/" in name else record

    rezipped("sequential.pt", "big_endian.pt", zipfile.ZIP_STORED, other)
    expected["big_endian.pt"] = expected["sequential.pt"]


class Trap:
    """What a pickle can do that is executed."""

    def __reduce__(self):
        return print, ("executed",)


def refused():
    """Files that are not read."""
    folder = HERE / "refused"
    folder.mkdir(exist_ok=True)
    model = linear(2, 2)
    torch.save(model, folder / "module.pt")
    torch.save({"w.weight": torch.ones(1, 1), "x": Trap()}, folder / "trap.pt")
    torch.save(model.state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(model), folder / "script.pt")
    torch.save([1, 2], folder / "list.pt")
    torch.save({}, folder / "empty.pt")
    torch.save({"a.weight": torch.ones(1, 1, dtype=torch.int64)}, folder / "integers.pt")
    torch.save({"a.weight": torch.ones(1, 1, dtype=torch.complex64)}, folder / "complex.pt")
    torch.save({"a.weight": torch.ones(1, 1, dtype=torch.uint16)}, folder / "words.pt")
    torch.save({"a.weight": torch.ones(1, 1).to_sparse()}, folder / "sparse.pt")
    torch.save({"a.weight": torch.ones(1, 1), "version": 3}, folder / "more.pt")
    torch.save(nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2)).state_dict(), folder / "norm.pt")
    torch.save({"model": model.state_dict(), "ema": model.state_dict(), "step": 1}, folder / "two.pt")
    torch.save({"a.weight": torch.ones(1, 1).expand(1 << 20, 1 << 20)}, folder / "expanded.pt")
    save_file({"a.weight": torch.ones(2, 2), "b.weight": torch.eye(2)}, folder / "order.safetensors")
    save_file({"a.weight": torch.ones(2, 2, dtype=torch.int32)}, folder / "integers.safetensors")
    buffer = io.BytesIO()
    np.savez(buffer, **{"0.weight": np.ones((1, 2))})
    (folder / "arrays.npz").write_bytes(buffer.getvalue())


if __name__ == "__main__":
    taken()
    refused()
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")
