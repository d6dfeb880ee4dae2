"""Whether two workers computed the same."""

import numpy as np
from safetensors import safe_open

# relative to the largest entry of an array
TOLERANCE = {"f32": 1e-3, "f64": 1e-9}


def worst(path, reference, dtype):
    """The largest relative difference over all arrays; raises `ValueError` where it is above the tolerance."""
    with safe_open(path, "numpy") as found, safe_open(reference, "numpy") as wanted:
        names = {n for n in found.keys()}
        if names != set(wanted.keys()):
            raise ValueError(f"results are {sorted(names)}, expected {sorted(wanted.keys())}")
        return max(difference(name, found.get_tensor(name), wanted.get_tensor(name), dtype) for name in sorted(names))


def difference(name, found, wanted, dtype):
    if found.shape != wanted.shape:
        raise ValueError(f"{name} has shape {found.shape}, expected {wanted.shape}")
    # sample by sample: differences of large Hessians take memory
    rows = zip(np.atleast_1d(found), np.atleast_1d(wanted), strict=True)
    error = max(float(np.max(np.abs(f - w))) for f, w in rows)
    size = max(float(np.max(np.abs(w))) for w in np.atleast_1d(wanted))
    # a difference that is no number is not below the tolerance
    if not error <= TOLERANCE[dtype] * size:
        raise ValueError(f"{name} differs by {error:.1e}, its largest entry is {size:.1e}")
    return error / size if size else 0.0
