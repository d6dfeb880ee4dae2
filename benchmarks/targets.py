"""The targets: what was aimed at, and the worst cell of each."""

import math

# against hessQuik in the grid, and over all cases in the geometric mean
HESSQUIK_GRID, HESSQUIK_MEAN = 20.0, 100.0
# against the best of the other peers, cell by cell; and in the grid's geometric mean
FASTER = {"grid": 2.0, "pinn": 1.5, "laplacian": 1.5, "icnn": 1.5, "training": 4.0}
GRID_MEAN = 4.0
FLOOR, FLOOR_FLOPS, FLOOR_BYTES = 1.6, 50e6, 10e6
SMALL_SECONDS = 10e-6
TWO_THREADS, STREAM_MB, PLAN = 1.8, 100.0, 1.1


def seconds(cell, mode="fresh"):
    """The median of our call; fresh arrays are what peers return, too."""
    return cell["ours"].get(mode, {}).get("median")


def peer_seconds(cell, name):
    peer = cell["peers"].get(name, {})
    best = peer.get("best")
    return peer["modes"][best]["median"] if best else None


def ratio(cell, names):
    """How many times slower the fastest of these peers is; none if none could."""
    times = [t for t in (peer_seconds(cell, name) for name in names) if t is not None]
    ours = seconds(cell)
    return min(times) / ours if times and ours else None


def over_floor(cell, mode):
    ours = seconds(cell, mode)
    return ours / cell["floor"][mode] if ours else None


def is_large(cell):
    """Whether a call does or writes enough to be held against the floor."""
    return cell["floor"]["flops"] > FLOOR_FLOPS or cell["floor"]["bytes"] > FLOOR_BYTES


def missed(cell):
    """The targets that the cell itself misses, by the names of the report's columns."""
    names = cell["peers"].keys()
    faster = [(ratio(cell, names), 1.0), (ratio(cell, names - {"hessQuik"}), FASTER.get(cell["family"], 1.0))]
    against = [(ratio(cell, ["hessQuik"]), HESSQUIK_GRID if cell["family"] == "grid" else 1.0)]
    scaled = [(cell.get("scaling", {}).get("ratio"), TWO_THREADS)]
    least = {"peers": faster, "hessQuik": against, "threads": scaled}
    found = {n for n, pairs in least.items() if any(v is not None and v < bound for v, bound in pairs)}
    most = {mode: (over_floor(cell, mode) or 0.0, FLOOR) for mode in ("fresh", "lent") if is_large(cell)}
    most["plan"] = (cell["sweep"]["ratio"], PLAN)
    return found | {name for name, (value, bound) in most.items() if value > bound}


def mismatches(cell):
    """Modes whose results are not ours."""
    tables = {"ours": cell["ours"]} | {name: peer.get("modes", {}) for name, peer in cell["peers"].items()}
    for name, modes in tables.items():
        for mode, summary in modes.items():
            if summary.get("mismatch"):
                yield name, mode


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def place(cell):
    return f"{cell['family']} {cell['case']} {cell['dtype']}"


def targets(results):
    """Rows of (number, what, whether it is met or None where nothing was measured, how far)."""
    cells, rows = results["cells"], []

    def every(number, what, values, bound, least=True):
        values = [(value, cell) for value, cell in values if value is not None]
        if not values:
            rows.append((number, what, None, "not measured"))
            return
        worst, cell = (min if least else max)(values, key=lambda pair: pair[0])
        missed = sum((value < bound) if least else (value > bound) for value, _ in values)
        rows.append(
            (number, what, missed == 0, f"worst {worst:.2f} at {place(cell)}; {missed} of {len(values)} missed")
        )

    def average(number, what, values, bound):
        values = [value for value in values if value is not None]
        if values:
            found = mean(values)
            rows.append((number, what, found >= bound, f"{found:.1f} over {len(values)} cells"))
        else:
            rows.append((number, what, None, "not measured"))

    def family(name):
        return [cell for cell in cells if cell["family"] == name]

    wrong = [f"{name} {mode} at {place(c)}" for c in cells for name, mode in mismatches(c)]
    rows.append((0, "equal results from all workers", not wrong, "; ".join(wrong[:3]) or f"in {len(cells)} cells"))
    everyone = {name for cell in cells for name in cell["peers"]}
    others = everyone - {"hessQuik"}
    every(1, "never slower than any peer", [(ratio(c, everyone), c) for c in cells], 1.0)
    against = [(ratio(c, ["hessQuik"]), c) for c in family("grid")]
    every(1, f"grid: {HESSQUIK_GRID:g} times hessQuik", against, HESSQUIK_GRID)
    all_hessquik = [ratio(c, ["hessQuik"]) for c in cells]
    average(1, f"all: {HESSQUIK_MEAN:g} times hessQuik, geometric mean", all_hessquik, HESSQUIK_MEAN)
    for name, bound in FASTER.items():
        every(2, f"{name}: {bound:g} times the other peers", [(ratio(c, others), c) for c in family(name)], bound)
    grid = [ratio(c, others) for c in family("grid")]
    average(2, f"grid: {GRID_MEAN:g} times the other peers, geometric mean", grid, GRID_MEAN)
    large = [c for c in cells if is_large(c)]
    for mode in ("fresh", "lent"):
        what = f"large calls within {FLOOR:g} of the floor, {mode}"
        every(3, what, [(over_floor(c, mode), c) for c in large], FLOOR, least=False)
    small = results["small"]
    took = max(small["fresh_seconds"], small["lent_seconds"])
    measured = f"{1e6 * small['fresh_seconds']:.1f} us fresh, {1e6 * small['lent_seconds']:.1f} us lent"
    rows.append((3, "smallest call under 10 us", took < SMALL_SECONDS, measured))
    lean = small["fresh"] <= small["outputs"] and small["lent"] == 0
    counted = f"{small['fresh']} allocations fresh ({small['outputs']} outputs), {small['lent']} lent"
    rows.append((3, "smallest call allocates nothing but outputs", lean, counted))
    scaled = [(c.get("scaling", {}).get("ratio"), c) for c in cells]
    every(4, f"two threads {TWO_THREADS:g} times one above 2 ms", scaled, TWO_THREADS)
    if peak := results.get("stream", {}).get("peak_mb"):
        rows.append((4, f"10^6 points streamed in {STREAM_MB:g} MB", peak < STREAM_MB, f"{peak:.0f} MB"))
    plans = [(c["sweep"]["ratio"], c) for c in cells]
    every(5, "the plan within 10 % of the fastest", plans, PLAN, least=False)
    return rows
