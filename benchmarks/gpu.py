#!/usr/bin/env python3
"""Measures hessquik on a GPU, by way of Burn, beside its peers on the same GPU; `--help` has the options.

python3 benchmarks/gpu.py --device cuda
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import measure
import run
from report import time_text, times_text
from workers import PEERS, Failed, Worker

HERE = Path(__file__).resolve().parent
# few points take as long as many there, so that there is little to be had from long turns
EFFORT = measure.Effort(rounds=3, calls=20, turn=(0.01, 0.1), cap=1.0, far=0.1, sweep=(0.0, 0.0))
# Burn compiles each kernel at its first call, and may try several at the next ones
WARMING = 3


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "wgpu", "cpu"), default="cuda", help="of Burn; cpu is to try this")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cases, as for run.py")
    parser.add_argument("--dtype", choices=("f32", "f64", "both"), default="f32")
    parser.add_argument("--peers", default="hessQuik,torch,jax", help="of hessQuik, torch and jax, or none; on CUDA")
    parser.add_argument("--binaries", type=Path, help="a folder with `ours` and `on_device`, instead of building them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no case after so many seconds")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where results go")
    return parser.parse_args()


def cell(case, dtype, cpu, workers, folder):
    """One case by everyone; hessquik's own engine on the CPU says what is right."""
    case_file, reference = folder / "case.safetensors", folder / "reference.safetensors"
    cases.write(case, {"f32": "float32", "f64": "float64"}[dtype], case_file)
    names = {"family": case.family, "case": case.label, "dtype": dtype, "points": case.points}
    modes, error = measure.load(cpu, case_file, dtype, case.kind)
    if error:
        raise Failed(error)
    cpu.ask("result", mode=modes[0].mode, out=str(reference))
    everyone = {"engine on the CPU": modes[:1]}
    result = names | {"explain": cpu.ask("explain"), "workers": {}}
    for worker in workers:
        everyone[worker.name], error = measure.load(worker, case_file, dtype, case.kind)
        if error:
            result["workers"][worker.name] = {"error": error}
    live, fastest = [], float("inf")
    for modes in everyone.values():
        for timed in modes:
            timed.first(folder, reference, dtype, fastest)
            if timed.error is None:
                timed.time(WARMING)
                timed.warm, timed.estimate = len(timed.samples), timed.samples[-1]
                fastest = min(fastest, timed.estimate)
        right = [t for t in modes if t.error is None]
        live += [t for t in right if t.estimate <= measure.BEHIND * min(r.estimate for r in right)]
    measure.turns(live, EFFORT)
    for name, modes in everyone.items():
        if modes:
            result["workers"][name] = measure.summaries(modes)
    return result


def seconds(result, name):
    worker = result["workers"].get(name, {})
    return worker["modes"][worker["best"]]["median"] if worker.get("best") else None


def text(result, name):
    """The time of the best mode and its name, or why there is none."""
    worker = result["workers"].get(name, {})
    if worker.get("best"):
        best = worker["best"] if len(worker["modes"]) > 1 else ""
        return f"{time_text(seconds(result, name))} {best}".strip()
    errors = [worker.get("error"), *(mode.get("error") for mode in worker.get("modes", {}).values())]
    found = " ".join(e for e in errors if e)
    if any(mode.get("mismatch") for mode in worker.get("modes", {}).values()):
        return "**mismatch**"
    return "out of memory" if "memory" in found.lower() else "-"


def markdown(results):
    """One table for each precision."""
    names = list(dict.fromkeys(name for r in results["cells"] for name in r["workers"]))
    parts = [results["gpu"] + ", " + results["started"] + ". Milliseconds, medians."]
    for dtype in ("f32", "f64"):
        rows = [["case", *names, "best peer / ours"], ["---"] * (len(names) + 2)]
        for r in (r for r in results["cells"] if r["dtype"] == dtype):
            peers = [s for n in names if n in PEERS and (s := seconds(r, n)) is not None]
            mine = seconds(r, "ours")
            ratio = min(peers) / mine if peers and mine else None
            rows.append([f"{r['family']} {r['case']}", *(text(r, n) for n in names), times_text(ratio)])
        if len(rows) > 2:
            parts.append(f"### {dtype}\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows))
    return "\n\n".join(parts) + "\n"


def card():
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no GPU of NVIDIA"


def main():
    args = options()
    args.out.mkdir(parents=True, exist_ok=True)
    feature = "device" if args.device == "cpu" else args.device
    binaries = args.binaries or run.build("--features", feature, "--bins")
    names = [] if args.peers == "none" else args.peers.split(",")
    chosen = cases.named(args.only, cases.device_cases())
    cores = os.sched_getaffinity(0)
    results = {"gpu": card(), "started": time.strftime("%Y-%m-%d %H:%M"), "cells": []}
    results["versions"] = run.machine(names)["versions"]
    start = time.monotonic()
    with open(args.out / "workers.log", "w") as log, tempfile.TemporaryDirectory() as folder:
        cpu = Worker("engine on the CPU", [binaries / "ours"], cores, log)
        ours = Worker("ours", [binaries / "on_device", args.device], cores, log, args.device)
        peers_device = "cpu" if args.device == "cpu" else "cuda"
        workers = [ours, *(Worker(name, PEERS[name], cores, log, peers_device) for name in names)]
        for dtype in ("f32", "f64") if args.dtype == "both" else (args.dtype,):
            for case in chosen:
                if time.monotonic() - start > args.seconds:
                    break
                before = time.monotonic()
                try:
                    found = cell(case, dtype, cpu, workers, Path(folder))
                    results["cells"].append(found)
                    line = ", ".join(f"{name} {text(found, name)}" for name in found["workers"])
                except Failed as error:
                    line = f"failed: {error}"
                print(f"{case.name} {dtype}: {line} [{time.monotonic() - before:.0f} s]", flush=True)
                (args.out / "gpu.json").write_text(json.dumps(results, indent=1))
                (args.out / "gpu.md").write_text(markdown(results))
        for worker in [cpu, *workers]:
            worker.stop()
    print("\n" + markdown(results))


if __name__ == "__main__":
    sys.exit(main())
