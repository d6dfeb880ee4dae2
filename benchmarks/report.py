"""Results as JSON, as Markdown and as lines on the terminal."""

import json

import targets

FAMILIES = {
    "grid": "The paper's grid: n_s 10, width 16; value, gradient and Hessian",
    "pinn": "PINN jets (d m w L n_s): value, gradient and Hessian",
    "wide": "Wide (d m w L n_s): value, gradient and Hessian; from w 256 on value, gradient and Laplacian",
    "laplacian": "Laplacian (d m w L n_s): value, gradient and Laplacian",
    "training": "Training step (d m w L n_s): loss of value, gradient and Hessian, gradient to all weights",
    "icnn": "ICNN (d w n_s): value, gradient and Hessian",
}


def time_text(seconds):
    """Milliseconds, three digits."""
    return "-" if seconds is None else f"{float(f'{1e3 * seconds:.3g}'):g}"


def times_text(ratio):
    return "-" if ratio is None else f"{ratio:.3g}"


def peer_text(cell, name):
    """The time of the best mode and its name; for a peer without one, a word on why."""
    peer = cell["peers"].get(name)
    if peer is None:
        return "-"
    if peer.get("best"):
        return f"{time_text(targets.peer_seconds(cell, name))} {peer['best']}"
    errors = [peer.get("error"), *(mode.get("error") for mode in peer.get("modes", {}).values())]
    text = " ".join(e for e in errors if e)
    if any(mode.get("mismatch") for mode in peer.get("modes", {}).values()):
        return "**mismatch**"
    return "out of memory" if "memory" in text else "-"


def line(cell):
    """One cell on one line."""
    peers = ", ".join(f"{name} {peer_text(cell, name)}" for name in cell["peers"])
    ours = ", ".join(f"{mode} {time_text(targets.seconds(cell, mode))}" for mode in cell["ours"])
    floors = ", ".join(f"{mode} {times_text(targets.over_floor(cell, mode))}" for mode in cell["ours"])
    errors = [f"OURS: {s['error']}" for s in cell["ours"].values() if "error" in s]
    return "; ".join([f"ms {ours}", peers, f"over floor {floors}", f"plan {cell['sweep']['ratio']:.2f}", *errors])


def marked(text, cell, number):
    """Bold where the cell misses this target."""
    return f"**{text}**" if number in targets.missed(cell) else text


