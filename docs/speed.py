#!/usr/bin/env python3
"""The page on speed, made from what `benchmarks/run.py` measured.

docs/speed.py keep results.json ...   what the page needs of these runs, to speed.json; of a cell the last one counts
docs/speed.py                         speed.json to src/speed.md and its figures
docs/speed.py check                   fails if page or figure are not what speed.json makes
"""

import json
import math
import sys
from pathlib import Path

BOOK = Path(__file__).resolve().parent
sys.path.insert(0, str(BOOK.parent / "benchmarks"))
import report  # noqa: E402
import targets  # noqa: E402

PEERS = {"jax": "JAX", "torch": "torch.func", "folx": "folx", "hessQuik": "hessQuik"}
CLOSE = 1.1


def keep(files):
    merged = report.merge([json.loads(Path(file).read_text()) for file in files])
    rows = []
    for cell in merged["cells"]:
        times = {"fresh": targets.seconds(cell), "lent": targets.seconds(cell, "lent")}
        times |= {peer: targets.peer_seconds(cell, peer) for peer in PEERS if peer in cell["peers"]}
        floors = {f"floor_{mode}": targets.over_floor(cell, mode) for mode in ("fresh", "lent")}
        row = {name: cell[name] for name in ("family", "case", "dtype")} | times | floors
        row |= {"plan": cell["sweep"]["ratio"], "threads": cell.get("scaling", {}).get("ratio")}
        rows.append({name: round(v, 9) if isinstance(v, float) else v for name, v in row.items() if v is not None})
    machine = merged["machine"]
    kept = {"cpu": machine["cpu"], "versions": machine["versions"], "stream": merged["stream"], "rows": rows}
    text = json.dumps(kept, indent=1).replace('\n   "', ' "').replace("\n  }", " }")
    (BOOK / "speed.json").write_text(text + "\n")


def best(row):
    """The fastest of the peers that compile or batch, and how many times our time it takes."""
    found = [(row[peer] / row["fresh"], PEERS[peer]) for peer in ("jax", "torch", "folx") if peer in row]
    return min(found) if found else (None, None)


def number(x):
    return "-" if x is None else f"{x:.3g}" if x < 100 else f"{x:.0f}"


def table(rows, peers):
    head = ["case", "ours", "ours, memory lent", *(PEERS[p] for p in peers), "times the best", "times the floor"]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for row in rows:
        times = [number(1e3 * row[name]) if name in row else "-" for name in ("fresh", "lent", *peers)]
        ratio = number(best(row)[0])
        floor = number(row.get("floor_fresh"))
        lines.append([row["case"], *times, ratio, floor])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


FAMILIES = {
    "grid": "value, gradient, Hessian, 10 points",
    "pinn": "the same, physics-informed networks",
    "wide": "the same, wide layers",
    "laplacian": "value, gradient, Laplacian",
    "training": "training step",
    "icnn": "input convex network",
}
"""Labels of the small picture."""


def by_case(rows):
    """Bars of the best peer's time over ours."""
    entries = [
        (f"{row['family']} {row['case']}", ratio, f"{number(ratio)} {peer}")
        for row in rows
        for ratio, peer in [best(row)]
    ]
    return bars(entries, 190)


def by_family(rows):
    """The same, averaged over the cases of a family."""
    entries = []
    for family, label in FAMILIES.items():
        ratios = [best(row)[0] for row in rows if row["family"] == family]
        if ratios:
            span = f"{number(min(ratios))} to {number(max(ratios))}"
            entries.append((label, targets.mean(ratios), f"{number(targets.mean(ratios))} ({span})"))
    return bars(entries, 230)


