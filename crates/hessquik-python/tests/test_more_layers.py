"""The layers that are written as their forward pass: derivatives that pass the checks, and values of their formulas."""

import json
from typing import Any

import numpy as np
import pytest

import hessquik_rs as hq

inner = hq.fully_connected([2, 5, 3])
axis = hq.fully_connected([1, 5, 4])

LAYERS: dict[str, Any] = {
    "affine": hq.affine(3, 2, input_mean=[1, 2, 3], input_std=[0.5, 2, 1], output_mean=[0, 1], output_std=[3, 4]),
    "normalise": [hq.normalise([1, 2], [0.5, 4]), hq.single(2, 2, "tanh"), hq.normalise([0, 1], [2, 3], inverse=True)],
    "fourier": [hq.fourier(2, 4), hq.single(8, 2, "tanh")],
    "fourier, trained": hq.fourier(2, 4, 0.5, trained=True),
    "fourier, given": hq.fourier(2, 3, matrix=np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])),
    "periodic": [hq.periodic([2.0, None, 1.0], 2), hq.single(9, 2, "tanh")],
    "modified_mlp": hq.modified_mlp(2, 6, 3, out_features=1),
    "piratenet": [hq.fourier(2, 3, 0.5), hq.piratenet(6, 2, out_features=2)],
    "layer_norm": [hq.single(3, 6, "sin"), hq.layer_norm(3, 2)],
    "attention": hq.attention(3, 4, 2),
    "mfn": hq.mfn(2, 5, 3, scale=3.0, out_features=1),
    "mfn, gabor": hq.mfn(2, 5, 2, "gabor", scale=3.0),
    "picnn": hq.picnn(2, 2, [5, 4, 1], 3),
    "deeponet": hq.deeponet(inner, inner, 3),
    "separable": hq.separable([axis, axis, axis], 2),
    "boundary": hq.boundary(inner, [0, None], [1, 2], shift=inner),
    "along": hq.along(inner, 2),
    "skip": hq.skip([hq.single(2, 3, "sin"), hq.single(3, 2, "tanh")]),
    "sum_of": hq.sum_of([inner, hq.single(2, 1, "sin")], [2.0, -1.0]),
    "product_of": hq.product_of([inner, hq.single(2, 1, "sin")]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_are_right(name: str) -> None:
    net = hq.Network(LAYERS[name], seed=0)
    net.set_flat_weights(np.random.default_rng(1).uniform(-0.8, 0.8, net.n_weights))
    checks = net.check(seed=1)
    assert checks.passed, checks


@pytest.mark.parametrize("name", LAYERS)
def test_files_keep_them(name: str, tmp_path: Any) -> None:
    net = hq.Network(LAYERS[name], seed=0)
    net.save(tmp_path / "net.safetensors")
    again = hq.Network.load(tmp_path / "net.safetensors")
    x = np.random.default_rng(0).uniform(-1, 1, (5, net.dim_input))
    assert (again.evaluate(x).hessian == net.evaluate(x).hessian).all()
    # every setting is JSON
    json.dumps(LAYERS[name])


def values(layers: Any, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    net = hq.Network(layers, seed=3)
    net.set_flat_weights(np.random.default_rng(2).uniform(-0.8, 0.8, net.n_weights))
    return net(x), net.weights()


def test_values_are_those_of_numpy() -> None:
    x = np.random.default_rng(4).uniform(-1, 1, (6, 4))

    value, w = values(hq.modified_mlp(4, 3, 2), x)

    def dense(u: np.ndarray, name: str) -> np.ndarray:
        return np.tanh(u @ w[f"{name}.K"] + w[f"{name}.b"])

    u, v, h = dense(x, "U"), dense(x, "V"), dense(x, "in")
    for i in range(2):
        z = dense(h, str(i))
        h = (1 - z) * u + z * v
    np.testing.assert_allclose(value, h, rtol=1e-12, atol=1e-12)

    value, w = values(hq.piratenet(4), x)
    u, v, h = dense(x, "U"), dense(x, "V"), x
    f = dense(h, "0.f")
    z = f * u + (1 - f) * v
    g = dense(z, "0.g")
    z = g * u + (1 - g) * v
    alpha = w["0.alpha"]
    np.testing.assert_allclose(value, alpha * dense(z, "0.h") + (1 - alpha) * h, rtol=1e-12, atol=1e-12)

    value, w = values(hq.layer_norm(2, 2), x)
    rows = x.reshape(6, 2, 2)
    normed = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(value, (normed * w["g"] + w["b"]).reshape(6, 4), rtol=1e-12, atol=1e-12)

    value, w = values(hq.attention(2, 2, 2), x)
    all_of = (rows @ w["Q"] + w["bq"], rows @ w["K"], rows @ w["V"] + w["bv"])
    q, k, v = (z.transpose(0, 2, 1)[..., None] for z in all_of)
    e = np.exp(q @ k.transpose(0, 1, 3, 2))  # heads of one feature
    mixed = (e / e.sum(-1, keepdims=True) @ v)[..., 0].transpose(0, 2, 1)
    np.testing.assert_allclose(value, (mixed @ w["O"] + w["bo"]).reshape(6, 4), rtol=1e-12, atol=1e-12)

    value, w = values(hq.mfn(4, 3, 2, "gabor"), x)

    def filtered(i: int) -> np.ndarray:
        distance = ((x[:, None, :] - w[f"{i}.mu"]) ** 2).sum(2)
        return np.sin(x @ w[f"{i}.omega"] + w[f"{i}.phi"]) * np.exp(-w[f"{i}.gamma"] / 2 * distance)

    np.testing.assert_allclose(value, (filtered(0) @ w["1.K"] + w["1.b"]) * filtered(1), rtol=1e-12, atol=1e-12)

    value, w = values(hq.deeponet(hq.single(3, 4, "tanh"), hq.single(1, 4, "tanh"), 2), x)
    both = dense(x[:, :3], "branch") * dense(x[:, 3:], "trunk")
    np.testing.assert_allclose(value, both.reshape(6, 2, 2).sum(2) + w["b"], rtol=1e-12, atol=1e-12)


def test_mistakes_say_what_is_wrong() -> None:
    with pytest.raises(hq.errors.SettingError, match="heads is 3"):
        hq.Network(hq.attention(2, 4, 3))
    with pytest.raises(hq.errors.SettingError, match="a list of numbers"):
        hq.normalise(1.0, [1.0])  # type: ignore[arg-type]
    with pytest.raises(hq.errors.SettingError, match="finite"):
        hq.affine(1, 1, input_mean=[float("nan")])
    with pytest.raises(hq.errors.ArchitectureError, match=r"hq\.single"):
        hq.skip("tanh")  # type: ignore[arg-type]
    with pytest.raises(hq.errors.ArchitectureError, match=r"hq\.single"):
        hq.sum_of([inner, 3])  # type: ignore[list-item]
    with pytest.raises(hq.errors.SettingError, match="number of faces is 0"):
        hq.Network(hq.boundary(inner, [None, None], [None, None]))
