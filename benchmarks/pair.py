"""Two builds of this project's worker, in turns on one core: whether a change made it slower.

python3 benchmarks/pair.py OLD/target/release/ours target/release/ours --only 'grid d512,training'

For each case, precision and mode: the fastest call of each build, their ratio (above 1 the new build is slower), and
the median over the rounds of the ratio of medians. The two are nearly the same on a quiet machine. Results are
compared, too.
"""

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
from pathlib import Path

import cases
import measure
from workers import Failed, Worker

EFFORT = dataclasses.replace(measure.FULL, rounds=9, turn=(0.02, 0.08))
FEWER = 4  # rounds of calls above 0.2 s


def turn(timed):
    """The calls of one turn."""
    before = len(timed.samples)
    timed.turn(EFFORT)
    if timed.error:
        raise Failed(timed.error)
    return timed.samples[before:]


def compared(case, dtype, pair, folder):
    """The mode, both fastest calls and the median ratio, for each mode of the case."""
    case_file, reference = folder / "case.safetensors", folder / "reference.safetensors"
    cases.write(case, {"f32": "float32", "f64": "float64"}[dtype], case_file)
    both = []
    for worker in pair:
        modes, error = measure.load(worker, case_file, dtype, case.kind)
        if error:
            raise Failed(error)
        both.append(modes)
    pair[0].ask("result", mode=both[0][0].mode, out=str(reference))
    for old, new in zip(*both, strict=True):
        for timed in (old, new):
            timed.first(folder, reference, dtype, float("inf"))
            if timed.error:
                raise Failed(timed.error)
        samples = [[], []]
        for r in range(EFFORT.rounds if old.estimate < 0.2 else FEWER):
            for i in (0, 1) if r % 2 else (1, 0):
                samples[i].append(turn((old, new)[i]))
        medians = [[statistics.median(s) for s in of] for of in samples]
        ratio = statistics.median(n / o for o, n in zip(*medians, strict=True))
        yield old.mode, *(min(map(min, of)) for of in samples), ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", default="*", help="cases by the start of their names, as for run.py")
    parser.add_argument("--dtype", choices=("f32", "f64", "both"), default="both")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    args = parser.parse_args()
    dtypes = ("f32", "f64") if args.dtype == "both" else (args.dtype,)
    ratios = {dtype: [] for dtype in dtypes}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases.named(args.only, cases.all_cases()):
            for dtype in dtypes:
                pair = [Worker(path.name, [path], [args.core], sys.stderr) for path in (args.old, args.new)]
                try:
                    for mode, old, new, ratio in compared(case, dtype, pair, Path(folder)):
                        ratios[dtype].append(new / old)
                        times = f"{old * 1e3:10.4f} ms {new * 1e3:10.4f} ms"
                        print(f"{case.name:34} {dtype} {mode:6} {times} {new / old:6.3f} {ratio:6.3f}", flush=True)
                except Failed as error:
                    print(f"{case.name:34} {dtype} {error}")
                finally:
                    for worker in pair:
                        worker.stop()
    for dtype, found in ratios.items():
        if found:
            mean, slower = statistics.geometric_mean(found), sum(r > 1.05 for r in found)
            print(f"{dtype}: geometric mean {mean:.3f}, {slower} of {len(found)} above 1.05, largest {max(found):.3f}")


if __name__ == "__main__":
    main()
