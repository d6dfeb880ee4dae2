"""One cell: a case in one precision, computed by all workers, compared, and timed in turns."""

import statistics
from dataclasses import dataclass

import cases
import compare
from workers import COMPILED, Failed


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int  # turns of every mode
    calls: int  # calls per turn that are enough
    turn: tuple  # but at least, and at most so many seconds
    cap: float  # seconds of slow calls per mode, in all
    far: float  # the same of modes that are far behind
    sweep: tuple  # seconds for the plans of a case: all, and where the automatic one does not lead


FULL = Effort(rounds=7, calls=30, turn=(0.02, 0.1), cap=4.0, far=0.4, sweep=(0.5, 4.0))
QUICK = Effort(rounds=2, calls=30, turn=(0.005, 0.02), cap=0.5, far=0.1, sweep=(0.2, 0.4))

# A mode this many times slower than the fastest of all is far behind: how far exactly changes nothing.
FAR = 20.0
# A peer is known by its best mode; those of its modes that take so many times as long have no turns.
BEHIND = 1.5
# Where the first call of a peer that does not compile takes so many seconds, it is the only one.
ONCE = 5.0
# A turn starts with a call that does not count where calls take less than so many seconds.
WARM = 0.5


class Timed:
    """One mode of one worker, and its samples."""

    def __init__(self, worker, mode):
        self.worker, self.mode = worker, mode
        self.samples, self.estimate, self.difference = [], None, None
        self.error, self.mismatch, self.warm, self.far = None, False, 0, False

    def first(self, folder, reference, dtype, fastest):
        """One call whose results are compared, and others that say about how long a call takes; `fastest` is what the
        fastest mode of all takes, as far as known."""
        out = folder / "results.safetensors"
        try:
            cold = self.worker.ask("result", mode=self.mode, out=str(out))["seconds"]
            self.difference = compare.worst(out, reference, dtype)
            if cold > ONCE and self.worker.name not in COMPILED:
                self.samples.append(cold)
            else:
                self.time(1)
                # TorchScript, which PyTorch's forward mode uses, compiles at the second call
                if self.samples[0] < max(0.1, FAR * fastest):
                    self.time(2)
            self.estimate = min(self.samples)
            self.warm = len(self.samples)
        except (Failed, ValueError) as error:
            self.error, self.mismatch = str(error), isinstance(error, ValueError)
        out.unlink(missing_ok=True)
        self.worker.settle()

    def time(self, least, budget=0.0):
        most = 5000 if budget else least
        answer = self.worker.ask("time", mode=self.mode, budget=budget, least=least, most=most)
        self.samples += answer["seconds"]

    def wants(self, effort):
        """Whether another turn is worth its time: slow calls are made at least three times more, those that are far
        behind not at all."""
        taken = self.samples[self.warm :]
        cap, least = (effort.far, 0) if self.far else (effort.cap, 3)
        return self.estimate <= cap and (len(taken) < least or sum(taken) + self.estimate <= cap)

    def turn(self, effort):
        """Calls that count, after one that does not: others had the caches in between."""
        shortest, longest = effort.turn
        try:
            if self.estimate < WARM:
                self.worker.ask("time", mode=self.mode, budget=0.0, least=1, most=1)
            self.time(1, min(longest, max(shortest, effort.calls * self.estimate)))
        except Failed as error:
            self.error = str(error)

    def summary(self):
        if self.error or not self.samples:
            return {"error": self.error, "mismatch": self.mismatch}
        # those of warming up count only where there are no others, and then the best of them
        taken = self.samples[self.warm :] or [min(self.samples)]
        median, fastest = statistics.median(taken), min(taken)
        return {"median": median, "min": fastest, "samples": len(taken), "difference": self.difference}


def load(worker, case_file, dtype, kind, only=None):
    """The modes of a worker, or of these the `only` one; or why there are none."""
    try:
        modes = worker.ask("load", file=str(case_file), dtype=dtype, kind=kind)["modes"]
        return [Timed(worker, mode) for mode in modes if mode == only or only not in modes], None
    except Failed as error:
        return [], str(error)


def turns(live, effort):
    """Every mode in turns."""
    for _ in range(effort.rounds):
        for timed in live:
            if timed.error is None and timed.wants(effort):
                timed.turn(effort)
                timed.worker.settle()  # or it would run in the turn of the next


def summaries(modes):
    """All modes of a worker, and the name of the fastest."""
    table = {t.mode: t.summary() for t in modes}
    right = {mode: s for mode, s in table.items() if "median" in s}
    best = min(right, key=lambda mode: right[mode]["median"]) if right else None
    return {"best": best, "modes": table}


def cell(case, dtype, ours, peers, two, folder, effort, threads, known):
    """Everything that is measured of a case in one precision; `known` are the results of its peers in the other."""
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
        before = known.get(worker.name)
        if before is not None and not before.get("best"):
            result["peers"][worker.name] = {"error": "not tried: no mode of it was right in single precision"}
            continue
        modes, error = load(worker, case_file, dtype, case.kind, before and before["best"])
        all_modes[worker.name] = modes
        if error:
            result["peers"][worker.name] = {"error": error}
    order = 3 if case.kind == "training" else 2
    rates = {"dtype": dtype, "threads": threads, "activations": list(case.activations()), "order": order}
    before = ours.ask("peaks", **rates)
    live, fastest = [], float("inf")
    for modes in all_modes.values():
        for timed in modes:
            timed.first(folder, reference, dtype, fastest)
            fastest = min(fastest, timed.estimate or fastest)
        right = [t for t in modes if t.error is None]
        best = min((t.estimate for t in right), default=0.0)
        live += [t for t in right if t.worker is ours or t.estimate <= BEHIND * best]
    for timed in live:
        timed.far = timed.estimate > FAR * fastest
    turns(live, effort)
    # the speed of a core may change within a run, by a factor of two for products on some machines: rates from beside
    # the cell, and the higher ones, so that the floor is not too high
    after = ours.ask("peaks", **rates)
    peaks = {name: max(before[name], after[name]) for name in before}
    result["peaks"] = {"before": before, "after": after}
    for name, modes in all_modes.items():
        if name == "ours":
            result["ours"] = {t.mode: t.summary() for t in modes}
        elif modes:
            result["peers"][name] = summaries(modes)
    result |= limits(case, dtype, ours, peaks, threads, order)
    budget, most = effort.sweep
    result["sweep"] = ours.ask("sweep", budget=budget, most=most, least=effort.rounds)
    if two is not None and min(s.get("median", 0) for s in result["ours"].values()) > 2e-3:
        result["scaling"] = scaling(case, dtype, mine[-1], two, case_file, effort)
    for path in (case_file, reference):
        path.unlink()
    return result


def limits(case, dtype, ours, peaks, threads, order):
    """The plan, and the least time that its flops, activations and results take on this machine."""
    plan = ours.ask("explain")
    size = case.output_bytes({"f32": "float32", "f64": "float64"}[dtype])
    writes = ours.ask("writes", bytes=size, threads=threads)
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
        timed.time(2)
        timed.estimate, timed.warm = min(timed.samples), 2
    turns(pair, effort)
    one, both = (t.summary() for t in pair)
    return {"mode": mine.mode, "one": one, "two": both, "ratio": one["median"] / both["median"]}
