"""What the PyTorch packages share: the layer form, the sums over sites in torch operations, the way to the engine."""

try:
    import torch as torch
except ImportError as error:
    raise ImportError(
        "hessquik_rs.activations, .layers, .networks and .utils need PyTorch: pip install 'torch>=2.5', or see "
        "https://pytorch.org/get-started for a smaller wheel; hessquik_rs.Network works on numpy arrays without it"
    ) from error
