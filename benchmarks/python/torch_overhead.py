"""What a call from PyTorch costs beyond the same call from Rust, and a training step beside hessQuik's, in one run.

    cargo build --release -p hessquik-benchmarks --bin call
    pip install './crates/hessquik-python[torch]' safetensors hessQuik
    OMP_NUM_THREADS=1 python benchmarks/python/torch_overhead.py

Rounds of calls from Python and from Rust alternate, so that both see the same noise; a figure is the median of the
medians of the rounds. `--clock thread` counts the seconds that the calling thread ran, for machines that others use;
Rust is then timed through the native module with everything prepared, in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import hessquik_rs.activations as act
import hessquik_rs.layers as lay
import hessquik_rs.networks as net
import torch
from hessquik_rs._torch import engine

ROOT = Path(__file__).resolve().parents[2]
FULL = {"do_gradient": True, "do_Hessian": True}


def build(act=act, lay=lay, net=net, width: int = 16):
    """The residual network of hessQuik's timing test, from 2 inputs to 1 output."""
    return net.NN(
        lay.singleLayer(2, width, act=act.tanhActivation()),
        net.resnetNN(width, 4, h=0.5, act=act.tanhActivation()),
        lay.singleLayer(width, 1, act=act.identityActivation()),
    )


def median(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(calls):
        start = clock()
        call()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def rust(f: torch.nn.Module, x: torch.Tensor, calls: int, binary: Path, folder: str) -> Callable[[], float]:
    """Median seconds of calls in a process of Rust."""
    from safetensors.torch import save_file

    model = os.path.join(folder, "model.safetensors")
    save_file(f.state_dict(), model, metadata={"architecture": f.architecture()})
    process = subprocess.Popen(
        [str(binary), model, str(len(x))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def run() -> float:
        assert process.stdin and process.stdout
        process.stdin.write(f"{calls}\n")
        process.stdin.flush()
        return statistics.median(json.loads(process.stdout.readline()))

    return run


def prepared(f: torch.nn.Module, x: torch.Tensor, calls: int, clock: Callable[[], float]) -> Callable[[], float]:
    """Median seconds of calls of the native module, with addresses at hand."""
    structure = engine.of(f)
    network = structure.network(x.dtype)
    results = engine.lent(structure, x, structure.weights(), 7, None, False, "auto")
    weights = [w.data_ptr() for w in structure.weights()]
    arguments = (
        weights,
        (x.data_ptr(), len(x), *x.stride()),
        (7, "auto", None),
        tuple(r.data_ptr() for r in results if r is not None),
    )

    def run() -> float:
        seconds = median(lambda: network.evaluate(*arguments), calls, clock)
        assert results[0] is not None  # kept for as long as their addresses are written to
        return seconds

    return run


def step(f: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """A step of a fit of value, gradient and Hessian."""
    optimizer = torch.optim.Adam(f.parameters(), lr=1e-4)

    def run() -> None:
        optimizer.zero_grad()
        value, gradient, hessian = f(x, **FULL)
        (value.square().sum() + gradient.square().sum() + hessian.square().sum()).backward()
        optimizer.step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--binary", type=Path, default=target / "release" / "call")
    parser.add_argument("--clock", choices=["wall", "thread"], default="wall")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    clock = time.perf_counter if options.clock == "wall" else time.thread_time
    torch.set_num_threads(1)

    print("microseconds of value, gradient and Hessian at 10 points, width 16, depth 6")
    for dtype in (torch.float32, torch.float64):
        f, x = build().to(dtype), torch.rand(10, 2, dtype=dtype)

        def without_grad(f=f, x=x) -> object:
            with torch.no_grad():
                return f(x, **FULL)

        with tempfile.TemporaryDirectory() as folder:
            from_rust = (
                rust(f, x, options.calls, options.binary, folder)
                if options.clock == "wall"
                else prepared(f, x, options.calls, clock)
            )
            ways = {
                "Rust": from_rust,
                "no_grad": lambda call=without_grad: median(call, options.calls, clock),
                "grad": lambda f=f, x=x: median(lambda: f(x, **FULL), options.calls, clock),
            }
            rounds = [{name: way() for name, way in ways.items()} for _ in range(options.rounds + 1)][1:]
        figures = {name: 1e6 * statistics.median(r[name] for r in rounds) for name in ways}
        beyond = {name: 1e6 * statistics.median(r[name] - r["Rust"] for r in rounds) for name in ("no_grad", "grad")}
        print(
            f"{str(dtype):<14} Rust {figures['Rust']:6.1f}   "
            + "   ".join(f"{name} {figures[name]:6.1f} (+{more:.1f})" for name, more in beyond.items())
        )

    print("microseconds of a step of Adam at 5 points, width 16, depth 6")
    steps = {"hessquik_rs": step(build(), torch.rand(5, 2))}
    try:
        import hessQuik.activations
        import hessQuik.layers
        import hessQuik.networks

        theirs = build(hessQuik.activations, hessQuik.layers, hessQuik.networks)
        steps["hessQuik"] = step(theirs, torch.rand(5, 2))
    except ImportError:
        print("hessQuik is not installed")
    rounds = [{n: median(s, max(1, options.calls // 10), clock) for n, s in steps.items()} for _ in range(6)][1:]
    print("   ".join(f"{n} {1e6 * statistics.median(r[n] for r in rounds):.0f}" for n in steps))


if __name__ == "__main__":
    main()
