"""Numbers that hessQuik computed: values, derivatives, and the pullback of random cotangents."""

import json
from pathlib import Path

import pytest
import torch
from torch_cases import close, gap, ours

safe_open = pytest.importorskip("safetensors").safe_open
GOLDEN = Path(__file__).resolve().parents[4] / "tests" / "golden"
ACTS = {"anti_tanh": "antiTanh"}


def build(spec):
    """The module that an architecture describes."""
    kind, spec = spec["type"], {k: v for k, v in spec.items() if k != "type"}
    if kind == "network":
        return ours.net.NN(*[build(layer) for layer in spec["layers"]])
    if "act" in spec:
        act = dict(spec["act"])
        name = act.pop("type")
        spec["act"] = getattr(ours.act, f"{ACTS.get(name, name)}Activation")(**act)
    name = {"single": "single", "resnet": "resnet", "icnn": "ICNN", "quadratic": "quadratic"}.get(kind, "quadraticICNN")
    return getattr(ours.lay, f"{name}Layer")(**spec)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.safetensors")), ids=lambda p: p.stem)
def test_golden(path):
    with safe_open(path, "pt") as file:
        architecture = json.loads(file.metadata()["architecture"])
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    f = build(architecture)
    if architecture["type"] == "network":
        assert json.loads(f.architecture()) == architecture
    weights = {k.removeprefix("weights."): v for k, v in stored.items() if k.startswith("weights.")}
    f.load_state_dict(weights)
    x = stored["x"].requires_grad_()

    found = f(x, do_gradient=True, do_Hessian=True)
    wanted = [stored[k] for k in ("value", "gradient", "hessian")]
    close(found, wanted)
    laplacian = f(x, do_Laplacian=True)[2]
    assert gap(laplacian[:, 0], stored["laplacian"]) <= 1e-11 * max(1, stored["laplacian"].abs().max())

    cotangents = [stored[f"cotangent.{k}"] for k in ("value", "gradient", "hessian")]
    inputs = [x, *(p for _, p in f.named_parameters())]
    pulled = torch.autograd.grad(found, inputs, cotangents)
    close(pulled, [stored["vjp.x"], *(stored[f"vjp.{n}"] for n, _ in f.named_parameters())])


def test_the_files_are_there():
    assert len(list(GOLDEN.glob("*.safetensors"))) >= 18
