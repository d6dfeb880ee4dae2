"""Networks and points that the tests share, and hessQuik's own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import hessquik_rs as hq

GOLDEN = sorted((Path(__file__).resolve().parents[3] / "tests" / "golden").glob("*.safetensors"))
DTYPES = ("float32", "float64")
NAMES = ("value", "gradient", "hessian", "packed", "diagonal", "laplacian")


def network(dtype: str = "float64", d: int = 3, m: int = 2, seed: int = 0) -> hq.Network:
    """Every kind of stage: a change of width, skips, an inner network."""
    layers = [hq.single(d, 7, "tanh"), hq.resnet(7, 2, "sin", h=0.5), hq.single(7, m, hq.softplus(2.0))]
    return hq.Network(layers, dtype=dtype, seed=seed)


def points(n: int = 11, d: int = 3, dtype: str = "float64", seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


def tolerance(dtype: str) -> dict[str, float]:
    return {"rtol": 2e-4, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-12}
