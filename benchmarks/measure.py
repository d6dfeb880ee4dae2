"""One cell: a case in one precision, computed by all workers, compared, and timed in turns."""

import statistics
import time
from dataclasses import dataclass

import cases
import compare
from workers import COMPILED, Failed


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int  # turns of every worker
    turn: float  # seconds of short calls per turn
    cap: float  # seconds of slow calls per mode, in all
    sweep: float  # seconds for the plans of a case


FULL = Effort(rounds=7, turn=0.15, cap=20.0, sweep=3.0)
QUICK = Effort(rounds=2, turn=0.02, cap=0.5, sweep=0.3)


class Timed:
    """One mode of one worker, and its samples."""

    def __init__(self, worker, mode):
        self.worker, self.mode = worker, mode
        self.samples, self.estimate, self.difference = [], None, None
        self.error, self.mismatch, self.warm = None, False, 0

    def first(self, folder, reference, dtype, cap):
        """One call whose results are compared, and one that says about how long a call takes."""
        out = folder / "results.safetensors"
        try:
            cold = self.worker.ask("result", mode=self.mode, out=str(out))["seconds"]
            self.difference = compare.worst(out, reference, dtype)
            if cold > cap and self.worker.name not in COMPILED:
                self.samples.append(cold)
            else:
                # TorchScript, which PyTorch's forward mode uses, compiles at the second call
                for least in (1, 2):
                    if least == 1 or self.samples[0] < 5.0:
                        answer = self.worker.ask("time", mode=self.mode, budget=0.0, least=least, most=least)
                        self.samples += answer["seconds"]
            self.estimate = min(self.samples)
            self.warm = len(self.samples)
        except (Failed, ValueError) as error:
            self.error, self.mismatch = str(error), isinstance(error, ValueError)
        out.unlink(missing_ok=True)

    def turn(self, effort):
        try:
            answer = self.worker.ask("time", mode=self.mode, budget=effort.turn, least=1, most=5000)
            self.samples += answer["seconds"]
        except Failed as error:
            self.error = str(error)

    def summary(self):
        if self.error or not self.samples:
            return {"error": self.error, "mismatch": self.mismatch}
        # those of warming up count only where there are no others, and then the best of them
        taken = self.samples[self.warm :] or [min(self.samples)]
        median, fastest = statistics.median(taken), min(taken)
        return {"median": median, "min": fastest, "samples": len(taken), "difference": self.difference}


def load(worker, case_file, dtype, kind):
    """The modes of a worker, or why there are none."""
    try:
        modes = worker.ask("load", file=str(case_file), dtype=dtype, kind=kind)["modes"]
        return [Timed(worker, mode) for mode in modes], None
    except Failed as error:
        return [], str(error)


def turns(live, effort):
    """Every mode in turns; slow ones at least three times, or once where that alone is too long."""
    for i in range(effort.rounds):
        for timed in live:
            enough = len(timed.samples) >= timed.warm + 3 and timed.estimate * i > effort.cap
            if timed.error is None and timed.estimate <= effort.cap and not enough:
                time.sleep(1e-3)  # threads of the worker before go to sleep
                timed.turn(effort)


def cell(case, dtype, ours, peers, two, folder, effort, threads):
    """Everything that is measured of a case in one precision."""
    case_file, reference = folder / "case.safetensors", folder / "reference.safetensors"
    cases.write(case, {"f32": "float32", "f64": "float64"}[dtype], case_file)
    result = {
        "family": case.family,
        "case": case.label,
        "dtype": dtype,
        "kind": case.kind,
        "shape": {"d": case.d, "m": case.m, "width": case.width, "depth": case.depth, "points": case.points},
        "threads": threads,
        "peers": {},
    }
    mine, error = load(ours, case_file, dtype, case.kind)
    if error:
        raise Failed(error)
    ours.ask("result", mode=mine[0].mode, out=str(reference))
    all_modes = {"ours": mine}
    for worker in peers:
        modes, error = load(worker, case_file, dtype, case.kind)
        all_modes[worker.name] = modes
        if error:
            result["peers"][worker.name] = {"error": error}
    before = ours.ask("peaks", dtype=dtype, threads=threads)
    live = []
    for modes in all_modes.values():
        for timed in modes:
            timed.first(folder, reference, dtype, effort.cap)
        right = [t for t in modes if t.error is None]
        fastest = min((t.estimate for t in right), default=0.0)
        # a peer is known by its best mode; those far behind need no more turns
        live += [t for t in right if t.worker is ours or t.estimate <= 2.0 * fastest]
    turns(live, effort)
    # the speed of a core may change within a run, by a factor of two for products on some machines: rates from beside
    # the cell, and the higher ones, so that the floor is not too high
    after = ours.ask("peaks", dtype=dtype, threads=threads)
    peaks = {name: max(before[name], after[name]) for name in before}
    result["peaks"] = {"before": before, "after": after}
    for name, modes in all_modes.items():
        table = {t.mode: t.summary() for t in modes}
        if name == "ours":
            result["ours"] = table
        elif modes:
            right = {mode: s for mode, s in table.items() if "median" in s}
            best = min(right, key=lambda mode: right[mode]["median"]) if right else None
            result["peers"][name] = {"best": best, "modes": table}
    result |= limits(case, dtype, ours, peaks, threads)
    result["sweep"] = ours.ask("sweep", budget=effort.sweep, least=effort.rounds)
    if two is not None and min(s.get("median", 0) for s in result["ours"].values()) > 2e-3:
        result["scaling"] = scaling(case, dtype, mine[-1], two, case_file, effort)
    for path in (case_file, reference):
        path.unlink()
    return result


def limits(case, dtype, ours, peaks, threads):
    """The plan, and the least time that its flops, activations and results take on this machine."""
    plan = ours.ask("explain")
    size = case.output_bytes({"f32": "float32", "f64": "float64"}[dtype])
    writes = ours.ask("writes", bytes=size, threads=threads)
    order = 3 if case.kind == "training" else 2
    counts = case.activations()
    activations = sum(n / peaks[f"{act}_{order}"] for act, n in counts.items())
    compute = plan["flops"] / peaks["gemm_flops"] + activations
    floor = {
        "flops": plan["flops"],
        "activations": sum(counts.values()),
        "bytes": size,
        "products_seconds": plan["flops"] / peaks["gemm_flops"],
        "activations_seconds": activations,
        "write_seconds": writes,
        "fresh": max(compute, writes["fresh"]),
        "lent": max(compute, writes["lent"]),
    }
    return {"plan": plan, "floor": floor}


def scaling(case, dtype, mine, two, case_file, effort):
    """The same call on one thread and on two, in turns."""
    modes, error = load(two, case_file, dtype, case.kind)
    if error:
        return {"error": error}
    pair = [Timed(mine.worker, mine.mode), next(t for t in modes if t.mode == mine.mode)]
    for timed in pair:
        timed.turn(effort)
        timed.estimate = timed.samples[0]
    turns(pair, effort)
    one, both = (t.summary() for t in pair)
    return {"mode": mine.mode, "one": one, "two": both, "ratio": one["median"] / both["median"]}
