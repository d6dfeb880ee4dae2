#!/usr/bin/env python3
"""Hermite interpolation of peaks, seed by seed: hessQuik's own training beside `hessquik train hermite`, with its
settings and with ours. Prints the relative error of the value on the grid of 100 x 100 points, and seconds.

    cargo build --release -p hessquik-cli --features train
    PYTHON benchmarks/hermite.py --command target/release/hessquik --seeds 10

PYTHON is one that has hessQuik, such as `benchmarks/.venv/bin/python` after a run of `run.py`.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time


def hessquik_python(seed):
    """What hessQuik's example does: Adam 1e-3, batches of 5 of 1000 points, 50 epochs, weights 1 1 1, float32."""
    import hessQuik.activations as act
    import hessQuik.layers as lay
    import hessQuik.networks as net
    import torch
    from hessQuik.utils import peaks, train_one_epoch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    x = -3 + 6 * torch.rand(1000, 2)
    y = torch.cat([a.reshape(1000, -1) for a in peaks(x, do_gradient=True, do_Hessian=True)], dim=1)
    f = net.NN(
        lay.singleLayer(2, 16, act=act.tanhActivation()),
        net.resnetNN(16, 4, h=0.5, act=act.tanhActivation()),
        lay.singleLayer(16, 1, act=act.identityActivation()),
    )
    adam = torch.optim.Adam(f.parameters(), lr=1e-3)
    start = time.perf_counter()
    for _ in range(50):
        train_one_epoch(f, x, y, adam, batch_size=5, do_gradient=True, do_Hessian=True)
    seconds = time.perf_counter() - start
    axis = torch.linspace(-3, 3, 100)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        truth = peaks(grid)[0].reshape(-1)
        return float(torch.norm(f(grid)[0].reshape(-1) - truth) / torch.norm(truth)), seconds


def command(program, seed, *more):
    """The same by the command, on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--threads", "1", "train", "hermite", "--seed", str(seed), "--json", "-o", folder, *more]
        done = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = json.loads(done.stdout)
    return found["relative_error"], found["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--command", default="hessquik", help="the command, built with the feature train")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    ways = {
        "hessQuik": hessquik_python,
        "hessquik train hermite --hessquik-settings": lambda s: command(options.command, s, "--hessquik-settings"),
        "hessquik train hermite": lambda s: command(options.command, s),
    }
    found = {way: [] for way in ways}
    for seed in range(options.seeds):
        for way, run in ways.items():
            found[way].append(run(seed))
            error, seconds = found[way][-1]
            print(f"seed {seed}  {way:<44}{error:.4f} {seconds:8.2f} s", flush=True)
    print(f"\n{'':<44}{'lowest':>8}{'median':>8}{'highest':>8}{'seconds':>9}")
    for way, runs in found.items():
        errors = [error for error, _ in runs]
        numbers = (min(errors), statistics.median(errors), max(errors))
        seconds = statistics.median(seconds for _, seconds in runs)
        print(f"{way:<44}" + "".join(f"{n:8.4f}" for n in numbers) + f"{seconds:9.2f}")


if __name__ == "__main__":
    main()