def table(cells, names):
    head = ["case", "ours fresh", "ours lent", *names, "best peer / ours", "hessQuik / ours"]
    head += ["floor fresh", "floor lent", "fresh / floor", "lent / floor", "plan", "auto / best plan", "1 / 2 threads"]
    rows = [head, ["---"] * len(head)]
    for c in cells:
        row = [c["case"], time_text(targets.seconds(c)), time_text(targets.seconds(c, "lent"))]
        row += [peer_text(c, name) for name in names]
        row += [marked(times_text(targets.ratio(c, names)), c, "peers")]
        row += [marked(times_text(targets.ratio(c, ["hessQuik"])), c, "hessQuik")]
        row += [time_text(c["floor"]["fresh"]), time_text(c["floor"]["lent"])]
        row += [marked(times_text(targets.over_floor(c, mode)), c, mode) for mode in ("fresh", "lent")]
        row += [c["plan"]["plan"], marked(f"{c['sweep']['ratio']:.2f}", c, "plan")]
        row += [marked(times_text(c.get("scaling", {}).get("ratio")), c, "threads")]
        rows.append(row)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def targets_table(results):
    words = {True: "met", False: "missed", None: "-"}
    rows = [["target", "", "", "measured"], ["---"] * 4]
    rows += [[str(number), what, words[met], how] for number, what, met, how in targets.targets(results)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def targets_text(results):
    words = {True: "met   ", False: "MISSED", None: "-     "}
    return "\n".join(f"{words[met]} {n}. {what}: {how}" for n, what, met, how in targets.targets(results))


def spread(peaks, name):
    """The lowest and highest rate that was measured."""
    rates = [p[name] / 1e9 for p in peaks if name in p]
    return f"{min(rates):.3g} to {max(rates):.3g}"


def head(results):
    """What the numbers were measured on, and its limits."""
    machine, lines = results["machine"], []
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines.append(f"{machine['cpu']}, {results['threads']} thread(s), {results['started']}, {machine['commit']}.")
    lines.append(f"{machine['rustc']}; {versions}. Times in milliseconds, medians.")
    if results["quick"]:
        lines.append("**A quick run: too few repetitions to rely on.**")
    for dtype in results["dtypes"]:
        seen = [p for c in results["cells"] if c["dtype"] == dtype for p in c["peaks"].values()]
        if seen:
            names = ("tanh", "anti_tanh", "softplus")
            rates = [f"{n} {spread(seen, n + '_2')}" for n in names if any(n + "_2" in p for p in seen)]
            products = f"products {spread(seen, 'gemm_flops')} Gflop/s"
            lines.append(f"Peaks {dtype}, lowest to highest beside any cell: {products}; activations with two")
            lines[-1] += f" derivatives, 10^9 a second: {', '.join(rates)}."
    return "\n".join(lines)


def markdown(results):
    """The section `Results` of the README."""
    names = list(dict.fromkeys(name for cell in results["cells"] for name in cell["peers"]))
    parts = [head(results), targets_table(results)]
    for family, title in FAMILIES.items():
        for dtype in results["dtypes"]:
            cells = [c for c in results["cells"] if (c["family"], c["dtype"]) == (family, dtype)]
            if cells:
                # a peer that has nothing to say in a family has no column there
                used = [n for n in names if any(peer_text(c, n) != "-" for c in cells)]
                parts.append(f"### {title}, {dtype}\n\n{table(cells, used)}")
    return "\n\n".join(parts) + "\n"


def write(results, out):
    """Writes all files; again after every cell, so that a run that is stopped leaves what it had."""
    (out / "results.json").write_text(json.dumps(results, indent=1))
    (out / "results.md").write_text(markdown(results))
    try:
        import plots
    except ImportError:
        return  # without matplotlib there are no plots
    plots.grid(results, out)


def merge(parts):
    """The results of several runs as one: of cells measured more than once, and of all else, the last."""
    cells = {(c["family"], c["case"], c["dtype"]): c for part in parts for c in part["cells"]}
    merged = {name: value for part in parts for name, value in part.items()}
    if len({part["threads"] for part in parts}) > 1:
        raise SystemExit("the runs are on different numbers of threads")
    dtypes = [d for d in ("f32", "f64") if any(c["dtype"] == d for c in cells.values())]
    order = {name: i for i, name in enumerate(FAMILIES)}
    shape = lambda c: (order[c["family"]], c["dtype"], c["shape"]["m"], c["shape"]["d"])  # noqa: E731
    if len(parts) > 1:
        merged["quick"] = any(part["quick"] for part in parts)
        merged["started"] = " and ".join(part["started"] for part in parts)
    listed = list(cells.values())
    grid = sorted((c for c in listed if c["family"] == "grid"), key=shape)
    rest = sorted((c for c in listed if c["family"] != "grid"), key=lambda c: order[c["family"]])
    return merged | {"dtypes": dtypes, "cells": grid + rest}


if __name__ == "__main__":
    import argparse
    from pathlib import Path

    parser = argparse.ArgumentParser(description="Prints the Markdown of the results of one run or of several.")
    parser.add_argument("results", nargs="+", type=Path, help="results.json of each; later cells win")
    parser.add_argument("--out", type=Path, help="a folder for the merged results.json, results.md and plots")
    options = parser.parse_args()
    merged = merge([json.loads(path.read_text()) for path in options.results])
    print(markdown(merged) + "\n" + targets_text(merged))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write(merged, options.out)
