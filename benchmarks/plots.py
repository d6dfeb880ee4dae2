"""Log-log plots of the grid, as in the hessQuik paper: time over d, one panel for each m."""

import matplotlib

import targets

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

STYLE = {
    "ours": ("tab:blue", "o"),
    "hessQuik": ("tab:red", "s"),
    "torch": ("tab:orange", "^"),
    "jax": ("tab:green", "v"),
    "num-dual": ("tab:purple", "d"),
}


def grid(results, out):
    """One file for each precision that has cells of the grid."""
    for dtype in results["dtypes"]:
        cells = [c for c in results["cells"] if (c["family"], c["dtype"]) == ("grid", dtype)]
        panels = sorted({c["shape"]["m"] for c in cells})
        if not panels:
            continue
        figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.4), sharey=True, squeeze=False)
        for axis, m in zip(axes[0], panels, strict=True):
            panel(axis, sorted((c for c in cells if c["shape"]["m"] == m), key=lambda c: c["shape"]["d"]))
            axis.set_title(f"m = {m}")
        axes[0][0].set_ylabel("seconds")
        axes[0][0].legend(fontsize=7)
        figure.suptitle(
            f"value, gradient and Hessian at 10 points, {dtype}, {results['threads']} thread(s)", fontsize=9
        )
        figure.tight_layout()
        figure.savefig(out / f"grid_{dtype}.svg", metadata={"Date": None})
        plt.close(figure)


def panel(axis, cells):
    for name, (colour, marker) in STYLE.items():
        pairs = [
            (c["shape"]["d"], targets.seconds(c) if name == "ours" else targets.peer_seconds(c, name)) for c in cells
        ]
        pairs = [pair for pair in pairs if pair[1] is not None]
        if pairs:
            axis.loglog(*zip(*pairs, strict=True), color=colour, marker=marker, markersize=4, label=name)
    floor = [(c["shape"]["d"], c["floor"]["fresh"]) for c in cells]
    axis.loglog(*zip(*floor, strict=True), color="grey", linestyle=":", label="floor")
    axis.set_xlabel("d")
    axis.set_xscale("log", base=2)
    axis.grid(True, which="major", alpha=0.3)