def bars(entries, left):
    """A bar for each name and ratio, on a logarithmic scale, with a note behind it."""
    width, step = 420, 15
    height = step * len(entries) + 46
    at = lambda ratio: left + width * math.log(max(ratio, 0.5) / 0.5) / math.log(40 / 0.5)  # noqa: E731
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {height}" '
        f'width="{left + width + 20}" height="{height}" font-family="system-ui,sans-serif" font-size="11">',
        "<title>Time of the fastest peer over ours</title>",
        f'<rect width="{left + width + 20}" height="{height}" fill="#fff"/>',
    ]
    bottom = step * len(entries) + 12
    for tick in (0.5, 1, 2, 5, 10, 20):
        stroke = "#333" if tick == 1 else "#ddd"
        parts.append(f'<path d="M{at(tick):.1f} 6V{bottom}" stroke="{stroke}"/>')
        parts.append(f'<text x="{at(tick):.1f}" y="{bottom + 14}" text-anchor="middle" fill="#555">{tick}</text>')
    for i, (name, ratio, note) in enumerate(entries):
        y = 8 + step * i
        colour = "#1f6fb2" if ratio >= CLOSE else "#b3322c"
        parts.append(f'<text x="{left - 6}" y="{y + 10}" text-anchor="end">{name}</text>')
        x, to = sorted((at(1), at(ratio)))
        parts.append(f'<rect x="{x:.1f}" y="{y + 1}" width="{to - x:.1f}" height="{step - 4}" fill="{colour}"/>')
        parts.append(f'<text x="{max(to, at(1)) + 4:.1f}" y="{y + 10}" fill="#555">{note}</text>')
    parts.append(
        f'<text x="{left}" y="{bottom + 29}" fill="#555">time of the fastest of JAX, torch.func, folx over ours</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def page(kept):
    rows = kept["rows"]
    single = [row for row in rows if row["dtype"] == "f32"]
    double = [row for row in rows if row["dtype"] == "f64"]
    compared = [row for row in single if best(row)[0]]
    versions = ", ".join(f"{n} {kept['versions'][n]}" for n in ("jax", "torch", "folx", "hessQuik"))
    label = lambda row: f"{row['family']} `{row['case']}`"  # noqa: E731

    close = [
        f"| {label(r)} | {r['dtype']} | {number(best(r)[0])} | {best(r)[1]} | {number(r['floor_fresh'])} |"
        for r in rows
        if best(r)[0] and best(r)[0] < 1.5
    ]
    lost = [f"{label(r)} {number(best(r)[0])}" for r in rows if best(r)[0] and best(r)[0] < 1]
    far = [f"{label(r)} {number(r['floor_fresh'])}" for r in single if r.get("floor_fresh", 0) > 2.5]
    plans = max(rows, key=lambda r: r["plan"])
    threads = [r for r in rows if "threads" in r]
    scaling = ", ".join(f"{label(r)} {number(r['threads'])}" for r in threads)
    old = [r["hessQuik"] / r["fresh"] for r in rows if "hessQuik" in r]
    ratios = [best(r)[0] for r in compared]
    mean, old_mean = targets.mean(ratios), targets.mean(old)

    text = f"""# Speed

<!-- Made by docs/speed.py from docs/speed.json; edits here are lost. -->

Measured by `benchmarks/run.py`, which anyone can run: hessquik beside what one would use instead, and beside
what the machine allows. One thread of a shared host ({kept["cpu"]}), {versions};
the fastest mode of everyone counts. Repeated figures differ by up to 20 %.

![Time of the fastest peer over ours, for every case](figures/speed.svg)

Over these {len(compared)} cases in single precision the fastest of JAX, torch.func and folx takes {number(mean)} times as
long in the geometric mean, from {number(min(ratios))} to {number(max(ratios))} times. hessQuik
takes {number(min(old))} to {number(max(old))} times as long, in the geometric mean {number(old_mean)} times.

## Where others win, or nearly do
"""
    text += f"Slower than a peer: {', '.join(lost) if lost else 'none of the cases measured here'}.\n\n"
    text += (
        "Less than 1.5 times as fast as the best peer:\n\n| case | | times the best | which is | times the floor |\n"
    )
    text += "| --- | --- | ---: | --- | ---: |\n" + "\n".join(close) + "\n\n"
    text += (
        "Near the floor there is little left to win for anyone: all do the same products equally well. Where ours is\n"
    )
    text += "far above the floor, as with narrow layers, hessquik's kernels could still be faster.\n\n"
    text += """Not in the tables, and better done elsewhere:

- On a GPU, JAX and PyTorch; what is measured here is a CPU.
- Functions that couple points, such as batch normalisation in training mode: automatic differentiation.

Not measured here: third and higher derivatives, and networks with products of states (attention, layer norms, gates),
which run as a list of steps ([bring your network](howto/bring-torch.md)).

## How far from the machine
The floor is the time that the call's products, activations and memory traffic take at the rates that this machine
reached in the same run (`benchmarks/README.md` has the definition). Small calls, narrow products and results that leave the caches are far above it:
"""
    text += f"{'; '.join(far)}.\n\n"
    text += "## Single precision\nMilliseconds. `times the best` is the best of JAX, torch.func and folx over ours, `times the "
    text += "floor` is ours over it.\n"
    for family, title in report.FAMILIES.items():
        chosen = [row for row in single if row["family"] == family]
        if chosen:
            peers = [p for p in PEERS if any(p in row for row in chosen)]
            text += f"\n### {title}\n{table(chosen, peers)}\n"
    text += "\n## Double precision\n"
    named = [row | {"case": f"{row['family']} {row['case']}"} for row in double]
    text += table(named, [p for p in PEERS if any(p in row for row in double)]) + "\n"
    text += f"""
## The plan, threads, memory
- Every plan of a case was timed: the automatic one takes at most {plans["plan"]:.3f} times the fastest
  ({label(plans)}).
- Two threads instead of one: {scaling} times as fast.
  Others used the second core now and then, which a figure near 1 shows.
- {kept["stream"]["points"]:,} points were streamed in {kept["stream"]["peak_mb"]:.0f} MB of memory.
"""
    return text


def main(arguments):
    if arguments[:1] == ["keep"]:
        return keep(arguments[1:])
    kept = json.loads((BOOK / "speed.json").read_text())
    compared = [r for r in kept["rows"] if r["dtype"] == "f32" and best(r)[0]]
    files = {
        BOOK / "src" / "speed.md": page(kept),
        BOOK / "src" / "figures" / "speed.svg": by_case(compared),
        BOOK / "src" / "figures" / "families.svg": by_family(compared),
    }
    for file, text in files.items():
        if arguments[:1] == ["check"]:
            if file.read_text() != text:
                raise SystemExit(f"{file} is not what speed.json makes: run docs/speed.py")
        else:
            file.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
