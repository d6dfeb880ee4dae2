#!/usr/bin/env python3
"""Measures derivatives of higher order beside nested and Taylor modes of other libraries; `--help` has the options.

python3 benchmarks/orders.py
"""

import argparse
import json
import os
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
ALL_PEERS = "jax,jet,folx,torch-jet"


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cases such as 'orders kdv,orders beam'")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works, not how fast")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1)
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f64")
    parser.add_argument("--points", type=int, help="so many points in every case, to try it")
    parser.add_argument("--peers", default=ALL_PEERS, help=f"of {ALL_PEERS}, or none (default: all)")
    parser.add_argument("--venv", type=Path, default=HERE / ".venv", help="the environment of the peers")
    parser.add_argument("--workers", type=Path, help="a folder with the worker `ours` (default: it is built)")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where results go")
    return parser.parse_args()


def cell(case, dtype, workers, folder, effort):
    """One case by everyone: results are compared with ours before any is timed."""
    case_file, reference = folder / "case.safetensors", folder / "reference.safetensors"
    cases.write(case, {"f32": "float32", "f64": "float64"}[dtype], case_file)
    everyone, result = {}, {"case": case.label, "kind": case.kind, "dtype": dtype, "workers": {}}
    for worker in workers:
        everyone[worker.name], error = measure.load(worker, case_file, dtype, case.kind)
        if error:
            result["workers"][worker.name] = {"error": error}
    if not everyone["ours"]:
        raise Failed(result["workers"]["ours"]["error"])
    workers[0].ask("result", mode=everyone["ours"][0].mode, out=str(reference))
    live, fastest = [], float("inf")
    for modes in everyone.values():
        for timed in modes:
            timed.first(folder, reference, dtype, fastest)
            if timed.error is None:
                fastest = min(fastest, timed.estimate)
                live.append(timed)
    for timed in live:
        timed.far = timed.estimate > measure.FAR * fastest
    measure.turns(live, effort)
    for name, modes in everyone.items():
        if modes:
            result["workers"][name] = measure.summaries(modes)
    for path in (case_file, reference):
        path.unlink()
    return result


def seconds(result, name):
    """The time of the best mode of a worker."""
    worker = result["workers"].get(name, {})
    return worker["modes"][worker["best"]]["median"] if worker.get("best") else None


def words(result, name):
    """The same with the mode, or why there is none."""
    worker = result["workers"].get(name)
    if worker is None:
        return "-"
    if worker.get("best"):
        return f"{time_text(seconds(result, name))} {worker['best']}"
    wrong = [m for m in worker.get("modes", {}).values() if m.get("mismatch")]
    return "**mismatch**" if wrong else "-"


def table(results):
    """The Markdown of the README: milliseconds, and how many times the best peer takes."""
    names = list(dict.fromkeys(name for r in results for name in r["workers"] if name != "ours"))
    rows = [["case", "ours", *names, "best peer / ours"], ["---"] * (3 + len(names))]
    for r in results:
        peers = [t for t in (seconds(r, name) for name in names) if t is not None]
        ratio = min(peers) / seconds(r, "ours") if peers and seconds(r, "ours") else None
        row = [f"{r['case']} {r['dtype']}", time_text(seconds(r, "ours")), *(words(r, n) for n in names)]
        rows.append([*row, times_text(ratio)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def main():
    args = options()
    names = [] if args.peers == "none" else args.peers.split(",")
    if names:
        run.into_environment(args.venv)
    binaries = args.workers or run.build()
    args.out.mkdir(parents=True, exist_ok=True)
    cores = set(sorted(os.sched_getaffinity(0))[-args.threads :])
    effort = measure.QUICK if args.quick else measure.FULL
    chosen = cases.named(args.only, cases.order_cases())
    if not chosen:
        sys.exit(f"no case is called {args.only!r}: {', '.join(c.name for c in cases.order_cases())}")
    results, wrong = [], False
    with open(args.out / "orders.log", "w") as log, tempfile.TemporaryDirectory() as folder:
        command = {name: PEERS[name] for name in names}
        workers = [Worker("ours", [binaries / "ours"], cores, log)]
        workers += [Worker(name, command[name], cores, log) for name in names]
        for case in chosen:
            before = time.time()
            case = cases.with_points(case, args.points) if args.points else case
            result = cell(case, args.dtype, workers, Path(folder), effort)
            results.append(result)
            shown = ", ".join(f"{worker.name} {words(result, worker.name)}" for worker in workers)
            errors = [
                m["error"] for w in result["workers"].values() for m in w.get("modes", {}).values() if "error" in m
            ]
            errors += [w["error"] for w in result["workers"].values() if "no mode" not in w.get("error", "no mode")]
            wrong |= bool(errors)
            print(
                "; ".join([f"{case.name} {args.dtype}: ms {shown} [{time.time() - before:.0f} s]", *errors]), flush=True
            )
            (args.out / "orders.json").write_text(json.dumps(results, indent=1))
            (args.out / "orders.md").write_text(table(results))
        for worker in workers:
            worker.stop()
    print("\n" + table(results))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
