"""What a call from numpy costs beyond the same call from Rust: value, gradient and Hessian, in one run.

    cargo build --release -p hessquik-benchmarks --bin call
    pip install ./crates/hessquik-python
    python benchmarks/python/overhead.py

Rounds of calls from Python and from Rust alternate, on the same cores, so that both see the same noise; a figure is the
median of the medians of the rounds, with the lowest and highest difference of two neighbouring rounds beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import hessquik_rs as hq
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REQUEST = ("value", "gradient", "hessian")
# name, widths, points, calls in a round
CASES = [
    ("10 points, d = 1, width 16", [1, 16, 16, 16, 1], 10, 400),
    ("10 points, d = 2, width 16", [2, 16, 16, 16, 1], 10, 400),
    ("10 points, d = 3, width 16", [3, 16, 16, 16, 1], 10, 400),
    ("10 points, d = 4, width 16", [4, 16, 16, 16, 1], 10, 400),
    ("10 points, d = 2, width 64", [2, 64, 64, 64, 64, 1], 10, 400),
    ("4096 points, d = 2, width 64", [2, 64, 64, 64, 64, 1], 4096, 20),
]


def measure(widths: list[int], points: int, calls: int, rounds: int, dtype: str, binary: Path) -> dict[str, float]:
    """Median seconds from numpy, from Rust, and the median, lowest and highest difference of neighbouring rounds."""
    net = hq.Network(hq.fully_connected(widths, last="identity"), dtype=dtype, seed=0)
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (points, net.dim_input)).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.safetensors")
        net.save(model)
        command = [str(binary), model, str(points)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rust:
            assert rust.stdin and rust.stdout

            def from_rust() -> float:
                assert rust.stdin and rust.stdout
                rust.stdin.write(f"{calls}\n")
                rust.stdin.flush()
                return statistics.median(json.loads(rust.stdout.readline()))

            def from_numpy() -> float:
                seconds = []
                for _ in range(calls):
                    start = time.perf_counter()
                    net.evaluate(x, REQUEST)
                    seconds.append(time.perf_counter() - start)
                return statistics.median(seconds)

            from_rust(), from_numpy()
            pairs = [(from_numpy(), from_rust()) for _ in range(rounds)]
            rust.stdin.close()
    differences = sorted(numpy - rust for numpy, rust in pairs)
    return {
        "numpy": statistics.median(numpy for numpy, _ in pairs),
        "rust": statistics.median(rust for _, rust in pairs),
        "overhead": statistics.median(differences),
        "lowest": differences[0],
        "highest": differences[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--binary", type=Path, default=target / "release" / "call")
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    print("| call | dtype | numpy, us | Rust, us | overhead, us | lowest .. highest | % |")
    print("|---|---|---|---|---|---|---|")
    for name, widths, points, calls in CASES:
        for dtype in ("float32", "float64"):
            found = measure(widths, points, calls, args.rounds, dtype, args.binary)
            us = {key: 1e6 * seconds for key, seconds in found.items()}
            spread = f"{us['lowest']:.1f} .. {us['highest']:.1f}"
            share = 100 * found["overhead"] / found["rust"]
            times = [f"{us[key]:.1f}" for key in ("numpy", "rust", "overhead")]
            print(f"| {' | '.join([name, dtype, *times, spread, f'{share:.1f}'])} |", flush=True)


if __name__ == "__main__":
    main()
