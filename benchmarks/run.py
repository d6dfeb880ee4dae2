#!/usr/bin/env python3
"""Measures hessquik beside its peers and beside what the machine allows; `--help` has the options.

python3 benchmarks/run.py
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from shutil import which

HERE = Path(__file__).resolve().parent
ALL_PEERS = "hessQuik,torch,jax,folx,num-dual"


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cases such as 'grid d1 m1,pinn'")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works, not how fast")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1)
    parser.add_argument("--core", type=int, help="the core for one thread (default: the last)")
    parser.add_argument("--dtype", choices=("f32", "f64", "both"), default="both")
    parser.add_argument("--peers", default=ALL_PEERS, help=f"of {ALL_PEERS}, or none (default: all)")
    parser.add_argument("--venv", type=Path, default=HERE / ".venv", help="the environment of the peers")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where results go")
    parser.add_argument("--workers", type=Path, help="a folder with the workers in Rust (default: they are built)")
    parser.add_argument("--no-scaling", action="store_true", help="leave out two threads against one")
    return parser.parse_args()


def into_environment(venv):
    """Goes on in the peers' environment, made first if it is not there."""
    python = venv / "bin" / "python"
    if Path(sys.prefix).resolve() == venv.resolve():
        return
    if not python.exists():
        print(f"setting up the peers in {venv}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
    os.execv(python, [python, *sys.argv])


def build(*arguments):
    """Builds the workers in Rust, with more arguments for cargo; the folder that they are in."""
    command = ["cargo", "build", "--release", "--locked", "-p", "hessquik-benchmarks", "--message-format", "json"]
    command += arguments
    done = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return Path(next(m["executable"] for m in messages if m.get("executable"))).parent


def machine(peers):
    """What the numbers depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    of = lambda name: next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")  # noqa: E731
    flags = of("flags").split()
    vectors = next((name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in flags), "")
    family = of("cpu family") and f"family {of('cpu family')} model {of('model')}"
    packages = ["numpy", "torch", "jax", "jaxlib", "folx", "hessQuik"] if peers else ["numpy"]
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    said = lambda *command: (  # noqa: E731
        subprocess.run(command, cwd=HERE, capture_output=True, text=True).stdout.strip() if which(command[0]) else ""
    )
    return {
        "cpu": ", ".join(part for part in (of("model name"), family, vectors) if part),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "rustc": said("rustc", "--version"),
        "commit": said("git", "rev-parse", "--short", "HEAD"),
        "versions": versions,
    }


def main():
    args = options()
    names = [] if args.peers == "none" else args.peers.split(",")
    if any(name != "num-dual" for name in names):
        into_environment(args.venv)
    # these need the environment
    import cases
    import measure
    import report
    from workers import PEERS, Failed, Worker

    binaries = args.workers or build()
    args.out.mkdir(parents=True, exist_ok=True)
    available = sorted(os.sched_getaffinity(0))
    core = available[-1] if args.core is None else args.core
    cores = {core} if args.threads == 1 else set(available[-2:])
    effort = measure.QUICK if args.quick else measure.FULL
    chosen = cases.named(args.only, cases.all_cases())
    if not chosen:
        sys.exit(f"no case is called {args.only!r}: {', '.join(c.name for c in cases.all_cases())}")
    dtypes = ["f32", "f64"] if args.dtype == "both" else [args.dtype]

    with open(args.out / "workers.log", "w") as log, tempfile.TemporaryDirectory() as folder:
        command = {n: [binaries / c[0]] if len(c) == 1 else c for n, c in PEERS.items()}
        ours = Worker("ours", [binaries / "ours"], cores, log)
        peers = [Worker(name, command[name], cores, log) for name in names]
        two = None
        if args.threads == 1 and len(available) >= 2 and not args.no_scaling:
            two = Worker("ours, two threads", [binaries / "ours"], set(available[-2:]), log)
        results = {
            "machine": machine(names),
            "threads": args.threads,
            "quick": args.quick,
            "started": time.strftime("%Y-%m-%d %H:%M"),
            "dtypes": dtypes,
            "small": small(binaries, cores),
            "cells": [],
        }
        known = {}  # of each case, what its peers did in single precision: in double only their best modes are tried
        for dtype in dtypes:
            for case in chosen:
                before = time.time()
                try:
                    arguments = (ours, peers, two, Path(folder), effort, args.threads)
                    cell = measure.cell(case, dtype, *arguments, known.get(case.name, {}))
                    known[case.name] = cell["peers"]
                    results["cells"].append(cell)
                    line = report.line(cell)
                except Failed as error:
                    line = f"failed: {error}"
                    results.setdefault("failed", []).append({"case": case.name, "dtype": dtype, "error": str(error)})
                print(f"{case.name} {dtype}: {line} [{time.time() - before:.0f} s]", flush=True)
                report.write(results, args.out)
        ours.stop()
        results["stream"] = ours.ask("stream")
        for worker in [ours, *peers, *([two] if two else [])]:
            worker.stop()
    report.write(results, args.out)
    print("\n" + report.targets_text(results))
    print(f"\nwrote {args.out}/results.json, results.md and plots")
    return 1 if results.get("failed") else 0


def small(binaries, cores):
    """The smallest call: what it allocates, and how long it takes."""
    pin = lambda: os.sched_setaffinity(0, {max(cores)})  # noqa: E731
    env = os.environ | {"RAYON_NUM_THREADS": "1"}
    done = subprocess.run(
        [binaries / "allocations"], check=True, capture_output=True, text=True, preexec_fn=pin, env=env
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
